from dataclasses import replace

import pytest
from rule_sections import TASK

from dltool.rules.batch_size import batch_size_advice


@pytest.mark.parametrize(
    ("size", "samples", "full", "word"),
    [
        (150, 150, True, None),
        (2000, 2000, True, None),
        (2001, 2001, True, "mini-batches"),
        (50_000, 50_000, True, "64 to 512"),
        (64, 50_000, False, None),
        (512, 50_000, False, None),
        (32, 1500, False, None),
        (8, 50_000, False, "unusual"),
        (4096, 50_000, False, "unusual"),
        (100, 50_000, False, "128"),
        (50, 1000, False, "64"),
        (1, 1000, False, "64"),
        (1, 3, False, "2"),
        (None, 1000, False, None),
        (64, None, False, None),
        (1000, 900, False, None),
    ],
)
def test_advice(size, samples, full, word):
    sentences = batch_size_advice(replace(TASK, batch_size=size, train_samples=samples, full_batch=full))
    assert len(sentences) == (word is not None)
    assert word is None or word in sentences[0]
