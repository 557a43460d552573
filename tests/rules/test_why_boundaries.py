"""Where each mechanism of an operator begins and ends: exact boundaries, NaN and Inf, and look-alikes that are not it."""

import math
from dataclasses import replace

import pytest
from plain_events import INFINITE, bad, cause, event, facts, mechanism

from dltool.rules.nonfinite.why.dtypes import rounds_to_zero

INF, NAN = math.inf, math.nan
TINY = 5.960464477539063e-08
"""The smallest positive number of float16."""


@pytest.mark.parametrize(
    ("divisor", "expected"),
    [(0.0, "divisor-of-zero"), (-0.0, "divisor-of-zero"), (1e-45, "finite-to-non-finite"), (1e-39, "overflow")],
)
def test_a_divisor_must_be_zero_and_an_overflow_must_be_in_reach(divisor, expected):
    dividend = 1e-8 if divisor == 1e-45 else 2.0
    assert mechanism(event("aten.div.Tensor", dividend, divisor, output=INFINITE)) == expected


def test_nan_over_zero_is_not_born_of_the_zero():
    given = event("aten.div.Tensor", NAN, 0.0, inputs=(bad(), facts()))
    assert mechanism(given) == "bad-constant"


@pytest.mark.parametrize(
    ("aten", "inside", "edge", "outside"),
    [
        ("aten.log.default", 1e-45, 0.0, -1e-45),
        ("aten.log1p.default", -0.999, -1.0, -1.001),
        ("aten.atanh.default", 0.999, 1.0, 1.0000001),
        ("aten.rsqrt.default", 1e-45, 0.0, -1.0),
        ("aten.logit.default", 0.5, 0.0, -1e-9),
    ],
)
def test_domains_to_the_last_digit(aten, inside, edge, outside):
    assert mechanism(event(aten, inside)) == "finite-to-non-finite"
    assert mechanism(event(aten, edge, output=INFINITE)) == "edge-of-domain"
    assert mechanism(event(aten, outside)) == "outside-domain"
    assert mechanism(event(aten, NAN, inputs=(bad(),))) == "bad-constant"


def test_the_edge_itself_belongs_to_sqrt_and_acos():
    assert mechanism(event("aten.sqrt.default", 0.0)) == "finite-to-non-finite"
    assert mechanism(event("aten.acos.default", -1.0)) == "finite-to-non-finite"


def test_a_domain_is_told_from_the_range_of_the_input_where_the_place_is_not_known():
    assert "sqrt of -2 is NaN" in cause(event("aten.sqrt.default", inputs=(facts(low=-2.0),)))
    assert mechanism(event("aten.sqrt.default", inputs=(facts(low=0.0),))) == "finite-to-non-finite"


@pytest.mark.parametrize(
    ("argument", "expected"), [(88.8, "overflow"), (88.0, "finite-to-non-finite"), (NAN, "bad-constant")]
)
def test_exp_overflows_at_the_logarithm_of_the_largest_number(argument, expected):
    inputs = (bad(),) if math.isnan(argument) else (facts(high=argument),)
    assert mechanism(event("aten.exp.default", argument, inputs=inputs, output=INFINITE)) == expected


@pytest.mark.parametrize(("size", "expected"), [(20.0, "overflow"), (14.0, "finite-to-non-finite")])
def test_a_matrix_product_overflows_only_where_its_terms_can_add_up_to_it(size, expected):
    inputs = (facts((2, 300), "float16", 0.0, size), facts((300, 2), "float16", 0.0, size))
    given = event("aten.mm.default", inputs=inputs, output=bad("float16", positive_inf=2), value="inf")
    assert mechanism(given) == expected


def test_an_operator_that_nobody_knows_is_told_by_what_went_in_and_out():
    given = event("custom.op.default", inputs=(facts(high=3.0),), op="op")
    assert cause(given) == "op made NaN out of finite values, the largest 3"
    assert mechanism(replace(given, inputs=(facts(high=1e30),), output=INFINITE)) == "overflow"
    assert mechanism(replace(given, inputs=(bad(positive_inf=1),))) == "nan-from-inf"
    assert "given 1 Inf among 4 values" in cause(replace(given, inputs=(bad(positive_inf=1),)))


