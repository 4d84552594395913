"""Who hears what happens in the engagements of one agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from undersigned.encoding import Digest, EngagementId
from undersigned.runtime.artifacts.transfers import Tell
from undersigned.runtime.clock import Clock
from undersigned.runtime.unread import MAX_UNREAD, Unread

from .turn import Event, Hears, Transfer

if TYPE_CHECKING:
    from .conversation import Conversation

__all__ = ["Watchers"]


class Watchers:
    """Those who hear the events of one engagement, or of all; who does not read loses the oldest."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.hearing: dict[EngagementId | None, list[Hears]] = {}
        """Who hears events, by engagement; None: of all. While it is empty, `tell` need not be called."""
        self._followed: dict[Hears, list[EngagementId | None]] = {}
        """What each of them hears of."""

    def listen(self, engagement: EngagementId | None = None) -> Unread[Event]:
        """What happens from now on, in order; give it back with `unlisten`."""
        events: Unread[Event] = Unread(MAX_UNREAD)
        self.follow(engagement, events.put_nowait)
        return events

    def unlisten(self, events: Unread[Event]) -> None:
        """Adds nothing more to what `listen` gave."""
        self.unfollow(events.put_nowait)

    def follow(self, engagement: EngagementId | None, hears: Hears) -> None:
        """Tells what happens from now on where it happens, until `unfollow`."""
        self.hearing.setdefault(engagement, []).append(hears)
        self._followed.setdefault(hears, []).append(engagement)

    def unfollow(self, hears: Hears) -> None:
        """Tells it nothing more."""
        for engagement in self._followed.pop(hears, ()):
            watchers = self.hearing[engagement]
            watchers.remove(hears)
            if not watchers:
                del self.hearing[engagement]

    def tell(self, event: Event) -> None:
        """Hands an event to whoever hears of its engagement."""
        for hears in self.hearing.get(event.engagement, ()):
            hears(event)
        for hears in self.hearing.get(None, ()):
            hears(event)

    def tells(self, conversation: Conversation, name: str, digest: Digest, *, outward: bool = False) -> Tell:
        """Tells whoever watches an engagement how far something of it has come."""

        def tell(done: int, total: int | None) -> None:
            moved = Transfer(name, digest, outward, done, total)
            state, now = conversation.engagement.state, self._clock.now()
            kind = "artifact" if (conversation.engagement.role == "provider") == outward else "input"
            self.tell(
                Event(engagement=conversation.id, kind="transfer", type=kind, at=now, state=state, transfer=moved)
            )

        return tell
