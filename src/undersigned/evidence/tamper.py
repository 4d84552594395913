"""Packs that were tampered with: what somebody makes of a pack who has none of the keys that signed it.

Each kind changes one thing as well as that can be done: digests, names, copies and the manifest are made to agree, and
only what takes a key is left as it was. `verify_pack` refuses each of them, at the step that the kind names. They try
out verifiers, ours and others.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from msgspec import Struct
from msgspec.json import decode

from undersigned.did import is_derived
from undersigned.encoding import (
    JsonValue,
    base64url_decode,
    base64url_encode,
    canonicalize,
    digest_bytes,
    digest_of,
    from_struct,
    multibase_decode,
    multibase_encode,
    shift,
)
from undersigned.errors import VerificationError
from undersigned.evidence.archive import write_archive
from undersigned.evidence.leaves import PROOFS, WITHHELD
from undersigned.evidence.pack import CHECKPOINT, CONTRACT, INCLUSION, MANIFEST, Pack, read_pack

__all__ = ["TAMPERINGS", "Tampering", "tamper"]

Files: TypeAlias = "dict[str, bytes]"
"""Members by name, the manifest among them."""


class _Open:
    """A pack taken apart, to be changed and put together again."""

    def __init__(self, pack: Pack) -> None:
        self.said = from_struct(pack.manifest)
        self.files: Files = dict(pack.members)
        self.kinds = {item.path: str(item.kind) for item in pack.manifest.members}
        self.times = {item.path: item.recorded_at for item in pack.manifest.members if item.recorded_at is not None}

    @property
    def messages(self) -> list[str]:
        """Paths of the transcript, in order."""
        return sorted(self.times)

    def first(self, kind: str, *types: str) -> str:
        """Path of the first member of a kind; of messages, of one of these types."""
        for path in sorted(self.files):
            if self.kinds[path] == kind and (not types or path.removesuffix(".json").rpartition("-")[2] in types):
                return path
        raise _nothing(" or ".join(types) or kind)

    def json(self, path: str) -> Any:
        """What a member says."""
        return decode(self.files[path])  # it was read strictly when the pack was

    def put(self, path: str, data: bytes, kind: str | None = None) -> None:
        """Sets a member."""
        self.files[path], self.kinds[path] = data, kind or self.kinds[path]

    def take(self, path: str) -> bytes:
        """The member, which is gone then."""
        self.kinds.pop(path)
        self.times.pop(path, None)
        return self.files.pop(path)

    def transcript(self, paths: list[str], times: list[str] | None = None) -> None:
        """Sets the transcript: these messages in this order, numbered anew, and the statements that they carry."""
        held = [(path, self.files[path], self.times[path]) for path in paths]
        statements = {path: self.files[path] for path, kind in self.kinds.items() if kind == "statement"}
        for path in (*self.messages, *statements):
            self.take(path)
        for number, (path, data, at) in enumerate(held, 1):
            before, name = path.removeprefix("transcript/")[:4], path.removeprefix("transcript/")[4:]
            new = f"transcript/{number:04d}{name}"
            self.put(new, data, "message")
            self.times[new] = times[number - 1] if times is not None else at
            for carried, statement in statements.items():
                if carried.startswith(f"statements/{before}"):
                    rest = carried.removeprefix(f"statements/{before}")
                    self.put(f"statements/{number:04d}{rest}", statement, "statement")

    def all(self, **changes: Any) -> Files:
        """The members and a manifest that agrees with them; `changes` are members of the manifest."""
        listed: list[JsonValue] = [
            {"path": path, "digest": digest_bytes(data), "kind": self.kinds[path]}
            | ({"recordedAt": self.times[path]} if path in self.times else {})
            for path, data in sorted(self.files.items())
        ]
        return {**self.files, MANIFEST: canonicalize({**self.said, "members": listed, **changes})}


class Tampering(Struct, frozen=True):
    """One kind of tampering."""

    says: str
    """What was changed."""
    step: int
    """The step that refuses it; `key` and `weak-key` get to the next, where a DID is not its own key."""
    make: Callable[[_Open], Files]


def tamper(data: bytes, what: str) -> bytes:
    """The pack in `data`, tampered with in the way that `what` names. The same input gives the same bytes.

    Raises:
        VerificationError: `evidence_invalid`: not a pack, or one that holds nothing of that kind to change.
        FormatError: As `read_pack`.
        KeyError: There is no such kind in `TAMPERINGS`.

    Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
    """
    return write_archive(TAMPERINGS[what].make(_Open(read_pack(data))))


def _nothing(what: str) -> VerificationError:
    return VerificationError("evidence_invalid", f"there is no {what} in this pack to tamper with")


# --- archive and manifest


def _byte(pack: _Open) -> Files:
    files, path = pack.all(), pack.messages[0]
    return {**files, path: _flipped(files[path])}


def _missing(pack: _Open) -> Files:
    files = pack.all()
    del files[pack.first("message", "Offer", "Profile", "Inquiry")]
    return files


def _unlisted(pack: _Open) -> Files:
    return {**pack.all(), "artifacts/another": b"nobody listed this"}


def _duplicate(pack: _Open) -> Files:
    path = pack.first("message", "Offer", "Inquiry")
    text = pack.files[path]
    pack.put(path, b'{"sender":"did:web:another.example",' + text[1:])
    return pack.all()


def _unknown(pack: _Open) -> Files:
    path = pack.first("message", "Offer", "Inquiry")
    pack.put(path, canonicalize({**pack.json(path), "discount": "100"}))
    return pack.all()


def _backwards(pack: _Open) -> Files:
    last = pack.messages[-1]
    pack.times[last] = shift(pack.times[pack.messages[0]], -1)
    return pack.all(created=max(pack.times.values()))


def _created(pack: _Open) -> Files:
    return pack.all(created=shift(pack.said["created"], -1))


# --- DID documents


def _key(pack: _Open) -> Files:
    path, document = _document_of(pack, pack.said["peer"])
    _set_key(pack, path, document, _OTHER_KEY)
    return pack.all()


def _weak_key(pack: _Open) -> Files:
    """A key of small order, and the one signature that fits every message under it: R and S of the neutral element."""
    path, document = _document_of(pack, pack.said["peer"])
    _set_key(pack, path, document, _NEUTRAL)
    for at in pack.messages:
        message = pack.json(at)
        if message.get("sender") == pack.said["peer"]:
            message["proof"]["proofValue"] = multibase_encode("z", _NEUTRAL + bytes(32))
            pack.put(at, canonicalize(message))
    return pack.all()


def _document_of(pack: _Open, did: str) -> tuple[str, Any]:
    for path, kind in pack.kinds.items():
        if kind == "did-document" and (document := pack.json(path)).get("id") == did:
            return path, document
    raise _nothing(f"document of {did}")


def _set_key(pack: _Open, path: str, document: Any, raw: bytes) -> None:
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


def _in_offers(change: Callable[[Any], None]) -> Callable[[_Open], Files]:
    """A change of the terms in every offer, in the contract and in its name, wherever it stands."""

    def make(pack: _Open) -> Files:
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


def _price(terms: Any) -> None:
    terms["price"]["amount"] = f"9{terms['price']['amount']}"


def _scope(terms: Any) -> None:
    for grant in terms["scope"]["grants"]:
        grant.pop("constraint", None)


def _proof_of(change: Callable[[bytes], bytes]) -> Callable[[_Open], Files]:
    """A change of the signature of the first message."""

    def make(pack: _Open) -> Files:
        path = pack.messages[0]
        message = pack.json(path)
        signature = multibase_decode(message["proof"]["proofValue"], "z")
        message["proof"]["proofValue"] = multibase_encode("z", change(signature))
        pack.put(path, canonicalize(message))
        return pack.all()

    return make


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _other_form(signature: bytes) -> bytes:
    """The other numbers that solve the same equation: S + L of Ed25519 (64 bytes), n - s of P-384 (96)."""
    half = len(signature) // 2
    if half == 32:
        number = int.from_bytes(signature[half:], "little") + _ED25519_ORDER
        return signature[:half] + number.to_bytes(half, "little")
    return signature[:half] + (_P384_ORDER - int.from_bytes(signature[half:], "big")).to_bytes(half, "big")


_ED25519_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_P384_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973


def _proof(pack: _Open) -> Files:
    """The proof of a later message of the same side, which holds there."""
    path, *later = [path for path in pack.messages if "-sent-" in path]
    message = pack.json(path)
    proofs = [pack.json(other)["proof"] for other in later]
    fitting = [one for one in proofs if one["proofPurpose"] == message["proof"]["proofPurpose"]]
    if not fitting:
        raise _nothing("later proof of the same purpose")
    pack.put(path, canonicalize({**message, "proof": fitting[-1]}))
    return pack.all()


def _sender(pack: _Open) -> Files:
    path = pack.messages[-1]
    before, after = ("-sent-", "-received-") if "-sent-" in path else ("-received-", "-sent-")
    at, data = pack.times[path], pack.take(path)
    new = path.replace(before, after)
    pack.put(new, data, "message")
    pack.times[new] = at
    return pack.all()


def _early(pack: _Open) -> Files:
    """Everything was recorded a week earlier than it was: then every proof was of a time to come."""
    pack.times = {path: shift(at, -7 * 24 * 3600) for path, at in pack.times.items()}
    return pack.all(created=max(pack.times.values()))


def _repeat(pack: _Open) -> Files:
    pack.transcript([*pack.messages, pack.messages[-1]])
    return pack.all()


def _engagement(pack: _Open) -> Files:
    return pack.all(engagement=f"urn:hire:engagement:{digest_bytes(b'another engagement')}")


# --- chains and states


def _dropped(pack: _Open) -> Files:
    pack.first("message", "Profile", "Presentation")
    pack.transcript([path for at, path in enumerate(pack.messages) if at != 1])
    return pack.all()


def _swapped(pack: _Open) -> Files:
    """Two moves of one side change places."""
    paths, notices = pack.messages, ("Receipt.json", "Sync.json", "Progress.json", "Problem.json")
    first, second = [at for at, path in enumerate(paths) if "-sent-" in path and not path.endswith(notices)][:2]
    times = [pack.times[path] for path in paths]
    # What is recorded before it was signed would be refused for that.
    times[first:second] = [times[second]] * (second - first)
    paths[first], paths[second] = paths[second], paths[first]
    pack.transcript(paths, times)
    return pack.all()


def _role(pack: _Open) -> Files:
    return pack.all(role="provider" if pack.said["role"] == "hirer" else "hirer")


# --- contract


def _contract(pack: _Open) -> Files:
    """Only the copy that people read."""
    contract = pack.json(pack.first("contract"))
    _price(contract["document"]["terms"])
    pack.put(CONTRACT, canonicalize(contract))
    return pack.all()


def _unsealed(pack: _Open) -> Files:
    pack.take(pack.first("contract"))
    pack.said.pop("contract")
    return pack.all()


def _another_contract(pack: _Open) -> Files:
    pack.first("contract")
    return pack.all(contract=digest_bytes(b"another contract"))


def _signers(pack: _Open) -> Files:
    contract = pack.json(pack.first("contract"))
    contract["document"]["proof"].reverse()
    pack.put(CONTRACT, canonicalize(contract))
    return pack.all()


# --- statements


def _statement(pack: _Open) -> Files:
    path = pack.first("statement")
    envelope = pack.json(path)
    envelope["payload"] = b64encode(b'{"_type":"https://in-toto.io/Statement/v1"}').decode()
    pack.put(path, canonicalize(envelope))
    return pack.all()


def _statement_dropped(pack: _Open) -> Files:
    pack.take(pack.first("statement"))
    return pack.all()


def _artifact(pack: _Open) -> Files:
    path = pack.first("artifact")
    pack.put(path, pack.files[path] + b" ")
    return pack.all()


def _artifact_swapped(pack: _Open) -> Files:
    data = pack.take(pack.first("artifact")) + b" "
    pack.put(f"artifacts/{digest_bytes(data)}", data, "artifact")
    return pack.all()


# --- logs


def _inclusion(change: Callable[[Any], None]) -> Callable[[_Open], Files]:
    def make(pack: _Open) -> Files:
        pack.first("ledger")
        proof = pack.json(INCLUSION)
        change(proof)
        pack.put(INCLUSION, canonicalize(proof))
        return pack.all()

    return make


def _path(proof: Any) -> None:
    proof["path"] = [digest_bytes(b"another hash"), *proof["path"][1:]]


def _index(proof: Any) -> None:
    proof["index"] = proof["index"] - 1 if proof["index"] else 1


def _leaf(proof: Any) -> None:
    proof["leaf"] = digest_bytes(b"another leaf")


def _checkpoint(pack: _Open) -> Files:
    """Another root under the same signature, that of a tree of which the contract is the only leaf."""
    pack.first("ledger")
    origin, _, rest = pack.files[CHECKPOINT].decode().split("\n", 2)
    leaf = multibase_decode(pack.json(INCLUSION)["leaf"], "u")[2:]
    note = "\n".join([origin, "1", b64encode(leaf).decode(), rest.partition("\n")[2]])
    pack.put(CHECKPOINT, note.encode())
    pack.put(INCLUSION, canonicalize({**pack.json(INCLUSION), "index": 0, "size": 1, "path": []}))
    return pack.all()


def _cosignature(pack: _Open) -> Files:
    """Another bit in the last line below the packer's."""
    pack.first("ledger")
    lines = pack.files[CHECKPOINT].decode().splitlines()
    name, _, line = lines[-1].rpartition(" ")
    witness = name.rpartition(" ")[2]
    if witness == pack.said["own"]:
        raise _nothing("cosignature of a witness")
    if not is_derived(witness):
        _document_of(pack, witness)  # without it nobody can tell what it signed
    lines[-1] = f"{name} {b64encode(_flipped(b64decode(line))).decode()}"
    pack.put(CHECKPOINT, "".join(f"{one}\n" for one in lines).encode())
    return pack.all()


