"""Faults that meet: two at once, samples that only spoil each other, code that changes what it was given, odd transforms."""

import math
import warnings

import torch
import torch.nn.functional as F
from torch import nn
from zoo_case import OPEN, either, faulty


@faulty(phase="forward", op="div", module="normalise", step=2, samples=(1, 3))
def two_samples_for_two_reasons():
    """One sample has no length, another one a count of 0: the earlier birth is named, and both samples."""

    class UnitNorm(nn.Module):
        def forward(self, x):
            return x / x.norm(dim=1, keepdim=True)  # born

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.normalise = UnitNorm()
            self.head = nn.Linear(3, 1)

        def forward(self, batch):
            return self.head(self.normalise(batch["x"])).squeeze(1) + torch.log(batch["count"])

    batches = []
    for step in range(4):
        x, count = torch.randn(5, 3), torch.randint(1, 9, (5,)).float()
        if step == 2:
            x[1], count[3] = 0.0, 0.0
        batches.append(({"x": x, "count": count}, torch.randn(5)))
    return {"model": Net(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="backward", op="SqrtBackward0", module=None, step=2, samples=either((1,), (4,), (1, 4), (0, 1, 2, 3, 4, 5)))
def twins_in_a_batch():
    """Pairwise distances with sqrt: two equal samples spoil the step, and either one alone is harmless."""

    def dispersion(output, target):
        square = ((output[:, None] - output[None]) ** 2).sum(-1)
        pairs = torch.triu_indices(len(output), len(output), offset=1)
        distance = torch.sqrt(square[pairs[0], pairs[1]])  # born
        return torch.exp(-distance).mean() + F.mse_loss(output, target)

    batches = [(torch.randn(6, 4), torch.randn(6, 2)) for _ in range(4)]
    batches[2][0][4] = batches[2][0][1]
    return {"model": nn.Linear(4, 2), "batches": batches, "loss": dispersion}


@faulty(phase="forward", op="div", module="", step=1, samples=(2,))
def as_many_features_as_samples():
    """A square batch: four samples of four steps of four features."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            scaled = x / x.abs().amax(dim=(1, 2), keepdim=True)  # born
            return self.linear(scaled).mean(1)

    batches = [(torch.randn(4, 4, 4), torch.randint(0, 4, (4,))) for _ in range(3)]
    batches[1][0][2] = 0.0
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="div", module="", step=10, steps=30)
def input_scaled_in_place():
    """The model writes into its own input: the same batch comes smaller in each epoch, until it is 0."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            x.mul_(1e-9)
            return self.linear(x / x.abs().amax(1, keepdim=True))  # born

    batches = [(torch.rand(4, 3) + 0.5, torch.randint(0, 2, (4,))) for _ in range(2)]
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="div", module="", step=6, samples=None, steps=20)
def count_of_all_calls():
    """A counter that does not ask for the mode: it is 0 at the seventh call, which is the seventh step and no other."""

    class Countdown(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)
            self.left = 7
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.left -= 1
            self.calls += 1
            return self.linear(x) / self.left  # born

    batches = [(torch.randn(4, 3), torch.randint(0, 2, (4,))) for _ in range(3)]
    return {"model": Countdown(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="div", module="", step=2, samples=(1,))
def one_sample_at_a_time_by_vmap():
    """torch.vmap over the samples."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            unit = torch.vmap(lambda row: row / row.abs().sum())(x)  # born
            return self.linear(unit)

    batches = [(torch.randn(4, 3), torch.randint(0, 2, (4,))) for _ in range(4)]
    batches[2][0][1] = 0.0
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="loss", op="log", module=None, step=2, samples=None)
def quasi_newton_beyond_the_domain():
    """LBFGS, which needs a closure: its second step takes a scale below 0, and its log is NaN."""

    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(1.0))

        def forward(self, x):
            return x * self.scale, self.scale

    def likelihood(output, target):
        return 0.01 * ((output[0] - target) ** 2).mean() + torch.log(output[1])  # born

    batches = [(torch.rand(4, 2), torch.rand(4, 2)) for _ in range(3)]
    return {
        "model": Scale(),
        "batches": batches,
        "loss": likelihood,
        "optimizer": lambda p: torch.optim.LBFGS(p, lr=0.6, max_iter=1),
    }


@faulty(phase=either("forward", "buffer"), op=OPEN, step=0, samples=None)
def constant_that_is_no_buffer():
    """A tensor kept as a plain attribute, with a NaN in it: neither a parameter nor a buffer, and still the cause."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)
            self.mean = torch.tensor([0.0, math.nan, 1.0])

        def forward(self, x):
            return self.linear(x - self.mean)

    batches = [(torch.randn(4, 3), torch.randint(0, 2, (4,))) for _ in range(3)]
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase=either("loss", "buffer"), op=OPEN, module=None, step=3, samples=either((2,), None))
def class_weight_of_a_class_without_samples():
    """weight = total / count with a count of 0 is inf, and does no harm until the class turns up."""
    weight = torch.tensor([40.0, 60.0, 100.0]) / torch.tensor([2.0, 3.0, 0.0])
    batches = [(torch.randn(4, 3), torch.randint(0, 2, (4,))) for _ in range(5)]
    batches[3][1][2] = 2
    return {"model": nn.Linear(3, 3), "batches": batches, "loss": nn.CrossEntropyLoss(weight=weight)}


