"""Markov transitions: another program's chain, kernels against dense algebra, gaps, draws, reducible chains, bad input."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes.errors import NotPositiveError, NoVariationError, SpecificationError
from bayes.estimates import Estimates
from bayes.measure._chains import count_transitions, dirichlet_rows, half_life, recurrent_sets, stationary
from bayes.measure._markov import markov_transitions, quantile_bounds
from bayes.panel import Panel

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "reference" / "data"
REFERENCE = pd.read_csv(ROOT / "tests" / "reference" / "indices.csv")
INCOMES = REFERENCE[REFERENCE.method.str.startswith("giddy")]


def synthetic(gaps: bool = False, n_units: int = 15, n_periods: int = 8, seed: int = 1) -> Panel:
    """Synthetic: random walks of units in two regions."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"unit": np.repeat(np.arange(n_units), n_periods), "year": np.tile(2001 + np.arange(n_periods), n_units)})
    y = np.exp(rng.normal(size=(n_units, 1)) + np.cumsum(rng.normal(0, 0.5, (n_units, n_periods)), axis=1)).ravel()
    frame = frame.assign(region=np.where(frame.unit % 2, "East", "West"), y=y)
    if gaps:
        frame = frame[rng.random(len(frame)) > 0.15]
    return Panel.from_frame(frame, unit="unit", time="year", region="region", name="synthetic")


def paths(*classes: str, first: int = 1) -> Panel:
    """A unit for each string of classes, one digit a period; a dot is a gap."""
    rows = [{"unit": f"u{i}", "year": first + t, "c": float(v)} for i, path in enumerate(classes) for t, v in enumerate(path) if v != "."]
    return Panel.from_frame(pd.DataFrame(rows), unit="unit", time="year")


def matrix(found: Estimates, variant: str, k: int, **labels) -> np.ndarray:
    frame = found.where(estimand="transition", variant=variant, **labels).frame
    return frame.estimate.to_numpy().reshape(k, k)


@cache
def incomes() -> pd.Series:
    wide = pd.read_csv(DATA / "pysal_usjoin_income.csv")
    years = [column for column in wide if column.isdigit()]
    long = wide.assign(state=np.arange(len(wide))).melt("state", years, "year", "income")
    panel = Panel.from_frame(long.assign(year=long.year.astype(int)), unit="state", time="year")
    found = markov_transitions(panel, "income", classes=5, draws=50).where(variant="frequency").frame
    return found.set_index(["estimand", "term", "term_to"]).estimate


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of reference data beside the project is not here")
@pytest.mark.parametrize("row", INCOMES.to_dict("records"), ids=lambda r: r["item"])
def test_quintiles_of_incomes_by_another_program(row):
    key = ("transition", *row["item"].split("->")) if "->" in row["item"] else ("ergodic", row["item"].removeprefix("class"), "")
    assert incomes()[key] == pytest.approx(row["value"], abs=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("gaps", [False, True])
def test_moves_are_counted_pair_by_pair(gaps, steps):
    panel = synthetic(gaps)
    cuts = [0.5, 1.5]
    found = markov_transitions(panel, "y", classes=cuts, relative="pooled", steps=steps, draws=20)
    seen = {(u, t): sum(y > c for c in cuts) for u, t, y in panel.frame[["unit", "year", "y"]].itertuples(index=False)}
    counts = np.zeros((3, 3))
    for (u, t), origin in seen.items():
        if (u, t + steps) in seen:
            counts[origin, seen[u, t + steps]] += 1
    np.testing.assert_allclose(matrix(found, "frequency", 3), counts / counts.sum(axis=1, keepdims=True))
    last = panel.frame.groupby("unit").year.max()
    lost = sum((u, t + steps) not in seen and t + steps <= last[u] for u, t in seen)
    note = found.frame.note.iloc[0]
    assert note.startswith(f"{int(counts.sum())} moves")
    assert (f"; {lost} not counted" in note) == (lost > 0)
    starts = found.where(estimand="transition", variant="posterior").frame.n_obs.to_numpy().reshape(3, 3)
    np.testing.assert_array_equal(starts[:, 0], counts.sum(axis=1))


def test_gaps_on_the_grid_of_the_panel_are_not_moves():
    panel = paths("12.21", "1.2.1", "11111")
    found = markov_transitions(panel, "c", classes=[1.5], relative="pooled", draws=10)
    np.testing.assert_allclose(matrix(found, "frequency", 2), [[4 / 5, 1 / 5], [1, 0]])
    assert found.frame.note.iloc[0] == "6 moves; 3 not counted (a gap at the end of the span)"


def test_periods_five_years_apart_are_one_step():
    wide = paths("1212", "2211")
    five = Panel.from_frame(wide.frame.assign(year=wide.frame.year * 5), unit="unit", time="year")
    found, plain = (markov_transitions(p, "c", classes=[1.5], relative="pooled", draws=10) for p in (five, wide))
    np.testing.assert_array_equal(matrix(found, "frequency", 2), matrix(plain, "frequency", 2))
    lives = [f.where(estimand="half_life", variant="frequency").frame.estimate.iloc[0] for f in (found, plain)]
    assert lives[0] == pytest.approx(5 * lives[1])


def test_posterior_rows_are_dirichlet():
    """Mean and variance of each cell within Monte-Carlo error of the exact Dirichlet's."""
    panel = synthetic()
    found = markov_transitions(panel, "y", classes=3, prior=0.5, draws=4000, seed=3).where(estimand="transition", variant="posterior")
    ml = matrix(markov_transitions(panel, "y", classes=3, draws=2), "frequency", 3)
    starts = found.frame.n_obs.to_numpy().reshape(3, 3)
    a = ml * starts + 0.5
    total = a.sum(axis=1, keepdims=True)
    mean, variance = a / total, a * (total - a) / (total**2 * (total + 1))
    draws = found.draws.reshape(3, 3, -1)
    np.testing.assert_allclose(draws.sum(axis=1), 1)
    assert (np.abs(draws.mean(axis=2) - mean) < 4.5 * np.sqrt(variance / 4000)).all()
    np.testing.assert_allclose(draws.var(axis=2), variance, rtol=0.15)


def test_ergodic_distribution_of_each_draw_is_stationary():
    found = markov_transitions(synthetic(), "y", classes=4, draws=200, seed=1).where(variant="posterior")
    p = found.where(estimand="transition").draws.reshape(4, 4, -1)
    pi = found.where(estimand="ergodic").draws
    np.testing.assert_allclose(np.einsum("id,ijd->jd", pi, p), pi, atol=1e-14)
    np.testing.assert_allclose(pi.sum(axis=0), 1)
    mobility = found.where(estimand="mobility").draws[0]
    np.testing.assert_allclose(mobility, (4 - np.einsum("iid->d", p)) / 3)
    again = markov_transitions(synthetic(), "y", classes=4, draws=200, seed=1).where(variant="posterior")
    np.testing.assert_array_equal(found.draws, again.draws)
    assert found.meta["prior"] == 0.25
    assert (found.meta["seed"], found.meta["n_draws"]) == (1, 200)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7))
