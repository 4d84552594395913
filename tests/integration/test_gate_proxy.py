"""A proxy in front of a real service on loopback: what the contract allows gets through, and nothing else does."""

from __future__ import annotations

import asyncio
import gc
import gzip
import hashlib
import json
import tomllib
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import ClientPayloadError, web
from msgspec import structs

from gate_world import (
    ORIGIN,
    RULES,
    Heard,
    Service,
    World,
    about_to_answer,
    at_work,
    lines,
    proxied,
    raw,
    served,
    taking_nobody,
)
from integration.hires import until
from integration.interrupted import Interrupted
from support import refuses
from undersigned.bridges.gate_rules import read_rules
from undersigned.bridges.http_messages import Headers
from undersigned.bridges.http_signatures import content_digest
from undersigned.daemon import Ask, GateProxy, RemoteDesk, RequestGate
from undersigned.daemon.gate_desk import AnswerToSign
from undersigned.encoding import Digest, digest_bytes
from undersigned.errors import ConfigurationError, ProofError, ScopeError, TransportError
from undersigned.runtime import Permit
from undersigned.runtime.engagement.turn import Say
from undersigned.transport import Identity

APP = "/repos/app/files/readme"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with at_work(tmp_path) as made:
        yield made


async def test_what_the_contract_allows_reaches_the_service(world: World) -> None:
    """HIRE-GTS-01, HIRE-GTS-09: with who asked and under what, without what only concerns a connection."""
    service = Service()
    async with proxied(world, service) as (url, told):
        fields = await world.signed("GET", APP)
        heard = await world.send(
            url, "GET", APP, fields, Cookie="a=b", Authorization="Bearer x", X_Trace="t", Accept="x/y"
        )
    assert (heard.status, heard.body) == (200, b"done: " + APP.encode())
    assert heard.headers["X-Kept"] == "yes"
    assert "X-Gone" not in heard.headers
    ((method, path, headers, body),) = service.asked
    assert (method, path, body) == ("GET", APP, b"")
    assert headers["Hire-Agent"] == world.provider.own.id
    assert headers["Hire-Contract"] == world.contract
    assert headers["Idempotency-Key"] == f'"{told[0]["permit"]}"'
    assert (headers["Accept"], headers["X-Trace"]) == ("x/y", "t")
    assert not {"Cookie", "Authorization", "Signature", "Signature-Input"} & set(headers)
    assert not {"Content-Length", "Transfer-Encoding"} & set(headers), "it has no body"
    assert told == [
        {
            "method": "GET",
            "path": APP,
            "status": 200,
            "permit": told[0]["permit"],
            "contract": world.contract,
            "provider": world.provider.own.id,
            "action": "repo:read",
            "target": "https://git.acme.example/app",
            "clause": "read-app",
            "amounts": {},
        }
    ]
    assert (await world.used())["read-app/count"] == "1"
    assert not world.hirer.desk._open, "what became of it is known"


