"""Guarded functions and signed requests of the work, on real sockets: inside the contract or not at all."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from aiohttp import web
from msgspec.structs import replace
from structlog.testing import capture_logs

from gate_world import SCOPE, Service, World, at_work, served
from integration.hires import Hands, free_ports, two_homes, until
from integration.test_readme import text_of
from undersigned import Job, Peer, RequestGate, current_job, guard
from undersigned.contract import Terms
from undersigned.daemon import GateProxy
from undersigned.did import DidDocument, make_document
from undersigned.encoding import canonicalize
from undersigned.errors import (
    ConfigurationError,
    FormatError,
    LocalProtocolError,
    ResolutionError,
    ScopeError,
    TransportError,
    VerificationError,
)
from undersigned.runtime import Clock
from undersigned.runtime.execution import acting, reading
from undersigned.runtime.signers import generate_key
from undersigned.scope import Grant, Label, Labels, Limit, Prohibition, Scope, compile_scope, read_scope

GIT = "https://git.acme.example"
READING = Scope(
    grants=(
        Grant("read-app", "repo:read", f"{GIT}/app/*", limits=(Limit("count", "3"),)),
        Grant("pay", "pay:order", f"{GIT}/orders", limits=(Limit("EUR", "5"),)),
    ),
    prohibitions=(Prohibition("no-payroll", "repo:read", f"{GIT}/app/payroll"),),
)
entered: list[str] = []


@guard("repo:read", target=GIT + "/app/{name}")
async def read(name: str) -> str:
    entered.append(name)
    return f"{current_job().task} {name}"


@guard("repo:read", target=GIT + "/app/{name}")
def read_in_a_thread(name: str, *, _unused: int = 0) -> str:
    entered.append(name)
    return name


@guard("repo:read", target="{url}")
async def read_url(url: str) -> str:
    entered.append(url)
    return url


@guard("pay:order", target=lambda euros: f"{GIT}/orders", amounts={"EUR": "{euros}"})
async def pay(euros: str) -> str:
    entered.append(euros)
    return euros


async def deeper(name: str) -> str:
    return await asyncio.create_task(read(name))


async def hire(folder: Path, work: Callable[[Job], Any], scope: Scope = READING) -> list[dict[str, Any]]:
    """Hires somebody for this work; the actions that its statement reports."""
    acme, globex = await two_homes(folder)
    actions: list[dict[str, Any]] = []

    async def handler(job: Job) -> None:
        await work(job)
        actions.extend(msgspec.to_builtins(job.actions))
        await job.deliver("summary.txt", b"done", media_type="text/plain")

    async with Peer.open(acme) as hirer, Peer.open(globex, handlers={"summary": handler}) as provider:
        result = await hirer.hire(provider.own.id, task="summary", price="5 EUR", scope=scope)
        rows = await hirer.ledger.rows(result.engagement)
        delivery = next(row for row in rows if row.type == "Delivery")
        (told,) = [one for one in _predicates(delivery.raw) if "actions" in one]
        assert [(one["target"], one["allowed"]) for one in told["actions"]] == [
            (one["target"], one["allowed"]) for one in actions
        ], "what was refused is told to the hirer, too"
    return actions


def _predicates(raw: bytes) -> list[dict[str, Any]]:
    statements = msgspec.json.decode(raw)["statements"]
    return [msgspec.json.decode(b64decode(one["payload"]))["predicate"] for one in statements]


async def test_what_the_contract_allows_is_done_and_nothing_else(tmp_path: Path) -> None:
    """HIRE-GAT-01, HIRE-GAT-02: found from tasks and threads; what is refused is never entered, and is reported."""
    entered.clear()
    refused: list[tuple[str, str]] = []

    async def refuses(call: Callable[[], Any]) -> None:
        with pytest.raises(ScopeError) as no:
            await call()
        refused.append((no.value.code, str(no.value.detail["clause"])))

    async def work(job: Job) -> None:
        assert await deeper("one") == "summary one"
        assert await asyncio.to_thread(read_in_a_thread, "two") == "two"
        assert await read_url(f"{GIT}/app/three") == f"{GIT}/app/three"
        assert await pay("4.5") == "4.5"
        await refuses(lambda: pay("1"))
        await refuses(lambda: read("payroll"))
        await refuses(lambda: asyncio.to_thread(read_in_a_thread, "payroll"))
        await refuses(lambda: read("four"))
        assert job.actions[0].allowed

    actions = await hire(tmp_path, work)
    assert entered == ["one", "two", f"{GIT}/app/three", "4.5"]
    assert refused == [
        ("scope_exceeded", "pay"),
        ("scope_exceeded", "no-payroll"),
        ("scope_exceeded", "no-payroll"),
        ("scope_exceeded", "read-app"),
    ]
    assert [one["allowed"] for one in actions] == [True] * 4 + [False] * 4


@pytest.mark.parametrize(
    "name", ["../secret", "..", "one/../payroll", "payroll?x", "payroll#x", "payroll%00", "a/b", "", "x y", "*", "\\x"]
)
async def test_an_argument_is_one_segment_of_the_target(tmp_path: Path, name: str) -> None:
    """SC-57: a value brings no segment, query or host of its own; what cannot be a segment is refused."""
    entered.clear()

    async def work(job: Job) -> None:
        try:
            await read(name)
        except ScopeError:
            assert entered == []
        taken = job.actions[-1]
        assert taken.target.startswith(f"{GIT}/app/") or not taken.allowed
        assert "/" not in taken.target.removeprefix(f"{GIT}/app/")

    await hire(tmp_path, work)


async def test_work_that_goes_too_far_is_stopped_and_told(tmp_path: Path) -> None:
    """SC-56: a handler that lets the refusal through has failed; the refusal is signed and kept."""
    acme, globex = await two_homes(tmp_path)

    async def greedy(job: Job) -> None:
        await read("payroll")
        await job.deliver("summary.txt", b"payroll", media_type="text/plain")

    async with Peer.open(acme) as hirer, Peer.open(globex, handlers={"summary": greedy}) as provider:
        with pytest.raises(Exception, match=r"rejected|failed|policy|digest"):
            await hirer.hire(provider.own.id, task="summary", price="5 EUR", scope=READING)
        (summary,) = await provider.ledger.summaries()
        kept = [blob.name for blob in await provider.ledger.evidence(summary.engagement) if blob.kind == "refusal"]
        assert kept == ["no-payroll"]
        rows = await hirer.ledger.rows(summary.engagement)
        (delivery,) = [msgspec.json.decode(row.raw) for row in rows if row.type == "Delivery"]
        assert (delivery["outcome"], delivery["artifacts"]) == ("failed", [])


async def test_the_readmes_guarded_functions(tmp_path: Path) -> None:
    """As they are written: one in a thread, one with an amount, each inside its grant and refused beyond."""
    written: dict[str, Any] = {}
    exec(compile(text_of("python guarded"), "GUIDE.md", "exec"), written)
    scope = Scope(
        grants=(
            Grant("checkout", "repo:read", f"{GIT}/app"),
            Grant("send", "report:send", "https://acme.example/inbox/*", limits=(Limit("bytes", "1000"),)),
        )
    )

    async def work(job: Job) -> None:
        assert await asyncio.to_thread(written["checkout"], "app") == "the files of app"
        assert await written["send"]("monday", 600) == f"monday, under {job.contract}"
        for call in (asyncio.to_thread(written["checkout"], "payroll"), written["send"]("tuesday", 600)):
            with pytest.raises(ScopeError):
                await call

    actions = await hire(tmp_path, work, scope)
    assert [one["allowed"] for one in actions] == [True, True, False, False]


async def test_what_outlives_the_handler_may_do_no_more(tmp_path: Path) -> None:
    """The job is good until the handler returns."""
    left: list[asyncio.Task[str]] = []
    go = asyncio.Event()

    async def later() -> str:
        await go.wait()
        return await read("late")

    async def work(job: Job) -> None:
        left.append(asyncio.create_task(later()))

    entered.clear()
    await hire(tmp_path, work)
    go.set()
    with pytest.raises(ScopeError) as over:
        await left[0]
    assert (over.value.code, entered) == ("contract_expired", [])


async def test_outside_a_handler_nothing_is_entered() -> None:
    """There is no contract to ask; the error says what to do."""
    entered.clear()
    with pytest.raises(LocalProtocolError, match="from a handler"):
        await read("one")
    with pytest.raises(LocalProtocolError, match="from a handler"):
        read_in_a_thread("one")

    assert entered == []


async def test_a_blocking_function_is_not_called_on_the_loop(tmp_path: Path) -> None:
    """It would wait there for an answer that only the loop can give."""

    async def work(job: Job) -> None:
        with pytest.raises(LocalProtocolError, match="to_thread"):
            read_in_a_thread("one")

    entered.clear()
    await hire(tmp_path, work)
    assert entered == []


def test_a_guard_that_cannot_hold_is_not_made() -> None:
    """A name that is no argument, and a generator, which is let in before it does anything."""
    with pytest.raises(ConfigurationError, match="no argument"):
        guard("repo:read", target=GIT + "/{other}")(lambda name: name)
    with pytest.raises(ConfigurationError, match="no argument"):
        guard("repo:read", target=GIT + "/{name.attribute}")(lambda name: name)

    with pytest.raises(ConfigurationError, match="such as `artifact:read`"):
        guard("bad action", target=GIT + "/{name}")(lambda name: name)
    for target in ("x", "{name}/x", GIT + "/a/../{name}", GIT + "/*"):
        with pytest.raises(ConfigurationError, match="target"):
            guard("repo:read", target=target)(lambda name: name)

    async def lines(name: str) -> AsyncIterator[str]:
        yield name

    with pytest.raises(ConfigurationError, match="generator"):
        guard("repo:read", target=GIT + "/{name}")(lines)


# --- requests


class Shop(NamedTuple):
    world: World
    service: Service
    url: str

    async def get(self, path: str, action: str = "order:place", **options: Any) -> Any:
        return await self.world.job.fetch(self.url + path, action, **options)


@asynccontextmanager
async def shop(folder: Path, service: Service | None = None, **clocks: Clock) -> AsyncIterator[Shop]:
    """A guarded server that is reached under the very name that requests are signed for."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    moved = Scope(
        grants=tuple(
            msgspec.structs.replace(grant, target=grant.target.replace("https://api.acme.example", url))
            for grant in SCOPE.grants
        ),
        prohibitions=(Prohibition("no-payroll", "customer:read", f"{url}/customers/payroll"),),
    )
    service = service or Service()
    async with at_work(folder, scope=moved, **clocks) as world, world.desk() as desk, served(service) as upstream:
        gate = RequestGate(desk, msgspec.structs.replace(world.rules, origin=url), sign_answers=True)
        async with GateProxy(gate, upstream, port=port):
            yield Shop(world, service, url)


