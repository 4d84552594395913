"""What a move has to say besides being in its turn: opening, offers, and sealed tenders."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from support import refuses
from undersigned.encoding import digest_of, from_struct, shift
from undersigned.errors import FormatError, LocalProtocolError, RemoteProtocolError
from undersigned.messages import Limits, Tender
from undersigned.protocol import HIRER, PROVIDER, Owe, Received, apply, basis, fold, legal, performance
from undersigned.protocol.deadlines import BREACH_SECONDS
from undersigned.testing import (
    ARTIFACT,
    NOON,
    Actor,
    Playbook,
    Say,
    acceptance,
    amendment,
    approval,
    approval_request,
    bid,
    breach,
    closing,
    dispute,
    inquiry,
    minutes,
    offer,
    presentation,
    profile,
    release,
    ruling,
    seal,
    terminate,
    terms_for,
    withdraw,
)

SALT = "u" + "A" * 43


def forged(side, say, **members):
    """Signed by this side, with these members, recorded by nobody."""
    return side.forge(say._replace(members=say.members | members))


# --- opening


def test_versions_are_ours_or_refused() -> None:
    """Unknown versions are a typed refusal; one of ours among others is enough (HIRE-VER-03)."""
    playbook = Playbook("-")
    playbook.hirer >> inquiry(versions=("2.0", "1.0"))
    assert playbook.provider.state == "inquired"
    stranger = Playbook("-")
    with refuses(FormatError, "schema_violation"):  # the envelope's version, which is ours, must be the lowest offered
        stranger.hirer >> inquiry(versions=("2.0",))


def test_an_inquiry_belongs_to_its_parties() -> None:
    """The engagement's id is made of both DIDs and the nonce; another nonce is another engagement."""
    playbook = Playbook("-")
    playbook.refused("wrong_negotiation", lambda: playbook.hirer >> inquiry(nonce=SALT))


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"inquiry": ARTIFACT}, "wrong_negotiation"),
        ({"suites": ("eddsa-jcs-2022", "ecdsa-jcs-2019")}, "version_not_supported"),
        ({"versions": ("1.0", "1.1")}, "version_not_supported"),
        ({"suite": "ecdsa-jcs-2019"}, "version_not_supported"),
    ],
)
def test_a_profile_echoes_and_picks(members: dict, code: str) -> None:
    """Nobody between may shorten or lengthen a list, and the choice was offered (HIRE-VER-01, HIRE-VER-02)."""
    playbook = Playbook("inquired")
    playbook.refused(code, lambda: playbook.provider >> profile(**members))
    posed = forged(playbook.provider, profile(), **members)
    playbook.refused(code, lambda: playbook.hirer.party.take(posed))


def test_a_presentation_answers_the_move_that_asked() -> None:
    """Each question gets its own answer, once."""
    playbook = Playbook("profiled")
    first = playbook.provider.party.engagement.got[0]
    playbook.refused("challenge_mismatch", lambda: playbook.hirer >> presentation(answers=first))
    playbook.hirer >> presentation()
    profiled = playbook.hirer.party.engagement.got[0]
    posed = forged(playbook.provider, presentation(), answers=profiled)
    playbook.refused("challenge_mismatch", lambda: playbook.hirer.party.take(posed))


# --- offers


def _with_document(playbook: Playbook, **changes: object):
    """The hirer's offer with a document that says something else, properly signed."""
    party = playbook.hirer.party
    document = offer().message(party).document
    return party.actor.prove_offer(replace(document, proof=None, **changes), party.now)


