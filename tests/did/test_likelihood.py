"""The collapsed likelihood is the dense marginal likelihood, to the last digits that double precision keeps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes import Panel, StaggeredDiD
from bayes.did.likelihood import make_log_likelihood
from bayes.inference.sampling import prepare_jax
from tests.did.dense import DensePanel, Point, panel_of
from tests.panels import ROLES, simulated_frame

TOLERANCE = 1e-8

BALANCED = simulated_frame(n_units=15, n_periods=7)
GAPS = simulated_frame(n_units=21, n_periods=9, gaps=True)
WIDE_GAPS = GAPS[~((GAPS.unit == "u003") & GAPS.year.between(2004, 2006)) & ~((GAPS.unit == "u007") & GAPS.year.between(2003, 2005))]

GENERIC = (
    Point(),
    Point(autocorrelation=0.0),
    Point(autocorrelation=-0.6),
    Point(autocorrelation=0.95),
    Point(unit_effect_sd=0.0, unit_trend_sd=0.0),
    Point(innovation_sd=0.1, unit_effect_sd=2.0),
)

CASES = {
    "balanced": (BALANCED, {}),
    "gaps": (GAPS, {"covariates": ("x",)}),
    "gaps of four periods": (WIDE_GAPS, {"unit_trends": True}),
    "unit trends only": (GAPS, {"unit_trends": True, "unit_effects": "fixed"}),
    "no random unit column": (GAPS, {"unit_effects": "fixed"}),
    "regional periods": (GAPS, {"period_effects": "region", "covariates": ("x",)}),
    "anticipation": (GAPS, {"anticipation": 1, "unit_trends": True}),
    "no pooling": (GAPS, {"pooling": "none", "covariates": ("x",)}),
    "complete pooling": (BALANCED, {"pooling": "complete"}),
    "without cell": (GAPS, {"pooling": ("event", "region")}),
    "second-order path": (BALANCED, {"path_order": 2}),
    "one region": (BALANCED.assign(region="all"), {"pooling": ("event", "cell")}),
}


@pytest.fixture(scope="module", autouse=True)
def double_precision():
    prepare_jax()


def likelihoods(dense: DensePanel, points) -> np.ndarray:
    """The package's likelihood at several points, in one compilation."""
    import jax

    c = dense.collapsed
    function = make_log_likelihood(c.sampled_products, c.basis)
    arguments = [
        np.array([p.innovation_sd for p in points]),
        np.array([p.autocorrelation for p in points]),
        np.stack([p.unit_sds(dense.unit_names) for p in points]),
        np.stack([p.component_sds(dense.names) for p in points]),
    ]
    return np.asarray(jax.jit(jax.vmap(function))(*arguments))


@pytest.mark.parametrize("name", CASES)
def test_equals_dense_marginal_likelihood(name):
    frame, options = CASES[name]
    dense = DensePanel(StaggeredDiD("y", **options), panel_of(frame))
    points = GENERIC
    if dense.collapsed.basis is not None:
        zero = tuple((c, 0.0) for c in dense.names if c not in ("level", "drift"))
        points = (*GENERIC, Point(components=zero), Point(components=zero[:1]))
    expected = [dense.log_likelihood(p) for p in points]
    np.testing.assert_allclose(likelihoods(dense, points), expected, rtol=1e-12, atol=TOLERANCE)


def test_the_gaps_in_these_cases_reach_from_two_to_four_periods():
    dense = DensePanel(StaggeredDiD("y"), panel_of(WIDE_GAPS))
    assert {1, 2, 3, 4} <= set(dense.collapsed.products.gaps.tolist())


def test_many_units_enter_through_their_gram_matrix():
    frame = simulated_frame(n_units=360, n_periods=4)
    dense = DensePanel(StaggeredDiD("y", covariates=("x",)), panel_of(frame))
    assert dense.collapsed.products.unit.shape[0] < 0.5 * dense.panel.n_units
    points = GENERIC[:3]
    np.testing.assert_allclose(likelihoods(dense, points), [dense.log_likelihood(p) for p in points], rtol=1e-10, atol=TOLERANCE)


def test_order_of_rows_and_names_of_units_and_regions_do_not_matter():
    rng = np.random.default_rng(0)
    names = dict(zip(GAPS.unit.unique(), rng.permutation(GAPS.unit.nunique()), strict=True))
    renamed = GAPS.assign(unit=GAPS.unit.map(names), region=GAPS.region.map({"Centre": "z", "North": "y", "South": "x"}))
    spec = StaggeredDiD("y", covariates=("x",))
    first = likelihoods(DensePanel(spec, panel_of(GAPS)), GENERIC[:3])
    second = likelihoods(DensePanel(spec, panel_of(renamed.sample(frac=1, random_state=3))), GENERIC[:3])
    np.testing.assert_allclose(first, second, rtol=1e-12, atol=TOLERANCE)


def test_blocks_of_units_add_up_to_the_whole():
    spec = StaggeredDiD("y", covariates=("x",))
    panel = panel_of(simulated_frame(n_units=90, n_periods=4))
    parts = [panel.frame.iloc[a:b] for a, b in ((0, 4 * 40), (4 * 40, 4 * 41), (4 * 41, 4 * 90))]
    shared = {"n_periods": panel.n_periods, "period_start": 2001, "step": 1, "regions": panel.regions.tolist()}
    pieces = [Panel(part.reset_index(drop=True), "unit", "year", "region", "first_treated", "population") for part in parts]
    blocks = [recoded(spec, piece, panel) for piece in pieces]
    whole, joined = spec.collapse(panel), spec.collapse_blocks(blocks, **shared)
    function = [make_log_likelihood(c.sampled_products, c.basis) for c in (whole, joined)]
    n = len(DensePanel(spec, panel).names)
    values = [float(f(0.8, 0.4, np.array([0.3]), np.linspace(0.1, 0.5, n))) for f in function]
    assert abs(values[0] - values[1]) < TOLERANCE


