"""Milliseconds of a gradient: the collapsed likelihood against JAX's derivative of the dense form, 66 columns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from tests.benchmarks import simulate
from tests.benchmarks.dense import make_dense_log_likelihood
from tests.benchmarks.table import Result


def results(quick: bool) -> Iterator[Result]:
    """Same parameters, same values (relative difference reported), one thread per computation."""
    import scipy.linalg  # noqa: F401  (JAX's linear algebra runs on SciPy's BLAS, which must be there to be limited to one thread)
    from threadpoolctl import threadpool_limits

    from bayes.did.likelihood import component_names, make_log_likelihood
    from bayes.inference.sampling import prepare_jax

    prepare_jax()
    spec, panel = simulate.model(), simulate.panel()
    state = spec.collapse(panel)
    collapsed = make_log_likelihood(state.sampled_products, state.basis)
    dense = make_dense_log_likelihood(spec.block(panel), state)
    x = np.r_[np.log(0.6), np.arctanh(0.45), np.log(0.4), np.full(len(component_names(state.basis)), np.log(0.3))]
    with threadpool_limits(limits=1):
        ours, theirs = (_gradient(f) for f in (lambda s, r, b, c: collapsed(s, r, b[None], c), dense))
        (value, slope), (dense_value, dense_slope) = ours(x), theirs(x)
        fast, slow = _milliseconds(ours, x, 40), _milliseconds(theirs, x, 4)
    difference = max(abs(value / dense_value - 1), float(np.max(np.abs(slope - dense_slope)) / np.max(np.abs(dense_slope))))
    columns = state.sampled_products.n_columns
    words = f"{columns} columns and the outcome, {panel.n_rows:,} rows: {fast:.2f} against {slow:.2f} ms; equal to {difference:.0e}"
    yield Result("AR(1) gradient: collapsed / autodiff of the dense form", fast / slow, "×", 0.5, details=words)


def _gradient(log_likelihood: Callable) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    import jax
    import jax.numpy as jnp

    compiled = jax.jit(jax.value_and_grad(lambda x: log_likelihood(jnp.exp(x[0]), jnp.tanh(x[1]), jnp.exp(x[2]), jnp.exp(x[3:]))))

    def call(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = compiled(x)
        return float(value), np.asarray(slope)

    return call


def _milliseconds(function: Callable, x: np.ndarray, repeats: int, batches: int = 41) -> float:
    """Median over batches, after a first call that compiles."""
    function(x)
    times = []
    for _ in range(batches):
        start = time.perf_counter()
        for _ in range(repeats):
            function(x)
        times.append((time.perf_counter() - start) / repeats * 1e3)
    return float(np.median(times))
