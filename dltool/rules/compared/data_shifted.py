"""CMP107 data-shifted."""

from __future__ import annotations

from typing import ClassVar

from dltool.core.finding import Severity
from dltool.rules.base import Threshold
from dltool.rules.compared.regressed import Regressed, noises


class DataShifted(Regressed):
    """The data are others than before: samples lost, classes gone or in other shares, columns that drifted.

    What it measures: of two scans the number of samples, the population stability index of the class shares, classes
    that are gone, and of each column mean, standard deviation and missing values. It fires beyond 0.2 of the index, 0.2
    standard deviations, a factor of 1.5 or a share of 0.05, and beyond what chance gives for so many samples.

    Why it is bad: what was learnt and validated on the data before need not hold for these.

    How to fix: find the export, filter or join that changed. After a change on purpose, take the new scan as the one to
    compare with.

    When it is wrong: a data set that grows by design; columns are compared by name, and those of arrays by place.

    References: Siddiqi 2006, Credit risk scorecards (index); Yurdakul 2018, Statistical properties of population
    stability index; Cohen 1988, Statistical power analysis (a small effect is 0.2).
    """

    id = "CMP107"
    name = "data-shifted"
    severity = Severity.WARNING
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        noises("Siddiqi 2006 (index 0.2); Cohen 1988 (0.2 standard deviations); conventions for the rest"),
    )
    group = "data"
    verdicts = ("worse", "changed")
