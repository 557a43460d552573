"""What the README promises about itself."""

import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from dltool.cli.main import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = (
    "train",
    "gradcheck",
    "nan-hunt",
    "init-stats",
    "lr-find",
    "scan",
    "lint",
    "compare",
    "new",
    "show",
    "schema",
    "rules",
    "explain",
)


def blocks(language):
    return [part.split("```")[0].strip() for part in README.split(f"```{language}\n")[1:]]


def test_every_command_is_in_the_table_and_no_other():
    listed = [
        line.split("`dltool ")[1].split("`")[0].split()[0] for line in README.splitlines() if line.startswith("| `dltool ")
    ]
    assert tuple(listed) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"Usage: dltool {command}" in capsys.readouterr().out


def test_ci_runs_the_test_command_of_the_readme():
    (command,) = [block for block in blocks("console") if block.split(" && ")[-1].startswith("pytest")]
    install, test = command.split(" && ")[-2:]
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").replace("--quiet ", "").splitlines()
    assert install in lines
    assert test in lines


def test_the_files_that_the_commands_name_exist():
    named = {word for block in blocks("console") for word in block.split() if word.startswith("sample_configs/")}
    assert named
    assert all((ROOT / name.partition(":")[0]).is_file() for name in named)


def test_the_spec_in_the_readme_is_right(tmp_path, monkeypatch, capsys):
    (text,) = blocks("yaml")
    assert yaml.safe_load(text)["version"] == 1
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(text, encoding="utf-8")
    assert main(["show", "spec.yaml"]) == 0
    assert "species" in capsys.readouterr().out


def test_the_factory_in_the_readme_gives_what_a_factory_should():
    (factory,) = [block for block in blocks("python") if block.startswith("# net.py")]
    names: dict[str, object] = {}
    exec(factory, names)
    made = names["make"]()
    assert set(made) == {"model", "batches", "val_batches", "loss", "optimizer"}
    assert made["model"](made["batches"][0][0]).shape == (32, 3)


COMMANDS_SHOWN = [block for block in blocks("console") if block.endswith("--quiet")]


@pytest.mark.parametrize("shown", range(len(COMMANDS_SHOWN)), ids=lambda shown: COMMANDS_SHOWN[shown].split()[1])
def test_a_page_in_the_readme_is_what_its_command_prints(shown, tmp_path, monkeypatch, capsys):
    pages = blocks("text")
    assert len(pages) == len(COMMANDS_SHOWN)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "path", [*sys.path])
    shutil.copytree(ROOT / "sample_configs", tmp_path / "sample_configs")
    monkeypatch.chdir(tmp_path)
    main(COMMANDS_SHOWN[shown].split()[1:])
    assert without_numbers(capsys.readouterr().out) == without_numbers(pages[shown])


def without_numbers(page: str) -> str:
    """The last digits differ from processor to processor, and with them the breaks of lines."""
    return re.sub(r"\d[\d.e+-]*", "0", " ".join(page.split()))
