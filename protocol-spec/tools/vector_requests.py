"""Vectors of requests to gates, and of their signed answers: what holds, and what each small change makes of it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from example_parties import HIRER, PROVIDER, Party
from vector_parts import EcParty, Vector, signers

from undersigned.bridges.http_answers import draft_answer
from undersigned.bridges.http_messages import Component, Request, Response, signature_base, signature_input
from undersigned.bridges.http_signatures import content_digest, draft_request, tagged_signature
from undersigned.encoding import digest_bytes, shift

__all__ = ["request_vectors"]

ORIGIN: Final = "https://api.acme.example"
CONTRACT, OTHER = digest_bytes(b"a contract"), digest_bytes(b"another contract")
NOW: Final = "2026-11-25T12:00:00Z"
NONCE: Final = "q8sVJmT2aZ0yqkWc"
BODY: Final = '{"item":"paper","count":2}'
COVERED: Final = ("@method", "@target-uri", "hire-contract", "content-digest")
CREATED: Final = 1795608000
"""`NOW`, in seconds since 1970."""
PATH: Final = "/orders?express=1"
Field = list[str]


def _sha(body: str | None) -> bytes | None:
    return hashlib.sha256(body.encode()).digest() if body is not None else None


def _signed(
    method: str = "POST",
    path: str = PATH,
    body: str | None = BODY,
    *,
    by: Party | EcParty = PROVIDER,
    keyid: str | None = None,
    origin: str = ORIGIN,
    contract: str = CONTRACT,
    made: str = NOW,
    nonce: str = NONCE,
    **form: bool,
) -> tuple[dict[str, Any], bytes]:
    """The request as it arrives, and what was signed; `form` is that of an ECDSA signature."""
    kind = by.kind if isinstance(by, EcParty) else "Ed25519"
    unsigned = Request(method, origin + path, (), _sha(body))
    draft = draft_request(unsigned, keyid or by.method, kind, contract=contract, now=made, nonce=nonce)
    headers = [list(pair) for pair in draft.signed(by.sign(draft.to_sign, **form)).headers]
    if body is not None:
        headers.insert(0, ["Content-Length", str(len(body.encode()))])
    arrived: dict[str, Any] = {"method": method, "path": path, "headers": headers}
    if body is not None:
        arrived["body"] = body
    return arrived, draft.to_sign


def _with(arrived: dict[str, Any], name: str, value: str | None, **members: Any) -> dict[str, Any]:
    """The same with another value of a field (None: without it), and other members."""
    headers = [[key, value if key == name and value is not None else old] for key, old in arrived["headers"]]
    if value is None:
        headers = [pair for pair in headers if pair[0] != name]
    return {**arrived, "headers": headers, **members}


def _edited(arrived: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """The same with `Signature-Input` changed, and the signature as it was."""
    written = next(value for name, value in arrived["headers"] if name == "Signature-Input")
    assert old in written, (old, written)
    return _with(arrived, "Signature-Input", written.replace(old, new, 1))


def request_vectors() -> Iterator[Vector]:
    """All of them."""
    yield from _good()
    yield from _changed()
    yield from _refused()
    yield from _answers()


def _good() -> Iterator[Vector]:
    arrived, signed = _signed()
    yield _request("good", "a request with a body", arrived, signed=signed)
    got, of_get = _signed("GET", "/orders/1", None)
    yield _request("good-without-body", "a request without one", got, signed=of_get)
    for kind in ("P-256", "P-384"):
        party = EcParty("agent", kind)
        made, of_party = _signed(by=party)
        yield _request(f"good-{kind.lower()}", f"signed by a {kind} key", made, signed=of_party, provider=party)
        high, _ = _signed(by=party, high=True)
        says = f"signed by a {kind} key, in the higher of the two forms of s"
        yield _request(f"{kind.lower()}-high-s", says, high, code="proof_invalid", provider=party)
    for name, by in (("oldest", -60), ("furthest-ahead", 60)):
        made, of_it = _signed(made=shift(NOW, by))
        yield _request(f"good-{name}", f"made {by} seconds from now", made, signed=of_it)
    beside = [["Signature-Input", 'proxy=("@method");tag="other"'], ["Signature", "proxy=:AAAA:"]]
    more = {**arrived, "headers": [*arrived["headers"], *beside]}
    yield _request("good-beside-another", "somebody else's signature beside it is left alone", more, signed=signed)
    dated = [["Signature-Input", 'proxy=("@method");created=@1795608000;by=%"caf%c3%a9"'], beside[1]]
    more = {**arrived, "headers": [*arrived["headers"], *dated]}
    yield _request("good-beside-a-date", "the one beside it has a date and a display string", more, signed=signed)
    derived = ("@scheme", "@authority", "@path", "@query", "@request-target")
    more, of_more = _signing((*COVERED, *derived, "content-length"))
    yield _request("good-covers-more", "it covers more than it has to", more, signed=of_more)
    spaced = _edited(arrived, '"@method" ', '"@method"  ')
    yield _request("good-spaced", "white space that a structured field may have", spaced, signed=signed)


def _changed() -> Iterator[Vector]:
    """Each covered component, and each parameter of the signature."""
    arrived, _ = _signed()
    for name, says, changed, code in (
        ("method", "another method", {**arrived, "method": "PUT"}, "proof_invalid"),
        ("path", "another path", {**arrived, "path": "/customers?express=1"}, "proof_invalid"),
        ("query", "another query", {**arrived, "path": "/orders?express=2"}, "proof_invalid"),
        ("spelling", "the same path, spelled otherwise", {**arrived, "path": "/%6Frders?express=1"}, "proof_invalid"),
        ("body", "another body", {**arrived, "body": BODY.replace("2", "9")}, "digest_mismatch"),
        ("no-body", "the body is left out", _with(arrived, "Content-Length", "0", body=""), "digest_mismatch"),
        ("digest", "another body with its digest", _another_body(arrived), "proof_invalid"),
        ("digest-gone", "a body and no digest", _with(arrived, "Content-Digest", None), "proof_invalid"),
        ("contract-gone", "no contract is named", _with(arrived, "Hire-Contract", None), "proof_missing"),
        (
            "created",
            "made a second later",
            _edited(arrived, "created=1795608000", "created=1795608001"),
            "proof_invalid",
        ),
        ("expires", "a longer life", _edited(arrived, "expires=1795608060", "expires=1795608090"), "proof_invalid"),
        ("nonce", "another nonce", _edited(arrived, NONCE, NONCE[::-1]), "proof_invalid"),
        ("tag", "another tag", _edited(arrived, 'tag="hire"', 'tag="hire-answer"'), "proof_missing"),
        ("algorithm", "another algorithm", _edited(arrived, '"ed25519"', '"ecdsa-p256-sha256"'), "suite_not_allowed"),
        (
            "order",
            "components in another order",
            _edited(arrived, '"@method" "@target-uri"', '"@target-uri" "@method"'),
            "proof_invalid",
        ),
    ):
        yield _request(f"changed-{name}", says, changed, code=code)
    for component in COVERED:
        says = f"signed by the provider's key, without covering {component}"
        yield _request(f"covers-no-{component.strip('@')}", says, _covering_less(component), code="proof_invalid")
    signature = next(value for name, value in arrived["headers"] if name == "Signature")
    raw = bytearray(base64.b64decode(signature[6:-1]))
    raw[0] ^= 1
    flipped = f"hire=:{base64.b64encode(bytes(raw)).decode()}:"
    yield _request(
        "changed-signature", "one bit of the signature", _with(arrived, "Signature", flipped), code="proof_invalid"
    )


def _another_body(arrived: dict[str, Any]) -> dict[str, Any]:
    body = BODY.replace("2", "9")
    digest = _sha(body)
    assert digest is not None
    return _with(arrived, "Content-Digest", content_digest(digest), body=body)


def _covering_less(component: str) -> dict[str, Any]:
    """Signed by the right key, over less than has to be covered."""
    return _otherwise([name for name in COVERED if name != component])


def _otherwise(covered: Sequence[str | Component] = COVERED, **members: Any) -> dict[str, Any]:
    return _signing(covered, **members)[0]


def _signing(covered: Sequence[str | Component] = COVERED, **members: Any) -> tuple[dict[str, Any], bytes]:
    """Signed by the right key, over these components, with other parameters; `None` leaves one out."""
    arrived, _ = _signed()
    parameters = {
        **{"created": CREATED, "expires": CREATED + 60, "nonce": NONCE},
        **{"keyid": PROVIDER.method, "alg": "ed25519", "tag": "hire"},
        **members,
    }
    parameters = {name: value for name, value in parameters.items() if value is not None}
    request = Request("POST", ORIGIN + PATH, tuple((name, value) for name, value in arrived["headers"]), _sha(BODY))
    base = signature_base(request, covered, parameters)
    changed = _with(arrived, "Signature-Input", f"hire={signature_input(covered, parameters)}")
    return _with(changed, "Signature", f"hire=:{base64.b64encode(PROVIDER.sign(base)).decode()}:"), base


def _digested(arrived: dict[str, Any], kind: str) -> dict[str, Any]:
    """The same with a digest of another kind in the place of the body's."""
    digest = hashlib.new(kind.replace("-", ""), BODY.encode()).digest()
    return _with(arrived, "Content-Digest", f"{kind}=:{base64.b64encode(digest).decode()}:")


