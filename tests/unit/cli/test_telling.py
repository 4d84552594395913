"""An engagement in words: every kind of message has a line, and no peer writes it for us."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from message_examples import conversation
from undersigned.cli.starting import goes_on
from undersigned.cli.telling import event_json, event_line, noted, part_of, quiet, row_line, summary_of
from undersigned.credentials.envelope import enveloped_credential
from undersigned.credentials.jws import CREDENTIAL_JWT, draft_jws
from undersigned.messages import MESSAGE_TYPES, ApprovalRequest, CriterionVerdict, Delivery, Presentation, Review
from undersigned.protocol.put_away import UNHEARD_SECONDS
from undersigned.runtime import Event

MESSAGES = conversation()


def event(kind: str, name: str = "Offer", **more: object) -> Event:
    return Event(engagement="urn:x", kind=kind, type=name, at="2026-11-24T09:30:00Z", state="ready", **more)


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_told_in_one_line(name: str) -> None:
    message = MESSAGES[name].message
    said = summary_of(message)
    assert said.isprintable()
    assert len(said) < 400
    assert event_line(event("sent", message.type, message=message)) == row_line(
        "2026-11-24T09:30:00Z", "sent", message.type, said
    )
    told = msgspec.json.decode(msgspec.json.encode(event_json(event("received", message.type, message=message))))
    assert told["message"]["engagement"] == message.engagement
    assert "proof" not in told["message"]


def test_a_request_for_approval_says_whose_answer_it_waits_for() -> None:
    """Else `hire` went on to say that the provider owes the work, and its owner did not know that it was asked."""
    request = next(one.message for one in MESSAGES.values() if isinstance(one.message, ApprovalRequest))
    assert summary_of(request).endswith("; waits for the hirer's answer, see 'contract show'")


def test_work_that_failed_delivered_nothing() -> None:
    delivery = next(one.message for one in MESSAGES.values() if isinstance(one.message, Delivery))
    failed = replace(delivery, outcome="failed", artifacts=(), statements=())
    assert summary_of(failed) == "failed: nothing was delivered"


def test_what_is_shown_as_a_jwt_is_told_by_what_is_inside() -> None:
    shown = next(one.message for one in MESSAGES.values() if isinstance(one.message, Presentation))
    inside = {"type": ["VerifiableCredential", "MembershipCredential"]}
    jwt = draft_jws(inside, CREDENTIAL_JWT, "did:example:a#key", "Ed25519").signed(bytes(64))
    for credential, told in ((enveloped_credential(jwt), "MembershipCredential"), (enveloped_credential("l"), "?")):
        presentation = {**shown.presentation, "verifiableCredential": [credential]}
        assert summary_of(replace(shown, presentation=presentation)).startswith(f"shows {told}")


@pytest.mark.parametrize(
    ("verdict", "met", "said"),
    [
        ("accepted", True, "; 1 of 1 criteria met"),
        ("rejected", True, "; 1 of 1 criteria met by the hirer's own check"),
        ("rejected", False, "; 0 of 1 criteria met"),
    ],
)
def test_whose_word_a_verdict_is_is_told(verdict: str, met: bool, said: str) -> None:
    """What a verifier passes is met by its word alone: nobody else may have looked."""
    review = next(one.message for one in MESSAGES.values() if isinstance(one.message, Review))
    verifier = summary_of(replace(review, sender="did:web:else.example", verdict="accepted")).partition(";")[0]
    assert verifier.startswith("accepted by the verifier did:")
    criteria = (CriterionVerdict(id="short", met=met),)
    told = summary_of(replace(review, sender="did:web:else.example", verdict=verdict, criteria=criteria))
    assert told == verifier.replace("accepted", verdict) + said


def test_every_type_of_message_has_words() -> None:
    told = {message.message.type for message in MESSAGES.values() if summary_of(message.message)}
    assert set(MESSAGE_TYPES) - told == set()


def test_a_line_says_who_spoke() -> None:
    offer = next(message.message for message in MESSAGES.values() if message.message.type == "Offer")
    assert event_line(event("sent", message=offer)).startswith("09:30:00  -> Offer ")
    assert event_line(event("received", message=offer)).startswith("09:30:00  <- Offer ")
    assert event_line(event("noted", "order", detail="{}")).startswith("09:30:00     order ")
    assert "<- Offer          REFUSED: " in event_line(event("refused", message=offer, detail="proof_invalid: no"))
    assert "CANNOT BE SAID: policy_denied" in event_line(event("refused", detail="policy_denied: no"))
    assert event_line(event("over", "")).endswith("over           ready")


def test_only_what_keeps_in_step_is_left_out() -> None:
    receipts = [message.message for message in MESSAGES.values() if message.message.type == "Receipt"]
    assert receipts
    for receipt in receipts:
        assert quiet(event("sent", "Receipt", message=receipt)) == (receipt.waiting is None)
        assert not quiet(event("refused", "Receipt", message=receipt))
    offer = next(message.message for message in MESSAGES.values() if message.message.type == "Offer")
    assert not quiet(event("sent", message=offer))
    assert not quiet(event("noted", "decision"))


@pytest.mark.parametrize(
    ("name", "fact", "said"),
    [
        ("order", '{"ceiling":{"amount":"5","currency":"EUR"}}', "we want it for at most 5 EUR"),
        ("order", '{"probe":true}', "only to see whether policy allows it"),
        (
            "decision",
            '{"outcome":"deny","reasons":[{"clause":"require","value":"no MembershipCredential"}]}',
            "deny (require: no MembershipCredential)",
        ),
        (
            "decision",
            '{"outcome":"deny","reasons":[{"clause":"max_price","value":"4 EUR","wouldPass":"at most 3"}]}',
            "deny (max_price: 4 EUR, would pass: at most 3)",
        ),
        (
            "refused-action",
            '{"action":"tools/call x","target":"","clause":"rules","reason":"no tool \'x\' under this contract"}',
            "tools/call x refused by clause 'rules': no tool 'x' under this contract",
        ),
        (
            "refused-action",
            '{"action":"artifact:read","target":"https://acme.example/payroll","clause":"read-1","reason":"outside"}',
            "artifact:read on …s://acme.example/payroll refused by clause 'read-1': outside",
        ),
        ("rejected", "digest_mismatch: \x1b[31mred", "digest_mismatch: \\x1b[31mred"),
        ("renewed", '{"standIns":[{}]}', "1 credential of the other side, issued anew and shown again"),
        (
            "child",
            '{"provider":"did:web:globex.example","task":"summary","outcome":"review accepted"}',
            "hire of did:web:globex.example for summary: review accepted",
        ),
        ("child", '{"provider":"did:web:globex.example","task":"s"}', "hire of did:web:globex.example for s: begun"),
        ("listening", "2026-11-25T12:00:00Z", "we are there again; from now on the provider's silence counts"),
        (
            "due",
            '{"amount":"4","currency":"EUR","method":"manual"}',
            "4 EUR due by manual: waits for our word, see 'contract settle'",
        ),
        ("paid", '{"paid":true,"reference":"inv-1","amount":"4","currency":"EUR"}', "our word: paid as inv-1"),
        ("paid", '{"paid":true}', "our word: paid"),
        ("paid", '{"paid":false,"note":"no \\u001b[31mmoney"}', "our word: not paid: no \\x1b[31mmoney"),
        (
            "early",
            '[{"move":"uEiBtvhGRXSQcLKwrDLC-Nm91ON7I5dPjFv6r1dHS_Fyisw","type":"Breach","what":"cureBy","said":"2026-11-25T12:00:00Z","signed":null,'
            '"allowed":"2026-11-25T13:00:00Z"}]',
            "BEFORE ITS TIME: Breach (cureBy) sets 2026-11-25T12:00:00Z; by our record not before 2026-11-25T13:00:00Z",
        ),
        ("early", "[]", ""),
        (
            "books",
            '[{"what":"owed","ours":"4 EUR","theirs":"400 EUR"},{"what":"basis","ours":"review","theirs":"silence"}]',
            "THE BOOKS DIFFER: owed: 400 EUR by the other side, 4 EUR by ours; "
            "basis: silence by the other side, review by ours",
        ),
        ("books", "[]", "the books of the other side are as ours now"),
        (
            "verdict-awaited",
            "did:web:judge.example",
            "by did:web:judge.example: it gets the pack ('export'), and 'contract judge' carries what it says",
        ),
        (
            "review-word",
            '{"round":1,"met":{"whole":true,"short":false}}',
            "a person said: whole is met, short is not met; the verdict is that of the verifier",
        ),
        ("something-new", "{}", ""),
    ],
)
def test_what_was_noted_is_told(name: str, fact: str, said: str) -> None:
    assert noted(name, fact) == said


@given(
    st.sampled_from(["early", "books", "order", "decision", "refused-action", "renewed", "rejected", "x"]),
    st.text(max_size=200),
)
def test_notes_are_printable_whatever_they_hold(name: str, text: str) -> None:
    assert noted(name, text).isprintable()
    record = {"ceiling": {"amount": text}, "action": text, "target": text, "clause": text, "reason": text}
    value = msgspec.json.encode(record).decode() if text.isascii() else "{}"
    assert noted(name, value).isprintable()


def test_nothing_is_told_of_what_is_not_there() -> None:
    """No space at the end for a note, and no count of criteria where none were agreed."""
    said = {one.message.type: one.message for one in MESSAGES.values()}
    assert summary_of(replace(said["Progress"], percent=50, note=None)) == "50 %"
    assert summary_of(replace(said["Progress"], percent=None, note="half of it")) == "half of it"
    assert summary_of(replace(said["Progress"], percent=None, note=None)) == "still at work"
    assert summary_of(replace(said["Review"], criteria=())).endswith("no criteria were agreed")


def test_what_is_over_does_not_go_on() -> None:
    """A start tells the other side of it once more, and that is what is said."""
    assert UNHEARD_SECONDS // 60 == 8
    one = {"engagement": "urn:hire:engagement:x", "peer": "did:web:globex.example", "why": "ended: changed"}
    again = "has not confirmed: it is told again, for a day at most, or eight minutes if it never said anything"
    over = f"urn:hire:engagement:x is withdrawn, which did:web:globex.example {again}"
    due = {"owes": ["provider"], "moves": ["Delivery"], "by": None, "why": "the work"}
    ended, works = {**one, "state": "withdrawn"}, {**one, "state": "working", **due}
    going = "goes on with urn:hire:engagement:x: working; owed: Delivery, by the provider (the work)"
    assert list(goes_on([ended, works])) == [going, over]
    many = f"3 engagements are over, which the other side {again}"
    assert list(goes_on([ended, works, ended, ended])) == [going, many]


def test_people_are_spared_the_keys_of_what_is_not_done_twice() -> None:
    assert quiet(event("noted", "done", detail="order:71a20d7b8bc347a4af2a3c7c28cc9cf7"))
    assert not quiet(event("noted", "decision", detail="{}"))


@pytest.mark.parametrize(
    ("digest", "part"),
    [
        ("uEiBG9UKvCPVp9DvN21xI", "G9UKvCPV"),
        ("uEiB-9UKvCPVp9DvN21xI", "B-9UKvCPV"),
        ("uEiB_9UKvCPVp9DvN21xI", "_9UKvCPV"),
    ],
)
def test_what_is_told_of_a_digest_can_be_typed_back(digest: str, part: str) -> None:
    """A name that begins with `-` is read as an option."""
    assert part_of(digest) == part
