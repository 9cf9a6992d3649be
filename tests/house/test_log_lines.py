"""A line that warns says what to do next: every warning and error that is logged has a hint."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.house.tree import modules, shown

LOUD = {"warning", "error"}


def without_hint(text: str) -> Iterator[int]:
    """Lines of such calls on something that is called a log."""
    for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
        hinted = any(keyword.arg in ("hint", None) for keyword in call.keywords)
        if not hinted and isinstance(call.func, ast.Attribute) and call.func.attr in LOUD and is_log(call.func.value):
            yield call.lineno


def is_log(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        value = value.func
    name = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""
    return name.lstrip("_") in ("log", "logger")


def test_every_warning_says_what_to_do() -> None:
    assert [f"{shown(path)}:{line}" for path in modules() for line in without_hint(path.read_text())] == []


@pytest.mark.parametrize(
    ("call", "is_found"),
    [
        ("self._log.warning('it broke')", True),
        ("log.error('it broke', exc_info=e)", True),
        ("logger('forged').warning('it broke')", True),
        ("log.error('it broke', hint=h)", False),
        ("log.error('it broke', **fields)", False),
        ("log.info('it is well')", False),
        ("errors.error('no log')", False),
    ],
)
def test_a_call_without_a_hint_is_found(call: str, is_found: bool) -> None:
    assert bool(list(without_hint(call))) is is_found
