"""Commands that run a peer and follow what happens in it: `serve`, `watch`."""

from __future__ import annotations

import asyncio
from typing import Final

import click

from undersigned.daemon import Peer, more_files
from undersigned.errors import ConfigurationError
from undersigned.ledger import Ledger, Summary, surely_unwritten
from undersigned.messages import recorded_message
from undersigned.protocol import ENDED
from undersigned.runtime import CONTROL_TOKEN, Home, control_at

from .interrupts import stop_signal
from .ledger import waits_of
from .options import GATES_OPTION, VERBOSE_OPTION, open_peer, quiet_logs, running
from .output import HOME_OPTION, Out, command, engagement_named, meeting, reading, tell_waits
from .starting import tell_ends, tell_gates, tell_unfinished
from .telling import noted, part_of, row_line, summary_of, tell, tell_review
from .words import counted, plain, typed

__all__ = ["serve", "watch"]

DAY_SECONDS: Final = 86_400.0
"""Between two looks at what ends of what is shown: who serves may not start again for years."""
LOOK_SECONDS: Final = 0.3
"""Between two looks into the ledger."""
QUIET_SECONDS: Final = 10.0
"""After so long without an entry people are told who is waited for."""


@click.command()
@click.option(
    "--control",
    metavar="HOST:PORT",
    help="Also serve the control API (VC API) there, on loopback, to who has the token in control.token of the state "
    "folder; port 0 picks a free one. [control] of the settings does the same.",
)
@GATES_OPTION
@HOME_OPTION
@VERBOSE_OPTION
@meeting
async def serve(out: Out, control: str | None, gates: str | None, home: str | None, verbose: bool) -> int:
    """Run the peer: listen, answer, work, go on with what is unfinished.

    It is stopped with Ctrl-C (SIGINT), SIGTERM or SIGHUP and then ends with exit code 0; what is unfinished goes on at
    the next start. A second Ctrl-C waits for nobody, and the exit code is 130; a second SIGTERM or SIGHUP ends it as
    signals do.
    """
    quiet_logs(verbose, warnings=True)
    opened = out.home(home)
    peer = open_peer(opened)
    if control is not None:
        peer.control = control_at(control, opened.configuration.control, "--control")
    if gates is not None:
        peer.gates = control_at(gates, opened.configuration.gates, "--gates")
    stop = stop_signal(works=True)
    more_files()  # here and not in `Peer`: how much an application may have open is for it to say
    try:
        async with running(out, peer):
            out.value(
                {
                    "kind": "ready",
                    "did": peer.own.id,
                    "url": peer.url,
                    "tasks": sorted(peer.services),
                    "local": opened.configuration.local,
                    "resumed": len(peer.conversations),
                    "control": peer.control_url or None,
                    "gates": peer.gates_url or None,
                }
            )
            reach = "; loopback only, without TLS" if opened.configuration.local else ""
            out.line(f"serving {peer.own.id} at {peer.url or 'no public URL: it only hires'}{reach}")
            prices = [f"{task} for {s.price}" for task, s in sorted(peer.services.items())]
            out.line(f"tasks: {', '.join(prices) or 'none; this peer only hires'}")
            if peer.control_url:
                out.line(
                    f"control at {peer.control_url}; who has the token in {opened.path / CONTROL_TOKEN} may use it"
                )
            tell_gates(out, peer)
            await tell_unfinished(out, peer)
            out.line("stop it with Ctrl-C")
            peer.settle_down()
            await _tell_until(stop, peer, out)
    except BrokenPipeError:
        # It ends, as every command whose reader leaves does; but this one did something for others.
        again = typed("serve --home {}", opened.path)
        out.unheard(f"stopped, because nobody reads what it says any more: what is unfinished goes on with {again}")
        raise
    left = "what is unfinished goes on at the next start" if peer.conversations else "nothing is unfinished"
    out.line(f"stopped; {left}")
    return 0


