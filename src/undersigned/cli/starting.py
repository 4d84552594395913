"""What a peer that was just started tells on the way: where gates ask, whether its clock stands still, what it has to
show and soon will not, and what it goes on with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from undersigned.credentials import Credential
from undersigned.daemon import Peer
from undersigned.encoding import Did, EngagementId, Instant, seconds_between
from undersigned.protocol import ENDED
from undersigned.runtime import GATE_TOKEN, SystemClock, load_engagement, order_in

from .output import Out
from .telling import tell_review
from .words import owed_in_words, plain

__all__ = ["goes_on", "tell_ends", "tell_gates", "tell_held", "tell_unfinished"]

MONTH_SECONDS: Final = 30 * 86_400


def tell_gates(out: Out, peer: Peer) -> None:
    """Where the gates of our servers ask, if they may ask this peer."""
    if peer.gates_url:
        out.line(f"gates ask at {peer.gates_url}, with the token in {peer.home.path / GATE_TOKEN}")


def tell_held(out: Out, peer: Peer) -> None:
    """That the clock stands still, and what that means, for programs; people read it in the log of the peer."""
    if isinstance(peer.clock, SystemClock) and (held := peer.clock.held()) is not None:
        out.value({"kind": "clock", **held._asdict(), "message": str(held)})


def tell_ends(out: Out, peer: Peer) -> None:
    """What a running peer has to show and shows nobody any more, or yet, or soon will not, on standard error: others
    answer that they were shown nothing, and the end of what its organisation said of it is a year away when that is
    said.
    """
    held, now = peer.meeting.wallet.held(), peer.clock.now()
    newest: dict[tuple[str, tuple[str, ...]], Credential] = {}
    for one in held:
        known = newest.setdefault((one.issuer, one.types), one)
        if known.last_instant is not None and (one.last_instant is None or one.last_instant > known.last_instant):
            newest[one.issuer, one.types] = one
    shown = {(one.issuer, one.types) for one in held if one.valid_at(now)}
    for about, one in newest.items():
        end = one.last_instant
        if end is not None and now > end:
            kind, when = "past", f"is past its end, {end}, and is shown to nobody"
        elif about not in shown:  # as where the clock was ahead when it was issued
            kind, when = "begins", f"is good from {plain(one.valid_from, 60)} on, and is shown to nobody before"
        elif end is not None and _ends_soon(one, end, now):
            kind, when = "ends", f"ends at {end}"
        else:
            continue
        text = f"the {plain(', '.join(one.types), 200)} by {plain(one.issuer, 200)} {when}: have it issued anew"
        text += " ('undersigned credentials issue'), and keep that ('undersigned credentials add')"
        out.value({"kind": kind, "credential": one.digest, "from": one.valid_from, "until": end, "message": text})
        out.alarm(text)


def _ends_soon(one: Credential, end: Instant, now: Instant) -> bool:
    """Whether a month is left, or less, and no more than a tenth of its time; not of what is good for days, which
    programs issue anew.
    """
    left, age = seconds_between(now, end), one.age_seconds(now)
    return 0 <= left <= MONTH_SECONDS <= left + age and 9 * left <= age


async def tell_unfinished(out: Out, peer: Peer, did: Did = "", task: str = "") -> None:
    """What a peer that was just started goes on with; and which of it is a hire of the agent `did` for `task`, by us.

    Raises:
        LedgerError: A journal cannot be read.
    """
    unfinished = peer.status()
    for line in goes_on(unfinished):
        out.line(line)
    for one in unfinished:
        waiting = peer.conversations.get(one["engagement"])
        if one["state"] == "delivered" and waiting is not None and "review-failed" in waiting.facts:
            tell_review(out, waiting, peer.home.path)  # nothing of it happens anew, to be told later
        again = one["role"] == "hirer" and one["peer"] == did and one["state"] not in (*ENDED, "closing")
        again = again and await _is_hire_for(peer, one["engagement"], task)
        out.value({"kind": "unfinished", **one, "again": again})
        if again:
            named = one["engagement"]
            out.line(f"{named} hires this agent for {plain(task, 60)}, too: now it is hired again", "yellow")


def goes_on(unfinished: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What a start goes on with, as `Peer.status` has it: a line each, and one of all that is over."""
    over: list[Mapping[str, Any]] = []
    for one in unfinished:
        if one["state"] in ENDED:
            over.append(one)
        else:
            owed = owed_in_words(one["moves"], one["owes"], one["by"], one["why"]) if one["owes"] else one["why"]
            yield f"goes on with {one['engagement']}: {one['state']}; {owed}"
    again = "has not confirmed: it is told again, for a day at most, or eight minutes if it never said anything"
    if len(over) == 1:
        (one,) = over
        yield f"{one['engagement']} is {one['state']}, which {one['peer']} {again}"
    elif over:
        yield f"{len(over)} engagements are over, which the other side {again}"


async def _is_hire_for(peer: Peer, engagement: EngagementId, task: str) -> bool:
    """Whether the order of an engagement asks for `task` to be done, and not only what policy says."""
    summary = await peer.ledger.summary(engagement)
    if summary is None:
        return False
    facts = (await load_engagement(peer.ledger, summary, peer.own.id)).facts
    order = order_in(facts)
    return order is not None and order.task == task and not order.probe
