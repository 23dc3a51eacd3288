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
        "maps": plots.scenario_maps(result, labels=("industrial output", "sulphur dioxide"), width=width),
        "map without surroundings": plots.tile_map(ratio, label="energy", surroundings=False, width=width),
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


# ── maps of scenarios ───────────────────────────────────────────────────────────────────────────────────────────────


def tiles(axes) -> dict[tuple[int, int], str]:
    """Lower left corner of every tile → its colour."""
    return {(round(p.get_x()), round(p.get_y())): to_hex(p.get_facecolor()) for p in axes.patches if isinstance(p, Rectangle)}


@pytest.mark.parametrize(("width", "beside"), [(7.0, 2), (3.8, 1)])
def test_a_map_for_every_direction_that_moves_a_quantity(result, width, beside):
    figure = plots.scenario_maps(result, labels=("value added", "SO2"), width=width)
    drawn = [axes for axes in figure.axes if axes.patches]
    titles = ["value added: economy-first", "value added: balanced", "SO2: energy-first", "SO2: balanced"]
    assert [axes.get_title("left") for axes in drawn] == titles
    assert len({axes.get_position().x0 for axes in drawn}) == beside
    for axes, (quantity, direction) in zip(drawn, [t.split(": ") for t in titles], strict=True):
        estimand = "output_ratio" if quantity == "value added" else "emission_ratio"
        rows = result.estimates.where(estimand=estimand, term="unit", variant=direction).frame
        changes = {china_province_codes([u])[u]: 100 * (v - 1) for u, v in zip(rows["unit"], rows["estimate"], strict=True)}
        texts = [text.get_text() for text in axes.texts]
        assert len(tiles(axes)) == 11
        for code, change in changes.items():
            words = texts[texts.index(code) + 1]
            assert float(words.replace("−", "-")) == pytest.approx(change, abs=0.5 if abs(change) >= 9.95 else 0.05)


def test_maps_keep_places_and_darken_with_the_change(result):
    axes = plots.scenario_maps(result).axes[0]
    rows = result.estimates.where(estimand="output_ratio", term="unit", variant="economy-first").frame.set_index("unit")["estimate"]
    codes = {unit: china_province_codes([unit])[unit] for unit in rows.index}
    top, left = (min(CHINA_GRID[code][k] for code in codes.values()) for k in (0, 1))
    shade = {unit: tiles(axes)[CHINA_GRID[code][1] - left, CHINA_GRID[code][0] - top] for unit, code in codes.items()}
    largest, smallest = (rows - 1).abs().idxmax(), (rows - 1).abs().idxmin()
    assert int(shade[largest][1:3], 16) < int(shade[smallest][1:3], 16)


def test_maps_of_units_without_places_need_a_grid(result):
    foreign = replace(
        result, units=np.array([f"place {k}" for k in range(11)], dtype=object), leaders=dict.fromkeys(result.leaders, "place 0")
    )
    with pytest.raises(SpecificationError, match="grid="):
        plots.scenario_maps(foreign)
    grid = {f"place {k}": (0, k) for k in range(11)}
    assert len(tiles(plots.scenario_maps(foreign, grid=grid).axes[0])) == 11
    with pytest.raises(SpecificationError, match="moves output or emission"):
        plots.scenario_maps(replace(result, share=np.zeros_like(result.share)))
    with pytest.raises(SpecificationError, match=r"bayes\.scenarios"):
        plots.scenario_maps(result.estimates)


def test_a_map_without_surroundings_holds_the_units_alone(result):
    ratio = result.estimates.where(estimand="emission_ratio", variant="energy-first", term="unit")
    whole, alone = (plots.tile_map(ratio, surroundings=s) for s in (True, False))
    assert len(tiles(whole.axes[0])) == 31
    assert len(tiles(alone.axes[0])) == 11
    assert min(tiles(alone.axes[0])) == (0, 0)
