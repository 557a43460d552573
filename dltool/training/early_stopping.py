"""Which epoch was best, and whether to go on after too many that were not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dltool.core.errors import Problem, SpecError, closest
from dltool.core.measured.training import EpochRecord
from dltool.training.experiment import EarlyStopping, Metric


class Patience:
    """Counts the epochs since the monitored number last improved by more than ``min_delta``; NaN never is an improvement.

    ``monitor`` is ``val_loss``, ``train_loss`` (the running one, known after every epoch) or a metric's name, on the
    validation split. Without a validation split, ``val_loss`` is the running training loss.
    """

    def __init__(self, rule: EarlyStopping, metrics: Sequence[Metric]) -> None:
        self._rule = rule
        self._metric = rule.monitor.removeprefix("val_")
        names = {metric.name: metric for metric in metrics}
        known = ["val_loss", "train_loss", *names, *(f"val_{name}" for name in names)]
        if rule.monitor not in known:
            raise SpecError(
                Problem(
                    message="early stopping monitors a number that this run does not have",
                    key="train.early_stopping.monitor",
                    value=repr(rule.monitor),
                    expected="one of " + ", ".join(known),
                    suggestion=closest(rule.monitor, known),
                )
            )
        self._sign = -1.0 if self._metric in names and names[self._metric].higher_is_better else 1.0
        self.best = math.inf
        self.epochs_without = 0

    def exhausted_after(self, record: EpochRecord) -> bool:
        """Take one epoch into account; whether training should stop now."""
        value = self._sign * self._monitored(record)
        if value < self.best - self._rule.min_delta:
            self.best = value
            self.epochs_without = 0
        else:
            self.epochs_without += 1
        return self.epochs_without >= max(self._rule.patience, 1)

    def _monitored(self, record: EpochRecord) -> float:
        if self._rule.monitor == "val_loss" and record.val_loss is not None:
            return record.val_loss
        if self._rule.monitor in ("val_loss", "train_loss"):
            return record.running_loss
        return (record.val_metrics or {}).get(self._metric, math.nan)

    def state_dict(self) -> dict[str, float]:
        """What a resumed run needs to go on."""
        return {"best": self.best, "epochs_without": self.epochs_without}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take up what ``state_dict`` gave."""
        self.best, self.epochs_without = state["best"], int(state["epochs_without"])
