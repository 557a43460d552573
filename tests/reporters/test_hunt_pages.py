"""The pages of a hunt. ``DLTOOL_UPDATE_GOLDEN=1 pytest tests/reporters`` writes the golden ones anew."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hunt_report import EVENT, finding, hunted, passed, report
from rich.cells import cell_len

from dltool.core.measured.hunt import BadInput, BadInputs, StepsRun
from dltool.core.measured.non_finite import NonFinite, TensorFacts
from dltool.core.measurements import Measurements
from dltool.reporters.base import Detail, Look
from dltool.reporters.table.birth import tensor
from dltool.reporters.table.page import Page
from dltool.reporters.table.reporter import TableReporter
from dltool.reporters.table.style import UNICODE_SIGNS

GOLDEN = Path(__file__).parent / "golden"
PAGES = {
    "hunt-80": (Look(width=80), hunted(fixes=True)),
    "hunt-60-growing": (Look(width=60), hunted(growing=True)),
    "hunt-140-verbose": (Look(width=140, detail=Detail.VERBOSE), hunted(growing=True, fixes=True)),
    "hunt-80-ascii": (Look(width=80, unicode=False), hunted(growing=True)),
    "hunt-80-quiet": (Look(width=80, detail=Detail.QUIET), hunted()),
    "hunt-80-healthy": (Look(width=80), hunted(found=False)),
    "inputs-80": (Look(width=80), passed(bad_batches=15)),
}
LINE = "net.py:41: NAN106 non-finite-backward: the gradient of sqrt is Inf at step 41, because sample 5 takes it at 0"


@pytest.mark.parametrize("name", PAGES)
def test_the_page_looks_as_it_should(name):
    look, made = PAGES[name]
    text = TableReporter(look).render(made)
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("DLTOOL_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_only_the_line_for_machines_is_wider_than_the_page(name):
    look, made = PAGES[name]
    wide = [line for line in TableReporter(look).render(made).splitlines() if cell_len(line) > look.width]
    assert [line for line in wide if not line.startswith("net.py:41: NAN106 ")] == []


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("detail", Detail)
def test_the_finding_is_on_one_line_at_any_width_and_detail(width, detail):
    assert LINE in TableReporter(Look(width=width, detail=detail)).render(hunted()).splitlines()


def test_without_a_file_the_line_names_the_target():
    nowhere = replace(finding(), where=replace(finding().where, file=None, line=None))
    text = TableReporter(Look(width=80)).render(replace(hunted(), findings=(nowhere,)))
    assert LINE.replace("net.py:41", "net.py:make") in text.splitlines()


def test_a_message_of_several_lines_stays_on_one():
    odd = replace(finding(), message="first\nsecond\x1b[31m")
    text = TableReporter(Look(width=80)).render(replace(hunted(), findings=(odd,)))
    assert "net.py:41: NAN106 non-finite-backward: first second\\x1b[31m" in text.splitlines()


def test_ascii_means_ascii():
    assert TableReporter(Look(width=80, unicode=False)).render(hunted(growing=True, fixes=True)).isascii()


def test_a_finding_of_another_family_takes_nothing_from_the_event():
    other = replace(finding(), rule="OPT101", name="learning-rate-too-high")
    text = TableReporter(Look(width=80)).render(replace(hunted(), findings=(other,)))
    assert EVENT.code is not None
    assert EVENT.code not in text
    assert "replay" not in text


def test_a_cure_that_the_advice_tells_is_not_told_twice():
    told = replace(finding(), advice=("without sample 5: tried, and all 50 steps stayed finite",))
    text = TableReporter(Look(width=80)).render(replace(hunted(fixes=True), findings=(told,)))
    assert text.count("without sample 5") == 1
    assert "the gradient norm clipped at 1: bad again after 0 steps" in text


def test_a_long_word_is_folded_not_cut():
    long = replace(finding(), advice=("torch.nn.utils.clip_grad_norm_(model.parameters(),1.0)",))
    text = TableReporter(Look(width=60)).render(replace(hunted(), findings=(long,)))
    assert "clip_grad_norm_(model.parameters(),1.0)" in text.replace("\n", "").replace(" ", "")


def test_a_scalar_has_no_index():
    event = replace(EVENT, index=(), output=TensorFacts(shape=(), dtype="float32", positive_inf=1))
    measured = Measurements([NonFinite(events=(event,))]).to_dict()
    text = TableReporter(Look(width=80)).render(replace(hunted(), measurements=measured))
    assert "float32 scalar, 1 inf: div(0.0312, 0)" in text


def test_a_page_without_a_trace_shows_what_is_known():
    bare = replace(EVENT, code=None, inputs=(), output=None, proof=None)
    measured = {**hunted().measurements, "non_finite": []}
    text = TableReporter(Look(width=80)).render(replace(hunted(), findings=(finding(bare),), measurements=measured))
    assert "sqrt at 0 has an infinite slope" in text
    assert "took" not in text


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (TensorFacts(shape=(), dtype="float32", minimum=1.5, maximum=1.5), "float32 scalar, 1.5"),
        (TensorFacts(shape=(2, 3), dtype="int64", minimum=0, maximum=0, zeros=6), "int64 2×3, 0"),
        (TensorFacts(shape=(2, 3), dtype="float16", nan=6), "float16 2×3, 6 NaN"),
        (TensorFacts(shape=(0, 3), dtype="float32"), "float32 0×3, empty"),
        (
            TensorFacts(shape=(4,), dtype="float32", zeros=1, minimum=0, maximum=2, positive_inf=1, negative_inf=2),
            "float32 4, 0 to 2, 1 zero, 1 inf, 2 -inf",
        ),
    ],
)
def test_a_tensor_in_words(facts, said):
    page = Page(report=hunted(), measured=Measurements(), look=Look(), sign=UNICODE_SIGNS, width=80)
    assert tensor(facts, page) == said


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ((), "not told apart"),
        ((5,), "5"),
        ((5, 6, 9), "5, 6, 9"),
        ((0, 3, 4, 5, 6, 9), "0, 3 to 6, 9"),
        (tuple(range(0, 40, 2)), "0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22 and 8 more"),
    ],
)
def test_samples_in_words(samples, said):
    batch = BadInput(batch=7, samples=samples, phase="input", op=None, module=None)
    seen = BadInputs(samples=64, batches=(batch,), batches_passed=8)
    text = TableReporter(Look(width=140)).render(report([StepsRun(steps=8), seen], ()))
    assert f"7  {said}  " in text
    assert "the batch as delivered" in text
