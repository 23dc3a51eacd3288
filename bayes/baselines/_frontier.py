"""Stochastic frontiers by maximum likelihood: the same specification and densities as the Bayesian model, pooled or region by region."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayes.arguments import checked
from bayes.baselines._frontier_likelihood import Structure, rows_of
from bayes.baselines._frontier_result import FrontierMLE, RegionalFrontierMLE, collapsed
from bayes.baselines._frontier_solution import Status, solve
from bayes.errors import BaselineWarning, BayesError, BayesWarning, WrongSkewnessWarning, warn_user
from bayes.frontier.data import FrontierData
from bayes.panel import Panel

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier


@checked
def frontier(spec: StochasticFrontier, panel: Panel) -> FrontierMLE | RegionalFrontierMLE:
    """Maximum likelihood of a stochastic frontier, for the specification of the Bayesian model.

    The likelihood is that of ``bayes.frontier``, inefficiency integrated out; unit effects are integrated out too, by Gauss–Hermite
    quadrature around each unit's mode (true random effects) or a composite Gauss–Legendre rule (four components). Derivatives are exact.
    The search starts from a grid over the share of inefficiency and from the optima of all nested models, and ends with Newton steps, so
    that the result is never below a nested model. Priors, ``monotonicity`` and partial pooling play no part.

    Parameters
    ----------
    spec : StochasticFrontier
        ``pooling="none"``: one fit per region. Otherwise one technology, σ_u and σ_v for all regions.
    panel : Panel
        Columns are used as they are.

    Returns
    -------
    FrontierMLE
        ``status`` and ``message`` say whether an interior optimum was found, and what was found instead. Standard errors come from the
        Hessian; NaN where there are none.
    RegionalFrontierMLE
        With ``pooling="none"`` and several regions: a FrontierMLE for each, in ``by_region``.

    Raises
    ------
    SpecificationError, NoVariationError, CollinearColumnsError, MissingColumnError, MissingValueError
        As :func:`bayes.frontier.checks.check_panel`; for regions on their own they become a warning.

    Warns
    -----
    BaselineWarning
        No interior optimum, or regions that could not be fitted.
    TimingWarning
        As :func:`bayes.frontier.checks.check_panel`.

    References
    ----------
    Aigner, Lovell & Schmidt (1977), Journal of Econometrics 6(1); Waldman (1982), Journal of Econometrics 18 (least squares as a stationary
    point); Battese & Coelli (1992), Journal of Productivity Analysis 3; Battese & Coelli (1995), Empirical Economics 20; Greene (2005),
    Journal of Econometrics 126(2); Kumbhakar, Lien & Hardaker (2014), Journal of Productivity Analysis 41(2).
    """
    from bayes.inference.sampling import prepare_jax

    prepare_jax()
    pooled = replace(spec, pooling="complete")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WrongSkewnessWarning)  # the status and the skewness tests of the result say what comes of it
        data = pooled.data(panel)
        if spec.pooling == "none" and data.n_regions > 1:
            return _by_region(pooled, panel, data)
    fit = FrontierMLE(
        spec, data, solve(Structure.of(spec), rows_of(collapsed(data), spec.sign)), "", "Maximum likelihood, complete pooling"
    )
    if fit.status is not Status.INTERIOR:
        warn_user(f"Maximum likelihood found no interior optimum. {fit.status.value}. {fit.message}", BaselineWarning)
    return fit


def _by_region(pooled: StochasticFrontier, panel: Panel, data: FrontierData) -> RegionalFrontierMLE:
    fits: dict[str, FrontierMLE] = {}
    failed: dict[str, str] = {}
    largest = int(np.bincount(data.unit_region).max())
    for code, name in enumerate(map(str, data.regions)):
        units = np.flatnonzero(data.unit_region == code)
        try:
            _check(pooled, panel, code)
            solution = solve(Structure.of(pooled), rows_of(data, pooled.sign, units, largest))
        except (BayesError, np.linalg.LinAlgError) as error:
            failed[name] = str(error)
            continue
        fits[name] = FrontierMLE(replace(pooled, pooling="none"), _part(data, units), solution, name, "Maximum likelihood, by region")
    _report(fits, failed)
    return RegionalFrontierMLE(fits, failed)


def _check(pooled: StochasticFrontier, panel: Panel, code: int) -> None:
    """Refuse what the region's own rows do not determine."""
    rows = panel.unit_regions[panel.unit_codes] == code
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesWarning)  # said of the whole panel before
        pooled.data(replace(panel, frame=panel.frame[rows].reset_index(drop=True)))


def _part(data: FrontierData, units: np.ndarray) -> FrontierData:
    """The rows of some units; centres, scales and the origin of time stay those of the panel."""
    kept = data.mask[units] > 0
    row = np.full(kept.shape, -1)
    row[kept] = np.argsort(np.argsort(data.row[units][kept]))
    code = data.unit_region[units[0]]
    part = replace(
        data, output=data.output[units], design=data.design[:, units], mask=data.mask[units], row=row, period=data.period[units],
        unit_region=np.zeros(units.size, dtype=int), determinants=data.determinants[:, units], units=data.units[units],
        noise_determinants=data.noise_determinants[:, units], values={name: v[units] for name, v in data.values.items()},
        regions=data.regions[[code]],
    )  # fmt: skip
    part.__dict__["since_first"] = data.since_first[units]
    return part


def _report(fits: dict[str, FrontierMLE], failed: dict[str, str]) -> None:
    """One warning for all regions without an interior optimum."""
    kinds: dict[str, list[str]] = {}
    for name, fit in fits.items():
        if fit.status is not Status.INTERIOR:
            kinds.setdefault(fit.status.value, []).append(name)
    parts = [f"{kind}: {', '.join(names)}" for kind, names in kinds.items()]
    parts += [f"not fitted: {name} ({why})" for name, why in failed.items()]
    if parts:
        total = len(fits) + len(failed)
        found = sum(fit.status is Status.INTERIOR for fit in fits.values())
        warn_user(
            f"Maximum likelihood by region found an interior optimum in {found} of {total} regions. {'. '.join(parts)}.", BaselineWarning
        )
