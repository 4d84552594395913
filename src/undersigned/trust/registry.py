"""Trust registries, asked by the ToIP Trust Registry Query Protocol (TRQP) v2.0: what is asked, what an answer says.

    for ask in registry_asks(issuer, "EndorsementCredential", "sbom", registries):    # then recognition_asks(...)
        raw = ...                                  # POST ask.body to ask.url, by the shell
        found = read_answer(raw, ask, now)         # or an error
        edge = found.edge                          # None: the registry says no

A registry says whom an authority has authorised or recognised; nobody signs it. So it is believed only for the
authorities that our configuration pins to it, only as an answer to what was asked, and only for its time. What it says
is an edge of the trust graph like one that the authority had signed, and never a root.

Source: protocol-spec/12-trust.md, section 12.11; ToIP TRQP v2.0
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, NamedTuple

from msgspec import Meta, Struct

from undersigned.encoding import (
    Did,
    Digest,
    Instant,
    JsonObject,
    canonicalize,
    decode_json,
    digest_bytes,
    format_instant,
    shift,
    to_struct,
)
from undersigned.errors import CredentialError, FormatError, UndersignedError
from undersigned.trust.edge import Edge

__all__ = [
    "MAX_ANSWER_BYTES",
    "MAX_AUTHORITIES",
    "AuthorityStatement",
    "Query",
    "QueryKind",
    "Registry",
    "RegistryAnswer",
    "RegistryAsk",
    "StatementFile",
    "answer_query",
    "read_answer",
    "recognition_asks",
    "registry_asks",
]

QueryKind = Literal["authorization", "recognition"]

MAX_AUTHORITIES: Final = 8
"""That all registries of a configuration speak for together: each is asked about an issuer, and perhaps each pair."""
MAX_ANSWER_BYTES: Final = 16 * 1024
AHEAD_SECONDS: Final = 60
"""A registry's clock may be ahead of ours."""
RECOGNISED_DEPTH: Final = 1
"""Who is recognised may attest, and authorise others to; those no further ones."""

_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:]{8}(?:\.[0-9]{1,9})?(?:[Zz]|\+00:00)")
_SAID: Final = {"authorization": "authorized", "recognition": "recognized"}

Identifier = Annotated[str, Meta(min_length=1, max_length=2048)]
Text = Annotated[str, Meta(max_length=4096)]
Context = dict[Annotated[str, Meta(max_length=128)], Text]


class Registry(Struct, frozen=True, kw_only=True):
    """A registry that is asked, and for whom it may speak."""

    url: str
    """Without a slash at its end; `/authorization` and `/recognition` stand below it."""
    authorities: tuple[Did, ...]
    action: str = "issue"
    """What the registry calls it when somebody attests."""
    max_age_seconds: int = 300
    """How long an answer may be used after the registry evaluated it."""


class RegistryAsk(NamedTuple):
    """One question to one registry."""

    registry: Registry
    kind: QueryKind
    entity: Did
    authority: Did
    resource: str
    """The capability, or the type of credential where there is none."""

    @property
    def url(self) -> str:
        """Where it is posted to."""
        return f"{self.registry.url}/{self.kind}"

    @property
    def body(self) -> bytes:
        """What is posted. No time is named, so it is about the time at which it is answered."""
        return canonicalize(
            {
                "entity_id": self.entity,
                "authority_id": self.authority,
                "action": self.registry.action,
                "resource": self.resource,
            }
        )


class RegistryAnswer(Struct, frozen=True, kw_only=True):
    """What a registry said to one question, checked."""

    ask: RegistryAsk
    yes: bool
    digest: Digest
    """Of the answer's bytes: names it, and the edge made of it."""
    evaluated: Instant
    until: Instant
    """Last second in which it may be used."""
    message: str = ""
    """What the registry says beside, for a person."""

    @property
    def edge(self) -> Edge | None:
        """The edge of a yes: from the authority to the entity."""
        if not self.yes:
            return None
        depth = RECOGNISED_DEPTH if self.ask.kind == "recognition" else 0
        return Edge(
            self.digest,
            self.ask.authority,
            self.ask.entity,
            "authority",
            self.ask.resource,
            depth,
            valid_until=self.until,
        )


def registry_asks(
    issuer: Did, credential_type: str, capability: str | None, registries: Iterable[Registry]
) -> tuple[RegistryAsk, ...]:
    """What to ask first, before deciding whether `issuer` may attest: whether each authority has authorised it.

    Source: protocol-spec/12-trust.md, section 12.11
    """
    about = capability or credential_type
    return tuple(
        RegistryAsk(registry, "authorization", issuer, authority, about)
        for registry in registries
        for authority in registry.authorities
        if authority != issuer
    )


def recognition_asks(
    issuer: Did, answers: Iterable[RegistryAnswer], resource: str, registries: Iterable[Registry]
) -> tuple[RegistryAsk, ...]:
    """What to ask then: which authorities recognise one another. Nothing, if it could not lead to `issuer`: who names
    an issuer that no registry knows makes us ask little.

    Source: protocol-spec/12-trust.md, section 12.11
    """
    every = [(registry, authority) for registry in registries for authority in registry.authorities]
    if not any(answer.yes for answer in answers) and issuer not in {authority for _, authority in every}:
        return ()
    return tuple(
        RegistryAsk(registry, "recognition", other, authority, resource)
        for registry, authority in every
        for _, other in sorted(every, key=lambda one: one[1])
        if other != authority
    )


