"""Vectors of histories in which a contract is suspended, changed, disputed: see `vector_journals`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from example_changes import ARBITER, CHANGES, amendment, arbiter_ruling, countersigned, release
from example_messages import conversation
from example_parties import HIRER, PROVIDER, SUITE, Talk, document_name, terms
from msgspec import to_builtins
from msgspec.structs import replace
from vector_journals import OPENING, as_json, journal, seen_by_both, talk_after, up_to
from vector_parts import Vector, changed, resigned

from undersigned.encoding import digest_bytes, digest_of, shift
from undersigned.messages import (
    Acceptance,
    Approval,
    ApprovalRequest,
    Breach,
    Closing,
    Delivery,
    Details,
    Dispute,
    LedgerPlace,
    Offer,
    Resume,
    Ruling,
    Seal,
    Settled,
    Suspend,
    Terminate,
    VerifiedMessage,
    Withdraw,
)
from undersigned.transparency import contract_leaf, leaf_digest

__all__ = ["change_vectors"]

REQUEST = ("contract", "clause", "action", "arguments", "details", "reason", "answer_by")
PARTIAL: dict[str, Any] = {"outcome": "partial", "artifacts": (), "statements": (), "usage": (), "round": 1}
"""Members of a Delivery of what there is, which is nothing."""
STATES = ("suspended", *("working",) * 7, "disputed", "closing")


def change_vectors() -> Iterator[Vector]:
    """All of them."""
    yield from _whole()
    yield from _rights()
    yield from _documents()
    yield from _disputes()
    yield from _crossings()


def since_start(name: str, suite: str = SUITE) -> list[dict[str, Any]]:
    """The hire up to its `Start`, and what happened to the contract until and with `name`."""
    said = conversation(suite)
    return [*up_to("start", suite), *(as_json(said[each]) for each in CHANGES[: CHANGES.index(name) + 1])]


def talk_since(name: str) -> Talk:
    """Both chains as they stand then, to go on differently from there."""
    said, talk = conversation(), talk_after("start")
    for each in CHANGES[: CHANGES.index(name) + 1]:
        talk.moves[said[each].message.role].append(said[each])
    talk.count += 400
    return talk


def _sealed() -> str:
    return as_json(conversation()["start"])["contract"]


def _asks(talk: Talk, about: str | None = None, claim: str = "More is owed.") -> dict[str, Any]:
    """The members of a Dispute about the contract, or something else, that is made now."""
    said = {"contract": _sealed(), "about": about or _sealed(), "claim": claim, "evidence": ()}
    return {**said, "ruling_by": shift(talk.now, 2 * 86_400)}


def _books(contract: str, basis: str, amount: str = "0", currency: str = "EUR", *, of: str = "hirer") -> dict[str, Any]:
    """The members of a Closing; its checkpoint is that of this side's in the example."""
    checkpoint = as_json(conversation()[f"closing-{of}"])["checkpoint"]
    owed = Settled(amount=amount, currency=currency)
    said = {"contract": contract, "basis": basis, "usage": (), "settlement": owed}
    return {**said, "checkpoint": checkpoint, "cosignatures": ()}


def _refused(
    name: str, says: str, before: list[dict[str, Any]], said: VerifiedMessage, code: str, state: str
) -> Vector:
    return journal(name, says, before, as_json(said), code=code, state=state)


def _whole() -> Iterator[Vector]:
    yield from seen_by_both(
        "changed",
        "a contract suspended, amended, disputed and ruled on",
        lambda suite: since_start("ruling", suite),
        [*OPENING, *STATES],
    )


