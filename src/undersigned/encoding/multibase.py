"""Binary as text, with the base named by the first character (multibase), and base64 as others write it.

The protocol itself uses two: `z` (base58btc) and `u` (base64url without padding). A decoder takes only the bases its
caller allows, and of each byte string exactly one spelling: what decodes, encodes back to the same text.

Source: protocol-spec/04-envelope-and-digests.md, section 4.1; Multibase, RFC 4648
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from functools import cache
from typing import Final, NamedTuple

from undersigned.errors import FormatError

__all__ = [
    "base58_decode",
    "base58_encode",
    "base64_decode",
    "base64_encode",
    "base64url_decode",
    "base64url_encode",
    "multibase_decode",
    "multibase_encode",
]

MAX_POSITIONAL: Final = 4096
"""Most characters of a base that is one big number: reading it takes more than linear time."""


class Base(NamedTuple):
    """An alphabet, and how bytes map to it."""

    name: str
    alphabet: str
    bits: int
    """Bits per character; 0 means that the bytes are one big number (leading zero bytes are kept one by one)."""
    padded_to: int = 0
    """Characters of one padded group; 0 means no padding."""


_DIGITS: Final = "0123456789"
_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_UPPER: Final = _LOWER.upper()
_B64: Final = _UPPER + _LOWER + _DIGITS

BASES: Final[dict[str, Base]] = {
    "0": Base("base2", "01", 1),
    "7": Base("base8", _DIGITS[:8], 3),
    "9": Base("base10", _DIGITS, 0),
    "f": Base("base16", _DIGITS + _LOWER[:6], 4),
    "F": Base("base16upper", _DIGITS + _UPPER[:6], 4),
    "b": Base("base32", _LOWER + "234567", 5),
    "B": Base("base32upper", _UPPER + "234567", 5),
    "v": Base("base32hex", _DIGITS + _LOWER[:22], 5),
    "V": Base("base32hexupper", _DIGITS + _UPPER[:22], 5),
    "c": Base("base32pad", _LOWER + "234567", 5, 8),
    "C": Base("base32padupper", _UPPER + "234567", 5, 8),
    "t": Base("base32hexpad", _DIGITS + _LOWER[:22], 5, 8),
    "T": Base("base32hexpadupper", _DIGITS + _UPPER[:22], 5, 8),
    "h": Base("base32z", "ybndrfg8ejkmcpqxot1uwisza345h769", 5),
    "k": Base("base36", _DIGITS + _LOWER, 0),
    "K": Base("base36upper", _DIGITS + _UPPER, 0),
    "z": Base("base58btc", "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", 0),
    "Z": Base("base58flickr", "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ", 0),
    "m": Base("base64", _B64 + "+/", 6),
    "M": Base("base64pad", _B64 + "+/", 6, 4),
    "u": Base("base64url", _B64 + "-_", 6),
    "U": Base("base64urlpad", _B64 + "-_", 6, 4),
}

_VALUES: Final = {prefix: {c: i for i, c in enumerate(base.alphabet)} for prefix, base in BASES.items()}
_BASE58: Final = BASES["z"].alphabet
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def multibase_encode(prefix: str, data: bytes) -> str:
    """`data` in the base that `prefix` names, prefix included.

    Raises:
        FormatError: `schema_violation`: no such base.
    """
    if prefix == "z":
        return "z" + _write_number(data, _BASE58)
    if prefix == "u":
        return "u" + base64url_encode(data)
    base = BASES.get(prefix)
    if base is None:
        raise _no_base(prefix, "".join(BASES))
    return prefix + (_write_bits(data, base) if base.bits else _write_number(data, base.alphabet))


def multibase_decode(text: str, allowed: str = "zu") -> bytes:
    """The bytes of a multibase text whose prefix is one of `allowed`.

    Raises:
        FormatError: `schema_violation`: another prefix, a character outside the alphabet, or not the one spelling.
            `too_large`: more than 4,096 characters of a base that is not a power of two.
    """
    prefix, body = text[:1], text[1:]
    base = BASES.get(prefix)
    if base is None or prefix not in allowed:
        raise _no_base(prefix, allowed)
    if prefix == "u":
        return base64url_decode(body)
    if base.bits == 0:
        return _read_number(body, base)
    data = _read_bits(body, base, _VALUES[prefix])
    if _write_bits(data, base) != body:
        raise FormatError("schema_violation", f"expected the one {base.name} spelling, got stray bits or padding")
    return data


def base58_encode(data: bytes) -> str:
    """`data` in base58btc, without a prefix."""
    return _write_number(data, _BASE58)


def base58_decode(text: str) -> bytes:
    """The bytes of base58btc text without a prefix.

    Raises:
        FormatError: `schema_violation`, `too_large`: as `multibase_decode`.
    """
    return _read_number(text, BASES["z"])


def base64_encode(data: bytes) -> str:
    """`data` in the base64 of RFC 4648, section 4, with padding."""
    return b2a_base64(data, newline=False).decode()


def base64_decode(text: str) -> bytes:
    """The bytes of base64 text with padding, of which only the one spelling that they have is taken.

    Raises:
        FormatError: `schema_violation`.
    """
    try:
        data = a2b_base64(text)
    except ValueError as exc:
        raise FormatError("schema_violation", f"expected base64 with padding, got {len(text)} characters") from exc
    if base64_encode(data) != text:
        raise FormatError("schema_violation", "expected the one base64 spelling, got stray characters, bits or padding")
    return data


def base64url_encode(data: bytes) -> str:
    """`data` in base64url without padding and without a prefix."""
    return b2a_base64(data, newline=False).translate(_URL_SAFE).rstrip(b"=").decode()


def base64url_decode(text: str) -> bytes:
    """The bytes of base64url text without padding; text with stray last bits is refused.

    Raises:
        FormatError: `schema_violation`.
    """
    if not _BASE64URL.fullmatch(text):
        raise FormatError("schema_violation", "expected base64url without padding, got other characters")
    try:
        data = a2b_base64(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))
    except ValueError as exc:
        raise FormatError("schema_violation", f"expected base64url, got {len(text)} characters") from exc
    if base64url_encode(data) != text:
        raise FormatError("schema_violation", "expected the one base64url spelling, got stray last bits")
    return data


def _no_base(prefix: str, allowed: str) -> FormatError:
    told = f"expected multibase with prefix {' or '.join(allowed)}, got {prefix!a}"
    return FormatError("schema_violation", told)


@cache
def _pairs(alphabet: str) -> list[str]:
    return [first + second for first in alphabet for second in alphabet]


def _write_number(data: bytes, alphabet: str) -> str:
    pairs, square = _pairs(alphabet), len(alphabet) ** 2
    number = int.from_bytes(data, "big")
    digits: list[str] = []
    # Four digits at a time: dividing the big number is what costs.
    while number:
        number, four = divmod(number, square * square)
        digits.append(pairs[four % square])
        digits.append(pairs[four // square])
    digits.reverse()
    zeros = len(data) - len(data.lstrip(b"\x00"))
    return alphabet[0] * zeros + "".join(digits).lstrip(alphabet[0])


@cache
def _digits(alphabet: str) -> bytes:
    """For `translate`: the digit that each character is, and 255 where it is none."""
    return bytes(alphabet.find(chr(code)) & 0xFF for code in range(256))


@cache
def _halvings(bits: int) -> list[tuple[int, int]]:
    """For each halving of up to 2**`bits` digits, how many bits one has, and a mask of every other one."""
    whole = (1 << (8 << bits)) - 1
    return [(width, whole // ((1 << width) + 1)) for width in (8 << step for step in range(bits))]


def _read_number(text: str, base: Base) -> bytes:
    if len(text) > MAX_POSITIONAL:
        raise FormatError("too_large", f"expected at most {MAX_POSITIONAL} characters of {base.name}, got {len(text)}")
    digits = text.encode("latin-1", "replace").translate(_digits(base.alphabet))
    if 255 in digits:
        stray = next(character for character in text if character not in base.alphabet)
        raise FormatError("schema_violation", f"expected {base.name}, got the character {stray!a}")
    number, radix = int.from_bytes(digits, "big"), len(base.alphabet)
    # All pairs of neighbours at once become digits of the squared base, until one digit is left.
    for width, every_other in _halvings(len(digits).bit_length()):
        number = (number & every_other) + (number >> width & every_other) * radix
        radix *= radix
    zeros = len(text) - len(text.lstrip(base.alphabet[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _write_bits(data: bytes, base: Base) -> str:
    written: list[str] = []
    pending = held = 0
    mask = (1 << base.bits) - 1
    for byte in data:
        pending = pending << 8 | byte
        held += 8
        while held >= base.bits:
            held -= base.bits
            written.append(base.alphabet[pending >> held & mask])
        pending &= (1 << held) - 1
    if held:
        written.append(base.alphabet[pending << (base.bits - held) & mask])
    if base.padded_to:
        written.append("=" * (-len(written) % base.padded_to))
    return "".join(written)


def _read_bits(text: str, base: Base, values: dict[str, int]) -> bytes:
    data = bytearray()
    pending = held = 0
    for character in text.rstrip("=") if base.padded_to else text:
        value = values.get(character)
        if value is None:
            raise FormatError("schema_violation", f"expected {base.name}, got the character {character!a}")
        pending = pending << base.bits | value
        held += base.bits
        if held >= 8:
            held -= 8
            data.append(pending >> held)
            pending &= (1 << held) - 1
    return bytes(data)
