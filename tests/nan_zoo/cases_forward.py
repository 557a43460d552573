"""Births in the model itself: normalisation of nothing, overflow, degenerate matrices, counters that run out."""

import torch
import torch.nn.functional as F
from torch import nn
from zoo_case import OPEN, either, faulty


@faulty(phase="forward", op="div", module="normalise", step=3, samples=(1,))
def unit_vector_of_zero():
    """x / x.norm() without an eps."""

    class UnitNorm(nn.Module):
        def forward(self, x):
            return x / x.norm(dim=-1, keepdim=True)  # born

    net = nn.Sequential()
    net.add_module("encoder", nn.Linear(5, 4, bias=False))
    net.add_module("normalise", UnitNorm())
    net.add_module("head", nn.Linear(4, 3))
    batches = [(torch.randn(4, 5), torch.randint(0, 3, (4,))) for _ in range(5)]
    batches[3][0][1] = 0.0
    return {"model": net, "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="div", module="scale", step=2, samples=(0, 3))
def contrast_of_a_constant_image():
    """(x - min) / (max - min) of two black images."""

    class MinMax(nn.Module):
        def forward(self, x):
            low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
            return (x - low) / (high - low)  # born

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = MinMax()
            self.conv = nn.Conv2d(1, 3, 3)
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            return self.head(torch.relu(self.conv(self.scale(x))).mean((2, 3)))

    batches = [(torch.rand(4, 1, 6, 6), torch.randint(0, 2, (4,))) for _ in range(4)]
    batches[2][0][0] = 0.0
    batches[2][0][3] = 0.0
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="layer_norm", module="norm", step=1, samples=(2,))
def layer_norm_without_eps():
    """eps=0, and a token whose features are all equal: 0 / 0."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(4, eps=0.0)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            x = self.norm(x)  # born
            return self.head(x)

    batches = [(torch.randn(4, 4), torch.randint(0, 2, (4,))) for _ in range(3)]
    batches[1][0][2] = 3.0
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="div", module="features.norm", step=2, samples=(0, 1, 2, 3))
def standardised_by_a_constant_batch():
    """Batch normalisation by hand, without an eps, and a feature that is the same in the whole batch."""

    class Standardise(nn.Module):
        def forward(self, x):
            return (x - x.mean(0)) / x.std(0)  # born

    class Features(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = Standardise()

        def forward(self, x):
            return self.norm(x)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = Features()
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            return self.head(self.features(x))

    batches = [(torch.randn(4, 3), torch.randint(0, 2, (4,))) for _ in range(4)]
    batches[2][0][:, 1] = 1.0
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(
    phase="forward",
    op=either("weight_norm", "_weight_norm", "weight_norm_interface", "_weight_norm_interface", "div"),
    step=0,
    samples=None,
)
def weight_norm_of_a_pruned_unit():
    """https://github.com/pytorch/pytorch/issues/19126: a unit whose weights are all 0 has no direction."""
    linear = nn.Linear(4, 3)
    with torch.no_grad():
        linear.weight[1] = 0.0
    net = nn.Sequential(nn.utils.parametrizations.weight_norm(linear), nn.ReLU(), nn.Linear(3, 2))
    batches = [(torch.randn(4, 4), torch.randint(0, 2, (4,))) for _ in range(3)]
    return {"model": net, "batches": batches, "loss": F.cross_entropy}


@faulty(
    phase="forward", op=either("logdet", "slogdet", "linalg_slogdet", "log", "where"), module="flow", step=0, samples=None
)
def log_determinant_of_a_reflection():
    """A Glow 1x1 convolution that starts with a negative determinant: torch.logdet is NaN there."""

    class Invertible(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))

        def forward(self, x):
            log_det = torch.logdet(self.weight)  # born
            return x @ self.weight.T, log_det

    class Flow(nn.Module):
        def __init__(self):
            super().__init__()
            self.flow = Invertible()

        def forward(self, x):
            return self.flow(x)

    def likelihood(output, _):
        z, log_det = output
        return 0.5 * (z**2).sum(1).mean() - log_det

    batches = [(torch.randn(4, 3), torch.zeros(4)) for _ in range(3)]
    return {"model": Flow(), "batches": batches, "loss": likelihood}


