"""Files that are in order and that Pillow cannot decode, or not in full: said, and not accused."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from dltool.core.finding import Severity
from dltool.scanning.inspect import inspect
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import BytesSource


def kinds(data, name):
    return [(flaw.kind, flaw.severity) for flaw in inspect(BytesSource(data, name), InspectSettings()).flaws]


def psd(depth=16, *, mode=3, channels=3, size=(20, 10), method=0, picture=None):
    width, height = size
    raw = bytes(channels * height * ((width * depth + 7) // 8)) if picture is None else picture
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, channels, height, width, depth, mode)
    return head + struct.pack(">III", 0, 0, 0) + struct.pack(">H", method) + raw


@pytest.mark.parametrize("depth", [16, 32])
def test_photoshop_of_many_bits_is_unsupported(depth):
    assert kinds(psd(depth), "a.psd") == [("unsupported", Severity.INFO)]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (psd()[:-1], "truncated"), (psd(8)[:-1], "truncated"), (psd()[:36], "truncated"), (psd()[:20], "truncated"),
        (psd(method=9), "declared-method"), (psd(5), "declared-method"), (psd(mode=6), "declared-method"),
        (psd(size=(0, 10)), "declared-size"),
        (psd(method=1, picture=struct.pack(">30H", *[50] * 30) + bytes(100)), "truncated"),
    ],
)  # fmt: skip
def test_damaged_photoshop_is_found(data, kind):
    assert kinds(data, "a.psd") == [(kind, Severity.ERROR)]


def test_good_photoshop_decodes():
    seen = inspect(BytesSource(psd(8), "a.psd"), InspectSettings())
    assert seen.flaws == ()
    assert seen.content is not None


def tiff(bits, samples, photometric=1, width=8, height=4, *, data_bytes=None, rows=4):
    values = [(256, width), (257, height), (259, 1), (262, photometric), (277, samples), (278, rows)]
    size = height * ((width * bits * samples + 7) // 8)
    tags = [*values, (273, 8), (279, size if data_bytes is None else data_bytes)]
    wide = samples > 2
    start = 8 + size
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags]
    at = start + 2 + 12 * (len(tags) + 1) + 4
    packed = struct.pack(f"<{samples}H", *[bits] * samples)
    entries.append(struct.pack("<HHI", 258, 3, samples) + (struct.pack("<I", at) if wide else packed.ljust(4, b"\0")))
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4) + (packed if wide else b"")
    return b"II*\0" + struct.pack("<I", start) + bytes(size) + directory


@pytest.mark.parametrize(("bits", "samples", "photometric"), [(10, 1, 1), (14, 1, 1), (64, 1, 1), (12, 3, 2), (4, 2, 3)])
def test_tiff_of_odd_bits_is_unsupported(bits, samples, photometric):
    assert kinds(tiff(bits, samples, photometric), "a.tif") == [("unsupported", Severity.INFO)]


def test_tiff_that_contradicts_itself_is_found():
    assert kinds(tiff(10, 1, rows=1), "a.tif") == [("undecodable", Severity.ERROR)]
    assert kinds(tiff(10, 1, photometric=900), "a.tif") == [("undecodable", Severity.ERROR)]
    assert kinds(tiff(90, 1), "a.tif") == [("undecodable", Severity.ERROR)]


def bmp(runs, width=10, height=2, bits=8):
    palette = bytes(4 << bits)
    start = 54 + len(palette)
    head = struct.pack("<2sIII", b"BM", start + len(runs), 0, start)
    return head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 1, len(runs), 0, 0, 0, 0) + palette + runs


END_OF_LINE, END = b"\0\0", b"\0\1"


@pytest.mark.parametrize(
    "runs",
    [
        (b"\x0a\1" + END_OF_LINE) * 2 + END,
        (b"\x0c\1" + END_OF_LINE) * 2 + END,  # padded to 32 bits
        (b"\x03\1" + END_OF_LINE) * 2 + END,  # the rest of each row is left out
    ],
)
def test_run_lengths_that_most_decoders_take_are_not_accused(runs):
    assert all(severity is Severity.INFO for _, severity in kinds(bmp(runs), "a.bmp"))


def test_run_lengths_far_outside_of_the_picture_are_found():
    assert kinds(bmp((b"\x20\1" + END_OF_LINE) * 2 + END), "a.bmp")[0] == ("damaged-data", Severity.ERROR)


def fields(masks, bits=16, method=3):
    head = struct.pack("<2sIII", b"BM", 66 + 32, 0, 66) + struct.pack(
        "<IiiHHIIiiII", 40, 4, 4, 1, bits, method, 32, 0, 0, 0, 0
    )
    return head + struct.pack("<3I", *masks) + bytes(32 * bits // 16)


@pytest.mark.parametrize(
    ("masks", "bits", "corrupt"),
    [
        ((0xF800, 0x7E0, 0x1F), 16, False), ((0x7C00, 0x3E0, 0x1F), 16, False), ((0xFF0000, 0xFF00, 0xFF), 32, False),
        ((0xF800, 0xFE0, 0x1F), 16, True), ((0xF801, 0x7E0, 0x1E), 16, True), ((0, 0, 0), 16, True),
        ((0xF800, 0x7E0, 0x1F), 24, True),
    ],
)  # fmt: skip
def test_masks_of_colours_do_not_overlap_and_have_no_gaps(masks, bits, corrupt):
    found = [kind for kind, severity in kinds(fields(masks, bits), "a.bmp") if severity is Severity.ERROR]
    assert found == (["declared-method"] if corrupt else [])


def test_a_bitmap_without_the_jpeg_it_declares_is_found():
    assert kinds(fields((0, 0, 0), bits=24, method=4), "a.bmp") == [("declared-method", Severity.ERROR)]


@pytest.mark.parametrize("suffix", ["jpg", "gif"])
def test_what_applications_append_is_no_garbage(suffix):
    stream = io.BytesIO()
    Image.fromarray(np.arange(1024, dtype=np.uint8).reshape(32, 32)).save(stream, {"jpg": "jpeg"}.get(suffix, suffix))
    tail = {"jpg": b"AXS!" + bytes(range(40)), "gif": b"\x1a" * 100}[suffix]
    assert [severity for _, severity in kinds(stream.getvalue() + tail, f"a.{suffix}")] == [Severity.INFO]
    garbage = kinds(stream.getvalue() + b"what is this?" * 9, f"a.{suffix}")
    assert garbage == [("trailing-garbage", Severity.WARNING)]


def test_metadata_above_pillows_limit_is_unsafe_and_the_picture_not_corrupt():
    text = PngImagePlugin.PngInfo()
    text.add_text("much", "a" * (2 << 20), zip=True)
    stream = io.BytesIO()
    Image.new("L", (20, 20), 3).save(stream, "png", pnginfo=text)
    (flaw,) = inspect(BytesSource(stream.getvalue(), "a.png"), InspectSettings()).flaws
    assert (flaw.rule, flaw.kind) == ("unsafe-file", "decompression-bomb")
    damaged = stream.getvalue().replace(struct.pack(">I", zlib.crc32(b"IEND")), b"ABCD")
    assert ("checksum", Severity.ERROR) in kinds(damaged, "a.png")
