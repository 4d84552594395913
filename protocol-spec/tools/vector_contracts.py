"""Vectors of contracts: a sealed one that verifies alone, and what is not one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from example_messages import conversation
from example_parties import HIRER, PROVIDER, SUITE, Party, proof_on
from vector_parts import Vector, changed, content_of, intermediates, resigned, signers

from undersigned.encoding import canonicalize, digest_bytes, digest_of, shift
from undersigned.transparency import contract_leaf, leaf_digest

__all__ = ["contract_vectors"]

AT = "2026-11-24T09:07:00Z"


def contract_vectors() -> Iterator[Vector]:
    """All of them."""
    for suite in (SUITE, "eddsa-rdfc-2022"):
        yield from _of(suite)


def parts(suite: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Document with both proofs, acceptance and seal of the example hire."""
    said = conversation(suite)
    offered = json.loads(said["offer-counter"].raw)["document"]
    acceptance = json.loads(said["acceptance"].raw)
    document = {**offered, "proof": [offered["proof"], acceptance["contractProof"]]}
    return document, acceptance, json.loads(said["seal"].raw)


def _of(suite: str) -> Iterator[Vector]:
    short = suite.split("-")[1]
    document, acceptance, seal = parts(suite)
    first, second = document["proof"]
    content = content_of(document)

    yield _sealed(f"{short}-sealed", f"a sealed contract under {suite}", document, acceptance, seal)
    bound = content_of(changed(document, terms__deliverables__0__maxBytes=2**53 - 1))
    offered = proof_on(bound, PROVIDER, AT, "assertionMethod", suite, id=first["id"])
    both = proof_on(offered, HIRER, AT, "assertionMethod", suite, previous_proof=first["id"])
    said = resigned(changed(acceptance, document=digest_of(bound), contractProof=both["proof"][1]))
    of = digest_of(content_of(said))
    placed = changed(seal, document=digest_of(bound), ledger__leaf=leaf_digest(contract_leaf(both)))
    sized = both, said, resigned(changed(placed, acceptance=of, seen=of))
    yield _sealed(f"{short}-sized", "a sealed contract that says how large what is delivered may be", *sized)

    def again(previous: str | list[str], first: str, **options: str) -> dict[str, Any]:
        """The same contract by a first proof of this id, and a second one that builds on `previous`."""
        offered = proof_on(content, PROVIDER, AT, "assertionMethod", suite, id=first)
        both = proof_on(offered, HIRER, AT, "assertionMethod", suite, previous_proof=previous, **options)
        said = resigned(changed(acceptance, contractProof=both["proof"][1]))
        of = digest_of(content_of(said))
        placed = changed(seal, ledger__leaf=leaf_digest(contract_leaf(both)), acceptance=of, seen=of)
        return {"document": both, "acceptance": said, "seal": resigned(placed)}

    own = first["id"]
    says = "a second proof that names the first in a list"
    yield _sealed(f"{short}-proof-names-a-list", says, **again([own], own))

    def refused(name: str, says: str, code: str, **other: dict[str, Any]) -> Vector:
        whole = {"document": document, "acceptance": acceptance, "seal": seal, **other}
        return Vector(f"contracts/{short}-{name}", says, canonicalize(whole), _case(), {"code": code})

    cheaper = changed(document, terms__price__amount="1")
    yield refused("changed-price", "another price under the same proofs", "proof_invalid", document=cheaper)
    wider = changed(document, terms__scope__grants__0__target="https://acme.example/*")
    yield refused("changed-scope", "a wider grant under the same proofs", "proof_invalid", document=wider)
    silent = changed(document, terms__onSilence="rejected")
    yield refused("changed-default", "another meaning of silence", "proof_invalid", document=silent)
    one = {**document, "proof": first}
    yield refused("one-proof", "only one party signed", "proof_invalid", document=one)
    swapped = {**document, "proof": [second, first]}
    yield refused("proofs-swapped", "the proofs in the other order", "proof_invalid", document=swapped)
    twice = {**document, "proof": [first, first]}
    yield refused("one-party-twice", "one party's proof twice", "proof_invalid", document=twice)
    alone = proof_on({**content, "proof": first}, HIRER, AT, "assertionMethod", suite)
    accepted = resigned(changed(acceptance, contractProof=alone["proof"][1]))
    now = digest_of(content_of(accepted))
    unnamed = {"document": alone, "acceptance": accepted, "seal": resigned(changed(seal, acceptance=now, seen=now))}
    yield refused("proof-names-none", "a second proof that does not name the first", "proof_invalid", **unnamed)
    says = "a first proof whose name is no urn:uuid:"
    yield refused("proof-of-another-name", says, "proof_invalid", **again("urn:example:1", "urn:example:1"))
    if suite == SUITE:  # RDF has no form for one name twice
        says = "a second proof that names the first twice"
        yield refused("proof-names-it-twice", says, "proof_invalid", **again([own, own], own))
        says = "a second proof with the id of the first"
        yield refused("proof-of-the-same-id", says, "proof_invalid", **again(own, own, id=own))
    stranger = proof_on(document, Party("stranger"), AT, "assertionMethod", suite, previous_proof=first["id"])
    yield refused("third-proof", "a stranger's proof besides", "proof_invalid", document=stranger)
    ending = shift(AT, 86_400)
    past = proof_on(content, PROVIDER, AT, "assertionMethod", suite, id=first["id"], expires=ending)
    both = proof_on(past, HIRER, AT, "assertionMethod", suite, previous_proof=first["id"])
    yield refused("first-proof-expires", "a first proof that expires", "unknown_term", document=both)
    both = proof_on(
        {**content, "proof": first}, HIRER, AT, "assertionMethod", suite, previous_proof=first["id"], expires=ending
    )
    yield refused("second-proof-expires", "a second proof that expires", "unknown_term", document=both)
    methods = changed(document, methods__hirer=[f"{HIRER.did}#another"])
    offered = proof_on(content_of(methods), PROVIDER, AT, "assertionMethod", suite, id=first["id"])
    both = proof_on(offered, HIRER, AT, "assertionMethod", suite, previous_proof=first["id"])
    yield refused(
        "method-not-named", "a proof by a method that the document does not name", "proof_invalid", document=both
    )
    renamed = changed(document, terms__id="urn:hire:sketch#terms")
    yield refused("terms-of-another-name", "terms named after another document", "schema_violation", document=renamed)
    late = changed(document, terms__deadlines__finish=document["terms"]["deadlines"]["until"].replace("2026", "2027"))
    yield refused("terms-contradict", "due after the authority ends", "schema_violation", document=late)
    if suite == SUITE:
        for name, says, members in _unanswerable(document):
            yield refused(name, says, "schema_violation", document=changed(document, **members))
    graph = {**document, "@graph": []}
    yield refused("keyword-more", "a keyword that a contract has not", "schema_violation", document=graph)
    inside = changed(document, **{"terms__@context": document["@context"]})
    yield refused("context-inside", "a context inside the terms", "context_not_allowed", document=inside)
    nothing = changed(document, terms__deliverables__0__maxBytes=0)
    yield refused("sized-of-nothing", "a deliverable of no bytes at most", "schema_violation", document=nothing)
    for role, party in (("hirer", HIRER), ("provider", PROVIDER)):
        judge = changed(document, terms__evidence__verifier=party.did)
        yield refused(
            f"verified-by-the-{role}", f"the {role} named as the verifier", "schema_violation", document=judge
        )
    wrong = resigned(changed(seal, acceptance=digest_bytes(b"another")))
    yield refused("seal-of-another-acceptance", "a Seal of another acceptance", "terms_mismatch", seal=wrong)
    between = digest_bytes(b"another move")
    away = resigned(changed(acceptance, seen=between))
    now = digest_of(content_of(away))
    follows = {"acceptance": away, "seal": resigned(changed(seal, acceptance=now, seen=now))}
    yield refused(
        "acceptance-after-another-move", "an Acceptance that saw more than the offer", "terms_mismatch", **follows
    )
    for name, members in (("seen", {"seen": between}), ("previous", {"previous": between}), ("place", {"sequence": 9})):
        moved = resigned(changed(seal, **members))
        yield refused(f"seal-of-another-{name}", "a Seal that does not follow at once", "terms_mismatch", seal=moved)
    forged = resigned(seal, HIRER)
    yield refused("seal-by-the-acceptor", "a Seal signed by the acceptor", "key_not_authorized", seal=forged)
    other = resigned(changed(acceptance, document=digest_bytes(b"other terms")))
    yield refused("acceptance-of-other-terms", "an Acceptance of other terms", "terms_mismatch", acceptance=other)
    others = changed(acceptance, contractProof__created="2026-11-24T08:00:00Z")
    says = "an Acceptance whose own proof does not hold, with another proof than the document has"
    yield refused("acceptance-of-another-proof", says, "terms_mismatch", acceptance=others)
    noted = resigned({**acceptance, "note": "More."})
    now = digest_of(content_of(noted))
    follows = {"acceptance": noted, "seal": resigned(changed(seal, acceptance=now, seen=now))}
    says = "an Acceptance with a member that its schema lacks"
    yield refused("acceptance-with-a-member-more", says, "unknown_term", **follows)
    noted = resigned({**seal, "note": "More."})
    yield refused("seal-with-a-member-more", "a Seal with a member that its schema lacks", "unknown_term", seal=noted)
    none = changed(seal, proof=...)
    yield refused("seal-without-proof", "a Seal that nobody signed", "proof_missing", seal=none)
    for name, move in (("acceptance", acceptance), ("seal", seal)):
        says = f"{move['type']} with nothing in its proof"
        yield refused(f"{name}-proof-of-nothing", says, "proof_missing", **{name: changed(move, proof={})})


