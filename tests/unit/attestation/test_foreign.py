"""Statements of others: what their formats leave open is read, and what proves something is checked."""

from __future__ import annotations

from hashlib import sha512
from typing import Any

import pytest
from msgspec.structs import replace

from contracts import PROVIDER, STRANGER
from undersigned.attestation import (
    PAYLOAD_TYPE,
    BuiltBy,
    envelope,
    pae,
    read_foreign_provenance,
    read_foreign_statement,
    verify_foreign_statement,
)
from undersigned.encoding import canonicalize, digest_bytes, digest_hex
from undersigned.errors import FormatError, UndersignedError, VerificationError

ARTIFACT = b"app"
V1, V02 = "https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2"
BUILT: dict[str, Any] = {
    "buildDefinition": {
        "buildType": "https://build.example/v1",
        "externalParameters": {"source": "git+https://git.example/app"},
        "resolvedDependencies": [{"uri": "git+https://git.example/app", "digest": {"gitCommit": "0" * 40}}],
    },
    "runDetails": {"builder": {"id": "https://build.example/runner"}, "byproducts": []},
}
ASKED = BuiltBy(
    builder="https://build.example/runner",
    keys={"runner"},
    build_types={"https://build.example/v1"},
    parameters={"source"},
)


def statement(**changes: Any) -> bytes:
    whole = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app", "digest": {"sha256": digest_hex(digest_bytes(ARTIFACT))}}],
        "predicateType": V1,
        "predicate": BUILT,
    }
    return canonicalize({name: value for name, value in (whole | changes).items() if value is not None})


