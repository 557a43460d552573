"""Synthetic data, drawn from the spec's seed. ``n`` is the number of samples."""

from typing import Annotated, ClassVar

from pydantic import Field

from dltool.specs.schema.base import Family, Named
from dltool.specs.schema.types import Count, NonNegative, Positive

Classes = Annotated[int, Field(strict=True, ge=2)]


class Generator(Named):
    """Base of every generator."""

    first: ClassVar[str | None] = "n"
    n: Count = 500


class Blobs(Generator):
    """One normal cloud of standard deviation ``spread`` around a random centre for each class."""

    kind: ClassVar[str] = "blobs"
    features: Count = 2
    classes: Classes = 3
    spread: Positive = 1.0


class Circles(Generator):
    """Two classes: a circle within a circle of radius 1; ``factor`` is the inner radius."""

    kind: ClassVar[str] = "circles"
    noise: NonNegative = 0.1
    factor: Annotated[float, Field(strict=True, gt=0, lt=1, allow_inf_nan=False)] = 0.5


class Moons(Generator):
    """Two classes: half circles that reach into each other."""

    kind: ClassVar[str] = "moons"
    noise: NonNegative = 0.1


class Spirals(Generator):
    """One arm of a spiral for each class."""

    kind: ClassVar[str] = "spirals"
    classes: Classes = 2
    turns: Positive = 1.0
    noise: NonNegative = 0.05


class Xor(Generator):
    """Two classes in four corners of a square: no line parts them."""

    kind: ClassVar[str] = "xor"
    noise: NonNegative = 0.1


class LinearTarget(Generator):
    """Regression: a random linear function of normal ``features``, plus ``noise``."""

    kind: ClassVar[str] = "linear"
    features: Count = 5
    noise: NonNegative = 0.1


class Sinusoid(Generator):
    """Regression: the sine of a random projection of ``features``, plus ``noise``."""

    kind: ClassVar[str] = "sinusoid"
    features: Count = 1
    noise: NonNegative = 0.1


GENERATORS: tuple[type[Generator], ...] = (Blobs, Circles, Moons, Spirals, Xor, LinearTarget, Sinusoid)

GENERATOR = Family("a synthetic data set", lambda: GENERATORS)
AnyGenerator = Annotated[Generator, GENERATOR]
