"""A market of five organisations, two roots and twenty agents, four of which praise one another.

    .venv/bin/python examples/marketplace/run.py [FOLDER]

One agent of Acme needs a text proofread. It asks everybody on the market who does that, cheapest first, and judges each
by what it knows of whom. Everything is real: twenty peers on sockets of this machine, each with a state folder, keys,
a ledger and credentials of its own. What happens here, and why, is told in README.md.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from undersigned import HireResult, Job, Peer, Reviewed, create_home
from undersigned.credentials import (
    Authority,
    Claim,
    Endorsement,
    Membership,
    claim_credential,
    credential_config,
    read_credential,
    verify_credential,
)
from undersigned.encoding import Did, JsonObject, canonicalize, decode_json, shift
from undersigned.errors import PolicyError, UndersignedError
from undersigned.ledger import TrustStore
from undersigned.proof import attach, prepare
from undersigned.runtime import Home, SystemClock, admission, issue_claims, viewpoint
from undersigned.testing import free_ports
from undersigned.trust import Graph, answer, reputation

WORK = "proofreading"
MARKET: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Acme": {
        "desk": ("", ""),  # the one who looks for somebody
        "clerk": ("filing", "2 EUR"),
        "scout": ("research", "5 EUR"),
        "cook": ("catering", "7 EUR"),
    },
    "Globex": {
        "gina": (WORK, "6 EUR"),
        "gus": ("translation", "9 EUR"),
        "greta": ("typesetting", "7 EUR"),
        "gil": ("indexing", "4 EUR"),
    },
    "Initech": {
        "ida": (WORK, "8 EUR"),
        "ivo": ("translation", "8 EUR"),
        "ines": ("illustration", "9 EUR"),
        "igor": ("indexing", "5 EUR"),
    },
    "Hooli": {
        "hana": (WORK, "3 EUR"),  # honest, and new: nobody has spoken of it
        "hugo": ("typesetting", "6 EUR"),
        "hedy": ("research", "6 EUR"),
        "hal": ("filing", "1 EUR"),
    },
    "Mirage": {
        "max": (WORK, "1 EUR"),
        "mia": (WORK, "1.20 EUR"),
        "moe": (WORK, "1.50 EUR"),
        "mel": (WORK, "1.80 EUR"),
    },
}
RING = tuple(MARKET["Mirage"])
"""They are registered like everybody else, and endorse one another as highly as they can."""
POLICY = f"""
[policy]
name = "acme"
require = ["MembershipCredential"]
currency = "EUR"
max_price = "10"

[[policy.rule]]
name = "our texts are for those of good repute"
capabilities = ["{WORK}"]
min_reputation = "0.5"
"""
TEXT = b"The agents of the the market were asked what they do. Some of them said that that was a secret.\n"
DOUBLED = re.compile(r"\b(\w+) \1\b")


async def proofreads(job: Job) -> None:
    """The work: words that stand twice, once."""
    text = (await job.read("text")).decode()
    await job.deliver("text.txt", DOUBLED.sub(r"\1", text).encode())


async def reads_well(reviewed: Reviewed) -> Mapping[str, bool]:
    """The buyer's look at what it gets."""
    return {"no-word-twice": DOUBLED.search(reviewed.artifacts["text.txt"].decode()) is None}


async def not_today(job: Job) -> None:
    """What the others do; nobody here hires them for it."""
    raise UndersignedError("decision_failed", f"no {job.task} today")


class Offered(NamedTuple):
    """What an agent says in its card that it does."""

    price: Decimal
    did: Did


