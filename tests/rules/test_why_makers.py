"""What made an argument decides what is said of it: look-alikes on both sides, against what torch really does."""

import math

import pytest
import torch
import torch.nn.functional as F
from plain_events import INFINITE, bad, event, facts
from traced_events import event_of, updated, weights

from dltool.core.measured.non_finite import NonFiniteEvent
from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.registry import explain

INF, HALF = math.inf, torch.float16
ONE, TWO, EQUAL = weights(1.0), weights(1.0, 2.0), weights(2.0, 2.0, 2.0)
ROWS = weights([0.0, 0.0], [3.0, 4.0])


def told(function, weight, **more):
    return explain(Case(event_of(function, weight, **more)))


def mask_sum(w):
    kept = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    return (w * kept).sum(1) / kept.sum(1)


DIVISORS = {
    "std": (lambda w: (w - w.mean()) / w.std(), EQUAL, "spread (std) of 0", "x.var(dim) + 1e-5"),
    "var": (lambda w: (w - w.mean()) / w.var(), EQUAL, "spread (var) of 0", "x.var(dim) + 1e-5"),
    "range": (lambda w: (w - w.min()) / (w.max() - w.min()), EQUAL, "max - min where all values are equal", "clamp_min"),
    "root of var": (lambda w: (w - w.mean()) / w.var().sqrt(), EQUAL, "root of a spread or distance", "inside the root"),
    "root of squares": (lambda w: w / (w * w).sum().sqrt(), weights(0.0, 0.0), "a length of zeros", "inside the root"),
    "norm": (lambda w: w / w.norm(dim=1, keepdim=True), ROWS, "a norm, and every component is 0", "F.normalize"),
    "mask": (mask_sum, ROWS, "the divisor counts", "mask.any()"),
    "wrapped": (lambda w: w / (w > 9).sum(), TWO, "a whole number", "max(n, 1)"),
    "integer": (lambda w: (w * 0).sum() / (w > 9).sum(), TWO, "nothing was counted", "mask.any()"),
    "energies": (
        lambda w: w.sum(1) / (w * w / 3).sum(1), ROWS, "a sum (of squares, weights or terms that underflowed)", "y + eps",
    ),
    "scores": (
        lambda w: w.exp() / w.exp().sum(1, keepdim=True),
        weights([-200.0, -300.0], [0.1, 0.2]),
        "the exponentials have all underflowed",
        "torch.softmax",
    ),
    "one less than one": (lambda w: w / (torch.ones(1) - 1), TWO, "n - 1 for n = 1", "y + eps"),
    "largest": (lambda w: w / w.abs().amax(1, keepdim=True), ROWS, "a magnitude (abs)", "y + eps"),
    "relu": (lambda w: 1 / w.relu(), weights(-1.0), "relu, which gives exact zeros", "F.softplus"),
    "literal": (lambda w: w / 0, TWO, "a plain number of the program", "max(n, 1)"),
    "as delivered": (lambda w: w / torch.zeros(2).requires_grad_(False).clone(), TWO, "made by zeros", "y + eps"),
    "a weight": (lambda w: torch.ones(1) / w, weights(0.0), "which was 0 when the step began", "start it away from 0"),
}  # fmt: skip


@pytest.mark.parametrize(("function", "weight", "said", "advised"), DIVISORS.values(), ids=DIVISORS)
def test_a_divisor_of_zero_is_told_by_what_made_it(function, weight, said, advised):
    found = told(function, weight)
    assert found.mechanism == "divisor-of-zero"
    assert said in found.cause
    assert advised in found.advice[0]


def test_a_spread_is_no_count_and_a_count_no_spread():
    spread, count = told(DIVISORS["std"][0], EQUAL), told(mask_sum, ROWS)
    assert not any("mask" in line for line in spread.advice)
    assert not any("constant" in line for line in count.advice)


