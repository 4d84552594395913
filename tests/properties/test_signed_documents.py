"""Whatever JSON comes, canonicalization and verification end with an answer or an error of ours."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proofs import HIRER, PROVIDER, contract, credential, key_of
from support import examples
from undersigned.errors import UndersignedError
from undersigned.jsonld import CONTEXTS, HIRE_CONTEXT, canonical_quads, compiled_quads, document_quads, to_quads
from undersigned.proof import verify_proof, verify_proof_set

CONTEXTS_OF = [HIRE_CONTEXT, "https://www.w3.org/ns/credentials/v2", [*CONTEXTS], ["urn:x:unknown"], None, {}]
terms = sorted(
    {"@id", "@type", "@value", "@list", "@set", "@graph", "@context", "id", "type", "proof", "unheard", ""}
    | set(CONTEXTS[HIRE_CONTEXT]["@context"])
    | set(CONTEXTS["https://www.w3.org/ns/credentials/v2"]["@context"])
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["urn:x:1", "_:b0", "VerifiableCredential", "DataIntegrityProof", "Seal", "@none", HIRE_CONTEXT])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(terms), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(terms), values, max_size=6)
contexts = st.sampled_from(CONTEXTS_OF)


def ends(function: Any) -> None:
    """It returns, or raises one of our errors with a listed code."""
    try:
        function()
    except UndersignedError as error:
        if error.row is None or error.code == "internal":
            raise


@given(objects, contexts)
@settings(max_examples=examples(400), deadline=None)
def test_any_object_is_canonicalized_or_refused(document: dict[str, Any], context: Any) -> None:
    document = {**document, "@context": context}
    ends(lambda: compiled_quads(document))
    ends(lambda: document_quads(document))


@given(objects, contexts)
@settings(max_examples=examples(400), deadline=None)
def test_what_the_strict_path_takes_the_processor_reads_the_same(document: dict[str, Any], context: Any) -> None:
    """Strictness refuses; it never says something else."""
    document = {**document, "@context": context}
    try:
        found = document_quads(document)
    except UndersignedError:
        return
    assert found == canonical_quads(to_quads(document))


@given(st.sampled_from(["contract", "credential"]), st.text(max_size=3) | st.sampled_from(terms), values, st.data())
@settings(max_examples=examples(400), deadline=None)
def test_any_member_of_a_signed_document_may_be_anything(
    which: str, name: str, value: Any, data: st.DataObject
) -> None:
    """Verification ends, and holds only for what was signed."""
    suite = data.draw(st.sampled_from(["eddsa-jcs-2022", "eddsa-rdfc-2022"]))
    signed = HIRER.signed(contract() if which == "contract" else credential(), suite)
    inside = data.draw(st.booleans())
    changed = {**signed, "proof": {**signed["proof"], name: value}} if inside else {**signed, name: value}
    try:
        assert verify_proof(changed, key=key_of, purpose="assertionMethod") is changed
    except UndersignedError:
        return
    assert changed == signed or (inside and name == "@context")


@given(st.lists(objects | values, max_size=3) | values)
@settings(max_examples=examples(200), deadline=None)
def test_any_value_may_stand_for_the_proofs(proofs: Any) -> None:
    document = contract(proof=proofs)
    for chain in (False, True):
        ends(
            lambda chain=chain: verify_proof_set(
                document, key=key_of, purpose="assertionMethod", required=[HIRER.did, PROVIDER.did], chain=chain
            )
        )
    ends(lambda: verify_proof(document, key=key_of, purpose="assertionMethod"))
