"""SC-27 to SC-36 on a running peer: proofs that are missing, borrowed, bent or too late, in messages and documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from security.wire_attacker import Attacker, Hiring, Line, Stranger, hiring_at, refused
from security.wire_world import World, world_in
from undersigned.attestation import pae
from undersigned.encoding import base58_decode, base58_encode, canonicalize, shift
from undersigned.messages import MESSAGE_TYPES
from undersigned.testing import seal, start, withdraw

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

LEDGER = "memory://"
L = 2**252 + 27742317777372353535851937790883648493
"""Order of the Ed25519 base point."""
P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

CARRIED = [("ready", "document", "4"), ("profiled", "presentation", "4"), ("offered-by-provider", "contractProof", "3")]
"""Where a move carries a proof of its own: the state before it, the member, and the price that leads there."""


def proof_in(message: dict[str, Any], member: str) -> dict[str, Any]:
    return message[member] if member == "contractProof" else message[member]["proof"]


def again(hiring: Hiring, message: dict[str, Any], **options: Any) -> bytes:
    """The message signed again, so that only what it carries is wrong."""
    return canonicalize(hiring.who.signed(message, hiring.party.now, **options))


# --- SC-27 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proof", [..., [], {}, None], ids=["none", "empty list", "empty", "null"])
async def test_sc_27_no_proof_on_a_message(world: World, proof: Any) -> None:
    async with hiring_at(world, "ready") as hiring:
        message = hiring.next_json() | {"proof": proof}
        if proof is ...:
            del message["proof"]
        await refused(hiring.line, json.dumps(message).encode(), "proof_missing", path="/proof")


@pytest.mark.parametrize("proof", [..., [], {}, None], ids=["none", "empty list", "empty", "null"])
@pytest.mark.parametrize(("state", "member", "price"), CARRIED)
async def test_sc_27_no_proof_on_what_it_carries(world: World, state: str, member: str, price: str, proof: Any) -> None:
    async with hiring_at(world, state, price) as hiring:
        message = hiring.next_json()
        place = message if member == "contractProof" else message[member]
        name = "contractProof" if member == "contractProof" else "proof"
        place[name] = proof
        if proof is ...:
            del place[name]
        raw = json.dumps(message).encode() if proof is None else again(hiring, message)
        parsed = (
            proof is None or (proof in ([], ...) and member == "contractProof") or (proof, member) == ([], "document")
        )
        await refused(hiring.line, raw, "proof_missing", how="Fault" if parsed else "Problem")


async def test_sc_27_no_proof_on_a_credential(world: World) -> None:
    async with hiring_at(world, "profiled") as hiring:
        for proof in (..., [], {}):
            member = {**hiring.who.member(hiring.party.now), "proof": proof}
            if proof is ...:
                del member["proof"]
            message = hiring.next_json(presentation=hiring.who.shown(hiring.party, credentials=(member,)))
            told = await refused(hiring.line, again(hiring, message), "proof_missing", how="Problem")
            assert told.path == "/presentation/verifiableCredential/0/proof"


# --- SC-28 ----------------------------------------------------------------------------------------------------------

SUITES_BENT: list[dict[str, Any]] = [
    {"cryptosuite": "ecdsa-jcs-2019"},
    {"cryptosuite": "eddsa-jcs-2099"},
    {"cryptosuite": "none"},
    {"cryptosuite": ...},
    {"type": "Ed25519Signature2020"},
]


def bent(proof: dict[str, Any], change: dict[str, Any]) -> None:
    for name, value in change.items():
        proof[name] = value
        if value is ...:
            del proof[name]


@pytest.mark.parametrize("change", SUITES_BENT, ids=str)
async def test_sc_28_suite_confusion(world: World, change: dict[str, Any]) -> None:
    """Another suite than the key is for, one that does not exist, none; and one that was not agreed on."""
    async with hiring_at(world, "ready") as hiring:
        message = hiring.next_json()
        bent(message["proof"], change)
        await refused(hiring.line, canonicalize(message), "suite_not_allowed")


@pytest.mark.parametrize("change", SUITES_BENT, ids=str)
@pytest.mark.parametrize(("state", "member", "price"), CARRIED)
async def test_sc_28_suite_confusion_in_what_it_carries(
    world: World, state: str, member: str, price: str, change: dict[str, Any]
) -> None:
    async with hiring_at(world, state, price) as hiring:
        message = hiring.next_json()
        bent(proof_in(message, member), change)
        await refused(hiring.line, again(hiring, message), "suite_not_allowed", how="Problem")


async def test_sc_28_a_suite_is_agreed_on_and_not_chosen_by_a_message(world: World) -> None:
    """HIRE-PRF-02: the key is right and the signature holds, by a suite that this engagement does not use."""
    async with hiring_at(world, "ready") as hiring:
        raw = again(hiring, hiring.next_json(), suite="eddsa-rdfc-2022")
        await refused(hiring.line, raw, "suite_not_allowed", path="/proof/cryptosuite")
    for state, member, price in CARRIED:
        async with hiring_at(world, state, price) as hiring:
            message = hiring.next_json()
            proof_in(message, member)["cryptosuite"] = "eddsa-rdfc-2022"
            # A presentation is shown as its holder made it; a document is signed as was agreed.
            code = "proof_invalid" if member == "presentation" else "suite_not_allowed"
            await refused(hiring.line, again(hiring, message), code, how="Problem")


# --- SC-29 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "say"), [("ready", None), ("accepted-by-provider", seal()), ("sealed", start()), ("ready", withdraw())]
)
async def test_sc_29_the_purpose_is_fixed_by_the_type(world: World, state: str, say: Any) -> None:
    """A proof that holds, made for the other purpose. Before its signature was looked at, no more is told."""
    async with hiring_at(world, state) as hiring:
        message = hiring.next_json()
        if say is not None:
            message = json.loads(hiring.who.sign(say.message(hiring.party), hiring.party.now).raw)
        right = MESSAGE_TYPES[message["type"]].purpose
        wrong = {"authentication": "assertionMethod", "assertionMethod": "authentication"}[right]
        raw = again(hiring, message, purpose=wrong)
        await refused(hiring.line, raw, "proof_invalid", logged="proof_purpose_mismatch")


async def test_sc_29_an_authentication_on_a_contract(world: World) -> None:
    async with hiring_at(world, "ready") as hiring:
        message, now = hiring.next_json(), hiring.party.now
        name = message["document"]["proof"]["id"]
        document = hiring.who.signed(message["document"], now, purpose="authentication", expires=None, id=name)
        told = await refused(
            hiring.line, again(hiring, {**message, "document": document}), "proof_purpose_mismatch", how="Problem"
        )
        assert told.path == "/document/proof/proofPurpose"
        # The proof of a presentation, pasted as it is; and as far as it can be that of a document.
        shown: Any = {**hiring.who.shown(hiring.party)["proof"], "id": name}  # type: ignore[dict-item]
        lasting = {member: value for member, value in shown.items() if member != "expires"}
        for proof, code in ((shown, "unknown_term"), (lasting, "proof_purpose_mismatch")):
            pasted = {**message["document"], "proof": proof}
            await refused(hiring.line, again(hiring, {**message, "document": pasted}), code, how="Problem")
    async with hiring_at(world, "offered-by-provider", "3") as hiring:
        message, now = hiring.next_json(), hiring.party.now
        proof = hiring.who.second(hiring.offered(), now, proofPurpose="authentication")
        raw = again(hiring, {**message, "contractProof": proof})
        await refused(hiring.line, raw, "proof_purpose_mismatch", how="Problem")


async def test_sc_27_a_document_is_signed_in_the_suite_agreed_on_and_for_good(world: World) -> None:
    """HIRE-PRF-02, HIRE-PRF-03, HIRE-CTR-07: of both proofs on a document, inside a message that is as it should be."""
    bent: list[tuple[dict[str, Any], str]] = [
        ({"suite": "eddsa-rdfc-2022"}, "suite_not_allowed"),
        ({"ahead": 61}, "proof_from_future"),
        ({"ends": 3600}, "unknown_term"),
    ]
    async with hiring_at(world, "ready") as hiring:
        message = hiring.next_json()
        name = message["document"]["proof"]["id"]
        for options, code in bent:
            now = hiring.party.now
            given = {"suite": options.get("suite", hiring.who.suite), "created": shift(now, options.get("ahead", 0))}
            ends = shift(now, options["ends"]) if "ends" in options else None
            document = hiring.who.signed(
                message["document"], now, purpose="assertionMethod", id=name, expires=ends, **given
            )
            await refused(hiring.line, again(hiring, {**message, "document": document}), code, how="Problem")
    async with hiring_at(world, "offered-by-provider", "3") as hiring:
        message = hiring.next_json()
        for options, code in bent:
            now = hiring.party.now
            given = {"cryptosuite": options["suite"]} if "suite" in options else {}
            given["created"] = shift(now, options.get("ahead", 0))
            if "ends" in options:
                given["expires"] = shift(now, options["ends"])
            proof = hiring.who.second(hiring.offered(), now, **given)
            await refused(hiring.line, again(hiring, {**message, "contractProof": proof}), code, how="Problem")


async def test_sc_29_an_assertion_shown_instead_of_an_authentication(world: World) -> None:
    async with hiring_at(world, "profiled") as hiring:
        message = hiring.next_json()
        message["presentation"] = hiring.who.signed(
            message["presentation"],
            hiring.party.now,
            purpose="assertionMethod",
            challenge=hiring.party.engagement.got[-1],
            domain=world.globex.identity.did,
        )
        await refused(hiring.line, again(hiring, message), "proof_purpose_mismatch", how="Problem")


async def test_sc_29_an_assertion_opens_no_session(world: World) -> None:
    """Nor does a credential's proof; and nothing is signed for whoever tries (rule 3)."""
    who, now = Attacker("opens with an assertion"), world.clock.now()
    member: Any = who.signed(who.member(now), now, purpose="assertionMethod")["proof"]
    del member["@context"]
    for forge in range(4):
        async with Stranger.at(world, who) as stranger:
            frame = stranger.opening()
            proof: Any = frame["proof"]
            if forge == 0:
                kept = {name: proof[name] for name in ("challenge", "domain", "expires")}
                frame = who.signed(frame, now, purpose="assertionMethod", **kept)
            elif forge == 1:
                proof["proofPurpose"] = "assertionMethod"
            elif forge == 2:
                frame["proof"] = {**member, "challenge": proof["challenge"], "domain": proof["domain"]}
            else:
                frame["proof"] = member
            assert await stranger.sends(canonicalize(frame)) == (1008, "proof_invalid")
    line = await Line.to(world, who)
    await line.hang_up()


