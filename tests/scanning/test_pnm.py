"""Netpbm's formats: comments anywhere in the header, PAM, and files that end early."""

from __future__ import annotations

import numpy as np
import pytest
from images import DEEP, NORMAL, QUICK, alarms, kinds, seen

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
RAW = PIXELS.tobytes()
ALPHA = np.dstack([PIXELS, PIXELS[..., :1]]).tobytes()
GRAY = PIXELS[..., 0]
RGB_PAM = b"P7\nWIDTH 40\nHEIGHT 24\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
SAME = {
    "plain": b"P6\n40 24\n255\n" + RAW,
    "comment right behind the kind": b"P6#made by hand\n40 24\n255\n" + RAW,
    "comments everywhere": b"P6 # one\n# two\n40 # three\n24\n#four\n255\n" + RAW,
    "spaces": b"P6\t40\r\n24 255 " + RAW,
    "text": b"P3#text\n40 24\n255\n" + b" ".join(b"%d" % value for value in PIXELS.ravel()),
    "pam": RGB_PAM + RAW,
    "pam with alpha": b"P7\n# made\nWIDTH 40\nHEIGHT 24\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + ALPHA,
    "several pictures": b"P6\n40 24\n255\n" + RAW + b"P6\n40 24\n255\n" + RAW,
}


@pytest.mark.parametrize("name", SAME)
def test_one_picture_however_its_header_is_written(name):
    found = seen(SAME[name], "a.pnm")
    assert (found.format, kinds(found)) == ("pnm", [])
    assert (found.image.width, found.image.height) == (40, 24)
    assert found.image.mean == pytest.approx(PIXELS.mean() / 255)
    assert found.content == seen(SAME["plain"], "a.ppm").content
    assert kinds(seen(SAME[name], "a.pnm", QUICK)) == kinds(seen(SAME[name], "a.pnm", DEEP)) == []


@pytest.mark.parametrize(
    ("data", "mean"),
    [
        (b"P5\n40 24\n255\n" + GRAY.tobytes(), GRAY.mean() / 255),
        (b"P5#deep\n40 24\n65535\n" + GRAY.astype(">u2").tobytes(), GRAY.mean() / 65535),
        (b"P7\nWIDTH 40\nHEIGHT 24\nDEPTH 1\nMAXVAL 65535\nENDHDR\n" + GRAY.astype(">u2").tobytes(), GRAY.mean() / 65535),
        (b"P4#bits\n40 24\n" + bytes(5 * 24), 1.0),
        (b"P1\n#bits\n40 24\n" + b"01" * 480, 0.5),
        (b"Pf\n40 24\n-1.0\n" + GRAY.astype("<f4").tobytes(), GRAY.mean()),
    ],
)
def test_kinds_of_samples(data, mean):
    found = seen(data, "a.pnm")
    assert kinds(found) == []
    assert found.image.mean == pytest.approx(mean, abs=1e-5)


@pytest.mark.parametrize("name", ["plain", "comments everywhere", "pam", "pam with alpha"])
def test_a_byte_less_is_a_file_cut_off(name):
    for settings in (QUICK, NORMAL):
        assert kinds(seen(SAME[name][:-1], "a.pnm", settings)) == ["truncated"]


@pytest.mark.parametrize("data", [b"P6\n40", b"P6\n40 x\n255\n" + RAW, RGB_PAM[:40], b"P7\nWIDTH 40\nENDHDR\n" + RAW])
def test_headers_that_are_none(data):
    assert kinds(seen(data, "a.pnm")) == ["damaged-header"]


@pytest.mark.parametrize("numbers", [b"0 24\n255\n", b"40 24\n70000\n", b"40 24\n0\n"])
def test_sizes_that_cannot_be(numbers):
    assert kinds(seen(b"P6\n" + numbers + RAW, "a.pnm")) == ["declared-size"]


def test_samples_that_pillow_has_no_mode_for():
    data = b"P7\nWIDTH 40\nHEIGHT 24\nDEPTH 7\nMAXVAL 255\nENDHDR\n" + bytes(40 * 24 * 7)
    assert kinds(seen(data, "a.pam")) == ["unsupported"]
    assert alarms(seen(data, "a.pam")) == []
