import numpy as np
import pytest
import torch

from dltool.core.errors import DataError
from dltool.data.forms import IGNORED, Wanted
from dltool.data.table import Table
from dltool.data.target_statistics import class_counts
from dltool.data.targets import encode_targets

NAN = float("nan")


def table(targets, inputs=None):
    n = len(targets)
    return Table(
        path="data.csv",
        inputs=np.zeros((n, 2), np.float32) if inputs is None else inputs,
        targets=targets if isinstance(targets[0], np.ndarray) and isinstance(targets, list) else np.asarray(targets),
        rows=np.arange(n),
        target_name="y",
    )


def encode(*targets, inputs=None, **wanted):
    return encode_targets([table(part, inputs) for part in targets], Wanted(**wanted))


def refused(*targets, **wanted):
    with pytest.raises(DataError) as caught:
        encode(*targets, **wanted)
    return str(caught.value)


def test_words_become_classes_in_sorted_order_over_both_splits():
    encoded = encode(np.array(["b", "c", "b"]), np.array(["a", "c", ""]), loss="cross_entropy")
    assert encoded.class_names == ("a", "b", "c")
    assert [part.tolist() for part in encoded.values] == [[1, 2, 1], [0, 2, IGNORED]]
    assert (encoded.kind, encoded.width, encoded.values[0].dtype) == ("classification", 3, torch.int64)


def test_whole_numbers_are_not_remapped():
    encoded = encode([1.0, 2.0, 3.0], loss="cross_entropy")
    assert encoded.values[0].tolist() == [1, 2, 3]
    assert encoded.width == 3
    assert encode([0, 2, 5], loss="hinge").width == 6
    assert encode([-1, 1], loss="nll").values[0].tolist() == [-1, 1]


def test_missing_labels_become_the_label_that_the_loss_passes_over():
    assert encode([0.0, NAN, 1.0], loss="cross_entropy").values[0].tolist() == [0, IGNORED, 1]
    assert encode([0.0, NAN], loss="cross_entropy", ignored=255).values[0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("targets", "task", "kind"),
    [
        ([0.0, 1.0, 2.0], None, "classification"),
        ([0.5, 1.0], None, "regression"),
        (["a", "b"], None, "classification"),
        ([0.0, 1.0], "regression", "regression"),
        ([0, 1], "classification", "classification"),
    ],
)
def test_without_a_loss_the_targets_decide(targets, task, kind):
    assert encode(targets, task=task).kind == kind


def test_the_loss_decides_before_the_task():
    assert encode([0, 1], loss="mse").kind == "regression"
    assert encode([0, 1], loss="cross_entropy", task="regression").kind == "classification"


def test_regression_targets_have_a_last_axis():
    encoded = encode([1.5, NAN], loss="huber")
    assert encoded.values[0].shape == (2, 1)
    assert encoded.values[0].dtype == torch.float32
    assert encode([[1.0, 2.0]], loss="mse").width == 2
    assert encoded.labels is None


def test_fractions_are_no_classes():
    found = refused([0.0, 1.5, 2.25], loss="cross_entropy")
    assert "cross_entropy needs class numbers, but target 'y' holds fractions" in found
    assert "1.5, 2.25" in found


def test_words_are_no_numbers():
    assert "mse needs numbers, but target 'y' of data.csv holds words ('a', 'b')" in refused(["b", "a"], loss="mse")


def test_words_in_one_split_alone():
    assert "one split has words" in refused(np.array(["a"]), np.array([1]), loss="nll")


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "bce"])
def test_one_hot(loss):
    encoded = encode(np.array(["b", "a", ""]), loss=loss, one_hot=True)
    np.testing.assert_array_equal(encoded.values[0].numpy(), [[0, 1], [1, 0], [NAN, NAN]])
    assert encoded.labels[0].tolist() == [1, 0, IGNORED]
    assert (encoded.kind, encoded.width) == ("classification", 2)


def test_one_hot_needs_labels_from_zero():
    assert "one_hot needs labels from 0 to 2; data.csv has 1 to 3" in refused([1, 2, 3], loss="mse", one_hot=True)


def test_shares_that_sum_to_one_are_probabilities():
    encoded = encode(np.array([[0.2, 0.8], [1, 0]]), loss="cross_entropy")
    assert encoded.values[0].dtype == torch.float32
    assert encoded.labels[0].tolist() == [1, 0]
    assert encoded.assumptions


def test_labels_of_every_step_are_not_taken_for_probabilities():
    steps = np.array([[0, 1, 0], [1, 0, 0]])
    encoded = encode(steps, inputs=np.zeros((2, 3, 4), np.float32), loss="cross_entropy")
    assert encoded.values[0].tolist() == steps.tolist()


@pytest.mark.parametrize(("loss", "expected"), [("bce", [1, 0]), ("soft_margin", [1, -1])])
def test_two_words_for_a_binary_loss(loss, expected):
    encoded = encode(np.array(["yes", "no"]), loss=loss)
    assert encoded.values[0].flatten().tolist() == expected
    assert encoded.values[0].shape == (2, 1)
    assert encoded.labels[0].tolist() == expected
    assert encoded.kind == "binary"


def test_three_words_for_a_binary_loss():
    assert "tells two classes apart, but 'y' has 3: a, b, c" in refused(["a", "b", "c"], loss="bce")


def test_numbers_for_a_binary_loss_stay_as_they_are():
    encoded = encode([1, 2], loss="bce_with_logits")
    assert encoded.values[0].flatten().tolist() == [1, 2]
    assert encoded.valid == (0, 1)
    soft = encode([0.25, 1.0], loss="bce")
    assert soft.labels is None
    assert encode(np.array([[0, 1, 1]]), loss="bce").width == 3


def test_a_choice_of_classes_is_numbered_in_its_order():
    assert encode(np.array(["b", "c"]), loss="nll", classes=("c", "b")).values[0].tolist() == [1, 0]
    encoded = encode([7.0, 5.0, 7.0], loss="nll", classes=(5, 7))
    assert (encoded.values[0].tolist(), encoded.class_names) == ([1, 0, 1], ("5", "7"))


def test_targets_of_unequal_length():
    encoded = encode([np.array([0, 1]), np.array([2])], loss="cross_entropy")
    assert [part.tolist() for part in encoded.values[0]] == [[0, 1], [2]]
    assert encoded.width == 3
    numbers = encode([np.array([0.5, 1.0]), np.array([2.0])], loss="mse")
    assert [part.shape for part in numbers.values[0]] == [(2, 1), (1, 1)]


def test_losses_of_no_simple_task():
    assert encode(np.array([[0, -1], [1, 0]]), loss="multilabel_margin", ignored=-1).kind == "other"
    assert encode(np.array([[0.3, 0.7]]), loss="kl_div").kind == "other"


@pytest.mark.parametrize("far", [np.float64(1e23), np.uint64(2**63 + 1), np.int64(2**63 - 1)])
def test_labels_beyond_any_class_stay_far_out_of_range(far):
    encoded = encode(np.array([0, 1, far], dtype=type(far)), loss="cross_entropy")
    assert encoded.values[0].tolist() == [0, 1, 2**62]
    assert class_counts(encoded.labels[0], encoded, IGNORED) is None


def test_targets_beyond_single_precision_become_infinite_without_a_warning():
    assert encode(np.array([0.5, 1e300]), loss="mse").values[0].tolist()[1] == [float("inf")]
