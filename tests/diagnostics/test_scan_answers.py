"""Questions that a scan cannot answer are the user's mistakes, and told as such."""

import pytest

from dltool.core.errors import DataError
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.run import run


def test_files_of_no_known_format_are_no_clean_set(tmp_path):
    (tmp_path / "notes.md").write_text("nothing to learn from")
    with pytest.raises(DataError, match="is not of a format"):
        run(str(tmp_path), ScanOptions(cache=False))
    with pytest.raises(DataError, match="is not of a format"):
        run(str(tmp_path / "notes.md"), ScanOptions(cache=False))


def test_a_file_that_only_claims_a_format_is_a_finding_and_no_mistake(tmp_path):
    (tmp_path / "picture.jpg").write_bytes(b"certainly not")
    report = run(str(tmp_path), ScanOptions(cache=False))
    assert [sample["path"] for sample in report.measurements["bad_samples"]] == ["picture.jpg"]


@pytest.mark.parametrize(
    ("target", "said"), [("speces", "did you mean 'species'"), ("zzz", "no table of .* has this column")]
)
def test_a_target_that_no_table_has(tmp_path, target, said):
    (tmp_path / "flowers.csv").write_text("width,species\n1.5,a\n2.5,b\n3.25,a\n")
    with pytest.raises(DataError, match=said):
        run(str(tmp_path), ScanOptions(cache=False, target_column=target))
