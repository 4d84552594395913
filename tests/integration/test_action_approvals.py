"""A person's yes on real sockets: the work, the guarded server and the command beside them go by the same answer."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from gate_world import ORIGIN, Service, World, at_work, proxied
from integration.commands import SECONDS, UNDERSIGNED, Process
from integration.hires import REPORT, did_of, two_homes, until
from integration.test_contract_commands import _contract
from undersigned.daemon import Peer
from undersigned.did import did_key, document_from
from undersigned.encoding import Digest, shift
from undersigned.errors import ScopeError
from undersigned.messages import Approval, VerifiedMessage, draft
from undersigned.runtime import Event, Home, Job, PrivateKey, Unread, Wanted
from undersigned.scope import Grant, Limit, Scope
from undersigned.testing import Actor
from undersigned.transport import ChannelLimits, Identity, connect, prove
from unit.cli.running import Ran, run

ORDERS = f"{ORIGIN}/orders"
SCOPE = Scope(grants=(Grant("orders", "order:place", ORDERS, limits=(Limit("EUR", "100"),), approval=True),))
HALF = {"EUR": "0.5"}
FAR = f"{ORDERS}/{'a' * 1500}"
"""A target behind which an amount is easily overlooked."""
"""What an order takes, by the rules of the guarded server."""


class Ordering:
    """Work of the contract that orders once it may, by its own gate and then at the guarded server."""

    def __init__(self, world: World, url: str) -> None:
        self.world, self.url = world, url
        self.conversation = next(iter(world.hirer.conversations.values()))
        self.no = ""
        """What the last order was told by its own gate."""

    async def order(self, amounts: dict[str, str] | None = None, **options: Any) -> int:
        """The server's answer, or 0 if the own gate says no."""
        try:
            async with self.world.job.act("order:place", ORDERS, amounts or HALF, **options):
                return (await self.world.ask(self.url, "POST", "/orders", b"")).status
        except ScopeError as error:
            self.no = error.message
            return 0 if (error.code, error.detail["clause"]) == ("approval_required", "orders") else -1

    async def requests(self, count: int = 1) -> list[Digest]:
        """The requests that wait at the hirer, once there are so many."""

        def found() -> list[Digest]:
            contract = self.conversation.engagement.contract
            return [one.move for one in contract.open_requests()] if contract is not None else []

        await until(lambda: len(found()) >= count)
        return found()


@asynccontextmanager
async def ordering(folder: Path) -> AsyncIterator[Ordering]:
    async with at_work(folder, scope=SCOPE) as world, proxied(world, Service()) as (url, _):
        yield Ordering(world, url)


async def test_both_sides_gates_go_by_the_answer(tmp_path: Path) -> None:
    """HIRE-LIF-19, HIRE-SCO-13: at the own gate and at the guarded server: once, and no more."""
    async with ordering(tmp_path) as work:
        before = await work.world.ask(work.url, "POST", "/orders", b"")
        assert before.no == (403, "approval_required", "orders")
        waiting = asyncio.create_task(work.order(reason="Paper is out."))
        (request,) = await work.requests()
        assert (await work.world.ask(work.url, "POST", "/orders", b"")).status == 403, "asking is not having"
        await work.world.hirer.changes.approve(work.conversation, request, granted=True)
        assert await waiting == 200
        used_up = await work.world.ask(work.url, "POST", "/orders", b"")
        assert used_up.no == (403, "approval_required", "orders")
        assert await work.order(approval_seconds=0) == 0
        assert (await work.world.used())[f"orders/approval:{request}"] == "1"


async def test_an_answer_for_other_arguments_opens_nothing(tmp_path: Path) -> None:
    """HIRE-SCO-13: the server books 0.5 EUR for an order; a yes to a tenth of that is none."""
    async with ordering(tmp_path) as work:
        waiting = asyncio.create_task(work.order({"EUR": "0.05"}))
        (request,) = await work.requests()
        await work.world.hirer.changes.approve(work.conversation, request, granted=True, uses=5)
        assert await waiting == 403
        assert await work.order(approval_seconds=0) == 0
        assert work.no == "a person of the hirer has to agree to it first", "nobody was asked"


