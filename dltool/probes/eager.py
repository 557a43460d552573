"""Trying a compiled model without its compiler."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext

import torch


def eagerly() -> AbstractContextManager[object]:
    """Within the block what torch.compile made runs as it was written: a trial compiles nothing, and not for other shapes.

    Where nothing was compiled so far the compiler is not even imported, which would take seconds.
    """
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
