"""What waits for people in a ledger, which may be another process's.

Source: protocol-spec/12-trust.md, section 12.10
"""

from __future__ import annotations

from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from undersigned.contract import Terms
from undersigned.encoding import Did, Instant, digest_hash
from undersigned.errors import FormatError, LocalProtocolError, PolicyError, UndersignedError
from undersigned.ledger import Ledger
from undersigned.protocol import ENDED
from undersigned.runtime.engagement.loading import Loaded, load_engagement
from undersigned.runtime.home.home import Home
from undersigned.trust import Put, Standing, VerifiedApproval, weigh

from .asked import AskedChange, AskedTerms, Change, asked_in, given_in, waiting_changes
from .statements import dropped, load_approvers, refused, verified

__all__ = ["WaitingTerms", "no_longer_waiting", "waiting_terms"]


class WaitingTerms(Struct, frozen=True, kw_only=True):
    """Terms in a ledger that wait for people."""

    about: Put
    role: str
    peer: Did
    asked: AskedTerms
    decision: str
    """The decision that asks, as JSON."""
    given: tuple[VerifiedApproval, ...]
    """What people said, with what lies in the folder and is not noted yet."""
    standing: Standing
    in_force: Terms | None = None
    """What would be changed."""

    @property
    def change(self) -> Change | None:
        """What would be done under a contract; None in a negotiation."""
        return self.asked.change if isinstance(self.asked, AskedChange) else None


async def waiting_terms(ledger: Ledger, home: Home, now: Instant) -> list[WaitingTerms]:
    """Everything that waits for people, oldest engagement first.

    Raises:
        ConfigurationError: As `load_approvers`.
        LedgerError: It cannot be read.
    """
    approvers, own = load_approvers(home), home.configuration.did
    found: list[WaitingTerms] = []
    for summary in await ledger.summaries(live_only=True):
        if summary.state in ENDED:
            continue
        loaded = await load_engagement(ledger, summary, own)
        engagement, in_force = loaded.engagement, loaded.offered()
        for asked in _asked(loaded):
            about = asked.about(engagement)
            documents = [*given_in(loaded.facts), *dropped(home.approvals / about.terms)]
            given = tuple(verified(documents, approvers, now))
            standing = weigh(given, about, needed=asked.needed)
            if standing.state != "refused" and await refused(ledger, about.terms):
                standing = replace(standing, state="refused", refused=("somebody before",))
            found.append(
                WaitingTerms(
                    about=about,
                    role=engagement.role,
                    peer=engagement.peer,
                    asked=asked,
                    decision=asked.decision if isinstance(asked, AskedChange) else loaded.facts.get("decision", "{}"),
                    given=given,
                    standing=standing,
                    in_force=in_force.terms if in_force is not None and isinstance(asked, AskedChange) else None,
                )
            )
    return found


async def no_longer_waiting(ledger: Ledger, home: Home, name: str, now: Instant) -> UndersignedError | None:
    """Why nothing waits any more under this digest, of terms or a change, or id of an engagement; None if nothing here
    says that anything ever did.

    Raises:
        ConfigurationError: As `load_approvers`.
        LedgerError: It cannot be read.
    """
    given: list[VerifiedApproval] = []
    with suppress(FormatError):  # nothing but a digest names what people said
        digest_hash(name)
        # A statement lies in the folder of its terms; which change it is about stands in it.
        said_of = [one for folder in sorted(home.approvals.glob("*")) for one in dropped(folder)]
        about = [
            one for one in verified(said_of, load_approvers(home), now) if name in (one.about.terms, one.about.change)
        ]
        given = sorted(about, key=lambda one: one.given)
    if await refused(ledger, given[-1].about.terms if given else name):
        return PolicyError("policy_denied", f"{name} was refused by a person, and that is for good")
    summary = await ledger.summary(given[-1].about.engagement if given else name)
    if summary is None:
        return None
    said = "".join(f"{one.by} said {one.verdict} at {one.given}; " for one in {one.by: one for one in given}.values())
    text = f"{name} waits for people no more: {said}{summary.engagement} is in state {summary.state}"
    return LocalProtocolError("wrong_state", text)


def _asked(loaded: Loaded) -> tuple[AskedTerms, ...]:
    if loaded.engagement.contract is not None:
        return waiting_changes(loaded.facts, loaded.engagement)
    asked = asked_in(loaded.facts, loaded.engagement)
    return (asked,) if asked is not None else ()
