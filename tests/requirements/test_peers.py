"""Two whole peers on real sockets: what the specification asks of the program around the tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from integration.hires import REPORT, Hands, did_of, soon_reviewed, summarise, two_homes, until
from undersigned.daemon import Peer
from undersigned.daemon.serving import signed_headers
from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, Instant, canonicalize, decode_json, digest_bytes, shift
from undersigned.errors import Closed, PolicyError, ScopeError, TransportError, UndersignedError
from undersigned.evidence import verify_pack
from undersigned.messages import Review, Sync, decode_message, draft
from undersigned.runtime import Home, Job, Reviewed, SystemClock, export_pack
from undersigned.runtime.clock import AHEAD_HINT
from undersigned.runtime.negotiation.sealing import seal
from undersigned.testing import Actor
from undersigned.transport import Channel, ChannelLimits, Identity, connect, prove

NEVER = digest_bytes(b"nothing of ours")


class Watching(Peer):
    """A peer that keeps what it receives, by connection, and how fresh the DID documents are that it asks for."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.received: list[tuple[Channel, bytes]] = []
        self.ages: list[tuple[Did, float]] = []
        take = self.links._read

        async def read(channel: Channel, raw: bytes) -> None:
            self.received.append((channel, raw))
            await take(channel, raw)

        self.links._read = read

    async def document_of(self, did: Did, max_age_seconds: float = 3600) -> DidDocument:
        self.ages.append((did, max_age_seconds))
        return await super().document_of(did, max_age_seconds)

    def types(self, channel: Channel | None = None) -> list[str]:
        """Types of the messages received, in order; on one connection only, if it is given."""
        return [str(decode_json(raw)["type"]) for on, raw in self.received if channel is None or on is channel]  # type: ignore[index]


@asynccontextmanager
async def two_peers(folder: Path, work: Any = summarise) -> AsyncIterator[tuple[Watching, Watching]]:
    acme, globex = await two_homes(folder)
    async with Watching(acme) as hirer, Watching(globex, handlers={"summary": work}) as provider:
        yield hirer, provider


def port(home: Home) -> int:
    return home.configuration.listen.port


async def hire(hirer: Peer, provider: Peer) -> Any:
    async with asyncio.timeout(30):
        return await hirer.hire(
            did_of(port(provider.home)),
            task="summary",
            inputs={"report": REPORT},
            price="5 EUR",
            deliverable="summary.txt",
        )


async def close_code(channel: Channel) -> object:
    """Reads until the other side closes; the code it gives."""
    async with asyncio.timeout(20):
        while True:
            try:
                await channel.receive()
            except Closed as closed:
                return closed.detail["close_code"]


async def settled(*peers: Peer) -> None:
    """Both sides have put the engagement away."""
    await until(lambda: not any(peer.conversations for peer in peers))


async def test_a_peer_is_hirer_and_provider(tmp_path: Path) -> None:
    """HIRE-CLS-01: the same two peers hire each other, one after the other."""
    async with two_peers(tmp_path) as (acme, globex):
        acme.offers("summary", price="4 EUR")(summarise)
        first = await hire(acme, globex)
        second = await hire(globex, acme)
        assert first["summary.txt"] == second["summary.txt"] == REPORT.split(b"\n", 1)[0]
        assert first.contract != second.contract
        await settled(acme, globex)


