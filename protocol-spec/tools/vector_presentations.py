"""Vectors of presentations: what a party shows in answer to a question, the credentials in it, and their status."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from example_credentials import AGENT, CHALLENGE, ENGAGEMENT, FROM, ISSUER, NOW, OTHER, UNTIL, VERIFIER, an_id, unsigned
from example_parties import Party
from vector_parts import (
    EcParty,
    OddParty,
    Vector,
    changed,
    content_of,
    intermediates,
    jws,
    of_text,
    signed_as_is,
    signers,
    without_context,
)

from undersigned.credentials import (
    Membership,
    build_presentation,
    claim_credential,
    credential_config,
    enveloped_credential,
    enveloped_presentation,
    presentation_config,
    status_entry,
)
from undersigned.encoding import (
    canonicalize,
    digest_bytes,
    multibase_decode,
    multibase_encode,
    parse_instant,
    shift,
)
from undersigned.proof import attach, prepare

__all__ = ["presentation_vectors"]

Made = dict[str, Any]
LIST: Final = "https://status.example/1"
PLACE: Final = 42
CLEAR: Final = "uH4sIAAAAAAACA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA"
SET: Final = "uH4sIAAAAAAACA-3BMQEAAAjAoEWxf0pt4QPUmQAAAAAAAAAAAAAAAAAAAIBHCzOa7TAAQAAA"
"""131,072 bits, all clear, and with number 42 set; as texts, since compressors differ in what they write."""
SHORT: Final = "uH4sIAAAAAAACA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAICzAQmvhYr_PwAA"
"""Eight bits fewer, all clear."""
GZIP: Final = "uH4sIAAAAAAACA-3BMQEAAAgDIM-1MLCljbEH2MsAAAAAAAAAAAAAAAAAAAAAXQ9q33NYAEAAAA"
LIKE_GZIP: Final = "uH4sIAAAAAAACA-3BMQEAAAwCoDUx8EobwwfIHwAAAAAAAAAAAAAAAAAAADBWa6LNPABAAAA"
"""131,072 bits that begin as gzip does, `1f 8b 08`, or nearly so, `1f 8b 00`."""


def presentation_vectors() -> Iterator[Vector]:
    """All of them."""
    yield from _shown()
    yield from _credentials()
    yield from _labels()
    yield from _shapes()
    yield from _claims()
    yield from _proofs()
    yield from _graphs()
    yield from _jwts()
    yield from _statuses()


def signed(document: Made, party: Party | EcParty = ISSUER, suite: str = "eddsa-jcs-2022", **options: Any) -> Made:
    """A credential with its issuer's proof."""
    config = credential_config(suite, options.pop("method", party.method), FROM)
    config |= options
    kind = party.kind if isinstance(party, EcParty) else "Ed25519"
    return attach(document, config, party.sign(prepare(document, config, kind)))


def answer(
    *credentials: Made,
    by: Party = AGENT,
    suite: str = "eddsa-jcs-2022",
    members: Mapping[str, Any] = {},
    **options: Any,
) -> Made:
    """A presentation of these by the agent; `options` are other ones of its proof, `members` other members."""
    shown = build_presentation(
        id=an_id("presentation"), holder=AGENT.did, engagement=ENGAGEMENT, credentials=credentials
    )
    shown = changed(shown, **members)
    challenge, domain = options.pop("challenge", CHALLENGE), options.pop("domain", VERIFIER.did)
    config = presentation_config(suite, AGENT.method, NOW, challenge=challenge, domain=domain)
    config |= options
    return attach(shown, config, by.sign(prepare(shown, config, "Ed25519")))


def _seconds(instant: str) -> int:
    return int(parse_instant(instant).timestamp())


def _vector(name: str, says: str, shown: Made, of: list[Made] | str | None = None, **case: Any) -> Vector:
    """`of` is the code of the refusal; otherwise every credential in it holds, or those of `of`, which it holds as a
    JWT.
    """
    expected: Made = {"code": of} if isinstance(of, str) else _worked(shown, of, case.get("lists", {}))
    return Vector(
        f"presentations/{name}",
        says,
        canonicalize(shown),
        {
            "kind": "presentation",
            "now": NOW,
            "holder": AGENT.did,
            "domain": VERIFIER.did,
            "engagement": ENGAGEMENT,
            "challenge": CHALLENGE,
            "keys": signers(AGENT, ISSUER),
            **case,
        },
        expected,
    )


def _worked(shown: Made, held: list[Made] | None, lists: Made) -> Made:
    """The digests of the credentials; and the values on the way to every signature."""
    held = shown.get("verifiableCredential", []) if held is None else held
    found: Made = {
        "credentials": [_digest(one) for one in held],
        "presentation": _signature_of(shown),
        "proofs": [_signature_of(one) for one in held],
    }
    return {**found, "lists": {url: _signature_of(one) for url, one in lists.items()}} if lists else found


