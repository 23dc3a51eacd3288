"""Variants of a fit: each equals the same change made by hand, says what it left out, and bad ones are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes import Panel, StaggeredDiD
from bayes.did import intensity
from bayes.did.mode import draws_at_mode, posterior_modes
from bayes.did.quick_mode import mode_of
from bayes.errors import (
    CollinearColumnsError,
    ConvergenceWarning,
    DoseError,
    MissingColumnError,
    NotPositiveError,
    SpecificationError,
    UnsupportedModelError,
)
from tests.conftest import fabricated
from tests.did.intense import intense_frame, intense_panel
from tests.panels import ROLES

OPTIONS = {"pooling": ("event", "region"), "covariates": ("x",)}
PLAIN = StaggeredDiD("y", leads=False, **OPTIONS)


def panel_of(frame: pd.DataFrame) -> Panel:
    return Panel.from_frame(frame, name="synthetic", **ROLES)


@pytest.fixture(scope="module")
def panel():
    frame = intense_frame()
    later = frame.first_treated.where(frame.first_treated != 2006, 2007)
    return panel_of(frame.assign(later=later, level=np.exp(frame.y), negative=-frame.dose))


@pytest.fixture(scope="module")
def fit(panel):
    """Keeps only the columns of the model, as a sampled fit does."""
    made = fabricated(panel, **OPTIONS)
    return type(made)(made.model, made.model.needed(panel), made.tree)


def by_hand(panel: Panel, spec: StaggeredDiD = PLAIN, estimand: str = "att") -> float:
    """Conditional mean of the effect at the posterior mode, from many draws of a panel and specification made by hand."""
    collapsed = spec.collapse(panel)
    drawn = draws_at_mode(spec, collapsed, mode_of(spec, collapsed), 1000, 5)
    return intensity.estimates_of(drawn, spec, panel, collapsed, "simple", estimand, "panel", 0.95, False, "by hand").frame.iloc[0]


def same(found: pd.Series, expected: pd.Series) -> None:
    """Equal up to the Monte-Carlo error of two sets of 1,000 draws."""
    assert abs(found.estimate - expected.estimate) < 5 * expected.se * np.sqrt(2 / 1000)
    assert abs(found.se / expected.se - 1) < 5 * np.sqrt(1 / 1000)
    assert found.n_obs == expected.n_obs


def row(variants, source: str, estimand: str = "att") -> pd.Series:
    frame = variants.estimates.where(source=source, estimand=estimand).frame
    assert len(frame) == 1, source
    return frame.iloc[0]


# ── each change equals the one made by hand ─────────────────────────────────────────────────────────────────────────


def test_a_trimmed_panel_is_the_panel_trimmed_by_hand(fit, panel):
    found = fit.variants(trim=[0.1, 0.02])
    y = panel.frame.y
    for share, source in ((0.1, "trimmed 10 %"), (0.02, "trimmed 2 %")):
        inside = y.between(y.quantile(share), y.quantile(1 - share))
        frame = panel.frame[inside]
        first = frame.groupby("unit").year.transform("min")
        always = frame.first_treated <= first
        expected = panel_of(frame[~always].replace({"first_treated": {np.inf: np.nan}}))
        same(row(found, source), by_hand(expected))
        changes = found.changes.loc[source]
        assert (changes.rows, changes.units) == (expected.n_rows, expected.n_units)
        assert changes.rows_left_out == panel.n_rows - expected.n_rows == len(found.left_out[source])
        assert set(zip(found.left_out[source].unit, found.left_out[source].year, strict=True)) == set(
            zip(panel.frame.unit, panel.frame.year, strict=True)
        ) - set(zip(expected.frame.unit, expected.frame.year, strict=True))
        if always.any():
            assert "treated in every observed period" in row(found, source).note
        assert f"{(~inside).sum()}: y below" in row(found, source).note


def test_a_winsorised_outcome_is_clipped_at_its_quantiles(fit, panel):
    found = fit.variants(winsorize=0.05)
    y = panel.frame.y.clip(*panel.frame.y.quantile([0.05, 0.95]))
    same(row(found, "winsorised 5 %"), by_hand(panel.assign(y=y)))
    assert found.changes.rows_left_out.tolist() == [0, 0, 0]
    assert not found.left_out


def test_regions_are_left_out_in_turn_or_together(fit, panel):
    found = fit.variants(drop_region="each")
    assert found.changes.index.tolist()[2:] == ["without Centre", "without North", "without South"]
    same(row(found, "without North"), by_hand(panel_of(panel.frame[panel.frame.region != "North"])))
    both = fit.variants(drop_region=["South", ("North", "South")])
    assert both.changes.index.tolist()[2:] == ["without South", "without North and South"]
    same(row(both, "without North and South"), by_hand(panel_of(panel.frame[panel.frame.region == "Centre"])))
    np.testing.assert_array_equal(row(both, "without South").n_obs, row(found, "without South").n_obs)


def test_the_only_treated_region_is_reported_in_turn_and_refused_by_name():
    frame = intense_frame()
    only = frame.assign(first_treated=frame.first_treated.where(frame.region == "North"))
    fit = fabricated(panel_of(only), pooling=("event",))
    found = fit.variants(drop_region="each")
    lost = row(found, "without North")
    assert np.isnan(lost.estimate)
    assert not lost.identified
    assert "All treated units are in North" in lost.note
    assert found.changes.failure["without North"] in lost.note
    assert found.changes.rows["without North"] == 0
    assert np.isfinite(row(found, "without South").estimate)
    with pytest.raises(SpecificationError, match="All treated units are in North"):
        fit.variants(drop_region="North")


def test_other_dates_come_from_a_column_or_a_mapping(fit, panel):
    units = {u: 2007 for u in panel.units[panel.unit_first_treated == 2006]}
    asked = {"one year later": {2006: 2007}, "units": units, "column": "later"}
    found = fit.variants(first_treated=asked, panel=panel)
    expected = by_hand(panel_of(panel.frame.assign(first_treated=panel.frame.later.replace(np.inf, np.nan))))
    for name in asked:
        same(row(found, f"dates: {name}"), expected)
    assert found.estimates.where(estimand="att").frame.n_obs.iloc[2] < found.estimates.frame.n_obs.iloc[0]
    assert fit.variants(first_treated={2006: 2007}).changes.index[-1] == "dates: 2006 → 2007"


def test_another_outcome_is_another_estimand(fit, panel):
    found = fit.variants(outcome=["level", np.sinh], panel=panel)
    level = row(found, "outcome: level", "att of level")
    same(level, by_hand(panel, StaggeredDiD("level", leads=False, **OPTIONS)))
    sinh = row(found, "outcome: sinh", "att of sinh_y")
    same(sinh, by_hand(panel.assign(y=np.sinh(panel.frame.y))))
    joined = found.comparison.joined.set_index("source")
    assert joined.difference[["outcome: level", "outcome: sinh"]].isna().all()
    assert np.isfinite(joined.difference["headline, mode"])
    logged = fabricated(panel.assign(y=panel.frame.level), **OPTIONS).variants(outcome="log")
    same(row(logged, "outcome: log", "att of log_y"), by_hand(panel))


def test_a_dose_stands_at_the_doses_received_and_per_unit(fit, panel):
    found = fit.variants(dose="dose", panel=panel)
    spec = StaggeredDiD("y", leads=False, dose="dose", **OPTIONS)
    same(row(found, "treatment: dose dose"), by_hand(panel, spec, "att_at_dose"))
    same(row(found, "treatment: dose dose", "att_per_dose"), by_hand(panel, spec))
    joined = found.comparison.joined
    assert np.isfinite(joined.difference[(joined.source == "treatment: dose dose") & (joined.estimand == "att")]).all()
    assert joined.difference[joined.estimand == "att_per_dose"].isna().all()


def test_words_of_the_specification_are_varied_one_at_a_time(fit, panel):
    asked = {
        "covariates": [[], ["x"], ["x", "price"]], "pooling": ["none", ("cell", "event")], "errors": "iid", "anticipation": [1],
        "unit_effects": "fixed", "unit_trends": True, "period_effects": "region", "moderators": [["size"]],
    }  # fmt: skip
    found = fit.variants(**asked, panel=panel)
    labels = {
        "covariates: none": {"covariates": ()}, "covariates: x": {}, "covariates: x, price": {"covariates": ("x", "price")},
        "moderators: size": {"moderators": ("size",)}, "pooling: none": {"pooling": "none"},
        "pooling: cell, event": {"pooling": ("cell", "event")}, "errors: iid": {"errors": "iid"},
        "unit effects: fixed": {"unit_effects": "fixed"}, "unit trends: yes": {"unit_trends": True},
        "period effects: region": {"period_effects": "region"}, "anticipation: 1": {"anticipation": 1},
    }  # fmt: skip
    assert found.changes.index.tolist()[2:] == list(labels)
    for source in ("covariates: none", "covariates: x", "pooling: none", "anticipation: 1", "moderators: size"):
        same(row(found, source), by_hand(panel, StaggeredDiD("y", leads=False, **{**OPTIONS, **labels[source]})))


# ── the result ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_headline_at_its_mode_is_near_its_full_posterior(tiny_fit):
    found = tiny_fit.variants(errors="iid", estimand="att_population", seed=3)
    full, mode = found.estimates.frame.iloc[0], found.estimates.frame.iloc[1]
    assert (full.source, mode.source) == ("headline, full posterior", "headline, mode")
    assert full.estimate == tiny_fit.att(estimand="att_population").frame.estimate[0]
    assert abs(mode.estimate - full.estimate) < 0.3 * full.se
    assert 0.6 < mode.se / full.se < 1.2
    assert found.comparison.reference == full.source
    assert list(found.comparison.table("source").columns[1:]) == found.changes.index.tolist()


def test_tables_by_region_and_seeds(fit):
    first, second, third = (fit.variants(trim=0.05, by="region", draws=50, seed=s) for s in (1, 1, 2))
    assert first.estimates.frame.region.tolist() == ["Centre", "North", "South"] * 3
    assert first.estimates.draws.shape == (9, 50)
    np.testing.assert_array_equal(first.estimates.draws, second.estimates.draws)
    assert not np.array_equal(first.estimates.draws[6:], third.estimates.draws[6:])
    assert first.meta["seed"] == 1
    event = fit.variants(trim=0.05, by="event", draws=50).estimates.frame
    assert (event.event_time >= 0).all()
    assert "headline, mode" in repr(first)


def test_combinations_take_one_alternative_of_each_dimension(fit, panel):
    found = fit.variants(
        trim=0.05, winsorize=0.05, errors=["ar1", "iid"], covariates=[[], ["x"]], combine=True, draws=20, panel=panel
    )  # fmt: skip
    assert len(found.changes) == 2 + 3 * 2 * 2 - 1
    assert "trimmed 5 % · covariates: none · errors: iid" in found.changes.index
    assert not found.changes.index.str.contains("trimmed.*winsorised").any()
    choices = found.estimates.meta["choices"]
    assert set(choices) == {"sample", "covariates", "errors"}
    both = found.changes.loc["winsorised 5 % · errors: iid"]
    assert (both["sample"], both["covariates"], both["errors"]) == ("winsorised 5 %", "x", "iid")
    with pytest.raises(SpecificationError, match="nothing to combine"):
        fit.variants(errors="ar1", combine=True)


def test_the_mode_without_compiling_is_the_compiled_one(panel):
    for spec in (PLAIN, StaggeredDiD("y", leads=False), StaggeredDiD("y", leads=False, pooling="none", unit_trends=True)):
        collapsed = spec.collapse(panel)
        quick, (_, compiled) = mode_of(spec, collapsed), next(posterior_modes(spec, [collapsed]))
        assert quick.converged
        for name, value in compiled.values.items():
            close = abs(quick.values[name] - value) if name == "autocorrelation" else abs(np.log(quick.values[name] / value))
            assert close < 2e-2, name  # a flat direction: the density there differs by less than 1e-4
    with pytest.raises(UnsupportedModelError, match="student-t"):
        mode_of(StaggeredDiD("y", leads=False, likelihood="student-t"), collapsed)


def test_a_mode_that_is_not_found_is_named(fit, monkeypatch):
    from dataclasses import replace

    from bayes.did import variants

    own = variants.mode_of
    monkeypatch.setattr(variants, "mode_of", lambda s, c: replace(own(s, c), converged=False) if s.errors == "iid" else own(s, c))
    with pytest.warns(ConvergenceWarning, match="1 variants did not find.*errors: iid"):
        found = fit.variants(errors="iid", draws=10)
    assert found.changes.converged.tolist()[1:] == [True, False]


@pytest.mark.slow
def test_full_fits_of_variants(tiny_panel):
    from tests.conftest import sampled

    fit = sampled(tiny_panel, draws=150, tune=150, pooling=("event",), covariates=("x",))
    with pytest.warns(ConvergenceWarning):
        found = fit.variants(errors="iid", likelihood="student-t", method="nuts", draws=100)
    assert found.changes.index.tolist() == ["headline", "errors: iid", "likelihood: student-t"]
    frame = found.estimates.frame
    assert np.allclose(frame.estimate, frame.estimate[0], atol=3 * frame.se[0])


# ── bad input ───────────────────────────────────────────────────────────────────────────────────────────────────────


BAD = {
    "nothing": ({}, "Nothing to vary"),
    "trim too much": ({"trim": 0.5}, "trim is the share"),
    "trim nothing": ({"trim": 0.0}, "trim is the share"),
    "trim text": ({"trim": "10 %"}, "trim must be a finite number"),
    "winsorize too much": ({"winsorize": [0.1, 0.7]}, "winsorize is the share"),
    "unknown region": ({"drop_region": "East"}, r"Unknown region \['East'\].*Centre, North, South"),
    "unknown dates": ({"first_treated": {1999: 2000}}, "neither all first treated periods nor all units"),
    "dates number": ({"first_treated": 2006}, "first_treated must be a column"),
    "outcome number": ({"outcome": 3}, "outcome must be"),
    "covariates text": ({"covariates": "x"}, "list of lists"),
    "covariates mixed": ({"covariates": [["x"], "x"]}, "must be a list of columns"),
    "pooling word": ({"pooling": ["some"]}, "pooling='some'"),
    "errors word": ({"errors": "arma"}, "errors='arma'"),
    "method": ({"errors": "iid", "method": "laplace"}, "method='laplace'"),
    "draws": ({"errors": "iid", "draws": 1}, "draws must be"),
    "twice": ({"errors": ["iid", "iid"]}, "asked for twice"),
    "estimand": ({"errors": "iid", "estimand": "effect"}, "Unknown estimand"),
    "panel": ({"errors": "iid", "panel": 3}, "bayes.Panel"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_words_are_refused(name, fit):
    options, words = BAD[name]
    with pytest.raises(SpecificationError, match=words):
        fit.variants(**options)


def test_bad_columns_are_refused_with_their_place(fit, panel):
    row = panel.frame[panel.frame.y <= 0].iloc[0]
    with pytest.raises(NotPositiveError, match=rf"'y'.*unit {row.unit}, year {row.year}"):
        fit.variants(outcome="log")
    with pytest.raises(MissingColumnError, match="'later'"):
        fit.variants(first_treated="later")
    with pytest.raises(MissingColumnError, match="'price'"):
        fit.variants(covariates=[["price"]])
    with pytest.raises(DoseError, match="negative"):
        fit.variants(dose="negative", panel=panel)
    with pytest.raises(CollinearColumnsError, match="population"):
        fit.variants(covariates=[["population"]])
    with pytest.raises(SpecificationError, match="192 rows that were fitted"):
        fit.variants(covariates=[["price"]], panel=intense_panel(gaps=True))
    with pytest.raises(SpecificationError, match="rows that were fitted"):
        fit.variants(covariates=[["price"]], panel=panel.assign(y=panel.frame.y + 1))
