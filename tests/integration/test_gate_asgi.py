"""The gate in an ASGI application: what the application hears, and what it may say."""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gate_world import ORIGIN, RULES, Heard, World, at_work, under_uvicorn
from undersigned.bridges.gate_rules import read_rules
from undersigned.daemon import AsgiGate, RequestGate

APP = "/repos/app/files/readme"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with at_work(tmp_path) as made:
        yield made


async def test_a_body_that_no_field_announces_reaches_nothing(world: World) -> None:
    """HIRE-GTS-04: HTTP/2 needs no length, so whoever is between could add a body to a signed request."""
    fields = await world.signed("PUT", "/files/a")
    reached, sent = list[bytes](), list[dict[str, Any]]()
    scope = {
        **{"type": "http", "http_version": "2", "method": "PUT", "raw_path": b"/files/a", "query_string": b""},
        "headers": [(name.lower().encode(), value.encode()) for name, value in fields],
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append((await receive())["body"])

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"added", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async with world.desk() as desk:
        gate = RequestGate(desk, world.rules)
        await AsgiGate(app, gate)(scope, receive, send)
        await gate.close()
    assert (sent[0]["status"], json.loads(sent[1]["body"])["code"]) == (401, "proof_invalid")
    names = {name for name, _ in sent[0]["headers"]}
    assert names == {b"content-type", b"content-length", b"cache-control", b"x-content-type-options"}, (
        "HTTP/2 has no such field as Connection, and names in lower case"
    )
    assert not reached


async def test_an_asgi_application_hears_a_body_once_and_then_that_who_asked_has_left(world: World) -> None:
    """One that answers for long waits for that, and would take the same request for another."""
    fields = [(name.lower().encode(), value.encode()) for name, value in await world.signed("GET", APP)]
    scope = {"type": "http", "method": "GET", "path": APP, "raw_path": APP.encode(), "headers": fields}
    comes, heard = [{"type": "http.request"}, {"type": "http.disconnect"}], list[str]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.extend([(await receive())["type"], (await receive())["type"]])

    async def receive() -> dict[str, Any]:
        return comes.pop(0)

    async def send(message: Any) -> None:
        raise AssertionError(message)

    async with world.desk() as desk:
        gate = RequestGate(desk, world.rules)
        await AsgiGate(app, gate)(scope, receive, send)
        await gate.close()
    assert heard == ["http.request", "http.disconnect"]


async def test_what_is_no_whole_request_reaches_no_asgi_application(world: World) -> None:
    """HIRE-GTS-02, HIRE-GTS-04: a WebSocket, of which only the handshake is signed; a path of which it is not known how
    it was sent; a sender who left before its body was there, for whom nothing is booked.
    """
    fields = [(name.lower().encode(), value.encode()) for name, value in await world.signed("GET", APP)]
    scope = {"type": "http", "method": "GET", "path": APP, "raw_path": APP.encode(), "headers": fields}
    reached: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["type"])

    async def left() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async with world.desk() as desk:
        gate, answers = RequestGate(desk, world.rules), list[Any]()

        async def send(message: Any) -> None:
            answers.append(message)

        for what in ({"type": "websocket"}, {"raw_path": None}, {}, {"type": "of.tomorrow"}):
            await AsgiGate(app, gate)({**scope, **what}, left, send)
        await gate.close()
    assert answers[0] == {"type": "websocket.close", "code": 1008}
    assert [answer.get("status") for answer in answers[1:]] == [400, None, 400, None], "of what is new, nothing is said"
    assert reached == []
    assert "read-app/count" not in await world.used()


async def signed_answer(world: World, app: Any) -> Heard:
    """What the application answers behind a gate that signs it, once that was judged as who asked does."""
    async with world.desk() as desk:
        gate = RequestGate(desk, world.rules, sign_answers=True)
        fields = await world.signed("GET", APP)
        async with under_uvicorn(AsgiGate(app, gate), "off") as url:
            heard = await world.send(url, "GET", APP, fields)
        await gate.close()
    assert await world.judged(heard, "GET", APP, fields) == "good"
    return heard


