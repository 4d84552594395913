"""Should an artifact be trusted for a purpose: each reason by itself, with its code."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from issuing import issued
from pack_cases import Named
from pack_credentials import credential
from packs import MADE, NAME, Hire, stated
from undersigned.attestation import ActionTaken, UsageLine, provenance
from undersigned.attestation.predicates.work import MAX_ACTIONS
from undersigned.contract import Terms
from undersigned.credentials import (
    LIST_JWT,
    StatusList,
    build_status_list,
    check_last_known,
    read_credential,
    read_status_list,
)
from undersigned.credentials import Authority as MayAttest
from undersigned.did import DidDocument
from undersigned.encoding import canonicalize, digest_bytes, shift
from undersigned.scope import WireRule
from undersigned.testing import (
    ARBITER,
    ARTIFACT,
    Actor,
    Say,
    acceptance,
    amendment,
    breach,
    dispute,
    minutes,
    presentation,
    seal,
    terminate,
)
from undersigned.trace import (
    ASKS,
    CLAUSES,
    Earlier,
    GraphAnswers,
    MadeFrom,
    Missing,
    SeenList,
    TraceEvidence,
    Verdict,
    asked_about,
    judge,
)
from undersigned.trust import Anchor, Anchors, Edge, Graph, Policy, Viewpoint, accused, answer, authority
from unit.trace.test_walk import DIGEST, evidence

PROVENANCE, WORK = "https://slsa.dev/provenance/v1", "https://w3id.org/hire/attestation/work/v1"
INPUTS = MadeFrom(policy=digest_bytes(b"p"), anchors=digest_bytes(b"a"), heard=digest_bytes(b"h"))


@pytest.fixture(scope="module")
def hire() -> Hire:
    return Hire().whole()


def heard_of(found: TraceEvidence, purpose: str, now: str, anchors: Anchors, *edges: Edge) -> GraphAnswers:
    asked, graph = asked_about(DIGEST, found), Graph(edges)
    return GraphAnswers(
        tuple(
            answer(
                authority(issuer, predicate, purpose, Viewpoint(anchors=anchors, now=at, refused=frozenset())),
                graph.read,
            )
            for issuer, predicate, at in asked.authority
        ),
        tuple(
            answer(accused(did, Viewpoint(anchors=anchors, now=now, refused=frozenset())), graph.read)
            for did in asked.accused
        ),
    )


def judged(
    hire: Hire,
    *others: Hire,
    purpose: str = "sbom",
    anchors: Anchors | None = None,
    edges: tuple[Edge, ...] = (),
    policy: Policy | None = None,
    packed: tuple[DidDocument, ...] = (),
    documents: tuple[DidDocument, ...] = (),
    earlier: tuple[DidDocument, ...] = (),
    **more: Any,
) -> Verdict:
    """`packed` are in each pack, `documents` known from elsewhere, and `earlier` from before, the
    second a second before the first."""
    inside = {"documents": tuple(one.raw for one in packed)} if packed else {}
    unproved: dict[str, Any] = {"checkpoint": None, "inclusion": None}
    found = TraceEvidence.of(
        held
        for one in (hire, *others)
        for held in evidence(one, **({} if one.hirer.engagement.state == "closed" else unproved), **inside).held
    )
    now, believed = hire.book.clock.now(), anchors or Anchors.of(hire.provider.actor.did)
    found = replace(
        found,
        documents={one.id: (one,) for one in documents},
        earlier={
            one.id: tuple(Earlier(each, shift(now, -at)) for at, each in enumerate(earlier) if each.id == one.id)
            for one in earlier
        },
    )
    return judge(
        DIGEST,
        purpose,
        found,
        policy=policy or Policy(),
        own="did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
        now=now,
        anchors=believed,
        heard=heard_of(found, purpose, now, believed, *edges),
        **{"links": (), "lists": {}, "inputs": INPUTS, **more},
    )


def codes(verdict: Verdict) -> dict[str, str]:
    """What was not met, by clause."""
    reasons = [*verdict.reasons, *(reason for one in verdict.judged for reason in one.reasons)]
    assert {reason.clause for reason in reasons} <= set(CLAUSES)
    for reason in reasons:
        assert reason.code == "met" or f"`{reason.code}`" in CLAUSES[reason.clause][0] or reason.clause == "evidence"
    return {reason.clause: reason.code for reason in reasons if reason.code != "met"}


def test_what_holds_throughout_is_allowed(hire: Hire) -> None:
    """HIRE-TRC-05."""
    verdict = judged(hire)
    assert (verdict.outcome, codes(verdict)) == ("allow", {})
    (one,) = verdict.judged
    assert (one.signer, one.contract) == (hire.provider.actor.did, hire.contract)
    assert judged(hire) == verdict


@pytest.mark.parametrize(
    ("anchor", "outcome"),
    [
        ({"types": (WORK,), "capabilities": ("sbom",)}, "allow"),
        ({"types": (PROVENANCE,)}, "deny"),
        ({"capabilities": ("build",)}, "deny"),
        ({"until": "2020-01-01T00:00:00Z"}, "deny"),
    ],
)
def test_the_signer_is_entitled_to_that_predicate_for_that_purpose(
    hire: Hire, anchor: dict[str, Any], outcome: str
) -> None:
    """HIRE-TRC-05: whom we believe about something else, or believed until before, is not entitled to this."""
    verdict = judged(hire, anchors=Anchors(anchors=(Anchor(issuer=hire.provider.actor.did, **anchor),)))
    assert verdict.outcome == outcome
    assert codes(verdict) == ({} if outcome == "allow" else {"signer": "attester_not_trusted"})


def test_a_chain_entitles_as_it_stood_when_it_was_signed(hire: Hire) -> None:
    root = "did:web:root.example"
    edge = Edge(
        digest=digest_bytes(b"edge"), source=root, target=hire.provider.actor.did, kind="authority", capability="sbom"
    )
    anchors = Anchors.of(root)
    assert judged(hire, anchors=anchors, edges=(edge,)).outcome == "allow"
    ended = Edge(
        digest=digest_bytes(b"edge"),
        source=root,
        target=hire.provider.actor.did,
        kind="authority",
        capability="sbom",
        valid_until="2020-01-01T00:00:00Z",
    )
    assert codes(judged(hire, anchors=anchors, edges=(ended,))) == {"signer": "attester_not_trusted"}


def test_a_withdrawn_link_denies_and_so_does_one_that_nobody_can_look_up(hire: Hire) -> None:
    """HIRE-TRC-05: later revocations; what cannot be checked is no."""
    now, root = hire.book.clock.now(), Actor("root")
    url = "https://root.example/status/1"
    entry = {
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": "9",
        "statusListCredential": url,
    }
    claim = MayAttest(id=hire.provider.actor.did, may_attest="sbom", depth=0)
    link = read_credential(issued(root, claim, now, credentialStatus=entry))

    def listed(*bits: int) -> StatusList:
        filled = bytearray(16_384)
        for bit in bits:
            filled[bit >> 3] |= 0x80 >> (bit & 7)
        return StatusList(
            url=url, issuer=root.did, purposes=("revocation",), bits=bytes(filled), ttl_seconds=300, credential=link
        )

    assert judged(hire, links=(link,), lists={url: listed()}).outcome == "allow"
    assert codes(judged(hire, links=(link,), lists={url: listed(9)})) == {"status": "revoked"}
    assert codes(judged(hire, links=(link,))) == {"status": "status_unavailable"}


class Listed:
    """A link of authority with a status, and lists of its issuer as they were at a time."""

    url = "https://root.example/status/1"

    def __init__(self, hire: Hire, *purposes: str) -> None:
        self.root, self.now = Actor("root"), hire.book.clock.now()
        entries = [
            {
                "type": "BitstringStatusListEntry",
                "statusPurpose": purpose,
                "statusListIndex": "9",
                "statusListCredential": f"{self.url}/{purpose}",
            }
            for purpose in purposes or ("revocation",)
        ]
        claim = MayAttest(id=hire.provider.actor.did, may_attest="sbom", depth=0)
        self.link = read_credential(issued(self.root, claim, self.now, credentialStatus=entries))

    def at(self, made: int, *bits: int, purpose: str = "revocation", until: int = 60, seen: int = 1) -> StatusList:
        """`made`, `until` and `seen` are minutes from now, negative before; until and seen from `made`."""
        filled = bytearray(16_384)
        for bit in bits:
            filled[bit >> 3] |= 0x80 >> (bit & 7)
        begins, url = shift(self.now, 60 * made), f"{self.url}/{purpose}"
        document = build_status_list(
            url=url,
            issuer=self.root.did,
            bits=filled,
            valid_from=begins,
            valid_until=shift(begins, 60 * until),
            ttl_seconds=300,
            purpose=purpose,
        )
        found = read_status_list(read_credential(document, of=LIST_JWT), url=url)
        return replace(found, verified=shift(begins, 60 * seen))


def seen(one: StatusList, *, own: bool = False, why: str = "nobody answers") -> SeenList:
    return SeenList(one, own, why)


@pytest.mark.parametrize(
    ("known", "outcome", "code", "says"),
    [
        ([(-90, (), False)], "ask", "status_last_known", -90),  # past its validity and ttl: still what is known
        ([(-90, (), True)], "ask", "status_last_known", -89),  # we asked ourselves
        ([(-5, (), True)], "ask", "status_last_known", -4),  # in its time: nobody said so now
        ([(-90, (9,), False)], "deny", "revoked", -90),
        ([(-90, (), True), (-30, (9,), False)], "deny", "revoked", -30),  # the newest counts
        ([(-90, (9,), True), (-30, (), False)], "ask", "status_last_known", -30),
        ([(-30, (), True), (-30, (9,), False)], "deny", "revoked", -30),  # of one time, the one against it
        ([], "deny", "status_unavailable", None),
    ],
)
def test_what_was_last_known_of_a_link_asks_or_denies(
    hire: Hire, known: list[tuple[int, tuple[int, ...], bool]], outcome: str, code: str, says: int | None
) -> None:
    """HIRE-TRC-07."""
    of = Listed(hire)
    lists = [seen(of.at(made, *bits), own=own) for made, bits, own in known]
    verdict = judged(hire, links=(of.link,), known=lists)
    assert (verdict.outcome, codes(verdict)) == (outcome, {"status": code})
    assert judged(hire, links=(of.link,), known=lists[::-1]) == verdict
    if says is not None:
        assert f" as of {shift(of.now, 60 * says)}" in verdict.explain()
        assert "could not be had now: nobody answers" in verdict.explain()
    # A list that is there decides alone.
    for bits, live in (((), "allow"), ((9,), "deny")):
        found = of.at(-1, *bits)
        assert judged(hire, links=(of.link,), lists={found.url: found}, known=lists).outcome == live


def test_each_list_of_a_credential_is_had_or_last_known(hire: Hire) -> None:
    """HIRE-TRC-07: one that is there and one that is not; what speaks against it in either denies."""
    of = Listed(hire, "revocation", "suspension")
    for there, before, outcome, code in (
        ((), (), "ask", "status_last_known"),
        ((9,), (), "deny", "revoked"),
        ((), (9,), "deny", "revoked"),
    ):
        live = of.at(-1, *there)
        last = [seen(of.at(-90, *before, purpose="suspension"))]
        verdict = judged(hire, links=(of.link,), lists={live.url: live}, known=last)
        assert (verdict.outcome, codes(verdict)) == (outcome, {"status": code})
    # One that is there is not asked what it said before: neither against the credential, nor for since when.
    live, old = of.at(-1), seen(of.at(-200, 9))
    verdict = judged(
        hire, links=(of.link,), lists={live.url: live}, known=[old, seen(of.at(-90, purpose="suspension"))]
    )
    assert codes(verdict) == {"status": "status_last_known"}
    assert f"last known good as of {shift(of.now, -90 * 60)};" in verdict.explain()
    check_last_known(
        of.link, {live.url: live}, {one.url: one for one in (old.list, of.at(-9, purpose="suspension"))}, of.now
    )
    # Neither list is there, and only one was ever seen.
    assert codes(judged(hire, links=(of.link,), known=[seen(of.at(-90))])) == {"status": "status_unavailable"}
    # A suspension that was lifted before the last list.
    lifted = [seen(of.at(-90, 9, purpose="suspension")), seen(of.at(-30, purpose="suspension")), seen(of.at(-30))]
    assert codes(judged(hire, links=(of.link,), known=lifted)) == {"status": "status_last_known"}


def test_who_looked_last_does_not_make_a_list_newer(hire: Hire) -> None:
    """HIRE-TRC-07: an old list that a packer says it consulted after a newer one is the older one."""
    of = Listed(hire)
    shown, ours = seen(of.at(-90, seen=59)), seen(of.at(-40, 9), own=True)
    assert shown.list.verified > ours.list.verified
    assert codes(judged(hire, links=(of.link,), known=[shown, ours])) == {"status": "revoked"}


def test_a_list_that_is_none_for_it_is_not_last_known(hire: Hire) -> None:
    """HIRE-TRC-07: another issuer's, of no time, not valid when it was seen, or without the place."""
    of, other = Listed(hire), Listed(hire)
    found = of.at(-90)
    foreign = replace(found, issuer="did:web:other.example")
    undated = replace(found, credential=replace(found.credential, valid_from=None))
    over = other.at(-90, until=5, seen=6)
    for one in (foreign, undated, over):
        assert codes(judged(hire, links=(of.link,), known=[seen(one)])) == {"status": "status_unavailable"}
    short = replace(found, bits=b"\x00")
    assert codes(judged(hire, links=(of.link,), known=[seen(short)])) == {"status": "status_invalid"}