# --- SC-30 ----------------------------------------------------------------------------------------------------------


def signatures(hiring: Hiring) -> dict[str, str]:
    """Signatures of the attacker's own key on everything else that is ever signed."""
    who, now, jcs = hiring.who, hiring.party.now, "eddsa-jcs-2022"
    message = hiring.next_json()
    challenge = {"challenge": hiring.party.engagement.got[-1], "domain": hiring.party.engagement.peer}
    bare = {name: value for name, value in message.items() if name != "proof"}
    opening = {
        "@context": message["@context"],
        "type": "Connection",
        "part": "dialer",
        "subprotocol": "hire.v1",
        "sender": who.did,
        "recipient": world_did(hiring),
        "nonce": who.nonce(),
        "versions": ["1.0"],
    }
    values = {
        "credential": who.signed(who.member(now), now, purpose="assertionMethod"),
        "presentation": who.shown(hiring.party),
        "connection": who.signed(opening, now, suite=jcs, **challenge),
        "DID document": who.signed(who.document.json, now, suite=jcs),
        "another type": who.signed({**bare, "type": "Inquiry"}, now),
        "another version": who.signed({**bare, "version": "2.0"}, now),
        "with a challenge": who.signed(bare, now, **challenge),
        "the other purpose": who.signed(bare, now, purpose="assertionMethod"),
    }
    found = {name: str(value["proof"]["proofValue"]) for name, value in values.items()}  # type: ignore[index, call-overload]
    raw = {
        "statement": pae("application/vnd.in-toto+json", canonicalize(bare)),
        "checkpoint": f"{who.did}\n1\nAAAA\n".encode(),
        "request": b'"@method": GET\n"@signature-params": ("@method");tag="hire"',
        "the bytes themselves": canonicalize(bare),
    }
    return found | {name: "z" + base58_encode(who.key.sign_now(data)) for name, data in raw.items()}


