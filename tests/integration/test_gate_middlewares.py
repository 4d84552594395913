"""The same gate in an aiohttp application, and in an ASGI application under a real server, on loopback."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec import structs

from gate_world import ORIGIN, RULES, World, at_work, lines, raw, serving, under_uvicorn
from integration.hires import until
from undersigned.bridges.gate_rules import read_rules
from undersigned.bridges.gates import ContractKeys
from undersigned.daemon import GRANTED, AsgiGate, RemoteDesk, RequestGate, aiohttp_gate
from undersigned.encoding import Digest, digest_bytes

APP = "/repos/app/files/readme"


class Seen:
    """What reached an application behind its gate."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.raises = False

    def answer(self, path: str, granted: Any, body: bytes) -> bytes:
        self.bodies.append(body)
        if self.raises:
            raise RuntimeError("the application failed")
        return json.dumps([path, granted.clause, granted.provider, len(body)]).encode()


@asynccontextmanager
async def under_aiohttp(gate: RequestGate, seen: Seen) -> AsyncIterator[str]:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=seen.answer(request.path, request[GRANTED], await request.read()))

    async with serving(handler, middlewares=[aiohttp_gate(gate)]) as url:
        yield url


@asynccontextmanager
async def under_asgi(gate: RequestGate, seen: Seen) -> AsyncIterator[str]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                kind = (await receive())["type"]
                await send({"type": f"{kind}.complete"})
                if kind == "lifespan.shutdown":
                    return
        message = await receive()
        assert not message["more_body"]
        assert type(message["body"]) is bytes
        answer = seen.answer(scope["path"], scope["hire"], message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": answer})

    async with under_uvicorn(AsgiGate(app, gate), "on") as url:
        yield url


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with at_work(tmp_path) as made:
        yield made


@pytest.fixture(params=[under_aiohttp, under_asgi], ids=["aiohttp", "asgi"])
async def guarded(world: World, request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, Seen]]:
    seen = Seen()
    async with world.desk() as desk:
        gate = RequestGate(desk, world.rules)
        async with request.param(gate, seen) as url:
            yield url, seen
            await gate.close()


async def test_what_the_contract_allows_reaches_the_application(world: World, guarded: tuple[str, Seen]) -> None:
    """HIRE-GTS-01, HIRE-GTS-04: with what was granted, and the body that was signed."""
    url, seen = guarded
    read = await world.ask(url, "GET", APP)
    assert "Signature" not in read.headers, "nobody wished it"
    wrote = await world.ask(url, "PUT", "/files/a", b"x" * 300_000)
    assert json.loads(read.body) == [APP, "read-app", world.provider.own.id, 0]
    assert json.loads(wrote.body) == ["/files/a", "write", world.provider.own.id, 300_000]
    assert seen.bodies == [b"", b"x" * 300_000]
    assert (await world.used())["write/bytes"] == "300000"
    await until(lambda: not world.hirer.desk._open)  # what became of both is known


async def test_what_is_refused_reaches_nothing(world: World, guarded: tuple[str, Seen]) -> None:
    """HIRE-GTS-02 to HIRE-GTS-08: the same answers as those of the proxy."""
    url, seen = guarded
    fields = await world.signed("PUT", "/files/a", b"abc")
    answers = [
        await world.send(url, "GET", APP),
        await world.ask(url, "GET", APP, ago=61),
        await world.send(url, "PUT", "/files/a", fields, b"abX"),
        await world.send(url, "PUT", "/files/a", fields, b"abc"),
        await world.ask(url, "PUT", "/files/a", bytes(1_000_001)),
        await world.ask(url, "GET", "/repos/other/files/x"),
        await world.ask(url, "GET", "/repos/app%2Fother/files/x"),
        await world.ask(url, "GET", "/repos/app/../other/files/x"),
        await world.ask(url, "DELETE", APP),
        await world.send(url, "GET", APP, await world.signed("GET", APP), X_HTTP_Method_Override="DELETE"),
    ]
    assert [answer.no for answer in answers] == [
        (401, "proof_missing", ""),
        (401, "proof_invalid", ""),
        (401, "digest_mismatch", ""),
        (401, "replayed", ""),
        (413, "too_large", ""),
        (403, "scope_exceeded", "read-app"),
        (403, "scope_exceeded", "rules"),
        (403, "scope_exceeded", "rules"),
        (403, "scope_exceeded", "rules"),
        (400, "bad_request", ""),
    ]
    kept = {(answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) for answer in answers}
    assert kept == {("no-store", "nosniff")}
    assert {answer.headers["Connection"] for answer in answers} == {"close"}, "a body that was not read may follow"
    assert all("Content-Length" in answer.headers for answer in answers)
    assert not any(name.lower() == "signature" for answer in answers for name in answer.headers), "nobody wished it"
    assert not seen.bodies


