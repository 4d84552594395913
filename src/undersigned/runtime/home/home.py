"""The state folder of a peer: its configuration, keys, credentials, ledger and artifacts.

    undersigned.toml              configuration, read strictly: an unknown name is an error
    keys/agent.json               private key of the agent, sealed; keys/organisation.json likewise
    keys/agent-next.json          a key that a rotation is about to put, or did not come to put, in place of the agent's
    keys/retired/agent-*.json     keys that the agent had before; the same of the organisation
    keys/log.json                 the same of the key that signs checkpoints, if the agent's is not Ed25519
    keys/passphrase               what seals them, unless UNDERSIGNED_PASSPHRASE says another (mode 0600)
    did.json, organisation.json   the DID documents that are published
    did.jsonl, keys/update-*.json the log of an agent with a did:webvh, in place of did.json (`own_log.py`)
    credentials/*.json            what this agent shows about itself
    issued.db                     what the organisation issued and withdrew; `issued.db.made` says that there is one
    approvals/*/*.json            what people signed about terms that wait for them, by the digest of the terms
    anchors/*.json                signed records of further anchors; anchors/removed/ keeps those taken out
    trust.db                      the trust graph
    histories.json                how far the histories of others' DIDs went
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
import tomllib
from codecs import BOM_UTF8
from collections.abc import Mapping
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Any, Final
from urllib.parse import quote

import msgspec

from undersigned.credentials import Credential, read_credential
from undersigned.did import DidDocument, document_from, fetches, keeps_history
from undersigned.encoding import FOREIGN_LIMITS, decode_json, in_names, in_words
from undersigned.errors import ConfigurationError, FormatError, UndersignedError
from undersigned.jsonld import Contexts
from undersigned.keys import PublicKey
from undersigned.runtime.artifacts.objects import checked_store, open_store
from undersigned.runtime.artifacts.store import ArtifactStore
from undersigned.runtime.clock import SystemClock
from undersigned.runtime.files import MAX_FILE_BYTES, files_of, open_private, read_file, why
from undersigned.runtime.log.witnesses import witnesses_of
from undersigned.runtime.signers import PrivateKey, named_key, open_key
from undersigned.scope import Labels, read_limit
from undersigned.transport import Proxies, is_https_base, is_loopback_name
from undersigned.trust import Approvers, Policy, Registry

from .configuration import CONFIGURATION, Configuration, distinct_offers, misplaced
from .control import CONTROL_TOKEN, GATE_TOKEN, ControlPart, control_token, named_contexts
from .own_log import LOG
from .parsing import budget_limits, checked_dids, checked_folder, checked_name
from .policy_file import with_cedar
from .registry_part import read_token, registries_of
from .status_register import StatusRegister

__all__ = ["Home", "approvers_of", "named_passphrase", "passphrase_of"]

_CREDENTIAL_LIMITS: Final = msgspec.structs.replace(FOREIGN_LIMITS, max_bytes=96 * 1024, max_string=96 * 1024)
"""An enveloped credential of 64 KiB is a text of a third more."""


def approvers_of(policy: Policy, table: Mapping[str, str]) -> Approvers:
    """Those in a parsed `[approvers]` table, as many as the policy asks.

    Raises:
        ConfigurationError: `bad_configuration`, they are not, or one is nobody.
    """
    approvers = Approvers.from_toml(table)
    if policy.two_above is not None and len(approvers.people) < 2:
        raise ConfigurationError("bad_configuration", "policy two_above takes two people in [approvers]")
    if policy.asks and not approvers.people:
        raise ConfigurationError("bad_configuration", "policy puts terms to a person, and [approvers] has none")
    return approvers


class Home:
    """An opened state folder.

    Raises:
        ConfigurationError: `not_found` without a configuration, `bad_configuration` when it cannot be used;
            `missing_extra`, it needs something not installed.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path = checked_folder(path)
        file = path / CONFIGURATION
        try:
            raw = read_file(file)
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise ConfigurationError(
                "not_found",
                f"{path} is not a state folder: it has no {CONFIGURATION}; make one with 'undersigned init'",
            ) from exc
        except OSError as exc:
            raise ConfigurationError("bad_configuration", f"{file} cannot be read: {why(exc)}") from exc
        table: dict[str, Any] = {}
        try:
            if raw.startswith(BOM_UTF8):
                raise ValueError("it begins with a byte order mark: save it as UTF-8 without one")
            table = tomllib.loads(raw.decode())
            if isinstance(table.get("policy"), dict):
                table["policy"] = with_cedar(table["policy"], path)
            self.configuration = msgspec.convert(table, Configuration)
            self.configuration.policy.checked()
            for name, listener in (("control", self.configuration.control), ("gates", self.configuration.gates)):
                if listener is not None:
                    listener.checked(name)
            self.proxies = Proxies(self.configuration.listen.proxies)
            part, trust = self.configuration.organisation, self.configuration.trust
            checked_name("name", self.configuration.name)
            if part is not None:
                checked_name("organisation: name", part.name)
            distinct_offers(offer.task for offer in self.configuration.offer)
            checked_dids("did", (self.configuration.did,))
            checked_dids("[organisation] did", () if part is None else (part.did,))
            checked_dids("[trust] anchors", trust.anchors)
            checked_dids("[trust] people", trust.people)
            self.approvers = approvers_of(self.configuration.policy, self.configuration.approvers)
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
            for name, url in (
                ("listen: url", self.configuration.listen.url),
                ("resolver", self.configuration.resolver),
            ):
                if url is not None and not is_https_base(url, self.configuration.local):
                    raise ValueError(f"{name}: expected https://host, with no query, got {url!r}")
        except (ValueError, RecursionError, msgspec.ValidationError, UndersignedError) as exc:
            code = exc.code if isinstance(exc, ConfigurationError) else "bad_configuration"
            said = exc.message if isinstance(exc, UndersignedError) and not exc.path else why(exc)
            elsewhere = misplaced(said, table)
            told = in_names(in_words(said), Configuration, listed=not elsewhere)
            raise ConfigurationError(code, f"{file}: {told}{elsewhere}") from exc
        if self.configuration.local and not is_loopback_name(self.configuration.listen.host):
            # What `init --local` makes speaks http and ws without TLS, and never leaves this machine. `localhost` in a
            # DID is dialled at 127.0.0.1 alone: at ::1 nobody would find it.
            raise ConfigurationError(
                "bad_configuration",
                f"{file}: a local state folder listens on 127.0.0.1, not on {self.configuration.listen.host!r:.80}",
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
            raise ConfigurationError("bad_configuration", f"labels {self.path / name}: {why(exc)}") from exc

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
        return f"sqlite://{quote(bytes(self.ledger.absolute()))}"

    @property
    def books_url(self) -> str | None:
        """URL of the file in which this agent books together with other processes, if there is one."""
        name = self.configuration.books
        return None if name is None else f"sqlite://{quote(bytes((self.path / name).absolute()))}"

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
    def histories(self) -> Path:
        """How far the histories of others went that were relied on."""
        return self.path / "histories.json"

    @property
    def verdicts(self) -> Path:
        """Verdicts on artifacts, by digest; and what the owner stated as a verifier or ruled as an arbiter."""
        return self.path / "verdicts"

    @property
    def artifacts(self) -> Path:
        """Folder of contents by digest."""
        return self.path / "artifacts"

    @property
    def scratch(self) -> Path:
        """Folder of what is on its way into a store that is not on this machine."""
        return self.path / "scratch"

    def open_artifacts(self) -> ArtifactStore:
        """The store that `[artifacts] store` of the settings names; by default the folder `artifacts`.

        Raises:
            ConfigurationError: As `open_store`.
        """
        return open_store(self.configuration.artifacts.store, self.artifacts, self.scratch)

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
            raise ConfigurationError("bad_configuration", f"ca_file {self.path / name}: {why(exc)}") from exc
        return context

    def key(self, name: str = "agent") -> PrivateKey:
        """The private key `agent`, `organisation` or `log`.

        Raises:
            ConfigurationError: `key_unavailable`.
        """
        file = self.path / "keys" / f"{name}.json"
        if not file.parent.exists():
            # Whoever would put them there in a hurry has to know what that may be.
            text = (
                f"there is no {file.parent}; a copy by 'ledger backup' has none: with them it may go on only if nothing"
            )
            raise ConfigurationError(
                "key_unavailable", f"{text} was said since, or it proves two histories (GUIDE, Copies)"
            )
        if self.has_published_next_key(name):
            file = self.next_key(name)
        return open_key(file, passphrase_of(self.path))

    def former_keys(self, name: str = "agent") -> tuple[PublicKey, ...]:
        """The keys that the agent had before, or the organisation, newest first, as the files of them say.

        Raises:
            ConfigurationError: `key_unavailable`: one cannot be read.
        """
        keys = self.path / "keys"
        files = sorted((keys / "retired").glob(f"{name}-*.json"), key=lambda file: (len(file.name), file.name))
        if self.has_published_next_key(name):  # it makes room at the next rotation
            files.append(keys / f"{name}.json")
        return tuple(named_key(file) for file in reversed(files))

    def next_key(self, name: str = "agent") -> Path:
        """Where a rotation seals a new key until the one before has made room for it."""
        return self.path / "keys" / f"{name}-next.json"

    def has_published_next_key(self, name: str = "agent") -> bool:
        """Whether a rotation was cut short after it had published its key, which counts from then on.

        Raises:
            ConfigurationError: `key_unavailable`; and as `document`.
        """
        if not self.next_key(name).exists():
            return False
        document = self.document() if name == "agent" else self.organisation_document()
        published = {} if document is None else document.keys("authentication", now=SystemClock().now())
        return named_key(self.next_key(name)) in published.values()

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

    def documents(self) -> tuple[DidDocument, ...]:
        """The DID documents that the folder has: the agent's, and that of the organisation that vouches for it."""
        organisation = self.organisation_document()
        return (self.document(), *([] if organisation is None else [organisation]))

    def log(self) -> bytes | None:
        """The log of the agent's DID, as published; None if its method keeps none.

        Raises:
            ConfigurationError: `not_found`; `bad_configuration`, it cannot be read.
        """
        if not keeps_history(self.configuration.did):
            return None
        try:
            return read_file(self.path / LOG)
        except OSError as exc:
            raise unread(self.path / LOG, exc) from exc

    def control_token(self) -> str:
        """What a request to the control listener has to show; made when it is first asked for.

        Raises:
            ConfigurationError: `bad_configuration`, others can read its file or it is none; `key_unavailable`.
        """
        return control_token(self.path / CONTROL_TOKEN, make=True)

    def gate_token(self) -> str:
        """What a gate has to show to the peer; made when it is first asked for. It opens nothing else.

        Raises:
            ConfigurationError: As `control_token`.
        """
        return control_token(self.path / GATE_TOKEN, make=True)

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
            raise unread(self.path / name, exc) from exc
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
        """The credentials this agent can present, in order of file name, as `credential_files`."""
        return tuple(self.credential_files().values())

    def credential_files(self) -> dict[Path, Credential]:
        """What is in each file of the folder `credentials`, in order of file name.

        Raises:
            ConfigurationError: `bad_configuration`, a file is none; or the folder cannot be read, without which this
                agent would show nothing, and be refused everywhere.
        """
        folder = self.path / "credentials"
        try:
            files = files_of(folder, "*.json")
        except OSError as exc:
            raise ConfigurationError("bad_configuration", f"{folder} cannot be read: {why(exc)}") from exc
        found: dict[Path, Credential] = {}
        for file in files:
            try:
                found[file] = self.credential(file)
            except ConfigurationError:
                if os.path.lexists(file):  # else another command has put it aside since the folder was listed
                    raise
        return found

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
            raise ConfigurationError("bad_configuration", f"{file}: {why(exc)}") from exc


def unread(path: Path, exc: OSError) -> ConfigurationError:
    """What is said of a file that has to be there, and was not read: it is missing, or that is not known."""
    if isinstance(exc, FileNotFoundError):
        return ConfigurationError("not_found", f"{path} is missing")
    return ConfigurationError("bad_configuration", f"{path} cannot be read: {why(exc)}")


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


def passphrase_of(path: Path) -> str:
    """What seals the keys of a state folder.

    Raises:
        ConfigurationError: `key_unavailable`; `bad_configuration`, others may read the file that has it.
    """
    if named := named_passphrase():
        return named
    file = path / "keys" / "passphrase"
    try:
        with open_private(file) as opened:
            return opened.read(MAX_FILE_BYTES).decode().strip()
    except FileNotFoundError as exc:
        raise ConfigurationError(
            "key_unavailable", "the keys are sealed: set UNDERSIGNED_PASSPHRASE (there is no keys/passphrase)"
        ) from exc
    except OSError as exc:
        raise ConfigurationError(
            "key_unavailable", f"the keys are sealed, and {file} cannot be read: {why(exc)}"
        ) from exc
    except UnicodeDecodeError as exc:
        raise ConfigurationError("key_unavailable", f"{file} is not UTF-8 text") from exc
