"""Packs with presentations, credentials, status lists and decisions that hold, and such that must not."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from random import Random
from typing import Any

from pack_cases import ONE, TWO, WEB, Case, changed_somewhere, spoiled_ones, web_document, withheld
from packs import Hire
from parties import P256_ORDER, Party, neutral_signature
from support import examples
from undersigned.credentials import build_presentation, build_status_list, enveloped_credential, enveloped_presentation
from undersigned.encoding import (
    JsonObject,
    base64url_decode,
    base64url_encode,
    canonicalize,
    digest_bytes,
    multibase_encode,
    parse_instant,
)
from undersigned.evidence import tamper
from undersigned.messages import Presentation
from undersigned.proof import make_proof, prepare
from undersigned.testing import Actor, Say, presentation

CHECKED = 10
"""Number of the step."""
LIST = "https://issuer.example/list/1"
POLICY = b'{"name":"a policy","version":"1"}'
FROM, UNTIL = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
ANCIENT, LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"


def credential(hire: Hire, by: Actor = ONE, *, at: str = FROM, **members: Any) -> JsonObject:
    """What an issuer says of the provider."""
    return by.issue(
        {
            "@context": ["https://www.w3.org/ns/credentials/v2", "https://w3id.org/hire/v1"],
            "type": ["VerifiableCredential", "EndorsementCredential"],
            "issuer": by.did,
            "validFrom": FROM,
            "validUntil": UNTIL,
            "credentialSubject": {"id": hire.provider.actor.did, "capability": "sbom"},
            "credentialStatus": place(),
            **members,
        },
        at,
    )


def place(**members: Any) -> JsonObject:
    """What a credential says of its status."""
    return {
        "id": f"{LIST}#9",
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": "9",
        "statusListCredential": LIST,
        **members,
    }


def status_list(by: Actor = ONE, **changes: Any) -> bytes:
    """An issuer's list; see `_listed`."""
    return canonicalize(by.issue(_listed(by, **changes), FROM))


def _listed(by: Actor, *, places: tuple[int, ...] = (), encoded: str = "", **members: Any) -> JsonObject:
    """An issuer's list, in which these places are set; members of its subject are put there."""
    bits = bytearray(16 * 1024)
    for place in places:
        bits[place >> 3] |= 0x80 >> (place & 7)
    made: Any = build_status_list(
        url=LIST, issuer=by.did, bits=bits, valid_from=FROM, valid_until=UNTIL, ttl_seconds=60
    )
    if encoded:
        made["credentialSubject"]["encodedList"] = encoded
    for name, member in (("subject_type", "type"), ("statusPurpose", "statusPurpose"), ("ttl", "ttl")):
        if name in members:
            made["credentialSubject"][member] = members.pop(name)
    return {**made, **members}


def decision(hire: Hire, *, looked: tuple[str, ...], lists: tuple[str, ...], **members: Any) -> bytes:
    """What the hirer decided of the provider."""
    shown = hire.hirer.stored[hire.provider.engagement.sent[1]].message
    assert isinstance(shown, Presentation)
    inputs = {
        "policy": digest_bytes(POLICY),
        "presentation": digest_bytes(canonicalize(dict(shown.presentation))),
        "lookedUp": looked,
        "statusLists": lists,
    }
    said = {"outcome": "allow", "peer": hire.provider.actor.did, "at": hire.book.clock.now(), "inputs": inputs}
    return json.dumps(said | members).encode()


def packed(
    *shown: Callable[[Hire], JsonObject],
    say: Callable[[Hire], Say] | None = None,
    lists: tuple[bytes, ...] = (),
    looked_up: Callable[[Hire], tuple[bytes, ...]] = lambda _: (),
    documents: tuple[bytes, ...] = (),
    beside: dict[str, Any] | None = None,
    looked: int | None = None,
    sealed: bool = True,
    **said: Any,
) -> bytes:
    """A whole hire in which the provider shows this, and the hirer decided with these lists; `beside` is what the pack
    has in place of what was decided from, `looked` how many of what was shown were looked up. Not `sealed`: no contract
    came of it.
    """
    made: list[JsonObject] = []

    def present(hire: Hire) -> Say:
        made.extend(one(hire) for one in shown)
        return say(hire) if say else presentation(*made)

    hire = Hire(shown=present)
    also = looked_up(hire)
    digests = (*(_digest(one) for one in made[:looked]), *map(digest_bytes, also))
    decided = decision(hire, looked=digests, lists=tuple(map(digest_bytes, lists)), **said)
    members = {"credentials": also, "statuses": lists, "policies": (POLICY,), **(beside or {})}
    if not sealed:
        members |= {"checkpoint": None, "inclusion": None}
    return (hire.whole() if sealed else hire).pack(documents=documents, decisions=(decided,), **members)


def _digest(shown: JsonObject) -> str:
    """Of a credential as it is shown."""
    if "EnvelopedVerifiableCredential" in str(shown["type"]):
        return digest_bytes(str(shown["id"]).partition(",")[2].encode())
    return digest_bytes(canonicalize(shown))


def _flipped(document: JsonObject) -> JsonObject:
    proof: Any = document["proof"]
    value = proof["proofValue"]
    return {**document, "proof": {**proof, "proofValue": value[:-1] + ("2" if value[-1] != "2" else "3")}}


def _just(hire: Hire) -> str:
    """The least after the second in which credentials of this hire are judged that is told from it."""
    return hire.book.clock.now().replace("Z", ".000001Z")


def _spelled(document: JsonObject) -> bytes:
    """The same, as another program writes it."""
    return json.dumps(document, indent=1).encode()


def _without_times(hire: Hire) -> JsonObject:
    signed = credential(hire)
    return ONE.issue({name: signed[name] for name in signed if name not in ("proof", "validFrom", "validUntil")}, FROM)


def _seconds(hire: Hire) -> int:
    """The second in which credentials of this hire are judged, as texts say it."""
    return int(parse_instant(hire.book.clock.now()).timestamp())


