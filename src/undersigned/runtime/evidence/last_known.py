"""Status lists that were seen before, for when their issuer gives none: in our own ledger, and in packs of others; and
DID documents that our ledger rested on.

Which of them counts, and for how much, is decided in `undersigned.trace`; here they are found, and verified as of when
they were looked into.

Source: protocol-spec/19-trace.md, section 19.5
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from undersigned.credentials import (
    LIST_JWT,
    Credential,
    StatusList,
    read_credential,
    signed_document,
    verify_status_list,
)
from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, Instant
from undersigned.errors import LedgerError, UndersignedError
from undersigned.ledger import Ledger
from undersigned.trace import ProvedEngagement, SeenList

from .decisions import kept_document, recorded_decisions

__all__ = ["Before", "before_in_ledger", "before_in_packs", "documents_in_ledger", "newest"]


class Before(NamedTuple):
    """A list as somebody kept it; nothing in it is verified yet."""

    url: str
    credential: Credential
    verified: Instant
    """When it was looked into, by the word of who kept it."""
    own: bool
    """Whether we had it from its issuer."""
    documents: tuple[DidDocument, ...]
    """Of its issuer, known from elsewhere than the pack that it stands in."""


async def before_in_ledger(ledger: Ledger, urls: Collection[str]) -> list[Before]:
    """The lists of these URLs on which any decision in our ledger rested.

    Raises:
        LedgerError: `store_corrupt`: damage may hide the list that speaks against somebody.
    """
    when: dict[Digest, tuple[Instant, tuple[Digest, ...]]] = {}
    for recorded in await recorded_decisions(ledger):
        inputs = recorded.decision.inputs
        times = inputs.lists_verified or (recorded.decision.at,) * len(inputs.status_lists)
        for digest, at in zip(inputs.status_lists, times, strict=False):
            if digest not in when or when[digest][0] < at:
                when[digest] = at, inputs.documents
    found: list[Before] = []
    for digest, (at, documents) in when.items():
        raw = await ledger.blob(digest)
        if raw is None:
            raise LedgerError("store_corrupt", f"the status list {digest} that a decision names is not in this ledger")
        read = _read(raw, urls)
        if read is not None:
            kept = [kept_document(raw) for one in documents if (raw := await ledger.blob(one)) is not None]
            url, credential = read
            found.append(Before(url, credential, at, True, tuple(one for one in kept if one.id == credential.issuer)))
    return found


async def documents_in_ledger(ledger: Ledger, dids: Collection[Did]) -> list[tuple[DidDocument, Instant]]:
    """The documents of these DIDs on which a decision in our ledger rested, and when.

    Raises:
        LedgerError: `store_corrupt`.
    """
    when: dict[Digest, Instant] = {}
    for recorded in await recorded_decisions(ledger):
        for digest in recorded.decision.inputs.documents:
            when[digest] = max(recorded.decision.at, when.get(digest, recorded.decision.at))
    kept = [(kept_document(raw), at) for digest, at in when.items() if (raw := await ledger.blob(digest)) is not None]
    return [(document, at) for document, at in kept if document.id in dids]


def before_in_packs(
    held: Iterable[ProvedEngagement], documents: Mapping[Did, tuple[DidDocument, ...]], urls: Collection[str]
) -> Iterator[Before]:
    """The lists of these URLs that packs of others show."""
    for one in held:
        for raw, at in one.lists:
            read = _read(raw, urls)
            if read is not None:
                url, credential = read
                yield Before(url, credential, at, False, documents.get(credential.issuer, ()))


def newest(before: Iterable[Before], wanted: Mapping[tuple[str, Did], str], now: Instant) -> list[SeenList]:
    """Of each list that is `wanted`, by URL and issuer, with why it could not be had: the newest by its issuer's word
    that holds as of when it was looked into; several if its issuer made them at one time.
    """
    found: dict[tuple[str, Did], SeenList] = {}
    every: dict[tuple[str, Did, Digest], SeenList] = {}
    # Ours first: of one and the same list, when we asked for it is known here, and when others did is their word.
    for one in sorted(before, key=lambda one: (one.credential.made or "", one.own, one.verified), reverse=True):
        key, made = (one.url, one.credential.issuer), one.credential.made
        older = key in found and found[key].list.credential.made != made
        if made is None or older or key not in wanted or one.verified > now or (*key, one.credential.digest) in every:
            continue
        listed = _verified(one)
        if listed is not None:
            seen = SeenList(listed, one.own, wanted[key])
            every[*key, one.credential.digest] = found[key] = seen
    return list(every.values())


def _read(raw: bytes, urls: Collection[str]) -> tuple[str, Credential] | None:
    """The list credential and its URL, if it is of one of these."""
    try:
        credential = read_credential(signed_document(raw), of=LIST_JWT)
    except UndersignedError:
        return None
    url = credential.json.get("id")
    return (url, credential) if isinstance(url, str) and url in urls else None


def _verified(one: Before) -> StatusList | None:
    issuer = one.credential.issuer
    for document in one.documents:
        try:
            return verify_status_list(
                one.credential.shown, url=one.url, issuer=issuer, documents={issuer: document}, now=one.verified
            )
        except UndersignedError:
            continue  # another document of its issuer may have the key
    return None
