"""What a pack shows of credentials: presentations of the transcript, credentials that were looked up, status lists, and
what the packer's decisions say of them.

Each is judged at one time: what was presented, when it was recorded; what was looked up, at the first decision that
names it. A credential that was not valid then counts for nothing, and may be in a pack: its holder showed it. What
takes a key to make has to be by that key, where anybody relied on it: a presentation may be recorded that nobody could
check any more, and a credential that nobody looked up says of its status what it likes. What cannot be judged from the
pack is named, and never counts as good: a proof of an RDF suite, which takes contexts of others, and what is signed by
somebody whose DID document is not here.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from msgspec import Struct
from msgspec.structs import replace

from undersigned.credentials import (
    CREDENTIAL_JWT,
    LIST_JWT,
    MAX_ENTRIES,
    PRESENTATION_JWT,
    Credential,
    Jws,
    JwsKind,
    StatusList,
    check_credential_claims,
    is_enveloped,
    open_envelope,
    open_presentation,
    read_status_entry,
    read_status_list,
    signed_document,
    verify_answer,
    verify_signed_text,
)
from undersigned.encoding import (
    FOREIGN_LIMITS,
    Did,
    DidUrl,
    Digest,
    Instant,
    JsonObject,
    canonicalize,
    decode_json,
    digest_bytes,
    parse_instant,
    read_moment,
)
from undersigned.errors import CredentialError, FormatError, ProofError, UndersignedError
from undersigned.evidence.case import Case, counted, documents_of, invalid, key_among, pack_of
from undersigned.evidence.leaves import withheld_in
from undersigned.keys import PublicKey
from undersigned.messages import Presentation
from undersigned.proof import JCS_SUITES, lone_proof, verify_proof

__all__ = ["check_credentials"]

LIMITS: Final = replace(FOREIGN_LIMITS, max_bytes=8 * 1024 * 1024, max_string=8 * 1024 * 1024)
"""Of decisions."""


class _Challenge(NamedTuple):
    """What a presentation answers."""

    challenge: Digest
    domain: Did


class _Signed(Struct, frozen=True):
    """A credential or status list as it is signed; nothing in it is verified."""

    path: str
    """Where it stands."""
    digest: Digest
    document: JsonObject
    """What it says; of a signed text, its payload."""
    jws: Jws | None = None

    @property
    def issuer(self) -> Did:
        """Who it says signed it."""
        issuer: Any = self.document.get("issuer")
        issuer = cast("JsonObject", issuer).get("id") if isinstance(issuer, dict) else issuer
        if not isinstance(issuer, str):
            raise invalid(f"{self.path} names no issuer", self.path)
        return issuer

    @property
    def subjects(self) -> list[JsonObject]:
        """What it is about; what is no object is about nobody."""
        listed = _many(self.document.get("credentialSubject"))
        return [cast("JsonObject", one) if isinstance(one, dict) else {} for one in listed]


@dataclass
class _Found:
    """What was found so far."""

    case: Case
    decisions: list[JsonObject]
    credentials: dict[Digest, _Signed] = field(default_factory=dict[Digest, _Signed])
    """Those that their issuers signed, by digest."""
    texts: set[Digest] = field(default_factory=set[Digest])
    """Digests of presented credentials, whether they can be judged or not."""
    presented: dict[Digest, Did] = field(default_factory=dict[Digest, Did])
    """Presentations of the transcript by digest, with who sent them."""
    looked_up: set[Digest] = field(default_factory=set[Digest])
    """Credentials of which the packer looked up the status."""
    unsound: list[str] = field(default_factory=list[str])
    """Codes of presentations that do not hold, and that nobody relied on."""
    shown: int = 0
    """Presentations that their holders signed."""
    held: int = 0
    outside: int = 0
    """Credentials that were not valid at their time."""
    lists: int = 0
    revoked: set[tuple[Digest, Digest]] = field(default_factory=set[tuple[Digest, Digest]])
    """(credential, list) where the list says so."""
    unchecked: set[str] = field(default_factory=set[str])


def check_credentials(case: Case) -> str:
    """Presentations, credentials and status lists are by whom they say; what decisions name of them is there and does
    not contradict them.

    Raises:
        VerificationError, ProofError, CredentialError, FormatError: The first that does not hold.
    """
    pack = pack_of(case)
    found = _Found(case, [_object(data, path) for path, data in pack.of_kind("decision")])
    for one, message in case.verified:
        if isinstance(message.message, Presentation):
            try:
                _presented(found, message.message, one.at)
            except UndersignedError as error:
                if _relied_on(found, message.message):
                    raise
                found.unsound.append(error.code)
    found.looked_up.update(digest_bytes(data) for _, data in pack.of_kind("credential"))
    named = (digest for one in found.decisions for digest in _listed(_inputs(one), "lookedUp"))
    found.looked_up.update(digest for digest in named if isinstance(digest, str))
    for path, data in pack.of_kind("credential"):
        one = _opened(signed_document(data), path, digest_bytes(data))
        _credential(found, one, _time(found, "lookedUp", one.digest))
    for path, data in pack.of_kind("status"):
        one = _opened(signed_document(data), path, digest_bytes(data), LIST_JWT)
        _status(found, one, _time(found, "statusLists", one.digest))
    for decision in found.decisions:
        _decided(found, decision)
    _check_inputs(found)
    for path, data in pack.of_kind("policy"):
        _check_canonical(data, path)
    codes = ", ".join(sorted(found.unsound))
    said = [
        counted(count, one, more)
        for count, one, more in (
            (found.shown, "presentation is by its holder", "presentations are by their holders"),
            (
                len(found.unsound),
                f"presentation does not hold, and nothing rests on it: {codes}",
                f"presentations do not hold, and nothing rests on them: {codes}",
            ),
            (found.held, "credential holds", "credentials hold"),
            (found.outside, "credential was not valid then", "credentials were not valid then"),
            (found.lists, "status list holds", "status lists hold"),
            (
                len(found.revoked),
                "credential is revoked or suspended in them",
                "credentials are revoked or suspended in them",
            ),
        )
        if count
    ]
    if found.unchecked:
        said.append(f"not checked: {', '.join(sorted(found.unchecked))}")
    return "; ".join(said)


def _relied_on(found: _Found, message: Presentation) -> bool:
    """Whether something came of it: a contract, or a yes of the packer."""
    digest = digest_bytes(canonicalize(dict(message.presentation)))
    yes = [_inputs(one) for one in found.decisions if one.get("outcome") == "allow"]
    return found.case.sealed is not None or any(one.get("presentation") == digest for one in yes)


def _presented(found: _Found, message: Presentation, at: Instant) -> None:
    """The presentation is its sender's own, for this engagement and in answer to the other side, and so is what it
    shows.
    """
    content: JsonObject = dict(message.presentation)
    found.presented[digest_bytes(canonicalize(content))] = message.sender
    jws = None
    if is_enveloped(content, PRESENTATION_JWT):
        jws = open_presentation(content)
        content = jws.payload
    if content.get("holder") != message.sender:
        raise CredentialError("holder_mismatch", f"a presentation of {content.get('holder')!a:.200}", path="/holder")
    if content.get("engagement") != message.engagement:
        raise CredentialError("wrong_negotiation", "a presentation for another engagement", path="/engagement")
    asked = _Challenge(message.answers, message.recipient)
    if _is_signed(found, content, jws, message.sender, "authentication", at, asked):
        found.shown += 1
    for place, credential in enumerate(_many(content.get("verifiableCredential", []))):
        path = f"/verifiableCredential/{place}"
        if not isinstance(credential, dict):
            raise invalid("not a credential", path)
        shown = _opened(cast("JsonObject", credential), path)
        found.texts.add(shown.digest)
        if any(subject.get("id") != message.sender for subject in shown.subjects):
            raise CredentialError("holder_mismatch", f"a credential about another than {message.sender}", path=path)
        _credential(found, shown, at)


def _opened(document: JsonObject, path: str, digest: Digest | None = None, of: JwsKind = CREDENTIAL_JWT) -> _Signed:
    """What somebody signed, with a proof or as a text in an envelope; `digest` is that of the member that it is."""
    if not is_enveloped(document, of):
        return _Signed(path, digest or digest_bytes(canonicalize(document)), document)
    try:
        jws = open_envelope(document, of)
    except UndersignedError as error:
        error.path = path + error.path
        raise
    return _Signed(path, digest or digest_bytes(jws.text.encode()), jws.payload, jws)


def _credential(found: _Found, one: _Signed, at: Instant) -> None:
    """The credential is its issuer's; whether it was valid then is counted."""
    valid = _judged(found, one, at)
    if valid is None:
        return
    found.credentials[one.digest] = one
    if valid:
        found.held += 1
    else:
        found.outside += 1


