"""Who signed it, for whom, for what and when."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from message_examples import DOCUMENTS, HIRER, NOW, PROVIDER, conversation, sign, verify
from support import refuses
from undersigned.did import DidDocument
from undersigned.encoding import canonicalize, shift
from undersigned.errors import (
    CODES,
    FormatError,
    LocalProtocolError,
    ProofError,
    ResolutionError,
    UndersignedError,
    VerificationError,
)
from undersigned.messages import (
    Inquiry,
    Message,
    VerifiedMessage,
    check_recordable,
    decode_message,
    engagement_id,
    problem_code_told,
    problem_path_told,
)

SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("name", sorted(conversation()))
def test_a_good_message_is_verified_in_both_suites(name: str, suite: str) -> None:
    """HIRE-SEC-04, HIRE-LD-07."""
    said = conversation(suite)[name]
    created = json.loads(said.raw)["proof"]["created"]
    assert verify(said.raw, now=created, suites=(suite,)) == said


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("name", sorted(conversation()))
def test_each_changed_member_breaks_the_proof(name: str, suite: str) -> None:
    """Everything that matters is under the signature: each text and number of each member, nested ones too."""
    raw = conversation(suite)[name].raw
    created = json.loads(raw)["proof"]["created"]
    tried = 0
    for place in _places(json.loads(raw)):
        message = json.loads(raw)
        inside: Any = message
        for step in place[:-1]:
            inside = inside[step]
        inside[place[-1]] = _changed(inside[place[-1]])
        try:
            received = decode_message(canonicalize(message))
        except (FormatError, ProofError):
            continue  # Refused before the proof is looked at: as good.
        with pytest.raises(UndersignedError) as caught:
            verify(received, now=created, suites=(suite,), recipient=json.loads(raw)["recipient"])
        assert problem_code_told(caught.value) in ("proof_invalid", "key_weak", "suite_not_allowed"), place
        tried += 1
    assert tried > 4


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [place for name, inner in value.items() for place in _places(inner, (*at, name))]
    if isinstance(value, list):
        return [place for index, inner in enumerate(value) for place in _places(inner, (*at, index))]
    return [at]


def _changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    # The last character but one: what is checked at the end of a text (padding bits, zones) stays right.
    last = value[-2:-1] or "b"
    other = "b" if last == "a" else "0" if last.isdigit() and last != "0" else "1" if last == "0" else "a"
    return value[:-2] + other + value[-1:] if len(value) > 1 else other


def _code(raw: bytes | Message, **other: Any) -> tuple[str, bool]:
    """Code, and whether its sender is told it."""
    if isinstance(raw, Message):
        raw = sign(raw).raw
    with pytest.raises(UndersignedError) as caught:
        verify(raw, **other)
    told = problem_code_told(caught.value)
    assert told in (caught.value.code, "proof_invalid")
    return caught.value.code, told == caught.value.code


def _start() -> Message:
    return conversation()["start"].message


def test_it_must_be_for_us() -> None:
    """HIRE-ENV-06."""
    assert _code(_start(), recipient=HIRER.did) == ("wrong_recipient", True)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(60, None), (61, "proof_from_future"), (0, None), (-3600, None), (-3601, "proof_expired")],
)
def test_created_and_expires_hold_to_the_second(seconds: int, code: str | None) -> None:
    """At most 60 s ahead and good up to `expires`, both inclusive; the proof here is good for an hour."""
    raw = sign(_start(), created=shift(NOW, seconds), expires=shift(NOW, seconds + 3600)).raw
    if code is None:
        verify(raw)
    else:
        assert _code(raw) == (code, True)


def test_a_proof_is_good_for_a_day_at_most() -> None:
    verify(sign(_start(), created=NOW, expires=shift(NOW, 86_400)).raw)
    assert _code(sign(_start(), created=NOW, expires=shift(NOW, 86_401)).raw) == ("proof_expired", True)


@pytest.mark.parametrize(
    ("recorded", "code"),
    [
        (NOW, None),
        (shift(NOW, 599), None),
        (shift(NOW, 600), "key_not_authorized"),
        (shift(NOW, 3601), "proof_expired"),
        (shift(NOW, -61), "proof_from_future"),
    ],
)
def test_what_waited_is_recorded_while_proof_and_key_are_good(recorded: str, code: str | None) -> None:
    """HIRE-PRF-03: it was verified at `NOW`, by a proof of an hour; where its key ends before, that does."""
    raw = sign(_start(), created=NOW, expires=shift(NOW, 3600)).raw
    ends = shift(NOW, 86_400 if code == "proof_expired" else 599)
    listed = json.loads(canonicalize(DOCUMENTS[HIRER.did].json))
    for method in listed["verificationMethod"]:
        method["expires"] = ends
    document = DidDocument(HIRER.did, canonicalize(listed))
    verified = verify(raw, documents={**DOCUMENTS, HIRER.did: document})
    if code is None:
        check_recordable(verified, document, now=recorded)
        return
    with refuses(UndersignedError, code):
        check_recordable(verified, document, now=recorded)


def test_expires_is_not_before_created() -> None:
    assert _code(sign(_start(), created=NOW, expires=shift(NOW, -1)).raw) == ("proof_invalid", True)
    verify(sign(_start(), created=NOW, expires=NOW).raw)


def test_the_purpose_is_that_of_the_type() -> None:
    for name, purpose in (("start", "assertionMethod"), ("seal", "authentication")):
        message = json.loads(conversation()[name].raw)
        message["proof"]["proofPurpose"] = purpose
        assert _code(canonicalize(message)) == ("proof_purpose_mismatch", False)


def test_a_suite_that_was_not_agreed_on_is_refused() -> None:
    assert _code(_start(), suites=("eddsa-rdfc-2022",)) == ("suite_not_allowed", True)
    message = json.loads(conversation()["start"].raw)
    message["proof"]["cryptosuite"] = "ecdsa-jcs-2019"
    assert _code(canonicalize(message)) == ("suite_not_allowed", True)


def test_the_key_must_be_the_senders_own() -> None:
    message = json.loads(conversation()["start"].raw)
    message["proof"]["verificationMethod"] = PROVIDER.method
    assert _code(canonicalize(message)) == ("key_not_authorized", False)
    message["proof"]["verificationMethod"] = f"{HIRER.did}#another"
    assert _code(canonicalize(message)) == ("key_not_authorized", False)


def test_without_the_senders_document_the_answer_is_no() -> None:
    """HIRE-SEC-03."""
    with pytest.raises(ResolutionError) as caught:
        verify(sign(_start()).raw, documents={PROVIDER.did: DOCUMENTS[PROVIDER.did]})
    assert caught.value.code == "did_unresolvable"


def test_the_recipients_document_is_not_needed() -> None:
    verify(sign(_start()).raw, documents={HIRER.did: DOCUMENTS[HIRER.did]})


def _inquiry(**changes: Any) -> Inquiry:
    opened = conversation()["inquiry"].message
    assert isinstance(opened, Inquiry)
    return replace(opened, proof=None, **changes)


def test_nobody_hires_itself() -> None:
    """HIRE-DID-03."""
    itself = _inquiry(recipient=HIRER.did)
    assert _code(itself, recipient=HIRER.did) == ("self_dealing", True)


def test_an_inquirys_engagement_is_computed_again() -> None:
    """HIRE-ENV-05."""
    assert _code(_inquiry(nonce=conversation()["profile"].message.nonce)) == ("wrong_negotiation", True)  # type: ignore[attr-defined]
    assert (
        _code(_inquiry(engagement=engagement_id(PROVIDER.did, HIRER.did, _inquiry().nonce)))[0] == "wrong_negotiation"
    )
    verify(sign(_inquiry()).raw)


def test_an_engagement_has_the_digest_of_parties_and_nonce() -> None:
    said = conversation()["inquiry"].message
    assert isinstance(said, Inquiry)
    assert engagement_id(HIRER.did, PROVIDER.did, said.nonce) == said.engagement
    assert said.engagement != engagement_id(PROVIDER.did, HIRER.did, said.nonce)


def test_a_verified_message_is_its_digest() -> None:
    """Equal whatever the proof: the same content signed again is the same message (C9)."""
    first, second = sign(_start()), sign(_start(), created=shift(NOW, 60), expires=shift(NOW, 120))
    assert first.raw != second.raw
    assert first == second
    assert len({first, second}) == 1
    assert first != conversation()["seal"]
    assert isinstance(first, VerifiedMessage)


def test_a_peer_hears_what_its_own_bytes_decide_and_the_rest_only_once_proved() -> None:
    """HIRE-ERR-02, HIRE-PRF-06."""
    assert problem_code_told(FormatError("unknown_term", "x")) == "unknown_term"
    assert problem_code_told(VerificationError("wrong_recipient", "x")) == "proof_invalid"
    assert problem_code_told(VerificationError("wrong_recipient", "x"), proved=True) == "wrong_recipient"
    assert problem_code_told(ProofError("proof_expired", "x", proved=True)) == "proof_expired"
    for code in ("store_full", "internal", "context_tampered"):
        assert problem_code_told(UndersignedError(code, "x"), proved=True) is None
    assert problem_code_told(LocalProtocolError("no such code", "x"), proved=True) is None
    for code, row in CODES.items():
        assert (problem_code_told(UndersignedError(code, "x"), proved=True) is None) == (row.told == "never")


def test_the_place_is_told_if_it_fits() -> None:
    assert problem_path_told(FormatError("unknown_term", "x", path="/a/b")) == "/a/b"
    assert problem_path_told(FormatError("unknown_term", "x")) is None
    longest = "/a" * 128
    assert problem_path_told(FormatError("unknown_term", "x", path=longest)) == longest
    assert problem_path_told(FormatError("unknown_term", "x", path=f"{longest}b")) is None
