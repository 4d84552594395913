"""SC-44, SC-45, SC-54, SC-63 on running peers: a party of a contract that says what is not its to say, and strangers.

Globex is attacked by who hires it, and Acme by who got hold of the key of Globex, which it hired. Both sign with good
keys on proved connections. Whatever they say, state and ledger of the attacked side are the same to the byte.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace

from integration.hires import REPORT, until
from security.test_over_the_wire_replay import digest_of, equivocated, made, replayed, said_by
from security.test_states import RECIPES
from security.wire_attacker import Attacker, Hiring, Known, Line, attacked, checked_reply, quiet_logs, refused
from security.wire_world import Kept, World
from undersigned.contract import Price, Terms
from undersigned.daemon import Peer
from undersigned.daemon.answers import Document
from undersigned.daemon.listener import PublicListener
from undersigned.encoding import base64url_encode, canonicalize
from undersigned.ledger import open_ledger
from undersigned.messages import Offer
from undersigned.protocol import LANE_TYPES, NOTICES, OTHER, ROWS, fold
from undersigned.runtime import Home
from undersigned.runtime.agent.ordering import hire_order
from undersigned.runtime.engagement.loading import entry_of
from undersigned.testing import (
    ARBITER,
    ARTIFACT,
    Actor,
    Party,
    Say,
    acceptance,
    amendment,
    breach,
    cancel,
    closing,
    dispute,
    problem,
    release,
    ruling,
    seal,
    start,
    suspend,
    terminate,
    withdraw,
)
from undersigned.transparency import checkpoint_text, signed_note
from undersigned.transport import Channel, FailureBudget

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

_numbers = count(1)
CELLS = {key[:3] for key in ROWS}
MOVES = {kind: say for kind, say in RECIPES.items() if kind not in (*NOTICES, "Inquiry")}
"""Everything that can be said once there is an engagement."""


def books(hiring: Hiring, **members: Any) -> Say:
    """A `Closing` with a checkpoint that the attacker signed, of a log in which nothing stood once."""
    who = hiring.who
    text = checkpoint_text(who.did, 0, sha256(b"").digest())
    note = signed_note(text, who.did, who.key.public_key, who.signature(text))
    return closing(checkpoint="u" + base64url_encode(note.encode()), checkpoint_at="2026-01-01T00:00:00Z", **members)


class Contracted(Hiring):
    """A contract that names the arbiter, under which the attacker is the hirer."""

    def terms(self, price: str = "4") -> Terms:
        return replace(super().terms(price), arbiter=ARBITER.did)

    async def do(self, *moves: Say) -> Contracted:
        """Makes these moves, and waits until Globex has each."""
        held = self.line.world.globex.conversations
        for say in moves:
            said = await self.say(say)
            await until(lambda said=said: self.id not in held or held[self.id].engagement.got[-1] == said.digest)
        return self


@pytest.fixture(autouse=True)
def _patient(world: World) -> None:
    """Who fails too often is cut off; that is another test's, and here it would hide what is looked at."""
    for peer in (world.globex, world.acme):
        peer.intake._budget = FailureBudget(failures=10**6)


async def test_an_offer_that_names_another_key_of_ours_is_recorded_and_not_accepted(world: World) -> None:
    """HIRE-CTR-04: nothing is wrong with it for the other side, nor in a pack; the answer is the same by our key."""
    hiring = Hiring(await Line.to(world, Attacker("who knows the key of before")))
    await hiring.up_to("ready")
    say = hiring.next_move()
    move = say.write(hiring.party)
    methods = replace(move["document"].methods, provider=(f"{world.globex.own.id}#before",))
    document = hiring.who.prove_offer(replace(move["document"], methods=methods, proof=None), hiring.party.now)
    said = await hiring.say(say._replace(write=lambda _: {**move, "document": document}))
    answer = await hiring.hear("Offer", "Acceptance", "Withdraw")
    assert isinstance(answer, Offer)
    assert (answer.in_reply_to, answer.document.terms.price) == (said.digest, document.terms.price)
    assert answer.document.methods.provider == (world.globex.identity.method,)


async def contracted(world: World, state: str) -> Contracted:
    """A fresh attacker's contract in this state."""
    line = await Line.to(world, Attacker(f"under contract {next(_numbers)}"))
    hiring = Contracted(line)
    await hiring.up_to("sealed")
    way: dict[str, tuple[Say, ...]] = {
        "sealed": (),
        "working": (start(),),
        "suspended": (start(), suspend()),
        "delivered": (start(), cancel()),
        "disputed": (start(), dispute()),
        "closing": (start(), terminate()),
        "closed": (start(), terminate()),
    }
    await hiring.do(*way[state])
    if state == "delivered":
        await hiring.hear("Delivery")
    if state in ("closing", "closed"):
        await hiring.hear("Closing")
    if state == "closed":
        await hiring.do(books(hiring))
    assert hiring.state == state
    return hiring


