"""`make bench`: how fast two companies hire each other, beside the floor measured in the same run.

Both companies run in this process, on one core: real loopback sockets, two SQLite ledgers that sync at every commit.
The floor (`floor.py`) does again what one of these hires was counted to do (`counting.py`), with nothing around it, and
as often as so many hires at once do it, who share some of it.
Hires and floors take turns, and what is reported are medians over the rounds, so a busy machine disturbs the
milliseconds and hardly the ratios. Nothing here passes or fails.

    make bench                                    both suites, few and many hires at once: a few minutes
    make bench ARGS="--rounds 15 --hires 200"     steadier
    make bench ARGS="--cores 0 --at-once 8"       on all cores, with threads that get in each other's way
    make bench ARGS="--sites"                     which line of the library does what how often in one hire
    make bench ARGS="--profile"                   where the time goes
    make bench ARGS="--memory"                    what an idle negotiation holds
    make bench ARGS="--trust"                     the trust graph; with --million also one of a million edges
    make bench ARGS="--spawn"                     identities of minutes, issued and withdrawn
    make bench ARGS="--graphs"                    graphs that the work limit just lets through
    make bench ARGS="--gate"                      decisions of a gate, bookings, and the way through it
    make bench ARGS="--ledger"                    the Merkle log at a million leaves: appends, proofs, an audit
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import structlog

from bench.counting import KINDS, Tape, counting
from bench.floor import Floor, rows_of
from bench.gate import show_gate
from bench.gated import show_gated
from bench.graphs import show_graphs
from bench.ledger import show_ledger
from bench.memory import idle_negotiations
from bench.pair import HIRER, PROVIDER, Pair, two_peers
from bench.profiled import profiled
from bench.spawn import show_spawn
from bench.trust_graph import show_trust

SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")
FILES = 100
"""That many are made to see what one costs."""
MANY = 64
"""Hires over which is averaged what one of them does, if not more are under way at once."""
PER_MESSAGE = ("sign", "verify", "jcs", "options", "parts", "quads", "option-quads", "decode", "convert", "sha256")


class Load(Protocol):
    """Something that does the work of hires."""

    async def hires(self, count: int, at_once: int, done: Any = ...) -> None: ...


class Progress:
    """One line on the terminal that says how far it is; a line per step where there is no terminal."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._width = 0
        self._what = ""
        self._shown = 0.0

    def begin(self, what: str) -> None:
        """A new step."""
        self._what = what
        self._count = 0
        if not self._quiet and not self._terminal:
            print(what, file=sys.stderr, flush=True)

    def step(self) -> None:
        """One more hire of this step is done."""
        self._count += 1
        now = time.monotonic()
        if self._terminal and not self._quiet and now - self._shown > 0.1:
            self._shown = now
            text = f"{self._what}: {self._count}"
            print(f"\r{text:<{self._width}}", end="", file=sys.stderr, flush=True)
            self._width = len(text)

    def end(self) -> None:
        """Clears the line."""
        if self._terminal and not self._quiet:
            print(f"\r{'':<{self._width}}\r", end="", file=sys.stderr, flush=True)


def main() -> None:
    options = arguments()
    if options.trust:
        show_trust(options.million)
        return
    if options.graphs:
        show_graphs(options.rounds)
        return
    if options.spawn:
        show_spawn(options.rounds, options.folder)
        return
    if options.ledger:
        asyncio.run(show_ledger(options.leaves, options.folder, options.quiet))
        return
    if options.gate:
        show_gate(options.folder, partial(run, options.loop))
        show_gated(options.folder, partial(run, options.loop))
        return
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(40),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    progress = Progress(options.quiet)
    keep_to(options.cores)
    report: dict[str, Any] = {"versions": versions(options.loop), "suites": {}}
    if not options.json:
        print("  ".join(f"{name} {version}" for name, version in report["versions"].items()), flush=True)
    # One folder for all: see `cost_of_a_file`.
    with tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as everything:
        for suite in options.suite or SUITES:
            folder = Path(everything) / suite
            folder.mkdir()
            if options.profile:
                text = run(options.loop, profiled(folder, suite, options.hires, options.at_once[-1], progress))
                print(f"\n{suite}\n{text}", flush=True)
                continue
            if options.memory:
                report["suites"][suite] = run(options.loop, idle_negotiations(folder, suite, options.hires))
                show_memory(suite, report["suites"][suite], options)
                continue
            report["suites"][suite], tape = run(options.loop, measured(folder, suite, options, progress))
            if not options.json:
                show(suite, report["suites"][suite], options)
                if options.sites:
                    show_sites(tape)
    if options.json:
        print(json.dumps(report, indent=2))


