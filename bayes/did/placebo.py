"""Placebo tests: the effect that the same model finds for treatment dates that are not the true ones.

Permuted dates (``kind="cohorts"``): first treated periods are given to units at random, as many units to each date as are treated then.
If the treatment did nothing and its dates were given out that way, the actual estimate is one more draw of the same kind, which makes
(1 + #{|placebo| ≥ |actual|})/(n + 1) an exact p-value (Fisher 1935; Phipson & Smyth 2010, Statistical Applications in Genetics and
Molecular Biology 9(1)). Earlier dates (``kind="dates"``): every treated unit's date moves back, and its rows from the true date on are
left out.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.did import effects
from bayes.did.assignments import AMONG, WITHIN, fillable_cells, first_positions, lottery, only_units, own_cells
from bayes.did.cells import Cells
from bayes.did.effects import CellTable, Term
from bayes.did.groups import Block
from bayes.did.intensity import refuse_extensions
from bayes.did.placebo_result import Options, PlaceboTest, result_of
from bayes.did.quick_mode import mode_of
from bayes.did.reassignment import reassign
from bayes.did.refits import Averages, Refit, refit, refit_all, refit_at, refitted_panel, start_of
from bayes.errors import AffectedCovariateWarning, ConvergenceWarning, SetAsideWarning, SpecificationError
from bayes.estimates import KEYS
from bayes.inference.sampling import single_threaded_algebra
from bayes.panel import Panel
from bayes.replicates import Record
from bayes.validation import one_of, whole_number

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit
    from bayes.did.model import StaggeredDiD

KINDS = ("cohorts", "dates")
_MOST_SHIFTS = 3
"""Earlier dates that are tried unless asked otherwise."""


def placebo_of(
    fit: DiDFit, n: int, kind: str, within: str, among: str, shifts: Sequence[int] | None, seed: int, confirm: int, options: Options
) -> PlaceboTest:
    """What :meth:`bayes.did.fit.DiDFit.placebo` does."""
    one_of("kind", kind, KINDS)
    if kind == "dates":
        if (within, among) != ("all", "all"):
            raise SpecificationError("within= and among= belong to kind='cohorts'; kind='dates' moves the date of every treated unit.")
        if options.resume is not None or options.executor is not None:
            raise SpecificationError("resume= and executor= belong to kind='cohorts'; kind='dates' takes a refit for each of a few dates.")
        out = earlier_dates(fit.model, fit.panel, shifts, options)
    elif shifts is not None:
        raise SpecificationError("shifts= belongs to kind='dates'; kind='cohorts' permutes dates over units.")
    else:
        out = permuted_cohorts(fit.model, fit.panel, n, within, among, seed, options)
    full = fit.att(options.by, options.estimand, weights=options.weights)
    leads = len(full) - len(out.actual)  # they come first
    full = replace(full, frame=full.frame.iloc[leads:].reset_index(drop=True), draws=None if full.draws is None else full.draws[leads:])
    again = _confirmed(fit, out, whole_number("confirm", confirm), seed, options) if confirm else None
    return replace(out, full=full, confirmation=again)


# ── permuted cohorts ────────────────────────────────────────────────────────────────────────────────────────────────


@single_threaded_algebra()
def permuted_cohorts(
    spec: StaggeredDiD, panel: Panel, n: int = 500, within: str = "all", among: str = "all", seed: int = 0, options: Options | None = None,
    density: Callable | None = None,
) -> PlaceboTest:  # fmt: skip
    """The permutation test without a sampled fit. ``density``: that of an earlier test on a panel of the same layout."""
    refuse_extensions(spec, "A placebo test")
    options = options or Options()
    n = whole_number("n", n)
    one_of("within", within, WITHIN)
    one_of("among", among, AMONG)
    spec, clock = replace(spec, leads=False), [time.perf_counter()]
    block, regions = spec.block(panel), panel.regions.tolist()
    draw, pool = lottery(block, within, among, regions)
    fake = draw.draw(np.random.default_rng([seed, 6]), n)
    positions = np.r_[draw.cohorts, np.inf]
    part = only_units(block, np.isin(np.arange(block.regions.size), pool))
    part = part if among == "all" else replace(part, cohorts=positions[fake[0]])
    cells = fillable_cells(part, draw, within, spec.anticipation)
    refitted = refitted_panel(spec, part, cells, draw.cohorts, panel.n_periods, regions, density)
    labels = _labels(spec, block, panel, options)
    averages = _averages(cells, labels, panel, options)
    if among == "all":
        own = np.searchsorted(positions, block.cohorts)
        start = start_of(refitted, own)
        actual = refit(refitted, own, averages, start)
    else:
        actual, start = _with_own_dates(spec, block, panel, labels, options), start_of(refitted, fake[0])
    clock.append(time.perf_counter())
    record = _record_of(spec, panel, options, {"within": within, "among": among, "seed": seed}, fake)
    found = refit_all(refitted, fake, averages, start, options.cores, options.progress, record, options.executor)
    clock.append(time.perf_counter())
    dates = np.full((panel.n_units, n), np.nan)
    dates[pool] = _calendar(panel, positions[fake.T])
    meta = {"seed": seed, "n": n, "within": within, "among": among, "possible": draw.possible(), "exact": among == "all",
            "compile_seconds": clock[1] - clock[0], "refit_seconds": clock[2] - clock[1]}  # fmt: skip
    out = result_of(spec, "cohorts", actual, found, [f"placebo {k}" for k in range(1, n + 1)], labels, panel, dates, options, meta)
    return replace(out, meta={**meta, "verdict": _cohort_words(out, meta, pool.size)})


def _record_of(spec: StaggeredDiD, panel: Panel, options: Options, drawn: dict[str, Any], fake: np.ndarray) -> Record | None:
    """Where finished refits are kept, by all that they depend on."""
    if options.resume is None:
        return None
    from bayes.inference.files import data_hash

    chosen = {"by": options.by, "estimand": options.estimand, "weights": options.weights}
    return Record.of(options.resume, "placebo", [spec.to_dict(), data_hash(panel), chosen, drawn], fake)


def _calendar(panel: Panel, position: np.ndarray) -> np.ndarray:
    return panel.periods[0] + panel.step * position


def _with_own_dates(spec: StaggeredDiD, block: Block, panel: Panel, labels: list[dict[str, Any]], options: Options) -> Refit:
    """A panel refitted with the dates and cells that it has. Its layout is its own, so that nothing is compiled for it."""
    cohorts, cells = np.unique(block.cohorts[np.isfinite(block.cohorts)]), own_cells(block, spec.anticipation)
    refitted = refitted_panel(spec, block, cells, cohorts, panel.n_periods, panel.regions.tolist())
    assigned = reassign(refitted.rows, np.searchsorted(refitted.rows.cohorts, block.cohorts))
    return refit_at(refitted, assigned, mode_of(spec, refitted.template), _averages(cells, labels, panel, options))


def _terms(cells: Cells, panel: Panel, by: str) -> list[Term]:
    nothing, yes = np.zeros(cells.size), np.ones(cells.size, dtype=bool)
    places = (_calendar(panel, cells.cohort), cells.event.astype(float), _calendar(panel, cells.period))
    return effects.terms(CellTable(panel.regions[cells.region], *places, nothing, nothing, yes, yes), by, panel.regions.tolist())


def _labels(spec: StaggeredDiD, block: Block, panel: Panel, options: Options) -> list[dict[str, Any]]:
    """The rows that the panel's own dates have, as :meth:`bayes.did.fit.DiDFit.att` orders them."""
    return [t.labels for t in _terms(own_cells(block, spec.anticipation), panel, options.by)]


