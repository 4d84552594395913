"""Offline and gone are two things: a clock by hand, and a network that is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from runtimes import KeptLedger, Node, World, folded, offices
from undersigned.encoding import seconds_between, shift
from undersigned.ledger import Commit, Committed
from undersigned.protocol import presence, rights
from undersigned.runtime import Conversation, Job
from undersigned.runtime.engagement.turn import Say

BEAT = 60


async def waits(job: Job) -> None:
    await job.read("report")
    await asyncio.Event().wait()


@contextmanager
def working(folder: Path) -> Iterator[tuple[World, Conversation]]:
    """A contract that is worked on, for as long as it lasts."""
    world = World(offices(folder), handler=waits)
    try:
        order = world.order()
        conversation = world.begin(replace(order, timing=replace(order.timing, heartbeat="PT1M")))
        world.until("working", conversation.id)
        yield world, conversation
    finally:
        world.close()


def noted(node: Node, name: str, id: str) -> list[str]:
    return [row.raw.decode() for row in node.kept.journal(id) if row.kind == "noted" and row.type == name]


def test_a_provider_that_is_offline_for_a_while_is_not_gone(tmp_path: Path) -> None:
    """HIRE-LIF-24: two heartbeats missed are told once each silence, and nothing follows; then it is there again."""
    with working(tmp_path) as (world, conversation):
        world.settle(10 * BEAT)
        assert conversation.engagement.state == "working"
        assert not noted(world.hirer, "missed-heartbeat", conversation.id)
        with world.silence():
            heard = conversation.engagement.contract.heard_at  # type: ignore[union-attr]
            assert heard is not None
            world.settle(2 * BEAT + BEAT // 2)
            now = world.clock.now()
            seen = presence(conversation.engagement, now)
            assert (seen.word, seen.since, seen.missed) == ("silent", heard, 2)
            assert presence(conversation.engagement, now, lost_at=shift(heard, 3)).word == "offline"
            assert seen.gone_after == shift(heard, 3 * BEAT)
        assert noted(world.hirer, "missed-heartbeat", conversation.id) == [heard]
        world.reconnect()
        world.settle(10 * BEAT)
        assert presence(conversation.engagement, world.clock.now()).word == "here"
        assert {folded(node, conversation.id).state for node in world.nodes} == {"working"}
        assert len(noted(world.hirer, "missed-heartbeat", conversation.id)) == 1


def test_a_provider_that_is_gone_is_let_go_by_the_runtime(tmp_path: Path) -> None:
    """HIRE-LIF-09, HIRE-LIF-24: after three heartbeats, once, by itself; the provider learns of it when it is back."""
    with working(tmp_path) as (world, conversation):
        with world.silence():
            heard = conversation.engagement.contract.heard_at  # type: ignore[union-attr]
            assert heard is not None
            world.settle(2 * BEAT)
            (next_right, *_) = rights(conversation.engagement, world.clock.now())
            assert (next_right.name, next_right.role, next_right.move) == ("heartbeat", "hirer", "Terminate")
            assert (next_right.after, next_right.passed) == (shift(heard, 3 * BEAT), False)
            world.settle(BEAT + 30)
            assert conversation.engagement.state == "closing"
            assert folded(world.provider, conversation.id).state == "working"
            assert not conversation.engagement.authority
        world.reconnect()
        world.until("closed", conversation.id)
        endings = folded(world.provider, conversation.id).contract.endings  # type: ignore[union-attr]
        assert [(one.basis, one.role, one.detail) for one in endings] == [("terminate", "hirer", "deadline")]
        assert noted(world.hirer, "missed-heartbeat", conversation.id) == [heard]


def test_a_provider_that_was_down_is_heard_as_soon_as_it_works_again(tmp_path: Path) -> None:
    """HIRE-LIF-24: its first sign of life came half a heartbeat after its start, and one that was back in time was let
    go all the same.
    """
    with working(tmp_path) as (world, conversation):
        world.settle(BEAT)
        heard = conversation.engagement.contract.heard_at  # type: ignore[union-attr]
        assert heard is not None
        with world.silence():
            world.run(world.provider.close(), 1)
            world.settle(seconds_between(world.clock.now(), shift(heard, 3 * BEAT - 15)))
        world.restart(world.provider)
        world.reconnect()
        world.settle(BEAT)
        assert conversation.engagement.state == "working"


def test_work_that_is_suspended_is_not_looked_at_all_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It owes no sign of life. Once one would have been due, it was looked for twenty times a second."""
    with working(tmp_path) as (world, conversation):
        world.run(world.hirer.changes.suspend(conversation, seconds=3600), 1)
        world.settle(BEAT)
        timers, set_timer = 0, world.loop.call_at

        def counted(*given: Any, **named: Any) -> asyncio.TimerHandle:
            nonlocal timers
            timers += 1
            return set_timer(*given, **named)

        monkeypatch.setattr(world.loop, "call_at", counted)
        world.settle(10 * BEAT)
        assert timers < 10 * BEAT


