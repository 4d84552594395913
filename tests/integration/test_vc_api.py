"""The VC API of a running daemon, over its control listener: what is answered, and what is refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from control_world import CREDENTIALS, ENTRY, SUBJECT, Control, controlled, make_home
from parties import P256_ORDER, Party
from support import refuses
from undersigned.credentials import (
    credential_config,
    credential_jwt,
    enveloped_credential,
    enveloped_presentation,
    presentation_jwt,
    read_credential,
    read_presentation,
    status_entries,
    verify_shown,
)
from undersigned.daemon import Peer
from undersigned.daemon.vc_api import VcApi
from undersigned.encoding import JsonObject, multibase_decode, multibase_encode, shift
from undersigned.errors import ConfigurationError, CredentialError, FormatError, LedgerUnavailable, ProofError
from undersigned.jsonld import CONTEXTS
from undersigned.proof import attach, prepare, proof_config
from undersigned.runtime import ControlPart, Home, rotate_organisation_key

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

OTHERS = [
    ("Ed25519", "eddsa-jcs-2022"),
    ("Ed25519", "eddsa-rdfc-2022"),
    ("P-256", "ecdsa-jcs-2019"),
    ("P-384", "ecdsa-rdfc-2019"),
]
CHALLENGE, DOMAIN = "08cf4ce0-2bd0-11ee-8622-83054936f200", "suite.example"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Control]:
    """A daemon whose organisation has an Ed25519 key, and whose agent a P-256 key."""
    async with controlled(make_home(tmp_path_factory.mktemp("api") / "acme", kind="P-256")) as control:
        yield control


def of(party: Party, **more: Any) -> JsonObject:
    """An unsigned credential of somebody else."""
    return {
        "@context": [CREDENTIALS],
        "type": ["VerifiableCredential"],
        "issuer": party.did,
        "credentialSubject": {"id": SUBJECT, "name": "Example"},
        **more,
    }


def presentation(party: Party, *credentials: JsonObject) -> JsonObject:
    return {
        "@context": [CREDENTIALS],
        "type": ["VerifiablePresentation"],
        "holder": party.did,
        "verifiableCredential": list(credentials),
    }


# ---------------------------------------------------------------------- issuing


@pytest.mark.parametrize(
    ("who", "suite"),
    [
        ("organisation", "eddsa-jcs-2022"),
        ("organisation", "eddsa-rdfc-2022"),
        ("agent", "ecdsa-jcs-2019"),
        ("agent", "ecdsa-rdfc-2019"),
    ],
)
async def test_what_is_issued_verifies(api: Control, who: str, suite: str) -> None:
    """HIRE-VCA-02: until one thing about it is changed."""
    issuer = api.organisation if who == "organisation" else api.peer.own.id
    signed = await api.issue(api.unsigned(id=f"urn:example:{suite}", issuer=issuer), cryptosuite=suite)
    proof = signed["proof"]
    assert (proof["type"], proof["cryptosuite"], proof["proofPurpose"]) == (
        "DataIntegrityProof",
        suite,
        "assertionMethod",
    )
    assert proof["verificationMethod"].partition("#")[0] == signed["issuer"] == issuer
    assert (await api.verify(signed))[::2] == (200, {"verified": True, "problemDetails": []})

    tampered = signed | {"credentialSubject": {"id": SUBJECT, "name": "Somebody"}}
    heard = await api.verify(tampered)
    assert (heard.status, heard.body["verified"], heard.code) == (400, False, "proof_invalid")
    assert heard.body["problemDetails"][0]["type"] == "https://w3id.org/security#PROOF_VERIFICATION_ERROR"
    heard = await api.verify({name: value for name, value in signed.items() if name != "proof"})
    assert (heard.status, heard.code) == (400, "proof_missing")


async def test_the_suite_is_that_of_the_key_unless_it_is_said(api: Control) -> None:
    assert (await api.issue(api.unsigned()))["proof"]["cryptosuite"] == "eddsa-jcs-2022"
    assert (await api.issue(api.unsigned(issuer=api.peer.own.id)))["proof"]["cryptosuite"] == "ecdsa-jcs-2019"
    for suite in ("ecdsa-jcs-2019", "eddsa-2020"):
        body = {"credential": api.unsigned(), "options": {"cryptosuite": suite}}
        assert (await api.post("/credentials/issue", body)).code == "suite_not_allowed"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"issuer": "did:web:somebody.example"}, "schema_violation"),
        ({"issuer": {"id": "https://university.example/1", "name": "X"}}, "schema_violation"),
        ({"proof": {"type": "DataIntegrityProof"}}, "schema_violation"),
        ({"credentialStatus": ENTRY}, "schema_violation"),
        ({"type": ["VerifiableCredential", "BitstringStatusListCredential"]}, "schema_violation"),
        (
            {
                "type": [
                    "VerifiableCredential",
                    "https://www.w3.org/ns/credentials/status#BitstringStatusListCredential",
                ]
            },
            "schema_violation",
        ),
        (
            {
                "credentialSubject": {
                    "type": "BitstringStatusList",
                    "statusPurpose": "revocation",
                    "encodedList": "uH4s",
                }
            },
            "schema_violation",
        ),
        ({"type": ["VerifiableCredential", "MembershipCredential"]}, "unknown_term"),
        ({"@context": [CREDENTIALS, "https://context.example/v1"]}, "context_not_allowed"),
        ({"@context": [CREDENTIALS, {"name": "https://context.example/name"}]}, "context_not_allowed"),
        ({"credentialSubject": {}}, "schema_violation"),
        ({"validFrom": "2030-01-01T00:00:00Z", "validUntil": "2029-01-01T00:00:00Z"}, "schema_violation"),
        ({"type": "EnvelopedVerifiableCredential"}, "schema_violation"),
    ],
)
async def test_what_is_not_issued(api: Control, change: JsonObject, code: str) -> None:
    """HIRE-VCA-01, HIRE-VCA-05."""
    heard = await api.post("/credentials/issue", {"credential": api.unsigned(**change), "options": {}})
    assert (heard.status, heard.code, heard.headers["Content-Type"]) == (400, code, "application/problem+json")
    assert (await api.post("/credentials/issue", {"credential": api.unsigned()})).status == 201


async def test_a_term_that_no_context_defines_is_not_signed_as_rdf(api: Control) -> None:
    """It would fall outside of what the proof covers."""
    entry = {"type": "BitstringStatusListEntry", "statusListIndex": True, "statusListCredential": "https://example.com"}
    for change in ({"statusEntry": entry}, {"credentialSubject": {"id": SUBJECT, "undefinedTerm": "x"}}):
        body = {"credential": api.unsigned(**change), "options": {"cryptosuite": "eddsa-rdfc-2022"}}
        heard = await api.post("/credentials/issue", body)
        assert (heard.status, heard.code) == (400, "unknown_term")


# ---------------------------------------------------------------------- status


async def test_a_withdrawn_credential_is_not_verified(api: Control) -> None:
    """HIRE-VCA-04: neither what was issued first under its id nor what was issued again; and nothing more is issued."""
    unsigned = api.unsigned(id="urn:example:withdrawn")
    first = await api.issue(unsigned)
    again = await api.issue(unsigned | {"credentialSubject": {"id": SUBJECT, "name": "Renewed"}})
    assert first["credentialStatus"] == again["credentialStatus"]
    assert first["proof"] != again["proof"]
    for one in (first, again):
        assert (await api.verify(one)).status == 200
    heard = await api.post("/credentials/status", {"credentialId": unsigned["id"], "credentialStatus": ENTRY})
    assert (heard.status, heard.body["status"]) == (200, True)
    for one in (first, again):
        heard = await api.verify(one)
        assert (heard.status, heard.body["verified"], heard.code) == (400, False, "revoked")
    heard = await api.post("/credentials/issue", {"credential": unsigned})
    assert (heard.status, heard.code) == (400, "revoked")
    assert (await api.verify(await api.issue(api.unsigned(id="urn:example:another")))).status == 200


async def test_a_credential_without_any_id_is_withdrawn_by_the_one_in_the_answer(api: Control) -> None:
    unsigned = api.unsigned()
    assert "credentialId" not in (await api.post("/credentials/issue", {"credential": unsigned})).body
    del unsigned["id"]
    made = (await api.post("/credentials/issue", {"credential": unsigned})).body
    assert made["credentialId"].startswith("urn:uuid:")
    entry = status_entries(read_credential(made["verifiableCredential"]))[0]
    place = {"statusListCredential": entry.url, "statusListIndex": str(entry.index)}
    body = {"credentialId": made["credentialId"], "status": True, "credentialStatus": ENTRY | place}
    assert (await api.post("/credentials/status", body)).status == 200
    assert (await api.verify(made["verifiableCredential"])).code == "revoked"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\n\x1b[31m", "", "urn:example:a\n", "no url", "urn:" + "x" * 2001]
)
async def test_a_name_to_withdraw_by_is_a_url(api: Control, name: str) -> None:
    """It is shown to people and looked up again, like the id of a credential."""
    unsigned = api.unsigned()
    del unsigned["id"]
    asked = {"credential": unsigned, "options": {"credentialId": name}}
    assert (await api.post("/credentials/issue", asked)).status == 400


async def test_a_credential_without_id_is_withdrawn_by_the_one_it_was_given(api: Control) -> None:
    unsigned = api.unsigned()
    del unsigned["id"]
    signed = await api.issue(unsigned, credentialId="urn:example:given")
    assert "id" not in signed
    other = await api.issue(unsigned, credentialId="urn:example:other")
    entry = status_entries(read_credential(signed))[0]
    place = {"statusListCredential": entry.url, "statusListIndex": str(entry.index)}
    wrong = {"statusListCredential": entry.url, "statusListIndex": str(entry.index + 1)}
    body = {"credentialId": "urn:example:given", "status": True}
    assert (await api.post("/credentials/status", body | {"credentialStatus": ENTRY | wrong})).status == 400
    assert (await api.verify(signed)).status == 200
    assert (await api.post("/credentials/status", body | {"credentialStatus": ENTRY | place})).status == 200
    assert (await api.verify(signed)).code == "revoked"
    assert (await api.verify(other)).status == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"credentialId": "urn:example:nobody-issued-this"}, 404),
        ({"status": False}, 400),
        ({"credentialStatus": ENTRY | {"statusPurpose": "suspension"}}, 400),
        ({"credentialStatus": {"type": "BitstringStatusListEntry"}}, 400),
        ({"credentialStatus": ENTRY | {"type": "StatusList2021Entry"}}, 400),
        ({"credentialStatus": ENTRY | {"statusListCredential": "https://another.example/1"}}, 400),
        ({"until": "2030-01-01T00:00:00Z"}, 400),
        ({"credentialId": 7}, 400),
    ],
)
async def test_what_status_is_not_set(api: Control, change: JsonObject, status: int) -> None:
    """HIRE-VCA-04."""
    signed = await api.issue(api.unsigned(id="urn:example:stays"))
    body = {"credentialId": signed["id"], "credentialStatus": ENTRY} | change
    assert (await api.post("/credentials/status", body)).status == status
    assert (await api.verify(signed)).status == 200


async def test_who_has_no_domain_gives_no_status(tmp_path: Path) -> None:
    """HIRE-VCA-04: so nothing of it is withdrawn (decision 0132)."""
    async with controlled(make_home(tmp_path / "acme", local=False)) as api:
        assert api.organisation.startswith("did:key:")
        signed = await api.issue(api.unsigned(), cryptosuite="eddsa-rdfc-2022")
        assert "credentialStatus" not in signed
        assert (await api.verify(signed)).status == 200
        body = {"credentialId": signed["id"], "credentialStatus": ENTRY}
        assert (await api.post("/credentials/status", body)).status == 400
        register = api.peer.home.register()
        (written,) = register.issued()
        register.close()
        assert json.loads(written.raw) == signed


async def test_who_has_no_organisation_issues_in_its_own_name_alone(api: Control) -> None:
    """HIRE-VCA-04, HIRE-VCA-05."""
    routes = VcApi(api.peer, None, CONTEXTS).routes
    issue, status = routes["POST", "/credentials/issue"], routes["POST", "/credentials/status"]
    own = api.unsigned(issuer=api.peer.own.id)
    assert (await issue({"credential": own})).status == 201
    with refuses(CredentialError, "schema_violation"):
        await issue({"credential": api.unsigned()})
    with refuses(ConfigurationError, "not_found"):
        await status({"credentialId": own["id"], "credentialStatus": ENTRY})


# ---------------------------------------------------------------------- verifying others' credentials


@pytest.mark.parametrize(("kind", "suite"), OTHERS)
async def test_credentials_of_others_are_verified(api: Control, kind: str, suite: str) -> None:
    party, now = Party("somebody", kind), api.peer.clock.now()
    config = credential_config(suite, party.method, now)
    signed = party.prove(of(party), config)
    assert (await api.verify(signed)).status == 200
    assert (await api.verify(signed | {"issuer": Party("somebody else", kind).did})).code == "key_not_authorized"
    assert (await api.verify(party.prove(of(party, validUntil=shift(now, -60)), config))).code == "policy_denied"
    foreign = party.prove(of(party), config | {"verificationMethod": "did:example:nobody#key"})
    assert (await api.verify(foreign)).status == 400


async def test_what_an_issuer_signed_by_a_new_key_is_verified(tmp_path: Path) -> None:
    """HIRE-KEY-10: a credential, and one that is shown; its document was looked up just before."""
    home, holder = make_home(tmp_path / "globex"), Party("holder")
    options = {"challenge": CHALLENGE, "domain": DOMAIN}
    async with controlled(make_home(tmp_path / "acme")) as api:
        for first in ("credentials", "presentations", "credentials"):
            async with Peer.open(Home(home.path)) as issuer:
                organisation, now, key = issuer.organisation, api.peer.clock.now(), issuer.home.key("organisation")
                assert organisation is not None
                unsigned = of(holder, issuer=organisation.id)
                config = credential_config("eddsa-jcs-2022", organisation.methods("assertionMethod")[0], now)
                signed = attach(unsigned, config, key.sign_now(prepare(unsigned, config, "Ed25519")))
                config = proof_config("eddsa-jcs-2022", holder.method, "authentication", now, **options)
                shown = {
                    "verifiablePresentation": holder.prove(presentation(holder, signed), config),
                    "options": options,
                }
                bodies = {"credentials": {"verifiableCredential": signed, "options": {}}, "presentations": shown}
                for path in sorted(bodies, key=lambda one, first=first: one != first):
                    heard = await api.post(f"/{path}/verify", bodies[path])
                    assert heard.status == 200, heard
            rotate_organisation_key(home)


async def test_an_enveloped_credential_is_verified(api: Control) -> None:
    party = Party("somebody", "P-256")
    draft = credential_jwt(of(party), party.method, "P-256", api.peer.clock.now())
    jwt = draft.signed(party.sign(draft.to_sign))
    assert (await api.verify(enveloped_credential(jwt))).status == 200
    head, payload, signature = jwt.split(".")
    changed = ("A" if signature[0] != "A" else "B") + signature[1:]
    assert (await api.verify(enveloped_credential(f"{head}.{payload}.{changed}"))).code == "proof_invalid"
    heard = await api.post("/credentials/issue", {"credential": enveloped_credential(jwt)})
    assert (heard.status, heard.code) == (400, "schema_violation")


async def test_a_failure_of_ours_is_no_verdict(api: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-VCA-02: a store that does not answer says nothing against a credential."""
    signed = await api.issue(api.unsigned())

    async def lists(*_: Any, **__: Any) -> Any:
        raise LedgerUnavailable("store_unavailable", "the disk is gone")

    with monkeypatch.context() as broken:
        broken.setattr(api.peer.statuses, "lists", lists)
        heard = await api.verify(signed)
    assert (heard.status, heard.code, "verified" in heard.body) == (500, "store_unavailable", False)
    assert "disk" not in json.dumps(heard.body)


