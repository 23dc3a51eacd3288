"""Leave-one-unit-out comparison of poolings: elpd against brute force, the order on simulations that favour one, errors."""

from __future__ import annotations

import warnings

import arviz_stats as az
import numpy as np
import pytest
import xarray as xr

import bayes
from bayes.did.criticism import psis_loo, unit_log_likelihood
from bayes.did.pooling_comparison import PoolingComparison, pooling_name
from bayes.errors import InfluentialUnitsWarning, SpecificationError, UnsupportedModelError
from tests.did.dense import panel_of
from tests.panels import simulated_frame


@pytest.fixture(scope="module")
def panel():
    return panel_of(simulated_frame(seed=4, n_units=45, n_periods=8))


@pytest.fixture(scope="module")
def comparison(panel) -> PoolingComparison:
    return bayes.compare_pooling(panel, bayes.StaggeredDiD("y", covariates=("x",)), ["complete", ("region",)], seed=1)


def test_the_table_is_sorted_and_complete(comparison):
    table = comparison.table
    full = "event + region + cohort + region:event + cell"
    assert set(table.pooling) == {"complete", "region", full}
    assert (np.diff(table.elpd) <= 0).all()
    np.testing.assert_allclose(table.elpd_difference, table.elpd - table.elpd[0], atol=1e-9)
    assert table.weight.sum() == pytest.approx(1, abs=1e-6)
    assert table.converged.all()
    assert comparison.meta["method"] == "mode"
    assert comparison.table.pooling[0] in comparison.verdict()
    assert comparison.verdict() in repr(comparison)


def test_effects_that_differ_between_regions_are_not_pooled_completely(comparison):
    """The simulation has effects of .2, .5 and .8: complete pooling predicts clearly worse."""
    table = comparison.table.set_index("pooling")
    assert table.index[-1] == "complete"
    assert table.elpd_difference["complete"] < -2 * table.difference_se["complete"]
    assert "clearly" in comparison.verdict()


def test_differences_and_standard_errors_by_hand(comparison):
    first, last = comparison.table.pooling.iloc[0], comparison.table.pooling.iloc[-1]
    gap = np.asarray(comparison.loo[last].elpd_i) - np.asarray(comparison.loo[first].elpd_i)
    row = comparison.table.iloc[-1]
    assert row.elpd_difference == pytest.approx(gap.sum())
    assert row.difference_se == pytest.approx(np.sqrt(gap.size * gap.var()), rel=1e-6)


def test_importance_sampling_agrees_with_leaving_a_unit_out():
    """elpd of one unit: PSIS from the full panel against the density averaged over draws of a fit to the panel without it."""
    frame = simulated_frame(seed=2, n_units=30, n_periods=6)
    model = bayes.StaggeredDiD("y", covariates=("x",), pooling="complete", leads=False)
    whole = panel_of(frame)
    found = bayes.compare_pooling(whole, model, [("event",)], draws=4000, seed=3)
    from bayes.did.fit import DiDFit
    from bayes.did.mode import draws_at_mode
    from bayes.did.quick_mode import mode_of

    mode = mode_of(model, model.collapse(whole))
    for unit in ("u000", "u007"):
        without = panel_of(frame[frame.unit != unit])
        drawn = draws_at_mode(model, model.collapse(without), mode, 4000, 5)
        posterior = xr.DataTree.from_dict({"posterior": drawn})
        scale = model.collapse(without).scales
        assert scale.size == 2
        density = unit_log_likelihood(DiDFit(model, model.needed(whole), posterior))
        i = whole.units.tolist().index(unit)
        expected = np.log(np.exp(density[:, i]).mean())
        assert np.asarray(found.loo["complete"].elpd_i)[i] == pytest.approx(expected, abs=0.1)


def test_full_fits_give_what_the_fit_gives(panel):
    model = bayes.StaggeredDiD("y", covariates=("x",), pooling="complete", leads=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # short chains
        found = bayes.compare_pooling(panel, model, [("region",)], method="nuts", draws=100, tune=100, chains=2, seed=2)
        direct = model.fit(panel, seed=2, draws=100, tune=100, chains=2).loo()
    assert float(found.loo["complete"].elpd) == pytest.approx(float(direct.elpd))
    assert found.meta["method"] == "nuts"


def test_loo_of_independent_draws_needs_no_posterior():
    rng = np.random.default_rng(0)
    values = -0.5 * rng.normal(size=(1, 800, 12)) ** 2
    result = psis_loo(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = xr.DataTree.from_dict({"log_likelihood": xr.Dataset({"unit": (("chain", "draw", "member"), values)})})
        tree["posterior"] = xr.DataTree(xr.Dataset({"x": (("chain", "draw"), values[..., 0])}))
        expected = az.loo(tree, var_name="unit", reff=1.0)
    assert result.elpd == expected.elpd


def test_flat_cells_with_one_unit_are_marked():
    frame = simulated_frame(n_units=18, n_periods=6)
    frame["first_treated"] = frame.first_treated.where(frame.unit.isin(["u000", "u001"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InfluentialUnitsWarning)
        found = bayes.compare_pooling(panel_of(frame), bayes.StaggeredDiD("y", pooling="complete"), ["none"])
    assert found.table.set_index("pooling").influential["none"] > 0
    assert "under 'none'" in found.verdict()


def test_names_of_poolings():
    assert pooling_name("none") == "none"
    assert pooling_name(("cell", "event")) == "event + cell"
    assert pooling_name(()) == "complete"


def test_misuse_is_refused_in_words(panel):
    model = bayes.StaggeredDiD("y")
    with pytest.raises(SpecificationError, match=r"method='vi' does not exist\. Choose one of: 'mode', 'nuts'"):
        bayes.compare_pooling(panel, model, method="vi")
    with pytest.raises(SpecificationError, match="two poolings or more"):
        bayes.compare_pooling(panel, model, [model.pooling])
    with pytest.raises(SpecificationError, match="poolings must be a list"):
        bayes.compare_pooling(panel, model, "none")
    with pytest.raises(SpecificationError, match="pooling="):
        bayes.compare_pooling(panel, model, ["some"])
    with pytest.raises(SpecificationError, match="draws"):
        bayes.compare_pooling(panel, model, draws=0)
    with pytest.raises(UnsupportedModelError, match="comparison of poolings"):
        bayes.compare_pooling(panel, bayes.StaggeredDiD("y", likelihood="student-t", leads=False))
    with pytest.raises(TypeError, match="colour"):
        bayes.compare_pooling(panel, model, colour="red")
