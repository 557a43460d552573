import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dltool.core.errors import DataError, UserError
from dltool.diagnostics.scan import options as scan_options
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.run import run
from dltool.scanning import ledger
from dltool.scanning.digest import digest_of
from dltool.scanning.pool import PoolSettings
from dltool.training.stop import StopFlag

ROOT = Path(__file__).parents[2]
STANDINS = str(ROOT / "tests/scanning")
OLD_NS = 10**18


@pytest.fixture(autouse=True)
def _standins(monkeypatch, tmp_path):
    """Inspectors of our own: what is tested here is everything around them."""
    monkeypatch.setattr(sys, "path", [STANDINS, *sys.path])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def settings(**more):
        return PoolSettings(**more, inspector="standins:inspect")

    monkeypatch.setattr(scan_options, "PoolSettings", settings)


@pytest.fixture
def data(tmp_path):
    return fill(tmp_path / "data", *(f"{kind}/{at:03}.bin" for kind in ("cat", "dog") for at in range(60)))


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if "empty" in name else name.encode())
        os.utime(path, ns=(OLD_NS, OLD_NS))
    return folder


def plain(report):
    """All that a report says, but for how long it took."""
    return replace(report, run=replace(report.run, seconds=0.0)).to_dict()


def scan(target, **options):
    return run(str(target), ScanOptions(**{"workers": 2, **options}))


def bad(report):
    return [(sample["path"], sample["name"], sample["severity"]) for sample in report.measurements["bad_samples"]]


def kinds(report):
    return {finding.where.key: finding.evidence["kind"] for finding in report.findings if finding.name == "corrupt-file"}


def test_a_clean_set_gives_nothing(data):
    report = scan(data)
    assert [finding for finding in report.findings if finding.severity.rank > 0] == []
    assert report.measurements["samples_scanned"] == 120
    assert report.measurements["scan"]["files"] == 120
    assert report.run.torch is None
    assert not report.run.interrupted


def test_bad_samples_are_named_in_the_order_of_the_scan(data):
    fill(data, "dog/empty.bin", "cat/empty.bin", "cat/segv.bin")
    report = scan(data)
    assert [path for path, _, _ in bad(report)] == ["cat/empty.bin", "cat/segv.bin", "dog/empty.bin"]
    assert kinds(report) == {"cat/empty.bin": "empty", "cat/segv.bin": "decoder-crash", "dog/empty.bin": "empty"}
    finding = next(f for f in report.findings if f.where.key == "cat/segv.bin")
    assert finding.where.file == str(data / "cat/segv.bin")


def test_the_report_does_not_depend_on_the_number_of_workers(data):
    fill(data, "dog/empty.bin", "cat/segv.bin", "cat/exit.bin", "cat/raise.bin")
    reports = [plain(scan(data, workers=workers, cache=False)) for workers in (1, 2, 5)]
    assert reports[0] == reports[1] == reports[2]


def test_the_second_scan_looks_into_nothing_and_says_the_same(data, monkeypatch):
    fill(data, "cat/empty.bin")
    first = plain(scan(data))
    monkeypatch.setattr("dltool.scanning.process.subprocess.Popen", None)
    assert plain(scan(data)) == first
    with pytest.raises(TypeError, match="not callable"):
        scan(data, cache=False)
    with pytest.raises(TypeError, match="not callable"):
        scan(data, tier="quick")


def test_what_changed_is_looked_into_again(data):
    fill(data, "cat/empty.bin")
    assert len(bad(scan(data))) == 1
    (data / "cat/empty.bin").write_bytes(b"no longer")
    (data / "dog/000.bin").write_bytes(b"")
    assert [path for path, _, _ in bad(scan(data))] == ["dog/000.bin"]


def test_a_file_written_a_moment_ago_is_not_trusted(data):
    path = data / "cat/000.bin"
    path.write_bytes(b"12345")
    now_ns = time.time_ns() + 10**10
    os.utime(path, ns=(now_ns, now_ns))
    scan(data)
    (database,) = ledger.cache_folder().glob("*.sqlite")
    with sqlite3.connect(database) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM looks")}
    connection.close()
    assert len(names) == 119
    assert b"cat/000.bin" not in names


