"""The contact sheet shows each thumbnail once, in its place."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from forged.demo import sheet


def thumbnail(home: Path, number: int) -> None:
    name = f"{number:064x}"
    folder = home / ".forged" / "thumbs" / name[:2] / name[2:4]
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (512, 300 + number), (number * 30 % 256, 80, 120)).save(folder / f"{name}_512.webp", lossless=True)


def test_each_thumbnail_has_its_cell(tmp_path: Path) -> None:
    for number in range(8):
        thumbnail(tmp_path, number)
    drawn = sheet.contact_sheet(sheet.thumbnails(tmp_path), tmp_path / "sheet.png")
    assert drawn == tmp_path / "sheet.png"
    with Image.open(drawn) as picture:
        assert picture.size == (sheet.at_px(sheet.COLUMNS), sheet.at_px(2))
        middle = sheet.CELL_PX // 2
        for number in range(8):
            row, column = divmod(number, sheet.COLUMNS)
            assert picture.getpixel((sheet.at_px(column) + middle, sheet.at_px(row) + middle)) == (number * 30, 80, 120)
        assert picture.getpixel((sheet.at_px(3) + middle, sheet.at_px(1) + middle)) == sheet.BACKGROUND


def test_a_wall_is_no_sheet(tmp_path: Path) -> None:
    for number in range(sheet.MOST + 4):
        thumbnail(tmp_path, number % 8 * 1000 + number)
    assert len(sheet.thumbnails(tmp_path)) == sheet.MOST


def test_no_thumbnails_no_sheet(tmp_path: Path) -> None:
    assert sheet.contact_sheet(sheet.thumbnails(tmp_path), tmp_path / "sheet.png") is None
