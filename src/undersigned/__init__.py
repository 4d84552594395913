"""Agents of different organisations hire each other.

    async with Peer.open("acme") as peer:
        result = await peer.hire(provider, task="sbom", inputs={"artifact": path}, price="5.00 EUR")

Importing this loads the standard library and msgspec; each public name is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from undersigned.bridges.gate_rules import read_rules
    from undersigned.contract import Milestone, Settlement
    from undersigned.credentials import Ceiling
    from undersigned.daemon import (
        GRANTED,
        AsgiGate,
        Hire,
        HireResult,
        Peer,
        RemoteDesk,
        RequestGate,
        SyncPeer,
        aiohttp_gate,
    )
    from undersigned.errors import UndersignedError
    from undersigned.evidence import verify_pack
    from undersigned.runtime import (
        Event,
        Home,
        Job,
        Organisation,
        Reviewed,
        Wanted,
        create_home,
        current_job,
        guard,
        issue_membership,
    )
    from undersigned.scope import Grant, Limit, Obligation, Prohibition, Scope, Window
    from undersigned.trust import Decision, Policy

__all__ = [
    "GRANTED",
    "AsgiGate",
    "Ceiling",
    "Decision",
    "Event",
    "Grant",
    "Hire",
    "HireResult",
    "Home",
    "Job",
    "Limit",
    "Milestone",
    "Obligation",
    "Organisation",
    "Peer",
    "Policy",
    "Prohibition",
    "RemoteDesk",
    "RequestGate",
    "Reviewed",
    "Scope",
    "Settlement",
    "SyncPeer",
    "UndersignedError",
    "Wanted",
    "Window",
    "aiohttp_gate",
    "create_home",
    "current_job",
    "guard",
    "issue_membership",
    "read_rules",
    "verify_pack",
]

__version__ = "0.1.0"

_WHERE = {
    "undersigned.contract": ("Milestone", "Settlement"),
    "undersigned.credentials": ("Ceiling",),
    "undersigned.bridges.gate_rules": ("read_rules",),
    "undersigned.daemon": (
        "GRANTED",
        "AsgiGate",
        "Hire",
        "HireResult",
        "Peer",
        "RemoteDesk",
        "RequestGate",
        "SyncPeer",
        "aiohttp_gate",
    ),
    "undersigned.errors": ("UndersignedError",),
    "undersigned.evidence": ("verify_pack",),
    "undersigned.runtime": (
        "Event",
        "Home",
        "Job",
        "Organisation",
        "Reviewed",
        "Wanted",
        "create_home",
        "current_job",
        "guard",
        "issue_membership",
    ),
    "undersigned.scope": ("Grant", "Limit", "Obligation", "Prohibition", "Scope", "Window"),
    "undersigned.trust": ("Decision", "Policy"),
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names}


if not TYPE_CHECKING:  # or to a type checker each misspelt name would be one that this module has

    def __getattr__(name: str) -> Any:
        module = _MODULE.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
