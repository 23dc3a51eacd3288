"""Three stages: the adjustment by hand, slack frontiers by an independent likelihood, and every table by draw."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import bayes
from bayes.errors import (
    BaselineWarning,
    BayesWarning,
    CollinearColumnsError,
    ConvergenceWarning,
    MissingColumnError,
    MissingValueError,
    NotPositiveError,
    NoVariationError,
    SlackWarning,
    SpecificationError,
    WrongSkewnessWarning,
)
from bayes.measure import _slack_frontier as kernel
from bayes.measure import _three_stage as stages
from bayes.measure._dea import dea
from bayes.measure._quantities import production_of
from bayes.measure._three_stage import three_stage
from bayes.measure._values import values_of
from tests.measure.three_stage_panels import three_stage_panel

PANEL, _ = three_stage_panel(3, units=12, periods=3, drop=3)
ROLES = (["x0", "x1"], ["y"], ["z"])


def fake_frontier(monkeypatch, n_draws: int, regions: int = 1, passed: bool = True) -> list[dict]:
    """Replace the sampler by made-up parts of the slack; returns what each call was given and gave."""
    calls = []

    def frontier(spec, panel, name, slack, draws, options, seed):
        rng = np.random.default_rng(seed)
        environment, u = 0.1 * rng.normal(size=(n_draws, slack.size)), np.abs(rng.normal(size=(n_draws, slack.size)))
        coefficients = rng.normal(size=(n_draws, regions, len(spec.inputs)))
        parts = kernel.parts_of(slack, environment, u, coefficients)
        calls.append({"spec": spec, "seed": seed, "slack": slack, "parts": parts, "options": options, "draws": draws})
        return kernel.SlackFrontier(name, parts, None, "checked.", passed)

    monkeypatch.setattr(stages, "posterior_frontier", frontier)
    return calls


# ── kernels ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_adjustment_by_hand():
    x = np.array([10.0, 20.0, 30.0])
    environment, noise = np.array([[1.0, 3.0, 2.0], [0.0, 0.0, 4.0]]), np.array([[0.5, -0.5, 0.0], [1.0, 2.0, -1.0]])
    known = [[10 + 2 + 0, 20 + 0 + 1, 30 + 1 + 0.5], [10 + 4 + 1, 20 + 4 + 0, 30 + 0 + 3]]
    np.testing.assert_allclose(kernel.adjusted_input(x, environment, noise), known, rtol=1e-15)
    np.testing.assert_array_equal(kernel.adjusted_input(x, np.zeros((2, 3)), np.zeros((2, 3))), [x, x])


def test_parts_of_the_slack_add_up_and_so_do_their_shares():
    rng = np.random.default_rng(1)
    slack, environment, u = rng.exponential(size=7), rng.normal(size=(3, 7)), rng.exponential(size=(3, 7))
    parts = kernel.parts_of(slack, environment, u, np.zeros((3, 1, 1)))
    np.testing.assert_allclose(parts.environment + parts.noise + parts.inefficiency, np.tile(slack, (3, 1)), rtol=1e-14)
    shares = kernel.variance_shares(slack, parts)
    np.testing.assert_allclose(shares.sum(axis=0), 1, rtol=1e-13)
    known = [np.cov(environment[1], slack)[0, 1] / slack.var(ddof=1), np.cov(u[1], slack)[0, 1] / slack.var(ddof=1)]
    np.testing.assert_allclose(shares[[0, 2], 1], known, rtol=1e-12)


def test_first_stage_by_hand():
    """One input, one output, variable returns: a, b, c span the frontier, d uses 6 where 3 would do."""
    frame = pd.DataFrame({"i": list("abcd") * 2, "t": [1] * 4 + [2] * 4, "x": [1.0, 2, 5, 6] * 2, "y": [1.0, 4, 7, 5] * 2})
    panel = bayes.Panel.from_frame(frame.assign(w=[2.0, 1, 4, 3] * 2), "i", "t")
    score, (slack,) = stages.first_stage(panel, ["x"], ["y"], "vrs", "contemporaneous")
    np.testing.assert_allclose(score, np.repeat([1, 1, 1, 0.5], 2), atol=1e-9)
    np.testing.assert_allclose(slack, np.repeat([0, 0, 0, 3], 2), atol=1e-9)
    assert (slack[:6] == 0).all(), "rounding of the linear programs is taken out"
    _, slacks = stages.first_stage(panel, ["x", "w"], ["y"], "vrs", "contemporaneous")
    table = dea(panel, ["x", "w"], ["y"], orientation="input", slacks=True)
    for name, slack in zip(["x", "w"], slacks, strict=True):
        left = table.where(estimand="slack", term=name).frame["estimate"].to_numpy()
        radial = (1 - table.where(estimand="efficiency").frame["estimate"].to_numpy()) * panel.column(name)
        np.testing.assert_allclose(slack, radial + left, atol=1e-7)


@pytest.mark.parametrize("reference", ["contemporaneous", "global"])
def test_third_stage_is_dea_on_the_adjusted_columns(reference):
    rng = np.random.default_rng(2)
    x = PANEL.matrix(["x0", "x1"])
    adjusted = np.stack([x, x + rng.uniform(0, 2, x.shape)])
    scores = stages.third_stage(production_of(PANEL, ["x0", "x1"], ["y"]), adjusted, "vrs", reference)
    for d in range(2):
        known = dea(PANEL.assign(x0=adjusted[d, :, 0], x1=adjusted[d, :, 1]), ["x0", "x1"], ["y"], orientation="input", reference=reference)
        np.testing.assert_allclose(scores[d], known.frame["estimate"], atol=1e-9)


# ── frontiers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def slack_panel(seed: int = 4, sigma_u: float = 1.5, n: int = 240) -> tuple[bayes.Panel, np.ndarray]:
    rng = np.random.default_rng(seed)
    z = 50 + 20 * rng.normal(size=n)
    slack = 100 * (3 + 0.02 * z + 0.3 * rng.normal(size=n) + sigma_u * np.abs(rng.normal(size=n)))
    frame = pd.DataFrame({"i": np.repeat(np.arange(n // 4), 4), "t": np.tile(np.arange(4), n // 4), "z": z})
    return bayes.Panel.from_frame(frame, "i", "t"), slack


def specification(**options):
    return kernel.slack_specification("x", ["z"], "half-normal", "complete", {}, **options)


def test_maximum_likelihood_against_an_independent_optimiser():
    panel, slack = slack_panel()
    found = kernel.likelihood_frontier(specification(), panel, "x", slack)
    z, y = panel.column("z"), slack / 100

    def loss(theta):
        v, u = np.exp(theta[2:])
        sigma, eps = np.hypot(u, v), y - theta[0] - theta[1] * z
        return -(np.log(2 / sigma) + stats.norm.logpdf(eps / sigma) + stats.norm.logcdf(eps * u / v / sigma)).sum()

    best = optimize.minimize(loss, [3.5, 0.02, -1, 0], method="Nelder-Mead", options={"maxiter": 20000, "xatol": 1e-10, "fatol": 1e-12}).x
    v, u = np.exp(best[2:])
    eps, sigma2 = y - best[0] - best[1] * z, u**2 + v**2
    location, scale = eps * u**2 / sigma2, u * v / np.sqrt(sigma2)
    mean_u = location + scale * np.exp(stats.norm.logpdf(location / scale) - stats.norm.logcdf(location / scale))
    assert found.passed
    np.testing.assert_allclose(found.parts.coefficients.ravel(), 100 * best[1], rtol=1e-5)
    np.testing.assert_allclose(found.parts.environment[0], 100 * (best[0] + best[1] * z), rtol=1e-5)
    np.testing.assert_allclose(found.parts.inefficiency[0], 100 * mean_u, rtol=1e-4)
    step = np.diag(1e-4 * np.abs(best))
    second = [
        [(loss(best + a + b) - loss(best + a - b) - loss(best - a + b) + loss(best - a - b)) / (4 * a.sum() * b.sum()) for a in step]
        for b in step
    ]
    np.testing.assert_allclose(found.errors, 100 * np.sqrt(np.linalg.inv(second)[1, 1]), rtol=1e-3)


def test_units_of_measurement_do_not_matter():
    panel, slack = slack_panel()
    one = kernel.likelihood_frontier(specification(), panel, "x", slack)
    other = kernel.likelihood_frontier(specification(), panel.assign(z=1e6 + 1e-3 * panel.column("z")), "x", 1e5 * slack)
    np.testing.assert_allclose(other.parts.noise, 1e5 * one.parts.noise, rtol=1e-5, atol=1e-4 * np.abs(other.parts.noise).max())
    np.testing.assert_allclose(other.parts.coefficients, 1e8 * one.parts.coefficients, rtol=1e-5)


def test_without_inefficiency_everything_left_is_noise_and_said_so():
    panel, slack = slack_panel()
    mirrored = slack.max() + slack.min() - slack
    with pytest.warns(WrongSkewnessWarning, match="Slack of input 'x' shows no inefficiency") as seen:
        found = kernel.likelihood_frontier(specification(), panel, "x", mirrored)
    assert len(seen) == 1
    assert not found.parts.inefficiency.any()
    assert not found.passed
    adjusted = kernel.adjusted_input(10_000 + mirrored, found.parts.environment, found.parts.noise)
    np.testing.assert_allclose(adjusted, adjusted[0, 0], rtol=1e-12, err_msg="target plus a constant")


def test_a_frontier_that_falls_onto_zero_slacks_is_said():
    panel, slack = slack_panel()
    many = np.where(np.arange(slack.size) % 2 == 0, 0.0, 100 * np.abs(np.random.default_rng(1).normal(size=slack.size)))
    with pytest.warns(BayesWarning) as seen:
        found = kernel.likelihood_frontier(specification(), panel, "x", many)
    words = {w.category: str(w.message) for w in seen}
    assert "Slack frontier of input 'x': Maximum likelihood found no interior optimum" in words[BaselineWarning]
    assert "lies on the 50% of slacks that are zero" in words[SlackWarning]
    assert "reference='global'" in words[SlackWarning]
    np.testing.assert_allclose(found.parts.inefficiency[0], many, atol=0.02 * many.max())


@pytest.fixture(scope="module")
def sampled():
    """A short run with one input, the frontier behind it, and its warnings: of so few draws they are expected."""
    found, frontier = [], stages.posterior_frontier
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        patch.setattr(stages, "posterior_frontier", lambda *arguments: found.append(frontier(*arguments)) or found[-1])
        short = {"draws": 60, "tune": 100, "chains": 2, "target_accept": 0.85}
        out = three_stage(PANEL, ["x0"], ["y"], ["z"], draws=30, detail=True, by=["unit:period", "all"], seed=5, sampling=short)
    return out, found[0].parts, seen


def test_a_sampled_frontier_takes_the_slack_apart_in_every_draw(sampled):
    out, parts, _ = sampled
    slack, x = out.where(estimand="slack").frame["estimate"].to_numpy(), PANEL.column("x0")
    assert parts.environment.shape == (30, PANEL.n_rows)
    np.testing.assert_allclose(parts.environment + parts.noise + parts.inefficiency, np.tile(slack, (30, 1)), atol=1e-9)
    assert (parts.inefficiency > 0).all()
    design = np.column_stack([np.ones(PANEL.n_rows), PANEL.column("z")])
    coefficients = np.linalg.lstsq(design, parts.environment.T)[0]
    np.testing.assert_allclose(design @ coefficients, parts.environment.T, atol=1e-9)
    np.testing.assert_allclose(out.where(estimand="environment").draws[0], coefficients[1], atol=1e-9)
    adjusted = kernel.adjusted_input(x, parts.environment, parts.noise)
    np.testing.assert_allclose(out.where(estimand="adjusted_input").draws, adjusted.T, rtol=1e-12)


def test_a_sampled_run_scores_every_draw_and_passes_its_verdict_on(sampled):
    out, _, seen = sampled
    assert np.isfinite(out.draws).all()
    np.testing.assert_allclose(out.where(estimand="slack_variance_share").draws.sum(axis=0), 1, rtol=1e-10)
    adjusted = out.where(estimand="adjusted_input").draws.T[:, :, None]
    known = stages.third_stage(production_of(PANEL, ["x0"], ["y"]), adjusted, "vrs", "contemporaneous")
    np.testing.assert_allclose(out.where(variant="after", term="unit:period").draws, known.T, atol=1e-9)
    assert not out.meta["passed"]
    assert any(issubclass(w.category, ConvergenceWarning) and "Slack frontier of input 'x0'" in str(w.message) for w in seen)
    assert out.frame["source"].str.endswith("(FAILED sampling checks)").all()


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_table_holds_means_by_draw(monkeypatch):
    calls = fake_frontier(monkeypatch, 5)
    panel = replace(PANEL.assign(w=1 + PANEL.column("y")), weights="w")
    out = three_stage(panel, *ROLES, draws=5, by=["unit:period", "region", "all"], seed=9)
    before = out.where(estimand="efficiency", variant="before", term="unit:period")
    after = out.where(estimand="efficiency", variant="after", term="unit:period")
    np.testing.assert_allclose(before.frame["estimate"], dea(panel, *ROLES[:2], orientation="input").frame["estimate"], atol=1e-9)
    adjusted = [kernel.adjusted_input(panel.column(f"x{k}"), c["parts"].environment, c["parts"].noise) for k, c in enumerate(calls)]
    known = stages.third_stage(production_of(panel, *ROLES[:2]), np.stack(adjusted, axis=-1), "vrs", "contemporaneous")
    np.testing.assert_allclose(after.draws, known.T, atol=1e-9)
    change = out.where(estimand="efficiency_change", term="unit:period")
    np.testing.assert_allclose(change.draws, after.draws - before.draws, atol=1e-12)
    for r in range(3):
        rows = panel.frame["region"].to_numpy() == f"r{r}"
        mean = np.average(after.draws[rows], axis=0, weights=panel.column("w")[rows])
        np.testing.assert_allclose(out.where(variant="after", term="region", region=f"r{r}").draws[0], mean, rtol=1e-12)
    row = out.where(estimand="efficiency_change", term="all").frame.iloc[0]
    assert row.prob_positive == (out.where(estimand="efficiency_change", term="all").draws[0] > 0).mean()
    assert before.frame[["se", "lower", "upper", "prob_positive"]].isna().all(axis=None)
    assert after.frame[["se", "lower", "upper"]].notna().all(axis=None)
    assert values_of(panel, after).draws.shape == (5, panel.n_rows), "scores go on into any other measure"


def test_frontiers_of_inputs_are_drawn_apart_and_options_arrive(monkeypatch):
    calls = fake_frontier(monkeypatch, 4)
    three_stage(PANEL, *ROLES, draws=4, seed=1, inefficiency="exponential", priors={"noise_scale": 0.3}, sampling={"chains": 2})
    assert calls[0]["seed"] != calls[1]["seed"]
    spec = calls[0]["spec"]
    assert (spec.kind, spec.model, spec.inefficiency, spec.pooling) == ("cost", "pooled", "exponential", "complete")
    assert spec.priors["noise_scale"] == 0.3
    assert calls[0]["options"] == {"target_accept": 0.99, "progress": None, "chains": 2}
    again = fake_frontier(monkeypatch, 4)
    three_stage(PANEL, *ROLES, draws=4, seed=1)
    assert [c["seed"] for c in again] == [c["seed"] for c in calls], "one seed, one result"


def test_coefficients_by_region_and_a_failed_verdict(monkeypatch):
    fake_frontier(monkeypatch, 4, regions=3, passed=False)
    out = three_stage(PANEL, *ROLES, draws=4, by="all", pooling=["technology"])
    rows = out.where(estimand="environment").frame
    assert rows["region"].tolist() == ["r0", "r1", "r2"] * 2
    assert rows["term_to"].tolist() == ["x0"] * 3 + ["x1"] * 3
    assert out.meta["verdict"] == "Slack of x0: checked. Slack of x1: checked."
    assert not out.meta["passed"]


def test_progress_is_shown_on_request_only(monkeypatch, capsys):
    fake_frontier(monkeypatch, 3)
    three_stage(PANEL, *ROLES, draws=3, by="all")
    assert capsys.readouterr().err == ""
    three_stage(PANEL, *ROLES, draws=3, by="all", progress=True)
    assert capsys.readouterr().err.endswith("draw: 3 of 3\n")


def test_maximum_likelihood_gives_points_and_moves_ranks_towards_the_truth():
    panel, truth = three_stage_panel(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WrongSkewnessWarning)
        out = three_stage(panel, *ROLES, method="ml", reference="global", seed=3)
    assert out.draws is None
    ranks = {v: stats.spearmanr(out.where(variant=v).frame["estimate"], truth).statistic for v in ("before", "after")}
    assert ranks["after"] > ranks["before"] + 0.2
    rows = out.where(estimand="environment").frame
    assert ((rows["lower"] < rows["estimate"]) & (rows["upper"] > rows["estimate"])).all()
    np.testing.assert_allclose(rows["upper"] - rows["estimate"], stats.norm.ppf(0.975) * rows["se"], rtol=1e-9)
    assert set(out.meta["status"]) == {"x0", "x1"}
    assert out.meta["seed"] == 3


# ── bad input ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("columns", "options", "error", "words"),
    [
        ({"z": 2.0}, {}, NoVariationError, r"'z' \(environment\) is 2"),
        ({"z": np.r_[np.nan, np.ones(32)]}, {}, MissingValueError, "'z' has 1 missing.*u00"),
        ({}, {"environment": ["wind"]}, MissingColumnError, "wind"),
        ({"q": 1 - 3 * PANEL.column("z")}, {"environment": ["z", "q"]}, CollinearColumnsError, "'q' is an exact linear combination of z"),
        ({}, {"environment": ["x1", "z"]}, SpecificationError, r"\['x1'\] are inputs or outputs"),
        ({}, {"environment": ["z", "z"]}, SpecificationError, "twice"),
        ({}, {"environment": []}, SpecificationError, "environment is empty"),
        ({}, {"environment": "z"}, SpecificationError, r"environment=\['z'\]"),
        ({"x0": np.r_[-1.0, np.ones(32)]}, {}, NotPositiveError, "'x0'.*u00"),
        ({"x0": PANEL.column("y"), "x1": PANEL.column("y") ** 2}, {}, NoVariationError, "'x0' has no slack in all 33 rows"),
        ({}, {"method": "bayes"}, SpecificationError, "'posterior', 'ml'"),
        ({}, {"by": ["all", "country"]}, SpecificationError, "by='country'.*unit:period"),
        ({}, {"reference": "all"}, SpecificationError, "contemporaneous"),
        ({}, {"returns": "irs"}, SpecificationError, "vrs"),
        ({}, {"inefficiency": "normal"}, SpecificationError, "half-normal"),
        ({}, {"pooling": "some"}, SpecificationError, "complete"),
        ({}, {"level": 95}, SpecificationError, "between 0 and 1"),
        ({}, {"draws": 5000}, SpecificationError, "5000 are more than the 4000"),
        ({}, {"draws": 1}, SpecificationError, "at least 2"),
        ({}, {"sampling": {"burn": 5}}, SpecificationError, "'burn'. Options: sampler, draws"),
        ({}, {"sampling": {"draws": "many"}}, SpecificationError, "whole number"),
        ({}, {"method": "ml", "pooling": ["technology"]}, SpecificationError, "no partial pooling"),
        ({}, {"priors": {"slope": 1}}, SpecificationError, "slope"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sampled(monkeypatch, columns, options, error, words):
    def sampling(*_):
        raise AssertionError("the sampler was reached")

    monkeypatch.setattr(bayes.StochasticFrontier, "_sample", sampling)
    with pytest.raises(error, match=words):
        three_stage(PANEL.assign(**columns), **({"inputs": ROLES[0], "outputs": ["y"], "environment": ["z"]} | options))
