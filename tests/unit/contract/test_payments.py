"""What a hook of a settlement carries, and what milestones come to."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from contracts import terms
from undersigned.contract import (
    Criterion,
    Deliverable,
    Milestone,
    Price,
    Settlement,
    carried,
    reached,
    read_payment,
    share,
)
from undersigned.errors import FormatError

X402: dict[str, Any] = {
    "scheme": "exact",
    "network": "eip155:84532",
    "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
    "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
    "maxTimeoutSeconds": 0,
}
VERSION_2, VERSION_1 = X402 | {"amount": "4000000"}, X402 | {"maxAmountRequired": "0"}


def hook(value: Any) -> str:
    return carried(json.dumps(value).encode())


@pytest.mark.parametrize("value", [VERSION_2, VERSION_1, VERSION_2 | {"extra": {"name": "USDC"}}])
def test_what_is_asked_for_in_either_version_is_carried_to_the_byte(value: dict[str, Any]) -> None:
    """HIRE-PAY-02: members of others are kept."""
    assert json.loads(read_payment("x402", hook(value))) == value


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("x402", None),
        ("x402", ""),
        ("x402", "https://pay.example"),
        ("x402", b64encode(json.dumps(VERSION_2).encode()).decode()),
        ("x402", hook(VERSION_2).replace("application/json", "text/plain")),
        ("x402", hook(VERSION_2) + "\n"),
        ("x402", hook(X402)),
        ("x402", hook(VERSION_1 | VERSION_2)),
        ("x402", hook(VERSION_2 | {"amount": "4.0"})),
        ("x402", hook(VERSION_2 | {"payTo": ""})),
        ("x402", hook(VERSION_2 | {"maxTimeoutSeconds": -1})),
        ("x402", hook([VERSION_2])),
        ("x402", carried(json.dumps(VERSION_2)[:-1].encode() + b',"payTo":"0x0"}')),
        ("x402", carried(b"[" * 100_000)),
        ("x402", carried(b"\xff")),
        ("ap2", hook(VERSION_2)),
        ("sepa", hook(VERSION_2)),
    ],
)
def test_what_is_no_payment_of_its_method_is_refused(method: str, given: str | None) -> None:
    """HIRE-PAY-02: a name that stands twice is read by one side as this, and by the other as that."""
    with pytest.raises(FormatError) as refused:
        read_payment(method, given)
    assert (refused.value.code, refused.value.path) == ("schema_violation", "/settlement/hook")


def test_milestones_are_reached_whole() -> None:
    """HIRE-PAY-03: by all of their criteria; their parts of the price are cut after nine places."""
    criteria = tuple(Criterion(id=name, text="It is.") for name in "abc")
    parts = (
        Milestone(name="first", percent=33, criteria=("a", "b")),
        Milestone(name="second", percent=67, criteria=("c",)),
    )
    agreed = terms(
        deliverables=(Deliverable(name="part", media_type="text/plain", criteria=criteria),),
        settlement=Settlement(method="manual", milestones=parts),
        price=Price(amount="0.000000001", currency="EUR"),
    )
    assert [one.name for one in reached(agreed, frozenset("ac"))] == ["second"]
    for met, amount in (("", "0"), ("a", "0"), ("ab", "0"), ("abc", "0.000000001")):
        assert share(agreed, frozenset(met)) == Price(amount=amount, currency="EUR")
