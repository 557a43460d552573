"""What Inf turns into, and bad gradients, against what torch really does."""

import math

import pytest
import torch
import torch.nn.functional as F
from traced_events import event_of, weights

from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.registry import explain

INF = math.inf
ONE, TWO = weights(1.0), weights(1.0, 2.0)
MASK = torch.tensor([[True, True], [False, True]])


FROM_INF = {
    "inf - inf": (lambda w: w.exp() - w.exp(), weights(100.0), "aten.sub.Tensor", "inf-minus-inf", "Inf - Inf is NaN"),
    "sum of both": (
        lambda w: (w.exp() * MASK.int().sub(0.5)).sum(),
        weights(100.0),
        "aten.sum.default",
        "inf-minus-inf",
        "3 Inf and 1 -Inf",
    ),
    "inf / inf": (lambda w: w.exp() / w.exp().sum(), weights(100.0, 1.0), "aten.div.Tensor", "inf-over-inf", "Inf / Inf"),
    "0 × inf": (lambda w: w.exp() * (w < 0), weights(100.0), "aten.mul.Tensor", "zero-times-inf", "0 × Inf is NaN"),
    "0 × -inf": (lambda w: w.log() * w, weights(0.0), "aten.mul.Tensor", "zero-times-inf", "0 × -Inf is NaN"),
    "sin": (lambda w: w.exp().sin(), weights(100.0), "aten.sin.default", "function-of-inf", "sin of Inf is NaN"),
    "matmul": (
        lambda w: w.exp().reshape(1, 2) @ torch.zeros(2, 1),
        weights(100.0, 100.0),
        "aten.mm.default",
        "inf-in-product",
        "Inf × 0 is NaN",
    ),
    "matmul signs": (
        lambda w: w.exp().reshape(1, 2) @ torch.tensor([[1.0], [-1.0]]),
        weights(100.0, 100.0),
        "aten.mm.default",
        "inf-in-product",
        "both signs",
    ),
    "softmax": (
        lambda w: w.exp().softmax(-1),
        weights(100.0, 1.0),
        "aten._softmax.default",
        "infinite-score",
        "+Inf reaches softmax",
    ),
    "unknown": (
        lambda w: w.exp().cumprod(0),
        weights(-200.0, 100.0),
        "aten.cumprod.default",
        "nan-from-inf",
        "made NaN of it",
    ),
    "constant": (lambda w: w * torch.tensor(INF), ONE, "aten.mul.Tensor", "bad-constant", "no parameter, buffer or input"),
}


@pytest.mark.parametrize(("function", "weight", "at", "mechanism", "said"), FROM_INF.values(), ids=FROM_INF)
def test_what_becomes_of_inf(function, weight, at, mechanism, said):
    found = explain(Case(event_of(function, weight, at=at)))
    assert (found.mechanism, said in found.cause) == (mechanism, True), found.cause
    assert found.advice


BACKWARD = {
    "sqrt": (torch.sqrt, weights(4.0, 0.0), "infinite-slope", "sqrt at 0 has an infinite slope"),
    "sqrt of a loss": (lambda w: F.mse_loss(w, w.detach()).sqrt(), ONE, "infinite-slope", "sqrt at 0"),
    "power": (lambda w: w**0.25, weights(0.0), "infinite-slope", "x ** 0.25 has an infinite slope at x = 0"),
    "tensor power": (lambda w: w ** torch.tensor([0.5]), weights(0.0), "infinite-slope", "x ** 0.5 has"),
    "acos": (torch.acos, weights(1.0), "infinite-slope", "acos at 1 and -1 has an infinite slope"),
    "asin": (torch.asin, weights(-1.0), "infinite-slope", "asin at 1 and -1"),
    "distance": (lambda w: ((w - w.detach()) ** 2).sum().sqrt(), TWO, "infinite-slope", "sqrt at 0"),
    "eigh": (lambda w: torch.linalg.eigh(torch.eye(2) * w)[1], ONE, "infinite-slope", "equal eigenvalues"),
    "where sqrt 0": (lambda w: torch.where(w > 0, w.sqrt(), 0.0), weights(4.0, 0.0), "unselected-branch", "arrives is 0"),
    "where sqrt -1": (lambda w: torch.where(w > 0, w.sqrt(), 0.0), weights(4.0, -1.0), "unselected-branch", "had given NaN"),
    "where log 0": (lambda w: torch.where(w > 0, w.log(), 0.0), weights(4.0, 0.0), "unselected-branch", "0 × Inf is NaN"),
    "where 1/0": (lambda w: torch.where(w > 0, 1 / w, 0.0), weights(4.0, 0.0), "unselected-branch", "had given Inf"),
    "where exp": (lambda w: torch.where(w < 10, w.exp(), w), weights(4.0, 100.0), "unselected-branch", "exp had given Inf"),
    "where acos": (lambda w: torch.where(w < 1, w.acos(), 0.0), weights(0.5, 2.0), "unselected-branch", "had given NaN"),
    "where power": (lambda w: torch.where(w > 0, w**0.5, 0.0), weights(4.0, -1.0), "unselected-branch", "had given NaN"),
    "mask by product": (lambda w: w.sqrt() * (w > 0), weights(4.0, 0.0), "unselected-branch", "multiplied by 0"),
    "quotient": (lambda w: 1e-10 / w, weights(1e-30), "overflow", "in the gradient of"),
    "logaddexp": (
        lambda w: torch.where(w > 9, w, torch.logaddexp(w.log(), w.log()).exp()),
        weights(0.0),
        "fully-masked-row",
        "both arguments are -Inf",
    ),
    "exponent of -1": (
        lambda w: torch.tensor([-1.0]) ** w,
        weights(2.0),
        "outside-domain",
        "a multiple of log(x), and x is -1",
    ),
    "hypot": (lambda w: torch.hypot(w, w), weights(0.0), "infinite-slope", "hypot at (0, 0) has no slope"),
    "xlogy": (lambda w: torch.special.xlogy(torch.zeros(1), w), weights(0.0), "infinite-slope", "xlogy at (0, 0)"),
    "abs": (lambda w: w.abs().sqrt(), weights(0.0), "infinite-slope", "sqrt at 0"),
}


@pytest.mark.parametrize(("function", "weight", "mechanism", "said"), BACKWARD.values(), ids=BACKWARD)
def test_backward(function, weight, mechanism, said):
    event = event_of(function, weight)
    assert event.phase == "backward"
    found = explain(Case(event))
    assert (found.mechanism, said in found.cause) == (mechanism, True), found.cause
    assert found.advice
