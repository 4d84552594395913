"""Private keys: sealed, opened, used; and never seen."""

from __future__ import annotations

import json
import pickle
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import refuses
from undersigned.errors import ConfigurationError
from undersigned.runtime import PrivateKey, generate_key, open_key, seal_key
from undersigned.runtime.signers import _ORDERS

KINDS = ["Ed25519", "P-256", "P-384"]
PASSPHRASE = "correct horse battery staple"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PrivateKey]:
    key = generate_key()
    path = tmp_path_factory.mktemp("keys") / "agent.json"
    seal_key(path, key, PASSPHRASE)
    return path, key


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_opened_is_what_was_sealed(kind: Any, tmp_path: Path) -> None:
    key = generate_key(kind)
    path = tmp_path / "agent.json"
    seal_key(path, key, PASSPHRASE)
    again = open_key(path, PASSPHRASE)
    assert again.public_key == key.public_key
    key.public_key.verify(await again.sign(b"what is said"), b"what is said")


def test_a_file_costs_who_guesses_what_it_should(tmp_path: Path) -> None:
    """In a process of its own: scrypt as outside of tests, which seal for less."""
    path = tmp_path / "agent.json"
    program = (
        "import sys; from pathlib import Path; from undersigned.runtime import generate_key, seal_key; "
        "seal_key(Path(sys.argv[1]), generate_key(), sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", program, path, PASSPHRASE], check=True, timeout=60)
    record = json.loads(path.read_text())
    assert (record["n"], record["r"], record["p"]) == (2**15, 8, 1)
    assert record["multikey"] == open_key(path, PASSPHRASE).public_key.multikey


@pytest.mark.parametrize("passphrase", ["", "correct horse battery stapl", PASSPHRASE + " ", PASSPHRASE.upper()])
def test_another_passphrase_opens_nothing(passphrase: str, sealed: tuple[Path, PrivateKey]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_key(sealed[0], passphrase)
    assert refused.value.code == "key_unavailable"
    assert PASSPHRASE not in str(refused.value)


def test_the_file_is_for_its_owner_alone_and_shows_no_secret(sealed: tuple[Path, PrivateKey]) -> None:
    path, key = sealed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    raw = path.read_bytes()
    secret = key.secret_bytes()
    assert PASSPHRASE.encode() not in raw
    assert secret not in raw
    assert secret.hex().encode() not in raw


def test_two_sealings_of_one_key_have_nothing_in_common(sealed: tuple[Path, PrivateKey], tmp_path: Path) -> None:
    """A fresh salt and nonce each time, or two files would tell that they hold the same."""
    seal_key(tmp_path / "again.json", sealed[1], PASSPHRASE)
    one, two = json.loads(sealed[0].read_text()), json.loads((tmp_path / "again.json").read_text())
    assert not {one[name] for name in ("salt", "nonce", "sealed")} & {two[name] for name in ("salt", "nonce", "sealed")}


def other_multikey() -> str:
    return generate_key().public_key.multikey


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "P-256"},
        {"kind": "RSA"},
        {"multikey": None},
        {"multikey": "z6Mkbroken"},
        {"sealed": ""},
        {"sealed": "AAAA"},
        {"sealed": "not base64url!"},
        {"salt": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"nonce": "AAAAAAAAAAAAAAAA"},
        {"nonce": ""},
        {"n": 3},
        {"n": 0},
        {"n": -1},
        {"r": 0},
        {"n": 2**21},
        {"r": 33},
        {"p": 17},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_damaged_file_opens_nothing(change: dict[str, Any], sealed: tuple[Path, PrivateKey], tmp_path: Path) -> None:
    """Each member is under the seal, or is checked; and nobody can make us do more scrypt work than is usual."""
    record = json.loads(sealed[0].read_text()) | change
    if record["multikey"] is None:
        record["multikey"] = other_multikey()
    path = tmp_path / "agent.json"
    path.write_text(json.dumps(record))
    with refuses(ConfigurationError, "key_unavailable"):
        open_key(path, PASSPHRASE)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff\xfe", b"null", b'{"kind":"Ed25519"}'])
def test_what_is_no_sealed_key_opens_nothing(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    path.write_bytes(raw)
    with refuses(ConfigurationError, "key_unavailable"):
        open_key(path, PASSPHRASE)


def test_a_file_that_is_missing_opens_nothing(tmp_path: Path) -> None:
    with refuses(ConfigurationError, "key_unavailable"):
        open_key(tmp_path / "agent.json", PASSPHRASE)


def test_a_key_is_never_overwritten(sealed: tuple[Path, PrivateKey]) -> None:
    before = sealed[0].read_bytes()
    with refuses(ConfigurationError, "bad_configuration"):
        seal_key(sealed[0], generate_key(), PASSPHRASE)
    assert sealed[0].read_bytes() == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_shows_itself_as_its_public_key_and_does_not_pickle(kind: Any) -> None:
    key = generate_key(kind)
    shown = f"{key!r} {key} {key:}"
    assert key.public_key.multikey in shown
    assert key.secret_bytes().hex() not in shown
    assert repr(key.secret_bytes()) not in shown
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert not hasattr(key, "__dict__")


@pytest.mark.parametrize("kind", ["P-256", "P-384"])
def test_of_two_signatures_that_verify_the_lower_is_made(kind: Any) -> None:
    """HIRE-KEY-02: a verifier refuses the other; a key makes either with equal chance if it is not told."""
    key = generate_key(kind)
    for number in range(24):
        signature = key.sign_now(bytes([number]))
        half = len(signature) // 2
        assert int.from_bytes(signature[half:], "big") <= _ORDERS[kind] // 2
        key.public_key.verify(signature, bytes([number]))


def test_an_ed25519_signature_is_the_same_each_time() -> None:
    key = generate_key()
    assert key.sign_now(b"once") == key.sign_now(b"once")
    assert key.sign_now(b"once") != key.sign_now(b"twice")
