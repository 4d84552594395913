"""Which credentials answer a request: those that were asked for, and as few as will do.

Source: protocol-spec/11-credentials.md, section 11.6
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from undersigned.credentials.claims import CLAIMS
from undersigned.credentials.model import MAX_CREDENTIALS, Credential
from undersigned.encoding import Did, Digest, Duration, Instant, parse_duration

__all__ = ["RequestedCredential", "answers", "select"]


class RequestedCredential(Protocol):
    """One thing that is asked for: a need of a `PresentationRequest` or of a `Withdraw`."""

    @property
    def credential(self) -> str | None:
        """Type of the credential; without one, none is asked for."""
        ...

    @property
    def issuers(self) -> tuple[Did, ...] | None:
        """Who may have issued it; None is anybody."""
        ...

    @property
    def capability(self) -> str | None:
        """What it must attest; None is anything."""
        ...

    @property
    def max_age(self) -> Duration | None:
        """How long ago its validity may have begun; None is any time."""
        ...


def answers(credential: Credential, wanted: RequestedCredential, now: Instant) -> bool:
    """Whether this one credential is what is asked for, and valid. Its proof and its status are not looked at."""
    if wanted.credential not in credential.types or not credential.valid_at(now):
        return False
    if wanted.issuers is not None and credential.issuer not in wanted.issuers:
        return False
    if wanted.capability is not None and wanted.capability not in _capabilities(credential):
        return False
    return wanted.max_age is None or credential.age_seconds(now) <= parse_duration(wanted.max_age)


def select(request: Iterable[RequestedCredential], held: Iterable[Credential], now: Instant) -> tuple[Credential, ...]:
    """The credentials of `held` to be shown in answer to `request`, in the order in which they are held.

    Each answers something that was asked for; each need that any of `held` answers is answered; and none can be left
    out without leaving a need unanswered. Of several that would do, the one that answers most is shown, then the
    smallest, so that least is told. What nothing answers is left to the other side's decision. At most 16 are shown,
    as no more are read: needs that stand first come first.
    """
    valid = {one.digest: one for one in held}
    candidates = [{digest for digest, one in valid.items() if answers(one, wanted, now)} for wanted in request]
    open_needs = [found for found in candidates if found]
    chosen: list[Digest] = []
    # Greedy: the fewest of all would be a search whose length the asking side sets.
    left = list(open_needs)
    while left and len(chosen) < MAX_CREDENTIALS:
        best, *more = left[0]
        if more:
            best = min(left[0], key=lambda one: (-sum(one in need for need in left), _size(valid[one]), one))
        chosen.append(best)
        left = [need for need in left if best not in need]
    # A later choice may have made an earlier one needless.
    answered = [need for need in open_needs if not need.isdisjoint(chosen)]
    for one in tuple(chosen):
        others = [other for other in chosen if other != one]
        if all(not need.isdisjoint(others) for need in answered):
            chosen = others
    return tuple([one for digest, one in valid.items() if digest in chosen])


def _capabilities(credential: Credential) -> set[str]:
    """What it attests: of our types the member that names a capability, of others a member of that name."""
    names = {"capability", "mayAttest", "accreditedFor"} if CLAIMS.keys() & set(credential.types) else {"capability"}
    said = [subject.get(name) for subject in credential.subjects for name in names]
    return {capability for capability in said if isinstance(capability, str)}


def _size(credential: Credential) -> int:
    return len(str(credential.shown))
