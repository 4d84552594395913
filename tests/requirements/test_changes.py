"""Two whole peers on real sockets, and a contract that is changed while the work goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from integration.hires import REPORT, Hands, clear_of_an_hours_end, did_of, moves, two_homes, until
from undersigned.contract import ARTIFACT_READ, Criterion, Deadlines, Price, Terms
from undersigned.daemon import Peer
from undersigned.did import DidDocument
from undersigned.encoding import canonicalize, seconds_between, shift
from undersigned.errors import FormatError, LocalProtocolError, PolicyError, ProofError, ScopeError, UndersignedError
from undersigned.messages import Cancel, Delivery, Usage
from undersigned.protocol import presence
from undersigned.runtime import Clock, Conversation, Job, Say, lost_at, rotate_key
from undersigned.runtime.agent.ordering import hire_order
from undersigned.runtime.execution import changes
from undersigned.scope import Action, Grant, Limit, compile_scope, read_scope
from unit.cli.running import run


class Works:
    """Work that reads what it is told to, and ends when it is told to."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.reads: asyncio.Queue[None] = asyncio.Queue()
        self.done: list[bytes | str] = []
        self.may_end = asyncio.Event()
        self.stopped = False

    async def __call__(self, job: Job) -> None:
        self.job = job
        try:
            reading = asyncio.ensure_future(self._read(job))
            await self.may_end.wait()
            reading.cancel()
            await job.deliver("summary.txt", b"done", media_type="text/plain")
        except asyncio.CancelledError:
            self.stopped = True
            raise

    async def _read(self, job: Job) -> None:
        while True:
            await self.reads.get()
            try:
                async with job.act(ARTIFACT_READ, job.input("report").uri or ""):
                    self.done.append("read")
            except ScopeError as error:
                self.done.append(error.code)


class Pair:
    """A hirer, a provider, and their views of one contract that is worked on."""

    def __init__(self, hirer: Peer, provider: Peer, works: Works, ours: Conversation) -> None:
        self.hirer, self.provider, self.works, self.ours = hirer, provider, works, ours
        self.theirs = provider.conversations[ours.id]

    async def both(self, state: str) -> None:
        await until(lambda: {self.ours.engagement.state, self.theirs.engagement.state} == {state})

    async def agree(self, change: Callable[[Terms], Terms]) -> None:
        """The hirer offers this change of the terms, and the provider accepts it."""
        await self.hirer.changes.amend(self.ours, change)
        await until(lambda: self.theirs.engagement.tabled is not None)
        tabled = self.theirs.engagement.tabled
        assert tabled is not None
        await self.provider.changes.accept(self.theirs, tabled.document)
        for one in (self.ours, self.theirs):
            await until(lambda one=one: one.engagement.contract.in_force == tabled.document)

    async def reads(self) -> bytes | str:
        before = len(self.works.done)
        self.works.reads.put_nowait(None)
        await until(lambda: len(self.works.done) > before)
        return self.works.done[-1]


@asynccontextmanager
async def working(folder: Path, *, heartbeat: str = "PT1M", clock: Clock | None = None) -> AsyncIterator[Pair]:
    acme, globex = await two_homes(folder)
    works = Works()
    handlers = {"summary": works}
    async with Peer.open(acme, clock=clock) as hirer, Peer.open(globex, clock=clock, handlers=handlers) as provider:
        order = await hire_order(
            hirer,
            did_of(globex.configuration.listen.port),
            task="summary",
            inputs={"report": REPORT},
            price="5 EUR",
            deliverable="summary.txt",
            criteria={},
        )
        order = replace(order, timing=replace(order.timing, heartbeat=heartbeat))
        ours = await hirer.begin(order)
        await until(lambda: works.job is not None)
        yield Pair(hirer, provider, works, ours)


