"""Signed answers (RFC 9421): that an answer is a gate's of the hirer, as it was sent, and to this very request.

A signed answer covers `@status`, `Content-Digest` and, if there is one, `Content-Type`; and of the request `@method`,
`@target-uri`, `Hire-Contract`, `Content-Digest` if it has a body, and its signature, each with `req`. The request's
signature is made once, with a nonce; so the answer to another request, or an earlier one to the same, is none to this.
Its parameters are `created`, `keyid`, `alg` and `tag="hire-answer"`.

Source: protocol-spec/14-gates.md, section 14.7
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from undersigned.encoding import DidUrl, Instant, base64_encode, format_instant, parse_instant
from undersigned.errors import ProofError, VerificationError
from undersigned.keys import PublicKey

from .http_messages import Component, Headers, Response, signature_base, signature_input
from .http_signatures import (
    ALGORITHMS,
    TAG,
    check_age,
    check_signature,
    claimed_content_digest,
    content_digest,
    tagged_signature,
    text_parameter,
)

__all__ = ["ANSWER_TAG", "AnswerDraft", "VerifiedAnswer", "draft_answer", "verify_answer"]

ANSWER_TAG: Final = "hire-answer"
_METHOD: Final = re.compile("did:[^#]+#.+")
_REQ: Final = (("req", True),)
_PLAIN: Final = (frozenset[tuple[str, str]](), frozenset({("req", repr(True))}))
"""Parameters that anything covered may have, as `_identity` gives them."""


class AnswerDraft(msgspec.Struct, frozen=True):
    """An answer waiting for its signature over `to_sign`."""

    response: Response
    to_sign: bytes
    input: str

    def fields(self, signature: bytes) -> Headers:
        """What is added to the answer's fields."""
        return (
            ("Content-Digest", _field(self.response.headers, "content-digest") or ""),
            ("Signature-Input", f"{TAG}={self.input}"),
            ("Signature", f"{TAG}=:{base64_encode(signature)}:"),
        )


class VerifiedAnswer(msgspec.Struct, frozen=True):
    """What a verified signature says of an answer."""

    keyid: DidUrl
    created: Instant
    status: int


def draft_answer(response: Response, body_digest: bytes, keyid: DidUrl, kind: str, *, now: Instant) -> AnswerDraft:
    """The answer with `Content-Digest`, to be signed by a key of `kind`. `body_digest` is a SHA-256, of nothing if
    it has no body; `response.request` is the signed request that it answers.

    Raises:
        ProofError: `proof_missing`, `proof_invalid`: the request is not signed by us or for us.
        FormatError: `schema_violation`, something of it cannot be signed.
    """
    headers = (*response.headers, ("Content-Digest", content_digest(body_digest)))
    response = msgspec.structs.replace(response, headers=headers)
    components = _covered(response)
    parameters = {
        "created": int(parse_instant(now).timestamp()),
        "keyid": keyid,
        "alg": ALGORITHMS[kind],
        "tag": ANSWER_TAG,
    }
    base = signature_base(response, components, parameters)
    return AnswerDraft(response, base, signature_input(components, parameters))


def verify_answer(
    response: Response,
    body_digest: bytes,
    key: Callable[[DidUrl], PublicKey],
    *,
    now: Instant,
) -> VerifiedAnswer:
    """What the signature of an answer says, once it holds. `response.request` is the request as it was sent, signature
    and all; `body_digest` is the SHA-256 of the answer's body as it came.

    `key` gives the key of a verification method of the hirer under `authentication`, or raises.

    Raises:
        ProofError: `proof_missing`; `proof_invalid`, it does not hold, covers too little, or answers another request;
            `suite_not_allowed`; `proof_expired`, `proof_from_future`; `digest_mismatch`, the body is another.
        VerificationError: What `key` raises.

    Source: protocol-spec/14-gates.md, section 14.7
    """
    # Step 1: exactly one signature with the tag of answers.
    found = tagged_signature(response, ANSWER_TAG)
    # Step 2: it covers what matters, of the answer and of the request.
    needed = {_identity(part): part.name for part in _covered(response)}
    covered = [_identity(part) for part in found.components]
    if missing := [name for part, name in needed.items() if part not in covered]:
        raise ProofError("proof_invalid", f"the signature does not cover {', '.join(missing)}")
    if len({*covered}) < len(covered) or not all(part in needed or part[1] in _PLAIN for part in covered):
        raise ProofError("proof_invalid", "a covered component has parameters of its own, or stands there twice")
    # Step 3: made just now, by our clock.
    created = check_age(found.parameters, now)
    # Step 4: the body is the one whose digest is covered.
    if claimed_content_digest(response) != body_digest:
        raise ProofError("digest_mismatch", "the body is not the one whose sha-256 the answer states")
    # Steps 5 and 6: the key, the algorithm that goes with it, and the signature.
    keyid = text_parameter(found.parameters, "keyid")
    if _METHOD.fullmatch(keyid) is None:
        raise VerificationError("key_not_authorized", f"{keyid[:160]!a} names no key of the hirer")
    check_signature(response, found, key(keyid))
    moment = format_instant(datetime.fromtimestamp(created, UTC))
    return VerifiedAnswer(keyid, moment, response.status)


def _covered(response: Response) -> tuple[Component, ...]:
    """What a signed answer covers."""
    request = response.request
    if request is None:
        raise ProofError("proof_missing", "an answer is signed for the request that it answers")
    parts = [Component("@status"), Component("content-digest")]
    if _field(response.headers, "content-type") is not None:
        parts.append(Component("content-type"))
    names = ["@method", "@target-uri", "hire-contract"]
    if _field(request.headers, "content-digest") is not None:
        names.append("content-digest")
    parts += [Component(name, _REQ) for name in names]
    # The signature with our tag alone: another one on the same request is somebody else's, and may be added on the way.
    label = tagged_signature(request, TAG).label
    return (*parts, Component("signature", (("req", True), ("key", label))))


def _identity(part: Component) -> tuple[str, frozenset[tuple[str, str]]]:
    """A component whatever the order of its parameters, of which 1 is another value than true."""
    return part.name, frozenset((name, repr(value)) for name, value in part.parameters)


def _field(headers: Headers, name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name), None)
