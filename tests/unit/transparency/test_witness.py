"""Texts between a log and its witness: verifier keys, and requests to cosign."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from nacl.signing import SigningKey

from undersigned.errors import LogProofError
from undersigned.keys import PublicKey
from undersigned.transparency import Submission, Verifier, read_submission, read_verifier, submission, verifier_text

RAW = bytes(SigningKey(bytes(range(32))).verify_key)
KEY = PublicKey("Ed25519", RAW)
NOTE = f"did:web:log.example\n3\n{base64.b64encode(bytes(32)).decode()}\n\n\u2014 a AAAAAAA=\n"


@pytest.mark.parametrize("cosigns", [True, False])
def test_a_verifier_key_reads_back(cosigns: bool) -> None:
    """HIRE-LOG-20: the hash is of name, type and key (C2SP signed-note)."""
    verifier = Verifier("did:web:w.example", cosigns, KEY)
    text = verifier_text(verifier)
    kind = b"\x04" if cosigns else b"\x01"
    hint = sha256(b"did:web:w.example\n" + kind + RAW).digest()[:4].hex()
    assert text == f"did:web:w.example+{hint}+{base64.b64encode(kind + RAW).decode()}"
    assert read_verifier(text) == verifier


def changed(text: str) -> list[str]:
    name, hint, key = text.split("+", 2)
    weak = bytes([4]) + bytes(32)
    of_another_type = base64.b64encode(bytes([2]) + RAW).decode()
    of_weak = sha256(name.encode() + b"\n" + weak).digest()[:4].hex()
    return [
        f"other.example+{hint}+{key}",
        f"{name}+00000000+{key}",
        f"{name}+{hint}+{key[:-4]}",
        f"{name}+{hint}+{of_another_type}",
        f"{name}+{of_weak}+{base64.b64encode(weak).decode()}",
        f"+{hint}+{key}",
        f"a b+{hint}+{key}",
        name,
        "",
    ]


@pytest.mark.parametrize("text", changed(verifier_text(Verifier("w.example", True, KEY))))
def test_another_text_is_no_verifier_key(text: str) -> None:
    with pytest.raises(LogProofError) as refused:
        read_verifier(text)
    assert refused.value.code == "log_proof_invalid"


@pytest.mark.parametrize("path", [(), (bytes(32),), tuple(bytes([n]) * 32 for n in range(63))])
def test_a_request_reads_back(path: tuple[bytes, ...]) -> None:
    body = submission(7, path, NOTE)
    assert body.startswith(b"old 7\n")
    assert read_submission(body) == Submission(7, path, NOTE)


GOOD = submission(7, (bytes(32),), NOTE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
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
    with pytest.raises(LogProofError) as refused:
        read_submission(body)
    assert refused.value.code == "log_proof_invalid"