def _with_comma(data: bytes) -> bytes:
    return data.replace(b"]", b",]", 1)


def _in_list(document: JsonObject, times: int = 1) -> JsonObject:
    return {**document, "proof": [document["proof"]] * times}


def _without_context(hire: Hire) -> JsonObject:
    """Its proof repeats no context; nor does what is signed."""
    document: Any = credential(hire)
    proof = document.pop("proof")
    config = {name: value for name, value in proof.items() if name not in ("@context", "proofValue")}
    signed = b"".join(sha256(canonicalize(part)).digest() for part in (config, document))
    return {**document, "proof": config | {"proofValue": multibase_encode("z", ONE.signature(signed))}}


def _presented(hire: Hire, *, by: Actor | None = None, **changes: Any) -> Say:
    """A presentation with something else in it, signed by whoever holds a key."""
    party = hire.provider
    fields: dict[str, Any] = {"challenge": party.engagement.got[-1], "domain": party.engagement.peer} | changes
    engagement = fields.pop("engagement", party.engagement.id)
    return presentation(presentation=(by or party.actor).present(engagement, party.now, **fields))


def _unsigned(hire: Hire) -> Say:
    party = hire.provider
    made = party.actor.present(
        party.engagement.id, party.now, challenge=party.engagement.got[-1], domain=party.engagement.peer
    )
    return presentation(presentation={name: value for name, value in made.items() if name != "proof"})


def _no_credential(hire: Hire) -> Say:
    """A presentation that its holder signed, of a text among the credentials."""
    party = hire.provider
    made = party.actor.present(
        party.engagement.id, party.now, challenge=party.engagement.got[-1], domain=party.engagement.peer
    )
    config: Any = {name: value for name, value in made.pop("proof").items() if name != "proofValue"}
    made |= {"verifiableCredential": ["a credential"]}
    proof = make_proof(made, config, party.actor.signature(prepare(made, config, party.actor.kind)))
    return presentation(presentation={**made, "proof": proof})


def _by_web(key: Actor) -> Callable[[Hire], JsonObject]:
    """A credential of an issuer that is found under a name."""

    def made(hire: Hire) -> JsonObject:
        signed: Any = credential(hire, key, issuer=WEB)
        bare = {name: value for name, value in signed.items() if name != "proof"}
        posing = Actor("two witnesses")
        posing.method = f"{WEB}#key"
        return posing.issue(bare, FROM)

    return made


def _jwk_document(key: Actor, **members: Any) -> bytes:
    """The document of that issuer, with its key as a JWK that says this, too."""
    jwk = {**key.public_key.jwk, **members}
    method = {"id": f"{WEB}#key", "type": "JsonWebKey", "controller": WEB, "publicKeyJwk": jwk}
    return canonicalize({"id": WEB, "verificationMethod": [method], "assertionMethod": [method["id"]]})


Key = Actor | Party
"""Who signs texts."""


def signed_text(by: Key, header: JsonObject | bytes, payload: JsonObject | bytes) -> str:
    """Any header and payload with a signature of these bytes."""
    parts = [one if isinstance(one, bytes) else canonicalize(one) for one in (header, payload)]
    to_sign = ".".join(map(base64url_encode, parts))
    signature = by.sign(to_sign.encode()) if isinstance(by, Party) else by._key.sign(to_sign.encode()).signature
    return f"{to_sign}.{base64url_encode(signature)}"


def _header(by: Key, of: str = "vc", **members: Any) -> JsonObject:
    algorithm = "Ed25519" if isinstance(by, Actor) else {"P-256": "ES256", "P-384": "ES384"}[by.kind]
    header: JsonObject = {"alg": algorithm, "cty": of, "kid": by.method, "typ": f"{of}+jwt", **members}
    return {name: value for name, value in header.items() if value is not ...}


def text(
    hire: Hire,
    by: Key = ONE,
    *,
    header: JsonObject | None = None,
    as_payload: Callable[[JsonObject], JsonObject | bytes] = lambda payload: payload,
    then: Callable[[str], str] = lambda text: text,
    **claims: Any,
) -> JsonObject:
    """What an issuer says of the provider as a signed text, in its envelope; a claim that is `...` is not there."""
    payload = {name: value for name, value in credential(hire).items() if name != "proof"} | {"issuer": by.did}
    payload = {name: value for name, value in (payload | claims).items() if value is not ...}
    return enveloped_credential(then(signed_text(by, _header(by, **(header or {})), as_payload(payload))))


def _text(**changes: Any) -> Callable[[Hire], JsonObject]:
    return lambda hire: text(hire, **changes)


def text_bytes(**changes: Any) -> Callable[[Hire], tuple[bytes, ...]]:
    return lambda hire: (str(text(hire, **changes)["id"]).partition(",")[2].encode(),)


def list_text(by: Actor = ONE, then: Callable[[str], str] = lambda text: text, **changes: Any) -> bytes:
    """An issuer's list as a signed text."""
    return then(signed_text(by, _header(by), _listed(by, **changes))).encode()


def _presented_text(
    hire: Hire,
    *shown: Callable[[Hire], JsonObject],
    by: Actor | None = None,
    header: JsonObject | None = None,
    then: Callable[[str], str] = lambda text: text,
    **claims: Any,
) -> Say:
    """A presentation as a signed text; a claim that is `...` is not there."""
    party = hire.provider
    payload: JsonObject = build_presentation(
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01",
        holder=party.actor.did,
        engagement=party.engagement.id,
        credentials=[one(hire) for one in shown],
    )
    payload |= {"nonce": party.engagement.got[-1], "aud": party.engagement.peer} | claims
    signer = by or party.actor
    made = signed_text(
        signer,
        _header(signer, "vp", **(header or {})),
        {name: value for name, value in payload.items() if value is not ...},
    )
    return presentation(presentation=enveloped_presentation(then(made)))


def _flip_text(text: str) -> str:
    """One bit of the signature."""
    to_sign, _, signature = text.rpartition(".")
    return f"{to_sign}.{base64url_encode(_flip(base64url_decode(signature)))}"