def _rights() -> Iterator[Vector]:
    """Suspension, approval, breach."""
    sealed, said = _sealed(), conversation()
    talk = talk_after("start")
    paused = talk.say(Suspend, "provider", contract=sealed, reason="incident", until=shift(talk.now, 60))
    yield _refused(
        "suspend-by-the-provider", "only the hirer suspends", up_to("start"), paused, "wrong_party", "working"
    )
    talk = talk_after("start")
    on = talk.say(Resume, "hirer", contract=sealed, reason="resolved")
    yield _refused("resume-of-what-works", "nothing is suspended", up_to("start"), on, "wrong_state", "working")
    talk = talk_after("start")
    pause = talk.say(Suspend, "hirer", contract=sealed, reason="incident", until=shift(talk.now, 60))
    yield journal(
        "suspend-crossing-delivery",
        "a Suspend that crossed the Delivery is recorded and moves nothing",
        up_to("delivery"),
        as_json(pause),
        outcome="void",
        state="delivered",
    )
    for name, why, reason in (
        ("revoked", "a credential that does not hold", "revoked"),
        ("accused", "an accusation, or anchors that entitle nobody any more", "policy_denied"),
    ):
        talk = talk_after("start")
        waits = talk.say(Suspend, "hirer", contract=sealed, reason=reason, until="2026-11-30T00:00:00Z")
        yield journal(
            f"suspended-because-{name}",
            f"the hirer stops the work for {why}, until the authority ends by itself",
            up_to("start"),
            as_json(waits),
            outcome="applies",
            state="suspended",
        )
        goes_on = talk.say(Resume, "hirer", contract=sealed, reason="resolved")
        yield journal(
            f"resumed-after-{name}",
            "it goes on once that is settled",
            [*up_to("start"), as_json(waits)],
            as_json(goes_on),
            outcome="applies",
            state="working",
        )
    talk = talk_since("suspend")
    made = talk.say(Delivery, "provider", contract=sealed, **PARTIAL)
    yield journal(
        "delivery-while-suspended",
        "what there is may be handed over while no more may be done",
        since_start("suspend"),
        as_json(made),
        outcome="applies",
        state="delivered",
    )
    talk = talk_since("approval")
    again = talk.say(
        Approval, "hirer", request=said["approvalrequest"].digest, granted=True, uses=1, until=shift(talk.now, 60)
    )
    yield _refused(
        "approval-twice",
        "a question is answered once",
        since_start("approval"),
        again,
        "wrong_state",
        "working",
    )
    reading = Details(action="artifact:read", target="https://acme.example/artifacts/two", amounts={"count": "1"})
    for name, why, differs in (
        (
            "request-for-another-target",
            "what is shown is what the yes is good for",
            {"details": reading},
        ),
        ("request-for-another-action", "the action is the one of the details", {"action": "artifact:write"}),
    ):
        talk = talk_since("resume")
        asked: Any = said["approvalrequest"].message
        body = {name: getattr(asked, name) for name in REQUEST} | differs
        yield _refused(
            name,
            why,
            since_start("resume"),
            talk.say(ApprovalRequest, "provider", **body),
            "digest_mismatch",
            "working",
        )
    talk = talk_since("breach")
    other = talk.say(Terminate, "provider", contract=sealed, cause="breach", names=said["breach"].digest, evidence=())
    yield _refused(
        "end-for-the-others-breach",
        "a breach is claimed by one side, and gives a right to that side alone",
        since_start("breach"),
        other,
        "wrong_state",
        "working",
    )
    talk = talk_after("start")
    foreign = talk.say(
        Breach,
        "provider",
        contract=digest_bytes(b"another contract"),
        clause="price",
        evidence=(),
        cure_by=shift(talk.now, 7200),
    )
    yield _refused(
        "breach-of-another-contract",
        "a breach of a contract of another engagement",
        up_to("start"),
        foreign,
        "conflicting_contract",
        "working",
    )

    talk = talk_after("start")
    unknown = talk.say(
        Breach,
        "provider",
        contract=sealed,
        clause="professionalism",
        evidence=(),
        cure_by=shift(talk.now, 7200),
    )
    yield _refused(
        "breach-of-no-clause",
        "a breach of what is neither a clause of the scope nor a member of the terms",
        up_to("start"),
        unknown,
        "terms_mismatch",
        "working",
    )


