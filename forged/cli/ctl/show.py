"""`forgectl show PATH`: all that is known of one file, prompt first."""

from __future__ import annotations

import base64
import os
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from forged.cli.ctl import completing
from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.words import clock, counted
from forged.cli.telling import Line, Tone, line
from forged.kit.units import human_duration, human_size
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc

LABEL_CHARS = 10
WIDEST_CHARS, NARROWEST_CHARS = 110, 40
"""A prompt is read as a text is: longer lines lose the eye."""


@click.command()
@click.argument("path", shell_complete=completing.files)
@click.option(
    "--target",
    metavar="TARGET",
    shell_complete=completing.targets,
    help="Where PATH is one at the source, or relative to its destination: whose.",
)
@click.option("--raw", is_flag=True, help="The texts of the file as they are, too.")
@command
def show(asking: Asking, path: str, target: str | None, raw: bool) -> int:
    """Show all that is known of a file: its prompt first.

    PATH is where it lies at home; or its name below the destination or at the source.
    """
    answer: rpc.MediaShown = asking.call("media.show", target=target, raw=raw or None, **named(path))
    asking.show(answer, told(answer, width()))
    return Exit.WELL


def named(path: str) -> dict[str, str]:
    """The parameter for a path: one that lies here is made absolute, so that the daemon understands it, too."""
    whole = os.path.abspath(path) if os.path.lexists(path) else path
    if whole.isprintable():
        return {"path": whole}
    return {"path_b64": base64.b64encode(os.fsencode(whole)).decode("ascii")}


def width() -> int:
    """How wide a text may be: of the terminal, within reason."""
    return max(min(shutil.get_terminal_size().columns, WIDEST_CHARS), NARROWEST_CHARS)


def told(answer: rpc.MediaShown, width: int) -> list[Line]:
    """The whole screen."""
    media = answer["media"]
    lines = [*made(media["generation"], width)] if media is not None and media["generation"] is not None else []
    lines += [*inside(answer), *about(answer)]
    if media is not None:
        lines += [*raw_texts(media["raw"], width)]
        lines += [line(f"✘ {problem}", Tone.WARN) for problem in media["problems"]]
    return lines


def made(generation: rpc.Generation, width: int) -> Iterator[Line]:
    """How it was made."""
    yield from prompts(generation, width)
    if generation["negative_prompt"]:
        yield from labelled("not", generation["negative_prompt"], width, Tone.QUIET)
    yield line("")
    yield from rows((("seed", seeding(generation)), ("model", modelled(generation)), ("loras", loras(generation))), width)
    for number, one in enumerate(generation["samplings"][1:], 2):
        yield from rows(((f"pass {number}", sampled(one)),), width)
    size = f", asked for {generation['width']} x {generation['height']}" if generation["width"] and generation["height"] else ""
    version = f" {generation['version']}" if generation["version"] else ""
    graph = ", with its workflow" if generation["workflow"] else ""
    yield from rows((("made by", f"{generation['generator']}{version}{size}{graph}"),), width)
    others = "   ".join(f"{one['name']}: {one['value']}" for one in generation["settings"])
    yield from rows((("also", others),), width, Tone.QUIET)


def prompts(generation: rpc.Generation, width: int) -> Iterator[Line]:
    """The prompt, or all of the texts that were combined, or that there is none."""
    prompt = generation["prompt"]
    if prompt:
        yield from paragraphs(prompt, width, "", Tone.TITLE)
    elif generation["prompts"]:
        for text in generation["prompts"]:
            yield from paragraphs(text, width, "", Tone.TITLE, first="+ ")
    else:
        yield line("an empty prompt" if prompt == "" else "its prompt is not in the file", Tone.QUIET)


def seeding(generation: rpc.Generation) -> str:
    """`280823642470253   20 steps   cfg 8   dpmpp_2m, normal   denoise 0.5   clip skip 2`."""
    parts = [
        generation["seed"],
        counted(generation["steps"], "step") if generation["steps"] is not None else None,
        f"cfg {number(generation['cfg'])}" if generation["cfg"] is not None else None,
        ", ".join(dict.fromkeys(word for word in (generation["sampler"], generation["scheduler"]) if word)),
        f"denoise {number(generation['denoise'])}" if generation["denoise"] not in (None, 1.0) else None,
        f"clip skip {generation['clip_skip']}" if generation["clip_skip"] is not None else None,
    ]
    return "   ".join(part for part in parts if part)


