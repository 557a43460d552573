"""The model: layers in order, how they start, and which weights they take over."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from dltool.specs.schema.base import TARGET_KEY, SpecModel, Target
from dltool.specs.schema.initialisers import LayerInit
from dltool.specs.schema.layers import AnyLayer
from dltool.specs.schema.types import Count, FilePath, Name


class Pretrained(SpecModel):
    """Weights from a safetensors file; patterns are shell-style and match module paths (``residual*``)."""

    weights: FilePath
    freeze: tuple[Name, ...] = ()
    """Modules that are not trained."""
    skip: tuple[Name, ...] = ()
    """Modules that keep their own start, such as a new head."""


class Layered(SpecModel):
    """A model as a list of layers."""

    input: tuple[Count, ...] | None = None
    """One sample's shape; inferred from the data when absent."""
    init: LayerInit | None = None
    layers: tuple[AnyLayer, ...] = Field(min_length=1)
    pretrained: Pretrained | None = None


def _kind_of_model(form: Any) -> str:
    is_target = isinstance(form, Target) or (isinstance(form, Mapping) and TARGET_KEY in form)
    return TARGET_KEY if is_target else "layered"


Model = Annotated[Annotated[Layered, Tag("layered")] | Annotated[Target, Tag(TARGET_KEY)], Discriminator(_kind_of_model)]
