"""Credentials that are issued anew while a contract runs: it is suspended, the holder shows again, and it goes on.

Acme hires Globex, which takes one contract at a time; both are daemons on real sockets, and their organisations issue
and withdraw by the commands or what is under them. The work reads its input twice, and between the two something
happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from integration.commands import undersigned
from integration.hires import REPORT, Hands, assert_one_contract_or_none, did_of, free_ports, until
from undersigned.credentials import Credential, credential_jwt, enveloped_credential, read_credential
from undersigned.daemon import HireResult, Peer
from undersigned.encoding import Instant, canonicalize, shift
from undersigned.errors import CredentialError, PolicyError, ScopeError
from undersigned.messages import Presentation, recorded_message
from undersigned.proof import proofs_of
from undersigned.protocol import waits
from undersigned.runtime import Conversation, Home, Job, OfferPart, Wallet, create_home
from undersigned.runtime.engagement.stand_ins import stand_ins

pytestmark = [pytest.mark.timeout(60)]


class Pair:
    """Both companies, and the work that waits in its middle."""

    def __init__(self, folder: Path) -> None:
        acme_port, globex_port = free_ports(2)
        self.folder = folder
        self.clock = Hands()
        self.go = asyncio.Event()
        self.began = asyncio.Event()
        offer = OfferPart(
            task="summary",
            handler="integration.hires:summarise",
            price="4.00 EUR",
            delivers="summary.txt",
            capacity=1,
        )
        self.homes = tuple(
            create_home(
                folder / name,
                name=name,
                local=True,
                port=port,
                anchors=(f"{did_of(other)}:org",),
                max_price="10 EUR" if not offers else None,
                offers=offers,
            )
            for name, port, other, offers in (
                ("acme", acme_port, globex_port, ()),
                ("globex", globex_port, acme_port, (offer,)),
            )
        )

    async def work(self, job: Job) -> None:
        first = await job.read("report")
        self.began.set()
        await self.go.wait()
        assert await job.read("report") == first
        await job.deliver("summary.txt", first.split(b"\n", 1)[0])

    async def start(self) -> None:
        acme, globex = self.homes
        self.globex = Peer.open(globex, clock=self.clock, handlers={"summary": self.work})
        self.acme = Peer.open(acme, clock=self.clock)
        for peer in (self.globex, self.acme):
            await peer.start()
            peer.status_watch.every_seconds = 3600.0  # the tests look themselves

    async def hired(self) -> tuple[asyncio.Task[HireResult], Conversation, Conversation]:
        provider = self.globex.identity.did
        task = asyncio.create_task(self._hire(provider))
        await asyncio.wait_for(self.began.wait(), 20)
        (acme,) = self.acme.conversations.values()
        (globex,) = self.globex.conversations.values()
        return task, acme, globex

    async def _hire(self, provider: str) -> HireResult:
        return await self.acme.hire(provider, task="summary", inputs={"report": REPORT}, price="5.00 EUR")

    def fresh_lists(self) -> None:
        """As after the `ttl` of the lists that were looked at."""
        for peer in (self.acme, self.globex):
            peer.statuses._kept.clear()

    async def looked(self, peer: Peer, conversation: Conversation) -> None:
        """One look of the watch, and the end of what it opened beside the contract."""
        await peer.status_watch.look(conversation)
        await until(self.quiet)

    def quiet(self) -> bool:
        return all(len(one.conversations) == 1 for one in (self.acme, self.globex))


@asynccontextmanager
async def pair(folder: Path) -> AsyncIterator[Pair]:
    found = Pair(folder)
    try:
        yield found
    finally:
        await found.acme.close()
        await found.globex.close()


def issue(home: Home, now: Instant, *, seconds: int = 86_400, kind: str = "MembershipCredential") -> Credential:
    register = home.register()
    try:
        did, claims = home.configuration.did, {"memberOf": register.issuer}
        made = register.issue(kind, did, claims, now=now, until=shift(now, seconds))
        return read_credential(made)
    finally:
        register.close()


def put(home: Home, credential: Credential) -> None:
    Wallet(home).keep(credential)


def withdraw(home: Home, credential: Credential, now: Instant) -> None:
    register = home.register()
    register.revoke(str(credential.json["id"]), now)
    register.close()


async def kinds(peer: Peer, engagement: str) -> list[str]:
    rows = await peer.ledger.rows(engagement)
    return [row.type for row in rows if row.kind in ("sent", "received")]


async def refusal(peer: Peer, conversation: Conversation) -> str:
    contract = conversation.engagement.contract
    assert contract is not None
    try:
        await peer.status_watch.require(contract.digest)
    except ScopeError as error:
        return error.code
    return ""


async def renewed(world: Pair) -> tuple[asyncio.Task[HireResult], Conversation, Credential, Credential]:
    """A hire that works on by what the provider was issued anew: the first credential, which is withdrawn, and that."""
    acme_home, globex_home = world.homes
    put(acme_home, issue(acme_home, world.clock.now()))
    first, second = issue(globex_home, world.clock.now()), issue(globex_home, world.clock.now())
    put(globex_home, first)
    await world.start()
    task, acme, _ = await world.hired()
    put(globex_home, second)
    withdraw(globex_home, first, world.clock.now())
    world.fresh_lists()
    await world.looked(world.acme, acme)
    return task, acme, first, second


async def test_the_provider_is_withdrawn_and_issued_anew(tmp_path: Path) -> None:
    """HIRE-REN-01 to HIRE-REN-04, HIRE-STA-09: by the command, without a restart of anybody."""
    async with pair(tmp_path) as world:
        _, globex_home = world.homes
        first = [issue(home, world.clock.now()) for home in world.homes]
        for home, one in zip(world.homes, first, strict=True):
            put(home, one)
        await world.start()
        task, acme, globex = await world.hired()
        contract = acme.engagement.contract
        assert contract is not None

        withdraw(globex_home, first[1], world.clock.now())
        world.fresh_lists()
        world.go.set()
        assert await refusal(world.acme, acme) == "revoked"
        await world.looked(world.acme, acme)
        await until(lambda: acme.engagement.state == globex.engagement.state == "suspended")
        assert "Suspend" in await kinds(world.globex, globex.id)
        assert not task.done(), "the work waits: its reading is refused, and it is not over"
        (beside,) = {one.engagement for one in await world.acme.ledger.summaries()} - {acme.id}
        assert "Withdraw" in await kinds(world.acme, beside)
        assert "renewed" not in acme.facts

        anew = issue(globex_home, world.clock.now())
        (tmp_path / "member.json").write_bytes(canonicalize(anew.shown))
        arguments = ("credentials", "add", "member.json", "--home", globex_home.path)
        ended = await asyncio.to_thread(undersigned, *arguments, folder=tmp_path)
        assert ended.code == 0, ended
        await world.looked(world.acme, acme)
        assert await refusal(world.acme, acme) == ""
        assert world.acme.meeting.relied(acme, "provider") == (anew,)

        result = await task
        assert result.contract == contract.digest
        assert result["summary.txt"] == REPORT.split(b"\n", 1)[0]
        said = await kinds(world.acme, acme.id)
        assert [one for one in said if one in ("Suspend", "Resume", "Terminate")] == ["Suspend", "Resume"]
    assert await assert_one_contract_or_none(*world.homes) == {None, contract.digest}


@pytest.mark.parametrize("when", ["looked up", "refused"])
async def test_a_pause_that_is_over_before_the_gate_has_answered(tmp_path: Path, when: str) -> None:
    """HIRE-LIF-02: suspended while the gate looks something up, and resumed at once, or before the refusal is recorded:
    the work goes on as if it had waited.
    """
    async with pair(tmp_path) as world:
        for home in world.homes:
            put(home, issue(home, world.clock.now()))
        await world.start()
        task, acme, globex = await world.hired()
        gate, met = world.globex.gate, list[str]()
        admit, refuse = gate.admit, gate.refuse

        async def suspended(*asked: Any, **more: Any) -> Any:
            permit = await admit(*asked, **more)
            if not met:
                met.append("suspended")
                await world.acme.changes.suspend(acme, seconds=600)
                await until(lambda: globex.engagement.state == "suspended")
                if when == "looked up":
                    await resumed()
            return permit

        async def resumed() -> None:
            met.append("resumed")
            await world.acme.changes.resume(acme)
            await until(lambda: globex.engagement.state == "working")

        async def recorded(*asked: Any) -> None:
            await refuse(*asked)
            await resumed()

        gate.admit, gate.refuse = suspended, recorded  # type: ignore[method-assign]
        world.go.set()
        assert (await task)["summary.txt"] == REPORT.split(b"\n", 1)[0]
        assert met == ["suspended", "resumed"]


async def test_a_contract_is_suspended_for_a_time_and_its_owners_word_stands(tmp_path: Path) -> None:
    """HIRE-REN-05: once, until after our own wait; and what the owner suspended is not resumed by a credential."""
    async with pair(tmp_path) as world:
        first = [issue(home, world.clock.now()) for home in world.homes]
        for home, one in zip(world.homes, first, strict=True):
            put(home, one)
        await world.start()
        task, acme, _ = await world.hired()
        withdraw(world.homes[1], first[1], world.clock.now())
        world.fresh_lists()
        for _ in range(2):
            await world.looked(world.acme, acme)
        (said,) = [
            (recorded_message(row.raw).message, row.at)
            for row in await world.acme.ledger.rows(acme.id)
            if row.type == "Suspend"
        ]
        assert said[0].reason == "revoked"  # type: ignore[attr-defined]
        ended = shift(said[1], int(world.acme.status_watch.renewal_seconds))
        assert ended < said[0].until < acme.offered().terms.deadlines.until  # type: ignore[attr-defined]
        (wait,) = [one for one in waits(acme.engagement) if one.name == "suspension"]
        assert wait.by == said[0].until  # type: ignore[attr-defined]

        await world.acme.changes.resume(acme)
        await world.acme.changes.suspend(acme, seconds=3000)
        put(world.homes[1], issue(world.homes[1], world.clock.now()))
        world.clock.ahead = 30
        await world.looked(world.acme, acme)
        assert await refusal(world.acme, acme) == ""
        await world.acme.status_watch.look(acme)
        assert acme.engagement.state == "suspended"
        await world.acme.changes.resume(acme)
        world.go.set()
        await task


async def test_what_stands_in_its_place_is_known_after_a_restart(tmp_path: Path) -> None:
    """HIRE-REN-02: and can be withdrawn in its turn, which ends the contract for good if nothing comes."""
    async with pair(tmp_path) as world:
        task, acme, first, second = await renewed(world)
        assert await refusal(world.acme, acme) == ""

        task.cancel()
        await world.acme.close()
        await world.acme.start()
        world.acme.status_watch.every_seconds = 3600.0
        (again,) = world.acme.conversations.values()
        assert world.acme.meeting.relied(again, "provider") == (second,)
        assert await refusal(world.acme, again) == ""

        withdraw(world.homes[1], second, world.clock.now())
        world.fresh_lists()
        world.acme.status_watch.renewal_seconds = 20.0
        await world.looked(world.acme, again)
        assert again.engagement.state == "suspended"
        world.clock.ahead = 25
        await world.acme.status_watch.look(again)
        await until(lambda: not world.globex.conversations)
        (move,) = [
            recorded_message(row.raw).message
            for row in await world.acme.ledger.rows(again.id)
            if row.type == "Terminate"
        ]
        assert (move.cause, move.evidence) == ("revoked", (first.digest, second.digest))  # type: ignore[attr-defined]


async def test_two_presentations_at_once_renew_what_each_of_them_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-REN-02: the one that was judged last had taken back what the other one renewed."""
    async with pair(tmp_path) as world:
        (other, home), now = world.homes, world.clock.now()
        put(other, issue(other, now))
        kinds = ("MembershipCredential", "AuditCredential")
        first, later = ([issue(home, now, kind=kind) for kind in kinds] for _ in range(2))
        put(home, first[0])
        await world.start()
        task, acme, _ = await world.hired()
        meeting, both = world.acme.meeting, asyncio.Barrier(2)
        read = meeting.verified(acme.id)
        assert read is not None
        shown = [replace(read, credentials=(one,)) for one in later] + [replace(read, credentials=tuple(first))]

        async def evaluate(*_: Any) -> Any:
            await both.wait()
            return SimpleNamespace(outcome="allow")

        monkeypatch.setattr(meeting, "evaluate", evaluate)
        monkeypatch.setattr(meeting, "verified", lambda _: shown.pop() if shown else read)
        meeting.renewed(acme)
        assert meeting.relied(acme, "provider") == tuple(first)
        presented = acme.last("Presentation", Presentation, "provider")
        await asyncio.gather(*(world.acme.renewals.take(acme.engagement, presented) for _ in later))
        assert {one.credential["id"] for one in stand_ins(acme)} == {one.json["id"] for one in later}
        world.go.set()
        await task