def test_the_document_is_of_this_place_and_negotiation() -> None:
    """Transcript, name, engagement, parties and methods: each alone is refused.

    HIRE-NEG-07, HIRE-CTR-02, HIRE-CTR-03.
    """
    playbook = Playbook("ready")
    good = offer().message(playbook.hirer.party).document
    other = Playbook("ready", seed=5).hirer.party.engagement
    place = good.transcript.hirer
    for code, changes in (
        ("terms_mismatch", {"id": f"{good.engagement}:hirer:9"}),
        ("terms_mismatch", {"id": f"{good.engagement}:provider:3"}),
        ("wrong_negotiation", {"engagement": other.id}),
        ("wrong_negotiation", {"hirer": other.hirer}),
        ("wrong_negotiation", {"provider": other.provider}),
        ("terms_mismatch", {"transcript": replace(good.transcript, hirer=replace(place, digest=ARTIFACT))}),
        ("terms_mismatch", {"transcript": replace(good.transcript, provider=replace(place, sequence=1))}),
        ("self_dealing", {"methods": replace(good.methods, provider=good.methods.hirer)}),
        ("schema_violation", {"methods": replace(good.methods, provider=(Actor("else").method,))}),
    ):
        document = _with_document(playbook, **changes)
        posed = forged(playbook.hirer, offer(), document=document)
        playbook.refused(code, lambda posed=posed: playbook.provider.party.take(posed))
        playbook.refused(code, lambda document=document: playbook.hirer >> offer(document=document))


def test_what_is_wrong_with_the_terms_is_said_with_its_place() -> None:
    """HIRE-SEC-07: the pointer is into the message, so that whoever wrote its document finds it without us."""
    playbook = Playbook("ready")
    good = offer().message(playbook.hirer.party).document
    terms, scope = good.terms, good.terms.scope
    clause = replace(scope.grants[0], id=f"{good.id}#Read")
    for path, changes in (
        ("/id", {"id": f"{good.engagement}:hirer:9"}),
        ("/terms/deadlines/heartbeat", {"terms": replace(terms, deadlines=replace(terms.deadlines, heartbeat="PT0S"))}),
        ("/terms/scope", {"terms": replace(terms, scope=replace(scope, grants=(clause, *scope.grants[1:])))}),
    ):
        posed = forged(playbook.hirer, offer(), document=_with_document(playbook, **changes))
        with pytest.raises(RemoteProtocolError) as caught:
            playbook.provider.party.take(posed)
        assert caught.value.path == f"/document{path}"


def test_a_parent_is_named_first_by_the_hirer() -> None:
    """HIRE-SUB-01: a provider that opens offers no subcontract."""
    playbook = Playbook("ready", first=inquiry(opens=PROVIDER))
    provider = playbook.provider.party
    made = replace(offer().message(provider).document, proof=None, parent=ARTIFACT)
    document = provider.actor.prove_offer(made, provider.now)
    playbook.refused("terms_mismatch", lambda: playbook.provider >> offer(document=document))
    posed = forged(playbook.provider, offer(), document=document)
    playbook.refused("terms_mismatch", lambda: playbook.hirer.party.take(posed))


def test_a_counter_offer_names_the_live_one() -> None:
    """`inReplyTo` absent, or of an offer that is not live any more, is `stale_offer` (HIRE-NEG-06)."""
    playbook = Playbook("offered-by-hirer")
    playbook.refused("stale_offer", lambda: playbook.provider >> offer(in_reply_to=None))
    playbook.refused("stale_offer", lambda: playbook.provider >> offer(in_reply_to=ARTIFACT))
    first = Playbook("ready")
    first.refused("stale_offer", lambda: first.hirer >> offer(in_reply_to=ARTIFACT))


def test_we_do_not_offer_what_has_ended() -> None:
    """An offer dead on arrival is a mistake of ours; a peer's is judged by its own clock, so it is taken."""
    playbook = Playbook("ready")
    playbook.refused("offer_expired", lambda: playbook.hirer >> offer(valid_for=-1))
    posed = forged(playbook.hirer, offer(valid_for=-1))
    assert playbook.provider.party.take(posed) == "applies"
    Playbook("ready").hirer >> offer(valid_for=0)


# --- tenders


def tender(*, sealed: bool = True) -> Tender:
    return Tender(
        id="urn:uuid:11111111-1111-4111-8111-111111111111",
        sealed=sealed,
        bids_close=shift(NOON, minutes(30)),
        reveal_by=shift(NOON, minutes(60)),
        award_by=shift(NOON, minutes(90)),
        rule={"lowest": "price"},
    )


