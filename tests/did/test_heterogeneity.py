"""Differences between effects: unit deviations against dense algebra, averages against the fit's own, contrasts and ranks by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from bayes.did.cells import component_basis
from bayes.did.heterogeneity import effect_spread
from bayes.did.unit_algebra import prepared
from bayes.did.unit_effects import TreatedRows, UnitEffects, unit_deviations, with_group_means
from bayes.did.unit_groups import cut_points, means_before_treatment
from bayes.errors import MissingColumnError, MissingValueError, SpecificationError, UnsupportedModelError
from bayes.estimates import Estimates
from bayes.panel import Panel
from bayes.ranking import differences, rank_draws
from tests.conftest import fabricated
from tests.did.dense import DensePanel, Point, panel_of
from tests.panels import ROLES, simulated_frame

OPTIONS = {
    "gaps": {"covariates": ("x",)},
    "trends": {"covariates": ("x",), "unit_trends": True, "anticipation": 1, "pooling": ("event", "region")},
    "flat cells": {"errors": "iid", "pooling": "none"},
    "region periods": {"period_effects": "region", "covariates": ("x",)},
}


def frame_of(**options) -> pd.DataFrame:
    frame = simulated_frame(**{"n_units": 24, "n_periods": 7, "gaps": True, **options})
    size = 10.0 + np.abs(np.sin(frame.unit.str[1:].astype(int))) * 100
    return frame.assign(size=size + frame.year - 2001)


@pytest.fixture(scope="module", params=OPTIONS)
def fit(request):
    return fabricated(panel_of(frame_of()), **OPTIONS[request.param])


@pytest.fixture(scope="module")
def plain():
    return fabricated(panel_of(frame_of()), covariates=("x",))


@pytest.fixture(scope="module")
def wide_panel():
    return panel_of(frame_of())


# ── deviations of units ─────────────────────────────────────────────────────────────────────────────────────────────


def dense_deviation(dense: DensePanel, point: Point, residual: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """Mean and sd of one unit's b given its residual, α flat: regression of the residual on [1, D, trend] with dense covariance."""
    z = np.column_stack([np.ones(rows.size), *(c[rows].sum(axis=1) for c in dense.unit_columns)])
    inverse = np.linalg.inv(dense.errors(point)[np.ix_(rows, rows)])
    prior = np.diag(np.r_[0.0, 1 / np.array(point.unit_sds(dense.unit_names)) ** 2])
    covariance = np.linalg.inv(z.T @ inverse @ z + prior)
    return float((covariance @ z.T @ inverse @ residual[rows])[1]), float(np.sqrt(covariance[1, 1]))


def test_unit_deviations_have_the_moments_of_dense_algebra(fit):
    dense = DensePanel(fit.model, fit.panel)
    draws = np.array([3, 41])
    algebra, h, mean = prepared(fit, draws, "Test")
    f, lower, scale = algebra.factor(h)
    residual = algebra.rows.outcome / fit._collapsed.scales[-1] - mean
    projected = algebra.projections(residual, f, lower, scale)
    expected = algebra.unit_effects(projected, lower, scale)[1]
    # The spread of a draw is what unit noise becomes: a unit in each projection in turn.
    shape = projected[0].shape
    one = [[np.ones(shape) * (a == b) * h.innovation_sd[:, None] for b in range(len(projected))] for a in range(len(projected))]
    spread = np.sqrt(sum(algebra.unit_effects(noise, lower, scale)[1] ** 2 for noise in one))
    trend = h.unit_sds[:, 1] if fit.model.unit_trends else np.full(2, 0.05)
    for d in range(2):
        point = Point(h.innovation_sd[d], h.autocorrelation[d], h.unit_sds[d, 0], trend[d])
        for i, unit in enumerate(fit.panel.units):
            rows = np.flatnonzero(fit.panel.frame.unit == unit)
            m, sd = dense_deviation(dense, point, residual[d], rows)
            assert abs(expected[d, i] - m) < 1e-8, unit
            assert abs(spread[d, i] - sd) < 1e-8, unit


