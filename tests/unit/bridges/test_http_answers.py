"""Signed answers: what they cover, and what is no answer to this request."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence

import msgspec
import pytest

from undersigned.bridges.http_answers import draft_answer, verify_answer
from undersigned.bridges.http_messages import Component, Request, Response, signature_base, signature_input
from undersigned.bridges.http_signatures import ALGORITHMS, content_digest, draft_request
from undersigned.encoding import digest_bytes, parse_instant, shift
from undersigned.errors import ProofError
from undersigned.runtime.signers import PrivateKey, generate_key

NOW = "2026-11-25T12:00:00Z"
CONTRACT = digest_bytes(b"contract")
URL = "https://api.acme.example/orders?x=1"
BODY = b'{"order":1}'
METHOD = "did:web:acme.example#key-1"
KEY = generate_key()
AGENT = generate_key()
TYPE = ("Content-Type", "application/json")


def sha(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def asked(nonce: str = "0123456789abcdef", body: bytes | None = b"{}", **changes: str) -> Request:
    request = Request(
        changes.get("method", "POST"), changes.get("url", URL), (), sha(body) if body is not None else None
    )
    contract = changes.get("contract", CONTRACT)
    draft = draft_request(request, "did:key:z#z", "Ed25519", contract=contract, now=NOW, nonce=nonce)
    return draft.signed(AGENT.sign_now(draft.to_sign))


def answered(request: Request, key: PrivateKey = KEY, *, body: bytes = BODY, now: str = NOW) -> Response:
    response = Response(200, (TYPE,), request)
    draft = draft_answer(response, sha(body), METHOD, key.public_key.kind, now=now)
    return msgspec.structs.replace(response, headers=(TYPE, *draft.fields(key.sign_now(draft.to_sign))))


def code(answer: Response, body: bytes = BODY, *, now: str = NOW, key: PrivateKey = KEY) -> str:
    try:
        verify_answer(answer, sha(body), lambda _: key.public_key, now=now)
    except ProofError as error:
        return error.code
    return "good"


@pytest.mark.parametrize("kind", sorted(ALGORITHMS))
def test_an_answer_verifies_for_the_request_that_it_answers(kind: str) -> None:
    """HIRE-GTS-15."""
    key = generate_key(kind)
    for request in (asked(), asked(body=None, method="GET")):
        found = verify_answer(answered(request, key), sha(BODY), lambda _: key.public_key, now=NOW)
        assert (found.keyid, found.created, found.status) == (METHOD, NOW, 200)


def test_what_is_signed_is_as_the_standard_writes_it() -> None:
    """Line by line (RFC 9421, sections 2.4 and 2.5), written here by hand."""
    request = asked()
    fields = dict(request.headers)
    signature = fields["Signature"].removeprefix("hire=")
    draft = draft_answer(Response(200, (TYPE,), request), sha(BODY), METHOD, "Ed25519", now=NOW)
    assert draft.to_sign.decode().split("\n") == [
        '"@status": 200',
        f'"content-digest": {content_digest(sha(BODY))}',
        '"content-type": application/json',
        '"@method";req: POST',
        f'"@target-uri";req: {URL}',
        f'"hire-contract";req: {CONTRACT}',
        f'"content-digest";req: {content_digest(sha(b"{}"))}',
        f'"signature";req;key="hire": {signature}',
        '"@signature-params": ("@status" "content-digest" "content-type" "@method";req "@target-uri";req '
        '"hire-contract";req "content-digest";req "signature";req;key="hire")'
        f';created=1795608000;keyid="{METHOD}";alg="ed25519";tag="hire-answer"',
    ]


def to_another(answer: Response, **changes: object) -> Response:
    assert answer.request is not None
    return msgspec.structs.replace(answer, request=msgspec.structs.replace(answer.request, **changes))


def without(answer: Response, component: str) -> Response:
    """As if the signature did not cover `component`."""
    headers = tuple((name, value.replace(component, "", 1)) for name, value in answer.headers)
    return msgspec.structs.replace(answer, headers=headers)


def replaced(answer: Response, name: str, value: str) -> Response:
    return msgspec.structs.replace(answer, headers=tuple((n, value if n == name else v) for n, v in answer.headers))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda a: msgspec.structs.replace(a, status=201), "proof_invalid"),
        (lambda a: replaced(a, "Content-Type", "text/html"), "proof_invalid"),
        (lambda a: replaced(a, "Content-Digest", content_digest(sha(b"other"))), "digest_mismatch"),
        (lambda a: msgspec.structs.replace(a, headers=a.headers[1:]), "proof_invalid"),
        (lambda a: msgspec.structs.replace(a, headers=a.headers[:1]), "proof_missing"),
        (lambda a: msgspec.structs.replace(a, request=None), "proof_missing"),
        (lambda a: to_another(a, method="PUT"), "proof_invalid"),
        (lambda a: to_another(a, url=URL + "2"), "proof_invalid"),
        (lambda a: msgspec.structs.replace(a, request=asked("another-nonce-0000")), "proof_invalid"),
        (lambda a: msgspec.structs.replace(a, request=asked(contract=digest_bytes(b"other"))), "proof_invalid"),
        (lambda a: msgspec.structs.replace(a, request=asked(body=b"[]")), "proof_invalid"),
        (lambda a: without(a, '"@status" '), "proof_invalid"),
        (lambda a: without(a, ' "content-type"'), "proof_invalid"),
        (lambda a: without(a, ' "@method";req'), "proof_invalid"),
        (lambda a: without(a, ' "signature";req;key="hire"'), "proof_invalid"),
        (lambda a: without(a, ";req"), "proof_invalid"),
        (
            lambda a: replaced(a, "Signature-Input", dict(a.headers)["Signature-Input"].replace("-answer", "")),
            "proof_missing",
        ),
        (lambda a: replaced(a, "Signature", f"hire=:{base64.b64encode(bytes(64)).decode()}:"), "proof_invalid"),
    ],
)
def test_a_changed_answer_or_one_to_another_request_is_refused(
    change: Callable[[Response], Response], expected: str
) -> None:
    """HIRE-GTS-15."""
    answer = answered(asked())
    assert code(answer) == "good"
    assert code(change(answer)) == expected


COVERED: tuple[str | Component, ...] = (
    *("@status", "content-digest", "content-type"),
    *(Component(name, (("req", True),)) for name in ("@method", "@target-uri", "hire-contract", "content-digest")),
    Component("signature", (("req", True), ("key", "hire"))),
)


def signed_over(covered: Sequence[str | Component]) -> Response:
    """An answer whose signature holds, over whatever the hirer had it cover."""
    response = Response(200, (TYPE, ("X-Trace", "a=1"), ("Content-Digest", content_digest(sha(BODY)))), asked())
    parameters = {
        "created": int(parse_instant(NOW).timestamp()),
        "keyid": METHOD,
        "alg": "ed25519",
        "tag": "hire-answer",
    }
    signature = KEY.sign_now(signature_base(response, covered, parameters))
    signed = (
        ("Signature-Input", f"hire-answer={signature_input(covered, parameters)}"),
        ("Signature", f"hire-answer=:{base64.b64encode(signature).decode()}:"),
    )
    return msgspec.structs.replace(response, headers=(*response.headers, *signed))


@pytest.mark.parametrize("missing", COVERED, ids=str)
def test_what_has_to_be_covered_is(missing: str | Component) -> None:
    """HIRE-GTS-15."""
    with pytest.raises(ProofError, match="the signature does not cover") as caught:
        verify_answer(
            signed_over([one for one in COVERED if one != missing]), sha(BODY), lambda _: KEY.public_key, now=NOW
        )
    assert caught.value.code == "proof_invalid"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("x-trace", "good"),
        (Component("@path", (("req", True),)), "good"),
        (Component("x-trace", (("bs", True),)), "proof_invalid"),
        (Component("content-type", (("bs", True),)), "proof_invalid"),
        (Component("x-trace", (("key", "a"),)), "proof_invalid"),
    ],
)
def test_what_is_covered_beside_has_no_parameters_of_its_own(more: str | Component, expected: str) -> None:
    """HIRE-GTS-15: whatever the hirer itself signed."""
    assert code(signed_over([*COVERED, more])) == expected


def test_another_body_another_time_and_another_key_are_refused() -> None:
    """HIRE-GTS-15: inclusive at both ends."""
    answer = answered(asked())
    assert code(answer, b"other") == "digest_mismatch"
    assert [code(answer, now=shift(NOW, seconds)) for seconds in (-61, -60, 60, 61)] == [
        "proof_from_future",
        "good",
        "good",
        "proof_expired",
    ]
    assert code(answer, key=generate_key()) == "proof_invalid"
    assert code(answer, key=generate_key("P-256")) == "suite_not_allowed"


def test_an_answers_signature_signs_no_request() -> None:
    """HIRE-GTS-14: by its tag."""
    answer = answered(asked())
    with pytest.raises(ProofError) as refused:
        draft_answer(Response(200, (), Request("GET", URL, answer.headers)), sha(b""), METHOD, "Ed25519", now=NOW)
    assert refused.value.code == "proof_missing"