async def test_what_an_amendment_changes_is_shown_by_clause(tmp_path: Path) -> None:
    """A grant in front of another one was told as a change of both, by their places and by the names of the wire."""

    def wider(terms: Terms) -> Terms:
        scope, base = read_scope(terms.scope), terms.scope.id.removesuffix("#scope")
        (reads,) = scope.grants
        less = replace(reads, limits=(Limit("count", "3"),))
        scope = replace(scope, grants=(Grant("mail", "mail:read", "https://mail.example/*"), less))
        criteria = (Criterion(id="first", text="it is short"), *terms.deliverables[0].criteria)
        deliverable = replace(terms.deliverables[0], criteria=criteria)
        return replace(terms, scope=compile_scope(scope, base), deliverables=(deliverable,))

    async with working(tmp_path) as pair:
        await pair.provider.changes.amend(pair.theirs, wider)
        await until(lambda: pair.ours.engagement.tabled is not None)
        contract = pair.ours.engagement.contract
        assert contract is not None
        shown = await asyncio.to_thread(run, "contract", "show", contract.digest, "--home", pair.hirer.home.path)
        reads = f"artifact:read on {pair.works.job.input('report').uri}"  # type: ignore[union-attr]
        _, *told = shown.out.split("On the table")[1].strip().splitlines()
        assert [line.removeprefix("local |").strip() for line in told] == [
            'deliverables summary.txt criteria first: {"id":"first","text":"it is short"} (in force: nothing)',
            f"May [read-1]: {reads}, at most 3 times (in force: {reads}, at most 4 times)",
            "May [mail]: mail:read on https://mail.example/* (in force: nothing)",
        ]


async def test_a_suspended_contract_gives_no_authority_and_goes_on(tmp_path: Path) -> None:
    """HIRE-LIF-02, HIRE-LIF-03: the action waits while it is suspended, and is done once it goes on."""
    async with working(tmp_path) as pair:
        assert await pair.reads() == "read"
        await pair.hirer.changes.suspend(pair.ours, seconds=600)
        await pair.both("suspended")
        pair.works.reads.put_nowait(None)
        await until(lambda: "refused-action" in pair.theirs.facts)
        assert pair.works.done == ["read"]
        await pair.hirer.changes.resume(pair.ours)
        await until(lambda: pair.works.done == ["read", "read"])
        pair.works.may_end.set()
        await pair.both("closed")


@pytest.mark.parametrize("how", ["suspended", "ended", "amended"])
async def test_what_is_allowed_is_allowed_by_what_is_in_force_once_it_was_decided(tmp_path: Path, how: str) -> None:
    """HIRE-GAT-01: a gate that looks up a list for seconds lets nothing through that was over meanwhile."""
    async with working(tmp_path) as pair:
        hirer, ours = pair.hirer, pair.ours
        require = hirer.gate._require
        assert require is not None
        asked = Action(ARTIFACT_READ, read_scope(ours.offered().terms.scope).grants[0].target)

        async def slow(contract: str) -> None:
            nonlocal how
            await require(contract)
            if how == "suspended":
                await hirer.changes.suspend(ours, seconds=600)
            elif how == "ended":
                await hirer.changes.revoke(ours)
            elif how == "amended":
                how = "amended while it is asked again"
                await pair.agree(clauses("read-1", "other"))
            elif how == "amended while it is asked again":
                how = "nothing"
                await pair.agree(clauses("read-1", "other", "again"))

        hirer.gate._require = slow
        if how == "amended":  # other terms are no end: it is decided by those that are in force now, and once
            permit = await hirer.admit(ours, asked, request=("key", "nonce"))
            assert (permit.decision.clause, how) == ("again", "nothing")
            with pytest.raises(ProofError) as again:
                await hirer.admit(ours, asked, request=("key", "nonce"))
            assert again.value.code == "replayed"
            return
        with pytest.raises(ScopeError) as caught:
            await hirer.admit(ours, asked, request=("key", "nonce"))
        assert (caught.value.code, caught.value.detail["clause"]) == ("contract_expired", "state")
        used = await hirer.ledger.usage(ours.engagement.contract.digest)
        assert set(used.values()) <= {"0"}


