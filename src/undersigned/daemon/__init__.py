"""The peer daemon: an agent behind a public listener."""

from undersigned.daemon.hire import Hire, HireResult, needed_text, unresolved
from undersigned.daemon.listener import (
    ArtifactRequest,
    ArtifactResponse,
    Document,
    ListenerLimits,
    PublicListener,
)
from undersigned.daemon.peer import Peer, SyncPeer
from undersigned.daemon.registry import RegistryServer

__all__ = [
    "ArtifactRequest",
    "ArtifactResponse",
    "Document",
    "Hire",
    "HireResult",
    "ListenerLimits",
    "Peer",
    "PublicListener",
    "RegistryServer",
    "SyncPeer",
    "needed_text",
    "unresolved",
]
