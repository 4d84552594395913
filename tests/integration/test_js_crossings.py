"""Moves that cross, in many orders: the implementation in JavaScript comes to the same state and basis as this one."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from integration.test_js_peer import said_there
from pack_cases import disputed_once_closed
from properties.test_crossings import NOON, PUT_DOWN, QUIET, WORK_ONLY, Explorer, World
from undersigned.errors import RemoteProtocolError, UndersignedError
from undersigned.messages import VerifiedMessage
from undersigned.protocol import (
    HIRER,
    OTHER,
    PROVIDER,
    ROLES,
    START,
    Engagement,
    Noted,
    Received,
    Role,
    Sent,
    apply,
    basis,
)
from undersigned.testing import (
    ARTIFACT,
    Playbook,
    Say,
    acceptance,
    amendment,
    approval,
    approval_request,
    breach,
    cancel,
    closing,
    delivery,
    dispute,
    inquiry,
    offer,
    release,
    resume,
    review,
    ruling,
    seal,
    start,
    suspend,
    terminate,
    withdraw,
)
from undersigned.testing.playbook import PATHS


def holds(view: Engagement) -> dict[str, Any]:
    return {"state": view.state, "lane": view.lane, "basis": basis(view)}


def histories(
    state: str,
    limit: int,
    without: frozenset[str],
    count: int,
    *said: tuple[Role, Say],
    told: Callable[[Engagement], Any] = holds,
) -> tuple[list[Any], list[Any]]:
    """What each side recorded on `count` ways through the crossings from `state`, once both have what was `said` there,
    and what is `told` of it at their ends.
    """
    explorer, chosen = Explorer(state, limit, without, *said), Random(state)
    taken: list[Any] = []
    held: list[Any] = []
    before = {
        role: [
            _line(one.message, one.at) for one in explorer.playbook.parties[role].journal if not isinstance(one, Noted)
        ]
        for role in ROLES
    }
    for _ in range(count):
        world, lines = explorer.first, {role: list(before[role]) for role in ROLES}
        while steps := list(explorer.steps(world)):
            after = chosen.choice(steps)
            for role in ROLES:
                lines[role] += _recorded(explorer, world, after, role)
            world = after
        for role in ROLES:
            view = world.view(role)
            taken.append({"view": role, "lines": lines[role]})
            held.append(told(view))
    return taken, held


def _recorded(explorer: Explorer, world: World, after: World, role: Role) -> list[Any]:
    was, view = world.view(role), after.view(role)
    new = (*view.sent[len(was.sent) :], *view.got[len(was.got) :])
    return [_line(explorer.stored[digest], view.last_at or NOON) for digest in new]


def _line(message: VerifiedMessage, at: str) -> Any:
    return [json.loads(message.raw), at]


@pytest.mark.parametrize(
    ("state", "limit", "without"),
    [
        ("working", 3, QUIET),
        ("delivered", 3, QUIET),
        ("disputed", 3, QUIET),
        ("closing", 3, QUIET),
        ("working", 4, WORK_ONLY),
        ("delivered", 4, WORK_ONLY),
    ],
)
def test_it_comes_to_the_same(state: str, limit: int, without: frozenset[str]) -> None:
    """HIRE-CHN-09, HIRE-LIF-11, HIRE-LIF-17, HIRE-LAN-02, HIRE-LAN-03, HIRE-LAN-04."""
    holds_the_same(*histories(state, limit, without, 60))


@pytest.mark.parametrize("owner", ROLES)
@pytest.mark.parametrize("document", [amendment(), release()], ids=["amendment", "release"])
@pytest.mark.parametrize("state", ["working", "delivered"])
def test_it_comes_to_the_same_with_a_document_on_the_table(state: str, document: Say, owner: Role) -> None:
    """HIRE-LAN-05, HIRE-LAN-08: it sees as we do what overtook a seal, and what becomes of a dispute beside one."""
    for without in (PUT_DOWN, PUT_DOWN - {"Dispute"}):
        holds_the_same(*histories(state, 4, without, 60, (owner, document)))


def test_what_moved_nobody_moves_nobody_there() -> None:
    """HIRE-CHN-09: who ended a dispute of which it did not know is where it was, and in that dispute once it has seen
    it, where it may let the other side go.
    """
    explorer, at = Explorer("delivered", 3), NOON
    view, peer = explorer.first.provider, explorer.first.hirer
    lines = [
        _line(one.message, one.at)
        for one in explorer.playbook.parties["provider"].journal
        if not isinstance(one, Noted)
    ]
    said = []
    for say in (dispute(), release()):
        said.append(explorer.sign(view, "provider", say))
        view = apply(view, Sent(said[-1], at))
    for say, seen in ((terminate("no_ruling"), ()), (release(), (said[0].digest,))):
        said.append(explorer.sign(replace(peer, got=(*peer.got, *seen)), "hirer", say))
        peer = replace(peer, sent=(*peer.sent, said[-1].digest))
        view = apply(view, Received(said[-1], at))
    taken = {"view": "provider", "lines": [*lines, *(_line(one, at) for one in said)]}
    assert (view.state, view.lane) == ("disputed", "offered-by-hirer")
    holds_the_same([taken], [{"state": view.state, "lane": view.lane, "basis": basis(view)}])


CAUSES = ("key_compromised", "deadline", "no_ruling", "late_seal", "unable", "convenience", "parent")
SAID = (
    *(offer(), amendment(), release(), acceptance(), seal()),
    *(withdraw(reason) for reason in ("declined", "revoked", "ended")),
    *(start(), approval_request(), approval(), suspend(), resume(), cancel(), breach(), dispute(), ruling()),
    *(delivery(), review("accepted"), review("rework"), review("rejected"), closing(), closing(basis="silence")),
    *(terminate(cause) for cause in CAUSES),
)
"""Something of each type, and of each that is taken in one state and not in another."""


@pytest.mark.parametrize("document", [None, amendment(), release()], ids=["nothing", "amendment", "release"])
def test_it_refuses_the_same(document: Say | None) -> None:
    """HIRE-NEG-01, HIRE-LIF-01, HIRE-LAN-04: each side says everything in every state, with and without a document on
    the table. What is taken, and the code of what is not, are the same.
    """
    taken: list[Any] = []
    held: list[Any] = []
    for state, role in product((one for one in PATHS if one != START), ROLES):
        playbook = Playbook(state)
        if document is not None:
            with suppress(UndersignedError):
                playbook.side(HIRER) >> document  # pyright: ignore[reportUnusedExpression]
        reader = playbook.parties[OTHER[role]]
        before = [_line(one.message, one.at) for one in reader.journal if not isinstance(one, Noted)]
        for say in SAID:
            try:
                said = playbook.side(role).forge(say)
            except (UndersignedError, AssertionError):
                continue  # nothing is there that it could name
            taken.append({"view": reader.role, "lines": [*before, _line(said, reader.now)]})
            try:
                view = apply(reader.engagement, Received(said, reader.now))
            except RemoteProtocolError as refused:
                held.append({"refused": say.type, "code": refused.code})
            else:
                held.append(holds(view))
    assert len(held) > 500
    holds_the_same(taken, held)


def test_it_refuses_a_subcontract_that_its_provider_offers_first() -> None:
    """HIRE-SUB-01: with the same code."""
    playbook = Playbook("ready", first=inquiry(opens=PROVIDER))
    reader, provider = playbook.hirer.party, playbook.provider.party
    made = replace(offer().message(provider).document, proof=None, parent=ARTIFACT)
    said = offer()._replace(members={"document": provider.actor.prove_offer(made, provider.now)})
    posed = playbook.provider.forge(said)
    before = [_line(one.message, one.at) for one in reader.journal if not isinstance(one, Noted)]
    with pytest.raises(RemoteProtocolError) as refused:
        apply(reader.engagement, Received(posed, reader.now))
    taken = {"view": reader.role, "lines": [*before, _line(posed, reader.now)]}
    holds_the_same([taken], [{"refused": "Offer", "code": refused.value.code}])


@pytest.mark.parametrize("role", ROLES)
def test_it_takes_no_dispute_of_who_has_closed_its_books(role: Role) -> None:
    """HIRE-LIF-21: whatever it crosses; with the same code."""
    playbook, posed = disputed_once_closed(role)
    reader = playbook.parties[OTHER[role]]
    before = [_line(one.message, one.at) for one in reader.journal if not isinstance(one, Noted)]
    taken = {"view": reader.role, "lines": [*before, _line(posed, reader.now)]}
    with pytest.raises(RemoteProtocolError) as refused:
        apply(reader.engagement, Received(posed, reader.now))
    holds_the_same([taken], [{"refused": "Dispute", "code": refused.value.code}])


def holds_the_same(taken: list[Any], held: list[Any]) -> None:
    for history, here, there in zip(taken, held, said_there("fold.js", taken), strict=True):
        story = [f"{line['role']} {line['type']}" for line, _ in history["lines"][10:]]
        assert there == here, f"as the {history['view']} sees {story}"
