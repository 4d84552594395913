"""What a hire says while the other side is silent."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from undersigned.cli import reaching
from undersigned.cli.output import Out
from undersigned.runtime import Event, unread
from undersigned.transport import closed_by_peer

AT = "2026-11-24T10:00:00Z"
DUE = {
    "engagement": "urn:x",
    "state": "closing",
    "owes": ["provider"],
    "moves": ["Closing"],
    "by": "2026-11-24T10:30:00Z",
    "why": "the closing of the books",
    "untaken": None,
    "unreached": None,
}


async def told_after(*statuses: list[dict[str, Any]], as_json: bool) -> None:
    """Has each of these be what the peer's engagements are, for some silences each."""
    status: list[dict[str, Any]] = []
    peer = cast("Any", SimpleNamespace(status=lambda: status))
    hire = cast("Any", SimpleNamespace(engagement="urn:x"))
    telling = asyncio.create_task(reaching.tell_whose_turn(Out(as_json), peer, hire, asyncio.Event()))
    for status[:] in statuses:
        for _ in range(50):
            await asyncio.sleep(0)
    telling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await telling


def test_who_is_waited_for_is_told_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A provider that never closes its books may be waited for for hours."""
    monkeypatch.setattr(reaching, "QUIET_SECONDS", 0.0)
    other = {**DUE, "engagement": "urn:y"}
    asked = {**DUE, "state": "inquired", "moves": ["Profile"]}
    over = {**DUE, "state": "closed", "owes": []}
    work = {**DUE, "state": "working", "moves": ["Delivery"], "by": None, "why": "the work"}
    gone = {**DUE, "connected": False}
    asyncio.run(told_after([], [other], [asked], [other, work], [DUE], [gone], [DUE], [over], as_json=False))
    assert capsys.readouterr().out.splitlines() == [
        "still waiting; owed: Delivery, by the provider (the work)",
        "still waiting; owed: Closing, by the provider by 2026-11-24T10:30:00Z (the closing of the books)",
    ]
    asyncio.run(told_after([DUE], as_json=True))
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [{"kind": "waits", **DUE}]


def test_why_the_other_side_is_not_reached_is_told_once_for_each_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under a contract one whose DID document is gone is away until a deadline: whoever waits can ask its operator."""
    monkeypatch.setattr(reaching, "QUIET_SECONDS", 0.0)
    gone = {**DUE, "unreached": "did_unresolvable: https://globex.example/.well-known/did.json answered 404"}
    moved = {**DUE, "unreached": "did_unresolvable: https://globex.example/.well-known/did.json answered 410"}
    down = {**DUE, "unreached": "unreachable: nobody listens"}
    asyncio.run(told_after([DUE], [gone], [DUE], [moved], [down], [gone], as_json=False))
    owed = "still waiting; owed: Closing, by the provider by 2026-11-24T10:30:00Z (the closing of the books)"
    assert (
        capsys.readouterr().out.split()
        == " ".join(
            (
                owed,
                f"{owed}; the other side is not reached: {gone['unreached']}",
                f"{owed}; the other side is not reached: {down['unreached']}",
            )
        ).split()
    )


def test_our_own_store_is_not_the_silence_of_the_other_side(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What came is not read before it is stored: nobody else can do anything about that. It is so from the start on."""
    monkeypatch.setattr(reaching, "QUIET_SECONDS", 0.0)
    asked = {**DUE, "state": "inquired", "moves": ["Profile"], "untaken": "store_full: no room"}
    asyncio.run(told_after([asked], [{**DUE, "untaken": "store_full: no room"}], [DUE], as_json=False))
    assert capsys.readouterr().out.splitlines() == [
        "still waiting; our own store does not take what comes next: store_full: no room",
        "still waiting; owed: Closing, by the provider by 2026-11-24T10:30:00Z (the closing of the books)",
    ]


def test_who_is_heard_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(reaching, "QUIET_SECONDS", 3600.0)
    asyncio.run(told_after([DUE], as_json=False))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("code", ["did_unresolvable", "overloaded"])
def test_whose_answer_cannot_be_taken_is_not_said_to_be_away(code: str) -> None:
    """Whoever answered is running, and it is not the one that takes no more."""
    event = Event(engagement="urn:x", kind="unread", type="Profile", at=AT, state="inquired", detail="so", code=code)
    error = unread(event)
    assert error is not None
    reaching.hint_at(error)
    assert error.message == "what the peer answers cannot be taken: so"


def test_who_could_not_prove_itself_is_told_what_that_takes() -> None:
    """A hirer whose DID document is not in reach of the provider heard `proof_invalid` alone."""
    error = closed_by_peer(1008, "proof_invalid")
    reaching.hint_at(error)
    assert "our DID document has to be in its reach" in error.message