async def test_status_that_cannot_be_looked_up_is_not_verified(api: Control) -> None:
    """HIRE-VCA-02: its list is at an address that is not dialled, and at one where nobody is."""
    party = Party("somebody")
    for url in ("https://10.0.0.1/status/1", "http://localhost:1/1"):
        entry = ENTRY | {"id": f"{url}#7", "statusListIndex": "7", "statusListCredential": url}
        config = credential_config("eddsa-jcs-2022", party.method, api.peer.clock.now())
        heard = await api.verify(party.prove(of(party, credentialStatus=entry), config))
        assert (heard.status, heard.code) == (400, "status_unavailable")
        assert "10.0.0.1" not in json.dumps(heard.body)


@pytest.mark.parametrize(
    "options",
    [{"checks": "proof"}, {"skip": ["proof"]}, {"challenge": "x"}, {"checks": ["proof"], "domain": "d"}, None, []],
)
async def test_options_take_no_check_away(api: Control, options: Any) -> None:
    """HIRE-VCA-02: an expired credential is not verified by asking for its proof alone."""
    party, now = Party("somebody"), api.peer.clock.now()
    config = credential_config("eddsa-jcs-2022", party.method, now)
    expired = party.prove(of(party, validUntil=shift(now, -1)), config)
    body = {"verifiableCredential": expired, "options": {"checks": ["proof"]}}
    heard = await api.post("/credentials/verify", body)
    assert heard.code == "policy_denied"
    (told,) = heard.body["problemDetails"]
    assert told["type"] == "https://w3id.org/hire/v1/errors/policy_denied", "no standard has a name for it"
    good = party.prove(of(party), config)
    heard = await api.post("/credentials/verify", {"verifiableCredential": good, "options": options})
    assert (heard.status, heard.headers["Content-Type"]) == (400, "application/problem+json")


