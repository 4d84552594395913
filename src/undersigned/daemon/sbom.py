"""A task that agents can be hired for: a CycloneDX software bill of materials of a wheel or source distribution.

The artifact is opened as an archive and read, never executed. What the bill states comes from the artifact's own
metadata and bytes: name, version, licence, declared dependencies, and a SHA-256 for every file in it.

Needs the extra `prov`.
"""

from __future__ import annotations

import asyncio
import bz2
import io
import json
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from email.parser import HeaderParser
from hashlib import sha256
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, TypeAlias, cast
from uuid import UUID, uuid5

from cyclonedx import spdx
from packageurl import PackageURL

from undersigned.attestation.bills import LIMITS, read_bill
from undersigned.encoding import decode_json
from undersigned.errors import FormatError, VerificationError

if TYPE_CHECKING:
    from undersigned.runtime import Job, Reviewed

__all__ = [
    "Distribution",
    "bill_of_materials",
    "check_bill",
    "make_sbom",
    "read_distribution",
    "review_sbom",
]

SBOM_MEDIA_TYPE: Final = "application/vnd.cyclonedx+json"
MAX_FILES: Final = 20_000
MAX_INFLATED: Final = 256 * 1024 * 1024
MAX_MEMBERS: Final = 2 * MAX_FILES
"""Of every kind: folders and links take time and memory as files do, and empty streams take time."""
MAX_HEADER_BYTES: Final = 8 * 1024
"""All that a tar says of one member before its content: with a long name, a few blocks of 512."""
MAX_GLOBAL_FIELDS: Final = 64
"""That a tar says of all members that follow; `tarfile` copies them to each."""
MAX_METADATA: Final = 1024 * 1024
PIECE_BYTES: Final = 64 * 1024
MAX_XZ_MEMORY: Final = 100 * 1024 * 1024
"""What `xz -9` wrote takes 65 MiB to read; a byte of its header may ask for 4 GiB."""
_METADATA: Final = re.compile(r"[^/]+\.dist-info/METADATA|[^/]+/PKG-INFO")
_REQUIREMENT: Final = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]{0,127})\s*(?:\[[^\]]*\])?\s*([^;]*)", re.ASCII)
UNREADABLE: Final = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(OSError, EOFError, RuntimeError, NotImplementedError, ValueError),
)
"""What the libraries raise for archives that are damaged, encrypted or of a kind they do not know."""
_NAMESPACE: Final = UUID("6f1f2f39-6a0e-5d2c-9a64-58f1d8f5b5f0")


class Distribution(NamedTuple):
    """What an archive says about itself, and the SHA-256 of what is in it."""

    name: str
    version: str
    license: str | None
    summary: str | None
    requires: tuple[tuple[str, str], ...]
    """Names and version specifiers of declared dependencies, in order, extras left out."""
    files: tuple[tuple[str, str], ...]
    """Path inside the archive and SHA-256 in hex, in order of path."""


def _members(data: bytes) -> Iterator[tuple[str, int, BinaryIO]]:
    """Names, sizes and contents of the archive's plain files; links and devices are passed over. A content is read
    before the next is asked for.
    """
    return _of_zip(data) if zipfile.is_zipfile(io.BytesIO(data)) else _of_tar(data)


def _of_zip(data: bytes) -> Iterator[tuple[str, int, BinaryIO]]:
    # Each is described by its own record, all of which the library reads before it names the first.
    if data.count(b"PK\1\2") > MAX_MEMBERS:
        raise _too_many()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # Of the others the library inflates all that it has read, however much that becomes.
                raise FormatError("bad_request", f"{info.filename!r} is compressed as no installer expects it")
            with archive.open(info) as member:
                # What it takes to read it: several may lie in the same bytes, which need not become any.
                yield info.filename, max(info.file_size, info.compress_size), cast("BinaryIO", member)
                if member.tell() != info.file_size:
                    raise FormatError("bad_request", f"{info.filename!r} is not as long as the archive says")


def _of_tar(data: bytes) -> Iterator[tuple[str, int, BinaryIO]]:
    source = _Ahead(_inflated(data))
    with tarfile.open(fileobj=cast("BinaryIO", source), mode="r:") as archive:
        members = 0
        while (info := archive.next()) is not None:
            members += 1
            if members > MAX_MEMBERS:
                raise _too_many()
            if len(archive.pax_headers) > MAX_GLOBAL_FIELDS:
                raise FormatError(
                    "too_large", f"the archive says more than {MAX_GLOBAL_FIELDS} things of all its members"
                )
            # It keeps all that was said of each.
            archive.members.clear()  # pyright: ignore[reportAttributeAccessIssue]
            source.most = info.offset_data + MAX_HEADER_BYTES
            if not info.isfile():
                continue
            if info.issparse():
                raise FormatError("bad_request", f"{info.name!r} is sparse: no source distribution holds such files")
            source.most += info.size + -info.size % tarfile.BLOCKSIZE
            member = archive.extractfile(info)
            if member is not None:
                yield info.name, info.size, cast("BinaryIO", member)


