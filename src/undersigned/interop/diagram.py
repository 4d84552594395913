"""The sequence diagram of a scenario: who says what to whom, step by step.

Source: protocol-spec/harness.md, "Reports"
"""

from __future__ import annotations

from html import escape
from typing import Final, Literal, NamedTuple

from .scenario import (
    Again,
    ClosedWith,
    Forge,
    Hear,
    Judge,
    Knock,
    Lose,
    Never,
    Raw,
    Reach,
    Read,
    Refused,
    Repeat,
    Resynced,
    Say,
    Scenario,
    Send,
    Show,
    Step,
    Turned,
    Upgrade,
    Wait,
)

__all__ = ["Arrow", "arrows", "drawn", "mermaid"]

ROW: Final = 26
LEFT, RIGHT, WIDTH = 150, 610, 760


class Arrow(NamedTuple):
    """One line of the diagram."""

    way: Literal["to", "from", "both", "over"]
    """To the implementation, from it, both honestly, or a note over both."""
    text: str
    wrong: bool = False
    """Whether what is said has to be refused."""


def arrows(scenario: Scenario) -> tuple[Arrow, ...]:
    """The lines of its diagram."""
    return tuple(_arrow(step) for step in scenario.steps)


def _arrow(step: Step) -> Arrow:
    match step:
        case Reach(state=state):
            return Arrow("both", f"go on until {state}")
        case Forge(move=move):
            return Arrow("to", f"{'the next move' if move == 'next' else move}, made wrong", wrong=True)
        case Raw():
            return Arrow("to", "text that is no message", wrong=True)
        case Knock(silent=silent):
            return Arrow("to", "nothing, by a stranger" if silent else "proof of a connection, made wrong", wrong=True)
        case Upgrade():
            return Arrow("to", "WebSocket, without the subprotocol", wrong=True)
        case Refused(codes=codes):
            return Arrow("from", f"refusal: {' or '.join(codes)}")
        case ClosedWith(codes=codes):
            return Arrow("from", f"end of the connection: {' or '.join(codes)}")
        case Hear(types=types):
            return Arrow("from", " or ".join(types))
        case Never(types=types):
            return Arrow("from", f"no {' or '.join(types)}")
        case Say(move=move) | Lose(move=move):
            return Arrow("to", f"{move}{', which is lost' if isinstance(step, Lose) else ''}")
        case Turned(moves=moves):
            return Arrow("to", f"{moves[1]} before {moves[0]}, then both")
        case Send() | Show() | Judge():
            return Arrow("to", "the next move")
        case Again():
            return Arrow("to", "the next move, signed twice")
        case Repeat():
            return Arrow("to", "a move again, byte for byte")
        case Read(by=by):
            return Arrow("to", f"request for what was delivered, by {by}")
        case Resynced():
            return Arrow("from", "Sync")
        case Wait(seconds=seconds):
            return Arrow("over", f"{seconds:g} s go by")
        case _:
            return Arrow("over", type(step).__name__.lower().replace("comeback", "our next connection"))


def mermaid(scenario: Scenario) -> str:
    """The diagram in the language of Mermaid."""
    us, it = ("hirer", "provider") if scenario.role == "provider" else ("provider", "hirer")
    lines = ["sequenceDiagram", f"    participant H as harness ({us})", f"    participant I as implementation ({it})"]
    marks = {"to": "H->>I", "from": "I->>H", "both": "H-->>I", "over": "Note over H,I"}
    lines += [f"    {'H-xI' if one.wrong else marks[one.way]}: {one.text}" for one in arrows(scenario)]
    return "\n".join(lines) + "\n"


def drawn(scenario: Scenario) -> str:
    """The diagram as SVG, to stand in a page."""
    us, it = ("hirer", "provider") if scenario.role == "provider" else ("provider", "hirer")
    found = arrows(scenario)
    height = ROW * (len(found) + 2)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f'<text x="{LEFT}" y="16" class="who">harness ({us})</text>',
        f'<text x="{RIGHT}" y="16" class="who">implementation ({it})</text>',
        f'<path class="life" d="M{LEFT} 22V{height}M{RIGHT} 22V{height}"/>',
    ]
    for place, one in enumerate(found, start=2):
        y = ROW * place
        if one.way != "over":
            start, end = (RIGHT, LEFT) if one.way == "from" else (LEFT, RIGHT)
            head = 8 if end == LEFT else -8
            kind = "wrong" if one.wrong else one.way
            parts.append(f'<path class="{kind}" d="M{start} {y}H{end}m{head} -4L{end} {y}l{head} 4"/>')
        parts.append(f'<text x="{(LEFT + RIGHT) // 2}" y="{y - 5}">{escape(one.text)}</text>')
    return "".join((*parts, "</svg>"))
