"""A group of commands whose help says of each all that its first sentence says."""

from __future__ import annotations

import click

__all__ = ["CommandGroup"]

WHOLE = 1_000
"""Characters of a first sentence; none has so many."""


class CommandGroup(click.Group):
    """As click's, which cuts off what is longer than the line that is left, mostly where it says what differs."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the names of the commands, each with its first sentence, wrapped."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, one.get_short_help_str(WHOLE)) for name, one in found if one is not None and not one.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