async def test_after_a_cut_both_say_where_they_stand_and_go_on(tmp_path: Path) -> None:
    """HIRE-SYN-01, HIRE-SYN-02, HIRE-SYN-03, HIRE-CNX-10: nothing changes by a cut; Sync comes first, and once."""
    cut = asyncio.Event()
    gone_on = asyncio.Event()

    async def work(job: Job) -> None:
        cut.set()
        await gone_on.wait()
        await summarise(job)

    async with two_peers(tmp_path, work) as (acme, globex):
        hiring = asyncio.create_task(hire(acme, globex))
        await cut.wait()
        await until(lambda: any(c.engagement.state == "working" for c in acme.conversations.values()))
        before = [next(iter(peer.conversations.values())).engagement for peer in (acme, globex)]
        old = {on for peer in (acme, globex) for on, _ in peer.received}
        for channel in old:
            await channel.close(1001, "")
        after = [next(iter(peer.conversations.values())).engagement for peer in (acme, globex)]
        assert [(e.state, e.sent, e.got) for e in before] == [(e.state, e.sent, e.got) for e in after]
        await until(lambda: all(any(on not in old for on, _ in peer.received) for peer in (acme, globex)))
        gone_on.set()
        result = await hiring
        assert result["summary.txt"].startswith(b"Quarterly")
        for peer in (acme, globex):
            for channel in {on for on, _ in peer.received} - old:
                said = peer.types(channel)
                assert said[0] == "Sync"
                assert said.count("Sync") == 1


async def test_a_message_of_somebody_else_ends_the_connection(tmp_path: Path) -> None:
    """HIRE-CNX-09: the signer of a message is the proved DID, however good the signature."""
    async with two_peers(tmp_path) as (acme, globex):
        await hire(acme, globex)
        await settled(acme, globex)
        stolen = next(raw for _, raw in globex.received if decode_message(raw).message.type == "Inquiry")
        rows = len(await globex.ledger.summaries())
        channel = await acme.links.dial(globex.identity.did, globex.url)
        # On a connection that Acme proved, a message that says it is Globex's own.
        own = next(raw for _, raw in acme.received if decode_message(raw).message.type == "Profile")
        await channel.send(own)
        assert await close_code(channel) == 1008
        assert await close_code(await come(globex, Actor("mallory"), stolen)) == 1008
        assert len(await globex.ledger.summaries()) == rows


async def come(peer: Peer, who: Actor, raw: bytes) -> Channel:
    """Somebody else's own, proved connection to `peer`, with these bytes on it."""

    async def sign(data: bytes) -> bytes:
        return who.signature(data)

    async def resolve(did: Did) -> DidDocument:
        return peer.own

    channel = await connect(peer.url, limits=ChannelLimits(local=True))
    identity = Identity(did=who.did, method=who.method, suite="eddsa-jcs-2022", kind="Ed25519", sign=sign)
    await prove(channel, identity, resolve, SystemClock().now, expect=peer.own.id)
    await channel.send(raw)
    return channel


async def test_artifacts_are_given_to_the_contract_and_nobody_else(tmp_path: Path) -> None:
    """HIRE-ART-02, HIRE-RQS-02, HIRE-GAT-02: signed or not, in scope or not, before the end or after it."""
    asked: dict[str, str] = {}

    async def outcome(job: Job, target: str) -> str:
        try:
            return f"{len(await job.send_past_gate(target))} bytes"
        except ScopeError as error:
            return error.code

    async def work(job: Job) -> None:
        named = job.input("report").uri or ""
        other = named.rsplit("/", 1)[0] + "/" + await globex.artifacts.put(b"something else")
        await acme.artifacts.put(b"something else")
        asked["contracted"] = await outcome(job, named)
        asked["not contracted"] = await outcome(job, other)
        asked["url"], asked["contract"] = named, job.contract
        for name, headers in (
            ("unsigned", ()),
            ("no contract", await signed_headers(globex.identity, "GET", named, NEVER, globex.clock.now())),
        ):
            try:
                await globex.gatherer.fetch(named, max_bytes=1000, timeout_seconds=5, headers=headers)
            except TransportError as error:
                asked[name] = str(error.detail.get("status"))
        await summarise(job)

    async with two_peers(tmp_path, work) as (acme, globex):
        await hire(acme, globex)
        assert asked["contracted"] == f"{len(REPORT)} bytes"
        assert asked["not contracted"] == "scope_exceeded"
        assert asked["unsigned"] == "401"
        assert asked["no contract"] == "403"
        await settled(acme, globex)
        headers = await signed_headers(globex.identity, "GET", asked["url"], asked["contract"], globex.clock.now())
        with pytest.raises(TransportError) as refused:
            await globex.gatherer.fetch(asked["url"], max_bytes=1000, timeout_seconds=5, headers=headers)
        assert refused.value.detail["status"] in (401, 403)
        (summary,) = await acme.ledger.summaries()
        noted = [row for row in await acme.ledger.rows(summary.engagement) if row.kind == "noted"]
        records = [row.raw for row in noted if row.type == "refused-action"]
        assert any(b'"clause"' in raw and b"scope_exceeded" in raw for raw in records)


