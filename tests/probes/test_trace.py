import copy
import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint
from tracing import traced

from dltool.probes.trace.record import Mending
from dltool.probes.trace.suspects import only_moved, suspects
from dltool.probes.trace.tracer import Tracer

INF, NAN = math.inf, math.nan
LABELS = torch.tensor([0, 1, 2, 0])


class Apply(nn.Module):
    """A linear layer, then whatever the test wants."""

    def __init__(self, then):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 3)
        self.then = then

    def forward(self, x):
        return self.then(self.layer(x))


def x(**bad):
    values = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    for value, row in bad.items():
        values[row, 1] = {"nan": NAN, "inf": INF, "minus_inf": -INF}[value]
    return values


def square(output, target):
    del target
    return (output**2).mean()


def total(output, target):
    del target
    return output.sum()


def mask(scores, rows):
    hidden = torch.zeros(scores.shape, dtype=torch.bool)
    hidden[rows] = True
    hidden[0, 0] = True
    return scores.masked_fill(hidden, -INF)


def test_a_birth_in_forward_has_its_name_module_line_rows_and_operands():
    def bad(h):
        return torch.sqrt(h)

    run = traced(Apply(bad), x(), LABELS, F.cross_entropy)
    birth = run.first
    assert (birth.phase, birth.op, birth.module, birth.aten) == ("forward", "sqrt", "", "aten.sqrt.default")
    assert birth.file == __file__
    assert birth.line == inspect.getsourcelines(bad)[1] + 1
    with torch.no_grad():
        given = run.tracer._model.layer(x())
    assert birth.rows == tuple(row for row in range(4) if bool((given[row] < 0).any()))
    assert birth.operands == (float(given[birth.index]),)
    assert birth.operands[0] < 0
    assert birth.output.nan == int((given < 0).sum())


