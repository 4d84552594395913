"""Vectors of single messages: JSON, proofs, addresses. What a schema refuses is in `schemas/examples/invalid`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from example_messages import conversation
from example_parties import BEGIN, HIRER, PROVIDER, Party, nonce
from vector_parts import (
    ED25519_ORDER,
    EcParty,
    OddParty,
    Vector,
    changed,
    content_of,
    good,
    intermediates,
    message_case,
    resigned,
    signers,
    with_signature,
    without_context,
)

from undersigned.encoding import base58_decode, canonicalize, digest_bytes, digest_of, multibase_encode, shift
from undersigned.messages import engagement_id

__all__ = ["message_vectors"]

SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")
SAYS = {
    "inquiry": "a hirer's need, the first message",
    "profile": "the answer, with suite and version chosen",
    "presentation-hirer": "the hirer shows itself and asks",
    "presentation-provider": "the provider shows itself",
    "offer": "the first document on the table",
    "offer-counter": "a counter-offer",
    "acceptance": "the second signature",
    "seal": "the contract is made",
    "withdraw": "the end of a negotiation",
    "withdraw-capacity": "no room: when there is some again, at the latest",
    "closing-capacity": "the provider's books, with what it said it takes at a time and what came of it",
    "withdraw-needed": "an end that says what would change it",
    "start": "work begins",
    "cancel": "the hirer asks to stop",
    "terminate": "a missed deadline ends it",
    "terminate-revoked": "a revoked credential ends it",
    "terminate-breach": "a breach that was not cured ends it",
    "suspend": "no authority for now",
    "resume": "it goes on",
    "approvalrequest": "the provider asks whether it may",
    "approval": "it may, twice",
    "approval-refused": "it may not",
    "breach": "a clause was broken, and there is time to cure it",
    "offer-amendment": "other terms for the contract on the table",
    "acceptance-amendment": "the second signature on them",
    "seal-amendment": "they are in force",
    "offer-release": "both would let each other go",
    "dispute": "the arbiter is asked",
    "ruling": "what the arbiter decided",
    "delivery": "what was made",
    "review": "the verdict",
    "closing-hirer": "the hirer's books",
    "closing-provider": "the provider's books",
    "offer-head": "an offer that states its sender's log, and that it continues what was stated before",
    "acceptance-cosigning": "an acceptance that cosigns the offerer's log",
    "seal-cosigning": "a seal that cosigns the acceptor's log",
    "closing-cosigning": "the provider's books, with a cosignature and the proof that its log goes on",
    "receipt-waiting": "recorded, and a person decides",
    "receipt-inclusion": "an inclusion proof",
    "problem": "a refusal for good",
    "problem-retryable": "a refusal for now",
    "sync": "where a side stands",
    "progress": "work goes on, with a cursor",
    "progress-bare": "a sign of life",
    "inquiry-tender": "the first message of a tender",
    "bid": "a sealed bid",
}


def message_vectors() -> Iterator[Vector]:
    """All of them."""
    yield from _good()
    yield from _json()
    yield from _proofs()
    yield from _addresses()
    yield from _said_once()


def _good() -> Iterator[Vector]:
    for suite in SUITES:
        for name, said in conversation(suite).items():
            yield good(f"messages/{suite}/{name}", said, SAYS[name])
    inquiry = json.loads(conversation()["inquiry"].raw)
    for kind in ("P-256", "P-384"):
        for suite in ("ecdsa-jcs-2019", "ecdsa-rdfc-2019"):
            party = EcParty("hirer", kind)
            asked = _by(inquiry, party, suite)
            content = content_of(asked)
            yield Vector(
                f"messages/{suite}/inquiry-{kind.lower()}",
                f"a hirer whose key is {kind}",
                canonicalize(asked),
                message_case(asked["proof"]["created"], asked["recipient"], party),
                {"type": "Inquiry", "digest": digest_of(content), **intermediates(content, asked["proof"], kind)},
            )


def _by(inquiry: dict[str, Any], party: EcParty, suite: str) -> dict[str, Any]:
    """The inquiry of another hirer."""
    engagement = engagement_id(party.did, inquiry["recipient"], inquiry["nonce"])
    asked = changed(inquiry, sender=party.did, engagement=engagement, suites=[suite])
    return resigned(asked, party, cryptosuite=suite)


def _refused(
    name: str, says: str, message: dict[str, Any] | bytes, code: str, of: str = "Inquiry", **case: Any
) -> Vector:
    raw = message if isinstance(message, bytes) else canonicalize(message)
    now = case.pop("now", shift(BEGIN, 60))
    recipient = case.pop("recipient", PROVIDER.did)
    return Vector(
        f"messages/refused/{name}", says, raw, message_case(now, recipient, **case), {"type": of, "code": code}
    )


def _json() -> Iterator[Vector]:
    raw = conversation()["inquiry"].raw
    text = raw.decode()

    def put(old: str, new: str) -> bytes:
        assert text.count(old) == 1, old
        return text.replace(old, new).encode()

    yield _refused("not-json", "a text that ends too early", raw[:-1], "bad_json")
    none = put('"need":"sbom"', '"need":NaN')
    yield _refused("not-a-number", "a word that only other languages know as a number", none, "bad_json")
    yield _refused("not-an-object", "a list", b"[" + raw + b"]", "bad_json")
    yield _refused("name-twice", "a name twice", put('"need":"sbom"', '"need":"sbom","need":"sbom"'), "bad_json")
    escaped = put('"need":"sbom"', '"need":"sbom","n\\u0065ed":"other"')
    yield _refused("name-twice-escaped", "a name twice, once with an escape", escaped, "bad_json")
    inside = put('"rounds":16', '"rounds":16,"rounds":64')
    yield _refused("name-twice-inside", "a name twice in a nested object", inside, "bad_json")
    yield _refused("null", "an optional member that is null", put('"need":', '"continues":null,"need":'), "bad_json")
    many = ",".join(f'"n{number}":1' for number in range(257))
    yield _refused(
        "many-members", "257 members in one object", put('"rounds":16', f'"rounds":16,"more":{{{many}}}'), "too_large"
    )
    items = ",".join(["1"] * 4097)
    yield _refused(
        "many-items", "4,097 items in one list", put('"need":"sbom"', f'"more":[{items}],"need":"sbom"'), "too_large"
    )
    text_too_long = put('"need":"sbom"', f'"need":"{"x" * 131_073}"')
    yield _refused("long-text", "a text of 131,073 characters", text_too_long, "too_large")
    yield _refused("byte-order-mark", "a byte order mark", b"\xef\xbb\xbf" + raw, "bad_unicode")
    yield _refused("wider", "UTF-16 without a mark", raw.decode().encode("utf-16-le"), "bad_unicode")
    not_utf8 = raw.replace(b'"need":"sbom"', b'"need":"sb\xc0\xafom"')
    yield _refused("not-utf-8", "an overlong form in UTF-8", not_utf8, "bad_unicode")
    lone = put('"need":"sbom"', '"need":"\\ud800"')
    yield _refused("lone-surrogate", "half of a surrogate pair", lone, "bad_unicode")
    control = put('"need":"sbom"', '"need":"sb\\u0000om"')
    yield _refused("control-character", "a control character in a text", control, "bad_unicode")
    name = put('"need":"sbom"', '"n\u00e9ed":"sbom"')
    yield _refused("name-not-ascii", "a member name outside ASCII", name, "bad_unicode")
    for case, number in (
        ("number-fraction", "16.0"),
        ("number-exponent", "1E1"),
        ("number-minus-zero", "-0"),
        ("number-too-high", "9007199254740992"),
        ("number-endless", "1" + "0" * 400),
    ):
        says = f"{number if len(number) < 20 else 'a number of 401 digits'} where an integer is expected"
        yield _refused(case, says, put('"rounds":16', f'"rounds":{number}'), "number_out_of_range")
    deep = put('"scopeSketch":{', '"x":' + "[" * 16 + "]" * 16 + ',"scopeSketch":{')
    yield _refused("too-deep", "17 containers inside one another", deep, "too_deep")
    long = canonicalize(changed(json.loads(conversation()["problem"].raw), supported=["x" * 250] * 10))
    yield _refused("problem-too-large", "a Problem beyond its limit", long, "too_large", "Problem")
    padded = conversation()["sync"].raw.ljust(8193)
    yield _refused(
        "notice-too-large", "a notice beyond its limit, for the blanks behind it", padded, "too_large", "Sync"
    )

    gateway = json.dumps(dict(reversed(json.loads(raw).items())), indent=2).encode()
    content = content_of(json.loads(raw))
    proof = json.loads(raw)["proof"]
    yield Vector(
        "messages/eddsa-jcs-2022/inquiry-written-anew",
        "the same inquiry with other white space and order of members: same digest, same proof",
        gateway,
        message_case(proof["created"], PROVIDER.did, HIRER),
        {"type": "Inquiry", "digest": digest_of(content), **intermediates(content, proof)},
    )


def _proofs() -> Iterator[Vector]:
    for suite in SUITES:
        said = conversation(suite)
        inquiry = json.loads(said["inquiry"].raw)
        short = suite.split("-")[1]
        altered = changed(inquiry, need="other")
        yield _refused(f"{short}-changed-member", f"a member changed under {suite}", altered, "proof_invalid")
        altered = changed(inquiry, limits__rounds=17)
        yield _refused(f"{short}-changed-inside", f"a nested member changed under {suite}", altered, "proof_invalid")
        altered = changed(inquiry, suites=list(reversed(inquiry["suites"])))
        yield _refused(f"{short}-changed-order", f"a list in another order under {suite}", altered, "proof_invalid")
        altered = changed(inquiry, proof__expires=shift(inquiry["proof"]["expires"], 60))
        yield _refused(f"{short}-changed-option", f"a longer life under {suite}", altered, "proof_invalid")

    shown = json.loads(said["presentation-provider"].raw)
    more = {**shown, "presentation": {**shown["presentation"], "__proto__": {"name": "x"}}}
    says = "a member that some languages have another use for, added to a literal under eddsa-rdfc-2022"
    yield _refused(
        "rdfc-prototype-added",
        says,
        more,
        "proof_invalid",
        "Presentation",
        now=shown["proof"]["created"],
        recipient=HIRER.did,
    )
    signed = resigned(more)
    yield Vector(
        "messages/eddsa-rdfc-2022/presentation-prototype",
        "a member that some languages have another use for: it is signed like any other",
        canonicalize(signed),
        message_case(signed["proof"]["created"], signed["recipient"], PROVIDER),
        {
            "type": "Presentation",
            "digest": digest_of(content_of(signed)),
            **intermediates(content_of(signed), signed["proof"]),
        },
    )

    said = conversation()
    inquiry = json.loads(said["inquiry"].raw)
    created, expires = inquiry["proof"]["created"], inquiry["proof"]["expires"]
    after = {"now": shift(expires, 1)}
    yield _refused("proof-expired", "one second after its end", inquiry, "proof_expired", **after)
    yield _still_good("proof-at-its-end", "at its last instant", inquiry, expires)
    bare = without_context(inquiry, HIRER)
    yield _refused("proof-without-context", "a proof of a JCS suite without @context", bare, "proof_invalid")
    ahead = {"now": shift(created, -61)}
    yield _refused("proof-from-future", "made 61 seconds ahead", inquiry, "proof_from_future", **ahead)
    yield _still_good("proof-a-minute-ahead", "made 60 seconds ahead", inquiry, shift(created, -60))
    long = resigned(inquiry, expires=shift(created, 86_401))
    yield _refused("proof-lives-too-long", "a proof for more than 24 hours", long, "proof_expired")
    yield _refused("order-life-before-clock", "more than 24 hours, and made ahead", long, "proof_expired", **ahead)
    backwards = resigned(inquiry, expires=shift(created, -1))
    yield _refused("proof-ends-before-it-begins", "expires before created", backwards, "proof_invalid")
    other = resigned(inquiry, purpose="assertionMethod")
    yield _refused("proof-purpose", "an Inquiry signed as an assertion", other, "proof_purpose_mismatch")
    seal = json.loads(said["seal"].raw)
    opened = resigned(seal, purpose="authentication")
    at = {"now": seal["proof"]["created"], "recipient": HIRER.did}
    yield _refused("seal-purpose", "a Seal signed as authentication", opened, "proof_purpose_mismatch", "Seal", **at)
    only = {"suites": ["eddsa-jcs-2022"]}
    rdfc = json.loads(conversation("eddsa-rdfc-2022")["inquiry"].raw)
    yield _refused("suite-not-agreed", "a suite that was not agreed on", rdfc, "suite_not_allowed", **only)
    none = changed(inquiry, proof__cryptosuite="none")
    yield _refused("suite-unknown", "a suite that does not exist", none, "suite_not_allowed")
    ec = EcParty("hirer", "P-256")
    mixed = changed(_by(inquiry, ec, "ecdsa-jcs-2019"), proof__cryptosuite="eddsa-jcs-2022")
    yield _refused("suite-of-another-key", "an EdDSA suite with a P-256 key", mixed, "suite_not_allowed")

    foreign = resigned(inquiry, PROVIDER)
    yield _refused("signed-by-another", "signed by the recipient's key", foreign, "key_not_authorized")
    stranger = Party("stranger")
    posing = resigned(inquiry, stranger, method=HIRER.method)
    yield _refused("signed-by-a-stranger", "a stranger's signature under the sender's method", posing, "proof_invalid")
    unlisted = changed(inquiry, proof__verificationMethod=f"{HIRER.did}#{stranger.multikey}")
    yield _refused("method-not-listed", "a method that the document does not have", unlisted, "key_not_authorized")
    yield from _names_of_keys(seal)
    yield from _relationship(seal)

    signature = base58_decode(inquiry["proof"]["proofValue"][1:])
    beyond = int.from_bytes(signature[32:], "little") + ED25519_ORDER
    malleable = with_signature(inquiry, signature[:32] + beyond.to_bytes(32, "little"))
    yield _refused("signature-beyond-the-order", "S plus the group order", malleable, "proof_invalid")
    small, torsion = (resigned(inquiry, OddParty("hirer", odd)) for odd in (False, True))
    yield _refused("signature-small-r", "R is the neutral element, and S fits", small, "proof_invalid")
    yield _refused("signature-mixed-r", "R has a part of order 8; times 8 it fits", torsion, "proof_invalid")
    yield _refused("signature-short", "63 bytes", with_signature(inquiry, signature[:-1]), "proof_invalid")
    yield _refused("signature-long", "65 bytes", with_signature(inquiry, signature + b"\0"), "proof_invalid")
    high = resigned(_by(inquiry, ec, "ecdsa-jcs-2019"), ec, high=True)
    yield _refused("signature-high-s", "ECDSA with the larger s", high, "proof_invalid")
    two = changed(inquiry, proof=[inquiry["proof"], inquiry["proof"]])
    yield _refused("two-proofs", "the same proof twice", two, "proof_invalid")
    yield _refused("order-signature-before-times", "changed, and past its end", altered, "proof_invalid", **after)
    third = Party("a third party")
    for_another = {"recipient": third.did, **after}
    yield _refused(
        "order-times-before-recipient", "past its end, and for another", inquiry, "proof_expired", **for_another
    )
    unknown = changed(altered, liability="none")
    yield _refused(
        "order-schema-before-signature", "changed, with a member that no type has", unknown, "unknown_term", **after
    )


def _still_good(name: str, says: str, message: dict[str, Any], now: str, **more: Any) -> Vector:
    content = content_of(message)
    return Vector(
        f"messages/eddsa-jcs-2022/{name}",
        says,
        canonicalize(message),
        message_case(now, message["recipient"], HIRER, **more),
        {"type": message["type"], "digest": digest_of(content), **intermediates(content, message["proof"])},
    )


def _relationship(seal: dict[str, Any]) -> Iterator[Vector]:
    """A did:web whose key may open connections and sign no contract."""
    did = "did:web:globex.example"
    method = {
        "id": f"{did}#key-1",
        "type": "Multikey",
        "controller": did,
        "publicKeyMultibase": PROVIDER.multikey,
    }
    document = {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": did,
        "verificationMethod": [method],
        "authentication": [method["id"]],
    }
    asserted = resigned(changed(seal, sender=did), PROVIDER, method=method["id"])
    at = {"now": seal["proof"]["created"], "recipient": HIRER.did}
    yield _refused(
        "key-for-another-purpose",
        "a Seal by a key that is listed under authentication only",
        asserted,
        "key_not_authorized",
        "Seal",
        documents={did: document},
        **at,
    )
    odd = "did:web:xn--a.example"
    name = f"{odd}#key-1"
    yield _still_good(
        "did-web-of-no-punycode",
        "a did:web of a host whose label begins as punycode and is none",
        resigned(changed(seal, sender=odd), PROVIDER, method=name),
        seal["proof"]["created"],
        keys=[{**key, "method": name} for key in signers(PROVIDER)],
        documents={
            odd: {
                **document,
                "id": odd,
                "verificationMethod": [{**method, "id": name, "controller": odd}],
                "assertionMethod": [name],
            }
        },
    )
    shouted = "did:web:Globex.example"
    yield _refused(
        "did-web-in-capitals",
        "a did:web in another spelling",
        resigned(changed(seal, sender=shouted), PROVIDER, method=f"{shouted}#key-1"),
        "did_document_invalid",
        "Seal",
        documents={shouted: {**document, "id": shouted}},
        **at,
    )
    elsewhere = {**document, "authentication": [], "assertionMethod": [PROVIDER.method]}
    yield _refused(
        "key-listed-elsewhere",
        "a Seal by a key that the document only refers to, and another document holds",
        resigned(changed(seal, sender=did), PROVIDER),
        "key_not_authorized",
        "Seal",
        documents={did: elsewhere},
        **at,
    )
    another = {**document, "id": "did:web:initech.example", "assertionMethod": [method["id"]]}
    yield _refused(
        "document-of-another",
        "the document at the sender's place is another DID's",
        asserted,
        "did_document_invalid",
        "Seal",
        documents={did: another},
        **at,
    )
    elsewhere = {
        **document,
        "verificationMethod": [{**method, "controller": HIRER.did}],
        "assertionMethod": [method["id"]],
    }
    yield _refused(
        "key-of-another-controller",
        "a Seal by a key whose controller is another DID",
        asserted,
        "key_not_authorized",
        "Seal",
        documents={did: elsewhere},
        **at,
    )


def _names_of_keys(seal: dict[str, Any]) -> Iterator[Vector]:
    """A did:web that has published other keys before in the same engagement."""
    did, first, second = "did:web:globex.example", PROVIDER, Party("provider with a new key")
    now, recipient = seal["proof"]["created"], HIRER.did
    past = {"revoked": shift(now, -3600)}

    def document(signing: dict[str, Party], **others: dict[str, Any]) -> dict[str, Any]:
        named: list[dict[str, Any]] = [
            {"id": f"{did}#{name}", "type": "Multikey", "controller": did, "publicKeyMultibase": party.multikey}
            | others.get(name.replace("-", "_"), {})
            for name, party in signing.items()
        ]
        listed = [method["id"] for method in named if not method["id"].endswith("#cipher")]
        return {
            "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
            "id": did,
            "verificationMethod": named,
            "authentication": listed,
            "assertionMethod": listed,
            "keyAgreement": [method["id"] for method in named if method["id"] not in listed],
        }

    def said(
        name: str, says: str, by: Party, method: str, published: dict[str, Any], *before: dict[str, Any]
    ) -> Vector:
        message = resigned(changed(seal, sender=did), by, method=f"{did}#{method}")
        keys = [{**key, "method": f"{did}#{method}"} for key in signers(by)]
        case = {"documents": {did: published}, "before": list(before), "keys": keys}
        if name.startswith("name-"):
            code = "key_not_authorized"
            return _refused(name, says, message, code, "Seal", now=now, recipient=recipient, **case)
        content = content_of(message)
        expected = {"type": "Seal", "digest": digest_of(content), **intermediates(content, message["proof"])}
        return Vector(
            f"messages/eddsa-jcs-2022/{name}",
            says,
            canonicalize(message),
            message_case(now, recipient, **case),
            expected,
        )

    was = document({"key-1": first})
    yield said(
        "seal-by-a-new-key", "a Seal by a new key of a new name", second, "key-2", document({"key-2": second}), was
    )
    ciphers = [document({"key-1": first, "cipher": one}) for one in (first, second)]
    yield said(
        "seal-beside-a-new-cipher", "a key that signs nothing is another one under its name", first, "key-1", *ciphers
    )
    yield said(
        "name-of-another-key",
        "a Seal by a new key under the name of the old one",
        second,
        "key-1",
        document({"key-1": second}),
        was,
    )
    yield said(
        "name-of-another-key-earlier",
        "the name is that of another key in the first of three documents",
        second,
        "key-1",
        document({"key-1": second}),
        was,
        document({"key-2": second}),
        document({"key-3": second}),
    )
    yield said(
        "name-of-another-key-beside",
        "a Seal by a key that stays, beside one that is another under its name",
        first,
        "key-2",
        document({"key-1": second, "key-2": first}),
        document({"key-1": HIRER, "key-2": first}),
    )
    yield said(
        "name-of-another-key-revoked",
        "the name that is another key's is of one that is revoked",
        first,
        "key-2",
        document({"key-1": second, "key-2": first}, key_1=past),
        document({"key-1": HIRER, "key-2": first}),
    )
    yield said(
        "name-of-another-key-revoked-before",
        "the name was of a key that was revoked then",
        first,
        "key-2",
        document({"key-1": second, "key-2": first}),
        document({"key-1": HIRER, "key-2": first}, key_1=past),
    )


def _addresses() -> Iterator[Vector]:
    inquiry = json.loads(conversation()["inquiry"].raw)
    third = Party("a third party")
    yield _refused("wrong-recipient", "read by a third party", inquiry, "wrong_recipient", recipient=third.did)
    alien = resigned(changed(inquiry, nonce=nonce("another")))
    yield _refused("engagement-of-others", "an engagement id of another nonce", alien, "wrong_negotiation")
    early = resigned(changed(inquiry, closesAt=shift(inquiry["respondBy"], -1)))
    yield _refused("closes-too-early", "over before an answer is due", early, "schema_violation")
    tender = json.loads(conversation()["inquiry-tender"].raw)
    for name, says, members in (
        ("tender-that-the-hirer-opens", "a tender in which the hirer offers first", {"opens": "hirer"}),
        ("tender-of-two-rounds", "a tender with room for a counter-offer", {"limits__rounds": 2}),
        ("tender-out-of-order", "bids close after they are opened", {"tender__bidsClose": tender["tender"]["awardBy"]}),
    ):
        yield _refused(name, says, resigned(changed(tender, **members)), "schema_violation")
    own = engagement_id(HIRER.did, HIRER.did, inquiry["nonce"])
    selfish = resigned(changed(inquiry, recipient=HIRER.did, engagement=own))
    yield _refused("self-dealing", "hirer and provider are one DID", selfish, "self_dealing", recipient=HIRER.did)
    twin = "did:web:acme.example"
    method = {
        "id": f"{twin}#key-1",
        "type": "Multikey",
        "controller": twin,
        "publicKeyMultibase": multibase_encode("z", b"\xed\x01" + bytes(HIRER.key.verify_key)),
    }
    document = {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": twin,
        "verificationMethod": [method],
        "authentication": [method["id"]],
        "assertionMethod": [method["id"]],
    }
    engagement = engagement_id(HIRER.did, twin, inquiry["nonce"])
    paired = resigned(changed(inquiry, recipient=twin, engagement=engagement))
    yield _refused(
        "self-dealing-by-one-key",
        "two DIDs with one key",
        paired,
        "self_dealing",
        recipient=twin,
        documents={twin: document},
    )


def _said_once() -> Iterator[Vector]:
    """One total for each unit of a clause, and no part that is more; one input for each name (HIRE-MSG-06, 07)."""
    line = {"clause": "read-input", "unit": "count", "amount": "2"}
    euros = {**line, "unit": "EUR", "amount": "0.5"}

    def said(name: str, *usage: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The message, and where and when it is read."""
        message = json.loads(conversation()[name].raw)
        message = resigned(changed(message, usage=list(usage)), PROVIDER)
        return message, {"of": message["type"], "now": message["proof"]["created"], "recipient": HIRER.did}

    for name in ("delivery", "closing-provider", "progress"):
        of = name.partition("-")[0]
        message, where = said(name, line, euros, {**line, "amount": "1"})
        yield _refused(f"usage-twice-{of}", "two totals of one unit of a clause", message, "schema_violation", **where)
        message, where = said(name, {**line, "unproved": "2.5"})
        says = "a part of what was used that is more than the whole"
        yield _refused(f"usage-unproved-{of}", says, message, "schema_violation", **where)
    message, where = said("progress", {**line, "unproved": "2"}, {**euros, "unproved": "0"})
    content = content_of(message)
    yield Vector(
        "messages/eddsa-jcs-2022/progress-unproved",
        "two units of one clause, of which one is unproved as a whole",
        canonicalize(message),
        message_case(where["now"], where["recipient"]),
        {"type": "Progress", "digest": digest_of(content), **intermediates(content, message["proof"])},
    )
    start = json.loads(conversation()["start"].raw)
    (given,) = start["inputs"]
    twice = resigned(changed(start, inputs=[given, {**given, "digest": digest_bytes(b"another input")}]))
    yield _refused(
        "inputs-of-one-name",
        "two inputs of one name",
        twice,
        "schema_violation",
        of="Start",
        now=start["proof"]["created"],
    )
