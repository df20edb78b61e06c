"""The smallest largest burden that deleveraging can reach, by mixed-integer programming: what `fewest_percent` is held to."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from crossmargin.clearing.deleveraging import Winner


def largest_burden_by_milp(limits: Sequence[int], winners: Sequence[Winner], lots: int) -> float:
    """Return the smallest possible largest ``lots / profit`` (HiGHS).

    ``min t  s.t.  sum n = lots, n_i <= t profit_i, 0 <= n_i <= limit_i whole``.
    """
    count = len(winners)
    profits = np.array([float(max(winner.profit, 1)) for winner in winners])
    cost = np.append(np.zeros(count), 1.0)
    scale = profits.max()
    burden = np.hstack([np.eye(count), -(profits / scale)[:, None]])
    total = np.append(np.ones(count), 0.0)[None, :]
    goal = float(min(lots, sum(limits)))
    result = milp(
        cost,
        constraints=[LinearConstraint(burden, -np.inf, 0.0), LinearConstraint(total, goal, goal)],
        integrality=np.append(np.ones(count), 0.0),
        bounds=Bounds(np.zeros(count + 1), np.append(np.array(limits, dtype=np.float64), np.inf)),
        options={"mip_rel_gap": 0.0},
    )
    assert result.success, result.message
    return float(result.fun) / float(scale)
