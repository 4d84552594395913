"""The configuration of a state folder, `undersigned.toml`: its tables and members, and what each means.

It is read strictly: an unknown name is an error.

Source: protocol-spec/settings.md
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, cast

import msgspec

from undersigned.errors import ConfigurationError
from undersigned.runtime.log.witnesses import WitnessPart
from undersigned.trust import ANY, Policy

from .control import ControlPart
from .parsing import checked_name
from .registry_part import RegistryPart

__all__ = [
    "CONFIGURATION",
    "ArtifactsPart",
    "Configuration",
    "ListenPart",
    "OfferPart",
    "OrganisationPart",
    "TrustPart",
    "distinct_offers",
    "misplaced",
]

CONFIGURATION: Final = "undersigned.toml"
HOLD_SECONDS: Final = 4 * 3600
"""Longest time for which a place is held for who has not sealed, unless the offer says another: people may decide."""
WAIT_SECONDS: Final = 30 * 86_400
"""Longest time that terms may leave a hirer to start, to review or to close, unless the offer says another."""
_UNKNOWN_BELOW: Final = re.compile(r"unknown field `(\w+)` - at `\$\.")
"""As the schema library says it of a name inside a table."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file; unknown names are refused."""


class ListenPart(_Part, frozen=True, kw_only=True):
    """Where the public listener binds, and how others reach it."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """0 lets the system choose; then the DID must not name a port."""
    url: str | None = None
    """Public base URL, `https://…`, where TLS ends before what comes is passed on to host and port."""
    proxies: tuple[str, ...] = ()
    """Addresses or networks (`127.0.0.1`, `10.0.0.0/8`) of proxies in front of it that set `X-Forwarded-For`, or
    `Forwarded`, themselves. Of what they pass on, the right-most address there that is none of them is who calls, and
    whose failures are counted. By default what a proxy passes on counts as the proxy's own.
    """


class OrganisationPart(_Part, frozen=True, kw_only=True):
    """The organisation that vouches for this agent."""

    did: str
    name: str


class TrustPart(_Part, frozen=True, kw_only=True):
    """Whose word counts."""

    anchors: tuple[str, ...] = ()
    """DIDs of issuers whose credentials are believed, about any type; further ones are signed records."""
    people: tuple[str, ...] = ()
    """DIDs of those who may add anchors: did:key, did:jwk or this folder's own. By default its organisation."""
    reach_of_one: Annotated[int, msgspec.Meta(ge=-1, le=ANY)] = ANY
    """Widest reach of an anchor that one person may add; above it two must. By default one may add any."""


class ArtifactsPart(_Part, frozen=True, kw_only=True):
    """What is taken of contents: inputs and what is delivered."""

    max_bytes: Annotated[int, msgspec.Meta(ge=1)] = 64 * 1024 * 1024
    """Most bytes of one where the contract says nothing."""
    store: str | None = None
    """Where they are kept: `s3://BUCKET/PREFIX`, `gs://…`, `az://…` (extra `artifacts`; credentials come from the
    environment), or `file:///…`. By default the folder `artifacts`.
    """


class OfferPart(_Part, frozen=True, kw_only=True):
    """A task that this agent does for others."""

    task: str
    """Kind of work, as hirers ask for it: `sbom`."""
    handler: str
    """`package.module:function`, called with the job."""
    price: str = "0 EUR"
    """Amount and currency."""
    summary: str = ""
    """What it is, for people."""
    delivers: str | Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=64)] = "result"
    """Name of what the handler delivers, or a list of names, unless the hirer names others."""
    media_type: str = "application/octet-stream"
    capacity: Annotated[int, msgspec.Meta(ge=1)] = 16
    """How many contracts at a time."""
    hold_seconds: Annotated[int, msgspec.Meta(ge=1)] = HOLD_SECONDS
    """Longest time for which a place is held for a hirer that has not sealed: what stands longer is declined."""
    wait_seconds: Annotated[int, msgspec.Meta(ge=1)] = WAIT_SECONDS
    """Longest time that a contract may leave a hirer to start, to review or to close: more is declined."""


class Configuration(_Part, frozen=True, kw_only=True):
    """`undersigned.toml`, checked."""

    did: str
    """Of the agent."""
    name: str
    """How people call it."""
    local: bool = False
    """Loopback only, over http and ws: for trying things out on one machine."""
    ca_file: str | None = None
    """PEM file of certificate authorities to be trusted for TLS besides the system's; relative to the state folder."""
    resolver: str | None = None
    """Base URL, `https://…`, of a Universal Resolver that is asked about DIDs of methods not implemented here."""
    organisation: OrganisationPart | None = None
    """Who issues: without it this folder shows credentials and makes none."""
    moved: dict[str, str] = {}
    """Where a DID with a history lives now: its former name, and its latest. The operator's word, checked against the
    history.
    """
    listen: ListenPart = ListenPart()
    """The public listener, where peers connect."""
    control: ControlPart | None = None
    """The control listener; there is none unless this table, or `serve --control`, asks for it."""
    gates: ControlPart | None = None
    """The listener that gates of our servers ask; there is none unless this table, or `serve --gates`, asks for it."""
    trust: TrustPart = TrustPart()
    """Where the trust graph begins."""
    artifacts: ArtifactsPart = ArtifactsPart()
    """What is taken of inputs and what is delivered."""
    policy: Policy = Policy()
    """What is asked of a peer, and the limits that no negotiation passes."""
    approvers: dict[str, str] = {}
    """People who decide where the policy asks: for each name a did:key, did:jwk or public key."""
    labels: str | None = None
    """TOML file, relative to the state folder, of what our gate knows about targets."""
    offer: tuple[OfferPart, ...] = ()
    """What `undersigned serve` does for others."""
    budget: tuple[dict[str, Any], ...] = ()
    """The most that is spent on hires, in all or per period: limits as in a scope, of currencies or of the `count` of
    contracts.
    """
    books: str | None = None
    """File, relative to the state folder, in which places of offers and the budget are booked together with other
    processes; it is made if there is none. By default they are booked in the ledger.
    """
    registry: tuple[RegistryPart, ...] = ()
    """Trust registries that are asked whom their authorities have authorised."""
    witness: tuple[WitnessPart, ...] = ()
    """Who cosigns our log as it grows, and notices if it goes back."""

    @property
    def own(self) -> tuple[str, ...]:
        """The DIDs of the agent and, if it has one, of its organisation."""
        return (self.did,) if self.organisation is None else (self.did, self.organisation.did)


def distinct_offers(tasks: Iterable[str], what: str = "offer") -> None:
    """Returns if each can be the name of a task, and none is offered twice: only one of the two would be. `what` is
    what the operator calls them.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    seen: set[str] = set()
    for task in tasks:
        checked_name(what, task)
        if task in seen:
            raise ConfigurationError("bad_configuration", f"{what}: two are of the task {task!r}")
        seen.add(task)


def misplaced(said: str, table: Mapping[str, Any]) -> str:
    """Whoever appends a member of the file to its end has put it into the table that stands last: into one of `table`
    where `said` is what is wrong with that.
    """
    unknown, people = _UNKNOWN_BELOW.search(said), table.get("approvers")
    names = [] if unknown is None else [unknown[1]]
    if "approvers" in said and isinstance(people, dict):  # anybody chooses the names in it, so none is unknown
        names += cast("dict[str, object]", people)
    below = [name for name in names if name in Configuration.__struct_fields__ and name not in table]
    return f"; {below[0]} is a member of the file: it stands before the first [table]" if below else ""