def opened(*, sealed: bool = True) -> Playbook:
    return Playbook("ready", first=inquiry(opens=PROVIDER, rounds=1, tender=tender(sealed=sealed)))


def committed() -> tuple[Playbook, object, str]:
    """A bid is in, and the terms that it commits to."""
    playbook = opened()
    terms = terms_for(playbook.provider.party)
    commitment = digest_of({"salt": SALT, "terms": from_struct(_bid_terms(playbook, terms))})
    playbook.provider >> bid(commitment, valid_for=minutes(120))
    return playbook, terms, commitment


def _bid_terms(playbook: Playbook, terms):
    """The terms with the ids that they will have in the offer after the bid."""
    from undersigned.contract import rebase

    party = playbook.provider.party
    name = f"{party.engagement.id}:provider:{len(party.engagement.sent) + 2}"
    return rebase(terms, name)


def test_a_sealed_bid_is_committed_and_opened() -> None:
    """T2: the offer that salt and terms open stands; it cannot be countered."""
    playbook, terms, _ = committed()
    playbook.agree("committed")
    playbook.advance(minutes(31))
    playbook.provider >> offer(terms=terms, salt=SALT, valid_for=minutes(120))
    playbook.agree("offered-by-provider")
    playbook.refused("wrong_state", lambda: playbook.hirer >> offer())


@pytest.mark.parametrize("at", [minutes(29), minutes(30), minutes(61)])
def test_bids_are_opened_between_close_and_reveal(at: int) -> None:
    """T3: by the hirer's clock, after `bidsClose` and by `revealBy`."""
    playbook, terms, _ = committed()
    playbook.advance(at)
    posed = forged(playbook.provider, offer(terms=terms, salt=SALT, valid_for=minutes(120)))
    playbook.refused("offer_expired", lambda: playbook.hirer.party.take(posed))


@pytest.mark.parametrize("at", [minutes(30) + 1, minutes(60)])
def test_a_bid_is_opened_at_the_first_moment_and_at_the_last(at: int) -> None:
    """T3: the second after `bidsClose`, and `revealBy` itself."""
    playbook, terms, _ = committed()
    playbook.advance(at)
    playbook.provider >> offer(terms=terms, salt=SALT, valid_for=minutes(120))
    playbook.agree("offered-by-provider")


def test_another_salt_or_price_does_not_open_a_bid() -> None:
    """T2: what was committed is what is offered."""
    playbook, terms, _ = committed()
    playbook.advance(minutes(31))
    other = "u" + "B" * 42 + "A"
    dearer = replace(terms, price=replace(terms.price, amount="99"))
    for say in (
        offer(terms=terms, salt=other, valid_for=minutes(120)),
        offer(terms=dearer, salt=SALT, valid_for=minutes(120)),
        offer(terms=terms, valid_for=minutes(120)),
        offer(terms=terms, salt=SALT, valid_for=minutes(10)),
    ):
        playbook.refused("terms_mismatch", lambda say=say: playbook.provider >> say)


def test_a_bid_in_time_and_for_long_enough() -> None:
    """T3, T4: by `bidsClose` on the hirer's clock; good until the award can be sealed."""
    playbook = opened()
    playbook.refused("terms_mismatch", lambda: playbook.provider >> bid(valid_for=minutes(91)))
    playbook.refused("wrong_state", lambda: playbook.provider >> offer())
    late = opened()
    late.advance(minutes(30))
    posed = forged(late.provider, bid(valid_for=minutes(120)))
    late.advance(1)
    late.refused("offer_expired", lambda: late.hirer.party.take(posed))
    open_tender = opened(sealed=False)
    open_tender.refused("wrong_state", lambda: open_tender.provider >> bid())
    for party in open_tender.parties.values():
        assert legal(party.engagement, PROVIDER) == ("Offer", "Withdraw")
    open_tender.provider >> offer()
    open_tender.refused("wrong_state", lambda: open_tender.hirer >> offer())


