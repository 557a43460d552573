"""NAN105 non-finite-loss."""

from __future__ import annotations

from typing import ClassVar

from dltool.rules.nonfinite.first_event import ALL, FirstEvent


class NonFiniteLoss(FirstEvent):
    """The loss, or one of its terms, is NaN or Inf although the model's output is finite.

    What it measures: the loss and each named term, after a forward pass whose output was finite. It tells what
    non-finite-forward tells of the operators in the loss, and besides: every target is the ignored one, the class weights of
    the batch add up to 0, a term averages over an empty selection, CTC finds no alignment, a masked class is the target.

    Why it is bad: no gradient can be taken from it.

    How to fix: use the loss that takes logits (cross_entropy, bce_with_logits) instead of a logarithm of probabilities;
    check that targets lie in the loss's domain; do not average over an empty selection.

    When it is wrong: never: a loss that is not finite cannot be trained on.

    References: PyTorch documentation, "BCEWithLogitsLoss" (numerical stability); Blanchard, Higham & Higham 2021,
    log-sum-exp.
    """

    id = "NAN105"
    name = "non-finite-loss"
    phase = "loss"
    advice = (
        "use the loss that takes logits",
        "check that the targets lie in the loss's domain and that no mean runs over nothing",
    )
    explains: ClassVar[tuple[str, ...]] = (
        *(other for other in ALL if other != "non-finite-loss"),
        "learning-rate-too-high",
        "diverged",
        "no-better-than-trivial",
    )
