"""Subcontracts between three running peers: real sockets, real ledgers."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace

from integration.chains import (
    Thinking,
    homes_of,
    peers_of,
    under_a_seal_with_a_member_more,
    under_an_amended_parent,
    with_other_keys,
    without_document,
)
from integration.hires import REPORT, clear_of_an_hours_end, summarise, until
from media import Authority, png
from support import ROOT
from undersigned.attestation import SubcontractLine, WorkPredicate
from undersigned.attestation.media import read_manifest
from undersigned.contract import Price, Subcontracting, Terms
from undersigned.daemon import Hire, HireResult, Peer
from undersigned.daemon.gate_desk import Visit
from undersigned.did import DidDocument, make_document
from undersigned.encoding import Did, canonicalize, digest_bytes, seconds_between, shift
from undersigned.errors import (
    ConfigurationError,
    LedgerUnavailable,
    LocalProtocolError,
    PolicyError,
    ResolutionError,
    ScopeError,
    UndersignedError,
)
from undersigned.evidence import Report, read_archive, verify_pack, write_archive
from undersigned.ledger import Draw, Reservation, open_books, open_ledger
from undersigned.messages import Cancel, Delivery, Offer, Start, Suspend, Terminate, Usage
from undersigned.protocol import Engagement, Reserve
from undersigned.runtime import (
    Conversation,
    Home,
    Job,
    Reviewed,
    SystemClock,
    export_pack,
    generate_key,
    load_engagement,
    rotate_key,
)
from undersigned.runtime.agent import subcontracts
from undersigned.runtime.engagement import waking
from undersigned.runtime.engagement.turn import Booked
from undersigned.runtime.evidence import export
from undersigned.runtime.execution import signs_of_life, work
from undersigned.runtime.fetching.gather import Gatherer
from undersigned.scope import Action, Grant, Limit, Scope, compile_scope, read_scope
from unit.cli.running import Ran, run

FIRST_LINE = REPORT.split(b"\n", 1)[0]


def hiring(did: str, **options):
    """A handler that has `did` do the work under its own contract."""

    async def handler(job: Job) -> None:
        text = await job.read("report")
        made = await job.hire(did, task="summary", inputs={"report": text}, **{"price": "8 EUR", **options})
        await job.deliver("summary.txt", made["summary.txt"])

    return handler


def deep(count: int, **options) -> dict[str, object]:
    return {
        "task": "summary",
        "inputs": {"report": REPORT},
        "price": "10 EUR",
        "subcontracting": count,
        "onward": True,
        **options,
    }


def costs(amount: str) -> Callable[[Terms], Terms]:
    """Terms with another price."""
    return lambda terms: replace(terms, price=Price(amount=amount, currency="EUR"))


async def test_a_provider_hires_under_its_contract(tmp_path: Path) -> None:
    homes = await homes_of(tmp_path, 3)
    asked = {"decide_seconds": 700, "reworks": 2, "max_bytes": 4096, "finish_seconds": 1200, "opening": "6 EUR"}
    handler = hiring(homes[2].configuration.did, summary="its first line", **asked)
    async with peers_of(homes, [None, handler, summarise]) as (acme, globex, initech):
        result = await acme.hire(homes[1].configuration.did, **deep(1))
        assert result["summary.txt"] == FIRST_LINE
        engagements = {s.role: s for s in await globex.ledger.summaries()}
        child = await load_engagement(globex.ledger, engagements["hirer"], globex.identity.did)
        parent = await load_engagement(globex.ledger, engagements["provider"], globex.identity.did)
        inquiry = child.moves[0]
        assert seconds_between(inquiry.respond_by, inquiry.closes_at) == 640, "as its hirer said"
        offered = next(move.document.terms for move in child.moves if isinstance(move, Offer))
        assert (str(offered.price), offered.task.summary, offered.reworks) == ("6 EUR", "its first line", 2)
        assert [item.max_bytes for item in offered.deliverables] == [4096]
        assert seconds_between(offered.deadlines.start, offered.deadlines.finish) == 600
        assert child.engagement.offer.terms.parent == result.contract
        (known,) = parent.engagement.contract.children
        assert (known.outcome, known.contract) == ("review accepted", engagements["hirer"].contract)
        assert await globex.ledger.open_reservations(result.contract) == ()
        usage = await globex.ledger.usage(result.contract)
        assert usage["/EUR@children"] == "8"
        packs = [
            await export_pack(one.ledger, one.artifacts, one.identity.did, engagement)
            for one, engagement in ((globex, parent.engagement.id), (initech, child.engagement.id))
        ]
        delivery = next(move for move in parent.moves if isinstance(move, Delivery))
    check_packs(packs, result.contract, known.contract or "", homes)
    (tmp_path / "above.zip").write_bytes(packs[0])
    told = await asyncio.to_thread(run, "verify", tmp_path / "above.zip", "--explain")
    hired = f"Hired         {known.provider} for summary: closed, contract {known.contract}, its pack holds"
    assert hired in told.out
    (line,) = work_of(delivery).subcontracts
    assert (line.provider, line.contract, line.outcome) == (known.provider, known.contract, "review accepted")
    shown = await asyncio.to_thread(run, "contract", "show", result.contract, "--home", str(homes[1].path))
    assert f"Hired         {known.provider} for summary: review accepted, contract {known.contract}" in shown.out
    shown = await asyncio.to_thread(run, "contract", "show", known.contract or "", "--home", str(homes[2].path))
    assert f"Under         {result.contract}: {homes[1].configuration.did}" in shown.out


async def test_what_a_provider_says_of_whom_it_hired_is_told_as_its_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-TRC-02: it states that the work of others was accepted, which failed; their messages say what came of it."""
    homes = await homes_of(tmp_path, 3)
    did = homes[2].configuration.did

    async def alone(job: Job) -> None:
        with suppress(PolicyError):
            await job.hire(did, task="summary", inputs={"report": await job.read("report")}, price="8 EUR")
        await summarise(job)

    async def fails(_: Job) -> None:
        raise RuntimeError("not today")

    def accepted(**line: Any) -> SubcontractLine:
        return SubcontractLine(**line | {"task": "audit", "outcome": "review accepted"})

    monkeypatch.setattr(work, "SubcontractLine", accepted)
    async with peers_of(homes, [None, alone, fails]) as (acme, globex, _):
        result = await acme.hire(homes[1].configuration.did, **deep(1))
        await until(lambda: not globex.conversations)
        (of,) = [one for one in await globex.ledger.summaries() if one.role == "provider"]
        pack = await export_pack(globex.ledger, globex.artifacts, globex.identity.did, of.engagement)
    (tmp_path / "above.zip").write_bytes(pack)
    digest = digest_bytes(result["summary.txt"])
    told = ("trace", digest, "--home", homes[0].path, "--pack", tmp_path / "above.zip", "--json")
    tree = (await asyncio.to_thread(run, *told)).values[0]["trace"]
    (delivery,) = tree["steps"]
    (step,) = [one for one in delivery["steps"][0]["steps"] if one["kind"] == "subcontract"]
    assert (step["state"], step["text"]) == ("verified", f"summary by {did}: review rejected")
    assert step["why"].endswith(f"the word of {homes[1].configuration.did}: review accepted")


async def test_hire_lim_05_those_below_leave_room_in_the_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LIM-05: 64 may be hired under one contract, and each may say for days that it goes on. In the pack of that
    contract the oldest of it stays out, and it holds; the pack of the hire alone has all.
    """
    for module in (waking, signs_of_life):
        monkeypatch.setattr(module, "progress_seconds", lambda _: 0.0)
    monkeypatch.setattr(export, "MAX_MESSAGES_BELOW", 20)
    homes = await homes_of(tmp_path, 3)

    async def tells(job: Job) -> None:
        for percent in range(1, 31):
            await job.progress(percent=percent)
        await summarise(job)

    def percents(pack: bytes) -> list[int]:
        read = [json.loads(raw) for path, raw in read_archive(pack).items() if path.startswith("transcript/")]
        return sorted(one["percent"] for one in read if one["type"] == "Progress")

    async with peers_of(homes, [None, hiring(homes[2].configuration.did), tells]) as (acme, globex, _):
        await acme.hire(homes[1].configuration.did, **deep(1))
        of = {one.role: one.engagement for one in await globex.ledger.summaries()}
        alone, whole = [
            await export_pack(globex.ledger, globex.artifacts, globex.identity.did, of[role])
            for role in ("hirer", "provider")
        ]
        now = globex.clock.now()
    (below,) = [raw for path, raw in read_archive(whole).items() if path.startswith("subcontracts/")]
    said = percents(alone)
    assert len(said) > 20
    assert 0 < len(percents(below)) < 20
    assert percents(below) == said[-len(percents(below)) :], "the newest"
    for pack in (alone, whole):
        report = verify_pack(pack, now=now)
        assert report.ok, report.steps


async def test_contracts_above_are_verified_by_fresh_did_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-KEY-06: what stands on a document above is a proof on a document, and no older a key speaks for it."""
    asked: list[tuple[Did, float]] = []
    real = Gatherer.documents

    async def documents(self: Gatherer, dids: Iterable[Did], max_age_seconds: float = 3600.0) -> dict[Did, DidDocument]:
        named = tuple(dids)
        asked.extend((did, max_age_seconds) for did in named)
        return await real(self, named, max_age_seconds)

    homes = await homes_of(tmp_path, 3)
    async with peers_of(homes, [None, hiring(homes[2].configuration.did), summarise]) as (acme, _, _):
        monkeypatch.setattr(Gatherer, "documents", documents)
        await hired(acme, homes)
    ages = {age for did, age in asked if did == homes[0].configuration.did}  # whom its provider hires knows it by that
    assert ages == {300}


