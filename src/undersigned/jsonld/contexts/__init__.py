"""The JSON-LD contexts that Undersigned knows. Nothing else is a context here, and nothing is ever fetched.

Each is pinned by the SHA-256 of its bytes: the hire context by those of its file, which is published as it lies here,
the others by those of the canonical form (RFC 8785) of their table. All are checked when this package is imported, so
a modified installation does not start. A registry is a plain mapping that functions take as an argument, so an
application, or a test, adds contexts of its own without changing ours.

Source: protocol-spec/04-envelope-and-digests.md, section 4.7
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from undersigned.encoding import canonicalize
from undersigned.errors import FormatError
from undersigned.jsonld.contexts.published import TABLES

__all__ = ["CONTEXTS", "HIRE_CONTEXT", "PINNED", "Contexts", "checked", "code_of_unknown", "context_bytes"]

Contexts: TypeAlias = Mapping[str, Mapping[str, Any]]
"""From the IRI of a context to its document, `{"@context": ...}`."""

HIRE_CONTEXT: Final = "https://w3id.org/hire/v1"
"""The one `@context` of our messages and documents."""


def code_of_unknown(name: str) -> str:
    """With which code a member of this name is refused that the schema of our messages and documents does not have: a
    context of its own would give the names in it another meaning, and another keyword what it stands in another form.
    """
    if name == "@context":
        return "context_not_allowed"
    return "schema_violation" if name.startswith("@") else "unknown_term"


CREDENTIALS: Final = "https://www.w3.org/ns/credentials"
SECURITY: Final = "https://w3id.org/security"

PINNED: Final[Mapping[str, str]] = MappingProxyType(
    {
        HIRE_CONTEXT: "0e093abd736c0c70778648135fae1d6ac3ac6a472bb04e23a7a81909763fac30",
        f"{CREDENTIALS}/v2": "b463c8d6a066214123ddd9827b135e1b50e1fc73322cc52a9b12a4f1fc7d86cf",
        f"{CREDENTIALS}/undefined-terms/v2": "3b11e1df8c618447e9f79f3737e3c30fc0841537eb95f36003742c633672bb9f",
        "https://www.w3.org/ns/did/v1": "a7e146c40fcec005d3f0f14ae745665f446da58d7914a9d8f733746686fad82b",
        "https://www.w3.org/ns/cid/v1": "9fc257da5b37784ca2b07c3ad666f5ff9beea846a360ddd229fd0b44972015c8",
        f"{SECURITY}/data-integrity/v1": "9505bf85338a4c2121ad03992ac90061bc85d43bcfa34d9d47b779381cf08b5f",
        f"{SECURITY}/data-integrity/v2": "7ba3c50acf2689d5e07927267343eb353249c7c22a9f2d00307cc970e855e305",
        f"{SECURITY}/multikey/v1": "be20c3ee6af6e9c4102e66a85c26617831218e32216bdf050f870e389e737cdc",
        f"{SECURITY}/jwk/v1": "38dd329a9a011facda06afc4ba43a121980eaedbd1f974268026d157926bc086",
    }
)
"""SHA-256 of each bundled context, hex."""


def context_bytes(iri: str) -> bytes:
    """What the digest of a bundled context is taken over: a JSON document `{"@context": ...}`.

    Raises:
        KeyError: No bundled context has this IRI.
    """
    if iri == HIRE_CONTEXT:
        return files(__name__).joinpath("hire-v1.jsonld").read_bytes()
    return canonicalize({"@context": TABLES[iri]})


def checked(iri: str, raw: bytes) -> Mapping[str, Any]:
    """The context document in `raw`, once it is known to be the one that this program was written with.

    Raises:
        FormatError: `context_tampered`.
    """
    found = sha256(raw).hexdigest()
    if found != PINNED[iri]:
        raise FormatError("context_tampered", f"bundled context {iri}: expected SHA-256 {PINNED[iri]}; came {found}")
    return MappingProxyType(json.loads(raw))


CONTEXTS: Final[Contexts] = MappingProxyType({iri: checked(iri, context_bytes(iri)) for iri in PINNED})
"""The bundled contexts: hiring, credentials, DID and controlled identifier documents, keys, Data Integrity."""
