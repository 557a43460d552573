"""Advice on the batch size: what the field starts with, not a fault of the run."""

from __future__ import annotations

from dltool.core.measured.task import Task

FULL_BATCH_MOST = 2000
"""Samples up to which batch gradient descent is sensible (Ng, Deep Learning Specialization, course 2, week 2)."""
SMALLEST_START, LARGEST_START = 64, 512
"""Usual first mini-batch sizes, powers of two (ibid.; Goodfellow, Bengio & Courville 2016, section 8.1.3: 32 to 256)."""


def batch_size_advice(task: Task) -> tuple[str, ...]:
    """Sentences on the batch size of a run; none when it is within what the field starts with, or not known."""
    size, samples = task.batch_size, task.train_samples
    if size is None or samples is None:
        return ()
    if task.full_batch or size >= samples:
        if samples <= FULL_BATCH_MOST:
            return ()
        start = f"start with a power of two from {SMALLEST_START} to {LARGEST_START}"
        return (f"every step uses all {samples} samples: above about {FULL_BATCH_MOST} mini-batches learn faster; {start}",)
    if size == 1:
        return (f"one sample a step is noisy and slow: {_suggested(samples)} a step use the machine better",)
    advice = []
    if samples > FULL_BATCH_MOST and not SMALLEST_START <= size <= LARGEST_START:
        advice.append(
            f"a batch size of {size} is unusual to start with: try a power of two from {SMALLEST_START} to {LARGEST_START}"
        )
    elif size & (size - 1):
        advice.append(f"a batch size of {size} is no power of two: {_nearest_power(size)} may run faster")
    return tuple(advice)


def _nearest_power(size: int) -> int:
    below = 1 << (size.bit_length() - 1)
    return below if size - below <= 2 * below - size else 2 * below


def _suggested(samples: int) -> int:
    return min(SMALLEST_START, max(2, _nearest_power(max(2, samples // 10))))
