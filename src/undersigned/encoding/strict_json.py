"""JSON as this protocol reads it: one meaning per text, or no meaning.

Two readers of the same bytes must see the same values, else a signature can be shown to mean two things. So names do
not repeat, numbers are integers that every language holds exactly, text is Unicode that every store takes, and all
sizes are bounded.

Most bytes that arrive are canonical already, and that is cheap to prove: depth and sizes from the bytes alone or by one
walk over the containers, which in a struct looks only at what its type leaves open; msgspec's decoder; and
`encode(decoded) == raw`, which no text with a repeated name, an odd number or an odd escape can pass. Whatever is not
proved so goes to the slow reader, which alone decides what is refused and says where. The slow reader accepts
everything that the fast one does.

Source: protocol-spec/04-envelope-and-digests.md, section 4.1; RFC 8259; RFC 7493
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable, Mapping
from itertools import accumulate
from math import isfinite
from types import MappingProxyType
from typing import Any, Final, NoReturn, cast

import msgspec

from undersigned.encoding.types import JsonValue
from undersigned.errors import FormatError

__all__ = [
    "FOREIGN_LIMITS",
    "MESSAGE_LIMITS",
    "JsonLimits",
    "check_sayable",
    "decode_json",
    "decode_json_canonical",
    "is_plain",
    "no_float",
    "seen_plain_text",
]

MAX_INTEGER: Final = 2**53 - 1
MAX_OPENED: Final = 256
"""Containers of a text that is given to a parser before it is known how deep they stand in one another."""
MAX_LOOKS: Final = 8
"""Places where digits may be too many that are looked at one by one; of a text with more, all is."""


class JsonLimits(msgspec.Struct, frozen=True):
    """What one kind of JSON text may hold. All bounds are inclusive."""

    max_bytes: int
    max_depth: int
    """Containers inside one another; `{}` has depth 1."""
    max_members: int
    """Members of one object."""
    max_items: int
    """Items of one array."""
    max_string: int
    """Characters of one string or name."""
    nulls: bool = False
    floats: bool = False
    """Fractions and exponents; the value must be finite."""
    control_characters: bool = False
    """U+0001 to U+001F and U+007F to U+009F. NUL, lone surrogates and noncharacters are refused always."""
    ascii_names: bool = True


MESSAGE_LIMITS: Final = JsonLimits(
    max_bytes=256 * 1024, max_depth=16, max_members=256, max_items=4096, max_string=128 * 1024
)
"""Messages and documents of this protocol. Schemas bound each member more narrowly."""
FOREIGN_LIMITS: Final = JsonLimits(
    max_bytes=64 * 1024,
    max_depth=32,
    max_members=1024,
    max_items=4096,
    max_string=64 * 1024,
    nulls=True,
    floats=True,
    control_characters=True,
    ascii_names=False,
)
"""Documents that others define: credentials, DID documents."""


def no_float(text: str) -> NoReturn:
    """A decoder's hook that takes no fraction and no exponent."""
    raise ValueError(f"{text} is no integer")


decode_integers: Final = msgspec.json.Decoder(float_hook=no_float).decode
"""Raises where there is a fraction or an exponent."""
_NO_STRUCTS: Final[Mapping[Any, tuple[str, ...]]] = MappingProxyType({})
_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode

_NOT_STRUCTURE: Final = bytes(sorted(set(range(256)) - set(b'[]{}",')))
_DIGITS: Final = bytes.maketrans(b"123456789", b"0" * 9)
# Numbers and `find`: `in` takes bytes for a number first, and makes an error of it that nobody sees.
_QUOTE, _BACKSLASH, _DELETE = b'"\\\x7f'
_ONE_KIND: Final = bytes.maketrans(b"[]", b"{}")
_STEPS: Final = bytes.maketrans(b"{}", b"\x01\xff")
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
# I-JSON (RFC 7493, 2.1) leaves surrogates and noncharacters out; engines that read XML names stumble over them.
_NONCHARACTERS: Final = "\ufdd0-\ufdef" + "".join(
    chr(plane + last) for plane in range(0, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF)
)
_NEVER: Final = re.compile(f"[\x00\ud800-\udfff{_NONCHARACTERS}]")
_ODD: Final = re.compile(f"[\x7f-\x9f{_NONCHARACTERS}]")


