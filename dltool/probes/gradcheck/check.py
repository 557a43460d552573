"""Autograd's gradients at one point against differences of the loss: projections first, then elements where they fail."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from dltool.core.measured.gradcheck import FINE, CheckedPoint, Culprit, GradientRecord
from dltool.probes.gradcheck.blame import culprits
from dltool.probes.gradcheck.compare import with_error, within_sides
from dltool.probes.gradcheck.elements import StoppedError, Tick, check_elements, chosen
from dltool.probes.gradcheck.evaluators import Ways
from dltool.probes.gradcheck.point import Point
from dltool.probes.gradcheck.projections import PROJECTIONS, Projection, project, projected_record, size_of
from dltool.probes.gradcheck.replay import record_values
from dltool.probes.nested import tensors
from dltool.probes.numeric_gradient import noise_of

REPEATS = 3
UNSTEADY = 1e-9
"""Relative difference between repeats above which a loss is not deterministic; the order of threads' sums stays below it."""
NOISE_POINTS = 8
NOISE_SPACING = 1e-10
JITTER = 1e-3
"""How far, relative to its size, everything is moved to see whether a disagreement is one of the point alone."""
JITTERED = 2
NEGLIGIBLE = 1e-5
"""Share of the largest gradient's norm below which a gradient (of a bias before batch norm) is rounding."""


@dataclass(slots=True)
class PointChecked:
    """What was found at one point."""

    point: CheckedPoint
    records: dict[str, GradientRecord]
    culprits: tuple[Culprit, ...]
    complete: bool = True


