"""The inputs of the W3C test suite for Verifiable Credentials 2.0: taken or refused as they are labelled.

The inputs are unsigned. What has to be taken is signed here, with a proof of either canonicalization and as a JWT, and
then verified; what has to be refused is refused unsigned, and signed all the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from parties import Party, documents
from support import conformance_dir
from undersigned.credentials import (
    credential_config,
    credential_jwt,
    enveloped_credential,
    read_credential,
    read_presentation,
    verify_credential,
)
from undersigned.encoding import JsonObject
from undersigned.errors import UndersignedError

pytestmark = pytest.mark.conformance

NOW, SIGNED = "2026-11-25T12:00:00Z", "2023-01-01T00:00:00Z"
ISSUER = Party("acme-org")
FOUND = conformance_dir()
INPUTS = sorted((FOUND / "vc-data-model-2.0" / "input").rglob("*.json")) if FOUND else []
CREDENTIALS = [path for path in INPUTS if not path.name.startswith("presentation-")]
PRESENTATIONS = [path for path in INPUTS if path.name.startswith("presentation-")]
FORMS = ("eddsa-jcs-2022", "eddsa-rdfc-2022", "vc+jwt")

INLINE, EXAMPLES = "a context written inline", "a context that is not bundled"
NOT_TAKEN = {
    # A context that is inline, or not bundled: the data model allows it, and here it is refused (SC-20).
    "credential-context-combo1-ok.json": ("context_not_allowed", EXAMPLES),
    "credential-context-combo2-ok.json": ("context_not_allowed", INLINE),
    "credential-evidences-ok.json": ("context_not_allowed", INLINE),
    "credential-optional-type-ok.json": ("context_not_allowed", EXAMPLES),
    "credential-proof-ok.json": ("context_not_allowed", INLINE),
    "credential-refresh-type-ok.json": ("context_not_allowed", INLINE),
    "credential-schema-type-ok.json": ("context_not_allowed", INLINE),
    "credential-status-ok.json": ("context_not_allowed", INLINE),
    "credential-termsofuse-ok.json": ("context_not_allowed", INLINE),
    "credential-termsofuses-ok.json": ("context_not_allowed", INLINE),
}
"""Those labelled ok that are not even read: file -> code, reason."""
NOT_BELIEVED = {
    "credential-validfrom-far-future-ok.json": ("policy_denied", "well-formed, and not valid before the year 4023"),
    "credential-schemas-ok.json": ("policy_denied", "well-formed, with schemas that could not be checked"),
}
"""Those labelled ok that are read, and refused when they are verified."""
NOT_IN_RDF = {
    "credential-description-language-direction-en-ok.json": ("schema_violation", "RDF has no direction of text"),
    "credential-name-language-direction-en-ok.json": ("schema_violation", "RDF has no direction of text"),
}
"""Those of which RDF would lose something, so that the RDF suites do not sign them."""
AT = {
    "credential-validuntil-ms-ok.json": "2023-02-26T01:20:18Z",
    "credential-validuntil-tz-ok.json": "2023-02-26T01:21:29Z",
}
"""When those are verified that ceased to hold before `NOW`."""
PRESENTATIONS_NOT_TAKEN = {
    "presentation-context-combo2-ok.json": ("context_not_allowed", INLINE),
    "presentation-ok.json": ("schema_violation", "no holder: nobody who could be the sender (SC-64)"),
    "presentation-multiple-vc-ok.json": ("schema_violation", "no holder"),
    "presentation-holder-object-ok.json": ("schema_violation", "a holder has one spelling here"),
}
UNLABELLED = {
    "presentation-self-asserted-vc-issuer-mismatch.json": None,
    "presentation-self-asserted-vc-no-holder.json": "schema_violation",
}
"""Neither ok nor fail: what is made of their shape. Whether a credential is its holder's own is a matter of policy."""


def labelled(paths: list[Path], word: str) -> list[Path]:
    return [path for path in paths if f"-{word}" in path.name]