def _signature_of(document: Made) -> Made:
    if "proof" not in document:
        return of_text(document["id"].partition(",")[2])
    (proof,) = document["proof"] if isinstance(document["proof"], list) else [document["proof"]]
    kind = "P-384" if "#z82" in proof["verificationMethod"] else ""  # of these keys alone the hash is another
    return intermediates(content_of(document), proof, kind)


def _digest(credential: Made) -> str:
    url = credential["id"]
    return digest_bytes(url.partition(",")[2].encode() if url.startswith("data:") else canonicalize(credential))


def _shown() -> Iterator[Vector]:
    membership = signed(unsigned("membership"))
    yield _vector("nothing", "no credential, shown in answer all the same", answer())
    yield _vector("membership", "one credential", answer(membership))
    rdfc = signed(unsigned("membership"), suite="eddsa-rdfc-2022")
    yield _vector(
        "membership-rdfc", "credential and presentation under eddsa-rdfc-2022", answer(rdfc, suite="eddsa-rdfc-2022")
    )
    says = "a member that some languages have another use for, added to a credential under an RDF suite"
    yield _vector("prototype-added", says, answer({**rdfc, "__proto__": {"type": "x"}}), "unknown_term")
    for kind, suite in (("P-256", "ecdsa-jcs-2019"), ("P-384", "ecdsa-rdfc-2019")):
        issuer = EcParty("issuer", kind)
        document = claim_credential(
            Membership(id=AGENT.did, member_of=issuer.did),
            id=an_id(kind),
            issuer=issuer.did,
            valid_from=FROM,
            valid_until=UNTIL,
        )
        for way, high in (("", False), ("-high-s", True)):
            config = credential_config(suite, issuer.method, FROM)
            one = attach(document, config, issuer.sign(prepare(document, config, kind), high=high))
            says = f"an issuer whose key is {kind}, in {suite}" + (", with the larger s" if high else "")
            yield _vector(f"membership-{kind.lower()}{way}", says, answer(one), keys=signers(AGENT, issuer))

    other = digest_bytes(b"another move")
    yield _vector("of-another-question", "an answer to another move", answer(challenge=other), "challenge_mismatch")
    yield _vector("for-another-verifier", "an answer to somebody else", answer(domain=OTHER.did), "challenge_mismatch")
    away = {"engagement": ENGAGEMENT[:-44] + other[-44:]}
    yield _vector("of-another-engagement", "made for another engagement", answer(members=away), "wrong_negotiation")
    asserted = answer(membership, proofPurpose="assertionMethod")
    yield _vector("asserted", "signed as an assertion", asserted, "proof_purpose_mismatch")
    forged = answer(membership, by=Party("stranger"))
    yield _vector("signed-by-a-stranger", "a stranger's signature under the holder's method", forged, "proof_invalid")
    yield _vector("unsigned", "nobody signed it", changed(answer(membership), proof=...), "proof_missing")
    bare = without_context(answer(membership), AGENT)
    yield _vector("proof-without-context", "a proof of a JCS suite without @context", bare, "proof_invalid")
    builds = signed_as_is(changed(answer(membership), proof__previousProof=an_id("none")), AGENT)
    yield _vector("proof-on-no-other", "a proof that builds on one that is not there", builds, "proof_invalid")
    lacks = without_context(membership, ISSUER)
    yield _vector("credential-without-context", "a credential's proof of a JCS suite without @context", answer(lacks))
    prefix = signed(unsigned("membership"))
    prefix["proof"]["@context"] = prefix["@context"][:1]
    yield _vector("credential-of-other-contexts", "one with the first context alone", answer(prefix), "proof_invalid")
    repeats = changed(rdfc, **{"proof__@context": rdfc["@context"]})
    yield _vector("rdfc-proof-with-context", "a proof of an RDF suite with @context", answer(repeats), "proof_invalid")
    listed = changed(membership, proof=[membership["proof"]])
    yield _vector("proof-in-a-list", "the one proof of a credential, in a list", answer(listed))
    shown = answer(membership)
    yield _vector(
        "own-proof-in-a-list", "the one proof of the presentation, in a list", changed(shown, proof=[shown["proof"]])
    )
    own_twice = changed(shown, proof=[shown["proof"], shown["proof"]])
    yield _vector("own-proof-twice", "two proofs of the presentation", own_twice, "proof_invalid")
    yield _vector("without-an-id", "no id", answer(membership, members={"id": ...}), "schema_violation")
    for name, says, members, code in (
        ("with-an-id-of-a-number", "an id that is no text", {"id": 1}, "schema_violation"),
        ("without-an-engagement", "no engagement", {"engagement": ...}, "schema_violation"),
        ("with-null-for-credentials", "null for credentials", {"verifiableCredential": None}, "schema_violation"),
        ("with-null-for-a-credential", "null for a credential", {"verifiableCredential": [None]}, "schema_violation"),
        ("with-a-name", "a member that presentations do not have", {"name": "Acme"}, "unknown_term"),
        ("of-another-type", "no presentation by its type", {"type": ["Presentation"]}, "schema_violation"),
        ("holder-no-did", "a holder that is no DID", {"holder": "https://acme.example"}, "schema_violation"),
    ):
        yield _vector(name, says, answer(membership, members=members), code)
    subject = unsigned("membership")["credentialSubject"]
    other = changed(unsigned("membership"), type=["VerifiableCredential", "OtherCredential"])
    alone = signed(changed(other, credentialSubject=[subject]))
    yield _vector("subject-in-a-list", "the one subject, in a list", answer(alone))
    ours = signed(changed(unsigned("membership"), credentialSubject=[subject]))
    yield _vector("membership-subject-in-a-list", "that of a type of ours", answer(ours), "schema_violation")
    both = signed(changed(other, credentialSubject=[subject, {"id": OTHER.did}]))
    yield _vector("also-about-another", "two subjects, one of them somebody else", answer(both), "holder_mismatch")
    extended = {**answer(membership), "verifiableCredential": [membership, membership]}
    yield _vector("one-more", "a credential put in afterwards", extended, "proof_invalid")
    theirs = answer(members={"holder": OTHER.did})
    yield _vector("of-another-holder", "another holder's", theirs, "holder_mismatch")
    yield _vector("too-many", "17 credentials", answer(*[membership] * 17), "too_large")


