"""Any event at all: an answer, and the same one from a saved report."""

import math

from hypothesis import given
from hypothesis import strategies as st
from plain_events import grown

from dltool.core.measured.non_finite import NonFinite, NonFiniteEvent, TensorFacts
from dltool.core.measurements import Measurements
from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.dtypes import RANGES
from dltool.rules.nonfinite.why.overflow import REACHES
from dltool.rules.nonfinite.why.registry import explain

INF, NAN = math.inf, math.nan
NUMBERS = st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 1e38, 65504.0])
KERNELS = sorted(
    {*REACHES, "sqrt", "log", "acos", "softmax", "nll_loss", "var", "layer_norm", "lgamma", "xlogy", "masked_fill", "full",
     "_foreach_addcdiv_", "native_batch_norm", "ctc_loss", "linalg_inv_ex", "empty", "weight_norm_interface", "sin", ""}
)  # fmt: skip
FACTS = st.builds(
    TensorFacts,
    shape=st.lists(st.integers(0, 3), max_size=3).map(tuple),
    dtype=st.sampled_from([*RANGES, "int64", "bool", "complex64", "float8_other"]),
    nan=st.integers(0, 2),
    positive_inf=st.integers(0, 2),
    negative_inf=st.integers(0, 2),
    zeros=st.integers(0, 2),
    minimum=st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32),
    maximum=st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32),
)
PLAIN = st.dictionaries(
    st.sampled_from(["other", "exponent", "self", "alpha", "value", "dim", "eps", "correction", "ignore_index", "scalars"]),
    NUMBERS | st.integers(-2, 2) | st.booleans() | st.text(max_size=2) | st.lists(NUMBERS, max_size=2),
    max_size=3,
)
SETTINGS = st.dictionaries(
    st.sampled_from(
        ["lr", "eps", "betas", "weight_decay", "momentum", "gradient", "before", "state", "optimizer", "centered"]
    ),
    NUMBERS | st.none() | st.text(max_size=3) | st.lists(NUMBERS, max_size=2) | st.dictionaries(st.just("maximum"), NUMBERS),
    max_size=4,
)


EVENTS = st.builds(
    NonFiniteEvent,
    phase=st.sampled_from(["input", "parameter", "buffer", "forward", "loss", "backward", "optimizer"]),
    step=st.integers(0, 2),
    value=st.sampled_from(["nan", "inf"]),
    count=st.integers(1, 3),
    aten=st.sampled_from(KERNELS).map(lambda kernel: f"aten.{kernel}.default" if kernel else None),
    op=st.sampled_from([None, "div", "SqrtBackward0", "MyFnBackward", "AccumulateGrad"]),
    operands=st.lists(NUMBERS, max_size=3).map(tuple),
    inputs=st.lists(FACTS, max_size=4).map(tuple),
    output=st.none() | FACTS,
    arguments=PLAIN,
    settings=SETTINGS,
    source=st.sampled_from([None, "target", "exp_avg", "compiled"]),
)


@given(event=EVENTS, growth=st.none() | st.builds(grown, st.integers(0, 5), NUMBERS))
def test_whatever_was_recorded_there_is_an_answer_and_it_survives_a_saved_report(event, growth):
    answer = explain(Case(event, growth))
    assert answer is None or (answer.cause and answer.mechanism and all(answer.advice))
    saved = Measurements.from_dict(Measurements([NonFinite(events=(event,))]).to_dict())[NonFinite].events[0]
    assert explain(Case(saved, growth)) == answer
