"""SC-12 to SC-18 as far as the parser decides them: refused with one code, in linear time, before anything else."""

from __future__ import annotations

import json
import sys

import pytest

from undersigned.encoding import FOREIGN_LIMITS, MESSAGE_LIMITS, JsonLimits, decode_json, decode_json_canonical
from undersigned.errors import FormatError

WIDE = JsonLimits(max_bytes=16 * 2**20, max_depth=16, max_members=256, max_items=4096, max_string=128 * 1024)
"""A frame limit large enough that the other limits have to do the work."""


def refused(raw: bytes, limits: JsonLimits = MESSAGE_LIMITS) -> str:
    with pytest.raises(FormatError) as caught:
        decode_json(raw, limits)
    assert len(str(caught.value)) < 500
    return caught.value.code


@pytest.mark.parametrize("limits", [MESSAGE_LIMITS, FOREIGN_LIMITS], ids=["message", "foreign"])
@pytest.mark.parametrize(
    "raw",
    [
        b'{"maxSpend":10,"a":1,"maxSpend":1000000}',
        b'{"maxSpend":10,"maxSpend":10}',
        b'{"maxSpend":10,"max\\u0053pend":1000000}',
        b'{"max\\u0053pend":10,"maxSpend":1000000}',
        b'{"a":{"b":[{"maxSpend":10,"maxSpend":1000000}]}}',
        b'{"a":{"b":[{"maxSpend":10,"\\u006daxSpend":1000000}]}}',
        b'{"":1,"":2}',
        b'{"a":{},"b":[],"a":{}}',
        b'{"a":1,"a":1,"a":1}',
    ],
)
def test_sc_12_duplicate_names(raw: bytes, limits: JsonLimits):
    """Never the first, never the last: refused, also where an escape spells the second (HIRE-JSN-01)."""
    assert json.loads(raw)
    assert refused(raw, limits) == "bad_json"


def test_sc_12_names_that_only_look_alike_are_two():
    raw = '{"e\u0301":1,"é":2,"A":3,"a":4}'.encode()
    assert len(decode_json(raw, FOREIGN_LIMITS)) == 4


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "-0", "1e400", "-1e400", "-0.0", "-0e0"])
@pytest.mark.parametrize("member", ['{"amount":%s}', '{"ttl":[%s]}', '{"a":{"sequence":%s}}'])
def test_sc_13_numbers_that_are_none(number: str, member: str):
    """HIRE-JSN-01, HIRE-JSN-03: a text with a word that only other languages know as a number is no JSON."""
    for limits in (MESSAGE_LIMITS, FOREIGN_LIMITS):
        assert refused((member % number).encode(), limits) == code_of(number)


def code_of(number: str) -> str:
    return "bad_json" if number[-1] in "Ny" else "number_out_of_range"


@pytest.mark.parametrize(
    "number",
    [
        "9007199254740992",
        "9007199254740993",
        "-9007199254740992",
        "18446744073709551616",
        "1.0",
        "1E2",
        "1e0",
        "0.5",
        "1.00000000000000000001",
        "100000000000000000",
        "9" * 5000,
        "-" + "9" * 5000,
        "9" * 200_000,
    ],
)
def test_sc_14_numbers_that_are_no_safe_integer(number: str):
    """HIRE-JSN-03."""
    assert refused(b'{"sequence":' + number.encode() + b"}") == "number_out_of_range"


