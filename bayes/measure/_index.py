"""Composite indices of several indicators: entropy or given weights, TOPSIS closeness or weighted sums, by unit and period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from bayes.arguments import checked
from bayes.errors import NoVariationError, SpecificationError
from bayes.estimates import Estimates
from bayes.measure._entropy import divergence, min_max, shares, topsis, weighted_sum
from bayes.measure._rows import Rows
from bayes.panel import Panel
from bayes.validation import one_of, whole_number

CONVENTION = "an index lies in [0, 1], larger is better; indicators are scaled by their range over all rows; weights sum to one"
METHODS = {"topsis": topsis, "weighted-sum": weighted_sum}
OVERALL = "overall"
BOOTSTRAP = "equal-tailed Bayesian bootstrap over units"


@checked
def composite_index(
    panel: Panel, benefit: Sequence[str] = (), cost: Sequence[str] = (), dimensions: Mapping[str, Sequence[str]] | None = None,
    weights: str | Mapping[str, float] = "entropy", method: str = "topsis", base_periods: Sequence[int] | None = None,
    replicates: int = 0, seed: int = 0, level: float = 0.95,
) -> Estimates:  # fmt: skip
    """One number per unit and period from many indicators, between 0 (worst) and 1 (best).

    Each indicator is scaled by its minimum and maximum over all units and periods pooled, so that indices compare across years as well as
    units: (x − min)/(max − min) for a benefit, (max − x)/(max − min) for a cost. Negative values are fine. The index is the closeness
    D⁻/(D⁺ + D⁻) to the pooled ideal (``method="topsis"``, Hwang & Yoon 1981) or Σ w_j z_ij (``"weighted-sum"``). Entropy weights:
    w_j ∝ 1 + Σ_i p_ij ln p_ij / ln n, p_ij = z_ij/Σ_i z_ij over all n rows, 0 · ln 0 = 0. They reward unevenness, not importance.

    Parameters
    ----------
    benefit, cost : columns where more is better, and where less is better
    dimensions : {"name": [columns]}, optional
        A sub-index each, with its indicators' weights scaled to sum to one. Dimensions may overlap; an indicator in none still counts in
        the overall index.
    weights : "entropy", "equal", or a mapping of every indicator to a weight ≥ 0 (scaled to sum to one)
    base_periods : periods whose rows alone determine entropy weights, for example those before a treatment
        The bounds of the min–max scaling stay those of all rows: otherwise later values would leave [0, 1].
    replicates : draws of the Bayesian bootstrap over units (Rubin 1981, Annals of Statistics 9(1)); 0 gives points
        Units get Dirichlet(1, …, 1) weights q, all rows of a unit the same. The measure of unevenness becomes the entropy of p relative to
        the weights, Σ q_i (z_i/μ) ln(z_i/μ) with μ = Σ q_i z_i: equal weights give the plain entropy weights, and the normaliser ln n is
        common to all indicators and cancels. Every unit keeps a positive weight, so the bounds and the ideals do not move. Intervals hold
        the sampling of units only, neither errors of measurement nor the choice of the method.
    seed : of the bootstrap, kept in ``meta``

    Returns
    -------
    Estimates
        Estimand ``index`` (``term`` = dimension or "overall", by unit and period), ``weight`` (``term`` = column, in the overall index) and
        ``dimension_weight`` (``term`` = dimension, the sum of its indicators' weights). With replicates, estimates are means over draws and
        ``meta["plain_weights"]`` holds the weights without the bootstrap. A constant indicator has weight 0, and a note says so.

    Raises
    ------
    SpecificationError
        Unknown options, columns, dimensions or periods; replicates with weights that do not come from the data.
    NoVariationError
        Every indicator is constant, over all rows or over the base periods.
    MissingColumnError, MissingValueError, NotNumericError
        From the columns.
    """
    one_of("method", method, tuple(METHODS))
    names = _indicators(benefit, cost)
    groups = _groups(dimensions, names)
    replicates, seed = whole_number("replicates", replicates, 0), whole_number("seed", seed, 0)
    scaled, constant = min_max(panel.matrix(names), np.array([n in set(cost) for n in names]))
    chosen = _base_rows(panel, base_periods, weights)
    plain, w = _weights(panel, names, weights, scaled, constant, chosen, replicates, seed)
    rows = Rows(w.shape[0])
    _add_weights(rows, names, groups, w, _notes(names, scaled, constant, chosen, cost, weights))
    _add_indices(rows, panel, names, groups, w, scaled, method, constant)
    kind = weights if isinstance(weights, str) else "given"
    base = None if base_periods is None else [int(p) for p in base_periods]
    meta: dict[str, Any] = {"method": method, "weights": kind, "base_periods": base, "replicates": replicates, "seed": seed}
    return rows.estimates(
        f"Composite index ({method}, {kind} weights)", level, BOOTSTRAP, plain_weights=plain, convention=CONVENTION, **meta
    )


def _indicators(benefit: Sequence[str], cost: Sequence[str]) -> list[str]:
    for name, value in (("benefit", benefit), ("cost", cost)):
        if isinstance(value, str):
            raise SpecificationError(f"{name} takes a list of columns, got {value!r}: write {name}=[{value!r}].")
        if not np.iterable(value):
            raise SpecificationError(f"{name} takes a list of columns, got {value!r}.")
    names = [*benefit, *cost]
    if not names:
        raise SpecificationError("Name at least one indicator in benefit or cost.")
    twice = [n for n in dict.fromkeys(names) if names.count(n) > 1]
    if twice:
        raise SpecificationError(f"Indicators named twice: {', '.join(twice)}. Each is a benefit or a cost, once.")
    return names


def _groups(dimensions: Mapping[str, Sequence[str]] | None, names: list[str]) -> dict[str, list[int]]:
    """Positions of the indicators of each dimension, and of all of them under "overall"."""
    groups = {}
    for dimension, columns in (dimensions or {}).items():
        if dimension == OVERALL or not dimension or not columns or isinstance(columns, str):
            raise SpecificationError(f"Dimension {dimension!r} needs a name other than {OVERALL!r} and a list of columns, got {columns!r}.")
        unknown = [c for c in columns if c not in names]
        if unknown:
            raise SpecificationError(f"Dimension {dimension!r} names {', '.join(unknown)}, not among the indicators: {', '.join(names)}.")
        groups[dimension] = [names.index(c) for c in dict.fromkeys(columns)]
    return groups | {OVERALL: list(range(len(names)))}


def _base_rows(panel: Panel, base_periods: Sequence[int] | None, weights: Any) -> np.ndarray:
    time = panel.frame[panel.time].to_numpy()
    if base_periods is None:
        return np.ones(time.size, dtype=bool)
    if not np.iterable(base_periods) or isinstance(base_periods, str):
        raise SpecificationError(f"base_periods takes a list of periods, got {base_periods!r}: write [{base_periods!r}].")
    if weights != "entropy":
        raise SpecificationError(f"base_periods restricts the rows behind entropy weights; weights={weights!r} does not use rows.")
    unknown = [p for p in base_periods if p not in time]
    if unknown or not len(base_periods):
        raise SpecificationError(
            f"base_periods {list(base_periods)}: no rows in {unknown or 'no period'}. Periods: {time.min()}–{time.max()}."
        )
    return np.isin(time, np.asarray(list(base_periods)))


def _weights(
    panel: Panel, names: list[str], weights: Any, scaled: np.ndarray, constant: np.ndarray, chosen: np.ndarray, replicates: int, seed: int
) -> tuple[dict[str, float], np.ndarray]:  # fmt: skip
    """Weights without the bootstrap by name, and with it: (draws or 1, K)."""
    if constant.all():
        raise NoVariationError(f"Every indicator is constant over all units and periods: {', '.join(names)}. There is nothing to index.")
    if not (isinstance(weights, str) and weights == "entropy"):
        if replicates:
            raise SpecificationError("replicates resample the units behind entropy weights; equal or given weights do not depend on them.")
        found = shares(np.where(constant, 0.0, _given(names, weights))[None])
        if np.isnan(found).any():
            raise NoVariationError("Every indicator with a positive weight is constant. There is nothing to index.")
        return dict(zip(names, found[0].tolist(), strict=True)), found
    codes, unit = np.unique(panel.unit_codes[chosen], return_inverse=True)
    z = np.where(constant, 0.0, scaled)[chosen]
    plain = shares(divergence(z, unit, np.ones((1, codes.size))))
    if np.isnan(plain).any():
        raise NoVariationError(f"Every indicator is constant over the base periods: {', '.join(names)}. Name more periods in base_periods.")
    if replicates and codes.size < 2:
        raise SpecificationError(f"The bootstrap resamples units, and there is one ({panel.units[codes[0]]}). Use replicates=0.")
    drawn = np.random.default_rng(seed).standard_exponential((replicates, codes.size))
    w = shares(divergence(z, unit, drawn)) if replicates else plain
    return dict(zip(names, plain[0].tolist(), strict=True)), w


def _given(names: list[str], weights: Any) -> np.ndarray:
    if isinstance(weights, Mapping):
        if set(weights) != set(names):
            raise SpecificationError(f"weights must name each indicator once ({', '.join(names)}), got {', '.join(map(str, weights))}.")
        numbers = all(isinstance(w, Real) and not isinstance(w, bool) for w in weights.values())
        found = np.array([weights[n] for n in names] if numbers else [np.nan], dtype=float)
        if not (np.isfinite(found).all() and (found >= 0).all() and found.sum() > 0):
            raise SpecificationError(f"weights must be finite numbers, not negative, and not all zero, got {dict(weights)}.")
        return found
    if not isinstance(weights, str) or weights != "equal":
        raise SpecificationError(f"weights={weights!r} does not exist. Choose 'entropy', 'equal', or a mapping of indicators to weights.")
    return np.ones(len(names))


def _notes(
    names: list[str], scaled: np.ndarray, constant: np.ndarray, chosen: np.ndarray, cost: Sequence[str], weights: Any
) -> list[str]:  # fmt: skip
    flat = scaled[chosen].min(axis=0) == scaled[chosen].max(axis=0)
    notes = []
    for j, name in enumerate(names):
        side = "cost" if name in cost else "benefit"
        entropy = isinstance(weights, str) and weights == "entropy"
        why = (
            "; constant over all rows: weight 0"
            if constant[j]
            else "; constant over the base periods: weight 0"
            if entropy and flat[j]
            else ""
        )
        notes.append(side + why)
    return notes


def _add_weights(rows: Rows, names: list[str], groups: dict[str, list[int]], w: np.ndarray, notes: list[str]) -> None:
    for j, name in enumerate(names):
        rows.add("weight", w[:, j], term=name, note=notes[j])
    for dimension, columns in groups.items():
        if dimension != OVERALL:
            rows.add("dimension_weight", w[:, columns].sum(axis=1), term=dimension)


def _add_indices(
    rows: Rows, panel: Panel, names: list[str], groups: dict[str, list[int]], w: np.ndarray, scaled: np.ndarray, method: str,
    constant: np.ndarray,
) -> None:  # fmt: skip
    units = [str(u) for u in panel.units[panel.unit_codes]]
    regions = panel.regions[panel.unit_regions[panel.unit_codes]]
    periods = panel.frame[panel.time].to_numpy()
    for dimension, columns in groups.items():
        inside = shares(w[:, columns])
        values = METHODS[method](scaled[:, columns], inside)
        idle = [names[j] for j in columns if constant[j]]
        note = f"constant, weight 0: {', '.join(idle)}" if idle else ""
        for i in range(panel.n_rows):
            rows.add(
                "index", values[:, i], reason=f"no indicator of {dimension!r} has a positive weight", note=note, term=dimension,
                unit=units[i], region=regions[i], period=periods[i],
            )  # fmt: skip
