"""What `verify` says of a file that is no pack: an envelope that somebody signed, what `ledger prove --json` wrote, or
an arbiter's ruling.

None is believed for what came along with it: a key counts if whoever asks names it, or if it follows from a DID.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from undersigned.attestation import (
    Envelope,
    ForeignStatement,
    read_foreign_envelope,
    read_foreign_provenance,
    read_foreign_statement,
    verify_foreign_statement,
)
from undersigned.contract import read_ruling, verify_ruling
from undersigned.did import DidDocument, document_from, is_derived
from undersigned.encoding import FOREIGN_LIMITS, Did, Instant, JsonObject, decode_json, from_struct, to_struct
from undersigned.errors import ConfigurationError, FormatError, UndersignedError, VerificationError
from undersigned.evidence.case import key_among
from undersigned.keys import PublicKey, public_key_from_multikey, public_key_from_pem
from undersigned.runtime import LogProofLine, read_file

from .output import CHECK_FAILED, Out, checking
from .words import WHOLE, counted, plain

__all__ = ["KINDS", "Against", "key_named", "verify_file"]

KINDS: Final = (
    "an evidence pack (a zip, as 'export' writes it), proofs as 'ledger prove --json' writes them, an arbiter's ruling,"
    " or a signed statement (in-toto in DSSE, alone or in a Sigstore bundle)"
)
"""Of files that are judged."""
MOST_LINES: Final = 24
"""Of what a statement says, that are told; --explain tells all."""
MAX_FILE_BYTES: Final = 16 * 1024 * 1024
"""Of proofs, one a line."""
LIMITS: Final = msgspec.structs.replace(FOREIGN_LIMITS, max_bytes=1 << 20, max_string=1 << 20)
"""Of one line, or one envelope with whatever certificates came along."""


class Against(NamedTuple):
    """What whoever asks brings along."""

    now: Instant
    documents: tuple[DidDocument, ...]
    keys: Mapping[str, PublicKey]
    things: Mapping[str, bytes]
    """What a proof or statement is said to be about, by the name of its file."""


def key_named(text: str) -> PublicKey:
    """The public key in a PEM file, or written as a Multikey.

    Raises:
        ConfigurationError: `bad_configuration`, it is neither.
    """
    path = Path(text)
    with checking(f"--key {plain(text, 200)}"):
        return public_key_from_pem(read_file(path)) if path.is_file() else public_key_from_multikey(text)


def _require_envelope(document: JsonObject) -> None:
    """Returns if a JSON object may be a signed statement.

    Raises:
        FormatError: `schema_violation`: it is nothing that is judged here.
    """
    if document.keys().isdisjoint({"payload", "payloadType", "signatures", "dsseEnvelope"}):
        names = plain(", ".join(map(repr, document)) or "no members", 200)
        raise FormatError("schema_violation", f"expected {KINDS}; got a JSON object with {names}")


def is_proof(data: bytes) -> bool:
    """Whether a file has the beginning and size of what `verify_file` judges; what has not may be a pack."""
    return data[:64].lstrip().startswith(b"{") and len(data) <= MAX_FILE_BYTES


def verify_file(out: Out, data: bytes, against: Against, *, explain: bool) -> int | None:
    """Says what is in a file, and whether it holds; the exit code, or None if it is no JSON and so may be a pack."""
    if not is_proof(data):
        return None
    try:
        first: Any = decode_json(data.lstrip().split(b"\n", 1)[0], LIMITS)
    except UndersignedError:
        first = {}
    if isinstance(first, dict) and "contradiction" in first:
        hint = "it is checked by 'ledger forks --check FILE', with --did-document if nobody serves that DID any more"
        raise ConfigurationError("bad_configuration", f"a proof that a log shows two histories: {hint}")
    if isinstance(first, dict) and "checkpoint" in first:
        if against.keys:
            raise ConfigurationError("bad_configuration", "--key is for statements; a log's key is in a DID document")
        return _proofs(out, data, against)
    if _is_ruling(data):
        if against.keys or against.things:
            raise ConfigurationError(
                "bad_configuration", "--key and --of are for statements and proofs, not for rulings"
            )
        return _ruling(out, data, against)
    return _envelope(out, data, against, explain=explain)


def _is_ruling(data: bytes) -> bool:
    """Whether the whole of it says that it is one: its signature holds however somebody has laid it out."""
    with suppress(UndersignedError):
        return _object(data).get("type") == "ArbiterRuling"
    return False


def _object(data: bytes) -> JsonObject:
    value = decode_json(data, LIMITS)
    if not isinstance(value, dict):
        raise FormatError("schema_violation", "expected a JSON object")
    return value


# -- proofs of the log


def _proofs(out: Out, data: bytes, against: Against) -> int:
    lines = [line for line in data.split(b"\n") if line.strip()]
    shown: set[str] = set()
    failed = 0
    for line in lines:
        code, detail, thing, read = "", "", "", None
        try:
            read = to_struct(_object(line), LogProofLine)
            head = read.verify(_documents(read.origin, against), against.now)
            thing = next((name for name, raw in against.things.items() if read.is_of(raw)), "")
            detail = f"leaf {read.index + 1} of {head.size} in the log of {head.origin}"
        except UndersignedError as error:
            code, detail = error.code, error.message
        shown.add(thing)
        failed += bool(code)
        what, digest = (read.what, read.digest) if read is not None else ("?", "")
        out.value({"ok": not code, "code": code, "what": what, "digest": digest, "detail": detail, "of": thing or None})
        mark = "FAILED" if code else "ok    "
        of = f", and it is of {thing}" if thing else ""
        told = f"{code}: {detail}" if code else f"{detail}{of}"
        out.line(f"{mark} {plain(what, 24):12} {plain(digest, 60)}  {plain(told, 600)}", style="red" if code else "")
    if strange := [name for name in against.things if name not in shown]:
        raise VerificationError("digest_mismatch", f"--of {strange[0]}: none of these proofs is of it")
    if failed:
        out.line(f"{failed} of {counted(len(lines), 'proof')} do NOT hold", style="bold red")
        return CHECK_FAILED
    out.line(f"{counted(len(lines), 'proof')}: held", style="bold green")
    if not against.things:
        out.line("that a leaf is of a thing shows the thing alone: --of FILE, such as a member of a pack")
    return 0


def _documents(did: Did, against: Against) -> Iterator[DidDocument]:
    """Documents of the owner of a log, those that were brought along first.

    Raises:
        VerificationError: `did_unresolvable`.
    """
    brought = [one for one in against.documents if one.id == did]
    yield from brought
    if not brought:
        # What is compared with nothing must not look as if it had been.
        if against.documents or not is_derived(did):
            said = f"whoever asks has to say which keys are those of {did}: --did-document FILE"
            raise VerificationError("did_unresolvable", said)
        yield document_from(did, {})


# -- what an arbiter ruled


def _ruling(out: Out, data: bytes, against: Against) -> int:
    code, detail, arbiter, read = "", "", "", None
    document = _object(data)
    try:
        read = read_ruling(document)
        arbiter = str((read.proof or {}).get("verificationMethod", "")).partition("#")[0]
        known = tuple(_documents(arbiter, against)) if arbiter else ()  # without a proof it is not asked for a key
        verify_ruling(document, arbiter=arbiter, keys=partial(key_among, known, at=against.now))
    except UndersignedError as error:
        code, detail = error.code, error.message
    out.value({"ok": not code, "code": code, "detail": detail, "arbiter": arbiter, "ruling": document})
    if read is not None:
        out.line(f"ruling     {read.outcome}, {read.amount} {read.currency} owed, all told")
        out.line(f"contract   {read.contract}")
        out.line(f"dispute    {read.dispute}")
        out.line(f"reasons    {read.reasons}", most=WHOLE)
    if code:
        by = f"; signed, as it says, by {arbiter}" if arbiter else ""
        out.line(f"NOT shown to be so: {plain(code, 40)}: {plain(detail + by, 1000)}", style="bold red")
        return CHECK_FAILED
    out.line(f"it holds: signed by {plain(arbiter, 300)}", style="bold green")
    out.line("whether it counts the contract says, which names its arbiter: 'contract show'")
    return 0


# -- statements of somebody


def _envelope(out: Out, data: bytes, against: Against, *, explain: bool) -> int:
    code, detail, stated = "", "", None
    signers: tuple[str, ...] = ()
    claimed: tuple[str, ...] = ()
    try:
        document = _object(data)
        _require_envelope(document)
        envelope, payload = read_foreign_envelope(document)
        claimed = tuple(one.keyid or "a key without a name" for one in envelope.signatures)
        # What it says is told without a signature, too; whether it is so is another question.
        stated = read_foreign_statement(payload)
        signers = _signers(envelope, stated, against)
    except UndersignedError as error:
        code, detail = error.code, error.message
    if stated is not None:
        told = list(_told(stated))
        for line in told if explain else told[:MOST_LINES]:
            out.line(plain(line, 600))
        if len(told) > MOST_LINES and not explain:
            out.line(f"{counted(len(told) - MOST_LINES, 'more line')}: --explain shows them", style="dim")
    out.value(
        {
            "ok": not code,
            "code": code,
            "detail": detail,
            "signers": list(signers),
            "claimed": list(claimed),
            "statement": None if stated is None else _as_json(stated),
        }
    )
    if code:
        named = f"; signed, as it says, by {', '.join(claimed)}" if claimed else ""
        out.line(f"NOT shown to be so: {plain(code, 40)}: {plain(detail + named, 1000)}", style="bold red")
        return CHECK_FAILED
    about = f", about {', '.join(against.things)}" if against.things else ""
    out.line(f"it holds: signed by {plain(', '.join(signers), 600)}{plain(about, 600)}", style="bold green")
    if not about:
        out.line("what it is about was not compared with anything: --of FILE")
    return 0


def _signers(envelope: Envelope, stated: ForeignStatement, against: Against) -> tuple[str, ...]:
    """Names of the keys by which it holds: those that whoever asks named; if none was, those that follow from a DID.

    Raises:
        VerificationError, FormatError: As `verify_foreign_statement`; `attester_not_trusted`: no key is known.
    """
    keys = dict(against.keys)
    dids = {one.keyid.partition("#")[0] for one in envelope.signatures if one.keyid}
    documents = list(against.documents)
    for did in dids if not (against.keys or against.documents) else ():
        with suppress(UndersignedError):  # whatever else stands there is a name of theirs
            documents += [document_from(did, {})] if is_derived(did) else []
    for document in documents:
        keys |= document.keys("assertionMethod", now=against.now)
    if not keys:
        raise VerificationError("attester_not_trusted", "no key of a signer is known here: --key, or --did-document")
    found: dict[str, None] = {}
    # With nothing at hand to compare, a subject is held against itself: that leaves the signature to be checked.
    for artifact in against.things.values() or [stated.subjects[0].digest]:
        verified = verify_foreign_statement(
            from_struct(envelope), keys=keys, artifact=artifact, predicate_types=[stated.predicate_type]
        )
        found |= dict.fromkeys(verified.signers)
    return tuple(found)


def _as_json(stated: ForeignStatement) -> JsonObject:
    return {
        "type": stated.type,
        "subjects": [from_struct(one) for one in stated.subjects],
        "predicateType": stated.predicate_type,
        "predicate": stated.predicate,
        "digest": stated.digest,
    }


def _told(stated: ForeignStatement) -> Iterator[str]:
    yield f"statement  {stated.type}"
    yield f"predicate  {stated.predicate_type}"
    with suppress(UndersignedError):  # of another type, or of another shape: then nothing more is told of it
        found = read_foreign_provenance(stated)
        yield f"builder    {found.builder}"
        yield f"build      {found.build_type}"
        yield from (f"from       {one.uri or one.name or '?'}" for one in found.dependencies)
    for one in stated.subjects:
        digests = ", ".join(f"{name} {value}" for name, value in sorted(one.digest.items()))
        yield f"subject    {one.name or '(no name)'}  {digests}"
