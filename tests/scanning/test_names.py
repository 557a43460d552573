"""Names that are no UTF-8: one form in every list, and the way back."""

import json
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltool.core.file_names import printable, restored
from dltool.data.subset import read_exclusions
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.run import run
from dltool.scanning.collect.manifest import listed


@given(st.binary(max_size=40).map(lambda name: name.decode("utf-8", "surrogateescape")) | st.text("\\udc5f0a\udcff\u00e9"))
def test_every_name_comes_back(name):
    text = printable(name)
    text.encode("utf-8")
    assert restored(text) == name
    assert restored(json.loads(json.dumps(text))) == name


def test_ordinary_names_stay_as_they_are():
    for name in ("a/b.png", "a\\b.png", "\\udc.png", "\\udcxx", "\u65e5\u672c.png"):
        assert printable(name) == name
        assert restored(name) == name


@pytest.mark.skipif(sys.platform != "linux", reason="names are any bytes only there")
def test_a_bad_file_is_found_again_and_excluded(tmp_path):
    data = tmp_path / "data"
    names = ["caf\udce9.png", "\\udce9.png", "plain.png"]
    for folder, files in (("cat", names), ("dog", ["x.png"])):
        (data / folder).mkdir(parents=True)
        for name in files:
            (data / folder / name).write_bytes(b"" if name != "x.png" else b"<html>")
    bad = tmp_path / "bad.jsonl"
    report = run(str(data), ScanOptions(cache=False, workers=1, bad_samples=str(bad)))
    paths = [sample["path"] for sample in report.measurements["bad_samples"]]
    assert all(os.path.exists(data / restored(path)) for path in paths)  # noqa: PTH110 - bytes that are no text
    assert len(set(paths)) == 4
    excluded = read_exclusions(bad)
    assert {each.path for each in excluded} == {f"cat/{name}" for name in names} | {"dog/x.png"}
    assert any(each.names(str(data / "cat" / names[0]), str(data)) for each in excluded)
    again = [line.path for line in listed(bad)]
    assert set(again) == {each.path for each in excluded}
