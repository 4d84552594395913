"""Policies in files: the `[policy]` table of a configuration, or a file of its own, and the Cedar that it names.

`cedar_file` names a file beside the table. Its text takes the name's place when it is read, so the digest of a policy
covers all that it demands.

Source: protocol-spec/13-policy.md, section 13.2
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from undersigned.errors import ConfigurationError
from undersigned.runtime.files import read_file, why
from undersigned.trust import Policy

__all__ = ["read_policy", "read_toml", "with_cedar"]


def with_cedar(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The table of a policy with the text of its `cedar_file`, if it names one, as its `cedar`.

    Raises:
        ConfigurationError: `bad_configuration`: it has both, or the file cannot be read or is empty.
    """
    read = dict(table)
    if "cedar_file" not in read:
        return read
    name = read.pop("cedar_file")
    if not isinstance(name, str) or not name or "cedar" in read:
        raise ConfigurationError("bad_configuration", "policy: expected `cedar_file`, a file name, or `cedar`, a text")
    try:
        read["cedar"] = read_file(folder / name).decode()
    except (OSError, ValueError) as exc:
        raise ConfigurationError("bad_configuration", f"policy: cedar_file {folder / name}: {why(exc)}") from exc
    if not read["cedar"]:
        raise ConfigurationError("bad_configuration", f"policy: cedar_file {folder / name}: it is empty")
    return read


def read_policy(file: Path) -> Policy:
    """The policy in a TOML file: its `[policy]` table, as in a configuration, or the whole of it.

    Raises:
        ConfigurationError: `bad_configuration`, and what was expected; `missing_extra`: it has Cedar, and the extra is
            not installed.
    """
    table = read_toml(file)
    part: Any = table.get("policy", table)
    try:
        if not isinstance(part, dict):
            raise ConfigurationError("bad_configuration", "policy: expected a table")
        return Policy.from_toml(with_cedar(cast("dict[str, Any]", part), file.parent))
    except ConfigurationError as exc:
        raise ConfigurationError(exc.code, f"{file}: {exc.message}") from exc


def read_toml(file: Path) -> dict[str, Any]:
    """A TOML file.

    Raises:
        ConfigurationError: `bad_configuration`: it cannot be read.
    """
    try:
        return tomllib.loads(read_file(file).decode())
    except (OSError, ValueError, RecursionError) as exc:
        raise ConfigurationError("bad_configuration", f"{file}: {why(exc)}") from exc
