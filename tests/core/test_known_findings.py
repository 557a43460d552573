import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltool.core.baseline import ANY_TARGET, Baseline, held_against, known_of, recorded
from dltool.core.baseline_file import names_of, read, write
from dltool.core.errors import OutputError, UserError
from dltool.core.finding import Check, Finding, Severity, Where
from dltool.core.report import Report, RunInfo

RULES = ("ACT101", "DAT102", "FIT103")


def finding(rule="ACT101", key=None, module=None, severity=Severity.ERROR, step=None):
    return Finding(
        rule=rule,
        name=f"name-of-{rule}",
        severity=severity,
        message=f"at step {step}",
        where=Where(key=key, module=module, step=step),
    )


def report(*findings, command="train", target="s.yaml", skipped=(), checks=RULES, interrupted=False):
    found = {each.rule for each in findings}
    run = RunInfo(
        seed=0, torch=None, device=None, spec_sha256=None, seconds=1.0, deterministic=True, interrupted=interrupted
    )
    outcomes = {rule: "skipped" if rule in skipped else "failed" if rule in found else "passed" for rule in checks}
    return Report(
        command=command,
        target=target,
        run=run,
        tool_version="0",
        findings=findings,
        checks=tuple(Check(rule=rule, outcome=outcome) for rule, outcome in outcomes.items()),
    )


def kept(*reports):
    baseline = Baseline(file="b.json")
    for each in reports:
        baseline = recorded(each, baseline, (each.target,))
    return baseline


def gated(report_, baseline):
    return held_against(report_, baseline, (report_.target,))


def test_what_is_recorded_is_known_and_nothing_else():
    before = report(finding(module="0", step=3), finding("DAT102", key="a.png"))
    after = report(finding(module="0", step=99), finding("DAT102", key="a.png"), finding("DAT102", key="b.png"))
    judged = gated(after, kept(before))
    assert [each.where.key for each in judged.findings] == ["b.png"]
    assert [each.finding.where.module or each.finding.where.key for each in judged.suppressed] == ["0", "a.png"]
    assert {each.suppression.by for each in judged.suppressed} == {"baseline"}
    assert {check.rule: (check.outcome, check.reason) for check in judged.checks} == {
        "ACT101": ("passed", "1 known"),
        "DAT102": ("failed", None),
        "FIT103": ("passed", None),
    }
    assert judged.stale == ()
    assert judged.worst() is Severity.ERROR


def test_a_second_finding_of_the_same_fingerprint_is_new():
    judged = gated(report(finding(step=1), finding(step=2)), kept(report(finding())))
    assert [each.where.step for each in judged.findings] == [2]
    assert len(judged.suppressed) == 1


def test_known_findings_that_are_gone_are_told():
    judged = gated(report(finding()), kept(report(finding(), finding(), finding("DAT102", key="a.png"))))
    assert [(each.rule, each.count, each.message) for each in judged.stale] == [
        ("name-of-ACT101", 1, "no longer occurs"),
        ("name-of-DAT102", 1, "no longer occurs at a.png"),
    ]


@pytest.mark.parametrize(
    "unsure",
    [{"skipped": ("DAT102",)}, {"checks": ("ACT101",)}, {"interrupted": True}],
    ids=["skipped", "unasked", "cut off"],
)
def test_what_was_not_judged_is_neither_gone_nor_forgotten(unsure):
    baseline = kept(report(finding("DAT102", key="a.png")))
    now = report(**unsure)
    assert gated(now, baseline).stale == ()
    if not unsure.get("interrupted"):
        assert recorded(now, baseline, ("s.yaml",)) == baseline


def test_recording_takes_the_place_of_what_was_known_of_this_target_alone():
    baseline = kept(
        report(finding(key="old")),
        report(finding(key="other"), target="t.yaml"),
        report(finding(key="scan"), command="scan"),
        report(finding(key="new")),
    )
    found = {(s.command, s.target): [each.where for each in s.findings] for s in baseline.sections}
    assert found == {("train", "s.yaml"): ["new"], ("train", "t.yaml"): ["other"], ("scan", "s.yaml"): ["scan"]}