def _credentials() -> Iterator[Vector]:
    document = unsigned("membership")
    about = signed(unsigned("part-of"))
    yield _vector("about-another", "a credential about somebody else", answer(about), "holder_mismatch")
    first = signed(document)
    yield _vector("last-second", "a credential at its end", answer(first), now=UNTIL)
    yield _vector("past", "a credential past its end", answer(first), "policy_denied", now=shift(UNTIL, 1))
    longer = changed(first, validUntil=shift(UNTIL, 3600))
    over = {"now": shift(UNTIL, 3601)}
    yield _vector("past-and-changed", "past an end that nobody signed", answer(longer), "proof_invalid", **over)
    both = answer(first, changed(first, id=an_id("another")))
    yield _vector("past-before-changed", "one past its end, then one changed", both, "proof_invalid", **over)
    early = answer(first, created=FROM)
    yield _vector("not-yet", "a credential one second before it begins", early, "policy_denied", now=shift(FROM, -1))
    yield _vector("credential-unsigned", "a credential that nobody signed", answer(document), "proof_missing")
    own = signed(document, AGENT, method=ISSUER.method)
    yield _vector(
        "signed-by-the-holder", "the holder's signature under the issuer's method", answer(own), "proof_invalid"
    )
    theirs = signed(document, AGENT)
    yield _vector(
        "signed-by-another", "a credential signed by another than its issuer", answer(theirs), "key_not_authorized"
    )
    altered = changed(first, credentialSubject__limits={"amount": "5", "currency": "EUR"})
    yield _vector("credential-changed", "a limit put in afterwards", answer(altered), "proof_invalid")
    answered = signed(document, proofPurpose="authentication")
    yield _vector(
        "credential-of-another-purpose",
        "a credential signed to prove who one is",
        answer(answered),
        "proof_purpose_mismatch",
    )
    foreign = signed(
        changed(document, **{"@context": ["https://www.w3.org/ns/credentials/v2", "https://example.com/v1"]})
    )
    yield _vector("context", "a context that is not bundled", answer(foreign), "context_not_allowed")
    parts = [{"name": f"part {number}"} for number in range(65)]
    contexts = ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/undefined-terms/v2"]
    roster = changed(document, credentialSubject={"id": AGENT.did, "parts": parts}, type=["VerifiableCredential"])
    many = signed({**roster, "@context": contexts})
    many = changed(many, proof__cryptosuite="eddsa-rdfc-2022", **{"proof__@context": ...})
    yield _vector("too-many-nodes", "65 blank nodes under an RDF suite", answer(many), "canon_limit")
    plain = changed(document, credentialSubject={"id": AGENT.did}, type=["VerifiableCredential"])
    graph = signed({**plain, "@context": contexts}, suite="eddsa-rdfc-2022")
    for name, says, members in (
        ("null", "null", {"also": None}),
        ("an-empty-array", "an empty array", {"also": []}),
        ("an-empty-array-inside", "an empty array within another", {"also": ["x", []]}),
        ("an-empty-array-of-types", "an empty array of types", {"credentialSubject__type": []}),
        ("a-value-twice", "a type that stands there twice", {"type": 2 * ["VerifiableCredential"]}),
        ("a-relative-iri", "a relative IRI", {"credentialSubject__also": {"id": "here"}}),
        ("what-is-no-iri", "an id that is no IRI", {"credentialSubject__also": {"id": "urn:x:{"}}),
        ("a-number", "a whole number that not every reader keeps", {"credentialSubject__also": 1e21}),
    ):
        more = answer(changed(graph, **members))
        code = "number_out_of_range" if name == "a-number" else "schema_violation"
        yield _vector(f"lost-{name}", f"{says} in what an RDF suite has signed", more, code)
    fractions = [1e-7, -2.5e-300, 1 + 2**-16, 1 + 3 * 2**-16, 0.1]  # the third and fourth lie midway between two texts
    numbers = signed(
        changed({**plain, "@context": contexts}, credentialSubject__also=fractions), suite="eddsa-rdfc-2022"
    )
    yield _vector("fractions-rdfc", "fractions under an RDF suite, as `%1.15E` writes them", answer(numbers))
    known_as = {"credentialSubject__alsoKnownAs": "https://acme.example/me"}
    key = {"type": "Multikey", "publicKeyMultibase": AGENT.method.partition("#")[2]}
    jwk = {
        "type": "JsonWebKey",
        "publicKeyJwk": {"crv": "Ed25519", "kty": "OKP", "x": "11qY", "also": [None, {"type": []}]},
    }
    for context, members in (
        ("www.w3.org/ns/did/v1", known_as),
        ("www.w3.org/ns/cid/v1", known_as),
        (
            "w3id.org/security/data-integrity/v2",
            {"credentialSubject__proof": {"type": "DataIntegrityProof", "challenge": "x"}},
        ),
        ("w3id.org/security/multikey/v1", {"evidence": key}),
        ("w3id.org/security/jwk/v1", {"evidence": jwk}),  # in a JSON literal nothing is lost
    ):
        listed = changed(plain, **{"@context": [contexts[0], f"https://{context}"]}, **members)
        name = context.split("/")[-2]
        yield _vector(
            f"context-{name}", f"one that rests on {context} too", answer(signed(listed, suite="eddsa-rdfc-2022"))
        )
    colon = signed(changed(document, **{"ex:also": "x"}))
    yield _vector("name-with-a-colon", "a member whose name is a short IRI", answer(colon), "unknown_term")
    twice = signed(changed(document, id=AGENT.did))
    yield _vector("id-twice", "the credential has the id of its subject", answer(twice), "schema_violation")


