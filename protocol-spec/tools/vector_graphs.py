"""Vectors of the trust graph: which edge a credential makes, and what a graph answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from example_credentials import AGENT, FROM, ISSUER, NOW, UNTIL, an_id, unsigned
from example_messages import conversation
from example_parties import HIRER, Party
from vector_parts import Vector, changed, content_of, resigned, signers
from vector_presentations import signed

from undersigned.credentials import Accusation, claim_credential
from undersigned.encoding import canonicalize, digest_bytes, shift

__all__ = ["graph_vectors"]

Made = dict[str, Any]
CONTRACT: Final = digest_bytes(b"hire example contract")


def graph_vectors() -> Iterator[Vector]:
    """All of them."""
    yield from _edges()
    yield from _accusations()
    yield from _authority()
    yield from _reputation()
    yield from _accused()
    yield from _establishments()


# --- edges


def _edge(name: str, says: str, credential: Made, of: Made | str, **case: Any) -> Vector:
    """`of` is the code of the refusal, or what the edge says beside its name, ends and validity."""
    subject = credential["credentialSubject"]
    made: Made = {} if isinstance(of, str) else {"depth": 0, "weight": "0", "says": "", **of}
    ends = {"source": credential["issuer"], "target": subject["id"] if isinstance(subject, dict) else ""}
    edge = {"digest": digest_bytes(canonicalize(credential)), **ends, "validFrom": FROM, "validUntil": UNTIL, **made}
    return Vector(
        f"edges/{name}",
        says,
        canonicalize(credential),
        {"kind": "edge", "now": NOW, "contracts": [CONTRACT], "keys": signers(ISSUER), **case},
        {"code": of} if isinstance(of, str) else {"edge": edge},
    )


def _edges() -> Iterator[Vector]:
    for name, says, of in (
        ("membership", "its organisation speaks", {"kind": "membership", "weight": "1"}),
        ("authority", "it may attest", {"kind": "authority", "capability": "sbom", "depth": 1}),
        ("endorsement", "it is good at something", {"kind": "endorsement", "capability": "sbom", "weight": "0.75"}),
        (
            "performance",
            "it did this well",
            {"kind": "performance", "capability": "sbom", "weight": "0.5", "says": "accepted"},
        ),
        ("part-of", "it is a part", {"kind": "partOf", "weight": "1"}),
        ("supplies-to", "it supplies", {"kind": "suppliesTo", "weight": "0.25"}),
        ("accredited-by", "it is accredited", {"kind": "accreditedBy", "capability": "sbom", "weight": "1"}),
        ("audited-by", "it was audited", {"kind": "auditedBy", "weight": "0.5", "says": "ISO/IEC 27001:2022"}),
    ):
        yield _edge(name, says, signed(unsigned(name)), of)
    deep = signed(changed(unsigned("authority"), credentialSubject__depth=9))
    of = {"kind": "authority", "capability": "sbom", "depth": 4}
    yield _edge("authority-deep", "a depth beyond 4 is 4", deep, of)
    failed = signed(changed(unsigned("performance"), credentialSubject__outcome="failed"))
    of = {"kind": "performance", "capability": "sbom", "says": "failed"}
    yield _edge("performance-failed", "work that failed carries nothing", failed, of)
    yield _edge(
        "performance-of-no-contract",
        "a contract that is not known",
        signed(unsigned("performance")),
        "policy_denied",
        contracts=[],
    )
    two = signed(
        changed(unsigned("endorsement"), type=["VerifiableCredential", "EndorsementCredential", "PartOfCredential"])
    )
    yield _edge("two-types", "what could be two edges is none", two, "schema_violation")
    subject = unsigned("endorsement")["credentialSubject"]
    several = signed(changed(unsigned("endorsement"), credentialSubject=[subject, {**subject, "id": HIRER.did}]))
    yield _edge("two-subjects", "what is about two is about none", several, "schema_violation")
    more = signed(changed(unsigned("endorsement"), credentialSubject__unless="x"))
    yield _edge("another-member", "a member that could narrow it", more, "unknown_term")


def _accusations() -> Iterator[Vector]:
    said = conversation()
    first = json.loads(said["presentation-hirer"].raw)
    second = resigned(changed(first, answers=first["previous"]))

    def proof(*messages: Made) -> str:
        return f"[{','.join(canonicalize(one).decode() for one in messages)}]"

    def accusing(evidence: str, kind: str = "equivocation", of: Party = HIRER) -> Made:
        claim = Accusation(id=of.did, kind=kind, evidence=digest_bytes(evidence.encode()))  # type: ignore[arg-type]
        return signed(
            claim_credential(claim, id=an_id("accusing"), issuer=ISSUER.did, valid_from=FROM, valid_until=UNTIL)
        )

    both = proof(first, second)
    of = {"kind": "accusation", "says": "equivocation"}
    yield _edge("equivocation", "two moves in one place", accusing(both), of, evidence=both)
    judged = "They did not answer for months."
    of = {"kind": "accusation", "says": "distrust"}
    yield _edge("distrust", "the issuer's own judgement", accusing(judged, "distrust"), of, evidence=judged)
    yield _edge("evidence-not-held", "evidence that is not here", accusing(both), "policy_denied")
    yield _edge("evidence-another", "evidence of another digest", accusing(both), "policy_denied", evidence=judged)
    for name, says, text, code in (
        ("once", "one move, twice", proof(first, first), "evidence_invalid"),
        ("alone", "one move", proof(first), "schema_violation"),
        (
            "resigned",
            "one move under two proofs",
            proof(first, resigned(first, created=shift(first["proof"]["created"], 1))),
            "evidence_invalid",
        ),
        ("other-places", "two moves in two places", proof(json.loads(said["inquiry"].raw), first), "evidence_invalid"),
        (
            "changed",
            "a move that was changed",
            proof(first, changed(second, answers=content_of(second)["seen"], role="hirer", id=first["id"][:-1] + "0")),
            "proof_invalid",
        ),
    ):
        yield _edge(f"equivocation-{name}", says, accusing(text), code, evidence=text)
    theirs = accusing(both, of=AGENT)
    yield _edge("equivocation-of-another", "two moves by somebody else", theirs, "evidence_invalid", evidence=both)


# --- answers


def did(name: str) -> str:
    """A party of the small graphs here: `root` and letters."""
    return f"did:example:{name}"


def link(source: str, target: str, kind: str = "endorsement", weight: str = "1", **more: Any) -> Made:
    """An edge. `depth` and `says` where the kind has them; about `sbom` unless it says otherwise."""
    about = {} if kind in ("membership", "accusation", "partOf") else {"capability": "sbom"}
    edge = {"source": did(source), "target": did(target), "kind": kind, **about, **more}
    if kind not in ("authority", "accusation"):
        edge["weight"] = weight
    if kind == "accusation":
        edge["says"] = "distrust"
    return {"digest": digest_bytes(canonicalize(edge)), **edge}


def _asked(name: str, says: str, edges: list[Made], question: Made, expected: Made, **more: Any) -> Vector:
    anchors = more.pop("anchors", [{"issuer": did("root")}])
    given = {"edges": edges, "keys": more.pop("keys", {})}
    case = {"kind": "graph", "now": NOW, "anchors": anchors, "own": [], "question": question, **more}
    return Vector(f"graphs/{name}", says, canonicalize(given), case, expected)


def _authority() -> Iterator[Vector]:
    def asked(
        name: str, says: str, verdict: str, *edges: Made, of: str = "c", about: str | None = "sbom", **more: Any
    ) -> Vector:
        question = {"ask": "authority", "issuer": did(of), "type": "EndorsementCredential"}
        if about is not None:
            question["capability"] = about
        return _asked(f"authority-{name}", says, list(edges), question, {"verdict": verdict}, **more)

    chain = [link("root", "b", "authority", depth=1), link("b", "c", "authority", depth=0)]
    yield asked("of-a-root", "an anchor is entitled by itself", "yes", of="root")
    yield asked("of-oneself", "one's own word is believed", "yes", anchors=[], own=[did("c")])
    yield asked("chain", "two links from a root", "yes", *chain)
    yield asked("no-chain", "a link from somebody who is no root", "no", link("b", "c", "authority"))
    yield asked(
        "depth-of-a-link", "a link that nothing may follow", "no", link("root", "b", "authority", depth=0), chain[1]
    )
    shallow = [{"issuer": did("root"), "depth": 1}]
    yield asked("depth-of-an-anchor", "an anchor that believes one link", "no", *chain, anchors=shallow)
    two = [*shallow, {"issuer": did("root"), "depth": 2}]
    yield asked("depth-of-two-anchors", "another anchor of the same issuer believes two", "yes", *chain, anchors=two)
    names = ("root", "x", "y", "z", "b", "c")
    long = [link(one, other, "authority", depth=4) for one, other in pairwise(names)]
    yield asked("five-links", "a chain of five links", "no", *long)
    yield asked("four-links", "a chain of four links", "yes", *long, of="b")
    yield asked(
        "another-capability", "a link about something else", "no", link("root", "c", "authority", capability="audit")
    )
    liked = [link("root", "c"), link("root", "c", "membership"), link("root", "c", "accreditedBy")]
    yield asked("by-reputation", "nothing else stands for a link", "no", *liked)
    narrow = [{"issuer": did("root"), "capabilities": ["sbom"]}]
    yield asked("anchor-for-a-capability", "an anchor for this", "yes", anchors=narrow, of="root")
    yield asked(
        "anchor-for-none",
        "an anchor for capabilities, and a claim about none",
        "no",
        anchors=narrow,
        of="root",
        about=None,
    )
    over = [{"issuer": did("root"), "until": shift(NOW, -1)}]
    yield asked("anchor-over", "an anchor that has ended", "no", anchors=over, of="root")
    yield asked("link-at-its-end", "the last second of a link", "yes", link("root", "c", "authority", validUntil=NOW))
    past = link("root", "c", "authority", validUntil=shift(NOW, -1))
    yield asked("link-past", "a link that has ended", "no", past)
    yield asked("link-revoked", "a link that was withdrawn", "no", link("root", "c", "authority", status="revoked"))
    yield asked(
        "link-suspended", "a link that does not count for now", "no", link("root", "c", "authority", status="suspended")
    )
    yield asked(
        "through-an-accused", "a chain through somebody who is accused", "no", *chain, link("root", "b", "accusation")
    )
    yield asked("accused-by-nobody", "an accusation by who is no anchor", "yes", *chain, link("c", "b", "accusation"))
    yield asked(
        "shared-key",
        "a chain through who has a key of the accused",
        "no",
        *chain,
        link("root", "x", "accusation"),
        keys={did("x"): ["k"], did("b"): ["k"]},
    )
    yield asked("too-much", "more edges than may be read", "indeterminate", *chain, limit=1)


def _reputation() -> Iterator[Vector]:
    def asked(name: str, says: str, score: str, *edges: Made, **more: Any) -> Vector:
        question = {"ask": "reputation", "party": did("p"), "capability": "sbom"}
        return _asked(f"reputation-{name}", says, list(edges), question, {"score": score}, **more)

    two = [link("root", "b", weight="0.5"), link("root", "c"), link("b", "p"), link("c", "p", weight="0.25")]
    yield asked("direct", "a word of a root", "0.75", link("root", "p", weight="0.75"))
    yield asked("two-ways", "each way carries what its narrowest link does", "0.75", *two)
    yield asked("again", "the same edges, in another order and twice", "0.75", *reversed(two), *two)
    crowd = [edge for n in range(6) for edge in (link("b", f"s{n}"), link(f"s{n}", "p"))]
    yield asked(
        "crowd", "any number of names passes on what one was given", "0.5", link("root", "b", weight="0.5"), *crowd
    )
    yield asked("at-most-one", "never more than 1", "1", link("root", "p"), link("root", "b"), link("b", "p"))
    yield asked("of-itself", "its own word", "0", link("p", "p"), link("root", "b"))
    same = {did("p"): ["k"], did("b"): ["k"]}
    yield asked(
        "of-its-other-name", "the word of a name with its key", "0", link("root", "b"), link("b", "p"), keys=same
    )
    far = {did("p"): ["k"], did("x"): ["k", "l"], did("b"): ["l"]}
    says = "the word of a name that shares a key with its other name, and none with it"
    yield asked("of-a-name-of-its-name", says, "1", link("root", "b"), link("b", "p"), keys=far)
    yield asked("accused", "of who is accused", "0", link("root", "p"), link("root", "p", "accusation"))
    yield asked(
        "accusation-gone",
        "the accusation is withdrawn",
        "1",
        link("root", "p"),
        link("root", "p", "accusation", status="revoked"),
    )
    yield asked("friend-accused", "a way through who is accused", "0.25", *two, link("root", "b", "accusation"))
    path = [
        link(one, other) for one, other in zip(("root", "w", "x", "y", "z"), ("w", "x", "y", "z", "p"), strict=True)
    ]
    yield asked("far", "a walk of five links", "0", *path)
    yield asked("other-capability", "good at something else", "0", link("root", "p", capability="audit"))
    yield asked("no-capability", "a word about nothing in particular", "1", link("root", "p", "membership"))
    yield asked(
        "largest-of-two",
        "of two edges between two parties the one of most weight",
        "0.5",
        link("root", "p", weight="0.25"),
        link("root", "p", weight="0.5"),
    )


def _accused() -> Iterator[Vector]:
    def asked(name: str, says: str, verdict: str, *edges: Made, **more: Any) -> Vector:
        question = {"ask": "accused", "party": did("p")}
        return _asked(f"accused-{name}", says, list(edges), question, {"verdict": verdict}, **more)

    member = link("o", "p", "membership")
    yield asked("nobody", "nobody accuses it", "no", member)
    yield asked("itself", "a root accuses it", "yes", link("root", "p", "accusation"))
    yield asked("its-organisation", "a root accuses whom it belongs to", "yes", member, link("root", "o", "accusation"))
    left = link("o", "p", "membership", status="revoked")
    yield asked("left", "a root accuses whom it belonged to", "no", left, link("root", "o", "accusation"))
    yield asked("withdrawn", "the accusation was withdrawn", "no", link("root", "p", "accusation", status="revoked"))
    yield asked("by-another", "somebody accuses it who is no root", "no", link("x", "p", "accusation"))
    believed = [{"issuer": did("root"), "capabilities": ["sbom"]}]
    yield asked(
        "by-a-narrow-root",
        "a root for a capability has no standing to accuse",
        "no",
        link("root", "p", "accusation"),
        anchors=believed,
    )
    keys = {did("p"): ["k"], did("x"): ["k"]}
    yield asked("shared-key", "a root accuses a name with its key", "yes", link("root", "x", "accusation"), keys=keys)
    yield asked(
        "accuser-accused",
        "an accuser keeps its standing",
        "yes",
        link("root", "p", "accusation"),
        link("own", "root", "accusation"),
        own=[did("own")],
    )
    yield asked(
        "too-much",
        "more than may be read",
        "indeterminate",
        *[link(f"o{n}", "p", "membership") for n in range(9)],
        limit=4,
    )


# --- documents that say much


SCHEMA: Final = "https://w3id.org/hire/v1/schemas/credentials/{}.json"


def _establishments() -> Iterator[Vector]:
    authority = SCHEMA.format("AttestationAuthorityCredential")
    document: Made = {
        "id": "32f54163-7166-48f1-93d8-ff217bdb0653",
        "author": ISSUER.did,
        "created": FROM,
        "validFrom": FROM,
        "validUntil": UNTIL,
        "version": 3,
        "entries": {authority: {AGENT.did: {"mayAttest": "sbom", "depth": 0}}},
    }

    def vector(name: str, says: str, given: Made, of: str | list[Made], **case: Any) -> Vector:
        expected: Made = {"code": of} if isinstance(of, str) else {"edges": of}
        whole = {"kind": "establishment", "now": NOW, "contracts": [], "pinned": [], "keys": signers(ISSUER), **case}
        return Vector(f"establishments/{name}", says, canonicalize(given), whole, expected)

    def edge(given: Made) -> Made:
        name = {"document": digest_bytes(canonicalize(content_of(given))), "schema": authority, "subject": AGENT.did}
        ends = {"source": ISSUER.did, "target": AGENT.did, "validFrom": FROM, "validUntil": UNTIL}
        named = digest_bytes(canonicalize(name))
        return {
            "digest": named,
            "kind": "authority",
            "capability": "sbom",
            "depth": 0,
            "weight": "0",
            "says": "",
            **ends,
        }

    good = signed(document)
    yield vector("signed", "its author signed it", good, [edge(good)])
    pinned = [digest_bytes(canonicalize(document))]
    yield vector("pinned", "an anchor's record names its digest", document, [edge(document)], pinned=pinned)
    yield vector("unsigned", "neither signed nor pinned", document, "proof_missing")
    yield vector("changed", "an entry that was changed", changed(good, version=4), "proof_invalid")
    yield vector("another-member", "a member that it does not have", signed({**document, "note": "x"}), "unknown_term")
    yield vector("version-text", "a version in words", signed({**document, "version": "3"}), "schema_violation")
    yield vector("past", "past its end", good, "policy_denied", now=shift(UNTIL, 1))
    foreign = signed({**document, "entries": {"https://example.com/schema.json": {AGENT.did: {"member": True}}}})
    yield vector("foreign", "an entry under another schema makes no edge", foreign, [])
    wrong = signed({**document, "entries": {authority: {AGENT.did: {"mayAttest": "", "depth": 0}}}})
    yield vector("refused-by-its-schema", "one entry refuses the whole", wrong, "schema_violation")
    said = {"kind": "distrust", "evidence": digest_bytes(b"x")}
    blaming = signed({**document, "entries": {SCHEMA.format("AccusationCredential"): {AGENT.did: said}}})
    yield vector("accusation", "an accusation without evidence beside it", blaming, "policy_denied")
    yield vector("newer", "a later version takes the place", good, [edge(good)], before={**document, "version": 2})
    yield vector("older", "an earlier version does not", good, "policy_denied", before={**document, "version": 4})
    other = {**document, "entries": {}}
    yield vector("as-new", "another content under the same version", good, "policy_denied", before=other)
