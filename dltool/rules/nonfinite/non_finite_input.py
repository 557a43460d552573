"""NAN101 non-finite-input."""

from __future__ import annotations

from typing import ClassVar

from dltool.rules.nonfinite.first_event import ALL, FirstEvent


class NonFiniteInput(FirstEvent):
    """A batch was delivered with NaN or Inf in its inputs or targets.

    What it measures: every batch as the data source delivers it, inputs and targets, before the model sees it; in a
    hunt only what reaches the loss, a gradient or an update counts, so that NaN markers which the model selects away
    are innocent. It tells which of input and target is bad, how many values of what kind, in which samples, and when a
    whole sample is NaN (a constant sample scaled by its own spread) or has left the range of float16.

    Why it is bad: one bad value makes the loss, every gradient and after one step every weight NaN.

    How to fix: clean or drop the rows (`data: {exclude: bad.jsonl}`), and look at the code that makes features: a
    division by a standard deviation of zero, a logarithm of zero, a failed parse. Keep unlabelled samples out of the
    loss with a mask.

    When it is wrong: a source that pads with NaN on purpose; mask before the loss and ignore the rule with that reason.

    References: Lones 2021, How to avoid machine learning pitfalls, section 2 (understand your data); PyTorch issue
    160016.
    """

    id = "NAN101"
    name = "non-finite-input"
    phase = "input"
    advice = ("drop or repair the samples named here", "check features made by division or logarithm")
    explains: ClassVar[tuple[str, ...]] = (
        *(other for other in ALL if other != "non-finite-input"),
        "learning-rate-too-high",
        "diverged",
        "no-better-than-trivial",
    )
