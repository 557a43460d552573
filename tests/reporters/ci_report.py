"""One fixed report for the formats that machines read, hostile ones, and reports of any text (hypothesis)."""

from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st
from sample_report import report

from dltool.core.finding import Check, Finding, Severity, Where
from dltool.core.report import Report, RunInfo
from dltool.reporters.place import Ground

GROUND = Ground(Path("/repo/nets"), Path("/repo"))
GOLDEN = Path(__file__).parent / "golden"

HOSTILE = (
    "line\nnext\r\n::error::x",
    "100%",
    "a:b,c::d",
    "\x1b[31mred\x1b[0m\x00\x07",
    "\"double\" 'single' `tick` ``two``",
    "<script>&amp;</script><!--",
    "|| a | b \\| c \\",
    "half \udcff\ud800",
    "\u202ereversed\u2066\ufeff\u2028\ufffe",
    "[text](http://evil.example) ![x](y) @team #12 www.evil.example ##[error]x",
    "]]> </failure> {0} $x$ ~~gone~~ **bold** _i_",
    "  spaces  ",
    "日本語 ‖w‖ 𝕏",
)


def fixed():
    """The sample report, with a finding in data whose name is no harmless one, and a step that went wrong in code."""
    image = Finding(
        rule="DAT102",
        name="corrupt-file",
        severity=Severity.ERROR,
        message="a|b/50%, `x`:\n<1>.png: the file is cut off",
        where=Where(phase="input", file="../data/a|b/50%, `x`:\n<1>.png", key="a|b/50%, `x`:\n<1>.png"),
        evidence={"kind": "truncated", "offset_bytes": 33},
        limit={"flaws": 0},
        advice=("get the file again, or leave it out",),
    )
    step = Finding(
        rule="NAN106",
        name="non-finite-backward",
        severity=Severity.ERROR,
        message="SqrtBackward0 of frontend gives inf",
        where=Where(phase="backward", op="SqrtBackward0", module="frontend", step=3, samples=(5,), file="net.py", line=41),
        cause="sqrt at 0 has an infinite slope",
        evidence={"input": float("inf")},
        advice=("add an epsilon under the root",),
    )
    base = report()
    checks = (Check(rule="DAT102", outcome="failed"), Check(rule="NAN106", outcome="failed"), *base.checks)
    return replace(base, findings=(base.findings[0], image, step, *base.findings[1:]), checks=checks)


def bare(*findings, checks=(), command="scan", target="data", interrupted=False):
    run = RunInfo(
        seed=0, torch=None, device=None, spec_sha256=None, seconds=0.0, deterministic=True, interrupted=interrupted
    )
    return Report(command=command, target=target, tool_version="0", run=run, findings=findings, checks=checks)


def many(number, severity=Severity.ERROR):
    """A scan that found the same in so many files."""
    found = (
        Finding(
            rule="DAT102",
            name="corrupt-file",
            severity=severity,
            message=f"{i}.png: the file is empty",
            where=Where(phase="input", file=f"data/{i}.png", key=f"{i}.png"),
            evidence={"kind": "empty"},
        )
        for i in range(number)
    )
    return bare(*found, checks=(Check(rule="DAT102", outcome="failed"),))


def hostile():
    """Every hostile text in every field that takes text."""
    return bare(*(said_everywhere(text) for text in HOSTILE), checks=(skipped(HOSTILE[0]),), target=HOSTILE[0])


def skipped(reason):
    return Check(rule="NAN105", outcome="skipped", reason=reason)


def said_everywhere(text):
    where = Where(op=text, module=text, parameter=text, file=text, line=3, key=text, samples=(1, 2))
    return Finding(
        rule="DAT102",
        name=text,
        severity=Severity.WARNING,
        message=text,
        where=where,
        cause=text,
        evidence={"text": text, "list": [text, {text: 1.5}]},
        limit={"x": float("nan")},
        advice=(text, text),
    )


ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=30) | st.sampled_from(HOSTILE)
TEXT_OR_NONE = st.none() | ANY_TEXT
WHERES = st.builds(
    Where,
    op=TEXT_OR_NONE,
    module=TEXT_OR_NONE,
    parameter=TEXT_OR_NONE,
    file=TEXT_OR_NONE,
    line=st.none() | st.integers(-1, 10**6),
    key=TEXT_OR_NONE,
)
FINDINGS = st.builds(
    Finding,
    rule=st.sampled_from(["DAT102", "NAN106"]) | ANY_TEXT,
    name=ANY_TEXT,
    severity=st.sampled_from(Severity),
    message=ANY_TEXT,
    where=WHERES,
    cause=TEXT_OR_NONE,
    evidence=st.dictionaries(ANY_TEXT, ANY_TEXT | st.floats() | st.integers(), max_size=2),
    advice=st.lists(ANY_TEXT, max_size=2).map(tuple),
    caused_by=TEXT_OR_NONE,
)
CHECKS = st.builds(Check, rule=st.sampled_from(["DAT102", "ACT101"]), outcome=st.just("skipped"), reason=TEXT_OR_NONE)
REPORTS = st.builds(
    lambda findings, checks, command, target, interrupted: bare(
        *findings, checks=tuple(checks), command=command, target=target, interrupted=interrupted
    ),
    st.lists(FINDINGS, max_size=4),
    st.lists(CHECKS, max_size=2, unique_by=lambda check: check.rule),
    st.sampled_from(["scan", "train"]) | ANY_TEXT,
    ANY_TEXT,
    st.booleans(),
)
