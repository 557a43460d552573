"""One walk over the catalogue: what every rule must have."""

import dataclasses
import re
from pathlib import Path

import pytest

from dltool.core.finding import Severity
from dltool.core.measurements import Measurements, Section
from dltool.rules.base import Skip
from dltool.rules.catalogue import RULES, every_rule
from dltool.rules.explain import HEADINGS, markdown, page_of
from dltool.rules.fit_status.limits import LIMITS
from dltool.rules.fit_verdict import FitVerdict
from dltool.rules.reference import reference

ROOT = Path(__file__).parents[2]

DESIGN_ORDER = {
    "SPC": (
        "softmax-before-cross-entropy softmax-over-one-unit sigmoid-before-bce-with-logits missing-output-activation "
        "wrong-output-activation bounded-output-regression relu-output loss-task-mismatch target-encoding-mismatch "
        "output-size-mismatch broadcast-loss sum-reduction missing-nonlinearity bias-before-norm excessive-dropout "
        "excessive-regularisation pool-stride-exceeds-kernel spatial-collapse learning-rate-out-of-range constant-init "
        "init-activation-mismatch global-stats-in-training unshuffled-data too-few-epochs"
    ),
    "DAT": (
        "non-finite-value corrupt-file format-mismatch constant-feature constant-image outlier unnormalised-input "
        "unnormalised-target label-out-of-range labels-not-zero-based missing-class class-imbalance duplicate-sample "
        "split-leakage shape-mismatch unsafe-file shuffled-labels suspected-label-error"
    ),
    "INI": (
        "vanishing-activations exploding-activations vanishing-gradients-at-init exploding-gradients-at-init "
        "symmetric-units surprising-initial-loss"
    ),
    "GRD": (
        "gradient-mismatch nondifferentiable-point vanishing-gradient exploding-gradient parameter-without-gradient "
        "parameter-not-optimised batch-mixing"
    ),
    "ACT": "dead-relu saturated-activation collapsed-representation",
    "NAN": (
        "non-finite-input non-finite-parameter non-finite-buffer non-finite-forward non-finite-loss non-finite-backward "
        "non-finite-update"
    ),
    "OPT": "learning-rate-too-high learning-rate-too-low parameter-not-updated oscillating-loss",
    "FIT": ("underfitting overfitting not-converged diverged plateau no-better-than-trivial ignores-input inconclusive"),
    "CMP": (
        "loss-regressed metric-regressed flow-changed idle-units-grew gradient-error-grew suggested-rate-moved data-shifted "
        "earlier-non-finite slower rule-not-judged not-comparable"
    ),
}
PUBLIC_IDS = {name: f"{family}{101 + i}" for family, names in DESIGN_ORDER.items() for i, name in enumerate(names.split())}
INFOS = {"nondifferentiable-point", "inconclusive", "bias-before-norm", "too-few-epochs"}
WARNINGS = {
    "sum-reduction", "missing-nonlinearity", "excessive-dropout", "excessive-regularisation", "learning-rate-out-of-range",
    "init-activation-mismatch", "unshuffled-data",
    "constant-feature", "constant-image", "outlier", "suspected-label-error", "unnormalised-input", "unnormalised-target",
    "missing-class", "class-imbalance", "duplicate-sample",
    "vanishing-activations", "exploding-activations", "vanishing-gradients-at-init", "exploding-gradients-at-init",
    "surprising-initial-loss", "parameter-without-gradient", "saturated-activation", "collapsed-representation",
    "flow-changed", "idle-units-grew", "gradient-error-grew", "suggested-rate-moved", "data-shifted", "earlier-non-finite",
    "slower", "rule-not-judged", "not-comparable",
    "learning-rate-too-low", "oscillating-loss", "underfitting", "overfitting", "not-converged", "plateau",
}  # fmt: skip
CLASSES = every_rule()
each_rule = pytest.mark.parametrize("rule", CLASSES, ids=lambda rule: rule.name)


def test_ids_are_unique_and_in_order():
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids) == 88
    families = list(DESIGN_ORDER)
    assert ids == sorted(ids, key=lambda i: (families.index(i[:3]), i))


