import pytest
import torch

from dltool.probes.label_signal import label_signal


def pairs(x, y, size=50):
    return zip(x.split(size), y.split(size), strict=True)


def clusters(n=400, classes=4, spread=0.5):
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(classes, (n,), generator=generator)
    return torch.randn(classes, 6, generator=generator)[y] * 3 + spread * torch.randn(n, 6, generator=generator), y


def test_true_labels_agree_and_shuffled_ones_do_not():
    x, y = clusters()
    true = label_signal(pairs(x, y), task="classification")
    shuffled = label_signal(
        pairs(x, y[torch.randperm(400, generator=torch.Generator().manual_seed(3))]), task="classification"
    )
    assert true.agreement_ratio > 0.95
    assert true.z > 20
    assert abs(shuffled.z) < 4
    shares = torch.bincount(y).double() / 400
    assert true.chance_ratio == pytest.approx(float(shares.square().sum()), abs=0.01)


def test_agreement_against_a_slow_loop():
    x, y = clusters(60, 3, 3.0)
    found = label_signal(pairs(x, y), task="classification", neighbours=3)
    scaled = x.double() / x.double().std(0, correction=0)
    total = 0
    for i in range(60):
        distances = [(float((scaled[i] - scaled[j]).norm()), j) for j in range(60) if j != i]
        total += sum(int(y[i] == y[j]) for _, j in sorted(distances)[:3])
    assert found.agreement_ratio == pytest.approx(total / 180)


def test_distance_ratio_against_a_slow_loop():
    x, y = clusters(60, 3, 3.0)
    found = label_signal(pairs(x, y), task="classification", neighbours=3)
    scaled = x.double() / x.double().std(0, correction=0)
    squares = [sorted(float((a - b).square().sum()) for j, b in enumerate(scaled) if j != i) for i, a in enumerate(scaled)]
    near = sum(sum(row[:3]) for row in squares) / 180
    everywhere = sum(map(sum, squares)) / (60 * 59)
    assert found.distance_ratio == pytest.approx((near / everywhere) ** 0.5)


def test_z_is_calibrated_under_the_null():
    zs = []
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(80, 3, generator=generator)
        y = torch.randint(3, (80,), generator=generator)
        zs.append(label_signal(pairs(x, y), task="classification").z)
    values = torch.tensor(zs)
    assert abs(float(values.mean())) < 0.5
    assert 0.7 < float(values.std()) < 1.4


@pytest.mark.parametrize("outputs", [1, 2])
def test_regression(outputs):
    torch.manual_seed(0)
    x = torch.rand(300, 2)
    y = (x @ torch.ones(2, outputs)).exp()
    true = label_signal(pairs(x, y), task="regression")
    shuffled = label_signal(pairs(x, y[torch.randperm(300)]), task="regression")
    assert true.agreement_ratio > 0.8
    assert true.z > 10
    assert abs(shuffled.z) < 4
    assert abs(true.chance_ratio) < 0.05


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.randn(50, 3), torch.zeros(50).long()),
        (torch.randint(9, (50, 3)), torch.arange(50) % 2),
        (torch.randn(50, 3, 4, 4), torch.zeros(50, 4, 4).long()),
        (torch.randn(10, 3), torch.arange(10) % 2),
        (torch.full((50, 3), torch.nan), torch.arange(50) % 2),
        (torch.randn(50, 3), torch.full((50, 1), torch.nan)),
    ],
)
def test_nothing_to_compare(x, y):
    assert label_signal(pairs(x, y), task="classification" if not y.is_floating_point() else "regression") is None


def test_constant_features_and_wide_inputs_are_fine():
    x, y = clusters()
    wide = torch.cat((x, torch.zeros(400, 5000)), 1)
    assert label_signal(pairs(wide, y), task="classification").z > 20
