"""Two whole runtimes, a network that does as it likes, stores that fail, processes that die, and an adversary.

The network is the set of all messages ever sent: any is delivered any number of times, in any order, or never. Either
process ends at any commit, before or after it is written, and another begins on the same ledger. The adversary has a
key of its own, everything that was ever sent, and the connections of both parties. After each step the invariants of
the security cases hold; when the faults stop, everything ends by itself.

`UNDERSIGNED_EXAMPLES` is how many examples each machine runs, in place of the usual few.
"""

from __future__ import annotations

import os
import traceback
from contextlib import suppress
from functools import cache
from typing import Any

import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from doubts import owed_in_doubt
from runtimes import REPORT, Node, Office, World, ask, folded, messages, moves, offices, own_folder
from undersigned.contract import countersigned, verify_sealed
from undersigned.daemon.serving import signed_headers
from undersigned.encoding import (
    Did,
    Digest,
    EngagementId,
    canonicalize,
    compare_amounts,
    decode_json,
    digest_bytes,
    digest_of,
    from_struct,
)
from undersigned.errors import UndersignedError
from undersigned.messages import Acceptance, Offer, Receipt, Seal, recorded_message
from undersigned.protocol import HIRER, OTHER, PROVIDER, ROLES, Engagement, Role, legal, pending
from undersigned.runtime import Job, Order
from undersigned.runtime.negotiation.papers import key_lookup
from undersigned.testing import (
    Actor,
    HandClock,
    Parcel,
    Party,
    Say,
    acceptance,
    cancel,
    closing,
    delivery,
    offer,
    problem,
    receipt,
    review,
    seal,
    start,
    sync,
    terminate,
    withdraw,
)
from undersigned.transparency import (
    LOGGED_MOVES,
    contract_leaf,
    decision_leaf,
    decision_salt,
    leaf_hash,
    move_leaf,
    refusal_leaf,
)

EXAMPLES = int(os.environ.get("UNDERSIGNED_EXAMPLES", "0"))
READS = 4
"""What the contract allows: so many reads of each input."""
ENDS = ("withdrawn", "closed")

roles = st.sampled_from(ROLES)


def unheard(held: Engagement) -> bool:
    """Whether nothing ever came from the other side, not even a receipt."""
    return not held.got and len(held.unreceipted) == len(held.sent)


@cache
def companies() -> tuple[Office, Office]:
    """The same two in every example: their keys are always the same."""
    return offices(own_folder())


