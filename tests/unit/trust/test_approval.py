"""What people sign about terms: verified, and weighed."""

from __future__ import annotations

from typing import Any

import pytest

from approving import ALICE, BOB, MALLORY, signed
from contracts import terms
from parties import LATER, NOW, Party
from support import refuses
from undersigned.contract import Price, rebase
from undersigned.encoding import JsonObject, canonicalize
from undersigned.errors import ConfigurationError, FormatError, ProofError, UndersignedError
from undersigned.trust import Approvers, Put, Standing, VerifiedApproval, approval, terms_digest, verify_approval, weigh

PEOPLE = Approvers.from_toml({"alice": ALICE.did, "bob": BOB.key.multikey})
ENGAGEMENT = "urn:hire:engagement:uEiD1AusE0C1wn6TwC4T3OVJXzrCE3t3E1sdynUsSi1ffcg"
ABOUT = Put(
    terms=terms_digest(terms()), engagement=ENGAGEMENT, hirer=Party("hirer").did, provider=Party("provider").did
)
OTHER_TERMS = terms_digest(terms(price=Price(amount="9", currency="EUR")))
UNSIGNED = approval(id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b02", verdict="approve", about=ABOUT, given=NOW)
OTHER = "urn:hire:engagement:uEiAsLZFHOR2LVlzAXdIzT7cw78-PJwteSZQmAslf9B9KGA"


def verified(document: JsonObject, people: Approvers = PEOPLE) -> VerifiedApproval:
    return verify_approval(document, people, now=LATER)


def stands(*given: VerifiedApproval, needed: int = 1) -> Standing:
    return weigh(given, ABOUT, needed=needed)


@pytest.mark.parametrize("person", [ALICE, BOB], ids=["Ed25519", "P-256"])
def test_a_statement_holds_by_the_key_of_somebody_configured(person: Party) -> None:
    """HIRE-APR-02: checked with nothing but the statement and the names with their keys."""
    said = verified(signed(person, ABOUT, NOW, changes={"note": "within budget"}))
    assert (said.by, said.did, said.verdict, said.about, said.note) == (
        person.name,
        person.did,
        "approve",
        ABOUT,
        "within budget",
    )


@pytest.mark.parametrize("member", ["verdict", "terms", "engagement", "hirer", "provider", "given", "id", "note"])
def test_an_edited_statement_holds_no_more(member: str) -> None:
    """HIRE-APR-02."""
    edits: dict[str, Any] = {
        "verdict": "refuse",
        "terms": OTHER_TERMS,
        "engagement": OTHER,
        "hirer": MALLORY.did,
        "provider": MALLORY.did,
        "given": LATER,
        "id": "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b02",
        "note": "something else",
    }
    with refuses(ProofError, "proof_invalid"):
        verified(signed(ALICE, ABOUT, NOW) | {member: edits[member]})


def of_another_type() -> JsonObject:
    return signed(ALICE, ABOUT, NOW, changes={"type": "AnchorRecord"})


def otherwise_proved(**options: str) -> JsonObject:
    made = signed(ALICE, ABOUT, NOW)
    return made | {"proof": made["proof"] | options}


def by_two() -> JsonObject:
    one, two = signed(ALICE, ABOUT, NOW), signed(BOB, ABOUT, NOW)
    return one | {"proof": [one["proof"], two["proof"]]}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (signed(MALLORY, ABOUT, NOW), "key_not_authorized"),
        (signed(ALICE, ABOUT, NOW) | {"proof": signed(BOB, ABOUT, NOW)["proof"]}, "proof_invalid"),
        (by_two(), "proof_invalid"),
        (signed(ALICE, ABOUT, "2026-11-25T13:01:01Z"), "proof_from_future"),
        (otherwise_proved(cryptosuite="eddsa-rdfc-2022"), "suite_not_allowed"),
        (UNSIGNED, "proof_missing"),
        (of_another_type(), "schema_violation"),
        (signed(ALICE, ABOUT, NOW, changes={"approver": "bob"}), "unknown_term"),
        (signed(ALICE, ABOUT, NOW, changes={"verdict": "maybe"}), "schema_violation"),
        (signed(ALICE, ABOUT, NOW, changes={"note": "x" * 20_000}), "too_large"),
        (signed(ALICE, ABOUT, NOW) | {"proof": [3]}, "key_not_authorized"),
    ],
    ids=[
        "stranger",
        "another's proof",
        "two",
        "future",
        "suite",
        "none",
        "type",
        "member",
        "verdict",
        "large",
        "no proof",
    ],
)
def test_what_is_no_statement_of_an_approver_is_refused(document: JsonObject, code: str) -> None:
    """HIRE-APR-02."""
    with refuses(UndersignedError, code):
        verified(document)


