"""Packs with presentations, credentials, status lists and decisions that hold, and such that must not."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

from pack_cases import ONE, TWO, WEB, Case, spoiled_ones, web_document, withheld
from packs import Hire
from undersigned.credentials import build_status_list
from undersigned.encoding import JsonObject, canonicalize, digest_bytes, multibase_encode
from undersigned.evidence import tamper
from undersigned.messages import Presentation
from undersigned.testing import Actor, Say, presentation

CHECKED = 10
"""Number of the step."""
LIST = "https://issuer.example/list/1"
POLICY = b'{"name":"a policy","version":"1"}'
FROM, UNTIL = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"


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
            "credentialStatus": {
                "id": f"{LIST}#9",
                "type": "BitstringStatusListEntry",
                "statusPurpose": "revocation",
                "statusListIndex": "9",
                "statusListCredential": LIST,
            },
            **members,
        },
        at,
    )


def status_list(by: Actor = ONE, *, places: tuple[int, ...] = (), encoded: str = "", **members: Any) -> bytes:
    """An issuer's list, in which these places are set."""
    bits = bytearray(16 * 1024)
    for place in places:
        bits[place >> 3] |= 0x80 >> (place & 7)
    made: Any = build_status_list(
        url=LIST, issuer=by.did, bits=bits, valid_from=FROM, valid_until=UNTIL, ttl_seconds=60
    )
    if encoded:
        made["credentialSubject"]["encodedList"] = encoded
    return canonicalize(by.issue({**made, **members}, FROM))


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
    **said: Any,
) -> bytes:
    """A whole hire in which the provider shows this, and the hirer decided with these lists; `beside` is what the pack
    has in place of what was decided from.
    """
    made: list[JsonObject] = []

    def present(hire: Hire) -> Say:
        made.extend(one(hire) for one in shown)
        return say(hire) if say else presentation(*made)

    hire = Hire(shown=present)
    also = looked_up(hire)
    looked = (*(_digest(one) for one in made), *map(digest_bytes, also))
    decided = decision(hire, looked=looked, lists=tuple(map(digest_bytes, lists)), **said)
    members = {"credentials": also, "statuses": lists, "policies": (POLICY,), **(beside or {})}
    return hire.whole().pack(documents=documents, decisions=(decided,), **members)


def _digest(shown: JsonObject) -> str:
    """Of a credential as it is shown."""
    if shown["type"] == "EnvelopedVerifiableCredential":
        return digest_bytes(str(shown["id"]).partition(",")[2].encode())
    return digest_bytes(canonicalize(shown))


def _flipped(document: JsonObject) -> JsonObject:
    proof: Any = document["proof"]
    value = proof["proofValue"]
    return {**document, "proof": {**proof, "proofValue": value[:-1] + ("2" if value[-1] != "2" else "3")}}


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


def _by_web(key: Actor) -> Callable[[Hire], JsonObject]:
    """A credential of an issuer that is found under a name."""

    def made(hire: Hire) -> JsonObject:
        signed: Any = credential(hire, key, issuer=WEB)
        bare = {name: value for name, value in signed.items() if name != "proof"}
        posing = Actor("two witnesses")
        posing.method = f"{WEB}#key"
        return posing.issue(bare, FROM)

    return made


def _encoded(bits: bytes) -> str:
    return multibase_encode("u", gzip.compress(bits, mtime=0))


def _bytes(*made: Callable[[Hire], JsonObject]) -> Callable[[Hire], tuple[bytes, ...]]:
    return lambda hire: tuple(canonicalize(one(hire)) for one in made)


SUITE_OF_OTHERS: dict[str, Any] = {"type": "DataIntegrityProof", "cryptosuite": "eddsa-rdfc-2022"}
CREDENTIALS: dict[str, tuple[Callable[[], bytes], str]] = {
    "shown, clear and allowed": (lambda: packed(credential, lists=(status_list(),)), ""),
    "looked up": (lambda: packed(looked_up=_bytes(credential), lists=(status_list(),)), ""),
    "an issuer under a name": (lambda: packed(_by_web(TWO), documents=(web_document(TWO),)), ""),
    "an issuer whose document is not here": (lambda: packed(_by_web(TWO)), ""),
    "not valid any more": (lambda: packed(lambda hire: credential(hire, validUntil=FROM)), ""),
    "not valid yet": (lambda: packed(lambda hire: credential(hire, validFrom=UNTIL)), ""),
    "a suite of others": (lambda: packed(lambda hire: {**credential(hire), "proof": SUITE_OF_OTHERS}), ""),
    "a text": (lambda: packed(looked_up=lambda _: (b"eyJhbGciOiJFZERTQSJ9.e30.AAAA",)), ""),
    "a list that is a text": (lambda: packed(credential, lists=(b"eyJhbGciOiJFZERTQSJ9.e30.AAAA",)), ""),
    "enveloped": (
        lambda: packed(lambda _: {"type": "EnvelopedVerifiableCredential", "id": "data:application/vc+jwt,eyJh"}),
        "",
    ),
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
    "revoked and allowed": (lambda: packed(credential, lists=(status_list(places=(9,)),)), "revoked"),
    "revoked and denied": (lambda: packed(credential, lists=(status_list(places=(9,)),), outcome="deny"), ""),
    "another revoked": (lambda: packed(credential, lists=(status_list(places=(8, 10)),)), ""),
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
            lambda hire: credential(hire, credentialStatus={"statusListIndex": "x", "statusListCredential": LIST}),
            lists=(status_list(),),
        ),
        "status_invalid",
    ),
    "a place beyond the list": (
        lambda: packed(
            lambda hire: credential(
                hire, credentialStatus=[{"statusListIndex": "131072", "statusListCredential": LIST}]
            ),
            lists=(status_list(),),
        ),
        "status_invalid",
    ),
    "a decision about another": (lambda: packed(credential, peer=TWO.did), "evidence_invalid"),
    "a decision from another presentation": (
        lambda: packed(credential, inputs={"presentation": digest_bytes(b"another")}),
        "evidence_invalid",
    ),
    "a policy silently missing": (lambda: packed(credential, beside={"policies": ()}), "evidence_invalid"),
    "another policy": (lambda: packed(credential, beside={"policies": (b"{}",)}), "evidence_invalid"),
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
    "a decision that is none": (lambda: packed(credential, inputs=[], at=7, peer=None), "evidence_invalid"),
}
"""Packs and the code that refuses them, if any."""


def credentials() -> Iterator[Case]:
    """All of them, and what somebody without a key makes of one."""
    for name, (make, _) in CREDENTIALS.items():
        yield Case(name, make())
    packs = [CREDENTIALS[name][0]() for name in ("looked up", "shown, clear and allowed")]
    for within, count in (("credentials/", 60), ("status/", 60), ("decisions/", 40)):
        yield from spoiled_ones(packs if within != "credentials/" else packs[:1], count, within)
    yield Case("a credential, changed", tamper(CREDENTIALS["looked up"][0](), "credential"))
    yield Case("a status list, changed", tamper(CREDENTIALS["looked up"][0](), "status"))