async def test_an_application_that_names_no_fields_is_answered_for(world: World) -> None:
    """HIRE-GTS-14: to ASGI they are optional."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"done"})

    heard = await signed_answer(world, app)
    assert (heard.status, heard.body) == (200, b"done")


async def test_an_answer_in_pieces_is_signed_whole_with_its_fields(world: World) -> None:
    """HIRE-GTS-14: whatever else an ASGI application says in between."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        fields = [(b"x-kept", b"yes"), (b"Content-Type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.debug", "info": {}})
        await send({"type": "http.response.body", "body": b"do", "more_body": True})
        await send({"type": "http.response.body", "body": b"ne", "more_body": True})
        await send({"type": "http.response.body"})

    heard = await signed_answer(world, app)
    assert (heard.status, heard.body) == (200, b"done")
    assert (heard.headers["x-kept"], heard.headers["Content-Type"]) == ("yes", "text/plain")


async def test_an_answer_that_is_not_signed_is_sent_as_it_comes(world: World) -> None:
    """One that goes on for long is read from its first piece on, and the ways to answer are the server's."""
    read = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": json.dumps(scope["extensions"]).encode(), "more_body": True})
        await asyncio.wait_for(read.wait(), 5)
        await send({"type": "http.response.body"})

    async with world.desk() as desk:
        gated = AsgiGate(app, RequestGate(desk, world.rules))

        async def serving(scope: Any, receive: Any, send: Any) -> None:
            await gated({**scope, "extensions": {"http.response.trailers": {}}}, receive, send)

        fields = await world.signed("GET", APP)
        async with under_uvicorn(serving, "off") as url, world.session.get(url + APP, headers=fields) as answer:
            assert await answer.content.readany() == b'{"http.response.trailers": {}}'
            read.set()
            assert await answer.content.read() == b""


async def test_an_application_hears_when_its_server_begins_and_ends(world: World) -> None:
    """As ASGI has it, by messages that are no requests: it opens there what it needs for its answers."""
    heard: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for phase in ("startup", "shutdown"):
            heard.append((await receive())["type"])
            await send({"type": f"lifespan.{phase}.complete"})

    async with world.desk() as desk, under_uvicorn(AsgiGate(app, RequestGate(desk, world.rules)), "on"):
        assert heard == ["lifespan.startup"]
    assert heard == ["lifespan.startup", "lifespan.shutdown"]


async def test_an_application_is_not_offered_ways_to_answer_that_are_not_signed(world: World) -> None:
    """HIRE-GTS-14: a server that sends files by name and trailers; the application takes what it is offered."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        offered = scope["extensions"]
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        if "http.response.pathsend" in offered:
            await send({"type": "http.response.pathsend", "path": "/etc/hostname"})
        else:
            await send({"type": "http.response.body", "body": json.dumps(sorted(offered)).encode()})

    async with world.desk() as desk:
        gate = RequestGate(desk, world.rules, sign_answers=True)
        gated = AsgiGate(app, gate)

        async def serving(scope: Any, receive: Any, send: Any) -> None:
            async def sends(message: Any) -> None:
                sent.append(message)
                await send(message)

            names = ("http.response.pathsend", "http.response.trailers", "tls")
            await gated({**scope, "extensions": {name: {} for name in names}}, receive, sends)

        fields = await world.signed("GET", APP)
        async with under_uvicorn(serving, "off") as url:
            heard = await world.send(url, "GET", APP, fields)
        await gate.close()
    assert (heard.status, json.loads(heard.body)) == (200, ["tls"])
    assert sent[0]["trailers"] is False
    assert {name.lower() for name, _ in sent[0]["headers"]} == {name for name, _ in sent[0]["headers"]}
    assert type(sent[1]["body"]) is bytes
    assert await world.judged(heard, "GET", APP, fields) == "good"


async def test_a_query_that_a_server_leaves_in_the_path_is_not_taken_for_two(world: World) -> None:
    """HIRE-GTS-01: some have it in `raw_path` besides."""
    reached: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["raw_path"])
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    text = RULES.replace('path = "/orders"', f'path = "/orders"\nquery = true\ntarget = "{ORIGIN}/orders"')
    async with world.desk() as desk:
        gated = AsgiGate(app, RequestGate(desk, read_rules(tomllib.loads(text))))

        async def serving(scope: Any, receive: Any, send: Any) -> None:
            await gated({**scope, "raw_path": scope["raw_path"] + b"?" + scope["query_string"]}, receive, send)

        async with under_uvicorn(serving, "off") as url:
            heard = await world.ask(url, "POST", "/orders?b=c", b"{}")
    assert (heard.status, reached) == (200, [b"/orders?b=c"])
