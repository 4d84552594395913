"""The witnesses of a `did:webvh` log: enough of them signed each version that has to be witnessed, or a later one.

Source: did:webvh DID Method v1.0, "DID Witnesses"; protocol-spec/02-identity-and-keys.md, section 2.9
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from msgspec.structs import replace

from undersigned.did.methods.webvh_log import LogEntry, Parameters, verify_did_key_proof
from undersigned.encoding import FOREIGN_LIMITS, Did, JsonObject, decode_json
from undersigned.errors import FormatError, UndersignedError, VerificationError

__all__ = ["asks_for_witnesses", "verify_witnesses"]

MAX_PROOFS: Final = 512
"""In the whole file."""
_LIMITS: Final = replace(FOREIGN_LIMITS, max_bytes=512 * 1024, max_items=MAX_PROOFS)


def asks_for_witnesses(entries: Sequence[LogEntry]) -> bool:
    """Whether any entry of the log has to be witnessed."""
    return any(entry.parameters.witnesses for entry in entries)


def verify_witnesses(entries: Sequence[LogEntry], raw: bytes) -> None:
    """Nothing, once every entry that has to be witnessed is known to be, by the proofs in `raw`.

    A proof counts for its version and those before, if that version is in this log: the same witness signs for other
    DIDs, too, and what it signs names none. A proof that does not hold is as if it were not there.

    Raises:
        VerificationError: `did_document_invalid`: past a limit, of another shape, or too few witnesses.
    """
    numbers = {entry.version_id: entry.number for entry in entries}
    # The latest version first: one good proof of it makes those of earlier versions needless.
    proofs = sorted(_proofs(raw, numbers), key=lambda one: one[0], reverse=True)
    required = [_active(entry.parameters, before) for entry, before in _pairs(entries)]
    known = {did for witnesses, _ in required for did in witnesses}
    latest: dict[Did, int] = {}
    for number, version_id, proof in proofs:
        did = str(proof.get("verificationMethod")).partition("#")[0]
        if did in known and did not in latest:
            try:
                verify_did_key_proof({"versionId": version_id, "proof": proof}, (did,))
            except UndersignedError:
                continue
            latest[did] = number
    for entry, (witnesses, threshold) in zip(entries, required, strict=True):
        count = sum(latest.get(did, 0) >= entry.number for did in witnesses)
        if count < threshold:
            raise _invalid(f"expected {threshold} witnesses of {entry.version_id}, got {count}")


def _pairs(entries: Sequence[LogEntry]) -> list[tuple[LogEntry, Parameters | None]]:
    return list(zip(entries, (None, *(entry.parameters for entry in entries)), strict=False))


def _active(own: Parameters, before: Parameters | None) -> tuple[tuple[Did, ...], int]:
    """Who witnesses an entry: those named before it; the ones it names itself only if there were none."""
    active = before if before is not None and before.witnesses else own
    return active.witnesses, active.threshold


def _proofs(raw: bytes, numbers: Mapping[str, int]) -> list[tuple[int, str, JsonObject]]:
    """Number, id and proof of each proof of a version in this log."""
    try:
        listed: Any = decode_json(raw, _LIMITS)
    except FormatError as exc:
        raise _invalid(exc.message) from exc
    if not isinstance(listed, list):
        raise _invalid("expected a list of versions with their proofs")
    found: list[tuple[int, str, JsonObject]] = []
    total = 0
    for item in cast("list[Any]", listed):
        members = cast("JsonObject", item) if isinstance(item, dict) else {}
        version_id, proofs = members.get("versionId"), members.get("proof", [])
        if not isinstance(version_id, str) or not isinstance(proofs, list):
            raise _invalid("expected a versionId and a list of proofs")
        total += len(cast("list[Any]", proofs))
        if total > MAX_PROOFS:
            raise _invalid(f"expected at most {MAX_PROOFS} proofs")
        number = numbers.get(version_id)
        if number is not None:  # Others belong to a version that is not published yet, or to another DID.
            found += [
                (number, version_id, cast("JsonObject", proof))
                for proof in cast("list[Any]", proofs)
                if isinstance(proof, dict)
            ]
    return found


def _invalid(message: str) -> VerificationError:
    return VerificationError("did_document_invalid", f"witness proofs: {message}")