async def test_what_describes_a_request_and_the_answer_that_is_wished_goes_on(world: World) -> None:
    """HIRE-GTS-09: by a list; from the answer what is between the proxy and the service is removed."""
    service = Service()
    names = [
        *("accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "content-encoding"),
        *("content-language", "content-type", "if-match", "if-modified-since", "if-none-match", "if-range"),
        *("if-unmodified-since", "prefer", "range", "user-agent", "x-trace"),
    ]
    hops = ["keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"]

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        service.asked.append((request.method, request.raw_path, dict(request.headers), b""))
        fields = {**dict.fromkeys((*hops, "vary", "x-gone", "x-too"), "x"), "Connection": "X-Gone , x-too"}
        return web.Response(body=b"done", headers=fields)

    service.answer = answer
    async with proxied(world, service) as (url, _):
        fields = [*await world.signed("PUT", "/files/x", b"abc"), *((name, "x") for name in (*names, "cookie"))]
        heard = await world.send(url, "PUT", "/files/x", fields, b"abc")
    ((_, _, came, _),) = service.asked
    added = {"host", "content-length", "hire-agent", "hire-contract", "idempotency-key", "connection"}
    assert {name.lower() for name in came} == {*names, *added}
    assert {came[name] for name in came if name.lower() in names} == {"x"}
    assert not {name.lower() for name in heard.headers} & {*hops, "x-gone", "x-too"}
    assert heard.headers["Vary"] == "x"


async def test_nothing_is_wished_that_the_agent_did_not_wish(world: World) -> None:
    """HIRE-GTS-09: a client of HTTP says of itself what it takes, and which program it is; the proxy does not."""
    service = Service()
    async with proxied(world, service) as (url, _):
        fields = lines(await world.signed("PUT", "/files/x", b"abc"))
        head = f"PUT /files/x HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: 3\r\nConnection: close\r\n\r\n"
        assert (await raw(url, f"{head}abc")).startswith(b"HTTP/1.1 200 ")
    ((_, _, came, _),) = service.asked
    added = {"host", "content-length", "hire-agent", "hire-contract", "idempotency-key", "connection"}
    assert {name.lower() for name in came} == added


async def test_the_session_of_one_request_is_not_that_of_the_next(world: World) -> None:
    """HIRE-GTS-09: what a service sets is for the one who asked. Of one without a name aiohttp would keep nothing."""
    service = Service()
    async with world.desk() as desk, served(service) as upstream:
        named = upstream.replace("127.0.0.1", "localhost")
        async with GateProxy(RequestGate(desk, world.rules), named) as proxy:
            answers = [await world.ask(proxy.url, "GET", APP) for _ in range(2)]
    assert [answer.headers["Set-Cookie"] for answer in answers] == ["session=1", "session=1"]
    assert ["Cookie" in asked[2] for asked in service.asked] == [False, False]


async def test_where_the_peer_and_the_service_are_may_end_with_a_slash(world: World) -> None:
    service = Service()
    async with (
        RemoteDesk(f"{world.hirer.gates_url}/", world.hirer.home.gate_token()) as desk,
        served(service) as upstream,
        GateProxy(RequestGate(desk, world.rules), f"{upstream}/") as proxy,
    ):
        assert (await world.ask(proxy.url, "GET", APP)).status == 200
    assert [asked[1] for asked in service.asked] == [APP]


async def test_a_body_goes_on_as_it_was_signed(world: World) -> None:
    """HIRE-GTS-04: also one that is too long to be held in memory; its length is what the rule counts."""
    service = Service()
    body = bytes(range(256)) * 2000
    async with proxied(world, service) as (url, _):
        heard = await world.ask(url, "PUT", "/files/big", body)
        chunked = await world.signed("PUT", "/files/small", b"abc")

        async def pieces() -> AsyncIterator[bytes]:
            yield b"a"
            yield b"bc"

        async with world.session.put(url + "/files/small", data=pieces(), headers=chunked) as answer:
            assert answer.status == 200
    assert heard.status == 200
    assert [asked[3] for asked in service.asked] == [body, b"abc"]
    assert [asked[2]["Content-Length"] for asked in service.asked] == ["512000", "3"]
    assert (await world.used())["write/bytes"] == "512003"


async def test_a_query_goes_on_as_it_was_judged(world: World) -> None:
    """HIRE-GTS-06: where a rule takes one; it is part of what was signed."""
    service = Service()
    text = RULES.replace('path = "/orders"', f'path = "/orders"\nquery = true\ntarget = "{ORIGIN}/orders"')
    async with proxied(world, service, rules=read_rules(tomllib.loads(text))) as (url, _):
        fields = await world.signed("POST", "/orders?dry=1&x=%2f", b"{}")
        assert (await world.send(url, "POST", "/orders", fields, b"{}")).status == 401
        assert (await world.send(url, "POST", "/orders?dry=1&x=%2f", fields, b"{}")).status == 200
        assert (await world.ask(url, "GET", f"{APP}?dry=1")).status == 403
        assert (await world.ask(url, "GET", "/customers/a%40%3b")).status == 200
    assert [asked[1] for asked in service.asked] == ["/orders?dry=1&x=%2F", "/customers/a%40%3B"], "in its one spelling"


async def test_sc_56_a_refusal_names_the_clause_and_what_would_pass(world: World) -> None:
    """HIRE-GTS-05, HIRE-GTS-08, HIRE-GAT-02: to who signed; the hirer's journal has each one."""
    service = Service()
    async with proxied(world, service) as (url, told):
        answers = [
            await world.ask(url, "GET", "/repos/other/files/x"),
            await world.ask(url, "GET", "/customers/payroll"),
            await world.ask(url, "POST", "/orders", b"{}"),
            await world.ask(url, "POST", "/orders", b"{}"),
            await world.ask(url, "POST", "/orders", b"{}"),
        ]
    assert answers[0].no == (403, "scope_exceeded", "read-app")
    assert answers[0].problem["wouldPass"] == "target https://git.acme.example/app"
    assert answers[1].no == (403, "scope_exceeded", "no-payroll")
    assert "wouldPass" not in answers[1].problem, "nothing would"
    assert [answer.status for answer in answers[2:4]] == [200, 200]
    assert answers[4].no == (403, "scope_exceeded", "orders")
    assert [asked[1] for asked in service.asked] == ["/orders", "/orders"]
    assert [record["clause"] for record in await world.records()] == ["read-app", "no-payroll", "orders"]
    assert [(line["status"], line.get("clause")) for line in told][4] == (403, "orders")
    assert (told[0]["code"], told[0]["wouldPass"]) == ("scope_exceeded", "target https://git.acme.example/app")
    assert "wouldPass" not in told[1]


async def test_a_limit_holds_for_all_servers_together(world: World) -> None:
    """HIRE-GTS-10: two proxies and thirty requests at once, for what ten may have."""
    first, second = Service(), Service()
    async with proxied(world, first) as (one, _), proxied(world, second) as (two, _):
        answers = await asyncio.gather(
            *(world.ask(url, "GET", f"/repos/app/files/{n}") for n in range(15) for url in (one, two))
        )
    assert sorted(answer.status for answer in answers) == [200] * 10 + [403] * 20
    assert len(first.asked) + len(second.asked) == 10


@pytest.mark.parametrize(
    "path",
    [
        "/repos/app/../other/files/x",
        "/repos/app/files/../../../customers/payroll",
        "/repos/%2e%2e/files/x",
        "/repos/app%2Fother/files/x",
        "/repos/app%252Fother/files/x",
        "/repos//files/x",
        "/repos/app/files//x",
        "/repos/app/files/x%00",
        "/repos/app/files/x/..;/y",
        "/repos/..;v=1/files/x",
        "/repos/app/files/;/x",
        "/repos/app/files/x%5c..",
        "/repos/app/files/x?a=b",
        "/REPOS/app/files/x",
        "/repos/*/files/x",
        "/nothing",
    ],
)
async def test_sc_57_a_path_with_two_readings_or_no_rule_gets_nowhere(world: World, path: str) -> None:
    """HIRE-GTS-06: though it is signed as it stands."""
    service = Service()
    async with proxied(world, service) as (url, _):
        heard = await world.ask(url, "GET", path)
        again = await world.ask(url, "GET", path)
    assert heard.no == again.no == (403, "scope_exceeded", "rules")
    assert not service.asked
    ((action, clause),) = [(record["action"], record["clause"]) for record in await world.records()]
    assert (action, clause) == ("GET", "rules"), "once a minute, HIRE-GTS-12"


@pytest.mark.parametrize("path", ["//evil.example/repos/app/files/x", "http://evil.example/repos/app/files/x"])
async def test_a_target_that_is_more_than_a_path_is_refused(world: World, path: str) -> None:
    """HIRE-GTS-02."""
    service = Service()
    async with proxied(world, service) as (url, _):
        fields = await world.signed("GET", APP)
        heard = await raw(url, f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines(fields)}\r\n")
    assert b" 400 " in heard.split(b"\r\n")[0]
    assert not service.asked


@pytest.mark.parametrize(
    "fields",
    [
        "Host: x\r\nX-HTTP-Method-Override: DELETE\r\n",
        "Host: x\r\nX_HTTP_Method-Override: DELETE\r\n",
        "Host: x\r\nX-Original-URL: /customers/payroll\r\n",
        "Host: x\r\nx-rewrite-url: /customers/payroll\r\n",
        "Host: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
        "Host: x\r\nHost: y\r\n",
        "Host: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    ],
)
async def test_a_request_that_could_be_two_is_refused(world: World, fields: str) -> None:
    """HIRE-GTS-02: method override, rewritten URL, upgrade, two hosts, two lengths."""
    service = Service()
    async with proxied(world, service) as (url, _):
        signed = await world.signed("GET", APP)
        heard = await raw(url, f"GET {APP} HTTP/1.1\r\n{fields}{lines(signed)}\r\n0\r\n\r\n")
    assert b" 400 " in heard.split(b"\r\n")[0]
    assert not service.asked


async def test_what_is_not_signed_by_the_contracts_provider_is_refused_alike(world: World) -> None:
    """HIRE-GTS-01, HIRE-GTS-03: and none of it tells whether there is such a contract."""
    service = Service()
    own = world.hirer.identity
    forged = Identity(world.provider.identity.did, world.provider.identity.method, own.suite, own.kind, own.sign)
    never = digest_bytes(b"never")
    async with proxied(world, service) as (url, _):
        good = await world.signed("GET", APP)
        answers = {
            "unsigned": await world.send(url, "GET", APP),
            "wrong key": await world.ask(url, "GET", APP, by=forged),
            "hirer's own key": await world.ask(url, "GET", APP, by=world.hirer.identity),
            "another contract": await world.ask(url, "GET", APP, contract=digest_bytes(b"another")),
            "no contract": await world.ask(url, "GET", APP, contract=never),
            "another method": await world.send(url, "HEAD", APP, good),
            "another path": await world.send(url, "GET", APP + "2", good),
            "another host": await world.ask(url, "GET", APP, origin="https://evil.example"),
            "expired": await world.ask(url, "GET", APP, ago=61),
            "future": await world.ask(url, "GET", APP, ago=-65),
        }
    assert not service.asked
    assert {name: answer.status for name, answer in answers.items()} == dict.fromkeys(answers, 401)
    told = {name: answer.problem["code"] for name, answer in answers.items() if name != "another method"}
    assert told.pop("unsigned") == "proof_missing"
    assert set(told.values()) == {"proof_invalid"}


async def test_a_replay_is_refused_at_every_server_of_the_hirer(world: World) -> None:
    """HIRE-GTS-03: the same request once more, at the same gate and at another one."""
    service = Service()
    async with proxied(world, service) as (one, _), proxied(world, service) as (two, _):
        fields = await world.signed("GET", APP)
        answers = [await world.send(url, "GET", APP, fields) for url in (one, one, two)]
    assert [answer.status for answer in answers] == [200, 401, 401]
    assert {answer.problem["code"] for answer in answers[1:]} == {"replayed"}
    assert len(service.asked) == 1


@pytest.mark.parametrize("ended", [True, False])
async def test_a_replay_is_refused_after_a_restart(world: World, ended: bool) -> None:
    """HIRE-GTS-03: whoever carried it sends it once more when gate and peer, which kept the nonce, have forgotten it;
    whether it is settled what came of it or not.
    """
    service = Service()
    async with proxied(world, service) as (url, _):
        fields = await world.signed("POST", "/orders", b"one")
        assert (await world.send(url, "POST", "/orders", fields, b"one")).status == 200
    if ended:
        conversation = next(iter(world.hirer.conversations.values()))
        await conversation.ask(lambda _: Say("", {}, facts=(("note", "stores it"),)))
    held = await world.hirer.ledger.open_reservations(world.contract)
    assert bool(held) is not ended
    await world.hirer.close()
    await world.hirer.start()
    async with proxied(world, service) as (url, _):
        again = await world.send(url, "POST", "/orders", fields, b"one")
        other = await world.ask(url, "POST", "/orders", b"one")
    assert again.no == (401, "replayed", "")
    assert other.status == 200
    assert len(service.asked) == 2
    assert (await world.used())["orders/EUR"] == "1"


async def test_a_body_that_was_changed_never_reaches_the_service(world: World) -> None:
    """HIRE-GTS-04: changed, left out, added, cut short, or covered by nothing."""
    service = Service()
    async with proxied(world, service) as (url, _):
        signed = await world.signed("PUT", "/files/x", b"abcdef")
        changed = await world.send(url, "PUT", "/files/x", signed, b"abcdeX")
        left_out = await world.send(url, "PUT", "/files/x", await world.signed("PUT", "/files/x", b"abcdef"))
        added = await world.send(url, "PUT", "/files/x", await world.signed("PUT", "/files/x"), b"abcdef")
        uncovered = await world.send(
            url,
            "PUT",
            "/files/x",
            (*await world.signed("PUT", "/files/x"), ("Content-Digest", content_digest(hashlib.sha256(b"a").digest()))),
            b"a",
        )
        short = await world.signed("PUT", "/files/x", b"abcdef")
        await raw(url, f"PUT /files/x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n{lines(short)}\r\nabc", half=True)
    assert changed.no == (401, "digest_mismatch", "")
    assert left_out.no == (401, "digest_mismatch", "")
    assert added.no == (401, "proof_invalid", "")
    assert uncovered.no == (401, "proof_invalid", "")
    assert not service.asked
    assert (await world.used()).get("write/bytes", "0") == "0"


async def test_a_body_that_is_too_long_is_refused_before_and_while_it_is_read(world: World) -> None:
    """HIRE-GTS-04."""
    service = Service()
    body = bytes(1_000_001)
    async with proxied(world, service) as (url, _):
        stated = await world.ask(url, "PUT", "/files/x", body)

        async def pieces() -> AsyncIterator[bytes]:
            yield body

        fields = await world.signed("PUT", "/files/x", body)
        async with world.session.put(url + "/files/x", data=pieces(), headers=fields) as answer:
            assert answer.status == 413
    assert stated.no == (413, "too_large", "")
    assert not service.asked


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked_once_its_head_is_verified(world: World) -> None:
    """HIRE-GTS-04: as `curl` waits before a long one. A body that is refused by its head is never asked for."""
    service = Service()
    body = b"x" * 2000
    async with proxied(world, service) as (url, _):
        for signs, length, status in (
            *((False, 2000, b"401"), (True, 1_000_001, b"413"), (True, 2000, b"100")),
            (True, 2000, b"200"),  # who does not wait for it hears nothing before the answer
        ):
            fields = lines(await world.signed("PUT", "/files/x", body)) if signs else ""
            fields += "Expect: 100-continue\r\n" if status != b"200" else ""
            fields += f"Host: x\r\nContent-Length: {length}\r\n"
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            writer.write(f"PUT /files/x HTTP/1.1\r\n{fields}\r\n".encode())
            writer.write(body if status == b"200" else b"")
            async with asyncio.timeout(20):
                assert (await reader.readline()).split()[1] == status
                if status == b"100":
                    assert await reader.readline() == b"\r\n"
                    writer.write(body)
                    assert (await reader.readline()).split()[1] == b"200"
            writer.close()
    assert [asked[3] for asked in service.asked] == [body, body]


async def test_a_body_that_does_not_arrive_is_given_up(world: World) -> None:
    """HIRE-GTS-04: nothing is booked for it, and nothing of it goes on."""
    service = Service()
    fields = lines(await world.signed("PUT", "/files/x", b"abcdef"))
    async with (
        world.desk() as desk,
        served(service) as upstream,
        GateProxy(RequestGate(desk, world.rules, body_seconds=0.05), upstream) as proxy,
    ):
        heard = await raw(proxy.url, f"PUT /files/x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n{fields}\r\nabc")
    assert heard.startswith(b"HTTP/1.1 408 ")
    assert json.loads(heard.partition(b"\r\n\r\n")[2])["code"] == "timeout"
    assert not service.asked
    assert (await world.used()).get("write/bytes", "0") == "0"


async def test_sc_62_a_contract_that_was_ended_opens_nothing_from_then_on(world: World) -> None:
    """HIRE-GTS-11: at once, for every action is asked for where the contract lives."""
    service = Service()
    async with proxied(world, service) as (url, _):
        assert (await world.ask(url, "GET", APP)).status == 200
        conversation = next(iter(world.hirer.conversations.values()))
        await world.hirer.cancel(conversation)
        heard = await world.ask(url, "GET", APP)
    assert heard.no[:2] == (403, "contract_expired")
    assert len(service.asked) == 1


async def test_without_the_hirers_peer_nothing_gets_through(world: World) -> None:
    """HIRE-GTS-11: what cannot be checked is refused; and the agent hears that it may try again. What no rule maps is
    none, recorded or not.
    """
    service = Service()
    async with proxied(world, service) as (url, _):
        assert (await world.ask(url, "GET", APP)).status == 200
        await world.hirer._for_gates.stop()
        heard = await world.ask(url, "GET", APP)
        unmapped = await world.ask(url, "GET", "/nothing")
    assert heard.no == (503, "status_unavailable", "")
    assert unmapped.no == (403, "scope_exceeded", "rules")
    assert len(service.asked) == 1


async def test_a_service_that_is_not_there_costs_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-GTS-10: what is known not to have happened is given back."""
    monkeypatch.setattr("undersigned.daemon.gate_proxy.UPSTREAM_SECONDS", 0.5)
    with taking_nobody() as silent:
        for upstream in ("http://127.0.0.1:9", silent):
            async with world.desk() as desk, GateProxy(RequestGate(desk, world.rules), upstream) as proxy:
                heard = await world.ask(proxy.url, "GET", APP)
            assert heard.no == (502, "upstream_failed", "")
            assert (await world.used())["read-app/count"] == "0"


@pytest.mark.parametrize("stays", [True, False], ids=["there", "gone"])
async def test_a_request_under_one_permit_is_sent_once(world: World, stays: bool) -> None:
    """HIRE-GTS-10: a service that breaks off may have acted: it is not asked again, and what was booked stays spent."""
    heads: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        if len(heads) == 1:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            assert not await reader.read(), "a connection is for one request"
            return writer.close()
        if not stays:
            server.close()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, world.desk() as desk, GateProxy(RequestGate(desk, world.rules), upstream) as proxy:
        assert (await world.ask(proxy.url, "GET", APP)).status == 204
        heard = await world.ask(proxy.url, "PUT", "/files/x", b"abc")
    assert heard.no == (502, "upstream_failed", "")
    assert [head.split()[0] for head in heads] == [b"GET", b"PUT"]
    assert (await world.used())["write/bytes"] == "3"


async def test_a_request_whose_agent_left_is_told_of(world: World) -> None:
    """The service has it, and may have acted: its operator reads of it as of any other."""
    asked, told = asyncio.Event(), asyncio.Queue[dict[str, Any]]()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()  # until the proxy gives it up
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with (
        server,
        world.desk() as desk,
        GateProxy(RequestGate(desk, world.rules), upstream, told=told.put_nowait) as proxy,
    ):
        leaves = asyncio.create_task(world.ask(proxy.url, "GET", APP))
        await asked.wait()
        leaves.cancel()
        said = await asyncio.wait_for(told.get(), 30)
    assert (said["status"], said["method"], said["path"], said["clause"]) == (499, "GET", APP, "read-app")
    assert (await world.used())["read-app/count"] == "1"


async def test_who_asks_is_answered_once_whatever_becomes_of_what_is_told(world: World) -> None:
    """A second answer followed the first one, on a connection that others may use, and a refusal was a defect."""

    def told(said: dict[str, Any]) -> None:
        raise RuntimeError(said["status"])

    async with (
        world.desk() as desk,
        served(Service()) as upstream,
        GateProxy(RequestGate(desk, world.rules), upstream, told=told) as proxy,
    ):
        for path, status in ((APP, b"200"), ("/nothing", b"403")):
            fields = lines(await world.signed("GET", path))
            came = await raw(proxy.url, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")
            assert (came.split()[1], came.count(b"HTTP/1.1 ")) == (status, 1)


async def test_what_a_service_sends_too_much_answers_nobody_else(world: World) -> None:
    """HIRE-GTS-09: it may be what another agent wrote, behind a length that was counted wrongly."""
    answered, late = asyncio.Event(), asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while b"/repos/" in await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
                await answered.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ntoo much")
                late.set()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, world.desk() as desk, GateProxy(RequestGate(desk, world.rules), upstream) as proxy:
        assert (await world.ask(proxy.url, "GET", APP)).body == b"first"
        answered.set()
        await late.wait()
        assert (await world.ask(proxy.url, "GET", "/customers/1")).body == b"second"


async def test_an_answer_that_is_none_yet_is_not_passed_on(world: World) -> None:
    """HIRE-GTS-09: who stands before the gate would take what follows a 101 for no request any more."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, world.desk() as desk, GateProxy(RequestGate(desk, world.rules), upstream) as proxy:
        heard = await world.ask(proxy.url, "PUT", "/files/x", b"abc")
    assert heard.no == (502, "upstream_failed", "")


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "as it comes"])
async def test_an_answer_without_end_is_cut_off(world: World, signed: bool) -> None:
    """At `max_answer_bytes`, where its length is not said: carried while it comes, or held first to be signed."""
    service, gone = Service(), asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(10_000))
        finally:
            gone.set()

    service.answer = answer
    rules = structs.replace(world.rules, max_answer_bytes=100_000)
    async with proxied(world, service, rules=rules, sign_answers=signed) as (url, _):
        fields, heard = await world.signed("GET", APP), b""
        async with world.session.get(url + APP, headers=fields) as got:
            with suppress(ClientPayloadError):
                async for piece in got.content.iter_any():
                    heard += piece
        await asyncio.wait_for(gone.wait(), 5)
    if signed:
        assert (got.status, json.loads(heard)["code"]) == (502, "upstream_failed")
    else:
        assert got.status == 200
        assert len(heard) <= 100_000
        assert got.content.exception() is not None, "who reads it is told"


