"""NAN103 non-finite-buffer."""

from __future__ import annotations

from typing import ClassVar

from dltool.rules.nonfinite.first_event import ALL, FirstEvent


class NonFiniteBuffer(FirstEvent):
    """A buffer, such as a running variance, holds NaN or Inf.

    What it measures: buffers before the step, and buffers that a step wrote while the loss stayed finite, with the operator
    that wrote it. It tells a variance over one value, squares that overflow, a division by 0 and the like from a buffer that
    was loaded so or never initialised.

    Why it is bad: training goes on, as batch norm then uses the batch's own statistics; the model fails as soon as it
    is evaluated.

    How to fix: find the batch that made it (a batch of one sample, a constant or overflowing feature), and reset the
    buffer.

    When it is wrong: an attention mask of -inf is a buffer too, and is healthy; list it under `rules.allow_nonfinite`.

    References: Ioffe & Szegedy 2015, Batch normalization; PyTorch issue 1206 and anomalib issue 2965 (eval is NaN,
    training is fine).
    """

    id = "NAN103"
    name = "non-finite-buffer"
    phase = "buffer"
    advice = ("reset the buffer and look for batches of one sample or with constant features",)
    explains: ClassVar[tuple[str, ...]] = (
        *(other for other in ALL if other != "non-finite-buffer"),
        "diverged",
        "no-better-than-trivial",
    )