def test_sc_14_a_long_number_is_not_converted():
    """Conversion takes quadratic time; CPython refuses it past a limit, with another exception than ours."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        with pytest.raises(FormatError) as caught:
            decode_json(b"[" + b"7" * 250_000 + b"]")
    finally:
        sys.set_int_max_str_digits(limit)
    assert caught.value.code == "number_out_of_range"
    assert "250000 characters" in caught.value.message


@pytest.mark.parametrize("safe", [2**53 - 1, -(2**53) + 1, 0, 1])
def test_sc_14_safe_integers_pass(safe: int):
    assert decode_json(f"[{safe}]".encode()) == [safe]


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * 100_000,
        b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
        b'{"a":[' * 30_000,
        b'[{"\\\\":' * 20_000,
        b'["",' * 50_000,
        b'["\\"",' * 30_000,
        b"[" * 17 + b"]" * 17,
        b'{"a":' * 17 + b"1" + b"}" * 17,
        b'[["[", {"]": ' + b"[" * 15 + b"]" * 15 + b"}]]",
        b'["\\"",' + b"[" * 16 + b"]" * 17,
    ],
)
def test_sc_15_deep_nesting(raw: bytes):
    """HIRE-JSN-04."""
    assert len(raw) <= MESSAGE_LIMITS.max_bytes
    assert refused(raw) == "too_deep"


def test_sc_15_is_decided_before_a_recursive_parser_sees_it():
    """With a stack that is nearly used up, nesting past the limit is still `too_deep` and nothing else."""

    def with_stack_used(frames: int) -> str:
        return with_stack_used(frames - 1) if frames else refused(b"[" * 100_000)

    assert with_stack_used(sys.getrecursionlimit() - 200) == "too_deep"


@pytest.mark.parametrize("raw", [b"[" * 16 + b"]" * 16, b'{"a":' * 16 + b"1" + b"}" * 16, b'["' + b"[" * 1000 + b'"]'])
def test_sc_15_depth_limit_itself_passes(raw: bytes):
    assert decode_json(raw) == json.loads(raw)


def test_sc_16_wide_objects():
    """HIRE-JSN-04."""
    members = b",".join(b'"%d":0' % number for number in range(1_000_000))
    assert refused(b"{" + members + b"}", WIDE) == "too_large"
    assert refused(b'{"a":[' + b"0," * 999_999 + b"0]}", WIDE) == "too_large"
    assert refused(b'{"' + b"k" * 4 * 2**20 + b'":0}', WIDE) == "too_large"
    assert refused(b'["' + b"v" * 4 * 2**20 + b'"]', WIDE) == "too_large"
    assert refused(b'["' + b"v" * 4 * 2**20 + b'"]') == "too_large"


@pytest.mark.parametrize("more", [0, 1])
def test_sc_16_limits_to_the_item(more: int):
    texts = [
        b"{" + b",".join(b'"%d":0' % number for number in range(256 + more)) + b"}",
        b"{" + b",".join(b'"%03d":0' % number for number in range(256 + more)) + b"}",  # canonical
        b"[" + b",".join([b"0"] * (4096 + more)) + b"]",
        b'["' + b"v" * (128 * 1024 + more) + b'"]',
        b'{"' + b"k" * (128 * 1024 + more) + b'":0}',
        b'["' + b"\\u0041" * (128 * 1024 + more) + b'"]',
        b"[" + b" " * (256 * 1024 - 2 + more) + b"]",
    ]
    for raw in texts:
        limits = MESSAGE_LIMITS if raw.endswith(b" ]") else WIDE
        if more:
            assert refused(raw, limits) == "too_large"
        else:
            assert decode_json(raw, limits) == json.loads(raw)


@pytest.mark.parametrize("limits", [MESSAGE_LIMITS, FOREIGN_LIMITS], ids=["message", "foreign"])
@pytest.mark.parametrize(
    "text",
    [
        "\\ud800",
        "\\udfff\\ud800",
        "\\ud800\\u0041",
        "x\\udc00",
        "a\\u0000b",
        "\\u0000",
        "\\ufffe",
        "\\uffff",
        "\\ud83f\\udffe",
        "\\udbff\\udfff",
        "\\ufdd0",
        "\ufffe",
        "\uffff",
        "\ufdef",
        "\U0010fffe",
    ],
)
@pytest.mark.parametrize("where", ['{"%s":1}', '{"id":"%s"}', '{"scope":["%s"]}', '"%s"'])
def test_sc_17_text_that_no_store_takes(text: str, where: str, limits: JsonLimits):
    """HIRE-JSN-02; never an encoding error later, when it is signed, stored or logged."""
    assert refused((where % text).encode(), limits) == "bad_unicode"


@pytest.mark.parametrize("code", [*range(1, 32), *range(127, 160)])
def test_sc_17_control_characters(code: int):
    """As an escape they are refused in messages; unescaped, those below U+0020 are refused everywhere."""
    escaped = b'{"a":"\\u%04x"}' % code
    assert refused(escaped) == "bad_unicode"
    assert decode_json(escaped, FOREIGN_LIMITS) == {"a": chr(code)}
    plain = f'{{"a":"{chr(code)}"}}'.encode()
    assert refused(plain) == "bad_unicode"
    if code < 32:
        assert refused(plain, FOREIGN_LIMITS) == "bad_unicode"


def test_sc_17_control_characters_in_canonical_form():
    """The short escapes are canonical, so the fast way must see them too; escaped quotes must not hide them."""
    for text in (b"\\n", b"\\t", b"\\b", b"\\f", b"\\r", b"\\\\\\n", b'\\"\\n', b'\\\\\\"\\r', b"\\u001f"):
        assert refused(b'{"a":"' + text + b'"}') == "bad_unicode"
    assert decode_json_canonical(b'{"a":"\\\\n\\"n"}') == ({"a": '\\n"n'}, True)


BAD_UTF8 = [
    b"\xc0\xaf",
    b"\xc0\x80",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"\x80",
    b"\xff",
    b"\xfe",
]


@pytest.mark.parametrize("limits", [MESSAGE_LIMITS, FOREIGN_LIMITS], ids=["message", "foreign"])
@pytest.mark.parametrize("bad", BAD_UTF8)
def test_sc_18_invalid_utf8(bad: bytes, limits: JsonLimits):
    """HIRE-JSN-02."""
    for raw in (b'{"a":"' + bad + b'"}', b'{"' + bad + b'":1}', bad, b"{}" + bad, b'{"a":"x' + bad):
        assert refused(raw, limits) == "bad_unicode"


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("text", ["{}", '{"a":"é"}', "[1]"])
def test_sc_18_byte_order_marks_and_wider_encodings(text: str, encoding: str):
    for limits in (MESSAGE_LIMITS, FOREIGN_LIMITS):
        assert refused(text.encode(encoding), limits) == "bad_unicode"
