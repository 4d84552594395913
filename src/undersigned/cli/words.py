"""How what is told is worded: on one line, cut, counted, as one types it.

Text that a peer sent is data: control characters are shown as escapes and never reach the terminal.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["WHOLE", "brief", "bytes_in_words", "counted", "owed_in_words", "plain", "typed"]

MOST: Final = 500
"""Characters without a space that are told; a DID or a path is shorter."""
SHOWN: Final = 120
"""Characters that are shown of such a word."""
WHOLE: Final = 2**20
"""Characters: more than a message has with each of them escaped. What people decide by is not cut, or who writes it
puts what matters behind the cut."""

_ENDLESS: Final = re.compile(rf"\S{{{MOST + 1},}}")


def brief(message: str) -> str:
    """`message`, with each word cut that is longer than any with a meaning, so that what is said of it is seen."""
    return _ENDLESS.sub(lambda found: f"{found[0][:SHOWN]}… ({len(found[0])} characters)", message)


def plain(text: object, limit: int = 400) -> str:
    """`text` on one line, control characters escaped, at most `limit` characters."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 grant`, `2 grants`; `many` where an s does not do."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def owed_in_words(moves: Iterable[str], who: Iterable[str], by: str | None, why: str) -> str:
    """Who owes which of `moves` by when, as `Owed` has it."""
    return f"owed: {' or '.join(moves)}, by the {' and the '.join(who)}{f' by {by}' if by else ''} ({why})"


def bytes_in_words(number: int) -> str:
    """`999 bytes`, `1.5 MB`: in thousands, cut and not rounded, so that nothing looks whole before it is."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if number >= 1000**power:
            tenths = number * 10 // 1000**power
            return f"{tenths // 10}.{tenths % 10} {unit}"
    return counted(number, "byte")


def typed(command: str, *values: object) -> str:
    """What to type to run `command` of this program: each `{}` is one of `values`, as one word to a shell.

    The program is `undersigned`, or its path if it is not found by that name.
    """
    called = sys.argv[0]
    if Path(called).name != "undersigned" or shutil.which("undersigned") is not None:
        called = "undersigned"
    return f"{shlex.quote(called)} {command.format(*(shlex.quote(str(value)) for value in values))}"
