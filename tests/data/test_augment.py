import math

import pytest
import torch

from dltool.core.errors import DataError
from dltool.data.augment import Augmentation, add_noise, change_pixels, check_augmentation
from dltool.data.layout import Layout


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def changed(inputs, seed=0, **strengths):
    return change_pixels(Augmentation(**strengths), inputs, generator(seed))


def test_flip_is_torch_flip():
    images = torch.rand(3, 2, 5, 7)
    result, _ = changed(images, hflip_probability=1.0)
    torch.testing.assert_close(result, images.flip(-1))
    assert result.shape == images.shape


def test_flip_probability():
    images = torch.rand(400, 1, 3, 3)
    result, _ = changed(images, hflip_probability=0.25)
    flipped = sum(bool(torch.allclose(a, b.flip(-1), atol=1e-5)) for a, b in zip(result, images, strict=True))
    assert 60 < flipped < 140


def test_brightness_multiplies_every_pixel_of_a_sample_alike():
    images = torch.rand(50, 1, 4, 4) + 0.5
    result, move = changed(images, brightness_ratio=0.2)
    factors = (result / images).reshape(50, -1)
    torch.testing.assert_close(factors, factors[:, :1].expand(-1, 16))
    assert 0.8 <= factors.min() < 0.9
    assert 1.1 < factors.max() <= 1.2
    assert move is None


def test_shift_moves_by_at_most_so_many_pixels_and_fills_with_zeros():
    images = torch.zeros(200, 1, 11, 11)
    images[:, 0, 5, 5] = 1.0
    result, _ = changed(images, shift_pixels=2)
    place = torch.arange(11.0)
    rows = (result[:, 0].sum(2) * place).sum(1) - 5
    columns = (result[:, 0].sum(1) * place).sum(1) - 5
    for offset in (rows, columns):
        assert offset.abs().max() <= 2 + 1e-4
        assert offset.min() < -1.5
        assert offset.max() > 1.5
    full, _ = changed(torch.ones(50, 1, 8, 8), shift_pixels=3)
    assert full.min() == 0


def test_rotation_is_rigid_where_height_and_width_differ():
    height, width = 21, 41
    images = torch.zeros(30, 1, height, width)
    images[:, 0, 10, 28] = 1.0
    result, _ = changed(images, rotate_degrees=45)
    mass = result[:, 0] / result[:, 0].sum((1, 2), keepdim=True)
    down = (mass.sum(2) * (torch.arange(height) - 10)).sum(1)
    across = (mass.sum(1) * (torch.arange(width) - 20)).sum(1)
    torch.testing.assert_close((down**2 + across**2).sqrt(), torch.full((30,), 8.0), atol=0.15, rtol=0)
    angle = torch.atan2(down, across).abs()
    assert angle.max() <= math.radians(45) + 0.02
    assert angle.max() > math.radians(30)


def test_scale_stays_within_its_ratio():
    images = torch.zeros(100, 1, 41, 41)
    images[:, 0, 10:31, 10:31] = 1.0
    area = changed(images, scale_ratio=0.2)[0].sum((1, 2, 3)) / 21**2
    assert 0.8**2 - 0.02 < area.min() < 0.75
    assert 1.3 < area.max() < 1.2**2 + 0.02


def test_grey_images_keep_their_shape():
    assert changed(torch.rand(2, 5, 6), rotate_degrees=10)[0].shape == (2, 5, 6)


def test_labels_for_each_pixel_move_along():
    labels = torch.randint(0, 3, (20, 9, 9))
    _images, move = changed(labels.float().unsqueeze(1) + 1, shift_pixels=3, hflip_probability=0.5, seed=3)
    moved = move(labels, -100)
    assert moved.dtype == torch.int64
    assert set(moved.unique().tolist()) == {-100, 0, 1, 2}
    flipped, move = changed(labels.float().unsqueeze(1), hflip_probability=1.0)
    assert torch.equal(move(labels, -100), labels.flip(-1))
    assert torch.equal(flipped.squeeze(1).round().long(), labels.flip(-1))


def test_the_same_seed_gives_the_same_images_and_the_input_stays():
    images = torch.rand(4, 1, 6, 6)
    kept = images.clone()
    strengths = {"shift_pixels": 1, "rotate_degrees": 10.0, "scale_ratio": 0.1, "brightness_ratio": 0.2}
    first, second = (changed(images, seed=5, **strengths)[0] for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(images, kept)
    assert not torch.equal(first, changed(images, seed=6, **strengths)[0])


def test_noise_has_its_standard_deviation():
    noise = add_noise(torch.zeros(100_000), 0.3, generator())
    assert noise.std() == pytest.approx(0.3, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("strengths", "layout", "shape", "variable", "text"),
    [
        ({"shift_pixels": 1}, Layout.FEATURES, (4,), False, r"these are samples of shape \(4,\)"),
        ({"brightness_ratio": 0.1}, Layout.SEQUENCE, (9, 3), True, "sequences of unequal length"),
        ({"hflip_probability": 0.5}, Layout.TOKENS, (7,), False, "change images"),
        ({"noise_std": 0.1}, Layout.TOKENS, (7,), False, "an embedding looks up"),
        ({"noise_std": 0.1}, Layout.SEQUENCE, (9, 3), True, "padded sequences"),
    ],
)
def test_what_makes_no_sense_is_refused(strengths, layout, shape, variable, text):
    with pytest.raises(DataError, match=text):
        check_augmentation(Augmentation(**strengths), layout, shape, variable=variable)


@pytest.mark.parametrize("shape", [(4,), (8, 8), (3, 8, 8)])
def test_noise_suits_any_numbers(shape):
    check_augmentation(Augmentation(noise_std=0.1), Layout.FEATURES, shape, variable=False)
