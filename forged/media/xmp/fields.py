"""Which properties a sidecar gets, under the names that exiftool and XML have for them.

Who reads what was looked up in their sources (2026-11): Immich takes its tags from digiKam:TagsList and lr:hierarchicalSubject and
not from dc:subject, its date from exif:DateTimeOriginal; PhotoPrism its date from photoshop:DateCreated; digiKam and darktable read
dc:description and dc:subject. Iptc4xmpExt:DigitalSourceType and the four AI properties are those of IPTC Photo Metadata 2025.1.
Generation parameters have no namespace that programs share, so they get one of ours.

Not written: exif:UserComment (programs that know A1111's text look for it in the picture, never in a sidecar), a workflow (up to
megabytes; the database has it), AIPromptWriterName (we do not know who it was). A file whose generation is not known, a photo or a
log, gets no sidecar: a date and a hash alone are no reason for one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from forged.media.generation.tags import tags
from forged.model.media import Generation, MediaInfo
from forged.model.sidecars import SidecarFacts

OWN = "https://forged.dev/ns/1.0/"
"""Our namespace, prefix `forged`. It stands in exiftool.config, too."""

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""Made by an algorithm that was trained on pictures, from nothing but words (IPTC NewsCodes)."""

COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""From another picture: where the generator says that it began with one (a denoising strength below 1, and no second pass)."""


@dataclass(frozen=True, slots=True)
class Property:
    """One property: as exiftool calls it, and as XML does (`namespace local`)."""

    tag: str
    name: str
    is_list: bool = False

    @property
    def is_own(self) -> bool:
        """Of our namespace: nobody else writes it."""
        return self.name.startswith(OWN)


def _own(local: str, *, is_list: bool = False) -> Property:
    return Property(f"XMP-forged:{local}", f"{OWN} {local}", is_list)


DESCRIPTION = Property("XMP-dc:Description", "http://purl.org/dc/elements/1.1/ description")
SUBJECT = Property("XMP-dc:Subject", "http://purl.org/dc/elements/1.1/ subject", is_list=True)
TAGS_LIST = Property("XMP-digiKam:TagsList", "http://www.digikam.org/ns/1.0/ TagsList", is_list=True)
HIERARCHICAL = Property("XMP-lr:HierarchicalSubject", "http://ns.adobe.com/lightroom/1.0/ hierarchicalSubject", is_list=True)
CREATE_DATE = Property("XMP-xmp:CreateDate", "http://ns.adobe.com/xap/1.0/ CreateDate")
ORIGINAL_DATE = Property("XMP-exif:DateTimeOriginal", "http://ns.adobe.com/exif/1.0/ DateTimeOriginal")
DATE_CREATED = Property("XMP-photoshop:DateCreated", "http://ns.adobe.com/photoshop/1.0/ DateCreated")
CREATOR_TOOL = Property("XMP-xmp:CreatorTool", "http://ns.adobe.com/xap/1.0/ CreatorTool")
METADATA_DATE = Property("XMP-xmp:MetadataDate", "http://ns.adobe.com/xap/1.0/ MetadataDate")
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
SOURCE_TYPE = Property("XMP-iptcExt:DigitalSourceType", f"{_IPTC} DigitalSourceType")
AI_SYSTEM = Property("XMP-iptcExt:AISystemUsed", f"{_IPTC} AISystemUsed")
AI_VERSION = Property("XMP-iptcExt:AISystemVersionUsed", f"{_IPTC} AISystemVersionUsed")
AI_PROMPT = Property("XMP-iptcExt:AIPromptInformation", f"{_IPTC} AIPromptInformation")

WRITTEN = _own("Written", is_list=True)
"""What we wrote into properties that others use, too: `name=hash` (`merging`)."""
OWN_TAGS = _own("Tags", is_list=True)
LORAS = _own("Loras", is_list=True)
SOURCE_SHA256 = _own("SourceSha256")

_ONE_VALUE: tuple[tuple[str, Property], ...] = (
    ("generator", _own("Generator")),
    ("prompt", _own("Prompt")),
    ("negative_prompt", _own("NegativePrompt")),
    ("seed", _own("Seed")),
    ("steps", _own("Steps")),
    ("cfg", _own("CfgScale")),
    ("sampler", _own("Sampler")),
    ("scheduler", _own("Scheduler")),
    ("model", _own("Model")),
    ("model_hash", _own("ModelHash")),
    ("width", _own("Width")),
    ("height", _own("Height")),
)
"""Fields of a generation, and the properties of ours that hold them, all as text."""

TAG_LISTS = (SUBJECT, TAGS_LIST, HIERARCHICAL)

PROPERTIES = (
    *(DESCRIPTION, *TAG_LISTS, CREATE_DATE, ORIGINAL_DATE, DATE_CREATED, CREATOR_TOOL, METADATA_DATE, SOURCE_TYPE),
    *(AI_SYSTEM, AI_VERSION, AI_PROMPT, WRITTEN, OWN_TAGS, LORAS, SOURCE_SHA256),
    *(one for _, one in _ONE_VALUE),
)
"""All that we ever write."""

Values = Mapping[Property, Sequence[str]]

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """Text as XML 1.0 (2.2) can hold it: what it forbids becomes U+FFFD, and every line end LF.

    So they are read in any case (2.11): exiftool 12.57 writes a carriage return as it is, and not as a reference.
    """
    return _ILLEGAL.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def wanted(info: MediaInfo, facts: SidecarFacts) -> Values:
    """What the sidecar is to say; nothing of a file whose generation is not known."""
    made = info.generation
    if made is None:
        return {}
    words = [one for one in dict.fromkeys(clean(tag).strip() for tag in tags(made)) if one]
    flat = [tag for tag in words if is_flat(tag)]
    date = _date(facts.made_ns)
    texts: dict[Property, Sequence[str]] = {
        DESCRIPTION: _text(made.prompt or "\n".join(made.prompts)),
        SUBJECT: words,
        TAGS_LIST: flat,
        HIERARCHICAL: flat,
        **dict.fromkeys((CREATE_DATE, ORIGINAL_DATE, DATE_CREATED), date),
        CREATOR_TOOL: _text(" ".join(part for part in (made.generator, made.version) if part)),
        SOURCE_TYPE: [COMPOSITE if _began_with_a_picture(made) else TRAINED],
        AI_SYSTEM: _text(f"{made.generator}, {made.model}" if made.model else made.generator),
        AI_VERSION: _text(made.version),
        AI_PROMPT: _text(_prompts(made)),
        OWN_TAGS: words,
        LORAS: [clean(one.name if one.weight is None else f"{one.name}:{one.weight:g}") for one in made.loras],
        SOURCE_SHA256: [facts.sha256.hex()],
    }
    texts |= {prop: _text(_told(getattr(made, name))) for name, prop in _ONE_VALUE}
    told = {prop: [value for value in values if value.strip()] for prop, values in texts.items()}  # exiftool drops blank ones
    return {prop: values for prop, values in told.items() if values}


def is_flat(tag: str) -> bool:
    """Whether it can stand in lists of hierarchies: to digiKam and Lightroom `/` and `|` are levels of a tree."""
    return "/" not in tag and "|" not in tag


def _text(text: str | None) -> list[str]:
    """One value, or none where there is nothing to say: an empty property is none to XMP's readers."""
    cleaned = clean(text) if text else ""
    return [cleaned] if cleaned.strip() else []


