"""Random changes to training batches, drawn anew for every sample from (seed, epoch, batch) and nothing else.

What moves pixels (shift, rotate, scale, hflip) is one affine map for each sample and one resampling, bilinear, with zeros
outside, as in Jaderberg et al. 2015 (torch's affine_grid and grid_sample). Labels for each pixel move along, nearest
neighbour, with the ignored label outside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from dltool.core.errors import DataError, Problem
from dltool.data.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Strengths, 0 for what is not asked for; the order of the spec does not matter, an affine map is one step."""

    shift_pixels: int = 0
    rotate_degrees: float = 0.0
    scale_ratio: float = 0.0
    brightness_ratio: float = 0.0
    hflip_probability: float = 0.0
    noise_std: float = 0.0

    @property
    def moves_pixels(self) -> bool:
        """Whether any of shift, rotate, scale and hflip is asked for."""
        return bool(self.shift_pixels or self.rotate_degrees or self.scale_ratio or self.hflip_probability)

    @property
    def needs_images(self) -> bool:
        """Whether anything but noise is asked for."""
        return self.moves_pixels or bool(self.brightness_ratio)


def check_augmentation(augmentation: Augmentation, layout: Layout, sample_shape: tuple[int, ...], *, variable: bool) -> None:
    """See that the data is of a kind that can be changed so.

    Raises:
        DataError: pixels of something that is no image, or noise on whole numbers that an embedding looks up.
    """
    problems = []
    is_image = len(sample_shape) in (2, 3) and not variable and layout is not Layout.TOKENS
    if augmentation.needs_images and not is_image:
        shape = "sequences of unequal length" if variable else f"samples of shape {sample_shape}"
        message = f"shift, rotate, scale, brightness and hflip change images, and these are {shape}"
        problems.append(Problem(message=message, key="augment", expected="(height, width) or (channels, height, width)"))
    if augmentation.noise_std and layout is Layout.TOKENS:
        problems.append(
            Problem(message="noise cannot be added to the whole numbers that an embedding looks up", key="augment")
        )
    if augmentation.noise_std and variable:
        problems.append(
            Problem(message="noise is not added to padded sequences: it would fill their padding", key="augment")
        )
    if problems:
        raise DataError(*problems)


def change_pixels(
    augmentation: Augmentation, inputs: Tensor, draw: Generator
) -> tuple[Tensor, Callable[[Tensor, int], Tensor] | None]:
    """Change images (N, C, H, W) or (N, H, W), float; also returns how labels (N, H, W) move along, if pixels moved."""
    images = inputs if inputs.ndim == 4 else inputs.unsqueeze(1)
    move = None
    if augmentation.moves_pixels:
        maps = _affine_maps(augmentation, len(images), images.shape[-2:], draw)
        grid = F.affine_grid(maps, list(images.shape), align_corners=False)
        images = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

        def move(labels: Tensor, ignored: int) -> Tensor:
            above_zero = (labels - ignored).float().unsqueeze(1)  # so that the zeros outside come out as the ignored label
            moved = F.grid_sample(above_zero, grid, mode="nearest", padding_mode="zeros", align_corners=False)
            return moved.squeeze(1).round().long() + ignored

    if augmentation.brightness_ratio:
        spread = augmentation.brightness_ratio
        images = images * (1 + spread * _uniform(len(images), draw)).reshape(-1, 1, 1, 1)
    return (images if inputs.ndim == 4 else images.squeeze(1)), move


def add_noise(inputs: Tensor, std: float, draw: Generator) -> Tensor:
    """Inputs plus N(0, std²)."""
    return inputs + std * torch.randn(inputs.shape, generator=draw)


def _uniform(n: int, draw: Generator) -> Tensor:
    """Between -1 and 1."""
    return torch.rand(n, generator=draw) * 2 - 1


def _affine_maps(augmentation: Augmentation, n: int, size: Sequence[int], draw: Generator) -> Tensor:
    """(n, 2, 3) maps from output to input coordinates, each axis from -1 to 1; rotation is in pixels, also where H ≠ W.

    Every strength draws its numbers, asked for or not, so that adding one does not change another.
    """
    height, width = size
    angle = _uniform(n, draw) * math.radians(augmentation.rotate_degrees)
    zoom = 1 + _uniform(n, draw) * augmentation.scale_ratio
    across = _uniform(n, draw) * augmentation.shift_pixels * 2 / width
    down = _uniform(n, draw) * augmentation.shift_pixels * 2 / height
    mirror = torch.where(torch.rand(n, generator=draw) < augmentation.hflip_probability, -1.0, 1.0)
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    rows = [
        torch.stack([mirror * cosine, -mirror * sine * height / width, across], dim=1),
        torch.stack([sine * width / height, cosine, down], dim=1),
    ]
    return torch.stack(rows, dim=1)
