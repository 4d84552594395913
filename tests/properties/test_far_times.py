"""Any instant and duration that a message may have: it is recorded or refused, and what is due can always be said."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from undersigned.encoding import shift
from undersigned.encoding.types import DURATION_PATTERN, INSTANT_PATTERN
from undersigned.errors import FormatError, LocalProtocolError, RemoteProtocolError, VerificationError
from undersigned.protocol import Noted, passed, pending, presence, waits, wake_at
from undersigned.testing import (
    NOON,
    PATHS,
    Party,
    Playbook,
    Say,
    amendment,
    approval_request,
    breach,
    offer,
    progress,
    receipt,
    release,
    suspend,
)
from undersigned.testing.moves import terms_for

FIRST, LAST = "2000-01-01T00:00:00Z", "2999-12-31T23:59:59Z"
LONGEST = "P99999DT9999999H999999999M9999999999S"
INSTANT, DURATION = re.compile(INSTANT_PATTERN), re.compile(DURATION_PATTERN)

instants = st.sampled_from(
    [FIRST, LAST, "2999-12-31T23:59:58Z", "2999-12-31T23:00:00Z", shift(NOON, 3600), NOON, *[None] * 12]
)
durations = st.sampled_from(["PT0S", LONGEST, "P99999D", "PT9999999999S", *[None] * 6])
"""None: as an honest party says it."""
MORE: dict[str, tuple[Say, ...]] = {
    "offered-by-hirer": (receipt(waiting_until=NOON),),
    "sealed": (amendment(), release()),
    "working": (amendment(), suspend(), breach(), approval_request(), progress(3, "here")),
    "suspended": (breach(),),
    "delivered": (breach(),),
}
"""What is said besides, in these states, by whoever may."""


def changed(value: Any, other: Callable[[str], str]) -> Any:
    """`value` with every instant and duration in it replaced by another."""
    if isinstance(value, str):
        return other(value)
    if isinstance(value, msgspec.Struct):
        fields = {name: changed(getattr(value, name), other) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **fields)
    if isinstance(value, tuple):
        return tuple(changed(one, other) for one in value)
    if isinstance(value, Mapping):
        return {name: changed(one, other) for name, one in value.items()}
    return value


def look(party: Party) -> None:
    """Everything that is asked of what a party holds, now and at the end of time."""
    engagement = party.engagement
    wake_at(engagement)
    waits(engagement)
    for now in (party.now, LAST):
        pending(engagement, now)
        presence(engagement, now)
        passed(engagement, party.role, now)


def say(book: Playbook, party: Party, move: Say, other: Callable[[str], str]) -> bool:
    """Whether it was said and taken, with other times in it; a refusal has its code."""
    if move.type == "Offer" and party.engagement.contract is None:
        try:
            move = offer(terms=changed(terms_for(party), other))
            move.write(party)
        except FormatError:
            return False
    written = move.write(party)
    signed = {name: written[name] for name in ("document", "contract_proof", "presentation") if name in written}
    written = changed(written, other) | signed
    move = Say(move.type, lambda _: written, changed(move.members, other))
    try:
        move.message(party)
    except FormatError:
        return False  # its schema has no such message
    try:
        book.say(party, move)
    except (LocalProtocolError, RemoteProtocolError, VerificationError):
        return False
    finally:
        for one in book.parties.values():
            look(one)
    return True


@pytest.mark.parametrize("state", sorted(PATHS))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_due_can_be_said_whatever_the_times_are(state: str, data: st.DataObject) -> None:
    """I4, I6, I12: nothing that passes its schema makes the fold, or what is asked of it, fail."""

    def other(text: str) -> str:
        for pattern, values in ((INSTANT, instants), (DURATION, durations)):
            if pattern.search(text):
                return data.draw(values) or text
        return text

    book = Playbook("-")
    for role, recipe in PATHS[state]:
        if not say(book, book.parties[role], recipe(), other):
            return
    for more in MORE.get(state, ()):
        for party in book.parties.values():
            say(book, party, more, other)
    for party in book.parties.values():
        party.journal.append(Noted("connection", f"lost {party.now}", party.now))
        party.crash()
        look(party)
