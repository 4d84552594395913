"""Security cases about attestations that the statement alone decides: SC-65 to SC-68."""

from __future__ import annotations

from hashlib import md5, sha1, sha256, sha384, sha512
from typing import Any

import pytest

from contracts import ENGAGEMENT, HIRER, PROVIDER, STRANGER
from parties import NOW, Party
from undersigned.attestation import make_statement, provenance, verify_statement, work
from undersigned.encoding import canonicalize, decode_json, digest_bytes
from undersigned.errors import VerificationError

ARTIFACT = b"the artifact"
ARTIFACTS = {"out.bin": digest_bytes(ARTIFACT)}
CONTRACT = digest_bytes(b"contract 1")


def claim(builder: Party = PROVIDER, contract: str = CONTRACT) -> bytes:
    return make_statement(
        ARTIFACTS,
        work(
            contract=contract,
            engagement=ENGAGEMENT,
            provider=builder.did,
            task="sbom",
            inputs={},
            actions=[],
            usage=[],
            started_on=NOW,
            finished_on=NOW,
        ),
    )


def code(document: Any, artifact: bytes | None = None, **changes: Any) -> str:
    fields: dict[str, Any] = {
        "attester": PROVIDER.did,
        "keys": PROVIDER.keys,
        "contract": CONTRACT,
        "artifacts": ARTIFACTS if artifact is None else {"out.bin": artifact},
    }
    try:
        verify_statement(document, **(fields | changes))
    except VerificationError as refused:
        return refused.code
    return ""


@pytest.mark.parametrize("artifact", [ARTIFACT[:-1], b"", bytes([ARTIFACT[0] ^ 1]) + ARTIFACT[1:], ARTIFACT + b"\0"])
def test_sc_65_another_artifact_by_one_bit(artifact: bytes) -> None:
    """HIRE-ATT-03."""
    document = PROVIDER.seal_statement(claim())
    assert code(document, ARTIFACT) == ""
    assert code(document, artifact) == "digest_mismatch"
    assert code(document, artifacts={"out.bin": digest_bytes(artifact)}) == "digest_mismatch"
    assert code(document, artifacts={"other.bin": digest_bytes(ARTIFACT)}) == "digest_mismatch"
    assert code(document, artifacts={}) == "digest_mismatch"


def test_sc_66_another_contract() -> None:
    """HIRE-ATT-04."""
    other = digest_bytes(b"contract 2")
    for payload in (
        claim(contract=other),
        make_statement(
            ARTIFACTS,
            provenance(
                contract=other,
                clauses=[],
                provider=PROVIDER.did,
                task="sbom",
                inputs={},
                invocation_id="1",
                started_on=NOW,
                finished_on=NOW,
            ),
        ),
    ):
        document = PROVIDER.seal_statement(payload)
        assert code(document) == "attestation_binding"
        assert code(document, contract=other) == ""


def test_sc_67_a_forged_builder() -> None:
    """HIRE-ATT-02, HIRE-ATT-05."""
    assert code(PROVIDER.seal_statement(claim(builder=STRANGER))) == "attester_not_trusted"
    assert code(HIRER.seal_statement(claim(builder=HIRER))) == "attester_not_trusted"
    assert code(HIRER.seal_statement(claim())) == "attester_not_trusted"
    # The name of a key helps nobody who does not hold it.
    posing = HIRER.seal_statement(claim())
    posing["signatures"][0]["keyid"] = PROVIDER.method
    assert code(posing) == "proof_invalid"
    # Nor does a key of somebody else among those that are believed.
    assert code(HIRER.seal_statement(claim()), keys=PROVIDER.keys | HIRER.keys) == "attester_not_trusted"


RIGHT = sha256(ARTIFACT).hexdigest()


@pytest.mark.parametrize(
    "digests",
    [
        {"sha1": sha1(ARTIFACT).hexdigest()},
        {"md5": md5(ARTIFACT).hexdigest()},
        {"sha3_256": RIGHT},
        {"SHA256": RIGHT},
        {"sha256": RIGHT.upper()},
        {"sha256": RIGHT[:-1]},
        {"sha256": RIGHT + "0"},
        {"sha256": RIGHT[:-1] + " "},
        {"sha256": ""},
        {"sha256": sha256(b"").hexdigest()},
        {"sha256": RIGHT, "sha512": sha512(b"other").hexdigest()},
        {"sha256": sha256(b"other").hexdigest(), "sha512": sha512(ARTIFACT).hexdigest()},
        {"sha384": sha384(b"other").hexdigest()},
    ],
)
def test_sc_68_weak_wrong_or_several_digests(digests: dict[str, str]) -> None:
    """HIRE-ATT-03."""
    statement: Any = decode_json(claim())
    statement["subject"][0]["digest"] = digests
    document = PROVIDER.seal_statement(canonicalize(statement))
    # With the artifact's bytes, and with its digest alone.
    for artifact in (ARTIFACT, None):
        assert code(document, artifact) == "digest_mismatch"


def test_sc_68_subjects_are_listed_once() -> None:
    statement: Any = decode_json(claim())
    statement["subject"] *= 2
    assert code(PROVIDER.seal_statement(canonicalize(statement))) == "digest_mismatch"
