"""A run: every scenario that was asked for, played against one implementation, and what came of each.

Source: protocol-spec/harness.md
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.protocol import ENDED, Role
from undersigned.testing import GUILD

from .connections import go_on
from .failures import Failure, NotApplicable, NotReady, Silent
from .hiring import Hiring
from .play import Play
from .recipes import RECIPES
from .scenario import Knock, Scenario, written_scenarios
from .scene import Scene
from .stage import Stage
from .steps import play_steps
from .tables import table_scenarios

__all__ = ["PROFILES", "Outcome", "Result", "chosen", "play_all"]

CONTACT = "first-contact"
"""What the first connection is called in the transcript."""
ENDING: Final = 3.0
"""Seconds in which what was left open has to come to its end."""
SET_UP: Final[Mapping[str, str]] = {
    "policy_denied": "it does not believe us (policy_denied): an instance that is tested has to trust {guild}, which "
    "issues the memberships that we show",
    "not_offered": "it does not do {task!r} (not_offered): name a task that it offers (--task)",
}
"""Reasons for which it will not work for us at all, each with what has to be set up."""
Outcome = Literal["passed", "failed", "not applicable", "expected", "stale", "defect", "given up"]
"""`expected` failed as an operator said that it would; `stale` passed although; a `defect` is one of the harness, and
says nothing of the implementation; `given up` was not played to its end, because none can be.
"""


PROFILES: Final[Mapping[str, str]] = {
    "core": "",
    "trust": "how a party judges others is not seen from outside",
    "authority": "gates of a party's own resources are not spoken to",
    "evidence": "packs and audits are made where the evidence is",
}
"""The classes of conformance, each with why no scenario plays it; empty for those that are played."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one scenario."""

    scenario: Scenario
    outcome: Outcome
    detail: str = ""
    seconds: float = 0.0
    silent: bool = False
    """Whether the implementation could not be reached, or no engagement was begun."""


def chosen(role: Role, *, every: bool = False, only: Iterable[str] = ()) -> tuple[Scenario, ...]:
    """The scenarios for a role of the implementation; with `only`, those whose id or group begins with one of these.

    Raises:
        ConfigurationError: One of `only` names none.
    """
    found = [one for one in (*written_scenarios(), *table_scenarios()) if one.role == role]
    named = tuple(only)
    for text in named:
        if not any(one.id.startswith(text) or one.group == text for one in found):
            raise ConfigurationError("bad_configuration", f"no scenario of role {role} begins with {text!r}")
    if named:
        return tuple(one for one in found if one.id.startswith(named) or one.group in named)
    return tuple(one for one in found if every or not one.more)


async def play_all(
    stage: Stage,
    scenarios: Iterable[Scenario],
    *,
    at_a_time: int = 8,
    told: Callable[[dict[str, Any]], None] = lambda _: None,
    done: Callable[[Result], None] = lambda _: None,
) -> tuple[Result, ...]:
    """Plays scenarios, some at a time; the results are in their order.

    If the DID does not resolve, a provider cannot be reached or does not answer an `Inquiry`, or a hirer is told to
    hire and does not come, each is `given up` for that, and no more is tried; so if it is not set up to be tested, as
    it does not believe us or does not offer the task, and, from then on, once it has no room, or where a provider
    that answered does not any more. `told` hears each line of the transcript, `done` each result that was played, as
    it comes.

    Raises:
        ConfigurationError: The hook of a hirer does not take the token.
    """
    wanted = tuple(scenarios)
    told(stage.heading())
    first: Result | None = None
    if stage.unresolved:
        silent = stage.unresolved
    elif wanted and wanted[0].role == "provider":
        silent = await _contact(stage, CONTACT, told)
    elif wanted:
        await stage.check_token()
        first = await play(stage, wanted[0], told)
        silent = first.detail if first.silent or first.outcome == "given up" else ""
    else:
        silent = ""
    if silent:
        return tuple(Result(scenario=one, outcome="given up", detail=silent) for one in wanted)
    gate = asyncio.Semaphore(at_a_time)
    ended: list[str] = []

    async def one(scenario: Scenario) -> Result:
        if any(isinstance(step, Knock) for step in scenario.steps) and not ended:
            await stage.strangers.turn()
        async with gate:
            if ended:
                return Result(scenario=scenario, outcome="given up", detail=ended[0])
            known = first if scenario is wanted[0] else None
            result = known or await play(stage, scenario, told)
            if result.outcome == "given up":
                ended.append(result.detail)
            elif (
                result.silent
                and scenario.role == "provider"
                and not stage.breaks
                and (gone := await _contact(stage, f"{CONTACT} after {scenario.id}", told))
            ):
                ended.append(f"it answers no more: {gone}")
        if result.outcome != "given up":
            done(result)
        return result

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(scenario)) for scenario in wanted]
    return tuple(task.result() for task in tasks)


