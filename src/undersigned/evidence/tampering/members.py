"""What is changed beside the messages: contract, statements, artifacts, log, refusals, inputs of decisions."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec.json import decode

from undersigned.did import is_derived
from undersigned.encoding import base64url_decode, base64url_encode, canonicalize, digest_bytes, multibase_decode
from undersigned.evidence.leaves import PROOFS, WITHHELD
from undersigned.evidence.pack import CHECKPOINT, CONTRACT, INCLUSION
from undersigned.evidence.tampering.messages import price
from undersigned.evidence.tampering.opened import Files, Opened, Tampering, document_of, flipped, nothing

__all__ = ["MEMBERS"]


# --- contract


def _contract(pack: Opened) -> Files:
    """Only the copy that people read."""
    contract = pack.json(pack.first("contract"))
    price(contract["document"]["terms"])
    pack.put(CONTRACT, canonicalize(contract))
    return pack.all()


def _unsealed(pack: Opened) -> Files:
    pack.take(pack.first("contract"))
    pack.said.pop("contract")
    return pack.all()


def _another_contract(pack: Opened) -> Files:
    pack.first("contract")
    return pack.all(contract=digest_bytes(b"another contract"))


def _signers(pack: Opened) -> Files:
    contract = pack.json(pack.first("contract"))
    contract["document"]["proof"].reverse()
    pack.put(CONTRACT, canonicalize(contract))
    return pack.all()


# --- statements


def _statement(pack: Opened) -> Files:
    path = pack.first("statement")
    envelope = pack.json(path)
    envelope["payload"] = b64encode(b'{"_type":"https://in-toto.io/Statement/v1"}').decode()
    pack.put(path, canonicalize(envelope))
    return pack.all()


def _statement_dropped(pack: Opened) -> Files:
    pack.take(pack.first("statement"))
    return pack.all()


def _artifact(pack: Opened) -> Files:
    path = pack.first("artifact")
    pack.put(path, pack.files[path] + b" ")
    return pack.all()


def _artifact_swapped(pack: Opened) -> Files:
    data = pack.take(pack.first("artifact")) + b" "
    pack.put(f"artifacts/{digest_bytes(data)}", data, "artifact")
    return pack.all()


# --- logs


def _inclusion(change: Callable[[Any], None]) -> Callable[[Opened], Files]:
    def make(pack: Opened) -> Files:
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


def _checkpoint(pack: Opened) -> Files:
    """Another root under the same signature, that of a tree of which the contract is the only leaf."""
    pack.first("ledger")
    origin, _, rest = pack.files[CHECKPOINT].decode().split("\n", 2)
    leaf = multibase_decode(pack.json(INCLUSION)["leaf"], "u")[2:]
    note = "\n".join([origin, "1", b64encode(leaf).decode(), rest.partition("\n")[2]])
    pack.put(CHECKPOINT, note.encode())
    pack.put(INCLUSION, canonicalize({**pack.json(INCLUSION), "index": 0, "size": 1, "path": []}))
    return pack.all()


def _cosignature(pack: Opened) -> Files:
    """Another bit in the last line below the packer's."""
    pack.first("ledger")
    lines = pack.files[CHECKPOINT].decode().splitlines()
    name, _, line = lines[-1].rpartition(" ")
    witness = name.rpartition(" ")[2]
    if witness == pack.said["own"]:
        raise nothing("cosignature of a witness")
    if not is_derived(witness):
        document_of(pack, witness)  # without it nobody can tell what it signed
    lines[-1] = f"{name} {b64encode(flipped(b64decode(line))).decode()}"
    pack.put(CHECKPOINT, "".join(f"{one}\n" for one in lines).encode())
    return pack.all()


def _log(pack: Opened) -> Files:
    pack.first("message", "Closing")
    for path in (CHECKPOINT, INCLUSION):
        if path in pack.files:
            pack.take(path)
    return pack.all()


def _no_proofs(pack: Opened) -> Files:
    pack.first("message", "Closing")
    pack.take(pack.first("log-proofs"))
    return pack.all()


def _log_leaf(pack: Opened) -> Files:
    said = pack.json(pack.first("log-proofs"))
    _path(said["proofs"][-1])
    pack.put(PROOFS, canonicalize(said))
    return pack.all()


# --- what is gone, and nothing in the manifest says so


def _strip(pack: Opened, *kinds: str) -> None:
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


