"""Vectors of deliveries: statements about artifacts that hold, and what is refused before anything is given out."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from example_messages import HIRER, PROVIDER, Party, conversation
from vector_parts import Vector, changed, signers

from undersigned.attestation import PAYLOAD_TYPE, envelope, pae
from undersigned.encoding import canonicalize, digest_bytes

__all__ = ["delivery_vectors"]

Made = dict[str, Any]
WORK: Final = "https://w3id.org/hire/attestation/work/v1"


def stated(payload: bytes, by: Party = PROVIDER, *, keyid: str = "", type: str = PAYLOAD_TYPE) -> Made:
    """The envelope of a payload."""
    return envelope(payload, [(keyid or by.method, by.sign(pae(type, payload)))], type)


def delivery_vectors() -> Iterator[Vector]:
    """All of them."""
    delivery = json.loads(conversation()["delivery"].raw)
    (good,) = delivery["statements"]
    payload = base64.b64decode(good["payload"])
    said = json.loads(payload)

    def vector(name: str, says: str, of: str | None, *statements: Made, **case: Any) -> Vector:
        given = {"artifacts": delivery["artifacts"], "statements": list(statements)}
        whole = {
            "kind": "delivery",
            "provider": PROVIDER.did,
            "methods": [PROVIDER.method],
            "contract": delivery["contract"],
            "predicates": [WORK],
            "task": "sbom",
            "inputs": [one["digest"] for one in said["predicate"]["inputs"]],
            "files": {"sbom.json": "a bill"},
            "keys": signers(PROVIDER),
            **case,
        }
        expected: Made = {"code": of} if of is not None else {"types": [WORK for _ in statements]}
        return Vector(f"deliveries/{name}", says, canonicalize(given), whole, expected)

    def other(**members: Any) -> Made:
        return stated(canonicalize(changed(said, **members)))

    yield vector("good", "one artifact, and what was done for it", None, good)
    yield vector(
        "written-anew", "the same statement in other white space", None, stated(json.dumps(said, indent=1).encode())
    )
    yield vector(
        "without-keyid",
        "who signed is found without a hint",
        None,
        {**good, "signatures": [{"sig": good["signatures"][0]["sig"]}]},
    )
    yield vector("none", "the statement that the terms demand is not there", "digest_mismatch")
    yield vector(
        "signed-by-the-hirer",
        "the hirer's own statement",
        "attester_not_trusted",
        stated(payload, HIRER),
    )
    posing = stated(payload, Party("stranger"), keyid=PROVIDER.method)
    yield vector("signed-by-a-stranger", "a stranger's signature under the provider's method", "proof_invalid", posing)
    yield vector("unsigned", "no signature", "proof_missing", {**good, "signatures": []})
    altered = {**good, "payload": base64.b64encode(canonicalize(changed(said, predicate__task="other"))).decode()}
    yield vector("changed", "another payload under the signature", "proof_invalid", altered)
    typed = stated(payload, type="application/json")
    yield vector("payload-type", "signed as something else", "proof_invalid", typed)
    twice = stated(payload.replace(b'"predicate":', b'"predicate":{},"predicate":', 1))
    yield vector("name-twice", "a name twice in the signed bytes", "bad_json", twice)
    yield vector("unknown-member", "a member that the predicate has not", "unknown_term", other(predicate__also="x"))
    yield vector(
        "unknown-kind",
        "a kind of claim that is not known",
        "attester_not_trusted",
        other(predicateType="https://example.com/v1"),
    )
    yield vector(
        "of-another-provider", "it claims to be another's", "attester_not_trusted", other(predicate__provider=HIRER.did)
    )
    alien = other(predicate__contract=digest_bytes(b"another contract"))
    yield vector("of-another-contract", "the work of another contract", "attestation_binding", alien)
    yield vector("of-another-task", "the work of another task", "attestation_binding", other(predicate__task="other"))
    more = [{"name": "b.whl", "digest": digest_bytes(b"another input")}]
    yield vector("of-another-input", "an input that nobody gave", "attestation_binding", other(predicate__inputs=more))
    verdict = json.loads(conversation()["review"].raw)["statement"]
    judged = json.loads(base64.b64decode(verdict["payload"]))
    judged["predicate"]["verifier"]["id"] = PROVIDER.did
    yield vector(
        "own-acceptance",
        "the provider accepts its own work",
        "attester_not_trusted",
        good,
        stated(canonicalize(judged)),
    )
    yield vector(
        "of-another-artifact", "about what was not delivered", "digest_mismatch", other(subject__0__name="other.json")
    )
    wrong = digest_sha256(said) | {"sha256": "00" * 32}
    yield vector("another-digest", "about other bytes", "digest_mismatch", other(subject__0__digest=wrong))
    weak = {"md5": "00" * 16}
    yield vector("weak-digest", "a digest that does not count", "digest_mismatch", other(subject__0__digest=weak))
    upper = {"sha256": digest_sha256(said)["sha256"].upper()}
    yield vector(
        "digest-in-capitals", "a digest in another spelling", "digest_mismatch", other(subject__0__digest=upper)
    )
    yield vector(
        "subject-twice", "one artifact twice", "digest_mismatch", other(subject=[*said["subject"], *said["subject"]])
    )


def digest_sha256(said: Mapping[str, Any]) -> dict[str, str]:
    """The digests of the one subject."""
    return dict(said["subject"][0]["digest"])