def test_draws_given_group_means_keep_the_conditional_distribution():
    """Groups of normals whose two means are drawn from their own distribution: the units' draws have the moments of free ones."""
    rng = np.random.default_rng(0)
    n, units = 40_000, 5
    weight = np.array([1.0, 2.0, 4.0, 1.0, 3.0])
    centre, group = np.array([0.3, -1.0, 0.5, 2.0, 0.0]), np.array([0, 1, 0, 0, 1])
    equal, weighted = np.empty((n, 2)), np.empty((n, 2))
    for g in range(2):
        inside = group == g
        w = weight[inside] / weight[inside].sum()
        independent = centre[inside] + rng.normal(size=(n, inside.sum()))
        equal[:, g], weighted[:, g] = independent.mean(axis=1), independent @ w
    out = with_group_means(centre + rng.normal(size=(n, units)), group, weight, equal, weighted)
    for g in range(2):
        inside = group == g
        np.testing.assert_allclose(out[:, inside].mean(axis=1), equal[:, g], atol=1e-12)
        np.testing.assert_allclose(out[:, inside] @ weight[inside] / weight[inside].sum(), weighted[:, g], atol=1e-12)
    assert np.abs(out.mean(axis=0) - centre).max() < 5 / np.sqrt(n)
    assert np.abs(np.cov(out.T) - np.eye(units)).max() < 5 * np.sqrt(2 / n)


def test_deviations_are_zero_without_random_effects_and_refused_for_student_t():
    panel = panel_of(frame_of())
    fixed = fabricated(panel, unit_effects="fixed", draws=5)
    assert not unit_deviations(fixed).any()
    heavy = fabricated(panel, draws=5)
    object.__setattr__(heavy.model, "likelihood", "student-t")
    with pytest.raises(UnsupportedModelError, match="Effects of single units"):
        heavy.heterogeneity.unit_effects()


# ── averages ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("estimand", ["att", "att_population"])
@pytest.mark.parametrize("weights", ["rows", "panel"])
@pytest.mark.parametrize("by", ["simple", "region", "cohort"])
def test_averages_of_unit_effects_are_those_of_the_fit_in_every_draw(fit, by, weights, estimand):
    table = fit.att(by, estimand, weights=weights)
    found = UnitEffects.of(fit, own=estimand == "att")
    rows, panel = found.rows, fit.panel
    cohort = panel.unit_first_treated[rows.unit]
    weight = rows.post * rows.identified * (rows.weight if weights == "panel" else 1.0)
    for row, draws in zip(table.frame.to_dict("records"), table.draws, strict=True):
        inside = np.ones(rows.row.size, dtype=bool)
        inside &= (panel.regions[panel.unit_regions[rows.unit]] == row["region"]) if by == "region" else True
        inside &= (cohort == row["cohort"]) if by == "cohort" else True
        if not (weight * inside).any():
            assert np.isnan(draws).all()
            continue
        w = weight * inside / (weight * inside).sum()
        np.testing.assert_allclose(found.averages(w[None], received=False)[0], draws, atol=1e-10)


def test_the_table_of_units_averages_to_the_regions(plain):
    units, regions = plain.heterogeneity.unit_effects(), plain.att("region", weights="rows")
    assert (units.frame.term == "unit").all()
    for k, region in enumerate(regions.frame.region):
        inside = (units.frame.region == region).to_numpy()
        w = units.frame.n_obs[inside].to_numpy(float)
        np.testing.assert_allclose(w @ units.draws[inside] / w.sum(), regions.draws[k], atol=1e-10)
    treated = plain.panel.frame.query("first_treated <= year").groupby("unit").size()
    np.testing.assert_array_equal(units.frame.set_index("unit").n_obs.sort_index(), treated.sort_index())
    again = plain.heterogeneity.unit_effects()
    np.testing.assert_array_equal(again.draws, units.draws)


