"""Coverage of bootstrap intervals where the frontier is known: y = f(x)·exp(−u) with one input and one output."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes.measure._bootstrap import score_draws
from bayes.measure._malmquist_bootstrap import malmquist_draws
from bayes.measure._malmquist_distances import Measure, consecutive_pairs
from bayes.measure._malmquist_parts import Method
from bayes.measure._quantities import production_of
from bayes.measure._technologies import Returns
from bayes.panel import Panel

pytestmark = pytest.mark.slow

SEED = 2026


def simulated(seed, n, power, drift=0.1):
    """Two periods; inefficiency is half-normal (0.3) and keeps half of itself; the frontier rises by ``drift``. Returns panel and −u."""
    rng = np.random.default_rng([SEED, seed])
    draws = rng.normal(size=(2, n))
    u = 0.3 * np.abs(np.stack([draws[0], 0.5 * draws[0] + np.sqrt(0.75) * draws[1]]))
    x = rng.uniform(1, 10, (2, n))
    y = x**power * np.exp(-u + drift * np.arange(2)[:, None])
    frame = pd.DataFrame({"unit": np.tile(np.arange(n), 2), "year": np.repeat([1, 2], n), "x": x.ravel(), "y": y.ravel()})
    panel = Panel.from_frame(frame, unit="unit", time="year")
    return production_of(panel, ["x"], ["y"]), -u.T.ravel()


def covered(draws, truth, level=0.95):
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return (low <= truth) & (truth <= high)


def scores_covered(n, power, returns, simulations, replicates=400):
    """Share of intervals that hold the true efficiency, by simulation; bias of scores and of bias-corrected scores."""
    shares, bias = [], []
    for s in range(simulations):
        production, log_efficiency = simulated(s, n, power)
        truth = np.exp(log_efficiency)
        found = score_draws(production, "contemporaneous", "output", returns, False, replicates, s, cores=1, progress=False)
        inner = np.abs(production.quantities.inputs[:, 0] - 5.5) < 2.5
        shares.append(covered(found.draws, truth)[inner].mean())
        bias.append((found.draws.mean(axis=0) - truth)[inner].mean())
    return np.array(shares), np.array(bias)


@pytest.mark.parametrize("n", [30, 100])
def test_scores_under_constant_returns(n):
    """One ray: the frontier's error is shared by all units of a period, so that a period counts once. Nominal 95 %."""
    shares, bias = scores_covered(n, 1.0, Returns.CONSTANT, 200)
    error = np.sqrt(0.95 * 0.05 / 400)
    print(f"n = {n}: coverage {shares.mean():.3f} ± {error:.3f}, bias of corrected scores {bias.mean():.4f}")
    assert abs(shares.mean() - 0.95) < 4 * error
    assert abs(bias.mean()) < 4 * bias.std() / np.sqrt(bias.size) + 0.001


def test_scores_under_variable_returns():
    """A curved frontier away from its ends (where a unit has no peer but itself): below nominal at this size, as in the literature."""
    shares, bias = scores_covered(100, 0.5, Returns.VARIABLE, 60)
    print(f"n = 100: coverage {shares.mean():.3f} ± {shares.std() / np.sqrt(shares.size):.3f}, bias {bias.mean():.4f}")
    assert 0.80 < shares.mean() < 0.99
    assert abs(bias.mean()) < 0.01


def test_malmquist_indices_under_constant_returns():
    """TC = exp(0.1) for everybody, EC the change of efficiency. M is the change of y/x, which no frontier enters: draws are the truth."""
    hits = {"ec": [], "tc": []}
    for s in range(150):
        production, log_efficiency = simulated(s, 30, 1.0)
        pairs = consecutive_pairs(production)
        method = Method(Measure(), "plain", "adjacent", Returns.CONSTANT)
        parts = malmquist_draws(production, pairs, method, 400, s, cores=1, progress=False).parts
        change = np.exp(log_efficiency[pairs.second] - log_efficiency[pairs.first])
        truth = {"tc": np.full(len(pairs), np.exp(0.1)), "ec": change}
        np.testing.assert_allclose(parts["malmquist"], np.broadcast_to(change * np.exp(0.1), (400, len(pairs))), rtol=1e-9)
        for name, values in hits.items():
            values.append(covered(parts[name], truth[name]).mean())
    shares = {name: np.mean(v) for name, v in hits.items()}
    print(shares)
    for name, share in shares.items():
        assert 0.88 < share <= 1.0, name
