"""compare from files to findings: what is told for each kind of change, and what is not."""

import json
import math
from dataclasses import replace

import pytest
from compared_reports import FALLING, OPTIMISATION, SPEED, TASK, finding, history, layer, parameter, report, written

from dltool.core.baseline import Baseline, Section, known_of
from dltool.core.errors import UserError
from dltool.core.finding import Severity
from dltool.core.measured.compare import Changes, ComparedFindings, ComparedSamples, Doubts
from dltool.core.measured.gradcheck import CheckedParameters, GradientRecord
from dltool.core.measured.hunt import FirstBadStep
from dltool.core.measured.lr_find import LrRange, SuggestedLr
from dltool.core.measured.scan import BadSample, BadSamples, SamplesScanned
from dltool.core.measured.scan_classes import ClassCount, ClassTable
from dltool.core.measured.scan_tables import Feature, FeatureTable
from dltool.core.measured.training import Layers, Parameters
from dltool.core.measurements import Measurements
from dltool.diagnostics.compare.run import CompareOptions, run


@pytest.fixture
def compare(tmp_path):
    def comparing(before, after, **options):
        made = run(written(tmp_path, "before", before), written(tmp_path, "after", after), CompareOptions(**options))
        return made, Measurements.from_dict(json.loads(json.dumps(made.to_dict()))["measurements"], "compare")

    return comparing


def names(made):
    return [each.name for each in made.findings]


def severities(made):
    return {each.name: each.severity for each in made.findings}


def test_a_report_against_itself_is_no_difference(compare):
    one = report(findings=(finding(),))
    made, measured = compare(one, one)
    assert made.findings == ()
    assert {change.verdict for change in measured[Changes].changes} == {"equal"}
    assert {change.group for change in measured[Changes].changes} == {"loss", "metric", "flow", "units", "speed"}
    assert [each.rule for each in measured[ComparedFindings].kept] == ["ACT101"]
    assert measured[Doubts].doubts == ()


def test_a_new_finding_keeps_its_rule_name_and_fingerprint(compare):
    made, measured = compare(report(), report(findings=(finding(),)))
    (new,) = made.findings
    assert (new.rule, new.name, new.fingerprint) == ("ACT101", "dead-relu", finding().fingerprint)
    assert [each.before for each in measured[ComparedFindings].new] == [0]
    assert {check.rule: check.outcome for check in made.checks}["ACT101"] == "failed"


def test_a_known_finding_is_kept_and_its_rule_passes(compare):
    made, _ = compare(report(findings=(finding(),)), report(findings=(finding(),)))
    assert made.findings == ()
    assert {check.rule: check.outcome for check in made.checks}["ACT101"] == "passed"


def test_a_second_finding_with_the_same_fingerprint_is_new(compare):
    made, measured = compare(report(findings=(finding(),)), report(findings=(finding(), finding())))
    assert names(made) == ["dead-relu"]
    assert [(each.before, each.after) for each in measured[ComparedFindings].new] == [(1, 2)]


def test_a_finding_that_got_graver_counts_again(compare):
    before, after = (report(findings=(finding(severity=each),)) for each in (Severity.WARNING, Severity.ERROR))
    assert names(compare(before, after)[0]) == ["dead-relu"]
    assert names(compare(after, before)[0]) == []


def test_sides_exchanged_exchange_new_and_gone(compare):
    one, two = report(findings=(finding(),)), report(findings=(finding("FIT102", "x"), finding(key="y")))
    there, back = (compare(*pair)[1][ComparedFindings] for pair in ((one, two), (two, one)))
    assert {each.fingerprint for each in there.new} == {each.fingerprint for each in back.gone}
    assert {each.fingerprint for each in there.gone} == {each.fingerprint for each in back.new}


def test_a_finding_whose_rule_is_not_judged_any_more_is_not_gone(compare):
    made, measured = compare(report(findings=(finding(),)), report(skipped=("ACT101",)))
    assert severities(made) == {"rule-not-judged": Severity.WARNING}
    assert "no units were seen" in made.findings[0].cause
    assert not measured[ComparedFindings].gone
    assert [each.rule for each in measured[ComparedFindings].unjudged] == ["ACT101"]
    passed_before, _ = compare(report(), report(skipped=("ACT101",)))
    assert severities(passed_before) == {"rule-not-judged": Severity.INFO}


