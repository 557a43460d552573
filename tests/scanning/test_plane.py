import io

import numpy as np
import pytest
import torch
from PIL import Image

from dltool.diagnostics.scan import picture_probe
from dltool.diagnostics.scan.options import ScanOptions
from dltool.scanning.plane import SIDE, inspect_plane, plane_of, unpacked
from dltool.scanning.pool import Job
from dltool.scanning.record import Item
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import BytesSource

CRASHES = """
import os
from dltool.scanning.plane import inspect_plane

def inspect(source, settings):
    if source.name.startswith("crash"):
        os.abort()
    return inspect_plane(source, settings)
"""


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (32, 32), (50, 77), (64, 40, 3), (31, 33, 4)])
def test_a_plane_is_what_torch_pools_adaptively(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    wide = torch.from_numpy(pixels.astype(np.float64)) / 255
    wide = wide.mean(2) if wide.ndim == 3 else wide
    expected = torch.nn.functional.adaptive_avg_pool2d(wide[None], SIDE)[0].numpy()
    np.testing.assert_allclose(plane_of(pixels), expected, rtol=1e-6)


def test_a_single_nan_is_not_averaged_away_nor_spread():
    pixels = np.ones((320, 320), np.float32)
    pixels[7, 311] = np.nan
    assert np.argwhere(np.isnan(plane_of(pixels))).tolist() == [[0, 31]]


def test_what_cannot_be_decoded_has_no_numbers():
    made = io.BytesIO()
    Image.new("CMYK", (5, 7), (0, 255, 255, 0)).save(made, "JPEG")
    red = inspect_plane(BytesSource(made.getvalue(), "a.jpg"), InspectSettings()).numbers
    assert unpacked(red) == pytest.approx(np.full((SIDE, SIDE), 1 / 3), abs=0.02)
    assert inspect_plane(BytesSource(made.getvalue()[:90], "a.jpg"), InspectSettings()).numbers == b""


def test_a_decoder_that_crashes_in_the_probe_costs_one_sample(tmp_path, monkeypatch):
    (tmp_path / "crashing_planes.py").write_text(CRASHES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(picture_probe, "INSPECTOR", "crashing_planes:inspect")
    jobs = []
    for at, name in enumerate(["a.png", "crash.png", "z.png"]):
        Image.new("L", (9, 9), 40 * at).save(tmp_path / name)
        jobs.append(Job(Item(at, name, str(tmp_path / name)), 100))
    probed = picture_probe.probe_pictures(jobs, "set", ScanOptions(workers=1))
    assert (probed.samples, probed.not_probed, probed.bad) == (2, 1, ())