def _status(found: _Found, one: _Signed, at: Instant) -> None:
    """The list is its issuer's; which of the credentials here it speaks against."""
    valid, url = _judged(found, one, at), one.document.get("id")
    if valid is None:
        return
    if not valid:
        found.unchecked.add("a status list that was not valid then")
        return
    if not isinstance(url, str):
        found.unchecked.add("a status list that does not say where it is published")
        return
    told = read_status_list(_as_read(one), url=url)
    found.lists += 1
    for digest, credential in found.credentials.items():
        try:
            if _speaks_against(found, told, one, credential):
                found.revoked.add((digest, one.digest))
        except CredentialError:
            if digest in found.looked_up:
                raise
            found.unchecked.add("a status that nobody looked up")


def _speaks_against(found: _Found, told: StatusList, of: _Signed, credential: _Signed) -> bool:
    """Whether a place of the credential in this list is set."""
    entries = _entries(credential.document)
    is_set = False
    for place, entry in enumerate(entries):
        if entry.get("statusListCredential") != told.url:
            continue
        if credential.issuer != told.issuer:
            raise CredentialError("status_unavailable", "a list of another issuer", path=of.path)
        if len(entries) > MAX_ENTRIES:
            raise CredentialError("status_invalid", f"expected at most {MAX_ENTRIES} entries", path=credential.path)
        try:
            read = read_status_entry(entry, f"{credential.path}/credentialStatus/{place}")
        except CredentialError as error:
            if error.code != "status_unavailable":
                raise
            found.unchecked.add("a status of another kind than revoked or suspended")
            continue
        is_set = told.speaks_against(read) or is_set
    return is_set


