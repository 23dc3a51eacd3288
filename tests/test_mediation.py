"""Mediation: the specification, what it refuses, recovery of known paths, tables by draw, files."""

from __future__ import annotations

import json

import numpy as np
import pytest

import bayes
from bayes import Mediation
from bayes.errors import (
    AffectedCovariateWarning,
    CollinearColumnsError,
    ConvergenceWarning,
    MechanismWarning,
    MissingColumnError,
    MissingValueError,
    NoVariationError,
    SpecificationError,
)
from bayes.estimates import Estimates
from bayes.mechanism.covariate_check import treatment_t
from bayes.mechanism.effects import ASSUMPTION
from tests.mechanism.fits import fabricated, sampled
from tests.mechanism.panels import mechanism_frame, panel_of

FRAME, TRUTH = mechanism_frame(seed=3, n_units=90, n_periods=8, gaps=True)
PANEL = panel_of(FRAME)
SMALL = FRAME[FRAME.unit < "u030"].reset_index(drop=True)


@pytest.fixture(scope="module")
def fit():
    """With x, which moves mediators and outcome: left out, it would break sequential ignorability."""
    return sampled(PANEL, covariates=("x",), seed=3)


@pytest.fixture(scope="module")
def made_up():
    """One region of three without treated units."""
    return fabricated(panel_of(SMALL.assign(first_treated=SMALL.first_treated.where(SMALL.region != "R1"))), covariates=("x",))


def column(table: Estimates, estimand: str, term: str, region: str = "") -> np.ndarray:
    row = table.where(estimand=estimand, term=term, region=region)
    assert len(row) == 1
    return row.draws[0]


# ── what is recovered ───────────────────────────────────────────────────────────────────────────────────────────────


def test_known_paths_lie_within_the_posterior_overall_and_by_region(fit):
    """99.9 % intervals of 2 × 500 draws; rows are no independent trials, so none may miss."""
    a, b, c = TRUTH["a"], TRUTH["b"], TRUTH["direct"]
    weight = fit.posterior["treated_rows"].to_numpy() / fit.posterior["treated_rows"].to_numpy().sum()
    indirect = a * b
    truth = {"direct": c, "total": c + indirect.sum(axis=0)}
    truth |= {f"driving m{k + 1}": a[k] for k in range(2)} | {f"mediator_effect m{k + 1}": b[k] for k in range(2)}
    truth |= {f"indirect m{k + 1}": indirect[k] for k in range(2)} | {"indirect all": indirect.sum(axis=0)}
    table = fit.effects("all", level=0.999) + fit.effects("region", level=0.999)
    checked = 0
    for row in table.frame.to_dict("records"):
        name = row["estimand"] if row["estimand"] in ("direct", "total") else f"{row['estimand']} {row['term']}"
        if row["estimand"] == "share":
            continue
        true = truth[name] @ weight if row["region"] == "" else truth[name][int(row["region"][1])]
        assert row["lower"] < true < row["upper"], (name, row["region"], true)
        checked += 1
    assert checked == 9 * 4
    assert abs(float(fit.posterior["autocorrelation"].mean()) - 0.4) < 0.1


def test_sampler_mixes(fit):
    d = fit.diagnose()
    assert d.divergences == 0
    assert d.rhat_max < 1.03


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("by", ["all", "region"])
def test_effects_add_up_and_multiply_draw_by_draw(fit, by):
    table = fit.effects(by)
    for region in dict.fromkeys(table.frame.region):
        indirect = [column(table, "indirect", m, region) for m in ("m1", "m2")]
        np.testing.assert_allclose(sum(indirect), column(table, "indirect", "all", region))
        total = column(table, "total", "all", region)
        np.testing.assert_allclose(total, column(table, "direct", "all", region) + sum(indirect))
        np.testing.assert_allclose(column(table, "share", "m1", region) * total, indirect[0])
        if by == "region":
            product = column(table, "driving", "m2", region) * column(table, "mediator_effect", "m2", region)
            np.testing.assert_allclose(product, indirect[1])


def test_averages_weight_regions_by_treated_rows(fit):
    by_region, rows = fit.effects("region"), fit.posterior["treated_rows"].to_numpy()
    treated = FRAME[FRAME.year >= FRAME.first_treated].groupby("region").size()
    assert rows.tolist() == treated.loc[["R0", "R1", "R2"]].tolist()
    parts = np.array([column(by_region, "indirect", "m1", r) for r in ("R0", "R1", "R2")])
    np.testing.assert_allclose(column(fit.effects("all"), "indirect", "m1"), rows @ parts / rows.sum())
    assert (fit.effects("all").frame.note.str.startswith("mean over regions; weights: treated rows")).all()


