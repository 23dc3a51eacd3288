"""FrontierMLE: a maximum-likelihood frontier with its status, tests, efficiencies and elasticities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special

from bayes.aggregation import Groups, group_rows
from bayes.arguments import checked_methods
from bayes.baselines._frontier_efficiency import efficiency_of_rows
from bayes.baselines._frontier_likelihood import Structure
from bayes.baselines._frontier_parameters import Reported, report_parameters
from bayes.baselines._frontier_solution import Solution, Status
from bayes.baselines._frontier_tests import LikelihoodRatioTest, likelihood_ratio_test
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.frontier.aggregation import row_index
from bayes.frontier.data import FrontierData
from bayes.frontier.efficiency import ESTIMATORS
from bayes.frontier.elasticities import slopes
from bayes.frontier.inefficiency import require_component
from bayes.frontier.skewness import SkewnessTest, coelli_1995, dagostino
from bayes.frontier.support import WITH_UNIT_EFFECTS

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

_ESTIMATORS = tuple(name for name in ESTIMATORS if name != "draws")


@checked_methods
@dataclass(frozen=True, eq=False)
class FrontierMLE:
    """Maximum likelihood of one stochastic frontier; made by :func:`bayes.baselines.frontier`.

    Attributes
    ----------
    spec : StochasticFrontier
    data : FrontierData
        The rows used, with the regions of the panel as labels.
    region : str
        The region fitted on its own; "" for a fit of the whole panel.
    source : str
        How tables name the fit.
    solution : Solution
        The optimum in free coordinates.
    """

    spec: StochasticFrontier
    data: FrontierData
    solution: Solution
    region: str = ""
    source: str = "Maximum likelihood"

    @property
    def status(self) -> Status:
        """Where maximum likelihood ended."""
        return self.solution.status

    @property
    def message(self) -> str:
        """What the status means here."""
        return self.solution.message

    @property
    def loglik(self) -> float:
        """Log likelihood at the estimates; on a ridge its supremum."""
        return self.solution.loglik

    @property
    def loglik_ols(self) -> float:
        """Log likelihood of least squares with normal errors."""
        n, log_scale = self.solution.problem.n_rows, float(self.solution.problem.rows.log_scale)
        return -0.5 * n * (np.log(2 * np.pi) + 1 + 2 * log_scale)

    @cached_property
    def lr_test(self) -> LikelihoodRatioTest:
        """No inefficiency against the model: least squares, random effects for models with unit effects."""
        blocks = Structure.of(self.spec).blocks
        beside = ("location", "shape", "decay", "path", "determinant")
        return likelihood_ratio_test(self.solution, sum(blocks.get(name, 0) for name in beside))

    @cached_property
    def skewness(self) -> tuple[SkewnessTest, SkewnessTest]:
        """Coelli (1995) and D'Agostino (1970) on least-squares residuals; within units where the model has unit effects."""
        residuals = _residuals(self.data, self.spec.model in WITH_UNIT_EFFECTS)
        return coelli_1995(residuals, self.spec.sign), dagostino(residuals, self.spec.sign)

    @cached_property
    def _reported(self) -> Reported:
        return report_parameters(self.solution, self.spec, self._collapsed)

    @cached_property
    def _collapsed(self) -> FrontierData:
        return collapsed(self.data)

    @cached_property
    def _limiting_spec(self) -> StochasticFrontier:
        """The specification that the estimates hold for: on a ridge the exponential one."""
        slid = self.status is Status.RIDGE and self.solution.problem.structure.inefficiency == "exponential"
        return replace(self.spec, inefficiency="exponential") if slid else self.spec

    @cached_property
    def frame(self) -> pd.DataFrame:
        """parameter, estimate, se, region.

        The intercept is the frontier at the means of inputs and time. ``determinant`` is per unit of its column; with
        ``determinants_in="mean"`` in units of σ_u, and ``mean_determinant`` in units of output, as is ``location``, μ at their means.
        """
        se = np.sqrt(np.diag(self._reported.covariance))
        names = [term if what == "technology" else f"{what}:{term}" if term else what for what, term in self._reported.names]
        return pd.DataFrame({"parameter": names, "estimate": self._reported.estimates, "se": se, "region": self.region})

    @property
    def mean_efficiency(self) -> float:
        """Mean over rows of Battese–Coelli E[exp(−u)|ε]."""
        return float(self._efficiencies("battese-coelli", "overall").mean())

    def _efficiencies(self, estimator: str, component: str) -> np.ndarray:
        return efficiency_of_rows(self.solution, self._limiting_spec, self._collapsed, estimator, component)

    def efficiency(self, estimator: str = "battese-coelli", by: str = "unit:period", component: str = "overall") -> Estimates:
        """Efficiency exp(−u) at the estimates, averaged over groups of rows.

        Parameters
        ----------
        estimator : "battese-coelli" or "jlms"
            E[exp(−u) | ε] (Battese & Coelli 1988) or exp(−E[u | ε]) (Jondrow et al. 1982). With unit effects both are given all rows of
            the unit.
        by : "unit:period", "unit", "region", "period", "region:period" or "all"
        component : "overall", "persistent" or "transient"
            The last two for ``model="four-component"``.

        Returns
        -------
        Estimates
            Estimand ``efficiency``, ``term`` = by; no standard errors: estimates are taken as known.

        Raises
        ------
        SpecificationError
            On words that do not exist.
        """
        if estimator not in _ESTIMATORS:
            raise SpecificationError(f"estimator={estimator!r} does not exist for maximum likelihood. Choose: {', '.join(_ESTIMATORS)}.")
        require_component(self.spec, component)
        groups = group_rows(by, row_index(self.data), self.data)
        values = groups.mean(self._efficiencies(estimator, component)[None])[:, 0]
        rows = _labelled(groups, estimand="efficiency", term=by, variant="" if component == "overall" else component)
        frame = pd.DataFrame(rows).assign(estimate=values, source=f"{self.source}, {ESTIMATORS[estimator]}", note=self._note)
        return Estimates.from_rows(frame, title=f"efficiency by {by}", outcome=self.spec.output)

    def elasticities(self, by: str = "region", level: float = 0.95) -> Estimates:
        """Elasticity of output (of cost) to each input, averaged over rows of each group, with standard errors by the delta method.

        Estimand ``elasticity``, ``term`` = the input. Raises :class:`SpecificationError` on an unknown ``by``.
        """
        groups = group_rows(by, row_index(self.data), self.data)
        k = len(self.data.terms)
        beta, covariance = self._reported.estimates[:k], self._reported.covariance[:k, :k]
        rows, estimates, errors = [], [], []
        for name in self.spec.inputs:
            means = groups.weights @ slopes(self.data, name).T
            rows += _labelled(groups, estimand="elasticity", term=name)
            estimates.append(means @ beta)
            errors.append(np.sqrt(np.einsum("gk,kl,gl->g", means, covariance, means)))
        return self._table(rows, np.concatenate(estimates), np.concatenate(errors), level, f"elasticities by {by}")

    def estimates(self, level: float = 0.95) -> Estimates:
        """The parameters as rows for :func:`bayes.compare`: estimand ``technology`` with ``term`` = the coefficient, ``noise_scale``,
        ``inefficiency_scale``, …; normal intervals."""
        rows = [{"estimand": what, "term": term, "region": self.region, "n_obs": self.data.n_rows} for what, term in self._reported.names]
        errors = np.sqrt(np.diag(self._reported.covariance))
        return self._table(rows, self._reported.estimates, errors, level, "maximum-likelihood estimates")

    def _table(self, rows: list[dict[str, Any]], estimates: np.ndarray, errors: np.ndarray, level: float, title: str) -> Estimates:
        if not 0 < level < 1:
            raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
        reach = special.ndtri(0.5 + level / 2) * errors
        found = np.isfinite(errors)
        frame = pd.DataFrame(rows).assign(
            estimate=estimates, se=errors, lower=estimates - reach, upper=estimates + reach, level=np.where(found, level, np.nan),
            interval=np.where(found, "normal, Hessian", ""), source=self.source, identified=np.isfinite(estimates), note=self._note,
        )  # fmt: skip
        return Estimates.from_rows(frame, title=title, outcome=self.spec.output)

    @property
    def _note(self) -> str:
        return "" if self.status is Status.INTERIOR else self.status.value

    def __repr__(self) -> str:
        where = f" in {self.region}" if self.region else ""
        head = f"{self.source}{where}: {self.status.value}; log likelihood {self.loglik:.4f}, without inefficiency "
        head += f"{self.solution.loglik_null:.4f}; mean efficiency {self.mean_efficiency:.4f}; {self.data.n_rows} rows"
        return f"{head}\n{self.frame.to_string(index=False, float_format=lambda v: f'{v:.4g}')}"