def completed(path: Path, issuer: str = ISSUER.did) -> dict[str, Any]:
    """The input with what the suite's harness puts in: an issuer where there is none, and dates."""
    text = path.read_text().replace("PAST DATE", "2020-01-01T00:00:00Z").replace("FUTURE DATE", "2099-01-01T00:00:00Z")
    document = json.loads(text)
    if document.get("issuer", {}) == {}:
        document["issuer"] = issuer
    elif isinstance(document["issuer"], dict):
        document["issuer"].setdefault("id", issuer)
    return document


def signed(document: dict[str, Any], form: str) -> JsonObject:
    if form != "vc+jwt":
        return ISSUER.prove(document, credential_config(form, ISSUER.method, SIGNED))
    draft = credential_jwt(document, ISSUER.method, "Ed25519", SIGNED)
    return enveloped_credential(draft.signed(ISSUER.sign(draft.to_sign)))


def believed(document: JsonObject, at: str) -> str:
    try:
        verify_credential(document, documents=documents(ISSUER), now=at)
    except UndersignedError as error:
        return error.code
    return "good"


@pytest.mark.parametrize("path", labelled(CREDENTIALS, "ok"), ids=lambda path: path.name)
def test_credentials_labelled_ok_are_taken(path: Path) -> None:
    document = completed(path)
    if path.name in NOT_TAKEN:
        with pytest.raises(UndersignedError) as caught:
            read_credential(document)
        assert caught.value.code == NOT_TAKEN[path.name][0]
        return
    assert read_credential(document)
    of = document["issuer"]
    document["issuer"] = of | {"id": ISSUER.did} if isinstance(of, dict) else ISSUER.did
    expected = NOT_BELIEVED.get(path.name, ("good",))[0]
    for form in FORMS:
        if form == "eddsa-rdfc-2022" and path.name in NOT_IN_RDF:
            with pytest.raises(UndersignedError) as caught:
                signed(document, form)
            assert caught.value.code == NOT_IN_RDF[path.name][0]
        else:
            assert believed(signed(document, form), AT.get(path.name, NOW)) == expected, form


@pytest.mark.parametrize("path", labelled(CREDENTIALS, "fail"), ids=lambda path: path.name)
def test_credentials_labelled_fail_are_refused(path: Path) -> None:
    document = completed(path)
    with pytest.raises(UndersignedError):
        read_credential(document)
    for form in ("eddsa-jcs-2022", "vc+jwt"):
        assert believed(signed(document, form), NOW) != "good"


@pytest.mark.parametrize("path", labelled(PRESENTATIONS, "ok"), ids=lambda path: path.name)
def test_presentations_labelled_ok_are_taken(path: Path) -> None:
    document = json.loads(path.read_text())
    if path.name in PRESENTATIONS_NOT_TAKEN:
        with pytest.raises(UndersignedError) as caught:
            read_presentation(document)
        assert caught.value.code == PRESENTATIONS_NOT_TAKEN[path.name][0]
        return
    assert read_presentation(document).parties[0] == document["holder"]


@pytest.mark.parametrize("path", labelled(PRESENTATIONS, "fail"), ids=lambda path: path.name)
def test_presentations_labelled_fail_are_refused(path: Path) -> None:
    """Also with what else a presentation has here, so that they are refused for what is wrong with them."""
    document = json.loads(path.read_text())
    with pytest.raises(UndersignedError):
        read_presentation({"holder": ISSUER.did} | document)


@pytest.mark.parametrize("name", UNLABELLED)
def test_presentations_without_a_label(conformance: Path, name: str) -> None:
    document = json.loads((conformance / "vc-data-model-2.0" / "input" / name).read_text())
    if (code := UNLABELLED[name]) is None:
        assert read_presentation(document).parties
        return
    with pytest.raises(UndersignedError) as caught:
        read_presentation(document)
    assert caught.value.code == code


def test_every_input_is_looked_at(conformance: Path) -> None:
    """And every exception is one of them."""
    assert len(INPUTS) == 80
    covered = [*labelled(INPUTS, "ok"), *labelled(INPUTS, "fail")]
    assert sorted([*(path.name for path in covered), *UNLABELLED]) == sorted(path.name for path in INPUTS)
    exceptions = {*NOT_TAKEN, *NOT_BELIEVED, *NOT_IN_RDF, *PRESENTATIONS_NOT_TAKEN}
    assert exceptions <= {path.name for path in labelled(INPUTS, "ok")}
