"""HTTP messages as values, and what a signature over one covers (RFC 9421, section 2).

`signature_base` can do all derived components and the parameters `name`, `key`, `bs`, `sf` (for fields that
RFC 9421 readers know the type of) and `req`; `tr` is refused, since no trailers are read.

Source: protocol-spec/03-connection.md, section 3.7
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast
from urllib.parse import parse_qsl, quote, urlsplit

import http_sf
import msgspec

from undersigned.encoding import base64_encode
from undersigned.errors import FormatError

__all__ = [
    "PLAIN_TEXT",
    "Component",
    "Headers",
    "Parameters",
    "Request",
    "Response",
    "base_of",
    "field_of",
    "inner_list",
    "signature_base",
    "signature_input",
]

_NAME: Final = re.compile("[a-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile("[\t\x20-\x7e\x80-\xff]*")
PLAIN_TEXT: Final = re.compile(r"[ !#-\[\]-~]*")
"""Text that a structured field holds as it is."""
_MAX_INTEGER: Final = 999_999_999_999_999  # RFC 9651, section 3.3.1
_PARAMETERS: Final = frozenset({"created", "expires", "nonce", "keyid", "alg", "tag"})  # RFC 9421, section 2.3
_COMPONENT_PARAMETERS: Final = frozenset({"name", "key", "bs", "sf", "req"})
_NAMED: Final = frozenset({"name"})
_NOTHING: Final = frozenset[str]()
_NO_PARAMETERS: Final[Mapping[str, str | bool]] = {}
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

Headers = tuple[tuple[str, str], ...]
Parameters = Mapping[str, "str | int | bool"]


class Request(msgspec.Struct, frozen=True):
    """An HTTP request as both sides see it."""

    method: str
    url: str
    """The target URI, absolute. A server builds it from its own origin and the path; the Host field is the peer's."""
    headers: Headers = ()
    """Name and value of each field line, in order."""
    body_digest: bytes | None = None
    """SHA-256 of the body; None if there is none."""


class Response(msgspec.Struct, frozen=True):
    """An HTTP response; `request` is what it answers, for components with `req`."""

    status: int
    headers: Headers = ()
    request: Request | None = None


class Component(NamedTuple):
    """A covered component with its parameters; a plain string stands for one without."""

    name: str
    parameters: tuple[tuple[str, str | bool], ...] = ()


def signature_input(components: Sequence[str | Component], parameters: Parameters) -> str:
    """The inner list that says what is covered: value of `@signature-params`, and a member of `Signature-Input`.

    Raises:
        FormatError: `schema_violation`, a name or value that a structured field cannot hold.

    Source: RFC 9421, section 2.3
    """
    return inner_list([_component(part) for part in components], parameters)


def inner_list(parts: Sequence[Component], parameters: Parameters) -> str:
    """As `signature_input`, of components alone."""
    if (plain := _plain_input(parts, parameters)) is not None:
        return plain
    items = [(part.name, dict(part.parameters)) for part in parts]
    try:
        return http_sf.ser(cast(Any, [(items, dict(parameters))]))
    except (ValueError, TypeError) as exc:
        raise FormatError("schema_violation", f"not writable as a structured field: {exc}") from exc


def _plain_input(parts: Sequence[Component], parameters: Parameters) -> str | None:
    """The inner list if nothing in it needs an escape or a type of its own, as in all requests of ours; else None, and
    the library writes it, character by character.
    """
    texts = [part.name for part in parts if not part.parameters]
    if not texts or len(texts) < len(parts) or not parameters.keys() <= _PARAMETERS:
        return None
    written = '("' + '" "'.join(texts) + '")'
    for name, value in parameters.items():
        if type(value) is str:
            texts.append(value)
            written += f';{name}="{value}"'
        elif type(value) is int and -_MAX_INTEGER <= value <= _MAX_INTEGER:
            written += f";{name}={value}"
        else:
            return None
    return written if PLAIN_TEXT.fullmatch("".join(texts)) else None


def signature_base(message: Request | Response, components: Sequence[str | Component], parameters: Parameters) -> bytes:
    """The bytes that are signed.

    Raises:
        FormatError: `schema_violation`: a component is not there, repeats, is ambiguous, or is one that is not known.

    Source: RFC 9421, section 2.5
    """
    parts = [_component(part) for part in components]
    return base_of(message, parts, inner_list(parts, parameters))


def base_of(message: Request | Response, parts: Sequence[Component], written: str) -> bytes:
    """As `signature_base`; `written` is the inner list of components and parameters."""
    values: dict[str, str] = {}
    lines = ""
    for part in parts:
        identifier = _identifier(part)
        if identifier in values:
            raise FormatError("schema_violation", f"a component is covered twice: {identifier}")
        try:
            value = values[identifier] = _value(message, part)
        except ValueError as exc:  # bytes that no text has, or a target that is no URL
            raise FormatError("schema_violation", f"{identifier} has no value: {exc}") from exc
        lines += f"{identifier}: {value}\n"
    # A line break in a value would let one component be read as two.
    if _VALUE.fullmatch("".join(values.values())) is None:
        raise FormatError("schema_violation", f"a value holds a control character, of {' '.join(values)}")
    return f'{lines}"@signature-params": {written}'.encode("latin-1")


