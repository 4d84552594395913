"""A contract's scope as `authorization_details` of OAuth 2.0 (RFC 9396), and back.

One object of type `hire_contract` for each grant. It stands alone: whoever holds it and knows the type needs nothing
else to say yes or no, so it carries the grant's limits, conditions and window, the contract's end, and the prohibitions
of its action. RFC 9396 has whoever does not know a member refuse the whole, so none of them is ever ignored.

What an object cannot hold: obligations are no authority and stay in the contract; a scope with a critical extension is
refused.

Source: RFC 9396, sections 2 and 5
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, cast

from msgspec import Meta, Struct, ValidationError, convert

from undersigned.encoding import Digest, Instant, JsonObject, format_instant, from_struct, parse_instant
from undersigned.errors import FormatError
from undersigned.scope import Grant, Limit, Prohibition, Scope, Window

__all__ = ["HIRE_CONTRACT", "Detail", "authorization_details", "read_details", "scope_of_details"]

HIRE_CONTRACT: Final = "hire_contract"
"""The `type` of our objects."""
MAX_DETAILS: Final = 64

_COMMON: Final = frozenset({"type", "locations", "actions", "datatypes", "identifier", "privileges"})
"""Members that every type may have (section 2.2)."""

_Words = Annotated[tuple[str, ...], Meta(max_length=64)]


class Detail(Struct, frozen=True, kw_only=True):
    """One object of anybody's type: the members that RFC 9396 has in common, and the rest as it came."""

    type: Annotated[str, Meta(min_length=1, max_length=2048)]
    locations: _Words | None = None
    actions: _Words | None = None
    datatypes: _Words | None = None
    identifier: str | None = None
    privileges: _Words | None = None
    more: dict[str, Any] = {}
    """Members of the type's own."""


