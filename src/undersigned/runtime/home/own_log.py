"""The log of an agent's own `did:webvh`, in its state folder, and the keys that may add to it.

    did.jsonl                the log, as it is served
    keys/update-N.json       the key that signs entry N; the one after the last entry is committed to by its hash

Every entry commits to the next key (pre-rotation), which is used for that one entry alone. So the key that goes on is
never one that was shown, and after a crash in between it is plain which keys count: those the log names.

Source: protocol-spec/02-identity-and-keys.md, section 2.9
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from undersigned.did import (
    UNNAMED,
    document_from,
    entry_proof,
    fetches,
    first_entry,
    log_line,
    next_entry,
    next_key_hash,
)
from undersigned.encoding import FOREIGN_LIMITS, Did, Instant, JsonObject, decode_json, shift
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.proof import attach, prepare
from undersigned.runtime.files import read_file, write_whole
from undersigned.runtime.signers import PrivateKey, generate_key, open_key, seal_key

__all__ = ["LOG", "begin_log", "continue_log", "latest_names"]

LOG = "did.jsonl"


def begin_log(
    folder: Path, location: str, document: Callable[[Did], JsonObject], *, passphrase: str, now: Instant
) -> Did:
    """Writes the first entry of a new log with its two keys, and gives the DID.

    `document` makes the DID document of the DID it is given, which is not yet the real one. The DID is portable.
    """
    key, later = generate_key(), generate_key()
    entry = first_entry(
        document(f"did:webvh:{UNNAMED}:{location}"),
        now=now,
        updateKeys=[key.public_key.multikey],
        nextKeyHashes=[next_key_hash(later.public_key.multikey)],
        portable=True,
    )
    for number, one in enumerate((key, later), 1):
        seal_key(_key_file(folder, number), one, passphrase)
    write_whole(folder / LOG, log_line(_signed(entry, key)))
    return str(cast("JsonObject", entry["state"])["id"])


def continue_log(folder: Path, document: JsonObject, *, passphrase: str, now: Instant) -> None:
    """Adds an entry with a new document, by the key that was committed to, and commits to another one.

    Raises:
        ConfigurationError: `key_unavailable`; `bad_configuration`: the log in the folder is damaged, or nobody
            would read it with one entry more, and it stays as it is.
    """
    raw = read_file(folder / LOG)
    last, number = _last_entry(folder, raw), len(raw.splitlines()) + 1
    key, later = open_key(_key_file(folder, number), passphrase), generate_key()
    # One that is there already was made for an entry that was never written.
    _key_file(folder, number + 1).unlink(missing_ok=True)
    seal_key(_key_file(folder, number + 1), later, passphrase)
    entry = next_entry(
        last,
        document,
        # Two changes in one second: each has a time of its own.
        now=max(now, shift(str(last["versionTime"]), 1)),
        updateKeys=[key.public_key.multikey],
        nextKeyHashes=[next_key_hash(later.public_key.multikey)],
    )
    longer = raw + log_line(_signed(entry, key))
    _require_read(folder, document, longer, now=str(entry["versionTime"]))
    write_whole(folder / LOG, longer)


def latest_names(folder: Path) -> tuple[Did, JsonObject]:
    """The DID under which the log goes on, and `alsoKnownAs` of its document, with the former ones if it moved.

    Raises:
        ConfigurationError: `bad_configuration`: the log in the folder is damaged.
    """
    state = cast("JsonObject", _last_entry(folder, read_file(folder / LOG))["state"])
    return str(state["id"]), {name: state[name] for name in ("alsoKnownAs",) if name in state}


def _last_entry(folder: Path, raw: bytes) -> JsonObject:
    lines = raw.splitlines()
    last = decode_json(lines[-1], FOREIGN_LIMITS) if lines else None
    if not isinstance(last, dict):
        raise ConfigurationError("bad_configuration", f"{folder / LOG} has no last entry")
    return last


def _require_read(folder: Path, document: JsonObject, raw: bytes, *, now: Instant) -> None:
    """Returns if others take this log. One that is longer than they read would end the DID with its last entry, which
    cannot be taken back.
    """
    did = str(document["id"])
    try:
        document_from(did, {fetches(did, local=True)[0]: raw}, now=now)
    except UndersignedError as exc:
        hint = "nothing was written. Of a log that is full the last document stays: another one needs another DID"
        raise ConfigurationError("bad_configuration", f"{folder / LOG} with one more entry: {exc}; {hint}") from exc


def _signed(entry: JsonObject, key: PrivateKey) -> JsonObject:
    config = entry_proof(key.public_key.multikey, str(entry["versionTime"]))
    return attach(entry, config, key.sign_now(prepare(entry, config, "Ed25519")))


def _key_file(folder: Path, number: int) -> Path:
    return folder / "keys" / f"update-{number}.json"
