"""The peer daemon: an agent behind a public listener."""

from undersigned.daemon.answers import ArtifactRequest, ArtifactResponse, Document
from undersigned.daemon.door import more_files
from undersigned.daemon.gate_aiohttp import GRANTED, aiohttp_gate
from undersigned.daemon.gate_asgi import AsgiGate
from undersigned.daemon.gate_desk import Ask, Desk, GateDesk, Granted
from undersigned.daemon.gate_proxy import GateProxy
from undersigned.daemon.gate_remote import RemoteDesk
from undersigned.daemon.gating import Gatekeeper, RequestGate
from undersigned.daemon.listener import ListenerLimits, PublicListener
from undersigned.daemon.mcp_http import HttpGate
from undersigned.daemon.mcp_passage import Passage
from undersigned.daemon.mcp_stdio import GateLimits, StdioGate, standard_streams
from undersigned.daemon.near import checked_server
from undersigned.daemon.peer import Peer
from undersigned.daemon.registry import RegistryServer
from undersigned.daemon.serving import signed_headers
from undersigned.daemon.sync_peer import SyncPeer
from undersigned.daemon.witness import WitnessBook, WitnessServer
from undersigned.runtime import Hire, HireResult, needed_text, unread, unresolved

__all__ = [
    "GRANTED",
    "ArtifactRequest",
    "ArtifactResponse",
    "AsgiGate",
    "Ask",
    "Desk",
    "Document",
    "GateDesk",
    "GateLimits",
    "GateProxy",
    "Gatekeeper",
    "Granted",
    "Hire",
    "HireResult",
    "HttpGate",
    "ListenerLimits",
    "Passage",
    "Peer",
    "PublicListener",
    "RegistryServer",
    "RemoteDesk",
    "RequestGate",
    "StdioGate",
    "SyncPeer",
    "WitnessBook",
    "WitnessServer",
    "aiohttp_gate",
    "checked_server",
    "more_files",
    "needed_text",
    "signed_headers",
    "standard_streams",
    "unread",
    "unresolved",
]
