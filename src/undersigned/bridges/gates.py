"""What a gate in front of a server decides by itself: who signed the request, and which action it asks for.

Pure: the request, the keys and the time are arguments. Whether the contract allows the action, and what it takes of a
limit, is for the hirer's peer to say, where the contract lives.

Source: protocol-spec/14-gates.md
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from undersigned.encoding import DIGEST_PATTERN, Did, DidUrl, Digest, Instant
from undersigned.errors import (
    CODES,
    PROBLEM_TYPES,
    ProofError,
    ScopeError,
    TransportError,
    UndersignedError,
    VerificationError,
)
from undersigned.keys import PublicKey, public_key_from_multikey
from undersigned.scope import has_empty_query

from .http_messages import Request
from .http_signatures import VerifiedRequest, claimed_content_digest, verify_request

__all__ = ["ContractKeys", "check_body", "claimed_contract", "refusal", "request_of", "verify_head"]

OVERRIDES: Final = frozenset(
    {
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-method",
        "x-forwarded-method",
        "x-original-url",
        "x-original-uri",
        "x-rewrite-url",
        "x-forwarded-uri",
        "x-forwarded-path",
        "x-forwarded-prefix",
        "x-envoy-original-path",
        "x-script-name",
    }
)
"""Fields by which a server may be made to read another method or path than the one that is signed."""

_DIGEST: Final = re.compile(DIGEST_PATTERN)
_NO_BODY: Final = hashlib.sha256(b"").digest()
_TOLD: Final = frozenset({"proof_missing", "proof_invalid", "replayed", "digest_mismatch"})
"""Decided by bytes alone, or found only after the signature held. `suite_not_allowed` is neither: it would say that
there is such a contract.
"""
_STATUS: Final = {
    "bad_request": 400,
    "version_not_supported": 400,
    "bad_path": 404,
    "too_large": 413,
    "timeout": 408,
    "overloaded": 503,
    "rate_limited": 429,
    "upstream_failed": 502,
}


class ContractKeys(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Who may sign requests under one contract: its provider, with the keys that its DID document lists now; and what
    the contract is about.
    """

    contract: Digest
    provider: Did
    keys: Mapping[DidUrl, str]
    """Verification methods under `authentication`, and the Multikey of each."""
    actions: tuple[str, ...] = ()
    """Those that its grants name. Whether one is allowed is another question."""

    def key(self, method: DidUrl) -> PublicKey:
        """The key of a verification method.

        Raises:
            VerificationError: `key_not_authorized`, the provider has no such key under `authentication`.
        """
        text = self.keys.get(method)
        if text is None:
            raise VerificationError("key_not_authorized", f"{method[:160]!a} is no key of {self.provider}")
        return public_key_from_multikey(text)


def request_of(origin: str, method: str, path: str, headers: tuple[tuple[str, str], ...]) -> Request:
    """The request as its sender signed it, if it can only be read in one way. `path` is as sent, with the query; the
    body is not read yet.

    Its `body_digest` is what `Content-Digest` claims, or of no body at all where the field should be there and claims
    nothing: so the signature has to cover the field, and does not hold.

    Raises:
        TransportError: `bad_request`, its form leaves more than one reading.

    Source: protocol-spec/14-gates.md, section 14.2
    """
    names = [name.lower() for name, _ in headers]
    if not path.startswith("/") or path.startswith("//") or "#" in path or "\\" in path:
        raise TransportError("bad_request", "expected the path alone as the request's target")
    if has_empty_query(path):
        raise TransportError("bad_request", "expected no query, or something in it")
    # Servers that hand fields on as variables take `_` and `-` for one.
    if found := OVERRIDES.intersection(name.replace("_", "-") for name in names):
        raise TransportError("bad_request", f"expected no field that changes what is asked for: {', '.join(found)}")
    if names.count("host") > 1 or names.count("content-length") > 1:
        raise TransportError("bad_request", "expected one Host and one Content-Length")
    if "transfer-encoding" in names and "content-length" in names:
        raise TransportError("bad_request", "expected a length or chunks, not both")
    if "upgrade" in names or method == "CONNECT":
        raise TransportError("bad_request", "expected a request that stays a request")
    request = Request(method, f"{origin}{path}", headers)
    length = next((value.strip() for name, value in headers if name.lower() == "content-length"), "0")
    if "content-digest" not in names and "transfer-encoding" not in names and length == "0":
        return request
    try:
        digest = claimed_content_digest(request)
    except ProofError:
        digest = b""
    return msgspec.structs.replace(request, body_digest=digest)


