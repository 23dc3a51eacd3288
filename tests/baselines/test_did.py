"""The baselines against figures that other programs printed (tests/reference/did.csv), and what they do with difficult panels."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes
from bayes.baselines import _imputation, did, names
from bayes.errors import (
    BaselineWarning,
    CollinearColumnsError,
    MissingColumnError,
    MissingValueError,
    NoComparisonError,
    SpecificationError,
)
from bayes.estimates import KEYS
from bayes.panel import Panel

REFERENCE = Path(__file__).parents[1] / "reference" / "did.csv"
OUTCOME = {"castle": "log_homicide", "mpdta": "log_employment"}
TOLERANCE = 1e-6
"""Of the reference file's comparison; the libraries stop iterating at 1e-8 or so."""


@pytest.fixture(scope="module")
def panels():
    return {"castle": bayes.datasets.load("castle_doctrine"), "mpdta": bayes.datasets.load("minimum_wage")}


@pytest.fixture(scope="module")
def estimated(panels):
    """Every estimator on both panels, with the leads as R's did has them."""
    return {name: did(panel, OUTCOME[name], base_period="varying").frame for name, panel in panels.items()}


@pytest.fixture(scope="module")
def reference():
    return pd.read_csv(REFERENCE)


def printed(reference, dataset, estimator, version, options=""):
    """Estimate and standard error by parameter."""
    rows = reference[(reference.dataset == dataset) & (reference.estimator == estimator)]
    rows = rows[rows.implementation_version.str.startswith(version) & rows.options.fillna("").str.contains(options, regex=False)]
    assert len(rows), f"no reference rows for {dataset}, {estimator}, {version}, {options}"
    return rows.drop_duplicates("parameter").set_index("parameter")[["estimate", "se"]].rename(index={"att": "simple"})


def ours(frame, source):
    """Our rows under the parameter names of the reference file."""
    rows = frame[frame.source.str.startswith(source)]
    labels = {
        "simple": lambda r: "simple",
        "event": lambda r: f"e={r.event_time:g}",
        "cohort": lambda r: f"group={r.cohort:g}",
        "calendar": lambda r: f"calendar={r.period:g}",
        "cell": lambda r: f"ATT({r.cohort:g},{r.period:g})",
    }
    return rows.set_axis([labels[r.term](r) for r in rows.itertuples()])[["estimate", "se", "lower", "upper"]]


def assert_same(mine, theirs, standard_errors=True, absent=()):
    """Every figure printed is among ours, but for the parameters named ``absent`` (regular expressions), and equal to it."""
    for pattern in absent:
        theirs = theirs[~theirs.index.str.contains(pattern)]
    assert len(theirs)
    assert not set(theirs.index) - set(mine.index)
    both = mine.loc[theirs.index]
    np.testing.assert_allclose(both.estimate, theirs.estimate, atol=TOLERANCE, rtol=0)
    if standard_errors:
        known = theirs.se.notna()
        assert known.any()
        np.testing.assert_allclose(both.se[known], theirs.se[known], atol=TOLERANCE, rtol=0)


