"""Signed requests and answers in odd spellings: the implementation in JavaScript says of them what this one says."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from typing import Any, Final

import pytest

from integration.test_js_peer import said_there
from undersigned.bridges.gates import ContractKeys, check_body, request_of, verify_head
from undersigned.bridges.http_answers import verify_answer
from undersigned.bridges.http_messages import Request, Response
from undersigned.bridges.http_signatures import content_digest
from undersigned.did import did_key, document_from
from undersigned.encoding import digest_bytes
from undersigned.errors import UndersignedError
from undersigned.runtime.signers import PrivateKey, generate_key

NOW: Final = "2026-11-25T12:00:00Z"
CREATED: Final = 1795608000
"""`NOW`, in seconds since 1970."""
ORIGIN: Final = "https://api.acme.example"
CONTRACT: Final = digest_bytes(b"a contract")
BODY: Final = "x"
SHA: Final = hashlib.sha256(BODY.encode()).digest()
AGENT, HIRER = generate_key(), generate_key()
Fields = list[tuple[str, str]]


def named(key: PrivateKey) -> str:
    return did_key(key.public_key)


def method(key: PrivateKey) -> str:
    return f"{named(key)}#{key.public_key.multikey}"


def signed(
    key: PrivateKey,
    lines: dict[str, str],
    parameters: dict[str, str],
    written: dict[str, str] | None = None,
    *,
    encoding: str = "latin-1",
) -> Fields:
    """The two fields, of what stands in `lines` and `parameters`, signed in the spelling that `written` gives of a
    parameter.
    """
    covered = f"({' '.join(lines)})"
    as_sent, as_signed = (
        covered + "".join(f";{name}={value}" for name, value in {**parameters, **changed}.items())
        for changed in ({}, written or {})
    )
    base = "".join(f"{name}: {value}\n" for name, value in lines.items()) + f'"@signature-params": {as_signed}'
    signature = b64encode(key.sign_now(base.encode(encoding))).decode()
    return [("Signature-Input", f"hire={as_sent}"), ("Signature", f"hire=:{signature}:")]


def request(
    more: Fields | None = None,
    *,
    lines: dict[str, str] | None = None,
    digest: str = content_digest(SHA),
    contract: str = CONTRACT,
    encoding: str = "latin-1",
    parameters: dict[str, str] | None = None,
    written: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A request as it arrives, which covers `lines` besides."""
    covered = {
        **{'"@method"': "POST", '"@target-uri"': f"{ORIGIN}/orders", '"hire-contract"': CONTRACT},
        **{'"content-digest"': digest, **(lines or {})},
    }
    all_of_them = {
        **{"created": str(CREATED), "expires": str(CREATED + 60), "nonce": '"0123456789abcdef"'},
        **{"keyid": f'"{method(AGENT)}"', "alg": '"ed25519"', "tag": '"hire"', **(parameters or {})},
    }
    fields: Fields = [("Content-Length", "1"), ("Hire-Contract", contract), ("Content-Digest", digest), *(more or [])]
    fields += signed(AGENT, covered, all_of_them, written, encoding=encoding)
    return {"method": "POST", "path": "/orders", "headers": fields, "body": BODY}


def with_a(value: str, signed_as: str | None = None, encoding: str = "latin-1") -> dict[str, Any]:
    """A request with a field of this value, which is covered."""
    lines = {'"x-a"': value if signed_as is None else signed_as}
    return request([("X-A", value)], lines=lines, encoding=encoding)


def with_parameter(value: str, written: str | None = None) -> dict[str, Any]:
    return request(parameters={"x": value}, written={"x": value if written is None else written})


def with_field(arrived: dict[str, Any], name: str, value: str) -> dict[str, Any]:
    """The same with another value of a field."""
    return {**arrived, "headers": [(key, value if key == name else old) for key, old in arrived["headers"]]}


REQUESTS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "as it should be": (request(), "good"),
    "octets beyond ASCII": (with_a("caf\xe9"), "good"),
    "octets of UTF-8": (with_a("caf\xc3\xa9"), "good"),
    "octets spelled in UTF-8 once more": (with_a("caf\xe9", encoding="utf-8"), "proof_invalid"),
    "white space that is none of HTTP": (with_a("\xa0a\xa0"), "good"),
    "without white space that is none of HTTP": (with_a("\xa0a", "a"), "proof_invalid"),
    "blanks and tabs": (with_a("\t a \t", "a"), "good"),
    "a control character": (with_a("a\x0bb"), "proof_invalid"),
    "a character that is no octet": (with_a("\u20ac", encoding="utf-8"), "proof_invalid"),
    "a contract after a control character": (request(contract=f"\x0b{CONTRACT}"), "proof_missing"),
    "a date": (with_parameter("@007", "@7"), "good"),
    "no date": (with_parameter("@1.0"), "proof_invalid"),
    "a date after all others": (with_parameter("@253402300800"), "proof_invalid"),
    "a display string": (with_parameter('%"%41%c3%bc"', '%"A%c3%bc"'), "good"),
    "a display string that is no UTF-8": (with_parameter('%"%c3"'), "proof_invalid"),
    "a zero below zero": (with_parameter("-0.00", "0.0"), "good"),
    "a date as created": (request(parameters={"created": f"@{CREATED}"}), "proof_invalid"),
    "bytes without their end": (with_parameter(":YQ:", ":YQ==:"), "good"),
    "bytes of which a part is missing": (with_parameter(":Y:"), "proof_invalid"),
    "an end of bytes alone": (with_parameter(":=:", "::"), "proof_invalid"),
    "a component named by bytes": (request(lines={":eC1h:": "a"}, more=[("X-A", "a")]), "proof_invalid"),
    "another digest beside": (request(digest=f"sha=@1, {content_digest(SHA)}"), "good"),
    "a digest twice": (request(digest=f"{content_digest(SHA)}, {content_digest(SHA)}"), "proof_invalid"),
    "signatures that cannot be read, none of ours": (
        with_field(with_field(request(), "Signature", "hire=:("), "Signature-Input", "a, b"),
        "proof_invalid",
    ),
}


