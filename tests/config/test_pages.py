"""Each table of the configuration that a page in etc/doc shows is one that forged reads, and every page is in the list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.config.loading import ENV, loaded
from tests.config.test_example import with_files_in

DOC = Path(__file__).parents[2] / "etc" / "doc"
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in sorted(DOC.glob("*.md"))
    for number, block in enumerate(re.findall(r"^( {4,}\[\[\w+\]\]\n(?:(?: {4,}.*)?\n)+)", page.read_text(), re.MULTILINE), 1)
]


def test_there_are_some() -> None:
    assert len(BLOCKS) >= 7


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_is_read(block: str, tmp_path: Path) -> None:
    lines = [line.strip() for line in block.splitlines()]
    toml = [line for line in lines if re.match(r"\[|\w+ = ", line)]
    (tmp_path / "vastai").write_text("key")
    text = re.sub(r"#.*", "", "\n".join(toml))
    loaded(with_files_in(text, tmp_path), tmp_path, ENV | {"CREDENTIALS_DIRECTORY": str(tmp_path)})
