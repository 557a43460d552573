"""NAN102 non-finite-parameter."""

from __future__ import annotations

from typing import ClassVar

from dltool.rules.nonfinite.first_event import ALL, FirstEvent


class NonFiniteParameter(FirstEvent):
    """A weight was not finite before the step used it.

    What it measures: parameters before the step, at the first step where they reach the loss, a gradient or an update.
    Nothing in this run made them so: they were loaded or left uninitialised. It tells the two apart where the numbers do:
    NaN or Inf beside values of 1e10 and more (or below 1e-30) is memory that nobody wrote.

    Why it is bad: everything computed from the weight is NaN.

    How to fix: load an intact checkpoint (`model: {pretrained: {weights: ...}}`); give every parameter made with
    `torch.empty` an initialisation.

    When it is wrong: a deliberate -inf in a buffer-like parameter (an attention mask); list it under
    `rules.allow_nonfinite`.

    References: PyTorch documentation, "torch.empty"; anomalib issue 2965 (NaN in a released checkpoint).
    """

    id = "NAN102"
    name = "non-finite-parameter"
    phase = "parameter"
    advice = ("check the checkpoint that it came from", "initialise parameters that were made with torch.empty")
    explains: ClassVar[tuple[str, ...]] = (
        *(other for other in ALL if other != "non-finite-parameter"),
        "learning-rate-too-high",
        "diverged",
        "no-better-than-trivial",
    )
