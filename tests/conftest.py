"""Fixtures for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support import conformance_dir


@pytest.fixture(scope="session")
def conformance() -> Path:
    """The published vectors. Without them a test is skipped; on CI their absence is a failure."""
    found = conformance_dir()
    if found is None:
        reason = "published vectors not found: set UNDERSIGNED_CONFORMANCE"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found