def _labels() -> Iterator[Vector]:
    """Nodes without a name under RDF suites, of which RDFC-1.0 says how they are labelled."""
    contexts = ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/undefined-terms/v2"]
    plain = {**unsigned("membership"), "@context": contexts, "type": ["VerifiableCredential"]}

    membership = signed(unsigned("membership"), suite="eddsa-rdfc-2022")

    def vector(name: str, says: str, parts: Any, of: str | None = None, **way: Any) -> Vector:
        document = changed(plain, credentialSubject={"id": AGENT.did, "parts": parts})
        said = signed(document, suite="eddsa-rdfc-2022") if of is None else {**document, "proof": membership["proof"]}
        return _vector(f"labels-{name}", says, answer(said, **way), of)

    def linked(size: int) -> Made:
        return {"next": linked(size - 1)} if size > 1 else {}

    def trees(pairs: int) -> list[Made]:
        return 3 * [{"of": 5 * [{}]}] + pairs * [{"of": {}}]

    yield vector("of-a-chain", "a chain of five nodes, shown under an RDF suite", linked(5), suite="eddsa-rdfc-2022")
    parts = [{"t": ["\U0001f600", "\uffee"]}, {"t": ["\uffee", "\uff00"]}, {"t": "\U0001f600"}]
    yield vector("by-code-points", "nodes that differ by how characters are ordered", parts)
    yield vector("of-trees", "nodes that are alike: 9,999 steps", trees(18))
    yield vector("of-one-more-tree", "two nodes more: 10,007 steps", trees(19), "canon_limit")
    issuer = EcParty("issuer", "P-384")
    document = changed(plain, issuer=issuer.did, credentialSubject={"id": AGENT.did, "parts": linked(5)})
    shown = answer(signed(document, issuer, suite="ecdsa-rdfc-2019"))
    yield _vector("labels-p-384", "a chain that a P-384 key has signed: by SHA-384", shown, keys=signers(AGENT, issuer))
    single = answer(membership, suite="eddsa-rdfc-2022")
    again = {**single, "verifiableCredential": 2 * [membership]}
    yield _vector("labels-shown-twice", "one credential twice, under an RDF suite", again, "canon_limit")


