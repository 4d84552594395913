"""Two peers on real sockets, one of them with policies in Cedar."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from integration.hires import REPORT, two_homes
from support import refuses
from undersigned.daemon import Peer
from undersigned.encoding import canonicalize, shift
from undersigned.errors import UndersignedError
from undersigned.runtime import Home, SystemClock
from undersigned.trust import Decision

ENDORSED = """
@id("endorsed")
@needs("EndorsementCredential")
permit (principal, action, resource)
when {
  principal.hasTag("EndorsementCredential") &&
  principal.getTag("EndorsementCredential").capabilities.contains("summary")
};
"""
MEET = 'action == Action::"meet"'
CHEAP_WORK_IS_DECLINED = """
permit (principal, action, resource);
@id("dear") forbid (principal, action == Action::"sign", resource)
when { context.terms.price.amount.lessThan(decimal("5.0")) };
"""


def endorse(home: Home) -> None:
    """A credential of the folder's organisation about its agent."""
    register, now = home.register(), SystemClock().now()
    try:
        signed = register.issue(
            "EndorsementCredential",
            home.configuration.did,
            {"capability": "summary"},
            now=now,
            until=shift(now, 3600),
        )
    finally:
        register.close()
    (home.path / "credentials" / "endorsement.json").write_bytes(canonicalize(signed))


def with_policies(home: Home, text: str) -> None:
    settings = home.path / "undersigned.toml"
    (home.path / "hiring.cedar").write_text(text)
    settings.write_text(settings.read_text().replace("[policy]\n", '[policy]\ncedar_file = "hiring.cedar"\n'))


async def test_a_party_that_cedar_does_not_permit_is_told_what_it_needs_and_hired_once_it_has_it(
    tmp_path: Path,
) -> None:
    """HIRE-POL-02, HIRE-POL-05. What the policies look for is asked for, and what they need is in the `Withdraw`."""
    acme, globex = await two_homes(tmp_path)
    with_policies(acme, ENDORSED)
    acme = Home(acme.path)
    did = globex.configuration.did
    async with Peer.open(globex) as provider, Peer.open(acme) as hirer:
        with refuses(UndersignedError, "policy_denied"):
            await hirer.hire(did, task="summary", inputs={"report": REPORT}, price="5 EUR")
        (summary,) = await provider.ledger.summaries()
        rows = await provider.ledger.rows(summary.engagement)
        (withdraw,) = [json.loads(row.raw) for row in rows if row.type == "Withdraw"]
        (need,) = withdraw["needed"]
        assert (need["code"], need["credential"]) == ("credential", "EndorsementCredential")

    endorse(globex)
    async with Peer.open(globex), Peer.open(acme) as hirer:
        hire = await hirer.hire(did, task="summary", inputs={"report": REPORT}, price="5 EUR")
        assert hire["summary.txt"] == REPORT.split(b"\n")[0]
        decisions = await recorded(hirer)
    assert {one.outcome for one in decisions} == {"deny", "allow"}
    last = decisions[-1]
    assert last.outcome == "allow"
    assert [reason.clause for reason in last.reasons] == ["require", "cedar:endorsed"]
    assert last.inputs.policy == acme.configuration.policy.digest


async def test_terms_that_cedar_forbids_are_not_signed(tmp_path: Path) -> None:
    """HIRE-POL-02. The party is met, and the offer is declined by the side that was to accept it."""
    acme, globex = await two_homes(tmp_path)
    with_policies(globex, CHEAP_WORK_IS_DECLINED)
    async with Peer.open(Home(globex.path)) as provider, Peer.open(acme) as hirer:
        with refuses(UndersignedError, "policy_denied"):
            await hirer.hire(globex.configuration.did, task="summary", inputs={"report": REPORT}, price="5 EUR")
        assert (await recorded(provider))[0].outcome == "allow"
        (summary,) = await provider.ledger.summaries()
        assert (summary.state, summary.contract) == ("withdrawn", None)


@pytest.mark.parametrize("outcome", ["", '@outcome("ask")'])
async def test_whom_cedar_does_not_let_us_meet_is_not_hired(tmp_path: Path, outcome: str) -> None:
    """HIRE-POL-02, HIRE-POL-03. A hirer asks as a provider and `check` do: a `sign` that is permitted is not enough."""
    acme, globex = await two_homes(tmp_path)
    with_policies(acme, f"permit (principal, action, resource); {outcome} forbid (principal, {MEET}, resource);")
    did = globex.configuration.did
    async with Peer.open(globex), Peer.open(Home(acme.path)) as hirer:
        with refuses(UndersignedError, "policy_denied"):
            await hirer.hire(did, task="summary", inputs={"report": REPORT}, price="5 EUR")
        (summary,) = await hirer.ledger.summaries()
        rows = await hirer.ledger.rows(summary.engagement)
        assert "Offer" not in {row.type for row in rows}
        (decision,) = await recorded(hirer)
    assert [reason.clause for reason in decision.reasons if reason.code != "met"] == ["cedar:policy1"]


async def recorded(peer: Peer) -> list[Decision]:
    """What was decided, of each engagement in turn."""
    return [
        msgspec.json.decode(row.raw, type=Decision)
        for summary in sorted(await peer.ledger.summaries(), key=lambda one: one.updated)
        for row in await peer.ledger.rows(summary.engagement)
        if (row.kind, row.type) == ("noted", "decision")
    ]
