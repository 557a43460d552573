import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toys import CountingLoss, MeanLoss, TensorSource, blobs, experiment, mlp, same, weights

from dltool.core.errors import TargetError
from dltool.training.evaluate import Evaluator
from dltool.training.experiment import Metric


def test_loss_metrics_and_blocks_are_those_of_one_big_batch():
    toy = experiment(model=mlp(dropout=0.5))
    evaluation = Evaluator(toy)(toy.train)
    (batch,) = toy.train.fixed(batch_size=200)
    toy.model.eval()
    with torch.no_grad():
        output = toy.model(batch.input)
        losses = F.cross_entropy(output, batch.target, reduction="none").double()
    assert evaluation.loss == pytest.approx(losses.mean().item(), rel=1e-6)
    assert evaluation.metrics == {"accuracy": (output.argmax(1) == batch.target).double().mean().item()}
    groups = [losses[[i for i in range(200) if i * 32 // 200 == g]] for g in range(32)]
    assert evaluation.blocks == pytest.approx([group.mean().item() for group in groups], rel=1e-6)
    assert evaluation.block_weights == tuple(float(len(group)) for group in groups)
    assert evaluation.samples == 200


def test_the_same_limit_gives_the_same_samples():
    toy = experiment()
    evaluator = Evaluator(toy)
    assert evaluator(toy.train, 50) == evaluator(toy.train, 50)
    assert evaluator(toy.train, 50).samples == 50
    assert len(evaluator(toy.train, 5).blocks) == 5


def test_the_model_is_left_as_it_was():
    toy = experiment(model=mlp(dropout=0.5))
    toy.model.train()
    toy.model[1].eval()
    toy.model[0].weight.grad = torch.ones_like(toy.model[0].weight)
    before, modes = weights(toy), [m.training for m in toy.model.modules()]
    state = torch.get_rng_state()
    Evaluator(toy)(toy.train)
    assert same(weights(toy), before)
    assert [m.training for m in toy.model.modules()] == modes
    assert torch.equal(toy.model[0].weight.grad, torch.ones_like(toy.model[0].weight))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_that_draws_in_eval_mode_does_not_change_training():
    class Noisy(nn.Linear):
        def forward(self, x):
            return super().forward(x + torch.randn_like(x))

    toy = experiment(model=Noisy(5, 3))
    state = torch.get_rng_state()
    Evaluator(toy)(toy.train)
    assert torch.equal(torch.get_rng_state(), state)


def test_modes_come_back_after_an_exception():
    class Broken(nn.Linear):
        def forward(self, x):
            raise ValueError("no")

    toy = experiment(model=Broken(5, 3))
    with pytest.raises(TargetError):
        Evaluator(toy)(toy.train)
    assert toy.model.training


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.linear = nn.Embedding(10, 8), nn.Linear(8, 4)

    def forward(self, tokens):
        return self.linear(self.embedding(tokens)).transpose(1, 2)


@pytest.mark.parametrize("batch_size", [1, 4, 50])
@pytest.mark.parametrize("split", [True, False])
def test_padding_counts_for_nothing_however_the_split_is_cut(batch_size, split):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(10, (50, 12), generator=generator)
    labels = tokens % 4
    lengths = torch.randint(0, 13, (50,), generator=generator)
    labels[torch.arange(12) >= lengths[:, None]] = -100
    loss = CountingLoss()
    if not split:
        loss.per_sample = lambda output, target: None
    torch.manual_seed(0)
    toy = experiment(model=Tagger(), data=(tokens, labels), val=(tokens, labels), criterion=loss, batch_size=batch_size)
    evaluation = Evaluator(toy)(toy.train)
    expected = F.cross_entropy(toy.model(tokens), labels).item()
    assert evaluation.loss == pytest.approx(expected, rel=1e-5)
    assert sum(evaluation.block_weights) == pytest.approx(float((labels != -100).sum()))
    weighted = sum(b * w for b, w in zip(evaluation.blocks, evaluation.block_weights, strict=True))
    assert weighted / sum(evaluation.block_weights) == pytest.approx(expected, rel=1e-5)
    assert all(math.isfinite(block) for block in evaluation.blocks)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_shows(bad):
    inputs, targets = blobs(64)
    inputs[3] = bad
    toy = experiment(model=nn.Linear(5, 3), data=(inputs, targets))
    evaluation = Evaluator(toy)(toy.train)
    assert not math.isfinite(evaluation.loss)
    assert sum(not math.isfinite(block) for block in evaluation.blocks) == 1


def test_batches_are_large_where_the_loss_splits_by_sample_and_as_in_training_where_not():
    sizes = []

    class Watching(nn.Linear):
        def forward(self, x):
            sizes.append(len(x))
            return super().forward(x)

    toy = experiment(model=Watching(5, 3), data=blobs(3000), batch_size=64)
    Evaluator(toy)(toy.train)
    assert max(sizes) == 512
    sizes.clear()
    toy = experiment(model=Watching(5, 3), data=blobs(3000), batch_size=2000)
    Evaluator(toy)(toy.train)
    assert max(sizes) == 2000
    sizes.clear()
    toy = experiment(model=Watching(5, 3), criterion=MeanLoss(split=False), batch_size=64)
    evaluation = Evaluator(toy)(toy.train)
    assert max(sizes) == 64
    assert len(evaluation.blocks) == 4
    assert evaluation.block_weights == (64.0, 64.0, 64.0, 8.0)


def test_a_metric_that_saw_nothing_is_nan():
    toy = experiment()
    toy.metrics = [Metric(name="nothing", update=lambda output, target: (0.0, 0))]
    assert math.isnan(Evaluator(toy)(toy.train).metrics["nothing"])


def test_an_empty_split_has_no_loss():
    toy = experiment()
    empty = TensorSource(torch.zeros(0, 5), torch.zeros(0, dtype=torch.long), 32)
    empty.fixed = lambda limit=None, batch_size=None: iter(())
    evaluation = Evaluator(toy)(empty)
    assert math.isnan(evaluation.loss)
    assert evaluation.blocks == ()
