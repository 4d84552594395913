"""Checkpoints and signed notes, against a published note and against every way of spoiling one."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from nacl.signing import SigningKey

from undersigned.errors import LogProofError, ProofError
from undersigned.keys import PublicKey, public_key_from_raw
from undersigned.transparency import (
    EMPTY_ROOT,
    MAX_NOTE_BYTES,
    Checkpoint,
    checkpoint_text,
    key_hash,
    read_checkpoint,
    read_note,
    signed_note,
    verify_note,
)

# The example note of the format's first implementation, with its verifier key.
NEUMANN = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
NEUMANN_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

ORIGIN = "did:web:acme.example"
SECRET = SigningKey(bytes(range(32)))
KEY: PublicKey = public_key_from_raw("Ed25519", bytes(SECRET.verify_key))
ROOT = bytes(range(32))
TEXT = checkpoint_text(ORIGIN, 7, ROOT)


def sign(text: bytes, secret: SigningKey = SECRET) -> bytes:
    return secret.sign(text).signature


NOTE = signed_note(TEXT, ORIGIN, KEY, sign(TEXT))


def test_a_published_note_reads_and_verifies() -> None:
    name, hint, key_text = NEUMANN_KEY.split("+", 2)
    raw = base64.b64decode(key_text)
    assert raw[0] == 1
    key = public_key_from_raw("Ed25519", raw[1:])
    note = read_note(NEUMANN)
    ((who, named, signature),) = note.signatures
    assert (who, named.hex()) == (name, hint)
    assert key_hash(name, key).hex() == hint
    key.verify(signature, note.text)
    assert signed_note(note.text, name, key, signature) == NEUMANN


def test_a_checkpoint_is_three_lines() -> None:
    assert TEXT == b"did:web:acme.example\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    assert read_checkpoint(TEXT) == Checkpoint(ORIGIN, 7, ROOT)
    assert read_checkpoint(TEXT + b"an extension\n") == Checkpoint(ORIGIN, 7, ROOT)


@pytest.mark.parametrize(("size", "root"), [(0, EMPTY_ROOT), (2**53 - 1, ROOT)])
def test_a_checkpoint_is_of_any_size_that_a_log_has(size: int, root: bytes) -> None:
    assert read_checkpoint(checkpoint_text(ORIGIN, size, root)) == Checkpoint(ORIGIN, size, root)


def test_a_signed_checkpoint_verifies() -> None:
    assert verify_note(NOTE, KEY) == Checkpoint(ORIGIN, 7, ROOT)
    assert verify_note(NOTE, KEY, ORIGIN) == Checkpoint(ORIGIN, 7, ROOT)


def test_signatures_of_others_are_kept_and_ignored() -> None:
    """HIRE-LOG-04."""
    witness = SigningKey(b"w" * 32)
    line = signed_note(TEXT, "witness.example", public_key_from_raw("Ed25519", bytes(witness.verify_key)), bytes(64))
    both = NOTE + line.rsplit("\n\n", 1)[1]
    assert len(read_note(both).signatures) == 2
    assert verify_note(both, KEY).size == 7


def test_every_changed_byte_of_a_note_is_noticed() -> None:
    """Text, name, key hash or signature: no other note verifies, and none is an accident (HIRE-LOG-03)."""
    data = NOTE.encode()
    for at in range(len(data)):
        for bit in (1, 2, 16, 128):
            changed = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
            try:
                text = changed.decode()
            except UnicodeDecodeError:
                continue
            with pytest.raises(LogProofError) as caught:
                verify_note(text, KEY)
            assert caught.value.code == "log_proof_invalid"


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        "no signatures\n",
        TEXT.decode(),
        TEXT.decode() + "\n",
        NOTE[:-1],
        NOTE + "\n",
        NOTE.replace("\n\n", "\n"),
        NOTE.replace("— ", "- "),
        NOTE.replace("— ", "—"),
        NOTE + "— x AAAA\n",
        NOTE + "— x AAAAAA==\n",
        NOTE + "— x AAAAAA= extra\n",
        NOTE + "— a+b AAAAAAAAAAA=\n",
        NOTE + "— did:web:x AAAAAAAAAAB=\n",
        NOTE + "— é\u2028 AAAAAAAAAAA=\n",
        NOTE.replace("7\n", "7\r\n"),
        NOTE + NOTE.rsplit("\n\n", 1)[1],
        NOTE + "— x AAAAAAAAAAA=\n" * 32,
        "x" * 20_000 + NOTE,
        "\ud800" + NOTE,
    ],
)
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(LogProofError):
        verify_note(note, KEY)


LINE = "— x AAAAAAA=\n"


def text_of(size: int, letter: str = "x") -> str:
    """A note of so many bytes."""
    return letter * ((size - len(f"\n\n{LINE}".encode())) // len(letter.encode())) + f"\n\n{LINE}"


def test_a_note_has_no_more_bytes_and_signatures_than_may_be_read() -> None:
    """HIRE-LOG-03: bytes, and not characters."""
    assert len(read_note(text_of(MAX_NOTE_BYTES)).text) == MAX_NOTE_BYTES - len(f"\n{LINE}".encode())
    assert len(read_note(f"x\n\n{LINE * 32}").signatures) == 32
    for note in (text_of(MAX_NOTE_BYTES + 1), text_of(MAX_NOTE_BYTES + 4, "€"), f"x\n\n{LINE * 33}"):
        with pytest.raises(LogProofError):
            read_note(note)


@pytest.mark.parametrize("note", [f"\n{LINE}", f"x\n{LINE}", f"x\n\n{LINE[:-1]}x", "\ud800" + text_of(99)])
def test_what_is_no_note_is_not_read_as_one(note: str) -> None:
    """Without the empty line, its last newline, or in no UTF-8: whatever its signature lines are."""
    with pytest.raises(LogProofError):
        read_note(note)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"o\n7\n",
        b"o\n07\n" + base64.b64encode(ROOT) + b"\n",
        b"o\n-7\n" + base64.b64encode(ROOT) + b"\n",
        b"o\n9007199254740992\n" + base64.b64encode(ROOT) + b"\n",
        b"o\n" + b"9" * 20 + b"\n" + base64.b64encode(ROOT) + b"\n",
        b"o\n" + b"9" * 5000 + b"\n" + base64.b64encode(ROOT) + b"\n",
        b"o\n7\n" + base64.b64encode(ROOT[1:]) + b"\n",
        b"o\n7\n" + base64.urlsafe_b64encode(bytes([255]) * 32) + b"\n",
        b"o\n7\n" + base64.b64encode(ROOT)[:-1] + b"\n",
        b"\n7\n" + base64.b64encode(ROOT) + b"\n",
        TEXT[:-1],
        TEXT + b"an extension",
        TEXT + b"\n",
        TEXT + b"\xff\n",
        "o\n٧\n".encode() + base64.b64encode(ROOT) + b"\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: bytes) -> None:
    with pytest.raises(LogProofError):
        read_checkpoint(text)


def test_another_key_or_name_does_not_verify() -> None:
    other = public_key_from_raw("Ed25519", bytes(SigningKey(b"o" * 32).verify_key))
    for key, name in ((other, None), (KEY, "did:web:globex.example")):
        with pytest.raises(LogProofError):
            verify_note(NOTE, key, name)


def test_a_key_that_is_not_ed25519_signs_no_notes() -> None:
    """The caller hears it and leaves the checkpoint out, or uses a log key."""
    numbers = ec.derive_private_key(12345, ec.SECP256R1()).public_key().public_numbers()
    key = public_key_from_raw("P-256", bytes([2 + (numbers.y & 1)]) + numbers.x.to_bytes(32, "big"))
    with pytest.raises(LogProofError, match="Ed25519 key, not P-256"):
        signed_note(TEXT, ORIGIN, key, bytes(64))
    with pytest.raises(LogProofError):
        verify_note(NOTE, key)


@pytest.mark.parametrize(
    "origin", ["", "two words", "a+b", "line\nbreak", "tab\t", "a\u202eb", "a\u2003b", "\u200b", "a\x85", "x" * 1025]
)
def test_a_name_that_no_line_can_carry_is_refused(origin: str) -> None:
    with pytest.raises(LogProofError):
        checkpoint_text(origin, 7, ROOT)
    with pytest.raises(LogProofError):
        signed_note(TEXT, origin, KEY, bytes(64))


@pytest.mark.parametrize("name", ["é", "\U0001fae9", "\u0378", "\U0001f600" * 1024])
def test_a_name_may_hold_what_a_later_unicode_gives_a_form(name: str) -> None:
    """HIRE-LOG-04: or another reader takes a note, by the same log and with the same lines, that this one refuses."""
    read = read_note(f"{NOTE}\u2014 {name} AAAAAAA=\n")
    assert read.signatures[-1][0] == name


def test_a_name_is_as_long_as_it_may_be() -> None:
    assert read_checkpoint(checkpoint_text("x" * 1024, 1, ROOT)).origin == "x" * 1024


@pytest.mark.parametrize(("size", "root"), [(-1, ROOT), (2**53, ROOT), (0, b""), (0, ROOT), (1, bytes(33))])
def test_a_head_that_is_none_is_refused(size: int, root: bytes) -> None:
    with pytest.raises(LogProofError):
        checkpoint_text(ORIGIN, size, root)


def test_a_log_without_leaves_has_one_root() -> None:
    """HIRE-LOG-04: of no size do two heads differ and contradict nothing."""
    with pytest.raises(LogProofError, match="empty tree"):
        read_checkpoint(TEXT.replace(b"\n7\n", b"\n0\n"))


def test_a_text_without_its_newline_or_a_short_signature_is_not_signed() -> None:
    for text, signature in ((TEXT[:-1], bytes(64)), (TEXT, bytes(63)), (b"\xff\n", bytes(64))):
        with pytest.raises(LogProofError):
            signed_note(text, ORIGIN, KEY, signature)


def test_the_key_decides_and_not_the_line() -> None:
    """A line with the right key hash and a signature over something else."""
    with pytest.raises(LogProofError) as caught:
        verify_note(signed_note(TEXT, ORIGIN, KEY, sign(TEXT + b"x")), KEY)
    assert isinstance(caught.value.__cause__, ProofError)
