"""What a newcomer gets wrong is an error of ours, with what to do instead, and no warning beside it."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import re
import warnings
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from integration.hires import REPORT, free_ports, summarise, two_homes
from media import Authority, png
from runtimes import World, folded, last
from support import refuses
from undersigned import (
    AsgiGate,
    Grant,
    Hire,
    HireResult,
    Limit,
    Milestone,
    Peer,
    Policy,
    Prohibition,
    RemoteDesk,
    RequestGate,
    Scope,
    Settlement,
    aiohttp_gate,
    guard,
    issue_membership,
    read_rules,
    verify_pack,
)
from undersigned.encoding import digest_bytes
from undersigned.errors import (
    ConfigurationError,
    FormatError,
    LedgerUnavailable,
    LocalProtocolError,
    ScopeError,
    UndersignedError,
)
from undersigned.messages import Delivery, Need
from undersigned.protocol import Concede
from undersigned.runtime import Home, Job, create_home, needed_text
from undersigned.runtime.agent.ordering import hire_order
from undersigned.testing import Actor

Open = Callable[..., World]
PROVIDER = "did:web:globex.example"

ASKS = '[policy]\nask_above = "3"\ncurrency = "EUR"\n'
PEOPLE = f'[approvers]\nann = "{Actor("ann").did}"\n'


class Odd(FormatError):
    """Made of something else, as some of ours are."""

    def __init__(self, *_: object, **detail: object) -> None:
        super().__init__("schema_violation", "odd", **detail)


@pytest.fixture(autouse=True)
def no_warning() -> Generator[None]:
    """Such as of a coroutine that was never awaited: an error in a destructor, which pytest tells as a warning."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(one.message) for one in told] == []


def a_home(folder: Path) -> Home:
    return asyncio.run(two_homes(folder))[0]


def test_a_blocking_peer_in_a_running_loop(tmp_path: Path) -> None:
    home = a_home(tmp_path)

    async def main() -> None:
        with Peer.open_sync(home):
            pass

    with pytest.raises(LocalProtocolError, match=r"async with Peer\.open") as refused:
        asyncio.run(main())
    assert refused.value.code == "wrong_state"
    with Peer.open_sync(home) as peer:  # nothing of it is left behind
        assert peer.peer.url


def test_a_blocking_hire_in_a_running_loop(tmp_path: Path) -> None:
    with Peer.open_sync(a_home(tmp_path)) as peer:

        async def main() -> None:
            peer.hire(PROVIDER, task="summary", price="5 EUR")

        with pytest.raises(LocalProtocolError, match=r"async with Peer\.open"):
            asyncio.run(main())


def test_a_blocking_peer_that_was_not_entered(tmp_path: Path) -> None:
    peer = Peer.open_sync(a_home(tmp_path))
    with pytest.raises(LocalProtocolError, match=r"with Peer\.open_sync\(\.\.\.\) as peer") as refused:
        peer.hire(PROVIDER, task="summary", price="5 EUR")
    assert refused.value.code == "wrong_state"


def test_a_blocking_peer_that_does_not_start_leaves_no_loop_open(tmp_path: Path) -> None:
    home = a_home(tmp_path)
    with Peer.open_sync(home), pytest.raises(UndersignedError), Peer.open_sync(home):
        pass


def test_a_peer_that_was_not_entered(tmp_path: Path) -> None:
    peer = Peer.open(a_home(tmp_path))

    async def hires() -> None:
        await peer.hire(PROVIDER, task="summary", price="5 EUR")

    async def gates() -> None:
        RequestGate(peer.desk, read_rules({"origin": DESK}))

    async def signs() -> None:
        await peer.sign_request("GET", "https://acme.example/", digest_bytes(b"contract"))

    for use in (hires, gates, signs, peer.serve_forever):
        with pytest.raises(LocalProtocolError, match=r"async with Peer\.open\(\.\.\.\) as peer") as refused:
            asyncio.run(use())
        assert refused.value.code == "wrong_state"


async def test_a_peer_that_was_left(tmp_path: Path) -> None:
    home, _ = await two_homes(tmp_path)
    async with Peer.open(home) as peer:
        pass
    with refuses(LocalProtocolError, "connection_closed"):
        await peer.hire(PROVIDER, task="summary", price="5 EUR")
    with refuses(LocalProtocolError, "connection_closed"):
        await peer.sign_request("GET", "https://acme.example/", digest_bytes(b"contract"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"method": None}, "method: expected text such as GET"),
        ({"url": 5}, "url: expected text"),
        ({"contract": 5}, "contract: expected the digest of a contract"),
        ({"body": "text"}, "body: expected bytes"),
    ],
)
async def test_a_request_that_cannot_be_signed(tmp_path: Path, given: dict[str, Any], expected: str) -> None:
    home, _ = await two_homes(tmp_path)
    asked: dict[str, Any] = {"method": "GET", "url": "https://acme.example/", "contract": digest_bytes(b"contract")}
    async with Peer.open(home) as peer:
        with pytest.raises(FormatError, match=expected):
            await peer.sign_request(**asked | given)


async def test_what_serves_ends_with_its_peer(tmp_path: Path) -> None:
    """A program with signals of its own waits for these inside the block, and serves beside: it never ended."""
    home, _ = await two_homes(tmp_path)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group, Peer.open(home) as peer:
        serving = group.create_task(peer.serve_forever())
        await asyncio.sleep(0)
        assert not serving.done()
    assert serving.result() is None


