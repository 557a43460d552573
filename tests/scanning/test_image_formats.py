"""BMP, GIF, TIFF, WebP and rarer formats: what encoders write passes, lies and cuts are told."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from images import DEEP, NORMAL, QUICK, alarms, damage, encoded, kinds, seen
from PIL import Image, ImageFile

from dltool.scanning.formats.gif import walk
from dltool.scanning.formats.gif_codes import unpacked_length
from dltool.scanning.settings import InspectSettings

PICTURE = damage.picture(3, 60)
PALETTE = PICTURE.quantize(64)
FRAMES = [PICTURE.rotate(15 * turn).quantize(32) for turn in range(3)]
BMP = encoded(PICTURE, "BMP")
GIF = encoded(PALETTE, "GIF")
TIFF = encoded(PICTURE, "TIFF")
WEBP = encoded(PICTURE, "WEBP")

VALID = {
    "rgb.bmp": BMP,
    "palette.bmp": encoded(PALETTE, "BMP"),
    "gray.bmp": encoded(PICTURE.convert("L"), "BMP"),
    "bits.bmp": encoded(PICTURE.convert("1"), "BMP"),
    "alpha.bmp": encoded(PICTURE.convert("RGBA"), "BMP"),
    "topdown.bmp": BMP[:22] + struct.pack("<i", -60) + BMP[26:],
    "bare.dib": encoded(PICTURE, "DIB"),
    "plain.gif": GIF,
    "interlaced.gif": encoded(PALETTE, "GIF", interlace=1),
    "gray.gif": encoded(PICTURE.convert("L"), "GIF"),
    "two.gif": encoded(PICTURE.convert("1"), "GIF"),
    "animated.gif": encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]),
    "raw.tif": TIFF,
    "lzw.tif": encoded(PICTURE, "TIFF", compression="tiff_lzw"),
    "deflate.tif": encoded(PICTURE, "TIFF", compression="tiff_adobe_deflate"),
    "packbits.tif": encoded(PICTURE, "TIFF", compression="packbits"),
    "jpeg.tif": encoded(PICTURE, "TIFF", compression="jpeg"),
    "g4.tif": encoded(PICTURE.convert("1"), "TIFF", compression="group4"),
    "cmyk.tif": encoded(PICTURE.convert("CMYK"), "TIFF"),
    "palette.tiff": encoded(PALETTE, "TIFF"),
    "float.tif": encoded(Image.fromarray(np.linspace(-3, 9, 3600, dtype=np.float32).reshape(60, 60)), "TIFF"),
    "sixteen.tif": encoded(Image.fromarray(np.arange(3600, dtype=np.uint16).reshape(60, 60)), "TIFF"),
    "pages.tif": encoded(PICTURE, "TIFF", save_all=True, append_images=[PICTURE.rotate(9)]),
    "big.tif": encoded(PICTURE, "TIFF", big_tiff=True),
    "lossy.webp": WEBP,
    "lossless.webp": encoded(PICTURE.convert("RGBA"), "WEBP", lossless=True),
    "animated.webp": encoded(PICTURE, "WEBP", save_all=True, append_images=[PICTURE.rotate(9)]),
    "plain.ppm": encoded(PICTURE, "PPM"),
    "plain.tga": encoded(PICTURE, "TGA"),
    "plain.pcx": encoded(PICTURE, "PCX"),
    "plain.ico": encoded(PICTURE, "ICO"),
    "plain.jp2": encoded(PICTURE, "JPEG2000"),
    "film.mpo": encoded(PICTURE, "MPO", save_all=True, append_images=[PICTURE.rotate(9)]),
    "film.jpg": encoded(PICTURE, "MPO", save_all=True, append_images=[PICTURE.rotate(9)]),
}


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("settings", [QUICK, NORMAL, DEEP])
def test_valid_files_are_left_alone(name, settings):
    found = seen(VALID[name], name, settings)
    assert kinds(found) == []
    assert found.image.width == (48 if name == "plain.ico" else 60)
    if settings is not QUICK:
        assert found.image.mean is not None
        assert found.content


def test_frames_are_counted():
    counts = {name: seen(VALID[name], name, DEEP).image.frames for name in VALID}
    many = {name for name, count in counts.items() if count > 1}
    assert many == {"animated.gif", "pages.tif", "animated.webp", "film.mpo", "film.jpg"}
    assert counts["animated.gif"] == 3


@pytest.mark.parametrize(
    ("data", "name", "kind", "severity"),
    [
        (BMP[:500], "a.bmp", "truncated", "error"),
        (BMP + b"garbage!", "a.bmp", "trailing-garbage", "warning"),
        (BMP[:2] + struct.pack("<I", 10**6) + BMP[6:], "a.bmp", "declared-size", "warning"),
        (BMP[:18] + struct.pack("<i", -5) + BMP[22:], "a.bmp", "declared-size", "error"),
        (BMP[:30] + struct.pack("<I", 77) + BMP[34:], "a.bmp", "declared-method", "error"),
        (BMP[:26] + struct.pack("<H", 9) + BMP[28:], "a.bmp", "header-field", "warning"),
        (GIF[:900], "a.gif", "truncated", "error"),
        (GIF[:-1], "a.gif", "missing-end", "warning"),
        (GIF + b"garbage!", "a.gif", "trailing-garbage", "warning"),
        (GIF[:13] + bytes(len(GIF) - 13), "a.gif", "truncated", "error"),
        (TIFF[: len(TIFF) // 2], "a.tif", "truncated", "error"),
        (WEBP[:200], "a.webp", "truncated", "error"),
        (WEBP + b"garbage!", "a.webp", "trailing-garbage", "warning"),
        (WEBP[:12] + b"XXXX" + WEBP[16:], "a.webp", "no-data", "error"),
    ],
)
def test_damage_is_named(data, name, kind, severity):
    found = seen(data, name)
    assert (kind, severity) in [(flaw.kind, flaw.severity) for flaw in found.flaws]


def test_values_that_are_no_numbers():
    values = np.ones((9, 9), np.float32)
    values[2, 3], values[4, 4] = np.nan, np.inf
    found = seen(encoded(Image.fromarray(values), "TIFF"), "a.tif")
    assert [(flaw.rule, flaw.count) for flaw in found.flaws] == [("non-finite-value", 2)]


def test_directories_in_a_circle():
    start = int.from_bytes(TIFF[4:8], "little")
    after = start + 2 + 12 * int.from_bytes(TIFF[start : start + 2], "little")
    assert "damaged-directory" in kinds(seen(TIFF[:after] + TIFF[4:8] + TIFF[after + 4 :], "a.tif"))


@pytest.mark.parametrize("seed", range(4))
def test_lengths_of_codes_are_the_pixels_of_a_gif(seed):
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 256, (70, 90)).astype(np.uint8))
    data = encoded(noise, "GIF")
    frame = walk(data).frames[0]
    codes = b"".join(data[a:b] for a, b in frame.spans)
    assert unpacked_length(codes, frame.code_bits) == 70 * 90


def test_names_of_relatives_are_one_format():
    assert kinds(seen(VALID["film.mpo"], "a.jpeg")) == []
    assert kinds(seen(TIFF, "a.TIFF")) == []
    assert kinds(seen(WEBP, "a.jpg")) == ["webp-named-jpeg"]
    assert seen(WEBP, "a.jpg").image.mean is not None
    assert kinds(seen(WEBP, "no-suffix-at-all")) == []


@pytest.mark.parametrize("name", ["rgb.bmp", "plain.gif", "raw.tif", "lossy.webp", "plain.ppm"])
def test_the_limit_of_pixels_holds(name):
    for settings in (QUICK, NORMAL, DEEP):
        found = seen(VALID[name], name, InspectSettings(tier=settings.tier, max_pixels=100))
        assert [flaw.rule for flaw in found.flaws] == ["unsafe-file"]


def test_truncation_is_seen_though_the_process_tolerates_it(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert "truncated" in kinds(seen(encoded(PICTURE, "PPM")[:5000], "a.ppm"))
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_kinds_that_pillow_has_no_decoder_for_are_not_called_corrupt():
    start = int.from_bytes(BMP[10:14], "little")
    odd = BMP[:28] + struct.pack("<HI", 0, 4) + BMP[34:start] + b"\xff\xd8\xff" + BMP[start + 3 :]
    assert alarms(seen(odd, "a.bmp")) == []


@pytest.mark.parametrize("order", ["strips", "one"])
def test_a_flipped_bit_in_deflated_strips_is_told_by_their_checksums(order):
    info = {"tiffinfo": {278: 7}} if order == "strips" else {}
    pages = {"save_all": True, "append_images": [PICTURE.rotate(40)]}
    data = encoded(PICTURE, "TIFF", compression="tiff_adobe_deflate", **info, **pages)
    assert kinds(seen(data, "a.tif")) == kinds(seen(TIFF, "a.tif"))
    told = []
    for at in range(200, len(data) - 400, 97):
        hurt = bytearray(data)
        hurt[at] ^= 0x10
        told.append(any(kind in {"checksum", "undecodable"} for kind in kinds(seen(bytes(hurt), "a.tif"))))
    assert np.mean(told) > 0.95
