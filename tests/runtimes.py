"""Two whole runtimes on one event loop whose time moves only when a test moves it.

`Office` is a state folder whose keys are an `Actor`'s, so that a test can also sign as that party behind its back.
`World` holds the loop, the clock, a network that keeps everything that was ever sent, and the two nodes: real agents,
with the real meeting, gate, papers, worker and artifact door, on ledgers in memory that outlive them.
"""

from __future__ import annotations

import asyncio
import atexit
import selectors
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp
from threading import Thread
from threading import enumerate as enumerate_threads
from typing import Any, TypeVar
from weakref import WeakSet

from undersigned.daemon.answers import ArtifactRequest, ArtifactResponse
from undersigned.daemon.serving import ArtifactDoor, signed_headers
from undersigned.encoding import Did, Digest, EngagementId, Instant, decode_json, format_instant, parse_instant
from undersigned.errors import LedgerUnavailable, ScopeError, TransportError, UndersignedError
from undersigned.ledger import Commit, Committed, Ledger, MemoryLedger, Opener, Row, Summary
from undersigned.messages import Message, VerifiedMessage, recorded_message
from undersigned.protocol import Engagement, apply, begin
from undersigned.runtime import (
    Agent,
    Body,
    Conversation,
    Event,
    Home,
    Job,
    Order,
    PrivateKey,
    Reviewed,
    Shell,
    hire_order,
)
from undersigned.runtime import issue_membership as vouch
from undersigned.runtime.engagement.loading import entry_of
from undersigned.runtime.fetching.other_side import NoListener
from undersigned.testing import NOON, Actor, HandClock, Network, Parcel
from undersigned.transport import Channel, memory_pair

T = TypeVar("T")
M = TypeVar("M", bound=Message)

REPORT = b"Quarterly report: everything is fine, says the report that nobody has read.\n"
FIRST_LINE = REPORT.split(b"\n", 1)[0]


# --- time


DAEMON_SECONDS = 2.0


class StillLoop(asyncio.SelectorEventLoop):
    """An event loop whose seconds pass only inside `run` and `settle`, and then at once.

    Threads are waited for; while one works no time passes. One that may never come back, as that of a strategy, has
    `DAEMON_SECONDS` of real time.
    """

    def __init__(self) -> None:
        self._selector_of_ours = _Selector()
        super().__init__(self._selector_of_ours)
        self._selector_of_ours.loop = self
        self._at = 0.0
        self._until = 0.0
        self._threads = 0

    def time(self) -> float:
        return self._at

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        self._threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _: object) -> None:
        self._threads -= 1

    def settle(self, seconds: float = 0.0) -> None:
        """Runs until nothing is left to do but wait, and lets so many seconds pass."""
        self._until = self._at + seconds
        self.run_forever()

    def run(self, work: Coroutine[Any, Any, T], seconds: float = 0.0) -> T:
        """What `work` returns, which must be ready within so many seconds.

        Raises:
            AssertionError: It waits for something that does not come.
        """
        task = self.create_task(work)
        task.add_done_callback(lambda _: self.stop())
        self.settle(seconds)
        if not task.done():
            task.cancel()
            self.settle()
            raise AssertionError(f"still waiting after {seconds} s: {work}")
        return task.result()

    def end(self) -> None:
        """Closes the loop, its threads first."""
        self._threads += 1  # the executor's end comes from a thread
        self.run_until_complete(self.shutdown_default_executor())
        self.close()

    def idle(self, timeout: float | None) -> bool:
        """Nothing is ready: moves time to the next timer, or stops; False while a thread is at work."""
        if self._threads:
            return False
        if timeout is not None and self._at + timeout <= self._until:
            self._at += timeout
        else:
            self._at = self._until
            self.stop()
        return True


class _Selector(selectors.DefaultSelector):
    loop: StillLoop

    def __init__(self) -> None:
        super().__init__()
        self._had_its_time: WeakSet[Thread] = WeakSet()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found or timeout == 0:
            return found
        for thread in enumerate_threads():
            if thread.name == "undersigned-strategy" and thread not in self._had_its_time:
                self._had_its_time.add(thread)
                thread.join(DAEMON_SECONDS)
                return super().select(0)
        if self.loop.idle(timeout):
            return found
        return super().select(None)  # a thread is at work: its end wakes the loop, whatever timer comes first


class LoopClock:
    """UTC as the loop counts it, from `start` on; `ahead` seconds can be added by hand."""

    def __init__(self, loop: StillLoop, start: Instant = NOON) -> None:
        self._loop = loop
        self._start = parse_instant(start).astimezone(UTC)
        self.ahead = 0

    def now(self) -> Instant:
        when: datetime = self._start + timedelta(seconds=int(self._loop.time()) + self.ahead)
        return format_instant(when)