def _log(pack: _Open) -> Files:
    pack.first("message", "Closing")
    for path in (CHECKPOINT, INCLUSION):
        if path in pack.files:
            pack.take(path)
    return pack.all()


def _no_proofs(pack: _Open) -> Files:
    pack.first("message", "Closing")
    pack.take(pack.first("log-proofs"))
    return pack.all()


def _log_leaf(pack: _Open) -> Files:
    said = pack.json(pack.first("log-proofs"))
    _path(said["proofs"][-1])
    pack.put(PROOFS, canonicalize(said))
    return pack.all()


# --- what is gone, and nothing in the manifest says so


def _strip(pack: _Open, *kinds: str) -> None:
    """Takes all of these kinds, and every mention of them in what the packer did not sign."""
    for path in [path for path, kind in pack.kinds.items() if kind in kinds]:
        pack.take(path)
    for path, name in ((WITHHELD, "withheld"), (PROOFS, "proofs")):
        if path in pack.files:
            said = pack.json(path)
            said[name] = [one for one in said[name] if one.get("kind", one.get("label")) not in kinds]
            pack.put(path, canonicalize(said))
            if not said[name]:
                pack.take(path)


def _none_of(recorded: str, *kinds: str) -> Callable[[_Open], Files]:
    """None of these kinds, of which the packer's `Closing` says how many it recorded."""

    def make(pack: _Open) -> Files:
        said = [pack.json(path) for path in pack.messages if path.endswith("-sent-Closing.json")]
        if not any(one.get("recorded", {}).get(recorded) for one in said):
            raise _nothing(f"Closing with {recorded}")
        _strip(pack, *kinds)
        return pack.all()

    return make


