"""Vectors of evidence packs that show what is asked of records: of decisions and proofs, of a review's statement, and
of an engagement that came to no contract.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from example_messages import conversation
from example_parties import HIRER, PROVIDER, Party
from vector_deliveries import stated
from vector_journals import ORDER
from vector_packs import NOW, looked_up, pack_vector, proved_by_log, provider_log
from vector_parts import PROVIDERS, Line, Vector, kept, resigned, signers

from undersigned.encoding import canonicalize, digest_bytes, digest_hex
from undersigned.evidence import write_pack

__all__ = ["record_vectors"]


def record_vectors() -> Iterator[Vector]:
    """All of them."""
    said = [conversation()[name] for name in ORDER]
    lines = kept(said)
    unsealed = lines[: _place(lines, "Seal")]
    says = "an engagement that came to no contract"
    yield _vector("no-contract", says, write_pack(unsealed, **PROVIDERS), {"state": "accepted-by-hirer"})
    review = _place(lines, "Review")
    content = json.loads(lines[review].raw)
    statement = json.loads(base64.b64decode(content["statement"]["payload"]))
    statement["subject"][0]["digest"]["sha256"] = digest_hex(digest_bytes(b"another bill"))
    other = canonicalize(resigned({**content, "statement": stated(canonicalize(statement), HIRER)}))
    pack = write_pack([*lines[:review], lines[review]._replace(raw=other)], **PROVIDERS)
    says = "a Review whose statement is of another artifact"
    yield _vector("review-of-another-artifact", says, pack, {"code": "digest_mismatch"})
    log = proved_by_log(said, [(one.message.type, one.raw) for one in said])
    proofs = json.loads(log["proofs"])
    log["proofs"] = canonicalize({**proofs, "proofs": proofs["proofs"][::-1]})
    pack = write_pack(lines, **PROVIDERS, **log)
    yield _vector("proofs-unordered", "proofs that do not stand by place", pack, {"code": "log_proof_invalid"})
    consulted = looked_up(said, ())
    decision = json.loads(consulted["decisions"][0])
    whole = {"contract": json.loads(lines[_place(lines, "Seal")].raw)["document"], "state": "closed"}
    for name, says, changed, code in (
        ("decision-about-another", "a decision about the packer", {"peer": PROVIDER.did}, "evidence_invalid"),
        ("decision-about-nobody", "one about a number", {"peer": 1}, "evidence_invalid"),
        (
            "decision-from-nothing",
            "one from a number",
            {"inputs": {**decision["inputs"], "presentation": 1}},
            "evidence_invalid",
        ),
        ("decision-of-numbers", "one with a number for its time and its outcome", {"at": 1, "outcome": 1}, ""),
    ):
        told = {**consulted, "decisions": [canonicalize({**decision, **changed})]}
        pack = write_pack(lines, **PROVIDERS, **provider_log(), **told)
        yield _vector(name, says, pack, {"code": code} if code else whole, Party("issuer"))


def _place(lines: list[Line], type: str) -> int:
    """Of the first message of this type."""
    return next(at for at, one in enumerate(lines) if json.loads(one.raw)["type"] == type)


def _vector(name: str, says: str, pack: bytes, expected: dict[str, Any], *others: Party) -> Vector:
    return pack_vector(name, says, pack, expected, NOW, signers(HIRER, PROVIDER, *others))
