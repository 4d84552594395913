"""The trust registries that a configuration names, `[[registry]]`, checked as they are read.

Source: protocol-spec/12-trust.md, section 12.11
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import msgspec

from undersigned.did import parse_did
from undersigned.encoding import parse_duration
from undersigned.errors import ConfigurationError
from undersigned.runtime.files import read_file, why
from undersigned.transport import is_https_base
from undersigned.trust import MAX_AUTHORITIES, Registry

__all__ = ["RegistryPart", "read_token", "registries_of"]

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,4096}=*", re.ASCII)
"""RFC 6750, section 2.1."""


class RegistryPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trust registry that is asked whom some authorities have authorised."""

    url: str
    """`https://…`; `/authorization` and `/recognition` stand below it."""
    authorities: tuple[str, ...]
    """DIDs of those whom it may speak for; of nobody else it is believed. What it says counts as theirs, so one that no
    anchor entitles (`undersigned trust add`) helps nobody.
    """
    action: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] = "issue"
    """What it calls it when somebody attests."""
    max_age: str = "PT5M"
    """How long an answer may be used, from when it was evaluated; at most a day."""
    token_file: str | None = None
    """File with the bearer token that it asks for; relative to the state folder."""

    def checked(self, local: bool) -> Registry:
        """The registry as it is asked.

        Raises:
            ValueError, UndersignedError: What is wrong.
        """
        seconds = parse_duration(self.max_age)
        if not 1 <= seconds <= 86_400:
            raise ValueError(f"registry {self.url}: expected a max_age of one second to a day, got {self.max_age}")
        if not is_https_base(self.url, local):
            raise ValueError(f"registry {self.url}: expected https://host, with no query")
        for did in self.authorities:
            parse_did(did)
        return Registry(
            url=self.url.rstrip("/"), authorities=self.authorities, action=self.action, max_age_seconds=seconds
        )


def registries_of(parts: Iterable[RegistryPart], *, local: bool) -> tuple[Registry, ...]:
    """The registries that are asked, in the order of the configuration.

    Raises:
        ValueError, UndersignedError: What is wrong.
    """
    found = tuple(part.checked(local) for part in parts)
    named = [authority for registry in found for authority in registry.authorities]
    if len(set(named)) < len(named):
        # If two could speak for one, the more generous of them would decide.
        raise ValueError("registry: expected each authority at one registry, and once")
    if len(named) > MAX_AUTHORITIES:
        raise ValueError(f"registry: expected at most {MAX_AUTHORITIES} authorities in all, got {len(named)}")
    return found


def read_token(file: Path) -> str:
    """The bearer token in a file.

    Raises:
        ConfigurationError: `key_unavailable`, it cannot be read, or holds no token.
    """
    try:
        token = read_file(file).decode("ascii").strip()
    except (OSError, ValueError) as exc:
        raise ConfigurationError("key_unavailable", f"{file}: {why(exc)}") from exc
    if not _TOKEN.fullmatch(token):
        raise ConfigurationError("key_unavailable", f"{file} holds no bearer token")
    return token
