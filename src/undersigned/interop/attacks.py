"""Steps in which we do what has to be refused.

Source: protocol-spec/harness.md, "Scenarios"
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy
from functools import partial
from typing import Any, Final, cast

from undersigned.encoding import base58_decode, base58_encode, canonicalize, from_struct, shift
from undersigned.errors import UndersignedError
from undersigned.testing import Say, Told, offer

from .connections import go_on
from .failures import Failure, sent_before, shown_all
from .hiring import Hiring
from .lines import SceneLine
from .memberships import shown_credentials
from .play import Play
from .player import Player
from .pointers import replaced
from .recipes import RECIPES
from .scenario import Forge, Raw, Refused, Spend
from .values import filled
from .weak import ORDER

FAULT: Final = frozenset({"type", "code", "of", "path"})
"""All that a `Fault` tells (HIRE-SEC-07)."""
ANSWER_SECONDS: Final = 1.0
"""How long one refusal among many is waited for."""
SILENT_SECONDS: Final = 0.02
"""And of one that answered none so far: nobody has to."""
NONSENSE: Final = b'{"type":' + b" " * 248
"""No JSON, and long enough for a `Fault` to be smaller (HIRE-SYN-04)."""
ORDERLY: Final = (1000, 1001)
"""Close codes of an end that finds no fault."""
OF_FRAMES: Final = (1002, 1003, 1007, 1009)
"""Close codes of an end that finds fault with a frame."""
MAX_LARGER: Final = 128
"""How much longer a `Problem` may be than the short move that it is about."""


async def forge(play: Play, step: Forge) -> None:
    """See `Forge`."""
    player = await play.player()
    who = play.former() if step.by == "former" else player.who if step.by == "first" else play.actor(step.by)
    message = _written(player, step.move)
    content = {name: value for name, value in message.items() if name != "proof"}
    if step.document:
        document = replaced(content["document"], filled(step.document, player))
        content["document"] = who.first(document, player.party.now)
    if step.statement and isinstance(player, Hiring):
        stranger = play.actor("stranger") if step.statement == "by a stranger" else None
        if step.statement == "by a key that is not listed":
            stranger = copy(player.who)
            stranger.key, stranger.method = play.actor("stranger").key, f"{stranger.did}#another"
        said = player.review(wrong=step.statement, stranger=stranger).message(player.party)
        content["statement"] = json.loads(player.who.sign(said, player.party.now).raw)["statement"]
    if step.countersigned:
        document = from_struct(player.party.offered())
        content["contractProof"] = play.actor("stranger").second(document, player.party.now)
    if step.shown:
        content["presentation"] = _shown(play, player, step.shown)
    content = replaced(content, filled(step.members, player))
    options = {name: _proof_option(name, value, player) for name, value in step.proof.items()}
    signed = who.signed(content, player.party.now, **options)
    if step.signature:
        proof = cast("dict[str, Any]", signed["proof"])
        proof["proofValue"] = _spelled(proof["proofValue"], step.signature)
    altered = replaced(signed, filled(step.after, player))
    raw = canonicalize(altered)
    for old, new in step.text:
        if old.encode() not in raw:
            raise Failure(f"the scenario replaces {old!r}, which is not there")
        raw = raw.replace(old.encode(), new.encode("utf-8", "surrogatepass"), 1)
    await play.attack(step.over, raw)


def _written(player: Player, move: str) -> dict[str, Any]:
    said = player.owed() if move == "next" else player.honest(move) or _recipe(player, move)
    unsigned = said.message(player.party)
    return cast("dict[str, Any]", json.loads(player.who.sign(unsigned, player.party.now).raw))


def _shown(play: Play, player: Player, how: Mapping[str, Any]) -> Any:
    """A presentation that is wrong in what `how` names."""
    options = dict(filled(how, player))
    if "credentials" in options:
        options["credentials"] = shown_credentials(play, player, options["credentials"])
    members = options.pop("members", {})
    who = play.actor("stranger") if options.pop("holder", False) else player.who
    return who.shown(player.party, change=lambda unsigned: replaced(unsigned, members), **options)


def _spelled(signature: str, how: str) -> str:
    """The same signature in bytes that are not its only ones."""
    raw = base58_decode(signature.removeprefix("z"))
    if how == "too long":
        raw += b"\0"
    else:
        raw = raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little")
    return f"z{base58_encode(raw)}"


def proved(player: Player, raw: bytes, proof: Mapping[str, Any]) -> bytes:
    """The same content with another proof, made with these options."""
    options = {name: _proof_option(name, value, player) for name, value in proof.items()}
    return canonicalize(player.who.signed(json.loads(raw), player.party.now, **options))


def _recipe(player: Player, move: str) -> Say:
    """A move that is not due, of what is known by now."""
    if isinstance(player, Hiring) and move == "Inquiry":
        return player.inquiry()
    if isinstance(player, Hiring) and move == "Offer":
        return offer(terms=player.terms())
    return RECIPES[move]()


async def raw(play: Play, step: Raw) -> None:
    """See `Raw`."""
    text = step.begin + step.repeat * step.times + step.end
    raw_ = text.encode("utf-8", "surrogatepass") + (b"\xff" if step.frame == "broken" else b"")
    await play.attack("first", raw_, binary=step.frame == "binary")


async def refused(play: Play, step: Refused) -> None:
    """See `Refused`."""
    line, told = await _told(play, step)
    if told.how not in step.how:
        raise Failure(f"expected a {' or '.join(step.how)}, came a {told.how} ({told.code}){_after(play)}")
    # Where a frame is wrong, a library of theirs may end the connection, which knows no codes; else who only hangs up
    # told nobody what was wrong, and might as well be down.
    nameless = told.how == "close" and told.code == "connection_closed" and told.close_code in OF_FRAMES
    if told.code not in step.codes and not nameless:
        raise Failure(f"expected {' or '.join(step.codes)}, came {told.code}{_after(play)}")
    if told.how == "close" and step.close_code not in (None, told.close_code):
        raise Failure(f"expected the connection to be closed with {step.close_code}, came {told.close_code}")
    if told.how in ("Problem", "Fault"):
        # A refusal must not be worth asking for: what is sent back is no larger than what came, or hardly so.
        most = len(play.sent_raw) + (MAX_LARGER if told.how == "Problem" else 0)
        if len(told.raw) > most:
            rule = "HIRE-SEC-08" if told.how == "Problem" else "HIRE-SYN-04"
            raise Failure(f"expected a {told.how} of at most {most} bytes, came one of {len(told.raw)} ({rule})")
        if told.how == "Problem":
            _check_problem(play, told.raw)
        if told.how == "Fault" and (more := json.loads(told.raw).keys() - FAULT):
            raise Failure(
                f"expected a Fault that tells a code and a place, came {', '.join(sorted(more))} (HIRE-SEC-07)"
            )
        _consume(play, line, told.raw)
        return
    if play.begun is not None:
        play.begun.forged |= play.sent
    play.lines.pop(play.over, None)
    if play.over == "first" and play.begun is not None:
        await go_on(play)
        play.returned = True


def _after(play: Play) -> str:
    """What has to be refused; it may have gone over a connection that another stands for by now."""
    return sent_before(play.sent_raw, binary=play.sent_binary)


async def _told(play: Play, step: Refused) -> tuple[SceneLine, Told]:
    """How what was sent last is refused, and over which connection."""
    while True:
        line, since = await play.line(play.over), play.heard_from
        try:
            told = await line.wait(partial(line.answer, play.sent, since), play.scene.stage.limits.answer)
        except TimeoutError:
            came = shown_all(line.frames[since:], line.frames[:since])
            within = f"within {play.scene.stage.limits.answer:g} s"
            came = f"{came} came {within}{_after(play)}"
            raise Failure(f"expected a refusal with {' or '.join(step.codes)}; {came}") from None
        # A hirer may put another connection in the place of this one before it reads what came (HIRE-CNX-10).
        if told.how != "close" or told.close_code not in ORDERLY or play.comes_back is None or play.over != "first":
            return line, told
        await play.comes_back()
        if play.begun is not None:
            play.begun.forged |= play.sent  # what it said before may come, too
        line = await play.line()
        play.heard_from = line.mark()
        await (line.send_binary(play.sent_raw) if play.sent_binary else line.send(play.sent_raw))


def _check_problem(play: Play, raw: bytes) -> None:
    """Returns if a `Problem` is a message that holds, by whoever was spoken to.

    Raises:
        Failure: It is not.
    """
    player = play.begun
    if player is None or play.over != "first":
        return
    try:
        player.who.verify(raw, play.scene.stage.known, player.party.now)
    except UndersignedError as error:
        raise Failure(f"its Problem does not hold: {error.message} ({error.code})") from error


async def spend(play: Play, step: Spend) -> None:
    """See `Spend`."""
    seconds = ANSWER_SECONDS
    for _ in range(step.most):
        line = await play.line()
        before = line.mark()
        await play.attack("first", NONSENSE)
        try:
            await line.wait(lambda of=line, at=before: of.closed or len(of.frames) > at or None, seconds)
        except TimeoutError:
            seconds = SILENT_SECONDS
            continue
        if line.closed is not None:
            if line.closed.code != "rate_limited":
                raise Failure(f"expected the connection to be closed with rate_limited, came {line.closed.code}")
            return
    raise Failure(f"the connection stays open after {step.most} failures (page 03, section 3.5)")


def _consume(play: Play, line: SceneLine, raw: bytes) -> None:
    """A refusal that was expected is not read a second time."""
    place = line.frames.index(raw, play.heard_from)
    del line.frames[place]
    line.read = min(line.read, len(line.frames))
    if place < line.read:
        line.read -= 1


def _proof_option(name: str, value: Any, player: Player) -> Any:
    if name in ("created", "expires") and isinstance(value, int):
        return shift(player.party.now, value)
    return filled(value, player)
