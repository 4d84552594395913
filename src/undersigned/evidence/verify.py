"""Checks an evidence pack in numbered steps, from its own bytes alone: no network, no store, no runtime.

Each step reads only what the steps before verified, and the first that fails ends it: what was not reached counts as
failed. Messages are judged as they were when they were recorded, by the time that the packer recorded; everything else
that a party says is under its signature.

What a pack cannot prove is that a `did:web` document was the one served at that time. `known` takes documents that the
verifier has from elsewhere; without them the step names the DIDs that it had to take from the pack.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar, cast

from msgspec import Struct

from undersigned.contract import verify_sealed
from undersigned.did import DidDocument, document_from, is_derived
from undersigned.encoding import (
    FOREIGN_LIMITS,
    Did,
    DidUrl,
    Digest,
    Instant,
    JsonObject,
    canonicalize,
    decode_json,
    from_struct,
    parse_instant,
    shift,
)
from undersigned.errors import CODES, FormatError, UndersignedError, VerificationError
from undersigned.evidence.books import books_of
from undersigned.evidence.case import (
    Case,
    assertion_keys,
    counted,
    engagement_of,
    invalid,
    named_by_digest,
    pack_of,
    sealing_keys,
)
from undersigned.evidence.chain import Checked, check_above, check_below
from undersigned.evidence.changes import check_changes
from undersigned.evidence.credentials import check_credentials
from undersigned.evidence.deliveries import check_acceptance, check_statements
from undersigned.evidence.leaves import check_decisions
from undersigned.evidence.logs import check_logs
from undersigned.evidence.pack import CONTRACT, KINDS, Transcribed, read_pack, sealed_contract
from undersigned.evidence.refusals import check_refusals
from undersigned.keys import PublicKey
from undersigned.messages import VerifiedMessage, verify_message
from undersigned.proof import MAX_SKEW_SECONDS
from undersigned.protocol import Early, Received, Sent, begin, early, judge
from undersigned.transparency import NoteVerifier

__all__ = ["STEPS", "BrokenPack", "ListedKey", "Report", "Step", "check_pack", "verify_pack"]

T = TypeVar("T")

MAX_DOCUMENTS: Final = 256
"""Of one DID in a pack; an engagement is stored with fewer."""
MAX_KEYS: Final = 16
"""Different keys of one name that are tried for a message. There is one (HIRE-KEY-08), unless who made the pack let its
own become another's.
"""


class BrokenPack(VerificationError):
    """A pack does not hold; the code is that of the step."""

    @property
    def exit_code(self) -> int:
        """Of a check that failed: no answer was given, though the code may be one that says no."""
        return CODES["evidence_invalid"].exit_code


class Step(Struct, frozen=True):
    """One numbered step and what came of it."""

    number: int
    name: str
    ok: bool
    code: str
    """Empty if it holds."""
    detail: str
    """What was checked, or what was expected and what came. Quotes the pack: not to be trusted as text."""


class ListedKey(Struct, frozen=True):
    """A key by which a pack was judged, to be compared with what its DID publishes."""

    method: DidUrl
    key: PublicKey
    known: bool
    """It follows from the DID or stands in a document that the verifier knew; otherwise the pack alone says so."""


class Report(Struct, frozen=True, kw_only=True):
    """What `verify_pack` found."""

    steps: tuple[Step, ...]
    keys: tuple[ListedKey, ...] = ()
    """The parties' keys, by the documents of step 2, and those of everybody else whose document is the pack's own."""
    not_judged: tuple[str, ...] = ()
    """Members of a kind that this release does not know: their digests hold, and nothing else was looked at."""
    engagement: str | None = None
    state: str | None = None
    """What the transcript leads to, if it was reached."""
    contract: Digest | None = None
    early: tuple[Early, ...] = ()
    """What the other side did before its time, by the packer's record (HIRE-LIF-34). Nothing fails by it."""
    books: tuple[tuple[str, str], ...] = ()
    """(whose, what is owed, such as `4 EUR`) by the last `Closing` of each side and, as `moves`, by what ended the
    contract, if they differ in a pack that holds. Nothing fails by it: what is right is for people, or the arbiter.
    """

    @property
    def ok(self) -> bool:
        """Whether every step holds."""
        return all(step.ok for step in self.steps)

    def require_ok(self, source: str) -> None:
        """Returns if every step holds.

        Raises:
            BrokenPack: One does not, with its code.
        """
        for step in self.steps:
            if not step.ok:
                raise BrokenPack(step.code, f"{source} does not hold (step {step.number}, {step.name}): {step.detail}")

    def document(self) -> JsonObject:
        """The report as JSON."""
        steps = [from_struct(one) for one in self.steps]
        found = {"engagement": self.engagement, "state": self.state, "contract": self.contract}
        known: JsonObject = {name: value for name, value in found.items() if value is not None}
        if self.early:
            known["early"] = [from_struct(one) for one in self.early]
        if self.books:
            known["books"] = dict(self.books)
        return {"ok": self.ok, **known, "steps": steps}


