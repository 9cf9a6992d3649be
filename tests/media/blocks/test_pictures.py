"""JPEG, WebP, GIF, AVIF, JPEG XL, BMP, SVG, GLB and safetensors: texts, sizes, frames."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from forged.model.media import MediaKind
from tests.media.blocks.building import (
    avif,
    box,
    comment_of,
    gif,
    glb,
    jpeg,
    looked_into,
    riff_chunk,
    safetensors,
    segment,
    sub_blocks,
    texts,
    vp8x,
    webp,
)
from tests.media.making import animation, picture

EXIF = comment_of(b"ASCII\0\0\0a cat")
XMP = b"http://ns.adobe.com/xap/1.0/\0"
MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"
GUID = b"0123456789ABCDEF0123456789ABCDEF"


def sized(data: bytes) -> tuple[str, int | None, int | None]:
    info = looked_into(data)
    return info.format, info.width, info.height


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_the_size_of_what_pillow_writes(form: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (70, 33), "red").save(out, form)
    assert sized(out.getvalue()) == (form.lower(), 70, 33)


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<Iii", 40, 70, 33),
        struct.pack("<Iii", 124, 70, -33),  # rows from above
        struct.pack("<IHH", 12, 70, 33),  # of OS/2
    ],
)
def test_the_size_of_every_kind_of_bmp(header: bytes) -> None:
    assert sized(b"BM" + bytes(12) + header + bytes(40)) == ("bmp", 70, 33)


@pytest.mark.parametrize("options", [{"lossless": True}, {"exif": EXIF}, {"lossless": True, "xmp": b"<x/>"}])
def test_the_size_of_every_kind_of_webp(options: dict[str, object]) -> None:
    assert sized(picture("WEBP", **options)) == ("webp", 48, 48)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "AVIF"])
def test_frames_of_what_pillow_writes(form: str) -> None:
    info = looked_into(animation(form))
    assert (info.kind, info.frames, info.duration_s, info.fps) == (MediaKind.IMAGE, 4, 0.4, 10.0)
    assert (info.width, info.height) == (24, 24)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF"])
def test_exif_and_xmp_as_pillow_writes_them(form: str) -> None:
    found = texts(picture(form, exif=b"Exif\0\0" + EXIF, xmp=b"<x:xmpmeta/>"))
    assert set(found) == {("exif/UserComment", "a cat"), (f"{form.lower()}/xmp", "<x:xmpmeta/>")}


class TestJpeg:
    def test_all_its_texts(self) -> None:
        iim = b"\x1c\x01\x05\0\3abc" + b"\x1c\x02\x78\0\5a cat" + b"\x1c\x02\x19\0\4pets" + b"\x1c\x02\x00\0\2\0\4"
        resources = b"8BIM\x03\xed\0\0\0\0\0\1x\0" + b"8BIM\x04\x04\3abc" + struct.pack(">I", len(iim)) + iim
        data = jpeg(
            segment(0xE0, b"JFIF\0"),
            b"\xff\xff\xff" + segment(0xE1, b"Exif\0\0" + EXIF),
            segment(0xE1, XMP + b"<x:xmpmeta/>"),
            segment(0xED, b"Photoshop 3.0\0" + resources),
            segment(0xFE, "café".encode()),
        )
        assert sorted(texts(data)) == [
            ("exif/UserComment", "a cat"),
            ("iptc/Caption-Abstract", "a cat"),
            ("iptc/Keywords", "pets"),
            ("jpeg/comment", "café"),
            ("jpeg/xmp", "<x:xmpmeta/>"),
        ]
        assert sized(data) == ("jpeg", 64, 48)

    def test_a_packet_that_is_spread_over_segments(self) -> None:
        main = segment(0xE1, XMP + b'<x xmpNote:HasExtendedXMP="' + GUID + b'"/>')
        pieces = [segment(0xE1, MORE_XMP + GUID + struct.pack(">II", 8, at) + text) for at, text in ((4, b"more"), (0, b"some"))]
        stray = segment(0xE1, MORE_XMP + b"F" * 32 + struct.pack(">II", 8, 0) + b"other")
        assert texts(jpeg(main, *pieces, stray))[1] == ("jpeg/extended/xmp", "somemore")

    def test_a_segment_that_is_cut_is_a_problem(self) -> None:
        info = looked_into(jpeg(segment(0xFE, b"first"), segment(0xFE, b"second"))[:-45])
        assert ([block.text for block in info.raw], info.problems) == (["first"], ("jpeg: the file ends within a segment",))

    def test_exif_that_is_spread_over_segments(self) -> None:
        long = comment_of(b"ASCII\0\0\0" + b"long " * 20_000)
        parts = [segment(0xE1, b"Exif\0\0" + long[at : at + 65_000]) for at in range(0, len(long), 65_000)]
        assert texts(jpeg(*parts)) == [("exif/UserComment", "long " * 20_000)]

    def test_a_preview_in_exif_gives_no_size(self) -> None:
        assert sized(jpeg(segment(0xE1, b"Exif\0\0" + EXIF + jpeg(width=7, height=7)))) == ("jpeg", 64, 48)

    def test_nothing_is_looked_for_behind_the_first_scan(self) -> None:
        assert texts(jpeg().replace(b"picture", segment(0xFE, b"stray"))) == []


class TestWebp:
    def test_texts_come_after_the_picture(self) -> None:
        data = webp(vp8x(), riff_chunk(b"VP8 ", bytes(99)), riff_chunk(b"EXIF", b"Exif\0\0" + EXIF), riff_chunk(b"XMP ", b"<x/>"))
        assert texts(data) == [("exif/UserComment", "a cat"), ("webp/xmp", "<x/>")]
        assert sized(data) == ("webp", 64, 48)

    def test_of_an_extended_one_the_canvas_counts(self) -> None:
        lossless = b"\x2f" + struct.pack("<I", 9 | 9 << 14) + bytes(5)
        assert sized(webp(vp8x(), riff_chunk(b"VP8L", lossless))) == ("webp", 64, 48)
        assert sized(webp(riff_chunk(b"VP8L", lossless))) == ("webp", 10, 10)

    def test_a_text_that_is_cut_is_a_problem(self) -> None:
        data = webp(vp8x(), riff_chunk(b"EXIF", EXIF))[:-3]
        assert looked_into(data).problems == ("webp/EXIF: the file ends within it",)


class TestGif:
    def test_a_comment_of_many_sub_blocks_is_one_text(self) -> None:
        assert texts(gif(b"\x21\xfe" + sub_blocks(b"a cat " * 200), b"\x21\xfe" + sub_blocks("猫".encode()))) == [
            ("gif/comment", "a cat " * 200),
            ("gif/comment", "猫"),
        ]

    def test_xmp(self) -> None:
        trail = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
        packet = b'<?xpacket?><x:xmpmeta xmlns:x="adobe:ns:meta/">' + b"text " * 100 + b"</x:xmpmeta>"
        assert texts(gif(b"\x21\xff\x0bXMP DataXMP" + packet + trail)) == [("gif/xmp", packet.decode())]

    def test_a_comment_that_is_cut_is_a_problem(self) -> None:
        info = looked_into(gif(b"\x21\xfe" + sub_blocks(b"a cat" * 9))[:-30])
        assert (info.raw, info.problems) == ((), ("gif/comment: the file ends within it",))

    def test_a_single_picture_does_not_move(self) -> None:
        info = looked_into(gif(b"\x21\xf9\x04\0\x0a\0\0\0"))
        assert (info.frames, info.duration_s, info.width, info.height) == (None, None, 64, 48)


class TestAvif:
    def test_texts_and_the_size_of_the_primary_item(self) -> None:
        data = avif(EXIF, b"<x:xmpmeta/>", sizes=[(512, 512), (64, 48)])
        assert texts(data) == [("exif/UserComment", "a cat"), ("avif/xmp", "<x:xmpmeta/>")]
        assert sized(data) == ("avif", 64, 48)

    @pytest.mark.parametrize(("brand", "format"), [(b"avif", "avif"), (b"avis", "avif"), (b"heic", "heif"), (b"mif1", "heif")])
    def test_brands(self, brand: bytes, format: str) -> None:
        assert sized(avif(EXIF, brand=brand)) == (format, 64, 48)

    def test_a_brand_that_it_is_compatible_with(self) -> None:
        data = avif(EXIF)
        assert sized(data[:8] + b"mif1" + data[12:]) == ("avif", 64, 48)

    def test_an_item_that_is_cut_is_a_problem(self) -> None:
        info = looked_into(avif(EXIF)[:-3])
        assert (info.width, info.raw, info.problems) == (64, (), ("avif/EXIF: the file ends within it",))

    def test_texts_in_the_box_itself(self) -> None:
        """`idat`, and an extent without a length, which reaches to the end."""
        packet = b"<x:xmpmeta/>"
        entry = box(b"infe", b"\2\0\0\0", struct.pack(">HH", 7, 0), b"mime", b"\0", b"application/rdf+xml\0")
        iloc = box(b"iloc", b"\1\0\0\0", b"\x44\0", struct.pack(">HHHHHII", 1, 7, 1, 0, 1, 0, 0))
        meta = box(b"meta", bytes(4), box(b"iinf", bytes(4), b"\0\1", entry), iloc, box(b"idat", packet))
        assert texts(box(b"ftyp", b"avif", bytes(4)) + meta) == [("avif/xmp", "<x:xmpmeta/>")]

    @pytest.mark.parametrize("kind", [b"pitm", b"ipma", b"ispe", b"infe"])
    def test_a_table_that_is_cut_is_a_problem(self, kind: bytes) -> None:
        data = avif(EXIF)
        at = data.index(kind)
        cut = data[: at - 4] + struct.pack(">I", 10) + data[at:]
        assert "avif: its tables are cut" in looked_into(cut).problems

    def test_a_table_that_promises_more_than_there_is(self) -> None:
        data = avif(EXIF)
        at = data.index(b"iloc") + 10
        info = looked_into(data[:at] + b"\x7f\xff" + data[at + 2 :])
        assert ([block.text for block in info.raw], info.problems) == (["a cat"], ("avif: its tables are cut",))


class TestJxl:
    @pytest.mark.parametrize(
        ("bits", "width", "height"),
        [
            ("1" + "00101" + "000" + "00111", 64, 48),  # small: height / 8 - 1, no ratio, width / 8 - 1
            ("1" + "00101" + "010", 57, 48),  # 12:10
            ("0" + "01" + format(1080 - 1, "013b") + "101", 1920, 1080),  # 16:9
        ],
    )
    def test_sizes(self, bits: str, width: int, height: int) -> None:
        data = b"\xff\x0a" + self.packed(bits) + bytes(12)
        assert sized(data) == ("jxl", width, height)
        assert sized(self.container(box(b"jxlc", data))) == ("jxl", width, height)
        assert sized(self.container(box(b"jxlp", bytes(4), data))) == ("jxl", width, height)

    def test_texts(self) -> None:
        data = self.container(box(b"Exif", bytes(4), EXIF), box(b"xml ", b"<x:xmpmeta/>"), box(b"brob", b"Exif", b"x"))
        assert texts(data) == [("exif/UserComment", "a cat"), ("jxl/xmp", "<x:xmpmeta/>")]
        assert looked_into(data).problems == ("jxl: Exif is compressed with Brotli and was not read",)

    @staticmethod
    def container(*boxes: bytes) -> bytes:
        return b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"ftyp", b"jxl ", bytes(4), b"jxl ") + b"".join(boxes)

    @staticmethod
    def packed(fields: str) -> bytes:
        """Each field's digits stand with the highest bit first; the fields themselves come from the lowest bit on."""
        small = fields[0] == "1"
        widths = [1, 5, 3, 5] if small else [1, 2, 13, 3]
        value = shift = at = 0
        for width in widths:
            digits = fields[at : at + width]
            value |= int(digits or "0", 2) << shift
            shift, at = shift + width, at + width
        return value.to_bytes(8, "little")


