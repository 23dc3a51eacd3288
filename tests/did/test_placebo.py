"""Placebo tests: refits against panels rebuilt by hand and dense algebra, permuted and earlier dates, tables, bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayes import Panel, StaggeredDiD
from bayes.did import refits
from bayes.did.assignments import fillable_cells, lottery, own_cells
from bayes.did.cross_products import within_products
from bayes.did.effects import Term
from bayes.did.mode import Mode, _layout
from bayes.did.moments import Averages
from bayes.did.placebo import earlier_dates, permuted_cohorts
from bayes.did.placebo_result import Options
from bayes.did.quick_mode import log_posteriors, mode_of
from bayes.did.reassignment import reassign
from bayes.did.refits import refit, refit_all, refit_at, refitted_panel, start_of
from bayes.errors import ConvergenceWarning, SpecificationError, UnsupportedModelError
from bayes.inference.sampling import prepare_jax
from tests.conftest import fabricated
from tests.did.dense import DensePanel, Point, panel_of
from tests.panels import ROLES, simulated_frame

CASES = {
    "balanced": ({}, False),
    "gaps, covariate": ({"covariates": ("x",)}, True),
    "no pooling": ({"pooling": "none", "covariates": ("x",)}, True),
    "trends, regional periods": ({"unit_trends": True, "period_effects": "region"}, True),
    "fixed effects, iid": ({"errors": "iid", "unit_effects": "fixed", "pooling": ("event", "region")}, False),
    "anticipation": ({"anticipation": 1, "path_order": 2, "pooling": ("event", "cohort")}, True),
}
SCALES = {"innovation_sd": 0.8, "autocorrelation": 0.45, "unit_effect_sd": 0.3, "unit_trend_sd": 0.05, "event_sd": 0.2, "region_sd": 0.3,
          "cohort_sd": 0.25, "region_event_sd": 0.15, "cell_sd": 0.1}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def double_precision():
    prepare_jax()


@pytest.fixture(scope="module", autouse=True)
def one_compilation_a_layout():
    """Compiling takes most of the time here: tests whose panels share all that a compiled density takes as given share the density."""
    found, make = {}, refits.compiled_density

    def once(spec, template, rows):
        given = (spec.components, spec.path_order, repr(spec.resolved_priors()), rows.pooled, rows.kept.size, rows.cells.size)
        key = (*given, _layout(spec.parameters(template), template))
        return found.setdefault(key, make(spec, template, rows))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refits, "compiled_density", once)
        yield


@pytest.fixture(scope="module")
def panel(tiny_panel):
    return tiny_panel


def prepared(spec: StaggeredDiD, panel: Panel, within: str = "all"):
    """The panel ready for refits, an assignment that differs from its own, and the average over all treated rows."""
    block = spec.block(panel)
    draw, _ = lottery(block, within, "all", panel.regions.tolist())
    cells = fillable_cells(block, draw, within, spec.anticipation)
    refitted = refitted_panel(spec, block, cells, draw.cohorts, panel.n_periods, panel.regions.tolist())
    fake = draw.draw(np.random.default_rng(3), 1)[0]
    return refitted, fake, Averages([Term({}, cells.event >= 0)], "panel", True)


def rebuilt(panel: Panel, cohorts: np.ndarray, fake: np.ndarray) -> Panel:
    """The same rows with other first treated periods, through the front door."""
    first = np.where(fake < cohorts.size, panel.periods[0] + panel.step * np.r_[cohorts, 0][fake], np.nan)
    return panel_of(panel.frame.assign(first_treated=first[panel.unit_codes]))


def mode_at_fixed_scales(spec: StaggeredDiD, collapsed) -> Mode:
    return Mode({n: SCALES[n] * (1 if n == "autocorrelation" else collapsed.scales[-1]) for n in spec.parameters(collapsed)}, True, 0.0)


def slopes(spec: StaggeredDiD, collapsed, z: np.ndarray) -> np.ndarray:
    """Gradient of the log posterior by differences of the density in numpy."""
    up, down = np.split(log_posteriors(spec, collapsed, z + 1e-4 * np.vstack([np.eye(z.size), -np.eye(z.size)])), 2)
    return (up - down) / 2e-4


@pytest.mark.parametrize("case", CASES)
def test_a_refit_has_the_density_and_effects_of_a_panel_rebuilt_by_hand(panel, gappy_panel, case):
    """Other cohorts by counts and sums over prepared rows: the same log density and the same conditional moments to 1e-8."""
    options, gaps = CASES[case]
    spec = StaggeredDiD("y", leads=False, **options)
    source = gappy_panel if gaps else panel
    refitted, fake, averages = prepared(spec, source)
    other = rebuilt(source, refitted.rows.cohorts[:-1], fake)
    collapsed = spec.collapse(other)
    assert spec.parameters(collapsed) == spec.parameters(refitted.template)
    assigned = reassign(refitted.rows, fake)
    z = np.random.default_rng(1).normal(-0.5, 0.3, len(refitted.coordinates))
    ours, gradient = refitted.density(z, *refitted.arguments(assigned))
    assert float(ours) == pytest.approx(log_posteriors(spec, collapsed, z[None])[0], rel=1e-8, abs=1e-8)
    assert np.asarray(gradient) == pytest.approx(slopes(spec, collapsed, z), rel=1e-4, abs=1e-4)
    mode = mode_at_fixed_scales(spec, collapsed)
    own = refitted_panel(spec, spec.block(other), own_cells(spec.block(other), spec.anticipation), refitted.rows.cohorts[:-1],
                         other.n_periods, other.regions.tolist())  # fmt: skip
    by_hand = refit_at(own, reassign(own.rows, fake), mode, Averages([Term({}, own.rows.cells.event >= 0)], "panel", True))
    found = refit_at(refitted, assigned, mode, averages)
    assert found.estimate == pytest.approx(by_hand.estimate, abs=1e-8 * refitted.scale)
    assert found.sd == pytest.approx(by_hand.sd, rel=1e-8)
    assert found.rows == by_hand.rows == spec.collapse(other).design.cells.rows[spec.collapse(other).design.cells.event >= 0].sum()


@pytest.mark.parametrize("weights", ["rows", "panel"])
@pytest.mark.parametrize("own", [True, False])
def test_moments_are_those_of_dense_algebra(gappy_panel, weights, own):
    """Mean and sd of the average treated row, from the posterior of every coefficient and unit effect in one dense solve."""
    spec, point = StaggeredDiD("y", ("x",), leads=False, unit_trends=True), Point()
    refitted, fake, averages = prepared(spec, gappy_panel)
    other = rebuilt(gappy_panel, refitted.rows.cohorts[:-1], fake)
    dense = DensePanel(spec, other)
    mean, covariance = dense.posterior(point)
    row_weight = other.frame["population"].to_numpy() if weights == "panel" else np.ones(other.n_rows)
    treated = (dense.rows.e >= 0).to_numpy() & (dense.cells[:, dense.collapsed.identified_cells].any(axis=1))
    share = np.where(treated, row_weight, 0.0) / row_weight[treated].sum()
    functional = np.r_[np.zeros(dense.flat.shape[1]), dense.cells.T @ share, (dense.unit_dummies.T @ share) * own]
    scale = dense.collapsed.scales[-1]
    values = {n: getattr(point, n) * (1 if n == "autocorrelation" else scale) for n in ("innovation_sd", "autocorrelation")}
    values |= {n: v * scale for n, v in zip(dense.unit_names, point.unit_sds(dense.unit_names), strict=True)}
    values |= {f"{n}_sd": v * scale for n, v in zip(dense.names, point.component_sds(dense.names), strict=True)}
    found = refit_at(refitted, reassign(refitted.rows, fake), Mode(values, True, 0.0), replace(averages, weights=weights, own=own))
    assert found.estimate[0] == pytest.approx(functional @ mean * scale, abs=1e-8)
    assert found.sd[0] == pytest.approx(np.sqrt(functional @ covariance @ functional) * scale, rel=1e-8)


def test_a_refit_ends_at_the_mode_of_the_rebuilt_panel(gappy_panel):
    spec = StaggeredDiD("y", ("x",), leads=False)
    refitted, fake, averages = prepared(spec, gappy_panel)
    own = np.searchsorted(refitted.rows.cohorts, spec.block(gappy_panel).cohorts)
    found = refit(refitted, fake, averages, start_of(refitted, own))
    other = rebuilt(gappy_panel, refitted.rows.cohorts[:-1], fake)
    mode = mode_of(spec, spec.collapse(other))
    expected = refit_at(refitted, reassign(refitted.rows, fake), mode, averages)
    assert found.mode.converged
    assert found.mode.values == pytest.approx(mode.values, rel=2e-3)
    assert found.estimate[0] == pytest.approx(expected.estimate[0], abs=1e-4 * expected.sd[0])
    assert found.sd == pytest.approx(expected.sd, rel=1e-3)


def test_cells_that_nobody_fills_change_nothing(panel):
    """Padding with cells of an untreated region, other event times included, meets only its prior."""
    spec = StaggeredDiD("y", leads=False)
    frame = panel.frame.assign(first_treated=panel.frame.first_treated.where(panel.frame.region != "North"))
    part = panel_of(frame)
    block = spec.block(part)
    draw, _ = lottery(block, "all", "all", part.regions.tolist())
    wide, narrow = fillable_cells(block, draw, "all", 0), own_cells(block, 0)
    assert wide.size > narrow.size
    own = np.searchsorted(np.r_[draw.cohorts, np.inf], block.cohorts)
    found = []
    z = np.full(8, -0.7)
    for cells in (wide, narrow):
        refitted = refitted_panel(spec, block, cells, draw.cohorts, part.n_periods, part.regions.tolist())
        assigned = reassign(refitted.rows, own)
        averages = Averages([Term({}, cells.event >= 0), Term({}, (cells.event == 1) & (cells.region == 2))])
        moments = refit_at(refitted, assigned, mode_at_fixed_scales(spec, refitted.template), averages)
        found.append((moments.estimate, moments.sd))
        if cells is wide:
            value, gradient = refitted.density(z, *refitted.arguments(assigned))
    for a, b in zip(*found, strict=True):
        assert np.asarray(a) == pytest.approx(np.asarray(b), rel=1e-8, abs=1e-8)
    assert float(value) == pytest.approx(log_posteriors(spec, refitted.template, z[None])[0], rel=1e-8)
    assert np.asarray(gradient) == pytest.approx(slopes(spec, refitted.template, z), rel=1e-4, abs=1e-4)


def test_pseudo_units_stand_for_all_units():
    """Many units of one pattern are compressed; what the likelihood needs of them stays."""
    spec, panel = StaggeredDiD("y", leads=False), panel_of(simulated_frame(n_units=90))
    refitted, fake, _ = prepared(spec, panel)
    assigned = reassign(refitted.rows, fake)
    assert refitted.rows.n_pseudo < panel.n_units
    other = spec.collapse(rebuilt(panel, refitted.rows.cohorts[:-1], fake))
    assert within_products(assigned.products) == pytest.approx(within_products(other.sampled_products), abs=1e-8)
    for s in range(3):
        mine, size = assigned.products.unit[assigned.products.pattern == s], assigned.products.pattern_units[s]
        theirs = other.sampled_products.unit[other.sampled_products.pattern == np.flatnonzero(other.products.pattern_units == size)[0]]
        if (other.products.pattern_units == size).sum() == 1:
            assert np.einsum("nfkq,ngkr->fgkqr", mine, mine) == pytest.approx(np.einsum("nfkq,ngkr->fgkqr", theirs, theirs), abs=1e-8)


# ── who draws which date ────────────────────────────────────────────────────────────────────────────────────────────


def test_never_treated_units_alone_can_draw(panel):
    """The treated lie in one region, fake dates in several: the refits have a scale that the actual fit has not."""
    frame = panel.frame
    few = panel_of(frame.assign(first_treated=frame.first_treated.where(frame.unit.isin(["u000", "u003"]))))
    test = permuted_cohorts(StaggeredDiD("y", pooling=("region",)), few, 4, among="never-treated", seed=2)
    treated = np.isfinite(few.unit_first_treated)
    assert test.dates[treated].isna().all(axis=None)
    assert (np.isfinite(test.dates[~treated]).sum() == treated.sum()).all()
    assert test.converged == 1
    assert "region_sd" in test.modes
    assert not test.meta["exact"]
    assert "never-treated units only" in test.verdict
    assert "approximate" in test.verdict


def test_the_actual_dates_give_one_estimate_compiled_or_not(gappy_panel):
    """Dates that may move share cells and a compiled density; dates that stay have their own, in numpy."""
    spec = StaggeredDiD("y", pooling="complete")
    ways = permuted_cohorts(spec, gappy_panel, 2, seed=2), earlier_dates(spec, gappy_panel, [1])
    one, other = (test.actual.frame.iloc[0] for test in ways)
    assert one.estimate == pytest.approx(other.estimate, abs=1e-4 * other.se)
    assert one.se == pytest.approx(other.se, rel=1e-3)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_seed_gives_the_same_test_on_any_number_of_cores(gappy_panel):
    fit = fabricated(gappy_panel, pooling="complete")
    one = fit.placebo(6, seed=4, cores=1)
    two = fit.placebo(6, seed=4, cores=2)
    pd.testing.assert_frame_equal(one.placebo.frame, two.placebo.frame)
    pd.testing.assert_frame_equal(one.dates, two.dates)
    other = permuted_cohorts(fit.model, gappy_panel, 6, seed=5)
    assert not np.allclose(one.placebo.frame.estimate, other.placebo.frame.estimate)
    assert one.meta["seed"] == 4


def test_the_true_dates_among_the_refits_count_as_a_tie(panel):
    """The identity is one of the assignments: refitted, it is the actual estimate to the last digits that the p-value looks at."""
    spec = StaggeredDiD("y", ("x",), leads=False, pooling=("region",))
    refitted, _, averages = prepared(spec, panel)
    own = np.searchsorted(refitted.rows.cohorts, spec.block(panel).cohorts)
    start = start_of(refitted, own)
    alone, among = refit(refitted, own, averages, start), refit_all(refitted, np.array([own, own]), averages, start, progress=False)
    assert [r.estimate[0] for r in among] == pytest.approx([alone.estimate[0]] * 2, rel=1e-12)


def test_a_strong_effect_stands_out_and_the_table_says_so(panel):
    fit = fabricated(panel, covariates=("x",), pooling=("region",))
    test = fit.placebo(19, within="region", by="region")
    table = test.table()
    assert table.region.tolist() == ["Centre", "North", "South"]
    assert (table.p_greater == 0.05).all()
    assert test.placebo.frame.variant.nunique() == test.n == 19
    assert test.full.frame.region.tolist() == table.region.tolist()
    assert test.converged == 1
    assert "within regions" in repr(test)
    assert set(test.modes) > {"innovation_sd", "autocorrelation", "unit_effect_sd", "converged"}
    events = permuted_cohorts(fit.model, panel, 3, options=Options("event"))
    assert events.actual.frame.event_time.tolist() == [0, 1, 2, 3, 4]


def test_progress_is_shown_on_request_only(gappy_panel, capsys):
    permuted_cohorts(StaggeredDiD("y", pooling="complete"), gappy_panel, 3, options=Options(progress=True))
    assert "Placebo refits: 3 of 3" in capsys.readouterr().err
    permuted_cohorts(StaggeredDiD("y", pooling="complete"), gappy_panel, 3)
    assert not capsys.readouterr().err


def test_sampling_confirms_refits(gappy_panel, monkeypatch):
    """The panel that is sampled has the dates of the refit. Sampling is replaced; the slow test does it."""
    fit, seen = fabricated(gappy_panel, pooling="complete"), []

    def made(self, panel, seed, **options):
        seen.append(panel)
        return fabricated(panel, pooling="complete", seed=seed)

    monkeypatch.setattr(StaggeredDiD, "fit", made)
    test = fit.placebo(3, confirm=2)
    assert len(test.confirmation) == 2
    for k, panel in enumerate(seen):
        assert np.array_equal(np.nan_to_num(panel.unit_first_treated, posinf=0), np.nan_to_num(test.dates.iloc[:, k], posinf=0))
    assert np.isfinite(test.confirmation.difference_in_sd).all()


def test_refits_that_miss_their_mode_are_reported(gappy_panel, monkeypatch):
    monkeypatch.setattr("bayes.did.mode.GRADIENT_LIMIT", 0.0)
    monkeypatch.setattr("bayes.did.refits.GRADIENT_LIMIT", 0.0)
    with pytest.warns(ConvergenceWarning, match="3 of 3 placebo fits"):
        test = permuted_cohorts(StaggeredDiD("y", pooling="complete"), gappy_panel, 2)
    assert test.converged == 0


# ── earlier dates ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_earlier_dates_use_rows_before_the_true_ones(panel):
    fit = fabricated(panel, covariates=("x",), pooling="complete")
    test = fit.placebo(kind="dates", shifts=[1, 2])
    frame = panel.frame
    cut = frame[~(frame.year >= frame.first_treated)]
    two = Panel.from_frame(cut.assign(first_treated=cut.first_treated - 2), name="synthetic", **ROLES)
    spec = replace(fit.model, leads=False)
    collapsed = spec.collapse(two)
    mode = mode_of(spec, collapsed)
    refitted = refitted_panel(spec, spec.block(two), own_cells(spec.block(two), 0), np.unique(collapsed.design.cells.cohort), two.n_periods,
                              two.regions.tolist())  # fmt: skip
    own = np.searchsorted(refitted.rows.cohorts, spec.block(two).cohorts)
    expected = refit_at(refitted, reassign(refitted.rows, own), mode, Averages([Term({}, refitted.rows.cells.event >= 0)], "panel"))
    row = test.placebo.frame.iloc[1]
    assert row.variant == "dates 2 periods earlier"
    assert row.estimate == pytest.approx(expected.estimate[0], abs=1e-3 * expected.sd[0])
    assert row.n_obs == expected.rows[0]
    assert len(test.table()) == 3
    assert "No p-value" in test.verdict
    assert test.placebo.frame.lower[0] < 0.1 < 0.3 < test.actual.frame.lower[0]


def test_earlier_dates_are_confirmed_without_the_rows_from_the_true_ones_on(gappy_panel, monkeypatch):
    fit, seen = fabricated(gappy_panel, pooling="complete"), []

    def made(self, panel, seed, **options):
        seen.append(panel)
        return fabricated(panel, pooling="complete", seed=seed)

    monkeypatch.setattr(StaggeredDiD, "fit", made)
    test = fit.placebo(kind="dates", shifts=[1], confirm=1)
    frame = gappy_panel.frame
    assert seen[0].n_rows == (~(frame.year >= frame.first_treated)).sum()
    assert test.confirmation.variant.tolist() == ["dates 1 period earlier"]


def test_units_without_an_earlier_row_are_left_out_and_said(gappy_panel):
    frame = gappy_panel.frame
    late = panel_of(frame[~(frame.unit.eq("u000") & (frame.year < 2003))])
    test = earlier_dates(StaggeredDiD("y", pooling="complete"), late, [1])
    assert "1 units left out: no row before the fake date" in test.placebo.frame.note[0]
    assert test.dates.isna().sum().sum() == 1


# ── bad input ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_bad_options_say_what_is_allowed(gappy_panel):
    fit = fabricated(gappy_panel)
    bad = {
        "n must be": {"n": 0},
        "n must be a whole": {"n": 2.5},
        "Choose one of: 'cohorts', 'dates'": {"kind": "units"},
        "within='state' does not exist": {"within": "state"},
        "among='treated' does not exist": {"among": "treated"},
        "by='week' does not exist": {"by": "week"},
        "Choose one of: 'att', 'att_population'": {"estimand": "att_new_unit"},
        "weights='gdp'": {"weights": "gdp"},
        "shifts= belongs to": {"shifts": [1]},
        "within= and among= belong to": {"kind": "dates", "among": "never-treated"},
        "cores must be": {"cores": 0},
        "shifts must be": {"kind": "dates", "shifts": [0]},
        "needs as many never-treated units": {"among": "never-treated"},
    }
    for message, options in bad.items():
        with pytest.raises(SpecificationError, match=message):
            fit.placebo(**options)


def test_models_whose_treatment_is_more_than_on_or_off_are_refused(panel):
    for options in ({"dose": "x"}, {"moderators": ("x",)}, {"likelihood": "student-t"}):
        spec = StaggeredDiD("y", leads=False, **options)
        for test in (permuted_cohorts, earlier_dates):
            with pytest.raises(UnsupportedModelError, match="A placebo test does not exist for a model with"):
                test(spec, panel)


def test_panels_with_nothing_to_permute_are_refused(panel):
    frame, spec = panel.frame, StaggeredDiD("y")
    one = panel_of(frame.assign(first_treated=frame.first_treated.where(frame.unit == "u000")))
    with pytest.raises(SpecificationError, match="Only one unit is treated"):
        permuted_cohorts(spec, one, 5)
    single = Panel.from_frame(frame, **{**ROLES, "region": None})
    with pytest.raises(SpecificationError, match="at least two regions"):
        permuted_cohorts(spec, single, 5, "region")
    by_region = frame.assign(first_treated=frame.region.map({"Centre": 2004.0, "North": 2006.0, "South": np.nan}))
    with pytest.raises(SpecificationError, match="only one way to give these dates to the units of each region"):
        permuted_cohorts(spec, panel_of(by_region), 5, "region")
    everybody = panel_of(frame.assign(first_treated=frame.first_treated.replace(np.inf, 2008)))
    with pytest.raises(SpecificationError, match="never-treated units as treated ones: the panel has 0"):
        permuted_cohorts(spec, everybody, 5, among="never-treated")
    half = frame.assign(first_treated=frame.first_treated.where(frame.unit.str[1:].astype(int) % 2 == 0))
    treated = np.isfinite(half.first_treated)
    equal = half[treated | half.unit.isin(half[~treated].unit.unique()[: half[treated].unit.nunique()])]
    with pytest.raises(SpecificationError, match="leave none to compare with"):
        permuted_cohorts(spec, panel_of(equal), 5, among="never-treated")


def test_too_few_periods_before_treatment_name_the_cohort(panel):
    spec = StaggeredDiD("y")
    with pytest.raises(SpecificationError, match=r"cohort 2004 is observed for at most 3 periods before it.*shifts of at most 2"):
        earlier_dates(spec, panel, [1, 3])
    early = panel.frame.assign(first_treated=panel.frame.first_treated.replace(2004, 2002))
    with pytest.raises(SpecificationError, match="Leave this cohort out"):
        earlier_dates(spec, panel_of(early))
    with pytest.raises(SpecificationError, match="Use at least 2"):
        earlier_dates(replace(spec, anticipation=1), panel, [1])


def test_a_unit_seen_once_in_the_first_period_is_harmless(panel):
    frame = panel.frame
    once = panel_of(frame[~(frame.unit.eq("u006") & (frame.year > 2001))])
    spec = StaggeredDiD("y", leads=False, pooling="complete")
    assert spec.collapse(once).products.n_units == 24
    refitted, fake, _ = prepared(spec, once)
    assert np.isfinite(refitted.density(np.zeros(len(refitted.coordinates)), *refitted.arguments(reassign(refitted.rows, fake)))[0])
