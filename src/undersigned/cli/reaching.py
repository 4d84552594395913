"""What commands that meet another agent have in common: whether it can be met, and what is said while it is silent."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from undersigned.daemon import Hire, Peer
from undersigned.did import is_derived
from undersigned.errors import Closed, ConfigurationError, CredentialError, RemoteProtocolError, UndersignedError
from undersigned.protocol import ENDED
from undersigned.runtime import Home, checked_url

from .options import did_here
from .output import UNREACHABLE, Out, tell_waits
from .words import owed_in_words, plain

__all__ = ["checked_peer", "hint_at", "hint_at_unheard", "tell_if_not_reached", "tell_whose_turn"]

PATIENCE_SECONDS = 2.0
"""After so long without a connection people are told why."""
_LONGER = "--wait SECONDS tries for longer"
_HINTS = {
    "no_name": "Nobody knows that name (DNS): is the DID, or the URL, spelled right?",
    "no_name_server": f"No name server answers here: is this machine on the network? {_LONGER}",
    "refused": f"The machine is there, and nothing listens at that port: is it running? {_LONGER}",
    "silent": f"Is it running, and does a firewall let us through? {_LONGER}",
    "authority": "Its certificate is by nobody whom this machine trusts: ca_file in the settings names one of your own",
    "certificate": "Whoever runs it has to put its certificate right",
    "no_tls": "What listens at that port does not speak TLS: is the port right?",
    "no_http": "What listens at that port does not speak HTTP: is the port right?",
    "": f"Is it running, and listening there? {_LONGER}",
}
"""What can be done, by what `why_unreached` says."""
QUIET_SECONDS = 10.0
"""After so long without an event people are told who owes the next one."""


def checked_peer(did: str, at: str | None, home: Home) -> None:
    """Whether `did` is a DID of somebody else, who is reached at a URL or says where.

    Raises:
        ConfigurationError: `bad_configuration`.
        ResolutionError: As `did_here`.
    """
    did_here(home, did)
    checked_url(at, home.configuration.local)
    if did == home.configuration.did:
        raise ConfigurationError("bad_configuration", f"{did} is this agent itself, and nobody hires itself")
    if at is None and is_derived(did):
        raise ConfigurationError(
            "bad_configuration", f"{did} publishes no place where it listens: name one with --at URL"
        )


async def tell_if_not_reached(out: Out, peer: Peer, did: str) -> None:
    """After a while without a connection: a line that says why, so that nobody waits in the dark."""
    await asyncio.sleep(PATIENCE_SECONDS)
    if not peer.links.connected(did):
        error = peer.links.last_error.get(did)
        why = f": {plain(error.message)}" if error is not None else ""
        out.line(f"not reached yet{why}; trying for {peer.reach_seconds:g} s", style="yellow")


async def tell_whose_turn(out: Out, peer: Peer, hire: Hire, heard: asyncio.Event) -> None:
    """Whenever nothing was `heard` of a hire for a while: that our own store takes nothing, or, if the provider had
    answered before, who owes what by when, and why it is not reached; once for each. The other side may leave it at
    that, and the terms give it hours.
    """
    told = set[str]()
    while True:
        heard.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(QUIET_SECONDS):
                await heard.wait()
            continue
        due = next((one for one in peer.status() if one["engagement"] == hire.engagement), None)
        if due and due["untaken"]:
            text = f"our own store does not take what comes next: {plain(due['untaken'])}"
        elif due and due["owes"] and due["state"] not in ("-", "inquired"):
            text = owed_in_words(due["moves"], due["owes"], due["by"], due["why"])
        else:
            continue
        away = "" if due["untaken"] else due["unreached"] or ""
        one = text + away.partition(":")[0]  # the connection may come and go meanwhile, and each attempt fail otherwise
        if one not in told:
            told.add(one)
            tell_waits(out, due, f"{text}; the other side is not reached: {plain(away)}" if away else text)


def hint_at_unheard(error: UndersignedError, peer: Peer, hire: Hire) -> None:
    """Adds to the message of the error of a hire that we withdrew that the other side has not heard it yet, if so."""
    due = next((one for one in peer.status() if one["engagement"] == hire.engagement), None)
    if error.detail.get("ours") and due is not None and due["state"] in ENDED:
        error.message += "; the other side has not confirmed that it knows: what runs on this folder tells it again"


def hint_at(error: UndersignedError) -> None:
    """Adds to the message of an error what can be done about it: if a peer was not reached, or takes no more now."""
    status = error.detail.get("status")
    if error.code == "did_forbidden_address":
        error.message += ". Only public addresses are dialled, whatever the settings say: it has to listen at one"
    elif error.code == "proof_invalid" and isinstance(error, Closed):
        error.message += (
            ". It found no proof of who we are: our DID document has to be in its reach, with the key of now, and both"
            " clocks right"
        )
    elif error.exit_code != UNREACHABLE or isinstance(error, CredentialError | RemoteProtocolError):
        pass  # the peer was reached, and it is something of its answer that was not, or not taken here
    elif error.code in ("rate_limited", "overloaded") or status in (429, 503):
        error.message += ". It is there, and takes no more from here for now: try again later"
    elif error.detail.get("nowhere"):
        pass  # it says what is missing, and more time would change nothing
    elif status is None and error.code != "connection_closed":  # else somebody answered
        error.message += f". {_HINTS.get(str(error.detail.get('unreached')), _HINTS[''])}"
    elif status == 404:
        what = "DID document" if error.code == "did_unresolvable" else "peer"
        error.message += f". Somebody listens there, and has no such {what}: is the DID, or the URL, right?"
