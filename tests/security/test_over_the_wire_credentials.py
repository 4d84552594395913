"""Credentials and presentations, with proofs and as JWTs, shown to a running peer: what it takes, and what it refuses.

What is refused leaves no trace, and the hire goes on as if nothing had been; see `refused` and `hiring_at`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from security.wire_attacker import Attacker, Hiring, Line, hiring_at, quiet_logs, refused, vouched
from security.wire_world import GUILD, World, world_in
from undersigned.credentials import (
    AccreditedBy,
    Endorsement,
    claim_credential,
    credential_config,
    enveloped_credential,
    membership,
    schema_id,
    status_entry,
)
from undersigned.encoding import (
    Instant,
    JsonObject,
    base64url_decode,
    base64url_encode,
    canonicalize,
    digest_bytes,
    shift,
)
from undersigned.messages import Withdraw
from undersigned.proof import attach, prepare
from undersigned.runtime import PrivateKey
from undersigned.runtime.negotiation import meeting

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

LEDGER = "memory://"
NEVER = digest_bytes(b"nothing that was ever said")
FIRST = "/presentation/verifiableCredential/0"
FORMS = ("eddsa-jcs-2022", "eddsa-rdfc-2022", "jwt")


def showing(hiring: Hiring, *credentials: JsonObject, **options: Any) -> bytes:
    """The next move with another presentation than the honest one."""
    return hiring.next_message(presentation=hiring.who.shown(hiring.party, credentials=credentials, **options)).raw


def endorsed_by(who: Attacker, of: str, now: Instant, suite: str, **more: Any) -> JsonObject:
    """An endorsement by one who is no anchor, which is verified all the same, with these members beside."""
    document = claim_credential(
        Endorsement(id=of, capability="summary", weight="0.5"),
        id=who.message_id(),
        issuer=who.did,
        valid_from=shift(now, -60),
        valid_until=shift(now, 86_400),
    )
    document |= more
    config = credential_config(suite, who.method, now)
    return attach(document, config, who.key.sign_now(prepare(document, config, who.kind)))


def edited(jwt: str, **changes: Any) -> str:
    """The same signature under another payload."""
    head, body, signature = jwt.split(".")
    payload = json.loads(base64url_decode(body)) | changes
    return f"{head}.{base64url_encode(canonicalize(payload))}.{signature}"


def text_of(envelope: JsonObject) -> str:
    return str(envelope["id"]).partition(",")[2]


# --- what is taken --------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ec_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A world of parties with P-256 keys, who have suites in common with those of P-384."""
    async with world_in(tmp_path_factory.mktemp("ec"), ledger=LEDGER, kind="P-256") as opened:
        yield opened


@pytest.mark.parametrize("shown", [{}, {"suite": "eddsa-rdfc-2022"}, {"jwt": True}], ids=repr)
async def test_every_form_of_credential_and_presentation_is_taken(world: World, shown: dict[str, Any]) -> None:
    """HIRE-VC-01, HIRE-JWT-09: it ends in a contract, so each of them was verified and believed."""
    await taken(world, "Ed25519", shown)


@pytest.mark.parametrize("kind", ["P-256", "P-384"])
@pytest.mark.parametrize("shown", [{}, {"suite": "ecdsa-rdfc-2019"}, {"jwt": True}], ids=repr)
async def test_every_form_is_taken_of_holders_on_curves(ec_world: World, kind: str, shown: dict[str, Any]) -> None:
    """HIRE-VC-01, HIRE-JWT-09."""
    await taken(ec_world, kind, shown)


async def taken(world: World, kind: str, shown: dict[str, Any]) -> None:
    async with hiring_at(world, "profiled", kind=kind) as hiring:
        now, who = world.clock.now(), hiring.who
        others = [
            endorsed_by(Attacker(f"endorser {of}", kind=of), who.did, now, suite)
            for of, suite in (
                ("P-256", "ecdsa-jcs-2019"),
                ("P-256", "ecdsa-rdfc-2019"),
                ("P-384", "ecdsa-jcs-2019"),
                ("P-384", "ecdsa-rdfc-2019"),
            )
        ]
        members = [who.member(now, suite=form) for form in FORMS]
        await hiring.said(showing(hiring, *members, *others, **shown))
        await hiring.hear("Presentation")
        assert hiring.state == "ready"


