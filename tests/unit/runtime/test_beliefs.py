"""The trust graph decides in whole runtimes: by chains, by what is learned and withdrawn, beside another process."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import structlog
from msgspec.structs import replace
from structlog.testing import capture_logs

from runtimes import NOON, Office, World, facts, folded, last, lingers, offices
from support import file_size_limit, no_descriptor
from undersigned.credentials import read_credential
from undersigned.encoding import canonicalize, digest_bytes, shift
from undersigned.errors import CredentialError
from undersigned.ledger import Admitted, TrustStore
from undersigned.messages import Profile, Suspend, Withdraw
from undersigned.runtime import AnchorBook, Home, create_home, issue_membership, sign_record
from undersigned.runtime.home.anchors import followed_anchors
from undersigned.runtime.negotiation import learned
from undersigned.runtime.negotiation.beliefs import INLINE_EDGES
from undersigned.runtime.negotiation.learned import WRITE_SECONDS
from undersigned.testing import Actor, HandClock
from undersigned.trust import Anchor, Anchors, Decision, Edge, Graph, Questions, ShownClaim, Stake, anchor_record

Open = Callable[..., World]
MEMBER = "MembershipCredential"
BODY = Actor("Body organisation")


def grant(to: str, **more: Any) -> Admitted:
    """What the body says: this organisation may say who its members are."""
    name = digest_bytes(repr((to, sorted(more.items()))).encode())
    return Admitted(Edge(name, BODY.did, to, "authority", MEMBER, **more), BODY.public_key)


def listed(to: str) -> Admitted:
    """The same, by a credential with a status in a list that cannot be had."""
    place = {"type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": "7"}
    entitles = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential", "AuthorityCredential"],
        "issuer": BODY.did,
        "credentialSubject": {"id": to},
        "credentialStatus": {**place, "statusListCredential": "https://10.0.0.1/status/1"},
    }
    link = Edge(read_credential(entitles).digest, BODY.did, to, "authority", MEMBER)
    return Admitted(link, BODY.public_key, canonicalize(entitles))


@pytest.fixture
def strangers(tmp_path: Path) -> tuple[Office, Office]:
    """Acme believes the body, which is not Globex's organisation; Globex believes Acme's."""
    acme = Office(tmp_path / "acme", "Acme", trusts=("Body",))
    globex = Office(tmp_path / "globex", "Globex", trusts=("Acme",))
    for office in (acme, globex):
        asyncio.run(issue_membership(office, clock=HandClock()))
    return acme, globex


def admit(office: Office, *edges: Admitted) -> None:
    """What `undersigned trust import` does, beside the running peer."""
    with TrustStore(office.trust) as store:
        store.admit(edges)


def hired(world: World, seconds: float = 0) -> tuple[str, Decision]:
    """How a hire goes in so many seconds, and the hirer's first decision in it."""
    name = world.begin().id
    world.settle(seconds)
    (first, *_) = [text for fact, text in facts(world.hirer, name) if fact == "decision"]
    decision = msgspec.json.decode(first, type=Decision)
    kept = world.hirer.kept.summary_of(name)
    assert kept is not None
    return kept.state, decision


