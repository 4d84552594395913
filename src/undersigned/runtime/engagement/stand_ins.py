"""Credentials that stand in the place of those that the other side showed when a contract was made.

Source: protocol-spec/02-identity-and-keys.md, section 2.14
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from undersigned.credentials import Credential, ShownPresentation, counts, read_credential, read_presentation
from undersigned.encoding import Digest, EngagementId
from undersigned.messages import Presentation

from .conversation import Conversation
from .turn import value_in

__all__ = ["RENEWED", "StandIn", "as_shown", "origin_of", "stand_ins", "standing"]

RENEWED: Final = "renewed"
"""The fact of a contract's journal that says which."""


class StandIn(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that stands in the place of one that was shown under a contract."""

    renews: Digest
    """The one that was shown when the contract was made."""
    credential: dict[str, Any]
    """The one that stands for it now, as it was shown."""
    engagement: EngagementId
    """Where it was shown."""
    presentation: Digest


def stand_ins(conversation: Conversation) -> tuple[StandIn, ...]:
    """Those of the other side, as this contract's journal has them."""
    noted = value_in(conversation.facts, RENEWED, dict[str, tuple[StandIn, ...]])
    return noted["standIns"] if noted is not None else ()


def as_shown(conversation: Conversation, role: str) -> ShownPresentation:
    """What a side showed, without what counted for nothing when that was recorded. It was verified before.

    Raises:
        LocalProtocolError: It has shown nothing yet.
    """
    shown = read_presentation(conversation.last("Presentation", Presentation, role).presentation)
    at = conversation.shown_at[role]
    return shown._replace(credentials=tuple([one for one in shown.credentials if counts(one, at)]))


def standing(conversation: Conversation, shown: tuple[Credential, ...]) -> tuple[Credential, ...]:
    """What the other side showed under a contract, each replaced by what stands in its place."""
    instead = {one.renews: one.credential for one in stand_ins(conversation)}
    return tuple(read_credential(instead[one.digest]) if one.digest in instead else one for one in shown)


def origin_of(conversation: Conversation, credential: Digest) -> Digest:
    """The credential that was shown when the contract was made, and in whose place this one stands."""
    for one in stand_ins(conversation):
        if read_credential(one.credential).digest == credential:
            return one.renews
    return credential
