"""What comes while an engagement is just ending is answered, too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interop.worlds import QUICK, peer_home, subject_of
from undersigned.daemon import Peer
from undersigned.interop import Stage, chosen, play_all
from undersigned.interop.scenario import Wait


async def test_a_move_that_comes_during_the_last_turn_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-CHN-11: the store takes its time over the Withdraw, and an Offer comes meanwhile."""
    home = await peer_home(tmp_path / "globex")
    async with Peer.open(home) as peer:
        store = type(peer.ledger)
        real = store.commit

        async def slow(self: Any, commit: Any) -> Any:
            done = await real(self, commit)
            if not commit.summary.live:
                await asyncio.sleep(0.5)
            return done

        monkeypatch.setattr(store, "commit", slow)
        async with Stage(subject_of(home), seed="a seed", limits=QUICK) as stage:
            (found,) = chosen("provider", only=("table-provider-withdrawn-offer",))
            reached, withdrawn, *rest = found.steps
            meanwhile = msgspec.structs.replace(found, steps=(reached, withdrawn, Wait(seconds=0.1), *rest))
            (result,) = await play_all(stage, (meanwhile,))
    assert (result.outcome, result.detail) == ("passed", "")
