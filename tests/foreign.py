"""What others signed, as the published samples hold it: an envelope, and the key in the certificate that came along.

The certificates are those of Sigstore, which nothing here trusts. Their keys stand in for keys that were pinned.
"""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from undersigned.encoding import Digest, digest_from_hex
from undersigned.keys import PublicKey, public_key_from_raw

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384"}


def sample(path: Path) -> dict[str, Any]:
    """The DSSE envelope in a bundle, or in a file of one line."""
    document = json.loads(path.read_text())
    return document.get("dsseEnvelope", document)


def key_of(path: Path) -> dict[str, PublicKey]:
    """The key of the signer's certificate, under the name `pinned`; none if no certificate came along."""
    document = json.loads(path.read_text())
    material = document.get("verificationMaterial", {})
    if "certificate" in material:
        found = x509.load_der_x509_certificate(b64decode(material["certificate"]["rawBytes"]))
    elif "x509CertificateChain" in material:
        (first, *_) = material["x509CertificateChain"]["certificates"]
        found = x509.load_der_x509_certificate(b64decode(first["rawBytes"]))
    elif pem := next((one["cert"] for one in sample(path)["signatures"] if "cert" in one), None):
        found = x509.load_pem_x509_certificate(pem.encode())
    else:
        return {}
    key = found.public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    raw = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return {"pinned": public_key_from_raw(CURVES[key.curve.name], raw)}  # pyright: ignore[reportArgumentType]


def payload_of(path: Path) -> dict[str, Any]:
    """The statement, read by nothing of ours."""
    return json.loads(b64decode(sample(path)["payload"]))


def stated(path: Path) -> Digest:
    """The SHA-256 of the last subject."""
    return digest_from_hex(payload_of(path)["subject"][-1]["digest"]["sha256"])