class _Answer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Members of either response; a member that is not read could be the one that narrows it."""

    entity_id: Identifier
    authority_id: Identifier
    action: Identifier
    resource: Identifier
    time_evaluated: Annotated[str, Meta(max_length=64)]
    time_requested: Annotated[str, Meta(max_length=64)] = ""
    message: Text = ""
    context: Context = {}
    authorized: bool | None = None
    recognized: bool | None = None


def read_answer(raw: bytes, ask: RegistryAsk, now: Instant) -> RegistryAnswer:
    """The answer in the body of a response with status 200.

    Raises:
        CredentialError: `registry_unavailable`: it is no answer to this question, or not one of now.

    Source: protocol-spec/12-trust.md, section 12.11
    """
    where = f"{ask.url} about {ask.entity}"
    try:
        if len(raw) > MAX_ANSWER_BYTES:
            raise FormatError("too_large", f"expected at most {MAX_ANSWER_BYTES} bytes; came {len(raw)}")
        found = to_struct(decode_json(raw), _Answer)
        yes = found.authorized if ask.kind == "authorization" else found.recognized
        other = found.recognized if ask.kind == "authorization" else found.authorized
        if yes is None or other is not None:
            raise FormatError("schema_violation", f"expected {_SAID[ask.kind]}, and no other verdict")
        # Step 1: it answers what was asked, under no condition that was not asked for.
        asked = (ask.entity, ask.authority, ask.registry.action, ask.resource)
        came = (found.entity_id, found.authority_id, found.action, found.resource)
        if came != asked:
            raise FormatError("schema_violation", f"expected an answer about {asked}; came one about {came!a:.400}")
        if conditions := sorted(set(found.context) - {"time"}):
            raise FormatError("schema_violation", f"expected no condition; came {conditions[0]!a:.80}", path="/context")
        # Step 2: it is of now. Whatever time it names, the answer has to be about ours.
        named = [text for text in (found.time_requested, found.context.get("time", "")) if text]
        moments = [_moment(text) for text in (found.time_evaluated, *named)]
        oldest, latest = shift(now, -ask.registry.max_age_seconds), shift(now, AHEAD_SECONDS)
        for moment in moments:
            if not oldest <= moment <= latest:
                raise FormatError("schema_violation", f"expected an answer of {oldest} or later; came one of {moment}")
    except UndersignedError as exc:
        raise CredentialError("registry_unavailable", f"{where}: {exc.message}", path=exc.path) from exc
    return RegistryAnswer(
        ask=ask,
        yes=yes,
        digest=digest_bytes(raw),
        evaluated=moments[0],
        until=shift(min(moments), ask.registry.max_age_seconds),
        message=found.message,
    )


# -- the other side: a registry over a file, for tests and partners


class AuthorityStatement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a registry: this authority authorises, or recognises, this entity."""

    authority: Identifier
    entity: Identifier
    action: Identifier
    resource: Identifier
    valid_from: Instant | None = None
    """First second."""
    valid_until: Instant | None = None
    """Last second."""


class StatementFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a registry knows."""

    authorization: tuple[AuthorityStatement, ...] = ()
    recognition: tuple[AuthorityStatement, ...] = ()


class Query(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a request."""

    entity_id: Identifier
    authority_id: Identifier
    action: Identifier
    resource: Identifier
    context: Context = {}


def answer_query(kind: QueryKind, body: bytes, known: StatementFile, now: Instant) -> JsonObject:
    """The body of the answer with status 200.

    Raises:
        FormatError: Not a query, or one with a condition that is not understood: status 400.
        CredentialError: `not_found`: nothing is known of this authority, action and resource: status 404.

    Source: protocol-spec/12-trust.md, section 12.11
    """
    query = to_struct(decode_json(body), Query)
    if unknown := sorted(set(query.context) - {"time", "locator"}):
        raise FormatError("unknown_term", f"expected no condition {unknown[0]!a:.80}", path="/context")
    time = query.context.get("time", "")
    at = _moment(time) if time else now
    statements: Collection[AuthorityStatement] = known.authorization if kind == "authorization" else known.recognition
    same = [
        one
        for one in statements
        if (one.authority, one.action, one.resource) == (query.authority_id, query.action, query.resource)
    ]
    if not same:
        text = f"nothing is known of {query.action!a:.200} on {query.resource!a:.200} by {query.authority_id!a:.200}"
        raise CredentialError("not_found", text)
    yes = any(
        one.entity == query.entity_id
        and (one.valid_from is None or one.valid_from <= at)
        and (one.valid_until is None or at <= one.valid_until)
        for one in same
    )
    said: dict[str, Any] = {
        "entity_id": query.entity_id,
        "authority_id": query.authority_id,
        "action": query.action,
        "resource": query.resource,
        _SAID[kind]: yes,
        "time_evaluated": now,
        "message": f"{query.authority_id} {'has' if yes else 'has not'} {_SAID[kind]} {query.entity_id}.",
    }
    if time:
        said["time_requested"] = time
    if query.context:
        said["context"] = query.context
    return said


def _moment(text: str) -> Instant:
    """The whole second of an RFC 3339 time in UTC."""
    try:
        if not _TIME.fullmatch(text):
            raise ValueError("not in UTC")
        return format_instant(datetime.fromisoformat(text.upper()).astimezone(UTC))
    except (ValueError, OverflowError) as exc:
        raise FormatError(
            "schema_violation", f"expected a time such as 2026-11-25T12:00:00Z; came {text!a:.80}"
        ) from exc
