"""The document of `forged probe --json`: the same findings, for programs (keys are only ever added).

    success (a folder was found), source, transport, can: {hashing, watching, guarded_removal, unguarded_removal},
    fingerprint and clock_ahead_s (null where there is none),
    found: [{name, type, path, files, size_bytes, more (there are more than were counted), free_bytes, folders, include, toml}],
    left_out: [{path, kind, message}], looked_at: [path]

`toml` is the `[[target]]` as it is printed. A source that does not answer is the document of a refusal (`results.refusal_json`).
"""

from __future__ import annotations

import os

from forged.cli.probe import name_of, target, unique
from forged.cli.results import Json, path_json, problem_json
from forged.daemon.probe import Findings, Found


def document(findings: Findings) -> Json:
    """The whole of it."""
    can = findings.capabilities
    names = unique([name_of(one) for one in findings.folders])
    return {
        "success": bool(findings.folders),
        "source": str(findings.address),
        "transport": can.transport,
        "can": {
            "hashing": can.hashing,
            "watching": can.watching,
            "guarded_removal": can.guarded_removal,
            "unguarded_removal": can.unguarded_removal,
        },
        "fingerprint": findings.fingerprint,
        "clock_ahead_s": None if findings.clock_skew_s is None else round(findings.clock_skew_s, 3),
        "found": [found_json(findings, one, name) for one, name in zip(findings.folders, names, strict=True)],
        "left_out": [problem_json(problem) for problem in findings.left_out],
        "looked_at": list(findings.looked_at),
    }


def found_json(findings: Findings, one: Found, name: str) -> Json:
    """One folder, and the target that would bring it."""
    counted: Json = {"files": one.files, "size_bytes": one.size_bytes, "more": one.cut, "free_bytes": one.free_bytes}
    chosen: Json = {"folders": list(one.folders), "include": list(one.include)}
    toml = "\n".join(target(findings, one, name)).rstrip() + "\n"
    return {"name": name, "type": one.type.value} | path_json(os.fsencode(one.path)) | counted | chosen | {"toml": toml}