def _flip(data: bytes) -> bytes:
    return data[:5] + bytes([data[5] ^ 1]) + data[6:]


def _other_s(text: str) -> str:
    """The other number that solves the same equation, of P-256."""
    to_sign, _, signature = text.rpartition(".")
    raw = base64url_decode(signature)
    return f"{to_sign}.{base64url_encode(raw[:32] + (P256_ORDER - int.from_bytes(raw[32:])).to_bytes(32))}"


def _neutral(text: str) -> str:
    to_sign, _, _ = text.rpartition(".")
    return f"{to_sign}.{base64url_encode(neutral_signature(ONE._key, to_sign.encode()))}"


def _payload(text: str, changes: JsonObject) -> str:
    """Another payload under the same signature."""
    head, body, signature = text.split(".")
    return f"{head}.{base64url_encode(canonicalize(json.loads(base64url_decode(body)) | changes))}.{signature}"


def _encoded(bits: bytes) -> str:
    return multibase_encode("u", gzip.compress(bits, mtime=0))


def _bytes(*made: Callable[[Hire], JsonObject]) -> Callable[[Hire], tuple[bytes, ...]]:
    return lambda hire: tuple(canonicalize(one(hire)) for one in made)


SUITE_OF_OTHERS: dict[str, Any] = {"type": "DataIntegrityProof", "cryptosuite": "eddsa-rdfc-2022"}
CREDENTIALS: dict[str, tuple[Callable[[], bytes], str]] = {
    "shown, clear and allowed": (lambda: packed(credential, lists=(status_list(),)), ""),
    "looked up": (lambda: packed(looked_up=_bytes(credential), lists=(status_list(),)), ""),
    "looked up, to its last second": (
        lambda: packed(
            looked_up=_bytes(lambda hire: credential(hire, validUntil=hire.book.clock.now())), lists=(status_list(),)
        ),
        "",
    ),
    "looked up, at no time": (lambda: packed(looked_up=_bytes(credential), lists=(status_list(),), at="today"), ""),
    "looked up, in another form, revoked and allowed": (
        lambda: packed(looked_up=lambda hire: (_spelled(credential(hire)),), lists=(status_list(places=(9,)),)),
        "revoked",
    ),
    "looked up, revoked by a list in another form": (
        lambda: packed(looked_up=_bytes(credential), lists=(_spelled(json.loads(status_list(places=(9,)))),)),
        "revoked",
    ),
    "an issuer under a name": (lambda: packed(_by_web(TWO), documents=(web_document(TWO),)), ""),
    "an issuer whose document is not here": (lambda: packed(_by_web(TWO)), ""),
    **{
        f"an issuer whose key is a JWK, {name}": (
            lambda members=members: packed(_by_web(TWO), documents=(_jwk_document(TWO, **members),)),
            code,
        )
        for name, members, code in (
            ("as it is", {}, ""),
            ("for signatures", {"use": "sig", "alg": "EdDSA", "key_ops": ["verify"]}, ""),
            ("whose kind is a list", {"kty": ["OKP"]}, "did_document_invalid"),
            ("whose curve is a list", {"crv": ["Ed25519"]}, "did_document_invalid"),
            ("whose use is null", {"use": None}, "did_document_invalid"),
            ("whose algorithm is null", {"alg": None}, "did_document_invalid"),
            ("whose operations are null", {"key_ops": None}, "did_document_invalid"),
        )
    },
    "not valid any more": (lambda: packed(lambda hire: credential(hire, validUntil=FROM)), ""),
    "not valid yet": (lambda: packed(lambda hire: credential(hire, validFrom=UNTIL)), ""),
    "a validity beyond our instants": (
        lambda: packed(lambda hire: credential(hire, validFrom=ANCIENT, validUntil=LAST), lists=(status_list(),)),
        "",
    ),
    "a list without an end of ours": (
        lambda: packed(credential, lists=(status_list(validFrom=ANCIENT, validUntil=LAST),)),
        "",
    ),
    "a list that was over before our instants": (
        lambda: packed(credential, lists=(status_list(places=(9,), validUntil=ANCIENT),)),
        "",
    ),
    "not valid yet, by a part of a second": (lambda: packed(lambda hire: credential(hire, validFrom=_just(hire))), ""),
    "signed before our instants": (lambda: packed(lambda hire: credential(hire, at="1999-12-31T23:59:59Z")), ""),
    "an offset of sixty minutes": (
        lambda: packed(lambda hire: credential(hire, validUntil="2099-01-01T00:00:00+10:60")),
        "schema_violation",
    ),
    "signed at an offset of sixty minutes": (
        lambda: packed(lambda hire: credential(hire, at="2020-01-01T00:00:00+10:60")),
        "schema_violation",
    ),
    "the hour after the last": (
        lambda: packed(lambda hire: credential(hire, validFrom="2020-01-01T24:00:00Z")),
        "schema_violation",
    ),
    "looked up, a comma before the end of a list": (
        lambda: packed(looked_up=lambda hire: (_with_comma(canonicalize(credential(hire))),)),
        "bad_json",
    ),
    "looked up, a number that is none": (
        lambda: packed(looked_up=lambda hire: (b'{"a":NaN,' + canonicalize(credential(hire))[1:],)),
        "bad_json",
    ),
    "a suite of others": (lambda: packed(lambda hire: {**credential(hire), "proof": SUITE_OF_OTHERS}), ""),
    "a suite of others in a list": (lambda: packed(lambda hire: {**credential(hire), "proof": [SUITE_OF_OTHERS]}), ""),
    "a proof in a list": (lambda: packed(lambda hire: _in_list(credential(hire))), ""),
    "a proof without context": (lambda: packed(_without_context), ""),
    "looked up, a context that is null": (
        lambda: packed(looked_up=_bytes(lambda hire: credential(hire, **{"@context": None}))),
        "proof_invalid",
    ),
    "two proofs": (lambda: packed(lambda hire: _in_list(credential(hire), 2)), "proof_invalid"),
    "not valid any more, another signature": (
        lambda: packed(lambda hire: _flipped(credential(hire, validUntil=FROM))),
        "proof_invalid",
    ),
    "nothing came of it": (lambda: packed(credential, sealed=False, outcome="deny"), ""),
    "nothing came of it, another signature": (
        lambda: packed(lambda hire: _flipped(credential(hire)), sealed=False, outcome="deny"),
        "",
    ),
    "nothing came of it, about another": (
        lambda: packed(lambda hire: credential(hire, credentialSubject={"id": TWO.did}), sealed=False, outcome="ask"),
        "",
    ),
    "nothing came of it, another challenge": (
        lambda: packed(
            say=lambda hire: _presented(hire, challenge=digest_bytes(b"another")), sealed=False, outcome="deny"
        ),
        "",
    ),
    "nothing came of it but a yes without it, another signature": (
        lambda: packed(lambda hire: _flipped(credential(hire)), sealed=False, inputs={}),
        "",
    ),
    "a contract came of it, another signature": (
        lambda: packed(lambda hire: _flipped(credential(hire)), outcome="deny"),
        "proof_invalid",
    ),
    "nothing came of it but a yes, another signature": (
        lambda: packed(lambda hire: _flipped(credential(hire)), sealed=False),
        "proof_invalid",
    ),
    **{
        f"a place that nobody looked up: {name}": (
            lambda by=by, status=status: packed(
                credential,
                lambda hire: credential(hire, by, credentialStatus=status),
                lists=(status_list(),),
                looked=1,
            ),
            "",
        )
        for name, by, status in (
            ("of another issuer", TWO, place()),
            ("no number", ONE, place(statusListIndex="x")),
            ("beyond the list", ONE, place(statusListIndex="131072")),
            ("of another purpose", ONE, place(statusPurpose="suspension")),
            ("nine", ONE, [place() for _ in range(9)]),
        )
    },
    "another signature": (lambda: packed(lambda hire: _flipped(credential(hire))), "proof_invalid"),
    "by a stranger": (lambda: packed(lambda hire: credential(hire, TWO, issuer=ONE.did)), "key_not_authorized"),
    "another key under the name": (
        lambda: packed(_by_web(TWO), documents=(web_document(ONE),)),
        "proof_invalid",
    ),
    "unsigned": (lambda: packed(lambda hire: {**credential(hire), "proof": []}), "proof_missing"),
    "signed to come": (lambda: packed(lambda hire: credential(hire, at=UNTIL)), "proof_from_future"),
    "about another": (
        lambda: packed(lambda hire: credential(hire, credentialSubject={"id": TWO.did, "capability": "sbom"})),
        "holder_mismatch",
    ),
    "about two": (
        lambda: packed(
            lambda hire: credential(hire, credentialSubject=[{"id": hire.provider.actor.did}, {"id": TWO.did}])
        ),
        "holder_mismatch",
    ),
    "subjects in a list": (
        lambda: packed(lambda hire: credential(hire, credentialSubject=[{"id": hire.provider.actor.did}] * 2)),
        "",
    ),
    "no times": (lambda: packed(lambda hire: _without_times(hire)), ""),
    "about nobody": (lambda: packed(lambda hire: credential(hire, credentialSubject="all")), "holder_mismatch"),
    "no time": (lambda: packed(lambda hire: credential(hire, validUntil="some day")), "schema_violation"),
    "no issuer": (lambda: packed(lambda hire: credential(hire, issuer=[])), "evidence_invalid"),
    "an issuer as an object": (
        lambda: packed(lambda hire: credential(hire, issuer={"id": ONE.did, "name": "One"})),
        "",
    ),
    "looked up, another signature": (
        lambda: packed(looked_up=_bytes(lambda hire: _flipped(credential(hire)))),
        "proof_invalid",
    ),
    "looked up, no JSON": (lambda: packed(looked_up=lambda _: (b"{",)), "bad_json"),
    "another challenge": (
        lambda: packed(say=lambda hire: _presented(hire, challenge=digest_bytes(b"another"))),
        "challenge_mismatch",
    ),
    "for another domain": (lambda: packed(say=lambda hire: _presented(hire, domain=TWO.did)), "challenge_mismatch"),
    "for another engagement": (
        lambda: packed(say=lambda hire: _presented(hire, engagement=f"urn:hire:engagement:{digest_bytes(b'another')}")),
        "wrong_negotiation",
    ),
    "of another holder": (lambda: packed(say=lambda hire: _presented(hire, by=TWO)), "holder_mismatch"),
    "nobody signed it": (lambda: packed(say=_unsigned), "proof_missing"),
    "shown, what is no credential": (
        lambda: packed(say=_no_credential),
        "evidence_invalid",
    ),
    "revoked and allowed": (lambda: packed(credential, lists=(status_list(places=(9,)),)), "revoked"),
    "revoked and denied": (lambda: packed(credential, lists=(status_list(places=(9,)),), outcome="deny"), ""),
    "another revoked": (lambda: packed(credential, lists=(status_list(places=(8, 10)),)), ""),
    "revoked in a list that was not looked at": (
        lambda: packed(credential, beside={"statuses": (status_list(places=(9,)),)}),
        "",
    ),
    "revoked, and looked up by nobody": (lambda: packed(credential, lists=(status_list(places=(9,)),), looked=0), ""),
    "no place, of a member that no decision names": (
        lambda: packed(
            lists=(status_list(),),
            beside={"credentials": (canonicalize(credential(Hire(), credentialStatus=place(statusListIndex="x"))),)},
        ),
        "status_invalid",
    ),
    "a list of another issuer": (lambda: packed(credential, lists=(status_list(TWO),)), "status_unavailable"),
    "a list that is signed by another": (
        lambda: packed(credential, lists=(status_list(TWO, issuer=ONE.did),)),
        "key_not_authorized",
    ),
    "a list of another place": (lambda: packed(credential, lists=(status_list(id=f"{LIST}2", places=(9,)),)), ""),
    "a list that was over": (lambda: packed(credential, lists=(status_list(places=(9,), validUntil=FROM),)), ""),
    "a list that is none": (
        lambda: packed(credential, lists=(status_list(type=["VerifiableCredential"]),)),
        "status_invalid",
    ),
    "a list that is no gzip": (lambda: packed(credential, lists=(status_list(encoded="uAAAA"),)), "status_invalid"),
    "a list that is no multibase": (lambda: packed(credential, lists=(status_list(encoded="z2"),)), "status_invalid"),
    "a short list": (lambda: packed(credential, lists=(status_list(encoded=_encoded(b"abc")),)), "status_invalid"),
    "a long list": (
        lambda: packed(credential, lists=(status_list(encoded=_encoded(bytes(4 * 1024 * 1024 + 1))),)),
        "status_invalid",
    ),
    "a list within a list": (
        lambda: packed(credential, lists=(status_list(encoded=_encoded(b"\x1f\x8b\x08" + bytes(20_000))),)),
        "status_invalid",
    ),
    "more after the list": (
        lambda: packed(
            credential,
            lists=(status_list(encoded=multibase_encode("u", gzip.compress(bytes(16 * 1024)) + b"more")),),
        ),
        "status_invalid",
    ),
    "no place": (
        lambda: packed(
            lambda hire: credential(hire, credentialStatus=place(statusListIndex="x")),
            lists=(status_list(),),
        ),
        "status_invalid",
    ),
    "a place beyond the list": (
        lambda: packed(
            lambda hire: credential(hire, credentialStatus=[place(statusListIndex="131072")]),
            lists=(status_list(),),
        ),
        "status_invalid",
    ),
    **{
        f"a place of another kind, {name}": (
            lambda changes=changes: packed(
                looked_up=_bytes(lambda hire: credential(hire, credentialStatus=place(**changes))),
                lists=(status_list(places=(9,)),),
            ),
            "",
        )
        for name, changes in {
            "type": {"type": "StatusList2021Entry"},
            "purpose": {"statusPurpose": "message"},
            "size": {"statusSize": 2},
            "no size": {"statusSize": None},
        }.items()
    },
    "a place of another kind, and one that is set": (
        lambda: packed(
            lambda hire: credential(hire, credentialStatus=[place(statusPurpose="message"), place()]),
            lists=(status_list(places=(9,)),),
        ),
        "revoked",
    ),
    "a place in another list, and one that is set": (
        lambda: packed(
            lambda hire: credential(
                hire, credentialStatus=[place(statusListCredential=f"{LIST}2"), "no place", place()]
            ),
            lists=(status_list(places=(9,)),),
        ),
        "revoked",
    ),
    "a place that is set, and one that is not": (
        lambda: packed(
            lambda hire: credential(hire, credentialStatus=[place(), place(statusListIndex="8")]),
            lists=(status_list(places=(9,)),),
        ),
        "revoked",
    ),
    "a place of one bit": (
        lambda: packed(
            looked_up=_bytes(lambda hire: credential(hire, credentialStatus=place(statusSize=1))),
            lists=(status_list(places=(9,)),),
        ),
        "revoked",
    ),
    "a place of another purpose than the list's": (
        lambda: packed(
            lambda hire: credential(hire, credentialStatus=place(statusPurpose="suspension")),
            lists=(status_list(statusPurpose="revocation"),),
        ),
        "status_invalid",
    ),
    "nine places": (
        lambda: packed(lambda hire: credential(hire, credentialStatus=[place()] * 9), lists=(status_list(),)),
        "status_invalid",
    ),
    "a list for both": (
        lambda: packed(
            lambda hire: credential(hire, credentialStatus=place(statusPurpose="suspension")),
            lists=(status_list(places=(9,), statusPurpose=["revocation", "suspension"]),),
        ),
        "revoked",
    ),
    **{
        f"a list with another {name}": (
            lambda subject=subject: packed(credential, lists=(status_list(**subject),)),
            code,
        )
        for name, subject, code in (
            ("type of its subject", {"subject_type": "StatusList2021"}, "status_invalid"),
            ("purpose: none", {"statusPurpose": []}, "status_invalid"),
            ("purpose: a number", {"statusPurpose": 7}, "status_invalid"),
            ("ttl: text", {"ttl": "60000"}, "status_invalid"),
            ("ttl: below 0", {"ttl": -1}, "status_invalid"),
            ("ttl: a part", {"ttl": 0.5}, "status_invalid"),
            ("ttl: nothing", {"ttl": None}, "status_invalid"),
            ("ttl: 0", {"ttl": 0}, ""),
            ("status", {"credentialStatus": place()}, "status_invalid"),
            ("subject: two", {"credentialSubject": [{}, {}]}, "status_invalid"),
            ("id: none", {"id": None}, ""),
        )
    },
    "a list above 1 MiB": (
        lambda: packed(credential, lists=(status_list(encoded="u" + "A" * 1024 * 1024),)),
        "too_large",
    ),
    "a decision about another": (lambda: packed(credential, peer=TWO.did), "evidence_invalid"),
    "a decision from another presentation": (
        lambda: packed(credential, inputs={"presentation": digest_bytes(b"another")}),
        "evidence_invalid",
    ),
    "a policy silently missing": (lambda: packed(credential, beside={"policies": ()}), "evidence_invalid"),
    "another policy": (lambda: packed(credential, beside={"policies": (b"{}",)}), "evidence_invalid"),
    "a policy with a space": (
        lambda: packed(credential, beside={"policies": (POLICY, b'{"a": 1}')}),
        "evidence_invalid",
    ),
    "a policy with a number of two spellings": (
        lambda: packed(credential, beside={"policies": (POLICY, b'{"a":1.0}')}),
        "evidence_invalid",
    ),
    "a policy that is a list": (lambda: packed(credential, beside={"policies": (POLICY, b"[]")}), "evidence_invalid"),
    "a policy withheld": (
        lambda: packed(credential, beside={"policies": (), "withheld": withheld(("policy", POLICY))}),
        "",
    ),
    "a credential silently missing": (
        lambda: packed(looked_up=_bytes(credential), beside={"credentials": ()}),
        "evidence_invalid",
    ),
    "a credential withheld": (
        lambda: packed(
            looked_up=_bytes(credential), beside={"credentials": (), "withheld": withheld(("credential", b"it"))}
        ),
        "",
    ),
    "a list silently missing": (
        lambda: packed(credential, lists=(status_list(),), beside={"statuses": ()}),
        "evidence_invalid",
    ),
    "a policy withheld and another missing": (
        lambda: packed(
            credential,
            lists=(status_list(),),
            beside={"policies": (), "statuses": (), "withheld": withheld(("policy", POLICY))},
        ),
        "evidence_invalid",
    ),
    "a decision from what is no digest": (
        lambda: packed(credential, inputs={"lookedUp": [{}, [], 7, None], "statusLists": [{}], "policy": {}}),
        "",
    ),
    "a decision that is none": (lambda: packed(credential, inputs=[], at=7, peer=None), "evidence_invalid"),
}
"""Packs and the code that refuses them, if any."""