STATES = ("sealed", "working", "suspended", "delivered", "disputed", "closing", "closed")


def code_of(party: Party, kind: str) -> str | None:
    """What a move of this type is refused with, by the published table alone; None if it has a row."""
    state, role = party.state, party.role
    if kind in LANE_TYPES:
        # With no document on the table. What is accepted by its offer's digest was contracted long ago.
        if kind == "Offer":
            return None
        return "already_contracted" if kind == "Acceptance" else "wrong_state"
    if (state, kind, role) in CELLS:
        return None
    return "wrong_party" if (state, kind, OTHER[role]) in CELLS else "wrong_state"


async def no(hiring: Hiring, raw: bytes, code: str) -> None:
    """It is refused with this code, and nothing is moved or kept; the connection may be lost by it."""
    told, before, after, _ = await attacked(hiring.line, raw)
    assert (told.how, told.code) == ("Problem", code), json.loads(raw)["type"]
    assert before == after
    checked_reply(hiring.line, told, raw)
    if code in ("conflicting_contract", "terms_mismatch"):
        await hiring.line.wait(lambda: hiring.line.closed)
        await hiring.come_back()


async def all_refused(hiring: Hiring) -> int:
    """Sends every type that has no row here; as itself, and as if it were the other side. How many were refused."""
    party, refusals = hiring.party, 0
    for kind, say in MOVES.items():
        code = code_of(party, kind)
        if code is not None:
            await no(hiring, made(hiring, say), code)
            refusals += 1
        if kind != "Presentation":  # its shape says whose it is
            await no(hiring, made(hiring, say, role=OTHER[party.role]), "wrong_party")
    return refusals


@pytest.mark.parametrize("state", STATES)
async def test_sc_44_every_message_by_the_hirer(world: World, state: str) -> None:
    """In its own name and in the provider's role; and afterwards the contract goes on as if nothing had been."""
    hiring = await contracted(world, state)
    assert await all_refused(hiring) >= len(MOVES) - 9
    if state not in ("closing", "closed"):
        await hiring.do(ruling() if state == "disputed" else terminate())
        await hiring.hear("Closing")
    if state != "closed":
        # By books that somebody else's key vouches for nothing is closed.
        await no(hiring, made(hiring, closing()), "log_proof_invalid")
        await hiring.do(books(hiring))
    assert hiring.state == "closed"
    await hiring.line.hang_up()


@pytest.mark.parametrize("state", ["working", "disputed", "closed"])
async def test_sc_63_every_message_by_a_stranger(world: World, state: str) -> None:
    """Signed by its own good key, in its own name, about this engagement: as if there were none."""
    hiring = await contracted(world, state)
    stranger = await Line.to(world, Attacker(f"no party {next(_numbers)}"))
    heard = set()
    before = await world.kept(hiring.who.did)
    for kind, say in MOVES.items():
        if kind == "Presentation":
            continue  # its shape says whose it is
        for engagement in (hiring.id, "urn:hire:engagement:" + ARTIFACT):
            for role in ("hirer", "provider"):
                members = {"sender": stranger.who.did, "role": role, "engagement": engagement}
                message = say._replace(members=say.members | members).message(hiring.party)
                raw = stranger.who.sign(message, hiring.party.now).raw
                told, kept, after, _ = await attacked(stranger, raw)
                assert kept == after
                frame = json.loads(told.raw)
                del frame["of"]
                heard.add(canonicalize(frame))
    assert heard == {b'{"code":"wrong_negotiation","path":"","type":"Fault"}'}
    assert await world.kept(hiring.who.did) == before
    await stranger.hang_up()
    await hiring.line.hang_up()


async def test_sc_37_replays_of_a_contract(world: World) -> None:
    """Everything of a contract that was suspended, resumed, disputed and ended, again and in any order."""
    hiring = await contracted(world, "working")
    await hiring.do(breach(), suspend(), RECIPES["Resume"], amendment(terms=hiring.terms()), withdraw("declined"))
    await replayed(hiring, said_by(hiring)[::-1])
    await hiring.do(dispute(), ruling("for_hirer", amount="0"))
    await hiring.hear("Closing")
    await replayed(hiring, said_by(hiring))
    await hiring.do(books(hiring))
    assert hiring.state == "closed"
    await replayed(hiring, said_by(hiring)[-3:])
    await hiring.line.hang_up()


