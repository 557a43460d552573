"""What it costs to look into large tables: `dltool scan`'s look against the fastest readers' full scans of the same file.

    python benchmarks/scan_tables.py                   # files of about 200 MB in a temporary folder, some minutes
    python benchmarks/scan_tables.py --size-mb 1000
    python benchmarks/scan_tables.py --quick           # 20 MB
    python benchmarks/scan_tables.py --shapes          # memory alone, of files of strange shapes
    python benchmarks/scan_tables.py --check           # exit 1 where a value is missed, or a peak is above its target

A look is the whole of what a worker does with a file: digest, structure, every value rule, equal rows. Its rivals: polars'
streaming engine with seven statistics of every column, pyarrow's decoding of the file alone, and a plain read; for npy the
read is the rival, as its speed is that of memory. Each look is a process of its own, takes turns with its rivals, and
reports the seconds of the look alone, without imports, and its peak resident memory (VmHWM), with them. Twice: everybody on
one thread, and everybody as they like. Ratios are of processor time (the middle over the rounds), which other work on the
machine disturbs less than the clock. Values that are planted (NaN, infinities, nothing, an outlier) must all be found.
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
ROW_BYTES = {"csv": 227, "parquet": 128, "npy": 200, "jsonl": 178}
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(8 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
"""As workers are started."""

START = """
import json, sys, time
import numpy, polars as pl, pyarrow, pyarrow.csv, pyarrow.parquet, pyarrow.json, mmap
kind, path = sys.argv[1:]
told = []
"""
LOOK = """
from dltool.scanning.inspect import inspect
from dltool.scanning.source import FileSource
from dltool.scanning.settings import InspectSettings
start, spent = time.perf_counter(), time.process_time()
found = inspect(FileSource(path, path), InspectSettings(target="label"))
"""
TOLD = """
if found.table:
    told = [flaw.kind for flaw in found.flaws] + ["outlier" for column in found.table.columns for _ in column.extremes]
else:
    told = [flaw.kind for flaw in found.flaws]
"""
RIVALS = {
    "polars": """
frame = {"csv": pl.scan_csv, "parquet": pl.scan_parquet, "jsonl": pl.scan_ndjson}[kind](path)
wanted = []
for name, dtype in frame.collect_schema().items():
    column = pl.col(name)
    own = [column.null_count(), column.min(), column.max()]
    own += [column.mean(), column.std()] if dtype.is_numeric() else [column.n_unique()]
    own += [column.is_nan().sum(), column.is_infinite().sum()] if dtype.is_float() else []
    wanted += [each.alias(f"{name}{at}") for at, each in enumerate(own)]
frame.select(wanted).collect(engine="streaming")
""",
    "pyarrow": """
threads = pyarrow.cpu_count() > 1
if kind == "csv":
    for batch in pyarrow.csv.open_csv(path): pass
elif kind == "parquet":
    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(1 << 16, use_threads=threads): pass
else:
    pyarrow.json.read_json(path, read_options=pyarrow.json.ReadOptions(use_threads=threads))
""",
    "read": """
block = memoryview(mmap.mmap(-1, 1 << 20))
with open(path, "rb", buffering=0) as stream:
    while stream.readinto(block):
        pass