@pytest.mark.parametrize("by", ["the service", "the proxy"])
async def test_an_answer_that_is_cut_off_has_no_end(world: World, by: str) -> None:
    """HIRE-GTS-10: else half of it would be taken for all."""
    service = Service()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        if by == "the service":
            request.transport.abort()
        else:
            await response.write(bytes(100_000))
        return response

    service.answer = answer
    rules = structs.replace(world.rules, max_answer_bytes=10_000)
    async with proxied(world, service, rules=rules) as (url, _):
        fields = lines(await world.signed("GET", APP))
        heard = await raw(url, f"GET {APP} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n")
    assert not heard.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("signed", [False, True])
async def test_an_answer_without_a_body_goes_on_with_its_reason_and_without_a_type(world: World, signed: bool) -> None:
    service = Service()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=204, reason="All Gone")

    service.answer = answer
    async with proxied(world, service, sign_answers=signed) as (url, _):
        fields = await world.signed("GET", APP)
        async with world.session.get(url + APP, headers=fields) as got:
            heard = Heard(got.status, dict(got.headers), await got.read())
    assert (got.status, got.reason, "Content-Type" in got.headers) == (204, "All Gone", False)
    assert await world.judged(heard, "GET", APP, fields) == ("good" if signed else "proof_missing")


