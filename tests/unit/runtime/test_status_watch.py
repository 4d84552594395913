"""What becomes of a contract when a credential of the other side does not hold any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from runtimes import World, folded, last, lingers, messages
from support import refuses
from undersigned.encoding import Instant, digest_bytes
from undersigned.errors import CredentialError, LocalProtocolError, ScopeError
from undersigned.messages import Terminate
from undersigned.testing import problem
from unit.runtime.stories import forge
from unit.runtime.test_contract import amend

NAMED, OTHER = digest_bytes(b"agreed to be a reason"), digest_bytes(b"another")


class Failing:
    """A contract at work for which what NAMED stands for has to stay valid; and of what the provider showed, one does
    not hold any more, as long as it `fails`.
    """

    def __init__(
        self,
        world: World,
        monkeypatch: pytest.MonkeyPatch,
        purpose: str,
        credential: str = NAMED,
    ) -> None:
        self.conversation = world.begin()
        world.until("working", self.conversation.id)
        amend(world, lambda terms: replace(terms, must_stay_valid=(NAMED,)))
        self.fails, self.asked = True, list[Instant]()
        """When the provider was asked for what was issued anew. It has nothing."""
        self._world, self._error = world, {"credential": credential, "purpose": purpose}
        monkeypatch.setattr(world.hirer.meeting, "stands", self._stands)
        monkeypatch.setattr(world.hirer.renewals, "ask", self._ask)

    async def _stands(self, _: object) -> None:
        if self.fails:
            raise CredentialError("revoked", "told to", **self._error)

    async def _ask(self, *_: Any, **__: Any) -> None:
        self.asked.append(self._world.clock.now())

    def look(self) -> str:
        """In which state the hirer has the contract after it looked."""
        self._world.run(self._world.hirer.status_watch.look(self.conversation), 1)
        return self.state

    @property
    def state(self) -> str:
        return folded(self._world.hirer, self.conversation.id).state


@pytest.mark.parametrize(
    ("credential", "purpose", "waits", "ends"),
    [
        (NAMED, "revocation", "suspended", "closed"),
        (NAMED, "suspension", "suspended", "suspended"),
        (OTHER, "revocation", "working", "working"),
    ],
    ids=["revoked", "suspended", "not named"],
)
def test_only_what_was_agreed_to_be_a_reason_and_is_withdrawn_for_good_ends_a_contract(
    open_world: Callable[..., World],
    monkeypatch: pytest.MonkeyPatch,
    credential: str,
    purpose: str,
    waits: str,
    ends: str,
) -> None:
    """HIRE-STA-09, HIRE-REN-05: until then the hirer suspends it; for anything else the gate refuses, and no more."""
    world = open_world(handler=lingers)
    failing, watch = Failing(world, monkeypatch, purpose, credential), world.hirer.status_watch
    assert failing.look() == waits
    world.settle(watch.renewal_seconds + watch.every_seconds)
    assert failing.state == ends


def test_what_was_slept_is_no_time_in_which_something_could_be_shown(
    open_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-REN-03: whoever wakes asks once more, and waits for the answer; it had ended the contract at once."""
    world = open_world(handler=lingers)
    failing = Failing(world, monkeypatch, "revocation")
    failing.look()
    world.clock.ahead += int(world.hirer.status_watch.renewal_seconds) + 10
    woken = world.clock.now()
    assert failing.look() == "suspended"
    assert failing.asked[-1] >= woken
    failing.fails = False
    assert failing.look() == "working"


def test_a_provider_that_will_not_go_on_is_not_asked_for_ever(
    open_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-LIM-05: each `Resume` that it refuses for good is a line of our journal, and so is its refusal."""
    world = open_world(handler=lingers)
    failing, hirer = Failing(world, monkeypatch, "suspension"), world.hirer
    hirer.status_watch.every_seconds = 3600.0  # the test looks itself
    ours = failing.conversation
    failing.look()
    failing.fails = False
    said = 0
    for _ in range(100):
        world.cut = True
        failing.look()
        if (resumed := messages(hirer, ours.id)[-1]).message.type == "Resume":
            said += 1
            world.tell(forge(world, hirer, ours.id, problem(resumed.digest)), world.provider.did, hirer)
        world.settle(30)
    assert said == 7
    assert failing.state == "suspended"


def test_nothing_is_admitted_under_a_contract_that_is_not_in_force_here(open_world: Callable[..., World]) -> None:
    world = open_world()
    with refuses(ScopeError, "contract_expired"):
        world.run(world.hirer.status_watch.require(OTHER))


@pytest.mark.parametrize(
    ("credential", "purpose", "names", "ends"),
    [
        (NAMED, "revocation", None, "closed"),
        (NAMED, "revocation", NAMED, "closed"),
        (NAMED, "revocation", OTHER, "working"),
        (NAMED, "suspension", None, "working"),
        (OTHER, "revocation", OTHER, "working"),
    ],
    ids=["revoked", "expected", "another", "suspended", "not named"],
)
def test_an_owner_need_not_wait_but_gives_no_other_cause(
    open_world: Callable[..., World],
    monkeypatch: pytest.MonkeyPatch,
    credential: str,
    purpose: str,
    names: str | None,
    ends: str,
) -> None:
    """HIRE-STA-09: its `Terminate` has the credential that the terms name as evidence, as the watch's has."""
    world = open_world(handler=lingers)
    failing = Failing(world, monkeypatch, purpose, credential)
    revoking = world.hirer.changes.revoke(failing.conversation, cause="revoked", names=names)
    if ends == "working":
        with refuses(LocalProtocolError, "wrong_state"):
            world.run(revoking, 1)
    else:
        world.run(revoking, 1)
        said = last(world.hirer, failing.conversation.id, Terminate)
        assert (said.cause, said.names, said.evidence) == ("revoked", NAMED, (NAMED,))
    world.settle(10)
    assert failing.state == ends