P256, P384 = Party("an office", "P-256"), Party("an office", "P-384")
SECONDS = 1_577_836_800
"""FROM."""
FAR = 4_070_908_800
"""UNTIL."""


def _by_web_text(hire: Hire) -> JsonObject:
    return text(hire, TWO, header={"kid": f"{WEB}#key"}, issuer=WEB)


def _wrong_claims() -> Iterator[tuple[str, JsonObject, str]]:
    """Claims of a credential, and what they are refused with."""
    yield "iss", {"iss": TWO.did}, "schema_violation"
    yield "iss of another type", {"iss": [ONE.did]}, "schema_violation"
    yield "sub", {"sub": TWO.did}, "schema_violation"
    yield "no sub", {"sub": None}, "schema_violation"
    yield "jti", {"id": "urn:example:one", "jti": "urn:example:two"}, "schema_violation"
    yield "jti and no id", {"jti": None}, "schema_violation"
    yield "jti as a number", {"id": 1, "jti": True}, "schema_violation"
    yield "vc", {"vc": {}}, "schema_violation"
    yield "vp", {"vp": None}, "schema_violation"
    yield "aud", {"aud": "did:web:globex.example"}, "schema_violation"
    yield "cnf", {"cnf": {}}, "schema_violation"
    yield "nonce", {"nonce": "x"}, "schema_violation"
    yield "proof", {"proof": {}}, "schema_violation"
    yield "exp as text", {"exp": str(FAR)}, "schema_violation"
    yield "exp with a part", {"exp": FAR + 0.5}, "schema_violation"
    yield "exp before our time", {"exp": 946_684_800}, "schema_violation"
    yield "exp beyond it", {"exp": 32_503_680_000}, "schema_violation"
    yield "nbf that is true", {"nbf": True}, "schema_violation"
    yield "nbf that is null", {"nbf": None}, "schema_violation"
    yield "iat before our time", {"iat": 0}, "schema_violation"
    yield "iat to come", {"iat": FAR}, "proof_from_future"
    yield "validUntil", {"validUntil": "some day"}, "schema_violation"
    yield "validFrom that is null", {"validFrom": None, "nbf": SECONDS}, "schema_violation"
    yield "no issuer", {"issuer": ...}, "evidence_invalid"
    yield "another subject", {"credentialSubject": {"id": TWO.did}}, "holder_mismatch"


