"""What the tests of sidecars make: subjects, packets, programs that stand in exiftool's place."""

from __future__ import annotations

import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from forged.kit.clock import SystemClock
from forged.media.xmp.fields import Property
from forged.media.xmp.reading import read
from forged.media.xmp.sidecars import ExifToolSidecars
from forged.model.media import Generation, MediaInfo, MediaKind
from forged.model.sidecars import SidecarFacts, SidecarTrouble

EXIFTOOL = shutil.which("exiftool")

MADE_NS = 1_795_000_000 * 10**9


FACTS = SidecarFacts("x.png", "box", b"\x11" * 32, MADE_NS)


def about(prompt: str = "cat, 1girl", **more: object) -> MediaInfo:
    """A picture whose tags are the words of its prompt."""
    made = Generation("ComfyUI", prompt=prompt, **more)  # type: ignore[arg-type]
    return MediaInfo(MediaKind.IMAGE, "png", generation=made)


async def tried(writer: ExifToolSidecars, info: MediaInfo, existing: bytes | None = None) -> bytes | str | None:
    """The sidecar; or why there is none, in words; or None where nothing is to be changed."""
    made = await writer.render(info, FACTS, existing)
    return made.why if isinstance(made, SidecarTrouble) else made


async def written(writer: ExifToolSidecars, info: MediaInfo, existing: bytes | None = None) -> bytes:
    content = await tried(writer, info, existing)
    assert isinstance(content, bytes), content
    return content


def values(content: bytes, prop: Property) -> list[str]:
    return list(read(content).values.get(prop.name, ()))


@asynccontextmanager
async def writing(folder: Path, **more: object) -> AsyncIterator[ExifToolSidecars]:
    """A writer that lives as long as the block."""
    writer = ExifToolSidecars(folder / "xmp", SystemClock(), **more)  # type: ignore[arg-type]
    try:
        yield writer
    finally:
        await writer.aclose()


def script(folder: Path, text: str, name: str = "exiftool") -> str:
    """A program in exiftool's place; `REAL` in its text is the real one."""
    place = folder / name
    place.write_text("#!/bin/sh\n" + text.replace("REAL", str(EXIFTOOL)) + "\n")
    place.chmod(place.stat().st_mode | stat.S_IXUSR)
    return str(place)


def packet(inside: str) -> bytes:
    """A sidecar with one description."""
    spaces = {
        "dc": "http://purl.org/dc/elements/1.1/",
        "xmp": "http://ns.adobe.com/xap/1.0/",
        "digiKam": "http://www.digikam.org/ns/1.0/",
        "lr": "http://ns.adobe.com/lightroom/1.0/",
        "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
        "darktable": "http://darktable.sf.net/",
        "forged": "https://forged.dev/ns/1.0/",
        "my": "http://example.org/unheard/of/",
    }
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in spaces.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {declared}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()
