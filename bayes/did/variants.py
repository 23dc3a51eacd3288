"""Robustness columns of a paper in one call: the same model on other rows, dates, outcomes or with other words, as one comparison.

A refit takes the posterior mode of the scales and exact conditional draws (:mod:`bayes.did.mode`) unless full sampling is asked for; the
headline is refitted in the same way beside its full posterior, so that the approximation can be seen.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes.arguments import check
from bayes.comparison import Comparison, compare
from bayes.did import intensity
from bayes.did.choices import Choice, alternatives, defaults
from bayes.did.mode import draws_at_mode
from bayes.did.quick_mode import mode_of
from bayes.did.state import CollapsedPanel
from bayes.errors import ConvergenceWarning, DataError, SpecificationError, warn_user
from bayes.estimates import Estimates
from bayes.executors import Executor, Portable, mapped
from bayes.inference.sampling import prepare_jax
from bayes.panel import Panel
from bayes.progress import counted

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit
    from bayes.did.model import StaggeredDiD

HEADLINE = "headline"


@dataclass(frozen=True, eq=False, repr=False)
class Variants:
    """One model in many variants. See :meth:`bayes.did.fit.DiDFit.variants`.

    Attributes
    ----------
    estimates : Estimates
        All rows, ``source`` naming the variant; ``meta["choices"]`` says what each chose in each dimension (for
        :func:`bayes.plots.specification_curve`).
    comparison : Comparison
        The same, beside the headline: one column a variant with ``.table("source")``.
    changes : pandas.DataFrame
        One row a variant: what it chose in each dimension that varies, rows, units and treated units used, rows and units left out against
        the headline, whether the mode was found (or the sampling checks passed), and why a variant could not be fitted.
    left_out : dict of str to pandas.DataFrame
        The rows that a variant leaves out, with the reason.
    meta : dict
        method, seed, draws.
    """

    estimates: Estimates
    comparison: Comparison
    changes: pd.DataFrame
    left_out: dict[str, pd.DataFrame]
    meta: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        columns = ["rows", "units", "treated_units", "rows_left_out", "converged"]
        return f"{self.comparison!r}\n\n{self.changes[columns].to_string()}"

    def _repr_html_(self) -> str:
        return self.comparison._repr_html_() + self.changes.to_html(escape=True)


@dataclass(frozen=True)
class _Variant:
    """A setting to fit; ``failure`` says why there is none."""

    source: str
    chosen: dict[str, str]
    spec: StaggeredDiD
    panel: Panel
    set_aside_before: int = 0
    failure: str = ""

    @property
    def left_out(self) -> pd.DataFrame:
        """Rows that this variant sets aside, with the reason."""
        return self.panel.set_aside.iloc[self.set_aside_before :].reset_index(drop=True)


@dataclass(frozen=True)
class _Words:
    """What is reported of each variant."""

    by: str
    estimand: str
    level: float
    weights: str


@dataclass(frozen=True)
class _Refit:
    """Draws of a variant and whether they can be trusted."""

    dataset: xr.Dataset
    collapsed: CollapsedPanel
    converged: bool


def variants_of(
    fit: DiDFit, asked: Mapping[str, Any], panel: Panel | None, combine: bool, method: str, by: str, estimand: str, level: float,
    weights: str | None, draws: int, seed: int, executor: Executor | None = None,
) -> Variants:  # fmt: skip
    """What :meth:`bayes.did.fit.DiDFit.variants` does."""
    check("variants", "executor", executor, ["Executor", "None"])
    if method not in ("mode", "nuts"):
        raise SpecificationError(f"method={method!r} does not exist. Choose 'mode' or 'nuts'.")
    if not isinstance(draws, int | np.integer) or isinstance(draws, bool) or draws < 2:
        raise SpecificationError(f"draws must be a whole number of at least 2, got {draws!r}.")
    how = _Words(by, estimand, level, weights or ("panel" if fit.panel.weights is not None else "rows"))
    base = _wider(fit, panel)
    head, *found = _variants(fit.model, base, alternatives(fit.model, base, asked), combine, method)
    full = fit.att(by, estimand, level, how.weights)
    tables = {head.source: [_even(replace(full, frame=full.frame.assign(source=head.source)), draws)]}
    rows = {head.source: _row(head, base, fit.diagnose().passed)}
    seeds = np.random.SeedSequence(seed).generate_state(len(found)).tolist()
    for variant, refitted in _refits(_How(method, int(draws), _sampling(fit)), found, seeds, executor):
        rows[variant.source] = _row(variant, base, refitted is not None and refitted.converged)
        none = _unfitted(tables[head.source][0], variant)
        tables[variant.source] = [none] if refitted is None else [_even(t, draws) for t in _tables(fit, variant, refitted, how, base)]
    order = [v.source for v in (head, *found)]
    changes = pd.DataFrame([rows[s] for s in order]).set_index("variant")
    return _assembled(fit, [t for s in order for t in tables[s]], changes, found, {"method": method, "seed": seed, "draws": int(draws)})


def _assembled(fit: DiDFit, tables: list[Estimates], changes: pd.DataFrame, found: list[_Variant], meta: dict[str, Any]) -> Variants:
    meta = {**meta, "outcome": fit.model.outcome, "verdict": fit.diagnose().verdict, "passed": fit.diagnose().passed}
    chosen = {d: changes[d].to_dict() for d in found[0].chosen if len(set(changes[d])) > 1}
    changes = changes.drop(columns=[d for d in found[0].chosen if d not in chosen])
    title = f"Variants of the effect on {fit.model.outcome}"
    estimates = replace(sum(tables[1:], tables[0]), title=title, meta={**meta, "choices": chosen})
    out = Variants(estimates, compare(*tables, title=title), changes, {v.source: v.left_out for v in found if len(v.left_out)}, meta)
    failed = changes.index[1:][~changes.converged[1:] & (changes.failure[1:] == "")].tolist()
    if failed:
        warn_user(
            f"{len(failed)} variants did not find the posterior mode of their scales or failed the sampling checks: {', '.join(failed)}. "
            'See .changes; refit them with method="nuts" and more draws, or pool less.',
            ConvergenceWarning,
        )
    return out


# ── which variants ──────────────────────────────────────────────────────────────────────────────────────────────────


def _wider(fit: DiDFit, panel: Panel | None) -> Panel:
    """The rows of the fit with all columns that ``panel`` has. Raises :class:`SpecificationError` when the rows differ."""
    if panel is None:
        return fit.panel
    if not isinstance(panel, Panel):
        raise SpecificationError(f"panel must be the bayes.Panel that was fitted, with its other columns; got {type(panel).__name__}.")
    keys = [c for c in (fit.panel.unit, fit.panel.time, fit.panel.region, fit.panel.first_treated, fit.model.outcome) if c is not None]
    if panel.n_rows != fit.panel.n_rows or not all(k in panel.frame and _same(panel.frame[k], fit.panel.frame[k]) for k in keys):
        raise SpecificationError(
            f"panel must hold the {fit.panel.n_rows} rows that were fitted ({', '.join(map(str, keys))} the same, in the same order) and "
            f"may only have more columns; it has {panel.n_rows} rows."
        )
    return panel


def _same(one: pd.Series, other: pd.Series) -> bool:
    """Whether two columns hold the same values, whatever their types (a fit read from a file has plain ones)."""
    if pd.api.types.is_numeric_dtype(one.dtype) and pd.api.types.is_numeric_dtype(other.dtype):
        return np.array_equal(one.to_numpy(dtype=float), other.to_numpy(dtype=float), equal_nan=True)
    return bool((one.astype(str).to_numpy() == other.astype(str).to_numpy()).all())


def _variants(spec: StaggeredDiD, panel: Panel, found: list[Choice], combine: bool, method: str) -> list[_Variant]:
    """The headline as fitted, the headline at its mode, then each change by itself or all combinations of one choice in each dimension."""
    own = defaults(spec)
    dimensions = list(dict.fromkeys(c.dimension for c in found))
    if combine:
        alternatives = [[None, *[c for c in found if c.dimension == d and c.label != own[d]]] for d in dimensions]
        sets = [tuple(c for c in one if c is not None) for one in itertools.product(*alternatives)][1:]
    else:
        sets = [(c,) for c in found]
    if not sets:
        raise SpecificationError("Every alternative is what the headline already has: nothing to combine.")
    base, chosen, aside = replace(spec, leads=False), {d: own[d] for d in dimensions}, len(panel.set_aside)
    out = [_Variant(f"{HEADLINE}, full posterior" if method == "mode" else HEADLINE, chosen, spec, panel, aside)]
    if method == "mode" and spec.likelihood == "normal":
        out.append(_Variant(f"{HEADLINE}, mode", chosen, base, base.needed(panel), aside))
    out += [_changed(base, panel, one, chosen) for one in sets]
    repeated = [s for s in {v.source for v in out} if sum(v.source == s for v in out) > 1]
    if repeated:
        raise SpecificationError(f"The variant {repeated[0]!r} is asked for twice.")
    return out


def _changed(spec: StaggeredDiD, panel: Panel, changes: tuple[Choice, ...], chosen: dict[str, str]) -> _Variant:
    source, aside = " · ".join(c.source for c in changes), len(panel.set_aside)
    chosen = chosen | {c.dimension: c.label for c in changes}
    try:
        for one in changes:
            spec, panel = one.change(spec, panel)
        intensity.warn_of_constant_dose(spec, panel)
        return _Variant(source, chosen, spec, spec.needed(panel), aside)
    except (SpecificationError, DataError) as error:
        if any(c.optional for c in changes):
            return _Variant(source, chosen, spec, panel, aside, str(error))
        raise


# ── refits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _How:
    """How variants are refitted: ``draws`` at the mode, or ``options`` of sampling."""

    method: str
    draws: int
    options: dict[str, Any]


def _refits(how: _How, found: list[_Variant], seeds: list[int], executor: Executor | None) -> Iterator[tuple[_Variant, _Refit | None]]:
    """Every variant in turn with its draws, counted on a terminal."""
    jobs = list(zip(found, seeds, strict=True))
    if executor is None:
        refits: Iterator[_Refit | None] = (_refit(how, job) for job in jobs)
    else:  # chains one after another: other variants have the other cores
        refits = mapped(executor, Portable(_refit, _on_worker, (replace(how, options=how.options | {"cores": 1}),)), jobs)
    yield from counted(zip(found, refits, strict=True), len(found), "Variants")


def _on_worker(how: _How) -> _How:
    prepare_jax()
    return how


def _refit(how: _How, job: tuple[_Variant, int]) -> _Refit | None:
    variant, seed = job
    if variant.failure:
        return None
    if how.method == "nuts" or variant.spec.likelihood != "normal":
        return _sampled(how, variant, seed)
    return _at_mode(variant, how.draws, seed)


def _at_mode(variant: _Variant, draws: int, seed: int) -> _Refit:
    collapsed = variant.spec.collapse(variant.panel)
    mode = mode_of(variant.spec, collapsed)
    return _Refit(draws_at_mode(variant.spec, collapsed, mode, draws, seed), collapsed, mode.converged)


def _sampling(fit: DiDFit) -> dict[str, Any]:
    return {n: fit.meta[n] for n in ("sampler", "draws", "tune", "chains", "target_accept") if n in fit.meta}


def _sampled(how: _How, variant: _Variant, seed: int) -> _Refit:
    """Full posterior, with the options of the headline; a row-level model warms up longer."""
    options = dict(how.options)
    if variant.spec.likelihood != "normal":
        options["tune"] = max(1000, options.get("tune", 0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a column says which passed, and one warning names the others
        again = variant.spec.fit(variant.panel, seed=int(seed), progress=False, **options)
    return _Refit(again.posterior, again._collapsed, again.diagnose().passed)


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tables(fit: DiDFit, variant: _Variant, refitted: _Refit, how: _Words, base: Panel) -> list[Estimates]:
    """Rows of one variant. With another dose than the headline's: at the doses received, which compares with a headline without dose, and
    per unit of dose, which does not. What is in other units than the headline has another ``estimand``."""
    spec, own = variant.spec, fit.model
    another = spec.dose is not None and spec.dose != own.dose
    received = f"{how.estimand}_at_dose"
    asked = [received, how.estimand] if another and received in intensity.AT_DOSE else [how.estimand]
    out = []
    for estimand in asked:
        found = intensity.estimates_of(
            refitted.dataset, spec, variant.panel, refitted.collapsed, how.by, estimand, how.weights, how.level, False, variant.source
        )
        label = found.frame.estimand.iloc[0]
        if another and own.dose is None and estimand == received:
            label = how.estimand
        elif another and own.dose is not None and estimand != received:
            label = f"{label} ({spec.dose})"
        label = label if spec.outcome == own.outcome else f"{label} of {spec.outcome}"
        words = _used(variant, base)
        out.append(replace(found, frame=found.frame.assign(estimand=label, note=[f"{n}; {words}" for n in found.frame.note])))
    return out


def _unfitted(full: Estimates, variant: _Variant) -> Estimates:
    """The headline's rows without numbers, for a variant that could not be fitted."""
    blank = dict.fromkeys(("estimate", "se", "lower", "upper", "prob_positive", "n_obs"), np.nan)
    frame = full.frame.assign(**blank, source=variant.source, identified=False, note=f"could not be fitted: {variant.failure}")
    return replace(full, frame=frame, draws=np.full_like(full.draws, np.nan))