# ── against other programs ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dataset", ["castle", "mpdta"])
class TestReference:
    def test_twfe(self, dataset, estimated, reference):
        """R's fixest prints the standard error. The reference file's pyfixest figures count one degree of freedom for all
        period effects, where pyfixest 0.60 and fixest count one for each: the same matrix, rescaled by (N − k)."""
        mine = ours(estimated[dataset], "TWFE")
        assert_same(mine.loc[["simple"]], printed(reference, dataset, "TWFE", "R fixest"))
        rows, periods, events = {"castle": (550, 11, 14), "mpdta": (2500, 5, 7)}[dataset]
        for estimator, coefficients in (("TWFE", 1), ("TWFE event study", events)):
            theirs = printed(reference, dataset, estimator, "pyfixest")
            theirs["se"] *= np.sqrt((rows - coefficients - 1) / (rows - coefficients - periods))
            assert_same(mine, theirs)

    @pytest.mark.parametrize("version", ["diff-diff", "moderndid", "csdid", "differences"])
    def test_callaway_santanna_not_yet_treated(self, dataset, version, estimated, reference):
        theirs = printed(reference, dataset, "CS", version, "control=notyet")
        mine = ours(estimated[dataset], "Callaway–Sant'Anna, not yet treated")
        # Averages of averages are no estimand here, the Wald test no estimate; ATT(g, t < g) are leads, which the event study averages.
        leads = [f"ATT({g},{t})" for g in range(2000, 2011) for t in range(1999, g)]
        assert_same(mine, theirs.drop(leads, errors="ignore"), absent=["overall", "pretrend"])

    def test_sun_abraham(self, dataset, estimated, reference):
        mine = ours(estimated[dataset], "Sun–Abraham")
        assert_same(mine, printed(reference, dataset, "Sun-Abraham", "diff-diff"))
        assert_same(mine, printed(reference, dataset, "Sun-Abraham", "pyfixest"))
        assert_same(mine, printed(reference, dataset, "Sun-Abraham", "R fixest"), absent=["group"])  # diff-diff has no cohort averages

    def test_imputation_and_gardner(self, dataset, estimated, reference):
        assert_same(ours(estimated[dataset], "Imputation"), printed(reference, dataset, "BJS imputation", "diff-diff"))
        assert_same(ours(estimated[dataset], "Two-stage"), printed(reference, dataset, "Gardner 2s", "diff-diff"))

    @pytest.mark.parametrize("version", ["diff-diff", "moderndid"])
    def test_etwfe(self, dataset, version, estimated, reference):
        theirs = printed(reference, dataset, "ETWFE", version)
        assert_same(ours(estimated[dataset], "ETWFE"), theirs, absent=["overall"])

    def test_bacon(self, dataset, estimated, reference):
        frame = estimated[dataset].query("source.str.startswith('Goodman-Bacon')")
        theirs = printed(reference, dataset, "Bacon", "diff-diff").estimate
        value = frame.set_index(["estimand", "term"]).estimate
        for kind in ("treated_vs_never", "earlier_vs_later", "later_vs_earlier"):
            assert value["bacon_effect", kind] == pytest.approx(theirs[f"effect:{kind}"], abs=TOLERANCE)
            assert value["bacon_weight", kind] == pytest.approx(theirs[f"weight:{kind}"], abs=TOLERANCE)
        twfe = (value["bacon_effect"] * value["bacon_weight"]).sum()
        assert twfe == pytest.approx(ours(estimated[dataset], "TWFE").estimate["simple"], abs=1e-10)

    def test_never_treated_controls(self, dataset, panels, reference):
        frame = did(panels[dataset], OUTCOME[dataset], "callaway-santanna", control_group="never", base_period="varying").frame
        leads = [f"ATT({g},{t})" for g in range(2000, 2011) for t in range(1999, g)]
        theirs = printed(reference, dataset, "CS", "moderndid", "control=never").drop(leads, errors="ignore")
        assert_same(ours(frame, "Callaway–Sant'Anna, never treated"), theirs, absent=["overall", "pretrend"])


def test_callaway_santanna_in_r(estimated, reference):
    theirs = printed(reference, "mpdta", "CS", "R did", "control=notyet;dr")
    assert_same(ours(estimated["mpdta"], "Callaway"), theirs, absent=["overall", "pretrend", "ATT"])


def test_callaway_santanna_with_a_covariate(panels, reference):
    frame = did(panels["mpdta"], "log_employment", "callaway-santanna", ["log_population"], "never", base_period="varying").frame
    mine = ours(frame, "Callaway")
    assert_same(mine, printed(reference, "mpdta", "CS+cov", "diff-diff", "never;dr"))
    assert_same(mine, printed(reference, "mpdta", "CS+cov", "moderndid", "never;dr"), absent=["overall"])
    assert "log_population" in frame.note[0]
    assert (frame.term == "calendar").any()


def test_intervals_are_those_of_the_reference(estimated, reference):
    row = reference.query("dataset == 'castle' and estimator == 'ETWFE' and parameter == 'att'").iloc[0]
    mine = ours(estimated["castle"], "ETWFE").loc["simple"]
    assert (mine.lower, mine.upper) == pytest.approx((row.ci_low, row.ci_high), abs=TOLERANCE)


# ── rows of estimates ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_can_be_joined_by_key(estimated):
    frame = estimated["castle"]
    assert not frame.duplicated([*KEYS, "source"]).any()
    assert set(frame.term) == {"simple", "event", "cohort", "calendar", "cell", "treated_vs_never", "earlier_vs_later", "later_vs_earlier"}
    for text in ("term_to", "variant", "region", "unit", "interval", "note"):
        assert frame[text].map(type).eq(str).all()
    assert frame[frame.term == "event"].event_time.notna().all()
    cells = frame[frame.term == "cell"]
    assert (cells.period - cells.cohort).equals(cells.event_time)
    assert frame.n_obs.eq(550).all()
    att = frame[frame.estimand == "att"]
    assert att.interval.isin(["normal, clustered by state", "t, clustered by state"]).all()
    assert att.level.eq(0.95).all()
    assert frame.note.str.len().gt(10).all()


