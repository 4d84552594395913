"""Amounts: exact, one spelling each, and never a float."""

from __future__ import annotations

from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undersigned.encoding import add_amounts, compare_amounts, is_amount, percent_of, subtract_amounts
from undersigned.errors import FormatError

EXACT = Context(prec=60)


def spelled(number: Decimal) -> str:
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


amounts = st.decimals(-(10**17), 10**17, places=9).map(spelled)


@given(st.lists(amounts, max_size=5))
def test_sum_is_exact(items: list[str]):
    total = sum(map(Decimal, items), Decimal(0)) if len(items) < 2 else Decimal(0)
    for item in items if len(items) >= 2 else ():
        total = EXACT.add(total, Decimal(item))
    assert add_amounts(*items) == spelled(total)
    assert is_amount(add_amounts(*items))


@given(amounts, amounts)
def test_difference_and_order(left: str, right: str):
    assert subtract_amounts(left, right) == spelled(EXACT.subtract(Decimal(left), Decimal(right)))
    assert compare_amounts(left, right) == (Decimal(left) > Decimal(right)) - (Decimal(left) < Decimal(right))


def test_what_floats_get_wrong():
    assert add_amounts("0.1", "0.2") == "0.3"
    assert add_amounts("999999999999999998.999999999", "0.000000001") == "999999999999999999"
    assert subtract_amounts("1", "1") == "0"
    assert subtract_amounts("0.5", "1") == "-0.5"
    assert subtract_amounts("0.999999999", "1") == "-0.000000001"


@pytest.mark.parametrize("number", [5, 0.5, True, None, Decimal(5), b"5"])
def test_a_number_is_no_amount(number: object) -> None:
    """And says so in an error of ours, whoever hands it in."""
    assert not is_amount(number)
    with pytest.raises(FormatError) as caught:
        compare_amounts(number, "1")  # type: ignore[arg-type]
    assert caught.value.code == "schema_violation"


def test_sum_too_large():
    with pytest.raises(FormatError) as caught:
        add_amounts("999999999999999999", "1")
    assert caught.value.code == "number_out_of_range"


@pytest.mark.parametrize("text", ["0", "1", "-1", "0.1", "-0.1", "10", "999999999999999999.999999999", "100.05"])
def test_amount(text: str):
    assert is_amount(text)
    assert add_amounts(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "-0",
        "-0.0",
        "0.0",
        "1.0",
        "1.10",
        "01",
        "+1",
        "1.",
        ".5",
        "1e2",
        "1E2",
        "NaN",
        "Infinity",
        "1,5",
        "1 ",
        " 1",
        "1\n",
        "0x1",
        "1_0",
        "1" * 19,
        "0.1234567891",
        "--1",
        "１",
        "-0.000000000",
    ],
)
def test_not_an_amount(text: str):
    assert not is_amount(text)
    for use in (lambda: compare_amounts(text, "1"), lambda: add_amounts(text), lambda: subtract_amounts("1", text)):
        with pytest.raises(FormatError) as caught:
            use()
        assert caught.value.code == "schema_violation"


@pytest.mark.parametrize(
    ("amount", "percent", "part"),
    [("4", 25, "1"), ("12.5", 33, "4.125"), ("0.000000001", 99, "0"), ("0", 50, "0"), ("7", 100, "7"), ("1", 0, "0")],
)
def test_a_part_of_an_amount_is_cut_and_never_rounded_up(amount: str, percent: int, part: str):
    assert percent_of(amount, percent) == part
