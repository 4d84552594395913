"""What was given without an end, in a message: its beginning."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["brief"]

MOST: Final = 500
"""Characters without a space that are told; a DID or a path is shorter."""
SHOWN: Final = 120

_ENDLESS: Final = re.compile(rf"\S{{{MOST + 1},}}")


def brief(message: str) -> str:
    """`message`, with each word cut that is longer than any with a meaning, so that what is said of it is seen."""
    return _ENDLESS.sub(lambda found: f"{found[0][:SHOWN]}… ({len(found[0])} characters)", message)
