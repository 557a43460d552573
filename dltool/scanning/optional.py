"""Libraries that make a scan faster and that it can do without."""

from __future__ import annotations

import importlib
from typing import Any


def optional(module: str) -> Any:
    """The module, or None where it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        return None
