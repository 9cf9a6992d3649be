"""A `Generation` in the making: each field once, with the place it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import structs

from forged.media.generation import values
from forged.model.media import Generation, Lora

READERS: Mapping[str, Callable[[object], object]] = {
    "version": values.word,
    "prompt": values.text,
    "negative_prompt": values.text,
    "seed": values.seed,
    "steps": values.count,
    "cfg": values.real,
    "sampler": values.word,
    "scheduler": values.word,
    "model": values.word,
    "model_hash": values.word,
    "width": values.count,
    "height": values.count,
    "denoise": values.real,
    "clip_skip": values.count,
    "vae": values.word,
}
"""How the value of each field is read."""

MOST_SETTINGS = 500
"""Real texts name some dozens."""

NOT_SAID = frozenset({"unknown", "none", "null", "n/a", "undefined"})
"""What savers write that do not know (comfy-image-saver: prompt "unknown", model "None")."""


@dataclass
class Draft:
    """Made with the generator's name and the place that most of it comes from."""

    generator: str
    place: str
    fields: dict[str, object] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    loras: list[Lora] = field(default_factory=list)
    settings: list[tuple[str, str]] = field(default_factory=list)

    def put(self, name: str, value: object, place: str = "") -> None:
        """Fills a field, if it has none yet and the value can be one."""
        read = READERS[name](value) if name not in self.fields else None
        if read is not None:
            self.fields[name] = read
            self.origins[name] = place or self.place

    def size(self, value: object, place: str = "") -> None:
        """Fills width and height."""
        found = values.size(value)
        if found is not None:
            self.put("width", found[0], place)
            self.put("height", found[1], place)

    def take(self, data: Mapping[str, object], keys: Mapping[str, str]) -> None:
        """Fills fields from an object: `keys` says what it calls them, as `field="its key"`."""
        for name, key in keys.items():
            self.put(name, data.get(key))

    def lora(self, name: object, weight: object = None, hash: object = None) -> None:
        """One more, unless it has no name."""
        known = values.word(name)
        if known is not None and len(self.loras) < MOST_SETTINGS:
            self.loras.append(Lora(known, values.real(weight), values.word(hash)))
            self.origins.setdefault("loras", self.place)

    def rest(self, data: Iterable[tuple[str, object]], taken: Iterable[str] = ()) -> None:
        """Everything else that it names goes to the settings, in its order."""
        known = frozenset(taken)
        for name, value in data:
            told = values.shown(value) if name not in known else None
            if told is not None and len(self.settings) < MOST_SETTINGS:
                self.settings.append((name, told))

    def done(self, workflow: str | None = None) -> Generation:
        """What was found. `workflow`: the place of one."""
        made = msgspec.convert({"generator": self.generator, **self.fields}, Generation)
        return structs.replace(
            made, loras=tuple(self.loras), settings=tuple(self.settings), origins=dict(self.origins), workflow=workflow
        )


def completed(made: Generation, by: Generation) -> Generation:
    """`made`, and what it does not say from `by`, another block's reading of the same file."""
    missing = {
        name: getattr(by, name)
        for name in (*READERS, "loras", "samplings", "prompts", "settings", "graph", "workflow")
        if getattr(made, name) in (None, ()) and getattr(by, name) not in (None, ()) and not _is_unsaid(getattr(by, name))
    }
    origins = {**{name: by.origins[name] for name in missing if name in by.origins}, **made.origins}
    return structs.replace(made, origins=origins, **missing)


def _is_unsaid(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() in NOT_SAID
