"""Trust registries: the examples of TRQP v2.0 and of DIF Trust Establishment, read as their schemas label them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from parties import Party
from support import conformance_dir
from undersigned.errors import CredentialError, FormatError
from undersigned.trust import (
    AuthorityStatement,
    QueryKind,
    Registry,
    RegistryAsk,
    StatementFile,
    answer_query,
    established,
    read_answer,
    read_establishment,
)

pytestmark = pytest.mark.conformance

NOW = "2026-11-25T12:00:00Z"
EXCEPTIONS = {
    "dif-trust-establishment/example-1": "its version is text; the published schema has an integer",
    "dif-trust-establishment/example-2": "its version is text; the published schema has an integer",
}
"""What is published as an example, and is refused here; that it still is refused is tested."""


def folder() -> Path | None:
    found = conformance_dir()
    return found / "trust-registry" if found is not None else None


def trqp() -> list[tuple[str, dict[str, Any]]]:
    """Each example: a name with the file and the kind of message, and the body."""
    if (root := folder()) is None:
        return []
    found: list[tuple[str, dict[str, Any]]] = []
    for number, example in enumerate(json.loads((root / "trqp" / "examples.json").read_text())):
        http, body = example["http"], example["body"]
        if http.startswith("POST /"):
            kind = f"{http.split()[1][1:]}-request"
        else:
            kind = "authorization-response" if "authorized" in body else "recognition-response"
        found.append((f"{number}-{kind}", body))
    return found


def schema(conformance: Path, kind: str) -> dict[str, Any]:
    name = f"trqp_{kind.replace('-', '_')}.schema.json"
    return json.loads((conformance / "trust-registry" / "trqp" / name).read_text())


EXAMPLES = trqp()
REQUESTS = [(name, body) for name, body in EXAMPLES if name.endswith("request")]
RESPONSES = [(name, body) for name, body in EXAMPLES if name.endswith("response")]


def kinds(name: str) -> tuple[str, QueryKind]:
    """The kind of message, and the question it belongs to."""
    kind = name.partition("-")[2]
    return kind, "authorization" if kind.startswith("authorization") else "recognition"


def raw(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


def test_all_of_it_is_here(conformance: Path) -> None:
    assert (len(REQUESTS), len(RESPONSES)) == (3, 3)
    published = sorted(path.name for path in (conformance / "trust-registry").rglob("*.json"))
    assert len(published) == 12


@pytest.mark.parametrize(("name", "body"), REQUESTS, ids=[name for name, _ in REQUESTS])
def test_a_published_query_is_answered(conformance: Path, name: str, body: dict[str, Any]) -> None:
    """The small registry takes it, and what it says fits the schema of answers. So does what we ask that of queries."""
    kind, question = kinds(name)
    jsonschema.validate(body, schema(conformance, kind))
    statement = AuthorityStatement(
        authority=body["authority_id"], entity=body["entity_id"], action=body["action"], resource=body["resource"]
    )
    known = StatementFile(**{question: (statement,)})
    said = answer_query(question, raw(body), known, NOW)
    jsonschema.validate(said, schema(conformance, f"{question}-response"))
    assert said["authorized" if question == "authorization" else "recognized"] is True
    assert (said["time_requested"], said["time_evaluated"]) == (body["context"]["time"], NOW)
    assert {name: said[name] for name in body} == body, "it repeats what was asked"
    for member in ("entity_id", "authority_id", "action", "resource"):
        less = {key: value for key, value in body.items() if key != member}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(less, schema(conformance, kind))
        with pytest.raises(FormatError):
            answer_query(question, raw(less), known, NOW)

    registry = Registry(url="https://registry.example", authorities=(Party("guild").did,))
    ask = RegistryAsk(registry, question, Party("issuer").did, Party("guild").did, "sbom")
    jsonschema.validate(json.loads(ask.body), schema(conformance, kind))


@pytest.mark.parametrize(("name", "body"), RESPONSES, ids=[name for name, _ in RESPONSES])
def test_a_published_answer_is_read(conformance: Path, name: str, body: dict[str, Any]) -> None:
    """As an answer to the question that it repeats, at the time that it names; and to no other, nor at another time."""
    kind, question = kinds(name)
    jsonschema.validate(body, schema(conformance, kind))
    registry = Registry(
        url="https://registry.example",
        authorities=(body["authority_id"],),
        action=body["action"],
        max_age_seconds=86_400 * 7,
    )
    ask = RegistryAsk(registry, question, body["entity_id"], body["authority_id"], body["resource"])
    # One of them names a time for which it was asked that is five days after the one at which it was evaluated.
    latest = max(body["time_requested"], body["time_evaluated"])
    found = read_answer(raw(body), ask, latest)
    assert found.yes
    assert found.message == body["message"]
    for other in (ask._replace(entity="user-1234x"), ask._replace(resource="x"), ask._replace(authority="x")):
        with pytest.raises(CredentialError):
            read_answer(raw(body), other, latest)
    with pytest.raises(CredentialError):
        read_answer(raw(body), ask, NOW)
    verdict = "authorized" if question == "authorization" else "recognized"
    for member in ("entity_id", "authority_id", "action", "resource", "time_evaluated", verdict):
        less = {key: value for key, value in body.items() if key != member}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(less, schema(conformance, kind))
        with pytest.raises(CredentialError):
            read_answer(raw(less), ask, latest)


def test_the_first_published_pair_is_no_answer_to_its_question() -> None:
    """The question is about `user-1234`, the answer about `did:user-1234`: a client must not take it."""
    bodies = dict(EXAMPLES)
    if not bodies:
        pytest.skip("no published vectors")
    query, said = bodies["0-authorization-request"], bodies["1-authorization-response"]
    registry = Registry(
        url="https://registry.example", authorities=(), action=query["action"], max_age_seconds=86_400 * 7
    )
    ask = RegistryAsk(registry, "authorization", query["entity_id"], query["authority_id"], query["resource"])
    with pytest.raises(CredentialError):
        read_answer(raw(said), ask, said["time_requested"])


@pytest.mark.parametrize("number", [1, 2, 4, 5])
def test_a_published_establishment_document(conformance: Path, number: int) -> None:
    """Read where its schema allows it, and no edge is made of schemas that are not ours."""
    root = conformance / "trust-registry" / "dif-trust-establishment"
    document = json.loads((root / f"example-{number}.json").read_text())
    validator = jsonschema.Draft7Validator(json.loads((root / "schema.json").read_text()))
    errors = [list(error.path) for error in validator.iter_errors(document)]
    if f"dif-trust-establishment/example-{number}" in EXCEPTIONS:
        assert errors == [["version"]], "the exception stands for what its schema says, and for nothing else"
        with pytest.raises(FormatError) as caught:
            read_establishment(document)
        assert caught.value.path == "/version"
        document["version"] = 1
    else:
        assert errors == []
    found = read_establishment(document)
    assert found.author == document["author"]
    said = established(found)
    assert (said.edges, said.skipped) == ((), tuple(sorted(document["entries"])))
    for name in ("id", "author", "created", "validFrom", "version", "entries"):
        less = {key: value for key, value in document.items() if key != name}
        assert list(validator.iter_errors(less))
        with pytest.raises(FormatError):
            read_establishment(less)
