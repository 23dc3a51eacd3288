"""A dose of the treatment: against dense algebra, least squares, rescaling, and the model without one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from bayes import Panel, StaggeredDiD
from bayes.did.draws import posterior_dataset
from bayes.did.mode import draws_at_mode, log_posterior
from bayes.did.posterior import draw_coefficients, draw_group_effects
from bayes.did.quick_mode import coordinates_of, log_likelihoods, log_posteriors, mode_of
from bayes.errors import DoseError, DoseWarning, MissingColumnError, SpecificationError, UnsupportedModelError
from bayes.inference.sampling import prepare_jax
from tests.conftest import fabricated
from tests.did.dense import Point
from tests.did.intense import IntensePanel, intense_frame, intense_panel
from tests.did.test_likelihood import GENERIC
from tests.did.test_posterior import NoNoise
from tests.panels import ROLES

CASES = {
    "one a unit": ({}, {"dose": "dose"}),
    "changing, gaps": ({"gaps": True}, {"dose": "yearly", "covariates": ("x",)}),
    "trends, anticipation": ({"gaps": True}, {"dose": "yearly", "unit_trends": True, "anticipation": 1}),
    "flat cells": ({}, {"dose": "dose", "pooling": "none", "unit_effects": "fixed"}),
    "with moderators": ({"gaps": True}, {"dose": "yearly", "covariates": ("x",), "moderators": ("size", "price")}),
}


@pytest.fixture(scope="module", autouse=True)
def double_precision():
    prepare_jax()


def panel_of(frame) -> Panel:
    return Panel.from_frame(frame, name="synthetic", **ROLES)


@pytest.mark.parametrize("name", CASES)
def test_the_likelihood_equals_the_dense_one(name):
    data, options = CASES[name]
    dense = IntensePanel(StaggeredDiD("y", **options), intense_panel(**data))
    found = [log_likelihoods(dense.collapsed, dense.hyperparameters(p, 1))[0] for p in GENERIC]
    np.testing.assert_allclose(found, [dense.log_likelihood(p) for p in GENERIC], rtol=1e-12, atol=1e-8)


@pytest.mark.parametrize("name", ["one a unit", "changing, gaps", "with moderators"])
def test_conditional_means_equal_the_dense_ones(name):
    data, options = CASES[name]
    dense, point = IntensePanel(StaggeredDiD("y", **options), intense_panel(**data)), Point()
    mean, _ = dense.posterior(point)
    c, h = dense.collapsed, dense.hyperparameters(point, 2)
    drawn = draw_coefficients(c.sampled_products, c.basis, h, NoNoise())
    k, n = drawn.shape[1], dense.panel.n_units
    np.testing.assert_allclose(drawn[0], mean[:k], atol=1e-8)
    equal, _ = draw_group_effects(c.group_products, c.products.zz, c.products.gaps, drawn, h, NoNoise())
    expected = [mean[k : k + n][members].mean() for members in _members(dense)]
    np.testing.assert_allclose(equal[0], expected, atol=1e-8)


def _members(dense: IntensePanel) -> list[list[int]]:
    """Units of each group: the same region, cohort, dates and doses."""
    r = dense.rows.assign(d=dense.dose)
    found = []
    for g in dense.collapsed.groups:
        same = []
        for i, unit in enumerate(dense.panel.units):
            own = r[r.unit == unit]
            cohort = own.g.iloc[0] if own.g.iloc[0] < dense.panel.n_periods else np.inf
            region = dense.collapsed.regions[g.region]
            if own.region.iloc[0] == region and cohort == g.cohort and own.t.tolist() == g.dates.tolist() and np.allclose(own.d, g.dose):
                same.append(i)
        assert len(same) == g.n
        found.append(same)
    return found


def test_flat_cells_equal_least_squares_of_dose_columns():
    """ρ = 0, no random unit effects: the mean of flat cells is OLS with unit and period dummies and dose × cell columns."""
    spec = StaggeredDiD("y", covariates=("x",), dose="dose", pooling="none", errors="iid", unit_effects="fixed", leads=False)
    panel = intense_panel()
    collapsed = spec.collapse(panel)
    exact = posterior_dataset({"innovation_sd": np.full((1, 2), 1e-12)}, collapsed, spec.resolved_priors(), 0)  # no noise: draws are means
    frame = panel.frame
    cells = list(zip(exact.cell_region.values, exact.cell_cohort.values, exact.cell_period.values, strict=True))
    columns = [((frame.region == r) & (frame.first_treated == g) & (frame.year == t)) * frame.dose.fillna(0) for r, g, t in cells]
    dummies = [frame.unit == u for u in frame.unit.unique()] + [frame.year == t for t in frame.year.unique()[1:]]
    design = np.column_stack([*columns, frame.x, *dummies]).astype(float)
    coefficients = np.linalg.lstsq(design, frame.y, rcond=None)[0]
    mean = frame.dose[frame.treated == 1].mean()
    np.testing.assert_allclose(exact.cell_effect.values[0, 0] / mean, coefficients[: len(cells)], atol=1e-8)
    np.testing.assert_allclose(exact.coefficient.values[0, 0], coefficients[len(cells)], atol=1e-8)


def test_a_dose_of_one_is_the_model_without_dose():
    panel = intense_panel(gaps=True)
    panel = panel.assign(one=np.where(np.isfinite(panel.frame.first_treated), 1.0, np.nan))
    plain = fabricated(panel, covariates=("x",))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dosed = fabricated(panel, covariates=("x",), dose="one")
    for name in plain.posterior.data_vars:
        np.testing.assert_array_equal(plain.posterior[name].values, dosed.posterior[name].values, err_msg=name)
    a, b, c = plain.att("event"), dosed.att("event"), dosed.att("event", estimand="att_at_dose")
    np.testing.assert_array_equal(a.draws, b.draws)
    np.testing.assert_allclose(a.draws, c.draws, rtol=1e-10)
    assert set(b.frame.estimand) == {"att_per_dose"}
    assert set(c.frame.estimand) == {"att_at_dose"}
    assert b.frame.note.str.contains("per unit of one").all()


def test_the_unit_of_the_dose_does_not_matter():
    panel = intense_panel()
    panel = panel.assign(thousand=1000 * panel.frame.dose)
    one, other = (fabricated(panel, dose=d) for d in ("dose", "thousand"))
    np.testing.assert_allclose(one.att().draws, 1000 * other.att().draws, rtol=1e-8)
    for estimand in ("att_at_dose", "att_population_at_dose"):
        for weights in ("rows", "panel"):
            np.testing.assert_allclose(*(f.att("region", estimand, weights=weights).draws for f in (one, other)), rtol=1e-8)


def test_effects_at_the_doses_received_are_means_over_treated_rows():
    fit = fabricated(intense_panel(gaps=True), dose="yearly")
    dense = IntensePanel(fit.model, fit.panel)
    cells = fit.posterior.cell_effect.values.reshape(60, -1)
    group = np.zeros(fit.panel.n_units, dtype=int)
    for j, members in enumerate(_members(dense)):
        group[members] = j
    b = fit.posterior.group_effect.values.reshape(60, -1)[:, group][:, fit.panel.unit_codes]
    rows = dense.cells != 0
    treated = (dense.rows.e >= 0).to_numpy()
    effect = cells @ dense.cells.T + b * dense.dose
    assert rows[treated].any(axis=1).all()
    expected = effect[:, treated].mean(axis=1)
    np.testing.assert_allclose(fit.att("simple", "att_at_dose", weights="rows").draws[0], expected, rtol=1e-9)
    without = (cells @ dense.cells.T)[:, treated].mean(axis=1)
    np.testing.assert_allclose(fit.att("simple", "att_population_at_dose", weights="rows").draws[0], without, rtol=1e-9)


@pytest.mark.parametrize("name", ["one a unit", "flat cells", "with moderators"])
def test_the_density_in_numpy_is_the_compiled_one(name):
    import jax.numpy as jnp

    data, options = CASES[name]
    spec = StaggeredDiD("y", **options)
    c = spec.collapse(intense_panel(**data))
    names, coordinates = coordinates_of(spec, c)
    z = np.array([k.start() for k in coordinates]) + np.random.default_rng(0).normal(0, 0.4, (3, len(names)))
    density = log_posterior(spec, c)
    expected = [float(density(jnp.asarray(one), c.sampled_products, float(c.scales[-1]))) for one in z]
    np.testing.assert_allclose(log_posteriors(spec, c, z), expected, rtol=1e-10)


def test_the_mode_finds_a_known_dose_response():
    """Synthetic: an effect of .4 per unit of dose; noise .1 on 24 units."""
    frame = intense_frame()
    frame = frame.assign(y=frame.y - frame.true_effect + 0.4 * frame.dose.fillna(0) * frame.treated)
    spec = StaggeredDiD("y", covariates=("x",), dose="dose", leads=False)
    collapsed = spec.collapse(panel_of(frame))
    mode = mode_of(spec, collapsed)
    assert mode.converged
    drawn = draws_at_mode(spec, collapsed, mode, 200, 1)
    mean = frame.dose[frame.treated == 1].mean()
    assert abs(float(drawn.cell_effect.mean()) / mean - 0.4) < 0.06


# ── bad input ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_bad_doses_are_refused_with_their_place():
    frame = intense_frame()
    treated = frame.index[frame.treated == 1]
    bad = {"negative": -1.0, "missing": np.nan, "infinite": np.inf}
    for word, value in bad.items():
        wrong = frame.assign(dose=frame.dose.where(frame.index != treated[3], value))
        row = frame.loc[treated[3]]
        with pytest.raises(DoseError, match=rf"'dose' is {word if word != 'infinite' else 'missing'}.*unit {row.unit}, year {row.year}"):
            StaggeredDiD("y", dose="dose").collapse(panel_of(wrong))
    with pytest.raises(DoseError, match="zero in every treated row"):
        StaggeredDiD("y", dose="dose").collapse(panel_of(frame.assign(dose=0.0)))
    with pytest.raises(MissingColumnError, match="given as dose"):
        StaggeredDiD("y", dose="none").collapse(panel_of(frame))
    with pytest.raises(SpecificationError, match="dose"):
        StaggeredDiD("y", dose=3)
    with pytest.raises(SpecificationError, match="other columns"):
        StaggeredDiD("y", dose="y")


def test_doses_before_treatment_and_of_the_never_treated_do_not_matter():
    frame = intense_frame()
    other = frame.assign(dose=frame.dose.where(frame.treated == 1, 7.0))
    one, two = (fabricated(panel_of(f), dose="dose").att("event") for f in (frame, other))
    np.testing.assert_array_equal(one.draws, two.draws)


def test_a_constant_dose_warns_that_it_only_rescales():
    from bayes.did.intensity import warn_of_constant_dose

    panel = intense_panel().assign(same=2.0)
    with pytest.warns(DoseWarning, match="'same' is 2 in every treated row"):
        warn_of_constant_dose(StaggeredDiD("y", dose="same"), panel)
    same, plain = fabricated(panel, dose="same").att(), fabricated(panel).att()
    np.testing.assert_allclose(2 * same.draws, plain.draws, rtol=1e-9)


def test_what_does_not_know_a_dose_refuses_it():
    fit = fabricated(intense_panel(), dose="dose")
    with pytest.raises(UnsupportedModelError, match="dose"):
        fit.model.fit_draws(fit.panel, np.zeros((2, fit.panel.n_rows)))
    with pytest.raises(SpecificationError, match="needs a model with a dose"):
        fabricated(intense_panel()).att(estimand="att_at_dose")
    with pytest.raises(SpecificationError, match="blocks"):
        fit.model.collapse_blocks([StaggeredDiD("y").block(fit.panel)], 8, 2001, 1, fit.panel.regions.tolist())


def test_a_dosed_fit_survives_a_file(tmp_path):
    import bayes

    fit = fabricated(intense_panel(), dose="dose", moderators=("size",))
    fit = type(fit)(fit.model, fit.model.needed(fit.panel), fit.tree)
    again = bayes.load_fit(fit.save(tmp_path / "fit.nc"))
    assert again.model == fit.model
    np.testing.assert_array_equal(again.att("region").draws, fit.att("region").draws)
    np.testing.assert_array_equal(again.moderation().draws, fit.moderation().draws)
    assert np.isfinite(fit.predictive_check(draws=5).replicated).all()
    assert np.isfinite(fit.unpooled().frame.estimate).all()
