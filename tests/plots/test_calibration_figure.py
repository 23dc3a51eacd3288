"""The figure of a calibration: a panel a quantity, coloured by whether it leaves its band."""

from __future__ import annotations

import pytest

import bayes
from bayes.errors import SpecificationError
from bayes.plots import _style as s
from tests.test_calibration import fabricated


@pytest.mark.parametrize("width", [7.0, 3.8])
def test_lines_outside_their_bands_change_colour(width, tmp_path):
    figure = bayes.plots.calibration(fabricated(400, error=0.3), width=width, path=tmp_path / "a.png")
    colours = [axes.lines[0].get_color() for axes in figure.axes[:2]]
    assert colours == [s.POSTERIOR, s.PALETTE[0]]
    assert (tmp_path / "a.png").stat().st_size > 5000
    assert "400 replicates" in figure.get_supxlabel().replace("\n", " ")


def test_only_calibrations_are_drawn(tiny_panel):
    with pytest.raises(SpecificationError, match="calibrate"):
        bayes.plots.calibration(tiny_panel)
