"""Healthy runs full of NaN and Inf: masks, markers, caches, and values that nobody uses."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from zoo_case import healthy


@healthy()
def causal_mask():
    """An upper triangle of -inf, added to the scores."""

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(12, 8)
            self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))
            self.head = nn.Linear(8, 12)
            self.register_buffer("mask", torch.full((6, 6), -torch.inf).triu(1))

        def forward(self, tokens):
            x = self.embedding(tokens)
            scores = self.query(x) @ self.key(x).transpose(1, 2) / math.sqrt(8) + self.mask
            return self.head(torch.softmax(scores, dim=-1) @ self.value(x)).transpose(1, 2)

    batches = [(t[:, :6], t[:, 1:]) for t in (torch.randint(0, 12, (4, 7)) for _ in range(5))]
    return {"model": Decoder(), "batches": batches, "loss": F.cross_entropy}


@healthy()
def padding_mask():
    """nn.MultiheadAttention with boolean padding, at least one token left in every sample."""

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
        padding[step % 4, 1:] = True
        batches.append(((torch.randn(4, 6, 8), padding), torch.randint(0, 3, (4,))))
    return {"model": Encoder(), "batches": batches, "loss": F.cross_entropy}


@healthy()
def fully_masked_row_in_fused_attention():
    """scaled_dot_product_attention gives 0 for a row that may attend to nothing."""

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(8, 24)

        def forward(self, inputs):
            x, allowed = inputs
            q, k, v = self.qkv(x).unsqueeze(1).chunk(3, dim=-1)
            return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed[:, None]).squeeze(1)

    batches = []
    for _ in range(4):
        allowed = torch.ones(3, 5, 5, dtype=torch.bool)
        allowed[1, 2] = False
        batches.append(((torch.randn(3, 5, 8), allowed), torch.randn(3, 5, 8)))
    return {"model": Attend(), "batches": batches, "loss": F.mse_loss}


@healthy()
def fully_masked_row_put_right():
    """A row of -inf by masked_fill, and nan_to_num after the softmax: masked_fill's own gradient is 0 there."""

    class Pool(nn.Module):
        def __init__(self):
            super().__init__()
            self.score = nn.Linear(8, 1)
            self.head = nn.Linear(8, 2)

        def forward(self, inputs):
            x, padding = inputs
            scores = self.score(x).squeeze(-1).masked_fill(padding, -torch.inf)
            weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)
            return self.head((weights.unsqueeze(-1) * x).sum(1))

    batches = []
    for _ in range(4):
        padding = torch.zeros(4, 6, dtype=torch.bool)
        padding[1, 2:] = True
        padding[2] = True
        batches.append(((torch.randn(4, 6, 8), padding), torch.randint(0, 2, (4,))))
    return {"model": Pool(), "batches": batches, "loss": F.cross_entropy}


@healthy()
def two_masks_of_the_smallest_float():
    """https://github.com/huggingface/transformers/pull/27114: finfo.min + finfo.min is -inf, but one column is left."""

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.project = nn.Linear(4, 4)
            low = torch.finfo(torch.float32).min
            self.register_buffer("causal", torch.full((5, 5), low).triu(1), persistent=False)

        def forward(self, inputs):
            x, padding = inputs
            low = torch.finfo(x.dtype).min
            h = self.project(x)
            mask = self.causal + padding[:, None, :].to(x.dtype) * low
            return torch.softmax(h @ h.transpose(1, 2) + mask, dim=-1) @ h

    batches = []
    for _ in range(4):
        padding = torch.zeros(3, 5, dtype=torch.bool)
        padding[1, 3:] = True
        batches.append(((torch.randn(3, 5, 4), padding), torch.randn(3, 5, 4)))
    return {"model": Decoder(), "batches": batches, "loss": F.mse_loss}


@healthy()
def running_minimum_and_maximum():
    """Quantisation observers start at inf and -inf; one never sees a value."""

    class Observed(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)
            self.register_buffer("low", torch.tensor(torch.inf))
            self.register_buffer("high", torch.tensor(-torch.inf))
            self.register_buffer("never", torch.tensor([torch.inf, -torch.inf]))

        def forward(self, x):
            if self.training:
                self.low = torch.minimum(self.low, x.detach().min())
                self.high = torch.maximum(self.high, x.detach().max())
            return self.linear((x - self.low) / (self.high - self.low))

    return {"model": Observed(), "batches": _classification(), "loss": F.cross_entropy}