def _shapes() -> Iterator[Vector]:
    """A member of the data model of another shape, in a credential that its issuer signed as it is."""
    typed = {"id": "urn:x:y", "type": "Other"}
    base = {**unsigned("membership"), "type": ["VerifiableCredential", "OtherCredential"]}
    full = {
        **base,
        "issuer": {"id": ISSUER.did, "name": [{"@value": "Acme", "@language": "en"}, "Acme"]},
        "description": "text",
        "evidence": [typed, {"type": ["Other", "urn:x:other"]}],
        "other": [None, 1.5, {"also": []}],
    }

    def spelled(document: Made) -> Made:
        return answer(signed_as_is({**document, "proof": signed(base)["proof"]}, ISSUER))

    yield _vector("shape-full", "members of every shape, and one that the data model has not", spelled(full))
    badge = {"id": "https://badges.example/schema.json", "type": "1EdTechJsonSchemaValidator2019"}
    names = {"type": ["VerifiableCredential", "Other_Credential-2"], "refreshService": {"type": "1EdTechRefresh"}}
    yield _vector(
        "shape-names-of-others", "a name that begins with a digit, and one of several words", spelled({**base, **names})
    )
    yield _vector(
        "shape-schema-of-another-kind",
        "a kind of schema that begins with a digit",
        spelled({**base, "credentialSchema": badge}),
        "policy_denied",
    )
    for name, says, members in (
        ("id-of-a-number", "an id that is no text", {"id": 1}),
        ("id-without-a-scheme", "an id that is no URL", {"id": "1"}),
        ("type-empty", "an empty text among its types", {"type": ["VerifiableCredential", ""]}),
        ("type-of-two-words", "a type with a space", {"type": ["VerifiableCredential", "Other Credential"]}),
        ("type-not-listed", "a type without VerifiableCredential", {"type": "OtherCredential"}),
        ("issuer-without-an-id", "an issuer that has a name alone", {"issuer": {"name": "Acme"}}),
        ("issuer-listed", "two issuers", {"issuer": [ISSUER.did, OTHER.did]}),
        ("subject-empty", "an empty object beside its subject", {"credentialSubject": [{"id": AGENT.did}, {}]}),
        ("name-of-a-number", "a name that is no text", {"name": 1}),
        ("name-with-more", "a name in an object with another member", {"name": {"@value": "Acme", "also": "x"}}),
        ("day-for-a-time", "a beginning without its time", {"validFrom": FROM[:10]}),
        ("year-nought", "a year that is one only in UTC", {"validFrom": "0000-12-31T23:59:59-14:00"}),
        ("null-for-an-end", "null for its end", {"validUntil": None}),
        ("end-before-its-beginning", "an end before the beginning", {"validFrom": UNTIL, "validUntil": FROM}),
        ("evidence-of-text", "text for its evidence", {"evidence": "urn:x:y"}),
        ("terms-without-a-type", "terms of use without a type", {"termsOfUse": {"id": "urn:x:y"}}),
        ("schema-without-an-id", "a schema without an id", {"credentialSchema": {"type": "JsonSchema"}}),
        ("status-empty", "an empty list of places", {"credentialStatus": []}),
    ):
        yield _vector(f"shape-{name}", says, spelled({**base, **members}), "schema_violation")
    no_did = spelled({**base, "issuer": "https://acme.example"})
    yield _vector("issuer-no-did", "an issuer that is no DID", no_did, "did_document_invalid")


def _claims() -> Iterator[Vector]:
    """What the types of the protocol, and their schemas, let a credential say."""
    document = unsigned("membership")
    kind = "https://w3id.org/hire/v1/schemas/credentials/"
    known, other = (
        {"id": f"{kind}{name}Credential.json", "type": "JsonSchema"} for name in ("Membership", "Endorsement")
    )
    strange = {"id": "https://acme.example/schema.json", "type": "JsonSchema"}
    limits = {"credentialSubject__limits": {"amount": "5"}}
    yield _vector(
        "claim-with-its-schema", "the schema of its type", answer(signed({**document, "credentialSchema": known}))
    )
    for name, says, members, code in (
        ("another-member", "a member that its type has not", {"credentialSubject__role": "intern"}, "unknown_term"),
        (
            "another-organisation",
            "one that did not issue it",
            {"credentialSubject__memberOf": OTHER.did},
            "schema_violation",
        ),
        ("an-amount-alone", "an amount of no currency", limits, "schema_violation"),
        ("another-type", "another type beside", {"type": [*document["type"], "OtherCredential"]}, "schema_violation"),
        ("another-schema", "the schema of another type", {"credentialSchema": other}, "schema_violation"),
        ("an-unknown-schema", "a schema that is not known", {"credentialSchema": [known, strange]}, "policy_denied"),
    ):
        yield _vector(
            f"claim-with-{name}", says, answer(signed_as_is(changed(signed(document), **members), ISSUER)), code
        )


