"""The recorded answer to "should this artifact be trusted for that?", for whoever asks, party to its contract or not.

    asked = asked_about(artifact, purpose, evidence)
    verdict = judge(artifact, purpose, evidence, ..., heard=..., lists=...)

One pure function of the evidence, whom we believe, what the trust graph answered, what status lists say, our policy and
the clock. The verdict holds the digests of all that, so that it can be made again.

Source: protocol-spec/19-trace.md, section 19.5
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from msgspec import Struct

from undersigned.attestation import WorkPredicate
from undersigned.credentials import MEMBERSHIP, Credential, StatusList, check_last_known, check_status, status_entries
from undersigned.did import is_derived
from undersigned.encoding import Did, Digest, Instant, compare_amounts
from undersigned.errors import UndersignedError
from undersigned.evidence import sealed_of
from undersigned.messages import Breach, Dispute, Review, Ruling, Terminate
from undersigned.protocol import ENDED
from undersigned.scope import Action
from undersigned.trace.evidence import Earlier, Evidence, Made
from undersigned.trace.verdict import ASKS, Heard, Judged, MadeFrom, Verdict
from undersigned.trace.walk import shown_credentials
from undersigned.trust import Anchors, Outcome, Policy, Reason

__all__ = ["AskedAbout", "SeenList", "asked_about", "judge", "memberships", "wanting"]

OBJECTIONS: Final = frozenset({"acceptance", "ending", "accused", "status", "scope"})
"""Clauses that say something against the artifact, whoever else made it."""
GRAVE: Final = frozenset({"breach", "revoked", "key_compromised"})
"""Causes of an end that speak against what was made."""
_BRING: Final = "its DID document, as it resolves now or by --did-document FILE"
_NOT_WITHDRAWN: Final = "one that is not withdrawn"


class AskedAbout(Struct, frozen=True):
    """What a verdict asks of the trust graph, each once, in order."""

    authority: tuple[tuple[Did, str, Instant], ...]
    """Who, which predicate, and when; each for the purpose."""
    accused: tuple[Did, ...]


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


class _Member(NamedTuple):
    """A membership that the provider showed before the contract."""

    credential: Credential
    earlier: Earlier | None = None
    """By which document it holds, where it holds by none of now."""
    why: str = ""
    """Why it holds by no document that is known from elsewhere than the pack; it counts for nothing then."""

    @property
    def issuer(self) -> Did:
        return self.credential.issuer


class _Signed(NamedTuple):
    """Who spoke for a delivery: the signer, and the memberships that it showed."""

    made: Made
    signer: Did
    predicates: tuple[str, ...]
    members: tuple[_Member, ...]
    unproved: tuple[_Member, ...]

    @property
    def speakers(self) -> tuple[Did, ...]:
        return (self.signer, *(one.issuer for one in self.members))


def memberships(made: Made, evidence: Evidence) -> tuple[Credential, ...]:
    """The memberships that the provider showed before the contract, as far as their signatures hold by keys that are
    known from elsewhere than a pack.
    """
    return tuple(one.credential for one in _shown(made, evidence) if not one.why)


def _shown(made: Made, evidence: Evidence) -> Iterator[_Member]:
    held, provider = made.held, sealed_of(made.held.case).document.provider
    by_earlier: dict[Digest, Earlier] = {}
    for place in range(max(map(len, evidence.earlier.values()), default=0)):
        at = {did: every[place] for did, every in evidence.earlier.items() if place < len(every)}
        for one, step in shown_credentials(held, provider, lambda did, at=at: (at[did].document,) if did in at else ()):
            if step.state == "verified" and one.issuer in at:
                by_earlier.setdefault(one.digest, at[one.issuer])
    for one, step in shown_credentials(held, provider, lambda did: evidence.known(held, did)):
        if MEMBERSHIP in one.types:
            earlier = None if step.state == "verified" else by_earlier.get(one.digest)
            yield _Member(one, earlier, "" if earlier or step.state == "verified" else step.why)


def _signed(made: Made, evidence: Evidence) -> _Signed:
    predicates = tuple(dict.fromkeys(one.statement.predicate_type for one in made.statements))
    signer, shown = sealed_of(made.held.case).document.provider, list(_shown(made, evidence))
    holding, others = [one for one in shown if not one.why], [one for one in shown if one.why]
    return _Signed(made, signer, predicates, tuple(holding), tuple(others))


def wanting(artifact: Digest, evidence: Evidence) -> set[Did]:
    """Of whom what a verdict rests on does not hold by the DID documents known: those of before may say more."""
    found: set[Did] = set()
    for made in evidence.made(artifact):
        found |= {one.issuer for one in _shown(made, evidence) if one.why}
        for did in _parties(made):
            known = evidence.known(made.held, did)
            if not known or made.held.strange_to(did, known):
                found.add(did)
    return {did for did in found if not is_derived(did)}


def _parties(made: Made) -> tuple[Did, ...]:
    """The signer, who accepted, and the hirer."""
    document = sealed_of(made.held.case).document
    verifier = made.held.terms(made.said.number).evidence.verifier or document.hirer
    return tuple(dict.fromkeys((document.provider, verifier, document.hirer)))


def asked_about(artifact: Digest, evidence: Evidence) -> AskedAbout:
    """What the trust graph is to be asked before `judge`."""
    authority: dict[tuple[Did, str, Instant], None] = {}
    suspected: dict[Did, None] = {}
    for made in evidence.made(artifact):
        signed = _signed(made, evidence)
        for speaker in signed.speakers:
            suspected[speaker] = None
        # Of those whose word does not count yet, too: whether it would is what a person has to know.
        for speaker in (*signed.speakers, *(one.issuer for one in signed.unproved)):
            for predicate in signed.predicates:
                authority[speaker, predicate, made.said.at] = None
    return AskedAbout(tuple(authority), tuple(suspected))


def judge(
    artifact: Digest,
    purpose: str,
    evidence: Evidence,
    *,
    policy: Policy,
    own: Did,
    now: Instant,
    anchors: Anchors,
    heard: Heard,
    links: Iterable[Credential],
    lists: Mapping[str, StatusList],
    known: Iterable[SeenList] = (),
    inputs: MadeFrom,
) -> Verdict:
    """Whether to trust an artifact for a purpose. `links` are the credentials of chains in `heard` that have a status,
    `lists` what their issuers say now, by URL, and `known` what they said before where they say nothing now, or what is
    older.

    Any no denies a delivery; without one, any doubt that a person can settle asks. An artifact that several delivered
    is allowed by one of them, unless another delivery of it speaks against it: then a person is asked.

    Source: protocol-spec/19-trace.md, section 19.5
    """
    general: list[Reason] = []
    if purpose in policy.refuse_capabilities:
        general.append(_no("policy_denied", "refuse_capabilities", purpose, "another purpose"))
    withdrawn, seen = tuple(links), tuple(known)
    missing = {one.what: one.why for one in inputs.missing}
    judged = tuple(
        _judged(
            _signed(made, evidence), evidence, purpose, policy, now, anchors, heard, withdrawn, lists, seen, missing
        )
        for made in evidence.made(artifact)
    )
    if not judged:
        general.append(_no("not_found", "evidence", "no delivery of it", "a pack of a contract that made it"))
    outcomes = [one.outcome for one in judged]
    objected = [
        one for one in judged if any(r.clause in OBJECTIONS and r.code not in {"met", *ASKS} for r in one.reasons)
    ]
    outcome: Outcome = "deny"
    if not general and "allow" in outcomes:
        outcome = "ask" if objected else "allow"
        if objected:
            said = f"another delivery of it, by {objected[0].signer}, does not pass"
            general.append(_no("approval_required", "evidence", said, "a person's approval"))
    elif not general and "ask" in outcomes:
        outcome = "ask"
    return Verdict(
        outcome=outcome,
        artifact=artifact,
        purpose=purpose,
        by=own,
        policy=f"{policy.name}/{policy.version}",
        at=now,
        reasons=tuple(general),
        judged=judged,
        inputs=inputs,
    )


def _judged(
    signed: _Signed,
    evidence: Evidence,
    purpose: str,
    policy: Policy,
    now: Instant,
    anchors: Anchors,
    heard: Heard,
    links: tuple[Credential, ...],
    lists: Mapping[str, StatusList],
    known: tuple[SeenList, ...],
    missing: Mapping[str, str],
) -> Judged:
    made = signed.made
    entitled, members, named = _signer(signed, purpose, anchors, heard, missing)
    relied = tuple(one.credential for one in members)
    reasons = [
        *_refused(signed, policy),
        *_keys(made, evidence, members, missing),
        *entitled,
        *_purpose(made, purpose, named),
        *_status((*relied, *links), lists, known, missing, now),
        *_accused(signed, heard),
        *_contract(made),
        *_scope(made),
        *_acceptance(made),
        *_ending(made),
    ]
    codes = {reason.code for reason in reasons} - {"met"}
    return Judged(
        contract=made.held.contract,
        signer=signed.signer,
        at=made.said.at,
        outcome="deny" if codes - ASKS else "ask" if codes else "allow",
        reasons=tuple(reasons),
    )


def _met(clause: str, value: str) -> Reason:
    return Reason(code="met", clause=clause, value=value)


def _no(code: str, clause: str, value: str, would_pass: str = "") -> Reason:
    return Reason(code=code, clause=clause, value=value, would_pass=would_pass)


def _refused(signed: _Signed, policy: Policy) -> Iterator[Reason]:
    for did in signed.speakers:
        if did in policy.refuse:
            yield _no("policy_denied", "refuse", did, "somebody else")


def _keys(made: Made, evidence: Evidence, relied: Iterable[_Member], missing: Mapping[str, str]) -> Iterator[Reason]:
    held, parties, met = made.held, _parties(made), True
    for did in parties:
        known, earlier = evidence.known(held, did), evidence.earlier.get(did, ())
        every = (*known, *(one.document for one in earlier))
        # A hirer that leaves the acceptance to somebody else need not be known; but nobody may speak in its name.
        if is_derived(did) or (not every and did not in parties[:2]) or (known and not held.strange_to(did, known)):
            continue
        met = False
        if not every:
            said = f"the pack alone says which keys are those of {did}{_why_not(did, missing)}"
            yield _no("did_unresolvable", "keys", said, _BRING)
        elif strange := held.strange_to(did, every):
            said = f"{', '.join(strange)} is in the pack's document of {did}, and in none that is known"
            would = "a document of it of that time that has the key, by --did-document FILE"
            yield _no("key_not_authorized", "keys", said, would)
        else:
            now = set(held.strange_to(did, known))
            helping = [one for one in earlier if set(held.strange_to(did, (*known, one.document))) < now]
            yield _asked_of(did, helping or earlier, missing)
    for one in relied:
        if one.earlier is not None:
            met = False
            yield _asked_of(one.issuer, (one.earlier,), missing)
    if met:
        yield _met("keys", f"of {parties[0]} and {parties[1 % len(parties)]}, known or following from their DIDs")


def _asked_of(did: Did, earlier: Iterable[Earlier], missing: Mapping[str, str]) -> Reason:
    at = max(one.at for one in earlier)
    why = _why_not(did, missing) or "; its document of now does not have them any more"
    said = f"keys of {did} are those that were known at {at}, and whether they were withdrawn since is not{why}"
    return _no("did_last_known", "keys", said, f"{_BRING}, if it has them, or a person's approval")


def _why_not(did: Did, missing: Mapping[str, str]) -> str:
    return f"; its DID document could not be had now: {missing[did]}" if did in missing else ""


def _signer(
    signed: _Signed, purpose: str, anchors: Anchors, heard: Heard, missing: Mapping[str, str]
) -> tuple[list[Reason], tuple[_Member, ...], bool]:
    """Who entitled whom, the memberships on which that rests, and whether somebody named the purpose for it: an anchor
    for any capability does not.
    """
    at = signed.made.said.at
    if not signed.predicates:
        return [_no("not_found", "evidence", "no statement of the delivery that holds is about it", "one")], (), False
    lacking: list[str] = []
    for predicate in signed.predicates:
        for speaker in signed.speakers:
            answer = heard.entitled(speaker, predicate, at)
            if answer is not None and answer.entitled:
                relied = tuple(one for one in signed.members if one.issuer == speaker)[:1]
                whose = f"as a member of {speaker}, " if speaker != signed.signer else ""
                path = answer.paths[0].edges if answer.paths else ()
                by = " -> ".join(edge.source for edge in path) or speaker
                said = f"{signed.signer}, {whose}may attest {predicate} for {purpose}, by {by}"
                named = any(one.edges for one in answer.paths) or any(
                    anchor.issuer == speaker
                    and purpose in anchor.capabilities
                    and anchor.covers(predicate, purpose, at)
                    for anchor in anchors.anchors
                )
                return [_met("signer", said)], relied, named
            if answer is not None:
                lacking += answer.missing
    unproved = [reason for one in signed.unproved for reason in _unproved(signed, one, heard, missing)]
    if unproved:
        return unproved, (), False
    said = f"{signed.signer} was not entitled to attest {' or '.join(signed.predicates)} for {purpose} at {at}"
    return [_no("attester_not_trusted", "signer", said, "; or ".join(dict.fromkeys(lacking)))], (), False


def _unproved(signed: _Signed, member: _Member, heard: Heard, missing: Mapping[str, str]) -> Iterator[Reason]:
    """That a membership would do, if it could be checked; nothing, if it would not."""
    issuer, at = member.issuer, signed.made.said.at
    answers = [(one, heard.entitled(issuer, one, at)) for one in signed.predicates]
    predicate = next((one for one, answer in answers if answer is not None and answer.entitled), None)
    if predicate is None:
        return
    said = f"{signed.signer} showed a membership of {issuer}, which may attest {predicate}"
    if issuer in missing:
        said = f"{said}, and it could not be checked{_why_not(issuer, missing)}"
        yield _no("did_unresolvable", "signer", said, f"{_BRING}; or a chain of authority to {signed.signer}")
    else:
        said = f"{said}, and it does not hold: {member.why}"
        would = f"one that holds, or the DID document of {issuer} of that time, by --did-document FILE"
        yield _no("attester_not_trusted", "signer", said, would)


def _purpose(made: Made, purpose: str, named: bool) -> Iterator[Reason]:
    task = made.held.terms(made.said.number).task.kind
    if task == purpose or named:
        yield _met(
            "purpose", f"the contract is for {task}{'' if task == purpose else f', and authority is for {purpose}'}"
        )
    else:
        said = f"the contract is for {task}, and no authority names {purpose}"
        yield _no("approval_required", "purpose", said, f"{task}, an anchor for {purpose}, or a person's approval")


def _status(
    credentials: Iterable[Credential],
    lists: Mapping[str, StatusList],
    known: tuple[SeenList, ...],
    missing: Mapping[str, str],
    now: Instant,
) -> Iterator[Reason]:
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
            yield _no(code, "status", f"{kind} by {one.issuer}: {said}", passes)
    if not wrong:
        said = [
            f"{looked} credentials looked up, none withdrawn" if looked else "",
            f"{bare} not looked up: they name no list, and nobody could withdraw them" if bare else "",
        ]
        yield _met("status", "; ".join(filter(None, said)) or "it rests on no credential")


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


def _accused(signed: _Signed, heard: Heard) -> Iterator[Reason]:
    clear = True
    for speaker in signed.speakers:
        answer = next((one for one in heard.accused if one.party == speaker), None)
        if answer is None or answer.verdict != "no":
            clear = False
            by = ", ".join(edge.source for edge in answer.dissent) if answer is not None else ""
            yield _no("policy_denied", "accused", f"{speaker} by {by or 'more than could be read'}", "no accusation")
    if clear:
        yield _met("accused", "no accusation is heard")


def _contract(made: Made) -> Iterator[Reason]:
    times, at = made.held.terms(made.said.number).deadlines, made.said.at
    if at > times.until or (times.not_before is not None and at < times.not_before):
        begin = f"from {times.not_before} " if times.not_before else ""
        yield _no("contract_expired", "contract", f"delivered at {at}", f"{begin}until {times.until}")
    else:
        yield _met("contract", f"{made.held.contract} was in force at {at}")


def _scope(made: Made) -> Iterator[Reason]:
    granted = made.held.granted(made.said.number)
    reasons: list[Reason] = []
    done = refused = 0
    for statement in made.statements:
        predicate = statement.predicate
        if not isinstance(predicate, WorkPredicate):
            continue
        for action in predicate.actions:
            if not action.allowed:
                refused += 1
                continue
            done += 1
            if beyond := made.held.outside(made.said.number, Action(action.action, action.target), action.at):
                reasons.append(
                    _no("scope_exceeded", "scope", f"{action.action} on {action.target}: {beyond}", "inside")
                )
        for line in predicate.usage:
            said, units = f"[{line.clause}] {line.amount} {line.unit}", granted.get(line.clause)
            most = units.get(line.unit) if units is not None else None
            if units is None and line.amount != "0":
                reasons.append(_no("scope_exceeded", "scope", said, "a clause of the contract"))
            elif most is not None and compare_amounts(line.amount, most) > 0:
                reasons.append(_no("scope_exceeded", "scope", said, f"at most {most}"))
        if predicate.actions_omitted:
            said = f"{predicate.actions_omitted} actions that the statement leaves out"
            reasons.append(_no("approval_required", "scope", said, "a person's approval"))
    beside = f"; {refused} more refused by its gate, and not done" if refused else ""
    inside = "1 action done, inside" if done == 1 else f"{done} actions done, all inside"
    yield from reasons or [_met("scope", f"{inside} the scope{beside}")]


def _acceptance(made: Made) -> Iterator[Reason]:
    by = made.held.terms(made.said.number).evidence.verifier
    reviews = [
        said.message
        for said in made.held.said
        if isinstance(said.message, Review) and said.message.delivery == made.said.verified.digest
    ]
    if not reviews:
        yield _no("approval_required", "acceptance", "nobody reviewed it", "an acceptance, or a person's approval")
    elif reviews[-1].verdict == "accepted":
        yield _met("acceptance", f"accepted by {by or reviews[-1].sender}")
    elif reviews[-1].verdict == "rework":
        yield _no("approval_required", "acceptance", "to be reworked", "an acceptance, or a person's approval")
    else:
        yield _no(
            "policy_denied", "acceptance", f"{reviews[-1].verdict} by {by or reviews[-1].sender}", "an acceptance"
        )


def _ending(made: Made) -> Iterator[Reason]:
    reasons: list[Reason] = []
    for said in made.held.said:
        message = said.message
        match message:
            case Terminate() if message.cause in GRAVE:
                text = f"ended by {message.sender} at {said.at}: {message.cause}"
                reasons.append(_no("revoked", "ending", text, "a contract that ended in order"))
            case Terminate():
                text = f"ended early by {message.sender} at {said.at}: {message.cause}"
                reasons.append(_no("in_doubt", "ending", text, "a person's approval"))
            case Breach():
                text = f"{message.sender} claims a breach of {message.clause}"
                reasons.append(_no("in_doubt", "ending", text, "a person's approval"))
            case Dispute() | Ruling():
                text = f"{message.type} of {message.sender} at {said.at}"
                reasons.append(_no("in_doubt", "ending", text, "a person's approval"))
            case _:
                pass
    if not reasons and made.held.state not in ENDED:
        text = f"the evidence ends in state {made.held.state}: how it went on is not known"
        reasons.append(_no("in_doubt", "ending", text, "evidence up to the end, or a person's approval"))
    yield from reasons or [_met("ending", "it was not ended early, and nothing is claimed or disputed")]
