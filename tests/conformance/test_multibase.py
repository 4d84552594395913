"""Multibase: every published encoding decodes to its bytes and encodes back, or is refused for the listed reason."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from support import conformance_dir, refuses
from undersigned.encoding import multibase_decode, multibase_encode
from undersigned.errors import FormatError

pytestmark = pytest.mark.conformance

EXPECTED_EXCEPTIONS = {"base256emoji": "a draft encoding of one byte per emoji, which no protocol here uses"}


def _cases() -> list[object]:
    folder = conformance_dir()
    if folder is None:
        return [pytest.param(None, None, None, id="vectors absent")]
    cases: list[object] = []
    for path in sorted((folder / "multibase").glob("*.csv")):
        rows = list(csv.reader(path.read_text().splitlines(), skipinitialspace=True))
        data = re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), rows[0][1]).encode()
        cases += [pytest.param(name, data, text, id=f"{path.stem}-{name}") for name, text in rows[1:]]
    return cases


@pytest.mark.parametrize(("name", "data", "text"), _cases())
def test_encoding(conformance: Path, name: str, data: bytes, text: str):
    if name in EXPECTED_EXCEPTIONS:
        with refuses(FormatError, "schema_violation"):
            multibase_decode(text, allowed=text[0])
        return
    assert multibase_decode(text, allowed=text[0]) == data
    assert multibase_encode(text[0], data) == text


@pytest.mark.parametrize(("name", "data", "text"), _cases())
def test_only_two_encodings_are_read_unless_asked_for(conformance: Path, name: str, data: bytes, text: str):
    if text[0] in "zu":
        assert multibase_decode(text) == data
    else:
        with refuses(FormatError, "schema_violation"):
            multibase_decode(text)