def cost_of_a_file(folder: Path) -> float:
    """CPU in ms to make an empty file.

    Where thousands of files were deleted in the last minutes, as a run of this does at its end, ext4 passes over the
    places of all of them to find one for a new file: it takes twenty times as long, in hires and floors alike, and the
    ratio means less.
    """
    started = time.process_time_ns()
    for number in range(FILES):
        (folder / str(number)).touch(exist_ok=False)
    return (time.process_time_ns() - started) / FILES / 1e6


def keep_to(cores: int) -> None:
    """Lets this process, and every thread that it starts from now on, run on so many cores; 0: on all."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Speed of whole hires, beside their floor.")
    parser.add_argument("--suite", action="append", choices=SUITES, help="one suite only (default: both)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of hires and floors (default 7)")
    parser.add_argument("--hires", type=int, default=128, help="hires in a round (default 128)")
    parser.add_argument(
        "--at-once",
        type=int,
        nargs="+",
        default=[8, 64],
        help="hires under way at a time: one load or several (default 8 64)",
    )
    parser.add_argument("--cores", type=int, default=1, help="cores that both companies share (default 1; 0: all)")
    parser.add_argument(
        "--loop", choices=("auto", "asyncio", "uvloop"), default="auto", help="default: uvloop if there"
    )
    parser.add_argument("--folder", help="where the ledgers are made: the disk that is measured (default: temporary)")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--sites", action="store_true", help="count by the line of the library that does it")
    parser.add_argument("--profile", action="store_true", help="where the time of hires goes, instead of the report")
    parser.add_argument("--memory", action="store_true", help="memory of idle negotiations, instead of the report")
    parser.add_argument("--trust", action="store_true", help="the trust graph, instead of the report")
    parser.add_argument("--million", action="store_true", help="with --trust: a graph of a million edges as well")
    parser.add_argument(
        "--graphs", action="store_true", help="graphs just inside the work limit, instead of the report"
    )
    parser.add_argument("--spawn", action="store_true", help="identities of minutes, instead of the report")
    parser.add_argument(
        "--gate",
        action="store_true",
        help="decisions and bookings of a gate, and the way through it, instead of the report",
    )
    parser.add_argument("--ledger", action="store_true", help="the Merkle log, instead of the report")
    parser.add_argument("--leaves", type=int, default=1_000_000, help="with --ledger: of how many (default 1000000)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args()
    options.at_once = sorted(set(options.at_once))
    if options.loop == "auto":
        try:
            metadata.version("uvloop")
            options.loop = "uvloop"
        except metadata.PackageNotFoundError:
            options.loop = "asyncio"
    return options


def run(loop: str, work: Coroutine[Any, Any, Any]) -> Any:
    """Does `work` on a fresh event loop of this kind."""
    if loop == "uvloop":
        import uvloop

        return uvloop.run(work)
    return asyncio.run(work)


def versions(loop: str) -> dict[str, str]:
    """What was measured."""
    names = ("msgspec", "pynacl", "websockets", "aiohttp", *(["uvloop"] if loop == "uvloop" else []))
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in names},
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
    }


async def counted(pair: Pair, hires: int = 1, at_once: int = 1) -> Tape:
    """What so many hires do, on connections that are open, between parties that know each other."""
    with counting() as tape:
        await pair.hires(hires, at_once)
    return tape


class Counts(NamedTuple):
    """How often each kind is done in a hire where many are under way."""

    done: dict[str, float]
    needed: dict[str, float]
    rows: float
    """Of the durable writes."""


async def averages(pair: Pair, at_once: int) -> Counts:
    """Averages over hires of which so many are under way at once."""
    hires = max(at_once, MANY)
    tape = await counted(pair, hires, at_once)

    def each(counts: Counter[str]) -> dict[str, float]:
        return {kind: counts[kind] / hires for kind in KINDS}

    rows = sum(len(rows_of(op.payload)) for op in tape.ops if op.kind == "write")
    return Counts(each(tape.done()), each(tape.needed()), rows / hires)


async def measured(
    folder: Path, suite: str, options: argparse.Namespace, progress: Progress
) -> tuple[list[dict[str, Any]], Tape]:
    """The report of one suite, for each load."""
    (folder / "files").mkdir()
    file_ms = cost_of_a_file(folder / "files")
    async with two_peers(folder, suite) as pair:
        most = max(options.at_once)
        progress.begin(f"{suite}: first hires")
        await pair.hires(most + 2, most, progress.step)
        tape = await counted(pair)
        reports = [
            {**await beside_floors(pair, tape, at_once, folder, options, progress), "cpu_ms_per_file": file_ms}
            for at_once in options.at_once
        ]
        progress.end()
    return reports, tape


async def beside_floors(
    pair: Pair, tape: Tape, at_once: int, folder: Path, options: argparse.Namespace, progress: Progress
) -> dict[str, Any]:
    """Hires and both floors by turns, so many at once: the fewer there are, the less they share of work and syncs."""
    counts = await averages(pair, at_once)
    folders = {name: folder / f"{name}-{at_once}" for name in ("floor", "least")}
    for each in folders.values():
        each.mkdir()
    rounds: dict[str, list[dict[str, float]]] = {"hire": [], "floor": [], "least": []}
    hires, before = max(at_once, MANY), synced(pair)
    await pair.hires(hires, at_once)
    per_sync = counts.done["write"] * hires / (synced(pair) - before)
    async with (
        Floor(tape.ops, counts.done, per_sync, folders["floor"]) as floor,
        Floor(tape.needed_ops(), counts.needed, per_sync, folders["least"]) as least,
    ):
        loads: dict[str, Load] = {"hire": pair, "floor": floor, "least": least}
        for load in loads.values():
            await load.hires(at_once, at_once)
        before, before_floor = synced(pair), floor.synced
        for number in range(1, options.rounds + 1):
            for name, load in loads.items():
                progress.begin(f"{folder.name}, {at_once} at once: round {number} of {options.rounds}, {name}")
                rounds[name].append(await timed(load, options.hires, at_once, progress))
        all_hires = options.rounds * options.hires
        syncs = {"syncs": (synced(pair) - before) / all_hires, "floor_syncs": (floor.synced - before_floor) / all_hires}
    return report_of(rounds, tape, counts, options, at_once) | syncs


def synced(pair: Pair) -> int:
    """How often both sides synced what they committed, since they were opened."""
    return sum(peer.ledger.counters.groups for peer in (pair.acme, pair.globex))


async def timed(load: Load, hires: int, at_once: int, progress: Progress) -> dict[str, float]:
    """CPU of the whole process, of its main thread, and time passed: milliseconds per hire."""
    wall, cpu, main_thread = time.perf_counter_ns(), time.process_time_ns(), time.thread_time_ns()
    await load.hires(hires, at_once, progress.step)
    return {
        "cpu_ms": (time.process_time_ns() - cpu) / hires / 1e6,
        "main_thread_ms": (time.thread_time_ns() - main_thread) / hires / 1e6,
        "wall_ms": (time.perf_counter_ns() - wall) / hires / 1e6,
    }


def report_of(
    rounds: dict[str, list[dict[str, float]]],
    tape: Tape,
    counts: Counts,
    options: argparse.Namespace,
    at_once: int,
) -> dict[str, Any]:
    """Medians, ratios by round, and counts."""

    def median(name: str, key: str) -> float:
        return statistics.median(one[key] for one in rounds[name])

    def ratios(name: str) -> list[float]:
        return [hire["cpu_ms"] / floor["cpu_ms"] for hire, floor in zip(rounds["hire"], rounds[name], strict=True)]

    messages = counts.done["send"]
    return {
        "rounds": options.rounds,
        "hires": options.hires,
        "at_once": at_once,
        "hires_per_second": 1000 / median("hire", "wall_ms"),
        "cpu_ms_per_hire": median("hire", "cpu_ms"),
        "main_thread_ms_per_hire": median("hire", "main_thread_ms"),
        "cpu_ms_per_ten_messages": median("hire", "cpu_ms") / messages * 10,
        "floor_cpu_ms": median("floor", "cpu_ms"),
        "floor_main_thread_ms": median("floor", "main_thread_ms"),
        "least_cpu_ms": median("least", "cpu_ms"),
        "ratio": statistics.median(ratios("floor")),
        "ratios": ratios("floor"),
        "ratio_to_least": statistics.median(ratios("least")),
        "least_ratios": ratios("least"),
        "messages": messages,
        "types": {side: tape.sent(side) for side in (HIRER, PROVIDER)},
        "bytes": {side: tape.bytes_sent(side) for side in (HIRER, PROVIDER)},
        "rows": counts.rows,
        "counts": {name: {"needed": counts.needed[kind], "done": counts.done[kind]} for kind, name in KINDS.items()},
    }


def show(suite: str, reports: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """The report for people: a column for each load."""
    first = reports[0]

    def line(name: str, of: Callable[[dict[str, Any]], str], after: str = "") -> None:
        print(f"  {name:<48}{''.join(f'{of(report):>18}' for report in reports)}  {after}".rstrip())

    def ratio(of: str, each: str) -> Callable[[dict[str, Any]], str]:
        return lambda report: f"{report[of]:.2f} ({min(report[each]):.2f}-{max(report[each]):.2f})"

    print(
        f"\n{suite}: {options.rounds} rounds of {options.hires} hires, {options.loop};"
        " each figure is the median of the rounds"
    )
    line("under way at once", lambda report: str(report["at_once"]))
    line("hires per second, both companies, wall time", lambda report: f"{report['hires_per_second']:.1f}")
    line("CPU per hire, ms", lambda report: f"{report['cpu_ms_per_hire']:.2f}")
    line("  in the main thread", lambda report: f"{report['main_thread_ms_per_hire']:.2f}")
    line("CPU per ten messages, ms", lambda report: f"{report['cpu_ms_per_ten_messages']:.2f}")
    line("floor, same work, ms", lambda report: f"{report['floor_cpu_ms']:.2f}")
    line("  in the main thread", lambda report: f"{report['floor_main_thread_ms']:.2f}")
    line("the hire takes, times that floor", ratio("ratio", "ratios"), "(lowest and highest round)")
    line("floor, only what is needed, ms", lambda report: f"{report['least_cpu_ms']:.2f}")
    line("the hire takes, times that floor", ratio("ratio_to_least", "least_ratios"))
    line("syncs of a hire / of that floor", lambda report: f"{report['syncs']:.2f} / {report['floor_syncs']:.2f}")
    print(
        f"  an empty file made here took {first['cpu_ms_per_file']:.2f} ms of CPU"
        " (0.4 where a run has just deleted its files: wait, or name a --folder)\n"
        "  The floor does again, with nothing around it, what stands below as done; 'needed' leaves out what one side\n"
        "  does to the same bytes twice, or to what it wrote itself; '<' marks where more was done.\n"
    )
    line("counted for each hire, needed / done", lambda report: f"{report['at_once']} at once", "done per message")
    for kind, name in KINDS.items():
        counts = [report["counts"][name] for report in reports]
        if kind != "general" and not any(count["done"] for count in counts):
            continue
        last = counts[-1]["done"] / reports[-1]["messages"]
        after = f"{last:6.1f}" if kind in PER_MESSAGE else " " * 6
        more = "  <" if any(count["done"] > count["needed"] for count in counts) else ""
        line(
            f"  {name}",
            lambda report, name=name: f"{report['counts'][name]['needed']:.1f} / {report['counts'][name]['done']:.1f}",
            after + more,
        )
    line("  rows in the durable writes", lambda report: f"{report['rows']:.1f}", "without indexes and the tree's nodes")
    sizes = first["bytes"]
    print(
        f"  bytes of messages: {sizes[HIRER]} to the provider, {sizes[PROVIDER]} to the hirer\n"
        f"  messages: hirer {' '.join(first['types'][HIRER])}; provider {' '.join(first['types'][PROVIDER])}",
        flush=True,
    )


def show_sites(tape: Tape) -> None:
    """Which line does what how often."""
    print("\n  line of the library                                                    needed     done")
    before = ""
    for kind, site, done, needed in tape.sites():
        if kind != before:
            print(f"  {KINDS[kind]}")
        before = kind
        print(f"    {site:<68} {needed:6} {done:8}{'  <' if done > needed else ''}")
    sys.stdout.flush()


def show_memory(suite: str, report: dict[str, Any], options: argparse.Namespace) -> None:
    """What idle negotiations hold."""
    if options.json:
        return
    print(
        f"\n{suite}: {report['negotiations']} negotiations that wait for the answer to an offer, on one connection\n"
        f"  {report['bytes']:8.0f} bytes of Python objects for each negotiation on each side;"
        f" the target is at most {report['target']}\n"
        f"  {report['bytes_of_hire']:8.0f} more for an application that waits for the end of its hire\n"
        "  by line, for each side:"
    )
    for line in report["lines"]:
        print(f"    {line['bytes']:8.0f} bytes, {line['blocks']:5.1f} blocks  {line['line']}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
