"""Random changes to training images (noise: to any input), drawn anew for every sample and epoch."""

from typing import Annotated, ClassVar

from pydantic import Field

from dltool.specs.schema.base import Family, Named
from dltool.specs.schema.types import Count, Positive, Ratio

Fraction = Annotated[float, Field(strict=True, gt=0, lt=1, allow_inf_nan=False)]


class Augmentation(Named):
    """Base of every augmentation."""


class Shift(Augmentation):
    """Moves the image by up to ``pixels`` along each side, the rest filled with zeros."""

    kind: ClassVar[str] = "shift"
    first: ClassVar[str | None] = "pixels"
    pixels: Count


class Rotate(Augmentation):
    """Turns the image by up to ``degrees`` either way."""

    kind: ClassVar[str] = "rotate"
    first: ClassVar[str | None] = "degrees"
    degrees: Annotated[float, Field(strict=True, gt=0, le=180, allow_inf_nan=False)]


class Scale(Augmentation):
    """Enlarges or shrinks by a factor from 1 - ``ratio`` to 1 + ``ratio``."""

    kind: ClassVar[str] = "scale"
    first: ClassVar[str | None] = "ratio"
    ratio: Fraction


class Brightness(Augmentation):
    """Multiplies by a factor from 1 - ``ratio`` to 1 + ``ratio``."""

    kind: ClassVar[str] = "brightness"
    first: ClassVar[str | None] = "ratio"
    ratio: Fraction


class HFlip(Augmentation):
    """Mirrors left and right with probability ``p``."""

    kind: ClassVar[str] = "hflip"
    first: ClassVar[str | None] = "p"
    p: Ratio = 0.5


class Noise(Augmentation):
    """Adds N(0, std²) to what the model sees."""

    kind: ClassVar[str] = "noise"
    first: ClassVar[str | None] = "std"
    std: Positive


AUGMENTATIONS: tuple[type[Augmentation], ...] = (Shift, Rotate, Scale, Brightness, HFlip, Noise)

AUGMENTATION = Family("an augmentation", lambda: AUGMENTATIONS)
AnyAugmentation = Annotated[Augmentation, AUGMENTATION]
