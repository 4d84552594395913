"""The cryptosuites that Undersigned makes and verifies, by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from undersigned.keys import KeyKind
from undersigned.proof.cryptosuite import Cryptosuite
from undersigned.proof.suites.jcs import ECDSA_JCS_2019, EDDSA_JCS_2022
from undersigned.proof.suites.rdfc import ECDSA_RDFC_2019, EDDSA_RDFC_2022

__all__ = ["CRYPTOSUITES", "JCS_SUITES", "JCS_SUITE_OF", "first_suite"]

CRYPTOSUITES: Final[Mapping[str, Cryptosuite]] = MappingProxyType(
    {suite.name: suite for suite in (EDDSA_JCS_2022, EDDSA_RDFC_2022, ECDSA_JCS_2019, ECDSA_RDFC_2019)}
)
"""Read-only; functions take it as an argument, so an application adds its own without changing this one."""

JCS_SUITES: Final = tuple(name for name, suite in CRYPTOSUITES.items() if suite.signs_json)
"""Those whose proofs cover the JSON itself, so that nothing of a stranger's is put through an RDF processor."""

JCS_SUITE_OF: Final[Mapping[KeyKind, str]] = MappingProxyType(
    {kind: name for name in JCS_SUITES for kind in CRYPTOSUITES[name].kinds}
)
"""The one of them for a kind of key."""


@lru_cache(maxsize=64)
def first_suite(names: tuple[str, ...], kind: str) -> str | None:
    """The first of these cryptosuites that is known here and for this kind of key; None if there is none."""
    return next((name for name in names if name in CRYPTOSUITES and kind in CRYPTOSUITES[name].kinds), None)