def test_doses_and_moderators_enter_as_in_the_model():
    frame = frame_of()
    rng = np.random.default_rng(3)
    frame = frame.assign(dose=np.where(frame.treated == 1, 0.5 + frame.unit.str[1:].astype(int) % 3, 0.0), m=rng.normal(size=len(frame)))
    dosed = fabricated(panel_of(frame), dose="dose")
    for estimand in ("att", "att_population", "att_at_dose", "att_population_at_dose"):
        expected = dosed.att("simple", estimand, weights="rows")
        table = dosed.heterogeneity.unit_effects(estimand)
        assert table.frame.estimand.iloc[0] == expected.frame.estimand.iloc[0]
        w = table.frame.n_obs.to_numpy(float)
        np.testing.assert_allclose(w @ table.draws / w.sum(), expected.draws[0], atol=1e-10)
    moderated = fabricated(panel_of(frame), moderators=("m",))
    table = moderated.heterogeneity.counterfactual("u000")
    effect = table.where(estimand="effect")
    rows = UnitEffects.of(moderated)
    gamma = moderated.posterior["coefficient"].sel(covariate="m × treatment").to_numpy().ravel()
    treated = moderated.panel.frame.query("treated == 1") if "treated" in moderated.panel.frame else frame.query("treated == 1")
    period, u = effect.frame.period.iloc[1], 0
    cell = rows.rows.cell[(rows.rows.unit == u) & (frame.year.to_numpy()[rows.rows.row] == period)][0]
    m = frame[(frame.unit == "u000") & (frame.year == period)].m.item() - treated.m.mean()
    expected = rows.cells[:, cell] + rows.deviations[:, u] + gamma * m
    np.testing.assert_allclose(effect.draws[1], expected, atol=1e-10)


def test_cells_of_rows_are_found(fit):
    rows, cells = TreatedRows.of(fit), fit._collapsed.design.cells
    panel = fit.panel
    region = panel.unit_regions[rows.unit]
    np.testing.assert_array_equal(cells.region[rows.cell], region)
    np.testing.assert_array_equal(cells.period[rows.cell], panel.period_codes[rows.row])
    np.testing.assert_array_equal(np.bincount(rows.cell, minlength=cells.size), cells.rows)


# ── regions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_contrasts_are_differences_of_draws(plain):
    table = plain.heterogeneity.region_contrasts()
    regions = plain.att("region")
    assert len(table) == 3
    for row, draws in zip(table.frame.to_dict("records"), table.draws, strict=True):
        a, b = (regions.draws[(regions.frame.region == row[k]).to_numpy()][0] for k in ("term", "term_to"))
        np.testing.assert_allclose(draws, a - b, atol=1e-12)
        assert row["estimate"] == pytest.approx((a - b).mean())
        assert row["prob_positive"] == pytest.approx((a > b).mean())
    assert (table.frame.estimand == "att_difference").all()


def test_ranks_count_draws(plain):
    ranks, regions = plain.heterogeneity.region_ranks(), plain.att("region")
    np.testing.assert_allclose(ranks.probability.sum(axis=0), 1)
    np.testing.assert_allclose(ranks.probability.sum(axis=1), 1)
    first = regions.draws.argmax(axis=0)
    for k, region in enumerate(regions.frame.region):
        assert ranks.probability.loc[region, 1] == pytest.approx((first == k).mean())
    by_hand = rank_draws(np.array([[1.0, 5.0], [3.0, 4.0], [np.nan, 1.0], [2.0, 9.0]]))
    np.testing.assert_array_equal(by_hand, [[3, 2], [1, 3], [np.nan, np.nan], [2, 1]])


