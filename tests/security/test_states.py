"""Replay, ordering, and who may say what when: security cases SC-37 to SC-55, as far as the fold decides them."""

from __future__ import annotations

from itertools import permutations, product
from random import Random

import pytest

from support import refuses
from undersigned.errors import RemoteProtocolError, UndersignedError
from undersigned.messages import MESSAGE_TYPES, Limits, VerifiedMessage
from undersigned.protocol import (
    HIRER,
    LANE,
    LANE_TYPES,
    NOTICES,
    OTHER,
    PROVIDER,
    ROLES,
    ROWS,
    Owe,
    Received,
    Repeat,
    Sent,
    apply,
    legal,
    outcome,
)
from undersigned.testing import (
    ARTIFACT,
    PATHS,
    Actor,
    Party,
    Playbook,
    Say,
    acceptance,
    amendment,
    approval,
    approval_request,
    bid,
    breach,
    cancel,
    closing,
    delivery,
    dispute,
    inquiry,
    minutes,
    offer,
    presentation,
    problem,
    profile,
    progress,
    receipt,
    release,
    resume,
    review,
    ruling,
    seal,
    start,
    suspend,
    sync,
    terminate,
    withdraw,
)

RECIPES: dict[str, Say] = {
    "Inquiry": inquiry(nonce="u" + "A" * 43),
    "Profile": profile(),
    "Presentation": presentation(),
    "Bid": bid(),
    "Offer": offer(),
    "Acceptance": acceptance(),
    "Seal": seal(),
    "Withdraw": withdraw(),
    "Start": start(),
    "ApprovalRequest": approval_request(),
    "Approval": approval(),
    "Suspend": suspend(),
    "Resume": resume(),
    "Breach": breach(),
    "Dispute": dispute(),
    "Ruling": ruling(),
    "Cancel": cancel(),
    "Terminate": terminate(),
    "Delivery": delivery(),
    "Review": review(),
    "Closing": closing(),
    "Receipt": receipt(),
    "Problem": problem(ARTIFACT),
    "Sync": sync(),
    "Progress": progress(),
}


def forged(party: Party, kind: str, **members: object) -> VerifiedMessage:
    """A message of this type by this party, having seen everything, signed whether legal or not."""
    say = RECIPES[kind]
    if kind == "Offer" and party.engagement.contract is not None:
        say = release() if party.state == "disputed" else amendment()
    return party.actor.sign(say._replace(members=say.members | members).message(party), party.now)


# --- E. Replay, ordering, reflection


def test_sc_37_a_plain_replay_changes_nothing() -> None:
    """Every message of a finished engagement comes again, to both sides, before and after a restart.

    HIRE-CHN-04, HIRE-SEC-02.
    """
    playbook = Playbook("closed")
    parcels = list(playbook.network.sent)
    assert {type(entry).__name__ for entry in playbook.hirer.party.journal} == {"Sent", "Received"}
    for restarted in (False, True):
        for parcel in parcels:
            receiver = next(p for p in playbook.parties.values() if p.actor.did == parcel.recipient)
            before, lines = receiver.engagement, len(receiver.journal)
            assert receiver.receive(parcel.raw) == "repeat"
            assert receiver.engagement is before
            assert len(receiver.journal) == lines
        if not restarted:
            for role in ROLES:
                playbook.crash(role)
    playbook.agree("closed")


def test_sc_37_a_replay_after_a_day_needs_a_fresh_proof() -> None:
    """The same content under a proof that is past is `proof_expired`; under a new one it is a repeat (HIRE-PRF-05)."""
    playbook = Playbook("offered-by-hirer")
    party = playbook.hirer.party
    offered = party.stored[party.engagement.sent[-1]]
    playbook.advance(24 * 3600)
    playbook.refused("proof_expired", lambda: playbook.repeat(offered))
    again = party.actor.sign(offered.message, party.now)
    assert again.digest == offered.digest
    assert again.raw != offered.raw
    assert playbook.repeat(again) == "repeat"