def _documents() -> Iterator[Vector]:
    """The document lane."""
    sealed, said = _sealed(), conversation()
    good = as_json(said["offer-amendment"])
    before = since_start("breach")
    talk = talk_since("breach")
    for name, says, code, other in (
        (
            "amendment-of-another-contract",
            "an amendment of another contract",
            "conflicting_contract",
            {"contract": digest_bytes(b"another contract")},
        ),
        (
            "amendment-of-what-is-not-in-force",
            "an amendment of a document that is not in force",
            "terms_mismatch",
            {"amends": digest_bytes(b"another document")},
        ),
        ("amendment-for-others", "an amendment with another party", "wrong_negotiation", {"hirer": ARBITER.did}),
        (
            "amendment-under-a-parent",
            "an amendment that moves the contract under another",
            "terms_mismatch",
            {"parent": digest_bytes(b"a parent")},
        ),
    ):
        talk = talk_since("breach")
        document = amendment(talk, "hirer", sealed, **other)
        offer = talk.say(Offer, "hirer", document=document, valid_until=shift(talk.now, 3600))
        yield _refused(name, says, before, offer, code, "working")
    plain = resigned(changed(good, document=as_json(said["offer"])["document"]))
    yield journal(
        "contract-under-a-contract",
        "a second contract in the lane",
        before,
        plain,
        code="terms_mismatch",
        state="working",
    )
    offered, another = said["offer-amendment"].digest, digest_bytes(b"another offer")
    accepted = as_json(said["acceptance-amendment"])
    for name, says, since, role, about, code in (
        ("acceptance-of-ones-own-amendment", "by who offered it", "offer", "hirer", offered, "wrong_party"),
        (
            "acceptance-of-ones-own-accepted",
            "by who offered it, to answer one",
            "acceptance",
            "hirer",
            offered,
            "wrong_state",
        ),
        (
            "acceptance-of-nothing-by-its-offerer",
            "of another offer, by who offered",
            "offer",
            "hirer",
            another,
            "wrong_party",
        ),
        ("acceptance-of-nothing", "of an offer that is not on the table", "offer", "provider", another, "stale_offer"),
        (
            "acceptance-of-the-contract-for-an-amendment",
            "of the offer that was sealed, where another one stands",
            "offer",
            "provider",
            said["acceptance"].message.offer,
            "already_contracted",
        ),
    ):
        talk = talk_since(f"{since}-amendment")
        own = talk.say(
            Acceptance, role, offer=about, document=accepted["document"], contract_proof=accepted["contractProof"]
        )
        yield _refused(name, f"an Acceptance {says}", since_start(f"{since}-amendment"), own, code, "working")
    for name, says, since, code in (
        ("withdrawal-of-nothing", "of an offer that is not on the table", "offer", "stale_offer"),
        ("withdrawal-of-nothing-by-its-acceptor", "by who accepted, of another offer", "acceptance", "wrong_party"),
    ):
        talk = talk_since(f"{since}-amendment")
        taken = talk.say(Withdraw, "provider", offer=another, reason="declined")
        yield _refused(name, f"a Withdraw {says}", since_start(f"{since}-amendment"), taken, code, "working")
    for name, says, since, code in (
        ("seal-of-nothing", "of an offer that is not on the table", "acceptance", "terms_mismatch"),
        ("seal-of-nothing-accepted", "of another offer, before any was accepted", "offer", "wrong_state"),
    ):
        talk = talk_since(f"{since}-amendment")
        sealing = talk.say(
            Seal,
            "hirer",
            offer=another,
            document=accepted["document"],
            acceptance=digest_bytes(b"an acceptance"),
            ledger=LedgerPlace(log=HIRER.did, index=5, leaf=digest_bytes(b"a leaf")),
        )
        yield _refused(name, f"a Seal {says}", since_start(f"{since}-amendment"), sealing, code, "working")
    both = talk_since("breach")
    theirs = both.say(
        Offer, "provider", document=amendment(both, "provider", sealed), valid_until=shift(both.now, 3600)
    )
    yield journal(
        "offers-cross",
        "both put a document on the table: the hirer's stands, the provider's is void",
        since_start("offer-amendment"),
        as_json(theirs),
        outcome="void",
        state="working",
    )
    both, base = talk_since("breach"), document_name(talk_since("breach"), "provider")
    again = replace(terms(base, "30"), deadlines=replace(terms(base, "30").deadlines, until="2026-11-24T12:00:00Z"))
    theirs = both.say(
        Offer, "provider", document=amendment(both, "provider", sealed, terms=again), valid_until=shift(both.now, 3600)
    )
    yield journal(
        "offers-cross-contradicting",
        "the one that is void ends before it begins: nobody reads its terms",
        since_start("offer-amendment"),
        as_json(theirs),
        outcome="void",
        state="working",
    )
    yield journal(
        "offers-cross-proof-of-nothing",
        "the one that is void has nothing in the proof of its document: nobody reads that either",
        since_start("offer-amendment"),
        resigned(changed(as_json(theirs), document__proof={})),
        outcome="void",
        state="working",
    )
    talk = talk_since("acceptance-amendment")
    regret = talk.say(Withdraw, "hirer", reason="changed", offer=said["offer-amendment"].digest)
    yield _refused(
        "amendment-withdrawn-without-reason",
        "an acceptance answered by a change of mind",
        since_start("acceptance-amendment"),
        regret,
        "wrong_state",
        "working",
    )
    talk = talk_since("acceptance-amendment")
    ending = talk.say(Terminate, "provider", contract=sealed, cause="unable", evidence=())
    after = [*since_start("acceptance-amendment"), as_json(ending)]
    talk.count += 1
    late = resigned(
        changed(
            as_json(said["seal-amendment"]),
            seen=ending.digest,
        ),
        created=talk.now,
        expires=shift(talk.now, 3600),
    )
    yield journal(
        "seal-after-the-end",
        "a Seal by an offerer that had seen the end",
        after,
        late,
        code="wrong_state",
        state="closing",
    )
    early = resigned(as_json(said["seal-amendment"]), created=talk.now, expires=shift(talk.now, 3600))
    yield journal(
        "seal-crossing-the-end",
        "a Seal by an offerer that had not seen the end counts",
        after,
        early,
        outcome="applies",
        state="closing",
    )
    yield from _overtaken()
    talk = talk_since("seal-amendment")
    stale = talk.say(
        Offer, "provider", document=release(talk, "provider", sealed, sealed), valid_until=shift(talk.now, 3600)
    )
    yield _refused(
        "release-from-what-is-not-in-force",
        "a release that names the document before the amendment",
        since_start("seal-amendment"),
        stale,
        "terms_mismatch",
        "working",
    )
    yield _offer_crossing_a_release()
    yield from _closings_after_a_release()


