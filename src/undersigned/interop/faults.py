"""What happens to the bytes on the way, by name and seed.

Source: protocol-spec/harness.md, "Faults"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from undersigned.errors import ConfigurationError
from undersigned.testing import Break, Wire, WireFaults

from .scenario import Hear, Judge, Reach, Say, Scenario, Told

__all__ = ["FAULTS", "bearing", "faulty_wire"]

HONEST: Final = (Reach, Say, Hear, Judge, Told)
MEAN_MESSAGES: Final = 6
"""Between two cuts."""


def _cuts(random: Random) -> WireFaults:
    """Connections break, at the end of a message or inside one."""
    breaks: list[Break] = []
    after = 8  # the proof of a connection, and the first contact
    for _ in range(400):
        after += 4 + random.randrange(2 * MEAN_MESSAGES)
        breaks.append(Break(after=after, inside=random.random() < 0.5))
    return WireFaults(breaks=tuple(breaks))


FAULTS: Final[Mapping[str, Callable[[Random], WireFaults]]] = MappingProxyType(
    {
        "none": lambda _: WireFaults(),
        "slow": lambda _: WireFaults(delay_seconds=0.05),
        "pieces": lambda _: WireFaults(piece_bytes=512),
        "cuts": _cuts,
    }
)
"""The profiles. With `cuts` only honest scenarios are played, which come back over another connection."""


def bearing(scenarios: Iterable[Scenario], profile: str) -> tuple[Scenario, ...]:
    """Those of the scenarios that say something under a profile of faults."""
    return tuple(one for one in scenarios if profile != "cuts" or all(isinstance(step, HONEST) for step in one.steps))


def faulty_wire(url: str, profile: str, seed: str) -> Wire:
    """A wire to where `url` leads, with the faults of a profile. Enter it, and dial its port.

    Raises:
        ConfigurationError: `url` is encrypted: a proxy would have to have its certificate.
    """
    parts = urlsplit(url)
    if parts.scheme != "ws" or parts.hostname is None:
        raise ConfigurationError("bad_configuration", f"faults are put on ws:// only, not on {url}")
    faults = FAULTS[profile](Random(f"{seed}/{profile}"))  # noqa: S311 - repeatable, and nothing here is secret
    return Wire((parts.hostname, parts.port or 80), faults=faults, seed=Random(seed).randrange(2**32))  # noqa: S311
