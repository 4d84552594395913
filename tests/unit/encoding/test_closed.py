"""Closed structs from JSON: the error names the member, and never grows with what the peer sent."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest

from undersigned.encoding import Amount, from_struct, to_struct
from undersigned.errors import FormatError


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    name: Annotated[str, msgspec.Meta(max_length=5)]
    kind_of: str = "x"
    colours: tuple[str, ...] = ()


class Whole(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    parts: tuple[Part, ...] = ()
    price: Amount | None = None
    counts: dict[str, int] | None = None


def refusal(value: object, path: str = "") -> FormatError:
    with pytest.raises(FormatError) as caught:
        to_struct(value, Whole, path)
    return caught.value


def test_round_trip():
    value = {"parts": [{"name": "a", "kindOf": "y", "colours": ["red"]}], "price": "1.5"}
    struct = to_struct(value, Whole)
    assert struct.parts[0].kind_of == "y"
    assert from_struct(struct) == value


def test_a_text_at_hand_is_looked_at_for_null():
    """It may hold more than the value: only a null in the value itself counts."""
    within = b'{"other":null,"value":{"price":"1"}}'
    assert to_struct({"price": "1"}, Whole, text=within).price == "1"
    assert to_struct({"price": "1"}, Whole, text=b'{"price":"1"}').price == "1"
    with pytest.raises(FormatError) as caught:
        to_struct({"price": None}, Whole, text=b'{"price":null}')
    assert (caught.value.code, caught.value.path) == ("schema_violation", "/price")


@pytest.mark.parametrize(
    ("value", "code", "path"),
    [
        ([], "schema_violation", ""),
        ({"parts": {}}, "schema_violation", "/parts"),
        ({"parts": [{"name": "a"}, {"name": 5}]}, "schema_violation", "/parts/1/name"),
        ({"parts": [{"name": "abcdef"}]}, "schema_violation", "/parts/0/name"),
        ({"parts": [{}]}, "schema_violation", "/parts/0"),
        ({"price": "1.0"}, "schema_violation", "/price"),
        ({"counts": {"a": "x"}}, "schema_violation", "/counts/..."),
        ({"part": []}, "unknown_term", "/part"),
        ({"parts": [{"name": "a", "kind_of": "x"}]}, "unknown_term", "/parts/0/kind_of"),
        ({"a/b~": 1}, "unknown_term", "/a~1b~0"),
        ({"price": None}, "schema_violation", "/price"),
        ({"parts": [{"name": "a", "kindOf": None}]}, "schema_violation", "/parts/0/kindOf"),
        ({"parts": [{"name": "a", " - at `$.x": 1}]}, "unknown_term", "/parts/0/ - at "),
    ],
)
def test_refusal_says_where(value: object, code: str, path: str):
    assert (refusal(value).code, refusal(value).path) == (code, path)
    assert refusal(value, "/terms").path == "/terms" + path


@pytest.mark.parametrize("value", [{"n" * 100_000: 1}, {"price": "9" * 100_000}, {"/" * 100_000: None}])
def test_error_does_not_grow_with_its_cause(value: object):
    assert len(str(refusal(value))) < 600


@pytest.mark.parametrize("name", ["a` - at `$.b", " - at `" * 20_000, "`" * 50_000])
def test_names_that_imitate_the_place(name: str):
    error = refusal({name: 1})
    assert error.code in {"unknown_term", "schema_violation"}
    assert len(str(error)) < 600
