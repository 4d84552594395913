"""What the books in a pack say is owed, beside what ended the contract leaves owed.

Each side signs its own sum, and of who packs alone nobody else's stands beside it.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from sys import maxsize
from typing import Final

from undersigned.contract import Price, ReleaseDocument, canonical_document, left_owed
from undersigned.encoding import digest_bytes
from undersigned.evidence.case import Case, engagement_of
from undersigned.evidence.changes import terms_at
from undersigned.messages import Closing, Delivery, Offer, Review, Ruling
from undersigned.protocol import Engagement, basis

__all__ = ["books_of"]

ENDED: Final = ("closing", "closed")


def books_of(case: Case) -> tuple[tuple[str, str], ...]:
    """(whose, what is owed, such as `4 EUR`) by the last `Closing` of each side and, as `moves`, by what ended the
    contract; nothing if all say the same. `case` is of a pack that holds.
    """
    closings = [one.message for _, one in case.verified if isinstance(one.message, Closing)]
    owed = {one.role: str(one.settlement) for one in closings}
    engagement = engagement_of(case)
    if owed and engagement.state in ENDED:
        left = _left_owed(case, engagement)
        owed = {**owed, "moves": str(left)}
    return tuple(sorted(owed.items())) if len(set(owed.values())) > 1 else ()


def _left_owed(case: Case, engagement: Engagement) -> Price:
    """By the strongest of what ended it (HIRE-LIF-11, HIRE-PAY-03)."""
    said = [one.message for _, one in case.verified]
    endings, strongest = engagement.contract.endings if engagement.contract is not None else (), basis(engagement)

    def release(digest: str) -> ReleaseDocument:
        offered = [one.document for one in said if isinstance(one, Offer)]
        released = [one for one in offered if isinstance(one, ReleaseDocument)]
        return next(one for one in released if digest_bytes(canonical_document(one)) == digest)

    def met() -> frozenset[str]:
        reviews = [one for one in said if isinstance(one, Review)]
        return frozenset(one.id for one in reviews[-1].criteria if one.met) if reviews else frozenset()

    return left_owed(
        terms_at(case, maxsize),
        strongest,
        next((one.detail for one in endings if one.basis == strongest), ""),
        rulings=lambda: {one.role: one.ruling for one in said if isinstance(one, Ruling)}.values(),
        release=release,
        outcome=lambda: [one for one in said if isinstance(one, Delivery)][-1].outcome,
        met=met,
    )
