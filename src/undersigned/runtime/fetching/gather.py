"""Gathers DID documents, and remembers them for as long as whoever asks can live with.

Source: protocol-spec/02-identity-and-keys.md, section 2.2
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from email.utils import parsedate_to_datetime
from ssl import SSLContext
from types import MappingProxyType
from typing import Final, NamedTuple

from undersigned.did import DidDocument, DidHistory, document_from, fetches, history_from, keeps_history, methods_for
from undersigned.encoding import Did, Instant, digest_bytes, parse_instant
from undersigned.errors import ResolutionError, TransportError, UndersignedError, VerificationError
from undersigned.runtime.clock import steady_seconds
from undersigned.trust import Fetched

from .fetcher import Fetcher, GathererLimits, asker, parse_url
from .seen_histories import SeenHistories

__all__ = ["FRESH_SECONDS", "USUAL_SECONDS", "Gatherer", "seconds_ahead"]

FRESH_SECONDS: Final = 300
"""How old a DID document may be for what binds: an acceptance, a seal, an offer, what an issuer said of a party or
serves as a list of it."""
USUAL_SECONDS: Final = 3600
"""How old it may be for all else."""
LEAST_SECONDS: Final = 10
"""So long a history is remembered whatever its controller says: a long one would be verified for each message."""
_NOWHERE: Final[Mapping[Did, Did]] = MappingProxyType({})


class Known(NamedTuple):
    """What is remembered of a DID."""

    since: float
    """When it was fetched, by the gatherer's clock."""
    document: DidDocument | None
    """None if it was deactivated."""
    history: DidHistory | None
    size: int
    """Bytes that were fetched for it."""
    log: tuple[tuple[Fetched, bytes], ...]
    """The files that its history was verified from; none for other methods."""
    hosts: frozenset[str]
    """Where whoever looks it up is led first."""

    def current(self) -> DidDocument:
        """The document.

        Raises:
            VerificationError: `did_deactivated`.
        """
        if self.document is None and self.history is not None:
            return self.history.document  # which says that it is deactivated
        assert self.document is not None  # noqa: S101  (only a history can end)
        return self.document


def seconds_ahead(date: str, ours: Instant) -> int | None:
    """Seconds by which our clock was ahead of that of a server that called the time `date`; None: that is no date."""
    try:
        said = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):  # whatever a stranger calls a date
        return None
    return int((parse_instant(ours) - said).total_seconds()) if said.tzinfo is not None else None


