"""Inequality between units by period, split into regions: Theil T and L, Dagum's Gini ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayes.arguments import checked
from bayes.errors import NotPositiveError
from bayes.estimates import Estimates
from bayes.measure._inequality_kernels import Dagum, Theil, dagum_parts, theil_parts
from bayes.measure._rows import Rows, row_weights
from bayes.measure._values import Values, values_of
from bayes.panel import Panel
from bayes.validation import one_of

ONE_UNIT = "one unit in this period: no inequality to measure"
ALL_EQUAL = "all values are equal: nothing to share out"


@checked
def theil(panel: Panel, values: str | Estimates, index: str = "T", weights: str | None = None, level: float = 0.95) -> Estimates:
    """Theil index of each period and its parts within and between regions, in each draw.

    T = Σ s_i ln(y_i/μ), weighted by shares of the sum (sensitive at the top); L = Σ p_i ln(μ/y_i), the mean logarithmic deviation
    (sensitive at the bottom). 0 is equality; T is at most ln n with equal weights. Total = within + between; within is Σ of the regions'
    own indices times their shares of the sum (T) or of the weights (L). A region of one unit adds nothing within.
    Theil (1967), Economics and Information Theory; Shorrocks (1980), Econometrica 48(3), 613–625.

    Parameters
    ----------
    values : positive column, or Estimates by unit and period
    index : "T" or "L"
    weights : column of positive weights, for example population where values are means per person; default one each

    Returns
    -------
    Estimates
        Estimand ``theil_t`` or ``theil_l`` by period: ``term`` total, within, between; with a region, that region's own index (total). The
        estimand with ``_share``: within and between as shares of the total; with a region, its contribution to it. NaN with the
        reason where a period or region has one unit, and shares where all values are equal. A panel without regions gives totals only.

    Raises
    ------
    NotPositiveError
        Values or weights that are zero or negative; the message names the rows.
    SpecificationError
        An unknown index, or values that are not one quantity by unit and period.
    """
    one_of("index", index, ("T", "L"))
    v = values_of(panel, values)
    v.require_positive("A Theil index takes their logarithm; set such rows aside, or measure the level by dagum_gini.")
    w = row_weights(v, weights)
    estimand = f"theil_{index.lower()}"
    rows = Rows(v.draws.shape[0], {"source": v.source})
    for period in v.periods:
        here, present, group = _period(v, period)
        parts = theil_parts(v.draws[:, here], group, w[here], index)
        terms = {"within": parts.within, "between": parts.between}
        _add(rows, panel, estimand, period, parts, terms, present, group)
    return rows.estimates(
        f"Theil {index} of {v.name}", level, v.interval, values=v.name, index=index, weights=weights,
        convention="0 is equality; total = within + between regions",
    )  # fmt: skip


@checked
def dagum_gini(panel: Panel, values: str | Estimates, weights: str | None = None, level: float = 0.95) -> Estimates:
    """Gini ratio of each period and Dagum's parts: within regions, net between regions, and transvariation, in each draw.

    G = ΣΣ w_i w_r |y_i − y_r| / (2 μ (Σw)²), 0 is equality; no small-sample correction. G = G_w + G_nb + G_t: transvariation is what the
    overlap of regions contributes (poor units of rich regions). Dagum (1997), Empirical Economics 22(4), 515–531.

    Parameters
    ----------
    values : non-negative column with a positive mean in every period, or Estimates by unit and period
    weights : column of positive weights, for example population; default one each

    Returns
    -------
    Estimates
        Estimand ``dagum_gini`` by period: ``term`` total, within (G_w), between (G_nb), transvariation (G_t); with a region, its own ratio
        G_jj (total). ``dagum_gini_share``: the parts as shares of the total; with a region, its contribution within. For each pair
        of regions (``term``, ``term_to``) ``dagum_gini_pair``, the ratio between the two (G_jh), and ``dagum_affluence``, Dagum's relative
        economic affluence (D_jh: 0 complete overlap with equal means, 1 no overlap). NaN with the reason where a period or region has one
        unit or none. A panel without regions gives totals only.

    Raises
    ------
    NotPositiveError
        Negative values, a period whose values are all zero, or weights that are not positive.
    SpecificationError
        Values that are not one quantity by unit and period.
    """
    v = values_of(panel, values)
    _require_gini(v)
    w = row_weights(v, weights)
    rows = Rows(v.draws.shape[0], {"source": v.source})
    for period in v.periods:
        here, present, group = _period(v, period)
        parts = dagum_parts(v.draws[:, here], group, w[here])
        terms = {"within": parts.within, "between": parts.between, "transvariation": parts.transvariation}
        _add(rows, panel, "dagum_gini", period, parts, terms, present, group)
        _add_pairs(rows, panel, period, parts, present, group)
    return rows.estimates(
        f"Dagum Gini of {v.name}", level, v.interval, values=v.name, weights=weights,
        convention="0 is equality; total = within + net between regions + transvariation (overlap); no small-sample correction",
    )  # fmt: skip


def _period(v: Values, period: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of a period, codes of the regions present, and each row's position among these."""
    here = np.flatnonzero(v.period == period)
    present, group = np.unique(v.region[here], return_inverse=True)
    return here, present, group


