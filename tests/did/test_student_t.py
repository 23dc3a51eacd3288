"""Student-t errors: the density by hand, its normal limit, the fit as a fit, and outliers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.stats import norm, t

from bayes import Prior, StaggeredDiD
from bayes.did.groups import Block
from bayes.did.rows import _ar1_outcome
from bayes.did.student_t import rows_posterior
from bayes.errors import ConvergenceWarning, SpecificationError, UnsupportedModelError
from bayes.inference.sampling import Samples
from tests.did.dense import panel_of
from tests.did.intense import intense_frame
from tests.did.test_rows import gappy_rows
from tests.panels import simulated_frame

SPEC = StaggeredDiD("y", covariates=("x",), likelihood="student-t", leads=False)
FRAME = simulated_frame(n_units=15, n_periods=6, gaps=True)


def by_hand(rows, mu, s: float, rho: float, density) -> float:
    """Sum of log densities of the shocks, row by row."""
    total, residual = 0.0, rows.outcome - mu
    for k, gap in enumerate(rows.gap):
        centre = 0.0 if gap == 0 else rho**gap * residual[k - 1]
        scale = s / np.sqrt(1 - rho**2) * (1.0 if gap == 0 else np.sqrt(1 - rho ** (2 * gap)))
        total += density(residual[k], centre, scale)
    return total


@pytest.mark.parametrize("rho", [0.6, 0.0, -0.4])
def test_the_density_of_every_shock_is_student_t(rho):
    import pymc as pm
    import pytensor.tensor as pt

    rows, mu = gappy_rows(), np.linspace(-1, 1, 8)
    densities = {3.0: lambda x, m, s: t.logpdf(x, 3.0, m, s), 1e7: lambda x, m, s: norm.logpdf(x, m, s)}
    for degrees, density in densities.items():
        with pm.Model(coords={"row": np.arange(8)}) as model:
            _ar1_outcome(rows, mu, 0.6, rho, pt.constant(degrees, dtype="float64"))
        found = float(model.compile_logp()({}))
        assert abs(found - by_hand(rows, mu, 0.6, rho, density)) < (1e-9 if degrees == 3 else 1e-4)


def test_many_degrees_of_freedom_are_normal_rows():
    """Both row-level models at the same point differ by the prior of ν only."""
    panel = panel_of(FRAME)
    normal, heavy = (
        StaggeredDiD("y", covariates=("x",), likelihood=k, leads=False).build(panel, form="rows") for k in ("normal", "student-t")
    )
    rng, point = np.random.default_rng(1), {}
    for name, value in normal.initial_point().items():
        point[name] = value + 0.1 * rng.normal(size=np.shape(value))
    big = {**point, "degrees_of_freedom_log__": np.array(np.log(1e7))}
    one = float(normal.compile_logp(vars=normal.observed_RVs)(point))
    assert abs(float(heavy.compile_logp(vars=heavy.observed_RVs)(big)) - one) < 1e-3
    few = float(heavy.compile_logp(vars=heavy.observed_RVs)({**point, "degrees_of_freedom_log__": np.array(np.log(3.0))}))
    assert abs(few - one) > 1.0


def test_the_prior_of_the_degrees_of_freedom():
    assert StaggeredDiD("y").resolved_priors()["degrees_of_freedom"] == Prior(
        "Gamma", {"alpha": 2, "beta": 0.1}, False, "degrees of freedom ν of Student-t errors"
    )
    names = SPEC.parameters(SPEC.collapse(panel_of(FRAME)))
    assert names[-1] == "degrees_of_freedom"
    assert "degrees_of_freedom" not in StaggeredDiD("y").parameters(StaggeredDiD("y").collapse(panel_of(FRAME)))


def test_prior_prediction_has_student_t_tails():
    import pymc as pm

    spec = StaggeredDiD(
        "y", likelihood="student-t", leads=False, priors={"degrees_of_freedom": Prior("Gamma", {"alpha": 400.0, "beta": 200.0})}
    )
    drawn = pm.sample_prior_predictive(draws=5, model=spec.build(panel_of(FRAME), form="rows"), random_seed=1)
    assert np.isfinite(drawn["prior_predictive"]["outcome"].values).all()


@pytest.fixture(scope="module")
def short_fit():
    """A tiny run: everything about the fit but its convergence."""
    frame = intense_frame(n_units=15, n_periods=6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        spec = StaggeredDiD("y", covariates=("x",), likelihood="student-t", leads=False, pooling=("event",), dose="dose")
        return spec.fit(panel_of(frame), seed=1, draws=40, tune=60, chains=2)


def test_it_is_a_fit_like_any_other(short_fit, tmp_path):
    import bayes

    fit = short_fit
    assert fit.posterior.degrees_of_freedom.shape == (2, 40)
    for estimand in ("att", "att_population", "att_new_unit", "att_at_dose"):
        for by in ("simple", "event", "region", "region:event", "cell"):
            table = fit.att(by, estimand)
            assert np.isfinite(table.frame.estimate[table.frame.identified]).all()
    assert "Student-t" in fit.att().frame.source[0]
    assert "degrees_of_freedom" in fit.summary().index
    assert fit.priors().set_index("parameter").distribution["degrees_of_freedom"] == "Gamma(alpha=2, beta=0.1)"
    assert np.isfinite(fit.prior_att().frame.estimate).all()
    again = bayes.load_fit(fit.save(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(again.att("event").draws, fit.att("event").draws)


def test_what_rests_on_normal_errors_is_refused(short_fit):
    for call in (short_fit.unpooled, short_fit.predictive_check, short_fit.loo):
        with pytest.raises(UnsupportedModelError, match="student-t"):
            call()
    with pytest.raises(UnsupportedModelError, match="rows"):
        SPEC.build(panel_of(FRAME))
    with pytest.raises(SpecificationError, match="leads=False"):
        StaggeredDiD("y", likelihood="student-t")
    with pytest.raises(SpecificationError, match="likelihood='cauchy'"):
        StaggeredDiD("y", likelihood="cauchy")


def test_group_effects_are_the_means_of_their_units():
    spec = StaggeredDiD("y", likelihood="student-t", leads=False)
    panel = panel_of(FRAME)
    collapsed, block = spec.collapse(panel), spec.block(panel)
    rng, shape = np.random.default_rng(0), (2, 3)
    treated = [i for i in range(panel.n_units) if (panel.period_codes[panel.unit_codes == i] >= panel.unit_cohort_codes[i]).any()]
    draws = {n: np.exp(rng.normal(size=shape)) for n in spec.parameters(collapsed)}
    draws |= {
        "cell_effect": rng.normal(size=(*shape, collapsed.design.cells.size)),
        "unit_effect_z": rng.normal(size=(*shape, len(treated))),
    }
    draws["period_effect"] = rng.normal(size=(*shape, len(collapsed.design.period_columns)))
    found = rows_posterior(spec, collapsed, block, Samples(draws, {}, 0.0, 0.0), 1)
    b = np.zeros((*shape, panel.n_units))
    b[..., treated] = draws["unit_effect_z"] * draws["unit_effect_sd"][..., None]
    for j, g in enumerate(collapsed.groups):
        members = _members(block, g)
        np.testing.assert_allclose(found.group_effect.values[..., j], b[..., members].mean(axis=-1), rtol=1e-12, atol=1e-15)
        weighted = np.average(b[..., members], axis=-1, weights=block.weights[members])
        np.testing.assert_allclose(found.group_effect_weighted.values[..., j], weighted, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(found.cell_effect.values, draws["cell_effect"])


def _members(block: Block, group) -> list[int]:
    ends = np.r_[block.starts[1:], block.periods.size]
    return [
        i for i, (a, z) in enumerate(zip(block.starts, ends, strict=True))
        if block.regions[i] == group.region and block.cohorts[i] == group.cohort and block.periods[a:z].tolist() == group.dates.tolist()
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayes.errors.ConvergenceWarning")  # some hundred effective draws are enough here
def test_outliers_move_the_normal_effect_and_not_the_heavy_tailed_one():
    """Synthetic, two of 192 rows wrong by 30 noise sds; with normal errors and without outliers both models agree."""
    frame = simulated_frame(seed=2)
    wrong = frame.assign(y=frame.y + 3.0 * frame.index.isin(frame.index[frame.treated == 1][[5, 40]]))
    options = {"covariates": ("x",), "leads": False, "pooling": ("event",)}
    runs = {"tune": 1000, "draws": 1000, "seed": 1, "target_accept": 0.95}
    effects = {
        (kind, name): StaggeredDiD("y", likelihood=kind, **options).fit(panel_of(data), **runs).att(weights="rows").frame.iloc[0]
        for kind in ("normal", "student-t") for name, data in (("clean", frame), ("wrong", wrong))
    }  # fmt: skip
    clean, t_clean = effects["normal", "clean"], effects["student-t", "clean"]
    assert abs(clean.estimate - t_clean.estimate) < 0.25 * clean.se
    assert abs(t_clean.se / clean.se - 1) < 0.2
    truth = frame.true_effect[frame.treated == 1].mean()
    assert abs(effects["student-t", "wrong"].estimate - truth) < abs(effects["normal", "wrong"].estimate - truth)
    assert effects["student-t", "wrong"].se < 0.5 * effects["normal", "wrong"].se
