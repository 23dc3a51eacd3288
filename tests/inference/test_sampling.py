"""Four samplers behind one door: normalised draws and statistics, the same seed the same numbers, one posterior."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bayes
from bayes import StaggeredDiD
from bayes.errors import SamplingError, SpecificationError
from bayes.inference import sampling
from bayes.inference.sampling import SAMPLERS, STATISTICS, SamplerOptions, sample
from tests.did.dense import panel_of
from tests.panels import simulated_frame

SPEC = StaggeredDiD("y", pooling=("event",), covariates=("x",))
VARIABLES = ["innovation_sd", "autocorrelation", "unit_effect_sd", "event_sd"]


@pytest.fixture(scope="module")
def panel():
    return panel_of(simulated_frame(n_units=18, n_periods=6))


@pytest.fixture(scope="module")
def model(panel):
    return SPEC.build(panel)


@pytest.fixture(scope="module")
def samples(model):
    """Each sampler twice with the same seed and once with another, sampled when asked for."""
    made = {}

    def get(sampler: str, seed: int = 5, draws: int = 150):
        key = (sampler, seed, draws)
        if key not in made:
            made[key] = sample(model, SamplerOptions(sampler, draws=draws, tune=150, chains=2, seed=seed))
        return made[key]

    return get


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_draws_and_statistics_are_normalised_and_nothing_is_printed(sampler, samples, capfd):
    found = samples(sampler)
    assert capfd.readouterr() == ("", "")
    assert list(found.draws) == VARIABLES
    assert list(found.statistics) == list(STATISTICS)
    assert {k: v.dtype for k, v in found.statistics.items()} == {"diverging": bool, "energy": float, "n_steps": np.int64, "lp": float}
    for values in (*found.draws.values(), *found.statistics.values()):
        assert values.shape == (2, 150)
        assert np.isfinite(values).all()
    assert all(v.dtype == float for v in found.draws.values())
    assert (found.draws["innovation_sd"] > 0).all()
    assert (np.abs(found.draws["autocorrelation"]) < 1).all()
    assert (found.statistics["n_steps"] >= 1).all()
    assert found.statistics["diverging"].mean() < 0.1
    assert found.sampling_seconds > 0


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_log_density_that_is_reported_is_the_model_s(sampler, samples, model):
    """One constant apart: the reported density is of the unconstrained draws, as the model's own."""
    import jax
    from pymc.sampling.jax import get_jaxified_graph

    found = samples(sampler)
    logp = get_jaxified_graph(inputs=model.value_vars, outputs=[model.logp()])
    transform = [model.rvs_to_transforms[v] for v in model.free_RVs]
    some = [
        np.asarray(t.forward(np.asarray(found.draws[v.name][:, ::50]), *v.owner.inputs).eval())
        for t, v in zip(transform, model.free_RVs, strict=True)
    ]
    values = jax.vmap(jax.vmap(lambda *x: logp(*x)[0]))(*some)
    np.testing.assert_allclose(found.statistics["lp"][:, ::50], values, rtol=1e-6)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_posterior_is_the_same_up_to_monte_carlo_error(sampler, samples):
    """A turned sign or a forgotten Jacobian moves these by many standard errors; the slow test below is the sharp one."""
    reference = samples("nutpie", 11, 400).draws
    for name in VARIABLES:
        a, b = samples(sampler).draws[name], reference[name]
        assert abs(a.mean() - b.mean()) < 0.6 * b.std(), name
        assert 0.5 < a.std() / b.std() < 2, name


@pytest.mark.parametrize("sampler", [pytest.param(s, marks=[pytest.mark.slow] if s != "nutpie" else []) for s in SAMPLERS])
def test_the_same_seed_gives_the_same_draws_bit_by_bit(sampler, samples, model):
    again = sample(model, SamplerOptions(sampler, draws=150, tune=150, chains=2, seed=5, cores=1, progress=False))
    first = samples(sampler)
    for name in VARIABLES:
        np.testing.assert_array_equal(again.draws[name], first.draws[name])
    assert not np.array_equal(first.draws["innovation_sd"][0], first.draws["innovation_sd"][1])