def _proofs() -> Iterator[Vector]:
    """Proofs of another shape, signed as they are."""
    first = signed(unsigned("membership"))
    for name, says, members, code in (
        ("another-member", "a member that proofs have not", {"role": "x"}, "unknown_term"),
        ("a-number-for-a-nonce", "a nonce that is no text", {"nonce": 1}, "schema_violation"),
        ("an-empty-nonce", "a nonce without anything in it", {"nonce": ""}, "schema_violation"),
        ("an-empty-chain", "builds on an empty list of proofs", {"previousProof": []}, "schema_violation"),
        ("a-day-for-a-time", "when it was made without its time", {"created": FROM[:10]}, "schema_violation"),
        ("no-purpose", "no purpose", {"proofPurpose": ...}, "schema_violation"),
        ("an-old-type", "another type of proof", {"type": "Ed25519Signature2020"}, "suite_not_allowed"),
        ("no-suite", "no cryptosuite", {"cryptosuite": ...}, "suite_not_allowed"),
        ("no-method", "a method that is no DID URL", {"verificationMethod": f"{ISSUER.method} "}, "key_not_authorized"),
        ("a-challenge", "an answer to somebody", {"challenge": CHALLENGE}, "challenge_mismatch"),
        ("an-end-before-it-was-made", "an end before it was made", {"created": NOW, "expires": FROM}, "proof_invalid"),
    ):  # fmt: skip
        odd = signed_as_is(changed(first, **{f"proof__{member}": value for member, value in members.items()}), ISSUER)
        yield _vector(f"proof-with-{name}", says, answer(odd), code)
    twice = changed(first, proof=[first["proof"], first["proof"]])
    yield _vector("proof-twice", "two proofs of a credential", answer(twice), "proof_invalid")
    for name, value in (("text", "x"), ("an-empty-object", {}), ("an-empty-list", [])):
        yield _vector(
            f"proof-of-{name}", "nothing that is a proof", answer(changed(first, proof=value)), "proof_missing"
        )


def _graphs() -> Iterator[Vector]:
    """Edges are counted before a signature is looked at; what is presented is about the holder (`holder_mismatch`)."""
    agents = [Party(f"agent {number}").did for number in range(72)]

    def endorsed(subjects: Sequence[str], issuer: str = ISSUER.did) -> Made:
        """Edges from an issuer to each of these."""
        claims = [{"id": did, "capability": f"sbom-{at}", "weight": "0.5"} for at, did in enumerate(subjects)]
        return changed(unsigned("endorsement"), issuer=issuer, credentialSubject=claims)

    def forged(document: Made) -> Made:
        return changed(signed(document), proof__proofValue=f"z{'1' * 88}")

    def vector(name: str, says: str, of: str, *edges: Made) -> Vector:
        return _vector(f"graph-{name}", says, answer(*edges), of)

    crowd = [forged(endorsed(agents[8 : 72 if at < 4 else 9], agents[at])) for at in range(5)]
    yield vector("many", "256 edges", "holder_mismatch", *crowd[:4])
    yield vector("too-many", "257 edges, none of five issuers has more than 64", "too_large", *crowd)
    yield vector("wide", "64 edges by one issuer", "holder_mismatch", forged(endorsed(agents[:64])))
    yield vector("too-wide", "65 edges by one issuer", "too_large", forged(endorsed(agents[:65])))
    again = [forged(endorsed(agents[:5])) for _ in range(16)]
    yield vector("again", "80 edges by one issuer, to five subjects", "holder_mismatch", *again)
    links = [forged(endorsed(agents[at + 1 : at + 2], agents[at])) for at in range(5)]
    yield vector("deep", "a chain of four links", "holder_mismatch", *links[:4])
    yield vector("too-deep", "a chain of five links", "too_large", *links)


