"""Likelihood-ratio test of inefficiency: its null lies on the boundary, so the distribution is a mixture of χ²."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from bayes.baselines._frontier_solution import Solution


@dataclass(frozen=True)
class LikelihoodRatioTest:
    """Test of no inefficiency.

    Attributes
    ----------
    statistic : float
        Twice the difference of the log likelihoods.
    p_value : float
        Under the mixture of χ² distributions.
    weights : dict of int to float
        Degrees of freedom and weight of each part of the mixture.
    words : str
        What was tested against what.
    """

    statistic: float
    p_value: float
    weights: dict[int, float]
    words: str


def likelihood_ratio_test(solution: Solution, equality: int) -> LikelihoodRatioTest:
    """No inefficiency against the model fitted.

    One scale at its bound and ``equality`` further parameters that vanish with it: ½χ²(q) + ½χ²(q + 1), Kodde & Palm (1986), Econometrica
    54(5), table 1, as in Coelli (1995). With persistent inefficiency two scales are at their bounds; ¼, ½, ¼ are the weights for estimators
    of the two that are uncorrelated.
    """
    statistic = max(2 * (solution.loglik - solution.loglik_null), 0.0)
    two = "persistent" in solution.problem.places
    weights = dict(zip(range(equality, equality + 3), (0.25, 0.5, 0.25) if two else (0.5, 0.5), strict=False))
    p = sum(w * _tail(df, statistic) for df, w in weights.items())
    null = "random effects" if "unit_effect" in solution.problem.places else "a regression without inefficiency"
    mixture = " + ".join(f"{w:g}·χ²({df})" for df, w in weights.items())
    return LikelihoodRatioTest(float(statistic), float(p), weights, f"no inefficiency ({null}) against the frontier; {mixture}")


def _tail(df: int, statistic: float) -> float:
    if df == 0:
        return 1.0 if statistic <= 0 else 0.0
    return float(special.chdtrc(df, np.float64(statistic)))
