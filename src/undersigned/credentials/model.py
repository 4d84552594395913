"""Verifiable Credentials 2.0 as documents of others: kept as the JSON that came, behind a read-only view.

Shape is checked here, proofs in `verify.py`. What the data model leaves open and two readers could take in two ways
is refused: an inline or unknown context, several ids, an enveloped credential.

Source: protocol-spec/02-identity-and-keys.md, section 2.6; W3C Verifiable Credentials Data Model 2.0, section 4
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

from msgspec import Struct

from undersigned.encoding import Did, Digest, Instant, JsonObject, canonicalize, digest_bytes, parse_instant
from undersigned.errors import CredentialError, FormatError
from undersigned.jsonld import CONTEXTS, HIRE_CONTEXT, Contexts

__all__ = [
    "CREDENTIALS_CONTEXT",
    "MAX_CREDENTIALS",
    "MAX_CREDENTIAL_BYTES",
    "MEMBERSHIP",
    "Credential",
    "read_credential",
]

CREDENTIALS_CONTEXT: Final = "https://www.w3.org/ns/credentials/v2"
MEMBERSHIP: Final = "MembershipCredential"
"""An organisation says that it operates an agent: `credentialSubject` is `{id: agent, memberOf: organisation}`."""

MAX_CREDENTIALS: Final = 16
MAX_CREDENTIAL_BYTES: Final = 64 * 1024

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]{1,2000}")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,127}|[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]{1,500}")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_TYPED: Final = ("credentialStatus", "credentialSchema", "termsOfUse", "evidence", "refreshService", "confidenceMethod")
_NAMED: Final = ("credentialSchema",)  # those of `_TYPED` that must have an id as well


class Credential(Struct, frozen=True, kw_only=True, eq=False):
    """What a well-formed credential says. Equal to another if both have the same digest."""

    json: JsonObject
    """As it came, proof included."""
    digest: Digest
    """Of the canonical form, proof included: the credential as its holder shows it."""
    types: tuple[str, ...]
    """Without `VerifiableCredential`; sorted."""
    issuer: str
    subjects: tuple[JsonObject, ...]
    valid_from: str | None
    """As written; see `valid_at`."""
    valid_until: str | None
    has_status: bool
    """Whether its issuer may have revoked or suspended it, which only its status list can tell."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credential) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def valid_at(self, now: Instant) -> bool:
        """Whether `now` lies in its validity; both ends inclusive."""
        moment = parse_instant(now)
        if self.valid_from is not None and moment < _moment(self.valid_from, "/validFrom"):
            return False
        return self.valid_until is None or moment <= _moment(self.valid_until, "/validUntil")

    def claims(self, subject: Did) -> JsonObject:
        """What it says about `subject`; empty if nothing."""
        for one in self.subjects:
            if one.get("id") == subject:
                return one
        return {}


