"""Programs whose data are arguments: the same density as the PyMC model, and no compilation for other data of the same layout."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

import bayes
from bayes.did.pymc_models import collapsed_posterior
from bayes.frontier.data import frontier_data
from bayes.frontier.marginal import marginal_posterior
from bayes.inference import programs
from bayes.inference.programs import Program, program_of
from bayes.inference.sampling import SamplerOptions, sample
from tests.did.dense import panel_of
from tests.frontier.simulate import frontier_panel
from tests.panels import simulated_frame

SHORT = SamplerOptions(draws=20, tune=20, chains=2, seed=3)


def did(seed: int = 0, factor: float = 1.0, **options):
    """The collapsed posterior of a synthetic panel with another outcome for each seed."""
    frame = simulated_frame(n_units=18, n_periods=6)
    frame["y"] = factor * (frame["y"] + 0.3 * np.random.default_rng(seed).normal(size=len(frame)))
    spec = bayes.StaggeredDiD("y", covariates=("x",), leads=False, **options)
    return collapsed_posterior(spec, spec.collapse(panel_of(frame)))


def frontier(seed: int = 0, factor: float = 1.0, **options):
    panel = frontier_panel(9, 4, 3, options.get("model", "pooled"), seed=seed)
    panel = panel.assign(y=factor * panel.frame["y"])
    chosen = {"technology": "cobb-douglas", "technical_change": "none", "model": "pooled"} | options
    spec = bayes.StochasticFrontier("y", ["x0", "x1"], **chosen)
    return marginal_posterior(spec, frontier_data(spec, panel))


POSTERIORS = {
    "did": (did, {}),
    "did without pooling": (did, {"pooling": "none", "errors": "iid"}),
    "half-normal": (frontier, {}),
    "separate regions, determinants": (frontier, {"pooling": "none", "determinants": ["z"], "noise_determinants": ["z"]}),
    "bc92": (frontier, {"model": "bc92", "inefficiency": "truncated-normal"}),
    "true random effects": (frontier, {"model": "true-random-effects", "pooling": ("technology", "efficiency", "noise")}),
}


@contextmanager
def counted_compilations():
    """Programs that XLA is asked for inside the block, read from its own events."""
    import jax

    found: list[str] = []

    def listen(name: str, seconds: float, **_) -> None:
        if "backend_compile" in name:
            found.append(name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


SLOWER = ("did without pooling", "true random effects", "separate regions, determinants", "bc92")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOWER else []) for n in POSTERIORS])
def test_data_as_arguments_give_the_density_of_the_model_with_data_as_constants(name):
    """With data that the program was not made with."""
    import jax

    make, options = POSTERIORS[name]
    program_of(make(0, **options))
    other = make(1, factor=2.0, **options)
    program, data = program_of(other)
    constants = Program(other.model(), {})
    np.testing.assert_allclose(program.centre(data), constants.centre({}), rtol=1e-12, atol=1e-12)
    differences = []
    for seed in range(2):
        x = program.centre(data) + np.random.default_rng(seed).uniform(-0.5, 0.5, constants.centre({}).size)
        ours, expected = (jax.value_and_grad(p.log_density)(x, d) for p, d in ((program, data), (constants, {})))
        np.testing.assert_allclose(ours[1], expected[1], rtol=1e-8, atol=1e-9)
        differences.append(float(ours[0] - expected[0]))
    # PyMC writes some normalising constants in single precision and folds them in another order: the same number at every point.
    assert abs(differences[0]) < 1e-6
    np.testing.assert_allclose(differences[1], differences[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("make", "sampler"), [(did, "nutpie"), pytest.param(did, "blackjax", marks=pytest.mark.slow), (frontier, "blackjax")]
)
def test_a_refit_to_other_data_of_the_same_layout_compiles_nothing(make, sampler):
    options = replace(SHORT, sampler=sampler)
    programs.forget_programs()
    first = sample(make(0), options)
    with counted_compilations() as compiled:
        second = sample(make(1, factor=3.0), options)
        again = sample(make(0), options)
    assert compiled == []
    programs.forget_programs()
    fresh = sample(make(1, factor=3.0), options)
    for name, values in first.draws.items():
        np.testing.assert_array_equal(again.draws[name], values)
        np.testing.assert_array_equal(fresh.draws[name], second.draws[name])
        assert not np.array_equal(second.draws[name], values)


def test_a_density_first_made_inside_one_trace_serves_another():
    """Two loops over one program, as fits with other numbers of draws make them: nothing of the first trace may stay in the program."""
    import jax

    programs.forget_programs()
    program, data = program_of(frontier(0))
    x = program.centre(data)
    found = [jax.jit(lambda x, scale=scale: scale * program.log_density(x, data))(x) for scale in (1.0, 2.0)]
    assert float(found[1]) == pytest.approx(2 * float(found[0]), rel=1e-12)


def test_the_count_of_compilations_sees_them():
    import jax

    jax.numpy.zeros(3)
    with counted_compilations() as compiled:
        jax.jit(lambda x: 3 * x + 1.2345)(np.zeros(7))
    assert compiled


def test_another_layout_is_another_program():
    base = did().key
    assert did(seed=1, factor=5.0).key == base
    assert did(priors={"cell_sd": 0.1}).key == base  # numbers of priors are data
    assert did(errors="iid").key != base
    assert did(pooling=("region",)).key != base
    assert did(priors={"cell_sd": bayes.Prior("Exponential", {"scale": 0.2})}).key != base
    assert frontier().key != frontier(inefficiency="exponential").key
    assert frontier().key == frontier(seed=1, factor=2.0, median_efficiency=0.85).key


def test_old_programs_make_room(monkeypatch):
    programs.forget_programs()
    monkeypatch.setattr(programs, "_KEPT", 1)
    first, _ = program_of(did())
    assert program_of(did(seed=2))[0] is first
    program_of(did(errors="iid"))
    assert program_of(did())[0] is not first
