"""Statements of the predicate pages: all are read as statements; a digest that is a placeholder matches nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts import PROVIDER
from parties import Party
from undersigned.attestation import envelope, pae, read_foreign_statement, verify_foreign_statement
from undersigned.encoding import digest_from_hex
from undersigned.errors import VerificationError

pytestmark = [pytest.mark.conformance, pytest.mark.usefixtures("conformance")]

WHOLE = {
    "reference-0": "886a77e9b9c993e221d1843e3af5b1fbeea26d8962995e8562174a6aba0c7cc9",
    "reference-1": "680177210742d53016820ec118b6d7dd0be62758ad6d7f503e96927ced4809b4",
}
"""Statement -> the digest of one of its subjects."""
EXCEPTIONS = {
    "release-1": "hex digits",  # `df7aa8af...`, a placeholder
    "release-2": "hex digits",  # `fedcba09...`
    "scai-0": "hex digits",  # `78ab6a8...`
    "svr-0": "hex digits",  # `3A244fd47e07d10...`
    "svr-2": "hex digits",  # `abc123def456...`
    "test-result-0": "expected a digest by",  # of a commit in git, by SHA-1 alone
}
"""Read, and no artifact is shown to be their subject; with a part of what is said."""


def signed(payload: bytes, by: Party = PROVIDER):
    return envelope(payload, [(by.method, by.sign(pae("application/vnd.in-toto+json", payload)))])


def raw(conformance: Path, name: str) -> bytes:
    return (conformance / "in-toto" / "statements" / f"{name}.json").read_bytes()


def test_each_example_is_one_or_the_other(conformance: Path) -> None:
    found = {path.stem for path in (conformance / "in-toto" / "statements").iterdir()}
    assert found == {*WHOLE, *EXCEPTIONS}
    assert len(found) == 8


@pytest.mark.parametrize("name", [*WHOLE, *EXCEPTIONS])
def test_each_is_read(conformance: Path, name: str) -> None:
    read = read_foreign_statement(raw(conformance, name))
    assert read.type == "https://in-toto.io/Statement/v1"
    assert read.predicate_type.startswith("https://in-toto.io/attestation/")
    assert read.predicate
    assert all(subject.digest for subject in read.subjects)
    assert read.signers == ()


@pytest.mark.parametrize("name", WHOLE)
def test_an_artifact_is_found_by_its_digest(conformance: Path, name: str) -> None:
    """Names are of the one who made the statement: one of several subjects matches by digest."""
    document = signed(raw(conformance, name))
    kinds = {"https://in-toto.io/attestation/reference/v0.1"}
    wanted = digest_from_hex(WHOLE[name])
    read = verify_foreign_statement(document, keys=PROVIDER.keys, artifact=wanted, predicate_types=kinds)
    assert read.signers == (PROVIDER.method,)
    with pytest.raises(VerificationError) as refused:
        verify_foreign_statement(
            document, keys=PROVIDER.keys, artifact=digest_from_hex("0" * 64), predicate_types=kinds
        )
    assert refused.value.code == "digest_mismatch"
    with pytest.raises(VerificationError) as refused:
        verify_foreign_statement(document, keys=PROVIDER.keys, artifact=wanted, predicate_types={"another"})
    assert (refused.value.code, refused.value.path) == ("attester_not_trusted", "/predicateType")


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions(conformance: Path, name: str) -> None:
    payload = raw(conformance, name)
    read = read_foreign_statement(payload)
    with pytest.raises(VerificationError) as refused:
        verify_foreign_statement(
            signed(payload), keys=PROVIDER.keys, artifact=b"bytes", predicate_types={read.predicate_type}
        )
    assert refused.value.code == "digest_mismatch"
    assert (EXCEPTIONS[name] if len(read.subjects) == 1 else "none of the subjects") in refused.value.message