def _inflated(data: bytes) -> io.BufferedIOBase:
    plain = io.BytesIO(data)
    made = next((made for magic, made in _STREAMS if data.startswith(magic)), None)
    return plain if made is None else io.BufferedReader(_Inflated(plain, made))


class _Gzip:
    """As `bz2.BZ2Decompressor`, for one stream of gzip; `gzip` reads names and what fills up byte by byte."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._decoder.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)


_Decoder: TypeAlias = _Gzip | bz2.BZ2Decompressor | lzma.LZMADecompressor


class _Inflated(io.RawIOBase):
    """Streams, one after another and zeros between them, as `gzip.open` and its like read them. Each takes time though
    nothing is in it, so there are at most as many as there are members.
    """

    def __init__(self, source: io.BytesIO, made: Callable[[], _Decoder]) -> None:
        super().__init__()
        self._source = source
        self._made = made
        self._decoder = made()
        self._streams = 1

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; none at the end."""
        while True:
            more, ended = b"", False
            if self._decoder.eof:  # another one may follow
                more = self._decoder.unused_data.lstrip(b"\0")
                while not more:
                    if not (came := self._source.read(io.DEFAULT_BUFFER_SIZE)):
                        return 0
                    more = came.lstrip(b"\0")
                self._streams += 1
                if self._streams > MAX_MEMBERS:
                    raise _too_many()
                self._decoder = self._made()
            elif self._decoder.needs_input:
                more = self._source.read(io.DEFAULT_BUFFER_SIZE)
                ended = not more
            piece = self._decoder.decompress(more, len(buffer))
            if piece:
                buffer[: len(piece)] = piece
                return len(piece)
            if ended and not self._decoder.eof:
                raise EOFError("it ends in the middle")


_STREAMS: Final[tuple[tuple[bytes, Callable[[], _Decoder]], ...]] = (
    (b"\x1f\x8b", _Gzip),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_XZ_MEMORY)),
)
"""How what an installer inflates begins, and what inflates one stream of it."""


class _Ahead:
    """An inflated tar as it is read: onward only, and as far as `most`. Where a header says to read a gigabyte of
    further headers, or to go back, `tarfile` does.
    """

    def __init__(self, source: io.BufferedIOBase) -> None:
        self._source = source
        self._place = 0
        self.most = MAX_HEADER_BYTES

    def read(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size < 0:
            raise FormatError("bad_request", "not a wheel or source distribution: a member of less than no bytes")
        self._check(self._place + size)
        came = self._source.read(size)
        self._place += len(came)
        return came

    def seek(self, place: int) -> int:
        """Goes on to a place."""
        if place < self._place:
            raise FormatError("bad_request", "not a wheel or source distribution: a member of less than no bytes")
        while self._place < place and self.read(min(place - self._place, PIECE_BYTES)):
            pass
        return self._place

    def tell(self) -> int:
        """The place of the next byte."""
        return self._place

    def _check(self, place: int) -> None:
        if place > self.most:
            text = f"the archive says more than {MAX_HEADER_BYTES} bytes of one member, or holds one of an unknown kind"
            raise FormatError("too_large", text)


def _too_many() -> FormatError:
    return FormatError("too_large", f"the archive holds more than {MAX_MEMBERS} members")


def read_distribution(data: bytes) -> Distribution:
    """What the wheel or source distribution `data` contains.

    Raises:
        FormatError: `bad_request`, not such an archive; `too_large`, more files or bytes than are read.
    """
    if not data:
        raise FormatError("bad_request", "not a wheel or source distribution: it is empty")
    files: dict[str, str] = {}
    metadata: str | None = None
    total = 0
    try:
        for name, size, content in _members(data):
            total += size
            if total > MAX_INFLATED:
                raise FormatError("too_large", f"the archive inflates to more than {MAX_INFLATED} bytes")
            if len(files) == MAX_FILES:
                raise FormatError("too_large", f"the archive holds more than {MAX_FILES} files")
            if name in files:
                # Which of the two is installed, programs do not agree on.
                raise FormatError("bad_request", f"the archive holds {name!r} twice")
            hasher, held = sha256(), bytearray()
            wanted = metadata is None and _METADATA.fullmatch(name) is not None
            while piece := content.read(PIECE_BYTES):
                hasher.update(piece)
                held += piece if wanted else b""
                if len(held) > MAX_METADATA:
                    raise FormatError("too_large", f"{name!r} has more than {MAX_METADATA} bytes")
            files[name] = hasher.hexdigest()
            metadata = held.decode("utf-8", "replace") if wanted else metadata
    except UNREADABLE as exc:
        # tarfile tells on further lines what each of its ways of reading had to say.
        (reason, *_) = str(exc).splitlines() or [type(exc).__name__]
        raise FormatError("bad_request", f"not a wheel or source distribution: {reason.rstrip(':')}") from exc
    if metadata is None:
        raise FormatError("bad_request", "the archive has no METADATA or PKG-INFO: not a wheel or source distribution")
    fields = HeaderParser().parsestr(metadata)
    name, version = fields.get("Name"), fields.get("Version")
    if not name or not name.strip("/") or not version:
        raise FormatError("bad_request", "the metadata names no package and version")
    requires: list[tuple[str, str]] = []
    for line in fields.get_all("Requires-Dist") or ():
        found = _REQUIREMENT.match(line)
        if found and "extra ==" not in line:
            requires.append((found.group(1), found.group(2).strip(" ()")))
    return Distribution(
        name=name,
        version=version,
        license=fields.get("License-Expression") or fields.get("License"),
        summary=fields.get("Summary"),
        requires=tuple(requires),
        files=tuple(sorted(files.items())),
    )


def bill_of_materials(data: bytes, file_name: str) -> bytes:
    """The CycloneDX 1.6 JSON document that describes `data`, valid against its strict schema.

    The same bytes give the same document, but for the time stamp, which is left out.

    Raises:
        FormatError: as `read_distribution`.
    """
    found = read_distribution(data)
    digest = sha256(data).hexdigest()
    root: dict[str, Any] = {
        "bom-ref": f"artifact:{digest}",
        "hashes": _hashes(digest),
        "name": found.name,
        "properties": [{"name": "hire:fileName", "value": file_name}],
        "purl": PackageURL("pypi", name=_package(found.name), version=found.version).to_string(),
        "type": "library",
        "version": found.version,
    }
    if found.summary:
        root["description"] = found.summary
    if found.license:
        root["licenses"] = [_license(found.license[:256])]
    specifiers: dict[str, list[str]] = {}
    for name, specifier in sorted(set(found.requires)):
        specifiers.setdefault(name, []).extend([specifier] if specifier else [])
    components: list[dict[str, Any]] = [
        {"bom-ref": f"file:{path}", "hashes": _hashes(content), "name": path, "type": "file"}
        for path, content in found.files
    ]
    for name, wanted in specifiers.items():
        required: dict[str, Any] = {"bom-ref": f"requires:{name}", "name": name, "type": "library"}
        required["purl"] = PackageURL("pypi", name=_package(name)).to_string()
        if wanted:
            required["properties"] = [{"name": "hire:versionSpecifier", "value": one} for one in wanted]
        components.append(required)
    needed: dict[str, Any] = {"ref": root["bom-ref"]}
    if specifiers:
        needed["dependsOn"] = [f"requires:{name}" for name in specifiers]
    # Written here: the library's own classes look through all of them for each, minutes for a few thousand files.
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(_NAMESPACE, digest)}",
        "version": 1,
        "metadata": {"component": root},  # without a time: the statement about this document carries it
        "components": components,
        "dependencies": [needed, *({"ref": one["bom-ref"]} for one in components)],
    }
    written = json.dumps(bill).encode()
    try:
        decode_json(written, LIMITS)
    except FormatError as exc:
        # A name or a field that no strict reader takes: a control character, or a text without end.
        code = "too_large" if exc.code == "too_large" else "bad_request"
        raise FormatError(code, f"the archive cannot be described: {exc.message}") from exc
    return written


