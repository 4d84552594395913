"""What a verifier signs about a delivery that does not hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from packs import OTHER_ENGAGEMENT, Hire
from runtimes import Office
from undersigned.errors import VerificationError
from undersigned.runtime import judge_pack


@pytest.mark.parametrize(
    "wrong",
    [
        lambda hire: hire.claims(engagement=OTHER_ENGAGEMENT),
        lambda hire: {**hire.claims(), "payload": "AAA"},
    ],
)
async def test_a_verifier_passes_nothing_that_does_not_hold(tmp_path: Path, wrong: Callable[[Hire], Any]) -> None:
    """HIRE-ATT-04, HIRE-ATT-06: its no is a verdict all the same."""
    judge = Office(tmp_path / "judge", "Judge")
    hire = Hire(verifier=judge.actor.did).sealed()
    hire.delivered(wrong(hire))
    pack, now = hire.pack(), hire.book.clock.now()
    with pytest.raises(VerificationError) as refused:
        await judge_pack(judge, pack, passed=True, now=now)
    assert refused.value.code == "attestation_binding"
    assert await judge_pack(judge, pack, passed=False, now=now)


async def test_a_verifier_passes_what_holds(tmp_path: Path) -> None:
    judge = Office(tmp_path / "judge", "Judge")
    hire = Hire(verifier=judge.actor.did).sealed().delivered()
    assert await judge_pack(judge, hire.pack(), passed=True, now=hire.book.clock.now())