@pytest.mark.parametrize("before", [(), (("Content-Encoding", ""),)], ids=["said", "said behind another"])
@pytest.mark.parametrize("sent", [b"abc", gzip.compress(b"abc", mtime=0)], ids=["none", "real"])
async def test_a_body_that_is_inflated_is_not_the_one_that_was_signed(world: World, sent: bytes, before: Any) -> None:
    """HIRE-GTS-04: aiohttp inflates what the last of such fields says is gzip, and raises where it is none."""
    seen = Seen()
    with structlog.testing.capture_logs() as logs:
        async with world.desk() as desk, under_aiohttp(RequestGate(desk, world.rules), seen) as url:
            fields = (*await world.signed("PUT", "/files/a", b"abc"), *before)
            heard = await world.send(url, "PUT", "/files/a", fields, sent, Content_Encoding="gzip")
    assert heard.no == (400, "bad_request", "")
    assert not seen.bodies
    assert [line["status"] for line in logs if line["event"] == "request refused"] == [400]


async def test_a_body_that_is_too_long_is_refused_while_it_is_read(world: World, guarded: tuple[str, Seen]) -> None:
    """HIRE-GTS-04: where its length is not stated."""
    url, seen = guarded

    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(1_000_001)

    fields = await world.signed("PUT", "/files/a", bytes(1_000_001))
    async with world.session.put(url + "/files/a", data=pieces(), headers=fields) as answer:
        assert answer.status == 413
    assert not seen.bodies


async def test_a_body_that_is_stated_too_long_or_does_not_come_whole_is_refused(world: World) -> None:
    """HIRE-GTS-04: the first is not waited for; of the second its sender hears no more, but our operator does."""
    asked = asyncio.Event()

    class Asked(RemoteDesk):
        async def keys(self, contract: Digest, keyid: str | None = None) -> ContractKeys | None:
            asked.set()
            return await super().keys(contract, keyid)

    desk = Asked(world.hirer.gates_url, world.hirer.home.gate_token())
    # One of `TestServer` is cancelled where its client leaves, as others are not.
    runner = web.AppRunner(web.Application(middlewares=[aiohttp_gate(RequestGate(desk, world.rules, keys_seconds=0))]))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with structlog.testing.capture_logs() as logs:
        for stated, sent in ((1_000_001, b""), (6, b"abc")):
            fields = "".join(f"{name}: {text}\r\n" for name, text in await world.signed("PUT", "/files/a", b"abc"))
            reader, writer = await asyncio.open_connection(*runner.addresses[0])
            asked.clear()
            head = f"PUT /files/a HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {stated}\r\n\r\n"
            writer.write(head.encode() + sent)
            await asked.wait()
            if not sent:
                assert (await asyncio.wait_for(reader.readline(), 20)).split()[1] == b"413"
            writer.close()
        await until(lambda: [one["status"] for one in logs if one["event"] == "request refused"] == [413, 400])
    await runner.cleanup()
    await desk.close()


@pytest.mark.parametrize("under", [under_aiohttp, under_asgi])
async def test_a_body_that_does_not_arrive_is_given_up(world: World, under: Any) -> None:
    """HIRE-GTS-04: nothing is booked for it, and the application does not hear of it."""
    seen = Seen()
    async with world.desk() as desk, under(RequestGate(desk, world.rules, body_seconds=0.05), seen) as url:
        fields = lines(await world.signed("PUT", "/files/x", b"abcdef"))
        heard = await raw(url, f"PUT /files/x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n{fields}\r\nabc")
    assert heard.startswith(b"HTTP/1.1 408 ")
    assert json.loads(heard.partition(b"\r\n\r\n")[2])["code"] == "timeout"
    assert not seen.bodies
    assert (await world.used()).get("write/bytes", "0") == "0"


