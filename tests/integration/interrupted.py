"""Work that is cancelled at one of its waits, whichever it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from itertools import count
from typing import Any


class Interrupted:
    """Runs `work`, and cancels the task that does at the wait of this number, counted from 0; see `reached`."""

    def __init__(self, work: Coroutine[Any, Any, object], number: int) -> None:
        self._work = work
        self._number = number
        self.reached = False

    async def run(self) -> None:
        """The same, for a task."""
        await self

    def __await__(self) -> Generator[Any, Any, None]:
        steps = self._work.__await__()
        step: Callable[[], Any] = steps.__next__
        for number in count():
            try:
                wait = step()
            except StopIteration:
                return
            if number == self._number:
                self.reached = True
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                yield wait
                step = steps.__next__
            except BaseException as exc:
                step = partial(steps.throw, exc)
