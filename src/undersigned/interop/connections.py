"""Steps about connections: those of strangers, and what becomes of an engagement when one ends.

Source: protocol-spec/03-connection.md
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from websockets.asyncio.client import connect as connect_plainly
from websockets.exceptions import InvalidHandshake, InvalidMessage, WebSocketException
from websockets.typing import Subprotocol

from undersigned.did import did_key
from undersigned.encoding import canonicalize, shift
from undersigned.errors import Closed
from undersigned.testing import Attacker, moves
from undersigned.transport import SUBPROTOCOL, Channel

from .failures import Failure, Silent, shown
from .play import Play
from .pointers import replaced
from .published import Published
from .scenario import ClosedWith, ComeBack, Drop, Knock, Meet, Publish, Resynced, Rotate, Upgrade
from .weak import Weak

ENDED_SECONDS = 1.0
"""How long the end of a connection is waited for that a refusal may be followed by."""


async def drop(play: Play, step: Drop) -> None:
    """See `Drop`."""
    line = await play.line()
    if step.how == "abort":
        line.abort()
    if step.how == "stall":
        line.stall()
    else:
        await line.hang_up()
    play.lines.pop("first")
    play.returned = False


async def rotate(play: Play, step: Rotate) -> None:
    """See `Rotate`."""
    who = play.actor("first")
    if not isinstance(who, Published):
        raise Failure("only a published key can be replaced")
    who.rotate(renamed=step.name == "new")


async def publish(play: Play, step: Publish) -> None:
    """See `Publish`."""
    who = play.actor("first")
    if not isinstance(who, Published):
        raise Failure("only a document that is published can be served otherwise")
    if step.host:
        who.moved(step.host)
    words = _words(play, who)
    who.serve({name: _worded(value, words) for name, value in step.members.items()}, step.answer)


def _words(play: Play, who: Attacker) -> Mapping[str, str]:
    """Words of steps that know of no engagement."""
    own = did_key(who.public_key)
    return {"$stranger": play.actor("stranger").did, "$key": f"{own}#{own.removeprefix('did:key:')}"}


def _worded(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_worded(one, words) for one in cast("list[Any]", value)]
    if isinstance(value, str) and value.startswith("$long:"):
        return "x" * int(value.removeprefix("$long:"))
    return words.get(value, value) if isinstance(value, str) else value


async def come_back(play: Play, step: ComeBack) -> None:
    """See `ComeBack`."""
    if step.ended and not play.returned:
        line = await play.line()
        with suppress(TimeoutError):
            await line.wait(lambda: line.closed, ENDED_SECONDS)
        play.returned = line.closed is None
    if not play.returned:
        await go_on(play)
    play.returned = False


async def go_on(play: Play) -> None:
    """Our engagement goes on over another connection: the next one that a hirer opens, or opened already."""
    play.lines.pop("first", None)
    player = await play.player()
    player.line = line = await play.line()
    engagement = player.party.engagement
    if engagement.got:
        sync = player.who.sign(moves.sync().message(player.party), player.party.now)
        await line.send(sync.raw)
    for digest in engagement.outbox:
        await line.send(player.again(player.party.stored[digest].raw))


async def resynced(play: Play, _: Resynced) -> None:
    """See `Resynced`."""
    player = await play.player()
    while True:
        raw = await player.line.next(play.scene.stage.limits.answer, "a Sync (HIRE-SYN-01)")
        frame = json.loads(raw)
        if frame.get("engagement") != player.party.engagement.id:
            continue
        if frame.get("type") != "Sync":
            raise Failure(f"{frame.get('type')} came before a Sync on a new connection (HIRE-SYN-01)")
        await player.fold(raw)
        return


async def knock(play: Play, step: Knock) -> None:
    """See `Knock`."""
    stage = play.scene.stage
    who = Weak(f"{stage.seed}/{stage.run}/weak") if step.weak else play.actor("first")
    async with stage.channel(play.scene.telling("stranger", play.scene.number(), unproved=True)) as channel:
        challenge = json.loads(await _frame(play, channel))
        if challenge.get("type") != "Challenge" or set(challenge) != {"type", "subprotocol", "nonce"}:
            raise Failure(f"the first frame is no challenge: {shown(canonicalize(challenge))}")
        now, recipient = stage.now(), stage.subject.did
        frame = _connection("dialer", who.did, recipient, who.nonce(), ["1.0"])
        words = _words(play, who)
        said = {name: _worded(value, words) for name, value in step.members.items()}
        options: dict[str, Any] = {"challenge": challenge["nonce"], "domain": recipient, "expires": shift(now, 60)}
        for name, value in step.proof.items():
            moved = isinstance(value, int) and name in ("created", "expires")
            options[name] = shift(now, cast(int, value)) if moved else _worded(value, words)
        signed = replaced(who.signed(replaced(frame, said), now, **options), step.after)
        raw = step.text.encode() if step.text is not None else canonicalize(signed)
        play.ended, play.answers = None, []
        try:
            if not step.silent:
                await channel.send(raw)
            patient = step.silent or (isinstance(who, Published) and who.answer == "late")
            async with asyncio.timeout(stage.limits.answer + (10 if patient else 0)):
                while True:
                    play.answers.append(await channel.receive())
        except Closed as closed:
            play.ended = closed
        except TimeoutError:
            pass
        finally:
            await channel.close()


def _connection(part: str, sender: str, recipient: str, nonce: str, versions: Any) -> dict[str, Any]:
    return {
        "@context": "https://w3id.org/hire/v1",
        "type": "Connection",
        "part": part,
        "subprotocol": SUBPROTOCOL,
        "sender": sender,
        "recipient": recipient,
        "nonce": nonce,
        "versions": versions,
    }


async def meet(play: Play, step: Meet) -> None:
    """See `Meet`."""
    stage = play.scene.stage
    came, over = asyncio.Event(), asyncio.Event()
    play.ended, play.answers = None, []

    said = play.scene.telling("first", play.scene.number())

    async def met(channel: Channel) -> None:
        if came.is_set():
            return  # it comes again, and nothing more is wanted
        came.set()
        try:
            nonce = play.actor("first").nonce()
            challenge = canonicalize({"type": "Challenge", "subprotocol": SUBPROTOCOL, "nonce": nonce})
            said("sent", challenge)
            await channel.send(challenge)
            if step.granted:
                asked = await channel.receive()
                said("received", asked)
                answer = _answered(play, step, asked, nonce)
                said("sent", answer)
                await channel.send(answer)
            while True:
                play.answers.append(await channel.receive())
                said("received", play.answers[-1])
        except Closed as closed:
            play.ended = closed
        finally:
            over.set()

    with stage.meeting(met, granted=step.granted) as url:
        await play.order(url)
        try:
            async with asyncio.timeout(stage.limits.arrival):
                await came.wait()
        except TimeoutError:
            raise Silent(f"it did not connect to us within {stage.limits.arrival:g} s") from None
        with suppress(TimeoutError):
            async with asyncio.timeout(stage.limits.answer):
                await over.wait()


def _answered(play: Play, step: Meet, asked: bytes, nonce: str) -> bytes:
    """The third frame."""
    stage, who = play.scene.stage, play.actor(step.by)
    try:
        frame = json.loads(asked)
        theirs, versions = str(frame["nonce"]), frame["versions"]
    except (ValueError, TypeError, LookupError):
        raise Failure(f"this is no proof of a connection: {shown(asked)}") from None
    now, dialer = stage.now(), stage.subject.did
    content = _connection("acceptor", who.did, dialer, nonce, versions) | {"version": "1.0"}
    signed = who.signed(replaced(content, step.members), now, challenge=theirs, domain=dialer, expires=shift(now, 60))
    return canonicalize(signed)


async def _frame(play: Play, channel: Channel) -> bytes:
    try:
        async with asyncio.timeout(play.scene.stage.limits.answer):
            return await channel.receive()
    except TimeoutError:
        raise Failure("no challenge came (page 03, section 3.3, frame 1)") from None
    except Closed as closed:
        raise Failure(
            f"the connection ended ({closed.code}) before a challenge (page 03, section 3.3, frame 1)"
        ) from None


async def closed(play: Play, step: ClosedWith) -> None:
    """See `ClosedWith`."""
    if play.answers:
        raise Failure(f"somebody who proved nothing was answered with {shown(play.answers[0])} (HIRE-CNX-07)")
    if play.ended is None:
        raise Failure("the connection stays open for somebody who proved nothing (HIRE-CNX-07)")
    code = int(str(play.ended.detail["close_code"]))
    if step.close_code not in (0, code):
        raise Failure(f"expected the connection to be closed with {step.close_code}, came {code}")
    if play.ended.code not in step.codes:
        raise Failure(f"expected {' or '.join(step.codes)}, came {play.ended.code}: {play.ended.message}")


async def upgrade(play: Play, step: Upgrade) -> None:
    """See `Upgrade`."""
    asked = [Subprotocol(step.subprotocol)] if step.subprotocol is not None else None
    try:
        async with asyncio.timeout(play.scene.stage.limits.answer):
            channel = await connect_plainly(play.scene.stage.url, subprotocols=asked, proxy=None)
            await channel.close()
    except (InvalidHandshake, InvalidMessage):
        return
    except (TimeoutError, OSError, WebSocketException) as exc:
        raise Failure(f"no answer to an upgrade that is to be refused: {exc!r}") from exc
    raise Failure("a WebSocket was opened without the subprotocol (HIRE-CNX-02)")
