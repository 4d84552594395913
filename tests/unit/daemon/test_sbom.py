"""What a wheel or source distribution contains, and what is refused as none."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable

import pytest

from support import refuses
from undersigned.daemon import sbom
from undersigned.daemon.sbom import MAX_METADATA, bill_of_materials, read_distribution
from undersigned.errors import FormatError

METADATA = b"Metadata-Version: 2.1\nName: app\nVersion: 1.0\n"
NAME = "app-1.0.dist-info/METADATA"


def wheel(metadata: bytes = METADATA, **files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in {NAME: metadata, **files}.items():
            archive.writestr(name, data)
    return made.getvalue()


def licensed(text: str) -> object:
    bill = json.loads(bill_of_materials(wheel(METADATA + f"License-Expression: {text}\n".encode()), "app-1.0.whl"))
    return bill["metadata"]["component"]["licenses"]


def test_folders_are_no_files() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.mkdir("app")
        archive.writestr("app/a.py", b"a")
        archive.writestr(NAME, METADATA)
    assert sorted(dict(read_distribution(made.getvalue()).files)) == [NAME, "app/a.py"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("mit", [{"license": {"id": "MIT"}}]),
        ("MIT OR Apache-2.0", [{"expression": "MIT OR Apache-2.0"}]),
        ("of my own", [{"license": {"name": "of my own"}}]),
    ],
)
def test_a_licence_is_an_identifier_an_expression_or_a_name(said: str, told: object) -> None:
    assert licensed(said) == told


def test_more_files_than_are_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sbom, "MAX_FILES", 2)
    assert len(read_distribution(wheel(a=b"")).files) == 2
    with refuses(FormatError, "too_large"):
        read_distribution(wheel(a=b"", b=b""))


def test_metadata_without_end_is_refused() -> None:
    with refuses(FormatError, "too_large"):
        read_distribution(wheel(METADATA.ljust(MAX_METADATA + 1)))


def longer_than_it_is() -> bytes:
    """A wheel whose list says of the first file that it has a byte more."""
    data = bytearray(wheel())
    at = data.index(b"PK\1\2") + 24
    data[at : at + 4] = struct.pack("<I", len(METADATA) + 1)
    return bytes(data)


def sparse() -> bytes:
    """A source distribution with a file that is mostly holes."""
    holes = tarfile.TarInfo("app-1.0/PKG-INFO")
    holes.type = tarfile.GNUTYPE_SPARSE
    return holes.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


@pytest.mark.parametrize("made", [longer_than_it_is, sparse, lambda: wheel(**{"a\ufffe": b""})])
def test_what_cannot_be_described_is_refused(made: Callable[[], bytes]) -> None:
    with refuses(FormatError, "bad_request"):
        bill_of_materials(made(), "app-1.0.whl")
