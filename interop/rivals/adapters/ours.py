"""undersigned: a running peer, over WebSocket. We play its counterparty with keys of our own, as `conform` does.

In a play that is against the buyer, the offer on the table is the peer's; against the seller, it is ours.
"""

import asyncio
import json
import tempfile
from itertools import count
from pathlib import Path

from msgspec.structs import replace
from play import Refused
from undersigned_world import Ahead, home, port_of

from undersigned.contract import contract_digest
from undersigned.daemon import Peer
from undersigned.encoding import canonicalize, digest_bytes, from_struct
from undersigned.errors import UndersignedError
from undersigned.interop import RunLimits, Stage, Subject
from undersigned.interop.hiring import Hiring
from undersigned.interop.scene import Scene
from undersigned.protocol import Answer
from undersigned.testing import GUILD, Attacker, acceptance, offer, seal, withdraw

SURFACE = "a peer"
REFUSALS = (UndersignedError,)
LACKS = {"grant": "by two running peers and a gate", "rate": "by signed credentials"}
NUMBERS = count()


class Haggles:
    """Asks for 12, then for 11; takes 4 at once."""

    def answer(self, moment):
        if float(moment.theirs.price.amount) >= 4:
            return Answer(act="accept")
        asked = "11" if moment.ours.price.amount == "12" else "12"
        return Answer(act="counter", terms=replace(moment.ours, price=replace(moment.ours.price, amount=asked)))


async def summarise(job):
    await job.deliver("summary.txt", (await job.read("report"))[:10])


