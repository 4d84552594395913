"""The log of a `did:webvh`: its entries, the parameters they set, and the steps that verify them.

Each entry says what changes: a version of the document and parameters, under a proof by a key that the parameters
before it allow. Entries are chained by hash, and the first one's hash is the identifier (SCID) that is part of the DID.
Reading bounds and shapes everything; only then are there hashes and signatures.

Source: did:webvh DID Method v1.0, "Read (Resolve)"; protocol-spec/02-identity-and-keys.md, section 2.9
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, cast

import msgspec

from undersigned.did.history import DidVersion
from undersigned.did.methods.web import folder_url
from undersigned.did.url import parse_did
from undersigned.encoding import (
    FOREIGN_LIMITS,
    INSTANT_PATTERN,
    Did,
    DidUrl,
    Instant,
    JsonObject,
    JsonValue,
    base58_encode,
    canonicalize,
    decode_json,
    shift,
)
from undersigned.errors import FormatError, UndersignedError, VerificationError
from undersigned.keys import PublicKey, public_key_from_multikey
from undersigned.proof import MAX_SKEW_SECONDS, proofs_of, verify_proof

__all__ = [
    "LogEntry",
    "Parameters",
    "entries_left",
    "entry_hash",
    "multihash",
    "read_log",
    "scid_of",
    "verify_did_key_proof",
    "verify_log",
]

METHOD: Final = "did:webvh:1.0"
SUITE: Final = "eddsa-jcs-2022"
PURPOSE: Final = "assertionMethod"
PLACEHOLDER: Final = "{SCID}"

MAX_LOG_BYTES: Final = 512 * 1024
MAX_ENTRIES: Final = 256
MAX_KEYS: Final = 16
"""Update keys, hashes of next keys, witnesses and watchers: of each so many at a time."""
MAX_PROOFS: Final = 4
"""Proofs on one entry."""
MAX_TTL: Final = 2**31

_INSTANT: Final = re.compile(INSTANT_PATTERN)
SCID: Final = re.compile("Qm[1-9A-HJ-NP-Za-km-z]{44}")
"""A sha2-256 multihash in base58btc: the identifier, and every other hash here."""
_VERSION_ID: Final = re.compile(f"([1-9][0-9]{{0,4}})-({SCID.pattern})")
_MEMBERS: Final = frozenset({"versionId", "versionTime", "parameters", "state", "proof"})


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What governs a log after one of its entries."""

    scid: str
    update_keys: tuple[str, ...] = ()
    """Multikeys that may sign entries."""
    next_key_hashes: tuple[str, ...] = ()
    """With any, pre-rotation is on: the next entry's update keys are among these."""
    witnesses: tuple[Did, ...] = ()
    threshold: int = 0
    portable: bool = False
    deactivated: bool = False
    ttl: int = 3600


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a log, of the right shape; nothing of it is verified yet."""

    number: int
    version_id: str
    time: Instant
    did: Did
    state: JsonObject
    given: frozenset[str]
    """Names of the parameters that this entry sets."""
    parameters: Parameters
    """All that govern after it."""
    members: JsonObject
    """The whole entry."""


def read_log(raw: bytes) -> tuple[LogEntry, ...]:
    """The entries of a log, at least one, each of the right shape.

    Raises:
        VerificationError: `did_document_invalid`: past a limit, not JSON lines, or an entry of another shape.

    Source: did:webvh DID Method v1.0, "The DID Log File", "DID Method Parameters"
    """
    if len(raw) > MAX_LOG_BYTES:
        raise _invalid(0, f"expected at most {MAX_LOG_BYTES} bytes, got {len(raw)}")
    lines = raw.removesuffix(b"\n").split(b"\n", MAX_ENTRIES)
    if len(lines) > MAX_ENTRIES:
        raise _invalid(0, f"expected at most {MAX_ENTRIES} entries")
    entries: list[LogEntry] = []
    for number, line in enumerate(lines, 1):
        try:
            members = decode_json(line, FOREIGN_LIMITS)
        except FormatError as exc:
            raise _invalid(number, exc.message) from exc
        entries.append(_read_entry(number, members, entries[-1].parameters if entries else None))
    return tuple(entries)


def entries_left(raw: bytes) -> int:
    """How many entries more this log may have, each as long as the last one, before nobody reads it any more."""
    lines = raw.splitlines(keepends=True)
    return max(0, min(MAX_ENTRIES - len(lines), (MAX_LOG_BYTES - len(raw)) // len(lines[-1])))


def verify_log(entries: Sequence[LogEntry], *, now: Instant) -> tuple[DidVersion, ...]:
    """The versions that a log proves; witnesses apart.

    Raises:
        VerificationError: `did_document_invalid`: a step failed, and which. `key_weak`: an update key.

    Source: did:webvh DID Method v1.0, "Read (Resolve)", whose steps have the same numbers
    """
    latest = shift(now, MAX_SKEW_SECONDS)
    scid = entries[0].parameters.scid
    previous: LogEntry | None = None
    for entry in entries:
        number, before = entry.number, previous.parameters if previous else None
        if before is not None and before.deactivated:
            raise _invalid(number, "expected no entry after the one that deactivated the DID")
        # Step 7 comes before the proof, which is judged by the keys that it lets through.
        if before is not None and before.next_key_hashes:
            _check_rotation(entry, before)
        # Step 2: the proof, by a key that was allowed before; in the first entry, and with pre-rotation, by a new one.
        active = before if before is not None and not before.next_key_hashes else entry.parameters
        _check_proofs(entry, active.update_keys)
        # Step 3: the hash, over the entry and the one before.
        predecessor = previous.version_id if previous else scid
        if entry.version_id != f"{number}-{entry_hash(entry.members, predecessor)}":
            raise _invalid(number, f"its hash is another than in {entry.version_id}")
        # Step 4: later than the one before, and not in the future. Each, not only the last.
        if previous is not None and entry.time <= previous.time:
            raise _invalid(number, f"expected a time after {previous.time}, got {entry.time}")
        if entry.time > latest:
            raise _invalid(number, f"expected a time up to {now}, got {entry.time}")
        # Step 5: the identifier is the hash of the first entry.
        if previous is None and scid_of(entry.members, scid) != scid:
            raise _invalid(number, "the SCID is not the hash of the first entry")
        # Step 6: every version is of a DID with this SCID, and only a portable one changes its name.
        _check_name(entry, previous, scid)
        previous = entry
    return tuple(DidVersion(one.version_id, one.time, one.did, canonicalize(one.state)) for one in entries)


def verify_did_key_proof(document: JsonObject, allowed: Sequence[Did]) -> Did:
    """The `did:key`, one of `allowed`, whose proof is on the document.

    Raises:
        VerificationError: `proof_*`, `key_*` and others: it does not hold, or is by another key.
    """
    signers: list[Did] = []

    def key(method: DidUrl, purpose: str) -> PublicKey:
        did, _, fragment = method.partition("#")
        # Body and fragment are one key. Whoever compared one and verified with the other could be shown two.
        if did != f"did:key:{fragment}" or did not in allowed:
            raise VerificationError("key_not_authorized", f"{method[:160]!a} is not one of the keys allowed here")
        signers.append(did)
        return public_key_from_multikey(fragment)

    # What is in a log stays true: only whether the options contradict each other is asked, not whether they are past.
    verify_proof(document, key=key, purpose=PURPOSE, suites=(SUITE,))
    return signers[0]


def entry_hash(members: JsonObject, predecessor: str) -> str:
    """The hash in the `versionId` of an entry; `predecessor` is that of the entry before, or the SCID."""
    content = {name: value for name, value in members.items() if name != "proof"}
    return multihash(canonicalize({**content, "versionId": predecessor}))


def scid_of(members: JsonObject, scid: str) -> str:
    """The SCID that follows from a first entry that has `scid` wherever its own is meant."""
    content = {name: value for name, value in members.items() if name != "proof"}
    text = canonicalize({**content, "versionId": PLACEHOLDER}).replace(scid.encode(), PLACEHOLDER.encode())
    # Canonical once more: the names of members may have changed their order.
    return multihash(canonicalize(cast("JsonObject", decode_json(text, FOREIGN_LIMITS))))


def multihash(data: bytes) -> str:
    """The sha2-256 multihash in base58btc, without a multibase prefix."""
    return base58_encode(b"\x12\x20" + sha256(data).digest())


def _read_entry(number: int, members: JsonValue, before: Parameters | None) -> LogEntry:
    if not isinstance(members, dict) or members.keys() != _MEMBERS:
        raise _invalid(number, f"expected an object with {', '.join(sorted(_MEMBERS))}")
    version_id, time, given, state = (members[name] for name in ("versionId", "versionTime", "parameters", "state"))
    found = _VERSION_ID.fullmatch(version_id) if isinstance(version_id, str) else None
    if found is None or int(found[1]) != number:
        raise _invalid(number, f"expected versionId {number}-<hash>, got {str(version_id)[:60]!a}")
    if not isinstance(time, str) or not _INSTANT.search(time):
        raise _invalid(number, f"expected versionTime as YYYY-MM-DDThh:mm:ssZ, got {str(time)[:40]!a}")
    if isinstance(members["proof"], list) and len(members["proof"]) > MAX_PROOFS:
        raise _invalid(number, f"expected at most {MAX_PROOFS} proofs, got {len(members['proof'])}")
    if not isinstance(given, dict) or not isinstance(state, dict):
        raise _invalid(number, "expected objects in parameters and state")
    did = state.get("id")
    if not isinstance(did, str):
        raise _invalid(number, "expected a document with an id")
    return LogEntry(
        number=number,
        version_id=found[0],
        time=time,
        did=did,
        state=state,
        given=frozenset(given),
        parameters=_read_parameters(number, given, before),
        members=members,
    )


def _read_parameters(number: int, given: JsonObject, before: Parameters | None) -> Parameters:
    """The parameters after an entry: those before, but for what it sets."""
    if before is None and not {"method", "scid", "updateKeys"} <= given.keys():
        raise _invalid(number, "expected method, scid and updateKeys in the first entry")
    changes: dict[str, Any] = {}
    for name, value in given.items():
        # Early logs wrote null for the default.
        value = _DEFAULTS.get(name) if value is None else value
        match name:
            case "method":
                if value != METHOD:
                    raise _invalid(number, f"expected method {METHOD}, got {str(value)[:60]!a}")
            case "scid":
                if before is not None or not isinstance(value, str) or not SCID.fullmatch(value):
                    raise _invalid(number, "expected a SCID, in the first entry alone")
                changes["scid"] = value
            case "updateKeys":
                changes["update_keys"] = _texts(number, name, value)
            case "nextKeyHashes":
                changes["next_key_hashes"] = _texts(number, name, value)
            case "witness":
                changes["witnesses"], changes["threshold"] = _read_witness(number, value)
            case "watchers":
                _texts(number, name, value)  # Nothing is asked of them here.
            case "portable" | "deactivated":
                if not isinstance(value, bool):
                    raise _invalid(number, f"expected true or false in {name}")
                if name == "portable" and value and before is not None and not before.portable:
                    raise _invalid(number, "expected portable to be set to true in the first entry alone")
                changes[name] = value
            case "ttl":
                if type(value) is not int or not 0 <= value <= MAX_TTL:
                    raise _invalid(number, f"expected ttl from 0 to 2^31, got {str(value)[:40]!a}")
                changes["ttl"] = value
            case _:
                raise _invalid(number, f"there is no parameter {name[:60]!a}")
    if before is None and not changes["update_keys"]:
        raise _invalid(number, "expected an update key in the first entry")
    return Parameters(**changes) if before is None else msgspec.structs.replace(before, **changes)


_DEFAULTS: Final[dict[str, Any]] = {
    "updateKeys": [],
    "nextKeyHashes": [],
    "witness": {},
    "watchers": [],
    "portable": False,
    "deactivated": False,
    "ttl": 3600,
}


def _read_witness(number: int, value: Any) -> tuple[tuple[Did, ...], int]:
    """Witnesses and threshold; `{}` is none. Anything between the two is refused, or it would be taken for none."""
    if value == {}:
        return (), 0
    members = cast("JsonObject", value) if isinstance(value, dict) else {}
    listed, threshold = members.get("witnesses"), members.get("threshold")
    if members.keys() != {"witnesses", "threshold"} or not isinstance(listed, list):
        raise _invalid(number, "expected a witness parameter with threshold and witnesses, or {}")
    witnesses = [cast("JsonObject", item) if isinstance(item, dict) else {} for item in cast("list[Any]", listed)]
    if any(item.keys() != {"id"} for item in witnesses):
        # Early logs gave witnesses weights. Who passes over one counts otherwise than who wrote it.
        raise _invalid(number, "expected of each witness its id and no more")
    dids = _texts(number, "witnesses", [item["id"] for item in witnesses])
    if not all(did.startswith("did:key:") for did in dids):
        raise _invalid(number, "expected every witness to be a did:key")
    if type(threshold) is not int or not 1 <= threshold <= len(dids):
        raise _invalid(number, f"expected a threshold from 1 to {len(dids)}, got {str(threshold)[:20]!a}")
    return dids, threshold


def _texts(number: int, name: str, value: Any) -> tuple[str, ...]:
    texts = cast("list[Any]", value) if isinstance(value, list) else [None]
    if len(texts) > MAX_KEYS or not all(isinstance(text, str) for text in texts) or len(set(texts)) != len(texts):
        raise _invalid(number, f"expected a list of at most {MAX_KEYS} different texts in {name}")
    return tuple(cast("list[str]", texts))


def _check_rotation(entry: LogEntry, before: Parameters) -> None:
    """The keys of this entry are those that the one before committed to."""
    if not {"updateKeys", "nextKeyHashes"} <= entry.given:
        raise _invalid(entry.number, "expected updateKeys and nextKeyHashes while keys are rotated ahead")
    keys = entry.parameters.update_keys
    if not keys or not all(multihash(key.encode()) in before.next_key_hashes for key in keys):
        raise _invalid(entry.number, "expected update keys whose hashes the entry before has")


def _check_proofs(entry: LogEntry, update_keys: Sequence[str]) -> None:
    content = {name: value for name, value in entry.members.items() if name != "proof"}
    try:
        for key in entry.parameters.update_keys:
            public_key_from_multikey(key)
        allowed = [f"did:key:{key}" for key in update_keys]
        for proof in proofs_of(entry.members):
            verify_did_key_proof({**content, "proof": proof}, allowed)
    except UndersignedError as exc:
        if exc.code == "key_weak":
            raise
        raise _invalid(entry.number, f"its proof does not hold: {exc}") from exc


def _check_name(entry: LogEntry, previous: LogEntry | None, scid: str) -> None:
    method, _, specific = parse_did(entry.did).did.removeprefix("did:").partition(":")
    named, _, location = specific.partition(":")
    if method != "webvh" or named != scid:
        raise _invalid(
            entry.number, f"expected the document of a did:webvh with the SCID {scid}, got {entry.did[:160]!a}"
        )
    folder_url(location, local=True)
    if previous is None or entry.did == previous.did:
        return
    known_as = entry.state.get("alsoKnownAs")
    if not previous.parameters.portable:
        raise _invalid(entry.number, f"expected {previous.did}, which is not portable, got {entry.did}")
    if not isinstance(known_as, list) or previous.did not in known_as:
        raise _invalid(entry.number, f"expected {previous.did} under alsoKnownAs of {entry.did}")


def _invalid(number: int, message: str) -> VerificationError:
    where = f"log entry {number}: " if number else "log: "
    return VerificationError("did_document_invalid", where + message)