# --- identities


class Office(Home):
    """A state folder of a `did:key` agent and its organisation, both actors; written on first use.

    `trusts` are the organisations whose word counts; `more` is put at the end of the configuration.
    """

    def __init__(self, path: Path, name: str, *, trusts: tuple[str, ...] = (), policy: str = "", seed: int = 0) -> None:
        self.name = name
        self.actor = Actor(name, seed=seed)
        self.organisation = Actor(f"{name} organisation", seed=seed)
        self._keys = {
            "agent": PrivateKey("Ed25519", secret_of(name, seed)),
            "organisation": PrivateKey("Ed25519", secret_of(f"{name} organisation", seed)),
        }
        anchors = ", ".join(f'"{Actor(f"{other} organisation", seed=seed).did}"' for other in trusts)
        path.mkdir(parents=True, exist_ok=True)
        (path / "undersigned.toml").write_text(
            f'did = "{self.actor.did}"\nname = "{name}"\nlocal = true\n'
            f'[organisation]\ndid = "{self.organisation.did}"\nname = "{name}"\n'
            f'[trust]\nanchors = [{anchors}]\n[policy]\nrequire = ["MembershipCredential"]\n{policy}\n'
        )
        super().__init__(path)

    def key(self, name: str = "agent") -> PrivateKey:
        return self._keys[name]


def secret_of(name: str, seed: int = 0) -> bytes:
    """The secret of `Actor(name, seed=seed)`."""
    return sha256(f"{name}/{seed}".encode()).digest()


def offices(folder: Path, *, hirer_policy: str = "", provider_policy: str = "") -> tuple[Office, Office]:
    """Acme, which hires, and Globex, which is hired; they trust each other's organisations, which vouch for them."""
    acme = Office(folder / "acme", "Acme", trusts=("Globex",), policy=hirer_policy)
    globex = Office(folder / "globex", "Globex", trusts=("Acme",), policy=provider_policy)
    for office in (acme, globex):
        copytree(_vouched(office.name), office.path, dirs_exist_ok=True)
    return acme, globex


def own_folder() -> Path:
    """A folder that is there as long as this process."""
    folder = Path(mkdtemp(prefix="undersigned-"))
    atexit.register(rmtree, folder, ignore_errors=True)
    return folder


@cache
def _vouched(name: str) -> Path:
    """What an organisation writes down as it vouches for its agent, for others to copy: a database on disk, which takes
    longer than all else of an office.
    """
    office = Office(own_folder() / name, name)
    asyncio.run(vouch(office, clock=HandClock()))
    (office.path / "undersigned.toml").unlink()
    return office.path


# --- stores


class KeptLedger(MemoryLedger):
    """A ledger in memory that outlives its agent, fails when told to, and dies at a commit."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[str] = []
        """What the next commits do: `refused`, `unknown` (written, and an error all the same) or `full`."""
        self.dies: str | None = None
        """At the next commit the process ends: `before` it is written, or `after`."""
        self.dead = False

    def copied(self) -> KeptLedger:
        """A store that holds what this one holds now."""
        copy = KeptLedger()
        for name in vars(MemoryLedger()):
            setattr(copy, name, deepcopy(getattr(self, name)))
        return copy

    def opened(self) -> KeptLedger:
        """The same books for the next process."""
        self._closed = False
        self.dead, self.dies = False, None
        return self

    def summary_of(self, engagement: EngagementId) -> Summary | None:
        """As `summary`, for a test, even while it is closed."""
        return self._summaries.get(engagement)

    def engagements(self) -> tuple[EngagementId, ...]:
        """Everything that was ever stored, oldest first."""
        return tuple(self._summaries)

    def journal(self, engagement: EngagementId) -> tuple[Row, ...]:
        """As `rows`."""
        return tuple(self._journal.get(engagement, ()))

    def waiting(self, engagement: EngagementId) -> tuple[Digest, ...]:
        """Digests in the outbox, oldest first."""
        return tuple(self._outbox.get(engagement, ()))

    async def commit(self, commit: Commit) -> Committed:
        if self.dies is not None:
            if self.dies == "after":
                await super().commit(commit)
            self.dead, self.dies = True, None
        if self.dead:
            await asyncio.get_running_loop().create_future()
        if self.failures:
            failure = self.failures.pop(0)
            if failure == "unknown":
                await super().commit(commit)
            raise LedgerUnavailable("store_full" if failure == "full" else "store_unavailable", f"told to: {failure}")
        return await super().commit(commit)


# --- nodes


async def lingers(_: Job) -> None:
    """Work that does not come to its end."""
    await asyncio.Event().wait()


async def summarise(job: Job) -> None:
    """The task `summary`: the first line of the input `report`."""
    text = await job.read("report")
    await job.deliver("summary.txt", text.split(b"\n", 1)[0], media_type="text/plain")


class Wire(NoListener):
    """Artifacts as they are fetched in a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def open(self, url: str, contract: Digest, start: int, max_bytes: int) -> AbstractAsyncContextManager[Body]:
        return self._world.opened(url, contract, start)


