"""Packs that were tampered with by somebody who signs nothing: each kind is refused, at its step and with its code."""

from __future__ import annotations

from typing import Any

import pytest

from pack_cases import APART, BELOW, LATER, ONE, hire_with_subcontract, recorded_hire, withheld
from pack_credentials import CREDENTIALS, OF_TEXTS, TEXTS, credential, status_list, text_bytes
from packs import Hire
from undersigned.encoding import canonicalize
from undersigned.errors import VerificationError
from undersigned.evidence import TAMPERINGS, read_pack, tamper, verify_pack

CODES = {
    "duplicate": "bad_json",
    "unknown": "unknown_term",
    "price": "proof_invalid",
    "scope": "proof_invalid",
    "signature": "proof_invalid",
    "malleable": "proof_invalid",
    "proof": "proof_invalid",
    "early": "proof_from_future",
    "transcript": "ledger_diverged",
    "order": "out_of_order",
    "role": "wrong_party",
    "inclusion": "log_proof_invalid",
    "index": "log_proof_invalid",
    "leaf": "log_proof_invalid",
    "checkpoint": "log_proof_invalid",
    "log": "log_proof_invalid",
    "log-leaf": "log_proof_invalid",
    "no-proofs": "log_proof_invalid",
    "witness": "log_proof_invalid",
    "decision": "log_proof_invalid",
    "refusal": "attester_not_trusted",
    "credential": "proof_invalid",
    "status": "proof_invalid",
    "jwt-signature": "proof_invalid",
    "jwt-none": "suite_not_allowed",
    "jwt-key": "key_not_authorized",
}
"""Where it is another than `evidence_invalid`."""


@pytest.fixture(scope="module")
def hire() -> tuple[Hire, dict[str, Any]]:
    return recorded_hire()


Recorded = tuple[Hire, dict[str, Any]]


def whole(made: Recorded, role: str = "hirer") -> bytes:
    """A pack with something of every kind; the provider has recorded nothing, and its log has no witness."""
    hire, of = made
    if role == "provider":
        return hire.pack(role)
    return hire.pack(
        **of,
        checkpoint=hire.logs["hirer"].note() + hire.logs["hirer"].witnessed(ONE),
        withheld=withheld(("artifact", b"a")),
        credentials=(canonicalize(credential(hire)), *text_bytes()(hire)),
        statuses=(status_list(),),
    )


def with_subcontract(_: Recorded, role: str) -> bytes:
    """The pack of a provider that hired somebody; what is in that one is not looked at before it is gone."""
    made = hire_with_subcontract()
    return made.pack(role, subcontracts={BELOW: b"x"}) if role == "provider" else made.pack(role)


@pytest.mark.parametrize("role", ["hirer", "provider"])
@pytest.mark.parametrize("what", TAMPERINGS)
def test_every_kind_is_refused_at_its_step(hire: Recorded, what: str, role: str) -> None:
    """HIRE-PCK-01, HIRE-PCK-02, HIRE-PCK-10, HIRE-SUB-10."""
    pack = (with_subcontract if what == "no-subcontracts" else whole)(hire, role)
    if role == ("hirer" if what == "no-subcontracts" else "provider") and what in APART:
        with pytest.raises(VerificationError, match="in this pack to tamper with"):
            tamper(pack, what)
        return
    made = tamper(pack, what)
    assert made == tamper(pack, what), "the same input gives the same bytes"
    report = verify_pack(made, now=LATER)
    found = next((step.number, step.code) for step in report.steps if not step.ok)
    assert found == (TAMPERINGS[what].step, CODES.get(what, "evidence_invalid"))


@pytest.mark.parametrize("what", OF_TEXTS)
def test_every_kind_of_a_text_is_refused(what: str) -> None:
    """HIRE-PCK-02, HIRE-PCK-09: what was looked up and is a JWT, with a list beside that has a proof."""
    report = verify_pack(tamper(TEXTS["looked up"][0](), what), now=LATER)
    found = next((step.number, step.code) for step in report.steps if not step.ok)
    assert found == (TAMPERINGS[what].step, CODES[what])


@pytest.mark.parametrize("what", [what for what, kind in TAMPERINGS.items() if kind.step > 1])
def test_what_digests_can_be_made_to_say_they_say(hire: Recorded, what: str) -> None:
    """Archive and manifest agree: what refuses these packs is a signature, a chain or a proof."""
    read_pack(tamper(with_subcontract(hire, "provider") if what == "no-subcontracts" else whole(hire), what))


def test_every_step_but_one_refuses_something() -> None:
    """What step 7 judges is inside signed messages, so who has no key does not get as far."""
    assert {kind.step for kind in TAMPERINGS.values()} == {1, 2, 3, 4, 5, 6, 8, 9, 10}


def test_what_is_not_there_cannot_be_tampered_with(hire: Recorded) -> None:
    with pytest.raises(VerificationError, match="no artifact in this pack"):
        tamper(hire[0].pack(artifacts=()), "artifact")
    with pytest.raises(VerificationError, match="no credential or status list that is a JWT in this pack"):
        tamper(CREDENTIALS["shown, clear and allowed"][0](), "jwt-key")
    with pytest.raises(VerificationError, match=r"and was looked up \(one in a presentation stands under its holder's"):
        tamper(TEXTS["of P-256"][0](), "jwt-none")
    with pytest.raises(VerificationError):
        tamper(b"no pack", "price")