@pytest.mark.parametrize("kind", ["Suspend", "Cancel", "Breach", "Terminate", "Dispute", "Offer"])
async def test_sc_40_sc_41_out_of_order_and_twice(world: World, kind: str) -> None:
    """Too early is not kept; another in the same place is kept as proof, and the first one stands."""
    hiring = await contracted(world, "working")
    says = {**MOVES, "Offer": release()}
    early = made(hiring, says[kind], sequence=len(hiring.party.engagement.sent) + 2)
    await no(hiring, early, "out_of_order")
    await hiring.do(breach())
    before = await world.kept(hiring.who.did)
    sent = hiring.party.engagement.sent
    other = made(hiring, says[kind], sequence=len(sent), previous=sent[-2])
    await refused(hiring.line, other, "conflicting_message", how="Problem", close_code=1008, unchanged=False)
    after = await world.kept(hiring.who.did)
    here = [[one.engagement for one in kept.summaries].index(hiring.id) for kept in (before, after)]
    equivocated(_only(before, here[0]), _only(after, here[1]), other)
    await hiring.come_back()
    await hiring.do(suspend())
    await hiring.line.hang_up()


def _only(kept: Kept, at: int) -> Kept:
    """What is kept of one engagement; others were opened beside it, to see that the peer still answers."""
    id = kept.summaries[at].engagement
    return Kept(
        (kept.summaries[at],),
        (kept.rows[at],),
        (kept.outbox[at],),
        (kept.effects[at],),
        (kept.evidence[at],),
        tuple(one for one in kept.folded if one[0] == id),
        kept.tree_size,
        kept.root,
    )


@pytest.mark.parametrize(
    "kind", ["Start", "Suspend", "Resume", "Cancel", "Breach", "Terminate", "Dispute", "Ruling", "Closing"]
)
async def test_sc_63_for_another_contract(world: World, kind: str) -> None:
    """One that does not exist, and another one of the same two parties, in the state where the type has its row."""
    state = {"Start": "sealed", "Resume": "suspended", "Ruling": "disputed", "Closing": "closing"}.get(kind, "working")
    hiring, other = await contracted(world, state), await contracted(world, "working")
    second = other.party.engagement.contract
    assert second is not None
    for named in (ARTIFACT, second.digest):
        members: dict[str, Any] = {"contract": named}
        if kind == "Ruling":
            contract = hiring.party.engagement.contract
            assert contract is not None
            mark = contract.disputes[0].digest
            members = {"ruling": ARBITER.rule(named, mark, hiring.party.now), "dispute": mark}
        await no(hiring, made(hiring, MOVES[kind], **members), "conflicting_contract")
    for one in (hiring, other):
        await one.line.hang_up()


async def test_hire_lan_01_the_amendment_before(world: World) -> None:
    """What names the document that an amendment took the place of, or an answer to it once more."""
    hiring = await contracted(world, "working")
    globex = world.globex
    first = hiring.party.engagement.contract
    assert first is not None
    offered = await hiring.do(amendment(terms=replace(hiring.terms(), reworks=3)))
    tabled = offered.party.engagement.tabled
    assert tabled is not None
    await globex.changes.accept(globex.conversations[hiring.id], tabled.document)
    await hiring.hear("Acceptance")
    answer = hiring.party.engagement.tabled
    assert answer is not None
    await no(hiring, made(hiring, seal(), acceptance=ARTIFACT), "terms_mismatch")
    await no(hiring, made(hiring, seal(), document=first.digest), "terms_mismatch")
    await no(hiring, made(hiring, withdraw("declined"), offer=tabled.digest), "wrong_state")
    await hiring.do(seal())
    held = globex.conversations[hiring.id].engagement.contract
    assert held is not None
    assert held.in_force == tabled.document
    # On top of the one before it, by its own digest or by the contract's: each is past.
    for say in (amendment(terms=hiring.terms()), release()):
        stale = say.message(hiring.party)
        assert isinstance(stale, Offer)
        members = {name: getattr(stale.document, name) for name in stale.document.__struct_fields__}
        document = hiring.who.prove_offer(type(stale.document)(**members | {"amends": first.digest}), hiring.party.now)
        await no(hiring, made(hiring, say, document=document), "terms_mismatch")
    again = {"offer": tabled.digest, "document": tabled.document}
    await no(hiring, made(hiring, seal(), **again, acceptance=answer.acceptance), "wrong_state")
    await no(hiring, made(hiring, withdraw(), offer=tabled.digest), "wrong_state")
    await hiring.do(terminate())
    await hiring.hear("Closing")
    await no(hiring, made(hiring, closing(), contract=first.digest), "conflicting_contract")
    await hiring.do(books(hiring))
    assert hiring.state == "closed"
    await hiring.line.hang_up()


