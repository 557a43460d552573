import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dltool.cli import scan_progress
from dltool.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def table(tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    rows = "\n".join(f"{at},{at * at % 17 - 8}.5" for at in range(200))
    (folder / "good.csv").write_text(f"a,b\n{rows}\n")
    return folder


def test_a_clean_folder_is_0_and_one_with_a_spoilt_file_1(table, capsys):
    assert main(["scan", str(table)]) == 0
    (table / "spoilt.png").write_bytes(b"<html><body>not found</body></html>")
    assert main(["scan", str(table), "--quiet"]) == 1
    out, err = capsys.readouterr()
    assert "corrupt-file" in out
    assert "spoilt.png" in out
    assert err == ""
    assert main(["scan", str(table), "--fail-on", "never"]) == 0
    assert main(["scan", str(table), "--ignore", "corrupt-file"]) == 0


def test_json_names_every_bad_sample(table, capsys):
    (table / "spoilt.png").write_bytes(b"")
    assert main(["scan", str(table), "--format", "json", "--workers", "1"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["command"] == "scan"
    assert report["run"]["torch"] is None
    assert report["measurements"]["bad_samples"] == [
        {"path": "spoilt.png", "row": None, "name": "corrupt-file", "severity": "error"}
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="names are any bytes only there")
def test_names_that_are_no_utf8_reach_every_output(table, tmp_path, capsysbinary):
    (table / "caf\udce9.png").write_bytes(b"")
    bad, clean = tmp_path / "bad.jsonl", tmp_path / "clean.jsonl"
    assert main(["scan", str(table), "--bad-samples", str(bad), "--manifest", str(clean), "-q"]) == 1
    assert b"caf\\udce9.png" in capsysbinary.readouterr().out
    assert main(["scan", str(table), "--format", "json"]) == 1
    json.loads(capsysbinary.readouterr().out.decode("utf-8"))
    assert json.loads(bad.read_text())["path"] == "caf\\udce9.png"
    assert json.loads(clean.read_text())["path"] == "good.csv"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["scan"], "Missing argument 'PATH"),
        (["scan", "nowhere"], "nowhere does not exist"),
        (["scan", "FOLDER/empty"], "there is nothing to scan"),
        (["scan", "FOLDER/none/*.png"], "is not a folder"),
        (["scan", "FOLDER", "--quick", "--deep"], "contradict"),
        (["scan", "FOLDER", "--link", "--move"], "contradict"),
        (["scan", "FOLDER", "other"], "quote a glob"),
        (["scan", "FOLDER", "--workers", "0"], "--workers"),
        (["scan", "FOLDER", "--batch-size", "0"], "--batch-size"),
        (["scan", "FOLDER", "--batch-size", "-3"], "--batch-size"),
        (["scan", "FOLDER", "--batch-size", "2.5"], "--batch-size"),
        (["scan", "FOLDER", "--batch-size", "full"], "--batch-size"),
        (["scan", "sample_configs/healthy/iris.yaml", "--batch-size", "8"], "means nothing for a scan of a spec"),
        (["scan", "FOLDER", "--labels", "--quick"], "does not go with --quick"),
        (["scan", "FOLDER", "--labels", "--shard", "1/2"], "give it to --merge"),
        (["scan", "FOLDER", "--labels=label"], "--labels"),
        (["scan", "FOLDER", "--label"], "--labels"),
        (["scan", "net.py:make", "--labels"], "means nothing for a scan of code"),
        (["scan", "FOLDER", "--shard", "4/3"], "4/3 is no part of a whole"),
        (["scan", "FOLDER", "--sample-timeout", "0"], "0 is not a time"),
        (["scan", "FOLDER", "--memory", "0"], "--memory"),
        (["scan", "FOLDER", "--verify-manifest", "none.jsonl"], "none.jsonl"),
        (["scan", "FOLDER", "--resume", "--no-cache"], "needs the cache"),
        (["scan", "FOLDER", "--quarantine", "FOLDER/bad"], "lies within what is scanned"),
        (["scan", "FOLDER", "--move"], "needs --quarantine"),
        (["scan", "--merge", "FOLDER/good.csv"], "is no report of dltool in JSON"),
        (["scan", "FOLDER", "--select", "corupt-file"], "did you mean 'corrupt-file'"),
    ],
)
def test_mistakes_are_2_and_are_told(words, said, table, capsys):
    (table / "empty").mkdir()
    assert main([word.replace("FOLDER", str(table)) for word in words]) == 2
    out, err = capsys.readouterr()
    assert said in " ".join(err.split())
    assert out == ""
    assert "Traceback" not in err


def test_shards_merge_on_the_command_line(table, tmp_path, capsys):
    (table / "spoilt.png").write_bytes(b"")
    parts = [str(tmp_path / f"{at}.json") for at in (1, 2)]
    for at, part in enumerate(parts, start=1):
        main(["scan", str(table), "--shard", f"{at}/2", "--format", "json", "--output", part])
    assert main(["scan", "--merge", *parts, "--format", "json"]) == 1
    merged = json.loads(capsys.readouterr().out)
    assert main(["scan", str(table), "--format", "json"]) == 1
    whole = json.loads(capsys.readouterr().out)
    for report in (merged, whole):
        report["run"]["seconds"] = 0
    assert merged == whole


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_scan_is_130_with_a_report_and_leaves_no_process(tmp_path, number):
    folder = tmp_path / "many"
    folder.mkdir()
    for at in range(4000):
        (folder / f"{at:05}.csv").write_text("a,b\n" + "1,2\n3,4\n" * 200)
    process = subprocess.Popen(
        [sys.executable, "-m", "dltool", "scan", str(folder), "--format", "json", "--workers", "2", "--no-cache"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    workers = wait_for(lambda: children(process.pid))
    time.sleep(1)
    process.send_signal(number)
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    report = json.loads(out)
    assert report["run"]["interrupted"]
    assert report["measurements"]["scan"]["stopped"] == "interrupted"
    assert report["measurements"]["scan"]["files"] < 4000
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def test_progress_tells_files_bytes_and_time_left(monkeypatch):
    said = []
    now = [0.0]
    monkeypatch.setattr(scan_progress, "say", said.append)
    lines = scan_progress.ScanLines(lambda: now[0])
    lines.start()
    lines.advance(10, 1000, None)
    now[0] = 20.0
    lines.advance(3000, 60_000_000, None)
    now[0] = 40.0
    lines.advance(6000, 120_000_000, 9000)
    assert said == [
        "scanning: file 3,000, 150 files/s, 3.00 MB/s, - left",
        "scanning: file 6,000 of 9,000, 150 files/s, 3.00 MB/s, 0:20 left",
    ]


def children(pid):
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []


def wait_for(condition, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if result := condition():
            return result
        time.sleep(0.05)
    raise AssertionError(f"it did not happen within {seconds} s (pid {os.getpid()})")
