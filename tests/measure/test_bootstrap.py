"""Smoothed bootstrap of scores and Malmquist indices: kernels by brute force, invariants, seeds, threads, a small truth."""

from __future__ import annotations

import numpy as np
import pytest

from bayes.errors import SpecificationError
from bayes.measure import _bootstrap as bootstrap
from bayes.measure import dea, malmquist
from bayes.measure._bootstrap import (
    distances_to,
    own_distances,
    pseudo_units,
    resampled,
    score_draws,
    silverman_bandwidth,
)
from bayes.measure._malmquist_bootstrap import malmquist_draws, resampled_pairs
from bayes.measure._malmquist_distances import Measure, consecutive_pairs
from bayes.measure._malmquist_parts import Method, index_parts
from bayes.measure._quantities import production_of
from bayes.measure._technologies import Quantities, Returns, Technology
from bayes.panel import Panel
from tests.measure.programs import directional_by_scipy, random_quantities, synthetic_panel

PANEL = synthetic_panel(n=9, periods=3, widths=(2, 1, 0), seed=2)
COLUMNS = (["x1", "x2"], ["y1"])


def distances(seed=0, n=40):
    """Synthetic distances ≥ 1, some of them on the frontier."""
    d = 1 + np.abs(np.random.default_rng(seed).normal(0, 0.3, n))
    d[:5] = 1.0
    return d


# ── kernels ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_bandwidth_by_hand():
    d = np.array([1.0, 1.0, 1.2, 1.4, 1.7])
    reflected = np.array([1.2, 1.4, 1.7, 0.8, 0.6, 0.3])
    s, iqr = reflected.std(ddof=1), np.subtract(*np.quantile(reflected, [0.75, 0.25]))
    expected = 0.9 * min(s, iqr / 1.34) * 6 ** (-1 / 5) * (6 / 5) ** (1 / 5) * d.std(ddof=1) / s
    assert silverman_bandwidth(d) == pytest.approx(expected, rel=1e-12)
    assert silverman_bandwidth(np.ones(4)) == 0


def test_resampled_distances_by_hand():
    """Draw, move, reflect at 1, pull towards 1, one by one with the same random numbers."""
    d, h = distances(), 0.12
    found = resampled(np.random.default_rng(5), d, h)
    rng = np.random.default_rng(5)
    which, noise = rng.integers(d.size, size=d.size), rng.standard_normal(d.size)
    for k in range(d.size):
        moved = d[which[k]] + h * noise[k]
        moved = moved if moved >= 1 else 2 - moved
        assert found[k] == pytest.approx(1 + (moved - 1) / np.sqrt(1 + h**2 / np.mean((d - 1) ** 2)), rel=1e-12)


def test_resampled_distances_have_the_sample_s_spread():
    """Mean square of δ − 1 over many replicates, in Monte Carlo standard errors; no distance below 1."""
    d = distances()
    drawn = np.stack([resampled(np.random.default_rng(s), d, 0.15) for s in range(2000)])
    assert drawn.min() >= 1
    squares = ((drawn - 1) ** 2).mean(axis=1)
    assert abs(squares.mean() - ((d - 1) ** 2).mean()) < 4 * squares.std() / np.sqrt(squares.size)