class TwoRuntimes(RuleBasedStateMachine):
    """Both honest."""

    dishonest: Role | None = None

    @initialize(
        opening=st.sampled_from(["2 EUR", "4 EUR", "5 EUR"]),
        ceiling=st.sampled_from(["3 EUR", "5 EUR"]),
        stays=st.booleans(),
    )
    def begin(self, opening: str, ceiling: str, stays: bool) -> None:
        self.stays = stays
        """Whether the line stays as it is in the end: no new connection tells anybody what was lost."""
        self.defects: list[str] = []
        self.logging = structlog.get_config()["processors"]
        structlog.configure(processors=[self.note])
        self.world = World(companies(), held=True, handler=self.work)
        self.stranger = Actor("stranger")
        self.served: dict[Digest, int] = {}
        self.worked: list[Digest] = []
        self.contracts: dict[tuple[Role, EngagementId], Digest] = {}
        self.ends: dict[tuple[Role, EngagementId], str] = {}
        self.places: dict[tuple[Did, EngagementId, int], Digest] = {}
        self.checked = 0
        self.ours: list[EngagementId] = []
        self.orders: dict[EngagementId, Order] = {}
        self.order_more(opening if opening <= ceiling else ceiling, ceiling)

    def note(self, _logger: Any, _method: str, event: Any) -> Any:
        """What the runtimes log: nothing may fail for a reason of their own."""
        if event["event"] in ("a task failed", "a turn failed"):
            self.defects.append(f"{event}: {traceback.format_exc()}")
        raise structlog.DropEvent

    def order_more(self, opening: str, ceiling: str) -> None:
        order: Order = self.world.order(opening=opening, price=ceiling, deliverable="summary.txt")
        name = self.world.begin(order).id
        self.ours.append(name)
        self.orders[name] = order

    async def work(self, job: Job) -> None:
        """I6: no work before the seal is stored, and none outside `working`."""
        engagement = job.document.engagement
        held = folded(self.node(PROVIDER), engagement)
        assert held.state == "working"
        assert held.contract is not None
        assert held.contract.digest == job.contract
        self.worked.append(job.contract)
        data = await job.read("report")
        self.served[job.contract] = self.served.get(job.contract, 0) + 1
        await job.progress(percent=50, cursor="half")
        await job.deliver("summary.txt", data.split(b"\n", 1)[0])

    def node(self, role: Role) -> Node:
        return self.world.nodes[ROLES.index(role)]

    def alive(self, role: Role) -> bool:
        return not self.node(role).kept.dead

    def sound(self, role: Role) -> bool:
        """Nothing is about to happen to it."""
        kept = self.node(role).kept
        return not (kept.dead or kept.dies or kept.failures)

    def held(self, role: Role, engagement: EngagementId) -> Engagement | None:
        """What a side has stored of an engagement."""
        node = self.node(role)
        return folded(node, engagement) if node.kept.summary_of(engagement) is not None else None

    def honest(self) -> tuple[Role, ...]:
        return tuple(role for role in ROLES if role != self.dishonest)

    # ------------------------------------------------------------------ what the network does

    @rule(count=st.integers(1, 15))
    def flow(self, count: int) -> None:
        """The next messages arrive, in order, and so do their answers."""
        for _ in range(count):
            self.before_delivery()
            if self.world.next_parcel() is None:
                break

    def before_delivery(self) -> None:
        """A liar may be faster than its messages; here nobody is one."""

    def before_the_end(self) -> None:
        """What a liar did not come to yet it has to do now."""

    @rule(count=st.integers(1, 3))
    def lose(self, count: int) -> None:
        self.world.asked = min(self.world.asked + count, len(self.world.network.sent))

    @rule(data=st.data())
    @precondition(lambda self: self.world.network.sent)
    def deliver(self, data: st.DataObject) -> None:
        """Any message that was ever sent."""
        parcel = self.parcel(data)
        self.world.deliver(parcel.raw, parcel.sender, parcel.recipient)
        self.world.settle()

    def parcel(self, data: st.DataObject) -> Parcel:
        sent = self.world.network.sent
        return data.draw(st.sampled_from(sent[-10:]) | st.sampled_from(sent))

    @rule(data=st.data())
    @precondition(lambda self: self.world.network.sent and all(self.sound(role) for role in ROLES))
    def deliver_twice(self, data: st.DataObject) -> None:
        """I9: the second time changes nothing, and what comes back is what was said before."""
        parcel = self.parcel(data)
        node = next(node for node in self.world.nodes if node.did == parcel.recipient)
        self.world.deliver(parcel.raw, parcel.sender, parcel.recipient)
        self.world.settle()
        before, sent = stored(node), len(self.world.network.sent)
        self.world.deliver(parcel.raw, parcel.sender, parcel.recipient)
        self.world.settle()
        assert stored(node) == before, difference(before, stored(node))
        known = {row.digest: row for name in node.kept.engagements() for row in moves(node, name)}
        repeated, now = recorded_message(parcel.raw), self.world.clock.now()
        receipted: set[Digest] = set()
        for answer in self.world.network.sent[sent:]:
            said = recorded_message(answer.raw)
            if isinstance(said.message, Receipt):
                receipted.update(said.message.of)
            if not said.message.notice:
                assert said.digest in known
                proof = recorded_message(known[said.digest].raw).message.proof
                assert proof is not None
                assert answer.raw == known[said.digest].raw or proof.expires <= now, "the same bytes while good"
        proof, conversation = repeated.message.proof, node.conversations.get(repeated.message.engagement)
        looked = conversation is None or not conversation.inbox.items  # while its store fails, it looks later
        if repeated.digest in known and proof is not None and proof.expires >= now and looked:
            assert repeated.digest in receipted, "who says again what is recorded is told so"

    @rule()
    def reconnect(self) -> None:
        self.world.reconnect()
        self.world.settle()

    @rule(seconds=st.sampled_from([1, 1, 6, 6, 21, 61, 130, 310, 3700, 7500]))
    def wait(self, seconds: int) -> None:
        self.world.settle(seconds)

    # ------------------------------------------------------------------ what happens to the sides

    @rule(role=roles)
    def crash(self, role: Role) -> None:
        """The process ends and another begins, with what was stored."""
        fails = bool(self.node(role).kept.failures)
        self.world.restart(self.node(role))
        if fails:
            self.world.settle(2)  # whether what failed at the start stands is looked up a second later
        assert set(self.node(role).conversations) == set(self.live(role))
        self.world.settle()

    @rule(role=roles, when=st.sampled_from(["before", "after"]))
    def die_at_commit(self, role: Role, when: str) -> None:
        """At its next commit the process ends: `crash` begins another."""
        if not self.node(role).kept.dead:
            self.node(role).kept.dies = when

    @rule(role=roles, how=st.sampled_from(["refused", "unknown", "full"]))
    def store_fails(self, role: Role, how: str) -> None:
        """The next commit is refused, or is written and fails all the same."""
        self.node(role).kept.failures.append(how)

    @precondition(lambda self: len(self.ours) < 3 and all(self.sound(role) for role in ROLES))
    @rule()
    def hire_again(self) -> None:
        self.order_more("4 EUR", "5 EUR")

    @precondition(lambda self: self.sound(HIRER))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """The hirer's people change their mind."""
        hirer = self.node(HIRER)
        if hirer.conversations:
            conversation = data.draw(st.sampled_from(list(hirer.conversations.values())))
            self.world.loop.create_task(quietly(hirer.cancel(conversation)))
            self.world.settle()

    @rule(role=roles, data=st.data())
    def ask_for_input(self, role: Role, data: st.DataObject) -> None:
        """I6, I7: the hirer's door opens to the provider, while the hirer holds `working`, as often as agreed."""
        name = data.draw(st.sampled_from(self.ours))
        hirer, held = self.node(HIRER), self.held(HIRER, name)
        if not self.sound(HIRER):
            return
        live = hirer.conversations.get(name)
        states = {held.state if held is not None else "", live.engagement.state if live is not None else ""}
        contract = held.contract.digest if held is not None and held.contract is not None else digest_bytes(b"none")
        url = hirer.artifact_url(digest_bytes(REPORT))
        now = self.world.clock.now()
        headers = self.world.run(signed_headers(self.node(role).identity, "GET", url, contract, now))
        answer = self.world.run(ask(hirer, url, headers), 5)
        if answer.status == 200:
            assert role == PROVIDER
            assert "working" in states
            assert answer.body == REPORT
            self.served[contract] = self.served.get(contract, 0) + 1

    # ------------------------------------------------------------------ what the adversary does

    @rule(data=st.data(), role=roles, how=st.integers(0, 8))
    @precondition(lambda self: self.world.network.sent)
    def attack(self, data: st.DataObject, role: Role, how: int) -> None:
        """Bytes that no party signed as they are, or not for this place: nothing changes and nothing is sent."""
        if not self.sound(role):
            return
        victim, other = self.node(role), self.node(OTHER[role])
        parcel = self.parcel(data)
        raw, sender = parcel.raw, other.did
        now = self.world.clock.now()
        party = Party(OTHER[role], self.stranger, victim.office.actor, self.ours[0], HandClock(now))
        lie = sync().message(party)
        match how:
            case 0:  # garbage
                raw = data.draw(st.binary(max_size=64) | st.just(b"{}") | st.just(parcel.raw[:-1]))
            case 1:  # one member changed
                raw = altered(parcel.raw, data)
            case 2:  # what was sent to the other side, or by the victim itself
                if parcel.recipient == victim.did:
                    return
            case 3:  # recorded, on a connection of the adversary's
                sender = self.stranger.did
            case 4:  # spliced into another engagement
                names = [name for name in self.ours if name.encode() not in parcel.raw]
                if not names:
                    return
                raw = parcel.raw.replace(recorded_message(parcel.raw).message.engagement.encode(), names[0].encode())
            case 5:  # signed by the adversary as the other party
                raw = self.stranger.sign(replace(lie, sender=other.did), now).raw
            case 6:  # signed by the adversary as itself, about an engagement of others
                raw, sender = self.stranger.sign(lie, now).raw, self.stranger.did
            case 7:  # a fault, which is believed by nobody
                raw = canonicalize({"type": "Fault", "code": "internal", "of": digest_bytes(parcel.raw), "path": ""})
            case _:  # a proof taken from another message
                stolen = decode_json(self.parcel(data).raw)
                changed = decode_json(parcel.raw)
                if {**stolen, "proof": None} == {**changed, "proof": None}:
                    return  # the same message, signed again
                raw = canonicalize({**changed, "proof": stolen["proof"]})
        before, sent = stored(victim), len(self.world.network.sent)
        values = {name: one.engagement for name, one in victim.conversations.items()}
        answer = self.world.tell(raw, sender, victim)
        assert stored(victim) == before
        assert {name: one.engagement for name, one in victim.conversations.items()} == values
        assert len(self.world.network.sent) == sent
        if how == 7:
            assert answer == []
        elif isinstance(answer, list):
            assert [fault["type"] for fault in answer] in ([], ["Fault"])
            assert not answer or len(canonicalize(answer[0])) < len(raw)

    # ------------------------------------------------------------------ what holds

    @invariant()
    def one_contract_or_none(self) -> None:
        """I1, I2, I4: no two contracts, on one side over time or on both; no half a contract."""
        for name in self.ours:
            held = {role: self.held(role, name) for role in ROLES}
            for role in self.honest():
                engagement, key = held[role], (role, name)
                contract = engagement.contract if engagement is not None else None
                if contract is not None:
                    assert self.contracts.setdefault(key, contract.digest) == contract.digest
                else:
                    assert key not in self.contracts
            if self.dishonest is not None:
                continue
            assert len({self.contracts[role, name] for role in ROLES if (role, name) in self.contracts}) <= 1
            for role in ROLES:
                engagement = held[OTHER[role]]
                if (role, name) in self.contracts and (OTHER[role], name) not in self.contracts:
                    assert engagement is not None
                    assert engagement.in_doubt
                    assert engagement.offer is not None
                    assert engagement.offer.document == self.contracts[role, name]

    @invariant()
    def one_signature(self) -> None:
        """I3, and storing before sending: whoever is honest signed one thing for each place, and has it stored."""
        sent = self.world.network.sent
        names = {self.node(role).did: self.node(role) for role in self.honest()}
        for parcel in sent[self.checked :]:
            node = names.get(parcel.sender)
            said = recorded_message(parcel.raw)
            if node is None or said.message.notice:
                continue
            key = (parcel.sender, said.message.engagement, said.message.sequence)
            rows = {row.digest: row for row in moves(node, said.message.engagement)}
            assert said.digest in rows
            if not self.freed(node, said.message.engagement, self.places.get(key)):
                assert self.places.setdefault(key, said.digest) == said.digest
        self.checked = len(sent)
        for role in self.honest():
            for name in self.ours:
                own = [m.message for m in messages(self.node(role), name) if m.message.role == role]
                assert len({move.document for move in own if isinstance(move, Acceptance | Seal)}) <= 1

    def freed(self, node: Node, engagement: EngagementId, digest: Digest | None) -> bool:
        """Whether the peer's signed `Problem` gave the place of this move back (rule N9)."""
        if digest is None:
            return False
        found = [m.message for m in messages(node, engagement) if m.message.type == "Problem"]
        return any(one.of == digest and one.final for one in found)  # type: ignore[attr-defined]

    @invariant()
    def memory_is_what_is_stored(self) -> None:
        """What a conversation goes by is what its journal folds to, but for receipts, which may be lost."""
        for role in ROLES:
            if not self.alive(role):
                continue
            for name, conversation in self.node(role).conversations.items():
                task = conversation._task
                assert conversation.resting if task is None else not task.done() or conversation.over
                if self.node(role).kept.summary_of(name) is None:
                    continue
                live, kept = conversation.engagement, folded(self.node(role), name)
                if conversation.journal.places < len(self.node(role).kept.journal(name)):
                    continue  # it was told that the store failed, and will look again
                assert (live.state, live.sent, live.got) == (kept.state, kept.sent, kept.got)
                assert (live.contract and live.contract.digest) == (kept.contract and kept.contract.digest)

    @invariant()
    def authority_needs_a_seal(self) -> None:
        """I6, I7."""
        assert all(count <= READS for count in self.served.values())

    @invariant()
    def ends_stay(self) -> None:
        """An end is final, and whoever is in doubt owes nothing of what it is in doubt about."""
        for role in self.honest():
            for name in self.ours:
                held = self.held(role, name)
                if held is None:
                    continue
                if held.state in ENDS:
                    assert self.ends.setdefault((role, name), held.state) == held.state
                else:
                    assert (role, name) not in self.ends
                if held.in_doubt:
                    assert not any(owed_in_doubt(held, one) for one in pending(held, self.world.clock.now()))

    def live(self, role: Role) -> list[EngagementId]:
        """Engagements that a side has stored as not over."""
        kept = self.node(role).kept
        return [name for name in self.ours if (found := kept.summary_of(name)) is not None and found.live]

    # ------------------------------------------------------------------ the end

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.faults_stop()
            self.in_the_end()
            assert not self.defects, "\n".join(self.defects)
        finally:
            self.world.close()
            structlog.configure(processors=self.logging)

    def faults_stop(self) -> None:
        """Nobody helps: the sides are there, what was under way is lost, and time passes."""
        for role in ROLES:
            kept = self.node(role).kept
            kept.failures.clear()
            if kept.dead or kept.dies:
                self.world.restart(self.node(role))
        self.world.asked = len(self.world.network.sent)
        self.before_the_end()
        for step in (*[10] * 8, *[700] * 24):
            if not self.stays:
                self.world.reconnect()
            self.world.settle()
            self.flow(400)
            if not any(self.live(role) for role in self.honest()):
                break
            self.world.settle(step)
            self.one_signature()
        self.world.settle(5)

    def in_the_end(self) -> None:
        """I4, I5, I8, I12: both tell one story, it is over, and the contract in it verifies alone."""
        self.one_contract_or_none()
        if PROVIDER in self.honest():
            assert set(self.worked) <= {self.contracts.get((PROVIDER, name)) for name in self.ours}
        for role in self.honest():
            node = self.node(role)
            report = self.world.run(node.ledger.check())
            assert report.ok, report.defects
            self.stands_in_the_log(node)
            for name in self.ours:
                held = self.held(role, name)
                if held is None:
                    continue
                if held.contract is not None:
                    self.verifies_alone(node, name, held)
                if self.dishonest is None:
                    assert name not in node.conversations, (
                        role,
                        pending(node.conversations[name].engagement, self.world.clock.now()),
                        node.conversations[name]._served,
                        node.conversations[name].over,
                        node.conversations[name].inbox.items,
                    )
                    other = self.held(OTHER[role], name)
                    if other is None:
                        assert (held.state, unheard(held)) == ("withdrawn", True), "it was told for minutes only"
                    elif "closing" in (held.state, other.state):
                        # After `close` one `Closing` is enough for the books, so the other may never arrive.
                        assert {held.state, other.state} <= {"closing", "closed"}
                        assert self.story(role, name, "Closing") == self.story(OTHER[role], name, "Closing")
                    else:
                        assert (held.state, held.sent, held.got) == (other.state, other.got, other.sent)
                        assert held.state in ENDS
                else:
                    over = name not in node.conversations
                    assert over or held.in_doubt or held.unreceipted, (role, held.state)

    def stands_in_the_log(self, node: Node) -> None:
        """I8: what binds or was decided, by either side, has a leaf of its own, so nobody takes it away unseen."""
        secret = self.world.run(node.ledger.secret())
        for name in node.kept.engagements():
            rows = node.kept.journal(name)
            leaves = [move_leaf(row.raw) for row in rows if row.kind != "noted" and row.type in LOGGED_MOVES]
            decided = [row.raw for row in rows if row.kind == "noted" and row.type == "decision"]
            leaves += [decision_leaf(raw, decision_salt(raw, secret)) for raw in decided]
            evidence = self.world.run(node.ledger.evidence(name))
            leaves += [refusal_leaf(blob.raw) for blob in evidence if blob.kind == "refusal"]
            for leaf in leaves:
                assert self.world.run(node.ledger.index_of(name, leaf_hash(leaf))) is not None, leaf

    def story(self, role: Role, name: EngagementId, but: str) -> set[Digest]:
        """Digests of all moves that a side has stored, but for one type."""
        return {row.digest for row in moves(self.node(role), name) if row.type != but}

    def verifies_alone(self, node: Node, name: EngagementId, held: Engagement) -> None:
        """I5, I8: what is enforced is what both signed, and it stands in the log."""
        offers = {m.digest: m.message for m in messages(node, name) if isinstance(m.message, Offer)}
        # What crossed another move, and is void for it, may stand beside those two.
        taken, sealed = next(
            (taken, sealed)
            for sealed in messages(node, name)
            for taken in messages(node, name)
            if isinstance(sealed.message, Seal) and isinstance(taken.message, Acceptance)
            if sealed.message.acceptance == taken.digest and sealed.message.role != taken.message.role
        )
        assert isinstance(taken.message, Acceptance)
        offered: Any = from_struct(offers[taken.message.offer].document)
        assert taken.message.contract_proof["previousProof"] == offered["proof"]["id"]
        document = countersigned(offered, taken.message.contract_proof)
        keys = key_lookup(*(self.node(role).own for role in ROLES), now=self.world.clock.now())
        contract = verify_sealed(document, decode_json(taken.raw), decode_json(sealed.raw), keys=keys)  # type: ignore[arg-type]
        assert contract.digest == (held.contract.digest if held.contract else None)
        assert self.world.run(node.ledger.index_of(held.id, leaf_hash(contract_leaf(document)))) is not None