@checked_methods
@dataclass(frozen=True, eq=False)
class RegionalFrontierMLE:
    """Maximum likelihood of every region on its own (``pooling="none"``).

    Attributes
    ----------
    by_region : mapping of region to FrontierMLE
        Regions that could be fitted; look at each one's ``status``.
    failed : mapping of region to str
        Regions that could not be fitted, and why.
    """

    by_region: Mapping[str, FrontierMLE]
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def loglik(self) -> float:
        """Sum over the regions fitted."""
        return sum(fit.loglik for fit in self.by_region.values())

    @property
    def loglik_ols(self) -> float:
        """Sum over the regions fitted."""
        return sum(fit.loglik_ols for fit in self.by_region.values())

    @property
    def status(self) -> dict[str, Status]:
        """Status of each region fitted."""
        return {name: fit.status for name, fit in self.by_region.items()}

    @property
    def message(self) -> str:
        """One line a region."""
        lines = [f"{name}: {fit.message}" for name, fit in self.by_region.items()]
        return "\n".join([*lines, *(f"{name}: not fitted. {why}" for name, why in self.failed.items())])

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Parameters of all regions, one below the other."""
        return pd.concat([fit.frame for fit in self.by_region.values()], ignore_index=True)

    @property
    def mean_efficiency(self) -> float:
        """Mean over the rows of the regions fitted."""
        sizes = [fit.data.n_rows for fit in self.by_region.values()]
        return float(np.average([fit.mean_efficiency for fit in self.by_region.values()], weights=sizes))

    def summary(self) -> pd.DataFrame:
        """One row a region: rows, log likelihood, least squares' log likelihood, LR test, skewness, mean efficiency, status."""
        rows = [
            {
                "region": name,
                "rows": fit.data.n_rows,
                "loglik": fit.loglik,
                "loglik_ols": fit.loglik_ols,
                "lr": fit.lr_test.statistic,
                "p_value": fit.lr_test.p_value,
                "skewness": fit.skewness[0].skewness,
                "mean_efficiency": fit.mean_efficiency,
                "status": fit.status.value,
            }
            for name, fit in self.by_region.items()
        ]
        return pd.DataFrame(rows + [{"region": name, "status": f"failed: {why}"} for name, why in self.failed.items()])

    def efficiency(self, estimator: str = "battese-coelli", by: str = "unit:period", component: str = "overall") -> Estimates:
        """As :meth:`FrontierMLE.efficiency`, each unit against the frontier of its own region."""
        return _joined([fit.efficiency(estimator, by, component) for fit in self.by_region.values()])

    def elasticities(self, by: str = "region", level: float = 0.95) -> Estimates:
        """As :meth:`FrontierMLE.elasticities`, from each region's own technology."""
        return _joined([fit.elasticities(by, level) for fit in self.by_region.values()])

    def estimates(self, level: float = 0.95) -> Estimates:
        """As :meth:`FrontierMLE.estimates`, with the region in its column."""
        return _joined([fit.estimates(level) for fit in self.by_region.values()])

    def __repr__(self) -> str:
        return f"Maximum likelihood by region\n{self.summary().to_string(index=False, float_format=lambda v: f'{v:.4g}')}"


def collapsed(data: FrontierData) -> FrontierData:
    """The same rows as one region."""
    out = replace(data, unit_region=np.zeros(data.n_units, dtype=int), regions=np.array(["all"], dtype=object))
    out.__dict__["since_first"] = data.since_first  # counted from the first period of the whole panel, also in a part of it
    return out


def _labelled(groups: Groups, **columns: Any) -> list[dict[str, Any]]:
    """One row a group, with its labels and its number of rows."""
    return [{**label, **columns, "n_obs": int(size)} for label, size in zip(groups.labels, groups.sizes, strict=True)]


def _joined(parts: list[Estimates]) -> Estimates:
    frame = pd.concat([part.frame for part in parts], ignore_index=True)
    return Estimates(frame, None, parts[0].title, parts[0].meta)


def _residuals(data: FrontierData, within: bool) -> np.ndarray:
    kept = data.mask > 0
    columns = np.concatenate([data.output[None], data.design])
    if within:
        means = (columns * data.mask).sum(axis=-1, keepdims=True) / data.mask.sum(axis=1)[:, None]
        columns = (columns - means) * data.mask
    y, x = columns[0][kept], columns[1:][:, kept].T
    return y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