def _none_of(recorded: str, *kinds: str) -> Callable[[Opened], Files]:
    """None of these kinds, of which the packer's `Closing` says how many it recorded."""

    def make(pack: Opened) -> Files:
        said = [pack.json(path) for path in pack.messages if path.endswith("-sent-Closing.json")]
        if not any(one.get("recorded", {}).get(recorded) for one in said):
            raise nothing(f"Closing with {recorded}")
        _strip(pack, *kinds)
        return pack.all()

    return make


_INPUTS: Final = ("policy", "credential", "status")


def _no_inputs(pack: Opened) -> Files:
    decisions = [data for path, data in pack.files.items() if pack.kinds[path] == "decision"]
    named = [path.rpartition("/")[2].removesuffix(".json") for path, kind in pack.kinds.items() if kind in _INPUTS]
    if not any(name.encode() in data for name in named for data in decisions):
        raise nothing("policy, credential or status list of a decision")
    _strip(pack, *_INPUTS)
    return pack.all()


def _no_subcontracts(pack: Opened) -> Files:
    path = pack.first("subcontract")
    contract = path.rpartition("/")[2].removesuffix(".zip").encode()
    statements = [pack.json(path) for path, kind in pack.kinds.items() if kind == "statement"]
    if not any(contract in b64decode(one["payload"]) for one in statements):
        raise nothing("work statement that names the subcontract")
    _strip(pack, "subcontract")
    return pack.all()


# --- refusals, decisions, what is withheld


def _decision(pack: Opened) -> Files:
    pack.first("log-proofs")
    data = pack.take(pack.first("decision")) + b" "
    pack.put(f"decisions/{digest_bytes(data)}.json", data, "decision")
    return pack.all()


def _looked_up(pack: Opened, path: str, data: bytes) -> Files:
    """The member at `path` is something else, and named by its new digest."""
    kind = pack.kinds[path]
    pack.take(path)
    pack.put(f"{path.partition('/')[0]}/{digest_bytes(data)}.json", data, kind)
    return pack.all()


def _longer(kind: str) -> Callable[[Opened], Files]:
    """Something that was looked up is good for longer, under the signature that it had."""

    def longer(said: Any) -> bytes:
        return canonicalize({**said, "validUntil": "2999-12-31T23:59:59Z"})

    def make(pack: Opened) -> Files:
        path = pack.first(kind)
        if pack.files[path].startswith(b"{"):
            return _looked_up(pack, path, longer(pack.json(path)))
        head, payload, signature = pack.files[path].decode().split(".")
        changed = base64url_encode(longer(decode(base64url_decode(payload))))
        return _looked_up(pack, path, f"{head}.{changed}.{signature}".encode())

    return make


def _jwt(change: Callable[[Opened, Any, bytes], tuple[Any, bytes]]) -> Callable[[Opened], Files]:
    """A credential or status list that is a JWT, with another header or signature."""

    def make(pack: Opened) -> Files:
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
        raise nothing(f"credential or status list that is a JWT{aside}")

    return make


def _other_signer(pack: Opened, header: Any, signature: bytes) -> tuple[Any, bytes]:
    """The text says that the packer signed it."""
    message = pack.json(next(path for path in pack.messages if "-sent-" in path))
    return {**header, "kid": message["proof"]["verificationMethod"]}, signature


def _withheld(pack: Opened) -> Files:
    said = pack.json(pack.first("withheld"))
    said["withheld"].append(said["withheld"][-1])
    pack.put(WITHHELD, canonicalize(said))
    return pack.all()


def _refusal(pack: Opened) -> Files:
    """What the other side stated passes for something that the packer's gate refused."""
    pack.first("statement")
    others = "-work-" if pack.said["role"] == "hirer" else "-acceptance-"
    data = next((data for path, data in sorted(pack.files.items()) if others in path), b"{}")
    pack.put(f"refusals/{digest_bytes(data)}.json", data, "refusal")
    return pack.all()


MEMBERS: Final[Mapping[str, Tampering]] = MappingProxyType(
    {
        "contract": Tampering("a higher price in the contract, and not in the offer", 5, _contract),
        "unsealed": Tampering("the contract is gone, as if there was none", 5, _unsealed),
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
            _jwt(lambda _, header, signature: (header, flipped(signature))),
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
"""Kinds that steps 5 to 10 refuse, by name."""
