"""A recorded decision, made again from what was kept of its inputs: same inputs, same bytes.

Everything is verified again, by the documents and at the instants that the decision names, so that nothing in it has to
be believed: the histories of DIDs, the presentation, each status list. Then the same `evaluate` is called.

Source: protocol-spec/12-trust.md, section 12.13
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from undersigned.contract import Terms
from undersigned.credentials import (
    ClearStatus,
    Credential,
    StatusList,
    check_status,
    read_credential,
    read_presentation,
    status_entries,
    verify_presentation,
    verify_status_list,
)
from undersigned.did import DidDocument, DidHistory, document_from, history_from, is_derived
from undersigned.encoding import Did, Digest, EngagementId, Instant, JsonObject
from undersigned.errors import UndersignedError, VerificationError
from undersigned.trust.anchors import Anchors
from undersigned.trust.answers import Answers, Claimed, Questions, Rated, Suspected
from undersigned.trust.decision import Decision
from undersigned.trust.evaluate import evaluate
from undersigned.trust.graph import Graph
from undersigned.trust.policy import Policy
from undersigned.trust.reliance import ShownClaim
from undersigned.trust.viewpoint import Viewpoint

__all__ = ["Difference", "Restored", "answers_again", "differences", "replay"]


class Restored(Struct, frozen=True, kw_only=True):
    """What a decision names, as it was kept: each checked to be of the digest named, and no more."""

    own: Did
    """Who decided."""
    engagement: EngagementId
    challenge: Digest
    """What the presentation answers."""
    presentation: JsonObject
    terms: Terms | None
    policy: Policy
    anchors: Anchors
    answers: Answers
    documents: tuple[DidDocument, ...]
    """In the order named; those that follow from their DIDs need not be among them."""
    links: Mapping[Digest, JsonObject]
    """The credentials that were looked up and not shown: links of chains."""
    lists: Mapping[Digest, JsonObject]
    logs: Mapping[Digest, bytes]


class Difference(Struct, frozen=True):
    """One thing that is not as recorded."""

    what: str
    recorded: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: recorded {self.recorded}; now {self.now}"


def replay(recorded: Decision, given: Restored) -> Decision:
    """The decision that these inputs give.

    Raises:
        UndersignedError: An input does not verify: as `history_from`, `verify_presentation`, `verify_status_list` and
            `check_status`. `evidence_invalid`: a document, or an instant, that would be needed is not named.

    Source: protocol-spec/12-trust.md, section 12.13
    """
    inputs = recorded.inputs
    if inputs.verified is None or len(inputs.lists_verified) != len(inputs.status_lists):
        raise VerificationError("evidence_invalid", "the decision does not say when its inputs were verified")

    # Step 1: documents, and that each is what its history gives.
    read = read_presentation(given.presentation)
    links = {digest: read_credential(document) for digest, document in given.links.items()}
    documents = _documents(given, {*read.parties, *(link.issuer for link in links.values())})
    _check_histories(recorded, given)

    # Step 2: the presentation, at the instant at which it was verified.
    presented = verify_presentation(
        read,
        challenge=given.challenge,
        domain=given.own,
        holder=recorded.peer,
        engagement=given.engagement,
        documents={did: found[0] for did, found in documents.items()},
        now=inputs.verified,
        leave_out=True,
    )

    # Step 3: the status of what was looked up, in the lists of then.
    shown = {credential.digest: credential for credential in presented.credentials}
    statuses = _statuses(recorded, given, {**links, **shown}, documents)

    # Step 4: the same function.
    return evaluate(
        presented,
        given.anchors,
        given.policy,
        recorded.at,
        terms=given.terms,
        stake=inputs.stake,
        statuses=statuses,
        answers=given.answers,
        logs=inputs.logs,
    )


def _documents(given: Restored, parties: set[Did]) -> dict[Did, list[DidDocument]]:
    """Those of each party, the one by which the presentation was verified first."""
    found: dict[Did, list[DidDocument]] = {}
    for document in given.documents:
        found.setdefault(document.id, []).append(document)
    for did in parties:
        if is_derived(did):
            found[did] = [document_from(did, {})]
    return found


def _check_histories(recorded: Decision, given: Restored) -> None:
    files: defaultdict[Did, dict[str, bytes]] = defaultdict(dict)
    for file in recorded.inputs.logs:
        files[file.did][file.url] = given.logs[file.digest]
    for place, fetched in files.items():
        history = history_from(place, fetched, now=recorded.at)
        named = [document for document in given.documents if _had_name(history, document.id)]
        if not any(history.under(document.id).document == document for document in named):
            raise VerificationError("did_document_invalid", f"the history of {place} gives another document")


def _had_name(history: DidHistory, did: Did) -> bool:
    return any(version.did == did for version in history.versions)


def _statuses(
    recorded: Decision,
    given: Restored,
    credentials: Mapping[Digest, Credential],
    documents: Mapping[Did, list[DidDocument]],
) -> tuple[ClearStatus, ...]:
    inputs = recorded.inputs
    named = zip(inputs.status_lists, inputs.lists_verified, strict=True)
    statuses: list[ClearStatus] = []
    for digest in inputs.looked_up:
        credential = credentials.get(digest)
        if credential is None:
            raise VerificationError("evidence_invalid", f"there is no credential {digest}, which was looked up")
        lists: dict[str, StatusList] = {}
        for entry in status_entries(credential):
            of, verified = next(named, (None, ""))
            if of is None:
                raise VerificationError("evidence_invalid", f"no list is named for {entry.url}")
            lists[entry.url] = _list(given.lists[of], entry.url, credential, documents, verified)
        statuses.append(check_status(credential, lists, recorded.at))
    return tuple(statuses)


def _list(
    document: JsonObject,
    url: str,
    credential: Credential,
    documents: Mapping[Did, list[DidDocument]],
    verified: Instant,
) -> StatusList:
    """The list as it was verified: by one of its issuer's documents, for that may have changed in between."""
    issuer = credential.issuer
    failure: UndersignedError = VerificationError("evidence_invalid", f"no document of {issuer} is named")
    for one in documents.get(issuer, ()):
        try:
            return verify_status_list(document, url=url, issuer=issuer, documents={issuer: one}, now=verified)
        except UndersignedError as error:
            failure = error
    raise failure


