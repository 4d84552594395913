"""A key that is replaced while an engagement runs: what was recorded stays valid, what is new needs the new key."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.worlds import stage_at
from undersigned.interop import chosen, play_all


@pytest.mark.timeout(90)
async def test_what_was_recorded_stays_valid(tmp_path: Path) -> None:
    """HIRE-KEY-07, HIRE-KEY-08: the presentation that the old key signed still counts; a new move by the old key does
    not, nor one by a key that took the name of it. HIRE-KEY-09: all of that after seconds, over another connection.
    HIRE-ATT-02: what the old key stated in a review counts in one that is signed by the new key.
    """
    async with stage_at(tmp_path / "globex") as stage:
        results = await play_all(stage, chosen("provider", only=("keys-rotated", "keys-former", "keys-replaced")))
    assert [(one.scenario.id, one.outcome, one.detail) for one in results] == [
        ("keys-rotated-under-a-contract", "passed", ""),
        ("keys-rotated-in-a-negotiation", "passed", ""),
        ("keys-former-key", "passed", ""),
        ("keys-replaced-before-the-review", "passed", ""),
        ("keys-former-name", "passed", ""),
    ]
