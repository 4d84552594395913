"""A group of commands whose help says of each all that its first sentence says, and which knows where options stand."""

from __future__ import annotations

import click

__all__ = ["CommandGroup"]

WHOLE = 1_000
"""Characters of a first sentence; none has so many."""


class CommandGroup(click.Group):
    """As click's, which cuts off what is longer than the line that is left, mostly where it says what differs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the options of the group; of one that its commands take it says where it stands."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            found = (self.get_command(ctx, name) for name in self.list_commands(ctx))
            name = error.option_name
            if not any(name in option.opts for one in found if one is not None for option in one.params):
                raise
            text = f"{name} stands after the command: {ctx.command_path} COMMAND {name} …"
            raise click.UsageError(text, ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the names of the commands, each with its first sentence, wrapped."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, one.get_short_help_str(WHOLE)) for name, one in found if one is not None and not one.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
