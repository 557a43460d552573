"""The repository beside this file, gated by the very commands that docs/ci.md and its workflows name."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
REPOSITORY = Path(__file__).with_name("repository")
BASELINE = "dltool-baseline.json"


def documented(heading):
    """The commands under a heading of docs/ci.md, line by line."""
    page = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    (section,) = [part for part in page.split("\n## ") if part.startswith(heading)]
    return section.split("```console\n")[1].split("```")[0].strip().splitlines()


TRAINING = documented("NaN regression gate")
DATA = documented("Data gate")
NIGHTLY = documented("Nightly check-up")
LINT, HUNT_CODE, HUNT_SPEC = TRAINING
SCAN_PICTURES, SCAN_SPEC = DATA


@pytest.fixture
def repository(tmp_path):
    return shutil.copytree(REPOSITORY, tmp_path / "repository", ignore=shutil.ignore_patterns("runs", "__pycache__"))


def run(command, repository):
    """A line as a CI's shell runs it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "CI"))}
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", command],
        cwd=repository,
        env=clean | {"PATH": path, "GITHUB_WORKSPACE": str(repository), "CI": "true"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def annotations(done):
    return [line for line in done.stdout.splitlines() if line.startswith(("::error", "::warning"))]


def edit(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def line_of(file, part):
    (number,) = [number for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if part in line]
    return number


def sqrt_of_zero(root):
    file = root / "parts/grading.py"
    edit(file, "apart.pow(2).sum(-1) + 1e-6", "apart.pow(2).sum(-1)")
    return f"file=parts/grading.py,line={line_of(file, 'torch.sqrt')}"


def cut_off_picture(root):
    file = root / "data/pictures/disc/disc_07.png"
    file.write_bytes(file.read_bytes()[:-100])
    return "file=data/pictures/disc/disc_07.png"


def labels_from_one(root):
    file = root / "data/measurements.csv"
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    moved = [f"{row[:-1]}{int(row[-1]) + 1}" for row in rows]
    file.write_text("\n".join([head, *moved, ""]), encoding="utf-8")
    return "file="


def softmax_before_loss(root):
    file = root / "specs/measurements.yaml"
    edit(file, "    - linear: 3\n", "    - linear: 3\n    - softmax\n")
    return f"file=specs/measurements.yaml,line={line_of(file, 'softmax')}"


def tenfold_rate(root):
    file = root / "specs/pictures.yaml"
    edit(file, "lr: 1e-2", "lr: 1e-1")
    return f"file=specs/pictures.yaml,line={line_of(file, 'lr: 1e-1')}"


@dataclass(frozen=True)
class Fault:
    """What somebody introduces, the command of the gate that must turn red, the rule, and where it must point."""

    introduce: object
    command: str
    rule: str


FAULTS = {
    "sqrt(0)": Fault(sqrt_of_zero, HUNT_CODE, "non-finite-backward"),
    "corrupt picture": Fault(cut_off_picture, SCAN_PICTURES, "corrupt-file"),
    "labels from 1": Fault(labels_from_one, SCAN_SPEC, "labels-not-zero-based"),
    "softmax before cross-entropy": Fault(softmax_before_loss, LINT, "softmax-before-cross-entropy"),
    "tenfold rate": Fault(tenfold_rate, LINT, "learning-rate-out-of-range"),
}


@pytest.mark.slow
@pytest.mark.parametrize("command", [*TRAINING, *DATA])
def test_a_healthy_repository_passes(command, repository):
    done = run(command, repository)
    assert (done.returncode, done.stderr.count("rror")) == (0, 0), done.stdout + done.stderr
    assert not annotations(done)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_turns_the_gate_red_at_its_line_until_it_is_known(name, repository):
    fault = FAULTS[name]
    place = fault.introduce(repository)
    red = run(fault.command, repository)
    assert red.returncode == 1, red.stdout + red.stderr
    annotation = annotations(red)[0]
    assert place in annotation
    assert fault.rule in annotation

    kept = run(fault.command.replace("--baseline", "--write-baseline"), repository)
    assert kept.returncode == 0, kept.stderr
    green = run(fault.command, repository)
    assert green.returncode == 0, green.stdout + green.stderr
    assert not annotations(green)


@pytest.mark.slow
def test_the_next_new_finding_is_red_again(repository):
    cut_off_picture(repository)
    run(SCAN_PICTURES.replace("--baseline", "--write-baseline"), repository)
    assert run(SCAN_PICTURES, repository).returncode == 0
    other = repository / "data/pictures/square/square_03.png"
    other.write_bytes(b"<html><title>404</title></html>")
    red = run(SCAN_PICTURES, repository)
    assert red.returncode == 1
    (new,) = annotations(red)
    assert "square_03.png" in new

    softmax_before_loss(repository)
    run(LINT.replace("--baseline", "--write-baseline"), repository)
    assert run(LINT, repository).returncode == 0
    tenfold_rate(repository)
    red = run(LINT, repository)
    assert red.returncode == 1
    (new,) = annotations(red)
    assert "learning-rate-out-of-range" in new


@pytest.mark.slow
def test_the_night_is_compared_with_the_last_good_one(repository):
    *before, compare = NIGHTLY
    for command in before:
        done = run(command, repository)
        assert done.returncode == 0, done.stdout + done.stderr
    good = repository / "reports/good.json"
    good.parent.mkdir(exist_ok=True)
    shutil.move(repository / "tonight.json", good)
    run(before[-1], repository)
    assert run(compare, repository).returncode == 0
    edit(repository / "specs/measurements.yaml", "lr: 0.05", "lr: 5.0")
    run(before[-1], repository)
    worse = run(compare, repository)
    assert worse.returncode == 1, worse.stdout + worse.stderr
    assert annotations(worse)


def test_the_workflows_run_what_the_page_says():
    def commands(name):
        text = (REPOSITORY / ".github/workflows" / name).read_text(encoding="utf-8")
        jobs = yaml.safe_load(text)["jobs"].values()
        return [step["run"] for job in jobs for step in job["steps"] if step.get("run", "").startswith("dltool")]

    assert commands("gate.yml") == [*TRAINING, *DATA]
    assert commands("nightly.yml") == NIGHTLY


def test_foreign_actions_are_pinned_by_commit():
    files = [ROOT / "action.yml", *sorted((REPOSITORY / ".github/workflows").iterdir())]
    used = [found for file in files for found in re.findall(r"uses: (\S+)", file.read_text(encoding="utf-8"))]
    assert len(used) == 7
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", each) for each in used)


def test_the_hooks_lint_and_nothing_else():
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert [(hook["id"], hook["language"]) for hook in hooks] == [
        ("dltool-lint", "system"),
        ("dltool-lint-isolated", "python"),
    ]
    assert {hook["entry"] for hook in hooks} == {"dltool lint --specs-only"}
    (local,) = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert local["hooks"][0]["entry"] == "dltool lint"


def test_the_hook_is_red_and_green_on_the_files_that_it_is_given(repository):
    specs = sorted(str(path.relative_to(repository)) for path in (repository / "specs").iterdir())
    assert run(f"dltool lint {' '.join(specs)}", repository).returncode == 0
    softmax_before_loss(repository)
    assert run(f"dltool lint {' '.join(specs)}", repository).returncode == 1


class TestTheAction:
    steps = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["runs"]["steps"]

    def script(self, name):
        (step,) = [step for step in self.steps if step["name"] == name]
        return step["run"]

    @pytest.mark.parametrize(
        ("words", "code"),
        [("lint specs/*.yaml", 0), ("lint 'specs/measurements.yaml' --fail-on never", 0), ("lint specs/none.yaml", 2)],
    )
    def test_runs_dltool_with_its_words(self, words, code, repository, monkeypatch):
        monkeypatch.setenv("DLTOOL_ARGS", words)
        done = run(self.script("Run dltool"), repository)
        assert done.returncode == code, done.stdout + done.stderr

    def test_runs_no_shell_code_that_reaches_its_words(self, repository, monkeypatch):
        monkeypatch.setenv("DLTOOL_ARGS", "lint specs/measurements.yaml; touch stolen $(touch stolen)")
        done = run(self.script("Run dltool"), repository)
        assert done.returncode == 2
        assert not (repository / "stolen").exists()

    @pytest.mark.parametrize(("version", "wanted"), [("", "[scan]"), ("1.2.3", "dltool[scan]==1.2.3")])
    def test_installs_torch_from_its_index_first(self, version, wanted, tmp_path):
        said = tmp_path / "said"
        fake = tmp_path / "bin/python"
        fake.parent.mkdir()
        fake.write_text(f'#!/bin/sh\necho "$@" >> {said}\n', encoding="utf-8")
        fake.chmod(0o755)
        given = {"ACTION_PATH": str(ROOT), "VERSION": version, "EXTRAS": "scan", "TORCH_INDEX_URL": "https://index"}
        subprocess.run(
            ["bash", "-eo", "pipefail", "-c", self.script("Install dltool")],
            env={**os.environ, **given, "PATH": os.pathsep.join([str(fake.parent), os.environ["PATH"]])},
            check=True,
        )
        torch, tool = said.read_text(encoding="utf-8").splitlines()
        assert "--index-url https://index torch==" in torch
        assert tool.endswith(wanted)
