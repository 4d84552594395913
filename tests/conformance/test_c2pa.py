"""C2PA's public test files, each read as its name says: C and CA hold, E and X do not, A has no manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from undersigned.attestation.media import read_manifest
from undersigned.errors import VerificationError

pytestmark = [pytest.mark.conformance, pytest.mark.usefixtures("conformance")]

HOLD = ("C", "CA")
BROKEN = {
    "E-dat-CA": "assertion.dataHash.mismatch",
    "E-sig-CA": "claimSignature.mismatch",
    "XCA": "assertion.dataHash.mismatch",
}
NOT_REPORTED = {"timeStamp.mismatch"}
"""Exception: the published report of E-sig-CA names it beside the signature's; the library tells it as information."""


def raw(conformance: Path, name: str) -> bytes:
    return (conformance / "c2pa" / "jpeg" / f"adobe-20220124-{name}.jpg").read_bytes()


@pytest.mark.parametrize("name", HOLD)
def test_what_holds_holds(conformance: Path, name: str) -> None:
    """Their certificates are of anchors that nobody here named, so nobody is shown to have made them."""
    read = read_manifest(raw(conformance, name), "image/jpeg")
    assert set(read.failures) <= {"signingCredential.untrusted"}
    assert read.assertion is None
    report = json.loads((conformance / "c2pa" / "jpeg" / f"adobe-20220124-{name}.manifest_store.json").read_text())
    assert "validation_status" not in report


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_says_how(conformance: Path, name: str) -> None:
    read = read_manifest(raw(conformance, name), "image/jpeg")
    assert BROKEN[name] in read.failures
    report = json.loads((conformance / "c2pa" / "jpeg" / f"adobe-20220124-{name}.manifest_store.json").read_text())
    assert {one["code"] for one in report["validation_status"]} - NOT_REPORTED <= set(read.failures)


def test_an_ingredient_without_a_claim_has_none(conformance: Path) -> None:
    with pytest.raises(VerificationError) as refused:
        read_manifest(raw(conformance, "A"), "image/jpeg")
    assert refused.value.code == "digest_mismatch"


def test_every_case_is_looked_at(conformance: Path) -> None:
    found = {path.stem.removeprefix("adobe-20220124-") for path in (conformance / "c2pa" / "jpeg").glob("*.jpg")}
    assert found == {*HOLD, *BROKEN, "A"}
