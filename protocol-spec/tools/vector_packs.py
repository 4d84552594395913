"""Vectors of evidence packs: one that verifies without asking anybody, and some that were tampered with."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from example_messages import conversation
from example_parties import ENGAGEMENT, HIRER, PROVIDER, Party, log_of, proof_on, seed, signed_checkpoint
from vector_deliveries import stated
from vector_journals import ORDER
from vector_parts import PROVIDERS, Line, Vector, kept, resigned, signers

from undersigned.attestation import make_statement, refusal
from undersigned.contract import countersigned
from undersigned.credentials import build_status_list, credential_jwt, own_context, status_entry
from undersigned.encoding import (
    Digest,
    JsonObject,
    canonicalize,
    digest_bytes,
    digest_hex,
    multibase_encode,
)
from undersigned.evidence import TAMPERINGS, read_archive, tamper, write_pack
from undersigned.messages import Closing, Presentation, Receipt, Seal, VerifiedMessage, decode_message
from undersigned.protocol import Received, Sent, apply, begin
from undersigned.runtime import read_multibase_note
from undersigned.scope import Action
from undersigned.transparency import (
    LOGGED_MOVES,
    Frontier,
    InclusionProof,
    checkpoint_text,
    cosignature_line,
    cosigned_note,
    cosigned_text,
    decision_leaf,
    inclusion_path,
    leaf_hash,
    move_leaf,
    read_checkpoint,
    read_note,
    refusal_leaf,
)

__all__ = ["looked_up", "pack_vector", "pack_vectors", "proved_by_log", "provider_log"]

NOW: Final = "2027-11-24T09:00:00Z"
SECONDS: Final = 1_795_510_800
"""When the cosignatures say that they were made."""
KINDS: Final = {
    "byte": "evidence_invalid",
    "missing": "evidence_invalid",
    "key": "evidence_invalid",
    "price": "proof_invalid",
    "transcript": "ledger_diverged",
    "unsealed": "evidence_invalid",
    "statement": "evidence_invalid",
    "artifact": "evidence_invalid",
    "another-artifact": "evidence_invalid",
    "inclusion": "log_proof_invalid",
    "log": "log_proof_invalid",
    "no-proofs": "log_proof_invalid",
}
"""Kind of `undersigned tamper` -> what the pack is refused with."""


PROVED_KINDS: Final = {
    "log-leaf": "log_proof_invalid",
    "decision": "log_proof_invalid",
    "withheld": "evidence_invalid",
}
"""The same of a pack with proofs of more than its contract."""
LOOKED_UP_KINDS: Final = {"credential": "proof_invalid", "status": "proof_invalid", "no-inputs": "evidence_invalid"}
"""Of a pack with a credential and a status list that were looked up."""
JWT_KINDS: Final = {
    "jwt-signature": "proof_invalid",
    "jwt-none": "suite_not_allowed",
    "jwt-key": "key_not_authorized",
}
"""Of one in which they are JWTs."""
TIMES: Final = {"validFrom": "2026-01-01T00:00:00Z", "validUntil": "2027-01-01T00:00:00Z"}
AGES: Final = {"validFrom": "0001-01-01T00:00:00Z", "validUntil": "9999-12-31T23:59:59.999999Z"}
OFF: Final = {**TIMES, "validUntil": "2027-01-01T00:00:00+10:60"}
"""Validities of credentials."""
ISSUER, WITNESS = Party("issuer"), Party("witness")

FAILS_AT: Final = {
    **dict.fromkeys(("byte", "missing"), 1),
    "key": 2,
    "price": 3,
    "transcript": 4,
    "unsealed": 5,
    "above-unsealed": 5,
    **dict.fromkeys(("below-another", "below-anothers", "below-changed", "below-misnamed", "below-statement"), 5),
    **dict.fromkeys(("statement", "statement-unreviewed-own", "statement-digest-wrong", "no-subcontracts"), 6),
    **dict.fromkeys(("undelivered-own", "not-agreed-on-own", "artifact", "another-artifact"), 6),
    **dict.fromkeys(("inclusion", "log", "no-proofs", "log-leaf", "decision", "witness", "witnessed-twice"), 8),
    **dict.fromkeys(("cosigned-otherwise", "cosigned-by-a-stranger", "cosigned-own", "cosigned-own-fork"), 8),
    **dict.fromkeys(("receipt-own-no-note", "inclusion-gone"), 8),
    "review-of-another-artifact": 7,
    "proofs-unordered": 8,
    "no-refusals": 9,
    **dict.fromkeys(("credential", "status", "no-inputs", "jwt-signature", "jwt-none", "jwt-key", "withheld"), 10),
    **dict.fromkeys(("policy-spaced", "policy-text"), 10),
    **dict.fromkeys(("decision-about-another", "decision-about-nobody", "decision-from-nothing"), 10),
    **dict.fromkeys(("revoked", "revoked-jwt", "looked-up-offset", "looked-up-comma", "no-decisions"), 10),
}
"""Name of a pack that is refused -> the step of HIRE-PCK-01 that does it."""
RECORDED: Final = {"decisions": 2, "refusals": 1}
"""What the provider's `Closing` says that it recorded, in the packs from which that is gone."""