def world_did(hiring: Hiring) -> str:
    return hiring.line.world.globex.identity.did


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
@pytest.mark.parametrize(("state", "member", "price"), [("ready", "", "4"), *CARRIED])
async def test_sc_30_no_signature_fits_another_thing(
    world: World, suite: str, state: str, member: str, price: str
) -> None:
    """The whole matrix: everything that is ever signed, against a message and each thing that one carries."""
    async with hiring_at(world, state, price, suite=suite, suites=(suite,)) as hiring:
        for name, value in signatures(hiring).items():
            message = hiring.next_json()
            if member:
                proof_in(message, member)["proofValue"] = value
                await refused(hiring.line, again(hiring, message), "proof_invalid", how="Problem")
            else:
                message["proof"]["proofValue"] = value
                await refused(hiring.line, canonicalize(message), "proof_invalid")
            assert name


# --- SC-31 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("created", "expires", "code"),
    [
        (61, 600, "proof_from_future"),
        (3600, 7200, "proof_from_future"),
        (-600, -1, "proof_expired"),
        (-7200, -3600, "proof_expired"),
        (0, 86_401, "proof_expired"),
        (10, 5, "proof_invalid"),
    ],
)
async def test_sc_31_expired_and_future(world: World, created: int, expires: int, code: str) -> None:
    """One second past each limit, by a clock that is held; each with its own code, told because the proof holds."""
    async with hiring_at(world, "ready") as hiring:
        world.clock.held = now = world.clock.now()
        try:
            raw = again(hiring, hiring.next_json(), created=shift(now, created), expires=shift(now, expires))
            await refused(hiring.line, raw, code)
        finally:
            world.clock.held = None


