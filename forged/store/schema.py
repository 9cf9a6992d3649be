"""The tables, as they are today. migrations/ holds the way here from every older version; a test keeps the two equal.

Paths and hashes are bytes, so that their order is the order of memcmp on every database. Times are nanoseconds since the epoch.
"""

from __future__ import annotations

import sqlalchemy as sa

HEAD = "0009"
"""The revision that this module describes: the newest one in migrations/versions."""

metadata = sa.MetaData()

_serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite numbers rows by itself only where the column's type is the word INTEGER (sqlite.org/autoinc.html)."""


class AnyText(sa.TypeDecorator[str]):
    """Text that may hold what no UTF-8 can: names from a file system, which Python reads as lone surrogates (PEP 383).

    Stored as bytes. A plain text column would refuse it, and one odd name would stop a whole transaction.
    """

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> bytes | None:
        return None if value is None else value.encode("utf-8", "surrogatepass")

    def process_result_value(self, value: bytes | None, dialect: sa.Dialect) -> str | None:
        """What is no text any more after all becomes readable text: nothing is decided by it."""
        if value is None:
            return None
        try:
            return value.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return value.decode("utf-8", "backslashreplace")


versions = sa.Table(
    "versions",
    metadata,
    sa.Column("manifest", sa.Text, primary_key=True),
    sa.Column("path", sa.LargeBinary, primary_key=True),
    # 0 marks the current version; the others are numbered from 1 on in the order in which they were superseded. As part of the
    # key it makes the current version unique without an index of its own, and keeps all versions of a path side by side.
    sa.Column("superseded", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("inode", sa.BigInteger),
    sa.Column("ctime_ns", sa.BigInteger),
    # The four numbers as decimal text, where one of them does not fit into 64 bits with a sign (see manifest.py).
    sa.Column("exact_stat", sa.Text),
    sa.Column("sha256", sa.LargeBinary(32), nullable=False),
    sa.Column("home", sa.LargeBinary, nullable=False),
    sa.Column("landed_at_ns", sa.BigInteger, nullable=False),
    sa.Column("incomplete", sa.Boolean, nullable=False),
    sa.Column("at_source", sa.Text, nullable=False),
    sa.Column("tombstone_at_ns", sa.BigInteger),
    # Of what never changes in a row (rows.seal). Nullable only because rows were there before it; one without is not believed.
    sa.Column("seal", sa.LargeBinary(8)),
    sa.CheckConstraint("length(sha256) = 32", name="sha256_is_32_bytes"),
    # The rows lie in the order of the key: reading a manifest is one walk, and the file is half as large (measured).
    sqlite_with_rowid=False,
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("start_ns", sa.BigInteger, nullable=False),
    sa.Column("folders", sa.Text, nullable=False),  # a JSON array of strings
    sa.Column("end_ns", sa.BigInteger),
    # The result, all NULL while there is none.
    sa.Column("success", sa.Boolean),
    sa.Column("files_transferred", sa.BigInteger),
    sa.Column("bytes_transferred", sa.BigInteger),
    sa.Column("duration_s", sa.Double),
    sa.Column("errors", sa.Text),  # a JSON array of strings
    sa.Index("jobs_by_start", "start_ns", "id"),
)

_OF_ONE = sa.text("handler IS NOT NULL")

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", _serial, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("key", AnyText, nullable=False),
    sa.Column("body", AnyText, nullable=False),
    # The only handler that gets it (a replay); NULL = all of them.
    sa.Column("handler", sa.Text),
    sa.Index("outbox_by_key", "key"),
    sa.Index("outbox_of_one", "handler", "id", sqlite_where=_OF_ONE, postgresql_where=_OF_ONE),
    # Without it SQLite gives the id of a deleted last event to the next one, and a handler would take it for a repetition.
    sqlite_autoincrement=True,
)

positions = sa.Table(
    "positions",
    metadata,
    sa.Column("handler", sa.Text, primary_key=True),
    sa.Column("upto", sa.BigInteger, nullable=False),
)

set_aside = sa.Table(
    "set_aside",
    metadata,
    sa.Column("handler", sa.Text, primary_key=True),
    # The event as it was in the outbox, which may have been pruned meanwhile.
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("key", AnyText, nullable=False),
    sa.Column("body", AnyText, nullable=False),
    sa.Column("tries", sa.BigInteger, nullable=False),
    sa.Column("error", AnyText, nullable=False),
    sa.Column("since_ns", sa.BigInteger, nullable=False),
    sa.Column("due_ns", sa.BigInteger),  # NULL = not tried again by itself
    sa.Index("set_aside_by_key", "handler", "key", "id"),
    sa.Index("set_aside_by_time", "handler", "due_ns"),
)

takers = sa.Table(
    "takers",
    metadata,
    # Which handler takes the events of files, of which target or discovery ("" = of all), and from when on.
    sa.Column("handler", sa.Text, primary_key=True),
    sa.Column("of", sa.Text, primary_key=True),
    sa.Column("since_ns", sa.BigInteger, nullable=False),
)

