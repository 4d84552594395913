"""Vectors of audits: a log that is what its owner signed, and each way in which one is not."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any, Final

from example_parties import PROVIDER, seed, signed_checkpoint
from vector_parts import Vector, signers

from undersigned.encoding import canonicalize
from undersigned.runtime import read_multibase_note
from undersigned.transparency import Frontier, leaf_digest, leaf_hash, read_note

__all__ = ["audit_vectors"]

NOW: Final = "2026-11-24T09:00:00Z"
LEAVES: Final = tuple(b"hire/v1 contract\n" + seed(f"leaf {place} of a log") for place in range(5))
OTHER: Final = b"hire/v1 contract\n" + seed("another leaf of a log")


def head(leaves: Sequence[bytes]) -> str:
    """The owner's checkpoint of these leaves."""
    return signed_checkpoint(PROVIDER, len(leaves), roots(leaves)[-1])


def roots(leaves: Sequence[bytes]) -> list[bytes]:
    """The root of none of them, of the first, of the first two, and so on."""
    tree = Frontier()
    found = [tree.root]
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
        found.append(tree.root)
    return found


def worked(leaves: Sequence[bytes]) -> dict[str, Any]:
    """What agrees, and every value on the way to the signature of its checkpoint."""
    note = read_note(read_multibase_note(head(leaves)))
    ((_, key, signature),) = note.signatures
    return {
        "size": len(leaves),
        "leaves": [leaf_hash(leaf).hex() for leaf in leaves],
        "roots": [root.hex() for root in roots(leaves)],
        "signed": note.text.decode(),
        "keyHash": key.hex(),
        "signature": signature.hex(),
    }


def audit_vectors() -> Iterator[Vector]:
    """All of them."""

    def vector(name: str, says: str, of: str | None, leaves: Sequence[bytes], **given: Any) -> Vector:
        shown = {
            "checkpoint": given.get("checkpoint") or head(leaves),
            "leaves": [base64.b64encode(leaf).decode() for leaf in leaves],
        }
        case = {
            "kind": "audit",
            "now": NOW,
            "log": PROVIDER.did,
            "heads": [head(one) for one in given.get("heads", (LEAVES[:3], LEAVES))],
            "promised": given.get("promised", [{"index": 4, "leaf": leaf_digest(LEAVES[4])}]),
            "keys": signers(PROVIDER),
        }
        return Vector(f"audits/{name}", says, canonicalize(shown), case, {"code": of} if of else worked(leaves))

    wrong = "ledger_diverged"
    rewritten = (LEAVES[0], OTHER, *LEAVES[2:])
    yield vector("good", "five leaves, two checkpoints of them, and a promise that was kept", None, LEAVES)
    yield vector("grown", "a leaf more than in any message", None, (*LEAVES, OTHER))
    yield vector("empty", "nothing, of which nothing was said", None, (), heads=(), promised=[])
    yield vector(
        "leaf-changed", "another leaf than its checkpoint has", wrong, rewritten, checkpoint=head(LEAVES), heads=()
    )
    yield vector(
        "leaf-missing",
        "a leaf less than its checkpoint has",
        wrong,
        LEAVES[:4],
        checkpoint=head(LEAVES),
        heads=(),
        promised=[],
    )
    yield vector("leaf-more", "a leaf more than its checkpoint has", wrong, (*LEAVES, OTHER), checkpoint=head(LEAVES))
    yield vector("rewritten", "another leaf and a checkpoint of it; a message has another root", wrong, rewritten)
    yield vector(
        "rewritten-early", "only the smaller checkpoint of a message shows it", wrong, rewritten, heads=(LEAVES[:3],)
    )
    yield vector("went-back", "fewer leaves than a message has", wrong, LEAVES[:4], promised=[])
    moved = (*LEAVES[:3], LEAVES[4], LEAVES[3])
    yield vector(
        "promised-elsewhere", "a leaf stands elsewhere than its Seal promised", wrong, moved, heads=(LEAVES[:3],)
    )
    beyond = [{"index": 5, "leaf": leaf_digest(LEAVES[4])}]
    yield vector("promised-beyond", "nothing stands where a Seal promised", wrong, LEAVES, promised=beyond)
    twice = [{"index": 3, "leaf": leaf_digest(leaf)} for leaf in (OTHER, LEAVES[3])]
    yield vector(
        "promised-twice", "two Seals promised one place, and one leaf stands there", wrong, LEAVES, promised=twice
    )