def _add(
    rows: Rows, panel: Panel, estimand: str, period: Any, parts: Theil | Dagum, terms: Mapping[str, np.ndarray], present: np.ndarray,
    group: np.ndarray,
) -> None:  # fmt: skip
    """Total, parts, shares, and the same of each region."""
    n = group.size
    alone = n == 1
    labels = {"period": period, "n_obs": n}
    blank = np.nan if alone else 1.0
    rows.add(estimand, parts.total * blank, reason=ONE_UNIT, term="total", **labels)
    if panel.regions.size == 1:
        return
    # a total that is only rounding error is equality
    total = np.where(parts.total > 1e-15, parts.total, np.nan) * blank
    share_reason = ONE_UNIT if alone else ALL_EQUAL
    for term, value in terms.items():
        rows.add(estimand, value * blank, reason=ONE_UNIT, term=term, **labels)
        rows.add(f"{estimand}_share", value / total, reason=share_reason, term=term, **labels)
    counts = np.bincount(group)
    for code, name in enumerate(panel.regions):
        at = np.searchsorted(present, code)
        here = at < present.size and present[at] == code
        size = int(counts[at]) if here else 0
        reason = ("no unit", "one unit")[size] + f" of {name} in {panel.time} {period}" if size < 2 else f"all values of {name} are zero"
        own = parts.groups[:, at] if size > 1 else np.nan
        rows.add(estimand, own, reason=reason, term="total", region=name, period=period, n_obs=size)
        inside = parts.contributions[:, at] / total if here else np.nan
        rows.add(
            f"{estimand}_share", inside, reason=share_reason if here else reason, term="within", region=name, period=period, n_obs=size
        )


def _add_pairs(rows: Rows, panel: Panel, period: Any, parts: Dagum, present: np.ndarray, group: np.ndarray) -> None:
    counts = np.zeros(panel.regions.size, dtype=int)
    counts[present] = np.bincount(group)
    where = {code: at for at, code in enumerate(present)}
    for j, first in enumerate(panel.regions):
        for h in range(j + 1, panel.regions.size):
            second = panel.regions[h]
            labels = {"term": first, "term_to": second, "period": period, "n_obs": counts[j] + counts[h]}
            lacking = [name for code, name in ((j, first), (h, second)) if code not in where]
            absent = f"no unit of {' or '.join(lacking)} in {panel.time} {period}"
            pair, affluence = np.nan, np.nan
            if not lacking:
                pair, affluence = parts.pairs[:, where[j], where[h]], parts.affluence[:, where[j], where[h]]
            rows.add("dagum_gini_pair", pair, reason=absent if lacking else "all values of both regions are zero", **labels)
            rows.add("dagum_affluence", affluence, reason=absent if lacking else "all values of both regions are equal", **labels)


def _require_gini(v: Values) -> None:
    v.require_not_negative("A Gini ratio needs values of zero or more.")
    for period in v.periods:
        if (v.draws[:, v.period == period] == 0).all(axis=1).any():
            raise NotPositiveError(f"{v.name!r} is zero for every unit in {v.panel.time} {period}: the Gini ratio divides by the mean.")