def decode_json(raw: bytes, limits: JsonLimits = MESSAGE_LIMITS) -> JsonValue:
    """The value that these bytes spell, whatever its type.

    Time and memory are linear in `limits.max_bytes`.

    Raises:
        FormatError: `bad_json` (not JSON, a repeated name, a null where none is allowed), `bad_unicode`, `too_deep`,
            `number_out_of_range`, `too_large`. `.path` is a JSON pointer where the place is known.

    Source: protocol-spec/04-envelope-and-digests.md, section 4.1
    """
    return decode_json_canonical(raw, limits)[0]


def decode_json_canonical(raw: bytes, limits: JsonLimits = MESSAGE_LIMITS) -> tuple[JsonValue, bool]:
    """The value, and whether `raw` is proved to be its RFC 8785 form, so that it need not be written again.

    False says only that it was not proved. Under limits without floats and with ASCII names it is exact.

    Raises:
        FormatError: As `decode_json`.
    """
    if len(raw) > limits.max_bytes:
        raise FormatError("too_large", f"expected at most {limits.max_bytes} bytes, got {len(raw)}")
    commas = _check_depth(raw, limits.max_depth)
    try:
        value = decode_integers(raw)
        ascii_only = raw.isascii()
        if (
            (_is_seen_plain(raw, commas, limits, ascii_only) or is_plain(value, limits, not ascii_only))
            and _encode_sorted(value) == raw
            and _has_plain_text(raw, ascii_only, limits)
        ):
            return value, True
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass  # The slow reader finds out what is wrong, and where.
    return _read_slowly(raw, limits), False


def _check_depth(raw: bytes, max_depth: int) -> int:
    """Refuse deep nesting before any recursive parser sees it; how many commas there are, which bounds how much any
    container holds.

    Exact for JSON; for other bytes at least as deep as any parser gets before it notices.
    """
    # What opens no more often is not deeper, strings included. Taken out, as `count` looks at each byte and this leaps.
    rest = raw.replace(b"{", b"").replace(b"[", b"")
    commas = len(rest) - len(rest.replace(b",", b""))
    if len(raw) - len(rest) <= max_depth:
        return commas
    # Both kinds of brackets as one: text in which they do not match is no JSON, and a parser sees that.
    structure = raw.translate(_ONE_KIND, _NOT_STRUCTURE)
    if _BACKSLASH in raw:
        # Escaped backslashes first, so that the quote of `\\"` is seen to end its string.
        structure = raw.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_ONE_KIND, _NOT_STRUCTURE)
    structure = structure.replace(b",", b"")
    # Without the quotes that stand next to each other none is left, unless a string holds brackets.
    brackets = structure.replace(b'""', b"")
    if _QUOTE not in brackets:
        if brackets.find(b"{" * (max_depth + 1)) >= 0:
            raise FormatError("too_deep", f"expected at most {max_depth} levels, got more")
        # The innermost level is taken away, as often as levels are allowed.
        for _ in range(max_depth):
            brackets = brackets.replace(b"{}", b"")
            if not brackets:
                return commas
    outside_strings = b"".join(structure.split(b'"')[::2])
    depth = max(accumulate(array("b", outside_strings.translate(_STEPS))), default=0)
    if depth > max_depth:
        raise FormatError("too_deep", f"expected at most {max_depth} levels, got {depth}")
    return commas


def seen_plain_text(raw: bytes) -> bool:
    """Whether each text in these bytes, if they are canonical JSON, keeps `MESSAGE_LIMITS`, and so few containers open
    that no parser of them gets deep. False says only that the bytes alone do not show it.
    """
    limits = MESSAGE_LIMITS
    # Taken out, as `count` looks at each byte and this leaps.
    opened = len(raw) - len(raw.replace(b"{", b"").replace(b"[", b""))
    return (
        opened <= MAX_OPENED
        and raw.isascii()
        and len(raw) <= limits.max_string
        and _DELETE not in raw
        and (_BACKSLASH not in raw or _has_plain_text(raw, True, limits))
    )


def check_sayable(canonical: bytes) -> None:
    """Returns if a message can hold what this is the canonical JSON of. It is asked where a value is given: whoever
    hears of it when it is to be said has begun something with it.

    Raises:
        FormatError: As `decode_json`.
    """
    limits = MESSAGE_LIMITS
    commas = _check_depth(canonical, limits.max_depth)
    ascii_only = canonical.isascii()
    if not (_is_seen_plain(canonical, commas, limits, ascii_only) and _has_plain_text(canonical, ascii_only, limits)):
        decode_json(canonical, limits)


