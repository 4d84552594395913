"""The specification's example credentials and those who signed them, for tests."""

from __future__ import annotations

import example_credentials as tool

from undersigned.did import DidDocument, document_from

CLAIMS, NOW = tool.CLAIMS, tool.NOW
CHALLENGE, ENGAGEMENT, VERIFIER, HOLDER = tool.CHALLENGE, tool.ENGAGEMENT, tool.VERIFIER.did, tool.AGENT.did
DOCUMENTS: dict[str, DidDocument] = {
    party.did: document_from(party.did, {}) for party in (tool.ISSUER, tool.AGENT, tool.OTHER)
}