@pytest.mark.parametrize("damage", [b"", b"not a database" * 1000, None])
def test_a_damaged_cache_spoils_nothing(data, damage):
    first = plain(scan(data))
    (database,) = ledger.cache_folder().glob("*.sqlite")
    if damage is None:
        content = bytearray(database.read_bytes())
        content[4096:12288] = os.urandom(8192)
        damage = bytes(content)
    database.write_bytes(damage)
    assert plain(scan(data)) == first
    assert plain(scan(data)) == first


def test_lines_of_the_cache_that_are_none_are_looked_up_again(data):
    first = plain(scan(data))
    (database,) = ledger.cache_folder().glob("*.sqlite")
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE looks SET line = '[1, 2]' WHERE name = ?", (b"cat/007.bin",))
    connection.close()
    assert plain(scan(data)) == first


def test_a_locked_cache_is_left_alone(data, monkeypatch):
    first = plain(scan(data))
    (database,) = ledger.cache_folder().glob("*.sqlite")
    monkeypatch.setattr(ledger, "LOCK_WAIT_S", 0.05)
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    fill(data, "cat/new.bin")
    assert scan(data).measurements["samples_scanned"] == 121
    holder.close()
    (data / "cat/new.bin").unlink()
    assert plain(scan(data)) == first


def test_a_cache_folder_that_cannot_be_made(data, monkeypatch):
    (data.parent / "cache").write_text("a file")
    assert scan(data).measurements["samples_scanned"] == 120


def test_old_caches_make_room(tmp_path):
    for at in range(4):
        path = tmp_path / f"{at}.sqlite"
        path.write_bytes(bytes(1000))
        os.utime(path, ns=(OLD_NS + at, OLD_NS + at))
    ledger.make_room(tmp_path, 2500)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.sqlite", "3.sqlite"]


class Notes:
    def __init__(self):
        self.said = []
        self.files = []

    def start(self):
        pass

    def advance(self, files, size_bytes, total_files):
        self.files.append(files)

    def note(self, text):
        self.said.append(text)

    def close(self):
        pass


class StopsAfter(StopFlag):
    """Interrupts once it was asked so often."""

    def __init__(self, asked):
        super().__init__()
        self.left = asked

    @property
    def reason(self):
        self.left -= 1
        if self.left <= 0:
            self.interrupt()
        return super().reason


def test_an_interrupted_scan_reports_what_it_has_and_goes_on_from_there(data):
    fill(data, *(f"slow/slow-{at:03}.bin" for at in range(300)), "cat/empty.bin")
    whole = plain(scan(data, cache=False))
    report = scan(data, stop=StopsAfter(30))
    assert report.run.interrupted
    assert report.measurements["scan"]["stopped"] == "interrupted"
    assert 0 < report.measurements["scan"]["files"] < 421
    notes = Notes()
    assert plain(scan(data, resume=True, progress=notes)) == whole
    assert notes.said == ["continuing the scan that was interrupted"]
    again = Notes()
    scan(data, resume=True, progress=again)
    assert again.said[0].startswith("no interrupted scan to resume")


def test_a_time_limit_ends_a_scan_without_calling_it_interrupted(data):
    fill(data, "cat/sleep.bin")
    report = scan(data, stop=StopFlag(0.5))
    assert report.measurements["scan"]["stopped"] == "timeout"
    assert not report.run.interrupted


@pytest.mark.parametrize("count", [1, 3])
def test_shards_merge_into_the_report_of_the_whole(data, tmp_path, count):
    fill(data, "dog/empty.bin", "cat/empty.bin", "train/x", ".hidden", "cat/.hidden")
    shutil.copy(data / "cat/001.bin", data / "dog/copy.bin")
    with (data / "caf\udce9.bin").open("wb"):
        pass
    whole = plain(scan(data, cache=False))
    paths = []
    for index in range(1, count + 1):
        part = scan(data, shard=f"{index}/{count}", cache=False)
        paths.append(tmp_path / f"{index}.json")
        paths[-1].write_text(json.dumps(part.to_dict()))
    assert plain(scan("", merge=tuple(map(str, reversed(paths))))) == whole