async def test_what_stands_in_its_place_carries_no_other_terms(tmp_path: Path) -> None:
    """Decision 0362: the owner hears why; the contract goes on as it is."""
    async with pair(tmp_path) as world:
        task, acme, _, second = await renewed(world)
        assert world.acme.meeting.relied(acme, "provider") == (second,)

        with pytest.raises(CredentialError) as refused:
            await world.acme.changes.amend(acme, lambda terms: replace(terms, reworks=2))
        assert refused.value.code == "revoked"
        assert "what was issued anew since carries no other terms" in refused.value.message
        world.go.set()
        assert "summary.txt" in await task


async def test_the_hirers_ends_and_the_provider_waits(tmp_path: Path) -> None:
    """HIRE-REN-01, HIRE-REN-03: the provider's own gate refuses, the hirer comes and shows what it has now."""
    async with pair(tmp_path) as world:
        acme_home, globex_home = world.homes
        put(acme_home, issue(acme_home, world.clock.now(), seconds=30))
        put(globex_home, issue(globex_home, world.clock.now()))
        await world.start()
        task, acme, globex = await world.hired()
        world.clock.ahead = 35
        world.go.set()
        assert await refusal(world.globex, globex) == "policy_denied"
        await world.globex.status_watch.look(globex)
        assert globex.engagement.state == "working"
        put(acme_home, issue(acme_home, world.clock.now()))
        assert world.acme.renewals.has_news(acme)
        await world.looked(world.acme, acme)
        assert await refusal(world.globex, globex) == ""
        assert not world.acme.renewals.has_news(acme), "it was shown, and is not shown again at each look"
        assert (await task)["summary.txt"]
        refused = [row for row in await world.globex.ledger.rows(globex.id) if row.type == "refused-action"]
        assert len(refused) <= 1, "a wait is one refusal"