# --- SC-26 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
async def test_sc_26_one_spelling_of_each_member_of_a_credential(world: World, form: str) -> None:
    """HIRE-VC-03, HIRE-VC-04: signed by its issuer in another spelling."""
    async with hiring_at(world, "profiled") as hiring:
        now, who = world.clock.now(), hiring.who
        unsigned = membership(
            id=who.message_id(),
            organisation=GUILD.did,
            agent=who.did,
            valid_from=shift(now, -60),
            valid_until=shift(now, 86_400),
        )
        for value in ({"id": GUILD.did}, [GUILD.did, "did:example:other"], "Acme"):
            subject = {"id": who.did, "memberOf": value}
            if form == "eddsa-rdfc-2022" and value == "Acme":
                continue  # a relative IRI has no form there
            odd = vouched(unsigned | {"credentialSubject": subject}, now, suite=form)
            await refused(hiring.line, showing(hiring, odd), "schema_violation", how="Problem")


async def test_sc_26_another_spelling_under_a_proof_that_holds(world: World) -> None:
    """HIRE-VC-06: the same graph, so the issuer's signature over it is good; the JSON is not taken."""
    async with hiring_at(world, "profiled") as hiring:
        member: dict[str, Any] = hiring.who.member(world.clock.now(), suite="eddsa-rdfc-2022")
        subject = member["credentialSubject"]
        ends = {"@value": member["validUntil"], "@type": "http://www.w3.org/2001/XMLSchema#dateTime"}
        endless = {name: value for name, value in member.items() if name != "validUntil"}
        for odd, code in (
            (member | {"credentialSubject": subject | {"memberOf": {"id": GUILD.did}}}, "schema_violation"),
            (member | {"credentialSubject": [subject]}, "schema_violation"),
            (member | {"credentialSubject": {"@id": subject["id"], "memberOf": GUILD.did}}, "unknown_term"),
            (member | {"validUntil": ends}, "unknown_term"),
            (endless | {"https://www.w3.org/2018/credentials#validUntil": ends}, "unknown_term"),
        ):
            await refused(hiring.line, showing(hiring, odd), code, how="Problem")


# --- SC-35 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
async def test_sc_35_good_outside_and_broken_inside(world: World, form: str) -> None:
    """HIRE-CRD-06."""
    async with hiring_at(world, "profiled") as hiring:
        now = world.clock.now()
        good = hiring.who.member(now, suite=form)
        later = shift(now, 10 * 86_400)
        if form == "jwt":
            broken = enveloped_credential(edited(text_of(good), validUntil=later))
        else:
            broken = good | {"validUntil": later}
        for jwt in (False, True):
            raw = showing(hiring, broken, jwt=jwt)
            await refused(hiring.line, raw, "proof_invalid", how="Problem")
            raw = showing(hiring, good, broken, jwt=jwt)
            await refused(hiring.line, raw, "proof_invalid", how="Problem")


@pytest.mark.parametrize("form", FORMS)
async def test_sc_35_broken_outside_and_good_inside(world: World, form: str) -> None:
    """HIRE-CRD-06."""
    async with hiring_at(world, "profiled") as hiring:
        who, now = hiring.who, world.clock.now()
        good = who.member(now, suite=form)
        other = who.message_id()
        with_proof = who.shown(hiring.party, credentials=(good,)) | {"id": other}
        as_jwt = who.shown(hiring.party, credentials=(good,), jwt=True)
        as_jwt["id"] = f"data:application/vp+jwt,{edited(text_of(as_jwt), id=other)}"
        for broken in (with_proof, as_jwt):
            raw = hiring.next_message(presentation=broken).raw
            await refused(hiring.line, raw, "proof_invalid", how="Problem")