@pytest.mark.parametrize("signed", [False, True])
async def test_an_answer_of_the_length_that_is_carried_is_carried(world: World, signed: bool) -> None:
    """And one of a byte more is not, though its length is said before."""
    service, length = Service(), len(b"done: " + APP.encode())
    for most, whole in ((length, True), (length - 1, False)):
        rules = structs.replace(world.rules, max_answer_bytes=most)
        async with proxied(world, service, rules=rules, sign_answers=signed) as (url, _):
            fields, heard = await world.signed("GET", APP), b""
            async with world.session.get(url + APP, headers=fields) as got:
                with suppress(ClientPayloadError):
                    heard = await got.read()
        assert (heard == b"done: " + APP.encode()) == whole
        assert got.status == (502 if signed and not whole else 200)


async def test_a_request_goes_to_the_service_that_the_operator_named_and_nowhere_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-GTS-09: where the service points is for the one who asked; what the environment names is for nobody."""
    service, strayed = Service(), Service()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": other}, body=b"go on")

    async with served(strayed) as other:
        with monkeypatch.context() as environ:
            environ.setenv("HTTP_PROXY", other)
            environ.delenv("NO_PROXY", raising=False)
            environ.delenv("no_proxy", raising=False)
            async with proxied(world, service) as (url, _):
                assert (await world.ask(url, "GET", APP)).status == 200
        service.answer = answer
        async with proxied(world, service) as (url, _):
            heard = await world.ask(url, "POST", "/orders", b"{}")
    assert (heard.status, heard.headers["Location"], heard.body) == (307, other, b"go on")
    assert len(service.asked) == 1
    assert strayed.asked == []


async def test_the_token_of_a_gate_is_shown_to_the_hirer_s_peer_and_nobody_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-GTS-11: not where what stands in its place points, nor where the environment does."""
    moved, strayed = Service(), Service()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"{other}/gate/keys"})

    moved.answer = answer
    async with served(strayed) as other, served(moved) as url, RemoteDesk(url, "token") as desk:
        with refuses(TransportError, "unreachable"):
            await desk.keys(world.contract)
        monkeypatch.setenv("HTTP_PROXY", other)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with world.desk() as ours:
            assert await ours.keys(world.contract)
    assert strayed.asked == []