async def test_arguments_of_another_shape(tmp_path: Path) -> None:
    async def whole(_: Any) -> dict[str, bool]:
        return {}

    async def empty() -> dict[str, bool]:
        return {}

    home, _ = await two_homes(tmp_path)
    async with Peer.open(home) as peer:
        hire: Any = peer.hire
        anything: Any = 3
        unnamed = Milestone(name=anything, percent=40, criteria=("whole",))
        wrong: list[tuple[str, dict[str, Any]]] = [
            ("inputs", {"inputs": [b"x"]}),
            ("criteria", {"criteria": ["whole"]}),
            ("review", {"review": whole}),
            ("review", {"review": lambda: None, "criteria": {}}),
            ("review", {"review": print, "criteria": {"whole": "all of it"}}),
            ("review: .*empty takes no argument", {"review": empty, "criteria": {"whole": "all of it"}}),
            ("criteria: 'All of it': expected a name", {"criteria": {"All of it": "x"}, "review": whole}),
            ("criteria: 3: expected a name", {"criteria": {3: "x"}, "review": whole}),
            ("criteria: 'whole': Expected `str`", {"criteria": {"whole": 3}, "review": whole}),
            ("approve", {"approve": "yes"}),
            ("approve: .*takes no argument", {"approve": lambda: True}),
            ("price", {"price": 5}),
            ("opening", {"opening": "4"}),
            ("scope", {"scope": {"grants": []}}),
            ("scope", {"scope": []}),
            ("settlement", {"settlement": "manual"}),
            ("settlement/method", {"settlement": Settlement(method=anything)}),
            ("settlement/hook", {"settlement": Settlement(method="manual", hook=anything)}),
            ("settlement/milestones", {"settlement": Settlement(method="manual", milestones=anything)}),
            ("settlement/milestones/0", {"settlement": Settlement(method="manual", milestones=("all",))}),
            ("settlement/milestones/0/name", {"settlement": Settlement(method="manual", milestones=(unnamed,))}),
            ("settlement", {"settlement": Settlement(method="manual", milestones=(peer,))}),
            ("c2pa", {"c2pa": 3}),
            ("c2pa", {"c2pa": "roots.pem"}),
            ("c2pa", {"c2pa": b"-----BEGIN CERTIFICATE-----"}),
            ("subcontracting", {"subcontracting": "1"}),
            ("reworks", {"reworks": None}),
            ("finish_seconds", {"finish_seconds": 1.5}),
            ("decide_seconds", {"decide_seconds": "60"}),
            ("max_bytes", {"max_bytes": "1"}),
            ("continues", {"continues": 3}),
            ("continues", {"continues": "\ud800"}),
            ("sbom", {"sbom": ["SPDX 2.3"]}),
            ("deliverable", {"deliverable": 3}),
            ("at", {"at": 3}),
            ("at", {"at": "globex.example"}),
            ("at", {"at": "ws://globex.example/hire"}),
        ]
        for name, options in wrong:
            with pytest.raises(ConfigurationError, match=f"^bad_configuration: {name}"):
                await hire(PROVIDER, **{"task": "summary", "price": "5 EUR", **options})


@pytest.mark.parametrize("suite", ["eddsa", "ecdsa-jcs-2019", 3])
def test_a_suite_that_the_key_does_not_sign_with(tmp_path: Path, suite: Any) -> None:
    """Which nobody heard before the first message could not be signed."""
    with pytest.raises(ConfigurationError, match="suite: expected eddsa-jcs-2022 or eddsa-rdfc-2022"):
        Peer.open(a_home(tmp_path), suite=suite)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"clock": "noon"}, "clock: expected an object with now"),
        ({"clock": dict}, "clock: expected"),
        ({"strategy": 5}, "strategy: expected an object with answer"),
        ({"books": 5}, "books: expected a URL"),
        ({"ledger_url": Path("ledger.db")}, "ledger_url: expected a URL"),
        ({"handlers": [summarise]}, "handlers: expected functions by the task"),
        ({"budget": 5}, "budget: expected limits"),
        ({"budget": "5 EUR"}, "budget: expected limits"),
        ({"budget": {"unit": "EUR"}}, "budget: expected limits"),
    ],
)
def test_an_option_of_another_kind(tmp_path: Path, options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        Peer.open(a_home(tmp_path), **options)


async def test_a_handler_for_what_is_not_offered(tmp_path: Path) -> None:
    """It would never be called, and whoever asks for that would hear that nobody does it."""
    _, home = await two_homes(tmp_path)
    with pytest.raises(ConfigurationError, match=r"no 'sumary'; they offer 'summary'.*@peer.offers"):
        async with Peer.open(home, handlers={"sumary": summarise, "summary": summarise}):
            pass


async def test_a_start_that_fails_is_tried_again(tmp_path: Path) -> None:
    """With the books that settings name wrongly, after the ledger was opened: that is what the second try says, too."""
    _, home = await two_homes(tmp_path)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="shared by nobody"):
            async with Peer.open(home, books="bookings.db"):
                pass
    async with Peer.open(home, handlers={"summary": summarise}) as peer:
        assert peer.url


async def test_a_port_that_the_did_does_not_name_is_told(tmp_path: Path) -> None:
    """Whoever looks the DID up dials the port in it, and refuses what cannot be proved by what it finds there."""
    _, home = await two_homes(tmp_path)
    named, (other,) = home.configuration.listen.port, free_ports(1)
    settings, told = home.path / "undersigned.toml", []
    for port in (named, other):
        settings.write_text(settings.read_text().replace(f"port = {named}", f"port = {port}"))
        with capture_logs() as logs:
            async with Peer.open(home.path, handlers={"summary": summarise}):
                pass
        told += [(one["looked_for"], one["listens"]) for one in logs if "elsewhere" in one["event"]]
    assert told == [(named, other)]


