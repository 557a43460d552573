"""Forward mechanisms against what torch really does: small steps, traced, and the cause that a person would name."""

import math

import pytest
import torch
import torch.nn.functional as F
from traced_events import event_of, weights

from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.registry import explain

INF = math.inf
HALF, BF16 = torch.float16, torch.bfloat16
ONE, TWO = weights(1.0), weights(1.0, 2.0)
SCORES = weights([1.0, 2.0], [3.0, 4.0])
MASK = torch.tensor([[True, True], [False, True]])
IGNORED = torch.tensor([-100, -100])


def layer_norm_without_eps(w):
    return F.layer_norm(w.expand(2, 1).transpose(0, 1), (2,), eps=0.0)


def less_its_maximum(scores):
    return scores - scores.amax(-1, keepdim=True)


FORWARD = {
    "0/0": (lambda w: w / torch.tensor([1.0, 0.0]), weights(1.0, 0.0), "divisor-of-zero", "0 / 0 is NaN"),
    "x/0": (lambda w: w / torch.tensor([1.0, 0.0]), TWO, "divisor-of-zero", "a division by 0: 2 / 0 is Inf"),
    "-x/0": (lambda w: w / torch.tensor([0.0]), weights(-2.0), "divisor-of-zero", "-2 / 0 is -Inf"),
    "x/literal 0": (lambda w: w / 0, ONE, "divisor-of-zero", "1 / 0 is Inf"),
    "1/x": (lambda w: 1 / w, weights(1.0, 0.0), "divisor-of-zero", "1 / 0 is Inf"),
    "remainder": (lambda w: torch.remainder(w, torch.tensor([0.0])), ONE, "divisor-of-zero", "remainder by 0 is NaN"),
    "normalised zeros": (lambda w: w / w.norm(), weights(0.0, 0.0), "divisor-of-zero", "a norm, and every component is 0"),
    "masked mean": (lambda w: (w * 0).sum() / torch.zeros(2).sum(), TWO, "divisor-of-zero", "nothing was selected"),
    "count of nothing": (
        lambda w: (w * 0).sum() / (w > 9).sum(),
        TWO,
        "divisor-of-zero",
        "the divisor is a count, and nothing was counted",
    ),
    "half eps": (
        lambda w: w / (w + 1e-8),
        weights(0.0, dtype=HALF),
        "divisor-of-zero",
        "in float16 an eps below 3e-08 is 0",
    ),
    "addcdiv": (lambda w: torch.addcdiv(w, w, torch.zeros(1)), ONE, "divisor-of-zero", "1 / 0 is Inf"),
    "log 0": (torch.log, weights(1.0, 0.0), "edge-of-domain", "log of 0 is -Inf"),
    "log2 0": (torch.log2, weights(0.0), "edge-of-domain", "log2 of 0 is -Inf"),
    "log -2": (torch.log, weights(1.0, -2.0), "outside-domain", "log of -2 is NaN: it is defined from 0 on"),
    "log1p -1": (torch.log1p, weights(-1.0), "edge-of-domain", "log1p of -1 is -Inf"),
    "sqrt -1": (torch.sqrt, weights(-1.0), "outside-domain", "sqrt of -1 is NaN: it is defined from 0 on"),
    "sqrt just below": (torch.sqrt, weights(-1e-7), "outside-domain", "as rounding leaves it"),
    "rsqrt 0": (torch.rsqrt, weights(0.0), "edge-of-domain", "rsqrt of 0 is Inf"),
    "acos 1.5": (torch.acos, weights(1.5), "outside-domain", "acos of 1.5 is NaN: it is defined from -1 to 1"),
    "acosh .5": (torch.acosh, weights(0.5), "outside-domain", "from 1 on"),
    "atanh 1": (lambda w: torch.atanh(torch.tanh(w)), weights(20.0), "edge-of-domain", "atanh of 1 is Inf"),
    "erfinv 2": (torch.erfinv, weights(2.0), "outside-domain", "erfinv of 2"),
    "logit 1": (torch.logit, weights(1.0), "edge-of-domain", "logit of 1"),
    "lgamma 0": (torch.lgamma, weights(0.0), "edge-of-domain", "poles"),
    "xlogy": (lambda w: torch.special.xlogy(w, w), weights(-1.0), "outside-domain", "logarithm of -1"),
    "kl of negative": (lambda w: F.kl_div(w, torch.tensor([-1.0]), reduction="sum"), ONE, "outside-domain", "of -1"),
    "-1 ** .5": (lambda w: w**0.5, weights(-1.0), "outside-domain", "-1 ** 0.5 is NaN"),
    "tensor power": (lambda w: w ** torch.tensor([0.5]), weights(-1.0), "outside-domain", "-1 ** 0.5 is NaN"),
    "0 ** -1": (lambda w: w**-1.5, weights(0.0), "divisor-of-zero", "0 ** -1.5 is a division by 0"),
    "exp": (torch.exp, weights(100.0), "overflow", "exp of 100 overflows float32"),
    "expm1": (torch.expm1, weights(100.0), "overflow", "expm1 of 100"),
    "cosh": (torch.cosh, weights(-100.0), "overflow", "cosh of -100"),
    "half exp": (torch.exp, weights(12.0, dtype=HALF), "overflow", "exp of 12 overflows float16, which ends at 6.55e+04"),
    "naive softmax": (lambda w: torch.exp(w) / torch.exp(w).sum(), weights(100.0, 1.0), "overflow", "exp of 100"),
    "square": (lambda w: w**2, weights(1e30), "overflow", "1e+30 ** 2 overflows float32"),
    "product": (lambda w: w * 1e30, weights(1e30), "overflow", "1e+30 × 1e+30"),
    "bf16 product": (lambda w: w * 10, weights(3e38, dtype=BF16), "overflow", "overflows bfloat16"),
    "sum of two": (lambda w: w + 3e38, weights(3e38), "overflow", "3e+38 + 3e+38"),
    "sum": (torch.sum, weights(3e38, 3e38), "overflow", "sum over 2 values"),
    "half sum": (lambda w: (w * torch.ones(300, dtype=HALF)).sum(), weights(300.0, dtype=HALF), "overflow", "sum over 300"),
    "prod": (torch.prod, weights(2e20, 2e20), "overflow", "prod over 2 values"),
    "half cast": (lambda w: w.half(), weights(70000.0), "overflow", "converting 7e+04 overflows float16"),
    "half matmul": (
        lambda w: w.expand(2, 300) @ torch.full((300, 2), 20.0, dtype=HALF),
        weights(20.0, dtype=HALF),
        "overflow",
        "a sum of 300 products as large as 20 × 20, overflows float16",
    ),
    "matmul": (lambda w: w.expand(2, 2) @ torch.full((2, 2), 1e30), weights(1e30), "overflow", "a sum of 2 products"),
    "linear": (
        lambda w: F.linear(torch.full((1, 2), 3e38), w.expand(1, 2), torch.zeros(1)),
        weights(2.0),
        "overflow",
        "linear",
    ),
    "conv": (
        lambda w: F.conv2d(torch.full((1, 1, 4, 4), 1e30), w.expand(1, 1, 2, 2)),
        weights(1e30),
        "overflow",
        "4 products",
    ),
    "mse": (lambda w: F.mse_loss(w, torch.zeros(1)), weights(1e30), "overflow", "mse_loss of errors as large as 1e+30"),
    "half mse": (lambda w: F.mse_loss(w, torch.zeros(1, dtype=HALF)), weights(300.0, dtype=HALF), "overflow", "float16"),
    "layer norm of huge": (
        lambda w: F.layer_norm(w, (3,)),
        weights(1e30, 0.0, 1.0),
        "overflow",
        "the square of values as large as 1e+30 in layer_norm",
    ),
    "layer norm eps 0": (layer_norm_without_eps, ONE, "eps-of-zero", "because its eps is 0"),
    "masked row": (lambda w: w.masked_fill(MASK, -INF).softmax(-1), SCORES, "fully-masked-row", "fully masked"),
    "masked log row": (lambda w: w.masked_fill(MASK, -INF).log_softmax(-1), SCORES, "fully-masked-row", "fully masked"),
    "masked by hand": (
        lambda w: less_its_maximum(w.masked_fill(MASK, -INF)),
        SCORES,
        "fully-masked-row",
        "subtracting its maximum",
    ),
    "mean of nothing": (lambda w: w[w > 9].mean(), TWO, "empty-reduction", "mean over no elements is 0 / 0"),
    "mse of nothing": (lambda w: F.mse_loss(w[w > 9], torch.ones(0)), TWO, "empty-reduction", "shape (0)"),
    "pool of nothing": (lambda w: w[w > 9].reshape(0, 1).mean(0), TWO, "empty-reduction", "shape (0, 1)"),
    "all ignored": (
        lambda w: F.cross_entropy(w, IGNORED),
        SCORES,
        "all-targets-ignored",
        "every target is the ignored one (-100)",
    ),
    "weights of 0": (
        lambda w: F.cross_entropy(w, torch.tensor([0, 0]), weight=torch.tensor([0.0, 1.0])),
        SCORES,
        "class-weights-of-zero",
        "add up to 0",
    ),
    "var of one": (lambda w: w.var(), ONE, "variance-of-one", "the var of 1 value divides by 1 - 1"),
    "std over rows": (lambda w: w[:1].std(0), SCORES, "variance-of-one", "the std of 1 value"),
    "singular": (lambda w: torch.linalg.slogdet(w)[1], weights([0.0, 0.0], [0.0, 0.0]), "singular-matrix", "singular"),
    "deliberate": (lambda w: w.masked_fill(MASK[0], -INF), TWO, "deliberate-value", "written on purpose by masked_fill"),
    "ctc": (
        lambda w: F.ctc_loss(
            w.log_softmax(-1).reshape(2, 1, 2), torch.tensor([[1, 1]]), torch.tensor([2]), torch.tensor([2])
        ),
        SCORES,
        "no-alignment",
        "no alignment exists",
    ),
}


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize(("function", "weight", "mechanism", "said"), FORWARD.values(), ids=FORWARD)
def test_forward(function, weight, mechanism, said):
    found = explain(Case(event_of(function, weight)))
    assert (found.mechanism, said in found.cause) == (mechanism, True), found.cause
    assert found.advice
