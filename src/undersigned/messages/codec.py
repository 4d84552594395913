"""Messages from bytes: one strict parse, a closed schema, and an error that says where and what.

Most messages are canonical already: those are decoded straight into their struct, and writing it again gives the same
bytes, which proves that nothing was read that is not there. Whatever is not proved so is read in steps, which alone
decide what is refused. Errors of the schema library become codes of the specification, with a JSON pointer; its
exceptions end here.

Source: protocol-spec/04-envelope-and-digests.md, sections 4.1 and 4.2
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final, NoReturn, cast

from msgspec import MsgspecError, ValidationError, convert
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from undersigned.contract import AmendmentDocument, ContractDocument, ReleaseDocument, Terms
from undersigned.encoding import (
    MESSAGE_LIMITS,
    canonicalize,
    decode_json,
    digest_from_hash,
    in_words,
    is_plain,
    no_float,
    seen_plain_text,
    write_canonical,
)
from undersigned.errors import FormatError, ProofError, UndersignedError
from undersigned.jsonld import HIRE_CONTEXT, code_of_unknown
from undersigned.messages.attestation import Delivery, Review
from undersigned.messages.base import VERSIONS, Message
from undersigned.messages.conflict import Ruling
from undersigned.messages.discovery import Inquiry, Profile, Tender
from undersigned.messages.negotiation import Acceptance, Offer, Withdraw
from undersigned.messages.presentation import Presentation
from undersigned.messages.problem import Problem
from undersigned.messages.registry import MESSAGE_TYPES
from undersigned.messages.signed import SignedMessage, VerifiedMessage
from undersigned.scope import WireScope

__all__ = [
    "MAX_MESSAGE_BYTES",
    "check_sealing",
    "decode_message",
    "read_canonical",
    "read_message",
    "recorded_message",
]

MAX_MESSAGE_BYTES: Final = 256 * 1024
MAX_NOTICE_BYTES: Final = 8 * 1024
MAX_PROBLEM_BYTES: Final = 2 * 1024
MAX_MEMBER_BYTES: Final[tuple[tuple[str, int], ...]] = (
    ("document", 64 * 1024),
    ("credential", 64 * 1024),
    ("presentation", 128 * 1024),
    ("statements", 128 * 1024),
    ("statement", 128 * 1024),
    ("ruling", 64 * 1024),
    ("parents", 160 * 1024),
)
"""The most that an embedded document may take, in canonical form."""
_LIMITS: Final[dict[type[Message], int]] = {
    of: MAX_PROBLEM_BYTES if of is Problem else MAX_NOTICE_BYTES if of.notice else MAX_MESSAGE_BYTES
    for of in MESSAGE_TYPES.values()
}
MAX_PLAIN_BYTES: Final = min(limit for _, limit in MAX_MEMBER_BYTES)

_write_proof: Final = Encoder(order="sorted").encode
_DECODERS: Final[dict[bytes, Callable[[bytes], Message]]] = {
    name.encode(): Decoder(of, float_hook=no_float).decode for name, of in MESSAGE_TYPES.items()
}
"""By type. A decoder of them all would read up to the type first, which stands near the end, and then begin."""
LEFT_OPEN: Final[dict[type, tuple[str, ...]]] = {
    Inquiry: ("scope_sketch", "tender"),
    Tender: ("rule",),
    Profile: ("capabilities", "terms_template"),
    Presentation: ("presentation",),
    Offer: ("document", "parents"),
    ContractDocument: ("proof", "terms"),
    AmendmentDocument: ("proof", "terms"),
    ReleaseDocument: ("proof",),
    Terms: ("scope",),
    WireScope: ("extensions",),
    Acceptance: ("contract_proof",),
    Withdraw: ("award",),
    Delivery: ("statements",),
    Review: ("statement", "credential"),
    Ruling: ("ruling",),
}
"""Members in which something may stand that no type bounds, by the struct that has them (a test finds them from the
types). In all others depth, members, items and numbers are bounded, and there is no null; text is seen in the bytes.
"""
_TYPE: Final = b'"type":"'

_NAMED: Final = re.compile(r"(?s)Object (contains unknown|missing required) field `(.*)`\Z")
_MAX_PLACE: Final = 256
_STEP: Final = re.compile(r"\.([A-Za-z@]+)|\[([0-9]+)\]")
_SUITE: Final = re.compile("[a-z0-9][a-z0-9-]{0,63}")
_PURPOSES: Final = ("assertionMethod", "authentication")
_PROOF_PATHS: Final = ("/proof", "/document/proof", "/presentation/proof", "/contractProof")
"""Where a proof stands. None of them may be absent, empty or null, and none but documents' may be several."""


