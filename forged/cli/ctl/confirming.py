"""Asking a person before something that cannot be taken back. Whoever is no person says --yes."""

from __future__ import annotations

import sys

import click

from forged.cli.ctl.asking import Asking
from forged.cli.telling import Manner

yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def confirmed(asking: Asking, question: str, yes: bool) -> bool:
    """Whether to go on. Without a terminal to ask on, only --yes means yes: raises click.UsageError."""
    if yes:
        return True
    if asking.manner is not Manner.SCREEN or not sys.stdin.isatty():
        raise click.UsageError("this needs a person's yes: on a terminal, or with --yes")
    return click.confirm(question)
