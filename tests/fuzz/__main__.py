"""`python -m tests.fuzz NAME FOLDER SECONDS`: one target under atheris, guided by the branches that inputs reach in forged.

FOLDER keeps the corpus from run to run, and the inputs that broke a promise (`crash-…`); `python -m tests.fuzz NAME FILE` runs one
of those again. Further arguments are libFuzzer's own.
"""

from __future__ import annotations

import random
import sys
from hashlib import sha256
from pathlib import Path

import atheris

from tests.fuzz.target import MOST_BYTES, Target, made

SLOWEST_S = 25
"""One input that takes longer hangs."""

MOST_MEMORY_MB = 700
"""Of the whole process; it begins with about 150."""


def main(name: str, place: Path, *rest: str) -> None:
    with atheris.instrument_imports(include=["forged"]):
        target = made(name)
    if place.is_file():
        target.check(place.read_bytes())
        return
    seconds, *more = rest
    corpus = place / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    words = place / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words() if word))
    bounds = [f"-max_len={MOST_BYTES}", f"-timeout={SLOWEST_S}", f"-rss_limit_mb={MOST_MEMORY_MB}", f"-max_total_time={seconds}"]
    told = ["-print_final_stats=1", f"-artifact_prefix={place}/", f"-dict={words}"]
    atheris.Setup([sys.argv[0], str(corpus), *bounds, *told, *more], target.check, custom_mutator=_mutator(target))
    atheris.Fuzz()


def _mutator(target: Target):  # type: ignore[no-untyped-def]
    """Half of the time the fuzzer's own way with the whole input, half of the time the target's, in which it pokes at a part."""

    def mutated(data: bytes, most_bytes: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.randrange(2):
            return atheris.Mutate(data, most_bytes)
        return target.mutated(bytes(data), chance, lambda part: bytes(atheris.Mutate(part, len(part) + 256)))[:most_bytes]

    return mutated


def _escaped(word: bytes) -> str:
    """As libFuzzer's dictionaries have it; they take no longer words."""
    return "".join(f"\\x{byte:02x}" for byte in word[:60])


main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
