"""Sidecars by the real exiftool: every text comes back, nobody's edits are lost, no exiftool that dies costs a file anything."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from forged.kit.clock import SystemClock
from forged.media.xmp import fields, sidecars
from forged.media.xmp.reading import read
from forged.media.xmp.sidecars import ExifToolSidecars, Standing
from forged.media.xmp.tool import CONFIG, UnsafeArgument, checked
from forged.model.media import Generation, Lora, MediaInfo, MediaKind
from forged.model.sidecars import SidecarFacts, SidecarTrouble

EXIFTOOL = shutil.which("exiftool")
pytestmark = pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed")

MADE_NS = 1_795_000_000 * 10**9

NASTY = {
    "line ends": "two\nlines\n\nand more\n",
    "a carriage return": "one\rtwo",
    "windows": "one\r\ntwo",
    "execute": "-execute\n-XMP-dc:Title=evil",
    "a file": "pretty cat\n-XMP-dc:Title<=/etc/passwd",
    "at": "@/etc/passwd",
    "a comment": "#nothing",
    "quotes": "\"double\" 'single' `back` \\ \\n",
    "markup": "<x:xmpmeta> & &amp; &#65; ]]> <!-- -->",
    "variables": "${HOME} $x $[x] {ready1} =post1",
    "from right to left": "a \u202ertl\u202c \u05d0\u05d1",
    "emoji": "a cat 🐈‍⬛ 猫",
    "a lone surrogate": "a \ud83d b",
    "control characters": "bell\x07 nul\x00 esc\x1b[31m tab\t del\x7f",
    "blanks around": "  leading and trailing  ",
    "64 KiB": "(a cat:1.2), \n" * 5_042,
    "json": '{"a": [1, "\\u00e4"], "b": null}',
    "illegal for xml": "\ufffe\uffff \x0b\x0c",
}


FACTS = SidecarFacts("x.png", "box", b"\x11" * 32, MADE_NS)


def info(prompt: str = "a cat, 1girl", **more: object) -> MediaInfo:
    return MediaInfo(MediaKind.IMAGE, "png", generation=Generation("ComfyUI", prompt=prompt, **more))  # type: ignore[arg-type]


@asynccontextmanager
async def writing(folder: Path, **more: object) -> AsyncIterator[ExifToolSidecars]:
    writer = ExifToolSidecars(folder / "xmp", SystemClock(), **more)  # type: ignore[arg-type]
    try:
        yield writer
    finally:
        await writer.aclose()


async def rendered(writer: ExifToolSidecars, about: MediaInfo, existing: bytes | None = None) -> bytes:
    done = await writer.render(about, FACTS, existing)
    assert isinstance(done, bytes), done
    return done


def values(content: bytes, prop: fields.Property) -> list[str]:
    return list(read(content).values.get(prop.name, ()))


PROMPT = next(prop for prop in fields.PROPERTIES if prop.tag == "XMP-forged:Prompt")
SEED = next(prop for prop in fields.PROPERTIES if prop.tag == "XMP-forged:Seed")


@pytest.mark.parametrize("name", NASTY)
async def test_every_text_comes_back_by_exiftool_and_by_an_xml_parser(name: str, tmp_path: Path) -> None:
    text = NASTY[name]
    async with writing(tmp_path) as writer:
        content = await rendered(writer, info(text, negative_prompt=text, loras=(Lora(text[:50], 0.5),)))
    expected = fields.clean(text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    assert expected.replace("\ufffd", "") == "".join(character for character in lines if fields.clean(character) == character)
    description = [one.text for one in ET.fromstring(content).iter("{http://purl.org/dc/elements/1.1/}description")]
    assert description or values(content, fields.DESCRIPTION) == [expected]
    items = [one.text for one in ET.fromstring(content).iter(f"{{{fields.OWN}}}Prompt")]
    assert (items or values(content, PROMPT)) == [expected]
    (tmp_path / "x.xmp").write_bytes(content)
    assert EXIFTOOL
    told = subprocess.run(
        [EXIFTOOL, "-config", CONFIG, "-j", "-struct", tmp_path / "x.xmp"], capture_output=True, check=True
    ).stdout
    assert json.loads(told)[0]["Prompt"] in (expected, expected.replace("\x7f", "."))
    assert "Title" not in json.loads(told)[0]


async def test_all_that_is_known_is_said_in_the_words_of_photo_programs(tmp_path: Path) -> None:
    about = info(
        "a cat, 1girl",
        negative_prompt="bad",
        version="0.3.1",
        seed="18446744073709551615",
        steps=20,
        cfg=4.5,
        sampler="euler",
        scheduler="normal",
        model="m.safetensors",
        model_hash="c0d1",
        width=512,
        height=768,
        loras=(Lora("a", 0.8), Lora("b")),
    )
    async with writing(tmp_path) as writer:
        content = await rendered(writer, about)
    told = read(content).values
    assert told[fields.DESCRIPTION.name] == ["a cat, 1girl"]
    for prop in fields.TAG_LISTS:
        assert sorted(told[prop.name]) == ["1girl", "a cat"]
    for prop in (fields.CREATE_DATE, fields.ORIGINAL_DATE, fields.DATE_CREATED):
        assert told[prop.name] == ["2026-11-18T11:06:40+00:00"]
    assert told[fields.CREATOR_TOOL.name] == ["ComfyUI 0.3.1"]
    assert told[fields.SOURCE_TYPE.name] == [fields.TRAINED]
    assert told[fields.AI_PROMPT.name] == ["a cat, 1girl\nNegative prompt: bad"]
    assert told[SEED.name] == ["18446744073709551615"]
    assert sorted(told[fields.LORAS.name]) == ["a:0.8", "b"]
    assert content.count(b"<rdf:Description") == 1  # PhotoPrism reads only one


async def test_rendering_again_changes_nothing(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        content = await rendered(writer, info(NASTY["execute"], seed="7"))
        assert await writer.render(info(NASTY["execute"], seed="7"), FACTS, content) is None


async def test_a_file_of_which_nothing_is_known_gets_no_sidecar(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        assert await writer.render(MediaInfo(MediaKind.IMAGE, "png"), FACTS, None) is None


@pytest.mark.parametrize("made_ns", [-(10**30), -1, 0, 2**63, 10**30])
async def test_a_box_may_tell_any_time(made_ns: int, tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        content = await writer.render(info("a cat"), replace(FACTS, made_ns=made_ns), None)
    assert isinstance(content, bytes)
    assert values(content, fields.DESCRIPTION) == ["a cat"]


# --- beside others ----------------------------------------------------------------------------------------------------------

OTHERS = b"""<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:darktable="http://darktable.sf.net/" xmlns:digiKam="http://www.digikam.org/ns/1.0/"
    xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"
    xmlns:my="http://example.org/unheard/of/" xmp:Rating="4" darktable:xmp_version="5" my:own="kept">
   <darktable:history>
    <rdf:Seq>
     <rdf:li darktable:num="0" darktable:operation="exposure" darktable:params="gz04eJxj" darktable:multi_name=""/>
     <rdf:li darktable:num="1" darktable:operation="crop" darktable:params="0000"/>
    </rdf:Seq>
   </darktable:history>
   <mwg-rs:Regions rdf:parseType="Resource">
    <mwg-rs:RegionList><rdf:Bag><rdf:li>
      <rdf:Description mwg-rs:Name="Ann" mwg-rs:Type="Face">
       <mwg-rs:Area stArea:x="0.5" stArea:y="0.4" stArea:unit="normalized"/></rdf:Description>
    </rdf:li></rdf:Bag></mwg-rs:RegionList>
   </mwg-rs:Regions>
   <dc:subject><rdf:Bag><rdf:li>holiday</rdf:li><rdf:li>cat</rdf:li></rdf:Bag></dc:subject>
   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">what I see in it</rdf:li>
     <rdf:li xml:lang="de-DE">was ich sehe</rdf:li></rdf:Alt></dc:description>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end='w'?>"""


async def test_what_others_wrote_stays_and_ours_is_beside_it(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        content = await rendered(writer, info("cat, 1girl"), OTHERS)
        assert await writer.render(info("cat, 1girl"), FACTS, content) is None
    before, after = read(OTHERS), read(content)
    shared = {f"/{prop.name}" for prop in fields.PROPERTIES}
    kept = {fact for fact in before.facts if not any(fact[0].startswith(way) for way in shared)}
    assert kept <= set(after.facts)
    assert any("operation" in way and text == "exposure" for way, text in kept)
    assert any("Name" in way and text == "Ann" for way, text in kept)
    assert values(content, fields.DESCRIPTION)[0] == "what I see in it"
    assert sorted(values(content, fields.SUBJECT)) == ["1girl", "cat", "holiday"]
    assert values(content, PROMPT) == ["cat, 1girl"]


def edited(content: bytes, *arguments: str) -> bytes:
    """As a person's own program would change it."""
    assert EXIFTOOL
    done = subprocess.run([EXIFTOOL, "-config", CONFIG, *arguments, "-o", "-", "-"], input=content, capture_output=True, check=True)
    return done.stdout


