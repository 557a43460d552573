"""Small specs for the rules that judge before anything runs: a model, a loss, and data of which only the kind matters."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import numpy as np

from dltool.core.finding import Check, Finding
from dltool.core.measurements import Measurements
from dltool.rules.catalogue import RULES
from dltool.rules.select import judge
from dltool.specs.design.of_spec import design_of
from dltool.specs.load import load_text

ROWS = 600
INPUTS = {
    "vectors": (20,), "pictures": (3, 32, 32), "grey": (28, 28), "maps": (8, 16, 16), "series": (24, 6), "signal": (1, 64),
}  # fmt: skip
SHARED = TemporaryDirectory()
PATH = str(Path(SHARED.name) / "spec.yaml")


def _targets(name: str, inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rows = len(inputs)
    kind, _, size = name.partition("-")
    count = int(size) if size.isdigit() else 0
    if kind == "classes":
        return np.r_[np.arange(count), rng.integers(0, count, rows - count)]
    made = {
        "from1": lambda: np.r_[np.arange(1, 5), rng.integers(1, 5, rows - 4)],
        "sorted": lambda: np.sort(np.r_[np.arange(4), rng.integers(0, 4, rows - 4)]),
        "binary": lambda: rng.integers(0, 2, rows),
        "signs": lambda: rng.integers(0, 2, rows) * 2 - 1,
        "onetwo": lambda: rng.integers(1, 3, rows),
        "words": lambda: np.array(["ant", "bee", "cat"])[rng.integers(0, 3, rows)],
        "onehot": lambda: np.eye(5, dtype=np.float32)[rng.integers(0, 5, rows)],
        "tags": lambda: (rng.random((rows, 6)) < 0.4).astype(np.float32),
        "shares": lambda: rng.dirichlet(np.ones(5), rows).astype(np.float32),
        "normal": lambda: rng.normal(size=rows).astype(np.float32),
        "unit": lambda: rng.random(rows).astype(np.float32),
        "pairs": lambda: rng.normal(size=(rows, 2)).astype(np.float32),
        "large": lambda: rng.normal(300.0, 80.0, rows).astype(np.float32),
        "noisysine": lambda: (np.sin(rng.random(rows) * 7) + rng.normal(0, 0.1, rows)).astype(np.float32),
        "rising": lambda: np.sort(rng.normal(size=rows)).astype(np.float32),
        "positive": lambda: np.abs(rng.normal(size=rows)).astype(np.float32),
        "counts": lambda: rng.poisson(3.0, rows),
        "self": lambda: inputs,
        "steps": lambda: rng.integers(0, 4, (rows, inputs.shape[1])),
    }
    return made[kind]()


@cache
def _file(inputs: str, targets: str, rows: int) -> str:
    rng = np.random.default_rng(0)
    if inputs.startswith("tokens"):
        x = rng.integers(0, 50, (rows, 12))
    elif inputs == "unitpictures":
        x = rng.random((rows, 784)).astype(np.float32)
    else:
        x = rng.normal(size=(rows, *INPUTS[inputs])).astype(np.float32)
    path = Path(SHARED.name) / f"{inputs}_{targets}_{rows}.npz"
    np.savez(path, x=x, y=_targets(targets, x, rng))
    return str(path)


def text_of(model: str, data: str = "vectors classes-3", rest: str = "loss: cross_entropy", rows: int = ROWS) -> str:
    """A spec. ``data`` is the kind of inputs and of targets, then further keys of ``data``, one after another by " ; "."""
    kinds, *more = data.split(" ; ")
    inputs, targets = kinds.split()
    lines = dedent(model).strip("\n").splitlines()
    has_keys = lines[0].startswith(("init:", "layers:", "input:", "pretrained:"))
    body = "\n".join(f"  {line}" for line in (lines if has_keys else ["layers:", *(f"  {line}" for line in lines)]))
    extra = "".join(
        f"  {entry}\n" for entry in (*more, *(() if "split" in data else ("split: {val: 0.2, stratify: false}",)))
    )
    source = f"  npz: {{path: '{_file(inputs, targets, rows)}', input: x, target: y}}\n"
    return f"version: 1\ndata:\n{source}{extra}model:\n{body}\n{rest}\n"


def judged_text(text: str) -> Measurements:
    """The sections of a spec's text."""
    return design_of(load_text(text, PATH))


def designed(
    model: str, data: str = "vectors classes-3", rest: str = "loss: cross_entropy", rows: int = ROWS
) -> Measurements:
    """The sections of a spec."""
    return judged_text(text_of(model, data, rest, rows))


def asked(measured: Measurements, **limits: float) -> tuple[list[Finding], dict[str, Check]]:
    """What the rules on designs say, and the outcome of each by name."""
    findings, checks = judge(measured, select=("SPC",), thresholds={k.replace("__", "."): v for k, v in limits.items()})
    names = {rule.id: rule.name for rule in RULES}
    return findings, {names[check.rule]: check for check in checks}


def told(measured: Measurements) -> list[str]:
    """Findings as "severity name", in the order of the report."""
    return [f"{finding.severity} {finding.name}" for finding in asked(measured)[0]]


def row(*layers: str) -> str:
    """Layers below one another."""
    return "\n".join(f"- {layer}" for layer in layers)


def init(initialiser: str, layers: str) -> str:
    """A model whose weights start so."""
    body = "\n".join(f"  {line}" for line in layers.strip().splitlines())
    return f"init: {initialiser}\nlayers:\n{body}"


HEAD = "[{linear: 16}, relu, {linear: 3}"
CONV = """
- conv2d: {out_channels: 8, kernel_size: 3, padding: 1}
- relu
"""
CNN = f"{CONV}- global_avg_pool\n- linear: 4"
MLP = "[{linear: 16}, relu, {linear: 3}]"
ONE = "[{linear: 16}, relu, {linear: 1}]"
DEEP = "\n".join("- linear: 32\n- relu" for _ in range(22)) + "\n- linear: 3"
