"""`/status/*` of a running peer: served to anybody, as what it is, and told anew as soon as something was withdrawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import structlog
from aiohttp import ClientSession

from integration.hires import free_ports
from undersigned.credentials import status_entries, verify_status_list
from undersigned.daemon import Peer
from undersigned.encoding import decode_json
from undersigned.errors import ConfigurationError
from undersigned.runtime import Home, create_home, issue_membership

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


async def made(folder: Path, *, local: bool = True) -> Home:
    (port,) = free_ports(1)
    home = create_home(folder, name="Acme", local=local, port=port)
    await issue_membership(home)
    return home


async def test_the_list_is_served(tmp_path: Path) -> None:
    """HIRE-STA-07."""
    home = await made(tmp_path / "acme")
    office = home.organisation_document()
    assert office is not None
    (entry,) = status_entries(home.credentials()[0])
    async with Peer.open(home) as peer, ClientSession() as session:

        async def get(url: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
            async with session.get(url, headers={n.replace("_", "-"): v for n, v in headers.items()}) as answer:
                return answer.status, answer.headers, await answer.read()

        status, headers, raw = await get(entry.url)
        assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "application/vc", "max-age=300")
        assert headers["X-Content-Type-Options"] == "nosniff"

        def bit(document: bytes) -> bool:
            value = decode_json(document)
            assert isinstance(value, dict)
            now, documents = peer.clock.now(), {office.id: office}
            found = verify_status_list(value, url=entry.url, issuer=office.id, documents=documents, now=now)
            return found.is_set(entry.index)

        assert not bit(raw)
        etag = headers["ETag"]
        status, headers, body = await get(entry.url, If_None_Match=f'"other", {etag}')
        assert (status, headers["ETag"], body) == (304, etag, b"")

        register = home.register()  # as another process would
        register.revoke(register.issued()[0].id, peer.clock.now())
        register.close()
        status, headers, raw = await get(entry.url, If_None_Match=etag)
        assert status == 200
        assert headers["ETag"] != etag
        assert bit(raw)

        base = entry.url.rpartition("/")[0]
        for path in ("/2", "/0", "/01", "/", "/1/", "/..%2f", "/1%0a", "/9999999999"):
            assert (await get(base + path))[0] == 404


async def test_who_has_no_domain_serves_none(tmp_path: Path) -> None:
    """Decision 0132."""
    home = await made(tmp_path / "key", local=False)
    url = f"http://127.0.0.1:{home.configuration.listen.port}/status/1"
    async with Peer.open(home), ClientSession() as session, session.get(url) as answer:
        assert answer.status == 404


async def test_a_list_that_cannot_be_signed_is_not_served(tmp_path: Path) -> None:
    """The old one would be the lie; who asks for it hears nothing, and so says no."""
    home = await made(tmp_path / "acme")
    (entry,) = status_entries(home.credentials()[0])
    (home.path / "keys" / "organisation.json").rename(home.path / "keys" / "elsewhere.json")
    async with Peer.open(home) as peer, ClientSession() as session:
        async with session.get(entry.url) as answer:
            assert answer.status == 200, "it was signed when the credential was issued"
        register = home.register()
        with pytest.raises(ConfigurationError) as caught:
            register.revoke(register.issued()[0].id, peer.clock.now())
        register.close()
        assert caught.value.code == "key_unavailable"
        with structlog.testing.capture_logs() as logs:
            async with session.get(entry.url) as answer:
                assert answer.status == 500
                assert await answer.json() == {"code": "internal"}
        (told,) = [one for one in logs if one["event"] == "a request was not answered"]
        assert "organisation.json is missing" in told["error"]
        assert "exc_info" not in told, "its operator is told what is missing, and shown none of our lines"