@pytest.fixture(scope="module")
def codes_there() -> dict[str, str]:
    """What the other implementation says of all of them."""
    asked = {
        **{("request", name): (arrived, REQUEST_CASE) for name, (arrived, _) in REQUESTS.items()},
        **{("answer", name): (answered, ANSWER_CASE) for name, (answered, _) in ANSWERS.items()},
    }
    given = [{"kind": kind, "input": json.dumps(sent), "case": case} for (kind, _), (sent, case) in asked.items()]
    found = said_there("kinds.js", given)
    return {f"{kind} {name}": one.get("code", "good") for (kind, name), one in zip(asked, found, strict=True)}


REQUEST_CASE: Final = {
    **{"origin": ORIGIN, "now": NOW, "contract": CONTRACT, "provider": named(AGENT)},
    "methods": {method(AGENT): AGENT.public_key.multikey},
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_taken_or_refused_there_as_here(name: str, codes_there: dict[str, str]) -> None:
    """HIRE-RQS-01."""
    sent, code = REQUESTS[name]
    keys = ContractKeys(contract=CONTRACT, provider=named(AGENT), keys=REQUEST_CASE["methods"])
    try:
        arrived = request_of(ORIGIN, sent["method"], sent["path"], tuple(sent["headers"]))
        verify_head(arrived, keys, now=NOW, fresh=lambda *_: True)
        check_body(arrived, SHA)
    except UndersignedError as error:
        here = error.code
    else:
        here = "good"
    assert (here, codes_there[f"request {name}"]) == (code, code)


ASKED: Final = request()
ASKED_WITH: Final = dict(ASKED["headers"])
ANSWER_CASE: Final = {"origin": ORIGIN, "now": NOW, "hirer": named(HIRER)}


def answer(more: dict[str, str] | None = None, without: str = "") -> dict[str, Any]:
    """An answer as it arrives, which covers `more` besides, and not what is `without`."""
    lines = {
        **{'"@status"': "200", '"content-digest"': content_digest(SHA), '"content-type"': "text/plain"},
        **{'"@method";req': "POST", '"@target-uri";req': f"{ORIGIN}/orders", '"hire-contract";req': CONTRACT},
        '"content-digest";req': ASKED_WITH["Content-Digest"],
        '"signature";req;key="hire"': ASKED_WITH["Signature"].removeprefix("hire="),
        **(more or {}),
    }
    lines.pop(without, None)
    parameters = {"created": str(CREATED), "keyid": f'"{method(HIRER)}"', "alg": '"ed25519"', "tag": '"hire-answer"'}
    fields = [("Content-Type", "text/plain"), ("Content-Digest", content_digest(SHA))]
    fields += signed(HIRER, lines, parameters)
    return {"status": 200, "headers": fields, "request": ASKED, "body": BODY}


ANSWERS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "as it should be": (answer(), "good"),
    "more of the request": (answer({'"@path";req': "/orders"}), "good"),
    "a field as a list": (answer({'"content-digest";sf': content_digest(SHA)}), "proof_invalid"),
    "a member of a field": (
        answer({'"content-digest";key="sha-256"': content_digest(SHA).removeprefix("sha-256=")}),
        "proof_invalid",
    ),
    "a field as bytes": (answer({'"content-type";bs': f":{b64encode(b'text/plain').decode()}:"}), "proof_invalid"),
    "of the request by a number": (answer({'"@method";req=1': "POST"}), "proof_invalid"),
    "of the request by a number alone": (answer({'"@method";req=1': "POST"}, '"@method";req'), "proof_invalid"),
    "the request's signature twice": (
        answer({'"signature";key="hire";req': ASKED_WITH["Signature"].removeprefix("hire=")}),
        "proof_invalid",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_taken_or_refused_there_as_here(name: str, codes_there: dict[str, str]) -> None:
    """HIRE-GTS-15."""
    sent, code = ANSWERS[name]
    asked = Request("POST", f"{ORIGIN}/orders", tuple(ASKED["headers"]))
    arrived = Response(sent["status"], tuple(sent["headers"]), asked)
    document = document_from(named(HIRER), {})
    try:
        verify_answer(arrived, SHA, lambda of: document.key_for(of, "authentication", now=NOW), now=NOW)
    except UndersignedError as error:
        here = error.code
    else:
        here = "good"
    assert (here, codes_there[f"answer {name}"]) == (code, code)
