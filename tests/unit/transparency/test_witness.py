"""Texts between a log and its witness: verifier keys, and requests to cosign."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nacl.signing import SigningKey

from support import refuses
from undersigned.errors import LogProofError
from undersigned.keys import PublicKey
from undersigned.transparency import NoteVerifier, Submission, read_submission, read_verifier, submission, verifier_text

RAW = bytes(SigningKey(bytes(range(32))).verify_key)
KEY = PublicKey("Ed25519", RAW)
NOTE = f"did:web:log.example\n3\n{base64.b64encode(bytes(32)).decode()}\n\n\u2014 a AAAAAAA=\n"


@pytest.mark.parametrize("cosigns", [True, False])
def test_a_verifier_key_reads_back(cosigns: bool) -> None:
    """HIRE-LOG-20: the hash is of name, type and key (C2SP signed-note)."""
    verifier = NoteVerifier("did:web:w.example", cosigns, KEY)
    text = verifier_text(verifier)
    kind = b"\x04" if cosigns else b"\x01"
    hint = sha256(b"did:web:w.example\n" + kind + RAW).digest()[:4].hex()
    assert text == f"did:web:w.example+{hint}+{base64.b64encode(kind + RAW).decode()}"
    assert read_verifier(text) == verifier


def test_a_key_of_another_kind_checks_no_note() -> None:
    point = ec.derive_private_key(12345, ec.SECP256R1()).public_key()
    raw = point.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    for cosigns in (True, False):
        with pytest.raises(LogProofError):
            verifier_text(NoteVerifier("did:web:w.example", cosigns, PublicKey("P-256", raw)))


def changed(text: str) -> list[str]:
    name, hint, key = text.split("+", 2)
    weak = bytes([4]) + bytes(32)
    other = bytes([2]) + RAW
    of_other = sha256(name.encode() + b"\n" + other).digest()[:4].hex()
    of_weak = sha256(name.encode() + b"\n" + weak).digest()[:4].hex()
    return [
        f"other.example+{hint}+{key}",
        f"{name}+00000000+{key}",
        f"{name}+{hint}+{key[:-4]}",
        f"{name}+{of_other}+{base64.b64encode(other).decode()}",
        f"{name}+{of_weak}+{base64.b64encode(weak).decode()}",
        f"+{hint}+{key}",
        f"a b+{hint}+{key}",
        name,
        "",
    ]


@pytest.mark.parametrize("text", changed(verifier_text(NoteVerifier("w.example", True, KEY))))
def test_another_text_is_no_verifier_key(text: str) -> None:
    with refuses(LogProofError, "log_proof_invalid"):
        read_verifier(text)


@pytest.mark.parametrize("old", [0, 7, 2**63 - 1])
@pytest.mark.parametrize("path", [(), (bytes(32),), tuple(bytes([n]) * 32 for n in range(63))])
def test_a_request_reads_back(path: tuple[bytes, ...], old: int) -> None:
    body = submission(old, path, NOTE)
    assert body.startswith(b"old %d\n" % old)
    assert read_submission(body) == Submission(old, path, NOTE)


GOOD = submission(7, (bytes(32),), NOTE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 7",
        b"old 7\n",
        NOTE.encode(),
        GOOD.replace(b"old 7", b"old 07"),
        GOOD.replace(b"old 7", b"old -7"),
        GOOD.replace(b"old 7", b"old"),
        GOOD.replace(b"old 7", b"new 7"),
        GOOD.replace(b"old 7", b"old 99999999999999999999"),
        GOOD.replace(b"AAAA", b"AA.A", 1),
        submission(7, (bytes(31),), NOTE),
        submission(7, (bytes(32),) * 64, NOTE),
        GOOD.replace("\u2014".encode(), b"\xff"),
        GOOD.replace(b"\n", b"\r\n"),
    ],
)
def test_another_body_is_no_request(body: bytes) -> None:
    with refuses(LogProofError, "log_proof_invalid"):
        read_submission(body)
