"""A chain of companies on one machine, each of which hires the next under its own contract."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from integration.hires import REPORT, did_of, free_ports, summarise, until
from undersigned.contract import Price, Terms
from undersigned.daemon import Peer
from undersigned.encoding import (
    JsonObject,
    canonicalize,
    digest_bytes,
)
from undersigned.errors import UndersignedError
from undersigned.evidence import read_archive, write_archive
from undersigned.keys import KeyKind
from undersigned.proof import attach, prepare, proof_config
from undersigned.protocol import Answer, Moment
from undersigned.runtime import (
    Clock,
    Handler,
    Home,
    Job,
    OfferPart,
    create_home,
    export_pack,
    generate_key,
    issue_membership,
)
from undersigned.transport import Identity

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


def with_other_keys(pack: bytes, did: str) -> bytes:
    """The pack with a DID document of `did` that lists another key under each name."""
    members = read_archive(pack)
    manifest = json.loads(members["manifest.json"])
    for item in manifest["members"]:
        path = item["path"]
        if path.startswith("did-doc") and (document := json.loads(members[path]))["id"] == did:
            for method in document["verificationMethod"]:
                method["publicKeyMultibase"] = generate_key("Ed25519").public_key.multikey
            raw = canonicalize(document)
            item["digest"] = digest_bytes(raw)
            item["path"] = f"{path.rpartition('/')[0]}/{item['digest']}.json"
            members[item["path"]] = raw
            del members[path]
    manifest["members"].sort(key=lambda item: item["path"])
    return write_archive({**members, "manifest.json": canonicalize(manifest)})


class Thinking:
    """A provider's strategy that asks for more than it was offered, once it may go on."""

    def __init__(self, price: Price) -> None:
        self.price = price
        self.began, self.go_on = threading.Event(), threading.Event()

    def answer(self, moment: Moment) -> Answer:
        if moment.theirs.price == self.price:
            return Answer(act="accept")
        self.began.set()
        self.go_on.wait(60)
        return Answer(act="counter", terms=replace(moment.theirs, price=self.price))


async def under_an_amended_parent(folder: Path, *, accepts: bool = False) -> list[bytes]:
    """The packs of both sides of a hire for 9.5 EUR under a contract of 9 EUR, which was amended to 10 EUR between the
    first offer and the answer to it. `accepts`: the hirer takes that answer, which it is not to.
    """
    homes = await homes_of(folder, 3)
    thinking = Thinking(Price(amount="9.5", currency="EUR"))

    async def passes_on(job: Job) -> None:
        did, text = homes[2].configuration.did, await job.read("report")
        made = await job.hire(did, task="summary", inputs={"report": text}, price="10 EUR", opening="2 EUR")
        await job.deliver("summary.txt", made["summary.txt"])

    def dearer(terms: Terms) -> Terms:
        return replace(terms, price=Price(amount="10", currency="EUR"))

    async with peers_of(homes, [None, passes_on, summarise]) as (acme, globex, initech):
        initech.bargaining.strategy, initech.bargaining.seconds = thinking, 60.0
        if accepts:
            globex.above.is_shown = lambda *_: True  # type: ignore[method-assign]
        did, inputs = homes[1].configuration.did, {"report": REPORT}
        hire = asyncio.ensure_future(
            acme.hire(did, task="summary", inputs=inputs, price="10 EUR", subcontracting=1, onward=True)
        )
        await until(thinking.began.is_set, 30)
        (ours,) = acme.conversations.values()
        parent = next(one for one in globex.conversations.values() if one.engagement.role == "provider")
        assert parent.offered().terms.price.amount == "9"
        await acme.changes.amend(ours, dearer)
        await until(lambda: parent.engagement.tabled is not None)
        assert parent.engagement.tabled is not None
        await globex.changes.accept(parent, parent.engagement.tabled.document)
        await until(lambda: parent.offered().terms.price.amount == "10")
        thinking.go_on.set()
        await hire
        (below,) = [one for one in await globex.ledger.summaries() if one.role == "hirer"]
        return [
            await export_pack(one.ledger, one.artifacts, one.identity.did, below.engagement)
            for one in (globex, initech)
        ]


async def under_a_seal_with_a_member_more(folder: Path) -> tuple[list[bytes], UndersignedError | None]:
    """The packs of both sides of a hire under a contract whose seal is shown with a member more than its schema has,
    signed all the same; or, where the provider does not take that, none and what the hirer was told.
    """
    homes = await homes_of(folder, 3)
    told: list[UndersignedError] = []

    async def passes_on(job: Job) -> None:
        did, text = homes[2].configuration.did, await job.read("report")
        try:
            made = await job.hire(did, task="summary", inputs={"report": text}, price="8 EUR")
        except UndersignedError as error:
            told.append(error)
            made = {"summary.txt": text}
        await job.deliver("summary.txt", made["summary.txt"])

    async with peers_of(homes, [None, passes_on, summarise]) as (acme, globex, initech):
        signers = {one.identity.did: one.identity for one in (acme, globex)}
        shown = globex.above.shown

        async def with_more(*given: Any) -> tuple[JsonObject, ...]:
            return tuple([{**one, "seal": await _with_a_note(one["seal"], signers)} for one in await shown(*given)])

        globex.above.shown = with_more  # type: ignore[method-assign]
        did, inputs = homes[1].configuration.did, {"report": REPORT}
        await acme.hire(did, task="summary", inputs=inputs, price="10 EUR", subcontracting=1, onward=True)
        if told:
            return [], told[0]
        (below,) = [one for one in await globex.ledger.summaries() if one.role == "hirer"]
        sides = [(one.ledger, one.artifacts, one.identity.did) for one in (globex, initech)]
        return [await export_pack(*side, below.engagement) for side in sides], None


async def _with_a_note(seal: Any, signers: dict[str, Identity]) -> JsonObject:
    content = {**{name: value for name, value in seal.items() if name != "proof"}, "note": "More."}
    old, signer = seal["proof"], signers[seal["sender"]]
    config = proof_config(
        old["cryptosuite"], old["verificationMethod"], old["proofPurpose"], old["created"], old["expires"]
    )
    return attach(content, config, await signer.sign(prepare(content, config, signer.kind)))