def test_a_statement_is_measured_to_the_byte() -> None:
    padded = signed(ALICE, ABOUT, NOW) | {"note": ""}
    room = 16 * 1024 - len(canonicalize(padded))
    for more, code in ((0, "schema_violation"), (1, "too_large")):
        with refuses(FormatError, code):
            verified(padded | {"note": "x" * (room + more)})


def test_each_person_counts_once() -> None:
    """HIRE-APR-02: an approver who approves twice is one."""
    once, again, other = (verified(signed(who, ABOUT, NOW)) for who in (ALICE, ALICE, BOB))
    assert stands(once).state == "approved"
    assert stands(once, again, needed=2) == Standing(state="waits", needed=2, approved=("alice",), refused=())
    assert stands(once, again, other, needed=2).approved == ("alice", "bob")
    assert stands(needed=0).state == "waits", "nobody is never enough"


def test_a_refusal_outweighs_every_approval_also_one_of_another_engagement() -> None:
    """HIRE-APR-04."""
    there = Put(terms=ABOUT.terms, engagement=OTHER, hirer=ABOUT.hirer, provider=ABOUT.provider)
    approved = [verified(signed(who, ABOUT, NOW)) for who in (ALICE, BOB)]
    for about in (ABOUT, there):
        refused = verified(signed(ALICE, about, NOW, "refuse"))
        assert stands(*approved, refused).state == "refused"
        assert stands(refused).approved == ()
    dearer = Put(terms=OTHER_TERMS, engagement=ENGAGEMENT, hirer=ABOUT.hirer, provider=ABOUT.provider)
    assert stands(*approved, verified(signed(ALICE, dearer, NOW, "refuse"))).state == "approved", "of other terms"
    assert stands(verified(signed(ALICE, there, NOW))).state == "waits", "an approval is for one engagement"


def test_the_digest_names_terms_and_not_the_offer_they_stand_in() -> None:
    """HIRE-APR-02: the same content has one digest under the ids of any document."""
    assert terms_digest(rebase(terms(), f"{ENGAGEMENT}:hirer:3")) == terms_digest(rebase(terms(), f"{OTHER}:hirer:4"))
    assert terms_digest(terms()) != OTHER_TERMS


@pytest.mark.parametrize(
    "table",
    [
        {"alice": "did:web:agents.example.com"},
        {"alice": "z6Mk"},
        {"alice": ""},
        {"alice": ALICE.did, "carol": ALICE.key.multikey},
        {f"p{number}": Party(f"p{number}").did for number in range(65)},
    ],
    ids=["fetched", "no key", "empty", "one key twice", "many"],
)
def test_approvers_that_cannot_be_used_are_refused(table: dict[str, str]) -> None:
    """HIRE-APR-03."""
    with refuses(ConfigurationError, "bad_configuration"):
        Approvers.from_toml(table)


def test_as_many_approvers_as_there_may_be_are_read() -> None:
    """HIRE-APR-03."""
    assert len(Approvers.from_toml({f"p{number}": Party(f"p{number}").did for number in range(64)}).people) == 64


def test_a_statement_is_made_whole_or_not_at_all() -> None:
    with pytest.raises(FormatError):
        approval(id="1", verdict="approve", about=ABOUT, given=NOW)
