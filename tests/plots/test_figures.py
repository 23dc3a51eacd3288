"""Figures: what is drawn where, at page and at phone width, without pyplot and without text that overlaps or is too small."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import bayes
from bayes import plots
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.panel import Panel
from bayes.plots._distributions import overlap
from bayes.plots._ranks import simultaneous_band
from tests.plots.readability import assert_readable
from tests.reporting.fakes import FakeFit, synthetic_baselines, synthetic_panel


@pytest.fixture(scope="module")
def fit() -> FakeFit:
    return FakeFit(synthetic_panel())


def figures(fit, width):
    events = [fit.att("event"), synthetic_baselines(fit)]
    return {
        "event_study": plots.event_study(*events, outcome="log outcome", time_unit="years", width=width),
        "forest": plots.forest(fit.att("region", extrapolate=True), fit.unpooled("region"), outcome="log outcome", width=width),
        "shrinkage": plots.shrinkage(fit.att("region", extrapolate=True), fit.unpooled("region"), outcome="log outcome", width=width),
        "prior_posterior": plots.prior_posterior(fit, width=width),
        "predictive_check": plots.predictive_check(fit.predictive_check(), outcome="log outcome", width=width),
        "rank_plot": plots.rank_plot(fit, width=width),
        "treatment_timing": plots.treatment_timing(fit.panel, width=width),
    }


@pytest.mark.parametrize("width", [7.0, 3.8])
def test_text_is_large_enough_and_does_not_collide(fit, width, monkeypatch):
    for name, figure in figures(fit, width).items():
        assert_readable(figure, monkeypatch, f"{name}, {width} in")


def test_no_pyplot_is_touched(tmp_path):
    code = (
        "import sys\nfrom tests.reporting.fakes import FakeFit, synthetic_panel\nfrom bayes import plots\n"
        "assert 'matplotlib' not in sys.modules\nfit = FakeFit(synthetic_panel(), draws=20)\nplots.event_study(fit.att('event'))\n"
        "plots.rank_plot(fit)\nassert 'matplotlib.pyplot' not in sys.modules\nassert 'arviz' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_users_settings_return(fit):
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.shrinkage(fit.att("region"), fit.unpooled("region"))
    assert dict(matplotlib.rcParams) == before


def test_event_study_draws_each_source_and_leaves_the_reference_open(fit):
    event, rivals = fit.att("event"), synthetic_baselines(fit)
    axes = plots.event_study(event, rivals).axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) > 2]
    own = np.concatenate([line.get_xdata() for line in lines if line.get_linestyle() == "-"])
    assert -1 not in own
    expected = event.frame["event_time"].to_numpy()
    np.testing.assert_array_equal(np.sort(own), np.sort(expected))
    own_y = np.concatenate([line.get_ydata() for line in lines if line.get_linestyle() == "-"])
    np.testing.assert_allclose(np.sort(own_y), np.sort(event.frame["estimate"]))
    points = [line for line in lines if line.get_linestyle() == "None"]
    assert len(points) == 3
    offsets = {round(float((line.get_xdata() - np.round(line.get_xdata()))[0]), 6) for line in points}
    assert len(offsets) == 3
    assert max(map(abs, offsets)) < 0.5


def test_event_study_without_event_times_is_refused(fit):
    with pytest.raises(SpecificationError, match="event time"):
        plots.event_study(fit.att("simple"))
    with pytest.raises(SpecificationError, match="got DataFrame"):
        plots.event_study(fit.att("event").frame)
    with pytest.raises(TypeError, match="colour"):
        plots.event_study(fit.att("event"), colour="red")


@pytest.mark.parametrize(("extrapolate", "words"), [(True, "prior-driven"), (False, "no treated unit")])
def test_a_region_without_treated_units_is_marked(fit, extrapolate, words):
    axes = plots.shrinkage(fit.att("region", extrapolate=extrapolate), fit.unpooled("region")).axes[0]
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert [label for label in labels if "(" in label] == [f"East\n({words})"]
    dashed = [c for c in axes.collections if c.get_linestyle()[0][1] is not None]
    assert len(dashed) == extrapolate
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None) is not None]
    assert len(arrows) == 3


def test_arrows_run_from_no_pooling_to_partial_pooling(fit):
    pooled, unpooled = fit.att("region"), fit.unpooled("region")
    axes = plots.shrinkage(pooled, unpooled).axes[0]
    ends = sorted((round(a.xyann[0], 12), round(a.xy[0], 12)) for a in axes.texts if getattr(a, "arrow_patch", None) is not None)
    start = unpooled.frame.set_index("region")["estimate"]
    goal = pooled.frame.set_index("region")["estimate"]
    assert ends == sorted((round(start[r], 12), round(goal[r], 12)) for r in start.index)


def test_forest_refuses_two_rows_of_one_region(fit):
    with pytest.raises(SpecificationError, match="several rows"):
        plots.forest(fit.att("region:event"))
    with pytest.raises(SpecificationError, match="No estimate has a cohort"):
        plots.forest(fit.att("region"), by="cohort")


def test_overlap_of_equal_and_of_distant_densities():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4000))
    assert overlap(a, b) > 0.95
    assert overlap(a, b + 12) < 0.01
    half = np.abs(a)  # reflected at zero: a half-normal against itself must not lose the mass near its bound
    assert overlap(half, np.abs(b)) > 0.95
    shifted = overlap(a, b + 1)  # two normals one sd apart share 2 Φ(−1/2) = 0.617
    assert shifted == pytest.approx(0.617, abs=0.03)


def test_density_integrates_to_one():
    from bayes.plots._distributions import _kernel_density

    rng = np.random.default_rng(1)
    grid = np.linspace(-6, 6, 800)
    assert np.trapezoid(_kernel_density(rng.normal(size=3000), grid, False), grid) == pytest.approx(1, abs=0.01)
    positive = np.linspace(0, 6, 800)
    half = _kernel_density(np.abs(rng.normal(size=3000)), positive, True)
    assert np.trapezoid(half, positive) == pytest.approx(1, abs=0.01)
    assert half[0] == pytest.approx(np.sqrt(2 / np.pi), abs=0.08)
    assert not _kernel_density(np.ones(50), grid, False).any()


def test_simultaneous_band_holds_with_its_probability():
    grid, half = simultaneous_band(200, 4)
    rng = np.random.default_rng(9)
    inside = 0
    for _ in range(400):
        draws = rng.normal(size=(4, 200))
        ordered = np.sort(draws, axis=None)
        ranks = (np.searchsorted(ordered, draws) + 0.5) / draws.size
        ecdf = np.array([np.searchsorted(np.sort(chain), grid, side="right") / 200 for chain in ranks])
        inside += bool((np.abs(ecdf - grid) <= half + 1e-12).all())
    error = np.sqrt(0.95 * 0.05 * (1 / 400 + 1 / 400))  # the band is simulated with 400 permutations too
    assert abs(inside / 400 - 0.95) < 4 * error


def test_rank_plot_shows_a_chain_that_is_elsewhere():
    rng = np.random.default_rng(3)
    draws = rng.normal(size=(4, 300))
    draws[2] += 1.0
    axes = plots.rank_plot({"mean": draws}).axes[0]
    grid, half = simultaneous_band(300, 4)
    outside = [bool((np.abs(line.get_ydata()) > half).any()) for line in axes.lines if len(line.get_ydata()) == grid.size]
    assert outside == [False, False, True, False] or outside[2]
    with pytest.raises(SpecificationError, match="nowhere"):
        plots.rank_plot({"mean": draws}, ["nowhere"])


def test_prior_posterior_needs_both():
    with pytest.raises(SpecificationError, match="No prior and posterior draws"):
        plots.prior_posterior({"posterior": {"a": np.zeros(5)}})


def big_panel(n_units: int) -> Panel:
    rng = np.random.default_rng(0)
    units, time = np.arange(n_units), np.arange(2000, 2010)
    region = np.array(["North", "South"], dtype=object)[units % 2]
    cohort = rng.choice([2004.0, 2006.0, np.inf], n_units)
    frame = {"unit": np.repeat(units, 10), "year": np.tile(time, n_units), "region": np.repeat(region, 10), "law": np.repeat(cohort, 10)}
    return Panel.from_frame(frame, "unit", "year", region="region", first_treated="law")


@pytest.mark.parametrize(("n_units", "rows"), [(50, 50), (80, 80), (81, 6), (600, 6)])
def test_timing_is_one_row_per_unit_or_per_cohort(n_units, rows):
    figure = plots.treatment_timing(big_panel(n_units))
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert len(labels) == rows
    assert figure.get_size_inches()[1] < 13
    if n_units > 80:
        assert sum(int(label.split("(")[1].split()[0]) for label in labels) == n_units


def test_timing_marks_what_is_not_observed():
    panel = synthetic_panel()
    gone = Panel.from_frame(panel.frame.drop(index=[3, 4]), "unit", "year", region="region", first_treated="law")
    from bayes.plots._timing import _unit_tiles

    assert (_unit_tiles(gone)[0] == 0).sum() == 2
    texts = [t.get_text() for t in plots.treatment_timing(gone).legends[0].get_texts()]
    assert "not observed" in texts


def test_saving_and_limits(fit, tmp_path):
    plots.forest(fit.att("region"), path=tmp_path / "forest.png")
    assert (tmp_path / "forest.png").stat().st_size > 5000
    with pytest.raises(SpecificationError, match="at least 3"):
        plots.forest(fit.att("region"), width=1)
    with pytest.raises(AttributeError, match="no figure 'pie'"):
        plots.pie  # noqa: B018
    assert set(plots.__all__) <= set(dir(bayes.plots))


def test_estimates_without_interval_are_points():
    point = Estimates.from_rows([{"estimand": "att", "term": "region", "region": "West", "source": "published", "estimate": 0.1}])
    axes = plots.forest(point).axes[0]
    assert not [c for c in axes.collections if len(c.get_paths())]
