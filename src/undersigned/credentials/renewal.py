"""When one credential is another one issued anew.

Source: protocol-spec/11-credentials.md, section 11.7
"""

from __future__ import annotations

from typing import Final

from undersigned.credentials.model import Credential
from undersigned.encoding import Instant

__all__ = ["renews"]

_EPOCH: Final[Instant] = "2000-01-01T00:00:00Z"


def renews(later: Credential, earlier: Credential) -> bool:
    """Whether `later` is `earlier` issued anew: another text by the same issuer, which says the same about the same
    subject, and whose validity does not begin before. Neither is verified here.

    Source: protocol-spec/11-credentials.md, section 11.7
    """
    return (
        later != earlier
        and later.issuer == earlier.issuer
        and later.types == earlier.types
        and later.subjects == earlier.subjects
        # By the time since a fixed instant: one that does not say when it began was issued before any that does.
        and later.age_seconds(_EPOCH) <= earlier.age_seconds(_EPOCH)
    )