def pack_vectors() -> Iterator[Vector]:
    """All of them."""
    said = [conversation()[name] for name in ORDER]
    lines = kept(said)
    closing = said[-1].message
    assert isinstance(closing, Closing)
    own_log = provider_log()
    good = write_pack(lines, **PROVIDERS, **own_log, artifacts=[b"a bill"])
    whole = {"contract": closing.contract, "state": "closed"}
    yield _vector("good", "a whole hire, as its provider keeps it", good, whole)
    for kind, code in KINDS.items():
        yield _vector(kind, TAMPERINGS[kind].says, tamper(good, kind), {"code": code})
    alone = write_pack(lines, **PROVIDERS, **own_log | {"inclusion": None})
    yield _vector("inclusion-gone", "a checkpoint without what is in it", alone, {"code": "log_proof_invalid"})
    raws = [(one.message.type, one.raw) for one in said]
    seen = proved_by_log(said, raws)
    note = seen["checkpoint"]
    early = write_pack(lines, **PROVIDERS, **seen | {"checkpoint": note + _witnessed(note, 0)})
    says = "a checkpoint that a witness cosigned whose clock was at its beginning"
    yield _vector("witnessed-early", says, early, whole, WITNESS)
    twice = write_pack(lines, **PROVIDERS, **seen | {"checkpoint": note + _witnessed(note) + _witnessed(note, 0)})
    yield _vector("witnessed-twice", "two lines by one witness", twice, {"code": "log_proof_invalid"}, WITNESS)
    seen["checkpoint"] += _witnessed(note)
    witnessed = write_pack(lines, **PROVIDERS, **seen)
    yield _vector("witnessed", "a checkpoint that a stranger to the hire cosigned", witnessed, whole, WITNESS)
    yield _vector(
        "witness", TAMPERINGS["witness"].says, tamper(witnessed, "witness"), {"code": "log_proof_invalid"}, WITNESS
    )
    for name, says, places, jwt, kinds in (
        ("looked-up", "a credential and a status list that a decision names", (), False, LOOKED_UP_KINDS),
        ("looked-up-jwt", "the same as signed texts (JWT)", (), True, JWT_KINDS),
        ("revoked", "a decision that allowed what the list that it names speaks against", (9,), False, {}),
        ("revoked-jwt", "the same of signed texts (JWT)", (9,), True, {}),
    ):
        shown = write_pack(lines, **PROVIDERS, **own_log, **looked_up(said, places, jwt=jwt))
        yield _vector(name, says, shown, {"code": "revoked"} if places else whole, ISSUER)
        for kind, code in kinds.items():
            yield _vector(kind, TAMPERINGS[kind].says, tamper(shown, kind), {"code": code}, ISSUER)
    for name, says, consulted, code in (
        ("looked-up-ages", "a credential for all the years that there are", looked_up(said, (), times=AGES), ""),
        ("looked-up-offset", "one until an offset that is none", looked_up(said, (), times=OFF), "schema_violation"),
        ("looked-up-comma", "one with a comma before the end of a list", looked_up(said, (), comma=True), "bad_json"),
    ):
        shown = write_pack(lines, **PROVIDERS, **own_log, **consulted)
        yield _vector(name, says, shown, {"code": code} if code else whole, ISSUER)
    for name, says, policy, code in (
        ("policy", "a policy in canonical form", b'{"name":"trust"}', ""),
        ("policy-spaced", "one with a space, and named by its digest", b'{"name": "trust"}', "evidence_invalid"),
        ("policy-text", "one that is no JSON", b"permit", "evidence_invalid"),
    ):
        shown = write_pack(lines, **PROVIDERS, **own_log, policies=[policy])
        yield _vector(name, says, shown, {"code": code} if code else whole)
    yield from _recorded(said, lines)
    proved = write_pack(lines, **PROVIDERS, **proved_by_log(said, raws))
    yield _vector("proved", "proofs of moves and of two decisions, one of which is withheld", proved, whole)
    for kind, code in PROVED_KINDS.items():
        yield _vector(kind, TAMPERINGS[kind].says, tamper(proved, kind), {"code": code})
    for name, says, note, code in _cosigned(said):
        pack = write_pack(_closed(lines, own={"cosignatures": [note]}), **PROVIDERS, **own_log)
        yield _vector(name, says, pack, {"code": code} if code else whole)
    yield from _unreviewed(lines)
    for name, says, changed, code in _of_a_log(said, lines):
        yield _vector(name, says, write_pack(changed, **PROVIDERS, **own_log), {"code": code} if code else whole)