def test_a_new_finding_of_a_rule_that_was_not_judged_before_is_told_so(compare):
    _, measured = compare(report(skipped=("ACT101",)), report(findings=(finding(),)))
    assert any(doubt.what == "ACT101" and "not judged before" in doubt.reason for doubt in measured[Doubts].doubts)


def test_a_higher_loss_is_an_error_and_a_lower_one_is_none(compare):
    higher = report(history([1.1, 1.0, 0.95, 0.9, 0.88, 0.87]))
    made, _ = compare(report(), higher)
    assert severities(made) == {"loss-regressed": Severity.ERROR}
    assert {each.where.key for each in made.findings} == {"history.val_loss", "history.train_loss"}
    back, measured = compare(higher, report())
    assert back.findings == ()
    assert {c.verdict for c in measured[Changes].changes if c.group == "loss"} == {"better"}


def test_a_loss_within_its_noise_is_no_finding(compare):
    made, _ = compare(report(), report(history([loss + 0.02 for loss in FALLING])))
    assert made.findings == ()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_any_more_is_worse_than_any(compare, bad):
    ill = report(history([1.1, 0.9, bad]))
    assert "loss-regressed" in names(compare(report(), ill)[0])
    assert "loss-regressed" not in names(compare(ill, report())[0])
    assert "loss-regressed" not in names(compare(ill, ill)[0])


def test_losses_of_different_kinds_are_not_compared_and_that_is_said(compare):
    made, measured = compare(report(), report(history([50.0] * 6), replace(TASK, loss="mse")))
    assert "loss-regressed" not in names(made)
    assert any(doubt.what == "losses" for doubt in measured[Doubts].doubts)


def test_metrics_know_which_way_is_better(compare):
    low, high = report(history(FALLING, accuracy=0.6)), report(history(FALLING, accuracy=0.95))
    assert "metric-regressed" in names(compare(high, low)[0])
    assert "metric-regressed" not in names(compare(low, high)[0])
    small, large = (report(history(FALLING, accuracy=value, metric="mae")) for value in (0.1, 0.9))
    assert "metric-regressed" in names(compare(small, large)[0])
    assert "metric-regressed" not in names(compare(large, small)[0])
    one, two = (report(history(FALLING, accuracy=value, metric="perplexity")) for value in (1.0, 9.0))
    assert "metric-regressed" not in names(compare(one, two)[0])


def test_the_same_regression_is_a_warning_where_the_sides_are_not_alike(compare):
    higher = history([1.1, 1.0, 0.95, 0.9, 0.88, 0.87])
    made, _ = compare(report(), report(higher, target="other.yaml"))
    assert severities(made) == {"loss-regressed": Severity.WARNING, "not-comparable": Severity.INFO}
    cut, _ = compare(report(), report(higher, interrupted=True))
    assert severities(cut)["loss-regressed"] is Severity.WARNING
    moved, _ = compare(report(), report(higher, target="/elsewhere/spec.yaml"))
    assert severities(moved) == {"loss-regressed": Severity.ERROR}
    other_seed, measured = compare(report(), report(higher, seed=7))
    assert severities(other_seed) == {"loss-regressed": Severity.ERROR}
    assert [doubt.what for doubt in measured[Doubts].doubts] == ["seed"]


def test_a_layer_that_vanished_is_named(compare):
    gone = Parameters(parameters=(parameter("0.weight", gradient=0.0), parameter("1.weight")), steps=60)
    made, _ = compare(report(), report(gone))
    assert severities(made) == {"flow-changed": Severity.WARNING}
    assert "gradient_norm of 0.weight: 0.5 before, 0 after" in made.findings[0].message


def test_a_tenfold_rate_shows_in_all_updates(compare):
    faster = Parameters(parameters=(parameter("0.weight", ratio=1e-2), parameter("1.weight", ratio=1e-2)), steps=60)
    made, _ = compare(report(), report(faster))
    assert names(made) == ["flow-changed"]
    assert made.findings[0].evidence["place_count"] == 3  # all parameters together, and each


