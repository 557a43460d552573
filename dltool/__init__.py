"""dltool: a clinic for neural-network training.

The names below are public. Each is imported when it is first used, so that ``import dltool`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dltool.core.version import VERSION

if TYPE_CHECKING:
    from dltool.core.errors import DataError, DltoolError, OutputError, SpecError, TargetError, UserError
    from dltool.core.finding import Check, Finding, Severity, Where
    from dltool.core.measurements import Measurements
    from dltool.core.report import Report
    from dltool.diagnostics.gradcheck import GradcheckOptions
    from dltool.diagnostics.gradcheck import run as gradcheck
    from dltool.diagnostics.init_stats import InitStatsOptions
    from dltool.diagnostics.init_stats import run as init_stats
    from dltool.diagnostics.lr_find import LrFindOptions
    from dltool.diagnostics.lr_find import run as lr_find
    from dltool.diagnostics.nan_hunt import NanHuntOptions
    from dltool.diagnostics.nan_hunt import run as nan_hunt
    from dltool.diagnostics.scan.options import ScanOptions
    from dltool.diagnostics.scan.run import run as scan
    from dltool.diagnostics.train import TrainOptions
    from dltool.diagnostics.train import run as train
    from dltool.specs.factory import FactoryResult

__version__ = VERSION

__all__ = [
    "Check",
    "DataError",
    "DltoolError",
    "FactoryResult",
    "Finding",
    "GradcheckOptions",
    "InitStatsOptions",
    "LrFindOptions",
    "Measurements",
    "NanHuntOptions",
    "OutputError",
    "Report",
    "ScanOptions",
    "Severity",
    "SpecError",
    "TargetError",
    "TrainOptions",
    "UserError",
    "Where",
    "__version__",
    "gradcheck",
    "init_stats",
    "lr_find",
    "nan_hunt",
    "scan",
    "train",
]

_HOMES = {
    "Check": "dltool.core.finding:Check",
    "DataError": "dltool.core.errors:DataError",
    "DltoolError": "dltool.core.errors:DltoolError",
    "FactoryResult": "dltool.specs.factory:FactoryResult",
    "Finding": "dltool.core.finding:Finding",
    "GradcheckOptions": "dltool.diagnostics.gradcheck:GradcheckOptions",
    "InitStatsOptions": "dltool.diagnostics.init_stats:InitStatsOptions",
    "LrFindOptions": "dltool.diagnostics.lr_find:LrFindOptions",
    "Measurements": "dltool.core.measurements:Measurements",
    "NanHuntOptions": "dltool.diagnostics.nan_hunt:NanHuntOptions",
    "OutputError": "dltool.core.errors:OutputError",
    "Report": "dltool.core.report:Report",
    "ScanOptions": "dltool.diagnostics.scan.options:ScanOptions",
    "Severity": "dltool.core.finding:Severity",
    "SpecError": "dltool.core.errors:SpecError",
    "TargetError": "dltool.core.errors:TargetError",
    "TrainOptions": "dltool.diagnostics.train:TrainOptions",
    "UserError": "dltool.core.errors:UserError",
    "Where": "dltool.core.finding:Where",
    "gradcheck": "dltool.diagnostics.gradcheck:run",
    "init_stats": "dltool.diagnostics.init_stats:run",
    "lr_find": "dltool.diagnostics.lr_find:run",
    "nan_hunt": "dltool.diagnostics.nan_hunt:run",
    "scan": "dltool.diagnostics.scan.run:run",
    "train": "dltool.diagnostics.train:run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dltool' has no attribute {name!r}")
    module, attribute = _HOMES[name].split(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
