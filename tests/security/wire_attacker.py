"""Whoever attacks: real keys, proved connections, and bytes made by hand.

An `Attacker` signs whatever it likes. A `Line` is a proved connection of its, which collects every frame that comes
back. A `Hiring` is an engagement that it opened as a hirer and takes as far as a test wants, honestly; the attack is
then sent beside it, and the engagement goes on as if nothing had been.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from typing import Any

from structlog.testing import capture_logs

from integration.hires import until
from security.wire_world import Kept, World
from undersigned import testing
from undersigned.contract import Criterion, Deadlines, Deliverable, Price, Task, Terms, draft_terms
from undersigned.encoding import from_struct, shift
from undersigned.errors import CODES, Closed
from undersigned.interop.play import digests_of
from undersigned.messages import Message, VerifiedMessage, decode_message, engagement_id, recorded_message
from undersigned.protocol import Sent
from undersigned.scope import Grant, Limit, Scope
from undersigned.testing import (
    ARTIFACT,
    LOOSE,
    Attacker,
    Known,
    Party,
    Say,
    Told,
    acceptance,
    inquiry,
    minutes,
    offer,
    presentation,
    seal,
    start,
    vouched,
    withdraw,
)
from undersigned.transport import Channel, LogBudget, connect, prove

__all__ = [
    "Attacker",
    "Hiring",
    "Known",
    "Line",
    "Stranger",
    "Told",
    "attacked",
    "changed",
    "checked_reply",
    "hiring_at",
    "quiet_logs",
    "refused",
    "still_open",
    "vouched",
]


class Line(testing.Line):
    """A proved connection to Globex, and every frame that came back on it."""

    def __init__(self, world: World, who: Attacker, channel: Channel) -> None:
        super().__init__(who, channel)
        self.world = world

    @classmethod
    async def to(cls, world: World, who: Attacker) -> Line:
        """Connects as `who` and proves it."""
        channel = await connect(world.url, limits=LOOSE)
        await prove(channel, who.identity, world.globex.document_of, world.clock.now, expect=world.globex.identity.did)
        return cls(world, who, channel)


class Stranger:
    """A connection that is not proved, and whatever is sent instead of a proof."""

    def __init__(self, world: World, who: Attacker, channel: Channel) -> None:
        self.world = world
        self.who = who
        self.channel = channel
        self.frames: list[dict[str, Any]] = []

    @classmethod
    @asynccontextmanager
    async def at(cls, world: World, who: Attacker) -> AsyncIterator[Stranger]:
        """Connects, and reads the challenge."""
        channel = await connect(world.url, limits=LOOSE)
        stranger = cls(world, who, channel)
        stranger.frames.append(json.loads(await channel.receive()))
        try:
            yield stranger
        finally:
            await channel.close()

    def opening(self, **members: Any) -> dict[str, Any]:
        """The second frame of a connection, right and signed."""
        challenge = self.frames[0]["nonce"]
        recipient = self.world.globex.identity.did
        frame = {
            "@context": "https://w3id.org/hire/v1",
            "type": "Connection",
            "part": "dialer",
            "subprotocol": "hire.v1",
            "sender": self.who.did,
            "recipient": recipient,
            "nonce": self.who.nonce(),
            "versions": ["1.0"],
        } | members
        now = self.world.clock.now()
        return self.who.signed(frame, now, challenge=challenge, domain=recipient, expires=shift(now, 60))

    async def sends(self, raw: bytes) -> tuple[int, str]:
        """How the connection is closed for what is sent. Nothing that Globex signed came back before (rule 3)."""
        with suppress(Closed):
            await self.channel.send(raw)
        try:
            async with asyncio.timeout(5):
                while True:
                    self.frames.append(json.loads(await self.channel.receive()))
        except Closed as closed:
            assert [frame["type"] for frame in self.frames] == ["Challenge"]
            return int(str(closed.detail["close_code"])), closed.code


class Hiring:
    """An engagement in which an attacker hires Globex, folded as an honest hirer would."""

    def __init__(self, line: Line, *, task: str = "idle", **members: Any) -> None:
        who, world = line.who, line.world
        nonce = who.nonce()
        globex = Known(world.globex.identity.did, world.globex.own)
        self.line = line
        self.task = task
        self.party = Party("hirer", who, globex, engagement_id(who.did, globex.did, nonce), world.clock)
        given = {"nonce": nonce, "need": task, "suites": (who.suite,), "task": self._task()}
        self._first = inquiry(**given | members)
        self._read = 0

    def _task(self) -> Task:
        return Task(kind=self.task, summary="Do as little as you can", inputs=(ARTIFACT,))

    @property
    def who(self) -> Attacker:
        return self.line.who

    @property
    def id(self) -> str:
        return self.party.engagement.id

    @property
    def state(self) -> str:
        return self.party.state

    def terms(self, price: str = "4") -> Terms:
        """Terms that Globex takes at 4 EUR and answers with those at less."""
        now = self.party.now
        return draft_terms(
            task=self._task(),
            deliverables=(
                Deliverable(
                    name="summary.txt",
                    media_type="text/plain",
                    criteria=(Criterion(id="short", text="It is short"), Criterion(id="true", text="It is true")),
                ),
            ),
            scope=Scope(
                grants=(
                    Grant("read", "artifact:read", f"urn:hire:artifact:{ARTIFACT}", limits=(Limit("count", "3"),)),
                    Grant("write", "artifact:write", "urn:hire:artifact:made", limits=(Limit("count", "1"),)),
                )
            ),
            price=Price(amount=price, currency="EUR"),
            deadlines=Deadlines(
                start=shift(now, minutes(60)),
                finish=shift(now, minutes(24 * 60)),
                heartbeat="PT10M",
                review="PT2H",
                rework="PT4H",
                wind_down="PT10M",
                close="PT1H",
                until=shift(now, minutes(72 * 60)),
            ),
        )

    def next_move(self, price: str = "4") -> Say:
        """What this hirer says next if it means to hire."""
        match self.state:
            case "-":
                return self._first
            case "profiled":
                return presentation(presentation=self.who.shown(self.party))
            case "ready":
                return offer(terms=self.terms(price))
            case "offered-by-provider":
                return acceptance()
            case "accepted-by-provider":
                return seal()
            case "sealed":
                return start()
            case state:
                raise AssertionError(f"nothing to say in {state}")

    def next_message(self, price: str = "4", **members: Any) -> VerifiedMessage:
        """The next move signed, and not said."""
        move = self.next_move(price)
        return self.who.sign(move._replace(members=move.members | members).message(self.party), self.party.now)

    def next_json(self, price: str = "4", **members: Any) -> dict[str, Any]:
        """The same as JSON, to be tampered with."""
        return json.loads(self.next_message(price, **members).raw)

    async def say(self, move: Say) -> VerifiedMessage:
        """Signs, records and sends a move."""
        message = self.party.say(move.message)
        await self.line.send(message.raw)
        return message

    async def said(self, raw: bytes) -> None:
        """Records and sends a move that was signed before."""
        self.party._record(Sent(recorded_message(raw), self.party.now))
        await self.line.send(raw)

    def offered(self) -> dict[str, Any]:
        """The live offer's document, as JSON that is free to be changed."""
        return json.loads(json.dumps(from_struct(self.party.offered())))

    async def hear(self, *kinds: str) -> Message:
        """Folds what came until a message of one of these types did; gives that."""

        def found() -> Message | None:
            while self._read < len(self.line.frames):
                raw = self.line.frames[self._read]
                self._read += 1
                frame = json.loads(raw)
                if frame.get("engagement") != self.party.engagement.id:
                    continue
                if self.party.receive(raw) == "repeat":
                    continue
                if frame["type"] in kinds:
                    return decode_message(raw).message
                assert frame["type"] in ("Receipt", "Sync", "Problem"), frame
            return None

        return await self.line.wait(found)

    async def go_on(self, price: str = "4") -> None:
        """The next move, and the answer to it."""
        await self.say(self.next_move(price))
        answers = {
            "inquired": ("Profile",),
            "presented": ("Presentation",),
            "offered-by-hirer": ("Offer", "Acceptance"),
            "accepted-by-hirer": ("Seal",),
            "sealed": ("Receipt",),
        }
        if self.state in answers:
            await self.hear(*answers[self.state])
        else:  # the answer to a start is the delivery, and its receipt takes a second
            conversations = self.line.world.globex.conversations
            await until(lambda: conversations[self.id].engagement.state == self.state)

    async def up_to(self, state: str, price: str = "4") -> Hiring:
        """Goes on until `state`."""
        while self.state != state:
            await self.go_on(price)
        return self

    async def come_back(self) -> Line:
        """On a new connection."""
        self.line, self._read = await Line.to(self.line.world, self.who), 0
        return self.line

    async def give_up(self) -> None:
        """Ends it, so that nothing of it is left."""
        await self.say(withdraw("changed"))
        await self.hear("Receipt")


