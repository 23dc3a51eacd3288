"""Posterior modes with exact conditional draws, and the cut posterior over draws of an outcome."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from bayes import Panel, Prior, StaggeredDiD
from bayes.did.draws_as_outcome import NOTE, CutPosterior
from bayes.did.mode import Coordinate, _padded, draws_at_mode, posterior_modes
from bayes.errors import ConvergenceWarning, MissingValueError, SpecificationError

CASES = {
    "iid, fixed, complete": {"errors": "iid", "unit_effects": "fixed", "pooling": "complete"},
    "trends": {"unit_trends": True, "pooling": ("region",), "period_effects": "region"},
    "no pooling": {"pooling": "none"},
}
PRIORS = {
    "cell_sd": Prior("Exponential", {"scale": 0.05}, relative=False),
    "region_sd": Prior("LogNormal", {"median": 0.3, "sigma": 0.5}, relative=False),
    "unit_effect_sd": Prior("HalfStudentT", {"nu": 3, "sigma": 0.2}),
    "event_sd": Prior("Uniform", {"lower": 0.0, "upper": 0.4}),
    "level": Prior("Normal", {"mu": 0, "sigma": 1.0}, relative=False),
}


def only(spec: StaggeredDiD, panel: Panel):
    (_, mode), = posterior_modes(spec, [spec.collapse(panel)])  # fmt: skip
    return mode


def test_the_coordinates_are_those_of_the_sampler_and_the_mode_is_a_maximum(tiny_panel):
    """PyMC's log density, on its own transformed scale, is highest at our mode."""
    spec = StaggeredDiD("y", pooling=("region",))
    mode, model = only(spec, tiny_panel), spec.build(tiny_panel)
    log_density = model.compile_logp(mode="JAX")
    z = {}
    for variable, value in zip(model.free_RVs, model.value_vars, strict=True):
        x = mode.values[variable.name]
        z[value.name] = np.asarray(np.log((1 + x) / (1 - x)) if variable.name == "autocorrelation" else np.log(x))
    top = float(log_density(z))
    for name in z:
        slope = (float(log_density({**z, name: z[name] + 1e-4})) - float(log_density({**z, name: z[name] - 1e-4}))) / 2e-4
        assert abs(slope) < 2e-3, name
        assert float(log_density({**z, name: z[name] + 0.3})) < top
        assert float(log_density({**z, name: z[name] - 0.3})) < top
    assert mode.converged


@pytest.mark.parametrize("case", CASES)
def test_every_specification_has_a_mode(gappy_panel, case):
    mode = only(StaggeredDiD("y", **CASES[case]), gappy_panel)
    assert mode.converged
    assert mode.gradient < 1e-2
    assert all(np.isfinite(v) for v in mode.values.values())
    assert all(v > 0 for n, v in mode.values.items() if n != "autocorrelation")


@pytest.mark.parametrize("priors", [{}, PRIORS], ids=["relative", "absolute"])
def test_the_unit_of_the_outcome_does_not_matter_unless_a_prior_is_absolute(tiny_panel, priors):
    pooling = ("event", "region", "cell") if priors else "complete"
    spec = StaggeredDiD("y", pooling=pooling, priors=priors)
    large = tiny_panel.assign(y=1000 * tiny_panel.column("y") + 7)
    (_, first), (_, second) = posterior_modes(spec, [spec.collapse(p) for p in (tiny_panel, large)])
    same = [np.isclose(second.values[n], first.values[n] * (1 if n == "autocorrelation" else 1000), rtol=2e-3) for n in first.values]
    assert all(same) == (not priors)