_INPUTS: Final = ("policy", "credential", "status")


def _no_inputs(pack: _Open) -> Files:
    decisions = [data for path, data in pack.files.items() if pack.kinds[path] == "decision"]
    named = [path.rpartition("/")[2].removesuffix(".json") for path, kind in pack.kinds.items() if kind in _INPUTS]
    if not any(name.encode() in data for name in named for data in decisions):
        raise _nothing("policy, credential or status list of a decision")
    _strip(pack, *_INPUTS)
    return pack.all()


def _no_subcontracts(pack: _Open) -> Files:
    path = pack.first("subcontract")
    contract = path.rpartition("/")[2].removesuffix(".zip").encode()
    statements = [pack.json(path) for path, kind in pack.kinds.items() if kind == "statement"]
    if not any(contract in b64decode(one["payload"]) for one in statements):
        raise _nothing("work statement that names the subcontract")
    _strip(pack, "subcontract")
    return pack.all()


# --- refusals, decisions, what is withheld


def _decision(pack: _Open) -> Files:
    pack.first("log-proofs")
    data = pack.take(pack.first("decision")) + b" "
    pack.put(f"decisions/{digest_bytes(data)}.json", data, "decision")
    return pack.all()


def _looked_up(pack: _Open, path: str, data: bytes) -> Files:
    """The member at `path` is something else, and named by its new digest."""
    kind = pack.kinds[path]
    pack.take(path)
    pack.put(f"{path.partition('/')[0]}/{digest_bytes(data)}.json", data, kind)
    return pack.all()


