"""Figures of measurement: productivity indices, heat maps, parts of inequality, weights; the text of these and of convergence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes import plots
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.plots import _panels
from tests.plots import measurement_fakes as fakes
from tests.plots.readability import assert_readable

DIVISIONS = fakes.divisions()
FIGURES = {
    "malmquist by region": lambda w: plots.productivity(fakes.malmquist(DIVISIONS, cumulative=True, draws=20), time_unit="years", width=w),
    "malmquist of all": lambda w: plots.productivity(fakes.malmquist(draws=20), time_unit="years", width=w),
    "malmquist and frontier": lambda w: plots.productivity(
        fakes.malmquist(DIVISIONS[:4]), fakes.frontier_productivity(DIVISIONS[:4]), width=w
    ),
    "heat map of states": lambda w: plots.heat_map(fakes.efficiency(), width=w),
    "heat map of cities": lambda w: plots.heat_map(fakes.efficiency(fakes.cities(), range(2006, 2021)), width=w),
    "heat map by mean": lambda w: plots.heat_map(fakes.efficiency(lost=0), order="mean", width=w),
    "gini": lambda w: plots.gini_decomposition(fakes.inequality(draws=50), label="energy use per person", time_unit="year", width=w),
    "theil": lambda w: plots.gini_decomposition(fakes.inequality("theil_t", range(1990, 2021)), width=w),
    "paths": lambda w: plots.transition_paths(fakes.paths(with_units=True), width=w),
    "club map": lambda w: plots.club_map(fakes.clubs(shares=True), width=w),
    "club list": lambda w: plots.club_map(fakes.clubs(shares=True), layout="list", width=w),
    "clubs of cities": lambda w: plots.club_map(fakes.clubs(fakes.cities(), n_clubs=5), width=w),
    "transitions": lambda w: plots.transition_matrix(fakes.transitions(), width=w),
    "transitions with an empty class": lambda w: plots.transition_matrix(
        fakes.transitions(4, ["East", "Central", "West"], empty=2), width=w
    ),
    "transitions of regions": lambda w: plots.transition_matrix(fakes.transitions(5, DIVISIONS), width=w),
    "weights": lambda w: plots.forest(fakes.weights().where(estimand="weight"), by="term", width=w),
}


@pytest.mark.parametrize("width", [7.0, 3.8])
@pytest.mark.parametrize("name", FIGURES)
def test_text_is_large_enough_and_does_not_collide(name, width, monkeypatch):
    figure = FIGURES[name](width)
    assert figure.get_size_inches()[0] == width
    assert_readable(figure, monkeypatch)


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def changed(estimates: Estimates, **columns) -> Estimates:
    return Estimates(estimates.frame.assign(**columns), estimates.draws, estimates.title)


def thick(axes) -> list:
    return sorted((line for line in axes.lines if len(line.get_xdata()) > 2), key=lambda line: -line.get_linewidth())


# ── productivity ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_malmquist_indices_are_lines_on_a_logarithmic_axis_around_one():
    found = fakes.malmquist(DIVISIONS, cumulative=True, draws=30)
    figure = plots.productivity(found, time_unit="years")
    assert [axes.get_title(loc="left") for axes in figure.axes[:9]] == DIVISIONS
    assert legend(figure) == ["total productivity", "technical change", "efficiency change", "pure efficiency change", "scale change"]
    axes = figure.axes[4]
    assert axes.get_yscale() == "log"
    assert 1 in np.round(axes.get_yticks(), 12)
    own = found.where(region=DIVISIONS[4])
    drawn = [tuple(line.get_ydata()) for line in thick(axes)]
    for part in ("malmquist", "tc", "ec", "ptec", "sec"):
        assert tuple(own.where(estimand=part).frame["estimate"]) in drawn
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    total = own.where(estimand="malmquist").frame
    assert band.min() == pytest.approx(total["lower"].min())
    assert band.max() == pytest.approx(total["upper"].max())
    assert any(np.allclose(line.get_ydata(), 1) and len(line.get_ydata()) == 2 for line in axes.lines)
    words = figure.get_supylabel().replace("\n", " ")
    assert words == "cumulative index, 1 = no change since the year before 1971 (95 % intervals)"


def test_points_without_intervals_have_no_band_and_a_chain_names_its_start():
    found = fakes.malmquist(["East"], cumulative=True)
    figure = plots.productivity(found, time_unit="years")
    assert not figure.axes[0].collections
    started = changed(found, estimate=found.frame["estimate"].where(found.frame["period"] > 1971, 1.0))
    assert plots.productivity(started).get_supylabel().replace("\n", " ") == "cumulative index, 1 = no change since 1971"
    assert plots.productivity(fakes.malmquist(["East"])).get_supylabel() == "index per period, 1 = no change"
    assert plots.productivity(fakes.malmquist(["East"]), scale="percent").get_supylabel() == "% per period"


def test_malmquist_beside_a_frontier_shows_one_part_each():
    own, rival = fakes.malmquist(DIVISIONS[:3], draws=20), fakes.frontier_productivity(DIVISIONS[:3])
    figure = plots.productivity(own, rival)
    assert legend(figure) == ["Malmquist (FGNZ), output, CRS: total productivity", "Bayes, true random effects: total productivity"]
    first, second = (
        part.where(region=DIVISIONS[0], estimand=name).frame["estimate"] for part, name in ((own, "malmquist"), (rival, "tfpc"))
    )
    drawn = [tuple(line.get_ydata()) for line in thick(figure.axes[0])]
    assert {tuple(first), tuple(second)} <= set(drawn)
    assert len({tuple(band.get_facecolor()[0]) for band in figure.axes[0].collections}) == 2
    parts = plots.productivity(own, rival, part="ec")
    assert tuple(rival.where(region=DIVISIONS[0], estimand="ec").frame["estimate"]) in [
        tuple(line.get_ydata()) for line in thick(parts.axes[0])
    ]
    with pytest.raises(SpecificationError, match="No row is the part 'ptec' of an index"):
        plots.productivity(own, rival, part="ptec")


def test_a_period_without_an_index_is_a_gap_with_a_cross_and_a_lonely_point_stays():
    found = fakes.malmquist(["East"], range(2001, 2008))
    lost = found.frame["period"].isin([2003, 2005])
    gaps = changed(found, estimate=found.frame["estimate"].mask(lost), note=np.where(lost, fakes.INFEASIBLE, ""))
    figure = plots.productivity(gaps)
    assert legend(figure)[-1] == "no solution"
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    np.testing.assert_array_equal(crosses[0].get_xdata(), [2003, 2005])
    lonely = [line for line in figure.axes[0].lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert all(list(line.get_xdata()) == [2004] for line in lonely)
    assert lonely
    np.testing.assert_array_equal(_panels.alone(np.array([1, np.nan, 2, np.nan, 3, 4])), [True, False, True, False, False, False])


def test_indices_without_periods_are_points_by_region_on_both_scales():
    by_region = fakes.malmquist(DIVISIONS, [2000])
    figure = plots.productivity(changed(by_region, period=np.nan, term="region"))
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert titles == list(plots._productivity.PARTS.values())
    assert figure.axes[0].get_xscale() == "log"
    points = next(line for line in figure.axes[4].lines if line.get_marker() == "o")
    np.testing.assert_allclose(sorted(points.get_xdata()), sorted(by_region.where(estimand="malmquist").frame["estimate"]))
    percents = plots.productivity(changed(by_region, period=np.nan), scale="percent")
    points = next(line for line in percents.axes[4].lines if line.get_marker() == "o")
    np.testing.assert_allclose(sorted(points.get_xdata()), sorted(100 * (by_region.where(estimand="malmquist").frame["estimate"] - 1)))
    both = plots.productivity(changed(by_region, period=np.nan), changed(by_region, period=np.nan, source="other"))
    assert legend(both) == ["Malmquist (FGNZ), output, CRS", "other"]


def test_productivity_refuses_what_it_cannot_draw():
    found = fakes.malmquist(["East"])
    with pytest.raises(SpecificationError, match=r"part='tfpc' does not exist\. Choose one of: 'tc', 'ec', 'ptec', 'sec', 'total'"):
        plots.productivity(found, part="tfpc")
    with pytest.raises(SpecificationError, match="scale='log' does not exist"):
        plots.productivity(found, scale="log")
    with pytest.raises(SpecificationError, match="Yearly and cumulative"):
        plots.productivity(found, changed(fakes.malmquist(["East"], cumulative=True), source="other"))
    with pytest.raises(SpecificationError, match="several estimates for estimand 'total'"):
        plots.productivity(found + fakes.malmquist(["East"], cumulative=True))
    with pytest.raises(SpecificationError, match="41 panels are too many"):
        plots.productivity(fakes.malmquist([f"region {k}" for k in range(41)], [2000, 2001]))
    with pytest.raises(SpecificationError, match="got DataFrame"):
        plots.productivity(found.frame)


# ── heat map ────────────────────────────────────────────────────────────────────────────────────────────────────────


def hatched(axes) -> list:
    return [c for c in axes.collections if c.get_hatch()]


def test_a_heat_map_has_a_cell_a_unit_and_period_grouped_by_region():
    found = fakes.efficiency()
    figure = plots.heat_map(found)
    axes = figure.axes[0]
    units = [tick.get_text() for tick in axes.get_yticklabels()]
    regions = found.frame.drop_duplicates("unit").set_index("unit")["region"].loc[units]
    assert (regions != regions.shift()).sum() == 9
    means = found.frame.groupby("region")["estimate"].mean().loc[list(dict.fromkeys(regions))]
    assert means.is_monotonic_decreasing
    own = found.frame.groupby("unit")["estimate"].mean()
    assert all(own.loc[part.index].is_monotonic_decreasing for _, part in regions.groupby(regions, sort=False))
    meshes = [c for c in axes.collections if type(c).__name__ == "QuadMesh"]
    drawn = np.ma.concatenate([mesh.get_array().reshape(-1, 17) for mesh in meshes]).filled(np.nan)
    expected = found.frame.pivot_table("estimate", "unit", "period", dropna=False).loc[units].to_numpy()
    np.testing.assert_allclose(drawn, expected)
    lost = int(found.frame["estimate"].isna().sum())
    assert len(hatched(axes)[0].get_paths()) == lost > 0
    assert legend(figure) == [f"no solution ({lost} of 816)"]
    assert {text.get_text().replace("\n", " ") for text in axes.texts} == set(DIVISIONS)
    assert figure.axes[1].get_xlabel() == "efficiency"


def test_states_have_codes_on_a_phone_and_many_units_lose_their_names():
    phone = plots.heat_map(fakes.efficiency(), width=3.8)
    assert {"TX", "WY"} <= {tick.get_text() for tick in phone.axes[0].get_yticklabels()}
    many = plots.heat_map(fakes.efficiency(fakes.cities(), range(2006, 2021)), width=3.8)
    assert not [tick.get_text() for tick in many.axes[0].get_yticklabels()]
    assert len(many.axes[0].texts) == 12
    assert many.get_size_inches()[1] < 12
    assert plots.heat_map(fakes.efficiency(fakes.cities(), range(3)), order="mean").axes[0].get_ylabel() == "285 units, highest mean first"


def test_units_in_one_list_are_ordered_by_their_mean():
    found = fakes.efficiency(lost=0)
    units = [tick.get_text() for tick in plots.heat_map(found, order="mean").axes[0].get_yticklabels()]
    assert list(found.frame.groupby("unit")["estimate"].mean().sort_values(ascending=False).index) == units


def test_gaps_of_the_calendar_are_white_and_other_reasons_are_named():
    found = fakes.efficiency(fakes.cities(6, 2), [2000, 2001, 2004], lost=0)
    frame = found.frame.drop(index=[4]).reset_index(drop=True)
    frame.loc[0, ["estimate", "note"]] = [np.nan, "one unit in this period"]
    figure = plots.heat_map(Estimates(frame))
    assert legend(figure) == ["no value (1 of 17)", "not observed (13)"]
    left, right = figure.axes[0].get_xlim()
    assert (left, right) == (1999.5, 2004.5)


def test_indices_have_two_colours_around_one_and_outliers_an_arrow():
    rows = pd.DataFrame({"unit": [f"u{k}" for k in range(20)], "region": "East"})
    found = changed(fakes.efficiency(rows, range(5), lost=0), estimand="tc")
    values = 1 + 0.01 * np.random.default_rng(0).normal(size=len(found))
    values[7] = 30.0
    figure = plots.heat_map(changed(found, estimate=values))
    assert figure.axes[1].get_xlabel() == "technical change (1 = no change)"
    mesh = next(c for c in figure.axes[0].collections if type(c).__name__ == "QuadMesh")
    assert (mesh.norm.vmin + mesh.norm.vmax) / 2 == pytest.approx(1)
    assert mesh.norm.vmax < 1.1
    below, above = mesh.cmap(mesh.norm(0.98)), mesh.cmap(mesh.norm(1.02))
    assert below[0] > below[2]
    assert above[2] > above[0]
    level = plots.heat_map(changed(found, estimate=0.7, estimand="efficiency"))
    assert np.isfinite(level.axes[1].get_xlim()).all()


def test_of_an_index_with_dimensions_the_overall_one_is_shown():
    found = fakes.weights()
    figure = plots.heat_map(found)
    mesh = next(c for c in figure.axes[0].collections if type(c).__name__ == "QuadMesh")
    overall = found.where(estimand="index", term="overall").frame
    np.testing.assert_allclose(np.sort(np.ravel(mesh.get_array())), np.sort(overall["estimate"]))
    economy = found.where(term="economy")
    mesh = next(c for c in plots.heat_map(economy).axes[0].collections if type(c).__name__ == "QuadMesh")
    np.testing.assert_allclose(np.sort(np.ravel(mesh.get_array())), np.sort(economy.frame["estimate"]))


def test_heat_maps_refuse_what_they_cannot_draw():
    found = fakes.efficiency(fakes.cities(4, 2), range(3))
    with pytest.raises(SpecificationError, match="order='rank' does not exist"):
        plots.heat_map(found, order="rank")
    with pytest.raises(SpecificationError, match=r"estimand='tc' has no rows by unit and period\. Present: efficiency"):
        plots.heat_map(found, "tc")
    with pytest.raises(SpecificationError, match="No estimate has a unit and a period"):
        plots.heat_map(fakes.clubs())
    with pytest.raises(SpecificationError, match="several estimates for unit 'City 000', period 0"):
        plots.heat_map(found + found)
    with pytest.raises(SpecificationError, match="no row of 'efficiency' has a finite value"):
        plots.heat_map(changed(found, estimate=np.nan))
    with pytest.raises(SpecificationError, match="got dict"):
        plots.heat_map({})


# ── inequality ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("estimand", "parts"), [("dagum_gini", ["within", "between", "transvariation"]), ("theil_t", ["within", "between"])]
)
def test_parts_are_stacked_to_the_total(estimand, parts):
    found = fakes.inequality(estimand, draws=40)
    axes = plots.gini_decomposition(found).axes[0]
    frame = found.where(estimand=estimand, region="").frame
    heights = np.array([[bar.get_height() for bar in group] for group in axes.containers])
    np.testing.assert_allclose(heights, [frame.loc[frame["term"] == part, "estimate"] for part in parts])
    tops = [bar.get_y() + bar.get_height() for bar in axes.containers[-1]]
    total = frame[frame["term"] == "total"]
    np.testing.assert_allclose(tops, total["estimate"])
    line = next(line for line in axes.lines if line.get_marker() == "o")
    np.testing.assert_allclose(line.get_ydata(), total["estimate"])
    ends = np.array([path.vertices[:, 1] for path in axes.collections[0].get_paths()])
    np.testing.assert_allclose(ends, total[["lower", "upper"]])


def test_the_legend_of_a_stack_reads_from_its_top_and_a_lost_period_is_marked():
    found = fakes.inequality()
    figure = plots.gini_decomposition(found, label="output")
    assert legend(figure) == ["transvariation (overlap of regions)", "between regions", "within regions", "total"]
    assert figure.axes[0].get_ylabel().replace("\n", " ") == "Gini ratio (Dagum) of output"
    lost = found.frame["estimate"].mask(found.frame["period"] == 2010)
    figure = plots.gini_decomposition(changed(found, estimate=lost))
    assert legend(figure)[-1] == "no value"
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    np.testing.assert_array_equal(crosses[0].get_xdata(), [2010])


def test_decompositions_refuse_what_they_cannot_draw():
    with pytest.raises(SpecificationError, match="No row is an index of inequality by period"):
        plots.gini_decomposition(fakes.efficiency(fakes.cities(4, 2), range(3)))
    with pytest.raises(SpecificationError, match=r"not dagum_gini, theil_l: choose one with .where\(estimand='dagum_gini'\)"):
        plots.gini_decomposition(fakes.inequality() + fakes.inequality("theil_l"))
    with pytest.raises(SpecificationError, match="totals only"):
        plots.gini_decomposition(fakes.inequality().where(term="total"))
    with pytest.raises(SpecificationError, match="several estimates for term 'within', period 2006"):
        plots.gini_decomposition(fakes.inequality() + fakes.inequality())


# ── weights and helpers ─────────────────────────────────────────────────────────────────────────────────────────────


def test_weights_are_a_forest_by_indicator():
    found = fakes.weights().where(estimand="weight")
    figure = plots.forest(found, by="term")
    axes = figure.axes[0]
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == list(found.frame.sort_values("estimate", ascending=False)["term"])
    assert axes.get_xlabel() == "weight"
    assert legend(figure) == ["Composite index (topsis, entropy weights) (95 % interval)"]


def test_labels_move_apart_and_no_further():
    apart = np.array([1.0, 4.0, 9.0])
    np.testing.assert_allclose(_panels.spread(apart, np.ones(3), 0, 10), apart)
    close = _panels.spread(np.array([5.0, 5.1, 5.2]), np.ones(3), 0, 10)
    np.testing.assert_allclose(close, [4.1, 5.1, 6.1])
    np.testing.assert_allclose(_panels.spread(np.array([0.0, 0.1]), np.ones(2), 0, 10), [0.5, 1.5])


def test_figures_are_saved(tmp_path):
    for k, draw in enumerate((plots.heat_map, plots.club_map)):
        found = fakes.efficiency(fakes.cities(6, 2), range(4)) if k == 0 else fakes.clubs(fakes.cities(6, 2))
        draw(found, path=tmp_path / f"{k}.svg")
        assert (tmp_path / f"{k}.svg").stat().st_size > 2000
