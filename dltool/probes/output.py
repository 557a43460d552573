"""What the model returns: its final activation, its range, whether it differs from sample to sample."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from dltool.core.measured.task import Output
from dltool.probes.activations import Network
from dltool.probes.nested import Loss, Nested, Pair, batch_size, first_tensor, place, transform
from dltool.probes.preserve import device_of, evaluating

Expects = Literal["logits", "probabilities", "log-probabilities", "values", "unknown"]
MOST_SAMPLES = 512
SUM_TOLERANCE = 1e-3
SHIFT_TOLERANCE = 1e-4

VALUE_LOSSES = frozenset({"mse", "l1", "smooth_l1", "huber", "log_cosh", "gaussian_nll"})
LOGIT_LOSSES = frozenset(
    {"bce_with_logits", "multilabel_soft_margin", "soft_margin", "hinge", "multi_margin", "multilabel_margin"}
)


def output_of(
    model: nn.Module,
    criterion: Loss,
    batches: Iterable[Pair],
    *,
    initial_loss: float | None = None,
    limit: int = MOST_SAMPLES,
    dtype: torch.dtype | None = None,
) -> Output | None:
    """Look at the model's outputs for at most ``limit`` samples, in eval mode.

    ``spread_ratio`` is the standard deviation over samples (root mean square over units) over the root mean square of all
    outputs: 0 when every sample gets the same output. ``expected_initial_loss`` is what a classifier scores before it has
    learnt anything: every class equally likely (ln K for cross-entropy).

    Args:
        model: the model; left as it was.
        criterion: the loss.
        batches: (input, target) pairs.
        initial_loss: the loss of the first step, if it is known.
        limit: samples used at the most.
        dtype: floats are brought to it (the model's float64).

    Returns:
        None where there is no batch, or where the output is no floating-point tensor.
    """
    network = Network(model)
    found: list[Tensor] = []
    last: tuple[Nested, Nested] | None = None
    with evaluating(model):
        for batch in batches:
            inputs, targets = place(batch, device_of(model), dtype)
            with network.learning_places(batch_size(inputs)):
                output = model(inputs)
            tensor = first_tensor(output)
            if tensor is None or not tensor.is_floating_point() or not tensor.ndim:
                return None
            found.append(tensor.double())
            last = output, targets
            if sum(len(tensor) for tensor in found) >= limit:
                break
        if last is None:
            return None
        expects = loss_expects(criterion, *last)
        expected = _chance_loss(criterion, expects, *last)
    values = torch.cat([tensor.reshape(-1) for tensor in found])
    final = network.final()
    return Output(
        final_module=None if final is None else final.path,
        final_activation=None if final is None else final.activation,
        loss_expects=expects,
        rows_sum_to_one=_sum_to_one(found),
        non_negative=bool((values >= 0).all()),
        within_unit_interval=bool(((values >= 0) & (values <= 1)).all()),
        spread_ratio=_spread(found),
        initial_loss=initial_loss,
        expected_initial_loss=expected,
    )


def loss_expects(criterion: Loss, output: Nested, target: Nested) -> Expects:
    """What a loss takes the output for: by its name where that says it, else by how it treats made-up outputs.

    Cross-entropy of logits does not change when all of them are raised by one; that of probabilities does, unless they are
    all alike. Binary cross-entropy of logits tells 2 from 3; for probabilities neither exists.
    """
    if criterion.name in VALUE_LOSSES:
        return "values"
    if criterion.name in LOGIT_LOSSES:
        return "logits"
    if criterion.name in {"nll", "kl_div"}:
        return "log-probabilities"
    if criterion.name == "cross_entropy":
        return "logits" if _ignores_a_shift(criterion, output, target) else "probabilities"
    if criterion.name == "bce":
        two, three = _at(criterion, output, target, 2.0), _at(criterion, output, target, 3.0)
        return "probabilities" if two is None or two == three else "logits"
    return "unknown"


def _chance_loss(criterion: Loss, expects: Expects, output: Nested, target: Nested) -> float | None:
    tensor = first_tensor(output)
    assert tensor is not None
    classes = 1 if tensor.ndim < 2 else max(2, tensor.shape[_class_dim(tensor, target)])
    if expects == "logits":
        return _at(criterion, output, target, 0.0)
    if expects == "probabilities":
        return _at(criterion, output, target, 0.5 if criterion.name == "bce" else 1.0 / classes)
    if expects == "log-probabilities":
        return _at(criterion, output, target, -math.log(classes))
    return None


def _ignores_a_shift(criterion: Loss, output: Nested, target: Nested) -> bool:
    generator = torch.Generator().manual_seed(0)
    varied = transform(output, lambda t: torch.rand(t.shape, generator=generator).to(t))
    plain, raised = _loss_of(criterion, varied, target), _loss_of(criterion, transform(varied, lambda t: t + 1.0), target)
    if plain is None or raised is None:
        return plain is raised
    return math.isclose(plain, raised, rel_tol=SHIFT_TOLERANCE, abs_tol=SHIFT_TOLERANCE)


def _at(criterion: Loss, output: Nested, target: Nested, value: float) -> float | None:
    """The loss of an output that is ``value`` everywhere; None where the loss does not take it."""
    loss = _loss_of(criterion, transform(output, lambda t: torch.full_like(t, value)), target)
    return None if loss is None else round(loss, 5)


def _loss_of(criterion: Loss, output: Nested, target: Nested) -> float | None:
    try:
        loss = float(criterion(output, target))
    except (RuntimeError, ValueError):
        return None
    return loss if math.isfinite(loss) else None


def _class_dim(output: Tensor, target: Nested) -> int:
    labels = first_tensor(target)
    if output.ndim == 3 and labels is not None and labels.ndim == 2 and output.shape[:2] == labels.shape:
        return 2
    return 1


def _sum_to_one(outputs: list[Tensor]) -> bool | None:
    """Whether every row of at least two numbers is a distribution, along the dimension of classes (1, or the last)."""
    dims = {1, outputs[0].ndim - 1} - {0}
    wide = [dim for dim in sorted(dims) if outputs[0].ndim > 1 and outputs[0].shape[dim] > 1]
    if not wide:
        return None
    return any(
        all(bool((t >= 0).all()) and bool(((t.sum(dim) - 1).abs() < SUM_TOLERANCE).all()) for t in outputs) for dim in wide
    )


def _spread(outputs: list[Tensor]) -> float | None:
    """None for fewer than two samples, or where samples have outputs of unequal length."""
    if len({t.shape[1:] for t in outputs}) > 1 or sum(len(t) for t in outputs) < 2:
        return None
    values = torch.cat(outputs)
    size = float(values.square().mean().sqrt())
    return 0.0 if size == 0.0 else float(values.var(0, correction=0).mean().sqrt()) / size
