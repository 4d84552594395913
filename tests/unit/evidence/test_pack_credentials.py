"""Presentations, credentials, status lists and decisions of a pack: each by whom it says, and none against another."""

from __future__ import annotations

import pytest

from pack_cases import LATER
from pack_credentials import CHECKED, CREDENTIALS
from undersigned.evidence import verify_pack

SAID = {
    "shown, clear and allowed": "2 presentations are by their holders; 1 credentials hold; 1 status lists hold",
    "looked up": "1 credentials hold; 1 status lists hold",
    "not valid any more": "1 credentials were not valid then",
    "an issuer whose document is not here": "not checked: what is signed by 'did:web:witness.example'",
    "a suite of others": "not checked: a proof of another suite",
    "a text": "not checked: a credential that is signed as a text",
    "a list that is a text": "not checked: a status list that is signed as a text",
    "enveloped": "not checked: a credential that is signed as a text",
    "a list that was over": "not checked: a status list that was not valid then",
    "revoked and denied": "1 credentials are revoked or suspended in them",
}
"""What the step says of it."""


@pytest.mark.parametrize("what", CREDENTIALS)
def test_credentials_are_judged(what: str) -> None:
    """HIRE-PCK-09: what takes a key is by that key; what cannot be judged from the pack is named."""
    make, code = CREDENTIALS[what]
    report = verify_pack(make(), now=LATER)
    failed = next(((step.number, step.code) for step in report.steps if not step.ok), (0, ""))
    assert failed == ((CHECKED, code) if code else (0, ""))
    assert SAID.get(what, "") in report.steps[CHECKED - 1].detail
    if "not checked" in SAID.get(what, ""):
        assert "1 credentials hold" not in report.steps[CHECKED - 1].detail or "list" in what
