"""Plays the attacks against one runtime, through its adapter, and writes one line of JSON for each.

    play.py ADAPTER.py [ATTACK ...]

It runs with nothing but the standard library and what the adapter imports, in an environment of that runtime's own.

An adapter is a module with a class `Runtime`, made anew for each play; its methods are actions, which take their
arguments as text, and `LACKS` says why it has no others. `SURFACE` says in a word what of the runtime is called. An
action gives one line about what the runtime returned; it raises `Refused`, or one of the exceptions in `REFUSALS`,
where the runtime said no, and `NotApplicable` where it has nothing of that kind. Any other exception means that the
adapter is broken.

    open AGAINST                a negotiation between `buyer` and `seller`; the attack comes to the one named
    offer BY PRICE [HOW]        an offer, or the counter-offer to it; HOW: altered, misaddressed
    accept BY [HOW]             of the live offer; HOW: first (the first one), forged, unsigned, replayed
    withdraw BY                 the end of the negotiation
    wait                        until after what was offered or granted has run out
    contract HOW                from the live offer; HOW: both (parties), one, garbage, altered
    grant [HOW]                 the seller may read `app`, and spend 10; HOW: forged
    act BY TARGET               reading it
    spend BY AMOUNT             out of what was granted
    delegate BY TARGET          to somebody else, that it may read it
    rate BY HOW COUNT           of the seller by so many; BY: known, fresh, itself; HOW: low, high
    lift BY COUNT               `rate BY high COUNT`, refused unless the seller then stands higher than before
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ACTIONS = (
    "open",
    "offer",
    "accept",
    "withdraw",
    "wait",
    "contract",
    "grant",
    "act",
    "spend",
    "delegate",
    "rate",
    "lift",
)
MOST = 300
PYTHON = ".".join(map(str, sys.version_info[:3]))


class Refused(Exception):
    """The runtime said no; the text is what it said."""


class NotApplicable(Exception):
    """The runtime has nothing of that kind; the text says what it has instead."""


class Broken(Exception):
    """What has to succeed did not."""


def attacks() -> list[dict[str, Any]]:
    """The attacks, in the order of the file."""
    return tomllib.loads((HERE / "attacks.toml").read_text(encoding="utf-8"))["attack"]


def adapter_of(path: Path) -> Any:
    """The module of an adapter; its name is that of no package, so it hides none."""
    sys.modules.setdefault("play", sys.modules[__name__])
    sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(f"adapter_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise Broken(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def line(text: object) -> str:
    """One line of at most 300 characters."""
    return " ".join(str(text).split())[:MOST]


def steps(adapter: Any, script: list[str]) -> str:
    """Plays a script on a runtime made for it; what the last step returned."""
    runtime, last = adapter.Runtime(), ""
    said = ""
    try:
        for last in script:
            action, *arguments = last.split()
            said = getattr(runtime, action)(*arguments)
    except NotApplicable:
        raise
    except (Refused, *adapter.REFUSALS) as refused:
        said = str(refused) if isinstance(refused, Refused) else f"{type(refused).__name__}: {refused}"
        if last is not script[-1]:
            raise Broken(f"{last}: {said}") from refused
        raise Refused(said) from refused
    except Exception as error:
        raise Broken(f"{last}: {type(error).__name__}: {error}") from error
    finally:
        getattr(runtime, "close", lambda: None)()
    return said


def play(adapter: Any, attack: dict[str, Any]) -> dict[str, str]:
    """What became of one attack: `refused`, `accepted`, `not applicable` or `broken adapter`, and what shows it."""
    lacks: dict[str, str] = getattr(adapter, "LACKS", {})
    control, script = (attack["setup"] + attack[name] for name in ("control", "attack"))
    for step in control + script:
        if (action := step.split()[0]) in lacks:
            return {"outcome": "not applicable", "said": lacks[action], "control": ""}
    held = ""
    try:
        held = steps(adapter, control)
        return {"outcome": "accepted", "said": line(steps(adapter, script)), "control": line(held)}
    except NotApplicable as reason:
        return {"outcome": "not applicable", "said": line(reason), "control": line(held)}
    except Refused as refused:
        if not held:
            return {"outcome": "broken adapter", "said": line(f"the control was refused: {refused}"), "control": ""}
        return {"outcome": "refused", "said": line(refused), "control": line(held)}
    except Broken as broken:
        return {"outcome": "broken adapter", "said": line(broken), "control": line(held)}


def main(path: str, *only: str) -> None:
    """Writes a line of JSON for each attack, as soon as it is over."""
    adapter = adapter_of(Path(path))
    about = " ".join((adapter.__doc__ or "").split())
    print(json.dumps({"surface": adapter.SURFACE, "about": about, "python": PYTHON}), flush=True)
    for attack in attacks():
        if not only or attack["id"] in only:
            print(json.dumps({"id": attack["id"], **play(adapter, attack)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
