"""Cosignatures: the word of somebody who saw a log's checkpoint that it continues all that it saw of the log before.

The signature line is of C2SP `tlog-cosignature` form: type 0x04, eight bytes of time in seconds since 1970, and an
Ed25519 signature over `cosignature/v1`, the time, and the text of the checkpoint.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.5; C2SP tlog-cosignature
"""

from __future__ import annotations

from typing import Final

from undersigned.errors import LogProofError, ProofError
from undersigned.keys import PublicKey
from undersigned.transparency.checkpoint import Checkpoint, key_hash, read_checkpoint, read_note, signature_line

__all__ = ["COSIGNATURE", "cosignature_line", "cosigned_note", "cosigned_text", "cosigned_until", "verify_cosignature"]

COSIGNATURE: Final = b"\x04"
"""Type of a witness's key in signature lines and verifier keys."""
COSIGNATURE_BYTES: Final = 72
"""Of the time and the signature together."""


def cosigned_text(text: bytes, seconds: int) -> bytes:
    """What is signed: `text` is the checkpoint's, `seconds` when it was seen, since 1970."""
    return b"cosignature/v1\ntime %d\n" % seconds + text


def cosignature_line(name: str, key: PublicKey, seconds: int, signature: bytes) -> str:
    """The line that is added to a note, with its newline.

    Raises:
        LogProofError: The key is not Ed25519, or the signature of another length.
    """
    return signature_line(name, key, signature, COSIGNATURE, seconds.to_bytes(8, "big"))


def cosigned_note(text: bytes, name: str, key: PublicKey, seconds: int, signature: bytes) -> str:
    """A note of the checkpoint with this one cosignature.

    Raises:
        LogProofError: As `cosignature_line`.
    """
    return f"{text.decode()}\n{cosignature_line(name, key, seconds, signature)}"


def cosigned_until(note: str, seconds: int) -> str:
    """The note without the cosignatures that say a later time, in seconds since 1970; nothing is verified.

    Raises:
        LogProofError: Not a note.
    """
    parsed = read_note(note)
    text = parsed.text.decode()
    lines = note[len(text) + 1 :].splitlines(keepends=True)
    kept = [
        line
        for line, (_, _, data) in zip(lines, parsed.signatures, strict=True)
        if len(data) != COSIGNATURE_BYTES or int.from_bytes(data[:8], "big") <= seconds
    ]
    return f"{text}\n{''.join(kept)}"


def verify_cosignature(note: str, name: str, key: PublicKey) -> tuple[Checkpoint, int]:
    """The checkpoint, and when `name` saw it, in seconds since 1970, once its cosignature by `key` verifies.

    Raises:
        LogProofError: Malformed, none or several by this name and key, or it does not verify.
    """
    parsed = read_note(note)
    wanted = key_hash(name, key, COSIGNATURE)
    found = [data for who, hint, data in parsed.signatures if who == name and hint == wanted]
    if len(found) != 1:
        raise LogProofError("log_proof_invalid", f"the note carries {len(found)} cosignatures by {name}, not one")
    if len(found[0]) != COSIGNATURE_BYTES:
        raise LogProofError("log_proof_invalid", f"a cosignature has 72 bytes; the one by {name} has {len(found[0])}")
    seconds = int.from_bytes(found[0][:8], "big")
    try:
        key.verify(found[0][8:], cosigned_text(parsed.text, seconds))
    except ProofError as exc:
        raise LogProofError("log_proof_invalid", f"the cosignature by {name} does not verify") from exc
    return read_checkpoint(parsed.text), seconds
