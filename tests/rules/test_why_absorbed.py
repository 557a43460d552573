"""Bad values that were used after all, hooks, look-ups, divisors by name, and advice: look-alikes on both sides."""

import math

import pytest
import torch
import torch.nn.functional as F
from plain_events import INFINITE, bad, event, facts
from torch import nn
from traced_events import Weighted, event_of, from_operation, weights

from dltool.probes.trace.suspects import suspects
from dltool.probes.trace.tracer import Tracer
from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.registry import explain

HUGE = weights(100.0, 1.0)
MASK = torch.tensor([True, False])
FIRST = torch.zeros(1, 2).long()


def why(given):
    return explain(Case(given))


@pytest.mark.parametrize(
    ("function", "weight", "said"),
    [
        (lambda w: w.exp().tanh(), HUGE, "exp had overflowed to Inf in the forward pass, and tanh made it finite again"),
        (lambda w: (w.exp() * 2.0).tanh(), HUGE, "exp had overflowed to Inf in the forward pass, and tanh made"),
        (lambda w: 6 / (1 / w).sum(), weights(0.0, 1.0), "div had divided by 0 in the forward pass, and div made"),
        (lambda w: (1 / w).atan(), weights(0.0, 1.0), None),
        (lambda w: w.exp().clamp(max=5.0), HUGE, "exp had overflowed to Inf in the forward pass, and clamp made"),
    ],
)
def test_an_inf_that_was_used_is_bounded_where_it_came_from(function, weight, said):
    found = why(event_of(function, weight))
    if said is None:  # the division is met at its own pole
        assert found.mechanism != "unselected-branch"
        return
    assert found.mechanism == "absorbed-infinity"
    assert found.cause.startswith(said)
    assert "torch.where" not in found.cause + " ".join(found.advice)


@pytest.mark.parametrize(
    "function",
    [
        lambda w: torch.where(MASK, 0 * w, w.exp()),
        lambda w: torch.where(MASK, 0 * w, w.exp() * 2.0),
        lambda w: w.exp().masked_fill(MASK, 0.0),
        lambda w: w.exp()[~MASK],
        lambda w: w.exp().nan_to_num(posinf=0.0),
        lambda w: (kept := w.exp(), torch.where(MASK, torch.zeros_like(kept) * w, kept))[1],
        lambda w: (root := (w - 50).neg().sqrt(), torch.where(MASK, torch.zeros_like(root), root))[1],
    ],
)
def test_an_inf_that_a_selection_left_out_was_not_used(function):
    found = why(event_of(function, HUGE))
    assert found.mechanism == "unselected-branch"
    assert "which was not used" in found.cause


def hooked(hook):
    def function(w):
        out = w * 1.0
        out.register_hook(hook)
        return out * 0.0

    return function


def test_a_hook_divides_and_not_the_function_it_is_on():
    given = event_of(hooked(lambda g: g / g.norm()), weights(1.0, 2.0))
    assert why(given).cause == "in a hook on a gradient, 0 / 0 is NaN: the divisor is a norm, and every component is 0"
    slope = event_of(lambda w: w.sqrt(), weights(0.0, 1.0))
    assert why(slope).cause == "sqrt at 0 has an infinite slope"


@pytest.mark.parametrize("name", ["linear", "mul", "add", "relu", "unheard_of"])
def test_a_function_that_is_not_steep_has_no_infinite_slope(name):
    given = event("aten.div.Tensor", 0.0, 0.0, phase="backward", op="AddmmBackward0", forward_op=name)
    assert "slope" not in why(given).cause
    steep = event("aten.div.Tensor", 0.0, 0.0, phase="backward", op="SqrtBackward0", forward_op="sqrt")
    assert "slope" in why(steep).cause


def test_the_hook_of_a_module_computes_forward():
    given = event(
        "aten.div.Tensor", 0.0, 0.0, phase="backward", op="BackwardHookFunctionBackward",
        forward_op="BackwardHookFunction", makers=("tanh_backward", "norm"),
    )  # fmt: skip
    assert why(given).cause == "in a hook on a gradient, 0 / 0 is NaN: the divisor is a norm, and every component is 0"


TABLE = torch.tensor([[1.0], [math.nan], [2.0]])
AT = torch.tensor([0, 1])


@pytest.mark.parametrize(
    "look_up",
    [
        lambda table: table[AT],
        lambda table: table.index_select(0, AT),
        lambda table: table.gather(0, AT[:, None]),
        lambda table: F.embedding(AT, table),
    ],
)
@pytest.mark.parametrize("name", ["the attribute tab of the model", None])
def test_a_look_up_names_the_table_that_held_nan(look_up, name):
    table = TABLE.clone()
    model = Weighted(weights(1.0), lambda w: (w * look_up(table)).sum())
    tracer = Tracer(model)
    with tracer.tracing():
        if name is not None:
            tracer.flow.name("constant", {name: table})
        model(None).item()
    first = suspects(tracer.operations, tracer.last_item, loss_is_finite=False)[0].operations[0]
    given = from_operation(first)
    assert given.count == 1
    found = why(given)
    assert found.mechanism == "bad-constant"
    assert "was given 1 NaN among 3 values" in found.cause
    assert (name or "in a tensor that is no parameter, buffer or input of the model") in found.cause


def test_a_table_that_this_step_made_is_not_blamed_for_a_look_up():
    given = event("aten.index.Tensor", inputs=(bad(),), makers=("linear",), output=bad())
    assert why(given) is None
    assert why(event("aten.index.Tensor", inputs=(facts(),), makers=(None,), output=bad())).mechanism != "bad-constant"


