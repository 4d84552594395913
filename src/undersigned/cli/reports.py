"""Reports that somebody sent: who signed one, and what it says, held against what is here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from msgspec.structs import replace

from undersigned.did import DidDocument
from undersigned.encoding import FOREIGN_LIMITS, Did, JsonObject, decode_json, digest_bytes
from undersigned.errors import ConfigurationError, FormatError, ProofError, VerificationError
from undersigned.interop import chosen, digest_of_scenarios, verify_report
from undersigned.protocol import Role
from undersigned.runtime import Gatherer, SystemClock, read_file, why

from .did_documents import read_document_file
from .options import about, checked_did
from .output import CHECK_FAILED, Out
from .words import plain

__all__ = ["MAX_INPUT", "MAX_TRANSCRIPT", "manifest_of", "text_of", "verified"]

MAX_INPUT: Final = 1024 * 1024
MAX_TRANSCRIPT: Final = 64 * MAX_INPUT
_ROLES: Final[Mapping[str, Role]] = {"provider": "provider", "hirer": "hirer"}
_LINE_OF_MANIFEST: Final = re.compile(r"[0-9a-f]{64}  \S.*")
_LIMITS: Final = replace(FOREIGN_LIMITS, max_bytes=MAX_TRANSCRIPT, max_string=MAX_INPUT, max_items=100_000)


async def verified(out: Out, file: Path, document: Path | None, local: bool, manifest: str | None) -> int:
    """Says who signed a report, and what it says of whom. Exit code 4 if nobody did, or somebody else, or if the
    transcript beside it is another.
    """
    known = read_document_file(document) if document is not None else None
    try:
        with about(file):
            signer, report = await _signed_by(file, known, local)
        told = _shown(report, _compared(report, file, manifest))
    except (FormatError, ProofError, VerificationError) as error:
        out.error(error)
        return CHECK_FAILED
    out.value({"kind": "report", "signer": signer, **told})
    out.line(f"signed by {signer}")
    for name, value in told.items():
        out.line(f"{name:16} {plain(_worded(value), 2000)}")
    return 0


def _compared(report: JsonObject, file: Path, manifest: str | None) -> dict[str, str | None]:
    """The digests that are here: of the scenarios of these ids, of the vectors, of the transcript beside the report.

    Raises:
        VerificationError: The transcript is not that of the report.
    """
    found = report.get("results")
    ids = {str(one.get("id")) for one in found if isinstance(one, dict)} if isinstance(found, list) else set[str]()
    own = [one for one in chosen(_ROLES.get(str(report.get("role")), "provider"), every=True) if one.id in ids]
    beside = file.parent / "transcript.jsonl"
    said = digest_bytes(read_file(beside, MAX_TRANSCRIPT)) if "transcript" in report and beside.is_file() else None
    if said is not None and said != report["transcript"]:
        raise VerificationError("digest_mismatch", f"{beside} is not the transcript of this report")
    return {"scenarios": digest_of_scenarios(own) if own else None, "vectors": manifest, "transcript": said}


def _shown(report: JsonObject, here: Mapping[str, str | None]) -> dict[str, Any]:
    shown = ("implementation", "role", "profile", "conforms", "verdict", "set", "counts", "passed")
    told: dict[str, Any] = {name: report[name] for name in (*shown, "seed", "faults", "ended") if name in report}
    if isinstance(found := report.get("results"), list):
        told["excused"] = [one.get("id") for one in found if isinstance(one, dict) and one.get("outcome") == "expected"]
    for name, own in here.items():
        if name in report:
            told[name] = {"digest": report[name], "same": None if own is None else own == report[name]}
    return told


def _worded(value: Any) -> str:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        if members.keys() == {"digest", "same"}:
            same = {True: "the same as here", False: "ANOTHER than here", None: "not compared: there is none here"}
            return f"{members['digest']} ({same[members['same']]})"
        return ", ".join(f"{name} {one}" for name, one in members.items())
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[Any]", value))) or "none"
    return str(value)


async def _signed_by(file: Path, known: DidDocument | None, local: bool) -> tuple[Did, JsonObject]:
    report = decode_json(text_of("--verify", file, MAX_TRANSCRIPT).encode(), _LIMITS)
    proof = report.get("proof") if isinstance(report, dict) else None
    method = proof.get("verificationMethod") if isinstance(proof, dict) else None
    if not isinstance(report, dict) or not isinstance(method, str):
        raise VerificationError("proof_missing", f"{file} is no report that somebody signed")
    signer = checked_did(method.partition("#")[0], local)
    if known is None:
        async with Gatherer(local=local) as gatherer:
            known = await gatherer.document(signer)
    if known.id != signer:
        raise VerificationError("proof_invalid", f"it is signed by {signer}, and not by {known.id}")
    verify_report(report, known, now=SystemClock().now())
    return signer, report


def manifest_of(file: Path) -> str:
    """Digest of a manifest of vectors.

    Raises:
        ConfigurationError: `bad_configuration`: it is none.
    """
    text = text_of("--vectors", file)
    if not text or not all(map(_LINE_OF_MANIFEST.fullmatch, text.splitlines())):
        raise ConfigurationError(
            "bad_configuration", f"--vectors: {file} is no MANIFEST.sha256: a SHA-256 and a path on each line"
        )
    return digest_bytes(text.encode())


def text_of(option: str, file: Path, limit: int = MAX_INPUT) -> str:
    """The text of a file that an option names.

    Raises:
        ConfigurationError: `bad_configuration`: it is none, or longer.
    """
    try:
        return read_file(file, limit).decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError("bad_configuration", f"{option}: {file}: {why(exc)}") from exc
