"""Every mechanism, most specific first: the first that the recorded numbers bear out explains the event.

The order is of how much an explanation says. First what was bad before the step, for then no operator is to blame; then
layers, losses and updates that are known as a whole; then one operator at one place, in backward before forward, because
the same kernels run there for other reasons; then what Inf and overflow do; last the operator's name alone.
"""

from __future__ import annotations

from dltool.rules.nonfinite.why import (
    before,
    by_name,
    division,
    domain,
    growth,
    infinities,
    layers,
    nothing,
    overflow,
    rows,
    slopes,
    updates,
)
from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.explanation import Explanation, Mechanism

MECHANISMS: tuple[Mechanism, ...] = (
    before.not_repeated,
    before.delivered,
    before.left_uninitialised,
    before.held_before,
    updates.bad_setting,
    before.bad_state,
    infinities.memory_as_it_was,
    infinities.written_on_purpose,
    nothing.empty_reduction,
    nothing.every_target_ignored,
    nothing.infinite_positive_weight,
    nothing.variance_of_one,
    rows.masked_row,
    rows.infinite_score,
    rows.masked_row_by_hand,
    layers.no_alignment,
    layers.singular_matrix,
    layers.negative_determinant,
    layers.unit_without_norm,
    layers.normalised_without_eps,
    layers.negative_running_variance,
    updates.eps_of_zero,
    updates.bias_correction,
    updates.negative_moment,
    updates.decay_runaway,
    updates.momentum_runaway,
    updates.squared_gradient,
    updates.too_long_a_step,
    slopes.exponent_of_negative,
    slopes.unused_value,
    slopes.infinite_slope,
    slopes.repaired_row,
    slopes.bad_factor,
    division.divisor_of_zero,
    domain.power,
    domain.outside_domain,
    domain.gamma_pole,
    domain.product_with_log,
    infinities.scaled_by_zero,
    infinities.zero_times_inf,
    infinities.inf_minus_inf,
    division.infinite_quotient,
    infinities.inf_in_product,
    infinities.wave_of_inf,
    overflow.overflow,
    overflow.overflow_within,
    updates.bad_gradient,
    infinities.bad_constant,
    infinities.looked_up,
    infinities.given_inf,
    by_name.known_for,
    growth.divergence,
    overflow.finite_to_bad,
)


def explain(case: Case) -> Explanation | None:
    """The most specific explanation that the numbers bear out, with the growth that led to it; None where there is none."""
    for mechanism in MECHANISMS:
        found = mechanism(case)
        if found is not None:
            return growth.with_growth(case, found)
    return None