def test_shards_that_do_not_belong_together(data, tmp_path):
    for index in (1, 2):
        (tmp_path / f"{index}.json").write_text(json.dumps(scan(data, shard=f"{index}/3").to_dict()))
    other = scan(data, shard="3/3", tier="quick").to_dict()
    (tmp_path / "3.json").write_text(json.dumps(other))
    (tmp_path / "whole.json").write_text(json.dumps(scan(data).to_dict()))
    (tmp_path / "text.json").write_text("text")
    for names, said in [
        ("12", "1 of 3 shards are missing, the first is 3/3"),
        ("1122", "more than once"),
        ("123", "other settings"),
        (["whole"], "no report of a shard"),
        (["text"], "no report of dltool in JSON"),
        (["none"], "cannot be read"),
    ]:
        with pytest.raises(DataError, match=said):
            scan("", merge=tuple(str(tmp_path / f"{name}.json") for name in names))


def test_a_clean_manifest_can_be_verified_later(data, tmp_path):
    fill(data, "dog/empty.bin")
    manifest = tmp_path / "clean.jsonl"
    scan(data, manifest=str(manifest))
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert len(lines) == 120
    digest = digest_of(b"cat/000.bin")
    assert lines[0] == {"path": "cat/000.bin", "size_bytes": 11, "digest": digest, "label": "cat"}
    assert all("empty" not in line["path"] for line in lines)

    (data / "dog/empty.bin").unlink()
    report = scan(data, verify_manifest=str(manifest))
    assert bad(report) == []
    (data / "cat/003.bin").write_bytes(b"replaced!!!")
    os.utime(data / "cat/003.bin", ns=(OLD_NS, OLD_NS))
    (data / "dog/005.bin").unlink()
    fill(data, "dog/new.bin")
    report = scan(data, verify_manifest=str(manifest))
    assert kinds(report) == {"cat/003.bin": "changed", "dog/005.bin": "missing", "dog/new.bin": "not-in-manifest"}
    assert {path: severity for path, _, severity in bad(report)} == {
        "cat/003.bin": "error",
        "dog/005.bin": "error",
        "dog/new.bin": "info",
    }
    counts = {"manifest": str(manifest), "unchanged": 118, "changed": 1, "missing": 1, "new": 1, "unverifiable": 0}
    assert report.measurements["manifest_check"] == counts


def test_shards_verify_their_share_of_a_manifest(data, tmp_path):
    manifest = tmp_path / "clean.jsonl"
    scan(data, manifest=str(manifest))
    for at in range(0, 60, 7):
        (data / f"cat/{at:03}.bin").unlink()
    whole = scan(data, verify_manifest=str(manifest))
    assert len(bad(whole)) == 9
    paths = []
    for index in (1, 2):
        paths.append(tmp_path / f"{index}.json")
        paths[-1].write_text(json.dumps(scan(data, shard=f"{index}/2", verify_manifest=str(manifest)).to_dict()))
    merged = scan("", merge=tuple(map(str, paths)))
    assert merged.measurements["bad_samples"] == whole.measurements["bad_samples"]
    assert [f.fingerprint for f in merged.findings] == [f.fingerprint for f in whole.findings]


def test_manifests_that_verify_nothing(data, tmp_path):
    (tmp_path / "m.jsonl").write_text('{"path": "cat/000.bin"}\n')
    with pytest.raises(DataError, match="gives no digests"):
        scan(data, verify_manifest=str(tmp_path / "m.jsonl"))
    with pytest.raises(DataError, match="cannot be read"):
        scan(data, verify_manifest=str(tmp_path / "none.jsonl"))


def test_a_quarantine_holds_copies_and_is_a_list_to_exclude(data, tmp_path):
    from dltool.data.subset import read_exclusions

    fill(data, "dog/empty.bin", "cat/raise.bin", "cat/empty.bin")
    before = {path: path.read_bytes() for path in data.rglob("*.bin")}
    aside = tmp_path / "aside"
    fill(aside, "cat/raise.bin~mine")
    (aside / "dog").mkdir()
    (aside / "dog/empty.bin").write_text("somebody else's")
    for _ in range(2):
        scan(data, quarantine=str(aside), bad_samples=str(tmp_path / "bad.jsonl"))
    assert {path: path.read_bytes() for path in data.rglob("*.bin")} == before
    found = sorted(path.relative_to(aside).as_posix() for path in aside.rglob("*") if path.is_file())
    assert found == ["bad.jsonl", "cat/empty.bin", "cat/raise.bin", "cat/raise.bin~mine", "dog/empty.bin", "dog/empty~1.bin"]
    assert (aside / "dog/empty.bin").read_text() == "somebody else's"
    listed = read_exclusions(tmp_path / "bad.jsonl")
    assert [entry.path for entry in listed] == ["cat/empty.bin", "cat/raise.bin", "dog/empty.bin"]
    assert (aside / "bad.jsonl").read_bytes() == (tmp_path / "bad.jsonl").read_bytes()