async def test_what_ends_soon_is_asked_for_before(tmp_path: Path) -> None:
    """HIRE-REN-03: a contract longer than its credentials is never suspended."""
    async with pair(tmp_path) as world:
        acme_home, globex_home = world.homes
        put(acme_home, issue(acme_home, world.clock.now()))
        first = issue(globex_home, world.clock.now(), seconds=50)
        put(globex_home, first)
        await world.start()
        task, acme, _ = await world.hired()
        await world.looked(world.acme, acme)
        assert world.acme.meeting.relied(acme, "provider") == (first,), "there was nothing new"
        put(globex_home, issue(globex_home, world.clock.now()))
        world.clock.ahead = 30
        await world.looked(world.acme, acme)
        world.clock.ahead = 55
        assert await refusal(world.acme, acme) == ""
        world.go.set()
        await task


async def test_what_is_not_issued_anew_renews_nothing(tmp_path: Path) -> None:
    """HIRE-REN-01, HIRE-STA-09: another organisation's word, believed or not, is not what the terms name."""
    async with pair(tmp_path) as world:
        acme_home, globex_home = world.homes
        put(acme_home, issue(acme_home, world.clock.now()))
        first = issue(globex_home, world.clock.now())
        put(globex_home, first)
        await world.start()
        task, acme, _ = await world.hired()
        withdraw(globex_home, first, world.clock.now())
        register = acme_home.register()
        now, did = world.clock.now(), globex_home.configuration.did
        other = register.issue(
            "MembershipCredential", did, {"memberOf": register.issuer}, now=now, until=shift(now, 3600)
        )
        register.close()
        (file,) = (globex_home.path / "credentials").glob("*.json")
        file.write_bytes(canonicalize(other))
        world.fresh_lists()
        await world.looked(world.acme, acme)
        assert await refusal(world.acme, acme) == "revoked"
        assert "renewed" not in acme.facts
        world.acme.status_watch.renewal_seconds = 0.0
        await world.acme.status_watch.look(acme)
        with pytest.raises(PolicyError):
            await task


