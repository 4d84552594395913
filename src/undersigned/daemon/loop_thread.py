"""An event loop in a thread of its own, for callers without one. What is open there is answered for between calls too,
and calls may come from any thread, several at a time.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, TypeVar

from undersigned.errors import LocalProtocolError

__all__ = ["LoopThread"]

T = TypeVar("T")


class LoopThread:
    """A thread whose event loop runs for as long as what it holds is open. It is used once."""

    def __init__(self, held: AbstractAsyncContextManager[object]) -> None:
        self._held = held
        self._pid = os.getpid()
        self._begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()
        self._entered: Future[Any] = Future()
        self._ended: Future[Any] = Future()
        """Done once the loop is closed, with what it ended with."""
        self._leave = asyncio.Event()

    def open(self) -> None:
        """Returns once what is held was entered; raises what that raises."""
        # A daemon thread: a program that ends without leaving the block does end.
        threading.Thread(target=self._run, name="undersigned-loop", daemon=True).start()
        try:
            _wait_for_one(self._entered, self._ended)
            if not self._entered.done():
                self._ended.result()
        except BaseException:
            self._cancel()
            raise

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises, which runs there. Interrupted while it waits, it has the work cancelled.

        Raises:
            LocalProtocolError: `connection_closed`: what is held was left meanwhile; `wrong_state`: this process was
                forked from the one that opened it.
        """
        if self._elsewhere:
            work.close()
            raise LocalProtocolError(
                "wrong_state",
                f"the peer is open in process {self._pid}, from which this one was forked: open one in the process "
                "that uses it",
            )
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._begun.result()[0])
        except RuntimeError:  # the loop is closed
            work.close()
            raise _left() from None
        try:
            _wait_for_one(future, self._ended)
            if not future.done():  # it came after the last turn of the loop
                work.close()
                raise _left()
            return future.result()
        except CancelledError:
            raise _left() from None
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Leaves what is held, and returns once the loop is closed; raises what that raises. In a process that was
        forked from the one that opened it this does nothing: what is held is that one's.
        """
        if self._elsewhere:
            return
        with suppress(RuntimeError):  # it ended by itself
            self._begun.result()[0].call_soon_threadsafe(self._leave.set)
        try:
            self._ended.result()
        except BaseException:
            self._cancel()
            raise

    @property
    def _elsewhere(self) -> bool:
        # No thread but the one that forks lives on in the child: it would wait for ever.
        return os.getpid() != self._pid

    def _cancel(self) -> None:
        """Ends it, whatever it is at, and returns once it has put all away."""
        _wait_for_one(self._begun, self._ended)
        if self._begun.done():
            loop, task = self._begun.result()
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
        wait((self._ended,))

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:  # told to whoever opens or closes it
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _live(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._begun.set_result((asyncio.get_running_loop(), task))
        async with self._held:
            self._entered.set_result(None)
            await self._leave.wait()


def _wait_for_one(*these: Future[Any]) -> None:
    wait(these, return_when=FIRST_COMPLETED)


def _left() -> LocalProtocolError:
    return LocalProtocolError("connection_closed", "the peer was left while this call waited")
