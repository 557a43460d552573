"""The page is read back by markdown-it, with GitHub's tables."""

import html
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from ci_report import ANY_TEXT, GROUND, HOSTILE, REPORTS, bare, fixed, hostile, many, skipped
from hypothesis import given, settings
from markdown_it import MarkdownIt

from dltool.core.finding import Finding, Severity
from dltool.reporters.markdown import COMMENT_BYTES, MarkdownReporter
from dltool.reporters.markdown_text import code, prose
from dltool.reporters.visible import visible

READER = MarkdownIt("commonmark", {"html": True}).enable("table")


def page(report, **kwargs):
    return MarkdownReporter(GROUND, **kwargs).render(report)


def texts(inline):
    assert {child.type for child in inline.children} <= {"text", "code_inline", "text_special", "html_inline"}
    return "".join(child.content for child in inline.children).replace("\u200b", "")


def rows(text):
    """The cells of the first table, as text."""
    tokens = READER.parse(text)
    cells, found = [], []
    for before, token in pairwise(tokens):
        if before.type == "tr_open":
            cells = []
            found.append(cells)
        if before.type in {"td_open", "th_open"}:
            cells.append(texts(token))
    return found[1:]


def squeezed(text):
    """As a browser shows it."""
    return re.sub(" +", " ", text).strip()


def test_the_page_says_the_verdict_and_names_every_finding():
    text = page(fixed())
    assert text.splitlines()[0] == "## ✖ dltool train: 3 errors, 1 warning, 1 info"
    first, image, *_ = rows(text)
    assert first[:3] == ["✖ error", "vanishing-gradient (GRD103)", "nets/sigmoid.yaml:12"]
    assert image[2:] == [r"data/a|b/50%, `x`:\n<1>.png", r"a|b/50%, `x`:\n<1>.png: the file is cut off"]
    assert "**Fit: not-converged.** The validation loss still falls" in text
    assert "- **because of:** vanishing-gradient (GRD103)" in text
    assert "- NAN105: no loss was measured" in text


@pytest.mark.parametrize(
    ("report", "head"),
    [
        (bare(), "## ✔ dltool scan: no findings"),
        (bare(interrupted=True), "## ▲ dltool scan: interrupted; no findings"),
        (bare(checks=(skipped("x"),)), "## ▲ dltool scan: nothing was judged"),
        (many(1, Severity.INFO), "## ● dltool scan: 1 info"),
    ],
)
def test_the_first_line_is_the_verdict(report, head):
    assert page(report).splitlines()[0] == head


def test_what_a_command_answers_is_told():
    text = page(replace(bare(), measurements={"samples_scanned": 12, "suggested_lr": None}))
    assert text.splitlines()[2] == "`data`, samples scanned 12"


def test_many_findings_fit_into_a_comment_and_the_rest_is_counted():
    text = page(many(10_000))
    assert len(text.encode()) <= COMMENT_BYTES
    assert len(rows(text)) == 100
    assert "9,900 more findings are not shown (9,900 corrupt-file); `--format json` has all." in text


def test_a_page_keeps_its_limit_whatever_is_said():
    loud = [Finding(rule="DAT102", name="*" * 900, severity=Severity.ERROR, message="|" * 5_000) for _ in range(500)]
    checks = tuple(skipped("_" * 5_000) for _ in range(100))
    for limit_bytes in (16_000, COMMENT_BYTES):
        assert len(page(bare(*loud, checks=checks, target="`" * 900), limit_bytes=limit_bytes).encode()) <= limit_bytes


def test_hostile_text_formats_links_and_calls_nothing():
    text = page(hostile())
    assert [squeezed(cells[3]) for cells in rows(text)] == [squeezed(visible(said)) for said in HOSTILE]
    types = {child.type for token in READER.parse(text) for child in token.children or ()}
    assert types <= {"text", "text_special", "code_inline", "strong_open", "strong_close", "softbreak"}
    shown = html.unescape(re.sub("<code>.*?</code>", "", READER.render(text)))
    assert "@\u200bteam" in shown
    assert not re.search(r"@\w|#\d|://\w|www\.\w", shown)


@given(ANY_TEXT)
def test_running_text_reads_as_it_is(text):
    (_, inline, _) = READER.parse(f"x {prose(text)} x")
    assert squeezed(texts(inline)) == squeezed(f"x {visible(text)} x".replace("\u200b", ""))


@given(ANY_TEXT)
def test_code_reads_as_it_is(text):
    shown = visible(text)
    tokens = READER.parse(f"x {code(text)} x")
    children = [child for child in tokens[1].children if child.type == "code_inline"]
    assert [child.content for child in children] == ([shown] if shown.strip() else [])


@settings(deadline=None)
@given(REPORTS)
def test_any_text_stays_in_its_cell(report):
    text = page(report)
    text.encode()
    found = rows(text)
    assert len(found) == len(report.findings)
    for cells, finding in zip(found, report.findings, strict=True):
        assert len(cells) == 4
        assert squeezed(cells[3]) == squeezed(visible(finding.message))
        assert squeezed(cells[1]) == squeezed(f"{visible(finding.name)} ({visible(finding.rule)})")
    assert html.unescape(text).count("<details>") >= bool(report.findings)
