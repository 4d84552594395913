"""What comes while an engagement is just ending is answered, too."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from integration.hires import summarise
from interop.worlds import QUICK, peer_home, stage_at, subject_of
from undersigned.daemon import Peer
from undersigned.encoding import Instant, shift
from undersigned.interop import Stage, chosen, play_all
from undersigned.interop.player import Player
from undersigned.interop.scenario import Wait
from undersigned.protocol import Engagement
from undersigned.runtime import Job
from undersigned.runtime.agent import intake
from undersigned.runtime.engagement import turn, waking


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


async def slowly(job: Job) -> None:
    """Work that takes a while."""
    await asyncio.sleep(3.5)
    await summarise(job)


async def test_what_crosses_the_delivery_waits_for_it(tmp_path: Path) -> None:
    """HIRE-LIF-12: who works longer than others is not asked for a Delivery that it was told not to make."""
    home = await peer_home(tmp_path / "globex", handler=f"{__name__}:slowly")
    crossing = ("suspend-crosses-the-delivery", "cancel-crosses-the-delivery")
    async with Peer.open(home), Stage(subject_of(home), seed="a seed", limits=QUICK) as stage:
        results = await play_all(stage, chosen("provider", only=crossing))
    assert [(one.outcome, one.detail) for one in results] == [("passed", "")] * 2


async def test_who_closes_by_silence_late_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LIF-07: from then on it may, and a busy machine takes its time; a Review before that would count."""
    real = waking.wake_at

    def late(engagement: Engagement, now: Instant) -> Instant | None:
        due = real(engagement, now)
        return shift(due, 3) if due is not None and engagement.state == "delivered" else due

    for module in (waking, turn):
        monkeypatch.setattr(module, "wake_at", late)
    async with stage_at(tmp_path) as stage:
        results = await play_all(stage, chosen("provider", only=("contract-review-after-silence",)))
    assert [(one.outcome, one.detail) for one in results] == [("passed", "")]


async def test_a_budget_of_hundreds_of_failures_is_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LIM-02: how many it allows is its own affair. The harness sends what may be answered (HIRE-SYN-04)."""
    monkeypatch.setattr(intake, "FailureBudget", partial(intake.FailureBudget, 300))
    async with stage_at(tmp_path) as stage:
        results = await play_all(stage, chosen("provider", only=("connection-budget-of-failures",)))
    assert [(one.outcome, one.detail) for one in results] == [("passed", "")]


async def test_an_acceptance_that_crossed_what_took_the_offer_back_is_held_against_its_own_offer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-LAN-03: the harness takes its offer back when the Acceptance is there already, and was not read."""
    real = Player.say

    async def late(self: Player, move: Any) -> Any:
        line = self.line
        if move.type == "Withdraw":
            await line.wait(
                lambda: any(b'"type":"Acceptance"' in frame for frame in line.frames[line.read :]) or None,
                QUICK.answer,
            )
        return await real(self, move)

    monkeypatch.setattr(Player, "say", late)
    (taken_back,) = chosen("provider", only=("lane-release-taken-back",))
    (agreed,) = chosen("provider", only=("lane-release-sealed",))
    reached, _, *rest = taken_back.steps
    accepted = msgspec.structs.replace(taken_back, steps=(reached, agreed.steps[1], *rest))
    async with stage_at(tmp_path) as stage:
        results = await play_all(stage, (accepted,))
    assert [(one.outcome, one.detail) for one in results] == [("passed", "")]
