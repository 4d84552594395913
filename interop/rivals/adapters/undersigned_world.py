"""State folders of peers on this machine, for the adapters of undersigned."""

import logging
import socket
from urllib.parse import quote

import structlog

from undersigned.runtime import OfferPart, create_home, issue_membership

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def did_at(port):
    return "did:web:" + quote(f"localhost:{port}", safe="")


def port_of(home):
    """Its DID, and where it listens."""
    port = home.configuration.listen.port
    return did_at(port), port


def free_ports(number):
    found = [socket.socket() for _ in range(number)]
    for one in found:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in found]
    for one in found:
        one.close()
    return ports


async def home(folder, name, *, port=None, anchors, offers=None, **settings):
    """A folder with keys, a membership of its own organisation, and what it offers."""
    if offers is not None:
        part = OfferPart(task=offers, handler="ours:summarise", price="4.00 EUR", delivers="summary.txt", capacity=100)
        settings["offers"] = (part,)
    made = create_home(folder, name=name, local=True, port=port or free_ports(1)[0], anchors=anchors, **settings)
    await issue_membership(made)
    return made
