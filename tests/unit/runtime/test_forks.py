"""Whether one log's tiles show that another head of it is not continued."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from undersigned.ledger import Stated
from undersigned.runtime.log import forks
from undersigned.transparency.merkle import leaf_hash, node_hash, root_at

SIZE = 3_000_000
LOG = "did:web:mallory.example"


def levels() -> list[bytes]:
    """The root of 2^n leaves that are all the same."""
    found = [leaf_hash(b"")]
    while len(found) < 40:
        found.append(node_hash(found[-1], found[-1]))
    return found


LEVELS = levels()


class Endless:
    """Serves a log of any size, whose leaves are all the same, and costs whoever serves it nothing."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    async def fetch(self, url: str, **_: Any) -> bytes:
        self.asked[url] += 1
        _, level, *_ = url.removeprefix("https://mallory.example/").split("/")
        return LEVELS[int(level) * 8] * int(url.partition(".p/")[2] or 256)


def stated(size: int) -> Stated:
    return Stated(log=LOG, size=size, root=root_at(size, lambda level, _: LEVELS[level]), at=None, note="")


async def test_no_more_tiles_are_held_than_a_few_heads_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever states many heads of a log that is made up serves tiles without end."""
    monkeypatch.setattr(forks, "MAX_TILES", 16)
    served, others = Endless(), [stated(size) for size in range(3, SIZE, SIZE // 50)]
    assert await forks.fork_of(served, "https://mallory.example", stated(SIZE), others) is None  # type: ignore[arg-type]
    assert len(served.asked) > 50
    assert max(served.asked.values()) > 2, "what was let go of is asked for again"
    wrong = Stated(log=LOG, size=others[-1].size, root=leaf_hash(b"other"), at=None, note="")
    found = await forks.fork_of(served, "https://mallory.example", stated(SIZE), [*others, wrong])  # type: ignore[arg-type]
    assert found is not None
    assert found.held == wrong