class InMemory(Shell):
    """Has messages go over the network of its node's world and nowhere else, and keeps every event."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._node = node

    async def deliver(self, peer: Did, raw: bytes) -> bool:
        return self._node.world.carry(self._node, peer, raw)

    def happened(self, conversation: Conversation, event: Event) -> None:
        self._node.events.append(event)
        super().happened(conversation, event)


class Node(Agent):
    """An agent whose messages go over the network of its world and nowhere else."""

    def __init__(self, world: World, office: Office, ledger: KeptLedger, **options: Any) -> None:
        async def kept(_url: str, _read_only: bool) -> Ledger:
            return ledger.opened()

        opener: Opener = kept
        super().__init__(office, clock=world.clock, ledger_url="kept:", ledgers={"kept": opener}, **options)
        self.world = world
        self.office = office
        self.kept = ledger
        self.base_url = f"https://{office.name.lower()}.example"
        self.other_side = Wire(world)
        self.door = ArtifactDoor(self)  # type: ignore[arg-type] - it needs no more than an agent has
        self.events: list[Event] = []
        self.shell = InMemory(self)
        self.orders.look_seconds = 3600.0  # days go by in a moment, and two looks in each second of them do not

    @property
    def did(self) -> Did:
        return self.identity.did

    def the(self, engagement: EngagementId | None = None) -> Conversation:
        """The only conversation under way, or the one named."""
        if engagement is not None:
            return self.conversations[engagement]
        (conversation,) = self.conversations.values()
        return conversation

    def said(self, kind: str = "sent") -> list[str]:
        """Types of the moves and notices of one kind of event, in order."""
        return [event.type for event in self.events if event.kind == kind]


class World:
    """Hirer and provider, and what is between them.

    With `held` nothing is delivered by itself: a test asks for one delivery after another.
    """

    def __init__(
        self,
        offices: tuple[Office, Office],
        *,
        held: bool = False,
        price: str = "4 EUR",
        handler: Callable[[Job], Any] = summarise,
        capacity: int = 16,
        ledgers: tuple[KeptLedger, KeptLedger] | None = None,
        hirer_options: Mapping[str, Any] | None = None,
        provider_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.loop = StillLoop()
        asyncio.set_event_loop(self.loop)
        self.clock = LoopClock(self.loop)
        self.network = Network()
        self.asked = 0
        """How many of the network's messages were delivered in their order."""
        self.held = held
        self.cut = False
        self.handler = handler
        self.service: dict[str, Any] = {"price": price, "delivers": "summary.txt", "media_type": "text/plain"}
        self.service["capacity"] = capacity
        self._options = [dict(hirer_options or {}), dict(provider_options or {})]
        self._offices = offices
        self.ledgers = ledgers or (KeptLedger(), KeptLedger())
        self.nodes: list[Node] = []
        for number in (0, 1):
            self.nodes.append(self._node(number))
        self._channels: dict[tuple[Did, Did], tuple[Channel, Channel]] = {}
        self._queues: dict[Did, list[tuple[Did, bytes]]] = {}
        self._pumps: dict[Did, asyncio.Task[None]] = {}
        for node in self.nodes:
            self.loop.run(node.start())

    def _node(self, number: int) -> Node:
        node = Node(self, self._offices[number], self.ledgers[number], **self._options[number])
        if number == 1:
            node.offers("summary", **self.service)(lambda job: self.handler(job))
        return node

    def close(self) -> None:
        """Ends both nodes and the loop."""
        for node in self.nodes:
            self.loop.run(node.close(), 1)
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.settle()
        self.loop.end()
        asyncio.set_event_loop(None)

    @property
    def hirer(self) -> Node:
        return self.nodes[0]

    @property
    def provider(self) -> Node:
        return self.nodes[1]

    def other(self, node: Node) -> Node:
        return self.nodes[1 - self.nodes.index(node)]

    def settle(self, seconds: float = 0.0) -> None:
        """Lets everything happen that happens within so many seconds."""
        self.loop.settle(seconds)

    def run(self, work: Coroutine[Any, Any, T], seconds: float = 0.0) -> T:
        return self.loop.run(work, seconds)

    # --- the network

    def carry(self, sender: Node, recipient: Did, raw: bytes) -> bool:
        """Puts a message on the network, and delivers it at once unless messages are held or the line is cut."""
        if sender.kept.dead:
            return False
        self.network.send(sender.did, recipient, raw)
        if self.cut:
            return False
        if not self.held:
            self.deliver(raw, sender.did, recipient)
        return True

    def channel(self, sender: Did, recipient: Did) -> tuple[Channel, Channel]:
        """A connection on which the recipient has seen the sender prove itself: the recipient's end, the sender's."""
        pair = self._channels.get((sender, recipient))
        if pair is None or pair[0].closed:
            pair = memory_pair()
            pair[0].proved(sender)
            pair[1].proved(recipient)
            self._channels[sender, recipient] = pair
        return pair

    def deliver(self, raw: bytes, sender: Did, recipient: Did) -> None:
        """Hands bytes to the node of `recipient` as coming from `sender`; they are read one after the other."""
        queue = self._queues.setdefault(recipient, [])
        queue.append((sender, raw))
        if len(queue) == 1:
            self._pumps[recipient] = self.loop.create_task(self._pump(recipient, queue))

    async def _pump(self, recipient: Did, queue: list[tuple[Did, bytes]]) -> None:
        while queue:
            sender, raw = queue[0]
            node = next(node for node in self.nodes if node.did == recipient)
            ours, _ = self.channel(sender, recipient)
            with suppress(UndersignedError):
                await node.intake.read(ours, raw)
            queue.pop(0)

    def tell(self, raw: bytes, sender: Did, node: Node) -> UndersignedError | list[dict[str, Any]]:
        """Hands bytes to `node` as coming from `sender` and lets it react; the error that ends the connection, or the
        faults that the sender is told."""
        ours, theirs = self.channel(sender, node.did)
        list(self.told(theirs))
        try:
            self.run(node.intake.read(ours, raw))
        except UndersignedError as error:
            return error
        finally:
            self.settle()
        return [decode_json(frame) for frame in self.told(theirs)]  # type: ignore[misc]

    def told(self, end: Channel) -> Iterator[bytes]:
        """The frames that wait at one end of a channel."""
        waiting: Any = end
        while waiting._arrived:
            yield self.run(end.receive())

    def reconnect(self) -> None:
        """A connection was opened: both sides say where they stand."""
        self.cut = False
        for node in self.nodes:
            for conversation in tuple(node.conversations.values()):
                conversation.reconnected()
                self.loop.call_soon(conversation.greet)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """What is said inside is lost, as on a line that is cut."""
        self.cut = True
        yield
        self.cut = False

    def restart(self, node: Node, **options: Any) -> Node:
        """The node's process ends, wherever it is, and another begins on the same ledger."""
        number = self.nodes.index(node)
        self.run(node.close(), 1)
        self._queues.pop(node.did, None)
        pump = self._pumps.pop(node.did, None)
        if pump is not None:
            pump.cancel()
        self._options[number].update(options)
        again = self.nodes[number] = self._node(number)
        self.run(again.start())
        return again

    # --- artifacts

    @asynccontextmanager
    async def opened(self, url: str, contract: Digest, start: int) -> AsyncGenerator[Body]:
        """What `Peer` does over HTTP: signs, asks the other side's door, and takes its no for an answer."""
        owner = next(node for node in self.nodes if url.startswith(node.base_url))
        if owner.kept.dead or self.cut:
            raise TransportError("unreachable", f"{owner.base_url} is not there")
        asker = self.other(owner)
        headers = await signed_headers(asker.identity, "GET", url, contract, asker.clock.now())
        answer = await ask(owner, url, headers)
        if answer.status != 200:
            raise ScopeError(answer.code, f"the gate refused: {answer.code}", clause="(the other side's gate)")

        async def chunks() -> AsyncGenerator[bytes]:
            if answer.pieces is None:
                yield answer.body[start:]
            else:
                async for piece in answer.pieces(start):
                    yield piece

        yield Body(start, answer.size or len(answer.body), chunks())

    # --- a hire

    def order(self, **options: Any) -> Order:
        """An order for a summary of the report, at 5 EUR most; `opening` is the first offer."""
        wanted: dict[str, Any] = {"task": "summary", "inputs": {"report": REPORT}, "price": "5 EUR", "criteria": {}}
        self.hirer.reviewers.setdefault("summary", _finds_nothing_met)
        return self.run(hire_order(self.hirer, self.provider.did, **{**wanted, **options}))

    def begin(self, order: Order | None = None, **options: Any) -> Conversation:
        """The hirer opens an engagement; what follows happens as far as it can."""
        conversation = self.run(self.hirer.begin(order or self.order(**options)))
        self.settle()
        return conversation

    def begun(self, state: str, *nodes: Node, **options: Any) -> EngagementId:
        """The name of an engagement that the hirer opens, which each of `nodes` (default: both) has come to `state`.

        Raises:
            AssertionError: They do not get there.
        """
        name = self.begin(**options).id
        self.until(state, name, *nodes)
        return name

    def until(self, state: str, engagement: EngagementId, *nodes: Node, most: int = 200) -> None:
        """Delivers held messages, oldest first, until each of `nodes` (default: both) has stored `state`.

        Raises:
            AssertionError: They do not get there.
        """
        wanted = nodes or tuple(self.nodes)
        states: list[str] = []
        for _ in range(most):
            self.settle()
            held = [node.kept.summary_of(engagement) for node in wanted]
            states = [summary.state if summary is not None else "" for summary in held]
            if set(states) == {state}:
                return
            if not self.next_parcel():
                self.settle(1)
        raise AssertionError(f"expected {state}, came {states}")

    def deliver_all(self) -> None:
        """Delivers every message, oldest first, until there is none."""
        while self.next_parcel():
            pass

    def next_parcel(self) -> Parcel | None:
        """Delivers the oldest message that was not asked for yet, and lets its recipient react."""
        if self.asked >= len(self.network.sent):
            return None
        parcel = self.network.sent[self.asked]
        self.asked += 1
        self.deliver(parcel.raw, parcel.sender, parcel.recipient)
        self.settle()
        return parcel