async def test_what_a_key_signed_before_it_was_replaced_is_signed_again(tmp_path: Path) -> None:
    """HIRE-PRF-05, HIRE-KEY-07: the provider was away when the contract was suspended, and hears it by the new key."""
    async with working(tmp_path) as pair:
        homes = pair.hirer.home, pair.provider.home
        await pair.provider.close()
        await pair.hirer.changes.suspend(pair.ours, seconds=600)
        await pair.hirer.close()
        id = pair.ours.id
    method = rotate_key(homes[0])
    handlers = {"summary": pair.works}
    async with Peer.open(homes[0].path) as hirer, Peer.open(homes[1], handlers=handlers) as provider:
        await until(lambda: provider.conversations[id].engagement.state == "suspended")
        sent, heard = await moves(hirer.ledger), await moves(provider.ledger)
        (row,) = [row for row in await provider.ledger.rows(id) if row.type == "Suspend"]
    assert sent == heard, "the same content, so the same digests"
    assert method in row.raw.decode()


async def test_an_amendment_below_what_is_used_is_not_agreed_to(tmp_path: Path) -> None:
    """HIRE-LAN-06: neither offered nor accepted; one that allows more is, and the gate goes by it from then on."""

    def limited(count: str):
        def change(terms: Terms) -> Terms:
            (rule,) = terms.scope.grants
            (constraint,) = rule.constraint
            other = replace(rule, constraint=(replace(constraint, right_operand=(count,)),))
            return replace(terms, scope=replace(terms.scope, grants=(other,)))

        return change

    async with working(tmp_path) as pair:
        for _ in range(2):
            assert await pair.reads() == "read"
        with pytest.raises(PolicyError) as below:
            await pair.provider.changes.amend(pair.theirs, limited("1"))
        assert "2 count are used" in below.value.message
        # The hirer's own gate has seen no reading yet, so it may offer that; the provider does not sign it.
        await pair.hirer.changes.amend(pair.ours, limited("1"))
        await until(lambda: pair.theirs.engagement.tabled is not None)
        tabled = pair.theirs.engagement.tabled
        assert tabled is not None
        with pytest.raises(PolicyError):
            await pair.provider.changes.accept(pair.theirs, tabled.document)
        await pair.provider.changes.decline(pair.theirs)
        await until(lambda: pair.ours.engagement.lane == "idle")
        await pair.agree(limited("3"))
        assert [await pair.reads(), await pair.reads()] == ["read", "scope_exceeded"]


async def test_an_amendment_whose_usage_could_not_be_stated_is_not_agreed_to(tmp_path: Path) -> None:
    """HIRE-LAN-06: a `Delivery` has 64 lines of usage, so beside one clause only 63 others are limited."""

    async with working(tmp_path) as pair:
        assert await pair.reads() == "read"
        with pytest.raises(PolicyError, match="would be 65 lines; at most 64"):
            await pair.hirer.changes.amend(pair.ours, clauses(*names(64), action="artifact:list"))
        one_more = clauses("read-1", *names(63), more=(Limit("bytes", "5"),))
        with pytest.raises(FormatError, match="at most 64 limits"):
            await pair.hirer.changes.amend(pair.ours, one_more)
        await pair.agree(clauses("read-1", *names(63)))
        pair.works.may_end.set()
        await pair.both("closed")
        assert [one.clause for one in pair.ours.last("Delivery", Delivery, "provider").usage] == ["read-1"]


def names(count: int) -> list[str]:
    return [f"other{number:02}" for number in range(count)]


def clauses(*ids: str, action: str = ARTIFACT_READ, more: tuple[Limit, ...] = ()) -> Callable[[Terms], Terms]:
    """The one clause of the terms under these names, each with its limits, and the last with `more`."""

    def change(terms: Terms) -> Terms:
        scope = read_scope(terms.scope)
        grants = tuple(replace(scope.grants[0], id=id, action=action) for id in ids)
        grants = (*grants[:-1], replace(grants[-1], limits=(*grants[-1].limits, *more)))
        base = terms.scope.id.rpartition("#")[0]
        return replace(terms, scope=compile_scope(replace(scope, grants=grants), base))

    return change


