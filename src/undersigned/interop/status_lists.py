"""The status lists that the harness serves, for each scenario its own, and who asked for one.

Source: protocol-spec/02-identity-and-keys.md, section 2.12
"""

from __future__ import annotations

import gzip
from typing import Any, Final, cast

from undersigned.credentials import build_status_list, encode_list, status_entry
from undersigned.daemon import Document
from undersigned.encoding import Instant, JsonObject, base64url_encode, canonicalize, shift
from undersigned.testing import GUILD, vouched

__all__ = ["LISTS", "StatusLists"]

PATH: Final = "/status/"
LIST_BYTES: Final = 16_384
"""The least that a status list has (HIRE-STA-01)."""
LISTS: Final = frozenset({"clear", "revoked", "without multibase", "two members", "too short"})
"""Status lists that there are; `unavailable` is none."""


def packed(name: str, bits: bytearray) -> str:
    """The `encodedList` of the list of this name, which is `bits`."""
    half = len(bits) // 2
    match name:
        case "without multibase":
            return encode_list(bits).removeprefix("u")
        case "two members":
            return "u" + base64url_encode(gzip.compress(bits[:half]) + gzip.compress(bits[half:]))
        case "too short":
            return "u" + base64url_encode(gzip.compress(bits[:half]))
        case _:
            return encode_list(bits)


class StatusLists:
    """Lists by name and scenario."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        """Scenarios of which a list was asked for."""

    def entry(self, origin: str, name: str, scenario: str) -> JsonObject:
        """The status of a membership in the list of this name."""
        return status_entry(f"{origin}{PATH}{scenario}/{name.replace(' ', '-')}", 0)

    def answer(self, origin: str, path: str, now: Instant) -> Document | None:
        """The list at a path, if there is one."""
        scenario, _, name = path.removeprefix(PATH).partition("/")
        if not path.startswith(PATH):
            return None
        self.asked.add(scenario)
        named = name.replace("-", " ")
        if named not in LISTS:
            return None
        bits = bytearray(LIST_BYTES)
        bits[0] = 0x80 if named == "revoked" else 0
        unsigned = build_status_list(
            url=f"{origin}{path}",
            issuer=GUILD.did,
            bits=bits,
            valid_from=shift(now, -60),
            valid_until=shift(now, 3600),
            ttl_seconds=60,
        )
        cast("dict[str, Any]", unsigned["credentialSubject"])["encodedList"] = packed(named, bits)
        return Document(canonicalize(vouched(unsigned, now)), "application/vc")
