"""The keys that an agent signs with: what it publishes of them, and what their names have meant.

Source: protocol-spec/02-identity-and-keys.md
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from undersigned.did import DidDocument, is_derived
from undersigned.encoding import EngagementId, Instant
from undersigned.errors import ConfigurationError
from undersigned.ledger import Ledger
from undersigned.proof import CRYPTOSUITES, JCS_SUITE_OF
from undersigned.runtime.signers import PrivateKey
from undersigned.transport import Identity

__all__ = ["own_identity", "require_lasting_names"]

NAMES_LOOKED_AT = 32
"""Engagements under way of which a start looks whether the names of our keys mean what they did."""


def own_identity(key: PrivateKey, own: DidDocument, suite: str | None, *, folder: Path, now: Instant) -> Identity:
    """Who we are to others, once `key`, of the state folder, is the first that we publish. `suite` is the cryptosuite
    preferred; by default the JCS suite of the key.

    Raises:
        ConfigurationError: `key_unavailable`: others could not verify what it signs; `bad_configuration`: it does not
            sign in this suite.
    """
    method = next(iter(own.methods("assertionMethod")), "")
    published, kind = own.keys("assertionMethod", now=now), key.public_key.kind
    if published.get(method) != key.public_key:
        text = f"the private key in {folder} is not the first one that {own.id} publishes"
        if method and method not in published:
            text = f"the first key that {own.id} publishes, {method}, is past its end or revoked, or cannot be used"
        raise ConfigurationError("key_unavailable", text)
    suites = [name for name, one in CRYPTOSUITES.items() if kind in one.kinds]
    if suite is not None and suite not in suites:
        text = f"suite: expected {' or '.join(suites)}, as the key is {kind}; got {suite!r:.80}"
        raise ConfigurationError("bad_configuration", text)
    return Identity(did=own.id, method=method, suite=suite or JCS_SUITE_OF[kind], kind=kind, sign=key.sign)


async def require_lasting_names(own: DidDocument, ledger: Ledger, live: Sequence[EngagementId]) -> None:
    """Returns if no name of a key of ours became that of another while something is under way (HIRE-KEY-08). The
    other sides would refuse all that it signs, and no move that waits for its receipt is signed again, since by its
    name the key is the one that signed it. The oldest and newest engagements are looked at: whoever replaces a key
    by hand is stopped at the next start.

    Raises:
        ConfigurationError: `key_unavailable`.
    """
    half = NAMES_LOOKED_AT // 2
    for engagement in () if is_derived(own.id) else (*live[:half], *live[half:][-half:]):
        for blob in await ledger.evidence(engagement):
            if blob.kind != "did-document" or blob.name != own.id:
                continue
            changed = own.changes_key(DidDocument(blob.name, blob.raw))
            if changed is not None:
                raise ConfigurationError(
                    "key_unavailable",
                    f"{changed} names another key than the one under which {engagement} is under way, and the other "
                    "side refuses what it signs: a new key has a new name, which `undersigned keys rotate` gives it",
                )
