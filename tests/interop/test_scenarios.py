"""The scenarios of the harness: what they are, and that our own peer passes each."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interop.worlds import QUICK, peer_home, stage_at, subject_of
from project.test_requirements import defined
from undersigned.daemon import Peer
from undersigned.errors import CODES, ConfigurationError
from undersigned.interop import GROUPS, Reach, Stage, chosen, play_all, table_scenarios, written_scenarios
from undersigned.interop.scenario import ClosedWith
from undersigned.messages import MESSAGE_TYPES
from undersigned.protocol import LANE_TYPES, NOTICES, OTHER, ROWS

ALL = (*written_scenarios(), *table_scenarios())


def test_ids_are_stable_words_used_once() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", one.id) for one in ALL)
    assert max(Counter(one.id for one in ALL).values()) == 1
    assert max(Counter(one.title for one in written_scenarios()).values()) == 1


def test_each_shows_a_requirement_that_there_is() -> None:
    known = defined()
    assert [one.id for one in ALL if not one.requirements] == []
    assert {name for one in ALL for name in one.requirements} - known.keys() == set()


def test_who_is_not_proved_is_waited_for_with_codes_that_it_may_say() -> None:
    """HIRE-CNX-07: another code can never come, so a list with one would ask for what the harness does not hear."""
    ends = {code for one in ALL for step in one.steps if isinstance(step, ClosedWith) for code in step.codes}
    assert {code for code in ends - {"connection_closed"} if CODES[code].told != "at once"} == set()


def test_every_group_has_scenarios() -> None:
    assert {one.group for one in ALL} == set(GROUPS)


def test_every_move_without_a_row_is_tried_in_every_state_that_is_stopped_in() -> None:
    """HIRE-CHN-11, from the published tables: none is missing, and none that is allowed is called illegal."""
    tried = {one.id for one in table_scenarios() if one.role == "provider"}
    stops = ("profiled", "ready", "offered-by-provider", "accepted-by-provider", "withdrawn")
    stops += ("sealed", "working", "delivered", "closed")
    states = {"nothing": "-"} | {state: state for state in stops}
    for name, state in states.items():
        for kind in MESSAGE_TYPES.keys() - NOTICES:
            under = state in ("sealed", "working", "delivered", "closed")
            row = any(key[:3] == (state, kind, OTHER["provider"]) for key in ROWS)
            expected = not row and not (under and kind in LANE_TYPES)
            assert (f"table-provider-{name}-{kind.lower()}" in tried) is expected, (state, kind)


def test_scenarios_are_chosen_by_id_or_group() -> None:
    assert {one.group for one in chosen("provider", only=("replay", "text-"))} == {"replay", "text"}
    assert len(chosen("provider", every=True)) > len(chosen("provider")) > 100
    with pytest.raises(ConfigurationError):
        chosen("provider", only=("no-such",))


async def test_a_seed_is_used_again_before_the_same_peer(tmp_path: Path) -> None:
    """As other parties: whoever came before has a log there that goes on."""
    home = await peer_home(tmp_path / "globex")
    senders: list[set[str]] = []
    async with Peer.open(home):
        for _ in range(2):
            said: list[dict[str, Any]] = []
            async with Stage(subject_of(home), seed="a seed", limits=QUICK) as stage:
                results = await play_all(stage, chosen("provider", only=("happy", "chain")), told=said.append)
            assert [(one.scenario.id, one.detail) for one in results if one.outcome != "passed"] == []
            senders.append({json.loads(one["text"])["sender"] for one in said if one["what"] == "sent"})
    assert not senders[0] & senders[1]


async def test_a_scenario_that_cannot_be_shown_does_not_count(tmp_path: Path) -> None:
    """A provider may answer a low offer with one of its own; where a scenario says so, it is no fault."""
    (counter,) = (one for one in written_scenarios() if one.id == "counter-lower-price")
    tried = [
        msgspec.structs.replace(
            counter, id=name, steps=(Reach(state="accepted-by-provider", price="low", optional=may),)
        )
        for name, may in (("may", True), ("may-not", False))
    ]
    async with stage_at(tmp_path / "globex") as stage:
        results = await play_all(stage, tried)
    assert [one.outcome for one in results] == ["not applicable", "failed"]
    assert all("answers the offer with another one" in one.detail for one in results)
