"""An organisation that gives its processes identities: each a key, a `did:key`, and a membership of minutes.

    with Organisation("acme") as acme:
        with acme.spawn(200, minutes=10, ceiling=Ceiling(amount="5", currency="EUR")) as swarm:
            for number, one in enumerate(swarm.identities):
                swarm.write(one, folder / f"{number:04}")
            ...                                   # start the processes, each on its folder, and wait for them
        # here all of them are withdrawn

Issuing and withdrawing block, some milliseconds for every ten identities: the register is written before anything is
given away. A process that dies without leaving the block withdraws nothing; what it gave out ends within minutes.

Source: protocol-spec/02-identity-and-keys.md, section 2.16
"""

from __future__ import annotations

import json
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from undersigned.credentials import MEMBERSHIP, Ceiling
from undersigned.did import did_key
from undersigned.encoding import Did, Instant, JsonObject, canonicalize, compare_amounts, from_struct, shift, to_struct
from undersigned.errors import ConfigurationError, FormatError
from undersigned.runtime.clock import Clock, SystemClock
from undersigned.runtime.files import files_of, read_file, write_new
from undersigned.runtime.signers import PrivateKey, Sealer, generate_key
from undersigned.trust import Policy

from .configuration import CONFIGURATION
from .home import Home, named_passphrase
from .status_register import CredentialContent, StatusRegister

__all__ = ["SPAWN_BATCH", "Organisation", "Spawned", "Swarm"]

SPAWN_BATCH: Final = 500
"""Identities that are issued in one commit."""
MOST_MINUTES: Final = 60


class Spawned(msgspec.Struct, frozen=True, kw_only=True):
    """One identity of a swarm."""

    did: Did
    key: PrivateKey
    membership: JsonObject
    """The signed credential."""
    until: Instant
    """Last second in which it is valid, if it is not withdrawn before."""


class Organisation:
    """The organisation of a state folder, with its key and the register of what it issued; `close` it at the end.

    Raises:
        ConfigurationError: When made. `bad_configuration`: the folder has no organisation; or as `Home`.
    """

    def __init__(self, home: Home | Path | str, *, clock: Clock | None = None) -> None:
        self.home = home = home if isinstance(home, Home) else Home(home)
        self.clock: Clock = clock or SystemClock()
        self.register: StatusRegister = home.register()

    @property
    def did(self) -> Did:
        """The issuer of all that it says."""
        return self.register.issuer

    def spawn(self, count: int, *, minutes: int = 10, ceiling: Ceiling | None = None) -> Swarm:
        """So many identities, issued when the swarm is entered with `with`, and withdrawn when it is left.

        Raises:
            ConfigurationError: `bad_configuration`: more than an hour, a ceiling that no peer could read or no policy
                could have, or the organisation could not withdraw them.
        """
        return Swarm(self, count, minutes=minutes, ceiling=ceiling)

    def close(self) -> None:
        """Closes the register."""
        self.register.close()

    def __enter__(self) -> Organisation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


SPAWNED_BOOKS: Final = "spawned.db"
"""Where identities book that have a budget, unless the settings say where: all of an organisation in one."""
FILES: Final = frozenset({"books", "labels"})
"""Settings that name a file in the state folder. With books of its own each identity would have the whole budget."""


class Swarm:
    """Identities that end together. Made by `Organisation.spawn`."""

    def __init__(self, organisation: Organisation, count: int, *, minutes: int, ceiling: Ceiling | None) -> None:
        if not 1 <= minutes <= MOST_MINUTES:
            raise ConfigurationError("bad_configuration", f"expected 1 to {MOST_MINUTES} minutes, got {minutes}")
        if not organisation.register.serves_lists:
            raise ConfigurationError(
                "bad_configuration",
                f"{organisation.did} has no domain to serve a status list at, so it could not withdraw identities: "
                "make the state folder with a domain, or with --local and a port",
            )
        if ceiling is not None:
            try:
                to_struct(from_struct(ceiling), Ceiling)
            except FormatError as error:
                raise ConfigurationError("bad_configuration", f"ceiling{error.path}: {error.message}") from error
            # What it limits becomes the policy of each of them.
            Policy(currency=ceiling.currency, max_price=ceiling.amount, actions=ceiling.actions).checked()
        self.identities: list[Spawned] = []
        """All that were issued, in this order."""
        self._organisation = organisation
        self._count = count
        self._seconds = 60 * minutes
        self._ceiling = ceiling
        self._template: _Template | None = None

    @property
    def until(self) -> Instant:
        """When the last of them ends by itself."""
        return max((one.until for one in self.identities), default=self._organisation.clock.now())

    def add(self, count: int) -> tuple[Spawned, ...]:
        """So many more, in one commit.

        Raises:
            ConfigurationError: `key_unavailable`.
            LedgerError: The register was not written; none was issued.
        """
        register, now = self._organisation.register, self._organisation.clock.now()
        until = shift(now, self._seconds)
        keys = [generate_key() for _ in range(count)]
        dids = [did_key(key.public_key) for key in keys]
        claims: dict[str, Any] = {"memberOf": register.issuer}
        if self._ceiling is not None:
            claims["limits"] = from_struct(self._ceiling)
        signed = register.issue_all((CredentialContent(MEMBERSHIP, did, claims) for did in dids), now=now, until=until)
        made = tuple(
            Spawned(did=did, key=key, membership=one, until=until)
            for did, key, one in zip(dids, keys, signed, strict=True)
        )
        self.identities += made
        return made

    def withdraw(self) -> int:
        """Withdraws all of them in one commit, and says how many that changed; again changes nothing.

        Raises:
            ConfigurationError: `key_unavailable`: they are withdrawn, and no list says otherwise.
            LedgerError: The register was not written; they end by themselves. As `StatusRegister.revoke_all`.
        """
        ids = [str(one.membership["id"]) for one in self.identities]
        return self._organisation.register.revoke_all(ids, self._organisation.clock.now()) if ids else 0

    def write(self, one: Spawned, folder: Path) -> Home:
        """A state folder for a process that acts as `one`: its key, its membership, and the rules of the organisation's
        own folder, narrowed to the ceiling. It offers no work; the process may.

        Raises:
            ConfigurationError: `bad_configuration`: the folder holds a state folder already, or the ceiling and the
                policy of the organisation's folder have different currencies.
        """
        if self._template is None:
            self._template = _Template(self._organisation.home, self._ceiling)
        self._template.write(one, folder)
        return Home(folder)

    def __enter__(self) -> Swarm:
        try:
            while len(self.identities) < self._count:
                self.add(min(SPAWN_BATCH, self._count - len(self.identities)))
        except BaseException:
            self.withdraw()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.withdraw()


