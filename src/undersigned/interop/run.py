"""A run: every scenario that was asked for, played against one implementation, and what came of each.

Source: protocol-spec/harness.md
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.protocol import Role

from .failures import Failure, NotApplicable, Silent
from .hiring import Hiring
from .play import Play
from .scenario import Knock, Scenario, written_scenarios
from .stage import Scene, Stage
from .steps import play_steps
from .tables import table_scenarios

__all__ = ["PROFILES", "Outcome", "Result", "chosen", "play_all"]

CONTACT = "first-contact"
"""What the first connection is called in the transcript."""
Outcome = Literal["passed", "failed", "not applicable", "expected", "stale"]
"""`expected` failed as an operator said that it would; `stale` passed although."""


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
    hire and does not come, that is what comes of each, and no more is tried. `told` hears each line of the transcript,
    `done` each result as it comes.
    """
    wanted = tuple(scenarios)
    told(stage.heading())
    first: Result | None = None
    if stage.unresolved:
        silent = stage.unresolved
    elif wanted and wanted[0].role == "provider":
        silent = await _silent(stage, told)
    elif wanted:
        first = await play(stage, wanted[0], told)
        silent = first.detail if first.silent else ""
    else:
        silent = ""
    if silent:
        failed = tuple(Result(scenario=one, outcome="failed", detail=silent, silent=True) for one in wanted)
        for result in failed:
            done(result)
        return failed
    gate = asyncio.Semaphore(at_a_time)

    async def one(scenario: Scenario) -> Result:
        if any(isinstance(step, Knock) for step in scenario.steps):
            await stage.strangers.turn()
        async with gate:
            known = first if scenario is wanted[0] else None
            result = known or await play(stage, scenario, told)
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
    scene = scene or Scene(stage, scenario.id, told)
    playing = Play(scene, scenario)
    outcome: Outcome = "passed"
    detail, silent = "", False
    try:
        async with asyncio.timeout(stage.limits.scenario):
            await play_steps(playing)
    except NotApplicable as end:
        outcome, detail = "not applicable", str(end)
    except Failure as end:
        outcome, detail, silent = "failed", str(end), isinstance(end, Silent) and not playing.players
    except UndersignedError as error:
        outcome, detail = "failed", f"this cannot be played: {error}"
    except TimeoutError:
        outcome, detail = "failed", f"not over within {stage.limits.scenario:g} s"
    finally:
        await scene.close()
    scene.note("over", "")
    seconds = time.monotonic() - started
    return Result(scenario=scenario, outcome=outcome, detail=detail, seconds=seconds, silent=silent)


async def _silent(stage: Stage, told: Callable[[dict[str, Any]], None]) -> str:
    """Why nothing can be shown of the implementation; empty if it answers."""
    scene = Scene(stage, CONTACT, told)
    try:
        async with asyncio.timeout(stage.limits.scenario):
            who = stage.actor(CONTACT, "first")
            player = Hiring(scene, who, await scene.line(who, "first"))
            await player.say(player.inquiry())
            await player.line.next(stage.limits.answer, "an answer to an Inquiry")
    except Silent as end:
        return str(end)
    except TimeoutError:
        return f"no answer to an Inquiry within {stage.limits.scenario:g} s"
    finally:
        await scene.close()
    return ""
