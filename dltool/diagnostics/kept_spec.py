"""The spec of a run, as it was resolved, kept in the run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dltool.specs.load import load
from dltool.specs.show import render
from dltool.training.experiment import Experiment
from dltool.training.run_folder import RunFolder


def write_spec(folder: RunFolder, experiment: Experiment, overrides: Sequence[str]) -> None:
    """Write it with ``overrides``, seed and length settled; a factory has none."""
    if experiment.spec is not None:
        settled = (*overrides, f"seed={experiment.seed}", f"train.epochs={experiment.settings.epochs}")
        folder.write_spec(render(load(experiment.target, settled), Path(folder.path)))
