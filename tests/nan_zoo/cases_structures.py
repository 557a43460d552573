"""The same faults in unusual surroundings: recomputed blocks, sequence-first inputs, code that raises when it meets NaN."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from zoo_case import OPEN, either, faulty


class _Root(nn.Module):
    """Signed square root, with the infinite slope at 0 that it has."""

    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)

    def forward(self, x):
        h = self.linear(x)
        return torch.sign(h) * torch.sqrt(torch.abs(h))


@faulty(phase="backward", op="SqrtBackward0", module="blocks.1", step=2, samples=(0,))
def checkpointed_block():
    """torch.utils.checkpoint: the forward of the block runs again within backward."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Linear(4, 4, bias=False)
            self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4, bias=False), nn.Tanh()), _Root(4)])
            self.head = nn.Linear(4, 1)

        def forward(self, x):
            x = self.stem(x)
            for block in self.blocks:
                x = checkpoint(block, x, use_reentrant=False)
            return self.head(x)

    batches = [(torch.randn(3, 4), torch.randn(3, 1)) for _ in range(4)]
    batches[2][0][0] = 0.0
    return {"model": Net(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="backward", op="SqrtBackward0", module="block", step=1, samples=(2,))
def checkpointed_block_the_old_way():
    """The reentrant form of checkpoint runs a backward within backward."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Linear(4, 4, bias=False)
            self.block = _Root(4)
            self.head = nn.Linear(4, 1)

        def forward(self, x):
            return self.head(checkpoint(self.block, self.stem(x), use_reentrant=True))

    batches = [(torch.randn(3, 4), torch.randn(3, 1)) for _ in range(3)]
    batches[1][0][2] = 0.0
    return {"model": Net(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="forward", op="exp", module="block", step=2, samples=(1,))
def checkpointed_forward_overflow():
    """An overflow in a checkpointed block is born in forward, however often the block runs."""

    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)
            nn.init.eye_(self.linear.weight)

        def forward(self, x):
            e = torch.exp(self.linear(x))  # born
            return e / (1 + e)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = Gate()
            self.head = nn.Linear(3, 1)

        def forward(self, x):
            return self.head(checkpoint(self.block, x, use_reentrant=False))

    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(4)]
    batches[2][0][1] = 200.0
    return {"model": Net(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="forward", op="div", module="normalise", step=3, samples=(2,))
def sequence_first_inputs():
    """Inputs (time, sample, feature): the sample is index 2 of the second dimension."""

    class UnitNorm(nn.Module):
        def forward(self, x):
            return x / x.norm(dim=-1, keepdim=True)  # born

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.normalise = UnitNorm()
            self.rnn = nn.GRU(3, 6)
            self.head = nn.Linear(6, 2)

        def forward(self, x):
            return self.head(self.rnn(self.normalise(x))[0][-1])

    batches = [(torch.randn(7, 4, 3), torch.randint(0, 2, (4,))) for _ in range(5)]
    batches[3][0][5, 2] = 0.0
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="div", module="", step=2, samples=(1,))
def distribution_that_raises():
    """torch.distributions checks its arguments: the NaN never reaches the loss, a ValueError is what the user sees."""

    class Actor(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean = nn.Linear(4, 2)

        def forward(self, observation):
            scaled = observation / observation.abs().amax(1, keepdim=True)  # born
            distribution = torch.distributions.Normal(self.mean(scaled), 1.0)
            return distribution.log_prob(distribution.rsample().detach())

    batches = [(torch.randn(3, 4), torch.randn(3, 1)) for _ in range(4)]
    batches[2][0][1] = 0.0
    return {"model": Actor(), "batches": batches, "loss": lambda output, advantage: -(output * advantage).mean()}


@faulty(phase="forward", op="exp", module="", step=3, samples=(0,))
def multinomial_that_raises():
    """torch.multinomial refuses probabilities that are NaN."""

    class Sampler(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 4)
            nn.init.constant_(self.linear.weight, 0.5)

        def forward(self, x):
            e = torch.exp(self.linear(x))  # born
            p = e / e.sum(1, keepdim=True)
            action = torch.multinomial(p.detach(), 1)
            return p.gather(1, action).log()

    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(5)]
    batches[3][0][0] = 90.0
    return {"model": Sampler(), "batches": batches, "loss": lambda output, reward: -(output * reward).mean()}


@faulty(phase="parameter", parameter="mean.weight", step=0)
def distribution_that_raises_at_once():
    """https://github.com/JinmiaoChenLab/scTM/issues/6: "Expected parameter loc" at the very first call."""

    class Actor(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean = nn.Linear(4, 2)
            with torch.no_grad():
                self.mean.weight[1, 1] = torch.nan

        def forward(self, observation):
            distribution = torch.distributions.Normal(self.mean(observation), 1.0)
            return distribution.log_prob(torch.zeros(2))

    batches = [(torch.randn(3, 4), torch.randn(3, 1)) for _ in range(4)]
    return {"model": Actor(), "batches": batches, "loss": lambda output, advantage: -(output * advantage).mean()}


@faulty(phase="loss", op="log", module=None, step=2, samples=(2,))
def assertion_of_the_user():
    """The loss checks itself, and raises."""

    def checked(output, target):
        loss = -torch.log(output.squeeze(1).sigmoid() * target + 1 - target).mean()  # born
        assert torch.isfinite(loss), "the loss is not finite"
        return loss

    net = nn.Linear(2, 1)
    nn.init.constant_(net.weight, 1.0)
    batches = [(torch.randn(4, 2), torch.ones(4)) for _ in range(4)]
    batches[2][0][2] = -80.0
    return {"model": net, "batches": batches, "loss": checked}


@faulty(phase="forward", op="div", module="towers.right.norm", step=2, samples=(1,))
def fault_in_one_of_two_towers():
    """Nested containers, tuple outputs, a dict of terms."""

    class UnitNorm(nn.Module):
        def forward(self, x):
            return x / x.pow(2).sum(1, keepdim=True).sqrt()  # born

    class Tower(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3, bias=False)
            self.norm = UnitNorm()

        def forward(self, x):
            return self.norm(self.linear(x))

    class TwoTowers(nn.Module):
        def __init__(self):
            super().__init__()
            self.towers = nn.ModuleDict({"left": Tower(), "right": Tower()})

        def forward(self, pair):
            return self.towers["left"](pair[0]), self.towers["right"](pair[1])

    def alignment(output, target):
        return ((output[0] * output[1]).sum(1) - target).pow(2).mean()

    def spread(output, target):
        return (output[0].mean(0) ** 2).sum()

    batches = [((torch.randn(4, 4), torch.randn(4, 4)), torch.rand(4)) for _ in range(4)]
    batches[2][0][1][1] = 0.0
    return {"model": TwoTowers(), "batches": batches, "loss": {"alignment": alignment, "spread": spread}}


@faulty(phase="forward", op="div", module="", step=1, samples=(0,))
def complex_spectrum_of_silence():
    """Phase retrieval: a spectrum over its magnitude, complex numbers and all."""

    class PhaseOnly(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(16))
            self.head = nn.Linear(16, 1)

        def forward(self, signal):
            spectrum = torch.fft.fft(signal * self.gain)
            phase = spectrum / spectrum.abs()  # born
            return self.head(phase.real)

    batches = [(torch.randn(3, 16), torch.randn(3, 1)) for _ in range(3)]
    batches[1][0][0] = 0.0
    return {"model": PhaseOnly(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="forward", op="div", module="", step=2, samples=(1,))
def in_place_arithmetic():
    """x.div_(…), sub_ and masked writes into one tensor, as older code has it."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 2)

        def forward(self, x):
            x = x.clone()
            x.sub_(x.mean(1, keepdim=True))
            x.div_(x.abs().sum(1, keepdim=True))  # born
            x[:, 0] = 1.0
            return self.linear(x)

    batches = [(torch.randn(3, 5), torch.randint(0, 2, (3,))) for _ in range(4)]
    batches[2][0][1] = 2.0
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="div", module="shared", step=1, samples=(2,))
def module_used_twice():
    """A shared module whose second call is the bad one."""

    class Ratio(nn.Module):
        def forward(self, a, b):
            return a / b  # born

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = Ratio()
            self.linear = nn.Linear(4, 2)

        def forward(self, x):
            first = self.shared(x, x.abs() + 1)
            second = self.shared(x, x.abs().sum(1, keepdim=True))
            return self.linear(first + second)

    batches = [(torch.randn(4, 4), torch.randint(0, 2, (4,))) for _ in range(3)]
    batches[1][0][2] = 0.0
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase=either("forward", "loss"), op=OPEN, step=4, steps=10)
def einsum_overflow():
    """An outer product by einsum of features that one batch delivers unscaled."""

    class Bilinear(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 3, 1))

        def forward(self, x):
            return torch.tanh(torch.einsum("bi,bj,ijk->bk", x, -x, self.weight))

    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(6)]
    batches[4][0][1] = torch.tensor([1e30, -1e30, 1e25])
    return {"model": Bilinear(), "batches": batches, "loss": F.mse_loss}