def _is_seen_plain(raw: bytes, commas: int, limits: JsonLimits, ascii_only: bool) -> bool:
    """Whether the bytes alone show what `is_plain` finds by walking: commas bound what a container can hold, and no
    unsafe integer has fewer than sixteen digits. False says only that they do not show it.
    """
    return (
        ascii_only
        and commas < limits.max_members
        and limits.max_members <= limits.max_items
        and raw.startswith((b"{", b"["))
        and raw.find(b"null") < 0
        and not has_long_number(raw)
    )


def has_long_number(raw: bytes) -> bool:
    """Whether sixteen digits follow each other: without, every integer in it is safe."""
    # Of sixteen digits in a row every fourth is one: a quarter of the text says around which bytes they can be.
    fourths, at = raw[::4].translate(_DIGITS), -1
    for _ in range(MAX_LOOKS):
        at = fourths.find(b"0000", at + 1)
        if at < 0:
            return False
        # At most three digits of the row stand before the first of those four.
        if raw[max(4 * at - 3, 0) : 4 * at + 16].translate(_DIGITS).find(b"0000000000000000") >= 0:
            return True
    return raw.translate(_DIGITS).find(b"0000000000000000") >= 0


def is_plain(
    value: object, limits: JsonLimits, check_names: bool = False, left_open: Mapping[Any, tuple[str, ...]] = _NO_STRUCTS
) -> bool:
    """Whether there is nothing in it but objects, arrays, text, booleans and safe integers within the limits. Of a
    struct only what stands in the members that `left_open` has for its type is looked at.
    """
    max_members, max_items = limits.max_members, limits.max_items
    level: list[Any] = [value]
    for _ in range(limits.max_depth):
        below: list[Any] = []
        for container in level:
            kind = container.__class__
            items: Iterable[Any]
            if kind is dict:
                if len(container) > max_members or (check_names and not all(map(str.isascii, container))):
                    return False
                items = container.values()
            elif kind is list or kind is tuple:
                if len(container) > max_items:
                    return False
                items = container
            elif kind in left_open:
                items = [item for name in left_open[kind] if (item := getattr(container, name)) is not None]
            else:
                return False
            for item in items:
                kind = item.__class__
                if kind is str or kind is bool:
                    continue
                if kind is not int:
                    below.append(item)
                elif not -MAX_INTEGER <= item <= MAX_INTEGER:
                    return False
        if not below:
            return True
        level = below
    return False


def _has_plain_text(canonical: bytes, ascii_only: bool, limits: JsonLimits) -> bool:
    """Whether no string in canonical JSON can be too long or hold a character that must not be there."""
    if len(canonical) > limits.max_string:
        return False
    # In canonical form a control character below U+0020 is an escape, and no escape but these two is anything else.
    if _BACKSLASH in canonical and _BACKSLASH in canonical.replace(b"\\\\", b"").replace(b'\\"', b""):
        return False
    if ascii_only:
        return _DELETE not in canonical
    return not _ODD.search(canonical.decode())


class _Hooks:
    """Hooks of the standard library's parser that see each number and each object before it is converted."""

    def __init__(self, limits: JsonLimits) -> None:
        self.limits = limits

    def integer(self, text: str) -> int:
        if len(text) > 17 or text == "-0":
            self.refuse_number(text)
        number = int(text)
        if not -MAX_INTEGER <= number <= MAX_INTEGER:
            self.refuse_number(text)
        return number

    def fraction(self, text: str) -> float:
        if not self.limits.floats or len(text) > 400:
            self.refuse_number(text)
        number = float(text)
        if not isfinite(number) or (number == 0 and text.startswith("-")):
            self.refuse_number(text)
        # `1.0` is the number `1`, as which its canonical form writes it: whoever reads that finds the same.
        return int(number) if number.is_integer() and abs(number) <= MAX_INTEGER else number

    def refuse_number(self, text: str) -> NoReturn:
        shown = text if len(text) <= 40 else f"{text[:20]}… ({len(text)} characters)"
        wanted = "a finite number" if self.limits.floats else "an integer"
        raise FormatError("number_out_of_range", f"expected {wanted} within ±(2^53-1), got {shown}")

    def object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(pairs) > self.limits.max_members:
            raise FormatError("too_large", f"expected at most {self.limits.max_members} members, got {len(pairs)}")
        members = dict(pairs)
        if len(members) < len(pairs):
            seen: set[str] = set()
            twice = next(name for name, _ in pairs if name in seen or seen.add(name))
            raise FormatError("bad_json", f"expected each name once, got {_shown(twice)} again")
        return members


