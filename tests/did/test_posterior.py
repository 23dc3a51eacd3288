"""Exact conditional draws against dense normal algebra, and the flat model against saturated least squares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayes
from bayes import Panel, StaggeredDiD
from bayes.did.cells import Basis, component_basis
from bayes.did.draws import _predict, posterior_dataset
from bayes.did.posterior import draw_coefficients, draw_group_effects
from tests.did.dense import DensePanel, Point, panel_of
from tests.panels import ROLES, simulated_frame

DRAWS = 4_000
STANDARD_ERRORS = 5.0
"""Monte-Carlo errors allowed; a correct mean exceeds it once in 1.7 million comparisons."""

SMALL = simulated_frame(n_units=15, n_periods=6)
GAPS = simulated_frame(n_units=21, n_periods=7, gaps=True)

CASES = {
    "partial": (GAPS, {"covariates": ("x",)}),
    "trends": (GAPS, {"unit_trends": True}),
    "regional periods": (GAPS, {"period_effects": "region"}),
    "without cell": (SMALL, {"pooling": ("event", "region")}),
    "no pooling": (SMALL, {"pooling": "none"}),
}


class NoNoise:
    """A random generator whose normals are zero, so that draws are conditional means."""

    @staticmethod
    def standard_normal(shape):
        return np.zeros(shape)


def draw(dense: DensePanel, hyper, rng):
    c = dense.collapsed
    drawn = draw_coefficients(c.sampled_products, c.basis, hyper, rng)
    groups = draw_group_effects(c.group_products, c.products.zz, c.products.gaps, drawn, hyper, rng)
    return drawn, *groups


def group_average(dense: DensePanel, weighted: bool) -> np.ndarray:
    """Matrix that averages unit effects within groups, shape (groups, units)."""
    p, rows = dense.panel, dense.rows
    dates = rows.groupby("unit").t.apply(tuple).reindex(p.units)
    weight = p.frame.groupby(p.unit)[p.weights].mean().reindex(p.units).to_numpy()
    out = np.zeros((len(dense.collapsed.groups), p.n_units))
    for j, g in enumerate(dense.collapsed.groups):
        cohort = np.where(p.unit_cohort_codes < p.n_periods, p.unit_cohort_codes, np.inf)
        member = (p.unit_regions == g.region) & (cohort == g.cohort) & np.array([d == tuple(g.dates) for d in dates])
        assert member.sum() == g.n
        w = member * (weight if weighted else 1.0)
        out[j] = w / w.sum()
    return out


@pytest.mark.parametrize("name", CASES)
def test_draws_have_the_dense_mean_and_covariance(name):
    frame, options = CASES[name]
    point = Point(autocorrelation=-0.5, unit_effect_sd=1.0) if name == "without cell" else Point()
    dense = DensePanel(StaggeredDiD("y", **options), panel_of(frame))
    mean, covariance = dense.posterior(point)
    k, n = dense.collapsed.sampled_products.n_columns, dense.panel.n_units
    transform = np.zeros((k + 2 * len(dense.collapsed.groups), len(mean)))
    transform[:k, :k] = np.eye(k)
    transform[k:, k : k + n] = np.vstack([group_average(dense, weighted) for weighted in (False, True)])
    mean, covariance = transform @ mean, transform @ covariance @ transform.T
    coefficients, equal, weighted = draw(dense, dense.hyperparameters(point, DRAWS), np.random.default_rng(3))
    found = np.hstack([coefficients, equal, weighted])
    error = np.sqrt(np.diag(covariance) / DRAWS)
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - mean), STANDARD_ERRORS * error + 1e-9)
    sd = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(sd, sd)
    estimated = np.cov(found.T) / np.outer(sd, sd)
    np.testing.assert_allclose(estimated, correlation, atol=STANDARD_ERRORS * np.sqrt(2 / DRAWS))


@pytest.mark.parametrize("name", CASES)
def test_conditional_mean_without_noise_is_the_dense_mean(name):
    frame, options = CASES[name]
    dense = DensePanel(StaggeredDiD("y", **options), panel_of(frame))
    for point in (Point(), Point(autocorrelation=0.97), Point(unit_effect_sd=0.0)):
        coefficients, equal, weighted = draw(dense, dense.hyperparameters(point, 2), NoNoise())
        mean, _ = dense.posterior(point)
        k, n = coefficients.shape[1], dense.panel.n_units
        np.testing.assert_allclose(coefficients[0], mean[:k], atol=1e-8)
        np.testing.assert_allclose(equal[0], group_average(dense, False) @ mean[k : k + n], atol=1e-8)
        np.testing.assert_allclose(weighted[0], group_average(dense, True) @ mean[k : k + n], atol=1e-8)


def test_a_scale_of_zero_does_not_stop_the_draws():
    dense = DensePanel(StaggeredDiD("y"), panel_of(GAPS))
    zero = tuple((c, 0.0) for c in dense.names if c not in ("level", "drift"))
    coefficients, *_ = draw(dense, dense.hyperparameters(Point(components=zero), 5), np.random.default_rng(0))
    cells, event = coefficients[:, dense.collapsed.sampled_products.n_flat :], dense.collapsed.design.cells.event
    line = np.array([np.polyval(np.polyfit(event, c, 1), event) for c in cells])
    np.testing.assert_allclose(cells, line, atol=1e-4)


def test_leads_are_the_dense_flat_leads_given_the_scales():
    spec = StaggeredDiD("y", covariates=("x",))
    dense = DensePanel(spec, panel_of(GAPS))
    c, point = dense.collapsed, Point()
    products, where = c.lead_products()
    drawn = draw_coefficients(products, c.basis, dense.hyperparameters(point, 2), NoNoise())[0]
    kept = np.flatnonzero(where >= 0)
    v = np.linalg.inv(dense.marginal_covariance(point))
    flat = np.hstack([dense.unit_dummies, dense.flat, dense.leads[:, kept]])
    expected = np.linalg.solve(flat.T @ v @ flat, flat.T @ v @ dense.outcome)[-kept.size :]
    np.testing.assert_allclose(drawn[where[kept]], expected, atol=1e-8)
    assert kept.size == c.design.leads.size


# ── the saturated regression ─────────────────────────────────────────────────────────────────────────────────────────


def least_squares_cells(dense: DensePanel) -> np.ndarray:
    x = np.hstack([dense.unit_dummies, dense.flat, dense.cells])
    return np.linalg.lstsq(x, dense.outcome, rcond=None)[0][-dense.cells.shape[1] :] * dense.collapsed.scales[-1]


def flat_mean(spec: StaggeredDiD, panel: Panel):
    """Posterior with σ_b = 0 and ρ = 0 and no noise in the draws, through the public dataset."""
    c = spec.collapse(panel)
    scalars = {"innovation_sd": np.full((1, 2), 0.3), "unit_effect_sd": np.zeros((1, 2))}
    drawn = draw_coefficients(c.sampled_products, None, _hyper(scalars, c, spec), NoNoise())
    full = np.full(c.products.n_columns, np.nan)
    full[c.flat_cell_columns(())] = drawn[0] * c.scales[-1]
    return full[c.cell_columns]


def _hyper(scalars, collapsed, spec):
    from bayes.did.draws import hyperparameters

    return hyperparameters(scalars, collapsed, spec.resolved_priors())


OLS_CASES = {
    "balanced": (SMALL, {}),
    "balanced, covariate": (SMALL, {"covariates": ("x",)}),
    "gaps, covariate": (GAPS, {"covariates": ("x",)}),
    "gaps, regional periods": (GAPS, {"period_effects": "region"}),
    "gaps, anticipation": (GAPS, {"anticipation": 1}),
}


@pytest.mark.parametrize("name", OLS_CASES)
def test_flat_cells_with_white_noise_are_saturated_least_squares(name):
    frame, options = OLS_CASES[name]
    spec = StaggeredDiD("y", pooling="none", errors="iid", **options)
    dense = DensePanel(spec, panel_of(frame))
    assert dense.collapsed.identified_cells.all()
    np.testing.assert_allclose(flat_mean(spec, dense.panel), least_squares_cells(dense), atol=1e-8)


@pytest.mark.parametrize(
    ("data", "outcome", "reference"), [("castle_doctrine", "log_homicide", "castle"), ("minimum_wage", "log_employment", "mpdta")]
)
def test_flat_cells_without_regions_are_extended_twoway_fixed_effects(data, outcome, reference):
    table = pd.read_csv(f"{__file__.rsplit('/did/', 1)[0]}/reference/did.csv")
    table = table[(table.dataset == reference) & (table.estimator == "ETWFE") & table.implementation_version.str.startswith("moderndid")]
    expected = table.set_index("parameter").estimate
    panel = bayes.datasets.load(data)
    panel = replace(panel, region=None, weights=None)
    spec = StaggeredDiD(outcome, pooling="none", errors="iid")
    cells, c = flat_mean(spec, panel), spec.collapse(panel)
    labels = {"e": c.design.cells.event, "group": c.calendar(c.design.cells.cohort), "calendar": c.calendar(c.design.cells.period)}
    effect = lambda keep: np.average(cells[keep], weights=c.design.cells.rows[keep])  # noqa: E731
    assert abs(effect(np.full(cells.size, True)) - expected["att"]) < 1e-8
    if reference == "castle":
        assert abs(expected["att"] - 0.0798015) < 1e-7
    found = 0
    for word, label in labels.items():
        for value in np.unique(label):
            assert abs(effect(label == value) - expected[f"{word}={value:.0f}"]) < 1e-8, (word, value)
            found += 1
    assert found == len(expected.filter(regex="^(e|group|calendar)=-?[0-9]"))


# ── prediction for regions without treated units ─────────────────────────────────────────────────────────────────────


def test_predicted_cells_are_the_dense_conditional_normal():
    dense = DensePanel(StaggeredDiD("y"), panel_of(SMALL))
    cells = dense.collapsed.design.cells
    known = np.flatnonzero(cells.region < 2)
    order = np.r_[known, np.flatnonzero(cells.region == 2)]
    taken = type(cells)(*(getattr(cells, n)[order] for n in ("region", "cohort", "event", "rows", "weight")))
    basis = component_basis(taken, dense.collapsed.components)
    n = known.size
    sds = Point().component_sds(tuple(dict.fromkeys(basis.component.tolist())))
    load = basis.matrix * sds[[tuple(dict.fromkeys(basis.component.tolist())).index(c) for c in basis.component]]
    v = load @ load.T
    fitted = np.random.default_rng(0).normal(size=n)
    mean = v[n:, :n] @ np.linalg.solve(v[:n, :n], fitted)
    covariance = v[n:, n:] - v[n:, :n] @ np.linalg.solve(v[:n, :n], v[:n, n:])
    drawn = _predict(basis, np.tile(fitted, (DRAWS, 1)), np.tile(sds, (DRAWS, 1)), np.random.default_rng(1))
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - mean), STANDARD_ERRORS * sd / np.sqrt(DRAWS))
    np.testing.assert_allclose(np.cov(drawn.T) / np.outer(sd, sd), covariance / np.outer(sd, sd), atol=STANDARD_ERRORS * np.sqrt(2 / DRAWS))


def test_prediction_without_a_cell_component_lies_in_the_span_of_the_path():
    dense = DensePanel(StaggeredDiD("y", pooling=("event",)), panel_of(SMALL))
    basis = dense.collapsed.basis
    doubled = Basis(np.vstack([basis.matrix, basis.matrix]), basis.component, basis.label)
    sds = np.tile(Point().component_sds(dense.names), (4, 1))
    z = np.random.default_rng(0).normal(size=(4, basis.matrix.shape[1]))
    fitted = z @ dense.loadings(Point()).T
    np.testing.assert_allclose(_predict(doubled, fitted, sds, np.random.default_rng(2)), fitted, atol=1e-5)


def test_a_period_seen_by_one_unit_is_redundant_and_harmless():
    last = SMALL.year.max() + 1
    alone = SMALL[(SMALL.unit == "u000") & (SMALL.year == 2001)].assign(year=last, y=123.0)
    spec = StaggeredDiD("y", pooling="none", errors="iid", leads=False)
    with_it, without = (Panel.from_frame(f, **ROLES) for f in (pd.concat([SMALL, alone], ignore_index=True), SMALL))
    # The single row enters the scale of the outcome, not the effects: the unit's own lone period dummy absorbs it.
    wide = spec.collapse(with_it)
    assert wide.design.cells.size == spec.collapse(without).design.cells.size + 1
    lone = wide.calendar(wide.design.cells.period) == last
    assert (~wide.identified_cells == lone).all()
    np.testing.assert_allclose(flat_mean(spec, with_it)[~lone], flat_mean(spec, without), atol=1e-8)
    scalars = {"innovation_sd": np.full((1, 3), 0.3), "unit_effect_sd": np.full((1, 3), 0.1)}
    dataset = posterior_dataset(scalars, wide, spec.resolved_priors(), 0)
    assert np.isnan(dataset["cell_effect"].to_numpy()[..., lone]).all()
    assert np.isfinite(dataset["group_effect"].to_numpy()).all()