_numbers = count(1)


@asynccontextmanager
async def hiring_at(
    world: World, state: str, price: str = "4", *, kind: Any = "Ed25519", suite: str | None = None, **members: Any
) -> AsyncIterator[Hiring]:
    """A fresh attacker's engagement in `state`. Afterwards it goes on, and ends in a contract all the same."""
    line = await Line.to(world, Attacker(f"attacker {next(_numbers)}", kind=kind, suite=suite))
    hiring = await Hiring(line, **members).up_to(state, price)
    yield hiring
    if line.closed is not None:
        line = await hiring.come_back()
    await hiring.up_to("sealed", price)
    kept = await world.kept(line.who.did)
    assert len(kept.contracts) == 1
    await line.hang_up()


# ---------------------------------------------------------------------- attacks


def changed(raw: bytes, old: str, new: str) -> bytes:
    """The bytes with one piece replaced, which has to be there."""
    assert old.encode() in raw
    return raw.replace(old.encode(), new.encode("utf-8", "surrogatepass"), 1)


@contextmanager
def quiet_logs() -> Iterator[list[Any]]:
    """What is logged meanwhile; nothing of it may be a defect, carry a trace, or be of unbounded size."""
    with capture_logs() as entries:
        yield entries
    for entry in entries:
        assert entry["log_level"] in ("debug", "info", "warning"), entry
        assert "exc_info" not in entry, entry
        assert len(str(entry)) < 2048, entry
        assert "Traceback" not in str(entry), entry


