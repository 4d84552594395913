"""Where the time of hires goes: samples for the time, a trace of calls for how often.

A trace alone would charge small functions more than they take, and samples alone do not say how often something runs.
"""

from __future__ import annotations

import cProfile
import pstats
import re
import signal
import sysconfig
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from .pair import Pair, two_peers

__all__ = ["profiled"]

INTERVAL_SECONDS = 0.001
TOP = 40
_SITE = sysconfig.get_paths()["purelib"] + "/"
_STANDARD = sysconfig.get_paths()["stdlib"] + "/"


class Samples:
    """Which function of the main thread ran, each time that the process had used another millisecond."""

    def __init__(self) -> None:
        self.own: Counter[CodeType] = Counter()
        self.within: Counter[CodeType] = Counter()
        self.total = 0
        self.threads: Counter[str] = Counter()
        """ms of CPU per hire, by name of thread."""

    def take(self, _signal: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        self.total += 1
        self.own[frame.f_code] += 1
        seen: set[CodeType] = set()
        while frame is not None:
            seen.add(frame.f_code)
            frame = frame.f_back
        self.within.update(seen)


async def profiled(folder: Path, suite: str, hires: int, at_once: int, progress: Any) -> str:
    """The profile of `hires` hires, as text."""
    async with two_peers(folder, suite) as pair:
        progress.begin(f"{suite}: first hires")
        await pair.hires(at_once + 2, at_once, progress.step)
        progress.begin(f"{suite}: sampling")
        rounds = 5
        samples, main_ms, all_ms = await sampled(pair, hires * rounds, at_once, progress)
        progress.begin(f"{suite}: counting calls")
        trace = cProfile.Profile()
        trace.enable()
        try:
            await pair.hires(hires, at_once, progress.step)
        finally:
            trace.disable()
        progress.end()
    calls = {(file, line, name): found[1] / hires for (file, line, name), found in pstats.Stats(trace).stats.items()}
    return as_text(samples, calls, main_ms, all_ms)


async def sampled(pair: Pair, hires: int, at_once: int, progress: Any) -> tuple[Samples, float, float]:
    """Samples of the main thread; its CPU and that of the whole process in ms per hire."""
    samples = Samples()
    threads = cpu_of_threads()
    before = signal.signal(signal.SIGPROF, samples.take)
    cpu, main_thread = time.process_time(), time.thread_time()
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_SECONDS, INTERVAL_SECONDS)
    try:
        await pair.hires(hires, at_once, progress.step)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    main_ms = (time.thread_time() - main_thread) / hires * 1000
    all_ms = (time.process_time() - cpu) / hires * 1000
    for name, seconds in cpu_of_threads().items():
        samples.threads[name] += (seconds - threads.get(name, 0.0)) / hires * 1000
    return samples, main_ms, all_ms


def cpu_of_threads() -> dict[str, float]:
    """Seconds of CPU that each Python thread has used, by name; nothing where the system does not say."""
    found: dict[str, float] = {}
    for thread in threading.enumerate():
        with suppress(OSError):
            used = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text().split()[0]
            name = re.sub(r"[-_]?[0-9]+$", "", thread.name)
            found[name] = found.get(name, 0.0) + int(used) / 1e9
    return found


def as_text(samples: Samples, calls: dict[Any, float], main_ms: float, all_ms: float) -> str:
    """The tables: packages, then functions by own time under their packages, then whole calls."""
    # The timer counts the CPU of the whole process: what other threads use is seen as whatever this one does meanwhile,
    # for the most part waiting inside the event loop.
    each = all_ms / max(samples.total, 1)
    lines = [
        f"  {all_ms:.2f} ms of CPU per hire, {main_ms:.2f} of them in the main thread ({samples.total} samples), "
        f"{all_ms - main_ms:.2f} in others",
        "",
        "  ms per hire, by thread",
        *(f"    {used:7.3f}  {name}" for name, used in samples.threads.most_common() if used > 0.001),
        "",
        "  ms per hire, by package; asyncio is the loop itself, and other threads while it waits",
    ]
    packages: Counter[str] = Counter()
    for code, count in samples.own.items():
        packages[package_of(code)] += count
    lines += [f"    {count * each:7.3f}  {name}" for name, count in packages.most_common(24)]
    top = dict(samples.own.most_common(TOP))
    lines += ["", f"  the {TOP} functions that take most themselves, C calls included    ms per hire   calls per hire"]
    for name, _ in packages.most_common():
        inside = [(code, count) for code, count in top.items() if package_of(code) == name]
        if inside:
            lines.append(f"    {name}")
            lines += [
                f"      {place_of(code):<64} {count * each:7.3f} {calls.get(key_of(code), 0.0):13.1f}"
                for code, count in inside
            ]
    lines += ["", "  functions of the library with all that they call                  ms per hire   calls per hire"]
    ours = [(code, count) for code, count in samples.within.most_common() if package_of(code).startswith("undersigned")]
    lines += [
        f"      {place_of(code):<64} {count * each:7.3f} {calls.get(key_of(code), 0.0):13.1f}"
        for code, count in ours[:TOP]
    ]
    return "\n".join(lines)


def key_of(code: CodeType) -> tuple[str, int, str]:
    return code.co_filename, code.co_firstlineno, code.co_name


def place_of(code: CodeType) -> str:
    return f"{shortened(code.co_filename)}:{code.co_firstlineno} {code.co_qualname}"


def package_of(code: CodeType) -> str:
    parts = shortened(code.co_filename).split("/")
    if parts[0] == "undersigned":
        return "/".join(parts[:2]).removesuffix(".py")
    return parts[0].removesuffix(".py")


def shortened(name: str) -> str:
    at = name.rfind("/undersigned/")
    if at >= 0:
        return name[at + 1 :]
    for root in (_SITE, _STANDARD):
        if name.startswith(root):
            return name.removeprefix(root)
    return name.rpartition("/")[2]
