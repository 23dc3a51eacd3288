"""The cluster-robust posterior of average effects, and how wide the model's intervals are beside it and beside a cluster standard error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.did.draws import hyperparameters
from bayes.did.intensity import refuse_extensions
from bayes.did.rows import row_design
from bayes.did.unit_algebra import UnitAlgebra
from bayes.did.unit_scores import ClusterScores, ConditionalPosterior, cluster_scores, conditional_posterior, sandwich
from bayes.did.violation_response import headline, linear_effects
from bayes.errors import MissingColumnError, SpecificationError
from bayes.estimates import Estimates
from bayes.inference.sampling import single_threaded_algebra
from bayes.validation import one_of

if TYPE_CHECKING:
    from bayes.did.fit import DiDFit

ESTIMANDS = ("att_population", "att_population_at_dose")
CORRECTIONS = ("leave-one-out", "none")
_FEW = 10
_MOST = _WEAK = 0.5
_MAX_NUMBERS = 400_000_000


def cluster_robust_of(
    fit: DiDFit, by: str, estimand: str, cluster: str | Mapping[Any, Any] | pd.Series, level: float, weights: str | None, small_sample: str
) -> Estimates:
    """What :meth:`bayes.did.fit.DiDFit.cluster_robust` does."""
    refuse_extensions(fit.model, "The cluster-robust posterior", allowed=("dose", "moderators"))
    if estimand not in ESTIMANDS:
        raise SpecificationError(
            f"estimand={estimand!r} has no cluster-robust posterior: units' own deviations are integrated out of the scores. Choose "
            f"{' or '.join(ESTIMANDS)}."
        )
    one_of("small_sample", small_sample, CORRECTIONS)
    name, codes = cluster_codes(fit, cluster)
    table, on_cells = headline(fit, by, estimand, level, weights), linear_effects(fit, by, estimand, weights).cells
    found, inside = _cell_sandwich(fit, codes, small_sample), _clusters_in_cells(fit, codes)
    reasons = [found.unusable or r for r in _reasons(fit, inside, on_cells, name)]
    known = ~np.isnan(table.draws).any(axis=1) & np.array([not r for r in reasons])
    draws = np.full_like(table.draws, np.nan)
    draws[known] = _respread(table.draws[known], on_cells[known] @ found.covariance @ on_cells[known].T)
    notes = _notes(table.frame.note, reasons, _remarks(fit, inside, on_cells, found.determined, codes, name))
    form = "jackknife" if small_sample == "leave-one-out" else "sandwich"
    kept = table.frame[["estimand", "term", "region", "cohort", "period", "event_time", "n_obs"]]
    rows = kept.assign(
        source=table.frame.source + f", cluster-robust by {name} ({form})", note=notes, identified=table.frame.identified & known
    )
    meta = table.meta | {"clusters": int(codes.max()) + 1}
    out = Estimates.from_draws(rows.to_dict("records"), draws, level, title=f"Cluster-robust {estimand} by {by}", **meta)
    return replace(out, frame=out.frame.assign(interval=np.where(known, "equal-tailed, cluster-robust posterior", "")))


def cluster_codes(fit: DiDFit, cluster: str | Mapping[Any, Any] | pd.Series) -> tuple[str, np.ndarray]:
    """Name of the clusters and the number of each unit's.

    Raises :class:`MissingColumnError` for a column that is not there and :class:`SpecificationError` for clusters that split or miss units.
    """
    panel = fit.panel
    if isinstance(cluster, Mapping | pd.Series):
        labels = pd.Series([dict(cluster).get(u) for u in panel.units], dtype=object)
        if labels.isna().any():
            where = panel.units[labels.isna().to_numpy()][0]
            raise SpecificationError(f"cluster names no cluster for {panel.unit} {where!r}. Give one for every unit.")
        return str(getattr(cluster, "name", None) or "cluster"), pd.factorize(labels, sort=True)[0]
    if cluster in ("unit", panel.unit):
        return str(panel.unit), np.arange(panel.n_units)
    if cluster not in panel.frame:
        raise MissingColumnError(
            f"Column {cluster!r} (given as cluster) is not in the fit's panel, which keeps what the model needs: "
            f"{', '.join(map(str, panel.frame.columns))}. Give a mapping from unit to cluster instead."
        )
    column = panel.frame[cluster]
    codes = pd.factorize(column, sort=True)[0]
    split = column.isna().to_numpy() | (codes != codes[panel.unit_starts][panel.unit_codes])
    if split.any():
        where = panel.frame.loc[split, panel.unit].iloc[0]
        raise SpecificationError(
            f"Clusters (column {cluster!r}) must hold whole units: {panel.unit} {where!r} lies in several, or in none. Cluster by the unit "
            "or a coarser group."
        )
    return cluster, codes[panel.unit_starts]


# ── sandwich ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _CellSandwich:
    """Robust covariance of the cells in units of the outcome; how many cell effects the data determine; why it cannot be used, if so."""

    covariance: np.ndarray
    determined: float
    unusable: str


@single_threaded_algebra()
def _cell_sandwich(fit: DiDFit, cluster: np.ndarray, small_sample: str) -> _CellSandwich:
    posterior, scores, index = scores_at_the_mean(fit, cluster, small_sample == "leave-one-out")
    collapsed = fit._collapsed
    n_cells = collapsed.design.cells.size
    cells = index - collapsed.n_flat_common
    mine = np.flatnonzero(cells >= 0)
    covariance = np.zeros((n_cells, n_cells))
    whole = sandwich(posterior, scores) * collapsed.scales[-1] ** 2
    covariance[np.ix_(cells[mine], cells[mine])] = whole[np.ix_(mine, mine)]
    columns, unusable = float(posterior.determined.sum()), ""
    if fit.panel.n_units <= columns:
        unusable = f"no cluster-robust spread: {fit.panel.n_units} units for {columns:.0f} columns that the data determine"
    return _CellSandwich(covariance, float(posterior.determined[mine].sum()), unusable)


def scores_at_the_mean(fit: DiDFit, cluster: np.ndarray, information: bool) -> tuple[ConditionalPosterior, ClusterScores, np.ndarray]:
    """Posterior given the posterior means of the scales, scores of clusters there, and which column of the design each coefficient is."""
    collapsed = fit._collapsed
    scalars = {n: fit.posterior[n].to_numpy().mean(keepdims=True) for n in fit.model.parameters(collapsed)}
    h = hyperparameters(scalars, collapsed, fit.model.resolved_priors())
    posterior = conditional_posterior(collapsed.sampled_products, collapsed.basis, h)
    index = collapsed.flat_cell_columns(()) if collapsed.basis is None else np.r_[collapsed.flat_columns, collapsed.cell_columns]
    n_numbers = index.size * (3 * fit.panel.n_rows + (int(cluster.max()) + 1) * index.size * information)
    if n_numbers > _MAX_NUMBERS:
        raise SpecificationError(
            f"{fit.panel.n_rows} rows × {index.size} columns need {8 * n_numbers / 1e9:.0f} GB. "
            'Cluster at a coarser level, or use small_sample="none" (with many clusters the two agree).'
        )
    rows = row_design(fit.model.block(fit.panel), collapsed.design, collapsed.unit_columns)
    periods = len(collapsed.design.period_columns)
    columns = np.hstack([rows.fixed[:, :periods], rows.covariates / collapsed.scales[:-1], rows.fixed[:, periods:]])[:, index]
    residual = rows.outcome / collapsed.scales[-1] - columns @ posterior.mean
    algebra = UnitAlgebra.of(rows, collapsed.products.gaps)
    return posterior, cluster_scores(algebra, columns, residual, h, cluster, information), index


def _respread(draws: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Draws (rows, draws) with their mean kept and their covariance replaced: mean + Σ^½ C^(−½) (draw − mean)."""
    if not len(draws):
        return draws
    mean = draws.mean(axis=1, keepdims=True)
    return mean + _power(covariance, 0.5) @ _power(np.atleast_2d(np.cov(draws)), -0.5) @ (draws - mean)


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """Symmetric power of a covariance; directions without variance stay so."""
    values, vectors = np.linalg.eigh(matrix)
    positive = values > 1e-10 * max(values[-1], np.finfo(float).tiny)
    return (vectors * np.where(positive, np.maximum(values, np.finfo(float).tiny) ** exponent, 0.0)) @ vectors.T


