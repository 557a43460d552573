import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import standins

from dltool.core.finding import Severity
from dltool.scanning.digest import digest_of
from dltool.scanning.pool import Job, PoolSettings, WorkersFailedError, inspect_all
from dltool.scanning.record import Item

HERE = str(Path(standins.__file__).parent)
MB = 1 << 20


@pytest.fixture(autouse=True)
def _workers_find_the_standins(monkeypatch):
    monkeypatch.setattr(sys, "path", [HERE, *sys.path])


def write(folder, names):
    for name in names:
        (folder / name).write_bytes(name.encode())
    return jobs_of(folder, names)


def jobs_of(folder, names):
    return [Job(Item(at, name, str(folder / name)), len(name)) for at, name in enumerate(names)]


def settings(workers=2, **more):
    chosen = {"inspector": "standins:inspect", "memory_bytes": 192 * MB, "sample_timeout_s": 1.0, **more}
    return PoolSettings(workers=workers, **chosen)


def look(jobs, asked):
    return [done for batch in inspect_all(jobs, asked) for done in batch]


def flaws(results):
    return {done.job.item.name: [(f.kind, f.detail) for f in done.found.flaws] for done in results if done.found.flaws}


def test_everything_comes_once_and_in_order(tmp_path):
    names = [f"{at:05}.bin" for at in range(1000)]
    results = look(write(tmp_path, names), settings())
    assert [done.job.item.name for done in results] == names
    assert all(done.line and not done.found.flaws for done in results)
    assert results[7].found.digest == digest_of(b"00007.bin")


BAD = ["segv-1", "abort-1", "kill-1", "exit-1", "hog-1", "raise-1", "alloc-1", "hang-1", "segv-2"]
EXPECTED = {
    "segv-1": "the decoder crashed (SIGSEGV)",
    "segv-2": "the decoder crashed (SIGSEGV)",
    "abort-1": "the decoder crashed (SIGABRT)",
    "exit-1": "the decoder ended its process (exit code 3)",
    "hang-1": "the decoder had not come to an end after 1 s, and was stopped",
    "raise-1": "the decoder failed with ValueError: no such marker",
    "hog-1": "decoding it takes more memory than a worker may have",
    "alloc-1": "decoding it takes more memory than a worker may have",
    "kill-1": "the system killed the decoder, most likely for the memory it took",
}
KINDS = {"hog-1": "memory", "alloc-1": "memory", "kill-1": "memory", "raise-1": "decoder-error", "hang-1": "decoder-hang"}


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_what_kills_a_worker_is_named_and_nothing_else_is_lost(tmp_path, workers):
    names = sorted([*BAD, *(f"{word}{at:03}" for word in "ahmsz" for at in range(40))])
    results = look(write(tmp_path, names), settings(workers))
    assert [done.job.item.name for done in results] == names
    assert flaws(results) == {name: [(KINDS.get(name, "decoder-crash"), EXPECTED[name])] for name in BAD}
    assert not any(done.line for done in results if done.found.flaws)
    assert all(flaw.severity is Severity.ERROR for done in results for flaw in done.found.flaws)


def test_a_sample_that_only_dies_after_others_is_not_guilty(tmp_path):
    names = ["a", "late-1", "m", "late-2", "z"]
    results = look(write(tmp_path, names), settings(1, inspector="standins:once"))
    assert [done.job.item.name for done in results] == names
    assert flaws(results) == {}


def test_many_killers_in_one_batch(tmp_path):
    names = [f"segv-{at}" for at in range(6)] + ["ok"]
    assert sorted(flaws(look(write(tmp_path, names), settings(2)))) == names[:6]


def test_what_decoders_print_is_no_answer(tmp_path):
    names = [f"print-{at}" for at in range(20)]
    assert flaws(look(write(tmp_path, names), settings(1))) == {}


