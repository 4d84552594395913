"""Entries: the lines of an engagement's journal, whose fold is its state.

There are three kinds: a message of ours, a message of the peer's, and a fact this side noted. `at` is this side's
clock when the line was written. Every deadline is judged by it, so that folding the journal again gives what it gave
the first time.

Source: protocol-spec/04-envelope-and-digests.md, section 4.3
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final, TypeAlias

from msgspec import Struct

from undersigned.encoding import Instant
from undersigned.messages import VerifiedMessage

__all__ = ["FACTS", "Entry", "Noted", "Received", "Sent"]


class Sent(Struct, frozen=True, gc=False):
    """A message of ours, signed and about to be committed."""

    mine: ClassVar[bool] = True
    """Whether this side said it."""
    message: VerifiedMessage
    at: Instant


class Received(Struct, frozen=True, gc=False):
    """A message of the peer's, verified and about to be committed."""

    mine: ClassVar[bool] = False
    message: VerifiedMessage
    at: Instant


class Noted(Struct, frozen=True, gc=False):
    """A fact this side noted. `FACTS` lists the names that the fold uses; any other is kept and changes nothing."""

    name: str
    value: str
    at: Instant


Entry: TypeAlias = Sent | Received | Noted

FACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "child": "a hire that was begun under the contract, as JSON; again once it is over, with its `outcome`",
        "cursor": "where the provider's work can resume, in its own words",
        "done": "key of an effect that need not be asked for again",
        "freed": "digest under which a reservation was given back",
        "waived": "name of a deadline, missed by the peer, that is forgiven",
    }
)
"""Names of facts that the fold uses, and what their value is."""
