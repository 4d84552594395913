"""A trace as PROV-O: what a tool that knows nothing of hires reads in it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Any

import pyoxigraph as ox
import pytest

import undersigned.trace.prov as prov
from support import ROOT
from undersigned.encoding import digest_hex
from undersigned.errors import FormatError
from undersigned.jsonld import expand, to_quads
from undersigned.trace import KINDS, TYPES, TraceStep, name_of, prov_document, trace
from unit.trace.test_walk import DIGEST, Hire, evidence

PROV = "http://www.w3.org/ns/prov#"
TYPE = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")


@pytest.fixture(scope="module")
def hire() -> Hire:
    return Hire().whole()


@pytest.fixture(scope="module")
def document(hire: Hire) -> dict[str, Any]:
    return json.loads(json.dumps(prov_document([trace(DIGEST, evidence(hire))])))


@pytest.fixture(scope="module")
def quads(document: dict[str, Any]) -> list[ox.Quad]:
    return to_quads(document)


def related(quads: list[ox.Quad], name: str, term: str) -> list[str]:
    found = [
        quad.object for quad in quads if quad.subject == ox.NamedNode(name) and quad.predicate.value == PROV + term
    ]
    return [one.value for one in found]


def test_every_member_of_it_is_a_term(document: dict[str, Any]) -> None:
    """HIRE-TRC-03: pyld expands it without fetching anything, and drops nothing."""

    def count(value: Any) -> int:
        if isinstance(value, dict):
            return sum(1 + count(one) for name, one in value.items() if name != "@context")
        return sum(map(count, value)) if isinstance(value, list) else 0

    expanded = expand(document)
    terms = {name for node in document["@graph"] for name in node} - {"id", "type"}
    written = {name for node in expanded for name in node} - {"@id", "@type"}
    assert len(terms) == len(written)
    assert len(expanded) == len(document["@graph"])


def test_nothing_is_entity_and_activity(quads: list[ox.Quad]) -> None:
    """HIRE-TRC-03: PROV-O keeps the two apart."""
    kinds: dict[str, set[str]] = {}
    for quad in quads:
        if quad.predicate == TYPE:
            kinds.setdefault(str(quad.subject), set()).add(quad.object.value.removeprefix(PROV))
    assert all(found - {"Plan"} in ({"Entity"}, {"Activity"}, {"Agent"}, {"Association"}) for found in kinds.values())
    assert {"Entity", "Activity", "Agent", "Association", "Plan"} == set.union(*kinds.values())


def test_it_says_who_made_the_artifact_for_whom_and_by_which_plan(hire: Hire, quads: list[ox.Quad]) -> None:
    artifact = name_of(DIGEST)
    assert artifact.startswith("ni:///sha-256;")
    (delivery,) = related(quads, artifact, "wasGeneratedBy")
    assert related(quads, delivery, "wasAssociatedWith") == [hire.provider.actor.did]
    assert related(quads, hire.provider.actor.did, "actedOnBehalfOf") == [hire.hirer.actor.did]
    assert len(related(quads, artifact, "wasDerivedFrom")) == len(related(quads, delivery, "used")) == 1
    plans = [quad.object.value for quad in quads if quad.predicate.value == PROV + "hadPlan"]
    assert plans == [name_of(hire.contract)]


def test_a_name_of_a_hash_is_the_hash() -> None:
    """RFC 6920, section 3."""
    wanted = urlsafe_b64encode(bytes.fromhex(digest_hex(DIGEST))).decode().rstrip("=")
    assert name_of(DIGEST) == f"ni:///sha-256;{wanted}"


def test_the_context_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-TRC-03: a changed one is no context; what is published beside the pages is the same file."""
    raw = files("undersigned.trace").joinpath("prov-v1.jsonld").read_bytes()
    assert (ROOT / "protocol-spec/context/prov-v1.jsonld").read_bytes() == raw
    assert sha256(raw).hexdigest() == prov.PINNED
    monkeypatch.setattr(prov, "PINNED", "0" * 64)
    with pytest.raises(FormatError, match="expected SHA-256"):
        prov._context()


def test_each_kind_has_a_place_in_prov() -> None:
    assert set(TYPES) == set(KINDS)


def test_of_one_thing_in_two_places_what_was_checked_counts() -> None:
    seen = TraceStep(kind="contract", name=DIGEST, text="seen", state="verified", why="checked")
    unseen = TraceStep(kind="contract", name=DIGEST, text="the contract above", state="missing", why="not here")
    for steps in ([seen, unseen], [unseen, seen]):
        (node,) = [one for one in prov_document(steps)["@graph"] if one["id"] == name_of(DIGEST)]
        assert node["checked"] == ["verified"]
