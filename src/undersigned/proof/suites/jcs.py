"""The suites over canonical JSON (RFC 8785): `eddsa-jcs-2022` and `ecdsa-jcs-2019`.

What is signed is the JSON itself, so every member is covered, also one that no context defines. The proof repeats the
document's `@context`, and a proof whose `@context` is another one is refused.

Source: W3C Data Integrity EdDSA Cryptosuites v1.0, section 3.3; ECDSA Cryptosuites v1.0, section 3.3
"""

from __future__ import annotations

from hashlib import sha256, sha384
from typing import Final, NamedTuple

from undersigned.encoding import canonicalize
from undersigned.jsonld import CONTEXTS, Contexts
from undersigned.keys import KeyKind
from undersigned.proof.cryptosuite import Document

__all__ = ["ECDSA_JCS_2019", "EDDSA_JCS_2022"]


class JcsSuite(NamedTuple):
    """A suite that signs canonical JSON."""

    name: str
    kinds: tuple[KeyKind, ...]
    carries_context: bool = True
    signs_json: bool = True

    def hash(
        self,
        document: Document,
        config: Document,
        kind: KeyKind,
        *,
        jcs: bytes | None = None,
        jcs_sha256: bytes | None = None,
        contexts: Contexts = CONTEXTS,
    ) -> bytes:
        """See `Cryptosuite.hash`."""
        digest = sha384 if kind == "P-384" else sha256
        hashed = jcs_sha256 if digest is sha256 else None
        if hashed is None:
            hashed = digest(canonicalize(document) if jcs is None else jcs).digest()
        return digest(canonicalize(config)).digest() + hashed


EDDSA_JCS_2022: Final = JcsSuite("eddsa-jcs-2022", ("Ed25519",))
ECDSA_JCS_2019: Final = JcsSuite("ecdsa-jcs-2019", ("P-256", "P-384"))
