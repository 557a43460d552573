"""Several small batches as if they were one big one (huggingface/transformers#34191)."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toys import CountingLoss, MeanLoss, TensorSource, experiment, weights

from dltool.training.counting import shares
from dltool.training.experiment import Batch
from dltool.training.loop import fit
from dltool.training.observer import Observer


class Tagger(nn.Module):
    """A class for every token: output (N, classes, T)."""

    def __init__(self):
        super().__init__()
        self.embedding, self.linear = nn.Embedding(10, 8), nn.Linear(8, 4)

    def forward(self, tokens):
        return self.linear(self.embedding(tokens)).transpose(1, 2)


def padded(samples=50, length=12):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(10, (samples, length), generator=generator)
    labels = tokens % 4
    lengths = torch.randint(0, length + 1, (samples,), generator=generator)
    labels[torch.arange(length) >= lengths[:, None]] = -100
    return tokens, labels


class Gradients(Observer):
    def __init__(self, model):
        self.model, self.seen, self.losses = model, [], []

    def backward_end(self, info):
        self.seen.append([p.grad.clone() for p in self.model.parameters()])

    def update_end(self, info, batch, loss):
        self.losses.append(loss)


def trained(model, data, criterion, *, batch_size, accumulate, epochs=2):
    model = copy.deepcopy(model)
    toy = experiment(
        model=model,
        data=data,
        val=data,
        criterion=criterion,
        batch_size=batch_size,
        accumulate=accumulate,
        epochs=epochs,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.1),
        precision="fp64",
    )
    watcher = Gradients(model)
    outcome = fit(toy, observers=[watcher])
    return toy, outcome, watcher


@pytest.mark.parametrize("accumulate", [2, 3, 4, 7])
@pytest.mark.parametrize("loss", [CountingLoss(), CountingLoss(reduction="sum")])
def test_tokens_count_not_batches(loss, accumulate):
    """Sequences of unequal length, some all padding, and an epoch that accumulate does not divide."""
    fresh = Tagger()
    small, outcome, ours = trained(fresh, padded(), loss, batch_size=4, accumulate=accumulate)
    big, expected, theirs = trained(fresh, padded(), loss, batch_size=4 * accumulate, accumulate=1)
    assert outcome.steps_per_epoch == expected.steps_per_epoch == math.ceil(50 / (4 * accumulate))
    assert ours.losses == pytest.approx(theirs.losses, rel=1e-12)
    for left, right in zip(ours.seen, theirs.seen, strict=True):
        for a, b in zip(left, right, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)
    for name, tensor in weights(small).items():
        torch.testing.assert_close(tensor, weights(big)[name], rtol=1e-10, atol=1e-13)


def test_a_mean_over_samples_with_a_ragged_last_batch():
    model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3))
    data = torch.randn(50, 5), torch.randint(3, (50,))
    small, *_ = trained(model, data, MeanLoss(), batch_size=8, accumulate=3)
    big, *_ = trained(model, data, MeanLoss(), batch_size=24, accumulate=1)
    for name, tensor in weights(small).items():
        torch.testing.assert_close(tensor, weights(big)[name], rtol=1e-10, atol=1e-13)


class TwoTerms(CountingLoss):
    """Cross-entropy over the tokens that count plus a mean over samples: the two divide by different numbers."""

    def __init__(self):
        super().__init__()
        self.name, self.terms = "two", {"main": 1.0, "size": 0.3}

    def __call__(self, output, target):
        values = self.term_values(output, target)
        return values["main"] + 0.3 * values["size"]

    def term_values(self, output, target):
        return {"main": F.cross_entropy(output, target), "size": output.square().mean()}

    def term_counts(self, target):
        return {"main": float((target != -100).sum()), "size": float(len(target))}

    def per_sample(self, output, target):
        return None


def test_each_term_is_weighed_by_its_own_count():
    fresh = Tagger()
    tokens, labels = padded()
    small, _, ours = trained(fresh, (tokens, labels), TwoTerms(), batch_size=4, accumulate=3)
    big, _, theirs = trained(fresh, (tokens, labels), TwoTerms(), batch_size=12, accumulate=1)
    assert ours.losses == pytest.approx(theirs.losses, rel=1e-12)
    for name, tensor in weights(small).items():
        torch.testing.assert_close(tensor, weights(big)[name], rtol=1e-10, atol=1e-13)


def test_shares_leave_out_what_is_all_padding():
    full, empty = torch.tensor([1, 2, 3]), torch.tensor([-100])
    batches = [Batch(torch.zeros(3), full), Batch(torch.zeros(1), empty)]
    assert shares(CountingLoss(), batches) == [{"cross_entropy": 1.0}, {}]


def test_a_step_of_nothing_but_padding_uses_no_old_gradients():
    tokens, labels = padded(8)
    labels[:] = -100
    toy = experiment(
        model=Tagger(), data=(tokens, labels), val=padded(8), criterion=CountingLoss(), batch_size=2, accumulate=2, epochs=1
    )
    before = weights(toy)
    toy.model.linear.weight.grad = torch.ones_like(toy.model.linear.weight)
    outcome = fit(toy)
    assert outcome.stopped == "finished"
    assert torch.equal(toy.model.linear.weight, before["linear.weight"])


def test_running_loss_is_per_sample_also_where_the_loss_is_a_sum():
    data = torch.randn(50, 5), torch.randint(3, (50,))
    model = nn.Linear(5, 3)
    toy, outcome, _ = trained(model, data, CountingLoss(reduction="sum"), batch_size=16, accumulate=1, epochs=1)
    first = outcome.loss_trace.losses
    assert outcome.history.epochs[0].running_loss == pytest.approx(sum(first) / 50)
    assert outcome.history.epochs[0].val_loss == pytest.approx(F.cross_entropy(toy.model(data[0].double()), data[1]).item())


def test_the_source_decides_the_order_and_a_group_never_spans_two_epochs():
    source = TensorSource(torch.arange(10.0).unsqueeze(1), torch.zeros(10, dtype=torch.long), 2)
    seen = []

    class Steps(Observer):
        def step_start(self, info, batch):
            seen.append((info.epoch, info.step, batch.input.flatten().tolist()))

    data = source.inputs, source.targets
    toy = experiment(model=nn.Linear(1, 3), data=data, val=data, batch_size=2, accumulate=3, epochs=2)
    fit(toy, observers=[Steps()])
    batches = [[batch.input.flatten().tolist() for batch in source.epoch(epoch)] for epoch in (0, 1)]
    assert seen == [(0, 0, batches[0][2]), (0, 1, batches[0][4]), (1, 2, batches[1][2]), (1, 3, batches[1][4])]
