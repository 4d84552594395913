"""What is left out of a pack because its owner says so, and the commitments in place of it.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Final

from msgspec.json import decode

from undersigned.encoding import digest_bytes, to_struct
from undersigned.errors import UndersignedError
from undersigned.evidence import Withheld, WithheldList, read_pack
from undersigned.transparency import decision_salt

__all__ = ["Withholding", "commitment", "left_out"]

FOLDERS: Final = ("approvals", "artifacts", "credentials", "decisions", "policies", "refusals", "status")
"""Folders of a pack whose members can be withheld: without the others the rest would not verify."""


class Withholding:
    """Patterns of what is left out of a pack and of those within it, and which of them named anything."""

    def __init__(self, patterns: Collection[str]) -> None:
        # A folder's name alone is all that is in it.
        self._patterns = {
            pattern: f"{bare}/*" if (bare := pattern.removesuffix("/")) in FOLDERS else pattern for pattern in patterns
        }
        self._used: set[str] = set()
        self._there = Counter[str]()

    def named(self, members: Collection[str]) -> set[str]:
        """Those of the members that a pattern names."""
        self._there.update(path.partition("/")[0] for path in members)
        hidden: set[str] = set()
        for pattern, glob in self._patterns.items():
            named = {path for path in members if fnmatchcase(path, glob)}
            self._used |= {pattern} if named else set()
            hidden |= named
        return hidden

    def check(self) -> None:
        """Returns if every pattern named something: with a slip in one, what was to be hidden would be shown."""
        for pattern in self._patterns:
            if pattern not in self._used:
                there = ", ".join(f"{folder}/ ({self._there[folder]})" for folder in FOLDERS if self._there[folder])
                raise UndersignedError(
                    "not_found",
                    f"{pattern[:200]!a} names nothing here that can be withheld; there is {there or 'nothing'}: all of "
                    "a folder by its name, or one by its digest, such as 'decisions/uEi*'",
                )


def commitment(kind: str, raw: bytes, secret: bytes) -> Withheld:
    """What stands for a thing that is withheld. A refusal is signed, and its signature is salt enough."""
    salt = b"" if kind == "refusal" else decision_salt(raw, secret)
    return to_struct({"kind": kind, "commitment": digest_bytes(salt + raw)}, Withheld)


def left_out(pack: bytes) -> dict[str, int]:
    """How much of each kind is withheld from a pack and from those within it, as `withheld.json` lists it."""
    found = Counter[str]()
    held = read_pack(pack)
    for _, raw in held.of_kind("withheld"):
        found.update(one.kind for one in decode(raw, type=WithheldList).withheld)
    for _, inner in held.of_kind("subcontract"):
        found.update(left_out(inner))
    return dict(sorted(found.items()))
