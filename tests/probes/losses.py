"""A loss as probes want it, from a functional of torch."""

from __future__ import annotations

import torch.nn.functional as F


class FunctionalLoss:
    """``weights`` are of the terms; more than one term is more than one function."""

    def __init__(self, function=F.cross_entropy, name="cross_entropy", **terms) -> None:
        self.name = name
        self.functions = terms or {name: function}
        self.terms = dict.fromkeys(self.functions, 1.0)

    def __call__(self, output, target):
        return sum(self.term_values(output, target).values())

    def term_values(self, output, target):
        return {name: function(output, target) for name, function in self.functions.items()}

    def per_sample(self, output, target):
        if len(self.functions) > 1:
            return None
        losses = next(iter(self.functions.values()))(output, target, reduction="none")
        return losses.reshape(len(losses), -1).mean(1)