# ---------------------------------------------------------------------- presentations


@pytest.mark.parametrize("suite", ["ecdsa-jcs-2019", "ecdsa-rdfc-2019"])
async def test_what_the_agent_presents_verifies(api: Control, suite: str) -> None:
    credential = await api.issue(api.unsigned(id="urn:example:shown"))
    unsigned = {"@context": [CREDENTIALS], "type": ["VerifiablePresentation"], "verifiableCredential": [credential]}
    options = {"cryptosuite": suite, "challenge": CHALLENGE, "domain": DOMAIN}
    heard = await api.post("/presentations/prove", {"presentation": unsigned, "options": options})
    assert heard.status == 201
    made = heard.body["verifiablePresentation"]
    assert made["holder"] == api.peer.own.id
    assert made["proof"] | options == made["proof"]

    async def verdict(shown: JsonObject, **asked: str) -> str:
        heard = await api.post("/presentations/verify", {"verifiablePresentation": shown, "options": asked})
        assert heard.status == (200 if heard.body["verified"] else 400)
        return heard.code or "verified"

    assert await verdict(made, challenge=CHALLENGE, domain=DOMAIN) == "verified"
    assert await verdict(made) == "verified"
    assert await verdict(made, challenge="another") == "challenge_mismatch"
    assert await verdict(made, challenge=CHALLENGE, domain="other.example") == "challenge_mismatch"
    assert await verdict(made | {"holder": Party("thief").did}) == "key_not_authorized"
    without = {name: value for name, value in made.items() if name != "verifiableCredential"}
    assert await verdict(without) == "proof_invalid"
    credential["credentialSubject"]["name"] = "Somebody"
    assert await verdict(made | {"verifiableCredential": [credential]}) == "proof_invalid"
    assert await verdict(unsigned | {"holder": api.peer.own.id}) == "proof_missing"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"engagement": "urn:hire:engagement:uEiAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, "schema_violation"),
        ({"holder": "did:web:somebody.example"}, "holder_mismatch"),
        ({"proof": {}}, "schema_violation"),
        ({"type": ["VerifiablePresentation", "Other"]}, "schema_violation"),
        ({"@context": [CREDENTIALS, "https://context.example/v1"]}, "context_not_allowed"),
        ({"verifiableCredential": ["text"]}, "schema_violation"),
    ],
)
async def test_what_is_not_presented(api: Control, change: JsonObject, code: str) -> None:
    """HIRE-VCA-03, HIRE-VCA-05."""
    unsigned = {"@context": [CREDENTIALS], "type": ["VerifiablePresentation"]}
    heard = await api.post("/presentations/prove", {"presentation": unsigned | change})
    assert (heard.status, heard.code) == (400, code)
    assert (await api.post("/presentations/prove", {"presentation": unsigned})).status == 201
    holder, now = Party("holder"), api.peer.clock.now()
    names_us = presentation(holder) | {"holder": api.peer.identity.did}
    draft = presentation_jwt(names_us, holder.method, "Ed25519", now, challenge=CHALLENGE, domain=DOMAIN)
    sealed = enveloped_presentation(draft.signed(holder.sign(draft.to_sign)))
    assert (await api.post("/presentations/prove", {"presentation": sealed})).code == "unknown_term"


