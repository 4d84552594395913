"""What a pack shows of credentials: presentations of the transcript, credentials that were looked up, status lists, and
what the packer's decisions say of them.

Each is judged at one time: what was presented, when it was recorded; what was looked up, at the first decision that
names it. A credential that was not valid then counts for nothing, and may be in a pack: its holder showed it. What
takes a key to make has to be by that key. What cannot be judged from the pack is named, and never counts as good: a
text that is signed as a whole (JWT), a proof of an RDF suite, which takes contexts of others, and what is signed by
somebody whose DID document is not here.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from msgspec.structs import replace

from undersigned.credentials import decode_list
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
from undersigned.errors import CredentialError, ProofError, UndersignedError
from undersigned.evidence.case import Case, documents_of, invalid, key_among, pack_of
from undersigned.evidence.leaves import withheld_in
from undersigned.keys import PublicKey
from undersigned.messages import Presentation
from undersigned.proof import verify_proof

__all__ = ["check_credentials"]

SUITES: Final = frozenset({"eddsa-jcs-2022", "ecdsa-jcs-2019"})
"""Suites whose proofs cover the JSON itself."""
MAX_BYTES: Final = 8 * 1024 * 1024
LIMITS: Final = replace(FOREIGN_LIMITS, max_bytes=MAX_BYTES, max_string=MAX_BYTES)
"""Of members: a status list is one long text."""
STATUS_LIST: Final = "BitstringStatusListCredential"


@dataclass
class _Found:
    """What was found so far."""

    case: Case
    decisions: list[JsonObject]
    credentials: dict[Digest, JsonObject] = field(default_factory=dict[Digest, JsonObject])
    """Those that can be read, by digest."""
    texts: set[Digest] = field(default_factory=set[Digest])
    """Digests of presented credentials, whether they can be read or not."""
    presented: dict[Digest, Did] = field(default_factory=dict[Digest, Did])
    """Presentations of the transcript by digest, with who sent them."""
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
            _presented(found, message.message, one.at)
    for path, data in pack.of_kind("credential"):
        digest = digest_bytes(data)
        if _is_text(data):
            found.unchecked.add("a credential that is signed as a text")
        else:
            _credential(found, _object(data, path), digest, _time(found, "lookedUp", digest), path)
    for path, data in pack.of_kind("status"):
        digest = digest_bytes(data)
        if _is_text(data):
            found.unchecked.add("a status list that is signed as a text")
        else:
            _status(found, _object(data, path), digest, _time(found, "statusLists", digest), path)
    for decision in found.decisions:
        _decided(found, decision)
    _check_inputs(found)
    said = [
        f"{found.shown} presentations are by their holders" if found.shown else "",
        f"{found.held} credentials hold" if found.held else "",
        f"{found.outside} credentials were not valid then" if found.outside else "",
        f"{found.lists} status lists hold" if found.lists else "",
        f"{len(found.revoked)} credentials are revoked or suspended in them" if found.revoked else "",
        f"not checked: {', '.join(sorted(found.unchecked))}" if found.unchecked else "",
    ]
    return "; ".join(filter(None, said))


def _presented(found: _Found, message: Presentation, at: Instant) -> None:
    """The presentation is its sender's own, for this engagement and in answer to the other side, and so is what it
    shows.
    """
    content: JsonObject = dict(message.presentation)
    found.presented[digest_bytes(canonicalize(content))] = message.sender
    if "EnvelopedVerifiablePresentation" in _types(content):
        found.unchecked.add("a presentation that is signed as a text")
        return
    if content.get("holder") != message.sender:
        raise CredentialError("holder_mismatch", f"a presentation of {content.get('holder')!a:.200}", path="/holder")
    if content.get("engagement") != message.engagement:
        raise CredentialError("wrong_negotiation", "a presentation for another engagement", path="/engagement")
    asked = {"challenge": message.answers, "domain": message.recipient}
    if _signed(found, content, message.sender, "authentication", at, **asked):
        found.shown += 1
    listed: Any = content.get("verifiableCredential", [])
    for place, credential in enumerate(cast("list[Any]", listed if isinstance(listed, list) else [listed])):
        path = f"/verifiableCredential/{place}"
        if not isinstance(credential, dict):
            raise invalid("not a credential", path)
        shown = cast("JsonObject", credential)
        found.texts.add(_shown_digest(shown))
        if "EnvelopedVerifiableCredential" in _types(shown):
            found.unchecked.add("a credential that is signed as a text")
            continue
        if any(subject.get("id") != message.sender for subject in _subjects(shown)):
            raise CredentialError("holder_mismatch", f"a credential about another than {message.sender}", path=path)
        _credential(found, shown, digest_bytes(canonicalize(shown)), at, path)


def _credential(found: _Found, document: JsonObject, digest: Digest, at: Instant, path: str) -> None:
    """The credential is its issuer's; whether it was valid then is counted."""
    if not _signed(found, document, _issuer(document, path), "assertionMethod", at):
        return
    found.credentials[digest] = document
    if _valid(document, at, path):
        found.held += 1
    else:
        found.outside += 1


