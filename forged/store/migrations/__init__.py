"""The way from every older state database to today's schema, by alembic, without an ini file.

Revisions are numbers with leading zeros, one file each in versions/, and ascend: so a database from a newer forged is known by its
larger number, before alembic (half a second) is loaded.
"""

from __future__ import annotations

import os

import sqlalchemy as sa


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Brings the database up to revision `to`, within the caller's transaction: all of the way or not at all."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    # The config does %-interpolation, and an installation's path may hold a %.
    config.set_main_option("script_location", os.path.dirname(__file__).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
