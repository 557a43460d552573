"""The page as text. The files in golden/ are what it must look like.

``DLTOOL_UPDATE_GOLDEN=1 pytest tests/reporters`` writes them anew, for a look at the difference before it is committed.
"""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from sample_report import findings, report

from dltool.core.finding import Check, Finding, Severity, Where
from dltool.core.report import Report, RunInfo
from dltool.reporters.base import Detail, Look
from dltool.reporters.table.findings import numbers
from dltool.reporters.table.reporter import TableReporter

GOLDEN = Path(__file__).parent / "golden"
PAGES = {
    "80": (Look(width=80), {}),
    "140": (Look(width=140), {}),
    "80-ascii": (Look(width=80, unicode=False), {"found": False}),
    "80-deep": (Look(width=80), {"depth": 100}),
    "80-quiet": (Look(width=80, detail=Detail.QUIET), {}),
    "140-verbose": (Look(width=140, detail=Detail.VERBOSE), {"depth": 30}),
    "80-short": (Look(width=80), {"epochs": 1}),
}


def page(look=None, **kwargs):
    return TableReporter(look or Look(width=100)).render(report(**kwargs))


def bare(**kwargs):
    run = RunInfo(seed=0, torch=None, device=None, spec_sha256=None, seconds=0.0, deterministic=True)
    return Report(command="lint", target="x.yaml", tool_version="0", run=run, **kwargs)


@pytest.mark.parametrize("name", PAGES)
def test_the_page_looks_as_it_should(name):
    look, kwargs = PAGES[name]
    text = page(look, **kwargs)
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("DLTOOL_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_no_line_is_wider_than_the_page(name):
    look, kwargs = PAGES[name]
    assert max(cell_len(line) for line in page(look, **kwargs).splitlines()) <= look.width


def test_ascii_means_ascii():
    assert page(Look(width=80, unicode=False), depth=100).isascii()


def test_colour_adds_escape_codes_and_nothing_else():
    coloured = page(Look(width=100, color_system="truecolor"))
    assert "\x1b[" in coloured
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in stripped.splitlines()] == page().splitlines()


def test_no_color_keeps_weight_and_drops_colour():
    codes = set(re.findall(r"\x1b\[([0-9;]*)m", page(Look(width=100, color_system="truecolor", no_color=True))))
    assert codes <= {"0", "1", "2"}


def test_markup_in_names_is_text():
    text = page()
    assert "[sigmoid].yaml" in text
    assert "weights of [layers.0] move" in text


@pytest.mark.parametrize("nasty", ["x[/y]", "[bold]x", "a\x1b[31mb", "a\x07b", ":smile:"])
def test_names_from_outside_cannot_steer_the_terminal(nasty):
    finding = Finding(
        rule="GRD101", name="n", severity=Severity.ERROR, message=nasty, where=Where(module=nasty), advice=(nasty,)
    )
    text = TableReporter(Look(width=100)).render(bare(findings=(finding,)))
    assert nasty.replace("\x1b", "\\x1b").replace("\x07", "\\x07") in text
    assert "\x1b" not in text


def test_a_symptom_names_its_cause():
    text = page()
    assert text.index("learning-rate-too-low") < text.index("because of  vanishing-gradient (GRD103)")


def test_a_cause_that_is_not_in_the_report_is_left_out():
    (_, symptom, _) = findings()
    text = TableReporter(Look(width=100)).render(bare(findings=(symptom,)))
    assert "because of" not in text


def test_the_worst_layers_of_a_deep_net_are_shown_and_the_rest_counted():
    text = page(depth=100)
    assert "24 of 100 shown" in text
    shown = re.findall(r"^ .  ?(layers\.\d+) ", text, flags=re.MULTILINE)
    assert len(shown) == 24
    assert {"layers.0", "layers.99"} <= set(shown)