@pytest.mark.parametrize("under", [under_aiohttp, under_asgi])
async def test_where_no_body_is_taken_a_request_without_one_is(world: World, under: Any) -> None:
    """HIRE-GTS-04."""
    seen = Seen()
    async with world.desk() as desk:
        gate = RequestGate(desk, structs.replace(world.rules, max_body_bytes=0))
        async with under(gate, seen) as url:
            assert (await world.ask(url, "GET", APP)).status == 200
            assert (await world.ask(url, "PUT", "/files/a", b"x")).no == (413, "too_large", "")
        await gate.close()
    assert seen.bodies == [b""]


@pytest.mark.parametrize("under", [under_aiohttp, under_asgi])
async def test_a_query_is_part_of_what_is_signed_and_judged(world: World, under: Any) -> None:
    """HIRE-GTS-01, HIRE-GTS-06: where a rule takes one."""
    text = RULES.replace('path = "/orders"', f'path = "/orders"\nquery = true\ntarget = "{ORIGIN}/orders"')
    seen = Seen()
    async with world.desk() as desk:
        gate = RequestGate(desk, read_rules(tomllib.loads(text)))
        async with under(gate, seen) as url:
            fields = await world.signed("POST", "/orders?dry=1&x=%2f", b"{}")
            for path in ("/orders", "/orders?dry=2&x=%2f"):
                assert (await world.send(url, "POST", path, fields, b"{}")).no[:2] == (401, "proof_invalid")
            assert (await world.send(url, "POST", "/orders?dry=1&x=%2f", fields, b"{}")).status == 200
            assert (await world.ask(url, "GET", f"{APP}?dry=1")).no == (403, "scope_exceeded", "rules")
        await gate.close()
    assert seen.bodies == [b"{}"]


async def test_an_application_that_takes_less_than_the_rules_is_asked_first(world: World) -> None:
    """HIRE-GTS-04: whichever is less; and what is too long for it is no defect of ours."""
    seen = Seen()

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=seen.answer(request.path, request[GRANTED], await request.read()))

    async with world.desk() as desk:
        app = web.Application(client_max_size=1000, middlewares=[aiohttp_gate(RequestGate(desk, world.rules))])
        app.router.add_route("*", "/{tail:.*}", handler)
        async with TestServer(app) as server:
            heard = await world.ask(str(server.make_url("")).rstrip("/"), "PUT", "/files/a", bytes(2000))
    assert heard.no == (413, "too_large", "")
    assert not seen.bodies


async def test_who_is_no_party_does_not_learn_which_contracts_there_are(
    world: World, guarded: tuple[str, Seen]
) -> None:
    """HIRE-GTS-03, HIRE-GTS-08: the answer is the same, whatever is wrong with a request that nobody signed well."""
    url, _ = guarded
    fields = dict(await world.signed("GET", APP))
    unsigned = {"Hire-Contract": fields["Hire-Contract"]}
    other_kind = {**fields, "Signature-Input": fields["Signature-Input"].replace("ed25519", "ecdsa-p256-sha256")}
    for known, no in ((unsigned, (401, "proof_missing", "")), (other_kind, (401, "proof_invalid", ""))):
        unknown = {**known, "Hire-Contract": digest_bytes(b"no contract of anybody")}
        answers = [await world.send(url, "GET", APP, tuple(one.items())) for one in (known, unknown)]
        assert [answer.no for answer in answers] == [no, no]


async def test_a_contract_that_ended_opens_nothing(world: World, guarded: tuple[str, Seen]) -> None:
    """HIRE-GTS-11."""
    url, seen = guarded
    assert (await world.ask(url, "GET", APP)).status == 200
    await world.hirer.cancel(next(iter(world.hirer.conversations.values())))
    assert (await world.ask(url, "GET", APP)).no[:2] == (403, "contract_expired")
    assert len(seen.bodies) == 1


async def test_what_an_application_that_failed_was_granted_stays_spent(world: World, guarded: tuple[str, Seen]) -> None:
    """HIRE-GTS-10: nobody knows how far it came."""
    url, seen = guarded
    seen.raises = True
    assert (await world.ask(url, "GET", APP)).status == 500
    assert seen.bodies == [b""]
    assert (await world.used())["read-app/count"] == "1"