def answers_again(
    answers: Answers, anchors: Anchors, own: tuple[Did, ...], now: Instant, refused: frozenset[Did]
) -> Answers:
    """What the same questions are answered by other anchors, and where others are `refused`, over the edges on which
    the first answers rested.

    It is no look at the whole graph: somebody who would be believed by other edges is not here.
    """
    view = Viewpoint(anchors=anchors, own=own, now=now, refused=refused)
    led = (*answers.authority, *answers.reputation)
    resting = [edge for one in led for path in one.paths for edge in path.edges]
    resting += [edge for one in answers.accused for edge in one.members]
    against = [edge for one in (*led, *answers.entitled, *answers.accused) for edge in one.dissent]
    asked = Questions(
        authority=tuple(ShownClaim(one.issuer, one.credential_type, one.capability) for one in answers.authority),
        entitled=tuple(Claimed(one.credential_type, one.capability, one.links) for one in answers.entitled),
        reputation=tuple(Rated(one.party, one.capability) for one in answers.reputation),
        accused=tuple(Suspected(one.party) for one in answers.accused),
    )
    return Answers.of(asked, view, Graph([*resting, *against]).read)


def differences(what: str, recorded: Struct, now: Struct) -> tuple[Difference, ...]:
    """Where two values of one type say different things, by the names of their members; a default is said, too."""
    return tuple(_different(what, _whole(recorded), _whole(now)))


def _whole(value: Any) -> Any:
    """A value in JSON with every member that says something, also one that is at its default and is not written."""
    if isinstance(value, Struct):
        members = {field.encode_name: getattr(value, field.name) for field in fields(value)}
        return {name: _whole(member) for name, member in sorted(members.items()) if member is not None}
    if isinstance(value, tuple | list):
        return [_whole(one) for one in cast("tuple[Any, ...]", value)]
    return msgspec.to_builtins(value)


def _different(what: str, recorded: Any, now: Any) -> Iterator[Difference]:
    if recorded == now:
        return
    if isinstance(recorded, dict) and isinstance(now, dict):
        old, new = cast("JsonObject", recorded), cast("JsonObject", now)
        for name in dict.fromkeys([*old, *new]):
            yield from _different(f"{what} {name}", old.get(name), new.get(name))
    elif isinstance(recorded, list) and isinstance(now, list):
        before, after = cast("list[Any]", recorded), cast("list[Any]", now)
        yield from _different(what, *(_by_name(before, after) or (_by_place(before), _by_place(after))))
    else:
        yield Difference(what, _word(recorded), _word(now))


def _by_name(before: list[Any], after: list[Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Two lists of objects by the name or id that each of them has: by place, a new one in front is a change of all
    behind it. None if one has none, or what is in both stands in another order.
    """
    for key in ("name", "id"):
        old, new = (_named(each, key) for each in (before, after))
        if (len(old), len(new)) == (len(before), len(after)):
            return (old, new) if [one for one in old if one in new] == [one for one in new if one in old] else None
    return None


def _named(values: list[Any], key: str) -> dict[str, Any]:
    objects = [cast("JsonObject", one) for one in values if isinstance(one, dict)]
    return {str(one[key]): one for one in objects if key in one}


def _by_place(values: list[Any]) -> dict[str, Any]:
    return {str(place): one for place, one in enumerate(values, 1)}


def _word(value: Any) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
