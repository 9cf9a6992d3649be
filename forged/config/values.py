"""The value types of the schema: text as the owner writes it becomes a number, an enum or a path, or a mistake in our words."""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from forged.config.address import parse_source
from forged.config.cron import parse_cron
from forged.config.mistakes import told
from forged.config.surroundings import Surroundings
from forged.config.timetable import parse_bandwidth
from forged.kit.units import parse_duration, parse_size
from forged.model.errors import BadPath
from forged.model.paths import source_path
from forged.model.settings import ListenAddress
from forged.model.target import Bandwidth, SourceAddress
from forged.rules.placement import check_layout
from forged.rules.selection import check_patterns, folder_path

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")  # 32 bytes in base64 without padding, as ssh-keygen -l prints it
_DSN = re.compile(r"postgres(ql)?://\S+")
_HANDLER = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*|[\w-]+")


class WatchMode(enum.Enum):
    """How `watch` is written."""

    AUTO = "auto"
    OFF = "off"


def _written(**schema: object) -> object:
    """A text of the file as JSON Schema describes it (config/json_schema)."""
    return Annotated[str, WithJsonSchema({"type": "string", **schema})]


_A_TEXT = _written()
_A_DURATION = _written(pattern=r"^\s*([0-9.]+(ms|[dhms]))+\s*$")
_A_SIZE = _written(pattern=r"^\s*[0-9.]+ ?([kKMGT]?B|[KMGT]iB)\s*$")
_A_SIZE_OR_OFF = _written(pattern=r"^(off|\s*[0-9.]+ ?([kKMGT]?B|[KMGT]iB)\s*)$")
_A_BANDWIDTH = _written(pattern=r"^\s*off\s*$|/\s*s\s*$|,")
_A_MODE = _written(pattern="^0?[0-7]{3}$")
_A_NAME = _written(pattern="^[A-Za-z0-9._][A-Za-z0-9._-]{0,63}$")
"""What an editor can tell at once. Looser than what is read: these know the shape of a value, not its bounds."""


def _from_text(read: Callable[[str], object], example: str, written: object = _A_TEXT) -> BeforeValidator:
    """A value that is written as text; None stays None, which is how an absent key reads."""

    def validate(value: object) -> object:
        if value is None:
            return None
        if not isinstance(value, str):
            raise ValueError(f"a text in quotes is needed, such as {example}")
        return read(value)

    return BeforeValidator(validate, json_schema_input_type=written)


def choice(kind: type[enum.Enum]) -> BeforeValidator:
    """One of the words of an enum."""
    return _from_text(_member(kind), " or ".join(f'"{member.value}"' for member in list(kind)[:2]), _words(kind))


def choices(kind: type[enum.Enum]) -> BeforeValidator:
    """A list of words of an enum."""
    return _list_of(_member(kind), f'["{next(iter(kind)).value}"]', _words(kind))


def _words(kind: type[enum.Enum]) -> object:
    return _written(enum=[str(member.value) for member in kind])


def _member(kind: type[enum.Enum]) -> Callable[[str], enum.Enum]:
    words = [str(member.value) for member in kind]

    def read(text: str) -> enum.Enum:
        if text in words:
            return kind(text)
        close = get_close_matches(text.lower(), words, 1)
        raise ValueError(f"did you mean {close[0]!r}?" if close else f"one of these is needed: {', '.join(words)}")

    return read


def between(low: str, high: str) -> BeforeValidator:
    """A duration with bounds, both in the owner's notation."""

    def read(text: str) -> float:
        duration_s = parse_duration(text)
        if not parse_duration(low) <= duration_s <= parse_duration(high):
            raise ValueError(f"from {low} to {high} is possible")
        return duration_s

    return _from_text(read, '"30s"', _A_DURATION)


def _size_or_off(text: str) -> int | None:
    return None if text == "off" else parse_size(text)


def _in_flight(text: str) -> int:
    """Below this, one range of one file would not fit and nothing would ever move."""
    size_bytes = parse_size(text)
    if size_bytes < 4_000_000:
        raise ValueError("at least 4MB is needed, so that one range of one file fits")
    return size_bytes


def _mode(text: str) -> int:
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError('three octal digits are needed, such as "0644"')
    return int(text, 8)


def _file_mode(text: str) -> int:
    mode = _mode(text)
    if mode & 0o400 == 0:
        raise ValueError("forged could not read its own files: the owner needs at least 0400")
    return mode


def _dir_mode(text: str) -> int:
    mode = _mode(text)
    if mode & 0o700 != 0o700:
        raise ValueError("forged could not work in its own folders: the owner needs 0700")
    return mode


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or set(text) <= {"."} or text.startswith("-"):
        raise ValueError("1 to 64 letters, digits, dots, dashes or underscores are needed: the name becomes a folder and a label")
    return text