def test_another_seed_gives_other_draws(samples):
    assert not np.array_equal(samples("nutpie").draws["event_sd"], samples("nutpie", 11, 400).draws["event_sd"][:, :150])


BAD = {
    "sampler": {"sampler": "gibbs"}, "draws": {"draws": 0}, "fraction": {"tune": 10.5}, "truth value": {"chains": True},
    "seed": {"seed": -1}, "seed text": {"seed": "one"}, "acceptance": {"target_accept": 1.0}, "acceptance text": {"target_accept": "high"},
    "cores": {"cores": 0},
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_options_that_do_not_exist_are_refused(name):
    with pytest.raises(SpecificationError, match=next(iter(BAD[name])).replace("_", ".")):
        SamplerOptions(**BAD[name])


def test_the_sampler_s_own_failure_is_wrapped(model, monkeypatch):
    def broken(*_):
        raise ValueError("Initial point is not finite")

    monkeypatch.setitem(sampling.SAMPLERS, "nutpie", broken)
    with pytest.raises(SamplingError, match="nutpie stopped: ValueError: Initial point is not finite"):
        sample(model, SamplerOptions("nutpie"))


def test_algebra_is_single_threaded_while_sampling_even_before_anything_is_loaded():
    """SciPy's BLAS is what JAX factorises with; loaded too late it escapes the limit and a gradient takes forty times as long."""
    script = (
        "from bayes.inference.sampling import single_threaded_algebra as s\n"
        "import threadpoolctl\n"
        "with s():\n"
        "    pools = [p for p in threadpoolctl.threadpool_info() if p['user_api'] == 'blas']\n"
        "    print(sorted({p['num_threads'] for p in pools}), any('scipy' in p['filepath'] for p in pools))\n"
    )
    out = subprocess.run([sys.executable, "-c", script], cwd=Path(bayes.__file__).parents[1], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["[1]", "True"]


def test_a_phase_is_named_and_timed_on_the_error_stream_if_asked(capfd):
    for progress in (True, False):
        with sampling._phase("Compiling (JAX)", SamplerOptions(progress=progress)) as seconds:
            pass
        assert seconds() >= 0
        out, err = capfd.readouterr()
        assert out == ""
        assert err == ("Compiling (JAX) …\nCompiling (JAX): 0.0 s\n" if progress else "")


def test_progress_is_shown_on_a_terminal_unless_told_otherwise(monkeypatch):
    for terminal in (True, False):
        monkeypatch.setattr(sys.stderr, "isatty", lambda answer=terminal: answer)
        assert SamplerOptions().shows_progress == terminal
        assert SamplerOptions(progress=not terminal).shows_progress != terminal


@pytest.mark.slow
def test_all_four_samplers_find_one_posterior_on_castle():
    import arviz_stats as az

    panel = bayes.datasets.load("castle_doctrine")
    spec = StaggeredDiD("log_homicide")
    fits = {s: spec.fit(panel, seed=1, sampler=s, draws=2000, tune=1000) for s in SAMPLERS}
    assert all(f.diagnose().passed for f in fits.values())
    shape = (4, 2000)

    def quantities(fit):
        rows = {n: fit.posterior[n].to_numpy() for n in spec.parameters(fit._collapsed)}
        rows["simple"] = fit.att().draws[0].reshape(shape)
        table = fit.att("region")
        return rows | {r: d.reshape(shape) for r, d in zip(table.frame.region, table.draws, strict=True) if np.isfinite(d).all()}

    reference = quantities(fits["nutpie"])
    assert {"South", "West", "simple"} <= set(reference)
    for sampler in ("numpyro", "blackjax", "pymc"):
        for name, draws in quantities(fits[sampler]).items():
            error = np.hypot(*(float(az.mcse(x, method="mean")) for x in (draws, reference[name])))
            assert abs(draws.mean() - reference[name].mean()) < 4 * error, (sampler, name)
