"""`undersigned spawn` in a process of its own: it tells what it gave out, stays, and takes it all back at the end."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from integration.commands import UNDERSIGNED, Process
from undersigned.credentials import read_claim, read_credential
from undersigned.encoding import multibase_decode
from undersigned.runtime import Home, PrivateKey, create_home

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create_home(tmp_path / "acme", name="Acme", local=True, port=8118)


def states(home: Home) -> list[bool]:
    register = home.register()
    try:
        return [one.revoked is not None for one in register.issued()]
    finally:
        register.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_all_are_withdrawn_when_it_is_stopped(home: Home, number: int) -> None:
    """HIRE-SWM-02. As JSON lines on standard output, each with all that a process needs."""
    program = [*UNDERSIGNED, "spawn", "-n", "3", "--max-price", "5.00 EUR", "--json", "--home", str(home.path)]
    process = Process(program, home.path)
    process.until('"spawned"')
    assert states(home) == [False] * 3
    ended = process.end(number)
    assert (ended.code, ended.err) == (0, "")
    *identities, spawned, withdrawn = ended.values
    assert (len(identities), spawned["spawned"], withdrawn["withdrawn"]) == (3, 3, 3)
    for one in identities:
        claim = read_claim(read_credential(one["membership"]))
        secret = multibase_decode(one["secretKeyMultibase"])
        assert secret[:2] == b"\x80\x26", "an Ed25519 private key"
        assert one["did"] == claim.id == f"did:key:{PrivateKey('Ed25519', secret[2:]).public_key.multikey}"
        assert one["until"] == one["membership"]["validUntil"] == spawned["until"]
    assert states(home) == [True] * 3


def test_a_state_folder_for_each(home: Home, tmp_path: Path) -> None:
    program = [*UNDERSIGNED, "spawn", "-n", "2", "--out", str(tmp_path / "workers"), "--home", str(home.path)]
    process = Process(program, home.path)
    process.until("stop it with Ctrl-C")
    made = [Home(folder).configuration.did for folder in sorted((tmp_path / "workers").iterdir())]
    ended = process.end(signal.SIGINT)
    assert ended.code == 0
    assert "withdrawn: 2 identities" in ended.out
    assert "2 of 2" in ended.out
    register = home.register()
    assert [one.subject for one in register.issued()] == made
    register.close()
    assert states(home) == [True, True]
