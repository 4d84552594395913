"""The published JSON Schemas and examples are those of the structs."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import schemas as tool

from support import ROOT
from undersigned.errors import FormatError, ProofError
from undersigned.messages import MESSAGE_TYPES, decode_message
from undersigned.messages.schemas import json_schemas

SCHEMAS = ROOT / "protocol-spec" / "schemas"
PUBLISHED: dict[str, Any] = {path.stem: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
VALID = {path.stem: json.loads(path.read_text()) for path in (SCHEMAS / "examples" / "valid").glob("*.json")}
INVALID = {path.stem: json.loads(path.read_text()) for path in (SCHEMAS / "examples" / "invalid").glob("*.json")}


def test_what_is_published_is_what_the_structs_say() -> None:
    """If this fails: python protocol-spec/tools/schemas.py"""
    assert tool.stale() == []


def test_there_is_a_schema_and_an_example_for_each_type() -> None:
    assert PUBLISHED.keys() == {*MESSAGE_TYPES, "Contract", "Amendment", "Release", "ArbiterRuling"}
    assert {example["type"] for example in VALID.values()} == set(MESSAGE_TYPES)
    assert len(INVALID) > 50


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(PUBLISHED[name])
    assert PUBLISHED[name]["$id"] == f"https://w3id.org/hire/v1/schemas/{name}.json"
    text = json.dumps(PUBLISHED[name])
    assert '"null"' not in text
    assert '"default"' not in text


def _validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(PUBLISHED[kind])


@pytest.mark.parametrize("name", sorted(VALID))
def test_valid_examples_pass_schema_and_decoder(name: str) -> None:
    example = VALID[name]
    _validator(example["type"]).validate(example)
    assert decode_message(json.dumps(example).encode()).message.type == example["type"]
    if isinstance(example.get("document"), dict):
        _validator(example["document"]["type"]).validate(example["document"])
    if isinstance(example.get("ruling"), dict):
        _validator("ArbiterRuling").validate(example["ruling"])


@pytest.mark.parametrize("name", sorted(INVALID))
def test_invalid_examples_pass_neither(name: str) -> None:
    """HIRE-ENV-01, HIRE-ENV-03, HIRE-ENV-08."""
    example = INVALID[name]
    with pytest.raises((FormatError, ProofError)) as caught:
        decode_message(json.dumps(example["message"]).encode())
    assert (caught.value.code, caught.value.path) == (example["code"], example["path"])
    kind = example["message"].get("type")
    if kind in PUBLISHED:
        assert not _validator(kind).is_valid(example["message"])


def test_the_generator_gives_a_new_value_each_time() -> None:
    """Who changes what it got changes nothing for others."""
    first = json_schemas()
    first["Start.json"].clear()
    assert json_schemas()["Start.json"]