def verify_pack(
    data: bytes | bytearray | memoryview,
    *,
    now: Instant,
    known: Iterable[DidDocument] = (),
    witnesses: Iterable[NoteVerifier] = (),
) -> Report:
    """The report on a pack; nothing is raised for what is in it. `now` is written `2026-11-28T09:00:00Z`.

    `known` are DID documents that the verifier resolved itself; of a DID of which it knows any, the pack must hold no
    other. Where keys were replaced meanwhile, that takes the document of before and the one of after. Of
    `witnesses` each must have cosigned the pack's checkpoint; the packs below it may lack that.

    Raises:
        FormatError: `schema_violation`: an argument is of another kind, which says nothing about the pack.

    Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
    """
    if not isinstance(data, bytes | bytearray | memoryview):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
        raise FormatError(
            "schema_violation", f"expected the bytes of a pack, such as Path.read_bytes(), got {data!r:.80}"
        )
    if not isinstance(now, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FormatError("schema_violation", f"now: expected an instant as text, got {now!r:.80}")
    parse_instant(now)
    return check_pack(
        bytes(data),
        now=now,
        known=_each("known", known, DidDocument),
        witnesses=_each("witnesses", witnesses, NoteVerifier),
    )[0]


def _each(name: str, given: Iterable[T], kind: type[T]) -> tuple[T, ...]:
    """What a caller gave, once each of it is of that kind; nobody checks that in its code."""
    try:
        found = tuple(given)
    except TypeError:
        found = (given,)
    for one in found:
        if not isinstance(one, kind):
            raise FormatError("schema_violation", f"{name}: expected each to be a {kind.__name__}, got {one!r:.80}")
    return cast("tuple[T, ...]", found)


def check_pack(
    data: bytes, *, now: Instant, known: Iterable[DidDocument] = (), witnesses: Iterable[NoteVerifier] = ()
) -> tuple[Report, Case]:
    """As `verify_pack`, and what its steps verified, for those who go on from there. Of a pack that does not hold
    nothing in it may be used.
    """
    case = Case(data, now, witnesses=tuple(witnesses))
    for document in known:
        case.known.setdefault(document.id, []).append(document)
    steps = _checked(case)
    report = Report(
        steps=tuple(steps),
        keys=tuple(_listed_keys(case)),
        not_judged=tuple(item.path for item in case.pack.manifest.members if item.kind not in KINDS)
        if case.pack
        else (),
        engagement=case.pack.manifest.engagement if case.pack else None,
        state=case.engagement.state if case.engagement else None,
        contract=case.sealed.digest if case.sealed else None,
        early=tuple(case.early),
        books=books_of(case) if all(step.ok for step in steps) else (),
    )
    return report, case


def _checked(case: Case) -> list[Step]:
    steps: list[Step] = []
    failed = 0
    for number, (name, check) in enumerate(STEPS, start=1):
        if failed:
            steps.append(Step(number, name, False, "evidence_invalid", f"not checked: step {failed} failed"))
            continue
        try:
            steps.append(Step(number, name, True, "", check(case)))
        except UndersignedError as exc:
            failed = number
            where = f"{exc.path}: " if exc.path and not exc.message.startswith(exc.path) else ""
            steps.append(Step(number, name, False, exc.code, where + exc.message))
    return steps


def _below(data: bytes, case: Case) -> Checked:
    """A pack inside this one, by the same steps."""
    below = Case(data, case.now, case.level + 1, known=case.known, witnesses=case.witnesses)
    failed = next((step for step in _checked(below) if not step.ok), None)
    return (f"step {failed.number}, {failed.name}: {failed.detail}" if failed else ""), below


def _listed_keys(case: Case) -> Iterator[ListedKey]:
    parties = (case.pack.manifest.own, case.pack.manifest.peer) if case.pack else ()
    for did in (*parties, *(did for did in case.taken if did not in parties)):
        for method, key in assertion_keys(case, did).items():
            # Asked of a DID with a document alone: whatever else stands there may be no DID of its method.
            yield ListedKey(method, key, did in case.known or is_derived(did))


# Step 1


def _archive(case: Case) -> str:
    """Form of the archive, manifest, every digest, and nothing recorded later than now."""
    case.pack = pack = read_pack(case.data)
    manifest = pack.manifest
    times = [one.at for one in pack.transcript]
    if not times or manifest.created != max(times):
        raise invalid("the manifest was not created with its last message")
    if times != sorted(times):
        raise invalid("the transcript runs back in time")
    if manifest.created > shift(case.now, MAX_SKEW_SECONDS):
        raise invalid(f"recorded at {manifest.created}, which is after {case.now}")
    return f"{len(pack.members)} members as listed; {len(times)} messages, the last of {manifest.created}"


# Step 2


def _documents(case: Case) -> str:
    """A document of each party, and none that contradicts its DID or what the verifier knows."""
    pack = pack_of(case)
    parties = (pack.manifest.own, pack.manifest.peer)
    for path, data in pack.of_kind("did-document"):
        did = _id_of(data, path)
        document = DidDocument(did, data)
        named_by_digest(path, data)
        if is_derived(did) and document.raw != document_from(did, {}).raw:
            raise invalid(f"{path} is not the document that follows from {did}")
        if did in case.known and document not in case.known[did]:
            raise invalid(f"{path} is another document of {did} than the one known")
        case.documents.setdefault(did, []).append(document)
        if len(case.documents[did]) > MAX_DOCUMENTS:
            raise invalid(f"there are more than {MAX_DOCUMENTS} documents of {did}")
    taken: list[Did] = []
    for did in parties:
        if did not in case.documents and is_derived(did):
            case.documents[did] = [document_from(did, {})]
        if did not in case.documents:
            raise VerificationError("evidence_invalid", f"there is no document of {did}")
        if did not in case.known and not is_derived(did):
            taken.append(did)
    # Of whoever else has one here: who stands above or judges, issuers, witnesses.
    taken += sorted(did for did in case.documents if not (did in parties or did in case.known or is_derived(did)))
    case.taken = taken
    return f"taken from the pack: {', '.join(taken)}" if taken else "all follow from their DIDs or are known"


def _id_of(data: bytes, path: str) -> Did:
    value = decode_json(data, FOREIGN_LIMITS)
    did = value.get("id") if isinstance(value, dict) else None
    if not isinstance(did, str):
        raise invalid(f"{path} is not a DID document")
    return did


# Step 3


def _messages(case: Case) -> str:
    """Each message is signed by its sender for the other party, and was fresh when it was recorded."""
    pack = pack_of(case)
    manifest = pack.manifest
    seen: set[Digest] = set()
    for one in pack.transcript:
        sender, recipient = (manifest.own, manifest.peer) if one.kind == "sent" else (manifest.peer, manifest.own)
        if one.message.engagement != manifest.engagement or one.message.sender != sender:
            raise invalid(f"message {one.number} is not one of {sender} in this engagement")
        if one.signed.digest in seen:
            raise invalid(f"message {one.number} is there twice")
        seen.add(one.signed.digest)
        case.verified.append((one, _verified(case, one, recipient)))
    return counted(len(case.verified), "proof holds", "proofs hold")


def _verified(case: Case, one: Transcribed, recipient: Did) -> VerifiedMessage:
    """Verified with the sender's document of that time; a pack may hold several, of before and after a rotation. Of
    those that give one key the name in the proof only the first is tried: who made the pack chose how many there are.
    """
    failure: UndersignedError | None = None
    own = case.documents[recipient][0]
    tried: set[PublicKey | None] = set()
    for document in case.documents[one.message.sender]:
        key = _named(document, one)
        if key in tried or len(tried) >= MAX_KEYS:
            continue
        tried.add(key)
        try:
            return verify_message(one.signed, {document.id: document, own.id: own}, now=one.at, recipient=recipient)
        except UndersignedError as exc:
            failure = exc
    assert failure is not None  # noqa: S101  (step 2 saw that there is a document)
    raise VerificationError(failure.code, f"message {one.number}, {one.message.type}: {failure.message}")


def _named(document: DidDocument, one: Transcribed) -> PublicKey | None:
    """The key that a document gives to the name in the proof of a message; None: it gives it none for this."""
    try:
        return document.key_for(one.signed.proof.verification_method, one.message.purpose, now=one.at)
    except UndersignedError:
        return None


# Step 4


def _transcript(case: Case) -> str:
    """Order and completeness of both chains, and that each move was legal where it stands."""
    manifest = pack_of(case).manifest
    engagement = begin(manifest.role, manifest.own, manifest.peer, manifest.engagement)
    for one, message in case.verified:
        entry = (Sent if one.kind == "sent" else Received)(message, one.at)
        try:
            became, after = judge(engagement, entry)
        except UndersignedError as exc:
            raise VerificationError(exc.code, f"message {one.number}: {exc.message}") from exc
        if became == "applies" and isinstance(entry, Received) and not message.message.notice:
            found = early(engagement, entry)
            case.early += [found] if found is not None else []
        engagement = after
    case.engagement = engagement
    return f"{len(engagement.sent)} moves sent and {len(engagement.got)} received lead to {engagement.state}"


# Step 5


def _contract(case: Case) -> str:
    """Document, both proofs, acceptance and seal, standing alone; that they are of the transcript; what changed it;
    what stands above it and below.
    """
    pack, engagement = pack_of(case), engagement_of(case)
    derived = sealed_contract(pack.transcript)
    packed = pack.members.get(CONTRACT)
    made = engagement.contract.digest if engagement.contract else None
    if made != pack.manifest.contract or (derived is None) != (made is None) or (packed is None) != (made is None):
        raise invalid(f"the transcript makes contract {made}, the manifest says {pack.manifest.contract}")
    if derived is None or packed is None:
        return "no contract was made"
    if packed != canonicalize(derived):
        raise invalid(f"{CONTRACT} is not what the transcript says", CONTRACT)
    document: Any = derived["document"]
    acceptance: Any = derived["acceptance"]
    seal: Any = derived["seal"]
    case.sealed = sealed = verify_sealed(document, acceptance, seal, keys=sealing_keys(case, acceptance, seal))
    parties = {pack.manifest.own, pack.manifest.peer}
    if sealed.digest != made or {sealed.document.hirer, sealed.document.provider} != parties:
        raise invalid("the contract is another than the one sealed in the transcript")
    changes = check_changes(case)
    found = [changes, *check_above(case), *check_below(case, _below)]
    return "; ".join([f"{made}: both proofs, acceptance and seal hold", *filter(None, found)])


# Step 10


def _decisions(case: Case) -> str:
    """What was left out, what was presented and looked up, and that decisions do not contradict it."""
    return "; ".join(filter(None, (check_decisions(case), check_credentials(case))))


STEPS: Final[tuple[tuple[str, Callable[[Case], str]], ...]] = (
    ("archive and manifest", _archive),
    ("DID documents", _documents),
    ("messages and their proofs", _messages),
    ("chains and states", _transcript),
    ("contract", _contract),
    ("statements", check_statements),
    ("acceptance of the work", check_acceptance),
    ("ledger proofs", check_logs),
    ("refused actions", check_refusals),
    ("decisions, and what is withheld", _decisions),
)
"""The steps in their order: name, and the function that says what it found or raises."""
