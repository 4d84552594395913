"""The peer daemon: an agent behind a public listener."""

from undersigned.daemon.hire import Hire, HireResult, needed_text
from undersigned.daemon.listener import (
    ArtifactRequest,
    ArtifactResponse,
    Document,
    ListenerLimits,
    PublicListener,
)
from undersigned.daemon.peer import Peer, SyncPeer

__all__ = [
    "ArtifactRequest",
    "ArtifactResponse",
    "Document",
    "Hire",
    "HireResult",
    "ListenerLimits",
    "Peer",
    "PublicListener",
    "SyncPeer",
    "needed_text",
]
