"""undersigned: two running peers under a contract that they made over WebSocket, and the hirer's gate.

The buyer is the hirer. What the hired agent does comes to the gate as HTTP requests that it signs under the contract.
"""

import asyncio
import hashlib
import tempfile
from pathlib import Path

from play import Refused
from undersigned_world import Ahead, did_at, home

from undersigned.bridges.gate_rules import read_rules
from undersigned.daemon import GateDesk, Peer, RequestGate, signed_headers
from undersigned.encoding import digest_bytes
from undersigned.errors import UndersignedError
from undersigned.messages import engagement_id
from undersigned.protocol import HIRER
from undersigned.scope import Grant, Limit, Scope
from undersigned.testing import LOOSE, Attacker, Known, Line, Party, free_ports, inquiry
from undersigned.transport import connect, prove

SURFACE = "a gate"
REFUSALS = (UndersignedError,)
LACKS = {"open": "by a running peer", "rate": "by signed credentials"}
ORIGIN = "https://api.acme.example"
RULES = {
    "origin": ORIGIN,
    "rule": [
        {"method": "GET", "path": "/repos/{repo}", "action": "repo:read", "target": "https://git.acme.example/{repo}"},
        *(
            {"method": "POST", "path": f"/orders/{amount}", "action": "order:place", "target": f"{ORIGIN}/orders"}
            | {"amounts": {"EUR": str(amount)}}
            for amount in (4, 6)
        ),
    ],
}


def reading(name):
    return Grant("read", "repo:read", f"https://git.acme.example/{name}")


ORDERS = Grant("orders", "order:place", f"{ORIGIN}/orders", limits=(Limit("EUR", "10"),))


class Runtime:
    def __init__(self):
        self.folder, self.clock, self.runner = tempfile.TemporaryDirectory(), Ahead(), asyncio.Runner()
        self.peers, self.hiring, self.jobs = {}, None, asyncio.Queue()
        self.run = self.runner.run
        self.run(self.start())

    async def start(self):
        names = ("buyer", "seller", "helper")
        ports = dict(zip(names, free_ports(3), strict=True))
        self.dids = {name: did_at(port) for name, port in ports.items()}

        async def work(job):
            self.jobs.put_nowait(job)
            await asyncio.Event().wait()

        async def help_out(job):
            await job.deliver("summary.txt", b"done")

        for name, handler in (("buyer", None), ("seller", work), ("helper", help_out)):
            made = await home(
                Path(self.folder.name) / name, name.title(), port=ports[name], max_price="10 EUR",
                anchors=tuple(f"{self.dids[other]}:org" for other in names), offers="summary",
            )  # fmt: skip
            handlers = {"summary": handler or help_out}
            self.peers[name] = await Peer.open(made, clock=self.clock, handlers=handlers).__aenter__()
        self.gate = RequestGate(GateDesk(self.peers["buyer"]), read_rules(RULES), clock=self.clock)

    def close(self):
        async def stop():
            if self.hiring is not None:
                self.hiring.cancel()
                await asyncio.gather(self.hiring, return_exceptions=True)
            for peer in reversed(self.peers.values()):
                await peer.__aexit__(None, None, None)

        self.run(stop())
        self.runner.close()
        self.folder.cleanup()

    def grant(self, how=""):
        return self.run(self.forged() if how == "forged" else self.hired())

    async def hired(self):
        async def hire():
            return await self.peers["buyer"].hire(
                self.dids["seller"], task="summary", inputs={"report": b"All is well.\n"}, price="5 EUR",
                scope=Scope(grants=(reading("app"), ORDERS)), subcontracting=1, onward=True,
            )  # fmt: skip

        self.hiring = asyncio.create_task(hire())
        async with asyncio.timeout(20):
            self.job = await self.jobs.get()
            held = self.peers["buyer"].conversations
            while not any(one.engagement.state == "working" for one in held.values()):  # noqa: ASYNC110 - no event is told
                await asyncio.sleep(0.02)
        return "both peers hold the contract, state working"

    async def forged(self):
        """The seller is sent the first message of a hire in the buyer's name, signed by the stranger."""
        stranger, seller, buyer = Attacker("stranger"), self.peers["seller"], self.peers["buyer"]
        channel = await connect(f"ws://localhost:{seller.home.configuration.listen.port}/hire", limits=LOOSE)
        await prove(channel, stranger.identity, seller.document_of, self.clock.now, expect=seller.identity.did)
        line, nonce = Line(stranger, channel), stranger.nonce()
        made = engagement_id(buyer.identity.did, seller.identity.did, nonce)
        party = Party(HIRER, stranger, Known(seller.identity.did, seller.own), made, self.clock)
        asked = inquiry(nonce=nonce, need="summary", sender=buyer.identity.did).message(party)
        signed = stranger.sign(asked, self.clock.now())
        await line.send(signed.raw)
        try:
            told = await line.wait(lambda: line.answer({signed.digest, digest_bytes(signed.raw)}), 5)
        except TimeoutError:
            return f"no refusal came; the peer holds {len(seller.conversations)} engagements"
        finally:
            await line.hang_up()
        raise Refused(f"{told.how} {told.code}; the peer holds {len(seller.conversations)} engagements")

    def ask(self, by, method, path):
        identity = self.peers[by].identity if by in self.peers else Attacker(by).identity
        return self.run(self.asked(identity, method, path))

    async def asked(self, identity, method, path):
        signed = await signed_headers(identity, method, ORIGIN + path, self.job.contract, self.clock.now(), None)
        knock = await self.gate.head(method, path, signed)
        granted = await self.gate.admit(knock, hashlib.sha256(b"").digest(), 0)
        await self.gate.desk.done(granted.permit, happened=True)
        return f"the gate grants {granted.action} {granted.target} by clause {granted.clause}"

    def act(self, by, target):
        return self.ask(by, "GET", f"/repos/{target}")

    def spend(self, by, amount):
        return self.ask(by, "POST", f"/orders/{amount}")

    def delegate(self, by, target):
        return self.run(self.handed(target))

    async def handed(self, target):
        made = await self.job.hire(
            self.dids["helper"], task="summary", price="4 EUR", inputs={"report": b"In short.\n"},
            scope=Scope(grants=(reading(target),)),
        )  # fmt: skip
        return f"the subcontract was made and closed: {made.contract is not None}"

    def wait(self):
        self.clock.seconds += 7 * 86_400
        return "a week later by every clock"