async def test_a_no_is_heard(tmp_path: Path) -> None:
    """The work goes on without it, and the answer's words are in both journals."""
    async with ordering(tmp_path) as work:
        waiting = asyncio.create_task(work.order())
        (request,) = await work.requests()
        await work.world.hirer.changes.approve(work.conversation, request, granted=False, reason="Not this year.")
        assert await waiting == 0
        assert work.no == "a person of the hirer has to agree to it first; the hirer said no"
        theirs = next(iter(work.world.provider.conversations.values()))
        assert theirs.last("Approval", Approval).reason == "Not this year."


async def test_the_hirers_program_answers(tmp_path: Path) -> None:
    """What it is shown is what the yes is good for; the work that got its yes ends as any other."""
    seen: list[str] = []

    async def orders(job: Job) -> None:
        for euros in ("0.5", "90"):
            try:
                async with job.act("order:place", ORDERS, {"EUR": euros}):
                    seen.append(f"paid {euros}")
            except ScopeError as error:
                seen.append(error.code)
        await job.deliver("summary.txt", b"done", media_type="text/plain")

    async def decide(wanted: Wanted) -> bool:
        seen.append(wanted.explain())
        return wanted.details is not None and wanted.details.amounts == {**HALF, "count": "1"}

    acme, globex = await two_homes(tmp_path)
    async with Peer.open(acme) as hirer, Peer.open(globex, handlers={"summary": orders}) as provider:
        result = await hirer.hire(provider.own.id, task="summary", price="5 EUR", scope=SCOPE, approve=decide)
        assert result["summary.txt"] == b"done"
    what = f"[orders] order:place on {ORDERS}"
    assert seen == [f"{what} (0.5 EUR, 1 count)", "paid 0.5", f"{what} (90 EUR, 1 count)", "approval_required"]


# --- attackers


def forged(work: Ordering, request: Digest, by: Identity, key: PrivateKey, **members: Any) -> VerifiedMessage:
    """A yes that the hirer never gave, in the hirer's next place, or in the provider's, signed by whoever."""
    provider = next(iter(work.world.provider.conversations.values())).engagement
    role = members.get("role", "hirer")
    own, other = (provider.sent, provider.got) if role == "provider" else (provider.got, provider.sent)
    now = work.world.hirer.clock.now()
    body: dict[str, Any] = {
        "id": Actor("names").message_id(),
        "engagement": provider.id,
        "sender": by.did,
        "recipient": work.world.hirer.identity.did,
        "role": role,
        "sequence": len(own) + 1,
        "previous": own[-1],
        "seen": other[-1],
        "request": request,
        "granted": True,
        "uses": 9,
        "until": shift(now, 3600),
    }
    unsigned = draft(Approval(**body | members), by.method, by.suite, by.kind, now, shift(now, 600))
    return unsigned.signed(key.sign_now(unsigned.to_sign))


async def test_nobody_but_the_hirer_approves(tmp_path: Path) -> None:
    """SC-44, SC-63: the provider says yes to itself in either role, a stranger to each side: no gate opens."""
    async with ordering(tmp_path) as work:
        waiting = asyncio.create_task(work.order(approval_seconds=3600))
        (request,) = await work.requests()
        world, told = work.world, work.world.hirer.watchers.listen()
        provider, key = world.provider, world.provider.home.key("agent")
        journal = await world.hirer.ledger.rows(work.conversation.id)

        for role in ("provider", "hirer"):
            said = forged(work, request, provider.identity, key, role=role)
            assert await provider.links.send(world.hirer.identity.did, said.raw)
            refused = await _refusal(told)
            assert refused in ("wrong_party", "wrong_negotiation"), (role, refused)

        stranger = PrivateKey("Ed25519", sha256(b"a stranger").digest())
        for one, claims in ((world.hirer, provider.identity.did), (provider, world.hirer.identity.did)):
            who = _identity(stranger)
            channel = await connect(one.url, limits=ChannelLimits(local=True))
            await prove(channel, who, one.document_of, one.clock.now, expect=one.identity.did)
            for sender in (who.did, claims):
                said = forged(work, request, who, stranger, sender=sender, recipient=one.identity.did)
                await channel.send(said.raw)
            answer = json.loads(await asyncio.wait_for(channel.receive(), 10))
            assert answer["type"] in ("Fault", "Problem"), answer
            await channel.close()

        await work.conversation.settled()
        assert await work.requests() == [request], "the question is still open"
        assert len(await world.hirer.ledger.rows(work.conversation.id)) == len(journal)
        assert not waiting.done()
        assert (await world.ask(work.url, "POST", "/orders", b"")).no == (403, "approval_required", "orders")
        await world.hirer.changes.approve(work.conversation, request, granted=True)
        assert await waiting == 200