async def test_a_peer_that_says_neither_yes_nor_no_lets_nobody_in(world: World) -> None:
    """HIRE-GTS-11: nor does what is no answer of ours, or a no of a code that is not known here."""
    service, status = Service(), 200
    said: list[bytes] = [
        b"{}",
        b'{"granted": {}}',
        b'{"refused": {"code": "of_tomorrow", "message": "", "clause": "", "wouldPass": ""}}',
        b"[" + b" " * 70_000 + b"]",
        b"done",
    ]

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=said[0], status=status)

    service.answer = answer
    ask = Ask(contract=world.contract, action="customer:read", target=f"{ORIGIN}/customers/a")
    async with served(service) as url, RemoteDesk(url, "token") as desk:
        while said:
            with refuses(TransportError, "unreachable"):
                await desk.admit(ask)
            said.pop(0)
        status, said = 500, [b"{}" + b" " * 10_000]
        with pytest.raises(TransportError) as caught:
            await desk.enter(ask)  # to which that would be a yes
    assert caught.value.code == "unreachable"
    assert len(caught.value.message) < 1000, "of what it says"


async def test_an_answer_that_is_encoded_goes_on_as_it_is(world: World) -> None:
    """HIRE-GTS-09: it was encoded for the one who asked."""
    service = Service()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=gzip.compress(b"done", mtime=0), headers={"Content-Encoding": "gzip"})

    service.answer = answer
    async with proxied(world, service) as (url, _):
        heard = await world.ask(url, "GET", APP)
    assert (heard.headers["Content-Encoding"], heard.body) == ("gzip", b"done")