@pytest.mark.parametrize(
    ("name", "shape", "said", "advised"),
    [
        ("buffer count", (), "the divisor is the buffer count", "start it at 1"),
        ("parameter tau", (1,), "the divisor is the parameter tau", "start it away from 0"),
        ("the attribute sd of the model", (4,), "the divisor is the attribute sd of the model", "keep the divisor away"),
        ("input", (4,), "the divisor is 0 in the input as delivered", "keep the divisor away"),
        (None, (), "made of plain numbers", "count of at least 1"),
    ],
)
def test_a_divisor_of_zero_is_called_by_its_name(name, shape, said, advised):
    zero = facts(shape=shape, high=0.0, zeros=1)
    given = event("aten.div.Tensor", 1.0, 0.0, inputs=(facts(), zero), makers=("linear", None), names=(None, name))
    found = why(given)
    assert said in found.cause
    assert found.advice[0].startswith(advised) or advised in found.advice[0]


def test_names_come_from_the_trace():
    class Temperature(nn.Module):
        def __init__(self):
            super().__init__()
            self.tau = nn.Parameter(torch.zeros(1))
            self.register_buffer("ones", torch.ones(1))

        def forward(self, _):
            return self.ones / self.tau

    model = Temperature()
    tracer = Tracer(model)
    with tracer.tracing():
        model(None).sum().item()
    first = suspects(tracer.operations, tracer.last_item, loss_is_finite=False)[0].operations[0]
    assert first.names == ("buffer ones", "parameter tau")
    assert first.makers == (None, None)


ADVICE = {
    "identical images": (lambda w: 10 * torch.log10(1.0 / (w - w).square().mean()), weights(1.0, 2.0), "mse.clamp_min"),
    "mean over nothing": (lambda w: (w * 0).sum() / (w * 0).mean(), weights(1.0, 2.0), "leave the step or the term out"),
    "acosh": (lambda w: w.acosh(), weights(1.0, 2.0), "x.clamp_min(1 + 1e-6)"),
    "nan marker": (lambda w: w.masked_fill(MASK, math.nan).mean(), weights(1.0, 2.0), "torch.nanmean"),
    "-inf mask": (lambda w: w.masked_fill(MASK, -math.inf).mean(), weights(1.0, 2.0), "keep masked places out"),
    "i0": (lambda w: torch.special.i0(w).log(), weights(180.0, 1.0), "i0e(x)) + x.abs()"),
    "tiny divisor": (lambda w: 1e-10 / w, weights(1e-25, 1.0), "keep the divisor away from 0"),
    "rms_norm": (lambda w: F.rms_norm(w, (2,), eps=0.0), weights(0.0, 0.0), "eps=1e-5"),
    "rms_norm by hand": (lambda w: w * torch.rsqrt(w.square().mean()), weights(0.0, 0.0), "torch.rsqrt(x + 1e-6)"),
    "no negatives": (
        lambda w: w[:1, None].masked_fill(MASK[:1], -math.inf).log_softmax(1),
        weights(1.0),
        "leave every row something",
    ),
    "empty segment": (
        lambda w: torch.full((2, 2), -math.inf).scatter_reduce(0, FIRST, w[None], "amax") @ w.reshape(2, 1),
        weights(1.0, -2.0),
        "fill empty segments",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("function", "weight", "advised"), ADVICE.values(), ids=list(ADVICE))
def test_advice_fits_the_place(function, weight, advised):
    assert advised in why(event_of(function, weight)).advice[0]


def test_a_batch_of_one_is_told_from_a_masked_row():
    def scores(shape, phase):
        masked = bad(shape=shape, negative_inf=shape[-1])
        return why(event("aten._log_softmax.default", inputs=(masked,), makers=("masked_fill",), phase=phase))

    assert "a batch of one has no negatives" in scores((1, 1), "loss").advice[0]
    assert "negatives" not in scores((2, 2), "loss").advice[0]
    assert "negatives" not in scores((1, 1), "forward").advice[0]


@pytest.mark.parametrize(("phase", "size", "alone"), [("optimizer", 1, True), ("loss", 1, False), ("optimizer", 2, False)])
def test_a_parameter_of_one_element_is_told_from_a_batch_of_one(phase, size, alone):
    given = event("aten.std.correction", inputs=(facts(shape=(1, size)),), phase=phase, arguments={"dim": [0]})
    assert ("a one-element parameter" in why(given).advice[0]) is alone


def test_a_weight_of_inf_in_binary_cross_entropy():
    weight, good = bad(shape=(3,), positive_inf=1), facts(shape=(8, 3))
    loss = "aten.binary_cross_entropy_with_logits.default"
    assert why(event(loss, inputs=(good, good, weight))).mechanism == "class-weight-of-inf"
    assert why(event(loss, inputs=(bad(positive_inf=1), good, weight))).mechanism != "class-weight-of-inf"


@pytest.mark.parametrize(
    ("name", "maker", "told"),
    [
        ("parameter 0.parametrizations.weight.original", "matmul", True),
        ("parameter 0.weight_orig", "dot", True),
        ("parameter 0.weight", "matmul", False),
        ("parameter 0.parametrizations.weight.original", "norm", False),
    ],
)
def test_spectral_norm_of_a_weight_of_zeros(name, maker, told):
    zero = facts(shape=(), high=0.0, zeros=1)
    given = event("aten.div.Tensor", 0.0, 0.0, inputs=(facts(), zero), makers=(None, maker), names=(name, None))
    assert ("spectral_norm" in why(given).cause) is told


def test_an_overflow_of_bessel_functions_needs_an_argument_that_reaches_so_far():
    assert why(event("aten.i0.default", 180.0, output=INFINITE)).mechanism == "overflow"
    assert why(event("aten.i0.default", 3.0, output=INFINITE)).mechanism == "finite-to-non-finite"