async def test_both_gates_state_what_they_refused(tmp_path: Path) -> None:
    """HIRE-GAT-02: signed, in the ledger of the side that refused, and in its evidence pack, checked by strangers."""
    secret = digest_bytes(b"payroll")

    async def work(job: Job) -> None:
        target = f"{str(job.input('report').uri).rpartition('/')[0]}/{secret}"
        with pytest.raises(ScopeError):
            async with job.act("artifact:read", target):
                raise AssertionError("our own gate let it through")
        with pytest.raises(ScopeError):
            await job.send_past_gate(target)
        await summarise(job)

    async with two_peers(tmp_path, work) as (acme, globex):
        await hire(acme, globex)
        await settled(acme, globex)
        for peer, other in ((acme, globex), (globex, acme)):
            (summary,) = await peer.ledger.summaries()
            refusals = [one for one in await peer.ledger.evidence(summary.engagement) if one.kind == "refusal"]
            pack = await export_pack(peer.ledger, peer.artifacts, peer.identity.did, summary.engagement)
            known = (peer.own, other.own)
            report = verify_pack(pack, now=peer.clock.now(), known=known)
            assert report.ok, report.steps
            assert len(refusals) == 1
            stated = f"1 refused action is stated by {peer.identity.did}"
            assert report.steps[8].detail == f"{stated}; the work statements name 2, 1 of which are not stated here"
            (row,) = [row for row in await peer.ledger.rows(summary.engagement) if row.type == "refused-action"]
            said: Any = decode_json(row.raw)
            assert (said["code"], said["gate"]) == ("scope_exceeded", peer.identity.did)
            assert said["target"].endswith(secret)
            assert said["wouldPass"].startswith("target "), "it says what would have passed"


async def test_an_artifact_that_was_changed_is_not_used(tmp_path: Path) -> None:
    """HIRE-ART-03: what comes is compared with the digest before anything is done with it."""
    seen: list[str] = []

    async def work(job: Job) -> None:
        report = job.input("report")
        # The hirer's server hands out other bytes under the right name: the worst that it can do.
        acme.artifacts.get = changed  # type: ignore[method-assign]
        try:
            await job.read("report")
        except UndersignedError as error:
            seen.append(error.code)
        acme.artifacts.get = original  # type: ignore[method-assign]
        assert digest_bytes(await job.read("report")) == report.digest
        await summarise(job)

    async with two_peers(tmp_path, work) as (acme, globex):
        original = acme.artifacts.get

        async def changed(digest: Digest) -> bytes:
            return (await original(digest))[:-1] + b"!"

        await hire(acme, globex)
    assert seen == ["digest_mismatch"]


async def test_work_that_failed_is_told_as_that(tmp_path: Path) -> None:
    """HIRE-ERR-01: the hirer's review and its caller hear `upstream_failed`, and no word of digests."""

    async def work(job: Job) -> None:
        raise RuntimeError("no such luck")

    async def is_short(reviewed: Reviewed) -> dict[str, bool]:
        raise AssertionError("there is nothing to look at")

    async with two_peers(tmp_path, work) as (acme, globex):
        under_way = acme.hire(
            did_of(port(globex.home)),
            task="summary",
            inputs={"report": REPORT},
            price="5 EUR",
            deliverable="summary.txt",
            criteria={"short": "one line"},
            review=is_short,
        )
        async with asyncio.timeout(30):
            sent = [event.message async for event in under_way if event.kind == "sent"]
            with pytest.raises(PolicyError) as caught:
                await under_way
    assert caught.value.code == "upstream_failed"
    (review,) = (message for message in sent if isinstance(message, Review))
    assert (review.verdict, [criterion.note for criterion in review.criteria]) == ("rejected", ["upstream_failed"])


