"""The contact sheet at the end of the tour: the thumbnails that forged made, side by side in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

THUMBNAILS = Path(".forged") / "thumbs"
"""Where a destination keeps them, by the sha256 of their file."""

CELL_PX, GAP_PX = 192, 12
COLUMNS = 6
MOST = 36
"""The newest ones; a sheet of more is a wall."""

BACKGROUND = (24, 24, 27)


def thumbnails(home: Path) -> list[Path]:
    """The newest of them, oldest first, as they were made."""
    found = sorted((home / THUMBNAILS).rglob("*.webp"), key=lambda file: (file.stat().st_mtime_ns, file.name))
    return found[-MOST:]


def contact_sheet(files: Sequence[Path], to: Path) -> Path | None:
    """Draws them into one PNG, in their order; None where there are none."""
    if not files:
        return None
    columns = min(COLUMNS, len(files))
    rows = -(-len(files) // columns)
    sheet = Image.new("RGB", (at_px(columns), at_px(rows)), BACKGROUND)
    for number, file in enumerate(files):
        row, column = divmod(number, columns)
        with Image.open(file) as picture:
            sheet.paste(ImageOps.fit(picture.convert("RGB"), (CELL_PX, CELL_PX)), (at_px(column), at_px(row)))
    sheet.save(to)
    return to


def at_px(cell: int) -> int:
    """Where a cell begins; where so many cells end, with the gap after the last."""
    return GAP_PX + cell * (CELL_PX + GAP_PX)
