"""Who signed a document, in which order, and whether it was sealed: a contract verifies alone.

The offerer signs first; the acceptor's proof names the offerer's, so the second signature covers the first and
cannot be moved under another body. `Acceptance` and `Seal` are taken as the JSON that was signed: this module knows
nothing of a journal, so an auditor with the three documents and the two DID documents needs nothing else.

Source: protocol-spec/07-contract.md, sections 7.3 and 7.4
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, cast

from msgspec import Struct

from undersigned.contract.check import DocumentName, read_document, unproved
from undersigned.contract.document import AmendmentDocument, ContractDocument, Document, ReleaseDocument, Role
from undersigned.encoding import Did, DidUrl, Digest, Instant, JsonObject, digest_of
from undersigned.errors import ContractError, ProofError
from undersigned.proof import KeyLookup, check_options, proof_config, proofs_of, verify_proof, verify_proof_set

__all__ = [
    "SealedChange",
    "SealedContract",
    "acceptance_config",
    "accepted_by",
    "countersigned",
    "offer_config",
    "verify_countersigned",
    "verify_offered",
    "verify_sealed",
    "verify_sealed_change",
]

PURPOSE: Final = "assertionMethod"
"""A contract is asserted. A key that may only open sessions signs none (SC-02)."""


class SealedContract(Struct, frozen=True, kw_only=True):
    """A contract that was checked whole: both parties' proofs, the acceptance and the seal."""

    document: ContractDocument
    digest: Digest
    """Its name for its whole life."""
    offerer: Role
    acceptance: Digest
    seal: Digest
    json: JsonObject
    """The document with both proofs, as it was verified."""


class SealedChange(Struct, frozen=True, kw_only=True):
    """An amendment or release that was checked whole, by itself: what it amends is for the caller to compare."""

    document: AmendmentDocument | ReleaseDocument
    digest: Digest
    offer: Digest
    acceptance: Digest
    seal: Digest


def offer_config(suite: str, method: DidUrl, created: Instant, proof_id: str) -> JsonObject:
    """Options of the offerer's proof on a document, for `prepare`; `proof_id` is a fresh `urn:uuid:`.

    The id is what the acceptor's proof will name. The proof has no expiry: offers end, contracts stay provable.
    """
    return proof_config(suite, method, PURPOSE, created, id=proof_id)


def acceptance_config(document: Mapping[str, Any], suite: str, method: DidUrl, created: Instant) -> JsonObject:
    """Options of the acceptor's proof on a document that carries the offerer's, for `prepare`.

    Raises:
        ProofError: `proof_missing`; `proof_invalid`: not exactly one proof, or one without an id.
    """
    return proof_config(suite, method, PURPOSE, created, previous_proof=_proof_id(_one(document)))


def countersigned(document: Mapping[str, Any], acceptor_proof: Mapping[str, Any]) -> JsonObject:
    """The document with the second proof behind the first; nothing is verified yet.

    Raises:
        ProofError: As `check_options` of each proof; `proof_invalid`: the document has not exactly one proof, or the
            second does not name the first.

    Source: protocol-spec/07-contract.md, section 7.3
    """
    first = _one(document)
    check_options(acceptor_proof, path="/contractProof")
    named = _proof_id(first)
    if acceptor_proof.get("previousProof") not in (named, [named]):
        raise ProofError(
            "proof_invalid",
            f"expected a proof that builds on {named}; came {acceptor_proof.get('previousProof')!a:.128}",
            path="/contractProof/previousProof",
        )
    return {**document, "proof": [first, dict(acceptor_proof)]}


def accepted_by(document: Mapping[str, Any], acceptor_proof: Mapping[str, Any]) -> JsonObject | None:
    """As `countersigned`; None if the proof is none of this document. An acceptance that moves nothing is recorded
    whatever it carries, and makes no contract.
    """
    with suppress(ProofError):
        return countersigned(document, acceptor_proof)
    return None


def verify_offered(
    document: Mapping[str, Any],
    *,
    keys: KeyLookup,
    now: Instant | None = None,
    suites: Collection[str] | None = None,
    jcs: bytes | None = None,
    read: Document | None = None,
) -> Document:
    """The document on the table, once it is well-formed and its one proof is the offerer's.

    `jcs` is its canonical form without proofs, `read` the document as a struct with parts that agree, if the caller has
    them.

    Raises:
        FormatError: As `read_document`.
        ProofError: `proof_missing`, `proof_invalid` and the others of `verify_proof`.
        ContractError: `self_dealing`.
        VerificationError: What `keys` raises.

    Source: protocol-spec/07-contract.md, section 7.3
    """
    jcs = unproved(document) if jcs is None else jcs
    read = read_document(document, jcs=jcs) if read is None else read
    first = _one(document)
    _proof_id(first)
    _check_party(first, read, DocumentName.parse(read.id).role, "/proof")
    verify_proof(document, key=keys, purpose=PURPOSE, now=now, suites=suites, jcs=jcs)
    return read


