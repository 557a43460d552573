import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dltool.data import batches as module
from dltool.data.augment import Augmentation
from dltool.data.batches import Batches, Samples
from dltool.data.image_files import ImageFiles
from dltool.data.padding import Padding


def numbered(n, batch_size=4, *, seed=0, shuffle=True, augmentation=None):
    inputs = torch.arange(n, dtype=torch.float32).reshape(n, 1)
    return Batches(
        Samples(inputs=inputs, targets=torch.arange(n)),
        batch_size=batch_size,
        seed=seed,
        shuffle=shuffle,
        augmentation=augmentation,
    )


def labels(batches):
    return [batch.target.tolist() for batch in batches]


def flat(batches):
    return [value for part in labels(batches) for value in part]


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 5), st.integers(0, 2**62), st.booleans())
def test_an_epoch_covers_every_sample_once(n, size, epoch, seed, shuffle):
    source = numbered(n, size, seed=seed, shuffle=shuffle)
    delivered = list(source.epoch(epoch))
    assert sorted(flat(delivered)) == list(range(n))
    assert len(delivered) == len(source)
    assert all(len(batch.target) == size for batch in delivered[:-1])
    assert all((batch.input[:, 0].long() == batch.target).all() for batch in delivered)
    assert labels(source.epoch(epoch)) == labels(delivered)
    for start in range(len(source) + 1):
        assert labels(source.epoch(epoch, start)) == labels(delivered)[start:]


def test_gathering_in_pieces_changes_nothing(monkeypatch):
    whole = labels(numbered(50).epoch(2))
    monkeypatch.setattr(module, "GATHER_BYTES", 100)
    assert labels(numbered(50).epoch(2)) == whole


def test_epochs_and_seeds_differ_and_unshuffled_does_not():
    source = numbered(50)
    assert flat(source.epoch(0)) != flat(source.epoch(1))
    assert flat(source.epoch(0)) != flat(numbered(50, seed=1).epoch(0))
    assert flat(numbered(50, shuffle=False).epoch(3)) == list(range(50))


def test_other_random_numbers_do_not_change_the_order():
    source = numbered(50)
    first = flat(source.epoch(0))
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert flat(source.epoch(0)) == first
    assert torch.equal(torch.get_rng_state(), state)


def test_fixed_is_the_same_every_time_and_nested():
    source = numbered(50)
    everything = flat(source.fixed())
    assert sorted(everything) == list(range(50))
    assert flat(source.fixed()) == everything
    assert flat(source.fixed(limit=10)) == everything[:10]
    assert flat(source.fixed(limit=500)) == everything
    assert everything[:10] != list(range(10))
    assert [len(part) for part in labels(source.fixed(limit=10, batch_size=6))] == [6, 4]


def test_fixed_is_not_augmented():
    source = numbered(20, augmentation=Augmentation(noise_std=1.0))
    assert all((batch.input[:, 0].long() == batch.target).all() for batch in source.fixed())


def test_noise_follows_from_seed_epoch_and_batch():
    source = numbered(20, augmentation=Augmentation(noise_std=1.0))
    first, again = list(source.epoch(1)), list(source.epoch(1))
    assert all(torch.equal(a.input, b.input) for a, b in zip(first, again, strict=True))
    assert torch.equal(next(source.epoch(1, start=2)).input, first[2].input)
    noise = torch.cat([batch.input[:, 0] - batch.target for batch in first])
    assert len(noise.unique()) == 20
    assert 0.5 < noise.std() < 1.5


def test_changing_a_batch_in_place_leaves_the_data_alone():
    source = numbered(8, 8)
    for batch in source.epoch(0):
        batch.input.zero_()
        batch.target.zero_()
    assert sorted(flat(source.epoch(0))) == list(range(8))
    assert sum(batch.input.sum() for batch in source.epoch(0)) == 28


def test_sequences_are_padded_to_the_longest_of_the_batch():
    samples = Samples(
        inputs=[torch.full((length, 2), float(length)) for length in (1, 3, 2)],
        targets=[torch.full((length,), length) for length in (1, 3, 2)],
        padding=Padding(9.0),
        ignored=-100,
    )
    (batch,) = Batches(samples, batch_size=3, seed=0, shuffle=False).epoch(0)
    assert batch.input["lengths"].tolist() == [1, 3, 2]
    assert batch.input["values"].shape == (3, 3, 2)
    assert batch.input["values"][:, :, 0].tolist() == [[1, 9, 9], [3, 3, 3], [2, 2, 9]]
    assert batch.target.tolist() == [[1, -100, -100], [3, 3, 3], [2, 2, -100]]


def test_padding_to_a_length_and_one_target_a_sequence():
    samples = Samples(
        inputs=[torch.tensor([1, 2]), torch.tensor([3])],
        targets=torch.tensor([0, 1]),
        padding=Padding(0.0, 4),
        target_length=4,
    )
    (batch,) = Batches(samples, batch_size=2, seed=0, shuffle=False).epoch(0)
    assert batch.input["values"].tolist() == [[1, 2, 0, 0], [3, 0, 0, 0]]
    assert batch.input["values"].dtype == torch.int64
    assert batch.target.tolist() == [0, 1]


def test_images_come_as_numbers_from_zero_to_one(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for i, path in enumerate(paths):
        Image.new("L", (2, 2), 85 * i).save(path)
    samples = Samples(inputs=ImageFiles(paths, (1, 2, 2)), targets=torch.arange(4))
    for batch in Batches(samples, batch_size=3, seed=0).epoch(0):
        np.testing.assert_allclose(batch.input[:, 0, 0, 0], batch.target / 3, atol=1e-6)


def test_bytes_become_floats_batch_by_batch():
    samples = Samples(inputs=torch.arange(6, dtype=torch.uint8).reshape(3, 2), targets=torch.arange(3))
    (batch,) = Batches(samples, batch_size=3, seed=0, shuffle=False).epoch(0)
    assert batch.input.dtype == torch.float32


@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 6)])
def test_pixels_change_for_training_alone(shape):
    inputs = torch.rand(4, *shape)
    source = Batches(
        Samples(inputs=inputs, targets=torch.arange(4)),
        batch_size=4,
        seed=0,
        augmentation=Augmentation(hflip_probability=1.0),
    )
    (batch,) = source.epoch(0)
    torch.testing.assert_close(batch.input, inputs[batch.target].flip(-1))
    (fixed,) = source.fixed()
    assert torch.equal(fixed.input, inputs[fixed.target])
