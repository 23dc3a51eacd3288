"""The sensitivity figure and joint bands: what is drawn, at page and phone width, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import bayes
from bayes import plots
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from tests.plots.readability import assert_readable
from tests.reporting.fakes import FakeFit, synthetic_baselines, synthetic_panel

EVENTS = np.array([-4.0, -3.0, -2.0, 0.0, 1.0, 2.0])
ESTIMATES = np.array([0.03, -0.02, 0.05, 0.30, 0.36, 0.45])


def bayesian(prior="second-difference", **options):
    covariance = 0.004 * (0.7 * np.eye(6) + 0.3)
    return bayes.event_study_sensitivity(ESTIMATES, covariance, EVENTS, prior=prior, scale=0.1, max_violation=[0, 0.5, 1, 2], **options)


def honest(restriction="relative magnitudes", multiples=(0.5, 1, 2), width=0.2):
    """Synthetic rows as bayes.baselines.honest_did has them; one M without value."""
    rows = [{"variant": f"{restriction}, parallel trends", "lower": 0.2, "upper": 0.5, "interval": "normal"}]
    rows += [
        {"variant": f"{restriction}, M = {m:g}", "lower": 0.35 - width * m, "upper": 0.35 + width * m, "interval": "robust"}
        for m in multiples
    ]
    rows += [{"variant": f"{restriction}, M = 3", "identified": False}]
    common = {"estimand": "att", "term": "simple", "estimate": 0.35, "level": 0.95, "source": "HonestDiD (synthetic)"}
    return Estimates.from_rows([common | row for row in rows])


def everything():
    return bayesian(), bayesian("ar1"), honest(), honest("smoothness", (0.01, 0.02), 4.0)


@pytest.mark.parametrize("width", [7.0, 3.8])
def test_text_is_large_enough_and_does_not_collide(width, monkeypatch):
    fit = FakeFit(synthetic_panel())
    figures = {
        "four": plots.sensitivity(*everything(), outcome="log homicides per 100,000 inhabitants", width=width),
        "one": plots.sensitivity(bayesian(), width=width),
        "joint": plots.event_study(fit.att("event"), synthetic_baselines(fit), joint=True, time_unit="years", width=width),
    }
    for name, figure in figures.items():
        assert_readable(figure, monkeypatch, f"{name}, {width} in")


def test_each_restriction_has_its_panel_with_its_own_words():
    axes = plots.sensitivity(*everything()).axes
    titles = [a.get_title(loc="left").replace("\n", " ") for a in axes]
    assert titles == [
        "Given event study: drifting trends", "Given event study: passing shocks (AR 1)",
        "HonestDiD: relative magnitudes", "HonestDiD: smoothness",
    ]  # fmt: skip
    assert len({a.get_xlabel() for a in axes}) == 3
    assert len({a.get_ylim() for a in axes}) == 1
    assert axes[0].get_ylim()[0] < 0 < axes[0].get_ylim()[1]


def test_breakdown_is_drawn_where_it_is():
    result = bayesian()
    value = result.breakdown.breakdown[0]
    assert 0 < value < 2
    axes = plots.sensitivity(result).axes[0]
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in dashed] == [value]
    assert f"breakdown at M = {value:.2f}" in axes.texts[0].get_text()
    certain = plots.sensitivity(bayes.event_study_sensitivity(ESTIMATES, np.eye(6) * 1e-6, EVENTS, scale=1e-6)).axes[0]
    assert not [line for line in certain.lines if line.get_linestyle() == "--"]
    uncertain = plots.sensitivity(bayes.event_study_sensitivity(ESTIMATES, np.eye(6), EVENTS, scale=1e-6)).axes[0]
    assert "uncertain at M = 0" in uncertain.texts[0].get_text()


def test_bars_stand_at_their_multiples():
    axes = plots.sensitivity(honest()).axes[0]
    bars = sorted((segment[0][0], segment[0][1], segment[1][1]) for lines in axes.collections for segment in lines.get_segments())
    assert bars[0] == pytest.approx((-0.06 * 3, 0.2, 0.5))
    np.testing.assert_allclose(bars[1:], [(m, 0.35 - 0.2 * m, 0.35 + 0.2 * m) for m in (0.5, 1, 2)])


def test_joint_band_lies_around_the_pointwise_one():
    fit = FakeFit(synthetic_panel())
    plain, joint = (plots.event_study(fit.att("event"), joint=j).axes[0] for j in (False, True))
    bands = [c for c in joint.collections if hasattr(c, "get_paths") and c.get_alpha() == 0.10]
    inner = [c for c in joint.collections if c.get_alpha() == 0.20]
    assert len(bands) == len(inner) == 2
    for wide, narrow in zip(bands, inner, strict=True):
        assert wide.get_paths()[0].get_extents().height > narrow.get_paths()[0].get_extents().height
    assert not [c for c in plain.collections if c.get_alpha() == 0.10]
    with pytest.raises(SpecificationError, match="draws"):
        plots.event_study(synthetic_baselines(fit), joint=True)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(SpecificationError, match=r"fit\.sensitivity"):
        plots.sensitivity()
    with pytest.raises(SpecificationError, match="DataFrame"):
        plots.sensitivity(honest().frame)
    with pytest.raises(SpecificationError, match="3 effects"):
        plots.sensitivity(bayesian(by="event"))
    with pytest.raises(SpecificationError, match="No estimate has an M"):
        plots.sensitivity(Estimates.from_rows([{"estimate": 1.0}]))
    with pytest.raises(SpecificationError, match="2 effects"):
        plots.sensitivity(honest() + honest().relabel(source={"HonestDiD (synthetic)": "another"}))
    assert plots.sensitivity(bayesian(by="event").where(event_time=1)).axes
