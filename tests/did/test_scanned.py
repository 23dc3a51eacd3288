"""A fit to rows on disk has the numbers of the fit to the same rows in memory; what needs rows says so."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes
from bayes import external_sort, rows_on_disk
from bayes.did import groups
from bayes.did.likelihood import component_names, make_log_likelihood
from bayes.did.model import StaggeredDiD
from bayes.did.scanned import treatment_t_of_sums, with_sums
from bayes.errors import (
    AffectedCovariateWarning,
    ConvergenceWarning,
    MissingColumnError,
    MissingValueError,
    NotNumericError,
    RowsOnDiskError,
    SetAsideWarning,
    SpecificationError,
    TooLargeError,
)
from bayes.inference.files import data_hash, load_fit
from bayes.mechanism.covariate_check import treatment_t
from bayes.panel import Panel
from tests.conftest import fabricated
from tests.panels import simulated_frame

ROLES = {"unit": "unit", "time": "year", "region": "region", "first_treated": "first_treated"}
MODEL = StaggeredDiD("y", covariates=["x"])
EVERY = ("simple", "event", "cohort", "calendar", "region", "region:event", "cell")


def written(frame: pd.DataFrame, folder: Path, shuffled: bool = False) -> Path:
    file = folder / "panel.parquet"
    (frame.sample(frac=1, random_state=3) if shuffled else frame).to_parquet(file, index=False)
    return file


def both(frame: pd.DataFrame, folder: Path, shuffled: bool = False, **roles):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SetAsideWarning)
        return Panel.scan(written(frame, folder, shuffled), **{**ROLES, **roles}), Panel.from_frame(frame, **{**ROLES, **roles})


@pytest.fixture
def small_pieces(monkeypatch):
    """Few rows in a batch, a range and a block, so that a small panel has many of each."""
    monkeypatch.setattr(rows_on_disk, "BATCH_ROWS", 17)
    monkeypatch.setattr(external_sort, "RANGE_ROWS", 40)
    monkeypatch.setattr(groups, "BLOCK_ROWS", 50)


def identical(ours, theirs) -> None:
    """Bit by bit: sums must round alike, or a sampler's draws would part after some hundred steps."""
    assert (ours.regions, ours.period_start, ours.step) == (theirs.regions, theirs.period_start, theirs.step)
    for part in (lambda state: state.products, lambda state: state.group_products, lambda state: state.design.cells):
        for name, value in vars(part(ours)).items():
            np.testing.assert_array_equal(value, getattr(part(theirs), name), err_msg=name)
    np.testing.assert_array_equal(ours.scales, theirs.scales)


@pytest.mark.parametrize("gaps", [False, True], ids=["balanced", "gaps"])
@pytest.mark.parametrize("shuffled", [False, True], ids=["sorted", "shuffled"])
@pytest.mark.parametrize("roles", [{"weights": "population"}, {"first_treated": None, "treated": "treated"}, {"region": None}], ids=str)
def test_sums_are_those_of_the_rows_in_memory(tmp_path, small_pieces, gaps, shuffled, roles):
    frame = simulated_frame(gaps=gaps)
    always = frame.unit.isin(["u000", "u009", "u023"])
    frame.loc[always, "first_treated"], frame.loc[always, "treated"] = 1990, 1
    disk, memory = both(frame, tmp_path, shuffled, **roles)
    identical(MODEL.collapse(disk), MODEL.collapse(memory))


def test_sums_do_not_depend_on_blocks(tmp_path, monkeypatch):
    """Other cuts, other rounding, the same numbers to 1e-9; and the likelihood that follows from them."""
    frame = simulated_frame(gaps=True, n_units=120)
    disk, _ = both(frame, tmp_path)
    found = []
    for size in (30, 10**6):
        monkeypatch.setattr(groups, "BLOCK_ROWS", size)
        state = MODEL.collapse(disk)
        density = make_log_likelihood(state.sampled_products, state.basis)
        components = np.full(len(component_names(state.basis)), 0.3)
        found.append([float(density(s, rho, np.array([b]), components)) for s, rho, b in ((0.5, 0.4, 0.3), (1.0, 0.95, 0.0))])
    np.testing.assert_allclose(found[1:], found[:1], rtol=1e-9)


