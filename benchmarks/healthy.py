"""False alarms: runs that look suspicious and are healthy, over several seeds. None should be accused.

    python benchmarks/healthy.py [--seeds 10,11,12] [--only NAME,NAME] [--verbose] [--quick]

Limits were set on seeds 0-2; report on others. A run alarms when it has a finding at warning or above, or a fit status that
no healthy run has. `--quick` takes every third case under one seed and fails (exit 1) on any alarm at error level, or when
more than 1 run in 20 is accused of anything.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from zoo.healthy_factories import FACTORIES
from zoo.healthy_specs import SPECS
from zoo.healthy_unusual import UNUSUAL

from dltool.core.finding import Finding, Severity
from dltool.core.report import Report
from dltool.diagnostics.train import TrainOptions, run

HEALTHY = {"good-fit", "not-converged", "inconclusive"}
MOST_ACCUSED_RATIO = 1 / 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run was accused of; ``status`` is its fit status."""

    case: str
    seed: int
    status: str
    accusations: tuple[Finding, ...]
    report: Report

    @property
    def alarm(self) -> bool:
        """Whether anything at all is held against the run."""
        return bool(self.accusations) or self.status not in HEALTHY


def judged(case: str, seed: int) -> Outcome:
    """Train one case of the zoo."""
    with tempfile.TemporaryDirectory() as folder:
        if case in SPECS:
            target, epochs = str(Path(folder) / f"{case}.yaml"), None
            Path(target).write_text(yaml.safe_dump(SPECS[case]))
        else:
            epochs = FACTORIES.get(case) or UNUSUAL[case]
            target = f"zoo.{'healthy_factories' if case in FACTORIES else 'healthy_unusual'}:{case}"
        report = run(target, TrainOptions(seed=seed, epochs=epochs, run_dir=str(Path(folder) / "run")))
    accusations = tuple(f for f in report.findings if f.severity.rank >= Severity.WARNING.rank)
    return Outcome(case, seed, str(report.measurements["fit_status"]), accusations, report)


def show(outcome: Outcome, *, verbose: bool) -> None:
    """One row for a run that alarms, or for every run."""
    if not (outcome.alarm or verbose):
        return
    measured = outcome.report.measurements
    last, baseline = measured["history"]["epochs"][-1], measured.get("baseline")
    trivial = "none" if baseline is None else f"{baseline['train_loss']:.4g}"
    losses = f"train {last['train_loss']!s:.7} val {last['val_loss']!s:.7} trivial {trivial}"
    print(
        f"{outcome.case:28} seed {outcome.seed:<3} {outcome.status:14} {losses}  {outcome.report.run.seconds:.1f} s",
        flush=True,
    )
    for finding in outcome.report.findings if verbose else outcome.accusations:
        print(f"    {finding.severity:8} {finding.name}: {finding.message}", flush=True)


def summarise(outcomes: list[Outcome]) -> tuple[int, int]:
    """Print the table; the runs with an alarm, and those with one at error level."""
    accused = [o for o in outcomes if o.alarm]
    errors = [o for o in accused if any(f.severity is Severity.ERROR for f in o.accusations)]
    cases = len({o.case for o in outcomes})
    print(f"\nruns {len(outcomes)} of {cases} cases, with an alarm {len(accused)}, at error level {len(errors)}")
    for name, count in sorted(Counter(f.name for o in accused for f in o.accusations).items()):
        print(f"  {name:28} {count}")
    statuses = Counter(o.status for o in outcomes)
    print("fit status: " + ", ".join(f"{status} {count}" for status, count in sorted(statuses.items())))
    return len(accused), len(errors)


def outcomes_of(cases: list[str], seeds: list[int], *, verbose: bool) -> Iterator[Outcome]:
    """Run and show, case by case."""
    for case in cases:
        for seed in seeds:
            outcome = judged(case, seed)
            show(outcome, verbose=verbose)
            yield outcome


def main() -> None:
    """Run the cases and print every alarm and the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", default="10,11,12")
    parser.add_argument("--only", help="these cases, by name")
    parser.add_argument("--verbose", action="store_true", help="a row for every run, with all its findings")
    parser.add_argument("--quick", action="store_true", help="every third case under one seed; exit 1 on too many alarms")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = [*SPECS, *FACTORIES, *UNUSUAL]
    if arguments.only:
        cases = arguments.only.split(",")
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    if arguments.quick:
        cases, seeds = cases[::3], seeds[:1]
    outcomes = list(outcomes_of(cases, seeds, verbose=arguments.verbose))
    accused, errors = summarise(outcomes)
    if arguments.quick and (errors or accused > MOST_ACCUSED_RATIO * len(outcomes)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