async def test_a_contract_above_that_was_signed_by_a_new_key_is_taken(tmp_path: Path) -> None:
    """HIRE-KEY-10: by whoever is hired under it, and looked up its hirer just before."""
    homes = await homes_of(tmp_path, 3)
    async with peers_of(homes[1:], [hiring(homes[2].configuration.did), summarise]) as below:
        for _ in range(2):
            async with peers_of([Home(homes[0].path)], [None]) as (acme,):
                await hired(acme, homes)
                known = below[1].known_document(acme.own.id)
                assert known is not None
                assert known.raw_digest == acme.own.raw_digest
            rotate_key(homes[0])


def work_of(delivery: Delivery) -> WorkPredicate:
    """The provider's account of its work."""
    for one in delivery.statements:
        statement = json.loads(base64.b64decode(str(one["payload"])))
        if statement["predicateType"] == WorkPredicate.PREDICATE_TYPE:
            return msgspec.convert(statement["predicate"], WorkPredicate)
    raise AssertionError("no account of the work")


def check_packs(packs: list[bytes], parent: str, child: str, homes: list[Home]) -> None:
    """HIRE-SUB-10: from the parent's pack down, and from the child's up."""
    now = SystemClock().now()
    above, below = (verify_pack(pack, now=now) for pack in packs)
    assert above.ok, above
    assert below.ok, below
    assert f"{child} under it holds" in above.steps[4].detail
    assert f"under {parent}" in below.steps[4].detail
    members = read_archive(packs[0])
    inner = f"subcontracts/{child}.zip"
    within = verify_pack(members[inner], now=now)
    assert within.ok, within
    assert f"under {parent}" in within.steps[4].detail
    # Who shows it had the document of the hirer above, by which that contract is signed.
    root = homes[0].configuration.did
    for pack in (members[inner], packs[1]):
        step = next(one for one in verify_pack(without_document(pack, root), now=now).steps if not one.ok)
        assert (step.number, step.code) == (5, "evidence_invalid")
        assert root in step.detail

    # And by no other key of it: that somebody signed a contract above is shown, and not only said.
    forged = verify_pack(with_other_keys(packs[1], root), now=now)
    step = next(one for one in forged.steps if not one.ok)
    assert (step.number, step.detail.partition(": ")[0]) == (5, "a contract above")

    def with_inside(data: bytes) -> Report:
        changed = {**members, inner: data}
        manifest = json.loads(members["manifest.json"])
        for item in manifest["members"]:
            if item["path"] == inner:
                item["digest"] = digest_bytes(data)
        return verify_pack(write_archive({**changed, "manifest.json": canonicalize(manifest)}), now=now)

    # Another contract's pack, and one whose deepest member was changed, are found out.
    assert next(step.code for step in with_inside(packs[0]).steps if not step.ok) == "evidence_invalid"
    deep = read_archive(members[inner])
    seal = next(name for name in deep if name.endswith("Seal.json"))
    spoiled = write_archive({**deep, seal: deep[seal].replace(b"Seal", b"seal", 1)})
    assert next(step.number for step in with_inside(spoiled).steps if not step.ok) == 5


REPOSITORY = Scope(
    grants=(Grant("read-repo", "repo:read", "https://git.acme.example/app/*", limits=(Limit("count", "5"),)),)
)


def part(action: str, target: str, count: str) -> Scope:
    return Scope(grants=(Grant("part", action, target, limits=(Limit("count", count),)),))


@pytest.mark.parametrize(
    ("allowed", "asked", "clause"),
    [
        ({"subcontracting": 0, "onward": False}, {}, "/terms/subcontracting"),
        ({"subcontracting": 1}, {"subcontracting": 1}, "/terms/subcontracting/depth"),
        ({"onward": False}, {}, "/terms/task/inputs"),
        ({}, {"price": "9.5 EUR"}, "/terms/price"),
        ({}, {"price": "1 USD"}, "/terms/price"),
        ({}, {"scope": part("repo:write", "https://git.acme.example/app/x", "1")}, "part"),
        ({}, {"scope": part("repo:read", "https://git.acme.example/*", "1")}, "part"),
        ({}, {"scope": part("repo:read", "https://git.acme.example/app/x", "6")}, "part"),
    ],
)
async def test_sc_58_a_hire_beyond_the_contract_asks_nobody(
    tmp_path: Path, allowed: dict[str, object], asked: dict[str, object], clause: str
) -> None:
    """HIRE-SUB-03: in each dimension alone, before anything is signed or sent."""
    homes = await homes_of(tmp_path, 2)
    found: list[UndersignedError] = []

    async def handler(job: Job) -> None:
        text = await job.read("report")
        options = {"price": "1 EUR", **asked}
        try:
            await job.hire("did:web:nobody.example", task="summary", inputs={"report": text}, **options)
        except UndersignedError as error:
            found.append(error)
        await job.deliver("summary.txt", b"alone")

    async with peers_of(homes, [None, handler]) as (acme, globex):
        await acme.hire(homes[1].configuration.did, **(deep(1, scope=REPOSITORY) | allowed))
        (error,) = found
        assert isinstance(error, ScopeError)
        assert (error.code, error.detail["clause"]) == ("scope_exceeded", clause)
        assert clause in str(error) or clause == "part", "the log has only what it says"
        assert len(await globex.ledger.summaries()) == 1


async def test_sc_58_the_sum_of_children_never_exceeds_the_parent(tmp_path: Path) -> None:
    """HIRE-SUB-04: four hires at a time for 2 EUR and 2 uses each, where 9 EUR and 5 uses are there: two are made."""
    homes = await homes_of(tmp_path, 3)
    did, ended, above, told = homes[2].configuration.did, list[object](), list[str](), list[Ran]()
    one_by_one = asyncio.Lock()

    async def shown(*more: str) -> None:
        show = ("contract", "show", *above, "--home", homes[1].path, *more)
        async with one_by_one:
            told.append(await asyncio.to_thread(run, *show))

    async def looks(job: Job) -> None:
        await shown()
        await shown("--json")
        await summarise(job)

    async def handler(job: Job) -> None:
        text = await job.read("report")
        above[:] = [job.contract]
        asked = [
            job.hire(
                did,
                task="summary",
                inputs={"report": text, "number": str(number).encode()},
                price="2 EUR",
                scope=part("repo:read", "https://git.acme.example/app/*", "2"),
            )
            for number in range(4)
        ]
        ended.extend(await asyncio.gather(*asked, return_exceptions=True))
        await job.deliver("summary.txt", b"together")

    async with peers_of(homes, [None, handler, summarise]) as (acme, globex, initech):
        initech.offers("summary", price="2 EUR", delivers="summary.txt")(looks)
        result = await acme.hire(homes[1].configuration.did, **deep(1, scope=REPOSITORY))
        refused = [one for one in ended if isinstance(one, UndersignedError)]
        assert len(refused) == 2
        assert {error.code for error in refused} <= {"scope_exceeded", "policy_denied"}
        assert all("capacity" in error.message or error.code == "scope_exceeded" for error in refused)
        contracts = [one for one in await initech.ledger.summaries() if one.contract]
        assert len(contracts) == 2
        usage = await globex.ledger.usage(result.contract)
        assert usage["/EUR@children"] == "4"
        assert usage.get("read-repo/count", "0") == "0"  # it was held and not used
        await shown()
        said = [re.findall(r"Used +\[read-repo\] (.*)", ran.out) for ran in told if not ran.out.startswith("{")]
        assert (len(said), said.pop()) == (3, []), "and nothing once it was given back"
        assert {line for (line,) in said} <= {f"0 times of at most 5; {n} held for hires" for n in "24"}
        held = [ran.values[0]["held"] for ran in told if ran.out.startswith("{")]
        assert {(one["clause"], one["unit"], one["amount"]) for (one,) in held} <= {
            ("read-repo", "count", amount) for amount in "24"
        }


async def test_who_hires_side_by_side_for_more_than_there_is_hears_that(tmp_path: Path) -> None:
    """HIRE-SUB-04: what no hire takes alone, two ask for at once; the money of the contract above has no period."""
    homes = await homes_of(tmp_path, 3)
    did, refused, one_is = homes[2].configuration.did, list[UndersignedError](), asyncio.Event()

    async def handler(job: Job) -> None:
        text = await job.read("report")

        async def hires(number: bytes) -> None:
            try:
                await job.hire(did, task="summary", inputs={"report": text, "number": number}, price="5 EUR")
            except UndersignedError as error:
                refused.append(error)
                one_is.set()

        await asyncio.gather(hires(b"1"), hires(b"2"))
        await job.deliver("summary.txt", b"together")

    async def waits(job: Job) -> None:
        await one_is.wait()
        await summarise(job)

    async with peers_of(homes, [None, handler, summarise]) as (acme, _, initech):
        initech.offers("summary", price="5 EUR", delivers="summary.txt")(waits)
        await acme.hire(homes[1].configuration.did, **deep(1))
        (error,) = refused
        why = "by the contract above: EUR: 0 used and 5 held; 5 more is above the limit of 9"
        # Where one was offered before the other was ordered, that is not even ordered.
        early = "EUR: 10 with this hire is more than the 9 of the contract"
        assert error.message in (f"we withdrew: capacity; {why}", early)