def _closed(lines: list[Line], *, peer: dict[str, Any] | None = None, own: dict[str, Any]) -> list[Line]:
    """The transcript with other members in the hirer's `Closing` and in the provider's, which came after it."""
    first = resigned(json.loads(lines[-2].raw) | (peer or {}))
    seen = digest_bytes(canonicalize({name: value for name, value in first.items() if name != "proof"}))
    last = resigned(json.loads(lines[-1].raw) | {"seen": seen} | own)
    return [*lines[:-2], lines[-2]._replace(raw=canonicalize(first)), lines[-1]._replace(raw=canonicalize(last))]


def _unreviewed(lines: list[Line]) -> Iterator[Vector]:
    """A `Delivery` with a statement that is none, and nobody has reviewed it: as each side keeps it (HIRE-PCK-12)."""
    place = next(at for at, one in enumerate(lines) if json.loads(one.raw)["type"] == "Delivery")
    rubbish = canonicalize(resigned({**json.loads(lines[place].raw), "statements": [{"a": 1}]}))
    own = [*lines[:place], lines[place]._replace(raw=rubbish)]
    hirers = [one._replace(kind="received" if one.kind == "sent" else "sent") for one in own]
    theirs = {"engagement": ENGAGEMENT, "role": "hirer", "own": HIRER.did, "peer": PROVIDER.did}
    contract = next(json.loads(one.raw)["document"] for one in lines if json.loads(one.raw)["type"] == "Seal")
    says = "a delivery with a statement that is none, not reviewed, as its hirer keeps it"
    found = {"contract": contract, "state": "delivered"}
    yield _vector("statement-unreviewed", says, write_pack(hirers, **theirs), found)
    says, pack = "the same as its provider keeps it", write_pack(own, **PROVIDERS)
    yield _vector("statement-unreviewed-own", says, pack, {"code": "unknown_term"})
    content = json.loads(lines[place].raw)
    other = [{**one, "name": "another.json"} for one in content["artifacts"]]
    for name, says, code, change in (
        ("undelivered", "a delivery called complete that has nothing", "digest_mismatch", {"artifacts": []}),
        (
            "not-agreed-on",
            "one that has something else besides",
            "terms_mismatch",
            {"artifacts": [*content["artifacts"], *other]},
        ),
    ):
        stating = (
            []
            if not change["artifacts"]
            else [_with_subjects(one, change["artifacts"]) for one in content["statements"]]
        )
        last = lines[place]._replace(raw=canonicalize(resigned({**content, **change, "statements": stating})))
        mine = [*lines[:place], last]
        theirs_too = [*hirers[:-1], hirers[-1]._replace(raw=last.raw)]
        yield _vector(name, f"{says}, as its hirer keeps it", write_pack(theirs_too, **theirs), found)
        yield _vector(f"{name}-own", "the same as its provider keeps it", write_pack(mine, **PROVIDERS), {"code": code})
    for wrong, there in ((False, True), (True, True), (True, False)):
        hashed = hashlib.sha512(b"another" if wrong else b"a bill").hexdigest()
        made = [_with_digest(one, "sha512", hashed) for one in content["statements"]]
        last = lines[place]._replace(raw=canonicalize(resigned({**content, "statements": made})))
        pack = write_pack([*lines[:place], last], **PROVIDERS, artifacts=[b"a bill"] if there else [])
        name = f"statement-digest-{'wrong' if wrong else 'beside'}{'' if there else '-unchecked'}"
        says = f"{'a wrong' if wrong else 'a'} digest by sha512 beside, in a pack with{'' if there else 'out'}"
        expected = {"code": "digest_mismatch"} if wrong and there else found
        yield _vector(name, f"{says} the bytes", pack, expected)


