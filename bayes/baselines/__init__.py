"""Frequentist peers and published figures, as :class:`bayes.Estimates` that stand beside a posterior.

``did`` runs the difference-in-differences estimators that a referee knows; ``names`` lists them; ``published`` reads the figures that a
study printed, ``audit`` checks them against one another, ``pool`` shrinks regional ones. ``event_study`` adds the covariance of its
estimates, ``honest_did`` bounds its effects when trends are not parallel, ``wild_bootstrap`` gives a p-value of the overall effect. These
estimators are those of kept libraries (pyfixest, diff-diff, moderndid), imported when one is called. ``frontier`` is maximum likelihood
of a stochastic frontier, on this package's own densities.
"""

from __future__ import annotations

from bayes.baselines._cross_lagged import cross_lagged
from bayes.baselines._did import did, names
from bayes.baselines._event_study import event_study
from bayes.baselines._frontier import frontier
from bayes.baselines._honest_did import honest_did
from bayes.baselines._mediation import mediation
from bayes.baselines._stepwise import stepwise
from bayes.baselines._wild_bootstrap import wild_bootstrap
from bayes.baselines.pooled_estimates import pool
from bayes.baselines.published_audit import audit
from bayes.baselines.published_estimates import published
from bayes.baselines.statements import beside_statements

__all__ = [
    "audit",
    "beside_statements",
    "cross_lagged",
    "did",
    "event_study",
    "frontier",
    "honest_did",
    "mediation",
    "names",
    "pool",
    "published",
    "stepwise",
    "wild_bootstrap",
]
