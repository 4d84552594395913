"""The suites over RDF (RDFC-1.0): `eddsa-rdfc-2022` and `ecdsa-rdfc-2019`.

What is signed is the graph that the document says, so its meaning survives another spelling of the JSON. Documents
of ours take the compiled path, in which two JSON texts never give the same quads; all others take the general one,
in which a member that would fall outside the graph is an error.

Source: W3C Data Integrity EdDSA Cryptosuites v1.0, section 3.2; ECDSA Cryptosuites v1.0, section 3.2
"""

from __future__ import annotations

from hashlib import sha256, sha384
from typing import Final, NamedTuple

from undersigned.errors import FormatError
from undersigned.jsonld import CONTEXTS, HIRE_CONTEXT, Contexts, compiled_quads, document_quads
from undersigned.keys import KeyKind
from undersigned.proof.cryptosuite import Document

__all__ = ["ECDSA_RDFC_2019", "EDDSA_RDFC_2022"]


class RdfcSuite(NamedTuple):
    """A suite that signs canonical N-Quads."""

    name: str
    kinds: tuple[KeyKind, ...]
    carries_context: bool = False
    signs_json: bool = False

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
        context = document.get("@context")
        # The options are read in the document's own contexts, whatever a proof says of itself.
        options = {**config, "@context": context}
        if context == HIRE_CONTEXT:
            return digest(compiled_quads(options)).digest() + digest(compiled_quads(document)).digest()
        if context is None:
            raise FormatError("context_not_allowed", "expected a document with @context; came one without")
        algorithm = "sha384" if kind == "P-384" else "sha256"
        of_options = document_quads(options, contexts=contexts, algorithm=algorithm)
        of_document = document_quads(document, contexts=contexts, algorithm=algorithm)
        return digest(of_options).digest() + digest(of_document).digest()


EDDSA_RDFC_2022: Final = RdfcSuite("eddsa-rdfc-2022", ("Ed25519",))
ECDSA_RDFC_2019: Final = RdfcSuite("ecdsa-rdfc-2019", ("P-256", "P-384"))