def _jwts() -> Iterator[Vector]:
    document = unsigned("membership")
    header = {"alg": "Ed25519", "cty": "vc", "kid": ISSUER.method, "typ": "vc+jwt"}
    payload = {**document, "iat": _seconds(FROM)}
    good = enveloped_credential(jws(header, payload, ISSUER))
    yield _vector("jwt", "a credential as a JWT", answer(good))
    old = enveloped_credential(jws({**header, "alg": "EdDSA"}, payload, ISSUER))
    yield _vector("jwt-old-name", "the old name of the algorithm", answer(old))

    def wrong(name: str, says: str, code: str, *, of: Mapping[str, Any] = {}, claims: Mapping[str, Any] = {}) -> Vector:
        text = jws({**header, **of}, {**payload, **claims}, ISSUER)
        return _vector(f"jwt-{name}", says, answer(enveloped_credential(text)), code)

    yield wrong("none", "no algorithm", "suite_not_allowed", of={"alg": "none"})
    yield wrong("shared-secret", "an algorithm with a shared secret", "suite_not_allowed", of={"alg": "HS256"})
    yield wrong("other-curve", "an algorithm for another key", "suite_not_allowed", of={"alg": "ES256"})
    yield wrong("own-key", "a header that brings a key", "unknown_term", of={"jwk": {"kty": "OKP"}})
    yield wrong("critical", "a header with rules of its own", "unknown_term", of={"crit": ["b64"], "b64": False})
    yield wrong("typ", "typed as a presentation", "proof_purpose_mismatch", of={"typ": "vp+jwt", "cty": "vp"})
    yield wrong("other-kid", "a method of another DID", "key_not_authorized", of={"kid": AGENT.method})
    yield wrong("old-form", "a credential inside a claim", "schema_violation", claims={"vc": {}})
    yield wrong("bound", "bound to a key that is not looked at", "schema_violation", claims={"cnf": {}})
    yield wrong("other-issuer", "iss is not the issuer", "schema_violation", claims={"iss": OTHER.did})
    yield wrong("expired", "exp is now, validUntil later", "policy_denied", claims={"exp": _seconds(NOW)})
    first = {"exp": 946_684_800}  # of which no second lies before it in these years
    yield wrong("another-millennium", "exp is the first second of the year 2000", "schema_violation", claims=first)
    yield wrong("from-future", "made 61 seconds ahead", "proof_from_future", claims={"iat": _seconds(NOW) + 61})
    changed_text = good["id"][:-6] + ("A" if good["id"][-6] != "A" else "B") + good["id"][-5:]
    yield _vector("jwt-changed", "another signature", answer({**good, "id": changed_text}), "proof_invalid")
    odd = enveloped_credential(jws(header, payload, OddParty(ISSUER.role)))
    yield _vector("jwt-small-r", "a signature whose R is the neutral element", answer(odd), "proof_invalid")
    padded = {**good, "id": f"{good['id']}="}
    yield _vector("jwt-padded", "base64url with padding", answer(padded), "schema_violation")
    beside = {**good, "issuer": ISSUER.did}
    yield _vector("jwt-beside", "a member beside the text", answer(beside), "unknown_term")

    shown = build_presentation(id=an_id("presentation"), holder=AGENT.did, engagement=ENGAGEMENT, credentials=[good])
    head = {"alg": "Ed25519", "cty": "vp", "kid": AGENT.method, "typ": "vp+jwt"}
    claims = {**shown, "aud": VERIFIER.did, "nonce": CHALLENGE, "iat": _seconds(NOW)}

    def said(**members: Any) -> Made:
        return enveloped_presentation(jws(head, {**claims, **members}, AGENT))

    yield _vector("vp-jwt", "a presentation as a JWT", said(), [good])
    yield _vector(
        "vp-jwt-of-another-question",
        "its nonce is of another move",
        said(nonce=digest_bytes(b"x")),
        "challenge_mismatch",
    )
    yield _vector("vp-jwt-for-another-verifier", "its aud is somebody else", said(aud=OTHER.did), "challenge_mismatch")
    yield _vector("vp-jwt-with-a-proof", "a claim that it does not have", said(proof={}), "unknown_term")


