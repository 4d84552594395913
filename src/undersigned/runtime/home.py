"""The state folder of a peer: its configuration, keys, credentials, ledger and artifacts.

    undersigned.toml              configuration, read strictly: an unknown name is an error
    keys/agent.json               private key of the agent, sealed; keys/organisation.json likewise
    keys/log.json                 the same of the key that signs checkpoints, if the agent's is not Ed25519
    keys/passphrase               what seals them, unless UNDERSIGNED_PASSPHRASE says another (mode 0600)
    did.json, organisation.json   the DID documents that are published
    did.jsonl, keys/update-*.json the log of an agent with a did:webvh, in place of did.json (`own_log.py`)
    credentials/*.json            what this agent shows about itself
    issued.db                     what the organisation issued and withdrew
    approvals/*/*.json            what people signed about terms that wait for them, by the digest of the terms
    anchors/*.json                signed records of further anchors; anchors/removed/ keeps those taken out
    trust.db                      the trust graph
    ledger.db                     journal and log
    control.token                 who has it may use the control listener (mode 0600)
    gate.token                    the same of the listener for gates
    artifacts/                    contents by digest
    scratch/                      what is on its way to an object store, if `[artifacts]` names one
    evidence/                     evidence packs
    verdicts/                     verdicts on artifacts, and what they were made from

Source: protocol-spec/02-identity-and-keys.md
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tomllib
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec

from undersigned.contract import Price
from undersigned.credentials import Claim, Credential, Membership, claim_credential, read_credential
from undersigned.did import (
    DidDocument,
    did_key,
    document_from,
    fetches,
    is_derived,
    keeps_history,
    make_document,
    parse_did,
)
from undersigned.encoding import FOREIGN_LIMITS, JsonObject, canonicalize, decode_json, from_struct, in_words, shift
from undersigned.errors import ConfigurationError, FormatError, UndersignedError
from undersigned.jsonld import Contexts
from undersigned.scope import Labels, read_limit
from undersigned.transport import free_ports
from undersigned.trust import ANY, Approvers, Policy, Registry

from .clock import Clock, SystemClock
from .control import CONTROL_TOKEN, GATE_TOKEN, ControlPart, control_token, named_contexts
from .files import read_file, write_whole
from .names import fresh_urn
from .objects import checked_store
from .order import budget_limits, checked_name, parse_price
from .own_log import LOG, begin_log, continue_log
from .policy_file import with_cedar
from .registry_part import RegistryPart, read_token, registries_of
from .signers import KeyKind, PrivateKey, generate_key, open_key, seal_key
from .status_register import StatusRegister
from .witnesses import WitnessPart, witnesses_of

__all__ = [
    "ArtifactsPart",
    "Configuration",
    "Home",
    "ListenPart",
    "OfferPart",
    "OrganisationPart",
    "TrustPart",
    "claimed",
    "create_home",
    "distinct_offers",
    "issue_claims",
    "issue_membership",
    "named_passphrase",
    "rotate_key",
]

CONFIGURATION: Final = "undersigned.toml"
_CREDENTIAL_LIMITS: Final = msgspec.structs.replace(FOREIGN_LIMITS, max_bytes=96 * 1024, max_string=96 * 1024)
"""An enveloped credential of 64 KiB is a text of a third more."""
_MADE: Final = (
    *(CONFIGURATION, "did.json", "organisation.json", LOG),
    *("issued.db", "issued.db-journal", "issued.db-wal", "issued.db-shm"),
    *("credentials/membership.json", "credentials"),
)
"""What `create_home` and `issue_membership` write beside the keys; a folder after what is in it."""
_DOMAIN: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.(?!-)[a-z0-9-]{1,63})+", re.ASCII)

_ORIGIN: Final = re.compile(rf"https://{_DOMAIN.pattern}(:[1-9][0-9]{{0,4}})?", re.ASCII)

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
    delivers: str = "result"
    """Name of what the handler delivers, unless the hirer names another."""
    media_type: str = "application/octet-stream"
    capacity: Annotated[int, msgspec.Meta(ge=1)] = 16
    """How many contracts at a time."""


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


def _misplaced(said: str) -> str:
    """Whoever appends a member of the file to its end has put it into the table that stands last."""
    unknown = _UNKNOWN_BELOW.search(said)
    if unknown is None or unknown[1] not in Configuration.__struct_fields__:
        return ""
    return f"; {unknown[1]} is a member of the file: it stands before the first [table]"


class Home:
    """An opened state folder.

    Raises:
        ConfigurationError: `not_found` without a configuration, `bad_configuration` when it cannot be used;
            `missing_extra`, it needs something not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        file = path / CONFIGURATION
        try:
            raw = read_file(file)
        except OSError as exc:
            raise ConfigurationError(
                "not_found",
                f"{path} is not a state folder: it has no {CONFIGURATION}; make one with 'undersigned init'",
            ) from exc
        try:
            table = tomllib.loads(raw.decode())
            if isinstance(table.get("policy"), dict):
                table["policy"] = with_cedar(table["policy"], path)
            self.configuration = msgspec.convert(table, Configuration)
            self.configuration.policy.checked()
            for listener in (self.configuration.control, self.configuration.gates):
                if listener is not None:
                    listener.checked()
            part, trust = self.configuration.organisation, self.configuration.trust
            checked_name("name", self.configuration.name)
            if part is not None:
                checked_name("organisation: name", part.name)
            distinct_offers(offer.task for offer in self.configuration.offer)
            for did in (self.configuration.did, *([part.did] if part else []), *trust.anchors, *trust.people):
                parse_did(did)
            self.approvers = Approvers.from_toml(self.configuration.approvers)
            if self.configuration.policy.two_above is not None and len(self.approvers.people) < 2:
                raise ValueError("policy two_above takes two people in [approvers]")
            if self.configuration.policy.asks and not self.approvers.people:
                raise ValueError("policy puts terms to a person, and [approvers] has none")
            for did in (*self.configuration.moved, *self.configuration.moved.values()):
                if not keeps_history(did):
                    raise ValueError(f"{did} keeps no history, so it cannot move")
            self.registries: tuple[Registry, ...] = registries_of(
                self.configuration.registry, local=self.configuration.local
            )
            self.witnesses = witnesses_of(self.configuration.witness, local=self.configuration.local)
            checked_store(self.configuration.artifacts.store)
            self.labels = self._labels(self.configuration.labels)
            self.budget = budget_limits(map(read_limit, self.configuration.budget))
            resolver = self.configuration.resolver
            if resolver is not None and not resolver.startswith("https://") and not self.configuration.local:
                raise ValueError(f"resolver {resolver} is not https")
        except (ValueError, RecursionError, msgspec.ValidationError, UndersignedError) as exc:
            code = exc.code if isinstance(exc, ConfigurationError) else "bad_configuration"
            raise ConfigurationError(code, f"{file}: {in_words(str(exc))}{_misplaced(str(exc))}") from exc
        if self.configuration.local and self.configuration.listen.host not in {"127.0.0.1", "::1", "localhost"}:
            # What `init --local` makes speaks http and ws without TLS, and never leaves this machine.
            raise ConfigurationError(
                "bad_configuration",
                f"a local state folder listens on loopback only, not on {self.configuration.listen.host}",
            )

    def _labels(self, name: str | None) -> Labels | None:
        """What is known about targets; None without a file, when whoever asks our gate has to know.

        Raises:
            ConfigurationError: `bad_configuration`.
        """
        if name is None:
            return None
        try:
            return Labels.from_toml(tomllib.loads((self.path / name).read_text("utf-8")))
        except (OSError, ValueError) as exc:
            raise ConfigurationError("bad_configuration", f"labels {self.path / name}: {exc}") from exc

    def registry_token(self, registry: Registry) -> str | None:
        """The bearer token for a registry; None if it asks for none.

        Raises:
            ConfigurationError: `key_unavailable`, its file cannot be read, or holds no token.
        """
        for part, one in zip(self.configuration.registry, self.registries, strict=True):
            if one is registry and part.token_file is not None:
                return read_token(self.path / part.token_file)
        return None

    @property
    def ledger(self) -> Path:
        """File of the ledger."""
        return self.path / "ledger.db"

    @property
    def ledger_url(self) -> str:
        """URL of the ledger, for `open_ledger`."""
        return f"sqlite://{quote(str(self.ledger.absolute()))}"

    @property
    def books_url(self) -> str | None:
        """URL of the file in which this agent books together with other processes, if there is one."""
        name = self.configuration.books
        return None if name is None else f"sqlite://{quote(str((self.path / name).absolute()))}"

    @property
    def anchors(self) -> Path:
        """Folder of the signed records of anchors."""
        return self.path / "anchors"

    @property
    def orders(self) -> Path:
        """Where the owner leaves orders for contracts, and the running peer its answers."""
        return self.path / "orders"

    @property
    def approvals(self) -> Path:
        """Folder of what people signed about terms."""
        return self.path / "approvals"

    @property
    def trust(self) -> Path:
        """File of the trust graph."""
        return self.path / "trust.db"

    @property
    def verdicts(self) -> Path:
        """Verdicts on artifacts, by digest; and what the owner stated as a verifier that contracts name."""
        return self.path / "verdicts"

    @property
    def artifacts(self) -> Path:
        """Folder of contents by digest."""
        return self.path / "artifacts"

    @property
    def scratch(self) -> Path:
        """Folder of what is on its way into a store that is not on this machine."""
        return self.path / "scratch"

    @property
    def evidence(self) -> Path:
        """Folder of evidence packs."""
        return self.path / "evidence"

    def tls(self) -> SSLContext | None:
        """How TLS is spoken to others; None for the usual way, with the system's certificate authorities alone.

        Raises:
            ConfigurationError: `bad_configuration`, `ca_file` cannot be used.
        """
        name = self.configuration.ca_file
        if name is None:
            return None
        context = create_default_context()
        try:
            # What stands beside the certificates may be in any characters.
            context.load_verify_locations(cadata=read_file(self.path / name).decode("ascii", "ignore"))
        except (OSError, ValueError) as exc:  # SSLError is an OSError
            raise ConfigurationError("bad_configuration", f"ca_file {self.path / name}: {exc}") from exc
        return context

    def key(self, name: str = "agent") -> PrivateKey:
        """The private key `agent` or `organisation`.

        Raises:
            ConfigurationError: `key_unavailable`.
        """
        return open_key(self.path / "keys" / f"{name}.json", _passphrase(self.path))

    def log_key(self) -> PrivateKey:
        """The private key that signs checkpoints of the log: the agent's, if it is Ed25519, else one of its own.

        Raises:
            ConfigurationError: `key_unavailable`.
        """
        key = self.key("agent")
        return key if key.public_key.kind == "Ed25519" else self.key("log")

    def document(self) -> DidDocument:
        """The agent's DID document, as published."""
        return self._document(self.configuration.did, "did.json")

    def organisation_document(self) -> DidDocument | None:
        """The organisation's DID document, if there is one."""
        part = self.configuration.organisation
        return self._document(part.did, "organisation.json") if part else None

    def issuers(self) -> tuple[DidDocument, ...]:
        """DID documents of those who vouch for this agent, as far as the folder has them."""
        document = self.organisation_document()
        return () if document is None else (document,)

    def log(self) -> bytes | None:
        """The log of the agent's DID, as published; None if its method keeps none.

        Raises:
            ConfigurationError: `not_found`.
        """
        if not keeps_history(self.configuration.did):
            return None
        try:
            return read_file(self.path / LOG)
        except OSError as exc:
            raise ConfigurationError("not_found", f"{self.path / LOG} is missing: {exc}") from exc

    def control_token(self) -> str:
        """What a request to the control listener has to show; made when it is first asked for.

        Raises:
            ConfigurationError: `bad_configuration`, others can read its file or it is none; `key_unavailable`.
        """
        return control_token(self.path / CONTROL_TOKEN)

    def gate_token(self) -> str:
        """What a gate has to show to the peer; made when it is first asked for. It opens nothing else.

        Raises:
            ConfigurationError: As `control_token`.
        """
        return control_token(self.path / GATE_TOKEN)

    def contexts(self, part: ControlPart) -> Contexts:
        """The bundled contexts and those that the control listener's configuration names.

        Raises:
            ConfigurationError: `bad_configuration`.
        """
        return named_contexts(self.path, part)

    def _document(self, did: str, name: str) -> DidDocument:
        if did == self.configuration.did and (log := self.log()) is not None:
            try:
                return document_from(did, {fetches(did, local=True)[0]: log}, now=SystemClock().now())
            except UndersignedError as exc:
                raise ConfigurationError("bad_configuration", f"{self.path / LOG}: {exc}") from exc
        if not did.startswith("did:web:"):
            try:
                return document_from(did, {})
            except UndersignedError as exc:
                raise ConfigurationError("bad_configuration", f"{self.path / CONFIGURATION}: {exc}") from exc
        try:
            raw = read_file(self.path / name)
        except OSError as exc:
            raise ConfigurationError("not_found", f"{self.path / name} is missing: {exc}") from exc
        try:
            return DidDocument(did, raw)
        except UndersignedError as exc:
            raise ConfigurationError("bad_configuration", f"{self.path / name}: {exc}") from exc

    def register(self) -> StatusRegister:
        """What the organisation of this folder issued.

        Raises:
            ConfigurationError: `bad_configuration`, the folder has no organisation.
        """
        document = self.organisation_document()
        if document is None:
            raise ConfigurationError("bad_configuration", f"{self.path} has no organisation")
        local = self.configuration.local
        return StatusRegister(self.path / "issued.db", document, lambda: self.key("organisation"), local=local)

    def credentials(self) -> tuple[Credential, ...]:
        """The credentials this agent can present, in order of file name."""
        return tuple(self.credential(file) for file in sorted((self.path / "credentials").glob("*.json")))

    @staticmethod
    def credential(file: Path) -> Credential:
        """The credential in one file of the folder.

        Raises:
            ConfigurationError: `bad_configuration`, it is none.
        """
        try:
            value = decode_json(read_file(file), _CREDENTIAL_LIMITS)
            if not isinstance(value, dict):
                raise FormatError("bad_json", "expected a JSON object")
            return read_credential(value)
        except (OSError, UndersignedError) as exc:
            raise ConfigurationError("bad_configuration", f"{file}: {exc}") from exc


