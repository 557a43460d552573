"""Healthy runs that look like trouble: zeros where it matters, large numbers, small precision, plain good habits."""

import torch
import torch.nn.functional as F
from torch import nn
from zoo_case import healthy


def _classification(steps=5):
    return [(torch.randn(4, 4), torch.randint(0, 2, (4,))) for _ in range(steps)]


@healthy()
def norm_at_zero():
    """torch's norms, std and pairwise distances have a slope of 0 at 0."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3, bias=False)

        def forward(self, x):
            h = self.linear(x)
            return h.norm(dim=1) + h.std(dim=1) + F.pairwise_distance(h, h) + torch.cdist(h, h).sum(1)

    batches = [(torch.randn(4, 4), torch.rand(4)) for _ in range(5)]
    for x, _ in batches:
        x[1] = 0.0
    return {"model": Net(), "batches": batches, "loss": F.mse_loss}


@healthy()
def normalised_zero_vectors():
    """F.normalize and F.cosine_similarity have an eps."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(torch.cat([self.linear(F.normalize(x)), F.cosine_similarity(x, x)[:, None]], dim=1))

    batches = _classification()
    for x, _ in batches:
        x[2] = 0.0
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@healthy()
def entropy_with_zeros():
    """torch.xlogy and kl_div take 0 * log(0) for the 0 that it is."""

    def loss(output, target):
        log_p = F.log_softmax(output, dim=1)
        return F.kl_div(log_p, target, reduction="batchmean") + torch.xlogy(target, target).sum() * 0.1

    batches = [(torch.randn(4, 4), F.one_hot(torch.randint(0, 3, (4,)), 3).float()) for _ in range(5)]
    return {"model": nn.Linear(4, 3), "batches": batches, "loss": loss}


@healthy()
def saturated_binary_cross_entropy():
    """nn.BCELoss clamps its logs at -100, also where sigmoid is exactly 0 or 1."""
    net = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())
    nn.init.constant_(net[0].weight, 30.0)
    batches = [(torch.randn(4, 3), torch.randint(0, 2, (4, 1)).float()) for _ in range(5)]
    return {"model": net, "batches": batches, "loss": nn.BCELoss()}


@healthy()
def huge_loss():
    """Sums of squares of unscaled targets: 1e13, and finite."""
    batches = [(torch.randn(8, 3), torch.randn(8, 1) * 1e6) for _ in range(5)]
    return {
        "model": nn.Linear(3, 1),
        "batches": batches,
        "loss": nn.MSELoss(reduction="sum"),
        "optimizer": lambda p: torch.optim.SGD(p, lr=1e-4),
    }


@healthy()
def gradient_whose_norm_overflows():
    """Gradients of 1e25: each is finite, and only the sum of their squares is not."""

    class SignSGD(torch.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p.sub_(group["lr"] * p.grad.sign())

    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(5)]
    return {
        "model": nn.Linear(3, 1),
        "batches": batches,
        "loss": lambda output, target: F.l1_loss(output, target) * 1e25,
        "optimizer": lambda p: SignSGD(p, lr=1e-3),
    }


@healthy()
def negative_loss():
    """A log-likelihood of a density far above 1."""

    def loss(output, target):
        return F.gaussian_nll_loss(output[:, :1], target, torch.full_like(target, 1e-6)) * 1e-4

    batches = [(torch.randn(4, 3), torch.zeros(4, 1)) for _ in range(5)]
    net = nn.Linear(3, 1)
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    return {"model": net, "batches": batches, "loss": loss}


@healthy(steps=30)
def scaler_that_starts_too_high():
    """Skipped steps at the start are how a gradient scaler finds its scale."""
    return {
        "model": nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)),
        "batches": _classification(),
        "loss": lambda output, target: F.cross_entropy(output, target) * 100,
        "optimizer": lambda p: torch.optim.SGD(p, lr=1e-4),
        "scaler": torch.amp.GradScaler("cpu", init_scale=2.0**120),
    }


@healthy(steps=20)
def scaler_around_half_precision():
    """autocast to float16 with a scaler: the scaled gradients overflow a few times, the unscaled ones never."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.float16):
                return self.net(x).float()

    return {
        "model": Net(),
        "batches": _classification(),
        "loss": F.cross_entropy,
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.01),
        "scaler": torch.amp.GradScaler("cpu", init_scale=2.0**22),
    }


@healthy()
def half_model_with_a_fitting_eps():
    """float16 weights, Adam with eps 1e-4."""
    return {
        "model": nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).half(),
        "batches": [(x.half(), y) for x, y in _classification()],
        "loss": lambda output, target: F.cross_entropy(output.float(), target),
        "optimizer": lambda p: torch.optim.Adam(p, lr=1e-3, eps=1e-4),
    }


@healthy()
def bfloat16_autocast():
    """bfloat16 in the model, float32 outside."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 2))

        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return self.net(x)

    return {"model": Net(), "batches": _classification(), "loss": lambda o, t: F.cross_entropy(o.float(), t)}


@healthy()
def frozen_layers():
    """requires_grad off in the first layer, and no gradient for it."""
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    net[0].requires_grad_(False)
    return {"model": net, "batches": _classification(), "loss": F.cross_entropy}


@healthy()
def sparse_embedding():
    """Sparse gradients, and an optimizer that takes them."""

    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.EmbeddingBag(50, 4, sparse=True)

        def forward(self, tokens):
            return self.embedding(tokens)

    batches = [(torch.randint(0, 50, (4, 3)), torch.randint(0, 4, (4,))) for _ in range(5)]
    return {
        "model": Bag(),
        "batches": batches,
        "loss": F.cross_entropy,
        "optimizer": lambda p: torch.optim.SparseAdam(p, lr=1e-2),
    }


