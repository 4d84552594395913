"""The annotated types accept one spelling each, as msgspec checks them (HIRE-JSN-05)."""

from __future__ import annotations

import msgspec
import pytest

from undersigned.encoding import Amount, Did, DidUrl, Digest, Duration, EngagementId, Instant, MessageId

DIGEST = "uEiDjsMRCmPwcFJr79MiZb7kkJ65B5GSbk0yklZkbeFK4VQ"
KEY = "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"

GOOD = [
    (Digest, DIGEST),
    (EngagementId, f"urn:hire:engagement:{DIGEST}"),
    (MessageId, "urn:uuid:7c9e6679-7425-40de-944b-e07fc1f90002"),
    (Instant, "2024-02-29T23:59:59Z"),
    (Duration, "P1DT2H"),
    (Amount, "-12.5"),
    (Did, KEY),
    (Did, "did:web:example.com:user:alice"),
    (Did, "did:web:localhost%3A8001"),
    (Did, "did:example:a::b"),
    (DidUrl, KEY),
    (DidUrl, f"{KEY}#z6Mk"),
    (DidUrl, "did:web:a.example/path/x?service=files&v=1#k/?x"),
]

BAD = [
    (Digest, DIGEST[1:]),
    (Digest, DIGEST + "\n"),
    (Digest, DIGEST[:-1] + "B"),
    (EngagementId, DIGEST),
    (EngagementId, f"urn:hire:engagement:{DIGEST}\n"),
    (EngagementId, f"URN:hire:engagement:{DIGEST}"),
    (MessageId, "urn:uuid:7C9E6679-7425-40de-944b-e07fc1f90002"),
    (MessageId, "urn:uuid:7c9e6679-7425-10de-944b-e07fc1f90002"),
    (MessageId, "urn:uuid:7c9e6679-7425-40de-744b-e07fc1f90002"),
    (MessageId, "7c9e6679-7425-40de-944b-e07fc1f90002"),
    (MessageId, "urn:uuid:7c9e6679-7425-40de-944b-e07fc1f90002\n"),
    (Instant, "2023-02-29T23:59:59Z"),
    (Instant, "2024-02-29T23:59:59Z\n"),
    (Duration, "P1W"),
    (Amount, "1.0"),
    (Did, ""),
    (Did, "did:"),
    (Did, "did:key:"),
    (Did, "DID:key:z"),
    (Did, "did:KEY:z"),
    (Did, "did:web:a:"),
    (Did, "did:web:a%3"),
    (Did, "did:web:a%zz"),
    (Did, f"{KEY}#x"),
    (Did, f"{KEY}\n"),
    (Did, "did:web:ex ample"),
    (Did, "did:web:exämple"),
    (Did, "did:web:" + "a" * 2050),
    (DidUrl, f"{KEY}#a#b"),
    (DidUrl, f"{KEY}#a\n"),
    (DidUrl, f"{KEY}#<script>"),
    (DidUrl, "#key-1"),
]


@pytest.mark.parametrize(("of", "text"), GOOD)
def test_accepted(of: object, text: str):
    assert msgspec.convert(text, of) == text


@pytest.mark.parametrize(("of", "text"), BAD)
def test_refused(of: object, text: str):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, of)
