"""What both command lines have alike: commands by near names, wrong usage as a document, the completion script of a shell."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from forged.cli.telling import print_json
from forged.model.errors import ForgedError

AS_JSON = "forged.as_json"
"""In click's `Context.meta`: whether `--json` is among the arguments. Known before they are understood."""

SHELLS = ("bash", "zsh", "fish")

INSTALL = """\
\b
bash:  {name} completion bash > ~/.local/share/bash-completion/completions/{name}
zsh:   {name} completion zsh > ~/.zfunc/_{name}   (a folder of $fpath, before compinit)
fish:  {name} completion fish > ~/.config/fish/completions/{name}.fish
"""
"""Where each shell looks by itself: bash-completion 2's README, zshcompsys(1), `man fish-completions`."""


class WrongUsage(ForgedError):
    """The command line cannot be understood."""


class Group(click.Group, ABC):
    """A whole program. It knows what a mistyped command may have meant, and tells wrong usage to programs as well: to whom asked
    for `--json`, the document on standard output, beside click's words on standard error."""

    @abstractmethod
    def refusal(self, error: ForgedError) -> object:
        """The program's document instead of an answer."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[AS_JSON] = "--json" in (args[: args.index("--")] if "--" in args else args)
        with self._told(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with self._told(ctx):
            return super().invoke(ctx)

    @contextmanager
    def _told(self, ctx: click.Context) -> Iterator[None]:
        try:
            yield
        except click.ClickException as error:
            if ctx.meta[AS_JSON]:
                where = error.ctx if isinstance(error, click.UsageError) and error.ctx else ctx
                print_json(self.refusal(WrongUsage(error.format_message(), hint=f"{where.command_path} --help")))
            raise

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(error.message + self._near(ctx, args[0]), ctx) from error

    def _near(self, ctx: click.Context, word: str) -> str:
        from difflib import get_close_matches  # 5 ms, for a mistake alone

        near = get_close_matches(word, self.list_commands(ctx), n=3)
        return f" Did you mean {' or '.join(repr(each) for each in near)}?" if near else ""


def completion(name: str) -> click.Command:
    """The command `completion` of the program `name`."""

    def run(shell: str) -> NoReturn:
        from click.shell_completion import get_completion_class

        made = get_completion_class(shell)
        assert made is not None
        click.echo(made(click.get_current_context().find_root().command, {}, name, f"_{name.upper()}_COMPLETE").source())
        sys.exit(0)

    text = f"Print what makes a shell complete commands and names of {name}; it goes into a file:\n\n{INSTALL.format(name=name)}"
    argument = click.Argument(["shell"], type=click.Choice(SHELLS), metavar="SHELL")
    return click.Command("completion", callback=run, params=[argument], help=text, short_help="Print a shell's completion script.")
