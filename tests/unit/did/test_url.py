"""DID URLs: their parts as spelled, or a refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import refuses
from undersigned.did import ParsedDidUrl, parse_did, parse_did_url
from undersigned.errors import VerificationError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("did:key:z6Mk", ("did:key:z6Mk", "key", "z6Mk", "", None, None)),
        ("did:key:z6Mk#z6Mk", ("did:key:z6Mk", "key", "z6Mk", "", None, "z6Mk")),
        ("did:web:a.example:u", ("did:web:a.example:u", "web", "a.example:u", "", None, None)),
        ("did:web:a%3A1/p/q?x=1&y#f?/", ("did:web:a%3A1", "web", "a%3A1", "/p/q", "x=1&y", "f?/")),
        ("did:web:a?#", ("did:web:a", "web", "a", "", "", "")),
        ("did:x1:a::b/", ("did:x1:a::b", "x1", "a::b", "/", None, None)),
    ],
)
def test_parts(text: str, parts: tuple):
    assert parse_did_url(text) == ParsedDidUrl(*parts)


@pytest.mark.parametrize(
    "text", ["", "did", "did:", "did:web", "did:web:", "did:web:a:", "did:Web:a", "#a", "did:web:a#b#c"]
)
def test_not_a_did_url(text: str):
    with refuses(VerificationError, "did_document_invalid"):
        parse_did_url(text)


@pytest.mark.parametrize(
    "text", ["did:web:a#b", "did:web:a/b", "did:web:a?b", "did:web:a#", "did:web:a/", "did:web:a?"]
)
def test_more_than_a_did(text: str):
    parse_did_url(text)
    with refuses(VerificationError, "did_document_invalid"):
        parse_did(text)


def test_length():
    assert parse_did("did:x:" + "a" * 2042).method == "x"
    with pytest.raises(VerificationError):
        parse_did("did:x:" + "a" * 2043)


@given(st.text("did:web.a%3A#?/\n ", max_size=20))
def test_parts_put_together_again(rest: str):
    text = "did:" + rest
    try:
        parsed = parse_did_url(text)
    except VerificationError:
        return
    query = "" if parsed.query is None else f"?{parsed.query}"
    fragment = "" if parsed.fragment is None else f"#{parsed.fragment}"
    assert parsed.did + parsed.path + query + fragment == text
    assert parsed.did == f"did:{parsed.method}:{parsed.specific}"
    assert parse_did(parsed.did).did == parsed.did