def test_files_that_vanish_cannot_be_opened_or_grow(tmp_path):
    names = ["fine", "folder", "grown", "vanished"]
    jobs = write(tmp_path, ["fine", "grown", "vanished"])
    (tmp_path / "folder").mkdir()
    jobs = jobs_of(tmp_path, names)
    (tmp_path / "vanished").unlink()
    (tmp_path / "grown").write_bytes(b"x" * 100)
    results = {done.job.item.name: done for done in look(jobs, settings())}
    assert [f.kind for f in results["vanished"].found.flaws] == ["vanished"]
    assert [f.kind for f in results["folder"].found.flaws] == ["unreadable"]
    assert results["grown"].found.flaws == ()
    assert results["grown"].found.size_bytes == 100
    assert results["grown"].line is None
    assert results["fine"].line is not None


def test_a_sleeper_is_given_more_time_than_a_busy_loop(tmp_path):
    started = time.monotonic()
    results = look(write(tmp_path, ["sleep-1"]), settings(1, sample_timeout_s=0.3))
    assert [f.kind for f in results[0].found.flaws] == ["decoder-hang"]
    assert 1.2 <= time.monotonic() - started < 10


def test_what_is_known_keeps_its_place_and_costs_no_process(tmp_path, monkeypatch):
    known = look(write(tmp_path, ["a"]), settings(1))[0].found
    monkeypatch.setattr("dltool.scanning.process.subprocess.Popen", None)
    jobs = [Job(Item(at, str(at), "nowhere"), 1, known) for at in range(500)]
    results = look(jobs, settings())
    assert [done.job.item.index for done in results] == list(range(500))
    assert not any(done.line for done in results)


def test_the_listing_is_not_read_far_ahead(tmp_path):
    (tmp_path / "x").write_bytes(b"x")
    drawn = 0

    def jobs():
        nonlocal drawn
        for at in range(1_000_000):
            drawn += 1
            yield Job(Item(at, "x", str(tmp_path / "x")), 1)

    batches = inspect_all(jobs(), settings(1))
    next(batches)
    batches.close()
    assert drawn < 10_000


def test_stopping_leaves_no_process(tmp_path):
    names = [f"{at:03}" for at in range(100)] + ["sleep-1"] * 3
    before = children()
    seen = []
    for batch in inspect_all(write(tmp_path, names), settings(2, sample_timeout_s=60), lambda: len(seen) >= 64):
        seen.extend(batch)
    assert len(seen) == 64
    assert children() == before


def test_a_decoder_in_an_endless_loop_does_not_outlive_its_parent(tmp_path):
    write(tmp_path, ["hang-1"])
    pid = os.fork()
    if not pid:
        try:
            look(jobs_of(tmp_path, ["hang-1"]), settings(1, sample_timeout_s=60))
        finally:
            os._exit(0)
    worker = wait_for(lambda: children(pid))
    time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    wait_for(lambda: not any(alive(each) for each in worker))


def test_workers_that_cannot_begin_are_an_error(tmp_path):
    with pytest.raises(WorkersFailedError, match="no_such_module"):
        look(write(tmp_path, ["a"]), settings(2, inspector="no_such_module:inspect"))


def children(pid=None):
    path = Path(f"/proc/{pid or os.getpid()}/task/{pid or os.getpid()}/children")
    return path.read_text().split() if path.exists() else []


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition, seconds=10):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if result := condition():
            return result
        time.sleep(0.05)
    raise AssertionError("it did not happen")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems may need the file's name")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, None])
def test_no_file_is_left_in_the_temporary_folder(tmp_path, ending):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    sample = tmp_path / ("sleep.bin" if ending else "fine.bin")
    sample.write_bytes(b"data")
    code = (
        f"import sys; sys.path.insert(0, {HERE!r})\n"
        "from dltool.scanning.pool import Job, PoolSettings, inspect_all\n"
        "from dltool.scanning.record import Item\n"
        "print('going', flush=True)\n"
        f"jobs = [Job(Item(0, 'a.bin', {str(sample)!r}), 4), Job(Item(1, {sample.name!r}, {str(sample)!r}), 4)]\n"
        "print(list(inspect_all(jobs, PoolSettings(workers=2, inspector='standins:inspect'))))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout.readline() == b"going\n"
    if ending is not None:
        time.sleep(0.5)
        process.send_signal(ending)
    said, _ = process.communicate(timeout=30)
    assert (b"sleep.bin" in said, b"fine.bin" in said) == (False, ending is None)
    assert list(temporary.iterdir()) == []