async def test_a_gate_in_the_hirers_own_process_asks_it_directly(world: World) -> None:
    seen = Seen()
    gate = RequestGate(world.hirer.desk, world.rules)
    async with under_aiohttp(gate, seen) as url:
        assert (await world.ask(url, "GET", APP)).status == 200
        assert (await world.ask(url, "GET", "/customers/payroll")).no == (403, "scope_exceeded", "no-payroll")
    await gate.close()


async def test_a_job_asks_its_own_gate_and_signs_for_the_other_one(world: World, guarded: tuple[str, Seen]) -> None:
    """Both sides book the action, each in its own ledger."""
    url, seen = guarded
    target, body = f"{world.rules.origin}/orders", b"{}"
    async with world.job.act("order:place", target, {"EUR": "0.5"}):
        heard = await world.send(url, "POST", "/orders", await world.job.sign("POST", target, body), body)
    assert heard.status == 200
    assert seen.bodies == [body]
    for peer in (world.hirer, world.provider):
        assert (await peer.ledger.usage(world.contract))["orders/EUR"] == "0.5"


@pytest.mark.parametrize("under", [under_aiohttp, under_asgi])
async def test_answers_of_an_application_are_signed(world: World, under: Any) -> None:
    """HIRE-GTS-14, HIRE-GTS-15: and its refusals."""
    async with world.desk() as desk, under(RequestGate(desk, world.rules, sign_answers=True), Seen()) as url:
        for method, path, body in (("GET", APP, None), ("POST", "/orders", b"{}"), ("GET", "/customers/payroll", None)):
            fields = await world.signed(method, path, body)
            heard = await world.send(url, method, path, fields, body)
            assert await world.judged(heard, method, path, fields) == "good", heard
            assert await world.judged(heard._replace(body=b"other"), method, path, fields) == "digest_mismatch"
            again = await world.send(url, method, path, fields, body)
            assert again.status == 401
            assert await world.judged(heard, method, path, await world.signed(method, path, body)) == "proof_invalid"
        unsigned = await world.send(url, "GET", APP)
        assert unsigned.no == (401, "proof_missing", "")
        assert "Signature" not in unsigned.headers


@pytest.mark.parametrize("under", [under_aiohttp, under_asgi])
async def test_an_answer_to_head_is_signed_as_the_empty_one_that_it_is(world: World, under: Any) -> None:
    """HIRE-GTS-14: whatever the application wrote as its body, for GET as well."""
    async with world.desk() as desk, under(RequestGate(desk, world.rules, sign_answers=True), Seen()) as url:
        fields = await world.signed("HEAD", APP)
        heard = await world.send(url, "HEAD", APP, fields)
    assert (heard.status, heard.body) == (200, b"")
    assert await world.judged(heard, "HEAD", APP, fields) == "good"


async def test_an_answer_that_is_not_sent_as_it_is_held_is_not_signed(world: World) -> None:
    """HIRE-GTS-14: one that is streamed, or compressed on its way. A signature would be over another one."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("packed"):
            packed = web.Response(body=b"x" * 3000)
            packed.enable_compression(web.ContentCoding.gzip)
            return packed
        if request.path.endswith("piecemeal"):
            return web.Response(body=io.BytesIO(b"x" * 3000))
        streamed = web.StreamResponse()
        await streamed.prepare(request)
        await streamed.write(b"x" * 3000)
        return streamed

    with structlog.testing.capture_logs() as logs:
        async with world.desk() as desk:
            gate = RequestGate(desk, world.rules, sign_answers=True)
            async with serving(handler, middlewares=[aiohttp_gate(gate)]) as url:
                for path in (f"/repos/app/files/{name}" for name in ("streamed", "packed", "piecemeal")):
                    fields = await world.signed("GET", path)
                    heard = await world.send(url, "GET", path, fields)
                    assert heard.status == 200
                    assert await world.judged(heard, "GET", path, fields) == "proof_missing"
            await gate.close()
    assert [line["event"] for line in logs].count("an answer is not signed: it is not whole") == 3


async def test_an_answer_is_signed_with_the_type_that_it_has(world: World) -> None:
    """HIRE-GTS-14: with its charset; one without a body has none."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="Bär") if request.path == APP else web.Response(status=202)

    async with world.desk() as desk:
        gate = RequestGate(desk, world.rules, sign_answers=True)
        async with serving(handler, middlewares=[aiohttp_gate(gate)]) as url:
            for path, kind, body in ((APP, "text/plain; charset=utf-8", "Bär"), (f"{APP}/2", None, "")):
                fields = await world.signed("GET", path)
                heard = await world.send(url, "GET", path, fields)
                assert (heard.headers.get("Content-Type"), heard.body.decode()) == (kind, body)
                assert await world.judged(heard, "GET", path, fields) == "good"
        await gate.close()