# ── notes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _clusters_in_cells(fit: DiDFit, codes: np.ndarray) -> np.ndarray:
    """True where a cluster has treated rows in a cell, shape (cells, clusters)."""
    panel, cells = fit.panel, fit._collapsed.design.cells
    place = {key: c for c, key in enumerate(zip(cells.region.tolist(), cells.cohort.tolist(), cells.event.tolist(), strict=True))}
    inside = np.zeros((cells.size, int(codes.max()) + 1), dtype=bool)
    cohort, region = panel.unit_cohort_codes[panel.unit_codes], panel.unit_regions[panel.unit_codes]
    for row in np.flatnonzero(np.isfinite(cohort)):
        c = place.get((int(region[row]), float(cohort[row]), int(panel.period_codes[row] - cohort[row])))
        if c is not None:
            inside[c, codes[panel.unit_codes[row]]] = True
    return inside


def _alone(fit: DiDFit, inside: np.ndarray, on_cells: np.ndarray) -> np.ndarray:
    """Share of each row's weight in flat cells that one treated cluster fits by itself: its score there is zero. With pooling none is."""
    weight = np.abs(np.nan_to_num(on_cells))
    single = (inside.sum(axis=1) == 1) & (fit._collapsed.basis is None)
    return weight[:, single].sum(axis=1) / np.maximum(weight.sum(axis=1), np.finfo(float).tiny)