@faulty(phase="forward", op="log", module="coupling", step=2, samples=(3,))
def log_of_a_scale_that_saturates():
    """A coupling layer with scale = sigmoid(s): log(scale) is -inf once sigmoid underflows."""

    class Coupling(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(2, 2)
            nn.init.constant_(self.net.weight, 1.0)

        def forward(self, x):
            a, b = x.chunk(2, dim=1)
            scale = torch.sigmoid(self.net(a))
            return torch.cat([a, b * scale], dim=1), torch.log(scale).sum(1)  # born

    class Flow(nn.Module):
        def __init__(self):
            super().__init__()
            self.coupling = Coupling()

        def forward(self, x):
            return self.coupling(x)

    def likelihood(output, _):
        z, log_det = output
        return (0.5 * (z**2).sum(1) - log_det).mean()

    batches = [(torch.randn(4, 4), torch.zeros(4)) for _ in range(4)]
    batches[2][0][3] = -80.0
    return {"model": Flow(), "batches": batches, "loss": likelihood}


@faulty(phase="forward", op="log", module="", step=2, samples=(1,))
def log_of_softmax_at_the_target():
    """log(softmax(x)) instead of log_softmax: the target's probability underflows."""

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)
            with torch.no_grad():
                self.linear.weight.copy_(torch.tensor([[1.0] * 4, [0.0] * 4, [0.0] * 4]))

        def forward(self, x):
            return torch.log(torch.softmax(self.linear(x), dim=1))  # born

    batches = [(torch.randn(4, 4), torch.randint(0, 3, (4,))) for _ in range(4)]
    batches[2][0][1] = 50.0
    batches[2][1][1] = 2
    return {"model": Classifier(), "batches": batches, "loss": F.nll_loss}


@faulty(phase="forward", op="div", module="", step=10, samples=None, steps=30)
def annealed_temperature_reaches_zero():
    """A plain Python counter in the model: the temperature is 0 after ten calls."""

    class Annealed(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)
            self.calls = 0

        def forward(self, x):
            temperature = max(1.0 - 0.1 * self.calls, 0.0) if self.training else 1.0
            self.calls += self.training
            return torch.log_softmax(self.linear(x) / round(temperature, 6), dim=1)  # born

    batches = [(torch.randn(4, 4), torch.randint(0, 3, (4,))) for _ in range(4)]
    return {"model": Annealed(), "batches": batches, "loss": F.nll_loss}


@faulty(phase="forward", op="sqrt", module="spectrum", step=1, samples=(3,))
def square_root_of_a_rounded_variance():
    """E[x²] - E[x]² is slightly negative for a constant signal with a large offset."""

    class Deviation(nn.Module):
        def forward(self, x):
            variance = (x**2).mean(1, keepdim=True) - x.mean(1, keepdim=True) ** 2
            return (x - x.mean(1, keepdim=True)) / (torch.sqrt(variance) + 1e-5)  # born

    net = nn.Sequential()
    net.add_module("spectrum", Deviation())
    net.add_module("head", nn.Linear(10, 1))
    constant = next(c for c in torch.linspace(100, 200, 500) if _rounds_below_zero(c))
    batches = [(torch.randn(4, 10), torch.randn(4, 1)) for _ in range(3)]
    batches[1][0][3] = constant
    return {"model": net, "batches": batches, "loss": F.mse_loss}


def _rounds_below_zero(value):
    rows = torch.randn(4, 10)
    rows[3] = value
    return ((rows**2).mean(1) - rows.mean(1) ** 2)[3] < 0


@faulty(phase="forward", op="exp", module="body.squash", step=2, samples=(0,))
def hand_written_swish():
    """x * exp(x) / (1 + exp(x)): inf / inf from 89 on."""

    class Swish(nn.Module):
        def forward(self, x):
            e = torch.exp(x)  # born
            return x * e / (1 + e)

    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)
            nn.init.eye_(self.linear.weight)
            self.squash = Swish()

        def forward(self, x):
            return self.squash(self.linear(x))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = Body()
            self.head = nn.Linear(3, 1)

        def forward(self, x):
            return self.head(self.body(x))

    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(4)]
    batches[2][0][0] = 120.0
    return {"model": Net(), "batches": batches, "loss": F.smooth_l1_loss}


@faulty(phase="forward", op=OPEN, module="rnn", step=2, samples=(1,))
def recurrence_without_a_squashing():
    """A linear recurrence of 40 steps with factor 3, and one long-padded sequence of large values: it overflows."""

    class LinearRNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.eye(2) * 3)

        def forward(self, x):
            h = torch.zeros(x.shape[0], 2)
            for t in range(x.shape[1]):
                h = h @ self.weight + x[:, t]
            return h

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = LinearRNN()
            self.head = nn.Linear(2, 1)

        def forward(self, x):
            return torch.tanh(self.head(self.rnn(x)))

    batches = [(torch.randn(3, 40, 2) * 1e-19, torch.randn(3, 1)) for _ in range(4)]
    batches[2][0][1] = 1e25
    return {"model": Net(), "batches": batches, "loss": F.mse_loss, "optimizer": lambda p: torch.optim.Adam(p, 1e-4)}
