"""What an agent offers: the tasks that it does for others, and how much of that it promises at most.

Source: protocol-spec/05-negotiation.md, section 5.6
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from undersigned.errors import ConfigurationError
from undersigned.runtime.base import AgentBase
from undersigned.runtime.clock import Clock
from undersigned.runtime.execution.bookings import Bookings
from undersigned.runtime.execution.job import Handler
from undersigned.runtime.execution.services import Service, checked_service, names_of, offered
from undersigned.runtime.home.configuration import HOLD_SECONDS, WAIT_SECONDS
from undersigned.runtime.home.home import Home
from undersigned.runtime.home.parsing import checked_name, parse_price
from undersigned.scope import Limit

if TYPE_CHECKING:
    from undersigned.runtime.execution.work import Worker

__all__ = ["Offering"]

Given = TypeVar("Given", bound=Handler)


class Offering(AgentBase):
    """An agent, as far as it offers its work."""

    worker: Worker
    """Who does it."""

    def __init__(
        self,
        home: Home,
        *,
        clock: Clock | None,
        suite: str | None,
        handlers: Mapping[str, Handler] | None,
        budget: Iterable[Limit] | None,
        books: str | None,
    ) -> None:
        """The options are those of `Agent`."""
        super().__init__(home, clock=clock, suite=suite)
        self.services: dict[str, Service] = {}
        self._handlers = dict(handlers or {})
        self.bookings = Bookings(
            self, self.services, home.budget if budget is None else budget, home.books_url if books is None else books
        )

    def load_offers(self) -> None:
        """Takes up what the settings offer, but for tasks that the application does itself.

        Raises:
            ConfigurationError: As `offered`; `bad_configuration`, a handler is for what they do not offer.
        """
        tasks = [offer.task for offer in self.home.configuration.offer]
        if unknown := [task for task in self._handlers if task not in tasks]:
            offered_here = " and ".join(map(repr, tasks)) or "nothing"
            raise ConfigurationError(
                "bad_configuration",
                f"handlers: the settings offer no {' and no '.join(map(repr, unknown))}; they offer {offered_here}. "
                "What they do not offer is offered with @peer.offers",
            )
        for offer in self.home.configuration.offer:
            if offer.task not in self.services:
                self.services[offer.task] = offered(offer, self._handlers.get(offer.task))

    def offers(
        self,
        task: str,
        *,
        price: str = "0 EUR",
        summary: str = "",
        delivers: str | Sequence[str] = "result",
        media_type: str = "application/octet-stream",
        capacity: int = 16,
        hold_seconds: int = HOLD_SECONDS,
        wait_seconds: int = WAIT_SECONDS,
    ) -> Callable[[Given], Given]:
        """Decorator: this `async` function does `task` for whoever hires us at `price` or more, and delivers
        `delivers`, one thing or several; in place of what the settings offer of that task, if they do. `media_type` is
        of each that `job.deliver` gives no other. Offer before the peer is entered, or right after, with no `await` in
        between: whoever asks before is told that it is not offered. Work that is unfinished waits for it.

        Whatever it raises fails this work alone. In a task that it starts itself, or a callback that it hands to the
        loop, `SystemExit` and `KeyboardInterrupt` end the loop, as asyncio has it, and so the work for everybody.

        Raises, when decorating:
            ConfigurationError: `bad_configuration`: it could not be hired, or is offered already.
        """
        # Said here: without the parentheses nothing would be decorated, and nothing offered.
        checked_name("offer: task", task)

        def register(handler: Given) -> Given:
            service = Service(
                task=task,
                handler=handler,
                price=parse_price(price, f"offer {task}: price"),
                summary=summary,
                delivers=names_of(delivers),
                media_type=media_type,
                capacity=capacity,
                hold_seconds=hold_seconds,
                wait_seconds=wait_seconds,
            )
            known = self.services.get(task)
            self.services[task] = checked_service(service, known)
            if known is None:
                self.bookings.places.offered(task)
                self.worker.offered(task)
            return handler

        return register