def _overtaken() -> Iterator[Vector]:
    """What was accepted, and the delivery that came before its seal."""
    said = conversation()
    talk = talk_since("acceptance-amendment")
    nothing = talk.say(Withdraw, "hirer", reason="overtaken", offer=said["offer-amendment"].digest)
    yield _refused(
        "withdrawn-as-overtaken-by-nothing",
        "an acceptance answered by `overtaken` where nothing was delivered since",
        since_start("acceptance-amendment"),
        nothing,
        "wrong_state",
        "working",
    )
    talk = talk_since("acceptance-amendment")
    made = talk.say(Delivery, "provider", contract=_sealed(), **PARTIAL)
    after = [*since_start("acceptance-amendment"), as_json(made)]
    passed = talk.say(Withdraw, "hirer", reason="overtaken", offer=said["offer-amendment"].digest)
    yield journal(
        "withdrawn-as-overtaken",
        "a delivery came before the seal: the offerer withdraws, and the terms stay as they were",
        after,
        as_json(passed),
        outcome="applies",
        state="delivered",
    )
    times = {"created": talk.now, "expires": shift(talk.now, 3600)}
    seal = as_json(said["seal-amendment"])
    yield journal(
        "seal-after-the-delivery",
        "a Seal by an offerer that had seen the delivery",
        after,
        resigned(changed(seal, seen=made.digest), **times),
        code="wrong_state",
        state="delivered",
    )
    yield journal(
        "seal-crossing-the-delivery",
        "a Seal by an offerer that had not seen the delivery counts",
        after,
        resigned(seal, **times),
        outcome="applies",
        state="delivered",
    )


def _released() -> tuple[Talk, list[dict[str, Any]], str]:
    """The provider offered a release, the hirer accepted it, and it is sealed; with the digest of its document."""
    talk, sealed = talk_since("breach"), _sealed()
    document = release(talk, "provider", sealed, sealed)
    offer = talk.say(Offer, "provider", document=document, valid_until=shift(talk.now, 3600))
    both = countersigned(document, HIRER, talk)
    digest = digest_of(to_builtins(document))
    accepted = talk.say(Acceptance, "hirer", offer=offer.digest, document=digest, contract_proof=both["proof"][1])
    place = LedgerPlace(log=PROVIDER.did, index=5, leaf=leaf_digest(contract_leaf(both)))
    seal = talk.say(Seal, "provider", offer=offer.digest, document=digest, acceptance=accepted.digest, ledger=place)
    return talk, [*since_start("breach"), *map(as_json, (offer, accepted, seal))], digest


def _closings_after_a_release() -> Iterator[Vector]:
    """A release ends what is in force, and is not in force itself."""
    talk, before, document = _released()
    for name, says, named, expected in (
        (
            "closing-after-a-release",
            "a Closing names the document that the release is from",
            _sealed(),
            {"outcome": "applies"},
        ),
        ("closing-of-a-release", "a release is never in force", document, {"code": "conflicting_contract"}),
    ):
        closing = talk.say(Closing, "hirer", **_books(named, "release", "10"))
        talk.moves["hirer"].pop()  # the next one takes this place
        yield journal(name, says, before, as_json(closing), state="closing", **expected)


def _offer_crossing_a_release() -> Vector:
    """The hirer accepted a release and, before it has the seal, offers another."""
    (talk, before, _), sealed = _released(), _sealed()
    talk.moves["provider"].pop()  # which the hirer has not seen
    other = talk.say(
        Offer, "hirer", document=release(talk, "hirer", sealed, sealed, "0"), valid_until=shift(talk.now, 3600)
    )
    return journal(
        "offer-crossing-a-release",
        "an Offer that crossed the Seal of a release is recorded, and nothing is on the table",
        before,
        as_json(other),
        outcome="void",
        state="closing",
    )


