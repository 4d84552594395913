"""HTTP message signatures: our own requests, and what must be refused."""

from __future__ import annotations

import base64
import hashlib
import re

import http_sf
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import refuses
from undersigned.bridges import http_signatures
from undersigned.bridges.http_messages import Component, Request, signature_input
from undersigned.bridges.http_signatures import (
    ALGORITHMS,
    TAG,
    claimed_key,
    content_digest,
    draft_request,
    verify_request,
)
from undersigned.bridges.nonces import NonceWindow
from undersigned.encoding import digest_bytes, parse_instant, shift
from undersigned.errors import ProofError
from undersigned.runtime.signers import PrivateKey, generate_key

NOW = "2026-11-25T12:00:00Z"
CONTRACT = digest_bytes(b"contract")
METHOD = "did:web:globex.example#key-1"
NONCE = "0123456789abcdef"
URL = "https://acme.example/artifacts/x?y=1"
PLAIN = Request("GET", URL)


def at(seconds: int) -> str:
    return shift(NOW, seconds)


def signed(key: PrivateKey, request: Request = PLAIN, *, now: str = NOW, nonce: str = NONCE) -> Request:
    draft = draft_request(request, METHOD, key.public_key.kind, contract=CONTRACT, now=now, nonce=nonce)
    return draft.signed(key.sign_now(draft.to_sign))


def always(keyid: str, nonce: str) -> bool:
    return True


@pytest.mark.parametrize("kind", sorted(ALGORITHMS))
def test_a_signed_request_verifies(kind) -> None:
    key = generate_key(kind)
    verified = verify_request(signed(key), lambda keyid: key.public_key, now=NOW, fresh=always)
    assert verified.keyid == METHOD
    assert verified.contract == CONTRACT
    assert verified.created == NOW
    assert verified.nonce == NONCE
    assert verified.components == ("@method", "@target-uri", "hire-contract")


def test_the_claimed_key_is_readable_before_it_is_verified() -> None:
    assert claimed_key(signed(generate_key())) == METHOD


def test_a_body_is_covered_by_its_digest() -> None:
    key = generate_key()
    body = hashlib.sha256(b"{}").digest()
    request = signed(key, Request("POST", URL, body_digest=body))
    assert ("Content-Digest", content_digest(body)) in request.headers
    verify_request(request, lambda _: key.public_key, now=NOW, fresh=always)
    other = msgspec.structs.replace(request, body_digest=hashlib.sha256(b"[]").digest())
    with refuses(ProofError, "digest_mismatch"):
        verify_request(other, lambda _: key.public_key, now=NOW, fresh=always)


def test_a_covered_digest_that_is_not_there_is_refused() -> None:
    """HIRE-RQS-01: it was signed, so it was taken out."""
    key = generate_key()
    request = signed(key, Request("POST", URL, body_digest=hashlib.sha256(b"{}").digest()))
    without = tuple((name, value) for name, value in request.headers if name != "Content-Digest")
    with pytest.raises(ProofError, match="covered and is not there") as caught:
        verify_request(
            msgspec.structs.replace(request, headers=without), lambda _: key.public_key, now=NOW, fresh=always
        )
    assert caught.value.code == "proof_invalid"


def test_a_body_without_a_covered_digest_is_refused() -> None:
    """Absent means refused: a body that the signature does not cover is anybody's (HIRE-RQS-01)."""
    key = generate_key()
    request = msgspec.structs.replace(signed(key), body_digest=hashlib.sha256(b"{}").digest())
    with refuses(ProofError, "proof_invalid"):
        verify_request(request, lambda _: key.public_key, now=NOW, fresh=always)


def replaced(request: Request, name: str, value: str) -> Request:
    headers = tuple((key, value if key == name else old) for key, old in request.headers)
    return msgspec.structs.replace(request, headers=headers)