# --- SC-43 ----------------------------------------------------------------------------------------------------------


async def test_sc_43_a_jwt_answers_one_move(world: World) -> None:
    """HIRE-CRD-05, HIRE-JWT-09: made for another engagement, for somebody else, or in answer to something else."""
    async with hiring_at(world, "profiled") as hiring:
        who, member = hiring.who, hiring.who.member(world.clock.now(), suite="jwt")
        other = await Hiring(hiring.line).up_to("profiled")
        for options in (
            {"challenge": NEVER},
            {"challenge": other.party.engagement.got[-1]},
            {"domain": world.acme.identity.did},
            {"domain": [world.globex.identity.did]},
        ):
            raw = showing(hiring, member, jwt=True, **options)
            await refused(hiring.line, raw, "challenge_mismatch", how="Problem", close_code=1008)
            await hiring.come_back()
        raw = hiring.next_message(presentation=who.shown(other.party, credentials=(member,), jwt=True)).raw
        await refused(hiring.line, raw, "wrong_negotiation", how="Problem")
        late = showing(hiring, member, jwt=True, expires=shift(world.clock.now(), -1))
        await refused(hiring.line, late, "proof_expired", how="Problem")


async def test_sc_43_an_answer_that_was_taken_is_none_again(world: World) -> None:
    """In another engagement of the same two, and with the challenge that is open there in the move around it."""
    async with hiring_at(world, "profiled") as hiring:
        member = hiring.who.member(world.clock.now(), suite="jwt")
        used = hiring.who.shown(hiring.party, credentials=(member,), jwt=True)
        await hiring.said(hiring.next_message(presentation=used).raw)
        await hiring.hear("Presentation")
        other = await Hiring(hiring.line).up_to("profiled")
        raw = other.next_message(presentation=used).raw
        await refused(other.line, raw, "wrong_negotiation", how="Problem")


# --- SC-64 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
async def test_sc_64_a_credential_of_somebody_else(world: World, form: str) -> None:
    """HIRE-CRD-04: without a stolen presentation, in each form."""
    async with hiring_at(world, "profiled") as hiring:
        victim = Attacker("somebody whose credential was seen")
        theirs = hiring.who.member(world.clock.now(), of=victim.did, suite=form)
        for jwt in (False, True):
            raw = showing(hiring, theirs, jwt=jwt)
            told = await refused(hiring.line, raw, "holder_mismatch", how="Problem", close_code=1008)
            assert told.path == f"{FIRST}/credentialSubject"
            await hiring.come_back()


async def test_sc_64_a_stolen_presentation(world: World) -> None:
    """HIRE-CRD-04: whole, and with the thief's name put in."""
    async with hiring_at(world, "profiled") as hiring:
        victim = Attacker("somebody whose presentation was seen")
        member = hiring.who.member(world.clock.now(), of=victim.did, suite="jwt")
        for jwt in (False, True):
            stolen = victim.shown(hiring.party, credentials=(member,), jwt=jwt)
            raw = hiring.next_message(presentation=stolen).raw
            await refused(hiring.line, raw, "holder_mismatch", how="Problem", close_code=1008)
            await hiring.come_back()
        # The victim's signature under the thief's name: the key is not the holder's.
        empty = victim.shown(hiring.party, credentials=()) | {"holder": hiring.who.did}
        raw = hiring.next_message(presentation=empty).raw
        await refused(hiring.line, raw, "key_not_authorized", how="Problem")


# --- SC-102, SC-103 -------------------------------------------------------------------------------------------------