async def ask(owner: Node, url: str, headers: tuple[tuple[str, str], ...], method: str = "GET") -> ArtifactResponse:
    """What the door of `owner` answers to this request for an artifact."""
    path = url.removeprefix(owner.base_url)
    digest = path.rsplit("/", 1)[1].partition("?")[0]
    return await owner.door.answer(ArtifactRequest(digest, method, path, headers, "memory"))


@contextmanager
def worlds_in(folder: Path, **always: Any) -> Iterator[Callable[..., World]]:
    """Makes worlds of two offices with these policies, each in a folder of its own, and ends them."""
    made: list[World] = []

    def make(*, hirer: str = "", provider: str = "", **options: Any) -> World:
        both = offices(folder / str(len(made)), hirer_policy=hirer, provider_policy=provider)
        made.append(World(both, **always | options))
        return made[-1]

    yield make
    for world in made:
        world.close()


# --- what a side holds


def tabled(node: Node, engagement: EngagementId | None = None) -> Digest:
    """The document on the table of a contract, by default of the only one."""
    found = node.the(engagement).engagement.tabled
    assert found is not None
    return found.document


def folded(node: Node, engagement: EngagementId) -> Engagement:
    """What the rows that a side has stored fold to; what is not stored does not count."""
    summary = node.kept.summary_of(engagement)
    assert summary is not None, f"{node.office.name} holds nothing of {engagement}"
    value = begin("hirer" if summary.role == "hirer" else "provider", node.did, summary.peer, engagement)
    for row in node.kept.journal(engagement):
        value = apply(value, entry_of(row))
    return value


def moves(node: Node, engagement: EngagementId) -> list[Row]:
    """The moves in a side's journal, in order."""
    return [row for row in node.kept.journal(engagement) if row.sequence is not None]


def messages(node: Node, engagement: EngagementId) -> list[VerifiedMessage]:
    """Every message in a side's journal, in order."""
    return [recorded_message(row.raw) for row in node.kept.journal(engagement) if row.kind != "noted"]


def last(node: Node, engagement: EngagementId, kind: type[M]) -> M:
    """The last message of a type in a side's journal."""
    found = [m.message for m in messages(node, engagement) if isinstance(m.message, kind)]
    assert found, f"{node.office.name} has no {kind.__name__}"
    return found[-1]


def facts(node: Node, engagement: EngagementId) -> list[tuple[str, str]]:
    """The facts noted in a side's journal."""
    return [(row.type, row.raw.decode()) for row in node.kept.journal(engagement) if row.kind == "noted"]


async def _finds_nothing_met(reviewed: Reviewed) -> dict[str, bool]:
    return dict.fromkeys(reviewed.document.terms.criteria, False)
