"""Finite losses whose gradient is not: slopes at the edge of a domain."""

import torch
import torch.nn.functional as F
from torch import nn
from zoo_case import either, faulty


@faulty(phase="backward", op="SqrtBackward0", module="distance", step=3, samples=(5,))
def distance_between_identical_samples():
    """A Siamese pair of the same image twice: the square root has no slope at 0."""

    class Distance(nn.Module):
        def forward(self, a, b):
            return ((a - b) ** 2).sum(1).sqrt()  # born

    class Siamese(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
            self.distance = Distance()

        def forward(self, pair):
            return self.distance(self.encoder(pair[0]), self.encoder(pair[1]))

    def contrastive(distance, same):
        return (same * distance**2 + (1 - same) * torch.relu(2 - distance) ** 2).mean()

    batches = []
    for step in range(5):
        a, b = torch.randn(8, 6), torch.randn(8, 6)
        if step == 3:
            b[5] = a[5]
        batches.append(((a, b), torch.tensor([0.0, 1.0] * 4)))
    return {"model": Siamese(), "batches": batches, "loss": contrastive}


@faulty(phase="backward", op="SqrtBackward0", module=None, step=2, samples=(0, 1, 2, 3))
def root_mean_square_error_of_a_perfect_batch():
    """RMSE of a batch that is predicted exactly: all targets are 0, and relu gives 0 for the blank inputs."""

    def rmse(output, target):
        return torch.sqrt(F.mse_loss(output.squeeze(1), target))  # born

    net = nn.Sequential(nn.Linear(5, 8, bias=False), nn.Tanh(), nn.Linear(8, 1, bias=False))
    batches = [(torch.randn(4, 5), torch.rand(4)) for _ in range(4)]
    batches[2][0][:] = 0.0
    batches[2][1][:] = 0.0
    return {"model": net, "batches": batches, "loss": rmse, "optimizer": lambda p: torch.optim.SGD(p, lr=0.01)}


@faulty(phase="backward", op="LogBackward0", module="scale", step=2, samples=(1,))
def branch_that_where_does_not_take():
    """https://github.com/pytorch/pytorch/issues/108618: log of 0 is selected away, and its slope times 0 is NaN."""

    class LogScale(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(4))

        def forward(self, amounts):
            amounts = amounts * self.gain
            return torch.where(amounts > 0, torch.log(amounts), torch.zeros_like(amounts))  # born

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = LogScale()
            self.head = nn.Linear(4, 1)

        def forward(self, amounts):
            return self.head(self.scale(amounts)).squeeze(1)

    batches = [(torch.rand(3, 4) + 0.1, torch.randn(3)) for _ in range(4)]
    batches[2][0][1, 2] = 0.0
    return {"model": Net(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="backward", op="SqrtBackward0", module="", step=1, samples=(2,))
def where_over_a_negative_square_root():
    """https://github.com/pytorch/pytorch/issues/187297: the branch not taken is NaN already in forward."""

    class SignedRoot(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)
            nn.init.eye_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)

        def forward(self, x):
            h = self.linear(x)
            root = torch.sqrt(h)  # born
            return torch.where(h > 0, root, h)

    batches = [(torch.rand(4, 3) + 0.5, torch.rand(4, 3)) for _ in range(3)]
    batches[1][0][2, 0] = -1.0
    return {"model": SignedRoot(), "batches": batches, "loss": F.l1_loss, "optimizer": lambda p: torch.optim.SGD(p, lr=0.01)}


@faulty(phase="backward", op="PowBackward0", module="gamma", step=4, samples=(0,))
def gamma_correction_of_black():
    """x ** 0.45 at 0."""

    class Gamma(nn.Module):
        def forward(self, x):
            return x.clamp(min=0) ** 0.45  # born

    net = nn.Sequential()
    net.add_module("conv", nn.Conv2d(1, 2, 3, padding=1, bias=False))
    net.add_module("gamma", Gamma())
    net.add_module("flatten", nn.Flatten())
    net.add_module("head", nn.Linear(72, 1))
    nn.init.constant_(net.conv.weight, 0.1)
    batches = [(torch.rand(3, 1, 6, 6) + 0.2, torch.rand(3, 1)) for _ in range(5)]
    batches[4][0][0] = 0.0
    return {"model": net, "batches": batches, "loss": F.mse_loss}


@faulty(phase="backward", op="AcosBackward0", module=None, step=2, samples=(3,))
def angle_to_itself():
    """https://github.com/kornia/kornia/issues/4007: clamp keeps acos in its domain, and lets the infinite slope through."""

    def geodesic(output, target):
        cosine = (F.normalize(output, dim=1) * target).sum(1)
        return torch.acos(cosine.clamp(-1, 1)).mean()  # born

    class Rotation(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3, bias=False)
            nn.init.eye_(self.linear.weight)

        def forward(self, x):
            return self.linear(x)

    batches = [(torch.randn(4, 3), F.normalize(torch.randn(4, 3), dim=1)) for _ in range(4)]
    batches[2][0][3] = torch.tensor([0.0, 0.0, 2.0])
    batches[2][1][3] = torch.tensor([0.0, 0.0, 1.0])
    return {
        "model": Rotation(),
        "batches": batches,
        "loss": geodesic,
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.0),
    }


