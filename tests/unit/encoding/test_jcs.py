"""The canonical form: equal to rfc8785 for everything, and no Python value is written as something it is not."""

from __future__ import annotations

import datetime
import decimal
import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from support import refuses
from undersigned.encoding import canonicalize, decode_json, write_canonical
from undersigned.errors import FormatError

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
    max_leaves=25,
)


@given(values)
def test_equal_to_rfc8785(value: object):
    assert canonicalize(value) == rfc8785.dumps(value)


@given(values | st.integers() | st.dictionaries(text, st.integers()), st.booleans())
def test_what_a_reader_of_messages_gives_needs_no_second_look(value: object, escaped: bool):
    """`write_canonical` writes the same of it, whatever came."""
    try:
        read = decode_json(json.dumps(value, ensure_ascii=escaped).encode())
    except FormatError:
        return
    assert write_canonical(read) == canonicalize(read) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", ["\u00e9\U0001f600", {"a": ["\u20ac", {"B": 2**53 - 1, "b": True}]}, [-1, '"\\'], {}])
def test_a_reader_of_messages_gives_such_values(value: object):
    """So that the test above compares something."""
    assert write_canonical(decode_json(json.dumps(value).encode())) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"b": 1, "a": [True, None, "x"]}, b'{"a":[true,null,"x"],"b":1}'),
        ((1, 2), b"[1,2]"),
        ({"a": 1.0, "b": 1e21, "c": 1e-7, "d": -0.0}, b'{"a":1,"b":1e+21,"c":1e-7,"d":0}'),
        ('\x00\b\t\n\f\r\x1f\x7f\u2028/"\\', b'"\\u0000\\b\\t\\n\\f\\r\\u001f\x7f\xe2\x80\xa8/\\"\\\\"'),
    ],
)
def test_form(value: object, written: bytes):
    assert canonicalize(value) == written


def test_names_are_ordered_by_utf_16():
    """A character beyond U+FFFF sorts before U+E000, because its surrogates do."""
    value = {"\ue000": 1, "\U00010000": 2, "\uffee": 3, "a": 4}
    assert [rfc8785.dumps(value).decode()[i] for i in (2, 8, 14, 20)] == ["a", "\U00010000", "\ue000", "\uffee"]
    assert canonicalize(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (2**53, "number_out_of_range"),
        ([-(2**53)], "number_out_of_range"),
        ({"a": 2**70}, "number_out_of_range"),
        (float("nan"), "number_out_of_range"),
        ([float("inf")], "number_out_of_range"),
        ("\ud800", "bad_unicode"),
        ({"\ud800": 1}, "bad_unicode"),
        ({1: 2}, "bad_json"),
        ({None: 2}, "bad_json"),
        (b"bytes", "bad_json"),
        ({"a": b"bytes"}, "bad_json"),
        (datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "bad_json"),
        (decimal.Decimal("1.5"), "bad_json"),
        ({1, 2}, "bad_json"),
        (object(), "bad_json"),
    ],
)
def test_what_is_not_json_is_refused(value: object, code: str):
    with refuses(FormatError, code):
        canonicalize(value)


def test_cycle_and_depth_end_in_an_error():
    cycle: list[object] = []
    cycle.append(cycle)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (cycle, deep):
        with refuses(FormatError, "too_deep"):
            canonicalize(value)
    while deep:  # Take it apart by hand: dropping it whole would recurse.
        deep = deep.pop()