def test_leads_are_relative_to_the_last_untreated_period_unless_asked_otherwise(panels, estimated):
    """With the never treated as controls and one base, Callaway–Sant'Anna's leads are Sun–Abraham's; a varying base is marked."""
    frame = did(panels["castle"], "log_homicide", ("callaway-santanna", "sun-abraham"), control_group="never").frame
    leads = frame[(frame.term == "event") & (frame.event_time < 0)]
    one, other = (leads[leads.source.str.startswith(s)].set_index("event_time") for s in ("Callaway", "Sun"))
    assert list(one.index) == [-9, -8, -7, -6, -5, -4, -3, -2]
    np.testing.assert_allclose(one.estimate, other.estimate, atol=1e-9)
    varying = estimated["castle"].query("source.str.startswith('Callaway') and term == 'event'")
    assert (varying.variant == "varying base").equals(varying.event_time < 0)


def test_imputation_gardner_and_etwfe_share_points(estimated):
    frames = [ours(estimated["mpdta"], s).estimate for s in ("Imputation", "Two-stage", "ETWFE")]
    for parameter in ("simple", "e=0", "e=3", "group=2006"):
        assert np.ptp([f[parameter] for f in frames]) < 1e-8


def test_periods_are_counted_in_grid_steps_and_named_in_calendar_time(panels):
    panel = panels["castle"]
    every_second = panel.frame.assign(year=2 * panel.frame.year, law_year=2 * panel.frame.law_year)
    stretched = Panel.from_frame(every_second, unit="state", time="year", first_treated="law_year")
    chosen = ("twfe", "callaway-santanna", "etwfe")
    one, two = did(panel, "log_homicide", chosen).frame, did(stretched, "log_homicide", chosen).frame
    np.testing.assert_allclose(two.estimate, one.estimate, atol=1e-12)
    assert two.event_time.equals(one.event_time)
    assert two.cohort.equals(2 * one.cohort)
    assert two.period.equals(2 * one.period)


def test_level_widens_the_interval(panels):
    frame = did(panels["mpdta"], "log_employment", ("twfe", "etwfe"), level=0.8).frame
    simple = frame[frame.term == "simple"].set_index("source")
    half = (simple.upper - simple.lower) / 2 / simple.se
    assert half.iloc[0] == pytest.approx(1.28325, abs=1e-4)  # t with 499 degrees of freedom
    assert half.iloc[1] == pytest.approx(1.281552, abs=1e-6)
    assert simple.level.eq(0.8).all()


# ── regions ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def regional(panels):
    return did(panels["castle"], "log_homicide", ("callaway-santanna", "imputation"), by_region=True).frame


def test_region_uses_its_treated_units_and_all_controls(panels, regional):
    frame = panels["castle"].frame
    kept = frame[np.isinf(frame.law_year) | (frame.census_region == "South")]
    by_hand = did(Panel.from_frame(kept, unit="state", time="year", first_treated="law_year"), "log_homicide", "imputation").frame
    row = regional.query("term == 'region' and region == 'South' and source.str.startswith('Imputation')").iloc[0]
    assert row.estimate == pytest.approx(by_hand.estimate[0], abs=1e-12)
    assert row.se == pytest.approx(by_hand.se[0], abs=1e-12)
    assert row.n_obs == len(kept)
    assert f"{550 - len(kept)} rows of units treated in other regions not used" in row.note
    events = regional.query("term == 'region:event' and region == 'South' and source.str.startswith('Imputation')")
    np.testing.assert_allclose(events.estimate, by_hand.query("term == 'event'").estimate, atol=1e-12)


def test_region_without_treated_unit_is_listed_and_empty(regional):
    rows = regional[regional.region == "Northeast"]
    assert len(rows) == 2
    assert rows.estimate.isna().all()
    assert not rows.identified.any()
    assert rows.note.eq("no treated unit in this region").all()