def test_a_region_without_treated_units_has_no_contrast_unless_asked(plain):
    frame = frame_of()
    frame["first_treated"] = frame.first_treated.where(frame.region != "South")
    fit = fabricated(panel_of(frame))
    table, ranks = fit.heterogeneity.region_contrasts(), fit.heterogeneity.region_ranks()
    south = (table.frame[["term", "term_to"]] == "South").any(axis=1)
    assert table.frame[south].estimate.isna().all()
    assert not table.frame[south].identified.any()
    assert table.frame[south].note.str.contains("South: prior-driven: no treated unit").all()
    assert table.frame[~south].estimate.notna().all()
    assert ranks.probability.loc["South"].isna().all()
    assert ranks.probability.shape == (3, 2)
    with_it = fit.heterogeneity.region_contrasts(extrapolate=True)
    assert with_it.frame.estimate.notna().all()
    assert not with_it.frame[south].identified.any()


def test_a_fully_treated_region_is_identified_by_the_others_or_not_at_all():
    frame = frame_of(gaps=False)
    south = frame.region == "South"
    frame.loc[south, "first_treated"] = frame.first_treated[south].fillna(2006)
    common = fabricated(panel_of(frame), pooling=("event", "region")).heterogeneity.region_contrasts().frame
    assert common.estimate.notna().all()
    own = fabricated(panel_of(frame), pooling=("event", "region"), period_effects="region").heterogeneity.region_contrasts().frame
    has_south = (own[["term", "term_to"]] == "South").any(axis=1)
    assert not own[has_south].identified.any()
    assert own[has_south].note.str.contains("South: ").all()
    assert own[~has_south].identified.all()


def test_one_region_is_refused_by_name():
    roles = {k: v for k, v in ROLES.items() if k != "region"}
    fit = fabricated(Panel.from_frame(frame_of(), **roles))
    for method in (fit.heterogeneity.region_contrasts, fit.heterogeneity.region_ranks):
        with pytest.raises(SpecificationError, match=r"one region \('all'\)"):
            method()
    with pytest.raises(SpecificationError, match="at least two rows"):
        differences(fit.att("simple"), "term")


# ── variance components ─────────────────────────────────────────────────────────────────────────────────────────────


def test_shares_of_variance_by_simulation(plain):
    """Effects of rows simulated component by component from the hierarchy have the expected variance over treated rows."""
    collapsed, rows = plain._collapsed, TreatedRows.of(plain)
    basis = component_basis(collapsed.design.cells, collapsed.components)
    spread = effect_spread(collapsed)
    rng, n = np.random.default_rng(1), 20_000
    post = rows.post
    for name, expected in spread.items():
        if name == "unit":
            values = rng.normal(size=(n, plain.panel.n_units))[:, rows.unit[post]]
        else:
            columns = basis.matrix[:, basis.component == name]
            values = (rng.normal(size=(n, columns.shape[1])) @ columns.T)[:, rows.cell[post]]
        variance = values.var(axis=1)
        assert abs(variance.mean() - expected) < 4 * variance.std() / np.sqrt(n), name


def test_components_with_their_prior(plain):
    table = plain.heterogeneity.variance_components()
    posterior, prior = (table.frame[(table.frame.source == "prior") == p] for p in (False, True))
    assert posterior.term.tolist() == ["event", "region", "cohort", "region:event", "cell", "unit"] * 2
    assert prior.term.tolist() == posterior.term.tolist()
    shares = table.draws[(table.frame.estimand == "variance_share").to_numpy()].reshape(2, 6, -1)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    sd = table.draws[1]
    np.testing.assert_array_equal(sd, plain.posterior["region_sd"].to_numpy().ravel())
    assert table.frame.prob_positive.isna().all()


