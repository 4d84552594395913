"""RFC 8785: every published input gives the published bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import rfc8785

from undersigned.encoding import FOREIGN_LIMITS, canonicalize, decode_json

pytestmark = pytest.mark.conformance

NAMES = ("arrays", "french", "structures", "values")


def test_every_published_case_is_run(conformance: Path):
    assert sorted(path.stem for path in (conformance / "jcs" / "input").iterdir()) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_canonical_form(conformance: Path, name: str):
    folder = conformance / "jcs"
    value = decode_json((folder / "input" / f"{name}.json").read_bytes(), FOREIGN_LIMITS)
    expected = (folder / "output" / f"{name}.json").read_bytes()
    assert canonicalize(value) == expected == rfc8785.dumps(value)
    assert expected == bytes.fromhex((folder / "outhex" / f"{name}.txt").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_canonical_form_is_a_fixed_point(conformance: Path, name: str):
    expected = (conformance / "jcs" / "output" / f"{name}.json").read_bytes()
    assert canonicalize(decode_json(expected, FOREIGN_LIMITS)) == expected