def _averages(cells: Cells, labels: list[dict[str, Any]], panel: Panel, options: Options) -> Averages:
    """The averages with these labels over any cells; one that the cells do not have is empty, and so without an estimate."""
    known = {tuple(sorted(t.labels.items())): t for t in _terms(cells, panel, options.by)}
    nothing = np.zeros(cells.size, dtype=bool)
    terms = [known.get(tuple(sorted(row.items())), Term(row, nothing)) for row in labels]
    return Averages(terms, options.weights, options.estimand == "att")


def _cohort_words(test: PlaceboTest, meta: dict[str, Any], units: int) -> str:
    where = {"all": "over all units", "region": "within regions"}[meta["within"]]
    who = "" if meta["among"] == "all" else f", drawn among the {units} never-treated units only"
    few = f" Only {meta['possible']} assignments exist." if meta["possible"] <= 10 * test.n else ""
    kind = "exact permutation" if meta["exact"] else "not exact, since the true dates are none of these draws; approximate"
    p = test.p_values().two_sided
    words = f" Two-sided p = {p.iloc[0]:.3g} ({kind})." if len(p) == 1 else f" P-values are {kind}."
    missing = int(test.p_values().missing.max())
    lost = f" Up to {missing} refits gave no estimate of a term and count as extreme." if missing else ""
    return (
        f"Placebo test: first treated periods permuted {where}{who}, {test.n} refits, {test.converged:.1%} found the mode of their scales."
        f"{words}{few}{lost}"
    )


