"""The kit for tests of hires: actors with real keys, playbooks of two parties, a clock by hand, a hostile network.

Nothing here sleeps, opens a socket or patches anything. Everything made from one seed is the same each time.
"""

from __future__ import annotations

from undersigned.testing.actors import SUITE, Actor
from undersigned.testing.clock import NOON, HandClock, SkewedClock, minutes
from undersigned.testing.moves import (
    ARTIFACT,
    Say,
    acceptance,
    bid,
    cancel,
    closing,
    delivery,
    inquiry,
    offer,
    presentation,
    problem,
    profile,
    progress,
    receipt,
    review,
    seal,
    start,
    sync,
    terminate,
    terms_for,
    withdraw,
)
from undersigned.testing.network import Network, Parcel
from undersigned.testing.party import Party
from undersigned.testing.playbook import PATHS, Playbook, Side

__all__ = [
    "ARTIFACT",
    "NOON",
    "PATHS",
    "SUITE",
    "Actor",
    "HandClock",
    "Network",
    "Parcel",
    "Party",
    "Playbook",
    "Say",
    "Side",
    "SkewedClock",
    "acceptance",
    "bid",
    "cancel",
    "closing",
    "delivery",
    "inquiry",
    "minutes",
    "offer",
    "presentation",
    "problem",
    "profile",
    "progress",
    "receipt",
    "review",
    "seal",
    "start",
    "sync",
    "terminate",
    "terms_for",
    "withdraw",
]
