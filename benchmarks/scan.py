"""What a scan of pictures costs: each tier of `dltool scan` beside reading, Pillow and cleanvision, and the whole command.

    python benchmarks/scan.py                       # 5,000 files, some minutes
    python benchmarks/scan.py --quick               # 200 files and two workers, some 20 s, for CI
    python benchmarks/scan.py --check               # exit 1 where a look is slower than its target
    python benchmarks/scan.py --folder DIR          # keep the files there, or use those of an earlier run
    python benchmarks/scan.py --cleanvision PYTHON  # an interpreter that has cleanvision 0.3.7; without it, it is left out

The files are those of `damage.py`: 224 pixels, four JPEG to a PNG, nothing wrong with them, read from the page cache. Looks
take turns on blocks of 50 files in one process, so that whatever else the machine does slows all alike; the order changes
from block to block. All of them, Pillow's too, have a worker's environment, in which memory is kept between files. A round
is a pass over all blocks; the median over the rounds is printed. Two processes do half of the files each at the same time,
and their rates by wall clock are added. The commands are whole: start, walk, workers, ledger, report; their CPU seconds are
those of all processes. What each tier finds is in results/scan_recall.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from damage import write_clean
from PIL import Image

from dltool.scanning.inspect import inspect
from dltool.scanning.process import ENVIRONMENT
from dltool.scanning.record import Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import FileSource

BLOCK_FILES = 50
BASELINE = "Pillow load"
TARGETS = {"dltool normal": 1.5, "dltool quick": 7.5}
"""Times Pillow's load: 3,000 and 15,000 files a second where that does 2,000."""

PEER = """
import sys, time
from cleanvision import Imagelab
start = time.perf_counter()
Imagelab(data_path=sys.argv[1]).find_issues(n_jobs=int(sys.argv[2]), verbose=False)
"""


def read(path: str) -> None:
    """All bytes of a file."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - the cheapest way is the floor
        file.read()


def verify(path: str) -> None:
    """Pillow's check of the header, and of the checksums of a PNG."""
    with Image.open(path) as image:
        image.verify()


def load(path: str) -> None:
    """Pillow's decoding, in full and nothing else."""
    with Image.open(path) as image:
        image.load()


def look(tier: Tier) -> Callable[[str], None]:
    """All that a worker does with a file at this tier."""
    settings = InspectSettings(tier=tier)
    return lambda path: void(inspect(FileSource(path, path), settings))


def void(_: object) -> None:
    """Throw a result away."""


LOOKS: dict[str, Callable[[str], None]] = {
    "read": read,
    "Pillow verify": verify,
    BASELINE: load,
    **{f"dltool {tier}": look(tier) for tier in Tier},
}
Seconds = dict[str, list[tuple[float, float]]]
"""CPU and wall seconds of each round."""


def take_turns(paths: list[str], rounds: int) -> Seconds:
    """Every look at every file, in turns; the first block once before the clock runs."""
    names = list(LOOKS)
    for name in names:
        for path in paths[:BLOCK_FILES]:
            LOOKS[name](path)
    found: Seconds = {name: [] for name in names}
    for turn in range(rounds):
        spent = {name: [0.0, 0.0] for name in names}
        for start in range(0, len(paths), BLOCK_FILES):
            shift = (turn + start // BLOCK_FILES) % len(names)
            for name in names[shift:] + names[:shift]:
                run, block = LOOKS[name], paths[start : start + BLOCK_FILES]
                cpu_s, wall_s = time.process_time(), time.perf_counter()
                for path in block:
                    run(path)
                spent[name][0] += time.process_time() - cpu_s
                spent[name][1] += time.perf_counter() - wall_s
        for name, (cpu_s, wall_s) in spent.items():
            found[name].append((cpu_s, wall_s))
    return found


def in_processes(paths: list[str], rounds: int, processes: int) -> list[tuple[int, Seconds]]:
    """``take_turns`` in fresh processes with the environment of a worker, each with its share of the files."""
    shares = [paths[number::processes] for number in range(processes)]
    command = [sys.executable, __file__, "--child", str(rounds)]
    running = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**ENVIRONMENT, **os.environ}, text=True
        )
        for _ in shares
    ]
    for process, share in zip(running, shares, strict=True):
        assert process.stdin is not None
        process.stdin.write(json.dumps(share))
        process.stdin.close()
    results = []
    for process, share in zip(running, shares, strict=True):
        assert process.stdout is not None
        results.append((len(share), json.loads(process.stdout.read())))
        if process.wait():
            raise RuntimeError("a process ended early")
    return results


