"""Scenarios as data: what is played against an implementation, step by step, and what has to come of it.

A scenario has a stable id, a title, a level of RFC 2119, the requirements that it shows, the role of the implementation
that is tested, and steps. Those written by people are TOML, in the folder `scenarios`; for every move that no row of
the published tables allows one is made from these tables (`tables.py`).

Source: protocol-spec/harness.md, "Scenarios"
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from undersigned.errors import ConfigurationError

__all__ = [
    "GROUPS",
    "Again",
    "Allow",
    "Anew",
    "ClosedWith",
    "ComeBack",
    "Drop",
    "Forge",
    "Hear",
    "Judge",
    "Knock",
    "Lose",
    "Meet",
    "Never",
    "Publish",
    "Raw",
    "Reach",
    "Read",
    "Refused",
    "Repeat",
    "Resynced",
    "Rotate",
    "Say",
    "Scenario",
    "Send",
    "Show",
    "Spend",
    "Step",
    "Told",
    "Turned",
    "Unasked",
    "Upgrade",
    "Wait",
    "written_scenarios",
]

GROUPS: Final[Mapping[str, str]] = {
    "connection": "Connections and their proofs",
    "happy": "Happy paths",
    "counter": "Counter-offers",
    "text": "JSON and envelopes",
    "proof": "Proofs",
    "chain": "Chains, duplicates and order",
    "status": "Credentials and their status",
    "replay": "Replay to another recipient",
    "version": "Versions and suites",
    "document": "Documents that are no contract",
    "expiry": "Expiry at the edges",
    "negotiation": "Refusals in the negotiation",
    "contract": "Refusals under a contract",
    "lane": "Amendments, releases, breaches and disputes",
    "scope": "Scope and artifacts",
    "attestation": "Attestation",
    "reconnect": "Reconnect and resume",
    "keys": "Keys",
    "table": "Illegal moves, by role and state",
}
"""The groups in which scenarios are told, in order."""

Codes: TypeAlias = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
Who: TypeAlias = Literal["first", "second"]
"""Of ours: the counterparty, or a second one."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag=str.lower):
    """One step. `do` names it."""


class Reach(_Part, frozen=True, kw_only=True):
    """Both go on honestly until the engagement is in a state."""

    state: str
    price: Literal["asked", "low"] = "asked"
    """What the first offer of ours names: what is asked for, or less than that."""
    optional: bool = False
    """Whether another end of the negotiation is no fault: then the scenario does not apply."""
    members: dict[str, Any] = {}
    """Members of the next move of ours that replace what is said honestly."""
    terms: dict[str, Any] = {}
    """JSON pointers into the terms that we offer from now on, and what stands there."""


class Say(_Part, frozen=True, kw_only=True):
    """We make a move that the tables allow."""

    move: str
    members: dict[str, Any] = {}
    terms: dict[str, Any] = {}
    """Of an `Amendment`: JSON pointers into the terms in force, and what stands there in the new ones."""
    amount: str = ""
    """Of a `Release`: how much we offer to owe."""


class Forge(_Part, frozen=True, kw_only=True):
    """We send a message and do not keep it, because it has to be refused or changes nothing."""

    move: str = "next"
    """Its type; `next` is the honest next move."""
    by: Who | Literal["former"] = "first"
    """Whose key and DID sign it; `former` is our own DID by the key that was replaced."""
    over: Who = "first"
    """Whose connection it is sent over."""
    members: dict[str, Any] = {}
    """Members of the message, replaced before it is signed; `$absent` removes one. See `values.py` for `$` words."""
    document: dict[str, Any] = {}
    """JSON pointers into the document of an `Offer`, and what stands there when we sign it."""
    shown: dict[str, Any] = {}
    """How a presentation is made wrong: `challenge`, `domain`, `holder` (true: another one's), `credentials` (what is
    shown: a word of `memberships.py`), `members` (JSON pointers into it, replaced before it is signed).
    """
    statement: Literal[
        "",
        "of another contract",
        "of another engagement",
        "of other artifacts",
        "of other statements",
        "by a stranger",
        "by a key that is not listed",
        "with a name twice",
    ] = ""
    """What is wrong with the statement of a `Review`."""
    countersigned: Literal["", "by a stranger"] = ""
    """What is wrong with the second signature of an `Acceptance`."""
    signature: Literal["", "above the order", "too long"] = ""
    """How the bytes of the signature are spelled."""
    proof: dict[str, Any] = {}
    """Options of the proof: `created`, `expires` (seconds from now), `purpose`, `suite`, `method`."""
    after: dict[str, Any] = {}
    """JSON pointers and the value that stands there once it is signed."""
    text: tuple[tuple[str, str], ...] = ()
    """Pieces of the text as it is sent, and what stands there instead."""


