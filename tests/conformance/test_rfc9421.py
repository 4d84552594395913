"""RFC 9421, Appendix B: every published base is byte-equal to ours, and every signature holds or fails as labelled."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import http_sf
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from support import conformance_dir
from undersigned.bridges.http_messages import Component, Request, Response, signature_base, signature_input
from undersigned.bridges.http_signatures import ALGORITHMS, verify_request
from undersigned.errors import ProofError
from undersigned.keys import PublicKey, public_key_from_raw

pytestmark = pytest.mark.conformance

FOUND = conformance_dir()
CASES = json.loads((FOUND / "rfc9421" / "cases.json").read_text()) if FOUND else []
EXPECTED_EXCEPTIONS = {
    "sig-b21": "rsa-pss-sha512: no DID method and no cryptosuite here has RSA keys, so none of ours verifies it",
    "sig-b22": "rsa-pss-sha512: as above",
}
"""Of these our base is compared, and the signature over it checked by the library instead of by a key of ours."""


def message_of(case: dict) -> Request | Response:
    head, _, _ = case["message"].partition("\n\n")
    start, *lines = head.split("\n")
    headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))
    first, second, _ = start.split(" ", 2)
    if first.startswith("HTTP/"):
        return Response(int(second), headers)
    host = next(value for name, value in headers if name == "Host")
    return Request(first, f"https://{host}{second}", headers)


def written(case: dict) -> tuple[str, bytes]:
    """The value of `Signature-Input` without its label, and the signature."""
    fields = {name.lower(): value for name, value in message_of(case).headers}
    text = case.get("signature_input") or fields["signature-input"]
    raw = (case.get("signature") or fields["signature"]).partition("=")[2].strip(":")
    return text.partition("=")[2], base64.b64decode(raw)


def base_of(case: dict) -> bytes:
    text, _ = written(case)
    (((items, parameters), *_),) = [http_sf.parse(text.encode(), tltype="list")]
    components = [Component(name, tuple(attributes.items())) for name, attributes in items]
    assert signature_input(components, parameters) == text
    return signature_base(message_of(case), components, parameters)


def public(conformance: Path, keyid: str):
    entry = json.loads((conformance / "rfc9421" / "keys.json").read_text())[keyid]
    return load_pem_public_key(entry["public_pem"].encode())


def ours(loaded: object) -> PublicKey:
    if isinstance(loaded, ed25519.Ed25519PublicKey):
        return public_key_from_raw("Ed25519", loaded.public_bytes_raw())
    assert isinstance(loaded, ec.EllipticCurvePublicKey)
    numbers = loaded.public_numbers()
    return public_key_from_raw("P-256", bytes([2 + numbers.y % 2]) + numbers.x.to_bytes(32, "big"))


def test_every_published_case_is_run(conformance: Path) -> None:
    assert len(CASES) == 8
    assert set(EXPECTED_EXCEPTIONS) == {case["id"] for case in CASES if case["algorithm"] not in ALGORITHMS.values()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_published_base(case: dict, conformance: Path) -> None:
    if case["signature_base"] is not None:
        assert base_of(case).decode() == case["signature_base"]
    else:
        assert "change" in case, "a base is left out only where a message was changed on its way"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_published_signature(case: dict, conformance: Path) -> None:
    loaded = public(conformance, case["keyid"])
    base, (_, signature) = base_of(case), written(case)

    def verify() -> None:
        if case["id"] in EXPECTED_EXCEPTIONS:
            assert isinstance(loaded, rsa.RSAPublicKey)
            loaded.verify(signature, base, padding.PSS(padding.MGF1(hashes.SHA512()), 64), hashes.SHA512())
        else:
            ours(loaded).verify(signature, base, low_s=False)

    if case["valid"]:
        verify()
    else:
        with pytest.raises((ProofError, InvalidSignature)):
            verify()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_no_published_case_is_a_request_of_a_hired_agent(case: dict, conformance: Path) -> None:
    """None has the tag `hire`, so the good ones are somebody else's and give no authority here (HIRE-RQS-01)."""
    message = message_of(case)
    if isinstance(message, Response):
        return
    fields = () if "signature_input" not in case else (
        ("Signature-Input", case["signature_input"]), ("Signature", case["signature"]),
    )  # fmt: skip
    request = Request(message.method, message.url, message.headers + fields)
    with pytest.raises(ProofError) as caught:
        verify_request(request, lambda _: pytest.fail("no key is asked for"), now="2021-04-20T02:07:56Z", fresh=bool)
    assert caught.value.code == "proof_missing"
