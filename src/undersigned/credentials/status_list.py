"""Bitstring Status List: what an issuer says now about a credential that it issued before.

A credential names a list and a place in it; the list is a credential of the same issuer that carries one bit for each
place. `status_urls` says which lists are needed, the shell fetches them, `check_status` looks. What could not be
checked is no: a list that is not there, is another issuer's, is too old, or a kind of status that is not known here.

Source: protocol-spec/02-identity-and-keys.md, section 2.12; W3C Bitstring Status List v1.0
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, cast

from msgspec import Struct

from undersigned.credentials.jws import LIST_JWT
from undersigned.credentials.model import CREDENTIALS_CONTEXT, Credential, read_credential, read_once, whole_number
from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, Instant, JsonObject, multibase_decode, multibase_encode
from undersigned.errors import CredentialError, FormatError

__all__ = [
    "MAX_ENTRIES",
    "MAX_LIST_BYTES",
    "MAX_LIST_DOCUMENT_BYTES",
    "MIN_LIST_BITS",
    "STATUS_LIST",
    "ClearStatus",
    "StatusEntry",
    "StatusList",
    "build_status_list",
    "check_last_known",
    "check_status",
    "cleared",
    "decode_list",
    "encode_list",
    "read_status_entry",
    "read_status_list",
    "status_entries",
    "status_entry",
    "status_urls",
]

STATUS_ENTRY: Final = "BitstringStatusListEntry"
STATUS_LIST: Final = "BitstringStatusListCredential"
PURPOSES: Final = frozenset({"revocation", "suspension"})
"""Those that say whether a credential holds. Any other could mean anything, so it cannot be checked."""

MIN_LIST_BITS: Final = 131_072
"""Fewer would tell the host of the list too well whose status is asked for."""
MAX_LIST_BYTES: Final = 4 * 1024 * 1024
"""Most that a list may be when it is inflated."""
MAX_LIST_DOCUMENT_BYTES: Final = LIST_JWT.max_payload
"""Most that the credential with the list may be, compressed as it is; of a JWT, its payload."""
MAX_ENTRIES: Final = 8
"""Of one credential: each may be a host to be asked."""
DEFAULT_TTL_SECONDS: Final = 300
"""How long a list that says nothing of it may be kept."""
MAX_TTL_SECONDS: Final = 86_400
_CHUNK_BYTES: Final = 64 * 1024
_GZIP_ALONE: Final = 16 + zlib.MAX_WBITS
"""For zlib: the gzip format and no other, checksum and length included."""
_GZIP: Final = b"\x1f\x8b\x08"
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_URL: Final = re.compile(r"https?://[!-~]{1,2000}")


class StatusEntry(Struct, frozen=True, kw_only=True):
    """One place that a credential points to."""

    purpose: str
    """`revocation` or `suspension`."""
    index: int
    url: str
    """Of the list credential."""


class StatusList(Struct, frozen=True, kw_only=True):
    """A list that its issuer signed; only `read_status_list` and `verify_status_list` make one."""

    url: str
    issuer: Did
    purposes: tuple[str, ...]
    bits: bytes
    ttl_seconds: int
    """How long it may be used without being fetched again."""
    credential: Credential
    """The list credential as it came."""
    verified: Instant = ""
    """When its signature was checked."""
    by: DidDocument | None = None
    """The document of its issuer by which it was."""

    def speaks_against(self, entry: StatusEntry) -> bool:
        """Whether the bit of this place is set.

        Raises:
            CredentialError: `status_invalid`: a list of another purpose, or without such a place.
        """
        if entry.purpose not in self.purposes:
            purposes = " and ".join(self.purposes)
            raise _invalid(f"expected a list for {entry.purpose}; {self.url} is for {purposes!a:.160}")
        return self.is_set(entry.index)

    def is_set(self, index: int) -> bool:
        """The bit at `index`; the first is the most significant one of the first byte.

        Raises:
            CredentialError: `status_invalid`: outside the list.
        """
        if not 0 <= index < 8 * len(self.bits):
            raise _invalid(f"expected an index below {8 * len(self.bits)}; came {index}")
        return bool(self.bits[index >> 3] & (0x80 >> (index & 7)))


NONE_KNOWN: Final[Mapping[str, StatusList]] = MappingProxyType({})


class ClearStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """That a credential was looked up in every list it names, and is in none: what a decision may rest on."""

    credential: Digest
    lists: tuple[Digest, ...]
    """Of the list credentials, in the order of the entries."""
    at: Instant
    """When it was looked up."""
    verified: tuple[Instant, ...] = ()
    """When the signature of each list was checked."""
    documents: tuple[Digest, ...] = ()
    """The DID documents by which they were."""


# ---------------------------------------------------------------------- the bits


def encode_list(bits: bytes | bytearray) -> str:
    """The bits as `encodedList`: multibase base64url of one gzip member. Equal bits give equal text.

    Raises:
        CredentialError: `status_invalid`: fewer than 131,072 bits, more than 4 MiB, or what would be read as an
            encoding inside the encoding.
    """
    return multibase_encode("u", gzip.compress(_checked_bits(bytes(bits)), 9, mtime=0))


def decode_list(encoded: str) -> bytes:
    """The bits of an `encodedList`. Inflating stops at the limit, so a small text cannot become a large one.

    Raises:
        CredentialError: `status_invalid`: not multibase `u` of exactly one gzip member, or not of an allowed size.
    """
    if len(encoded) > MAX_LIST_DOCUMENT_BYTES:
        raise _invalid(f"expected at most {MAX_LIST_DOCUMENT_BYTES} characters; came {len(encoded)}")
    try:
        packed = multibase_decode(encoded, "u")
    except FormatError as exc:
        raise _invalid(f"expected multibase of base64url: {exc.message}") from exc
    size = _inflated_bytes(packed)
    return _checked_bits(zlib.decompress(packed, _GZIP_ALONE, size + 1))


def _inflated_bytes(packed: bytes) -> int:
    """How many bytes one gzip member holds. It is inflated and thrown away: what is refused takes no memory."""
    inflater = zlib.decompressobj(_GZIP_ALONE)
    size, rest = 0, packed
    try:
        while not inflater.eof:
            part = inflater.decompress(rest, _CHUNK_BYTES)
            rest = inflater.unconsumed_tail
            if not part and not rest:
                break
            size += len(part)
            if size > MAX_LIST_BYTES:
                raise _invalid(f"expected at most {MAX_LIST_BYTES} bytes inflated; came more")
    except zlib.error as exc:
        raise _invalid(f"expected gzip: {exc}") from exc
    if not inflater.eof:
        raise _invalid("expected a whole gzip member; it ends too early")
    if inflater.unused_data:
        raise _invalid(f"expected one gzip member; {len(inflater.unused_data)} bytes follow it")
    return size


def _checked_bits(bits: bytes) -> bytes:
    if 8 * len(bits) < MIN_LIST_BITS:
        raise _invalid(f"expected at least {MIN_LIST_BITS} bits; came {8 * len(bits)}")
    if len(bits) > MAX_LIST_BYTES:
        raise _invalid(f"expected at most {MAX_LIST_BYTES} bytes; came {len(bits)}")
    if bits.startswith(_GZIP):
        # Somebody who inflates until nothing is left to inflate would read another list than we do.
        raise _invalid("expected bits; came gzip inside gzip")
    return bits


# ---------------------------------------------------------------------- issuing


def status_entry(url: str, index: int, purpose: str = "revocation") -> JsonObject:
    """The `credentialStatus` that points to a place of the list at `url`."""
    return {
        "id": f"{url}#{index}",
        "type": STATUS_ENTRY,
        "statusPurpose": purpose,
        "statusListIndex": str(index),
        "statusListCredential": url,
    }


def build_status_list(
    *,
    url: str,
    issuer: Did,
    bits: bytes | bytearray,
    valid_from: Instant,
    valid_until: Instant,
    ttl_seconds: int,
    purpose: str = "revocation",
) -> JsonObject:
    """The list credential of these bits, without its proof; it is signed as any other credential.

    Raises:
        CredentialError: `status_invalid`: as `encode_list`; `schema_violation`: not a URL, or it ends before it begins.
        FormatError: `too_large`.
    """
    document: JsonObject = {
        "@context": [CREDENTIALS_CONTEXT],
        "id": url,
        "type": ["VerifiableCredential", STATUS_LIST],
        "issuer": issuer,
        "validFrom": valid_from,
        "validUntil": valid_until,
        "credentialSubject": {
            "id": f"{url}#list",
            "type": "BitstringStatusList",
            "statusPurpose": purpose,
            "encodedList": encode_list(bits),
            "ttl": 1000 * ttl_seconds,
        },
    }
    read_credential(document, of=LIST_JWT)
    return document


# ---------------------------------------------------------------------- checking


@read_once
def status_entries(credential: Credential) -> tuple[StatusEntry, ...]:
    """The places that a credential points to, in its order; none if it has no status. Asked at every decision.

    Raises:
        CredentialError: `status_unavailable`: a kind of status, a purpose or a size that is not known here;
            `status_invalid`: an entry that is not well-formed, or more than 8.

    Source: W3C Bitstring Status List v1.0, section 2.1
    """
    if not credential.has_status:
        return ()
    listed: Any = credential.json["credentialStatus"]
    objects = cast("list[JsonObject]", listed if isinstance(listed, list) else [listed])
    if len(objects) > MAX_ENTRIES:
        raise _invalid(f"expected at most {MAX_ENTRIES} entries; came {len(objects)}", "/credentialStatus")
    return tuple(read_status_entry(one, f"/credentialStatus/{place}") for place, one in enumerate(objects))


def read_status_entry(entry: Mapping[str, Any], path: str) -> StatusEntry:
    """One member of `credentialStatus`, which stands at `path`.

    Raises:
        CredentialError: `status_unavailable`: of another kind than those that are known here, so that it cannot be
            checked; `status_invalid`: no place in a list.

    Source: protocol-spec/02-identity-and-keys.md, section 2.12
    """
    types: Any = entry.get("type")
    if STATUS_ENTRY not in (cast("list[str]", types) if isinstance(types, list) else [types]):
        raise _unavailable(f"expected {STATUS_ENTRY}; came {types!a:.120}", f"{path}/type")
    purpose: Any = entry.get("statusPurpose")
    if not isinstance(purpose, str) or purpose not in PURPOSES:
        raise _unavailable(f"expected {' or '.join(sorted(PURPOSES))}; came {purpose!a:.120}", f"{path}/statusPurpose")
    size: Any = entry.get("statusSize", 1)
    if whole_number(size) != 1:
        raise _unavailable(f"expected one bit for {purpose}; came {size!a:.40}", f"{path}/statusSize")
    index: Any = entry.get("statusListIndex")
    if not isinstance(index, str) or not _INDEX.fullmatch(index):
        raise _invalid(f"expected an index in decimal digits; came {index!a:.40}", f"{path}/statusListIndex")
    url: Any = entry.get("statusListCredential")
    if not isinstance(url, str) or not _URL.fullmatch(url):
        raise _invalid(f"expected the URL of a list; came {url!a:.120}", f"{path}/statusListCredential")
    return StatusEntry(purpose=purpose, index=int(index), url=url)


def status_urls(credentials: Iterable[Credential]) -> dict[str, Did]:
    """What has to be fetched to check these credentials: each list's URL, and who has to have signed it.

    Raises:
        CredentialError: As `status_entries`; `status_invalid`: two issuers claim one list.
    """
    wanted: dict[str, Did] = {}
    for credential in credentials:
        for entry in status_entries(credential):
            if wanted.setdefault(entry.url, credential.issuer) != credential.issuer:
                raise _invalid(f"{entry.url} is named by credentials of two issuers")
    return wanted


def read_status_list(credential: Credential, *, url: str) -> StatusList:
    """The list in a credential that is verified; `url` is where it was fetched. It says nothing about credentials of
    another issuer than its own.

    Raises:
        CredentialError: `status_invalid`: not a list, or not the one of this URL.

    Source: W3C Bitstring Status List v1.0, section 2.2
    """
    if STATUS_LIST not in credential.types:
        raise _invalid(f"expected {STATUS_LIST}; came {credential.types!a:.200}", "/type")
    if credential.json.get("id") != url:
        # One list shown in place of another would give the bits of other credentials; one that names no place, too.
        raise _invalid(f"expected the list {url}; came {credential.json.get('id')!a:.200}", "/id")
    if credential.has_status:
        raise _invalid("a list has no status of its own", "/credentialStatus")
    if len(credential.subjects) != 1:
        raise _invalid(f"expected one list; came {len(credential.subjects)}", "/credentialSubject")
    (subject,) = credential.subjects
    types: Any = subject.get("type")
    if "BitstringStatusList" not in (cast("list[Any]", types) if isinstance(types, list) else [types]):
        raise _invalid(f"expected BitstringStatusList; came {types!a:.120}", "/credentialSubject/type")
    purpose: Any = subject.get("statusPurpose")
    purposes = cast("list[Any]", purpose if isinstance(purpose, list) else [purpose])
    if not purposes or not all(isinstance(one, str) and one for one in purposes):
        raise _invalid(f"expected a purpose; came {purpose!a:.120}", "/credentialSubject/statusPurpose")
    ttl = whole_number(subject.get("ttl", 1000 * DEFAULT_TTL_SECONDS))
    if ttl is None or ttl < 0:
        raise _invalid(f"expected milliseconds; came {subject['ttl']!a:.40}", "/credentialSubject/ttl")
    encoded: Any = subject.get("encodedList")
    if not isinstance(encoded, str):
        raise _invalid(f"expected text; came {encoded!a:.40}", "/credentialSubject/encodedList")
    return StatusList(
        url=url,
        issuer=credential.issuer,
        purposes=tuple(purposes),
        bits=decode_list(encoded),
        ttl_seconds=min(ttl // 1000, MAX_TTL_SECONDS),
        credential=credential,
    )


def check_status(credential: Credential, lists: Mapping[str, StatusList], now: Instant) -> ClearStatus:
    """That the credential is clear in every list it names, `lists` being those of `status_urls` by URL.

    Raises:
        CredentialError: `revoked`: a bit is set; `detail` has the `purpose` (for good or for now), the digest of the
            `credential`, and as `evidence` the list that says so.
            `status_unavailable`: a list is missing, another issuer's, or not valid at `now`.
            `status_invalid`: a list of another purpose or without such a place; as `status_entries`.

    Source: protocol-spec/02-identity-and-keys.md, section 2.12
    """
    digests: list[Digest] = []
    verified: list[Instant] = []
    documents: list[Digest] = []
    for found in _looked_up(credential, lists, now):
        digests.append(found.credential.digest)
        verified.append(found.verified)
        if found.by is not None:
            documents.append(found.by.raw_digest)
    return ClearStatus(
        credential=credential.digest,
        lists=tuple(digests),
        at=now,
        verified=tuple(verified),
        documents=tuple(documents),
    )


def check_last_known(
    credential: Credential, lists: Mapping[str, StatusList], known: Mapping[str, StatusList], now: Instant
) -> None:
    """That the credential is clear in the lists that could be had, and in the last `known` ones of the others, each of
    which has to have been valid when it was verified. That says nothing of `now`: no decision to act may rest on it.

    Raises:
        CredentialError: As `check_status`.

    Source: protocol-spec/19-trace.md, section 19.5
    """
    _looked_up(credential, lists, now, known)


def _looked_up(
    credential: Credential, lists: Mapping[str, StatusList], now: Instant, known: Mapping[str, StatusList] = NONE_KNOWN
) -> list[StatusList]:
    """The lists that it names, in which it is clear, each valid `now`, or, of the last `known`, when it was verified;
    as `check_status`.
    """
    looked: list[StatusList] = []
    entries = status_entries(credential)
    for entry in entries:
        found, at = lists.get(entry.url), now
        if found is None and (found := known.get(entry.url)) is not None:
            at = found.verified
        if found is None:
            raise _unavailable(f"the list {entry.url} was not consulted")
        if found.issuer != credential.issuer:
            raise _unavailable(f"expected a list of {credential.issuer}; came one of {found.issuer}")
        if not found.credential.valid_at(at):
            ends = found.credential.valid_until
            raise _unavailable(f"the list {entry.url} is valid until {ends}; it is {at}")
        looked.append(found)
    # All lists were there before one is believed: "revoked" by one does not hide that another is missing.
    told = [found.speaks_against(entry) for found, entry in zip(looked, entries, strict=True)]
    for entry, found, is_set in zip(entries, looked, told, strict=True):
        if is_set:
            word = "suspended" if entry.purpose == "suspension" else "revoked"
            raise CredentialError(
                "revoked",
                f"{word} by {credential.issuer}: place {entry.index} of {entry.url}",
                purpose=entry.purpose,
                credential=credential.digest,
                evidence=found.credential,
            )
    return looked


def cleared(credential: Credential, statuses: Collection[ClearStatus], now: Instant) -> bool:
    """Whether nothing speaks against the credential at `now`: it has no status, or one that was looked up just now."""
    if not credential.has_status:
        return True
    return (credential.digest, now) in [(one.credential, one.at) for one in statuses]


def _invalid(message: str, path: str = "") -> CredentialError:
    return CredentialError("status_invalid", message, path=path)


def _unavailable(message: str, path: str = "") -> CredentialError:
    return CredentialError("status_unavailable", message, path=path)
