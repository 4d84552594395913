"""What `Job.act` gives: it asks once it is entered, and who never enters it has asked nobody."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING

from undersigned.errors import LocalProtocolError

if TYPE_CHECKING:
    from .gate import Permit

__all__ = ["Acting", "Unasked"]


class Unasked:
    """The actions of a job that were named and not asked about."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[int, Acting] = {}

    def add(self, one: Acting) -> None:
        """Takes up an action that was named."""
        self._waiting[id(one)] = one

    def asked(self, one: Acting) -> None:
        """It is asked about now, whatever the answer."""
        self._waiting.pop(id(one), None)

    def require_none(self) -> None:
        """Returns if none is left.

        Raises:
            LocalProtocolError: `wrong_state`: what was done there, if anything, was done without permission.
        """
        for one in self._waiting.values():
            raise LocalProtocolError(
                "wrong_state",
                f"job.act({one.name!r}, ...) asked nobody: what is done has to stand in a block, "
                "`async with job.act(...):`",
            )


class Acting(AbstractAsyncContextManager["Permit"]):
    """Permission for one action, once it is entered."""

    __slots__ = ("_inner", "_unasked", "name")

    def __init__(self, name: str, inner: AbstractAsyncContextManager[Permit], unasked: Unasked) -> None:
        self.name = name
        """What is to be done, as scopes name it."""
        self._inner = inner
        self._unasked = unasked
        unasked.add(self)

    async def __aenter__(self) -> Permit:
        self._unasked.asked(self)
        return await self._inner.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, trace)