def test_a_bid_at_the_last_moment_and_for_no_longer_than_it_must() -> None:
    """T3, T4: at `bidsClose` itself it is in time, and until two minutes after `awardBy` is long enough."""
    playbook = opened()
    playbook.advance(minutes(30))
    playbook.refused("terms_mismatch", lambda: playbook.provider >> bid(valid_for=minutes(62) - 1))
    playbook.provider >> bid(valid_for=minutes(62))
    playbook.agree("committed")


def test_when_bids_close_is_the_hirers_to_say() -> None:
    """T3: a provider whose clock is ahead may bid all the same, and open its bid; the hirer's clock decides."""
    playbook = opened()
    terms = terms_for(playbook.provider.party)
    commitment = digest_of({"salt": SALT, "terms": from_struct(_bid_terms(playbook, terms))})
    playbook.hold()
    playbook.advance(minutes(61))
    playbook.provider >> bid(commitment, valid_for=minutes(120))
    playbook.provider >> offer(terms=terms, salt=SALT, valid_for=minutes(120))
    assert playbook.provider.state == "offered-by-provider"


def test_what_is_not_revealed_is_withdrawn() -> None:
    """T7."""
    playbook, _, _ = committed()
    hirer = playbook.hirer.party
    playbook.advance(minutes(60))
    assert not any(isinstance(effect, Owe) for effect in hirer.pending())
    playbook.advance(1)
    playbook.expect(withdraw("not_revealed"), state="withdrawn")


@pytest.mark.parametrize(
    "members",
    [
        {"opens": HIRER},
        {"limits": Limits(rounds=2, bytes=1000)},
        {"tender": replace(tender(), award_by=shift(NOON, minutes(40)))},
        {"tender": replace(tender(), bids_close=shift(NOON, minutes(61)))},
    ],
)
def test_a_tender_that_contradicts_itself_is_refused(members: dict) -> None:
    """T1: the provider opens, one round, and the times are in order."""
    playbook = Playbook("-")
    said = {"opens": PROVIDER, "limits": Limits(rounds=1, bytes=100_000), "tender": tender()} | members
    playbook.refused("schema_violation", lambda: playbook.hirer >> inquiry(**said))


def test_the_times_of_a_tender_may_be_one() -> None:
    """T1: in order, and none has to be later than the one before it."""
    at = shift(NOON, minutes(30))
    playbook = Playbook("-")
    said = {"opens": PROVIDER, "limits": Limits(rounds=1, bytes=100_000)}
    playbook.hirer >> inquiry(**said, tender=replace(tender(), bids_close=at, reveal_by=at, award_by=at))
    playbook.agree("inquired")


# --- under a contract


@pytest.mark.parametrize(("after", "granted", "taken"), [(0, True, True), (1, True, False), (1, False, True)])
def test_a_question_is_granted_until_its_last_instant(after: int, granted: bool, taken: bool) -> None:
    """HIRE-LIF-19: afterwards it is a no, which may still be said."""
    playbook = Playbook("working")
    playbook.provider >> approval_request()
    playbook.advance(minutes(30) + after)
    if taken:
        playbook.hirer >> approval(granted=granted)
    else:
        playbook.refused("wrong_state", lambda: playbook.hirer >> approval(granted=granted))


@pytest.mark.parametrize(
    ("after", "taken"), [(0, False), (1, True), (BREACH_SECONDS, True), (BREACH_SECONDS + 1, False)]
)
def test_the_right_that_a_breach_gives_begins_and_ends(after: int, taken: bool) -> None:
    """HIRE-LIF-20: after `cureBy`, for 30 days, by the clock of who claimed it."""
    playbook = Playbook("working")
    claimed = playbook.hirer >> breach()
    playbook.advance(minutes(60) + after)
    ended = terminate("breach", names=claimed.digest)
    if taken:
        playbook.hirer >> ended
    else:
        playbook.refused("wrong_state", lambda: playbook.hirer >> ended)