def _filled(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty; remove the key, or fill it")
    return text


def _listen(text: str) -> ListenAddress | None:
    if text == "":
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65_535:
        raise ValueError('an address and a port are needed, such as "127.0.0.1:9750", or "" for off')
    return ListenAddress(host.strip("[]"), int(port))


def _host_key(text: str) -> str:
    if text not in ("pin", "known_hosts") and not _FINGERPRINT.fullmatch(text):
        raise ValueError('"pin", "known_hosts" or "SHA256:" with 43 characters is needed (ssh-keygen -l -f prints it)')
    return text


def _layout(text: str) -> str:
    if wrong := check_layout(text):
        raise ValueError(f"it {wrong}")
    if not text.isprintable():
        raise ValueError("it has a control character: remove it")
    return text


def _folder(text: str) -> str:
    """In normal form: relative, without `/` at the ends."""
    folder = folder_path(text)
    try:
        return source_path(folder).decode()
    except BadPath:
        raise ValueError(f"{text!r} is no folder below the source: write it relative, without ..") from None


def _pattern(text: str) -> str:
    if wrong := check_patterns([text]):
        raise ValueError(wrong)
    return text


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+\S*", text):
        raise ValueError("a web address is needed: https://host/path")
    return text


def _dsn(text: str) -> str:
    if not _DSN.fullmatch(text):
        raise ValueError("a database address is needed: postgresql://user@host/database")
    return text


def _state_url(text: str) -> str:
    if text != "sqlite" and not _DSN.fullmatch(text):
        raise ValueError('"sqlite" or a database address is needed: postgresql://user@host/database')
    return text


def _handler(text: str) -> str:
    if not _HANDLER.fullmatch(text):
        raise ValueError('a module and a class are needed: "package.module:Class"; or the name of an entry point')
    return text


def _box_path(text: str) -> SourceAddress:
    if not text.startswith("/"):
        raise ValueError("only a path is needed here, such as /workspace/ComfyUI/output: the address comes from the discovery")
    return parse_source(text)


def _list_of(read: Callable[[str], object], example: str, written: object = _A_TEXT, *, filled: bool = False) -> BeforeValidator:
    """A list of texts, each read by `read`."""

    def validate(value: object) -> tuple[object, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"a list of texts is needed, such as {example}")
        if filled and not value:
            raise ValueError(f"it is empty; write at least one, such as {example}")
        return tuple(map(read, value))

    items = list[written]  # type: ignore[valid-type]  # made while it runs
    return BeforeValidator(validate, json_schema_input_type=Annotated[items, Field(min_length=1)] if filled else items)


def _path(value: object, info: ValidationInfo) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError('a path in quotes is needed, such as "~/media"')
    around = info.context
    assert isinstance(around, Surroundings)  # `config.read` validates with nothing else
    return around.expanded(value)


def _existing_file(value: object, info: ValidationInfo) -> Path | None:
    path = _path(value, info)
    if path is not None and not (os.path.isfile(path) and os.access(path, os.R_OK)):
        raise ValueError(f"there is no file at {told(path)}, or this user may not read it")
    return path


@dataclass(frozen=True, slots=True)
class Secret:
    """Marks a key whose value must not be shown."""


SECRET = Secret()

Name = Annotated[str, _from_text(_name, '"studio"', _A_NAME)]
Text = Annotated[str | None, _from_text(_filled, '"text"')]
Size = Annotated[int, _from_text(parse_size, '"50MB"', _A_SIZE)]
InFlight = Annotated[int, _from_text(_in_flight, '"64MB"', _A_SIZE)]
SizeOrOff = Annotated[int | None, _from_text(_size_or_off, '"2GB" or "off"', _A_SIZE_OR_OFF)]
BandwidthText = Annotated[Bandwidth, _from_text(parse_bandwidth, '"20MB/s" or "off"', _A_BANDWIDTH)]
FileMode = Annotated[int, _from_text(_file_mode, '"0644"', _A_MODE)]
DirMode = Annotated[int, _from_text(_dir_mode, '"0755"', _A_MODE)]
SocketMode = Annotated[int, _from_text(_mode, '"0660"', _A_MODE)]
Listen = Annotated[ListenAddress | None, _from_text(_listen, '"127.0.0.1:9750"')]
HostKey = Annotated[str, _from_text(_host_key, '"pin"')]
Layout = Annotated[str, _from_text(_layout, '"{folder}/{path}"')]
Cron = Annotated[str | None, _from_text(parse_cron, '"30 4 * * *"')]
SourceText = Annotated[SourceAddress, _from_text(parse_source, '"ssh://root@host:22/path"')]
BoxPath = Annotated[SourceAddress | None, _from_text(_box_path, '"/workspace/ComfyUI/output"')]
Folders = Annotated[tuple[str, ...], _list_of(_folder, '["txt2img-images"]')]
Patterns = Annotated[tuple[str, ...], _list_of(_pattern, '["*.png"]')]
Names = Annotated[tuple[str, ...], _list_of(_name, '["studio"]', _A_NAME)]
Argv = Annotated[tuple[str, ...], _list_of(str, '["/usr/local/bin/program", "--flag"]', filled=True)]
PathText = Annotated[Path | None, BeforeValidator(_path, json_schema_input_type=_A_TEXT)]
KeyFile = Annotated[Path | None, BeforeValidator(_existing_file, json_schema_input_type=_A_TEXT)]
Url = Annotated[str | None, _from_text(_url, '"https://host/path"'), SECRET]
Dsn = Annotated[str | None, _from_text(_dsn, '"postgresql://user@host/database"'), SECRET]
StateUrl = Annotated[str, _from_text(_state_url, '"sqlite"'), SECRET]
PythonClass = Annotated[str, _from_text(_handler, '"package.module:Class"')]
Count = Annotated[int, Field(ge=1, le=100_000)]