URL = "https://acme.example/note"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda job: job.act(3, URL), "action: expected text, got 3"),
        (lambda job: job.act("a:b", Path("x")), "target: expected text, got "),
        (lambda job: job.act("a:b", URL, ["EUR"]), "amounts: expected amounts by their units"),
        (lambda job: job.act("a:b", URL, reason=3), "reason: expected text"),
        (lambda job: job.act("a:b", URL, approval_seconds="60"), "approval_seconds: expected a whole number"),
        (lambda job: job.act("a:b", URL, dataClass=["public"]), "dataClass: expected text"),
        (lambda job: job.act("a:b", URL, data_class="public"), "data_class: no such argument, and no fact among data"),
        (lambda job: job.fetch(3, "a:b"), "url: expected text"),
        (lambda job: job.fetch(f"{URL}?", "a:b"), "url: expected no query, or something in it, got .*[?]"),
        (lambda job: job.fetch(URL, "a:b", json={"a": 1}), "json: no such argument, and no fact"),
        (lambda job: job.fetch(URL, "a:b", timeout=3), "timeout: no such argument, and no fact"),
        (lambda job: job.fetch(URL, "a:b", target=3), "target: expected text"),
        (lambda job: job.fetch(URL, "a:b", method=3), "method: expected text such as GET"),
        (lambda job: job.fetch(URL, "a:b", body="text"), "body: expected bytes, into which a text has to be encoded"),
        (lambda job: job.fetch(URL, "a:b", headers=[("a", "b")]), "headers: expected values by the names"),
        (lambda job: job.fetch(URL, "a:b", headers={"a": 1}), "headers: expected text for a, got 1"),
        (lambda job: job.fetch(URL, "a:b", headers={1: "a"}), "headers: expected a field's name as text, got 1"),
        (lambda job: job.fetch(URL, "a:b", max_bytes="1"), "max_bytes: expected a whole number"),
        (lambda job: job.sign("GET", 3), "url: expected text"),
        (lambda job: job.sign("GET", "note"), "url: expected http:// or https://, a host, .*got 'note'"),
        (lambda job: job.sign("GET", f"{URL}#top"), "url: expected http:// or https://, a host, and no fragment"),
        (lambda job: job.fetch("/note", "a:b", target=URL), "url: expected http:// or https://, a host"),
        (lambda job: job.sign("POST", URL, {"a": 1}), "body: expected bytes"),
        (lambda job: job.sign("POST", URL, {}), "body: expected bytes"),
        (lambda job: job.check_answer("GET", 200, (), b""), "sent: expected the method, the URL and the fields"),
        (lambda job: job.check_answer(("GET", URL, 3), 200, (), b""), "sent: expected fields, .*got 3"),
        (lambda job: job.check_answer(("GET", URL, ()), "200", (), b""), "status: expected a whole number"),
        (lambda job: job.check_answer(("GET", URL, ()), 200, {"a": 1}, b""), "fields: expected fields, .*got {'a': 1}"),
        (lambda job: job.check_answer(("GET", URL, ()), 200, (), "text"), "body: expected bytes"),
        (lambda job: job.deliver(["summary.txt"], b"x"), "name: expected text"),
        (lambda job: job.deliver("summary.txt", b"x", ["text/plain"]), "media_type: expected text"),
        (lambda job: job.deliver("other.txt", b"x"), "the contract wants summary.txt; 'other.txt' is none of it"),
        (lambda job: job.read("notes"), "no input 'notes'; the hirer gave report"),
    ],
)
def test_what_a_job_is_asked_for_in_another_kind(open_world: Open, call: Callable[[Any], Any], expected: str) -> None:
    """Python's own error named nothing of it, and came when the action had been booked; of an argument that is no fact
    nobody heard.
    """
    refused: list[str] = []

    async def handler(job: Job) -> None:
        try:
            made = call(job)
            async with made if hasattr(made, "__aenter__") else await made:
                pass
        except FormatError as error:
            refused.append(error.message)
        await job.deliver("summary.txt", b"x")

    scope = Scope(grants=(Grant("notes", "a:b", "https://acme.example/*", limits=(Limit("count", "3"),)),))
    world = open_world(handler=handler)
    name = world.begin(scope=scope).id
    world.settle(10)
    assert last(world.hirer, name, Delivery).usage == ()
    assert len(refused) == 1
    assert re.match(expected, refused[0]), refused


def test_inputs_are_read_by_their_names_and_what_is_delivered_again_counts(open_world: Open) -> None:
    async def handler(job: Job) -> None:
        for name in ("second", "first"):
            await job.deliver("summary.txt", await job.read(name))

    world = open_world(handler=handler)
    name = world.begin(inputs={"first": b"one", "second": b"two"}).id
    world.until("closed", name)
    assert [made.digest for made in last(world.hirer, name, Delivery).artifacts] == [digest_bytes(b"one")]


def test_an_action_that_nobody_was_asked_about(open_world: Open) -> None:
    """`job.act` without `async with` does nothing: what the handler then does is not under the contract."""

    async def deletes(job: Job) -> None:
        job.act("files:delete", "https://acme.example/")
        await summarise(job)

    world = open_world(handler=deletes)
    with capture_logs() as logs:
        name = world.begin().id
        world.settle(10)
    (told,) = [one for one in logs if one["event"] == "work failed"]
    assert "job.act('files:delete', ...) asked nobody" in told["error"]
    assert last(world.hirer, name, Delivery).outcome == "failed"


async def test_a_known_task_is_hired_for_as_our_program_looks_at_it(tmp_path: Path) -> None:
    """As by `undersigned hire`: of what it does not look at it said nothing, and the price was owed whatever came."""
    home, _ = await two_homes(tmp_path)
    async with Peer.open(home) as peer:
        wrong: list[tuple[str, dict[str, Any]]] = [
            ("criteria: the task sbom has criteria of its own", {"criteria": {"mine": "all of it"}}),
            ("inputs: the task sbom needs artifact", {"inputs": {"wheel": b"x"}}),
            ("deliverable: .* looks at sbom.cdx.json", {"deliverable": "bill.json"}),
        ]
        for said, options in wrong:
            with pytest.raises(ConfigurationError, match=f"^bad_configuration: {said}"):
                await peer.hire(PROVIDER, **{"task": "sbom", "price": "5 EUR", "inputs": {"artifact": b"x"}, **options})

        async def mine(_: Any) -> dict[str, bool]:
            return {"mine": True}

        own = {"criteria": {"mine": "all of it"}, "deliverable": "bill.json"}
        await hire_order(peer, PROVIDER, task="sbom", inputs={}, price="5 EUR", review=mine, **own)
        peer.reviewers["sbom"] = mine
        await hire_order(peer, PROVIDER, task="sbom", inputs={}, price="5 EUR", **own)