def _with_digest(envelope: Any, algorithm: str, digest: str) -> Any:
    """The provider's statement with another digest of its subject beside the one that it has."""
    said = json.loads(base64.b64decode(envelope["payload"]))
    said["subject"][0]["digest"][algorithm] = digest
    return stated(canonicalize(said))


def _with_subjects(envelope: Any, artifacts: list[dict[str, Any]]) -> Any:
    """The provider's statement, about each of these artifacts."""
    said = json.loads(base64.b64decode(envelope["payload"]))
    digest = said["subject"][0]["digest"]
    said["subject"] = [{"name": one["name"], "digest": digest} for one in artifacts]
    return stated(canonicalize(said))


def _of_a_log(said: list[VerifiedMessage], lines: list[Line]) -> Iterator[tuple[str, str, list[Line], str]]:
    """Name, what it shows, the transcript, and the code of the refusal, if any: each side says of a log what does not
    hold. It counts against the packer alone if it was the packer (HIRE-PCK-11).
    """

    def receipt(role: str, **members: Any) -> list[Line]:
        of_it = [one for one in said if one.message.type == "Receipt" and one.message.role == role]
        raw = of_it[-1].raw
        changed = canonicalize(resigned(json.loads(raw) | members))
        return [one._replace(raw=changed) if one.raw == raw else one for one in lines]

    nothing, wrong = {"checkpoint": "uAAAA"}, "log_proof_invalid"
    yield "receipt-no-note", "a Receipt of the other side with a note that is none", receipt("hirer", **nothing), ""
    yield "receipt-own-no-note", "one of the packer's own", receipt("provider", **nothing), wrong
    hirers, own = (one.message for one in said[-2:])
    assert isinstance(hirers, Closing)
    assert isinstance(own, Closing)
    theirs = read_checkpoint(read_note(read_multibase_note(hirers.checkpoint)).text)
    forked = signed_checkpoint(HIRER, theirs.size, seed("another root"))
    says = "two roots of one size, in a Receipt and a Closing of the other side"
    yield "receipt-fork", says, receipt("hirer", checkpoint=forked), ""
    size = read_checkpoint(read_note(read_multibase_note(own.checkpoint)).text).size
    text = checkpoint_text(PROVIDER.did, size, seed("another root"))
    note = cosigned_note(text, HIRER.did, HIRER.public_key, SECONDS, HIRER.sign(cosigned_text(text, SECONDS)))
    cosigned = {"cosignatures": [multibase_encode("u", note.encode())]}
    says = "the other side cosigned leaves that the packer's log never had"
    yield "cosigned-own-fork", says, _closed(lines, peer=cosigned, own={}), "ledger_diverged"


def provider_log() -> dict[str, Any]:
    """What proves the contract in the provider's log, as `write_pack` takes it, of a pack that reaches the end."""
    said = [conversation()[name] for name in ORDER]
    closing, receipt = said[-1].message, conversation()["receipt-inclusion"].message
    assert isinstance(closing, Closing)
    assert isinstance(receipt, Receipt)
    assert receipt.inclusion is not None
    inclusion = receipt.inclusion
    return {
        "checkpoint": read_multibase_note(closing.checkpoint),
        "inclusion": InclusionProof(inclusion.leaf, inclusion.index, inclusion.size, inclusion.path),
        "proofs": canonicalize(
            {
                "size": inclusion.size,
                "proofs": [
                    {
                        "label": "contract",
                        "commitment": _agreed(said),
                        "index": inclusion.index,
                        "path": list(inclusion.path),
                    }
                ],
            }
        ),
    }


def _agreed(said: list[VerifiedMessage]) -> Digest:
    """The digest of the contract with both proofs, which stands in its leaf."""
    acceptance = next(json.loads(one.raw) for one in said if one.message.type == "Acceptance")
    offer = next(json.loads(one.raw) for one in said if one.digest == acceptance["offer"])
    return digest_bytes(canonicalize(countersigned(offer["document"], acceptance["contractProof"])))