@healthy()
def best_loss_so_far():
    """A buffer of inf that is compared with, in a loss module of the user's."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)
            self.register_buffer("best", torch.full((3,), torch.inf))

        def forward(self, x):
            out = self.linear(x)
            with torch.no_grad():
                self.best[0] = torch.minimum(self.best[0], out.abs().max())
            return out

    return {"model": Net(), "batches": _classification(), "loss": F.cross_entropy}


@healthy()
def missing_values_imputed_by_where():
    """NaN marks a missing cell; a learned value stands in for it."""

    class Imputed(nn.Module):
        def __init__(self):
            super().__init__()
            self.fill = nn.Parameter(torch.zeros(4))
            self.linear = nn.Linear(4, 2)

        def forward(self, x):
            return self.linear(torch.where(torch.isnan(x), self.fill, x))

    batches = _classification()
    for x, _ in batches:
        x[torch.rand_like(x) < 0.3] = torch.nan
    return {"model": Imputed(), "batches": batches, "loss": F.cross_entropy}


@healthy()
def missing_values_zeroed():
    """nan_to_num on the input, and an indicator of what was missing beside it."""

    class Zeroed(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 2)

        def forward(self, x):
            return self.linear(torch.cat([x.nan_to_num(0.0, 0.0, 0.0), torch.isnan(x).float()], dim=1))

    batches = _classification()
    for step, (x, _) in enumerate(batches):
        x[step % 4, 1] = torch.nan
        x[0, 0] = torch.inf
    return {"model": Zeroed(), "batches": batches, "loss": F.cross_entropy}


@healthy()
def missing_targets_left_out_by_index():
    """A multi-task regression where unknown targets are NaN, and only the known ones are indexed."""

    def known(output, target):
        there = ~torch.isnan(target)
        return F.mse_loss(output[there], target[there])

    batches = [(torch.randn(5, 3), torch.randn(5, 2)) for _ in range(5)]
    for step, (_, y) in enumerate(batches):
        y[step % 5, 0] = y[1, 1] = torch.nan
    return {"model": nn.Linear(3, 2), "batches": batches, "loss": known}


@healthy()
def nan_mean_of_targets():
    """torch.nanmean over per-element losses of which some are NaN by a NaN target, whose target was replaced before."""

    def loss(output, target):
        errors = (output - target.nan_to_num()) ** 2
        missing = torch.zeros_like(target).masked_fill(torch.isnan(target), torch.nan)
        return torch.nanmean(errors + missing)

    batches = [(torch.randn(5, 3), torch.randn(5, 2)) for _ in range(5)]
    for _, y in batches:
        y[2, 0] = torch.nan
    return {"model": nn.Linear(3, 2), "batches": batches, "loss": loss}


@healthy()
def cache_filled_with_nan():
    """A memory bank that is NaN where nothing was written yet, and read only where something was."""

    class Memory(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)
            self.register_buffer("bank", torch.full((40, 3), torch.nan))
            self.register_buffer("filled", torch.zeros((), dtype=torch.long))

        def forward(self, x):
            z = self.linear(x)
            known = self.bank[: self.filled]
            if self.training:
                end = min(int(self.filled) + len(x), 40)
                self.bank[int(self.filled) : end] = z.detach()[: end - int(self.filled)]
                self.filled.fill_(end)
            return z - (known.mean(0) if len(known) else 0.0)

    batches = [(torch.randn(4, 4), torch.randint(0, 3, (4,))) for _ in range(5)]
    return {"model": Memory(), "batches": batches, "loss": F.cross_entropy}


@healthy(innocent="buffer")
def cache_reset_to_nan():
    """A cache that is finite at first and filled with NaN again at every call, to show misuse."""

    class Cached(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)
            self.register_buffer("cache", torch.zeros(4, 2))

        def forward(self, x):
            out = self.linear(x)
            self.cache.fill_(torch.nan)
            self.cache[: len(x) - 1] = out.detach()[:-1]
            return out

    return {"model": Cached(), "batches": _classification(), "loss": F.cross_entropy}


@healthy()
def output_buffer_that_starts_as_nan():
    """new_full with NaN, every place of which is written before it is used."""

    class Routed(nn.Module):
        def __init__(self):
            super().__init__()
            self.experts = nn.ModuleList([nn.Linear(4, 2), nn.Linear(4, 2)])

        def forward(self, x):
            out = x.new_full((len(x), 2), torch.nan)
            choice = (x[:, 0] > 0).long()
            for index, expert in enumerate(self.experts):
                out[choice == index] = expert(x[choice == index])
            return out

    return {"model": Routed(), "batches": _classification(), "loss": F.cross_entropy}


@healthy()
def dead_branch():
    """log of negative numbers, computed and dropped."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, x):
            h = self.linear(x)
            _ = torch.log(h)
            return h

    return {"model": Net(), "batches": _classification(), "loss": F.cross_entropy}


