import math

import pytest

from dltool.core.errors import SpecError
from dltool.core.measured.training import EpochRecord
from dltool.training.early_stopping import Patience
from dltool.training.experiment import EarlyStopping, Metric

METRICS = [
    Metric(name="accuracy", update=lambda o, t: (0.0, 1)),
    Metric(name="mae", update=lambda o, t: (0.0, 1), higher_is_better=False),
]


def record(value, name="val_loss"):
    metrics = {"accuracy": value, "mae": value} if name not in ("val_loss", "train_loss") else {}
    running = value if name == "train_loss" else 9.0
    val_loss = value if name == "val_loss" else 9.0
    return EpochRecord(
        epoch=0, step=1, lr=0.1, running_loss=running, train_loss=None, val_loss=val_loss, val_metrics=metrics
    )


def stops_after(values, monitor="val_loss", patience=2, min_delta=0.0):
    rule = Patience(EarlyStopping(patience=patience, monitor=monitor, min_delta=min_delta), METRICS)
    for epoch, value in enumerate(values):
        if rule.exhausted_after(record(value, monitor)):
            return epoch
    return None


@pytest.mark.parametrize(
    ("values", "options", "epoch"),
    [
        ([3, 2, 1, 1, 1], {}, 4),  # standing still is no improvement
        ([3, 2, 2.5, 1, 1.5, 1.2], {}, 5),
        ([3, 2, 1], {}, None),
        ([1, 0.5, 0.5], {"min_delta": 0.5}, 2),  # an improvement by exactly min_delta is none
        ([1, 0.4, 0.3], {"min_delta": 0.5, "patience": 1}, 2),
        ([1, 0.5, 0.4, 0.3], {"min_delta": 0.5}, None),  # measured from the best, not from the epoch before
        ([1, 1], {"patience": 0}, 1),
        ([math.nan, math.nan], {}, 1),
        ([1, math.nan, math.nan], {}, 2),
        ([1, math.nan, 0.5, math.nan], {}, None),
        ([math.inf, math.inf], {}, 1),
        ([0.5, 0.6, 0.7, 0.7, 0.7], {"monitor": "accuracy"}, 4),
        ([0.5, 0.6, 0.7, 0.7, 0.7], {"monitor": "val_accuracy"}, 4),
        ([0.5, math.nan, math.nan], {"monitor": "accuracy"}, 2),
        ([0.5, 0.6, 0.7], {"monitor": "mae"}, 2),
        ([3, 2, 1, 1, 1], {"monitor": "train_loss"}, 4),
    ],
)
def test_when_it_stops(values, options, epoch):
    assert stops_after(values, **options) == epoch


def test_without_validation_the_running_loss_is_monitored():
    rule = Patience(EarlyStopping(patience=1), METRICS)
    first = EpochRecord(epoch=0, step=1, lr=0.1, running_loss=2.0, train_loss=None, val_loss=None)
    assert not rule.exhausted_after(first)
    assert rule.best == 2.0


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(SpecError, match="expected one of val_loss, train_loss, accuracy, mae, val_accuracy, val_mae"):
        Patience(EarlyStopping(patience=1, monitor="f1"), METRICS)


def test_its_state_goes_on_alike():
    first = Patience(EarlyStopping(patience=3), METRICS)
    for value in (3, 2, 2.5):
        first.exhausted_after(record(value))
    second = Patience(EarlyStopping(patience=3), METRICS)
    second.load_state_dict(first.state_dict())
    assert [second.exhausted_after(record(value)) for value in (2.5, 2.5)] == [False, True]
