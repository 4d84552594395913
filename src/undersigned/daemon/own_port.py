"""What the operator of an agent is told about the port that it listens on: who has it, and who looks for it elsewhere.

Source: protocol-spec/03-connection.md
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from undersigned.did import fetches
from undersigned.encoding import Did
from undersigned.errors import ConfigurationError, LedgerUnavailable
from undersigned.ledger import require_unwritten
from undersigned.runtime import Home

__all__ = ["compare_port", "otherwise", "require_alone"]

_log = structlog.get_logger()


def compare_port(did: Did, port: int) -> None:
    """Tells the operator where a local DID names another port: whoever looks it up dials that one, and takes us for
    somebody else if it finds nothing there.
    """
    looked_for = {urlsplit(url).port for url in fetches(did, local=True) if urlsplit(url).hostname == "localhost"}
    for named in looked_for - {port}:
        hint = f"set port = {named} under [listen] of the settings, or have that port lead here"
        # An error: `hire` tells no warnings, and what it is refused for then says nothing of this.
        _log.error("others look for this agent elsewhere", did=did, looked_for=named, listens=port, hint=hint)


def require_alone(ledger_url: str, folder: Path, error: ConfigurationError) -> None:
    """Returns if it is not another process with this state folder that kept us from listening.

    Raises:
        LedgerUnavailable: `store_unavailable`, it is, as where it listens nowhere; `detail` has its `pid`.
    """
    try:
        require_unwritten(ledger_url)
    except LedgerUnavailable as taken:
        pid = taken.detail.get("pid")
        who = f"process {pid}" if pid else "another process"
        what = "runs with this state folder, and one does at a time"
        if pid == str(os.getpid()):
            who, what = "another peer of this process", "has this state folder open: close it first, or share it"
        text = f"{who} {what}: {folder}"
        raise LedgerUnavailable(taken.code, text, pid=pid) from error


def otherwise(home: Home, port: int) -> str:
    """What to do where something else listens at our port."""
    did = home.configuration.did
    if f"localhost%3A{port}" in did.split(":"):  # whoever looks it up dials this port
        return f"If not, end what listens there: {did} names this port, and with another it would be another DID"
    return f"If not, name another port under [listen] in {home.path / 'undersigned.toml'}"
