"""Subcontracts between running peers: SC-58, a chain that does not hold, and SC-116, a failure five levels down."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from integration.chains import NAMES, PRICES, homes_of, peers_of
from integration.hires import REPORT, until
from integration.test_subcontracts import work_of
from undersigned.encoding import JsonObject
from undersigned.errors import PolicyError
from undersigned.messages import Delivery
from undersigned.runtime import Conversation, Handler, Job, load_engagement

LEVELS = 5


@pytest.mark.timeout(240)
async def test_sc_116_a_failure_travels_up_as_signed_outcomes(tmp_path: Path) -> None:
    """HIRE-SUB-09: each level says `failed`, signed, and whose failure it was; nobody tries again, nothing is left."""
    homes = await homes_of(tmp_path, LEVELS + 2)
    dids = [home.configuration.did for home in homes]
    asked = [0] * len(homes)

    def hires_next(place: int) -> Handler:
        async def handler(job: Job) -> None:
            asked[place] += 1
            text = await job.read("report")
            if place == len(homes) - 1:
                raise RuntimeError("it cannot be done")
            await job.hire(
                dids[place + 1],
                task="summary",
                inputs={"report": text},
                price=PRICES[place + 1],
                subcontracting=LEVELS - place,
                onward=place < LEVELS,
            )

        return handler

    handlers = [None, *(hires_next(place) for place in range(1, len(homes)))]
    async with peers_of(homes, handlers) as peers:
        with pytest.raises(PolicyError) as caught:
            await peers[0].hire(
                dids[1], task="summary", inputs={"report": REPORT}, price="20 EUR", subcontracting=LEVELS, onward=True
            )
        assert caught.value.code == "upstream_failed"
        await until(lambda: not any(peer.conversations for peer in peers), 60)
        assert asked == [0, *[1] * (LEVELS + 1)]
        contracts: list[str | None] = []
        for place, peer in enumerate(peers):
            summaries = await peer.ledger.summaries()
            assert [one.state for one in summaries] == ["closed"] * (1 if place in (0, LEVELS + 1) else 2), NAMES[place]
            assert not any(one.live for one in summaries)
            below = next((one for one in summaries if one.role == "hirer"), None)
            for one in summaries:
                if one.role != "provider":
                    continue
                contracts.append(one.contract)
                loaded = await load_engagement(peer.ledger, one, peer.identity.did)
                (delivery,) = [move for move in loaded.moves if isinstance(move, Delivery)]
                assert delivery.outcome == "failed"
                if below is None:
                    assert delivery.statements == ()
                    continue
                (line,) = work_of(delivery).subcontracts
                assert (line.provider, line.contract) == (dids[place + 1], below.contract)
                assert line.outcome == "review rejected"
            for contract in contracts:
                assert await peer.ledger.open_reservations(contract or "") == ()
    assert len(set(contracts)) == LEVELS + 1


@pytest.mark.parametrize("part", ["document", "acceptance", "seal"])
async def test_sc_58_a_parent_that_nobody_signed_is_refused_when_offered(tmp_path: Path, part: str) -> None:
    """HIRE-SUB-02: a hirer that shows a parent with a signature of something else finds nobody; nothing is moved."""
    homes = await homes_of(tmp_path, 3)
    found: list[PolicyError] = []

    async def handler(job: Job) -> None:
        text = await job.read("report")
        try:
            await job.hire(homes[2].configuration.did, task="summary", inputs={"report": text}, price="8 EUR")
        except PolicyError as error:
            found.append(error)
        await job.deliver("summary.txt", b"alone")

    async with peers_of(homes, [None, handler, None]) as (acme, globex, initech):
        honest = globex.above.shown

        async def forged(conversation: Conversation) -> tuple[JsonObject, ...]:
            (parent,) = copy.deepcopy(await honest(conversation))
            whole: Any = parent
            proofs = {
                "document": whole["document"]["proof"][0],
                "acceptance": whole["acceptance"]["proof"],
                "seal": whole["seal"]["proof"],
            }
            other = "seal" if part == "acceptance" else "acceptance"
            proofs[part]["proofValue"] = proofs[other]["proofValue"]
            return (parent,)

        globex.above.shown = forged  # type: ignore[method-assign]
        events = initech.watchers.listen()
        await acme.hire(
            homes[1].configuration.did,
            task="summary",
            inputs={"report": REPORT},
            price="20 EUR",
            subcontracting=1,
            onward=True,
        )
        (error,) = found
        assert "proof_invalid" in error.message
        refused = [one for one in (events.get_nowait() for _ in range(events.qsize())) if one.kind == "refused"]
        assert [(one.type, one.code, one.state) for one in refused] == [("Offer", "proof_invalid", "ready")]
        (summary,) = await initech.ledger.summaries()
        assert (summary.state, summary.contract) == ("withdrawn", None)