def _refused() -> Iterator[Vector]:
    arrived, _ = _signed()
    encoded = Component("content-length", (("bs", True),))
    late, ahead = _signed(made=shift(NOW, -61))[0], _signed(made=shift(NOW, 61))[0]
    yield _request("stale", "made 61 seconds ago", late, code="proof_expired")
    yield _request("from-future", "made 61 seconds ahead", ahead, code="proof_from_future")
    for name, says, other, code in (
        ("life-longer", "good for 61 seconds", _otherwise(expires=CREATED + 61), "proof_invalid"),
        ("life-without-end", "it does not say how long it is good for", _otherwise(expires=None), "proof_invalid"),
        (
            "life-ends-before-it-begins",
            "made 30 seconds ahead, good until now",
            _otherwise(created=CREATED + 30, expires=CREATED),
            "proof_invalid",
        ),
        (
            "life-past",
            "made 40 seconds ago, for 30",
            _otherwise(created=CREATED - 40, expires=CREATED - 10),
            "proof_expired",
        ),
        ("no-algorithm", "it names no algorithm", _otherwise(alg=None), "suite_not_allowed"),
        ("no-keyid", "it names no key", _otherwise(keyid=None), "proof_invalid"),
        ("life-as-text", "its end is text", _otherwise(expires=str(CREATED + 60)), "proof_invalid"),
        ("beginning-as-text", "its beginning is text", _otherwise(created=str(CREATED)), "proof_invalid"),
        ("signature-of-text", "text for the signature", _with(arrived, "Signature", 'hire="x"'), "proof_missing"),
        (
            "covers-no-text",
            "a component that is no text",
            _edited(arrived, '("@method"', '(method "@method"'),
            "proof_invalid",
        ),
        (
            "covers-what-is-not-there",
            "a field that the request has not",
            _edited(arrived, '("@method"', '("x-nothing" "@method"'),
            "proof_invalid",
        ),
        ("field-parameter-twice", "a parameter twice", _edited(arrived, ";tag=", ';tag="x";tag='), "proof_invalid"),
        (
            "field-run-together",
            "two items without a blank",
            _edited(arrived, '"@method" ', '"@method"'),
            "proof_invalid",
        ),
        ("field-list-open", "a list that does not end", _edited(arrived, ")", ""), "proof_invalid"),
        (
            "field-ends-with-a-comma",
            "a comma behind the last",
            _edited(arrived, 'tag="hire"', 'tag="hire",'),
            "proof_invalid",
        ),
        (
            "field-without-a-comma",
            "two members without a comma",
            _edited(arrived, 'tag="hire"', 'tag="hire" more=1'),
            "proof_invalid",
        ),
        (
            "field-member-twice",
            "a name twice in it",
            _edited(arrived, 'tag="hire"', 'tag="hire",hire=()'),
            "proof_invalid",
        ),
        ("field-of-no-form", "a value of no form", _edited(arrived, 'tag="hire"', "tag=!"), "proof_invalid"),
        ("nonce-short", "a nonce of 15 characters", _otherwise(nonce=NONCE[1:]), "proof_invalid"),
        ("covers-with-parameters", "a component with parameters", _otherwise([*COVERED, encoded]), "proof_invalid"),
        ("tag-token", "a tag that is no text", _edited(arrived, 'tag="hire"', "tag=hire"), "proof_missing"),
        ("digest-of-another-kind", "a body's SHA-512 alone", _digested(arrived, "sha-512"), "proof_invalid"),
    ):
        yield _request(name, says, other, code=code)
    seen = [[PROVIDER.method, NONCE]]
    yield _request("replayed", "a nonce that was used before", arrived, code="replayed", seen=seen)
    yield _request(
        "unsigned",
        "nobody signed it",
        _with(_with(arrived, "Signature", None), "Signature-Input", None),
        code="proof_missing",
    )
    unsigned = _with(_with(_signed(contract=OTHER)[0], "Signature", None), "Signature-Input", None)
    says = "nobody signed it, for a contract that is not known here"
    yield _request("contract-not-known-unsigned", says, unsigned, code="proof_missing")
    two = {**arrived, "headers": [["Hire-Contract", CONTRACT], *arrived["headers"]]}
    yield _request("contract-twice", "a contract is named twice", two, code="proof_missing")
    bare, _ = _signed("GET", "/orders/1", None)
    says = "a body that no field announces, as HTTP/2 allows, added on the way"
    yield _request("body-unannounced", says, {**bare, "body": BODY}, code="proof_invalid")
    twice = {**arrived, "headers": [*arrived["headers"], ["Signature-Input", _second(arrived)]]}
    yield _request("signed-twice", "two signatures with our tag", twice, code="proof_invalid")
    forged, _ = _signed(by=HIRER, keyid=PROVIDER.method)
    yield _request("signed-by-another", "another's signature under the provider's method", forged, code="proof_invalid")
    hirers, _ = _signed(by=HIRER)
    yield _request("signed-by-the-hirer", "by the hirer of the contract", hirers, code="key_not_authorized")
    stranger, _ = _signed(by=Party("stranger"))
    yield _request("signed-by-a-stranger", "by who is no party", stranger, code="key_not_authorized")
    unknown, _ = _signed(contract=OTHER)
    yield _request("contract-not-known", "for a contract that is not known here", unknown, code="proof_invalid")
    swapped = _with(arrived, "Hire-Contract", OTHER)
    yield _request(
        "contract-changed", "for another contract that is known here", swapped, code="proof_invalid", contract=OTHER
    )
    elsewhere, _ = _signed(origin="https://evil.example")
    yield _request("for-another-host", "signed for another origin", elsewhere, code="proof_invalid")
    for name, says, pair in (
        ("override", "a field that changes the method", ["X-HTTP-Method-Override", "DELETE"]),
        ("override-underscored", "the same field, as some servers spell it", ["X-HTTP-Method_Override", "DELETE"]),
        ("rewrite", "a field that changes the path", ["X-Original-URL", "/customers"]),
        ("rewrite-forwarded", "a field that proxies use for the path", ["X-Forwarded-Uri", "/customers"]),
        ("two-lengths", "a length and chunks", ["Transfer-Encoding", "chunked"]),
        ("upgrade", "a request that would become something else", ["Upgrade", "websocket"]),
    ):
        more = {**arrived, "headers": [*arrived["headers"], pair]}
        yield _request(name, says, more, code="bad_request")
    empty, _ = _signed(path="/orders?")
    yield _request("query-of-nothing", "a target that ends with an empty query", empty, code="bad_request")
    absolute = {**arrived, "path": f"https://evil.example{PATH}"}
    yield _request("absolute-target", "a target that is more than a path", absolute, code="bad_request")