async def test_a_hirer_hears_which_of_its_own_clauses_the_work_ran_against(tmp_path: Path) -> None:
    """HIRE-GAT-02: a failed delivery gives no reason, and what the hirer's gate refused may be the one."""

    async def work(job: Job) -> None:
        target = f"{str(job.input('report').uri).rpartition('/')[0]}/{digest_bytes(b'payroll')}"
        await job.send_past_gate(target)

    async with two_peers(tmp_path, work) as (acme, globex):
        with pytest.raises(PolicyError) as caught:
            await hire(acme, globex)
        (summary,) = await acme.ledger.summaries()
        (row,) = [row for row in await acme.ledger.rows(summary.engagement) if row.type == "refused-action"]
        said: Any = decode_json(row.raw)
    assert caught.value.code == "upstream_failed"
    told = f"the delivery is failed; our own gate refused what it tried, by the clauses: {said['clause']}"
    assert caught.value.message.endswith(told)


async def test_documents_that_bind_are_checked_by_a_fresh_did_document_and_kept(tmp_path: Path) -> None:
    """HIRE-KEY-06: 5 minutes for what binds; the documents used are in the ledger's evidence."""
    async with two_peers(tmp_path) as (acme, globex):
        await hire(acme, globex)
        await settled(acme, globex)
        for peer, other in ((acme, globex), (globex, acme)):
            ages = {age for did, age in peer.ages if did == other.identity.did}
            binding = [t for t in peer.types() if t in ("Offer", "Acceptance", "Seal")]
            assert binding
            assert sum(1 for did, age in peer.ages if did == other.identity.did and age <= 300) >= len(binding)
            assert max(ages) <= 3600
            document = await peer.ledger.blob(other.own.raw_digest)
            assert document == other.own.raw


async def test_no_notice_is_answered_with_a_problem(tmp_path: Path) -> None:
    """HIRE-SEC-08: a notice that does not fit is refused, recorded nowhere, and nothing goes back."""
    ready, go = asyncio.Event(), asyncio.Event()

    async def work(job: Job) -> None:
        ready.set()
        await go.wait()
        await summarise(job)

    async with two_peers(tmp_path, work) as (acme, globex):
        hiring = asyncio.create_task(hire(acme, globex))
        await ready.wait()
        (conversation,) = globex.conversations.values()
        before = [kind for kind in acme.types() if kind in ("Problem", "Fault")]
        # A Sync that names another last move than its sender's, signed as well as any other.
        sync = Sync(
            id="urn:uuid:00000000-0000-4000-8000-000000000001",
            engagement=conversation.id,
            sender=acme.identity.did,
            recipient=globex.identity.did,
            role="hirer",
            sequence=1,
            previous=NEVER,
            state="inquired",
            lane="idle",
        )
        now = acme.clock.now()
        made = draft(sync, acme.identity.method, acme.identity.suite, acme.identity.kind, now, shift(now, 60))
        signed = made.signed(await acme.identity.sign(made.to_sign))
        assert await acme.links.send(globex.identity.did, signed.raw)
        await until(lambda: any(raw == signed.raw for _, raw in globex.received))
        await conversation.settled()
        assert made.digest not in {row.digest for row in await globex.ledger.rows(conversation.id)}
        go.set()
        await hiring
        assert [kind for kind in acme.types() if kind in ("Problem", "Fault")] == before


class LaterClock:
    """The machine's clock and so many days."""

    def __init__(self) -> None:
        self.days = 0
        self._clock = SystemClock()

    def now(self) -> Instant:
        return shift(self._clock.now(), 86_400 * self.days)


