"""What several test modules need: where the published vectors lie."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def conformance_dir() -> Path | None:
    """The folder of published vectors, or None if this machine has none."""
    named = os.environ.get("UNDERSIGNED_CONFORMANCE")
    found = Path(named) if named else ROOT.parent / "shared" / "conformance"
    return found if found.is_dir() else None
