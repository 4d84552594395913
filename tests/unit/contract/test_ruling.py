"""What an arbiter decided, and that nobody else decided it."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from typing import Any

import pytest

from contracts import terms
from parties import NOW, Party, keys_of
from support import refuses
from undersigned.contract import Price, left_owed, read_ruling, ruling_config, verify_ruling
from undersigned.encoding import digest_bytes, digest_of
from undersigned.errors import FormatError, ProofError

ARBITER, STRANGER = Party("arbiter"), Party("mallory")
KEYS = keys_of(ARBITER, STRANGER)
RULING: dict[str, Any] = {
    "@context": "https://w3id.org/hire/v1",
    "id": "urn:uuid:6d6a9d0c-0a6d-4f0e-9b1a-0f6f2f5f7a10",
    "type": "ArbiterRuling",
    "contract": digest_bytes(b"contract"),
    "dispute": digest_bytes(b"dispute"),
    "outcome": "divided",
    "amount": "0",
    "currency": "EUR",
    "reasons": "Both are right.",
}


def ruled(by: Party = ARBITER, **changes: Any) -> dict[str, Any]:
    return by.prove(RULING | changes, ruling_config("eddsa-jcs-2022", by.method, NOW))


def test_what_the_arbiter_signed_is_the_ruling() -> None:
    """HIRE-LIF-22: also that nothing is owed."""
    assert verify_ruling(ruled(), arbiter=ARBITER.did, keys=KEYS).amount == "0"


def test_of_two_rulings_both_sides_count_the_same() -> None:
    """HIRE-LIF-11: that with the lower digest, whichever came first."""

    def never(*_: object) -> Any:
        raise AssertionError("a ruling goes before all else")

    made = sorted((ruled(amount=str(amount)) for amount in range(4)), key=digest_of)
    for first, second in itertools.pairwise(made):
        for rulings in ((first, second), (second, first)):
            owed = left_owed(
                terms(), "ruling", "", rulings=lambda of=rulings: of, release=never, outcome=never, met=never
            )
            assert owed == Price(amount=first["amount"], currency="EUR")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (ruled(STRANGER), "key_not_authorized"),
        (ruled() | {"outcome": "for_hirer"}, "proof_invalid"),
        (RULING, "proof_missing"),
    ],
    ids=["another's", "changed", "not signed"],
)
def test_another_ruling_is_none(document: dict[str, Any], code: str) -> None:
    """HIRE-LIF-22."""
    with refuses(ProofError, code):
        verify_ruling(document, arbiter=ARBITER.did, keys=KEYS)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"created": "2020-01-01T00:00:00Z", "expires": "2020-01-01T00:00:00Z"}, None),
        ({"created": "2900-01-01T00:00:00Z"}, None),
        ({"created": "yesterday"}, "schema_violation"),
        ({"expires": "2020-01-01T00:00:00Z"}, "proof_invalid"),
    ],
)
def test_its_times_are_in_order_and_held_against_no_clock(options: dict[str, str], code: str | None) -> None:
    """HIRE-LIF-22: it stays provable."""
    document = ARBITER.prove(RULING, {**ruling_config("eddsa-jcs-2022", ARBITER.method, NOW), **options})
    with nullcontext() if code is None else refuses((FormatError, ProofError), code):
        verify_ruling(document, arbiter=ARBITER.did, keys=KEYS)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": "-1"}, "schema_violation"),
        ({"outcome": "for_arbiter"}, "schema_violation"),
        ({"costs": "7"}, "unknown_term"),
    ],
)
def test_a_ruling_of_another_shape_is_not_read(change: dict[str, Any], code: str) -> None:
    with refuses(FormatError, code):
        read_ruling(RULING | change)
