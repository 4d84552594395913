"""What an agent holds, while somebody puts things beside it."""

from __future__ import annotations

import errno
import importlib
import json
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from issuing import issued as given
from support import refuses
from undersigned.credentials import Credential, Endorsement, read_credential, renews, status_entry
from undersigned.encoding import canonicalize, shift
from undersigned.errors import CredentialError, FormatError, ProofError
from undersigned.runtime import Home, SystemClock, Wallet, create_home, issue_membership
from undersigned.runtime.files import files_of
from undersigned.runtime.home.wallet import MAX_FILE_BYTES, read_handed, verify_handed
from undersigned.testing import Actor
from unit.runtime.sites import gathering, site


def issued(home: Home) -> bytes:
    register, now = home.register(), SystemClock().now()
    try:
        claims = {"memberOf": register.issuer}
        did = home.configuration.did
        return canonicalize(register.issue("MembershipCredential", did, claims, now=now, until=shift(now, 60)))
    finally:
        register.close()


async def test_what_is_put_into_the_folder_is_held(tmp_path: Path) -> None:
    """HIRE-VC-07: a peer that runs shows it from then on."""
    home = create_home(tmp_path / "acme", name="Acme", local=True, port=8109)
    wallet = Wallet(home)
    assert wallet.held() == ()
    file = await issue_membership(home)
    (first,) = wallet.held()
    assert wallet.held() == (first,)
    other = home.path / "credentials" / "other.json"
    other.write_bytes(issued(home))
    assert len(wallet.held()) == 2
    file.unlink()
    (left,) = wallet.held()
    assert left != first
    with capture_logs() as logged:
        other.write_bytes(b"{")
        assert wallet.held() == (left,), "what cannot be read changes nothing"
    assert [entry["event"] for entry in logged] == ["credentials were not read again"]
    other.unlink()
    assert wallet.held() == ()


async def test_what_could_not_be_read_is_held_once_it_can_though_nothing_else_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-VC-07: whoever may read a file says neither its size nor when it was written."""
    home = create_home(tmp_path / "acme", name="Acme", local=True, port=8109)
    wallet = Wallet(home)
    await issue_membership(home)

    def not_ours(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patched, capture_logs() as logged:
        patched.setattr("undersigned.runtime.home.home.read_file", not_ours)
        assert [wallet.held() for _ in range(3)] == [()] * 3
    assert [entry["event"] for entry in logged] == ["credentials were not read again"]
    assert len(wallet.held()) == 1


async def test_what_is_renewed_is_put_aside_though_the_first_attempt_was_cut_short(tmp_path: Path) -> None:
    """HIRE-VC-08: the new one was written, and the one before lies beside it, withdrawn perhaps."""
    home = create_home(tmp_path / "acme", name="Acme", local=True, port=8109)
    before = await issue_membership(home)
    (old,) = Wallet(home).held()
    (home.path / "credentials" / "membership-new.json").write_bytes(issued(home))
    wallet = Wallet(home)
    (new,) = [one for one in wallet.held() if one != old]
    kept = wallet.keep(new)
    assert (kept.new, [path.parent.name for path in kept.replaced]) == (False, ["replaced"])
    assert not before.exists()
    assert wallet.held() == (new,)
    assert wallet.keep(new).replaced == ()


async def test_what_another_command_puts_aside_meanwhile_is_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that keep what renews one credential, at once: of the second it was told that a file is not there."""
    home = create_home(tmp_path / "acme", name="Acme", local=True, port=8109)
    before = await issue_membership(home)
    new = read_credential(json.loads(issued(home)))

    def renews_what_is_gone(one: Credential, other: Credential) -> bool:
        before.unlink()
        return renews(one, other)

    monkeypatch.setattr(importlib.import_module("undersigned.runtime.home.wallet"), "renews", renews_what_is_gone)
    kept = Wallet(home).keep(new)
    assert (kept.new, kept.replaced) == (True, ())
    assert Wallet(home).held() == (new,)

    def gone_since(folder: Path, pattern: str) -> list[Path]:
        listed = files_of(folder, pattern)
        kept.file.unlink(missing_ok=True)
        return listed

    monkeypatch.setattr(importlib.import_module("undersigned.runtime.home.home"), "files_of", gone_since)
    assert Wallet(home).keep(new).new


async def test_a_credential_that_nobody_signed_does_not_say_whom_we_ask(tmp_path: Path) -> None:
    """HIRE-STA-04: who hands one over could have us ask any host; nor does one that is over, for what nobody needs."""
    home, clock, by = create_home(tmp_path / "acme", name="Acme", local=True, port=8109), SystemClock(), Actor("issuer")
    claim = Endorsement(id=home.configuration.did, capability="sbom")
    async with site() as here, gathering() as gatherer:
        entry = status_entry(here.url("/list"), 9)
        said = given(by, claim, clock.now(), credentialStatus=entry)
        forged = {**said, "credentialStatus": status_entry(here.url("/other"), 9)}
        with refuses(ProofError, "proof_invalid"):
            await verify_handed(home, forged, gatherer, clock)
        with refuses(CredentialError, "policy_denied"):
            await verify_handed(
                home, given(by, claim, clock.now(), seconds=-10, credentialStatus=entry), gatherer, clock
            )
        assert here.requests == []
        with refuses(CredentialError, "status_unavailable"):
            await verify_handed(home, said, gatherer, clock)
        assert here.requests


def test_a_text_that_is_handed_over_has_the_limit_of_a_file() -> None:
    with refuses(FormatError, "too_large"):
        read_handed(b"a.%s.c" % (b"b" * MAX_FILE_BYTES))