async def play(
    stage: Stage, scenario: Scenario, told: Callable[[dict[str, Any]], None], *, scene: Scene | None = None
) -> Result:
    """Plays one scenario, in a scene of its own or this one; whatever the implementation does, it ends."""
    started = time.monotonic()
    again = scene is not None
    scene = scene or Scene(stage, scenario.id, told)
    playing = Play(scene, scenario)
    outcome: Outcome = "passed"
    detail, silent = "", False
    try:
        try:
            async with asyncio.timeout(stage.limits.scenario):
                await play_steps(playing)
        except NotApplicable as end:
            outcome, detail = "not applicable", str(end)
        except NotReady as end:
            outcome, detail = "given up", str(end)
        except Failure as end:
            outcome, detail, silent = "failed", str(end), isinstance(end, Silent) and playing.begun is None
        except UndersignedError as error:
            outcome, detail = "failed", f"this cannot be played: {error}"
        except TimeoutError:
            outcome, detail = "failed", f"not over within {stage.limits.scenario:g} s"
        except Exception as error:  # of ours, whatever came: what the other scenarios found is told all the same
            at = traceback.extract_tb(error.__traceback__)[-1]
            outcome = "defect"
            detail = f"a defect of ours, please report it: {error!r:.200} at {Path(at.filename).name}:{at.lineno}"
        seconds = time.monotonic() - started
        if not again:
            await _end(playing)
    finally:
        await scene.close()
    scene.note("over", "")
    return Result(scenario=scenario, outcome=outcome, detail=detail, seconds=seconds, silent=silent)


async def _end(playing: Play) -> None:
    """Ends what we began and left open, so that it takes up no place of the implementation. The scenario is over:
    whatever goes wrong here, or lasts too long, is no matter.
    """
    player = playing.begun
    if not isinstance(player, Hiring) or player.state in ("-", *ENDED):
        return
    with suppress(Exception):
        async with asyncio.timeout(min(ENDING, playing.scene.stage.limits.answer)):
            if player.line.closed is not None:
                await go_on(playing)
            for move in ("Withdraw", "Cancel"):
                with suppress(Failure):  # the one that has no row in this state is not sent
                    await player.say(RECIPES[move]())
            while player.state not in ENDED:
                due = player.review("rejected") if player.state == "delivered" else player.due()
                if due is not None:
                    await player.say(due)
                else:
                    await player.hear("its end")


async def _contact(stage: Stage, name: str, told: Callable[[dict[str, Any]], None]) -> str:
    """Why nothing can be shown of the implementation; empty if it answers, and does not say that it will not work for
    us. What else it gets wrong is for the scenarios to say.
    """
    scene = Scene(stage, name, told)
    player: Hiring | None = None
    try:
        async with asyncio.timeout(stage.limits.scenario):
            who = stage.actor(name, "first")
            player = Hiring(scene, who, await scene.line(who, "first"))
            await player.say(player.inquiry())
            await player.hear("an answer to an Inquiry")
            await player.reach("ready")
            await player.say(RECIPES["Withdraw"]())
    except NotReady as end:
        return str(end)
    except Silent as end:
        return "" if player is not None and player.got else str(end)
    except TimeoutError:
        if player is None or not player.got:
            return f"no answer to an Inquiry within {stage.limits.scenario:g} s"
    except Exception:
        if player is not None and player.state == "withdrawn":
            return SET_UP.get(player.reason(), "").format(task=stage.subject.task, guild=GUILD.did)
    finally:
        await scene.close()
    return ""