def _unanswerable(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Terms that could be sealed and not be performed."""
    own, terms = document["terms"]["deliverables"][0], document["terms"]
    yield "no-time-between-signs-of-life", "a heartbeat of no time", {"terms__deadlines__heartbeat": "PT0S"}
    yield "predicate-twice", "a statement asked for twice", {"terms__evidence__predicates": ["urn:a", "urn:a"]}
    for name, says, fee in (
        ("fee-negative", "a fee below nothing", {"amount": "-1", "currency": terms["price"]["currency"]}),
        ("fee-in-another-currency", "a fee in another currency than the price", {"amount": "1", "currency": "XTS"}),
    ):
        yield name, says, {"terms__termination": {"convenience": "fee", "fee": fee, "cure": "PT1H"}}
    asked = [
        {**own, "name": f"part-{n}", "criteria": [{"id": f"met-{n}-{m}", "text": "It is."} for m in range(40)]}
        for n in range(2)
    ]
    yield "criteria-too-many", "80 criteria, of which a Review answers 64", {"terms__deliverables": asked}
    parts = [{**own, "name": f"part-{n:02}", "criteria": []} for n in range(64)]
    bill = {**terms["evidence"], "sbom": "CycloneDX 1.6"}
    says = "64 deliverables and a bill, of which a Delivery holds 64"
    yield "no-room-for-the-bill", says, {"terms__deliverables": parts, "terms__evidence": bill}
    rule = {"action": "artifact:read", "target": "https://acme.example/*"}
    grants = [
        {
            "id": f"{document['id']}#read-{n:02}",
            **rule,
            "constraint": [_limit(f"{document['id']}#read-{n:02}", f"unit-{m}") for m in range(3)],
        }
        for n in range(22)
    ]
    yield "limits-too-many", "66 limits, of which a Delivery states 64", {"terms__scope__grants": grants}


def _limit(rule: str, unit: str) -> dict[str, Any]:
    operand = {"leftOperand": "amount", "operator": "lteq", "rightOperand": ["1"], "unit": unit}
    return {"id": f"{rule}.limit.{unit}", **operand}


def _sealed(name: str, says: str, document: dict[str, Any], acceptance: dict[str, Any], seal: dict[str, Any]) -> Vector:
    first, second = document["proof"]
    content = content_of(document)
    return Vector(
        f"contracts/{name}",
        says,
        _input(document, acceptance, seal),
        _case(),
        {
            "digest": digest_of(content),
            "offerer": "provider",
            "acceptance": digest_of(content_of(acceptance)),
            "seal": digest_of(content_of(seal)),
            "leaf": leaf_digest(contract_leaf(document)),
            "offererProof": intermediates(content, first),
            # A proof of a chain covers the proofs it names: they stay in the document.
            "acceptorProof": intermediates({**content, "proof": [first]}, second),
        },
    )


def _input(document: dict[str, Any], acceptance: dict[str, Any], seal: dict[str, Any]) -> bytes:
    return canonicalize({"document": document, "acceptance": acceptance, "seal": seal})


def _case() -> dict[str, Any]:
    return {"kind": "sealed", "keys": signers(HIRER, PROVIDER)}
