"""The specification's example messages and the two parties who signed them, for tests."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import example_messages as tool
from example_parties import HIRER, PARTIES, PROVIDER

from undersigned.did import DidDocument, document_from
from undersigned.messages import Message, SignedMessage, VerifiedMessage, decode_message, draft
from undersigned.messages import verify_message as _verify_message

DOCUMENTS: dict[str, DidDocument] = {party.did: document_from(party.did, {}) for party in (HIRER, PROVIDER)}
NOW = "2026-11-24T09:30:00Z"


@lru_cache
def conversation(suite: str = "eddsa-jcs-2022") -> dict[str, VerifiedMessage]:
    """Name -> message of one whole hire, and one of each type it had no use for."""
    return tool.conversation(suite)


@lru_cache
def refused() -> dict[str, dict[str, Any]]:
    """Name -> a message with one thing wrong, and the code and path it is refused with."""
    return tool.refused()


def sign(
    message: Message,
    *,
    suite: str = "eddsa-jcs-2022",
    created: str = NOW,
    expires: str = "2026-11-24T10:30:00Z",
) -> VerifiedMessage:
    """The message, signed by its sender's role."""
    party = PARTIES[message.role]
    made = draft(message, party.method, suite, "Ed25519", created, expires)
    return made.signed(party.sign(made.to_sign))


def verify(received: SignedMessage | bytes, **other: Any) -> VerifiedMessage:
    """`verify_message` for whom the message names, at `NOW`, with both DID documents."""
    if isinstance(received, bytes):
        received = decode_message(received)
    arguments: dict[str, Any] = {"now": NOW, "recipient": received.message.recipient, **other}
    return _verify_message(received, arguments.pop("documents", DOCUMENTS), **arguments)