def _wrong_headers() -> Iterator[tuple[str, JsonObject, str]]:
    yield "alg none", {"alg": "none"}, "suite_not_allowed"
    yield "a shared secret", {"alg": "HS256"}, "suite_not_allowed"
    yield "no alg", {"alg": ...}, "suite_not_allowed"
    yield "alg of the language", {"alg": "constructor"}, "suite_not_allowed"
    yield "alg of another kind", {"alg": "ES256"}, "suite_not_allowed"
    yield "alg of another length", {"alg": "ES384"}, "proof_invalid"
    yield "typ of a presentation", {"typ": "vp+jwt"}, "proof_purpose_mismatch"
    yield "no typ", {"typ": ...}, "proof_purpose_mismatch"
    yield "cty of a presentation", {"cty": "vp"}, "proof_purpose_mismatch"
    yield "cty that is null", {"cty": None}, "proof_purpose_mismatch"
    yield "a key of its own", {"jwk": {}}, "unknown_term"
    yield "crit", {"crit": []}, "unknown_term"
    yield "kid of another", {"kid": TWO.method}, "key_not_authorized"
    yield "kid of no method", {"kid": f"{ONE.did}#another"}, "key_not_authorized"
    yield "kid without a fragment", {"kid": ONE.did}, "key_not_authorized"
    yield "kid that is no URL", {"kid": "key 1#"}, "key_not_authorized"
    yield "no kid", {"kid": ...}, "key_not_authorized"
    yield "a long kid", {"kid": f"{ONE.did}#{'k' * 4000}"}, "too_large"