class TestSvg:
    @pytest.mark.parametrize(
        ("text", "size", "found"),
        [
            (
                b'<svg width="64" height="48"><metadata><![CDATA[{"prompt": "<b>"}]]></metadata></svg>',
                (64, 48),
                '{"prompt": "<b>"}',
            ),
            (b'<svg viewBox="0 0 64.5 48"><metadata id="m">\n<rdf:RDF/>\n</metadata></svg>', (64, 48), "<rdf:RDF/>"),
            (b"<svg width='64px' height='48.0px'/>", (64, 48), None),
            (b'<svg width="100%" height="100%" viewBox="0,0,64,48"/>', (64, 48), None),
            (b"<svg><metadata><![CDATA[</metadata>]]></metadata></svg>", (None, None), "</metadata>"),
            (b"<svg><metadata>&amp;lol;</metadata></svg>", (None, None), "&amp;lol;"),
            (b"<svg><metadata>never closed", (None, None), None),
            (b'<s:svg xmlns:s="x" width="64" height="48"><s:metadata>cat</s:metadata></s:svg>', (64, 48), "cat"),
        ],
    )
    @pytest.mark.parametrize(
        "before",
        [
            b"",
            b"\xef\xbb\xbf",
            b'<?xml version="1.0"?>\n<!-- <svg> a > b -->',
            b'<!DOCTYPE svg [<!ENTITY a "<svg>">]>\n',
            b"<!DOCTYPE svg>",
        ],
    )
    def test_metadata_and_size(self, text: bytes, size: tuple[int | None, int | None], found: str | None, before: bytes) -> None:
        info = looked_into(before + text)
        assert (info.kind, info.format, (info.width, info.height)) == (MediaKind.IMAGE, "svg", size)
        assert [(block.place, block.text) for block in info.raw] == ([("svg/metadata", found)] if found else [])

    @pytest.mark.parametrize(
        "text", [b"<!DOCTYPE html><html><svg>", b"<html><svg/>", b"text <svg>", b"<svgx>", b"<!-- <svg>", b"<"]
    )
    def test_what_is_none(self, text: bytes) -> None:
        assert (looked_into(text).kind, looked_into(text).format) == (MediaKind.OTHER, "")


