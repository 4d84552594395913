"""Credentials of our types, issued by actors: for tests of who is believed about what."""

from __future__ import annotations

from typing import Any

from undersigned.credentials import Claim, claim_credential, credential_config, read_credential
from undersigned.encoding import Instant, JsonObject, shift
from undersigned.ledger import Admitted
from undersigned.proof import attach, prepare
from undersigned.testing import Actor
from undersigned.trust import edge_of


def issued(by: Actor, claim: Claim, now: Instant, *, age: int = 60, seconds: int = 86_400, **more: Any) -> JsonObject:
    """A credential, valid from `age` seconds before `now` until `seconds` after it; `more` replaces its members."""
    document = claim_credential(
        claim, id=by.message_id(), issuer=by.did, valid_from=shift(now, -age), valid_until=shift(now, seconds)
    )
    document = {**document, **more}
    config = credential_config("eddsa-jcs-2022", by.method, now)
    return attach(document, config, by.signature(prepare(document, config, "Ed25519")))


def edge(by: Actor, claim: Claim, now: Instant, **more: Any) -> Admitted:
    """The edge of such a credential, as a trust store takes it."""
    return Admitted(edge_of(read_credential(issued(by, claim, now, **more))), by.public_key)
