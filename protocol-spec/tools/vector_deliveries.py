"""Vectors of deliveries and reviews: statements about artifacts that hold, and what is refused before it counts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from example_messages import conversation
from example_parties import HIRER, PROVIDER, Party
from vector_parts import EcParty, Vector, changed, of_envelope, signers

from undersigned.attestation import PAYLOAD_TYPE, envelope, pae
from undersigned.encoding import canonicalize, digest_bytes, digest_hex

__all__ = ["delivery_vectors", "review_vectors"]

Made = dict[str, Any]
WORK: Final = "https://w3id.org/hire/attestation/work/v1"
PROVENANCE: Final = "https://slsa.dev/provenance/v1"


def stated(
    payload: bytes, by: Party | EcParty = PROVIDER, *, keyid: str = "", type: str = PAYLOAD_TYPE, **form: bool
) -> Made:
    """The envelope of a payload; `form` is that of an ECDSA signature."""
    return envelope(payload, [(keyid or by.method, by.sign(pae(type, payload), **form))], type)


def delivery_vectors() -> Iterator[Vector]:
    """All of them."""
    delivery = json.loads(conversation()["delivery"].raw)
    (good,) = delivery["statements"]
    payload = base64.b64decode(good["payload"])
    said = json.loads(payload)

    def vector(name: str, says: str, of: str | None, *statements: Made, **case: Any) -> Vector:
        given = {"artifacts": delivery["artifacts"], "statements": list(statements), "usage": delivery["usage"]}
        whole = {
            "kind": "delivery",
            "provider": PROVIDER.did,
            "methods": [PROVIDER.method],
            "contract": delivery["contract"],
            "predicates": [WORK],
            "engagement": delivery["engagement"],
            "task": "sbom",
            "inputs": [one["digest"] for one in said["predicate"]["inputs"]],
            "files": {"sbom.json": "a bill"},
            "keys": signers(PROVIDER),
            **case,
        }
        worked = [of_envelope(one, PROVIDER.method) for one in statements] if of is None else []
        read = (json.loads(base64.b64decode(one["payload"])) for one in statements)
        expected = {"code": of} if of else {"types": [one["predicateType"] for one in read], "statements": worked}
        return Vector(f"deliveries/{name}", says, canonicalize(given), whole, expected)

    def other(**members: Any) -> Made:
        return stated(canonicalize(changed(said, **members)))

    yield vector("good", "one artifact, and what was done for it", None, good)
    yield vector(
        "written-anew", "the same statement in other white space", None, stated(json.dumps(said, indent=1).encode())
    )
    yield vector(
        "without-keyid",
        "who signed is found without a hint",
        None,
        {**good, "signatures": [{"sig": good["signatures"][0]["sig"]}]},
    )
    yield vector("none", "the statement that the terms demand is not there", "digest_mismatch")
    says = "no statement, where the terms name none: one of work is demanded"
    yield vector("none-named", says, "digest_mismatch", predicates=[])
    yield vector("good-none-named", "one of work, where the terms name none", None, good, predicates=[])
    yield vector(
        "signed-by-the-hirer",
        "the hirer's own statement",
        "attester_not_trusted",
        stated(payload, HIRER),
    )
    posing = stated(payload, Party("stranger"), keyid=PROVIDER.method)
    yield vector("signed-by-a-stranger", "a stranger's signature under the provider's method", "proof_invalid", posing)
    yield vector("unsigned", "no signature", "proof_missing", {**good, "signatures": []})
    bare = {**good, "signatures": [], "note": "More."}
    yield vector("unsigned-and-more", "no signature, and a member that an envelope has not", "unknown_term", bare)
    none = {name: value for name, value in good.items() if name != "signatures"}
    yield vector("without-signatures", "no list of signatures", "schema_violation", none)
    hinted = {**good, "signatures": [{**one, "hint": "More."} for one in good["signatures"]]}
    yield vector("signature-and-more", "a signature with a member that none has", "unknown_term", hinted)
    both = {**good, "signatures": [*good["signatures"], *stated(payload, HIRER)["signatures"]]}
    yield vector("signed-twice", "a second signature, of the hirer, beside the provider's", "proof_invalid", both)
    altered = {**good, "payload": base64.b64encode(canonicalize(changed(said, predicate__task="other"))).decode()}
    yield vector("changed", "another payload under the signature", "proof_invalid", altered)
    typed = stated(payload, type="application/json")
    yield vector("payload-type", "signed as something else", "proof_invalid", typed)
    twice = stated(payload.replace(b'"predicate":', b'"predicate":{},"predicate":', 1))
    yield vector("name-twice", "a name twice in the signed bytes", "bad_json", twice)
    yield vector("no-object", "a list in the signed bytes", "bad_json", stated(b"[%s]" % payload))
    yield vector("unknown-member", "a member that the predicate has not", "unknown_term", other(predicate__also="x"))
    yield vector(
        "unknown-kind",
        "a kind of claim that is not known",
        "attester_not_trusted",
        other(predicateType="https://example.com/v1"),
    )
    yield vector(
        "of-another-provider", "it claims to be another's", "attester_not_trusted", other(predicate__provider=HIRER.did)
    )
    alien = other(predicate__contract=digest_bytes(b"another contract"))
    yield vector("of-another-contract", "the work of another contract", "attestation_binding", alien)
    elsewhere = other(predicate__engagement=f"urn:hire:engagement:{digest_bytes(b'another')}")
    yield vector("of-another-engagement", "the work of another engagement", "attestation_binding", elsewhere)
    yield vector("of-another-task", "the work of another task", "attestation_binding", other(predicate__task="other"))
    more = [{"name": "b.whl", "digest": digest_bytes(b"another input")}]
    yield vector("of-another-input", "an input that nobody gave", "attestation_binding", other(predicate__inputs=more))
    (line,) = said["predicate"]["usage"]
    for name, lines in {
        "less": [{**line, "amount": "0"}],
        "nothing": [],
        "more": [line, {**line, "unit": "EUR"}],
        "a-line-twice": [line, line],
    }.items():
        told = other(predicate__usage=lines)
        yield vector(f"of-other-usage-{name}", "other usage than the delivery's", "attestation_binding", told)
    verdict = json.loads(conversation()["review"].raw)["statement"]
    judged = json.loads(base64.b64decode(verdict["payload"]))
    judged["predicate"]["verifier"]["id"] = PROVIDER.did
    yield vector(
        "own-acceptance",
        "the provider accepts its own work",
        "attester_not_trusted",
        good,
        stated(canonicalize(judged)),
    )
    yield vector(
        "of-another-artifact", "about what was not delivered", "digest_mismatch", other(subject__0__name="other.json")
    )
    wrong = digest_sha256(said) | {"sha256": "00" * 32}
    yield vector("another-digest", "about other bytes", "digest_mismatch", other(subject__0__digest=wrong))
    weak = {"md5": "00" * 16}
    yield vector("weak-digest", "a digest that does not count", "digest_mismatch", other(subject__0__digest=weak))
    upper = {"sha256": digest_sha256(said)["sha256"].upper()}
    yield vector(
        "digest-in-capitals", "a digest in another spelling", "digest_mismatch", other(subject__0__digest=upper)
    )
    for name, says, of, data in (
        ("beside", "a digest by sha512 beside that by sha256", None, b"a bill"),
        ("beside-wrong", "one beside that is not of these bytes", "digest_mismatch", b"another"),
    ):
        beside = digest_sha256(said) | {"sha512": hashlib.sha512(data).hexdigest()}
        yield vector(f"digest-{name}", says, of, other(subject__0__digest=beside))
    short = digest_sha256(said) | {"sha512": "ab" * 63}
    yield vector("digest-beside-short", "one beside that is none", "digest_mismatch", other(subject__0__digest=short))
    alone = {"sha512": hashlib.sha512(b"a bill").hexdigest()}
    yield vector("digest-alone", "the right one by sha512 alone", "digest_mismatch", other(subject__0__digest=alone))
    yield vector(
        "subject-twice", "one artifact twice", "digest_mismatch", other(subject=[*said["subject"], *said["subject"]])
    )
    many = [{**said["subject"][0], "name": f"{number}.json"} for number in range(65)]
    yield vector("subjects-too-many", "65 subjects", "too_large", other(subject=many))
    hired = {"provider": HIRER.did, "task": "sbom", "outcome": "review accepted"}
    asked = {"at": said["predicate"]["startedOn"], "action": "read", "target": "a", "clause": "read", "allowed": True}
    given = said["predicate"]["inputs"][0]
    yield vector("good-with-lines", "an action and a subcontract in it", None, other(**lines_of(asked, hired)))
    for name, says, members in (
        ("statement-and-more", "a statement", {"more": "1"}),
        ("context-and-more", "a statement, which is no JSON-LD,", {"@context": "https://w3id.org/hire/v1"}),
        ("subject-and-more", "a subject", {"subject__0__more": "1"}),
        ("input-and-more", "an input", {"predicate__inputs": [given | {"more": "1"}]}),
        ("usage-and-more", "a line of usage", {"predicate__usage": [line | {"more": "1"}]}),
        ("action-and-more", "an action", lines_of(asked | {"more": "1"}, hired)),
        ("subcontract-and-more", "a subcontract", lines_of(asked, hired | {"more": "1"})),
    ):
        yield vector(name, f"{says} with a member that no page defines", "unknown_term", other(**members))
    for name, says, members in (
        ("of-no-time", "work that began at no instant", {"predicate__startedOn": "today"}),
        ("ends-first", "work that ended before it began", {"predicate__startedOn": "2999-01-01T00:00:00Z"}),
        ("without-actions", "work without the list of its actions", {"predicate__actions": ...}),
        ("omitted-below-none", "fewer actions left out than none", {"predicate__actionsOmitted": -1}),
        ("action-without-answer", "an action without the answer to it", lines_of({**asked, "allowed": "yes"}, hired)),
        ("subject-of-no-text", "a subject with a number for a digest", {"subject__0__digest__@context": 1}),
        ("amount-in-another-form", "an amount in another spelling", {"predicate__usage": [line | {"amount": "1.0"}]}),
    ):
        yield vector(name, says, "schema_violation", other(**members))
    for name, says, of, members in (
        ("good", "provenance", None, {}),
        ("builder-and-more", "a builder with a member too many", "unknown_term", {"runDetails__builder__more": "1"}),
        ("run-and-more", "a run with a member too many", "unknown_term", {"runDetails__metadata__more": "1"}),
        (
            "input-and-more",
            "an input with a member too many",
            "unknown_term",
            {"buildDefinition__resolvedDependencies__0__more": "1"},
        ),
        ("without-run", "provenance of no run", "schema_violation", {"runDetails__metadata": ...}),
        (
            "of-another-build",
            "a build of another kind",
            "schema_violation",
            {"buildDefinition__buildType": "https://example.com/build/v1"},
        ),
        (
            "of-another-builder",
            "somebody else built it",
            "attester_not_trusted",
            {"runDetails__builder__id": HIRER.did},
        ),
        (
            "of-another-task",
            "provenance of another task",
            "attestation_binding",
            {"buildDefinition__externalParameters__task": "other"},
        ),
    ):
        told = changed(built(said), **{f"predicate__{member}": value for member, value in members.items()})
        yield vector(f"provenance-{name}", says, of, stated(canonicalize(told)), predicates=[PROVENANCE])


def lines_of(action: Made, subcontract: Made) -> Made:
    """Work with these lines."""
    return {"predicate__actions": [action], "predicate__subcontracts": [subcontract]}


def built(said: Made) -> Made:
    """The provenance of what this statement of work tells of."""
    work = said["predicate"]
    inputs = [{"name": one["name"], "digest": {"sha256": digest_hex(one["digest"])}} for one in work["inputs"]]
    run = {"invocationId": f"{work['engagement']}:1", "startedOn": work["startedOn"], "finishedOn": work["finishedOn"]}
    return {
        **said,
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": "https://w3id.org/hire/attestation/task/v1",
                "externalParameters": {"contract": work["contract"], "clauses": ["read"], "task": work["task"]},
                "resolvedDependencies": inputs,
            },
            "runDetails": {"builder": {"id": work["provider"]}, "metadata": run},
        },
    }


def review_vectors() -> Iterator[Vector]:
    """All of the verdict: by who may say it, about what was delivered, under this contract."""
    delivery, review = (json.loads(conversation()[name].raw) for name in ("delivery", "review"))
    good = review["statement"]
    said = json.loads(base64.b64decode(good["payload"]))
    denied, judge, twin = "attester_not_trusted", Party("verifier"), "did:web:judge.example"
    own, lent, taken = (f"{twin}#key-{number}" for number in (1, 2, 3))

    def vector(name: str, says: str, of: str | None, statement: Made, *, keyid: str = "", **case: Any) -> Vector:
        whole = {
            "kind": "review",
            "verifier": HIRER.did,
            "methods": {HIRER.method: HIRER.multikey},
            "parties": [PROVIDER.did],
            "contract": delivery["contract"],
            "engagement": delivery["engagement"],
            "artifacts": delivery["artifacts"],
            "statements": delivery["statements"],
            "keys": signers(HIRER, PROVIDER),
            **case,
        }
        signer = keyid or (own if whole["verifier"] == twin else HIRER.method)
        expected: Made = {"code": of} if of else {"result": "PASSED", **of_envelope(statement, signer)}
        return Vector(f"reviews/{name}", says, canonicalize(statement), whole, expected)

    def other(by: Party = HIRER, *, keyid: str = "", **members: Any) -> Made:
        return stated(canonicalize(changed(said, **members)), by, keyid=keyid)

    yield vector("good", "the hirer's statement that it accepts", None, good)
    methods = {own: judge.multikey, lent: PROVIDER.multikey, taken: HIRER.multikey}
    third: Made = {"verifier": twin, "methods": methods, "parties": [HIRER.did, PROVIDER.did]}
    third["keys"] = signers(HIRER, PROVIDER, judge)

    def thirds(name: str, says: str, of: str | None, by: Party, keyid: str, **case: Any) -> Vector:
        return vector(name, says, of, other(by, keyid=keyid, predicate__verifier__id=twin), **third, **case)

    yield thirds(
        "by-a-third-party", "a verifier whose document lists the keys of both parties as well", None, judge, own
    )
    yield thirds("by-the-key-of-the-work", "the provider's key, which the verifier lists", denied, PROVIDER, lent)
    yield thirds("by-the-key-of-the-hirer", "the hirer's key, which the verifier lists", denied, HIRER, taken)
    now: Made = {"verifier": twin, "methods": {lent: judge.multikey}, "recorded": {taken: HIRER.multikey}}
    for name, says, of, by, keyid in (
        ("by-an-earlier-key", "the key of the hirer before, in a document that is recorded", None, HIRER, taken),
        ("by-a-key-never-seen", "a key of the hirer's that no document here lists", denied, Party("hirer 2"), own),
        (
            "by-another-earlier",
            "another key under the name of the one before",
            "proof_invalid",
            Party("hirer 2"),
            taken,
        ),
    ):
        earlier = other(by, keyid=keyid, predicate__verifier__id=twin)
        yield vector(name, says, of, earlier, keyid=keyid, **now)
    for kind in ("P-256", "P-384"):
        curved = EcParty("verifier", kind)
        high = stated(canonicalize(changed(said, predicate__verifier__id=curved.did)), curved, high=True)
        of_it: Made = {"verifier": curved.did, "methods": {curved.method: curved.multikey}}
        of_it |= {"parties": [HIRER.did, PROVIDER.did], "keys": signers(HIRER, PROVIDER, curved)}
        says = f"signed by a {kind} key, in the higher of the two forms of s"
        yield vector(f"{kind.lower()}-high-s", says, "proof_invalid", high, **of_it)
    yield vector("by-the-provider", "the provider's own statement", denied, other(PROVIDER))
    forged = other(Party("stranger"), keyid=HIRER.method)
    yield vector("by-a-stranger", "a stranger's signature under the hirer's method", "proof_invalid", forged)
    posing = other(predicate__verifier__id=PROVIDER.did)
    yield vector("in-anothers-name", "it claims to be the provider's", denied, posing)
    alien = {"sha256": "11" * 32}
    away = other(predicate__policy__digest=alien)
    yield vector("of-another-contract", "a verdict under another contract", "attestation_binding", away)
    elsewhere = f"urn:hire:engagement:{digest_bytes(b'another')}:hirer:3"
    away = other(predicate__resourceUri=elsewhere)
    yield vector("of-another-engagement", "a verdict on a document of another engagement", "attestation_binding", away)
    named = other(predicate__policy__uri=elsewhere)
    yield vector(
        "of-another-document", "the contract by its digest, under another's name", "attestation_binding", named
    )
    read = [{"digest": alien}]
    unread = other(predicate__inputAttestations=read)
    yield vector(
        "of-another-statement", "a verdict on a statement that was not delivered", "attestation_binding", unread
    )
    for name, member in (("document", "resourceUri"), ("statements", "inputAttestations"), ("contract", "policy")):
        lacking = other(**{f"predicate__{member}": ...})
        yield vector(f"without-{name}", f"a verdict without {member}", "schema_violation", lacking)
    for name, says, of, members in (
        (
            "of-another-result",
            "a result that is neither yes nor no",
            "schema_violation",
            {"verificationResult": "DONE"},
        ),
        ("of-another-level", "a yes with the level of a no", "schema_violation", {"verifiedLevels": ["FAILED"]}),
        ("of-no-time", "made at no instant", "schema_violation", {"timeVerified": "today"}),
        ("verifier-and-more", "a verifier with a member that no page defines", "unknown_term", {"verifier__more": "1"}),
        ("policy-and-more", "a policy with a member that no page defines", "unknown_term", {"policy__more": "1"}),
    ):
        yield vector(name, says, of, other(**{f"predicate__{member}": value for member, value in members.items()}))
    more = other(subject__0__more="1")
    yield vector("subject-and-more", "a subject with a member that no page defines", "unknown_term", more)
    yield vector("of-no-statement", "a verdict that names no statement", None, other(predicate__inputAttestations=[]))
    nothing = [{"name": "contract", "digest": {"sha256": digest_hex(delivery["contract"])}}]
    empty = other(subject=nothing, predicate__inputAttestations=[])
    says = "a verdict where nothing was delivered, which is about the contract"
    yield vector("of-nothing-delivered", says, None, empty, artifacts=[], statements=[])
    says = "about an artifact, where nothing was delivered"
    yield vector("of-what-is-not-there", says, "digest_mismatch", good, artifacts=[])
    yield vector("of-another-artifact", "about other bytes", "digest_mismatch", other(subject__0__digest=alien))
    beside = digest_sha256(said) | {"sha512": "ab" * 64}
    says = "a digest by sha512 beside, which nobody can check without the bytes"
    yield vector("digest-beside", says, None, other(subject__0__digest=beside))
    named = digest_sha256(said) | {"__proto__": "00", "constructor": "00", "md5": "00"}
    says = "digests beside by algorithms that nobody knows, of names that programs have for other things"
    yield vector("digest-of-another-name", says, None, other(subject__0__digest=named))
    alone = {"sha512": "ab" * 64}
    yield vector("digest-alone", "a digest by sha512 alone", "digest_mismatch", other(subject__0__digest=alone))
    for name, says, members in (
        ("in-anothers-name", "in another's name", {"predicate__verifier__id": PROVIDER.did}),
        ("of-another-level", "a yes with the level of a no", {"predicate__verifiedLevels": ["FAILED"]}),
        ("of-another-contract", "under another contract", {"predicate__policy__digest": alien}),
    ):
        first = other(subject__0__digest=alien, **members)
        yield vector(
            f"of-another-artifact-{name}", f"{says}, and about other bytes: those come first", "digest_mismatch", first
        )
    lent_out = stated(
        canonicalize(changed(said, predicate__verifier__id=twin)), PROVIDER, keyid=lent, type="text/plain"
    )
    says = "the provider's key, which the verifier lists, under another payload type: that comes first"
    yield vector("by-the-key-of-the-work-of-another-type", says, "proof_invalid", lent_out, **third)
    spelled = b"\xfb\xef\xbe\xff"  # has all that two alphabets and padding differ in
    named = other(predicate__inputAttestations=[{"digest": {"sha256": hashlib.sha256(spelled).hexdigest()}}])
    for name, says, of, payload in (
        ("in-base64", "in base64", None, "++++/w=="),
        ("in-base64url", "in its other alphabet", None, "----_w=="),
        ("in-both-alphabets", "in two alphabets at once", "attestation_binding", "++--/w=="),
        ("without-padding", "without padding", "attestation_binding", "++++/w"),
        ("with-spaces", "with a space", "attestation_binding", "++++ /w=="),
    ):
        delivered = [{**delivery["statements"][0], "payload": payload}]
        says = f"of a statement that was delivered {says}"
        yield vector(f"of-a-statement-{name}", says, of, named, statements=delivered)
    for name, says, payload, text in (
        ("in-a-list", "in a list", ["++++/w=="], "++++/w=="),
        ("as-a-number", "as a number, the digits of which are base64", 1234, "1234"),
    ):
        delivered = [{**delivery["statements"][0], "payload": payload}]
        digest = {"sha256": hashlib.sha256(base64.b64decode(text)).hexdigest()}
        named = other(predicate__inputAttestations=[{"digest": digest}])
        says = f"of a statement that was delivered {says}: what is no text has no payload"
        yield vector(f"of-a-statement-{name}", says, "attestation_binding", named, statements=delivered)
    work = json.loads(base64.b64decode(delivery["statements"][0]["payload"]))
    work["predicate"]["provider"] = HIRER.did
    yield vector("of-work", "a statement of work in place of a verdict", denied, stated(canonicalize(work), HIRER))


def digest_sha256(said: Mapping[str, Any]) -> dict[str, str]:
    """The digests of the one subject."""
    return dict(said["subject"][0]["digest"])
