"""σ-convergence against reference numbers, brute force, and what is known of a synthetic panel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes.errors import NotPositiveError, SpecificationError
from bayes.estimates import Estimates
from bayes.measure._sigma import dispersion, sigma_convergence, slope
from bayes.panel import Panel

REFERENCE = pd.read_csv(Path(__file__).parents[1] / "reference" / "indices.csv")


def narrowing(n: int = 12, years: int = 6, rate: float = 0.9) -> pd.DataFrame:
    """Synthetic: logarithms shrink towards 2 by the same factor every year, so that their spread falls at a known rate."""
    x = np.random.default_rng(0).normal(size=n)
    rows = [(f"u{i:02d}", 2000 + t, "ab"[i % 2], np.exp(2 + x[i] * rate**t)) for i in range(n) for t in range(years)]
    return pd.DataFrame(rows, columns=["unit", "year", "region", "y"])


def panel_of(frame: pd.DataFrame) -> Panel:
    return Panel.from_frame(frame, unit="unit", time="year", region="region", name="synthetic")


def with_draws(panel: Panel, n: int = 7) -> tuple[Estimates, np.ndarray]:
    noise = np.random.default_rng(1).normal(0, 0.2, (panel.n_rows, n))
    draws = panel.column("y")[:, None] * np.exp(noise)
    rows = [
        {"estimand": "tfp", "unit": u, "period": float(t)} for u, t in zip(panel.frame[panel.unit], panel.frame[panel.time], strict=True)
    ]
    return Estimates.from_draws(rows, draws), draws


@pytest.fixture(scope="module")
def panel() -> Panel:
    return panel_of(narrowing())


@pytest.mark.parametrize(("measure", "method"), [("sd", "sigma: sd of log (ddof=1)"), ("cv", "CV (population sd)")])
def test_mexican_states_reproduce_the_reference(shared_folder, measure, method):
    wide = pd.read_csv(shared_folder / "reference" / "data" / "pysal_mexico.csv")
    long = wide.melt(["state", "hanson98"], var_name="year", value_name="y").assign(year=lambda d: d.year.str[5:].astype(int))
    found = sigma_convergence(Panel.from_frame(long, unit="state", time="year"), "y", measure=measure).where(estimand="sigma").frame
    rows = REFERENCE[(REFERENCE.dataset == "pysal_mexico") & (REFERENCE.method == method)]
    want = dict(zip(rows.quantity.str.extract(r"pcgdp(\d+)")[0].astype(float), rows.value.astype(float), strict=True))
    assert len(want) == 7
    assert list(found.period) == sorted(want)
    np.testing.assert_allclose(found.estimate, [want[t] for t in found.period], rtol=1e-8)


def test_brute_force_by_region_and_period(panel):
    found = sigma_convergence(panel, "y", by="region")
    for row in found.where(estimand="sigma").frame.itertuples():
        y = panel.frame[(panel.frame.region == row.region) & (panel.frame.year == row.period)].y
        assert row.estimate == pytest.approx(np.log(y).std(ddof=1), rel=1e-12)
        assert row.n_obs == len(y) == 6
        assert row.lower < row.upper
    assert set(found.frame.variant) == {"sd of logs"}
    raw = sigma_convergence(panel.assign(log_y=np.log(panel.frame.y)), "log_y", log=False).frame
    np.testing.assert_allclose(raw.estimate, sigma_convergence(panel, "y").frame.estimate, rtol=1e-12)


def test_a_known_rate_of_narrowing_is_found(panel):
    trend = sigma_convergence(panel, "y").where(estimand="sigma_trend").frame.iloc[0]
    assert trend.estimate == pytest.approx(np.log(0.9), rel=1e-10)
    assert trend.prob_positive == 0
    assert "P(slope < 0) = 1.000" in trend.note
    assert trend.interval == "Bayesian bootstrap over units, 1000 replicates"
    level = sigma_convergence(panel, "y", trend="level").frame
    spread = level[level.estimand == "sigma"].estimate
    assert level.estimate.iloc[-1] == pytest.approx(np.polyfit(range(6), spread, 1)[0], rel=1e-9)


def test_periods_need_not_be_evenly_spaced():
    frame = narrowing()
    found = sigma_convergence(panel_of(frame[frame.year != 2003]), "y")
    assert found.frame.estimate.iloc[-1] == pytest.approx(np.log(0.9), rel=1e-10)


@pytest.mark.parametrize("measure", ["sd", "cv"])
def test_the_bootstrap_is_the_weighted_statistic_and_is_centred(measure):
    """Weighted moments row by row, and the mean of weighted variances over many replicates against the plain variance."""
    rng = np.random.default_rng(2)
    y = rng.lognormal(size=(1, 9, 3))
    y[0, 2, 1] = np.nan
    weights = rng.dirichlet(np.ones(9), 20_000)
    found = dispersion(y, measure, weights)
    for r, t in ((0, 0), (5, 1), (7, 2)):
        seen = np.isfinite(y[0, :, t])
        x, w, n = y[0, seen, t], weights[r, seen] / weights[r, seen].sum(), seen.sum()
        mean = w @ x
        variance = w @ (x - mean) ** 2 * (n + 1) / n
        assert found[r, t] == pytest.approx(np.sqrt(variance * n / (n - 1)) if measure == "sd" else np.sqrt(variance) / mean, rel=1e-10)
    if measure == "sd":
        plain = dispersion(y, "sd")[0]
        error = (found**2).std(axis=0) / np.sqrt(len(found))
        assert (np.abs((found**2).mean(axis=0) - plain**2) < 4 * error).all()


def test_draws_are_followed_one_by_one(panel):
    values, draws = with_draws(panel)
    found = sigma_convergence(panel, values)
    for d in range(draws.shape[1]):
        one = sigma_convergence(panel.assign(y=draws[:, d]), "y")
        np.testing.assert_allclose(found.draws[:, d], one.frame.estimate, rtol=1e-12)
    assert found.frame.interval.unique().tolist() == ["equal-tailed posterior"]
    trend = found.frame.iloc[-1]
    assert trend.prob_positive == (found.draws[-1] > 0).mean()


def test_the_seed_is_kept_and_decides(panel):
    one, same, other = (sigma_convergence(panel, "y", seed=s, replicates=50) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one.frame, same.frame)
    assert (one.frame.lower != other.frame.lower).any()
    assert one.meta["seed"] == 1


def test_one_unit_is_no_dispersion():
    frame = narrowing()
    alone = frame[(frame.unit == "u00") | (frame.year > 2001)]
    found = sigma_convergence(panel_of(alone), "y").frame
    early = found[found.period.isin([2000, 2001])]
    assert early.estimate.isna().all()
    assert not early.identified.any()
    assert set(early.note) == {"1 unit in this period: dispersion needs two"}
    trend = found.iloc[-1]
    assert "without 2000, 2001" in trend.note
    assert trend.estimate == pytest.approx(np.log(0.9), rel=1e-9)
    lonely = sigma_convergence(panel_of(frame.assign(region=np.where(frame.unit == "u00", "c", frame.region))), "y", by="region")
    last = lonely.where(region="c", estimand="sigma_trend").frame.iloc[0]
    assert np.isnan(last.estimate)
    assert not last.identified
    assert last.note == "fewer than two periods with a dispersion"


def test_equal_units_have_no_logarithm_of_dispersion():
    frame = narrowing().assign(y=3.0)
    trend = sigma_convergence(panel_of(frame), "y").frame.iloc[-1]
    assert np.isnan(trend.estimate)
    assert not trend.identified
    assert "trend='level'" in trend.note
    assert sigma_convergence(panel_of(frame), "y", trend="level").frame.estimate.iloc[-1] == 0


def test_slope_of_one_period_is_nan():
    assert np.isnan(slope(np.array([[1.0, np.nan]]), np.array([2000, 2001]), "log")).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "unit"}, "'all', 'region'"),
        ({"measure": "gini"}, "'sd', 'cv'"),
        ({"trend": "no"}, "'log', 'level'"),
        ({"replicates": 1}, "at least 2"),
    ],
)
def test_unknown_words_are_refused(panel, options, words):
    with pytest.raises(SpecificationError, match=words):
        sigma_convergence(panel, "y", **options)


@pytest.mark.parametrize("options", [{}, {"measure": "cv"}])
def test_values_that_are_not_positive_are_named(options):
    frame = narrowing()
    frame.loc[3, "y"] = 0.0
    with pytest.raises(NotPositiveError, match="unit u00, year 2003"):
        sigma_convergence(panel_of(frame), "y", **options)
    sigma_convergence(panel_of(frame), "y", log=False)
