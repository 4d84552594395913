"""What a credential claims, and which open engagements rely on somebody who is entitled to claim it.

Source: protocol-spec/12-trust.md, sections 12.3 and 12.7
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from undersigned.credentials import Credential
from undersigned.encoding import Did, EngagementId
from undersigned.trust.authority import authority
from undersigned.trust.edge import KINDS
from undersigned.trust.graph import Reader, answer
from undersigned.trust.viewpoint import Viewpoint

__all__ = ["Lost", "OpenEngagement", "ShownClaim", "losing_their_path", "shown_in"]

_CAPABILITY = {of.claim.type: of.member for of in KINDS.values()}


class ShownClaim(Struct, frozen=True):
    """What a credential claims, as far as belief in its issuer goes."""

    issuer: Did
    credential_type: str
    capability: str | None = None


class OpenEngagement(Struct, frozen=True, kw_only=True):
    """An engagement that is not over: what its policy required, and what the peer showed for it."""

    engagement: EngagementId
    peer: Did
    required: tuple[str, ...]
    """Types of credential, each to be shown once by somebody entitled."""
    shown: tuple[ShownClaim, ...]


class Lost(Struct, frozen=True, kw_only=True):
    """An open engagement that would not be entered any more, and the claims that nobody would entitle."""

    engagement: EngagementId
    peer: Did
    claims: tuple[ShownClaim, ...]


def shown_in(credential: Credential, credential_type: str) -> ShownClaim:
    """The claim of a credential, read as one of this type, which must be among its types."""
    member = _CAPABILITY.get(credential_type, "capability")
    if member is None:
        return ShownClaim(credential.issuer, credential_type)
    named = {str(subject[member]) for subject in credential.subjects if member in subject}
    # Several capabilities are none that one authority covers.
    return ShownClaim(credential.issuer, credential_type, named.pop() if len(named) == 1 else None)


def losing_their_path(
    engagements: Iterable[OpenEngagement], before: Viewpoint, after: Viewpoint, read: Reader
) -> tuple[Lost, ...]:
    """Those that stand by the anchors of `before` and would not by those of `after`; by engagement.

    Source: protocol-spec/12-trust.md, section 12.7
    """
    lost: list[Lost] = []
    for one in sorted(engagements, key=lambda one: one.engagement):
        gone: list[ShownClaim] = []
        for required in one.required:
            claims = [shown for shown in one.shown if shown.credential_type == required]
            held = [shown for shown in claims if _entitled(shown, before, read)]
            if held and not any(_entitled(shown, after, read) for shown in claims):
                gone += held
        if gone:
            lost.append(Lost(engagement=one.engagement, peer=one.peer, claims=tuple(gone)))
    return tuple(lost)


def _entitled(shown: ShownClaim, view: Viewpoint, read: Reader) -> bool:
    asked = authority(shown.issuer, shown.credential_type, shown.capability, view)
    return answer(asked, read).entitled