async def test_a_request_of_the_work_reaches_the_guarded_server(tmp_path: Path) -> None:
    """HIRE-GTS-01: signed under the contract, booked at both gates, and answered whole, under the hirer's signature."""
    checked: list[int] = []
    async with shop(tmp_path) as it:
        checks = it.world.provider.other_side.check_answer

        async def check(contract: str, sent: Any, status: int, fields: Any, body: bytes) -> None:
            checked.append(status)
            await checks(contract, sent, status, fields, body)
            with pytest.raises(VerificationError):
                await checks(contract, sent, status, fields, body + b"x")

        it.world.provider.other_side.check_answer = check  # type: ignore[method-assign]
        sent: dict[str, Any] = {"body": b"ink", "amounts": {"EUR": "0.5"}, "headers": {"X-Trace": "7"}}
        answer = await it.get("/orders", method="POST", **sent)
        assert (answer.status, answer.body, answer.headers["x-kept"]) == (200, b"done: /orders", "yes")
        method, path, fields, body = it.service.asked[0]
        assert (method, path, body, fields["X-Trace"]) == ("POST", "/orders", b"ink", "7")
        assert "Signature" not in fields, "the gate keeps what it took"
        assert (await it.world.used())["orders/EUR"] == "0.5"
        ours = await it.world.provider.ledger.usage(it.world.job.contract)
        assert ours["orders/EUR"] == "0.5"
        assert checked == [200]


