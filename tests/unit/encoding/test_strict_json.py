"""Strict JSON: what is taken, what is refused and with which code and place, and that both readers agree."""

from __future__ import annotations

import json
import math
import re

import msgspec
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from undersigned.encoding import (
    FOREIGN_LIMITS,
    MESSAGE_LIMITS,
    JsonLimits,
    canonicalize,
    decode_json,
    decode_json_canonical,
)
from undersigned.encoding.strict_json import MAX_OPENED, _check_depth, _read_slowly, has_long_number, seen_plain_text
from undersigned.errors import FormatError

SMALL = JsonLimits(max_bytes=1000, max_depth=3, max_members=3, max_items=4, max_string=10)

safe_text = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn"), max_codepoint=0x1FFFF), max_size=20)
names = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=10)
plain = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | safe_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)
foreign = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    # Beyond 2^53 the canonical form of a float may look like an integer that is refused.
    | st.floats(-(2.0**53) + 1, 2.0**53 - 1).filter(lambda x: math.copysign(1, x) > 0 or x != 0)
    | safe_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(safe_text, inner, max_size=4),
    max_leaves=20,
)


def refused(raw: bytes, limits: JsonLimits = MESSAGE_LIMITS) -> FormatError:
    with pytest.raises(FormatError) as caught:
        decode_json(raw, limits)
    return caught.value


def attempt(raw: bytes, limits: JsonLimits) -> tuple[tuple[object, bool], None] | tuple[None, FormatError]:
    try:
        return decode_json_canonical(raw, limits), None
    except FormatError as error:
        return None, error


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b"[]", []),
        (b'"x"', "x"),
        (b"0", 0),
        (b"true", True),
        (b" [ 1 ,\t2\r\n] ", [1, 2]),
        (b"-9007199254740991", -(2**53) + 1),
        (b"[9007199254740991]", [2**53 - 1]),
        (b'{"a":{"b":[{"c":"\\"\\\\\\/"}]}}', {"a": {"b": [{"c": '"\\/'}]}}),
        ('{"a":"é€😀\u2028"}'.encode(), {"a": "é€😀\u2028"}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}),
        (b'{"b":1,"a":2}', {"b": 1, "a": 2}),
    ],
)
def test_value(raw: bytes, value: object):
    assert decode_json(raw) == value


@pytest.mark.parametrize(
    ("raw", "proved"),
    [
        (b'{"a":1,"b":[true,"x"]}', True),
        ('{"a":"é😀"}'.encode(), True),
        (b'{"a":"\\"\\\\"}', True),
        (b'{"b":1,"a":2}', False),
        (b'{"a": 1}', False),
        (b'{"a":"\\u0041"}', False),
        (b'{"a":"\\/"}', False),
        (b'{"a":"\\ud83d\\ude00"}', False),
        (b'{"a":1}\n', False),
    ],
)
def test_canonical_bytes_are_known_as_such(raw: bytes, proved: bool):
    value, answer = decode_json_canonical(raw)
    assert answer is proved is (canonicalize(value) == raw)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b'{"a":1}x', "bad_json"),
        (b"{} {}", "bad_json"),
        (b"{'a':1}", "bad_json"),
        (b"[1,]", "bad_json"),
        (b"[01]", "bad_json"),
        (b"[+1]", "bad_json"),
        (b"[.5]", "bad_json"),
        (b"[1.]", "bad_json"),
        (b"[0x10]", "bad_json"),
        (b"[tru]", "bad_json"),
        (b"// c\n[]", "bad_json"),
        (b'["\\x41"]', "bad_json"),
        (b'["\\u00g0"]', "bad_json"),
        (b"\x0b[]", "bad_json"),
        (b"[null]", "bad_json"),
        (b'["a\tb"]', "bad_unicode"),
        (b"[1.5]", "number_out_of_range"),
        (b"[-0]", "number_out_of_range"),
        (b"[Infinity]", "bad_json"),
        ('{"é":1}'.encode(), "bad_unicode"),
        ("[]\u00a0".encode(), "bad_json"),
        ("[１]".encode(), "bad_json"),
    ],
)
def test_refusal(raw: bytes, code: str):
    assert refused(raw).code == code


