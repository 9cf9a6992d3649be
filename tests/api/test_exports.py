"""What `from forged import …` gives: quickly, and the same to a program as to a type checker."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import forged

HEAVY = ("asyncssh", "sqlalchemy", "msgspec", "pydantic", "asyncio", "forged.api")


def test_a_type_checker_sees_what_a_program_gets() -> None:
    stub = ast.parse(Path(forged.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    typed = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == forged._PLACES.keys()  # type: ignore[attr-defined]
    for name in typed:
        assert name is not None
        assert getattr(forged, name).__doc__ or not isinstance(getattr(forged, name), type)
        assert name in dir(forged)


def test_import_forged_loads_nothing_of_it() -> None:
    code = f"import forged, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
