"""How a state folder is made: its keys, its DIDs and its configuration.

Source: protocol-spec/02-identity-and-keys.md
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tomllib
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, cast, get_args
from urllib.parse import quote

import msgspec

from undersigned.contract import Price
from undersigned.did import did_key, make_document
from undersigned.encoding import JsonObject, canonicalize
from undersigned.errors import ConfigurationError
from undersigned.keys import KeyKind, PublicKey
from undersigned.runtime.clock import Clock, SystemClock
from undersigned.runtime.files import naming, write_new, write_whole
from undersigned.runtime.signers import PrivateKey, Sealer, generate_key
from undersigned.transport import free_ports
from undersigned.trust import Policy

from .configuration import CONFIGURATION, OfferPart, distinct_offers
from .home import Home, approvers_of, passphrase_of
from .own_log import LOG, begin_log
from .parsing import check_plug, checked_dids, checked_folder, checked_name, parse_price

__all__ = ["claimed", "create_home", "published_document"]

_MADE: Final = (
    *(CONFIGURATION, "did.json", "organisation.json", LOG),
    *("issued.db", "issued.db-journal", "issued.db-wal", "issued.db-shm", "issued.db.made"),
    *("credentials/membership.json", "credentials"),
)
"""What `create_home` and `issue_membership` write beside the keys; a folder after what is in it."""
_DOMAIN: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.(?!-)[a-z0-9-]{1,63})+", re.ASCII)
MAX_PORT: Final = 65535
_ORIGIN: Final = re.compile(rf"https://{_DOMAIN.pattern}(:[1-9][0-9]{{0,4}})?", re.ASCII)


@contextmanager
def claimed(path: Path) -> Generator[None]:
    """A block that makes a state folder at `path` with `create_home` and `issue_membership`, and nobody else meanwhile.
    If it fails, what it wrote is taken away again, since half of it would be in the way, and nothing else is.

    Raises:
        ConfigurationError: `bad_configuration`, somebody made one there, or is about to, or was cut short.
    """
    new, keys = not path.exists(), path / "keys"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)  # whose folder was there already decides itself who may look
    try:
        keys.mkdir(mode=0o700)  # one of two who try has it
    except FileExistsError as exc:
        raise ConfigurationError("bad_configuration", _taken(path, keys)) from exc
    made = [path / name for name in _MADE if not (path / name).exists()]
    try:
        yield
    except BaseException:
        shutil.rmtree(keys, ignore_errors=True)
        for one in [*made, path] if new else made:
            with suppress(OSError):  # not there, or with something in it that is not ours
                one.rmdir() if one.is_dir() else one.unlink()
        raise


def _taken(path: Path, keys: Path) -> str:
    """Why no state folder is made at `path`; and what to do, if one was not made to its end."""
    making = "a state folder is being made there, or that was cut short"
    if not (path / CONFIGURATION).exists():
        return (
            f"{path} has {keys.name} and no {CONFIGURATION}: {making}; "
            f"then take {keys} away, unless somebody needs them, and make it again"
        )
    if (keys / "organisation.json").exists() and not any((path / "credentials").glob("*.json")):
        did, issue, add = Home(path).configuration.did, "undersigned credentials issue", "undersigned credentials add"
        return (
            f"{path} is a state folder already: it has {keys.name}, and no credential: {making}; then finish it with "
            f"'{issue} {did} --home {path} --out FILE' and '{add} FILE --home {path}'"
        )
    return f"{path} is a state folder already: it has {keys.name}"


def create_home(
    path: Path | str,
    *,
    name: str,
    organisation: str | None = None,
    domain: str | None = None,
    url: str | None = None,
    local: bool = False,
    port: int | None = None,
    kind: KeyKind = "Ed25519",
    anchors: Sequence[str] = (),
    offers: Sequence[OfferPart] = (),
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

    `kind` is that of the agent's key; the organisation, by default of the same `name`, has an Ed25519 key, and there is
    none without `office`. `anchors` are DIDs of issuers that are believed, `offers` the tasks done for others. `policy`
    is TOML, a table `[policy]`, and `[approvers]` if it asks people; else who shows a membership passes, up to
    `max_price`, such as `5.00 EUR`.

    Raises:
        ConfigurationError: `bad_configuration`, the folder holds one already or an argument is not usable.
        OSError: It cannot be written.
    """
    path = checked_folder(path)
    if (path / CONFIGURATION).exists():
        raise ConfigurationError("bad_configuration", f"{path} is a state folder already")
    checked_name("name", name)
    checked_name("organisation", name if organisation is None else organisation)
    _require_kinds(port, anchors, offers, domain=domain, url=url, policy=policy)
    check_plug("clock", clock, "now")
    distinct_offers(offer.task for offer in offers)
    authority = f"localhost:{port}" if local and port else domain
    _require_usable(authority, domain, url, local=local, kind=kind, history=history)
    if organisation is not None and not office:
        raise ConfigurationError("bad_configuration", "without an office there is no organisation to be named")
    rules = _policy_lines(policy, parse_price(max_price, "max_price") if max_price is not None else None)
    agent, office_key = generate_key(kind), generate_key("Ed25519") if office else None
    log = None if kind == "Ed25519" else generate_key("Ed25519")
    beside = None if log is None else {"log": log.public_key}
    if authority:
        named = _on_the_web(authority, local=local)
        documents = _documents(named, None if history else agent, office_key, beside)
    else:
        named = _Named(did_key(agent.public_key), did_key(office_key.public_key) if office_key is not None else "")
        documents = {}
    public = f"https://{domain}" if domain else url
    listened = port or (8443 if public else free_ports(1)[0] if local else 0)
    settings = [
        f"name = {_toml(name)}",
        f"local = {'true' if local else 'false'}",
        *(
            ("", "[organisation]", f"did = {_toml(named.office)}", f"name = {_toml(organisation or name)}")
            if office
            else ()
        ),
        *("", "[listen]", 'host = "127.0.0.1"', f"port = {listened}", *([f"url = {_toml(public)}"] if public else [])),
        *("", "[trust]", f"anchors = {_tomls(anchors)}", "", *rules),
        *(line for offer in offers for line in _offer_lines(offer)),
    ]

    # Nothing is written before everything that can be wrong was found. The configuration makes it a state folder, so it
    # comes last.
    path.mkdir(mode=0o700, parents=True, exist_ok=True)  # whose folder was there already decides itself who may look
    passphrase = _seal_keys(path, {"agent": agent, "organisation": office_key, "log": log})
    for file_name, document in documents.items():
        with naming(path / file_name):
            (path / file_name).write_bytes(document)
    did = named.did
    if history and authority:
        did = begin_log(
            path,
            quote(authority, safe=""),
            lambda unnamed: published_document(unnamed, "agent", agent, named.services, beside),
            passphrase=passphrase,
            now=(clock or SystemClock()).now(),
        )
    write_whole(path / CONFIGURATION, "\n".join([f"did = {_toml(did)}", *settings, ""]).encode())
    return Home(path)