class Market:
    """The state folders, the peers, and what to call whom."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[Did, str] = {}
        self.homes: dict[str, Home] = {}
        """By name of the agent."""
        self.offices: dict[str, Home] = {}
        """By name of the organisation: the folder in which its key is, that of its first agent."""
        self.peers: dict[str, Peer] = {}

    async def found(self) -> None:
        """Makes every state folder, and has the roots register the five organisations."""
        for root in ("Chamber", "Guild"):
            self.offices[root] = await asyncio.to_thread(create_home, self.folder / root, name=root, local=True)
            self.names[office(self.offices[root])] = root
        agents = [(of, agent) for of, some in MARKET.items() for agent in some]
        ports = free_ports(len(agents))
        made = await asyncio.gather(
            *(asyncio.to_thread(self._home, *who, port) for who, port in zip(agents, ports, strict=True))
        )
        for (of, agent), home in zip(agents, made, strict=True):
            self.homes[agent] = home
            self.names[home.configuration.did] = f"{agent} of {of}"
            if home.configuration.organisation is not None:
                self.offices[of] = home
                self.names[office(home)] = of
        # The Chamber says that these five may say who belongs to them. Everybody here has the Chamber for a root, and
        # keeps its register in its trust graph.
        chamber = self.offices["Chamber"]
        document = chamber.organisation_document()
        assert document is not None
        registered = [office(self.offices[of]) for of in MARKET]
        signed = issue_claims(
            chamber, [Authority(id=one, may_attest="MembershipCredential", depth=0) for one in registered]
        )
        now = SystemClock().now()
        register = [
            admission(verify_credential(one, documents={document.id: document}, now=now), document, now)
            for one in signed
        ]
        for home in self.homes.values():
            with TrustStore(home.trust) as store:
                store.admit(register)

    def _home(self, of: str, agent: str, port: int) -> Home:
        first = agent == next(iter(MARKET[of]))
        anchors = (office(self.offices["Chamber"]), *([office(self.offices["Guild"])] if of == "Acme" else []))
        return create_home(
            self.folder / f"{of.lower()}-{agent}",
            name=agent,
            organisation=of if first else None,
            local=True,
            port=port,
            anchors=anchors,
            policy=POLICY if of == "Acme" else None,
            office=first,
        )

    async def open(self, stack: AsyncExitStack) -> None:
        """All twenty listen, each with a membership that its organisation issued."""
        await asyncio.gather(*(asyncio.to_thread(self._join, of, some) for of, some in MARKET.items()))
        opened = await asyncio.gather(*(asyncio.to_thread(Peer.open, home) for home in self.homes.values()))
        self.peers = dict(zip(self.homes, opened, strict=True))
        for of in MARKET.values():
            for agent, (task, price) in of.items():
                if task:
                    work = proofreads if task == WORK else not_today
                    self.peers[agent].offers(task, price=price, delivers="text.txt", media_type="text/plain")(work)
        for peer in opened:
            await stack.enter_async_context(peer)

    def _join(self, of: str, agents: Iterable[str]) -> None:
        """The organisation says whom it operates; each keeps what is said of it, to be shown."""
        by, homes = self.offices[of], [self.homes[agent] for agent in agents]
        said = issue_claims(by, [Membership(id=home.configuration.did, member_of=office(by)) for home in homes])
        for home, credential in zip(homes, said, strict=True):
            file = home.path / "credentials" / "membership.json"
            file.parent.mkdir()
            file.write_bytes(canonicalize(credential))

    def did(self, agent: str) -> Did:
        """The DID of an agent."""
        return self.homes[agent].configuration.did

    def tell(self, text: str, indent: int = 4) -> None:
        """Prints it, with everybody by name."""
        for did in sorted(self.names, key=len, reverse=True):
            text = text.replace(did, self.names[did])
        print("".join(f"{' ' * indent}{line}\n" for line in text.splitlines()), end="", flush=True)


def office(home: Home) -> Did:
    """The DID of the organisation of a state folder."""
    part = home.configuration.organisation
    assert part is not None
    return part.did


# --- What is said on the market, for everybody to read.


async def said(peer: Peer, claim: Claim) -> JsonObject:
    """A credential that an agent issues by itself."""
    now, identity = peer.clock.now(), peer.identity
    unsigned = claim_credential(
        claim, id=f"urn:uuid:{uuid4()}", issuer=identity.did, valid_from=now, valid_until=shift(now, 86_400)
    )
    config = credential_config(identity.suite, identity.method, now)
    return attach(unsigned, config, await identity.sign(prepare(unsigned, config, identity.kind)))


def praise(market: Market, agent: str, weight: str) -> Endorsement:
    """That an agent is good at the work, with so much laid on it."""
    return Endorsement(id=market.did(agent), capability=WORK, weight=weight)


async def board(market: Market) -> list[JsonObject]:
    """Everything that is posted: who belongs to whom, and who thinks how well of whose proofreading."""
    posted = [
        decode_json((home.path / "credentials" / "membership.json").read_bytes()) for home in market.homes.values()
    ]

    posted += issue_claims(market.offices["Guild"], [praise(market, "gina", "0.4"), praise(market, "ida", "0.9")])
    posted.append(await said(market.peers["clerk"], praise(market, "gina", "0.3")))
    posted.append(await said(market.peers["ida"], praise(market, "gina", "0.2")))
    posted.append(await said(market.peers["ida"], praise(market, "max", "0.2")))  # an honest agent was taken in
    for one in RING:
        posted += [await said(market.peers[one], praise(market, other, "1")) for other in RING if other != one]
    return [one for one in posted if isinstance(one, dict)]


async def read_board(peer: Peer, posted: Iterable[JsonObject]) -> int:
    """Each credential that is its issuer's, and not withdrawn, becomes an edge of the peer's trust graph. Whether its
    issuer means well is not asked here.
    """
    verified = []
    for one in posted:
        read = read_credential(one)
        document = await peer.document_of(read.issuer, 300)
        lists = await peer.statuses.lists([read], max_age_seconds=300)
        now = peer.clock.now()
        verified.append(
            admission(verify_credential(one, documents={document.id: document}, now=now, lists=lists), document, now)
        )
    with TrustStore(peer.home.trust) as store:
        return store.admit(verified)


# --- The buyer.


async def who_does(peer: Peer, dids: Iterable[Did], task: str) -> list[Offered]:
    """Those who say in their agent card that they do this, the cheapest first."""
    found: list[Offered] = []
    for did in dids:
        (endpoint,) = (await peer.document_of(did, 300)).services("HireService")
        origin = endpoint.replace("ws", "http", 1).removesuffix("/hire")
        card = decode_json(await peer.gatherer.fetch(f"{origin}/.well-known/agent-card.json"))
        assert isinstance(card, dict)
        found += [Offered(Decimal(one["price"]["amount"]), did) for one in card["tasks"] if one["task"] == task]
    return sorted(found)


async def hire_somebody(market: Market, peer: Peer, offered: Iterable[Offered]) -> HireResult:
    """The cheapest who passes our policy; printed for each is why it does, or does not."""
    for one in offered:
        print()
        market.tell(f"{one.did}, for {one.price} EUR:", 2)
        hire = peer.hire(
            one.did,
            task=WORK,
            inputs={"text": TEXT},
            price="10 EUR",
            criteria={"no-word-twice": "No word stands twice."},
            review=reads_well,
        )
        try:
            return await hire
        except PolicyError:
            continue
        finally:
            if hire.decision is not None:
                market.tell(hire.decision.explain())
    raise PolicyError("policy_denied", "nobody passed")


def without_the_ring(market: Market) -> tuple[str, str]:
    """The score of the ring's best, with all that the ring says of itself, and without."""
    home = market.homes["desk"]
    ring = {market.did(one) for one in RING}
    question = reputation(market.did("max"), WORK, viewpoint(home, SystemClock().now()))
    with TrustStore(home.trust, read_only=True) as store:
        honest = [edge for edge in store.edges() if edge.source not in ring]
        with_all = store.ask(question)
    question = reputation(market.did("max"), WORK, viewpoint(home, SystemClock().now()))
    return with_all.score, answer(question, Graph(honest).read).score