def claimed_contract(request: Request) -> Digest:
    """The contract that the request names; nothing is verified yet.

    Raises:
        ProofError: `proof_missing`: none, more than one, or what is no digest.
    """
    named = [value.strip(" \t") for name, value in request.headers if name.lower() == "hire-contract"]
    if len(named) != 1 or _DIGEST.fullmatch(named[0]) is None:
        raise ProofError("proof_missing", "expected one Hire-Contract, the digest of a contract")
    return named[0]


def verify_head(
    request: Request,
    keys: ContractKeys | UndersignedError | None,
    *,
    now: Instant,
    fresh: Callable[[DidUrl, str], bool],
) -> VerifiedRequest:
    """The request, once it is signed, fresh and new, by the provider of the contract that it names. `keys` is None if
    that is not known here, or why they cannot be had.

    Its body is not read yet: `request.body_digest` is what `Content-Digest` claims, and `check_body` follows.

    Raises:
        ProofError: As `verify_request`; `proof_invalid` also for a contract that is not known here, so that who is no
            party does not learn which contracts there are.
        VerificationError: `key_not_authorized`.
        UndersignedError: `keys`.

    Source: protocol-spec/14-gates.md, section 14.2
    """
    named = claimed_contract(request)

    def key(method: DidUrl) -> PublicKey:
        # In the place of the key, so that until then a request is checked alike, whatever its contract.
        if isinstance(keys, UndersignedError):
            raise keys
        if keys is None or keys.contract != named:
            raise ProofError("proof_invalid", "no contract of this name is known here")
        return keys.key(method)

    return verify_request(request, key, now=now, fresh=fresh)


def check_body(request: Request, digest: bytes) -> None:
    """Returns if the body whose SHA-256 is `digest` is the one that was signed.

    Raises:
        ProofError: `digest_mismatch`; `proof_invalid`, it is a body that no field announced, as HTTP/2 has it, and no
            signature covers.
    """
    if request.body_digest is None and digest != _NO_BODY:
        raise ProofError("proof_invalid", "the request has a body and no Content-Digest")
    if request.body_digest is not None and request.body_digest != digest:
        raise ProofError("digest_mismatch", "the body is not the one whose sha-256 the request states")


def refusal(error: UndersignedError) -> tuple[int, dict[str, Any]]:
    """Status and problem (RFC 9457) that answer a request which was refused: the code, for a contract's no the clause
    that decided and what would pass, and nothing else of ours.

    Source: protocol-spec/14-gates.md, section 14.5
    """
    if isinstance(error, ScopeError):
        code, status = error.code, 403
    elif isinstance(error, VerificationError):
        code, status = error.code, 401
        if code not in _TOLD:
            code = "proof_invalid"
    elif error.code in _STATUS:
        code, status = error.code, _STATUS[error.code]
    else:
        # The peer could not be asked: whether the contract still holds cannot be told, so the answer is no, for now.
        code, status = "status_unavailable", 503
    told: dict[str, Any] = {"type": PROBLEM_TYPES + code, "title": CODES[code].meaning, "status": status, "code": code}
    if isinstance(error, ScopeError):
        said = {"clause": error.clause, "wouldPass": error.would_pass}
        told |= {name: value for name, value in said.items() if value}
    return status, told
