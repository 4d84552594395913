"""The options of a proof: how they are written, and the shape they must have."""

from __future__ import annotations

from typing import Any

import pytest

from undersigned.errors import ProofError
from undersigned.proof import MAX_SKEW_SECONDS, proof_config
from undersigned.proof.options import check_options, check_times, previous_proofs

CREATED = "2026-11-24T12:00:00Z"
METHOD = "did:web:a.example#k"
PROOF: dict[str, Any] = {
    **proof_config("eddsa-jcs-2022", METHOD, "authentication", CREATED),
    "proofValue": "z1",
}


def code_of(proof: Any) -> str:
    with pytest.raises(ProofError) as raised:
        check_options(proof)
    return raised.value.code


def test_absent_options_are_left_out() -> None:
    assert proof_config("eddsa-jcs-2022", METHOD, "authentication", CREATED) == {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "created": CREATED,
        "verificationMethod": METHOD,
        "proofPurpose": "authentication",
    }
    full = proof_config(
        "eddsa-jcs-2022",
        METHOD,
        "authentication",
        CREATED,
        CREATED,
        "uEiA",
        "did:b",
        ["urn:x:1"],
        "urn:x:2",
    )
    assert full["expires"] == CREATED
    assert full["challenge"] == "uEiA"
    assert full["domain"] == "did:b"
    assert full["previousProof"] == ["urn:x:1"]
    assert full["id"] == "urn:x:2"


def test_one_previous_proof_is_text_and_several_are_a_list() -> None:
    one = proof_config("eddsa-jcs-2022", METHOD, "assertionMethod", CREATED, previous_proof="urn:x:1")
    assert one["previousProof"] == "urn:x:1"
    assert previous_proofs(one) == ("urn:x:1",)
    assert previous_proofs({"previousProof": ["urn:x:1", "urn:x:2"]}) == ("urn:x:1", "urn:x:2")
    assert previous_proofs({}) == ()


def test_a_whole_proof_passes() -> None:
    assert check_options(PROOF) is PROOF
    for name in ("id", "expires", "challenge", "domain", "nonce"):
        assert check_options({**PROOF, name: "x"})
    assert check_options({**PROOF, "previousProof": ["urn:x:1"], "@context": ["urn:x:2"]})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "Ed25519Signature2020"}, "suite_not_allowed"),
        ({"cryptosuite": ""}, "schema_violation"),
        ({"cryptosuite": 1}, "schema_violation"),
        ({"challenge": 1}, "schema_violation"),
        ({"domain": ["a", "b"]}, "schema_violation"),
        ({"previousProof": []}, "schema_violation"),
        ({"previousProof": [1]}, "schema_violation"),
        ({"previousProof": ["urn:x:1", 1]}, "schema_violation"),
        ({"previousProof": ["urn:x:1", ""]}, "schema_violation"),
        ({"previousProof": {}}, "schema_violation"),
        ({"previousProof": {"urn:x:1": 1}}, "schema_violation"),
        ({"previousProof": ""}, "schema_violation"),
        ({"created": None}, "schema_violation"),
        ({"unheard": "x"}, "unknown_term"),
    ],
)
def test_another_shape_is_refused(changes: dict[str, Any], code: str) -> None:
    assert code_of({**PROOF, **changes}) == code


def times(created: str | None, expires: str | None, now: str | None) -> str:
    """The code, or that it passed."""
    given = {name: value for name, value in (("created", created), ("expires", expires)) if value is not None}
    try:
        check_times(given, now)
    except ProofError as error:
        return error.code
    return "passed"


def test_edges_of_the_skew() -> None:
    """60 s ahead is allowed and 61 is not; at `expires` itself the proof is good, a second later not."""
    assert MAX_SKEW_SECONDS == 60
    assert times("2026-11-24T12:00:59Z", None, CREATED) == "passed"
    assert times("2026-11-24T12:01:00Z", None, CREATED) == "passed"
    assert times("2026-11-24T12:01:01Z", None, CREATED) == "proof_from_future"
    assert times("2026-11-24T12:01:00.000001Z", None, CREATED) == "proof_from_future"
    assert times(None, CREATED, CREATED) == "passed"
    assert times(None, "2026-11-24T11:59:59Z", CREATED) == "proof_expired"
    assert times(None, "2026-11-24T11:59:59.999Z", CREATED) == "proof_expired"
    assert times(None, None, CREATED) == "passed"


def test_times_are_compared_as_instants() -> None:
    assert times("2026-11-24T13:00:00+01:00", "2026-11-24T12:00:00Z", None) == "passed"
    assert times("2026-11-24T13:00:01+01:00", "2026-11-24T12:00:00Z", None) == "proof_invalid"
    assert times("2000-01-01T00:00:00+14:00", None, CREATED) == "passed"
    assert times("2999-12-31T23:59:59-14:00", None, None) == "passed"


def test_without_a_clock_only_contradictions_are_refused() -> None:
    assert times("2900-01-01T00:00:00Z", None, None) == "passed"
    assert times(None, "2000-01-01T00:00:00Z", None) == "passed"
    assert times("2026-11-24T12:00:01Z", CREATED, None) == "proof_invalid"
    assert times("tomorrow", None, None) == "schema_violation"