def test_panel_weights_replace_treated_rows_where_there_are_any():
    frame = SMALL.assign(population=np.where(SMALL.region == "R0", 10.0, 1.0))
    fit = fabricated(panel_of(frame, weights="population"))
    rows, by_region = fit.posterior["treated_rows"].to_numpy(), fit.effects("region")
    parts = np.array([column(by_region, "direct", "all", r) for r in ("R0", "R1", "R2")])
    weight = rows * np.array([10.0, 1.0, 1.0])
    np.testing.assert_allclose(column(fit.effects("all"), "direct", "all"), weight @ parts / weight.sum())
    np.testing.assert_allclose(column(fit.effects("all", weights="rows"), "direct", "all"), rows @ parts / rows.sum())


def test_every_row_and_table_says_what_it_rests_on(fit):
    table = fit.effects("all") + fit.effects("region") + fit.mechanisms()
    assert table.frame.note.str.contains("assumes sequential ignorability|assumes parallel trends").all()
    causal = table.frame.estimand.isin(["direct", "indirect", "mediator_effect", "share"])
    assert table.frame[causal].note.str.contains("sequential ignorability").all()
    for one in (fit.effects(), fit.mechanisms(), fit.prior_effects(), fit.unpooled()):
        assert one.meta["assumption"] == ASSUMPTION == fit.assumption
    assert fit.effects().meta["seed"] == 3


def test_region_without_treated_units_is_not_identified_or_prior_driven(made_up):
    table = made_up.effects("region").where(region="R1").frame.set_index(["estimand", "term"])
    assert table.loc[("mediator_effect", "m1"), "identified"]
    for key in (("driving", "m1"), ("direct", "all"), ("indirect", "m2"), ("total", "all"), ("share", "all")):
        assert np.isnan(table.loc[key, "estimate"])
        assert not table.loc[key, "identified"]
        assert "no treated unit in this region" in table.loc[key, "note"]
    drawn = made_up.effects("region", extrapolate=True).where(region="R1", estimand="indirect", term="m1").frame.iloc[0]
    assert np.isfinite(drawn["estimate"])
    assert not drawn["identified"]
    assert "prior-driven" in drawn["note"]
    overall = made_up.effects("all").where(estimand="total").frame.iloc[0]
    assert overall["identified"]


def test_share_is_a_median_and_says_when_the_total_may_be_zero(made_up):
    table = made_up.effects("all", level=0.9)
    row = table.where(estimand="share", term="all")
    assert row.frame.estimate.iloc[0] == np.median(row.draws[0])
    assert np.isnan(row.frame.se.iloc[0])
    total = table.where(estimand="total").frame.iloc[0]
    holds_zero = total["lower"] < 0 < total["upper"]
    assert ("interval of the total effect holds zero" in row.frame.note.iloc[0]) == holds_zero
    prior = made_up.prior_effects().where(estimand="share", term="all").frame.iloc[0]
    assert "interval of the total effect holds zero" in prior["note"]


def test_region_by_mechanism_is_a_table_that_reports_take(fit):
    table = fit.mechanisms()
    assert len(table) == 4 * 4  # three regions and all; direct, two indirect effects, total
    assert table.draws.shape == (16, 1000)
    assert len(bayes.compare(table, fit.unpooled("region")).frame) > 16


def test_pooling_pulls_regions_together(fit):
    pooled, alone = (t.where(estimand="direct").frame.estimate for t in (fit.effects("region"), fit.unpooled("region")))
    assert np.ptp(pooled) < np.ptp(alone)


def test_a_mediator_of_two_values_is_noted():
    frame = SMALL.assign(m2=(SMALL.m2 > SMALL.m2.median()).astype(float))
    rows = fabricated(panel_of(frame)).effects().frame
    assert rows[rows.term == "m2"].query("estimand in ('driving', 'indirect')").note.str.contains("m2 takes two values").all()
    assert not rows[rows.term == "m1"].note.str.contains("two values").any()