async def test_a_text_in_place_of_a_path(tmp_path: Path) -> None:
    """A str is the name of a file: of what is no file it is said in short, and what to do with a text."""
    home, _ = await two_homes(tmp_path)
    async with Peer.open(home) as peer:
        for text in ("All is well. " * 1000, "All is\0well."):
            with pytest.raises(
                ConfigurationError, match=r"input report: 'All is.*a text has to be encoded$"
            ) as refused:
                await peer.hire(PROVIDER, task="summary", price="5 EUR", inputs={"report": text})
            assert len(refused.value.message) < 500


async def test_a_peer_that_is_started_twice(tmp_path: Path) -> None:
    """What runs goes on, its port is let go at the end, and then it may be started again."""
    home, _ = await two_homes(tmp_path)
    peer = Peer.open(home)
    async with peer:
        with pytest.raises(LocalProtocolError, match="started already") as refused:
            await peer.start()
        assert refused.value.code == "wrong_state"
        with pytest.raises(LocalProtocolError, match="started already"):
            async with peer:
                pass
        async with ClientSession() as web, web.get(f"{peer.base_url}/.well-known/agent-card.json") as answer:
            assert answer.status == 200
        peer.require_started()
    async with peer:
        peer.require_started()


async def test_a_peer_that_did_not_start_may_be_started_again(tmp_path: Path) -> None:
    home, _ = await two_homes(tmp_path)
    peer = Peer.open(home)
    async with Peer.open(home):
        for _ in range(2):
            with pytest.raises(LedgerUnavailable):
                await peer.start()
    async with peer:
        peer.require_started()


async def test_a_peer_that_is_closed_before_it_was_started(tmp_path: Path) -> None:
    home, _ = await two_homes(tmp_path)
    await Peer.open(home).close()


def test_a_peer_in_another_event_loop(tmp_path: Path) -> None:
    """Nothing is begun there, and it is closed where it was started."""
    with Peer.open_sync(a_home(tmp_path)) as blocking:

        async def hires() -> None:
            await blocking.peer.hire(PROVIDER, task="summary", price="5 EUR")

        for use in (hires, blocking.peer.serve_forever):
            with pytest.raises(LocalProtocolError, match="another event loop") as refused:
                asyncio.run(use())
            assert refused.value.code == "wrong_state"


async def test_a_hire_under_way_is_waited_for_where_its_peer_is(tmp_path: Path) -> None:
    """Who waited elsewhere was woken by nobody, and who cancelled had done so, and heard an error of asyncio's; what
    there is in the end anybody may have.
    """
    goes_on = asyncio.Event()

    async def works(job: Job) -> None:
        await goes_on.wait()
        await summarise(job)

    async def iterates(hire: Hire) -> list[str]:
        return [event.kind async for event in hire]

    async def waits(hire: Hire) -> HireResult:
        return await hire

    provides, hires = await two_homes(tmp_path)
    async with Peer.open(provides) as provider, Peer.open(hires) as hirer:
        provider.offers("summary", price="4.00 EUR", delivers="summary.txt")(works)
        hire = hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
        uses: list[Callable[[Hire], Coroutine[Any, Any, Any]]] = [waits, iterates, Hire.cancel]
        async for event in hire:
            if event.type == "Inquiry":
                break
        waiting = asyncio.ensure_future(hire)
        for use in uses:
            with refuses(LocalProtocolError, "wrong_state"):
                await asyncio.to_thread(lambda use=use: asyncio.run(asyncio.wait_for(use(hire), 30)))
        goes_on.set()
        result = await waiting
        assert await asyncio.to_thread(lambda: asyncio.run(waits(hire))) is result


async def test_a_job_is_used_in_the_event_loop_of_its_peer(tmp_path: Path) -> None:
    """From a thread it delivered beside the handler, and a read ended in an error of asyncio's."""
    refused: list[str] = []

    async def works(job: Job) -> None:
        def elsewhere(use: Any) -> None:
            with refuses(LocalProtocolError, "wrong_state"):
                asyncio.run(use())
            refused.append(use.__name__)

        async def acts() -> None:
            async with job.act("artifact:read", str(job.input("report").uri)):
                pass

        async def delivers() -> None:
            await job.deliver("summary.txt", b"")

        async def reads() -> None:
            await job.read("report")

        for use in (acts, delivers, reads):
            await asyncio.to_thread(elsewhere, use)
        await summarise(job)

    provides, hires = await two_homes(tmp_path)
    async with Peer.open(provides) as provider, Peer.open(hires) as hirer:
        provider.offers("summary", price="4.00 EUR", delivers="summary.txt")(works)
        result = await hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
    assert result["summary.txt"]
    assert refused == ["acts", "delivers", "reads"]


async def test_what_was_delivered_is_found_by_its_name(tmp_path: Path) -> None:
    provides, hires = await two_homes(tmp_path)
    async with Peer.open(provides) as provider, Peer.open(hires) as hirer:
        provider.offers("summary", price="4.00 EUR", delivers="summary.txt")(summarise)
        result = await hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
    assert "summary.txt" in result
    assert "other.txt" not in result
    assert list(result) == ["summary.txt"]
    await result.artifacts.save("summary.txt", str(tmp_path / "out.txt"))
    assert (tmp_path / "out.txt").read_bytes() == result["summary.txt"]


