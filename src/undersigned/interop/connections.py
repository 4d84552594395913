"""Steps about connections: those of strangers, and what becomes of an engagement when one ends.

Source: protocol-spec/03-connection.md
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

from websockets.asyncio.client import connect as connect_plainly
from websockets.exceptions import InvalidHandshake, InvalidMessage, WebSocketException
from websockets.typing import Subprotocol

from undersigned.encoding import canonicalize, shift
from undersigned.errors import Closed
from undersigned.testing import moves
from undersigned.transport import SUBPROTOCOL

from .failures import Failure, shown
from .play import Play
from .published import Published
from .scenario import ClosedWith, ComeBack, Drop, Knock, Resynced, Rotate, Upgrade
from .values import replaced
from .weak import Weak


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


async def rotate(play: Play, _: Rotate) -> None:
    """See `Rotate`."""
    who = play.actor("first")
    if not isinstance(who, Published):
        raise Failure("only a published key can be replaced")
    who.rotate()


async def come_back(play: Play, _: ComeBack) -> None:
    """See `ComeBack`."""
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
        raw = await player.line.next(play.scene.stage.limits.answer, "a Sync")
        frame = json.loads(raw)
        if frame.get("engagement") != player.party.engagement.id:
            continue
        if frame.get("type") != "Sync":
            raise Failure(f"{frame.get('type')} came before a Sync on a new connection")
        await player.fold(raw)
        return


async def knock(play: Play, step: Knock) -> None:
    """See `Knock`."""
    stage = play.scene.stage
    who = Weak(f"{stage.seed}/{stage.run}/weak") if step.weak else play.actor("first")
    async with stage.channel() as channel:
        challenge = json.loads(await _frame(play, channel))
        if challenge.get("type") != "Challenge" or set(challenge) != {"type", "subprotocol", "nonce"}:
            raise Failure(f"the first frame is no challenge: {shown(canonicalize(challenge))}")
        now, recipient = stage.now(), stage.subject.did
        frame: dict[str, Any] = {
            "@context": "https://w3id.org/hire/v1",
            "type": "Connection",
            "part": "dialer",
            "subprotocol": SUBPROTOCOL,
            "sender": who.did,
            "recipient": recipient,
            "nonce": who.nonce(),
            "versions": ["1.0"],
        }
        stranger = play.actor("stranger").did
        said = {name: stranger if value == "$stranger" else value for name, value in step.members.items()}
        options: dict[str, Any] = {"challenge": challenge["nonce"], "domain": recipient, "expires": shift(now, 60)}
        for name, value in step.proof.items():
            moved = isinstance(value, int) and name in ("created", "expires")
            options[name] = shift(now, cast(int, value)) if moved else stranger if value == "$stranger" else value
        signed = replaced(who.signed(replaced(frame, said), now, **options), step.after)
        raw = step.text.encode() if step.text is not None else canonicalize(signed)
        play.scene.note("sent", "stranger", raw)
        play.ended, play.answers = None, []
        try:
            if not step.silent:
                await channel.send(raw)
            async with asyncio.timeout(stage.limits.answer + (10 if step.silent else 0)):
                while True:
                    play.answers.append(await channel.receive())
        except Closed as closed:
            play.ended = closed
        except TimeoutError:
            pass
        finally:
            await channel.close()


async def _frame(play: Play, channel: Any) -> bytes:
    try:
        async with asyncio.timeout(play.scene.stage.limits.answer):
            return await channel.receive()
    except TimeoutError:
        raise Failure("no challenge came") from None
    except Closed as closed:
        raise Failure(f"the connection ended ({closed.code}) before a challenge") from None


async def closed(play: Play, step: ClosedWith) -> None:
    """See `ClosedWith`."""
    if play.answers:
        raise Failure(f"somebody who proved nothing was answered with {shown(play.answers[0])}")
    if play.ended is None:
        raise Failure("the connection stays open for somebody who proved nothing")
    code = int(str(play.ended.detail["close_code"]))
    if step.close_code is not None and code != step.close_code:
        raise Failure(f"expected the connection to be closed with {step.close_code}, came {code}")
    if play.ended.code not in step.codes:
        raise Failure(f"expected {' or '.join(step.codes)}, came {play.ended.code}")


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
    raise Failure("a WebSocket was opened without the subprotocol")
