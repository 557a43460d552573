"""Running the user's code: what it prints is not the result, Ctrl-C ends it in good order, and it may not leave for us."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from dltool.core.errors import TargetError

if TYPE_CHECKING:
    from dltool.training.stop import StopFlag


@contextmanager
def running(target: str, stop: StopFlag) -> Iterator[None]:
    """Within the block stdout leads to stderr, and the first signal sets ``stop``.

    Raises:
        TargetError: the target's code called ``sys.exit``.
    """
    with calling(target), stop.on_signals():
        yield


@contextmanager
def calling(target: str) -> Iterator[None]:
    """Within the block stdout leads to stderr.

    Raises:
        TargetError: the target's code called ``sys.exit``.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except SystemExit as left:
        raise TargetError(f"{target} left the run with SystemExit({left.code})") from left
