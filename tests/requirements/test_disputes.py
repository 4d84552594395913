"""A dispute between two whole peers on real sockets, and an arbiter with a key of its own that neither of them has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.json import encode
from msgspec.structs import replace

from integration.hires import Hands, until
from issuing import issued
from requirements.test_changes import Pair, working
from undersigned.credentials import Accusation, read_credential
from undersigned.daemon import Peer
from undersigned.did import DidDocument, make_document
from undersigned.encoding import Digest, JsonObject, canonicalize, digest_bytes, shift
from undersigned.errors import LocalProtocolError, ResolutionError, UndersignedError
from undersigned.ledger import TrustStore
from undersigned.messages import Closing
from undersigned.protocol import Early
from undersigned.runtime import Conversation, Say, held_until, proved
from undersigned.runtime.engagement import conversation
from undersigned.runtime.engagement.turn import EARLY
from undersigned.testing import ARBITER, ARTIFACT, Actor
from unit.cli.running import run


@asynccontextmanager
async def disputed(folder: Path, by: str = "hirer", clock: Hands | None = None) -> AsyncIterator[tuple[Pair, Digest]]:
    """A contract that names the arbiter, disputed by one side; and the digest of the dispute."""
    async with working(folder, clock=clock) as pair:
        await pair.agree(lambda terms: replace(terms, arbiter=ARBITER.did))
        peer, view = side(pair, by)
        dispute = await peer.changes.dispute(view, "It is not what was agreed on.", seconds=86_400)
        await pair.both("disputed")
        yield pair, dispute


def side(pair: Pair, role: str) -> tuple[Peer, Conversation]:
    return (pair.hirer, pair.ours) if role == "hirer" else (pair.provider, pair.theirs)


def ruled(pair: Pair, dispute: Digest, outcome: str, amount: str, by: Actor = ARBITER) -> JsonObject:
    contract = pair.ours.engagement.contract
    assert contract is not None
    return by.rule(contract.digest, dispute, pair.hirer.clock.now(), outcome=outcome, amount=amount)


async def closed(pair: Pair) -> list[tuple[str, str]]:
    """What both sides closed their books with, hirer first; each side holds the same of both."""
    await pair.both("closed")
    found = [
        [
            (one.basis, one.settlement.amount)
            for one in (view.last("Closing", Closing, r) for r in ("hirer", "provider"))
        ]
        for view in (pair.ours, pair.theirs)
    ]
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("by", "carrier", "outcome", "amount"),
    [
        ("hirer", "hirer", "for_hirer", "0"),
        ("hirer", "provider", "for_provider", "4"),
        ("provider", "hirer", "for_provider", "4"),
        ("provider", "provider", "divided", "2.5"),
    ],
)
async def test_a_ruling_is_what_both_close_their_books_by(
    tmp_path: Path, by: str, carrier: str, outcome: str, amount: str
) -> None:
    """HIRE-LIF-22: whoever disputed, whoever carries it, for either side; work is stopped and delivers nothing."""
    async with disputed(tmp_path, by) as (pair, dispute):
        await until(lambda: pair.works.stopped)
        peer, view = side(pair, carrier)
        read = await peer.changes.rule(view, ruled(pair, dispute, outcome, amount))
        assert (read.outcome, read.amount) == (outcome, amount)
        assert await closed(pair) == [("ruling", amount)] * 2
        assert not pair.ours.said("Delivery", "provider")


async def test_without_a_ruling_in_time_the_dispute_ends_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-LIF-09: past `rulingBy` a runtime ends it by itself, with no_ruling; a ruling after that is refused."""
    clock = Hands()
    monkeypatch.setattr(conversation, "HEARING_SECONDS", 0)  # or it would listen for a minute after the leap
    async with disputed(tmp_path, clock=clock) as (pair, dispute):
        late = ruled(pair, dispute, "for_provider", "4")
        clock.ahead = 86_390
        await pair.ours.settled()
        await pair.theirs.settled()
        assert {pair.ours.engagement.state, pair.theirs.engagement.state} == {"disputed"}
        clock.ahead = 86_402
        await pair.ours.settled()
        assert await closed(pair) == [("terminate", "0")] * 2
        contract = pair.theirs.engagement.contract
        assert contract is not None
        assert {ending.detail for ending in contract.endings} == {"no_ruling"}
        with pytest.raises(LocalProtocolError):
            await pair.provider.changes.rule(pair.theirs, late)