async def test_sc_25_what_is_long_to_verify_keeps_nobody_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LIM-02. Within all limits, two credentials that are signed as a graph take half a second: beside everything
    else, and what is short does not.
    """
    verify, beside = meeting.verify_presentation, list[bool]()

    def verifying(*arguments: Any, **options: Any) -> Any:
        beside.append(threading.current_thread() is not threading.main_thread())
        return verify(*arguments, **options)

    monkeypatch.setattr(meeting, "verify_presentation", verifying)
    async with hiring_at(world, "profiled") as hiring:
        now, who = world.clock.now(), hiring.who
        names = [{"@value": f"a{number}", "@language": "en"} for number in range(1300)]
        long = endorsed_by(Attacker("endorser"), who.did, now, "eddsa-rdfc-2022", name=names)
        await hiring.said(showing(hiring, who.member(now), long))
        await hiring.hear("Presentation")
    async with hiring_at(world, "profiled") as hiring:
        await hiring.said(showing(hiring, hiring.who.member(world.clock.now())))
        await hiring.hear("Presentation")
    assert beside[0] is True
    assert beside[-1] is False


async def test_sc_102_a_flood_of_credentials(world: World) -> None:
    """HIRE-CRD-03: none of their proofs holds, and that is not what is found: nothing was verified."""
    async with hiring_at(world, "profiled") as hiring:
        now = world.clock.now()
        member = hiring.who.member(now) | {"validFrom": shift(now, -120)}
        tiny = enveloped_credential("e30.e30.AA")
        for jwt in (False, True):
            for credentials in ((member,) * 17, (tiny,) * (600 if jwt else 900)):
                raw = showing(hiring, *credentials, jwt=jwt)
                await refused(hiring.line, raw, "too_large", how="Problem")
        thousand = hiring.next_json()
        thousand["presentation"] = hiring.who.shown(hiring.party, credentials=(tiny,) * 1000)
        raw = canonicalize(hiring.who.signed(thousand, now))
        await refused(hiring.line, raw, "too_large", path="/presentation")


async def test_sc_102_a_credential_that_is_too_large(world: World) -> None:
    """HIRE-CRD-03, HIRE-JWT-05."""
    async with hiring_at(world, "profiled") as hiring:
        who, now = hiring.who, world.clock.now()
        large = who.member(now) | {"name": "x" * 66_000}
        await refused(hiring.line, showing(hiring, large), "too_large", how="Problem")
        head, body, signature = text_of(who.member(now, suite="jwt")).split(".")
        payload = canonicalize(json.loads(base64url_decode(body)) | {"name": "x" * 66_000})
        jwt = enveloped_credential(f"{head}.{base64url_encode(payload)}.{signature}")
        await refused(hiring.line, showing(hiring, jwt), "too_large", how="Problem")


async def test_however_long_it_is_what_was_refused_is_logged_in_short(world: World) -> None:
    """HIRE-SEC-02: a presentation of a holder with an endless name, and a credential of endless types."""
    async with hiring_at(world, "profiled") as hiring:
        who, now = hiring.who, world.clock.now()
        shown = who.shown(hiring.party, change=lambda unsigned: unsigned | {"holder": f"did:key:{'z' * 60_000}"})
        raw = hiring.next_message(presentation=shown).raw
        await refused(hiring.line, raw, "holder_mismatch", how="Problem", close_code=1008)
        await hiring.come_back()
        types = ["VerifiableCredential", *[f"T{number:0100}" for number in range(500)]]
        schema = {"id": schema_id("EndorsementCredential"), "type": "JsonSchema"}
        typed = endorsed_by(who, who.did, now, FORMS[0], type=types, credentialSchema=schema)
        await refused(hiring.line, showing(hiring, typed), "schema_violation", how="Problem")


@pytest.mark.parametrize("form", ["eddsa-jcs-2022", "jwt"])
@pytest.mark.parametrize(
    ("changes", "code", "place"),
    [
        ({"@context": []}, "context_not_allowed", "/@context"),
        ({"type": ["MembershipCredential"]}, "schema_violation", "/type"),
        ({"validFrom": "today"}, "schema_violation", "/validFrom"),
        ({"urn:x": 1}, "unknown_term", "/urn:x"),
    ],
)
async def test_of_which_credential_something_is_wrong_is_told(
    world: World, form: str, changes: JsonObject, code: str, place: str
) -> None:
    """The place is in the message, and not in one of the documents in it."""
    async with hiring_at(world, "profiled") as hiring:
        who, now = hiring.who, world.clock.now()
        wrong = vouched({**who.member(now), **changes}, now) if form != "jwt" else vouched_text(who, now, changes)
        raw = showing(hiring, who.member(now), wrong)
        await refused(hiring.line, raw, code, how="Problem", path=f"{FIRST[:-1]}1{place}")


def vouched_text(who: Attacker, now: Instant, changes: JsonObject) -> JsonObject:
    """The same as a JWT, whose signature is not looked at any more."""
    return enveloped_credential(edited(text_of(who.member(now, suite="jwt")), **changes))


async def test_sc_103_each_credential_of_another_host(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-CRD-03: more issuers than may be asked, and not one of them is."""
    asked: list[str] = []
    resolve = world.globex.gatherer.document

    async def document(did: str, *more: Any) -> Any:
        asked.append(did)
        return await resolve(did, *more)

    monkeypatch.setattr(world.globex.gatherer, "document", document)
    async with hiring_at(world, "profiled") as hiring:
        now = world.clock.now()
        hosts = [f"did:web:issuer-{number}.example" for number in range(9)]
        many = [accredited(hiring.who.did, host, now) for host in hosts]
        for jwt in (False, True):
            await refused(hiring.line, showing(hiring, *many, jwt=jwt), "too_large", how="Problem")
    assert not set(asked) & set(hosts)
    assert asked