def test_verbose_hides_no_layer():
    text = page(Look(width=100, detail=Detail.VERBOSE), depth=100)
    assert len(re.findall(r"^ .  ?layers\.\d+ ", text, flags=re.MULTILINE)) == 100


def test_quiet_is_findings_and_verdict():
    text = page(Look(width=100, detail=Detail.QUIET))
    assert "Layers" not in text
    assert "vanishing-gradient" in text
    assert "Verdict" in text


def test_a_report_without_measurements_is_a_header_and_a_summary():
    text = TableReporter(Look(width=100)).render(bare())
    assert text.startswith("dltool lint  x.yaml\n")
    assert text.endswith("no findings\n")


def test_an_interrupted_run_says_so():
    run = replace(report().run, interrupted=True)
    assert "interrupted" in TableReporter(Look(width=100)).render(replace(report(), run=run))


def test_losses_that_are_not_finite_are_shown_as_such():
    measurements = dict(report(epochs=5).measurements)
    history = dict(measurements["history"])
    history["epochs"] = [dict(epoch, val_loss="NaN" if epoch["epoch"] > 2 else 1.0) for epoch in history["epochs"]]
    text = TableReporter(Look(width=100)).render(replace(report(), measurements=measurements | {"history": history}))
    assert "✖" in text
    assert "val NaN" in text


def test_frozen_layers_are_marked_as_frozen():
    measurements = dict(report().measurements)
    first, *rest = measurements["layers"]
    frozen = first | {"trainable": False, "gradient_norm": None, "update_ratio": None}
    text = TableReporter(Look(width=100)).render(replace(report(), measurements=measurements | {"layers": [frozen, *rest]}))
    assert re.search(r"layers\.0 .* frozen", text)


def test_long_names_keep_their_tail_and_the_table_keeps_its_width():
    measurements = dict(report().measurements)
    share = {
        "share": 0.4,
        "lower": 0.3,
        "upper": 0.5,
        "tolerance_ratio": 0.01,
        "units": 9,
        "observations": 99,
        "examples": [],
    }
    longer = [
        layer | {"name": f"encoder.blocks.{i}.attention.out_proj", "kind": "NonDynamicallyQuantizableLinear", "dead": share}
        for i, layer in enumerate(measurements["layers"])
    ]
    text = TableReporter(Look(width=80)).render(replace(report(), measurements=measurements | {"layers": longer}))
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "out_proj" in text


def test_an_interval_reads_from_to():
    ((label, text),) = numbers("evidence", {"gap": 0.705, "gap_interval": (0.27, 1.14)})
    assert (label, text.plain) == ("evidence", "gap 0.705, gap interval 0.27 to 1.14")


def test_a_verdict_that_is_a_finding_is_told_once() -> None:
    known = report()
    finding = known.findings[0]
    fit = dict(known.measurements["fit"]) | {"reason": finding.message}
    text = TableReporter(Look(width=400)).render(replace(known, measurements={**known.measurements, "fit": fit}))
    assert text.count(finding.message) == 1
    assert f"as {finding.name} ({finding.rule}) says above" in text


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ("sss", "no rule applies"),
        ("ps", "the one rule that applies passed"),
        ("fs", "the one rule that applies did not pass"),
        ("ppss", "all 2 rules that apply passed"),
        ("ppfss", "2 of the 3 rules that apply passed"),
    ],
)
def test_the_last_line_counts_the_rules_that_had_something_to_judge(outcomes, told) -> None:
    words = {"s": "skipped", "p": "passed", "f": "failed"}
    checks = tuple(Check(rule=f"X{i}", outcome=words[letter]) for i, letter in enumerate(outcomes))
    last = TableReporter(Look(width=80)).render(bare(checks=checks)).rstrip().split("\n")[-1]
    assert last.endswith(f"  {told}")
    every = TableReporter(Look(width=80, detail=Detail.VERBOSE)).render(bare(checks=checks)).rstrip().split("\n")[-1]
    assert every.endswith(f"{told}, {outcomes.count('s')} skipped")
