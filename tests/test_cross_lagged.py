"""CrossLagged: the specification, what it refuses, recovery of known lags, tables by draw, gaps, files."""

from __future__ import annotations

import json

import numpy as np
import pytest

import bayes
from bayes import CrossLagged
from bayes.dynamics.effects import ASSUMPTION
from bayes.errors import CollinearColumnsError, MissingColumnError, MissingValueError, NoVariationError, SpecificationError
from bayes.estimates import Estimates
from tests.dynamics.fits import fabricated, sampled
from tests.dynamics.panels import pair_frame, panel_of

FRAME, TRUTH = pair_frame(seed=3, n_units=60)
SMALL, _ = pair_frame(seed=4, n_units=15, n_periods=8, gaps=True)


@pytest.fixture(scope="module")
def fit():
    return sampled(panel_of(FRAME), covariates=["x"], seed=3)


@pytest.fixture(scope="module")
def made_up():
    return fabricated(panel_of(SMALL), covariates=["x"])


def draws_of(table: Estimates, estimand: str, term: str, region: str = "") -> np.ndarray:
    row = table.where(estimand=estimand, term=term, region=region)
    assert len(row) == 1
    return row.draws[0]


# ── what is recovered ───────────────────────────────────────────────────────────────────────────────────────────────


def test_known_lags_lie_within_the_posterior(fit):
    """99.9 % intervals, overall and by region: none of 16 may miss. 60 units × 11 periods in three regions."""
    place = {("own_lag", "f"): (0, 0), ("own_lag", "s"): (1, 1), ("cross_lag", "f → s"): (1, 0), ("cross_lag", "s → f"): (0, 1)}
    table = (fit.effects("simple", 0.999) + fit.effects("region", 0.999)).where(estimand=["own_lag", "cross_lag"])
    assert len(table) == 16
    for row in table.frame.to_dict("records"):
        own = TRUTH[:, *place[row["estimand"], row["term"]]]
        true = own.mean() if row["region"] == "" else own[int(row["region"][1])]
        assert row["lower"] < true < row["upper"], (row["estimand"], row["term"], row["region"])


def test_sampler_mixes(fit):
    d = fit.diagnose()
    assert d.divergences == 0
    assert d.rhat_max < 1.03


def test_innovations_and_unit_effects_have_the_scales_of_the_simulation(fit):
    found = {n: fit.posterior[n].mean(("chain", "draw")).to_numpy() for n in ("innovation_sd", "innovation_correlation")}
    np.testing.assert_allclose(found["innovation_sd"], [0.3, 0.2], rtol=0.1)
    assert abs(float(found["innovation_correlation"]) - 0.3) < 0.15
    np.testing.assert_allclose(fit.posterior["coefficient"].mean(("chain", "draw")).to_numpy().ravel(), 0.1, atol=0.06)


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_estimands_follow_from_the_lags_draw_by_draw(fit):
    table, lag = fit.effects("region"), fit.posterior["lag"].stack(sample=("chain", "draw"))
    for j, region in enumerate(["R0", "R1", "R2"]):
        a = lag.isel(region=j).transpose("sample", "series", "moved_by").to_numpy()
        np.testing.assert_array_equal(draws_of(table, "own_lag", "s", region), a[:, 1, 1])
        np.testing.assert_array_equal(draws_of(table, "cross_lag", "f → s", region), a[:, 1, 0])
        sd = fit.posterior["scale"].to_numpy()
        strong = a[:, 1, 0] * sd[0] / sd[1], a[:, 0, 1] * sd[1] / sd[0]
        np.testing.assert_allclose(draws_of(table, "cross_lag_standardised", "s → f", region), strong[1])
        np.testing.assert_allclose(draws_of(table, "dominance", "f → s", region), abs(strong[0]) - abs(strong[1]))
        root = np.abs(np.linalg.eigvals(a)).max(axis=1)
        np.testing.assert_allclose(draws_of(table, "largest_root", "all", region), root)
        long = draws_of(table, "long_run", "f → s", region)
        np.testing.assert_allclose(long[root < 1], (a[:, 1, 0] / (1 - a[:, 1, 1]))[root < 1])