def verify_countersigned(
    document: Mapping[str, Any],
    *,
    keys: KeyLookup,
    now: Instant | None = None,
    suites: Collection[str] | None = None,
    jcs: bytes | None = None,
    read: Document | None = None,
    strict: bool = False,
) -> Document:
    """The document that both signed, the offerer first; not a contract before it is sealed.

    `jcs` and `read` as for `verify_offered`; `strict` says that document and proofs come of messages.

    Raises:
        As `verify_offered`; `proof_invalid` also if one party is missing, signs twice, signs with the other's key, or a
        third proof is there.

    Source: protocol-spec/07-contract.md, section 7.3
    """
    jcs = unproved(document) if jcs is None else jcs
    read = read_document(document, jcs=jcs) if read is None else read
    offerer = DocumentName.parse(read.id).role
    acceptor = _other(offerer)
    signers = (read.hirer, read.provider) if offerer == "hirer" else (read.provider, read.hirer)
    proofs = proofs_of(document)
    for place, (role, proof) in enumerate(zip((offerer, acceptor), proofs, strict=False)):
        _check_party(proof, read, role, f"/proof/{place}")
    verify_proof_set(
        document,
        key=keys,
        purpose=PURPOSE,
        required=signers,
        chain=True,
        now=now,
        suites=suites,
        jcs=jcs,
        strict=strict,
    )
    return read


def verify_sealed(
    document: Mapping[str, Any],
    acceptance: Mapping[str, Any],
    seal: Mapping[str, Any],
    *,
    keys: KeyLookup,
    suites: Collection[str] | None = None,
) -> SealedContract:
    """The contract, once document, acceptance and seal are known to belong together and to be signed.

    All three are JSON objects as decoded by the strict parser, proofs included. Whether their proofs were fresh was
    judged when they were received; here only what they say is checked, so this gives the same answer years later.
    Acceptance and seal of who did not receive them as messages go through `messages.check_sealing` before.

    Raises:
        FormatError: As `read_document`.
        ProofError: A proof does not hold, or is of another purpose.
        ContractError: `wrong_negotiation`, `wrong_party`, `terms_mismatch`: they do not belong together, or are no
            contract but a change of one.
        VerificationError: What `keys` raises.

    Source: protocol-spec/07-contract.md, section 7.4
    """
    read, made = _verify_sealed(document, acceptance, seal, keys, suites)
    if read.type != "Contract" or isinstance(read, ReleaseDocument):
        raise ContractError("terms_mismatch", f"expected a Contract; came {read.type}", path="/type")
    # The last thing that the acceptor had seen was the offer, and the seal is the offerer's very next move.
    _expect(acceptance, "seen", made.offer)
    for member, expected in (
        ("seen", made.acceptance),
        ("previous", made.offer),
        ("sequence", DocumentName.parse(read.id).sequence + 1),
    ):
        _expect(seal, member, expected)
    return SealedContract(
        document=read,
        digest=made.digest,
        offerer=made.offerer,
        acceptance=made.acceptance,
        seal=made.seal,
        json=dict(document),
    )


def verify_sealed_change(
    document: Mapping[str, Any],
    acceptance: Mapping[str, Any],
    seal: Mapping[str, Any],
    *,
    keys: KeyLookup,
    suites: Collection[str] | None = None,
) -> SealedChange:
    """The amendment or release, as `verify_sealed`. While a contract is performed other moves may stand between.

    Raises:
        As `verify_sealed`; `terms_mismatch` for a contract.

    Source: protocol-spec/07-contract.md, section 7.10
    """
    read, made = _verify_sealed(document, acceptance, seal, keys, suites)
    if not isinstance(read, AmendmentDocument | ReleaseDocument):
        raise ContractError("terms_mismatch", "expected an Amendment or a Release; came a Contract", path="/type")
    return SealedChange(document=read, digest=made.digest, offer=made.offer, acceptance=made.acceptance, seal=made.seal)


class _Made(NamedTuple):
    digest: Digest
    offerer: Role
    offer: Digest
    acceptance: Digest
    seal: Digest