def test_components_that_have_nothing_to_tell_apart_say_so():
    frame = frame_of()
    frame["first_treated"] = frame.first_treated.where(frame.region == "North")
    table = fabricated(panel_of(frame)).heterogeneity.variance_components().frame
    alone = table[table.term.isin(["region", "region:event"])]
    assert alone.estimate.isna().all()
    assert not alone.identified.any()
    assert alone.note.str.contains("nothing to tell apart").all()
    assert table[table.term == "event"].estimate.notna().all()
    only_units = fabricated(panel_of(frame), pooling="complete").heterogeneity.variance_components()
    assert set(only_units.frame.term) == {"unit"}
    none = fabricated(panel_of(frame), pooling="none", unit_effects="fixed")
    with pytest.raises(SpecificationError, match="no variance component"):
        none.heterogeneity.variance_components()


# ── along a covariate ───────────────────────────────────────────────────────────────────────────────────────────────


def test_groups_by_a_covariate_are_averages_of_their_units(plain, wide_panel):
    table = plain.heterogeneity.effect_by("size", [40.0, 80.0], panel=wide_panel, weights="rows")
    frame = wide_panel.frame
    before = frame[frame.year < frame.first_treated].groupby("unit")["size"].mean()
    units = plain.heterogeneity.unit_effects()
    of_unit = units.frame.unit.map(before).to_numpy()
    for k, inside in enumerate([of_unit <= 40, (of_unit > 40) & (of_unit <= 80), of_unit > 80]):
        w = units.frame.n_obs[inside].to_numpy(float)
        np.testing.assert_allclose(w @ units.draws[inside] / w.sum(), table.draws[k], atol=1e-10)
        assert table.frame.note[k].startswith(f"{inside.sum()} treated unit")
    np.testing.assert_allclose(table.draws[3], table.draws[0] - table.draws[1], atol=1e-12)
    assert table.frame.estimand.tolist() == ["att"] * 3 + ["att_difference"] * 3
    assert table.frame.term.tolist()[:3] == ["size ≤ 40", "40 < size ≤ 80", "size > 80"]


def test_equal_groups_and_groups_without_units(plain, wide_panel):
    three = plain.heterogeneity.effect_by("size", panel=wide_panel).frame
    counts = [int(note.split()[0]) for note in three.note[:3]]
    assert max(counts) - min(counts) <= 1
    empty = plain.heterogeneity.effect_by("size", [1.0], panel=wide_panel).frame
    assert np.isnan(empty.estimate[0])
    assert not empty.identified[0]
    assert "no treated unit" in empty.note[0]
    assert np.isnan(empty.estimate[2])


def test_cut_points_by_hand():
    np.testing.assert_allclose(cut_points(np.array([5.0, 1.0, 3.0, 9.0]), 2, "c"), [4.0])
    np.testing.assert_allclose(cut_points(np.array([5.0, 1.0]), np.array([0.0, 2.5]), "c"), [0.0, 2.5])
    for groups, words in ((3, "2 distinct"), (5, "4 treated units"), (1, "at least 2")):
        with pytest.raises(SpecificationError, match=words):
            cut_points(np.array([1.0, 1.0, 2.0, 2.0]), groups, "c")
    for groups in ([2.0, 1.0], [], "many", [np.nan], True):
        with pytest.raises(SpecificationError, match="increasing cut points of 'c'"):
            cut_points(np.array([1.0, 2.0]), groups, "c")


def test_one_treated_unit_cannot_be_grouped_but_has_an_effect():
    frame = frame_of()
    frame["first_treated"] = frame.first_treated.where(frame.unit == "u001")
    panel = panel_of(frame)
    fit = fabricated(panel, pooling=("event",))
    with pytest.raises(SpecificationError, match="1 treated units with 1 distinct"):
        fit.heterogeneity.effect_by("size", panel=panel)
    units = fit.heterogeneity.unit_effects()
    np.testing.assert_allclose(units.draws[0], fit.att("simple", weights="rows").draws[0], atol=1e-10)
    assert fit.heterogeneity.effect_by("size", [0.0], panel=panel).frame.estimate[1] == pytest.approx(units.frame.estimate[0])


