"""How often a provider says that its work goes on.

Source: protocol-spec/10-security.md, section 10.4
"""

from __future__ import annotations

from typing import Final

from undersigned.encoding import parse_duration
from undersigned.protocol import Engagement

__all__ = ["progress_seconds"]

PROGRESS_SECONDS: Final = 5.0


def progress_seconds(engagement: Engagement) -> float:
    """Seconds from one `Progress` to the next by the terms in force; two still fit into a short heartbeat."""
    if engagement.offer is None:
        return PROGRESS_SECONDS
    return min(PROGRESS_SECONDS, parse_duration(engagement.offer.terms.deadlines.heartbeat) / 2)