# ── earlier dates ───────────────────────────────────────────────────────────────────────────────────────────────────


@single_threaded_algebra()
def earlier_dates(spec: StaggeredDiD, panel: Panel, shifts: Sequence[int] | None = None, options: Options | None = None) -> PlaceboTest:
    """Refits with every date moved back by each of ``shifts`` periods, on the rows before the true dates."""
    refuse_extensions(spec, "A placebo test")
    options = options or Options()
    spec = replace(spec, leads=False)
    block = spec.block(panel)
    chosen = _checked_shifts(block, shifts, spec.anticipation, panel)
    labels = _labels(spec, block, panel, options)
    actual = _with_own_dates(spec, block, panel, labels, options)
    found, dates, notes = [], np.full((panel.n_units, len(chosen)), np.nan), []
    for j, shift in enumerate(chosen):
        part, note = _moved(panel, shift, spec.anticipation)
        found.append(_with_own_dates(spec, spec.block(part), part, labels, options))
        dates[np.searchsorted(panel.units, part.units), j] = part.unit_first_treated
        notes.append(note)
    variants = [f"dates {k} period{'s' if k > 1 else ''} earlier" for k in chosen]
    meta = {"seed": None, "n": len(chosen), "shifts": chosen, "exact": False}
    out = result_of(spec, "dates", actual, found, variants, labels, panel, dates, options, meta, notes)
    words = (
        f"Placebo test: treatment dates moved back by {', '.join(map(str, chosen))} periods, rows from the true dates on left out; "
        f"{out.converged:.0%} of {len(chosen)} refits found the mode of their scales. No p-value: read the intervals against zero."
    )
    return replace(out, meta={**meta, "verdict": words})


def _checked_shifts(block: Block, shifts: Sequence[int] | None, anticipation: int, panel: Panel) -> list[int]:
    """Shifts in order. Raises :class:`SpecificationError` where a cohort would keep no row before its fake date."""
    first, treated = first_positions(block), np.isfinite(block.cohorts)
    room = {g: int((g - first[block.cohorts == g]).max()) - 1 for g in np.unique(block.cohorts[treated])}
    tightest, least = min(room, key=lambda g: room[g]), anticipation + 1
    most = room[tightest]
    if shifts is None:
        shifts = range(least, min(most, least + _MOST_SHIFTS - 1) + 1)
    chosen = sorted({whole_number("shifts", k) for k in (shifts if isinstance(shifts, Sequence | np.ndarray) else [shifts])})
    if not chosen or chosen[-1] > most:
        wanted = f"a shift of {chosen[-1]} periods" if chosen else "an earlier date"
        raise SpecificationError(
            f"Too few periods before treatment for {wanted}: cohort {_calendar(panel, np.array(tightest)):g} is observed for at most "
            f"{most + 1} periods before it, and one of them must stay before the fake date. "
            + (f"Use shifts of at most {most}." if most >= least else "Leave this cohort out, or use kind='cohorts'.")
        )
    if chosen[0] < least:
        raise SpecificationError(
            f"A shift of {chosen[0]} leaves no row between the fake date and the {anticipation} periods of anticipation. "
            f"Use at least {least}."
        )
    return chosen


