"""Whether a credential is withdrawn: by its issuer's list of now, or the last one known.

Source: protocol-spec/19-trace.md, section 19.5
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from undersigned.credentials import Credential, StatusList, check_last_known, check_status, status_entries
from undersigned.encoding import Instant
from undersigned.errors import UndersignedError
from undersigned.trace.verdict import ASKS, no, yes
from undersigned.trust import Reason

__all__ = ["SeenList", "status_reasons"]

_NOT_WITHDRAWN: Final = "one that is not withdrawn"


class SeenList(NamedTuple):
    """A status list of before, of an issuer that gives none now, or an older one; verified as of when it was looked
    into.
    """

    list: StatusList
    own: bool
    """Whether we had it from its issuer ourselves; else a pack of others shows it."""
    why: str
    """Why none could be had now."""

    @property
    def made(self) -> Instant:
        """When its issuer made it; empty if it does not say, and then it does not count."""
        return self.list.credential.made or ""

    @property
    def as_of(self) -> Instant:
        """Since when nobody has heard: since we asked; of what others show, since its issuer made it, for they could
        have left out a newer one, and when they looked is their word alone.
        """
        return self.list.verified if self.own else self.made


def status_reasons(
    credentials: Iterable[Credential],
    lists: Mapping[str, StatusList],
    known: tuple[SeenList, ...],
    missing: Mapping[str, str],
    now: Instant,
) -> Iterator[Reason]:
    """What the clause `status` says: whether one of these credentials is withdrawn."""
    wrong = False
    looked = bare = 0
    for one in credentials:
        looked, bare = (looked + 1, bare) if one.has_status else (looked, bare + 1)
        kind = next((name for name in one.types if name != "VerifiableCredential"), "credential")
        urls: tuple[str, ...] = ()
        seen: dict[str, SeenList] = {}
        try:
            urls = tuple(dict.fromkeys(entry.url for entry in status_entries(one)))
            seen = _last_known(one, lists, known)
            check_status(one, {url: found for url, found in lists.items() if url not in seen}, now)
        except UndersignedError as error:
            wrong = True
            code, said = error.code, error.message
            if code == "status_unavailable":
                said = "; ".join(missing[url] for url in urls if url in missing) or said
                code, said = _as_last_known(one, lists, seen, now) if seen else (code, said)
            passes = "its issuer's list as it is now, or a person's approval" if code in ASKS else _NOT_WITHDRAWN
            yield no(code, "status", f"{kind} by {one.issuer}: {said}", passes)
    if not wrong:
        said = [
            f"{looked} credential{'' if looked == 1 else 's'} looked up, none withdrawn" if looked else "",
            f"{bare} not looked up: {'it names' if bare == 1 else 'they name'} no list, so that nobody can withdraw "
            f"{'it' if bare == 1 else 'them'}"
            if bare
            else "",
        ]
        yield yes("status", "; ".join(filter(None, said)) or "it rests on no credential")


def _last_known(
    credential: Credential, lists: Mapping[str, StatusList], known: tuple[SeenList, ...]
) -> dict[str, SeenList]:
    """The newest list that was seen of each that could not be had, or is older than that. By its issuer's own word, for
    when a list was looked into is the word of whoever shows it; of two of one time, the one that speaks against the
    credential.
    """
    entries = status_entries(credential)
    found: dict[str, SeenList] = {}
    for url in {entry.url for entry in entries}:
        places = [entry.index for entry in entries if entry.url == url]

        def speaks(one: StatusList, places: list[int] = places) -> bool:
            return any(place >= 8 * len(one.bits) or one.is_set(place) for place in places)

        def newer(one: SeenList, speaks: Callable[[StatusList], bool] = speaks) -> tuple[Instant, bool, bool, Instant]:
            return one.made, speaks(one.list), one.own, one.list.verified

        seen = [one for one in known if (one.list.url, one.list.issuer) == (url, credential.issuer) and one.made]
        newest, live = max(seen, key=newer, default=None), lists.get(url)
        if newest is None or (live is not None and newer(newest)[:2] <= (live.credential.made or "", speaks(live))):
            continue  # one that is had decides, unless what its issuer made later is known
        found[url] = newest
    return found


def _as_last_known(
    credential: Credential, lists: Mapping[str, StatusList], seen: Mapping[str, SeenList], now: Instant
) -> tuple[str, str]:
    """Code and text of what the lists say that could be had, and the last known ones of the others."""
    had = {url: found for url, found in lists.items() if url not in seen}
    as_of = min(one.as_of for one in seen.values())
    why = "; ".join(dict.fromkeys(one.why for _, one in sorted(seen.items())))
    try:
        check_last_known(credential, had, {url: one.list for url, one in seen.items()}, now)
    except UndersignedError as error:
        return error.code, f"{error.message}; last known as of {as_of}, could not be had now: {why}"
    return "status_last_known", f"last known good as of {as_of}; the list could not be had now: {why}"