LOGARITHMS = {
    "softmax": (lambda w: w.softmax(0).log(), weights(0.0, 200.0), "F.log_softmax", ""),
    "sigmoid": (lambda w: w.sigmoid().log(), weights(-200.0), "F.logsigmoid(x)", "log_softmax"),
    "exp": (lambda w: w.exp().log(), weights(-200.0), "leave exp and log out", "softmax"),
    "sum of exp": (lambda w: w.exp().sum().log(), weights(-200.0, -200.0), "clamp_min", "softmax"),
    "product": (lambda w: (w * w).log(), weights(1e-30), "clamp_min", "softmax"),
    "product of many": (lambda w: w.prod().log(), weights(1e-30, 1e-30), "add up their logarithms", "softmax"),
    "complement": (lambda w: (1 - w.sigmoid()).log(), weights(50.0), "F.logsigmoid(-x)", "log_softmax"),
    "squash": (lambda w: (1 - w.tanh() ** 2).log(), weights(50.0), "F.softplus(-2 * x)", "log_softmax"),
    "softplus": (lambda w: F.softplus(w).log(), weights(-200.0), "F.softplus(x) + 1e-6", "log_softmax"),
    "spread": (lambda w: w.std().log(), EQUAL, "eps inside the root", "softmax"),
    "root": (lambda w: w.sqrt().log(), weights(0.0), "eps inside the root", "softmax"),
    "data": (torch.log, weights(0.0, 0.5), "clamp_min", "softmax"),
}  # fmt: skip


@pytest.mark.parametrize(("function", "weight", "advised", "not_advised"), LOGARITHMS.values(), ids=LOGARITHMS)
def test_a_logarithm_of_zero_is_cured_where_the_zero_was_made(function, weight, advised, not_advised):
    found = told(function, weight)
    assert found.mechanism == "edge-of-domain"
    assert advised in found.advice[0]
    assert not not_advised or not any(not_advised in line for line in found.advice)


def test_a_sum_that_may_be_of_probabilities_is_told_of_logsumexp_after_a_clamp():
    advice = told(lambda w: w.exp().sum().log(), weights(-200.0, -200.0)).advice
    assert ("clamp_min" in advice[0], "torch.logsumexp" in advice[1]) == (True, True)


def test_the_gradient_of_a_log_of_softmax_is_cured_as_the_logarithm_is():
    found = told(lambda w: (w.softmax(0).log().clamp(min=-100) * torch.tensor([0.0, 1.0])).sum(), weights(-200.0, 0.0))
    assert found.mechanism == "unselected-branch"
    assert "F.log_softmax" in found.advice[0]


def test_an_argument_far_outside_is_looked_into_and_one_that_slipped_is_clamped():
    assert "look why add gives" in told(lambda w: (1 - w * w + 1e-6).log(), weights(2.0)).advice[1]
    assert len(told(lambda w: (w + 1e-7).acos(), ONE).advice) == 1


SLOPES = {
    "sqrt": (lambda w: (w * w).sqrt().sum(), weights(0.0), "unselected-branch", "torch.sqrt(x + 1e-12)", True),
    "root of an error": (lambda w: F.mse_loss(w, w.detach()).sqrt(), ONE, "infinite-slope", "torch.sqrt(x + 1e-12)", False),
    "power": (lambda w: w**0.25, weights(0.0), "infinite-slope", "(x + 1e-12) ** e", False),
    "angle": (torch.acos, ONE, "infinite-slope", "x.clamp(-1 + 1e-6, 1 - 1e-6)", False),
}  # fmt: skip


@pytest.mark.parametrize(("function", "weight", "mechanism", "first", "where"), SLOPES.values(), ids=SLOPES)
def test_an_infinite_slope_is_kept_away_from_first(function, weight, mechanism, first, where):
    weight_of_zero = (lambda w: function(w) * 0) if where else function
    found = told(weight_of_zero, weight)
    assert found.mechanism == mechanism
    assert first in found.advice[0]
    assert any("torch.where" in line for line in found.advice) is where


