"""What of a pack stands in its packer's log, what was cosigned, and what was left out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pack_cases import (
    DECISION,
    ITS,
    LATER,
    NAMED_WITNESSES,
    OTHER,
    WITNESSED,
    WRONG_HEADS,
    WRONG_PROOFS,
    hires,
    proved_hire,
    recorded,
    recorded_hire,
    stated_logs,
    withheld,
)
from packs import Hire, Log
from undersigned.encoding import digest_bytes
from undersigned.evidence import Report, verify_pack
from undersigned.messages import Recorded

LEDGER, REFUSED, DECISIONS = 8, 9, 10


@pytest.fixture(scope="module")
def hire() -> Hire:
    return proved_hire()


def first(report: Report) -> tuple[int, str]:
    return next(((step.number, step.code) for step in report.steps if not step.ok), (0, ""))


def test_moves_and_decisions_are_proved_to_be_in_the_log(hire: Hire) -> None:
    """HIRE-PCK-06: contract, moves and decisions, each under the checkpoint of the pack."""
    data = hire.pack(proofs=hire.proofs(), decisions=(DECISION, OTHER))
    report = verify_pack(data, now=LATER)
    assert report.ok, report.steps
    assert report.not_judged == ()
    said = report.steps[LEDGER - 1].detail
    assert f"leaf 4 of 12 in the log of {hire.hirer.actor.did}; {len(hire.leaves) - 1} more leaves in" in said
    assert report.steps[DECISIONS - 1].detail.startswith("2 decisions as recorded; ")


def test_a_decision_that_is_withheld_is_still_proved(hire: Hire) -> None:
    """HIRE-PCK-07: its commitment stands in the log, so whoever sees it later can tell that it is this one."""
    hidden = digest_bytes(ITS + OTHER)
    data = hire.pack(
        proofs=hire.proofs(hidden={hidden}), decisions=(DECISION,), withheld=withheld(("decision", ITS + OTHER))
    )
    assert b"unknown" not in data
    report = verify_pack(data, now=LATER)
    assert report.ok, report.steps
    assert report.steps[DECISIONS - 1].detail.startswith("1 decision as recorded; withheld: 1 of kind decision; ")


def test_what_the_packers_closing_says_is_in_its_pack() -> None:
    """HIRE-PCK-10: decisions and refusals, each here or withheld; of what the other side has nothing can be said."""
    for case in recorded():
        report = verify_pack(case.data, now=LATER)
        assert report.ok == (case.name in RECORDED_HOLD), (case.name, report.steps)
        refused = next((step for step in report.steps if not step.ok), None)
        if case.name.startswith("one of the ") and refused is not None:
            assert (refused.number, refused.code) == (
                DECISIONS if "decisions" in case.name else REFUSED,
                "evidence_invalid",
            )


RECORDED_HOLD = (
    *("all", "the provider's", "a subcontract, of which the hirer has no pack"),
    *("one of the refusals withheld", "one of the decisions withheld"),
)


def test_refusals_that_are_withheld_are_said_and_counted() -> None:
    """HIRE-PCK-07: and so are those that the work statement names and nobody states here."""
    hire, of = recorded_hire()
    named = "; the work statements name 11, 2 of which are not stated here"
    all_withheld = withheld(*(("refusal", one) for one in of["refusals"]))
    for change, words in (
        ({}, f"2 refused actions are stated by {hire.hirer.actor.did}{named}"),
        (
            {"refusals": (), "withheld": all_withheld},
            "none in this pack; 2 withheld; the work statements name 11, 11 of which are not stated here",
        ),
    ):
        report = verify_pack(hire.pack(**{**of, **change}), now=LATER)
        assert report.ok, report.steps
        assert report.steps[REFUSED - 1].detail == words


def test_a_pack_without_a_contract_says_nothing_of_a_log() -> None:
    report = verify_pack(next(case.data for case in hires() if case.name == "negotiation, withdrawn"), now=LATER)
    assert report.ok, report.steps
    assert report.steps[LEDGER - 1].detail == "no contract, and no proof of a log in this pack"


@pytest.mark.parametrize("what", WRONG_PROOFS)
def test_what_does_not_fit_is_found(what: str, hire: Hire) -> None:
    """HIRE-PCK-06, HIRE-PCK-07."""
    make, expected = WRONG_PROOFS[what]
    assert first(verify_pack(hire.pack(**make(hire)), now=LATER)) == expected


def test_what_is_said_of_logs_at_sealing_is_checked() -> None:
    """HIRE-PCK-06, HIRE-LOG-22: heads, that they go on, and who cosigned them; what the pack does not have is named."""
    for case in list(stated_logs())[:2]:
        report = verify_pack(case.data, now=LATER)
        assert report.ok, report.steps
        said = report.steps[LEDGER - 1].detail
        assert (
            "1 head continues what was stated before; 1 head continues what this pack does not have: not checked"
            in said
        )
        assert "2 cosignatures hold" in said


@pytest.mark.parametrize("what", WRONG_HEADS)
def test_what_contradicts_itself_at_sealing_is_found(what: str) -> None:
    """HIRE-PCK-06."""
    make, code = WRONG_HEADS[what]
    assert first(verify_pack(make().pack(), now=LATER)) == (LEDGER, code)


@pytest.mark.parametrize("what", WITNESSED)
def test_lines_of_witnesses_are_checked(what: str) -> None:
    """HIRE-PCK-08: one that does not hold refuses the pack; one whose keys are not known is not counted."""
    make, code = WITNESSED[what]
    report = verify_pack(make(), now=LATER)
    assert first(report) == ((LEDGER, code) if code else (0, ""))
    if not code:
        said = report.steps[LEDGER - 1].detail
        alone = (
            *("the other side", "a witness whose clock went back to its beginning"),
            *("a witness by the second of its keys", "a witness a minute ahead"),
        )
        checked = 2 if what == "two witnesses" else int(what in alone)
        assert said.count("cosigned 4 leaves at ") + said.count("cosigned 7 leaves at ") == checked
        assert ("not checked" in said) == (checked == 0)
        assert ("at 1970-01-01T00:00:00Z" in said) == ("clock" in what)
    if what == "two lines by one witness":
        assert "the note carries 2 cosignatures by did:key:" in report.steps[LEDGER - 1].detail


@pytest.mark.parametrize("what", NAMED_WITNESSES)
def test_witnesses_that_the_verifier_names_must_have_cosigned(what: str) -> None:
    """HIRE-PCK-08: by the key that it has from elsewhere; the same pack holds for whoever names none."""
    make, named, code = NAMED_WITNESSES[what]
    assert verify_pack(make(), now=LATER).ok
    report = verify_pack(make(), now=LATER, witnesses=named)
    assert first(report) == ((LEDGER, code) if code else (0, ""))
    if not code:
        said = report.steps[LEDGER - 1].detail
        assert all(f"{one.name} cosigned " in said for one in named)
        assert said.count(" cosigned ") == len(named)


def test_cosignatures_of_closings_are_checked() -> None:
    """HIRE-PCK-06: by the other side, of the packer's log, and of no other history of it."""
    hire = Hire().sealed().delivered().reviewed()
    hire.closed(cosignatures=(hire.cosigned(),))
    for role in ("hirer", "provider"):
        report = verify_pack(hire.pack(role), now=LATER)
        assert report.ok, report.steps
        assert "1 cosignature holds" in report.steps[LEDGER - 1].detail