@healthy()
def metric_without_a_care():
    """log(0) and 0 / 0 in numbers that are only kept for the progress bar."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)
            self.last_precision = None
            self.history = []

        def forward(self, x):
            out = self.linear(x)
            with torch.no_grad():
                positive = (out[:, 1] > 100).float().sum()
                self.last_precision = positive / positive
                self.history.append(torch.log(positive).item())
            return out

    return {"model": Net(), "batches": _classification(), "loss": F.cross_entropy}


@healthy()
def nan_in_an_unused_output():
    """An auxiliary head divides 0 by 0, and no loss looks at it."""

    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(4, 6)
            self.main = nn.Linear(6, 2)
            self.auxiliary = nn.Linear(6, 2)

        def forward(self, x):
            h = torch.relu(self.body(x))
            return {"logits": self.main(h), "aux": self.auxiliary(h) * 0 / (h.sum() * 0)}

    return {
        "model": TwoHeads(),
        "batches": _classification(),
        "loss": lambda output, target: F.cross_entropy(output["logits"], target),
    }


@healthy()
def nan_in_an_unused_parameter():
    """A projection that was switched off and never initialised."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)
            self.unused = nn.Parameter(torch.full((5,), torch.nan))

        def forward(self, x):
            return self.linear(x)

    return {"model": Net(), "batches": _classification(), "loss": F.cross_entropy}


@healthy()
def nan_in_an_unused_embedding_row():
    """A pretrained table whose row for an unknown word is NaN; the word never turns up."""

    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            vectors = torch.randn(20, 4)
            vectors[19] = torch.nan
            self.embedding = nn.Embedding.from_pretrained(vectors, freeze=True)
            self.head = nn.Linear(4, 2)

        def forward(self, tokens):
            return self.head(self.embedding(tokens).mean(1))

    batches = [(torch.randint(0, 19, (4, 5)), torch.randint(0, 2, (4,))) for _ in range(5)]
    return {"model": Bag(), "batches": batches, "loss": F.cross_entropy}


@healthy()
def infinite_distance_to_oneself():
    """Nearest neighbours: inf on the diagonal before the minimum is taken."""

    class Neighbour(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, x):
            z = self.linear(x)
            distance = torch.cdist(z, z).masked_fill(torch.eye(len(x), dtype=torch.bool), torch.inf)
            nearest, _ = distance.min(dim=1)
            return nearest

    batches = [(torch.randn(5, 4), torch.rand(5)) for _ in range(5)]
    return {"model": Neighbour(), "batches": batches, "loss": F.mse_loss}


@healthy()
def maximum_over_masked_positions():
    """Max pooling over time with -inf for padding, and an argmax beside it."""

    class MaxPool(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 4)
            self.head = nn.Linear(4, 2)

        def forward(self, inputs):
            x, padding = inputs
            h = self.linear(x).masked_fill(padding.unsqueeze(-1), -torch.inf)
            self.where = h.argmax(dim=1)
            return self.head(h.max(dim=1).values)

    batches = []
    for _ in range(5):
        padding = torch.zeros(4, 6, dtype=torch.bool)
        padding[1, 2:] = True
        batches.append(((torch.randn(4, 6, 3), padding), torch.randint(0, 2, (4,))))
    return {"model": MaxPool(), "batches": batches, "loss": F.cross_entropy}


