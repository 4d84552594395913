"""What the demo tells of what two processes say."""

from __future__ import annotations

from typing import Any

import pytest

from undersigned.cli.demo import _Narrator
from undersigned.cli.output import Out

INQUIRY = {"type": "Inquiry", "message": {"sequence": 1}}
SHOWS = {"type": "Presentation", "message": {"sequence": 2}}
ACME: list[dict[str, Any]] = [{"kind": "sent", **INQUIRY}, {"kind": "sent", **SHOWS}]
GLOBEX: list[dict[str, Any]] = [
    {"kind": "received", **INQUIRY},
    {"kind": "sent", "type": "Profile", "message": {"sequence": 1}},
    {"kind": "received", **SHOWS},
    {"kind": "noted", "type": "decision", "message": None},
]
TOLD = ["Acme -> Globex", "Globex -> Acme", "Acme -> Globex", "Globex decides"]


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line[:19].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("    ")]


def test_what_a_side_received_is_told_after_the_other_sent_it(capsys: pytest.CaptureFixture[str]) -> None:
    """On a busy machine all that one side wrote is there before anything of the other's is read."""
    narrator = _Narrator(Out(as_json=False))
    for value in GLOBEX:
        narrator.hear(value, "Globex", "Acme")
    assert told(capsys) == []
    for value in ACME:
        narrator.hear(value, "Acme", "Globex")
    assert told(capsys) == TOLD


def test_what_is_left_is_told_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    """The other side failed before it wrote that it sent it."""
    narrator = _Narrator(Out(as_json=False))
    narrator.hear(ACME[0], "Acme", "Globex")
    for value in GLOBEX:
        narrator.hear(value, "Globex", "Acme")
    assert told(capsys) == TOLD[:2]
    narrator.end()
    assert told(capsys) == TOLD[3:]
