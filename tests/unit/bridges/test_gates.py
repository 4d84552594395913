"""What a gate makes of a request before anything of it is verified, whatever server read it."""

from __future__ import annotations

import hashlib

import pytest
from msgspec.structs import replace

from undersigned.bridges.gates import ContractKeys, check_body, claimed_contract, refusal, request_of, verify_head
from undersigned.bridges.http_messages import Request
from undersigned.bridges.http_signatures import content_digest, draft_request
from undersigned.did import did_key
from undersigned.encoding import digest_bytes
from undersigned.errors import LedgerError, ProofError, ScopeError, TransportError, UndersignedError, VerificationError
from undersigned.runtime.signers import generate_key

ORIGIN = "https://api.acme.example"
CONTRACT = digest_bytes(b"contract")
HASH = hashlib.sha256(b"abc").digest()


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("GET", "x", ()),
        ("GET", "//evil.example/x", ()),
        ("GET", "/x#y", ()),
        ("GET", "/x\\y", ()),
        ("GET", "/x?", ()),
        ("GET", "/x", (("Host", "a"), ("host", "b"))),
        ("GET", "/x", (("Content-Length", "0"), ("content-length", "0"))),
        ("GET", "/x", (("Content-Length", "3"), ("Transfer-Encoding", "chunked"))),
        ("GET", "/x", (("Upgrade", "websocket"),)),
        ("CONNECT", "/x", ()),
        *(
            ("GET", "/x", ((name, "DELETE"),))
            for name in (
                *("X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override", "X_Original_URL", "X-Rewrite-URL"),
                *("X-Original-URI", "X-Forwarded-Prefix", "X-Original-Method", "X-Forwarded-Method", "X-Forwarded-Uri"),
                *("X-Forwarded-Path", "X-Envoy-Original-Path", "x_script_name"),
            )
        ),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(method: str, path: str, fields: tuple[tuple[str, str], ...]) -> None:
    """HIRE-GTS-02: also behind a server that lets it through."""
    with pytest.raises(TransportError) as refused:
        request_of(ORIGIN, method, path, fields)
    assert refused.value.code == "bad_request"


@pytest.mark.parametrize(
    ("fields", "digest"),
    [
        ((), None),
        ((("Content-Length", " 0 "),), None),
        ((("Content-Length", "3"),), b""),
        ((("Transfer-Encoding", "chunked"),), b""),
        ((("Content-Digest", content_digest(HASH)),), HASH),
        ((("Content-Digest", content_digest(HASH)), ("Content-Length", "0")), HASH),
        ((("Content-Digest", "none"), ("Content-Length", "3")), b""),
    ],
)
def test_a_body_that_may_come_is_one_that_is_signed(fields: tuple[tuple[str, str], ...], digest: bytes | None) -> None:
    """HIRE-GTS-04: where nothing usable is claimed of it, what is claimed holds for no body."""
    assert request_of(ORIGIN, "PUT", "/x", (("Host", "a"), *fields)).body_digest == digest


@pytest.mark.parametrize(
    "named", [(), (CONTRACT, CONTRACT), ("",), (CONTRACT[:-1],), (CONTRACT + "A",), (f"{CONTRACT}\n",), ("x" * 46,)]
)
def test_a_request_names_one_contract_by_its_digest(named: tuple[str, ...]) -> None:
    """HIRE-GTS-03."""
    with pytest.raises(ProofError) as refused:
        claimed_contract(Request("GET", ORIGIN, tuple(("Hire-Contract", one) for one in named)))
    assert refused.value.code == "proof_missing"
    assert claimed_contract(Request("GET", ORIGIN, (("hire-contract", f" {CONTRACT}\t"),))) == CONTRACT


def test_the_keys_of_one_contract_sign_nothing_under_another() -> None:
    """HIRE-GTS-03: though one provider has both; and a contract that is not known is told from no other one."""
    key, other, now = generate_key(), generate_key().public_key.multikey, "2026-11-25T12:00:00Z"
    did = did_key(key.public_key)
    method = f"{did}#{key.public_key.multikey}"

    def signed(contract: str) -> Request:
        plain = Request("GET", f"{ORIGIN}/x")
        draft = draft_request(plain, method, "Ed25519", contract=contract, now=now, nonce="0123456789abcdef")
        return draft.signed(key.sign_now(draft.to_sign))

    keys = ContractKeys(contract=CONTRACT, provider=did, keys={method: key.public_key.multikey})
    assert verify_head(signed(CONTRACT), keys, now=now, fresh=lambda *_: True).contract == CONTRACT
    with pytest.raises(VerificationError) as refused:
        verify_head(signed(CONTRACT), replace(keys, keys={f"{did}#other": other}), now=now, fresh=lambda *_: True)
    assert refused.value.code == "key_not_authorized"
    for known, contract in ((keys, digest_bytes(b"other")), (None, CONTRACT)):
        with pytest.raises(ProofError, match="no contract of this name is known here") as refused:
            verify_head(signed(contract), known, now=now, fresh=lambda *_: True)
        assert refused.value.code == "proof_invalid"


def test_a_body_is_the_one_that_was_signed() -> None:
    """HIRE-GTS-04: and where none was signed, there is none."""
    nothing = hashlib.sha256(b"").digest()
    check_body(Request("PUT", ORIGIN), nothing)
    check_body(Request("PUT", ORIGIN, (), HASH), HASH)
    for signed, came, code in (
        (None, HASH, "proof_invalid"),
        (HASH, nothing, "digest_mismatch"),
        (nothing, HASH, "digest_mismatch"),
    ):
        with pytest.raises(ProofError) as refused:
            check_body(Request("PUT", ORIGIN, (), signed), came)
        assert refused.value.code == code


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        *(
            (ProofError(code, "x"), 401, code)
            for code in ("proof_missing", "proof_invalid", "replayed", "digest_mismatch")
        ),
        (ProofError("suite_not_allowed", "x"), 401, "proof_invalid"),
        (ProofError("proof_expired", "x"), 401, "proof_invalid"),
        (VerificationError("key_not_authorized", "x"), 401, "proof_invalid"),
        (VerificationError("did_unresolvable", "x"), 401, "proof_invalid"),
        (ScopeError("scope_exceeded", "x", clause="read"), 403, "scope_exceeded"),
        (TransportError("bad_request", "x"), 400, "bad_request"),
        (TransportError("bad_path", "x"), 404, "bad_path"),
        (TransportError("timeout", "x"), 408, "timeout"),
        (TransportError("too_large", "x"), 413, "too_large"),
        (TransportError("rate_limited", "x"), 429, "rate_limited"),
        (TransportError("upstream_failed", "x"), 502, "upstream_failed"),
        (TransportError("version_not_supported", "x"), 400, "version_not_supported"),
        (TransportError("overloaded", "x"), 503, "overloaded"),
        (TransportError("unreachable", "x"), 503, "status_unavailable"),
        (LedgerError("store_corrupt", "x"), 503, "status_unavailable"),
    ],
    ids=lambda one: one.code if isinstance(one, UndersignedError) else str(one),
)
def test_a_refused_request_is_told_what_its_sender_may_know(error: UndersignedError, status: int, code: str) -> None:
    """HIRE-GTS-08: not which contracts there are, whose keys are known, or what is wrong here."""
    answered, told = refusal(error)
    assert (answered, told["status"], told["code"]) == (status, status, code)
    assert told["type"] == f"https://w3id.org/hire/v1/errors/{code}"
    assert told.keys() <= {"type", "title", "status", "code", "clause"}
    assert ("clause" in told) == isinstance(error, ScopeError)
