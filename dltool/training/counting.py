"""How much one batch weighs among several: by its samples, or by the tokens or class weights that its loss averages over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dltool.training.experiment import Batch, CountsTerms, Criterion
from dltool.training.placement import samples_in


def term_counts(criterion: Criterion, batch: Batch) -> Mapping[str, float | None]:
    """By term, what its mean over ``batch`` divides by; None for a sum. Samples, where the criterion does not say."""
    if isinstance(criterion, CountsTerms):
        return criterion.term_counts(batch.target)
    samples = float(samples_in(batch.target))
    return dict.fromkeys(criterion.terms, samples)


def batch_weight(criterion: Criterion, batch: Batch) -> float:
    """The weight of this batch's loss in the mean over a split; 0 when everything in it is ignored.

    Terms that count differently (tokens here, samples there) have no common weight: samples then stand for all.
    """
    counts = set(term_counts(criterion, batch).values())
    count = counts.pop() if len(counts) == 1 else None
    return float(samples_in(batch.target)) if count is None else count


def adds_up(criterion: Criterion, batch: Batch) -> bool:
    """Whether every term is a sum, so that the loss grows with the batch."""
    return all(count is None for count in term_counts(criterion, batch).values())


def shares(criterion: Criterion, batches: Sequence[Batch]) -> list[dict[str, float]]:
    """For each of several batches, by term: the factor that makes their losses add up to that of one big batch.

    The big batch's mean divides by all counts together, so a batch's own mean enters with its part of them; averaging the
    means instead is right only when the counts are equal (huggingface/transformers#34191). Terms of which a batch has
    nothing (all padding) are left out: their mean over nothing is NaN.
    """
    counts = [term_counts(criterion, batch) for batch in batches]
    totals = {term: sum(count[term] or 0.0 for count in counts) for term in criterion.terms}
    return [
        {
            term: 1.0 if count is None else count / totals[term]
            for term, count in of_batch.items()
            if count is None or count > 0
        }
        for of_batch in counts
    ]