async def test_hire_lif_22_a_ruling_that_is_not_the_arbiters(world: World) -> None:
    """By the hirer, by a stranger, by the arbiter about something else, by nobody, and changed after it was signed."""
    hiring = await contracted(world, "disputed")
    contract, now = hiring.party.engagement.contract, hiring.party.now
    assert contract is not None
    mark = contract.disputes[0].digest
    good = ARBITER.rule(contract.digest, mark, now, outcome="for_hirer", amount="0")
    own = Actor(hiring.who.name)
    cases: list[tuple[dict[str, Any], str]] = [
        (own.rule(contract.digest, mark, now), "key_not_authorized"),
        (Actor("a stranger").rule(contract.digest, mark, now), "key_not_authorized"),
        (good | {"proof": Actor("a stranger").rule(contract.digest, mark, now)["proof"]}, "key_not_authorized"),
        (good | {"amount": "1"}, "proof_invalid"),
        ({name: value for name, value in good.items() if name != "proof"}, "proof_missing"),
        (ARBITER.rule(contract.digest, ARTIFACT, now), "terms_mismatch"),
        (ARBITER.rule(ARTIFACT, mark, now), "conflicting_contract"),
        (ARBITER.rule(contract.digest, mark, now, amount="-1"), "schema_violation"),
        (good | {"more": "1"}, "unknown_term"),
    ]
    for document, code in cases:
        await no(hiring, made(hiring, ruling(), dispute=mark, ruling=document), code)
    await hiring.do(ruling()._replace(members={"dispute": mark, "ruling": good}))
    await hiring.hear("Closing")
    assert hiring.state == "closing"
    await no(hiring, made(hiring, dispute()), "wrong_state")
    await hiring.do(books(hiring))
    await hiring.line.hang_up()


@pytest.mark.parametrize("answer", ["declined", "countered"])
async def test_hire_neg_19_an_answer_about_a_change_that_is_refused_for_good(world: World, answer: str) -> None:
    """HIRE-NEG-19: the change is on the table as before, nothing more is said of it, and what ends the contract stands
    in the place that is free.
    """
    hiring, changes = await contracted(world, "working"), world.globex.changes
    conversation = world.globex.conversations[hiring.id]
    await hiring.do(amendment())
    before = conversation.engagement
    if answer == "declined":
        await changes.decline(conversation)
    else:
        await changes.release(conversation, Price(amount="0", currency="EUR"), "let go")
    (refused,) = conversation.engagement.sent[len(before.sent) :]
    with quiet_logs():
        await hiring.line.send(made(hiring, problem(refused)))
        await until(lambda: refused not in conversation.engagement.sent)
        await conversation.settled()
    after = conversation.engagement
    assert (after.sent, after.lane, after.tabled) == (before.sent, "offered-by-hirer", before.tabled)
    await changes.revoke(conversation)
    said = [row for row in await world.globex.ledger.rows(hiring.id) if row.sequence == len(before.sent) + 1]
    assert [row.type for row in said if row.kind == "sent"][1:] == ["Terminate"]