async def draw(market: Market, agent: str) -> Path:
    """The trust paths to an agent, as the command draws them."""
    file = market.folder / f"paths-to-{agent}.svg"
    home = market.homes["desk"].path
    command = ["trust", "graph", market.did(agent), "--capability", WORK, "--svg", "--out", str(file)]
    command += [f"--name={did}={name}" for did, name in market.names.items()]
    drawing = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "undersigned.cli", *command, "--home", str(home), stdout=DEVNULL
    )
    assert await drawing.wait() == 0
    return file


async def main(folder: Path) -> None:
    market = Market(folder)
    await market.found()
    async with AsyncExitStack() as stack:
        await market.open(stack)
        print(f"1. {len(market.peers)} agents of {len(MARKET)} organisations listen; state folders are in {folder}\n")
        desk = market.peers["desk"]
        posted = await board(market)
        count = await read_board(desk, posted)
        print(f"2. The desk of Acme reads the market's board: {count} credentials verified, each an edge of its graph.")
        others = [market.did(agent) for agent in market.homes if agent != "desk"]
        offered = await who_does(desk, others, WORK)
        print(f"\n3. {len(offered)} of {len(others)} others say that they do {WORK}. The cheapest is asked first:")
        result = await hire_somebody(market, desk, offered)
    print("\n4. Hired, done, checked and accepted:")
    market.tell(result.explain())
    print(f"    | {result['text.txt'].decode()}")
    with_all, honest = without_the_ring(market)
    print(f"5. What the ring says of itself adds nothing: max has {with_all} with it and {honest} without it.\n")
    print("6. The trust paths, drawn by 'undersigned trust graph --svg':")
    drawn = await asyncio.gather(draw(market, "gina"), draw(market, "mel"))
    print("".join(f"    {file}\n" for file in drawn), end="")


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="marketplace-"))))
    except UndersignedError as error:
        sys.exit(f"\nIt ends here: {error}")
