"""The verifier as one page: a file that checks a pack in a browser, without network and without our runtime.

The page is put together from the scripts in `verifier` and from data that they read: the tables of states, the
schemas of messages, documents and statements. It says by a policy of its own that it loads nothing, connects to nothing
and runs no script but the one whose hash it names.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, cast

from undersigned.attestation import PREDICATES, Envelope, Statement
from undersigned.encoding import AMOUNT_PATTERN, DIDURL_PATTERN, DURATION_PATTERN, JsonObject, canonicalize
from undersigned.evidence.leaves import LogProofs, WithheldList
from undersigned.evidence.pack import Manifest
from undersigned.jsonld import compiled_table
from undersigned.messages import MESSAGE_TYPES
from undersigned.protocol import TABLES

__all__ = ["verifier_page"]

_SCRIPTS: Final = (
    "encoding",
    "keys",
    "quads",
    "scope",
    "proofs",
    "messages",
    "documents",
    "statements",
    "engagement",
    "guards",
    "facts",
    "untimely",
    "logs",
    "jwt",
    "credentials",
    "archive",
    "transcript",
    "contract",
    "deliveries",
    "records",
    "steps",
    "drawing",
    "view",
)
_FOR_PEOPLE: Final = frozenset({"$schema", "$id", "title", "description"})


def verifier_page(pack: bytes = b"") -> bytes:
    """`verifier.html`: one self-contained file, the same bytes for one release; with a pack in it, which it opens."""
    return _page().replace("{pack}", b64encode(pack).decode()).encode()


@cache
def _page() -> str:
    data: JsonObject = {
        **{"schemas": _schemas(), "types": _types(), "tables": dict(TABLES), "context": compiled_table()},
        **{"didUrl": DIDURL_PATTERN, "amount": AMOUNT_PATTERN, "duration": DURATION_PATTERN},
    }
    # A script ends at the first `</`, wherever that stands.
    constants = canonicalize(data).decode().replace("</", "<\\/")
    parts = (f"const DATA = {constants};\n", *(_part(f"{name}.js") for name in _SCRIPTS))
    script = f'"use strict";\n(() => {{\n{"".join(parts)}}})();\n'
    style = _part("style.css")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src 'sha256-{_hash(script)}'",
            f"style-src 'sha256-{_hash(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )
    return _part("page.html").replace("{policy}", policy).replace("{style}", style).replace("{script}", script)


def _part(name: str) -> str:
    return files("undersigned.evidence").joinpath("verifier", name).read_text("utf-8")


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


def _types() -> JsonObject:
    return {name: {"purpose": of.purpose, "notice": of.notice} for name, of in MESSAGE_TYPES.items()}


def _schemas() -> JsonObject:
    """Every schema by name. Those in schemas of messages stand beside them; statements have their parts in place, for
    one name (`Input`) means another thing there.
    """
    # Nobody but the page needs them while a hire runs.
    from undersigned.messages.schemas import json_schemas, struct_schema

    found: dict[str, Any] = {name.removesuffix(".json"): dict(schema) for name, schema in json_schemas().items()}
    for schema in list(found.values()):
        found |= schema.pop("$defs")
    predicates = {of.__name__: of for of in PREDICATES.values()}
    own = {of.__name__: of for of in (Manifest, LogProofs, WithheldList)}
    for name, of in {**predicates, "Statement": Statement, "Envelope": Envelope, **own}.items():
        schema: dict[str, Any] = dict(struct_schema(name, of))
        found[name] = _in_place(schema, schema.pop("$defs"))
    return {name: _bare(schema) for name, schema in found.items()}


def _in_place(schema: Any, parts: Mapping[str, Any]) -> Any:
    """The schema with what `$ref` names in place of it."""
    if isinstance(schema, list):
        return [_in_place(item, parts) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    members = cast("dict[str, Any]", schema)
    if "$ref" in members:
        return _in_place(parts[members["$ref"].removeprefix("#/$defs/")], parts)
    return {name: _in_place(value, parts) for name, value in members.items()}


def _bare(schema: Any) -> Any:
    """The schema without what only people read. A member of an object may have the name of a keyword."""
    if isinstance(schema, list):
        return [_bare(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    members = cast("dict[str, Any]", schema)
    return {name: _bare(value) for name, value in members.items() if name not in _FOR_PEOPLE or isinstance(value, dict)}