def _disputes() -> Iterator[Vector]:
    """Disputes and rulings."""
    sealed, said = _sealed(), conversation()
    talk = talk_after("start")
    nobody = talk.say(Dispute, "provider", **_asks(talk))
    yield _refused(
        "dispute-without-an-arbiter",
        "the terms name nobody who could rule",
        up_to("start"),
        nobody,
        "terms_mismatch",
        "working",
    )
    dispute, good = said["dispute"].digest, as_json(said["ruling"])
    for name, says, code, ruling in (
        (
            "ruling-on-another-dispute",
            "a ruling on another dispute",
            "terms_mismatch",
            arbiter_ruling(sealed, digest_bytes(b"another dispute"), good["proof"]["created"]),
        ),
        (
            "ruling-on-another-contract",
            "a ruling on another contract",
            "conflicting_contract",
            arbiter_ruling(digest_bytes(b"another contract"), dispute, good["proof"]["created"]),
        ),
        (
            "ruling-with-a-member-more",
            "a ruling with a member that none has",
            "unknown_term",
            {**good["ruling"], "costs": "7"},
        ),
        (
            "ruling-with-a-keyword-more",
            "a ruling with a keyword that none has",
            "schema_violation",
            {**good["ruling"], "@id": good["ruling"]["id"]},
        ),
        (
            "ruling-for-less-than-nothing",
            "a ruling by which the provider would owe",
            "schema_violation",
            changed(good["ruling"], amount="-1"),
        ),
        (
            "ruling-on-no-contract",
            "a ruling that does not say on which contract",
            "schema_violation",
            changed(good["ruling"], contract=...),
        ),
        (
            "ruling-in-another-context",
            "a ruling in another context",
            "context_not_allowed",
            {**good["ruling"], "@context": ["https://w3id.org/hire/v1"]},
        ),
    ):
        other = resigned(changed(good, ruling=ruling))
        yield journal(name, says, since_start("dispute"), other, code=code, state="disputed")
    for name, says, expected, ruling in (
        (
            "ruling-crossing-a-ruling",
            "the provider carries a ruling as well, and had not seen the hirer's: recorded, and moves nothing",
            {"outcome": "void"},
            good["ruling"],
        ),
        (
            "ruling-crossing-a-ruling-on-another-dispute",
            "a ruling that moves nothing is about this dispute all the same",
            {"code": "terms_mismatch"},
            arbiter_ruling(sealed, digest_bytes(b"another dispute"), good["proof"]["created"]),
        ),
        (
            "ruling-crossing-a-ruling-with-a-member-more",
            "a ruling that moves nothing is one all the same",
            {"code": "unknown_term"},
            {**good["ruling"], "costs": "7"},
        ),
    ):
        crossing = talk_since("dispute").say(Ruling, "provider", dispute=dispute, ruling=ruling)
        before = since_start("ruling")
        yield journal(name, says, before, as_json(crossing), state="closing", **expected)
    talk = talk_since("dispute")
    out = talk.say(Terminate, "hirer", contract=sealed, cause="key_compromised", evidence=())
    yield _refused(
        "end-of-a-dispute-for-another-cause",
        "a dispute ends by a ruling, a release, or for want of a ruling",
        since_start("dispute"),
        out,
        "wrong_state",
        "disputed",
    )
    talk = talk_since("seal-amendment")
    unaware = talk.say(Terminate, "hirer", contract=sealed, cause="key_compromised", evidence=())
    yield journal(
        "end-crossing-a-dispute",
        "a Terminate that had not seen the Dispute is recorded and moves nothing",
        since_start("dispute"),
        as_json(unaware),
        outcome="void",
        state="disputed",
    )
    yield from _after_no_ruling(sealed, dispute, good)
    yield from _owed_in(sealed, dispute)


def _after_no_ruling(sealed: str, dispute: str, good: dict[str, Any]) -> Iterator[Vector]:
    """A dispute that its maker ended for want of a ruling, which the other side has all the same."""
    talk = talk_since("dispute")
    talk.count += 5000  # minutes, until `rulingBy` has passed
    ended = as_json(talk.say(Terminate, "provider", contract=sealed, cause="no_ruling", evidence=()))
    before = [*since_start("dispute"), ended]
    late = talk.say(Ruling, "hirer", dispute=dispute, ruling=good["ruling"])
    yield journal(
        "ruling-after-the-want-of-one",
        "who has a ruling carries it while its books are open",
        before,
        as_json(late),
        outcome="applies",
        state="closing",
    )
    again = talk.say(Ruling, "provider", dispute=dispute, ruling=good["ruling"])
    yield _refused(
        "ruling-after-a-ruling",
        "one ruling is all that is waited for",
        [*before, as_json(late)],
        again,
        "wrong_state",
        "closing",
    )
    crossing = talk_since("dispute").say(Ruling, "hirer", dispute=dispute, ruling=good["ruling"])
    yield journal(
        "ruling-crossing-the-want-of-one",
        "a Ruling that had not seen the end of the dispute is recorded, and counts",
        before,
        as_json(crossing),
        outcome="void",
        state="closing",
    )
    for role in ("hirer", "provider"):  # neither was said
        talk.moves[role].pop()
    closing = talk.say(Closing, "hirer", **_books(_in_force(), "terminate"))
    closed = talk.say(Ruling, "hirer", dispute=dispute, ruling=good["ruling"])
    yield _refused(
        "ruling-after-the-books",
        "who has closed its books carries no ruling",
        [*before, as_json(closing)],
        closed,
        "wrong_state",
        "closing",
    )


def _crossings() -> Iterator[Vector]:
    """What crossed a move, and had or had not seen what it is about."""
    yield from _crossings_in_the_lane()
    yield from _crossings_of_an_end()
    yield _released_after_an_end()
    yield from _disputed_too_late()
    yield from _disputed_beside_a_document()
    yield from _ended_in_a_dispute()