def stored(node: Node) -> Any:
    """Everything in a side's ledger about engagements; time apart."""
    kept = node.kept
    return [(name, kept.journal(name), kept.waiting(name), kept.summary_of(name)) for name in kept.engagements()]


def difference(before: Any, after: Any) -> list[Any]:
    """Rows that came, and summaries that changed."""
    found: list[Any] = []
    for old, new in zip(before, after, strict=False):
        found += [(row.kind, row.type, row.raw[:80]) for row in new[1][len(old[1]) :]]
        found += [] if old[2:] == new[2:] else [old[2:], new[2:]]
    return found


def altered(raw: bytes, data: st.DataObject) -> bytes:
    """The message with one of its members changed, and everything else as it was, the proof included."""
    value: Any = decode_json(raw)
    at = value
    while True:
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else list(range(len(at)))))
        if isinstance(at[key], dict | list) and at[key]:
            at = at[key]
            continue
        at[key] = at[key] + 1 if isinstance(at[key], int) and not isinstance(at[key], bool) else "changed"
        return canonicalize(value)


async def quietly(work: Any) -> None:
    """Asks for something that may not be possible now."""
    with suppress(UndersignedError):
        await work


def unchained() -> Say:
    """An acceptance whose proof holds and does not build on the offerer's."""
    honest = acceptance()

    def write(party: Party) -> dict[str, Any]:
        members = honest.write(party)
        if members["contract_proof"]:
            alone: Any = party.actor.prove_offer(replace(party.offered(), proof=None), party.now)
            members["contract_proof"] = from_struct(alone)["proof"]
        return members

    return Say("Acceptance", write, {})