def signed(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> dict[str, Any]:
    return envelope(payload, [("", PROVIDER.sign(pae(payload_type, payload)))], payload_type)


def verify(document: dict[str, Any], **changes: Any):
    given: dict[str, Any] = {
        "keys": {"runner": PROVIDER.key},
        "artifact": ARTIFACT,
        "predicate_types": {V1, V02},
        "built_by": ASKED,
    }
    return verify_foreign_statement(document, **(given | changes))


def refused(document: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(UndersignedError) as caught:
        verify(document, **changes)
    return caught.value.code


def test_what_they_add_is_passed_over_and_proves_nothing() -> None:
    """HIRE-ATT-08: new members anywhere, and a certificate beside the signature."""
    document = signed(statement(more={"a": None}, predicate={**BUILT, "newer": 1}))
    document["signatures"][0]["cert"] = "-----BEGIN CERTIFICATE-----"
    document["more"] = 1
    read = verify(document)
    assert (read.signers, read.type) == (("runner",), "https://in-toto.io/Statement/v1")
    assert refused(document, keys={}) == "proof_invalid"
    assert refused(document, keys={"runner": STRANGER.key}) == "proof_invalid"


def test_the_old_version_says_the_same() -> None:
    old = {
        "builder": {"id": "https://build.example/runner"},
        "buildType": "https://build.example/v1",
        "invocation": {"configSource": {"uri": "git+https://git.example/app"}, "parameters": None},
        "materials": [{"uri": "git+https://git.example/app", "digest": {"sha1": "0" * 40}}],
    }
    payload = statement(_type="https://in-toto.io/Statement/v0.1", predicateType=V02, predicate=old)
    document = signed(payload)
    asked = BuiltBy(builder=ASKED.builder, keys=ASKED.keys, build_types=ASKED.build_types, parameters={"configSource"})
    found = read_foreign_provenance(verify(document, built_by=asked))
    assert (found.builder, found.build_type) == (ASKED.builder, "https://build.example/v1")
    assert list(found.external_parameters) == ["configSource"]
    assert refused(document) == "attester_not_trusted"


@pytest.mark.parametrize(
    "other",
    [
        {"builder": "https://build.example/another"},
        {"keys": {"another"}},
        {"build_types": {"https://build.example/v2"}},
        {"parameters": {"another"}},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_build_is_the_one_that_was_asked_for(other: dict[str, Any]) -> None:
    """HIRE-ATT-08: by that builder with a key of it, of such a type, with no parameter beside those that are known."""
    assert refused(signed(statement()), built_by=replace(ASKED, **other)) == "attester_not_trusted"


def test_what_is_null_is_absent() -> None:
    said = {"a": None, "b": [{"c": None, "d": 1}]}
    assert read_foreign_statement(statement(predicate=said)).predicate == {"b": [{"d": 1}]}
    assert read_foreign_statement(statement(predicate=None)).predicate == {}


def test_a_subject_is_found_by_its_digest() -> None:
    """Any name, or none in v1; one of several; and weak digests find nothing (HIRE-ATT-03)."""
    right = {"digest": {"sha256": digest_hex(digest_bytes(ARTIFACT))}}
    other = {"name": "other", "digest": {"sha256": "0" * 64}}
    assert verify(signed(statement(subject=[other, right])))
    assert refused(signed(statement(subject=[other, other]))) == "digest_mismatch"
    assert refused(signed(statement(subject=[{"digest": {"sha1": "0" * 40}}]))) == "digest_mismatch"
    longer = signed(statement(subject=[{"digest": {"sha512": sha512(ARTIFACT).hexdigest()}}]))
    assert verify(longer)
    assert refused(longer, artifact=digest_bytes(ARTIFACT)) == "digest_mismatch", "nothing is held against nothing"
    beside = [{"digest": {**right["digest"], "sha512": "G" * 128}}]
    assert refused(signed(statement(subject=beside)), artifact=digest_bytes(ARTIFACT)) == "digest_mismatch"
    for subjects, path in (([other], "/subject/0/digest/sha256"), ([other, other], "/subject")):
        with pytest.raises(VerificationError) as caught:
            verify(signed(statement(subject=subjects)))
        assert caught.value.path == path
    for subjects in ([right], [other, right]):
        with pytest.raises(FormatError):
            read_foreign_statement(statement(_type="https://in-toto.io/Statement/v0.1", subject=subjects))


ORDER = ("payload type", "statement type", "subjects", "predicate", "policy")
CODES = ("proof_invalid", "schema_violation", "digest_mismatch", "attester_not_trusted", "attester_not_trusted")


@pytest.mark.parametrize("first", range(len(ORDER)), ids=ORDER)
def test_checks_come_in_the_order_of_our_own(first: int) -> None:
    """HIRE-ATT-08: from `first` on everything is wrong, and the first is what is said."""
    wrong = ORDER[first:]
    payload = statement(
        _type="https://in-toto.io/Statement/v9" if "statement type" in wrong else "https://in-toto.io/Statement/v1",
        subject=[{"digest": {"sha256": digest_hex(digest_bytes(b"other" if "subjects" in wrong else ARTIFACT))}}],
        predicateType="https://example.org/other" if "predicate" in wrong else V1,
        predicate={**BUILT, "runDetails": {"builder": {"id": "https://evil.example"}}},
    )
    document = signed(payload, "application/json" if "payload type" in wrong else PAYLOAD_TYPE)
    with pytest.raises(UndersignedError) as caught:
        verify(document)
    assert caught.value.code == CODES[first]
    assert (caught.value.path == "/predicateType") is (ORDER[first] == "predicate")


@pytest.mark.parametrize(
    "payload",
    [
        statement(predicateType=None),
        statement(predicateType=""),
        statement(subject=[]),
        statement(subject=[{"name": "app"}]),
        statement(subject=[{"name": "app", "digest": {}}]),
        statement(predicate=[]),
        b"{",
        b'{"_type":1,"_type":1}',
    ],
)
def test_only_a_statement_is_one(payload: bytes) -> None:
    with pytest.raises(FormatError):
        read_foreign_statement(payload)


@pytest.mark.parametrize("predicate", [{}, {"buildDefinition": 1}, {**BUILT, "runDetails": {"builder": {}}}])
def test_provenance_of_another_shape_is_none(predicate: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        read_foreign_provenance(read_foreign_statement(statement(predicate=predicate)))


@pytest.mark.parametrize(
    "document", [{}, {"signatures": 1}, {"signatures": [1]}, {"payload": "e30=", "signatures": [{}]}]
)
def test_only_an_envelope_is_one(document: dict[str, Any]) -> None:
    assert refused(document) in ("schema_violation", "proof_missing")
