"""What several test modules need: where the published vectors lie, a disk that is full, and what tasks wait for."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

import pytest

from undersigned.errors import UndersignedError

ROOT = Path(__file__).resolve().parent.parent


def conformance_dir() -> Path | None:
    """The folder of published vectors, or None if this machine has none."""
    named = os.environ.get("UNDERSIGNED_CONFORMANCE")
    found = Path(named) if named else ROOT.parent / "shared" / "conformance"
    return found if found.is_dir() else None


def lacks(what: str) -> NoReturn:
    """Ends a test that cannot run on this machine: it is skipped, and fails where CI runs it."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def program(*names: str) -> str:
    """The path of a program that a test needs, which has one of these names."""
    for name in names:
        if found := shutil.which(name):
            return found
    lacks(f"{names[0]} is not installed")


def examples(most: int) -> int:
    """How many examples Hypothesis tries where any number would do: `most` in `make sweep`, else a quarter of them."""
    return most if os.environ.get("UNDERSIGNED_SWEEP") == "yes" else most // 4


@contextmanager
def refuses(error: type[UndersignedError] | tuple[type[UndersignedError], ...], code: str) -> Iterator[None]:
    """What is done inside is refused with this error, and this code."""
    with pytest.raises(error) as caught:
        yield
    assert caught.value.code == code


def refusal(call: Callable[[], object]) -> str | None:
    """The code of the error that a call ends with; None if it ends well. Anything else is a defect."""
    try:
        call()
    except UndersignedError as error:
        return error.code
    return None


@contextmanager
def counted_calls() -> Iterator[Callable[[], int]]:
    """Counts the functions that this thread enters inside, those of C too: a check asks for them instead of time. Gives
    a function that says how many there were so far. What a function of C does inside is not seen.
    """
    calls = 0

    def seen(_frame: object, event: str, _more: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        yield lambda: calls
    finally:
        sys.setprofile(None)


@contextmanager
def file_size_limit(most: int) -> Iterator[None]:
    """No file of this process may become larger: what is longer fails as on a full disk, in the middle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def no_descriptor() -> Iterator[None]:
    """This process can open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first_free = os.dup(0)
    os.close(first_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def held_time() -> Iterator[Callable[[float], None]]:
    """The time of the running event loop stands still, however busy the machine is, but for the seconds by which it is
    put forward with what this gives. Nobody may wait inside for time to pass.
    """
    loop = asyncio.get_running_loop()
    now = loop.time()

    def put_forward(seconds: float) -> None:
        nonlocal now
        now += seconds

    with patch.object(loop, "time", lambda: now):
        yield put_forward


def put(document: Any, path: Sequence[Any], value: Any) -> None:
    """Puts `value` at a place of a JSON document; None takes away what is there."""
    for step in path[:-1]:
        document = document[step]
    if value is None:
        del document[path[-1]]
    else:
        document[path[-1]] = value


def waiting_tasks(loop: asyncio.AbstractEventLoop) -> str:
    """Every task of a loop that is not done, and the lines at which it waits, from the outermost to the innermost."""
    return "\n".join(_waiting(task) for task in asyncio.all_tasks(loop))


def _waiting(task: asyncio.Task[Any]) -> str:
    lines = [f"task {task.get_name()}{', asked to end' if task.cancelling() else ''}"]
    at: Any = task.get_coro()
    while at is not None:
        # Coroutines, generators and asynchronous generators each call it by another name.
        frame = next(filter(None, (getattr(at, name, None) for name in ("cr_frame", "gi_frame", "ag_frame"))), None)
        at = next(filter(None, (getattr(at, name, None) for name in ("cr_await", "gi_yieldfrom", "ag_await"))), None)
        if frame is not None:
            lines.append(f"  {frame.f_code.co_qualname}, {frame.f_code.co_filename}:{frame.f_lineno}")
    return "\n".join(lines)
