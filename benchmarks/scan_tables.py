"""What it costs to look into large tables: `dltool.scan` against the fastest reader's full scan of the same file.

    python benchmarks/scan_tables.py              # files of about 1 GB in a temporary folder, some minutes
    python benchmarks/scan_tables.py --quick      # 20 MB
    python benchmarks/scan_tables.py --megabytes 200 --rounds 5
    python benchmarks/scan_tables.py --check      # exit 1 where a ratio or a peak is beyond its target

The rivals: polars' streaming engine with seven statistics of every column for csv and parquet; for npy a plain read of the
file into memory that is there already, which is what memory bandwidth allows. Each look is a process of its own, takes turns
with its rival, and reports the seconds of the look alone, without imports, and its peak resident memory (VmHWM), with them.
The median over the rounds is printed. Values that are planted (NaN, infinities, words, an outlier) must all be found.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SPEED_TARGETS = {"csv": 0.7, "parquet": 0.7, "npy": 0.5}
PEAK_TARGET_MB = 500
COLUMNS = 20
ROW_BYTES = {"csv": 227, "parquet": 96, "npy": 200}

LOOK = """
import json, sys, time
import numpy, polars, pyarrow, pyarrow.csv, pyarrow.parquet
kind, path = sys.argv[1:]
from importlib import import_module
inspect = getattr(import_module(f"dltool.scanning.formats.{kind}"), f"inspect_{kind}")
from dltool.scanning.source import FileSource
from dltool.scanning.settings import InspectSettings
start, spent = time.perf_counter(), time.process_time()
found = inspect(FileSource(path, path), InspectSettings(target="label"))
seconds, cpu = time.perf_counter() - start, time.process_time() - spent
told = [flaw.kind for flaw in found.flaws] + ["outlier" for column in found.table.columns for _ in column.extremes]
"""
POLARS = """
import json, sys, time
import polars as pl
kind, path = sys.argv[1:]
start, spent = time.perf_counter(), time.process_time()
frame = pl.scan_csv(path) if kind == "csv" else pl.scan_parquet(path)
wanted = []
for name, dtype in frame.collect_schema().items():
    column = pl.col(name)
    own = [column.null_count(), column.min(), column.max(), column.mean(), column.std()]
    own += [column.is_nan().sum(), column.is_infinite().sum()] if dtype.is_float() else [column.sum(), column.n_unique()][:1]
    wanted += [each.alias(f"{name}{at}") for at, each in enumerate(own)]
frame.select(wanted).collect(engine="streaming")
seconds, cpu, told = time.perf_counter() - start, time.process_time() - spent, []
"""
READ = """
import json, sys, time
kind, path = sys.argv[1:]
start, spent = time.perf_counter(), time.process_time()
block = memoryview(bytearray(1 << 22))
with open(path, "rb", buffering=0) as stream:
    while stream.readinto(block):
        pass
seconds, cpu, told = time.perf_counter() - start, time.process_time() - spent, []
"""
REPORT = """
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak, "told": sorted(told)}))
"""
EXPECTED = {
    "csv": ["inf", "missing", "nan", "outlier"],
    "parquet": ["inf", "missing", "nan", "outlier"],
    "npy": ["inf", "nan", "outlier"],
}


def write_tables(folder: Path, rows: int) -> None:
    """A csv, a parquet file of the same rows with planted values, in stretches of rows so that memory stays small."""
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    names = [*(f"f{at}" for at in range(COLUMNS)), "label", "id"]
    schema = pa.schema([(name, pa.float32() if name[0] == "f" else pa.int64()) for name in names])
    step = 250_000
    with pc.CSVWriter(folder / "t.csv", schema) as csv, pq.ParquetWriter(folder / "t.parquet", schema) as parquet:
        for first in range(0, rows, step):
            count = min(step, rows - first)
            columns = [pa.array(random.normal(size=count), pa.float32()) for _ in range(COLUMNS)]
            columns += [pa.array(random.integers(0, 10, count)), pa.array(np.arange(first, first + count))]
            if first == 0:
                for at, value in ((3, np.nan), (4, np.inf), (5, None), (6, 1e9)):
                    cells = columns[at].to_pylist()
                    cells[count // 2] = value
                    columns[at] = pa.array(cells, pa.float32())
            batch = pa.record_batch(columns, schema=schema)
            csv.write_batch(batch)
            parquet.write_batch(batch)


def write_array(folder: Path, rows: int) -> None:
    """An array of 50 columns of float32 with planted values."""
    array = np.lib.format.open_memmap(folder / "t.npy", mode="w+", dtype=np.float32, shape=(rows, 50))
    random = np.random.default_rng(1)
    for first in range(0, rows, 100_000):
        array[first : first + 100_000] = random.normal(size=array[first : first + 100_000].shape)
    array[rows // 2, 3], array[rows // 3, 4], array[rows // 4, 5] = np.nan, np.inf, 1e9
    array.flush()


def run(script: str, kind: str, path: Path) -> dict[str, object]:
    """One look in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", script + REPORT, kind, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def compare(kind: str, path: Path, rounds: int) -> tuple[float, float, list[str]]:
    """Print a line; the ratio of speeds, the peak in MB, and what was told."""
    rival = READ if kind == "npy" else POLARS
    pairs = [(run(LOOK, kind, path), run(rival, kind, path)) for _ in range(rounds)]

    def middle(side: int, key: str) -> float:
        return statistics.median(float(str(pair[side][key])) for pair in pairs)

    ratio = middle(1, "seconds") / middle(0, "seconds")
    gigabytes = path.stat().st_size / 1e9
    speed = gigabytes / middle(0, "seconds")
    print(
        f"{kind:8} {gigabytes * 1000:6.0f} MB   dltool {middle(0, 'seconds'):6.2f} s ({speed:5.2f} GB/s, "
        f"{middle(0, 'cpu'):5.2f} CPU s, peak {middle(0, 'peak_mb'):4.0f} MB)   "
        f"{'read' if kind == 'npy' else 'polars'} {middle(1, 'seconds'):6.2f} s ({middle(1, 'cpu'):5.2f} CPU s, "
        f"peak {middle(1, 'peak_mb'):4.0f} MB)   ratio {ratio:.2f} (CPU {middle(1, 'cpu') / middle(0, 'cpu'):.2f})",
        flush=True,
    )
    return ratio, middle(0, "peak_mb"), list(pairs[0][0]["told"])  # type: ignore[call-overload]


def main() -> None:
    """Write the files, compare, and judge where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 MB")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    size_bytes = (20 if arguments.quick else arguments.megabytes) * 1_000_000
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder, size_bytes // ROW_BYTES["csv"])
        write_array(folder, size_bytes // ROW_BYTES["npy"])
        for kind in ("csv", "parquet", "npy"):
            ratio, peak_mb, told = compare(kind, folder / f"t.{kind}", arguments.rounds)
            if told != EXPECTED[kind]:
                print(f"         told {told} instead of {EXPECTED[kind]}")
                failed = True
            failed |= ratio < SPEED_TARGETS[kind] or peak_mb > PEAK_TARGET_MB
    if arguments.check and failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
