"""What every layer has."""

from pydantic import Field

from dltool.specs.schema.base import Named
from dltool.specs.schema.initialisers import LayerInit
from dltool.specs.schema.types import Flag, NonNegative


class Layer(Named):
    """A layer of a model; ``name`` is its module's name (its position in the list where absent)."""

    name: str | None = Field(default=None, strict=True, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", examples=["head"])


class Weighted(Layer):
    """A layer with weights: ``init``, its own L2 coefficient, and whether it is kept as it is."""

    init: LayerInit | None = None
    l2: NonNegative | None = None
    frozen: Flag = False
