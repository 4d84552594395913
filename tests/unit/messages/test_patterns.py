"""No text that a peer can send makes a check slow."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import msgspec
import pytest

from message_examples import conversation
from support import counted_calls
from undersigned.errors import UndersignedError
from undersigned.messages import decode_message
from undersigned.messages.schemas import json_schemas

UNBOUNDED = 4096
"""Length tried where a pattern itself bounds the text."""
PIECES = (
    "a",
    "A",
    "0",
    "9",
    "-",
    "_",
    ":",
    "/",
    "~",
    "~0",
    "%",
    "%4",
    "%41",
    ".",
    "a:",
    "a.",
    "?",
    "#",
    "=",
    "; a=a",
    "z1",
)
STARTS = (
    "",
    "did:a:",
    "did:web:a",
    "did:key:z6",
    "did:a:b#",
    "urn:hire:engagement:uEiA",
    "P",
    "PT1",
    "uEiA",
    "u",
    "/",
    "a/a",
    "a:",
    "2026-",
)


def _patterns(schema: Any) -> set[tuple[str, int]]:
    found: set[tuple[str, int]] = set()
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            found.add((schema["pattern"], schema.get("maxLength", UNBOUNDED)))
        for inner in schema.values():
            found |= _patterns(inner)
    if isinstance(schema, list):
        for inner in schema:
            found |= _patterns(inner)
    return found


PATTERNS = sorted(_patterns(json_schemas()))


def test_the_patterns_of_all_schemas_are_tried() -> None:
    assert len(PATTERNS) > 20
    for pattern, _ in PATTERNS:
        assert pattern.startswith("^")
        assert pattern.endswith("$")


@pytest.mark.parametrize(("pattern", "length"), PATTERNS)
def test_sc_106_worst_strings_are_refused(pattern: str, length: int) -> None:
    """SC-106: at the field's full length, with what makes the pattern go far and then fail. That none takes more than
    linear time is worked out from the patterns, in tests/security/test_patterns.py.
    """
    compiled = re.compile(pattern)
    decoder = msgspec.json.Decoder(Annotated[str, msgspec.Meta(pattern=pattern)])
    for start in STARTS:
        for piece in PIECES:
            text = (start + piece * length)[: length - 2] + "~\u2028"
            assert not compiled.search(text)
            with pytest.raises(msgspec.ValidationError):
                decoder.decode(msgspec.json.encode(text))


@pytest.mark.parametrize("length", [4_096, 130_000])
def test_sc_106_whole_messages_of_long_strings_are_refused_in_few_steps(length: int) -> None:
    """SC-106: also at the longest that the strict reader lets through, in every member that is text."""
    message = json.loads(conversation()["start"].raw)
    for member in ("id", "engagement", "sender", "recipient", "role", "previous", "contract"):
        for piece in ("a", ":", "%41", "did:a:"):
            raw = json.dumps({**message, member: (message[member] + piece * length)[:length]}).encode()
            with counted_calls() as calls, pytest.raises(UndersignedError):
                decode_message(raw)
            assert calls() < 500, (member, piece)


@pytest.mark.parametrize(("pattern", "_length"), PATTERNS)
def test_a_newline_at_the_end_is_not_the_end(pattern: str, _length: int) -> None:
    """`$` alone would take it, and two spellings of one value would be two messages."""
    assert pattern.endswith(r"(?!\n)$")
