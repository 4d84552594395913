"""A second try: the withdrawal that an inquiry names in `continues`, as each side holds it.

Source: protocol-spec/05-negotiation.md, section 5.8
"""

from __future__ import annotations

from typing import cast

from undersigned.encoding import Did, Digest, digest_bytes
from undersigned.errors import ConfigurationError, VerificationError
from undersigned.ledger import Blob, Ledger
from undersigned.messages import Withdraw, recorded_message

__all__ = ["EARLIER", "continued", "named_withdrawal"]

EARLIER = "withdrawal"
"""Kind of the evidence that links an engagement to the one before; its name is that engagement."""


async def continued(ledger: Ledger, digest: Digest, peer: Did) -> Blob:
    """The withdrawal of this digest, sent to `peer` or received from it, as evidence of the engagement that follows.

    Raises:
        VerificationError: `wrong_negotiation`: there is none with this peer, or it named no needs. Whose it is, and
            whether it exists, the peer does not learn.
    """
    row = await ledger.withdrawal(digest)
    if row is not None and row.kind != "noted":
        withdrawn = cast("Withdraw", recorded_message(row.raw).message)
        if peer in (withdrawn.sender, withdrawn.recipient) and withdrawn.needed:
            return Blob(digest=digest_bytes(row.raw), raw=row.raw, kind=EARLIER, name=row.engagement)
    raise VerificationError(
        "wrong_negotiation", f"there is no withdrawal {digest} with {peer} that says what it needs", path="/continues"
    )


async def named_withdrawal(ledger: Ledger, named: str, peer: Did) -> Digest:
    """The digest of the withdrawal that an operator names: by itself, or by its engagement.

    Raises:
        ConfigurationError: `not_found`.
    """
    digest = named
    if named.startswith("urn:"):
        found = [row.digest for row in await ledger.rows(named) if row.type == "Withdraw" and row.kind != "noted"]
        if not found:
            raise ConfigurationError("not_found", f"{named[:200]} did not end with a withdrawal")
        digest = found[-1]
    try:
        await continued(ledger, digest, peer)
    except VerificationError as error:
        raise ConfigurationError("not_found", error.message) from error
    return digest
