"""What may not come back, in a thread that nobody waits for at the end of a program."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar, cast

__all__ = ["in_daemon"]

T = TypeVar("T")


async def in_daemon(name: str, work: Callable[[], T], ended: Callable[[], object]) -> T:
    """What `work` returns or raises, in a daemon thread of this `name`. `ended` is called once it is over, in that
    thread, whether or not anybody waits any more.

    Raises:
        RuntimeError: There is no thread to be had.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def told(result: T | None, error: BaseException | None) -> None:
        if answer.done():
            return  # nobody waits any more
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(cast("T", result))

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as exc:
            error = exc
        ended()
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(told, result, error)

    try:
        Thread(target=run, name=name, daemon=True).start()
    except RuntimeError:
        ended()
        raise
    return await answer