class TestGlb:
    def test_what_comfyui_saves(self) -> None:
        extras = b'{"prompt": "{\\"1\\": 2}", "workflow": {"nodes": []}}'
        data = glb(b'{"asset": {"version": "2.0", "generator": "ComfyUI", "extras": ' + extras + b"}}")
        assert texts(data) == [("glb/generator", "ComfyUI"), ("glb/prompt", '{"1": 2}'), ("glb/workflow", '{"nodes": []}')]
        assert looked_into(data).kind is MediaKind.MESH

    @pytest.mark.parametrize(
        "json",
        [
            b"{",
            b"[]",
            b'{"asset": 1}',
            b"[" * 100_000,
            b'{"asset": {"generator": "\xff"}}',
            b'{"asset": {"extras": {"k": "\xff"}}}',
            b'{"asset": {"extras": []}}',
        ],
    )
    def test_json_that_cannot_be_read_is_a_problem(self, json: bytes) -> None:
        info = looked_into(glb(json))
        assert (info.kind, info.raw, info.problems) == (MediaKind.MESH, (), ("glb: its JSON cannot be read",))


class TestSafetensors:
    def test_a_latent_as_comfyui_saves_it(self) -> None:
        told = b'{"prompt": "{\\"1\\": 2}", "workflow": "{}"}'
        data = safetensors(b'{"latent_tensor": {"dtype": "F32", "shape": [1]}, "__metadata__": ' + told + b"}")
        assert texts(data) == [("safetensors/prompt", '{"1": 2}'), ("safetensors/workflow", "{}")]
        assert (looked_into(data).kind, looked_into(data).problems) == (MediaKind.OTHER, ())

    @pytest.mark.parametrize(
        "json", [b'{"', b'{"__metadata__": {"\xff": "x"}}', b'{"__metadata__": {"prompt": 1}}', b'{"a": ' + b"[" * 100_000]
    )
    def test_json_that_cannot_be_read_is_a_problem(self, json: bytes) -> None:
        assert looked_into(safetensors(json)).problems == ("safetensors: its JSON cannot be read",)

    def test_a_model_without_texts(self) -> None:
        info = looked_into(safetensors(b'{"w": {"dtype": "F32"}}'))
        assert (info.raw, info.problems) == ((), ())


@pytest.mark.parametrize(
    "data", [b"", b"text", b"BM is a text", b"II", b"GIF", b"RIFF\0\0\0\0ABCD", b"{}", b"glTF is a text", bytes(100)]
)
def test_what_is_none_of_ours(data: bytes) -> None:
    info = looked_into(data)
    assert (info.kind, info.format, info.raw, info.problems) == (MediaKind.OTHER, "", (), ())
