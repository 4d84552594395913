"""Steps in which we do what is right, and what has to come of them.

Source: protocol-spec/harness.md, "Scenarios"
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final, cast

from undersigned.contract import Terms
from undersigned.encoding import from_struct, to_struct
from undersigned.messages import VerifiedMessage, recorded_message
from undersigned.protocol import NOTICES
from undersigned.testing import Attacker, changes, moves

from .attacks import ORDERLY, proved, refused
from .failures import Failure, NotApplicable, Silent, answered, shown
from .hiring import NEVER, Hiring
from .memberships import shown_credentials
from .play import Play
from .player import Player
from .pointers import replaced
from .recipes import RECIPES
from .scenario import (
    Again,
    Allow,
    Anew,
    Hear,
    Judge,
    Lose,
    Never,
    Reach,
    Read,
    Refused,
    Repeat,
    Say,
    Send,
    Show,
    Told,
    Turned,
    Unasked,
    Wait,
)
from .values import filled

MORE: Final = 3
"""How much more often something is asked for than it is granted."""


async def reach(play: Play, step: Reach) -> None:
    """See `Reach`."""
    player = await play.player()
    members = filled(step.members, player)
    player.changed |= filled(step.terms, player)
    await player.reach(step.state, low=step.price == "low", optional=step.optional, **members)


async def say(play: Play, step: Say) -> None:
    """See `Say`."""
    player = await play.player()
    move = _change(player, step) or player.honest(step.move) or player.in_lane(step.move) or RECIPES[step.move]()
    await player.say(move._replace(members=move.members | filled(step.members, player)))


def _change(player: Player, step: Say) -> moves.Say | None:
    """A change of the contract that the other side has reason to agree to."""
    if step.terms:
        terms = from_struct(player.terms_in_force())
        return changes.amendment(terms=to_struct(replaced(terms, filled(step.terms, player)), Terms))
    if step.amount:
        return changes.release(amount=filled(step.amount, player), currency=player.terms_in_force().price.currency)
    return None


async def send(play: Play, step: Send) -> None:
    """See `Send`."""
    player = await play.player()
    raw = _kept(player, step.proof)
    if step.spelled:
        members = cast("dict[str, Any]", json.loads(raw))
        raw = json.dumps(dict(reversed(members.items())), indent=1, ensure_ascii=False).encode()
    await player.line.send(raw)


def _kept(player: Player, proof: Mapping[str, Any]) -> bytes:
    """The honest next move, kept as ours; its text, with these options of its proof."""
    message = player.keep(player.owed())
    return proved(player, message.raw, proof) if proof else message.raw


async def show(play: Play, step: Show) -> None:
    """See `Show`."""
    player = await play.player()
    shown = shown_credentials(play, player, step.credentials)
    await player.say(moves.presentation(presentation=player.who.shown(player.party, credentials=shown)))


async def judge(play: Play, step: Judge) -> None:
    """See `Judge`."""
    player = await play.player()
    if not isinstance(player, Hiring):
        raise Failure("only a hirer reviews")
    await player.say(player.review(step.verdict, stranger=play.former() if step.by == "former" else None))


async def again(play: Play, step: Again) -> None:
    """See `Again`."""
    player = await play.player()
    message = player.keep(player.owed())
    await play.attack("first", proved(player, message.raw, step.first))
    await refused(play, Refused(codes=step.codes))
    await player.line.send(message.raw)


async def turned(play: Play, step: Turned) -> None:
    """See `Turned`."""
    player = await play.player()
    pair = [player.keep(player.owed(move)).raw for move in step.moves]
    await play.attack("first", pair[1])
    await refused(play, Refused(codes=("out_of_order",), how=("Problem",)))
    for raw in pair:
        await player.line.send(raw)


async def never(play: Play, step: Never) -> None:
    """See `Never`."""
    player = await play.player()
    try:
        async with asyncio.timeout(step.seconds):
            while True:
                if step.unread:
                    kind = shown(await player.line.next(step.seconds + 1, "anything"))
                else:
                    kind = (await player.hear("anything")).type
                if kind in step.types:
                    raise Failure(f"{kind} came, and must not")
                if kind not in NOTICES:
                    return
    except TimeoutError:
        return
    except Silent:
        if player.line.closed is not None:
            raise


async def hear(play: Play, step: Hear) -> None:
    """See `Hear`."""
    player = await play.player()
    while True:
        known = len(player.got)
        try:
            message = await player.hear(" or ".join(step.types))
        except Silent as end:
            if step.optional:
                raise NotApplicable(f"it says nothing where {step.types[0]} could come") from end
            raise
        if not message.notice and len(player.got) == known:
            continue  # a move that came before, sent again over another connection
        if message.type in step.types:
            break
        if not message.notice:
            text = f"expected {' or '.join(step.types)}, came {message.type}"
            raise NotApplicable(text) if step.optional else Failure(text)
    came: dict[str, Any] = {} if message.notice else json.loads(player.got[-1].raw)
    for name, value in filled(step.members, player).items():
        if came.get(name) != value:
            raise Failure(f"{message.type}.{name}: expected {value!r}, came {came.get(name)!r}")


async def repeat(play: Play, step: Repeat) -> None:
    """A receipt that names it has to come; a stored answer that comes again has to be the same."""
    player = await play.player()
    message = player.said[step.place]
    while not await _answered(play, player, message):
        # A hirer may have put another connection in the place of this one before it read the repeat (HIRE-CNX-10).
        closed = player.line.closed
        if player.comes_back is None or closed is None or closed.detail.get("close_code") not in ORDERLY:
            raise Failure(f"a repeat ended the connection ({closed.code if closed else 'no'}; HIRE-CHN-04)")
        await player.comes_back()


async def _answered(play: Play, player: Player, message: VerifiedMessage) -> bool:
    """Whether this repeat is answered as it has to be; False where the connection ends before.

    Raises:
        Failure: It is answered with something else, or nothing.
    """
    known = {one.digest for one in player.got}
    line = player.line
    since = line.mark()
    await line.send(message.raw)

    def receipted() -> bool | None:
        for raw in line.frames[since:]:
            frame = json.loads(raw)
            if frame.get("type") in ("Problem", "Fault"):
                raise Failure(f"a repeat was refused with {frame.get('code')} (HIRE-CHN-04)")
            if frame.get("type") == "Receipt" and message.digest in frame.get("of", ()):
                return True
            if frame.get("type") not in ("Receipt", "Sync", "Progress"):
                if frame.get("sequence", 0) > len(known):
                    continue  # it goes on meanwhile
                if recorded_message(raw).digest not in known:
                    raise Failure(f"another {frame.get('type')} answers a repeat (HIRE-CHN-04)")
                return True
        return False if line.closed is not None else None

    try:
        return await line.wait(receipted, play.scene.stage.limits.answer)
    except TimeoutError:
        raise Failure(
            "a repeat was answered with nothing: expected a receipt, or the stored answer (HIRE-CHN-04)"
        ) from None


async def read(play: Play, step: Read) -> None:
    """See `Read`."""
    player = await play.player()
    who: Attacker | None = player.who
    if step.by == "first" and step.status == (200,):
        await player.check_served()
    elif step.by != "first":
        who = None if step.by == "nobody" else play.actor(step.by)
    if step.used_up:
        await _use_up(player, step.status)
        return
    uri = player.uri_of()
    if step.what != "it":
        uri = f"{uri.rpartition('/')[0]}/{player.served_name if step.what == 'by name' else NEVER}"
    answer = await player.fetched(uri, who)
    if answer.status not in step.status:
        wanted = " or ".join(map(str, step.status))
        raise Failure(f"expected status {wanted}, came {answered(answer)}")


async def _use_up(player: Player, status: tuple[int, ...]) -> None:
    """Asks for what is served more often than the grant allows, all at a time.

    Raises:
        Failure: It is given more often than that, or less often, or refused in another way.
        NotApplicable: The grant has no limit.
    """
    limit = player.limit_of(player.uri_of())
    answers = await asyncio.gather(*(player.fetched(player.uri_of(), player.who) for _ in range(limit + MORE)))
    given = sum(1 for one in answers if one.status == 200)
    if player.reads != limit:
        text = f"it was given {player.reads} times under a limit of {limit}"
        refusals = [answered(one) for one in answers if one.status != 200]
        raise Failure(f"{text}; the first refusal is {refusals[0]}" if refusals else text)
    others = {one.status for one in answers if one.status != 200} - set(status)
    if others or given == len(answers):
        raise Failure(f"what was asked for beyond the limit was answered with {sorted(others) or 200}")


async def unasked(play: Play, step: Unasked) -> None:
    """See `Unasked`."""
    player = await play.player()
    if step.what == "input":
        if isinstance(player, Hiring) and player.input in play.scene.stage.asked:
            raise Failure("it read the input, which no grant lets it read")
    elif play.scenario.id in play.scene.stage.lists.asked:
        raise Failure("it asked for a status list that it had no reason to ask for")


async def allow(play: Play, _: Allow) -> None:
    """See `Allow`."""
    (await play.player()).allow()


async def anew(play: Play, _: Anew) -> None:
    """See `Anew`."""
    play.begun = None
    await play.player()


async def lose(play: Play, step: Lose) -> None:
    """See `Lose`."""
    player = await play.player()
    player.keep(player.owed(step.move))


async def told(play: Play, step: Told) -> None:
    """See `Told`."""
    player = await play.player()
    engagement, loop = player.party.engagement, asyncio.get_running_loop()
    until = loop.time() + play.scene.stage.limits.answer
    coming: asyncio.Future[None] | None = None
    try:
        while True:
            said = await play.scene.stage.ask("GET", f"/hires/{engagement.id}")
            if said.get("over") is True:
                break
            if coming is not None and coming.done():
                coming.result()
                coming, until = None, loop.time() + play.scene.stage.limits.answer
            if coming is None and player.line.closed is not None and player.comes_back is not None:
                # What it did not hear is said again. It may have heard all just before, and then it does not come.
                coming = asyncio.ensure_future(player.comes_back())
            if coming is None and loop.time() > until:
                raise Failure(f"its hook says that the engagement is not over: {said.get('state')}")
            await asyncio.sleep(0.1)
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
    heads = {"hirer": list(engagement.got), "provider": list(engagement.sent)}
    if said.get("state") != step.state or said.get("heads") != heads:
        raise Failure(f"its hook tells another story: {said.get('state')}, {said.get('heads')}")


async def wait(play: Play, step: Wait) -> None:
    """See `Wait`."""
    await asyncio.sleep(step.seconds)
    if step.until:
        line = (await play.player()).line

        def came() -> bool | None:
            return line.closed is not None or any(shown(raw) == step.until for raw in line.frames[line.read :]) or None

        seconds = play.scene.stage.limits.answer
        try:
            await line.wait(came, seconds)
        except TimeoutError:
            raise Failure(f"nothing came within {seconds:g} s; expected {step.until}") from None