def _longer(kind: str) -> Callable[[_Open], Files]:
    """Something that was looked up is good for longer, under the signature that it had."""

    def longer(said: Any) -> bytes:
        return canonicalize({**said, "validUntil": "2999-12-31T23:59:59Z"})

    def make(pack: _Open) -> Files:
        path = pack.first(kind)
        if pack.files[path].startswith(b"{"):
            return _looked_up(pack, path, longer(pack.json(path)))
        head, payload, signature = pack.files[path].decode().split(".")
        changed = base64url_encode(longer(decode(base64url_decode(payload))))
        return _looked_up(pack, path, f"{head}.{changed}.{signature}".encode())

    return make


def _jwt(change: Callable[[_Open, Any, bytes], tuple[Any, bytes]]) -> Callable[[_Open], Files]:
    """A credential or status list that is a JWT, with another header or signature."""

    def make(pack: _Open) -> Files:
        for path, data in sorted(pack.files.items()):
            if pack.kinds[path] in ("credential", "status") and not data.startswith(b"{"):
                head, payload, signature = data.decode().split(".")
                header, signed = change(pack, decode(base64url_decode(head)), base64url_decode(signature))
                parts = (base64url_encode(canonicalize(header)), payload, base64url_encode(signed))
                return _looked_up(pack, path, ".".join(parts).encode())
        presented = any(
            mark in data
            for mark in (b'"data:application/vc+jwt,', b'"data:application/vp+jwt,')
            for path, data in pack.files.items()
            if pack.kinds[path] == "message"
        )
        aside = (
            " and was looked up (one in a presentation stands under its holder's signature, too)" if presented else ""
        )
        raise _nothing(f"credential or status list that is a JWT{aside}")

    return make


