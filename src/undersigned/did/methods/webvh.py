"""`did:webvh` 1.0: `did:web` with a verifiable history, and a name that follows from the first entry of it.

The log (`did.jsonl`) is fetched first; only if one of its entries asks for witnesses are their proofs
(`did-witness.json`, beside it) fetched, too. `webvh_log.py` verifies the entries,
`webvh_witness.py` the proofs.

Source: did:webvh DID Method v1.0; protocol-spec/02-identity-and-keys.md, section 2.9
"""

from __future__ import annotations

from collections.abc import Mapping

from undersigned.did.document import DidDocument
from undersigned.did.history import DidHistory
from undersigned.did.methods.web import folder_url
from undersigned.did.methods.webvh_log import SCID, read_log, verify_log
from undersigned.did.methods.webvh_witness import asks_for_witnesses, verify_witnesses
from undersigned.did.url import ParsedDidUrl
from undersigned.encoding import Instant
from undersigned.errors import ResolutionError, VerificationError

__all__ = ["document", "fetches", "history"]


def fetches(did: ParsedDidUrl, local: bool, fetched: Mapping[str, bytes]) -> tuple[str, ...]:
    """The URL of the log; and that of the witness proofs, once the log is in `fetched` and asks for them.

    Raises:
        ResolutionError: `did_forbidden_address`: as `did:web`.
        VerificationError: `did_document_invalid`: not a `did:webvh` in its one spelling, or the log is none.
    """
    log, proofs = _urls(did, local)
    raw = fetched.get(log)
    return (log, proofs) if raw is not None and asks_for_witnesses(read_log(raw)) else (log,)


def document(did: ParsedDidUrl, fetched: Mapping[str, bytes], now: Instant | None) -> DidDocument:
    """The document in force, from its verified history.

    Raises:
        ResolutionError: `did_unresolvable`: as `history`.
        VerificationError: `did_deactivated`, `did_document_invalid`, `key_weak`.
    """
    return history(did, fetched, now).document


def history(did: ParsedDidUrl, fetched: Mapping[str, bytes], now: Instant | None) -> DidHistory:
    """The verified history among what was fetched.

    Raises:
        ResolutionError: `did_unresolvable`: the log, or the witness proofs it asks for, are not in `fetched`, or there
            is no `now`. `did_forbidden_address`: as `fetches`.
        VerificationError: `did_document_invalid`, `key_weak`.
    """
    log_url, proofs_url = _urls(did, True)
    raw = fetched.get(log_url)
    if raw is None:
        raise ResolutionError("did_unresolvable", f"expected the log of {did.did} from {log_url}, got none")
    if now is None:
        raise ResolutionError("did_unresolvable", f"the history of {did.did} is not judged without the time")
    entries = read_log(raw)
    versions = verify_log(entries, now=now)
    if asks_for_witnesses(entries):
        proofs = fetched.get(proofs_url)
        if proofs is None:
            raise ResolutionError("did_unresolvable", f"expected witness proofs from {proofs_url}, got none")
        verify_witnesses(entries, proofs)
    last = entries[-1].parameters
    latest = DidHistory(did=versions[-1].did, versions=versions, deactivated=last.deactivated, ttl_seconds=last.ttl)
    return latest.under(did.did)


def _urls(did: ParsedDidUrl, local: bool) -> tuple[str, str]:
    """The URLs of the log and of the witness proofs. The SCID is no part of them."""
    scid, _, location = did.specific.partition(":")
    if not SCID.fullmatch(scid):
        raise VerificationError("did_document_invalid", f"expected did:webvh:<SCID>:<host>, got {did.did[:160]!a}")
    folder = folder_url(location, local=local)
    return f"{folder}/did.jsonl", f"{folder}/did-witness.json"