def test_a_compiled_density_serves_every_panel_of_its_layout(tiny_panel, gappy_panel):
    """The same modes whether panels come together or one by one, another layout among them included."""
    spec = StaggeredDiD("y", pooling="complete")
    noise = np.random.default_rng(0).normal(0, 0.2, tiny_panel.n_rows)
    panels = [spec.collapse(p) for p in (tiny_panel, tiny_panel.assign(y=tiny_panel.column("y") + noise), gappy_panel)]
    together = [mode for _, mode in posterior_modes(spec, panels)]
    for collapsed, mode in zip(panels[1:], together[1:], strict=True):
        ((_, alone),) = posterior_modes(spec, [collapsed])
        for name, value in mode.values.items():
            assert value == pytest.approx(alone.values[name], rel=2e-3), name


def test_padding_with_empty_pseudo_units_changes_no_sum(gappy_panel):
    products = StaggeredDiD("y", pooling=("region",)).collapse(gappy_panel).sampled_products
    counts = np.bincount(products.pattern) + np.arange(len(products.zz)) % 3
    wider = _padded(products, counts)
    assert wider.unit.shape[0] == wider.pattern.size == counts.sum() > products.unit.shape[0]
    for k in range(len(products.zz)):
        found, known = (np.einsum("nfaq,ngbr->fgabqr", *[p.unit[p.pattern == k]] * 2) for p in (wider, products))
        np.testing.assert_allclose(found, known, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("prior", [*list(PRIORS.values())[:4], Prior("HalfNormal", {"sigma": 0.4})], ids=str)
def test_log_densities_of_coordinates_are_those_of_their_priors(prior):
    """Draws of the prior, taken to the coordinate, have the density that is claimed: means of z under both agree."""
    coordinate = Coordinate.of("cell_sd", prior, 2.5)
    z = np.linspace(*coordinate.bounds, 40_001)
    density = np.exp(coordinate.log_density(z))
    density /= density.sum()
    x = coordinate.value(z) * coordinate.factor
    draws = prior.sample(np.random.default_rng(1), 40_000)
    for q in (0.1, 0.5, 0.9):
        assert x[np.searchsorted(np.cumsum(density), q)] == pytest.approx(np.quantile(draws, q), rel=0.05)
    assert coordinate.value(coordinate.start()) * coordinate.factor == pytest.approx(np.median(draws), rel=0.2)


# ── draws as an outcome ─────────────────────────────────────────────────────────────────────────────────────────────


def test_equal_draws_give_the_plain_mode_fit(tiny_panel):
    spec, y = StaggeredDiD("y", covariates=("x",), pooling=("region", "cell")), tiny_panel.column("y")
    cut = spec.fit_draws(tiny_panel, np.tile(y, (6, 1)), seed=3, draws_used=4, conditional_draws=250)
    plain = only(spec, tiny_panel)
    assert len(cut.modes) == 4
    for name, value in plain.values.items():
        np.testing.assert_allclose(cut.modes[name], value, rtol=2e-3)
    ours, direct = cut.att("region"), replace(cut, dataset=draws_at_mode(spec, spec.collapse(tiny_panel), plain, 1000, 9)).att("region")
    standard_error = direct.frame.se / np.sqrt(1000)
    assert (np.abs(ours.frame.estimate - direct.frame.estimate) < 5 * np.sqrt(2) * standard_error).all()
    np.testing.assert_allclose(ours.frame.se, direct.frame.se, rtol=0.15)


def test_pooling_adds_the_variance_of_the_outcome(tiny_panel):
    """Outcomes y + c·D with c ~ N(0, s²) move every effect by c: the variance pooled is s² more, the mean the same."""
    spec, y = StaggeredDiD("y", pooling="none", errors="iid", unit_effects="fixed", leads=False), tiny_panel.column("y")
    treated = tiny_panel.frame.treated.to_numpy()
    shift = np.random.default_rng(4).normal(0, 0.2, 40)
    shift -= shift.mean()
    plain = spec.fit_draws(tiny_panel, y[None], conditional_draws=1000)
    moved = spec.fit_draws(tiny_panel, y + shift[:, None] * treated, conditional_draws=50)
    p, m = plain.att().frame.iloc[0], moved.att().frame.iloc[0]
    assert m.estimate == pytest.approx(p.estimate, abs=0.1 * p.se)
    assert m.se**2 == pytest.approx(p.se**2 + shift.var(), rel=0.05)
    assert moved.att().draws.shape == (1, 40 * 50)


def test_tables_say_that_the_posterior_is_cut(tiny_panel):
    rng = np.random.default_rng(5)
    draws = tiny_panel.column("y") + rng.normal(0, 0.05, (8, tiny_panel.n_rows))
    spec = StaggeredDiD("new", pooling=("region",))
    cut = spec.fit_draws(tiny_panel, draws, seed=1, draws_used=3, conditional_draws=4)
    assert isinstance(cut, CutPosterior)
    np.testing.assert_allclose(cut.panel.column("new"), draws[[0, 4, 7]].mean(axis=0))
    for by in ("simple", "event", "region:event", "cell"):
        for estimand in ("att", "att_population", "att_new_unit"):
            table = cut.att(by, estimand)
            assert table.frame.source.eq("Bayes, partial pooling, cut posterior").all()
            assert table.frame.note.str.startswith(NOTE).all()
            assert table.draws.shape == (len(table), 12)
            assert np.isfinite(table.draws).all()
    assert cut.att("event").frame.event_time.min() < 0, "leads are there"
    assert table.meta["passed"]
    assert "3 of 3 fits" in cut.verdict
    again = spec.fit_draws(tiny_panel, draws, seed=1, draws_used=3, conditional_draws=4)
    np.testing.assert_array_equal(cut.att().draws, again.att().draws)
    other = spec.fit_draws(tiny_panel, draws, seed=2, draws_used=3, conditional_draws=4)
    assert (cut.att().draws != other.att().draws).all()


def test_a_fit_without_a_mode_is_said(tiny_panel, monkeypatch):
    monkeypatch.setattr("bayes.did.mode.GRADIENT_LIMIT", 0.0)
    with pytest.warns(ConvergenceWarning, match="0 of 1 fits found"):
        cut = StaggeredDiD("y", pooling="complete").fit_draws(tiny_panel, tiny_panel.column("y")[None])
    assert not cut.att().meta["passed"]


def test_draws_that_do_not_fit_the_panel_are_refused(tiny_panel):
    spec, y = StaggeredDiD("y"), tiny_panel.column("y")
    with pytest.raises(SpecificationError, match=r"\(draws, 192\) is needed"):
        spec.fit_draws(tiny_panel, y)
    with pytest.raises(SpecificationError, match=r"\(draws, 192\) is needed"):
        spec.fit_draws(tiny_panel, np.empty((0, y.size)))
    holed = np.tile(y, (3, 1))
    holed[1, 9] = np.nan
    with pytest.raises(MissingValueError, match=r"1 rows \(first: unit 'u001', year 2002\)"):
        spec.fit_draws(tiny_panel, holed)
    for name in ("draws_used", "conditional_draws"):
        with pytest.raises(SpecificationError, match=name):
            spec.fit_draws(tiny_panel, y[None], **{name: 0})


@pytest.mark.slow
def test_mode_and_conditional_draws_stand_in_for_sampling(gappy_panel):
    """Means within 0.2 posterior standard deviations; standard deviations, which leave out that of the scales, 0.85 to 1.05 of NUTS's."""
    spec = StaggeredDiD("y", covariates=("x",))
    cut = spec.fit_draws(gappy_panel, gappy_panel.column("y")[None], conditional_draws=4000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        full = spec.fit(gappy_panel, seed=1)
    for by in ("simple", "region", "event", "cell"):
        ours, theirs = cut.att(by).frame, full.att(by).frame
        distance, ratio = (ours.estimate - theirs.estimate).abs() / theirs.se, ours.se / theirs.se
        print(f"\n{by}: largest distance {distance.max():.3f} sd, ratio of sd {ratio.min():.3f} to {ratio.max():.3f}")
        assert distance.max() < 0.2
        assert ratio.between(0.85, 1.05).all()
