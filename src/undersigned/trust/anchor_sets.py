"""Anchor sets: what a body publishes for its industry, under its own signature, in numbered versions.

    document = anchor_set(...)                                     # and attach(...) the issuer's proof
    found = verify_set(document, documents=..., now=...)           # or an error

A set counts once it is adopted, by a record (`trust/records.py`).

Source: protocol-spec/12-trust.md, section 12.7
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from undersigned.credentials import signer_keys
from undersigned.did import DidDocument
from undersigned.encoding import Did, DidUrl, Instant, JsonObject, MessageId, canonicalize, from_struct
from undersigned.errors import CredentialError
from undersigned.proof import JCS_SUITES, proof_config, verify_proof
from undersigned.trust.anchors import Anchor
from undersigned.trust.signed import read_signed, write_signed

__all__ = [
    "AnchorChanges",
    "AnchorSet",
    "SignedAnchors",
    "anchor_changes",
    "anchor_set",
    "check_issuer",
    "check_successor",
    "latest_sets",
    "record_config",
    "verify_set",
]


class SignedAnchors(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """What a record and a set have in common."""

    id: MessageId
    version: Literal["1.0"]


class AnchorSet(SignedAnchors, frozen=True, kw_only=True):
    """What a body publishes for its industry, without its proof."""

    issuer: Did
    number: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    """Of the version; a higher one replaces a lower one."""
    published: Instant
    until: Instant | None = None
    """Last second in which any of it is believed."""
    anchors: Annotated[tuple[Anchor, ...], Meta(max_length=1024)]

    @property
    def key(self) -> tuple[Did, str]:
        """What all versions of one set have in common."""
        return self.issuer, self.id

    @property
    def lasting(self) -> tuple[Anchor, ...]:
        """Its anchors, each of which ends with the set."""
        return tuple(_ending(anchor, self.until) for anchor in self.anchors)


def anchor_set(
    *,
    id: str,
    issuer: Did,
    number: int,
    published: Instant,
    anchors: Iterable[Anchor],
    until: Instant | None = None,
) -> JsonObject:
    """A set to be published, without its issuer's proof.

    Raises:
        FormatError: `schema_violation`: a part has another shape.
    """
    ending = {} if until is None else {"until": until}
    listed = [from_struct(anchor) for anchor in anchors]
    return write_signed(
        "AnchorSet", AnchorSet, id=id, issuer=issuer, number=number, published=published, anchors=listed, **ending
    )


def verify_set(document: Mapping[str, Any], *, documents: Mapping[Did, DidDocument], now: Instant) -> AnchorSet:
    """The set, once its issuer signed it and it has not ended.

    Raises:
        FormatError: `too_large`, `schema_violation`, `unknown_term`: not an anchor set.
        CredentialError: `policy_denied`: it has ended; `did_unresolvable`: no document of its issuer in `documents`.
        ProofError: As `verify_proof`.

    Source: protocol-spec/12-trust.md, section 12.7
    """
    found = read_signed(document, "AnchorSet", AnchorSet)
    if found.until is not None and found.until < now:
        raise CredentialError("policy_denied", f"the set ended at {found.until}; it is {now}", path="/until")
    check_issuer(document, found.issuer, documents, now)
    return found


def check_issuer(document: Mapping[str, Any], issuer: Did, documents: Mapping[Did, DidDocument], now: Instant) -> None:
    """Returns if the issuer of a set, or the author of what else is published, has signed it, by its document in
    `documents`.

    Raises:
        CredentialError: `did_unresolvable`: it has none there.
        ProofError: As `verify_proof`.
    """
    lookup = signer_keys((issuer,), documents, now)
    verify_proof(document, key=lookup, purpose="assertionMethod", now=now, suites=JCS_SUITES)


def check_successor(old: AnchorSet, new: AnchorSet) -> None:
    """Returns if `new` may take the place of `old`, or is the same.

    Raises:
        CredentialError: `policy_denied`: of another issuer or id, older, or another content under the same number.
    """
    if old.key != new.key:
        raise CredentialError("policy_denied", f"expected the set {old.id} of {old.issuer}; came another")
    if new.number < old.number or (new.number == old.number and new != old):
        raise CredentialError(
            "policy_denied",
            f"expected a number above {old.number}; came {new.number} with other content",
            path="/number",
        )


def latest_sets(sets: Iterable[AnchorSet]) -> dict[tuple[Did, str], AnchorSet]:
    """Of each issuer and id, the set with the highest number: the others are replaced, wherever they lie.

    Raises:
        CredentialError: `policy_denied`: two of the highest number have different contents.

    Source: protocol-spec/12-trust.md, section 12.7
    """
    found: dict[tuple[Did, str], AnchorSet] = {}
    for one in sorted(sets, key=lambda one: -one.number):
        check_successor(one, found.setdefault(one.key, one))
    return found


class AnchorChanges(Struct, frozen=True, kw_only=True):
    """How one list of anchors differs from another; each part sorted."""

    added: tuple[Anchor, ...]
    removed: tuple[Anchor, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


def anchor_changes(old: Iterable[Anchor], new: Iterable[Anchor]) -> AnchorChanges:
    """What would be believed more, and what no longer. A changed anchor is one removed and one added."""
    before, after = ({canonicalize(from_struct(one)): one for one in anchors} for anchors in (old, new))
    return AnchorChanges(
        added=tuple(after[key] for key in sorted(after.keys() - before.keys())),
        removed=tuple(before[key] for key in sorted(before.keys() - after.keys())),
    )


def record_config(suite: str, method: DidUrl, created: Instant) -> JsonObject:
    """Options of a proof on a record or set."""
    return proof_config(suite, method, "assertionMethod", created)


def _ending(anchor: Anchor, until: Instant | None) -> Anchor:
    ends = [one for one in (anchor.until, until) if one is not None]
    return replace(anchor, until=min(ends, default=None))
