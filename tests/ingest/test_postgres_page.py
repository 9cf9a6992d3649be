"""The queries of etc/doc/postgresql.md, as they stand there, against a real PostgreSQL that the handler has filled."""

from __future__ import annotations

import re
from contextlib import aclosing
from pathlib import Path

from msgspec.structs import replace

from forged.ingest.postgres import Postgres
from forged.model.media import MediaInfo, RawBlock
from forged.model.settings import PostgresIngest, Secret
from tests.ingest.contract import media, synced
from tests.support.postgres import postgres_server

PAGE = (Path(__file__).parents[2] / "etc" / "doc" / "postgresql.md").read_text()
QUERIES = re.findall(r"^    -- (.*)\n((?:    .*\n)+?)(?=\n|    --)", PAGE, re.MULTILINE)


def picture(number: int) -> MediaInfo:
    """What each query looks for."""
    made = media(number, "a fox and a castle")
    assert made.generation is not None
    generation = replace(made.generation, seed="3626764237")
    return replace(made, generation=generation, raw=(RawBlock("png/tEXt/parameters", "a fox"),))


async def test_each_query_finds_something() -> None:
    assert len(QUERIES) == 9
    with postgres_server() as server:
        database = server.database()
        events = [synced(number, media=picture(number)) for number in (1, 2)]
        twin = synced(3, sha256=f"{1:064x}", media=picture(3))
        async with aclosing(Postgres("archive", PostgresIngest(Secret(server.dsn(database))))) as handler:
            await handler.deliver([*events, twin])
        server.sql("update forged.files set removed_at = now() where home like '%1.png'", database)
        for what, query in QUERIES:
            assert server.sql(query, database) not in ([], [[""]]), what