@pytest.mark.parametrize(
    ("raw", "code", "path"),
    [
        (b'{"a":[1,{"b":null}]}', "bad_json", "/a/1/b"),
        (b'{"a":[1,{"b":"\\u0007"}]}', "bad_unicode", "/a/1/b"),
        (b'{"a/b~c":"\\u0007"}', "bad_unicode", "/a~1b~0c"),
        (b'{"a":{"x\\u0007":1}}', "bad_unicode", "/a"),
        (b'{"a":[0,0,0,0,0]}', "too_large", "/a"),
        (b'{"a":["12345678901"]}', "too_large", "/a/0"),
        (b'{"a":{"12345678901":1}}', "too_large", "/a"),
    ],
)
def test_refusal_says_where(raw: bytes, code: str, path: str):
    error = refused(raw, SMALL)
    assert (error.code, error.path) == (code, path)


def test_error_does_not_grow_with_its_cause():
    deep = b'{"' + b"n" * 200 + b'":'
    error = refused(deep * 10 + b"null" + b"}" * 10)
    assert len(str(error)) < 1000
    assert str(error).isascii() or "…" in error.path
    assert len(str(refused(b"[" + b"1" * 100_000 + b"]"))) < 200
    twice = b'"' + b"n" * 10_000 + b'":1'
    assert len(str(refused(b"{" + twice + b"," + twice + b"}"))) < 200


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"a":"' + b"x" * 994 + b'"}', "too_large"),  # 1,002 bytes
        (b'{"a":1,"b":2,"c":3,"d":4}', "too_large"),
        (b"[[[[]]]]", "too_deep"),
        (b'[[{"a":[]}]]', "too_deep"),
        (b'{"a":{"a":{"a":{}}}}', "too_deep"),
        (b"[1,2,3,4,5]", "too_large"),
        (b'["12345678901"]', "too_large"),
    ],
)
def test_limit_plus_one(raw: bytes, code: str):
    assert refused(raw, SMALL).code == code


@pytest.mark.parametrize(
    "raw",
    [
        b" " * 998 + b"[]",
        b'{"a":1,"b":2,"c":3}',
        b"[[[],[]],[[]]]",
        b'[[{"a":1}]]',
        b"[1,2,3,4]",
        b'["1234567890"]',
        b'["[[[[[["]',
        b'["\\"[[[["]',
        b'["\\\\",[["]"]]]',
    ],
)
def test_limits_are_inclusive(raw: bytes):
    assert decode_json(raw, SMALL) == json.loads(raw)


@pytest.mark.parametrize(
    "raw", [b'["\\"",[[[]]]]', b'["\\\\",[[[]]]]', b'["\\\\\\"",[[[]]]]', b'["]",["]",["]",["]"]]]]']
)
def test_depth_is_not_hidden_by_strings(raw: bytes):
    """Brackets and quotes inside strings, escaped or not, do not lower the depth that is counted."""
    assert refused(raw, SMALL).code == "too_deep"


def test_foreign_limits():
    raw = b'{"a":null,"b":1.50,"c":"x\\ny","\xc3\xa9":-1e-7,"zero":0.0}'
    assert decode_json(raw, FOREIGN_LIMITS) == {"a": None, "b": 1.5, "c": "x\ny", "é": -1e-7, "zero": 0}


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"[1e400]", "number_out_of_range"),
        (b"[-1e400]", "number_out_of_range"),
        (b"[NaN]", "bad_json"),
        (b"[-Infinity]", "bad_json"),
        (b"[-0.0]", "number_out_of_range"),
        (b"[-0]", "number_out_of_range"),
        (b"[9007199254740992]", "number_out_of_range"),
        (b"[0." + b"0" * 1000 + b"]", "number_out_of_range"),
        (b'["\\u0000"]', "bad_unicode"),
        (b'["\\uffff"]', "bad_unicode"),
        (b'["\\udbff\\udfff"]', "bad_unicode"),
        (b'["\\ufdd0"]', "bad_unicode"),
        (b'{"a":1,"a":1}', "bad_json"),
    ],
)
def test_foreign_limits_still_refuse(raw: bytes, code: str):
    assert refused(raw, FOREIGN_LIMITS).code == code


@given(plain)
def test_canonical_bytes_take_the_fast_way(value: object):
    raw = rfc8785.dumps(value)
    limits = msgspec.structs.replace(MESSAGE_LIMITS, max_depth=64)
    decoded, proved = decode_json_canonical(raw, limits)
    assert decoded == value
    assert proved is isinstance(value, (dict, list))
    assert _read_slowly(raw, limits) == value