async def test_a_picture_is_demanded_of_the_whole_and_not_of_each_part(tmp_path: Path) -> None:
    """HIRE-ATT-10: what is hired below for a caption delivers no media; the parent's delivery has to have some."""
    homes, root = await homes_of(tmp_path, 3), Authority()

    async def draws(job: Job) -> None:
        text = await job.read("report")
        await job.hire(homes[2].configuration.did, task="summary", inputs={"report": text}, price="8 EUR")
        await job.deliver_media("summary.txt", png(), root.signer(), media_type="image/png")

    pem = x509.load_der_x509_certificate(root.der).public_bytes(Encoding.PEM)
    async with peers_of(homes, [None, draws, summarise]) as (acme, globex, _):
        result = await acme.hire(homes[1].configuration.did, **deep(1, c2pa=[pem]))
        assert read_manifest(result["summary.txt"], "image/png", [root.der]).failures == ()
        engagements = {s.role: s for s in await globex.ledger.summaries()}
        child = await load_engagement(globex.ledger, engagements["hirer"], globex.identity.did)
        assert [ending.detail for ending in child.engagement.contract.endings] == ["accepted"]


async def hired(acme: Peer, homes: list[Home], **options: object) -> HireResult:
    return await acme.hire(homes[1].configuration.did, **deep(1, **options))


class Waiting:
    """A handler that works until it is told to go on."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, job: Job) -> None:
        text = await job.read("report")
        self.began.set()
        await self.go_on.wait()
        await job.deliver("summary.txt", text.split(b"\n", 1)[0])


def the(peer: Peer, role: str) -> Conversation:
    return next(c for c in peer.conversations.values() if c.engagement.role == role)


async def test_what_is_said_to_the_parent_is_said_to_the_child(tmp_path: Path) -> None:
    """HIRE-SUB-06, HIRE-SUB-07: suspended, on again, and the work is finished; nobody says it for the provider, and its
    own word before that is none.
    """
    homes = await homes_of(tmp_path, 3)
    work = Waiting()
    async with peers_of(homes, [None, hiring(homes[2].configuration.did), work]) as (acme, globex, initech):
        hire = asyncio.create_task(hired(acme, homes))
        await asyncio.wait_for(work.began.wait(), 30)
        await acme.changes.suspend(the(acme, "hirer"), seconds=600)
        await until(lambda: the(initech, "provider").engagement.state == "suspended")
        assert the(globex, "hirer").last("Suspend", Suspend).reason == "parent"
        assert the(globex, "hirer").last("Suspend", Suspend).until == the(acme, "hirer").last("Suspend", Suspend).until
        with pytest.raises(ScopeError) as early:
            await globex.changes.resume(the(globex, "hirer"))
        assert early.value.code == "contract_expired"
        assert the(globex, "hirer").engagement.state == "suspended"
        await acme.changes.resume(the(acme, "hirer"))
        await until(lambda: the(initech, "provider").engagement.state == "working")
        work.go_on.set()
        assert (await hire)["summary.txt"] == FIRST_LINE


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_nobody_is_hired_while_it_is_suspended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """HIRE-SUB-07: the work that hires then waits, and goes on with the contract."""
    monkeypatch.setattr(subcontracts, "RETRY_SECONDS", 0.05)
    homes = await homes_of(tmp_path, 3)
    met = list[str]()

    async def middle(job: Job) -> None:
        text = await job.read("report")
        parent = the(globex, "provider")
        hirer, begin = globex.hirer, globex.hirer.begin

        async def suspended() -> None:
            await acme.changes.suspend(the(acme, "hirer"), seconds=600)
            await until(lambda: parent.engagement.state == "suspended")
            met.append("suspended")

        async def begun(order: Any) -> Any:
            if when == "meanwhile" and not met:
                await suspended()
            return await begin(order)

        hirer.begin = begun  # type: ignore[method-assign, assignment]
        if when == "before":
            await suspended()
        hire = job.hire(homes[2].configuration.did, task="summary", inputs={"report": text}, price="8 EUR")
        made = asyncio.ensure_future(anext(aiter(hire)))
        await asyncio.wait({made}, timeout=0.5)
        assert not made.done()
        assert [c.engagement.role for c in globex.conversations.values()] == ["provider"]
        met.append("waited")
        await acme.changes.resume(the(acme, "hirer"))
        await made
        await job.deliver("summary.txt", (await hire)["summary.txt"])

    async with peers_of(homes, [None, middle, summarise]) as (acme, globex, _):
        assert (await hired(acme, homes))["summary.txt"] == FIRST_LINE
        assert met == ["suspended", "waited"]
        assert len(globex.subcontracts._above) <= 1


@pytest.mark.parametrize("when", ["ready", "booked", "accepted-by-provider"])
async def test_a_hire_that_is_negotiated_waits_while_it_is_suspended(tmp_path: Path, when: str) -> None:
    """HIRE-SUB-07: nothing is offered or sealed under it meanwhile; and who asked for the hire hears nothing of it."""
    homes = await homes_of(tmp_path, 3)
    met = list[str]()
    async with peers_of(homes, [None, hiring(homes[2].configuration.did), summarise]) as (acme, globex, _):
        decide, recheck, book = globex.hirer.decide, globex.meeting.recheck, globex.bookings.book

        async def suspended(at: str) -> None:
            if at == when and not met:
                met.append("suspended")
                await acme.changes.suspend(the(acme, "hirer"), seconds=600)
                await until(lambda: the(globex, "provider").engagement.state == "suspended")

        async def rechecked(conversation: Conversation, engagement: Engagement, *terms: Any, **more: Any) -> Any:
            if engagement.role == "hirer":
                await suspended(engagement.state)
            return await recheck(conversation, engagement, *terms, **more)

        async def booked(conversation: Conversation, engagement: Engagement, effect: Any) -> Booked:
            if engagement.role == "hirer" and isinstance(effect, Reserve):
                await suspended("booked")
            return await book(conversation, engagement, effect)

        async def decided(*asked: Any) -> Any:
            said = None
            try:
                said = await decide(*asked)
            finally:
                if said is None and met == ["suspended"]:
                    met.append("waits")
            return said

        globex.hirer.decide, globex.bookings.book = decided, booked  # type: ignore[method-assign]
        globex.meeting.recheck = rechecked  # type: ignore[method-assign]
        hire = asyncio.ensure_future(hired(acme, homes))
        await until(lambda: hire.done() or met == ["suspended", "waits"])
        assert not hire.done()
        assert the(globex, "hirer").engagement.contract is None
        await acme.changes.resume(the(acme, "hirer"))
        assert (await hire)["summary.txt"] == FIRST_LINE


@pytest.mark.parametrize("how", ["cancel", "terminate", "release"])
async def test_a_child_ends_with_its_parent(tmp_path: Path, how: str) -> None:
    """HIRE-SUB-06, HIRE-SUB-07: every ending reaches the child, whose books are closed before the parent's."""
    homes = await homes_of(tmp_path, 3)
    work = Waiting()
    async with peers_of(homes, [None, hiring(homes[2].configuration.did), work]) as (acme, globex, initech):
        hire = asyncio.create_task(hired(acme, homes))
        await asyncio.wait_for(work.began.wait(), 30)
        parent, child, below = the(globex, "provider"), the(globex, "hirer"), the(initech, "provider")
        if how == "cancel":
            await acme.cancel(the(acme, "hirer"))
        elif how == "terminate":
            with pytest.raises(LocalProtocolError, match="by itself"):  # the parent goes on, whatever one would name
                await globex.changes.revoke(child, cause="parent", names=_ending(parent))
            await acme.changes.revoke(the(acme, "hirer"))
        else:

            async def agreed(*_: object) -> bool:
                return True

            globex.changes.consents = agreed
            await acme.changes.release(the(acme, "hirer"), Price(amount="1", currency="EUR"), "enough")
        with pytest.raises(PolicyError) as caught:
            await hire
        assert caught.value.code == ("policy_denied" if how == "cancel" else "upstream_failed")
        await until(lambda: not globex.conversations and not initech.conversations, 40)
        assert [below.engagement.state, child.engagement.state, parent.engagement.state] == ["closed"] * 3
        if how == "cancel":
            assert child.last("Cancel", Cancel).reason == "parent"
        else:
            ending = child.last("Terminate", Terminate)
            assert (ending.cause, ending.names) == ("parent", _ending(parent))
        rows = await globex.ledger.rows(parent.id)
        own = next(row for row in rows if row.type == "Closing" and row.kind == "sent")
        theirs = [row for row in await globex.ledger.rows(child.id) if row.type == "Closing"]
        assert len(theirs) == 2
        over = next(row for row in rows if row.type == "child" and b'outcome":null' not in row.raw)
        assert over.place < own.place
        assert sum(row.type == "child" for row in rows) == 2  # begun, and over
        assert await globex.ledger.open_reservations(parent.engagement.contract.digest) == ()