async def test_a_ruling_of_anybody_else_moves_nothing(tmp_path: Path) -> None:
    """HIRE-LIF-22: a stranger's, of another contract, of another dispute, or changed by one word: the runtime of
    whoever was given it does not carry it. `test_over_the_wire_contract` has what the other side's does."""
    async with disputed(tmp_path) as (pair, dispute):
        contract = pair.ours.engagement.contract
        assert contract is not None
        now = pair.hirer.clock.now()
        good = ruled(pair, dispute, "for_hirer", "0")
        false: list[tuple[JsonObject, str]] = [
            (ruled(pair, dispute, "for_hirer", "0", by=Actor("a stranger")), "key_not_authorized"),
            ({**good, "amount": "4"}, "proof_invalid"),
            ({name: value for name, value in good.items() if name != "proof"}, "proof_missing"),
            (ARBITER.rule(ARTIFACT, dispute, now), "conflicting_contract"),
            (ARBITER.rule(contract.digest, ARTIFACT, now), "terms_mismatch"),
            (ARBITER.rule(contract.digest, dispute, now, amount="-1"), "schema_violation"),
        ]
        for ruling, code in false:
            with pytest.raises(UndersignedError) as refused:
                await pair.hirer.changes.rule(pair.ours, ruling)
            assert refused.value.code == code
        await pair.provider.changes.rule(pair.theirs, good)
        assert await closed(pair) == [("ruling", "0")] * 2


async def test_a_ruling_is_the_evidence_of_an_accusation(tmp_path: Path) -> None:
    """HIRE-TRU-27: signed by the arbiter of a contract that is here, and against whom it is about."""
    async with disputed(tmp_path) as (pair, dispute):
        hirer, provider = pair.hirer.identity.did, pair.provider.identity.did
        home, accusation = pair.hirer.home.path, tmp_path / "accusation.json"

        async def imported(ruling: JsonObject, of: str = provider) -> str:
            evidence = tmp_path / "ruling.json"
            evidence.write_bytes(canonicalize(ruling))
            claim = Accusation(id=of, kind="breach", evidence=digest_bytes(evidence.read_bytes()))
            accusation.write_bytes(canonicalize(issued(Actor("a body"), claim, pair.hirer.clock.now())))
            command = ("trust", "import", accusation, "--evidence", evidence, "--home", home, "--json")
            ran = await asyncio.to_thread(run, *command)
            return "" if ran.code == 0 else ran.error["code"]

        def accusations() -> int:
            # The peer, which runs, writes there itself what it learned, and only one may write.
            if not pair.hirer.home.trust.exists():
                return 0
            with TrustStore(pair.hirer.home.trust, read_only=True) as store:
                return sum(edge.kind == "accusation" for edge in store.edges())

        good = ruled(pair, dispute, "for_hirer", "0")
        assert await imported(ruled(pair, dispute, "for_hirer", "0", by=Actor("a stranger"))) == "key_not_authorized"
        assert await imported({**good, "amount": "4"}) == "proof_invalid"
        assert await imported(ruled(pair, dispute, "divided", "2")) == "evidence_invalid"
        assert await imported(good, of=hirer) == "evidence_invalid"
        assert await imported(ARBITER.rule(ARTIFACT, dispute, pair.hirer.clock.now())) == "policy_denied"
        assert accusations() == 0
        assert await imported(good) == ""
        assert accusations() == 1