@pytest.mark.parametrize(("created", "expires"), [(60, 600), (59, 600), (-600, 0), (-600, 1), (0, 86_400)])
async def test_sc_31_at_its_edges_a_proof_is_good(world: World, created: int, expires: int) -> None:
    async with hiring_at(world, "ready") as hiring:
        world.clock.held = now = world.clock.now()
        try:
            message = json.loads(
                again(hiring, hiring.next_json(), created=shift(now, created), expires=shift(now, expires))
            )
            await hiring.said(canonicalize(message))
            await hiring.hear("Acceptance")
        finally:
            world.clock.held = None


@pytest.mark.parametrize(
    "time", ["2026-11-24T09:30:00", "2026-11-24 09:30:00Z", "9999-12-31T23:59:59Z", "2026-12-31T23:59:60Z", ""]
)
@pytest.mark.parametrize("member", ["created", "expires"])
async def test_sc_31_a_time_has_one_spelling(world: World, member: str, time: str) -> None:
    async with hiring_at(world, "ready") as hiring:
        message = hiring.next_json()
        message["proof"][member] = time
        await refused(hiring.line, canonicalize(message), "schema_violation", path=f"/proof/{member}")


@pytest.mark.parametrize(
    ("times", "code"),
    [
        ({"created": 61, "expires": 600}, "proof_from_future"),
        ({"created": -600, "expires": -1}, "proof_expired"),
        ({"created": 10, "expires": 5}, "proof_invalid"),
    ],
)
@pytest.mark.parametrize(("state", "member", "price"), CARRIED)
async def test_sc_31_times_of_what_it_carries(
    world: World, state: str, member: str, price: str, times: dict[str, int], code: str
) -> None:
    async with hiring_at(world, state, price) as hiring:
        world.clock.held = now = world.clock.now()
        try:
            message = hiring.next_json()
            if member == "contractProof":
                set_to = {name: shift(now, seconds) for name, seconds in times.items()}
                message[member] = hiring.who.second(hiring.offered(), now, **set_to)
            else:
                old = proof_in(message, member)
                options = {name: shift(now, seconds) for name, seconds in times.items()}
                options |= {name: old[name] for name in ("id", "challenge", "domain") if name in old}
                message[member] = hiring.who.signed(message[member], now, purpose=old["proofPurpose"], **options)
            # The proofs on a document do not expire, so none of these times is one that they may state.
            told = code if member == "presentation" else "unknown_term"
            await refused(hiring.line, again(hiring, message), told, how="Problem")
        finally:
            world.clock.held = None


# --- SC-32, SC-33 ---------------------------------------------------------------------------------------------------


async def test_sc_32_a_message_has_one_proof(world: World) -> None:
    """Two that hold, one that holds and one that does not, one by a stranger."""
    async with hiring_at(world, "ready") as hiring:
        message = hiring.next_json()
        now = hiring.party.now
        stranger = Attacker("a stranger").signed(message, now)["proof"]
        broken = message["proof"] | {"proofValue": stranger["proofValue"]}  # type: ignore[index, call-overload]
        for other in (message["proof"], broken, stranger):
            for proofs in ([message["proof"], other], [other, message["proof"]]):
                await refused(hiring.line, canonicalize({**message, "proof": proofs}), "proof_invalid")


