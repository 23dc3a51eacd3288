"""Figures of convergence: transition paths, clubs, transition matrices."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from bayes import plots
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.plots import _clubs
from bayes.plots._tile_map import US_NAMES
from bayes.plots._transitions import percent
from tests.plots import measurement_fakes as fakes
from tests.plots.test_measurement_figures import DIVISIONS, legend, thick

# ── clubs ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_paths_are_lines_by_club_around_the_mean():
    found = fakes.paths(with_units=True)
    figure = plots.transition_paths(found)
    assert legend(figure) == ["club 1 (11 units)", "club 2 (24 units)", "club 3 (10 units)", "no club (3 units)", "units"]
    axes = figure.axes[0]
    lines = thick(axes)
    assert len(lines) == 4 + 48
    for term, line in zip(("club 1", "club 2", "club 3", "no club"), lines, strict=False):
        np.testing.assert_allclose(line.get_ydata(), found.where(term=term, unit="").frame["estimate"])
    assert len({line.get_color() for line in lines[:4]}) == 4
    assert lines[4].get_color() in {line.get_color() for line in lines[:4]}
    assert [text.get_text() for text in axes.texts] == ["–", "3", "2", "1"]
    heights = [text.xy[1] for text in axes.texts]
    assert heights == sorted(heights)


def test_paths_of_units_take_the_colour_of_their_club_row():
    paths = fakes.paths(with_units=True)
    units = paths.frame[paths.frame["unit"] != ""]
    clubs = units.drop_duplicates("unit").assign(
        estimand="club", estimate=lambda f: f["term"].map({"club 1": 1.0, "club 2": 2.0, "club 3": 3.0, "no club": 0.0}), period=np.nan
    )
    bare = Estimates.from_rows(pd.concat([units.assign(term="unit"), clubs], ignore_index=True))
    axes = plots.transition_paths(bare).axes[0]
    colours = [line.get_color() for line in axes.lines if len(line.get_xdata()) > 2]
    named = [line.get_color() for line in plots.transition_paths(Estimates(units)).axes[0].lines if len(line.get_xdata()) > 2]
    assert colours == named
    assert len(set(colours)) == 4


def test_tiles_of_a_map_have_the_colour_of_their_club_paler_where_it_is_uncertain():
    found = fakes.clubs(shares=True)
    axes = plots.club_map(found).axes[0]
    faces = {(round(p.get_x(), 2), round(p.get_y(), 2)): p.get_facecolor()[:3] for p in axes.patches}
    names = {
        (round(t.get_position()[0] - 0.47, 2), round(int(t.get_position()[1]) + 0.03, 2)): t for t in axes.texts if t.get_text().isalpha()
    }
    shown = {text.get_text(): faces[place] for place, text in names.items()}
    for row in found.frame.itertuples():
        full = np.array(to_rgb(_clubs._colour(row.estimate)))
        weight = 0.25 + 0.75 * row.prob_positive
        np.testing.assert_allclose(shown[US_NAMES[row.unit]], weight * full + 1 - weight)
    plain = plots.club_map(fakes.clubs())
    assert "pale: in few draws" not in legend(plain)
    assert legend(plain) == [f"{name} ({count})" for name, count in count_clubs(fakes.clubs()).items()]


def count_clubs(found: Estimates) -> dict[str, int]:
    counts = found.frame["estimate"].value_counts()
    return {f"club {k}": int(counts[k]) for k in (1, 2, 3)} | {"no club": int(counts[0])}


def test_a_list_has_every_unit_under_its_region_sorted_by_club():
    found = fakes.clubs(fakes.cities(40, 5))
    axes = plots.club_map(found).axes[0]
    texts = {text.get_text(): text.get_position() for text in axes.texts if not re.fullmatch(r"\d|–", text.get_text())}
    assert set(texts) == set(found.frame["unit"]) | set(found.frame["region"])
    for region, part in found.frame.groupby("region"):
        places = [(round(texts[unit][1], 2), texts[unit][0]) for unit in part["unit"]]
        order = np.array(part["estimate"].replace(0, 9))[[places.index(p) for p in sorted(places)]]
        assert (np.diff(order) >= 0).all(), region
    many = plots.club_map(fakes.clubs(fakes.cities(), n_clubs=5))
    assert len(many.axes[0].patches) == 285
    digits = [text.get_text() for text in many.axes[0].texts if re.fullmatch(r"\d|–", text.get_text())]
    assert len(digits) == 285


def test_club_figures_refuse_what_they_cannot_draw():
    with pytest.raises(SpecificationError, match="No row is a relative transition path"):
        plots.transition_paths(fakes.clubs())
    with pytest.raises(SpecificationError, match="several estimates for term 'club 1'"):
        plots.transition_paths(fakes.paths() + fakes.paths())
    with pytest.raises(SpecificationError, match="No row says which club"):
        plots.club_map(fakes.paths())
    with pytest.raises(SpecificationError, match="layout='tiles' does not exist"):
        plots.club_map(fakes.clubs(), layout="tiles")
    with pytest.raises(SpecificationError, match="some units are none"):
        plots.club_map(fakes.clubs(fakes.cities(4, 2)), layout="map")
    with pytest.raises(SpecificationError, match="several estimates for unit"):
        plots.club_map(fakes.clubs() + fakes.clubs())


# ── transitions ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_matrix_carries_its_probabilities_intervals_and_long_run():
    found = fakes.transitions(4)
    figure = plots.transition_matrix(found)
    matrix, bars = figure.axes[:2]
    written = {(round(t.get_position()[1]), round(t.get_position()[0]), t.get_fontsize() > 9): t.get_text() for t in matrix.texts}
    rows = found.where(variant="posterior", estimand="transition").frame
    for row in rows.itertuples():
        place = (int(row.term) - 1, int(row.term_to) - 1)
        assert written[(*place, True)] == percent(row.estimate)
        assert written[(*place, False)] == f"{percent(row.lower)}–{percent(row.upper)}"
    long_run = found.where(variant="posterior", estimand="ergodic").frame
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], 100 * long_run["estimate"])
    assert legend(figure) == ["% that move, 95 % interval below"]
    assert percent(0.004) == "<1"
    assert (percent(0), percent(0.996), percent(1)) == ("0", "100", "100")


def test_regions_have_a_matrix_each_and_many_of_them_the_numbers_only():
    three = plots.transition_matrix(fakes.transitions(3, ["East", "Central", "West"]))
    assert [axes.get_title(loc="left") for axes in three.axes[0:6:2]] == ["East", "Central", "West"]
    ends = {axes.get_xlim() for axes in three.axes[1:6:2]}
    assert len(ends) == 1
    many = plots.transition_matrix(fakes.transitions(5, DIVISIONS))
    assert len(many.axes[0].texts) == 25
    assert legend(many) == ["% that move from the row's class"]


def test_classes_without_moves_are_hatched_and_empty_where_there_is_no_prior():
    found = fakes.transitions(4, empty=2)
    figure = plots.transition_matrix(found)
    assert legend(figure)[-1] == "no moves start here: the prior alone"
    marks = [patch for patch in figure.axes[0].patches if patch.get_hatch()]
    assert [(p.get_x(), p.get_y()) for p in marks] == [(k - 0.5, 0.5) for k in range(4)]
    points = plots.transition_matrix(found, variant="frequency")
    assert legend(points)[-1] == "no moves start here"
    assert len(points.axes[0].texts) == 12
    bare = plots.transition_matrix(found.where(estimand="transition"))
    assert len(bare.axes) == 1


def test_transition_matrices_refuse_what_they_cannot_draw():
    found = fakes.transitions(3)
    with pytest.raises(SpecificationError, match="No row is a transition probability"):
        plots.transition_matrix(found.where(estimand="ergodic"))
    with pytest.raises(SpecificationError, match=r"variant='mode' has no transitions\. Present: 'posterior', 'frequency'"):
        plots.transition_matrix(found, variant="mode")
    with pytest.raises(SpecificationError, match="several estimates for estimand 'transition', term '1', term_to '1'"):
        plots.transition_matrix(found + found)
    with pytest.raises(SpecificationError, match="got list"):
        plots.transition_matrix([found])