@pytest.mark.parametrize("never", [np.nan, 0.0, np.inf])
def test_every_spelling_of_never_treated_and_a_coarser_grid(tmp_path, never):
    frame = simulated_frame().fillna({"first_treated": never})
    frame = frame.assign(year=2000 + 2 * (frame.year - 2001))
    real = np.isfinite(frame.first_treated) & (frame.first_treated > 0)
    frame.loc[real, "first_treated"] = 2000 + 2 * (frame.first_treated[real] - 2001) - 1
    disk, memory = both(frame, tmp_path)
    assert disk.step == 2
    identical(MODEL.collapse(disk), MODEL.collapse(memory))


def test_values_that_are_missing_are_named(tmp_path, small_pieces):
    frame = simulated_frame()
    row = (frame.unit == "u003") & (frame.year == 2004)
    for shuffled in (False, True):
        for column, value in (("y", np.nan), ("x", np.inf)):
            disk, _ = both(frame.assign(**{column: frame[column].where(~row, value)}), tmp_path, shuffled)
            with pytest.raises(MissingValueError, match=f"'{column}'.*unit u003, year 2004"):
                MODEL.collapse(disk)
    broken = frame.assign(y=frame.y.where(frame.unit != "u003", np.nan))
    broken.loc[broken.unit == "u003", "first_treated"] = 1990
    disk, memory = both(broken, tmp_path)
    identical(MODEL.collapse(disk), MODEL.collapse(memory))
    disk, _ = both(frame.assign(word="text"), tmp_path)
    for outcome, error in (("z", MissingColumnError), ("word", NotNumericError)):
        with pytest.raises(error, match=f"'{outcome}'"):
            StaggeredDiD(outcome).collapse(disk)
    with pytest.raises(SpecificationError, match=r"Panel\.scan"):
        MODEL.fit(Panel.scan(written(frame, tmp_path), "unit", "year", "region"))


def test_values_too_large_for_their_squares_are_named_but_not_those_of_units_set_aside(tmp_path):
    frame = simulated_frame()
    frame.loc[(frame.unit == "u003") & (frame.year == 2004), "y"] = 1e200
    disk = Panel.scan(written(frame, tmp_path), **ROLES)
    with pytest.raises(TooLargeError, match=r"'y'.*unit u003, year 2004"):
        MODEL.collapse(disk)
    frame.loc[frame.unit == "u003", "first_treated"] = 1990
    with pytest.warns(SetAsideWarning, match="u003"):
        disk = Panel.scan(written(frame, tmp_path), **ROLES)
    MODEL.collapse(disk)


def test_draws_of_a_fit_are_the_same(tmp_path):
    frame = simulated_frame(gaps=True)
    disk, memory = both(frame, tmp_path, shuffled=True, weights="population")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours, theirs = (MODEL.fit(panel, seed=3, draws=25, tune=25, chains=1) for panel in (disk, memory))
    for by in EVERY:
        a, b = ours.att(by), theirs.att(by)
        np.testing.assert_array_equal(a.draws, b.draws)
        pd.testing.assert_frame_equal(a.frame, b.frame)
    pd.testing.assert_frame_equal(ours.summary(), theirs.summary())


@pytest.fixture
def pair(tmp_path):
    """Fits with made-up scales and exact draws of the rest, to the same rows on disk and in memory."""
    disk, memory = both(simulated_frame(gaps=True), tmp_path)
    return tuple(fabricated(panel, covariates=("x",)) for panel in (disk, memory))


def test_what_rests_on_sums_works_without_rows(pair, tmp_path):
    for what in (
        lambda f: f.unpooled("region").frame,
        lambda f: f.prior_att("event").frame,
        lambda f: f.att("region", estimand="att_population", extrapolate=True).frame,
        lambda f: f.att("cohort", estimand="att_new_unit").frame,
        lambda f: f.sensitivity("simple").estimates.frame,
        lambda f: f.priors(),
        lambda f: f.heterogeneity.region_contrasts().frame,
        lambda f: f.heterogeneity.variance_components().frame,
    ):
        pd.testing.assert_frame_equal(*map(what, pair))
    assert repr(pair[0].parallel_trends()) == repr(pair[1].parallel_trends())
    bayes.report([f.att("simple") for f in pair[:1]], tmp_path / "report.html")


