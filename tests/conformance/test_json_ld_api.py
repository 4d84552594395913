"""The W3C JSON-LD 1.1 API tests at hand, expansion and RDF, through the closed loader; errors as labelled."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyoxigraph as ox
import pytest

from support import conformance_dir
from undersigned.errors import FormatError
from undersigned.jsonld import CanonLimits, canonical_quads, expand, to_quads
from undersigned.jsonld.processor import _Quads

# Some inputs hold words that look like keywords, of which the processor warns.
pytestmark = [pytest.mark.conformance, pytest.mark.filterwarnings("ignore::SyntaxWarning")]

FOLDER = conformance_dir()
LIMITS = CanonLimits(max_quads=10_000, max_blank_nodes=1_000, max_steps=1_000_000)

EXPECTED_EXCEPTIONS: dict[str, str] = {
    "toRdf #te112": "expects predicates with two # in them, which are no IRIs (RFC 3987); ours are checked and refused",
}
"""Tests that do not pass, each with the reason. One that starts to pass fails the run."""


class Files(Mapping[str, Any]):
    """A registry of the test files: the base IRI of the tests leads to the folder and nowhere else."""

    def __init__(self, folder: Path, base: str) -> None:
        self.folder, self.base = folder, base

    def __getitem__(self, iri: str) -> Any:
        path = self.folder / iri.removeprefix(self.base)
        if not iri.startswith(self.base) or not path.resolve().is_relative_to(self.folder) or not path.is_file():
            raise KeyError(iri)
        return {"@context": {}, **json.loads(path.read_text())}

    def __contains__(self, iri: object) -> bool:
        try:
            self[str(iri)]
        except (KeyError, ValueError):
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def manifest(kind: str) -> dict[str, Any]:
    if FOLDER is None:
        return {"baseIri": "", "sequence": []}
    return json.loads((FOLDER / f"json-ld-api/{kind}-manifest.jsonld").read_text())


def cases(kind: str, *, negative: bool) -> list[Any]:
    found = manifest(kind)
    return [
        pytest.param(found["baseIri"], entry, id=entry["@id"][1:])
        for entry in found["sequence"]
        if ("expectErrorCode" in entry) == negative
    ]


def run(function: Any, base: str, entry: dict[str, Any], folder: Path) -> Any:
    """`function` over the input, with the options that the entry names."""
    given = dict(entry.get("option", {}))
    assert given.pop("specVersion", "json-ld-1.1") == "json-ld-1.1"
    given.pop("normative", None)
    assert given.pop("useJCS", True)
    options = {"base": base + entry["input"], "extractAllScripts": False}
    if "expandContext" in given:
        options["expandContext"] = json.loads((folder / given.pop("expandContext")).read_text())
    known = {"base", "processingMode", "rdfDirection", "produceGeneralizedRdf"}
    assert set(given) <= known, set(given) - known
    return function(
        json.loads((folder / entry["input"]).read_text()), contexts=Files(folder, base), **{**options, **given}
    )


def test_rdf_by_our_own_writer(conformance: Path) -> None:
    """Documents to be signed are not turned into quads by pyld: what our walk does not refuse, it gets right."""
    folder = conformance / "json-ld-api"
    written, refused = [], []
    for case in cases("toRdf", negative=False):
        base, entry = case.values
        writer = _Quads()
        try:
            for node in run(expand, base, entry, folder):
                writer.node(node, ox.DefaultGraph())
        except FormatError:
            refused.append(entry["@id"])
            continue
        wanted = list(ox.parse((folder / entry["expect"]).read_bytes(), format=ox.RdfFormat.N_QUADS))
        assert canonical_quads(writer.quads, limits=LIMITS) == canonical_quads(wanted, limits=LIMITS), entry["@id"]
        written.append(entry["@id"])
    assert len(written) >= 30, refused


def check(name: str, passed: bool) -> None:
    if name in EXPECTED_EXCEPTIONS:
        assert not passed, f"{name} passes now: take it off the list"
        pytest.xfail(EXPECTED_EXCEPTIONS[name])
    assert passed


def test_the_tests_are_there(conformance: Path) -> None:
    assert len(cases("expand", negative=False)) >= 60
    assert len(cases("expand", negative=True)) >= 20
    assert len(cases("toRdf", negative=False)) >= 50
    assert len(cases("toRdf", negative=True)) >= 16


@pytest.mark.parametrize(("base", "entry"), cases("expand", negative=False))
def test_expansion(conformance: Path, base: str, entry: dict[str, Any]) -> None:
    """Array order matters inside @list only."""
    folder = conformance / "json-ld-api"
    expected = json.loads((folder / entry["expect"]).read_text())
    check(f"expand {entry['@id']}", unordered(run(expand, base, entry, folder)) == unordered(expected))


@pytest.mark.parametrize(("base", "entry"), cases("toRdf", negative=False))
def test_rdf(conformance: Path, base: str, entry: dict[str, Any]) -> None:
    """The same dataset: compared by its canonical form."""
    folder = conformance / "json-ld-api"
    name = f"toRdf {entry['@id']}"
    try:
        found = canonical_quads(run(to_quads, base, entry, folder), limits=LIMITS)
        wanted = list(ox.parse((folder / entry["expect"]).read_bytes(), format=ox.RdfFormat.N_QUADS))
        passed = found == canonical_quads(wanted, limits=LIMITS)
    except (FormatError, SyntaxError):
        if name not in EXPECTED_EXCEPTIONS:
            raise
        passed = False
    check(name, passed)


@pytest.mark.parametrize(
    ("function", "base", "entry"),
    [
        pytest.param(function, *case.values, id=f"{kind}-{case.id}")
        for kind, function in (("expand", expand), ("toRdf", to_quads))
        for case in cases(kind, negative=True)
    ],
)
def test_errors(conformance: Path, function: Any, base: str, entry: dict[str, Any]) -> None:
    """Refused, and with the code of the JSON-LD API."""
    with pytest.raises(FormatError) as raised:
        run(function, base, entry, conformance / "json-ld-api")
    found = raised.value
    if entry["expectErrorCode"] == "loading remote context failed":
        assert found.code == "context_not_allowed"
    else:
        assert found.detail["jsonld_code"] == entry["expectErrorCode"]


def unordered(value: Any, inside_list: bool = False) -> Any:
    """A form in which the order of arrays counts inside @list only."""
    if isinstance(value, dict):
        return {name: unordered(inner, name == "@list") for name, inner in value.items()}
    if isinstance(value, list):
        items = [unordered(item) for item in value]
        return items if inside_list else sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
    return value
