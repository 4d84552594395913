"""JSON Schemas of messages and of our credentials, made from the structs that read them, so that they cannot differ.

What a schema cannot say stays with the decoder: sizes in bytes, repeated names, instants compared with each other.

Source: protocol-spec/schemas/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from msgspec import Struct
from msgspec.json import schema_components

from undersigned.contract import AmendmentDocument, ArbiterRuling, ContractDocument, ReleaseDocument
from undersigned.credentials import CLAIMS, Claim, schema_id
from undersigned.encoding import JsonObject
from undersigned.messages.base import Message
from undersigned.messages.registry import MESSAGE_TYPES

__all__ = ["credential_schemas", "json_schemas", "struct_schema"]

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_BASE: Final = "https://w3id.org/hire/v1/schemas/"
_ALWAYS: Final = ("@context", "type", "version", "proof")
"""Members that the structs can fill in, or do without while a message is made, and that the wire must have."""


def _present_exactly_if(member: str, condition: JsonObject) -> JsonObject:
    return {
        "if": {"properties": condition},
        "then": {"required": [member]},
        "else": {"properties": {member: False}},
    }


_RULES: Final[Mapping[str, tuple[JsonObject, ...]]] = {
    "Presentation": (_present_exactly_if("request", {"role": {"const": "hirer"}}),),
    "Approval": (
        {
            "if": {"properties": {"granted": {"const": True}}},
            "then": {"properties": {"uses": {"minimum": 1}}},
            "else": {"properties": {"uses": {"const": 0}}},
        },
    ),
    "Terminate": (
        {
            "if": {"properties": {"cause": {"enum": ["breach", "revoked", "parent"]}}},
            "then": {"required": ["names"]},
        },
    ),
    "Receipt": ({"dependentRequired": {"inclusion": ["checkpoint"]}},),
    "Problem": (
        {
            "if": {"properties": {"retryable": {"const": True}}},
            "then": {"properties": {"final": {"const": False}}},
            "else": {"properties": {"retryAfter": False}},
        },
    ),
}
"""What `__post_init__` checks, type by type; a test feeds both with the same examples."""


_DOCUMENTS: Final[Mapping[str, type[Struct]]] = {
    "Contract": ContractDocument,
    "Amendment": AmendmentDocument,
    "Release": ReleaseDocument,
    "ArbiterRuling": ArbiterRuling,
}


def json_schemas() -> dict[str, JsonObject]:
    """File name -> schema (draft 2020-12): one for each type of message, and one for each document of ours."""
    made = {f"{name}.json": _message_schema(of) for name, of in MESSAGE_TYPES.items()}
    for name, of in _DOCUMENTS.items():
        made[f"{name}.json"] = struct_schema(name, of)
    return made


def credential_schemas() -> dict[str, JsonObject]:
    """File name -> schema (draft 2020-12): one for each type of credential of ours, its proof left to the proof."""
    return {f"credentials/{name}.json": _credential_schema(name, of) for name, of in CLAIMS.items()}


def _credential_schema(name: str, of: type[Claim]) -> JsonObject:
    schema: dict[str, Any] = dict(struct_schema(name, of))
    defs = {of.__name__: {key: value for key, value in schema.items() if key[0] != "$"}, **schema["$defs"]}
    if "Ceiling" in defs:
        defs["Ceiling"]["dependentRequired"] = {"amount": ["currency"]}
    types: JsonObject = {"enum": ["VerifiableCredential", name]}
    return {
        "$schema": _DRAFT,
        "$id": schema_id(name),
        "title": name,
        "description": defs[of.__name__].pop("description"),
        "type": "object",
        "properties": {
            "type": {"type": "array", "items": types, "minItems": 2, "maxItems": 2, "uniqueItems": True},
            "credentialSubject": {"$ref": f"#/$defs/{of.__name__}"},
        },
        "required": ["type", "issuer", "credentialSubject"],
        "$defs": defs,
    }


def _message_schema(of: type[Message]) -> JsonObject:
    name = of.__name__
    schema: dict[str, Any] = dict(struct_schema(name, of))
    required = cast("list[str]", schema["required"])
    schema["required"] = sorted({*required, *_ALWAYS})
    first = 0 if of.notice else 1
    properties = cast("dict[str, Any]", schema["properties"])
    properties["sequence"] = {**properties["sequence"], "minimum": first}
    rules: list[JsonObject] = [_present_exactly_if("previous", {"sequence": {"minimum": first + 1}})]
    schema["allOf"] = [*rules, *_RULES.get(name, ())]
    return schema


def struct_schema(name: str, of: type[Struct]) -> JsonObject:
    """The schema (draft 2020-12) of one struct; the structs in it are under `$defs`."""
    _, components = schema_components([of])
    defs = {part: _without_nulls(schema) for part, schema in sorted(components.items())}
    own = defs.pop(of.__name__)
    return {"$schema": _DRAFT, "$id": f"{_BASE}{name}.json", **own, "$defs": defs}


def _without_nulls(schema: Any) -> Any:
    """The schema as the wire has it: an absent member is left out and never `null`; the text for people cut short."""
    if isinstance(schema, list):
        return [_without_nulls(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    members = dict(cast("dict[str, Any]", schema))
    members.pop("default", None)  # what is absent on the wire is not filled in by a reader of the schema
    choices = members.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        left = [choice for choice in cast("list[Any]", choices) if choice != {"type": "null"}]
        del members["anyOf"]
        members |= left[0] if len(left) == 1 else {"anyOf": left}
    if isinstance(members.get("description"), str):
        members["description"] = " ".join(members["description"].partition("\n\n")[0].split())
    return {name: _without_nulls(value) for name, value in members.items()}