def _second(arrived: dict[str, Any]) -> str:
    written = next(value for name, value in arrived["headers"] if name == "Signature-Input")
    return "again" + written[4:]


def _request(
    name: str,
    says: str,
    arrived: dict[str, Any],
    *,
    signed: bytes = b"",
    code: str = "",
    provider: Party | EcParty = PROVIDER,
    contract: str = CONTRACT,
    seen: list[Field] | None = None,
) -> Vector:
    case: dict[str, Any] = {
        "kind": "request",
        "now": NOW,
        "origin": ORIGIN,
        "contract": contract,
        "provider": provider.did,
        "methods": {provider.method: provider.multikey},
        "keys": signers(provider, HIRER),
    }
    if seen is not None:
        case["seen"] = seen
    expected: dict[str, Any] = {"code": code} if code else {"keyid": provider.method, "signed": signed.decode()}
    return Vector(f"requests/{name}", says, json.dumps(arrived, indent=1).encode(), case, expected)


def _answers() -> Iterator[Vector]:
    good, signed = _answer()
    yield _answered("good", "an answer with a body", good, signed=signed)
    empty, of_empty = _answer(status=204, body=None, content_type=None)
    yield _answered("good-without-body", "an answer without one", empty, signed=of_empty)
    another, _ = _signed(nonce=NONCE[::-1])
    elsewhere, _ = _signed(contract=OTHER)
    by_provider, _ = _answer(by=PROVIDER)
    forged, _ = _answer(by=PROVIDER, keyid=HIRER.method)
    late, ahead = _answer(made=shift(NOW, -61))[0], _answer(made=shift(NOW, 61))[0]
    part = '"signature";req;key="hire"'
    turned, of_turned = _answer_anew(good, signed, part, '"signature";key="hire";req')
    yield _answered("good-parameters-turned", "parameters in another order", turned, signed=of_turned)
    asked = Component("signature", (("key", "hire"), ("req", True)))
    typed = Component("content-type", (("sf", True),))
    keyid = f';keyid="{HIRER.method}"'
    nameless, _ = _answer_anew(good, signed, keyid, "")
    strange, _ = _answer_anew(good, signed, keyid, ';keyid="5"')
    for name, says, answer, code in (
        ("no-keyid", "it names no key", nameless, "proof_invalid"),
        ("keyid-of-nobody", "what it names as its key is no name of one", strange, "key_not_authorized"),
        ("digest-of-no-bytes", "a digest that is none", _with(good, "Content-Digest", "sha-256=5"), "proof_invalid"),
        ("status", "another status", {**good, "status": 201}, "proof_invalid"),
        ("type", "another type", _with(good, "Content-Type", "text/html"), "proof_invalid"),
        ("body", "another body", {**good, "body": '{"order":8}'}, "digest_mismatch"),
        ("no-digest", "no digest", _with(good, "Content-Digest", None), "proof_missing"),
        (
            "unsigned",
            "nobody signed it",
            _with(_with(good, "Signature", None), "Signature-Input", None),
            "proof_missing",
        ),
        (
            "to-another-request",
            "the answer to another sending of the request",
            {**good, "request": another},
            "proof_invalid",
        ),
        (
            "of-another-contract",
            "the answer to a request for another contract",
            {**good, "request": elsewhere},
            "proof_invalid",
        ),
        (
            "covers-less",
            "the request's signature is not covered",
            _answer_covering_less(good, signed.decode()),
            "proof_invalid",
        ),
        ("covers-twice", "the request's signature is covered twice", _answer_covering(good, asked), "proof_invalid"),
        ("covers-with-parameters", "a field is covered as a list", _answer_covering(good, typed), "proof_invalid"),
        ("tag", "a tag of requests", _edited(good, "hire-answer", "hire"), "proof_missing"),
        ("no-algorithm", "it names no algorithm", _edited(good, ';alg="ed25519"', ""), "suite_not_allowed"),
        ("stale", "made 61 seconds ago", late, "proof_expired"),
        ("from-future", "made 61 seconds ahead", ahead, "proof_from_future"),
        ("by-the-provider", "signed by who asked", by_provider, "key_not_authorized"),
        ("signed-by-another", "another's signature under the hirer's method", forged, "proof_invalid"),
    ):
        yield _answered(name, says, answer, code=code)


