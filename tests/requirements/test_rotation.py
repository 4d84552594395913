"""Keys that come and go in the DID document of a party."""

from __future__ import annotations

import json

import pytest

from parties import Party
from support import ROOT
from undersigned.did import DidDocument, document_from, make_document
from undersigned.encoding import canonicalize, shift
from undersigned.errors import VerificationError
from undersigned.messages import decode_message, draft, verify_message

HIRE = ROOT / "protocol-spec" / "vectors" / "messages" / "eddsa-jcs-2022"
WEB = "did:web:globex.example"
FIRST, SECOND = Party("globex, first key"), Party("globex, second key")
SUITE = "eddsa-jcs-2022"


def published(name: str, party: Party) -> DidDocument:
    """The document of `WEB` while it lists this key and no other."""
    keys = {name: party.key}
    raw = canonicalize(make_document(WEB, authentication=keys, assertion_method=keys))
    return document_from(WEB, {"https://globex.example/.well-known/did.json": raw})


@pytest.mark.parametrize("name", ["profile", "acceptance", "seal", "delivery"])
def test_a_removed_key_signs_nothing_new_and_what_it_signed_still_verifies(name: str) -> None:
    """HIRE-KEY-07: the document stored with a message decides about it, the one of today about new ones."""
    content = json.loads((HIRE / name / "input.json").read_bytes())
    recipient, now = content["recipient"], content["proof"]["created"]
    before, after = published("key-1", FIRST), published("key-2", SECOND)
    template = decode_message(canonicalize({**content, "sender": WEB})).message
    made = draft(template, f"{WEB}#key-1", SUITE, "Ed25519", now, shift(now, 3600))
    old = made.signed(FIRST.sign(made.to_sign))

    recorded = verify_message(decode_message(old.raw), {WEB: before}, now=now, recipient=recipient)
    assert recorded.digest == made.digest
    with pytest.raises(VerificationError) as refused:
        verify_message(decode_message(old.raw), {WEB: after}, now=now, recipient=recipient)
    assert refused.value.code == "key_not_authorized"

    # A move without receipt is signed again with the new key, and is the same move.
    anew = draft(recorded.message, f"{WEB}#key-2", SUITE, "Ed25519", now, shift(now, 3600))
    again = anew.signed(SECOND.sign(anew.to_sign))
    verified = verify_message(decode_message(again.raw), {WEB: after}, now=now, recipient=recipient)
    assert verified.digest == recorded.digest
    assert verified.raw != recorded.raw