def test_an_accusation_that_is_heard_now_denies(hire: Hire) -> None:
    root = "did:web:root.example"
    edge = Edge(
        digest=digest_bytes(b"accusation"),
        source=root,
        target=hire.provider.actor.did,
        kind="accusation",
        says="equivocation",
    )
    anchors = Anchors(anchors=(Anchor(issuer=root), Anchor(issuer=hire.provider.actor.did)))
    assert codes(judged(hire, anchors=anchors, edges=(edge,)))["accused"] == "policy_denied"


def test_our_policy_refuses(hire: Hire) -> None:
    assert codes(judged(hire, policy=Policy(refuse=(hire.provider.actor.did,)))) == {"refuse": "policy_denied"}
    refused = judged(hire, policy=Policy(refuse_capabilities=("sbom",)))
    assert (refused.outcome, codes(refused)) == ("deny", {"refuse_capabilities": "policy_denied"})


def test_without_an_acceptance_a_person_is_asked_and_with_a_rejection_nobody() -> None:
    """HIRE-TRC-05."""
    waiting = judged(Hire().sealed().delivered())
    assert (waiting.outcome, codes(waiting)["acceptance"]) == ("ask", "approval_required")
    rejected = judged(Hire().sealed().delivered().reviewed("rejected"))
    assert (rejected.outcome, codes(rejected)["acceptance"]) == ("deny", "policy_denied")


