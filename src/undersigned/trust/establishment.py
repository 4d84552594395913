"""Trust establishment documents (DIF): what one author says about many parties, read as edges.

    found = verify_establishment(document, pinned=..., documents=..., now=...)     # or an error
    said = established(found, contracts=countersigned)
    said.edges, said.skipped

An entry under the schema of one of our credentials is the subject of such a credential by the author, and becomes the
same edge. The author signs the document; or the operator has pinned its bytes, in the record of an anchor.

Source: protocol-spec/12-trust.md, section 12.12; DIF Trust Establishment
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple, cast

from msgspec import Meta, Struct
from msgspec.structs import asdict, replace

from undersigned.credentials import SCHEMAS, own_context, read_credential
from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, Instant, JsonObject, digest_of, to_struct
from undersigned.errors import CredentialError, FormatError, UndersignedError
from undersigned.trust.anchor_sets import check_issuer
from undersigned.trust.edge import Edge, edge_of

__all__ = [
    "Established",
    "Establishment",
    "check_newer",
    "established",
    "established_names",
    "is_establishment",
    "read_establishment",
    "verify_establishment",
]

_SCHEMA_URI: Final = re.compile(r"\w+:/?/?\S+")

Text = Annotated[str, Meta(min_length=1, max_length=2048)]
Time = Annotated[str, Meta(max_length=64)]


class _Document(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A document, as its published schema has it."""

    id: Text
    author: Did
    created: Time
    valid_from: Time
    valid_until: Time | None = None
    version: Annotated[int, Meta(ge=-(2**53 - 1), le=2**53 - 1)]
    entries: dict[Text, dict[str, Any]]
    """URI of a schema -> DID -> what is said of it."""

    def __post_init__(self) -> None:
        for text in (self.created, self.valid_from, *([] if self.valid_until is None else [self.valid_until])):
            if datetime.fromisoformat(text).tzinfo is None:
                raise ValueError(f"expected a date-time with its zone; came {text}")
        for uri in self.entries:
            if not _SCHEMA_URI.fullmatch(uri):
                raise ValueError(f"expected entries under the URI of a schema; came {uri!a:.160}")


class Establishment(_Document, frozen=True, kw_only=True):
    """A document, without its proof."""

    digest: Digest
    """Of the canonical JSON without the proof: what an anchor's record pins."""


class Established(NamedTuple):
    """What a document says to the trust graph."""

    edges: tuple[Edge, ...]
    skipped: tuple[str, ...]
    """URIs of schemas that are not ours: what stands under them makes no edge."""


def is_establishment(document: Mapping[str, Any]) -> bool:
    """Whether it means to be a trust establishment document."""
    return "author" in document and "entries" in document


def read_establishment(document: Mapping[str, Any]) -> Establishment:
    """The document, its proof left aside; who said it is for the caller to know.

    Raises:
        FormatError: `schema_violation`, `unknown_term`: it has not the shape of the published schema.

    Source: protocol-spec/12-trust.md, section 12.12
    """
    bare = {name: value for name, value in document.items() if name != "proof"}
    return Establishment(**asdict(to_struct(bare, _Document)), digest=digest_of(bare))


def verify_establishment(
    document: Mapping[str, Any],
    *,
    pinned: Collection[Digest],
    documents: Mapping[Did, DidDocument],
    now: Instant,
) -> Establishment:
    """The document, once its author signed it, or its digest is among those that are `pinned` for the author.

    Raises:
        FormatError: As `read_establishment`.
        CredentialError: `proof_missing`: neither; `policy_denied`: it has ended; `did_unresolvable`: no document of its
            author in `documents`.
        ProofError: As `verify_proof`.

    Source: protocol-spec/12-trust.md, section 12.12
    """
    found = read_establishment(document)
    if found.valid_until is not None and datetime.fromisoformat(found.valid_until) < datetime.fromisoformat(now):
        raise CredentialError("policy_denied", f"it ended at {found.valid_until}; it is {now}", path="/validUntil")
    if "proof" in document:
        check_issuer(document, found.author, documents, now)
        return found
    if found.digest not in pinned:
        text = f"it has no proof, and no record of an anchor {found.author} names its digest {found.digest} as evidence"
        raise CredentialError("proof_missing", text, path="/proof")
    return found


def established(found: Establishment, *, contracts: Collection[Digest] = ()) -> Established:
    """The edges that a document makes, once it was verified. `contracts`: as for `edge_of`.

    Raises:
        FormatError, CredentialError: An entry under one of our schemas is none that the schema allows, or not the
            author's to make; the document makes no edge at all.

    Source: protocol-spec/12-trust.md, section 12.12
    """
    validity = {"validFrom": found.valid_from} | ({"validUntil": found.valid_until} if found.valid_until else {})
    edges: list[Edge] = []
    for name, uri, did, members in _entries(found):
        try:
            if not isinstance(members, dict) or "id" in members:
                raise FormatError("schema_violation", "expected an object of what is said, without an id")
            credential = read_credential(
                {
                    "@context": own_context(),
                    "type": ["VerifiableCredential", SCHEMAS[uri]],
                    "issuer": found.author,
                    **validity,
                    "credentialSubject": {"id": did, **cast("JsonObject", members)},
                }
            )
            edges.append(replace(edge_of(credential, contracts=contracts), digest=name))
        except UndersignedError as exc:
            raise type(exc)(exc.code, f"{SCHEMAS[uri]} about {did!a:.200}: {exc.message}", path=exc.path) from exc
    return Established(tuple(edges), tuple(sorted(set(found.entries) - set(SCHEMAS))))


def established_names(found: Establishment) -> frozenset[Digest]:
    """The names of all edges that a document makes, or once made."""
    return frozenset(name for name, *_ in _entries(found))


def _entries(found: Establishment) -> Iterator[tuple[Digest, str, str, object]]:
    """Each entry under one of our schemas: the name of its edge, the schema's URI, the DID, and what is said of it."""
    for uri in sorted(set(found.entries) & set(SCHEMAS)):
        for did, members in sorted(found.entries[uri].items()):
            yield digest_of({"document": found.digest, "schema": uri, "subject": did}), uri, did, members


def check_newer(old: Establishment, new: Establishment) -> None:
    """Returns if `new` may take the place of `old`, or is the same.

    Raises:
        CredentialError: `policy_denied`: of another author or id, older, or another content under the same version.
    """
    if (old.author, old.id) != (new.author, new.id):
        raise CredentialError("policy_denied", f"expected the document {old.id} of {old.author}; came another")
    if new.version < old.version or (new.version == old.version and new.digest != old.digest):
        text = f"expected a version above {old.version}; came {new.version} with other content"
        raise CredentialError("policy_denied", text, path="/version")