async def test_an_answer_that_is_signed_with_a_new_key_is_the_hirers(tmp_path: Path) -> None:
    """HIRE-GTS-15: of a hirer that started anew with it, before its connection is proved by it."""
    async with shop(tmp_path) as it:
        hirer, key = it.world.hirer, generate_key()
        did, keys = hirer.own.id, {"key-2": key.public_key}
        assert (await it.get("/orders", method="POST", body=b"", amounts={"EUR": "0.5"})).status == 200
        hirer.own = DidDocument(did, canonicalize(make_document(did, authentication=keys, assertion_method=keys)))
        hirer.identity = replace(hirer.identity, method=f"{did}#key-2", sign=key.sign)
        assert (await it.get("/orders", method="POST", body=b"", amounts={"EUR": "0.5"})).status == 200
        hirer.identity = replace(hirer.identity, method=f"{did}#key-3")
        with pytest.raises(VerificationError) as none:
            await it.get("/customers/one", "customer:read")
        assert none.value.code == "key_not_authorized"


async def test_our_own_gate_comes_first(tmp_path: Path) -> None:
    """SC-56: what the contract does not allow is not even sent."""
    async with shop(tmp_path) as it:
        with pytest.raises(ScopeError) as no:
            await it.get("/customers/payroll", "customer:read")
        assert (no.value.code, no.value.detail["clause"]) == ("scope_exceeded", "no-payroll")
        assert it.service.asked == []
        assert await it.world.records() == [], "the server heard nothing of it"