def test_sc_38_a_replay_to_another_recipient_is_refused() -> None:
    """A's offer for B is delivered to C, who has an engagement of the same name (HIRE-ENV-06)."""
    playbook = Playbook("offered-by-hirer")
    hirer, stranger = playbook.hirer.party, Actor("somebody else")
    raw = hirer.stored[hirer.engagement.sent[-1]].raw
    other = Party(PROVIDER, stranger, hirer.actor, hirer.engagement.id, playbook.clock)
    with refuses(UndersignedError, "wrong_recipient"):
        other.receive(raw)
    with refuses(RemoteProtocolError, "wrong_recipient"):
        other.take(hirer.stored[hirer.engagement.sent[-1]])
    assert other.journal == []


def test_sc_39_a_replay_into_another_negotiation_is_refused() -> None:
    """An acceptance of one negotiation comes in another with the same terms, parties and place."""
    first, second = Playbook("accepted-by-provider", seed=3), Playbook("offered-by-hirer", seed=4)
    moved = first.provider.party
    accepted = moved.stored[moved.engagement.sent[-1]]
    target = second.hirer.party
    before = target.engagement
    with refuses(RemoteProtocolError, "wrong_negotiation"):
        target.take(accepted)
    assert target.engagement is before
    second.agree("offered-by-hirer")


@pytest.mark.parametrize("same_id", [True, False])
def test_sc_40_another_body_in_the_same_place_is_equivocation(same_id: bool) -> None:
    """Two validly signed messages of one place: the second is refused, both are kept, the first stands."""
    playbook = Playbook("ready")
    party = playbook.hirer.party
    two = offer(price="99").message(party)
    one = playbook.hirer >> offer()
    second = {"id": one.message.id} if same_id else {}
    other = party.actor.sign(
        type(two)(**{name: getattr(two, name) for name in two.__struct_fields__} | second), party.now
    )
    playbook.refused("conflicting_message", lambda: playbook.repeat(other))
    kept = playbook.provider.party.equivocations
    assert [(a.digest, b.digest) for a, b in kept] == [(one.digest, other.digest)]
    a, b = kept[0]
    assert (a.message.sender, a.message.engagement, a.message.sequence) == (
        b.message.sender,
        b.message.engagement,
        b.message.sequence,
    )
    playbook.agree("offered-by-hirer")


def test_sc_41_every_order_of_six_messages_ends_the_same() -> None:
    """All 720 orders of a six-message negotiation, each delivered until nothing more is taken (HIRE-SYN-03)."""
    whole = Playbook("accepted-by-provider")
    finals = {role: party.engagement.state for role, party in whole.parties.items()}
    messages = [
        (message, OTHER[message.message.role])
        for party in whole.parties.values()
        for entry in party.journal
        if isinstance(entry, Received)
        for message in (entry.message,)
    ]
    assert len(messages) == 6
    for order in permutations(range(6)):
        views = {role: party._first for role, party in whole.parties.items()}
        _deliver_in(views, whole, [messages[i] for i in order])
        assert {role: view.state for role, view in views.items()} == finals, order


def test_sc_41_a_lost_prefix_ends_clean() -> None:
    """Whatever prefix is lost, the rest is `out_of_order` and each side stays at a state of the honest run."""
    whole = Playbook("accepted-by-provider")
    for role, party in whole.parties.items():
        received = [entry.message for entry in party.journal if isinstance(entry, Received)]
        for lost in range(1, len(received) + 1):
            view = party._first
            for message in received[lost:]:
                with refuses(RemoteProtocolError, "out_of_order"):
                    apply(view, Received(message, party.now))
            assert view.state == "-", role


