"""Frequentist peers and published figures, as :class:`bayes.Estimates` that stand beside a posterior.

``did`` runs the difference-in-differences estimators that a referee knows; ``names`` lists them; ``published`` reads the figures that a
study printed. These estimators are those of kept libraries (pyfixest, diff-diff, moderndid), imported when one is called. ``frontier``
is maximum likelihood of a stochastic frontier, on this package's own densities.
"""

from __future__ import annotations

from bayes.baselines._did import did, names
from bayes.baselines._frontier import frontier
from bayes.baselines.published_estimates import published

__all__ = ["did", "frontier", "names", "published"]
