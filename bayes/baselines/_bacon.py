"""Goodman-Bacon (2021) decomposition of the static TWFE coefficient, by diff-diff."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes.baselines._diff_diff import fitted
from bayes.baselines._sample import Sample

_COMPARISONS = {
    "treated_vs_never": "treated against never treated",
    "earlier_vs_later": "earlier treated against later treated before their treatment",
    "later_vs_earlier": "later treated against earlier treated after their treatment",
}


def fit(sample: Sample) -> list[dict[str, Any]]:
    """Average 2 × 2 effect (estimand ``bacon_effect``) and weight (``bacon_weight``) of each kind of comparison (``term``).

    The decomposition has no standard errors. A kind that does not occur has weight 0 and no effect.
    """
    from diff_diff import BaconDecomposition

    result = fitted(BaconDecomposition(weights="exact"), sample, covariates_as=None)
    effects, weights = result.effect_by_type(), result.weight_by_type()
    total = f"weights × effects sum to the TWFE coefficient {result.twfe_estimate:.4g}"
    if sample.covariates:
        total += " without covariates"
    if not sample.balanced:
        total += "; exact on balanced panels only"
    rows = []
    for kind, words in _COMPARISONS.items():
        weight = float(weights.get(kind) or 0.0)
        effect = effects.get(kind) if weight > 0 else None
        for estimand, value in (("bacon_effect", np.nan if effect is None else effect), ("bacon_weight", weight)):
            rows.append(sample.row(kind, value, np.nan, result.n_obs, f"{words}; {total}", estimand=estimand))
    return rows
