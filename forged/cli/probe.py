"""`forged probe URL`: what a source is like, and the `[[target]]` to paste."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

from forged.cli.places import user_home
from forged.cli.running import run
from forged.cli.telling import Line, Tone, columns, line
from forged.config.address import parse_source
from forged.config.presets import preset
from forged.daemon.probe import Findings, Found, Probe
from forged.kit.units import human_duration, human_size
from forged.model.errors import ConfigError
from forged.model.paths import shown
from forged.model.target import SourceKind, SshOptions, TargetType
from forged.sources.base import Capabilities

SKEW_WORTH_A_WORD_S = 2.0
"""Less may be the network; more is worth knowing, though forged measures ages by the box's own clock."""


def probe(url: str, identity_file: Path | None) -> Findings:
    """Looks at the box. Raises SourceError, ConfigError."""
    try:
        address = parse_source(url)
    except ValueError as e:
        raise ConfigError((f"the URL: {e}",)) from e  # the URL itself is not repeated: it may hold a password
    return run(Probe(address, SshOptions(identity_file=identity_file), user_home()).look())


def report(findings: Findings) -> list[Line]:
    """The host key first: it is the one thing that a person has to check."""
    lines = [line(f"{findings.address}", Tone.TITLE), *key(findings), line(f"  transport  {findings.capabilities.transport}")]
    lines += [line(f"             {text}", Tone.WARN) for text in lacking(findings.capabilities)]
    lines.append(line(f"  clock      {clock(findings.clock_skew_s)}"))
    if not findings.folders:
        return [*lines, *left_out(findings), *nothing(findings)]
    found = columns([row(one) for one in findings.folders], right=frozenset({1, 2}))
    lines += [line(f"  {'' if i else 'found':<9}  {text}") for i, text in enumerate(found)]
    lines += left_out(findings)
    return [*lines, line(""), line("Put this into your forged.toml:", Tone.TITLE), line(""), *block(findings)]


def key(findings: Findings) -> list[Line]:
    """Nothing for what has no host key: a container, a local folder."""
    if findings.fingerprint is None:
        return []
    compare = "compare with the box: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
    return [line(f"  host key   {findings.fingerprint}"), line(f"             {compare}", Tone.QUIET)]


def lacking(can: Capabilities) -> list[str]:
    """What this source cannot do, and what follows from that."""
    words = []
    if not can.watching:
        words.append("it cannot tell of new files: forged looks for them every `poll`")
    if not can.hashing:
        words.append("it cannot hash: what arrives is checked at home alone")
    if not can.guarded_removal:
        how = "only with unguarded = true" if can.unguarded_removal else "not possible"
        words.append(f"it cannot remove a file under guard: cleanup is {how}")
    return words


def row(found: Found) -> tuple[str, ...]:
    free = "" if found.free_bytes is None else f"{human_size(found.free_bytes)} free"
    return shown(os.fsencode(found.path)), count(found), human_size(found.size_bytes), free


def left_out(findings: Findings) -> list[Line]:
    """Folders that no block is for, with the reason."""
    return [line(f"  left out   {problem}", Tone.QUIET) for problem in findings.left_out]


def clock(skew_s: float | None) -> str:
    if skew_s is None:
        return "not told, as in a chroot (harmless: forged reckons with one that is some minutes off)"
    if abs(skew_s) < SKEW_WORTH_A_WORD_S:
        return "agrees with ours"
    return f"{human_duration(abs(skew_s))} {'ahead of' if skew_s > 0 else 'behind'} ours (harmless: ages are measured by its own)"


def room(one: Found) -> str:
    """How much its disk has left, where the box tells."""
    return "" if one.free_bytes is None else f"{human_size(one.free_bytes)} free"


def count(found: Found) -> str:
    return f"{'more than ' if found.cut else ''}{found.files:,} file{'' if found.files == 1 else 's'}"


def nothing(findings: Findings) -> list[Line]:
    """Where was looked, and what to do."""
    where = shown(os.fsencode(findings.address.path)) or f"{len(findings.looked_at)} usual places"
    return [
        line(f"  found      no output folder in {where}", Tone.WARN),
        line(f"  → name it: forged probe {host(findings)}/path/of/the/outputs"),
    ]


def block(findings: Findings) -> list[Line]:
    """The targets as TOML."""
    names = unique([name_of(one) for one in findings.folders])
    return [line(text) for one, name in zip(findings.folders, names, strict=True) for text in target(findings, one, name)]


def target(findings: Findings, found: Found, name: str) -> list[str]:
    """One `[[target]]`. The path is left out where the type knows it."""
    address = findings.address
    known = found.path == preset(found.type).path and address.kind is not SourceKind.LOCAL
    lines = [
        "[[target]]",
        f'name = "{name}"',
        f'type = "{found.type.value}"',
        f"source = {toml(str(replace(address, path='' if known else found.path)))}",
        f'dest = "~/media/{name}"',
    ]
    lines += [f"{key} = [{', '.join(map(toml, values))}]" for key, values in patterns(found).items() if values]
    if address.kind in (SourceKind.SSH, SourceKind.SFTP):
        lines += login(findings)
    return [*lines, ""]


def patterns(found: Found) -> dict[str, tuple[str, ...]]:
    """What of the path is wanted, where the type does not say so."""
    return {"folders": found.folders, "include": found.include}


def login(findings: Findings) -> list[str]:
    """How to log in, and the key that was shown."""
    lines = []
    if findings.ssh.identity_file is not None:
        lines.append(f"identity_file = {toml(str(findings.ssh.identity_file.absolute()).replace('$', '$$'))}")
    if findings.fingerprint is not None:
        lines.append(f"host_key = {toml(findings.fingerprint)}")
    return lines


def host(findings: Findings) -> str:
    """The address without a path."""
    return str(replace(findings.address, path="")) or "this machine"


def toml(text: str) -> str:
    """A basic string (TOML 1.0): JSON's escapes are among its own."""
    return json.dumps(shown(text.encode("utf-8", "surrogateescape")), ensure_ascii=False)


def name_of(found: Found) -> str:
    """The type; for a program without one, the name of its folder: `/workspace/kohya_ss/outputs` is `kohya_ss`."""
    kind: str = found.type.value
    if found.type is TargetType.GENERIC:
        folder = Path(found.path).parent.name or Path(found.path).name
        return re.sub(r"[^A-Za-z0-9._-]+", "-", folder)[:64].strip("-.") or "box"
    return kind


def unique(names: list[str]) -> list[str]:
    """`forge`, `forge-2`, ..."""
    counted: dict[str, int] = {}
    result = []
    for name in names:
        counted[name] = counted.get(name, 0) + 1
        result.append(name if counted[name] == 1 else f"{name}-{counted[name]}")
    return result