def test_without_a_graph_anchors_answer_and_no_file_is_looked_into(
    open_world: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hire asks twice on each side; what the anchors say by themselves is worked out once."""
    monkeypatch.setattr(learned, "WRITE_SECONDS", 3600.0)  # however long a hire takes, nothing is written meanwhile
    world = open_world(*offices(tmp_path))  # those of all tests may have a graph by now: a peer that closes writes one
    asked: list[object] = []
    monkeypatch.setattr(TrustStore, "ask", lambda *given, **_: asked.append(given))
    reads: list[object] = []
    read = Graph.read
    monkeypatch.setattr(Graph, "read", lambda graph, wanted: (reads.append(wanted), read(graph, wanted))[1])
    state, decision = hired(world)
    assert state != "withdrawn"
    assert decision.outcome == "allow"
    assert [(ground.verdict, ground.paths) for ground in decision.grounds] == [("yes", ((),))]
    count = len(reads)
    assert hired(world)[1].grounds == decision.grounds
    assert len(reads) == count, "the second hire was answered from what was kept"
    assert not asked
    assert world.hirer.meeting.beliefs._store is None


def test_a_chain_entitles_and_the_decision_names_it(open_world: Open, strangers: tuple[Office, Office]) -> None:
    """HIRE-TRU-15, HIRE-TRU-16, HIRE-CRD-07: the organisation is no anchor, and is asked for by name."""
    acme, globex = strangers
    world = open_world(acme, globex)
    state, decision = hired(world)
    assert (state, decision.outcome, decision.grounds) == ("withdrawn", "deny", ()), (
        "it was not asked for, so not shown"
    )
    found = world.hirer.meeting.beliefs.authority(ShownClaim(globex.organisation.did, MEMBER))
    assert found.missing == (f"a chain of authority for {MEMBER} from an anchor to {globex.organisation.did}",)
    assert decision.inputs.anchors == world.hirer.meeting.beliefs.anchors.digest

    edge = grant(globex.organisation.did)
    admit(acme, edge)
    state, decision = hired(world)
    assert decision.outcome == "allow"
    assert state != "withdrawn"
    assert [ground.paths for ground in decision.grounds] == [((edge.edge,),)]
    assert f"{MEMBER} by {BODY.did} -> {globex.organisation.did}" in decision.explain()
    need = world.run(world.hirer.meeting.request(Stake(capability="summary"))).needs[0]
    assert need.issuers is not None
    assert {BODY.did, globex.organisation.did} <= set(need.issuers)


def test_who_is_declined_hears_who_would_be_believed(open_world: Open, strangers: tuple[Office, Office]) -> None:
    world = open_world(*strangers)
    name = world.begin().id
    said = last(world.hirer, name, Withdraw)
    assert said.reason == "policy_denied"
    assert said.needed is not None
    (need,) = said.needed
    assert (need.credential, BODY.did in (need.issuers or ())) == (MEMBER, True)
    assert last(world.hirer, name, Profile).request.needs[0].issuers is not None


@pytest.mark.parametrize("how", ["revoked", "suspended", "accused", "expired"])
def test_sc_74_a_kept_answer_ends_with_its_edge(open_world: Open, strangers: tuple[Office, Office], how: str) -> None:
    """HIRE-TRU-12: the only path is gone a second ago, and the answer by it is kept."""
    acme, globex = strangers
    edge = grant(globex.organisation.did, valid_until=shift(NOON, 60))
    admit(acme, edge)
    world = open_world(acme, globex)
    assert hired(world)[1].outcome == "allow"
    if how == "expired":
        world.clock.ahead += 61 - int(world.loop.time())
    else:
        with TrustStore(acme.trust) as store:
            if how == "accused":
                name = digest_bytes(b"accusation")
                store.admit([Admitted(Edge(name, BODY.did, globex.organisation.did, "accusation"), BODY.public_key)])
            else:
                store.set_status(edge.edge.digest, how)  # type: ignore[arg-type]
    state, decision = hired(world)
    assert (state, decision.outcome) == ("withdrawn", "deny")
    found = world.hirer.meeting.beliefs.authority(ShownClaim(globex.organisation.did, MEMBER))
    assert (found.verdict, [one.source for one in found.dissent]) == ("no", [BODY.did] if how == "accused" else [])


@pytest.mark.parametrize("side", ["provider", "hirer"])
def test_nobody_who_is_accused_is_worked_with(open_world: Open, strangers: tuple[Office, Office], side: str) -> None:
    """HIRE-TRU-25: an agent whose membership is as good as ever; who accuses it is not told to it."""
    acme, globex = strangers
    admit(acme, grant(globex.organisation.did))
    judge, by, of = (acme, BODY, globex) if side == "provider" else (globex, acme.organisation, acme)
    admit(judge, Admitted(Edge(digest_bytes(b"it"), by.did, of.actor.did, "accusation", says="breach"), by.public_key))
    world = open_world(acme, globex)
    name = world.begin().id
    node = world.hirer if side == "provider" else world.provider
    decision = msgspec.json.decode(dict(facts(node, name))["decision"], type=Decision)
    assert decision.outcome == "deny"
    assert [reason.clause for reason in decision.reasons if reason.code != "met"] == ["accused"]
    said = last(node, name, Withdraw)
    assert (said.reason, [need.code for need in said.needed or ()]) == ("policy_denied", ["not_accused"])
    assert by.did.encode() not in msgspec.json.encode(said.needed)


@pytest.mark.parametrize("demanded", [True, False], ids=["membership", "nothing"])
def test_an_agent_of_an_organisation_that_is_accused_is_refused_for_that(
    open_world: Open, strangers: tuple[Office, Office], demanded: bool
) -> None:
    """HIRE-TRU-25: known from an earlier hire; nobody asks for a word of the accused, so it is not shown again."""
    acme, globex = strangers
    organisation = globex.organisation
    membership = Edge(digest_bytes(b"it was hired before"), organisation.did, globex.actor.did, "membership")
    it = Edge(digest_bytes(b"it"), BODY.did, organisation.did, "accusation", says="breach")
    admit(acme, grant(organisation.did), Admitted(membership, organisation.public_key), Admitted(it, BODY.public_key))
    world = open_world(acme, globex)
    if not demanded:
        world.hirer.meeting.policy = replace(world.hirer.meeting.policy, require=())
    state, decision = hired(world)
    assert (state, decision.outcome, decision.accusations) == ("withdrawn", "deny", (it,))
    assert "accused" in [reason.clause for reason in decision.reasons]
    name = world.begin().id
    said = last(world.hirer, name, Withdraw)
    assert [need.code for need in said.needed or ()] == ["not_accused"], "and not whose membership would do instead"


def test_who_is_accused_while_a_contract_runs_may_not_act_and_is_not_terminated(
    open_world: Open, strangers: tuple[Office, Office]
) -> None:
    """HIRE-TRU-25, HIRE-TRU-28: both sides know that it waits; it goes on once the accusation is withdrawn."""

    acme, globex = strangers
    admit(acme, grant(globex.organisation.did))
    world = open_world(acme, globex, handler=lingers)
    conversation = world.begin()
    world.run(world.hirer.meeting.stands(conversation))
    it = Edge(digest_bytes(b"it"), BODY.did, globex.actor.did, "accusation", says="breach")
    admit(acme, Admitted(it, BODY.public_key))
    with pytest.raises(CredentialError, match="accused") as caught:
        world.run(world.hirer.meeting.stands(conversation))
    assert caught.value.code == "policy_denied"
    for _ in range(2):
        world.run(world.hirer.status_watch.look(conversation))
        world.settle(5)
        said = last(world.hirer, conversation.id, Suspend)
        assert (said.reason, said.until) == ("policy_denied", conversation.offered().terms.deadlines.until)
    assert [folded(node, conversation.id).state for node in (world.hirer, world.provider)] == ["suspended"] * 2
    with TrustStore(acme.trust) as store:
        store.set_status(it.digest, "revoked")
    world.run(world.hirer.status_watch.look(conversation))
    world.settle(5)
    assert [folded(node, conversation.id).state for node in (world.hirer, world.provider)] == ["working"] * 2


def test_who_is_accused_is_so_whatever_else_cannot_be_looked_up(
    open_world: Open, strangers: tuple[Office, Office]
) -> None:
    """HIRE-TRU-28: another path has a link whose list is away, and takes nothing from an accusation that stands."""
    acme, globex = strangers
    admit(acme, grant(globex.organisation.did))
    world = open_world(acme, globex, handler=lingers)
    conversation = world.begin()
    admit(acme, listed(globex.organisation.did))
    beliefs, accused = world.hirer.meeting.beliefs, Edge(digest_bytes(b"it"), BODY.did, globex.actor.did, "accusation")
    asked = Questions((ShownClaim(globex.organisation.did, MEMBER),), (), (), ())
    assert world.run(beliefs.settled(asked, max_age_seconds=0.0), 5).away
    world.run(world.hirer.meeting.stands(conversation), 5)
    admit(acme, Admitted(accused, BODY.public_key))
    with pytest.raises(CredentialError, match="accused now"):
        world.run(world.hirer.meeting.stands(conversation), 5)


def test_what_was_shown_is_learned_and_a_withdrawal_is_final(
    open_world: Open, strangers: tuple[Office, Office]
) -> None:
    """HIRE-TRU-17, HIRE-TRU-18: in one write, after the hire; and showing it again changes nothing."""
    acme, globex = strangers
    admit(acme, grant(globex.organisation.did))
    world = open_world(acme, globex)
    assert hired(world)[1].outcome == "allow"
    with TrustStore(acme.trust, read_only=True) as store:
        assert store.count == 1, "not while the hire waits for it"
    world.settle(WRITE_SECONDS + 1)
    with TrustStore(acme.trust, read_only=True) as store:
        (edge,) = [one for one in store.edges() if one.kind == "membership"]
        version = store.version
    assert (edge.source, edge.target) == (globex.organisation.did, globex.actor.did)

    async def heard() -> None:
        (shown,) = globex.credentials()
        assert shown.digest == edge.digest
        world.hirer.meeting.beliefs.learned.withdrawn(shown, "revoked")

    world.run(heard())
    world.settle(WRITE_SECONDS + 1)
    assert hired(world)[1].outcome == "allow", "the credential has no list: what a test says of it, nobody looks up"
    world.settle(WRITE_SECONDS + 1)
    with TrustStore(acme.trust, read_only=True) as store:
        (kept,) = [one for one in store.edges() if one.kind == "membership"]
        assert (kept.status, store.version) == ("revoked", version + 1)


def test_a_revocation_that_somebody_else_wrote_counts_at_once(
    open_world: Open, strangers: tuple[Office, Office]
) -> None:
    """HIRE-TRU-18: a list that shows it as clear is an older one, though it was looked up before."""
    acme, globex = strangers
    admit(acme, grant(globex.organisation.did))
    world = open_world(acme, globex)
    hired(world)
    world.settle(WRITE_SECONDS + 1)
    (shown,) = globex.credentials()
    listed = replace(shown, json={**shown.json, "credentialStatus": []}, has_status=True)

    async def looked_up() -> None:
        world.hirer.meeting.beliefs.looked_up(listed, {}, world.clock.now())

    world.run(looked_up())
    with TrustStore(acme.trust) as store:
        store.set_status(shown.digest, "revoked")
    for _ in range(2):  # and goes on to count
        with pytest.raises(CredentialError, match="had revoked before"):
            world.run(looked_up())


def test_a_revocation_that_waits_to_be_written_is_not_overtaken(
    open_world: Open, strangers: tuple[Office, Office]
) -> None:
    """HIRE-TRU-18: by another decision, which looked a moment before."""
    acme, globex = strangers
    world = open_world(acme, globex)
    (shown,) = globex.credentials()
    one, learned = replace(shown, has_status=True), world.hirer.meeting.beliefs.learned

    async def heard() -> None:
        learned.withdrawn(one, "revoked")
        await learned.learn([one], holder=globex.actor.did)

    world.run(heard())
    world.settle(WRITE_SECONDS + 1)
    with TrustStore(acme.trust, read_only=True) as store:
        assert [edge.status for edge in store.edges()] == ["revoked"]


def test_what_is_withdrawn_is_kept_though_the_peer_ends_before_it_is_written(
    open_world: Open, strangers: tuple[Office, Office]
) -> None:
    """HIRE-TRU-18."""
    acme, globex = strangers
    world = open_world(acme, globex)
    (shown,) = globex.credentials()

    async def heard() -> None:
        world.hirer.meeting.beliefs.learned.withdrawn(shown, "revoked")

    world.run(heard())
    world.restart(world.hirer)
    with TrustStore(acme.trust, read_only=True) as store:
        assert [edge.status for edge in store.edges()] == ["revoked"]


def test_a_link_whose_credential_comes_later_is_looked_up(open_world: Open, strangers: tuple[Office, Office]) -> None:
    """HIRE-TRU-24: a release before kept none, and it is imported again beside the running peer."""
    acme, globex = strangers
    link = listed(globex.organisation.did)
    admit(acme, link._replace(raw=None))
    world = open_world(acme, globex)
    assert hired(world)[1].outcome == "allow"
    admit(acme, link)
    assert hired(world, 3)[1].outcome == "deny", "its list cannot be had, and neither when it is asked for once more"


@pytest.mark.parametrize("why", ["full", "damaged"])
def test_what_is_withdrawn_is_not_forgotten_where_nothing_can_be_written(
    open_world: Open, strangers: tuple[Office, Office], monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """HIRE-TRU-18: not for others that are learned after it, and not with the file that it was for."""
    monkeypatch.setattr(learned, "MAX_WAITING", 1)
    acme, globex = strangers
    world = open_world(acme, globex)
    (shown,) = globex.credentials()
    kept = world.hirer.meeting.beliefs.learned

    async def heard() -> None:
        kept.withdrawn(shown, "revoked")
        if why == "full":
            others = [replace(shown, digest=digest_bytes(bytes([number])), has_status=True) for number in range(8)]
            await kept.learn(others, holder=globex.actor.did)
        else:
            acme.trust.write_bytes(b"no database" * 500)
            await kept.write()

    world.run(heard())
    assert kept.revoked(shown.digest)
    assert kept.bad() == {shown.digest}


def test_what_nobody_entitles_is_not_learned(open_world: Open, strangers: tuple[Office, Office]) -> None:
    """HIRE-TRU-17: a stranger that is declined leaves nothing in the graph."""
    acme, _ = strangers
    world = open_world(*strangers)
    assert hired(world)[1].outcome == "deny"
    world.settle(WRITE_SECONDS + 1)
    assert not acme.trust.exists()


def test_what_cannot_be_written_now_is_written_later(open_world: Open, companies: tuple[Office, Office]) -> None:
    world = open_world()
    path = world.provider.home.trust
    with TrustStore(path) as store:
        before = store.count
        hired(world)
        world.settle(WRITE_SECONDS + 1)
        assert store.count == before
    world.settle(WRITE_SECONDS + 1)
    with TrustStore(path, read_only=True) as store:
        assert any(one.source == companies[0].organisation.did for one in store.edges())


def test_what_finds_no_room_is_written_later(open_world: Open) -> None:
    world = open_world()
    kept = world.provider.meeting.beliefs.learned
    kept._statuses[digest_bytes(b"one")] = "good"
    with file_size_limit(0):
        world.run(kept.write(), 5)
    assert kept._statuses, "nothing was dropped"
    world.run(kept.write(), 5)
    assert not kept._statuses


def test_two_writes_of_one_peer_take_turns(
    open_world: Open, companies: tuple[Office, Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a reputation needs is written before it is asked, also while the timer writes what came before."""
    world = open_world()
    kept = world.provider.meeting.beliefs.learned
    entered: list[str] = []
    admit_ = TrustStore.admit

    def slow(store: TrustStore, *given: Any, **more: Any) -> int:
        entered.append("begins")
        time.sleep(0.1)
        entered.append("ends")
        return admit_(store, *given, **more)

    monkeypatch.setattr(TrustStore, "admit", slow)

    async def both() -> None:
        kept._statuses[digest_bytes(b"one")] = "good"
        first = asyncio.create_task(kept.write())
        await asyncio.sleep(0)
        kept._statuses[digest_bytes(b"two")] = "good"
        await kept.write()
        await first

    world.run(both(), 5)
    assert entered == ["begins", "ends"] * 2
    assert not kept._statuses, "nothing was put off"


def test_what_is_learned_while_its_suspension_is_written_keeps_its_key(
    open_world: Open, strangers: tuple[Office, Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-TRU-18: whose key it is tells names of one party apart from two parties."""
    acme, globex = strangers
    world = open_world(acme, globex)
    (shown,) = globex.credentials()
    one, learned = replace(shown, has_status=True), world.hirer.meeting.beliefs.learned
    admit_, again = TrustStore.admit, threading.Event()

    def slow(store: TrustStore, *given: Any, **more: Any) -> int:
        assert again.wait(5)
        return admit_(store, *given, **more)

    monkeypatch.setattr(TrustStore, "admit", slow)

    async def heard() -> None:
        learned.withdrawn(one, "suspended")
        writing = asyncio.create_task(learned.write())
        await asyncio.sleep(0)
        await learned.learn([one], holder=globex.actor.did)
        again.set()
        await writing
        await learned.write()

    world.run(heard(), 5)
    with TrustStore(acme.trust, read_only=True) as store:
        assert [edge.status for edge in store.edges()] == ["good"]
        assert store._db.execute("SELECT count(*) FROM signer").fetchone() == (1,)


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_a_contract_whose_path_is_gone_stops_at_the_gate(
    open_world: Open, strangers: tuple[Office, Office], how: str
) -> None:
    """HIRE-TRU-12, HIRE-TRU-19, HIRE-TRU-28."""

    acme, globex = strangers
    edge = grant(globex.organisation.did, valid_until=shift(NOON, 600))
    admit(acme, edge)
    world = open_world(acme, globex, handler=lingers)
    conversation = world.begin()
    world.run(world.hirer.meeting.stands(conversation))
    if how == "expired":
        world.clock.ahead += 601 - int(world.loop.time())
    else:
        with TrustStore(acme.trust) as store:
            store.set_status(edge.edge.digest, "revoked")
    with pytest.raises(CredentialError, match="believed any more") as caught:
        world.run(world.hirer.meeting.stands(conversation))
    assert caught.value.code == "policy_denied"
    world.run(world.hirer.status_watch.look(conversation))
    world.settle(5)
    assert conversation.engagement.state == "suspended", "the other side's credential holds, so nothing is terminated"
    assert last(world.hirer, conversation.id, Suspend).reason == "policy_denied"


def test_what_reads_much_of_the_graph_is_worked_out_beside_the_event_loop(
    open_world: Open, strangers: tuple[Office, Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that lets 50,000 companies vouch for their agents stopped a peer for over a second at each hire."""
    acme, globex = strangers
    count = 2 * INLINE_EDGES
    admit(acme, grant(globex.organisation.did), *(grant(f"did:example:{number}") for number in range(count)))
    here, asked = threading.get_ident(), list[tuple[bool, int]]()
    ask = TrustStore.ask

    def noted(store: TrustStore, question: Any, **more: Any) -> Any:
        found = ask(store, question, **more)
        asked.append((threading.get_ident() == here, found.work.edges if hasattr(found, "work") else count))
        return found

    monkeypatch.setattr(TrustStore, "ask", noted)
    world = open_world(acme, globex)
    state, decision = hired(world)
    assert (state != "withdrawn", decision.outcome) == (True, "allow")
    assert max(edges for _, edges in asked) > count, "it was asked"
    assert max((edges for in_loop, edges in asked if in_loop), default=0) <= INLINE_EDGES
    conversation = world.begin()
    before = len(asked)
    world.run(world.hirer.meeting.stands(conversation), 5)
    world.run(world.hirer.meeting.stands(conversation), 5)
    assert len(asked) <= before + 3, "answers are kept, wherever they were worked out"


def test_who_is_entitled_is_so_though_a_link_of_others_was_withdrawn_a_moment_before(
    open_world: Open, strangers: tuple[Office, Office]
) -> None:
    """HIRE-TRU-11: of a body's many links as many were looked at as make it many, and one of them was left out."""
    acme, globex = strangers
    others = [grant(f"did:example:{number}") for number in range(INLINE_EDGES + 1)]
    admit(acme, *others)
    admit(acme, grant(globex.organisation.did))  # the last that is read
    world = open_world(acme, globex)

    async def heard() -> None:
        (shown,) = globex.credentials()
        world.hirer.meeting.beliefs.learned.withdrawn(replace(shown, digest=others[0].edge.digest), "revoked")

    world.run(heard())
    assert hired(world)[1].outcome == "allow"


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_what_is_withdrawn_counts_in_no_answer_that_is_worked_out_beside_the_event_loop(
    open_world: Open, strangers: tuple[Office, Office], when: str
) -> None:
    """HIRE-TRU-18: neither where it is not written yet, nor where it was withdrawn while the graph was read."""
    acme, globex = strangers
    link = grant(globex.organisation.did)
    admit(acme, link, *(grant(f"did:example:{number}") for number in range(2 * INLINE_EDGES)))
    world = open_world(acme, globex)
    beliefs, about = world.hirer.meeting.beliefs, ShownClaim(globex.organisation.did, MEMBER)
    shown = replace(globex.credentials()[0], digest=link.edge.digest)
    asked = Questions((about,), (), (), ())

    async def heard() -> bool:
        working = asyncio.create_task(beliefs.prepare(asked))
        if when == "meanwhile":
            await asyncio.sleep(0)  # a thread has it, and whatever it finds is taken later
        beliefs.learned.withdrawn(shown, "revoked")
        await working
        return beliefs.authority(about).entitled

    assert not world.run(heard(), 5)


def test_anchors_that_the_system_could_not_read_for_the_moment_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-TRU-12: what was removed meanwhile counts no more, though nothing else changes."""
    monkeypatch.setattr("undersigned.runtime.home.followed.AGAIN_SECONDS", 0.0)
    believed = "did:web:globex.example:org"
    home = create_home(tmp_path / "acme", name="Acme", local=True, port=8109, anchors=(believed,))
    followed, now = followed_anchors(home, NOON), NOON
    AnchorBook(home, now).unlist(believed)
    os.utime(home.path / "undersigned.toml", (0, 0))  # long ago, so that it is no change of this very moment
    with no_descriptor(), capture_logs() as logged:
        assert [followed.follow(now) for _ in range(3)] == [False] * 3
    assert [entry["event"] for entry in logged] == ["anchors were changed and cannot be read: those from before count"]
    assert followed.found.anchors
    assert followed.follow(now)
    assert not followed.found.anchors
    assert not followed.follow(now)


def test_an_anchor_that_is_removed_beside_a_running_peer_counts_no_more(open_world: Open, tmp_path: Path) -> None:
    """HIRE-ANC-04, HIRE-TRU-12, HIRE-TRU-19, HIRE-TRU-28: and no start in between."""

    acme, globex = offices(tmp_path)
    world = open_world(acme, globex, handler=lingers)
    conversation = world.begin()
    world.run(world.hirer.meeting.stands(conversation))
    before = world.hirer.meeting.beliefs.anchors
    AnchorBook(acme, world.clock.now()).unlist(globex.organisation.did)
    with pytest.raises(CredentialError, match="believed any more") as caught:
        world.run(world.hirer.meeting.stands(conversation))
    assert caught.value.code == "policy_denied"
    world.run(world.hirer.status_watch.look(conversation))
    world.settle(5)
    assert folded(world.provider, conversation.id).state == "suspended"
    name = world.begin().id
    decision = msgspec.json.decode(dict(facts(world.hirer, name))["decision"], type=Decision)
    assert (decision.outcome, decision.inputs.anchors) == ("deny", Anchors().digest)

    now = world.clock.now()
    anchor = Anchor(issuer=globex.organisation.did, types=(MEMBER,), depth=0)
    record = anchor_record(id=f"urn:uuid:{uuid4()}", anchor=anchor, evidence="their statutes", added=now)
    AnchorBook(Home(acme.path), now).put(asyncio.run(sign_record(acme, record, now)))
    world.run(world.hirer.meeting.stands(conversation))
    world.run(world.hirer.status_watch.look(conversation))
    world.settle(5)
    assert folded(world.provider, conversation.id).state == "working"
    after = world.hirer.meeting.beliefs.anchors
    assert (after.anchors, before.digest != after.digest) == ((anchor,), True)


def test_anchors_that_cannot_be_read_any_more_leave_those_from_before(open_world: Open, tmp_path: Path) -> None:
    """An editor that writes in place leaves a half of the file for a moment: no contract stops for that."""
    companies = offices(tmp_path)
    world = open_world(*companies)
    assert hired(world)[1].outcome == "allow"
    file = companies[0].path / "undersigned.toml"
    text = file.read_text()
    file.write_text(text[: text.index("anchors") + 12])
    with structlog.testing.capture_logs() as logged:
        for _ in range(2):
            assert hired(world)[1].outcome == "allow"
    said = [line for line in logged if line["log_level"] == "error"]
    assert len(said) == 1
    assert str(file) in said[0]["error"]
    file.write_text(text.replace(companies[1].organisation.did, BODY.did))
    assert hired(world)[1].outcome == "deny"


def test_a_graph_that_cannot_be_read_is_no(open_world: Open, strangers: tuple[Office, Office]) -> None:
    acme, globex = strangers
    world = open_world(acme, globex)
    acme.trust.write_bytes(b"no database at all" * 100)  # once it runs: it would not start
    name = world.begin().id
    assert last(world.hirer, name, Withdraw).reason == "decision_failed"


def test_a_graph_that_is_put_in_the_place_of_another_one_counts(
    open_world: Open, strangers: tuple[Office, Office]
) -> None:
    """HIRE-TRU-12: the running peer is told nothing, and what is imported from then on counts with its next answer."""
    acme, globex = strangers
    admit(acme, grant("did:web:initech.example"))
    world = open_world(acme, globex)
    assert hired(world)[1].outcome == "deny"
    for file in [*acme.path.glob("trust.db*")]:
        file.rename(file.with_name(f"old-{file.name}"))
    assert hired(world)[1].outcome == "deny"
    admit(acme, grant(globex.organisation.did))
    assert hired(world)[1].outcome == "allow"
