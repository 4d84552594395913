"""What an organisation issued, and what it withdrew: `issued.db` in its state folder.

Each credential is one row with its place in a status list; a list is signed when it is asked for and something changed,
or when half of its validity is over. So withdrawing is one durable write, of one credential or of thousands, by
whichever process, and the next who asks the daemon for the list is told. An organisation without a domain (`did:key`)
has nowhere to serve a list: its credentials have no status, end by their validity alone, and cannot be withdrawn.

Source: protocol-spec/02-identity-and-keys.md, section 2.12
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

from undersigned.credentials import (
    MIN_LIST_BITS,
    Credential,
    build_credential,
    build_status_list,
    credential_config,
    credential_jwt,
    enveloped_credential,
    read_credential,
    signed_document,
    status_entry,
)
from undersigned.did import DidDocument, fetches
from undersigned.encoding import Did, Instant, JsonObject, canonicalize, shift
from undersigned.errors import ConfigurationError, CredentialError, LedgerError
from undersigned.jsonld import CONTEXTS, Contexts
from undersigned.proof import JCS_SUITE_OF, MAX_SKEW_SECONDS, attach, lone_proof, prepare
from undersigned.runtime.signers import PrivateKey

from .status_store import RegisterStore

__all__ = ["LIST_TTL_SECONDS", "CredentialContent", "Issued", "StatusRegister"]

LIST_SECONDS: Final = 86_400
"""Validity of a signed list: as long as somebody in between could show an old one."""
LIST_TTL_SECONDS: Final = 300
"""How long others may use it without asking again."""
FIRST_PLACE: Final = 32
"""Earlier places stay empty: bits that look like the beginning of gzip are refused (decision 0130)."""
MOST_PLACES: Final = MIN_LIST_BITS // 2
"""Of one list. Places are drawn at random, so that neighbours in a list were not issued one after the other."""
NO_END: Final = "2999-12-31T23:59:59Z"
"""Written down for a credential that does not end."""
_PATH: Final = re.compile(r"/status/([1-9][0-9]{0,8})")


def _seen_from(now: Instant) -> Instant:
    """When what is signed now begins: it is shown and asked for at once, also to whose clock is behind ours."""
    return shift(now, -MAX_SKEW_SECONDS)


class CredentialContent(NamedTuple):
    """What a credential to be issued says."""

    type: str
    subject: Did
    claims: Mapping[str, Any]
    """Of the subject, beside its `id`."""


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """One credential that was issued."""

    id: str
    type: str
    subject: Did
    issued: Instant
    until: Instant
    url: str | None
    """Of the status list; None: it has no status."""
    place: int | None
    revoked: Instant | None
    raw: bytes


class StatusRegister:
    """The register of one issuer, `document` being its DID document and `key` what opens its key when one is needed.

    Opened on first use and by several processes at a time; `close` it at the end.
    """

    def __init__(self, path: Path, document: DidDocument, key: Callable[[], PrivateKey], *, local: bool) -> None:
        self.issuer = document.id
        self._document = document
        self._open_key = key
        self._key: PrivateKey | None = None
        self._store = RegisterStore(path)
        self._base: str | None = None
        for url in fetches(document.id, local=local):
            parts = urlsplit(url)
            self._base = f"{parts.scheme}://{parts.netloc}"

    @property
    def serves_lists(self) -> bool:
        """Whether what is issued has a status: the issuer has a domain to serve lists at."""
        return self._base is not None

    def issue(
        self, type: str, subject: Did, claims: Mapping[str, Any], *, now: Instant, until: Instant, as_jwt: bool = False
    ) -> JsonObject:
        """A signed credential about `subject`, written down before it is given to anybody.

        Raises:
            As `issue_all`.
        """
        return self.issue_all([CredentialContent(type, subject, claims)], now=now, until=until, as_jwt=as_jwt)[0]

    def issue_all(
        self, said: Iterable[CredentialContent], *, now: Instant, until: Instant, as_jwt: bool = False
    ) -> tuple[JsonObject, ...]:
        """One signed credential for each of these, all written down in one commit before any is given to anybody.

        With a proof, or as a `vc+jwt` in an envelope.

        Raises:
            ConfigurationError: `key_unavailable`.
            CredentialError, FormatError: As `build_credential`.
            LedgerError: The register was not written; none of them was issued.
        """
        made: list[JsonObject] = []
        lists: set[int] = set()
        with self._store.writing() as store:
            free = self._free(store)
            for type, subject, claims in said:
                number = place = status = None
                if self._base is not None:
                    number, place = next(free)
                    lists.add(number)
                    status = status_entry(f"{self._base}/status/{number}", place)
                unsigned = build_credential(
                    id=f"urn:uuid:{uuid4()}",
                    type=type,
                    issuer=self._document.id,
                    subject={"id": subject, **claims},
                    valid_from=_seen_from(now),
                    valid_until=until,
                    status=status,
                )
                signed = self._enveloped(unsigned, now) if as_jwt else self._signed(unsigned, now)
                store.execute(
                    "INSERT INTO issued VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)",
                    (unsigned["id"], type, subject, now, until, number, place, canonicalize(signed)),
                )
                made.append(signed)
            for number in lists:
                if self._current(store, number, now) is None:
                    # The key is open now; to open it takes longer than whoever asks for the list should wait.
                    self._sign_list(store, number, now)
        return tuple(made)

    def secure(
        self,
        credential: Credential,
        suite: str | None = None,
        *,
        known_as: str | None = None,
        now: Instant,
        contexts: Contexts = CONTEXTS,
    ) -> JsonObject:
        """A credential of this issuer that was written elsewhere (`read_unsigned`), signed and written down.

        It gets a place in a list, if there is somewhere to serve one. It is written down under its id or, without one,
        under `known_as`; what is issued again under one id keeps its place, so all of it is withdrawn together
        (decision 0165).

        Raises:
            ConfigurationError: `key_unavailable`.
            CredentialError: `revoked`: what has this id was withdrawn, for good.
            FormatError, ProofError: As `prepare`: another kind of key, no canonical form; `too_large`.
            LedgerError: The register was not written.
        """
        named = credential.json.get("id") or known_as or f"urn:uuid:{uuid4()}"
        with self._store.writing() as store:
            row = store.execute("SELECT list, place, revoked FROM issued WHERE id = ?", (named,)).fetchone()
            if row is not None and row[2] is not None:
                raise CredentialError("revoked", f"{named} was withdrawn at {row[2]} and is not issued again")
            number = place = None
            unsigned = credential.json
            if self._base is not None:
                number, place = next(self._free(store)) if row is None or row[0] is None else row[:2]
                unsigned = {**unsigned, "credentialStatus": status_entry(f"{self._base}/status/{number}", place)}
            signed = self._signed(unsigned, now, suite, contexts)
            read_credential(signed, contexts=contexts)  # with its status and proof, it can still be read
            store.execute(
                "INSERT OR REPLACE INTO issued VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)",
                (
                    named,
                    next(iter(credential.types), "VerifiableCredential"),
                    str(credential.subjects[0].get("id", "")),
                    now,
                    min(credential.last_instant or NO_END, NO_END),
                    number,
                    place,
                    canonicalize(signed),
                ),
            )
            if number is not None and self._current(store, number, now) is None:
                self._sign_list(store, number, now)
        return signed

    def sign_again(self, now: Instant, contexts: Contexts = CONTEXTS) -> dict[str, JsonObject]:
        """Signs anew, by the key of now, all that is neither withdrawn nor over, under its id and at its place; by id.

        Raises:
            ConfigurationError, LedgerError, FormatError, ProofError: As `secure`; then nothing is signed.
            CredentialError: What is in the register cannot be read.
        """
        made: dict[str, JsonObject] = {}
        with self._store.writing() as store:
            rows = store.execute("SELECT id, raw FROM issued WHERE revoked IS NULL AND until >= ?", (now,)).fetchall()
            for id, raw in rows:
                held = read_credential(signed_document(raw), contexts=contexts)
                unsigned = {name: value for name, value in held.json.items() if name not in ("proof", "iat")}
                suite = str(lone_proof(held.json).get("cryptosuite"))
                enveloped = held.jws is not None
                made[id] = self._enveloped(unsigned, now) if enveloped else self._signed(unsigned, now, suite, contexts)
                store.execute("UPDATE issued SET raw = ? WHERE id = ?", (canonicalize(made[id]), id))
        return made

    def issued(self) -> tuple[Issued, ...]:
        """Everything that was issued, oldest first."""
        return self._found(None)

    def find(self, id: str) -> Issued:
        """The credential of this id.

        Raises:
            ConfigurationError: `not_found`.
        """
        for one in self._found(id):
            return one
        raise ConfigurationError(
            "not_found", f"{self._document.id} issued no credential {id!r}: see 'credentials list'"
        )

    def revoke(self, id: str, now: Instant) -> Issued:
        """Withdraws a credential for good, and signs its list; doing it again changes nothing.

        Raises:
            ConfigurationError: `not_found`; `bad_configuration`, it has no status; `key_unavailable`, with `withdrawn`
                in its detail: it is withdrawn, and the list that would say so cannot be signed: until it can be, none
                is served.
            LedgerError: The register was not written: it is not withdrawn; with `withdrawn` in its detail: it is, as
                above.
        """
        found = self.find(id)
        if found.url is None:
            raise ConfigurationError(
                "bad_configuration",
                f"{id} has no status, so it cannot be withdrawn: {self._document.id} has no domain to serve a list at; "
                f"it ends at {found.until}",
            )
        with self._store.writing() as store:
            store.execute("UPDATE issued SET revoked = ? WHERE id = ? AND revoked IS NULL", (now, id))
        with _withdrawn_already(id):
            self.served(urlsplit(found.url).path, now)
            return self.find(id)

    def revoke_all(self, ids: Collection[str], now: Instant) -> int:
        """Withdraws all of these for good, in one commit, and signs their lists; how many were not withdrawn before.

        Raises:
            ConfigurationError: `not_found`, `bad_configuration`: one was not issued here, or has no status; none is
                withdrawn. `key_unavailable`: as `revoke`.
            LedgerError: The register was not written: none is withdrawn; with `withdrawn` in its detail: all are.
        """
        lists: set[int] = set()
        withdrawn = 0
        with self._store.writing() as store:
            for id in ids:
                row = store.execute("SELECT list, revoked FROM issued WHERE id = ?", (id,)).fetchone()
                if row is None or row[0] is None:
                    code, why = (
                        ("not_found", "was not issued here") if row is None else ("bad_configuration", "has no status")
                    )
                    raise ConfigurationError(code, f"{id} {why}, so none of {len(ids)} was withdrawn")
                lists.add(row[0])
                withdrawn += row[1] is None
                store.execute("UPDATE issued SET revoked = ? WHERE id = ? AND revoked IS NULL", (now, id))
        with _withdrawn_already(*ids):
            for number in sorted(lists):
                self.served(f"/status/{number}", now)
        return withdrawn

    def served(self, path: str, now: Instant) -> bytes | None:
        """The signed list at a path such as `/status/1`, as it is now; None if there is none.

        Raises:
            ConfigurationError: `key_unavailable`, it has to be signed again and cannot be.
            LedgerError: The register cannot be read.
        """
        named = _PATH.fullmatch(path)
        if named is None or self._base is None or not self._store.exists():
            return None
        number = int(named[1])
        with self._store.reading() as store:
            if (raw := self._current(store, number, now)) is not None:
                return raw
            if store.execute("SELECT 1 FROM issued WHERE list = ? LIMIT 1", (number,)).fetchone() is None:
                return None
        with self._store.writing() as store:
            # Another process may have signed it in the meantime.
            return self._current(store, number, now) or self._sign_list(store, number, now)

    # ------------------------------------------------------------------

    def _current(self, store: sqlite3.Connection, number: int, now: Instant) -> bytes | None:
        """The list as it was signed last, by a key that is published, if nothing was withdrawn since and most of its
        time is left. Who opened the register before that key was replaced may have signed it since.
        """
        row = store.execute(
            "SELECT signed, raw FROM lists WHERE number = ?"
            " AND revoked = (SELECT count(*) FROM issued WHERE list = number AND revoked IS NOT NULL)",
            (number,),
        ).fetchone()
        if row is None:
            return None
        signed, raw = row
        methods = self._document.methods("assertionMethod")
        published = any(f'"verificationMethod":"{method}"'.encode() in raw for method in methods)
        return raw if published and signed <= now <= shift(signed, LIST_SECONDS // 2) else None

    def _sign_list(self, store: sqlite3.Connection, number: int, now: Instant) -> bytes:
        bits = bytearray(MIN_LIST_BITS // 8)
        withdrawn = self._withdrawn(store, number)
        for place in withdrawn:
            bits[place >> 3] |= 0x80 >> (place & 7)
        unsigned = build_status_list(
            url=f"{self._base}/status/{number}",
            issuer=self._document.id,
            bits=bits,
            valid_from=_seen_from(now),
            valid_until=shift(now, LIST_SECONDS),
            ttl_seconds=LIST_TTL_SECONDS,
        )
        raw = canonicalize(self._signed(unsigned, now))
        store.execute("INSERT OR REPLACE INTO lists VALUES (?, ?, ?, ?)", (number, len(withdrawn), now, raw))
        return raw

    @staticmethod
    def _withdrawn(store: sqlite3.Connection, number: int) -> list[int]:
        found = store.execute("SELECT place FROM issued WHERE list = ? AND revoked IS NOT NULL", (number,))
        return [place for (place,) in found]

    @staticmethod
    def _free(store: sqlite3.Connection) -> Generator[tuple[int, int]]:
        """Places that were never given, each in the newest list that is not half full; within one transaction."""
        number, count = store.execute(
            "SELECT coalesce(max(list), 1), count(*) FROM issued WHERE list = (SELECT max(list) FROM issued)"
        ).fetchone()
        while True:
            if count >= MOST_PLACES:
                number, count = number + 1, 0
            place = FIRST_PLACE + secrets.randbelow(MIN_LIST_BITS - FIRST_PLACE)
            taken = store.execute("SELECT 1 FROM issued WHERE list = ? AND place = ?", (number, place)).fetchone()
            if taken is None:
                count += 1
                yield number, place

    def _signed(
        self, unsigned: JsonObject, now: Instant, suite: str | None = None, contexts: Contexts = CONTEXTS
    ) -> JsonObject:
        key = self._opened_key()
        suite = suite or JCS_SUITE_OF[key.public_key.kind]
        config = credential_config(suite, self._document.methods("assertionMethod")[0], now)
        return attach(unsigned, config, key.sign_now(prepare(unsigned, config, key.public_key.kind, contexts=contexts)))

    def _enveloped(self, unsigned: JsonObject, now: Instant) -> JsonObject:
        key = self._opened_key()
        draft = credential_jwt(unsigned, self._document.methods("assertionMethod")[0], key.public_key.kind, now)
        return enveloped_credential(draft.signed(key.sign_now(draft.to_sign)))

    def _opened_key(self) -> PrivateKey:
        if self._key is None:
            self._key = self._open_key()
        return self._key

    def _found(self, only: str | None) -> tuple[Issued, ...]:
        if not self._store.exists():
            return ()
        with self._store.reading() as store:
            rows = store.execute(
                "SELECT id, type, subject, issued, until, list, place, revoked, raw FROM issued "
                "WHERE :id IS NULL OR id = :id ORDER BY issued, rowid",
                {"id": only},
            ).fetchall()
        return tuple(
            Issued(
                id=id,
                type=type,
                subject=subject,
                issued=issued,
                until=until,
                url=None if number is None else f"{self._base}/status/{number}",
                place=place,
                revoked=revoked,
                raw=raw,
            )
            for id, type, subject, issued, until, number, place, revoked, raw in rows
        )

    def check(self) -> None:
        """Returns if the register can be read, all of it; so does one that is not there yet.

        Raises:
            LedgerError: `store_corrupt`, `store_unavailable`, `store_version`.
        """
        self._store.check()

    def close(self) -> None:
        """Closes the store; it is opened again when it is used again."""
        self._store.close()


@contextmanager
def _withdrawn_already(*ids: str) -> Generator[None]:
    """Around what comes after the commit that withdrew these: whoever is told that it failed learns that they are."""
    try:
        yield
    except (ConfigurationError, LedgerError) as error:
        what = f"{ids[0]} is" if len(ids) == 1 else f"all {len(ids)} are"
        error.detail["withdrawn"] = True
        error.message = (
            f"{what} withdrawn; the list cannot be signed now, and none is served until it is: {error.message}"
        )
        raise