async def test_whoever_has_nothing_new_is_asked_more_and_more_seldom(tmp_path: Path) -> None:
    """HIRE-REN-03: looked at every 30 seconds, and asked once more before the contract ends for it."""
    async with pair(tmp_path) as world:
        first = [issue(home, world.clock.now()) for home in world.homes]
        for home, one in zip(world.homes, first, strict=True):
            put(home, one)
        await world.start()
        task, acme, _ = await world.hired()
        world.acme.status_watch.every_seconds = 30.0
        withdraw(world.homes[1], first[1], world.clock.now())
        world.fresh_lists()
        asked: list[int] = []
        for seconds in range(0, 300, 30):
            world.clock.ahead = seconds
            before = len(await world.acme.ledger.summaries())
            await world.looked(world.acme, acme)
            if len(await world.acme.ledger.summaries()) > before:
                asked.append(seconds)
        assert asked == [0, 30, 90, 210, 270]
        assert acme.engagement.state == "suspended"
        world.clock.ahead = 305
        await world.acme.status_watch.look(acme)
        with pytest.raises(PolicyError):
            await task
        assert "Terminate" in await kinds(world.acme, acme.id)


async def test_a_clock_that_was_set_back_keeps_nobody_from_asking(tmp_path: Path) -> None:
    """HIRE-REN-03: it would have waited until the clock came to where it had been."""
    async with pair(tmp_path) as world:
        first = [issue(home, world.clock.now()) for home in world.homes]
        for home, one in zip(world.homes, first, strict=True):
            put(home, one)
        await world.start()
        task, acme, _ = await world.hired()
        world.acme.status_watch.every_seconds = 30.0
        withdraw(world.homes[1], first[1], world.clock.now())
        world.fresh_lists()
        asked: list[int] = []
        for seconds in (100, 110, 10):
            world.clock.ahead = seconds
            before = len(await world.acme.ledger.summaries())
            await world.looked(world.acme, acme)
            if len(await world.acme.ledger.summaries()) > before:
                asked.append(seconds)
        assert asked == [100, 10]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_signed_texts_are_shown_once(tmp_path: Path) -> None:
    """HIRE-REN-03: a `vc+jwt` that was shown is nothing new, and nothing is opened beside the contract."""
    async with pair(tmp_path) as world:
        for home in world.homes:
            put(home, as_text(home, issue(home, world.clock.now()), world.clock.now()))
        await world.start()
        task, acme, globex = await world.hired()
        for peer, conversation in ((world.acme, acme), (world.globex, globex)):
            assert not peer.renewals.has_news(conversation)
            await world.looked(peer, conversation)
            assert "renewed" not in conversation.facts
            assert len(await peer.ledger.summaries()) == 1
        world.go.set()
        await task


def as_text(home: Home, credential: Credential, now: Instant) -> Credential:
    """The same, as a `vc+jwt`."""
    key = home.key("organisation")
    (proof,) = proofs_of(credential.json)
    unsigned = {name: value for name, value in credential.json.items() if name != "proof"}
    draft = credential_jwt(unsigned, str(proof["verificationMethod"]), key.public_key.kind, now)
    return read_credential(enveloped_credential(draft.signed(key.sign_now(draft.to_sign))))
