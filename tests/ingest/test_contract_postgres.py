"""The catalog in PostgreSQL, held to the contract against a real server; and what it promises alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import pytest

from forged.ingest import postgres_sql
from forged.ingest.postgres import Postgres
from forged.model.errors import IngestError, IngestRefused
from forged.model.events import EventKind
from forged.model.media import Generation, Lora, MediaInfo, MediaKind, RawBlock
from forged.model.settings import PostgresIngest, Secret
from tests.ingest.contract import HandlerContract, homes, media, synced
from tests.ingest.test_postgres_rows import STRANGE
from tests.support.postgres import WRITTEN, PostgresServer, postgres_server


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture
def database(server: PostgresServer) -> str:
    if not server.pids:  # a test that failed has left it so
        server.start()
    return server.database()


def handler_of(server: PostgresServer, database: str, batch_s: float = 60.0, password: str = WRITTEN) -> Postgres:
    return Postgres("archive", PostgresIngest(Secret(server.dsn(database, password))), batch_s)


@pytest.fixture
async def handler(server: PostgresServer, database: str) -> AsyncIterator[Postgres]:
    one = handler_of(server, database)
    yield one
    await one.aclose()


class DatabaseReceiver:
    """One database of a real server. It fails by dying, hangs by being stopped, and lies by dying between work and answer."""

    idempotent = True

    def __init__(self, server: PostgresServer, database: str) -> None:
        self.server, self.database = server, database
        self.handler = handler_of(server, database, 5.0)
        self._heal = lambda: None

    async def taken(self) -> list[str]:
        if self.server.sql("select to_regclass('forged.files') is not null", self.database) == [["f"]]:
            return []
        rows = self.server.sql("select encode(convert_to(home, 'UTF8'), 'hex') from forged.files order by home", self.database)
        return [bytes.fromhex(row[0]).decode() for row in rows]

    async def fails(self) -> None:
        await asyncio.to_thread(self.server.kill)
        self._heal = self.server.start

    async def hangs(self) -> None:
        self.server.freeze()
        self._heal = lambda: self.server.freeze(False)

    async def lies(self) -> None:
        """The whole server starts anew under the handler's feet."""
        await self.fails()

    async def heals(self) -> None:
        heal, self._heal = self._heal, lambda: None
        await asyncio.to_thread(heal)


class TestPostgres(HandlerContract):
    @pytest.fixture
    async def receiver(self, server: PostgresServer, database: str) -> AsyncIterator[DatabaseReceiver]:
        receiver = DatabaseReceiver(server, database)
        yield receiver
        await receiver.heals()
        await receiver.handler.aclose()


async def test_the_tables_say_what_the_file_says(handler: Postgres, server: PostgresServer, database: str) -> None:
    await handler.deliver([synced(1, media=media(1, "a \x00cat"))])

    def one(columns: str, table: str) -> list[str]:
        return server.sql(f"select {columns} from forged.{table}", database)[0]

    assert one("target, path, size_bytes, sha256, mtime, removed_at is null", "files")[:4] == [
        "studio",
        "00001.png",
        "1",
        f"{1:064x}",
    ]
    assert one("kind, format, width, height", "media") == ["image", "png", "512", "768"]
    assert one("prompt, seed, model, generator", "generations") == ["a \ufffdcat 1", str(2**64 - 2), "sdxl", "A1111"]
    assert one("name, weight, position", "loras") == ["detail", "0.5", "0"]
    [[raw, cleaned]] = server.sql("select raw, raw_json from forged.media", database)
    assert [block["text"] for block in json.loads(raw)] == [block.text for block in media(1, "a \x00cat").raw]
    assert json.loads(cleaned) == {
        "png/tEXt/parameters": "a \ufffdcat 1",
        "png/tEXt/workflow": {"a": None, "b": [None, "\ufffd", "\ufffd"]},
    }


async def test_jsonb_takes_the_strangest_texts(handler: Postgres, server: PostgresServer, database: str) -> None:
    blocks = tuple(RawBlock(f"x/{number}", text) for number, text in enumerate(STRANGE))
    await handler.deliver([synced(1, media=MediaInfo(MediaKind.OTHER, "", raw=blocks))])
    [[raw]] = server.sql("select encode(convert_to(raw, 'UTF8'), 'hex') from forged.media", database)
    assert [block["text"] for block in json.loads(bytes.fromhex(raw))] == list(STRANGE)
    [[count]] = server.sql("select count(*) from forged.media, jsonb_object_keys(raw_json)", database)
    assert count == str(len(STRANGE))


