import io

import numpy as np
import pytest
from PIL import Image

from dltool.core.errors import DataError
from dltool.data import image_files
from dltool.data.image_files import ImageFiles
from dltool.data.sources.images import read_images


def draw(path, value, size=(4, 3), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


@pytest.fixture
def folder(tmp_path):
    for index in range(5):
        draw(tmp_path / "cat" / f"{index}.png", (index, 10, 20))
    draw(tmp_path / "dog" / "deep" / "a.PNG", (200, 0, 0))
    (tmp_path / "dog" / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden").mkdir()
    return tmp_path


def message(call):
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


def test_a_folder_for_each_class(folder):
    table = read_images(folder)
    assert table.targets.tolist() == ["cat"] * 5 + ["dog"]
    assert table.inputs.shape == (3, 3, 4)
    pixels = table.inputs.read([5, 2])
    assert pixels.shape == (2, 3, 3, 4)
    assert pixels[:, :, 0, 0].tolist() == [[200, 0, 0], [2, 10, 20]]


def test_size_and_channels(folder):
    table = read_images(folder, size=(6, 8), channels=1)
    assert table.inputs.read([0]).shape == (1, 1, 6, 8)
    assert table.inputs.resized


def test_files_of_another_size_are_resized_and_known(folder):
    table = read_images(folder)
    table.inputs.read([0])
    assert not table.inputs.resized
    draw(folder / "dog" / "big.png", (1, 2, 3), size=(40, 30))
    table = read_images(folder)
    assert table.inputs.read(range(7)).shape == (7, 3, 3, 4)
    assert table.inputs.resized


@pytest.mark.parametrize("limit", [0, 3 * 36, 10**6])
def test_the_cache_changes_nothing_but_speed(folder, limit):
    paths = sorted(folder.rglob("*.png"))
    cache = image_files.PixelCache(len(paths), (3, 3, 4), limit)
    files = ImageFiles(paths, (3, 3, 4), cache)
    first = files.read([4, 0, 3])
    for path in paths:
        draw(path, (77, 77, 77))
    assert len(cache.filled) == min(len(paths), limit // 36)
    again = files.read([4, 0, 3])
    assert (again[1] == first[1]).all() == (limit > 0)
    assert (again[0] == first[0]).all() == (limit > 10**5)


def test_a_part_shares_the_cache(folder):
    files = read_images(folder).inputs
    part = files.take(np.array([5, 1])).take(np.array([1]))
    assert part.path(0).name == "1.png"
    assert part.read([0])[0, 0, 0, 0] == 1


def corrupt(kind, tmp_path):
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("damage", ["empty", "text", "cut-png", "cut-jpeg", "flipped-png"])
def test_corrupt_files_are_named(folder, damage):
    png, jpeg = corrupt("PNG", folder), corrupt("JPEG", folder)
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 0xFF
    content = {"empty": b"", "text": b"hello", "cut-png": png[:2000], "cut-jpeg": jpeg[:1500], "flipped-png": bytes(flipped)}
    (folder / "cat" / "bad.png").write_bytes(content[damage])
    files = read_images(folder).inputs
    found = message(lambda: files.read(range(len(files))))
    assert f"{folder}/cat/bad.png: not a readable image" in found
    pixels, problems = files.try_read(range(len(files)))
    assert len(problems) == 1
    assert pixels[5].sum() == 0


def test_decompression_bombs_are_refused(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    draw(folder / "cat" / "bomb.png", 1, size=(12, 10), mode="L")
    files = read_images(folder).inputs
    assert "decompression bomb" in message(lambda: files.read(range(len(files))))


def test_palette_images_with_transparency_do_not_warn(folder):
    Image.new("P", (4, 3)).save(folder / "cat" / "palette.png", transparency=b"\x00\x01")
    files = read_images(folder).inputs
    assert files.read(range(len(files))).shape[0] == 7


def test_folders_that_do_not_fit(tmp_path):
    assert "no such file" in message(lambda: read_images(tmp_path / "nowhere"))
    assert "has no subfolders" in message(lambda: read_images(tmp_path))
    (tmp_path / "cat").mkdir()
    assert "hold no image: cat" in message(lambda: read_images(tmp_path))
    (tmp_path / "cat" / "a.png").write_bytes(b"")
    assert "not a readable image" in message(lambda: read_images(tmp_path))
    assert "is not a folder" in message(lambda: read_images(tmp_path / "cat" / "a.png"))