def _deliver_in(views, whole, order) -> None:
    """Each side says its own moves as soon as its journal has them due, and takes what comes when it can."""
    waiting = list(order)
    cursor = dict.fromkeys(views, 0)
    while True:
        moved = False
        for role, party in whole.parties.items():
            while cursor[role] < len(party.journal) and not isinstance(party.journal[cursor[role]], Received):
                views[role] = apply(views[role], party.journal[cursor[role]])
                cursor[role] += 1
        for message, role in waiting:
            said = message.digest in views[OTHER[role]].sent
            if not said:
                continue
            if message.message.sequence > len(views[role].got) + 1:
                with refuses(RemoteProtocolError, "out_of_order"):
                    apply(views[role], Received(message, whole.parties[role].now))
                continue
            if outcome(views[role], message, whole.parties[role].now) == "repeat":
                continue
            views[role] = apply(views[role], Received(message, whole.parties[role].now))
            cursor[role] += 1
            moved = True
            break
        if not moved:
            return


def test_sc_42_a_storm_of_duplicates_makes_one_contract_each() -> None:
    """Each message one to five times, interleaved both ways, over a thousand negotiations (HIRE-CHN-04)."""
    whole = Playbook("sealed")
    contract = whole.hirer.party.engagement.contract
    assert contract is not None
    random = Random(42)
    for _ in range(1000):
        views = {role: party._first for role, party in whole.parties.items()}
        cursor = dict.fromkeys(views, 0)
        copies: list[tuple[str, VerifiedMessage]] = []
        while any(cursor[role] < len(party.journal) for role, party in whole.parties.items()) or copies:
            for role, party in whole.parties.items():
                if cursor[role] < len(party.journal) and not isinstance(party.journal[cursor[role]], Received):
                    entry = party.journal[cursor[role]]
                    views[role] = apply(views[role], entry)
                    cursor[role] += 1
                    copies += [(OTHER[role], entry.message)] * random.randint(1, 5)
            if copies:
                role, message = copies.pop(random.randrange(len(copies)))
                became = outcome(views[role], message)
                after = apply(views[role], Received(message, whole.parties[role].now))
                cursor[role] += became != "repeat"
                assert (became == "repeat") == (after == views[role])
                views[role] = after
        for view in views.values():
            assert view.state == "sealed"
            assert view.contract is not None
            assert view.contract.digest == contract.digest


# --- F. State machine and contract formation


@pytest.mark.parametrize("state", PATHS)
def test_sc_44_every_message_in_every_state(state: str) -> None:
    """Type, state and sender's role: what the table has moves as it says, all else is refused and changes nothing.

    HIRE-CHN-11, HIRE-NEG-01, HIRE-LIF-01, HIRE-ERR-03.
    """
    playbook = Playbook(state)
    for role, kind in product(ROLES, MESSAGE_TYPES):
        sender, receiver = playbook.parties[role], playbook.parties[OTHER[role]]
        message = forged(sender, kind)
        before, lines = receiver.engagement, list(receiver.journal)
        row = next((r for r in ROWS.values() if (r.state, r.type, r.role) == (state, kind, role)), None)
        if kind in NOTICES:
            after = apply(before, Received(message, receiver.now))
            assert (after.state, after.got, after.sent) == (before.state, before.got, before.sent)
        elif (state, kind) in GENERIC_MISFITS and kind in legal(before, role):
            with pytest.raises(RemoteProtocolError) as refused:
                apply(before, Received(message, receiver.now))
            assert refused.value.code == GENERIC_MISFITS[state, kind]
        elif kind in legal(before, role):
            after = apply(before, Received(message, receiver.now))
            if before.contract is not None and kind in LANE_TYPES:
                assert (after.state, after.lane) == (state, LANE[before.lane, kind, role].next)
                continue
            assert after.state in {r.next for r in ROWS.values() if (r.state, r.type, r.role) == (state, kind, role)}
            assert after.got == (*before.got, message.digest)
        else:
            with pytest.raises(RemoteProtocolError) as refused:
                apply(before, Received(message, receiver.now))
            assert refused.value.code in _codes(state, kind, role), (state, kind, role, refused.value)
            if row is None and not (before.contract is not None and kind in LANE_TYPES):
                assert f"{role} sent {kind}" in refused.value.message
                assert "legal here: " in refused.value.message
        assert receiver.engagement is before
        assert receiver.journal == lines


