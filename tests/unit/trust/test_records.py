"""Anchors as signed records: who added them, how many people it takes, sets and their versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from histories import document_at
from parties import LATER, NOW, Party, documents
from support import refuses
from undersigned.did import DidDocument
from undersigned.encoding import JsonObject, canonicalize, shift
from undersigned.errors import CredentialError, FormatError, ProofError, UndersignedError, VerificationError
from undersigned.trust import (
    AddingRule,
    Anchor,
    Anchors,
    AnchorSet,
    adoption,
    anchor_changes,
    anchor_record,
    anchor_set,
    check_successor,
    latest_sets,
    record_config,
    signers_of,
    verify_record,
    verify_set,
)

ANN, BOB, EVE, BODY = Party("ann"), Party("bob", "P-256"), Party("eve"), Party("industry-body")
KNOWN = documents(ANN, BOB, EVE, BODY)
ID = "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01"
OTHER_ID = "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b02"
NARROW = Anchor(issuer=EVE.did, types=("EndorsementCredential",), capabilities=("sbom",), depth=1)
WIDE = Anchor(issuer=EVE.did)
RULE = AddingRule(people=(ANN.did, BOB.did), reach_of_one=1)


def signed(document: JsonObject, *people: Party) -> JsonObject:
    for person in people:
        suite = "ecdsa-jcs-2019" if person.kind == "P-256" else "eddsa-jcs-2022"
        document = person.prove(document, record_config(suite, person.method, NOW))
    return document


def record(anchor: Anchor, *people: Party, **changes: Any) -> JsonObject:
    document = anchor_record(id=ID, anchor=anchor, evidence="their published statutes", added=NOW)
    return signed(document | changes, *people)


def verified(document: JsonObject, rule: AddingRule = RULE):
    return verify_record(document, rule, documents=KNOWN, now=NOW)


def refused(document: JsonObject, rule: AddingRule = RULE) -> str:
    with pytest.raises(UndersignedError) as caught:
        verified(document, rule)
    return caught.value.code


def published(number: int = 1, anchors: tuple[Anchor, ...] = (NARROW,), **more: Any) -> JsonObject:
    return anchor_set(id=OTHER_ID, issuer=BODY.did, number=number, published=NOW, anchors=anchors, **more)


def test_a_record_says_who_added_it_and_on_what_evidence() -> None:
    """HIRE-ANC-01."""
    found = verified(record(NARROW, ANN))
    assert (found.anchors, found.added_by, found.evidence, found.added) == (
        (NARROW,),
        (ANN.did,),
        "their published statutes",
        NOW,
    )
    both = verified(record(NARROW, ANN, BOB))
    assert both.added_by == tuple(sorted((ANN.did, BOB.did)))
    assert both.digest == found.digest, "a second signature makes it no other record"


def test_a_wide_reach_takes_two_people() -> None:
    """HIRE-ANC-01."""
    assert refused(record(WIDE, ANN)) == "approval_required"
    assert (
        refused(record(Anchor(issuer=EVE.did, types=("X",), capabilities=("c",), depth=2), ANN)) == "approval_required"
    )
    for half in ({"types": ("X",)}, {"capabilities": ("c",)}):
        assert refused(record(Anchor(issuer=EVE.did, depth=0, **half), ANN)) == "approval_required"
        deep = record(Anchor(issuer=EVE.did, **half), ANN)
        assert refused(deep, AddingRule(people=RULE.people, reach_of_one=4)) == "approval_required"
    assert verified(record(WIDE, ANN, BOB)).anchors == (WIDE,)
    assert refused(record(NARROW, ANN), AddingRule(people=RULE.people, reach_of_one=-1)) == "approval_required"


def test_nobody_counts_twice_and_no_stranger_counts() -> None:
    """HIRE-ANC-01."""
    assert refused(record(WIDE, ANN, ANN)) == "proof_invalid"
    assert refused(record(WIDE, ANN, EVE)) == "key_not_authorized"
    assert refused(record(NARROW, EVE)) == "key_not_authorized"
    assert refused(record(NARROW)) == "proof_missing"
    assert refused(record(NARROW, ANN), AddingRule(people=())) == "key_not_authorized"


@pytest.mark.parametrize(
    "change",
    [
        {"evidence": "a rumour"},
        {"added": LATER},
        {"anchor": {"issuer": EVE.did}},
        {"anchor": {"issuer": EVE.did, "types": ["EndorsementCredential"], "capabilities": ["sbom"]}},
        {"id": OTHER_ID},
    ],
)
def test_every_member_is_under_the_proof(change: dict[str, Any]) -> None:
    """HIRE-ANC-01."""
    assert refused(record(NARROW, ANN, BOB) | change) == "proof_invalid"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"type": "AnchorSet"}, "schema_violation"),
        ({"@context": "https://other.example"}, "schema_violation"),
        ({"version": "2.0"}, "schema_violation"),
        ({"note": "x"}, "unknown_term"),
        ({"evidence": ""}, "schema_violation"),
        ({"set": {}}, "schema_violation"),
        ({"anchor": {"issuer": EVE.did, "depth": 5}}, "schema_violation"),
        ({"evidence": "x" * 300_000}, "too_large"),
        ({"proof": [3]}, "schema_violation"),
        ({"proof": {"type": "DataIntegrityProof"}}, "schema_violation"),
    ],
)
def test_another_shape_is_no_record(change: dict[str, Any], code: str) -> None:
    assert refused(record(NARROW, ANN) | change) == code


def test_a_record_is_measured_to_the_byte() -> None:
    padded = record(NARROW, ANN) | {"note": ""}
    room = 256 * 1024 - len(canonicalize(padded))
    for more, code in ((0, "unknown_term"), (1, "too_large")):
        assert refused(padded | {"note": "x" * (room + more)}) == code


def test_a_record_of_nothing_is_no_record() -> None:
    """HIRE-ANC-01."""
    of_nothing = {name: value for name, value in record(NARROW).items() if name != "anchor"}
    assert refused(signed(of_nothing, ANN)) == "schema_violation"
    assert refused(signed(of_nothing | {"document": BODY.document.json}, ANN)) == "schema_violation"
    assert refused(record(NARROW, ANN, set=signed(published(), BODY))) == "schema_violation", "nor is one of two things"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"cryptosuite": "eddsa-rdfc-2022"}, "suite_not_allowed"),
        ({"created": "2030-01-01T00:00:00Z"}, "proof_from_future"),
    ],
)
def test_records_and_sets_are_signed_by_now_and_as_their_json(options: dict[str, str], code: str) -> None:
    one, whole = record(NARROW, ANN), signed(published(), BODY)
    assert refused(one | {"proof": one["proof"] | options}) == code
    with refuses(UndersignedError, code):
        verify_set(whole | {"proof": whole["proof"] | options}, documents=KNOWN, now=NOW)


def test_a_set_is_its_issuers_and_is_adopted_whole() -> None:
    """HIRE-ANC-03."""
    whole = signed(published(until=LATER), BODY)
    found = verify_set(whole, documents=KNOWN, now=NOW)
    assert (found.issuer, found.number, found.anchors) == (BODY.did, 1, (NARROW,))
    document = adoption(id=ID, signed_set=whole, document=BODY.document, evidence="we are members", added=NOW)
    adopted = verified(signed(document, ANN))
    assert adopted.set == found
    assert [anchor.until for anchor in adopted.anchors] == [LATER], "all of it ends with the set"
    longer, shorter = (replace(NARROW, until=until) for until in (shift(LATER, 60), NOW))
    mixed = verify_set(signed(published(anchors=(longer, shorter), until=LATER), BODY), documents=KNOWN, now=NOW)
    assert [anchor.until for anchor in mixed.lasting] == [LATER, NOW], "or before it"
    # Its reach is that of its widest anchor, and nothing in it can be exchanged afterwards.
    wide = signed(published(anchors=(NARROW, WIDE)), BODY)
    taken = adoption(id=ID, signed_set=wide, document=BODY.document, evidence="we are members", added=NOW)
    assert refused(signed(taken, ANN)) == "approval_required"
    assert refused(signed(document, ANN) | {"set": whole | {"number": 2}}) == "proof_invalid"


def test_a_set_of_somebody_else_or_past_its_end_is_refused() -> None:
    """HIRE-ANC-03."""
    with refuses(VerificationError, "key_not_authorized"):
        verify_set(signed(published(), EVE), documents=KNOWN, now=NOW)
    with pytest.raises(ProofError):
        verify_set(published(), documents=KNOWN, now=NOW)
    assert verify_set(signed(published(until=NOW), BODY), documents=KNOWN, now=NOW).until == NOW
    with refuses(CredentialError, "policy_denied"):
        verify_set(signed(published(until=NOW), BODY), documents=KNOWN, now=LATER)
    with refuses(CredentialError, "did_unresolvable"):
        verify_set(signed(published(), BODY), documents={}, now=NOW)
    with pytest.raises(FormatError):
        verify_set(signed(record(NARROW), BODY), documents=KNOWN, now=NOW)


def read(document: JsonObject) -> AnchorSet:
    return verify_set(signed(document, BODY), documents=KNOWN, now=NOW)


def test_only_a_higher_number_replaces_a_set() -> None:
    """HIRE-ANC-03."""
    old, new = read(published(1)), read(published(2, (WIDE,)))
    check_successor(old, new)
    check_successor(old, old)
    for one, other in ((new, old), (old, read(published(1, (WIDE,)))), (old, read(published(2) | {"id": ID}))):
        with refuses(CredentialError, "policy_denied"):
            check_successor(one, other)


def test_of_one_set_the_highest_number_counts() -> None:
    """HIRE-ANC-03."""
    one, two, other = read(published(1)), read(published(2, (WIDE,))), read(published(1) | {"id": ID})
    for order in ((one, two, other), (other, two, one), (two, one, one, other)):
        assert latest_sets(order) == {two.key: two, other.key: other}
    with refuses(CredentialError, "policy_denied"):
        latest_sets((one, two, read(published(2))))
    assert latest_sets((one, read(published(1, (WIDE,))), two)) == {two.key: two}, "both are replaced"


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda whole: {name: value for name, value in whole.items() if name != "proof"}, "proof_missing"),
        (lambda whole: whole | {"number": 99}, "proof_invalid"),
        (lambda whole: whole | {"anchors": [{"issuer": BODY.did}]}, "proof_invalid"),
        (lambda whole: signed(published(), EVE), "key_not_authorized"),
    ],
)
@pytest.mark.parametrize("people", [(ANN,), (ANN, BOB)], ids=["one", "two"])
def test_no_signature_of_ours_stands_for_that_of_the_sets_issuer(
    people: tuple[Party, ...], spoil: Callable[[JsonObject], JsonObject], code: str
) -> None:
    """HIRE-ANC-03, HIRE-ANC-06: also while a second person has to sign."""
    spoilt = spoil(signed(published(anchors=(WIDE,)), BODY))
    document = adoption(id=ID, signed_set=spoilt, document=BODY.document, evidence="we are members", added=NOW)
    assert refused(signed(document, *people)) == code


WEB = "did:web:body.example"


def web_document(*keys: Party, **member: Any) -> JsonObject:
    document = document_at(WEB, *keys)
    return document | {"verificationMethod": [one | member for one in document["verificationMethod"]]}


def web_record(pinned: JsonObject | None, *, added: str = NOW) -> JsonObject:
    """A set by the body under a DID whose document has to be fetched, adopted by Ann with this document of it."""
    whole = anchor_set(id=OTHER_ID, issuer=WEB, number=1, published=NOW, anchors=(NARROW,))
    whole = BODY.prove(whole, record_config("eddsa-jcs-2022", f"{WEB}#{BODY.name}", NOW))
    issuer = DidDocument(WEB, canonicalize(pinned if pinned is not None else web_document(BODY)))
    document = adoption(id=ID, signed_set=whole, document=issuer, evidence="we are members", added=added)
    if pinned is None:
        del document["document"]
    return signed(document, ANN)


def test_a_set_is_verified_by_the_document_that_was_signed_with_it() -> None:
    """HIRE-ANC-06: nothing is fetched, and what its issuer does to its keys later takes nothing away."""
    assert verified(web_record(web_document(BODY))).anchors == (NARROW,)
    expiring = web_record(web_document(BODY, expires=NOW))
    assert verify_record(expiring, RULE, documents=KNOWN, now=LATER).anchors == (NARROW,)
    assert refused(web_record(web_document(BODY, expires="2026-11-25T11:59:59Z"))) == "key_not_authorized"
    assert refused(web_record(web_document(EVE))) == "key_not_authorized"
    assert refused(web_record(None)) == "did_unresolvable"
    other = web_record(web_document(BODY))
    assert refused(other | {"document": web_document(EVE)}) == "proof_invalid", "it is under the proofs"


def test_so_many_people_sign_a_record_and_no_more() -> None:
    """Counted before a signature is looked at."""
    proofs = [{"verificationMethod": f"did:web:p{number}.example#key-1"} for number in range(9)]
    assert len(signers_of({"proof": proofs[:8]})) == 8
    with pytest.raises(FormatError, match="at most 8 proofs; came 9") as caught:
        signers_of({"proof": proofs})
    assert (caught.value.code, caught.value.path) == ("schema_violation", "/proof")


def test_a_document_that_follows_from_its_did_is_in_no_record() -> None:
    """HIRE-ANC-06."""
    whole = signed(published(), BODY)
    document = adoption(id=ID, signed_set=whole, document=BODY.document, evidence="we are members", added=NOW)
    assert "document" not in document
    assert refused(signed(document | {"document": BODY.document.json}, ANN)) == "schema_violation"
    assert refused(record(NARROW, ANN, document=BODY.document.json)) == "schema_violation"


def test_what_changes_is_shown() -> None:
    changes = anchor_changes((NARROW,), (NARROW, WIDE))
    assert (changes.added, changes.removed) == ((WIDE,), ())
    turned = anchor_changes((NARROW,), (Anchor(issuer=EVE.did, types=("X",)),))
    assert (len(turned.added), turned.removed) == (1, (NARROW,))
    assert all((changes, turned, anchor_changes((NARROW,), ())))
    assert not anchor_changes((NARROW, WIDE), (WIDE, NARROW))


def test_the_version_of_anchors_is_the_same_however_they_came() -> None:
    """HIRE-ANC-04."""
    one = Anchors().with_anchors([NARROW, WIDE, NARROW])
    assert one.digest == Anchors().with_anchors([WIDE, NARROW]).digest
    assert one.digest != Anchors().with_anchors([WIDE]).digest
    assert Anchors.of(EVE.did).with_anchors([]).digest == Anchors.of(EVE.did).digest
