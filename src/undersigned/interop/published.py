"""Somebody of ours whose DID document is published, so that its key can be replaced.

Source: protocol-spec/02-identity-and-keys.md, section 2.5
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlsplit

from undersigned.did import document_from, fetches
from undersigned.encoding import JsonObject, canonicalize
from undersigned.runtime import PrivateKey
from undersigned.testing import Attacker

from .pointers import replaced

__all__ = ["Published"]


class Published(Attacker):
    """A party with a `did:web` on the origin where the harness listens."""

    def __init__(self, name: str, origin: str) -> None:
        super().__init__(name)
        self._name, self._turn = name, 0
        self.answer = ""
        """How its document is asked for in vain: `Publish.answer`."""
        self.former: Attacker | None = None
        """The same party with the key before; None until it is replaced."""
        place = sha256(name.encode()).hexdigest()[:16]
        self.path = f"/{place}/did.json"
        """Where its document is served."""
        self.did = f"did:web:{quote(urlsplit(origin).netloc, safe='')}:{place}"
        self.rotate()

    def rotate(self, *, renamed: bool = True) -> None:
        """Has another key from now on, and only that; under the name of the one before, unless it is `renamed`."""
        self.former = copy(self) if self._turn else None
        self._turn += 1
        self.key = PrivateKey("Ed25519", sha256(f"{self._name}/{self._turn}".encode()).digest())
        self.public_key = self.key.public_key
        if renamed:
            self.method = f"{self.did}#key-{self._turn}"
        key: JsonObject = {
            "id": self.method,
            "type": "Multikey",
            "controller": self.did,
            "publicKeyMultibase": self.public_key.multikey,
        }
        self.raw = canonicalize(
            {
                "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
                "id": self.did,
                "verificationMethod": [key],
                "authentication": [self.method],
                "assertionMethod": [self.method],
            }
        )
        """Its document as it is served."""
        (url,) = fetches(self.did, local=True)
        self.document = document_from(self.did, {url: self.raw})

    def moved(self, host: str) -> None:
        """Has its DID at another host from now on, or at the same one in another spelling."""
        former, self.did = self.did, self.did.replace("localhost", host, 1)
        self.method = self.method.replace(former, self.did)
        self.raw = self.raw.replace(former.encode(), self.did.encode())

    def serve(self, members: Mapping[str, Any], answer: str) -> None:
        """Its document is served with these members replaced by JSON pointer, and answered as `Publish.answer` says."""
        self.raw, self.answer = canonicalize(replaced(json.loads(self.raw), members)), answer