async def test_an_answer_that_is_raised_is_one(world: World) -> None:
    """HIRE-GTS-10, HIRE-GTS-14: as aiohttp itself answers where it has no route."""

    async def handler(request: web.Request) -> web.Response:
        raise web.HTTPConflict(text="busy", headers={"Retry-After": "1"})

    async with world.desk() as desk:
        gate = RequestGate(desk, world.rules, sign_answers=True)
        app = web.Application(middlewares=[aiohttp_gate(gate)])
        app.router.add_post("/orders", handler)
        async with TestServer(app) as server:
            url = str(server.make_url("")).rstrip("/")
            for method, path, status, body in (("POST", "/orders", 409, "busy"), ("GET", APP, 404, "404: Not Found")):
                fields = await world.signed(method, path)
                heard = await world.send(url, method, path, fields)
                assert (heard.status, heard.body.decode(), heard.headers.get("Retry-After")) == (
                    *(status, body),
                    "1" if status == 409 else None,
                )
                assert await world.judged(heard, method, path, fields) == "good"
        await gate.close()
    assert not world.hirer.desk._open, "what became of both is known"


async def test_what_an_application_says_in_the_fields_of_a_signature_is_not_sent(world: World) -> None:
    """HIRE-GTS-14: it would contradict it. And a body whose type it did not name has the one that is signed. Where none
    is made it is the application's own.
    """

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"done", headers={"Content-Digest": "x", "Signature": "x", "Signature-Input": "x"})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        said = [(b"content-digest", b"x"), (b"Signature", b"x"), (b"signature-input", b"x")]
        await send({"type": "http.response.start", "status": 200, "headers": said})
        await send({"type": "http.response.body", "body": b"done"})

    async with world.desk() as desk:
        gate = RequestGate(desk, world.rules, sign_answers=True)
        for under in (
            serving(handler, middlewares=[aiohttp_gate(gate)]),
            under_uvicorn(AsgiGate(app, gate), "off"),
        ):
            async with under as url:
                fields = await world.signed("GET", APP)
                heard = await world.send(url, "GET", APP, fields)
            assert heard.body == b"done"
            assert await world.judged(heard, "GET", APP, fields) == "good"
        await gate.close()
        gate = RequestGate(desk, world.rules)
        for under in (serving(handler, middlewares=[aiohttp_gate(gate)]), under_uvicorn(AsgiGate(app, gate), "off")):
            async with under as url:
                heard = await world.ask(url, "GET", APP)
            own = {name.lower(): value for name, value in heard.headers.items()}
            assert [own[name] for name in ("content-digest", "signature", "signature-input")] == ["x", "x", "x"]
        await gate.close()


@pytest.mark.parametrize("kind", ["aiohttp", "asgi"])
async def test_an_answer_that_cannot_be_signed_says_nothing_of_a_signature(world: World, kind: str) -> None:
    """HIRE-GTS-14: whoever asked sees that nobody answers for it."""

    async def handler(request: web.Request) -> web.Response:
        await world.hirer._for_gates.stop()
        return web.Response(body=b"done", headers={"Content-Digest": "x", "Signature": "x", "Signature-Input": "x"})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await world.hirer._for_gates.stop()
        said = [(b"content-digest", b"x"), (b"Signature", b"x"), (b"signature-input", b"x")]
        await send({"type": "http.response.start", "status": 200, "headers": said})
        await send({"type": "http.response.body", "body": b"done"})

    async with world.desk() as desk:
        gate = RequestGate(desk, world.rules, sign_answers=True)
        async with (
            serving(handler, middlewares=[aiohttp_gate(gate)])
            if kind == "aiohttp"
            else under_uvicorn(AsgiGate(app, gate), "off")
        ) as url:
            heard = await world.ask(url, "GET", APP)
        await gate.close()
    assert (heard.status, heard.body) == (200, b"done")
    assert not {name.lower() for name in heard.headers} & {"signature", "signature-input", "content-digest"}
