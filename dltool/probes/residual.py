"""Modules that sit on a branch of a residual connection, found from what flows through the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dltool.probes.hooks import Run, visiting, watched_modules
from dltool.probes.nested import first_tensor

KNOWN = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
KNOWN_NAMES = frozenset({"Residual", "BasicBlock", "Bottleneck"})
"""Blocks of specs and of torchvision, whose shortcut may be a projection, so that y - f(x) is not x."""


class Residuals:
    """Containers whose output is their input plus what ran last in them: y = x + f(x), or relu of it (He et al. 2016)."""

    def __init__(self, model: nn.Module) -> None:
        leaves = watched_modules(model)
        self._leaves = leaves
        self._containers = {
            p: m for p, m in model.named_modules() if p not in leaves and next(m.children(), None) is not None
        }
        self._entered: list[tuple[str, Tensor | None]] = []
        self._last: Tensor | None = None
        self.paths = {
            path for path, m in self._containers.items() if isinstance(m, KNOWN) or type(m).__name__ in KNOWN_NAMES
        }

    @contextmanager
    def finding(self) -> Iterator[None]:
        """Look at the forward pass within; keeps a copy of one input for each nested container."""
        with (
            visiting(self._containers, on_input=self._enter, on_output=self._leave),
            visiting(self._leaves, on_output=self._ran),
        ):
            yield
        self._last = None

    def holds(self, path: str) -> bool:
        """Whether the module at ``path`` is inside such a container."""
        return any(path.startswith(container + ".") for container in self.paths if container)

    def _enter(self, run: Run) -> None:
        given = first_tensor(run.inputs)
        self._entered.append((run.path, None if given is None else given.detach().clone()))

    def _ran(self, run: Run) -> None:
        self._last = first_tensor(run.output)

    def _leave(self, run: Run) -> None:
        _, given = self._entered.pop()
        output = first_tensor(run.output)
        if output is None or given is None or self._last is None or not output.is_floating_point():
            return
        if output.shape == given.shape == self._last.shape and not torch.equal(output, self._last):
            total = given + self._last
            if torch.allclose(output, total) or torch.allclose(output, torch.relu(total)):
                self.paths.add(run.path)
        self._last = output
