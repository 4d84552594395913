"""The envelope that every message shares, and the small types its bodies are made of.

A message is one closed struct: unknown members are refused, an absent member is refused unless it is optional, and
`null` never appears (`None` in memory means absent on the wire). Shape is checked here and in the bodies; whether a
message is legal now is decided by `undersigned.protocol`.

Source: protocol-spec/04-envelope-and-digests.md, section 4.2
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from msgspec import Meta, Struct, ValidationError, convert, field, to_builtins

from undersigned.contract import Role
from undersigned.encoding import (
    END,
    Did,
    DidUrl,
    Digest,
    Duration,
    EngagementId,
    Instant,
    MessageId,
    Owed,
    canonicalize,
    check_sayable,
)
from undersigned.errors import FormatError
from undersigned.jsonld import HIRE_CONTEXT
from undersigned.proof import Purpose

__all__ = [
    "VERSIONS",
    "Code",
    "Consistency",
    "Count",
    "Currency",
    "MediaType",
    "Message",
    "Move",
    "Multibase",
    "Name",
    "Need",
    "Nonce",
    "Note",
    "Notice",
    "Number",
    "Owed",
    "Part",
    "Percent",
    "Pointer",
    "Proof",
    "Purpose",
    "Role",
    "SuiteName",
    "Text",
    "Uri",
    "Version",
    "check_member",
    "violated",
]

VERSIONS: Final[tuple[str, ...]] = ("1.0",)
"""Versions of the protocol that this library speaks, lowest first."""

MAX_ITEMS: Final = 64
"""Items in a list, unless its member says otherwise."""
MAX_POINTER: Final = 256
"""Characters of a JSON pointer."""
MAX_NUMBER: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""

# Every pattern below is anchored and reads its text once, left to right, so its time grows with the length only.
Name = Annotated[str, Meta(min_length=1, max_length=256, description="A short name or identifier.")]
Text = Annotated[str, Meta(min_length=1, max_length=4096, description="Text for a person, or of an application.")]
Note = Annotated[str, Meta(min_length=1, max_length=1024, description="A remark; never an instruction.")]
Code = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}" + END, max_length=64, description="A code of a published list.")
]
Version = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})" + END, max_length=9)]
SuiteName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}" + END, max_length=64, description="A cryptosuite.")]
Uri = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z][A-Za-z0-9+.-]{0,31}:[!#-;=?-\[\]_a-z~]{1,2000}" + END,
        max_length=2048,
        description="An absolute URI in ASCII.",
    ),
]
MediaType = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"
        r"(; ?[a-z0-9-]{1,32}=[A-Za-z0-9_.+-]{1,64}){0,4}" + END,
        max_length=512,
        description="A media type, lower case.",
    ),
]
Nonce = Annotated[
    str,
    Meta(
        pattern=r"^u[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]" + END,
        max_length=44,
        description="32 random bytes, multibase base64url without padding.",
    ),
]
Multibase = Annotated[
    str,
    Meta(
        pattern=r"^u[A-Za-z0-9_-]{2,}" + END,
        max_length=8192,
        description="Bytes that are not text of ours, multibase base64url without padding.",
    ),
]
Pointer = Annotated[
    str,
    Meta(
        pattern=r"^(/([^~/]|~[01])*)*" + END,
        max_length=MAX_POINTER,
        description="A JSON pointer into the refused message.",
    ),
]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}" + END, max_length=3, description="An ISO 4217 code.")]
Number = Annotated[int, Meta(ge=1, le=MAX_NUMBER, description="A place in a row that starts at 1.")]
Count = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
Percent = Annotated[int, Meta(ge=0, le=100)]

Digests = Annotated[tuple[Digest, ...], Meta(max_length=MAX_ITEMS)]
"""Digests in the order their sender gave."""
Foreign: TypeAlias = dict[str, Any]
"""A document with a shape and proofs of its own, kept as the JSON object that came."""
Foreigns = Annotated[tuple[Foreign, ...], Meta(max_length=MAX_ITEMS)]


def violated(path: str, expected: str, came: object) -> FormatError:
    """The error for a member of the right type whose value does not fit the others. `path` is a JSON pointer."""
    shown = "nothing" if came is None else "something" if isinstance(came, Struct) else ascii(came)
    return FormatError("schema_violation", f"expected {expected}; came {shown}", path=path)


def check_member(name: str, value: str | int, kind: Any) -> None:
    """Returns if a message can hold `value` in its member `name`, which is of `kind`, such as `Note`.

    Raises:
        FormatError: `schema_violation`: it is none; `bad_unicode`.
    """
    try:
        convert(value, kind)
    except (ValidationError, UnicodeEncodeError) as exc:
        raise FormatError("schema_violation", f"{name}: {exc}; came {value!r:.80}", path=f"/{name}") from exc
    check_sayable(canonicalize({name: value}))


class Part(Struct, frozen=True, kw_only=True, gc=False, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A closed object inside a body: camelCase names, no unknown members."""