async def test_a_service_that_is_about_to_answer_for_ever_is_given_up(world: World) -> None:
    """HIRE-GTS-10: reading that would take half a core for each request, and no time ended it; what was booked stays
    spent. And so with the hirer's peer, where something else answers in its place.
    """
    async with about_to_answer() as upstream, world.desk() as desk:
        async with GateProxy(RequestGate(desk, world.rules), upstream) as proxy:
            heard = await asyncio.wait_for(world.ask(proxy.url, "PUT", "/files/x", b"abc"), 5)
        assert heard.no == (502, "upstream_failed", "")
        assert (await world.used())["write/bytes"] == "3"
        async with RemoteDesk(upstream, "token") as other:
            with pytest.raises(TransportError) as caught:
                await asyncio.wait_for(other.keys(world.contract), 5)
        assert caught.value.code == "unreachable"


@pytest.mark.parametrize("signs", [False, True])
async def test_a_field_of_an_answer_goes_on_as_it_is_or_the_answer_does_not(world: World, signs: bool) -> None:
    """HIRE-GTS-10: text in UTF-8 is the same behind the proxy; what no answer may hold is the service's failure, not
    a defect.
    """
    field = b""

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX-Name: " + field + b"\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    told: list[dict[str, Any]] = []
    async with await asyncio.start_server(answers, "127.0.0.1", 0) as server, world.desk() as desk:
        upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        gate = RequestGate(desk, world.rules, sign_answers=signs)
        async with GateProxy(gate, upstream, told=told.append) as proxy:
            for code in ("utf-8", "latin-1"):
                field = "Bär".encode(code)
                heard = await world.ask(proxy.url, "GET", APP)
                assert (heard.status, heard.headers["X-Name"]) == (200, "Bär")
            field = b"a\x0bb"
            heard = await world.ask(proxy.url, "GET", APP)
            assert heard.no == (502, "upstream_failed", "")
    assert [one["status"] for one in told] == [200, 200, 502]
    assert "cannot be carried" in told[-1]["why"]


