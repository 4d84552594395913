"""Checkpoints: a log's size and root in a note that its owner signs.

A checkpoint is three lines (origin, size, base64 of the root), as tlog-checkpoint says; a signed note is such a text,
an empty line and one line for each signature, as signed-note says. Both are published by C2SP. Signature lines that
are not ours to check are kept and ignored: witnesses add theirs later.

Only Ed25519 signs notes. An agent whose key is of another kind names a log key.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.5
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Final, TypeVar

import msgspec

from undersigned.encoding import base64_decode, base64_encode
from undersigned.errors import FormatError, LogProofError, ProofError
from undersigned.keys import PublicKey

from .merkle import EMPTY_ROOT

__all__ = [
    "LOG",
    "MAX_NOTE_BYTES",
    "Checkpoint",
    "Note",
    "by_one_of",
    "check_name",
    "checkpoint_text",
    "key_hash",
    "key_hint",
    "read_base64",
    "read_checkpoint",
    "read_note",
    "signature_line",
    "signed_note",
    "verify_note",
]

MAX_NOTE_BYTES: Final = 16_384
MAX_SIGNATURES: Final = 32
MAX_SIZE: Final = 2**53 - 1
"""Leaves of a log, as of any integer of ours: above it readers in floats take two for one, and stores overflow."""
_DASH: Final = "\u2014 "
LOG: Final = b"\x01"
"""Type of a log's key in signature lines and verifier keys."""
_NAME: Final = re.compile(
    r"[^+\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ud800-\udfff]{1,1024}"
)
"""What is a space, or can be printed, is asked of no table: each version of Unicode has another."""
_NEVER: Final = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")


T = TypeVar("T")


class Checkpoint(msgspec.Struct, frozen=True):
    """A log's size and root at one moment."""

    origin: str
    """Name of the log: the DID of its owner."""
    size: int
    root: bytes
    """32 bytes."""


class Note(msgspec.Struct, frozen=True):
    """A note as read: nothing is verified yet."""

    text: bytes
    """What is signed: the text with its last newline."""
    signatures: tuple[tuple[str, bytes, bytes], ...]
    """(key name, 4-byte key hash, signature) for each signature line."""


def checkpoint_text(origin: str, size: int, root: bytes) -> bytes:
    """The bytes that the log's key signs.

    Raises:
        LogProofError: The origin is empty or holds white space or control characters, `size` is negative or above
            2^53-1, or `root` is not 32 bytes, or not that of the empty tree for a size of 0.
    """
    check_name(origin)
    if not 0 <= size <= MAX_SIZE or len(root) != 32:
        raise LogProofError("log_proof_invalid", "a checkpoint has a size from 0 to 2^53-1 and a root of 32 bytes")
    _check_empty(size, root)
    return f"{origin}\n{size}\n{base64_encode(root)}\n".encode()


def read_checkpoint(text: bytes) -> Checkpoint:
    """The checkpoint that a note's text states; extension lines after the third are allowed and ignored.

    Raises:
        LogProofError: Not a checkpoint: fewer lines, a size with leading zeros or above 2^53-1, another root length, or
            another root than the empty tree's for a size of 0.
    """
    lines = _decode(text).split("\n")
    if len(lines) < 4 or lines[-1] or "" in lines[:-1]:
        raise LogProofError("log_proof_invalid", "a checkpoint has three lines or more, each ended by a newline")
    origin, count, root_text = lines[:3]
    digits = count.isascii() and count.isdigit() and (count == "0" or count[0] != "0")
    if not digits or len(count) > 16 or int(count) > MAX_SIZE:
        raise LogProofError("log_proof_invalid", f"not the size of a log: {count[:40]!r}")
    root = read_base64(root_text)
    if len(root) != 32:
        raise LogProofError("log_proof_invalid", f"the root of a checkpoint has 32 bytes, not {len(root)}")
    _check_empty(int(count), root)
    return Checkpoint(origin, int(count), root)


def _check_empty(size: int, root: bytes) -> None:
    if not size and root != EMPTY_ROOT:
        raise LogProofError("log_proof_invalid", "a log without leaves has the root of the empty tree")


def key_hash(name: str, key: PublicKey, kind: bytes = LOG) -> bytes:
    """The 4 bytes by which a signature line names `key` (signed-note: SHA-256 of name, newline, type and key).

    Raises:
        LogProofError: The key is not Ed25519: notes have no signature type for the others.
    """
    if key.kind != "Ed25519":
        raise LogProofError("log_proof_invalid", f"a note is signed with an Ed25519 key, not {key.kind}")
    return key_hint(name, kind, key.raw)


@lru_cache(maxsize=1024)
def key_hint(name: str, kind: bytes, raw: bytes) -> bytes:
    """The same of bytes that need be no key; the few keys that sign logs are named again in every note."""
    return sha256(name.encode() + b"\n" + kind + raw).digest()[:4]