GENERIC_MISFITS = {
    ("-", "Inquiry"): "wrong_negotiation",  # its nonce is of another engagement
    ("accepted-by-provider", "Withdraw"): "wrong_state",  # after an acceptance "declined" is no reason
    ("accepted-by-hirer", "Withdraw"): "wrong_state",
    ("disputed", "Terminate"): "wrong_state",  # only for want of a ruling
}
"""Where the row is there, and the generic message of the matrix does not say what its guard wants; other tests do."""


def _codes(state: str, kind: str, role: str) -> set[str]:
    """What a move without a row may be told. An acceptance where one exists is `already_contracted` (SC-48), a delivery
    after the work was accepted `already_fulfilled` (SC-70).
    """
    if kind == "Delivery" and role == "provider" and state in ("closing", "closed"):
        return {"already_fulfilled", "wrong_state"}
    if kind == "Acceptance" and state not in ("-", "inquired", "profiled", "presented", "ready", "withdrawn"):
        return {"already_contracted", "wrong_party", "wrong_state"}
    others = any((r.state, r.type, r.role) == (state, kind, OTHER[role]) for r in ROWS.values())
    if kind == "Ruling" and state == "closing":
        return {"wrong_state"}  # either may, where a dispute ended without one
    return {"wrong_party"} if others else {"wrong_state", "wrong_party"}


@pytest.mark.parametrize("state", PATHS)
def test_sc_44_a_stranger_moves_nothing_anywhere(state: str) -> None:
    """A third party with a key of its own signs every type, under its own name and in either role."""
    playbook = Playbook(state)
    stranger = Actor("stranger")
    for role, kind in product(ROLES, MESSAGE_TYPES):
        victim, posed = playbook.parties[OTHER[role]], playbook.parties[role]
        message = RECIPES[kind]._replace(members=RECIPES[kind].members | {"sender": stranger.did}).message(posed)
        before = victim.engagement
        with refuses(RemoteProtocolError, "wrong_party"):
            apply(before, Received(stranger.sign(message, victim.now), victim.now))
        assert victim.engagement is before


@pytest.mark.parametrize("state", PATHS)
def test_sc_44_nobody_speaks_for_the_other_role(state: str) -> None:
    """A party signs with its own key in the other's role, and its own messages are sent back to it."""
    playbook = Playbook(state)
    for role in ROLES:
        sender, receiver = playbook.parties[role], playbook.parties[OTHER[role]]
        posed = sync(role=OTHER[role]).message(sender)
        with refuses(RemoteProtocolError, "wrong_party"):
            apply(receiver.engagement, Received(sender.actor.sign(posed, sender.now), receiver.now))
        own = sender.actor.sign(sync().message(sender), sender.now)
        with refuses(RemoteProtocolError, "wrong_recipient"):
            apply(sender.engagement, Received(own, sender.now))


@pytest.mark.parametrize(
    ("state", "role", "kind"),
    [("ready", HIRER, "Start"), ("accepted-by-provider", PROVIDER, "Delivery"), ("ready", PROVIDER, "Acceptance")],
)
def test_sc_45_the_middle_cannot_be_skipped(state: str, role: str, kind: str) -> None:
    """Start after Presentation, Delivery before the seal, Acceptance before any offer."""
    playbook = Playbook(state)
    message = forged(playbook.parties[role], kind)
    playbook.refused("wrong_state", lambda: playbook.parties[OTHER[role]].take(message))
    assert not any(party.engagement.authority for party in playbook.parties.values())


