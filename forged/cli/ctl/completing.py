"""Words for the shell's completion, asked from the daemon; nothing where it does not answer at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from forged.control.client import reach, sockets
from forged.model.errors import ForgedError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PATIENCE_S = 1.0
"""Somebody has pressed Tab and waits. A daemon that is off is known at once; one that works hard answers within this."""

Ask = Callable[..., Any]


def targets(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of targets that begin so."""
    return _words(context, incomplete, lambda ask: [row["name"] for row in ask("target.list")["targets"]])


def jobs(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Ids of recent syncs that begin so, those that run among them."""

    def recent(ask: Ask) -> list[str]:
        return [job["sync_id"] for method in ("sync.active", "sync.list") for job in ask(method)["jobs"]]

    return _words(context, incomplete, recent)


def running(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Ids of the syncs that run, and begin so."""
    return _words(context, incomplete, lambda ask: [job["sync_id"] for job in ask("sync.active")["jobs"]])


def handlers(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of ingest handlers that begin so."""
    return _words(context, incomplete, lambda ask: [one["name"] for one in ask("daemon.status")["handlers"]])


def keys(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Keys of the configuration, and what many of them begin with, such as `target.forge`."""

    def known(ask: Ask) -> list[str]:
        whole = [value["key"] for value in ask("daemon.config")["values"]]
        return [".".join(key.split(".")[:parts]) for key in whole for parts in range(1, key.count(".") + 2)]

    return _words(context, incomplete, known)


def methods(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Methods of the control socket."""
    return _words(context, incomplete, lambda ask: [method["name"] for method in ask("rpc.discover")["methods"]])


def limits(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """The words that are no rate."""
    return [word for word in ("off", "config") if word.startswith(incomplete)]


def files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The shell completes names of files itself."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def _words(context: click.Context, incomplete: str, asked: Callable[[Ask], list[str]]) -> list[str]:
    """Those that begin so, each once. What a shell would have to quote is left out: it comes from a box, or from anywhere."""
    try:
        with reach(sockets(context.find_root().params.get("socket"), os.environ), PATIENCE_S) as client:
            words = asked(client.call)
    except (ForgedError, KeyError):
        return []
    return [word for word in dict.fromkeys(words) if word.startswith(incomplete) and word.isprintable() and " " not in word]