async def test_the_servers_no_is_an_error_with_its_clause(tmp_path: Path) -> None:
    """HIRE-GTS-08: the server books an order as 0.5 EUR, and its gate has the last word; the work reports it."""
    async with shop(tmp_path) as it:
        for _ in range(2):
            await it.get("/orders", method="POST", body=b"", amounts={"EUR": "0.1"})
        with pytest.raises(ScopeError) as no:
            await it.get("/orders", method="POST", body=b"", amounts={"EUR": "0.1"})
        assert (no.value.code, no.value.detail["clause"]) == ("scope_exceeded", "orders")
        assert len(it.service.asked) == 2
        assert [one.allowed for one in it.world.job.actions] == [True, True, True, False]


async def test_a_server_that_knows_of_a_suspension_first_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-LIF-03: the hirer's gate goes by what was sent, which is under way to us: the work waits, and goes on."""
    monkeypatch.setattr(acting, "RETRY_SECONDS", 0.05)
    async with shop(tmp_path) as it:
        hirer, under_way = it.world.hirer, list[bytes]()
        conversation, send = next(iter(hirer.conversations.values())), hirer.links.send

        async def slowly(_peer: str, raw: bytes) -> bool:
            under_way.append(raw)
            return True

        hirer.links.send = slowly  # type: ignore[method-assign]
        await hirer.changes.suspend(conversation, seconds=600)
        asked = asyncio.create_task(it.get("/orders", method="POST", body=b"ink", amounts={"EUR": "0.5"}))
        await until(lambda: asked.done() or not all(one.allowed for one in it.world.job.actions))
        await asyncio.wait({asked}, timeout=0.3)
        assert not asked.done()
        await hirer.changes.resume(conversation)
        hirer.links.send = send  # type: ignore[method-assign]
        for raw in under_way:
            await send(it.world.provider.identity.did, raw)
        assert (await asked).body == b"done: /orders"
        assert len(it.service.asked) == 1
        assert [one.allowed for one in it.world.job.actions] == [True, False]
        ours = await it.world.provider.ledger.usage(it.world.job.contract)
        assert ours["orders/EUR"] == (await it.world.used())["orders/EUR"] == "0.5"


