"""An event study with the covariance of its estimates, for analyses that need more than standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayes.arguments import checked
from bayes.baselines._callaway_santanna import event_covariance
from bayes.baselines._did import did
from bayes.baselines._libraries import quiet
from bayes.baselines._sample import make_sample
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.panel import Panel


@dataclass(frozen=True, eq=False)
class EventStudy:
    """Estimates by event time (rows) and their sampling covariance in the same order, shape (rows, rows)."""

    estimates: Estimates
    covariance: np.ndarray

    def between(self, first: float, last: float) -> EventStudy:
        """Event times from ``first`` to ``last`` only: far ones rest on few cohorts."""
        keep = self.estimates.frame["event_time"].between(first, last).to_numpy()
        if not keep.any():
            raise SpecificationError(f"No event time lies between {first:g} and {last:g}.")
        times = self.estimates.frame["event_time"][keep].tolist()
        return EventStudy(self.estimates.where(event_time=times), self.covariance[np.ix_(keep, keep)])


@checked
def event_study(
    panel: Panel, outcome: str, covariates: Sequence[str] = (), control_group: str = "not-yet", cluster: str | None = None,
    anticipation: int = 0, level: float = 0.95, *, weights: bool = False,
) -> EventStudy:  # fmt: skip
    """Callaway and Sant'Anna's event study relative to the last untreated period, with the covariance of its estimates (diff-diff).

    What ``bayes.event_study_sensitivity`` and ``bayes.baselines.honest_did`` take. Doubly robust, base period g − 1 − ``anticipation`` for
    leads and effects alike; the covariance comes from the same influence functions as the standard errors.

    Parameters, errors and warnings as in :func:`bayes.baselines.did`; in addition :class:`SpecificationError` when the estimator fails on
    this panel or gives no covariance.
    """
    rows = did(panel, outcome, "callaway-santanna", covariates, control_group, cluster, anticipation, level, weights=weights)
    rows = rows.where(term="event", identified=True)
    if len(rows) == 0:
        raise SpecificationError(f"Callaway–Sant'Anna gives no event study of {outcome!r} on this panel (the warning says why).")
    names = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    sample = make_sample(panel, outcome, names, cluster or panel.unit, weights, anticipation, level, "universal")
    with quiet():
        times, covariance = event_covariance(sample, control_group)
    place = [times.index(e) if e in times else -1 for e in rows.frame["event_time"].tolist()]
    if -1 in place or not np.allclose(np.sqrt(np.diag(covariance))[place], rows.frame["se"], rtol=1e-6):
        raise SpecificationError("The estimator gives no covariance that goes with its standard errors on this panel.")
    return EventStudy(rows, covariance[np.ix_(place, place)])
