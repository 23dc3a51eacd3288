"""What a fit reports: parameters in the units of the data, with standard errors by the delta method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayes.baselines._frontier_optimum import FLAT
from bayes.baselines._frontier_solution import Solution, Status
from bayes.frontier.data import FrontierData

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

_STEP = 1e-5


class Reported(NamedTuple):
    """Parameters named by estimand and term as in :class:`bayes.Estimates`, with covariance (NaN where there is none)."""

    names: tuple[tuple[str, str], ...]
    estimates: np.ndarray
    covariance: np.ndarray


def report_parameters(solution: Solution, spec: StochasticFrontier, data: FrontierData) -> Reported:
    """Point estimates in the order technology, scales, shape of inefficiency, determinants, unit effects."""
    theta = solution.point.theta
    named = _values(theta, solution, spec, data)
    covariance = _covariance(solution, lambda t: np.array(list(_values(t, solution, spec, data).values())))
    limits = _limits(solution, spec)
    estimates = np.array([limits.get(name[0], value) for name, value in named.items()])
    for k, name in enumerate(named):
        if name[0] in limits:
            covariance[k], covariance[:, k] = np.nan, np.nan
    return Reported(tuple(named), estimates, covariance)


def _values(theta: np.ndarray, solution: Solution, spec: StochasticFrontier, data: FrontierData) -> dict[tuple[str, str], float]:
    p = solution.problem.parameters(theta)
    sigma_u = float(p["inefficiency_scale"][0])
    out: dict[tuple[str, str], Any] = {("technology", name): b for name, b in zip(data.term_names, p["technology"][0], strict=True)}
    out |= {("noise_scale", ""): p["noise_scale"][0], ("inefficiency_scale", ""): sigma_u}
    if spec.inefficiency == "truncated-normal":
        ratio = p.get("location_ratio", np.nan)
        out |= {("location_ratio", ""): ratio, ("location", ""): ratio * sigma_u}
        if solution.status is Status.RIDGE and solution.problem.structure.inefficiency == "exponential":
            out["exponential_scale", ""] = sigma_u
    for name in ("shape", "degrees_of_freedom"):
        if name in p:
            out[name, ""] = p[name]
    if spec.model == "bc92":
        out["decay", ""] = p["decay"]
    elif spec.model == "kumbhakar-1990":
        out |= {("path_linear", ""): p["path"][0], ("path_quadratic", ""): p["path"][1]}
    for q, name in enumerate(spec.determinants):
        out["determinant", name] = p["determinant"][q] / data.determinant_scale[q]
    if spec.determinants and spec.determinants_in == "mean":
        for q, name in enumerate(spec.determinants):
            out["mean_determinant", name] = p["determinant"][q] * sigma_u / data.determinant_scale[q]
    for q, name in enumerate(spec.noise_determinants):
        out["noise_determinant", name] = p["noise_determinant"][q] / data.noise_determinant_scale[q]
    for name in ("unit_effect_sd", "persistent_scale"):
        if name in p:
            out[name, ""] = p[name]
    return {name: float(value) for name, value in out.items()}


def _limits(solution: Solution, spec: StochasticFrontier) -> dict[str, float]:
    """Values that the search can only approach: scales that are zero, and the truncated normal's parameters on its ridge."""
    words = {"inefficiency": "inefficiency_scale", "unit_effect": "unit_effect_sd", "persistent": "persistent_scale"}
    out = {words[name]: 0.0 for name in solution.gone}
    if solution.status is Status.RIDGE and solution.problem.structure.inefficiency == "exponential":
        out |= {"inefficiency_scale": np.inf, "location_ratio": -np.inf, "location": -np.inf}
    if solution.status is Status.NO_NOISE:
        out["noise_scale"] = 0.0
    if solution.status is Status.NO_INEFFICIENCY:
        unidentified = ("location_ratio", "location", "shape", "decay", "path_linear", "path_quadratic", "determinant", "mean_determinant")
        out |= dict.fromkeys(unidentified, np.nan)
    return out


def _covariance(solution: Solution, values: Any) -> np.ndarray:
    """Delta method on the inverse of the observed information. What loads on a direction without information has no standard error."""
    point, problem = solution.point, solution.problem
    active = np.flatnonzero(point.active)
    jacobian = _jacobian(values, point.theta, active)
    size = jacobian.shape[0]
    if solution.status in (Status.NO_NOISE, Status.NOT_CONVERGED) or not np.isfinite(point.hessian).all():
        return np.full((size, size), np.nan)
    eigenvalues, vectors = np.linalg.eigh(-point.hessian[np.ix_(active, active)] * problem.n_rows)
    firm = eigenvalues > FLAT * problem.n_rows
    along = jacobian @ vectors
    covariance = (along[:, firm] / eigenvalues[firm]) @ along[:, firm].T
    scale = np.abs(values(point.theta)) + 1e-8
    loose = (np.abs(along[:, ~firm]) > 1e-5 * scale[:, None]).any(axis=1) | ~(np.diag(covariance) > 0)
    covariance[loose], covariance[:, loose] = np.nan, np.nan
    return covariance


def _jacobian(values: Any, theta: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Central differences of smooth elementary functions: relative error 1e-10."""
    columns = []
    for k in active:
        step = np.zeros(theta.size)
        step[k] = _STEP * max(1.0, abs(theta[k]))
        columns.append((values(theta + step) - values(theta - step)) / (2 * step[k]))
    return np.column_stack(columns) if columns else np.zeros((values(theta).size, 0))
