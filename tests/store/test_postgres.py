"""The store in PostgreSQL keeps the contract, and the promises about its owner, against a real server."""

from __future__ import annotations

import asyncio
import os
import secrets
import string
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from msgspec import structs
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from forged.daemon.memory import LET_GO_S
from forged.model.errors import StateTaken, StoreDamaged, StoreError, StoreForeign, StoreLost, StoreTooNew
from forged.model.handing import SetAside
from forged.model.jobs import Job
from forged.model.media import Examined, MediaInfo, MediaKind, Owed, ToExamine
from forged.model.paths import HomePath, SourcePath
from forged.model.settings import Secret
from forged.store import migrations, schema
from forged.store.base import Store
from forged.store.owner import awake_s
from forged.store.postgres import Place, PostgresStore, begin_anew, open_store, tried
from forged.store.postgres_link import address
from forged.store.rows import current_row
from tests.store.contract import StoreContract
from tests.store.filled import HELD, NOON_NS, save_jobs
from tests.store.samples import FORGE, event, row
from tests.support.postgres import PASSWORD, WRITTEN, PostgresServer


@pytest.fixture
def server(postgres: PostgresServer) -> PostgresServer:
    if not postgres.pids:  # a test that failed has left it so
        postgres.start()
    return postgres


@pytest.fixture
def place(server: PostgresServer, tmp_path: Path) -> Place:
    """A schema of its own in one database: to make a database takes longer than most tests."""
    url = f"{server.dsn('postgres')}?schema=s{next(_NUMBERS)}"
    return Place(Secret(url), tmp_path / "postgres.id", tmp_path / "forged.db", grace_s=0.3)


_NUMBERS = count(1)


def schema_of(place: Place) -> str:
    return address(place.url.text or "").schema


class TestPostgresStore(StoreContract):
    @pytest.fixture
    async def store(self, place: Place) -> AsyncIterator[PostgresStore]:
        store = await open_store(place)
        yield store
        await store.close()

    async def save_jobs(self, store: Store, jobs: Sequence[Job]) -> None:
        assert isinstance(store, PostgresStore)
        await save_jobs(store, jobs)


# --- one at a time --------------------------------------------------------------------------------------------------------


def another(place: Place, folder: str) -> Place:
    """The same memory, seen from another machine."""
    return replace(place, note=place.note.with_name(folder) / "postgres.id")


async def test_a_second_forged_is_refused_and_told_who_has_it(place: Place) -> None:
    first = await open_store(place)
    try:
        with pytest.raises(StateTaken, match=rf"used by another forged \(forged .* {os.getpid()}") as refused:
            await open_store(another(place, "b"))
        assert "schema=NAME" in refused.value.hint and "pg_terminate_backend" in refused.value.hint
        assert "works with it now" in await tried(another(place, "b"))
        assert PASSWORD not in str(refused.value) and WRITTEN not in str(refused.value)
    finally:
        await first.close()


async def test_when_the_first_has_ended_the_second_goes_on_with_its_memory_at_once(place: Place) -> None:
    first = await open_store(place)
    await first.manifest.record(FORGE, [row(b"a.png")], [event()])
    await first.manifest.entomb(FORGE, [row(b"a.png").path], 5)
    identity = await first.identity()
    await first.close()
    second = await open_store(another(replace(place, grace_s=3_600), "b"))
    assert [one.tombstone_at_ns for one in await second.manifest.between(FORGE, None, None, 9)] == [5]
    assert len(await second.outbox.after("catalog", 9)) == 1
    assert await second.identity() == identity  # what is staged at home is found again
    await second.close()


async def test_one_that_vanished_is_waited_for_by_others_and_not_by_its_own_restart(place: Place, server: PostgresServer) -> None:
    patient = replace(place, grace_s=3_600)
    first = await open_store(patient)
    vanish(first)
    waiting = asyncio.create_task(open_store(another(patient, "b")))
    again = await open_store(patient)
    with pytest.raises(StateTaken):
        await waiting
    await again.close()
    vanish(first)
    await first.close()