def _crossings_in_the_lane() -> Iterator[Vector]:
    sealed, said = _sealed(), conversation()
    offered, accepted = said["offer-amendment"].digest, as_json(said["acceptance-amendment"])
    proof = {"document": accepted["document"], "contract_proof": accepted["contractProof"]}
    talk = talk_since("approval")
    nothing = talk.say(Acceptance, "provider", offer=said["acceptance"].message.offer, **proof)
    yield journal(
        "acceptance-of-nothing-crossing",
        "an Acceptance of what is not on the table, which crossed a Breach",
        since_start("breach"),
        as_json(nothing),
        outcome="void",
        state="working",
    )
    claim = {"contract": sealed, "clause": "price", "evidence": ()}
    for name, says, since, kind, body, code in (
        (
            "acceptance-of-ones-own-crossing",
            "an Acceptance by who offered it, which crossed a Breach",
            "offer-amendment",
            Acceptance,
            {"offer": offered, **proof},
            "wrong_party",
        ),
        (
            "change-of-mind-crossing",
            "an acceptance answered by a change of mind, which crossed a Breach",
            "acceptance-amendment",
            Withdraw,
            {"offer": offered, "reason": "changed"},
            "wrong_state",
        ),
    ):
        talk = talk_since(since)
        breach = talk.say(Breach, "provider", **claim, cure_by=shift(talk.now, 7200))
        talk.moves["provider"].pop()  # which the hirer has not seen
        crossing = talk.say(kind, "hirer", **body)
        yield _refused(name, says, [*since_start(since), as_json(breach)], crossing, code, "working")
    talk = talk_since("offer-amendment")
    breach = talk.say(Breach, "hirer", **claim, cure_by=shift(talk.now, 7200))
    talk.moves["hirer"].pop()
    document = amendment(talk, "provider", sealed)
    counter = talk.say(Offer, "provider", document=document, valid_until=shift(talk.now, 3600))
    yield _refused(
        "counter-offer-crossing",
        "an Offer that had seen the one on the table and does not name it; it crossed a Breach",
        [*since_start("offer-amendment"), as_json(breach)],
        counter,
        "stale_offer",
        "working",
    )
    talk = talk_since("acceptance-amendment")
    breach = talk.say(Breach, "hirer", **claim, cure_by=shift(talk.now, 7200))
    talk.moves["hirer"].pop()
    yield _refused(
        "acceptance-again-crossing",
        "a second Acceptance of the offer on the table, which crossed a Breach",
        [*since_start("acceptance-amendment"), as_json(breach)],
        talk.say(Acceptance, "provider", offer=offered, **proof),
        "already_contracted",
        "working",
    )
    yield from _of_another_at_the_end(proof)
    talk = talk_since("breach")
    document = amendment(talk, "hirer", sealed)
    stated = {"document": document, "valid_until": shift(talk.now, 3600), "in_reply_to": offered}
    yield _refused(
        "first-offer-in-reply",
        "an Offer that names another, where none is on the table",
        since_start("breach"),
        talk.say(Offer, "hirer", **stated),
        "stale_offer",
        "working",
    )


def _of_another_at_the_end(proof: dict[str, Any]) -> Iterator[Vector]:
    """Of what is at its end: what names another offer than the one on the table does so there, too."""
    books = _books(_sealed(), "terminate")
    talk = talk_since("offer-amendment")
    end = talk.say(Terminate, "hirer", contract=_sealed(), cause="key_compromised", evidence=())
    closing = talk.say(Closing, "hirer", **books)
    talk.moves["hirer"].pop()  # which the provider has not seen
    stray = as_json(talk.say(Acceptance, "provider", offer=digest_bytes(b"another offer"), **proof))
    before = [*since_start("offer-amendment"), as_json(end)]
    for name, says, history, expected in (
        (
            "acceptance-of-another-after-the-end",
            "an Acceptance of what is not on the table, after the end of the contract",
            before,
            {"code": "stale_offer"},
        ),
        (
            "acceptance-of-another-crossing-the-books",
            "an Acceptance of what is not on the table, which crossed a Closing",
            [*before, as_json(closing)],
            {"outcome": "void"},
        ),
    ):
        yield journal(name, says, history, stray, state="closing", **expected)
    talk.moves["provider"].pop()  # it was not said
    talk.moves["hirer"].append(closing)
    last = talk.say(Closing, "provider", **_books(_sealed(), "terminate", of="provider"))
    put = conversation()["offer-amendment"].digest
    back = talk.say(Withdraw, "hirer", offer=put, reason="changed")
    talk.moves["hirer"].pop()
    yield _refused(
        "dispute-after-the-books-crossing",
        "a Dispute by who knows that both have closed their books, which crossed a Withdraw",
        [*before, *map(as_json, (closing, last, back))],
        talk.say(Dispute, "provider", **_asks(talk, end.digest)),
        "wrong_state",
        "closed",
    )
    del talk.moves["provider"][-2:]  # neither of which the hirer has seen
    yield _refused(
        "closing-twice-crossing",
        "a second Closing by one side, which crossed that of the other",
        [*before, *map(as_json, (closing, last))],
        talk.say(Closing, "hirer", **books),
        "wrong_state",
        "closed",
    )