def test_stationary_distribution_by_dense_algebra(seed, k):
    p = np.random.default_rng(seed).dirichlet(np.full(k, 0.3), (4, k))
    p = (p + 1e-9) / (p + 1e-9).sum(axis=2, keepdims=True)
    pi, reason = stationary(p)
    assert reason == ""
    for d in range(4):
        dense = np.linalg.solve(np.eye(k) - p[d].T + np.ones((k, k)), np.ones(k))
        np.testing.assert_allclose(pi[d], dense, atol=1e-7)
        np.testing.assert_allclose(pi[d] @ p[d], pi[d], atol=1e-14)


def test_reducible_chains():
    two_traps = np.array([[1, 0, 0], [0.2, 0.5, 0.3], [0, 0, 1.0]])
    assert [s.tolist() for s in recurrent_sets(two_traps)] == [[2], [0]] or [s.tolist() for s in recurrent_sets(two_traps)] == [[0], [2]]
    pi, reason = stationary(two_traps[None])
    assert np.isnan(pi).all()
    assert "reducible" in reason
    one_trap = np.array([[0.5, 0.5, 0], [0, 0.3, 0.7], [0, 0.6, 0.4]])
    np.testing.assert_allclose(stationary(one_trap[None])[0][0], [0, 6 / 13, 7 / 13])
    np.testing.assert_allclose(stationary(np.array([[[0, 1.0], [1, 0]]]))[0][0], [0.5, 0.5])
    assert np.isnan(half_life(np.array([[[0, 1.0], [1, 0]]]))[0])
    assert half_life(np.full((1, 2, 2), 0.5))[0] == 0
    assert half_life(np.array([[[0.75, 0.25], [0.25, 0.75]]]))[0] == pytest.approx(1)


def test_reducible_frequencies_and_empty_classes_are_named():
    found = markov_transitions(paths("1111", "3333", "2211", "2233"), "c", classes=[1.5, 2.5], relative="pooled", draws=50)
    for row in found.where(estimand="ergodic", variant="frequency").frame.itertuples():
        assert np.isnan(row.estimate)
        assert "reducible chain" in row.note
    assert found.where(estimand="ergodic", variant="posterior").frame.estimate.sum() == pytest.approx(1)
    empty = markov_transitions(paths("1113", "1113", "1131"), "c", classes=[1.5, 2.5], relative="pooled", draws=50)
    lost = empty.where(estimand="transition", term="2")
    assert not lost.frame.identified.any()
    assert lost.frame.note.str.contains("no transition starts in class 2").all()
    assert lost.where(variant="frequency").frame.estimate.isna().all()
    assert lost.where(variant="posterior").frame.estimate.notna().all()
    assert empty.where(estimand="mobility", variant="frequency").frame.estimate.isna().all()


