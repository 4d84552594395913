"""Effects: what `pending` asks the shell to do now.

The whole list, in the order in which `pending` gives them:

* `Reserve(name, digest, until)`: hold capacity (provider) or budget (hirer) under the offer's digest. `name` says for
  what: `bid` (digest of the `Bid`), `offer` (ours stands), `acceptance` (ours waits for its answer) or `contract`.
  The digest is the reservation's id: reserving it again only moves `until`.
* `Free(name, digest)`: give that reservation back; `name` says of what: `contract`, once that is at its end, or
  `reservation`.
* `Work(contract, start, cursor)`: provider: begin or resume the work; `cursor` is the last one noted or sent, or None.
* `Owe(moves, by, reason)`: this side must make one of `moves`. With a `reason` there is only one thing to say and it
  says it: `Withdraw` with that reason, `Terminate` with that cause, `Closing` with that basis. Without one, the
  application decides; `by` is when its time is up, or None if nothing ends it. Beside what the state asks for there may
  be one `about` the document in the lane, and one for each open request for approval.
* `Acknowledge(of, due)`: a `Receipt` for these moves of the peer is due now. Sending any move or notice that has
  `seen` them does as well.
* `Repeat(digest, attempt)`: send this own move again, the same content. It comes up in growing intervals
  (`REPEAT_SECONDS`) after the move was sent; a resend asked for by a peer's `Sync` is apart from that.
* `Missed(since)`: hirer: the provider, which works, was not heard of for one `heartbeat`; to be noted and told.
  After three the state owes its end, see `Owe`.
* `Cascade(child, move, names)`: say `move` to a hire under this contract, because of the move `names` about it.
* `Finished()`: nothing is owed by anybody, and everything has its receipt or a day has passed; the engagement can be
  put away.

`pending` looks at the state and not at the step that led there: as long as the state lasts it gives the same effects
with the same keys, after a restart too. So the shell remembers, for as long as it runs, the keys it has served and
serves each once; after a restart it serves them again, which does no harm. `Noted("done", key)` and, for a reservation
that was given back, `Noted("freed", digest)` are optional: they let `pending` stop asking for good.

One answer comes from an error and not from here: when `apply` refuses a received `Acceptance` with `terms_mismatch`,
the refused move is not in the journal, and the shell sends `Withdraw` with that reason (rule N9).

Source: protocol-spec/05-negotiation.md, section 5.6
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from undersigned.encoding import Digest, EngagementId, Instant

__all__ = [
    "REPEATED_FOR_SECONDS",
    "REPEAT_SECONDS",
    "Acknowledge",
    "Cascade",
    "Effect",
    "Finished",
    "Free",
    "Missed",
    "Owe",
    "Repeat",
    "Reserve",
    "Work",
    "effect_key",
]

REPEAT_SECONDS = (5, 15, 45, 120, 300)
"""Seconds from one sending of an unanswered move to the next; the last goes on for a day."""

REPEATED_FOR_SECONDS = 24 * 3600
"""After so long one repeat a day is enough. Whoever was not there opens a connection when it is, and that says all;
whoever is there and takes none of it, as where its store or ours went back, hears no more for being told more often.
"""


class Reserve(Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """Hold capacity or budget until the end of `until`, inclusive."""

    key: str
    name: str
    digest: Digest
    until: Instant


class Free(Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """Give a reservation back."""

    key: str
    name: str
    """`contract`: what the contract committed, once it is at its end; else `reservation`."""
    digest: Digest


class Work(Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """Do the work of this contract, from the cursor if there is one."""

    key: str
    contract: Digest
    start: Digest
    """Digest of the `Start`."""
    cursor: str | None
    round: int = 1
    """1, and one more after each rework; the `round` of the `Delivery` that this leads to."""


class Owe(Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """Make one of these moves."""

    key: str
    moves: tuple[str, ...]
    by: Instant | None
    reason: str | None = None
    about: Digest | None = None
    """The offer in the lane that has to be answered, or the request for approval; None: what the state asks for."""


class Acknowledge(Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """Send a `Receipt` for these moves, oldest first."""

    key: str
    of: tuple[Digest, ...]
    due: Instant


class Repeat(Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """Send this own move again: the bytes as they were, or signed anew if the proof is past its `expires` (rule C9)."""

    key: str
    digest: Digest
    attempt: int
    """1, 2, …; each has a key of its own."""


class Cascade(Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """Say the same to a child: what happened to its parent happens to it. Noted as done once the child was told."""

    key: str
    child: EngagementId
    move: Literal["Suspend", "Resume", "Cancel", "Terminate"]
    names: Digest
    """The parent's move."""


class Missed(Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """Note that a sign of life did not come; once for each silence."""

    key: str
    since: Instant
    """When the provider was last heard of."""


class Finished(Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """Nothing is left to do."""

    key: str


Effect: TypeAlias = Reserve | Free | Work | Owe | Acknowledge | Repeat | Missed | Cascade | Finished


def effect_key(name: str, digest: Digest | None) -> str:
    """The key of an effect that is called `name` and is about what has this digest."""
    return f"{name}:{digest or '-'}"