def test_sc_46_a_superseded_offer_cannot_be_accepted() -> None:
    """Offer, counter-offer, offer: the peer accepts the first (HIRE-NEG-06)."""
    playbook = Playbook("ready")
    first = playbook.hirer >> offer(price="10")
    playbook.provider >> offer(price="14")
    playbook.hirer >> offer(price="12")
    provider = playbook.provider.party
    message = forged(provider, "Acceptance", offer=first.digest)
    playbook.refused("stale_offer", lambda: playbook.hirer.party.take(message))
    playbook.provider >> acceptance()
    playbook.agree("accepted-by-provider")


@pytest.mark.parametrize("skew", [-3600, -60, 0, 60, 3600])
@pytest.mark.parametrize(("beyond", "sealed"), [(-1, True), (0, True), (1, False)])
def test_sc_47_the_offerers_clock_decides_about_lateness(skew: int, beyond: int, sealed: bool) -> None:
    """One second before, at, and one second after; however wrong the acceptor's clock is (HIRE-NEG-09)."""
    playbook = Playbook("ready", skew={PROVIDER: 0})
    playbook.hirer >> offer(valid_for=minutes(10))
    playbook.advance(minutes(10) + beyond)
    provider, hirer = playbook.provider.party, playbook.hirer.party
    provider.clock = playbook.clock.skewed(skew)
    message = provider.actor.sign(acceptance().message(provider), hirer.now)
    provider.engagement = apply(provider.engagement, Sent(message, provider.now))
    hirer.take(message)
    owed = [effect for effect in hirer.pending() if isinstance(effect, Owe)]
    if sealed:
        assert owed[0].moves == ("Seal", "Withdraw")
        hirer.send(seal().message(hirer))
        assert hirer.state == "sealed"
    else:
        assert (owed[0].moves, owed[0].reason) == (("Withdraw",), "offer_expired")
        playbook.refused("offer_expired", lambda: hirer.send(seal().message(hirer)))
        answer = hirer.send(withdraw("offer_expired").message(hirer))
        assert provider.engagement.in_doubt
        provider.engagement = apply(provider.engagement, Received(answer, provider.now))
        assert provider.state == hirer.state == "withdrawn"


def test_sc_48_accepting_twice_makes_one_contract() -> None:
    """The same acceptance again, another in its place, and one in a later place."""
    playbook = Playbook("offered-by-hirer")
    provider, hirer = playbook.provider.party, playbook.hirer.party
    second = provider.actor.sign(acceptance().message(provider), provider.now)
    first = playbook.provider >> acceptance()
    assert first.digest != second.digest
    assert playbook.repeat(first) == "repeat"
    playbook.refused("conflicting_message", lambda: hirer.take(second))
    later = forged(provider, "Acceptance")
    playbook.refused("already_contracted", lambda: hirer.take(later))
    playbook.hirer >> seal()
    playbook.agree("sealed")
    assert playbook.repeat(first) == "repeat"
    again = forged(provider, "Acceptance")
    playbook.refused("already_contracted", lambda: hirer.take(again))


def test_sc_48_two_keys_of_one_party_are_one_party() -> None:
    """The chain is the party's, not the key's: a second key does not get a second place."""
    playbook = Playbook("accepted-by-provider")
    provider, hirer = playbook.provider.party, playbook.hirer.party
    other_key = Actor("provider", seed=99)
    message = other_key.sign(acceptance().message(provider), provider.now)
    playbook.refused("already_contracted", lambda: hirer.take(message))


@pytest.mark.parametrize("member", ["offer", "document", "acceptance"])
def test_sc_49_a_seal_of_something_else_is_refused(member: str) -> None:
    """What is sealed is what was accepted: offer, document and acceptance, each by digest."""
    playbook = Playbook("accepted-by-provider")
    message = forged(playbook.hirer.party, "Seal", **{member: ARTIFACT})
    playbook.refused("terms_mismatch", lambda: playbook.provider.party.take(message))
    assert playbook.provider.party.engagement.in_doubt


