"""The inputs of the W3C test suite for Verifiable Credentials 2.0, sent to a running daemon as that suite sends them.

The suite asks an issuer and a verifier over the VC API: what is labelled ok has to be issued (201) and then verified
(200), and what is labelled fail has to be refused by the issuer; presentations are signed by the suite's own party and
verified. Beside the bundled contexts, the operator of this daemon names the one for examples, as the suite requires.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from conformance.test_vc_data_model import completed, labelled
from control_world import Control, controlled, make_home
from parties import Party
from support import conformance_dir
from undersigned.credentials import credential_config
from undersigned.runtime import ControlPart

pytestmark = [pytest.mark.conformance, pytest.mark.asyncio(loop_scope="module")]

FOUND = conformance_dir()
INPUTS = sorted((FOUND / "vc-data-model-2.0" / "input").rglob("*.json")) if FOUND else []
CREDENTIALS = [path for path in INPUTS if not path.name.startswith("presentation-")]
PRESENTATIONS = [path for path in INPUTS if path.name.startswith("presentation-")]
EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"
SUITE, ALICE = Party("the suite"), Party("alice")

INLINE = ("context_not_allowed", "a context written inline (SC-20)")
NOT_ISSUED = {
    "credential-context-combo2-ok.json": INLINE,
    "credential-evidences-ok.json": INLINE,
    "credential-proof-ok.json": ("schema_violation", "secured already: it would have two proofs of two issuers"),
    "credential-refresh-type-ok.json": INLINE,
    "credential-schema-type-ok.json": INLINE,
    "credential-status-ok.json": INLINE,
    "credential-termsofuse-ok.json": INLINE,
    "credential-termsofuses-ok.json": INLINE,
}
"""Labelled ok and not issued: file -> code, reason."""
NOT_IN_RDF = {
    "credential-description-language-direction-en-ok.json": ("schema_violation", "RDF has no direction of text"),
    "credential-name-language-direction-en-ok.json": ("schema_violation", "RDF has no direction of text"),
}
"""Those that the RDF suite does not sign."""
NOT_VERIFIED = {
    "credential-schemas-ok.json": ("policy_denied", "schemas that could not be checked"),
    "credential-validfrom-far-future-ok.json": ("policy_denied", "not valid before the year 4023"),
    "credential-validuntil-ms-ok.json": ("policy_denied", "ended in 2023"),
    "credential-validuntil-tz-ok.json": ("policy_denied", "ended in 2023"),
}
"""Labelled ok, issued, and not verified."""
NOT_SHOWN = {
    "presentation-context-combo2-ok.json": INLINE,
    "presentation-holder-object-ok.json": ("schema_violation", "a holder has one spelling here"),
    "presentation-multiple-vc-ok.json": ("schema_violation", "no holder: nobody who could have signed it"),
    "presentation-ok.json": ("schema_violation", "no holder"),
}
"""Presentations labelled ok that are not verified."""
UNLABELLED = {
    "presentation-self-asserted-vc-issuer-mismatch.json": 200,
    "presentation-self-asserted-vc-no-holder.json": 400,
}
"""Neither ok nor fail. Whether a credential is its holder's own is a matter of policy."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Control]:
    home = make_home(tmp_path_factory.mktemp("suite") / "acme")
    assert FOUND is not None
    file = FOUND / "contexts" / "credentials-examples-v2.jsonld"
    async with controlled(home, ControlPart(contexts={EXAMPLES: str(file)})) as control:
        yield control


@pytest.mark.parametrize("suite", ["eddsa-rdfc-2022", "eddsa-jcs-2022"])
@pytest.mark.parametrize("path", labelled(CREDENTIALS, "ok"), ids=lambda path: path.name)
async def test_credentials_labelled_ok_are_issued_and_verified(api: Control, path: Path, suite: str) -> None:
    excepted = NOT_ISSUED | (NOT_IN_RDF if "rdfc" in suite else {})
    body = {"credential": completed(path, api.organisation), "options": {"cryptosuite": suite}}
    heard = await api.post("/credentials/issue", body)
    assert (heard.status, heard.code) == ((400, excepted[path.name][0]) if path.name in excepted else (201, ""))
    if heard.status == 201:
        code = NOT_VERIFIED.get(path.name, ("",))[0]
        heard = await api.verify(heard.body["verifiableCredential"])
        assert (heard.status, heard.code) == (400 if code else 200, code)


@pytest.mark.parametrize("path", labelled(CREDENTIALS, "fail"), ids=lambda path: path.name)
async def test_credentials_labelled_fail_are_not_issued(api: Control, path: Path) -> None:
    for suite in ("eddsa-rdfc-2022", "eddsa-jcs-2022"):
        body = {"credential": completed(path, api.organisation), "options": {"cryptosuite": suite}}
        assert (await api.post("/credentials/issue", body)).status == 400


def issued(credential: dict[str, Any], now: str) -> dict[str, Any]:
    by = ALICE if credential["issuer"] == "did:example:alice" else SUITE
    return by.prove(credential | {"issuer": by.did}, credential_config("eddsa-jcs-2022", by.method, now))


def presented(path: Path, now: str) -> dict[str, Any]:
    """The input as the suite signs it, holder and issuer itself; but what is of Alice is signed by Alice."""
    document = json.loads(path.read_text())
    of = document.get("holder")
    if isinstance(of, str) and of.startswith("did:"):
        document["holder"] = SUITE.did
    elif isinstance(of, dict) and of["id"].startswith("did:"):
        document["holder"] = {"id": SUITE.did}
    config = credential_config("eddsa-jcs-2022", SUITE.method, now)
    if "verifiableCredential" in document:
        document["verifiableCredential"] = [
            issued(one, now) if isinstance(one, dict) and "issuer" in one else one
            for one in document["verifiableCredential"]
        ]
    return SUITE.prove(document, config | {"proofPurpose": "authentication", "challenge": "of the suite"})


@pytest.mark.parametrize("path", PRESENTATIONS, ids=lambda path: path.name)
async def test_presentations(api: Control, path: Path) -> None:
    """As labelled; what is refused for its holder alone is refused with one, too, if it is labelled fail."""
    shown = presented(path, api.peer.clock.now())
    heard = await api.post("/presentations/verify", {"verifiablePresentation": shown, "options": {"checks": []}})
    if path.name in NOT_SHOWN:
        assert (heard.status, heard.code) == (400, NOT_SHOWN[path.name][0])
    elif path.name in UNLABELLED:
        assert heard.status == UNLABELLED[path.name]
    else:
        assert heard.status == (200 if path.name.endswith("-ok.json") else 400)


async def test_every_exception_is_an_input(conformance: Path) -> None:
    assert len(list((conformance / "vc-data-model-2.0" / "input").rglob("*.json"))) == len(INPUTS) == 80
    ok = {path.name for path in labelled(INPUTS, "ok")}
    assert {*NOT_ISSUED, *NOT_IN_RDF, *NOT_VERIFIED, *NOT_SHOWN} <= ok
    assert set(UNLABELLED) <= {path.name for path in INPUTS} - ok
