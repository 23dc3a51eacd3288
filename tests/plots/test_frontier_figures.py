"""Figures of frontiers: efficiency by unit, elasticities, productivity, tile maps."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from bayes import plots
from bayes.errors import ProductivityWarning, SpecificationError
from bayes.estimates import Estimates
from bayes.plots._tile_map import US_GRID, US_NAMES, us_state_codes
from tests.plots.readability import assert_readable
from tests.reporting.frontier_fakes import fabricated_frontier, state_frame


def estimates(rows: pd.DataFrame, spread: float = 0.01, source: str = "synthetic posterior") -> Estimates:
    given = {"source": source, "lower": rows["estimate"] - spread, "upper": rows["estimate"] + spread, "level": 0.95}
    return Estimates.from_rows(rows.assign(**given, interval="equal-tailed posterior"))


@pytest.fixture(scope="module")
def states() -> Estimates:
    """Synthetic efficiencies of the 48 contiguous states by division."""
    frame, rng = state_frame(), np.random.default_rng(0)
    rows = {"estimand": "efficiency", "term": "unit", "unit": frame.state, "region": frame.census_division}
    return estimates(pd.DataFrame(rows).assign(estimate=rng.uniform(0.8, 0.97, len(frame))))


@pytest.fixture(scope="module")
def divisions() -> pd.DataFrame:
    names = sorted(state_frame().census_division.unique())
    return pd.DataFrame({"region": names, "estimate": np.linspace(0.1, 0.8, len(names))})


def productivity_rows(groups: pd.DataFrame, periods: list[float] | None = None) -> Estimates:
    parts = []
    for k, part in enumerate(("tc", "ec", "sec", "tfpc")):
        for t, period in enumerate(periods or [np.nan]):
            rows = groups.assign(estimand=part, term="region", period=period, estimate=1 + 0.004 * (k + 1) * t * groups["estimate"])
            parts.append(rows.assign(variant="cumulative" if periods else ""))
    return estimates(pd.concat(parts, ignore_index=True))


def figures(states, divisions, width):
    elastic = [estimates(divisions.assign(estimand="elasticity", term=name)) for name in ("log_k", "log_l")]
    scale = estimates(divisions.assign(estimand="returns_to_scale", term="region"))
    rival = estimates(divisions.assign(estimand="elasticity", term="log_k"), source="Maximum likelihood, by region")
    return {
        "efficiency": plots.efficiency(states, width=width),
        "ranks": plots.efficiency(states, order="rank", width=width),
        "elasticities": plots.elasticities(*elastic, scale, rival, width=width),
        "productivity": plots.productivity(productivity_rows(divisions), time_unit="years", width=width),
        "path": plots.productivity(productivity_rows(divisions, [2000.0, 2001.0, 2002.0, 2010.0]), width=width),
        "tile_map": plots.tile_map(states, label="mean efficiency", width=width),
    }


@pytest.mark.parametrize("width", [7.0, 3.8])
def test_text_is_large_enough_and_does_not_collide(states, divisions, width, monkeypatch):
    for name, figure in figures(states, divisions, width).items():
        assert_readable(figure, monkeypatch, f"{name}, {width} in")


# ── efficiency ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_units_are_ranked_within_regions_and_regions_by_their_mean(states):
    axes = plots.efficiency(states).axes[0]
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    frame = states.frame.set_index("unit").loc[labels]
    means = frame.groupby("region", sort=False)["estimate"].mean()
    assert means.is_monotonic_decreasing
    assert all(part["estimate"].is_monotonic_decreasing for _, part in frame.groupby("region", sort=False))
    points = np.asarray(axes.collections[1].get_offsets())
    np.testing.assert_allclose(points[:, 0], frame["estimate"])
    assert (np.diff(points[:, 1]) > 0).all()


def test_ranked_in_one_list_regions_have_colours_while_there_are_enough(states):
    few = Estimates(states.frame[states.frame["region"].isin(["Pacific", "Mountain"])].reset_index(drop=True))
    figure = plots.efficiency(few, order="rank")
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"Pacific", "Mountain"}
    assert len({*map(tuple, figure.axes[0].collections[1].get_facecolor())}) == 2
    assert not plots.efficiency(states, order="rank").legends
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert list(few.frame.sort_values("estimate", ascending=False)["unit"]) == labels


def test_many_units_lose_their_names_not_their_points():
    n = 300
    rows = pd.DataFrame({"estimand": "efficiency", "unit": [f"u{k}" for k in range(n)], "region": np.array(["A", "B"])[np.arange(n) % 2]})
    figure = plots.efficiency(estimates(rows.assign(estimate=np.linspace(0.5, 0.9, n))))
    assert len(figure.axes[0].get_yticklabels()) == 0
    assert len(figure.axes[0].collections[1].get_offsets()) == n
    assert figure.get_size_inches()[1] < 12


def test_efficiency_refuses_what_it_cannot_draw(states, divisions):
    with pytest.raises(SpecificationError, match="order='size'"):
        plots.efficiency(states, order="size")
    with pytest.raises(SpecificationError, match="No estimate has a unit"):
        plots.efficiency(estimates(divisions))
    with pytest.raises(SpecificationError, match="several estimates for unit 'Alabama'"):
        plots.efficiency(states + states)
    with pytest.raises(SpecificationError, match="got DataFrame"):
        plots.efficiency(states.frame)


# ── productivity and elasticities ───────────────────────────────────────────────────────────────────────────────────


def test_productivity_shows_percentages_part_by_part():
    fit = fabricated_frontier(draws=60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ProductivityWarning)
        by_region, overall = fit.productivity("region"), fit.productivity("all")
        path = fit.productivity("region:period", cumulative=True)
    figure = plots.productivity(by_region + overall, time_unit="years")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "technical change", "efficiency change", "scale change", "total productivity",
    ]  # fmt: skip
    last = figure.axes[0].get_yticklabels()[-1].get_text()
    assert last == "all"
    line = next(line for line in figure.axes[3].lines if line.get_marker() == "o")
    shown = dict(
        zip([tick.get_text() for tick in figure.axes[0].get_yticklabels()], line.get_xdata()[np.argsort(line.get_ydata())], strict=True)
    )
    expected = by_region.where(estimand="tfpc", region="East").frame["estimate"].iloc[0]
    assert shown["East"] == pytest.approx(100 * (expected - 1))
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    figure = plots.productivity(path)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["East", "North", "West"]
    drawn = max((line for line in figure.axes[0].lines if len(line.get_xdata()) == 6), key=lambda line: line.get_linewidth())
    np.testing.assert_allclose(drawn.get_ydata(), 100 * (path.where(estimand="tfpc", region="East").frame["estimate"] - 1))
    with pytest.raises(SpecificationError, match="Give one source"):
        plots.productivity(by_region + by_region)
    with pytest.raises(SpecificationError, match="No row is an index"):
        plots.productivity(fit.elasticities())


def test_elasticities_have_a_panel_each_and_a_marker_a_source(divisions):
    own = estimates(divisions.assign(estimand="elasticity", term="log_k"))
    scale = estimates(divisions.assign(estimand="returns_to_scale", term="region"))
    rival = estimates(divisions.assign(estimand="elasticity", term="log_k"), source="ML")
    figure = plots.elasticities(own, scale, rival)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["log_k", "returns to scale"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["synthetic posterior", "ML"]
    assert len([line for line in figure.axes[0].lines if line.get_linestyle() == "None"]) == 2
    with pytest.raises(SpecificationError, match="No estimate has a unit"):
        plots.elasticities(own, by="unit")
    with pytest.raises(SpecificationError, match="by='period'"):
        plots.elasticities(own, by="period")
    with pytest.raises(SpecificationError, match="several estimates"):
        plots.elasticities(own, own)


# ── tile maps ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_grid_has_every_state_once():
    assert set(US_GRID) == set(US_NAMES.values())
    assert len(US_GRID) == 51 == len(set(US_GRID.values()))
    states = state_frame()
    assert {name: US_NAMES[name] for name in states.state} == dict(zip(states.state, states.abbreviation, strict=True))


def test_neighbours_on_the_map_are_neighbours_on_the_ground():
    for north, south in (("OR", "CA"), ("ND", "SD"), ("MA", "CT"), ("PA", "MD"), ("OK", "TX"), ("VT", "MA"), ("TN", "MS"), ("WA", "OR")):
        assert np.subtract(US_GRID[south], US_GRID[north]).tolist() == [1, 0], (north, south)
    for west, east in (("WA", "ID"), ("VT", "NH"), ("MS", "AL"), ("AL", "GA"), ("AZ", "NM"), ("IL", "IN"), ("OH", "PA")):
        assert np.subtract(US_GRID[east], US_GRID[west]).tolist() == [0, 1], (west, east)


def tiles(figure) -> dict[str, tuple]:
    from matplotlib.patches import Rectangle

    axes = figure.axes[0]
    faces = {(round(p.get_x(), 2), round(p.get_y(), 2)): p.get_facecolor() for p in axes.patches if isinstance(p, Rectangle)}
    out = {}
    for text in axes.texts:
        x, y = text.get_position()
        out.setdefault(faces[(round(x - 0.47, 2), round(int(y) + 0.03, 2))], []).append(text.get_text())
    return {names[0]: face for face, names in out.items()}


def test_names_and_codes_give_the_same_map_and_values_their_colour():
    by_name = plots.tile_map({"Texas": 1.0, "Ohio": 2.0, "New York": 3.0})
    by_code = plots.tile_map(pd.Series({"TX": 1.0, "OH": 2.0, "ny": 3.0}))
    assert tiles(by_name) == tiles(by_code)
    shades = tiles(by_name)
    brightness = [sum(shades[code][:3]) for code in ("TX", "OH", "NY")]
    assert brightness == sorted(brightness, reverse=True)
    codes = [text.get_text() for text in by_name.axes[0].texts]
    assert not {"AK", "HI", "DC"} & set(codes)
    assert "ME" in codes
    assert "HI" in [text.get_text() for text in plots.tile_map({"HI": 1, "ME": 2}).axes[0].texts]


def test_a_grid_of_ones_own():
    grid = {"Guangdong": (1, 0), "Fujian": (0, 1), "Hainan": (2, 0)}
    figure = plots.tile_map({"Guangdong": -0.2, "Fujian": 0.4}, grid=grid, short={"Guangdong": "GD"})
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"GD", "−0.200", "Fujian", "Hainan"} <= set(texts)
    one = plots.tile_map({"Fujian": 0.4}, grid=grid)
    assert np.isfinite(one.axes[0].patches[0].get_facecolor()).all()


def test_maps_refuse_what_has_no_place():
    with pytest.raises(SpecificationError, match=r"Not US states: \['Bavaria'\]"):
        plots.tile_map({"Bavaria": 1.0})
    with pytest.raises(SpecificationError, match="Two labels stand for TX"):
        plots.tile_map({"TX": 1.0, "Texas": 2.0})
    with pytest.raises(SpecificationError, match="share the place"):
        plots.tile_map({"a": 1.0}, grid={"a": (0, 0), "b": (0, 0)})
    with pytest.raises(SpecificationError, match="No place on the grid"):
        plots.tile_map({"c": 1.0}, grid={"a": (0, 0)})
    with pytest.raises(SpecificationError, match="negative"):
        plots.tile_map({"a": 1.0}, grid={"a": (-1, 0)})
    with pytest.raises(SpecificationError, match="finite"):
        plots.tile_map({"TX": np.nan})
    with pytest.raises(SpecificationError, match="map labels to numbers"):
        plots.tile_map(3.0)
    assert us_state_codes(["Texas", "ny"]) == {"Texas": "TX", "ny": "NY"}
    assert us_state_codes(["Texas", "Bavaria"]) is None
