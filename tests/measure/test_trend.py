"""Trend growth: against least squares with dummies, its exact posterior, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes.errors import NotPositiveError, SpecificationError
from bayes.estimates import Estimates
from bayes.measure import trend_growth
from bayes.panel import Panel


def frame_of(gaps: bool = False) -> pd.DataFrame:
    """Synthetic: seven units of two regions, ten years, growth .02 and .06, noise .03 and .10."""
    rng = np.random.default_rng(4)
    rows = [(f"u{i}", "NS"[i > 3], 2001 + t) for i in range(7) for t in range(10)]
    frame = pd.DataFrame(rows, columns=["unit", "region", "year"])
    south = frame["region"] == "S"
    logs = np.where(south, 0.06, 0.02) * frame["year"] + np.where(south, 0.10, 0.03) * rng.standard_normal(len(frame))
    frame["x"] = np.exp(logs - 40 + frame["unit"].str[1:].astype(int))
    return frame.drop(index=[3, 17, 18, 55]) if gaps else frame


def panel_of(frame: pd.DataFrame) -> Panel:
    return Panel.from_frame(frame, unit="unit", time="year", region="region")


def least_squares(part: pd.DataFrame) -> tuple[float, float, float, int]:
    """Slope, its standard error, residual standard deviation and degrees of freedom, with a dummy for each unit."""
    w = np.column_stack([part["year"] - 2005, pd.get_dummies(part["unit"]).to_numpy(dtype=float)])
    y = np.log(part["x"])
    beta, squares, *_ = np.linalg.lstsq(w, y)
    df = len(part) - w.shape[1]
    sigma = float(np.sqrt(squares[0] / df))
    return float(beta[0]), sigma * np.sqrt(np.linalg.inv(w.T @ w)[0, 0]), sigma, df


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("by", ["region", "all"])
def test_the_posterior_is_that_of_least_squares_with_dummies(gaps, by):
    frame = frame_of(gaps)
    found = trend_growth(panel_of(frame), "x", by=by, draws=40_000, seed=1)
    for region, part in frame.groupby("region") if by == "region" else [("", frame)]:
        slope, se, sigma, df = least_squares(part)
        growth, sd = (found.where(estimand=e, region=region) for e in ("trend_growth", "trend_sd"))
        t, chi = stats.t(df, slope, se), stats.chi2(df)
        np.testing.assert_allclose(np.quantile(growth.draws[0], [0.05, 0.5, 0.95]), t.ppf([0.05, 0.5, 0.95]), atol=0.03 * se)
        known = sigma * np.sqrt(df / chi.ppf([0.95, 0.5, 0.05]))
        np.testing.assert_allclose(np.quantile(sd.draws[0], [0.05, 0.5, 0.95]), known, rtol=0.01)
        assert growth.frame["n_obs"].item() == len(part)


def test_pairs_are_differences_and_ratios_draw_by_draw():
    found = trend_growth(panel_of(frame_of()), "x", draws=500, seed=2)
    a, b = (found.where(estimand="trend_growth", region=r).draws[0] for r in "NS")
    pair = found.where(estimand="trend_growth_difference")
    assert (pair.frame["region"].item(), pair.frame["term_to"].item()) == ("N", "S")
    np.testing.assert_allclose(pair.draws[0], a - b)
    ratio = found.where(estimand="trend_sd_ratio")
    north, south = (found.where(estimand="trend_sd", region=r).draws[0] for r in "NS")
    np.testing.assert_allclose(ratio.draws[0], north / south)
    assert ratio.frame["prob_positive"].item() == (north > south).mean() < 0.01
    assert found.where(estimand="trend_sd").frame["prob_positive"].isna().all()


def test_values_with_draws_give_one_draw_each():
    frame = frame_of()
    panel = panel_of(frame)
    rng = np.random.default_rng(3)
    rows = [{"estimand": "level", "unit": u, "period": float(t), "source": "made up"} for u, t in zip(frame.unit, frame.year, strict=True)]
    shift = rng.normal(0, 0.01, 60)
    draws = np.exp(np.log(frame["x"].to_numpy())[:, None] + shift * (frame["year"].to_numpy() - 2005)[:, None])
    found = trend_growth(panel, Estimates.from_draws(rows, draws), seed=4).where(estimand="trend_growth", region="N")
    assert found.draws.shape == (1, 60)
    assert np.corrcoef(found.draws[0], shift)[0, 1] > 0.9


def test_what_cannot_be_told_says_so():
    frame = frame_of()
    frame.loc[frame["region"] == "S", "x"] = np.exp(0.05 * (frame["year"] - 2000))
    found = trend_growth(panel_of(frame), "x", draws=50)
    south = found.where(region="S").frame
    assert not south["identified"].any()
    assert south["note"].str.contains("exactly on their trends").all()
    pair = found.where(estimand="trend_sd_ratio").frame
    assert not pair["identified"].item()
    assert np.isnan(pair["prob_positive"].item())
    short = trend_growth(panel_of(frame_of().query("region == 'N' or (unit == 'u4' and year < 2003)")), "x", draws=50)
    assert short.where(region="S").frame["note"].str.contains("leave no deviation").all()


def test_wrong_arguments_are_refused():
    panel = panel_of(frame_of())
    with pytest.raises(SpecificationError, match="region"):
        trend_growth(panel, "x", by="unit")
    with pytest.raises(SpecificationError, match="draws"):
        trend_growth(panel, "x", draws=1)
    with pytest.raises(NotPositiveError, match="log=False"):
        trend_growth(panel.assign(x=-panel.column("x")), "x")