async def attacked(line: Line, raw: bytes) -> tuple[Told, Kept, Kept, list[Any]]:
    """Sends an attack; what the attacker heard, what Globex kept before and after, and what it logged."""
    before = await line.world.kept(line.who.did)
    # How much one address has told of it in a minute is looked at elsewhere, and here each attack is told.
    line.world.globex.intake._told = LogBudget()
    with quiet_logs() as logs:
        seen, line.frames = line.frames, []
        try:
            await line.send(raw)
            told = await line.wait(lambda: line.answer(digests_of(raw)))
        finally:
            fresh = list(line.frames)
            line.frames[:0] = seen
        after = await line.world.kept(line.who.did)
    # One answer, not several.
    assert sum(1 for one in fresh if json.loads(one).get("type") in ("Fault", "Problem")) <= 1
    return told, before, after, logs


async def refused(
    line: Line,
    raw: bytes,
    code: str,
    *,
    how: str = "Fault",
    path: str | None = None,
    logged: str | None = None,
    close_code: int | None = None,
    unchanged: bool = True,
) -> Told:
    """Sends an attack and checks all that a refusal is.

    The attacker is told `code`, by a `Fault`, a `Problem` or (`how` close) by the close alone; with `path` if that is
    given. Globex logs `logged`, or else `code`. What it keeps is the same, to the byte, unless the test says what is
    not. The connection stays open and another engagement begins on it, or it is closed with `close_code` and the
    attacker can come back.
    """
    told, before, after, logs = await attacked(line, raw)
    said = [str(entry.get("error", "")) for entry in logs]
    # A library that closes by itself says so in its own words.
    codes = (code, "connection_closed") if how == "close" else (code,)
    assert told.how == how, (told, said)
    assert told.code in codes, (told, said)
    if unchanged:
        assert before == after
    if path is not None:
        assert told.path == path
    assert any(text.startswith(logged or code) for text in said), said
    checked_reply(line, told, raw)
    if how != "close" and close_code is None:
        await still_open(line)
        return told
    closed = await line.wait(lambda: line.closed)
    assert closed.detail["close_code"] == close_code
    again = await Line.to(line.world, line.who)
    await still_open(again)
    await again.hang_up()
    return told


def checked_reply(line: Line, told: Told, raw: bytes) -> None:
    """A reply has a code and a place in its cause at most, is signed if it is a `Problem`, and smaller than its cause.

    Only a `Problem` about one of the few shortest moves may be a little larger.
    """
    if told.how == "close":
        return
    short = 128 if told.how == "Problem" and len(raw) < 1200 else 0
    assert len(told.raw) < len(raw) + short, (len(told.raw), len(raw))
    assert told.code in CODES
    assert CODES[told.code].told != "never"
    assert len(told.path) <= 256
    if told.how == "Fault":
        assert set(json.loads(told.raw)) <= {"type", "code", "of", "path"}
        assert CODES[told.code].told == "at once" or told.path == ""
        return
    globex = Known(line.world.globex.identity.did, line.world.globex.own)
    problem = line.who.verify(told.raw, globex, line.world.clock.now()).message  # type: ignore[arg-type]
    assert problem.type == "Problem"


async def still_open(line: Line) -> None:
    """Another engagement begins on this connection."""
    other = Hiring(line)
    await other.go_on()
    assert other.state == "profiled"
    await other.give_up()
