"""A continuous exposure in the place of the treatment: known paths, words, units, refusals, the products baseline, the report."""

from __future__ import annotations

import re

import numpy as np
import pytest

import bayes
from bayes import Mediation
from bayes.errors import (
    CollinearColumnsError,
    ConvergenceWarning,
    MechanismWarning,
    MissingValueError,
    NoVariationError,
    SpecificationError,
)
from bayes.mechanism.wording import words_for
from bayes.reporting.figures import Picture
from bayes.reporting.mediation_sections import build_sections
from tests.mechanism.fits import fabricated
from tests.mechanism.panels import mechanism_frame, panel_of

FRAME, TRUTH = mechanism_frame(seed=3, n_units=30, n_periods=11, exposure=True)
NO_TIMING = {"first_treated": None}


@pytest.fixture(scope="module")
def fit():
    """Scales near the true ones: what is tested follows from them exactly."""
    return fabricated(panel_of(FRAME, **NO_TIMING), covariates=("x",), exposure="d")


def column(table, estimand: str, term: str, region: str = "") -> np.ndarray:
    row = table.where(estimand=estimand, term=term, region=region)
    assert len(row) == 1
    return row.draws[0]


def test_known_paths_lie_within_the_draws(fit):
    table = fit.effects("region", level=0.999)
    truth = {("direct", "all"): TRUTH["direct"]}
    truth |= {("driving", f"m{k + 1}"): TRUTH["a"][k] for k in range(2)} | {
        ("mediator_effect", f"m{k + 1}"): TRUTH["b"][k] for k in range(2)
    }
    for (estimand, term), values in truth.items():
        for j, true in enumerate(values):
            row = table.where(estimand=estimand, term=term, region=f"R{j}").frame.iloc[0]
            assert row.lower < true < row.upper, (estimand, term, j)


def test_averages_weight_regions_by_all_their_rows():
    made = fabricated(panel_of(FRAME[(FRAME.region != "R1") | (FRAME.year < 2006)], **NO_TIMING), mediators=("m1",), exposure="d")
    rows = FRAME[(FRAME.region != "R1") | (FRAME.year < 2006)].groupby("region").size().to_numpy()
    parts = np.array([column(made.effects("region"), "direct", "all", r) for r in ("R0", "R1", "R2")])
    np.testing.assert_allclose(column(made.effects(), "direct", "all"), rows @ parts / rows.sum())


def test_an_indicator_of_the_treatment_as_exposure_is_the_treatment():
    """The same model in another parametrisation: least squares on both gives the same coefficients, in all but priors and scales."""
    frame, _ = mechanism_frame(seed=5, n_units=18, n_periods=6, gaps=True)
    frame["d"] = (frame.year >= frame.first_treated).astype(float)
    wide = {n: bayes.Prior("Normal", {"mu": 0.0, "sigma": 1e4}) for n in ("driving", "direct", "mediator_effect")}
    options = {"mediators": ("m1",), "pooling": "none", "unit_effects": "fixed", "errors": "iid", "priors": wide}
    treated = fabricated(panel_of(frame), **options).effects("region")
    exposed = fabricated(panel_of(frame, **NO_TIMING), **options, exposure="d").effects("region")
    for estimand in ("driving", "direct", "mediator_effect"):
        rows = [t.where(estimand=estimand).draws for t in (treated, exposed)]
        np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)


def test_every_note_says_per_unit_of_the_exposure_and_never_treatment(fit):
    table = fit.effects() + fit.effects("region") + fit.mechanisms() + fit.unpooled()
    assert table.frame.note.str.contains("per unit of the exposure d; assumes").all()
    text = " ".join([*table.frame.note, fit.assumption, *fit.priors()["meaning"]])
    assert "treat" not in text
    assert fit.effects().meta["assumption"] == fit.assumption == words_for("d").assumption
    assert "strictly exogenous" in fit.assumption


def test_units_of_the_exposure_pass_through(fit):
    other = fabricated(panel_of(FRAME.assign(d=10 * FRAME.d - 3), **NO_TIMING), covariates=("x",), exposure="d")
    for key, factor in {("driving", "m1"): 0.1, ("mediator_effect", "m1"): 1, ("indirect", "m2"): 0.1, ("total", "all"): 0.1}.items():
        np.testing.assert_allclose(column(other.effects(), *key), factor * column(fit.effects(), *key), rtol=1e-6)
    table, e = fit.priors().set_index("parameter"), fit.model.equations(fit.panel)
    assert table.loc["driving[m1]", "distribution"] == f"Normal(mu=0, sigma={2.5 * e.scales[0] / e.exposure_scale:.4g})"
    assert table.loc["unit_effect_sd[y]", "distribution"] == f"HalfNormal(sigma={e.scales[-1] / e.exposure_scale:.4g})"
    assert table.loc["direct", "meaning"].endswith("exposure → outcome; × sd(outcome)/sd(exposure)")
    assert table.loc["innovation_sd[y]", "meaning"].endswith("× sd(response)")


