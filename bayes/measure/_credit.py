"""Balance of credit between regions: loan–deposit ratios and the net flow of deposits from one region's savers to another's borrowers."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes.arguments import checked
from bayes.estimates import Estimates
from bayes.measure._rows import Rows, read_together
from bayes.panel import Panel
from bayes.validation import one_of

CONVENTION = "positive shares: funds leave; net_siphon_share and net_flow_share are shares of the deposits of all regions"
RATIO_NOTE = "prob_positive is P(> 1)"


@checked
def credit_balance(panel: Panel, loans: str | Estimates, deposits: str | Estimates, by: str = "region", level: float = 0.95) -> Estimates:
    """Where deposits are lent: by region (or unit) and period, over all periods, and for the panel as a whole.

    With L and D the sums of loans and deposits over a region's units, and ΣL, ΣD those of all regions (of the same period):

    ``loan_deposit_ratio``
        L/D; below 1 deposits leave the region, above 1 it borrows from elsewhere.
    ``outflow_share``
        1 − L/D: the share of the region's own deposits that is not lent in the region.
    ``net_siphon_share``
        (D − L)/ΣD: that outflow as a share of all deposits. Over regions it sums to 1 − ΣL/ΣD, which is not zero (reserves, bonds, funding
        by other means).
    ``net_flow_share``
        (D · ΣL/ΣD − L)/ΣD: what the region would lend if loans followed deposits, less what it lends, as a share of all deposits. It sums
        to zero over regions: positive regions are drained, negative ones receive.
    ``redistributed_share``
        Half the sum of the absolute ``net_flow_share``: the share of all deposits that moves between regions. Whole panel only.

    Positive shares mean that funds leave. The measures balance stocks at book value: they do not trace single loans.

    Parameters
    ----------
    loans, deposits : columns, or Estimates by unit and period, in the same currency unit; stocks at the end of the period
    by : "region" (sums over its units) or "unit"

    Returns
    -------
    Estimates
        Rows of a region (or unit) carry its name; rows of the whole panel carry none, with ``term`` "all". Rows without a period are ratios
        of sums over all periods. A region without rows in a period is NaN with its reason. ``prob_positive`` of the ratio is P(> 1).

    Raises
    ------
    NotPositiveError
        Deposits that are not positive or loans that are negative; the message names the rows.
    SpecificationError
        Loans and deposits over different rows.
    """
    one_of("by", by, ("region", "unit"))
    lent, held = read_together(panel, [loans, deposits])
    held.require_positive("Deposits are the base of every share; set such rows aside first.")
    lent.require_not_negative("Loans are amounts outstanding; correct or set aside such rows.")
    groups = lent.region if by == "region" else lent.unit
    names = panel.regions if by == "region" else np.array([str(u) for u in panel.units], dtype=object)
    draws = np.broadcast_arrays(lent.draws, held.draws)
    rows = Rows(draws[0].shape[0], {"source": lent.source or held.source})
    for period in (*lent.periods, None):
        here = np.ones(lent.unit.size, dtype=bool) if period is None else lent.period == period
        totals = [group_sums(d[:, here], groups[here], names.size) for d in draws]
        counts = np.bincount(groups[here], minlength=names.size)
        _add_period(rows, names, by, totals, counts, period, panel)
    meta: dict[str, Any] = {"by": by, "loans": lent.name, "deposits": held.name, "convention": CONVENTION}
    interval = lent.interval if lent.has_draws else held.interval
    out = rows.estimates(f"Credit balance by {by}", level, interval, **meta)
    if out.draws is not None:
        ratio = ((out.frame["estimand"] == "loan_deposit_ratio") & out.frame["identified"]).to_numpy()
        out.frame.loc[ratio, "prob_positive"] = (out.draws[ratio] > 1).mean(axis=1)
    return out


def group_sums(values: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Sums of ``values`` (draws, n_rows) by group, (draws, n_groups)."""
    return values @ (group[:, None] == np.arange(n_groups)).astype(float)


def flows(lent: np.ndarray, held: np.ndarray) -> dict[str, np.ndarray]:
    """The measures of each region from sums (draws, R), by name, each (draws, R); a region without deposits is NaN."""
    all_lent, all_held = lent.sum(axis=1, keepdims=True), held.sum(axis=1, keepdims=True)
    present = held > 0
    ratio = np.where(present, lent / np.where(present, held, 1.0), np.nan)
    return {
        "loan_deposit_ratio": ratio,
        "outflow_share": 1 - ratio,
        "net_siphon_share": np.where(present, (held - lent) / all_held, np.nan),
        "net_flow_share": np.where(present, (held * (all_lent / all_held) - lent) / all_held, np.nan),
    }


def _add_period(
    rows: Rows, names: np.ndarray, by: str, totals: list[np.ndarray], counts: np.ndarray, period: Any, panel: Panel
) -> None:  # fmt: skip
    when = {} if period is None else {"period": period}
    span = "any period" if period is None else f"{panel.time} {period}"
    sums = ["sums over all periods"] if period is None else []
    notes = {"loan_deposit_ratio": "; ".join([*([RATIO_NOTE] if rows.n_draws > 1 else []), *sums])}
    parts = flows(*totals)
    for estimand, values in parts.items():
        note = notes.get(estimand, "; ".join(sums))
        for g, name in enumerate(names):
            rows.add(estimand, values[:, g], reason=f"no row of {name} in {span}", note=note, n_obs=counts[g], **{by: name}, **when)
    whole = flows(*(t.sum(axis=1, keepdims=True) for t in totals))
    for estimand in ("loan_deposit_ratio", "outflow_share"):
        note = notes.get(estimand, "; ".join(sums))
        rows.add(estimand, whole[estimand][:, 0], term="all", note=note, n_obs=counts.sum(), **when)
    moved = np.nansum(np.abs(parts["net_flow_share"]), axis=1) / 2
    rows.add("redistributed_share", moved, term="all", note="; ".join(sums), n_obs=counts.sum(), **when)
