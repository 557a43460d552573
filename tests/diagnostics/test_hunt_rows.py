"""Which dimension is that of the samples, and what an exchange of samples moves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence

from dltool.diagnostics.hunt.rows import alike, exchanged, layout, rows_where, same_rows
from dltool.training.experiment import Batch

z = torch.zeros


@pytest.mark.parametrize(
    ("batch", "samples", "dims"),
    [
        ((z(8, 3), z(8)), 8, (0, 0)),
        ((z(3, 8), z(3, 8)), 3, (0, 0)),
        ((z(7, 5, 3), z(5)), 5, (1, 0)),
        ((z(1, 5), z(5)), 5, (1, 0)),
        ((z(1, 4), z(1)), 1, (0, 0)),
        ((z(4, 1), z(4, 1)), 4, (0, 0)),
        (({"tokens": z(7, 5), "lengths": z(5)}, z(7, 5)), 5, (1, 0, 1)),
        (((z(6, 2), (z(6), z(2, 2))), z(6)), 6, (0, 0, None, 0)),
        ((z(4, 3, 8, 8), z(4, 8, 8)), 4, (0, 0)),
        ((z(6, 5), z(30)), 6, (0, 0)),
        ((z(9, 2), z(())), 9, (0, None)),
        ((z(12, 2), z(5)), 12, (0, None)),
    ],
)
def test_sizes_agree_on_the_dimension_of_the_samples(batch: Any, samples: int, dims: tuple[int | None, ...]) -> None:
    found = layout(Batch(*batch))
    assert found is not None
    assert found.samples == samples
    assert tuple(None if axis is None else axis.dim for axis in found.axes) == dims


def test_sizes_that_leave_it_open_say_so_and_can_be_turned() -> None:
    batch = Batch(z(7, 5, 3), z(7, 5))
    found = layout(batch)
    assert found is not None
    assert found.ambiguous
    assert found.samples == 7
    turned = layout(batch, sequence_first=True)
    assert turned is not None
    assert (turned.samples, [axis.dim for axis in turned.axes if axis]) == (5, [1, 1])
    plain = layout(Batch(z(7, 5, 3), z(7)), sequence_first=True)
    assert plain is not None
    assert plain.samples == 7


def test_packed_sequences_and_numbers_have_no_layout() -> None:
    assert layout(Batch(pack_sequence([torch.ones(3), torch.ones(2)]), z(2))) is None
    assert layout(Batch(z(()), z(()))) is None


def test_samples_of_different_sizes_come_as_a_list() -> None:
    images = [z(3, 4, 5), z(3, 6, 5)]
    found = layout(Batch(images, [{"boxes": z(1, 4)}, {"boxes": z(3, 4)}]))
    assert found is not None
    assert found.listed
    assert found.samples == 2
    assert layout(Batch((z(2, 3), z(2, 5)), (z(2), z(2)))).listed is False  # two inputs of two samples each


def numbered(*shape: int, dim: int = 0, start: int = 0) -> Tensor:
    size = [1] * len(shape)
    size[dim] = shape[dim]
    return (torch.arange(shape[dim]) + start).reshape(size).expand(shape).clone().float()


def test_inputs_and_targets_move_together_with_rows_of_another_batch() -> None:
    batch = Batch({"x": numbered(5, 4, 3, dim=1), "weight": z(2)}, numbered(4))
    other = Batch({"x": numbered(5, 2, 3, dim=1, start=10), "weight": z(2)}, numbered(2, start=10))
    own = layout(batch)
    assert own is not None
    lent = alike(batch, own, other)  # by its sizes alone the weight could be one value a sample
    assert lent is not None
    made = exchanged(batch, own, [0, 5, 2, 4], (other, lent))
    assert made.input["x"][0, :, 0].tolist() == [0, 11, 2, 10]
    assert made.target.tolist() == [0, 11, 2, 10]
    assert batch.target.tolist() == [0, 1, 2, 3]


def test_flattened_targets_move_in_blocks() -> None:
    batch = Batch(z(3, 2), torch.arange(6.0))
    found = layout(batch)
    assert found is not None
    assert exchanged(batch, found, [0, 0, 2]).target.tolist() == [0, 1, 0, 1, 4, 5]
    sequence_first = Batch((z(5, 3, 2), z(3)), torch.arange(15.0))
    turned = layout(sequence_first)
    assert turned is not None
    assert turned.samples == 3


def test_a_list_of_samples_is_exchanged_whole() -> None:
    batch = Batch([z(3, 4), torch.ones(3, 6)], torch.tensor([0.0, 1.0]))
    found = layout(batch)
    assert found is not None
    made = exchanged(batch, found, [1, 1])
    assert [tuple(item.shape) for item in made.input] == [(3, 6), (3, 6)]
    assert made.target.tolist() == [1, 1]


def test_an_autoencoders_target_stays_its_input() -> None:
    values = numbered(4, 3)
    batch = Batch(values, values)
    found = layout(batch)
    assert found is not None
    made = exchanged(batch, found, [3, 1, 2, 3])
    assert made.input is made.target


@pytest.mark.parametrize("other", [(z(4, 5), z(4)), (z(4, 3).double(), z(4)), ((z(4, 3), z(4)), z(4)), (z(4, 3), z(4, 2))])
def test_rows_of_another_kind_are_not_lent(other: Any) -> None:
    batch, lender = Batch(z(4, 3), z(4)), Batch(*other)
    own = layout(batch)
    assert own is not None
    assert alike(batch, own, lender) is None


def test_rows_with_bad_values_are_told_for_inputs_and_targets() -> None:
    batch = Batch((z(4, 3), torch.zeros(4, dtype=torch.long)), z(4))
    batch.input[0][2, 1] = torch.nan
    batch.target[3] = torch.inf
    found = layout(batch)
    assert found is not None
    bad = lambda tensor: ~tensor.isfinite()  # noqa: E731
    assert rows_where(batch, found, bad) == (2, 3)
    assert rows_where(batch, found, bad, 0) == (2,)
    assert rows_where(batch, found, bad, 1) == (3,)


def test_the_same_samples_are_known_again_nan_and_all() -> None:
    known = Batch(numbered(4, 2), z(4))
    known.input[2, 0] = torch.nan
    again = Batch(known.input.flip(0), z(4))
    found, knowns = layout(again), layout(known)
    assert found is not None
    assert knowns is not None
    assert same_rows(again, found, known, knowns, (2, 3)) == {0, 1}
