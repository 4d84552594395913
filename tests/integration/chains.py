"""A chain of companies on one machine, each of which hires the next under its own contract."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from integration.hires import did_of, free_ports
from undersigned.daemon import Peer
from undersigned.encoding import canonicalize
from undersigned.evidence import read_archive, write_archive
from undersigned.keys import KeyKind
from undersigned.runtime import Clock, Handler, Home, OfferPart, create_home, issue_membership

NAMES = ("Acme", "Globex", "Initech", "Hooli", "Umbrella", "Cyberdyne", "Tyrell")
PRICES = ("", "9 EUR", "8 EUR", "7 EUR", "6 EUR", "5 EUR", "4 EUR")


async def homes_of(folder: Path, count: int, kinds: Sequence[KeyKind] = ()) -> list[Home]:
    """State folders of so many companies, each trusting the one before and the one after it; all but the first do
    `summary`, each for less than the one before it. `kinds` are those of the agents' keys, by default Ed25519.
    """
    ports = free_ports(count)
    homes: list[Home] = []
    for place, (name, port) in enumerate(zip(NAMES, ports, strict=False)):
        near = [did_of(ports[other]) for other in (place - 1, place + 1) if 0 <= other < count]
        offer = OfferPart(
            task="summary", handler="integration.hires:summarise", price=PRICES[place], delivers="summary.txt"
        )
        home = create_home(
            folder / name.lower(),
            name=name,
            local=True,
            port=port,
            anchors=tuple(f"{did}:org" for did in near),
            max_price="20 EUR",
            offers=(offer,) if place else (),
            kind=kinds[place] if kinds else "Ed25519",
        )
        await issue_membership(home)
        homes.append(home)
    return homes


@asynccontextmanager
async def peers_of(
    homes: list[Home], handlers: list[Handler | None], clock: Clock | None = None
) -> AsyncIterator[list[Peer]]:
    """The running peers; the handler beside each does its task."""
    async with AsyncExitStack() as stack:
        peers: list[Peer] = []
        for home, handler in zip(homes, handlers, strict=True):
            given = {"summary": handler} if handler is not None else None
            peers.append(await stack.enter_async_context(Peer.open(home, handlers=given, clock=clock)))
        yield peers


def without_document(pack: bytes, did: str) -> bytes:
    """The pack as one who has no DID document of `did` would write it."""
    members = read_archive(pack)
    manifest = json.loads(members["manifest.json"])
    of_it = [path for path, raw in members.items() if path.startswith("did-doc") and json.loads(raw)["id"] == did]
    assert of_it
    kept = {path: raw for path, raw in members.items() if path not in of_it}
    manifest["members"] = [one for one in manifest["members"] if one["path"] in kept]
    return write_archive({**kept, "manifest.json": canonicalize(manifest)})
