"""The command `forged`. Each command imports what it needs when it runs, so that `forged --help` answers at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from forged import __version__
from forged.cli.commands import Group, completion
from forged.cli.places import here, user_home
from forged.cli.telling import Line, Manner, Tone, any_terminal, line, manner, print_json, say, trouble
from forged.model.errors import Cancelled, ConfigError, ForgedError
from forged.model.exits import Exit
from forged.model.settings import Config


class Forged(Group):
    """`forged`."""

    def refusal(self, error: ForgedError) -> object:
        from forged.cli.results import refusal_json

        return refusal_json(error)


def _after(context: click.Context, _: click.Parameter, file: Path | None) -> None:
    if file is not None:
        context.obj = file


config_too = click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    expose_value=False,
    callback=_after,
    help="The configuration file, here or before the command.",
)
"""`-c` after the command as well: where both are given, this one counts."""


@click.group(cls=Forged, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-c", "--config", "file", type=click.Path(path_type=Path), help="The configuration file (TOML).", metavar="FILE")
@click.version_option(__version__, prog_name="forged", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, file: Path | None) -> None:
    """Brings AI-generated media home from the machines that make it.

    Without -c: $FORGED_CONFIG, ./forged.toml, ~/.config/forged/forged.toml, /etc/forged/forged.toml.

    Exit status: 0 all well, 1 something failed, 2 wrong usage or configuration, 130 after Ctrl-C.
    """
    context.obj = file


@cli.command()
@config_too
@click.pass_obj
def run(file: Path | None) -> None:
    """Keep bringing home what is new, until SIGTERM or Ctrl-C; `forgectl` steers it, SIGHUP reloads the configuration.

    Stays in the foreground, for systemd or a terminal. Exit status: 0 ended as asked, 1 could not start, 2 bad configuration.
    """
    from forged.cli.run import run as live

    with told(Manner.LINES):
        sys.exit(live(file))


@cli.command()
@config_too
@click.option("--connect", is_flag=True, help="Try all that it names, too: sources, homes, handlers.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, and nothing else.")
@click.pass_obj
def check(file: Path | None, connect: bool, as_json: bool) -> None:
    """Validate the configuration; say every mistake at once.

    With --connect also whether each source, each folder at home, each discovery and each ingest handler lets forged in,
    exiftool does what it is told, and the state database is sound. Nothing is written or sent, and a daemon may run.

    Exit status: 0 all well, 2 a mistake; with --connect 1 when something cannot be reached.
    """
    from forged.cli.check import document, report

    with told(Manner.JSON if as_json else Manner.LINES):
        config, tried, well = configuration(file), None, True
        if not as_json:
            say(report(config))
        if connect:
            from forged.cli.connecting import connect as try_all

            tried, well = try_all(config)
        if as_json:
            print_json(document(config, tried, well))
        else:
            say(tried or [])
        sys.exit(Exit.WELL if well else Exit.FAILED)


@cli.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@config_too
@click.option("--dry-run", is_flag=True, help="Say what would come home; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, and nothing else.")
@click.pass_obj
def once(file: Path | None, targets: Sequence[str], dry_run: bool, as_json: bool) -> None:
    """Bring home what is new, from all targets or from those named, and end.

    A target that fails does not stop the others. Where a daemon runs, the work is handed to it.

    Exit status: 0 all well, 1 something failed, 2 bad configuration.
    """
    from forged.cli.once import preview, sync
    from forged.kit.garbage import collect_rarely

    collect_rarely()
    spoken = manner(as_json)
    with told(spoken):
        config = configuration(file)
        done = preview(config, targets, spoken) if dry_run else sync(config, targets, spoken)
    sys.exit(Exit.WELL if done else Exit.FAILED)


@cli.command()
@click.argument("url")
@click.option("-i", "--identity-file", type=click.Path(path_type=Path), metavar="FILE", help="The private key to log in with.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, and nothing else.")
def probe(url: str, identity_file: Path | None, as_json: bool) -> None:
    """Look at a source (ssh://user@host:port, or any other) and print a [[target]] for each program on it, ready to paste.

    Shows the host key, what the source cannot do, its clock and the output folders with their files. With a path, looks only there.
    Exit status 1 when there is none.
    """
    from forged.cli.probe import probe as look
    from forged.cli.probe import report

    with told(Manner.JSON if as_json else Manner.LINES):
        findings = look(url, identity_file)
    if as_json:
        from forged.cli.probed import document

        print_json(document(findings))
    else:
        say(report(findings))
    sys.exit(Exit.WELL if findings.folders else Exit.FAILED)


@cli.command()
@click.option(
    "--seconds", type=click.FloatRange(1, 3600), metavar="N", default=15, show_default=True, help="How long the box works."
)
@click.option("--dir", "folder", type=click.Path(path_type=Path, file_okay=False), help="Where; else a new temporary folder.")
def demo(seconds: float, folder: Path | None) -> None:
    """See forged at work: a throw-away box makes pictures and films, and they come home while you watch.

    Needs no root, no server and no configuration; leaves everything in one folder, which is named at the end.
    """
    from forged.cli.demo import demo as give

    spoken = manner()
    with told(spoken):
        done = give(folder, seconds, spoken)
    sys.exit(Exit.WELL if done else Exit.FAILED)


cli.add_command(completion("forged"))


def configuration(file: Path | None) -> Config:
    """The validated configuration. Raises ConfigError with every mistake."""
    from forged.config import load

    found = load.find(file, os.environ, here(), user_home())
    return load.load(found, os.environ, is_root=os.geteuid() == 0)


@contextmanager
def told(spoken: Manner) -> Iterator[None]:
    """Turns what can go wrong into words and an exit status; programming errors keep their traceback."""
    from forged.cli.running import Interrupted

    try:
        yield
    except ForgedError as error:
        if spoken is Manner.JSON:
            from forged.cli.results import refusal_json

            print_json(refusal_json(error))
        say(refusal(error), to_stderr=True)
        sys.exit(Exit.WRONG_USE if isinstance(error, ConfigError) else Exit.FAILED)
    except Interrupted as interrupted:
        if spoken is Manner.JSON:
            from forged.cli.results import refusal_json

            print_json(refusal_json(Cancelled()))
        say([line("Stopped. What has landed stays; the rest comes with the next sync.", Tone.WARN)], to_stderr=True)
        sys.exit(interrupted.exit_code)


def refusal(error: ForgedError) -> list[Line]:
    """Why nothing could begin."""
    if isinstance(error, ConfigError):
        return [line(text, Tone.BAD) for problem in error.problems for text in problem.splitlines()]
    return trouble("forged", error)


def main() -> None:
    """The entry point of `forged` and of `python -m forged`."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not ignored, as under nohup
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until a command has something to close, there is nothing to tidy up
    if sys.stdout is None:  # closed by whoever started us (`>&-`): the first file we open must not become it
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    any_terminal()
    cli(prog_name="forged")
