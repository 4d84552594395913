"""Verifiable Credentials 2.0 as documents of others: kept as the JSON that came, behind a read-only view.

Shape is checked here, proofs in `verify.py`. What the data model leaves open and two readers could take in two ways
is refused: an inline or unknown context, several ids, two ways of being secured at once.

Source: protocol-spec/11-credentials.md, sections 11.1 to 11.3; W3C Verifiable Credentials Data Model 2.0, section 4
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, wraps
from math import inf
from typing import Any, Final, TypeVar, cast

from msgspec import Struct
from msgspec.json import decode
from msgspec.structs import replace

from undersigned.credentials.envelope import CREDENTIALS_CONTEXT, enveloped_credential, is_enveloped, open_envelope
from undersigned.credentials.jws import CREDENTIAL_JWT, Jws, JwsKind
from undersigned.encoding import (
    Did,
    Digest,
    Instant,
    JsonObject,
    canonicalize,
    digest_bytes,
    format_instant,
    parse_instant,
    read_moment,
    shift,
    write_canonical,
)
from undersigned.errors import CredentialError, FormatError
from undersigned.jsonld import CONTEXTS, HIRE_CONTEXT, Contexts
from undersigned.proof import lone_proof

__all__ = [
    "CREDENTIALS_CONTEXT",
    "MAX_CREDENTIALS",
    "MAX_CREDENTIAL_BYTES",
    "Credential",
    "read_credential",
    "read_once",
]

T = TypeVar("T")

MAX_CREDENTIALS: Final = 16
MAX_CREDENTIAL_BYTES: Final = CREDENTIAL_JWT.max_payload
MAX_REMEMBERED_BYTES: Final = 8 * 1024
"""Larger ones are read anew each time."""
MAX_ANSWERS: Final = 64
"""Credentials of which is remembered what they say."""

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]{1,2000}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}|[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]{1,500}")
_TYPED: Final = ("credentialStatus", "credentialSchema", "termsOfUse", "evidence", "refreshService", "confidenceMethod")
_LANGUAGE: Final = frozenset({"@value", "@language", "@direction"})
_NAMED: Final = ("credentialSchema",)  # those of `_TYPED` that must have an id as well


class Credential(Struct, frozen=True, kw_only=True, eq=False):
    """What a well-formed credential says. Equal to another if both have the same digest."""

    json: JsonObject
    """As it came, proof included; of an enveloped one, what its text says."""
    digest: Digest
    """Of the canonical form, proof included, or of the enveloped text: the credential as its holder shows it."""
    types: tuple[str, ...]
    """Without `VerifiableCredential`; sorted."""
    issuer: str
    subjects: tuple[JsonObject, ...]
    valid_from: str | None
    """As written, or what an envelope makes of it; see `valid_at`."""
    valid_until: str | None
    has_status: bool
    """Whether its issuer may have revoked or suspended it, which only its status list can tell."""
    jws: Jws | None = None
    """The signed text that it is, if it came in an envelope; it has no proof then."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credential) and other.digest == self.digest

    def __ne__(self, other: object) -> bool:
        return not self == other  # a struct without an `eq` of its own would go by identity

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def shown(self) -> JsonObject:
        """As a member of a presentation."""
        return self.json if self.jws is None else enveloped_credential(self.jws.text)

    def valid_at(self, now: Instant) -> bool:
        """Whether `now` lies in its validity; both ends inclusive."""
        return _is_between(self.valid_from, self.valid_until, now)

    @property
    def last_instant(self) -> Instant | None:
        """The last whole second of its validity, UTC; None if it does not say, or one after all instants of ours."""
        moment = None if self.valid_until is None else _moment(self.valid_until, "/validUntil")
        return None if moment is None or moment.year > 2999 else format_instant(moment)

    @property
    def made(self) -> Instant | None:
        """When its issuer made it, by its issuer's own word: the later of the beginning of its validity and its proof's
        `created`, or `iat` of a signed text. None if it says neither, or another time than one from the year 2000 on.
        """
        try:
            if self.jws is not None:
                said = [read_moment(numeric_date(self.jws.payload, "iat"))]
            else:
                said = [read_moment(lone_proof(self.json).get("created"))]
            moments = [one for one in (*said, read_moment(self.valid_from)) if one is not None]
            return format_instant(max(moments)) if moments else None
        except FormatError:
            return None

    def age_seconds(self, now: Instant) -> float:
        """How long ago its validity began; infinite if it does not say."""
        if self.valid_from is None:
            return inf
        return (parse_instant(now) - _moment(self.valid_from, "/validFrom")).total_seconds()

    def claims(self, subject: Did) -> JsonObject:
        """What it says about `subject`; empty if nothing."""
        for one in self.subjects:
            if one.get("id") == subject:
                return one
        return {}