async def _refusal(told: Unread[Event]) -> str:
    async with asyncio.timeout(10):
        while (event := await told.get()).kind != "refused":
            pass
    return event.code


def _identity(key: PrivateKey) -> Identity:
    did = did_key(key.public_key)
    method = document_from(did, {}).methods("authentication")[0]
    return Identity(did, method, "eddsa-jcs-2022", "Ed25519", key.sign)


# --- the command, and processes that are killed


async def pays(job: Job) -> None:
    """Work that pays once it may, and says in a file how often it did."""
    async with job.act("order:place", FAR, HALF, reason="Paper is out."):
        with (Path(job._agent.home.path) / "paid").open("a") as file:
            file.write("paid\n")
    await job.deliver("summary.txt", b"done", media_type="text/plain")


@contextmanager
def process(*words: object, folder: Path, ready: str = "") -> Iterator[Process]:
    """A process that is killed in the end."""
    one = Process([*UNDERSIGNED, *map(str, words), "--json"], folder)
    try:
        if ready:
            one.until(ready)
        yield one
    finally:
        one.end(signal.SIGKILL)


def test_a_request_and_its_answer_outlive_kills(tmp_path: Path) -> None:
    """Asked, both killed; answered beside the hirer's new process, which is killed too: it is done once."""
    acme, globex = asyncio.run(two_homes(tmp_path, handler="integration.test_action_approvals:pays"))
    report, scope = tmp_path / "report.txt", tmp_path / "scope.toml"
    report.write_bytes(REPORT)
    scope.write_text(f'[[scope.grant]]\nid = "orders"\naction = "order:place"\ntarget = "{FAR}"\napproval = true\n')
    provider = did_of(globex.configuration.listen.port)
    hiring = ("hire", provider, "--home", acme.path, "--task", "summary", "--input", f"report={report}")
    with (
        process("serve", "--home", globex.path, folder=tmp_path, ready='"ready"'),
        process(*hiring, "--price", "5 EUR", "--scope", scope, folder=tmp_path, ready='"ApprovalRequest"'),
    ):
        contract = asyncio.run(_contract(acme))
    shown = on(acme, contract, "show")
    (wanted,) = shown.values[0]["requests"]
    assert wanted["details"] == {"action": "order:place", "target": FAR, "amounts": {**HALF, "count": "1"}}
    people = run("contract", "show", contract, "--home", acme.path).out
    assert f"order:place on {FAR} (0.5 EUR, 1 count)" in " ".join(people.split()), people
    assert "'Paper is out.'" in people

    with process("serve", "--home", acme.path, folder=tmp_path, ready='"ready"'):
        assert on(acme, contract, "approve", wanted["move"], "--uses", 1).code == 0
        again = on(acme, contract, "approve", wanted["move"])
        assert again.error["code"] == "wrong_state"
    assert not (globex.path / "paid").exists()

    with ExitStack() as open:
        for home in (acme, globex):
            open.enter_context(process("serve", "--home", home.path, folder=tmp_path, ready='"ready"'))
        ends = time.monotonic() + SECONDS
        while on(acme, contract, "show").values[0]["state"] != "closed":
            assert time.monotonic() < ends, on(acme, contract, "show").out
    assert (globex.path / "paid").read_text() == "paid\n"


def on(home: Home, contract: str, verb: str, *more: object) -> Ran:
    return run("contract", verb, contract, *more, "--home", home.path, "--json")