def _answer_anew(answer: dict[str, Any], signed: bytes, old: str, new: str) -> tuple[dict[str, Any], bytes]:
    """The answer with another `Signature-Input`, signed by the hirer all the same; and what was signed."""
    base = signed.replace(old.encode(), new.encode())
    signature = base64.b64encode(HIRER.sign(base)).decode()
    return _with(_edited(answer, old, new), "Signature", f"hire=:{signature}:"), base


def _answer_covering_less(answer: dict[str, Any], signed: str) -> dict[str, Any]:
    """The answer, signed by the hirer all the same, without the signature of the request that it answers."""
    left_out = ' "signature";req;key="hire"'
    lines = [line for line in signed.splitlines() if not line.startswith(left_out.strip())]
    signature = base64.b64encode(HIRER.sign("\n".join(lines).replace(left_out, "").encode())).decode()
    return _with(_edited(answer, left_out, ""), "Signature", f"hire=:{signature}:")


def _answer_covering(answer: dict[str, Any], more: Component) -> dict[str, Any]:
    """The answer, signed by the hirer all the same, which covers this besides."""
    asked, fields = answer["request"], tuple((name, value) for name, value in answer["headers"])
    request = Request("POST", ORIGIN + PATH, tuple((name, value) for name, value in asked["headers"]), _sha(BODY))
    response = Response(answer["status"], fields, request)
    found = tagged_signature(response, "hire-answer")
    covered = (*found.components, more)
    signature = base64.b64encode(HIRER.sign(signature_base(response, covered, found.parameters))).decode()
    changed = _with(answer, "Signature-Input", f"hire={signature_input(covered, found.parameters)}")
    return _with(changed, "Signature", f"hire=:{signature}:")


