"""Units without treatment and the region × event surface: what is drawn where, at page and at phone width."""

from __future__ import annotations

import numpy as np
import pytest

from bayes import plots
from bayes.errors import SpecificationError
from tests.conftest import fabricated
from tests.did.dense import panel_of
from tests.panels import simulated_frame
from tests.plots.readability import assert_readable


@pytest.fixture(scope="module")
def fit():
    return fabricated(panel_of(simulated_frame(n_units=24, n_periods=8, gaps=True)), covariates=("x",))


@pytest.fixture(scope="module")
def shown(fit):
    return fit.heterogeneity.counterfactual(["u000", "u001", "u002", "u003"])


@pytest.fixture(scope="module")
def surface(fit):
    return fit.att("region:event"), fit.att("event")


def figures(shown, surface, width):
    return {
        "counterfactual": plots.counterfactual(shown, outcome="log outcome per person", time_unit="year", width=width),
        "one unit": plots.counterfactual(shown.where(unit="u000"), width=width),
        "surface": plots.effect_surface(*surface, outcome="log outcome", time_unit="years", width=width),
        "no overall": plots.effect_surface(surface[0], width=width),
    }


@pytest.mark.parametrize("width", [7.0, 3.8])
def test_text_is_large_enough_and_does_not_collide(shown, surface, width, monkeypatch):
    for name, figure in figures(shown, surface, width).items():
        assert_readable(figure, monkeypatch, f"{name}, {width} in")


def test_a_unit_is_drawn_with_and_without_treatment(shown):
    axes = plots.counterfactual(shown).axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) > 2]
    without, observed = lines
    rows = shown.where(unit="u000", estimand="counterfactual").frame
    np.testing.assert_array_equal(without.get_xdata(), rows["period"])
    np.testing.assert_allclose(without.get_ydata(), rows["estimate"])
    np.testing.assert_allclose(observed.get_ydata(), shown.where(unit="u000", estimand="observed").frame["estimate"])
    band = axes.collections[0].get_paths()[0].vertices
    assert np.isclose(band[:, 1].max(), rows["upper"].max())
    start = next(line for line in axes.lines if line.get_linestyle() == ":")
    assert rows["cohort"].iloc[0] - 1 < start.get_xdata()[0] < rows["cohort"].iloc[0]
    assert [ax.get_title(loc="left") for ax in plots.counterfactual(shown).axes[:4]] == ["u000", "u001", "u002", "u003"]


def test_the_surface_leaves_the_reference_open_and_repeats_the_overall_path(surface):
    regions, overall = surface
    figure = plots.effect_surface(regions, overall)
    names = list(dict.fromkeys(regions.frame["region"]))
    for axes, name in zip(figure.axes, names, strict=True):
        own = regions.frame[(regions.frame["region"] == name) & regions.frame["estimate"].notna()]
        drawn = np.concatenate([line.get_xdata() for line in axes.lines if line.get_marker() == "o"])
        np.testing.assert_array_equal(np.sort(drawn), np.sort(own["event_time"]))
        assert -1 not in drawn
        grey = np.concatenate([line.get_ydata() for line in axes.lines if line.get_marker() == "None" and len(line.get_xdata()) > 2])
        assert np.isin(grey.round(12), overall.frame["estimate"].round(12)).all()


def test_what_is_not_identified_is_marked(fit):
    table = fit.att("region:event")
    gone = (table.frame["region"] == "North") & (table.frame["event_time"] == 1)
    table.frame.loc[gone, ["estimate", "lower", "upper"]] = np.nan
    axes = plots.effect_surface(table).axes[list(dict.fromkeys(table.frame["region"])).index("North")]
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    np.testing.assert_array_equal(crosses[0].get_xdata(), [1.0])


def test_other_estimates_are_refused(fit, shown):
    with pytest.raises(SpecificationError, match="without treatment"):
        plots.counterfactual(fit.att("simple"))
    with pytest.raises(SpecificationError, match="several estimates for estimand 'observed'"):
        plots.counterfactual(shown + shown)
    with pytest.raises(SpecificationError, match="region and an event time"):
        plots.effect_surface(fit.att("event"))
    with pytest.raises(SpecificationError, match="several estimates"):
        plots.effect_surface(fit.att("region:event") + fit.att("region:event", "att_population"))
    with pytest.raises(SpecificationError, match="got DataFrame"):
        plots.effect_surface(fit.att("region:event").frame)
    with pytest.raises(TypeError, match="colour"):
        plots.counterfactual(shown, colour="red")
