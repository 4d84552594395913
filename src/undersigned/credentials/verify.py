"""Whether a credential or a status list was issued by the party that it names.

Each function gives the verified thing or raises; an outer proof never speaks for an inner one, nor the reverse.
Limits stand before cryptography. A document may carry a proof or be one signed text in an envelope; what is checked is
the same.

Source: protocol-spec/02-identity-and-keys.md, section 2.6; protocol-spec/11-credentials.md
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec.structs import replace

from undersigned.credentials.claims import CLAIMS, read_claim
from undersigned.credentials.jws import LIST_JWT, Jws, verify_jws
from undersigned.credentials.model import Credential, numeric_date, read_credential
from undersigned.credentials.schemas import check_schemas
from undersigned.credentials.status_list import StatusList, check_status, read_status_list
from undersigned.did import DidDocument
from undersigned.encoding import Did, DidUrl, Instant, shift
from undersigned.errors import CredentialError, FormatError, ProofError, UndersignedError
from undersigned.jsonld import CONTEXTS, Contexts
from undersigned.keys import PublicKey
from undersigned.proof import MAX_SKEW_SECONDS, KeyLookup, verify_proof

__all__ = ["counts", "signer_keys", "verify_credential", "verify_issued", "verify_signed_text", "verify_status_list"]


def verify_credential(
    document: Mapping[str, Any],
    *,
    documents: Mapping[Did, DidDocument],
    now: Instant,
    lists: Mapping[str, StatusList] | None = None,
    suites: Collection[str] | None = None,
    contexts: Contexts = CONTEXTS,
) -> Credential:
    """The credential, once it is valid at `now`, signed by its issuer, says what its type and schemas let it say, and
    is clear in the status `lists` that it names.

    `document` has a proof, or is an `EnvelopedVerifiableCredential`. `suites` are the cryptosuites and JOSE algorithms
    that are allowed; all if None.

    Raises:
        CredentialError: `schema_violation`: not a credential, or not what its schema asks; `policy_denied`: not valid
            at `now`, or with a schema that is not known here, so that it could not be checked; `revoked`,
            `status_unavailable`, `status_invalid`: as `check_status`; `did_unresolvable`: no document of its issuer in
            `documents`.
        FormatError: `too_large`, `context_not_allowed`, others of canonicalization and of `read_claim`.
        ProofError: As `verify_proof` and `read_jws`; `key_not_authorized`: signed by somebody else than its issuer.
        VerificationError: The issuer's document does not list the key.

    Source: protocol-spec/02-identity-and-keys.md, section 2.6; protocol-spec/11-credentials.md
    """
    read = read_credential(document, contexts=contexts)
    verified = verify_issued(read, documents=documents, now=now, suites=suites, contexts=contexts)
    check_status(verified, lists or {}, now)
    return verified


def verify_issued(
    credential: Credential,
    *,
    documents: Mapping[Did, DidDocument],
    now: Instant,
    valid_at: Instant | None = None,
    suites: Collection[str] | None = None,
    contexts: Contexts = CONTEXTS,
) -> Credential:
    """The credential, once all of `verify_credential` holds but its status, which is still to be looked up. `valid_at`
    is when it has to have been in its time, if that is not `now`.

    Its lists are fetched after this, because only what is verified may say whom we ask (HIRE-DID-06).

    Raises:
        As `verify_credential`, without what `check_status` raises.

    Source: protocol-spec/02-identity-and-keys.md, section 2.6; protocol-spec/11-credentials.md
    """
    # The signature first: what only does not count here and now is recorded, and has to be its issuer's all the same.
    key = signer_keys((credential.issuer,), documents, now)
    if credential.jws is not None:
        verify_signed_text(credential.jws, key, "assertionMethod", now, suites, remember=True)
    else:
        verify_proof(
            credential.json,
            key=key,
            purpose="assertionMethod",
            now=now,
            suites=suites,
            contexts=contexts,
            foreign=True,
            digest=credential.digest,
        )
    if not CLAIMS.keys().isdisjoint(credential.types):
        read_claim(credential)  # of ours, so closed
    check_schemas(credential)
    if not credential.valid_at(at := valid_at or now):
        raise CredentialError(
            "policy_denied", f"valid from {credential.valid_from} until {credential.valid_until}; it is {at}"
        )
    return credential


def counts(credential: Credential, at: Instant) -> bool:
    """Whether a credential that was verified counted at an instant: in its time, and of schemas that are known here."""
    try:
        check_schemas(credential)
    except CredentialError:
        return False
    return credential.valid_at(at)


def verify_status_list(
    document: Mapping[str, Any],
    *,
    url: str,
    issuer: Did,
    documents: Mapping[Did, DidDocument],
    now: Instant,
    contexts: Contexts = CONTEXTS,
) -> StatusList:
    """The status list of `issuer` that was fetched from `url`, once it is valid at `now` and signed by that issuer.
    `document` has a proof, or is an envelope (`signed_document`).

    Raises:
        CredentialError: `status_unavailable`: another issuer's, wrongly signed, or not valid at `now`: nobody said
            anything that counts; `status_invalid`: signed, and not a list (`read_status_list`).

    Source: protocol-spec/02-identity-and-keys.md, section 2.12
    """
    try:
        credential = read_credential(document, contexts=contexts, of=LIST_JWT)
        # Whose it is comes first: what a stranger made costs no signature, and is not inflated.
        if credential.issuer != issuer:
            raise CredentialError("status_unavailable", f"expected a list of {issuer}; came another issuer's")
    except FormatError as exc:
        raise _no_list(url, exc) from exc
    except ProofError as exc:  # of a text: signed as something else, or in a way that is not taken
        raise CredentialError("status_unavailable", f"{url} does not hold: {exc}") from exc
    except CredentialError as exc:
        raise exc if exc.code == "status_unavailable" else CredentialError("status_invalid", str(exc)) from exc
    try:
        verified = verify_issued(credential, documents=documents, now=now, contexts=contexts)
    except UndersignedError as exc:
        raise CredentialError("status_unavailable", f"{url} does not hold: {exc}") from exc
    try:
        found = read_status_list(verified, url=url)
    except CredentialError as exc:
        raise _no_list(url, exc) from exc
    return replace(found, verified=now, by=documents[issuer])


def _no_list(url: str, error: UndersignedError) -> CredentialError:
    """That what was fetched is no list. Where in it is said in words: a pointer is told to peers, and is one into their
    message (HIRE-SEC-07).
    """
    where = f" at {error.path}" if error.path else ""
    return CredentialError("status_invalid", f"{url} holds no list{where}: {error.message}")


def verify_signed_text(
    signed: Jws,
    key: KeyLookup,
    purpose: str,
    now: Instant,
    suites: Collection[str] | None = None,
    *,
    remember: bool = False,
) -> None:
    """Return if the key that `kid` names signed it by `now`, and may sign for this purpose. `remember` is as of
    `verify_proof`.

    Raises:
        ProofError: As `verify_jws`; `suite_not_allowed`: an algorithm that is not among `suites`, if there are any;
            `proof_from_future`.
        UndersignedError: What `key` raises.

    Source: protocol-spec/11-credentials.md, section 11.2
    """
    if suites is not None and signed.algorithm not in suites:
        raise ProofError("suite_not_allowed", f"expected {' or '.join(sorted(suites))}; came {signed.algorithm}")
    made = numeric_date(signed.payload, "iat")
    if made is not None and made > shift(now, MAX_SKEW_SECONDS):
        raise ProofError("proof_from_future", f"expected at most {MAX_SKEW_SECONDS} s after {now}; came {made}")
    verify_jws(signed, key(signed.method, purpose), remember=remember)


def signer_keys(signers: Collection[Did], documents: Mapping[Did, DidDocument], now: Instant) -> KeyLookup:
    """The keys of these signers, and of nobody else."""

    def lookup(method: DidUrl, purpose: str) -> PublicKey:
        did = method.partition("#")[0]
        if did not in signers:
            expected = " or ".join(sorted(signers))
            raise ProofError("key_not_authorized", f"expected a method of {expected}; came {method!a:.200}")
        document = documents.get(did)
        if document is None:
            raise CredentialError("did_unresolvable", f"there is no document of {did}")
        return document.key_for(method, purpose, now=now)

    return lookup
