"""Refused actions in a pack: stated by the packer, of this contract, or the pack does not hold."""

from __future__ import annotations

from typing import Any

import pytest

from packs import Hire, refused_action, stated
from undersigned.attestation import ActionTaken, RefusalPredicate, refusal
from undersigned.encoding import canonicalize, decode_json, digest_bytes, shift
from undersigned.evidence import STEPS, Step, verify_pack
from undersigned.scope import Action

REFUSED = 1 + [name for name, _ in STEPS].index("refused actions")


@pytest.fixture(scope="module")
def hire() -> Hire:
    return Hire().whole()


def step(hire: Hire, *refusals: bytes) -> Step:
    report = verify_pack(hire.pack(refusals=refusals), now=hire.book.clock.now())
    assert report.not_judged == ()
    return report.steps[REFUSED - 1]


def test_refusals_of_the_packer_hold(hire: Hire) -> None:
    """HIRE-GAT-02, HIRE-PCK-01."""
    found = step(hire, refused_action(hire), refused_action(hire, clause="scope", repeated=7))
    assert found.ok
    assert found.detail == f"2 refused actions are stated by {hire.hirer.actor.did}"
    assert step(hire).detail == "none in this pack"
    assert step(hire, refused_action(hire, at=shift(hire.book.clock.now(), 60))).ok


def test_what_the_work_statements_name_beside_is_told() -> None:
    """The refused actions of them, of which the pack states none."""
    hire = Hire().sealed()
    line = {"at": hire.book.clock.now(), "action": "artifact:read", "target": "https://acme.example/a"}
    taken = [ActionTaken(**line, clause="read", allowed=allowed) for allowed in (True, False)]
    hire.delivered(hire.claims(actions=taken)).reviewed().closed()
    told = "none in this pack; the work statements name 1, 1 of which are not stated here"
    assert step(hire).detail == told


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        (lambda hire: {"by": hire.provider.actor}, "attester_not_trusted"),
        (lambda hire: {"gate": hire.provider.actor.did}, "attester_not_trusted"),
        (lambda hire: {"contract": digest_bytes(b"another")}, "attestation_binding"),
        (lambda hire: {"subject": digest_bytes(b"another")}, "digest_mismatch"),
        (lambda hire: {"engagement": f"urn:hire:engagement:{digest_bytes(b'x')}"}, "attestation_binding"),
        (lambda hire: {"at": shift(hire.book.clock.now(), 61)}, "evidence_invalid"),
    ],
    ids=["another signer", "another gate", "another contract", "another subject", "another engagement", "to come"],
)
def test_what_is_no_refusal_of_the_packer_does_not(hire: Hire, changes: Any, code: str) -> None:
    """HIRE-ATT-04, HIRE-ATT-05, HIRE-PCK-01."""
    found = step(hire, refused_action(hire, **changes(hire)))
    assert (found.ok, found.code) == (False, code)


def test_a_changed_refusal_does_not(hire: Hire) -> None:
    """HIRE-PCK-02: one bit of the signature, under a digest that fits."""
    envelope: Any = decode_json(refused_action(hire))
    signature = envelope["signatures"][0]["sig"]
    envelope["signatures"][0]["sig"] = ("A" if signature[0] != "A" else "B") + signature[1:]
    found = step(hire, canonicalize(envelope))
    assert (found.ok, found.code) == (False, "proof_invalid")


def test_what_strangers_write_is_escaped_and_cut(hire: Hire) -> None:
    evil = Action("x\x1b[2J" + "y" * 9000, "https://a.example/\u202e\ud800" + "z" * 9000, {"b\n": "\0" * 999})
    predicate = refusal(
        evil,
        contract=hire.contract,
        engagement=hire.hirer.engagement.id,
        gate=hire.hirer.actor.did,
        at=hire.book.clock.now(),
        code="scope_exceeded",
        clause="",
        reason="\u2028" * 9000,
    )
    assert isinstance(predicate, RefusalPredicate)
    texts = [predicate.action, predicate.target, predicate.reason, *predicate.amounts, *predicate.amounts.values()]
    assert all(text.isascii() and text.isprintable() and len(text) <= 2048 for text in texts)
    assert step(hire, canonicalize(stated(hire.hirer.actor, {"contract": hire.contract}, predicate))).ok