def _refuse_constant(text: str) -> NoReturn:
    """`NaN` and the infinities, which the standard library reads and JSON does not know."""
    raise FormatError("bad_json", f"expected JSON, got {text}")


def _read_slowly(raw: bytes, limits: JsonLimits) -> JsonValue:
    if b"\x00" in raw or raw.startswith(b"\xef\xbb\xbf"):
        # NUL is nowhere in JSON text in UTF-8, and in nearly every one in UTF-16 or UTF-32.
        raise FormatError("bad_unicode", "expected UTF-8 without byte order mark, got NUL bytes or a mark")
    try:
        text = raw.decode()
    except UnicodeDecodeError as exc:
        raise FormatError("bad_unicode", f"expected UTF-8, got {exc.reason} at byte {exc.start}") from exc
    hooks = _Hooks(limits)
    try:
        value = json.loads(
            text,
            # A hook is a call for each number, of which a text holds many: where all are safe the parser's own does.
            parse_int=hooks.integer if has_long_number(raw) or raw.find(b"-0") >= 0 else int,
            parse_float=hooks.fraction,
            parse_constant=_refuse_constant,
            object_pairs_hook=hooks.object,
        )
    except json.JSONDecodeError as exc:
        code = "bad_unicode" if exc.msg.startswith("Invalid control character") else "bad_json"
        raise FormatError(code, f"expected JSON, got what is none at character {exc.pos}: {exc.msg}") from exc
    except RecursionError as exc:  # The caller's own stack may be deep already.
        raise FormatError("too_deep", f"expected at most {limits.max_depth} levels") from exc
    ascii_only = text.isascii()
    is_plain_text = "\\" not in text and len(text) <= limits.max_string and not _ODD.search(text)
    if not (is_plain_text and is_plain(value, limits, not ascii_only)):
        _check_all(value, limits)
    return value


Place = tuple["Place | None", str]
"""Where a value stands: its container's place, and the last step. A pointer is spelled only when it is needed."""


def _check_all(root: object, limits: JsonLimits) -> None:
    """Check what the hooks do not see, with the place at hand."""
    values: list[tuple[Place | None, object]] = [(None, root)]
    while values:
        place, value = values.pop()
        if isinstance(value, str):
            _check_text(value, place, limits)
        elif isinstance(value, dict):
            for name, member in cast("dict[str, object]", value).items():
                _check_text(name, place, limits)
                if limits.ascii_names and not name.isascii():
                    _refuse("bad_unicode", f"expected an ASCII name, got {_shown(name)}", place)
                values.append(((place, name), member))
        elif isinstance(value, list):
            items = cast("list[object]", value)
            if len(items) > limits.max_items:
                _refuse("too_large", f"expected at most {limits.max_items} items, got {len(items)}", place)
            values.extend(((place, str(index)), item) for index, item in enumerate(items))
        elif value is None and not limits.nulls:
            _refuse("bad_json", "expected a value, got null", place)


def _check_text(text: str, place: Place | None, limits: JsonLimits) -> None:
    if len(text) > limits.max_string:
        _refuse("too_large", f"expected at most {limits.max_string} characters, got {len(text)}", place)
    found = _NEVER.search(text) or (None if limits.control_characters else _CONTROLS.search(text))
    if found:
        _refuse("bad_unicode", f"expected text without U+{ord(found[0]):04X}", place)


def _refuse(code: str, message: str, place: Place | None) -> NoReturn:
    path = ""
    while place:
        place, step = place
        path = pointer_step(step) + path
    raise FormatError(code, message, path=path)


def pointer_step(name: str) -> str:
    """One step of a JSON pointer; a long name is cut, because the size of an error must not follow the peer's."""
    return "/" + _cut(name).replace("~", "~0").replace("/", "~1")


def _shown(name: str) -> str:
    return ascii(_cut(name))


def _cut(text: str) -> str:
    """At most 60 characters of it, without what no encoder or terminal takes."""
    shown = text if len(text) <= 60 else text[:60] + "…"
    return shown if shown.isprintable() else ascii(shown)[1:-1]