def _status(found: _Found, document: JsonObject, digest: Digest, at: Instant, path: str) -> None:
    """The list is its issuer's; which of the credentials here it speaks against."""
    issuer = _issuer(document, path)
    if not _signed(found, document, issuer, "assertionMethod", at):
        return
    subject: Any = document.get("credentialSubject")
    encoded = cast("JsonObject", subject).get("encodedList") if isinstance(subject, dict) else None
    if STATUS_LIST not in _types(document) or not isinstance(encoded, str):
        raise CredentialError("status_invalid", "not a status list", path=path)
    if not _valid(document, at, path):
        found.unchecked.add("a status list that was not valid then")
        return
    found.lists += 1
    bits: bytes | None = None
    for name, credential in found.credentials.items():
        for entry in _entries(credential):
            if entry.get("statusListCredential") != document.get("id"):
                continue
            if _issuer(credential, path) != issuer:
                raise CredentialError("status_unavailable", "a list of another issuer", path=path)
            bits = decode_list(encoded) if bits is None else bits
            written: Any = entry.get("statusListIndex")
            if not isinstance(written, str) or not (written.isascii() and written.isdigit()) or len(written) > 9:
                raise CredentialError("status_invalid", "not the place of a credential", path=path)
            index = int(written)
            if index >= 8 * len(bits):
                raise CredentialError("status_invalid", f"place {index} is not in the list", path=path)
            if bits[index >> 3] & (0x80 >> (index & 7)):
                found.revoked.add((name, digest))


def _decided(found: _Found, decision: JsonObject) -> None:
    """A decision is about the other side, from what it presented; a yes rests on nothing that a list here speaks
    against.
    """
    manifest = pack_of(found.case).manifest
    inputs: Any = decision.get("inputs")
    said = cast("JsonObject", inputs) if isinstance(inputs, dict) else {}
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
    inputs = [cast("JsonObject", one["inputs"]) for one in found.decisions if isinstance(one.get("inputs"), dict)]
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


def _shown_digest(credential: JsonObject) -> Digest:
    """Of a credential as its holder shows it: of its JSON, or of the signed text in its envelope."""
    text = credential.get("id")
    if "EnvelopedVerifiableCredential" in _types(credential) and isinstance(text, str):
        return digest_bytes(text.partition(",")[2].encode())
    return digest_bytes(canonicalize(credential))


def _time(found: _Found, name: str, digest: Digest) -> Instant:
    """When something was looked up: at the first decision that names it, else by the end of the pack."""
    times = [
        decision["at"]
        for decision in found.decisions
        if isinstance(inputs := decision.get("inputs"), dict)
        and digest in _listed(inputs, name)
        and _is_instant(decision.get("at"))
    ]
    return min((str(at) for at in times), default=pack_of(found.case).manifest.created)


def _signed(
    found: _Found,
    document: JsonObject,
    signer: Did,
    purpose: str,
    at: Instant,
    *,
    challenge: str | None = None,
    domain: str | None = None,
) -> bool:
    """Whether the signer's proof could be judged; it holds then."""
    case = found.case
    proof: Any = document.get("proof")
    suite = cast("JsonObject", proof).get("cryptosuite") if isinstance(proof, dict) else None
    if isinstance(suite, str) and suite not in SUITES:
        found.unchecked.add("a proof of another suite than those of canonical JSON")
        return False
    try:
        documents = documents_of(case, signer)
    except UndersignedError:
        documents = []
    if not documents:
        found.unchecked.add(f"what is signed by {signer[:200]!a}: no DID document of it is here")
        return False
    verify_proof(
        document,
        key=_keys(case, signer, at),
        purpose=purpose,
        now=at,
        challenge=challenge,
        domain=domain,
        suites=SUITES,
        low_s=challenge is not None,
    )
    return True


def _keys(case: Case, signer: Did, at: Instant) -> Callable[[DidUrl, str], PublicKey]:
    def lookup(method: DidUrl, purpose: str) -> PublicKey:
        if method.partition("#")[0] != signer:
            raise ProofError("key_not_authorized", f"expected a method of {signer}; came {method!a:.200}")
        return key_among(documents_of(case, signer), method, purpose, at)

    return lookup


def _valid(document: JsonObject, at: Instant, path: str) -> bool:
    now, bounds = parse_instant(at), list[datetime | None]()
    for name in ("validFrom", "validUntil"):
        moment = read_moment(document[name]) if name in document else None
        if name in document and moment is None:
            raise CredentialError("schema_violation", f"expected a time in {name}", path=path)
        bounds.append(moment)
    begins, ends = bounds
    return (begins is None or begins <= now) and (ends is None or now <= ends)


def _issuer(document: JsonObject, path: str) -> Did:
    issuer: Any = document.get("issuer")
    issuer = cast("JsonObject", issuer).get("id") if isinstance(issuer, dict) else issuer
    if not isinstance(issuer, str):
        raise invalid(f"{path} names no issuer", path)
    return issuer


def _types(document: Mapping[str, Any]) -> list[Any]:
    types: Any = document.get("type")
    return cast("list[Any]", types) if isinstance(types, list) else [types]


def _subjects(document: JsonObject) -> list[JsonObject]:
    """What it is about; what is no object is about nobody."""
    subjects: Any = document.get("credentialSubject")
    listed = cast("list[Any]", subjects) if isinstance(subjects, list) else [subjects]
    return [cast("JsonObject", one) if isinstance(one, dict) else {} for one in listed]


def _entries(document: JsonObject) -> list[JsonObject]:
    entries: Any = document.get("credentialStatus", [])
    listed = cast("list[Any]", entries if isinstance(entries, list) else [entries])
    return [cast("JsonObject", one) for one in listed if isinstance(one, dict)]


def _listed(inputs: JsonObject, name: str) -> list[Any]:
    listed: Any = inputs.get(name, [])
    return cast("list[Any]", listed) if isinstance(listed, list) else []


def _is_instant(value: Any) -> bool:
    try:
        parse_instant(value)
    except (UndersignedError, TypeError):
        return False
    return True


def _is_text(data: bytes) -> bool:
    """Whether a member is a signed text (JWT) and no JSON."""
    return data[:1] != b"{"


def _object(data: bytes, path: str) -> JsonObject:
    value = decode_json(data, LIMITS)
    if not isinstance(value, dict):
        raise invalid(f"{path} is no object", path)
    return value