def test_timing_of_the_panel_is_not_used(fit):
    timed = fabricated(panel_of(FRAME), covariates=("x",), exposure="d")
    np.testing.assert_array_equal(timed.effects("region").draws, fit.effects("region").draws)


def test_region_without_variation_of_the_exposure_is_not_identified():
    frame = FRAME.assign(d=np.where(FRAME.region == "R1", 2.0, FRAME.d))
    rows = fabricated(panel_of(frame, **NO_TIMING), mediators=("m1",), exposure="d").effects("region").where(region="R1").frame
    lost = rows[rows.estimand != "mediator_effect"]
    assert lost.estimate.isna().all()
    assert lost.note.str.contains("the exposure does not vary in this region").all()


def test_saved_fit_comes_back(fit, tmp_path):
    back = bayes.load_fit(fit.save(tmp_path / "exposure.nc"))
    assert back.model.exposure == "d"
    np.testing.assert_array_equal(back.effects("region").draws, fit.effects("region").draws)


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        (lambda f: f.year * 2.0, NoVariationError, "Exposure 'd' has no variation of its own"),
        (lambda f: f.groupby("unit").d.transform("mean"), NoVariationError, "Exposure 'd'"),
        (lambda f: f.d.where(f.index != 4), MissingValueError, "'d'"),
        (lambda f: 1.0 * f.m1, NoVariationError, "Mediator 'm1'"),
    ],
)
def test_useless_exposures_are_named(values, error, words):
    with pytest.raises(error, match=words):
        Mediation("y", ["m1"], exposure="d").equations(panel_of(FRAME.assign(d=values(FRAME)), **NO_TIMING))


def test_impossible_specifications_are_refused():
    for options, words in (
        ({"exposure": "m1"}, "each named once"),
        ({"exposure": 3}, "exposure must be the name of a column"),
        ({"exposure": "d", "anticipation": 1}, "anticipation belongs to a treatment"),
    ):
        with pytest.raises(SpecificationError, match=words):
            Mediation("y", ["m1"], **options)
    with pytest.raises(CollinearColumnsError, match="'m1'"):
        Mediation("y", ["m1"], exposure="d").equations(panel_of(FRAME.assign(y=FRAME.m1 + FRAME.d), **NO_TIMING))


def test_fitting_warns_of_what_it_rests_on_but_not_of_confounders_that_move_the_exposure(fit, monkeypatch):
    monkeypatch.setattr(Mediation, "_sample", lambda *arguments: fit)
    with pytest.warns() as caught:
        fit.model.fit(fit.panel, draws=10, tune=20, chains=2, seed=1)
    found = {w.category: str(w.message) for w in caught}
    assert set(found) == {MechanismWarning, ConvergenceWarning}
    assert found[MechanismWarning] == fit.assumption


def test_products_of_coefficients_have_the_exposure_too():
    """Against least squares with dummies; keys as in the posterior."""
    panel = panel_of(FRAME, **NO_TIMING)
    table = bayes.baselines.mediation(panel, "y", ["m1", "m2"], exposure="d", by_region=True)
    dummies = [(FRAME.unit == u).to_numpy(float) for u in FRAME.unit.unique()] + [
        (FRAME.year == t).to_numpy(float) for t in range(2002, 2012)
    ]
    w = np.column_stack([FRAME.d, FRAME.m1, FRAME.m2, *dummies])
    b = np.linalg.lstsq(w, FRAME.y.to_numpy(), rcond=None)[0][:3]
    a = np.linalg.lstsq(np.column_stack([FRAME.d, *dummies]), FRAME[["m1", "m2"]].to_numpy(), rcond=None)[0][0]
    overall = table.where(region="").frame.set_index(["estimand", "term"]).estimate
    np.testing.assert_allclose(overall["direct", "all"], b[0], rtol=1e-6)
    np.testing.assert_allclose([overall["indirect", "m1"], overall["indirect", "m2"]], a * b[1:], rtol=1e-6)
    assert table.frame.note.str.contains("per unit of the exposure d").all()
    assert not table.frame.note.str.contains("parallel trends").any()
    assert (table.where(region="R0").frame.n_obs == 110).all()


def test_report_speaks_of_the_exposure(fit, monkeypatch, tmp_path):
    monkeypatch.setattr("bayes.reporting.figures.picture", lambda figure, *_: Picture("data:,", "data:,", figure.alt, "caption", 1, 1))
    text = re.sub(
        r"<style.*?</style>|<script.*?</script>", "", bayes.report(fit, tmp_path / "e.html").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert "One unit more of the exposure d changed y by" in text
    assert "Exposure → mediator (a)" in text
    assert "mechanism of the effect of d on y" in text
    body = re.sub(r"random.treatment|<[^>]+>", "", text)
    assert not re.findall(r"[^.]*\btreat[^.]*\.", body.lower())
    assert {"mechanisms", "paths"} <= {s.anchor for s in build_sections(fit)}