def test_what_needs_rows_names_the_remedy(pair, tmp_path):
    fit = pair[0]
    for call in (
        lambda: fit.placebo(n=3),
        lambda: fit.variants(trim=0.1),
        lambda: fit.variants(pooling="none"),
        lambda: fit.predictive_check(),
        lambda: fit.loo(),
        lambda: fit.cluster_robust(),
        lambda: fit.prior_sensitivity(),
        lambda: fit.heterogeneity.unit_effects(),
        lambda: bayes.report(fit, tmp_path / "report.html"),
        lambda: bayes.baselines.did(fit.panel, "y"),
        lambda: bayes.StochasticFrontier("y", ["x"]).fit(fit.panel),
        lambda: StaggeredDiD("y", dose="x").fit(fit.panel),
        lambda: StaggeredDiD("y", moderators=["x"]).fit(fit.panel),
        lambda: StaggeredDiD("y", likelihood="student-t", leads=False).fit(fit.panel),
        lambda: MODEL.build(fit.panel, form="rows"),
    ):
        with pytest.raises(RowsOnDiskError, match=r"panel\.collect"):
            call()


def test_a_fit_is_saved_with_its_sums(pair, tmp_path):
    fit, memory = pair
    back = load_fit(fit.save(tmp_path / "fit.nc"))
    assert repr(back.panel) == repr(fit.panel).replace(", 1 file on disk", "")
    identical(back._collapsed, memory._collapsed)
    for what in (lambda f: f.att("region"), lambda f: f.unpooled(), lambda f: f.sensitivity("simple").estimates):
        pd.testing.assert_frame_equal(what(back).frame, what(fit).frame)
    assert back.panel.timing().equals(fit.panel.timing())
    assert data_hash(back.panel) == data_hash(fit.panel)
    with pytest.raises(RowsOnDiskError, match=r"Panel\.scan"):
        back.panel.collect(["y"])
    with pytest.raises(RowsOnDiskError, match=r"Panel\.scan"):
        StaggeredDiD("x").collapse(back.panel)


def test_the_hash_follows_the_data(tmp_path):
    frame = simulated_frame()
    first = data_hash(with_sums(MODEL, both(frame, tmp_path)[0]))
    assert data_hash(with_sums(MODEL, both(frame, tmp_path, shuffled=True)[0])) == first
    assert data_hash(with_sums(MODEL, both(frame.assign(y=frame.y + (frame.index == 77)), tmp_path)[0])) != first
    with pytest.raises(RowsOnDiskError, match="only a fit"):
        data_hash(both(frame, tmp_path)[0])


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("anticipation", [0, 1])
def test_covariates_that_move_with_the_treatment(tmp_path, gaps, anticipation):
    frame = simulated_frame(gaps=gaps)
    frame = frame.assign(moved=frame.x + 2 * frame.treated, of_time=frame.year**2.0, exposed=frame.x * (1 - frame.treated))
    columns = ["x", "moved", "of_time", "exposed"]
    disk, memory = both(frame, tmp_path)
    model = StaggeredDiD("y", covariates=columns)
    sums = with_sums(model, disk).sums
    ours = [treatment_t_of_sums(sums.groups, j, anticipation) for j in range(4)]
    np.testing.assert_allclose(ours, [treatment_t(memory, c, anticipation) for c in columns], rtol=1e-9)
    assert np.isnan(ours[2])
    assert sums.reaches[:, :4].all(axis=0).tolist() == [True, True, True, False]
    model = StaggeredDiD("y", covariates=columns[:2], anticipation=anticipation)
    said = []
    for panel in (disk, memory):
        with pytest.warns(AffectedCovariateWarning) as caught:
            model._checked(panel, None)
        said.append([str(w.message) for w in caught])
    assert said[0] == said[1]
    assert "'moved'" in said[0][0]
