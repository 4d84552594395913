"""Real archives to work on."""

from __future__ import annotations

import io
import tarfile
import zipfile
from email.message import Message
from hashlib import sha256
from pathlib import Path

SOURCES = {"app/__init__.py": b'"""An application."""\n', "app/core.py": b"def answer() -> int:\n    return 42\n"}


def metadata() -> bytes:
    fields = Message()
    for name, value in (
        ("Metadata-Version", "2.1"),
        ("Name", "app"),
        ("Version", "1.0"),
        ("Summary", "An application"),
        ("License", "Apache-2.0"),
        ("Requires-Dist", "msgspec>=0.20"),
    ):
        fields[name] = value
    return fields.as_bytes()


def contents(path: Path) -> dict[str, str]:
    """SHA-256 of every file in the archive, by its path in it."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return {name: sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    with tarfile.open(path) as archive:
        files = {info.name: archive.extractfile(info) for info in archive if info.isfile()}
        return {name: sha256(file.read()).hexdigest() for name, file in files.items() if file is not None}


def make_wheel(folder: Path) -> Path:
    """A wheel as an installer takes it."""
    path = folder / "app-1.0-py3-none-any.whl"
    members = {
        **SOURCES,
        "app-1.0.dist-info/METADATA": metadata(),
        "app-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "app-1.0.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_sdist(folder: Path) -> Path:
    """A source distribution, with a folder and a link in it as some have."""
    path = folder / "app-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        root = tarfile.TarInfo("app-1.0")
        root.type, root.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(root)
        for name, content in {"PKG-INFO": metadata(), **SOURCES}.items():
            info = tarfile.TarInfo(f"app-1.0/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("app-1.0/README")
        link.type, link.linkname = tarfile.SYMTYPE, "../../etc/passwd"
        archive.addfile(link)
    return path
