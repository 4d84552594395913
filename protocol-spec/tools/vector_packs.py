"""Vectors of evidence packs: one that verifies without asking anybody, and some that were tampered with."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final, NamedTuple

from example_messages import ENGAGEMENT, HIRER, PROVIDER, conversation
from vector_journals import ORDER
from vector_parts import Vector, signers

from undersigned.encoding import base64url_decode, canonicalize
from undersigned.evidence import TAMPERINGS, tamper, write_pack
from undersigned.messages import Closing, Receipt
from undersigned.transparency import InclusionProof

__all__ = ["pack_vectors"]

NOW: Final = "2027-11-24T09:00:00Z"
KINDS: Final = {
    "byte": "evidence_invalid",
    "missing": "evidence_invalid",
    "key": "evidence_invalid",
    "price": "proof_invalid",
    "transcript": "ledger_diverged",
    "unsealed": "evidence_invalid",
    "statement": "evidence_invalid",
    "inclusion": "log_proof_invalid",
    "log": "log_proof_invalid",
}
"""Kind of `undersigned tamper` -> what the pack is refused with."""


class _Line(NamedTuple):
    kind: str
    at: str
    raw: bytes


def pack_vectors() -> Iterator[Vector]:
    """All of them."""
    said = [conversation()[name] for name in ORDER]
    lines = [
        _Line("sent" if one.message.role == "provider" else "received", _created(one.message.proof), one.raw)
        for one in said
    ]
    closing, receipt = said[-1].message, conversation()["receipt-inclusion"].message
    assert isinstance(closing, Closing)
    assert isinstance(receipt, Receipt)
    assert receipt.inclusion is not None
    inclusion = receipt.inclusion
    good = write_pack(
        lines,
        engagement=ENGAGEMENT,
        role="provider",
        own=PROVIDER.did,
        peer=HIRER.did,
        checkpoint=base64url_decode(closing.checkpoint[1:]).decode(),
        inclusion=InclusionProof(inclusion.leaf, inclusion.index, inclusion.size, inclusion.path),
        artifacts=[b"a bill"],
    )
    contract = closing.contract
    yield _vector("good", "a whole hire, as its provider keeps it", good, {"contract": contract, "state": "closed"})
    for kind, code in KINDS.items():
        yield _vector(kind, TAMPERINGS[kind].says, tamper(good, kind), {"code": code})


def _vector(name: str, says: str, pack: bytes, expected: dict[str, str]) -> Vector:
    given = canonicalize({"pack": base64.b64encode(pack).decode()})
    return Vector(
        f"packs/{name}", says, given, {"kind": "pack", "now": NOW, "keys": signers(HIRER, PROVIDER)}, dict(expected)
    )


def _created(proof: object) -> str:
    return str(getattr(proof, "created", ""))
