"""What every predicate has: who claims it, and under which contract."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from undersigned.encoding import Did, Digest, digest_from_hex, digest_hex

__all__ = ["Part", "Predicate", "Resource", "Sha256", "digest_of_resource", "plain", "resource"]

Uri = Annotated[str, Meta(min_length=1, max_length=2048)]


class Part(Struct, frozen=True, kw_only=True, gc=False, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A closed object inside a predicate: camelCase names, no unknown members."""


class Predicate(
    Struct, frozen=True, kw_only=True, gc=False, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """A claim; its type in `PREDICATES` is the class."""

    PREDICATE_TYPE: ClassVar[str] = ""

    @property
    def attester(self) -> Did:
        """Whose claim it says it is; must be its signer's."""
        raise NotImplementedError

    @property
    def contract_digest(self) -> Digest:
        """The contract under which it is made.

        Raises:
            FormatError: `schema_violation`: none, or not one digest.
        """
        raise NotImplementedError


class Sha256(Part, frozen=True, kw_only=True):
    """A digest set with one algorithm."""

    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]


class Resource(Part, frozen=True, kw_only=True):
    """in-toto ResourceDescriptor: a thing by name or URI, and by digest."""

    name: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    uri: Uri | None = None
    digest: Sha256
    media_type: Annotated[str, Meta(max_length=512)] | None = None


def resource(digest: Digest, *, name: str | None = None, uri: str | None = None) -> Resource:
    """The descriptor of a thing with this digest."""
    return Resource(name=name, uri=uri, digest=Sha256(sha256=digest_hex(digest)))


def digest_of_resource(described: Resource) -> Digest:
    """The digest of a described thing, as our messages write it."""
    return digest_from_hex(described.digest.sha256)


def plain(text: str, limit: int) -> str:
    """What somebody asked for, as a statement can hold it: what is not printable ASCII is escaped, what is long cut."""
    text = text[:limit]
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1][:limit]