async def test_credentials_are_checked_again_before_the_seal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-NEG-04: one that ended since it was shown makes no contract, and the acceptor still gets its answer."""
    acme, globex = await two_homes(tmp_path)
    later = LaterClock()

    async def slow(*given: Any) -> Any:
        # What the other side showed is good for a year; this side gets to its seal later than that.
        later.days = 400
        return await seal(*given)

    monkeypatch.setattr("undersigned.runtime.agent.hirer.seal", slow)
    async with (
        Watching(acme, clock=later) as hirer,
        Watching(globex, handlers={"summary": summarise}, clock=later) as provider,
    ):
        with pytest.raises(UndersignedError) as refused:
            await hire(hirer, provider)
        assert refused.value.exit_code == 3
        await until(lambda: "Withdraw" in provider.types())
        await settled(hirer, provider)
        assert "Seal" not in provider.types()
        (summary,) = await provider.ledger.summaries()
        assert (summary.state, summary.contract) == ("withdrawn", None)


async def test_a_fault_moves_nothing_and_is_not_answered(tmp_path: Path) -> None:
    """HIRE-SYN-04: it is unsigned, so it says no more than that something was refused."""
    ready, go = asyncio.Event(), asyncio.Event()

    async def work(job: Job) -> None:
        ready.set()
        await go.wait()
        await summarise(job)

    async with two_peers(tmp_path, work) as (acme, globex):
        hiring = asyncio.create_task(hire(acme, globex))
        await ready.wait()
        (conversation,) = globex.conversations.values()
        before, said = conversation.engagement, len(acme.received)
        start = next(raw for _, raw in globex.received if b'"type":"Start"' in raw)
        fault = canonicalize({"type": "Fault", "code": "proof_invalid", "of": digest_bytes(start), "path": ""})
        for raw in (fault, b'{"type":"Fault",' + fault[1:-1].replace(b'"type":"Fault"', b'"x":1') + b"}"):
            assert await acme.links.send(globex.identity.did, raw)
        await until(lambda: any(raw.startswith(b'{"type":"Fault"') for _, raw in globex.received))
        await conversation.settled()
        assert (conversation.engagement.state, conversation.engagement.got) == (before.state, before.got)
        assert not [raw for _, raw in acme.received[said:] if b'"Fault"' in raw or b'"Problem"' in raw]
        go.set()
        assert (await hiring).criteria is not None


async def test_whose_clock_was_put_ahead_is_told_so(tmp_path: Path) -> None:
    """HIRE-PRF-03: all that it says from then on is refused, by a code and no more."""
    clock, (acme, globex) = Hands(), await two_homes(tmp_path)

    async def work(job: Job) -> None:
        clock.ahead = 120
        await job.deliver("summary.txt", b"done", media_type="text/plain")

    with capture_logs() as logs:
        async with Peer.open(acme) as hirer, Peer.open(globex, clock=clock, handlers={"summary": work}) as provider:
            hiring = asyncio.create_task(hire(hirer, provider))
            await until(lambda: [one for one in logs if one["event"] == "the peer refused something"])
            hiring.cancel()
            await asyncio.gather(hiring, return_exceptions=True)
    told = next(one for one in logs if one["event"] == "the peer refused something")
    assert b"proof_from_future" in told["said"]
    assert told["hint"] == AHEAD_HINT


async def test_what_was_delivered_is_not_given_out_before_it_was_checked(tmp_path: Path) -> None:
    """HIRE-ATT-07: the provider's server gives other bytes than its statement is about; the hirer keeps none."""
    async with two_peers(tmp_path) as (acme, globex):
        original = globex.artifacts.get

        async def changed(digest: Digest) -> bytes:
            return (await original(digest))[:-1] + b"!"

        globex.artifacts.get = changed  # type: ignore[method-assign]
        options = {
            "task": "summary",
            "inputs": {"report": REPORT},
            "price": "5 EUR",
            "deliverable": "summary.txt",
            "criteria": {},
        }
        async with asyncio.timeout(30):
            with pytest.raises(UndersignedError) as refused:
                await soon_reviewed(acme, did_of(port(globex.home)), **options)
        assert refused.value.exit_code == 4
        made = digest_bytes(REPORT.split(b"\n", 1)[0])
        assert await acme.artifacts.size(made) is None
