"""Trying the user's code once without leaving a trace in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from dltool.probes.contents import Contents
from dltool.training.copies import Copies


@contextmanager
def untouched(*roots: Any) -> Iterator[None]:
    """Whatever the block does to what these objects hold (counters, caches, buffers), they hold what they held before.

    Parameters are not copied: nothing but an update writes to them.
    """
    contents = Contents(roots)
    copies = Copies([t for t in contents.tensors if t.is_leaf and not isinstance(t, nn.Parameter)])
    try:
        yield
    finally:
        contents.restore()
        copies.put_back()