async def test_a_lambda_that_answers_by_itself_is_a_review(tmp_path: Path) -> None:
    """It was called again and again, for nobody awaits a dict, and past the time for it the price was owed."""
    provides, hires = await two_homes(tmp_path)
    async with Peer.open(provides) as provider, Peer.open(hires) as hirer:
        provider.offers("summary", price="4.00 EUR", delivers="summary.txt")(summarise)
        judges: Any = lambda _: {"whole": True}  # noqa: E731
        result = await hirer.hire(
            provider.own.id,
            task="summary",
            inputs={"report": REPORT},
            price="5 EUR",
            criteria={"whole": "all of it"},
            review=judges,
        )
    assert result.criteria == {"whole": True}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"percent": 101}, "schema_violation"),
        ({"percent": "50"}, "schema_violation"),
        ({"percent": 0.5}, "schema_violation"),
        ({"percent": "\ud800"}, "schema_violation"),
        ({"note": 3}, "schema_violation"),
        ({"note": ""}, "schema_violation"),
        ({"cursor": {}}, "schema_violation"),
        ({"cursor": "x" * 257}, "schema_violation"),
        ({"note": "two\nlines"}, "bad_unicode"),
        ({"cursor": "\x1b[31m"}, "bad_unicode"),
    ],
)
def test_progress_that_cannot_be_told_is_refused_at_once(open_world: Open, said: Any, code: str) -> None:
    """Also while it would wait for its turn, when nobody is there to hear it; and the rest is told."""
    refused: list[str] = []

    async def handler(job: Job) -> None:
        await job.progress(percent=1)
        try:
            await job.progress(**said)
        except FormatError as error:
            refused.append(error.code)
        await job.deliver("summary.txt", b"x")

    world = open_world(handler=handler)
    name = world.begin().id
    world.settle(10)
    assert refused == [code]
    assert last(world.hirer, name, Delivery).outcome == "complete"


def test_a_hire_of_the_work_takes_a_scope(open_world: Open) -> None:
    """As `Peer.hire`; of another kind Python's own error named a member of ours."""
    refused: list[str] = []
    anything: Any = {"grants": []}

    async def handler(job: Job) -> None:
        try:
            await job.hire("did:web:nobody.example", task="summary", price="1 EUR", scope=anything)
        except ConfigurationError as error:
            refused.append(error.message)
        await job.deliver("summary.txt", b"x")

    world = open_world(handler=handler)
    world.begin()
    world.settle(10)
    assert refused == ["scope: expected a Scope, got {'grants': []}"]


@pytest.mark.parametrize("media_type", ["text", "text/plain\n", "text/" + "x" * 500, "text/\ud800"])
def test_what_is_no_media_type_is_refused_at_once(open_world: Open, media_type: str) -> None:
    """The work was done, and its delivery could not be said."""
    refused: list[str] = []

    async def handler(job: Job) -> None:
        try:
            await job.deliver("summary.txt", b"x", media_type=media_type)
        except FormatError as error:
            refused.append(error.code)
            await job.deliver("summary.txt", b"x")

    world = open_world(handler=handler)
    name = world.begin().id
    world.settle(10)
    assert refused == ["bad_unicode" if "\ud800" in media_type else "schema_violation"]
    assert last(world.hirer, name, Delivery).outcome == "complete"


def test_nothing_is_done_once_the_work_has_ended(open_world: Open) -> None:
    """It would be kept, and part of nothing; and who asked in the contract's name would be let in."""
    jobs: list[Job] = []

    async def handler(job: Job) -> None:
        jobs.append(job)
        await job.deliver("summary.txt", b"x")

    world = open_world(handler=handler)
    world.begin()
    world.settle(10)
    for late in (
        jobs[0].deliver("summary.txt", b"y"),
        jobs[0].deliver_media("summary.txt", b"y", Authority().signer(), media_type="image/png"),
        jobs[0].send_past_gate(f"https://acme.example/artifacts/{digest_bytes(b'x')}"),
    ):
        with refuses(ScopeError, "contract_expired"):
            world.run(late)


def test_what_is_still_being_kept_when_the_work_ends_is_not_delivered(open_world: Open) -> None:
    """A handler that awaited it too late: what was stated, and what was delivered, were not the same."""
    late: list[asyncio.Task[Any]] = []
    stated = asyncio.Event()

    async def handler(job: Job) -> None:
        await job.deliver("summary.txt", b"x")
        late.append(asyncio.create_task(job.deliver("summary.txt", b"y")))
        await asyncio.sleep(0)

    world = open_world(handler=handler)
    put, state = world.provider.artifacts.put, world.provider.papers.stated

    async def slow(data: bytes, *more: Any) -> Any:
        if data == b"y":
            await stated.wait()
        return await put(data, *more)

    async def statement(*about: Any) -> Any:
        stated.set()
        await asyncio.wait(late)
        return await state(*about)

    world.provider.artifacts.put, world.provider.papers.stated = slow, statement  # type: ignore[method-assign]
    name = world.begin().id
    world.until("closed", name)
    assert isinstance(late[0].exception(), ScopeError)
    assert [made.digest for made in last(world.hirer, name, Delivery).artifacts] == [digest_bytes(b"x")]