async def test_a_clause_that_is_counted_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LAN-09: used, it is not left out or made another; and before it is, no other takes its place. Neither side
    offers that, and neither signs it where the other does: its count would begin anew.
    """
    async with working(tmp_path) as pair:
        ours, theirs = pair.hirer.changes, pair.provider.changes
        with pytest.raises(PolicyError, match="another artifact:read is added"):
            await theirs.amend(pair.theirs, clauses("fresh"))
        assert await pair.reads() == "read"
        for change in (
            clauses("fresh"),
            clauses("fresh", action="artifact:list"),
            clauses("read-1", action="mail:send"),
        ):
            with pytest.raises(PolicyError, match="something is used under it"):
                await theirs.amend(pair.theirs, change)
        # By no gate of the hirer; it knows by what the provider states.
        assert await pair.hirer.gate.usage(pair.ours.engagement.contract.digest) == ()
        usage = await pair.provider.gate.usage(pair.theirs.engagement.contract.digest)
        contract = pair.theirs.engagement.contract.digest
        await pair.theirs.ask(lambda _: Say("Progress", {"contract": contract, "number": 1, "usage": usage}))
        await until(lambda: pair.ours.engagement.contract.progress == 1)
        with pytest.raises(PolicyError, match="something is used under it"):
            await ours.amend(pair.ours, clauses("fresh", action="artifact:list"))

        # What a provider signs that keeps to nothing is not accepted.
        with monkeypatch.context() as replaced:
            replaced.setattr(changes, "check_counted", lambda *_: None)
            await theirs.amend(pair.theirs, clauses("fresh"))
        await until(lambda: pair.ours.engagement.tabled is not None)
        with pytest.raises(PolicyError, match="something is used under it"):
            await ours.accept(pair.ours, pair.ours.engagement.tabled.document)
        await ours.decline(pair.ours)
        await until(lambda: pair.theirs.engagement.lane == "idle")
        await pair.agree(clauses("read-1", "fresh"))


def only(id: str, *limits: Limit, action: str = ARTIFACT_READ) -> Callable[[Terms], Terms]:
    """The one clause of the terms under this name, with these limits alone."""

    def change(terms: Terms) -> Terms:
        scope = read_scope(terms.scope)
        grant = replace(scope.grants[0], id=id, action=action, limits=limits)
        return replace(terms, scope=compile_scope(replace(scope, grants=(grant,)), terms.scope.id.rpartition("#")[0]))

    return change


async def test_a_limit_that_is_used_stays_in_its_clause(tmp_path: Path) -> None:
    """HIRE-LAN-09: else it is left out first, and then the clause that has no limit any more, and its count begins anew
    under another name.
    """
    async with working(tmp_path) as pair:
        await pair.agree(only("read-1", Limit("count", "4"), Limit("bytes", "9999")))
        await pair.agree(only("read-1", Limit("count", "4")))  # of bytes nothing is used
        assert await pair.reads() == "read"
        for limits in ((), (Limit("bytes", "9999"),), (Limit("count", "4", "P1D"),)):
            with pytest.raises(PolicyError, match=r"its limit of .* is left out"):
                await pair.provider.changes.amend(pair.theirs, only("read-1", *limits))
        await pair.agree(only("read-1", Limit("count", "1"), Limit("bytes", "9999")))
        assert await pair.reads() == "scope_exceeded"


async def test_a_limit_per_period_stays_for_no_usage_tells_of_it(tmp_path: Path) -> None:
    """HIRE-LAN-09: else the clause is left out first and comes again under another name, in the same period. What is
    counted in all as well is known to be not used.
    """
    day = Limit("count", "1", "P1D")
    async with working(tmp_path, clock=clear_of_an_hours_end()) as pair:
        await pair.agree(only("read-1", day, Limit("count", "4")))
        await pair.agree(only("read-1", Limit("count", "4")))  # nothing is used of either
        await pair.agree(only("read-1", day))
        assert [await pair.reads(), await pair.reads()] == ["read", "scope_exceeded"]
        for change in (only("other", day, action="artifact:list"), only("read-1", Limit("count", "1", "PT1H"))):
            for changes, conversation in ((pair.hirer.changes, pair.ours), (pair.provider.changes, pair.theirs)):
                with pytest.raises(PolicyError, match="is left out, and may be used"):
                    await changes.amend(conversation, change)
        await pair.agree(only("read-1", Limit("count", "2", "P1D"), Limit("count", "1", "PT1H")))
        assert [await pair.reads(), await pair.reads()] == ["read", "scope_exceeded"]


async def test_a_clause_that_is_stated_as_not_used_may_be_left_out(tmp_path: Path) -> None:
    """HIRE-LAN-09: a provider may state a line for each limit, of nothing used as well."""
    async with working(tmp_path) as pair:
        body = {
            "contract": pair.theirs.engagement.contract.digest,
            "number": 1,
            "usage": (Usage(clause="read-1", unit="count", amount="0"),),
        }
        await pair.theirs.ask(lambda _: Say("Progress", body))
        await until(lambda: pair.ours.engagement.contract.progress == 1)
        await pair.agree(clauses("fresh", action="artifact:list"))


async def test_the_application_may_answer_changes_by_itself(tmp_path: Path) -> None:
    """Its word is asked for once: yes seals it, no takes it from the table; without a word nothing is agreed to."""
    async with working(tmp_path) as pair:

        async def dearer_is_refused(_conversation: Conversation, document: object) -> bool:
            terms = getattr(document, "terms", None)
            return terms is not None and terms.price.amount == "4.5"

        pair.hirer.changes.consents = dearer_is_refused
        for price, amount in (("9", "4"), ("4.5", "4.5")):
            await pair.provider.changes.amend(
                pair.theirs, lambda terms, price=price: replace(terms, price=Price(amount=price, currency="EUR"))
            )
            await until(lambda: pair.theirs.engagement.lane == "idle")
            await until(lambda amount=amount: pair.ours.offered().terms.price.amount == amount)
        pair.works.may_end.set()
        await pair.both("closed")


async def test_work_is_stopped_with_the_contract(tmp_path: Path) -> None:
    """HIRE-LIF-23, HIRE-LIF-32: Cancel asks for what there is, in the time agreed on, and gets a signed outcome."""
    async with working(tmp_path) as pair:
        await pair.agree(lambda terms: replace(terms, deadlines=replace(terms.deadlines, wind_down="PT10M")))
        await pair.hirer.cancel(pair.ours)
        await pair.both("closed")
        assert pair.works.stopped
        cancel = pair.theirs.last("Cancel", Cancel, "hirer")
        assert seconds_between(cancel.proof.created, cancel.wind_down) >= 600
        delivery = pair.ours.last("Delivery", object, "provider")  # type: ignore[type-var]
        assert delivery.outcome == "cancelled"  # type: ignore[attr-defined]


async def test_sc_62_work_is_stopped_when_the_contract_is_revoked(tmp_path: Path) -> None:
    """The hirer ends it: the handler is stopped, its next action is refused, and nothing is delivered."""
    async with working(tmp_path) as pair:
        await pair.hirer.changes.revoke(pair.ours)
        await pair.both("closed")
        await until(lambda: pair.works.stopped)
        assert not pair.ours.said("Delivery", "provider")
        with pytest.raises(LocalProtocolError):
            await pair.hirer.changes.resume(pair.ours)


@pytest.mark.parametrize("role", ["hirer", "provider"])
async def test_a_breach_that_was_not_cured_ends_it(tmp_path: Path, role: str) -> None:
    """HIRE-LIF-20: by who claimed it, once `cureBy` has passed; the program does not do it by itself."""
    clock = Hands()
    async with working(tmp_path, heartbeat="PT4H", clock=clock) as pair:
        peer, view = (pair.hirer, pair.ours) if role == "hirer" else (pair.provider, pair.theirs)
        claimed = await peer.changes.claim_breach(view, "read-1", seconds=3600)
        await until(lambda: all(one.engagement.contract.breaches for one in (pair.ours, pair.theirs)))
        clock.ahead = 3590
        with pytest.raises(LocalProtocolError):
            await peer.changes.revoke(view, cause="breach", names=claimed)
        await pair.agree(lambda terms: replace(terms, deadlines=_later(terms.deadlines)))
        clock.ahead = 3610
        await view.settled()
        assert view.engagement.state == "working"
        await peer.changes.revoke(view, cause="breach", names=claimed)
        await pair.both("closed")
        assert [ending.detail for ending in pair.ours.engagement.contract.endings] == ["breach"]


async def test_the_document_by_which_a_delivery_was_judged_is_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-PCK-01: a provider that lists another key after its delivery may say nothing more by that document."""
    async with working(tmp_path) as pair:
        real = pair.hirer.known_document

        def listing_more(did: str, *age: int, **ages: int) -> DidDocument | None:
            found = real(did, *age, **ages)
            if found is None or age or ages or did != pair.provider.identity.did:
                return found  # asked for a message
            return DidDocument(did, canonicalize({**json.loads(found.raw), "alsoKnownAs": ["urn:example:later"]}))

        monkeypatch.setattr(pair.hirer, "known_document", listing_more)
        pair.works.may_end.set()
        await pair.both("closed")
        kept = await pair.hirer.ledger.evidence(pair.ours.id)
        assert any(b"urn:example:later" in blob.raw for blob in kept if blob.kind == "did-document")


