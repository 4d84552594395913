"""What several test modules need: where the published vectors lie, and a disk that is full."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def conformance_dir() -> Path | None:
    """The folder of published vectors, or None if this machine has none."""
    named = os.environ.get("UNDERSIGNED_CONFORMANCE")
    found = Path(named) if named else ROOT.parent / "shared" / "conformance"
    return found if found.is_dir() else None


@contextmanager
def file_size_limit(most: int) -> Iterator[None]:
    """No file of this process may become larger: what is longer fails as on a full disk, in the middle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
