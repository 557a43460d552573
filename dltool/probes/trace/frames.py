"""Which line of the user's runs now."""

from __future__ import annotations

import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import torch

OURS = str(Path(__file__).parents[2])
HANDOVERS = frozenset(str(Path(OURS, *path)) for path in (("training", "step.py"), ("probes", "design", "follow.py")))
"""Where dltool hands over to the user's code: what called it is not the user's model."""
ENGINE = "_engine_run_backward"
TORCH = str(Path(torch.__file__).parent)
STANDARD = sysconfig.get_path("stdlib")
LIBRARIES = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))


class Line(NamedTuple):
    """A place in a source file; ``file`` is absolute."""

    file: str
    number: int


def user_line(*, in_backward: bool = False) -> Line | None:
    """The innermost line that is the user's; of a library's (but not torch's) where no other is on the way.

    ``in_backward``: only what autograd itself called, an ``autograd.Function`` written in Python or a hook.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - inspect.stack reads every source file
    in_library: Line | None = None
    while frame is not None and frame.f_code.co_filename not in HANDOVERS:
        if in_backward and frame.f_code.co_name == ENGINE:
            break
        kind = _kind(frame.f_code.co_filename)
        if kind == "user":
            return Line(frame.f_code.co_filename, frame.f_lineno)
        if kind == "library" and in_library is None:
            in_library = Line(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return in_library


@cache
def _kind(file: str) -> str:
    if file.startswith(("<", OURS, TORCH)):
        return "none"
    if file.startswith(LIBRARIES):
        return "library"
    return "none" if file.startswith(STANDARD) else "user"
