"""The W3C test suite of RDFC-1.0: every evaluation and map test, and the one that must be refused."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pyoxigraph as ox
import pytest

from support import conformance_dir, counted_calls, refuses
from undersigned.errors import FormatError
from undersigned.jsonld import canonical_quads

pytestmark = pytest.mark.conformance

FOLDER = conformance_dir()
ENTRIES: list[dict[str, Any]] = (
    json.loads((FOLDER / "rdf-canon/manifest.jsonld").read_text())["entries"] if FOLDER else []
)


def entries(kind: str) -> list[Any]:
    return [pytest.param(entry, id=entry["id"][1:]) for entry in ENTRIES if entry["type"] == f"rdfc:{kind}"]


def algorithm(entry: dict[str, Any]) -> str:
    return "sha384" if entry.get("hashAlgorithm") == "SHA384" else "sha256"


def quads(conformance: Path, entry: dict[str, Any]) -> list[ox.Quad]:
    return list(ox.parse((conformance / "rdf-canon" / entry["action"]).read_bytes(), format=ox.RdfFormat.N_QUADS))


def test_the_suite_is_there(conformance: Path) -> None:
    """Counts, so that a manifest that lost its entries does not pass for a suite that passed."""
    assert len(entries("RDFC10EvalTest")) >= 30
    assert len(entries("RDFC10MapTest")) >= 10
    assert len(entries("RDFC10NegativeEvalTest")) == 1
    assert len(ENTRIES) == sum(len(entries(f"RDFC10{kind}Test")) for kind in ("Eval", "Map", "NegativeEval"))


@pytest.mark.parametrize("entry", entries("RDFC10EvalTest"))
def test_canonical_form(conformance: Path, entry: dict[str, Any]) -> None:
    """Canonical N-Quads, byte for byte."""
    expected = (conformance / "rdf-canon" / entry["result"]).read_bytes()
    assert canonical_quads(quads(conformance, entry), algorithm=algorithm(entry)) == expected


@pytest.mark.parametrize("entry", entries("RDFC10MapTest"))
def test_canonical_labels(conformance: Path, entry: dict[str, Any]) -> None:
    """Which label each blank node gets: found by trying, since what comes back is the labelled quads."""
    expected = json.loads((conformance / "rdf-canon" / entry["result"]).read_text())
    given = quads(conformance, entry)
    canonical = canonical_quads(given, algorithm=algorithm(entry))
    assert expected in labellings(given, canonical)


@pytest.mark.parametrize("entry", entries("RDFC10NegativeEvalTest"))
def test_poison_is_refused_before_the_first_n_degree_hash(
    conformance: Path, entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What alone hashes to the N-th degree is never called, and the answer takes few calls."""
    given = quads(conformance, entry)
    called: list[object] = []
    monkeypatch.setattr("undersigned.jsonld.canonical.label", lambda *given: called.append(given))
    with counted_calls() as calls, refuses(FormatError, "canon_limit"):
        canonical_quads(given)
    assert not called
    assert calls() < 150_000


def labellings(given: list[ox.Quad], canonical: bytes) -> list[dict[str, str]]:
    """Every labelling of the blank nodes that turns `given` into `canonical`."""
    nodes = sorted(
        {term.value for quad in given for term in (quad.subject, quad.object, quad.graph_name) if is_blank(term)}
    )
    assert len(nodes) <= 7
    found: list[dict[str, str]] = []
    wanted = {line for line in canonical.split(b"\n") if line}
    for order in permutations(range(len(nodes))):
        labels = {node: f"c14n{place}" for node, place in zip(nodes, order, strict=True)}
        renamed = [
            ox.Quad(
                rename(quad.subject, labels),
                quad.predicate,
                rename(quad.object, labels),
                rename(quad.graph_name, labels),
            )
            for quad in given
        ]
        if {line for line in ox.serialize(renamed, format=ox.RdfFormat.N_QUADS).split(b"\n") if line} == wanted:
            found.append(labels)
    return found


def is_blank(term: object) -> bool:
    return isinstance(term, ox.BlankNode)


def rename(term: Any, labels: dict[str, str]) -> Any:
    return ox.BlankNode(labels[term.value]) if is_blank(term) else term
