"""Ctrl-C: asked once, a command ends in order; asked again, it waits for nobody; and no answer to it is a traceback.

Python's own answer, `KeyboardInterrupt`, is raised wherever the program happens to be: between the parts of a close, in
a callback of the loop, or where nobody catches it any more. Here it only ever cancels the task of the command.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # the overview is quick: it does not load asyncio
    import asyncio

__all__ = ["INTERRUPTED", "Interrupts", "end_quietly", "ended_gently", "stop_signal"]

INTERRUPTED: Final = 130
"""Exit code of what was interrupted."""
ENDING: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What others end a program with: whoever started it, and a terminal that is closed (not every system has that)."""
PATIENCE: Final = 2
"""So often it is asked to end in order. What does not then is left as a crash leaves it, and the ledger bears that."""


class Interrupts:
    """What Ctrl-C (SIGINT) does to one command that runs on a loop."""

    def __init__(self) -> None:
        self.times = 0
        self.patience = PATIENCE
        """As often it is asked to end in order."""
        self._task: asyncio.Task[Any] | None = None
        self._over = False

    @contextmanager
    def heard(self) -> Generator[None]:
        """From before there is a loop until it is closed, when every signal does again what it did: uvloop leaves those
        that it took to a loop which hears nothing more. Where Ctrl-C is ignored or another's, it stays so.
        """
        if current_thread() is not main_thread():  # only there can a signal be heard
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
        if before[signal.SIGINT] in (signal.default_int_handler, _end_now):
            signal.signal(signal.SIGINT, self.asked)
        try:
            yield
        finally:
            for number, handler in before.items():
                if handler is not None:  # it is not Python's, and can be neither told nor set from here
                    signal.signal(number, handler)

    @contextmanager
    def cancels(self, task: asyncio.Task[Any]) -> Generator[None]:
        """Around all that the command does. After it comes the end of the loop, which nobody has to wait for."""
        self._task = task
        if self.times:  # before it began
            task.cancel()
        _of_command.set(self)
        try:
            yield
        finally:
            self._task, self._over = None, True

    def asked(self, *_: object) -> None:
        """Ends the command as Ctrl-C does, in order or at once."""
        self.times += 1
        if self._over or self.times > self.patience:
            _end_now()
        if self._task is None:
            return
        loop = self._task.get_loop()
        if self.times == PATIENCE:  # what is cut short now is no news to whoever did it
            loop.set_exception_handler(_unheard)
        self._task.cancel()
        loop.call_soon_threadsafe(lambda: None)  # wakes it


_of_command: ContextVar[Interrupts] = ContextVar("interrupts")


@contextmanager
def ended_gently() -> Generator[None]:
    """SIGTERM and SIGHUP are as Ctrl-C meanwhile, to a command that has no way of its own to be stopped: it is told
    what goes on later, the log is shown to its witnesses, and it ends with 130. What is ignored stays ignored, each by
    itself: a shell's script has Ctrl-C ignored by what it starts in the background.
    """
    asked = _of_command.get().asked
    ours = current_thread() is main_thread()
    numbers = [one for one in ENDING if ours and signal.getsignal(one) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, asked)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def stop_signal(*, works: bool = False) -> asyncio.Event:
    """What the first Ctrl-C, SIGTERM or SIGHUP sets; afterwards each does what it did before: whoever asks twice does
    not want to wait. SIGHUP that was ignored stays so, as `nohup` wants it. For a command that runs on a loop.

    One that `works` has handlers, which may catch whatever cancels them: asked again it ends as a crash ends it.
    """
    import asyncio

    stop, loop, interrupts = asyncio.Event(), asyncio.get_running_loop(), _of_command.get()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
    if (hangup := getattr(signal, "SIGHUP", None)) is not None and before[hangup] is signal.SIG_IGN:
        del before[hangup]

    def stopping() -> None:
        stop.set()
        interrupts.patience = 0 if works else PATIENCE
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)

    for number in before:
        loop.add_signal_handler(number, stopping)
    return stop


def end_quietly() -> None:
    """Before a command has begun and after it has told all, Ctrl-C ends the program without a word: while it loads what
    it needs, some of which drops whatever is raised in its midst; while Python waits for threads; and after that, when
    it has taken its handlers away.
    """
    if current_thread() is main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_now)
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _unheard(*_: object) -> None:
    """Says nothing of what went wrong on the loop."""


def _end_now(*_: object) -> None:
    with suppress(Exception):  # it may be in the midst of being written
        sys.stdout.flush()
    os._exit(INTERRUPTED)