@pytest.mark.parametrize("kind", ["Terminate", "Closing", "Ruling"])
async def test_hire_lim_05_who_looks_away_does_not_end_a_contract_for_ever(
    world: World, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-LIM-05: it has not seen our dispute, or what ended it, so what it says is void, and recorded each time. Of
    these there are no more than there is room for, while whoever has seen it ends the contract as ever.
    """
    hiring, changes = await contracted(world, "working"), world.globex.changes
    conversation = world.globex.conversations[hiring.id]
    seen = hiring.party.engagement.got[-1]
    await changes.dispute(conversation, "it was not paid")
    contract = conversation.engagement.contract
    assert contract is not None
    mark = contract.disputes[0].digest
    ruled = ARBITER.rule(contract.digest, mark, hiring.party.now)

    def next_one(say: Say) -> bytes:
        got = conversation.engagement.got
        return made(hiring, say, seen=seen, sequence=len(got) + 1, previous=got[-1])

    async def void(say: Say) -> None:
        raw = next_one(say)
        await hiring.line.send(raw)
        await until(lambda: conversation.engagement.got[-1] == digest_of(raw))

    await void(terminate("key_compromised"))
    if kind != "Terminate":
        await changes.rule(conversation, ruled)
    say = {
        "Terminate": terminate("key_compromised"),
        "Closing": books(hiring),
        "Ruling": ruling()._replace(members={"dispute": mark, "ruling": ruled}),
    }[kind]
    await void(say)
    raw = next_one(say)
    contract = conversation.engagement.contract
    assert contract is not None
    monkeypatch.setattr(fold, "MAX_CONTRACT_BYTES", contract.said_bytes[0] + len(raw) - 1)
    await no(hiring, raw, "too_large")
    monkeypatch.undo()
    await hiring.line.hang_up()


# --- by the provider ------------------------------------------------------------------------------------------------


class Turned(World):
    """Acme is the one that is attacked."""

    def __init__(self, world: World) -> None:
        self.globex, self.clock = world.acme, world.clock


class Insider(Attacker):
    """Whoever holds the key of a state folder."""

    def __init__(self, home: Home, own: Any) -> None:
        super().__init__(home.configuration.name)
        self.key = home.key()
        self.public_key, self.did, self.document = self.key.public_key, own.id, own
        self.method = own.methods("authentication")[0]


class Posing(Contracted):
    """An engagement that Globex was in, gone on with by whoever has its key."""

    def __init__(self, line: Line, id: str) -> None:
        acme = Known(line.world.globex.identity.did, line.world.globex.own)
        self.line, self._read = line, 0
        self.party = Party("provider", line.who, acme, id, line.world.clock)  # type: ignore[arg-type]


@asynccontextmanager
async def posing(world: World, act: Callable[[Any, Any], Any] | None = None) -> AsyncIterator[Posing]:
    """Acme hires Globex, which works and is then no more until the end; its key is the attacker's. `act` is what Acme
    does then.
    """
    acme, globex = world.acme, world.globex
    order = await hire_order(
        acme, globex.identity.did, task="idle", inputs={"report": REPORT}, price="5.00 EUR", criteria={}
    )
    ours = await acme.begin(order)
    await until(lambda: ours.engagement.state == "working" and ours.id in globex.conversations)
    await until(lambda: globex.conversations[ours.id].engagement.state == "working")
    await globex.conversations[ours.id].settled()
    await globex.close()
    try:
        async with published(globex):
            posed = Posing(await Line.to(Turned(world), Insider(globex.home, globex.own)), ours.id)
            ledger = await open_ledger(globex.home.ledger_url, read_only=True)
            for row in await ledger.rows(ours.id):
                posed.party._record(entry_of(row))
            await ledger.close()
            if act is not None:
                await act(acme.changes, ours)
                if (await posed.hear("Suspend", "Terminate")).type == "Terminate":
                    await posed.hear("Closing")
            yield posed
            await posed.line.hang_up()
    finally:
        await globex.start()


@asynccontextmanager
async def published(peer: Peer) -> AsyncIterator[None]:
    """The DID documents of a peer that is closed stay where they are. Whoever connects in its name is looked up again
    after ten seconds, which on a busy machine go by in the middle of a test.
    """
    own = [(peer.own, "/.well-known/did.json"), (peer.organisation, "/org/did.json")]
    files = {path: Document(one.raw, "application/did+json") for one, path in own if one is not None}

    async def hang_up(_: Channel) -> None:
        pass

    listener = PublicListener("127.0.0.1", peer.home.configuration.listen.port, documents=files.get, accept=hang_up)
    await listener.start()
    try:
        yield
    finally:
        await listener.stop()


PROVIDER_STATES: dict[str, Callable[[Any, Any], Any] | None] = {
    "working": None,
    "suspended": lambda changes, ours: changes.suspend(ours, seconds=3600),
    "closing": lambda changes, ours: changes.revoke(ours),
}


@pytest.mark.parametrize("state", PROVIDER_STATES)
async def test_sc_44_sc_63_every_message_by_the_provider(world: World, state: str) -> None:
    """The hirer's Suspend, Resume, Cancel, Review, Approval and Start are not the provider's to say, whoever it is."""
    async with posing(world, PROVIDER_STATES[state]) as posed:
        assert posed.state == state
        assert await all_refused(posed) >= len(MOVES) - 9
        for say in (withdraw(), acceptance()):
            await no(posed, made(posed, say), code_of(posed.party, say.type) or "")
        if state != "closing":
            for say in (terminate(), breach(), MOVES["ApprovalRequest"]):
                await no(posed, made(posed, say, contract=ARTIFACT), "conflicting_contract")
            await no(posed, made(posed, terminate("breach")), "wrong_state")
            await no(posed, made(posed, dispute()), "terms_mismatch")  # these terms name no arbiter
            await posed.do(terminate("unable"))
            await posed.hear("Closing")
        await posed.do(books(posed))
