"""How outputs and targets are laid out before a loss sees them: nothing is ever broadcast silently."""

from __future__ import annotations

import torch
from torch import Tensor

from dltool.specs.misfit import MisfitError, shape_text


def same_shape(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Output and target in one shape and type, for losses of value against value.

    (N, 1) against (N,) is the same number of values and is reshaped; (N, 1) against (N, 5) would broadcast to numbers that
    nobody asked for, and is an error.
    """
    if output.shape != target.shape:
        if _without_last_one(output) != _without_last_one(target):
            raise MisfitError(
                "output and target have different shapes",
                value=f"output {shape_text(output.shape)}, target {shape_text(target.shape)}",
                expected="the same shape (the last layer's size is the number of targets)",
            )
        output = output.reshape(target.shape)
    common = torch.promote_types(output.dtype, target.dtype if target.is_floating_point() else torch.float32)
    return output.to(common), target.to(common)


def _without_last_one(tensor: Tensor) -> tuple[int, ...]:
    shape = tuple(tensor.shape)
    return shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape


def class_scores(output: Tensor, target: Tensor, *, channels_last: bool = False) -> tuple[Tensor, Tensor]:
    """Scores as (N, C, ...) and class indices as (N, ...), or class shares as (N, C, ...), the way torch wants them.

    Scores for each step of a sequence, (N, T, C) against (N, T), have their classes moved to dimension 1;
    ``channels_last`` decides where T equals C and both readings fit. Indices (N, 1) lose their last dimension.
    """
    shape, wanted = tuple(output.shape), tuple(target.shape)
    if target.is_floating_point():
        if shape != wanted:
            raise _no_fit(output, target, "class shares of the output's own shape")
        order = torch.promote_types(output.dtype, target.dtype)
        output, target = output.to(order), target.to(order)
        return (output.movedim(-1, 1), target.movedim(-1, 1)) if channels_last and len(shape) > 2 else (output, target)
    if len(wanted) > 1 and wanted[-1] == 1 and len(wanted) == len(shape):
        target, wanted = target.squeeze(-1), wanted[:-1]
    first = len(shape) >= 2 and (shape[0], *shape[2:]) == wanted
    last = len(shape) >= 2 and shape[:-1] == wanted
    if last and (channels_last or not first):
        output = output.movedim(-1, 1)
    elif not first:
        raise _no_fit(output, target, "output (N, classes) with labels (N,); (N, classes, H, W) with labels (N, H, W)")
    return output, target.long()


def _no_fit(output: Tensor, target: Tensor, expected: str) -> MisfitError:
    hint = "; add `flatten` before the last layer" if target.dim() == 1 and output.dim() > 2 else ""
    return MisfitError(
        f"the output does not fit the labels{hint}",
        value=f"output {shape_text(output.shape)}, labels {shape_text(target.shape)}",
        expected=expected,
    )


def parts(output: Tensor, count: int, kind: str) -> tuple[Tensor, ...]:
    """The output cut into ``count`` equal parts along its last dimension."""
    if output.shape[-1] % count:
        raise MisfitError(
            f"{kind} cuts the output into {count} along its last dimension",
            value=shape_text(output.shape),
            expected=f"a last dimension that {count} divides",
        )
    return output.chunk(count, dim=-1)
