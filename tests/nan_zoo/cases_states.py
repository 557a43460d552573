"""Values that were bad before the step, and statistics that a step spoils without anybody noticing."""

import io

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from zoo_case import either, faulty


@faulty(phase="parameter", parameter="background", step=0)
def parameter_that_nobody_initialised():
    """https://github.com/sauradip/STALE/issues/16: nn.Parameter(torch.empty(...)), and memory that held NaN."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.background = nn.Parameter(torch.empty(4))
            # what uninitialised memory may hold, so that the test does not depend on luck
            self.background.data = torch.tensor([1.8e25, 0.0, float("nan"), 4.6e-41])

        def forward(self, x):
            return self.linear(x) + 1e-20 * self.background

    batches = [(torch.randn(4, 4), torch.randint(0, 4, (4,))) for _ in range(3)]
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="mul", module="scaling", step=0, samples=None)
def parameter_of_absurd_magnitudes():
    """The same, but the memory held 1e38 beside zeros: finite, until something is multiplied with it."""

    class Scaling(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.empty(3))
            self.gain.data = torch.tensor([0.0, 3.2e38, 9.1e-41])

        def forward(self, x):
            return x * self.gain  # born

    net = nn.Sequential()
    net.add_module("scaling", Scaling())
    net.add_module("head", nn.Linear(3, 2))
    batches = [(torch.randn(8, 3) * 100, torch.randint(0, 2, (8,))) for _ in range(3)]
    return {"model": net, "batches": batches, "loss": F.cross_entropy}


@faulty(phase="parameter", parameter="encoder.0.weight", step=0)
def checkpoint_with_a_nan():
    """Saved after it had gone wrong, loaded by the next run."""
    torch.manual_seed(1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(4, 6), nn.ReLU())
            self.head = nn.Linear(6, 2)

        def forward(self, x):
            return self.head(self.encoder(x))

    spoilt = Net()
    with torch.no_grad():
        spoilt.encoder[0].weight[2, 1] = torch.nan
    file = io.BytesIO()
    torch.save(spoilt.state_dict(), file)
    file.seek(0)
    net = Net()
    net.load_state_dict(torch.load(file, weights_only=True))
    batches = [(torch.randn(4, 4), torch.randint(0, 2, (4,))) for _ in range(3)]
    return {"model": net, "batches": batches, "loss": F.cross_entropy}


@faulty(phase="parameter", parameter="embedding.weight", step=4, samples=either((2,), None))
def pretrained_embedding_with_one_bad_row():
    """A word that divides by its count of 0 in the pretraining; it turns up in the fifth batch."""

    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            vectors = torch.randn(50, 6)
            vectors[17] = torch.nan
            self.embedding = nn.Embedding.from_pretrained(vectors, freeze=True)
            self.head = nn.Linear(6, 2)

        def forward(self, tokens):
            return self.head(self.embedding(tokens).mean(1))

    batches = []
    for step in range(6):
        tokens = torch.randint(0, 17, (4, 5))
        if step == 4:
            tokens[2, 1] = 17
        batches.append((tokens, torch.randint(0, 2, (4,))))
    return {"model": Bag(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="parameter", parameter="rnn.weight_hh_l0", step=0)
def infinite_recurrent_weight():
    """One Inf in an LSTM: its gates saturate, only inf - inf and 0 * inf betray it."""

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(4, 5, batch_first=True)
            self.head = nn.Linear(5, 2)
            with torch.no_grad():
                self.rnn.weight_hh_l0[3, 2] = torch.inf

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    batches = [(torch.randn(3, 4, 4), torch.randint(0, 2, (3,))) for _ in range(3)]
    return {"model": Tagger(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="buffer", parameter="backbone.1.running_var", step=0)
def frozen_batch_norm_with_nan_statistics():
    """https://github.com/pytorch/pytorch/issues/1206: statistics that went bad in pretraining, used by a frozen backbone."""

    class Finetuned(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU())
            self.head = nn.Linear(6, 2)
            self.backbone.requires_grad_(False)
            self.backbone[1].running_var[4] = torch.nan

        def train(self, mode=True):
            super().train(mode)
            self.backbone.eval()
            return self

        def forward(self, x):
            return self.head(self.backbone(x))

    batches = [(torch.randn(4, 4), torch.randint(0, 2, (4,))) for _ in range(3)]
    return {"model": Finetuned(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="batch_norm", module="norm", step=0, samples=None)
def negative_running_variance():
    """A negative variance is a number like any other, until the square root is taken."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)
            self.head = nn.Linear(4, 2)
            self.norm.running_var[1] = -0.3

        def train(self, mode=True):
            super().train(mode)
            self.norm.eval()
            return self

        def forward(self, x):
            return self.head(self.norm(x))  # born

    batches = [(torch.randn(4, 4), torch.randint(0, 2, (4,))) for _ in range(3)]
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="buffer", parameter="position.table", step=3)
def position_table_too_short():
    """A table of log-distances whose last entries are -inf; only longer sequences come to them."""

    class Position(nn.Module):
        def __init__(self):
            super().__init__()
            left = torch.from_numpy(np.linspace(1, 0, 8, dtype=np.float32))
            self.register_buffer("table", torch.log(left))

        def forward(self, x):
            return x + self.table[: x.shape[1], None]

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.position = Position()
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            return self.head(self.position(x)).mean(1)

    lengths = [4, 6, 5, 8, 4]
    batches = [(torch.randn(3, length, 3), torch.randint(0, 2, (3,))) for length in lengths]
    return {"model": Net(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="buffer", op="div", parameter="quantiser.codebook", step=0)
def codebook_entry_that_nobody_uses():
    """VQ-VAE with exponential averages: sums / counts, and a count of 0. The loss of this step does not see it."""

    class Quantiser(nn.Module):
        def __init__(self):
            super().__init__()
            codes = torch.randn(5, 3)
            codes[4] = 1e3
            self.register_buffer("codebook", codes)

        def forward(self, z):
            nearest = torch.cdist(z, self.codebook).argmin(1)
            quantised = self.codebook[nearest]
            if self.training:
                one_hot = F.one_hot(nearest, 5).to(z.dtype)
                self.codebook = (one_hot.T @ z.detach()) / one_hot.sum(0).unsqueeze(1)  # born
            return z + (quantised - z).detach()

    class AutoEncoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Linear(6, 3)
            self.quantiser = Quantiser()
            self.decoder = nn.Linear(3, 6)

        def forward(self, x):
            return self.decoder(self.quantiser(self.encoder(x)))

    batches = [(x, x) for x in (torch.randn(16, 6) for _ in range(3))]
    return {"model": AutoEncoder(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="buffer", op="std", parameter="spread", step=3, samples=None)
def moving_spread_of_a_batch_of_one():
    """A moving average of the batch's std for later use in evaluation; the ragged last batch makes it NaN for good."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 1)
            self.register_buffer("spread", torch.ones(4))

        def forward(self, x):
            if self.training:
                self.spread.mul_(0.9).add_(0.1 * x.std(dim=0))  # born
            return self.linear(x)

    x, y = torch.randn(10, 4), torch.randn(10, 1)
    return {"model": Net(), "batches": list(zip(x.split(3), y.split(3), strict=True)), "loss": F.mse_loss}


@faulty(phase="optimizer", parameter="2.weight", step=0)
def optimizer_state_from_a_spoilt_run():
    """The weights were repaired, the moments of Adam were not."""
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    net(torch.randn(2, 3)).sum().backward()
    optimizer.step()
    saved = optimizer.state_dict()
    saved["state"][2]["exp_avg"][0, 1] = torch.nan
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    optimizer.load_state_dict(saved)
    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(3)]
    return {"model": net, "batches": batches, "loss": F.mse_loss, "optimizer": optimizer}


