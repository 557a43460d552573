"""A model or loss that raised: the user's mistake, told as one, with the line in the user's own code."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import torch

from dltool.core.errors import Location, Problem, TargetError

NOT_THE_USERS = tuple(str(Path(file).parent) for file in (torch.__file__, Path(__file__).parent, traceback.__file__))
"""Folders whose lines mean nothing to the user: torch's, dltool's and the standard library's."""

HINTS = {
    "Expected more than 1 value per channel when training": "batches of more than one sample, the last one of an epoch too, "
    "or layer_norm in place of batch_norm",
    "does not support sparse gradients": "SGD, SparseAdam or Adagrad, or an embedding without sparse=True",
}
"""What would be right, for messages of torch's that leave it open."""


def explain(problem: Exception, doing: str) -> TargetError:
    """What to raise when running the user's model or loss raised ``problem``; ``doing`` completes "while ..."."""
    said = str(problem).strip() or "no message"
    frames = traceback.extract_tb(problem.__traceback__)
    user_frames = [frame for frame in frames if not frame.filename.startswith((*NOT_THE_USERS, "<", sys.prefix))]
    where = user_frames[-1] if user_frames else None
    return TargetError(
        Problem(
            message=f"{type(problem).__name__} while {doing}: {said}",
            expected=next((hint for part, hint in HINTS.items() if part in said), None),
            location=None if where is None else Location(file=where.filename, line=where.lineno),
        )
    )