def test_units_that_died(compare):
    assert names(compare(report(), report(Layers(layers=(layer("1", dead=0.5),))))[0]) == ["idle-units-grew"]
    assert names(compare(report(), report(Layers(layers=(layer("1", dead=0.2),))))[0]) == []
    assert names(compare(report(Layers(layers=(layer("1", dead=0.5),))), report())[0]) == []


def test_a_slower_step_is_a_warning_on_the_same_machine_alone(compare):
    twice = replace(SPEED, step_cpu_ms=(4.0,) * 9)
    assert severities(compare(report(), report(twice))[0]) == {"slower": Severity.WARNING}
    assert names(compare(report(twice), report())[0]) == []
    busy = replace(twice, reference_ms=(2.0,) * 9)
    assert names(compare(report(), report(busy))[0]) == []
    for other in (replace(twice, machine="another"), replace(twice, batch_samples=64), replace(twice, step_ms=(2.0,))):
        made, measured = compare(report(), report(other))
        assert names(made) == []
        assert any(doubt.what == "speed" for doubt in measured[Doubts].doubts)


def test_different_commands_compare_findings_alone_and_warn(compare):
    made, measured = compare(report(), replace(report(findings=(finding(),)), command="nan-hunt"))
    assert severities(made) == {"dead-relu": Severity.ERROR, "not-comparable": Severity.WARNING}
    assert measured[Changes].changes == ()


def test_a_shorter_run_is_told(compare):
    _, measured = compare(report(), report(replace(OPTIMISATION, steps=30)))
    assert any(doubt.what == "length" for doubt in measured[Doubts].doubts)


def gradcheck(error):
    record = GradientRecord(
        relative_error=error, verdict="right", method="elements", module="0", shape=(2,), elements=2, compared=2,
        analytic_norm=1.0, numeric_norm=1.0, resolution=1e-9,
    )  # fmt: skip
    return answered("gradcheck", CheckedParameters(parameters={"0.weight": record}))


def answered(command, *sections):
    return replace(report(), command=command, measurements=Measurements(sections).to_dict())


def test_gradcheck_errors_below_rounding_may_be_any_number(compare):
    assert names(compare(gradcheck(1e-9), gradcheck(5e-6))[0]) == []
    assert names(compare(gradcheck(1e-9), gradcheck(1e-4))[0]) == ["gradient-error-grew"]
    assert names(compare(gradcheck(1e-4), gradcheck(1e-9))[0]) == []


def rate(lr, ends=None):
    return answered("lr-find", SuggestedLr(lr=lr), LrRange(ends=ends))


def test_a_rate_that_moved_is_worth_knowing_and_none_at_all_a_warning(compare):
    assert names(compare(rate(1e-3), rate(2e-3))[0]) == []
    assert severities(compare(rate(1e-3), rate(1e-2))[0]) == {"suggested-rate-moved": Severity.INFO}
    assert severities(compare(rate(1e-3), rate(None))[0]) == {"suggested-rate-moved": Severity.WARNING}
    assert names(compare(rate(None), rate(None))[0]) == []
    wide = (1e-4, 1e-2)
    assert names(compare(rate(1e-3, wide), rate(1e-2, wide))[0]) == []


def hunted(step, **fields):
    return replace(answered("nan-hunt", FirstBadStep(step=step)), **fields)


def test_a_hunt_that_ends_far_earlier(compare):
    assert names(compare(hunted(40), hunted(5))[0]) == ["earlier-non-finite"]
    assert names(compare(hunted(40), hunted(30))[0]) == []
    other = hunted(5)
    assert names(compare(hunted(40), replace(other, run=replace(other.run, seed=9)))[0]) == []
    assert names(compare(hunted(None), hunted(5))[0]) == []  # the hunt's own finding says it


