"""Steps in which we do what has to be refused.

Source: protocol-spec/harness.md, "Scenarios"
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from undersigned.encoding import canonicalize, shift
from undersigned.testing import Say, Told, offer

from .connections import go_on
from .failures import Failure, shown
from .hiring import Hiring
from .play import Play
from .player import Player
from .recipes import RECIPES
from .scenario import Forge, Raw, Refused
from .stage import SceneLine
from .values import filled, replaced

FAULT: Final = frozenset({"type", "code", "of", "path"})
"""All that a `Fault` tells (HIRE-SEC-07)."""
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
        said = player.review(wrong=step.statement, stranger=stranger).message(player.party)
        content["statement"] = json.loads(player.who.sign(said, player.party.now).raw)["statement"]
    if step.shown:
        content["presentation"] = _shown(play, player, step.shown)
    content = replaced(content, filled(step.members, player))
    options = {name: _proof_option(name, value, player) for name, value in step.proof.items()}
    signed = who.signed(content, player.party.now, **options)
    altered = replaced(signed, filled(step.after, player))
    raw = canonicalize(altered)
    for old, new in step.text:
        if old.encode() not in raw:
            raise Failure(f"the scenario replaces {old!r}, which is not there")
        raw = raw.replace(old.encode(), new.encode("utf-8", "surrogatepass"), 1)
    await play.attack(step.over, raw)


def _written(player: Player, move: str) -> dict[str, Any]:
    said = player.honest(move)
    if said is None:
        if move == "next":
            raise Failure(f"nothing of ours is due in {player.state}")
        said = _recipe(player, move)
    unsigned = said.message(player.party)
    return cast("dict[str, Any]", json.loads(player.who.sign(unsigned, player.party.now).raw))


def _shown(play: Play, player: Player, how: Mapping[str, Any]) -> Any:
    """A presentation that is wrong in what `how` names."""
    options = dict(filled(how, player))
    stranger = play.actor("stranger")
    now = player.party.now
    offered = {"none": (), "of another": (player.who.member(now, of=stranger.did),)}
    if "credentials" in options:
        options["credentials"] = offered[options["credentials"]]
    who = stranger if options.pop("holder", False) else player.who
    return who.shown(player.party, **options)


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
    line = await play.line(play.over)
    since = play.heard_from
    try:
        told: Told = await line.wait(lambda: line.answer(play.sent, since), play.scene.stage.limits.answer)
    except TimeoutError:
        came = ", ".join(shown(raw) for raw in line.frames[since:]) or "nothing"
        raise Failure(f"expected a refusal with {' or '.join(step.codes)}; {came} came") from None
    if told.how not in step.how:
        raise Failure(f"expected a {' or '.join(step.how)}, came a {told.how} ({told.code})")
    # The end of a connection has no code where a library of theirs ends it.
    if told.code not in step.codes and not (told.how == "close" and told.code == "connection_closed"):
        raise Failure(f"expected {' or '.join(step.codes)}, came {told.code}")
    if told.how == "close" and step.close_code not in (None, told.close_code):
        raise Failure(f"expected the connection to be closed with {step.close_code}, came {told.close_code}")
    if told.how in ("Problem", "Fault"):
        # A refusal must not be worth asking for: what is sent back is no larger than what came, or hardly so.
        most = play.sent_bytes + (MAX_LARGER if told.how == "Problem" else 0)
        if len(told.raw) > most:
            raise Failure(f"expected a {told.how} of at most {most} bytes, came one of {len(told.raw)}")
        if told.how == "Fault" and (more := json.loads(told.raw).keys() - FAULT):
            raise Failure(f"expected a Fault that tells a code and a place, came {', '.join(sorted(more))}")
        _consume(play, line, told.raw)
        return
    for player in play.players.values():
        player.forged |= play.sent
    play.lines.pop(play.over, None)
    if play.over == "first" and "first" in play.players:
        await go_on(play)
        play.returned = True


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
