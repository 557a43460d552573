"""What must hold of the sizes of a data set, whatever is in it. Without torch."""

from __future__ import annotations

from math import floor
from typing import Literal

from dltool.core.errors import DataError, Problem


def held_out(n: int, val: float) -> int:
    """How many of ``n`` samples validate: ``val`` is a share when it is a float, a number when it is an int.

    Raises:
        DataError: one side would be empty.
    """
    wanted = val if isinstance(val, int) else max(1, floor(n * val + 0.5))
    if not 0 < wanted < n:
        message = f"a validation split of {wanted} leaves {max(0, n - wanted)} of {n} samples to train on"
        raise DataError(Problem(message=message, key="split.val", expected=f"at most {n - 1} samples" if n > 1 else None))
    return wanted


def check_batch_size(size: int | Literal["full"], n: int, *, asked: bool) -> None:
    """A batch that was asked for and is not merely a default has to fit into the ``n`` training samples.

    Raises:
        DataError: it does not.
    """
    if size != "full" and size > n and asked:
        message = f"a batch of {size} is larger than the training data of {n} samples"
        raise DataError(Problem(message=message, key="batch_size", expected=f"at most {n}, or `full` for all of them"))


def check_normalize(how: str, *, tokens: bool) -> None:
    """Numbers that an embedding looks up stay as they are.

    Raises:
        DataError: they are to be normalised.
    """
    if tokens and how != "none":
        message = "the inputs are whole numbers that an embedding looks up; they are not normalised"
        raise DataError(Problem(message=message, key="normalize", expected="none"))