class Asked(Measurements):
    """Nothing was measured; keeps what it was asked for."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def __contains__(self, kind):
        self.asked.append(kind.key)
        return super().__contains__(kind)

    def get(self, kind):
        self.asked.append(kind.key)
        return super().get(kind)


@pytest.mark.parametrize("entry", RULES, ids=lambda entry: entry.name)
def test_an_entry_says_of_its_rule_what_is_so(entry):
    rule = entry.load()
    assert (entry.id, entry.name, entry.class_name) == (rule.id, rule.name, rule.__name__)
    if rule.needs:
        assert entry.keys == tuple(section.key for section in rule.needs)
        assert entry.told == ()
    else:
        measured = Asked()
        assert rule().judge(measured) == Skip(entry.not_measured)
        assert set(entry.keys) == set(measured.asked)


@each_rule
def test_id_name_and_severity_are_the_public_ones(rule):
    assert rule.id == PUBLIC_IDS[rule.name]
    expected = Severity.INFO if rule.name in INFOS else Severity.WARNING if rule.name in WARNINGS else Severity.ERROR
    assert rule.severity is expected


@each_rule
def test_page_has_the_fixed_headings_and_says_something_under_each(rule):
    page = page_of(rule)
    assert tuple(heading for heading, _ in page.sections) == HEADINGS
    assert all(len(text) > 15 for _, text in page.sections)
    assert page.summary.endswith(".")
    assert page.id in markdown(page)
    assert re.search(r"\d{4}|documentation|issue", dict(page.sections)["References"])


@each_rule
def test_thresholds_have_a_unit_and_a_source(rule):
    names = [t.name for t in rule.thresholds]
    assert len(set(names)) == len(names)
    for threshold in rule.thresholds:
        assert threshold.unit
        assert len(threshold.source) > 10
        assert f"{rule.name}.{threshold.name}" in markdown(page_of(rule))


@each_rule
def test_needs_are_sections_and_explained_rules_exist(rule):
    assert all(issubclass(section, Section) and dataclasses.is_dataclass(section) for section in rule.needs)
    names = {other.name for other in RULES}
    assert set(rule.explains) <= names - {rule.name}
    assert len(set(rule.explains)) == len(rule.explains)


@each_rule
def test_file_and_class_bear_the_name(rule):
    assert rule.__module__.rpartition(".")[2] == rule.name.replace("-", "_")
    assert len((ROOT / (rule.__module__.replace(".", "/") + ".py")).read_text().splitlines()) <= 160


def test_limits_of_the_verdict_belong_to_rules():
    owners = {rule.name: rule for rule in CLASSES}
    for name, limits in LIMITS.items():
        assert owners[name].thresholds == limits
        assert FitVerdict in owners[name].needs


def test_sources_name_benchmarks_that_exist():
    for rule in CLASSES:
        for threshold in rule.thresholds:
            for path in re.findall(r"benchmarks/\w+\.py", threshold.source):
                assert (ROOT / path).is_file(), path


def test_circles_of_explanation_are_only_those_that_time_resolves():
    edges = {rule.name: set(rule.explains) for rule in CLASSES}
    both_ways = {frozenset((a, b)) for a in edges for b in edges[a] if a in edges[b]}
    non_finite = {name for name in edges if name.startswith("non-finite-") and name != "non-finite-value"}
    allowed = {
        frozenset(("learning-rate-too-high", "exploding-gradient")),
        frozenset(("learning-rate-too-high", "saturated-activation")),
        frozenset(("dead-relu", "vanishing-gradient")),
        *(
            frozenset(("learning-rate-too-high", f"non-finite-{phase}"))
            for phase in ("parameter", "forward", "loss", "backward")
        ),
    }
    assert {pair for pair in both_ways if not pair <= non_finite} == allowed


def test_written_reference_is_up_to_date():
    assert (ROOT / "docs/rules.md").read_text() == reference(), "run python -m dltool.rules.reference docs/rules.md"


def test_a_page_without_its_headings_is_a_bug():
    class Odd(CLASSES[0]):
        """Says nothing under any heading."""

    with pytest.raises(ValueError, match="headings"):
        page_of(Odd)
