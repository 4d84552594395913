"""The command `undersigned`, and `python -m undersigned`, which is the same.

It is apart from the commands, which take tenths of a second to load: Ctrl-C meanwhile is no traceback either.
"""

from __future__ import annotations

import os
import signal
from typing import Final

__all__ = ["main"]

INTERRUPTED: Final = 130
"""As in `undersigned.cli`, which is not loaded yet."""


def main() -> None:
    """Entry point of the command."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else it is ignored, or another's
        signal.signal(signal.SIGINT, _end)
    from undersigned.cli import main as command

    try:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)
        command()
    except KeyboardInterrupt:  # before there was anything that would hear it
        _end()


def _end(*_: object) -> None:
    """Nothing is begun and nothing said, so there is nothing to end in order."""
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