def scanned(samples=1000, classes=(500, 500), mean=0.0, missing=0, bad=()):
    table = ClassTable(
        source="column", column="y", kind="integers", samples=samples, distinct=len(classes),
        classes=tuple(ClassCount(label=str(i), samples=n) for i, n in enumerate(classes)),
    )  # fmt: skip
    feature = Feature(name="x", dtypes=("float",), files=1, rows=samples, missing=missing, mean=mean, std=1.0)
    found = BadSamples(samples=tuple(BadSample(path=p, row=None, name="corrupt-file", severity=Severity.ERROR) for p in bad))
    return answered(
        "scan", SamplesScanned(samples=samples), table, FeatureTable(features=(feature,), tables=1, rows=samples), found
    )


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (scanned(), False),
        (scanned(samples=950), False),
        (scanned(samples=600), True),
        (scanned(classes=(480, 520)), False),
        (scanned(classes=(900, 100)), True),
        (scanned(classes=(1000,)), True),
        (scanned(mean=0.1), False),
        (scanned(mean=0.5), True),
        (scanned(missing=20), False),
        (scanned(missing=300), True),
    ],
)
def test_data_that_shifted(compare, after, told):
    made, _ = compare(scanned(), after)
    assert ("data-shifted" in names(made)) is told


def test_bad_samples_new_and_gone(compare):
    _, measured = compare(scanned(bad=("a.png", "b.png")), scanned(bad=("b.png", "c.png")))
    samples = measured[ComparedSamples]
    assert [each.path for each in samples.new] == ["c.png"]
    assert [each.path for each in samples.gone] == ["a.png"]
    assert (samples.new_count, samples.gone_count, samples.kept_count) == (1, 1, 1)


def test_a_baseline_on_either_side(tmp_path):
    known = Baseline((Section(command="train", target="spec.yaml", findings=known_of([finding()])),))
    path = tmp_path / "known.json"
    path.write_text(known.dumps())
    same = written(tmp_path, "same", report(findings=(finding(),)))
    more = written(tmp_path, "more", report(findings=(finding(), finding("FIT102", "x"))))
    assert names(run(str(path), same, CompareOptions())) == []
    assert names(run(str(path), more, CompareOptions())) == ["overfitting"]
    assert names(run(more, str(path), CompareOptions())) == []
    empty = tmp_path / "empty.json"
    empty.write_text(Baseline().dumps())
    made = run(str(empty), str(path), CompareOptions())
    assert [(each.name, each.severity) for each in made.findings] == [("dead-relu", Severity.ERROR)]


def test_select_and_ignore_choose_among_new_findings_and_measurements(compare):
    before, after = report(), report(history([5.0] * 6), findings=(finding(),))
    assert set(names(compare(before, after)[0])) == {"dead-relu", "loss-regressed"}
    assert set(names(compare(before, after, select=("CMP",))[0])) == {"loss-regressed"}
    assert set(names(compare(before, after, ignore=("CMP101",))[0])) == {"dead-relu"}
    with pytest.raises(UserError, match="no rule has this id"):
        compare(before, after, select=("CMP999",))


def test_a_section_in_another_shape_is_told_and_the_rest_is_compared(tmp_path):
    odd = json.loads(json.dumps(report().to_dict()))
    odd["measurements"]["history"] = "lost"
    after = written(tmp_path, "after", report(), measurements=odd["measurements"], schema_version=9)
    made = run(written(tmp_path, "before", report()), after, CompareOptions())
    doubts = made.measurements["not_compared"]
    assert [doubt["what"] for doubt in doubts if "cannot be read" in doubt["reason"]] == ["history after"]
    assert any("version 9" in doubt["reason"] for doubt in doubts)
    assert {change["group"] for change in made.measurements["changes"]} == {"flow", "units", "speed"}


@pytest.mark.parametrize(("shape", "told"), [((1,), False), ((10_000,), True)])
def test_a_norm_of_few_numbers_scatters_by_more(compare, shape, told):
    def with_bias(ratio):
        bias = replace(parameter("1.bias", ratio=ratio), shape=shape)
        weights = [parameter(f"{index}.weight") for index in range(5)]
        return report(Parameters(parameters=(*weights, bias), steps=60))

    assert ("flow-changed" in names(compare(with_bias(1e-3), with_bias(8e-3))[0])) is told