def test_evidence_that_does_not_reach_the_end_asks(hire: Hire) -> None:
    """HIRE-TRC-05: what is not known is not met: a breach may be claimed in what was left out."""
    cut = judged(Hire().sealed().delivered().reviewed())
    assert (cut.outcome, codes(cut)) == ("ask", {"ending": "in_doubt"})
    assert codes(judged(hire)) == {}


@pytest.mark.parametrize(
    ("anchor", "edge", "code"),
    [
        ({}, False, "approval_required"),
        ({"types": (WORK,)}, False, "approval_required"),
        ({"capabilities": ("banana",)}, False, ""),
        ({}, True, ""),
    ],
)
def test_a_purpose_that_nobody_named_asks(hire: Hire, anchor: dict[str, Any], edge: bool, code: str) -> None:
    """HIRE-TRC-05: an anchor for anything says nothing of what the contract was not about; one that names it does, and
    so does a link of authority.
    """
    did, root = hire.provider.actor.did, "did:web:root.example"
    link = Edge(digest=digest_bytes(b"edge"), source=root, target=did, kind="authority", capability="banana")
    anchors = Anchors(anchors=(Anchor(issuer=root if edge else did, **anchor),))
    verdict = judged(hire, purpose="banana", anchors=anchors, edges=(link,) if edge else ())
    assert codes(verdict) == ({"purpose": code} if code else {})
    assert verdict.outcome == ("ask" if code else "allow")


