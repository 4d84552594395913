"""The peer daemon: an agent behind a public listener."""

from undersigned.daemon.gate_aiohttp import GRANTED, aiohttp_gate
from undersigned.daemon.gate_asgi import AsgiGate
from undersigned.daemon.gate_desk import Ask, Desk, GateDesk, Granted, RemoteDesk
from undersigned.daemon.gate_proxy import GateProxy
from undersigned.daemon.gating import RequestGate
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
    "GRANTED",
    "ArtifactRequest",
    "ArtifactResponse",
    "AsgiGate",
    "Ask",
    "Desk",
    "Document",
    "GateDesk",
    "GateProxy",
    "Granted",
    "Hire",
    "HireResult",
    "ListenerLimits",
    "Peer",
    "PublicListener",
    "RegistryServer",
    "RemoteDesk",
    "RequestGate",
    "SyncPeer",
    "aiohttp_gate",
    "needed_text",
    "unresolved",
]