LIES: dict[str, tuple[Say, ...]] = {
    "Acceptance": (
        acceptance(document=digest_bytes(b"another")),
        acceptance(offer=digest_bytes(b"another")),
        unchained(),
    ),
    "Seal": tuple(seal(**{member: digest_bytes(b"another")}) for member in ("acceptance", "document", "offer")),
}
"""What binds, in its place, and does not name what it has to: each by one thing alone."""

MOVES: dict[str, tuple[Say, ...]] = {
    "Acceptance": (acceptance(), *LIES["Acceptance"]),
    "Seal": (seal(), *LIES["Seal"]),
    "Withdraw": (withdraw("declined"), withdraw("offer_expired"), withdraw("revoked")),
    "Start": (start(), start(inputs=())),
    "Cancel": (cancel(),),
    "Terminate": (terminate("key_compromised"), terminate("deadline"), terminate("late_seal"), terminate("unable")),
    "Delivery": (delivery(), delivery("failed", artifacts=()), delivery(round=2)),
    "Review": (review("accepted"), review("rejected"), review("rework")),
    "Closing": (closing(), closing(basis="silence")),
    "Receipt": (receipt(), receipt(waiting_until="2026-03-02T18:00:00Z")),
    "Sync": (sync(), sync(state="closed")),
}