def _wrong_texts() -> Iterator[tuple[str, Callable[[str], str], str]]:
    """What becomes of a text, and what it is refused with."""
    yield "one bit of the signature", _flip_text, "proof_invalid"
    yield "a claim changed", lambda it: _payload(it, {"validUntil": "2999-01-01T00:00:00Z"}), "proof_invalid"
    yield "a claim more", lambda it: _payload(it, {"exp": FAR}), "proof_invalid"
    yield "no signature", lambda it: it.rpartition(".")[0] + ".", "proof_invalid"
    yield "a short signature", lambda it: it[:-86] + "A" * 84, "proof_invalid"
    yield "an R of small order", _neutral, "proof_invalid"
    yield "two parts", lambda it: it.rpartition(".")[0], "schema_violation"
    yield "four parts", lambda it: it + ".", "schema_violation"
    yield "padding", lambda it: it + "==", "schema_violation"
    yield "another alphabet", lambda it: it[:-1] + "+", "schema_violation"
    yield "a space", lambda it: it + " ", "schema_violation"
    yield "nothing", lambda _: "", "schema_violation"
    yield "too long", lambda it: it + "A" * 100_000, "too_large"


def _wrong_envelopes() -> Iterator[tuple[str, Callable[[JsonObject], JsonObject], str]]:
    yield "a member more", lambda one: {**one, "name": "x"}, "unknown_term"
    contexts = ["https://www.w3.org/ns/credentials/v2", "https://w3id.org/hire/v1"]
    yield "another context", lambda one: {**one, "@context": contexts}, "context_not_allowed"
    yield "no context", lambda one: {name: one[name] for name in ("id", "type")}, "context_not_allowed"
    yield "two types", lambda one: {**one, "type": [one["type"], "EndorsementCredential"]}, "schema_violation"
    yield "a parameter", lambda one: {**one, "id": str(one["id"]).replace(",", ";a=b,", 1)}, "schema_violation"
    yield "no URL", lambda one: {**one, "id": 7}, "schema_violation"
    yield "another kind of URL", lambda one: {**one, "id": str(one["id"]).replace("vc+", "vp+")}, "schema_violation"