def test_actions_outside_the_scope_and_totals_above_a_limit_deny() -> None:
    """HIRE-TRC-05."""
    hire = Hire().sealed()
    taken = ActionTaken(
        at=hire.book.clock.now(),
        action="artifact:read",
        target=f"urn:hire:artifact:{DIGEST}",
        clause="read",
        allowed=True,
    )
    hire.delivered(hire.claims(actions=(taken,))).reviewed().closed()
    assert codes(judged(hire)) == {"scope": "scope_exceeded"}
    (grant,) = hire.hirer.offered().terms.scope.grants
    name = grant.id.rpartition("#")[2]
    assert ARTIFACT in str(grant.target)
    for clause, unit, amount, outcome in (
        (name, "count", "1", "allow"),
        (name, "count", "999999", "deny"),
        (name, "EUR", "7", "allow"),  # of which the grant says nothing
        ("pay", "EUR", "1000000", "deny"),  # which no document allows at all
        ("pay", "EUR", "0", "allow"),
    ):
        again = Hire().sealed()
        usage = (UsageLine(clause=clause, unit=unit, amount=amount),)
        again.delivered(again.claims(usage=usage)).reviewed().closed()
        assert judged(again).outcome == outcome


def test_actions_that_the_statement_leaves_out_ask() -> None:
    """HIRE-TRC-05: nobody can say where they were."""
    hire = Hire().sealed()
    line = {"at": hire.book.clock.now(), "action": "artifact:read", "target": f"urn:hire:artifact:{ARTIFACT}"}
    taken = [ActionTaken(**line, clause="read", allowed=True)]
    hire.delivered(hire.claims(actions=taken * (MAX_ACTIONS + 1))).reviewed().closed()
    verdict = judged(hire)
    assert (verdict.outcome, codes(verdict)) == ("ask", {"scope": "approval_required"})


