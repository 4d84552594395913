"""Presentations, credentials, status lists and decisions of a pack: each by whom it says, and none against another."""

from __future__ import annotations

import pytest

from pack_cases import LATER
from pack_credentials import CHECKED, CREDENTIALS, TEXTS
from undersigned.evidence import verify_pack

SAID = {
    "shown, clear and allowed": "2 presentations are by their holders; 1 credential holds; 1 status list holds",
    "looked up": "1 credential holds; 1 status list holds",
    "looked up, to its last second": "1 credential holds; 1 status list holds",
    "looked up, at no time": "1 credential holds; 1 status list holds",
    "subjects in a list": "1 credential holds",
    "no times": "1 credential holds",
    "not valid any more": "1 credential was not valid then",
    "not valid yet": "1 credential was not valid then",
    "a validity beyond our instants": "1 credential holds; 1 status list holds",
    "a list without an end of ours": "1 credential holds; 1 status list holds",
    "a list that was over before our instants": "not checked: a status list that was not valid then",
    "not valid yet, by a part of a second": "1 credential was not valid then",
    "signed before our instants": "1 credential holds",
    "an issuer whose document is not here": "not checked: what is signed by 'did:web:witness.example'",
    "a suite of others": "not checked: a proof of another suite",
    "a place of another kind, purpose": "1 status list holds; not checked: a status of another kind",
    "a list with another id: none": "not checked: a status list that does not say where it is published",
    "a list that was over": "not checked: a status list that was not valid then",
    "revoked and denied": "1 credential is revoked or suspended in them",
    "a suite of others in a list": "not checked: a proof of another suite",
    "a proof in a list": "1 credential holds",
    "nothing came of it": "2 presentations are by their holders; 1 credential holds",
    "nothing came of it, another signature": "1 presentation does not hold, and nothing rests on it: proof_invalid",
    "nothing came of it but a yes without it, another signature": "1 presentation does not hold, and nothing rests",
    "nothing came of it, about another": "1 presentation does not hold, and nothing rests on it: holder_mismatch",
    "nothing came of it, another challenge": "1 presentation does not hold, and nothing rests on it: challenge_mis",
    **{
        what: "2 credentials hold; 1 status list holds; not checked: a status that nobody looked up"
        for what in CREDENTIALS
        if what.startswith("a place that nobody looked up")
    },
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
    if "not checked" in SAID.get(what, "") and "nobody looked up" not in what:
        assert "credential was not valid then" not in report.steps[CHECKED - 1].detail
        assert "1 credential holds" not in report.steps[CHECKED - 1].detail or "list" in what + SAID[what]


SAID_OF_TEXTS = {
    "shown, clear and allowed": "2 presentations are by their holders; 1 credential holds; 1 status list holds",
    "of P-256": "1 credential holds",
    "of P-384": "1 credential holds",
    "the other s of P-256": "1 credential holds",
    "by the old name, without cty": "1 credential holds",
    "every claim": "1 credential holds",
    "numbers spelled in another way": "1 credential holds",
    "a validity beyond our instants": "1 credential holds",
    "past by exp": "1 credential was not valid then",
    "not yet by nbf": "1 credential was not valid then",
    "to its last second, which is its first": "1 credential holds",
    "past by validUntil": "1 credential was not valid then",
    "an issuer whose document is not here": "not checked: what is signed by 'did:web:witness.example'",
    "an issuer under a name": "1 credential holds",
    "looked up": "1 credential holds; 1 status list holds",
    "looked up, in an envelope": "1 credential holds",
    "revoked and denied": "1 credential is revoked or suspended in them",
    "a list": "1 credential holds; 1 status list holds",
    "a long list": "1 credential holds; 1 status list holds",
    "a list that was over": "not checked: a status list that was not valid then",
    "a presentation": "2 presentations are by their holders; 2 credentials hold",
    "a presentation without cty": "2 presentations are by their holders",
    "a presentation with every claim": "2 presentations are by their holders",
}
"""What the step says of what holds."""


@pytest.mark.parametrize("what", TEXTS)
def test_signed_texts_are_judged(what: str) -> None:
    """HIRE-PCK-09, HIRE-JWT-01, HIRE-JWT-08: JWTs of each kind are read strictly, and count as others do."""
    make, code = TEXTS[what]
    report = verify_pack(make(), now=LATER)
    failed = next(((step.number, step.code) for step in report.steps if not step.ok), (0, ""))
    assert failed == ((CHECKED, code) if code else (0, ""))
    if not code:
        assert SAID_OF_TEXTS[what] in report.steps[CHECKED - 1].detail
        assert "signed as a text" not in report.steps[CHECKED - 1].detail
