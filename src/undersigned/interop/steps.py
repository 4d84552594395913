"""How each kind of step is played.

Source: protocol-spec/harness.md, "Scenarios"
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

from . import attacks, connections, honest
from .failures import Failure, NotApplicable
from .play import Play
from .scenario import (
    Again,
    Allow,
    Anew,
    ClosedWith,
    ComeBack,
    Drop,
    Forge,
    Hear,
    Judge,
    Knock,
    Lose,
    Meet,
    Never,
    Publish,
    Raw,
    Reach,
    Read,
    Refused,
    Repeat,
    Resynced,
    Rotate,
    Say,
    Send,
    Show,
    Spend,
    Told,
    Turned,
    Unasked,
    Upgrade,
    Wait,
)

__all__ = ["play_steps"]

HOW: Final = cast(
    "Mapping[type, Callable[[Play, Any], Awaitable[None]]]",
    {
        Again: honest.again,
        Allow: honest.allow,
        Anew: honest.anew,
        Hear: honest.hear,
        Judge: honest.judge,
        Lose: honest.lose,
        Never: honest.never,
        Reach: honest.reach,
        Read: honest.read,
        Repeat: honest.repeat,
        Say: honest.say,
        Told: honest.told,
        Send: honest.send,
        Show: honest.show,
        Turned: honest.turned,
        Wait: honest.wait,
        Forge: attacks.forge,
        Raw: attacks.raw,
        Refused: attacks.refused,
        ClosedWith: connections.closed,
        ComeBack: connections.come_back,
        Drop: connections.drop,
        Knock: connections.knock,
        Meet: connections.meet,
        Resynced: connections.resynced,
        Rotate: connections.rotate,
        Publish: connections.publish,
        Spend: attacks.spend,
        Unasked: honest.unasked,
        Upgrade: connections.upgrade,
    },
)


async def play_steps(play: Play) -> None:
    """Plays every step of the scenario.

    Raises:
        Failure: The implementation did something else than it has to.
        NotApplicable: What is shown cannot be shown of it.
    """
    # Whoever dials decides when one connection takes the place of another; the engagement goes on (HIRE-CNX-10).
    if play.scene.stage.breaks or play.scenario.role == "hirer":
        play.comes_back = lambda: connections.go_on(play)
    for number, step in enumerate(play.scenario.steps, start=1):
        try:
            await HOW[type(step)](play, step)
        except (Failure, NotApplicable) as end:
            raise type(end)(f"step {number}, {type(step).__name__.lower()}: {end}") from end
