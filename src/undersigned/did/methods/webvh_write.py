"""New entries for a `did:webvh` log of one's own. The shell holds the keys: it signs what is given here.

    entry = first_entry(document, now=now, updateKeys=[key.multikey], nextKeyHashes=[next_key_hash(later.multikey)])
    config = entry_proof(key.multikey, now)
    line = log_line(attach(entry, config, sign(prepare(entry, config, "Ed25519"))))

Source: did:webvh DID Method v1.0, "Create (Register)", "Update (Rotate)"
"""

from __future__ import annotations

from typing import Any, Final, cast

from undersigned.did.methods.webvh_log import METHOD, PURPOSE, SUITE, entry_hash, multihash, scid_of
from undersigned.encoding import FOREIGN_LIMITS, Instant, JsonObject, canonicalize, decode_json
from undersigned.proof import proof_config

__all__ = ["UNNAMED", "entry_proof", "first_entry", "log_line", "next_entry", "next_key_hash"]

UNNAMED: Final = "Qm" + "1" * 44
"""Stands for the SCID in a document that is to become a first entry, which alone determines it."""


def first_entry(document: JsonObject, *, now: Instant, **parameters: Any) -> JsonObject:
    """The first entry of a log, without its proof. `document` has `UNNAMED` wherever the SCID is to stand."""
    draft: JsonObject = {
        "versionId": UNNAMED,
        "versionTime": now,
        "parameters": {"method": METHOD, "scid": UNNAMED, **parameters},
        "state": document,
    }
    scid = scid_of(draft, UNNAMED)
    text = canonicalize(draft).replace(UNNAMED.encode(), scid.encode())
    entry = cast("JsonObject", decode_json(text, FOREIGN_LIMITS))
    return {**entry, "versionId": f"1-{entry_hash(entry, scid)}"}


def next_entry(previous: JsonObject, document: JsonObject, *, now: Instant, **parameters: Any) -> JsonObject:
    """The entry after `previous`, without its proof; `parameters` are those that change."""
    version_id = cast("str", previous["versionId"])
    number = int(version_id.partition("-")[0]) + 1
    entry: JsonObject = {"versionId": version_id, "versionTime": now, "parameters": parameters, "state": document}
    return {**entry, "versionId": f"{number}-{entry_hash(entry, version_id)}"}


def entry_proof(multikey: str, now: Instant) -> JsonObject:
    """The options of the proof that an update key makes."""
    return proof_config(SUITE, f"did:key:{multikey}#{multikey}", PURPOSE, now)


def log_line(entry: JsonObject) -> bytes:
    """A signed entry as a line of the log."""
    return canonicalize(entry) + b"\n"


def next_key_hash(multikey: str) -> str:
    """What commits to a key that comes next, and does not show it."""
    return multihash(multikey.encode())
