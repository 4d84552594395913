"""The peer daemon: an agent behind a public listener."""

from undersigned.daemon.mcp_desk import GateDesk, Requester
from undersigned.daemon.hire import Hire, HireResult, needed_text
from undersigned.daemon.listener import (
    ArtifactRequest,
    ArtifactResponse,
    Document,
    ListenerLimits,
    PublicListener,
)
from undersigned.daemon.mcp_http import HttpGate
from undersigned.daemon.mcp_passage import Passage
from undersigned.daemon.mcp_stdio import GateLimits, StdioGate, standard_streams
from undersigned.daemon.peer import Peer, SyncPeer
from undersigned.daemon.registry import RegistryServer

__all__ = [
    "ArtifactRequest",
    "ArtifactResponse",
    "Document",
    "GateDesk",
    "GateLimits",
    "Hire",
    "HireResult",
    "HttpGate",
    "ListenerLimits",
    "Passage",
    "Peer",
    "PublicListener",
    "RegistryServer",
    "Requester",
    "StdioGate",
    "SyncPeer",
    "needed_text",
    "standard_streams",
]