@pytest.mark.parametrize(
    ("cosignature", "code"),
    [
        (lambda hire: hire.cosigned("hirer"), "log_proof_invalid"),
        (lambda hire: hire.cosigned("provider", hire.logs["provider"]), "log_proof_invalid"),
        (lambda hire: "uAAAA", "log_proof_invalid"),
    ],
    ids=["by another", "of another log", "no note"],
)
def test_a_cosignature_that_is_none_is_found(cosignature: Callable[[Hire], str], code: str) -> None:
    """HIRE-LOG-09, HIRE-PCK-06, HIRE-PCK-11: it spoils the pack of who made it, and is said in the other's."""
    hire = Hire().sealed().delivered().reviewed()
    hire.closed(cosignatures=(cosignature(hire),))
    assert first(verify_pack(hire.pack("provider"), now=LATER)) == (LEDGER, code)
    report = verify_pack(hire.pack(), now=LATER)
    assert report.ok, report.steps
    said = report.steps[LEDGER - 1].detail
    assert f"{hire.provider.actor.did} said of a log what does not hold (message 13, Closing: {code}, " in said
    assert "cosignature holds" not in said


def test_a_cosignature_of_another_history_counts_against_the_logs_owner() -> None:
    """HIRE-PCK-06, HIRE-PCK-11: a packer whose log had what was cosigned took the cosignature, and else refused it."""
    hire = Hire().sealed().delivered().reviewed()
    hire.closed(cosignatures=(hire.cosigned("provider", Log(hire.hirer.actor, 4)),))
    assert first(verify_pack(hire.pack(), now=LATER)) == (LEDGER, "ledger_diverged")
    report = verify_pack(hire.pack("provider"), now=LATER)
    assert report.ok, report.steps
    said = report.steps[LEDGER - 1].detail
    assert f"{hire.hirer.actor.did} said of a log what does not hold (message 13, Closing, its cosignatures" in said


@pytest.mark.parametrize(("kind", "step"), [("decision", DECISIONS), ("refusal", REFUSED)])
def test_of_each_kind_as_many_are_asked_for_as_were_recorded_of_it(kind: str, step: int) -> None:
    """HIRE-PCK-10: of which the other kind may have fewer, or none."""
    of_it = {"decision": "decisions", "refusal": "refusals"}[kind]
    counts = {"decisions": 0, "refusals": 0, of_it: 1}
    hire = Hire().sealed().delivered().reviewed().closed(recorded=Recorded(**counts))
    assert verify_pack(hire.logged().pack(proofs=hire.proofs()), now=LATER).steps[step - 1].code == "evidence_invalid"
    none = Hire().sealed().delivered().reviewed().closed(recorded=Recorded(decisions=0, refusals=0))
    assert verify_pack(none.logged().pack(proofs=none.proofs()), now=LATER).ok