def test_resampled_pairs_keep_spread_and_correlation():
    """Means of squares and products of δ − 1. Smoothing and reflection dilute the product, by as much as the four reflected copies do."""
    rng = np.random.default_rng(1)
    a = np.abs(rng.normal(0, 0.3, 60))
    pairs = 1 + np.column_stack([a, np.abs(0.8 * a + rng.normal(0, 0.05, 60))])
    drawn = resampled_pairs(np.random.default_rng(0), pairs, 200_000) - 1
    np.testing.assert_allclose((drawn**2).mean(axis=0), ((pairs - 1) ** 2).mean(axis=0), rtol=0.02)
    h, covariance, n = (4 / (5 * 60)) ** (1 / 6), np.cov(pairs.T), 200_000
    turned = rng.choice([-1.0, 1.0], size=(n, 2))
    copies = turned * (pairs[rng.integers(60, size=n)] - 1)
    noise = np.empty((n, 2))
    for same in (True, False):
        which = (turned[:, 0] == turned[:, 1]) == same
        noise[which] = rng.multivariate_normal([0, 0], covariance * (np.ones((2, 2)) if same else [[1, -1], [-1, 1]]), which.sum())
    moved = np.abs(copies + h * noise) / np.sqrt(1 + h**2 * np.diag(covariance) / ((pairs - 1) ** 2).mean(axis=0))
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(np.corrcoef(moved.T)[0, 1], abs=0.01)
    np.testing.assert_allclose(drawn.mean(axis=0), moved.mean(axis=0), rtol=0.01)


def test_pairs_with_one_period_all_on_the_frontier():
    pairs = np.column_stack([np.ones(6), 1 + np.linspace(0, 0.5, 6)])
    drawn = resampled_pairs(np.random.default_rng(0), pairs, 500)
    assert (drawn[:, 0] == 1).all()
    assert drawn[:, 1].std() > 0


@pytest.mark.parametrize("orientation", ["input", "output"])
def test_pseudo_units_stand_where_they_were_drawn(orientation):
    """Measured against the estimated technology, a pseudo-unit has the distance that was drawn for it."""
    q = random_quantities(np.random.default_rng(3), 15, (2, 1, 0))
    for returns in (Returns.CONSTANT, Returns.VARIABLE):
        technology = Technology(q, returns)
        own = own_distances(technology, orientation)
        drawn = np.stack([resampled(np.random.default_rng(s), own, 0.1) for s in range(3)])
        pseudo = pseudo_units(q, own, drawn, orientation)
        for r in range(3):
            single = Technology(Quantities(q.inputs[None], q.outputs[None], q.bads[None]), returns)
            np.testing.assert_allclose(distances_to(single, pseudo.only(r), orientation)[0], drawn[r], rtol=1e-9)


def test_distances_to_many_technologies_against_scipy():
    rng = np.random.default_rng(4)
    sets, points = [random_quantities(rng, 8, (2, 1, 0)) for _ in range(3)], random_quantities(rng, 5, (2, 1, 0))
    stacked = Quantities(*(np.stack([getattr(s, part) for s in sets]) for part in ("inputs", "outputs", "bads")))
    for orientation in ("input", "output"):
        found = distances_to(Technology(stacked, Returns.VARIABLE), points, orientation)
        for g, p in np.ndindex(3, 5):
            x, y = points.inputs[p], points.outputs[p]
            inward = orientation == "input"
            beta = directional_by_scipy(sets[g], "vrs", False, x, y, np.empty(0), x * inward, y * (not inward), np.empty(0))
            np.testing.assert_allclose(found[g, p], 1 / (1 - beta) if inward else 1 + beta, rtol=1e-8)


def test_programs_without_a_proof_are_solved_one_by_one(monkeypatch):
    """Nothing depends on the batch: without it the same numbers come out."""
    q = random_quantities(np.random.default_rng(5), 10, (2, 1, 0))
    technology = Technology(Quantities(q.inputs[None], q.outputs[None], q.bads[None]), Returns.VARIABLE)
    expected = distances_to(technology, q, "output")
    monkeypatch.setattr(bootstrap, "directional_by_reference", lambda t, e, d: (np.full((1, 10), np.nan), np.zeros((1, 10), bool)))
    np.testing.assert_allclose(distances_to(technology, q, "output"), expected, rtol=1e-10)


# ── scores ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def draws_of_scores(replicates=120, cores=1, seed=3, reference="contemporaneous", panel=PANEL):
    return score_draws(production_of(panel, *COLUMNS), reference, "input", Returns.VARIABLE, False, replicates, seed, cores)


