"""JPEG: odd but valid files are left alone, damage is named, and the walk in Python agrees with libjpeg."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from images import DEEP, NORMAL, QUICK, alarms, damage, encoded, kinds, seen
from PIL import Image

from dltool.core.finding import Severity
from dltool.scanning.formats import jpeg_decode
from dltool.scanning.formats.jpeg_scan import scan_problem
from dltool.scanning.settings import InspectSettings

PICTURE = damage.picture(1, 96)
PLAIN = encoded(PICTURE, "JPEG", quality=88)
JUNK = PLAIN[:20] + b"junk" + PLAIN[20:]
EXIF = Image.Exif()
EXIF[0x0112] = 6
EXIF[0x0131] = "camera 1.0"

COMMENT = b"\xff\xfe\0\x07hello"
HEAD, SCAN = PLAIN[: PLAIN.find(b"\xff\xda")], PLAIN[PLAIN.find(b"\xff\xda") :]
PROGRESSIVE = encoded(PICTURE, "JPEG", progressive=True)

VALID = {
    "plain": PLAIN,
    "progressive": encoded(PICTURE, "JPEG", progressive=True),
    "optimised": encoded(PICTURE, "JPEG", optimize=True),
    "restarts": encoded(PICTURE, "JPEG", restart_marker_blocks=3),
    "restart rows": encoded(PICTURE, "JPEG", restart_marker_rows=1),
    "4:4:4": encoded(PICTURE, "JPEG", subsampling=0),
    "4:2:2": encoded(PICTURE, "JPEG", subsampling=1),
    "gray": encoded(PICTURE.convert("L"), "JPEG"),
    "cmyk": encoded(PICTURE.convert("CMYK"), "JPEG"),
    "rgb": encoded(PICTURE, "JPEG", keep_rgb=True),
    "exif": encoded(PICTURE, "JPEG", exif=EXIF),
    "icc": encoded(PICTURE, "JPEG", icc_profile=bytes(3000)),
    "odd size": encoded(PICTURE.resize((37, 91)), "JPEG"),
    "one pixel": encoded(PICTURE.resize((1, 1)), "JPEG"),
    "seven pixels": encoded(PICTURE.resize((7, 5)), "JPEG"),
    "progressive odd": encoded(PICTURE.resize((41, 23)), "JPEG", progressive=True, subsampling=1),
    "constant": encoded(Image.new("RGB", (64, 64)), "JPEG"),
    "filled before a marker": PLAIN[:2] + b"\xff\xff" + PLAIN[2:],
    "filled before the scan": HEAD + b"\xff" * 9 + SCAN,
    "filled before the end": PLAIN[:-2] + b"\xff\xff\xff\xd9",
    "comment before the scan": HEAD + COMMENT + SCAN,
    "comment before the end": PLAIN[:-2] + COMMENT + b"\xff\xd9",
    "comments between scans": PROGRESSIVE.replace(b"\xff\xda", COMMENT + b"\xff\xda"),
    "filled between scans": PROGRESSIVE.replace(b"\xff\xda", b"\xff\xff\xff\xda"),
    "application data after the frame": HEAD + b"\xff\xe5\0\x04\0\0" + SCAN,
    "restarts turned off": HEAD + b"\xff\xdd\0\x04\0\0" + SCAN,
    "number of lines": PLAIN[:-2] + b"\xff\xdc\0\x04\0\x60" + b"\xff\xd9",
}


@pytest.fixture(params=["fast", "slow"])
def decoder(request, monkeypatch):
    if request.param == "slow":
        monkeypatch.setattr(jpeg_decode, "simplejpeg", None)


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("settings", [QUICK, NORMAL, DEEP])
@pytest.mark.usefixtures("decoder")
def test_valid_files_are_left_alone(name, settings):
    found = seen(VALID[name], "a.jpg", settings)
    assert kinds(found) == []
    assert found.format == "jpeg"
    if settings is not QUICK:
        assert found.image.mean is not None
        assert found.content


def test_facts():
    image = seen(VALID["exif"], "a.jpg").image
    assert (image.width, image.height, image.mode, image.orientation) == (96, 96, "RGB", 6)
    assert image.encoder.startswith("jpeg baseline 2x2,1x1,1x1 q=")
    assert image.encoder.endswith("Exif camera 1.0")
    assert seen(VALID["gray"], "a.jpg").image.mode == "L"
    assert seen(VALID["cmyk"], "a.jpg").image.mode == "CMYK"


def test_one_encoder_has_one_signature_and_another_quality_another():
    same = {seen(encoded(damage.picture(i, 64), "JPEG", quality=80), "a.jpg").image.encoder for i in range(4)}
    assert len(same) == 1
    assert seen(encoded(PICTURE, "JPEG", quality=81), "a.jpg").image.encoder not in same


def test_statistics_are_of_the_picture_whatever_the_mode():
    truth = np.asarray(PICTURE) / 255
    for name in ("plain", "progressive", "cmyk", "rgb"):
        image = seen(VALID[name], "a.jpg").image
        assert image.mean == pytest.approx(truth.mean(), abs=0.01)


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize(
    ("data", "kind", "severity"),
    [
        (PLAIN[: len(PLAIN) // 2], "truncated", "error"),
        (PLAIN[:-2], "missing-end", "error"),
        (PLAIN[:200], "truncated", "error"),
        (PLAIN[: len(PLAIN) // 2].ljust(len(PLAIN), b"\0"), "zeroed-tail", "error"),
        (PLAIN + b"<script>" * 4, "trailing-garbage", "warning"),
        (PLAIN + bytes(100), "padding", "info"),
        (PLAIN + PLAIN + b"\n", "appended", "info"),
        (JUNK, "extraneous-bytes", "info"),
        (PLAIN[:20] + b"\xff\0" + PLAIN[20:], "extraneous-bytes", "info"),
        (PLAIN[:-2] + b"\x12" * 30 + PLAIN[-2:], "extraneous-bytes", "warning"),
        (PLAIN[:-2] + b"\x12" * 500 + PLAIN[-2:], "damaged-scan", "error"),
    ],
)
def test_damage_is_named(data, kind, severity):
    found = seen(data, "a.jpg")
    assert [(flaw.kind, flaw.severity) for flaw in found.flaws] == [(kind, severity)]


@pytest.mark.usefixtures("decoder")
def test_a_marker_without_meaning_is_skipped():
    assert kinds(seen(HEAD + b"\xff\x01" + SCAN, "a.jpg")) == []  # TEM, at which Pillow stops


def test_a_large_file_is_not_walked_in_python(monkeypatch):
    monkeypatch.setattr(jpeg_decode, "MAX_WALKED_BYTES", 100)
    assert kinds(seen(PLAIN, "a.jpg")) == []
    monkeypatch.setattr(jpeg_decode, "simplejpeg", None)
    found = seen(PLAIN, "a.jpg")
    assert kinds(found) == ["partly-checked"]
    assert alarms(found) == []
    assert found.image.similarity is not None


def test_junk_between_segments_keeps_the_picture():
    found = seen(JUNK, "a.jpg")
    assert found.image.similarity == seen(PLAIN, "a.jpg").image.similarity
    assert found.content == seen(PLAIN, "a.jpg").content


def test_content_ignores_metadata_and_nothing_else():
    with_exif = encoded(PICTURE, "JPEG", quality=88, exif=EXIF)
    assert seen(with_exif, "a.jpg").content == seen(PLAIN, "a.jpg").content
    assert seen(encoded(PICTURE, "JPEG", quality=87), "a.jpg").content != seen(PLAIN, "a.jpg").content


def with_size(data: bytes, width: int, height: int) -> bytes:
    at = data.find(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


@pytest.mark.parametrize("settings", [QUICK, NORMAL, DEEP])
def test_sizes_that_cannot_be_are_told_before_anything_is_decoded(settings):
    assert kinds(seen(with_size(PLAIN, 65000, 65000), "a.jpg", settings)) == ["declared-size"]
    assert kinds(seen(with_size(PLAIN, 0, 96), "a.jpg", settings)) == ["declared-size"]
    small = InspectSettings(tier=settings.tier, max_pixels=5000)
    found = seen(PLAIN, "a.jpg", small)
    assert [flaw.rule for flaw in found.flaws] == ["unsafe-file"]
    assert found.image.mean is None


@pytest.mark.parametrize("frame", [0xC3, 0xC5, 0xCB])
def test_kinds_that_no_decoder_takes_are_not_called_corrupt(frame):
    found = seen(PLAIN.replace(b"\xff\xc0", bytes((0xFF, frame))), "a.jpg")
    assert alarms(found) == []
    assert kinds(found) == ["unsupported"]
    assert alarms(seen(PLAIN.replace(b"\xff\xc0", bytes((0xFF, frame))), "a.jpg", DEEP)) == []


def test_damaged_metadata_is_worth_a_word():
    at = VALID["exif"].find(b"Exif\0\0") + 6
    broken = VALID["exif"][:at] + b"XXXX" + VALID["exif"][at + 4 :]
    assert kinds(seen(broken, "a.jpg")) == ["exif"]
    assert alarms(seen(broken, "a.jpg")) == []


def test_the_walk_in_python_says_what_libjpeg_says():
    simplejpeg = pytest.importorskip("simplejpeg")
    rng = random.Random(0)
    agreed = total = 0
    for _ in range(150):
        name = rng.choice(["plain", "progressive", "restarts", "4:4:4", "gray"])
        start = VALID[name].find(b"\xff\xda") + 12
        at = rng.randrange(start, len(VALID[name]) - 12)
        data = VALID[name][:at] + rng.randbytes(8) + VALID[name][at + 8 :]
        try:
            simplejpeg.decode_jpeg(data)
            says = None
        except ValueError as error:
            says = None if "Bogus" in str(error) else str(error)  # damaged headers, which Pillow refuses as well
        agreed += (scan_problem(data) is None) == (says is None)
        total += 1
    assert agreed >= 0.95 * total


def test_severity_is_worst_for_what_loses_data():
    assert all(flaw.severity is Severity.ERROR for flaw in seen(PLAIN[:1500], "a.jpg").flaws)