""",
}
REPORT = """
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak, "told": sorted(told)}))
"""
MEASURED = "seconds, cpu = time.perf_counter() - start, time.process_time() - spent\n"
TIMED = "start, spent = time.perf_counter(), time.process_time()\n"
EXPECTED = {
    "csv": ["inf", "missing", "nan", "outlier"],
    "parquet": ["inf", "missing", "nan", "outlier"],
    "npy": ["inf", "nan", "outlier"],
    "jsonl": ["missing", "outlier"],
}
Look = dict[str, object]


def write_tables(folder: Path, size_bytes: int, kinds: tuple[str, ...] = ("csv", "parquet")) -> None:
    """A csv and a parquet file with planted values, in stretches of rows so that memory stays small."""
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    names = [*(f"f{at}" for at in range(COLUMNS)), "label", "id"]
    schema = pa.schema([(name, pa.float32() if name[0] == "f" else pa.int64()) for name in names])
    for kind in kinds:
        writer = pc.CSVWriter if kind == "csv" else pq.ParquetWriter
        rows, random = size_bytes // ROW_BYTES[kind], np.random.default_rng(0)
        with writer(folder / f"t.{kind}", schema) as file:
            for first in range(0, rows, 250_000):
                count = min(250_000, rows - first)
                columns = [pa.array(random.normal(size=count), pa.float32()) for _ in range(COLUMNS)]
                columns += [pa.array(random.integers(0, 10, count)), pa.array(np.arange(first, first + count))]
                if first == 0:
                    for at, value in ((3, np.nan), (4, np.inf), (5, None), (6, 1e9)):
                        cells = columns[at].to_pylist()
                        cells[count // 2] = value
                        columns[at] = pa.array(cells, pa.float32())
                file.write_batch(pa.record_batch(columns, schema=schema))


def write_array(folder: Path, size_bytes: int) -> None:
    """An array of 50 columns of float32 with planted values."""
    rows = size_bytes // ROW_BYTES["npy"]
    array = np.lib.format.open_memmap(folder / "t.npy", mode="w+", dtype=np.float32, shape=(rows, 50))
    random = np.random.default_rng(1)
    for first in range(0, rows, 100_000):
        array[first : first + 100_000] = random.normal(size=array[first : first + 100_000].shape)
    array[rows // 2, 3], array[rows // 3, 4], array[rows // 4, 5] = np.nan, np.inf, 1e9
    array.flush()


def write_lines(folder: Path, size_bytes: int) -> None:
    """Lines of JSON: eight numbers, a label, an index and a short text that is another on each."""
    import polars as pl

    random = np.random.default_rng(2)
    with (folder / "t.jsonl").open("wb") as file:
        while (written := file.tell()) < size_bytes:
            count = 20_000
            columns = {f"f{at}": np.round(random.normal(size=count), 6) for at in range(8)}
            columns |= {"label": random.integers(0, 10, count), "id": np.arange(count) + written}
            texts = [f"sample number {number} of the set" for number in random.integers(0, 1 << 40, count)]
            frame = pl.DataFrame({**columns, "text": texts})
            if written == 0:
                odd = pl.int_range(count) == count // 2
                frame = frame.with_columns(pl.when(odd).then(None).otherwise(pl.col("f5")).alias("f5"))
                frame = frame.with_columns(pl.when(odd).then(1e9).otherwise(pl.col("f6")).alias("f6"))
            file.write(frame.write_ndjson().encode())


def run(script: str, kind: str, path: Path, threads: str) -> Look:
    """One look in a process of its own; ``threads`` is "1", or "" for as many as it likes."""
    environment = {**ALLOCATOR, **os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", script, kind, str(path)]
    if threads:
        environment |= {"POLARS_MAX_THREADS": threads, "ARROW_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        if hasattr(os, "sched_setaffinity"):
            one = "import os; os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})\n"
            command[2] = one + script
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: Look = json.loads(done.stdout)
    return found


def rivals_of(kind: str) -> list[str]:
    """The one that sets the target first."""
    return ["read"] if kind == "npy" else ["polars", "pyarrow", "read"]


def compare(kind: str, path: Path, rounds: int, threads: str) -> tuple[float, float, list[str]]:
    """Print a line for each reader; the ratio to the first rival, the peak in MB, and what was told."""
    looks: dict[str, list[Look]] = {name: [] for name in ("dltool", *rivals_of(kind))}
    for _ in range(rounds):
        for name, found in looks.items():
            script = START + (LOOK if name == "dltool" else TIMED + RIVALS[name]) + MEASURED
            found.append(run(script + (TOLD if name == "dltool" else "") + REPORT, kind, path, threads))
    megabytes = path.stat().st_size / 1e6
    own = looks["dltool"]
    for name, found in looks.items():
        seconds, cpu, peak = (middle(found, key) for key in ("seconds", "cpu", "peak_mb"))
        ratio = (
            ""
            if name == "dltool"
            else f"   ratio {cpu / middle(own, 'cpu'):5.2f}   by the clock {seconds / middle(own, 'seconds'):5.2f}"
        )
        print(f"{kind:8} {megabytes:5.0f} MB  {threads or 'any':>3} threads  {name:8} {seconds:7.2f} s {cpu:7.2f} CPU s  "
              f"peak {peak:5.0f} MB{ratio}", flush=True)  # fmt: skip
    rival = looks[rivals_of(kind)[0]]
    return middle(rival, "cpu") / middle(own, "cpu"), middle(own, "peak_mb"), list(own[0]["told"])  # type: ignore[call-overload]


def middle(looks: list[Look], key: str) -> float:
    """The median over the rounds."""
    return statistics.median(float(str(look[key])) for look in looks)


def strange_shapes(folder: Path, size_bytes: int) -> bool:
    """Look into files that are hard on memory; True where a peak is above the target."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(3)
    third = size_bytes * 3 // 10
    shapes: dict[str, tuple[str, str]] = {}

    def keep(name: str, kind: str) -> Path:
        shapes[name] = (kind, f"s{len(shapes)}.{kind}")
        return folder / shapes[name][1]

    with keep("csv with a line of 30 %", "csv").open("wb") as file:
        file.write(b"a,b\n" + b"1.5,2.5\n" * (third // 16) + b"1," + b"7" * third + b"\n" + b"1.5,2.5\n" * (third // 16))
    with keep("jsonl with a line of 30 %", "jsonl").open("wb") as file:
        line = b'{"x": 1.5, "text": "abc"}\n'
        file.write(line * (third // 50) + b'{"x": 2, "text": "' + b"y" * third + b'"}\n' + line * (third // 50))
    with keep("jsonl with lines of 4 MB", "jsonl").open("wb") as file:
        for at in range(size_bytes // 4_000_000):
            file.write(b'{"x": %d, "text": "' % at + b"y" * 4_000_000 + b'"}\n')
    rows = size_bytes // ROW_BYTES["parquet"]
    columns = {f"f{at}": pa.array(random.normal(size=rows), pa.float32()) for at in range(COLUMNS)}
    path = keep("parquet of one row group", "parquet")
    pq.write_table(pa.table(columns), path, row_group_size=rows)
    del columns
    path = keep("parquet of one column and row group", "parquet")
    pq.write_table(
        pa.table({"x": random.normal(size=size_bytes // 8)}), path, row_group_size=size_bytes, use_dictionary=False
    )
    array = np.lib.format.open_memmap(keep("npy in Fortran's order", "npy"), mode="w+", dtype=np.float32,
                                      shape=(size_bytes // 200, 50), fortran_order=True)  # fmt: skip
    array[:] = 1.5
    array.flush()
    np.save(keep("npy of two rows", "npy"), np.zeros((2, size_bytes // 8), np.float32))
    worst = 0.0
    for name, (kind, file_name) in shapes.items():
        path = folder / file_name
        found = run(START + LOOK + MEASURED + TOLD + REPORT, kind, path, "")
        worst = max(worst, float(str(found["peak_mb"])))
        print(f"{name:36} {path.stat().st_size / 1e6:5.0f} MB   {float(str(found['seconds'])):6.2f} s  "
              f"peak {float(str(found['peak_mb'])):5.0f} MB   {', '.join(map(str, found['told']))}", flush=True)  # type: ignore[call-overload]  # fmt: skip
        path.unlink()
    return worst > PEAK_TARGET_MB


def main() -> None:
    """Write the files, compare, and judge where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 MB, one round")
    parser.add_argument("--size-mb", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", default=list(EXPECTED), choices=list(EXPECTED))
    parser.add_argument("--shapes", action="store_true", help="the memory that files of strange shapes take")
    parser.add_argument("--check", action="store_true", help="exit 1 where values are missed or a peak is too high")
    arguments = parser.parse_args()
    size_bytes = (20 if arguments.quick else arguments.size_mb) * 1_000_000
    print(f"load of the machine at the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.shapes:
            failed = strange_shapes(folder, size_bytes)
        for kind in () if arguments.shapes else arguments.kinds:
            if kind in {"csv", "parquet"}:
                write_tables(folder, size_bytes, (kind,))
            else:
                (write_array if kind == "npy" else write_lines)(folder, size_bytes)
            for threads in ("1", ""):
                path = folder / f"t.{kind}"
                ratio, peak_mb, told = compare(kind, path, 1 if arguments.quick else arguments.rounds, threads)
                if told != EXPECTED[kind]:
                    print(f"         told {told} instead of {EXPECTED[kind]}")
                    failed = True
                if ratio < SPEED_TARGETS.get(kind, 0.0):
                    print(f"         target {SPEED_TARGETS[kind]:.2f} is not reached")
                failed |= peak_mb > PEAK_TARGET_MB
            path.unlink()
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")
    if arguments.check and failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