@pytest.mark.parametrize(("say", "role"), [(breach, HIRER), (breach, PROVIDER), (approval_request, PROVIDER)])
def test_only_so_many_are_open(say: Callable[[], Say], role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each side's; the other's take no place of them."""
    monkeypatch.setattr(performance, "MAX_OPEN", 2)
    playbook = Playbook("working")
    side = playbook.side(role)
    for other in (playbook.hirer, playbook.provider):
        if say is breach:
            other >> say()
    for _ in range(1 if say is breach else 2):
        side >> say()
    playbook.refused("round_limit", lambda: side >> say())


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("disputed", ()),
        ("closing", ((HIRER, closing()),)),
        ("working", ((PROVIDER, release()), (HIRER, acceptance()), (PROVIDER, seal()))),
    ],
)
def test_one_dispute_before_a_release_and_the_own_closing(state: str, said: tuple[tuple[str, Say], ...]) -> None:
    """It is not offered, either."""
    playbook = Playbook(state)
    for role, say in said:
        playbook.side(role) >> say
    assert "Dispute" not in legal(playbook.hirer.party.engagement, HIRER)
    playbook.refused("wrong_state", lambda: playbook.hirer >> dispute())


def test_of_two_disputes_that_cross_both_stand_and_one_moves() -> None:
    """HIRE-LIF-17: which came second is recorded and moves nothing."""
    playbook = Playbook("delivered")
    with playbook.held():
        playbook.hirer >> dispute()
        playbook.provider >> dispute()
    playbook.agree("disputed")
    for party in playbook.parties.values():
        assert party.engagement.contract is not None
        assert len(party.engagement.contract.disputes) == 2


def test_a_dispute_that_crossed_the_end_of_another_moves_nothing() -> None:
    """HIRE-LIF-17: it is recorded, and the end stands."""
    playbook = Playbook("delivered")
    with playbook.held():
        playbook.hirer >> dispute()
        playbook.provider >> dispute()
        playbook.provider >> ruling()
    playbook.agree("closing")
    assert {basis(party.engagement) for party in playbook.parties.values()} == {"ruling"}
    playbook.hold()
    knows_both = playbook.provider.forge(closing(basis="ruling"))
    playbook.hirer >> closing(basis="ruling")
    assert fold.state_of_sender(playbook.hirer.party.engagement, knows_both) == "closing"


def test_a_ruling_that_crossed_a_closing_counts_for_who_had_seen_the_end() -> None:
    """HIRE-LIF-17: and the books that had not seen it are closed again, by what it says."""
    playbook = Playbook("disputed")
    playbook.advance(minutes(24 * 60) + 1)
    playbook.hirer >> terminate("no_ruling")
    with playbook.held():
        playbook.hirer >> closing(basis="terminate")
        playbook.provider >> ruling()
    playbook.agree("closing")
    assert {basis(party.engagement) for party in playbook.parties.values()} == {"ruling"}


def test_a_ruling_that_comes_after_all_counts_for_who_knows_that_none_was_waited_for() -> None:
    """HIRE-LIF-17: its sender had seen the end for want of one."""
    playbook = Playbook("disputed")
    playbook.advance(minutes(24 * 60) + 1)
    playbook.hirer >> terminate("no_ruling")
    assert "Ruling" in legal(playbook.provider.party.engagement, PROVIDER)
    playbook.provider >> ruling()
    for party in playbook.parties.values():
        assert basis(party.engagement) == "ruling"
        assert "Ruling" not in legal(party.engagement, HIRER) or party.role == PROVIDER


def test_books_are_closed_by_silence_alone_while_a_review_is_owed() -> None:
    """Another basis has no row there."""
    playbook = Playbook("delivered")
    playbook.advance(minutes(24 * 60))
    for claimed in ("review", "terminate"):
        playbook.refused("wrong_state", lambda claimed=claimed: playbook.provider >> closing(basis=claimed))
    playbook.provider >> closing(basis="silence")


@pytest.mark.parametrize(
    ("state", "acting", "taking", "move"),
    [
        ("offered-by-hirer", "provider", "hirer", acceptance),
        ("offered-by-provider", "hirer", "provider", acceptance),
        ("accepted-by-provider", "hirer", "provider", seal),
        ("accepted-by-hirer", "provider", "hirer", seal),
    ],
    ids=["provider accepts", "hirer accepts", "hirer seals", "provider seals"],
)
def test_what_makes_a_contract_has_seen_what_it_names(
    state: str, acting: str, taking: str, move: Callable[[], Say]
) -> None:
    """HIRE-CTR-10, HIRE-NEG-11, HIRE-NEG-14: of another place nobody else would take it for a contract."""
    playbook = Playbook(state)
    other = playbook.parties[taking]
    blind = forged(getattr(playbook, acting), move(), seen=other.engagement.sent[-2])
    playbook.refused("terms_mismatch", lambda: other.take(blind))
    assert other.take(forged(getattr(playbook, acting), move())) == "applies"


def test_offers_are_counted_one_by_one() -> None:
    """HIRE-NEG-08: those of both sides together."""
    playbook = Playbook("ready", first=inquiry(rounds=2))
    playbook.hirer >> offer()
    playbook.provider >> offer()
    assert "Offer" not in legal(playbook.hirer.party.engagement, HIRER)
    playbook.refused("round_limit", lambda: playbook.hirer >> offer())


@pytest.mark.parametrize(("spare", "taken"), [(0, True), (-1, False)])
def test_a_negotiation_has_its_bytes_to_the_last(spare: int, taken: bool) -> None:
    """HIRE-NEG-22: and a refused move is not counted."""
    playbook = Playbook("ready")
    party, move = playbook.provider.party, playbook.hirer.forge(offer())
    talks = party.engagement.talks
    assert talks is not None
    tight = replace(party.engagement, talks=replace(talks, bytes=talks.used + len(move.raw) + spare))
    if taken:
        after = apply(tight, Received(move, party.now)).talks
        assert after is not None
        assert after.used == after.bytes
    else:
        with pytest.raises(RemoteProtocolError) as refused:
            apply(tight, Received(move, party.now))
        assert refused.value.code == "too_large"


def test_only_who_waited_for_it_calls_a_seal_late() -> None:
    """HIRE-NEG-17: the offerer had recorded the acceptance in time."""
    playbook = Playbook("accepted-by-provider")
    playbook.advance(minutes(10) + 121)
    playbook.hirer >> seal()
    held = {role: party.engagement.contract for role, party in playbook.parties.items()}
    assert {role: one.late_seal for role, one in held.items() if one is not None} == {HIRER: False, PROVIDER: True}
    playbook.refused("wrong_party", lambda: playbook.hirer >> terminate("late_seal"))
    playbook.provider >> terminate("late_seal")


@pytest.mark.parametrize("say", [approval_request, breach, amendment])
def test_any_move_of_the_provider_is_a_sign_of_life(say: Callable[[], Say]) -> None:
    """HIRE-LIF-24: whatever it is about."""
    playbook = Playbook("working")
    playbook.advance(minutes(5))
    playbook.provider >> say()
    contract = playbook.hirer.party.engagement.contract
    assert contract is not None
    assert contract.heard_at == playbook.hirer.party.now


@pytest.mark.parametrize("ends", [ruling, release], ids=["ruling", "release"])
def test_who_carries_a_ruling_that_is_there_already_is_told_so(ends: Callable[[], Say]) -> None:
    """It was told that no dispute ended for want of one."""
    playbook = Playbook("disputed")
    playbook.hirer >> ends()
    if ends is release:
        playbook.provider >> acceptance()
        playbook.hirer >> seal()
    with pytest.raises(LocalProtocolError, match="the dispute has ended, by a ruling or a release"):
        playbook.provider >> ruling()