def _moved(panel: Panel, shift: int, anticipation: int) -> tuple[Panel, str]:
    """The panel with dates moved back, without rows from the true dates (less anticipation) on; and what had to be left out, in words."""
    cohort = panel.unit_cohort_codes
    inside = cohort < panel.n_periods
    moved = np.where(inside, _calendar(panel, cohort - shift), np.nan)[panel.unit_codes]
    keep = panel.period_codes < np.where(inside, cohort - anticipation, np.inf)[panel.unit_codes]
    frame = panel.frame.assign(**{panel.first_treated: moved})[keep]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SetAsideWarning)  # said in the note
        out = Panel.from_frame(frame, panel.unit, panel.time, panel.region, panel.first_treated, weights=panel.weights, name=panel.name)
    lost = panel.n_units - out.n_units
    return out, f"{lost} units left out: no row before the fake date" if lost else ""


# ── confirmation by sampling ─────────────────────────────────────────────────────────────────────────────────────────


def _confirmed(fit: DiDFit, test: PlaceboTest, confirm: int, seed: int, options: Options) -> pd.DataFrame:
    """The first ``confirm`` refits again, by sampling the posterior of panels with the same fake dates."""
    rows, terms = [], len(test.actual)
    for k in range(min(confirm, test.n)):
        panel = _refitted_rows(fit, test, k)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a column says which passed
            warnings.simplefilter("ignore", AffectedCovariateWarning)  # the dates are not the true ones
            again = fit.model.fit(panel, seed=seed + k, progress=False, cores=options.cores)
        sampled = again.att(options.by, options.estimand, weights=options.weights).frame
        ours = test.placebo.frame.iloc[k * terms : (k + 1) * terms]
        keys = [c for c in KEYS if c != "variant"]
        both = ours.merge(sampled, on=keys, suffixes=("_mode", "_sampled"), how="left")
        both = both.assign(difference_in_sd=(both.estimate_mode - both.estimate_sampled) / both.se_sampled, passed=again.diagnose().passed)
        columns = ["variant_mode", "estimate_mode", "se_mode", "estimate_sampled", "se_sampled", "difference_in_sd", "passed"]
        rows.append(both[[*keys, *columns]].rename(columns={"variant_mode": "variant"}))
    return pd.concat(rows, ignore_index=True)


def _refitted_rows(fit: DiDFit, test: PlaceboTest, k: int) -> Panel:
    """The rows and dates of a refit: earlier dates come without the rows from the true ones on."""
    if test.kind == "dates":
        return _moved(fit.panel, test.meta["shifts"][k], fit.model.anticipation)[0]
    return _redated(fit.panel, test.dates.iloc[:, k].to_numpy())


def _redated(panel: Panel, first_treated: np.ndarray) -> Panel:
    """The panel with other first treated periods (one a unit; NaN leaves the unit out, infinity never treats it)."""
    row = first_treated[panel.unit_codes]
    frame = panel.frame.assign(**{panel.first_treated: np.where(np.isfinite(row), row, np.nan)})[~np.isnan(row)]
    return Panel.from_frame(frame, panel.unit, panel.time, panel.region, panel.first_treated, weights=panel.weights, name=panel.name)