def named_passphrase() -> str | None:
    """The passphrase that the environment names; None: each state folder has its own.

    Raises:
        ConfigurationError: `key_unavailable`, it is not text.
    """
    named = os.environ.get("UNDERSIGNED_PASSPHRASE")
    try:
        return os.fsencode(named).decode() if named else None
    except UnicodeDecodeError as exc:
        raise ConfigurationError("key_unavailable", "UNDERSIGNED_PASSPHRASE is not UTF-8 text") from exc


def _passphrase(path: Path) -> str:
    if named := named_passphrase():
        return named
    file = path / "keys" / "passphrase"
    try:
        return read_file(file).decode().strip()
    except OSError as exc:
        raise ConfigurationError(
            "key_unavailable", "the keys are sealed: set UNDERSIGNED_PASSPHRASE (there is no keys/passphrase)"
        ) from exc
    except UnicodeDecodeError as exc:
        raise ConfigurationError("key_unavailable", f"{file} is not UTF-8 text") from exc


@contextmanager
def claimed(path: Path) -> Generator[None]:
    """A block that makes a state folder at `path` with `create_home` and `issue_membership`, and nobody else meanwhile.
    If it fails, what it wrote is taken away again, since half of it would be in the way, and nothing else is.

    Raises:
        ConfigurationError: `bad_configuration`, somebody made one there, or is about to.
    """
    new, keys = not path.exists(), path / "keys"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)  # whose folder was there already decides itself who may look
    try:
        keys.mkdir(mode=0o700)  # one of two who try has it
    except FileExistsError as exc:
        raise ConfigurationError("bad_configuration", f"{path} is a state folder already: it has {keys.name}") from exc
    made = [path / name for name in _MADE if not (path / name).exists()]
    try:
        yield
    except BaseException:
        shutil.rmtree(keys, ignore_errors=True)
        for one in [*made, path] if new else made:
            with suppress(OSError):  # not there, or with something in it that is not ours
                one.rmdir() if one.is_dir() else one.unlink()
        raise


