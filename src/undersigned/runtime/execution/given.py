"""What a handler gives to its job, which nobody checks in its code.

Source: protocol-spec/14-gates.md, section 14.5
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from undersigned.errors import FormatError
from undersigned.runtime.fetching.other_side import Fields, Sent
from undersigned.scope import CONDITIONS, Action, has_empty_query

__all__ = [
    "BUFFERS",
    "check_request",
    "checked_action",
    "checked_fields",
    "checked_headers",
    "checked_sent",
    "of_kind",
]

BUFFERS: Final = (bytes, bytearray, memoryview)
SIGNED_FIELDS: Final = frozenset({"content-digest", "hire-contract", "host", "signature", "signature-input"})
"""What a signed request says by itself."""
_REQUESTED: Final = re.compile(r"(?i:https?)://[^/?#]+[^#]*")
"""A fragment is signed if it is there, and sent by nobody."""


def of_kind(name: str, given: object, kind: type | tuple[type, ...], what: str) -> None:
    """Returns if what was given is of the kind that the signature says.

    Raises:
        FormatError: `schema_violation`.
    """
    if not isinstance(given, kind) or isinstance(given, bool):
        raise FormatError("schema_violation", f"{name}: expected {what}, got {given!r:.60}", path=f"/{name}")


def checked_action(action: str, target: str, amounts: Mapping[str, str] | None, facts: Mapping[str, str]) -> Action:
    """What a handler asks for. A fact by which no grant is bounded is an argument that it meant for somebody else.

    Raises:
        FormatError: `schema_violation`: one is of another kind, or no fact.
    """
    of_kind("action", action, str, "text")
    of_kind("target", target, str, "text")
    of_kind("amounts", amounts or {}, Mapping, "amounts by their units")
    for name, fact in facts.items():
        if name not in CONDITIONS:
            text = f"{name}: no such argument, and no fact among {', '.join(CONDITIONS)}"
            raise FormatError("schema_violation", text, path=f"/{name}")
        of_kind(name, fact, str, "text")
    return Action(name=action, target=target, amounts=dict(amounts or {}), facts=facts)


def check_request(method: str, url: str, body: bytes | None) -> None:
    """Returns if this can be a request. Raises as `of_kind`."""
    of_kind("method", method, str, "text such as GET")
    of_kind("url", url, str, "text")
    if _REQUESTED.fullmatch(url) is None:
        what = f"url: expected http:// or https://, a host, and no fragment, got {url!r:.200}"
        raise FormatError("schema_violation", what, path="/url")
    if has_empty_query(url):  # gates refuse it (HIRE-GTS-02), and it would be sent without the ?
        what = f"url: expected no query, or something in it, got {url:.200}"
        raise FormatError("schema_violation", what, path="/url")
    of_kind("body", b"" if body is None else body, BUFFERS, "bytes, into which a text has to be encoded")


def checked_headers(given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The fields that a request has beside those that sign it.

    Raises:
        FormatError: `schema_violation`: one is of another kind, or is written with the signature.
    """
    of_kind("headers", given, Mapping, "values by the names of their fields")
    for name, value in given.items():
        of_kind("headers", name, str, "a field's name as text")
        of_kind("headers", value, str, f"text for {name}")
    if written := [name for name in given if name.lower() in SIGNED_FIELDS]:
        raise FormatError("schema_violation", f"{written[0]} is written with the signature")
    return tuple(given.items())


def checked_sent(sent: Sent) -> Sent:
    """A request as it was sent. Raises as `of_kind`."""
    if not isinstance(sent, tuple) or len(sent) != 3:  # pyright: ignore[reportUnnecessaryIsInstance, reportUnnecessaryComparison]
        what = f"sent: expected the method, the URL and the fields that signed it, got {sent!r:.60}"
        raise FormatError("schema_violation", what, path="/sent")
    method, url, signed = sent
    check_request(method, url, None)
    return method, url, checked_fields("sent", signed)


def checked_fields(name: str, given: Fields) -> Fields:
    """The fields of an HTTP message, each a pair of texts. Raises as `of_kind`."""
    try:
        found = tuple((key + "", value + "") for key, value in given)  # what is no text takes none
    except (TypeError, ValueError) as exc:
        what = f"{name}: expected fields, each a pair of a name and its value as text, got {given!r:.60}"
        raise FormatError("schema_violation", what, path=f"/{name}") from exc
    return found