def test_sc_49_an_acceptance_of_another_document_is_refused_and_ends_it() -> None:
    """N9: it names the live offer with another document; it is not recorded, and the offerer withdraws."""
    playbook = Playbook("offered-by-hirer")
    message = forged(playbook.provider.party, "Acceptance", document=ARTIFACT)
    playbook.refused("terms_mismatch", lambda: playbook.hirer.party.take(message))
    playbook.hirer >> withdraw("terms_mismatch")
    playbook.agree("withdrawn")


def test_sc_50_two_contracts_for_one_negotiation_are_equivocation() -> None:
    """The offerer seals twice in one place; the auditor has both signatures, the first stands."""
    playbook = Playbook("accepted-by-provider")
    hirer, provider = playbook.hirer.party, playbook.provider.party
    other = forged(hirer, "Seal")
    first = playbook.hirer >> seal()
    playbook.refused("conflicting_message", lambda: provider.take(other))
    assert [(a.digest, b.digest) for a, b in provider.equivocations] == [(first.digest, other.digest)]
    assert provider.engagement.contract is not None
    later = forged(hirer, "Seal")
    playbook.refused("wrong_state", lambda: provider.take(later))
    playbook.agree("sealed")


def test_sc_51_a_lost_final_message_leaves_doubt_and_ends_in_the_contract() -> None:
    """The seal is lost for an hour, the acceptor restarts: it asks again and gets the same answer.

    HIRE-NEG-13, HIRE-CHN-12.
    """
    playbook = Playbook("accepted-by-provider")
    hirer, provider = playbook.hirer.party, playbook.provider.party
    playbook.hold()
    sealed = playbook.hirer >> seal()
    playbook.lose()
    playbook.crash(PROVIDER)
    for passed in (10, 60, 600, 3600 - 670):
        playbook.advance(passed)
        assert provider.engagement.in_doubt
        repeats = [effect for effect in provider.pending() if isinstance(effect, Repeat)]
        assert [effect.digest for effect in repeats] == [provider.engagement.acceptance]
        assert not any(isinstance(effect, Owe) for effect in provider.pending())
    assert playbook.repeat(provider.stored[repeats[0].digest]) == "repeat"
    assert hirer.engagement.outbox == (sealed.digest,)
    playbook.resend()
    playbook.agree("sealed")


def test_sc_52_a_silent_offerer_holds_no_capacity_and_no_way_out() -> None:
    """What was reserved is freed at `validUntil` and `sealGrace`; the doubt stays, and no second contract is signed.

    HIRE-NEG-13, HIRE-NEG-17.
    """
    playbook = Playbook("ready")
    playbook.hirer >> offer(valid_for=minutes(10), seal_grace="PT2M")
    playbook.provider >> acceptance()
    provider = playbook.provider.party
    names = lambda: [type(effect).__name__ for effect in provider.pending()]  # noqa: E731
    playbook.advance(minutes(12))
    assert "Reserve" in names()
    assert "Free" not in names()
    playbook.advance(1)
    assert "Free" in names()
    assert "Reserve" not in names()
    playbook.advance(30 * 24 * 3600)
    assert provider.engagement.in_doubt
    assert "Repeat" in names()
    assert "Owe" not in names()
    for kind in ("Withdraw", "Offer", "Acceptance", "Seal"):
        playbook.refused(
            "already_contracted" if kind == "Acceptance" else "wrong_state" if kind == "Offer" else "wrong_party",
            lambda kind=kind: provider.send(RECIPES[kind].message(provider)),
        )


@pytest.mark.parametrize("first", ["Withdraw", "Seal"])
def test_sc_53_a_refusal_and_a_contract_in_one_place(first: str) -> None:
    """The offerer signs both; the acceptor keeps the first, refuses the second and can show both."""
    playbook = Playbook("ready")
    playbook.hirer >> offer(valid_for=minutes(10))
    playbook.provider >> acceptance()
    hirer, provider = playbook.hirer.party, playbook.provider.party
    both = {"Seal": forged(hirer, "Seal"), "Withdraw": forged(hirer, "Withdraw", reason="revoked")}
    second = "Seal" if first == "Withdraw" else "Withdraw"
    provider.take(both[first])
    state = provider.state
    assert state == {"Withdraw": "withdrawn", "Seal": "sealed"}[first]
    playbook.refused("conflicting_message", lambda: provider.take(both[second]))
    assert provider.state == state
    assert [(a.digest, b.digest) for a, b in provider.equivocations] == [(both[first].digest, both[second].digest)]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("state", ["sealed", "working", "delivered", "closing", "closed"])