@faulty(phase="buffer", parameter="bank", step=2, samples=either((1,), None))
def cache_read_before_it_was_written():
    """A memory bank that starts as NaN, and a look-up of a slot that no sample has filled yet."""

    class Memory(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)
            self.register_buffer("bank", torch.full((12, 3), torch.nan))

        def forward(self, inputs):
            x, slot, neighbour = inputs
            z = self.linear(x)
            self.bank[slot] = z.detach()
            return z - self.bank[neighbour]

    batches = []
    for step in range(4):
        slot = torch.arange(3) + 3 * step
        neighbour = slot.clone()
        if step == 2:
            neighbour[1] = 11
        batches.append(((torch.randn(3, 3), slot, neighbour), torch.randn(3, 3)))
    return {"model": Memory(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="parameter", parameter="embedding.weight", step=0)
def tied_weights_with_a_nan():
    """Embedding and output layer share their weights: the name is the first of both."""

    class LanguageModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(10, 4)
            self.head = nn.Linear(4, 10, bias=False)
            self.head.weight = self.embedding.weight
            with torch.no_grad():
                self.head.weight[9, 0] = torch.nan

        def forward(self, tokens):
            return self.head(self.embedding(tokens)).transpose(1, 2)

    batches = [(torch.randint(0, 9, (2, 5)), torch.randint(0, 9, (2, 5))) for _ in range(3)]
    return {"model": LanguageModel(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="parameter", parameter="log_sigma", step=0, samples=None)
def infinite_logarithm_of_a_scale():
    """exp(-inf) is 0: the parameter hides in a good number, and the division by it is where the damage shows."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 2)
            self.log_sigma = nn.Parameter(torch.tensor([0.0, -torch.inf]))

        def forward(self, x):
            return self.layer(x) / self.log_sigma.exp()

    return {"model": Net(), "batches": [(torch.randn(8, 4), torch.randn(8, 2)) for _ in range(3)], "loss": F.mse_loss}