@faulty(phase="backward", op="SqrtBackward0", module="margin", step=2, samples=(1,))
def sine_of_an_arcface_angle_of_zero():
    """https://github.com/ronghuaiyang/arcface-pytorch/issues/91: sqrt(1 - cos²) for a feature along its class weight."""

    class ArcMargin(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.eye(3, 4))

        def forward(self, features):
            cosine = F.linear(F.normalize(features), F.normalize(self.weight))
            sine = torch.sqrt((1.0 - cosine**2).clamp(0, 1))  # born
            return 10 * (cosine * 0.88 - sine * 0.48)

    class Face(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Linear(4, 4, bias=False)
            nn.init.eye_(self.backbone.weight)
            self.margin = ArcMargin()

        def forward(self, x):
            return self.margin(self.backbone(x))

    batches = [(torch.randn(4, 4), torch.randint(0, 3, (4,))) for _ in range(4)]
    batches[2][0][1] = torch.tensor([0.0, 3.0, 0.0, 0.0])
    return {
        "model": Face(),
        "batches": batches,
        "loss": F.cross_entropy,
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.0),
    }


@faulty(phase="backward", op="LogBackward0", module=None, step=3, samples=(2,))
def log_clamped_after_the_fact():
    """log(p).clamp(min=-100) is finite at p = 0, its gradient is 0 / 0."""

    def likelihood(output, target):
        p = torch.softmax(output, dim=1)
        return -(torch.log(p).clamp(min=-100) * F.one_hot(target, 3)).sum(1).mean()  # born

    net = nn.Linear(4, 3)
    nn.init.constant_(net.weight, 0.0)
    with torch.no_grad():
        net.weight[0] = 1.0
    batches = [(torch.randn(4, 4), torch.randint(0, 3, (4,))) for _ in range(5)]
    batches[3][0][2] = 50.0
    return {"model": net, "batches": batches, "loss": likelihood}


@faulty(phase="backward", op="LogBackward0", module="", step=3, samples=(0,))
def log_of_softmax_for_another_class():
    """log(softmax(x)) instead of log_softmax: a class that underflows has slope inf even where it is not the target."""

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)
            with torch.no_grad():
                self.linear.weight.copy_(torch.tensor([[1.0] * 4, [0.0] * 4, [0.0] * 4]))

        def forward(self, x):
            return torch.log(F.softmax(self.linear(x), dim=1))  # born

    batches = [(torch.randn(4, 4), torch.randint(0, 3, (4,))) for _ in range(5)]
    batches[3][0][0] = 50.0
    batches[3][1][0] = 0
    return {"model": Classifier(), "batches": batches, "loss": F.nll_loss}


@faulty(phase="backward", op="PowBackward0", module=None, step=1, samples=(3,))
def focal_loss_with_a_small_gamma():
    """(1 - p) ** gamma with gamma below 1, at a sample so easy that p rounds to 1."""

    def focal(output, target):
        log_p = F.log_softmax(output, dim=1).gather(1, target[:, None]).squeeze(1)
        return -((1 - log_p.exp()) ** 0.5 * log_p).mean()  # born

    net = nn.Linear(3, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]]))
    batches = [(torch.randn(5, 3), torch.randint(0, 2, (5,))) for _ in range(3)]
    batches[1][0][3] = 20.0
    batches[1][1][3] = 0
    return {"model": net, "batches": batches, "loss": focal}