async def test_prompts_are_found_by_their_words_through_the_index(handler: Postgres, server: PostgresServer, database: str) -> None:
    await handler.deliver([synced(1, media=media(1, "a cat")), synced(2, media=media(2, "a dog"))])
    found = "select home from forged.library where search @@ websearch_to_tsquery('simple', 'DOG -cat')"
    assert server.sql(found, database) == [[homes([synced(2)])[0]]]
    plan = server.sql(f"set enable_seqscan = off; explain {found}", database)
    assert any("generations_search" in line[0] for line in plan)


async def test_what_is_said_of_a_file_later_holds(handler: Postgres, server: PostgresServer, database: str) -> None:
    home = "/media/one.png"

    def now() -> list[str]:
        what = "size_bytes, removed_at is null, prompt, (select count(*) from forged.loras)"
        return server.sql(f"select {what} from forged.library", database)[0]

    await handler.deliver([synced(1, home)])
    assert now() == ["1", "t", "a cat 1", "1"]
    await handler.deliver([synced(2, home, size=1, sha256=f"{1:064x}", media=None, kind=EventKind.FILE_REMOVED)])
    assert now() == ["1", "f", "a cat 1", "1"]  # what is inside is not forgotten with the source
    await handler.deliver([synced(3, home, size=1, sha256=f"{1:064x}", media=media(9), again=True)])
    assert now() == ["1", "f", "a cat 9", "1"]  # looked into again: at the source it is still gone
    await handler.deliver([synced(4, home, media=None)])
    assert now() == ["4", "t", "", "0"]  # replaced by another content, and nobody has looked into that yet


async def test_it_keeps_to_its_own_schema(handler: Postgres, server: PostgresServer, database: str) -> None:
    server.sql(
        "create table files (id int); create table media (id int); create schema other; create table other.files (x int)", database
    )
    await handler.deliver([synced(1)])
    assert server.sql("select (select count(*) from public.files), (select count(*) from forged.files)", database) == [["0", "1"]]


async def test_several_that_begin_at_once_do_not_disturb_each_other(server: PostgresServer, database: str) -> None:
    handlers = [handler_of(server, database) for _ in range(4)]
    events = [synced(number) for number in range(1, 41)]
    await asyncio.gather(*(one.deliver(list(order)) for one, order in zip(handlers, [events, events[::-1]] * 2, strict=True)))
    assert server.sql("select count(*) from forged.files", database) == [["40"]]
    assert server.sql("select version, name from forged.migrations", database) == [
        [str(one.version), one.name] for one in postgres_sql.migrations()
    ]
    for one in handlers:
        await one.aclose()


async def test_of_a_large_batch_the_last_word_on_each_file_holds(handler: Postgres, server: PostgresServer, database: str) -> None:
    """It goes over two connections; those of one file go over the same one, in order."""
    events = [synced(number, f"/media/{number % 100}.png") for number in range(1, 401)]
    await handler.deliver(events)
    newest = "select count(*), min(size_bytes), max(size_bytes) from forged.library where prompt = 'a cat ' || size_bytes"
    assert server.sql(newest, database) == [["100", "301", "400"]]


async def test_of_a_large_batch_half_may_be_refused_and_comes_again(
    handler: Postgres, server: PostgresServer, database: str
) -> None:
    events = [synced(number) for number in range(1, 301)]
    await handler.deliver(events[:1])
    refuses = "create function public.no() returns trigger language plpgsql as $$ begin raise 'not today'; end $$;"
    refuses += f"create trigger no before insert on forged.files for each row when (new.home = '{events[7].key}')"
    server.sql(f"{refuses} execute function public.no()", database)
    with pytest.raises(IngestError, match="not today"):
        await handler.deliver(events)
    assert 100 < int(server.sql("select count(*) from forged.files", database)[0][0]) < 200
    server.sql("drop trigger no on forged.files", database)
    await handler.deliver(events)
    assert server.sql(
        "select count(*), count(distinct home) from forged.generations join forged.files on id = file_id", database
    ) == [["300", "300"]]


