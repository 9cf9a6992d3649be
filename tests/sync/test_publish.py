"""What handlers hear of files, and when nothing is written for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from msgspec.structs import replace as changed

from forged.model.events import EventKind
from forged.model.ingest import read
from forged.model.manifest import ManifestName
from forged.model.target import Target, TargetName
from forged.sync.publish import file_removed, file_synced, key_of
from tests.store.samples import row
from tests.support.world import TARGET

MINE = Target(TargetName("box"), TARGET.type, TARGET.source, replace(TARGET.home, dest=Path("/srv/home\nit")))


def test_a_body_says_where_it_is_and_what_it_is() -> None:
    one = changed(row(b"a.png", b"content"), home=row(b"x").home)
    event = file_synced(MINE, one, 7, discovery="vast", again=True)
    body = read(event.body)
    assert (event.kind, event.target, event.at_ns, event.key) == (EventKind.FILE_SYNCED, "box", 7, key_of(MINE, one))
    assert (body.path, body.size, body.sha256, body.again) == ("a.png", one.stat.size_bytes, one.sha256.hex(), True)
    assert (body.manifest, body.discovery) == (ManifestName("box"), "vast")
    assert body.home.startswith("/srv/home\\nit/"), "safe to show"


def test_a_name_that_is_no_utf8_is_there_exactly() -> None:
    one = row(b"b\xff.png", b"content")
    body = read(file_removed(MINE, one, 7).body)
    assert body.path == "b\\xff.png"
    assert body.path_b64 == "Yv8ucG5n"
