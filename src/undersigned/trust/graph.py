"""The trust graph, asked for edge by edge: a question says which edges it needs, and gets them as values.

A question is a generator. It yields `EdgeQuery` and is sent the edges; `answer` drives it with anything that reads, be
it `Graph` in memory or a store of the shell. So only the neighbourhood of a question is ever read, and nothing here
does input or output. What is sent may be in any order: every choice that could depend on it is made on sorted values.

Source: protocol-spec/12-trust.md, sections 12.2 and 12.6
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias, TypeVar

from undersigned.credentials import Credential
from undersigned.encoding import Did, Digest, Instant
from undersigned.errors import FormatError
from undersigned.trust.edge import MAX_DEPTH, Edge, Kind

__all__ = [
    "WORK_LIMIT",
    "EdgeQuery",
    "Graph",
    "Link",
    "Meter",
    "Path",
    "Question",
    "ReadCost",
    "Reader",
    "Ref",
    "TooMuchWork",
    "answer",
    "beside",
    "check_presented",
]

WORK_LIMIT: Final = 50_000
"""Edges that one question may read; one that needs more is indeterminate."""
MAX_PRESENTED: Final = 256
"""Credentials that somebody may show as a graph."""
MAX_FAN: Final = 64
"""Of them, by one issuer or about one subject."""
MAX_PATHS: Final = 3

T = TypeVar("T")


Ref: TypeAlias = "int | Digest"
"""By which a reader gives an edge of which it gave the link."""


Link: TypeAlias = tuple[Ref, Did, Did, Kind, "str | None", int, bool, "Instant | None"]
"""What a walk over thousands of edges counts with: `ref`, `source`, `target`, `kind`, `capability`, `weight`, whether
it counts now, and `changes` of the edge. A tuple and no struct, because a store makes thousands of them."""


class EdgeQuery(NamedTuple):
    """What a question needs to go on: edges by one of their ends, or the names that share a key."""

    of: Literal["source", "target", "reached", "key", "ref"]
    """`source`: edges that these issued; `target`: edges about these; `reached`: pairs of one of these and somebody it
    issued an edge about, standing or not; `key`: pairs of one of these and another DID with a key in common; `ref`:
    pairs of one of `refs` and its edge."""
    dids: tuple[Did, ...] = ()
    """Sorted, each once."""
    kinds: tuple[Kind, ...] = ()
    capability: str | None = None
    """Of all but `key`: only edges about this capability, or about none; None: about any."""
    by: tuple[Did, ...] | None = None
    """Of `target`: only edges that one of these issued."""
    most: int = 0
    """No more than one above this many need to be read: then it is too many, and none of them is used."""
    at: Instant | None = None
    """Of `source` and `target`: links will do, as of now."""
    refs: tuple[Ref, ...] = ()
    """Of `ref` alone; each once."""


Read: TypeAlias = "Sequence[Edge] | Sequence[Link] | Sequence[tuple[Did, Did]] | Sequence[tuple[Ref, Edge]]"
Reader: TypeAlias = Callable[[EdgeQuery], Read]
"""Gives what is wanted, in any order."""
Question: TypeAlias = Generator[EdgeQuery, Read, T]


class ReadCost(NamedTuple):
    """What an answer cost."""

    nodes: int
    """Parties looked at."""
    edges: int
    """Edges read."""


class Path(NamedTuple):
    """Links from an anchor to whoever was asked about, and how much trust goes this way (0 for authority)."""

    edges: tuple[Edge, ...]
    amount: int = 0
    """In billionths."""


class TooMuchWork(Exception):
    """A question needs more than its limit. It never leaves the question, whose answer is *indeterminate*."""


class Meter:
    """What a question may still read, and what it has."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.edges = 0
        self.dids: set[Did] = set()

    @property
    def left(self) -> int:
        """Edges that may still be read."""
        return self.limit - self.edges

    def spend(self, dids: Iterable[Did], count: int) -> None:
        """Count what was read about `dids`.

        Raises:
            TooMuchWork: It was more than was left.
        """
        self.dids.update(dids)
        self.edges += min(count, self.left + 1)
        if self.edges > self.limit:
            raise TooMuchWork

    @property
    def work(self) -> ReadCost:
        """All of it."""
        return ReadCost(len(self.dids), min(self.edges, self.limit))


