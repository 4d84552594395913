"""Own messages as they leave: signed, and with a new proof where the one they were stored with holds no more."""

from __future__ import annotations

from typing import Final

from undersigned.encoding import Did, Instant, shift
from undersigned.errors import LocalProtocolError
from undersigned.ledger import Ledger
from undersigned.messages import Message, VerifiedMessage, draft, recorded_message
from undersigned.proof import first_suite
from undersigned.protocol import IDLE, Talks
from undersigned.transport import Identity

from .loading import Loaded, load_engagement

__all__ = ["agreed_suite", "bound_to_key", "cannot_sign", "renew_proof", "require_suite", "sign_message"]

PROOF_SECONDS: Final = 3600
"""How long the proof of a message is good for; the same content can be signed again after that."""
BOUND: Final = frozenset({"Offer", "Acceptance"})
"""Moves in which our proof on a document stands. Their digest covers it: it is never made again."""
LOGGED: Final = frozenset({"Seal", "Closing"})
"""Moves in which our signature under a log stands. It holds by any key that the other side has known here."""


async def bound_to_key(ledger: Ledger, own: Did, method: str) -> tuple[Message, ...]:
    """Own moves under contracts of ours that carry a proof by this key on a document, and that the other side is not
    known to have, or has not answered. Without the key they are refused, or what accepts them is, and so is what is
    said after that where its place is not freed: that of an `Offer` is not once the other side has moved (HIRE-NEG-19),
    that of an `Acceptance` never. So is what carries our signature under a log by a key under which the other side is
    not known to have had anything (HIRE-LOG-22).

    Raises:
        LedgerError: `store_corrupt`.
    """
    found: list[Message] = []
    for summary in await ledger.summaries(live_only=True):
        if summary.contract is None:
            continue  # a negotiation ends by it, and nothing is owed
        rows = [row for row in await ledger.outbox(summary.engagement) if row.type in BOUND | LOGGED]
        if not rows and summary.lane == IDLE:
            continue
        loaded = await load_engagement(ledger, summary, own)
        engagement, tabled = loaded.engagement, loaded.engagement.tabled
        # What the other side says that it has seen has no receipt of its own.
        waiting = [recorded_message(row.raw).message for row in rows if row.digest in engagement.outbox]
        if _had_by(method, loaded):
            waiting = [move for move in waiting if move.type not in LOGGED]
        if tabled is not None and tabled.owner == engagement.role:
            ours = [move for move in loaded.moves if move.type == "Offer" and move.role == engagement.role]
            waiting += [move for move in ours[-1:] if move.sequence not in {one.sequence for one in waiting}]
        found += [move for move in waiting if move.proof is not None and move.proof.verification_method == method]
    return tuple(found)


def _had_by(method: str, loaded: Loaded) -> bool:
    """Whether the other side is known to have a move of ours that this key signed."""
    engagement = loaded.engagement
    own = [move for move in loaded.moves if move.role == engagement.role]
    had = own[: len(own) - len(engagement.outbox)]
    return any(move.proof is not None and move.proof.verification_method == method for move in had)


def cannot_sign(kind: str, talks: Talks | None) -> str | None:
    """Why a key of this kind can sign nothing that is said where this was agreed; None if it can. The other side takes
    no other suite (HIRE-PRF-02).
    """
    if talks is None or not talks.suite or first_suite((talks.suite,), kind) is not None:
        return None
    return (
        f"it was agreed to sign by {talks.suite}, which the key of now, {kind}, cannot: nothing can be said in this "
        "engagement, and no books be closed, until a key of the kind before is in its place again"
    )


def require_suite(identity: Identity, talks: Talks | None) -> None:
    """Returns if our key can sign what is said where this was agreed.

    Raises:
        LocalProtocolError: `suite_not_allowed`: it was replaced by one of another kind since.
    """
    if talks is not None and talks.suite == identity.suite:
        return
    why = cannot_sign(identity.kind, talks)
    if why is not None:
        raise LocalProtocolError("suite_not_allowed", why)


def agreed_suite(identity: Identity, talks: Talks | None) -> str:
    """By which what a message carries is signed: the one that was agreed on; before that, our own."""
    return talks.suite if talks is not None and talks.suite else identity.suite


async def sign_message(message: Message, identity: Identity, talks: Talks | None, now: Instant) -> VerifiedMessage:
    """The message with our proof, by the suite that was agreed on; before that by the one of those that were offered
    which the `Profile` will choose.

    Raises:
        LocalProtocolError: As `require_suite`.
    """
    unsigned = draft(
        message,
        method=identity.method,
        suite=_suite(identity, talks),
        kind=identity.kind,
        created=now,
        expires=shift(now, PROOF_SECONDS),
    )
    return unsigned.signed(await identity.sign(unsigned.to_sign))


async def renew_proof(raw: bytes, identity: Identity, talks: Talks | None, now: Instant) -> bytes:
    """The stored bytes; if their proof is past its end or by a key that was replaced, the same content with a new one
    (rule C9).

    Raises:
        LocalProtocolError: As `require_suite`.
    """
    message = recorded_message(raw)
    proof = message.message.proof
    suite = None
    if proof is not None:
        if proof.expires > now and proof.verification_method == identity.method:
            return raw
        # A key of another kind signs by another suite, as long as none was agreed on.
        suite = first_suite((proof.cryptosuite,), identity.kind)
    again = draft(
        message.message,
        method=identity.method,
        suite=suite or _suite(identity, talks),
        kind=identity.kind,
        created=now,
        expires=shift(now, PROOF_SECONDS),
    )
    return again.signed(await identity.sign(again.to_sign)).raw


def _suite(identity: Identity, talks: Talks | None) -> str:
    if talks is None or talks.suite == identity.suite:
        return identity.suite
    require_suite(identity, talks)
    return talks.suite or first_suite(talks.offered_suites, identity.kind) or identity.suite