def test_where_is_answered_by_making_the_argument_safe():
    line = "return torch.where(w > 0, w.sqrt(), 0.0)"
    found = told(lambda w: torch.where(w > 0, w.sqrt(), 0.0), weights(4.0, 0.0), code=line)
    assert found.advice[0].startswith("make the argument safe before torch.where")
    assert "x + 1e-12" in found.advice[1]


def test_an_eps_fits_its_type():
    assert "x + 1e-6" in told(torch.sqrt, weights(0.0, dtype=HALF)).advice[0]


class Normalised(torch.autograd.Function):
    """Divides by the norm in its own backward."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.abs().sum()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * x / x.norm()


def test_the_backward_of_the_users_own_function_is_code_of_theirs():
    found = told(Normalised.apply, weights(0.0, 0.0))
    assert found.cause.startswith("in the backward of Normalised, 0 / 0 is NaN")


def test_a_gradient_that_overflows_is_no_memory_that_nobody_initialised():
    high = facts((4, 4), high=1.5e38)
    given = event("aten.mm.default", inputs=(high, facts((4, 4), high=3.0)), output=INFINITE, phase="backward",
                  op="MmBackward0", forward_op="linear", step=0, makers=("linear", None))  # fmt: skip
    found = explain(Case(given))
    assert found.cause.startswith("in the gradient of linear, a sum of 4 products as large as 1.5e+38 × 3 overflows float32")
    assert "initialised" not in found.cause
    assert "1.5e+38" in found.advice[0]


def test_a_half_precision_gradient_that_overflows_asks_for_loss_scaling():
    def huge(w):
        return (torch.full((1, 1), 300.0, dtype=HALF) @ w.reshape(1, 1) * 1e-3).sum() * 1024 * 1000

    found = told(huge, weights(1e-3, dtype=HALF))
    assert found.cause.startswith("in the gradient of ")
    assert "overflows float16" in found.cause
    assert any("GradScaler" in line for line in found.advice)


def test_a_constant_that_the_type_cannot_hold_is_a_mask_only_where_it_is_large_and_negative():
    mask = told(lambda w: w + torch.ones(1, dtype=HALF) * -1e9, weights(1.0, dtype=HALF))
    assert mask.cause == "the constant -1e+09 does not fit into float16, which ends at 6.55e+04"
    assert "torch.finfo" in mask.advice[0]
    scale = told(lambda w: w * 2.0**130, ONE)
    assert "the constant 1.361e+39 does not fit into float32" in scale.cause
    assert not any("finfo" in line for line in scale.advice)
    assert "constant" not in told(lambda w: w * 60000.0, weights(2.0, dtype=HALF)).cause


def test_a_mask_that_is_converted_to_half():
    converted = told(lambda w: w.half() + torch.tensor([0.0, -1e9]).half(), ONE)
    assert "torch.finfo" in converted.advice[0]
    assert "converting 7e+04" in told(lambda w: w.half(), weights(70000.0)).cause


def test_values_that_grew_within_the_step_are_bounded_there_and_not_in_the_data():
    def powers(w):
        x = w * 1.0
        for _ in range(9):
            x = x * x
        return x

    found = told(powers, weights(10.0))
    assert "within this step" in found.advice[0]
    assert "scale inputs" in told(lambda w: w * w, weights(1e30)).advice[0]


EXPONENTS = {
    "ratio": (lambda w: (w - torch.zeros(1)).exp(), "", "clamp the exponent", "difference of logarithms"),
    "log variance": (lambda w: (0.5 * w).exp(), "std = torch.exp(0.5 * logvar)", "clamp the exponent", "log-variance"),
    "divergence": (torch.exp, "(1 + logvar - mean**2 - logvar.exp()).sum(1)", "clamp the exponent", "log-variance"),
    "naive softmax": (lambda w: w.exp() / w.exp().sum(), "p = torch.exp(x) / torch.exp(x).sum(-1)", "torch.softmax", ""),
}  # fmt: skip


@pytest.mark.parametrize(("function", "code", "first", "said"), EXPONENTS.values(), ids=EXPONENTS)
def test_an_exponent_is_clamped_unless_the_line_is_a_softmax(function, code, first, said):
    found = told(function, weights(300.0, 1.0), code=code)
    assert first in found.advice[0]
    assert said in found.advice[0]
    assert not any("learning rate" in line for line in found.advice)


def test_a_norm_and_a_root_of_an_update_are_no_features():
    facts_of = (facts(low=0.0, high=0.0), facts(low=0.0, high=0.0))
    for maker, said in (("norm", "x / (y + eps)"), ("sqrt", "as Adam does")):
        given = event("aten.div.Tensor", 0.0, 0.0, inputs=facts_of, makers=("mul", maker), phase="optimizer")
        assert said in explain(Case(given)).advice[0]


def test_the_second_moment_is_kept_small_by_clipping():
    found = explain(Case(updated(torch.optim.Adam, ONE, 6e20)))
    assert "the square of a gradient of 6e+20 overflows float32" in found.cause
    assert found.advice[0].startswith("clip the gradient norm")
    assert not any("learning rate" in line for line in found.advice)


def delivered(source, **kinds):
    held = bad(shape=(4, 2), **kinds)
    given = NonFiniteEvent(phase="input", step=1, value="nan", count=2, samples=(1,), source=source, inputs=(held,))
    return explain(Case(given))


def test_targets_are_no_features_and_inf_is_no_marker():
    assert "constant sample" in delivered("input", nan=2).cause
    target = delivered("target", nan=2)
    assert "constant" not in target.cause
    assert "y.isnan()" in target.advice[0]
    logarithm = delivered("target", negative_inf=2)
    assert logarithm.cause.endswith("what a logarithm of 0 leaves")
    assert not any("NaN marks" in line for line in logarithm.advice)
    assert any("log1p" in line for line in logarithm.advice)
    assert "log1p" not in " ".join(delivered("target", positive_inf=2).advice)


def test_an_infinite_parameter_was_computed_so_and_one_of_nan_was_not():
    def held(**kinds):
        given = NonFiniteEvent(phase="parameter", step=0, value="inf", count=1, parameter="raw", inputs=(bad(**kinds),))
        return explain(Case(given))

    assert "its initialisation computed it" in held(negative_inf=1).cause
    assert "1 -Inf among 4" in held(negative_inf=1).cause
    assert "never initialised" in held(nan=1).cause


def test_entropy_of_a_masked_action_is_told_from_a_mask_by_product():
    entropy = told(lambda w: w.log() * w, weights(0.0), at="aten.mul.Tensor")
    product = told(lambda w: w.exp() * (w < 0), weights(100.0), at="aten.mul.Tensor")
    assert any("torch.special.xlogy" in line for line in entropy.advice)
    assert not any("xlogy" in line for line in product.advice)


def test_class_weights_of_inf():
    weight = torch.tensor([1.0, INF])
    found = told(lambda w: F.cross_entropy(w, torch.tensor([0, 1]), weight=weight), weights([1.0, 2.0], [3.0, 4.0]))
    assert found.mechanism == "class-weight-of-inf"
    assert "1 of 2 class weights is Inf" in found.cause


def test_a_maximum_over_masked_places_alone():
    mask = torch.tensor([[True, True], [False, True]])
    found = told(lambda w: w.masked_fill(mask, -INF).amax(1) @ torch.tensor([0.0, 1.0]), weights([1.0, 2.0], [3.0, 4.0]),
                 at="aten.dot.default")  # fmt: skip
    assert found.mechanism == "deliberate-value"
    assert "that masked_fill had written" in found.cause


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
def test_the_spread_of_one_feature_is_not_cured_by_more_samples():
    advice = told(lambda w: w.reshape(3, 1).std(-1), EQUAL).advice
    assert not any("batch" in line for line in advice)
    assert any("batch" in line for line in told(lambda w: w.reshape(1, 3).std(0), EQUAL).advice)