def recoded(spec, piece, whole):
    from dataclasses import replace

    block = spec.block(piece)
    return replace(block, regions=np.searchsorted(whole.regions, piece.regions)[block.regions])


def test_a_large_mean_of_the_outcome_costs_no_digits():
    exact = np.round(GAPS.y * 2**20) / 2**20  # representable beside 2²⁰, so that adding it loses nothing
    spec = StaggeredDiD("y")
    small = likelihoods(DensePanel(spec, panel_of(GAPS.assign(y=exact))), GENERIC)
    large = likelihoods(DensePanel(spec, panel_of(GAPS.assign(y=exact + 2**20))), GENERIC)
    np.testing.assert_allclose(small, large, rtol=1e-12, atol=TOLERANCE)


def test_units_of_the_outcome_do_not_matter_beyond_the_jacobian():
    spec = StaggeredDiD("y", covariates=("x",))
    one, other = (DensePanel(spec, panel_of(GAPS.assign(y=k * GAPS.y, x=GAPS.x * k**2))) for k in (1.0, 1e4))
    np.testing.assert_allclose(likelihoods(one, GENERIC[:3]), likelihoods(other, GENERIC[:3]), rtol=1e-12, atol=TOLERANCE)


# ── gradients ────────────────────────────────────────────────────────────────────────────────────────────────────────


def unconstrained(dense: DensePanel):
    """Log likelihood of (log s, atanh ρ, log unit sds, log component sds) with its gradient, compiled once."""
    import jax
    import jax.numpy as jnp

    function = make_log_likelihood(dense.collapsed.sampled_products, dense.collapsed.basis)
    q = len(dense.unit_names)

    def value(x):
        return function(jnp.exp(x[0]), jnp.tanh(x[1]), jnp.exp(x[2 : 2 + q]), jnp.exp(x[2 + q :]))

    return jax.jit(jax.value_and_grad(value)), 2 + q + len(dense.names)


GRADIENT_CASES = {
    "all components": (GAPS, {"covariates": ("x",), "unit_trends": True}),
    "without cell": (GAPS, {"pooling": ("event", "region", "cohort")}),
    "no pooling": (BALANCED, {"pooling": "none"}),
}


@pytest.mark.parametrize("name", GRADIENT_CASES)
def test_gradient_equals_central_differences_and_stays_finite(name):
    frame, options = GRADIENT_CASES[name]
    function, size = unconstrained(DensePanel(StaggeredDiD("y", **options), panel_of(frame)))
    rng = np.random.default_rng(1)
    for x in (rng.normal(-0.5, 0.4, size), rng.normal(0.2, 0.4, size)):
        step = 1e-5 * np.eye(size)
        numeric = [(float(function(x + h)[0]) - float(function(x - h)[0])) / 2e-5 for h in step]
        np.testing.assert_allclose(np.asarray(function(x)[1]), numeric, rtol=1e-5, atol=1e-5)
    for corner in extremes(size):
        value, gradient = function(corner)
        assert np.isfinite(value), corner
        assert np.isfinite(gradient).all(), corner


def extremes(size: int):
    """One scale at a time at e^±12, ρ at ±.9999, and several of them together."""
    base = np.full(size, -1.0)
    for j in range(size):
        for extreme in (-12.0, 12.0) if j != 1 else (-np.arctanh(0.9999), np.arctanh(0.9999)):
            x = base.copy()
            x[j] = extreme
            yield x
    low, high = base.copy(), base.copy()
    low[2:], high[2:] = -12.0, 12.0
    yield from (low, high)


def test_infinite_or_text_outcomes_are_refused_by_name():
    from bayes.errors import MissingValueError, NotNumericError

    frame = simulated_frame(n_units=12, n_periods=5)
    for value, error in ((np.inf, MissingValueError), ("many", NotNumericError)):
        bad = frame.assign(y=frame.y.astype(object) if isinstance(value, str) else frame.y)
        bad.loc[3, "y"] = value
        with pytest.raises(error, match="'y'"):
            StaggeredDiD("y").collapse(Panel.from_frame(bad, **ROLES))


def test_a_covariate_that_effects_absorb_is_refused_by_name():
    from bayes.errors import CollinearColumnsError

    frame = simulated_frame(n_units=12, n_periods=7)  # seven dates: unit means of a constant are not exact in binary
    constant = frame.unit.map(dict(zip(frame.unit.unique(), np.random.default_rng(2).normal(5, 1, 12), strict=True)))
    absorbed = {"constant": constant, "common": np.sqrt(frame.year), "twice": 2 * frame.x + constant, "zero": 0.0 * frame.x}
    panel = Panel.from_frame(frame.assign(**absorbed), **ROLES)
    for name in absorbed:
        with pytest.raises(CollinearColumnsError, match=name):
            StaggeredDiD("y", covariates=("x", name)).collapse(panel)


def test_nobody_treated_is_refused():
    from bayes.errors import NoComparisonError

    frame = simulated_frame(n_units=12, n_periods=5).assign(first_treated=np.nan)
    with pytest.raises(NoComparisonError, match="first treated"):
        StaggeredDiD("y").collapse(Panel.from_frame(frame, **ROLES))
    assert pd.isna(frame.first_treated).all()