class _Template:
    """What all state folders of a swarm have in common, read once."""

    def __init__(self, home: Home, ceiling: Ceiling | None) -> None:
        settings = tomllib.loads(read_file(home.path / CONFIGURATION).decode())
        # Where the organisation's own peer listens, what it offers, and who watches its log, are its own: no witness
        # knows the log of an identity of minutes. All else narrows, and is kept.
        for name in ("did", "listen", "control", "gates", "offer", "witness"):
            settings.pop(name, None)
        if settings.get("budget"):
            settings.setdefault("books", SPAWNED_BOOKS)
        settings = _absolute(settings, home.path)
        settings["policy"] = _narrowed(settings.get("policy", {}), ceiling or Ceiling())
        self._settings = settings
        self._files: dict[str, bytes] = {}
        for file in (home.path / "organisation.json", *files_of(home.anchors, "*.json")):
            self._files[str(file.relative_to(home.path))] = read_file(file)
        # As with every state folder: sealed under what the environment names, else under what lies beside.
        named = named_passphrase()
        if named is None:
            self._passphrase = secrets.token_urlsafe(24)
            self._files["keys/passphrase"] = f"{self._passphrase}\n".encode()
        self._sealer = Sealer(named or self._passphrase)

    def write(self, one: Spawned, folder: Path) -> None:
        if (folder / CONFIGURATION).exists():
            raise ConfigurationError("bad_configuration", f"{folder} is a state folder already")
        (folder / "credentials").mkdir(parents=True, exist_ok=True)
        self._sealer.seal(folder / "keys" / "agent.json", one.key)
        for name, data in self._files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_new(path, data)
        write_new(folder / "credentials" / "membership.json", canonicalize(one.membership))
        lines = [f"{name} = {toml_value(value)}" for name, value in {"did": one.did, **self._settings}.items()]
        # The configuration makes it a state folder, so it comes last.
        write_new(folder / CONFIGURATION, "\n".join([*lines, ""]).encode())


def _absolute(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings, with the files that they name where they lie: under names that end in `_file`, or in `FILES`."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        match value:
            case str() if name.endswith("_file") or name in FILES:
                found[name] = str((folder / value).absolute())
            case dict():
                found[name] = _absolute(cast("dict[str, Any]", value), folder)
            case list():
                items = cast("list[Any]", value)
                found[name] = [
                    _absolute(cast("dict[str, Any]", one), folder) if isinstance(one, dict) else one for one in items
                ]
            case _:
                found[name] = value
    return found


def _narrowed(policy: Mapping[str, Any], ceiling: Ceiling) -> dict[str, Any]:
    """The policy, so that an identity does not sign itself what its peers would refuse."""
    found = dict(policy)
    if ceiling.currency is not None and found.setdefault("currency", ceiling.currency) != ceiling.currency:
        raise ConfigurationError(
            "bad_configuration", f"the policy deals in {found['currency']}, the ceiling is in {ceiling.currency}"
        )
    if ceiling.amount is not None:
        most = str(found.get("max_price", ceiling.amount))
        found["max_price"] = ceiling.amount if compare_amounts(ceiling.amount, most) < 0 else most
    if ceiling.actions is not None:
        found["actions"] = sorted(set(ceiling.actions) & set(found.get("actions", ceiling.actions)))
    return found


def toml_value(value: object) -> str:
    """A value of a parsed TOML file, as TOML on one line: tables are inline ones."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # a JSON string is a basic string
        case list():
            return f"[{', '.join(toml_value(one) for one in cast('list[object]', value))}]"
        case dict():
            pairs = cast("dict[str, object]", value).items()
            return f"{{ {', '.join(f'{toml_value(name)} = {toml_value(one)}' for name, one in pairs)} }}"
        case _:
            raise ConfigurationError("bad_configuration", f"expected no {type(value).__name__} in a configuration")
