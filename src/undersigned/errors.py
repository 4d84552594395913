"""Every way in which something can go wrong, in one tree and one table.

An error says to our operator what was expected and what came. To the peer only its code is told, and `CODES` says
when: some codes depend on nothing but the peer's own bytes and are told at once, others only after its proof
verified, some never. The specification's list of codes and the exit codes of the command are read from this table.

Source: protocol-spec/09-errors.md
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

__all__ = [
    "CODES",
    "NO_ROOM",
    "PROBLEM_TYPES",
    "Closed",
    "Code",
    "ConfigurationError",
    "ContractError",
    "CredentialError",
    "FormatError",
    "LedgerConflict",
    "LedgerError",
    "LedgerUnavailable",
    "LocalProtocolError",
    "LogProofError",
    "PolicyError",
    "ProofError",
    "ProtocolError",
    "RemoteProtocolError",
    "ResolutionError",
    "ScopeError",
    "TimedOut",
    "TransportError",
    "UndersignedError",
    "VerificationError",
    "text_of",
]

PROBLEM_TYPES: Final = "https://w3id.org/hire/v1/errors/"
"""With a code behind it, the `type` of a problem (RFC 9457), which tells a gate's no from a server's own answer."""

Told = Literal["at once", "proved", "never"]
"""When the peer hears of a code: at once, only after its proof verified, or never (it is ours alone)."""


class Code(NamedTuple):
    """What one error code means to everybody who handles it."""

    family: str
    retryable: bool
    """Whether the same request can succeed later without being changed."""
    exit_code: int
    """Exit code of the command when this ends it (`protocol-spec/09-errors.md`, table of exit codes)."""
    told: Told
    meaning: str


CODES: Final[dict[str, Code]] = {
    # parse: the bytes alone decide, so the peer hears at once
    "bad_json": Code("parse", False, 5, "at once", "not JSON, or names repeat, or it is not an object"),
    "bad_unicode": Code("parse", False, 5, "at once", "not UTF-8, or a lone surrogate or control character"),
    "too_deep": Code("parse", False, 5, "at once", "nested deeper than the limit"),
    "number_out_of_range": Code("parse", False, 5, "at once", "a number that is not an integer within 2^53-1"),
    # schema, context
    "schema_violation": Code("schema", False, 5, "at once", "a member is missing, or its value has another shape"),
    "unknown_term": Code("schema", False, 5, "at once", "a member that no schema or context defines"),
    "context_not_allowed": Code("context", False, 5, "at once", "a context other than the bundled ones"),
    "context_tampered": Code("context", False, 4, "never", "a bundled context differs from its digest"),
    "canon_limit": Code("context", False, 5, "at once", "canonicalization would take too much work"),
    # identity
    "did_unresolvable": Code("identity", True, 6, "proved", "the DID did not resolve"),
    "did_document_invalid": Code("identity", False, 4, "proved", "the DID or its document is not well-formed"),
    "did_forbidden_address": Code("identity", False, 4, "proved", "the DID leads to an address that is not dialled"),
    "did_deactivated": Code("identity", False, 3, "proved", "the DID was ended by its controller"),
    "key_not_authorized": Code("identity", False, 4, "proved", "the key may not sign this"),
    "key_weak": Code("identity", False, 4, "at once", "the key is of small order or not canonical"),
    "self_dealing": Code("identity", False, 5, "proved", "hirer and provider are one"),
    "holder_mismatch": Code("identity", False, 5, "proved", "presenter, holder and subject are not one"),
    "domain_not_linked": Code("identity", False, 4, "never", "the DID and the domain are not tied by proof"),
    # proof
    "proof_missing": Code("proof", False, 4, "at once", "no proof where one is required"),
    "proof_invalid": Code("proof", False, 4, "at once", "the proof does not verify"),
    "proof_purpose_mismatch": Code("proof", False, 4, "proved", "the proof was made for another purpose"),
    "proof_expired": Code("proof", False, 4, "proved", "the proof is past its expiry"),
    "proof_from_future": Code("proof", True, 4, "proved", "the proof was made more than 60 s ahead of our clock"),
    "suite_not_allowed": Code("proof", False, 4, "at once", "the cryptosuite is not allowed for this key or hire"),
    "challenge_mismatch": Code("proof", False, 5, "proved", "the answer is to another challenge, or a used one"),
    # replay
    "replayed": Code("replay", False, 5, "proved", "seen before, and its answer is no longer kept"),
    "conflicting_message": Code("replay", False, 5, "proved", "another message stands in this place"),
    "wrong_recipient": Code("replay", False, 5, "proved", "addressed to somebody else"),
    "wrong_negotiation": Code("replay", False, 5, "proved", "belongs to another engagement"),
    "out_of_order": Code("replay", True, 5, "proved", "a message before this one is missing"),
    # state
    "wrong_state": Code("state", False, 5, "proved", "not legal in this state"),
    "wrong_party": Code("state", False, 5, "proved", "not legal for this party"),
    "stale_offer": Code("state", False, 3, "proved", "names an offer that is no longer live"),
    "offer_expired": Code("state", False, 3, "proved", "the offer is past its last instant"),
    "already_contracted": Code("state", False, 5, "proved", "a contract, or an acceptance, exists already"),
    "already_fulfilled": Code("state", False, 5, "proved", "was delivered already"),
    "in_doubt": Code("state", True, 7, "proved", "an acceptance waits for its seal or withdrawal"),
    "round_limit": Code("state", False, 3, "proved", "more offers than agreed"),
    # terms
    "terms_mismatch": Code("terms", False, 5, "proved", "not the terms that were accepted"),
    "conflicting_contract": Code("terms", False, 5, "proved", "another contract exists for this engagement"),
    # scope
    "scope_exceeded": Code("scope", False, 3, "proved", "outside the contract's scope"),
    "chain_invalid": Code("scope", False, 4, "proved", "a link of the delegation chain does not hold"),
    "contract_expired": Code("scope", False, 3, "proved", "the contract gives no authority now"),
    "approval_required": Code("scope", False, 7, "proved", "a person has to approve first"),
    # status
    "revoked": Code("status", False, 3, "proved", "revoked by its issuer"),
    "status_unavailable": Code("status", True, 3, "proved", "whether it is revoked could not be checked"),
    "status_last_known": Code("status", True, 7, "never", "none of its lists can be had now; the last known says well"),
    "did_last_known": Code(
        "status", True, 7, "never", "its keys are known from before, and not by its document of now"
    ),
    "status_invalid": Code("status", False, 4, "proved", "the status list is not valid"),
    # attestation
    "digest_mismatch": Code("attestation", False, 4, "proved", "the bytes are not those of the digest"),
    "attestation_binding": Code("attestation", False, 4, "proved", "the statement is of another contract"),
    "attester_not_trusted": Code("attestation", False, 4, "proved", "the signer may not attest this"),
    # policy
    "policy_denied": Code("policy", False, 3, "proved", "policy says no"),
    "decision_failed": Code("policy", False, 3, "proved", "the decision could not be made"),
    "registry_unavailable": Code("policy", True, 3, "never", "a trust registry gave no answer that can be used"),
    "upstream_failed": Code("policy", False, 3, "proved", "a party this work depended on failed"),
    # limit
    "too_large": Code("limit", False, 5, "at once", "larger than the limit"),
    "rate_limited": Code("limit", True, 6, "at once", "too many requests, or too many that failed"),
    "overloaded": Code("limit", True, 6, "at once", "no capacity at the moment"),
    "timeout": Code("limit", True, 6, "at once", "took longer than its deadline"),
    # transport
    "bad_request": Code("transport", False, 5, "at once", "the request is malformed"),
    "version_not_supported": Code("transport", False, 5, "at once", "no common version, subprotocol or suite"),
    "unreachable": Code("transport", True, 6, "never", "no connection to the peer"),
    "connection_closed": Code("transport", True, 6, "never", "the connection ended"),
    # store, ledger
    "store_full": Code("store", True, 8, "never", "the store has no room"),
    "store_unavailable": Code("store", True, 8, "never", "the store did not take it"),
    "store_corrupt": Code("store", False, 8, "never", "the store is damaged"),
    "store_version": Code("store", False, 8, "never", "the store is of another release"),
    "store_conflict": Code("store", True, 8, "never", "decided on a position that is no longer the latest"),
    "ledger_diverged": Code("ledger", False, 4, "proved", "two histories of one ledger differ"),
    "log_proof_invalid": Code("ledger", False, 4, "proved", "an inclusion proof or checkpoint does not verify"),
    # control, configuration: ours alone
    "unauthorized": Code("control", False, 2, "at once", "no token, or another one"),
    "forbidden_origin": Code("control", False, 2, "at once", "from an origin that is not listed"),
    "bad_path": Code("control", False, 2, "at once", "not a name that is served"),
    "bad_configuration": Code("configuration", False, 2, "never", "the configuration or command line is not usable"),
    "key_unavailable": Code("configuration", False, 2, "never", "the private key could not be opened"),
    "missing_extra": Code("configuration", False, 2, "never", "an optional part is not installed"),
    "not_found": Code("configuration", False, 2, "never", "no such thing in this state folder"),
    "evidence_invalid": Code("evidence", False, 4, "never", "the evidence does not prove what it claims"),
    "internal": Code("internal", False, 1, "never", "a defect of ours"),
}


NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Numbers of an `OSError` that say that there is no room for what is written: `store_full`."""