async def test_presentations_of_others_are_verified(api: Control) -> None:
    """With a withdrawn credential in it, it is not."""
    holder, issuer, now = Party("holder"), Party("somebody", "P-384"), api.peer.clock.now()
    theirs = issuer.prove(of(issuer), credential_config("ecdsa-rdfc-2019", issuer.method, now))
    ours = await api.issue(api.unsigned(id="urn:example:in-a-presentation"))
    config = proof_config("eddsa-rdfc-2022", holder.method, "authentication", now, challenge=CHALLENGE, domain=DOMAIN)
    made = holder.prove(presentation(holder, theirs, ours), config)
    body = {"verifiablePresentation": made, "options": {"challenge": CHALLENGE, "domain": DOMAIN, "checks": ["proof"]}}
    assert (await api.post("/presentations/verify", body)).status == 200
    heard = await api.post("/presentations/verify", body | {"options": {"challenge": "another"}})
    assert heard.code == "challenge_mismatch"
    assert heard.body["problemDetails"][0]["type"] == "https://w3id.org/security#INVALID_CHALLENGE_ERROR"
    number = holder.prove(presentation(holder, theirs), {**config, "challenge": 7})
    heard = await api.post("/presentations/verify", {"verifiablePresentation": number})
    assert (heard.status, heard.code) == (400, "schema_violation")
    heard = await api.post("/presentations/verify", {"verifiablePresentation": made | {"proof": ["text"]}})
    assert (heard.status, heard.body["verified"]) == (400, False)
    assert (
        await api.post("/credentials/status", {"credentialId": ours["id"], "credentialStatus": ENTRY})
    ).status == 200
    assert (await api.post("/presentations/verify", body)).code == "revoked"