def read_credential(
    document: Mapping[str, Any],
    *,
    contexts: Contexts = CONTEXTS,
    of: JwsKind = CREDENTIAL_JWT,
    strict: bool = False,
) -> Credential:
    """The credential in this JSON object, once it has the shape of one. Nothing in it is verified yet.

    An `EnvelopedVerifiableCredential` is opened, and what it holds is read. `of` is `LIST_JWT` where a status list is
    expected, which may be larger. `strict` says that it came in a message, so that its canonical form is written
    without a second look.

    Raises:
        FormatError: `too_large`: more than `of` allows; `context_not_allowed`: a context that is inline or not among
            those in `contexts`.
        CredentialError: `schema_violation`: not a credential of the data model, with the JSON pointer.
        FormatError, ProofError: As `open_envelope`, of an enveloped one.

    Source: W3C Verifiable Credentials Data Model 2.0, sections 4.2 to 4.13
    """
    if is_enveloped(document, of):
        return _opened(open_envelope(document, of), contexts, of)
    # Step 1: size, before anything is looked at.
    canonical = write_canonical(document) if strict else canonicalize(document)
    if len(canonical) > of.max_payload:
        raise FormatError("too_large", f"expected at most {of.max_payload} bytes; came {len(canonical)}")
    if contexts is CONTEXTS and len(canonical) <= MAX_REMEMBERED_BYTES:
        return _read_again(canonical)
    return _read(document, canonical, contexts)


def _read(document: Mapping[str, Any], canonical: bytes, contexts: Contexts) -> Credential:
    # Step 2: contexts, by exact value, the data model's first.
    check_contexts(document, contexts)

    _check_spelling(document)

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

    _check_names(document, "")
    if isinstance(document.get("issuer"), dict):
        _check_names(cast("JsonObject", document["issuer"]), "/issuer")

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


@lru_cache(maxsize=256)
def _read_again(canonical: bytes) -> Credential:
    """An agent shows the same few credentials in each engagement, and each is looked at several times in one."""
    return _read(decode(canonical), canonical, CONTEXTS)


def read_once(read: Callable[[Credential], T]) -> Callable[[Credential], T]:
    """The same function, whose answers are kept by the digest of the credential: of that itself, which may be large and
    anybody's, nothing is. What it raises is not kept.
    """
    known: dict[Digest, T] = {}

    @wraps(read)
    def reading(credential: Credential) -> T:
        answer = known.get(credential.digest)
        if answer is None:
            answer = read(credential)
            if len(known) >= MAX_ANSWERS:
                known.clear()
            known[credential.digest] = answer
        return answer

    return reading


def _opened(jws: Jws, contexts: Contexts, of: JwsKind) -> Credential:
    claims = jws.payload
    credential = read_credential(claims, contexts=contexts, of=of)
    begins, ends = check_credential_claims(claims, credential.issuer, credential.subjects)
    # Its signature's time bounds it as well: the narrower one counts, also when it is asked again later.
    if begins is not None and (credential.valid_from is None or not _is_later(credential.valid_from, begins)):
        credential = replace(credential, valid_from=begins)
    if ends is not None and (credential.valid_until is None or _is_later(credential.valid_until, ends)):
        credential = replace(credential, valid_until=ends)
    return replace(credential, digest=digest_bytes(jws.text.encode()), jws=jws)


def check_credential_claims(
    claims: Mapping[str, Any], issuer: str, subjects: Sequence[JsonObject]
) -> tuple[Instant | None, Instant | None]:
    """The first and last second of a credential that is a signed text, once what it says as a JWT is what it says as a
    document.

    Raises:
        CredentialError: `schema_violation`: as `check_claims`; a proof beside, a claim that narrows to whom it may be
            shown, or a `sub` that is not its one subject.

    Source: protocol-spec/11-credentials.md, section 11.2
    """
    if "proof" in claims:
        # Two ways of being secured: one reader checks this one, another the other.
        raise wrong("/proof", "no proof in what is signed as a whole", claims["proof"])
    for name in ("aud", "cnf", "nonce"):
        if name in claims:
            # It is for somebody, or for the holder of a key, in a way that is not checked here.
            raise wrong(f"/{name}", "a credential that may be shown to anybody", claims[name])
    bounds = check_claims(claims, issuer)
    sub: Any = claims.get("sub")
    if "sub" in claims and (not isinstance(sub, str) or [subject.get("id") for subject in subjects] != [sub]):
        raise wrong("/sub", "the one subject's id", sub)
    return bounds


