"""Vectors of the connection proof: the frames by which each side shows its DID, and what is refused in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from example_parties import HIRER, PROVIDER, Party, nonce
from vector_parts import EcParty, Vector, content_of, intermediates, signers

from undersigned.encoding import canonicalize, shift
from undersigned.proof import attach, prepare, proof_config

__all__ = ["connection_vectors"]

Made = dict[str, Any]
NOW: Final = "2026-11-24T09:00:00Z"
ASKED: Final = nonce("the acceptor's nonce of a connection")
DIALED: Final = nonce("the dialer's nonce of a connection")
OTHER: Final = nonce("a nonce of another connection")
STRANGER: Final = Party("stranger")
PARTS: Final[dict[str, tuple[Party, Party, str, str]]] = {
    "dialer": (HIRER, PROVIDER, DIALED, ASKED),
    "acceptor": (PROVIDER, HIRER, ASKED, DIALED),
}
"""By who says it: who signs, who reads, the nonce in the frame, and the one that the reader had sent."""


def frame(part: str, by: Party | EcParty, members: Mapping[str, Any] = {}, **options: Any) -> Made:
    """Frame 2 or 3 with its proof; `members` are other ones of the frame, `options` other ones of the proof; None
    takes one away.
    """
    _, reader, own, asked = PARTS[part]
    document: Made = {
        "@context": "https://w3id.org/hire/v1",
        "type": "Connection",
        "part": part,
        "subprotocol": "hire.v1",
        "sender": by.did,
        "recipient": reader.did,
        "nonce": own,
        "versions": ["1.0"],
    }
    document |= {**({"version": "1.0"} if part == "acceptor" else {}), **members}
    document = {name: value for name, value in document.items() if value is not None}
    kind = by.kind if isinstance(by, EcParty) else "Ed25519"
    signer = options.pop("signer", by)
    config = proof_config(
        "eddsa-jcs-2022" if kind == "Ed25519" else "ecdsa-jcs-2019",
        options.pop("method", by.method),
        options.pop("purpose", "authentication"),
        options.pop("created", NOW),
        options.pop("expires", shift(NOW, 60)),
        challenge=options.pop("challenge", asked),
        domain=options.pop("domain", reader.did),
    )
    assert not options, options
    config = {name: value for name, value in config.items() if value is not None}
    return attach(document, config, signer.sign(prepare(document, config, kind)))


def connection_vectors() -> Iterator[Vector]:
    """All of them: what an acceptor reads as frame 2, and what a dialer reads as frame 3."""
    for part, (own, *_) in PARTS.items():
        yield _good(f"{part}", f"the {part} shows its DID", part, own)
        for kind in ("P-256", "P-384"):
            says = f"the {part} shows its DID by a key of kind {kind}"
            yield _good(f"{part}-{kind.lower()}", says, part, EcParty(own.role, kind))
        yield from _refused(part, own)
    yield from _one_way()


def _good(name: str, says: str, part: str, by: Party | EcParty, now: str = NOW, **options: Any) -> Vector:
    made = frame(part, by, **options)
    kind = by.kind if isinstance(by, EcParty) else "Ed25519"
    expected = {"peer": by.did, "version": "1.0", **intermediates(content_of(made), made["proof"], kind)}
    return _vector(name, says, part, made, expected, by, now=now)


def _refused(part: str, by: Party) -> Iterator[Vector]:
    """What is refused in both directions."""

    def wrong(
        name: str, says: str, code: str, members: Mapping[str, Any] = {}, now: str = NOW, **options: Any
    ) -> Vector:
        made = frame(part, by, members, **options)
        return _vector(f"{part}-{name}", f"the {part}: {says}", part, made, {"code": code}, by, STRANGER, now=now)

    mismatch, forbidden = "challenge_mismatch", "key_not_authorized"
    yield wrong("of-another-challenge", "an answer to another challenge", mismatch, challenge=OTHER)
    yield wrong("of-another-domain", "a proof for somebody else", mismatch, domain=STRANGER.did)
    yield wrong("for-another-recipient", "meant for somebody else", mismatch, {"recipient": STRANGER.did})
    last = shift(NOW, 60)
    yield _good(f"{part}-last-second", f"the {part}: a proof at its end", part, by, now=last)
    yield wrong("expired", "a proof one second past its end", "proof_expired", now=shift(last, 1))
    yield wrong("lives-too-long", "a proof that lives 61 seconds", "proof_expired", expires=shift(last, 1))
    yield wrong("from-future", "a proof made 61 seconds ahead", "proof_from_future", now=shift(NOW, -61))
    yield wrong("of-another-purpose", "a proof that asserts", "proof_purpose_mismatch", purpose="assertionMethod")
    unlisted = f"{by.did}#{STRANGER.multikey}"
    yield wrong("by-an-unknown-key", "a key that its document does not have", forbidden, method=unlisted)
    theirs = {"method": STRANGER.method, "signer": STRANGER}
    yield wrong("by-anothers-key", "a stranger's key, under the stranger's own name", forbidden, **theirs)
    yield wrong("signed-by-a-stranger", "a stranger's signature", "proof_invalid", signer=STRANGER)
    shape = "schema_violation"
    yield wrong("of-another-type", "a frame of another type", shape, {"type": "Challenge"})
    yield wrong("of-another-subprotocol", "another subprotocol", shape, {"subprotocol": "hire.v2"})
    yield wrong("of-a-short-nonce", "a nonce of another length", shape, {"nonce": OTHER[:-4]})
    yield wrong("of-a-nonce-spelled-otherwise", "a nonce with bits behind its end", shape, {"nonce": OTHER[:-1] + "B"})
    yield wrong("of-a-version-that-is-no-text", "a version that is a number", shape, {"versions": [1]})
    yield wrong("of-a-version-that-is-none", "a version of three numbers", shape, {"versions": ["1.0.0", "1.0"]})
    yield wrong("of-no-version", "an empty list of versions", shape, {"versions": []})
    many = ["1.0", *(f"1.{minor}" for minor in range(1, 17))]
    yield wrong("of-17-versions", "more versions than may be offered", shape, {"versions": many})
    yield wrong("of-another-context", "another context", shape, {"@context": "https://w3id.org/hire/v2"})
    for name, time in (
        ("with-a-fraction", "09:00:00.0Z"),
        ("without-a-zone", "09:00:00"),
        ("of-another-zone", "10:00:00+01:00"),
    ):
        yield wrong(f"of-a-time-{name}", "a time in another spelling", shape, created=f"2026-11-24T{time}")
    yield wrong("of-no-begin", "a proof that does not say when it was made", "proof_expired", created=None)
    yield wrong("of-no-end", "a proof that does not say when it ends", "proof_expired", expires=None)
    yield wrong("of-no-type", "a frame that does not say what it is", shape, {"type": None})
    unsigned = content_of(frame(part, by))
    yield _vector(f"{part}-unsigned", f"the {part}: no proof", part, unsigned, {"code": "proof_missing"}, by)
    nothing = {**unsigned, "proof": None}
    yield _vector(f"{part}-proof-null", f"the {part}: null for a proof", part, nothing, {"code": "proof_missing"}, by)


def _one_way() -> Iterator[Vector]:
    """What only one of the two can say."""
    none, mismatch = {"code": "version_not_supported"}, {"code": "challenge_mismatch"}

    def dialed(name: str, says: str, members: Made, expected: Made, by: Party = PROVIDER) -> Vector:
        made = frame("acceptor", by, members)
        return _vector(f"acceptor-{name}", f"the acceptor: {says}", "acceptor", made, expected, PROVIDER, STRANGER)

    changed = {**frame("dialer", HIRER), "nonce": OTHER}
    says = "the dialer: another nonce of its own than it signed"
    yield _vector("dialer-changed", says, "dialer", changed, {"code": "proof_invalid"}, HIRER)
    itself = frame("dialer", PROVIDER)
    yield _vector("dialer-itself", "the dialer: who is dialed", "dialer", itself, {"code": "self_dealing"}, PROVIDER)
    says, offered = "the dialer: a later version, and this one", {"versions": ["9999.9999", "1.0"]}
    yield _good("dialer-of-later-versions", says, "dialer", HIRER, members=offered)
    chosen = frame("dialer", HIRER, {"version": "1.0"})
    says = "the dialer: a choice, which is the acceptor's"
    yield _vector("dialer-with-a-choice", says, "dialer", chosen, {"code": "schema_violation"}, HIRER)
    other = frame("dialer", HIRER, {"versions": ["2.0"]})
    yield _vector("dialer-other-versions", "the dialer: no version that is spoken", "dialer", other, none, HIRER)
    yield dialed("is-another", "another DID than was dialed, proved well", {}, mismatch, STRANGER)
    yield dialed("of-another-nonce", "not the nonce of its own first frame", {"nonce": OTHER}, mismatch)
    yield dialed("versions-not-repeated", "another list than was offered", {"versions": ["1.0", "1.1"]}, none)
    shape = {"code": "schema_violation"}
    unchosen = frame("acceptor", PROVIDER)
    del unchosen["version"]
    yield _vector("acceptor-without-a-choice", "the acceptor: no choice", "acceptor", unchosen, shape, PROVIDER)
    yield dialed("version-not-offered", "a choice that was not offered", {"version": "1.1"}, none)


def _vector(
    name: str, says: str, part: str, made: Made, expected: Made, *parties: Party | EcParty, now: str = NOW
) -> Vector:
    _, reader, own, asked = PARTS[part]
    case: Made = {
        "kind": "connection",
        "now": now,
        "reader": "acceptor" if part == "dialer" else "dialer",
        "own": reader.did,
        "nonce": asked,
        "versions": ["1.0"],
        "keys": signers(*parties),
    }
    if part == "acceptor":
        case |= {"peer": parties[0].did, "challenge": own}
    return Vector(f"connections/{name}", says, canonicalize(made), case, expected)