def _verify_sealed(
    document: Mapping[str, Any],
    acceptance: Mapping[str, Any],
    seal: Mapping[str, Any],
    keys: KeyLookup,
    suites: Collection[str] | None,
) -> tuple[Document, _Made]:
    # Step 1: the document, and both parties' proofs on it.
    read = verify_countersigned(document, keys=keys, suites=suites)
    _proof_id(proofs_of(document)[0])  # whoever was offered it has seen that; here nobody may have been
    digest = digest_of(document)
    name = DocumentName.parse(read.id)
    offerer, acceptor = name.role, _other(name.role)
    parties = {"hirer": read.hirer, "provider": read.provider}

    # Step 2: the acceptance is the acceptor's, of this document, and carries the very proof that is on it.
    _check_envelope(acceptance, "Acceptance", read.engagement, acceptor, parties)
    _expect(acceptance, "document", digest)
    if acceptance.get("contractProof") != proofs_of(document)[1]:
        raise ContractError("terms_mismatch", "the acceptance carries another proof than the document")
    verify_proof(acceptance, key=_of(keys, parties[acceptor]), purpose="authentication", suites=suites)
    accepted = digest_of(acceptance)

    # Step 3: the seal is the offerer's, and names document, offer and acceptance.
    offer = acceptance.get("offer")
    _check_envelope(seal, "Seal", read.engagement, offerer, parties)
    for member, expected in (("document", digest), ("offer", offer), ("acceptance", accepted)):
        _expect(seal, member, expected)
    verify_proof(seal, key=_of(keys, parties[offerer]), purpose=PURPOSE, suites=suites)
    return read, _Made(digest, offerer, str(offer), accepted, digest_of(seal))


def _other(role: Role) -> Role:
    return "provider" if role == "hirer" else "hirer"


def _one(document: Mapping[str, Any]) -> JsonObject:
    """The offerer's proof, which stands for itself: a list is of two, also where another has not signed yet."""
    proofs, proof = proofs_of(document), document["proof"]
    if not isinstance(proof, dict):
        raise ProofError("proof_invalid", f"expected the offerer's proof; came a list of {len(proofs)}", path="/proof")
    return check_options(proof)


def _proof_id(proof: Mapping[str, Any]) -> str:
    identifier = proof.get("id")
    if not isinstance(identifier, str) or not identifier.startswith("urn:uuid:"):
        raise ProofError("proof_invalid", "expected an id (urn:uuid:) on the offerer's proof", path="/proof/id")
    return identifier


def _check_party(proof: Any, document: Document, role: Role, path: str) -> None:
    """Each side signs by a method that the document itself names for it, whoever else owns a key, and for good: a
    contract that ended with a proof would be one for some readers of it and none for others.
    """
    members = cast("JsonObject", proof) if isinstance(proof, dict) else {}
    if "expires" in members:
        raise ProofError("unknown_term", "expected a proof that does not expire", path=f"{path}/expires")
    method = members.get("verificationMethod")
    named = document.methods.hirer if role == "hirer" else document.methods.provider
    if method not in named:
        check_options(proof, path=path)  # where there is no method, that is what is wrong
        raise ProofError(
            "proof_invalid",
            f"expected a proof by {' or '.join(named)}; came {method!a:.200}",
            path=f"{path}/verificationMethod",
        )


def _check_envelope(
    message: Mapping[str, Any], of: str, engagement: str, role: Role, parties: Mapping[str, Did]
) -> None:
    if message.get("type") != of:
        raise ContractError("terms_mismatch", f"expected {of}; came {message.get('type')!a:.80}")
    if message.get("engagement") != engagement:
        raise ContractError("wrong_negotiation", f"{of}: expected engagement {engagement}; came another")
    if (message.get("role"), message.get("sender"), message.get("recipient")) != (
        role,
        parties[role],
        parties[_other(role)],
    ):
        raise ContractError("wrong_party", f"{of}: expected it from the {role} {parties[role]} to the other party")


def _expect(message: Mapping[str, Any], member: str, expected: Any) -> None:
    if expected is None or message.get(member) != expected:
        raise ContractError(
            "terms_mismatch", f"{message['type']}: expected {member} {expected}; came {message.get(member)!a:.128}"
        )


def _of(keys: KeyLookup, did: Did) -> KeyLookup:
    """The same look-up, for methods of one DID only: a message is signed by its sender (SC-01)."""

    def lookup(method: DidUrl, purpose: str):
        if method.partition("#")[0] != did:
            raise ProofError("key_not_authorized", f"expected a method of {did}; came {method!a:.200}")
        return keys(method, purpose)

    return lookup