def _recorded(said: list[VerifiedMessage], lines: list[Line]) -> Iterator[Vector]:
    """A `Closing` that says what was recorded beside, a pack that has it, and packs without it."""
    closing = json.loads(said[-1].raw)
    last = canonicalize(resigned({**closing, "recorded": RECORDED}))
    sealed = next(one.message for one in said if isinstance(one.message, Seal))
    predicate = refusal(
        Action("artifact:read", "https://acme.example/payroll.csv", {}, {}),
        contract=sealed.document,
        engagement=ENGAGEMENT,
        gate=PROVIDER.did,
        at=closing["proof"]["created"],
        code="scope_exceeded",
        clause="read-input",
        reason="the target is outside the grant",
    )
    refused = canonicalize(stated(make_statement({"contract": sealed.document}, predicate)))
    raws = [*((one.message.type, one.raw) for one in said[:-1]), ("Closing", last)]
    whole = write_pack(
        [*lines[:-1], lines[-1]._replace(raw=last)],
        **PROVIDERS,
        **proved_by_log(said, raws, refused),
        refusals=[refused],
    )
    expected = {"contract": sealed.document, "state": "closed"}
    yield _vector("recorded", "as many decisions and refusals as the packer's Closing says", whole, expected)
    for kind in ("no-refusals", "no-decisions"):
        yield _vector(kind, TAMPERINGS[kind].says, tamper(whole, kind), {"code": "evidence_invalid"})


def _cosigned(said: list[VerifiedMessage]) -> Iterator[tuple[str, str, str, str]]:
    """Name, what it shows, the cosignature in the provider's `Closing`, and the code of the refusal, if any."""
    hirers, own = (one.message for one in said[-2:])
    assert isinstance(hirers, Closing)
    assert isinstance(own, Closing)
    text, other = (read_note(read_multibase_note(one.checkpoint)).text for one in (hirers, own))

    def note(text: str, by: Party = PROVIDER, *, signed: str | None = None) -> str:
        signature = by.sign(cosigned_text(signed or text, SECONDS))
        made = cosigned_note(text, PROVIDER.did, by.public_key, SECONDS, signature)
        return multibase_encode("u", made.encode())

    wrong = "log_proof_invalid"
    yield "cosigned", "the provider cosigned the checkpoint of the hirer's Closing", note(text), ""
    yield "cosigned-otherwise", "a cosignature of another text", note(text, signed=other), wrong
    yield "cosigned-by-a-stranger", "a cosignature by a stranger's key", note(text, Party("stranger")), wrong
    yield "cosigned-own", "a cosignature of its sender's own log", note(other), wrong
    head = read_checkpoint(text)
    forked = checkpoint_text(head.origin, head.size, seed("another root"))
    yield "cosigned-fork", "a cosignature of leaves of the hirer's log that the hirer contradicts", note(forked), ""


def _witnessed(note: str, seconds: int = SECONDS) -> str:
    """The line of a witness below a note."""
    by = WITNESS
    return cosignature_line(by.did, by.public_key, seconds, by.sign(cosigned_text(read_note(note).text, seconds)))


def looked_up(
    said: list[VerifiedMessage],
    places: tuple[int, ...],
    *,
    jwt: bool = False,
    times: dict[str, str] = TIMES,
    comma: bool = False,
) -> dict[str, Any]:
    """What an issuer says of the hirer, its status list with these places set, and a decision from both."""
    issuer, url = ISSUER, "https://issuer.example/status/1"
    shown = next(one.message for one in said if isinstance(one.message, Presentation) and one.message.role == "hirer")
    at = shown.proof.created
    bits = bytearray(16 * 1024)
    for place in places:
        bits[place >> 3] |= 0x80 >> (place & 7)
    credential: dict[str, Any] = {
        "@context": own_context(),
        "type": ["VerifiableCredential", "EndorsementCredential"],
        "issuer": issuer.did,
        **times,
        "credentialSubject": {"id": HIRER.did, "capability": "sbom"},
        "credentialStatus": status_entry(url, 9),
    }
    listed = build_status_list(
        url=url,
        issuer=issuer.did,
        bits=bits,
        valid_from=TIMES["validFrom"],
        valid_until=TIMES["validUntil"],
        ttl_seconds=300,
    )
    made = TIMES["validFrom"]

    def issued(document: JsonObject) -> bytes:
        if not jwt:
            return canonicalize(proof_on(dict(document), issuer, made, "assertionMethod"))
        draft = credential_jwt(document, issuer.method, "Ed25519", made)
        return draft.signed(issuer.sign(draft.to_sign)).encode()

    signed, told = issued(credential), issued(listed)
    signed = signed.replace(b"]", b",]", 1) if comma else signed
    inputs = {
        "presentation": digest_bytes(canonicalize(dict(shown.presentation))),
        "lookedUp": [digest_bytes(signed)],
        "statusLists": [digest_bytes(told)],
    }
    decision = {"outcome": "allow", "peer": HIRER.did, "at": at, "inputs": inputs}
    return {"credentials": [signed], "statuses": [told], "decisions": [canonicalize(decision)]}


