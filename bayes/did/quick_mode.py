"""The posterior mode of :mod:`bayes.did.mode` without compiling anything: for refits that differ in layout, where compiling costs the most.

The log posterior is evaluated in numpy at many points at once, so that a gradient by central differences is one batch. It is the same
density as the compiled one (a test holds both together), a few times dearer per gradient and free to start with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from bayes.did.cross_products import coefficients, log_determinant
from bayes.did.draws import hyperparameters
from bayes.did.intensity import refuse_extensions
from bayes.did.likelihood import factor_patterns
from bayes.did.mode import GRADIENT_LIMIT, Coordinate, Mode, posterior_modes
from bayes.did.posterior import Hyperparameters, conditional_factor, shrunk_products
from bayes.did.state import CollapsedPanel
from bayes.inference.sampling import single_threaded_algebra

if TYPE_CHECKING:
    from bayes.did.model import StaggeredDiD

_STEP = 1e-4
"""Of central differences: rounding leaves errors of about 1e-6 in a derivative, curvature 1e-5, both far below what a mode needs."""


def coordinates_of(spec: StaggeredDiD, collapsed: CollapsedPanel) -> tuple[tuple[str, ...], list[Coordinate]]:
    """Names of the sampled parameters and the coordinates in which their mode is sought."""
    priors, scale = spec.resolved_priors(), float(collapsed.scales[-1])
    names = spec.parameters(collapsed)
    return names, [Coordinate.of(n, priors[n], scale) for n in names]


def log_posteriors(spec: StaggeredDiD, collapsed: CollapsedPanel, z: np.ndarray) -> np.ndarray:
    """Log posterior density of the coordinates ``z`` (points, parameters), shape (points,); NaN where rounding leaves no density."""
    names, coordinates = coordinates_of(spec, collapsed)
    scale = float(collapsed.scales[-1])
    values = {n: c.value(z[:, j]) * c.unit(scale) for j, (n, c) in enumerate(zip(names, coordinates, strict=True))}
    prior = sum(c.log_density(z[:, j]) for j, c in enumerate(coordinates))
    try:
        return prior + log_likelihoods(collapsed, hyperparameters(values, collapsed, spec.resolved_priors()))
    except np.linalg.LinAlgError:
        return np.full(len(z), np.nan)


def log_likelihoods(collapsed: CollapsedPanel, h: Hyperparameters) -> np.ndarray:
    """The collapsed log likelihood (:mod:`bayes.did.likelihood`) of every draw of the hyperparameters."""
    products = collapsed.sampled_products
    n, rows, p, k = products.n_units, products.n_rows, products.n_flat, products.n_columns
    s = shrunk_products(products, h)
    t, lower = conditional_factor(s[:, :k, :k], p, collapsed.basis, h)
    c = t.transpose(0, 2, 1) @ s[:, :k, k:]
    z = np.linalg.solve(lower, c)[..., 0]
    log_s = np.log(h.innovation_sd**2)
    log_a = 2 * np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1) - (lower.shape[1] - p) * log_s
    f = coefficients(h.autocorrelation, products.gaps)
    scale = [1.0, *[(sd / h.innovation_sd)[:, None] for sd in h.unit_sds.T]]
    factor = factor_patterns(np.einsum("fn,pfab->abnp", f, products.zz), scale)
    log_p = 2 * sum(np.log(factor[a][a]) @ products.pattern_units for a in range(len(factor)))
    log_r = log_determinant(h.autocorrelation, products.gaps, products.gap_counts, n)
    fit = (s[:, k, k] - (z**2).sum(axis=1)) / h.innovation_sd**2
    return -0.5 * ((rows - n - p) * (np.log(2 * np.pi) + log_s) + log_r + log_p + log_a + fit)


@single_threaded_algebra()
def mode_of(spec: StaggeredDiD, collapsed: CollapsedPanel) -> Mode:
    """The posterior mode of the scales; by the compiled density where this way does not arrive.

    Raises :class:`UnsupportedModelError` for Student-t errors.
    """
    refuse_extensions(spec, "The posterior mode of the scales", allowed=("dose", "moderators"))
    names, coordinates = coordinates_of(spec, collapsed)
    bounds = np.array([c.bounds for c in coordinates])
    steps = _STEP * np.vstack([np.zeros(len(names)), np.eye(len(names)), -np.eye(len(names))])

    def negative(z: np.ndarray) -> tuple[float, np.ndarray]:
        values = log_posteriors(spec, collapsed, z + steps)
        up, down = np.split(values[1:], 2)
        gradient = (up - down) / (2 * _STEP)
        return (-values[0], -gradient) if np.isfinite(values).all() else (1e10, np.zeros(z.size))

    start = np.array([c.start() for c in coordinates])
    found = minimize(negative, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-11, "gtol": 1e-4, "maxiter": 300})
    left = float(np.abs(np.clip(found.x - found.jac, *bounds.T) - found.x).max())
    if found.fun >= 1e10 or left >= GRADIENT_LIMIT:
        return next(posterior_modes(spec, [collapsed]))[1]
    scale = float(collapsed.scales[-1])
    return Mode({n: float(c.value(v) * c.unit(scale)) for n, c, v in zip(names, coordinates, found.x, strict=True)}, True, left)