class Runtime:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.runner, self.clock = asyncio.Runner(), Ahead()
        self.accepted = self.unsent = None
        self.run(self.start())

    def run(self, work):
        return self.runner.run(work)

    async def start(self):
        made = await home(Path(self.folder.name) / "peer", "Globex", anchors=(GUILD.did,), offers="summary")
        did, port = port_of(made)
        self.peer = await Peer.open(
            made, clock=self.clock, handlers={"summary": summarise}, strategy=Haggles()
        ).__aenter__()
        subject = Subject(url=f"ws://localhost:{port}/hire", did=did, local=True)
        self.stage = Stage(subject, seed="rivals", limits=RunLimits(answer=10.0))
        self.stage.clock = self.clock
        await self.stage.__aenter__()
        self.scene = Scene(self.stage, f"play-{next(NUMBERS)}", lambda _: None)
        self.we, self.stranger = (self.stage.actor(self.scene.scenario, name) for name in ("we", "stranger"))
        self.line = await self.scene.line(self.we, "we")

    def close(self):
        async def stop():
            await self.scene.close()
            await self.stage.__aexit__(None, None, None)
            await self.peer.__aexit__(None, None, None)

        self.run(stop())
        self.runner.close()
        self.folder.cleanup()

    # ---------------------------------------------------------------- what is said

    async def state(self):
        """What the peer's ledger holds."""
        name = self.player.party.engagement.id
        held = [one.state for one in await self.peer.ledger.summaries() if one.engagement == name]
        return f"the peer holds {' '.join(held) or 'nothing'}"

    def written(self, say):
        """A move of ours as it would be signed, without its proof."""
        message = json.loads(self.we.sign(say.message(self.player.party), self.clock.now()).raw)
        return {name: value for name, value in message.items() if name != "proof"}

    def attack(self, content, *, by: Attacker | None = None, signed=True, line=None, after=None):
        """Signs, sends, and waits for the refusal."""
        if signed:
            content = (by or self.we).signed(content, self.clock.now())
        if after is not None:
            after(content)
        return self.run(self.sent(canonicalize(content), line or self.line))

    async def sent(self, raw, line):
        bare = {name: value for name, value in json.loads(raw).items() if name != "proof"}
        digests, since = {digest_bytes(raw), digest_bytes(canonicalize(bare))}, line.mark()
        await self.flush()
        await line.send(raw)
        try:
            told = await line.wait(lambda: line.answer(digests, since), 5)
        except TimeoutError:
            return await self.state()
        raise Refused(f"{told.how} {told.code}; {await self.state()}")

    def heard(self, state):
        """The player goes on until `state`; where the peer withdraws, that is its refusal."""

        async def go():
            await self.flush()
            await self.player.reach(state, optional=True)
            return f"{self.player.got[-1].message.type} came; {await self.state()}"

        try:
            return self.run(go())
        except Exception as error:
            if self.player.state == "withdrawn":
                raise Refused(f"the peer answers Withdraw {self.player.got[-1].message.reason}") from error
            raise

    async def flush(self):
        """Sends what was kept, so that what follows is there before the peer has answered."""
        if self.unsent is not None:
            raw, self.unsent = self.unsent, None
            await self.line.send(raw)

    # ---------------------------------------------------------------- actions

    def open(self, against):
        self.against, self.offers = against, []
        self.player = Hiring(self.scene, self.we, self.line)
        self.run(self.player.reach("ready"))
        return self.run(self.state())

    def offer(self, by, price, how=""):
        if how == "altered":

            def cheaper(message):
                message["document"]["terms"]["price"]["amount"] = "1"

            return self.attack(self.written(self.player.due()), after=cheaper)
        if how == "misaddressed":
            return self.attack(self.written(self.player.due()) | {"recipient": self.stranger.did})
        if self.against == "seller":
            self.unsent = self.player.keep(self.player.due()).raw
            return "Offer signed"
        if by == "seller" or self.player.state == "ready":
            self.run(self.player.say(offer(terms=self.player.terms(low=True))))
        if by == "seller":
            return "Offer sent"
        self.run(self.player.reach("offered-by-provider"))
        self.offers.append(self.player.got[-1].message)
        return f"{self.player.got[-1].message.type} came; {self.run(self.state())}"

    def accept(self, by, how=""):
        if by == "buyer":
            return self.attack(self.written(acceptance()))
        if self.against == "seller":
            return self.heard("accepted-by-provider")
        if how == "replayed":
            said = self.run(self.again(self.accepted))
            raise Refused(said) if "offered-by" in said else AssertionError(said)
        if by == "stranger":
            line = self.run(self.scene.line(self.stranger, "stranger"))
            return self.attack(self.written(acceptance()) | {"sender": self.stranger.did}, by=self.stranger, line=line)
        if how == "forged":
            return self.attack(self.written(acceptance()), by=self.stranger)
        if how == "unsigned":
            return self.attack(self.written(acceptance()), signed=False)
        if how == "first":
            first = self.offers[0].document
            members = {
                "offer": self.player.party.engagement.got[-2],
                "document": contract_digest(from_struct(first)),
                "contractProof": self.we.prove_acceptance(from_struct(first), self.clock.now()),
            }
            return self.attack(self.written(acceptance()) | members)
        self.accepted = self.run(self.player.say(acceptance())).raw
        return self.heard("sealed")

    async def again(self, raw):
        since = self.line.mark()
        await self.line.send(raw)
        await self.line.wait(lambda: True if len(self.line.frames) > since else None, 10)
        kind = json.loads(self.line.frames[since])["type"]
        return f"{kind} of the first negotiation came again; of the second {await self.state()}"

    def withdraw(self, by):
        if by == "stranger":
            line = self.run(self.scene.line(self.stranger, "stranger"))
            return self.attack(self.written(withdraw()) | {"sender": self.stranger.did}, by=self.stranger, line=line)
        if self.player.state == "sealed":
            return self.attack(self.written(withdraw()))
        self.run(self.player.say(withdraw()))
        return self.run(self.until("withdrawn"))

    async def until(self, state):
        async with asyncio.timeout(10):
            while state not in (held := await self.state()):  # noqa: ASYNC110 - a ledger has no events
                await asyncio.sleep(0.01)
        return held

    def wait(self):
        self.clock.seconds += 3600
        return "an hour later by every clock"

    def contract(self, how):
        if how == "one":  # at a price that the peer does not take, so that it does not accept meanwhile
            self.open("buyer")
            self.offer("buyer", "10")
            return self.attack(self.written(seal()))
        if how == "garbage":
            content = self.written(acceptance())
            content["contractProof"]["proofValue"] = self.we.prove_acceptance(
                from_struct(self.player.party.offered()) | {"version": "other"}, self.clock.now()
            )["proofValue"]
            return self.attack(content)
        if how == "altered":
            self.heard("accepted-by-provider")
            other = self.player.terms(low=True)
            document = from_struct(offer(terms=other).message(self.player.party).document)
            return self.attack(self.written(self.player.due()) | {"document": contract_digest(document)})
        if self.against == "seller":
            return self.heard("sealed")
        return self.accept("seller")
