"""Means and standard deviations beside printed ones."""

from __future__ import annotations

import numpy as np
import pytest

import bayes
from bayes.errors import MissingColumnError, SpecificationError
from bayes.panel import Panel
from tests.panels import simulated_frame


def test_moments_are_those_of_all_rows():
    panel = Panel.from_frame(simulated_frame(gaps=True), "unit", "year", name="synthetic")
    table = bayes.measure.moments(panel, ["y", "x"]).frame
    assert table.estimand.tolist() == ["mean", "sd", "mean", "sd"]
    x = panel.frame["x"].to_numpy()
    assert table.estimate.iloc[2:].tolist() == pytest.approx([x.sum() / x.size, np.sqrt(((x - x.mean()) ** 2).sum() / (x.size - 1))])
    assert set(table.source) == {"synthetic"}
    assert (table.n_obs == panel.n_rows).all()
    assert table.se.isna().all()


def test_bad_columns_are_refused():
    panel = Panel.from_frame(simulated_frame(), "unit", "year")
    for columns in ("y", []):
        with pytest.raises(SpecificationError, match="columns"):
            bayes.measure.moments(panel, columns)
    with pytest.raises(MissingColumnError, match="'nothing'"):
        bayes.measure.moments(panel, ["nothing"])
