"""Multibase, multicodec and varints: one spelling for each byte string, and nothing else is read."""

from __future__ import annotations

from base64 import b32encode, b32hexencode, b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support import refuses
from undersigned.encoding import (
    base58_decode,
    base58_encode,
    base64_decode,
    base64_encode,
    base64url_decode,
    base64url_encode,
    multibase_decode,
    multibase_encode,
    multicodec_decode,
    multicodec_encode,
    varint_decode,
    varint_encode,
)
from undersigned.encoding.multibase import BASES
from undersigned.errors import FormatError

T = TypeVar("T")


def attempt(use: Callable[[], T]) -> tuple[T | None, str | None]:
    """What `use` gives, or the code of its FormatError."""
    try:
        return use(), None
    except FormatError as error:
        return None, error.code


def refused(text: str, allowed: str = "zu") -> str:
    with pytest.raises(FormatError) as caught:
        multibase_decode(text, allowed)
    assert len(str(caught.value)) < 300
    return caught.value.code


@pytest.mark.parametrize("prefix", BASES)
@given(data=st.binary(max_size=80))
@example(data=b"")
@example(data=b"\x00" * 5)
def test_round_trip(prefix: str, data: bytes):
    assert multibase_decode(multibase_encode(prefix, data), prefix) == data


@pytest.mark.parametrize("size", range(11))
def test_what_is_padded_is_padded_as_everywhere(size: int):
    """RFC 4648, where the published vectors fill each group or half of it."""
    data = bytes(range(250, 250 - size, -1))
    for prefix, encode in (("C", b32encode), ("T", b32hexencode), ("M", b64encode), ("U", urlsafe_b64encode)):
        text = encode(data).decode()
        assert multibase_encode(prefix, data) == prefix + text
        assert multibase_decode(prefix + text, prefix) == data
        if text.endswith("="):
            for wrong in (text[:-1], text + "="):
                assert refused(prefix + wrong, prefix) == "schema_violation"


@pytest.mark.parametrize("prefix", BASES)
@given(body=st.text(max_size=12), data=st.data())
def test_what_decodes_encodes_back_to_the_same_text(prefix: str, body: str, data: st.DataObject):
    alphabet = st.text(BASES[prefix].alphabet + "=", max_size=20)
    for text in (prefix + body, prefix + data.draw(alphabet)):
        decoded, code = attempt(lambda text=text: multibase_decode(text, prefix))
        if decoded is None:
            assert code == "schema_violation"
        else:
            assert multibase_encode(prefix, decoded) == text


@given(st.binary(max_size=80))
def test_bare_forms(data: bytes):
    assert base58_decode(base58_encode(data)) == data
    assert base64_decode(base64_encode(data)) == data
    assert base64url_decode(base64url_encode(data)) == data
    assert multibase_encode("z", data) == "z" + base58_encode(data)
    assert multibase_encode("u", data) == "u" + base64url_encode(data)


@pytest.mark.parametrize(
    "text", ["", "x", "Zabc", "mAAAA", "🚀", "fff", "z0", "zO", "zI", "zl", "z ", "zé", "z\n", "uA"]
)
def test_refused(text: str):
    assert refused(text) == "schema_violation"


@pytest.mark.parametrize("text", ["uAA==", "uAB", "uA+", "uA/8", "uAAAA\n", "u AAA", "uAAAAA", "uÀAAA"])
def test_base64url_has_one_spelling(text: str):
    """Padding, stray last bits, the other alphabet and white space are refused."""
    assert refused(text) == "schema_violation"


@pytest.mark.parametrize("text", ["AA", "AA=", "AB==", "AA==\n", "AA==AA==", "A-==", "AAA_", "A A=", "=", "AÀ=="])
def test_base64_has_one_spelling(text: str):
    assert attempt(lambda: base64_decode(text)) == (None, "schema_violation")


def test_base58_is_bounded_because_it_is_quadratic():
    assert multibase_decode("z" + "2" * 4096)
    assert refused("z" + "2" * 4097) == "too_large"
    assert refused("9" + "2" * 4097, "9") == "too_large"
    assert len(multibase_decode("u" + "A" * 100_000)) == 75_000


@given(st.integers(0, 2**63 - 1))
@example(0)
@example(127)
@example(128)
@example(2**63 - 1)
def test_varint_round_trip(number: int):
    written = varint_encode(number)
    assert varint_decode(written + b"rest") == (number, len(written))
    assert len(written) <= 9


@given(st.binary(max_size=12))
def test_what_a_varint_decodes_is_its_shortest_spelling(data: bytes):
    decoded, code = attempt(lambda: varint_decode(data))
    if decoded is None:
        assert code == "schema_violation"
    else:
        number, size = decoded
        assert varint_encode(number) == data[:size]


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x00", b"\xed\x81\x00", b"\xff" * 9, b"\xff" * 9 + b"\x01"])
def test_varint_refused(data: bytes):
    with refuses(FormatError, "schema_violation"):
        varint_decode(data)


@pytest.mark.parametrize("number", [-1, 2**63])
def test_varint_range(number: int):
    with refuses(FormatError, "number_out_of_range"):
        varint_encode(number)


def test_multicodec():
    assert multicodec_encode(0xED, b"key") == b"\xed\x01key"
    assert multicodec_decode(b"\x80\x24key") == (0x1200, b"key")
