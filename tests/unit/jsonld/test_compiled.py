"""The compiled path: what it makes, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from message_examples import conversation
from proofs import contract, replaced
from undersigned.encoding import decode_json
from undersigned.errors import FormatError
from undersigned.jsonld import HIRE_CONTEXT, canonical_quads, compiled_quads, document_quads, to_quads

ODRL = "http://www.w3.org/ns/odrl/2/"


def refused(document: Any) -> tuple[str, str]:
    with pytest.raises(FormatError) as raised:
        compiled_quads(document)
    return raised.value.code, raised.value.path


def message(**members: Any) -> dict[str, Any]:
    return {"@context": HIRE_CONTEXT, "id": "urn:uuid:0", "type": "Seal", **members}


def test_each_shape_of_value() -> None:
    """Text, typed text, integer, boolean, IRI, JSON literal; sorted, one line a member."""
    document = message(
        role="hirer", sequence=3, hybrid=True, sender="did:web:a.example", seen="uEiA", ledger={"b": 1, "a": "x"}
    )
    assert compiled_quads(document).decode().splitlines() == [
        "<urn:uuid:0> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <https://w3id.org/hire#Seal> .",
        '<urn:uuid:0> <https://w3id.org/hire#hybrid> "true"^^<http://www.w3.org/2001/XMLSchema#boolean> .',
        '<urn:uuid:0> <https://w3id.org/hire#ledger> "{\\"a\\":\\"x\\",\\"b\\":1}"'
        "^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON> .",
        '<urn:uuid:0> <https://w3id.org/hire#role> "hirer" .',
        '<urn:uuid:0> <https://w3id.org/hire#seen> "uEiA"^^<https://w3id.org/security#multibase> .',
        "<urn:uuid:0> <https://w3id.org/hire#sender> <did:web:a.example> .",
        '<urn:uuid:0> <https://w3id.org/hire#sequence> "3"^^<http://www.w3.org/2001/XMLSchema#integer> .',
    ]
    for number in (-(2**53) + 1, 2**53 - 1):
        assert f'"{number}"^^' in compiled_quads(message(sequence=number)).decode()


def test_a_scope_is_odrl() -> None:
    """Grants are permissions of a set, limits its constraints; units and our own operands are terms of ours."""
    quads = compiled_quads(contract()).decode()
    own = contract()["id"]
    for expected in (
        f"<{own}#scope> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <{ODRL}Set> .",
        f"<{own}#scope> <{ODRL}permission> <{own}#read> .",
        f"<{own}#read> <{ODRL}action> <repo:read> .",
        f"<{own}#read> <{ODRL}target> <https://git.acme.example/app/*> .",
        f"<{own}#read> <{ODRL}constraint> <{own}#read-count> .",
        f"<{own}#read-count> <{ODRL}leftOperand> <{ODRL}count> .",
        f"<{own}#read-count> <{ODRL}operator> <{ODRL}lteq> .",
        f'<{own}#read-count> <{ODRL}rightOperand> "100" .',
        f"<{own}#read-count> <{ODRL}unit> <https://w3id.org/hire#unit-count> .",
        f"<{own}#read-region> <{ODRL}leftOperand> <https://w3id.org/hire#region> .",
    ):
        assert expected in quads
    assert "_:" not in quads


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
def test_every_message_of_a_hire(suite: str) -> None:
    """Messages, and the documents in them, as a processor and an engine have them."""
    seen = 0
    for example in conversation(suite).values():
        whole = decode_json(example.raw)
        for found in (whole, whole.get("document")):
            if isinstance(found, dict):
                document = {name: value for name, value in found.items() if name != "proof"}
                assert compiled_quads(document) == canonical_quads(to_quads(document))
                seen += 1
    assert seen > 20


def test_the_options_of_a_proof_are_one_blank_node() -> None:
    config = {
        "@context": HIRE_CONTEXT,
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-rdfc-2022",
        "created": "2026-11-24T12:00:00Z",
        "verificationMethod": "did:web:a.example#k",
        "proofPurpose": "authentication",
    }
    lines = compiled_quads(config).decode().splitlines()
    assert len(lines) == 5
    assert all(line.startswith("_:c14n0 ") for line in lines)
    assert (
        "_:c14n0 <https://w3id.org/security#proofPurpose> <https://w3id.org/security#authenticationMethod> ." in lines
    )
    assert compiled_quads(config) == document_quads(config)
    assert refused({**config, "proofPurpose": "contract"})[0] == "schema_violation"
    assert refused({**config, "extra": "x"}) == ("unknown_term", "")
    assert refused({**config, "type": "Seal"})[0] == "schema_violation"
    assert refused({**config, "previousProof": []})[0] == "schema_violation"
    assert refused({**config, "previousProof": [1, None]})[0] == "schema_violation"


def test_labels_of_previous_proofs_follow_their_hashes() -> None:
    """The order in which they stand in the document decides nothing."""
    proofs = [
        {"type": "DataIntegrityProof", "id": f"urn:uuid:{number}", "proofPurpose": "assertionMethod"}
        for number in range(5)
    ]
    document = message(proof=proofs)
    for algorithm in ("sha256", "sha384"):
        expected = canonical_quads(to_quads(document), algorithm=algorithm)
        assert compiled_quads(document, algorithm=algorithm) == expected
        assert compiled_quads({**document, "proof": proofs[::-1]}, algorithm=algorithm) == expected
    assert compiled_quads(document) != compiled_quads(document, algorithm="sha384")
    for wrong in ([], [proofs[0], proofs[0]], [{**proofs[0], "id": None}], proofs[0], ["x"], None):
        assert refused(message(proof=wrong))[0] == "schema_violation"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, ("context_not_allowed", "/@context")),
        (message(**{"@context": [HIRE_CONTEXT]}), ("context_not_allowed", "/@context")),
        ({"@context": HIRE_CONTEXT, "id": "urn:x:1"}, ("schema_violation", "/type")),
        (message(id="relative"), ("schema_violation", "/id")),
        (message(id=None), ("schema_violation", "/id")),
        (message(type="Unheard"), ("schema_violation", "/type")),
        (message(type="DataIntegrityProof", sequence=1), ("unknown_term", "")),
        (message(liability="none"), ("unknown_term", "")),
        (message(sender="did web"), ("schema_violation", "/sender")),
        (message(sender="urn:%zz"), ("schema_violation", "/sender")),
        (message(sequence=2**53), ("number_out_of_range", "/sequence")),
        (message(sequence="3"), ("schema_violation", "/sequence")),
        (message(sequence=True), ("schema_violation", "/sequence")),
        (message(hybrid=1), ("schema_violation", "/hybrid")),
        (message(role=None), ("schema_violation", "/role")),
        (message(role="\ud800"), ("bad_unicode", "")),
        (message(sender="did:\ud800"), ("schema_violation", "/sender")),
        (message(scope="urn:x:1"), ("schema_violation", "/scope")),
        (message(grants={}), ("schema_violation", "/grants")),
        (message(grants=["urn:x:1"]), ("schema_violation", "/grants/0")),
        (message(grants=[{"id": "urn:x:2"}, {"id": "urn:x:1"}]), ("schema_violation", "/grants/1")),
        (message(grants=[{"id": "urn:x:1"}, {"id": "urn:x:1"}]), ("schema_violation", "/grants/1")),
    ],
)
def test_refusals_say_where(document: Any, expected: tuple[str, str]) -> None:
    assert refused(document) == expected


def test_nodes_do_not_nest_without_end() -> None:
    """A node may stand in any node, as the context has it, but not deeper than documents of ours go."""
    document = message(scope={"id": "urn:x:0", "type": "Scope"})
    path: tuple[Any, ...] = ("scope",)
    for number in range(1, 8):
        document = replaced(document, (*path, "scope"), {"id": f"urn:x:{number}", "type": "Scope"})
        path = (*path, "scope")
    assert compiled_quads(document)
    document = replaced(document, (*path, "scope"), {"id": "urn:x:9", "type": "Scope"})
    assert refused(document)[0] == "schema_violation"
