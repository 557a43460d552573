"""Image files that are decoded when they are asked for, by several threads, and kept as bytes while memory allows."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dltool.core.errors import DataError, Location, Problem

if TYPE_CHECKING:
    from torch import Tensor

CACHE_BYTES = 512 * 2**20
"""Decoded pixels kept in memory at the most, over all files of a folder."""
THREADS = min(8, os.cpu_count() or 1)


class PixelCache:
    """The first files of a folder, decoded, uint8; the rest is decoded at every use.

    A fixed part and no eviction: an epoch passes over all files, so the least recently used is the one needed next.
    """

    def __init__(self, files: int, shape: tuple[int, int, int], limit_bytes: int = CACHE_BYTES) -> None:
        kept = min(files, limit_bytes // int(np.prod(shape)))
        self._pixels = np.empty((kept, *shape), dtype=np.uint8)
        self.filled = np.zeros(kept, dtype=bool)
        self.resized = False

    def holds(self, index: int) -> bool:
        """Whether the file at ``index`` is there."""
        return index < len(self.filled) and bool(self.filled[index])

    def pixels(self, index: int) -> Tensor:
        """The pixels of a file that is there."""
        import torch

        return torch.from_numpy(self._pixels[index])

    def put(self, index: int, pixels: Tensor) -> None:
        """Keep the pixels of the file at ``index``, if it is among those that are kept."""
        if index < len(self.filled):
            self._pixels[index] = pixels.numpy()
            self.filled[index] = True


class ImageFiles:
    """Files of one folder and the part of them that one split uses; ``shape`` is (channels, height, width)."""

    def __init__(
        self,
        paths: Sequence[Path],
        shape: tuple[int, int, int],
        cache: PixelCache | None = None,
        index: NDArray[np.int64] | None = None,
    ) -> None:
        self.shape = shape
        self._paths = paths
        self._cache = PixelCache(len(paths), shape) if cache is None else cache
        self._index = np.arange(len(paths), dtype=np.int64) if index is None else index

    def __len__(self) -> int:
        return len(self._index)

    def take(self, index: NDArray[np.int64]) -> ImageFiles:
        """Some of the files; the cache is shared."""
        return ImageFiles(self._paths, self.shape, self._cache, self._index[index])

    @property
    def resized(self) -> bool:
        """Whether a file that was read so far had another size."""
        return self._cache.resized

    def path(self, position: int) -> Path:
        """The file at ``position`` of this split."""
        return self._paths[int(self._index[position])]

    def read(self, positions: Sequence[int]) -> Tensor:
        """Pixels (len(positions), channels, height, width) uint8.

        Raises:
            DataError: files that cannot be decoded, all of them.
        """
        pixels, problems = self.try_read(positions)
        if problems:
            raise DataError(*problems)
        return pixels

    def try_read(self, positions: Sequence[int]) -> tuple[Tensor, list[Problem]]:
        """As ``read``, with zeros in place of what cannot be decoded, and why it cannot."""
        import torch

        wanted = [int(self._index[position]) for position in positions]
        batch = torch.zeros((len(wanted), *self.shape), dtype=torch.uint8)
        absent = []
        for at, index in enumerate(wanted):
            if self._cache.holds(index):
                batch[at] = self._cache.pixels(index)
            else:
                absent.append((at, index))
        problems: list[Problem] = []
        if absent:
            for (at, index), decoded in zip(absent, self._decode_all([index for _, index in absent]), strict=True):
                if isinstance(decoded, Problem):
                    problems.append(decoded)
                else:
                    batch[at], was_resized = decoded
                    self._cache.put(index, batch[at])
                    self._cache.resized |= was_resized
        return batch, problems

    def _decode_all(self, wanted: Sequence[int]) -> list[tuple[Tensor, bool] | Problem]:
        from PIL import Image

        paths = [self._paths[index] for index in wanted]
        with warnings.catch_warnings(), ThreadPoolExecutor(min(THREADS, len(paths))) as pool:
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return list(pool.map(lambda path: decode(path, self.shape), paths))


def decode(path: Path, shape: tuple[int, int, int]) -> tuple[Tensor, bool] | Problem:
    """One file as uint8 (channels, height, width), and whether it had to be resized; a Problem where decoding fails."""
    import torch
    from PIL import Image

    channels, height, width = shape
    try:
        with Image.open(path) as image:
            picture = image.convert("L" if channels == 1 else "RGB")
            resized = picture.size != (width, height)
            if resized:
                picture = picture.resize((width, height), Image.Resampling.BILINEAR)
            pixels: Any = np.array(picture, dtype=np.uint8)
    except Exception as error:  # noqa: BLE001 - on corrupt bytes decoders raise whatever their parsers do
        return Problem(message=f"not a readable image: {error}", location=Location(file=str(path)))
    return torch.from_numpy(pixels.reshape(height, width, channels)).permute(2, 0, 1), resized