@pytest.mark.parametrize(
    ("data", "came"), [({}, "dict"), (None, "NoneType"), ("text", "str: a text has to be encoded")]
)
def test_what_is_delivered_is_bytes_or_a_path(open_world: Open, data: Any, came: str) -> None:
    told: list[str] = []

    async def handler(job: Job) -> None:
        try:
            await job.deliver("summary.txt", data)
        except UndersignedError as error:
            told.append(error.message)
            raise

    world = open_world(handler=handler)
    name = world.begin().id
    world.settle(10)
    assert told == [f"expected bytes or a path; came {came}"]
    assert last(world.hirer, name, Delivery).outcome == "failed"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"data": Path("picture.png")}, "data: expected bytes, got PosixPath"),
        ({"data": "picture"}, "data: expected bytes, got 'picture'"),
        ({"name": "picture"}, "the contract wants summary.txt; 'picture' is none of it"),
        ({"name": "picture", "media_type": "image/png"}, "the contract wants summary.txt; 'picture' is none of it"),
        ({"signer": None}, "signer: expected a MediaSigner, got None"),
        ({"media_type": 5}, "media_type: expected text such as text/plain, got 5"),
    ],
)
def test_media_are_bytes_that_the_contract_wants(open_world: Open, given: dict[str, Any], expected: str) -> None:
    told: list[str] = []

    async def handler(job: Job) -> None:
        try:
            await job.deliver_media(**{"name": "summary.txt", "data": png(), "signer": Authority().signer(), **given})
        except FormatError as error:
            told.append(error.message)
            raise

    world = open_world(handler=handler)
    world.begin()
    world.settle(10)
    assert len(told) == 1
    assert told[0].startswith(expected)


@pytest.mark.parametrize("view", [bytearray, memoryview])
def test_a_buffer_is_delivered_as_it_is_now(open_world: Open, view: Callable[[bytearray], Any]) -> None:
    """Who filled it anew for the next thing was served as one whose bytes are not those of its digest."""

    async def handler(job: Job) -> None:
        buffer = bytearray(b"as it was")
        await job.deliver("summary.txt", view(buffer))
        buffer[:] = b"something"

    world = open_world(handler=handler)
    name = world.begin().id
    world.settle(10)
    (made,) = last(world.hirer, name, Delivery).artifacts
    assert world.run(world.hirer.artifacts.get(made.digest)) == b"as it was"
    assert folded(world.hirer, name).state == "closed"


def test_a_buffer_is_as_large_as_its_bytes(open_world: Open) -> None:
    """A view says how many items it has, of eight bytes each, say."""
    told: list[str] = []

    async def handler(job: Job) -> None:
        try:
            await job.deliver("summary.txt", memoryview(bytes(80)).cast("Q"))
        except UndersignedError as error:
            told.append(error.code)
            raise

    world = open_world(handler=handler)
    world.begin(max_bytes=79)
    world.settle(10)
    assert told == ["too_large"]


@pytest.mark.parametrize("given", [{"name": ""}, {"name": "Acme", "organisation": ""}])
def test_a_state_folder_without_a_name(tmp_path: Path, given: dict[str, str]) -> None:
    options: Any = {"local": True, **given}
    with pytest.raises(ConfigurationError, match="expected 1 to 128 printable characters, got ''"):
        create_home(tmp_path / "acme", **options)
    assert not (tmp_path / "acme").exists()