async def test_what_cannot_be_signed_for_a_child_now_is_said_to_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-SUB-06: the service that keeps the key is away for a moment; the child would go on under no contract."""
    homes = await homes_of(tmp_path, 3)
    work, say, left = Waiting(), Conversation._say, 2
    async with peers_of(homes, [None, hiring(homes[2].configuration.did), work]) as (acme, globex, initech):
        hire = asyncio.create_task(hired(acme, homes))
        await asyncio.wait_for(work.began.wait(), 30)
        child, below = the(globex, "hirer"), the(initech, "provider")

        async def says(self: Conversation, turn: Any, said: Any) -> None:
            nonlocal left
            if self is child and said.type == "Terminate":
                left -= 1
                if left >= 0:
                    raise ConfigurationError("key_unavailable", "the key is away")
            await say(self, turn, said)

        monkeypatch.setattr(Conversation, "_say", says)
        await acme.changes.revoke(the(acme, "hirer"))
        await until(lambda: below.engagement.state == "closed", 30)
        with pytest.raises(PolicyError):
            await hire
        assert left == -1
        assert below.last("Terminate", Terminate).cause == "parent"


def _ending(parent: Conversation) -> str:
    """What ended it: the `Terminate` that was received, or the `Seal` of its release."""
    contract = parent.engagement.contract
    return parent.engagement.cause if contract is None or not contract.endings else contract.endings[0].move


async def test_what_lies_inside_a_parent_that_was_amended_meanwhile_is_shown_to_do_so(tmp_path: Path) -> None:
    """HIRE-SUB-03, HIRE-SUB-10: what the provider asks for lies inside the parent of now and not inside what it was
    shown. So the hirer offers it itself, with that; and the contract is held against what its own offer shows.
    """
    packs = await under_an_amended_parent(tmp_path)
    for pack in packs:
        report = verify_pack(pack, now=SystemClock().now())
        assert report.ok, [(step.number, step.code, step.detail) for step in report.steps if not step.ok]
    offers = [json.loads(data) for path, data in read_archive(packs[0]).items() if path.endswith("-Offer.json")]
    assert [(one["role"], one["document"]["terms"]["price"]["amount"]) for one in offers] == [
        ("hirer", "2"),
        ("provider", "9.5"),
        ("hirer", "9.5"),
    ]


async def test_a_parent_whose_seal_has_a_member_more_is_refused(tmp_path: Path) -> None:
    """HIRE-CTR-10, HIRE-SUB-02: nothing of the offer is recorded that shows it, whoever signed the seal."""
    packs, told = await under_a_seal_with_a_member_more(tmp_path)
    assert packs == []
    assert told is not None
    assert "refused a message of ours (unknown_term)" in told.message
    ledger = await open_ledger(Home(tmp_path / "initech").ledger_url, read_only=True)
    (below,) = await ledger.summaries()
    assert "Offer" not in {row.type for row in await ledger.rows(below.engagement)}
    await ledger.close()


async def test_a_provider_does_not_seal_what_lies_outside_what_it_was_shown(tmp_path: Path) -> None:
    """HIRE-SUB-03: whoever accepts its counter-offer has to show that it lies inside; no pack of the two would hold."""
    with pytest.raises(PolicyError):
        await under_an_amended_parent(tmp_path, accepts=True)
    ledger = await open_ledger(Home(tmp_path / "initech").ledger_url, read_only=True)
    (below,) = await ledger.summaries()
    assert (below.state, below.contract) == ("withdrawn", None)
    assert "Acceptance" in {row.type for row in await ledger.rows(below.engagement)}
    await ledger.close()


@pytest.mark.parametrize("key", ["replaced", "gone"])
async def test_what_was_shown_above_a_hire_stays_so_after_a_key_was_replaced(tmp_path: Path, key: str) -> None:
    """HIRE-SUB-02, HIRE-KEY-07: the hirer of the contract above has another key since, or serves none any more. A
    change of the hire shows the same contract; another one, by the key from before, is not taken.
    """
    homes = await homes_of(tmp_path, 3)
    work, above = Waiting(), homes[0].configuration.did

    async with peers_of(homes, [None, hiring(homes[2].configuration.did), work]) as (acme, globex, initech):
        hire = asyncio.create_task(hired(acme, homes))
        await asyncio.wait_for(work.began.wait(), 30)
        ours, parent, child = the(acme, "hirer"), the(globex, "provider"), the(globex, "hirer")
        theirs = the(initech, "provider")
        await acme.changes.amend(ours, costs("8.5"))
        await until(lambda: parent.engagement.tabled is not None)
        before = parent.engagement.tabled
        documents_of = initech.documents_of

        async def of_now(dids: Collection[str], max_age_seconds: float) -> dict[str, DidDocument]:
            if key == "gone" and above in dids:
                raise ResolutionError("did_unresolvable", "nobody serves it any more")
            keys = {"new": generate_key().public_key}
            raw = canonicalize(make_document(above, authentication=keys, assertion_method=keys))
            found = await documents_of(dids, max_age_seconds)
            return {did: DidDocument(above, raw) if did == above else one for did, one in found.items()}

        initech.documents_of = of_now  # type: ignore[method-assign]
        heard = initech.watchers.listen(theirs.id)
        await globex.changes.amend(child, costs("7"))
        await until(lambda: theirs.engagement.tabled is not None)
        await initech.changes.decline(theirs)
        await until(lambda: child.engagement.lane == "idle")
        assert before is not None
        await globex.changes.accept(parent, before.document)
        await until(lambda: parent.offered().terms.price.amount == "8.5")
        await globex.changes.amend(child, costs("6"))
        async with asyncio.timeout(30):
            while (event := await heard.get()).kind != "refused":
                pass
        assert event.code == ("did_unresolvable" if key == "gone" else "key_not_authorized")
        initech.documents_of = documents_of  # type: ignore[method-assign]  (what can be had later is said again until then)
        work.go_on.set()
        await hire


async def test_an_amendment_waits_for_the_children(tmp_path: Path) -> None:
    """HIRE-SUB-08: what would leave a child outside is not signed while the child is live; what leaves it inside is."""
    homes = await homes_of(tmp_path, 3)
    work = Waiting()

    async with peers_of(homes, [None, hiring(homes[2].configuration.did), work]) as (acme, globex, _):
        hire = asyncio.create_task(hired(acme, homes))
        await asyncio.wait_for(work.began.wait(), 30)
        ours, parent = the(acme, "hirer"), the(globex, "provider")

        async def tabled(amount: str) -> str:
            await acme.changes.amend(ours, costs(amount))
            wanted = ours.engagement.tabled
            assert wanted is not None
            await until(
                lambda: parent.engagement.tabled is not None and parent.engagement.tabled.document == wanted.document
            )
            return wanted.document

        with pytest.raises(ScopeError) as caught:
            await globex.changes.accept(parent, await tabled("7"))
        assert caught.value.code == "scope_exceeded"
        assert parent.engagement.lane == "offered-by-hirer"
        await globex.changes.decline(parent)
        await until(lambda: ours.engagement.lane == "idle")
        with pytest.raises(ScopeError):
            await globex.changes.amend(parent, costs("7.5"))
        await globex.changes.accept(parent, await tabled("8.5"))
        await until(lambda: parent.offered().terms.price.amount == "8.5")
        await globex.changes.revoke(the(globex, "hirer"))
        work.go_on.set()
        with pytest.raises(PolicyError):
            await hire


async def test_sc_58_a_child_costs_no_more_than_is_held_for_it(tmp_path: Path) -> None:
    """HIRE-SUB-04, HIRE-SUB-08: whoever wants the change, though the contract above has room for it. In all else it
    lies inside that (HIRE-SUB-03).
    """
    homes = await homes_of(tmp_path, 3)
    work = Waiting()

    async with peers_of(homes, [None, hiring(homes[2].configuration.did), work]) as (acme, globex, initech):
        hire = asyncio.create_task(hired(acme, homes))
        await asyncio.wait_for(work.began.wait(), 30)
        parent, child, below = the(globex, "provider"), the(globex, "hirer"), the(initech, "provider")
        assert (parent.offered().terms.price.amount, child.offered().terms.price.amount) == ("9", "8")
        with pytest.raises(ScopeError, match="more than is held for it in the contract above"):
            await globex.changes.amend(child, costs("8.5"))
        with pytest.raises(ScopeError, match="/terms/subcontracting"):
            await globex.changes.amend(
                child, lambda terms: replace(terms, subcontracting=Subcontracting(allowed=True, depth=1))
            )
        await initech.changes.amend(below, costs("8.5"))
        await until(lambda: child.engagement.tabled is not None)
        tabled = child.engagement.tabled
        assert tabled is not None
        with pytest.raises(ScopeError, match="more than is held for it in the contract above"):
            await globex.changes.accept(child, tabled.document)
        await globex.changes.decline(child)
        await until(lambda: below.engagement.lane == "idle")
        await globex.changes.amend(child, costs("7"))
        await until(lambda: below.engagement.tabled is not None)
        work.go_on.set()
        await hire


def counted(count: str, day: str = "9") -> tuple[Limit, ...]:
    return Limit("count", count), Limit("count", day, "P1D")


SIX_IN_ALL = Scope(grants=(Grant("read-repo", "repo:read", "https://git.acme.example/app/*", counted("6")),))


def four_in_all(terms: Terms) -> Terms:
    """The same terms with two uses less."""
    scope, base = read_scope(terms.scope), terms.scope.id.removesuffix("#scope")
    grants = [replace(one, limits=counted("4")) if one.id == "read-repo" else one for one in scope.grants]
    return replace(terms, scope=compile_scope(replace(scope, grants=tuple(grants)), base))


class TwoHires:
    """A handler that acts once, and has two hires do the work, each for 4 EUR and two uses, when it is told to."""

    def __init__(self, did: str) -> None:
        self.did = did
        self.began, self.go_on, self.both = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.working = list[Job]()

    async def __call__(self, job: Job) -> None:
        text = await job.read("report")
        async with job.act("repo:read", "https://git.acme.example/app/y"):
            self.began.set()
        await self.go_on.wait()
        scope = Scope(grants=(Grant("part", "repo:read", "https://git.acme.example/app/x", counted("2", "2")),))
        options = {"task": "summary", "price": "4 EUR", "scope": scope}
        hires = [job.hire(self.did, inputs={"report": text, "x": x}, **options) for x in (b"1", b"2")]
        await asyncio.gather(*map(_awaited, hires))

    async def works(self, job: Job) -> None:
        """What each of them does."""
        self.working.append(job)
        if len(self.working) == 2:
            self.both.set()
        await asyncio.Event().wait()


async def test_sc_58_an_amendment_leaves_room_for_all_children_together(tmp_path: Path) -> None:
    """HIRE-SUB-08: each of two would fit under it, and both would not. What is counted per day is not in their way."""
    homes = await homes_of(tmp_path, 3)
    two = TwoHires(homes[2].configuration.did)
    two.go_on.set()
    async with peers_of(homes, [None, two, two.works]) as (acme, globex, initech):
        initech.offers("summary", price="4 EUR", delivers="summary.txt")(two.works)
        hire = asyncio.create_task(hired(acme, homes, scope=SIX_IN_ALL))
        await asyncio.wait_for(two.both.wait(), 30)
        ours, parent = the(acme, "hirer"), the(globex, "provider")
        for change, refused in (
            (costs("7"), "8 are used or held for hires, it allows 7"),
            (four_in_all, "clause read-repo: 5 count are used, the amendment allows 4"),
            (costs("8"), ""),
        ):
            await acme.changes.amend(ours, change)
            await until(lambda: parent.engagement.tabled is not None)
            tabled = parent.engagement.tabled
            assert tabled is not None
            if refused:
                with pytest.raises((ScopeError, PolicyError), match=refused):
                    await globex.changes.accept(parent, tabled.document)
                await globex.changes.decline(parent)
                await until(lambda: ours.engagement.lane == "idle")
            else:
                await globex.changes.accept(parent, tabled.document)
        await until(lambda: parent.offered().terms.price.amount == "8")
        await globex.changes.revoke(parent)
        with pytest.raises(PolicyError):
            await hire


@pytest.mark.parametrize("change", [costs("7"), four_in_all], ids=["price", "limit"])
async def test_sc_58_an_amendment_of_ours_is_weighed_again_before_its_seal(
    tmp_path: Path, change: Callable[[Terms], Terms]
) -> None:
    """HIRE-SUB-08: what was hired after it was offered may not lie inside it."""
    homes = await homes_of(tmp_path, 3)
    two = TwoHires(homes[2].configuration.did)
    async with peers_of(homes, [None, two, two.works]) as (acme, globex, initech):
        initech.offers("summary", price="4 EUR", delivers="summary.txt")(two.works)
        hire = asyncio.create_task(hired(acme, homes, scope=SIX_IN_ALL))
        await asyncio.wait_for(two.began.wait(), 30)
        ours, parent = the(acme, "hirer"), the(globex, "provider")
        before = parent.offered().terms
        await globex.changes.amend(parent, change)
        await until(lambda: ours.engagement.tabled is not None)
        two.go_on.set()
        await asyncio.wait_for(two.both.wait(), 30)
        tabled = ours.engagement.tabled
        assert tabled is not None
        await acme.changes.accept(ours, tabled.document)
        await until(lambda: parent.engagement.lane == "idle")
        assert parent.offered().terms == before
        await globex.changes.revoke(parent)
        with pytest.raises(PolicyError):
            await hire


async def test_sc_58_an_amendment_leaves_room_for_what_a_child_cost_that_is_over(tmp_path: Path) -> None:
    """HIRE-SUB-04, HIRE-SUB-08: it was paid for out of the contract above, which is worth no less from then on."""
    homes = await homes_of(tmp_path, 3)
    below = hiring(homes[2].configuration.did, price="4 EUR")
    made, go_on = asyncio.Event(), asyncio.Event()

    async def handler(job: Job) -> None:
        await below(job)
        made.set()
        await go_on.wait()

    async with peers_of(homes, [None, handler, summarise]) as (acme, globex, initech):
        initech.offers("summary", price="4 EUR", delivers="summary.txt")(summarise)
        hire = asyncio.create_task(hired(acme, homes))
        await asyncio.wait_for(made.wait(), 30)
        parent = the(globex, "provider")
        contract = parent.engagement.contract
        assert contract is not None
        assert not contract.live_children()
        with pytest.raises(ScopeError, match="4 are used or held for hires, it allows 3"):
            await globex.changes.amend(parent, costs("3"))
        await globex.changes.amend(parent, costs("4"))
        go_on.set()
        await hire


@pytest.mark.parametrize(
    ("when", "price", "other", "told"),
    [
        ("accepted", "8", "4 EUR", "9 with this hire is more than the 8"),
        ("accepted", "12", "5 EUR", "10 with this hire is more than the 9"),
        ("while it is weighed", "8", "4 EUR", "9 with this hire is more than the 8"),
    ],
    ids=["accepted", "accepted for more", "weighed"],
)
async def test_sc_58_children_together_lie_inside_what_was_accepted(
    tmp_path: Path, when: str, price: str, other: str, told: str
) -> None:
    """HIRE-SUB-08: a hirer that holds back the seal of an amendment has no more hired meanwhile than it allows, nor
    than what is in force does; nor is more hired between the check of the children and the signature, when status lists
    are fetched.
    """
    homes = await homes_of(tmp_path, 3)
    did, first, accepted, refused = homes[2].configuration.did, asyncio.Event(), asyncio.Event(), list[ScopeError]()

    async def handler(job: Job) -> None:
        text = await job.read("report")
        one = asyncio.ensure_future(job.hire(did, task="summary", inputs={"report": text}, price="5 EUR"))
        await accepted.wait()
        try:
            await job.hire(did, task="summary", inputs={"report": text, "other": b"2"}, price=other)
        except ScopeError as error:
            refused.append(error)
        one.cancel()
        await asyncio.Event().wait()

    async def works(_: Job) -> None:
        first.set()
        await asyncio.Event().wait()

    async def held_back(*_: object) -> None: ...

    async with peers_of(homes, [None, handler, works]) as (acme, globex, initech):
        initech.offers("summary", price="5 EUR", delivers="summary.txt")(works)
        acme.changes._seal = held_back  # type: ignore[method-assign, assignment]
        hire = asyncio.create_task(hired(acme, homes))
        await asyncio.wait_for(first.wait(), 30)
        ours, parent = the(acme, "hirer"), the(globex, "provider")
        await acme.changes.amend(ours, costs(price))
        await until(lambda: parent.engagement.tabled is not None)
        tabled = parent.engagement.tabled
        assert tabled is not None

        async def hired_again() -> None:
            accepted.set()
            await until(
                lambda: bool(refused) or sum(c.engagement.role == "hirer" for c in globex.conversations.values()) > 1
            )

        if when == "accepted":
            await globex.changes.accept(parent, tabled.document)
            await hired_again()
        else:
            recheck = globex.meeting.recheck

            async def slow(conversation: Conversation, *terms: Any, **how: Any) -> Any:
                if conversation is parent:
                    await hired_again()
                return await recheck(conversation, *terms, **how)

            globex.meeting.recheck = slow  # type: ignore[method-assign, assignment]
            await globex.changes.accept(parent, tabled.document)
        (error,) = refused
        assert f"{told} of the contract" in error.message
        assert error.detail["clause"] == "price"
        await globex.changes.revoke(parent)
        with pytest.raises(PolicyError):
            await hire


async def _amended(acme: Peer, globex: Peer, change: Callable[[Terms], Terms], *, sealed: bool = True) -> None:
    """The contract above gets these terms, or would by a seal that its hirer holds back."""

    async def held_back(*_: object) -> None: ...

    if not sealed:
        acme.changes._seal = held_back  # type: ignore[method-assign, assignment]
    ours, parent = the(acme, "hirer"), the(globex, "provider")
    await acme.changes.amend(ours, change)
    await until(lambda: parent.engagement.tabled is not None)
    tabled = parent.engagement.tabled
    assert tabled is not None
    await globex.changes.accept(parent, tabled.document)
    await until(lambda: parent.engagement.lane == "idle" or not sealed)


async def test_what_is_hired_lies_inside_changes_only_while_they_may_come(tmp_path: Path) -> None:
    """HIRE-SUB-08: one that was declined, one in whose place another is, and one that is not accepted yet leave the
    room that there is without.
    """
    homes = await homes_of(tmp_path, 3)
    below = hiring(homes[2].configuration.did, price="9 EUR")
    began, go_on = asyncio.Event(), asyncio.Event()

    async def handler(job: Job) -> None:
        began.set()
        await go_on.wait()
        await below(job)

    async def agrees(*_: object) -> bool:
        return True

    async def undecided(*_: object) -> None: ...

    async with peers_of(homes, [None, handler, summarise]) as (acme, globex, initech):
        initech.offers("summary", price="8.5 EUR", delivers="summary.txt")(summarise)
        hire = asyncio.create_task(hired(acme, homes))
        await asyncio.wait_for(began.wait(), 30)
        ours, parent = the(acme, "hirer"), the(globex, "provider")
        await globex.changes.amend(parent, costs("5"))
        await until(lambda: ours.engagement.tabled is not None)
        await acme.changes.decline(ours)
        await until(lambda: parent.engagement.lane == "idle")
        globex.changes.consents = agrees
        for price in ("6", "9"):
            await acme.changes.amend(ours, costs(price))
            await until(lambda price=price: parent.offered().terms.price.amount == price)
        globex.changes.consents = undecided
        await acme.changes.amend(ours, costs("7"))
        await until(lambda: parent.engagement.tabled is not None)
        go_on.set()
        assert (await hire)["summary.txt"] == FIRST_LINE
        assert globex.subcontracts.shares._weighed == {}


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "accepted"])
async def test_sc_58_an_offer_drawn_up_before_the_contract_above_was_changed_is_not_made(
    tmp_path: Path, sealed: bool
) -> None:
    """HIRE-SUB-03, HIRE-SUB-04, HIRE-SUB-08: it would lie outside, and hold nothing of it."""
    homes = await homes_of(tmp_path, 3)
    none = Subcontracting(allowed=False, depth=0)
    async with peers_of(homes, [None, hiring(homes[2].configuration.did), summarise]) as (acme, globex, _):
        draw_up, changed = globex.papers.offer, asyncio.Event()

        async def slow(*given: Any, **how: Any) -> Any:
            said = await draw_up(*given, **how)
            if not changed.is_set():
                changed.set()
                await _amended(acme, globex, lambda terms: replace(terms, subcontracting=none), sealed=sealed)
            return said

        globex.papers.offer = slow  # type: ignore[method-assign, assignment]
        hire = asyncio.create_task(hired(acme, homes))
        await asyncio.wait_for(changed.wait(), 30)
        await until(lambda: not any(one.engagement.role == "hirer" for one in globex.conversations.values()))
        if not sealed:  # nothing is delivered before the seal that was accepted
            await globex.changes.revoke(the(globex, "provider"))
        with pytest.raises(PolicyError):
            await hire
        (child,) = [one for one in await globex.ledger.summaries() if one.role == "hirer"]
        said = [row.type for row in await globex.ledger.rows(child.engagement) if row.kind == "sent"]
        assert "Offer" not in said
        assert child.state == "withdrawn"


async def test_sc_58_what_an_accepted_change_forbids_is_asked_of_nobody(tmp_path: Path) -> None:
    """HIRE-SUB-03, HIRE-SUB-08: its seal may come at any time, and what was hired would lie outside."""
    homes = await homes_of(tmp_path, 3)
    none = Subcontracting(allowed=False, depth=0)
    refused = list[ScopeError]()
    async with peers_of(homes, [None, None, summarise]) as (acme, globex, initech):
        below = hiring(homes[2].configuration.did)

        @globex.offers("summary", price="9 EUR", delivers="summary.txt")
        async def handler(job: Job) -> None:
            await _amended(acme, globex, lambda terms: replace(terms, subcontracting=none), sealed=False)
            try:
                await below(job)
            except ScopeError as error:
                refused.append(error)
            await asyncio.Event().wait()

        hire = asyncio.create_task(hired(acme, homes))
        await until(lambda: bool(refused))
        assert [(error.code, error.detail["clause"]) for error in refused] == [
            ("scope_exceeded", "/terms/subcontracting")
        ]
        assert await initech.ledger.summaries() == ()
        await globex.changes.revoke(the(globex, "provider"))
        with pytest.raises(PolicyError):
            await hire


async def test_sc_58_an_offer_beyond_the_contract_above_is_refused(tmp_path: Path) -> None:
    """HIRE-SUB-03: its provider hears so, and it is no part of what was said; that we would not accept it either way
    comes after it was taken.
    """
    homes = await homes_of(tmp_path, 3)
    asks = Thinking(Price(amount="9.5", currency="EUR"))
    asks.go_on.set()
    handler = hiring(homes[2].configuration.did, price="10 EUR", opening="2 EUR")
    async with peers_of(homes, [None, handler, summarise]) as (acme, globex, initech):
        initech.bargaining.strategy = asks
        with pytest.raises(PolicyError):
            await hired(acme, homes)
        (child,) = [one for one in await globex.ledger.summaries() if one.role == "hirer"]
        came = [row.type for row in await globex.ledger.rows(child.engagement) if row.kind == "received"]
        assert (child.state, "Offer" in came) == ("withdrawn", False)
        (above,) = [one.contract for one in await globex.ledger.summaries() if one.role == "provider"]
        assert (await globex.ledger.usage(above))["/EUR@children"] == "0", "what our own offer held is back"


@pytest.mark.parametrize("when", ["judged", "signed"])
async def test_sc_58_no_offer_is_accepted_after_the_contract_above_was_changed(tmp_path: Path, when: str) -> None:
    """HIRE-SUB-03: nor is an acceptance signed. It would bind whoever signed it as soon as it is sealed, and its
    provider had made the offer while it lay inside. One that was signed meanwhile is not said.
    """
    homes = await homes_of(tmp_path, 3)
    handler = hiring(homes[2].configuration.did, opening="2 EUR")
    async with peers_of(homes, [None, handler, summarise]) as (acme, globex, _):
        recheck, sign, judged, signed = globex.meeting.recheck, globex.papers.acceptance, list[str](), list[str]()

        async def slow(conversation: Conversation, engagement: Engagement, *given: Any, **how: Any) -> Any:
            decision = await recheck(conversation, engagement, *given, **how)
            if engagement.state == "offered-by-provider" and not judged:
                judged.append(engagement.id)
                if when == "judged":
                    await _amended(acme, globex, costs("5"))
            return decision

        async def noted(engagement: Engagement, *given: Any) -> Any:
            said = await sign(engagement, *given)
            if engagement.id in judged and engagement.id not in signed:
                signed.append(engagement.id)
                await _amended(acme, globex, costs("5"))
            return said

        globex.meeting.recheck = slow  # type: ignore[method-assign, assignment]
        globex.papers.acceptance = noted  # type: ignore[method-assign, assignment]
        with pytest.raises(PolicyError):
            await hired(acme, homes)
        (child,) = [one for one in await globex.ledger.summaries() if one.role == "hirer"]
        assert (judged, child.state) == ([child.engagement], "withdrawn")
        assert signed == ([] if when == "judged" else judged)
        assert "Acceptance" not in [row.type for row in await globex.ledger.rows(child.engagement)]


async def test_a_gate_asks_the_contract_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-SUB-05: at its hirer a child's authority is over as soon as the parent's is, and never beyond its scope."""
    homes = await homes_of(tmp_path, 3)
    work = Waiting()
    scope = part("repo:read", "https://git.acme.example/app/docs/*", "2")
    async with peers_of(homes, [None, hiring(homes[2].configuration.did, scope=scope), work]) as (acme, globex, _):
        hire = asyncio.create_task(hired(acme, homes, scope=REPOSITORY))
        await asyncio.wait_for(work.began.wait(), 30)
        child, now = the(globex, "hirer"), globex.clock.now
        contract = child.engagement.contract
        assert contract is not None
        read = Action("repo:read", "https://git.acme.example/app/docs/x")
        await globex.above.admits(contract.digest, read, now())
        handed = child.last("Start", Start).inputs[0].uri
        await globex.above.admits(contract.digest, Action("artifact:read", handed or ""), now())
        with pytest.raises(ScopeError) as caught:
            await globex.above.admits(contract.digest, Action("repo:write", read.target), now())
        assert caught.value.code == "scope_exceeded"
        # The parent holds what its child may take, so its own work has that much less.
        held = await globex.ledger.usage(child.offered().parent or "")
        assert held["read-repo/count"] == "2"
        say, parent = Conversation._say, the(globex, "provider")

        async def says(self: Conversation, turn: Any, said: Any) -> None:
            if self is child and said.type == "Suspend":
                raise ConfigurationError("key_unavailable", "so it is told later")
            await say(self, turn, said)

        async def looked_up(_: str) -> None:
            await acme.changes.suspend(the(acme, "hirer"), seconds=600)
            await until(lambda: parent.engagement.state == "suspended")

        monkeypatch.setattr(Conversation, "_say", says)
        listing = Visit(contract=contract.digest, action="tools/list", target="")
        for ask in (partial(globex.desk.enter, listing), partial(globex.admit, child, read)):
            await ask()
            with monkeypatch.context() as slow:
                slow.setattr(globex.gate, "_require", looked_up)
                for _ in range(2):  # it ends while others are asked, and has ended
                    with pytest.raises(ScopeError) as caught:
                        await ask()
                    assert (caught.value.code, caught.value.detail["clause"]) == ("contract_expired", "parent")
            assert child.engagement.state == "working"
            await acme.changes.resume(the(acme, "hirer"))
            await until(lambda: parent.engagement.state == "working")
        assert {*(await globex.ledger.usage(contract.digest)).values()} == {"1"}
        await acme.changes.revoke(the(acme, "hirer"))
        with pytest.raises(PolicyError):
            await hire


