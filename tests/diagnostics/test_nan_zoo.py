"""Every case of the zoo: the plain loop goes bad where the case says, and nan-hunt names the cause."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dltool.diagnostics import nan_hunt
from dltool.diagnostics.hunt.examine import first_guilty
from dltool.specs.target import open_target
from dltool.training.patrol import Patrol

ZOO = Path(__file__).parent.parent / "nan_zoo"
sys.path.insert(0, str(ZOO))  # where the command line puts the folder of a factory's file

from zoo_case import Case, every_case  # noqa: E402
from zoo_loop import train_plainly  # noqa: E402

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
    seen = train_plainly(case.factory, expected.steps).seen
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
    assert train_plainly(case.factory, case.expected.steps, case.expected.innocent).seen is None


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
    assert report.measurements["first_bad_step"] == where.step


@pytest.mark.parametrize("case", HEALTHY, ids=str)
def test_nan_hunt_finds_nothing(case: Case, tmp_path: Path):
    report = _hunt(case, tmp_path)
    assert [f"{finding.rule} {finding.message}" for finding in report.findings] == []
    assert report.measurements["first_bad_step"] is None


@pytest.mark.parametrize("case", [case for case in CASES if case.expected.in_order], ids=str)
def test_a_hunt_leaves_what_the_plain_loop_leaves(case: Case):
    plain = train_plainly(case.factory, case.expected.steps, case.expected.innocent)
    left = _values(plain.model, plain.optimizer)
    experiment = open_target(case.target, steps=case.expected.steps, try_first=False)
    with Patrol(experiment) as patrol:
        guilty = first_guilty(patrol)
        if guilty is not None:
            guilty.caught.leave()
        found = _values(experiment.model, experiment.optimizer)
    assert [name for name, value in found.items() if value != left[name]] == []
    assert found.keys() == left.keys()


def _values(model: nn.Module, optimizer: torch.optim.Optimizer | None) -> dict[str, bytes]:
    """Weights, buffers, the optimizer's state and torch's random state, bit for bit."""
    assert optimizer is not None
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers()), "random": torch.get_rng_state()}
    for parameter, state in optimizer.state.items():
        tensors |= {f"{names[id(parameter)]}/{key}": value for key, value in state.items() if isinstance(value, Tensor)}
    return {
        name: tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        for name, tensor in tensors.items()
    }


def _hunt(case: Case, folder: Path):
    options = nan_hunt.NanHuntOptions(steps=case.expected.steps, run_dir=str(folder / "run"))
    return nan_hunt.run(case.target, options)
