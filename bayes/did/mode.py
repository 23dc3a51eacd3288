"""Posterior mode of the scales, then exact conditional draws: a refit in a fraction of a second, for many outcomes or timings of one panel.

The mode is taken in the coordinates in which NUTS moves (logarithms of scales, logits of bounded parameters, with their Jacobians), where
it is interior: on the scales themselves it would sit at zero for every component that the data do not ask for. The density is compiled
once; panels of the same layout (cells, patterns, numbers of rows and columns) differ only in the cross-products handed to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.optimize import minimize

from bayes.did.cross_products import CrossProducts
from bayes.did.draws import posterior_dataset
from bayes.did.intensity import refuse_extensions
from bayes.did.likelihood import component_names, make_log_likelihood
from bayes.did.state import CollapsedPanel
from bayes.inference.sampling import prepare_jax, single_threaded_algebra
from bayes.priors import Prior

if TYPE_CHECKING:
    from bayes.did.model import StaggeredDiD

_LOG_BOUNDS = (-14.0, 5.0)
"""Scales between 1e-6 and 150 standard deviations of the outcome; the mode lies inside unless a prior puts it elsewhere."""
_LOGIT_BOUNDS = (-14.0, 14.0)
GRADIENT_LIMIT = 1e-2
"""Largest derivative at a mode. Densities curve by about one where the data say little, which leaves 0.01 posterior standard deviations,
and by the number of rows where they say much, where rounding of the density alone leaves derivatives of 1e-3."""


@dataclass(frozen=True)
class Mode:
    """Scales and ρ at the posterior mode, in units of the outcome; whether the optimiser got there; largest derivative left."""

    values: dict[str, float]
    converged: bool
    gradient: float


def posterior_modes(spec: StaggeredDiD, panels: Iterable[CollapsedPanel]) -> Iterator[tuple[CollapsedPanel, Mode]]:
    """Each panel in turn with its mode, which is sought from the one before.

    ``panels`` are collapsed by ``spec``. A panel of another layout is compiled anew (seconds); the rest costs some tens of gradients.
    """
    refuse_extensions(spec, "The posterior mode of the scales", allowed=("dose", "moderators"))
    prepare_jax()
    key, counts, density, z = None, np.zeros(0, dtype=int), None, None
    priors = spec.resolved_priors()
    for collapsed in panels:
        names, products, scale = spec.parameters(collapsed), collapsed.sampled_products, float(collapsed.scales[-1])
        here, needed = _layout(names, collapsed), np.bincount(products.pattern, minlength=len(products.zz))
        if here != key or (needed > counts).any():
            counts = needed if here != key else np.maximum(needed, counts)
            key, z = here, z if here == key else None
            density = _value_and_gradient(spec, collapsed, _padded(products, counts))
        padded = _padded(products, counts)
        coordinates = [Coordinate.of(n, priors[n], scale) for n in names]
        arguments = (padded.total, padded.unit, padded.zz, scale)
        found = maximum(density, arguments, coordinates, z)
        if not found[1]:
            found = maximum(density, arguments, coordinates, None)
        z = found[0]
        values = {n: c.value(v) * c.unit(scale) for n, c, v in zip(names, coordinates, z, strict=True)}
        yield collapsed, Mode(values, *found[1:])


@single_threaded_algebra()
def draws_at_mode(spec: StaggeredDiD, collapsed: CollapsedPanel, mode: Mode, n: int, seed: int) -> xr.Dataset:
    """``n`` exact draws of cell, group, lead and period effects given the scales of ``mode``; dims chain (1) and draw, outcome units."""
    scalars = {name: np.full((1, n), value) for name, value in mode.values.items()}
    return posterior_dataset(scalars, collapsed, spec.resolved_priors(), seed)


# ── coordinates ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Coordinate:
    """One parameter on the whole line: log x, or the logit of where x lies between its prior's bounds. Scales count in sd of the outcome.

    ``factor`` takes a scale from sd of the outcome to the unit of its prior: one, or the sd where the prior is absolute.
    """

    prior: Prior
    factor: float
    has_unit: bool

    @classmethod
    def of(cls, name: str, prior: Prior, scale) -> Coordinate:
        has_unit = name != "autocorrelation"
        return cls(prior, scale if has_unit and not prior.relative else 1.0, has_unit)

    def unit(self, scale: float) -> float:
        return scale if self.has_unit else 1.0

    @property
    def bounds(self) -> tuple[float, float]:
        return _LOGIT_BOUNDS if self.prior.family == "Uniform" else _LOG_BOUNDS

    def start(self) -> float:
        """Where the middle of the prior lies."""
        if self.prior.family == "Uniform":
            return 0.0
        return float(np.log(np.median(self.prior.sample(np.random.default_rng(0), 501)) / self.factor))

    def value(self, z, xp=np):
        """x at z, scales in sd of the outcome."""
        if self.prior.family != "Uniform":
            return xp.exp(z)
        lower, upper = (self.prior.parameters[k] / self.factor for k in ("lower", "upper"))
        return lower + (upper - lower) / (1 + xp.exp(-z))

    def log_density(self, z, xp=np):
        """Log prior density of z up to a constant, Jacobian included."""
        if self.prior.family == "Uniform":
            return -xp.logaddexp(0.0, z) - xp.logaddexp(0.0, -z)
        return z + self.prior.log_density(self.value(z, xp) * self.factor, xp)


# ── density and optimum ─────────────────────────────────────────────────────────────────────────────────────────────


def _layout(names: tuple[str, ...], collapsed: CollapsedPanel) -> tuple:
    """All that the compiled density takes as given."""
    products, basis = collapsed.sampled_products, collapsed.basis
    arrays = [products.gaps, products.gap_counts, products.pattern_units, *([] if basis is None else [basis.matrix, basis.component])]
    return (names, products.n_units, products.n_rows, products.n_flat, products.n_columns, *(a.tobytes() for a in arrays))


def _padded(products: CrossProducts, counts: np.ndarray) -> CrossProducts:
    """The same products with zero pseudo-units added, so that every pattern has as many as ``counts``; they change no sum."""
    unit = np.zeros((counts.sum(), *products.unit.shape[1:]))
    first = np.cumsum(counts) - counts
    own = np.bincount(products.pattern, minlength=counts.size)
    place = first[products.pattern] + np.arange(products.pattern.size) - (np.cumsum(own) - own)[products.pattern]
    unit[place] = products.unit
    return replace(products, unit=unit, pattern=np.repeat(np.arange(counts.size), counts))


def log_posterior(spec: StaggeredDiD, collapsed: CollapsedPanel) -> Callable:
    """A JAX function ``(z, products, scale) → log posterior density of the coordinates z`` for products of this panel's layout.

    Arrays of ``products`` may be traced; its numbers of units, rows and columns and its distances are those of ``collapsed``.
    """
    import jax.numpy as jnp

    names, priors, basis = spec.parameters(collapsed), spec.resolved_priors(), collapsed.basis
    units, components = collapsed.unit_columns.names, component_names(basis) if basis is not None else ()

    def density(z, products: CrossProducts, scale):
        likelihood = make_log_likelihood(products, basis)
        coordinates = [Coordinate.of(n, priors[n], scale) for n in names]
        values = {n: c.value(z[j], jnp) for j, (n, c) in enumerate(zip(names, coordinates, strict=True))}

        def sd(component: str):
            if f"{component}_sd" in values:
                return values[f"{component}_sd"]
            constant = priors[component]  # level and drift
            return jnp.asarray(constant.parameters["sigma"]) / (1.0 if constant.relative else scale)

        log_prior = sum(c.log_density(z[j], jnp) for j, c in enumerate(coordinates))
        unit_sds = jnp.stack([values[n] for n in units]) if units else jnp.zeros(0)
        component_sds = jnp.stack([sd(c) for c in components]) if components else jnp.zeros(0)
        return log_prior + likelihood(values["innovation_sd"], values.get("autocorrelation", jnp.asarray(0.0)), unit_sds, component_sds)

    return density


def _value_and_gradient(spec: StaggeredDiD, collapsed: CollapsedPanel, products: CrossProducts) -> Callable:
    """Compiled ``(z, total, unit, zz, scale) → (log posterior density, gradient in z)`` for panels with the layout of this one."""
    import jax

    density = log_posterior(spec, collapsed)

    def of_arrays(z, total, unit, zz, scale):
        return density(z, replace(products, total=total, unit=unit, zz=zz), scale)

    return jax.jit(jax.value_and_grad(of_arrays))


def maximum(density: Callable, arguments: tuple, coordinates: list[Coordinate], start: np.ndarray | None) -> tuple[np.ndarray, bool, float]:
    """Maximum of a log density from a start: place, whether it is one, largest derivative that its bounds leave free."""
    bounds = np.array([c.bounds for c in coordinates])
    start = np.array([c.start() for c in coordinates]) if start is None else start

    def negative(z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = density(z, *arguments)
        value, gradient = float(value), np.asarray(gradient)
        usable = np.isfinite(value) and np.isfinite(gradient).all()
        return (-value, -gradient) if usable else (1e10, np.zeros(z.size))

    options = {"ftol": 1e-13, "gtol": 1e-6, "maxiter": 500}
    found = minimize(negative, np.clip(start, *bounds.T), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    gradient = float(np.abs(np.clip(found.x - found.jac, *bounds.T) - found.x).max())
    return found.x, bool(found.fun < 1e10 and gradient < GRADIENT_LIMIT), gradient
