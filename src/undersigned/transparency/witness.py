"""What a log and its witness say to each other: verifier keys, and the request to have a checkpoint cosigned.

A witness keeps the newest checkpoint of each log that it knows, and cosigns one that continues it. The request is the
size that the witness saw last, a consistency proof from there, and the checkpoint:

    old 20852014
    PlRN…            base64 of a hash, for each of the proof

    did:web:acme.example
    20852163
    …

Pure: texts and bytes.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.5; C2SP tlog-witness and signed-note
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from undersigned.encoding import base64_encode
from undersigned.errors import LogProofError, VerificationError
from undersigned.keys import PublicKey
from undersigned.transparency.checkpoint import LOG, check_name, key_hash, key_hint, read_base64
from undersigned.transparency.cosign import COSIGNATURE

__all__ = [
    "MAX_SUBMISSION_BYTES",
    "SIZE_TYPE",
    "NoteVerifier",
    "Submission",
    "read_submission",
    "read_verifier",
    "submission",
    "verifier_text",
]

MAX_PATH: Final = 63
"""Hashes in a consistency proof."""
MAX_SUBMISSION_BYTES: Final = 32 * 1024
SIZE_TYPE: Final = "text/x.tlog.size"
"""Media type of the answer that says only how many leaves the witness saw last."""


class NoteVerifier(NamedTuple):
    """Whose signature lines are checked with what."""

    name: str
    """Of the key in the lines: for parties of ours their DID."""
    cosigns: bool
    """A witness's; else it is a log's own."""
    key: PublicKey


class Submission(NamedTuple):
    """A request to be cosigned, as read: nothing is verified."""

    old: int
    """Leaves of the checkpoint that the witness is thought to have seen last; 0 if none."""
    path: tuple[bytes, ...]
    note: str


def verifier_text(verifier: NoteVerifier) -> str:
    """One line to be handed on: name, hash and key, with `+` between them (signed-note: a verifier key).

    Raises:
        LogProofError: The name cannot stand in a note, or the key is not Ed25519.
    """
    check_name(verifier.name)
    kind = COSIGNATURE if verifier.cosigns else LOG
    hint = key_hash(verifier.name, verifier.key, kind)
    return f"{verifier.name}+{hint.hex()}+{base64_encode(kind + verifier.key.raw)}"


def read_verifier(text: str) -> NoteVerifier:
    """The verifier key in a line.

    Raises:
        LogProofError: `log_proof_invalid`: no name, hash and key; a hash of something else; a type that is neither a
            log's (1) nor a witness's (4); a key that is weak.
    """
    name, _, rest = text.partition("+")
    hint, _, encoded = rest.partition("+")
    check_name(name)
    data = read_base64(encoded)
    kind, raw = data[:1], data[1:]
    if kind not in (LOG, COSIGNATURE):
        raise LogProofError("log_proof_invalid", f"expected an Ed25519 key of a log or witness; came {text[:200]!a}")
    if hint != key_hint(name, kind, raw).hex():
        raise LogProofError("log_proof_invalid", f"the hash in {text[:200]!a} is of another name or key")
    try:
        return NoteVerifier(name, kind == COSIGNATURE, PublicKey("Ed25519", raw))
    except VerificationError as exc:
        raise LogProofError("log_proof_invalid", f"{text[:200]!a}: {exc.message}") from exc


def submission(old: int, path: Sequence[bytes], note: str) -> bytes:
    """The body of a request to cosign `note`."""
    lines = [f"old {old}", *map(base64_encode, path), ""]
    return "".join(f"{line}\n" for line in lines).encode() + note.encode()


def read_submission(data: bytes) -> Submission:
    """What such a body asks for.

    Raises:
        LogProofError: `log_proof_invalid`: of another form, or with more hashes than any proof has.
    """
    head, found, note = data.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
        text = note.decode()
    except UnicodeDecodeError as exc:
        raise LogProofError("log_proof_invalid", "a request to cosign is text") from exc
    word, _, size = first.partition(" ")
    # In ASCII, as it is here, no other digits are written than those of a size.
    whole = size.isdigit() and (size == "0" or size[0] != "0") and len(size) <= 19
    if not found or word != "old" or not whole or len(lines) > MAX_PATH:
        raise LogProofError(
            "log_proof_invalid", f"expected 'old', a size, at most {MAX_PATH} hashes, an empty line and a note"
        )
    path = tuple(read_base64(line) for line in lines)
    if any(len(value) != 32 for value in path):
        raise LogProofError("log_proof_invalid", "a hash has 32 bytes")
    return Submission(int(size), path, text)