class UndersignedError(Exception):
    """Root of the tree. `code` is from `CODES`; `message` is for our operator; `path` is a JSON pointer or empty.

    `detail` holds further values for the operator and is never sent to a peer.
    """

    def __init__(self, code: str, message: str, *, path: str = "", **detail: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path
        self.detail = detail

    @property
    def row(self) -> Code:
        """The line of `CODES`; an unlisted code is a defect of ours and counts as `internal`."""
        return CODES.get(self.code, CODES["internal"])

    @property
    def retryable(self) -> bool:
        """Whether the same request can succeed later without being changed."""
        return self.row.retryable

    @property
    def exit_code(self) -> int:
        """Exit code of the command when this error ends it."""
        return self.row.exit_code

    def __reduce__(self) -> tuple[object, ...]:
        """For who pickles or copies it, as a pool of processes does, which ends with an error that it cannot read."""
        return _made_again, (type(self), self.args), self.__dict__

    def __str__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        return f"{self.code}{where}: {self.message}"


def _made_again(kind: type[UndersignedError], args: tuple[object, ...]) -> UndersignedError:
    """Not by `kind` itself, whose arguments are others; what they became is set afterwards."""
    return kind.__new__(kind, *args)


class ConfigurationError(UndersignedError):
    """The configuration, command line or installation cannot be used."""


class FormatError(UndersignedError):
    """Not a well-formed document."""


class ResolutionError(UndersignedError):
    """A DID or URL did not resolve."""


class VerificationError(UndersignedError):
    """A check failed or could not be made."""


class ProofError(VerificationError):
    """A Data Integrity proof or other signature does not hold."""


class CredentialError(VerificationError):
    """A credential or presentation does not hold."""


class ContractError(VerificationError):
    """A contract or document of its chain does not hold."""


class LogProofError(VerificationError):
    """An inclusion proof, consistency proof or checkpoint does not hold."""


class ProtocolError(UndersignedError):
    """A move that the tables do not allow."""


class LocalProtocolError(ProtocolError):
    """We tried to make a move that is not ours to make."""


class RemoteProtocolError(ProtocolError):
    """The peer made a move that is not its to make."""


class ScopeError(UndersignedError):
    """An action outside the scope of authority; `detail["clause"]` names the clause that decided."""

    @property
    def clause(self) -> str:
        """The clause that decided; empty if none is named."""
        return str(self.detail.get("clause") or "")

    @property
    def would_pass(self) -> str:
        """What would have passed, in words; empty if that is not said."""
        return str(self.detail.get("would_pass") or "")


class PolicyError(UndersignedError):
    """A policy, strategy or decision hook gave no usable answer."""


class LedgerError(UndersignedError):
    """The store did not do what was asked."""


class LedgerConflict(LedgerError):
    """Decided on a position that is no longer the latest; decide again."""


class LedgerUnavailable(LedgerError):
    """The store cannot be written now; nothing was acknowledged."""


class TransportError(UndersignedError):
    """A message could not be carried."""


class Closed(TransportError):
    """The channel is closed."""


class TimedOut(TransportError):
    """A deadline passed."""


def text_of(given: object, form: Callable[[object], str] = str) -> str:
    """`form` of what the application's code raised or answered. Whatever that does then, somebody has to be told."""
    try:
        return form(given)
    except Exception as exc:
        return f"a {type(given).__name__}, whose text is not to be had: {type(exc).__name__}"
