"""No daemon answers: what its configuration says of that. Reads only, and only what this user may read."""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from forged.cli.places import here, user_home
from forged.control.client import NoDaemon
from forged.model.errors import ConfigError, ForgedError
from forged.model.settings import Config

MISTAKES_SHOWN = 3
"""`forged check` tells all of them."""


def explained(error: NoDaemon, tried: Sequence[str]) -> NoDaemon:
    """The same, with the mistakes that keep forged from starting, or with the socket that it would listen on instead of those that
    were `tried`; as it was where the configuration cannot be found or read."""
    from forged.config import load  # pydantic: half of a second that nobody waits for while a daemon runs

    try:
        file = load.find(None, os.environ, here(), user_home())
    except ForgedError:
        return error
    if not os.access(file, os.R_OK):
        return error
    try:
        config = load.load(file, os.environ, is_root=os.geteuid() == 0)
    except ConfigError as mistakes:
        return _mistaken(error, file, mistakes.problems)
    return _for_its_user(error, config) or _right(error, config, tried)


def _for_its_user(error: NoDaemon, config: Config) -> NoDaemon | None:
    """What root may read and the service may not: a key that was made as root is the commonest reason that it does not start. Whose
    service it is, the owner of its state says. None: nothing of that kind."""
    owner = _owner(config.daemon.state_dir) if os.geteuid() == 0 else None
    if owner is None:
        return None
    try:
        with _as(owner):
            from forged.config import load

            load.load(config.path, os.environ, is_root=True)
    except ConfigError as mistakes:
        lines = [error.message, f"as the user {owner.pw_name} it does not start:", *mistakes.problems[:MISTAKES_SHOWN]]
        hint = f"let {owner.pw_name} read it (`chown {owner.pw_name}` with its path), then: systemctl start forged"
        return NoDaemon("\n".join(lines), hint=hint)
    return None


def _owner(folder: Path) -> pwd.struct_passwd | None:
    """None: nobody has it yet, or root, or a user without a name."""
    try:
        owner = pwd.getpwuid(folder.stat().st_uid)
    except (OSError, KeyError):
        return None
    return None if owner.pw_uid == 0 else owner


@contextmanager
def _as(user: pwd.struct_passwd) -> Iterator[None]:
    """What is looked at meanwhile is looked at as this user. Needs root, and goes back to it."""
    groups = os.getgroups()
    os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
    os.setresgid(user.pw_gid, user.pw_gid, 0)
    os.setresuid(user.pw_uid, user.pw_uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


def _mistaken(error: NoDaemon, file: Path, mistakes: Sequence[str]) -> NoDaemon:
    more = len(mistakes) - MISTAKES_SHOWN
    lines = [f"{error.message}", f"with a mistake in {file} it does not start:", *mistakes[:MISTAKES_SHOWN]]
    lines += [f"and {more} more"] if more > 0 else []
    return NoDaemon("\n".join(lines), hint="mend it (`forged check` says whether it is right), then: systemctl start forged")


def _right(error: NoDaemon, config: Config, tried: Sequence[str]) -> NoDaemon:
    socket = str(config.daemon.socket)
    if socket not in tried:
        return NoDaemon(
            error.message, hint=f"{config.path} has it listen elsewhere: forgectl --socket {shlex.quote(socket)} status"
        )
    starts = "`systemctl start forged` or `forged run` starts one, `journalctl -u forged` says why it does not stay"
    return NoDaemon(error.message, hint=f"{config.path} is right (`forged check --connect` tries all that it names); {starts}")