def _crossings_of_an_end() -> Iterator[Vector]:
    sealed, dispute = _sealed(), conversation()["dispute"].digest
    ruling = as_json(conversation()["ruling"])["ruling"]
    after, closing = since_start("ruling"), _books(_in_force(), "terminate")
    yield journal(
        "closing-crossing-the-ruling",
        "a Closing by who disputes, and had not seen what ended the dispute",
        after,
        as_json(talk_since("dispute").say(Closing, "provider", **_books(_in_force(), "terminate", of="provider"))),
        outcome="void",
        state="closing",
    )
    talk = talk_since("dispute")
    said, sealing = _accepted_change(talk, release(talk, "hirer", sealed, _in_force()))
    carried = talk.say(Ruling, "provider", dispute=dispute, ruling=ruling)
    talk.moves["provider"].pop()  # which the hirer has not seen
    released = talk.say(Seal, "hirer", **sealing)
    yield journal(
        "closing-after-a-release-crossing-a-ruling",
        "a Closing that follows the release, which ended the dispute as the ruling did that it had not seen",
        [*since_start("dispute"), *map(as_json, (*said, carried, released))],
        as_json(talk.say(Closing, "hirer", **{**closing, "basis": "release"})),
        outcome="applies",
        state="closing",
        basis="ruling",
    )
    talk = talk_since("dispute")
    yield _refused(
        "dispute-again",
        "another Dispute by who made one, which crossed the end of that",
        after,
        talk.say(Dispute, "provider", **_asks(talk)),
        "wrong_state",
        "closing",
    )
    talk = talk_since("seal-amendment")
    ended = talk.say(Terminate, "hirer", contract=sealed, cause="key_compromised", evidence=())
    talk.moves["hirer"].pop()
    yield _refused(
        "ruling-of-no-dispute",
        "a Ruling where nobody disputes, which crossed the end",
        [*since_start("seal-amendment"), as_json(ended)],
        talk.say(Ruling, "provider", dispute=dispute, ruling=ruling),
        "wrong_state",
        "closing",
    )
    silence = {**closing, "basis": "silence", "delivery": digest_bytes(b"a delivery")}
    yield _refused(
        "silence-of-nothing",
        "a Closing by silence, where nothing was delivered",
        since_start("seal-amendment"),
        talk_since("seal-amendment").say(Closing, "provider", **silence),
        "wrong_state",
        "working",
    )
    above = {"contract": sealed, "cause": "parent", "names": digest_bytes(b"an ending"), "evidence": ()}
    yield _refused(
        "end-of-a-parent-by-the-provider",
        "only the hirer may stand under another contract",
        since_start("seal-amendment"),
        talk_since("seal-amendment").say(Terminate, "provider", **above),
        "wrong_party",
        "working",
    )


def _disputed_after_an_end() -> tuple[Talk, list[dict[str, Any]]]:
    """The contract is terminated, and that is disputed."""
    talk, sealed = talk_since("seal-amendment"), _sealed()
    ended = talk.say(Terminate, "hirer", contract=sealed, cause="key_compromised", evidence=())
    dispute = talk.say(Dispute, "provider", **_asks(talk, ended.digest, "No key is."))
    return talk, [*since_start("seal-amendment"), as_json(ended), as_json(dispute)]


def _accepted_change(talk: Talk, document: Any) -> tuple[list[VerifiedMessage], dict[str, Any]]:
    """The hirer offers it and the provider accepts; with the document that both have signed."""
    offer = talk.say(Offer, "hirer", document=document, valid_until=shift(talk.now, 3600))
    both = countersigned(document, PROVIDER, talk)
    digest = digest_of(to_builtins(document))
    accepted = talk.say(Acceptance, "provider", offer=offer.digest, document=digest, contract_proof=both["proof"][1])
    place = LedgerPlace(log=HIRER.did, index=6, leaf=leaf_digest(contract_leaf(both)))
    return [offer, accepted], {
        "offer": offer.digest,
        "document": digest,
        "acceptance": accepted.digest,
        "ledger": place,
    }


def _disputed_too_late() -> Iterator[Vector]:
    """What may be disputed no more, by who knows that."""
    talk = talk_since("seal-amendment")
    said, sealing = _accepted_change(talk, release(talk, "hirer", _sealed(), _in_force()))
    seal = talk.say(Seal, "hirer", **sealing)
    yield _refused(
        "dispute-after-a-release",
        "a Dispute after a release, whose seal it has seen",
        [*since_start("seal-amendment"), *map(as_json, (*said, seal))],
        talk.say(Dispute, "provider", **_asks(talk)),
        "wrong_state",
        "closing",
    )
    talk = talk_since("seal-amendment")
    end = talk.say(Terminate, "hirer", contract=_sealed(), cause="key_compromised", evidence=())
    closing = talk.say(Closing, "hirer", **_books(_in_force(), "terminate"))
    yield _refused(
        "dispute-after-ones-own-closing",
        "a Dispute by who has closed its books",
        [*since_start("seal-amendment"), *map(as_json, (end, closing))],
        talk.say(Dispute, "hirer", **_asks(talk)),
        "wrong_state",
        "closing",
    )


