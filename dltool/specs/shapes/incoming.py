"""What reaches a layer."""

from __future__ import annotations

from dataclasses import dataclass

from dltool.specs.misfit import MisfitError, shape_text
from dltool.specs.schema.base import Target
from dltool.specs.schema.model import Layered


@dataclass(frozen=True, slots=True)
class Incoming:
    """One sample's shape, and whether its first dimension is time.

    ``sequence`` holds behind layers that make or keep sequences (embedding, recurrent, attention); ``padded`` where the
    batch comes with lengths.
    """

    shape: tuple[int, ...]
    sequence: bool = False
    padded: bool = False
    integers: bool = False


def incoming_of(model: Layered | Target, data: Incoming) -> Incoming:
    """What reaches the model: samples as the data have them.

    Raises:
        MisfitError: ``model.input`` says otherwise.
    """
    given = model.input if isinstance(model, Layered) else None
    if given is not None and not data.padded and given != data.shape:
        raise MisfitError(
            "the data have samples of another shape",
            value=shape_text(given),
            expected=f"{shape_text(data.shape)}, or leave it out and start with `reshape`",
        )
    return data
