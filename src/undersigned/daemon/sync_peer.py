"""A peer for callers without asyncio: its methods block, and it answers others meanwhile in a thread of its own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from undersigned.errors import ConfigurationError, LocalProtocolError
from undersigned.runtime import HireResult

from .loop_thread import LoopThread
from .peer import Peer

__all__ = ["SyncPeer"]

P = ParamSpec("P")
R = TypeVar("R")


def _takes_what(
    model: Callable[Concatenate[Peer, P], object],
) -> Callable[[Callable[..., R]], Callable[Concatenate[SyncPeer, P], R]]:
    """Decorator: the method takes what `model` takes, for type checkers, editors and `help` too."""

    def named(method: Callable[..., R]) -> Callable[Concatenate[SyncPeer, P], R]:
        returns = inspect.signature(method).return_annotation
        vars(method)["__signature__"] = inspect.signature(model).replace(return_annotation=returns)
        return cast("Callable[Concatenate[SyncPeer, P], R]", method)

    return named


class SyncPeer:
    """A peer for callers without asyncio. Enter it, call it, leave it; each call blocks until it is done.

    It runs in a thread of its own, so it answers others between calls too. Several threads may call it at the same
    time; a process that is forked opens its own.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._thread: LoopThread | None = None

    def __enter__(self) -> SyncPeer:
        _require_no_loop()
        thread = LoopThread(self._peer)
        thread.open()
        self._thread = thread
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.close()

    @_takes_what(Peer.hire)
    def hire(self, *order: Any, **options: Any) -> HireResult:
        """As `Peer.hire`, whose arguments it takes; returns the result. What it calls (`review`, `approve`) runs in the
        peer's thread.

        Raises:
            LocalProtocolError: `wrong_state`: it was not entered, an event loop runs in this thread, or this process
                was forked from the one that entered it; `connection_closed`: it was left meanwhile.
            UndersignedError: As `Peer.hire`.
        """

        async def hired() -> HireResult:
            return await self._peer.hire(*order, **options)

        return self._called(hired)

    def save(self, result: HireResult, name: str, path: Path | str) -> None:
        """Writes what was delivered as `name` to `path`, which is yours to choose, and never holds it as a whole.

        Raises:
            ConfigurationError: `bad_configuration`, this is no result of a hire.
            LocalProtocolError: As `hire`.
            KeyError: Nothing of that name was delivered.
            UndersignedError, VerificationError: It is not there any more, or damaged.
            OSError: The file cannot be written.
        """
        if not isinstance(result, HireResult):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
            text = f"result: expected what peer.hire() returned, got {result!r:.80}"
            raise ConfigurationError("bad_configuration", text)
        self._called(lambda: result.artifacts.save(name, path))

    def _called(self, work: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """What the coroutine that `work` makes returns or raises, in the peer's thread."""
        _require_no_loop()
        if self._thread is None:
            raise LocalProtocolError("wrong_state", "enter the peer first: with Peer.open_sync(...) as peer")
        return self._thread.call(work())

    @property
    def peer(self) -> Peer:
        """The asynchronous peer."""
        return self._peer


def _require_no_loop() -> None:
    """Returns if no event loop runs in this thread, which a call that blocks would hold up.

    Raises:
        LocalProtocolError: `wrong_state`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    what = (
        "an event loop runs here, which this would block: async with Peer.open(...) as peer, and await peer.hire(...)"
    )
    raise LocalProtocolError("wrong_state", what)
