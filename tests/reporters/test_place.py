import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from ci_report import ANY_TEXT, GROUND, bare
from hypothesis import assume, given

from dltool.core.finding import Finding, Severity, Where
from dltool.reporters.place import Ground, file_of, line_of, shown_line


def at(**where):
    return Finding(rule="DAT102", name="corrupt-file", severity=Severity.ERROR, message="m", where=Where(**where))


@pytest.mark.parametrize(
    ("file", "shown", "uri", "relative"),
    [
        ("net.py", "nets/net.py", "nets/net.py", True),
        ("./sub//net.py", "nets/sub/net.py", "nets/sub/net.py", True),
        ("../data/x.png", "data/x.png", "data/x.png", True),
        ("/repo/data/x.png", "data/x.png", "data/x.png", True),
        ("../../out/x.png", "../../out/x.png", "file:///out/x.png", False),
        ("/repository/x.png", "/repository/x.png", "file:///repository/x.png", False),
        ("a b%20:c?#.png", "nets/a b%20:c?#.png", "nets/a%20b%2520%3Ac%3F%23.png", True),
        ("\udcff\n.png", "nets/\udcff\n.png", "nets/%FF%0A.png", True),
        ("ä\ud800", "nets/ä\ud800", "nets/%C3%A4%5Cud800", True),
    ],
)
def test_a_file_is_told_from_the_root_of_the_repository(file, shown, uri, relative):
    assert GROUND.shown(file) == shown
    assert GROUND.uri(file) == (uri, relative)


@given(ANY_TEXT)
def test_a_uri_is_plain_ascii_and_names_the_same_bytes(file):
    assume("\ud800" not in file)
    try:
        name = os.fsencode(file)
    except UnicodeEncodeError:
        assume(False)
    uri, relative = GROUND.uri(file)
    assert uri.isascii()
    assert not set(uri) & set(' "<>\\^`{|}\n')
    if relative:
        assert urlsplit(uri).path == uri
        there = os.path.normpath(os.path.join(b"/repo/nets", name))  # noqa: PTH118 - an independent computation
        assert os.path.normpath(b"/repo/" + unquote_to_bytes(uri)) == there


@pytest.mark.parametrize(
    ("command", "target", "file"),
    [
        ("train", "specs/x.yaml", "specs/x.yaml"),
        ("train", "pkg/net.py:make", "pkg/net.py"),
        ("train", "pkg.net:make", None),
        ("scan", "data/images", "data/images"),
        ("scan", "", None),
    ],
)
def test_a_finding_without_a_file_points_at_the_target(command, target, file):
    report = bare(command=command, target=target)
    assert file_of(at(), report) == file
    assert file_of(at(file="a.png"), report) == "a.png"


def test_a_line_counts_from_one_and_belongs_to_a_file():
    assert line_of(at(file="a", line=1)) == 1
    assert line_of(at(file="a", line=0)) is None
    assert line_of(at(line=3)) is None


def test_a_place_is_shown_on_one_line():
    assert shown_line(at(file="a\nb", line=2), bare(), GROUND) == r"nets/a\nb:2"
    assert shown_line(at(), bare(command="train", target="pkg.net:make"), Ground(Path("/a"), Path("/a"))) == ""
