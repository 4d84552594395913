"""Domain linkage: whether a DID and a web origin are tied by proof, each naming the other.

    origins = linked_origins(document)                               # the DID names them
    raw = ...fetch configuration_url(origin)...                      # undersigned.runtime
    verify_linkage(raw, origin=origin, document=document, now=now)   # the origin names the DID, by its own key

Either half alone proves nothing: anybody can name any domain, and who controls a domain can name any DID.

Source: protocol-spec/02-identity-and-keys.md, section 2.15; DIF Well Known DID Configuration
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, Final, cast

from msgspec.structs import replace

from undersigned.credentials.envelope import CREDENTIALS_CONTEXT, enveloped_credential
from undersigned.credentials.model import Credential, read_credential
from undersigned.credentials.verify import verify_credential
from undersigned.did import DidDocument
from undersigned.encoding import FOREIGN_LIMITS, Did, Instant, JsonObject, decode_json
from undersigned.errors import CredentialError, FormatError, UndersignedError
from undersigned.jsonld import CONTEXTS, Contexts

__all__ = [
    "MAX_CONFIGURATION_BYTES",
    "build_linkage",
    "check_origin",
    "configuration_url",
    "did_configuration",
    "linked_origins",
    "verify_linkage",
]

SERVICE: Final = "LinkedDomains"
LINKAGE: Final = "DomainLinkageCredential"
DID_CONFIGURATION: Final = "https://identity.foundation/.well-known/did-configuration/v1"
MAX_CONFIGURATION_BYTES: Final = 64 * 1024
MAX_LINKED: Final = 16
"""Credentials in one file: each of this DID may cost a signature."""

_LIMITS: Final = replace(FOREIGN_LIMITS, max_bytes=MAX_CONFIGURATION_BYTES, max_string=MAX_CONFIGURATION_BYTES)
_VOCABULARY: Final = "https://identity.foundation/.well-known/resources/did-configuration/#"
LINKAGE_CONTEXTS: Final[Contexts] = MappingProxyType(
    {
        **CONTEXTS,
        DID_CONFIGURATION: {
            "@context": {
                "@version": 1.1,
                "@protected": True,
                **{term: _VOCABULARY + term for term in (SERVICE, LINKAGE, "origin", "linked_dids")},
            }
        },
    }
)
"""Known in this file alone: nothing else that is shown to us may be written in this vocabulary."""

_MEMBERS: Final = frozenset({"@context", "type", "issuer", "validFrom", "validUntil", "credentialSubject"})
_CLAIMS: Final = frozenset({"iss", "sub", "iat", "nbf", "exp"})
"""What one that is a signed text may say as a JWT; `jti` would be its id, which it has not."""
_ORIGIN: Final = re.compile(r"https://[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+(?::(?!443\Z)[1-9][0-9]{0,4})?")
_LOCAL: Final = re.compile(r"http://localhost:[1-9][0-9]{0,4}")


def check_origin(text: str, *, local: bool = False) -> str:
    """`text`, once it is an origin: `https`, a host name in lower case, perhaps a port but 443, and nothing after
    it; in `local` state also `http://localhost` with a port.

    Raises:
        CredentialError: `domain_not_linked`.
    """
    if len(text) <= 300 and (_ORIGIN.fullmatch(text) or (local and _LOCAL.fullmatch(text))):
        return text
    raise CredentialError(
        "domain_not_linked", f"expected an origin such as https://agents.example.com; came {text!a:.200}"
    )


def linked_origins(document: DidDocument) -> tuple[str, ...]:
    """What the DID's services of type `LinkedDomains` name, in the document's order, without repeats. Nothing of it is
    proved, and whether each is an origin says `check_origin`.
    """
    found: dict[str, None] = {}
    services: Any = document.json.get("service", [])
    for service in cast("list[JsonObject]", services):
        kinds, endpoint = service.get("type"), service.get("serviceEndpoint")
        if SERVICE not in (cast("list[Any]", kinds) if isinstance(kinds, list) else [kinds]):
            continue
        for one in _several(endpoint):
            named = _several(cast("JsonObject", one).get("origins")) if isinstance(one, dict) else [one]
            found.update(dict.fromkeys(str(origin) for origin in named))
    return tuple(found)


def configuration_url(origin: str) -> str:
    """Where an origin says which DIDs are its."""
    return f"{origin}/.well-known/did-configuration.json"


def build_linkage(did: Did, origin: str, *, valid_from: Instant, valid_until: Instant) -> JsonObject:
    """The credential by which `did` says that `origin` is its, to be signed by a key that it lists under
    `assertionMethod`. It has no id and no status: it is served where it can be taken away.
    """
    document: JsonObject = {
        "@context": [CREDENTIALS_CONTEXT, DID_CONFIGURATION],
        "type": ["VerifiableCredential", LINKAGE],
        "issuer": did,
        "validFrom": valid_from,
        "validUntil": valid_until,
        "credentialSubject": {"id": did, "origin": origin},
    }
    read_credential(document, contexts=LINKAGE_CONTEXTS)
    return document


def did_configuration(linked: Iterable[JsonObject | str]) -> JsonObject:
    """The file that an origin serves: signed credentials, as JSON with a proof or as the text of a `vc+jwt`."""
    return {"@context": DID_CONFIGURATION, "linked_dids": list(linked)}


def verify_linkage(raw: bytes, *, origin: str, document: DidDocument, now: Instant) -> Credential:
    """The credential that ties `origin`, whose file `raw` is, to the DID of `document`, which names the origin.

    Raises:
        CredentialError: `domain_not_linked`: it is no origin, the document does not name it, or no credential in the
            file is this DID's word on exactly this origin; and as `verify_credential`, of the one that is.
            `schema_violation`: not such a file.
        FormatError: `too_large`, `unknown_term` and others: not such a file.
        ProofError, VerificationError: As `verify_credential`.

    Source: protocol-spec/02-identity-and-keys.md, section 2.15
    """
    # Step 1: the DID names the origin, which has one spelling. Where it may be a local one, whoever fetches knows.
    check_origin(origin, local=True)
    if origin not in linked_origins(document):
        raise CredentialError("domain_not_linked", f"{document.id} does not name {origin}")

    # Step 2: the file, closed, and its size before any cryptography.
    value = decode_json(raw, _LIMITS)
    if not isinstance(value, dict) or value.get("@context") != DID_CONFIGURATION:
        raise CredentialError("schema_violation", f"expected an object with the context {DID_CONFIGURATION}")
    if unknown := sorted(set(value) - {"@context", "linked_dids"}):
        raise FormatError("unknown_term", "no such member is defined", path=f"/{unknown[0][:80]}")
    linked: Any = value.get("linked_dids")
    if not isinstance(linked, list) or not linked:
        raise CredentialError("schema_violation", "expected a list of credentials", path="/linked_dids")
    entries = cast("list[Any]", linked)
    if len(entries) > MAX_LINKED:
        raise FormatError("too_large", f"expected at most {MAX_LINKED} credentials; came {len(entries)}")

    # Step 3: one of them is this DID's, about this DID and this origin, and holds. What is somebody else's, or cannot
    # be read, says nothing about this DID.
    refused: UndersignedError = CredentialError("domain_not_linked", f"{origin} does not name {document.id}")
    for place, entry in enumerate(entries):
        try:
            shown = enveloped_credential(entry) if isinstance(entry, str) else cast("JsonObject", entry)
            if not isinstance(entry, str | dict):
                continue
            read = read_credential(shown, contexts=LINKAGE_CONTEXTS)
        except UndersignedError:
            continue
        if read.issuer != document.id:
            continue
        try:
            _check_said(read, document.id, origin)
            return verify_credential(shown, documents={document.id: document}, now=now, contexts=LINKAGE_CONTEXTS)
        except UndersignedError as error:
            error.path = f"/linked_dids/{place}{error.path}"
            refused = error
    raise refused


def _check_said(read: Credential, did: Did, origin: str) -> None:
    """Return if it says that this origin is this DID's, from when until when, and nothing else."""
    expected = {"id": did, "origin": origin}
    if read.types != (LINKAGE,) or read.subjects != (expected,):
        raise CredentialError("domain_not_linked", f"expected {expected}; came {read.subjects!a:.300}")
    said = frozenset(read.json) - ({"proof"} if read.jws is None else _CLAIMS)
    if said != _MEMBERS:
        raise CredentialError("domain_not_linked", f"expected nothing beside, and no less; came {sorted(said)!a:.300}")
    if DID_CONFIGURATION not in _several(read.json["@context"]):
        raise CredentialError("domain_not_linked", f"expected the context {DID_CONFIGURATION}", path="/@context")


def _several(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else [value]
