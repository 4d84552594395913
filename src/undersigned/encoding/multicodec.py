"""Multicodec: which kind of binary follows, as an unsigned varint in front of it.

Source: Multicodec table; unsigned-varint
"""

from __future__ import annotations

from typing import Final

from undersigned.errors import FormatError

__all__ = [
    "BLS12_381_G1_PUB",
    "BLS12_381_G2_PUB",
    "ED25519_PRIV",
    "ED25519_PUB",
    "P256_PRIV",
    "P256_PUB",
    "P384_PRIV",
    "P384_PUB",
    "P521_PUB",
    "RSA_PUB",
    "SECP256K1_PUB",
    "X25519_PUB",
    "multicodec_decode",
    "multicodec_encode",
    "varint_decode",
    "varint_encode",
]

ED25519_PUB: Final = 0xED
P256_PUB: Final = 0x1200
P384_PUB: Final = 0x1201
ED25519_PRIV: Final = 0x1300
P256_PRIV: Final = 0x1306
P384_PRIV: Final = 0x1307
# Known by name only so that an error can say what came; none of them is used.
SECP256K1_PUB: Final = 0xE7
BLS12_381_G1_PUB: Final = 0xEA
BLS12_381_G2_PUB: Final = 0xEB
X25519_PUB: Final = 0xEC
P521_PUB: Final = 0x1202
RSA_PUB: Final = 0x1205


def varint_encode(number: int) -> bytes:
    """`number`, 0 to 2^63-1, as an unsigned varint: seven bits per byte, least significant first."""
    if not 0 <= number < 1 << 63:
        raise FormatError("number_out_of_range", f"expected 0 to 2^63-1, got {number}")
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def varint_decode(data: bytes) -> tuple[int, int]:
    """The number at the start of `data`, and how many bytes it takes (1 to 9).

    Raises:
        FormatError: `schema_violation`: it does not end, is longer than nine bytes, or not the shortest spelling.
    """
    number = 0
    for index, byte in enumerate(data[:9]):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if byte == 0 and index > 0:
                raise FormatError("schema_violation", "expected the shortest varint, got a longer one")
            return number, index + 1
    raise FormatError("schema_violation", "expected a varint of at most nine bytes, got one without end")


def multicodec_encode(code: int, data: bytes) -> bytes:
    """`data` with its kind in front."""
    return varint_encode(code) + data


def multicodec_decode(data: bytes) -> tuple[int, bytes]:
    """The kind, and the bytes after it.

    Raises:
        FormatError: `schema_violation`: as `varint_decode`.
    """
    code, size = varint_decode(data)
    return code, data[size:]