@faulty(phase="backward", op="LinalgEighBackward0", module="whitening", step=1, samples=(2,))
def eigenvectors_of_an_isotropic_covariance():
    """Whitening by eigh: equal eigenvalues, and 1 / (λi - λj) in its gradient."""

    class Whitening(nn.Module):
        def forward(self, covariance):
            values, vectors = torch.linalg.eigh(covariance)  # born
            return vectors * values.unsqueeze(1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(()))
            self.whitening = Whitening()

        def forward(self, covariance):
            return self.whitening(covariance * self.gain)

    batches = []
    for step in range(3):
        root = torch.randn(4, 3, 3)
        covariance = root @ root.transpose(1, 2) + torch.diag(torch.tensor([0.0, 1.0, 2.0]))
        if step == 1:
            covariance[2] = torch.eye(3)
        batches.append((covariance, torch.randn(4, 3, 3)))
    return {"model": Net(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="backward", op="SafeSoftplusBackward", module="act", step=2, samples=(1,))
def custom_function_with_a_naive_backward():
    """The forward of a hand-written softplus is stable, its backward exp(x) / (1 + exp(x)) is inf / inf."""

    class SafeSoftplus(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return F.softplus(x)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * torch.exp(x) / (1 + torch.exp(x))

    class Softplus(nn.Module):
        def forward(self, x):
            return SafeSoftplus.apply(x)

    net = nn.Sequential()
    net.add_module("linear", nn.Linear(3, 3))
    net.add_module("act", Softplus())
    nn.init.eye_(net.linear.weight)
    batches = [(torch.randn(4, 3), torch.randn(4, 3)) for _ in range(4)]
    batches[2][0][1] = 200.0
    return {"model": net, "batches": batches, "loss": F.smooth_l1_loss}


@faulty(phase="backward", op="SqrtBackward0", module=None, step=2, samples=(0, 1, 2, 3))
def spread_of_a_collapsed_batch():
    """VICReg-like: the square root of a variance over a batch that holds one sample four times."""

    def variance_term(output, target):
        spread = torch.sqrt(output.var(dim=0))  # born
        return torch.relu(1 - spread).mean() + F.mse_loss(output, target)

    batches = [(torch.randn(4, 5), torch.randn(4, 3)) for _ in range(4)]
    batches[2][0][:] = torch.arange(5.0)
    return {"model": nn.Linear(5, 3), "batches": batches, "loss": variance_term}


@faulty(phase="backward", op="SqrtBackward0", module=None, step=1, samples=(2,))
def gradient_penalty_where_the_critic_is_flat():
    """WGAN-GP with sqrt(sum(g²)): a sample at which all relus are off has gradient 0."""

    class Critic(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 6, bias=False)
            self.last = nn.Linear(6, 1)
            with torch.no_grad():
                self.first.weight.abs_()

        def forward(self, x):
            x = x.detach().requires_grad_()
            score = self.last(torch.relu(self.first(x)))
            (gradient,) = torch.autograd.grad(score.sum(), x, create_graph=True)
            return score, gradient

    def penalised(output, target):
        score, gradient = output
        norm = torch.sqrt((gradient**2).sum(1))  # born
        return (target * score.squeeze(1)).mean() + 10 * ((norm - 1) ** 2).mean()

    batches = [(torch.rand(4, 4) + 0.1, torch.tensor([1.0, -1.0, 1.0, -1.0])) for _ in range(3)]
    batches[1][0][2] = -1.0
    return {"model": Critic(), "batches": batches, "loss": penalised}


@faulty(phase="backward", op=either("LogsumexpBackward0", "LogcumsumexpBackward0"), module="", step=2, samples=(1,))
def logsumexp_of_nothing():
    """Pooling in the log domain over a bag whose instances are all masked: finite after exp, NaN behind it."""

    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.score = nn.Linear(4, 1)

        def forward(self, inputs):
            x, bias = inputs
            pooled = torch.logsumexp(self.score(x).squeeze(-1) + bias, dim=1)  # born
            return torch.exp(pooled)

    batches = []
    for step in range(4):
        bias = torch.zeros(3, 5)
        bias[0, 3:] = -torch.inf
        if step == 2:
            bias[1] = -torch.inf
        batches.append(((torch.randn(3, 5, 4), bias), torch.rand(3)))
    return {"model": Bag(), "batches": batches, "loss": F.mse_loss}