@pytest.mark.parametrize("kind", ["", "text/plain"], ids=["no type", "a type"])
@pytest.mark.parametrize("length", ["Content-Length: 2\r\n", ""], ids=["length", "until it ends"])
@pytest.mark.parametrize("body", [b"ok", b""], ids=["body", "empty"])
async def test_an_answer_is_signed_with_the_type_that_is_sent(
    world: World, kind: str, length: str, body: bytes
) -> None:
    """HIRE-GTS-14: HTTP's server adds a type to what has none, and who asked refuses what no signature covers."""
    head = length.replace("2", str(len(body))) + (f"Content-Type: {kind}\r\n" if kind else "")

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body)
        writer.close()

    async with await asyncio.start_server(answers, "127.0.0.1", 0) as server, world.desk() as desk:
        upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with GateProxy(RequestGate(desk, world.rules, sign_answers=True), upstream) as proxy:
            fields = await world.signed("GET", APP)
            heard = await world.send(proxy.url, "GET", APP, fields)
    assert (heard.status, heard.body, heard.headers["Content-Type"]) == (200, body, kind or "application/octet-stream")
    assert await world.judged(heard, "GET", APP, fields) == "good"


async def test_a_proxy_that_cannot_listen_says_so() -> None:
    desk: Any = None
    gate = RequestGate(desk, read_rules(tomllib.loads(RULES)))
    async with GateProxy(gate, "http://127.0.0.1:9") as proxy:
        with refuses(ConfigurationError, "bad_configuration"):
            await GateProxy(gate, "http://127.0.0.1:9", port=proxy.port).start()


@pytest.mark.parametrize("ends", ["start", "stop"])
async def test_a_proxy_that_is_cancelled_leaves_nothing_open(ends: str, world: World) -> None:
    """At whatever it waits for, as `asyncio.timeout` around it does, with an answer under way."""
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    hangs, leave = asyncio.Event(), asyncio.Event()

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hangs.set()
        await leave.wait()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    reached = 0
    async with server, world.desk() as desk:
        for number in count():
            proxy = GateProxy(RequestGate(desk, world.rules), upstream, host="localhost")
            if ends == "start":
                cut = Interrupted(proxy.start(), number)
            else:
                await proxy.start()
                hangs.clear()
                asking = asyncio.create_task(world.ask(proxy.url, "GET", APP))
                await hangs.wait()
                cut = Interrupted(proxy.stop(), number)
            waiting = asyncio.create_task(cut.run())
            await asyncio.wait({waiting})
            if ends == "stop":
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            elif not waiting.cancelled():
                await proxy.stop()
            assert proxy._session is None, number
            reached += cut.reached
            if not cut.reached:
                break
        leave.set()
    gc.collect()
    assert (reached > 0, faults) == (True, [])


