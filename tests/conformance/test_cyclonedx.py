"""CycloneDX 1.6: every document is judged as its name says, by the check that a delivered bill has to pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import conformance_dir
from undersigned.daemon.sbom import check_bill

pytestmark = [pytest.mark.conformance, pytest.mark.usefixtures("conformance")]

FILES = sorted(path.name for path in ((conformance_dir() or Path("none")) / "cyclonedx").glob("*.json"))


@pytest.mark.parametrize("name", FILES)
def test_a_document_is_judged_as_labelled(conformance: Path, name: str) -> None:
    valid = name.startswith("valid-")
    assert valid or name.startswith("invalid-")
    assert check_bill((conformance / "cyclonedx" / name).read_bytes(), b"artifact")["schema-valid"] is valid


@pytest.mark.parametrize("name", FILES)
def test_none_describes_an_artifact_of_ours(conformance: Path, name: str) -> None:
    verdict = check_bill((conformance / "cyclonedx" / name).read_bytes(), b"artifact")
    assert not verdict["describes-artifact"]


def test_every_case_is_looked_at(conformance: Path) -> None:
    assert len(FILES) == 24
    assert len([name for name in FILES if name.startswith("invalid-")]) == 8
