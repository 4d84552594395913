"""Code of the application, where it is called: what it raises ends what it was asked for, and nothing else.

`SystemExit` in a task ends the loop, and with it the work for everybody; a `CancelledError` that nobody here asked for
ends the task that called. So both come out of here as an exception like any other. `KeyboardInterrupt`, and a
cancellation of ours, go through.

Tasks that such code starts by itself are out of reach: asyncio lets `SystemExit` through there before anybody who waits
for them is told. Only a task factory would see it; the loop is the application's own, and each of its tasks would pay.
"""

from __future__ import annotations

import asyncio
import inspect
import reprlib
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import PurePath
from traceback import walk_tb
from types import FrameType
from typing import Any, Final, TypeVar, cast

from undersigned.errors import text_of

__all__ = [
    "ApplicationEnded",
    "contained",
    "contained_call",
    "decided",
    "in_short",
    "raised_at",
    "takes_one",
    "why_not_async",
]

T = TypeVar("T")

MAX_WRAPPED: Final = 32
"""Functions around a function that are looked behind."""


class ApplicationEnded(Exception):
    """The application's code raised what is no `Exception`, such as `SystemExit`; that is the cause of this."""


async def contained(call: Callable[[], Awaitable[T]]) -> T:
    """What the awaitable that `call` makes gives; what `call` gives if that is none, as a lambda's answer may be, which
    nobody could see before it was called. It runs in a task of its own: what bounds a time by cancelling the task that
    asks, and forgets that it did, would end ours.

    Raises:
        Exception: What it raised; `ApplicationEnded` in place of what is none.
    """
    called = asyncio.ensure_future(_ended(call))
    try:
        return await called
    except asyncio.CancelledError as exc:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise  # this side is closing
        raise ApplicationEnded("it gave up something it waited for") from exc


async def _ended(call: Callable[[], Awaitable[T]]) -> T:
    try:
        made: Any = call()
        return await made if inspect.isawaitable(made) else made
    except (Exception, KeyboardInterrupt, asyncio.CancelledError):
        raise
    except BaseException as exc:
        if isinstance(exc, GeneratorExit) and not _in_a_task():
            raise  # nobody awaits this any more: it is thrown away
        raise ApplicationEnded(text_of(exc, repr)) from exc


def contained_call(call: Callable[[], T]) -> T:
    """As `contained`, for what is not awaited."""
    try:
        return call()
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as exc:
        raise ApplicationEnded(text_of(exc, repr)) from exc


def decided(word: object, by: str) -> bool | None:
    """The answer of the application's function `by`, which is a yes, a no, or left to people.

    Raises:
        TypeError: It is something else. What its author meant nobody knows, so nothing is signed for it.
    """
    if word is None or word is True or word is False:
        return word
    raise TypeError(f"{by}: expected True, False or None; got {reprlib.repr(word)}")


def in_short(error: Exception) -> str:
    """What was raised, on one line of a log or a message: `ValueError: no such row`."""
    raised = _first((error.__cause__ or error) if isinstance(error, ApplicationEnded) else error)
    if isinstance(raised, asyncio.CancelledError):
        return str(error)
    return f"{type(raised).__name__}: {text_of(raised)}"


def raised_at(error: BaseException) -> dict[str, str]:
    """Where in the application's code something was raised, for a line of the log: `{"at": "tasks.py:5 in helper"}`,
    the last place in the package that we called. Empty, if it is not of the application's doing: what our own handlers
    have Python do is not.
    """
    raised: BaseException | None = error
    while raised is not None:
        raised = _first(raised)
        frames = [(frame, line) for frame, line in walk_tb(raised.__traceback__) if _package(frame) != _OURS]
        called = next((name for frame, _ in frames if (name := _package(frame)) not in sys.stdlib_module_names), None)
        if called is not None:
            code, line = next((frame.f_code, line) for frame, line in reversed(frames) if _package(frame) == called)
            return {"at": f"{PurePath(code.co_filename).name}:{line} in {code.co_name}"}
        raised = raised.__cause__
    return {}


def _first(error: BaseException) -> BaseException:
    """Of a group, as `asyncio.TaskGroup` raises it, what was raised first; that there was a group tells nobody why."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


_OURS: Final = __name__.partition(".")[0]


def why_not_async(given: object) -> str | None:
    """Why `given` cannot be called and awaited; None if it can, or nobody can tell before it is called.

    Objects with an async `__call__`, `partial` of a function, and what a decorator made of one can. Of a lambda, or of
    a function that says it returns an awaitable, only the call shows it.
    """
    if not callable(given):
        return f"{given!r:.80} cannot be called"
    if isinstance(given, type) and not hasattr(given, "__await__"):
        return f"{given.__qualname__} is a class, and what it makes is not awaited"
    function: Any = given
    for _ in range(MAX_WRAPPED):
        if inspect.iscoroutinefunction(function):
            return None
        if isinstance(function, partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif inspect.isfunction(function) or inspect.isbuiltin(function) or isinstance(function, type):
            break
        else:
            inside: Any = function.__class__.__call__
            if not inspect.isfunction(inside):
                return None  # compiled
            function = inside
    else:
        return None  # it answers to every name
    name = getattr(function, "__qualname__", repr(function))
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return f"{name} is a generator, and has to be `async def` without `yield`"
    if inspect.isfunction(function) and (function.__name__ == "<lambda>" or _makes_awaitables(function)):
        return None
    if isinstance(function, type):
        return None
    return f"{name} is not `async def`"


def takes_one(function: Callable[..., object]) -> bool:
    """Whether it can be called with one argument, as far as it says what it takes: a wrapper's own word counts."""
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(None)
    except TypeError:
        return False
    return True


def _makes_awaitables(function: Any) -> bool:
    """Whether a plain function says that it returns an awaitable, or holds an `async` one, as decorators make them."""
    returned = str(function.__annotations__.get("return", ""))
    if any(word in returned for word in ("Awaitable", "Coroutine", "Future", "Task")):
        return True
    for cell in function.__closure__ or ():
        try:
            held = cell.cell_contents
        except ValueError:  # not filled yet
            continue
        if callable(held) and held is not function and inspect.iscoroutinefunction(held):
            return True
    return False


def _in_a_task() -> bool:
    try:
        return asyncio.current_task() is not None
    except RuntimeError:  # the loop has ended
        return False