async def test_names_that_no_index_holds_are_cut_also_where_an_older_forged_has_put_them(
    server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "\U0001f600" * 3000
    made = Generation("A1111", seed=long, model=long, loras=(Lora(long),))
    events = [synced(number, media=MediaInfo(MediaKind.IMAGE, "png", generation=made)) for number in (1, 2)]
    with monkeypatch.context() as older:
        first = postgres_sql.migrations()[:1]
        older.setattr(postgres_sql, "migrations", lambda: first)
        before = handler_of(server, database)
        await before.deliver(events[:1])
        await before.aclose()
    # random, or it would be packed small enough for any index
    random = "(select string_agg(md5(n::text), '') from generate_series(1, 500) n)"
    server.sql(
        f"update forged.generations set model = {random}, seed = {random}; update forged.loras set name = {random}", database
    )
    after = handler_of(server, database)
    await after.deliver(events[1:])
    await after.aclose()
    lengths = "select length(model), length(seed), length(name) from forged.generations join forged.loras using (file_id)"
    assert server.sql(lengths, database) == [["500"] * 3] * 2


async def test_a_server_that_restarts_between_two_batches_is_not_noticed_by_the_rows(
    handler: Postgres, server: PostgresServer, database: str
) -> None:
    await handler.deliver([synced(1)])
    await asyncio.to_thread(server.stop)
    with pytest.raises(IngestError) as error:
        await handler.deliver([synced(2)])
    assert error.value.transient and "PostgreSQL runs there" in error.value.hint
    await asyncio.to_thread(server.start)
    await handler.deliver([synced(1), synced(2)])
    assert server.sql("select count(*) from forged.files", database) == [["2"]]


async def test_mistakes_are_told_with_what_to_do_and_without_the_password(server: PostgresServer, database: str) -> None:
    server.sql(f"create user guest password 'hush'; revoke create on database {database} from public", database)
    latin = server.database("encoding 'LATIN1' locale 'C' template template0")
    place = f"127.0.0.1:{server.port}"
    for dsn, hint in (
        (server.dsn(database, "hush%20wrong"), "pg_hba.conf"),
        (server.dsn("nowhere"), "createdb"),
        (f"postgresql://guest:hush@{place}/{database}", "grant create"),
        (f"postgresql://{place}/{database}?user=forged&password=hush", "pg_hba.conf"),
        (server.dsn(latin), "createdb -E UTF8"),
        ("postgresql://forged:hush@[::1/x", "postgresql://user@host/database"),
        ("postgresql://forged:hush@host:port/x", "postgresql://user@host/database"),
    ):
        one = Postgres("archive", PostgresIngest(Secret(dsn)))
        with pytest.raises(IngestRefused) as error:
            await one.deliver([synced(1)])
        assert hint in error.value.hint, error.value
        assert "hush" not in error.value.message + error.value.hint + repr(error.value)
        assert error.value.__cause__ is None
        await one.aclose()


async def test_tables_of_a_newer_forged_and_of_somebody_else_are_left_alone(server: PostgresServer, database: str) -> None:
    one = handler_of(server, database)
    server.sql("create schema forged; create table forged.files (x int)", database)
    with pytest.raises(IngestRefused) as error:
        await one.deliver([synced(1)])
    assert "alter schema" in error.value.hint
    server.sql("drop schema forged cascade", database)
    await one.deliver([synced(1)])
    await one.aclose()
    server.sql("insert into forged.migrations values (9999, 'later')", database)
    with pytest.raises(IngestRefused, match="newer forged"):
        await one.deliver([synced(2)])
    await one.aclose()


async def test_it_is_durable_also_where_the_server_is_told_not_to_wait(
    handler: Postgres, server: PostgresServer, database: str
) -> None:
    await handler.deliver([synced(1)])
    server.sql(f"alter database {database} set log_statement = 'all'", database)
    server.sql("create table public.seen (how text)", database)
    server.sql(
        "create function public.note() returns trigger language plpgsql as "
        "$$ begin insert into public.seen values (current_setting('synchronous_commit')); return null; end $$;"
        "create trigger note after insert on forged.files execute function public.note()",
        database,
    )
    await handler.deliver([synced(2)])
    assert server.sql("select how from public.seen", database) == [["on"]]
