"""Large pictures are hashed and reduced in strips, to the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dltool.scanning.formats import pillow


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("size", [(301, 500), (90, 4001), (4001, 90)])
def test_strips_give_what_the_whole_gives(monkeypatch, mode, size):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    noise[: size[1] // 2] //= 3
    picture = Image.fromarray(noise).convert(mode)
    whole = pillow.look_at(picture), pillow.content_of(picture)
    monkeypatch.setattr(pillow, "WHOLE_PIXELS", 1000)
    monkeypatch.setattr(pillow, "STRIP_PIXELS", 5000)
    assert (pillow.look_at(picture), pillow.content_of(picture)) == whole


def test_a_fine_pattern_in_a_large_picture_is_not_flat(monkeypatch):
    monkeypatch.setattr(pillow, "WHOLE_PIXELS", 1000)
    checks = Image.fromarray((np.indices((224, 224)).sum(axis=0) % 2 * 255).astype(np.uint8))
    seen, _ = pillow.look_at(checks)
    assert seen is not None
    assert seen.span == 1
