"""A transcript played again, without the implementation that it is of: everything that it said is judged anew.

Our side is decided by the seed and by the times that the transcript holds, so it says the same again; what the
implementation said is taken from the transcript. Where our side would say something else, the transcript was changed,
or is of another release. Scenarios that look at more than messages (strangers' connections, files) are left out.

Source: protocol-spec/harness.md, "Reports"
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from undersigned.did import DidDocument, document_from, fetches
from undersigned.encoding import Did, Instant
from undersigned.errors import Closed, ConfigurationError, UndersignedError
from undersigned.testing import Attacker, Known

from .failures import Failure, sent_before
from .lines import SceneLine
from .run import Result, chosen, play
from .scenario import Knock, Read, Scenario, Show, Told, Unasked, Upgrade
from .scene import Scene, written
from .stage import Stage, Subject

__all__ = ["Replay", "replayed"]

T = TypeVar("T")
ELSEWHERE = (Knock, Read, Show, Told, Unasked, Upgrade)


class Replay(NamedTuple):
    """What came of a transcript."""

    results: tuple[Result, ...]
    cut_off: tuple[str, ...]
    """Ids of scenarios whose end is not in it; nothing is said of them."""
    whole: bool
    """Whether the file has its last line."""


async def replayed(transcript: Iterable[str], only: Iterable[str] = ()) -> Replay:
    """What comes of each scenario of a transcript that can be played again; `only` as in `chosen`.

    Raises:
        ConfigurationError: It is no transcript of a run, or holds nothing that can be judged again.
    """
    try:
        heading, *entries = _lines(transcript)
        whole = bool(entries) and entries[-1]["what"] == "end"
        entries = entries[:-1] if whole else entries
        for one in entries:
            _ = one["scenario"], one["line"] if one["what"] in ("time", "over") else one["connection"]
        subject = msgspec.convert(heading["subject"], Subject)
        if heading["document"] is None:
            raise ConfigurationError("bad_configuration", f"nothing to judge: {subject.did} did not resolve")
        document = str(heading["document"]).encode()
        files = dict.fromkeys(fetches(subject.did, local=True), document)
        known = Known(subject.did, document_from(subject.did, files))
    except ConfigurationError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError, UndersignedError) as exc:
        raise ConfigurationError("bad_configuration", f"no transcript of a run: {exc}") from exc
    stage = _Stage(subject, known, heading["origin"], seed=heading["seed"], run=heading["run"])
    stage.breaks = heading.get("breaks") is True
    found: list[Result] = []
    cut_off: list[str] = []
    for scenario in chosen("provider", every=True, only=only):
        of = [entry for entry in entries if entry["scenario"] == scenario.id]
        if not of or scenario.published or any(isinstance(step, ELSEWHERE) for step in scenario.steps):
            continue
        if of[-1]["what"] == "over":
            found.append(await _again(stage, scenario, of[:-1]))
        else:
            cut_off.append(scenario.id)
    if not found and not cut_off and whole:
        raise ConfigurationError(
            "bad_configuration",
            "nothing to judge: the transcript holds no scenario that can be played again; those of strangers' "
            "connections, of files and of hirers cannot",
        )
    return Replay(tuple(found), tuple(cut_off), whole)


def _lines(transcript: Iterable[str]) -> list[dict[str, Any]]:
    """Each line; without the last one where that breaks off."""
    lines = list(transcript)
    found: list[dict[str, Any]] = []
    for place, line in enumerate(lines):
        try:
            found.append(json.loads(line))
        except ValueError:
            if place == 0 or place < len(lines) - 1:
                raise
    return found


async def _again(stage: _Stage, scenario: Scenario, entries: list[dict[str, Any]]) -> Result:
    return await play(stage, scenario, lambda _: None, scene=_Scene(stage, scenario.id, entries))


class _Stage(Stage):
    """Where nobody listens and nothing is fetched."""

    def __init__(self, subject: Subject, known: Known, origin: str, *, seed: str, run: str) -> None:
        super().__init__(subject, seed=seed)
        self.run = run
        self._known, self._origin = known, origin

    async def documents(self, dids: Iterable[Did]) -> Mapping[Did, DidDocument]:
        """The document of the implementation as it was, and those that are in DIDs themselves."""
        return {did: self.known.document if did == self.known.did else document_from(did, {}) for did in dids}

    @property
    def origin(self) -> str:
        """Where we listened."""
        return self._origin


class _Scene(Scene):
    def __init__(self, stage: _Stage, scenario: str, entries: list[dict[str, Any]]) -> None:
        super().__init__(stage, scenario, lambda _: None)
        self.clock = _Clock([(int(one["line"]), one["text"]) for one in entries if one["what"] == "time"])
        # How a connection was proved is not played again, and what could not be received was judged by nobody.
        self._entries = [one for one in entries if one["what"] != "time" and not {"unproved", "unread"} & one.keys()]

    async def line(self, who: Attacker, name: str) -> SceneLine:
        """The next connection of this one of ours in the transcript."""
        numbers = [one["connection"] for one in self._entries if one["what"] == "connected" and one["line"] == name]
        taken = sum(1 for one in self.lines if one.who.did == who.did)
        if taken >= len(numbers):
            raise Failure("the transcript ends before this connection")
        mine = [one for one in self._entries if one["connection"] == numbers[taken] and one["what"] != "connected"]
        line = _Line(who, mine)
        self.lines.append(line)
        return line


class _Clock:
    def __init__(self, readings: list[tuple[int, Instant]]) -> None:
        self._readings, self._calls = readings, 0

    def now(self) -> Instant:
        """What the same call read when the scenario was played."""
        self._calls += 1
        read = [at for call, at in self._readings if call <= self._calls]
        if not read:
            raise Failure("the transcript holds no time")
        return read[-1]


class _Line(SceneLine):
    def __init__(self, who: Attacker, entries: list[dict[str, Any]]) -> None:
        self.who, self.read, self.after = who, 0, ""
        self.frames: list[bytes] = []
        self.closed: Closed | None = None
        self._entries = entries

    def _take(self) -> bool:
        """Takes the next thing that came before we say more; False if there is none."""
        if not self._entries or self._entries[0]["what"] == "sent":
            return False
        entry = self._entries.pop(0)
        if entry["what"] == "closed":
            code, close_code = json.loads(entry["text"])
            self.closed = Closed(code, "as it was", close_code=close_code)
        else:
            self.frames.append(written(entry))
        return True

    def mark(self) -> int:
        """How many frames had come when the next one of ours was sent."""
        while self._take():
            pass
        return len(self.frames)

    async def send(self, raw: bytes) -> None:
        """Says it again, which has to be the same."""
        self._said(raw, binary=False)

    async def send_binary(self, raw: bytes) -> None:
        """Says it again in a binary frame."""
        self._said(raw, binary=True)

    def _said(self, raw: bytes, *, binary: bool) -> None:
        self.mark()
        self.after = sent_before(raw, binary=binary)
        if not self._entries:
            return
        entry = self._entries.pop(0)
        if (written(entry), entry.get("binary", False)) != (raw, binary):
            raise Failure("our side says something else than in the transcript")

    async def wait(self, found: Callable[[], T | None], seconds: float = 10.0) -> T:
        """What `found` finds in what came before we said more."""
        while (value := found()) is None:
            if not self._take():
                raise TimeoutError
        return value

    def abort(self) -> None:
        """Nothing is open."""

    def stall(self) -> None:
        """Nothing is open."""

    async def hang_up(self) -> None:
        """Nothing is open."""
        self.mark()