def vanish(store: PostgresStore) -> None:
    """As a process that is killed: nothing is said any more, the kernel closes its connections."""
    owner = store._owner
    assert owner._keeping is not None and owner._connection is not None
    owner._keeping.cancel()
    owner._connection.terminate()


async def test_who_lost_the_lock_to_another_writes_nothing_any_more_and_hears_of_it(place: Place, server: PostgresServer) -> None:
    """As a machine would that slept while another one took over."""
    first = await open_store(place)
    mark = first.manifest.written(FORGE, 0).mark
    owner = first._owner
    assert owner._keeping is not None and owner._connection is not None
    owner._keeping.cancel()  # asleep
    owner._connection.terminate()
    second = await open_store(another(place, "b"))
    with pytest.raises(StoreError, match="another owner"):
        await first.manifest.record(FORGE, [row(b"a.png")])
    with pytest.raises(StoreError, match="another owner"):
        await first.manifest.count(FORGE)
    assert (await second.manifest.count(FORGE))[0] == 0
    owner.keep()  # awake
    told = await asyncio.wait_for(first.taken(), 30)
    assert "used by another forged" in told.message
    with pytest.raises(StateTaken):
        await first.manifest.count(FORGE)
    assert first.manifest.written(FORGE, mark).paths is None
    await first.close()
    await second.manifest.record(FORGE, [row(b"b.png")])
    await second.close()


