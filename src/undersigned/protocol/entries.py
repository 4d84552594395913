"""Entries: the lines of an engagement's journal, whose fold is its state.

There are three kinds: a message of ours, a message of the peer's, and a fact this side noted. `at` is this side's
clock when the line was written. Every deadline is judged by it, so that folding the journal again gives what it gave
the first time.

Source: protocol-spec/04-envelope-and-digests.md, section 4.3
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from msgspec import Struct

from undersigned.encoding import Instant
from undersigned.messages import VerifiedMessage

__all__ = ["Entry", "Noted", "Received", "Sent"]


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
    """A fact this side noted. The fold uses a few names; any other is kept and changes nothing."""

    name: str
    value: str
    at: Instant


Entry: TypeAlias = Sent | Received | Noted
