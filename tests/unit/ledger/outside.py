"""A ledger as another process has it."""

from __future__ import annotations

import os
import subprocess
import sys

from backends.moves import engagement
from support import ROOT

NAME = engagement()


def elsewhere(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in another process."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    start = "import asyncio, sys; from undersigned.ledger import open_ledger; from backends.moves import *\n"
    command = [sys.executable, "-c", start + code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
