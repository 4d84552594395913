"""Data Integrity proofs: making one (the shell signs in between), and verifying exactly one.

    config = proof_config(suite, method, purpose, created)
    to_sign = prepare(document, config, kind)              # bytes
    signed = attach(document, config, signature)           # the document with its proof
    verify_proof(signed, key=..., purpose=...)             # the document, or ProofError

Source: protocol-spec/04-envelope-and-digests.md, section 4.5
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from undersigned.encoding import (
    DidUrl,
    Digest,
    Instant,
    JsonObject,
    multibase_decode,
    multibase_encode,
    write_canonical,
)
from undersigned.errors import FormatError, ProofError
from undersigned.jsonld import CONTEXTS, Contexts
from undersigned.keys import KeyKind, PublicKey
from undersigned.proof.cryptosuite import SIGNATURE_BYTES, Cryptosuite, Document
from undersigned.proof.options import check_options, check_times, previous_proofs
from undersigned.proof.suites import CRYPTOSUITES

__all__ = [
    "KeyLookup",
    "Registry",
    "attach",
    "lone_proof",
    "make_proof",
    "prepare",
    "proofs_of",
    "secured",
    "signs_json",
    "suite_for",
    "verify_options",
    "verify_proof",
    "verify_signature",
]

KeyLookup: TypeAlias = Callable[[DidUrl, str], PublicKey]
"""The key of a verification method, if its DID document lists it for the purpose; raises VerificationError if not."""

Registry: TypeAlias = Mapping[str, Cryptosuite]

MAX_SIGNATURE_CHARACTERS: Final = 200
MAX_HELD: Final = 1024
"""Signatures that are remembered to have held."""
_held: Final[set[tuple[Digest, KeyKind, bytes, bool]]] = set()
"""By what they are on, proof included, their key, and whether both values of an ECDSA signature were taken."""


def prepare(
    document: Document,
    config: Document,
    kind: KeyKind,
    *,
    jcs: bytes | None = None,
    strict: bool = False,
    contexts: Contexts = CONTEXTS,
    registry: Registry = CRYPTOSUITES,
) -> bytes:
    """The bytes to be signed for a proof with these options on `document`.

    Proofs the document has already are left out, but those that `previousProof` names: they are signed too.
    `jcs` is the canonical JSON of the document without proofs, if the caller has it. `strict` says that the document is
    as a reader of messages gives it, so that its form with those proofs is written without a second look.

    Raises:
        ProofError: `suite_not_allowed`: no such suite, or not for this kind of key; `proof_invalid`: `previousProof`
            names a proof that the document does not have.
        FormatError: The document has no canonical form in this suite.
    """
    suite = suite_for(str(config.get("cryptosuite")), kind, registry=registry)
    previous = previous_proofs(config) if "previousProof" in config else ()
    content = secured(document, previous)
    # The proofs of the JCS suites repeat the document's contexts.
    carried = suite.carries_context and "@context" in document
    options = {**config, "@context": document["@context"]} if carried else config
    if previous:
        jcs = write_canonical(content) if strict else None
    return suite.hash(content, options, kind, jcs=jcs, contexts=contexts)


def suite_for(name: str, kind: KeyKind, *, registry: Registry = CRYPTOSUITES) -> Cryptosuite:
    """The suite of this name, which a key of this kind signs by.

    Raises:
        ProofError: `suite_not_allowed`: no such suite, or not for this kind of key.
    """
    suite = registry.get(name)
    if suite is None or kind not in suite.kinds:
        raise ProofError("suite_not_allowed", f"expected a suite for {kind}; came {name}")
    return suite


def make_proof(
    document: Document, config: Document, signature: bytes, *, registry: Registry = CRYPTOSUITES
) -> JsonObject:
    """The proof alone, made of its options and the signature over what `prepare` gave."""
    suite = registry.get(str(config.get("cryptosuite")))
    if suite is None:
        raise ProofError("suite_not_allowed", f"expected a known suite; came {config.get('cryptosuite')}")
    made = dict(config)
    if suite.carries_context and "@context" in document:
        made["@context"] = document["@context"]
    made["proofValue"] = multibase_encode("z", signature)
    return made


def signs_json(suite: str, *, registry: Registry = CRYPTOSUITES) -> bool:
    """Whether the canonical JSON of a document is all that this suite needs of it; False for an unknown one."""
    known = registry.get(suite)
    return known is not None and known.signs_json


def attach(document: Document, config: Document, signature: bytes, *, registry: Registry = CRYPTOSUITES) -> JsonObject:
    """A copy of the document with the proof on it: alone, or behind those it has, which make a list then."""
    made = make_proof(document, config, signature, registry=registry)
    there = document.get("proof")
    if there is None:
        return {**document, "proof": made}
    return {**document, "proof": [*proofs_of(document), made]}


def verify_proof(
    document: Document,
    *,
    key: KeyLookup,
    purpose: str,
    now: Instant | None = None,
    challenge: str | None = None,
    domain: str | None = None,
    suites: Collection[str] | None = None,
    jcs: bytes | None = None,
    contexts: Contexts = CONTEXTS,
    registry: Registry = CRYPTOSUITES,
    foreign: bool = False,
    digest: Digest | None = None,
) -> JsonObject:
    """The document as given, once its one proof is known to hold.

    `suites` are those allowed here (all of `registry` if None). `challenge` and `domain` must be the proof's
    exactly, and a proof that has one where none is expected is refused: it answers somebody else. `jcs` is the
    canonical JSON of the document without its proof, if the caller has it. `foreign` is for documents of
    others, whose standards allow both values of an ECDSA signature, and a proof of a JCS suite that does not repeat
    the context. `digest` is that of a document that is shown again and again, proof included: its signature is verified
    once, all else each time.

    Raises:
        ProofError: `proof_missing`, `suite_not_allowed`, `proof_purpose_mismatch`, `challenge_mismatch`,
            `proof_from_future`, `proof_expired`, `proof_invalid`, `unknown_term`, `schema_violation`.
        VerificationError: What `key` raises.
        FormatError: The document has no canonical form in the suite.

    Source: protocol-spec/04-envelope-and-digests.md, section 4.5
    """
    # Step 1: exactly one proof. None at all must not pass as "all of them hold".
    proofs = proofs_of(document)
    if len(proofs) != 1:
        raise ProofError("proof_invalid", f"expected one proof; came {len(proofs)}", path="/proof")
    proof = check_options(proofs[0])
    if "previousProof" in proof:
        raise ProofError("proof_invalid", "expected a proof that stands alone; came one of a chain", path="/proof")
    # Steps 2 to 5: what the options say.
    suite = verify_options(
        proof,
        purpose=purpose,
        now=now,
        challenge=challenge,
        domain=domain,
        suites=suites,
        registry=registry,
    )
    # Steps 6 to 8: the key, listed for the purpose, and the signature.
    public = key(str(proof["verificationMethod"]), purpose)
    held = None
    if digest is not None and contexts is CONTEXTS and registry is CRYPTOSUITES:
        held = (digest, public.kind, public.raw, foreign)
        if held in _held:
            return document if isinstance(document, dict) else dict(document)
    verify_signature(
        secured(document),
        proof,
        suite,
        public,
        context=document.get("@context"),
        jcs=jcs,
        contexts=contexts,
        foreign=foreign,
    )
    if held is not None:
        if len(_held) >= MAX_HELD:
            _held.clear()
        _held.add(held)
    return document if isinstance(document, dict) else dict(document)


def proofs_of(document: Document) -> list[Any]:
    """The proofs on a document, at least one; a single one counts as a list of one.

    Raises:
        ProofError: `proof_missing`: no member `proof`, null, or empty.
    """
    proof = document.get("proof")
    if not proof:
        raise ProofError("proof_missing", "expected a proof; came none", path="/proof")
    return cast("list[Any]", proof) if isinstance(proof, list) else [proof]


def lone_proof(document: Document) -> JsonObject:
    """The one proof on a document, which may be the only one in a list; empty if it has none, several, or no object.
    Nothing in it is checked.
    """
    proof: Any = document.get("proof")
    if isinstance(proof, list) and len(cast("list[Any]", proof)) == 1:
        (proof,) = cast("list[Any]", proof)
    return cast("JsonObject", proof) if isinstance(proof, dict) else {}


def secured(document: Document, previous: Sequence[str] = ()) -> Document:
    """What a proof covers: the document without its proofs, but with those that the proof builds on.

    Raises:
        ProofError: `proof_invalid`: one of `previous` is not the id of exactly one of the document's proofs.

    Source: W3C Verifiable Credential Data Integrity 1.0, section 4.2 (Add Proof Set/Chain)
    """
    if not previous and "proof" not in document and isinstance(document, dict):
        return document
    content = dict(document)
    content.pop("proof", None)
    if not previous:
        return content
    there = [cast("Document", proof) for proof in proofs_of(document) if isinstance(proof, dict)]
    matching: list[Any] = []
    for named in previous:
        found = [proof for proof in there if proof.get("id") == named]
        if len(found) != 1:
            text = f"expected one proof with id {named[:128]}; came {len(found)}"
            raise ProofError("proof_invalid", text, path="/proof")
        matching += found
    return {**content, "proof": matching}


def verify_options(
    proof: JsonObject,
    *,
    purpose: str,
    now: Instant | None = None,
    challenge: str | None = None,
    domain: str | None = None,
    suites: Collection[str] | None = None,
    registry: Registry = CRYPTOSUITES,
    path: str = "/proof",
    times: bool = True,
) -> Cryptosuite:
    """The suite of a proof, once everything its options say is what is expected here.

    `times` is False where the caller compares `created` and `expires` itself, before it looks at the signature.

    Raises:
        ProofError: `suite_not_allowed`, `proof_purpose_mismatch`, `challenge_mismatch`, `proof_from_future`,
            `proof_expired`, `proof_invalid`.
    """
    # Step 2: the suite is one that is allowed here. It is never chosen by the proof alone.
    name = str(proof["cryptosuite"])
    suite = registry.get(name)
    if suite is None or (suites is not None and name not in suites):
        text = f"expected {' or '.join(sorted(registry if suites is None else suites))}; came {name[:64]!r}"
        raise ProofError("suite_not_allowed", text, path=f"{path}/cryptosuite")
    # Step 3: made for this purpose.
    if proof["proofPurpose"] != purpose:
        text = f"expected {purpose}; came {proof['proofPurpose']!a:.64}"
        raise ProofError("proof_purpose_mismatch", text, path=f"{path}/proofPurpose")
    # Step 4: an answer to this challenge, for us; and no answer where none was asked.
    for member, expected in (("challenge", challenge), ("domain", domain)):
        if proof.get(member) != expected:
            text = f"expected {member} {expected!r}; came {proof.get(member)!a:.128}"
            raise ProofError("challenge_mismatch", text, path=f"{path}/{member}")
    # Step 5: neither ahead of time nor past its expiry.
    if times:
        check_times(proof, now, path=path)
    return suite


def verify_signature(
    content: Document,
    proof: JsonObject,
    suite: Cryptosuite,
    public: PublicKey,
    *,
    context: Any,
    jcs: bytes | None = None,
    jcs_sha256: bytes | None = None,
    contexts: Contexts = CONTEXTS,
    foreign: bool = False,
    path: str = "/proof",
) -> None:
    """Returns if `public`, which is listed for the purpose, signed `content`, whose own `@context` is `context`, under
    these options. `jcs` and `jcs_sha256` are as `Cryptosuite.hash` takes them.

    Raises:
        ProofError: `suite_not_allowed`: the key is of another kind; `proof_invalid`: the signature does not hold.
        FormatError: The document has no canonical form in the suite.
    """
    # Step 6: a key of the suite's kind.
    if public.kind not in suite.kinds:
        text = f"expected a key for {suite.name}; came {public.kind}"
        raise ProofError("suite_not_allowed", text, path=f"{path}/verificationMethod")
    # The JCS suites repeat the document's own context, and no other suite does: another would be read differently.
    # A null is not none: it would be outside the signature of a suite that has its contexts from the document.
    repeated = context if suite.carries_context else None
    if "@context" in proof:
        fits = repeated is not None and proof["@context"] == repeated
    else:
        # Others may leave it out, as the suites' own algorithm has it: the document has it, and all of that is signed.
        fits = repeated is None or foreign
    if not fits:
        text = "expected the document's @context in a proof of a jcs suite, and none in another"
        raise ProofError("proof_invalid", text, path=f"{path}/@context")
    # Step 7: one spelling of one signature: base58btc, and of full length.
    text = str(proof["proofValue"])
    if len(text) > MAX_SIGNATURE_CHARACTERS:
        # Decoding base58 takes more than linear time.
        raise ProofError(
            "proof_invalid", f"expected a signature; came {len(text)} characters", path=f"{path}/proofValue"
        )
    try:
        signature = multibase_decode(text, allowed="z")
    except FormatError as exc:
        raise ProofError("proof_invalid", f"expected base58btc: {exc.message}", path=f"{path}/proofValue") from exc
    if len(signature) != SIGNATURE_BYTES[public.kind]:
        text = f"expected {SIGNATURE_BYTES[public.kind]} bytes; came {len(signature)}"
        raise ProofError("proof_invalid", text, path=f"{path}/proofValue")
    # Step 8: the signature.
    options = dict(proof)
    del options["proofValue"]
    hashed = suite.hash(content, options, public.kind, jcs=jcs, jcs_sha256=jcs_sha256, contexts=contexts)
    try:
        public.verify(signature, hashed, low_s=not foreign)
    except ProofError as exc:
        # Its operator may have replaced a key under the same id: say whose document to look at.
        text = f"{exc.message}; the key is that of {str(proof['verificationMethod'])!a:.200}"
        raise ProofError(exc.code, text, path=exc.path) from exc