class Send(_Part, frozen=True, kw_only=True):
    """We make the honest next move, in an unusual way that is right."""

    proof: dict[str, Any] = {}
    """Options of the proof, as of `forge`."""
    spelled: bool = False
    """Whether the text is spelled otherwise: other white space, other order of members."""


class Show(_Part, frozen=True, kw_only=True):
    """We make the `Presentation` that is due, with what a word of `memberships.py` names."""

    credentials: str


class Judge(_Part, frozen=True, kw_only=True):
    """We make the `Review` that is due, with this verdict."""

    verdict: Literal["accepted", "rejected"]
    by: Literal["first", "former"] = "first"
    """By whose key its statement is; `former` is our own DID by the key that was replaced."""


class Again(_Part, frozen=True, kw_only=True):
    """We sign the honest next move with a proof that has to be refused, and then sign the same content again."""

    first: dict[str, Any]
    """Options of the first proof."""
    codes: Codes


class Turned(_Part, frozen=True, kw_only=True):
    """The network turns two moves of ours round; the early one is refused, and is sent again after the other."""

    moves: tuple[str, str]


class Never(_Part, frozen=True, kw_only=True):
    """None of these types comes: another move does, or nothing for so long."""

    types: Codes
    seconds: Annotated[float, msgspec.Meta(ge=0, le=30)] = 1.5
    unread: bool = False
    """Whether what comes is only looked at: where it answers something that we did not keep."""


class Raw(_Part, frozen=True, kw_only=True):
    """We send text that need be nothing at all; `times` repeats `repeat` between `begin` and `end`."""

    begin: str = ""
    repeat: str = ""
    times: int = 0
    end: str = ""
    frame: Literal["text", "binary", "broken"] = "text"
    """As which frame it is sent; `broken` is a text frame that is no UTF-8."""


class Refused(_Part, frozen=True, kw_only=True):
    """What was sent last is refused: by a `Problem` or a `Fault` that names it, or by the end of the connection."""

    codes: Codes
    how: tuple[Literal["Problem", "Fault", "close"], ...] = ("Problem", "Fault", "close")
    close_code: int | None = None
    """With which the connection ends, where it does; None for any."""


class Hear(_Part, frozen=True, kw_only=True):
    """One of these types comes next, apart from notices."""

    types: Codes
    members: dict[str, Any] = {}
    """Members that it has."""
    optional: bool = False
    """Whether another move, or none, is no fault: then the scenario does not apply."""


class Repeat(_Part, frozen=True, kw_only=True):
    """We send a move again, byte for byte, and are told that it is known: a receipt, or the stored answer, the same."""

    place: int = -1
    """Which of ours; -1 is the last."""


class Allow(_Part, frozen=True, kw_only=True):
    """From now on the input may be read; before that whoever asks for it waits."""


class Anew(_Part, frozen=True, kw_only=True):
    """The same two begin another engagement, over the same connection; what we say of our log goes on."""


class Lose(_Part, frozen=True, kw_only=True):
    """A move of ours is made and lost on its way."""

    move: str


class Rotate(_Part, frozen=True, kw_only=True):
    """We have another key from now on, and our document lists only that."""

    name: Literal["new", "former"] = "new"
    """Whether it has a name of its own, or that of the key before."""


class Drop(_Part, frozen=True, kw_only=True):
    """Our connection ends; with `stall` it stays open, and nothing is read from it or answered on it any more."""

    how: Literal["close", "abort", "stall"] = "close"


class ComeBack(_Part, frozen=True, kw_only=True, tag="come_back"):
    """We connect again, or the hirer does, and each tells its position. Where the refusal before it was the end of the
    connection, that was done already.
    """

    ended: bool = False
    """Only where the connection ends after a refusal: what was refused may have come over another one, which ended."""


class Resynced(_Part, frozen=True, kw_only=True):
    """On the connection that we came back on, a `Sync` of this engagement comes before any move of it."""


class Wait(_Part, frozen=True, kw_only=True):
    """Time goes by, or a move of the type `until` comes, of which we know nothing yet: what we say next crosses it."""

    seconds: Annotated[float, msgspec.Meta(ge=0, le=30)] = 0
    until: str = ""


class Knock(_Part, frozen=True, kw_only=True):
    """A stranger connects and sends a first frame: the proof of a connection with these members replaced, or `text`."""

    members: dict[str, Any] = {}
    proof: dict[str, Any] = {}
    after: dict[str, Any] = {}
    text: str | None = None
    silent: bool = False
    weak: bool = False
    """Whether it proves itself by a key for which anybody can sign anything."""


