"""Fixtures for every test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import conformance_dir
from undersigned.runtime import signers

# As a shell starts what runs in its background, and `nohup` all. Programs that tests start and stop with a signal would
# ignore it as well.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


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


@pytest.fixture(scope="session", autouse=True)
def cheap_sealing() -> Iterator[None]:
    """Private keys are sealed as ever, with less of the work that is there to slow down who guesses a passphrase.

    It is most of what two companies cost to set up, and a file says what opening it costs, to other processes too.
    `tests/unit/runtime/test_signers.py` seals at the full price.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signers, "_SCRYPT_N", 2**4)
        yield
