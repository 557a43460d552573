"""Modules that sit on a branch of a residual connection, found from what flows through the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dltool.probes.hooks import Run, visiting, watched_modules
from dltool.probes.nested import first_tensor
from dltool.probes.parameters import sample

KNOWN = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
KNOWN_NAMES = frozenset({"Residual", "BasicBlock", "Bottleneck"})
"""Blocks of specs and of torchvision, whose shortcut may be a projection, so that y - f(x) is not x."""


MOST_BRANCHES = 16
"""Children of one container among which branches are looked for."""

WHOLE_TOLERANCE = 1e-2
"""How near to 0 or 1 a child's part in the sum must be, and how small the rest, relative to the sum."""


@dataclass(slots=True)
class _Frame:
    path: str
    given: Tensor | None
    branches: list[Tensor] = field(default_factory=list)
    """Samples of what its direct children returned in the shape of its input."""


class Residuals:
    """Containers whose output is their input plus what ran last in them: y = x + f(x), or relu of it (He et al. 2016).

    Or plus several of their direct children, as in a pre-norm transformer block, x + attention(norm(x)) + mlp(norm(...)).
    """

    def __init__(self, model: nn.Module) -> None:
        leaves = watched_modules(model)
        self._leaves = leaves
        self._containers = {
            p: m for p, m in model.named_modules() if p not in leaves and next(m.children(), None) is not None
        }
        self._entered: list[_Frame] = []
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
        self._entered.append(_Frame(run.path, None if given is None else given.detach().clone()))

    def _ran(self, run: Run) -> None:
        self._last = first_tensor(run.output)
        self._offer(self._last)

    def _leave(self, run: Run) -> None:
        frame = self._entered.pop()
        given, output = frame.given, first_tensor(run.output)
        if output is None:
            return
        if given is not None and self._last is not None and output.is_floating_point():
            if output.shape == given.shape == self._last.shape and not torch.equal(output, self._last):
                total = given + self._last
                if torch.allclose(output, total) or torch.allclose(output, torch.relu(total)):
                    self.paths.add(run.path)
            if output.shape == given.shape and _is_sum(sample(output - given), frame.branches):
                self.paths.add(run.path)
            self._last = output
        self._offer(output)

    def _offer(self, output: Tensor | None) -> None:
        """Show a child's output to the container that it ran in."""
        frame = self._entered[-1] if self._entered else None
        if output is None or frame is None or frame.given is None or len(frame.branches) >= MOST_BRANCHES:
            return
        if output.shape == frame.given.shape and output.is_floating_point():
            branch = sample(output)
            if not any(torch.equal(branch, known) for known in frame.branches):  # dropout that is off returns its input
                frame.branches.append(branch)


def _is_sum(change: Tensor, branches: list[Tensor]) -> bool:
    """Whether ``change`` is the sum of two or more of ``branches`` (what one branch adds is seen without this)."""
    if len(branches) < 2 or len(change) <= 4 * len(branches) or not bool(change.isfinite().all()):
        return False
    columns = torch.stack(branches, 1).double()
    size = torch.linalg.vector_norm(change.double())
    if not float(size) > 0.0 or not bool(columns.isfinite().all()):
        return False
    parts = torch.linalg.lstsq(columns.cpu(), change.double().cpu().unsqueeze(1), driver="gelsd").solution.squeeze(1)
    chosen = parts.round()
    if not bool(((parts - chosen).abs() < WHOLE_TOLERANCE).all()) or not bool(((chosen == 0) | (chosen == 1)).all()):
        return False
    rest = torch.linalg.vector_norm(change.double().cpu() - columns.cpu() @ chosen)
    return int(chosen.sum()) > 1 and float(rest) < WHOLE_TOLERANCE * float(size)
