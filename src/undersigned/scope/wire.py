"""The scope as it travels: rules and constraints shaped like ODRL 2.2, every node with an id below the document's.

People do not write this form; `compile_scope` does, and `read_scope` reads it back. Sets are arrays sorted by id, so
one scope has one spelling. An empty set is absent and never `[]`: both would be the same quads. A constraint always has
a set of right operands, also when there is one, so that a member has one JSON type.

Source: protocol-spec/06-scope.md, section 6.2
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

__all__ = [
    "ACTION_PATTERN",
    "MAX_RULES",
    "NAME_PATTERN",
    "OBTAIN_CONSENT",
    "SKETCH_BASE",
    "WireConstraint",
    "WireDuty",
    "WireRule",
    "WireScope",
]

MAX_RULES: Final = 64
MAX_CONSTRAINTS: Final = 32

SKETCH_BASE: Final = "urn:hire:sketch"
"""Ids of a sketch begin with this: an `Inquiry` has no contract document whose name they could carry."""

NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,63}(?!\n)$"
"""Short name of a rule; its id is the document's id, `#`, and this."""

ACTION_PATTERN: Final = r"^[a-z][a-z0-9.-]{0,31}:[a-z0-9][a-z0-9._/-]{0,94}(?!\n)$"
"""An absolute IRI in its only spelling: lower case, no percent signs."""

OBTAIN_CONSENT: Final = "http://www.w3.org/ns/odrl/2/obtainConsent"
"""What has to be done before a grant with an approval clause is used: ODRL's word for a person's yes."""

_LONG = 512  # document id (engagement, role, place), `#` and the names behind it
_Id = Annotated[str, Meta(min_length=1, max_length=_LONG)]


class WireConstraint(
    Struct, frozen=True, kw_only=True, gc=False, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """One condition that an action has to meet (`odrl:Constraint`)."""

    id: _Id
    left_operand: Literal["amount", "count", "dataClass", "dateTime", "egress", "payAmount", "region"]
    """`count` of uses, `payAmount` of money (`unit`: currency), `amount` of anything else (`unit`: what), the instant
    of use, and the three conditions. A scope that names another is refused whole: it may be the one that narrows.
    """
    operator: Literal["gteq", "isAnyOf", "lteq"]
    right_operand: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...], Meta(min_length=1, max_length=64)
    ]
    """A set: sorted by code point, no repeats; one value unless the operator is `isAnyOf`."""
    unit: Annotated[str, Meta(pattern=r"^([A-Z]{3}|[a-z][a-z0-9-]{0,31})(?!\n)$")] | None = None
    per: Annotated[str, Meta(max_length=32)] | None = None
    """Duration of the period in which the limit counts anew, as in `PT1M`; absent: the whole contract."""


class WireDuty(
    Struct, frozen=True, kw_only=True, gc=False, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """What has to be done each time before a grant is used (`odrl:Duty`): a person of the hirer has to agree."""

    id: _Id
    action: Literal["http://www.w3.org/ns/odrl/2/obtainConsent"]


class WireRule(
    Struct, frozen=True, kw_only=True, gc=False, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """One grant, prohibition or obligation (`odrl:Permission`, `odrl:Prohibition`, `odrl:Duty`)."""

    id: _Id
    action: Annotated[str, Meta(pattern=ACTION_PATTERN)]
    target: Annotated[str, Meta(min_length=1, max_length=2048)]
    constraint: Annotated[tuple[WireConstraint, ...], Meta(min_length=1, max_length=MAX_CONSTRAINTS)] = ()
    """A set, sorted by id."""
    duty: Annotated[tuple[WireDuty, ...], Meta(min_length=1, max_length=1)] = ()
    """Of a grant: its approval clause, a set of one."""


class WireScope(
    Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    rename="camel",
    forbid_unknown_fields=True,
    omit_defaults=True,
    cache_hash=True,
):
    """What the provider may do (`odrl:Set`): nothing that no grant allows or a prohibition names."""

    id: _Id
    type: Literal["Scope"]
    grants: Annotated[tuple[WireRule, ...], Meta(min_length=1, max_length=MAX_RULES)] = ()
    prohibitions: Annotated[tuple[WireRule, ...], Meta(min_length=1, max_length=MAX_RULES)] = ()
    obligations: Annotated[tuple[WireRule, ...], Meta(min_length=1, max_length=MAX_RULES)] = ()
    extensions: dict[str, Any] | None = None
    """One JSON literal keyed by URI; what a reader does not know it leaves alone, unless `critical` lists it."""
    critical: Annotated[tuple[str, ...], Meta(min_length=1, max_length=16)] | None = None
    """URIs of the extensions without which the scope must not be used; sorted, no repeats."""