def answer(question: Question[T], read: Reader) -> T:
    """The answer, once the question has been given every edge it asked for."""
    try:
        wanted = next(question)
        while True:
            wanted = question.send(read(wanted))
    except StopIteration as done:
        return done.value


def beside(edges: Iterable[Edge], read: Reader) -> Reader:
    """A reader of what `read` reads, and of these edges, which are stored nowhere."""
    more = Graph(edges)

    def both(wanted: EdgeQuery) -> Read:
        return [*read(wanted), *more.read(wanted)]  # pyright: ignore[reportReturnType] - both are of the one kind wanted

    return both


class Graph:
    """A graph in memory: edges by either end. `keys` says which keys each DID has, as far as it is known."""

    def __init__(self, edges: Iterable[Edge] = (), keys: Mapping[Did, Collection[str]] | None = None) -> None:
        self._from: dict[Did, list[Edge]] = defaultdict(list)
        self._to: dict[Did, list[Edge]] = defaultdict(list)
        self._known: dict[Ref, Edge] = {edge.digest: edge for edge in edges}  # shown twice, it counts once
        for edge in self._known.values():
            self._from[edge.source].append(edge)
            self._to[edge.target].append(edge)
        self._keys = {did: frozenset(names) for did, names in (keys or {}).items()}
        self._having: dict[str, set[Did]] = defaultdict(set)
        for did, names in self._keys.items():
            for name in names:
                self._having[name].add(did)

    def read(self, wanted: EdgeQuery) -> Read:
        """What a question wants; a `Reader`."""
        if wanted.of == "key":
            pairs: set[tuple[Did, Did]] = set()
            for did in wanted.dids:
                for name in self._keys.get(did, ()):
                    pairs.update((did, other) for other in self._having[name] if other != did)
            return sorted(pairs)[: wanted.most + 1]
        if wanted.of == "ref":
            return [(ref, self._known[ref]) for ref in wanted.refs if ref in self._known]
        index = self._to if wanted.of == "target" else self._from
        by = None if wanted.by is None else frozenset(wanted.by)
        found: list[Edge] = []
        for did in wanted.dids:
            for edge in index.get(did, ()):
                if (
                    edge.kind in wanted.kinds
                    and (wanted.capability is None or edge.capability in (None, wanted.capability))
                    and (by is None or edge.source in by)
                ):
                    found.append(edge)
                    if len(found) > wanted.most:
                        break
        if wanted.of == "reached":
            return sorted({(edge.source, edge.target) for edge in found})
        return found if wanted.at is None else [_link(edge, wanted.at) for edge in found]


def _link(edge: Edge, now: Instant) -> Link:
    of = edge.digest, edge.source, edge.target, edge.kind, edge.capability, edge.weight
    return (*of, edge.counts(now), edge.changes(now))


def check_presented(credentials: Collection[Credential]) -> None:
    """Returns if these credentials are no graph bomb: few, with neither fan nor chain beyond any use.

    It stands before the signatures: nothing here has to be verified, and the counts are looked at first.

    Raises:
        FormatError: `too_large`: more than 256 credentials, more than 64 by one issuer or about one subject, or a chain
            of more than 4 links.

    Source: protocol-spec/12-trust.md, section 12.6
    """
    # The number of credentials first: of very many, not even the subjects are looked at.
    count = len(credentials)
    if count > MAX_PRESENTED or (count := sum(len(one.subjects) for one in credentials)) > MAX_PRESENTED:
        raise FormatError("too_large", f"expected at most {MAX_PRESENTED} edges; came {count}")
    if count <= MAX_DEPTH:
        return  # so few make neither
    after: dict[str, set[str]] = defaultdict(set)
    before: dict[str, set[str]] = defaultdict(set)
    for credential in credentials:
        for subject in credential.subjects:
            target = str(subject.get("id", ""))
            after[credential.issuer].add(target)
            before[target].add(credential.issuer)
    fan = max((len(ends) for ends in (*after.values(), *before.values())), default=0)
    if fan > MAX_FAN:
        raise FormatError("too_large", f"expected at most {MAX_FAN} credentials at one party; came {fan}")
    for start in after:
        # Shortest ways only: a cycle has an end, and is no chain.
        seen, frontier, length = {start}, {start}, 0
        while frontier := {end for one in frontier for end in after.get(one, ())} - seen:
            seen |= frontier
            length += 1
        if length > MAX_DEPTH:
            raise FormatError("too_large", f"expected chains of at most {MAX_DEPTH} links; came {length}")