def sampled(one: rpc.Sampling) -> str:
    """A further pass, likewise."""
    parts = [
        one["seed"],
        counted(one["steps"], "step") if one["steps"] is not None else None,
        f"cfg {number(one['cfg'])}" if one["cfg"] is not None else None,
        ", ".join(word for word in (one["sampler"], one["scheduler"]) if word),
        f"denoise {number(one['denoise'])}" if one["denoise"] is not None else None,
        one["model"],
    ]
    return "   ".join(part for part in parts if part)


def modelled(generation: rpc.Generation) -> str:
    hashed = f" ({generation['model_hash']})" if generation["model_hash"] else ""
    vae = f"   vae {generation['vae']}" if generation["vae"] else ""
    return f"{generation['model'] or ''}{hashed}{vae}".strip()


def loras(generation: rpc.Generation) -> str:
    return ", ".join(f"{one['name']}{weighed(one['weight'])}" for one in generation["loras"])


def weighed(weight: float | None) -> str:
    return "" if weight is None else f" {number(weight)}"


def number(value: float) -> str:
    """As people write it: `8`, `4.01`."""
    return f"{value:g}"


def inside(answer: rpc.MediaShown) -> Iterator[Line]:
    """What kind of file it is."""
    media = answer["media"]
    if media is None:
        waits = "it waits to be looked into" if answer["waiting"] else "nobody has looked into it"
        yield from rows((("inside", waits),), WIDEST_CHARS, Tone.QUIET)
        return
    size = f"{media['width']} x {media['height']}" if media["width"] and media["height"] else ""
    lasts = human_duration(media["duration_s"]) if media["duration_s"] else ""
    rate = f"{number(round(media['fps'], 3))} pictures a second" if media["fps"] else ""
    frames = counted(media["frames"], "picture") if media["frames"] and media["frames"] > 1 else ""
    yield from rows(
        ((media["kind"], ", ".join(part for part in (media["format"], size, lasts, rate, frames) if part)),), WIDEST_CHARS
    )


def about(answer: rpc.MediaShown) -> Iterator[Line]:
    """Where it is, and what lies beside it."""
    file = answer["file"]
    incomplete = ", cut short as it is at the source" if file["incomplete"] else ""
    gone = f", deleted at home {clock(file['tombstone_at'])}" if file["tombstone_at"] else ""
    yield from rows(
        (
            ("home", answer["home"]),
            (
                "",
                f"{human_size(file['size'])}, made {clock(file['mtime'])}, home since {clock(file['landed_at'])}{incomplete}{gone}",
            ),
            ("source", f"{answer['target']}: {file['path']} ({SOURCE[file['state']]})"),
            ("sha256", file["sha256"]),
            ("sidecar", answer["sidecar"] or ""),
            ("preview", answer["thumbnail"] or ""),
            *(("equal to", copy["home"]) for copy in answer["copies"]),
            *(("looks as", f"{copy['home']} ({copy['bits']} of 64 bits differ)") for copy in answer["alike"]),
        ),
        WIDEST_CHARS * 100,
    )


SOURCE = {"present": "still there", "gone": "gone by itself", "removed": "removed by cleanup"}


def raw_texts(blocks: Sequence[rpc.RawBlock], width: int) -> Iterator[Line]:
    """The texts of the file: where each stands, and itself where it was asked for."""
    for block in blocks:
        if "text" in block:
            yield from (line(""), line(f"{block['place']} ({counted(block['chars'], 'character')})", Tone.TITLE))
            yield from paragraphs(block["text"], width, "  ", Tone.PLAIN)
    if blocks and "text" not in blocks[0]:
        places = ", ".join(f"{block['place']} ({block['chars']:,})" for block in blocks)
        yield from rows((("texts", f"{places}; --raw shows them"),), width, Tone.QUIET)


def rows(pairs: Sequence[tuple[str, str]], width: int, tone: Tone = Tone.PLAIN) -> Iterator[Line]:
    """Labels and texts; one without a text is left out."""
    for label, text in pairs:
        if text:
            yield from labelled(label, text, width, tone)


def labelled(label: str, text: str, width: int, tone: Tone = Tone.PLAIN) -> Iterator[Line]:
    """A text beside its label, and below itself where it is long."""
    return paragraphs(text, width, " " * LABEL_CHARS, tone, first=label.ljust(LABEL_CHARS))


def paragraphs(text: str, width: int, indent: str, tone: Tone, *, first: str = "") -> Iterator[Line]:
    """A text with its own line ends, broken where a line is too long for the screen. No character of it commands a terminal."""
    lead = first
    for paragraph in text.replace("\r\n", "\n").split("\n"):
        pieces = textwrap.wrap(line(paragraph).text, max(width - len(indent or lead), 20), break_on_hyphens=False) or [""]
        for piece in pieces:
            yield line(f"{lead}{piece}".rstrip(), tone)
            lead = indent or " " * len(first)
