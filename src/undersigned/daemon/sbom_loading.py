"""The review of an SBOM, loaded only where one is reviewed, and beside everything else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Final

from undersigned.errors import ConfigurationError
from undersigned.runtime import Reviewed

__all__ = ["load_sbom", "review_sbom"]

SBOM: Final = "undersigned.daemon.sbom"


def load_sbom() -> None:
    """Loads in a thread what a review will need: it takes seconds, which a hire has while the work is done."""
    if SBOM not in sys.modules:
        with suppress(ImportError, OSError):  # told by the review
            import_module(SBOM)


async def review_sbom(reviewed: Reviewed) -> Mapping[str, bool]:
    """What `sbom` says of what was delivered.

    Raises:
        ConfigurationError: `missing_extra`: what it needs is not installed.
    """
    try:
        module = await asyncio.to_thread(import_module, SBOM)
    except ImportError as exc:
        raise ConfigurationError("missing_extra", "reviewing an SBOM needs the extra: undersigned[prov]") from exc
    return await module.review_sbom(reviewed)