async def test_a_server_whose_gate_can_ask_nobody_for_a_moment_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-GTS-11: as an input is, where its hirer is away: it starts anew, say, and nothing was done."""
    monkeypatch.setattr(acting, "RETRY_SECONDS", 0.05)
    async with shop(tmp_path) as it:
        desk = it.world.hirer._for_gates
        assert desk is not None
        await desk.stop()
        asked = asyncio.create_task(it.get("/orders", method="POST", body=b"ink", amounts={"EUR": "0.5"}))
        with capture_logs() as logs:
            await until(lambda: asked.done() or not all(one.allowed for one in it.world.job.actions))
        assert not asked.done()
        assert [one["error"] for one in logs if one["event"].startswith("a gate lets in nobody now")]
        await desk.start()
        assert (await asked).body == b"done: /orders"
        assert [one.allowed for one in it.world.job.actions] == [True, False]
        ours = await it.world.provider.ledger.usage(it.world.job.contract)
        assert ours["orders/EUR"] == (await it.world.used())["orders/EUR"] == "0.5"


async def test_what_the_server_itself_says_with_a_word_of_ours_is_its_answer(tmp_path: Path) -> None:
    """HIRE-GTS-08: no gate said it, so what it took is spent, and asking again without end would spend all there is."""

    class Busy(Service):
        async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
            await super().answer(request)
            said = {"type": "https://api.acme.example/problems/overloaded", "code": "overloaded", "clause": "state"}
            return web.json_response(said, status=503, content_type="application/problem+json")

    async with shop(tmp_path, Busy()) as it:
        async with asyncio.timeout(5):
            answer = await it.get("/orders", method="POST", body=b"ink", amounts={"EUR": "0.5"})
        assert (answer.status, len(it.service.asked), (await it.world.used())["orders/EUR"]) == (503, 1, "0.5")


@pytest.mark.parametrize("what", ["a request", "an input"])
async def test_work_goes_on_once_a_clock_that_leapt_is_right_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """What it signs is refused meanwhile, as its messages are; its operator hears which clock it is."""
    monkeypatch.setattr(acting, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(reading, "RETRY_SECONDS", 0.05)
    clock = Hands()
    async with shop(tmp_path, provider_clock=clock) as it:

        async def use() -> bytes:
            if what == "an input":
                return await it.world.job.read("report")
            return (await it.get("/orders", method="POST", body=b"", amounts={"EUR": "0.5"})).body

        clock.ahead = 90
        with capture_logs() as logs:
            asked = asyncio.create_task(use())
            await until(lambda: asked.done() or any("s ahead of theirs" in str(one.get("error")) for one in logs))
        assert not asked.done()
        clock.ahead = 0
        assert await asked == (b"Quarterly.\n" if what == "an input" else b"done: /orders")


@pytest.mark.parametrize("what", ["a request", "an answer that comes late", "an input"])
async def test_a_server_that_has_not_heard_of_our_seal_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """HIRE-LIF-03: both have signed more, and the seal is under way to the hirer: the work waits until it is there."""
    monkeypatch.setattr(acting, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(reading, "RETRY_SECONDS", 0.05)
    limits = {"orders": (Limit("EUR", "2"),), "read-1": (Limit("count", "8"),)}

    async def agrees(*_: object) -> bool:
        return True

    def more(terms: Terms) -> Terms:
        grants = [replace(one, limits=limits.get(one.id, one.limits)) for one in scope.grants]
        return replace(
            terms, scope=compile_scope(replace(scope, grants=tuple(grants)), terms.scope.id.removesuffix("#scope"))
        )

    async with shop(tmp_path) as it:
        provider, under_way = it.world.provider, list[bytes]()
        conversation, send = next(iter(provider.conversations.values())), provider.links.send
        scope = read_scope(conversation.offered().terms.scope)
        it.world.hirer.changes.consents = agrees

        async def slowly(peer: str, raw: bytes) -> bool:
            if b'"type":"Seal"' not in raw:
                return await send(peer, raw)
            under_way.append(raw)
            return True

        async def use() -> bytes:
            if what == "an input":
                return await it.world.job.read("report")
            return (await it.get("/orders", method="POST", body=b"", amounts={"EUR": "0.5"})).body

        provider.links.send = slowly  # type: ignore[method-assign]
        await provider.changes.amend(conversation, more)
        await until(lambda: bool(under_way))
        for _ in range(4 if what == "an input" else 2):
            await use()
        exchange = provider.gatherer.exchange

        async def heard() -> None:
            while under_way:
                await send(it.world.hirer.identity.did, under_way.pop())

        async def late(*args: Any, **options: Any) -> Any:
            answer = await exchange(*args, **options)
            await heard()
            await until(lambda: not conversation.engagement.unreceipted)
            return answer

        if what == "an answer that comes late":
            provider.gatherer.exchange = late  # type: ignore[method-assign]
        asked = asyncio.create_task(use())
        if what != "an answer that comes late":
            await asyncio.wait({asked}, timeout=0.5)
            assert not asked.done()
            await heard()
        assert await asked == (b"Quarterly.\n" if what == "an input" else b"done: /orders")
        assert len(it.service.asked) == (0 if what == "an input" else 3)


async def test_what_is_fetched_is_bounded_and_stays_where_it_was_sent(tmp_path: Path) -> None:
    """SC-103: length, redirects, schemes and addresses; and no field of the signature is written by hand."""

    class Elsewhere(Service):
        async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
            if request.path == "/orders":
                return web.Response(status=307, headers={"Location": "https://elsewhere.example/"}, body=b"go on")
            return web.Response(body=b"x" * 2000)

    async with shop(tmp_path, Elsewhere()) as it:
        moved = await it.get("/orders", method="POST", body=b"", amounts={"EUR": "0.5"})
        assert (moved.status, moved.body) == (307, b"go on")
        with pytest.raises(TransportError):
            await it.get("/customers/one", "customer:read", max_bytes=1999)
        with pytest.raises(FormatError):
            await it.get("/customers/one", "customer:read", headers={"Signature-Input": "mine"})
        for url in ("http://acme.example/x", "https://127.0.0.2/x", "https://user:word@acme.example/x"):
            with pytest.raises(ResolutionError):
                await it.world.job.fetch(url, "customer:read", target=f"{it.url}/customers/one")


async def test_no_document_waits_for_what_work_asked_of_a_slow_server(tmp_path: Path) -> None:
    """A hirer's server may take its time with each request of the work, and nobody else is kept waiting for it."""
    asked, go = asyncio.Event(), asyncio.Event()

    class Slow(Service):
        async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
            asked.set()
            await go.wait()
            return web.Response()

    async with shop(tmp_path, Slow()) as it:
        gatherer, hirer = it.world.provider.gatherer, it.world.hirer.own.id
        gatherer._lookups = asyncio.Semaphore(1)
        async with asyncio.TaskGroup() as group:
            group.create_task(it.get("/customers/one", "customer:read"))
            await asked.wait()
            try:
                assert (await gatherer.document(hirer, 0.0)).id == hirer
            finally:
                go.set()