def field(request: Request, name: str) -> str:
    return next(value for key, value in request.headers if key == name)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda r: msgspec.structs.replace(r, method="DELETE"), "proof_invalid"),
        (lambda r: msgspec.structs.replace(r, url=URL + "0"), "proof_invalid"),
        (lambda r: msgspec.structs.replace(r, url="https://evil.example/artifacts/x?y=1"), "proof_invalid"),
        (lambda r: replaced(r, "Hire-Contract", digest_bytes(b"other")), "proof_invalid"),
        (lambda r: msgspec.structs.replace(r, headers=(*r.headers, ("hire-contract", CONTRACT))), "proof_invalid"),
        (lambda r: msgspec.structs.replace(r, headers=r.headers[1:]), "proof_invalid"),
        (lambda r: msgspec.structs.replace(r, headers=r.headers[:-1]), "proof_missing"),
        (lambda r: msgspec.structs.replace(r, headers=()), "proof_missing"),
        (lambda r: replaced(r, "Signature", "hire=:AAAA:"), "proof_invalid"),
        (lambda r: replaced(r, "Signature", "hire=()"), "proof_missing"),
        (lambda r: replaced(r, "Signature", "other=:AAAA:"), "proof_missing"),
        (lambda r: replaced(r, "Signature", "hire=:A"), "proof_invalid"),
        (lambda r: replaced(r, "Signature-Input", "hire=1"), "proof_missing"),
        (
            lambda r: replaced(r, "Signature-Input", field(r, "Signature-Input").replace('"@method" ', "")),
            "proof_invalid",
        ),
        (
            lambda r: replaced(
                r, "Signature-Input", field(r, "Signature-Input").replace('"@method"', '"@method" "@method"')
            ),
            "proof_invalid",
        ),
        (
            lambda r: replaced(r, "Signature-Input", field(r, "Signature-Input").replace(";nonce=", ";salt=")),
            "proof_invalid",
        ),
        (
            lambda r: replaced(r, "Signature-Input", field(r, "Signature-Input").replace(";created=", ";made=")),
            "proof_invalid",
        ),
        (
            lambda r: replaced(r, "Signature-Input", field(r, "Signature-Input").replace("ed25519", "hmac-sha256")),
            "suite_not_allowed",
        ),
        (
            lambda r: replaced(
                r, "Signature-Input", field(r, "Signature-Input") + ", two" + field(r, "Signature-Input")[4:]
            ),
            "proof_invalid",
        ),
        (
            lambda r: replaced(r, "Signature-Input", field(r, "Signature-Input") + ", " + field(r, "Signature-Input")),
            "proof_invalid",
        ),
        (
            lambda r: replaced(
                r, "Signature-Input", re.sub("expires=[0-9]+", "expires=1", field(r, "Signature-Input"))
            ),
            "proof_expired",
        ),
    ],
)
def test_a_changed_request_is_refused(change, code) -> None:
    """HIRE-RQS-01."""
    key = generate_key()
    with refuses(ProofError, code):
        verify_request(change(signed(key)), lambda _: key.public_key, now=NOW, fresh=always)


@pytest.mark.parametrize("contract", ["contract", CONTRACT[:-1], CONTRACT + "A"])
def test_a_contract_is_named_by_its_digest(contract: str) -> None:
    """HIRE-RQS-01: whoever signed it."""
    key = generate_key()
    draft = draft_request(PLAIN, METHOD, "Ed25519", contract=contract, now=NOW, nonce=NONCE)
    with pytest.raises(ProofError, match="Hire-Contract is not a digest") as caught:
        verify_request(draft.signed(key.sign_now(draft.to_sign)), lambda _: key.public_key, now=NOW, fresh=always)
    assert caught.value.code == "proof_invalid"


def test_another_key_is_refused() -> None:
    with refuses(ProofError, "proof_invalid"):
        verify_request(signed(generate_key()), lambda _: generate_key().public_key, now=NOW, fresh=always)


def test_a_signature_with_another_tag_is_left_alone() -> None:
    """A proxy may add its own; ours is found by its tag."""
    key = generate_key()
    request = signed(key)
    request = replaced(
        request,
        "Signature-Input",
        f'proxy=("@method");created=1;keyid="p", odd=1;tag="{TAG}", ' + field(request, "Signature-Input"),
    )
    request = replaced(request, "Signature", "proxy=:AAAA:, " + field(request, "Signature"))
    assert verify_request(request, lambda _: key.public_key, now=NOW, fresh=always).keyid == METHOD


@pytest.mark.parametrize(
    ("later", "code"),
    [(-61, "proof_from_future"), (-60, None), (0, None), (60, None), (61, "proof_expired")],
)
def test_the_age_is_bounded_on_both_sides_inclusively(later, code) -> None:
    """HIRE-RQS-01."""
    key = generate_key()
    request = signed(key)
    if code is None:
        verify_request(request, lambda _: key.public_key, now=at(later), fresh=always)
        return
    with refuses(ProofError, code):
        verify_request(request, lambda _: key.public_key, now=at(later), fresh=always)


