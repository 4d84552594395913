"""Provenance that real builders signed, of SLSA v0.2 and v1, in Statements v0.1 and v1, beside the artifacts.

A signature is judged by the key in its certificate, which stands in for a pinned one: nothing here asks Sigstore's
roots or its log, and a certificate proves nothing by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from foreign import key_of, payload_of, sample, stated
from undersigned.attestation import (
    BuiltBy,
    ForeignStatement,
    read_foreign_provenance,
    read_foreign_statement,
    verify_foreign_statement,
)
from undersigned.errors import FormatError, UndersignedError, VerificationError

pytestmark = [pytest.mark.conformance, pytest.mark.usefixtures("conformance")]

GENERATOR = "https://github.com/slsa-framework/slsa-github-generator/"
WORKFLOW = ".github/workflows/generator_generic_slsa3.yml@refs/"
PUBLISHER = "https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml@refs/tags/v0.0.1"
V02, V1 = "https://slsa.dev/provenance/v0.2", "https://slsa.dev/provenance/v1"
OLD = ("https://in-toto.io/Statement/v0.1", V02)
SAMPLES: dict[str, tuple[tuple[str, str], str, str, str, str]] = {
    "annotated-tag/annotated-tag": (
        OLD,
        "annotated-tag",
        f"{GENERATOR}{WORKFLOW}tags/v1.2.2",
        f"{GENERATOR}generic@v1",
        "configSource",
    ),
    "multi-subject-first/binary-linux-amd64-multi-subject-first": (
        OLD,
        "binary-linux-amd64-multi-subject-first",
        f"{GENERATOR}{WORKFLOW}heads/main",
        f"{GENERATOR}generic@v1",
        "configSource",
    ),
    "multi-subject-second/binary-linux-amd64-multi-subject-second": (
        OLD,
        "binary-linux-amd64-multi-subject-second",
        f"{GENERATOR}{WORKFLOW}heads/main",
        f"{GENERATOR}generic@v1",
        "configSource",
    ),
    "bcr-module/MODULE.bazel": (
        ("https://in-toto.io/Statement/v1", V1),
        "MODULE.bazel",
        PUBLISHER,
        "https://actions.github.io/buildtypes/workflow/v1",
        "workflow",
    ),
}
"""Case -> versions, artifact, builder, build type, and the external parameter there is."""

DRAFT = "https://slsa.dev/provenance/v1.0?draft"
BUNDLES = {
    # Labelled good. Its type was that of a draft of v1: read as a statement, and its predicate as no provenance.
    "attestation.intoto.sigstore": DRAFT,
    # Labelled good, and refused: its predicate has no type, which Statement v0.1 and v1 both ask for.
    "valid.intoto.sigstore": None,
    # Labelled bad for what Sigstore's log says: nothing here asks that log, or believes whom it lists.
    "invalid-set.intoto.sigstore": DRAFT,
    "mismatch-tlog.intoto.sigstore": DRAFT,
    # No certificate came along, and no key of ours signed it.
    "bazel-untrusted-dsseEnvelope.sigstore": None,
}
"""Exceptions, one by one -> the type of the predicate, if the envelope opens under the key that came along."""


def verify(conformance: Path, name: str, artifact: bytes | None = None, **changes: Any) -> ForeignStatement:
    (_, predicate_type), file, builder, build_type, parameter = SAMPLES[name]
    folder = conformance / "slsa" / "verifier" / name
    asked = BuiltBy(builder=builder, keys={"pinned"}, build_types={build_type}, parameters={parameter})
    given: dict[str, Any] = {
        "keys": key_of(path_of(conformance, name)),
        "predicate_types": {V02, V1},
        "built_by": asked,
    }
    data = (folder.parent / file).read_bytes() if artifact is None else artifact
    assert predicate_type in given["predicate_types"]
    return verify_foreign_statement(sample(path_of(conformance, name)), artifact=data, **(given | changes))


def path_of(conformance: Path, name: str) -> Path:
    path = conformance / "slsa" / "verifier" / name
    return path.with_name(path.name + ".intoto.jsonl")


@pytest.mark.parametrize("name", SAMPLES)
def test_a_real_sample_verifies_against_its_artifact(conformance: Path, name: str) -> None:
    (statement_type, predicate_type), _, builder, build_type, parameter = SAMPLES[name]
    read = verify(conformance, name)
    assert (read.type, read.predicate_type) == (statement_type, predicate_type)
    found = read_foreign_provenance(read)
    assert (found.builder, found.build_type) == (builder, build_type)
    assert list(found.external_parameters) == [parameter]
    assert [one.digest for one in found.dependencies] != [{}]


@pytest.mark.parametrize("name", SAMPLES)
def test_another_artifact_builder_build_or_parameter_is_refused(conformance: Path, name: str) -> None:
    """SC-65 and SC-67 on what others signed; a key that may speak for another builder may not for this one."""
    _, _, builder, build_type, parameter = SAMPLES[name]

    def code(artifact: bytes | None = None, **asked: Any) -> str:
        whole = {"builder": builder, "keys": {"pinned"}, "build_types": {build_type}, "parameters": {parameter}}
        with pytest.raises(UndersignedError) as refused:
            verify(conformance, name, artifact, built_by=BuiltBy(**(whole | asked)))
        return refused.value.code

    assert code(b"") == "digest_mismatch"
    assert code(builder=f"{builder}-of-mine") == "attester_not_trusted"
    assert code(keys={"other"}) == "attester_not_trusted"
    assert code(build_types=()) == "attester_not_trusted"
    assert code(parameters=()) == "attester_not_trusted"


@pytest.mark.parametrize("name", BUNDLES)
def test_bundles(conformance: Path, name: str) -> None:
    path = conformance / "slsa" / "gha-bundles" / name
    keys, kind = key_of(path), payload_of(path).get("predicateType")
    if BUNDLES[name] is None:
        with pytest.raises(UndersignedError) as opened:
            verify_foreign_statement(sample(path), keys=keys, artifact=stated(path), predicate_types={kind})
        assert opened.value.code == ("schema_violation" if keys else "proof_invalid")
        return
    read = verify_foreign_statement(sample(path), keys=keys, artifact=stated(path), predicate_types={kind})
    assert read.predicate_type == BUNDLES[name]
    with pytest.raises(VerificationError) as refused:
        read_foreign_provenance(read)
    assert refused.value.path == "/predicateType"


def test_the_example_of_a_summary(conformance: Path) -> None:
    """Exception: its digests are placeholders (`5678...`), so it is read, and no artifact is its subject."""
    payload = (conformance / "slsa" / "spec-examples" / "verification_summary-2.json").read_bytes()
    read = read_foreign_statement(payload)
    assert read.predicate_type == "https://slsa.dev/verification_summary/v1"
    assert read.predicate["verificationResult"] == "PASSED"
    assert read.subjects[0].digest == {"sha256": "5678..."}


def test_every_case_is_looked_at(conformance: Path) -> None:
    found = {str(path.relative_to(conformance / "slsa")) for path in (conformance / "slsa").rglob("*.*sigstore")}
    assert found == {f"gha-bundles/{name}" for name in BUNDLES}
    lines = {path.parent.name for path in (conformance / "slsa" / "verifier").rglob("*.jsonl")}
    assert lines == {name.partition("/")[0] for name in SAMPLES}


@pytest.mark.parametrize("payload", [b"[]", b"{}", b'{"_type":"https://in-toto.io/Statement/v0.2"}'])
def test_another_document_is_none(payload: bytes) -> None:
    with pytest.raises(FormatError):
        read_foreign_statement(payload)
