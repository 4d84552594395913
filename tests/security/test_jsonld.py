"""JSON-LD under attack: SC-19 to SC-26, on documents of ours and on those of others."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proofs import HIRER, contract, credential, lookup, replaced
from support import ROOT, counted_calls, refuses
from undersigned.encoding import digest_of
from undersigned.errors import FormatError, ProofError
from undersigned.jsonld import CONTEXTS, HIRE_CONTEXT, closed_loader, compiled_quads, document_quads
from undersigned.jsonld.contexts import checked, context_bytes
from undersigned.proof import verify_proof

SUITE = "eddsa-rdfc-2022"
VERIFY: dict[str, Any] = {"key": lookup(HIRER), "purpose": "assertionMethod"}


def refused(document: Any, code: str) -> None:
    """Verification ends with this code."""
    with refuses((FormatError, ProofError), code):
        verify_proof(document, **VERIFY)


def both(**changes: Any) -> list[Any]:
    """A signed document of ours and a signed credential."""
    return [HIRER.signed(contract(), SUITE), HIRER.signed(credential(), SUITE)]


@pytest.mark.parametrize("name", ["liability", "maxSpendX", "", "Terms", "sender:x", "https://example.org/p#q r"])
@pytest.mark.parametrize("path", [(), ("terms",), ("terms", "scope"), ("terms", "scope", "grants", 0)])
def test_sc_19_an_unknown_term_of_a_contract_is_refused(path: tuple[Any, ...], name: str) -> None:
    """No context defines it, so the quads would not change and the old signature would still hold (HIRE-LD-03)."""
    signed = HIRER.signed(contract(), SUITE)
    refused(replaced(signed, (*path, name), "none"), "unknown_term")


@pytest.mark.parametrize("path", [(), ("credentialSubject",)])
def test_sc_19_an_unknown_term_of_a_credential_is_refused(path: tuple[Any, ...]) -> None:
    signed = HIRER.signed(credential(), SUITE)
    assert verify_proof(signed, **VERIFY) == signed
    refused(replaced(signed, (*path, "liability"), "none"), "unknown_term")
    refused(replaced(signed, ("type",), ["VerifiableCredential", "MembershipCredential", "Unheard"]), "unknown_term")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("validUntil",), None),
        (("evidence",), []),
        (("credentialSubject", "capability"), {"@value": None}),
        (("credentialSubject", "capability"), {"@value": "x", "@direction": "rtl"}),
        (("credentialSubject", "capability"), ["x", "x"]),
        (("credentialSubject", "capability"), [1, 1.0]),
        (("credentialSubject", "memberOf"), "relative"),
        (("credentialSubject", "id"), "relative"),
        (("credentialSubject", "type"), []),
        (("relatedResource",), {"@index": "x", "id": "urn:x:1"}),
    ],
)
def test_sc_19_what_rdf_would_drop_is_refused(path: tuple[Any, ...], value: Any) -> None:
    """The rule is not about terms alone: null, an empty array, a relative IRI, a repeat are no part of the graph."""
    signed = HIRER.signed(credential(), SUITE)
    with refuses((FormatError, ProofError), "schema_violation"):
        verify_proof(replaced(signed, path, value), **VERIFY)


def test_sc_19_inside_a_json_literal_every_member_is_signed() -> None:
    signed = HIRER.signed(contract(), SUITE)
    refused(replaced(signed, ("terms", "task", "liability"), "none"), "proof_invalid")
    refused(replaced(signed, ("methods", "witness"), []), "proof_invalid")


def test_sc_20_an_alias_by_an_inline_context_is_refused() -> None:
    """The same quads under another name, so that a reader of the right name finds nothing."""
    for signed in both():
        listed = signed["@context"] if isinstance(signed["@context"], list) else [signed["@context"]]
        for context in (
            [*listed, {"budget": "https://w3id.org/hire#price"}],
            {"budget": "https://w3id.org/hire#price"},
        ):
            refused({**signed, "@context": context}, "context_not_allowed")
    signed = HIRER.signed(credential(), SUITE)
    inside = replaced(signed, ("credentialSubject", "@context"), {"organisation": "https://w3id.org/hire#memberOf"})
    refused(inside, "context_not_allowed")


@pytest.mark.parametrize("value", [None, [], "", 1, [None], {"@vocab": "urn:x:"}, [[HIRE_CONTEXT]]])
def test_sc_20_a_context_is_the_iri_of_a_bundled_one(value: Any) -> None:
    for signed in both():
        refused({**signed, "@context": value}, "context_not_allowed")


def test_sc_21_no_context_is_fetched(tmp_path: Path) -> None:
    """Neither by network nor from a file, whatever the URL: shown by a listener, and by what the process opens."""
    planted = tmp_path / "context.jsonld"
    planted.write_text('{"@context": {"liability": "urn:x:liability"}}')
    opened: list[str] = []
    watching = True

    def watch(event: str, given: tuple[Any, ...]) -> None:
        network = event in ("socket.connect", "socket.getaddrinfo", "urllib.Request")
        if watching and (network or (event == "open" and "context.jsonld" in str(given))):
            opened.append(event)

    sys.addaudithook(watch)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        urls = [
            f"http://{host}/context.jsonld",
            f"https://{host}/context.jsonld",
            planted.as_uri(),
            str(planted),
            'data:application/ld+json,{"@context":{"liability":"urn:x:liability"}}',
            f"{HIRE_CONTEXT}#",
            f"{HIRE_CONTEXT}#x",
            f"{HIRE_CONTEXT}?",
            f"{HIRE_CONTEXT}?x=1",
            f"{HIRE_CONTEXT}/",
            HIRE_CONTEXT.replace("https", "http"),
            HIRE_CONTEXT.replace("https", "HTTPS"),
            HIRE_CONTEXT.replace("w3id.org", "w3id.org:443"),
            "https://www.w3.org/2018/credentials/v1",
            "hire-v1.jsonld",
        ]
        for url in urls:
            for signed in both():
                for context in (url, [url], [HIRE_CONTEXT, url], ["https://www.w3.org/ns/credentials/v2", url]):
                    refused({**signed, "@context": context}, "context_not_allowed")
            with refuses(FormatError, "context_not_allowed"):
                closed_loader()(url, {})
        with pytest.raises(BlockingIOError):
            listener.accept()
    watching = False
    assert opened == []


def test_sc_21_the_loader_is_asked_for_listed_contexts_only() -> None:
    """Counted: verification of a foreign document reads the registry, and of one of ours nothing at all."""
    asked: list[str] = []

    class Counting(dict[str, Any]):
        def __getitem__(self, iri: str) -> Any:
            asked.append(iri)
            return super().__getitem__(iri)

    registry = Counting(CONTEXTS)
    for signed in both():
        verify_proof(signed, contexts=registry, **VERIFY)
        refused({**signed, "@context": "https://example.org/context"}, "context_not_allowed")
    assert set(asked) == {"https://www.w3.org/ns/credentials/v2", HIRE_CONTEXT}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("hire-v1.jsonld", "https://w3id.org/hire#price", "https://w3id.org/hire#Price"),
        ("hire-v1.jsonld", '"@protected": true', '"@protected": false'),
        ("published.py", 'CRED + "validUntil"', 'CRED + "validFrom"'),
    ],
)
def test_sc_22_a_modified_context_stops_the_start(tmp_path: Path, file: str, old: str, new: str) -> None:
    """A copy of the package with one context changed refuses to be imported, and so to sign or verify anything.

    HIRE-LD-05.
    """
    shutil.copytree(ROOT / "src/undersigned", tmp_path / "undersigned", ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path / "undersigned/jsonld/contexts" / file
    text = target.read_text()
    assert old in text
    command = [sys.executable, "-c", "import undersigned.jsonld"]
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    target.write_text(text.replace(old, new, 1))
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "context_tampered" in ended.stderr


@pytest.mark.parametrize("iri", sorted(CONTEXTS))
def test_sc_22_any_changed_byte_is_seen(iri: str) -> None:
    raw = context_bytes(iri)
    assert checked(iri, raw)
    for place in range(0, len(raw), max(1, len(raw) // 50)):
        with refuses(FormatError, "context_tampered"):
            checked(iri, raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])


@pytest.mark.parametrize("keyword", ["@graph", "@included", "@reverse", "@nest", "@index", "@import", "@list", "@none"])
def test_sc_23_wrapping_keywords_are_refused(keyword: str) -> None:
    """The body in a graph, a second document beside it, edges the other way: none of it is in a schema (HIRE-LD-04)."""
    for signed in both():
        content = {name: value for name, value in signed.items() if name not in ("@context", "proof")}
        kept = {"@context": signed["@context"], "proof": signed["proof"]}
        refused({**signed, keyword: [{"id": "urn:x:2", "type": content["type"]}]}, "schema_violation")
        refused({**kept, "id": "urn:x:1", "type": content["type"], keyword: [content]}, "schema_violation")
        refused({**kept, keyword: [content]}, "schema_violation")
    signed = HIRER.signed(contract(), SUITE)
    refused(replaced(signed, ("terms", "scope", keyword), {}), "schema_violation")


def test_sc_24_order_and_repeats_are_signed() -> None:
    """Where order matters the array is one JSON literal; where it does not, one order is the only one (HIRE-LD-02)."""
    document = contract()
    signed = HIRER.signed(document, SUITE)
    inputs = document["terms"]["task"]["inputs"]
    for changed in (inputs[::-1], [*inputs, inputs[-1]], [inputs[0], *inputs], inputs[:1]):
        assert digest_of(replaced(signed, ("terms", "task", "inputs"), changed)) != digest_of(signed)
        refused(replaced(signed, ("terms", "task", "inputs"), changed), "proof_invalid")
    grants = document["terms"]["scope"]["grants"]
    for changed in (grants[::-1], [*grants, grants[-1]], [grants[0], *grants], []):
        refused(replaced(signed, ("terms", "scope", "grants"), changed), "schema_violation")
    refused(replaced(signed, ("terms", "scope", "grants"), grants[:1]), "proof_invalid")
    path = ("terms", "scope", "grants", 0, "constraint", 1, "rightOperand")
    for values in (["eu", "ch"], ["ch", "ch", "eu"], ["ch", "eu", "eu"], [], "eu"):
        refused(replaced(signed, path, values), "schema_violation")
    refused(replaced(signed, path, ["ch", "eu", "us"]), "proof_invalid")


def test_sc_24_two_nodes_of_one_id_are_refused() -> None:
    """They would be one node of the graph: a clause could be moved into another."""
    signed = HIRER.signed(contract(), SUITE)
    scope = signed["terms"]["scope"]
    taken = scope["grants"][0]["id"]
    refused(replaced(signed, ("terms", "scope", "grants", 0, "constraint", 0, "id"), taken), "schema_violation")
    refused(
        replaced(signed, ("terms", "scope", "obligations"), [{"id": taken, "target": "urn:x:1"}]), "schema_violation"
    )
    refused(replaced(signed, ("terms", "scope", "prohibitions"), [{"id": "urn:x:only"}]), "schema_violation")


def clique(size: int) -> list[Any]:
    return [
        {"id": f"_:b{one}", "memberOf": [{"id": f"_:b{other}"} for other in range(size) if other != one]}
        for one in range(size)
    ]


def poison(name: str) -> Any:
    """A value for `credentialSubject` that takes an engine from minutes to years."""
    if name.startswith("clique"):
        return clique(int(name.removeprefix("clique")))
    if name.startswith("twins"):
        return [{"relatedTo": [{} for _ in range(int(name.removeprefix("twins")))]} for _ in range(2)]
    layers = [[f"_:l{layer}n{place}" for place in range(4)] for layer in range(5)]
    return [
        {"id": node, "relatedTo": [{"id": below} for below in after]}
        for layer, after in itertools.pairwise(layers)
        for node in layer
    ]


@pytest.mark.parametrize("name", ["clique8", "clique10", "clique16", "twins8", "twins10", "twins30", "diamonds"])
def test_sc_25_poison_is_refused_before_it_works(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a bounded number of calls, and what nobody can stop was not begun (HIRE-LD-06)."""
    called: list[Any] = []
    monkeypatch.setattr("undersigned.jsonld.canonical.label", lambda *given: called.append(given))
    contexts = {**CONTEXTS, "urn:x:context": {"@context": {"relatedTo": {"@id": "urn:x:related", "@type": "@id"}}}}
    document = credential(credentialSubject=poison(name))
    document["@context"] = [*document["@context"], "urn:x:context"]
    with counted_calls() as calls, refuses(FormatError, "canon_limit"):
        document_quads(document, contexts=contexts)
    assert not called
    assert calls() < 150_000


