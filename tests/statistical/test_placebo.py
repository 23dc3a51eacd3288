"""The placebo test in repeated samples: its size under no effect, and refits at the mode beside sampled ones. Figures are printed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes import Panel, StaggeredDiD, datasets
from bayes.did.assignments import fillable_cells, lottery
from bayes.did.placebo import permuted_cohorts
from bayes.did.refits import refitted_panel
from bayes.errors import ConvergenceWarning
from tests.statistical.records import kept

UNITS, PERIODS, REFITS = 30, 10, 99
PANELS = 200


def without_effect(seed: int) -> Panel:
    """SYNTHETIC: no effect; errors that the model does not expect (Student t with 3 degrees of freedom, of unequal variance, ρ = .6)."""
    rng = np.random.default_rng(seed)
    unit, t = np.repeat(np.arange(UNITS), PERIODS), np.tile(np.arange(PERIODS), UNITS)
    noise = rng.standard_t(3, (UNITS, PERIODS)) * np.exp(rng.normal(0, 0.5, UNITS))[:, None]
    for k in range(1, PERIODS):
        noise[:, k] += 0.6 * noise[:, k - 1]
    first = np.array([2004.0, 2006.0, np.nan])[rng.permutation(UNITS) % 3]
    y = rng.normal(0, 2, UNITS)[unit] + rng.normal(0, 1, PERIODS)[t] + noise.ravel()
    frame = pd.DataFrame({"unit": unit, "t": 2000 + t, "region": unit % 3, "first": first[unit], "y": y})
    return Panel.from_frame(frame, unit="unit", time="t", region="region", first_treated="first", name="synthetic")


def records_of(seeds: list[int]) -> Iterator[dict]:
    """One record a panel: estimate, sd, p-values."""
    spec, density = StaggeredDiD("y", leads=False), None
    for seed in seeds:
        panel = without_effect(seed)
        if density is None:  # one layout, one compilation: thirty units, ten to each date
            draw, _ = lottery(spec.block(panel), "all", "all", panel.regions.tolist())
            cells = fillable_cells(spec.block(panel), draw, "all", 0)
            density = refitted_panel(spec, spec.block(panel), cells, draw.cohorts, panel.n_periods, panel.regions.tolist()).density
        test = permuted_cohorts(spec, panel, REFITS, seed=seed, density=density)
        row = test.actual.frame.iloc[0]
        p = {f"p_{s}": float(test.p_values(s).two_sided[0]) for s in ("estimate", "studentised")}
        yield {"seed": seed, "estimate": row.estimate, "se": row.se, **p, "converged": test.converged}


@pytest.mark.slow
def test_p_values_are_uniform_where_nothing_has_an_effect():
    """Exactness does not rest on the model: errors are of another kind than it assumes. The interval's own size is printed beside."""
    found = pd.DataFrame(kept("placebo_size", range(7000, 7000 + PANELS), records_of))
    normal = float((np.abs(found.estimate / found.se) > stats.norm.ppf(0.95)).mean())
    for name in ("p_estimate", "p_studentised"):
        p = found[name]
        low = {a: float((p <= a + 1e-9).mean()) for a in (0.05, 0.1, 0.2)}
        # p takes the values 1/100 … 1: spread each over its cell before the comparison with a continuous uniform.
        spread = p - np.random.default_rng(0).uniform(0, 1 / (REFITS + 1), len(p))
        fit = stats.kstest(spread, "uniform")
        print(f"\n{name}: {len(p)} panels, share of p ≤ .05, .10, .20: {low}, Kolmogorov–Smirnov p = {fit.pvalue:.3f}; "
              f"share of 90 % intervals at the mode without zero {normal:.3f}; converged {found.converged.mean():.4f}")  # fmt: skip
        assert fit.pvalue > 0.001
        assert stats.binomtest(int((p <= 0.1 + 1e-9).sum()), len(p), 0.1).pvalue > 0.001


@pytest.mark.slow
@pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.{ConvergenceWarning.__name__}")
def test_refits_at_the_mode_are_those_of_the_whole_posterior():
    """Ten permutations of castle, each also sampled with NUTS: estimates within .15 posterior sd of each other."""
    fit = StaggeredDiD("log_homicide").fit(datasets.load("castle_doctrine"), seed=1)
    test = fit.placebo(20, seed=1, confirm=10)
    again = test.confirmation
    apart = again.difference_in_sd.abs()
    print(f"\n{again.to_string()}\nmean |difference| {apart.mean():.3f}, largest {apart.max():.3f} "
          f"posterior sd; sd at the mode / sampled sd {(again.se_mode / again.se_sampled).mean():.3f}; "
          f"correlation {np.corrcoef(again.estimate_mode, again.estimate_sampled)[0, 1]:.4f}; "
          f"actual at the mode {test.actual.frame.estimate[0]:.4f}, full posterior {test.full.frame.estimate[0]:.4f}")  # fmt: skip
    assert apart.max() < 0.15
    assert apart.mean() < 0.05
    assert 0.93 < (again.se_mode / again.se_sampled).mean() < 1.05
