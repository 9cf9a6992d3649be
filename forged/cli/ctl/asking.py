"""One run of forgectl: the way to the daemon, the manner of the answer, and the exit status for what can go wrong."""

from __future__ import annotations

import functools
import grp
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, NoReturn, ParamSpec

import click

from forged import __version__
from forged.cli.ctl.words import fold
from forged.cli.telling import Line, Manner, manner, print_json, say, terminal_columns, trouble
from forged.control.client import TIMEOUT_S, CallFailed, Client, NoAnswer, NoDaemon, NoPermission, reach, sockets
from forged.model.errors import ForgedError
from forged.model.exits import Exit

P = ParamSpec("P")


class Asking:
    """What a command needs: questions to the daemon, and telling the answer. Connects with the first question."""

    def __init__(self, socket: str | None) -> None:
        self.paths = sockets(socket, os.environ)
        self.as_json = False
        self.in_lines = False
        """The command's documents are many, a line each; so is a refusal then."""
        self._client: Client | None = None

    @property
    def manner(self) -> Manner:
        """How to speak: to a terminal, a pipe or a program."""
        return manner(self.as_json)

    @property
    def columns(self) -> int | None:
        """How wide the terminal is; None where a program or a file reads, for whom nothing may be left out."""
        return terminal_columns() if self.manner is Manner.SCREEN else None

    @property
    def client(self) -> Client:
        """The connection. Raises NoDaemon, NoPermission, NoAnswer."""
        if self._client is None:
            self._client = self.another_client()
        return self._client

    def another_client(self, timeout_s: float = TIMEOUT_S) -> Client:
        """A connection of its own, for a second thread or a shorter patience."""
        try:
            return reach(self.paths, timeout_s)
        except NoPermission as e:
            raise NoPermission(e.message, hint=_admission(e.path)) from e

    def close(self) -> None:
        """Ends the connection, if there is one; the next question begins another."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def call(self, method: str, /, **params: Any) -> Any:
        """The result; parameters that are None are left out. Raises CallFailed, NoAnswer and what `client` raises."""
        return self.client.call(method, **{name: value for name, value in params.items() if value is not None})

    def call_patiently(self, method: str, /, **params: Any) -> Any:
        """As `call`, for what may take hours: waits for ever."""
        self.client.timeout_s = None
        try:
            return self.call(method, **params)
        finally:
            self.client.timeout_s = TIMEOUT_S

    def pages(self, method: str, /, **params: Any) -> Iterator[Any]:
        """The results of a paged method, page by page."""
        cursor: str | None = None
        while True:
            page = self.call_patiently(method, cursor=cursor, **params)
            yield page
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def whole(self, method: str, rows: str, /, **params: Any) -> Any:
        """All pages as one result: the first one's, with the `rows` of all."""
        first, *more = self.pages(method, **params)
        return {**first, rows: [row for page in (first, *more) for row in page[rows]], "next_cursor": None}

    def show(self, document: object, lines: Iterable[Line]) -> None:
        """Tells the answer: the document to a program, the lines to a person."""
        if self.as_json:
            print_json(document)
        else:
            say(lines)


def command(body: Callable[Concatenate[Asking, P], int]) -> Callable[P, None]:
    """Makes the body of a command, which answers its exit status, into what click calls: with --json, and errors in words."""

    @click.option("--json", is_flag=True, expose_value=False, callback=_as_json, help="The daemon's answer as one JSON document.")
    @functools.wraps(body)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asking: Asking = click.get_current_context().obj
        with told(asking):
            sys.exit(body(asking, *args, **kwargs))

    return run


def _as_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    if isinstance(context.obj, Asking):  # while a shell completes a word there is none
        context.obj.as_json = value


@contextmanager
def told(asking: Asking) -> Iterator[None]:
    """Turns what can go wrong into words and an exit status; programming errors keep their traceback."""
    try:
        yield
    except ForgedError as error:
        refuse(asking, of_one_version(asking, error))
    except KeyError as error:  # an answer that lacks what we know of it; from a daemon of this version, a mistake of ours
        other = another_version(asking)
        if other is None:
            raise
        refuse(asking, ForgedError(f"the daemon's answer has no {error}", hint=other))
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    finally:
        asking.close()


def refuse(asking: Asking, error: ForgedError) -> NoReturn:
    """Says what is wrong, in the manner asked for, and ends."""
    if asking.as_json:
        print_json(refusal(error), one_line=asking.in_lines)
    width = terminal_columns() if sys.stderr.isatty() else None
    told = trouble("forgectl", error)
    say((piece for each in told for piece in fold(each.text, each.tone, width, "    ")), to_stderr=True)
    sys.exit(status_of(error))


UNKNOWN_TO_IT = (-32601, -32602)
"""JSON-RPC 2.0, section 5.1: a method, or a parameter, that the daemon does not know."""


def of_one_version(asking: Asking, error: ForgedError) -> ForgedError:
    """The error; where it may come from a daemon of another version, with that in its hint."""
    if not isinstance(error, CallFailed) or error.code not in UNKNOWN_TO_IT:
        return error
    hint = "; ".join(filter(None, (error.hint, another_version(asking))))
    return CallFailed(error.code, error.message, hint=hint, type=error.type)


def another_version(asking: Asking) -> str | None:
    """What to do about a daemon that is not of this version; None where it is, or does not say."""
    try:
        theirs = str(asking.call("daemon.status").get("version"))
    except ForgedError:
        return None
    if theirs == __version__:
        return None
    return f"the daemon is forged {theirs}, this is forgectl {__version__}: `systemctl restart forged` makes them one"


def status_of(error: ForgedError) -> int:
    """The exit status for an error."""
    if isinstance(error, CallFailed):
        return Exit.NO_DAEMON if error.type == "not_permitted" else Exit.FAILED
    return Exit.NO_DAEMON if isinstance(error, NoDaemon | NoPermission | NoAnswer) else Exit.FAILED


def refusal(error: ForgedError) -> dict[str, object]:
    """The document instead of an answer. `code` is JSON-RPC's; null where the daemon was not even reached."""
    code, kind = (error.code, error.type) if isinstance(error, CallFailed) else (None, error.kind)
    return {"success": False, "error": {"code": code, "type": kind, "message": error.message, "hint": error.hint}}


def _admission(path: str) -> str:
    """Who is let in, as far as one can see from outside: the socket itself may be behind a closed folder."""
    for visible in (path, os.path.dirname(path)):
        try:
            gid = os.stat(visible).st_gid
        except OSError:
            continue
        return f"it is for the group {_group(gid)}: `sudo usermod -aG {_group(gid)} $USER` and log in again, or ask as root"
    return ""


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