@pytest.mark.parametrize(("state", "member", "price"), CARRIED)
async def test_sc_32_each_signer_exactly_once(world: World, state: str, member: str, price: str) -> None:
    """An extra proof is refused and not ignored, whoever made it."""
    async with hiring_at(world, state, price) as hiring:
        now = hiring.party.now
        message = hiring.next_json()
        own = proof_in(message, member)
        bare = hiring.offered() if member == "contractProof" else message[member]
        name = {"id": hiring.who.message_id()}
        twice = hiring.who.signed(bare, now, purpose=own["proofPurpose"], expires=None, **name)["proof"]
        stranger = Attacker("a stranger").signed(bare, now, purpose=own["proofPurpose"], expires=None, **name)["proof"]
        broken = {**twice, "proofValue": stranger["proofValue"]}  # type: ignore[dict-item, index, call-overload]
        for other in (own, twice, stranger, broken):
            message = hiring.next_json()
            if member == "contractProof":
                message["contractProof"] = [own, other]
            else:
                message[member]["proof"] = [message[member]["proof"], other]
            how = "Fault" if member == "contractProof" else "Problem"
            await refused(hiring.line, again(hiring, message), "proof_invalid", how=how)


@pytest.mark.parametrize(
    ("state", "price", "path", "how"),
    [("ready", "4", "/document/proof", "Problem"), ("offered-by-provider", "3", "/contractProof", "Fault")],
)
async def test_sc_32_a_list_of_one_is_no_proof(world: World, state: str, price: str, path: str, how: str) -> None:
    """HIRE-PRF-01: it holds, and would be another spelling of what both sign."""
    async with hiring_at(world, state, price) as hiring:
        message = hiring.next_json()
        *inside, name = path[1:].split("/")
        place = message[inside[0]] if inside else message
        place[name] = [place[name]]
        await refused(hiring.line, again(hiring, message), "proof_invalid", how=how, path=path)


@pytest.mark.parametrize("value", [7, "", [], {}], ids=repr)
@pytest.mark.parametrize(
    ("state", "price", "path"),
    [
        ("ready", "4", "/document/proof/id"),
        ("ready", "4", "/document/proof/verificationMethod"),
        ("offered-by-provider", "3", "/contractProof/previousProof"),
        ("offered-by-provider", "3", "/contractProof/verificationMethod"),
    ],
)
async def test_members_of_a_proof_that_is_carried_are_text(
    world: World, state: str, price: str, path: str, value: Any
) -> None:
    """HIRE-PRF-08: that comes before whom it names, and what it builds on."""
    async with hiring_at(world, state, price) as hiring:
        message = hiring.next_json()
        *inside, name = path[1:].split("/")
        place: Any = message
        for step in inside:
            place = place[step]
        place[name] = value
        # Of an acceptance the place is left out: the answer is no longer than its cause.
        told = path if state == "ready" else None
        await refused(hiring.line, again(hiring, message), "schema_violation", how="Problem", path=told)


async def test_sc_32_the_second_signer_is_the_other_party(world: World) -> None:
    """Not a stranger, and not the offerer again."""
    async with hiring_at(world, "offered-by-provider", "3") as hiring:
        document, message = hiring.offered(), hiring.next_json()
        stranger = Attacker("a stranger").prove_acceptance(document, hiring.party.now)
        theirs = {**document["proof"], "previousProof": document["proof"]["id"]}
        borrowed = {**stranger, "verificationMethod": hiring.who.method}
        for proof in (stranger, theirs, document["proof"], borrowed):
            raw = again(hiring, {**message, "contractProof": proof})
            await refused(hiring.line, raw, "proof_invalid", how="Problem")


def with_another_end(text: str) -> str:
    return text[:-1] + ("3" if text.endswith("2") else "2")


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["terms"]["price"].update(amount="1"),
        lambda document: document["terms"]["deadlines"].update(finish=document["terms"]["deadlines"]["until"]),
        lambda document: document["terms"]["task"].update(summary="Something else"),
        lambda document: document["transcript"]["hirer"].update(digest=document["transcript"]["provider"]["digest"]),
        lambda document: document["proof"].update(proofValue=with_another_end(document["proof"]["proofValue"])),
        lambda document: document.update(hirer="did:key:z6MkehRgf7yJbgaGfYsdoAsKdBPE3dj2CYhowQdcjqSJgvVd"),
    ],
    ids=["price", "finish", "task", "transcript", "first proof", "party"],
)
async def test_sc_33_a_countersignature_over_another_body(
    world: World, change: Callable[[dict[str, Any]], None]
) -> None:
    """A good proof of the acceptor's, on a document of the same id that is another one."""
    async with hiring_at(world, "offered-by-provider", "3") as hiring:
        other = hiring.offered()
        change(other)
        message = hiring.next_json(contract_proof=hiring.who.prove_acceptance(other, hiring.party.now))
        assert message["document"] == hiring.party.engagement.offer.document  # type: ignore[union-attr]
        await refused(hiring.line, again(hiring, message), "proof_invalid", how="Problem")