def test_what_is_to_be_reworked_asks() -> None:
    """HIRE-TRC-05."""
    verdict = judged(Hire().sealed().delivered().reviewed("rework"))
    assert (verdict.outcome, codes(verdict)["acceptance"]) == ("ask", "approval_required")


@pytest.mark.parametrize("limits", [("1", "3"), ("3", "1")])
def test_what_any_document_in_force_allowed_may_have_been_used(limits: tuple[str, str]) -> None:
    """HIRE-TRC-05: before an amendment that allows less, or after one that allows more; and no more than either."""
    before, after = (
        lambda terms, most=most: replace(terms, scope=replace(terms.scope, grants=(limited(terms, most),)))
        for most in limits
    )
    for used, outcome in (("3", "allow"), ("4", "deny")):
        hire = Hire(changing=before).sealed()
        hire.book.hirer >> amendment(terms=after(hire.hirer.offered().terms))
        hire.book.provider >> acceptance()
        hire.book.hirer >> seal()
        usage = (UsageLine(clause="read", unit="count", amount=used),)
        hire.delivered(hire.claims(usage=usage)).reviewed().closed()
        assert judged(hire).outcome == outcome


def limited(terms: Terms, most: str) -> WireRule:
    """The one grant of these terms with another limit."""
    (grant,) = terms.scope.grants
    return replace(grant, constraint=(replace(grant.constraint[0], right_operand=(most,)),))


def cancelled(hire: Hire) -> None:
    hire.book.advance(minutes(60 * 24))
    hire.book.provider >> terminate("deadline")


def rejected(hire: Hire) -> Hire:
    return hire.delivered().reviewed("rejected").closed()


def ended_for_a_stolen_key(hire: Hire) -> Hire:
    hire.delivered()
    hire.book.hirer >> terminate("key_compromised")
    return hire


