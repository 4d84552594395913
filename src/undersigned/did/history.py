"""The verified versions of a DID document: which one is in force now, and which one was at an instant.

A DID of a method that keeps its history can move to another domain: it gets another name there, and its history goes
on. The former name still stands for it as long as the document says so (`alsoKnownAs`). Asked for under that name, a
later document is given with its own name replaced by the former one, in its id and in its methods; so what names a key
by the former DID finds the key that is in force today.

Source: protocol-spec/02-identity-and-keys.md, sections 2.9 and 2.10
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from undersigned.did.document import RELATIONSHIPS, DidDocument
from undersigned.encoding import FOREIGN_LIMITS, Did, Instant, JsonObject, canonicalize, decode_json
from undersigned.errors import ResolutionError, VerificationError

__all__ = ["DidHistory", "DidVersion"]

_REFERRING: Final = ("verificationMethod", *RELATIONSHIPS)


class DidVersion(msgspec.Struct, frozen=True):
    """One version of a DID document, as its log has it."""

    id: str
    """`<number>-<hash>`; the hash covers this version and, through it, all before."""
    time: Instant
    """From when on it is in force, by its controller's word."""
    did: Did
    """The name of the DID in this version."""
    raw: bytes
    """The document, in canonical form."""


class DidHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The whole verified history of `did`, oldest version first; never empty."""

    did: Did
    """The DID that was asked for: the latest name, or a former one."""
    versions: tuple[DidVersion, ...]
    deactivated: bool
    """Whether the last version ended the DID."""
    ttl_seconds: int
    """How long the controller lets what was resolved be used."""

    @property
    def document(self) -> DidDocument:
        """The document in force now.

        Raises:
            VerificationError: `did_deactivated`. `did_document_invalid`: it is not a well-formed document, or `did` is
                a former name that it does not list under `alsoKnownAs`.
        """
        if self.deactivated:
            raise VerificationError("did_deactivated", f"{self.did} was deactivated at {self.versions[-1].time}")
        return self._named(self.versions[-1])

    def at(self, instant: Instant) -> DidDocument:
        """The document that was in force at `instant`: the last version whose time is not later.

        `instant` is when the verifier recorded what is judged, never a time that the signer claims: with a stolen key
        every `created` can be written.

        Raises:
            ResolutionError: `did_unresolvable`: the DID, or this name of it, did not exist yet.
            VerificationError: As `document`; `did_deactivated` from the time of the last version on.
        """
        in_force = [version for version in self.versions if version.time <= instant]
        if not any(version.did == self.did for version in in_force):
            raise ResolutionError("did_unresolvable", f"{self.did} did not exist at {instant}")
        if self.deactivated and in_force[-1] is self.versions[-1]:
            return self.document  # which raises
        return self._named(in_force[-1])

    def under(self, name: Did) -> DidHistory:
        """The same history, asked for under another of its names.

        Raises:
            VerificationError: `did_document_invalid`: it never had this name.
        """
        if all(version.did != name for version in self.versions):
            raise VerificationError(
                "did_document_invalid", f"expected the history of {name}, got that of {self.versions[-1].did}"
            )
        return msgspec.structs.replace(self, did=name)

    def continues(self, earlier: DidHistory) -> bool:
        """Whether it begins with all of `earlier`: nothing that was seen before was taken back or replaced."""
        return [one.id for one in self.versions[: len(earlier.versions)]] == [one.id for one in earlier.versions]

    def _named(self, version: DidVersion) -> DidDocument:
        if version.did == self.did:
            return DidDocument(self.did, version.raw)
        document = cast("JsonObject", decode_json(version.raw, FOREIGN_LIMITS))
        known_as: Any = document.get("alsoKnownAs")
        if not isinstance(known_as, list) or self.did not in known_as:
            raise VerificationError("did_document_invalid", f"{version.did} does not say that it was {self.did}")
        # Only what names keys is written anew; a service stays where it is now.
        renamed = {name: _renamed(document[name], version.did, self.did) for name in _REFERRING if name in document}
        return DidDocument(self.did, canonicalize({**document, **renamed, "id": self.did}))


def _renamed(value: Any, name: Did, former: Did) -> Any:
    """`value` with `name`, and DID URLs of it, under the former name; in methods only their id and controller."""
    if isinstance(value, list):
        return [_renamed(item, name, former) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        members = cast("JsonObject", value)
        named = {key: _renamed(members[key], name, former) for key in ("id", "controller") if key in members}
        return {**members, **named}
    if isinstance(value, str) and (value == name or value.startswith(f"{name}#")):
        return former + value[len(name) :]
    return value
