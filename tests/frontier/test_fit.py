"""FrontierFit from sampling to file and back, and the identities that its tables must satisfy together."""

from __future__ import annotations

import numpy as np
import pytest

import bayes
from bayes.errors import ProductivityWarning, SpecificationError


def test_tables_share_draws_and_labels(small_fit):
    table = small_fit.efficiency("unit")
    assert len(table) == 12
    assert table.draws.shape == (12, 120)
    assert set(table.frame["estimand"]) == {"efficiency"}
    assert "FAILED" in table.frame.source.iloc[0]  # two chains of 60 draws cannot pass
    assert ((table.draws > 0) & (table.draws <= 1)).all()
    assert table.meta["outcome"] == "y"


def test_efficiency_of_rows_comes_from_the_inefficiency_that_productivity_uses(small_fit):
    rows = small_fit.efficiency("unit:period")
    np.testing.assert_allclose(rows.draws, np.exp(-small_fit.inefficiency()).T, rtol=1e-12)


def test_productivity_is_a_product_in_every_draw(small_fit):
    with pytest.warns(ProductivityWarning, match="independent over time"):
        table = small_fit.productivity("region")
    part = {name: table.where(estimand=name).draws for name in ("tc", "ec", "sec", "tfpc")}
    np.testing.assert_allclose(part["tc"] * part["ec"] * part["sec"], part["tfpc"], rtol=1e-12)


def test_technology_gap_is_at_most_one(small_fit):
    gap = small_fit.technology_gap("unit").where(estimand="technology_gap_ratio")
    assert (gap.draws <= 1 + 1e-12).all()


def test_elasticities_returns_to_scale_and_ranks(small_fit):
    elasticity = small_fit.elasticities("region")
    total = small_fit.returns_to_scale("region")
    both = elasticity.where(term="x0").draws + elasticity.where(term="x1").draws
    np.testing.assert_allclose(total.draws, both, rtol=1e-12)
    assert small_fit.ranks().probability.to_numpy().sum() == pytest.approx(12)
    assert small_fit.exceedance(0.5).frame.estimate.between(0, 1).all()
    assert small_fit.monotonicity("all").frame.estimate.item() <= 1
    assert len(small_fit.technical_change("region")) == 2


def test_a_fit_survives_the_file(small_fit, tmp_path):
    loaded = bayes.load_fit(small_fit.save(tmp_path / "frontier.nc"))
    assert type(loaded).__name__ == "FrontierFit"
    assert loaded.model == small_fit.model
    np.testing.assert_array_equal(loaded.efficiency("region").draws, small_fit.efficiency("region").draws)


def test_summary_lists_every_scalar(small_fit):
    names = set(small_fit.summary().index)
    assert {"noise_scale_mean", "inefficiency_scale_mean", "unit_effect_sd", "technology_mean[x0]"} <= names


def test_determinants_are_asked_for_by_name(small_fit):
    with pytest.raises(SpecificationError, match="no determinants"):
        small_fit.determinant_effects()


def test_prior_group_has_the_variables_of_the_posterior(small_fit):
    assert set(small_fit.tree["prior"].data_vars) >= set(small_fit.tree["posterior"].data_vars) - {"unit_effect"}
    assert small_fit.priors().distribution.str.len().min() > 5
