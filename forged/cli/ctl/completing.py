"""Names for the shell's completion, asked from the daemon; nothing where it does not answer at once."""

from __future__ import annotations

import os

import click

from forged.control.client import Client, find_socket
from forged.model.errors import ForgedError

PATIENCE_S = 0.2
"""Somebody has pressed Tab and waits."""


def targets(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of targets that begin so."""
    return _names(context, "target.list", "targets", "name", incomplete)


def handlers(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of ingest handlers that begin so."""
    return _names(context, "ingest.list", "handlers", "name", incomplete)


def jobs(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Ids of recent syncs that begin so."""
    return _names(context, "sync.list", "jobs", "sync_id", incomplete)


def running(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Ids of the syncs that run, and begin so."""
    return _names(context, "sync.active", "jobs", "sync_id", incomplete)


def _names(context: click.Context, method: str, rows: str, key: str, incomplete: str) -> list[str]:
    path = find_socket(context.find_root().params.get("socket"), os.environ)
    try:
        with Client(path, PATIENCE_S) as client:
            names = [row[key] for row in client.call(method)[rows]]
    except ForgedError:
        return []
    return [name for name in names if name.startswith(incomplete) and name.isprintable()]