def _released_after_an_end() -> Vector:
    """An end that a dispute took up again is none for the seal of a release."""
    talk, before = _disputed_after_an_end()
    said, sealing = _accepted_change(talk, release(talk, "hirer", _sealed(), _in_force()))
    return journal(
        "release-in-a-dispute-after-an-end",
        "a Seal of a release by who knows of the Terminate that is disputed counts",
        [*before, *map(as_json, said)],
        as_json(talk.say(Seal, "hirer", **sealing)),
        outcome="applies",
        state="closing",
        basis="release",
    )


def _ended_in_a_dispute() -> Iterator[Vector]:
    """In a dispute an amendment is at its end, and a release is not."""
    sealed = _sealed()
    for name, says, expected, made in (
        (
            "amendment-ended-in-a-dispute",
            "an acceptance of an amendment answered by `ended`, since no seal of one counts in a dispute",
            {"outcome": "applies"},
            amendment,
        ),
        (
            "release-ended-in-a-dispute",
            "an acceptance of a release answered by `ended`, although it may be sealed in a dispute",
            {"code": "wrong_state"},
            release,
        ),
    ):
        talk = talk_since("seal-amendment")
        document = (
            made(talk, "hirer", sealed, amends=_in_force())
            if made is amendment
            else made(talk, "hirer", sealed, _in_force())
        )
        said, sealing = _accepted_change(talk, document)
        dispute = talk.say(Dispute, "provider", **_asks(talk))
        before = [*since_start("seal-amendment"), *map(as_json, said), as_json(dispute)]
        ended = talk.say(Withdraw, "hirer", reason="ended", offer=sealing["offer"])
        yield journal(name, says, before, as_json(ended), state="disputed", **expected)


def _in_force() -> str:
    """The amendment that was sealed before the dispute."""
    return as_json(conversation()["seal-amendment"])["document"]


def _disputed_beside_a_document() -> Iterator[Vector]:
    """What crosses a dispute, or is crossed by one, while a document is on the table."""
    talk, sealed = talk_since("seal-amendment"), _sealed()
    document = release(talk, "provider", sealed, _in_force())
    offer = talk.say(Offer, "provider", document=document, valid_until=shift(talk.now, 3600))
    both, digest = countersigned(document, HIRER, talk), digest_of(to_builtins(document))
    accepted = talk.say(Acceptance, "hirer", offer=offer.digest, document=digest, contract_proof=both["proof"][1])
    dispute = talk.say(Dispute, "hirer", **_asks(talk))
    talk.moves["hirer"].pop()  # which the provider has not seen
    made = talk.say(Delivery, "provider", contract=sealed, **PARTIAL)
    yield journal(
        "withdrawn-as-overtaken-beside-a-dispute",
        "a delivery that had not seen the Dispute is void, and overtakes the seal all the same",
        [*since_start("seal-amendment"), *map(as_json, (offer, accepted, dispute, made))],
        as_json(talk.say(Withdraw, "provider", reason="overtaken", offer=offer.digest)),
        outcome="applies",
        state="disputed",
    )
    talk = talk_since("seal-amendment")
    said, sealing = _accepted_change(talk, release(talk, "hirer", sealed, _in_force()))
    released = talk.say(Seal, "hirer", **sealing)
    talk.moves["hirer"].pop()  # which the provider has not seen
    dispute = talk.say(Dispute, "provider", **_asks(talk))
    ruling = arbiter_ruling(sealed, dispute.digest, talk.now)
    yield journal(
        "ruling-crossing-a-release",
        "a Ruling on a Dispute, both of which had not seen the release, is recorded, and counts",
        [*since_start("seal-amendment"), *map(as_json, (*said, released, dispute))],
        as_json(talk.say(Ruling, "provider", dispute=dispute.digest, ruling=ruling)),
        outcome="void",
        state="closing",
        basis="ruling",
    )


def _owed_in(sealed: str, dispute: str) -> Iterator[Vector]:
    """The currency of what is owed, where the arbiter named another than that of the price."""
    for name, says, currency, expected in (
        ("owed-as-ruled", "a ruling may be in another currency", "CHF", {"outcome": "applies"}),
        ("owed-in-another-currency", "neither the price nor the ruling is in it", "USD", {"code": "terms_mismatch"}),
    ):
        talk = talk_since("dispute")
        document = arbiter_ruling(sealed, dispute, talk.now, currency="CHF")
        ruling = talk.say(Ruling, "hirer", dispute=dispute, ruling=document)
        closing = talk.say(Closing, "hirer", **_books(_in_force(), "ruling", "20", currency))
        before = [*since_start("dispute"), as_json(ruling)]
        yield journal(name, says, before, as_json(closing), state="closing", **expected)
