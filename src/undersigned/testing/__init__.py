"""The kit for tests of hires: actors with real keys, playbooks of two parties, a clock by hand, a hostile network.

Nothing here patches anything, and what chance decides comes from a seed. Actors, playbooks and the network in memory
neither sleep nor open a socket. For peers that run on real sockets there are wires and carriers to put between them,
and time that runs faster.
"""

from __future__ import annotations

from undersigned.testing.actors import SUITE, Actor
from undersigned.testing.attacker import GUILD, LOOSE, Attacker, Known, Line, Told, vouched
from undersigned.testing.carriers import Carried, Carrier, Meddler, Mischief, Queue, Rewriter, Session
from undersigned.testing.changes import (
    amendment,
    approval,
    approval_request,
    breach,
    dispute,
    release,
    resume,
    ruling,
    suspend,
)
from undersigned.testing.clock import NOON, HandClock, SkewedClock, minutes
from undersigned.testing.hurry import HurriedClock, hurry
from undersigned.testing.moves import (
    ARBITER,
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
from undersigned.testing.wire import Break, Direction, Stall, Wire, WireFaults
from undersigned.transport import free_ports

__all__ = [
    "ARBITER",
    "ARTIFACT",
    "GUILD",
    "LOOSE",
    "NOON",
    "PATHS",
    "SUITE",
    "Actor",
    "Attacker",
    "Break",
    "Carried",
    "Carrier",
    "Direction",
    "HandClock",
    "HurriedClock",
    "Known",
    "Line",
    "Meddler",
    "Mischief",
    "Network",
    "Parcel",
    "Party",
    "Playbook",
    "Queue",
    "Rewriter",
    "Say",
    "Session",
    "Side",
    "SkewedClock",
    "Stall",
    "Told",
    "Wire",
    "WireFaults",
    "acceptance",
    "amendment",
    "approval",
    "approval_request",
    "bid",
    "breach",
    "cancel",
    "closing",
    "delivery",
    "dispute",
    "free_ports",
    "hurry",
    "inquiry",
    "minutes",
    "offer",
    "presentation",
    "problem",
    "profile",
    "progress",
    "receipt",
    "release",
    "resume",
    "review",
    "ruling",
    "seal",
    "start",
    "suspend",
    "sync",
    "terminate",
    "terms_for",
    "vouched",
    "withdraw",
]