def test_sc_25_quads_and_blank_nodes_are_counted() -> None:
    many = [{"memberOf": f"urn:x:{number}"} for number in range(65)]
    for document in (
        credential(credentialSubject=many),
        credential(credentialSubject={"id": "urn:x:1", "capability": [str(number) for number in range(4097)]}),
    ):
        with refuses(FormatError, "canon_limit"):
            document_quads(document)
    assert document_quads(credential(credentialSubject=many[:64])).count(b"\n_:c14n63 ") == 1


def test_sc_25_a_message_has_no_blank_node() -> None:
    """So nothing of ours ever needs the algorithm: refused by the one pass over its members (HIRE-LD-01)."""
    for node in ({}, {"memberOf": "urn:x:1"}, {"id": "_:b0", "memberOf": "urn:x:1"}):
        with refuses(FormatError, "schema_violation"):
            compiled_quads(contract(terms=node))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("hirer",), {"@id": HIRER.did}),
        (("hirer",), {"id": HIRER.did}),
        (("hirer",), [HIRER.did]),
        (("type",), ["Contract"]),
        (("type",), "https://w3id.org/hire#Contract"),
        (("terms", "reworks"), "1"),
        (("terms", "reworks"), {"@value": "1", "@type": "http://www.w3.org/2001/XMLSchema#integer"}),
        (("terms", "reworks"), True),
        (("terms", "reworks"), 1.0),
        (("terms", "sealGrace"), {"@value": "PT2M"}),
        (("terms", "sealGrace"), None),
        (("terms", "scope", "grants"), {"@list": []}),
        (("terms", "scope", "grants"), {"@set": []}),
        (("terms", "scope", "grants", 0, "action"), {"@id": "repo:read"}),
        (("terms", "scope", "grants", 0, "constraint", 0, "operator"), "http://www.w3.org/ns/odrl/2/lteq"),
        (("terms", "scope", "grants", 0, "constraint", 0, "unit"), "https://w3id.org/hire#unit-count"),
        (("terms", "scope", "grants", 0, "constraint", 0, "rightOperand"), [100]),
        (("terms", "scope", "grants", 0, "constraint", 0, "rightOperand"), "100"),
    ],
)
def test_sc_26_one_spelling_of_each_value(path: tuple[Any, ...], value: Any) -> None:
    """Many of these give the very quads that were signed."""
    refused(replaced(HIRER.signed(contract(), SUITE), path, value), "schema_violation")