async def cascading(homes: list[Home], *more: str) -> Process:
    """The provider in the middle, as a process of its own, once it listens."""
    program = [sys.executable, "-m", "integration.cascading", str(homes[1].path), homes[2].configuration.did, *more]
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    with (homes[1].path / "process.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*program, stdout=PIPE, stderr=log, env=env)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
    return process


async def test_killed_in_the_middle_of_a_cascade(tmp_path: Path) -> None:
    """HIRE-SUB-06: the parent's end is stored and the child was not told; after the restart it is, once."""
    homes = await homes_of(tmp_path, 3)
    work = Waiting()
    async with Peer.open(homes[0]) as acme, Peer.open(homes[2], handlers={"summary": work}) as initech:
        process = await cascading(homes, "--dies")
        try:
            hire = asyncio.create_task(hired(acme, homes))
            await asyncio.wait_for(work.began.wait(), 60)
            below = the(initech, "provider")
            await acme.changes.revoke(the(acme, "hirer"))
            assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
            assert below.engagement.state == "working"
            process = await cascading(homes)
            await until(lambda: below.engagement.state == "closed", 60)
            assert below.last("Terminate", Terminate).cause == "parent"
            with pytest.raises(PolicyError):
                await asyncio.wait_for(hire, 60)
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
    ledger = await open_ledger(homes[1].ledger_url, read_only=True)
    try:
        for summary in await ledger.summaries():
            ends = [row for row in await ledger.rows(summary.engagement) if row.type == "Terminate"]
            assert (summary.state, len(ends)) == ("closed", 1)
        assert (await ledger.check()).ok
    finally:
        await ledger.close()


async def test_work_that_begins_again_finds_what_it_had_hired(tmp_path: Path) -> None:
    """HIRE-SUB-09: a provider that is killed while its child works hires nobody twice."""
    homes = await homes_of(tmp_path, 3)
    work = Waiting()
    async with Peer.open(homes[0]) as acme, Peer.open(homes[2], handlers={"summary": work}) as initech:
        process = await cascading(homes)
        try:
            hire = asyncio.create_task(hired(acme, homes))
            await asyncio.wait_for(work.began.wait(), 60)
            process.kill()
            await process.wait()
            process = await cascading(homes)
            work.go_on.set()
            assert (await asyncio.wait_for(hire, 60))["summary.txt"] == FIRST_LINE
            assert len(await initech.ledger.summaries()) == 1
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


async def test_the_program_of_the_guide(tmp_path: Path) -> None:
    """It hires another for a part of its work, as it is written there."""
    homes = await homes_of(tmp_path, 3)
    (text,) = re.findall(
        r"^```python subcontract\n(.*?)^```$", (ROOT / "GUIDE.md").read_text(), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "program.py").write_text(text.replace("did:web:localhost%3A8103", homes[2].configuration.did))
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    async with Peer.open(homes[0]) as acme, Peer.open(homes[2]) as initech:
        initech.offers("summary", price="5 EUR", delivers="summary.txt")(summarise)
        program = [sys.executable, "program.py"]
        process = await asyncio.create_subprocess_exec(*program, cwd=tmp_path, env=env)
        try:
            result = await asyncio.wait_for(hired(acme, homes, task="report"), 60)
            assert result["report.txt"] == b"In short: " + FIRST_LINE
        finally:
            process.terminate()
            await process.wait()


@pytest.mark.parametrize(("per", "left"), [(None, 2), ("P1D", 0)])
async def test_own_actions_and_those_of_children_share_a_limit(tmp_path: Path, per: str | None, left: int) -> None:
    """HIRE-SUB-04: of five uses a child may take two, so three are left; when it is over, what it did not use is back.
    Of a limit per day nobody says what it used, so that is back the next day.
    """
    homes = await homes_of(tmp_path, 3)
    work, acted, refused = Waiting(), list[str](), list[ScopeError]()
    limit = (Limit("count", "5", per),)
    scope = Scope(grants=(Grant("read-repo", "repo:read", "https://git.acme.example/app/*", limits=limit),))
    below = Scope(grants=(Grant("part", "repo:read", "https://git.acme.example/app/x", (Limit("count", "2", per),)),))

    async def act(job: Job) -> None:
        try:
            async with job.act("repo:read", "https://git.acme.example/app/y"):
                acted.append("done")
        except ScopeError as error:
            refused.append(error)

    async def handler(job: Job) -> None:
        text = await job.read("report")
        hire = job.hire(homes[2].configuration.did, task="summary", inputs={"report": text}, price="8 EUR", scope=below)
        made = asyncio.ensure_future(_awaited(hire))
        await work.began.wait()
        for _ in range(4):
            await act(job)
        work.go_on.set()
        await made
        for _ in range(3):
            await act(job)
        await job.deliver("summary.txt", b"together")

    async with peers_of(homes, [None, handler, work], clear_of_an_hours_end()) as (acme, globex, _):
        settle = globex.ledger.settle

        async def slow(id: str, amounts: Mapping[str, str]) -> None:
            await asyncio.sleep(0.3)  # the hire is told to be over no sooner than what is left of it can be taken
            await settle(id, amounts)

        globex.ledger.settle = slow  # type: ignore[method-assign]
        await hired(acme, homes, scope=scope)
    assert len(acted) == 3 + left
    assert [(error.code, error.detail["clause"]) for error in refused] == [("scope_exceeded", "read-repo")] * (4 - left)


async def test_sc_58_one_child_after_another_shares_a_limit_per_day(tmp_path: Path) -> None:
    """HIRE-SUB-04: the first took all of the day and ended, and was interrupted while that was counted; the second gets
    nothing of that day.
    """
    homes = await homes_of(tmp_path, 3)
    limit = (Limit("count", "2", "P1D"),)
    scope = Scope(grants=(Grant("read-repo", "repo:read", "https://git.acme.example/app/*", limits=limit),))
    below = Scope(grants=(Grant("part", "repo:read", "https://git.acme.example/app/x", limits=limit),))
    refused = list[str]()

    async def handler(job: Job) -> None:
        for number in range(2):
            inputs = {"report": await job.read("report"), "number": str(number).encode()}
            try:
                await job.hire(homes[2].configuration.did, task="summary", inputs=inputs, price="2 EUR", scope=below)
            except UndersignedError as error:
                refused.append(str(error))
        await job.deliver("summary.txt", b"together")

    async with peers_of(homes, [None, handler, summarise], clear_of_an_hours_end()) as (acme, globex, initech):
        initech.offers("summary", price="2 EUR", delivers="summary.txt")(summarise)
        settle, failing = globex.ledger.settle, ["held"]

        async def interrupted(id: str, amounts: Mapping[str, str]) -> None:
            if id.endswith(":parent") and failing:
                raise LedgerUnavailable("store_unavailable", failing.pop())
            await settle(id, amounts)

        globex.ledger.settle = interrupted  # type: ignore[method-assign]
        result = await hired(acme, homes, scope=scope)
        await until(lambda: not globex.conversations, 40)
        (text,) = refused
        assert "read-repo/count.P1D" in text
        assert len([one for one in await initech.ledger.summaries() if one.contract]) == 1
        assert await globex.ledger.open_reservations(result.contract) == ()
        usage = await globex.ledger.usage(result.contract)
        assert {key.partition("@")[0]: amount for key, amount in usage.items() if "P1D@2" in key} == {
            "read-repo/count.P1D": "2"
        }
        assert (usage["read-repo/count.P1D@children"], usage["/EUR@children"]) == ("0", "2")


async def test_sc_58_a_child_that_says_it_used_more_than_it_might_takes_no_more(tmp_path: Path) -> None:
    """HIRE-SUB-04: 10^18 of two uses are two, and three of five are left for the contract itself."""
    homes = await homes_of(tmp_path, 3)
    acted = list[str]()

    async def handler(job: Job) -> None:
        text = await job.read("report")
        below = part("repo:read", "https://git.acme.example/app/x", "2")
        await job.hire(homes[2].configuration.did, task="summary", inputs={"report": text}, price="8 EUR", scope=below)
        for _ in range(3):
            async with job.act("repo:read", "https://git.acme.example/app/y"):
                acted.append("done")
        await job.deliver("summary.txt", b"together")

    async with peers_of(homes, [None, handler, summarise]) as (acme, globex, initech):

        async def boasts(_: str) -> tuple[Usage, ...]:
            return (Usage(clause="part", unit="count", amount="9" * 18),)

        initech.gate.usage = boasts  # type: ignore[method-assign]
        result = await hired(acme, homes, scope=REPOSITORY)
        await until(lambda: not globex.conversations, 40)
        assert (await globex.ledger.usage(result.contract))["read-repo/count"] == "5"
    assert len(acted) == 3


async def test_sc_58_a_child_that_said_nothing_has_used_all_that_it_might(tmp_path: Path) -> None:
    """HIRE-SUB-04: what it did, nobody knows; two of the five are gone, and of its price what is owed."""
    homes = await homes_of(tmp_path, 3)
    work, kept = Waiting(), list[tuple[str, str]]()

    async def handler(job: Job) -> None:
        text = await job.read("report")
        below = part("repo:read", "https://git.acme.example/app/x", "2")
        hire = job.hire(homes[2].configuration.did, task="summary", inputs={"report": text}, price="8 EUR", scope=below)
        made = asyncio.ensure_future(_awaited(hire))
        await work.began.wait()
        child, shares = the(peers[1], "hirer"), peers[1].subcontracts.shares
        within = shares.within(child)
        assert within is not None
        await shares.settle(child, within)  # as if it had ended here
        usage = await peers[1].ledger.usage(job.contract)
        kept.extend((key, usage[key]) for key in ("read-repo/count", "/EUR@children"))
        work.go_on.set()
        await made
        await job.deliver("summary.txt", b"together")

    async with peers_of(homes, [None, handler, work]) as peers:
        await hired(peers[0], homes, scope=REPOSITORY)
    assert kept == [("read-repo/count", "2"), ("/EUR@children", "0")]


@pytest.mark.parametrize(("told", "counted"), [("2", "1"), ("1", "2")])
async def test_sc_58_a_child_that_delivered_has_used_what_it_said_and_no_less_than_was_counted(
    tmp_path: Path, told: str, counted: str
) -> None:
    """HIRE-SUB-04: also where it never closes its books."""
    homes = await homes_of(tmp_path, 3)
    kept = list[str]()

    async def held_back(*_: object) -> None: ...

    async def handler(job: Job) -> None:
        text, globex = await job.read("report"), peers[1]
        below = part("repo:read", "https://git.acme.example/app/x", "3")
        hire = job.hire(homes[2].configuration.did, task="summary", inputs={"report": text}, price="8 EUR", scope=below)
        made = asyncio.ensure_future(_awaited(hire))
        await until(lambda: any(one.said("Delivery", "provider") for one in globex.conversations.values()))
        child, shares = the(globex, "hirer"), globex.subcontracts.shares
        within = shares.within(child)
        assert within is not None
        await shares.settle(child, within)  # as if it had ended here
        kept.append((await globex.ledger.usage(job.contract))["read-repo/count"])
        made.cancel()
        await asyncio.Event().wait()

    async with peers_of(homes, [None, handler, summarise]) as peers:
        acme, globex, initech = peers
        usage = globex.gate.usage

        async def says(_: str) -> tuple[Usage, ...]:
            return (Usage(clause="part", unit="count", amount=told),)

        async def counts(contract: str) -> tuple[Usage, ...]:
            below = [one.engagement.contract for one in globex.conversations.values() if one.engagement.role == "hirer"]
            if any(one is not None and one.digest == contract for one in below):
                return (Usage(clause="part", unit="count", amount=counted),)
            return await usage(contract)

        initech.gate.usage, globex.gate.usage = says, counts  # type: ignore[method-assign]
        globex.reviews.review = held_back  # type: ignore[method-assign, assignment]
        hire = asyncio.create_task(hired(acme, homes, scope=REPOSITORY))
        await until(lambda: bool(kept))
        await globex.changes.revoke(the(globex, "provider"))
        with pytest.raises(PolicyError):
            await hire
    assert kept == ["2"]


async def test_sc_58_a_hire_whose_seal_came_too_late_is_counted_whatever_is_left(tmp_path: Path) -> None:
    """HIRE-SUB-04: what was held for it was given back, and is another's now; both signed it all the same. It is none
    that is begun: nobody asks then what the contract above allows, which a new offer has to lie inside.
    """
    homes = await homes_of(tmp_path, 3)
    work = Waiting()
    async with peers_of(homes, [None, hiring(homes[2].configuration.did), work]) as (acme, globex, _):
        hire = asyncio.create_task(hired(acme, homes))
        await asyncio.wait_for(work.began.wait(), 30)
        parent, child, shares = the(globex, "provider"), the(globex, "hirer"), globex.subcontracts.shares
        sealed, contract, offer = child.engagement, child.engagement.contract, child.engagement.offer
        assert contract is not None
        assert offer is not None
        reserve = Reserve(key="", name="contract", digest=offer.digest, until=offer.valid_until)
        assert shares.book(child, sealed, reserve) == Booked(), "it is held since it was offered"
        late = replace(sealed, contract=replace(contract, late_seal=True))
        (wanted,) = shares.book(child, late, reserve).reserve
        ledger, above = globex.ledger, wanted.contract
        await ledger.release(wanted.id)
        now = SystemClock().now()
        other = Reservation(above, "other", (Draw("/EUR@children", "9", "9"),), shift(now, 600), now, "capacity")
        await ledger.reserve(other)
        await ledger.reserve(wanted)
        assert (await ledger.usage(above))["/EUR@children"] == "17"
        await ledger.release("other")
        await acme.changes.suspend(the(acme, "hirer"), seconds=600)
        await until(lambda: parent.engagement.state == "suspended")
        (again,) = shares.book(child, late, reserve).reserve
        assert replace(again, at=wanted.at) == wanted
        with pytest.raises(ScopeError, match="gives no authority now"):
            shares.book(child, late, replace(reserve, digest=contract.digest))
        await acme.changes.revoke(the(acme, "hirer"))
        with pytest.raises(PolicyError):
            await hire


async def test_sc_58_a_child_that_costs_nothing_takes_what_it_used(tmp_path: Path) -> None:
    """HIRE-SUB-04: of a price nothing is held then, and the rest is settled all the same."""
    homes = await homes_of(tmp_path, 3)
    below = part("repo:read", "https://git.acme.example/app/x", "2")
    handler = hiring(homes[2].configuration.did, price="0 EUR", scope=below)
    async with peers_of(homes, [None, handler, summarise]) as (acme, globex, initech):
        initech.offers("summary", price="0 EUR", delivers="summary.txt")(summarise)
        result = await hired(acme, homes, scope=REPOSITORY)
        await until(lambda: not globex.conversations, 40)
        assert await globex.ledger.open_reservations(result.contract) == ()
        assert (await globex.ledger.usage(result.contract))["read-repo/count"] == "0"


async def _awaited(hire: Hire) -> HireResult:
    return await hire


async def test_sc_58_a_child_that_ends_without_a_delivery_takes_what_it_says_as_it_closes(tmp_path: Path) -> None:
    """HIRE-SUB-04: it used one of the two that it might, and the other is there again."""
    homes = await homes_of(tmp_path, 3)
    work = Waiting()

    async def handler(job: Job) -> None:
        text = await job.read("report")
        below = part("repo:read", "https://git.acme.example/app/x", "2")
        did = homes[2].configuration.did
        with pytest.raises(PolicyError):
            await job.hire(did, task="summary", inputs={"report": text}, price="8 EUR", scope=below)
        await job.deliver("summary.txt", b"alone")

    async with peers_of(homes, [None, handler, work]) as (acme, globex, initech):

        async def one(_: str) -> tuple[Usage, ...]:
            return (Usage(clause="part", unit="count", amount="1"),)

        initech.gate.usage = one  # type: ignore[method-assign]
        hire = asyncio.create_task(hired(acme, homes, scope=REPOSITORY))
        await asyncio.wait_for(work.began.wait(), 30)
        await globex.changes.revoke(the(globex, "hirer"))
        result = await hire
        await until(lambda: not globex.conversations, 40)
        assert (await globex.ledger.usage(result.contract))["read-repo/count"] == "1"


async def test_sc_58_what_another_process_books_is_counted(tmp_path: Path) -> None:
    """HIRE-SUB-04: the books of a contract are one, whoever writes in them."""
    homes = await homes_of(tmp_path, 3)
    found: list[UndersignedError] = []

    async def handler(job: Job) -> None:
        text = await job.read("report")
        options = {"task": "summary", "inputs": {"report": text}, "price": "8 EUR"}
        books = await open_books(homes[1].ledger_url)
        draws = (Draw("/EUR@children", "2", "9"),)
        now = SystemClock().now()
        await books.reserve(
            Reservation(
                contract=job.contract, id="elsewhere", draws=draws, until=shift(now, 600), at=now, kind="capacity"
            )
        )
        try:
            await job.hire(homes[2].configuration.did, **options)
        except ScopeError as error:
            found.append(error)
        await books.release("elsewhere")
        await books.close()
        made = await job.hire(homes[2].configuration.did, **options)
        await job.deliver("summary.txt", made["summary.txt"])

    async with peers_of(homes, [None, handler, summarise]) as (acme, _, initech):
        await hired(acme, homes)
        assert len(await initech.ledger.summaries()) == 1
    assert [(error.code, error.detail["clause"]) for error in found] == [("scope_exceeded", "price")]


async def test_what_a_child_delivered_before_a_restart_is_reviewed_after_it(tmp_path: Path) -> None:
    """The work begins again, and says once more how what it hired is to be reviewed: nobody says meanwhile that it
    could not be.
    """
    homes = await homes_of(tmp_path, 3)
    did, began, reviewed = homes[2].configuration.did, asyncio.Event(), 0

    async def reviews(_: Reviewed) -> dict[str, bool]:
        nonlocal reviewed
        reviewed += 1
        if reviewed == 1:
            began.set()
            await asyncio.Event().wait()
        return {"short": True}

    work = {"summary": hiring(did, criteria={"short": "is one line"}, review=reviews)}
    async with Peer.open(homes[0]) as acme, Peer.open(homes[2], handlers={"summary": summarise}):
        async with Peer.open(homes[1], handlers=work):
            hire = asyncio.create_task(hired(acme, homes))
            await asyncio.wait_for(began.wait(), 30)
        async with Peer.open(homes[1], handlers=work) as globex:
            assert (await asyncio.wait_for(hire, 60))["summary.txt"] == FIRST_LINE
            (child,) = [s for s in await globex.ledger.summaries() if s.role == "hirer"]
            rows = await globex.ledger.rows(child.engagement)
            assert not [row for row in rows if row.type == "review-failed"]
    assert reviewed == 2


async def test_a_child_of_work_that_was_delivered_waits_for_no_reviewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun again, the work did without it, and nobody says any more how to check it: that is put to people."""
    monkeypatch.setattr(subcontracts, "RETRY_SECONDS", 0.02)
    homes, began = await homes_of(tmp_path, 3), asyncio.Event()

    async def reviews(_: Reviewed) -> dict[str, bool]:
        began.set()
        return await asyncio.Event().wait() or {}

    async def alone(job: Job) -> None:
        await job.deliver("summary.txt", FIRST_LINE)

    review: dict[str, object] = {"criteria": {"short": "is one line"}, "review": reviews}
    hires = hiring(homes[2].configuration.did, **review)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[2], handlers={"summary": summarise}):
        async with Peer.open(homes[1], handlers={"summary": hires}):
            hire = asyncio.create_task(hired(acme, homes, **review))
            await asyncio.wait_for(began.wait(), 30)
        async with Peer.open(homes[1], handlers={"summary": alone}) as globex:
            await until(lambda: "review-failed" in the(globex, "hirer").facts)
            assert the(globex, "provider").engagement.state == "delivered"
        hire.cancel()
        await asyncio.gather(hire, return_exceptions=True)


async def test_a_store_that_cannot_be_read_as_a_child_ends_loses_no_delivery(tmp_path: Path) -> None:
    """How the child ended is noted as soon as it can be read; what was made of it is delivered after that."""
    homes, left = await homes_of(tmp_path, 3), 2
    async with peers_of(homes, [None, hiring(homes[2].configuration.did), summarise]) as (acme, globex, _):
        stored = globex.ledger.summary

        async def away(engagement: str) -> Any:
            nonlocal left
            found = await stored(engagement)
            if found is not None and found.role == "hirer":
                left -= 1
                if left >= 0:
                    raise LedgerUnavailable("store_unavailable", "it is away")
            return found

        globex.ledger.summary = away  # type: ignore[method-assign]
        result = await asyncio.wait_for(hired(acme, homes), 30)
        (parent,) = [s for s in await globex.ledger.summaries() if s.role == "provider"]
        loaded = await load_engagement(globex.ledger, parent, globex.identity.did)
        assert left < 0
    delivery = next(move for move in loaded.moves if isinstance(move, Delivery))
    assert [line.outcome for line in work_of(delivery).subcontracts] == ["review accepted"]
    assert result["summary.txt"] == FIRST_LINE