def test_a_replicate_by_hand():
    """One replicate of one period: pseudo-units, scores of the observed units against them, θ̂²/θ*."""
    found, production = draws_of_scores(), production_of(PANEL, *COLUMNS)
    rows = production.rows_of(1)
    q = production.quantities.only(rows)
    own = own_distances(Technology(q, Returns.VARIABLE), "input")
    for replicate in (0, 77):
        rng = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(1, replicate)))
        drawn = resampled(rng, own, silverman_bandwidth(own))
        pseudo = Quantities(q.inputs * (drawn / own)[:, None], q.outputs, q.bads)
        for k, row in enumerate(rows):
            x, y = q.inputs[k], q.outputs[k]
            theta = 1 - directional_by_scipy(pseudo, "vrs", False, x, y, np.empty(0), x, 0 * y, np.empty(0))
            assert found.draws[replicate, row] == pytest.approx(1 / own[k] ** 2 / theta, rel=1e-8)


@pytest.mark.parametrize("reference", ["contemporaneous", "sequential", "global"])
def test_draws_do_not_depend_on_threads_or_their_number(reference):
    """A replicate has its own seed: more threads change nothing, more replicates only add some."""
    one, many = draws_of_scores(reference=reference), draws_of_scores(cores=4, reference=reference)
    np.testing.assert_array_equal(one.draws, many.draws)
    np.testing.assert_allclose(draws_of_scores(170, reference=reference).draws[:120], one.draws, rtol=1e-12)
    assert not np.allclose(draws_of_scores(seed=4, reference=reference).draws, one.draws)
    scores = dea(PANEL, *COLUMNS, orientation="input", reference=reference).frame.estimate.to_numpy()
    assert (one.draws > 0).all()
    assert (one.draws <= scores + 1e-9).all()