def read_credential(
    document: Mapping[str, Any], *, contexts: Contexts = CONTEXTS, max_bytes: int = MAX_CREDENTIAL_BYTES
) -> Credential:
    """The credential in this JSON object, once it has the shape of one. Nothing in it is verified yet.

    Raises:
        FormatError: `too_large`: above `max_bytes`; `context_not_allowed`: a context that is inline or not among those
            in `contexts`.
        CredentialError: `schema_violation`: not a credential of the data model, with the JSON pointer.

    Source: W3C Verifiable Credentials Data Model 2.0, sections 4.2 to 4.12
    """
    # Step 1: size, before anything is looked at.
    canonical = canonicalize(document)
    if len(canonical) > max_bytes:
        raise FormatError("too_large", f"expected at most {max_bytes} bytes; came {len(canonical)}")

    # Step 2: contexts, by exact value, the data model's first.
    check_contexts(document, contexts)

    # Step 3: id, type, issuer, subject.
    if "id" in document:
        _url(document["id"], "/id")
    types = read_types(document, "VerifiableCredential")
    issuer: Any = document.get("issuer")
    issuer = cast("JsonObject", issuer).get("id") if isinstance(issuer, dict) else issuer
    subjects = _objects(document.get("credentialSubject"), "/credentialSubject")
    for subject in subjects:
        if "id" in subject:
            _url(subject["id"], "/credentialSubject/id")

    # Step 4: validity.
    bounds: dict[str, str | None] = {}
    for name in ("validFrom", "validUntil"):
        bounds[name] = document.get(name)
        if name in document:
            _moment(document[name], f"/{name}")
    begins, ends = bounds["validFrom"], bounds["validUntil"]
    if begins is not None and ends is not None and _moment(begins, "/validFrom") > _moment(ends, "/validUntil"):
        raise wrong("/validUntil", f"an end not before {begins}", ends)

    # Step 5: what else the data model types.
    for name in _TYPED:
        for entry in _objects(document[name], f"/{name}") if name in document else ():
            if not _is_types(entry.get("type")):
                raise wrong(f"/{name}/type", "a type", entry.get("type"))
            if "id" in entry or name in _NAMED:
                _url(entry.get("id"), f"/{name}/id")
    return Credential(
        json=dict(document),
        digest=digest_bytes(canonical),
        types=types,
        issuer=_url(issuer, "/issuer"),
        subjects=subjects,
        valid_from=begins,
        valid_until=ends,
        has_status="credentialStatus" in document,
    )


def check_contexts(document: Mapping[str, Any], contexts: Contexts = CONTEXTS) -> None:
    """Returns if `@context` is the credentials context and then only others from the registry.

    Raises:
        FormatError: `context_not_allowed`.
    """
    listed: Any = document.get("@context")
    if not isinstance(listed, list) or not listed or cast("list[Any]", listed)[0] != CREDENTIALS_CONTEXT:
        raise FormatError("context_not_allowed", f"expected {CREDENTIALS_CONTEXT} first", path="/@context")
    for place, context in enumerate(cast("list[Any]", listed)):
        if not isinstance(context, str) or context not in contexts:
            raise FormatError(
                "context_not_allowed", f"expected a bundled context; came {context!a:.120}", path=f"/@context/{place}"
            )


def read_types(document: Mapping[str, Any], required: str) -> tuple[str, ...]:
    """The types beside `required`, sorted.

    Raises:
        CredentialError: `schema_violation`: `required` is not among them.
    """
    types: Any = document.get("type")
    listed = [types] if isinstance(types, str) else types
    if not _is_types(listed) or required not in listed:
        raise wrong("/type", required, types)
    return tuple(sorted({name for name in cast("list[str]", listed) if name != required}))


def wrong(path: str, expected: str, came: object) -> CredentialError:
    """The error for a member of another shape."""
    return CredentialError("schema_violation", f"expected {expected}; came {came!a:.160}", path=path)


def own_context() -> list[str]:
    """The `@context` of the credentials and presentations that are made here."""
    return [CREDENTIALS_CONTEXT, HIRE_CONTEXT]


def _is_types(value: Any) -> bool:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed:
        return False
    return all(isinstance(name, str) and _NAME.fullmatch(name) for name in cast("list[Any]", listed))


def _objects(value: Any, path: str) -> tuple[JsonObject, ...]:
    listed = cast("list[Any]", value if isinstance(value, list) else [value])
    if not listed or not all(entry and isinstance(entry, dict) for entry in listed):
        raise wrong(path, "an object that is not empty, or a list of such", listed)
    return tuple(cast("list[JsonObject]", listed))


def _url(value: Any, path: str) -> str:
    if not isinstance(value, str) or not _URL.fullmatch(value):
        raise wrong(path, "one URL", value)
    return value


def _moment(value: Any, path: str) -> datetime:
    """A date-time with its zone; finer than a second is taken as others write it."""
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise wrong(path, "a date-time with its zone", value)