def _used(variant: _Variant, base: Panel) -> str:
    """How many of the headline's rows and units a variant uses, and why others are left out."""
    reasons = variant.left_out.groupby("reason", sort=False).size()
    lost = f"; {base.n_rows - variant.panel.n_rows} rows left out ({'; '.join(f'{n}: {reason}' for reason, n in reasons.items())})"
    return f"{variant.panel.n_rows} rows, {variant.panel.n_units} units{lost if len(reasons) else ''}"


def _row(variant: _Variant, base: Panel, converged: bool) -> dict[str, Any]:
    panel, fitted = variant.panel, not variant.failure
    counts = {
        "rows": panel.n_rows, "units": panel.n_units, "treated_units": int((panel.unit_cohort_codes < panel.n_periods).sum()),
        "rows_left_out": base.n_rows - panel.n_rows, "units_left_out": base.n_units - panel.n_units,
    }  # fmt: skip
    counts = {name: n if fitted else 0 for name, n in counts.items()}
    return {"variant": variant.source, **variant.chosen, **counts, "converged": bool(converged), "failure": variant.failure}


def _even(table: Estimates, n: int) -> Estimates:
    """Without leads, which variants do not have, and with ``n`` evenly spaced draws, so that all tables can stand in one."""
    keep = (~table.frame.note.str.startswith("lead")).to_numpy()
    place = np.linspace(0, table.draws.shape[1] - 1, n).round().astype(int)
    return replace(table, frame=table.frame[keep].reset_index(drop=True), draws=table.draws[keep][:, place])