def signed_note(text: bytes, name: str, key: PublicKey, signature: bytes) -> str:
    """The note: `text` with the one signature that `key` made over exactly `text`.

    Raises:
        LogProofError: The text has no last newline, the name is not usable, or the key is not Ed25519.
    """
    check_name(name)
    decoded = _decode(text)
    if not decoded.endswith("\n"):
        raise LogProofError("log_proof_invalid", "the text of a note ends with a newline")
    return f"{decoded}\n{signature_line(name, key, signature)}"


def signature_line(name: str, key: PublicKey, signature: bytes, kind: bytes = LOG, before: bytes = b"") -> str:
    """The line that is added to a note, with its newline: `before` stands in it before the signature.

    Raises:
        LogProofError: The key is not Ed25519, or the signature of another length.
    """
    if len(signature) != 64:
        raise LogProofError("log_proof_invalid", f"an Ed25519 signature has 64 bytes, not {len(signature)}")
    return f"{_DASH}{name} {base64_encode(key_hash(name, key, kind) + before + signature)}\n"


def read_note(note: str) -> Note:
    """Text and signatures of a note; nothing is verified.

    Raises:
        LogProofError: Not a note: no empty line before the signatures, a malformed signature line, control
            characters, more than 32 signatures, or more than 16 KiB.
    """
    if len(note) > MAX_NOTE_BYTES or len(note.encode("utf-8", "surrogatepass")) > MAX_NOTE_BYTES:
        raise LogProofError("log_proof_invalid", f"a note has at most {MAX_NOTE_BYTES} bytes")
    # The signatures begin after the last empty line, so that the text itself may hold one.
    cut = note.rfind("\n\n")
    if cut < 0 or not note.endswith("\n"):
        raise LogProofError(
            "log_proof_invalid", "a note has an empty line before its signatures and ends with a newline"
        )
    text = note[: cut + 1]
    lines = note[cut + 2 : -1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise LogProofError("log_proof_invalid", f"a note has at most {MAX_SIGNATURES} signatures")
    _check_characters(note)
    return Note(text.encode(), tuple([_read_signature(line) for line in lines]))


def verify_note(note: str, key: PublicKey, name: str | None = None) -> Checkpoint:
    """The checkpoint in `note`, once `key` is known to have signed it.

    The signature is looked for under `name`, by default the checkpoint's own origin: a log signs its own notes.

    Raises:
        LogProofError: Malformed, no signature line by this name and key, the signature does not verify, or the key
            is not Ed25519.
    """
    parsed = read_note(note)
    checkpoint = read_checkpoint(parsed.text)
    signer = checkpoint.origin if name is None else name
    wanted = key_hash(signer, key)
    found = [signature for who, hint, signature in parsed.signatures if who == signer and hint == wanted]
    if len(found) != 1:
        # Two lines by one key would let either be the one somebody else looks at.
        raise LogProofError("log_proof_invalid", f"the note carries {len(found)} signatures by {signer}, not one")
    try:
        key.verify(found[0], parsed.text)
    except ProofError as exc:
        raise LogProofError("log_proof_invalid", f"the note's signature by {signer} does not verify") from exc
    return checkpoint


def by_one_of(keys: Iterable[PublicKey], verified: Callable[[PublicKey], T], owner: str) -> T:
    """What `verified` gives for the first key with which it does not raise.

    Raises:
        LogProofError: What it raised for the last one; or `owner` has none.
    """
    failure: LogProofError | None = None
    for key in keys:
        try:
            return verified(key)
        except LogProofError as exc:
            failure = exc
    raise failure or LogProofError("log_proof_invalid", f"{owner} has no key that signs notes")


def _read_signature(line: str) -> tuple[str, bytes, bytes]:
    parts = line[len(_DASH) :].split(" ")
    if not line.startswith(_DASH) or len(parts) != 2:
        raise LogProofError("log_proof_invalid", "a signature line is a dash, a key name and a signature")
    check_name(parts[0])
    data = read_base64(parts[1])
    if len(data) < 5:
        raise LogProofError("log_proof_invalid", "a signature line holds a key hash and a signature")
    return parts[0], data[:4], data[4:]


def read_base64(text: str) -> bytes:
    """Bytes in their one base64 form (RFC 4648, section 4).

    Raises:
        LogProofError: It is another text.
    """
    try:
        return base64_decode(text)
    except FormatError as exc:
        raise LogProofError("log_proof_invalid", f"not canonical base64: {text[:60]!r}") from exc


@lru_cache(maxsize=1024)
def check_name(name: str) -> None:
    """Returns if `name` can stand in a note as that of a log or key; the few that do are asked about in every note.

    Raises:
        LogProofError: It cannot.
    """
    if _NAME.fullmatch(name) is None:
        raise LogProofError("log_proof_invalid", f"not the name of a log or key: {name[:60]!r}")


def _check_characters(text: str) -> None:
    if _NEVER.search(text):
        raise LogProofError("log_proof_invalid", "a note is UTF-8 without control characters but newlines")


def _decode(text: bytes) -> str:
    try:
        decoded = text.decode()
    except UnicodeDecodeError as exc:
        raise LogProofError("log_proof_invalid", "a note is UTF-8") from exc
    _check_characters(decoded)
    return decoded