def test_what_one_command_knows_of_a_target_all_do_and_other_targets_do_not():
    baseline = kept(report(finding(), command="lint"))
    assert gated(report(finding()), baseline).findings == ()
    assert len(gated(report(finding(), target="t.yaml"), baseline).findings) == 1
    assert gated(report(), baseline).stale == (), "lint's own matter"


def test_a_refresh_keeps_known_findings_that_are_still_there():
    baseline = kept(report(finding(key="a"), finding(key="b")))
    judged = gated(report(finding(key="a"), finding(key="c")), baseline)
    (section,) = recorded(judged, baseline, ("s.yaml",)).sections
    assert [each.where for each in section.findings] == ["a", "c"]


FINDINGS = st.lists(
    st.builds(finding, st.sampled_from(RULES), st.sampled_from([None, "a", "b"]), severity=st.sampled_from(list(Severity)))
)


@given(FINDINGS, FINDINGS)
def test_new_known_and_gone_are_the_differences_of_bags(before, after):
    judged = gated(report(*after), kept(report(*before)))
    old, now = (Counter(each.fingerprint for each in some) for some in (before, after))
    assert Counter(each.fingerprint for each in judged.findings) == now - old
    assert Counter(each.finding.fingerprint for each in judged.suppressed) == now & old
    assert sum(each.count for each in judged.stale) == (old - now).total()


@given(FINDINGS, st.randoms())
def test_the_file_is_read_back_and_does_not_depend_on_the_order(tmp_path_factory, found, random):
    path = tmp_path_factory.mktemp("b") / "b.json"
    text = kept(report(*found)).dumps()
    write(path, kept(report(*found)))
    assert path.read_text() == text
    assert read(path).sections == kept(report(*found)).sections
    shuffled = list(found)
    random.shuffle(shuffled)
    assert kept(report(*shuffled)).dumps() == text


def test_the_file_has_a_line_for_each_finding_and_no_time_or_version(tmp_path):
    text = kept(
        report(finding(key="größe.png"), finding(key="größe.png"), finding("FIT103", severity=Severity.INFO))
    ).dumps()
    assert text.isascii()
    assert [line.strip() for line in text.splitlines() if "fingerprint" in line] == [
        (
            f'{{"fingerprint": "{finding(key="größe.png").fingerprint}", "rule": "ACT101", "name": "name-of-ACT101", '
            r'"severity": "error", "where": "gr\u00f6\u00dfe.png", "count": 2},'
        ),
        (
            f'{{"fingerprint": "{finding("FIT103").fingerprint}", "rule": "FIT103", "name": "name-of-FIT103", '
            '"severity": "info", "where": "", "count": 1}'
        ),
    ]
    assert set(json.loads(text)) == {"schema_version", "kind", "tool", "targets"}
    assert json.loads(Baseline().dumps())["targets"] == []


GOOD = {"schema_version": 1, "kind": "dltool-baseline", "tool": "dltool", "targets": []}
SECTION = {"command": "train", "target": "s.yaml", "findings": []}
KNOWN = {"fingerprint": "0" * 16, "rule": "A", "name": "a", "severity": "error", "where": "", "count": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no JSON"),
        ("[]", "is not a baseline; expected a file that --write-baseline made"),
        ("{}", "is not a baseline"),
        ("nan.", "1:1: is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('{"a": 1, "a": 2}', "a: the key stands twice"),
        (json.dumps(GOOD | {"schema_version": 2}), "schema_version: cannot be used (found 2); expected a baseline of"),
        (json.dumps(GOOD | {"targets": {}}), "targets: is not a list"),
        (json.dumps(GOOD | {"targets": [{}, 1]}), "targets.1: has to have command, target and findings"),
        (json.dumps(GOOD | {"targets": [SECTION, SECTION]}), "the target stands twice"),
        (json.dumps(GOOD | {"targets": [SECTION | {"findings": [KNOWN, KNOWN]}]}), "the fingerprint stands twice"),
        (json.dumps(GOOD | {"targets": [SECTION | {"findings": [KNOWN | {"count": 0}]}]}), "a count from 1"),
        (json.dumps(GOOD | {"targets": [SECTION | {"findings": [KNOWN | {"count": True}]}]}), "a count from 1"),
        (json.dumps(GOOD | {"targets": [SECTION | {"findings": [KNOWN | {"severity": "bad"}]}]}), "findings.0: has to have"),
    ],
)
def test_what_is_no_baseline_is_told(text, said, tmp_path):
    path = tmp_path / "b.json"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_what_cannot_be_read_or_written_is_told(tmp_path):
    with pytest.raises(UserError, match=r"there is no such baseline; expected a file; --write-baseline makes it"):
        read(tmp_path / "gone.json")
    with pytest.raises(UserError, match="is a folder"):
        read(tmp_path)
    (tmp_path / "utf16.json").write_text("{}", encoding="utf-16")
    with pytest.raises(UserError, match="is no JSON"):
        read(tmp_path / "utf16.json")
    with pytest.raises(OutputError, match="cannot write"):
        write(tmp_path / "no" / "b.json", Baseline())
    assert not list(tmp_path.glob(".*")), "nothing half-written is left"


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    path = tmp_path / "b.json"
    text = kept(report(finding())).dumps().replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read(path).sections == kept(report(finding())).sections


