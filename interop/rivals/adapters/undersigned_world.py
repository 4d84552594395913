"""State folders of peers on this machine, for the adapters of undersigned."""

import logging
from urllib.parse import quote

import structlog

from undersigned.encoding import shift
from undersigned.runtime import OfferPart, SystemClock, create_home, issue_membership
from undersigned.testing import free_ports

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def did_at(port):
    return "did:web:" + quote(f"localhost:{port}", safe="")


def port_of(home):
    """Its DID, and where it listens."""
    port = home.configuration.listen.port
    return did_at(port), port


class Ahead:
    """A clock that may be set ahead."""

    seconds = 0

    def now(self):
        return shift(SystemClock().now(), self.seconds)


async def home(folder, name, *, port=None, anchors, offers=None, **settings):
    """A folder with keys, a membership of its own organisation, and what it offers."""
    if offers is not None:
        part = OfferPart(task=offers, handler="ours:summarise", price="4.00 EUR", delivers="summary.txt", capacity=100)
        settings["offers"] = (part,)
    made = create_home(folder, name=name, local=True, port=port or free_ports(1)[0], anchors=anchors, **settings)
    await issue_membership(made)
    return made