@given(plain, st.booleans(), st.sampled_from([None, 1]))
def test_any_spelling_gives_the_same_value(value: object, escaped: bool, indent: int | None):
    raw = json.dumps(value, ensure_ascii=escaped, indent=indent).encode()
    limits = msgspec.structs.replace(MESSAGE_LIMITS, max_depth=64)
    decoded, proved = decode_json_canonical(raw, limits)
    assert decoded == value
    if proved:
        assert rfc8785.dumps(value) == raw


@given(foreign)
def test_foreign_values_survive(value: object):
    limits = msgspec.structs.replace(FOREIGN_LIMITS, max_depth=64)
    assert decode_json(rfc8785.dumps(value), limits) == json.loads(rfc8785.dumps(value))


fragments = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b":",
        b",",
        b"\\",
        b"\\u",
        b"d800",
        b"0000",
        b"1",
        b"-",
        b"0",
        b".",
        b"e",
        b"E9",
        b"null",
        b"true",
        b"NaN",
        b" ",
        b"\n",
        b"\x00",
        b"\x7f",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b'"a":',
    ]
)


@given(st.binary(max_size=60) | st.lists(fragments, max_size=40).map(b"".join))
@example(b'{"a":1,"a":1}')
@example(b"[" * 2000)
@example(b'"\\')
def test_any_bytes_give_a_value_or_a_format_error(raw: bytes):
    for limits in (MESSAGE_LIMITS, FOREIGN_LIMITS, SMALL):
        decoded, error = attempt(raw, limits)
        if error is not None:
            assert error.code in {"bad_json", "bad_unicode", "too_deep", "number_out_of_range", "too_large"}
            assert len(str(error)) < 1000
            continue
        value, proved = decoded
        assert value == json.loads(raw)
        written = canonicalize(value)
        assert written == rfc8785.dumps(value)
        assert proved <= (written == raw)
        assert _read_slowly(raw, limits) == value
        if not limits.floats:
            assert canonicalize(decode_json(written, limits)) == written


@given(st.lists(fragments, max_size=60).map(b"".join))
@example(b"[]")
@example(b'[{"a":[1]},"[",{}]')
def test_depth_check_is_never_below_what_a_parser_reaches(raw: bytes):
    """Whatever the depth check lets pass at a depth, a recursive parser does not nest deeper in. Where that is seen
    at once, nobody counts how deep it is.
    """

    def depth(value: object) -> int:
        if isinstance(value, dict):
            return 1 + max(map(depth, value.values()), default=0)
        return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0

    try:
        reached = depth(json.loads(raw))
    except ValueError:
        return
    _check_depth(raw, reached)
    if reached:
        with pytest.raises(FormatError, match=f"got (more|{reached})$"):
            _check_depth(raw, reached - 1)


def test_no_parser_gets_deep_in_a_text_whose_depth_was_not_looked_at() -> None:
    """HIRE-JSN-04: that depth is refused exactly is seen afterwards."""
    assert seen_plain_text(b'{"a":[' * (MAX_OPENED // 2))
    for raw in (b"[" * (MAX_OPENED + 1), b'{"a":' * (MAX_OPENED + 1), b'{"a":[' * (MAX_OPENED // 2) + b"["):
        assert not seen_plain_text(raw)


@given(st.lists(st.binary(max_size=3) | st.text("0123456789", max_size=40).map(str.encode), max_size=8).map(b"".join))
def test_sixteen_digits_in_a_row_are_found_wherever_they_begin(raw: bytes):
    assert has_long_number(raw) == bool(re.search(b"[0-9]{16}", raw))


@pytest.mark.parametrize("places", [1, 7, 8, 9, 40])
def test_sixteen_digits_are_found_behind_any_number_of_places_where_they_could_be(places: int):
    before = b"9zzz9zzz9zzz9zzzzzzz" * places
    assert not has_long_number(before)
    assert has_long_number(before + b"9" * 16)


@pytest.mark.parametrize("before", range(8))
@pytest.mark.parametrize("digits", [15, 16, 17])
def test_fifteen_digits_are_not_sixteen(before: int, digits: int):
    raw = b"x" * before + b"9" * digits + b"x" * 5
    assert has_long_number(raw) == (digits >= 16)
