"""References as RFC 3987 writes them, told in one pass: where a schema asks for one, strangers write them.

Source: RFC 3987, section 2.2; RFC 3986, appendix B
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final

__all__ = ["is_iri_reference"]

_PARTS: Final = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
"""Scheme, authority, path, query and fragment of any text (RFC 3986, appendix B)."""
_PLANES: Final = "".join(f"\\U{plane:04X}0000-\\U{plane:04X}FFFD" for plane in range(1, 14))
_LETTERS: Final = rf"A-Za-z0-9._~\u00A0-\uD7FF\uF900-\uFDCF\uFDF0-\uFFEF{_PLANES}\U000E1000-\U000EFFFD\-"
_MARKS: Final = "!$&'()*+,;="
_PRIVATE: Final = r"\uE000-\uF8FF\U000F0000-\U000FFFFD\U00100000-\U0010FFFD"


def _made_of(characters: str) -> re.Pattern[str]:
    return re.compile(rf"(?:[{_LETTERS}{_MARKS}{characters}]|%[0-9A-Fa-f]{{2}})*")


_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_USER: Final = _made_of(":")
_NAME: Final = _made_of("")
_PATH: Final = _made_of(":@/")
_QUERY: Final = _made_of(f":@/?{_PRIVATE}")
_FRAGMENT: Final = _made_of(":@/?")
_FUTURE: Final = re.compile(rf"[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~:{_MARKS}-]+")


def is_iri_reference(text: object) -> bool:
    """Whether a text is an `IRI-reference`; what is no text is for others to judge, as JSON Schema has it."""
    if not isinstance(text, str):
        return True
    found = _PARTS.fullmatch(text)
    if found is None:
        return False
    scheme, authority, path, query, fragment = found.groups()
    if scheme is not None and not _SCHEME.fullmatch(scheme):
        return False
    if scheme is None and authority is None and ":" in path.partition("/")[0]:
        return False
    return (
        (authority is None or _is_authority(authority))
        and _PATH.fullmatch(path) is not None
        and _QUERY.fullmatch(query or "") is not None
        and _FRAGMENT.fullmatch(fragment or "") is not None
    )


def _is_authority(text: str) -> bool:
    user, _, rest = text.rpartition("@")
    if not _USER.fullmatch(user):
        return False
    if not rest.startswith("["):
        host, _, port = rest.partition(":")
        return _NAME.fullmatch(host) is not None and _is_port(port)
    literal, closed, port = rest[1:].partition("]")
    if not closed or (port and not port.startswith(":")) or not _is_port(port[1:]):
        return False
    if _FUTURE.fullmatch(literal):
        return True
    try:
        return IPv6Address(literal).scope_id is None
    except ValueError:
        return False


def _is_port(text: str) -> bool:
    return text == "" or (text.isascii() and text.isdigit())