async def test_either_value_of_s_is_taken_from_others(api: Control) -> None:
    """Other implementations write whichever comes; between peers it is the lower one."""
    holder = Party("holder", "P-256")
    config = proof_config("ecdsa-jcs-2019", holder.method, "authentication", api.peer.clock.now())
    made = holder.prove(presentation(holder), config)
    signature = multibase_decode(made["proof"]["proofValue"], allowed="z")
    high = signature[:32] + (P256_ORDER - int.from_bytes(signature[32:])).to_bytes(32)
    other = made | {"proof": made["proof"] | {"proofValue": multibase_encode("z", high)}}
    for shown in (made, other):
        assert (await api.post("/presentations/verify", {"verifiablePresentation": shown})).status == 200
    read, documents = read_presentation(other), {holder.did: holder.document}
    with pytest.raises(ProofError):
        verify_shown(read, challenge=None, domain=None, documents=documents, now=api.peer.clock.now())


async def test_an_enveloped_presentation_is_verified(api: Control) -> None:
    holder, now = Party("holder"), api.peer.clock.now()
    draft = presentation_jwt(presentation(holder), holder.method, "Ed25519", now, challenge=CHALLENGE, domain=DOMAIN)
    shown = enveloped_presentation(draft.signed(holder.sign(draft.to_sign)))
    number: Any = 7
    draft = presentation_jwt(presentation(holder), holder.method, "Ed25519", now, challenge=number, domain=DOMAIN)
    other = {"verifiablePresentation": enveloped_presentation(draft.signed(holder.sign(draft.to_sign)))}
    assert (await api.post("/presentations/verify", other)).code == "schema_violation"
    for options, status in (({}, 200), ({"challenge": CHALLENGE, "domain": DOMAIN}, 200), ({"domain": "other"}, 400)):
        body = {"verifiablePresentation": shown, "options": options}
        assert (await api.post("/presentations/verify", body)).status == status


