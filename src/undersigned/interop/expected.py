"""Expected failures: what is known not to hold yet, with a reason. An entry that holds, or names nothing, is stale.

    [[expected]]
    id = "reconnect-in-doubt"
    reason = "the outbox is lost with the process"

Source: protocol-spec/harness.md, "Reports"
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from undersigned.errors import ConfigurationError
from undersigned.runtime import read_file, why

from .run import Result

__all__ = ["judged", "read_expected", "reasons"]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    expected: tuple[_Entry, ...] = ()


def read_expected(path: Path) -> Mapping[str, str]:
    """Reasons by id of scenario.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    try:
        return reasons(tomllib.loads(read_file(path).decode()))
    except (OSError, ValueError) as exc:
        text = f"{path}: {why(exc)}"
        raise ConfigurationError("bad_configuration", text) from exc


def reasons(table: Mapping[str, Any]) -> Mapping[str, str]:
    """The same of what such a file holds.

    Raises:
        ValueError: It is no list of expected failures.
    """
    return {entry.id: entry.reason for entry in msgspec.convert(table, _File).expected}


def judged(results: Iterable[Result], expected: Mapping[str, str], known: Iterable[str]) -> tuple[Result, ...]:
    """The results once what was expected is counted so; `known` are the ids of all scenarios that there are.

    An entry for a scenario that was not played this time says nothing.

    Raises:
        ConfigurationError: An entry names no scenario.
    """
    if unknown := sorted(set(expected) - set(known)):
        raise ConfigurationError("bad_configuration", f"expected failures of no scenario: {', '.join(unknown)}")
    return tuple(_judged(one, expected.get(one.scenario.id)) for one in results)


def _judged(result: Result, reason: str | None) -> Result:
    if reason is None or result.outcome in ("defect", "given up"):
        return result
    if result.outcome == "failed":
        return msgspec.structs.replace(result, outcome="expected", detail=f"{reason}: {result.detail}")
    return msgspec.structs.replace(result, outcome="stale", detail=f"expected to fail ({reason}), and does not")
