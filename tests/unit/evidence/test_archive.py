"""The one form of a pack's archive: other programs read it, and nothing else passes for it."""

from __future__ import annotations

import io
import struct
import zipfile
from random import Random

import pytest

from support import refuses
from undersigned.errors import FormatError, UndersignedError, VerificationError
from undersigned.evidence import read_archive, verifier_page, write_archive
from undersigned.evidence.archive import MAX_PACK_BYTES

MEMBERS = {"manifest.json": b"{}", "transcript/0001-sent-Offer.json": b"x" * 300, "a": b"", "artifacts/b_c": bytes(9)}
ARCHIVE = write_archive(MEMBERS)


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as file:
        for name, data in members:
            file.writestr(zipfile.ZipInfo(name), data, method)
        file.comment = comment
    return made.getvalue()


def test_members_come_back() -> None:
    assert read_archive(ARCHIVE) == MEMBERS
    assert read_archive(write_archive({})) == {}


def test_the_order_in_which_members_were_given_does_not_show() -> None:
    assert write_archive(dict(reversed(MEMBERS.items()))) == ARCHIVE


def test_other_programs_read_it() -> None:
    with zipfile.ZipFile(io.BytesIO(ARCHIVE)) as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in file.namelist()} == MEMBERS
        assert all(item.compress_type == zipfile.ZIP_STORED for item in file.infolist())
        assert {item.date_time for item in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_every_changed_bit_is_noticed() -> None:
    """Data, names, sums, sizes and fields that most programs ignore."""
    for at in range(len(ARCHIVE)):
        for bit in (1, 8, 128):
            changed = ARCHIVE[:at] + bytes([ARCHIVE[at] ^ bit]) + ARCHIVE[at + 1 :]
            with pytest.raises(UndersignedError) as caught:
                read_archive(changed)
            assert caught.value.code in ("evidence_invalid", "bad_path")


def test_every_cut_and_every_addition_is_noticed() -> None:
    for end in range(len(ARCHIVE)):
        with pytest.raises(UndersignedError):
            read_archive(ARCHIVE[:end])
    for other in (ARCHIVE + b"\x00", b"\x00" + ARCHIVE, b"#!/bin/sh\n" + ARCHIVE, ARCHIVE + ARCHIVE):
        with pytest.raises(VerificationError):
            read_archive(other)


def test_a_compressed_archive_is_refused_without_inflating_it() -> None:
    """SC-69: a bomb is not even looked into."""
    bomb = zipped(("manifest.json", bytes(50_000_000)), method=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with pytest.raises(VerificationError):
        read_archive(bomb)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a zip",
        b"PK\x03\x04",
        b"PK\x03\x04" + bytes(20),
        zipped(("manifest.json", b"{}")),
        zipped(("manifest.json", b"{}"), comment=b"hidden"),
        Random(1).randbytes(4096),
    ],
)
def test_another_archive_is_refused(data: bytes) -> None:
    """A stock ZIP of the same members has other fields: there is one form."""
    with refuses(VerificationError, "evidence_invalid"):
        read_archive(data)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/../b",
        "a/./b",
        "/etc/passwd",
        "a//b",
        "a/",
        "a.",
        ".hidden",
        "a/.hidden",
        "a\\b",
        "C:",
        "a\x00b",
        "a b",
        "é",
        "a%2e",
        "-rf",
        "x" * 201,
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    """SC-98: whoever unpacks a pack writes inside one folder."""
    with refuses(FormatError, "bad_path"):
        write_archive({name: b""})


def test_a_name_that_leads_elsewhere_is_refused_when_read() -> None:
    data = write_archive({"aa/bb": b"x"}).replace(b"aa/bb", b"../bb")
    with refuses(FormatError, "bad_path"):
        read_archive(data)


def test_a_member_twice_is_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zipped(("a", b"1"), ("a", b"2"))
    with pytest.raises(VerificationError, match="twice"):
        read_archive(twice)


def test_too_many_members_are_refused() -> None:
    with refuses(FormatError, "too_large"):
        write_archive({f"m{at}": b"" for at in range(10_001)})
    half = bytes(MAX_PACK_BYTES // 2)
    with refuses(FormatError, "too_large"):
        write_archive({"a": half, "b": half, "c": b"1"})
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 33, 0, 0, 0, 5, 0)
    with refuses(FormatError, "too_large"):
        read_archive(b"".join(local + b"%05d" % at for at in range(10_001)))


def test_the_page_takes_as_much_as_the_command() -> None:
    """HIRE-PCK-04: what one of them refuses, the other does."""
    assert f"const MAX_PACK_BYTES = {MAX_PACK_BYTES};" in verifier_page().decode()