def _wrong_answers() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Presentations as texts."""
    yield "another nonce", {"nonce": digest_bytes(b"another")}, "challenge_mismatch"
    yield "no nonce", {"nonce": ...}, "challenge_mismatch"
    yield "another aud", {"aud": TWO.did}, "challenge_mismatch"
    yield "aud as a list", {"aud": [TWO.did]}, "challenge_mismatch"
    yield "another engagement", {"engagement": f"urn:hire:engagement:{digest_bytes(b'another')}"}, "wrong_negotiation"
    yield "another holder", {"holder": TWO.did}, "holder_mismatch"
    yield "signed by another", {"by": TWO}, "key_not_authorized"
    yield "signed by another in its name", {"by": TWO, "header": {"kid": ...}}, "key_not_authorized"
    yield "a member more", {"termsOfUse": []}, "unknown_term"
    yield "a proof", {"proof": {}}, "unknown_term"
    yield "sub", {"sub": ONE.did}, "unknown_term"
    yield "iss", {"iss": TWO.did}, "schema_violation"
    yield "jti", {"jti": "urn:example:two"}, "schema_violation"
    yield "past", {"exp": SECONDS}, "proof_expired"
    yield "not yet", {"nbf": FAR}, "proof_from_future"
    yield "signed to come", {"iat": FAR}, "proof_from_future"
    yield "typ of a credential", {"header": {"typ": "vc+jwt"}}, "proof_purpose_mismatch"
    yield "alg none", {"header": {"alg": "none"}}, "suite_not_allowed"
    yield "one bit of the signature", {"then": _flip_text}, "proof_invalid"
    yield "an envelope in it", {"type": "EnvelopedVerifiablePresentation"}, "schema_violation"


TEXTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "shown, clear and allowed": (lambda: packed(_text(), lists=(status_list(),)), ""),
    "of P-256": (lambda: packed(_text(by=P256)), ""),
    "of P-384": (lambda: packed(_text(by=P384)), ""),
    "the other s of P-256": (lambda: packed(_text(by=P256, then=_other_s)), ""),
    "one bit of P-256": (lambda: packed(_text(by=P256, then=_flip_text)), "proof_invalid"),
    "one bit of P-384": (lambda: packed(_text(by=P384, then=_flip_text)), "proof_invalid"),
    "a method of another DID": (
        lambda: packed(_text(by=P256, header={"kid": P384.method})),
        "key_not_authorized",
    ),
    "by the old name, without cty": (lambda: packed(_text(header={"alg": "EdDSA", "cty": ...})), ""),
    "every claim": (
        lambda: packed(
            lambda hire: text(
                hire,
                id="urn:example:one",
                **{"jti": "urn:example:one", "iss": ONE.did, "sub": hire.provider.actor.did},
                **{"iat": SECONDS, "nbf": SECONDS, "exp": FAR},
            )
        ),
        "",
    ),
    "numbers spelled in another way": (
        lambda: packed(_text(as_payload=lambda one: canonicalize(one)[:-1] + b',"exp":%d.0,"nbf":1.5778368e9}' % FAR)),
        "",
    ),
    "a validity beyond our instants": (lambda: packed(_text(validFrom=ANCIENT, validUntil=LAST)), ""),
    "an offset beyond those that there are": (
        lambda: packed(_text(validUntil="2099-01-01T00:00:00+14:01")),
        "schema_violation",
    ),
    "a comma before the end of a list": (
        lambda: packed(_text(as_payload=lambda one: _with_comma(canonicalize(one)))),
        "bad_json",
    ),
    "past by exp": (lambda: packed(_text(exp=SECONDS + 1)), ""),
    "to its last second, which is its first": (
        lambda: packed(lambda hire: text(hire, nbf=_seconds(hire), exp=_seconds(hire) + 1)),
        "",
    ),
    "not yet by nbf": (lambda: packed(_text(nbf=FAR)), ""),
    "past by validUntil": (lambda: packed(_text(validUntil=FROM, exp=FAR)), ""),
    "an issuer whose document is not here": (lambda: packed(_by_web_text), ""),
    "an issuer under a name": (lambda: packed(_by_web_text, documents=(web_document(TWO),)), ""),
    "another key under the name": (lambda: packed(_by_web_text, documents=(web_document(ONE),)), "proof_invalid"),
    "looked up": (lambda: packed(looked_up=text_bytes(), lists=(status_list(),)), ""),
    "looked up, one bit": (lambda: packed(looked_up=text_bytes(then=_flip_text)), "proof_invalid"),
    "looked up, in an envelope": (lambda: packed(looked_up=_bytes(_text())), ""),
    "looked up, no text": (lambda: packed(looked_up=lambda _: (b"\xff\x00.e30.AAAA",)), "schema_violation"),
    "looked up, something short": (
        lambda: packed(looked_up=lambda _: (b"eyJhbGciOiJFZERTQSJ9.e30.AAAA",)),
        "proof_purpose_mismatch",
    ),
    "looked up, of as many letters as are taken, each of four bytes": (
        lambda: packed(looked_up=_bytes(lambda _: enveloped_credential("\U0001f600" * 92_000))),
        "schema_violation",
    ),
    "looked up, silently missing": (
        lambda: packed(looked_up=text_bytes(), beside={"credentials": ()}),
        "evidence_invalid",
    ),
    "revoked and allowed": (lambda: packed(_text(), lists=(status_list(places=(9,)),)), "revoked"),
    "revoked and denied": (lambda: packed(_text(), lists=(status_list(places=(9,)),), outcome="deny"), ""),
    "a list": (lambda: packed(credential, lists=(list_text(),)), ""),
    "a list that speaks against a text": (lambda: packed(_text(), lists=(list_text(places=(9,)),)), "revoked"),
    "a list, one bit": (lambda: packed(credential, lists=(list_text(then=_flip_text),)), "proof_invalid"),
    "a list that was over": (lambda: packed(credential, lists=(list_text(exp=SECONDS + 1),)), ""),
    "a list that is none": (
        lambda: packed(credential, lists=(list_text(type=["VerifiableCredential"]),)),
        "status_invalid",
    ),
    "a long list": (
        lambda: packed(credential, lists=(list_text(encoded=_encoded(bytes(16_384) + Random(3).randbytes(100_000))),)),
        "",
    ),
    "a list that is too large": (
        lambda: packed(credential, lists=(list_text(encoded="u" + "A" * 1_048_600),)),
        "too_large",
    ),
    "a credential as long as a list": (
        lambda: packed(looked_up=text_bytes(name="x" * 70_000)),
        "too_large",
    ),
    "a large payload": (lambda: packed(_text(name="x" * 70_000)), "too_large"),
    "a payload that is no object": (lambda: packed(_text(as_payload=lambda _: b"[]")), "schema_violation"),
    "a name twice": (
        lambda: packed(_text(as_payload=lambda one: b'{"issuer":"x",' + canonicalize(one)[1:])),
        "bad_json",
    ),
    "an envelope in it": (
        lambda: packed(lambda hire: enveloped_credential(signed_text(ONE, _header(ONE), text(hire)))),
        "schema_violation",
    ),
    "a presentation": (lambda: packed(say=lambda hire: _presented_text(hire, credential, _text())), ""),
    "a presentation without cty": (
        lambda: packed(say=lambda hire: _presented_text(hire, header={"cty": ..., "alg": "EdDSA"})),
        "",
    ),
    "a presentation with every claim": (
        lambda: packed(
            say=lambda hire: _presented_text(
                hire,
                **{"iss": hire.provider.actor.did, "jti": "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01"},
                **{"iat": SECONDS, "nbf": SECONDS, "exp": FAR},
            )
        ),
        "",
    ),
    "a presentation of a credential, one bit": (
        lambda: packed(say=lambda hire: _presented_text(hire, _text(then=_flip_text))),
        "proof_invalid",
    ),
    **{
        f"a presentation, {name}": (
            lambda changes=changes: packed(say=lambda hire: _presented_text(hire, **changes)),
            code,
        )
        for name, changes, code in _wrong_answers()
    },
    **{
        f"claims: {name}": (lambda claims=claims: packed(_text(**claims)), code)
        for name, claims, code in _wrong_claims()
    },
    **{
        f"header: {name}": (lambda header=header: packed(_text(header=header)), code)
        for name, header, code in _wrong_headers()
    },
    **{f"text: {name}": (lambda then=then: packed(_text(then=then)), code) for name, then, code in _wrong_texts()},
    **{
        f"envelope: {name}": (lambda change=change: packed(lambda hire: change(text(hire))), code)
        for name, change, code in _wrong_envelopes()
    },
}
"""The same of what is signed as a text."""

OF_TEXTS = ("credential", "status", "jwt-signature", "jwt-none", "jwt-key")
"""Kinds of tampering with one that was looked up."""


def resigned(count: int) -> Iterator[Case]:
    """What an issuer signs of which one value is of another shape: header or payload of a text, or what has a proof."""
    dice = Random(11)
    for number in range(examples(count)):
        hire = Hire()
        said: JsonObject = {name: value for name, value in credential(hire).items() if name != "proof"}
        listed = _listed(ONE, places=(9,))
        header = _header(ONE)
        which = dice.choice(["credential", "list", "header"])
        if which == "credential":
            said |= {"iss": ONE.did, "sub": hire.provider.actor.did, "nbf": SECONDS, "exp": FAR}
            said = json.loads(changed_somewhere(said, dice))
        elif which == "list":
            listed = json.loads(changed_somewhere(listed, dice))
        else:
            header = json.loads(changed_somewhere(header, dice))
        if dice.random() < 0.5:
            made = signed_text(ONE, header, said).encode(), signed_text(ONE, _header(ONE), listed).encode()
        else:
            made = canonicalize(ONE.issue(said, FROM)), canonicalize(ONE.issue(listed, FROM))
        looked, told = made
        outcome = dice.choice(["allow", "deny"])
        pack = packed(looked_up=lambda _, looked=looked: (looked,), lists=(told,), outcome=outcome)
        yield Case(f"resigned {number}: {which}", pack)


def credentials() -> Iterator[Case]:
    """All of them, and what somebody without a key makes of one."""
    for name, (make, _) in (CREDENTIALS | {f"text, {name}": made for name, made in TEXTS.items()}).items():
        yield Case(name, make())
    packs = [CREDENTIALS[name][0]() for name in ("looked up", "shown, clear and allowed")]
    for within, count in (("credentials/", 60), ("status/", 60), ("decisions/", 40)):
        yield from spoiled_ones(packs if within != "credentials/" else packs[:1], examples(count), within)
    yield Case("a credential, changed", tamper(CREDENTIALS["looked up"][0](), "credential"))
    yield Case("a status list, changed", tamper(CREDENTIALS["looked up"][0](), "status"))
    for what in OF_TEXTS:
        yield Case(f"a text: {what}", tamper(TEXTS["looked up"][0](), what))
