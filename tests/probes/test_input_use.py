import pytest
import torch
import torch.nn.functional as F
from losses import FunctionalLoss
from torch import nn
from traces import left_as_found

from dltool.probes.input_use import input_use


def data(samples=300):
    torch.manual_seed(0)
    x = torch.randn(samples, 4)
    y = (x[:, 0] > 0).long()
    order = y.argsort()  # sorted by class: an exchange within batches would change nothing
    return x[order], y[order]


def batches(x, y, size=32):
    return list(zip(x.split(size), y.split(size), strict=True))


def good():
    model = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[-5.0, 0, 0, 0], [5.0, 0, 0, 0]]))
        model[0].bias.zero_()
    return model


def test_a_model_that_uses_its_input():
    model, (x, y) = good(), data()
    with left_as_found(model):
        use = input_use(model, FunctionalLoss(), batches(x, y), split="val")
    assert use.samples == 300
    assert use.loss == pytest.approx(F.cross_entropy(model.eval()(x), y).item(), rel=1e-5)
    assert use.shuffled_loss > 10 * use.loss
    assert 0 < use.difference_lower < use.difference < use.difference_upper
    assert use.zeroed_loss == pytest.approx(F.cross_entropy(model(x.mean(0, keepdim=True).expand_as(x)), y).item(), rel=1e-5)
    assert use.difference == pytest.approx(use.shuffled_loss - use.loss)


def test_a_model_that_does_not():
    model, (x, y) = good(), data()
    with torch.no_grad():
        model[0].weight.zero_()
    use = input_use(model, FunctionalLoss(), batches(x, y), split="train")
    assert use.difference == use.difference_lower == use.difference_upper == 0.0
    assert use.zeroed_loss == pytest.approx(use.loss)


def test_same_seed_same_numbers_other_seed_others():
    model, (x, y) = good(), data()
    first, again, other = (input_use(model, FunctionalLoss(), batches(x, y), split="val", seed=s) for s in (1, 1, 2))
    assert first == again != other


def test_interval_covers_a_plain_bootstrap():
    model, (x, y) = good(), data(128)
    use = input_use(model, FunctionalLoss(), batches(x, y), split="val")
    width = use.difference_upper - use.difference_lower
    other = input_use(model, FunctionalLoss(), batches(x, y), split="val", seed=5)
    assert abs(other.difference - use.difference) < 2 * width


def test_tokens_are_blanked_with_padding_and_lengths_stay():
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head, self.seen = nn.Embedding(20, 4), nn.Linear(4, 2), []

        def forward(self, given):
            self.seen.append((given["values"].clone(), given["lengths"].clone()))
            return self.head(self.embed(given["values"]).sum(1) / given["lengths"].unsqueeze(1))

    torch.manual_seed(0)
    parts = [
        ({"values": torch.randint(1, 20, (8, width)), "lengths": torch.full((8,), width)}, torch.randint(2, (8,)))
        for width in (3, 5)
    ]
    model = Reader()
    use = input_use(model, FunctionalLoss(), parts, split="train")
    assert use.samples == 16
    blank = [values for values, _ in model.seen if not values.any()]
    assert sum(map(len, blank)) == 16
    assert all((lengths > 0).all() for _, lengths in model.seen)
    assert all(((values > 0).sum(1) == lengths).all() for values, lengths in model.seen if values.any())


def test_too_little_data():
    assert input_use(good(), FunctionalLoss(), [], split="val") is None
    assert input_use(good(), FunctionalLoss(), [(torch.randn(1, 4), torch.zeros(1).long())], split="val") is None


def test_left_as_found_when_the_model_raises():
    model, wide = good(), [(torch.randn(6, 9), torch.zeros(6).long())]
    with left_as_found(model), pytest.raises(RuntimeError):
        input_use(model, FunctionalLoss(), wide, split="val")
