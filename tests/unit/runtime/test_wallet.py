"""What an agent holds, while somebody puts things beside it."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from undersigned.encoding import canonicalize, shift
from undersigned.runtime import Home, SystemClock, Wallet, create_home, issue_membership


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