class Meet(_Part, frozen=True, kw_only=True):
    """A hirer is told to hire, and where it dials it is answered wrongly: without the subprotocol, or by a third frame
    with these members.
    """

    granted: bool = True
    """Whether the subprotocol is granted. If not, what is said is right."""
    by: Literal["first", "stranger"] = "first"
    """Whose key signs the third frame, and who its sender is."""
    members: dict[str, Any] = {}
    """Members of that frame, replaced before it is signed."""


class ClosedWith(_Part, frozen=True, kw_only=True, tag="closed"):
    """The other side ends the connection, with one of these codes as its reason, and says nothing before that."""

    codes: Codes
    close_code: int = 1008
    """0 for any."""


class Publish(_Part, frozen=True, kw_only=True):
    """From now on our DID document is served otherwise, or we have our DID in another spelling."""

    members: dict[str, Any] = {}
    """JSON pointers into the document, and what stands there."""
    host: str = ""
    """In place of `localhost`, in the DID and in all that names it."""
    answer: Literal["", "elsewhere", "late"] = ""
    """How it is asked for in vain: the answer says that it is elsewhere, where it is; or it comes after six seconds."""


class Unasked(_Part, frozen=True, kw_only=True):
    """Nobody asked for the lists that the memberships of this scenario name, or for the input."""

    what: Literal["lists", "input"] = "lists"


class Spend(_Part, frozen=True, kw_only=True):
    """We send what is no JSON, again and again, until the connection ends for it; at most so often. Who answers is
    waited for.
    """

    most: Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class Upgrade(_Part, frozen=True, kw_only=True):
    """A WebSocket is asked for as it must not be: the answer is no channel."""

    subprotocol: str | None = None


class Told(_Part, frozen=True, kw_only=True):
    """Its back channel says that the engagement is over, in this state, with the moves that we know."""

    state: str


class Read(_Part, frozen=True, kw_only=True):
    """What was delivered is asked for, or, of a hirer, the input: the answer has this status. `by` signs what asks."""

    by: Literal["first", "second", "nobody"] = "first"
    status: tuple[int, ...] = (200,)
    what: Literal["it", "by name", "another"] = "it"
    """`by name`: by the name that it has, and not by its digest; `another`: by a digest that nobody granted."""
    used_up: bool = False
    """Whether it is asked for more often than the grant allows, all at a time: as often as granted it is given, and
    this is the status of every other answer.
    """


Step: TypeAlias = (
    Reach
    | Say
    | Forge
    | Send
    | Show
    | Judge
    | Again
    | Turned
    | Never
    | Raw
    | Refused
    | Hear
    | Repeat
    | Allow
    | Anew
    | Lose
    | Rotate
    | Drop
    | ComeBack
    | Resynced
    | Wait
    | Knock
    | Meet
    | ClosedWith
    | Publish
    | Unasked
    | Spend
    | Upgrade
    | Read
    | Told
)


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that is shown of an implementation."""

    id: str
    """Stable: never used again for something else."""
    title: str
    group: str
    role: Literal["provider", "hirer"]
    """Of the implementation that is tested; we play the other one."""
    level: Literal["MUST", "SHOULD", "MAY"] = "MUST"
    requirements: tuple[str, ...] = ()
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1)]
    published: bool = False
    """Whether we have a `did:web`, whose document is served."""
    suite: str = "eddsa-jcs-2022"
    """In which we sign."""
    arbiter: bool = False
    """Whether the terms that we offer name an arbiter, whose key is ours."""
    approval: bool = False
    """Whether the terms that we offer ask for our agreement before the input is read."""
    more: bool = False
    """Whether it is left out unless everything is asked for."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    scenario: tuple[Scenario, ...]


@cache
def written_scenarios() -> tuple[Scenario, ...]:
    """The scenarios that people wrote, in the order of their files.

    Raises:
        ConfigurationError: A file is none, or an id is used twice.
    """
    found = tuple(_read())
    ids = [one.id for one in found]
    twice = {one for one in ids if ids.count(one) > 1}
    unknown = {one.group for one in found} - set(GROUPS)
    if twice or unknown:
        raise ConfigurationError("bad_configuration", f"scenarios: twice {sorted(twice)}, no groups {sorted(unknown)}")
    return found


def _read() -> Iterator[Scenario]:
    folder = files("undersigned.interop").joinpath("scenarios")
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".toml"):
            try:
                yield from msgspec.convert(tomllib.loads(file.read_text("utf-8")), _File).scenario
            except (msgspec.ValidationError, tomllib.TOMLDecodeError) as exc:
                raise ConfigurationError("bad_configuration", f"{file.name}: {exc}") from exc