def test_average_weights_regions_by_rows_used():
    made = fabricated(panel_of(SMALL[(SMALL.region != "R1") | (SMALL.year < 2012)]))
    rows = made.posterior["rows"].to_numpy()
    assert np.ptp(rows) > 0
    by_region = made.effects("region")
    parts = np.array([draws_of(by_region, "cross_lag", "f → s", r) for r in ("R0", "R1", "R2")])
    np.testing.assert_allclose(draws_of(made.effects(), "cross_lag", "f → s"), rows @ parts / rows.sum())
    assert by_region.where(region="R1").frame.n_obs.tolist() == [rows[1]] * 11
    assert made.effects().frame.note.str.contains("mean over regions; weights: rows used").all()


def test_probabilities_of_dominance_add_up(made_up):
    rows = made_up.effects().where(estimand="dominance").frame
    assert rows.term.tolist() == ["f → s", "s → f"]
    assert rows.prob_positive.sum() == pytest.approx(1)


def test_a_pair_that_may_not_be_stationary_has_no_long_run():
    rng = np.random.default_rng(0)
    walk = SMALL.assign(f=rng.normal(size=len(SMALL)).cumsum(), s=rng.normal(size=len(SMALL)).cumsum())
    made = fabricated(panel_of(walk), priors={"own_lag": bayes.Prior("Normal", {"mu": 0.0, "sigma": 5.0})})
    made.posterior["lag"][:] = made.posterior["lag"] + np.eye(2)[:, :, None] * 0.6
    table = made.effects("region")
    for row, values in zip(table.frame.to_dict("records"), table.draws, strict=True):
        if row["estimand"] == "long_run":
            assert np.isnan(row["estimate"])
            assert np.isnan(values).all()
            assert not row["identified"]
            assert "not stationary: no long run (P(stationary) = 0." in row["note"]
    assert np.isfinite(table.where(estimand=["own_lag", "cross_lag", "largest_root"]).frame.estimate).all()


def test_long_run_is_a_median_over_stationary_draws(made_up):
    row = made_up.effects(level=0.9).where(estimand="long_run", term="f → s")
    kept = row.draws[0][np.isfinite(row.draws[0])]
    f = row.frame.iloc[0]
    assert f.identified
    assert f.estimate == np.median(kept)
    assert f.lower == pytest.approx(np.quantile(kept, 0.05))
    assert np.isnan(f.se)
    assert "P(all regions stationary)" in f.note


def test_rows_behind_gaps_are_counted_in_meta_and_notes(made_up):
    lost = made_up.meta["rows_after_gap"]
    assert lost > 0
    assert made_up.meta["rows_used"] + made_up.meta["rows_starting"] + lost == len(SMALL)
    assert made_up.effects("region").frame.note.str.contains(f"{lost} rows not used: no previous period").all()
    assert not fabricated(panel_of(FRAME)).effects().frame.note.str.contains("not used").any()


def test_units_of_columns_pass_through():
    """Cross lags in units of the data; priors are relative, so the same draws come back in other units."""
    first, second = fabricated(panel_of(SMALL)), fabricated(panel_of(SMALL.assign(f=100 * SMALL.f - 7, s=SMALL.s / 5)))
    for key, factor in (
        (("own_lag", "f"), 1),
        (("cross_lag", "f → s"), 1 / 500),
        (("cross_lag", "s → f"), 500),
        (("dominance", "f → s"), 1),
    ):
        np.testing.assert_allclose(draws_of(second.effects(), *key), factor * draws_of(first.effects(), *key), rtol=1e-6)


@pytest.mark.parametrize("options", [{"pooling": "none"}, {"pooling": "complete"}, {"period_effects": "region"}])
def test_other_specifications_have_all_tables(options):
    made = fabricated(panel_of(SMALL), **options)
    table = made.effects("region").where(estimand="cross_lag")
    assert np.isfinite(table.frame.estimate).all()
    same = (np.ptp(table.where(term="f → s").draws, axis=0) == 0).all()
    assert same == (options.get("pooling") == "complete")
    words = {"none": "no", "complete": "complete"}.get(options.get("pooling", ""), "partial")
    assert made.effects().frame.source.str.startswith(f"Bayes, {words} pooling").all()


def test_one_region_needs_no_pooling():
    made = fabricated(panel_of(SMALL, region=None))
    assert "own_lag_sd" not in made.posterior
    np.testing.assert_array_equal(made.effects("simple").frame.estimate, made.effects("region").frame.estimate)