def test_a_small_prior_does_not_underflow():
    rows = dirichlet_rows(np.zeros((1, 3, 3), dtype=int), 1e-4, 500, np.random.default_rng(0))
    np.testing.assert_allclose(rows.sum(axis=2), 1)
    assert (rows.max(axis=2) > 0.99).mean() > 0.9


def test_regions_have_chains_of_their_own():
    panel = synthetic(gaps=True)
    found = markov_transitions(panel, "y", classes=[0.5, 1.5], relative="pooled", by="region", draws=20)
    for region in ("East", "West"):
        rows = panel.frame[panel.frame.region == region].drop(columns="region")
        alone = markov_transitions(Panel.from_frame(rows, unit="unit", time="year"), "y", classes=[0.5, 1.5], relative="pooled", draws=20)
        np.testing.assert_allclose(matrix(found, "frequency", 3, region=region), matrix(alone, "frequency", 3))


def test_draws_of_values_give_a_chain_each():
    panel = synthetic()
    draws = panel.column("y")[:, None] * np.random.default_rng(0).lognormal(0, 0.3, (panel.n_rows, 30))
    rows = [{"estimand": "y", "unit": str(u), "period": t} for u, t in panel.frame[["unit", "year"]].itertuples(index=False)]
    estimates = Estimates.from_draws(rows, draws)
    found = markov_transitions(panel, estimates, classes=3)
    assert found.draws.shape[1] == 30
    assert found.meta["n_draws"] == 30
    frequency = found.where(estimand="transition", variant="frequency").draws
    for d in (0, 29):
        single = markov_transitions(panel.assign(y=draws[:, d]), "y", classes=3, draws=2)
        np.testing.assert_allclose(frequency[:, d], matrix(single, "frequency", 3).ravel())
    wide, narrow = (found.where(estimand="transition", variant=v).frame.se.mean() for v in ("posterior", "frequency"))
    assert wide > narrow


def test_classes_by_period_pooled_and_by_cuts():
    panel = synthetic()
    y, year = panel.column("y"), panel.frame.year.to_numpy()
    scaled = panel.assign(z=y * np.exp(0.3 * (year - 2001)))
    for classes in (4, [0.5, 1.0, 2.0]):
        found, same = (markov_transitions(scaled, c, classes=classes, draws=2) for c in ("y", "z"))
        np.testing.assert_allclose(matrix(found, "frequency", 4), matrix(same, "frequency", 4))
    pooled = markov_transitions(panel, "y", classes=3, relative="pooled", draws=2)
    cuts = markov_transitions(panel, "y", classes=np.quantile(y, [1 / 3, 2 / 3]), relative="pooled", draws=2)
    np.testing.assert_allclose(matrix(pooled, "frequency", 3), matrix(cuts, "frequency", 3))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 30), st.integers(2, 6))
def test_bounds_are_quantiles_and_equal_values_where_they_fall_on_them(seed, n, k):
    y = np.random.default_rng(seed).normal(size=(2, n))
    np.testing.assert_allclose(quantile_bounds(y, k), np.quantile(y, np.arange(1, k) / k, axis=1).T, atol=1e-12)
    exact = np.linspace(0.1, 0.7, k + 1)[None]
    np.testing.assert_array_equal(quantile_bounds(exact, k), exact[:, 1:-1])


def test_counting_kernel_on_a_hand_made_path():
    classes = np.array([[[0, 1, 1, -1, 0]], [[1, 1, 0, 0, -1]]])
    np.testing.assert_array_equal(count_transitions(classes, 2, 1), [[[0, 1], [0, 1]], [[1, 0], [1, 1]]])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"relative": "mean"}, "'period', 'pooled'"),
        ({"by": "unit"}, "'all', 'region'"),
        ({"classes": 1}, "at least 2"),
        ({"classes": 16}, "15 units for 16"),
        ({"classes": [2.0, 1.0]}, "increase"),
        ({"classes": []}, "Cut points"),
        ({"steps": 0}, "at least 1"),
        ({"steps": 8}, "8 grid periods apart"),
        ({"prior": 0}, "positive number"),
        ({"draws": 1}, "at least 2"),
        ({"level": 95}, "level"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(SpecificationError, match=words):
        markov_transitions(synthetic(), "y", **options)


def test_bad_data():
    panel = synthetic()
    panel = panel.assign(flat=np.where(panel.frame.year == 2003, 1.0, panel.column("y")), same=1.0, negative=-panel.column("y"))
    with pytest.raises(NoVariationError, match="year 2003"):
        markov_transitions(panel, "flat")
    with pytest.raises(NoVariationError, match="all periods"):
        markov_transitions(panel, "same", relative="pooled")
    with pytest.raises(NotPositiveError, match="year 2001"):
        markov_transitions(panel, "negative", classes=[0.5])