def check_claims(claims: Mapping[str, Any], signer: str) -> tuple[Instant | None, Instant | None]:
    """The first and last second of a signed text, once what it says as a JWT is what it says as a document.

    Raises:
        CredentialError: `schema_violation`: `vc` or `vp`, which the old form had; `iss` or `jti` other than the
            document's; a time that is no integer.

    Source: protocol-spec/11-credentials.md, section 11.2; Securing Verifiable Credentials using JOSE and COSE, 3.1.3
    """
    for name in ("vc", "vp"):
        if name in claims:
            raise wrong(f"/{name}", "the document itself as payload", claims[name])
    for name, expected in (("iss", signer), ("jti", claims.get("id"))):
        if name in claims and (not isinstance(claims[name], str) or claims[name] != expected):
            raise wrong(f"/{name}", f"{expected!a:.160}", claims[name])
    numeric_date(claims, "iat")
    ends = numeric_date(claims, "exp")
    # RFC 7519, section 4.1.4: at `exp` itself it does not hold any more. Here both ends are inclusive.
    last = None if ends is None else shift(ends, -1)
    if ends is not None and last == ends:
        raise wrong("/exp", "a second before it that is in the years 2000 to 2999", claims["exp"])
    return numeric_date(claims, "nbf"), last


def numeric_date(claims: Mapping[str, Any], name: str) -> Instant | None:
    """The time in this claim, if there is one.

    Raises:
        CredentialError: `schema_violation`: no whole number, or of another millennium.
    """
    if name not in claims:
        return None
    value = whole_number(claims[name])
    if value is None or not 946_684_800 <= value < 32_503_680_000:
        raise wrong(f"/{name}", "whole seconds since 1970, of the years 2000 to 2999", claims[name])
    return format_instant(datetime.fromtimestamp(value, UTC))


def whole_number(value: Any) -> int | None:
    """The integer that a JSON number is, `1` and `1.0` alike, which are one number to JSON; None if it is none."""
    if type(value) is int:
        return value
    return int(value) if type(value) is float and value.is_integer() else None


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


def _check_spelling(document: Mapping[str, Any]) -> None:
    """Return if nothing is said in another place or by another name than where it is looked for.

    A proof of an RDF suite covers the graph and not the JSON: with `validUntil` or `credentialStatus` written as an
    IRI, or moved into a second mention of the same node, it still holds, and a reader of JSON would not find them.
    """
    mentioned: set[str] = set()
    left: list[tuple[str, Any]] = [("", {name: value for name, value in document.items() if name != "proof"})]
    while left:
        path, value = left.pop()
        if isinstance(value, list):
            left += [(f"{path}/{place}", item) for place, item in enumerate(cast("list[Any]", value))]
        if not isinstance(value, dict):
            continue
        node = cast("JsonObject", value)
        for name, inner in node.items():
            keyword = name in _LANGUAGE or (name == "@context" and not path)
            if (":" in name or name[:1] == "@") and not keyword:
                raise FormatError("unknown_term", "expected terms as names of members", path=path + _step(name))
            left.append((path + _step(name), inner))
        identifier = node.get("id")
        if isinstance(identifier, str):
            if identifier in mentioned:
                raise wrong(f"{path}/id", "all that is said of one thing in one place", identifier)
            mentioned.add(identifier)


def _step(name: str) -> str:
    return "/" + name[:80].replace("~", "~0").replace("/", "~1")


def _check_names(of: Mapping[str, Any], path: str) -> None:
    """Return if name and description are text, or text in languages: what else stands there, a reader might show.

    Source: W3C Verifiable Credentials Data Model 2.0, sections 4.6 and 11.1
    """
    for member in ("name", "description"):
        value: Any = of.get(member, "")
        for one in cast("list[Any]", value if isinstance(value, list) and value else [value]):
            words: JsonObject = cast("JsonObject", one) if isinstance(one, dict) else {"@value": one}
            known = "@value" in words and words.keys() <= _LANGUAGE
            if not known or not all(isinstance(word, str) for word in words.values()):
                raise wrong(f"{path}/{member}", "text, or text with a language", words)


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


@lru_cache(maxsize=1024)
def _is_between(begins: str | None, ends: str | None, now: Instant) -> bool:
    """Asked again at each step of a negotiation, of the same few credentials."""
    moment = parse_instant(now)
    if begins is not None and moment < _moment(begins, "/validFrom"):
        return False
    return ends is None or moment <= _moment(ends, "/validUntil")


def _is_later(written: str, instant: Instant) -> bool:
    return _moment(written, "") > parse_instant(instant)


def _moment(value: Any, path: str) -> datetime:
    """A date-time with its zone; finer than a second is taken as others write it."""
    found = read_moment(value)
    if found is None:
        raise wrong(path, "a date-time with its zone", value)
    return found
