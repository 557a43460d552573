from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan import Sample
from dltool.reporters.prose import numbers_of, paragraph, place_of


def finding(**fields):
    return Finding(rule="DAT102", name="corrupt-file", severity=Severity.ERROR, message="a\nb", **fields)


def test_evidence_is_told_in_words_without_what_does_not_apply():
    evidence = {"a_b": 1.5, "none": None, "empty": [], "samples": (Sample(path="x\n.png", row=None),), "nan": float("nan")}
    assert list(numbers_of(finding(evidence=evidence))) == [("evidence", r"a b 1.5, samples path x\n.png, nan NaN")]
    assert list(numbers_of(finding())) == []


def test_a_paragraph_has_one_line_for_each_thing_said():
    cause = Finding(rule="NAN101", name="non-finite-input", severity=Severity.ERROR, message="m")
    found = finding(
        where=Where(module="", step=3, samples=(1, 2), file="f", line=2),
        cause="c",
        advice=("one", "two"),
        caused_by=cause.fingerprint,
        limit={"x": 1},
    )
    assert paragraph(found, {cause.fingerprint: cause}).split("\n") == [
        r"error: a\nb",
        "  where: the model, step 3, samples 1, 2, f:2",
        "  because of: non-finite-input (NAN101)",
        "  cause: c",
        "  fix: one",
        "  or: two",
        "  limit: x 1",
    ]
    assert paragraph(finding(), {}) == r"error: a\nb"


def test_a_place_with_nothing_known_is_empty():
    assert place_of(finding()) == ""