def decode_message(raw: bytes) -> SignedMessage:
    """The message in these bytes, of the one right shape, its proof present and not yet checked.

    Raises:
        FormatError: `bad_json`, `bad_unicode`, `too_deep`, `number_out_of_range`, `too_large`,
            `version_not_supported`, `context_not_allowed`, `unknown_term`, `schema_violation`; `path` says where.
        ProofError: `proof_missing`, `suite_not_allowed`, `proof_purpose_mismatch`.

    Source: protocol-spec/04-envelope-and-digests.md, sections 4.1 and 4.2
    """
    message = read_canonical(raw)
    if message is not None and message.proof is not None:
        # Canonical form has each member once, and the recipient stands behind the proof.
        before, proof, after = raw.partition(b'"proof":' + _write_proof(message.proof) + b",")
        # An embedded document may have the same proof: then the text does not tell which is the message's own.
        canonical = before + after if after.find(proof) < 0 else write_canonical(replace(message, proof=None))
    else:
        # Step 1: size and strict JSON, before anything is looked at.
        content = _parse(raw)
        # Step 2: a proof is there. Whether it holds is asked later; an empty list of proofs would hold always.
        if not content.get("proof"):
            raise ProofError("proof_missing", "expected one Data Integrity proof; came none", path="/proof")
        # Steps 3 to 5: version, type and context; sizes; the closed schema.
        message = read_message(content, len(raw))
        del content["proof"]
        canonical = write_canonical(content)
    # Step 6: the digest, over the canonical form without the proof.
    hashed = sha256(canonical).digest()
    return SignedMessage(
        message=message, digest=digest_from_hash(hashed), raw=raw, canonical=canonical, canonical_sha256=hashed
    )


def recorded_message(raw: bytes) -> VerifiedMessage:
    """A message read back from our own store, where it was verified before it was written. Never bytes of a peer.

    Raises:
        FormatError, ProofError: As `decode_message`: the store is damaged, or was written by another version.
    """
    received = decode_message(raw)
    return VerifiedMessage(message=received.message, digest=received.digest, raw=raw)


def read_canonical(raw: bytes, room: int = 0, said: Message | None = None) -> Message | None:
    """The message in these bytes, with or without a proof, if they are seen to be its canonical form and within every
    limit with `room` bytes more; None says only that they are not seen to be.

    `said` is the message that was written to make them, if that is known: then it is compared, and not written again.
    """
    size = len(raw) + room
    # What is larger than this may hold a member that is too large.
    if size > MAX_PLAIN_BYTES or not seen_plain_text(raw):
        return None
    try:
        # The last that has this name is mostly the message's own; one that is not is of another type, which is refused.
        message = _DECODERS[raw[raw.rfind(_TYPE) + len(_TYPE) :].partition(b'"')[0]](raw)
        if write_canonical(message) != raw if said is None else message != said:
            return None
        if message.__class__ in LEFT_OPEN and not is_plain(message, MESSAGE_LIMITS, left_open=LEFT_OPEN):
            return None
    except (MsgspecError, UndersignedError, UnicodeError, RecursionError, KeyError, ValueError):
        return None  # The steps find out what is wrong, and where.
    return message if size <= _LIMITS[message.__class__] else None


def read_message(content: dict[str, Any], size: int) -> Message:
    """The struct that this strict JSON object of `size` bytes describes; its proof may be absent.

    Raises:
        FormatError, ProofError: As `decode_message`, steps 3 to 5.
    """
    # Step 3: version, type and context by exact value. The version first: another one has another context.
    version = content.get("version")
    if isinstance(version, str) and version not in VERSIONS:
        text = f"expected version {' or '.join(VERSIONS)}; came {_shown(version)}"
        raise FormatError("version_not_supported", text, path="/version")
    kind = content.get("type")
    of = MESSAGE_TYPES.get(kind) if isinstance(kind, str) else None
    if of is None:
        raise FormatError("schema_violation", f"expected a type of message; came {_shown(kind)}", path="/type")
    if content.get("@context") != HIRE_CONTEXT:
        text = f"expected exactly {HIRE_CONTEXT!r}; came {_shown(content.get('@context'))}"
        raise FormatError("context_not_allowed", text, path="/@context")
    if version is None:
        raise FormatError("schema_violation", "expected a version; came none", path="/version")
    # Step 4: the sizes of this type. Canonical form is never longer than what came.
    limit = _LIMITS[of]
    if size > limit:
        raise _too_large("", limit, size)
    if not of.notice:
        for member, limit in MAX_MEMBER_BYTES:
            if size > limit and member in content and (came := len(canonicalize(content[member]))) > limit:
                raise _too_large(f"/{member}", limit, came)
    # Step 5: the closed schema.
    try:
        return convert(content, of)
    except ValidationError as exc:
        _refuse(str(exc), content)