def test_a_report_may_stand_in_for_a_baseline_but_is_not_overwritten(tmp_path):
    path = tmp_path / "report.json"
    before = gated(report(finding(key="a"), finding(key="b")), kept(report(finding(key="a"))))
    path.write_text(json.dumps(before.to_dict()))
    with pytest.raises(UserError, match="is a report, and is not overwritten"):
        read(path)
    baseline = read(path, or_report=True)
    now = report(finding(key="a"), finding(key="b"), finding(key="c"), target="elsewhere.yaml")
    judged = held_against(now, baseline, ("elsewhere.yaml", ANY_TARGET))
    assert [each.where.key for each in judged.findings] == ["c"]
    path.write_text(json.dumps(before.to_dict() | {"findings": [{"rule": 1}]}))
    with pytest.raises(UserError, match="is a report that cannot be read"):
        read(path, or_report=True)


@pytest.mark.parametrize(
    ("target", "file", "here", "name"),
    [
        ("specs/a.yaml", "dltool-baseline.json", "/repo", "specs/a.yaml"),
        ("a.yaml", "../dltool-baseline.json", "/repo/specs", "specs/a.yaml"),
        ("/repo/specs/a.yaml", "/repo/dltool-baseline.json", "/tmp", "specs/a.yaml"),
        ("specs/a.yaml", "/tmp/b.json", "/repo", "specs/a.yaml"),
        ("./specs/../specs/a.yaml", "b.json", "/repo", "specs/a.yaml"),
        ("net.py:make", "ci/b.json", "/repo", "net.py:make"),
        ("pkg.net:make", "b.json", "/repo", "pkg.net:make"),
        ("data/**/*.png", "b.json", "/repo", "data/**/*.png"),
        ("/data/set", "b.json", "/repo", "/data/set"),
    ],
)
def test_targets_are_named_from_the_baseline_or_the_checkout(target, file, here, name):
    names = names_of(report(target=target), Baseline(), Path(file), here=Path(here), root=Path(here))
    assert names[0] == name


def test_a_target_that_moved_keeps_what_is_known_of_it_and_a_copy_starts_anew(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    for folder in ("old", "new"):
        (tmp_path / folder / "s.yaml").write_text("")
    baseline = kept(report(finding(), target="old/s.yaml"))

    def findings():
        now = report(finding(), target="new/s.yaml")
        names = names_of(now, baseline, tmp_path / "b.json", here=tmp_path, root=tmp_path)
        return len(held_against(now, baseline, names).findings)

    assert findings() == 1
    (tmp_path / "old" / "s.yaml").unlink()
    assert findings() == 0


def test_known_findings_do_not_depend_on_steps_values_or_severity():
    one, other = finding(step=1), replace(finding(step=2, severity=Severity.INFO), evidence={"x": 1.0})
    assert [each.count for each in known_of([one, other])] == [2]
    assert known_of([one, other])[0].severity is Severity.ERROR
