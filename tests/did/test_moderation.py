"""Moderators of the effect: dense algebra, least squares with interactions, and what cannot be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from bayes import Panel, StaggeredDiD
from bayes.did.draws import posterior_dataset
from bayes.did.intensity import product_name
from bayes.did.posterior import draw_coefficients
from bayes.did.quick_mode import log_likelihoods
from bayes.errors import CollinearColumnsError, MissingColumnError, MissingValueError, SpecificationError
from tests.conftest import fabricated
from tests.did.dense import Point
from tests.did.intense import IntensePanel, intense_frame, intense_panel
from tests.did.test_likelihood import GENERIC
from tests.did.test_posterior import NoNoise
from tests.panels import ROLES

CASES = {
    "one a unit": ({}, {"moderators": ("size",)}),
    "two, gaps, covariate": ({"gaps": True}, {"moderators": ("size", "price"), "covariates": ("x", "price")}),
    "anticipation, trends": ({"gaps": True}, {"moderators": ("price",), "anticipation": 1, "unit_trends": True}),
    "flat cells": ({}, {"moderators": ("size",), "pooling": "none"}),
}


def dense_of(name: str) -> IntensePanel:
    data, options = CASES[name]
    return IntensePanel(StaggeredDiD("y", **options), intense_panel(**data))


@pytest.mark.parametrize("name", CASES)
def test_the_likelihood_equals_the_dense_one(name):
    dense = dense_of(name)
    found = [log_likelihoods(dense.collapsed, dense.hyperparameters(p, 1))[0] for p in GENERIC]
    np.testing.assert_allclose(found, [dense.log_likelihood(p) for p in GENERIC], rtol=1e-12, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_conditional_means_equal_the_dense_ones(name):
    dense, point = dense_of(name), Point(unit_effect_sd=0.4)
    mean, _ = dense.posterior(point)
    c = dense.collapsed
    drawn = draw_coefficients(c.sampled_products, c.basis, dense.hyperparameters(point, 1), NoNoise())
    np.testing.assert_allclose(drawn[0], mean[: drawn.shape[1]], atol=1e-8)


def test_flat_moderation_equals_least_squares_with_interactions():
    """ρ = 0 and no random unit effects: OLS with unit and period dummies, cell dummies and treated × (moderator − its treated mean)."""
    options = {"moderators": ("size", "price"), "pooling": "none", "errors": "iid", "unit_effects": "fixed", "leads": False}
    spec, panel = StaggeredDiD("y", **options), intense_panel()
    collapsed = spec.collapse(panel)
    exact = posterior_dataset({"innovation_sd": np.full((1, 2), 1e-12)}, collapsed, spec.resolved_priors(), 0)  # no noise: draws are means
    frame, treated = panel.frame, panel.frame.treated == 1
    cells = zip(exact.cell_region.values, exact.cell_cohort.values, exact.cell_period.values, strict=True)
    columns = [(frame.region == r) & (frame.first_treated == g) & (frame.year == t) for r, g, t in cells]
    products = [treated * (frame[m] - frame[m][treated].mean()) for m in ("size", "price")]
    dummies = [frame.unit == u for u in frame.unit.unique()] + [frame.year == t for t in frame.year.unique()[1:]]
    found = np.linalg.lstsq(np.column_stack([*products, *columns, *dummies]).astype(float), frame.y, rcond=None)[0]
    assert exact.covariate.values.tolist() == [product_name("size"), product_name("price")]
    np.testing.assert_allclose(exact.coefficient.values[0, 0], found[:2], atol=1e-8)
    np.testing.assert_allclose(exact.cell_effect.values[0, 0], found[2 : 2 + len(columns)], atol=1e-8)


def test_the_table_has_a_row_for_each_moderator_per_unit_of_it():
    panel = intense_panel()
    panel = panel.assign(thousand=1000 * panel.frame["size"])
    one, other = (fabricated(panel, moderators=(m, "price")) for m in ("size", "thousand"))
    table = one.moderation(level=0.9)
    assert table.frame.term.tolist() == ["size", "price"]
    assert set(table.frame.estimand) == {"moderation"}
    assert (table.frame.level == 0.9).all()
    treated = panel.frame.treated == 1
    assert f"{panel.frame['size'][treated].mean():.4g}" in table.frame.note[0]
    assert table.frame.n_obs.tolist() == [treated.sum()] * 2
    np.testing.assert_allclose(table.draws[0], 1000 * other.moderation().draws[0], rtol=1e-7)
    np.testing.assert_allclose(one.att("event").draws, other.att("event").draws, rtol=1e-7, atol=1e-9)


def test_with_a_dose_moderation_is_per_unit_of_both():
    panel = intense_panel()
    panel = panel.assign(double=2 * panel.frame.dose)
    one, other = (fabricated(panel, dose=d, moderators=("size",)).moderation() for d in ("dose", "double"))
    np.testing.assert_allclose(one.draws, 2 * other.draws, rtol=1e-8)
    assert "and of dose" in one.frame.note[0]


def test_a_known_moderation_is_found():
    """Synthetic: the effect rises by .3 per unit of size. Noise .1 on 24 units."""
    frame = intense_frame()
    frame = frame.assign(y=frame.y + 0.3 * frame.treated * frame["size"])
    fit = fabricated(Panel.from_frame(frame, **ROLES), draws=200, covariates=("x",), moderators=("size",))
    row = fit.moderation().frame.iloc[0]
    assert abs(row.estimate - 0.3) < 4 * row.se
    assert row.se < 0.15


def test_moderators_that_cannot_be_told_apart_are_refused_by_name():
    frame = intense_frame()
    cohort = frame.first_treated.fillna(0)
    bad = {
        "constant": frame.assign(bad=np.where(frame.treated == 1, 4.0, frame.x)),
        "do not vary between treated units": frame.assign(bad=frame.region.map({"Centre": 0.0, "North": 1.0, "South": 5.0}) * cohort),
    }
    for words, data in bad.items():
        for pooling in ("none", ("event", "region")):
            with pytest.raises(CollinearColumnsError, match=f"'bad'.*{words}"):
                StaggeredDiD("y", moderators=("bad",), pooling=pooling).collapse(Panel.from_frame(data, **ROLES))
    twice = Panel.from_frame(frame.assign(again=2 * frame["size"] + 1), **ROLES)
    with pytest.raises(CollinearColumnsError, match="again"):
        StaggeredDiD("y", moderators=("size", "again")).collapse(twice)


def test_bad_moderators_are_refused_with_their_place():
    frame = intense_frame()
    treated = frame.index[frame.treated == 1][2]
    with pytest.raises(MissingValueError, match=rf"'size'.*unit {frame.unit[treated]}, year {frame.year[treated]}"):
        StaggeredDiD("y", moderators=("size",)).collapse(Panel.from_frame(frame.assign(size=frame["size"].drop(treated)), **ROLES))
    with pytest.raises(MissingColumnError, match="given as moderator"):
        StaggeredDiD("y", moderators=("nothing",)).collapse(Panel.from_frame(frame, **ROLES))
    for moderators in ("size", ("size", "size"), ("y",), 3):
        with pytest.raises(SpecificationError, match=r"moderator"):
            StaggeredDiD("y", moderators=moderators)
    with pytest.raises(SpecificationError, match="no moderators"):
        fabricated(intense_panel()).moderation()
    untreated = frame.assign(size=frame["size"].where(frame.treated == 1))
    assert np.isfinite(fabricated(Panel.from_frame(untreated, **ROLES), moderators=("size",)).moderation().frame.estimate).all()
