"""What a scenario that failed tells helps whoever has to find out why."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from interop.worlds import QUICK, peer_home, subject_of
from undersigned.daemon import Peer
from undersigned.interop import RunLimits, Silent, Stage, Subject, chosen, play_all
from undersigned.interop.attacks import refused
from undersigned.interop.failures import Failure, answered
from undersigned.interop.scenario import Hear, Raw, Reach, Refused, Say, Step
from undersigned.interop.scene import Scene
from undersigned.runtime import FetchAnswer, Job
from undersigned.testing import Actor
from undersigned.transport import closed_by_peer


def test_a_refused_request_is_told_with_what_it_says() -> None:
    """A code may stand in it, and the number of its bytes helps nobody."""
    assert (
        answered(FetchAnswer(403, {}, b'{"code": "scope_exceeded"}')) == '403 with 26 bytes: {"code": "scope_exceeded"}'
    )
    assert answered(FetchAnswer(200, {}, b"what was asked for")) == "200 with 18 bytes"
    assert len(answered(FetchAnswer(500, {}, b"\xff" * 10_000))) < 250


@pytest.mark.parametrize(
    ("reason", "code", "text"),
    [
        ("too_large", "too_large", "the peer closed the channel with 1008 too_large"),
        ("challenge_mismatch", "connection_closed", "the peer closed the channel with 1008 challenge_mismatch"),
        ("go <b>away</b>", "connection_closed", "the peer closed the channel with 1008"),
    ],
)
def test_a_reason_that_is_a_code_is_told(reason: str, code: str, text: str) -> None:
    """HIRE-CNX-07: who is told only some codes still sees which other one came."""
    ended = closed_by_peer(1008, reason)
    assert (ended.code, ended.message) == (code, text)


async def test_what_is_to_be_recorded_is_named_where_it_was_refused(tmp_path: Path) -> None:
    """Of a message that was made wrong, `it is right` would send its reader the wrong way."""
    (whole,) = chosen("provider", only=("happy-whole-hire",))
    steps = (Reach(state="delivered"), Say(move="Review", members={"statement": {}}), Hear(types=("Closing",)))
    home = await peer_home(tmp_path / "globex")
    async with Peer.open(home), Stage(subject_of(home), seed="a seed", limits=QUICK) as stage:
        (result,) = await play_all(stage, (msgspec.structs.replace(whole, steps=steps),))
    assert result.detail == "step 3, hear: it refused our Review, which is to be recorded: schema_violation"


@pytest.mark.parametrize(
    ("steps", "detail"),
    [
        (
            (Raw(begin="no JSON", repeat=".", times=193), Refused(codes=("too_large",))),
            f"step 2, refused: expected too_large, came bad_json; sent before: no JSON{'.' * 193}",
        ),
        (
            (Raw(begin="{}", frame="binary"), Refused(how=("Problem",), codes=("bad_request",))),
            "step 2, refused: expected a Problem, came a close (bad_request); sent before: a binary frame",
        ),
        (
            (Raw(begin="{}", frame="binary"), Hear(types=("Profile",))),
            "step 2, hear: the connection ended (bad_request) where Profile was expected; sent before: a binary frame",
        ),
    ],
    ids=["another code", "another way", "the end"],
)
async def test_what_was_sent_is_told_with_what_was_expected_and_what_came(
    tmp_path: Path, steps: tuple[Step, ...], detail: str
) -> None:
    """A code alone says not what it is about."""
    (scenario,) = chosen("provider", only=("text-not-json",))
    home = await peer_home(tmp_path / "globex")
    async with Peer.open(home), Stage(subject_of(home), seed="a seed", limits=QUICK) as stage:
        (result,) = await play_all(stage, (msgspec.structs.replace(scenario, steps=steps),))
    assert result.detail == detail


async def test_what_was_sent_is_told_though_another_connection_stands_by_now() -> None:
    """Over that one it was greeted, which need not be refused."""

    async def nothing_comes(*_: Any) -> None:
        raise TimeoutError

    async def of_now(over: str) -> Any:
        return SimpleNamespace(sent="Sync", frames=[], answer=print, wait=nothing_comes)

    of_attack = {"sent": set(), "sent_raw": b'{"type": "Offer"}', "sent_binary": False}
    scene = SimpleNamespace(stage=SimpleNamespace(limits=QUICK))
    play: Any = SimpleNamespace(over="first", heard_from=0, line=of_now, scene=scene, **of_attack)
    with pytest.raises(Failure, match=r"sent before: Offer$"):
        await refused(play, Refused(codes=("bad_json",)))


async def fails(job: Job) -> None:
    raise ValueError("no zip")


async def test_of_work_that_fails_it_is_told_what_it_was_given(tmp_path: Path) -> None:
    """Whose task needs something else is told that, and not that it breaks the protocol in seventy ways alone."""
    home = await peer_home(tmp_path / "globex")
    async with (
        Peer.open(home, handlers={"summary": fails}),
        Stage(subject_of(home), seed="a seed", limits=QUICK) as stage,
    ):
        (result,) = await play_all(stage, chosen("provider", only=("happy-whole-hire",)))
    assert result.detail.endswith("its Delivery is failed; it was given 'report', which --input says")


async def test_a_hirer_that_does_not_come_again_is_told_what_has_it_come() -> None:
    """Its first connection is a matter of its hook, each later one a rule of the protocol."""
    subject = Subject(url="ws://localhost:9/hire", did=Actor("somebody").did, local=True)
    async with Stage(subject, seed="x", limits=RunLimits(arrival=0.01)) as stage:
        scene = Scene(stage, "any", lambda _: None)
        who = stage.actor("any", "first")
        stage.await_connections(who)
        with pytest.raises(Silent, match=r"within 0.01 s\Z"):
            await scene.arrival(who, "first")
        scene.number()
        with pytest.raises(Silent, match="HIRE-CHN-12"):
            await scene.arrival(who, "first")