# ── difficult panels ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_failure_does_not_stop_the_others(panels, capfd):
    """Without a never-treated unit Sun–Abraham cannot be computed; the others say which rows they lose."""
    frame = panels["mpdta"].frame
    panel = Panel.from_frame(frame[np.isfinite(frame.first_treated)], unit="county", time="year", first_treated="first_treated")
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        result = did(panel, "log_employment").frame
    assert {w.category for w in given} == {BaselineWarning}
    assert {w.filename for w in given} == {__file__}
    said = [str(w.message) for w in given]
    assert any(text.startswith("Sun–Abraham could not be computed. ValueError: No never-treated units found") for text in said)
    assert any(text.startswith("ETWFE, Wooldridge left out 191 of 955 rows") for text in said)
    failed = result[result.source.str.startswith("Sun")].iloc[0]
    assert np.isnan(failed.estimate)
    assert not failed.identified
    assert failed.note.startswith("not computed: ValueError")
    simple = result[result.term == "simple"].set_index("source").estimate
    assert simple[~simple.index.str.startswith("Sun")].notna().all()
    assert capfd.readouterr().out == ""


def test_rows_left_out_are_counted(panels):
    frame = panels["mpdta"].frame
    first = frame.county == frame.county.iloc[0]
    thinned = frame[~first | (frame.year == 2003)]
    panel = Panel.from_frame(thinned, unit="county", time="year", first_treated="first_treated")
    with pytest.warns(BaselineWarning, match="TWFE left out 1 of 2496 rows"):
        row = did(panel, "log_employment", "twfe").frame.iloc[0]
    assert row.n_obs == 2495
    assert "1 of 2496 rows left out" in row.note
    assert "singleton" in row.note


def test_gaps_are_accepted_and_explained(panels):
    frame = panels["castle"].frame.drop(index=[3, 17, 100, 251])
    panel = Panel.from_frame(frame, unit="state", time="year", first_treated="law_year")
    result = did(panel, "log_homicide").frame
    assert result.n_obs.eq(546).all()
    notes = result.drop_duplicates("source").set_index("source").note
    callaway = notes[notes.index.str.startswith("Callaway")].iloc[0]
    assert "seen in that period and in the base period" in callaway
    assert "no calendar averages" in callaway
    assert not (result.source.str.contains("Callaway") & (result.term == "calendar")).any()
    assert "exact on balanced panels only" in notes[notes.index.str.startswith("Goodman")].iloc[0]
    assert result.query("term == 'simple'").estimate.between(0.06, 0.13).all()


def test_gardner_is_refused_where_its_library_would_fill_the_memory(panels, monkeypatch):
    monkeypatch.setattr(_imputation, "_DENSE_LIMIT", 1e4)
    with pytest.warns(BaselineWarning, match="dense array"):
        row = did(panels["castle"], "log_homicide", "gardner").frame.iloc[0]
    assert np.isnan(row.estimate)
    assert "imputation, which has the same points" in row.note


def test_units_treated_after_the_panel_are_controls(panels):
    frame = panels["castle"].frame
    later = frame.assign(law_year=frame.law_year.where(frame.state != "Vermont", 2015))
    panel = Panel.from_frame(later, unit="state", time="year", first_treated="law_year")
    chosen = ("callaway-santanna", "sun-abraham", "imputation", "bacon")
    one, two = (did(p, "log_homicide", chosen).frame for p in (panel, panels["castle"]))
    np.testing.assert_allclose(one.estimate, two.estimate, atol=1e-12)


# ── options ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_weights_are_ignored_unless_asked_for(panels, estimated):
    """Equal weights leave every point where it is; population weights move it."""
    equal = Panel.from_frame(panels["castle"].frame.assign(w=3.0), unit="state", time="year", first_treated="law_year", weights="w")
    weighted = did(equal, "log_homicide", weights=True, base_period="varying").frame
    np.testing.assert_allclose(weighted.estimate, estimated["castle"].estimate, atol=1e-8)
    mean = panels["castle"].frame.groupby("state").population.transform("mean")
    panel = Panel.from_frame(panels["castle"].frame.assign(w=mean), unit="state", time="year", first_treated="law_year", weights="w")
    moved = did(panel, "log_homicide", weights=True).frame.query("term == 'simple'").estimate.to_numpy()
    assert (np.abs(moved - estimated["castle"].query("term == 'simple'").estimate.to_numpy()) > 1e-4).all()


