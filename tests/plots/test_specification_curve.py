"""The specification curve: order, dots, what is not shown, and text that fits at both widths."""

from __future__ import annotations

import numpy as np
import pytest

from bayes import plots
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from tests.plots.readability import assert_readable, drawn_text

SOURCES = ["headline, full posterior", "headline, mode", "trimmed 10 %", "dates: second batch later", "covariates: x, z", "without North"]
CHOICES = {
    "sample": ["all rows", "all rows", "trimmed 10 %", "all rows", "all rows", "all rows"],
    "dates": ["as in the panel"] * 3 + ["second batch later"] + ["as in the panel"] * 2,
    "covariates": ["none"] * 4 + ["x, z", "none"],
    "regions": ["all regions"] * 5 + ["without North"],
    "outcome": ["y"] * 6,
}


def made(**columns) -> Estimates:
    """Synthetic estimates of six variants."""
    values = np.array([0.30, 0.29, 0.22, 0.41, 0.35, 0.26])
    rows = [
        {"estimand": "att", "term": "simple", "source": s, "estimate": v, "lower": v - 0.2, "upper": v + 0.2, "level": 0.95}
        for s, v in zip(SOURCES, values, strict=True)
    ]
    for j, r in enumerate(rows):
        r.update({k: v[j] for k, v in columns.items()})
    choices = {d: dict(zip(SOURCES, labels, strict=True)) for d, labels in CHOICES.items()}
    return Estimates.from_rows(rows, choices=choices)


@pytest.mark.parametrize("width", [7.0, 3.8])
def test_text_fits_and_does_not_collide(width, monkeypatch, tmp_path):
    figure = plots.specification_curve(made(), outcome="log output", width=width, path=tmp_path / "curve.png")
    assert_readable(figure, monkeypatch)
    assert (tmp_path / "curve.png").stat().st_size > 10_000


def dots(figure) -> set[tuple[int, str]]:
    """Place and line of every dot of the matrix."""
    axes = figure.axes[1]
    names = [t.get_text() for t in axes.get_yticklabels()]
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    return {(int(x), names[int(y)]) for line in lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}


def test_dots_stand_below_the_sorted_estimates():
    figure = plots.specification_curve(made())
    order = [SOURCES[k] for k in np.argsort([0.30, 0.29, 0.22, 0.41, 0.35, 0.26])]
    points = [line for line in figure.axes[0].lines if line.get_marker() in ("o", "D") and len(line.get_xdata()) == 1]
    assert [float(line.get_ydata()[0]) for line in sorted(points, key=lambda line: line.get_xdata()[0])] == sorted(
        [0.30, 0.29, 0.22, 0.41, 0.35, 0.26]
    )
    expected = set()
    for dimension, labels in CHOICES.items():
        for source, label in zip(SOURCES, labels, strict=True):
            if dimension != "outcome":  # the same in all: no line
                name = label if dimension in ("sample", "regions") else f"{dimension}: {label}"
                expected.add((order.index(source), name))
    assert dots(figure) == expected


def test_other_units_and_missing_numbers_are_named_below(monkeypatch):
    table = made(estimand=["att"] * 4 + ["att of log_y", "att"], estimate=[0.3, 0.29, np.nan, 0.41, 0.35, 0.26])
    figure = plots.specification_curve(table)
    text = " ".join(t.get_text() for t in drawn_text(figure, monkeypatch)).replace("\n", " ")
    assert "Not shown, in other units: covariates: x, z." in text
    assert "Not identified: trimmed 10 %." in text
    assert {x for x, _ in dots(figure)} == {0, 1, 2, 3}


def test_without_choices_every_source_is_a_line():
    table = made()
    figure = plots.specification_curve(Estimates(table.frame))
    assert len(figure.axes[1].get_yticklabels()) == len(SOURCES)
    assert len(dots(figure)) == len(SOURCES)


def test_several_rows_of_a_source_and_nothing_to_draw_are_refused():
    with pytest.raises(SpecificationError, match="several rows"):
        plots.specification_curve(made() + made())
    with pytest.raises(SpecificationError, match="nothing to draw"):
        plots.specification_curve(made(estimate=[np.nan] * 6))
    with pytest.raises(SpecificationError, match="Estimates"):
        plots.specification_curve(3)
