"""A hire whose price is paid elsewhere: what the program hands over is agreed on, and both words close the books."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.hires import REPORT, two_homes, until
from undersigned import Peer, Settlement
from undersigned.errors import ConfigurationError


async def test_a_hire_says_how_it_is_paid(tmp_path: Path) -> None:
    """HIRE-PAY-01: by `manual` the result comes before the books are closed, and each owner's word closes its own."""
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        with pytest.raises(ConfigurationError, match="settlement"):
            await acme.hire(globex.own.id, task="summary", price="5 EUR", settlement=Settlement(method="nobody-knows"))
        result = await acme.hire(
            globex.own.id,
            task="summary",
            inputs={"report": REPORT},
            price="5 EUR",
            settlement=Settlement(method="manual"),
        )
        assert result["summary.txt"] == REPORT.split(b"\n", 1)[0]
        assert "manual" in acme.settlements.methods
        ours, theirs = (peer.conversations.contracts.get(result.contract) for peer in (acme, globex))
        assert ours is not None
        assert theirs is not None
        for view in (ours, theirs):
            assert view.offered().terms.settlement.method == "manual"
            await until(lambda view=view: view.engagement.state == "closing" and "due" in view.facts)
            assert view.engagement.contract.closed_by == ()  # type: ignore[union-attr]
        # A word that is noted is the last, so one that no message holds is none: the books stayed open for ever.
        with pytest.raises(ConfigurationError, match=r"reference: expected text without U\+000A"):
            await acme.changes.settle(ours, paid=True, reference="SEPA\n4711")
        with pytest.raises(ConfigurationError, match=r"note: expected text without U\+000A"):
            await acme.changes.settle(ours, paid=False, note="two\nlines")
        # Nothing stands for an empty one, such as `paid`, which would be signed.
        with pytest.raises(ConfigurationError, match="reference: expected words, got ''"):
            await acme.changes.settle(ours, paid=True, reference="")
        await acme.changes.settle(ours, paid=True, reference="SEPA 4711")
        await until(lambda: theirs.said("Closing", "hirer"))
        await globex.changes.settle(theirs, paid=True)
        await until(lambda: ours.engagement.state == theirs.engagement.state == "closed")
