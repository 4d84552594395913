"""A task that agents can be hired for: a CycloneDX software bill of materials of a wheel or source distribution.

The artifact is opened as an archive and read, never executed. What the bill states comes from the artifact's own
metadata and bytes: name, version, licence, declared dependencies, and a SHA-256 for every file in it.

Needs the extra `prov`.
"""

from __future__ import annotations

import asyncio
import io
import lzma
import re
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from email.parser import HeaderParser
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID, uuid5

import cyclonedx.model as cdx
import cyclonedx.model.bom as cdx_bom
import cyclonedx.model.component as cdx_component
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm
from cyclonedx.model.component import ComponentType
from cyclonedx.output.json import JsonV1Dot6
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

# The library's decorators hide its classes from type checkers.
Bom: Any = cdx_bom.Bom
Component: Any = cdx_component.Component
HashType: Any = cdx.HashType
Property: Any = cdx.Property

SBOM_MEDIA_TYPE: Final = "application/vnd.cyclonedx+json"
MAX_FILES: Final = 20_000
MAX_INFLATED: Final = 256 * 1024 * 1024
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


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the archive's plain files; links and devices are passed over."""
    total = 0
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                total += info.file_size
                if total > MAX_INFLATED:
                    raise FormatError("too_large", f"the archive inflates to more than {MAX_INFLATED} bytes")
                with archive.open(info) as member:
                    content = member.read(info.file_size + 1)
                if len(content) != info.file_size:
                    raise FormatError("bad_request", f"{info.filename!r} is not as long as the archive says")
                yield info.filename, content
        return
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
        for info in archive:
            if not info.isfile():
                continue
            total += info.size
            if total > MAX_INFLATED:
                raise FormatError("too_large", f"the archive inflates to more than {MAX_INFLATED} bytes")
            member = archive.extractfile(info)
            if member is not None:
                yield info.name, member.read()


def read_distribution(data: bytes) -> Distribution:
    """What the wheel or source distribution `data` contains.

    Raises:
        FormatError: `bad_request`, not such an archive; `too_large`, more files or bytes than are read.
    """
    if not data:
        raise FormatError("bad_request", "not a wheel or source distribution: it is empty")
    files: list[tuple[str, str]] = []
    metadata: tuple[int, str] | None = None
    try:
        for name, content in _members(data):
            files.append((name, sha256(content).hexdigest()))
            if len(files) > MAX_FILES:
                raise FormatError("too_large", f"the archive holds more than {MAX_FILES} files")
            if re.fullmatch(r"[^/]+\.dist-info/METADATA|[^/]+/PKG-INFO", name):
                depth = name.count("/")
                if metadata is None or depth < metadata[0]:
                    metadata = depth, content.decode("utf-8", "replace")
    except UNREADABLE as exc:
        # tarfile tells on further lines what each of its ways of reading had to say.
        (reason, *_) = str(exc).splitlines() or [type(exc).__name__]
        raise FormatError("bad_request", f"not a wheel or source distribution: {reason.rstrip(':')}") from exc
    if metadata is None:
        raise FormatError("bad_request", "the archive has no METADATA or PKG-INFO: not a wheel or source distribution")
    fields = HeaderParser().parsestr(metadata[1])
    name, version = fields.get("Name"), fields.get("Version")
    if not name or not version:
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
        files=tuple(sorted(files)),
    )


def bill_of_materials(data: bytes, file_name: str) -> bytes:
    """The CycloneDX 1.6 JSON document that describes `data`, valid against its strict schema.

    The same bytes give the same document, but for the time stamp, which is left out.

    Raises:
        FormatError: as `read_distribution`.
    """
    found = read_distribution(data)
    digest = sha256(data).hexdigest()
    factory = LicenseFactory()
    root = Component(
        type=ComponentType.LIBRARY,
        name=found.name,
        version=found.version,
        description=found.summary,
        bom_ref=f"artifact:{digest}",
        purl=PackageURL("pypi", name=found.name.lower().replace("_", "-"), version=found.version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=[factory.make_from_string(found.license[:256])] if found.license else [],
        properties=[Property(name="hire:fileName", value=file_name)],
    )
    bom = Bom(serial_number=uuid5(_NAMESPACE, digest))
    bom.metadata.component = root
    bom.metadata.timestamp = None  # the statement about this document carries the time
    dependencies: list[Any] = []
    for name, specifier in found.requires:
        dependencies.append(
            Component(
                type=ComponentType.LIBRARY,
                name=name,
                bom_ref=f"requires:{name}",
                purl=PackageURL("pypi", name=name.lower().replace("_", "-")),
                properties=[Property(name="hire:versionSpecifier", value=specifier)] if specifier else [],
            )
        )
    for component in dependencies:
        bom.components.add(component)
    for path, content in found.files:
        bom.components.add(
            Component(
                type=ComponentType.FILE,
                name=path,
                bom_ref=f"file:{path}",
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content)],
            )
        )
    bom.register_dependency(root, dependencies)
    if not dependencies:
        # The library warns that a root without dependencies may be incomplete; this one declares none.
        warnings.filterwarnings("ignore", message=".*has no defined dependencies.*", category=UserWarning)
    written = JsonV1Dot6(bom).output_as_string().encode()
    try:
        decode_json(written, LIMITS)
    except FormatError as exc:
        # A name or a field that no strict reader takes: a control character, or a text without end.
        code = "too_large" if exc.code == "too_large" else "bad_request"
        raise FormatError(code, f"the archive cannot be described: {exc.message}") from exc
    return written


def check_bill(bill: bytes, artifact: bytes, format: str = "CycloneDX 1.6") -> dict[str, bool]:
    """Which of the criteria of the task `sbom` hold: `schema-valid`, `describes-artifact`, `lists-every-file`.

    What cannot be checked does not hold.

    Raises:
        ConfigurationError: `missing_extra`.
    """
    verdict = {"schema-valid": False, "describes-artifact": False, "lists-every-file": False}
    try:
        read = read_bill(bill, format)
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