def _told(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return f"{value:g}" if isinstance(value, float) else str(value)


def _prompts(made: Generation) -> str:
    negative = f"\nNegative prompt: {made.negative_prompt}" if made.negative_prompt else ""
    return f"{made.prompt or ''}{negative}".strip()


def _began_with_a_picture(made: Generation) -> bool:
    hires = any("hires" in name.lower() for name, _ in made.settings)
    return made.denoise is not None and made.denoise < 1 and not hires and len(made.samplings) < 2


def _date(at_ns: int) -> list[str]:
    """To the second, in UTC, as XMP and exiftool write it; none where the box's clock says what no calendar has."""
    try:
        at = datetime.fromtimestamp(at_ns // 10**9, UTC)
    except (OverflowError, ValueError, OSError):
        return []
    return [f"{at:%Y:%m:%d %H:%M:%S}+00:00"] if 1 <= at.year <= 9999 and at_ns > 0 else []


def as_in_xml(prop: Property, value: str) -> str:
    """What a value that we gave to exiftool looks like in the packet: dates are written otherwise there."""
    if prop in (CREATE_DATE, ORIGINAL_DATE, DATE_CREATED, METADATA_DATE):
        day, _, time = value.partition(" ")
        return f"{day.replace(':', '-')}T{time}"
    return value