def beyond_its_scope(hire: Hire) -> Hire:
    usage = (UsageLine(clause="read", unit="count", amount="999999"),)
    return hire.delivered(hire.claims(usage=usage)).reviewed().closed()


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (lambda hire: hire.delivered().reviewed().closed(), "allow"),
        (lambda hire: hire.delivered(), "allow"),  # nobody looked at it yet
        (rejected, "ask"),
        (ended_for_a_stolen_key, "ask"),
        (beyond_its_scope, "ask"),
    ],
    ids=["accepted", "not reviewed", "rejected", "ended", "beyond its scope"],
)
def test_what_speaks_against_another_delivery_of_it_asks(hire: Hire, made: Any, outcome: str) -> None:
    """HIRE-TRC-05: bytes that somebody rejected are not made good by whoever delivers them as well."""
    other = made(Hire(actors=(Actor("hirer"), Actor("another provider"))).sealed())
    verdict = judged(hire, other, anchors=Anchors.of(hire.provider.actor.did, other.provider.actor.did))
    assert verdict.outcome == outcome
    assert [reason.code for reason in verdict.reasons] == (["approval_required"] if outcome == "ask" else [])


def test_a_delivery_of_it_by_somebody_whom_nobody_entitles_spoils_none(hire: Hire) -> None:
    """HIRE-TRC-05: else anybody could have any artifact refused."""
    other = Hire(actors=(Actor("hirer"), Actor("another provider"))).whole()
    verdict = judged(hire, other, anchors=Anchors.of(hire.provider.actor.did))
    assert [one.outcome for one in verdict.judged] == ["allow", "deny"]
    assert verdict.outcome == "allow"


def test_an_accusation_of_whoever_else_delivered_it_asks(hire: Hire) -> None:
    """HIRE-TRC-05."""
    other = Hire(actors=(Actor("hirer"), Actor("another provider"))).whole()
    root, did = "did:web:root.example", other.provider.actor.did
    edge = Edge(digest=digest_bytes(b"accusation"), source=root, target=did, kind="accusation", says="equivocation")
    assert judged(hire, other, anchors=Anchors.of(root, did, hire.provider.actor.did), edges=(edge,)).outcome == "ask"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (cancelled, "ended early by "),
        (lambda hire: hire.book.hirer >> breach(), " claims a breach of "),
        (lambda hire: hire.book.provider >> dispute(), "Dispute of "),
    ],
)
def test_what_is_claimed_or_ended_early_asks(said: Any, words: str) -> None:
    """HIRE-TRC-05."""
    hire = Hire().sealed().delivered()
    said(hire)
    verdict = judged(hire)
    ending = [reason for one in verdict.judged for reason in one.reasons if reason.clause == "ending"]
    assert {reason.code for reason in ending} == {"in_doubt"}
    assert [reason for reason in ending if words in reason.value]


def test_an_end_for_a_stolen_key_denies() -> None:
    hire = Hire().sealed().delivered()
    hire.book.hirer >> terminate("key_compromised")
    verdict = judged(hire)
    assert (verdict.outcome, codes(verdict)["ending"]) == ("deny", "revoked")


def test_nothing_is_no_yes(hire: Hire) -> None:
    verdict, unheard = (
        judge(
            digest,
            "sbom",
            evidence(hire),
            policy=Policy(),
            own="did:web:acme.example",
            now=hire.book.clock.now(),
            anchors=Anchors(),
            heard=GraphAnswers(),
            links=(),
            lists={},
            inputs=INPUTS,
        )
        for digest in (digest_bytes(b"another"), DIGEST)
    )
    assert (verdict.outcome, codes(verdict)) == ("deny", {"evidence": "not_found"})
    # What the graph was not asked is no answer.
    assert codes(unheard) == {"signer": "attester_not_trusted", "accused": "policy_denied"}