def test_pooling_pulls_regions_together(fit):
    for term in ("f → s", "s → f"):
        pooled, alone = (t.where(estimand="cross_lag", term=term).frame.estimate for t in (fit.effects("region"), fit.unpooled("region")))
        assert np.ptp(pooled) < np.ptp(alone)


# ── files, priors, summary ──────────────────────────────────────────────────────────────────────────────────────────


def test_saved_fit_comes_back_with_its_tables(made_up, tmp_path):
    back = bayes.load_fit(made_up.save(tmp_path / "pair.nc"))
    assert type(back) is type(made_up)
    assert back.model == made_up.model
    for call in (lambda f: f.effects("region"), lambda f: f.unpooled("simple"), lambda f: f.prior_effects()):
        np.testing.assert_array_equal(call(back).draws, call(made_up).draws)
    assert back.effects().meta["assumption"] == ASSUMPTION


def test_specification_survives_json():
    spec = CrossLagged("f", "s", ["x"], priors={"cross_lag_sd": 0.1, "start": bayes.Prior("Normal", {"mu": 0.0, "sigma": 2.0})})
    assert CrossLagged.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_priors_are_listed_in_units_of_the_data(made_up):
    table, scales = made_up.priors().set_index("parameter"), made_up.model.lagged(made_up.panel).scales
    assert table.loc["own_lag[f]", "distribution"] == "Normal(mu=0, sigma=1)"
    assert table.loc["cross_lag_sd[f → s]", "distribution"] == f"HalfNormal(sigma={0.25 * scales[1] / scales[0]:.4g})"
    assert table.loc["unit_effect_correlation", "distribution"] == "LKJ(eta=2)"
    assert {"lag[f, s, R1]", "innovation_sd[s]", "unit_effect_correlation"} <= set(made_up.summary().index)


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("f", "f"), {}, "each named once"),
        (("f", 3), {}, "second must be the name of a column"),
        (("f", "s", "x"), {}, "covariates must be a list"),
        (("f", "s"), {"pooling": "some"}, "'partial', 'complete', 'none'"),
        (("f", "s"), {"period_effects": "unit"}, "'common', 'region'"),
        (("f", "s"), {"correlation_concentration": 0}, "positive number"),
        (("f", "s"), {"priors": {"lag": 1.0}}, "cross_lag_sd"),
        (("f", "s"), {"priors": {"own_lag": bayes.Prior("Normal", {"mu": 0.5, "sigma": 1.0})}}, "mu=0"),
    ],
)
def test_impossible_specifications_are_refused(arguments, options, words):
    with pytest.raises(SpecificationError, match=words):
        CrossLagged(*arguments, **options)
    with pytest.raises(TypeError):
        CrossLagged("f", "s", lags=2)


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ({"s": lambda f: 4.0}, NoVariationError, "'s' has no variation within units and periods"),
        ({"s": lambda f: 1.0 * f.year}, NoVariationError, "'s' (has no variation|is fitted exactly)"),
        ({"s": lambda f: 2 * f.f + 1}, CollinearColumnsError, "'s' is a multiple of 'f'|exact"),
        ({"x": lambda f: f.year}, CollinearColumnsError, r"Covariates \['x'\]"),
        ({"x": lambda f: np.where(f.index == 3, np.nan, f.x)}, MissingValueError, "'x'"),
    ],
)
def test_columns_that_leave_nothing_to_estimate_are_named(columns, error, words):
    with pytest.raises(error, match=words):
        CrossLagged("f", "s", ["x"]).lagged(panel_of(SMALL.assign(**columns)))


def test_panels_without_consecutive_periods_and_unknown_words_are_refused(made_up):
    with pytest.raises(MissingColumnError, match="nowhere"):
        CrossLagged("f", "nowhere").fit(panel_of(SMALL))
    every = SMALL[(SMALL.year + SMALL.unit.str[1:].astype(int)) % 2 == 0]
    with pytest.raises(SpecificationError, match="0 units have two consecutive periods"):
        CrossLagged("f", "s").build(panel_of(every.reset_index(drop=True)))
    with pytest.raises(SpecificationError, match="'simple', 'region'"):
        made_up.effects("all")
    with pytest.raises(SpecificationError, match="level"):
        made_up.effects(level=2)