async def test_should_this_agent_see_my_customer_data(tmp_path: Path) -> None:
    """HIRE-GAT-05: the hirer's labels say what is what; a grant for public data reaches neither what is restricted nor
    what nobody named, whatever the agent says of it.
    """
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    public = {"dataClass": ("public", "internal")}
    scope = Scope(grants=(Grant("public-data", "customer:read", f"{url}/customers/*", conditions=public),))
    service = Service()
    async with at_work(tmp_path, scope=scope) as world, world.desk() as desk, served(service) as upstream:
        world.hirer.gate.labels = Labels(
            rules=(
                Label(f"{url}/customers/press", {"dataClass": "public"}),
                Label(f"{url}/customers/ada", {"dataClass": "restricted"}),
            )
        )
        gate = RequestGate(desk, msgspec.structs.replace(world.rules, origin=url))
        async with GateProxy(gate, upstream, port=port):
            it = Shop(world, service, url)
            assert (await it.get("/customers/press", "customer:read", dataClass="public")).status == 200
            for name in ("ada", "nobody-named-it"):
                with pytest.raises(ScopeError) as no:
                    await it.get(f"/customers/{name}", "customer:read", dataClass="public")
                assert (no.value.detail["clause"], no.value.detail["would_pass"]) == (
                    "public-data",
                    "data class internal or public",
                )
        assert [path for _, path, _, _ in service.asked] == ["/customers/press"]