@pytest.mark.parametrize("options", [{"pooling": "none"}, {"pooling": "complete"}, {"errors": "iid"}, {"unit_effects": "fixed"}])
def test_other_specifications_have_all_tables(options):
    made = fabricated(panel_of(SMALL), mediators=("m1",), **options)
    assert np.isfinite(made.effects("region").where(estimand="total").frame.estimate).all()
    assert np.isfinite(made.effects("all").frame.estimate).all()
    direct = made.effects("region").where(estimand="direct").draws
    assert (np.ptp(direct, axis=0) == 0).all() == (options.get("pooling") == "complete")
    words = {"none": "no", "complete": "complete"}.get(options.get("pooling", ""), "partial")
    assert made.effects().frame.source.str.startswith(f"Bayes, {words} pooling").all()


def test_one_region_needs_no_pooling():
    made = fabricated(panel_of(SMALL.assign(region="all")), mediators=("m1",))
    assert "path_correlation" not in made.posterior
    both = made.effects("all"), made.effects("region")
    np.testing.assert_allclose(both[0].frame.estimate, both[1].frame.estimate)
    no_region = fabricated(panel_of(SMALL, region=None), mediators=("m1",))
    np.testing.assert_allclose(no_region.effects().draws, both[0].draws)


def test_units_of_columns_pass_through():
    """a in units of the mediator, b of outcome per mediator, c' of the outcome; all priors are relative."""
    first = fabricated(panel_of(SMALL))
    second = fabricated(panel_of(SMALL.assign(m1=100 * SMALL.m1, y=7 * SMALL.y)))
    size = {("driving", "m1"): 100, ("mediator_effect", "m1"): 0.07, ("indirect", "m1"): 7, ("direct", "all"): 7, ("driving", "m2"): 1}
    for (estimand, term), factor in size.items():
        one, two = (column(f.effects(), estimand, term) for f in (first, second))
        np.testing.assert_allclose(two, factor * one, rtol=1e-6)


# ── files, priors, summary ──────────────────────────────────────────────────────────────────────────────────────────


def test_saved_fit_comes_back_with_its_tables(made_up, tmp_path):
    back = bayes.load_fit(made_up.save(tmp_path / "mechanism.nc"))
    assert type(back) is type(made_up)
    assert back.model == made_up.model
    for call in (lambda f: f.effects("region"), lambda f: f.mechanisms(), lambda f: f.unpooled("all")):
        np.testing.assert_array_equal(call(back).draws, call(made_up).draws)
    assert call(back).frame.equals(call(made_up).frame)


def test_specification_survives_json():
    spec = Mediation("y", ["m1"], ["x"], priors={"driving_sd": 0.2, "direct": bayes.Prior("Normal", {"mu": 0.0, "sigma": 1.0})})
    assert Mediation.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_priors_are_listed_in_units_of_the_data(made_up):
    table = made_up.priors().set_index("parameter")
    e = made_up.model.equations(made_up.panel)
    assert table.loc["driving[m1]", "distribution"] == f"Normal(mu=0, sigma={2.5 * e.scales[0]:.4g})"
    assert table.loc["mediator_effect_sd[m2]", "distribution"] == f"HalfNormal(sigma={0.5 * e.scales[2] / e.scales[1]:.4g})"
    assert table.loc["path_correlation", "distribution"] == "LKJ(eta=2)"
    assert {"innovation_sd[y]", "direct", "direct_sd"} <= set(table.index)


def test_summary_lists_paths_and_scales(made_up):
    assert {"direct[R0]", "driving[m1, R0]", "innovation_sd[y]"} <= set(made_up.summary().index)


# ── what is refused, and what is warned of ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("y", ["y"]), "'y' is both the outcome and a mediator"),
        (("y", []), "at least one mediator"),
        (("y", "m1"), r"mediators=\['m1'\]"),
        (("y", ["m1", "m1"]), "each named once"),
        (("y", ["m1"], ["m1"]), "each named once"),
    ],
)
def test_impossible_specifications_are_refused(arguments, words):
    with pytest.raises(SpecificationError, match=words):
        Mediation(*arguments)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"pooling": "some"}, "'partial', 'complete', 'none'"),
        ({"errors": "ma1"}, "'ar1', 'iid'"),
        ({"anticipation": -1}, "whole number"),
        ({"correlation_concentration": 0}, "positive number"),
        ({"priors": {"region_sd": 1.0}}, "driving_sd"),
        ({"priors": {"direct": bayes.Prior("Normal", {"mu": 1.0, "sigma": 1.0})}}, "mu=0"),
    ],
)
def test_unknown_words_name_the_allowed_ones(option, words):
    with pytest.raises(SpecificationError, match=words):
        Mediation("y", ["m1"], **option)


def test_unknown_keyword_raises():
    with pytest.raises(TypeError):
        Mediation("y", ["m1"], pool="partial")