def _answer(
    *,
    by: Party = HIRER,
    keyid: str | None = None,
    status: int = 200,
    body: str | None = '{"order":7}',
    content_type: str | None = "application/json",
    made: str = NOW,
) -> tuple[dict[str, Any], bytes]:
    arrived, _ = _signed()
    fields = tuple((name, value) for name, value in arrived["headers"])
    headers = (("Content-Type", content_type),) if content_type is not None else ()
    response = Response(status, headers, Request("POST", ORIGIN + PATH, fields, _sha(BODY)))
    digest = hashlib.sha256((body or "").encode()).digest()
    draft = draft_answer(response, digest, keyid or by.method, "Ed25519", now=made)
    signed = (*headers, *draft.fields(by.sign(draft.to_sign)))
    answer: dict[str, Any] = {"status": status, "headers": [list(pair) for pair in signed], "request": arrived}
    if body is not None:
        answer["body"] = body
    return answer, draft.to_sign


def _answered(name: str, says: str, answer: dict[str, Any], *, signed: bytes = b"", code: str = "") -> Vector:
    case = {
        "kind": "answer",
        "now": NOW,
        "origin": ORIGIN,
        "hirer": HIRER.did,
        "keys": signers(HIRER, PROVIDER),
    }
    expected: dict[str, Any] = {"code": code} if code else {"keyid": HIRER.method, "signed": signed.decode()}
    return Vector(f"answers/{name}", says, json.dumps(answer, indent=1).encode(), case, expected)