def _reasons(fit: DiDFit, inside: np.ndarray, on_cells: np.ndarray, name: str) -> list[str]:
    """Why a row has no robust spread: one treated cluster in all its cells, or in most of them and nothing that ties these to others."""
    n = [int(inside[np.nan_to_num(w) != 0].any(axis=0).sum()) for w in on_cells]
    out = [f"no cluster-robust spread: one treated {name}" if k == 1 else "" for k in n]
    lone = f"no cluster-robust spread: most of the weight in cells of one treated {name}"
    return [o or (lone if s > _MOST else "") for o, s in zip(out, _alone(fit, inside, on_cells), strict=True)]


def _remarks(fit: DiDFit, inside: np.ndarray, on_cells: np.ndarray, determined: float, codes: np.ndarray, name: str) -> list[list[str]]:
    """What a reader of each row should know."""
    n, cells = int(codes.max()) + 1, on_cells.shape[1]
    common = []
    treated = np.unique(codes[np.isfinite(fit.panel.unit_cohort_codes)]).size
    if n < _FEW:
        common.append(f"few clusters ({n} by {name}): the spread is itself uncertain")
    elif treated < _FEW:
        common.append(f"few treated clusters ({treated} by {name}): the spread is itself uncertain")
    if determined < _WEAK * cells:
        common.append(f"descriptive: strong pooling, the data determine {determined:.1f} of {cells} cell effects")
    words = "{:.0%} of the weight in cells of one treated {}, whose own spread is not seen"
    return [[*([words.format(s, name)] if s > 0 else []), *common] for s in _alone(fit, inside, on_cells)]


def _notes(before: pd.Series, reasons: list[str], remarks: list[list[str]]) -> list[str]:
    return ["; ".join(filter(None, [b, r, *([] if r else m)])) for b, r, m in zip(before, reasons, remarks, strict=True)]


# ── table of widths ─────────────────────────────────────────────────────────────────────────────────────────────────


def interval_check_of(fit: DiDFit, cluster: str | Mapping[Any, Any] | pd.Series, level: float, weights: str | None) -> pd.DataFrame:
    """What :meth:`bayes.did.fit.DiDFit.interval_check` does."""
    estimand = "att_population"
    tables = [fit.att("simple", estimand, level, weights), fit.unpooled("simple", estimand, level, weights)]
    tables += [cluster_robust_of(fit, "simple", estimand, cluster, level, weights, s) for s in CORRECTIONS]
    rows = [*(t.frame.iloc[0].to_dict() for t in tables), _etwfe_row(fit, cluster, level, weights)]
    frame = pd.DataFrame(rows)[["source", "estimate", "se", "lower", "upper", "level", "interval", "note"]]
    return frame.assign(sd_ratio=tables[0].frame.se.iloc[0] / frame.se)


def _etwfe_row(fit: DiDFit, cluster: str | Mapping[Any, Any] | pd.Series, level: float, weights: str | None) -> dict[str, Any]:
    """The extended two-way fixed-effects estimate with its cluster standard error, or why there is none."""
    from bayes.baselines import did

    name, codes = cluster_codes(fit, cluster)
    blank = {"source": "ETWFE, Wooldridge", "estimate": np.nan, "se": np.nan, "lower": np.nan, "upper": np.nan, "level": level}
    if fit.model.dose is not None or fit.model.moderators:
        return blank | {"interval": "", "note": "this estimator knows neither doses nor moderators"}
    panel, own = fit.panel, name == fit.panel.unit
    if not own and name not in panel.frame:
        panel = panel.assign(**{name: codes[panel.unit_codes]})
    chosen = weights or ("panel" if panel.weights is not None else "rows")
    found = did(
        panel, fit.model.outcome, "etwfe", fit.model.covariates, cluster=None if own else name, anticipation=fit.model.anticipation,
        level=level, weights=chosen == "panel",
    )  # fmt: skip
    row = found.where(term="simple").frame.iloc[0].to_dict()
    treated = np.unique(codes[panel.unit_cohort_codes < panel.n_periods]).size
    few = f"few treated clusters ({treated} by {name}): such a standard error is often too small" if treated < _FEW else ""
    return row | {"note": "; ".join(filter(None, [row["note"], few]))}