@healthy(steps=20)
def batch_norm_dropout_and_a_rate_of_a_tenth():
    """SGD at 0.1 with momentum, as ResNets are trained."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3))
    batches = [(torch.randn(8, 1, 8, 8), torch.randint(0, 3, (8,))) for _ in range(5)]
    return {
        "model": net,
        "batches": batches,
        "loss": F.cross_entropy,
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "scheduler": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 4),
    }


@healthy()
def batch_norm_of_a_constant_feature():
    """Variance 0 and an eps: the feature is 0."""
    batches = [(torch.cat([torch.randn(4, 3), torch.ones(4, 1)], 1), torch.randint(0, 2, (4,))) for _ in range(5)]
    return {"model": nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2)), "batches": batches, "loss": F.cross_entropy}


@healthy()
def recurrent_network_over_padding():
    """An LSTM over zero-padded sequences, gradients clipped in the optimizer."""

    class Clipped(torch.optim.Adam):
        def step(self, closure=None):
            for group in self.param_groups:
                nn.utils.clip_grad_norm_(group["params"], 1.0)
            return super().step(closure)

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(3, 6, batch_first=True, bidirectional=True)
            self.head = nn.Linear(12, 2)

        def forward(self, x):
            return self.head(self.rnn(x)[0]).transpose(1, 2)

    batches = []
    for _ in range(5):
        x, y = torch.randn(3, 7, 3), torch.randint(0, 2, (3, 7))
        x[1, 4:], y[1, 4:] = 0.0, -100
        batches.append((x, y))
    return {
        "model": Tagger(),
        "batches": batches,
        "loss": nn.CrossEntropyLoss(),
        "optimizer": lambda p: Clipped(p, lr=1e-2),
    }


@healthy()
def ctc_with_zero_infinity():
    """An impossible alignment, asked to count as 0."""

    class Acoustic(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(5, 6)

        def forward(self, frames):
            return F.log_softmax(self.head(frames), dim=-1)

    def ctc(output, target):
        labels, frames, lengths = target
        return F.ctc_loss(output, labels, frames, lengths, zero_infinity=True)

    batches = []
    for _ in range(4):
        target = (torch.randint(1, 6, (3, 5)), torch.tensor([8, 3, 8]), torch.tensor([2, 5, 3]))
        batches.append((torch.randn(8, 3, 5), target))
    return {"model": Acoustic(), "batches": batches, "loss": ctc}


@healthy(innocent="state")
def optimizer_state_that_starts_at_infinity():
    """A user's optimizer remembers the smallest gradient norm and the best loss, which start at inf; one stays there."""

    class Remembering(torch.optim.SGD):
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    state.setdefault("smallest", torch.tensor(torch.inf))
                    state.setdefault("best_loss", torch.tensor(torch.inf))
                    if p.grad is not None:
                        state["smallest"] = torch.minimum(state["smallest"], p.grad.norm())
            return super().step(closure)

    return {
        "model": nn.Linear(4, 2),
        "batches": _classification(),
        "loss": F.cross_entropy,
        "optimizer": lambda p: Remembering(p, lr=0.1),
    }


@healthy()
def complex_weights():
    """A Fourier layer with complex parameters."""

    class Spectral(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(9, dtype=torch.cfloat) * 0.1)
            self.head = nn.Linear(16, 2)

        def forward(self, x):
            return self.head(torch.fft.irfft(torch.fft.rfft(x) * self.weight, n=16))

    batches = [(torch.randn(4, 16), torch.randint(0, 2, (4,))) for _ in range(5)]
    return {"model": Spectral(), "batches": batches, "loss": F.cross_entropy}


@healthy()
def all_labels_ignored_and_summed():
    """A sum over no label is 0; the mean is taken by hand over at least one."""

    def loss(output, target):
        counted = (target != -100).sum().clamp(min=1)
        return F.cross_entropy(output, target, reduction="sum") / counted

    batches = _classification()
    batches[2][1][:] = -100
    return {"model": nn.Linear(4, 2), "batches": batches, "loss": loss}


@healthy()
def inverse_square_root_degrees_put_right():
    """pow(-0.5) of degree 0 is inf, and is set to 0 before anything is multiplied with it."""

    class GraphConv(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, inputs):
            x, adjacency = inputs
            scale = adjacency.sum(-1).pow(-0.5)
            scale[scale == torch.inf] = 0.0
            adjacency = scale[:, :, None] * adjacency * scale[:, None, :]
            return (adjacency @ self.linear(x)).mean(1)

    batches = []
    for _ in range(4):
        adjacency = torch.ones(3, 5, 5) - torch.eye(5)
        adjacency[1, 3] = 0.0
        adjacency[1, :, 3] = 0.0
        batches.append(((torch.randn(3, 5, 4), adjacency), torch.randint(0, 2, (3,))))
    return {"model": GraphConv(), "batches": batches, "loss": F.cross_entropy}


@healthy()
def reciprocal_through_infinity():
    """1 / (1 + exp(-x)) by hand: exp overflows to inf, and 1 / inf is the 0 it should be."""

    class Sigmoid(nn.Module):
        def forward(self, x):
            with torch.no_grad():
                return 1 / (1 + torch.exp(-x))

    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)
            self.gate = Sigmoid()

        def forward(self, x):
            return self.linear(x) * self.gate(x[:, :1] * 1000)

    return {"model": Gated(), "batches": _classification(), "loss": F.cross_entropy}


@healthy(steps=150)
def long_and_quiet():
    """A small MLP for 150 steps; nothing happens."""
    net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
    return {"model": net, "batches": _classification(7), "loss": F.cross_entropy}