# --- SC-34, SC-36 ---------------------------------------------------------------------------------------------------


def ed25519_bent(signature: bytes) -> dict[str, bytes]:
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    return {
        "s + L": r + (s + L).to_bytes(32, "little"),
        "trailing": signature + b"\0",
        "cut": signature[:-1],
        "s = 0": r + bytes(32),
        "identity and 0": b"\x01" + bytes(63),
        "zeros": bytes(64),
        "order": r + L.to_bytes(32, "little"),
        "turned": signature[32:] + r,
    }


def p256_bent(signature: bytes) -> dict[str, bytes]:
    r, s = signature[:32], int.from_bytes(signature[32:], "big")
    der = b"\x02\x21\0" + r + b"\x02\x20" + signature[32:]
    return {
        "n - s": r + (P256 - s).to_bytes(32, "big"),
        "DER": b"\x30" + bytes([len(der)]) + der,
        "DER, padded": b"\x30\x81" + bytes([len(der)]) + der,
        "trailing": signature + b"\0",
        "r + 0": bytes(32) + signature[32:],
        "s + 0": r + bytes(32),
        "n": P256.to_bytes(32, "big") * 2,
    }


async def malleable(world: World, kind: str, bend: Callable[[bytes], dict[str, bytes]]) -> None:
    """Whatever is done to a signature: it is refused, or it is the same message."""
    for state, member, price in [("ready", "", "4"), *CARRIED]:
        async with hiring_at(world, state, price, kind=kind) as hiring:
            value = proof_in(hiring.next_json(), member)["proofValue"] if member else ""
            message = hiring.next_json()
            proof = proof_in(message, member) if member else message["proof"]
            value = proof["proofValue"]
            for other in bend(base58_decode(value[1:])).values():
                proof["proofValue"] = "z" + base58_encode(other)
                raw = again(hiring, message) if member else canonicalize(message)
                await refused(hiring.line, raw, "proof_invalid", how="Problem" if member else "Fault")
            proof["proofValue"] = value
    # A move that is recorded, and its signature bent: not a second one.
    async with hiring_at(world, "ready", kind=kind) as hiring:
        recorded = hiring.party.stored[hiring.party.engagement.sent[-1]].raw
        message = json.loads(recorded)
        for other in bend(base58_decode(message["proof"]["proofValue"][1:])).values():
            message["proof"]["proofValue"] = "z" + base58_encode(other)
            await refused(hiring.line, canonicalize(message), "proof_invalid")


async def test_sc_34_ed25519_malleability(world: World) -> None:
    await malleable(world, "Ed25519", ed25519_bent)


async def test_sc_34_ecdsa_malleability(tmp_path: Path) -> None:
    async with world_in(tmp_path, kind="P-256", ledger="memory://") as world:
        await malleable(world, "P-256", p256_bent)
        await world.honest()


async def test_sc_34_another_signature_of_the_same_content_is_the_same_message(world: World) -> None:
    """Signed again, a minute earlier, it has another proof and the same digest: a repeat, and no second row."""
    async with hiring_at(world, "ready") as hiring:
        recorded = json.loads(hiring.party.stored[hiring.party.engagement.sent[-1]].raw)
        other = again(hiring, recorded, created=shift(hiring.party.now, -60))
        assert json.loads(other)["proof"] != recorded["proof"]
        before = await world.kept(hiring.who.did)
        await hiring.line.send(other)
        await hiring.hear("Receipt")
        assert await world.kept(hiring.who.did) == before


@pytest.mark.parametrize("part", range(4))
async def test_sc_36_every_bit_counts(world: World, part: int) -> None:
    """One in eight bits of a signature turned, from different ends: none of them holds."""
    for half in range(2):
        async with hiring_at(world, "ready") as hiring:
            message = hiring.next_json()
            signature = base58_decode(message["proof"]["proofValue"][1:])
            for place in range(8):
                bit = 8 * (16 * part + 8 * half + place) + place
                turned = bytearray(signature)
                turned[bit // 8] ^= 1 << bit % 8
                message["proof"]["proofValue"] = "z" + base58_encode(bytes(turned))
                await refused(hiring.line, canonicalize(message), "proof_invalid")
