"""Targets: what an action is done to, and the patterns that grants name, compared segment by segment.

The rule (`protocol-spec/06-scope.md`, section 6.3):

1. A target is an absolute URI of printable ASCII. It is parsed into scheme, authority, path segments and query; a
   fragment, user information, backslash or white space is refused.
2. Scheme and host are lower-cased and the scheme's default port is dropped. Percent-encoded unreserved characters
   are decoded and other percent signs are written in upper case. The path keeps its case.
3. What two servers may read differently is refused, never repaired: `.` and `..` segments, empty segments but for
   one at the end, segments of which only that is left before a `;` or `%3B`, and an encoded slash, backslash, percent
   sign, asterisk or control character. (In a query, which is compared whole, only the last two.) Other encoded bytes
   are UTF-8: a longer form of a slash or dot is one to some readers.
4. A pattern is a target in which a segment may be `*`: exactly one segment, whatever it is. As the last segment it
   stands for one or more. Nothing else is a wildcard, and none stands in a host, or in part of a segment.
5. A pattern matches if scheme, authority and query are equal and all segments match. The query `*` matches any query
   and none.
6. A request holds no `*`.
7. A prohibition may always reach further, so it forbids every spelling that servers take for one: on both sides an
   empty segment at the end is dropped, and in each segment what follows a `;` or `%3B`.

So `repo/a` never matches `repo/ab`, `repo/a/../b`, `repo/A` or `repo%2Fa`, and no host is a suffix of another.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from undersigned.errors import FormatError

__all__ = ["Target", "forbids", "has_empty_query", "inside", "parse_pattern", "parse_target", "plain_segments"]

MAX_LENGTH: Final = 2048
MAX_SEGMENTS: Final = 64

_DEFAULT_PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443"}
_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31}):(?://([^/?]*))?([^?]*)(?:\?(.*))?", re.DOTALL)
_ALLOWED: Final = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+")  # no `#`, no `\`, nothing that needs escaping
_LABEL: Final = r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_AUTHORITY: Final = re.compile(rf"({_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]{{2,45}}\])(?::([1-9][0-9]{{0,4}}))?")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})?")
_PARAMETERS: Final = re.compile(";|%3B")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_CONTROL: Final = frozenset("*\x7f") | {chr(n) for n in range(0x20)}
_AMBIGUOUS: Final = _CONTROL | frozenset("/\\%")


class Target(NamedTuple):
    """A parsed target or pattern; `str()` gives its only spelling."""

    scheme: str
    authority: str | None
    """Host and port; None for a URI without one, such as a URN."""
    segments: tuple[str, ...]
    """Parts of the path between slashes; without an authority the first is what follows the scheme."""
    query: str | None

    def __str__(self) -> str:
        """The URI in its only spelling."""
        path = "/".join(self.segments)
        authority = "" if self.authority is None else f"//{self.authority}"
        if self.authority is not None and self.segments:
            path = "/" + path
        query = "" if self.query is None else f"?{self.query}"
        return f"{self.scheme}:{authority}{path}{query}"


def parse_target(text: str) -> Target:
    """The target that a request names.

    Raises:
        FormatError: `schema_violation`, with what was wrong; a `*` is wrong here.

    Source: protocol-spec/06-scope.md, section 6.3
    """
    # Without a `*` it is read as a pattern is, and most often somebody has: the rule that permits it names it.
    return _parse(text, pattern=False) if "*" in text else parse_pattern(text)


def has_empty_query(text: str) -> bool:
    """Whether a URL, or a path with its query, ends with the `?` of an empty query: another target than without it, and
    many who carry or serve a request take the two for one. So gates refuse it.

    Source: protocol-spec/14-gates.md, section 14.2
    """
    return text.partition("?")[1:] == ("?", "")


@lru_cache(maxsize=4096)
def parse_pattern(text: str) -> Target:
    """The targets that a rule covers.

    Raises:
        FormatError: `schema_violation`, with what was wrong.

    Source: protocol-spec/06-scope.md, section 6.3
    """
    return _parse(text, pattern=True)


def inside(outer: Target, inner: Target) -> bool:
    """Whether every target that `inner` covers, or `inner` itself, is covered by `outer`. Both are parsed, so this
    compares values and never text.
    """
    if (outer.scheme, outer.authority) != (inner.scheme, inner.authority):
        return False
    if outer.query != inner.query and outer.query != "*":
        return False
    wide, narrow = outer.segments, inner.segments
    if wide[-1:] != ("*",):
        # A last `*` of `inner` stands for any depth, which no fixed number of segments covers.
        return len(wide) == len(narrow) and narrow[-1:] != ("*",) and all(map(_covers, wide, narrow))
    # The last `*` stands for one segment, never an empty one, and whatever is deeper.
    head = wide[:-1]
    return len(narrow) > len(head) and all(map(_covers, head, narrow)) and narrow[len(head)] != ""


def forbids(prohibition: Target, target: Target) -> bool:
    """Whether a prohibition of the one reaches the other, a target or a pattern, in whatever way it is spelled.

    It covers at least what `inside` says, and forbids whatever a prohibition inside it forbids.

    Source: protocol-spec/06-scope.md, section 6.3
    """
    return inside(_plain(prohibition), _plain(target))


def plain_segments(segments: tuple[str, ...]) -> tuple[str, ...]:
    """One spelling for those of a path that some servers tell apart and others do not (rule 7)."""
    return tuple(map(_name, segments[:-1] if segments[-1:] == ("",) else segments))


def _plain(target: Target) -> Target:
    names = plain_segments(target.segments)
    return target if names == target.segments else target._replace(segments=names)


def _name(segment: str) -> str:
    """A segment without what many servers take for its parameters, some of them once they have decoded it."""
    return _PARAMETERS.split(segment, 1)[0]


def _covers(wide: str, narrow: str) -> bool:
    return wide in ("*", narrow)


def _parse(text: str, *, pattern: bool) -> Target:
    if len(text) > MAX_LENGTH:
        raise _refused(text, f"at most {MAX_LENGTH} characters")
    found = _URI.fullmatch(text) if _ALLOWED.fullmatch(text) else None
    if found is None:
        raise _refused(text, "an absolute URI of printable ASCII without fragment")
    scheme, authority, path, query = found[1].lower(), found[2], found[3], found[4]
    if authority is not None:
        host = _AUTHORITY.fullmatch(authority.lower())
        if host is None:
            raise _refused(text, "a host name or address, and a port if there is one")
        port = host[2]
        authority = host[1] if port is None or port == _DEFAULT_PORTS.get(scheme) else f"{host[1]}:{port}"
        path = path.removeprefix("/")
    segments = tuple(_segment(part, text) for part in path.split("/")) if path else ()
    if authority is None and not segments:
        raise _refused(text, "something after the scheme")
    if len(segments) > MAX_SEGMENTS:
        raise _refused(text, f"at most {MAX_SEGMENTS} path segments")
    if "" in segments[:-1]:
        raise _refused(text, "no empty path segments")
    # A query is compared whole and never split, so an encoded slash in it can mislead nobody.
    query = None if query is None else _ESCAPE.sub(lambda part: _unescape(part, text, _CONTROL), query)
    for part in (*segments, query or ""):
        _utf8(part, text)
        if "*" in part and (not pattern or part != "*"):
            raise _refused(text, "`*` only as a whole segment of a pattern" if pattern else "no `*` in a request")
    if authority is None and segments[:1] == ("*",):
        raise _refused(text, "a name after the scheme")
    return Target(scheme, authority, segments, query)


def _segment(part: str, text: str) -> str:
    decoded = _ESCAPE.sub(lambda found: _unescape(found, text), part)
    # After decoding: `%2e%2e` is as good as `..` to many servers. And `..;x` is where `;x` is taken off before dots are
    # followed, and `;x` is an empty segment.
    name = _name(decoded)
    if name in (".", "..") or (not name and decoded):
        raise _refused(text, "no `.` or `..` segments, nor such or empty ones with parameters")
    return decoded


def _utf8(part: str, text: str) -> None:
    """Returns if what is percent-encoded is UTF-8."""
    if "%" in part:
        try:
            unquote_to_bytes(part).decode()
        except ValueError as exc:
            raise _refused(text, "UTF-8 in what is percent-encoded") from exc


def _unescape(found: re.Match[str], text: str, refused: frozenset[str] = _AMBIGUOUS) -> str:
    digits = found[1]
    if digits is None:
        raise _refused(text, "two hexadecimal digits after each percent sign")
    character = chr(int(digits, 16))
    if character in refused:
        raise _refused(text, "no encoded slash, backslash, percent sign, asterisk or control character")
    return character if character in _UNRESERVED else f"%{digits.upper()}"


def _refused(text: str, expected: str) -> FormatError:
    return FormatError("schema_violation", f"target: expected {expected}, got {text[:200]!r}")
