"""The largest flow through a small network of whole numbers, and the ways it takes (Dinic's algorithm).

The value of a largest flow is one number whatever the order of work. The ways are not, so arcs are taken in sorted
order: equal networks give equal ways.

Source: protocol-spec/12-trust.md, section 12.4
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping
from typing import Final

__all__ = ["largest_flow"]

Arc = tuple[str, str]


class _Network:
    """Arcs with what they can still carry; each has its reverse, by which flow is taken back."""

    def __init__(self, arcs: Mapping[Arc, int]) -> None:
        self.rest: dict[Arc, int] = {}
        after: dict[str, set[str]] = {}
        for (one, other), capacity in arcs.items():
            self.rest[one, other] = self.rest.get((one, other), 0) + capacity
            self.rest.setdefault((other, one), 0)
            after.setdefault(one, set()).add(other)
            after.setdefault(other, set()).add(one)
        self.after: Final = {node: sorted(ends) for node, ends in after.items()}
        self.steps = 0
        """Arcs looked at."""

    def levels(self, source: str, sink: str) -> dict[str, int]:
        """Each node's distance from the source, over arcs that can carry more."""
        level, queue = {source: 0}, deque([source])
        while queue and sink not in level:
            node = queue.popleft()
            self.steps += len(self.after.get(node, ()))
            for end in self.after.get(node, ()):
                if end not in level and self.rest[node, end] > 0:
                    level[end] = level[node] + 1
                    queue.append(end)
        return level

    def push(self, source: str, sink: str, level: Mapping[str, int], most: int) -> int:
        """How much was sent along shortest ways; each arc that leads nowhere is tried once."""
        next_arc = dict.fromkeys(level, 0)
        sent, way = 0, [source]
        while sent < most:
            node = way[-1]
            if node == sink:
                amount = min(most - sent, *(self.rest[arc] for arc in itertools.pairwise(way)))
                for one, other in itertools.pairwise(way):
                    self.rest[one, other] -= amount
                    self.rest[other, one] += amount
                    self.steps += 1
                sent, way = sent + amount, [source]
                continue
            ends = self.after.get(node, [])
            while next_arc[node] < len(ends):
                end = ends[next_arc[node]]
                self.steps += 1
                if level.get(end, -1) == level[node] + 1 and self.rest[node, end] > 0:
                    way.append(end)
                    break
                next_arc[node] += 1
            else:
                if node == source:
                    break
                way.pop()
                next_arc[way[-1]] += 1
        return sent


def largest_flow(
    arcs: Mapping[Arc, int], source: str, sink: str, *, most: int, max_steps: int
) -> tuple[int, list[tuple[list[str], int]]] | None:
    """How much can flow from source to sink, up to `most`, and three of the ways it takes with what goes along each.

    Ways come shortest first, then by name. None if it would take more than `max_steps` looks at arcs.
    """
    if source == sink:
        return most, []
    network = _Network(arcs)
    total = 0
    while total < most:
        level = network.levels(source, sink)
        if network.steps > max_steps:
            return None
        if sink not in level:
            break
        total += network.push(source, sink, level, most - total)
    carried = {arc: capacity - network.rest[arc] for arc, capacity in arcs.items()}
    ways: list[tuple[list[str], int]] = []
    left = total
    after: dict[str, list[str]] = {}
    for one, other in sorted(arc for arc, amount in carried.items() if amount > 0):
        after.setdefault(one, []).append(other)
    while left > 0 and len(ways) < 3:
        way = _shortest(after, carried, source, sink)
        amount = min(left, *(carried[arc] for arc in itertools.pairwise(way)))
        for arc in itertools.pairwise(way):
            carried[arc] -= amount
        ways.append((way, amount))
        left -= amount
    return total, ways


def _shortest(after: Mapping[str, list[str]], carried: Mapping[Arc, int], source: str, sink: str) -> list[str]:
    came, queue = {source: source}, deque([source])
    while queue:
        node = queue.popleft()
        for end in after.get(node, ()):
            if end not in came and carried.get((node, end), 0) > 0:
                came[end] = node
                queue.append(end)
    way = [sink]
    while way[-1] != source:
        way.append(came[way[-1]])
    return way[::-1]
