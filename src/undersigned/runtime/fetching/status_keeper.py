"""Status lists of others: fetched when they are needed, verified, and kept as long as they and the asker allow.

Which lists are needed, and what they say, is decided in `undersigned.credentials`; here they only come in. Many askers
at once cause one fetch, but nobody is given what was fetched before it asked, unless it said that this will do.

Source: protocol-spec/02-identity-and-keys.md, section 2.12
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Self

import msgspec

from undersigned.credentials import LIST_JWT, Credential, StatusList, signed_document, status_urls, verify_status_list
from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, digest_bytes
from undersigned.errors import CredentialError, FormatError, UndersignedError, VerificationError
from undersigned.runtime.clock import Clock, steady_seconds

from .fetcher import asker, parse_url
from .gather import FRESH_SECONDS, Gatherer

__all__ = ["StatusKeeper"]

ENDED_SECONDS: Final = 10.0
"""So long a list that is past its own end is not asked for again."""
INLINE_BYTES: Final = 32 * 1024
"""A longer list is read and verified in a thread: it takes milliseconds."""
_WHITE: Final = b" \t\r\n"
"""What may stand around JSON, and at the end of a file with a text."""
# We keep lists ourselves, by what they say of it; a copy kept between us and the issuer would be older than we know.
_HEADERS: Final = (("Accept", "application/vc, application/vc+jwt"), ("Cache-Control", "no-cache"))


class _Kept(msgspec.Struct, frozen=True):
    since: float
    """When its fetch began."""
    raw: Digest
    document: Digest
    """Of the DID document it was verified with."""
    list: StatusList
    size: int


def _older(found: StatusList, known: StatusList) -> bool:
    """Whether a list was made before another one, by their issuer's word."""
    return (found.credential.made or "") < (known.credential.made or "")


def _went_back(known: StatusList, found: StatusList) -> bool:
    """Whether a list is older than the one known and does not show all that this withdrew. One that does is taken: of
    two servers of an issuer one may be seconds behind. Of the same second, or of none, the one that revokes more is the
    later one; in a list with suspensions what is clear may have been lifted.
    """
    made, before = found.credential.made or "", known.credential.made or ""
    if made > before or (made == before and set(found.purposes) != {"revocation"}):
        return False
    length = max(len(known.bits), len(found.bits))
    then, now = (int.from_bytes(bits.ljust(length, b"\0")) for bits in (known.bits, found.bits))
    return bool(then & ~now)


def _host(url: str) -> str:
    """Where a list is.

    Raises:
        CredentialError: `status_unavailable`: nowhere, for what the credential names is no URL.
    """
    try:
        return parse_url(url).authority
    except UndersignedError as exc:
        raise CredentialError("status_unavailable", f"the status list was not had: {exc.message}") from exc


