"""The archive of an evidence pack: a ZIP file in the one form that its members have.

Members are stored and not compressed, sorted by name, with fixed times and modes, without comments, extra fields or
gaps. Any program opens it; this one reads it by writing it again: an archive that differs in a single byte from what
its members make is refused. So nothing can hide between members, nothing inflates, and each byte counts.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from struct import Struct
from typing import Final
from zlib import crc32

from undersigned.errors import FormatError, VerificationError

__all__ = ["MAX_ARCHIVE_BYTES", "MAX_MEMBERS", "MAX_PACK_BYTES", "check_name", "read_archive", "write_archive"]

MAX_PACK_BYTES: Final = 256 * 1024 * 1024
MAX_MEMBERS: Final = 10_000
MAX_NAME: Final = 200

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|[./](?=[A-Za-z0-9]))*")

# Fields as in APPNOTE 4.3.7, 4.3.12 and 4.3.16.
_LOCAL: Final = Struct("<4s5H3I2H")
_CENTRAL: Final = Struct("<4s6H3I5H2I")
_END: Final = Struct("<4s4H2IH")
_VERSION: Final = 20
_MADE_BY: Final = 3 << 8 | _VERSION  # Unix, so that the mode below is read
MAX_ARCHIVE_BYTES: Final = MAX_PACK_BYTES + MAX_MEMBERS * (_LOCAL.size + _CENTRAL.size + 2 * MAX_NAME) + _END.size
"""Of a whole pack: its members, and what the archive says of each."""
_DAY: Final = 1 << 5 | 1  # 1 January 1980, the first day that the format knows
_MODE: Final = 0o100644 << 16


def check_name(name: str) -> None:
    """Returns if `name` may be a member's: plain parts with `/` between them, none of which begins with a dot.

    Raises:
        FormatError: `bad_path`: it may not; a name that leaves its folder somewhere is none.
    """
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise FormatError("bad_path", f"expected the name of a member of an evidence pack; came {name[:100]!a}")


def write_archive(members: Mapping[str, bytes]) -> bytes:
    """The one archive of these members, by name.

    Raises:
        FormatError: `bad_path`; `too_large`: more members or bytes than a pack holds.
    """
    total = sum(map(len, members.values()))
    if len(members) > MAX_MEMBERS or total > MAX_PACK_BYTES:
        raise FormatError("too_large", f"a pack has at most {MAX_MEMBERS} members and {MAX_PACK_BYTES} bytes")
    body, directory = bytearray(), bytearray()
    for name in sorted(members):
        check_name(name)
        data, path = members[name], name.encode("ascii")
        common = (_VERSION, 0, 0, 0, _DAY, crc32(data), len(data), len(data), len(path), 0)
        directory += _CENTRAL.pack(b"PK\x01\x02", _MADE_BY, *common, 0, 0, 0, _MODE, len(body)) + path
        body += _LOCAL.pack(b"PK\x03\x04", *common) + path + data
    count = len(members)
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + end)


def read_archive(data: bytes) -> dict[str, bytes]:
    """The members of a pack's archive, by name.

    Raises:
        FormatError: `too_large`; `bad_path`: a member has a name that no pack gives.
        VerificationError: `evidence_invalid`: not an archive, or not in the form in which packs are written.
    """
    if len(data) > MAX_ARCHIVE_BYTES:
        raise _not_a_pack(f"it is larger than {MAX_ARCHIVE_BYTES} bytes, the most that one has")
    members: dict[str, bytes] = {}
    at = 0
    while data[at : at + 4] == b"PK\x03\x04":
        if len(members) == MAX_MEMBERS:
            raise FormatError("too_large", f"expected at most {MAX_MEMBERS} members")
        if len(data) - at < _LOCAL.size:
            raise _not_a_pack("it ends inside a member")
        *_, size, name_size, extra_size = _LOCAL.unpack_from(data, at)
        start = at + _LOCAL.size + name_size
        if extra_size or name_size > MAX_NAME or start + size > len(data):
            raise _not_a_pack("a member has another form, or does not fit")
        name = data[at + _LOCAL.size : start].decode("latin-1")
        check_name(name)
        if name in members:
            raise _not_a_pack(f"{name} is there twice")
        members[name] = data[start : start + size]
        at = start + size
    if sum(map(len, members.values())) > MAX_PACK_BYTES:
        raise _not_a_pack(f"its members are larger than {MAX_PACK_BYTES} bytes together, the most that one has")
    if write_archive(members) != data:
        raise _not_a_pack("it is not, byte for byte, what its members make")
    return members


def _not_a_pack(why: str) -> VerificationError:
    return VerificationError("evidence_invalid", f"not the archive of an evidence pack: {why}")