async def test_a_ruling_that_was_recorded_is_evidence_whatever_its_arbiter_publishes_now(tmp_path: Path) -> None:
    """HIRE-TRU-27, HIRE-KEY-07: and another of the same key, which nobody recorded, is not."""
    async with disputed(tmp_path) as (pair, dispute):
        ruling = ruled(pair, dispute, "for_hirer", "0")
        await pair.hirer.changes.rule(pair.ours, ruling)
        await pair.both("closed")
        keys = {"new": Actor("another key").public_key}
        replaced = make_document(ARBITER.did, authentication=keys, assertion_method=keys)

        async def shown(ruling: JsonObject, *, gone: bool) -> bool:
            async def documents_of(did: str) -> list[DidDocument]:
                if gone:
                    raise ResolutionError("did_unresolvable", "nobody serves it any more")
                return [DidDocument(did, canonicalize(replaced))]

            evidence = canonicalize(ruling)
            claim = Accusation(id=pair.provider.identity.did, kind="breach", evidence=digest_bytes(evidence))
            said, own = read_credential(issued(Actor("a body"), claim, now := pair.hirer.clock.now())), pair.hirer
            seen = await proved(
                said, evidence, ledger=own.ledger, own=own.identity.did, documents_of=documents_of, now=now
            )
            return seen == {digest_bytes(evidence)}

        assert await shown(ruling, gone=False)
        assert await shown(ruling, gone=True)
        other = ruled(pair, dispute, "for_hirer", "1")
        for gone, code in ((False, "key_not_authorized"), (True, "did_unresolvable")):
            with pytest.raises(UndersignedError) as refused:
                await shown(other, gone=gone)
            assert refused.value.code == code


async def test_one_dispute_is_all_there_is(tmp_path: Path) -> None:
    """HIRE-LIF-21: not a second one, by either side, nor one beside a ruling."""
    async with disputed(tmp_path) as (pair, dispute):
        for role in ("hirer", "provider"):
            peer, view = side(pair, role)
            with pytest.raises(LocalProtocolError) as refused:
                await peer.changes.dispute(view, "And again.")
            assert refused.value.code in ("wrong_state", "wrong_party")
        await pair.hirer.changes.rule(pair.ours, ruled(pair, dispute, "divided", "1"))
        await pair.both("closed")


async def test_a_day_is_a_day_also_on_a_clock_that_was_set_back(tmp_path: Path) -> None:
    """HIRE-LIF-31: who asks for the least time that there is gets it, whatever its clock did since the last move."""
    clock = Hands()
    async with working(tmp_path, clock=clock) as pair:
        await pair.agree(lambda terms: replace(terms, arbiter=ARBITER.did))
        clock.ahead = -30
        await pair.hirer.changes.dispute(pair.ours, "It is not what was agreed on.", seconds=86_400)
        await pair.both("disputed")


async def test_what_came_too_early_is_shown_while_the_books_wait(tmp_path: Path) -> None:
    """HIRE-LIF-34: with both times, until when there is time for a dispute, and the command that makes it."""
    async with working(tmp_path) as pair:
        await pair.agree(lambda terms: replace(terms, arbiter=ARBITER.did))
        contract, now = pair.ours.engagement.contract, pair.hirer.clock.now()
        assert contract is not None
        wrong = Early(ARTIFACT, "Breach", "cureBy", now, now, shift(now, 3600))
        await pair.ours.reconsider(Say("", {}, facts=((EARLY, encode((wrong,)).decode()),)))
        await pair.hirer.changes.revoke(pair.ours)
        await pair.both("closing")
        show = ("contract", "show", contract.digest, "--home", pair.hirer.home.path)
        shown = await asyncio.to_thread(run, *show)
        assert f"Too early     {wrong.explain()}; signed {now}" in shown.out
        until = held_until(pair.ours.facts, pair.ours.engagement)
        assert f"Waits         until {until}" in shown.out
        assert f"contract dispute {contract.digest} --claim" in shown.out
        told = (await asyncio.to_thread(run, *show, "--json")).values[-1]
        assert (told["booksWait"], [one["what"] for one in told["early"]]) == (until, ["cureBy"])
        await pair.hirer.changes.dispute(pair.ours, "It was ended for nothing.")
        await pair.both("disputed")