def check_sealing(acceptance: Mapping[str, Any], seal: Mapping[str, Any]) -> None:
    """Returns if both moves of a sealed contract are of the schemas of their types.

    Those that a contract above is shown with come as JSON inside an offer, and `verify_sealed` looks at what makes a
    contract of them and at no other member.

    Raises:
        FormatError, ProofError: As `decode_message`, steps 3 to 5.

    Source: protocol-spec/07-contract.md, section 7.4
    """
    for move in (acceptance, seal):
        read_message(dict(move), len(canonicalize(move)))


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        value = decode_json(raw)
    except FormatError as exc:
        if exc.path in _PROOF_PATHS and exc.code == "bad_json":
            raise ProofError("proof_missing", "expected a Data Integrity proof; came null", path=exc.path) from exc
        raise
    if not isinstance(value, dict):
        raise FormatError("bad_json", f"expected a JSON object; came {_shown(value)}")
    return cast("dict[str, Any]", value)


def _refuse(text: str, content: dict[str, Any]) -> NoReturn:
    """Raise the specification's error for what the schema library said."""
    # The place comes last: what stands before it may quote the peer.
    said, found, at = text.rpartition(" - at `$")
    path = "".join(f"/{name or index}" for name, index in _STEP.findall(at[:_MAX_PLACE])) if found else ""
    said = said if found else text
    code = "schema_violation"
    if named := _NAMED.match(said):
        unknown, name = named[1] == "contains unknown", named[2]
        path = f"{path}/{_cut(name).replace('~', '~0').replace('/', '~1')}"
        if unknown:
            code, said = code_of_unknown(name), "expected a member of the schema; came another"
        else:
            said = "expected this member; came none"
    else:
        said = f"{_plainly(said)}; came {_shown(_value_at(content, path))}"
    if path.endswith("/@context"):
        code = "context_not_allowed"
    if path.startswith("/proof/") and not content["proof"]:
        path = "/proof"  # of a proof with nothing in it no member is missing
    if path in _PROOF_PATHS:
        value = _value_at(content, path)
        if not value:
            raise ProofError("proof_missing", said, path=path)
        if isinstance(value, list):
            raise ProofError("proof_invalid", said, path=path)
    if path.startswith("/proof/"):
        # Whatever else is wrong with it: of which kind a proof is, and for what, says more than another shape of it.
        proof = cast("dict[str, Any]", content["proof"])
        kind, suite, purpose = (proof.get(name) for name in ("type", "cryptosuite", "proofPurpose"))
        if kind != "DataIntegrityProof":
            raise ProofError(
                "suite_not_allowed", f"expected DataIntegrityProof; came {_shown(kind)}", path="/proof/type"
            )
        if not isinstance(suite, str) or not _SUITE.fullmatch(suite):
            text = f"expected a cryptosuite; came {_shown(suite)}"
            raise ProofError("suite_not_allowed", text, path="/proof/cryptosuite")
        if purpose not in _PURPOSES:
            text = f"expected {' or '.join(_PURPOSES)}; came {_shown(purpose)}"
            raise ProofError("proof_purpose_mismatch", text, path="/proof/proofPurpose")
    raise FormatError(code, said, path=path)


def _plainly(said: str) -> str:
    """What was expected, of a sentence of the schema library's such as "Expected `int`, got `str`"."""
    said = said.replace("`", "").partition(", got ")[0].replace(" | null", "")
    if said.startswith("Invalid value"):
        return "expected another type of document"
    if said.startswith("Invalid enum value"):
        return "expected a word of the list"
    return in_words(said).replace("Expected", "expected", 1)


def _value_at(value: Any, path: str) -> Any:
    """What stands at a pointer that the schema library gave; for the text of an error only."""
    for step in path.split("/")[1:]:
        if isinstance(value, dict):
            value = cast("dict[str, Any]", value).get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[int(step)]
        else:
            return None
    return value


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"an array of {len(cast('list[Any]', value))}"
    return "nothing" if value is None else ascii(_cut(value) if isinstance(value, str) else value)


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"


def _too_large(path: str, limit: int, came: int) -> FormatError:
    return FormatError("too_large", f"expected at most {limit} bytes; came {came}", path=path)