async def test_who_was_stopped_does_not_take_the_memory_for_his_own_before_he_has_looked(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that goes on after SIGSTOP, or a machine that wakes up: the first thing it does must not be a change at home."""
    store = await open_store(place)
    assert store.lost_for_s == 0
    monkeypatch.setattr("forged.store.owner.awake_s", lambda: awake_s() + 30)
    assert store.lost_for_s >= LET_GO_S
    store._owner._news.set()
    async with asyncio.timeout(30):
        while store.lost_for_s:
            await asyncio.sleep(0.01)
    await store.close()


async def test_a_lock_that_was_lost_is_had_again_and_the_journal_begins_anew(place: Place, server: PostgresServer) -> None:
    store = await open_store(place)
    await store.manifest.record(FORGE, [row(b"a.png")])
    mark = store.manifest.written(FORGE, 0).mark
    assert store.manifest.written(FORGE, mark).paths == ()
    server.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'forged %'")
    await until_well(store)
    assert store.lost_for_s == 0
    assert store.manifest.written(FORGE, mark).paths is None
    await store.manifest.record(FORGE, [row(b"b.png")])
    assert (await store.manifest.count(FORGE))[0] == 2
    await store.close()


async def until_well(store: PostgresStore) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await store.manifest.record(FORGE, [row(b"probe.png")])
                await store.manifest.forget(FORGE, [row(b"probe.png").path])
            except StoreError as error:
                assert error.transient
                await asyncio.sleep(0.05)
            else:
                return


# --- a server in trouble --------------------------------------------------------------------------------------------------


async def test_a_server_that_is_killed_twice_loses_nothing_that_was_answered(server: PostgresServer, place: Place) -> None:
    store = await open_store(place)
    answered: set[bytes] = set()
    writing = asyncio.create_task(record_without_end(store, answered))
    for _ in range(2):
        seen = len(answered)
        while len(answered) < seen + 5:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
    await until_well(store)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    rows = {one.path: one for one in await store.manifest.between(FORGE, None, None, 100_000)}
    events = [one.key.encode() for one in await store.outbox.after("catalog", 100_000)]
    assert answered <= set(rows)
    assert set(events) == set(rows)  # neither without the other
    await store.close()


async def record_without_end(store: PostgresStore, answered: set[bytes]) -> None:
    for n in range(1_000_000):
        one = row(b"%06d.png" % n)
        with suppress(StoreError):
            await store.manifest.record(FORGE, [one], [event(key=one.path.decode())])
            answered.add(one.path)
        await asyncio.sleep(0.001)


async def test_what_an_administrator_set_for_every_session_is_not_in_the_way(server: PostgresServer, place: Place) -> None:
    """Timeouts end what waits for its turn, and a stricter isolation makes two writers an error."""
    settings = {"statement_timeout": "50ms", "idle_session_timeout": "50ms", "idle_in_transaction_session_timeout": "50ms"}
    settings |= {"lock_timeout": "1ms", "default_transaction_isolation": "serializable", "synchronous_commit": "off"}
    server.sql(";".join(f"alter role forged set {name} = '{value}'" for name, value in settings.items()))
    try:
        store = await open_store(place)
        async with store._border.writing():
            others = [asyncio.create_task(store.manifest.record(FORGE, [row(b"%d.png" % n)])) for n in range(4)]
            await asyncio.sleep(0.2)
        await asyncio.gather(*others)
        await asyncio.sleep(0.2)
        assert (await store.manifest.count(FORGE))[0] == 4
        assert store._owner.lost_at_s is None
        await store.close()
    finally:
        server.sql("alter role forged reset all")


async def test_a_server_that_hangs_is_trouble_and_passes(
    server: PostgresServer, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forged.store.owner.BEAT_S", 0.3)
    store = await open_store(place)
    server.freeze()
    try:
        async with asyncio.timeout(60):
            while store._owner.lost_at_s is None:
                await asyncio.sleep(0.05)
        with pytest.raises(StoreError) as told:
            await store.manifest.count(FORGE)
        assert told.value.transient
    finally:
        server.freeze(False)
    await until_well(store)
    await store.close()


async def test_every_table_takes_the_longest_names_that_are_let_through(place: Place) -> None:
    """Random bytes, which PostgreSQL cannot compress."""
    store = await open_store(place)
    assert store.most_name_bytes is not None
    half = (store.most_name_bytes - len(FORGE)) // 2
    path, home = secrets.token_bytes(half).replace(b"\0", b"x"), secrets.token_bytes(half).replace(b"\0", b"x")
    one = structs.replace(row(b"a.png"), path=SourcePath(path), home=HomePath(home))
    key = random_text(store.most_name_bytes - len("catalog"))
    await store.manifest.record(FORGE, [one], [event(key=key)], {one.path})
    await store.media.finish(
        [Examined(file, MediaInfo(MediaKind.IMAGE, "png"), 5, frozenset(Owed)) for file in await waiting(store)]
    )
    (put,) = await store.outbox.after("catalog", 9)
    await store.outbox.settle("catalog", upto=put.id, aside=[SetAside(put, 1, "no", 5, None)])
    with pytest.raises(StoreError):  # and a little more is too much
        longer = structs.replace(one, path=SourcePath(path + secrets.token_bytes(80)))
        await store.manifest.record(FORGE, [longer], [], {longer.path})
    await store.close()


async def waiting(store: PostgresStore) -> Sequence[ToExamine]:
    found = await store.media.waiting(FORGE, 9)
    assert found
    return found


def random_text(size: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits + "-_") for _ in range(size))


# --- its tables -----------------------------------------------------------------------------------------------------------


async def test_a_schema_that_is_gone_was_lost_and_a_new_one_begins_with_holds(place: Place, server: PostgresServer) -> None:
    store = await open_store(place)
    identity = await store.identity()
    await store.close()
    server.sql(f"drop schema {schema_of(place)} cascade")
    with pytest.raises(StoreLost, match="not there any more"):
        await open_store(place)
    assert await begin_anew(place, {FORGE: HELD}, NOON_NS) is None
    store = await open_store(place)
    assert (await store.flags.hold(FORGE), await store.identity()) == (HELD, identity)
    await store.close()


async def test_a_memory_that_moves_from_sqlite_begins_anew_with_holds(place: Place) -> None:
    """Else what was deleted at home would come back, and cleanup would go on as if nothing had happened."""
    place.before.write_bytes(b"")
    with pytest.raises(StoreLost, match=r"forged\.db"):
        await open_store(place)
    assert await begin_anew(place, {FORGE: HELD}, NOON_NS) == str(place.before)
    store = await open_store(place)
    assert await store.flags.hold(FORGE) == HELD
    await store.close()


async def test_a_row_that_is_not_what_was_written_is_damage_and_the_schema_is_kept(place: Place, server: PostgresServer) -> None:
    store = await open_store(place)
    await store.manifest.record(FORGE, [row(b"a.png"), row(b"b.png")])
    await store.close()
    server.sql(f"update {schema_of(place)}.versions set home = 'other'::bytea where path = 'a.png'::bytea")
    with pytest.raises(StoreDamaged, match=r"a\.png"):
        await open_store(place)
    kept = await begin_anew(place, {FORGE: HELD}, NOON_NS)
    assert kept is not None and f"{schema_of(place)}_damaged_20231114t221320z" in kept
    assert server.sql(f"select count(*) from {schema_of(place)}_damaged_20231114t221320z.versions") == [["2"]]
    store = await open_store(place)
    assert (await store.manifest.count(FORGE), await store.flags.hold(FORGE)) == ((0, 0), HELD)
    await store.close()


async def test_a_schema_of_another_program_or_of_a_newer_forged_is_left_alone(place: Place, server: PostgresServer) -> None:
    name = schema_of(place)
    server.sql(f"create schema {name}; create table {name}.songs (title text)")
    with pytest.raises(StoreForeign):
        await open_store(place)
    assert server.sql(f"select relname from pg_class where relnamespace = '{name}'::regnamespace and relkind = 'r'") == [["songs"]]
    server.sql(f"drop schema {name} cascade")
    await (await open_store(place)).close()
    server.sql(f"update {name}.alembic_version set version_num = '9999'")
    with pytest.raises(StoreTooNew, match="9999"):
        await open_store(place)


def test_the_migrations_make_exactly_todays_tables_there_too(server: PostgresServer) -> None:
    """From the first revision, with a row that one of them has to rewrite."""
    import asyncpg

    async def both() -> None:
        async def connect() -> object:
            return await asyncpg.connect(server.dsn("postgres"), server_settings={"search_path": "migrated"})

        server.sql("create schema migrated")
        engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.run_sync(migrations.upgrade, "0002")
            old = {column.name: None for column in schema.versions.columns if column.name != "seal"}
            plain = current_row(FORGE, row(b"a.png"))
            old |= {column.name: value for column, value in zip(schema.versions.columns, plain, strict=True) if column.name in old}
            await connection.execute(sa.insert(schema.versions).values(old))
            await connection.run_sync(migrations.upgrade)
            seal = (await connection.execute(sa.select(schema.versions.c.seal))).scalar_one()
            assert seal == plain[-1]
            differences = await connection.run_sync(
                lambda sync: compare_metadata(MigrationContext.configure(sync), schema.metadata)
            )
            at = (await connection.exec_driver_sql("select version_num from alembic_version")).scalar_one()
        assert (differences, at) == ([], schema.HEAD)

    asyncio.run(both())


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:geheim@h/d",
        "postgresql://u:geheim@h:port/d",
        "postgresql://u:geheim@h/d?schema=forged",
        "postgresql://u:geheim@h/d?schema=a;drop",
    ],
)
def test_an_address_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(StoreError) as told:
        address(url)
    assert "geheim" not in f"{told.value.message} {told.value.hint}"


async def test_no_error_shows_a_password_and_each_says_what_to_do(server: PostgresServer, tmp_path: Path) -> None:
    url = f"postgresql://forged:geh%20eim@127.0.0.1:{server.port}/nowhere"
    wrong = Place(Secret(url), tmp_path / "n", tmp_path / "f")
    with pytest.raises(StoreError, match="authentication") as told:
        await open_store(wrong)
    assert "geh" not in repr(told.value) + told.value.hint + repr(wrong)
    assert "pg_hba.conf" in told.value.hint
    gone = replace(wrong, url=Secret("postgresql://forged:geheim@127.0.0.1:1/x"))
    with pytest.raises(StoreError) as told:
        await tried(gone)
    assert "geheim" not in repr(told.value) and "PostgreSQL runs" in told.value.hint