async def test_a_persons_edits_win_and_what_they_took_out_does_not_come_back(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        first = await rendered(writer, info("cat, 1girl", seed="1"))
        theirs = edited(
            first, "-XMP-dc:Description=mine", "-XMP-dc:Subject-=1girl", "-XMP-dc:Subject+=own", "-XMP-xmp:CreatorTool="
        )
        again = await rendered(writer, info("cat, 1girl, new", seed="2"), theirs)
    assert values(again, fields.DESCRIPTION) == ["mine"]
    assert sorted(values(again, fields.SUBJECT)) == ["cat", "new", "own"]
    assert values(again, fields.CREATOR_TOOL) == []
    assert (values(again, PROMPT), values(again, SEED)) == (["cat, 1girl, new"], ["2"])


async def test_what_nobody_changed_is_brought_up_to_date(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        first = await rendered(writer, info("old, cat", seed="1"))
        again = await rendered(writer, info("cat, new"), first)
    assert values(again, fields.DESCRIPTION) == ["cat, new"]
    assert sorted(values(again, fields.SUBJECT)) == ["cat", "new"]
    assert values(again, SEED) == []


@pytest.mark.parametrize(
    "existing",
    [
        b"",
        b"not xml",
        b"\x89PNG\r\n\x1a\n",
        b"<html><body/></html>",
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&e;</x:xmpmeta>',
        b"<a>" * 100 + b"</a>" * 100,
        b'AT&TFORM\x00\x00\x00\x2aDJVUANTa\x00\x00\x00\x1e(metadata (a "\\\n" . `id`))',
        OTHERS[:-400],
    ],
)
async def test_what_is_no_sidecar_is_left_alone_and_never_reaches_exiftool(existing: bytes, tmp_path: Path) -> None:
    script = tmp_path / "exiftool"
    script.write_text(f'#!/bin/sh\ntouch {tmp_path}/ran\nexec {EXIFTOOL} "$@"\n')
    script.chmod(0o755)
    async with writing(tmp_path, find=lambda: str(script)) as writer:
        done = await writer.render(info(), FACTS, existing)
    assert isinstance(done, SidecarTrouble)
    assert not done.later
    assert "left alone" in done.why
    assert not (tmp_path / "ran").exists()


async def test_what_exiftool_would_lose_is_not_written() -> None:
    before = read(OTHERS)
    told = {PROMPT: ["a cat"]}
    lossy = OTHERS.replace(b'xmp:Rating="4"', b"")
    ours = f'forged:Prompt="a cat" xmlns:forged="{fields.OWN}" '.encode()
    kept = OTHERS.replace(b'xmp:Rating="4"', b'xmp:Rating="4" ' + ours)
    assert sidecars.judged(kept, told, before) == kept
    lost = sidecars.judged(lossy.replace(b"darktable:xmp_version", ours + b"darktable:xmp_version"), told, before)
    assert isinstance(lost, SidecarTrouble)
    assert "Rating" in lost.why
    unsaid = sidecars.judged(OTHERS, told, before)
    assert isinstance(unsaid, SidecarTrouble)
    assert "Prompt" in unsaid.why


@pytest.mark.parametrize("argument", [b"", b"-a=b\n-c=d", b"-a=b\r", b"-a=\0", b"#x", b" x", b"\tx"])
def test_no_argument_becomes_two(argument: bytes) -> None:
    with pytest.raises(UnsafeArgument):
        checked(argument)


# --- exiftool itself --------------------------------------------------------------------------------------------------------


async def child(writer: ExifToolSidecars) -> int:
    await rendered(writer, info("cat"))
    assert writer._tool is not None
    process = writer._tool._child()
    assert process is not None
    return process.pid


async def test_killed_between_two_files_it_is_started_anew(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        os.kill(await child(writer), signal.SIGKILL)
        assert await rendered(writer, info())


async def test_stopped_in_the_middle_it_is_given_up_and_the_file_written_by_the_next(tmp_path: Path) -> None:
    async with writing(tmp_path, deadline_s=4.0) as writer:
        pid = await child(writer)
        os.kill(pid, signal.SIGSTOP)
        assert await rendered(writer, info())
        assert await child(writer) != pid


async def test_killed_in_the_middle_the_file_is_written_by_the_next(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        pid = await child(writer)
        os.kill(pid, signal.SIGSTOP)
        task = asyncio.create_task(rendered(writer, info()))
        await asyncio.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        assert await task


async def test_a_flood_of_warnings_stops_nobody(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        await child(writer)
        tool = writer._tool
        assert tool is not None
        missing = [f"/nonexistent/{number:0100d}.xmp" for number in range(1_500)]
        await asyncio.to_thread(tool.execute, *missing)
        assert len(str(tool.last_stderr)) > 65_536
        assert await rendered(writer, info())


def script(folder: Path, text: str) -> str:
    place = folder / "exiftool"
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(place.stat().st_mode | stat.S_IXUSR)
    return str(place)


async def test_without_exiftool_it_says_so_and_goes_on_once_it_is_there(tmp_path: Path) -> None:
    found: list[str] = []
    async with writing(tmp_path, find=lambda: found[0] if found else None) as writer:
        assert await writer.standing() is Standing.MISSING
        done = await writer.render(info(), FACTS, None)
        assert isinstance(done, SidecarTrouble)
        assert done.later
        assert "install exiftool" in done.why
        assert EXIFTOOL
        found.append(EXIFTOOL)
        assert await writer.standing() is Standing.READY
        assert await rendered(writer, info())


@pytest.mark.parametrize(
    ("text", "standing"),
    [
        ("exit 0", Standing.BROKEN),
        ("exit 3", Standing.BROKEN),
        ("cat >/dev/null", Standing.BROKEN),
        ("yes", Standing.BROKEN),
        ('sed -u "s/XMP-forged:Loras/XMP-forged:Nobody/" | exec %s "$@"', Standing.BROKEN),
        ('exec %s "$@" -ver <<X\n-ver\n-execute\nX', Standing.BROKEN),
    ],
)
async def test_one_that_does_not_do_what_it_is_told_is_not_used(text: str, standing: Standing, tmp_path: Path) -> None:
    program = script(tmp_path, text % EXIFTOOL if "%s" in text else text)
    async with writing(tmp_path, find=lambda: program, deadline_s=2.0) as writer:
        assert await writer.standing() is standing


async def test_one_that_is_too_old_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecars, "OLDEST", (99, 0))
    async with writing(tmp_path) as writer:
        assert await writer.standing() is Standing.TOO_OLD


async def test_one_that_vanishes_is_missed_at_the_next_look_and_one_that_comes_back_is_used(tmp_path: Path) -> None:
    assert EXIFTOOL
    place = tmp_path / "exiftool"
    place.symlink_to(EXIFTOOL)
    async with writing(tmp_path, find=lambda: shutil.which("exiftool", path=str(tmp_path))) as writer:
        assert await rendered(writer, info())
        pid = await child(writer)
        assert await writer.standing() is Standing.READY
        place.unlink()
        assert await writer.standing() is Standing.MISSING, "nothing has to be written for that"
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert not writer.available
        place.symlink_to(EXIFTOOL)
        assert await writer.standing() is Standing.READY, "and nobody waits for a minute to be over"
        assert await rendered(writer, info())


async def test_one_that_was_away_between_two_looks_is_told_if_a_sidecar_waits_for_it(tmp_path: Path) -> None:
    found = [EXIFTOOL]
    async with writing(tmp_path, find=lambda: found[-1]) as writer:
        assert await writer.standing() is Standing.READY
        found.append(None)
        done = await writer.render(info(), FACTS, None)
        assert isinstance(done, SidecarTrouble) and done.later
        found.pop()
        assert await writer.standing() is Standing.MISSING, "or nobody would see to it that the sidecar follows"
        assert await writer.standing() is Standing.READY


async def test_a_look_at_what_has_shown_what_it_can_do_starts_nothing(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    program = script(tmp_path, f'echo >>{starts}; exec {EXIFTOOL} "$@"')
    async with writing(tmp_path, find=lambda: program) as writer:
        for _ in range(5):
            assert await writer.standing() is Standing.READY
        assert len(starts.read_text().splitlines()) == 1
        os.utime(program, (1, 1))
        assert await writer.standing() is Standing.READY
        assert len(starts.read_text().splitlines()) == 2, "another file is another exiftool"


async def test_a_new_process_takes_over_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecars, "COMMANDS_EACH", 3)
    async with writing(tmp_path) as writer:
        pids = set()
        for number in range(6):
            assert await rendered(writer, info(f"cat {number}"))
            pids.add(await child(writer))
    assert len(pids) >= 3


async def test_who_is_not_needed_is_ended_and_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with writing(tmp_path) as writer:
        assert await writer.standing() is Standing.READY
        assert writer._tool is None
        pid = await child(writer)
        assert await writer.standing() is Standing.READY
        os.kill(pid, 0)  # it was needed a moment ago
        monkeypatch.setattr(sidecars, "IDLE_S", 0.0)  # a minute later
        assert await writer.standing() is Standing.READY
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert await rendered(writer, info("dog"))


async def test_nothing_is_left_when_it_ends(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        await rendered(writer, info())
        pid = await child(writer)
        assert list((tmp_path / "xmp").iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