@pytest.mark.parametrize(
    ("columns", "mediators", "error", "words"),
    [
        ({"m2": lambda f: f.y}, ["m1", "m2"], CollinearColumnsError, "Mediator 'm2', with .'m1'., gives the outcome 'y' exactly"),
        ({"y": lambda f: 2 * f.m1 - f.m2 + f.year}, ["m1", "m2"], CollinearColumnsError, "'m2', with .'m1'., gives the outcome"),
        ({"m2": lambda f: 3 * f.m1 + f.year}, ["m1", "m2"], CollinearColumnsError, r"'m2' is an exact linear combination of \['m1'\]"),
        ({"m1": lambda f: 4.0}, ["m1"], NoVariationError, "Mediator 'm1' has no variation of its own"),
        ({"m1": lambda f: f.groupby("unit").m1.transform("mean")}, ["m2", "m1"], NoVariationError, "Mediator 'm1'"),
        ({"m1": lambda f: (f.year >= f.first_treated) * 1.0}, ["m1"], NoVariationError, "Mediator 'm1'.*treatment"),
        ({"y": lambda f: 1.0 * f.year}, ["m1"], NoVariationError, "outcome 'y' is fitted exactly"),
    ],
)
def test_columns_that_leave_nothing_to_estimate_are_named(columns, mediators, error, words):
    panel = panel_of(SMALL.assign(**columns))
    with pytest.raises(error, match=words):
        Mediation("y", mediators).equations(panel)


def test_missing_values_columns_and_timing_are_refused():
    holed = panel_of(SMALL.assign(m1=SMALL.m1.where(SMALL.index != 5)))
    with pytest.raises(MissingValueError, match=r"'m1'.*u000"):
        Mediation("y", ["m1"]).fit(holed)
    with pytest.raises(MissingColumnError, match="nowhere"):
        Mediation("y", ["nowhere"]).fit(holed)
    with pytest.raises(SpecificationError, match="no treatment timing"):
        Mediation("y", ["m1"]).build(panel_of(SMALL, first_treated=None))
    with pytest.raises(CollinearColumnsError, match="year_copy"):
        Mediation("y", ["m1"], ["year_copy"]).equations(panel_of(SMALL.assign(year_copy=SMALL.year)))


def test_tables_refuse_unknown_words(made_up):
    with pytest.raises(SpecificationError, match="'all', 'region'"):
        made_up.effects("country")
    with pytest.raises(SpecificationError, match="'rows' or 'panel'"):
        made_up.effects(weights="population")


def test_fitting_warns_of_the_assumption_and_of_covariates_that_the_treatment_moves():
    x = np.random.default_rng(1).normal(size=len(SMALL))
    moved = SMALL.assign(x=x, z=x + 2.0 * (SMALL.year >= SMALL.first_treated))
    with pytest.warns() as caught:
        Mediation("y", ["m1"], ["x", "z"]).fit(panel_of(moved), draws=10, tune=20, chains=2, seed=1)
    found = {w.category: str(w.message) for w in caught}
    assert set(found) == {MechanismWarning, AffectedCovariateWarning, ConvergenceWarning}
    assert found[MechanismWarning] == ASSUMPTION
    assert "'z' (t =" in found[AffectedCovariateWarning]
    assert "'x'" not in found[AffectedCovariateWarning]


def test_the_t_of_a_covariate_is_the_clustered_one_of_dummy_regression():
    """Slope and standard error by brute force: dummies of units and periods, sandwich over units."""
    f = SMALL
    treated = (f.year >= f.first_treated).to_numpy(float)
    dummies = [(f.unit == u).to_numpy(float) for u in f.unit.unique()] + [
        (f.year == y).to_numpy(float) for y in sorted(f.year.unique())[1:]
    ]
    design = np.column_stack([treated, *dummies])
    bread = np.linalg.inv(design.T @ design)
    slope = bread @ design.T @ f.m1.to_numpy()
    scores = design * (f.m1.to_numpy() - design @ slope)[:, None]
    sums = np.array([scores[(f.unit == u).to_numpy()].sum(axis=0) for u in f.unit.unique()])
    n = len(sums)
    variance = (bread @ (n / (n - 1) * sums.T @ sums) @ bread)[0, 0]
    np.testing.assert_allclose(treatment_t(panel_of(f), "m1"), slope[0] / np.sqrt(variance), rtol=1e-9)
    assert np.isnan(treatment_t(panel_of(f.assign(k=f.year * 2)), "k"))