class DishonestPeer(TwoRuntimes):
    """One side's key also signs whatever it likes; what the other, which is honest, holds is still right.

    The key's own runtime goes on beside it, so that the forgeries meet every state.
    """

    lie: Say | None = None

    @initialize(lie=st.sampled_from([lie for lies in LIES.values() for lie in lies]))
    def lies_in_wait(self, lie: Say) -> None:
        """Where something binding could be said for the first time, this is said in its place."""
        self.lie = lie

    @rule(
        kind=st.sampled_from([*sorted(MOVES), "Offer", "Problem"]),
        variant=st.integers(0, 3),
        stale=st.booleans(),
        back=st.integers(0, 2),
        which=st.integers(0, 2),
    )
    def forge(self, kind: str, variant: int, stale: bool, back: int, which: int) -> None:
        """Any type in any state, in the next place or in one before, having seen all or claiming less."""
        honest = self.honest()[0]
        victim, liar = self.node(honest), self.node(OTHER[honest])
        name = self.ours[which % len(self.ours)]
        if not self.sound(honest) or victim.kept.summary_of(name) is None:
            return
        held = folded(victim, name)
        now = self.world.clock.now()
        party = Party(OTHER[honest], liar.office.actor, victim.office.actor, name, HandClock(now))
        party.engagement = mirrored(held, stale)
        party.stored.update({message.digest: message for message in messages(victim, name)})
        if kind == "Offer":
            terms = self.orders[name].terms(now)
            price = replace(terms.price, amount=("3", "4", "5", "900")[variant])
            say = offer(terms=replace(terms, price=price))
        elif kind == "Problem":
            own = held.sent[-1 - back] if len(held.sent) > back else digest_bytes(b"none")
            say = problem(own, final=variant % 2 == 0)
        else:
            say = MOVES[kind][variant % len(MOVES[kind])]
        try:
            members: dict[str, Any] = {}
            if back and len(held.got) >= back and kind not in ("Problem", "Receipt", "Sync"):
                place = len(held.got) - back + 1
                members = {"sequence": place, "previous": held.got[place - 2] if place > 1 else None}
            message = say._replace(members=say.members | members).message(party)
        except UndersignedError:
            return  # there is nothing to name yet
        raw = party.actor.sign(message, now).raw
        journal, contract = victim.kept.journal(name), held.contract
        answer = self.world.tell(raw, liar.did, victim)
        after = folded(victim, name)
        if isinstance(answer, UndersignedError) or answer:
            assert victim.kept.journal(name) == journal
        if contract is not None:
            assert after.contract is not None
            assert after.contract.digest == contract.digest

    def before_the_end(self) -> None:
        """In one hire more, which nothing disturbs."""
        if self.lie is not None:
            seals_first = self.lie.type == "Seal" and self.dishonest == HIRER
            self.order_more("4 EUR" if seals_first else "2 EUR", "5 EUR")

    def before_delivery(self) -> None:
        """I3, I5: where it is the liar's turn to bind both, what names something else is not recorded."""
        lie, honest = self.lie, self.honest()[0]
        victim, liar = self.node(honest), self.node(OTHER[honest])
        for name in self.ours:
            held = self.held(honest, name)
            if lie is None or held is None or held.contract is not None or not self.sound(honest):
                continue
            if lie.type not in legal(held, OTHER[honest]):
                continue
            now = self.world.clock.now()
            party = Party(OTHER[honest], liar.office.actor, victim.office.actor, name, HandClock(now))
            party.engagement = mirrored(held, stale=False)
            party.stored.update({message.digest: message for message in messages(victim, name)})
            false = party.actor.sign(lie.message(party), now)
            lie = self.lie = None
            self.world.tell(false.raw, liar.did, victim)
            assert false.digest not in folded(victim, name).got

    @invariant()
    def nothing_unsigned(self) -> None:
        """I2, I3: a side holds a contract only if it signed exactly that document, as acceptor or with its seal."""
        (honest,) = self.honest()
        for name in self.ours:
            held = self.held(honest, name)
            if held is None or held.contract is None or held.offer is None:
                continue
            own = [m.message for m in messages(self.node(honest), name) if m.message.role == honest]
            signs = Seal if held.offer.owner == honest else Acceptance
            assert [move.document for move in own if isinstance(move, signs)] == [held.contract.digest]

    @invariant()
    def no_more_than_agreed_to(self) -> None:
        """I5, I7: whatever the other side offers, nobody signs beyond its own limits."""
        (honest,) = self.honest()
        for name in self.ours:
            held = self.held(honest, name)
            if held is None or held.contract is None:
                continue
            offers = [m.message for m in messages(self.node(honest), name) if isinstance(m.message, Offer)]
            (price,) = {
                o.document.terms.price for o in offers if digest_of(from_struct(o.document)) == held.contract.digest
            }
            if honest == HIRER:
                assert compare_amounts(price.amount, self.orders[name].ceiling.amount) <= 0
            else:
                assert compare_amounts(price.amount, "4") >= 0


class DishonestHirer(DishonestPeer):
    dishonest: Role | None = HIRER


class DishonestProvider(DishonestPeer):
    dishonest: Role | None = PROVIDER


def mirrored(engagement: Engagement, stale: bool) -> Engagement:
    """The engagement as the other side would see it, or as it was one move of this side ago."""
    sent = engagement.sent[:-1] if stale else engagement.sent
    return replace(
        engagement,
        role=OTHER[engagement.role],
        own=engagement.peer,
        peer=engagement.own,
        sent=engagement.got,
        got=sent,
        answered=0,
    )


_few = settings(
    max_examples=EXAMPLES or 15,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestTwoRuntimes = TwoRuntimes.TestCase
TestTwoRuntimes.settings = _few
TestDishonestHirer = DishonestHirer.TestCase
TestDishonestHirer.settings = _few
TestDishonestProvider = DishonestProvider.TestCase
TestDishonestProvider.settings = _few