def test_sc_54_nobody_withdraws_from_a_contract(state: str, role: str) -> None:
    """Withdraw after the contract exists: only its own ways out apply (HIRE-CHN-11)."""
    playbook = Playbook(state)
    message = forged(playbook.parties[role], "Withdraw")
    playbook.refused("wrong_state", lambda: playbook.parties[OTHER[role]].take(message))
    playbook.refused("wrong_state", lambda: playbook.parties[role].send(withdraw().message(playbook.parties[role])))


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_sc_55_bargaining_ends_at_the_agreed_round(rounds: int) -> None:
    """The offer beyond the limit is refused; its sender's turn is left with acceptance or withdrawal (HIRE-NEG-08)."""
    playbook = Playbook("ready", first=inquiry(rounds=rounds))
    for number in range(rounds):
        side = playbook.hirer if number % 2 == 0 else playbook.provider
        side >> offer()
    holder = playbook.side(PROVIDER if rounds % 2 else HIRER)
    message = forged(holder.party, "Offer")
    other = playbook.parties[OTHER[holder.party.role]]
    playbook.refused("round_limit", lambda: other.take(message))
    playbook.refused("round_limit", lambda: holder >> offer())
    assert legal(other.engagement, holder.party.role) == ("Acceptance", "Withdraw")
    owed = [effect for effect in holder.party.pending() if isinstance(effect, Owe)]
    assert owed[0].moves == ("Acceptance", "Withdraw")
    holder >> withdraw("round_limit")
    playbook.agree("withdrawn")


def test_sc_55_bargaining_ends_at_the_agreed_size_and_time() -> None:
    """Bytes beyond `limits.bytes` are refused but for what ends it; at `closesAt` the waiting side ends it.

    HIRE-NEG-22.
    """
    measured = Playbook("offered-by-provider").hirer.party.engagement.talks
    assert measured is not None
    limits = Limits(rounds=64, bytes=measured.used + 500)
    playbook = Playbook("offered-by-provider", first=inquiry(limits=limits))
    playbook.refused("too_large", lambda: playbook.hirer >> offer(valid_for=minutes(200)))
    posed = forged(playbook.hirer.party, "Offer")
    playbook.refused("too_large", lambda: playbook.provider.party.take(posed))
    holder = playbook.hirer.party
    playbook.advance(minutes(400))
    waiting = playbook.parties[OTHER[holder.role]]
    owed = [effect for effect in waiting.pending() if isinstance(effect, Owe)]
    assert owed[0].moves == ("Withdraw",)
    playbook.side(waiting.role) >> withdraw(owed[0].reason or "")
    playbook.agree("withdrawn")


@pytest.mark.parametrize("say", [acceptance(), withdraw("declined")], ids=["accepted", "declined"])
def test_sc_55_what_ends_bargaining_is_taken_whatever_its_size(say: Say) -> None:
    """HIRE-NEG-22: `Acceptance`, `Seal` and `Withdraw` are never refused for it, neither sent nor received."""
    measured = Playbook("offered-by-hirer").hirer.party.engagement.talks
    assert measured is not None
    playbook = Playbook("offered-by-hirer", first=inquiry(limits=Limits(rounds=64, bytes=measured.used)))
    playbook.refused("too_large", lambda: playbook.provider >> offer())
    playbook.provider >> say
    if say.type == "Withdraw":
        playbook.agree("withdrawn")
    else:
        playbook.agree("accepted-by-provider")
        playbook.hirer >> seal()
        playbook.agree("sealed")