def _as_read(one: _Signed) -> Credential:
    """With what is asked of a status list."""
    return Credential(
        json=one.document,
        digest=one.digest,
        types=tuple(name for name in _many(one.document.get("type")) if isinstance(name, str)),
        issuer=one.issuer,
        subjects=tuple(one.subjects),
        valid_from=None,
        valid_until=None,
        has_status="credentialStatus" in one.document,
        jws=one.jws,
    )


def _judged(found: _Found, one: _Signed, at: Instant) -> bool | None:
    """Whether it was valid then, once it is its issuer's; None if that cannot be judged."""
    claimed: tuple[Instant | None, Instant | None] = (None, None)
    if one.jws is not None:
        claimed = check_credential_claims(one.document, one.issuer, one.subjects)
    if not _is_signed(found, one.document, one.jws, one.issuer, "assertionMethod", at):
        return None
    written: list[datetime | None] = []
    for name in ("validFrom", "validUntil"):
        moment = read_moment(one.document[name]) if name in one.document else None
        if name in one.document and moment is None:
            raise CredentialError("schema_violation", f"expected a time in {name}", path=one.path)
        written.append(moment)
    now, (begins, ends), (first, last) = parse_instant(at), written, claimed
    return (
        (begins is None or begins <= now)
        and (first is None or first <= at)
        and (ends is None or now <= ends)
        and (last is None or at <= last)
    )


def _decided(found: _Found, decision: JsonObject) -> None:
    """A decision is about the other side, from what it presented; a yes rests on nothing that a list here speaks
    against.
    """
    manifest = pack_of(found.case).manifest
    said = _inputs(decision)
    if "peer" in decision and decision["peer"] != manifest.peer:
        raise invalid(f"a decision about {decision['peer']!a:.200}, who is not the other side")
    if "presentation" in said:
        from_it: Any = said["presentation"]
        if not isinstance(from_it, str) or found.presented.get(from_it) != manifest.peer:
            raise invalid("a decision from a presentation that the other side did not make here")
    if decision.get("outcome") == "allow":
        for credential, told in sorted(found.revoked):
            if credential in _listed(said, "lookedUp") and told in _listed(said, "statusLists"):
                raise CredentialError(
                    "revoked", f"a decision allowed what the list {told} speaks against: {credential}"
                )


