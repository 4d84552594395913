"""Vectors of deliveries with a bill of materials, and each way in which one is not what was asked for."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from vector_parts import Vector

from undersigned.attestation.bills import MEDIA_TYPES
from undersigned.encoding import canonicalize

__all__ = ["bill_vectors"]

APP: Final = b"an application\n"
OTHER: Final = b"another application\n"
NOW: Final = "2026-11-24T09:00:00Z"


def hex_of(data: bytes) -> str:
    return sha256(data).hexdigest()


def cyclonedx(of: bytes = APP, **changed: Any) -> bytes:
    root = {
        "type": "application",
        "name": "app",
        "bom-ref": "app",
        "hashes": [{"alg": "SHA-256", "content": hex_of(of)}],
    }
    bom: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": root},
        "components": [],
    }
    return json.dumps(bom | changed, sort_keys=True).encode()


def spdx(of: bytes = APP, **changed: Any) -> bytes:
    package = {
        "SPDXID": "SPDXRef-app",
        "name": "app",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "checksums": [{"algorithm": "SHA256", "checksumValue": hex_of(of)}],
    }
    document: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "app",
        "dataLicense": "CC0-1.0",
        "documentNamespace": "https://globex.example/spdx/app",
        "creationInfo": {"created": NOW, "creators": ["Organization: Globex"]},
        "packages": [package],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": "SPDXRef-app",
            }
        ],
    }
    return json.dumps(document | changed, sort_keys=True).encode()


def bill_vectors() -> Iterator[Vector]:
    """All of them."""

    def vector(
        name: str,
        says: str,
        format: str,
        artifacts: Mapping[str, bytes],
        code: str = "",
        inputs: Mapping[str, bytes] | None = None,
        kinds: Mapping[str, str] | None = None,
    ) -> Vector:
        kind = MEDIA_TYPES[format.partition(" ")[0]]
        shown = {
            "artifacts": {
                each: {
                    "data": base64.b64encode(data).decode(),
                    "mediaType": (kinds or {}).get(each) or (kind if each == "bill" else "application/octet-stream"),
                }
                for each, data in artifacts.items()
            },
            "inputs": {each: base64.b64encode(data).decode() for each, data in (inputs or {}).items()},
        }
        expected: dict[str, Any] = {"code": code} if code else {"described": True}
        return Vector(f"bills/{name}", says, canonicalize(shown), {"kind": "bill", "sbom": format}, expected)

    wrong, invalid = "digest_mismatch", "schema_violation"
    for family, format, made in (("cyclonedx", "CycloneDX 1.6", cyclonedx), ("spdx", "SPDX 2.3", spdx)):
        both = {"app": APP, "bill": made()}
        yield vector(f"{family}-of-what-was-made", "it describes what was delivered with it", format, both)
        yield vector(
            f"{family}-of-an-input", "it was all that was asked for", format, {"bill": made()}, inputs={"app": APP}
        )
        yield vector(f"{family}-missing", "there is none", format, {"app": APP}, wrong)
        yield vector(
            f"{family}-as-text",
            "it says that it is text",
            format,
            both,
            wrong,
            kinds={"bill": "text/plain"},
        )
        yield vector(
            f"{family}-of-something-else", "it describes another file", format, both | {"bill": made(OTHER)}, wrong
        )
        yield vector(f"{family}-of-one-of-two", "one of two is not described", format, both | {"more": OTHER}, wrong)
        yield vector(
            f"{family}-of-another-input",
            "it describes none of the inputs",
            format,
            {"bill": made()},
            wrong,
            inputs={"app": OTHER},
        )
        yield vector(f"{family}-cut", "its last byte is missing", format, both | {"bill": made()[:-1]}, "bad_json")
    old = cyclonedx(specVersion="1.5")
    yield vector("cyclonedx-older", "version 1.5", "CycloneDX 1.6", {"app": APP, "bill": old}, invalid)
    bare = cyclonedx(components=[{"name": "no type"}])
    yield vector("cyclonedx-invalid", "a component has no type", "CycloneDX 1.6", {"app": APP, "bill": bare}, invalid)
    nameless = spdx(documentNamespace="not a namespace")
    yield vector("spdx-invalid", "its namespace is none", "SPDX 2.3", {"app": APP, "bill": nameless}, invalid)
