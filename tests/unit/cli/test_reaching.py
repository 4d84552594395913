"""What a hire says while the other side is silent."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backends.test_transport import serving_tls
from undersigned.cli import reaching
from undersigned.cli.output import Out
from undersigned.errors import UndersignedError
from undersigned.runtime import Event, Gatherer, GathererLimits, unread
from undersigned.runtime.agent.links import given_up
from undersigned.transport import ChannelLimits, closed_by_peer, connect, free_ports, why_unreached

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


async def in_silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def with_no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"220 mail.example ESMTP\r\n")
    writer.close()


async def with_no_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    writer.close()


@pytest.mark.parametrize(
    ("answers", "tls", "peer", "document"),
    [
        (None, False, "nothing listens at that port", "nothing listens at that port"),
        (in_silence, False, "does a firewall let us through?", "does a firewall let us through?"),
        (with_no_http, False, "does not speak HTTP", "does not speak HTTP"),
        (with_no_page, False, "has no such peer", "has no such DID document"),
        (in_silence, True, "ca_file in the settings", None),
    ],
)
async def test_who_is_not_reached_is_told_what_to_do_about_it(
    answers: Callable[..., Awaitable[None]] | None, tls: bool, peer: str, document: str | None
) -> None:
    """Each was asked whether it is running, and listening there, which one who mistyped a name cannot answer."""
    limits = ChannelLimits(local=True, open_seconds=0.5)
    (port,) = free_ports(1)
    tries: list[tuple[Awaitable[object], str]] = [
        (connect(f"ws{'s' * tls}://localhost:{port}/hire", limits=limits), peer)
    ]
    async with AsyncExitStack() as stack:
        if answers is not None:
            ssl = serving_tls() if tls else None
            await stack.enter_async_context(await asyncio.start_server(answers, "127.0.0.1", port, ssl=ssl))
        if document is not None:
            gatherer = Gatherer(local=True, limits=GathererLimits(seconds=0.5))
            await stack.enter_async_context(gatherer)
            tries.append((gatherer.document(f"did:web:localhost%3A{port}"), document))
        for attempt, expected in tries:
            with pytest.raises(UndersignedError) as caught:
                await attempt
            error = given_up(caught.value, 1)
            reaching.hint_at(error)
            assert expected in error.message


async def test_a_name_that_nobody_knows_is_told_as_that() -> None:
    """Where no name server answers either, as on a machine without a network, it says that."""
    with pytest.raises(UndersignedError) as caught:
        await Gatherer().document("did:web:no-such-host.invalid")
    reaching.hint_at(caught.value)
    assert "spelled right?" in caught.value.message or "No name server answers" in caught.value.message
    assert why_unreached(socket.gaierror(socket.EAI_NONAME, "")) == "no_name"
    assert why_unreached(socket.gaierror(socket.EAI_AGAIN, "")) == "no_name_server"