def _check_inputs(found: _Found) -> None:
    """What decisions name is here, or so many of its kind are withheld: nothing is silently missing."""
    pack = pack_of(found.case)
    left_out = Counter(one.kind for one in withheld_in(pack))
    inputs = [_inputs(one) for one in found.decisions]
    for kind, name in (("policy", "policy"), ("credential", "lookedUp"), ("status", "statusLists")):
        named = {
            digest
            for one in inputs
            for digest in ([one[name]] if isinstance(one.get(name), str) else _listed(one, name))
            if isinstance(digest, str)
        }
        missing = named - {digest_bytes(data) for _, data in pack.of_kind(kind)}
        if kind == "credential":
            missing -= found.texts
        if len(missing) > left_out[kind]:
            raise invalid(f"decisions name what is neither here nor withheld: {kind} {min(missing)[:200]!a}")


def _time(found: _Found, name: str, digest: Digest) -> Instant:
    """When something was looked up: at the first decision that names it, else by the end of the pack."""
    times = [
        decision["at"]
        for decision in found.decisions
        if digest in _listed(_inputs(decision), name) and _is_instant(decision.get("at"))
    ]
    return min((str(at) for at in times), default=pack_of(found.case).manifest.created)


def _is_signed(
    found: _Found,
    document: JsonObject,
    jws: Jws | None,
    signer: Did,
    purpose: str,
    at: Instant,
    asked: _Challenge | None = None,
) -> bool:
    """Whether the signer's proof, or its signature of the text, could be judged; it holds then."""
    case = found.case
    suite: Any = lone_proof(document).get("cryptosuite")
    if isinstance(suite, str) and suite not in JCS_SUITES:
        found.unchecked.add("a proof of another suite than those of canonical JSON")
        return False
    try:
        documents = documents_of(case, signer)
    except UndersignedError:
        documents = []
    if not documents:
        found.unchecked.add(f"what is signed by {signer[:200]!a}: no DID document of it is here")
        return False
    keys = _keys(case, signer, at)
    if jws is not None:
        if asked is not None:
            verify_answer(jws, asked.challenge, asked.domain, at)
        verify_signed_text(jws, keys, purpose, at)
        return True
    verify_proof(
        document,
        key=keys,
        purpose=purpose,
        now=at,
        challenge=asked and asked.challenge,
        domain=asked and asked.domain,
        suites=JCS_SUITES,
        foreign=asked is None,
    )
    return True


def _keys(case: Case, signer: Did, at: Instant) -> Callable[[DidUrl, str], PublicKey]:
    def lookup(method: DidUrl, purpose: str) -> PublicKey:
        if method.partition("#")[0] != signer:
            raise ProofError("key_not_authorized", f"expected a method of {signer}; came {method!a:.200}")
        return key_among(documents_of(case, signer), method, purpose, at)

    return lookup


def _many(value: Any) -> list[Any]:
    """The values of a member that may also have one alone."""
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _entries(document: JsonObject) -> list[JsonObject]:
    listed = _many(document.get("credentialStatus", []))
    return [cast("JsonObject", one) for one in listed if isinstance(one, dict)]


def _inputs(decision: JsonObject) -> JsonObject:
    inputs: Any = decision.get("inputs")
    return cast("JsonObject", inputs) if isinstance(inputs, dict) else {}


def _listed(inputs: JsonObject, name: str) -> list[Any]:
    listed: Any = inputs.get(name, [])
    return cast("list[Any]", listed) if isinstance(listed, list) else []


def _is_instant(value: Any) -> bool:
    try:
        parse_instant(value)
    except (UndersignedError, TypeError):
        return False
    return True


def _check_canonical(data: bytes, path: str) -> None:
    """Returns if these bytes are the one form of what they say: a policy is the packer's making."""
    try:
        said = _object(data, path)
    except FormatError as error:
        raise invalid(f"{path}: {error.message}", path) from error
    if canonicalize(said) != data:
        raise invalid(f"{path} is not in canonical form", path)


def _object(data: bytes, path: str) -> JsonObject:
    value = decode_json(data, LIMITS)
    if not isinstance(value, dict):
        raise invalid(f"{path} is no object", path)
    return value