class _Named(NamedTuple):
    """Who a state folder is of."""

    did: str
    office: str
    """Empty if there is none."""
    services: tuple[tuple[str, str], ...] = ()
    """What the documents of both say, by type; that of the organisation not the first, where its agent listens."""


def _on_the_web(authority: str, *, local: bool) -> _Named:
    did = "did:web:" + quote(authority, safe="")
    hire, origin = ("ws", "http") if local else ("wss", "https")
    services = (("HireService", f"{hire}://{authority}/hire"), ("LinkedDomains", f"{origin}://{authority}"))
    return _Named(did, f"{did}:org", services)


def _documents(
    named: _Named, agent: PrivateKey | None, office: PrivateKey | None, beside: Mapping[str, PublicKey] | None
) -> dict[str, bytes]:
    """The DID documents to be published, by file, of those whose keys are given."""
    made: dict[str, bytes] = {}
    if agent is not None:
        made["did.json"] = canonicalize(published_document(named.did, "agent", agent, named.services, beside))
    if office is not None:
        made["organisation.json"] = canonicalize(published_document(named.office, "office", office, named.services[1:]))
    return made


def _require_kinds(port: object, anchors: object, offers: object, **texts: object) -> None:
    """Returns if these are what the signature says. What is not would be found where the configuration is read: when it
    is written, and in the way of the next try.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    if port is not None and (type(port) is not int or not 0 <= port <= MAX_PORT):
        raise ConfigurationError(
            "bad_configuration", f"port: expected a whole number up to {MAX_PORT}, got {port!r:.60}"
        )
    for name, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise ConfigurationError("bad_configuration", f"{name}: expected text, got {text!r:.60}")
    for name, listed, kind, what in (
        ("anchors", anchors, str, "a list of DIDs"),
        ("offers", offers, OfferPart, "a list of offers, such as [OfferPart(task=..., handler=...)]"),
    ):
        if not isinstance(listed, tuple | list) or not all(
            isinstance(one, kind) for one in cast("list[object]", listed)
        ):
            raise ConfigurationError("bad_configuration", f"{name}: expected {what}, got {listed!r:.80}")
    checked_dids("anchors", cast("list[str]", anchors))


def _require_usable(
    authority: str | None, domain: str | None, url: str | None, *, local: bool, kind: KeyKind, history: bool
) -> None:
    """Returns if these go together; `authority` is the host of a `did:web`, if it is to be one.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    if domain is not None and not _DOMAIN.fullmatch(domain):
        raise ConfigurationError("bad_configuration", f"{domain!r} is not a lower-case domain name")
    if url is not None and (domain or local):
        raise ConfigurationError("bad_configuration", "url: it goes with neither domain nor local")
    if url is not None and not _ORIGIN.fullmatch(url):
        text = f"url: expected one such as https://agents.example.com, with no path, got {url!r:.200}"
        raise ConfigurationError("bad_configuration", text)
    if kind not in get_args(KeyKind):
        text = f"kind: expected {', '.join(get_args(KeyKind))}, got {kind!r:.60}"
        raise ConfigurationError("bad_configuration", text)
    if authority is None and kind != "Ed25519":
        raise ConfigurationError("bad_configuration", "a did:key agent needs an Ed25519 key, which also signs its log")
    if authority is None and history:
        raise ConfigurationError("bad_configuration", "a did:webvh needs a domain, or the port of a local agent")


