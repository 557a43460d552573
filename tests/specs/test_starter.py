"""Starter specs load, run without files where they say so, and say how to go on."""

import pytest

from dltool.core.errors import SpecError
from dltool.specs.load import load_text
from dltool.specs.schema.sources import Images, Synthetic
from dltool.specs.starter import TASKS, starter


@pytest.mark.parametrize(("task", "source"), [("classification", Synthetic), ("regression", Synthetic), ("images", Images)])
def test_a_starter_loads(task, source):
    assert isinstance(load_text(starter(task), "spec.yaml").spec.data.source, source)


@pytest.mark.parametrize("task", TASKS)
def test_its_commented_lines_load_as_well(task):
    """What is behind a ``# key: value`` is meant to be used by taking the # away."""
    text = starter(task)
    for line in ("# schedule:", "# regularize:", "  # early_stopping:", "  # clip_norm:"):
        text = text.replace(line, line.replace("# ", ""))
    spec = load_text(text, "spec.yaml").spec
    assert spec.train.early_stopping is not None
    if "csv:" in text:
        line = next(line for line in text.splitlines() if "# csv:" in line)
        with_file = "\n".join(
            line.replace("# ", "") if "# csv:" in line else line for line in text.splitlines() if "synthetic:" not in line
        )
        assert load_text(with_file, "spec.yaml").spec.data.source.kind == "csv"
        assert line.startswith("  # csv")


def test_another_task_is_an_error_with_a_suggestion():
    with pytest.raises(SpecError, match="did you mean 'regression'"):
        starter("regresion")