async def test_what_ended_is_said_though_nobody_waits_for_it(world: World) -> None:
    """A close that is cancelled took it along: what did not happen stayed spent."""
    told, leave = asyncio.Event(), asyncio.Event()

    class Slow(RemoteDesk):
        async def done(self, permit: str, *, happened: bool) -> None:
            await leave.wait()
            await super().done(permit, happened=happened)
            told.set()

    async with Slow(world.hirer.gates_url, world.hirer.home.gate_token()) as desk:
        gate = RequestGate(desk, world.rules)
        gate.done("a permit", happened=False)
        closing = asyncio.create_task(gate.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        leave.set()
        await gate.close()
        assert told.is_set()
        assert not gate._telling


async def test_no_answer_says_by_which_program_it_is(world: World) -> None:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, world.desk() as desk, GateProxy(RequestGate(desk, world.rules), upstream) as proxy:
        heard = await world.ask(proxy.url, "GET", APP)
        refused = await world.ask(proxy.url, "GET", "/nothing")
    assert (heard.status, heard.headers["Server"]) == (200, "hire")
    assert (refused.status, refused.headers["Server"]) == (403, "hire")


async def test_a_disk_of_ours_that_is_full_is_told_as_ours(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long body has no file to wait in: that may be tried again. A long answer has none: the service has acted."""
    service = Service()
    monkeypatch.setattr("tempfile.tempdir", "/nowhere at all")
    with structlog.testing.capture_logs() as logs:
        async with proxied(world, service) as (url, _):
            heard = await world.ask(url, "PUT", "/files/big", bytes(300_000))
        assert heard.no == (503, "overloaded", "")
        assert not service.asked
        assert (await world.used()).get("write/bytes", "0") == "0"

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(body=bytes(300_000))

        service.answer = answer
        async with proxied(world, service, sign_answers=True) as (url, _):
            heard = await world.ask(url, "PUT", "/files/x", b"abc")
        assert heard.no == (502, "upstream_failed", "")
        assert (await world.used())["write/bytes"] == "3"
    assert [line["event"] for line in logs].count("a body cannot be kept on disk") == 2


async def test_gates_do_not_take_each_other_s_connections(world: World) -> None:
    """Three of them, each with as many at once as it has."""
    async with world.desk() as one, world.desk() as two, world.desk() as three:
        asking = [desk.keys(world.contract) for _ in range(32) for desk in (one, two, three)]
        assert all(await asyncio.gather(*asking))


async def test_answers_are_signed_as_the_hirers(world: World) -> None:
    """HIRE-GTS-14, HIRE-GTS-15: what came through, what is empty, a refusal; each for its request."""
    service = Service()
    async with proxied(world, service, sign_answers=True) as (url, _):
        for method, path, status in (("GET", APP, 200), ("HEAD", APP, 200), ("GET", "/customers/payroll", 403)):
            fields = await world.signed(method, path)
            heard = await world.send(url, method, path, fields)
            assert heard.status == status
            assert await world.judged(heard, method, path, fields) == "good"
            assert await world.judged(heard._replace(body=heard.body + b"x"), method, path, fields) == "digest_mismatch"
            assert await world.judged(heard._replace(status=201), method, path, fields) == "proof_invalid"
            other = await world.signed(method, path)
            assert await world.judged(heard, method, path, other) == "proof_invalid"
        unsigned = await world.send(url, "GET", APP)
        assert (unsigned.status, "Signature" in unsigned.headers) == (401, False)
        written = heard.headers["Signature-Input"].replace(world.hirer.own.id, world.provider.own.id)
        forged = heard._replace(headers={**heard.headers, "Signature-Input": written})
        assert await world.judged(forged, method, path, fields) == "key_not_authorized"


async def test_to_be_signed_is_told_what_is_signed_and_nothing_else(world: World) -> None:
    """HIRE-GTS-14: what else a request has in its fields is between the agent and the service."""
    heard: list[AnswerToSign] = []

    class Hearing(RemoteDesk):
        async def sign(self, answer: AnswerToSign) -> Headers:
            heard.append(answer)
            return await super().sign(answer)

    async with (
        Hearing(world.hirer.gates_url, world.hirer.home.gate_token()) as desk,
        served(Service()) as upstream,
        GateProxy(RequestGate(desk, world.rules, sign_answers=True), upstream) as proxy,
    ):
        fields = await world.signed("PUT", "/files/x", b"abc")
        got = await world.send(proxy.url, "PUT", "/files/x", fields, b"abc", Cookie="a=b", X_Trace="t")
    assert await world.judged(got, "PUT", "/files/x", fields) == "good"
    assert [sorted(name.lower() for name, _ in one.fields) for one in heard] == [
        ["content-digest", "hire-contract", "signature", "signature-input"]
    ]


async def test_an_answer_that_cannot_be_signed_is_given_and_is_nobodys(world: World) -> None:
    """HIRE-GTS-14: what the server did is done; whoever asked sees that nobody answers for it."""
    service = Service()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        await world.hirer._for_gates.stop()
        return web.Response(body=b"done", headers={"Signature": "hire=:AAAA:", "Content-Digest": "x"})

    service.answer = answer
    async with proxied(world, service, sign_answers=True) as (url, _):
        fields = await world.signed("GET", APP)
        heard = await world.send(url, "GET", APP, fields)
    assert (heard.status, heard.body) == (200, b"done")
    assert not {"Signature", "Content-Digest"} & set(heard.headers)
    assert await world.judged(heard, "GET", APP, fields) == "proof_missing"


async def test_under_no_contract_of_ours_no_answer_is_signed(world: World) -> None:
    """HIRE-GTS-14: a gate may have it asked for; what the hirer signs is about its own hires."""
    heard = AnswerToSign(
        contract=digest_bytes(b"another"),
        method="GET",
        url=f"{ORIGIN}{APP}",
        fields=await world.signed("GET", APP),
        status=200,
        content_type=None,
        body_sha256=hashlib.sha256(b"").hexdigest(),
    )
    with pytest.raises(ScopeError) as refused:
        await world.hirer.desk.sign(heard)
    assert refused.value.code == "contract_expired"
    ours = structs.replace(heard, contract=world.contract)
    assert await world.hirer.desk.sign(ours)
    async with world.desk() as desk:
        with refuses(ProofError, "proof_missing"):
            await desk.sign(structs.replace(ours, fields=()))


async def test_without_the_wish_no_answer_is_signed(world: World) -> None:
    async with proxied(world, Service()) as (url, _):
        fields = await world.signed("GET", APP)
        heard = await world.send(url, "GET", APP, fields)
    assert await world.judged(heard, "GET", APP, fields) == "proof_missing"


@pytest.mark.parametrize("leaves", ["gate", "agent"])
async def test_what_no_gate_was_told_of_any_more_costs_nothing(
    world: World, leaves: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-GTS-10: a gate that gave up on the peer, or whose agent left, asked no server. What is booked after that, in
    its name, is given back.
    """
    looked, goes_on, require = asyncio.Event(), asyncio.Event(), world.hirer.gate._require
    assert require is not None

    async def slow(contract: Digest) -> None:
        looked.set()
        await goes_on.wait()
        await require(contract)

    monkeypatch.setattr(world.hirer.gate, "_require", slow)
    if leaves == "gate":
        monkeypatch.setattr("undersigned.daemon.gate_remote.ASK_SECONDS", 0.5)
    service, used = Service(), []

    async def release(permit: Permit) -> None:
        used.append((await world.used())["read-app/count"])
        await given_back(permit)
        used.append((await world.used())["read-app/count"])

    given_back = world.hirer.gate.release
    monkeypatch.setattr(world.hirer.gate, "release", release)
    async with proxied(world, service) as (url, _):
        asked = asyncio.create_task(world.ask(url, "GET", APP))
        await looked.wait()
        if leaves == "agent":
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        else:
            assert (await asked).no == (503, "status_unavailable", "")
        await until(lambda: all(one.transport is None for one in world.hirer._for_gates._server.connections))
        goes_on.set()
        await until(lambda: len(used) == 2)
    assert (used, service.asked) == (["1", "0"], [])