def _hashes(digest: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": digest}]


def _package(name: str) -> str:
    return name.lower().replace("_", "-")


def _license(text: str) -> dict[str, Any]:
    """As CycloneDX has it: an SPDX id, an expression of them, or a name."""
    known = spdx.fixup_id(text)
    if known is None and spdx.is_expression(text):
        return {"expression": text}
    return {"license": {"name": text} if known is None else {"id": known}}


def check_bill(bill: bytes, artifact: bytes) -> dict[str, bool]:
    """Which of the criteria of the task `sbom` hold: `schema-valid`, `describes-artifact`, `lists-every-file`.

    What cannot be checked does not hold.

    Raises:
        ConfigurationError: `missing_extra`.
    """
    verdict = {"schema-valid": False, "describes-artifact": False, "lists-every-file": False}
    try:
        read = read_bill(bill, "CycloneDX 1.6")
        verdict["schema-valid"] = True
        verdict["describes-artifact"] = sha256(artifact).hexdigest() in read.describes
        verdict["lists-every-file"] = read.files == dict(read_distribution(artifact).files)
    except (FormatError, VerificationError):
        pass
    return verdict


async def make_sbom(job: Job) -> None:
    """The task `sbom`: reads the input `artifact` through the contract's grant, delivers `sbom.cdx.json`."""
    artifact = job.input("artifact")
    data = await job.read("artifact")
    await job.progress(percent=50, note=f"read {len(data)} bytes of {artifact.name}")
    # Hashing and schema work would hold up every other engagement of this peer.
    bill = await asyncio.to_thread(bill_of_materials, data, artifact.name)
    await job.deliver("sbom.cdx.json", bill, media_type=SBOM_MEDIA_TYPE)


async def review_sbom(reviewed: Reviewed) -> dict[str, bool]:
    """Whether a delivered bill of materials meets the criteria of the task `sbom`."""
    if "artifact" not in reviewed.inputs or "sbom.cdx.json" not in reviewed.artifacts:
        return {}
    bill = await reviewed.artifacts.read("sbom.cdx.json", LIMITS.max_bytes)
    artifact = await reviewed.inputs.read("artifact")
    return await asyncio.to_thread(check_bill, bill, artifact)