@pytest.mark.parametrize(
    ("then", "op"),
    [
        (torch.log, "log"),
        (lambda h: torch.log(h * 0), "log"),
        (lambda h: h / (h - h), "div"),
        (lambda h: 1 / (h * 0), "div"),
        (lambda h: (h * 0).reciprocal(), "reciprocal"),
        (lambda h: h * 0 / (h * 0), "div"),
        (lambda h: torch.exp(h * 1e4), "exp"),
        (lambda h: h.exp_() if False else (h.abs() + 99).exp(), "exp"),
        (lambda h: h**0.5, "pow"),
        (lambda h: torch.acos(h + 9), "acos"),
        (lambda h: torch.rsqrt(h * 0), "rsqrt"),
        (lambda h: h[:1].std(0), "std"),
        (lambda h: h[:1].var(0), "var"),
        (lambda h: h[h > 99].mean(), "mean"),
        (lambda h: (h * 1e30).norm(dim=-1), "norm"),
        (lambda h: (h * 1e30) @ (h * 1e30).T, "matmul"),
        (lambda h: F.linear(h * 1e30, h[:3] * 1e30), "linear"),
        (lambda h: torch.einsum("ij,kj->ik", h * 1e30, h * 1e30), "einsum"),
        (lambda h: F.conv1d(h[:, None] * 1e30, h[:3, None] * 1e30), "conv1d"),
        (lambda h: F.layer_norm(h * 1e30, (3,)), "layer_norm"),
        (lambda h: mask(h, [2]).softmax(-1), "softmax"),
        (lambda h: mask(h, [2]).log_softmax(-1), "log_softmax"),
        (lambda h: (h * 1e9).half().float(), "to"),
        (lambda h: h.clone().div_(0), "div"),
        (lambda h: h.cumsum(0).mul(1e38).mul(1e38), "mul"),
        (lambda h: torch.linalg.norm(h * 1e30), "norm"),
        (lambda h: torch.logit(h + 9), "logit"),
        (lambda h: torch.special.xlog1py(h + 1, h * 0 - 1), "xlog1py"),
        (lambda h: torch.cosh(h * 1e4), "cosh"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
def test_public_names(then, op):
    assert traced(Apply(then), x(), LABELS, square).first.op == op


def test_the_loss_is_outside_of_every_module():
    run = traced(Apply(torch.abs), x(), LABELS, lambda o, t: torch.log(o * 0).sum() + t.sum())
    assert (run.first.phase, run.first.op, run.first.module) == ("loss", "log", None)


def test_cross_entropy_is_told_by_the_operator_that_is_meant():
    run = traced(Apply(torch.abs), x(), torch.full((4,), -100), F.cross_entropy)
    assert (run.first.phase, run.first.op, run.first.rows) == ("loss", "nll_loss", None)


def test_a_birth_in_backward_has_the_node_and_the_line_of_the_forward_operator():
    def bad(h):
        h = h * 0
        return torch.sqrt(h)

    run = traced(Apply(bad), x(), LABELS, F.cross_entropy)
    birth = run.first
    assert math.isfinite(run.loss)
    assert (birth.phase, birth.op, birth.forward_op, birth.module) == ("backward", "SqrtBackward0", "sqrt", "")
    assert birth.line == inspect.getsourcelines(bad)[1] + 2
    assert birth.operands[1] == 0.0


def test_a_value_that_where_left_out_is_told_at_the_node_that_lets_it_in_again():
    run = traced(Apply(torch.abs), x(), LABELS, lambda o, t: torch.where(t[:, None] > 5, torch.sqrt(-1 - o), o).sum())
    assert (run.first.phase, run.first.op, run.first.forward_op) == ("backward", "SqrtBackward0", "sqrt")
    assert run.first.inputs


def test_a_users_own_function_is_told_by_its_name_and_line():
    class Half(torch.autograd.Function):
        @staticmethod
        def forward(ctx, h):
            ctx.save_for_backward(h)
            return h / 2

        @staticmethod
        def backward(ctx, gradient):
            (h,) = ctx.saved_tensors
            return gradient / (h - h)

    birth = traced(Apply(Half.apply), x(), LABELS, F.cross_entropy).first
    assert (birth.phase, birth.op, birth.forward_op) == ("backward", "HalfBackward", "Half")
    assert birth.line == inspect.getsourcelines(Half.backward)[1] + 3


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpointed_block_is_followed(reentrant):
    def block(h):
        return torch.sqrt(h * 0)

    run = traced(Apply(lambda h: checkpoint(block, h, use_reentrant=reentrant)), x(), LABELS, F.cross_entropy)
    assert (run.first.phase, run.first.op) == ("backward", "SqrtBackward0")
    assert run.first.line == inspect.getsourcelines(block)[1] + 1


@pytest.mark.parametrize("foreach", [True, False])
def test_an_update_is_told_by_parameter_and_operator(foreach):
    model = Apply(torch.abs)
    run = traced(
        model,
        x(),
        LABELS,
        lambda o, t: (o * 0).sum(),
        optimizer=torch.optim.Adam(model.parameters(), eps=0.0, foreach=foreach),
    )
    assert (run.first.phase, run.first.op, run.first.module) == ("optimizer", "addcdiv", None)
    assert run.first.operands[1:] == (0.0, 0.0)
    assert set(run.tracer.flow.sources(model.layer.bias)) & {o.ordinal for o in run.births}


def test_a_moment_that_overflows_is_found_though_the_weights_are_finite():
    model = Apply(torch.abs)
    run = traced(model, x(), LABELS, lambda o, t: (o * 1e25).mean(), optimizer=torch.optim.Adam(model.parameters()))
    assert (run.first.phase, run.first.op) == ("optimizer", "addcmul")


@pytest.mark.parametrize(
    ("model", "batch", "target", "kind", "name"),
    [
        (Apply(torch.abs), x(nan=2), LABELS, "input", "input"),
        (Apply(torch.abs), {"a": x(), "b": x(inf=1)}, LABELS, "input", "input"),
        (Apply(torch.abs), x(), torch.tensor([0.0, NAN, 1.0, 1.0]), "target", "target"),
    ],
)
def test_what_was_bad_before_the_step_is_a_leaf(model, batch, target, kind, name):
    if isinstance(batch, dict):
        inner = copy.deepcopy(model)
        model = nn.Module()
        model.inner = inner
        model.forward = lambda given: inner(given["a"]) + given["b"]
    loss = F.cross_entropy if target.dtype == torch.int64 else lambda o, t: F.mse_loss(o[:, 0], t)
    run = traced(model, batch, target, loss)
    assert (run.first.kind, run.first.name) == (kind, name)


def test_parameters_buffers_and_states_are_leaves_by_their_names():
    model = Apply(torch.abs)
    model.layer.weight.data[1, 1] = NAN
    assert (traced(model, x(), LABELS, F.cross_entropy).first.name) == "layer.weight"
    model = Apply(torch.abs)
    model.register_buffer("scale", torch.tensor([1.0, NAN, 1.0]))
    model.then = lambda h: h * model.scale
    assert (traced(model, x(), LABELS, F.cross_entropy).first.kind) == "buffer"
    model = Apply(torch.abs)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for p in model.parameters():
        optimizer.state[p]["momentum_buffer"] = torch.full_like(p, NAN)
    run = traced(model, x(), LABELS, F.cross_entropy, optimizer=optimizer)
    assert {leaf.kind for leaf in run.leaves} == {"state"}


HEALTHY = {
    "a marker that is selected away": (lambda h: torch.where(h.isnan(), torch.zeros(()), h), x()),
    "division by zero that nothing uses": (
        lambda h: torch.where(h > -99, h, h / torch.zeros(3).add(h.detach() * 0 + 1)),
        x(),
    ),
    "Inf that a minimum takes away": (lambda h: torch.minimum(torch.full((3,), INF), h), x()),
    "logsumexp over -inf": (lambda h: torch.logsumexp(mask(h, [0][:0]), -1), x()),
    "an overflow that a division undoes": (lambda h: h + 1 / (1 + (h.detach().abs() + 99).exp()), x()),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_innocent_values_reach_nothing(name):
    then, batch = HEALTHY[name]
    run = traced(Apply(then), batch, LABELS, total)
    assert run.suspects == []


def test_a_mask_is_a_last_resort_and_softmax_the_birth():
    run = traced(Apply(lambda h: mask(h, [2]).softmax(-1)), x(), LABELS, F.cross_entropy)
    assert [s.operations[0].op for s in run.suspects] == ["softmax"]
    assert run.first.rows == (2,)
    assert run.first.inputs[0].negative_inf == 4


def test_what_is_allowed_comes_last():
    model = Apply(torch.abs)
    model.register_buffer("scale", torch.full((3,), NAN))
    model.then = lambda h: torch.log(h * 0) * model.scale
    run = traced(model, x(), LABELS, total, allow=("scale",))
    assert [s.last_resort for s in run.suspects] == [False, True]


def test_a_birth_among_values_that_were_bad_already_is_seen():
    def log(h):
        h = torch.log(h.abs() * torch.tensor([[0.0], [1.0], [1.0], [1.0]]))
        return torch.where(h.isnan(), torch.zeros(()), h)

    run = traced(Apply(log), x(nan=2), LABELS, total)
    assert (run.births[0].op, run.births[0].rows) == ("log", (0,))


def test_an_exception_is_traced_to_what_it_complains_about():
    def draw(h):
        return torch.multinomial((h / 0).softmax(-1), 1).float()

    run = traced(Apply(draw), x(), LABELS, total)
    assert isinstance(run.error, RuntimeError)
    assert (run.first.op, run.first.line) == ("div", inspect.getsourcelines(draw)[1] + 1)


def test_a_distribution_that_refuses_its_parameter():
    run = traced(Apply(lambda h: torch.distributions.Normal(h / h * 0 / 0, 1.0).log_prob(h)), x(), LABELS, total)
    assert isinstance(run.error, ValueError)
    assert run.first.op == "div"


def test_mending_a_birth_heals_and_mending_another_operator_does_not():
    def then(h):
        return torch.log(h * 0)

    run = traced(Apply(then), x(), LABELS, F.cross_entropy)
    birth = run.births[0]
    elsewhere = birth.place._replace(op="exp")

    def loss(**mend):
        return traced(Apply(then), x(), LABELS, F.cross_entropy, mend=Mending(**mend)).loss

    assert math.isfinite(loss(ordinals=frozenset(o.ordinal for o in run.births)))
    assert math.isfinite(loss(places=frozenset(o.place for o in run.births)))
    assert not math.isfinite(loss(ordinals=frozenset({birth.ordinal + 99})))
    assert not math.isfinite(loss(places=frozenset({elsewhere})))


def test_a_buffer_that_is_only_filled_is_innocent_and_a_running_mean_is_not():
    class Cached(nn.Module):
        def __init__(self, compute):
            super().__init__()
            self.layer = nn.Linear(3, 3)
            self.register_buffer("cache", torch.zeros(4, 3))
            self.compute = compute

        def forward(self, given):
            with torch.no_grad():
                self.cache.mul_(0.9).add_(given) if self.compute else self.cache.copy_(given)
            return self.layer(torch.where(given.isnan(), torch.zeros(()), given))

    for compute in (True, False):
        run = traced(Cached(compute), x(nan=2), LABELS, F.cross_entropy)
        assert run.sinks
        assert only_moved(run.tracer.operations, run.sinks) is not compute


def test_a_parametrized_module_keeps_its_own_path():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)))
    model[0].parametrizations.weight.original1.data.zero_()
    run = traced(model, x(), LABELS, F.cross_entropy)
    assert run.first.module == "0"


def test_what_compile_wraps_keeps_its_own_path():
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self._orig_mod = Apply(lambda h: torch.log(h * 0))

        def forward(self, given):
            return self._orig_mod(given)

    assert traced(Wrapped(), x(), LABELS, F.cross_entropy).first.module == ""


def test_nothing_is_left_behind():
    model = Apply(torch.abs)
    before = copy.deepcopy(model.state_dict())
    state = torch.get_rng_state()
    tracer = Tracer(model, samples=4)
    model.then = lambda h: 1 // 0
    with pytest.raises(ZeroDivisionError), tracer.tracing(x(), LABELS, {}):
        model(x())
    model.then = torch.abs
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.backends.mha.get_fastpath_enabled()
    model(x())
    assert tracer.operations == {}


def test_a_traced_step_is_the_step_itself_bit_for_bit():
    def step(watched):
        torch.manual_seed(3)
        model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
        optimizer = torch.optim.AdamW(model.parameters())
        tracer = Tracer(model, samples=4)
        for _ in range(3):
            if watched:
                with tracer.tracing(x(), LABELS, {}):
                    loss = F.cross_entropy(model(x()), LABELS)
                    loss.backward()
                    optimizer.step()
            else:
                F.cross_entropy(model(x()), LABELS).backward()
                optimizer.step()
        return model.state_dict()

    plain, watched = step(False), step(True)
    assert all(torch.equal(plain[name], watched[name]) for name in plain)


CHAIN = {
    "log": torch.log,
    "sqrt": torch.sqrt,
    "exp": torch.exp,
    "neg": torch.neg,
    "square": torch.square,
    "reciprocal": torch.reciprocal,
    "tanh": torch.tanh,
    "abs": torch.abs,
    "sin": torch.sin,
    "acos": torch.acos,
    "floor": torch.floor,
}


@given(st.lists(st.sampled_from(sorted(CHAIN)), min_size=1, max_size=8), st.floats(-3, 3, width=32))
@settings(max_examples=60, deadline=None)
def test_the_first_birth_of_a_chain_is_the_one_that_stepping_through_it_finds(names, start):
    values = [torch.full((4, 3), start)]
    for name in names:
        values.append(CHAIN[name](values[-1]))
    last_finite = max(i for i, value in enumerate(values) if bool(value.isfinite().all()))

    class Chain(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = nn.Linear(1, 1)

        def forward(self, h):
            for name in names:
                h = CHAIN[name](h)
            return h + 0 * self.unused.bias

    model = Chain()
    run = traced(model, torch.full((4, 3), start), LABELS, total)
    if math.isfinite(run.loss):
        return
    assert run.first.op == (names[last_finite] if last_finite < len(names) else "sum")


def test_suspects_of_nothing_are_none():
    assert suspects({}, [], loss_is_finite=True) == []