@pytest.mark.parametrize(
    ("change", "strange"),
    [
        (
            lambda known, own: (
                known | {"service": [{"id": "#more", "type": "Other", "serviceEndpoint": "https://x.example/"}]}
            ),
            "",
        ),
        (lambda known, own: with_method(known, revoked="2020-01-01T00:00:00Z"), "own"),
        (lambda known, own: with_method(known, expires="2020-01-01T00:00:00Z"), "own"),
        (lambda known, own: with_method(known, expires="2099-01-01T00:00:00Z"), ""),
        (lambda known, own: known | {"assertionMethod": []}, "own"),
        (
            lambda known, own: with_method(known, publicKeyMultibase=Actor("mallory").did.removeprefix("did:key:")),
            "own",
        ),
    ],
)
def test_the_keys_of_a_pack_are_those_of_a_known_document(hire: Hire, change: Any, strange: str) -> None:
    """HIRE-TRC-09: by method, relationship and time; what else stands in the document is nobody's business."""
    (held,) = evidence(hire).held
    did = hire.provider.actor.did
    (own,) = held.case.documents[did]
    (method,) = own.methods("assertionMethod")
    known = DidDocument(did, canonicalize(change(own.json, method)))
    assert held.strange_to(did, (known,)) == ((method,) if strange else ())
    assert held.strange_to(did, (known, own)) == ()
    assert held.strange_to(did, ()) == (method,)


def test_a_document_that_has_the_keys_of_the_known_one_and_more_is_strange(hire: Hire) -> None:
    """HIRE-TRC-09: whoever makes a pack may copy a document and add a key of its own."""
    (held,) = evidence(hire).held
    did = hire.provider.actor.did
    (own,) = held.case.documents[did]
    content = own.json
    added = {**content["verificationMethod"][0], "id": f"{did}#more"}
    added["publicKeyMultibase"] = Actor("mallory").did.removeprefix("did:key:")
    content["verificationMethod"].append(added)
    content["authentication"].append(f"{did}#more")
    held.case.documents[did] = [DidDocument(did, canonicalize(content))]
    assert held.strange_to(did, (own,)) == (f"{did}#more",)


def test_nobody_speaks_in_the_name_of_a_hirer_that_is_known() -> None:
    """HIRE-TRC-09: it need not be known where somebody else judged the delivery."""
    hirer = Named("hirer")
    hire = Hire(verifier=ARBITER.did, actors=(hirer, Actor("provider"))).sealed().delivered()
    hire.reviewed(statement=hire.verdict(by=ARBITER)).closed()
    later = with_another_key(hirer.document)
    for documents, code in (((), {}), ((hirer.document,), {}), ((later,), {"keys": "key_not_authorized"})):
        assert codes(judged(hire, packed=(hirer.document,), documents=documents)) == code


def test_who_accepted_is_who_stated_it_though_an_amendment_named_it_after_the_delivery() -> None:
    """HIRE-TRC-09: its keys are asked for, and not those of whom the terms of the delivery left the verdict to."""
    judge = Named("judge")
    hire = Hire().sealed().delivered()
    terms = hire.hirer.offered().terms
    hire.book.provider >> amendment(terms=replace(terms, evidence=replace(terms.evidence, verifier=judge.did)))
    hire.book.hirer >> acceptance()
    hire.book.provider >> seal()
    hire.reviewed(statement=hire.verdict(by=judge)).closed()
    for documents, code in (((judge.document,), {}), ((), {"keys": "did_unresolvable"})):
        verdict = judged(hire, packed=(judge.document,), documents=documents)
        assert codes(verdict) == code
        (accepted,) = [one for one in verdict.judged[0].reasons if one.clause == "acceptance"]
        assert accepted.value == f"accepted by {judge.did}"


def test_a_membership_is_last_known_if_it_held_by_the_document_of_before() -> None:
    """HIRE-TRC-09: another one is nobody's word, and asks nobody."""
    body = Named("body")

    def shown(hire: Hire) -> Say:
        subject = {"id": hire.provider.actor.did, "memberOf": body.did}
        types = ["VerifiableCredential", "MembershipCredential"]
        return presentation(credential(hire, body, type=types, credentialSubject=subject))

    hire = Hire(shown=shown).whole()
    for earlier, code in ((body.document, "did_last_known"), (with_another_key(body.document), "attester_not_trusted")):
        found = codes(judged(hire, anchors=Anchors.of(body.did), earlier=(earlier,)))
        assert found["keys" if code == "did_last_known" else "signer"] == code
        assert ("keys" in found, "signer" in found) == (code == "did_last_known", code != "did_last_known")