def test_table_of_bias_corrected_scores():
    found = dea(PANEL, *COLUMNS, orientation="input", replicates=120, seed=3, level=0.9, slacks=True)
    frame, draws = found.frame, draws_of_scores().draws
    source = found.frame.source.iloc[-1]
    assert source.endswith(", bias-corrected")
    corrected = frame[frame.source == source]
    assert len(corrected) == PANEL.n_rows
    np.testing.assert_allclose(corrected.estimate, draws.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(corrected.lower, np.quantile(draws, 0.05, axis=0), rtol=1e-12)
    assert set(corrected.interval) == {"Simar–Wilson bootstrap"}
    assert (corrected.level == 0.9).all()
    plain = dea(PANEL, *COLUMNS, orientation="input", slacks=True).frame
    np.testing.assert_array_equal(frame[frame.source != source].estimate, plain.estimate)
    np.testing.assert_allclose(found.where(source=source).draws, draws.T, rtol=1e-12)
    assert np.isnan(found.draws[(frame.source != source).to_numpy()]).all()
    assert (found.meta["seed"], found.meta["replicates"]) == (3, 120)
    assert len(found.meta["bandwidths"]) == 3
    mean = dea(PANEL, *COLUMNS, orientation="input", replicates=120, seed=3, by="all")
    np.testing.assert_allclose(mean.draws[1], draws.mean(axis=1), rtol=1e-12)


def test_reference_sets_without_inefficiency_have_no_bootstrap():
    """Everybody on the frontier in 2001, one unit in 2002: no draws, with the reason; the others keep theirs."""
    frame = PANEL.frame[(PANEL.frame.year < 2002) | (PANEL.frame.unit == "u00")].copy()
    here = frame.year == 2001
    frame.loc[here, ["x1", "x2", "y1"]] = 1.0
    found = dea(Panel.from_frame(frame, unit="unit", time="year"), *COLUMNS, replicates=100)
    found = found.where(source=found.frame.source.iloc[-1])
    first = (found.frame.period == 2000).to_numpy()
    assert found.frame.identified[first].all()
    assert not found.frame.identified[~first].any()
    assert found.frame.note[~first].str.startswith("no bootstrap").all()
    assert np.isfinite(found.draws[first]).all()


def test_progress_is_silent_off_a_terminal(capsys):
    score_draws(production_of(PANEL, *COLUMNS), "global", "input", Returns.CONSTANT, False, 100, 0, 1)
    assert capsys.readouterr().err == ""
    score_draws(production_of(PANEL, *COLUMNS), "global", "input", Returns.CONSTANT, False, 100, 0, 1, progress=True)
    assert capsys.readouterr().err.endswith("Bootstrap: 2 of 2\n")


def test_bias_goes_the_right_way():
    """y = x·exp(−u): the estimated frontier lies too low, the corrected scores are nearer to the truth on average."""
    errors = []
    for s in range(12):
        rng = np.random.default_rng(s)
        x, u = rng.uniform(1, 10, 40), np.abs(rng.normal(0, 0.3, 40))
        q = Quantities(x[None, :, None], (x * np.exp(-u))[None, :, None], np.empty((1, 40, 0)))
        points = q.only(0)
        own = distances_to(Technology(q), points, "output")[0]
        drawn = np.stack([resampled(np.random.default_rng([s, r]), own, silverman_bandwidth(own)) for r in range(100)])
        star = distances_to(Technology(pseudo_units(points, own, drawn, "output")), points, "output")
        corrected = (star / own**2).mean(axis=0)
        errors.append([(1 / own - np.exp(-u)).mean(), (corrected - np.exp(-u)).mean()])
    raw, corrected = np.mean(errors, axis=0)
    assert raw > 0.003
    assert abs(corrected) < 0.5 * raw


# ── indices ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def gappy():
    """u00 without 2001, u01 without 2002."""
    frame = PANEL.frame
    gone = ((frame.unit == "u00") & (frame.year == 2001)) | ((frame.unit == "u01") & (frame.year == 2002))
    return Panel.from_frame(frame[~gone], unit="unit", time="year")


@pytest.mark.parametrize(("decomposition", "returns"), [("fgnz", "crs"), ("ray-desli", "crs"), ("plain", "crs"), ("plain", "vrs")])
@pytest.mark.parametrize("panel", [PANEL, gappy()], ids=["balanced", "gaps"])
def test_indices_and_parts_of_replicates(panel, decomposition, returns):
    """Points agree with the index itself, products hold in every draw, threads do not matter."""
    production = production_of(panel, *COLUMNS)
    pairs, method = consecutive_pairs(production), Method(Measure(), decomposition, "adjacent", Returns(returns))
    found = malmquist_draws(production, pairs, method, 110, seed=5, cores=1)
    again = malmquist_draws(production, pairs, method, 110, seed=5, cores=3)
    point = index_parts(production, pairs, method)
    assert list(found.parts) == list(point)
    for name, draws in found.parts.items():
        assert draws.shape == (110, len(pairs))
        np.testing.assert_array_equal(draws, again.parts[name])
        lost = ~np.isfinite(draws)
        assert set(np.flatnonzero(lost.any(axis=0)).tolist()) == set(found.reasons[name])
        usual = (~lost).mean(axis=0) > 0.5
        assert usual.sum() >= len(pairs) // 2
        middle = np.nanmedian(np.log(draws[:, usual]), axis=0)
        assert np.abs(middle - np.log(point[name][usual]))[np.isfinite(point[name][usual])].max() < 0.8
    parts = found.parts
    split = ("tc", "ptec", "sec") if decomposition == "ray-desli" else ("ec", "tc")
    product = np.prod([parts[name] for name in split], axis=0)
    np.testing.assert_allclose(product, np.where(np.isfinite(product), parts["malmquist"], np.nan), rtol=1e-9)
    if decomposition == "fgnz":
        np.testing.assert_allclose(parts["ptec"] * parts["sec"], parts["ec"], rtol=1e-9)


def test_an_index_of_one_replicate_by_hand():
    """Pseudo-units of both periods from one resampled pair each, the four distances one by one, M̂²/M*."""
    production = production_of(PANEL, *COLUMNS)
    pairs, method = consecutive_pairs(production), Method(Measure(), "plain", "adjacent", Returns.CONSTANT)
    found = malmquist_draws(production, pairs, method, 100, seed=1, cores=1).parts["malmquist"]
    point = index_parts(production, pairs, method)["malmquist"]
    sets = [production.quantities.only(production.rows_of(t)) for t in (1, 2)]
    own = [own_distances(Technology(q), "output") for q in sets]
    drawn = resampled_pairs(np.random.default_rng(np.random.SeedSequence(1, spawn_key=(1, 60))), np.column_stack(own), 9)
    pseudo = [Quantities(q.inputs, q.outputs * (o / drawn[:, t])[:, None], q.bads) for t, (q, o) in enumerate(zip(sets, own, strict=True))]

    def score(technology, point):
        x, y, none = point.inputs[0], point.outputs[0], np.empty(0)
        return 1 / (1 + directional_by_scipy(technology, "crs", False, x, y, none, 0 * x, y, none))

    for p in np.flatnonzero(production.period[pairs.second] == 2):
        a, b = (production.quantities.only(np.array([row[p]])) for row in (pairs.first, pairs.second))
        star = np.sqrt(score(pseudo[0], b) / score(pseudo[0], a) * score(pseudo[1], b) / score(pseudo[1], a))
        assert found[60, p] == pytest.approx(point[p] ** 2 / star, rel=1e-8)


def test_indices_without_anything_to_resample():
    """Everybody on the frontier of both periods: no draws, with the reason."""
    frame = PANEL.frame.copy()
    frame.loc[frame.year > 2000, ["x1", "x2", "y1"]] = 1.0
    production = production_of(Panel.from_frame(frame, unit="unit", time="year"), *COLUMNS)
    pairs = consecutive_pairs(production)
    found = malmquist_draws(production, pairs, Method(), 100, seed=0, cores=1)
    last = production.period[pairs.second] == 2
    for name, draws in found.parts.items():
        assert np.isnan(draws[:, last]).all()
        assert np.isfinite(draws[:, ~last]).all()
        assert set(found.reasons[name]) == set(np.flatnonzero(last).tolist())


@pytest.mark.parametrize("method", [Method(Measure("directional")), Method(Measure("sbm")), Method(reference="global")])
def test_indices_that_have_no_bootstrap(method):
    production = production_of(PANEL, *COLUMNS)
    with pytest.raises(SpecificationError, match="measure='radial' and reference='adjacent'"):
        malmquist_draws(production, consecutive_pairs(production), method, 100, seed=0)


def test_table_of_bootstrapped_indices():
    """Plain rows first, as without a bootstrap; then rows with draws, whose means over units are means within a draw."""
    plain = malmquist(PANEL, *COLUMNS, by="region")
    found = malmquist(PANEL, *COLUMNS, by="region", replicates=100, seed=2, level=0.8)
    half = len(plain)
    np.testing.assert_array_equal(found.frame.estimate[:half], plain.frame.estimate)
    corrected = found.frame.iloc[half:]
    assert set(corrected.source) == {plain.frame.source[0] + ", bias-corrected"}
    assert set(corrected.interval) == {"Simar–Wilson bootstrap"}
    assert (corrected.lower < corrected.estimate).all()
    assert np.isnan(found.draws[:half]).all()
    index, parts = (found.where(source=corrected.source.iloc[0], estimand=e).draws for e in ("malmquist", ["ec", "tc"]))
    np.testing.assert_allclose(index, parts[: len(index)] * parts[len(index) :], rtol=1e-12)
    assert (found.meta["seed"], found.meta["replicates"]) == (2, 100)


@pytest.mark.parametrize("options", [{"replicates": 5}, {"replicates": 100, "reference": "global"}, {"replicates": -1}])
def test_bootstraps_of_indices_that_do_not_exist_are_refused(options):
    with pytest.raises(SpecificationError):
        malmquist(PANEL, *COLUMNS, **options)
