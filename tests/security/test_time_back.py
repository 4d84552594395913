"""SC-59: time moved back does not revive an expired contract: real ledgers, reopened under an earlier clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from integration.hires import Hands, until
from requirements.test_changes import Pair, working
from support import refuses
from undersigned.contract import ARTIFACT_READ, Terms
from undersigned.daemon import Peer, RemoteDesk
from undersigned.daemon.gate_desk import Ask, RequestSigner
from undersigned.errors import ScopeError
from undersigned.messages import Delivery
from undersigned.protocol import Noted, apply, passed, pending, rights
from undersigned.runtime import ControlPart
from undersigned.runtime.engagement import conversation
from undersigned.scope import Action

HOUR = 3600


def to_the_end(terms: Terms) -> Terms:
    """Work may go on for as long as there is authority."""
    return replace(terms, deadlines=replace(terms.deadlines, finish=terms.deadlines.until))


async def worked(pair: Pair) -> str:
    """Work that may go on for as long as there is authority; the last instant of that."""
    await pair.agree(to_the_end)
    assert await pair.reads() == "read"
    return pair.ours.offered().terms.deadlines.until


async def test_sc_59_the_fold_and_the_gate_of_a_provider(tmp_path: Path) -> None:
    """Nobody ended it, because the hirer is gone: it was refused once, and stays so two hours and a half earlier."""
    clock = Hands()
    async with working(tmp_path, heartbeat="PT9H", clock=clock) as pair:
        home, id = pair.provider.home, pair.ours.id
        ends = await worked(pair)
        await pair.hirer.close()
        clock.ahead = 2 * HOUR + 600
        assert clock.now() > ends
        assert await pair.reads() == "contract_expired"
        # What was under way is stopped, and reported as failed.
        await until(lambda: pair.theirs.engagement.state == "delivered")
        assert pair.theirs.last("Delivery", Delivery).outcome == "failed"
        await pair.provider.close()

        clock.ahead = 60
        assert clock.now() < ends
        async with Peer.open(home, clock=clock, handlers={"summary": pair.works}) as again:
            view = again.conversations[id]
            engagement = view.engagement
            assert engagement.state == "delivered"
            last = engagement.last_at
            assert last is not None
            assert last > ends
            assert apply(engagement, Noted("note", "", clock.now())).last_at == last
            assert pending(engagement, clock.now()) == pending(engagement, last)
            contract, document = engagement.contract, view.offered()
            assert contract is not None
            target = pair.works.job.input("report").uri or ""  # type: ignore[union-attr]
            # Whatever state it is asked for in.
            with refuses(ScopeError, "contract_expired"):
                await again.gate.admit(contract.digest, document, "working", Action(name=ARTIFACT_READ, target=target))


async def test_sc_59_the_gate_server_of_a_hirer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its runtime ended it at `until`; under the earlier clock it stays ended, and servers are told so."""
    monkeypatch.setattr(conversation, "HEARING_SECONDS", 0)  # or it would listen for a minute, by a clock that stands
    clock = Hands()
    async with working(tmp_path, heartbeat="PT9H", clock=clock) as pair:
        home, id = pair.hirer.home, pair.ours.id
        ends = await worked(pair)
        target = pair.works.job.input("report").uri or ""  # type: ignore[union-attr]
        keyid = pair.provider.identity.method
        await pair.provider.close()
        clock.ahead = 3 * HOUR
        await pair.ours.settled()
        assert pair.ours.engagement.state == "closing"
        assert not passed(pair.ours.engagement, "hirer", clock.now())
        contract = pair.ours.engagement.contract
        assert contract is not None
        await pair.hirer.close()

        clock.ahead = 60
        assert clock.now() < ends
        again = Peer.open(home, clock=clock)
        again.gates = ControlPart()
        async with again, RemoteDesk(again.gates_url, home.gate_token()) as desk:
            engagement = again.conversations[id].engagement
            assert engagement.state == "closing"
            assert not rights(engagement, clock.now())
            await pair.provider.start()  # its document says whose key asks
            asked = Ask(
                contract=contract.digest,
                signed=RequestSigner(keyid=keyid, nonce="once-and-no-more-than-once"),
                action=ARTIFACT_READ,
                target=target,
                amounts={},
                facts={},
            )
            with refuses(ScopeError, "contract_expired"):
                await desk.admit(asked)
