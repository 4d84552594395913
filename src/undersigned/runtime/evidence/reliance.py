"""The open engagements of a ledger, as far as they rely on whom we believe.

Source: protocol-spec/12-trust.md, section 12.7
"""

from __future__ import annotations

from typing import cast

from undersigned.credentials import Credential, read_credential
from undersigned.encoding import JsonObject
from undersigned.errors import UndersignedError
from undersigned.ledger import Ledger
from undersigned.messages import Presentation
from undersigned.runtime.engagement.loading import load_engagement
from undersigned.runtime.home.home import Home
from undersigned.trust import OpenEngagement, shown_in

__all__ = ["open_engagements", "readable_credentials"]


async def open_engagements(ledger: Ledger, home: Home) -> list[OpenEngagement]:
    """Those that are not over, each with what its peer showed for what our policy asks for, whatever is at stake."""
    found: list[OpenEngagement] = []
    required = home.configuration.policy.types
    for row in await ledger.summaries(live_only=True):
        loaded = await load_engagement(ledger, row, home.configuration.did)
        shown = [move for move in loaded.moves if isinstance(move, Presentation) and move.sender == row.peer]
        credentials = readable_credentials(shown[-1]) if shown else []
        found.append(
            OpenEngagement(
                engagement=row.engagement,
                peer=row.peer,
                required=required,
                shown=tuple(shown_in(one, name) for one in credentials for name in required if name in one.types),
            )
        )
    return found


def readable_credentials(shown: Presentation) -> list[Credential]:
    """What somebody showed, as far as it is a credential at all."""
    found: list[Credential] = []
    for document in cast("list[JsonObject]", shown.presentation.get("verifiableCredential", [])):
        try:
            found.append(read_credential(document))
        except UndersignedError:
            continue  # it counted for nothing when it was shown, either
    return found
