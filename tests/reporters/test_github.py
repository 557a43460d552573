"""Commands are read back as the runner does it (actions/runner, src/Runner.Common/ActionCommand.cs, TryParseV2)."""

from collections import Counter

import pytest
from ci_report import GROUND, HOSTILE, REPORTS, bare, fixed, hostile, many
from hypothesis import given

from dltool.core.finding import Severity
from dltool.reporters.github import LONGEST, GithubReporter, escaped, escaped_property
from dltool.reporters.visible import visible


def unescaped(text):
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


def commands(report):
    """The commands that the runner would obey, and the other lines."""
    obeyed, plain = [], []
    for line in GithubReporter(GROUND).render(report).split("\n")[:-1]:
        if line.lstrip().startswith("::"):
            head, _, data = line.lstrip()[2:].partition("::")
            name, _, given_ = head.partition(" ")
            pairs = (pair.partition("=") for pair in given_.split(",") if pair)
            properties = {key.strip(): unescaped(value) for key, _, value in pairs}
            message = data.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
            obeyed.append((name, properties, message))
        else:
            plain.append(line)
    return obeyed, plain


def test_findings_stand_at_their_lines():
    obeyed, plain = commands(fixed())
    name, properties, message = obeyed[2]
    assert name == "error"
    assert properties == {"file": "nets/net.py", "line": "41", "title": "non-finite-backward (NAN106)"}
    assert message.splitlines()[0] == "SqrtBackward0 of frontend gives inf"
    assert message.splitlines()[1:] == ["cause: sqrt at 0 has an infinite slope", "fix: add an epsilon under the root"]
    assert [name for name, _, _ in obeyed] == ["error", "error", "error", "warning", "notice"]
    (told,) = plain
    assert told.startswith("dltool train sample_configs/broken/[sigmoid].yaml: 3 errors, 1 warning, 1 info; ")
    assert told.endswith("; 1 of the 4 rules that apply passed, 1 skipped")


def test_a_file_with_a_hostile_name_is_named_exactly():
    _, properties, _ = commands(fixed())[0][1]
    assert properties["file"] == "data/a|b/50%, `x`:\n<1>.png"


def test_no_more_than_github_shows_and_the_rest_is_counted():
    obeyed, plain = commands(many(10_000))
    assert len(obeyed) == 10
    assert [properties["file"] for _, properties, _ in obeyed] == [f"nets/data/{i}.png" for i in range(10)]
    assert plain[-1] == "not annotated, as GitHub shows 10 of a kind: 9,990 errors; --format json has all"


def test_each_severity_has_its_own_ten():
    found = [many(12, severity).findings for severity in Severity]
    obeyed, plain = commands(bare(*(finding for group in found for finding in group)))
    assert Counter(name for name, _, _ in obeyed) == {"error": 10, "warning": 10, "notice": 10}
    assert "2 errors, 2 warnings, 2 info" in plain[-1]


def test_no_findings_are_said_in_plain_words():
    assert commands(bare()) == ([], ["dltool scan data: no findings; no rule applies"])
    assert "interrupted; no findings" in commands(bare(interrupted=True))[1][0]


def test_hostile_text_commands_nothing():
    obeyed, plain = commands(hostile())
    assert [name for name, _, _ in obeyed] == ["warning"] * 10
    assert [message.splitlines()[0] for _, _, message in obeyed] == [visible(text) for text in HOSTILE[:10]]
    assert "\x1b" not in GithubReporter(GROUND).render(hostile())
    assert not any("##[" in line for line in plain)
    assert "##[" not in commands(bare(target="##[error]x"))[1][0]


def test_a_long_message_is_cut_where_the_runner_would():
    long = fixed().findings[0].__class__(rule="DAT102", name="n", severity=Severity.ERROR, message="x" * 10_000)
    assert len(commands(bare(long))[0][0][2]) == LONGEST


@pytest.mark.parametrize(
    ("text", "data", "value"),
    [
        ("100%", "100%25", "100%25"),
        ("a\r\nb", "a%0D%0Ab", "a%0D%0Ab"),
        ("a:b,c", "a:b,c", "a%3Ab%2Cc"),
        ("%0A", "%250A", "%250A"),
    ],
)
def test_escapes_are_those_of_the_runner(text, data, value):
    assert escaped(text) == data
    assert escaped_property(text) == value


@given(REPORTS)
def test_any_text_comes_back_as_one_command_a_finding(report):
    obeyed, plain = commands(report)
    assert len(obeyed) == len(report.findings)
    for (name, properties, message), finding in zip(obeyed, report.findings, strict=True):
        assert name == {"info": "notice"}.get(finding.severity, finding.severity)
        assert properties["title"] == visible(f"{finding.name} ({finding.rule})")
        assert message.split("\n")[0] == visible(finding.message)
        if finding.where.file:
            assert visible(properties["file"]) == visible(GROUND.shown(finding.where.file))
    assert all(line.startswith(("dltool ", "not annotated")) for line in plain)
