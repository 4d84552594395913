"""What `contract show` says of a contract."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from contracts import SCOPE, terms
from undersigned.cli.contract import lane_told
from undersigned.cli.contract_show import became
from undersigned.cli.contract_table import changed_terms, table_answer
from undersigned.contract import Criterion
from undersigned.messages import Settled
from undersigned.testing import Playbook, Say, acceptance, amendment, closing, delivery, dispute, review, ruling


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


def test_what_no_clause_says_is_told_as_well() -> None:
    """An extension by what it holds, and another order by place."""
    last = Criterion(id="short", text="of one page")
    (item,) = terms().deliverables
    either = [replace(item, criteria=both) for both in ((*item.criteria, last), (last, *item.criteria))]
    scopes = [replace(SCOPE, extensions={"https://acme.example/x": held}, critical=()) for held in ({"most": 1}, [])]
    before, after = (terms(deliverables=(one,), scope=scope) for one, scope in zip(either, scopes, strict=True))
    told = {one.what.strip(): (one.recorded, one.now) for one in changed_terms(before, after)}
    where = f"deliverables {item.name} criteria"
    assert told == {
        f"{where} 1 id": ("complete", "short"),
        f"{where} 1 text": ("names every component", "of one page"),
        f"{where} 2 id": ("short", "complete"),
        f"{where} 2 text": ("of one page", "names every component"),
        "Also https://acme.example/x": ('{"most":1}', "[]"),
    }
    critical = terms(scope=replace(scopes[1], critical=("https://acme.example/x",)))
    (one,) = changed_terms(terms(scope=scopes[1]), critical)
    assert (one.what, one.recorded, one.now) == ("Also https://acme.example/x", "[]", "[], critical")


def test_books_of_before_a_dispute_are_told_from_those_that_count() -> None:
    """Both sums stood there, and which of them is owed only the order told."""
    playbook = Playbook("delivered")
    playbook.hirer >> review()
    playbook.hirer >> closing()
    playbook.provider >> dispute()
    playbook.hirer >> ruling()
    playbook.hirer >> closing(basis="ruling", settlement=Settled(amount="6", currency="EUR"))
    party = playbook.parties["hirer"]
    moves = [one.message for one in party.stored.values()]
    assert [line for line in became(party.engagement, moves, {}) if line.startswith("Books")] == [
        "Books         of the hirer, before the dispute: 12.5 EUR owed",
        "Books         of the hirer: 6 EUR owed",
    ]


def test_what_was_delivered_is_told_also_where_rework_comes_to_nothing() -> None:
    """A part of the price may be owed for it."""
    playbook = Playbook("delivered")
    playbook.hirer >> review("rework")
    playbook.provider >> delivery("failed", artifacts=())
    party = playbook.parties["provider"]
    moves = [one.message for one in party.stored.values()]
    assert next(became(party.engagement, moves, {})).startswith("Delivered ")
