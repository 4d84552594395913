"""`offer` where nothing waits, and what a journal's facts about people look like. The rest needs two companies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from contracts import terms
from undersigned.cli.offer import waiting_as
from undersigned.cli.telling import noted
from undersigned.errors import ConfigurationError
from undersigned.runtime import WaitingTerms
from undersigned.runtime.negotiation.asked import AskedTerms
from undersigned.trust import Put, Standing
from unit.cli.running import files, run

TERMS = "uEiD1AusE0C1wn6TwC4T3OVJXzrCE3t3E1sdynUsSi1ffcg"
ENGAGEMENT = "urn:hire:engagement:uEiDPV7pS4kqIh8wU3oXo9Hn6GnCmU1rq5rXBGGrJ8mDqTg"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    assert run("init", tmp_path / "acme", "--local").code == 0
    return tmp_path / "acme"


def test_where_nothing_waits_nothing_is_listed(home: Path) -> None:
    assert run("offer", "list", "--home", home, "--json").values == [{"count": 0, "local": True}]


@pytest.mark.parametrize("verb", ["show", "approve", "refuse"])
def test_terms_that_do_not_wait_are_not_found(home: Path, verb: str) -> None:
    """HIRE-APR-06: and nothing is written."""
    before = files(home)
    by = () if verb == "show" else ("--as", home)
    ran = run("offer", verb, TERMS, *by, "--home", home, "--json")
    assert (ran.code, ran.error["code"]) == (2, "not_found")
    assert files(home) == before


@pytest.mark.parametrize("verb", ["approve", "refuse"])
def test_nobody_answers_without_a_name(home: Path, verb: str) -> None:
    assert run("offer", verb, TERMS, "--home", home, "--json").error["code"] == "bad_configuration"


def test_the_journal_says_who_is_waited_for_and_what_was_said() -> None:
    """HIRE-APR-07: in a line that people can act on; what is no such fact is only text."""
    asked = {"needed": 2, "until": "2026-11-25T12:00:00Z"}
    assert noted("approval-asked", json.dumps(asked)).startswith("waits for two people until 2026-11-25T12:00:00Z")
    said = [{"verdict": "approve", "terms": TERMS}, {"verdict": "refuse", "terms": TERMS}]
    assert noted("approvals", json.dumps(said)) == f"a person says: refuse {TERMS[4:12]}…"
    assert noted("approvals", "no list") == "no list"


def test_the_journal_says_which_change_waits_and_what_became_of_it() -> None:
    """HIRE-APR-09."""
    change: dict[str, str] = {"name": TERMS, "kind": "Amendment"}
    asked = {"needed": 1, "until": "2026-11-25T12:00:00Z", "terms": {"price": {"amount": "6", "currency": "EUR"}}}
    what = f"Amendment {TERMS[4:12]}… for 6 EUR"
    for name in ("change-asked", "change-drafted"):
        told = noted(name, json.dumps({**asked, "change": change}))
        assert told.startswith(f"{what} waits for a person until 2026-11-25T12:00:00Z"), name
    assert noted("change-offered", json.dumps({**asked, "change": change})) == f"{what} was approved, and is offered"
    dropped = {**asked, "change": {**change, "dropped": "nobody decided"}}
    assert noted("change-drafted", json.dumps(dropped)) == f"{what} is not offered: nobody decided"


def test_changes_of_one_contract_are_told_apart_by_their_own_names() -> None:
    """HIRE-APR-09: and refused one by one, since what is refused are their terms."""
    first, second = put_to_people(ENGAGEMENT), put_to_people(ENGAGEMENT)
    changed = [
        replace(one, about=replace(one.about, change=name, terms=name))
        for one, name in ((first, TERMS), (second, TERMS[:-4] + "AAAA"))
    ]
    assert waiting_as(TERMS, changed) is changed[0]
    for any_of_them in (False, True):
        with pytest.raises(ConfigurationError) as caught:
            waiting_as(ENGAGEMENT, changed, any_of_them=any_of_them)
        assert "2 changes wait" in caught.value.message


def test_an_approval_names_one_negotiation_of_several_with_the_same_terms() -> None:
    """HIRE-APR-06: nobody approves what they did not mean; a refusal is of the terms, wherever they wait."""
    first, second = put_to_people(ENGAGEMENT), put_to_people(ENGAGEMENT[:-4] + "AAAA")
    assert waiting_as(TERMS, [first]) is first
    assert waiting_as(second.about.engagement, [first, second]) is second
    assert waiting_as(TERMS, [first, second], any_of_them=True) is first
    with pytest.raises(ConfigurationError) as caught:
        waiting_as(TERMS, [first, second])
    assert caught.value.code == "bad_configuration"
    assert all(one.about.engagement in caught.value.message for one in (first, second))
    assert "2 negotiations wait" in caught.value.message


def put_to_people(engagement: str) -> WaitingTerms:
    """Terms that wait in a negotiation; what they say matters to nobody here."""
    hirer, provider = "did:web:acme.example", "did:web:globex.example"
    return WaitingTerms(
        about=Put(terms=TERMS, engagement=engagement, hirer=hirer, provider=provider),
        role="hirer",
        peer=provider,
        asked=AskedTerms(terms=terms(), cause=None, needed=1, until="2026-11-25T12:00:00Z", opens=True),
        decision="{}",
        given=(),
        standing=Standing(state="waits", needed=1, approved=(), refused=()),
    )
