"""The gate: fabricated draws fail each criterion by itself, and good ones pass."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bayes.inference.diagnostics import diagnose

CHAINS, DRAWS = 4, 1000


def posterior(**variables) -> xr.Dataset:
    good = np.random.default_rng(0).normal(size=(CHAINS, DRAWS))
    data = {"good": good, **variables}
    return xr.Dataset({k: (("chain", "draw", "item")[: v.ndim], v) for k, v in data.items()})


def statistics(diverging: int = 0, energy: np.ndarray | None = None) -> xr.Dataset:
    flags = np.zeros((CHAINS, DRAWS), dtype=bool)
    flags.ravel()[:diverging] = True
    if energy is None:
        energy = np.random.default_rng(1).normal(size=(CHAINS, DRAWS))
    return xr.Dataset({"diverging": (("chain", "draw"), flags), "energy": (("chain", "draw"), energy)})


def walk(phi: float, seed: int = 2) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(CHAINS, DRAWS))
    out = noise.copy()
    for t in range(1, DRAWS):
        out[:, t] = phi * out[:, t - 1] + np.sqrt(1 - phi**2) * noise[:, t]
    return out


def heavy_tail() -> np.ndarray:
    """Independent signs times sizes that persist: the mean mixes, the quantiles do not."""
    size = np.exp(3 * walk(0.998, 5))
    return np.random.default_rng(6).choice([-1.0, 1.0], size=size.shape) * size


def test_good_draws_pass_and_say_so():
    verdict = diagnose(posterior(), statistics())
    assert verdict.passed
    assert verdict.failures == ()
    assert verdict.verdict.startswith("Sampling passed its checks: R-hat ≤ 1.0")
    assert "no divergence" in verdict.verdict
    assert verdict.draws == CHAINS * DRAWS
    assert verdict.ess_bulk_min > 3000


SHIFTED = np.random.default_rng(3).normal(size=(CHAINS, DRAWS)) + 0.4 * (np.arange(CHAINS) == 0)[:, None]
FAILURES = {
    "R-hat": (posterior(shifted=SHIFTED), statistics(), "Chains disagree: R-hat"),
    "bulk": (posterior(slow=walk(0.97)), statistics(), "effective draws of slow"),
    "tail": (posterior(heavy=heavy_tail()), statistics(), "effective draws in the tails"),
    "divergence": (posterior(), statistics(diverging=1), "1 divergent transitions"),
    "energy": (posterior(), statistics(energy=walk(0.95)), "E-BFMI 0."),
    "not finite": (posterior(broken=np.where(np.arange(DRAWS) == 7, np.inf, SHIFTED * 0 + walk(0.0))), statistics(), "not finite"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_each_criterion_fails_by_itself(name):
    draws, stats, words = FAILURES[name]
    result = diagnose(draws, stats)
    assert not result.passed
    assert any(words in f for f in result.failures)
    assert result.verdict.startswith("Sampling did NOT pass its checks")
    assert words in result.verdict
    if name not in ("R-hat", "bulk", "tail"):  # draws that mix badly fail several ways
        assert len(result.failures) == 1


@pytest.mark.parametrize("where", ["everywhere", "one draw"])
def test_missing_draws_of_a_scale_fail(where):
    values = walk(0.0)
    values[:, slice(None) if where == "everywhere" else slice(3, 4)] = np.nan
    result = diagnose(posterior(scale=values), statistics())
    assert "not finite" in result.verdict


def test_effects_that_are_not_determined_are_passed_over_and_partly_missing_ones_are_not():
    effects = np.random.default_rng(4).normal(size=(CHAINS, DRAWS, 3))
    effects[:, :, 1] = np.nan
    assert diagnose(posterior(effect=effects), statistics()).passed
    effects[0, 5, 2] = np.nan
    assert not diagnose(posterior(effect=effects), statistics()).passed


def test_constants_are_passed_over():
    assert diagnose(posterior(constant=np.full((CHAINS, DRAWS), 2.0)), statistics()).passed


def test_what_cannot_be_computed_fails():
    few = posterior().isel(draw=slice(0, 3))
    result = diagnose(few, statistics().isel(draw=slice(0, 3)))
    assert not result.passed
    one = diagnose(posterior().isel(chain=[0]), statistics().isel(chain=[0]))
    assert any("R-hat inf" in f for f in one.failures)
    assert len(one.failures) == 1


def test_a_fit_that_fails_warns_returns_and_carries_its_verdict(tiny_panel):
    from bayes import StaggeredDiD
    from bayes.errors import ConvergenceWarning

    with pytest.warns(ConvergenceWarning, match="do not report") as caught:
        fit = StaggeredDiD("y", pooling="complete").fit(tiny_panel, draws=20, tune=20, chains=2)
    assert caught[0].filename == __file__
    table = fit.att()
    assert "FAILED sampling checks" in table.frame.source[0]
    assert table.meta["verdict"] == fit.diagnose().verdict
    assert fit.diagnose().verdict in repr(fit)
    assert not fit.diagnose().passed
    assert fit.summary().attrs["verdict"] == fit.diagnose().verdict


def test_summary_has_95_percent_equal_tailed_intervals_of_every_scalar(tiny_fit):
    table = tiny_fit.summary()
    assert {"innovation_sd", "autocorrelation", "unit_effect_sd", "cell_sd", "coefficient[x]"} <= set(table.index)
    assert {"eti95_lb", "eti95_ub"} <= set(table.columns)
    low, high = np.quantile(tiny_fit.posterior.innovation_sd.values, [0.025, 0.975])
    assert table.loc["innovation_sd", ["eti95_lb", "eti95_ub"]].astype(float).to_numpy() == pytest.approx([low, high], rel=1e-3)
    assert list(tiny_fit.summary(["autocorrelation"]).index) == ["autocorrelation"]