def test_a_peer_is_closed_where_it_was_started(tmp_path: Path) -> None:
    """Asyncio said "attached to a different loop" of some task of ours, and half of it was closed."""
    hires, provides = asyncio.run(two_homes(tmp_path))
    with Peer.open_sync(provides) as provider, Peer.open_sync(hires) as hirer:
        with pytest.raises(LocalProtocolError, match="another event loop") as refused:
            asyncio.run(hirer.peer.close())
        assert refused.value.code == "wrong_state"
        assert hirer.hire(provider.peer.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR").criteria == {}


async def test_a_hire_that_nobody_awaits_is_told_as_that(tmp_path: Path) -> None:
    """Python named a coroutine of ours, `hire_order`, that the application never called."""
    home, _ = await two_homes(tmp_path)
    async with Peer.open(home) as peer:
        with pytest.warns(RuntimeWarning, match="a hire was neither awaited nor iterated over") as told:
            peer.hire(PROVIDER, task="summary", price="5 EUR")
    assert len(told) == 1


@pytest.mark.parametrize(
    ("need", "told"),
    [
        (Need(code="too_long", member="/validUntil"), "/validUntil (too_long)"),
        (Need(code="opens", member="opens"), "opens"),
        (Need(code="member", member="/price/amount"), "another /price/amount in the terms"),
        (Need(code="capacity", after="2026-11-28T00:00:00Z"), "capacity, free by 2026-11-28T00:00:00Z"),
    ],
)
def test_what_would_change_an_answer_says_what_is_wrong_and_where(need: Need, told: str) -> None:
    assert needed_text(need) == told


@pytest.mark.parametrize("reason", ["i do not want it", 5, ["budget"], "parent"])
async def test_a_hire_is_cancelled_with_a_word_of_the_list(reason: Any, tmp_path: Path) -> None:
    """Before there was a contract it was taken, and never said; afterwards it was a FormatError without the list. That
    the contract above ended is no choice of an owner: the peer says it by itself.
    """
    home, _ = await two_homes(tmp_path)
    async with Peer.open(home) as peer:
        hire = peer.hire(PROVIDER, task="summary", price="5 EUR")
        with pytest.raises(ConfigurationError, match="reason: expected one of no_longer_needed, superseded, budget"):
            await hire.cancel(reason)
        await hire.cancel("budget")
        with pytest.raises(UndersignedError, match="cancelled before anybody was asked: budget"):
            await hire


NOW = "2026-11-28T09:00:00Z"
DESK = "http://127.0.0.1:9400"
READ = {"id": "read", "action": "artifact:read", "target": "https://acme.example/report"}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Scope(grants=Grant(**READ)), "scope: expected a list as grants, got Grant"),
        (lambda: Scope(grants=None), "scope: expected a list as grants, got None"),
        (lambda: Scope(grants=["artifact:read"]), "expected each of grants to be a Grant, got 'artifact:read'"),
        (lambda: Scope(grants=[Prohibition(**READ)]), "expected each of grants to be a Grant, got Prohibition"),
        (lambda: Scope(prohibitions=[Grant(**READ)]), "expected each of prohibitions to be a Prohibition, got Grant"),
        (lambda: Scope(extensions=3), "scope: expected extensions keyed by URI, got 3"),
        (lambda: Scope(extensions={3: 3}), "scope: expected extensions keyed by URI, got 3"),
        (lambda: Scope(extensions={"urn:x": object()}), "scope: extension urn:x is not JSON"),
        (lambda: Scope(extensions={"urn:x": float("nan")}), "scope: extension urn:x is not JSON"),
        (lambda: Scope(critical=3), "scope: expected critical as a list of extensions, got 3"),
        (lambda: Scope(critical=None), "scope: expected critical as a list of extensions, got None"),
        (lambda: Scope(extensions={"urn:x": 1}, critical="urn:x"), "expected critical as a list .*got 'urn:x'"),
        (lambda: Scope(extensions={"urn:x": 1}, critical=[[]]), r"expected critical as a list .*got \[\[\]\]"),
        *(
            (lambda name=name: Grant(**{**READ, name: None}), "clause: expected text in quotes, got NoneType")
            for name in READ
        ),
        (lambda: Limit(None, "5"), "limit: expected text in quotes, got NoneType"),
        (lambda: Limit("count", 10**5000), "expected a decimal amount"),
        (lambda: Grant(**READ, limits=Limit("count", "5")), r"grant read: expected a list of limits, .*got Limit"),
        (lambda: Grant(**READ, limits=["5"]), r"grant read: expected a list of limits, .*got \['5'\]"),
        (lambda: Grant(**READ, limits=5), "grant read: expected a list of limits, .*got 5"),
        (lambda: Grant(**READ, window="today"), "grant read: expected a Window, got 'today'"),
        (lambda: Grant(**READ, conditions=3), "grant read: expected conditions as lists .*got 3"),
        (lambda: Grant(**READ, conditions={"region": [3]}), "grant read: expected conditions as lists .*got {"),
        (lambda: verify_pack("hire.zip", now=NOW), "expected the bytes of a pack, .*got 'hire.zip'"),
        (lambda: Grant(**READ, conditions=b"x"), "grant read: expected conditions as lists .*got b'x'"),
        (lambda: verify_pack(b"", now=3), "now: expected an instant as text, got 3"),
        (lambda: verify_pack(b"", now=NOW, known=None), "known: expected each to be a DidDocument, got None"),
        (lambda: verify_pack(b"", now=NOW, witnesses=["w+1+k"]), "witnesses: .* a NoteVerifier, got 'w"),
    ],
)
def test_a_value_of_another_kind(make: Any, expected: str) -> None:
    """Python's own error named a member of ours; and of a pack's name it was said that what is in it does not hold."""
    with pytest.raises(FormatError, match=expected) as refused:
        make()
    assert refused.value.code == "schema_violation"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        *((lambda given=given: Peer.open(given), "state folder: expected its path") for given in (3, None, b"acme")),
        *((lambda given=given: Peer(given), "home: expected a Home") for given in (3, None, "acme")),
        *(
            (lambda given=given: RemoteDesk(given, "token"), "url: expected a URL")
            for given in (3, "", "127.0.0.1:9400")
        ),
        *((lambda given=given: RemoteDesk(DESK, given), "token: expected text") for given in (3, "", "to\nken")),
        *(
            (lambda given=given: Peer.open_sync(given), "state folder: expected its path")
            for given in ("", "a\0b", "\ud800")
        ),
        (lambda: read_rules("rules.toml"), "rules: expected a table, .*got 'rules.toml'"),
        (lambda: read_rules({"origin": DESK, "\ud800": 1}), "rules.*: expected text without lone surrogates"),
        (lambda: Scope.from_toml(None), "scope: expected a table, got None"),
        (lambda: Scope.from_toml("scope.toml"), "scope: expected a table, got 'scope.toml'"),
        (lambda: Policy.from_toml(None), "policy: expected a table, .*got None"),
        (lambda: Policy.from_toml("policy.toml"), "policy: expected a table, .*got 'policy.toml'"),
        *(
            (lambda given=given: RequestGate(None, given), "rules: expected what read_rules.* returned")
            for given in ({}, "rules.toml")
        ),
        *((lambda given=given: aiohttp_gate(given), "gate: expected a RequestGate") for given in (None, {})),
        (lambda: AsgiGate(a_home, {}), "gate: expected a RequestGate, .*got {}"),
        (lambda: guard("a:b", target="https://acme.example/{x")(a_home), "'https://acme.example/{x' is no format"),
        (lambda: guard("a:b", target="https://acme.example/{}")(a_home), "names '', which is no argument"),
        *(
            (lambda given=given: guard("repo:read", target=PROVIDER)(given), "@guard: expected a function, got")
            for given in (3, int, max, partial(print), Odd)
        ),
        (lambda: guard(3, target="https://acme.example/")(print), "expected an action such as"),
        (
            lambda: guard("repo:read", target=PROVIDER, timeout="3")(a_home),
            "timeout: no such argument, and no fact among",
        ),
        (lambda: guard("repo:read", target=3)(a_home), "expected a text or a function of its arguments, got 3"),
        (lambda: guard("repo:read", target="https://acme.example/", amounts=3)(a_home), "amounts: .*got 3"),
    ],
)
def test_an_argument_of_another_kind(make: Any, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected) as refused:
        make()
    assert refused.value.code == "bad_configuration"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"port": "8101"}, "port: expected a whole number up to 65535, got '8101'"),
        ({"port": 99999}, "port: expected a whole number up to 65535, got 99999"),
        ({"anchors": PROVIDER}, "anchors: expected a list of DIDs, got 'did:web"),
        ({"anchors": [3]}, "anchors: expected a list of DIDs"),
        ({"anchors": ["globex"]}, "anchors: expected a DID such as"),
        ({"offers": ["sbom=4 EUR"]}, "offers: expected a list of offers"),
        ({"domain": 3, "local": False}, "domain: expected text, got 3"),
        ({"policy": 3}, "policy: expected text, got 3"),
        ({"policy": ASKS}, r"policy puts terms to a person, and \[approvers\] has none"),
        ({"policy": ASKS.replace("ask_above", "two_above") + PEOPLE}, "two_above takes two people"),
        ({"policy": f"{ASKS}[approvers]\nann = 3"}, r"\[approvers\]: Expected `str`"),
        ({"policy": f"{ASKS}[approvers]\nann = 'ann'"}, "ann"),
        ({"policy": f"{ASKS}{PEOPLE}[listen]"}, r"expected a table \[policy\]"),
        ({"policy": PEOPLE}, r"expected a table \[policy\]"),
        ({"clock": 3}, r"clock: expected an object with now\(\), got 3"),
        ({"kind": "RSA"}, "kind: expected Ed25519, P-256, P-384, got 'RSA'"),
        ({"kind": []}, r"kind: expected Ed25519, P-256, P-384, got \[\]"),
    ],
)
def test_a_state_folder_that_cannot_be_made_leaves_nothing(
    given: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    """It was written before it was read, and then in the way of the next try, with keys that nobody had asked for."""
    options: Any = {"name": "Acme", "local": True, **given}
    with pytest.raises(ConfigurationError, match=expected):
        create_home(tmp_path / "acme", **options)
    assert not (tmp_path / "acme").exists()
    assert create_home(str(tmp_path / "acme"), name="Acme", local=True).path == tmp_path / "acme"


def test_what_is_no_result_is_not_saved(tmp_path: Path) -> None:
    with Peer.open_sync(a_home(tmp_path)) as peer:
        save: Any = peer.save
        with pytest.raises(ConfigurationError, match=r"result: expected what peer.hire\(\) returned, got 3"):
            save(3, "summary.txt", tmp_path / "out.txt")


@pytest.mark.parametrize("steps", [("3", "x"), ("3.00",), (3,), "34", 3])
def test_steps_that_are_no_prices(steps: Any) -> None:
    """Each negotiation was withdrawn from for it, one after the other."""
    with refuses(FormatError, "schema_violation"):
        Concede(steps=steps)


def test_a_handler_that_takes_no_job(tmp_path: Path) -> None:
    """The first who hired it heard that the work failed."""

    async def handler() -> None: ...

    peer: Any = Peer.open(a_home(tmp_path))
    with pytest.raises(ConfigurationError, match=r"offer x: expected a handler .*handler takes no job"):
        peer.offers("x")(handler)


def test_a_hire_that_nobody_can_start_is_told_as_that(tmp_path: Path) -> None:
    """Part of a cycle, as what a traceback holds is, it was told of as a coroutine of ours that nobody awaited."""
    peer = Peer.open(a_home(tmp_path))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        cycle: list[Any] = [peer.hire(PROVIDER, task="summary", price="5 EUR")]
        cycle.append(cycle)
        del cycle
        gc.collect()
    (warning,) = told
    assert "neither awaited nor iterated over" in str(warning.message)


async def test_a_membership_is_issued_in_a_folder_that_is_named(tmp_path: Path) -> None:
    """As a peer is opened; what `create_home` returned is there in the first run alone."""
    (home, _) = await two_homes(tmp_path)
    assert await issue_membership(str(home.path)) == home.path / "credentials" / "membership.json"
    with refuses(ConfigurationError, "bad_configuration"):
        await issue_membership(3)  # type: ignore[arg-type]
    wrong: list[dict[str, Any]] = [
        {"days": "30"},
        {"days": 1.5},
        {"days": True},
        {"days": 0},
        {"days": -5},
        {"clock": 3},
    ]
    for options in wrong:
        with refuses(ConfigurationError, "bad_configuration"):
            await issue_membership(home, **options)
    with refuses(ConfigurationError, "not_found"):
        await issue_membership(tmp_path / "nobody")


async def test_what_was_not_delivered_names_what_was(tmp_path: Path) -> None:
    provides, hires = await two_homes(tmp_path)
    async with Peer.open(provides) as provider, Peer.open(hires) as hirer:
        provider.offers("summary", price="4.00 EUR", delivers="summary.txt")(summarise)
        result = await hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
        for get in (lambda: result["sumary.txt"], lambda: result.artifacts.size("sumary.txt")):
            with pytest.raises(KeyError, match=r"no 'sumary\.txt' was delivered; there is 'summary\.txt'"):
                get()
        with pytest.raises(KeyError, match=r"no 'sumary\.txt' was delivered"):
            await result.artifacts.save("sumary.txt", tmp_path / "out.txt")


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize("kind", [UndersignedError, ConfigurationError, ScopeError, Odd])
def test_an_error_goes_from_one_process_to_another(
    kind: Callable[..., UndersignedError], again: Callable[[UndersignedError], UndersignedError]
) -> None:
    """A pool of processes that cannot read one ends, with all that it does."""
    error = kind("scope_exceeded", "no grant", path="/a", clause="read-1")
    error.message += "; nobody did"
    error.add_note("in the third attempt")
    read = again(error)
    assert type(read) is type(error)
    assert (str(read), read.args, vars(read)) == (str(error), error.args, vars(error))
    assert read.exit_code == error.exit_code


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_peer_goes_to_no_other_process(tmp_path: Path, again: Callable[[Any], Any]) -> None:
    """The error was about a key, and a copy shared the ledger."""
    home = a_home(tmp_path)
    peer = Peer.open(home)
    with pytest.raises(TypeError, match="opens the state folder in a process of its own"):
        again(peer)
    if again is not copy.copy:
        with pytest.raises(TypeError, match="opens the state folder"):
            again(Peer.open_sync(home))


@pytest.mark.parametrize("name", ["gates", "control"])
async def test_what_is_no_address_to_listen_on(tmp_path: Path, name: str) -> None:
    home, _ = await two_homes(tmp_path)
    peer = Peer.open(home)
    setattr(peer, name, 9000)
    with pytest.raises(ConfigurationError, match=f"{name}: expected text, HOST:PORT, got 9000"):
        await peer.start()
