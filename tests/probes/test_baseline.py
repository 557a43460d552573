"""The fitted constant against closed forms and brute force."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dltool.probes.baseline import baseline, fit_constant

torch.manual_seed(0)
LABELS = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), 500, replacement=True)
VALUES = torch.randn(500, 2).exp() * torch.tensor([1.0, 30.0])
X = torch.randn(500, 7)


def loss_of(criterion, y, output, *, x=X, val=None, **options):
    def batches(inputs, targets):
        return list(zip(inputs.split(64), targets.split(64), strict=True))

    constant = fit_constant(criterion, batches(x, y), example=(x[:4], output), **options)
    assert constant(x[:5]).shape == (5, *output.shape[1:])
    assert constant(x).dtype == output.dtype
    return baseline(criterion, constant, batches(x, y), None if val is None else batches(*val), weigh=options.get("weigh"))


def entropy(y):
    shares = torch.bincount(y.reshape(-1)).double() / y.numel()
    return float(-(shares * shares.log()).sum())


def test_cross_entropy_is_the_entropy():
    found = loss_of(F.cross_entropy, LABELS, torch.zeros(4, 3), val=(X[:100], LABELS[:100]))
    assert found.train_loss == pytest.approx(entropy(LABELS), rel=1e-5)
    assert found.description == "the class frequencies"
    shares = (torch.bincount(LABELS).double() / 500).log()
    assert found.val_loss == pytest.approx(float(F.nll_loss(shares.expand(100, 3), LABELS[:100])), rel=1e-5)


def test_weighted_and_smoothed_cross_entropy_beat_every_other_constant():
    weight = torch.tensor([1.0, 5.0, 2.0])

    def criterion(output, target):
        return F.cross_entropy(output, target, weight.to(output), label_smoothing=0.1)

    found = loss_of(criterion, LABELS, torch.zeros(4, 3), weigh=lambda pair: float(weight[pair[1]].sum()))
    grid = torch.linspace(-2, 2, 41)
    brute = min(float(criterion(torch.tensor([[0.0, a, b]]).expand(500, 3), LABELS)) for a in grid for b in grid)
    assert found.train_loss <= brute + 1e-6
    assert found.train_loss == pytest.approx(brute, abs=2e-3)


def test_a_class_that_never_occurs():
    found = loss_of(F.cross_entropy, LABELS.clamp_max(1), torch.zeros(4, 3))
    assert found.train_loss == pytest.approx(entropy(LABELS.clamp_max(1)), rel=1e-4)


def test_mse_is_the_variance():
    found = loss_of(F.mse_loss, VALUES, torch.zeros(4, 2))
    assert found.train_loss == pytest.approx(float(VALUES.double().var(0, correction=0).mean()), rel=1e-5)
    assert found.description == "the mean of the targets"


def test_l1_is_the_deviation_from_the_median():
    found = loss_of(F.l1_loss, VALUES, torch.zeros(4, 2))
    median = VALUES.double().quantile(0.5, 0)
    assert found.train_loss == pytest.approx(float((VALUES - median).abs().mean()), rel=1e-5)


@pytest.mark.parametrize("shape", [(500,), (500, 1)])
def test_bce_with_logits(shape):
    y = (LABELS == 0).float().reshape(shape)
    p = float(y.mean())
    found = loss_of(F.binary_cross_entropy_with_logits, y, torch.zeros(4, *shape[1:]))
    assert found.train_loss == pytest.approx(-p * math.log(p) - (1 - p) * math.log(1 - p), rel=1e-5)


def test_bce_of_probabilities_stays_within_its_range():
    y = (LABELS == 0).float().unsqueeze(1)
    p = float(y.mean())
    found = loss_of(F.binary_cross_entropy, y, torch.full((4, 1), 0.5), activation=torch.sigmoid)
    assert found.train_loss == pytest.approx(-p * math.log(p) - (1 - p) * math.log(1 - p), rel=1e-5)


@pytest.mark.parametrize("power", [1, 2])
def test_hinge_against_brute_force(power):
    def hinge(output, target):
        return F.multi_margin_loss(output, target, p=power)

    found = loss_of(hinge, LABELS, torch.zeros(4, 3))
    grid = torch.linspace(-1.5, 1.5, 61)
    brute = min(float(hinge(torch.tensor([[0.0, a, b]]).expand(500, 3), LABELS)) for a in grid for b in grid)
    assert found.train_loss <= brute + 1e-3


def test_per_pixel_classes():
    y = LABELS[:480].reshape(30, 4, 4)
    x = torch.randn(30, 1, 4, 4)
    found = loss_of(F.cross_entropy, y, torch.zeros(4, 3, 4, 4), x=x)
    assert found.train_loss == pytest.approx(entropy(y), rel=1e-5)


def test_padded_sequences_of_unequal_length_count_by_token():
    def per_token(output, target):
        return F.cross_entropy(output.transpose(1, 2), target, ignore_index=-100)

    def weigh(pair):
        return float((pair[1] != -100).sum())

    y = LABELS[:160].reshape(16, 10).clone()
    y[:8, 6:] = -100
    x = torch.randn(16, 10, 5)
    batches = [
        ({"values": x[:8, :6], "lengths": torch.full((8,), 6)}, y[:8, :6]),
        ({"values": x[8:], "lengths": torch.full((8,), 10)}, y[8:]),
    ]
    constant = fit_constant(per_token, batches, example=(batches[0][0], torch.zeros(8, 6, 3)), weigh=weigh)
    found = baseline(per_token, constant, batches, None, weigh=weigh)
    assert constant(batches[1][0]).shape == (8, 10, 3)
    assert found.train_loss == pytest.approx(entropy(y[y >= 0]), rel=1e-5)


def test_no_constant_fits():
    assert fit_constant(F.mse_loss, [], example=(X[:4], torch.zeros(4, 2))) is None
    assert fit_constant(F.mse_loss, [(X, VALUES)], example=(X[:4], {"a": torch.zeros(4, 2)})) is None

    def never(output, target):
        raise ValueError("no")

    assert fit_constant(never, [(X, VALUES)], example=(X[:4], torch.zeros(4, 2))) is None


def test_nan_targets_give_no_baseline():
    assert fit_constant(F.mse_loss, [(X, VALUES * torch.nan)], example=(X[:4], torch.zeros(4, 2))) is None


def test_the_constant_is_a_module_that_evaluates_like_any_other():
    constant = fit_constant(F.mse_loss, [(X, VALUES)], example=(X[:4], torch.zeros(4, 2)))
    assert isinstance(constant, nn.Module)
    assert constant.eval()(X[:3]).detach().numpy() == pytest.approx(VALUES.mean(0).expand(3, 2).numpy(), rel=1e-5)