def test_a_covariate_that_is_missing_is_named(plain, wide_panel):
    with pytest.raises(MissingColumnError, match="nosuch"):
        plain.heterogeneity.effect_by("nosuch", panel=wide_panel)
    holes = wide_panel.frame["size"].where(~((wide_panel.frame.unit == "u000") & (wide_panel.frame.year == 2001)))
    with pytest.raises(MissingValueError, match=r"'size'.*u000"):
        plain.heterogeneity.effect_by("size", panel=wide_panel.assign(size=holes))
    with pytest.raises(MissingValueError, match="no row before"):
        means_before_treatment(wide_panel, "size", np.isfinite(wide_panel.unit_first_treated), anticipation=20)
    after_only = wide_panel.frame["size"].where(wide_panel.frame.treated == 0)
    plain.heterogeneity.effect_by("size", panel=wide_panel.assign(size=after_only))
    with pytest.raises(SpecificationError, match="no effects of single units"):
        plain.heterogeneity.effect_by("size", estimand="att_new_unit", panel=wide_panel)
    with pytest.raises(SpecificationError, match="needs a model with a dose"):
        plain.heterogeneity.effect_by("size", estimand="att_at_dose", panel=wide_panel)


# ── without treatment ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_counterfactual_is_the_observed_less_the_effect(fit):
    table = fit.heterogeneity.counterfactual(["u000", "u003"])
    own = fit.panel.frame[fit.panel.frame.unit == "u000"]
    unit = table.where(unit="u000")
    observed, without = unit.where(estimand="observed"), unit.where(estimand="counterfactual")
    np.testing.assert_array_equal(observed.frame.period, own.year)
    np.testing.assert_allclose(observed.frame.estimate, own.y)
    assert observed.frame.lower.isna().all()
    effects = UnitEffects.of(fit)
    u = fit.panel.units.tolist().index("u000")
    first = own.first_treated.iloc[0] - fit.model.anticipation
    for k, period in enumerate(own.year):
        gap = observed.draws[k] - without.draws[k]
        if period < first:
            assert not gap.any()
            continue
        row = np.flatnonzero((effects.rows.unit == u) & (fit.panel.frame.year.to_numpy()[effects.rows.row] == period))[0]
        if effects.rows.identified[row]:
            np.testing.assert_allclose(gap, effects.cells[:, effects.rows.cell[row]] + effects.deviations[:, u], atol=1e-10)
        else:
            assert np.isnan(gap).all()
            assert "not identified" in without.frame.note[k]
    assert set(table.frame.unit) == {"u000", "u003"}


def test_effects_of_a_unit_recover_a_simulated_deviation(tiny_fit):
    """True effects of the simulation, region by region, lie inside wide intervals of its units."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = tiny_fit.heterogeneity.unit_effects(level=0.999)
    frame = simulated_frame()
    truth = frame[frame.true_effect > 0].groupby("unit").true_effect.mean()
    inside = (table.frame.lower.to_numpy() < truth.loc[table.frame.unit]) & (truth.loc[table.frame.unit] < table.frame.upper.to_numpy())
    assert inside.mean() > 0.9


def test_units_that_are_unknown_or_never_treated_are_named(plain):
    with pytest.raises(SpecificationError, match=r"no unit 'nobody'.*u000"):
        plain.heterogeneity.counterfactual("nobody")
    with pytest.raises(SpecificationError, match="'u006' is never treated"):
        plain.heterogeneity.counterfactual(["u000", "u006"])
    with pytest.raises(SpecificationError, match="at least one unit"):
        plain.heterogeneity.counterfactual([])
    with pytest.raises(TypeError, match="colour"):
        plain.heterogeneity.counterfactual("u000", colour="red")
    assert isinstance(plain.heterogeneity.counterfactual("u000"), Estimates)
    assert "region_contrasts" in repr(plain.heterogeneity)
