"""How a scenario ends that did not pass, and how what came is told."""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["Failure", "NotApplicable", "Silent", "shown"]

MAX_TOLD: Final = 512
"""Characters of what came that are shown where it is no message."""


class Failure(Exception):
    """The implementation did something else than it has to."""


class NotApplicable(Exception):
    """The implementation may do something else, and what the scenario shows cannot be shown then."""


class Silent(Failure):
    """The implementation cannot be reached, or says nothing that could be judged."""


def shown(raw: bytes) -> str:
    """What came, for people; a message by its type."""
    try:
        value: Any = json.loads(raw)
        return str(value["type"])[:MAX_TOLD]
    except (ValueError, TypeError, KeyError, RecursionError):
        return raw[:MAX_TOLD].decode("utf-8", "backslashreplace")
