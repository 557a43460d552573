"""Each format of one fixed report, byte for byte. ``DLTOOL_UPDATE_GOLDEN=1 pytest tests/reporters`` writes them anew."""

import os

import pytest
from ci_report import GOLDEN, GROUND, bare, fixed, many

from dltool.core.finding import Severity
from dltool.reporters.github import GithubReporter
from dltool.reporters.gitlab import GitlabReporter
from dltool.reporters.json import JsonReporter
from dltool.reporters.jsonl import JsonlReporter
from dltool.reporters.junit import JunitReporter
from dltool.reporters.markdown import MarkdownReporter
from dltool.reporters.sarif import SarifReporter

FORMATS = {
    "report.json": JsonReporter(),
    "report.jsonl": JsonlReporter(),
    "report.xml": JunitReporter(GROUND, fail_from=Severity.ERROR),
    "report.sarif": SarifReporter(GROUND, exit_code=1),
    "report.github.txt": GithubReporter(GROUND),
    "report.gitlab.json": GitlabReporter(GROUND),
    "report.md": MarkdownReporter(GROUND),
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_format_looks_as_it_should(name):
    text = FORMATS[name].render(fixed())
    golden = GOLDEN / name
    if os.environ.get("DLTOOL_UPDATE_GOLDEN"):
        golden.write_bytes(text.encode())
    assert text.encode() == golden.read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_a_report_gives_the_same_bytes_again(name):
    assert FORMATS[name].render(many(300)) == FORMATS[name].render(many(300))


@pytest.mark.parametrize("name", FORMATS)
def test_a_report_without_anything_is_whole_and_ends_its_line(name):
    text = FORMATS[name].render(bare())
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
