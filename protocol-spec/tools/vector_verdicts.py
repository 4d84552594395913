"""Vectors of verdicts on an artifact: what the evidence, the graph and status lists say, and what comes of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

from example_messages import conversation
from example_parties import HIRER, PROVIDER, Party, proof_on
from vector_journals import ORDER
from vector_packs import provider_log
from vector_parts import PROVIDERS, Vector, kept, signers

from undersigned.credentials import build_status_list, own_context, read_credential, status_entry
from undersigned.encoding import JsonObject, canonicalize, digest_bytes, from_struct, shift
from undersigned.evidence import write_pack
from undersigned.messages import Delivery
from undersigned.trust import edge_of

__all__ = ["verdict_vectors"]

NOW: Final = "2027-11-24T09:00:00Z"
ROOT: Final = Party("issuer")
URL: Final = "https://issuer.example/status/1"
PLACE: Final = 9
WHY: Final = "the host of the list did not answer"


def verdict_vectors() -> Iterator[Vector]:
    """All of them: each code, and each way in which a status list is had, or was."""
    said = [conversation()[name] for name in ORDER]
    (item,) = next(one.message for one in said if isinstance(one.message, Delivery)).artifacts
    whole = _pack(ORDER, **provider_log())

    def vector(name: str, says: str, outcome: str, *codes: str, pack: bytes | None = whole, **given: Any) -> Vector:
        """`codes` are `clause code`; `lists` and `known` what was had, and what was seen before."""
        shown = {
            "packs": [] if pack is None else [base64.b64encode(pack).decode()],
            "links": given.pop("links", []),
            "edges": given.pop("edges", []),
            "lists": given.pop("lists", []),
            "known": given.pop("known", []),
        }
        as_of = given.pop("as_of", None)
        case = {
            "kind": "verdict",
            "now": NOW,
            "own": "did:example:reader",
            "artifact": item.digest,
            "purpose": "sbom",
            "anchors": [{"issuer": PROVIDER.did}],
            "refuse": [],
            "refuseCapabilities": [],
            "keys": signers(HIRER, PROVIDER, ROOT),
            **given,
        }
        reasons = [dict(zip(("clause", "code"), one.split(), strict=True)) for one in codes]
        expected = {"outcome": outcome, "reasons": reasons, **({"asOf": as_of} if as_of else {})}
        return Vector(f"verdicts/{name}", says, canonicalize(shown), case, expected)

    yield vector("good", "nothing speaks against it, and nothing is left open", "allow")
    yield vector("not-there", "no pack", "deny", "evidence not_found", pack=None)
    yield vector("refused", "its provider is refused", "deny", "refuse policy_denied", refuse=[PROVIDER.did])
    yield vector(
        "refused-purpose",
        "a purpose that is refused",
        "deny",
        "refuse_capabilities policy_denied",
        refuseCapabilities=["sbom"],
    )
    yield vector(
        "not-entitled", "nobody that is believed vouches for it", "deny", "signer attester_not_trusted", anchors=[]
    )
    between = "did:example:between"
    through = [
        {"capability": "sbom", "depth": 1, "digest": digest_bytes(b"first"), "source": ROOT.did, "target": between},
        {"capability": "sbom", "digest": digest_bytes(b"second"), "source": between, "target": PROVIDER.did},
    ]
    yield vector(
        "refused-between",
        "the chain leads through somebody who is refused",
        "deny",
        "signer attester_not_trusted",
        edges=[{**one, "kind": "authority"} for one in through],
        anchors=[{"issuer": ROOT.did}],
        refuse=[between],
    )
    yield vector(
        "refused-beginning",
        "the chain begins at somebody who is refused",
        "deny",
        "signer attester_not_trusted",
        edges=[{**through[1], "kind": "authority", "source": ROOT.did}],
        anchors=[{"issuer": ROOT.did}],
        refuse=[ROOT.did],
    )
    yield vector(
        "another-purpose",
        "believed for anything, and hired for something else",
        "ask",
        "purpose approval_required",
        purpose="build",
    )
    accusation = {
        "digest": digest_bytes(b"an accusation"),
        "kind": "accusation",
        "says": "equivocation",
        "source": "did:example:root",
        "target": PROVIDER.did,
    }
    yield vector(
        "accused",
        "somebody who is believed accuses its provider",
        "deny",
        "signer attester_not_trusted",
        "accused policy_denied",
        edges=[accusation],
        anchors=[{"issuer": PROVIDER.did}, {"issuer": "did:example:root"}],
    )
    yield vector(
        "not-reviewed",
        "a pack that ends at the delivery",
        "ask",
        "acceptance approval_required",
        "ending in_doubt",
        pack=_pack(ORDER[: ORDER.index("delivery") + 1]),
    )
    link = _link()
    had, revoked = _list(-1), _list(-1, PLACE)
    before, after = _list(-90 * 1440), _list(-60 * 1440)

    def listed(name: str, says: str, outcome: str, *codes: str, **given: Any) -> Vector:
        given |= {"links": [link], "edges": [_edge(link)], "anchors": [{"issuer": ROOT.did}]}
        return vector(f"status-{name}", says, outcome, *codes, **given)

    asks, no = "status status_last_known", "status revoked"
    seen = [_seen(before)]
    yield listed("clear", "a list that is there decides, whatever was seen", "allow", lists=[_had(had)], known=seen)
    yield listed("revoked", "a list that is there says withdrawn", "deny", no, lists=[_had(revoked)], known=seen)
    yield listed("not-there", "no list, now or before", "deny", "status status_unavailable")
    other = _list(-1, purpose="suspension")
    unlike = "status status_invalid"
    yield listed("other", "a list of another purpose", "deny", unlike, lists=[_had(other)])
    yield listed("other-in-its-place", "the same, where one is known", "deny", unlike, lists=[_had(other)], known=seen)
    once = [_seen(_list(-90 * 1440, purpose="suspension"))]
    yield listed("other-last-known", "the last one known is of another purpose", "deny", unlike, known=once)
    yield listed(
        "last-known", "no list now; one of before, shown by others", "ask", asks, known=seen, as_of=_made(before)
    )
    asked = [_seen(before, own=True)]
    yield listed("last-asked", "the same list, had by the reader", "ask", asks, known=asked, as_of=asked[0]["at"])
    gone = [_seen(_list(-90 * 1440, PLACE)), *seen]
    yield listed("last-known-revoked", "two of one time, one says withdrawn", "deny", no, known=gone)
    newer = [_seen(_list(-60 * 1440, PLACE)), _seen(before, own=True)]
    yield listed("last-known-newer", "the newer one says withdrawn", "deny", no, known=newer)
    lifted = [_seen(_list(-90 * 1440, PLACE), own=True), _seen(after)]
    late = _list(-60, PLACE)
    yield listed(
        "served-older-revoked",
        "one that its issuer made later says withdrawn",
        "deny",
        no,
        lists=[_had(_list(-120))],
        known=[_seen(late)],
    )
    good = _list(-60)
    yield listed(
        "served-older",
        "a later one says well as well",
        "ask",
        asks,
        lists=[_had(_list(-120))],
        known=[_seen(good)],
        as_of=_made(good),
    )
    yield listed(
        "served-older-lifted",
        "served is one that says withdrawn; a later one says well",
        "ask",
        asks,
        lists=[_had(_list(-120, PLACE))],
        known=[_seen(good)],
        as_of=_made(good),
    )
    yield listed(
        "served-one-time",
        "two of one time, the one that was seen says withdrawn",
        "deny",
        no,
        lists=[_had(good)],
        known=[_seen(late)],
    )
    yield listed("last-known-older", "the older one said withdrawn", "ask", asks, known=lifted, as_of=_made(after))


def _pack(names: tuple[str, ...], **log: Any) -> bytes:
    return write_pack(kept(conversation()[name] for name in names), **PROVIDERS, **log)


def _link() -> JsonObject:
    """The one link of the chain by which the signer is entitled, which its issuer may have withdrawn."""
    document: dict[str, Any] = {
        "@context": own_context(),
        "type": ["VerifiableCredential", "AttestationAuthorityCredential"],
        "issuer": ROOT.did,
        "validFrom": "2026-01-01T00:00:00Z",
        "credentialSubject": {"id": PROVIDER.did, "mayAttest": "sbom", "depth": 0},
        "credentialStatus": status_entry(URL, PLACE),
    }
    return proof_on(document, ROOT, "2026-01-01T00:00:00Z", "assertionMethod")


def _edge(link: JsonObject) -> JsonObject:
    """What the link says, as the trust graph has it."""
    edge = from_struct(edge_of(read_credential(link)))
    return {name: value for name, value in edge.items() if name != "weight"}


def _list(minutes: int, *places: int, purpose: str = "revocation") -> JsonObject:
    """The list as its issuer made it so many minutes from now; it is valid for a day."""
    bits, made = bytearray(16 * 1024), shift(NOW, 60 * minutes)
    for place in places:
        bits[place >> 3] |= 0x80 >> (place & 7)
    document = build_status_list(
        url=URL,
        issuer=ROOT.did,
        bits=bits,
        valid_from=made,
        valid_until=shift(made, 86_400),
        ttl_seconds=300,
        purpose=purpose,
    )
    return proof_on(dict(document), ROOT, made, "assertionMethod")


def _made(document: JsonObject) -> str:
    return str(document["validFrom"])


def _had(document: JsonObject) -> JsonObject:
    return {"url": URL, "list": document, "at": NOW}


def _seen(document: JsonObject, *, own: bool = False) -> JsonObject:
    """An hour after it was made."""
    return {"url": URL, "list": document, "at": shift(_made(document), 3600), "own": own, "why": WHY}