class Gatherer(Fetcher):
    """Fetches DID documents and whatever else a DID or credential points to. One per peer; `close` it at the end.

    As a `Fetcher`; and `clock` gives seconds and does not run back. `moved` says where a DID that keeps its history
    lives now: its former name, and its latest. `resolver` is the base URL of a Universal Resolver for methods that are
    not implemented here. `seen` says how far histories went that were seen before this process.
    """

    def __init__(
        self,
        *,
        local: bool = False,
        limits: GathererLimits | None = None,
        ssl: SSLContext | None = None,
        clock: Callable[[], float] = steady_seconds,
        now: Callable[[], Instant] | None = None,
        moved: Mapping[Did, Did] = _NOWHERE,
        resolver: str | None = None,
        seen: SeenHistories | None = None,
    ) -> None:
        super().__init__(local=local, limits=limits, ssl=ssl, now=now)
        self._clock = clock
        self._moved = moved
        self._resolver = resolver
        self._seen = seen or SeenHistories()
        self._documents: OrderedDict[Did, Known] = OrderedDict()
        self._documents_bytes = 0
        self._under_way: dict[tuple[str, Did], asyncio.Task[Known]] = {}
        """By who asked, too: nobody waits behind what another one asked for."""

    async def document(self, did: Did, max_age_seconds: float = USUAL_SECONDS) -> DidDocument:
        """The DID document of `did`, fetched at most `max_age_seconds` ago.

        Many callers at once cause one fetch, or one for each peer that they ask for. A failure is not remembered, nor
        does it replace what is: who can live with an older document asks with a larger `max_age_seconds`. What is
        remembered of a DID with a history is used no longer than its controller says, and is what the next answer has
        to continue.

        Raises:
            ResolutionError: `did_unresolvable`, `did_forbidden_address`.
            VerificationError: `did_document_invalid`, `did_deactivated`, `key_weak`.
        """
        known = self.remembered(did, max_age_seconds) or await self._fetched(did)
        return known.document or known.current()

    async def history(self, did: Did, max_age_seconds: float = USUAL_SECONDS) -> DidHistory:
        """All versions of the document of `did`, fetched at most `max_age_seconds` ago; of a deactivated one, too.

        Raises:
            ResolutionError: As `document`; `did_unresolvable`, a method that keeps no history.
            VerificationError: `did_document_invalid`, `key_weak`.
        """
        if not keeps_history(did):
            raise ResolutionError("did_unresolvable", f"the method of {did} keeps no history")
        history = (self.remembered(did, max_age_seconds) or await self._fetched(did)).history
        assert history is not None  # noqa: S101  (its method keeps one)
        return history

    def logs_of(self, documents: Iterable[DidDocument]) -> list[tuple[Fetched, bytes]]:
        """The files that documents with a history were resolved from, while they are remembered; else nothing."""
        found: list[tuple[Fetched, bytes]] = []
        for document in documents:
            known = self._documents.get(document.id)
            if known is not None and known.log and known.document == document:
                found += known.log
        return found

    async def rely_on(self, documents: Iterable[DidDocument]) -> None:
        """Something of ours rests on these documents: those with a history may not go back behind it any more."""
        known = [self._documents.get(document.id) for document in documents]
        self._seen.keep(one.history for one in known if one is not None and one.history is not None)
        await self._seen.written()

    def remembered(self, did: Did, max_age_seconds: float) -> Known | None:
        """What was fetched of `did` at most `max_age_seconds` ago, and may still be used; nothing is waited for."""
        kept = self._documents.get(did)
        if kept is None:
            return None
        age = min(max_age_seconds, max(kept.history.ttl_seconds, LEAST_SECONDS)) if kept.history else max_age_seconds
        if not age or self._clock() - kept.since > age:
            return None
        self._documents.move_to_end(did)
        return kept

    async def _fetched(self, did: Did) -> Known:
        key = asker(), did
        under_way = self._under_way.get(key)
        if under_way is None:
            under_way = asyncio.get_running_loop().create_task(self._resolve(did))
            self._under_way[key] = under_way
            under_way.add_done_callback(lambda done: self._resolved(key, done))
        # A caller that gives up must not take the answer from the others.
        return await asyncio.shield(under_way)

    async def documents(self, dids: Iterable[Did], max_age_seconds: float = USUAL_SECONDS) -> dict[Did, DidDocument]:
        """The DID documents of `dids`, all or none, as `document`; together they lead to at most `hosts` hosts.

        Raises:
            ResolutionError: As `document`; `did_unresolvable`, too many hosts.
            VerificationError: As `document`.
        """
        found = {did: self.remembered(did, max_age_seconds) for did in dids}
        hosts = {host for did, known in found.items() for host in (known.hosts if known else self._hosts(did))}
        if len(hosts) > self.limits.hosts:
            raise ResolutionError("did_unresolvable", f"{len(hosts)} hosts are more than {self.limits.hosts}")
        missing = [did for did, known in found.items() if known is None]
        if missing:
            try:
                async with asyncio.timeout(self.limits.seconds):
                    fetched = await asyncio.gather(*map(self._fetched, missing), return_exceptions=True)
            except TimeoutError as exc:
                raise ResolutionError("did_unresolvable", f"not resolved within {self.limits.seconds:g} s") from exc
            for did, known in zip(missing, fetched, strict=True):
                if isinstance(known, BaseException):
                    raise known
                found[did] = known
        return {did: known.current() for did, known in found.items() if known is not None}

    def ahead_of(self, did: Did) -> int | None:
        """Seconds by which our clock was ahead of that of the server that publishes `did`, when it last answered; None:
        it never did, or did not say. Nobody signed it: a hint for people, and nothing more.
        """
        times = next((self._times[host] for host in self._hosts(did) if host in self._times), None)
        return seconds_ahead(*times) if times is not None else None

    def ahead_of_server(self, url: str) -> int | None:
        """The same of the server at `url`, when it last refused something or answered a request whole."""
        times = self._times.get(parse_url(url).authority)
        return seconds_ahead(*times) if times is not None else None

    def _hosts(self, did: Did) -> frozenset[str]:
        return frozenset(parse_url(url).authority for url in self._fetches(did, {}))

    def _fetches(self, did: Did, fetched: Mapping[str, bytes]) -> tuple[str, ...]:
        """The URLs that lead to `did`: to the place it moved to, if it did."""
        place = self._moved.get(did, did)
        return fetches(place, fetched, local=self.local, methods=methods_for(place, self._resolver))

    async def _wanted(self, did: Did, fetched: Mapping[str, bytes]) -> tuple[str, ...]:
        """As `_fetches`; a log that came is read beside the event loop."""
        return await asyncio.to_thread(self._fetches, did, dict(fetched)) if fetched else self._fetches(did, fetched)

    async def _resolve(self, did: Did) -> Known:
        started, first = self._clock(), self._documents.get(did)
        limits = self.limits
        max_bytes = limits.history_bytes if keeps_history(did) else limits.document_bytes
        fetched: dict[str, bytes] = {}
        if did in self._moved and not keeps_history(did):
            raise ResolutionError("did_unresolvable", f"the method of {did} keeps no history, so it cannot move")
        try:
            # One deadline for all files of one DID.
            async with asyncio.timeout(limits.seconds):
                while wanted := [url for url in await self._wanted(did, fetched) if url not in fetched]:
                    for url in wanted:
                        fetched[url] = await self.fetch(url, max_bytes=max_bytes)
        except TimeoutError as exc:
            raise ResolutionError(
                "did_unresolvable", f"{did} did not resolve within {limits.seconds:g} s", unreached="silent"
            ) from exc
        except TransportError as error:
            failed = ResolutionError("did_unresolvable", error.message)
            failed.detail.update(error.detail)
            raise failed from error
        now = self._now()
        log: tuple[tuple[Fetched, bytes], ...] = ()
        if keeps_history(did):
            # A long one takes its time, so it is verified beside the event loop.
            document, history = await asyncio.to_thread(self._verified, did, fetched, now)
            place = self._moved.get(did, did)
            log = tuple(
                (Fetched(did=place, url=url, digest=digest_bytes(raw)), raw) for url, raw in sorted(fetched.items())
            )
        else:
            document, history = self._verified(did, fetched, now)
        # The time before the fetch, so that the age is never less than it really is.
        known = Known(started, document, history, sum(map(len, fetched.values())), log, self._hosts(did))
        before = self._documents.get(did)
        if before is not None and before.since > started and known.history is None:
            return before  # it was asked for later, and overtook this one: what was seen since is not forgotten
        if before is not None and before.history and known.history and not known.history.continues(before.history):
            if before is not first and before.history.continues(known.history):
                return before  # another asker's answer overtook this one: nothing went back
            raise VerificationError("did_document_invalid", f"the history of {did} is another than was seen before")
        if known.history:
            self._seen.require(known.history)
            self._seen.grown(known.history)
        self._remember(did, known)
        await self._seen.written()
        return known

    def _remember(self, did: Did, known: Known) -> None:
        """Keeps what was found, and lets go of what was not asked for the longest."""
        replaced = self._documents.pop(did, None)
        self._documents[did] = known
        self._documents_bytes += known.size - (replaced.size if replaced else 0)
        while len(self._documents) > self.limits.cached or (
            self._documents_bytes > self.limits.cached_bytes and len(self._documents) > 1
        ):
            self._documents_bytes -= self._documents.popitem(last=False)[1].size

    def _verified(
        self, did: Did, fetched: Mapping[str, bytes], now: Instant
    ) -> tuple[DidDocument | None, DidHistory | None]:
        """What was fetched, verified: the document, unless it was deactivated, and the history if there is one."""
        try:
            if not keeps_history(did):
                return document_from(did, fetched, methods=methods_for(did, self._resolver)), None
            history = history_from(self._moved.get(did, did), fetched, now=now).under(did)
            return None if history.deactivated else history.document, history
        except UndersignedError:
            raise
        except (ValueError, TypeError, RecursionError) as exc:
            raise VerificationError("did_document_invalid", f"the document of {did} was not understood") from exc

    def _resolved(self, key: tuple[str, Did], done: asyncio.Task[Known]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            # Somebody may have stopped waiting; asking for the exception keeps the loop from reporting it as lost.
            done.exception()

    async def close(self) -> None:
        """Ends what is under way. Afterwards only what is remembered is given, until it is opened again."""
        self._closed = True
        tasks = tuple(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._seen.written()
        await super().close()
