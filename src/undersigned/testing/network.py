"""A network in memory that may deliver anything that was ever sent, in any order, any number of times.

What was sent stays; delivering takes nothing away. A test asks for one delivery after another, by choice or by the
seed, and prints the seed when it fails. So loss is a message never asked for, delay one asked for late, repetition one
asked for twice.

Source: protocol-spec/10-security.md, section 10.3
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

__all__ = ["Network", "Parcel"]


class Parcel(NamedTuple):
    """Bytes on their way from one side to the other."""

    number: int
    sender: str
    recipient: str
    raw: bytes


class Network:
    """Every message that was sent. The seed decides what `shuffled` and `pick` give, and nothing else."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.random = Random(seed)  # noqa: S311 - chaos has to be repeatable, not secret
        self.sent: list[Parcel] = []

    def send(self, sender: str, recipient: str, raw: bytes) -> Parcel:
        """Put bytes on the network; nothing is delivered by that."""
        parcel = Parcel(len(self.sent), sender, recipient, raw)
        self.sent.append(parcel)
        return parcel

    def to(self, recipient: str) -> tuple[Parcel, ...]:
        """Everything that was ever sent to one side, oldest first."""
        return tuple(parcel for parcel in self.sent if parcel.recipient == recipient)

    def pick(self) -> Parcel | None:
        """Any one parcel, old or new; None while nothing was sent."""
        return self.random.choice(self.sent) if self.sent else None

    def shuffled(
        self, *, drop: float = 0.0, repeat: int = 1, only: Callable[[Parcel], bool] | None = None
    ) -> Iterator[Parcel]:
        """What is there now, in some order: each parcel lost with probability `drop`, else 1 to `repeat` times.

        Raises:
            ValueError: `repeat` is less than 1.
        """
        if repeat < 1:
            raise ValueError(f"repeat: expected at least 1, got {repeat}; what is lost is said by `drop`")
        chosen = [
            parcel
            for parcel in self.sent
            if (only is None or only(parcel)) and self.random.random() >= drop
            for _ in range(self.random.randint(1, repeat))
        ]
        self.random.shuffle(chosen)
        yield from chosen