def test_clusters_change_standard_errors_only(panels, estimated):
    result = did(panels["castle"], "log_homicide", cluster="census_region", base_period="varying").frame
    before = estimated["castle"]
    np.testing.assert_allclose(result.estimate, before.estimate, atol=1e-12)
    simple = result.term == "simple"
    assert (np.abs(result.se - before.se)[simple] > 1e-3).all()
    assert result.interval[simple].str.endswith("clustered by census_region").all()


def test_anticipation_moves_the_reference(panels):
    result = did(panels["castle"], "log_homicide", anticipation=1).frame
    events = result[result.term == "event"]
    assert not (events.event_time == -2).any()
    assert set(events[events.event_time == -1].source.str.split(" ").str[0]) >= {"TWFE", "Callaway–Sant'Anna,", "Imputation,"}
    assert result.query("source.str.startswith('Callaway')").note.str.contains("base period g − 2").all()


def test_covariates_reach_the_estimators(panels, estimated):
    result = did(panels["castle"], "log_homicide", ("twfe", "sun-abraham", "imputation", "gardner"), ["poverty_rate"]).frame
    plain = estimated["castle"][estimated["castle"].term == "simple"].set_index("source").estimate
    for row in result.query("term == 'simple'").itertuples():
        assert abs(row.estimate - plain[row.source]) > 1e-4
    constant = did(panels["mpdta"], "log_employment", ("twfe", "imputation"), ["log_population"]).frame
    assert constant.note[0].endswith("absorbed by their effects: log_population")
    assert constant.estimate[0] == pytest.approx(ours(estimated["mpdta"], "TWFE").estimate["simple"], abs=1e-10)


def test_names_lists_what_did_accepts():
    assert names() == ("twfe", "callaway-santanna", "sun-abraham", "imputation", "gardner", "etwfe", "bacon", "two-group")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"estimators": ["twfe", "2sls"]}, SpecificationError, r"Unknown estimators \['2sls'\]. Allowed: twfe, callaway-santanna"),
        ({"estimators": []}, SpecificationError, "at least one"),
        ({"control_group": "later"}, SpecificationError, "Allowed: not-yet, never"),
        ({"control_group": {"sun-abraham": "not-yet"}}, SpecificationError, "sun-abraham has no control group 'not-yet'"),
        ({"control_group": {"cs": "never"}}, SpecificationError, "unknown estimator 'cs'"),
        ({"anticipation": -1}, SpecificationError, "whole number"),
        ({"anticipation": True}, SpecificationError, "whole number"),
        ({"level": 95}, SpecificationError, "between 0 and 1"),
        ({"base_period": "first"}, SpecificationError, "universal, varying"),
        ({"cluster": "county"}, MissingColumnError, "given as cluster"),
        ({"cluster": "year"}, SpecificationError, "must hold whole units"),
        ({"covariates": ["poverty_rate", "poverty_rate"]}, SpecificationError, "twice"),
        ({"covariates": ["one"]}, CollinearColumnsError, "'one' is 1 in every row"),
        ({"covariates": ["hole"]}, MissingValueError, "'hole' has 1 missing"),
        ({"estimators": ["twfe"], "by_region": True}, SpecificationError, "callaway-santanna, imputation"),
    ],
)
def test_a_call_that_cannot_be_right_is_refused(panels, options, error, message):
    hole = np.r_[np.nan, np.ones(549)]
    panel = panels["castle"].assign(one=1.0, hole=hole)
    with pytest.raises(error, match=message):
        did(panel, "log_homicide", **options)


def test_a_panel_that_lacks_what_an_option_needs_is_refused(panels):
    frame = panels["castle"].frame
    bare = Panel.from_frame(frame, unit="state", time="year", first_treated="law_year")
    for option in ("weights", "by_region"):
        with pytest.raises(SpecificationError, match=f"{option}=True, but the panel has no"):
            did(bare, "log_homicide", **{option: True})
    with pytest.raises(SpecificationError, match="no treatment timing"):
        did(Panel.from_frame(frame, unit="state", time="year"), "log_homicide")
    untreated = Panel.from_frame(frame.assign(law_year=np.inf), unit="state", time="year", first_treated="law_year")
    with pytest.raises(NoComparisonError, match="No unit is treated"):
        did(untreated, "log_homicide")


def test_libraries_are_imported_when_an_estimator_runs():
    code = "import sys, bayes.baselines; print(sorted({'pyfixest', 'diff_diff', 'moderndid'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
