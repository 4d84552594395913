"""The back channel of an implementation: starts a hire there, and asks what became of it.

Source: protocol-spec/harness.md, "Hook"
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from undersigned.errors import UndersignedError
from undersigned.runtime import Gatherer

from .failures import Failure, Silent, shown

__all__ = ["BackChannel", "Unauthorized"]

MAX_BYTES: Final = 2**24
"""Of one answer; it holds what was delivered and what was said."""


UNAUTHORIZED: Final = 401


class Unauthorized(Failure):
    """The hook does not take the token: a mistake of whoever tests."""


class BackChannel:
    """The hook at `url`, without a path, shown `token`; each answer may take `seconds`. With `local` it may be plain
    http to loopback.
    """

    def __init__(self, url: str, token: str, seconds: float, *, local: bool) -> None:
        self.url = url
        self._local = local
        self._seconds = seconds
        self._fields = (("Authorization", f"Bearer {token}"), ("Content-Type", "application/json"))

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What is answered.

        Raises:
            Silent: It cannot be reached, or answers with no JSON.
            Unauthorized: It does not take the token.
            Failure: It refuses, or answers with another shape.
        """
        # A connection of its own for each request: one that was kept could be closed by the hook just as it is used
        # again, and nobody could tell then whether a hire was started.
        gatherer = Gatherer(local=self._local)
        try:
            answer = await gatherer.exchange(
                method,
                f"{self.url}{path}",
                max_bytes=MAX_BYTES,
                timeout_seconds=self._seconds,
                headers=self._fields,
                body=json.dumps(body).encode() if body is not None else None,
            )
            told = json.loads(answer.body)
        except (UndersignedError, ValueError, RecursionError) as error:
            raise Silent(f"its hook does not answer {method} {path}: {error}") from error
        finally:
            await gatherer.close()
        if answer.status == UNAUTHORIZED:
            raise Unauthorized(f"its hook does not take the token ({answer.status} {shown(answer.body)})")
        if answer.status not in (200, 202) or not isinstance(told, dict):
            raise Failure(f"its hook answers {method} {path} with {answer.status}: {shown(answer.body)}")
        return cast("dict[str, Any]", told)