@faulty(phase="loss", op="mul", module=None, step=0, samples=None)
def loss_scale_beyond_float():
    """A hand-written loss scale of 2 ** 130."""

    def scaled(output, target):
        return F.cross_entropy(output, target) * 2.0**130  # born

    batches = [(torch.randn(4, 3), torch.randint(0, 3, (4,))) for _ in range(3)]
    return {"model": nn.Linear(3, 3), "batches": batches, "loss": scaled}


@faulty(phase="backward", op="DivBackward0", module=None, step=2, samples=(1,))
def quotient_of_two_tiny_numbers():
    """1e-15 / 1e-30 is finite, its slope -a / b² is not."""

    def ratio(output, target):
        return torch.log1p(target / (output.squeeze(1) ** 2)).mean()  # born

    net = nn.Linear(2, 1, bias=False)
    nn.init.ones_(net.weight)
    batches = [(torch.rand(4, 2) + 0.5, torch.rand(4)) for _ in range(4)]
    batches[2][0][1] = 1e-17
    batches[2][1][1] = 1e-13
    return {"model": net, "batches": batches, "loss": ratio, "optimizer": lambda p: torch.optim.SGD(p, lr=0.0)}


@faulty(phase="loss", op="atanh", module=None, step=2, samples=(3,))
def squashed_action_at_its_bound():
    """A tanh policy: the recorded action is exactly 1, and atanh of it inf."""

    def log_likelihood(output, action):
        before = torch.atanh(action)  # born
        return ((before - output) ** 2).mean()

    batches = [(torch.randn(4, 3), torch.rand(4, 2) * 0.9) for _ in range(4)]
    batches[2][1][3, 0] = 1.0
    return {"model": nn.Linear(3, 2), "batches": batches, "loss": log_likelihood}


