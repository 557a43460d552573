"""Every case of the zoo: the plain loop goes bad where the case says, and nan-hunt names the cause."""

import sys
from pathlib import Path

import pytest

from dltool.core.measured.hunt import FirstBadStep
from dltool.diagnostics import nan_hunt

ZOO = Path(__file__).parent.parent / "nan_zoo"
sys.path.insert(0, str(ZOO))  # where the command line puts the folder of a factory's file

from zoo_case import Case, every_case  # noqa: E402
from zoo_loop import first_bad_step  # noqa: E402

CASES = tuple(every_case())
FAULTY = [case for case in CASES if not case.expected.healthy]
HEALTHY = [case for case in CASES if case.expected.healthy]
SYMPTOMS = {
    "forward": {"loss", "error"},
    "loss": {"loss", "error"},
    "backward": {"gradient"},
    "optimizer": {"parameter", "state"},
}
"""What must be bad after the step; a value that was bad before it shows wherever it is used."""

pytestmark = pytest.mark.filterwarnings("ignore")  # torch and numpy warn of the very things that the users did


def test_the_zoo_is_large_enough():
    phases = {phase for case in FAULTY for phase in case.expected.phase if len(case.expected.phase) == 1}
    assert phases == {"input", "parameter", "buffer", "forward", "loss", "backward", "optimizer"}
    assert len(FAULTY) >= 50
    assert len(HEALTHY) >= 25


@pytest.mark.parametrize("case", FAULTY, ids=str)
def test_the_plain_loop_goes_bad_there(case: Case):
    expected = case.expected
    seen = first_bad_step(case.factory, expected.steps)
    assert seen is not None
    assert expected.step is None or seen.step in expected.step
    possible = [SYMPTOMS.get(phase) for phase in expected.phase]
    assert any(symptoms is None or symptoms & seen.what for symptoms in possible)
    if expected.phase <= {"backward", "optimizer"}:
        assert "loss" not in seen.what
    if expected.phase == {"optimizer"}:
        assert "gradient" not in seen.what


@pytest.mark.parametrize("case", HEALTHY, ids=str)
def test_the_plain_loop_stays_healthy(case: Case):
    assert first_bad_step(case.factory, case.expected.steps, case.expected.innocent) is None


@pytest.mark.parametrize("case", FAULTY, ids=str)
def test_nan_hunt_names_the_cause(case: Case, tmp_path: Path):
    report = _hunt(case, tmp_path)
    assert report.findings, "nothing was found"
    finding, expected = report.findings[0], case.expected
    where = finding.where
    wrong = {
        field: f"{getattr(where, field)!r} instead of {' or '.join(map(repr, allowed))}"
        for field in ("phase", "op", "module", "parameter", "step", "samples")
        if (allowed := getattr(expected, field)) is not None and getattr(where, field) not in allowed
    }
    term = finding.evidence.get("term")
    if expected.term is not None and term not in expected.term:
        wrong["term"] = f"{term!r} instead of {set(expected.term)}"
    if expected.line is not None and (Path(where.file or "").name, where.line) != (case.path.name, expected.line):
        wrong["line"] = f"{where.file}:{where.line} instead of {case.path.name}:{expected.line}"
    assert not wrong, f"{finding.rule} {where.phase}: {finding.message}"
    assert report.measurements[FirstBadStep].step == where.step


@pytest.mark.parametrize("case", HEALTHY, ids=str)
def test_nan_hunt_finds_nothing(case: Case, tmp_path: Path):
    report = _hunt(case, tmp_path)
    assert [f"{finding.rule} {finding.message}" for finding in report.findings] == []
    assert report.measurements[FirstBadStep].step is None


def _hunt(case: Case, folder: Path):
    options = nan_hunt.NanHuntOptions(steps=case.expected.steps, run_dir=str(folder / "run"))
    return nan_hunt.run(case.target, options)