def _statuses() -> Iterator[Vector]:
    document = {**unsigned("membership"), "credentialStatus": status_entry(LIST, PLACE)}
    shown = answer(signed(document))

    def at(encoded: str = CLEAR, by: Party = ISSUER, edit: Callable[[Made], Made] = dict, **members: Any) -> Made:
        subject = {
            "id": f"{LIST}#list",
            "type": "BitstringStatusList",
            "statusPurpose": "revocation",
            "encodedList": encoded,
        }
        listed: Made = {
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "id": LIST,
            "type": ["VerifiableCredential", "BitstringStatusListCredential"],
            "issuer": by.did,
            "validFrom": FROM,
            "validUntil": UNTIL,
            "credentialSubject": subject,
        }
        return {LIST: edit(signed(changed(listed, **members), by))}

    yield _vector("status-clear", "a list that says nothing against it", shown, lists=at())
    yield _vector("status-revoked", "a list in which its bit is set", shown, "revoked", lists=at(SET))
    suspended = signed({**document, "credentialStatus": status_entry(LIST, PLACE, "suspension")})
    pause = at(SET, credentialSubject__statusPurpose="suspension")
    yield _vector("status-suspended", "for now, not for good", answer(suspended), "revoked", lists=pause)
    yield _vector("status-not-there", "a list that could not be fetched", shown, "status_unavailable", lists={})
    theirs = at(by=OTHER)
    yield _vector("status-of-another-issuer", "another issuer's list", shown, "status_unavailable", lists=theirs)
    ended = at(validUntil=shift(NOW, -1))
    yield _vector("status-past", "a list past its end", shown, "status_unavailable", lists=ended)
    forged = at(edit=lambda one: changed(one, credentialSubject__encodedList=CLEAR), encoded=SET)
    yield _vector("status-changed", "bits that nobody signed", shown, "status_unavailable", lists=forged)
    purpose = at(credentialSubject__statusPurpose="suspension")
    yield _vector("status-of-another-purpose", "a list of another purpose", shown, "status_invalid", lists=purpose)
    elsewhere = at(id="https://status.example/2")
    yield _vector(
        "status-of-another-place", "a list that was published elsewhere", shown, "status_invalid", lists=elsewhere
    )
    far = answer(signed({**document, "credentialStatus": status_entry(LIST, 131_072)}))
    yield _vector("status-beyond", "a place that the list does not have", far, "status_invalid", lists=at())
    plain = at(encoded=CLEAR[1:])
    yield _vector("status-without-multibase", "a list in another spelling", shown, "status_invalid", lists=plain)
    member = multibase_decode(CLEAR, "u")
    for name, says, encoded in (
        ("two-members", "gzip of two members", multibase_encode("u", member + member)),
        ("a-byte-behind", "a byte after the gzip", multibase_encode("u", member + b"\0")),
        ("half-a-member", "gzip that ends too early", multibase_encode("u", member[:-1])),
        ("few-bits", "fewer bits than there have to be", SHORT),
        ("gzip-inside", "bits that begin as gzip does", GZIP),
    ):
        yield _vector(f"status-list-of-{name}", says, shown, "status_invalid", lists=at(encoded))
    yield _vector("status-list-nearly-of-gzip", "bits that begin nearly as gzip does", shown, lists=at(LIKE_GZIP))
    kind = answer(signed(changed(document, credentialStatus__type="OtherEntry")))
    yield _vector("status-of-another-kind", "an entry that is not known", kind, "status_unavailable", lists=at())
    for name, says, member, code in (
        ("null-for-a-size", "an entry whose size is null", {"statusSize": None}, "status_unavailable"),
        ("text-for-a-list", "an entry whose list is no URL", {"statusListCredential": "1"}, "status_invalid"),
        ("a-number-for-a-place", "an entry whose place is a number", {"statusListIndex": PLACE}, "status_invalid"),
    ):
        entry = {**status_entry(LIST, PLACE), **member}
        spelled = answer(signed_as_is(changed(signed(document), credentialStatus=entry), ISSUER))
        yield _vector(f"status-with-{name}", says, spelled, code, lists=at())
    strange = ["https://x.example/v1"]
    for name, says, members in (
        ("another-context", "a list of a context not allowed", {"@context": strange, "proof__@context": strange}),
        ("a-status", "a list that has a status itself", {"credentialStatus": status_entry(LIST, PLACE)}),
    ):
        listed = signed_as_is(changed(at()[LIST], **members), ISSUER)
        yield _vector(f"status-list-with-{name}", says, shown, "status_invalid", lists={LIST: listed})
    slow = at(credentialSubject__ttl="soon")
    yield _vector("status-list-with-text-for-its-ttl", "a list whose ttl is text", shown, "status_invalid", lists=slow)
    nine = answer(signed({**document, "credentialStatus": [status_entry(LIST, place) for place in range(9)]}))
    yield _vector("status-of-nine-entries", "nine places", nine, "status_invalid", lists=at())
    away = [status_entry(LIST, PLACE), status_entry("https://status.example/2", PLACE)]
    half = answer(signed({**document, "credentialStatus": away}))
    yield _vector(
        "status-one-not-there", "set in one list, and no other one there", half, "status_unavailable", lists=at(SET)
    )
    dots = "https://status.example/a/../1"
    there = answer(signed({**document, "credentialStatus": status_entry(dots, PLACE)}))
    as_it_is = {dots: at(id=dots)[LIST]}
    yield _vector(
        "status-of-a-place-with-dots", "a list that is asked for as its URL is written", there, lists=as_it_is
    )
    several = at(credentialSubject__statusPurpose=["suspension", "revocation"])
    yield _vector("status-of-two-purposes", "a list of two purposes", shown, lists=several)

    def text(encoded: str = CLEAR, header: Mapping[str, Any] = {}, **claims: Any) -> Made:
        """The same list as a JWT, in its envelope."""
        head = {"alg": "Ed25519", "cty": "vc", "kid": ISSUER.method, "typ": "vc+jwt", **header}
        return at(encoded, edit=lambda one: enveloped_credential(jws(head, changed(one, proof=..., **claims), ISSUER)))

    yield _vector("status-jwt", "a list as a JWT", shown, lists=text())
    yield _vector("status-jwt-revoked", "one in which its bit is set", shown, "revoked", lists=text(SET))
    past = text(exp=_seconds(NOW))
    yield _vector("status-jwt-past", "one whose exp is now", shown, "status_unavailable", lists=past)
    unsigned_list = text(header={"alg": "none"})
    yield _vector("status-jwt-none", "one with no algorithm", shown, "status_unavailable", lists=unsigned_list)
    old_form = text(vc={})
    yield _vector("status-jwt-old-form", "one inside a claim", shown, "status_invalid", lists=old_form)
