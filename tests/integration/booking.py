"""Eight gates on one ledger, each in a process of its own, some killed at chance and replaced.

`python -m integration.booking URL SEED` prints, as JSON, how each process ended and what it had been told until then.
One interpreter imports everything and forks, so that what is killed is at work and not starting.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import select
import signal
import sys

from contracts import document, terms
from undersigned.encoding import digest_bytes
from undersigned.errors import LedgerUnavailable, ScopeError
from undersigned.ledger import open_books
from undersigned.runtime import Gate
from undersigned.scope import Action, Grant, Limit, Scope
from undersigned.testing import HandClock

PROCESSES, KILLS, AT_ONCE = 8, 8, 4
ROUNDS, FREELY = b"..", b"*"
"""Two rounds each while there are kills: all of them together do not reach a limit, so whoever is killed is alive."""
COUNT, EUR = 300, "60"
SCOPE = Scope(
    grants=(
        Grant("read", "data:read", "https://acme.example/*", limits=(Limit("count", str(COUNT)), Limit("EUR", EUR))),
    )
)
CONTRACT = digest_bytes(b"the contract")


async def work(url: str, seed: int, leave: int, answers: int) -> None:
    """Asks until the answer is no, or the process is killed; writes a line once an answer of yes is there.

    Each round of questions takes a byte from `leave`; after `FREELY` no more is needed.
    """
    chance = random.Random(seed)
    ledger = await open_books(url)
    gate = Gate(ledger, HandClock("2026-11-25T12:30:00Z"))
    contract = document(terms=terms(scope=SCOPE))

    async def ask() -> bool:
        action = Action("data:read", "https://acme.example/x", {"EUR": f"0.{chance.randint(1, 4)}"})
        try:
            permit = await gate.admit(CONTRACT, contract, "working", action)
        except ScopeError:
            return False
        except LedgerUnavailable:
            return True  # another process had the file for too long: no answer, and nothing is done
        os.write(answers, f"{permit.id} {action.amounts['EUR']}\n".encode())
        if chance.random() < 0.3:
            await gate.settle(permit)
        return True

    given = b""
    while True:
        given = given if given == FREELY else os.read(leave, 1)
        if not any(await asyncio.gather(*(ask() for _ in range(AT_ONCE)))):
            break
    await ledger.close()


class Booker:
    """One process, waiting until it is let go."""

    def __init__(self, url: str, seed: int) -> None:
        waiting, self._go = os.pipe()
        answers, said = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._go)  # else a process whose parent is gone would wait for itself
            asyncio.run(work(url, seed, waiting, said))
            os._exit(0)
        os.close(waiting)
        os.close(said)
        self.answers = answers
        self._heard = b""
        self.status = 0

    @property
    def told(self) -> list[str]:
        """What it was told, but for a line that it did not finish."""
        return self._heard.decode().split("\n")[:-1]

    def go(self, leave: bytes) -> None:
        os.write(self._go, leave)

    def hear(self) -> bool:
        """Takes what it says next; False at its end."""
        said = os.read(self.answers, 4096)
        self._heard += said
        return said != b""

    def end(self, *, kill: bool) -> None:
        """Kills it, or waits for its end. What it said before counts."""
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        while self.hear():
            pass
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def main(url: str, seed: int) -> None:
    chance = random.Random(seed)
    bookers = [Booker(url, seed * 100 + number) for number in range(PROCESSES + KILLS)]
    running, waiting = bookers[:PROCESSES], bookers[PROCESSES:]
    for booker in running:
        booker.go(ROUNDS)
    for place, spare in enumerate(waiting):
        # Killed in the middle: a process that was just answered, or one that waits for its turn.
        ready, _, _ = select.select([booker.answers for booker in running], [], [])
        speaking = next(booker for booker in running if booker.answers == ready[0])
        speaking.hear()
        victim = speaking if place % 2 else chance.choice(running)
        running.remove(victim)
        victim.end(kill=True)
        spare.go(ROUNDS)
        running.append(spare)
    for booker in running:
        booker.go(FREELY)
    for booker in running:
        booker.end(kill=False)
    print(json.dumps([{"status": booker.status, "told": booker.told} for booker in bookers]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
