import math

import pytest
import torch
import torch.nn.functional as F
from losses import FunctionalLoss
from torch import nn
from traces import left_as_found

from dltool.probes.mixing import mixing
from dltool.probes.output import output_of

torch.manual_seed(0)
X, Y = torch.randn(60, 4), torch.randint(3, (60,))


def look(model, criterion=None, x=X, y=Y, **options):
    with left_as_found(model):
        return output_of(model, criterion or FunctionalLoss(), zip(x.split(16), y.split(16), strict=True), **options)


def test_logits():
    found = look(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), initial_loss=1.2)
    assert (found.final_module, found.final_activation, found.loss_expects) == ("2", None, "logits")
    assert not found.rows_sum_to_one
    assert found.expected_initial_loss == pytest.approx(math.log(3), abs=1e-5)
    assert found.initial_loss == 1.2


def test_softmax_is_seen_as_module_and_as_function():
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return torch.softmax(self.head(x), 1)

    named = look(nn.Sequential(nn.Linear(4, 3), nn.Softmax(1)))
    assert (named.final_module, named.final_activation, named.rows_sum_to_one) == ("1", "softmax", True)
    hidden = look(Functional())
    assert (hidden.final_activation, hidden.rows_sum_to_one, hidden.within_unit_interval) == (None, True, True)


def of_probabilities(output, target, reduction="mean"):
    return F.nll_loss(output.clamp_min(1e-7).log(), target, reduction=reduction)


def of_shares(output, target, reduction="mean"):
    """As Keras does it, and `from_logits: false`: rows need not sum to one."""
    return F.cross_entropy(output.clamp_min(1e-7).log(), target, reduction=reduction)


@pytest.mark.parametrize(
    ("criterion", "y", "width", "expects", "expected"),
    [
        (FunctionalLoss(), Y, 3, "logits", math.log(3)),
        (FunctionalLoss(of_probabilities), Y, 3, "probabilities", math.log(3)),
        (FunctionalLoss(of_shares), Y, 3, "probabilities", math.log(3)),
        (FunctionalLoss(F.nll_loss, "nll"), Y, 3, "log-probabilities", math.log(3)),
        (FunctionalLoss(F.mse_loss, "mse"), torch.randn(60, 3), 3, "values", None),
        (FunctionalLoss(F.binary_cross_entropy_with_logits, "bce"), (Y[:, None] > 0).float(), 1, "logits", math.log(2)),
        (FunctionalLoss(F.binary_cross_entropy, "bce"), (Y[:, None] > 0).float(), 1, "probabilities", math.log(2)),
        (FunctionalLoss(F.multi_margin_loss, "multi_margin"), Y, 3, "logits", 2 / 3),
        (FunctionalLoss(F.cross_entropy, "custom"), Y, 3, "unknown", None),
    ],
)
def test_what_the_loss_expects(criterion, y, width, expects, expected):
    found = look(nn.Linear(4, width), criterion, y=y)
    assert found.loss_expects == expects
    assert found.expected_initial_loss == (None if expected is None else pytest.approx(expected, abs=1e-5))
    assert (found.rows_sum_to_one is None) == (width == 1)


def test_spread_against_numpy_and_collapse():
    model = nn.Linear(4, 3)
    y = model(X).detach().double().numpy()
    assert look(model).spread_ratio == pytest.approx((y.var(0).mean() / (y**2).mean()) ** 0.5, rel=1e-5)
    with torch.no_grad():
        model.weight.zero_()
    assert look(model).spread_ratio == pytest.approx(0.0, abs=1e-12)
    with torch.no_grad():
        model.bias.zero_()
    assert look(model).spread_ratio == 0.0


def test_nan_outputs_are_not_called_probabilities():
    model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(1))
    with torch.no_grad():
        model[0].bias[0] = torch.nan
    found = look(model)
    assert not found.rows_sum_to_one
    assert not found.non_negative
    assert math.isnan(found.spread_ratio)


def test_nested_and_missing_outputs():
    class Tuple(nn.Module):
        def forward(self, x):
            return x, None

    assert look(Tuple(), FunctionalLoss(name="custom")).spread_ratio is not None
    assert output_of(nn.Linear(4, 3), FunctionalLoss(), []) is None


class Mixer(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


class Pooled(nn.Module):
    def forward(self, x):
        return x.mean()


@pytest.mark.parametrize("size", [7, 16, 60])
def test_mixing_is_seen(size):
    with left_as_found(Mixer()):
        found = mixing(Mixer(), [(X[:size], Y[:size])])
    assert found.largest_change_ratio > 0.01
    assert found.batch_size == 2 * (min(48, size) // 3)


@pytest.mark.parametrize(
    "model", [nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 2))]
)
def test_batch_norm_and_dropout_do_not_mix_in_eval_mode(model):
    with left_as_found(model):
        assert mixing(model, zip(X.split(16), Y.split(16), strict=True)).largest_change_ratio < 1e-5


class Causal(nn.Module):
    """Takes samples for time steps: each sees those before it, or after it."""

    def __init__(self, *, backwards):
        super().__init__()
        self.backwards = backwards

    def forward(self, x):
        return x.flip(0).cumsum(0).flip(0) if self.backwards else x.cumsum(0)


@pytest.mark.parametrize("backwards", [False, True])
def test_mixing_to_one_side_is_seen(backwards):
    assert mixing(Causal(backwards=backwards), [(X[:16], Y[:16])]).largest_change_ratio > 0.01


def test_mixing_needs_samples_and_rows():
    assert mixing(nn.Linear(4, 3), [(X[:2], Y[:2])]) is None
    assert mixing(Pooled(), [(X, Y)]) is None
    assert mixing(nn.Linear(4, 3), []) is None