def create_home(
    path: Path,
    *,
    name: str,
    organisation: str | None = None,
    domain: str | None = None,
    url: str | None = None,
    local: bool = False,
    port: int | None = None,
    kind: KeyKind = "Ed25519",
    anchors: tuple[str, ...] = (),
    offers: tuple[OfferPart, ...] = (),
    max_price: str | None = None,
    history: bool = False,
    policy: str | None = None,
    office: bool = True,
    clock: Clock | None = None,
) -> Home:
    """A new state folder: keys made and sealed, DIDs chosen, configuration written. Nothing is overwritten.

    With `domain` the DIDs are `did:web`, with `local` and `port` they are `did:web:localhost%3APORT`, else `did:key`.
    With `history` the agent's is a `did:webvh` in place of `did:web`: it shows its former keys. Only
    `local` state may use loopback without TLS. `port` is the one listened on: by default 8443 behind a `domain` or
    `url`, where others reach it, and a free one if `local`: chosen here once, because contracts name it.

    Raises:
        ConfigurationError: `bad_configuration`, the folder holds one already or an argument is not usable.
    """
    if (path / CONFIGURATION).exists():
        raise ConfigurationError("bad_configuration", f"{path} is a state folder already")
    checked_name("name", name)
    checked_name("organisation", organisation or name)
    distinct_offers(offer.task for offer in offers)
    if domain is not None and not _DOMAIN.fullmatch(domain):
        raise ConfigurationError("bad_configuration", f"{domain!r} is not a lower-case domain name")
    if url is not None and (domain or local or not _ORIGIN.fullmatch(url)):
        raise ConfigurationError(
            "bad_configuration", f"expected https://host, with no domain and not local, got {url!r}"
        )
    if domain is None and not (local and port) and kind != "Ed25519":
        raise ConfigurationError("bad_configuration", "a did:key agent needs an Ed25519 key, which also signs its log")
    if history and domain is None and not (local and port):
        raise ConfigurationError("bad_configuration", "a did:webvh needs a domain, or the port of a local agent")
    if organisation is not None and not office:
        raise ConfigurationError("bad_configuration", "without an office there is no organisation to be named")
    rules = _policy_lines(policy, parse_price(max_price) if max_price else None)
    agent, office_key = generate_key(kind), generate_key("Ed25519") if office else None
    log = None if kind == "Ed25519" else generate_key("Ed25519")
    authority = f"localhost:{port}" if local and port else domain
    public = f"https://{domain}" if domain else url
    published: dict[str, bytes] = {}
    services: tuple[tuple[str, str], ...] = ()
    if authority:
        base = "did:web:" + quote(authority, safe="")
        did, office_did = base, base + ":org"
        scheme = "ws" if local else "wss"
        origin = f"http://{authority}" if local else f"https://{authority}"
        linked = ("LinkedDomains", origin)
        services = (("HireService", f"{scheme}://{authority}/hire"), linked)
        if not history:
            published["did.json"] = canonicalize(_published(did, "agent", agent, services, log))
        if office_key is not None:
            published["organisation.json"] = canonicalize(_published(office_did, "office", office_key, (linked,)))
    else:
        did, office_did = did_key(agent.public_key), did_key(office_key.public_key) if office_key is not None else ""
    lines = [
        f"name = {_toml(name)}",
        f"local = {'true' if local else 'false'}",
        *(
            ["", "[organisation]", f"did = {_toml(office_did)}", f"name = {_toml(organisation or name)}"]
            if office
            else []
        ),
        "",
        "[listen]",
        'host = "127.0.0.1"',
        f"port = {port or (8443 if public else free_ports(1)[0] if local else 0)}",
        *([f"url = {_toml(public)}"] if public else []),
        "",
        "[trust]",
        f"anchors = [{', '.join(_toml(anchor) for anchor in anchors)}]",
        "",
        *rules,
    ]
    for offer in offers:
        lines += [
            "",
            "[[offer]]",
            f"task = {_toml(offer.task)}",
            f"handler = {_toml(offer.handler)}",
            f"price = {_toml(offer.price)}",
            f"summary = {_toml(offer.summary)}",
            f"delivers = {_toml(offer.delivers)}",
            f"media_type = {_toml(offer.media_type)}",
            f"capacity = {offer.capacity}",
        ]

    # Nothing is written before everything that can be wrong was found. The configuration makes it a state folder, so it
    # comes last.
    path.mkdir(mode=0o700, parents=True, exist_ok=True)  # whose folder was there already decides itself who may look
    keys = path / "keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    if not os.environ.get("UNDERSIGNED_PASSPHRASE"):
        descriptor = os.open(keys / "passphrase", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
    passphrase = _passphrase(path)
    seal_key(keys / "agent.json", agent, passphrase)
    if office_key is not None:
        seal_key(keys / "organisation.json", office_key, passphrase)
    if log is not None:
        seal_key(keys / "log.json", log, passphrase)
    for file_name, document in published.items():
        (path / file_name).write_bytes(document)
    if history and authority:
        did = begin_log(
            path,
            quote(authority, safe=""),
            lambda unnamed: _published(unnamed, "agent", agent, services, log),
            passphrase=passphrase,
            now=(clock or SystemClock()).now(),
        )
    lines.insert(0, f"did = {_toml(did)}")
    (path / CONFIGURATION).write_bytes("\n".join([*lines, ""]).encode())
    return Home(path)


def issue_claims(
    home: Home, claims: Iterable[Claim], *, days: int = 365, clock: Clock | None = None
) -> tuple[JsonObject, ...]:
    """Has the organisation of a state folder say these, under signature; a credential of each, for its subject to keep.

    Raises:
        ConfigurationError: `bad_configuration`, the folder has no organisation.
        CredentialError, FormatError: As `claim_credential`: not for this organisation to say, or of another shape; then
            none is issued.
    """
    register, now = home.register(), (clock or SystemClock()).now()
    until, said = shift(now, days * 86_400), tuple(claims)
    for claim in said:
        # What is wrong is found before anything is written down.
        claim_credential(claim, id=fresh_urn(), issuer=register.issuer, valid_from=now, valid_until=until)
    issued: list[JsonObject] = []
    try:
        for claim in said:
            subject = from_struct(claim)
            issued.append(register.issue(claim.type, subject.pop("id"), subject, now=now, until=until))
    finally:
        register.close()
    return tuple(issued)


async def issue_membership(home: Home, *, days: int = 365, clock: Clock | None = None) -> Path:
    """Has the organisation of a state folder say, under signature, that it operates the agent; returns the file.

    Raises:
        ConfigurationError: `bad_configuration`, the folder has no organisation.
    """
    part = home.configuration.organisation
    claim = Membership(id=home.configuration.did, member_of=part.did if part else "")
    (signed,) = issue_claims(home, [claim], days=days, clock=clock)
    path = home.path / "credentials" / "membership.json"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_whole(path, canonicalize(signed))
    return path


def _published(
    did: str, fragment: str, key: PrivateKey, services: tuple[tuple[str, str], ...], log: PrivateKey | None = None
) -> JsonObject:
    """The DID document of a DID with a domain. The log's own key asserts, and authenticates nobody."""
    keys = {fragment: key.public_key}
    asserting = keys if log is None else {**keys, "log": log.public_key}
    return make_document(did, authentication=keys, assertion_method=asserting, services=services)


def rotate_key(home: Home, *, clock: Clock | None = None) -> str:
    """Gives the agent a new key under the same DID; the old one is kept under keys/retired. Returns the new method.

    Raises:
        ConfigurationError: `bad_configuration`, the DID is its key and cannot rotate; `key_unavailable`.
    """
    did = home.configuration.did
    if is_derived(did):
        raise ConfigurationError("bad_configuration", f"{did} is its key: it cannot rotate")
    old = home.document()
    # What opens the old keys seals the new one, so that one passphrase opens them all.
    kind, log = home.key("agent").public_key.kind, home.log_key()
    passphrase = _passphrase(home.path)
    key = generate_key(kind)
    number = 1 + len(list((home.path / "keys" / "retired").glob("agent-*.json")))
    retired = home.path / "keys" / "retired" / f"agent-{number}.json"
    retired.parent.mkdir(mode=0o700, exist_ok=True)
    (home.path / "keys" / "agent.json").rename(retired)
    seal_key(home.path / "keys" / "agent.json", key, passphrase)
    fragment = f"agent-{number + 1}"
    services = tuple((kind, url) for kind in ("HireService", "LinkedDomains") for url in old.services(kind))
    published = _published(did, fragment, key, services, log if kind != "Ed25519" else None)
    if keeps_history(did):
        continue_log(home.path, published, passphrase=passphrase, now=(clock or SystemClock()).now())
    else:
        write_whole(home.path / "did.json", canonicalize(published))
    return f"{did}#{fragment}"


def _policy_lines(policy: str | None, limit: Price | None) -> list[str]:
    """The table [policy] of a new configuration.

    Raises:
        ConfigurationError: `bad_configuration`: it is no policy, or limits the price a second time.
    """
    if policy is None:
        lines = ["[policy]", 'require = ["MembershipCredential"]']
        return lines + ([f"max_price = {_toml(limit.amount)}", f"currency = {_toml(limit.currency)}"] if limit else [])
    try:
        tables = tomllib.loads(policy)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigurationError("bad_configuration", f"policy: {exc}") from exc
    if tables.keys() != {"policy"} or limit is not None:
        raise ConfigurationError(
            "bad_configuration", "expected a table [policy] and nothing else, which says itself how much is paid"
        )
    Policy.from_toml(tables["policy"])
    return policy.strip().splitlines()


def _toml(text: str) -> str:
    """A TOML basic string."""
    if not text.isprintable():
        raise ConfigurationError("bad_configuration", f"characters that do not print in {text!r}")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