async def _tell_until(stop: asyncio.Event, peer: Peer, out: Out) -> None:
    """Tells all that happens until `stop`; each line begins with the engagement it is of."""
    queue = peer.watchers.listen()
    getting, waiting = asyncio.create_task(queue.get()), asyncio.create_task(stop.wait())
    a_day = asyncio.create_task(asyncio.sleep(DAY_SECONDS))
    introduced: set[str] = set()
    try:
        while not stop.is_set():
            done, _ = await asyncio.wait({getting, waiting, a_day}, return_when=asyncio.FIRST_COMPLETED)
            if a_day in done:
                tell_ends(out, peer)
                a_day = asyncio.create_task(asyncio.sleep(DAY_SECONDS))
            if getting not in done:
                continue
            event = getting.result()
            getting = asyncio.create_task(queue.get())
            name = part_of(event.engagement.rpartition(":")[2])
            conversation = peer.conversations.get(event.engagement)
            if event.engagement not in introduced and conversation is not None:
                introduced.add(event.engagement)
                role = "hires us" if conversation.engagement.role == "provider" else "is hired by us"
                out.line(f"{name}  {conversation.engagement.peer} {role}: {event.engagement}", style="bold")
            tell(out, event, f"{name}  ")
            if (event.kind, event.type) == ("noted", "review-failed") and conversation is not None:
                tell_review(out, conversation, peer.home.path)
            if event.kind == "over":
                introduced.discard(event.engagement)
    finally:
        for task in (getting, waiting, a_day):
            task.cancel()
        peer.watchers.unlisten(queue)


@click.command()
@click.argument("engagement", required=False)
@click.option("--follow/--no-follow", default=True, show_default=True, help="Go on until the engagement is over.")
@HOME_OPTION
@command
async def watch(out: Out, engagement: str | None, follow: bool, home: str | None) -> int:
    """Follow an engagement (by default the newest one) in the ledger, from another terminal.

    '->' was sent, '<-' was received, the rest was noted on this side alone.
    """
    opened = out.home(home)
    async with reading(opened) as store:
        others = 0
        if engagement is None:
            found = await store.summaries()
            if not found:
                raise ConfigurationError("not_found", "this ledger holds no engagement yet")
            engagement = max(found, key=lambda summary: summary.updated).engagement
            others = sum(one.engagement != engagement and one.live and one.state not in ENDED for one in found)
        engagement = await engagement_named(store, engagement)
        place, quiet, told, day = 0, 0.0, "", ""
        while True:
            summary = await store.summary(engagement)
            if summary is None:
                raise ConfigurationError("not_found", f"no engagement {engagement} in this ledger")
            if place == 0:
                other = "provider" if summary.role == "hirer" else "hirer"
                out.line(f"{engagement} with {plain(summary.peer, 200)}, who is the {other}")
                if others:
                    out.line(f"the newest; {counted(others, 'other')} not over: see 'ledger list', and name one")
            quiet += LOOK_SECONDS
            for row in await store.rows(engagement, place):
                place, quiet = row.place, 0.0
                if row.kind == "noted":
                    said = noted(row.type, row.raw.decode(errors="replace"))
                else:
                    said = summary_of(recorded_message(row.raw).message)
                out.value({"place": row.place, "at": row.at, "kind": row.kind, "type": row.type, "summary": said})
                if (row.kind, row.type) != ("noted", "done"):  # a key for programs; what was done has a line of its own
                    if row.at[:10] != day:
                        day = row.at[:10]
                        out.line(f"{day}, in UTC")
                    out.line(row_line(row.at, row.kind, row.type, said))
            # An ended one may be live for long: its last move waits until the other side confirms it.
            if not follow or not summary.live or summary.state in ENDED:
                out.value({"engagement": engagement, "state": summary.state, "live": summary.live})
                out.line(f"state {summary.state}{'' if summary.live else ', over'}", style="bold")
                return 0
            if quiet >= QUIET_SECONDS:
                told, quiet = await tell_who_is_waited_for(out, opened, store, summary, told), 0.0
            await asyncio.sleep(LOOK_SECONDS)


async def tell_who_is_waited_for(out: Out, home: Home, store: Ledger, summary: Summary, told: str) -> str:
    """Who owes what by when, and whether anything runs here that would go on with it; what was `told` of that is not
    told again. What is told of it now.

    Raises:
        LedgerError: As `load_engagement`.
    """
    due, nobody = await waits_of(store, summary, home), surely_unwritten(home.ledger_url)
    hint = f"; no peer runs here, and {typed('serve --home {}', home.path)} goes on with it" if nobody else ""
    text = f"{due['text']}{hint}"
    if text != told:
        tell_waits(out, {"engagement": summary.engagement, **due, "running": False if nobody else None}, text)
    return text
