"""Fixtures for every test."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from support import conformance_dir, lacks, waiting_tasks
from undersigned.attestation.quick_schemas import import_jsonschema
from undersigned.runtime import signers
from undersigned.transport import ports

# Read late, within a request, where nothing is compiled yet, and by pytest's own parser: that has failed for the depth
# of the stack (SystemError, "AST constructor recursion depth mismatch").
import_module("undersigned.jsonld.strict")
import_jsonschema()  # before a test does it in the way that takes each process more than a second

# A machine that does something else for a fifth of a second is no defect. (With `CI` set Hypothesis says so by itself.)
settings.register_profile("any pace", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any pace")

# As a shell starts what runs in its background, and `nohup` all. Programs that tests start and stop with a signal would
# ignore it as well.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


# One that another worker has just chosen, or listens on again in a moment, is free to look at. What tests start as a
# program chooses from the usual ones.
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
ports.CHOICE = range(10_000 + _worker % 4 * 2_500, 10_000 + (_worker % 4 + 1) * 2_500)

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_timeout_set_timer(settings: Any) -> Generator[None, object, object]:
    """A test that reaches its limit tells what the tasks of its event loop wait for. `pytest-timeout` tells the stacks
    of threads, and in that of a loop in which all tasks wait there is nothing to see.
    """
    timer = yield
    end = signal.getsignal(signal.SIGALRM)
    if settings.method == "signal" and callable(end):

        def tell(number: int, frame: FrameType | None) -> None:
            __tracebackhide__ = True
            # An event loop only logs what a callback of its raises, and Hypothesis makes the example smaller: whoever
            # goes on, with what is half done, is told again in a minute.
            signal.setitimer(signal.ITIMER_REAL, 60)
            with suppress(RuntimeError):  # no loop is running
                print(waiting_tasks(asyncio.get_running_loop()), file=sys.stderr)
            end(number, frame)

        signal.signal(signal.SIGALRM, tell)
    return timer


LONGEST = (
    *("integration/test_verifier_page.py", "integration/test_js_peer.py", "integration/test_examples.py"),
    *("integration/test_readme.py", "integration/test_demo.py", "integration/test_wheel.py", "interop/test_rivals.py"),
    *("interop/test_replay.py", "integration/test_contract_commands.py", "integration/test_cli.py"),
    *("integration/test_last_round.py", "integration/test_state_folder.py", "interop/test_command.py"),
    *("integration/test_kill.py", "integration/test_forks.py", "interop/test_set_up.py", "interop/test_scenarios.py"),
    *("integration/", "interop/", "security/"),
)
"""The files of the longest tests, and of the dearest fixtures of a module."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: a worker that came to one of them last would have the others wait for it, and where one takes
    over half of a module from another, both make what its tests share.
    """
    here = str(Path(__file__).parent) + os.sep

    def rank(item: pytest.Item) -> int:
        file = str(item.path).removeprefix(here).replace(os.sep, "/")
        return next((place for place, start in enumerate(LONGEST) if file.startswith(start)), len(LONGEST))

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected and imported stays until the end. To look through it for garbage again and again while it grows
    would be two fifths of the work, which each worker does.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def conformance() -> Path:
    """The published vectors. Without them a test is skipped; on CI their absence is a failure."""
    found = conformance_dir()
    return found or lacks("published vectors not found: set UNDERSIGNED_CONFORMANCE")


@pytest.fixture(scope="session", autouse=True)
def cheap_sealing() -> Iterator[None]:
    """Private keys are sealed as ever, with less of the work that is there to slow down who guesses a passphrase.

    It is most of what two companies cost to set up, and a file says what opening it costs, to other processes too.
    `tests/unit/runtime/test_signers.py` seals at the full price.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signers, "_SCRYPT_N", 2**4)
        yield


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """A signal that a test leaves to what is over fails the test, and not another that comes to wait for it."""
    before = list(map(signal.getsignal, SIGNALS))
    yield
    assert list(map(signal.getsignal, SIGNALS)) == before


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command that runs in the process of the tests says how much is logged, and where: the next test hears nothing
    of that.
    """
    before = structlog.get_config() if structlog.is_configured() else None
    yield
    if before is None:
        structlog.reset_defaults()
    else:
        structlog.configure(**before)


@pytest.fixture
def logs_as_they_come(logs_as_before: None) -> None:
    """For who looks at what is logged: all of it, wherever this process had it written before."""
    structlog.reset_defaults()
    (written,) = (one for one in structlog.get_config()["processors"] if isinstance(one, structlog.dev.ConsoleRenderer))
    # By itself it draws a traceback in colours, with all variables: a sixth of a second each, and there are hundreds.
    written.exception_formatter = structlog.dev.plain_traceback