@pytest.mark.parametrize(
    ("nonce", "good"),
    [("x" * 15, False), ("x" * 16, True), ("!~" * 64, True), ("x" * 129, False), ("x" * 15 + " ", False)],
)
def test_a_nonce_is_16_to_128_visible_characters(nonce: str, good: bool) -> None:
    """HIRE-RQS-01: it is remembered, so it has a length; and one that is too short could be another's."""
    key = generate_key()
    request = signed(key, nonce=nonce)
    if good:
        assert verify_request(request, lambda _: key.public_key, now=NOW, fresh=always).nonce == nonce
        return
    with pytest.raises(ProofError, match="the nonce is not 16 to 128") as caught:
        verify_request(request, lambda _: key.public_key, now=NOW, fresh=always)
    assert caught.value.code == "proof_invalid"


def test_a_nonce_works_once() -> None:
    """HIRE-RQS-01."""
    key = generate_key()
    window = NonceWindow()

    def fresh(keyid: str, nonce: str) -> bool:
        return window.first(keyid, nonce, NOW)

    verify_request(signed(key), lambda _: key.public_key, now=NOW, fresh=fresh)
    with refuses(ProofError, "replayed"):
        verify_request(signed(key), lambda _: key.public_key, now=NOW, fresh=fresh)
    verify_request(signed(key, nonce="fedcba9876543210"), lambda _: key.public_key, now=NOW, fresh=fresh)


def test_a_stranger_cannot_use_up_a_nonce() -> None:
    """The nonce is looked at after the signature."""
    key, asked = generate_key(), []
    with pytest.raises(ProofError):
        verify_request(
            signed(generate_key()), lambda _: key.public_key, now=NOW, fresh=lambda *a: bool(asked.append(a)) or True
        )
    assert asked == []


@pytest.mark.parametrize(
    ("url", "component"),
    [
        ("https://acme.example/x?y=\udcff", Component("@query-param", (("name", "y"),))),
        ("https://acme.example/x?\udcff=1", Component("@query-param", (("name", "y"),))),
        ("https://[acme/x", Component("@path")),
        (URL, Component("x-odd", (("bs", True),))),
    ],
)
def test_what_is_covered_and_cannot_be_written_is_a_proof_that_does_not_hold(url: str, component: Component) -> None:
    """Bytes that are no text in a target or a field come as surrogates: whoever asks is refused, and nothing fails."""
    covered = (*map(Component, ("@method", "@target-uri", "hire-contract")), component)
    seconds = int(parse_instant(NOW).timestamp())
    parameters = {
        "created": seconds,
        "expires": seconds + 60,
        "nonce": NONCE,
        "keyid": METHOD,
        "alg": "ed25519",
        "tag": TAG,
    }
    headers = (
        ("Hire-Contract", CONTRACT),
        ("X-Odd", "\udcff"),
        ("Signature-Input", f"{TAG}={signature_input(covered, parameters)}"),
        ("Signature", f"{TAG}=:{'A' * 86}==:"),
    )
    key = generate_key()
    with refuses(ProofError, "proof_invalid"):
        verify_request(Request("GET", url, headers), lambda _: key.public_key, now=NOW, fresh=always)


plain = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


@given(
    covered=st.lists(plain, min_size=1, max_size=4),
    parameters=st.dictionaries(
        st.sampled_from(["created", "nonce", "keyid", "alg"]), plain | st.integers(-(10**15) + 1, 10**15 - 1)
    ),
    raw=st.binary(max_size=70),
    more=st.sampled_from(
        ["", ', other=("@method")', ";tag=x", ";created=1", ";z=01", ";z=-0", ";x", ";x=1.5", " ", ";x=?1", "\t"]
    ),
)
def test_fields_read_at_once_are_read_as_the_library_reads_them(covered, parameters, raw, more) -> None:
    written = signature_input(covered, {**parameters, "tag": "hire"})
    headers = (
        ("Signature-Input", f"hire={written}{more}"),
        ("Signature", f"hire=:{base64.b64encode(raw).decode()}:"),
    )
    request = Request(method="GET", url="https://acme.example/", headers=headers, body_digest=None)
    short = http_signatures._plain_signature(request, TAG)
    if short is None:
        return
    (member,) = http_sf.parse(headers[0][1].strip().encode(), tltype="dictionary").values()
    assert [(part.name, {}) for part in short.components] == member[0]
    assert (short.parameters, short.raw) == (member[1], raw)
    assert short.written == http_sf.ser([member])


def test_what_we_write_is_read_at_once() -> None:
    """So that the test above compares something."""
    written = signature_input(["@method"], {"created": 1, "nonce": "x", "tag": "hire"})
    headers = (("Signature-Input", f"hire={written}"), ("Signature", "hire=:AAAA:"))
    request = Request(method="GET", url="https://acme.example/", headers=headers, body_digest=None)
    assert http_signatures._plain_signature(request, TAG) is not None
