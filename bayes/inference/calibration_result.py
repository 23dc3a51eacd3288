"""What a calibration found: ranks, coverage, errors, and how many of its fits did not sample well."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bayes.arguments import checked_methods
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.inference.rank_uniformity import Bands, difference, p_values, simultaneous_bands

RHAT_LIMIT = 1.05
"""Of a replicate's short chains. The 1.01 of a fit that is reported asks for more draws than ranks need."""


@checked_methods
@dataclass(frozen=True, eq=False, repr=False)
class CalibrationResult:
    """Simulation-based calibration of a model on a panel; see :func:`bayes.calibrate`.

    Attributes
    ----------
    labels : tuple of dict
        What is ranked: ``estimand``, ``term``, ``region`` as in tables of estimates. Q of them.
    ranks : array (n, Q)
        Rank of the true value among ``n_ranks`` thinned posterior draws, 0 … n_ranks.
    below : array (n, Q)
        Share of all posterior draws below the true value.
    truth, mean, sd : arrays (n, Q)
        True value, posterior mean and standard deviation.
    divergences, rhat, ess : arrays (n,)
        Of every replicate: divergent draws, largest R-hat and smallest bulk effective sample size over sampled parameters.
    n_ranks : int
    meta : dict
        Family, seed, draws, tune, chains, what was held fixed, seconds.
    """

    labels: tuple[dict[str, str], ...]
    ranks: np.ndarray
    below: np.ndarray
    truth: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    divergences: np.ndarray
    rhat: np.ndarray
    ess: np.ndarray
    n_ranks: int
    meta: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ranks)

    @property
    def names(self) -> list[str]:
        """Readable names of what is ranked."""
        return [" ".join(filter(None, (w["estimand"], w["term"], w["region"]))) for w in self.labels]

    @property
    def failed(self) -> np.ndarray:
        """True for replicates with a divergent draw or an R-hat of 1.05 and more. They are kept: leaving them out would select."""
        return (self.divergences > 0) | ~(self.rhat < RHAT_LIMIT)

    def coverage(self, level: float | list[float] = 0.9) -> Estimates:
        """Share of equal-tailed posterior intervals that hold the truth; ``se`` is its Monte-Carlo error, the interval is Jeffreys' (95 %).

        ``level``: one level, or several, told apart in the column ``variant``.
        """
        levels = np.atleast_1d(np.asarray(level, dtype=float))
        if not ((levels > 0) & (levels < 1)).all():
            raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
        n, rows = len(self), []
        for one in levels.tolist():
            tail = (1 - one) / 2
            inside = ((self.below >= tail) & (self.below <= 1 - tail)).sum(axis=0)
            for words, k in zip(self.labels, inside.tolist(), strict=True):
                share = k / n
                lower, upper = stats.beta.ppf([0.025, 0.975], k + 0.5, n - k + 0.5)
                own = {"estimate": share, "se": np.sqrt(share * (1 - share) / n), "lower": lower, "upper": upper}
                rows.append(self._row(words, "coverage", own | {"variant": f"{one:.0%} interval", "interval": "Jeffreys", "level": 0.95}))
        return replace(Estimates.from_rows(rows, title="Coverage of posterior intervals"), meta=self.meta)

    def rmse(self) -> Estimates:
        """Root mean squared error of posterior means, with its Monte-Carlo error."""
        squares = (self.mean - self.truth) ** 2
        root = np.sqrt(squares.mean(axis=0))
        error = squares.std(axis=0, ddof=1) / np.sqrt(len(self)) / (2 * np.maximum(root, np.finfo(float).tiny))
        rows = [self._row(w, "rmse", {"estimate": r, "se": e}) for w, r, e in zip(self.labels, root, error, strict=True)]
        return replace(Estimates.from_rows(rows, title="Root mean squared error of posterior means"), meta=self.meta)

    def ecdf_difference(self) -> np.ndarray:
        """Distribution function of the ranks minus that of uniform ones, shape (Q, n_ranks + 1)."""
        return difference(self.ranks, self.n_ranks)

    def bands(self, level: float = 0.95) -> Bands:
        """Simultaneous bands of :meth:`ecdf_difference`, the same for every quantity (Säilynoja, Bürkner & Vehtari 2022)."""
        if not 0 < level < 1:
            raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
        return simultaneous_bands(len(self), self.n_ranks, level)

    def uniformity(self) -> np.ndarray:
        """p value of uniform ranks for each quantity, shape (Q,). With Q of them, hold the smallest against 0.05/Q."""
        return p_values(self.ranks, self.n_ranks)

    @property
    def frame(self) -> pd.DataFrame:
        """One row a quantity: p value, coverage of 50, 90 and 95 % intervals, RMSE, mean posterior sd over RMSE."""
        shares = [self.coverage(level).frame["estimate"].to_numpy() for level in (0.5, 0.9, 0.95)]
        root = self.rmse().frame["estimate"].to_numpy()
        spread = np.sqrt((self.sd**2).mean(axis=0))
        columns = {"quantity": self.names, "p uniform": self.uniformity(), "50 %": shares[0], "90 %": shares[1], "95 %": shares[2]}
        with np.errstate(divide="ignore", invalid="ignore"):
            return pd.DataFrame(columns | {"RMSE": root, "sd / RMSE": spread / root})

    @property
    def verdict(self) -> str:
        """One sentence for the head of tables."""
        p = self.uniformity()
        worst, limit = int(np.argmin(p)), 0.05 / p.size
        words = f"{len(self)} replicates, {int(self.failed.sum())} with divergent draws or R-hat ≥ {RHAT_LIMIT}"
        if p[worst] < limit:
            return f"Ranks of {self.names[worst]} are NOT uniform (p = {p[worst]:.2g} < 0.05/{p.size}): the posterior is off. {words}."
        return f"Ranks are compatible with uniform: smallest p = {p[worst]:.2g} of {p.size} (limit 0.05/{p.size} = {limit:.2g}). {words}."

    def __repr__(self) -> str:
        return (
            f"Calibration of {self.meta.get('model', 'a model')}\n{self.frame.to_string(index=False, float_format='%.3g')}\n{self.verdict}"
        )

    def _row(self, words: dict[str, str], kind: str, own: dict[str, Any]) -> dict[str, Any]:
        term = " ".join(filter(None, (words["estimand"], words["term"])))
        return {
            "estimand": kind,
            "term": term,
            "region": words["region"],
            "source": "simulation-based calibration",
            "n_obs": len(self),
        } | own