# ---------------------------------------------------------------------- contexts


async def test_contexts_of_others_are_those_that_the_operator_names(tmp_path: Path) -> None:
    """HIRE-VCA-05: on this API, and not where peers show credentials."""
    home = make_home(tmp_path / "acme")
    iri = "https://context.example/v1"
    (home.path / "example.jsonld").write_text(
        json.dumps({"@context": {"alumniOf": "https://context.example#alumniOf"}})
    )
    with (home.path / "undersigned.toml").open("a") as file:
        file.write(f'\n[control]\n[control.contexts]\n"{iri}" = "example.jsonld"\n')
    async with controlled(Home(home.path)) as api:
        subject = {"id": SUBJECT, "alumniOf": "Example University"}
        for suite in ("eddsa-rdfc-2022", "eddsa-jcs-2022"):
            unsigned = api.unsigned(**{"@context": [CREDENTIALS, iri], "credentialSubject": subject})
            signed = await api.issue(unsigned, cryptosuite=suite)
            assert (await api.verify(signed)).status == 200
            changed = signed | {"credentialSubject": subject | {"alumniOf": "Another"}}
            assert (await api.verify(changed)).code == "proof_invalid"
            other = signed | {"@context": [CREDENTIALS, "https://context.example/v2"]}
            assert (await api.verify(other)).code == "context_not_allowed"
            with refuses(FormatError, "context_not_allowed"):
                read_credential(signed)
            shown = {"@context": [CREDENTIALS, iri], "type": "VerifiablePresentation", "verifiableCredential": [signed]}
            asked = {"presentation": shown, "options": {"cryptosuite": suite}}
            proved = (await api.post("/presentations/prove", asked)).body
            assert (await api.post("/presentations/verify", proved)).status == 200


@pytest.mark.parametrize(
    ("iri", "text"),
    [
        (CREDENTIALS, '{"@context": {}}'),
        ("https://w3id.org/hire/v1", '{"@context": {}}'),
        ("not a url", '{"@context": {}}'),
        ("https://context.example/v1", "[]"),
        ("https://context.example/v1", "{"),
        ("https://context.example/v1", None),
    ],
)
async def test_a_context_that_is_none_is_noticed_at_once(tmp_path: Path, iri: str, text: str | None) -> None:
    """HIRE-VCA-05: and a bundled one is never replaced."""
    home = make_home(tmp_path / "acme")
    if text is not None:
        (home.path / "own.jsonld").write_text(text)
    with refuses(ConfigurationError, "bad_configuration"):
        async with controlled(home, ControlPart(contexts={iri: "own.jsonld"})):
            raise AssertionError("it started")