@pytest.mark.parametrize("entitled", [True, False])
def test_a_membership_that_would_not_do_is_not_asked_for(entitled: bool) -> None:
    """HIRE-TRC-05: of a body that nobody entitles, nothing would change if its document could be had."""
    body = Named("body")

    def shown(hire: Hire) -> Say:
        subject = {"id": hire.provider.actor.did, "memberOf": body.did}
        types = ["VerifiableCredential", "MembershipCredential"]
        return presentation(credential(hire, body, type=types, credentialSubject=subject))

    anchors = Anchors.of(*([body.did] if entitled else []))
    inputs = replace(INPUTS, missing=(Missing(what=body.did, why="no answer"),))
    found = codes(judged(Hire(shown=shown).whole(), anchors=anchors, inputs=inputs))
    assert found["signer"] == ("did_unresolvable" if entitled else "attester_not_trusted")


def test_of_several_documents_of_before_the_newest_is_told() -> None:
    """HIRE-TRC-09: whether a key was withdrawn is not known since then."""
    provider = Named("provider")
    hire = Hire(actors=(Actor("hirer"), provider)).whole()
    service = {"service": [{"id": "#more", "type": "Other", "serviceEndpoint": "https://x.example/"}]}
    before = DidDocument(provider.did, canonicalize(provider.document.json | service))
    verdict = judged(hire, packed=(provider.document,), earlier=(provider.document, before))
    (reason,) = (reason for one in verdict.judged for reason in one.reasons if reason.clause == "keys")
    assert reason.code == "did_last_known"
    assert f"were known at {hire.book.clock.now()}, " in reason.value


def test_a_delivery_without_a_statement_about_it_is_no_evidence() -> None:
    """HIRE-TRC-05."""
    verdict = judged(Hire().sealed().delivered(statements=()))
    assert codes(verdict)["evidence"] == "not_found"
    assert "signer" not in codes(verdict)


def test_what_else_is_stated_of_it_says_nothing_of_the_scope() -> None:
    """HIRE-TRC-05: only a statement of work tells of actions and of use."""
    hire = Hire().sealed()
    at = hire.book.clock.now()
    made = provenance(
        contract=hire.contract,
        clauses=("read",),
        provider=hire.provider.actor.did,
        task="sbom",
        inputs={},
        invocation_id=f"{hire.hirer.engagement.id}:1",
        started_on=at,
        finished_on=at,
    )
    beside = stated(hire.provider.actor, {NAME: digest_bytes(MADE)}, made)
    hire.delivered(hire.claims(), beside).reviewed().closed()
    assert (judged(hire).outcome, codes(judged(hire))) == ("allow", {})


def with_another_key(document: DidDocument) -> DidDocument:
    return DidDocument(document.id, canonicalize(with_method(document.json, publicKeyMultibase=ARBITER.did[8:])))


def with_method(document: dict[str, Any], **members: str) -> dict[str, Any]:
    """The document with these members in its first method."""
    method, *others = document["verificationMethod"]
    return document | {"verificationMethod": [method | members, *others]}


def test_only_these_codes_ask() -> None:
    assert {"approval_required", "did_last_known", "in_doubt", "status_last_known"} == ASKS


def test_actions_that_were_refused_are_not_told_as_done() -> None:
    """HIRE-TRC-05: what its gate refused was not done, and is counted apart."""
    hire = Hire().sealed()
    (grant,) = hire.hirer.offered().terms.scope.grants
    at = hire.book.clock.now()
    done = ActionTaken(at=at, action=grant.action, target=str(grant.target), clause="read", allowed=True)
    refused = ActionTaken(
        at=at, action="file:read", target="https://acme.example/payroll", clause="none", allowed=False
    )
    hire.delivered(hire.claims(actions=(done, refused, refused))).reviewed()
    (one,) = judged(hire).judged
    (said,) = [reason.value for reason in one.reasons if reason.clause == "scope"]
    assert said == "1 action done, inside the scope; 2 more refused by its gate, and not done"
