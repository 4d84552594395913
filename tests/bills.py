"""Bills of materials for tests."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any


def spdx(data: bytes, **changes: Any) -> bytes:
    """An SPDX 2.3 document that describes these bytes as a package with one file."""
    digest = sha256(data).hexdigest()
    whole: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "app",
        "documentNamespace": "https://globex.example/spdx/app",
        "creationInfo": {"created": "2026-11-24T09:14:00Z", "creators": ["Organization: Globex"]},
        "packages": [
            {
                "SPDXID": "SPDXRef-app",
                "name": "app",
                "downloadLocation": "NOASSERTION",
                "filesAnalyzed": False,
                "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
            }
        ],
        "files": [
            {
                "SPDXID": "SPDXRef-file",
                "fileName": "./app/main.py",
                "checksums": [
                    {"algorithm": "SHA1", "checksumValue": "0" * 40},
                    {"algorithm": "SHA256", "checksumValue": sha256(b"main").hexdigest()},
                ],
            }
        ],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": "SPDXRef-app",
            }
        ],
    }
    return json.dumps({name: value for name, value in (whole | changes).items() if value is not None}).encode()


def cyclonedx(data: bytes, **changes: Any) -> bytes:
    """A CycloneDX 1.6 document that describes these bytes."""
    hashes = [{"alg": "SHA-256", "content": sha256(data).hexdigest()}]
    whole: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "app", "hashes": hashes}},
        "components": [
            {
                "type": "file",
                "name": "app/main.py",
                "hashes": [{"alg": "SHA-256", "content": sha256(b"main").hexdigest()}],
            }
        ],
    }
    return json.dumps(whole | changes).encode()
