"""Figures of scenarios, and the map of Chinese provinces."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

import bayes
from bayes import plots
from bayes.errors import SpecificationError
from bayes.plots import _dots as d
from bayes.plots._tile_map import CHINA_GRID, CHINA_NAMES, china_province_codes
from tests.plots.readability import assert_readable
from tests.scenario_fits import REACHES, pair, province_frame


@pytest.fixture(scope="module")
def result():
    return bayes.scenarios(*pair(province_frame(), chains=2, draws=60), seed=1)


def figures(result, width):
    ratio = result.estimates.where(estimand="emission_ratio", variant="energy-first")
    return {
        "scenarios": plots.scenarios(result, labels=("industrial output", "energy"), width=width),
        "decision": plots.scenario_decision(result, width=width),
        "tied": plots.scenario_decision(result, "output", width=width),
        "map": plots.tile_map(ratio, label="energy under energy-first / none", width=width),
        "every province": plots.tile_map(dict.fromkeys(CHINA_NAMES, 0.5) | {"Hebei": 0.7}, width=width),
    }


@pytest.mark.parametrize("width", [7.0, 3.8])
def test_text_is_large_enough_and_does_not_collide(result, width, monkeypatch):
    for name, figure in figures(result, width).items():
        assert_readable(figure, monkeypatch, f"{name}, {width} in")


# ── changes by unit ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_points_are_percent_changes_of_each_direction(result):
    figure = plots.scenarios(result)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert set(names) == set(result.units)
    for axes, quantity in zip(figure.axes, ("output", "emission"), strict=True):
        for number, direction in enumerate(("energy-first", "economy-first", "balanced")):
            rows = result.estimates.where(estimand=f"{quantity}_ratio", variant=direction, term="unit").frame.set_index("unit")
            line = next(one for one in axes.lines if one.get_color() == d.look(number)[0] and len(one.get_xdata()) == len(names))
            places = np.round(line.get_ydata()).astype(int)
            np.testing.assert_allclose(line.get_xdata(), 100 * (rows.loc[[names[k] for k in places], "estimate"] - 1))
        assert [text.get_text() for text in axes.texts if text.get_text() == "leader"] == ["leader"]
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["energy-first", "economy-first", "balanced"]
    assert "95 % intervals" in figure.get_supxlabel()


def test_units_stand_in_their_regions_furthest_from_best_practice_first(result):
    names = [label.get_text() for label in plots.scenarios(result).axes[0].get_yticklabels()]
    region = dict(zip(result.units, result.regions, strict=True))
    mean = dict(zip(result.units, result.distances[0].mean(axis=0), strict=True))
    runs = [region[name] for name in names]
    assert sum(a != b for a, b in pairwise(runs)) == len(REACHES) - 1
    for reach in REACHES:
        inside = [mean[name] for name in names if region[name] == reach]
        assert inside == sorted(inside, reverse=True)
    some = plots.scenarios(result, units=["Hubei", "Anhui"]).axes[0]
    assert {label.get_text() for label in some.get_yticklabels()} == {"Hubei", "Anhui"}


# ── decisions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_strip_shows_the_decision_table(result):
    figure = plots.scenario_decision(result)
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    table = result.decision_table().set_index("unit").loc[names, list(result.scenarios)].to_numpy()
    words = {text.get_position(): text.get_text() for text in axes.texts}
    for (row, column), value in np.ndenumerate(table):
        assert words[(column, row)] == ("<1" if 0 < 100 * value < 0.5 else f"{100 * value:.0f}")
    cells = [one for one in axes.patches if isinstance(one, Rectangle)]
    darkness = [-sum(one.get_facecolor()[:3]) for one in cells]
    assert np.corrcoef(darkness, table.ravel())[0, 1] > 0.95
    assert "smallest distance left" in figure.get_suptitle()


def test_a_unit_that_no_direction_moves_is_hatched(result):
    axes = plots.scenario_decision(result, "output", units=[result.leaders["output"], "Hubei"]).axes[0]
    hatched = [one for one in axes.patches if one.get_hatch()]
    place = [label.get_text() for label in axes.get_yticklabels()].index(result.leaders["output"])
    assert {round(one.get_y() + 0.5) for one in hatched} == {place}
    assert len(hatched) == 4


def test_bad_input_is_refused(result):
    for draw in (plots.scenarios, plots.scenario_decision):
        with pytest.raises(SpecificationError, match="got Estimates"):
            draw(result.estimates)
        with pytest.raises(SpecificationError, match=r"\['Bavaria'\] are not in the result"):
            draw(result, units=["Hubei", "Bavaria"])
        with pytest.raises(SpecificationError, match="none are not"):
            draw(result, units=[])
    with pytest.raises(SpecificationError, match="criterion='welfare'"):
        plots.scenario_decision(result, "welfare")
    many = replace(result, units=np.arange(61).astype(str).astype(object), regions=np.repeat("r", 61), distances=np.ones((2, 3, 61)))
    with pytest.raises(SpecificationError, match="61 units"):
        plots.scenarios(many)


# ── provinces ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_grid_has_every_province_once():
    assert len(CHINA_GRID) == 31 == len(set(CHINA_GRID.values()))
    assert set(CHINA_GRID) == set(CHINA_NAMES.values())
    rows, columns = np.array(list(CHINA_GRID.values())).T
    assert (rows.min(), columns.min()) == (0, 0)


def test_neighbours_on_the_map_are_neighbours_on_the_ground():
    for north, south in (("BJ", "HE"), ("HL", "JL"), ("JL", "LN"), ("HB", "HN"), ("GZ", "GX"), ("SX", "HA"), ("HN", "GD"), ("NM", "SX")):
        assert np.subtract(CHINA_GRID[south], CHINA_GRID[north]).tolist() == [1, 0], (north, south)
    for west, east in (("ZJ", "SH"), ("AH", "JS"), ("XZ", "SC"), ("SC", "CQ"), ("SN", "HA"), ("HE", "TJ"), ("YN", "GZ"), ("JX", "ZJ")):
        assert np.subtract(CHINA_GRID[east], CHINA_GRID[west]).tolist() == [0, 1], (west, east)


def test_labels_choose_between_states_and_provinces():
    assert china_province_codes(["Shanxi", "shaanxi", "Neimenggu", "Inner Mongolia", "Xizang"]) == {
        "Shanxi": "SX", "shaanxi": "SN", "Neimenggu": "NM", "Inner Mongolia": "NM", "Xizang": "XZ",
    }  # fmt: skip
    assert china_province_codes(["Texas"]) is None
    assert china_province_codes(["Hubei", "Texas"]) is None
    texts = [text.get_text() for text in plots.tile_map({"Hubei": 1.0, "tibet": 2.0}).axes[0].texts]
    assert {"Hubei", "Tibet", "1.000", "2.000", "Shanghai", "Heilongji."} <= set(texts)
    narrow = [text.get_text() for text in plots.tile_map({"Hubei": 1.0, "tibet": 2.0}, width=3.8).axes[0].texts]
    assert {"HB", "XZ", "SH"} <= set(narrow)
    with pytest.raises(SpecificationError, match=r"Not Chinese provinces: \['Bavaria'\]"):
        plots.tile_map({"Hubei": 1.0, "Bavaria": 2.0})
    with pytest.raises(SpecificationError, match="Two labels stand for XZ"):
        plots.tile_map({"Tibet": 1.0, "Xizang": 2.0})


def test_a_province_has_the_colour_of_its_value():
    axes = plots.tile_map({"Hubei": 1.0, "Hunan": 3.0}).axes[0]
    faces = {(round(one.get_x(), 2), round(one.get_y(), 2)): to_hex(one.get_facecolor()) for one in axes.patches}
    low, high = (faces[(column + 0.03, row + 0.03)] for row, column in (CHINA_GRID["HB"], CHINA_GRID["HN"]))
    assert (low, high) == ("#e4eef5", "#00324f")
    assert faces[(CHINA_GRID["GD"][1] + 0.03, CHINA_GRID["GD"][0] + 0.03)] == "#ffffff"
