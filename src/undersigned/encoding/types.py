r"""Text values of the wire as checked types, and the shape of JSON itself.

A value that travels as text stays `str` in memory; the annotation says what was checked when it was decoded. Every
pattern is anchored at both ends and takes time linear in the text: where something may repeat without bound, the next
character alone decides which part of the pattern it belongs to (a test works this out from the patterns). `(?!\n)$`
and not `$`, because `$` alone accepts a newline after the end.

Source: protocol-spec/04-envelope-and-digests.md, section 4.1
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

__all__ = [
    "AMOUNT_PATTERN",
    "DIDURL_PATTERN",
    "DID_PATTERN",
    "DIGEST_PATTERN",
    "DURATION_PATTERN",
    "END",
    "ENGAGEMENT_PATTERN",
    "INSTANT_PATTERN",
    "MESSAGEID_PATTERN",
    "OWED_PATTERN",
    "Amount",
    "Did",
    "DidUrl",
    "Digest",
    "Duration",
    "EngagementId",
    "Instant",
    "JsonObject",
    "JsonValue",
    "MessageId",
    "Owed",
    "in_words",
]

JsonValue: TypeAlias = "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
"""Any JSON value. Decoding gives exactly `dict`, `list`, `str`, `int`, `bool`, and where allowed `float`, `None`."""
JsonObject: TypeAlias = "dict[str, JsonValue]"
"""A JSON object as decoded: the caller owns it and may change it."""

END: Final = r"(?!\n)$"
"""The end of a pattern; `$` alone accepts a newline after it."""
DIGEST: Final = "uEi[A-D][A-Za-z0-9_-]{42}[AQgw]"
DIGEST_PATTERN: Final = f"^{DIGEST}{END}"
ENGAGEMENT_PATTERN: Final = f"^urn:hire:engagement:{DIGEST}{END}"
MESSAGEID_PATTERN: Final = (
    f"^urn:uuid:[0-9a-f]{{8}}-[0-9a-f]{{4}}-4[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}{END}"
)

# The calendar is in the pattern, so that a decoded instant exists and comparing strings compares time.
_DAY: Final = (
    "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8])"
)
_LEAP_DAY: Final = "(?:2[0-9](?:0[48]|[2468][048]|[13579][26])|2[048]00)-02-29"
INSTANT_PATTERN: Final = f"^(?:2[0-9]{{3}}-(?:{_DAY})|{_LEAP_DAY})T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z{END}"
DURATION_PATTERN: Final = (
    r"^P(?!(?:\n|$))(?:[0-9]{1,5}D)?(?:T(?=[0-9])(?:[0-9]{1,7}H)?(?:[0-9]{1,9}M)?(?:[0-9]{1,10}S)?)?" + END
)
AMOUNT_PATTERN: Final = rf"^(?:0|-?(?:[1-9][0-9]{{0,17}}(?:\.[0-9]{{0,8}}[1-9])?|0\.[0-9]{{0,8}}[1-9])){END}"
OWED_PATTERN: Final = AMOUNT_PATTERN.replace("-?", "")

# What is usual stands outside the alternation, where a matcher takes it in one stride: usual* (special usual*)*.
_ID: Final = "[A-Za-z0-9._-]"
_HEX: Final = "%[0-9A-Fa-f]{2}"
_DID: Final = f"did:[a-z0-9]+::*(?:{_ID}|{_HEX}){_ID}*(?:(?:{_HEX}|:+(?:{_ID}|{_HEX})){_ID}*)*"
_P: Final = "[A-Za-z0-9._~!$&'()*+,;=:@-]"
_SEGMENT: Final = f"{_P}*(?:{_HEX}{_P}*)*"
_Q: Final = "[/?A-Za-z0-9._~!$&'()*+,;=:@-]"
_QUERY: Final = f"{_Q}*(?:{_HEX}{_Q}*)*"
DID_PATTERN: Final = f"^{_DID}{END}"
DIDURL_PATTERN: Final = rf"^{_DID}(?:/{_SEGMENT})*(?:\?{_QUERY})?(?:#{_QUERY})?{END}"

Digest: TypeAlias = Annotated[str, Meta(pattern=DIGEST_PATTERN, title="Digest")]
"""`u` and base64url of a sha2-256 multihash: 47 characters, one spelling per digest."""
EngagementId: TypeAlias = Annotated[str, Meta(pattern=ENGAGEMENT_PATTERN, title="EngagementId")]
"""`urn:hire:engagement:` and the digest of hirer, provider and nonce."""
MessageId: TypeAlias = Annotated[str, Meta(pattern=MESSAGEID_PATTERN, title="MessageId")]
"""`urn:uuid:` and a version 4 UUID in lower case."""
Instant: TypeAlias = Annotated[str, Meta(pattern=INSTANT_PATTERN, title="Instant")]
"""`YYYY-MM-DDThh:mm:ssZ`, a second that exists, of the years 2000 to 2999. No leap second: none has a POSIX time."""
Duration: TypeAlias = Annotated[str, Meta(pattern=DURATION_PATTERN, title="Duration")]
"""`PnDTnHnMnS` in whole numbers with at least one part. No years, months or weeks: their length varies or misleads."""
Amount: TypeAlias = Annotated[str, Meta(pattern=AMOUNT_PATTERN, title="Amount")]
"""Exact decimal as text: up to 18 digits before the point and 9 after, no exponent, trailing zero or minus zero."""
Owed: TypeAlias = Annotated[str, Meta(pattern=OWED_PATTERN, description="An amount that is not negative.")]
"""What somebody pays, owes or used: never less than nothing."""
Did: TypeAlias = Annotated[str, Meta(pattern=DID_PATTERN, max_length=2048, title="Did")]
"""A DID as in DID Core, 3.1, at most 2,048 characters."""
DidUrl: TypeAlias = Annotated[str, Meta(pattern=DIDURL_PATTERN, max_length=2048, title="DidUrl")]
"""A DID, perhaps with path, query and fragment; `did…#key` names a verification method."""

_SHAPES: Final = (
    (AMOUNT_PATTERN, "an amount in its only spelling, such as 2.5"),
    (OWED_PATTERN, "an amount that is not negative, in its only spelling"),
    (DIDURL_PATTERN, "a DID URL"),
    (DID_PATTERN, "a DID"),
    (DIGEST_PATTERN, "a sha2-256 digest, u and 46 characters"),
    (DURATION_PATTERN, "a duration such as PT1M"),
    (ENGAGEMENT_PATTERN, "urn:hire:engagement: and a digest"),
    (INSTANT_PATTERN, "an instant such as 2026-11-24T09:00:00Z"),
    (MESSAGEID_PATTERN, "urn:uuid: and a version 4 UUID in lower case"),
)
"""What the patterns that people meet most are called."""


def in_words(said: str) -> str:
    """A sentence of the schema library such as "Expected `str` matching regex '…'", with words in place of patterns."""
    said = said.replace("`str` matching regex ", "text like ").replace("str matching regex ", "text like ")
    for pattern, words in _SHAPES:
        said = said.replace(f"text like {pattern!r}", words)
    return said