class Proof(Part, frozen=True, kw_only=True):
    """The one Data Integrity proof of a message. Challenge, domain, chains and sets belong to documents.

    Source: protocol-spec/04-envelope-and-digests.md, section 4.5
    """

    type: Literal["DataIntegrityProof"]
    """No older type of proof is taken."""
    context: Literal["https://w3id.org/hire/v1"] | None = field(name="@context", default=None)
    """The message's, repeated by the `jcs` suites and by no other."""
    cryptosuite: SuiteName
    """One of those agreed on, and for this kind of key."""
    created: Instant
    """When it was signed, by the signer's clock, UTC."""
    expires: Instant
    """Last instant at which it is taken; at most 24 h after `created`."""
    verification_method: DidUrl
    """A key of the sender's, listed in its DID document for the purpose."""
    proof_purpose: Purpose
    """That of the message's type."""
    proof_value: Annotated[str, Meta(pattern=r"^z[1-9A-HJ-NP-Za-km-z]{1,200}" + END, max_length=201)]
    """Signature bytes, multibase base58btc."""


class Consistency(Part, frozen=True, kw_only=True):
    """That a log continues what it was before: an RFC 6962 consistency proof, every hash as a digest."""

    size: Number
    """Leaves of the tree that is continued, which its owner stated to the recipient before."""
    path: Annotated[tuple[Digest, ...], Meta(max_length=64)]


class Need(Part, frozen=True, kw_only=True):
    """One thing that would change the answer, or that is asked for. `code` says which of the others matter."""

    code: Code
    """`credential`, `opens`, or another word of the side that needs it."""
    credential: Name | None = None
    """Type of the credential wanted."""
    issuers: Annotated[tuple[Did, ...], Meta(max_length=MAX_ITEMS)] | None = None
    """Issuers it is believed from; absent means any that policy trusts."""
    capability: Name | None = None
    """What the credential must attest."""
    max_age: Duration | None = None
    """How old it may be."""
    member: Name | None = None
    """Name or JSON pointer of the member that would have to differ."""
    after: Instant | None = None
    """The answer may be another from then on, at the latest."""


class Message(
    Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    forbid_unknown_fields=True,
    omit_defaults=True,
    gc=False,  # JSON holds no cycles
    tag_field="type",
    tag=True,
):
    """What every message says about itself, all of it under the proof but the proof.

    Raises:
        FormatError: `schema_violation`: members that do not fit each other, such as a `previous` on a first move.

    Source: protocol-spec/04-envelope-and-digests.md, section 4.2
    """

    type: ClassVar[str] = ""
    """As written on the wire: the name of the class."""
    notice: ClassVar[bool] = False
    """Whether it takes no place in its sender's chain."""
    purpose: ClassVar[Purpose] = "authentication"
    """The proof purpose and DID relationship; they follow from the type and never from the message."""

    # Written always and never left to a default when read: the codec refuses a message without them.
    context: Literal["https://w3id.org/hire/v1"] = field(name="@context", default_factory=lambda: HIRE_CONTEXT)
    """Exactly this text."""
    version: Literal["1.0"] = field(default_factory=lambda: "1.0")
    """The version chosen in `Profile`; in `Inquiry` the lowest offered."""
    id: MessageId
    """Chosen and stored before the first send; the same on every repeat."""
    engagement: EngagementId
    """Made of both parties and the hirer's nonce."""
    sender: Did
    """Who signed it."""
    recipient: Did
    """The only one it is good for."""
    role: Role
    """The sender's."""
    sequence: Count
    """A move's place in its sender's chain, from 1; a notice's count of own moves so far, from 0."""
    previous: Digest | None = None
    """Digest of the sender's move before; of its last move in a notice. Absent iff there is none."""
    seen: Digest | None = None
    """Digest of the last move recorded from the peer; absent iff there is none."""
    proof: Proof | None = None
    """Not covered by the digest: the same content signed again is the same message."""

    def __post_init__(self) -> None:
        """Refuse an envelope whose members contradict each other (rule C1)."""
        if self.notice:
            if (self.previous is None) != (self.sequence == 0):
                raise violated("/previous", "the last move's digest exactly if sequence is above 0", self.previous)
        elif self.sequence < 1:
            raise violated("/sequence", "1 or more in a move", self.sequence)
        elif (self.previous is None) != (self.sequence == 1):
            raise violated("/previous", "the digest of the move before exactly if sequence is above 1", self.previous)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.type = cls.__name__

    def as_json(self) -> dict[str, Any]:
        """The message as the JSON object that the wire carries, its proof included if it has one."""
        return to_builtins(self)


class Move(Message, frozen=True, kw_only=True):
    """A message that takes a place in its sender's chain and may change state."""


class Notice(Message, frozen=True, kw_only=True):
    """A message that takes no place and changes nothing; it states its sender's whole position."""

    notice: ClassVar[bool] = True
