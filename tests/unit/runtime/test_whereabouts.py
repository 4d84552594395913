"""Where others are, as their DID documents say it."""

from __future__ import annotations

import json

import pytest

from undersigned.did import DidDocument
from undersigned.errors import TransportError
from undersigned.runtime.log.logbook import log_url

DID = "did:web:globex.example"


@pytest.mark.parametrize("endpoint", ["wss://[::1", "wss://[192.0.2.1]/hire", "wss://ex\u2100mple.com/hire"])
def test_a_place_that_is_no_url_is_none(endpoint: str) -> None:
    """It is the other side's text: a review that looks for its artifacts there must not end by it without a word."""
    service = {"id": f"{DID}#hire", "type": "HireService", "serviceEndpoint": endpoint}
    document = DidDocument(DID, json.dumps({"id": DID, "service": [service]}).encode())
    with pytest.raises(TransportError, match="not a URL"):
        log_url(document, local=False)