def looks(paths: list[str], rounds: int) -> dict[str, float]:
    """Print the table of looks; files a CPU second of each, over those of Pillow's load."""
    [(count, alone)] = in_processes(paths, rounds, 1)
    two = in_processes(paths, rounds, 2)
    cpu = {name: statistics.median(count / cpu_s for cpu_s, _ in spent) for name, spent in alone.items()}
    ratios = {
        name: statistics.median(base[0] / mine[0] for base, mine in zip(alone[BASELINE], spent, strict=True))
        for name, spent in alone.items()
    }
    print(f"{'look':16}{'files/CPU s':>13}{'x Pillow load':>15}{'files/s':>11}{'two processes':>15}")
    for name, spent in alone.items():
        wall = statistics.median(count / wall_s for _, wall_s in spent)
        both = sum(statistics.median(files / wall_s for _, wall_s in each[name]) for files, each in two)
        print(f"{name:16}{cpu[name]:>13,.0f}{ratios[name]:>15.2f}{wall:>11,.0f}{both:>15,.0f}", flush=True)
    return ratios


def commands(folder: Path, count: int, rounds: int, workers_tried: tuple[int, ...], peer: str | None) -> None:
    """Print what whole commands take: without anything kept from before, and with all of it."""
    scan = [sys.executable, "-m", "dltool", "scan", str(folder), "--fail-on", "never"]
    spent: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for workers in workers_tried:
            with tempfile.TemporaryDirectory() as cache:
                environment = {**os.environ, "XDG_CACHE_HOME": cache}
                for state in ("nothing known", "nothing changed"):
                    taken = timed([*scan, "--workers", str(workers)], environment)
                    spent.setdefault(f"dltool scan, {workers} worker{'s' * (workers > 1)}, {state}", []).append(taken)
            with tempfile.TemporaryDirectory() as cache:
                taken = timed([*scan, "--quick", "--workers", str(workers)], {**os.environ, "XDG_CACHE_HOME": cache})
                spent.setdefault(f"dltool scan --quick, {workers} worker{'s' * (workers > 1)}", []).append(taken)
        if peer:
            spent.setdefault("cleanvision, n_jobs=1", []).append(
                timed([peer, "-c", PEER, str(folder), "1"], dict(os.environ))
            )
    print(f"\n{'command':42}{'wall s':>9}{'CPU s':>9}{'files/s':>10}")
    for name, each in spent.items():
        wall_s, cpu_s = (statistics.median(column) for column in zip(*each, strict=True))
        print(f"{name:42}{wall_s:>9.2f}{cpu_s:>9.2f}{count / wall_s:>10,.0f}", flush=True)


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command and all of its processes."""
    before, start_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start_s, cpu_s


def main() -> int:
    """Write the files, print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--cleanvision", metavar="PYTHON")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        json.dump(take_turns(json.load(sys.stdin), arguments.child), sys.stdout)
        return 0
    files, rounds = (200, 2) if arguments.quick else (arguments.files, arguments.rounds)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)) / "clean"
        if len(list(folder.glob("*.*"))) != files:
            write_clean(folder, files, 0)
        paths = sorted(str(path) for path in folder.iterdir())
        megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        print(f"{files:,} files, {megabytes:.1f} MB; load {os.getloadavg()[0]:.1f} before\n")
        ratios = looks(paths, rounds)
        commands(folder, files, 1 if arguments.quick else rounds, (2,) if arguments.quick else (1, 2), arguments.cleanvision)
        print(f"\nload {os.getloadavg()[0]:.1f} after")
    slow = [
        f"{name}: {ratios[name]:.2f} x Pillow load, below {least}" for name, least in TARGETS.items() if ratios[name] < least
    ]
    print("\n".join(slow))
    return 1 if slow and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