class _Limit(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    unit: str
    max: str
    per: str | None = None


class _Prohibition(Struct, frozen=True, forbid_unknown_fields=True):
    clause: str
    location: str


class _Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An object of type `hire_contract`."""

    type: Literal["hire_contract"]
    identifier: Annotated[str, Meta(min_length=1, max_length=512)]
    """The contract's id."""
    contract_digest: Digest
    clause: str
    """Short name of the grant."""
    actions: Annotated[tuple[str, ...], Meta(min_length=1, max_length=1)]
    locations: Annotated[tuple[str, ...], Meta(min_length=1, max_length=1)]
    """The grant's target."""
    exp: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    """Last second at which it is good, since 1970; the sooner of the contract's end and the grant's."""
    nbf: Annotated[int, Meta(ge=0, le=2**53 - 1)] | None = None
    datatypes: _Words | None = None
    """The classes of data that are allowed; absent: any."""
    egress: _Words | None = None
    region: _Words | None = None
    limits: Annotated[tuple[_Limit, ...], Meta(max_length=32)] = ()
    approval: bool = False
    """A person of the hirer has to agree each time."""
    prohibitions: Annotated[tuple[_Prohibition, ...], Meta(max_length=64)] = ()
    """Of the same action; they win."""


def authorization_details(
    scope: Scope, *, identifier: str, contract: Digest, until: Instant, not_before: Instant | None = None
) -> list[JsonObject]:
    """What `scope` allows under the contract named so, from `not_before` to `until`. Left out is what allows
    nothing: obligations, extensions that are not critical, and prohibitions of actions that no grant names.

    Raises:
        FormatError: `schema_violation`: the scope has a critical extension, which no object can hold.
    """
    if scope.critical:
        raise _wrong(f"a scope that needs {scope.critical[0]} understood cannot be said as authorization_details")
    found: list[JsonObject] = []
    for grant in scope.grants:
        window = grant.window
        first, last = (window.not_before, window.until) if window is not None else (None, None)
        begins = max((one for one in (not_before, first) if one is not None), default=None)
        own = _Own(
            type=HIRE_CONTRACT,
            identifier=identifier,
            contract_digest=contract,
            clause=grant.id,
            actions=(grant.action,),
            locations=(grant.target,),
            exp=_seconds(min(until, last or until)),
            nbf=None if begins is None else _seconds(begins),
            datatypes=_values(grant, "dataClass"),
            egress=_values(grant, "egress"),
            region=_values(grant, "region"),
            limits=tuple(_Limit(limit.unit, limit.max, limit.per) for limit in grant.limits),
            approval=grant.approval,
            prohibitions=tuple(
                _Prohibition(one.id, one.target) for one in scope.prohibitions if one.action == grant.action
            ),
        )
        found.append(from_struct(own))
    return found


def read_details(value: object) -> tuple[Detail, ...]:
    """The objects of an `authorization_details` of any types, once their shape is that of RFC 9396, section 2.

    Raises:
        FormatError: `schema_violation`; `path` says where. OAuth's word for it is `invalid_authorization_details`.
    """
    if not isinstance(value, list):
        raise _wrong("authorization_details: expected an array of objects")
    items = cast("list[Any]", value)
    if len(items) > MAX_DETAILS:
        raise FormatError("too_large", f"authorization_details: at most {MAX_DETAILS} objects, got {len(items)}")
    return tuple(_read(item, Detail, number) for number, item in enumerate(items))


def scope_of_details(value: object, *, contract: Digest) -> Scope:
    """What an `authorization_details` of type `hire_contract` allows under `contract`, as a scope.

    It is for the caller to see that it lies inside the contract's own (`attenuate`): an object says what somebody wants
    or was given, and proves nothing.

    Raises:
        FormatError: `schema_violation`: another type, another contract, an unknown member, or a shape that is none.
    """
    grants: list[Grant] = []
    prohibitions: dict[tuple[str, str, str], Prohibition] = {}
    for number, detail in enumerate(read_details(value)):
        if detail.type != HIRE_CONTRACT:
            raise _wrong(f"expected type {HIRE_CONTRACT}, got {detail.type!r:.80}", number)
        own = _read(cast("list[Any]", value)[number], _Own, number)
        if own.contract_digest != contract:
            raise _wrong("the object is of another contract", number)
        grants.append(_grant(own))
        for one in own.prohibitions:
            said = one.clause, own.actions[0], one.location
            prohibitions[said] = Prohibition(*said)
    return Scope(grants=tuple(grants), prohibitions=tuple(prohibitions.values()))


def _values(grant: Grant, condition: str) -> tuple[str, ...] | None:
    found = grant.conditions.get(condition)
    return None if found is None else tuple(found)


def _grant(own: _Own) -> Grant:
    conditions = {"dataClass": own.datatypes, "egress": own.egress, "region": own.region}
    return Grant(
        own.clause,
        own.actions[0],
        own.locations[0],
        tuple(Limit(limit.unit, limit.max, limit.per) for limit in own.limits),
        Window(not_before=None if own.nbf is None else _instant(own.nbf), until=_instant(own.exp)),
        {name: values for name, values in conditions.items() if values is not None},
        approval=own.approval,
    )


def _read(item: Any, of: type[Any], number: int) -> Any:
    """The object as a struct; in `Detail` the members of its own type are kept apart."""
    if not isinstance(item, dict):
        raise _wrong("expected an object", number)
    members = dict(cast("Mapping[str, Any]", item))
    if of is Detail:
        own = {name: members.pop(name) for name in set(members) - _COMMON}
        members = {**members, "more": own}
    try:
        return convert(members, of)
    except ValidationError as exc:
        raise _wrong(str(exc), number) from exc


def _seconds(instant: Instant) -> int:
    return int(parse_instant(instant).timestamp())


def _instant(seconds: int) -> Instant:
    try:
        return format_instant(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError) as exc:
        raise _wrong(f"{seconds} is no instant") from exc


def _wrong(message: str, number: int | None = None) -> FormatError:
    path = "" if number is None else f"/{number}"
    return FormatError("schema_violation", f"authorization_details: {message}", path=path)
