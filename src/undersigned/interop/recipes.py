"""How each move is written where it is not the honest next one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from undersigned.testing import changes, moves

from .hiring import NEVER

__all__ = ["RECIPES"]

RECIPES: Final[dict[str, Callable[[], moves.Say]]] = {
    "Inquiry": lambda: moves.inquiry(nonce="u" + "A" * 43),
    "Profile": moves.profile,
    "Presentation": moves.presentation,
    "Bid": moves.bid,
    "Offer": moves.offer,
    "Acceptance": moves.acceptance,
    "Seal": moves.seal,
    "Withdraw": moves.withdraw,
    "Start": moves.start,
    "ApprovalRequest": changes.approval_request,
    "Approval": changes.approval,
    "Suspend": changes.suspend,
    "Resume": changes.resume,
    "Cancel": moves.cancel,
    "Delivery": moves.delivery,
    "Review": moves.review,
    "Closing": moves.closing,
    "Breach": changes.breach,
    "Terminate": moves.terminate,
    "Dispute": changes.dispute,
    "Ruling": changes.ruling,
    "Problem": lambda: moves.problem(NEVER),
    "Receipt": moves.receipt,
    "Sync": moves.sync,
    "Progress": moves.progress,
    "Amendment": changes.amendment,
    "Release": changes.release,
}
