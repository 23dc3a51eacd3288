"""Three stages on synthetic panels whose inefficiency is known: ranks move towards the truth, and stay where nothing is to be taken out."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.stats import spearmanr

from bayes.errors import BayesWarning
from bayes.measure import three_stage
from tests.measure.three_stage_panels import three_stage_panel

SEEDS = (0, 1, 2, 3)
ROLES = (["x0", "x1"], ["y"], ["z"])


def run(method: str, seed: int, **design) -> tuple[dict[str, float], dict[str, float], list[float]]:
    """Rank correlation with the true efficiency, mean score, and the environment's coefficients with their intervals."""
    panel, truth = three_stage_panel(seed, **design)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesWarning)  # inefficiency that does not show is part of the comparison
        out = three_stage(panel, *ROLES, method=method, reference="global", seed=seed)
    scores = {v: out.where(estimand="efficiency", variant=v).frame["estimate"] for v in ("before", "after")}
    ranks = {v: float(spearmanr(s, truth).statistic) for v, s in scores.items()}
    environment = out.where(estimand="environment").frame[["estimate", "lower", "upper"]].to_numpy().ravel().tolist()
    words = f"ranks {ranks['before']:.3f} to {ranks['after']:.3f}, means {scores['before'].mean():.3f} to {scores['after'].mean():.3f}"
    print(f"\n{method}, seed {seed}: {words} (truth {truth.mean():.3f}), environment {np.round(environment, 2).tolist()}")
    return ranks, {v: float(s.mean()) for v, s in scores.items()}, environment


@pytest.mark.slow
def test_ranks_move_towards_the_truth_also_where_maximum_likelihood_collapses():
    """An environment that adds up to 5 to inputs of about 6, noise of sd 0.15, half-normal inefficiency of scale 1."""
    gains = {}
    for method in ("posterior", "ml"):
        found = [run(method, seed) for seed in SEEDS]
        gains[method] = np.array([ranks["after"] - ranks["before"] for ranks, *_ in found])
        coefficients = np.array([environment[0::3] for *_, environment in found])
        assert np.abs(coefficients - 1).mean() < 0.15, "z adds one unit of each input per unit"
    print(f"\nmean gain in rank correlation: { ({m: round(g.mean(), 3) for m, g in gains.items()}) }")
    assert (gains["posterior"] > 0.1).all()
    assert gains["posterior"].mean() > gains["ml"].mean()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["posterior", "ml"])
def test_without_environment_and_noise_scores_stay(method):
    ranks, means, environment = run(method, 0, burden=0.0, noise=0.0, sigma_u=0.7)
    assert abs(means["after"] - means["before"]) < 0.01
    assert ranks["after"] > ranks["before"] - 0.02
    assert np.abs(environment[0::3]).max() < 0.02
