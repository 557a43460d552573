"""Masks that leave nothing to attend to, and scores that overflow."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from zoo_case import OPEN, either, faulty


@faulty(phase="forward", op="softmax", module="attention", step=3, samples=(2,))
def fully_masked_row():
    """A sentence of nothing but padding: every score of its rows is -inf."""

    class SelfAttention(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

        def forward(self, x, padding):
            scores = self.query(x) @ self.key(x).transpose(1, 2) / math.sqrt(x.shape[-1])
            scores = scores.masked_fill(padding[:, None, :], -torch.inf)
            weights = torch.softmax(scores, dim=-1)  # born
            return weights @ self.value(x)

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(20, 8, padding_idx=0)
            self.attention = SelfAttention(8)
            self.head = nn.Linear(8, 2)

        def forward(self, tokens):
            x = self.embedding(tokens)
            return self.head(self.attention(x, tokens == 0).mean(dim=1))

    batches = []
    for step in range(6):
        tokens = torch.randint(1, 20, (4, 5))
        tokens[1, 3:] = 0
        if step == 3:
            tokens[2] = 0
        batches.append((tokens, torch.randint(0, 2, (4,))))
    return {"model": Classifier(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="softmax", module="attention", step=2, samples=(1,))
def multihead_attention_key_padding():
    """https://github.com/pytorch/pytorch/issues/40932: the whole input of one sample is padding."""

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, inputs):
            x, padding = inputs
            out, _ = self.attention(x, x, x, key_padding_mask=padding)
            return self.head(out[:, 0])

    batches = []
    for step in range(5):
        padding = torch.zeros(4, 6, dtype=torch.bool)
        padding[3, 4:] = True
        padding[1] = step == 2
        batches.append(((torch.randn(4, 6, 8), padding), torch.randint(0, 3, (4,))))
    return {
        "model": Encoder(),
        "batches": batches,
        "loss": F.cross_entropy,
        "optimizer": lambda p: torch.optim.Adam(p, 1e-3),
    }


@faulty(phase="backward", op=either("BmmBackward0", "SoftmaxBackward0"), module="", step=1, samples=(2,))
def masked_query_that_the_loss_leaves_out():
    """https://github.com/pytorch/pytorch/issues/41508: the NaN rows are cut off, and 0 times NaN comes back."""

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))

        def forward(self, inputs):
            x, window = inputs
            scores = self.query(x) @ self.key(x).transpose(1, 2) + window
            out = torch.softmax(scores, dim=-1) @ self.value(x)
            return out[:, :4]

    batches = []
    for step in range(4):
        window = torch.zeros(3, 5, 5)
        window[:, 0, 3:] = -torch.inf
        if step == 1:
            window[2, 4] = -torch.inf
        batches.append(((torch.randn(3, 5, 8), window), torch.randn(3, 4, 8)))
    return {"model": Encoder(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="backward", op="SoftmaxBackward0", module="", step=2, samples=(0,))
def nan_to_num_after_an_additive_mask():
    """Zeroing the NaNs of a fully masked row afterwards mends the output, not the gradient."""

    class Pool(nn.Module):
        def __init__(self):
            super().__init__()
            self.score = nn.Linear(8, 1)
            self.head = nn.Linear(8, 2)

        def forward(self, inputs):
            x, bias = inputs
            scores = self.score(x).squeeze(-1) + bias
            weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)  # born
            return self.head((weights.unsqueeze(-1) * x).sum(1))

    batches = []
    for step in range(4):
        bias = torch.zeros(4, 6)
        bias[1, 2:] = -torch.inf
        if step == 2:
            bias[0] = -torch.inf
        batches.append(((torch.randn(4, 6, 8), bias), torch.randint(0, 2, (4,))))
    return {"model": Pool(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="mul", module="", step=0, samples=None)
def zero_times_minus_infinity_mask():
    """A mask of zeros and ones times -inf: 0 * -inf is NaN wherever nothing is to be masked."""

    class Causal(nn.Module):
        def __init__(self):
            super().__init__()
            self.project = nn.Linear(8, 8)
            self.register_buffer("future", torch.triu(torch.ones(5, 5), diagonal=1))

        def forward(self, x):
            h = self.project(x)
            bias = self.future * -math.inf  # born
            return torch.softmax(h @ h.transpose(1, 2) + bias, dim=-1) @ h

    batches = [(torch.randn(3, 5, 8), torch.randn(3, 5, 8)) for _ in range(4)]
    return {"model": Causal(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="forward", op="exp", module="gate", step=4, samples=(3,))
def hand_written_softmax_overflows():
    """exp(x) / exp(x).sum() without taking the maximum off: 89 is enough for inf / inf."""

    class Softmax(nn.Module):
        def forward(self, x):
            e = torch.exp(x)  # born
            return e / e.sum(dim=-1, keepdim=True)

    class Mixture(nn.Module):
        def __init__(self):
            super().__init__()
            self.experts = nn.Linear(6, 4)
            self.scores = nn.Linear(6, 4)
            self.gate = Softmax()
            nn.init.constant_(self.scores.weight, 0.5)

        def forward(self, x):
            return (self.gate(self.scores(x)) * torch.tanh(self.experts(x))).sum(1)

    batches = [(torch.randn(5, 6), torch.randn(5)) for _ in range(6)]
    batches[4][0][3] = 60.0
    return {"model": Mixture(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="forward", op="div", module="block.attention", step=2, samples=(1,))
def linear_attention_without_a_floor():
    """relu features that are all zero: the normaliser of linear attention is 0, and so is what it divides."""

    class LinearAttention(nn.Module):
        def forward(self, q, k, v):
            q, k = torch.relu(q), torch.relu(k)
            normaliser = (q * k.sum(dim=1, keepdim=True)).sum(-1, keepdim=True)
            return q @ (k.transpose(1, 2) @ v) / normaliser  # born

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(8, 24, bias=False)
            self.attention = LinearAttention()

        def forward(self, x):
            return x + self.attention(*self.qkv(x).chunk(3, dim=-1))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = Block()
            self.head = nn.Linear(8, 1)

        def forward(self, x):
            return self.head(self.block(x).mean(1)).squeeze(-1)

    batches = [(torch.randn(4, 6, 8), torch.randn(4)) for _ in range(4)]
    batches[2][0][1] = 0.0
    return {"model": Net(), "batches": batches, "loss": F.mse_loss}


@faulty(phase=either("forward", "loss"), op=OPEN, step=2, samples=(3,))
def target_among_the_forbidden_classes():
    """Illegal actions get a logit of -inf; one demonstration took an illegal one, and its loss is inf."""

    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 5))

        def forward(self, inputs):
            observation, legal = inputs
            return self.net(observation).masked_fill(~legal, -torch.inf)

    batches = []
    for step in range(5):
        legal = torch.ones(4, 5, dtype=torch.bool)
        legal[:, 4] = False
        action = torch.randint(0, 4, (4,))
        if step == 2:
            action[3] = 4
        batches.append(((torch.randn(4, 6), legal), action))
    return {"model": Policy(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase=either("forward", "loss"), op=OPEN, step=0)
def label_smoothing_over_forbidden_classes():
    """Label smoothing asks for a little of every class, also of those whose logit is -inf."""

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(6, 5)
            self.register_buffer("forbidden", torch.tensor([False, False, False, False, True]))

        def forward(self, x):
            return self.net(x).masked_fill(self.forbidden, -torch.inf)

    batches = [(torch.randn(4, 6), torch.randint(0, 4, (4,))) for _ in range(4)]
    return {"model": Masked(), "batches": batches, "loss": nn.CrossEntropyLoss(label_smoothing=0.1)}
