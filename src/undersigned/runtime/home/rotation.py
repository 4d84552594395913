"""How an agent, or its organisation, gets another key under the same DID.

The key that is published is the one that counts: until it is the new one, a rotation that is cut short was none, and
from then on it is done, whether or not the files of the keys have found their places.

Source: protocol-spec/02-identity-and-keys.md
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from undersigned.did import DidDocument, is_derived, keeps_history
from undersigned.encoding import Did, Instant, JsonObject, canonicalize
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.jsonld import CONTEXTS
from undersigned.ledger import Lock
from undersigned.runtime.clock import Clock, SystemClock
from undersigned.runtime.files import sync_folder, write_whole
from undersigned.runtime.signers import PrivateKey, generate_key, seal_key

from .home import Home, passphrase_of
from .new_home import published_document
from .own_log import LOG, continue_log, latest_names
from .wallet import Wallet

__all__ = ["require_rotates", "rotate_key", "rotate_organisation_key", "while_no_peer_runs"]

_NUMBERED: Final = re.compile("[a-z]+-([1-9][0-9]{0,8})", re.ASCII)


def require_rotates(home: Home) -> None:
    """Returns if the agent's key can be replaced, as far as its DID goes, and that of now opens.

    Raises:
        ConfigurationError: `bad_configuration`, the DID is its key; `key_unavailable`.
    """
    did = home.configuration.did
    if is_derived(did):
        raise ConfigurationError("bad_configuration", f"{did} is its key: it cannot rotate")
    home.key("agent")


def while_no_peer_runs(home: Home) -> Lock:
    """Holds the state folder against a peer, which would go on with the key of before.

    Raises:
        LedgerUnavailable: As `Lock`: one runs.
    """
    return Lock(home.ledger.with_name(f"{home.ledger.name}.lock"), "runs with this state folder: end it first")


def rotate_key(home: Home, *, clock: Clock | None = None) -> str:
    """Gives the agent a new key under the same DID; the old one is kept under keys/retired. Returns the new method.

    What is under way is not looked at: `contracts_to_deliver` and `bound_to_key` say what needs the old key.

    Raises:
        ConfigurationError: `bad_configuration`, the DID is its key and cannot rotate, or its log cannot grow;
            `key_unavailable`, also where the log of the DID is older than its keys.
        LedgerUnavailable: `store_unavailable`, another process is at it; `store_full`.
        OSError: A file cannot be written.
    """
    require_rotates(home)  # or nothing is written
    with _rotating(home):
        return _rotated(home, home.configuration.did, clock or SystemClock())


def rotate_organisation_key(
    home: Home, *, drop: bool = False, clock: Clock | None = None
) -> tuple[str, dict[str, str]]:
    """Gives the organisation a new key under the same DID; the old one is kept under keys/retired. Returns the new
    method, and what was signed anew: of each credential the subject, by id.

    The keys before it stay published, and what they signed holds. With `drop` they are taken out: what the register
    holds that is neither over nor withdrawn is signed anew before, under its id and at its place in a list, and so is
    what this folder's agent shows of it. Others have to be handed theirs again.

    No peer may run on the folder meanwhile: it would publish the old document with lists that the new key signed.

    Raises:
        ConfigurationError: `bad_configuration`, the folder has no organisation, or its DID is its key and cannot
            rotate; `key_unavailable`.
        LedgerError: `store_unavailable`, a peer runs, or another process is at it; `store_full`; the register cannot be
            read or written. Then nothing is taken out.
        OSError: A file cannot be written.
    """
    document = home.organisation_document()
    if document is None:
        raise ConfigurationError("bad_configuration", f"{home.path} has no organisation")
    if is_derived(document.id):
        raise ConfigurationError("bad_configuration", f"{document.id} is its key: it cannot rotate")
    home.key("organisation")
    with while_no_peer_runs(home), _rotating(home):
        now = (clock or SystemClock()).now()
        method = _rotated_office(home, now)
        return method, _dropped(home, now) if drop else {}


def _rotating(home: Home) -> Lock:
    return Lock(home.path / "keys" / "rotation.lock", "rotates the key of this state folder")


def _rotated(home: Home, did: str, clock: Clock) -> str:
    _finish(home, "agent")
    old = home.document()
    if keeps_history(did) and home.key("agent").public_key not in old.signing_keys():
        text = f"{home.path / LOG} is older than the keys, which it does not name: put the newest one in its place"
        raise ConfigurationError(
            "key_unavailable", f"{text}. Another entry where that has one is a second history, which nobody takes"
        )
    log = home.log_key()
    latest, known_as = latest_names(home.path) if keeps_history(did) else (did, {})

    def publish(fragment: str, key: PrivateKey, passphrase: str) -> None:
        beside = None if key.public_key.kind == "Ed25519" else {"log": log.public_key}
        published = {**published_document(latest, fragment, key, _services(old), beside), **known_as}
        if keeps_history(did):
            continue_log(home.path, published, passphrase=passphrase, now=clock.now())
        else:
            write_whole(home.path / "did.json", canonicalize(published))

    return _replaced(home, "agent", "agent", old, publish)


def _rotated_office(home: Home, now: Instant) -> str:
    _finish(home, "organisation")
    old = home.organisation_document()
    assert old is not None  # noqa: S101  (looked at before)
    former = {method.partition("#")[2]: key for method, key in old.keys("assertionMethod", now=now).items()}

    def publish(fragment: str, key: PrivateKey, _passphrase: str) -> None:
        _publish_office(home, published_document(old.id, fragment, key, _services(old), former))

    return _replaced(home, "organisation", "office", old, publish)


def _replaced(
    home: Home, name: str, word: str, old: DidDocument, publish: Callable[[str, PrivateKey, str], None]
) -> str:
    """The method of a new key `name`, once it is sealed, published by `publish` as `word` with a number, and in its
    place.
    """
    # What opens the old keys seals the new one, so that one passphrase opens them all.
    passphrase = passphrase_of(home.path)
    key = generate_key(home.key(name).public_key.kind)
    retired = _retired(home, name)
    retired.parent.mkdir(mode=0o700, exist_ok=True)
    # Of the files some may have been taken away, and a name that is published stays that of its key (HIRE-KEY-08).
    fragment = f"{word}-{1 + max(map(_number, (retired.stem, *_fragments(old))))}"
    seal_key(home.next_key(name), key, passphrase)
    try:
        publish(fragment, key, passphrase)
    except BaseException:
        with suppress(OSError, UndersignedError):  # what is left over is taken away by the next one
            if not home.has_published_next_key(name):
                home.next_key(name).unlink()
        raise
    _put_in_place(home, name)
    return f"{old.id}#{fragment}"


def _dropped(home: Home, now: Instant) -> dict[str, Did]:
    """Signs anew what the organisation issued, and takes its former keys out of its document; subjects by id."""
    control = home.configuration.control
    with closing(home.register()) as register:
        anew = register.sign_again(now, CONTEXTS if control is None else home.contexts(control))
        subjects = {one.id: one.subject for one in register.issued() if one.id in anew}
    for file, held in Wallet(home).files().items():
        if held.issuer == register.issuer and (signed := anew.get(str(held.json.get("id")))) is not None:
            write_whole(file, canonicalize(signed))
    # Last: until then what was signed anew, and what was not, holds.
    document = home.organisation_document()
    assert document is not None  # noqa: S101  (looked at before)
    fragment = document.methods("assertionMethod")[0].partition("#")[2]
    only = published_document(document.id, fragment, home.key("organisation"), _services(document))
    _publish_office(home, only)
    return subjects


def _publish_office(home: Home, document: JsonObject) -> None:
    write_whole(home.path / "organisation.json", canonicalize(document))


def _services(old: DidDocument) -> tuple[tuple[str, str], ...]:
    return tuple((kind, url) for kind in ("HireService", "LinkedDomains") for url in old.services(kind))


def _finish(home: Home, name: str) -> None:
    """Ends a rotation that was cut short."""
    if home.has_published_next_key(name):
        _put_in_place(home, name)
    else:
        home.next_key(name).unlink(missing_ok=True)  # of a rotation that was none


def _put_in_place(home: Home, name: str) -> None:
    """Retires the key of now, if that is not done, and puts the published one in its place."""
    current = home.path / "keys" / f"{name}.json"
    if current.exists():
        retired = _retired(home, name)
        current.rename(retired)
        for folder in (retired.parent, current.parent):
            sync_folder(folder)  # else the old key could be lost under the new one
    home.next_key(name).rename(current)
    sync_folder(current.parent)


def _retired(home: Home, name: str) -> Path:
    """Where the key of now goes once it is retired: behind all that are there, over none of them."""
    retired = home.path / "keys" / "retired"
    return (
        retired / f"{name}-{1 + max((_number(file.stem) for file in retired.glob(f'{name}-*.json')), default=0)}.json"
    )


def _number(name: str) -> int:
    """Which key of its owner a name is that of; 0: of none that a rotation made."""
    found = _NUMBERED.fullmatch(name)
    return int(found[1]) if found else 0


def _fragments(document: DidDocument) -> list[str]:
    """The names of the keys in a document."""
    listed = (*document.methods("authentication"), *document.methods("assertionMethod"))
    return [method.partition("#")[2] for method in listed]