def _other_signer(pack: _Open, header: Any, signature: bytes) -> tuple[Any, bytes]:
    """The text says that the packer signed it."""
    message = pack.json(next(path for path in pack.messages if "-sent-" in path))
    return {**header, "kid": message["proof"]["verificationMethod"]}, signature


def _withheld(pack: _Open) -> Files:
    said = pack.json(pack.first("withheld"))
    said["withheld"].append(said["withheld"][-1])
    pack.put(WITHHELD, canonicalize(said))
    return pack.all()


def _refusal(pack: _Open) -> Files:
    """What the other side stated passes for something that the packer's gate refused."""
    pack.first("statement")
    others = "-work-" if pack.said["role"] == "hirer" else "-acceptance-"
    data = next((data for path, data in sorted(pack.files.items()) if others in path), b"{}")
    pack.put(f"refusals/{digest_bytes(data)}.json", data, "refusal")
    return pack.all()


TAMPERINGS: Final[Mapping[str, Tampering]] = MappingProxyType(
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
        "price": Tampering("a higher price in offers and contract, and in every digest of them", 3, _in_offers(_price)),
        "scope": Tampering("no limit on any grant, in offers and contract, and every digest", 3, _in_offers(_scope)),
        "signature": Tampering("one bit of the first message's signature", 3, _proof_of(_flipped)),
        "malleable": Tampering("the first signature in another form of the same numbers", 3, _proof_of(_other_form)),
        "proof": Tampering("the first message carries the proof of a later one", 3, _proof),
        "sender": Tampering("the last message goes the other way", 3, _sender),
        "early": Tampering("everything was recorded a week earlier", 3, _early),
        "repeat": Tampering("the last message is there twice", 3, _repeat),
        "engagement": Tampering("the pack is said to be of another engagement", 3, _engagement),
        "transcript": Tampering("the second message is gone, and the rest numbered anew", 4, _dropped),
        "order": Tampering("two moves of the packer change places", 4, _swapped),
        "role": Tampering("hirer and provider change roles", 4, _role),
        "contract": Tampering("a higher price in the contract, and not in the offer", 5, _contract),
        "unsealed": Tampering("there was no contract", 5, _unsealed),
        "another-contract": Tampering("the manifest names another contract", 5, _another_contract),
        "signers": Tampering("the two proofs on the contract change places", 5, _signers),
        "statement": Tampering("another payload in a statement's envelope", 6, _statement),
        "no-statement": Tampering("a statement is gone", 6, _statement_dropped),
        "artifact": Tampering("an artifact is changed", 6, _artifact),
        "another-artifact": Tampering("an artifact is changed, and named by its new digest", 6, _artifact_swapped),
        "no-subcontracts": Tampering("the packs of what was hired for the work are gone", 6, _no_subcontracts),
        "inclusion": Tampering("another hash in the proof that the contract is in the log", 8, _inclusion(_path)),
        "index": Tampering("the contract stands in another place of the log", 8, _inclusion(_index)),
        "leaf": Tampering("the proof is of another leaf", 8, _inclusion(_leaf)),
        "checkpoint": Tampering(
            "a smaller log that fits a proof, under the signature of the right one", 8, _checkpoint
        ),
        "witness": Tampering("one bit of what a witness of the log signed", 8, _cosignature),
        "log": Tampering("checkpoint and proof are gone, though the packer closed its books", 8, _log),
        "no-proofs": Tampering("the proofs of what else is in the log are gone", 8, _no_proofs),
        "log-leaf": Tampering("another hash in the proof of a move or decision", 8, _log_leaf),
        "decision": Tampering("a decision is changed, and named by its new digest", 8, _decision),
        "refusal": Tampering("a refused action that no gate stated", 9, _refusal),
        "no-refusals": Tampering("the refused actions are gone", 9, _none_of("refusals", "refusal")),
        "no-decisions": Tampering(
            "decisions are gone, with all that they name", 10, _none_of("decisions", "decision", *_INPUTS)
        ),
        "no-inputs": Tampering("policies, credentials and status lists of decisions are gone", 10, _no_inputs),
        "credential": Tampering("a credential that was looked up is good for longer", 10, _longer("credential")),
        "status": Tampering("a status list that was consulted is good for longer", 10, _longer("status")),
        "jwt-signature": Tampering(
            "one bit of the signature of a credential or status list that is a JWT",
            10,
            _jwt(lambda _, header, signature: (header, _flipped(signature))),
        ),
        "jwt-none": Tampering(
            "a credential or status list that is a JWT needs no signature",
            10,
            _jwt(lambda _, header, signature: ({**header, "alg": "none"}, b"")),
        ),
        "jwt-key": Tampering(
            "a credential or status list that is a JWT names the packer's key", 10, _jwt(_other_signer)
        ),
        "withheld": Tampering("something is listed twice as withheld", 10, _withheld),
    }
)
"""Every kind, by name. Step 7 judges what is signed inside messages: whoever changes that fails at step 3."""
