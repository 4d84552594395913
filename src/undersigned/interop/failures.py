"""How a scenario ends that did not pass, and how what came is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from undersigned.errors import UndersignedError
from undersigned.runtime import FetchAnswer

__all__ = ["Failure", "NotApplicable", "NotReady", "Silent", "answered", "reason", "shown"]

MAX_TOLD: Final = 200
"""Characters of what came that are shown."""


class Failure(Exception):
    """The implementation did something else than it has to."""


class NotApplicable(Exception):
    """The implementation may do something else, and what the scenario shows cannot be shown then."""


class Silent(Failure):
    """The implementation cannot be reached, or says nothing that could be judged."""


class NotReady(Failure):
    """The implementation is not set up to be tested, which is its operator's to mend and breaks no rule."""


def shown(raw: bytes) -> str:
    """What came, for people; a message by its type."""
    try:
        value: Any = json.loads(raw)
        return str(value["type"])[:MAX_TOLD]
    except (ValueError, TypeError, KeyError, RecursionError):
        return _cut(raw[:MAX_TOLD].decode("utf-8", "backslashreplace"))


def sent_before(raw: bytes, *, binary: bool = False) -> str:
    """What was sent last, for people, at the end of what is told of a failure."""
    return f"; sent before: {'a binary frame' if binary else shown(raw)}"


def shown_all(frames: Sequence[bytes], before: Sequence[bytes]) -> str:
    """What came, for people, and what of it had come `before`: a repeat is no answer."""
    known = frozenset(before)
    return ", ".join(f"{shown(raw)} again" if raw in known else shown(raw) for raw in frames) or "nothing"


def answered(answer: FetchAnswer) -> str:
    """What an HTTP request was answered with, for people: of a refusal what it says, since a code may stand in it."""
    text = f"{answer.status} with {len(answer.body)} bytes"
    if answer.status in (200, 206):
        return text
    return f"{text}: {_cut(answer.body[:MAX_TOLD].decode('utf-8', 'backslashreplace'))}"


def reason(error: UndersignedError) -> str:
    """What went wrong, for people: what the error says may repeat what came, so it is cut."""
    return f"{_cut(error.message)} ({error.code})"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TOLD else text[: MAX_TOLD - 1] + "…"