@faulty(phase="forward", op="log", module="actor", step=1, samples=(0,))
def squash_correction_without_eps():
    """SAC: log(1 - tanh(x)²) for an x beyond 10."""

    class Actor(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean = nn.Linear(2, 2)
            nn.init.eye_(self.mean.weight)

        def forward(self, observation):
            action = torch.tanh(self.mean(observation))
            return action, -torch.log(1 - action**2).sum(1)  # born

    class Agent(nn.Module):
        def __init__(self):
            super().__init__()
            self.actor = Actor()

        def forward(self, observation):
            return self.actor(observation)

    batches = [(torch.randn(3, 2), torch.randn(3, 2)) for _ in range(3)]
    batches[1][0][0] = 30.0
    return {
        "model": Agent(),
        "batches": batches,
        "loss": lambda output, target: F.mse_loss(output[0], target) + 0.1 * output[1].mean(),
    }


@faulty(phase="loss", op="lgamma", module=None, step=2, samples=(2,))
def evidence_of_zero():
    """Evidential loss: lgamma of a relu that is 0."""

    def evidential(output, target):
        evidence = torch.relu(output)
        return (torch.lgamma(evidence).sum(1) - torch.lgamma(evidence.sum(1) + 1) * target).mean()  # born

    net = nn.Linear(2, 3)
    nn.init.constant_(net.weight, 0.5)
    nn.init.constant_(net.bias, 1.0)
    batches = [(torch.rand(4, 2), torch.rand(4)) for _ in range(4)]
    batches[2][0][2] = -5.0
    return {"model": net, "batches": batches, "loss": evidential}


@faulty(phase="loss", op="div", module=None, step=1, samples=(1,))
def transport_between_far_points():
    """Sinkhorn without the log domain: exp(-cost / ε) underflows for one point, and its scaling divides by 0."""

    def sinkhorn(output, target):
        kernel = torch.exp(-(torch.cdist(output, target) ** 2) / 0.05)
        u, v = torch.ones(len(output)), torch.ones(len(target))
        for _ in range(3):
            u = 1 / (kernel @ v)  # born
            v = 1 / (kernel.T @ u)
        return (u[:, None] * kernel * v * torch.cdist(output, target)).sum()

    net = nn.Linear(2, 2)
    nn.init.eye_(net.weight)
    nn.init.zeros_(net.bias)
    batches = [(torch.rand(4, 2) * 0.3, torch.rand(4, 2) * 0.3) for _ in range(3)]
    batches[1][0][1] = 9.0
    return {"model": net, "batches": batches, "loss": sinkhorn, "optimizer": lambda p: torch.optim.SGD(p, lr=1e-4)}


@faulty(phase="buffer", parameter="schedule.noise", step=3, samples=either((1,), None))
def last_step_of_a_diffusion_schedule():
    """sqrt(1 - ᾱ) of a schedule that rounds above 1 at one step; the fourth batch draws it."""

    class Schedule(nn.Module):
        def __init__(self):
            super().__init__()
            kept = torch.linspace(1.0, 0.0, 10)
            kept[0] = 1.0 + 1e-7
            self.register_buffer("signal", torch.sqrt(kept))
            self.register_buffer("noise", torch.sqrt(1 - kept))

        def forward(self, x, noise, t):
            return self.signal[t, None] * x + self.noise[t, None] * noise

    class Denoiser(nn.Module):
        def __init__(self):
            super().__init__()
            self.schedule = Schedule()
            self.net = nn.Linear(3, 3)

        def forward(self, inputs):
            return self.net(self.schedule(*inputs))

    batches = []
    for step in range(5):
        t = torch.randint(1, 10, (4,))
        if step == 3:
            t[1] = 0
        noise = torch.randn(4, 3)
        batches.append(((torch.randn(4, 3), noise, t), noise))
    return {"model": Denoiser(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="forward", op="div", step=0, samples=None)
def spectral_norm_of_zero_weights():
    """A zero-initialised layer under spectral norm: its weight over its largest singular value is 0 / 0."""
    linear = nn.Linear(3, 3)
    nn.init.zeros_(linear.weight)
    net = nn.Sequential(nn.utils.parametrizations.spectral_norm(linear), nn.Linear(3, 2))
    batches = [(torch.randn(4, 3), torch.randint(0, 2, (4,))) for _ in range(3)]
    return {"model": net, "batches": batches, "loss": F.cross_entropy}


@faulty(phase="backward", op=OPEN, step=1, samples=either((2,), None))
def half_precision_gradient_overflows():
    """A static loss scale of 4096 in a float16 model: the loss fits, the gradient of one large sample does not."""
    net = nn.Linear(2, 1, bias=False).half()
    nn.init.constant_(net.weight, 0.01)
    batches = [(torch.rand(4, 2).half(), torch.rand(4, 1).half()) for _ in range(3)]
    batches[1][0][2] = 300.0
    batches[1][1][2] = 0.0
    return {
        "model": net,
        "batches": batches,
        "loss": lambda output, target: F.l1_loss(output, target) * 4096,
        "optimizer": lambda p: torch.optim.SGD(p, lr=1e-9),
    }


@faulty(phase="forward", op=either("rsqrt", "pow"), module="1", step=2, samples=(0,))
def root_mean_square_norm_without_eps():
    """RMSNorm by rsqrt of a mean square that is 0: inf, and then 0 * inf."""

    class RmsNorm(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(width))

        def forward(self, x):
            return self.weight * x * torch.rsqrt((x**2).mean(-1, keepdim=True))  # born

    net = nn.Sequential(nn.Linear(4, 4, bias=False), RmsNorm(4), nn.Linear(4, 2))
    batches = [(torch.randn(3, 4), torch.randint(0, 2, (3,))) for _ in range(4)]
    batches[2][0][0] = 0.0
    return {"model": net, "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="div", module="", step=2, samples=(1,))
def scripted_function():
    """A function under torch.jit.script, which Python's frames do not show."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(_scale)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            return self.linear(scripted(x))

    batches = [(torch.randn(4, 3), torch.randint(0, 2, (4,))) for _ in range(4)]
    batches[2][0][1] = 0.0
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


def _scale(x: torch.Tensor) -> torch.Tensor:
    total = x.abs().sum(dim=1, keepdim=True)
    return x / total


@faulty(phase="forward", op="div", module="encoder.layers.1", step=1, samples=(2,))
def deep_in_a_list_of_layers():
    """The fault is in the second of three equal layers: the module's path tells which."""

    class Layer(nn.Module):
        def __init__(self, cut):
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.cut = cut

        def forward(self, x):
            gate = torch.relu(x.amax(1, keepdim=True) - self.cut)
            return x + torch.tanh(self.linear(x)) * gate / gate.abs()  # born

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([Layer(-100.0), Layer(-20.0), Layer(-100.0)])

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = Encoder()
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.encoder(x))

    batches = [(torch.randn(4, 4), torch.randint(0, 2, (4,))) for _ in range(3)]
    batches[1][0][2] = -50.0
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="mul", module="flow", step=2, samples=(3,))
def solver_whose_state_explodes():
    """x' = k x² has a pole: the state of one sample outgrows float32 within the solver's twelve steps."""

    class Flow(nn.Module):
        def __init__(self):
            super().__init__()
            self.k = nn.Parameter(torch.tensor(0.1))

        def forward(self, x):
            return self.k * x * x  # born

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.flow, self.head = Flow(), nn.Linear(2, 1)

        def forward(self, x):
            for _ in range(12):
                x = x + 0.1 * self.flow(x)
            return self.head(x)

    batches = [(torch.rand(5, 2), torch.randn(5, 1)) for _ in range(4)]
    batches[2][0][3] = 300.0
    return {"model": Net(), "batches": batches, "loss": F.mse_loss}