@healthy()
def forbidden_classes():
    """-inf logits for classes that the sample cannot have, and cross-entropy over the rest."""

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(4, 5)

        def forward(self, inputs):
            x, legal = inputs
            return self.net(x).masked_fill(~legal, -torch.inf)

    batches = []
    for _ in range(5):
        legal = torch.rand(4, 5) > 0.4
        target = torch.randint(0, 5, (4,))
        legal[torch.arange(4), target] = True
        batches.append(((torch.randn(4, 4), legal), target))
    return {"model": Masked(), "batches": batches, "loss": F.cross_entropy}


@healthy()
def forward_algorithm_in_the_log_domain():
    """An HMM whose start and transitions have log-probabilities of -inf, summed by logsumexp with one path always left."""

    class Hmm(nn.Module):
        def __init__(self):
            super().__init__()
            self.emission = nn.Linear(3, 3)
            transition = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
            self.register_buffer("transition", transition.log())
            self.register_buffer("start", torch.tensor([1.0, 0.1, 0.0]).log())

        def forward(self, x):
            emission = F.log_softmax(self.emission(x), dim=-1)
            alpha = self.start + emission[:, 0]
            for t in range(1, x.shape[1]):
                alpha = torch.logsumexp(alpha.unsqueeze(2) + self.transition, dim=1) + emission[:, t]
            return torch.logsumexp(alpha, dim=1)

    batches = [(torch.randn(4, 5, 3), torch.zeros(4)) for _ in range(5)]
    return {"model": Hmm(), "batches": batches, "loss": lambda output, _: -output.mean()}


@healthy()
def double_where():
    """The way to do it: a safe value goes into the log, and the result is selected."""

    class Log(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(4))
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            x = x * self.gain
            positive = x > 0
            safe = torch.where(positive, x, 1.0)
            return self.head(torch.where(positive, torch.log(safe), 0.0))

    batches = _classification()
    for x, _ in batches:
        x[0] = 0.0
    return {"model": Log(), "batches": batches, "loss": F.cross_entropy}


@healthy()
def overflow_behind_a_detached_where():
    """exp overflows in a branch that is not taken and that no gradient goes through."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, x):
            h = self.linear(x)
            scale = torch.where(h.detach().abs() < 20, 1.0, torch.exp(h.detach() * 1000))
            return h * torch.where(torch.isfinite(scale), scale, 1.0)

    return {"model": Net(), "batches": _classification(), "loss": F.cross_entropy}


@healthy()
def beam_of_minus_infinity():
    """Scores that start at -inf and are raised by scatter and maximum."""

    class Segments(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, inputs):
            x, segment = inputs
            h = self.linear(x)
            pooled = torch.full((3, 3), -torch.inf).index_reduce(0, segment, h, "amax")
            return torch.where(torch.isinf(pooled), torch.zeros_like(pooled), pooled)

    batches = [((torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 0, 1])), torch.randn(3, 3)) for _ in range(5)]
    return {"model": Segments(), "batches": batches, "loss": F.mse_loss}


def _classification():
    return [(torch.randn(4, 4), torch.randint(0, 2, (4,))) for _ in range(5)]


@healthy()
def averages_that_start_as_nan():
    """NaN says that a slot has no average yet; the first value takes its place, later ones are averaged."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)
            self.register_buffer("average", torch.full((40,), torch.nan))
            self.seen = 0

        def forward(self, x):
            with torch.no_grad():
                slot, value = self.seen % 7, x.mean()
                self.seen += 1
                old = self.average[slot]
                self.average[slot] = value if old.isnan() else 0.9 * old + 0.1 * value
            return self.layer(x)

    return {"model": Net(), "batches": [(torch.randn(4, 4), torch.randint(0, 3, (4,))) for _ in range(12)]}


@healthy()
def window_of_the_last_means():
    """A rolling window that is NaN until it is full."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)
            self.register_buffer("window", torch.full((20,), torch.nan))

        def forward(self, x):
            with torch.no_grad():
                self.window.copy_(torch.cat([self.window[1:], x.mean().view(1)]))
            return self.layer(x)

    return {"model": Net(), "batches": [(torch.randn(4, 4), torch.randint(0, 3, (4,))) for _ in range(12)]}
