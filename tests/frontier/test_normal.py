"""log Φ, its Mills form and their derivatives, far into the tail, in every kind of array."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from bayes.frontier import normal
from bayes.frontier.algebra import jax_algebra, pytensor_algebra
from tests.frontier.brute_force import in_jax

Z = np.unique(
    np.concatenate(
        [
            np.linspace(-1e4, -100, 397),
            np.linspace(-100, 8, 3001),
            np.geomspace(1e-8, 8, 300),
            -np.geomspace(1e-8, 14, 300),
            np.nextafter(-14, [-20, 0]),  # either side of where the branches meet
        ]
    )
)
FUNCTIONS = {"log_normal_cdf": normal.log_normal_cdf, "log_mills": normal.log_mills, "inverse_mills": normal.inverse_mills}


def mills(z):
    """φ(z)/Φ(z) by the scaled complementary error function."""
    return np.sqrt(2 / np.pi) / special.erfcx(-z / np.sqrt(2))


EXTREME = np.array([-1e150, -1e8, 1e3, 1e8])


@pytest.fixture(scope="module")
def compiled():
    """Values and derivatives of each function at Z and EXTREME."""
    xp, z = jax_algebra(), np.concatenate([Z, EXTREME])
    pairs = {name: in_jax(lambda v, f=f: f(v, xp), (z,)) for name, f in FUNCTIONS.items()}
    return {name: (values, slopes[0]) for name, (values, slopes) in pairs.items()}


def test_log_normal_cdf_is_exact():
    """Relative below zero; above, where the log tends to zero, to the rounding of 1."""
    np.testing.assert_allclose(normal.log_normal_cdf(Z), special.log_ndtr(Z), rtol=1e-14, atol=2e-16)


def test_the_derivative_of_log_normal_cdf_is_exact(compiled):
    np.testing.assert_allclose(compiled["log_normal_cdf"][1][: len(Z)], mills(Z), rtol=3e-14)


def test_the_mills_form_is_exact():
    """log Φ(z) + z²/2 where that sum would have lost its digits."""
    expected = np.log(0.5 * special.erfcx(-Z / np.sqrt(2)))
    np.testing.assert_allclose(normal.log_mills(Z), expected, rtol=1e-14, atol=1e-13)
    np.testing.assert_allclose(normal.inverse_mills(Z), mills(Z), rtol=1e-13)


def test_the_derivative_of_the_mills_form_is_exact(compiled):
    """φ/Φ + z: below −6 by Laplace's continued fraction, since there the sum cancels."""
    x = np.maximum(-Z, 6.0)
    fraction = x
    for k in range(40, 1, -1):
        fraction = x + k / fraction
    expected = np.where(Z < -6, 1 / fraction, Z + mills(np.maximum(Z, -6)))
    np.testing.assert_allclose(compiled["log_mills"][1][: len(Z)], expected, rtol=2e-12)


def test_derivatives_are_finite_where_the_other_branch_overflows(compiled):
    for name in FUNCTIONS:
        assert np.all(np.isfinite(compiled[name][1])), name
    np.testing.assert_allclose(compiled["log_normal_cdf"][1][len(Z) :], [1e150, 1e8, 0, 0], rtol=1e-14)


def test_three_kinds_of_arrays_agree(compiled):
    import pytensor
    import pytensor.tensor as pt

    xp, z = pytensor_algebra(), pt.dvector("z")
    values = [f(z, xp) for f in FUNCTIONS.values()]
    found = pytensor.function([z], [*values, *(pytensor.grad(v.sum(), z) for v in values)], mode="FAST_COMPILE")(Z)
    for i, (name, f) in enumerate(FUNCTIONS.items()):
        value, slope = (v[: len(Z)] for v in compiled[name])
        np.testing.assert_allclose(found[i], f(Z), rtol=1e-12, atol=1e-13, err_msg=name)
        np.testing.assert_allclose(value, f(Z), rtol=1e-12, atol=1e-13, err_msg=name)
        np.testing.assert_allclose(found[i + 3], slope, rtol=1e-11, atol=1e-300, err_msg=name)
