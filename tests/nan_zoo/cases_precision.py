"""Half precision, autocast and gradient scalers, on the CPU."""

import torch
import torch.nn.functional as F
from torch import nn
from zoo_case import either, faulty


@faulty(phase="forward", op="linear", module="1", step=2, samples=(3,))
def half_precision_activation_overflows():
    """A float16 model: 70000 is inf."""
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 3)).half()
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(4))
        net[1].weight.fill_(1.0)
    batches = [(torch.randn(4, 4).half(), torch.randint(0, 3, (4,))) for _ in range(4)]
    batches[2][0][3] = 20000.0
    return {
        "model": net,
        "batches": batches,
        "loss": lambda output, target: F.cross_entropy(output.float(), target),
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.0),
    }


@faulty(phase="loss", op=either("pow", "square", "mse_loss"), module=None, step=1, samples=(2,))
def half_precision_square_overflows():
    """An error of 300 squared is beyond float16."""

    def mse(output, target):
        return ((output - target) ** 2).mean()  # born

    net = nn.Linear(3, 1).half()
    batches = [(torch.randn(4, 3).half(), torch.randn(4, 1).half()) for _ in range(3)]
    batches[1][1][2] = 300.0
    return {"model": net, "batches": batches, "loss": mse, "optimizer": lambda p: torch.optim.SGD(p, lr=0.01)}


@faulty(phase="optimizer", parameter="body.bias", step=0, samples=None)
def adam_eps_underflows_in_half():
    """https://discuss.pytorch.org/t/1765: eps 1e-8 is 0 in float16, and so is the square of a small gradient: 0 / 0."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_parameter("frozen", nn.Parameter(torch.ones(2), requires_grad=False))
            self.body = nn.Linear(3, 2)

        def forward(self, x):
            return self.body(x * 1000) * 1e-3

    net = Net().half()
    batches = [(torch.randn(4, 3).half(), torch.randint(0, 2, (4,))) for _ in range(3)]
    return {
        "model": net,
        "batches": batches,
        "loss": lambda output, target: F.cross_entropy(output.float(), target),
        "optimizer": lambda p: torch.optim.Adam(p, lr=1e-3, eps=1e-8),
    }


@faulty(phase="forward", op="linear", module="decoder", step=3, samples=(0,))
def autocast_to_float16_overflows():
    """float32 weights, but the matrix product runs in float16."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Linear(4, 8)
            self.decoder = nn.Linear(8, 1)
            nn.init.constant_(self.encoder.weight, 1.0)
            nn.init.constant_(self.decoder.weight, 1.0)

        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.float16):
                h = self.encoder(x)
                h = self.decoder(h)  # born
            return h.float()

    batches = [(torch.randn(3, 4), torch.randn(3, 1)) for _ in range(5)]
    batches[3][0][0] = 4000.0
    return {"model": Net(), "batches": batches, "loss": F.smooth_l1_loss, "optimizer": lambda p: torch.optim.SGD(p, lr=1e-4)}


@faulty(phase="loss", op="log", module=None, step=2, samples=(1,))
def clamp_that_rounds_to_one_in_bfloat16():
    """clamp(p, 1e-6, 1 - 1e-6) in bfloat16 is clamp(p, 1e-6, 1): log(1 - p) is -inf."""

    def bce(output, target):
        p = output.squeeze(1).clamp(1e-6, 1 - 1e-6)
        return -(target * torch.log(p) + (1 - target) * torch.log(1 - p)).float().mean()  # born

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 1)
            nn.init.constant_(self.linear.weight, 1.0)

        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return torch.sigmoid(self.linear(x))

    batches = [(torch.randn(4, 3).clamp(-1, 1), torch.tensor([1.0, 0.0, 1.0, 0.0])) for _ in range(4)]
    batches[2][0][1] = 10.0
    return {"model": Net(), "batches": batches, "loss": bce}


@faulty(phase="backward", op="SqrtBackward0", module=None, step=2, samples=(1,))
def scaler_that_hides_a_nan():
    """A scaler skips the step, as it would for an overflow, but no scale makes the slope of sqrt at 0 finite."""

    def distance(output, target):
        return torch.sqrt(((output - target) ** 2).sum(1)).mean()  # born

    net = nn.Linear(3, 2, bias=False)
    batches = [(torch.randn(4, 3), torch.randn(4, 2)) for _ in range(4)]
    batches[2][0][1] = 0.0
    batches[2][1][1] = 0.0
    return {
        "model": net,
        "batches": batches,
        "loss": distance,
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.01),
        "scaler": torch.amp.GradScaler("cpu", init_scale=1024.0),
    }


@faulty(phase="buffer", op="batch_norm", parameter="norm.running_var", step=2, samples=either((3,), None))
def fill_value_in_a_batch_norm():
    """A fill value of 9.97e36 in one sample: the batch's variance is inf, its output finite, and the statistic is lost."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            x = self.norm(x)  # born
            return self.head(x)

    batches = [(torch.randn(6, 4), torch.randint(0, 2, (6,))) for _ in range(5)]
    batches[2][0][3, 1] = 9.96921e36
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="buffer", op="batch_norm", parameter="1.running_var", step=0)
def half_precision_running_variance():
    """A float16 batch norm over raw sensor values: normalised they fit, their variance does not."""
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 2)).half()
    batches = [((torch.randn(16, 4) * 4000).clamp(-30000, 30000).half(), torch.randint(0, 2, (16,))) for _ in range(3)]
    return {
        "model": net,
        "batches": batches,
        "loss": lambda output, target: F.cross_entropy(output.float(), target),
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.01),
    }
