"""How much of the damage to pictures each tier of `dltool scan` finds, beside Pillow, and whether it accuses clean ones.

    python benchmarks/scan_recall.py [--clean 1000] [--each 10] [--seed 0] [--folder DIR]

Found is a file with a flaw at warning or above. The last line is the speed over the clean files in one process, page
cache warm, all in turn, by CPU time. It counts what a look costs: no walk of folders, no processes, no report.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from damage import KINDS, write_clean, write_damaged
from PIL import Image

from dltool.core.finding import Severity
from dltool.scanning.inspect import inspect
from dltool.scanning.record import Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import FileSource

Checker = Callable[[Path], bool]


def pillow_verify(path: Path) -> bool:
    """Whether Pillow's ``verify()`` refuses a file."""
    try:
        with Image.open(path) as image:
            image.verify()
    except Exception:  # noqa: BLE001
        return True
    return False


def pillow_load(path: Path) -> bool:
    """Whether Pillow cannot decode a file in full."""
    try:
        with Image.open(path) as image:
            image.load()
    except Exception:  # noqa: BLE001
        return True
    return False


def dltool(tier: Tier) -> Checker:
    """Whether a look at this tier finds something at warning or above."""
    settings = InspectSettings(tier=tier)

    def accuses(path: Path) -> bool:
        found = inspect(FileSource(str(path), path.name), settings)
        return any(flaw.severity.rank >= Severity.WARNING.rank for flaw in found.flaws)

    return accuses


CHECKERS: dict[str, Checker] = {
    "Pillow verify": pillow_verify,
    "Pillow load": pillow_load,
    **{f"dltool {tier}": dltool(tier) for tier in Tier},
}


def recall(damaged: dict[str, list[Path]]) -> None:
    """Print how many of each kind each checker finds."""
    print(f"{'damage':34}" + "".join(f"{name:>15}" for name in CHECKERS))
    totals: dict[bool, dict[str, int]] = {True: dict.fromkeys(CHECKERS, 0), False: dict.fromkeys(CHECKERS, 0)}
    counts = {True: 0, False: 0}
    for kind in KINDS:
        paths = damaged[kind.name]
        counts[kind.revealed] += len(paths)
        row = f"{kind.name + ('' if kind.revealed else ' *'):34}"
        for name, check in CHECKERS.items():
            found = sum(check(path) for path in paths)
            totals[kind.revealed][name] += found
            row += f"{found or '-':>15}"
        print(row, flush=True)
    for revealed, title in ((True, "all that the format reveals"), (False, "* what it may or may not reveal")):
        shares = (f"{100 * totals[revealed][name] / counts[revealed]:>14.1f}%" for name in CHECKERS)
        print(f"{title:34}" + "".join(shares) + f"   of {counts[revealed]}")


def clean(paths: list[Path], rounds: int) -> None:
    """Print false alarms and speed."""
    alarms = {name: sum(check(path) for path in paths) for name, check in CHECKERS.items()}
    rates: dict[str, list[float]] = {name: [] for name in CHECKERS}
    for _ in range(rounds):
        for name, check in CHECKERS.items():
            start = time.process_time()
            for path in paths:
                check(path)
            rates[name].append(len(paths) / (time.process_time() - start))
    print(f"{f'alarms on {len(paths)} clean files':34}" + "".join(f"{count or '-':>15}" for count in alarms.values()))
    print(f"{'files per CPU second':34}" + "".join(f"{statistics.median(found):>15,.0f}" for found in rates.values()))


def main() -> None:
    """Write both sets, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--clean", type=int, default=1000)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to keep the files; a temporary folder without it")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        damaged = write_damaged(folder / "damaged", arguments.each, arguments.seed)
        paths = write_clean(folder / "clean", arguments.clean, arguments.seed)
        recall(damaged)
        clean(paths, arguments.rounds)


if __name__ == "__main__":
    main()
