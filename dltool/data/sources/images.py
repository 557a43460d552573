"""A folder of images: one subfolder for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dltool.core.errors import DataError, Location, Problem
from dltool.data.image_files import ImageFiles
from dltool.data.table import Table, examples, missing_path

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm"})


def read_images(path: Path, *, size: tuple[int, int] | None = None, channels: int = 3) -> Table:
    """List the images below ``path``; they are decoded later. ``size`` is (height, width), the first image's when None.

    Files in nested subfolders belong to the class of the topmost one; hidden files and other suffixes are passed over.

    Raises:
        DataError: Pillow is missing, no such folder, no class folders, a class without images, a corrupt first image.
    """
    _require_pillow()
    if not path.is_dir():
        problem = Problem(message=f"{path} is not a folder", key="path") if path.exists() else missing_path(path, "path")
        raise DataError(problem)
    classes = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    files = {folder.name: _images_in(folder) for folder in classes}
    empty = [name for name, images in files.items() if not images]
    if not classes:
        raise DataError(
            Problem(message=f"{path} has no subfolders", key="path", expected="one folder of images for each class")
        )
    if empty:
        message = f"{len(empty)} class folders of {path} hold no image: {examples(empty)}"
        raise DataError(Problem(message=message, key="path", expected="files ending in " + ", ".join(sorted(SUFFIXES))))
    paths = [image for images in files.values() for image in images]
    shape = (channels, *(size or _first_size(paths)))
    return Table(
        path=str(path),
        inputs=ImageFiles(paths, shape),
        targets=np.array([name for name, images in files.items() for _ in images]),
        rows=np.arange(len(paths), dtype=np.int64),
        target_name="folder",
    )


def _images_in(folder: Path) -> list[Path]:
    found = (file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))
    return sorted(file for file in found if file.is_file())


def _first_size(paths: Sequence[Path]) -> tuple[int, int]:
    """Height and width of the first image that can be opened: damaged ones may be left out later, or are told then."""
    problem: DataError | None = None
    for path in paths:
        try:
            return _size_of(path)
        except DataError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _size_of(path: Path) -> tuple[int, int]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.height, image.width
    except Exception as error:  # noqa: BLE001 - on corrupt bytes decoders raise whatever their parsers do
        raise DataError(Problem(message=f"not a readable image: {error}", location=Location(file=str(path)))) from None


def _require_pillow() -> None:
    try:
        import PIL  # noqa: F401
    except ModuleNotFoundError:
        raise DataError(Problem(message="reading images needs Pillow: pip install 'dltool[images]'")) from None