def _later(deadlines: Deadlines) -> Deadlines:
    return replace(deadlines, finish=shift(deadlines.finish, 3600), until=shift(deadlines.until, 3600))


async def test_a_provider_that_works_gives_signs_of_life(tmp_path: Path) -> None:
    """HIRE-LIF-24: whatever the work itself says, so that the hirer does not take it for gone."""
    async with working(tmp_path, heartbeat="PT2S") as pair:
        await until(lambda: (pair.ours.engagement.contract or pair).progress >= 4)  # type: ignore[union-attr]
        assert pair.ours.engagement.state == "working"
        pair.works.may_end.set()
        await pair.both("closed")


async def test_a_dispute_needs_an_arbiter_in_the_terms(tmp_path: Path) -> None:
    """HIRE-LIF-21: without one nothing is said, and the contract goes on."""
    async with working(tmp_path) as pair:
        with pytest.raises(UndersignedError) as refused:
            await pair.hirer.changes.dispute(pair.ours, "Too slow.")
        assert refused.value.code == "terms_mismatch"
        assert pair.ours.engagement.state == "working"


async def test_a_connection_that_is_lost_is_noted_and_so_is_its_return(tmp_path: Path) -> None:
    """HIRE-LIF-24: the hirer can tell a provider that is offline, since when, and that it is back; nothing follows."""
    async with working(tmp_path) as pair:
        assert lost_at(pair.ours.facts) is None
        await pair.provider.close()
        await until(lambda: lost_at(pair.ours.facts) is not None)
        seen = presence(pair.ours.engagement, pair.hirer.clock.now(), lost_at(pair.ours.facts))
        assert (seen.word, seen.since) == ("offline", lost_at(pair.ours.facts))
        await pair.provider.start()
        await until(lambda: lost_at(pair.ours.facts) is None)
        assert pair.ours.facts["connection"].startswith("back ")
        assert pair.ours.engagement.state == "working"
        await pair.ours.settled()  # what is noted is stored
        rows = await pair.hirer.ledger.rows(pair.ours.id)
        assert [row.raw.split()[0] for row in rows if row.type == "connection"] == [b"lost", b"back"]