def field_of(headers: Headers, name: str) -> str:
    """The combined value of a field: its lines in order, trimmed, joined by a comma.

    Raises:
        FormatError: `schema_violation`: there is none.
    """
    value = _fields(headers).get(name)
    if value is None:
        raise FormatError("schema_violation", f"there is no field {name}")
    return value


@lru_cache(maxsize=64)
def _fields(headers: Headers) -> Mapping[str, str]:
    """All of them by name. Asked of the same message for each field that is read or covered."""
    fields: dict[str, str] = {}
    for key, value in headers:
        name, line = key.lower(), value.strip(" \t")
        fields[name] = f"{fields[name]}, {line}" if name in fields else line
    return fields


def _component(part: str | Component) -> Component:
    return Component(part) if isinstance(part, str) else part


@lru_cache(maxsize=64)
def _identifier(part: Component) -> str:
    try:
        return http_sf.ser(cast(Any, (part.name, dict(part.parameters))))
    except (ValueError, TypeError) as exc:
        raise FormatError("schema_violation", f"not a component: {part.name!a}: {exc}") from exc


def _value(message: Request | Response, part: Component) -> str:
    """The value of one component (RFC 9421, sections 2.1 and 2.2)."""
    parameters = _NO_PARAMETERS
    if part.parameters:
        parameters = dict(part.parameters)
        if unknown := parameters.keys() - _COMPONENT_PARAMETERS:
            raise FormatError("schema_violation", f"parameters not known: {', '.join(sorted(unknown))}")
        if "req" in parameters:
            if not isinstance(message, Response) or message.request is None:
                raise FormatError("schema_violation", "req is for responses")
            message = message.request
    if part.name.startswith("@"):
        return _derived(message, part.name, parameters)
    if _NAME.fullmatch(part.name) is None or "name" in parameters:
        raise FormatError("schema_violation", f"not a field name: {part.name!a}")
    if "bs" in parameters:
        if "sf" in parameters or "key" in parameters:
            raise FormatError("schema_violation", "bs does not go with sf or key")
        lines = [value.strip(" \t") for key, value in message.headers if key.lower() == part.name]
        if lines:
            return ", ".join(f":{base64_encode(line.encode('latin-1'))}:" for line in lines)
    combined = field_of(message.headers, part.name)
    if "key" not in parameters and "sf" not in parameters:
        return combined
    try:
        kind = "dictionary" if "key" in parameters else None
        parsed: Any = http_sf.parse(combined.encode("latin-1"), name=part.name, tltype=kind)
        if "key" not in parameters:
            return http_sf.ser(parsed)
        member = parsed[parameters["key"]]
        return http_sf.ser([member])
    except (http_sf.StructuredFieldError, ValueError, KeyError, TypeError) as exc:
        raise FormatError("schema_violation", f"{part.name} is not the structured field that is covered") from exc


def _derived(message: Request | Response, name: str, parameters: Mapping[str, str | bool]) -> str:
    own = parameters.keys() - {"req"} if parameters else _NOTHING
    if own != (_NAMED if name == "@query-param" else _NOTHING):
        raise FormatError("schema_violation", f"{name} has parameters that it does not take")
    if isinstance(message, Response):
        if name == "@status":
            return str(message.status)
        raise FormatError("schema_violation", f"{name} is not a component of a response")
    if name == "@method":
        return message.method
    if name == "@target-uri":
        return message.url
    parts = urlsplit(message.url)
    path, query = parts.path or "/", f"?{parts.query}"
    if name == "@scheme":
        return parts.scheme.lower()
    if name == "@authority":
        host = (parts.netloc.rpartition("@")[2]).lower()
        return host.removesuffix(f":{_DEFAULT_PORTS.get(parts.scheme.lower(), 0)}")
    if name == "@path":
        return path
    if name == "@query":
        return query
    if name == "@request-target":
        return path + (query if "?" in message.url.partition("#")[0] else "")
    if name == "@query-param":
        wanted = str(parameters["name"])
        found = [value for key, value in parse_qsl(parts.query, keep_blank_values=True) if _encoded(key) == wanted]
        if len(found) != 1:
            raise FormatError("schema_violation", f"{len(found)} query parameters are named {wanted!a}")
        return _encoded(found[0])
    raise FormatError("schema_violation", f"not a component of a request: {name!a}")


def _encoded(text: str) -> str:
    """As a form-urlencoded string, but a space is %20 (RFC 9421, section 2.2.8)."""
    return quote(text, safe="*").replace("~", "%7E")
