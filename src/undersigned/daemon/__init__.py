"""The peer daemon: the public listener and what is served behind it."""

from undersigned.daemon.listener import (
    ArtifactRequest,
    ArtifactResponse,
    Document,
    ListenerLimits,
    PublicListener,
)

__all__ = ["ArtifactRequest", "ArtifactResponse", "Document", "ListenerLimits", "PublicListener"]
