"""What `contract show` says of a contract."""

from __future__ import annotations

import pytest

from undersigned.cli.contract import lane_told
from undersigned.cli.contract_show import table_answer
from undersigned.testing import Playbook, Say, acceptance, amendment, delivery


@pytest.mark.parametrize(
    ("says", "answer"),
    [
        ((), "to be answered by "),
        ((acceptance(),), "accepted: the hirer owes its seal, or withdraws"),
        ((acceptance(), delivery()), "accepted, and overtaken by the work: the hirer withdraws"),
    ],
    ids=["offered", "accepted", "overtaken"],
)
def test_it_is_said_whose_answer_to_a_document_is_missing(says: tuple[Say, ...], answer: str) -> None:
    """Every wait shows who owes what: in the lane too."""
    playbook = Playbook("working")
    playbook.hirer >> amendment()
    for say in says:
        playbook.provider >> say
    for party in playbook.parties.values():
        tabled = party.engagement.tabled
        assert tabled is not None
        assert table_answer(tabled).startswith(answer)


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ((amendment(),), "; what the hirer offers is on the table, see 'contract show'"),
        ((amendment(), acceptance()), "; what the provider accepted waits for the other side's seal"),
    ],
    ids=["offered", "accepted"],
)
def test_what_is_on_the_table_is_told_behind_the_state(says: tuple[Say, ...], told: str) -> None:
    """It was told by the name that the state has among programs."""
    playbook = Playbook("working")
    assert {lane_told(party.engagement.lane) for party in playbook.parties.values()} == {""}
    for party, say in zip((playbook.hirer, playbook.provider), says, strict=False):
        party >> say
    assert {lane_told(party.engagement.lane) for party in playbook.parties.values()} == {told}
