"""A catalog as large as one likes, as the handler makes it from events, but without waiting for the disk."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from itertools import accumulate
from pathlib import Path

from forged.ingest.catalog import file
from forged.ingest.catalog.tables import Tables
from forged.model.events import Event, EventId, EventKind
from forged.model.ingest import FileBody
from forged.model.media import Generation, Lora, MediaInfo, MediaKind

VOCABULARY = 30_000
"""Different words; how often each is used falls with its rank, as in any language (Zipf)."""

WORDS = 35
"""Of a prompt, beside those that everybody writes."""

USUAL = "masterpiece, best quality, highly detailed, "
"""In 80 of 100 prompts."""

MODELS = ("sd_xl_base_1.0", "flux1-dev", "v1-5-pruned", "ponyDiffusionV6XL", "juggernautXL_v9")

BEGAN_NS, APART_NS = 1_700_000_000_000_000_000, 20_000_000_000

BATCH = 20_000


def bodies(files: int, seed: int = 7) -> Iterator[FileBody]:
    """A file every 20 s."""
    rng = random.Random(seed)
    vocabulary = ["".join(rng.choice(letters) for letters in ("bdfgklmnprstv", "aeiou") * 3) for _ in range(VOCABULARY)]
    often = list(accumulate(1 / (rank + 10) for rank in range(VOCABULARY)))
    for number in range(files):
        words = rng.choices(vocabulary, cum_weights=often, k=WORDS)
        prompt = (USUAL if rng.random() < 0.8 else "") + " ".join(words)
        yield _body(number, prompt, rng)


def _body(number: int, prompt: str, rng: random.Random) -> FileBody:
    made = Generation(
        *("ComfyUI", "0.3", prompt, "blurry, watermark", str(rng.getrandbits(64))),
        model=rng.choice(MODELS) + ".safetensors",
        loras=(Lora("detail", 0.6),),
    )
    media = MediaInfo(MediaKind.VIDEO if number % 50 == 0 else MediaKind.IMAGE, "png", 1024, 1024, generation=made)
    name, at_ns = f"output/{number:07}.png", BEGAN_NS + number * APART_NS
    return FileBody(name, f"/srv/media/studio/{name}", 1_500_000, rng.randbytes(32).hex(), at_ns, at_ns, "studio", media=media)


def build(path: Path, files: int) -> None:
    """Not durable: for measuring only."""
    with closing(file.opened(path, 1.0)) as connection:
        connection.execute("pragma synchronous = off")
        tables, waiting = Tables(connection), bodies(files)
        for first in range(0, files, BATCH):
            with file.transaction(connection):
                for number in range(first, min(first + BATCH, files)):
                    body = next(waiting)
                    target = "studio" if number % 100 else "rare"
                    tables.take(Event(EventId(number), EventKind.FILE_SYNCED, target, body.landed_at_ns, body.home, ""), body)
