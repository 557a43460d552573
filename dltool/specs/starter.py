"""Commented specs to start from (``dltool new``); they are data files beside this module."""

from __future__ import annotations

from importlib.resources import files

from dltool.core.errors import Problem, SpecError, closest

TASKS = ("classification", "regression", "images")


def starter(task: str = "classification") -> str:
    """The starter spec for one of ``TASKS``; those for classification and regression train as they are.

    Raises:
        SpecError: when there is no starter for ``task``.
    """
    if task not in TASKS:
        expected = f"one of {', '.join(TASKS)}"
        raise SpecError(
            Problem(message=f"there is no starter for {task!r}", expected=expected, suggestion=closest(task, TASKS))
        )
    return files("dltool.specs").joinpath("starters", f"{task}.yaml").read_text(encoding="utf-8")