def _offer_lines(offer: OfferPart) -> list[str]:
    return [
        "",
        "[[offer]]",
        f"task = {_toml(offer.task)}",
        f"handler = {_toml(offer.handler)}",
        f"price = {_toml(offer.price)}",
        f"summary = {_toml(offer.summary)}",
        f"delivers = {_toml(offer.delivers) if isinstance(offer.delivers, str) else _tomls(offer.delivers)}",
        f"media_type = {_toml(offer.media_type)}",
        f"capacity = {offer.capacity}",
    ]


def _seal_keys(path: Path, sealed: Mapping[str, PrivateKey | None]) -> str:
    """Writes the keys that there are into the folder, each under its name; the passphrase that opens them, which is in
    the folder too unless the environment names one.
    """
    keys = path / "keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    if not os.environ.get("UNDERSIGNED_PASSPHRASE"):
        write_new(keys / "passphrase", f"{secrets.token_urlsafe(24)}\n".encode())
    passphrase = passphrase_of(path)
    sealer = Sealer(passphrase)  # one for all: what scrypt makes of the passphrase is most of what a new folder costs
    for name, key in sealed.items():
        if key is not None:
            sealer.seal(keys / f"{name}.json", key)
    return passphrase


def published_document(
    did: str,
    fragment: str,
    key: PrivateKey,
    services: tuple[tuple[str, str], ...],
    asserting: Mapping[str, PublicKey] | None = None,
) -> JsonObject:
    """The DID document of a DID with a domain. More keys, by fragment, may assert beside its own, and authenticate
    nobody.
    """
    keys = {fragment: key.public_key}
    asserting = {**keys, **(asserting or {})}
    return make_document(did, authentication=keys, assertion_method=asserting, services=services)


def _policy_lines(policy: str | None, limit: Price | None) -> list[str]:
    """The table [policy] of a new configuration, and [approvers] if there are any.

    Raises:
        ConfigurationError: `bad_configuration`: it is no policy, limits the price a second time, or asks people who are
            not named.
    """
    if policy is None:
        lines = ["[policy]", 'require = ["MembershipCredential"]']
        return lines + ([f"max_price = {_toml(limit.amount)}", f"currency = {_toml(limit.currency)}"] if limit else [])
    try:
        tables = tomllib.loads(policy)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigurationError("bad_configuration", f"policy: {exc}") from exc
    if not {"policy"} <= tables.keys() <= {"policy", "approvers"} or limit is not None:
        what = "expected a table [policy], which says itself how much is paid, [approvers], and nothing else"
        raise ConfigurationError("bad_configuration", what)
    approvers_of(Policy.from_toml(tables["policy"]), _people(tables.get("approvers", {})))
    return policy.strip().splitlines()


def _people(table: object) -> Mapping[str, str]:
    try:
        return msgspec.convert(table, dict[str, str])
    except msgspec.ValidationError as exc:
        raise ConfigurationError("bad_configuration", f"[approvers]: {exc}") from exc


def _tomls(texts: Iterable[str]) -> str:
    """A TOML array of them."""
    return f"[{', '.join(_toml(text) for text in texts)}]"


def _toml(text: str) -> str:
    """A TOML basic string."""
    if not text.isprintable():
        raise ConfigurationError("bad_configuration", f"characters that do not print in {text!r}")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