class StatusKeeper:
    """One per peer. `resolve` gives DID documents, `seconds` does not run back."""

    def __init__(
        self,
        gatherer: Gatherer,
        resolve: Callable[[Did, float], Awaitable[DidDocument]],
        clock: Clock,
        *,
        max_bytes: int = 32 * 1024 * 1024,
        seconds: Callable[[], float] = steady_seconds,
    ) -> None:
        self._gatherer = gatherer
        self._resolve = resolve
        self._clock = clock
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._kept: OrderedDict[tuple[str, Did], _Kept] = OrderedDict()
        self._size = 0
        self._under_way: dict[tuple[str, Did, str], tuple[float, asyncio.Task[_Kept]]] = {}
        """By who asked, too: nobody waits behind what another one asked for."""

    async def lists(self, credentials: Iterable[Credential], *, max_age_seconds: float) -> Mapping[str, StatusList]:
        """The lists that these credentials name, by URL, each fetched at most `max_age_seconds` ago and within its own
        time; 0: fetched after this was called.

        Raises:
            CredentialError: `status_unavailable`: one could not be fetched or does not hold; `status_invalid`.
        """
        oldest = self._seconds() - max_age_seconds
        lists: dict[str, StatusList] = {}
        wanted: dict[str, Did] = {}
        for url, issuer in status_urls(credentials).items():
            kept = self._held((url, issuer), oldest)
            if kept is not None:
                lists[url] = kept
            else:
                wanted[url] = issuer
        if not wanted:
            return lists  # most often: nothing is waited for
        limits = self._gatherer.limits
        if len(set(map(_host, wanted))) > limits.hosts:
            raise CredentialError("status_unavailable", f"the lists are at more than {limits.hosts} hosts")
        try:
            async with asyncio.timeout(limits.seconds):
                # Each begins a round of the loop later, so all who ask in this round share what it fetches.
                first, *more = wanted.items()
                if not more:
                    await asyncio.sleep(0)
                    lists[first[0]] = await self._list(first, oldest)
                    return lists
                found = await asyncio.gather(
                    *(self._list(key, oldest) for key in (first, *more)),
                    return_exceptions=True,
                )
        except TimeoutError as exc:
            raise CredentialError("status_unavailable", f"the lists took longer than {limits.seconds:g} s") from exc
        for url, one in zip(wanted, found, strict=True):
            if isinstance(one, BaseException):
                raise one
            lists[url] = one
        return lists

    async def list_at(self, url: str, issuer: Did) -> StatusList:
        """The list of an issuer at a URL, fetched after this was called.

        Raises:
            CredentialError: As `lists`.
        """
        try:
            async with asyncio.timeout(self._gatherer.limits.seconds):
                return await self._list((url, issuer), self._seconds())
        except TimeoutError as exc:
            seconds = self._gatherer.limits.seconds
            raise CredentialError("status_unavailable", f"the list took longer than {seconds:g} s") from exc

    def _held(self, key: tuple[str, Did], oldest: float) -> StatusList | None:
        """What is kept, if its fetch began at `oldest` or later and its own time is not over."""
        kept = self._kept.get(key)
        now = self._seconds()
        if kept is None or kept.since < oldest or kept.since < now - kept.list.ttl_seconds:
            return None
        if kept.since < now - ENDED_SECONDS and not kept.list.credential.valid_at(self._clock.now()):
            return None  # its issuer may have another one by now, whatever it said of this one
        self._kept.move_to_end(key)
        return kept.list

    async def _list(self, key: tuple[str, Did], oldest: float) -> StatusList:
        while True:
            held = self._held(key, oldest)
            if held is not None:
                return held
            since, task = self._under_way.get((*key, asker())) or self._begin(key)
            if task.done():
                # It ended in this round of the loop and began too early. Waiting for it again would not let go of the
                # loop, and so nothing else would ever happen.
                since, task = self._begin(key)
            try:
                # An asker that gives up must not take the answer from the others.
                fetched = await asyncio.shield(task)
            except CredentialError:
                if since >= oldest:
                    raise
            else:
                if since >= oldest:
                    return fetched.list

    def _begin(self, key: tuple[str, Did]) -> tuple[float, asyncio.Task[_Kept]]:
        since = self._seconds()
        task = asyncio.get_running_loop().create_task(self._fetch(*key, since))
        place = (*key, asker())
        self._under_way[place] = since, task
        task.add_done_callback(lambda done: self._ended(place, done))
        return since, task

    def _ended(self, place: tuple[str, Did, str], done: asyncio.Task[_Kept]) -> None:
        if self._under_way.get(place, (0.0, None))[1] is done:
            del self._under_way[place]
        if not done.cancelled():
            done.exception()  # somebody may have stopped waiting

    async def _fetch(self, url: str, issuer: Did, since: float) -> _Kept:
        try:
            raw = await self._gatherer.fetch(url, max_bytes=LIST_JWT.max_text, headers=_HEADERS)
            document = await self._resolve(issuer, FRESH_SECONDS)
        except UndersignedError as exc:
            code = "status_invalid" if exc.detail.get("unfit") else "status_unavailable"
            raise CredentialError(code, f"the status list {url} was not had: {exc.message}") from exc
        digest = digest_bytes(raw)
        known = self._kept.get((url, issuer))
        if known is not None and (known.raw, known.document) == (digest, document.raw_digest):
            # The same bytes by the same keys say the same; whether they are still valid, whoever looks will ask.
            kept = msgspec.structs.replace(known, since=since)
        else:
            try:
                if len(raw) <= INLINE_BYTES:
                    kept = self._verified(url, issuer, raw, digest, document, since)
                else:
                    kept = await asyncio.to_thread(self._verified, url, issuer, raw, digest, document, since)
            except CredentialError as error:
                document = await self._newer(issuer, document, since, error)
                kept = await asyncio.to_thread(self._verified, url, issuer, raw, digest, document, since)
        known = self._kept.get((url, issuer))  # as of now: another fetch may have ended meanwhile
        if known is not None and known.since > since and _older(kept.list, known.list):
            return known  # it began later, and overtook this one: nothing went back
        if known is not None and _went_back(known.list, kept.list):
            made, before = kept.list.credential.made, known.list.credential.made
            text = f"{url} gives a list made {made}, without what one made {before} has withdrawn"
            raise CredentialError("status_unavailable", text)
        self._keep((url, issuer), kept)
        return kept

    async def _newer(self, issuer: Did, document: DidDocument, since: float, refused: CredentialError) -> DidDocument:
        """The document of an issuer that signs a list by a key that is not in this one: one of after its fetch began.
        There are no more of these than of lists (HIRE-KEY-10).

        Raises:
            CredentialError: `refused`: for something else, or there is no newer one to be had.
        """
        if not isinstance(refused.__cause__, VerificationError) or "unlisted" not in refused.__cause__.detail:
            raise refused
        try:
            newer = await self._resolve(issuer, self._seconds() - since)
        except UndersignedError:
            raise refused from None
        if newer.raw_digest == document.raw_digest:
            raise refused
        return newer

    def _verified(
        self, url: str, issuer: Did, raw: bytes, digest: Digest, document: DidDocument, since: float
    ) -> _Kept:
        try:
            signed = signed_document(raw.strip(_WHITE))
        except FormatError as exc:
            raise CredentialError("status_invalid", f"{url} is no status list: {exc}") from exc
        found = verify_status_list(signed, url=url, issuer=issuer, documents={issuer: document}, now=self._clock.now())
        return _Kept(since, digest, document.raw_digest, found, len(raw) + len(found.bits))

    def _keep(self, key: tuple[str, Did], kept: _Kept) -> None:
        before = self._kept.pop(key, None)
        self._kept[key] = kept
        self._size += kept.size - (before.size if before is not None else 0)
        while self._size > self._max_bytes and len(self._kept) > 1:
            self._size -= self._kept.popitem(last=False)[1].size

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = tuple(task for _, task in self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
