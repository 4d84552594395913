"""Cosignatures: a line of a witness in a note, and what it says of which checkpoint, and when."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nacl.signing import SigningKey

from undersigned.errors import LogProofError, ProofError
from undersigned.keys import PublicKey
from undersigned.transparency import (
    Checkpoint,
    checkpoint_text,
    cosignature_line,
    cosigned_note,
    cosigned_text,
    cosigned_until,
    read_note,
    verify_cosignature,
)

NAME = "did:web:w.example"
SECRET, OTHER = SigningKey(bytes(range(32))), SigningKey(b"o" * 32)
KEY = PublicKey("Ed25519", bytes(SECRET.verify_key))
TEXT = checkpoint_text("did:web:log.example", 7, bytes(32))
AT = 1_795_000_000
CURVE = ec.derive_private_key(12345, ec.SECP256R1()).public_key()
P256 = PublicKey("P-256", CURVE.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))


def line(at: int = AT, *, name: str = NAME, secret: SigningKey = SECRET, text: bytes = TEXT) -> str:
    key = PublicKey("Ed25519", bytes(secret.verify_key))
    return cosignature_line(name, key, at, secret.sign(cosigned_text(text, at)).signature)


def note(*lines: str, text: bytes = TEXT) -> str:
    return f"{text.decode()}\n{''.join(lines)}"


def of_length(count: int) -> str:
    """A line of the same name and key with so many bytes behind the hash of them."""
    (_, hint, data) = read_note(note(line())).signatures[0]
    return f"\u2014 {NAME} {base64.b64encode(hint + (data + bytes(9))[:count]).decode()}\n"


def test_a_line_is_of_the_form_that_witnesses_write() -> None:
    """C2SP tlog-cosignature: the hash is of type 4, and time and signature follow it."""
    ((who, hint, data),) = read_note(note(line())).signatures
    assert (who, hint) == (NAME, sha256(NAME.encode() + b"\n\x04" + KEY.raw).digest()[:4])
    assert data[:8] == AT.to_bytes(8, "big")
    SECRET.verify_key.verify(b"cosignature/v1\ntime %d\n" % AT + TEXT, data[8:])
    assert cosigned_note(TEXT, NAME, KEY, AT, data[8:]) == note(line())


def test_a_cosignature_says_which_checkpoint_and_when() -> None:
    """Lines of others, and of this name by another key, are ignored."""
    whole = note(line(name="did:web:x.example"), line(secret=OTHER), line(), of_length(72).replace(NAME, "x.example"))
    assert verify_cosignature(whole, NAME, KEY) == (Checkpoint("did:web:log.example", 7, bytes(32)), AT)


@pytest.mark.parametrize(
    "lines",
    [
        (line(secret=OTHER),),
        (line(name="did:web:x.example"),),
        (line(), line()),
        (line(), line(AT + 1)),
        (line(text=checkpoint_text("did:web:log.example", 8, bytes(32))),),
        (line().replace(NAME, "did:web:y.example"),),
        (of_length(71),),
        (of_length(73),),
        (of_length(7),),
    ],
    ids=["key", "name", "twice", "two times", "checkpoint", "renamed", "short", "long", "no time"],
)
def test_what_is_no_one_cosignature_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(LogProofError) as refused:
        verify_cosignature(note(*lines), NAME, KEY)
    assert refused.value.code == "log_proof_invalid"


def test_another_time_is_not_what_was_signed() -> None:
    (_, hint, data) = read_note(note(line())).signatures[0]
    moved = base64.b64encode(hint + (AT + 1).to_bytes(8, "big") + data[8:]).decode()
    with pytest.raises(LogProofError) as refused:
        verify_cosignature(note(f"\u2014 {NAME} {moved}\n"), NAME, KEY)
    assert isinstance(refused.value.__cause__, ProofError)


def test_what_is_no_checkpoint_is_not_cosigned() -> None:
    text = b"a text\n"
    with pytest.raises(LogProofError):
        verify_cosignature(note(line(text=text), text=text), NAME, KEY)


def test_a_key_of_another_kind_cosigns_nothing() -> None:
    for call in (
        lambda: cosignature_line(NAME, P256, AT, bytes(64)),
        lambda: verify_cosignature(note(line()), NAME, P256),
        lambda: cosignature_line(NAME, KEY, AT, bytes(63)),
        lambda: cosignature_line(NAME, KEY, AT, bytes(65)),
    ):
        with pytest.raises(LogProofError):
            call()


def test_what_says_a_later_time_is_left_out() -> None:
    """HIRE-LOG-24: at that very time is not later, and what is no cosignature says no time."""
    own = f"\u2014 log.example {base64.b64encode(bytes([255]) * 68).decode()}\n"
    before, at, after = (line(AT + shift, name=f"w{shift + 1}.example") for shift in (-1, 0, 1))
    assert cosigned_until(note(own, after, at, before), AT) == note(own, at, before)
    assert cosigned_until(note(after), AT) == note()
    with pytest.raises(LogProofError):
        cosigned_until(TEXT.decode(), AT)
