"""What is changed in archive and manifest, in messages, their order and time, and in the keys they are checked by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from undersigned.encoding import canonicalize, digest_bytes, digest_of, multibase_decode, multibase_encode, shift
from undersigned.evidence.pack import CONTRACT
from undersigned.evidence.tampering.opened import Files, Opened, Tampering, document_of, flipped, nothing

__all__ = ["MESSAGES", "price"]


# --- archive and manifest


def _byte(pack: Opened) -> Files:
    files, path = pack.all(), pack.messages[0]
    return {**files, path: flipped(files[path])}


def _missing(pack: Opened) -> Files:
    files = pack.all()
    del files[pack.first("message", "Offer", "Profile", "Inquiry")]
    return files


def _unlisted(pack: Opened) -> Files:
    return {**pack.all(), "artifacts/another": b"nobody listed this"}


def _duplicate(pack: Opened) -> Files:
    path = pack.first("message", "Offer", "Inquiry")
    text = pack.files[path]
    pack.put(path, b'{"sender":"did:web:another.example",' + text[1:])
    return pack.all()


def _unknown(pack: Opened) -> Files:
    path = pack.first("message", "Offer", "Inquiry")
    pack.put(path, canonicalize({**pack.json(path), "discount": "100"}))
    return pack.all()


def _backwards(pack: Opened) -> Files:
    last = pack.messages[-1]
    pack.times[last] = shift(pack.times[pack.messages[0]], -1)
    return pack.all(created=max(pack.times.values()))


def _created(pack: Opened) -> Files:
    return pack.all(created=shift(pack.said["created"], -1))


# --- DID documents


def _key(pack: Opened) -> Files:
    path, document = document_of(pack, pack.said["peer"])
    _set_key(pack, path, document, _OTHER_KEY)
    return pack.all()


def _weak_key(pack: Opened) -> Files:
    """A key of small order, and the one signature that fits every message under it: R and S of the neutral element."""
    path, document = document_of(pack, pack.said["peer"])
    _set_key(pack, path, document, _NEUTRAL)
    for at in pack.messages:
        message = pack.json(at)
        if message.get("sender") == pack.said["peer"]:
            message["proof"]["proofValue"] = multibase_encode("z", _NEUTRAL + bytes(32))
            pack.put(at, canonicalize(message))
    return pack.all()


def _set_key(pack: Opened, path: str, document: Any, raw: bytes) -> None:
    for method in document["verificationMethod"]:
        method.pop("publicKeyJwk", None)
        method |= {"type": "Multikey", "publicKeyMultibase": multibase_encode("z", b"\xed\x01" + raw)}
    pack.take(path)
    data = canonicalize(document)
    pack.put(f"did-documents/{digest_bytes(data)}.json", data, "did-document")


_NEUTRAL: Final = b"\x01" + bytes(31)
_OTHER_KEY: Final = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
"""The public key of RFC 8032, section 7.1, test 1."""


# --- messages


def _in_offers(change: Callable[[Any], None]) -> Callable[[Opened], Files]:
    """A change of the terms in every offer, in the contract and in its name, wherever it stands."""

    def make(pack: Opened) -> Files:
        pack.first("message", "Offer")
        renamed: dict[str, str] = {}
        for path in pack.messages:
            if path.endswith("-Offer.json"):
                message = pack.json(path)
                before = digest_of(message["document"])
                if "terms" in message["document"]:
                    change(message["document"]["terms"])
                renamed[before] = digest_of(message["document"])
                pack.put(path, canonicalize(message))
        if CONTRACT in pack.files:
            contract = pack.json(CONTRACT)
            change(contract["document"]["terms"])
            pack.put(CONTRACT, canonicalize(contract))
        for path in (*pack.messages, CONTRACT):
            if path in pack.files:
                data = pack.files[path]
                for before, after in renamed.items():
                    data = data.replace(before.encode(), after.encode())
                pack.put(path, data)
        named = pack.said.get("contract")
        return pack.all(**({"contract": renamed.get(named, named)} if named else {}))

    return make


def price(terms: Any) -> None:
    """Sets a higher price in the terms of a document."""
    terms["price"]["amount"] = f"9{terms['price']['amount']}"


def _scope(terms: Any) -> None:
    for grant in terms["scope"]["grants"]:
        grant.pop("constraint", None)


def _proof_of(change: Callable[[bytes], bytes]) -> Callable[[Opened], Files]:
    """A change of the signature of the first message."""

    def make(pack: Opened) -> Files:
        path = pack.messages[0]
        message = pack.json(path)
        signature = multibase_decode(message["proof"]["proofValue"], "z")
        message["proof"]["proofValue"] = multibase_encode("z", change(signature))
        pack.put(path, canonicalize(message))
        return pack.all()

    return make


def _other_form(signature: bytes) -> bytes:
    """The other numbers that solve the same equation: S + L of Ed25519 (64 bytes), n - s of P-384 (96)."""
    half = len(signature) // 2
    if half == 32:
        number = int.from_bytes(signature[half:], "little") + _ED25519_ORDER
        return signature[:half] + number.to_bytes(half, "little")
    return signature[:half] + (_P384_ORDER - int.from_bytes(signature[half:], "big")).to_bytes(half, "big")


_ED25519_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_P384_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973


def _proof(pack: Opened) -> Files:
    """The proof of a later message of the same side, which holds there."""
    path, *later = [path for path in pack.messages if "-sent-" in path]
    message = pack.json(path)
    proofs = [pack.json(other)["proof"] for other in later]
    fitting = [one for one in proofs if one["proofPurpose"] == message["proof"]["proofPurpose"]]
    if not fitting:
        raise nothing("later proof of the same purpose")
    pack.put(path, canonicalize({**message, "proof": fitting[-1]}))
    return pack.all()


def _sender(pack: Opened) -> Files:
    path = pack.messages[-1]
    before, after = ("-sent-", "-received-") if "-sent-" in path else ("-received-", "-sent-")
    at, data = pack.times[path], pack.take(path)
    new = path.replace(before, after)
    pack.put(new, data, "message")
    pack.times[new] = at
    return pack.all()


def _early(pack: Opened) -> Files:
    """Everything was recorded a week earlier than it was: then every proof was of a time to come."""
    pack.times = {path: shift(at, -7 * 24 * 3600) for path, at in pack.times.items()}
    return pack.all(created=max(pack.times.values()))


def _repeat(pack: Opened) -> Files:
    pack.transcript([*pack.messages, pack.messages[-1]])
    return pack.all()


def _engagement(pack: Opened) -> Files:
    return pack.all(engagement=f"urn:hire:engagement:{digest_bytes(b'another engagement')}")


# --- chains and states


def _dropped(pack: Opened) -> Files:
    pack.first("message", "Profile", "Presentation")
    pack.transcript([path for at, path in enumerate(pack.messages) if at != 1])
    return pack.all()


def _swapped(pack: Opened) -> Files:
    """Two moves of one side change places."""
    paths, notices = pack.messages, ("Receipt.json", "Sync.json", "Progress.json", "Problem.json")
    first, second = [at for at, path in enumerate(paths) if "-sent-" in path and not path.endswith(notices)][:2]
    times = [pack.times[path] for path in paths]
    # What is recorded before it was signed would be refused for that.
    times[first:second] = [times[second]] * (second - first)
    paths[first], paths[second] = paths[second], paths[first]
    pack.transcript(paths, times)
    return pack.all()


def _role(pack: Opened) -> Files:
    return pack.all(role="provider" if pack.said["role"] == "hirer" else "hirer")


MESSAGES: Final[Mapping[str, Tampering]] = MappingProxyType(
    {
        "byte": Tampering("one bit of a message, and the manifest as it was", 1, _byte),
        "missing": Tampering("a message is gone, and the manifest lists it", 1, _missing),
        "unlisted": Tampering("a member that the manifest does not list", 1, _unlisted),
        "duplicate": Tampering("a name twice in the JSON of a message, with two values", 1, _duplicate),
        "unknown": Tampering("a member more in a message, of which the schema knows nothing", 1, _unknown),
        "backwards": Tampering("the last message was recorded before the first", 1, _backwards),
        "created": Tampering("the manifest says that it is older than its last message", 1, _created),
        "key": Tampering("another public key in the other side's DID document (step 3 if that is published)", 2, _key),
        "weak-key": Tampering(
            "a key of small order there, and a signature that fits any message under it (step 3, too)", 2, _weak_key
        ),
        "price": Tampering("a higher price in offers and contract, and in every digest of them", 3, _in_offers(price)),
        "scope": Tampering("no limit on any grant, in offers and contract, and every digest", 3, _in_offers(_scope)),
        "signature": Tampering("one bit of the first message's signature", 3, _proof_of(flipped)),
        "malleable": Tampering("the first signature in another form of the same numbers", 3, _proof_of(_other_form)),
        "proof": Tampering("the first message carries the proof of a later one", 3, _proof),
        "sender": Tampering("the last message goes the other way", 3, _sender),
        "early": Tampering("everything was recorded a week earlier", 3, _early),
        "repeat": Tampering("the last message is there twice", 3, _repeat),
        "engagement": Tampering("the pack is said to be of another engagement", 3, _engagement),
        "transcript": Tampering("the second message is gone, and the rest numbered anew", 4, _dropped),
        "order": Tampering("two moves of the packer change places", 4, _swapped),
        "role": Tampering("hirer and provider change roles", 4, _role),
    }
)
"""Kinds that steps 1 to 4 refuse, by name."""
