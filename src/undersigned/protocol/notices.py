"""What a notice lets us know: what the peer has, that it still lives, or that it refused a move of ours for good.

Source: protocol-spec/04-envelope-and-digests.md, section 4.3
"""

from __future__ import annotations

from msgspec.structs import replace

from undersigned.encoding import Digest, Instant
from undersigned.messages import Message, Problem, Progress, Receipt
from undersigned.protocol.engagement import Contract, Engagement, Pause
from undersigned.protocol.facts import Changes
from undersigned.protocol.states import PROVIDER, STANDING

__all__ = ["after_notice", "unreceipted"]


def after_notice(engagement: Engagement, notice: Message, mine: bool, at: Instant, seen: int) -> Engagement:
    """What a notice lets us know: what the peer has, that somebody still lives, or that a move is refused for good."""
    changes: Changes = {"last_at": at}
    if isinstance(notice, Receipt):
        chain = engagement.got if mine else engagement.sent
        seen = max([seen, *(chain.index(of) + 1 for of in notice.of if of in chain)])
        if notice.waiting is not None:
            waiting = notice.waiting
            changes["pause"] = Pause(role=notice.role, waits_for=waiting.for_, until=waiting.until)
    if mine:
        if seen > engagement.answered:
            changes["answered"] = seen
        if seen >= len(engagement.got):
            changes.update(unanswered_since=None, answer_follows=True)
    else:
        # What it says to have seen before a place, a move in that place has seen too. A notice that counts moves which
        # are not recorded yet says nothing about those: they were made before it, and a carrier was slower with them.
        saw = max(engagement.peer_saw, seen) if notice.sequence <= len(engagement.got) else engagement.peer_saw
        if isinstance(notice, Problem) and notice.final and _gives_way(engagement, notice.of):
            place, before = engagement.sent.index(notice.of), engagement.before
            while before is not None and len(before.sent) > place:
                before = before.before
            if before is not None:
                # N9: its place is free again, with those of what we said after it, which the peer cannot have recorded
                # either; and everything is as it was before it, but for what was noted or heard meanwhile.
                was, now = before.contract, engagement.contract
                if was is not None and now is not None:
                    heard = {"heard_at": now.heard_at, "listens_since": now.listens_since, "progress": now.progress}
                    was = replace(was, children=now.children, cursor=now.cursor, **heard)
                kept = {"reserved": engagement.reserved, "peer_saw": min(saw, place)}
                return replace(before, last_at=at, contract=was, **kept)
        changes.update(unreceipted=unreceipted(engagement, seen), peer_saw=saw)
        if seen >= len(engagement.sent):
            changes["before"] = None
    contract = engagement.contract
    if isinstance(notice, Progress) and contract is not None and _is_news(notice, contract):
        cursor = notice.cursor or contract.cursor
        changes["contract"] = replace(contract, progress=notice.number, heard_at=at, cursor=cursor)
    return replace(engagement, **changes)


def unreceipted(engagement: Engagement, seen: int) -> tuple[Instant, ...]:
    """When the own moves beyond so many were sent, which the peer has not said it has."""
    keep = len(engagement.sent) - seen
    return engagement.unreceipted[-keep:] if keep > 0 else ()


def _gives_way(engagement: Engagement, refused: Digest) -> bool:
    """Whether a move of ours that the peer refused for good gives up its place (N9)."""
    if refused not in engagement.outbox:
        return False
    sequence = engagement.sent.index(refused) + 1
    return any(
        own.sequence == sequence and (own.kind not in STANDING or own.case == "lane") for own in engagement.crossing
    )


def _is_news(notice: Progress, contract: Contract) -> bool:
    of_this = notice.role == PROVIDER and notice.contract == contract.digest
    return of_this and notice.number > contract.progress