@pytest.mark.parametrize("way", ["link", "move"])
def test_other_ways_into_quarantine(data, tmp_path, way):
    fill(data, "dog/raise.bin")
    inode = (data / "dog/raise.bin").stat().st_ino
    scan(data, quarantine=str(tmp_path / "aside"), quarantine_way=way)
    assert (tmp_path / "aside/dog/raise.bin").stat().st_ino == inode
    assert (data / "dog/raise.bin").exists() == (way == "link")
    assert len(list(data.rglob("*.bin"))) == (121 if way == "link" else 120)


def test_of_copies_one_stays(data, tmp_path):
    shutil.copy(data / "cat/001.bin", data / "cat/zzz.bin")
    report = scan(data, manifest=str(tmp_path / "clean.jsonl"), quarantine=str(tmp_path / "aside"))
    copies = [path for path, name, _ in bad(report) if name == "duplicate-sample"]
    assert copies == ["cat/001.bin", "cat/zzz.bin"]
    kept = [json.loads(line)["path"] for line in (tmp_path / "clean.jsonl").read_text().splitlines()]
    assert "cat/001.bin" in kept
    assert "cat/zzz.bin" not in kept
    assert [path.name for path in (tmp_path / "aside").rglob("*.bin")] == ["zzz.bin"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"select": ("no-such-rule",)}, "no rule has this id"),
        ({"shard": "3/2"}, "is no part of a whole"),
        ({"manifest": "no/such/folder/m.jsonl"}, "cannot be written"),
        ({"resume": True, "cache": False}, "needs the cache"),
        ({"quarantine_way": "move"}, "needs --quarantine"),
        ({"quarantine": "DATA/aside"}, "lies within what is scanned"),
        ({"merge": ("a.json",), "shard": "1/2"}, "does not go with --merge"),
    ],
)
def test_mistakes_are_told_before_the_work(data, options, said):
    chosen = {key: value.replace("DATA", str(data)) if isinstance(value, str) else value for key, value in options.items()}
    with pytest.raises(UserError, match=said):
        scan(data, **chosen)
    assert not (data / "aside").exists()