def test_a_row_of_minus_inf_is_no_row_of_plus_inf_and_none_of_nan():
    assert mechanism(event("aten._softmax.default", inputs=(bad(negative_inf=3),))) == "fully-masked-row"
    assert mechanism(event("aten._softmax.default", inputs=(bad(negative_inf=3, positive_inf=1),))) == "infinite-score"
    assert mechanism(event("aten._softmax.default", inputs=(bad(negative_inf=3, nan=1),))) == "bad-constant"
    assert mechanism(event("aten._softmax.default", inputs=(facts(),))) == "finite-to-non-finite"


def test_minus_inf_less_itself_is_a_masked_row_only_as_a_maximum_or_in_logsumexp():
    row, top = bad(shape=(2, 3), negative_inf=3), bad(shape=(2, 1), negative_inf=1)
    assert mechanism(event("aten.sub.Tensor", -INF, -INF, inputs=(row, top))) == "fully-masked-row"
    assert mechanism(event("aten.sub.Tensor", -INF, -INF, inputs=(row, row))) == "inf-minus-inf"
    assert mechanism(event("aten.sub.Tensor", INF, INF, inputs=(INFINITE, INFINITE))) == "inf-minus-inf"


@pytest.mark.parametrize(("shape", "correction", "expected"), [((1, 3), 1, True), ((2, 3), 1, False), ((2, 3), 2, True)])
def test_variance_needs_more_values_than_its_correction(shape, correction, expected):
    arguments = {"dim": [0], "correction": correction}
    given = event("aten.var.correction", inputs=(facts(shape),), arguments=arguments)
    assert (mechanism(given) == "variance-of-one") is expected


def test_variance_over_everything_and_over_a_negative_dimension():
    assert mechanism(event("aten.std.correction", inputs=(facts((1,)),))) == "variance-of-one"
    assert mechanism(event("aten.std.correction", inputs=(facts((5, 1)),), arguments={"dim": [-1]})) == "variance-of-one"
    assert mechanism(event("aten.std.correction", inputs=(facts((5, 1)),), arguments={"dim": [0]})) == "finite-to-non-finite"


def test_batch_norm_of_one_value_per_channel():
    one, two = facts((1, 3, 1, 1)), facts((2, 3, 1, 1))
    assert (
        mechanism(event("aten.native_batch_norm.default", inputs=(one,), arguments={"training": True})) == "variance-of-one"
    )
    assert (
        mechanism(event("aten.native_batch_norm.default", inputs=(two,), arguments={"training": True})) != "variance-of-one"
    )


def test_every_target_must_be_the_ignored_one():
    def loss(low, high, weight=None):
        inputs = (facts((2, 3)), facts((2,), "int64", low, high), *([weight] if weight else []))
        return event("aten.nll_loss_forward.default", inputs=inputs, arguments={"ignore_index": -100})

    assert mechanism(loss(-100.0, -100.0)) == "all-targets-ignored"
    assert mechanism(loss(-100.0, 2.0)) == "finite-to-non-finite"
    assert mechanism(loss(0.0, 0.0, facts((3,), zeros=1))) == "class-weights-of-zero"
    assert mechanism(loss(0.0, 0.0, facts((3,), low=0.5))) == "finite-to-non-finite"


@pytest.mark.parametrize(("eps", "expected"), [(0.0, "eps-of-zero"), (1e-46, "eps-of-zero"), (1e-5, "finite-to-non-finite")])
def test_a_norm_layer_is_blamed_for_its_eps_only_where_it_is_nothing(eps, expected):
    assert mechanism(event("aten.native_layer_norm.default", inputs=(facts(),), arguments={"eps": eps})) == expected


def test_a_running_variance_below_zero_by_less_than_eps_is_forgiven():
    def norm(lowest, *, training=False):
        inputs = (facts((4, 3)), facts((3,)), facts((3,), low=lowest))
        return event("aten.native_batch_norm.default", inputs=inputs, arguments={"eps": 1e-5, "training": training})

    assert mechanism(norm(-0.3)) == "negative-running-variance"
    assert mechanism(norm(-1e-6)) == "finite-to-non-finite"
    assert mechanism(norm(-0.3, training=True)) == "finite-to-non-finite"


def test_half_of_the_smallest_number_rounds_to_zero():
    assert rounds_to_zero(TINY / 2, "float16")
    assert not rounds_to_zero(TINY / 2 * 1.01, "float16")
    assert not rounds_to_zero(1e-8, "bfloat16")
    assert not rounds_to_zero(0.0, "float16")
    assert not rounds_to_zero(1e-8, "int64")
