"""Whether the diseased samples are named and the healthy ones left alone, over several seeds.

    python benchmarks/samples.py [--seeds 0,1,2] [--quick]

Prints a row for each sample: in how many seeds the expected finding was there, in how many it came first, and every
finding at warning or above that a healthy sample gave (a false alarm).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from dltool.core.finding import Severity
from dltool.diagnostics.train import TrainOptions, run

SAMPLES = Path(__file__).parents[1] / "sample_configs"


def expected(path: Path) -> list[str]:
    """The findings that a sample's header names; empty for a healthy one."""
    line = next(line for line in path.read_text().splitlines() if line.startswith("# Expect: "))
    return [] if "no finding" in line else [name.strip() for name in line.removeprefix("# Expect: ").split(",")]


def names_found(path: Path, seed: int) -> list[str]:
    """Names of the findings at warning or above, root cause first."""
    with tempfile.TemporaryDirectory() as folder:
        report = run(str(path), TrainOptions(seed=seed, run_dir=str(Path(folder) / "run")))
    names = [f.name for f in report.findings if f.severity.rank >= Severity.WARNING.rank]
    return names or [f"({report.measurements['fit_status']})"]


def main() -> None:
    """Run every sample under every seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--quick", action="store_true", help="one seed only")
    arguments = parser.parse_args()
    seeds = [0] if arguments.quick else [int(seed) for seed in arguments.seeds.split(",")]
    torch.set_num_threads(1)
    named = first = cases = alarms = runs = 0
    for path in sorted(SAMPLES.glob("*/*.yaml")):
        wanted = expected(path)
        found = [names_found(path, seed) for seed in seeds]
        row = f"{path.parent.name + '/' + path.stem:38}"
        if wanted:
            hits = sum(set(wanted) <= set(names) for names in found)
            tops = sum(names[0] == wanted[0] for names in found)
            named, first, cases = named + hits, first + tops, cases + len(seeds)
            print(f"{row} {', '.join(wanted):42} named {hits}/{len(seeds)}  first {tops}/{len(seeds)}", flush=True)
        else:
            false = [name for names in found for name in names if not name.startswith("(")]
            alarms, runs = alarms + sum(not names[0].startswith("(") for names in found), runs + len(seeds)
            status = ", ".join(sorted({name for names in found for name in names if name.startswith("(")}))
            print(f"{row} {'healthy':42} {'false alarms: ' + ', '.join(false) if false else status}", flush=True)
    print(f"\nbroken: cause named {named}/{cases}, named first {first}/{cases}; healthy runs with an alarm {alarms}/{runs}")


if __name__ == "__main__":
    main()