replays = sa.Table(
    "replays",
    metadata,
    sa.Column("handler", sa.Text, primary_key=True),
    sa.Column("manifest", sa.Text, primary_key=True),
    sa.Column("after", sa.LargeBinary),  # NULL = all is in the outbox
)

pauses = sa.Table(
    "pauses",
    metadata,
    sa.Column("manifest", sa.Text, primary_key=True),
    sa.Column("since_ns", sa.BigInteger, nullable=False),
)

holds = sa.Table(
    "holds",
    metadata,
    sa.Column("manifest", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("message", AnyText, nullable=False),
    sa.Column("since_ns", sa.BigInteger, nullable=False),
)

troubles = sa.Table(
    "troubles",
    metadata,
    sa.Column("manifest", sa.Text, primary_key=True),
    sa.Column("since_ns", sa.BigInteger, nullable=False),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("manifest", sa.Text, primary_key=True),
    sa.Column("since_ns", sa.BigInteger, nullable=False),
)

limits = sa.Table(
    "limits",
    metadata,
    sa.Column("target", sa.Text, primary_key=True),  # empty = all targets together
    sa.Column("text", sa.Text, nullable=False),
)

pins = sa.Table(
    "pins",
    metadata,
    sa.Column("manifest", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("pinned_at_ns", sa.BigInteger, nullable=False),
)

destinations = sa.Table(
    "destinations",
    metadata,
    sa.Column("dest", AnyText, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
)

boxes = sa.Table(
    "boxes",
    metadata,
    sa.Column("discovery", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("addresses", sa.Text, nullable=False),  # a JSON array of arrays: kind, host, port, user
    sa.Column("label", AnyText),
    sa.Column("end_ns", sa.BigInteger),
    sa.Column("why", AnyText, nullable=False),
    sa.Column("missed", sa.BigInteger, nullable=False),
    sa.Column("missing_since_ns", sa.BigInteger),
    sa.Column("gone_since_ns", sa.BigInteger),
    sa.Column("left_files", sa.BigInteger, nullable=False),
    sa.Column("left_bytes", sa.BigInteger, nullable=False),
    sa.Column("unseen", sa.Boolean, nullable=False),
)

alarms = sa.Table(
    "alarms",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("since_ns", sa.BigInteger, nullable=False),
)

media_queue = sa.Table(
    "media_queue",
    metadata,
    # Each version of a path waits by itself. It is told by its home: what takes an older one's place there takes it here as well.
    sa.Column("manifest", sa.Text, primary_key=True),
    sa.Column("path", sa.LargeBinary, primary_key=True),
    sa.Column("home", sa.LargeBinary, primary_key=True),
    sa.Column("since_ns", sa.BigInteger, nullable=False),
    sa.Column("tries", sa.BigInteger, nullable=False),
    sa.Index("media_queue_by_time", "manifest", "since_ns", "path", "home"),
    sqlite_with_rowid=False,
)

media = sa.Table(
    "media",
    metadata,
    sa.Column("id", _serial, primary_key=True),
    sa.Column("manifest", sa.Text, nullable=False),
    sa.Column("path", sa.LargeBinary, nullable=False),
    sa.Column("home", sa.LargeBinary, nullable=False),
    sa.Column("sha256", sa.LargeBinary(32), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("landed_at_ns", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("dhash", sa.LargeBinary(8)),
    sa.Column("pixels_sha256", sa.LargeBinary(32)),
    sa.Column("owes", sa.BigInteger, nullable=False),  # bits, see media.py
    sa.Column("examined_at_ns", sa.BigInteger, nullable=False),
    # All of the MediaInfo, as JSON in zlib's format, whose checksum tells a wrong bit. Last, so that nobody else reads over it.
    sa.Column("info", sa.LargeBinary, nullable=False),
    sa.Index("media_by_home", "manifest", "home", "path", unique=True),
    sa.Index("media_by_content", "sha256", "manifest", "landed_at_ns", "home"),
    sa.Index("media_by_pixels", "pixels_sha256"),
    sa.Index("media_owing", "manifest", "home", "path", sqlite_where=sa.text("owes != 0"), postgresql_where=sa.text("owes != 0")),
)

likeness = sa.Table(
    "likeness",
    metadata,
    # Each quarter of a dhash, with its number before it: see copies.py.
    sa.Column("media", _serial, sa.ForeignKey("media.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    sa.Column("quarter", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Index("likeness_by_quarter", "quarter", "media"),
    sqlite_with_rowid=False,
)

identity = sa.Table(
    "identity",
    metadata,
    # One row, once somebody has asked: a random id of this memory.
    sa.Column("id", sa.Text, primary_key=True),
)

REVISION_TABLE = "alembic_version"

_revision = sa.Table(
    REVISION_TABLE,
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own note of the revision (alembic 1.x, `MigrationContext`); written by us only where a database is new."""


def create(connection: sa.Connection) -> None:
    """Makes all tables in an empty database, at revision HEAD. Needs no alembic, which takes half a second to load."""
    metadata.create_all(connection, checkfirst=False)
    _revision.create(connection, checkfirst=False)
    connection.execute(sa.insert(_revision).values(version_num=HEAD))
