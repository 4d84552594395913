"""Whether DIDs and domains are tied by proof, over real sockets: peers that serve both halves, sites that do not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from integration.commands import undersigned
from integration.hires import free_ports
from undersigned.credentials import build_linkage, credential_config, did_configuration
from undersigned.daemon import Peer
from undersigned.did import make_document
from undersigned.encoding import Instant, canonicalize, shift
from undersigned.proof import attach, prepare
from undersigned.runtime import DomainLink, Gatherer, Home, SystemClock, create_home, domain_links, generate_key
from unit.runtime.sites import Site, gathering, site


async def looked(did: str) -> tuple[DomainLink, ...]:
    async with gathering() as gatherer:
        return await domain_links(gatherer, did, SystemClock())


@pytest.mark.parametrize(("kind", "history"), [("Ed25519", False), ("P-256", False), ("Ed25519", True)])
async def test_an_agent_and_its_organisation_are_tied_to_their_domain(kind: Any, history: bool, tmp_path: Path) -> None:
    """HIRE-LNK-01, HIRE-LNK-05: each by its own key; a did:webvh as well."""
    (port,) = free_ports(1)
    home = create_home(tmp_path / "acme", name="Acme", local=True, port=port, kind=kind, history=history)
    async with Peer.open(home):
        for document in (home.document(), home.organisation_document()):
            assert document is not None
            (link,) = await looked(document.id)
            assert link == DomainLink(did=document.id, origin=f"http://localhost:{port}", linked=True)
        async with ClientSession() as session:
            url = f"http://localhost:{port}/.well-known/did-configuration.json"
            async with session.get(url) as first, session.get(url) as second:
                assert await first.read() == await second.read(), "it is not signed for everybody who asks"
                linked = json.loads(await first.read())["linked_dids"]
        assert [type(one) for one in linked] == [dict, str, dict, str]
        assert [one["issuer"] for one in linked[::2]] == [document.id for document in (home.document(), office(home))]


def office(home: Home) -> Any:
    return home.organisation_document()


async def test_it_is_signed_again_before_it_ends(tmp_path: Path) -> None:
    """HIRE-LNK-05."""
    (port,) = free_ports(1)
    home = create_home(tmp_path / "acme", name="Acme", local=True, port=port)

    class Later:
        days = 0

        def now(self) -> Instant:
            return shift(SystemClock().now(), self.days * 86_400)

    clock = Later()
    did = home.configuration.did
    async with Peer.open(home, clock=clock), gathering() as gatherer:
        for days in (0, 14, 16, 45, 46):
            clock.days = days
            (link,) = await domain_links(gatherer, did, clock)
            assert link.linked, link
        clock.days = 0
        assert (await domain_links(gatherer, did, clock))[0].linked, "also for a clock that was set back"


async def test_who_has_no_domain_serves_no_file(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    home = create_home(tmp_path / "acme", name="Acme", port=port)
    url = f"http://127.0.0.1:{port}/.well-known/did-configuration.json"
    async with Peer.open(home), ClientSession() as session, session.get(url) as answer:
        assert answer.status == 404
    assert await looked(home.configuration.did) == ()


# --- a DID that names what it likes, and an origin that answers what it likes


class Claimant:
    """A site with a DID document that names `origins`, and a file."""

    def __init__(self, at: Site) -> None:
        self.at = at
        self.key = generate_key()
        self.origins: list[Any] = [f"http://localhost:{at.port}"]
        self.file: bytes | None = canonicalize(did_configuration([self.linkage()]))
        self.status, self.fields = "200 OK", ""

        async def answer(head: bytes, writer: Any) -> None:
            if b"did.json" in head.splitlines()[0]:
                body, status, fields = self.document(), "200 OK", ""
            else:
                body, status, fields = self.file or b"", self.status, self.fields
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body)

        at.answer = answer

    def document(self) -> bytes:
        keys = {"agent": self.key.public_key}
        document = make_document(self.at.did, authentication=keys, assertion_method=keys)
        document["service"] = [{"id": "#linked", "type": "LinkedDomains", "serviceEndpoint": self.origins}]
        return canonicalize(document)

    def linkage(self, origin: str | None = None, key: Any = None, *, ends: float = 60) -> Any:
        now = SystemClock().now()
        unsigned = build_linkage(
            self.at.did,
            origin or f"http://localhost:{self.at.port}",
            valid_from=shift(now, -600),
            valid_until=shift(now, ends),
        )
        config = credential_config("eddsa-jcs-2022", f"{self.at.did}#agent", now)
        return attach(unsigned, config, (key or self.key).sign_now(prepare(unsigned, config, "Ed25519")))

    async def links(self, gatherer: Gatherer) -> list[tuple[str, bool, str]]:
        return [(one.origin, one.linked, one.code) for one in await domain_links(gatherer, self.at.did, SystemClock())]


@asynccontextmanager
async def claimant() -> AsyncIterator[tuple[Claimant, Gatherer]]:
    async with site() as at, gathering() as gatherer:
        yield Claimant(at), gatherer


async def test_what_the_origin_answers_otherwise_does_not_tie() -> None:
    """HIRE-LNK-01, HIRE-LNK-03, HIRE-LNK-04: could not check is not linked."""
    async with claimant() as (one, gatherer):
        own = f"http://localhost:{one.at.port}"
        good = one.file
        assert await one.links(gatherer) == [(own, True, "")]
        elsewhere = f"Location: http://localhost:{one.at.port}/other\r\n"
        for status, fields, file, code in (
            ("404 Not Found", "", b"", "unreachable"),
            ("302 Found", elsewhere, good, "unreachable"),
            ("200 OK", "Content-Encoding: gzip\r\n", good, "unreachable"),
            ("200 OK", "", b" " * (64 * 1024) + (good or b""), "unreachable"),
            ("200 OK", "", b"<html>", "bad_json"),
            ("200 OK", "", canonicalize(did_configuration([one.linkage(ends=-1)])), "policy_denied"),
            ("200 OK", "", canonicalize(did_configuration([one.linkage(key=generate_key())])), "proof_invalid"),
            ("200 OK", "", canonicalize(did_configuration([one.linkage("https://a.example")])), "domain_not_linked"),
            ("200 OK", "", canonicalize(did_configuration(["a.b.c", 7])), "domain_not_linked"),  # type: ignore[list-item]
        ):
            one.status, one.fields, one.file = status, fields, file
            assert await one.links(gatherer) == [(own, False, code)], (status, fields, file)
        assert not [head for head in one.at.requests if b"/other" in head], "a redirect is not followed"


async def test_a_did_does_not_say_whom_we_call() -> None:
    """HIRE-LNK-02, HIRE-LNK-04: addresses that are not dialled, what is no origin, and more than eight."""
    async with claimant() as (one, gatherer):
        own = f"http://localhost:{one.at.port}"
        one.origins = [
            {"origins": [own]},
            f"{own}/",
            f"{own}/path",
            "http://acme.example",
            "https://ACME.example",
            "https://192.168.0.1",
            "https://10.0.0.1",
            f"http://localhost:{one.at.port}@acme.example",
            *(f"http://localhost:{port}" for port in range(1, 4)),
        ]
        found = await one.links(gatherer)
        assert [linked for _, linked, _ in found] == [True] + [False] * 10
        assert [code for *_, code in found[1:8]] == [
            "domain_not_linked",
            "domain_not_linked",
            "domain_not_linked",
            "domain_not_linked",
            "did_forbidden_address",
            "did_forbidden_address",
            "domain_not_linked",
        ]
        assert all(code == "did_unresolvable" for *_, code in found[8:])
        files = [head for head in one.at.requests if b"did-configuration" in head]
        assert len(files) == 1


async def test_the_command_says_whether_and_why_not(tmp_path: Path) -> None:
    """HIRE-LNK-01: an organisation that is tied, and a DID that names a domain which does not name it."""
    (port,) = free_ports(1)
    home = create_home(tmp_path / "acme", name="Acme", local=True, port=port)
    async with Peer.open(home), claimant() as (one, _):
        one.origins = [f"http://localhost:{port}"]

        async def discovered(did: str) -> Any:
            ended = await asyncio.to_thread(undersigned, "discover", did, "--local", "--json", folder=tmp_path)
            assert ended.code == 0, ended
            (link,) = ended.values[-1]["domains"]
            return link

        tied, stray = await asyncio.gather(discovered(office(home).id), discovered(one.at.did))
    assert (tied["linked"], tied["origin"]) == (True, f"http://localhost:{port}")
    assert (stray["linked"], stray["code"]) == (False, "domain_not_linked")
    assert "does not name did:web:localhost" in stray["reason"]