def test_nothing_to_scan(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no files: there is nothing to scan$"):
        scan(tmp_path / "empty")
    fill(tmp_path, "empty/.hidden")
    with pytest.raises(DataError, match="--hidden, to look into its 1 hidden"):
        scan(tmp_path / "empty")
    with pytest.raises(DataError, match="matches no files"):
        scan(tmp_path / "empty/*.png")
    with pytest.raises(DataError, match="does not exist"):
        scan(tmp_path / "nowhere")


def test_archives_that_hold_nothing_are_nothing_to_scan(tmp_path):
    (tmp_path / "shards").mkdir()
    for name in ("a.tar", "b.tar"):
        (tmp_path / "shards" / name).write_bytes(bytes(10_240))
    for target in ("shards", "shards/a.tar"):
        with pytest.raises(DataError, match="its archives are empty"):
            scan(tmp_path / target)


def test_a_shard_without_files_is_no_mistake(tmp_path):
    fill(tmp_path / "one", "a.bin")
    counts = [scan(tmp_path / "one", shard=f"{at}/5").measurements["samples_scanned"] for at in range(1, 6)]
    assert sorted(counts) == [0, 0, 0, 0, 1]


def test_a_manifest_keeps_its_own_order(data, tmp_path):
    fill(data, "b/empty.bin", "a/empty.bin")
    (data / "list.csv").write_text("path,label\nb/empty.bin,1\ncat/001.bin,0\na/empty.bin,1\nnone.bin,0\n")
    report = scan(data / "list.csv")
    assert [path for path, _, _ in bad(report)] == ["b/empty.bin", "a/empty.bin", "none.bin"]
    assert report.run.assumptions == ("list.csv was read as a manifest: its column 'path' names files",)


def test_progress_counts_files(data):
    notes = Notes()
    scan(data, progress=notes)
    assert notes.files
    assert notes.files == sorted(notes.files)


SCRIPT = """
import sys
sys.path.insert(0, {standins!r})
from dltool.diagnostics.scan import options as scan_options
from dltool.diagnostics.scan import run as scan_run
from dltool.diagnostics.scan.options import ScanOptions
from dltool.scanning import ledger
from dltool.scanning.pool import PoolSettings
ledger.ROWS_A_COMMIT = 1
ledger.scanner_version = lambda: "one"
scan_options.PoolSettings = lambda **more: PoolSettings(**more, inspector="standins:inspect")
scan_run.run({data!r}, ScanOptions(workers=2))
"""


def test_a_scan_that_was_killed_goes_on_where_it_was(data, monkeypatch):
    fill(data, *(f"slow/slow-{at:04}.bin" for at in range(400)))
    monkeypatch.setattr(ledger, "scanner_version", lambda: "one")
    script = SCRIPT.format(standins=STANDINS, data=str(data))
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    held = 0
    until = time.monotonic() + 60
    while held < 100 and time.monotonic() < until:
        time.sleep(0.05)
        for path in ledger.cache_folder().glob("*.sqlite"):
            try:
                with sqlite3.connect(path, timeout=5) as connection:
                    held = connection.execute("SELECT count(*) FROM looks").fetchone()[0]
                connection.close()
            except sqlite3.Error:
                pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 100 <= held < 520
    notes = Notes()
    report = scan(data, resume=True, progress=notes)
    assert notes.said == ["continuing the scan that was interrupted"]
    assert report.measurements["samples_scanned"] == 520


def test_a_scan_within_a_thread(data):
    reports = []
    thread = threading.Thread(target=lambda: reports.append(scan(data, cache=False)))
    thread.start()
    thread.join()
    assert reports[0].measurements["samples_scanned"] == 120


def test_a_ledger_forgets_what_has_long_been_gone(data, monkeypatch):
    monkeypatch.setattr(ledger, "ROWS_TOO_MANY", 0)
    scan(data)
    shutil.rmtree(data / "dog")
    for path in sorted((data / "cat").iterdir())[:30]:
        path.unlink()
    for expected in (0, 30):
        scan(data)
        (database,) = ledger.cache_folder().glob("*.sqlite")
        with sqlite3.connect(database) as connection:
            assert connection.execute("SELECT count(*) FROM looks").fetchone()[0] == expected
        connection.close()


def test_a_manifest_with_digests_is_verified_as_it_is_scanned(data):
    good, bad_digest = digest_of(b"cat/000.bin"), digest_of(b"something else")
    lines = [{"path": "cat/000.bin", "digest": good}, {"path": "cat/001.bin", "digest": bad_digest}, {"path": "cat/002.bin"}]
    (data / "list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert kinds(scan(data / "list.jsonl")) == {"cat/001.bin": "changed"}


def test_digests_of_another_algorithm_are_verified_too(data, tmp_path):
    lines = [
        {"path": f"{kind}/{at:03}.bin", "digest": digest_of(f"{kind}/{at:03}.bin".encode(), "blake2b")}
        for kind in ("cat", "dog")
        for at in range(60)
    ]
    lines[7]["digest"] = f"blake2b:{'0' * 32}"
    lines[8]["digest"] = f"crc:{'0' * 32}"
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = scan(data, verify_manifest=str(tmp_path / "m.jsonl"))
    assert kinds(report) == {"cat/007.bin": "changed"}
    assert report.measurements["manifest_check"]["unverifiable"] == 1


def test_compressed_files_are_counted_and_never_silent(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{at},{at % 3}.5\n" for at in range(30)))
    for name in ("b.tar.gz", "c.TGZ", "deep/d.zip", "deep/e.csv.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\x1f\x8b")
    report = run(str(tmp_path), ScanOptions(cache=False, workers=1))
    (left_out,) = report.measurements["left_out"]
    assert (left_out["kind"], left_out["files"]) == ("compressed", 4)
    for target in (tmp_path / "deep", tmp_path / "b.tar.gz", tmp_path / "*.gz"):
        with pytest.raises(DataError, match="compressed"):
            run(str(target), ScanOptions(cache=False, workers=1))