async def test_sc_61_a_list_whose_url_is_none_is_not_had(world: World) -> None:
    """HIRE-STA-03: whoever shows such a credential is told so, as of any list that cannot be asked."""
    line = await Line.to(world, Attacker("member of a list that is nowhere"))
    hiring = await Hiring(line).up_to("profiled")
    with quiet_logs():
        await hiring.said(showing(hiring, hiring.who.member(world.clock.now(), status=status_entry("https://[/", 7))))
        withdrawal = await hiring.hear("Withdraw")
    assert isinstance(withdrawal, Withdraw)
    assert withdrawal.reason == "status_unavailable"
    await line.hang_up()


async def test_sc_103_a_chain_has_an_end(world: World) -> None:
    """A thousand delegations do not fit, and a depth that would allow as many is no credential."""
    async with hiring_at(world, "profiled") as hiring:
        now = world.clock.now()
        links = [accredited(hiring.who.did, GUILD.did, now) for _ in range(17)]
        await refused(hiring.line, showing(hiring, *links), "too_large", how="Problem")
        deep: dict[str, Any] = {
            **membership(
                id=hiring.who.message_id(),
                organisation=GUILD.did,
                agent=hiring.who.did,
                valid_from=shift(now, -60),
                valid_until=shift(now, 86_400),
            ),
            "type": ["VerifiableCredential", "AttestationAuthorityCredential"],
            "credentialSubject": {"id": hiring.who.did, "mayAttest": "summary", "depth": 1000},
        }
        for form in FORMS:
            raw = showing(hiring, vouched(deep, now, suite=form))
            told = await refused(hiring.line, raw, "schema_violation", how="Problem")
            assert told.path == f"{FIRST}/credentialSubject/depth"


def accredited(of: str, by: str, now: Instant) -> JsonObject:
    """With the proof of a key that nobody knows."""
    document = claim_credential(
        AccreditedBy(id=of, accredited_for="summary"),
        id=Attacker("a forger").message_id(),
        issuer=by,
        valid_from=shift(now, -60),
        valid_until=shift(now, 86_400),
    )
    config = credential_config("eddsa-jcs-2022", f"{by}#key", now)
    key = PrivateKey("Ed25519", bytes(32))
    return attach(document, config, key.sign_now(prepare(document, config, "Ed25519")))