def test_a_restart_in_the_silence_notes_nothing_twice_and_still_ends_it(tmp_path: Path) -> None:
    """The hirer was killed meanwhile: what it noted stands once, its duty is still there, and counts from its start."""
    with working(tmp_path) as (world, conversation), world.silence():
        world.settle(BEAT + BEAT // 2)
        assert len(noted(world.hirer, "missed-heartbeat", conversation.id)) == 1
        world.restart(world.hirer)
        world.settle(BEAT)
        assert len(noted(world.hirer, "missed-heartbeat", conversation.id)) == 1
        assert world.hirer.the(conversation.id).engagement.state == "working"
        world.settle(BEAT)
        assert world.hirer.the(conversation.id).engagement.state == "working"
        world.settle(BEAT + 5)
        assert world.hirer.the(conversation.id).engagement.state == "closing"


def test_the_time_in_which_the_hirer_was_down_is_not_the_silence_of_the_provider(tmp_path: Path) -> None:
    """HIRE-LIF-24: a hirer that was dead for ten heartbeats ends nothing when it starts, and hears its provider."""
    with working(tmp_path) as (world, conversation):
        world.settle(BEAT)
        with world.silence():
            world.run(world.hirer.close(), 1)
            world.settle(10 * BEAT)
            hirer = world.restart(world.hirer)
            world.settle(BEAT)
            assert hirer.the(conversation.id).engagement.state == "working"
        world.reconnect()
        world.settle(10 * BEAT)
        engagement = hirer.the(conversation.id).engagement
        assert engagement.state == "working"
        assert presence(engagement, world.clock.now()).word == "here"
        assert len(noted(hirer, "listening", conversation.id)) == 1
        world.restart(hirer)  # at once: nothing was missed
        world.settle(BEAT)
        assert len(noted(world.hirer, "listening", conversation.id)) == 1


def test_a_hirer_that_stood_still_gives_the_provider_the_time_to_be_heard(tmp_path: Path) -> None:
    """HIRE-LIF-24: its machine slept, so that all it knows is old when it looks at the clock."""
    with working(tmp_path) as (world, conversation):
        world.settle(BEAT)
        with world.silence():
            world.clock.ahead += 10 * BEAT
            world.settle(2 * BEAT)
            assert conversation.engagement.state == "working"
        world.reconnect()
        world.settle(BEAT)
        assert presence(conversation.engagement, world.clock.now()).word == "here"


def test_a_sign_of_life_is_known_to_who_reads_the_ledger_and_not_each_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-LIF-24: work that says something each second is known in the ledger a quarter of a heartbeat later."""
    commits: list[Commit] = []
    commit = KeptLedger.commit

    async def counted(ledger: KeptLedger, one: Commit) -> Committed:
        commits.append(one)
        return await commit(ledger, one)

    with working(tmp_path) as (world, conversation):
        provider = world.provider.the(conversation.id)
        monkeypatch.setattr(KeptLedger, "commit", counted)
        for _ in range(4 * BEAT):
            number = provider.engagement.contract.progress + 1  # type: ignore[union-attr]
            body = {"contract": provider.engagement.contract.digest, "number": number}  # type: ignore[union-attr]
            world.run(provider.ask(lambda _, body=body: Say("Progress", body)))
            world.settle(1)
            stored = folded(world.hirer, conversation.id).contract.heard_at  # type: ignore[union-attr]
            heard = conversation.engagement.contract.heard_at  # type: ignore[union-attr]
            assert stored is not None
            assert heard is not None
            assert seconds_between(stored, heard) < BEAT // 4
        by_hirer = [one for one in commits if one.summary.role == "hirer"]
        assert 16 <= len(by_hirer) <= 20


@pytest.mark.parametrize("at", [0, 1])
def test_the_instant_itself_is_in_time(tmp_path: Path, at: int) -> None:
    """HIRE-LIF-24: at the end of a heartbeat none is missed, a second later one is; after three it is gone."""
    with working(tmp_path) as (world, conversation):
        engagement = conversation.engagement
        heard = engagement.contract.heard_at  # type: ignore[union-attr]
        assert heard is not None
        assert presence(engagement, shift(heard, BEAT + at)).missed == at
        word = presence(engagement, shift(heard, 3 * BEAT + at), lost_at=heard).word
        assert word == ("gone" if at else "offline")
        other = world.provider.the(conversation.id).engagement
        assert presence(other, shift(heard, 30 * BEAT), lost_at=heard).word == "offline"  # a hirer is never gone