@dataclass(slots=True)
class Check:
    """One check of one point: its parts share the loss there, its rounding error and the gradients."""

    point: Point
    seed: int
    tick: Tick
    base: float = math.nan
    noise: float = math.nan
    repeat_difference: float = 0.0
    gradients: dict[str, Tensor | None] = field(default_factory=dict)
    records: dict[str, GradientRecord] = field(default_factory=dict)
    misses: list[float] = field(default_factory=list)
    ways: Ways | None = None

    def run(self, groups: Sequence[Sequence[str]] | None, after_steps: int = 0) -> PointChecked:
        """Check every leaf: all elements where ``groups`` is None, else by joint projections of the leaves of each group."""
        self._measure_base()
        unsteady = self.repeat_difference > UNSTEADY * max(abs(self.base), 1e-6)
        complete = True
        found: tuple[Culprit, ...] = ()
        if not unsteady and math.isfinite(self.base):
            try:
                self._compare(groups)
            except StoppedError:
                complete = False
            wrong = [name for name, record in self.records.items() if not record.relative_error <= FINE]
            found = culprits(self.point, wrong) if wrong else ()
        told = CheckedPoint(
            after_steps=after_steps,
            loss=self.base + self.point.penalty(),
            noise=self.noise,
            repeat_difference=self.repeat_difference,
            deterministic=not unsteady,
            evaluations=self.point.evaluations,
            projections=PROJECTIONS if groups is not None else 0,
            miss_probability=max(self.misses, default=None) if groups is not None else None,
            relative_errors={name: record.relative_error for name, record in self.records.items()},
            unsteady_module=self._unsteady_module() if unsteady else None,
        )
        return PointChecked(told, self.records, found, complete)

    def _compare(self, groups: Sequence[Sequence[str]] | None) -> None:
        self.gradients = self.point.gradients()
        if groups is None:
            for name in self.point.leaves:
                self.records[name] = self._elements(name, every=True)
        else:
            for name in self._failing(groups):
                projected = self.records[name]
                record = self._elements(name, every=False)
                # A disagreement that the sample of elements does not hold is somewhere in the rest
                missed = record.relative_error <= FINE < projected.relative_error and record.compared < record.elements
                self.records[name] = with_error(record, projected.relative_error) if missed and not record.kinks else record
                self._go_on(1)
        self._try_nearby([n for n, r in self.records.items() if not r.relative_error <= FINE or not within_sides(r)])

    def _measure_base(self) -> None:
        losses = torch.stack([self.point.loss() for _ in range(REPEATS)])
        self.base, self.repeat_difference = float(losses[0]), float((losses - losses[0]).abs().max())
        generator = torch.Generator().manual_seed(self.seed)
        leaves = self.point.leaves
        direction = {
            n: NOISE_SPACING
            * size_of(leaf)
            * torch.randn(leaf.shape, dtype=torch.float64, generator=generator).to(leaf.device)
            for n, leaf in leaves.items()
        }
        near = [self.point.loss_at({n: k * u for n, u in direction.items()}) for k in range(NOISE_POINTS)]
        self.noise = max(noise_of(torch.stack(near)), self.repeat_difference) if math.isfinite(self.base) else math.nan

    def _failing(self, groups: Iterable[Sequence[str]]) -> list[str]:
        """Leaves whose projections disagree; those of a group that fails are projected alone."""
        failing = []
        for group in groups:
            projection = self._project(group)
            if projection.passed:
                self._settle(group, projection)
                continue
            for name in group:
                alone = projection if len(group) == 1 else self._project([name])
                self._settle([name], alone)
                if not alone.passed:
                    failing.append(name)
        return failing

    def _settle(self, names: Sequence[str], projection: Projection) -> None:
        for name in names:
            self.records[name] = projected_record(name, self.point.leaves[name], self.gradients[name], projection)
            if projection.passed:
                self.misses.append(projection.miss_probability(name))
                self._go_on(1)

    def _go_on(self, done: int) -> None:
        if not self.tick(done):
            raise StoppedError

    def _project(self, names: Sequence[str], seed: int = 0) -> Projection:
        return project(self.point, names, self.gradients, base=self.base, noise=self.noise, seed=self.seed + seed)

    def _elements(self, name: str, *, every: bool) -> GradientRecord:
        leaf, analytic = self.point.leaves[name].detach(), self.gradients[name]
        if self.ways is None:
            self.ways = Ways(self.point)
        evaluator = self.ways[name]
        everything = torch.arange(leaf.numel(), device=leaf.device)
        return check_elements(
            self.point,
            name,
            analytic,
            evaluator,
            everything if every else chosen(analytic, leaf, evaluator, self.seed),
            base=self.base,
            noise=self.noise,
            tick=self.tick if every else lambda _: self.tick(0),
        )

    def _try_nearby(self, names: Sequence[str]) -> None:
        """A disagreement that is gone at every point nearby is one of a point without a derivative, not of the backward."""
        if not names:
            return
        there: dict[str, list[float]] = {name: [] for name in names}
        for trial in range(1, JITTERED + 1):
            with self._nearby(trial) as check:
                for name in names:
                    projection = check._project([name], seed=trial)  # noqa: SLF001 - a check of the same kind
                    there[name].append(
                        math.nan
                        if bool(projection.slopes.kink.any())
                        else projected_record(
                            name, self.point.leaves[name], check.gradients[name], projection
                        ).relative_error
                    )
        for name, errors in there.items():
            record = self.records[name]
            if all(error <= FINE for error in errors):
                if record.relative_error > FINE:
                    self.records[name] = replace(with_error(record, max(errors)), only_at_point=True)
            elif record.relative_error <= FINE and not any(math.isnan(error) for error in errors):
                self.records[name] = with_error(record, min(errors))

    @contextmanager
    def _nearby(self, trial: int) -> Iterator[Check]:
        generator = torch.Generator().manual_seed(self.seed + trial)
        offsets = {
            name: JITTER * size_of(leaf) * torch.randn(leaf.shape, dtype=torch.float64, generator=generator).to(leaf.device)
            for name, leaf in self.point.leaves.items()
        }
        with self.point.moved(offsets):
            yield Check(
                self.point,
                self.seed,
                self.tick,
                base=float(self.point.loss()),
                noise=self.noise,
                gradients=self.point.gradients(),
            )

    def _unsteady_module(self) -> str | None:
        first, second = record_values(self.point), record_values(self.point)
        pairs = zip(sorted(first.calls, key=lambda c: c.end), sorted(second.calls, key=lambda c: c.end), strict=False)
        return next((a.path for a, b in pairs if a.path != b.path or not _equal(a.output, b.output)), None)


def _equal(left: object, right: object) -> bool:
    pairs = zip(tensors(left), tensors(right), strict=False)
    return all(a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)


def check_point(
    point: Point,
    *,
    seed: int,
    groups: Sequence[Sequence[str]] | None,
    after_steps: int = 0,
    tick: Tick = lambda _: True,
    ways: Ways | None = None,
) -> PointChecked:
    """Check every leaf of ``point``.

    Args:
        point: the loss and where it is looked at.
        seed: of the random directions.
        groups: leaves to project together, or None to compare every element of every leaf.
        after_steps: steps of training that led to the point.
        tick: told of progress, by leaf, or with ``groups`` None by element.
        ways: of evaluating, where they were looked for already.
    """
    return Check(point, seed, tick, ways=ways).run(groups, after_steps)


def precision_errors(own: Mapping[str, Tensor | None], double: Mapping[str, Tensor | None]) -> dict[str, float]:
    """Relative error of each gradient computed in another precision; none for gradients that are rounding themselves."""
    pairs = {name: (own.get(name), exact) for name, exact in double.items() if exact is not None}
    norms = {
        name: (float((a - n).norm()), float(a.norm()), float(n.norm())) for name, (a, n) in pairs.items() if a is not None
    }
    largest = max((norm for _, _, norm in norms.values()), default=0.0)
    return {name: apart / (a + n) for name, (apart, a, n) in norms.items() if n > NEGLIGIBLE * largest}
