"""How often a hunt copies the whole state, decided from sizes and counts before the first step, never from the clock."""

from __future__ import annotations

import math

import torch

from dltool.probes.eager import eagerly
from dltool.training.forward_work import OPERATOR_FLOPS, count
from dltool.training.moment import Moment
from dltool.training.remeasuring import STEP_IN_FORWARDS
from dltool.training.walk import Walk

SHARE = 0.005
"""The part of a step that snapshots may take."""
LONGEST = 16
"""Steps between two snapshots at most: the way back to a bad step is no longer."""
BATCH_BYTES = 2**30
"""Batches since the last snapshot are kept for that way: no more than 1 GiB of them, where fewer steps can help it."""

FIXED_OPERATORS = 20.0
TENSOR_OPERATORS = 0.8
MODULE_OPERATORS = 1.6
"""Operators' worth of time (about 5 µs each) that a snapshot takes once, for every tensor, and for every module."""
BYTE_FLOPS = 3.0
"""FLOP's worth of time (0.3 ns) for every byte that is copied and looked at."""


def snapshot_every(walk: Walk, start: Moment) -> int:
    """Steps between snapshots, for a walk that stands at ``start`` and is left there. Costs one forward pass."""
    if not walk.ready():
        return LONGEST
    modules = sum(1 for _ in walk.experiment.model.modules())
    operators = FIXED_OPERATORS + TENSOR_OPERATORS * start.tensors + MODULE_OPERATORS * modules
    snapshot = operators * OPERATOR_FLOPS + start.bytes * BYTE_FLOPS
    wanted = math.ceil(snapshot / (SHARE * STEP_IN_FORWARDS * _forward_flops(walk, start)))
    affordable = max(1, BATCH_BYTES // max(1, walk.feed.largest_bytes))
    return max(1, min(wanted, LONGEST, affordable))


def _forward_flops(walk: Walk, start: Moment) -> float:
    """Work of the forward pass of the first step, with the model in the mode it trains in."""
    group = walk.feed.group(walk.step, walk.epoch, walk.position.batch)
    assert group is not None
    batches = walk.feed.placed(group.kept)

    def forward() -> int:
        with torch.no_grad():
            for batch in batches:
                walk.experiment.model(batch.input)
        return 1

    # A compiled model whose first call is watched would be run without the compiler ever after.
    try:
        with eagerly():
            work = count(forward)
    except Exception:  # noqa: BLE001 - whatever the user's model raises, it raises again in the first step
        return 1.0
    finally:
        walk.go_back(start)
    return max(1.0, len(batches) * work.flops(1, 1))  # a model that hands on its input works nothing
