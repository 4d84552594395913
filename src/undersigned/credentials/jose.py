"""Whether a JWS was signed by a key, through joserfc; the only module that uses it. Needs the extra `jose`.

The text was read strictly before (`jws.py`), and the key is one that its owner's DID document lists and that was
checked when it was decoded. joserfc is told the algorithms and the key, and chooses neither.

Source: protocol-spec/11-credentials.md, section 11.2
"""

from __future__ import annotations

from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from undersigned.credentials.jws import JOSE_ALGORITHMS, Jws
from undersigned.errors import ProofError
from undersigned.keys import PublicKey

__all__ = ["verify_jws"]


class _Registry(jws.JWSRegistry):
    """Sizes were checked before; a `did:jwk` as `kid` is longer than the library allows by default."""

    max_header_length = 8 * 1024
    max_payload_length = 256 * 1024


_REGISTRY: Final = _Registry(algorithms=["Ed25519", "ES256", "ES384"])


def verify_jws(signed: Jws, key: PublicKey) -> None:
    """Return if `key` signed it.

    Raises:
        ProofError: `suite_not_allowed`: a key of another kind than the algorithm's; `proof_invalid`.
    """
    if key.kind != JOSE_ALGORITHMS[signed.algorithm]:
        raise ProofError("suite_not_allowed", f"expected a key for {signed.algorithm}; came {key.kind}")
    try:
        found = jws.extract_compact(signed.text.encode(), registry=_REGISTRY)
        if signed.algorithm == "EdDSA":
            # The old name says less than the new one; the key, an Ed25519 key, settles it. The text stays as signed.
            found.protected["alg"] = "Ed25519"
        jwk: Any = key.jwk
        imported = OKPKey.import_key(jwk) if key.kind == "Ed25519" else ECKey.import_key(jwk)
        if jws.validate_compact(found, imported, registry=_REGISTRY):
            return
    except (JoseError, ValueError) as exc:
        raise ProofError("proof_invalid", f"the signature could not be checked: {type(exc).__name__}") from exc
    raise ProofError("proof_invalid", f"not signed by {signed.method[:200]}")
