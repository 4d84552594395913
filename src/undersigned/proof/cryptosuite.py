"""A cryptosuite: the named recipe that turns a document and its proof's options into the bytes to be signed.

Every suite hashes the canonical form of the options and that of the document, and signs the one hash after the
other. Suites differ in the canonical form (`suites.jcs`, `suites.rdfc`) and in the kind of key; the hash is SHA-256,
or SHA-384 with P-384. No suite holds a private key: the shell signs.

Source: protocol-spec/04-envelope-and-digests.md, section 4.5
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from undersigned.jsonld import CONTEXTS, Contexts
from undersigned.keys import KeyKind

__all__ = ["SIGNATURE_BYTES", "Cryptosuite", "Document"]

Document: TypeAlias = Mapping[str, Any]
"""A JSON object as decoded; never changed here."""

SIGNATURE_BYTES: Final[Mapping[KeyKind, int]] = MappingProxyType({"Ed25519": 64, "P-256": 64, "P-384": 96})
"""Length of a signature by kind of key: R and S, or r and s, each of full length."""


class Cryptosuite(Protocol):
    """What a suite offers; `CRYPTOSUITES` lists those there are."""

    @property
    def name(self) -> str:
        """As a proof writes it."""
        ...

    @property
    def kinds(self) -> tuple[KeyKind, ...]:
        """Kinds of key it signs with; any other is refused."""
        ...

    @property
    def carries_context(self) -> bool:
        """Whether its proofs repeat the document's `@context`, as the JCS suites do."""
        ...

    @property
    def signs_json(self) -> bool:
        """Whether `jcs` is all that it needs of a document."""
        ...

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
        """The bytes that the key signs: hash of the options, then hash of the document.

        `document` has no proof of its own (in a chain: the proofs it builds on); `config` is the proof without
        `proofValue`. `jcs` is the document's canonical JSON if the caller has it already, and `jcs_sha256` the SHA-256
        of that; a suite that has no use for them ignores them. `contexts` serves the RDF suites.

        Raises:
            FormatError: The document has no canonical form in this suite: `unknown_term`, `context_not_allowed`,
                `canon_limit`, `schema_violation`, `number_out_of_range`.
        """
        ...