def proved_by_log(said: list[VerifiedMessage], raws: list[tuple[str, bytes]], *refusals: bytes) -> dict[str, Any]:
    """The provider's log, grown by its moves, refusals and two decisions, and all that is proved by it."""
    sealed = next(one.message for one in said if isinstance(one.message, Seal))
    contract = sealed.ledger
    decisions = [canonicalize({"outcome": outcome, "for": "an example"}) for outcome in ("allow", "deny")]
    salts = [seed(f"salt of decision {place}")[:16] for place in range(2)]
    leaves: dict[tuple[str, str], bytes] = {
        ("move", digest_bytes(raw)): move_leaf(raw) for type, raw in raws if type in LOGGED_MOVES
    }
    leaves |= {("refusal", digest_bytes(one)): refusal_leaf(one) for one in refusals}
    for decision, salt in zip(decisions, salts, strict=True):
        leaves["decision", digest_bytes(salt + decision)] = decision_leaf(decision, salt)
    tree, hashes = log_of(PROVIDER, b"")
    tree, hashes = (
        Frontier(),
        [*hashes[:-1], bytes.fromhex(digest_hex(contract.leaf)), *map(leaf_hash, leaves.values())],
    )
    nodes = {(level, at): value for one in hashes for level, at, value in tree.append(one)}

    def proof(index: int) -> InclusionProof:
        path = inclusion_path(index, tree.size, lambda level, at: nodes[level, at])
        return InclusionProof.of(hashes[index], index, tree.size, path)

    listed = [
        {"label": label, "commitment": commitment, "index": index, "path": list(proof(index).path)}
        for index, (label, commitment) in enumerate([("contract", _agreed(said)), *leaves], start=contract.index)
    ]
    listed[-2]["salt"] = multibase_encode("u", salts[0])
    return {
        "checkpoint": read_multibase_note(signed_checkpoint(PROVIDER, tree.size, tree.root)),
        "inclusion": proof(contract.index),
        "proofs": canonicalize({"size": tree.size, "proofs": listed}),
        "decisions": decisions[:1],
        "withheld": canonicalize({"withheld": [{"kind": "decision", "commitment": listed[-1]["commitment"]}]}),
    }


def _vector(name: str, says: str, pack: bytes, expected: dict[str, str], *others: Party) -> Vector:
    return pack_vector(name, says, pack, expected, NOW, signers(HIRER, PROVIDER, *others))


def pack_vector(
    name: str, says: str, pack: bytes, expected: dict[str, str], now: str, keys: list[dict[str, str]]
) -> Vector:
    """The vector of one pack: with the step that refuses it, or the values on the way."""
    given = canonicalize({"pack": base64.b64encode(pack).decode()})
    more = {"step": FAILS_AT[name]} if "code" in expected else _worked(pack)
    return Vector(f"packs/{name}", says, given, {"kind": "pack", "now": now, "keys": keys}, {**expected, **more})


def _worked(pack: bytes) -> dict[str, Any]:
    """Of a pack that holds: the digest of its manifest, of each message, the state after it, and where its log ends."""
    members = read_archive(pack)
    manifest = json.loads(members["manifest.json"])
    engagement = begin(manifest["role"], manifest["own"], manifest["peer"], manifest["engagement"])
    messages: list[dict[str, str]] = []
    for member in manifest["members"]:
        if member["kind"] == "message":
            received = decode_message(members[member["path"]])
            said = VerifiedMessage(message=received.message, digest=received.digest, raw=received.raw)
            entry = Sent if said.message.sender == manifest["own"] else Received
            engagement = apply(engagement, entry(said, member["recordedAt"]))
            messages.append({"digest": said.digest, "state": engagement.state})
    found: dict[str, Any] = {"manifest": digest_bytes(members["manifest.json"]), "messages": messages}
    if "ledger/inclusion.json" in members:
        proof = json.loads(members["ledger/inclusion.json"])
        head = read_checkpoint(read_note(members["ledger/checkpoint.txt"].decode()).text)
        found["log"] = {"leaf": proof["leaf"], "index": proof["index"], "size": head.size, "root": head.root.hex()}
    return found
