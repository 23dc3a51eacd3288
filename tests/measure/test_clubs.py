"""The log-t kernel against dense algebra, clubs against the published ones, and what is known of synthetic clubs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes.errors import MissingValueError, NotPositiveError, NoVariationError, SpecificationError
from bayes.estimates import Estimates
from bayes.measure import _log_t as kernel
from bayes.measure._clubs import convergence_clubs, hodrick_prescott, log_t
from bayes.measure._clubs_search import Rules, find_clubs, find_core, membership, merge_clubs, sieve
from bayes.panel import Panel

REFERENCE = pd.read_csv(Path(__file__).parents[1] / "reference" / "clubs.csv")
SIZES = (6, 5, 7)


def clubs_of(seed: int = 0, years: int = 30, stray: bool = False) -> np.ndarray:
    """Synthetic: three clubs whose units run to their club's growth path, the paths apart; a stray unit leaves them all. (units, years)."""
    rng = np.random.default_rng(seed)
    t = np.arange(1, years + 1)
    parts = []
    for level, growth, n in zip((10.0, 8.0, 6.0), (0.12, 0.06, 0.01), SIZES, strict=True):
        start = rng.normal(0, 0.8, n)
        parts.append(level + growth * t + start[:, None] / t**0.7 + 1e-4 * rng.normal(size=(n, years)))
    if stray:
        parts.append((5 - 0.1 * t)[None])
    return np.vstack(parts)


def panel_of(y: np.ndarray, first: int = 1970) -> Panel:
    units, years = y.shape
    frame = pd.DataFrame({"unit": np.repeat(np.arange(units), years), "year": np.tile(first + np.arange(years), units), "y": y.ravel()})
    return Panel.from_frame(frame.assign(region=np.where(frame.unit < 6, "north", "south")), unit="unit", time="year", region="region")


@pytest.fixture(scope="module")
def countries(shared_folder) -> Panel:
    wide = pd.read_csv(shared_folder / "extra" / "ps_filteredGDP.csv")
    long = wide.melt("Countries", var_name="year", value_name="y").assign(year=lambda d: d.year.str[1:].astype(int))
    return Panel.from_frame(long, unit="Countries", time="year")


# ── the kernel, by brute force ──────────────────────────────────────────────────────────────────────────────────────


def brute_force(y: np.ndarray, left_out: int, errors: str) -> tuple[float, float]:
    """Slope and standard error with explicit sums and a dense least squares."""
    n_units, n_periods = y.shape
    h = [sum((y[i, t] / (sum(y[:, t]) / n_units) - 1) ** 2 for i in range(n_units)) / n_units for t in range(n_periods)]
    t = np.arange(left_out + 1, n_periods + 1)
    left = np.array([np.log(h[0] / h[s - 1]) - 2 * np.log(np.log(s)) for s in t])
    x = np.column_stack([np.ones(t.size), np.log(t)])
    beta, *_ = np.linalg.lstsq(x, left, rcond=None)
    u, n = left - x @ beta, t.size
    rho = sum(u[s] * u[s - 1] for s in range(1, n)) / sum(u[s] ** 2 for s in range(n - 1))
    bandwidth = 1.3221 * (4 * rho**2 / (1 - rho) ** 4 * n) ** 0.2
    last, divisor = (n - 1, n - 1) if errors == "phillips-sul" else (n, n)
    total = sum(v**2 for v in u) / divisor
    for lag in range(1, last):
        x_lag = lag / bandwidth
        weight = 25 / (12 * np.pi**2 * x_lag**2) * (np.sin(6 * np.pi * x_lag / 5) / (6 * np.pi * x_lag / 5) - np.cos(6 * np.pi * x_lag / 5))
        total += 2 * weight * sum(u[s] * u[s + lag] for s in range(last - lag)) / divisor
    return beta[1], np.sqrt(total * np.linalg.inv(x.T @ x)[1, 1])


@pytest.mark.parametrize("errors", kernel.ERRORS)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_regression_equals_dense_algebra(errors, seed):
    y = np.exp(np.random.default_rng(seed).normal(0, 0.3, (7, 24))) + 2
    found = kernel.log_t_regression(kernel.transition_variance(y)[None], 8, errors)
    slope, se = brute_force(y, 8, errors)
    assert found.slope[0] == pytest.approx(slope, rel=1e-10)
    assert found.se[0] == pytest.approx(se, rel=1e-9)
    assert found.t[0] == pytest.approx(slope / se, rel=1e-9)


def test_many_groups_at_once_equal_one_by_one():
    y = clubs_of()
    grown = kernel.growing_groups(y)
    for k in range(2, len(y) + 1):
        np.testing.assert_allclose(grown[k - 1], kernel.transition_variance(y[:k]), rtol=1e-11)
    added = kernel.with_each(y[:4], y[4:])
    for j in range(len(y) - 4):
        np.testing.assert_allclose(added[j], kernel.transition_variance(np.vstack([y[:4], y[4 + j]])), rtol=1e-11)
    together = kernel.log_t_regression(grown[1:], 10)
    alone = [kernel.log_t_regression(h[None], 10).t[0] for h in grown[1:]]
    np.testing.assert_allclose(together.t, alone, rtol=1e-10)


def test_the_spectral_kernel_is_one_at_zero_and_smooth():
    x = np.array([0.0, 1e-4, 0.01 / (1.2 * np.pi) * (1 - 1e-9), 0.01 / (1.2 * np.pi) * (1 + 1e-9), 0.5])
    found = kernel.quadratic_spectral(x)
    assert found[0] == 1
    assert found[2] == pytest.approx(found[3], rel=1e-10)
    z = 6 * np.pi * 0.5 / 5
    assert found[4] == pytest.approx(25 / (12 * np.pi**2 * 0.25) * (np.sin(z) / z - np.cos(z)), rel=1e-12)


def test_a_power_law_of_dispersion_gives_its_exponent():
    """H_t falling as (log t)^-2 t^-b makes the regression exact, with slope b."""
    t = np.arange(1, 41)
    variance = np.where(t > 1, 1 / (np.log(np.maximum(t, 2)) ** 2 * t**0.6), 1.0)
    found = kernel.log_t_regression(variance[None], 13)
    assert found.slope[0] == pytest.approx(0.6, rel=1e-10)


# ── published clubs ─────────────────────────────────────────────────────────────────────────────────────────────────


def published(method: str, quantity: str) -> pd.DataFrame:
    return REFERENCE[(REFERENCE.method == method) & (REFERENCE.quantity == quantity)]


@pytest.mark.parametrize(
    ("quantity", "estimand", "column"), [("slope", "log_t", "estimate"), ("se", "log_t", "se"), ("t", "log_t_statistic", "estimate")]
)
def test_published_log_t_of_152_countries(countries, quantity, estimand, column):
    row = published("log t", quantity).iloc[0]
    assert round(log_t(countries, "y").where(estimand=estimand).frame[column][0], row.decimals) == row.value


def test_published_clubs_of_152_countries(countries):
    found = convergence_clubs(countries, "y")
    compared = 0
    for method, variant in (("initial clubs", "initial"), ("merged clubs", "")):
        table = found.where(variant=variant)
        assert len(table.where(estimand="log_t")) == (7 if variant else 6)
        for quantity, estimand, column in (
            ("units", "log_t", "n_obs"), ("slope", "log_t", "estimate"), ("se", "log_t", "se"), ("t", "log_t_statistic", "estimate")
        ):  # fmt: skip
            for row in published(method, quantity).itertuples():
                value = table.where(estimand=estimand, term=row.item).frame[column].item()
                assert round(value, row.decimals) == row.value, (method, row.item, quantity, value)
                compared += 1
    assert compared == len(REFERENCE) - 3
    assert "initial clubs 4, 5" in found.where(term="club 4", estimand="log_t", variant="").frame.note.item()
    club = found.where(estimand="club").frame.set_index("unit").estimate
    assert club[["United.States", "China", "Maldives", "Thailand"]].eq(1).all()
    assert club.value_counts().to_dict() == {1: 50, 2: 30, 3: 21, 4: 38, 5: 11, 6: 2}
    assert found.where(estimand="clubs").frame.estimate.item() == 6


# ── synthetic clubs ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_known_clubs_are_found_and_a_stray_unit_diverges():
    y = clubs_of(stray=True)
    found = convergence_clubs(panel_of(y), "y", paths=True)
    club = found.where(estimand="club").frame
    assert club.estimate.tolist() == [1.0] * 6 + [2.0] * 5 + [3.0] * 7 + [0.0]
    assert club.note.iloc[-1] == "in no club: diverges"
    path = found.where(estimand="relative_transition", term="club 2").frame
    np.testing.assert_allclose(path.estimate, (y / y.mean(axis=0))[6:11].mean(axis=0), rtol=1e-12)
    assert path.n_obs.unique() == [5]
    assert len(found.where(estimand="relative_transition", term="no club")) == 30


def test_core_sieve_and_recursion_step_by_step():
    y = clubs_of()
    order = np.argsort(-y[:, -1], kind="stable")
    rules = Rules(10)
    core = find_core(y[order], rules)
    t = [rules.t_of(y[order][core[0] : core[0] + k]) for k in range(2, 20)]
    first_failure = next((k for k, v in enumerate(t) if not v > -1.65), len(t))
    assert core.size == 2 + int(np.argmax(t[:first_failure]))
    members = sieve(y[order], core, rules)
    expected = [i for i in range(len(y)) if i in core or rules.t_of(y[order][[*core, i]]) > 0]
    assert members.tolist() == expected
    assert membership(find_clubs(y, rules), len(y)).tolist() == [1] * 6 + [2] * 5 + [3] * 7


def test_c_star_rises_until_the_club_converges():
    """With a sieve that lets everybody in, the club fails until c* has thrown enough units out; a fixed c* keeps them."""
    y = clubs_of()
    y = y[np.argsort(-y[:, -1], kind="stable")]
    core = find_core(y, Rules(10))
    loose = Rules(10, sieve_critical=-1e6, increase=None)
    assert sieve(y, core, loose).size == len(y)
    assert not loose.converges(y)
    strict = Rules(10, sieve_critical=-1e6, increase=0.1)
    members = sieve(y, core, strict)
    assert core.size <= members.size < len(y)
    assert strict.converges(y[members])


def test_neighbouring_clubs_that_converge_are_merged():
    y = clubs_of()
    rules = Rules(10)
    halves = [np.arange(3), np.arange(3, 6), np.arange(6, 11), np.arange(11, 18)]
    merged, made_of = merge_clubs(y, halves, rules)
    assert [c.tolist() for c in merged] == [list(range(6)), list(range(6, 11)), list(range(11, 18))]
    assert made_of == [[0, 1], [2], [3]]


def test_what_was_merged_is_tested_as_a_whole_with_the_next_club():
    class UpToFour(Rules):
        def converges(self, y):
            return len(y) <= 4

    merged, made_of = merge_clubs(clubs_of(), [np.arange(2), np.arange(2, 4), np.arange(4, 6), np.arange(6, 8)], UpToFour(10))
    assert made_of == [[0, 1], [2, 3]]
    assert [c.tolist() for c in merged] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_one_club_when_all_converge_and_none_when_no_pair_does():
    y = clubs_of()
    assert set(convergence_clubs(panel_of(y[:6]), "y").where(estimand="club").frame.estimate) == {1.0}
    t = np.arange(1, 31)
    apart = np.array([10 + 0.5 * t, 8 + 0.2 * t, 6 + 0.0 * t])
    found = convergence_clubs(panel_of(apart), "y")
    assert set(found.where(estimand="club").frame.estimate) == {0.0}
    assert found.where(estimand="clubs").frame.estimate.item() == 0
    assert not len(found.where(estimand="log_t"))


def test_order_of_rows_does_not_matter():
    y = clubs_of(3)
    mixed = np.random.default_rng(0).permutation(len(y))
    straight, shuffled = (convergence_clubs(panel_of(v), "y").where(estimand="club").frame.estimate.to_numpy() for v in (y, y[mixed]))
    np.testing.assert_array_equal(shuffled, straight[mixed])


# ── regions, draws, filter ──────────────────────────────────────────────────────────────────────────────────────────


def test_log_t_by_region_and_of_one_unit():
    y = clubs_of()
    panel = panel_of(y)
    found = log_t(panel, "y", by="region")
    np.testing.assert_allclose(found.where(region="north", estimand="log_t").frame.estimate, brute_force(y[:6], 10, "phillips-sul")[0])
    row = found.where(region="south", estimand="log_t").frame.iloc[0]
    assert row.upper - row.estimate == pytest.approx(1.959964 * row.se, rel=1e-6)
    alone = log_t(panel_of(y[:7]), "y", by="region").where(region="south").frame
    assert alone.estimate.isna().all()
    assert not alone.identified.any()
    assert set(alone.note) == {"one unit: nothing to converge to"}
    same = log_t(panel_of(np.tile(y[:1], (3, 1))), "y").frame
    assert same.estimate.isna().all()
    assert "equal" in same.note[0]


def with_draws(panel: Panel, draws: np.ndarray) -> Estimates:
    rows = [{"estimand": "tfp", "unit": str(u), "period": float(t)} for u, t in zip(panel.frame["unit"], panel.frame["year"], strict=True)]
    return Estimates.from_draws(rows, draws)


def test_draws_are_followed_one_by_one():
    y = clubs_of()
    panel = panel_of(y)
    draws = y.ravel()[:, None] * np.exp(np.random.default_rng(5).normal(0, 0.004, (y.size, 6)))
    found = log_t(panel, with_draws(panel, draws), by="region")
    club = convergence_clubs(panel, with_draws(panel, draws), max_draws=4)
    for d in range(6):
        one = log_t(panel.assign(y=draws[:, d]), "y", by="region")
        np.testing.assert_allclose(found.draws[:, d], one.frame.estimate, rtol=1e-9)
    t = found.where(estimand="log_t_statistic")
    np.testing.assert_allclose(t.frame.prob_positive, (t.draws > -1.65).mean(axis=1))
    used = np.linspace(0, 5, 4).round().astype(int)
    assert club.meta["draws_used"] == 4
    members = club.where(estimand="club")
    for k, d in enumerate(used):
        one = convergence_clubs(panel.assign(y=draws[:, d]), "y").where(estimand="club").frame
        np.testing.assert_array_equal(members.draws[:, k], one.estimate)
    agree = (members.draws == members.frame.estimate.to_numpy()[:, None]).mean(axis=1)
    np.testing.assert_allclose(members.frame.prob_positive, agree)
    assert "its share of 4 draws" in members.frame.note[0]
    assert np.isnan(club.where(estimand="log_t").draws).all()


def test_progress_is_shown_when_asked_for(capsys):
    y = clubs_of()
    panel = panel_of(y)
    values = with_draws(panel, np.repeat(y.ravel()[:, None], 3, axis=1))
    convergence_clubs(panel, values, progress=True)
    assert "Clubs, draw: 3 of 3\n" in capsys.readouterr().err
    convergence_clubs(panel, values)
    assert capsys.readouterr().err == ""


def test_the_filter_solves_its_equations():
    y = np.random.default_rng(4).normal(size=(2, 3, 15))
    second = np.diff(np.eye(15), 2, axis=0)
    want = y @ np.linalg.inv(np.eye(15) + 400 * second.T @ second)
    np.testing.assert_allclose(hodrick_prescott(y, 400.0), want, atol=1e-10)
    line = 3 + 0.5 * np.arange(15.0)
    np.testing.assert_allclose(hodrick_prescott(line, 6.25), line, rtol=1e-10)
    values = clubs_of()
    filtered = log_t(panel_of(values), "y", filter="hp", smoothing=6.25).frame
    by_hand = log_t(panel_of(hodrick_prescott(values, 6.25)), "y").frame
    np.testing.assert_allclose(filtered.estimate, by_hand.estimate, rtol=1e-10)


# ── bad input ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"discard": 0.0}, "between 0 and 1"), ({"discard": 0.9}, "keeps 3"), ({"discard": 0.01}, "leaves out 0"),
        ({"errors": "white"}, "'phillips-sul', 'andrews'"), ({"filter": "bk"}, "hp"), ({"filter": "hp", "smoothing": 0.0}, "smoothing"),
        ({"level": 1.0}, "between 0 and 1"), ({"critical": "5 %"}, "critical must be a finite number"),
    ],
)  # fmt: skip
def test_unknown_words_are_refused(options, words):
    panel = panel_of(clubs_of())
    for function in (log_t, convergence_clubs):
        with pytest.raises(SpecificationError, match=words):
            function(panel, "y", **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"merge": "all"}, "none"), ({"increase": 0.0}, "positive"), ({"max_draws": 0}, "at least 1"), ({"increase": "0.1"}, "finite number")],
)
def test_unknown_words_of_clubs_are_refused(options, words):
    with pytest.raises(SpecificationError, match=words):
        convergence_clubs(panel_of(clubs_of()), "y", **options)


def test_places_of_bad_values_are_named():
    panel = panel_of(clubs_of())
    with pytest.raises(SpecificationError, match="region"):
        log_t(panel, "y", by="unit")
    frame = panel.frame.drop(index=34)
    gap = Panel.from_frame(frame, unit="unit", time="year", region="region")
    with pytest.raises(MissingValueError, match="unit 1, year 1974"):
        convergence_clubs(gap, "y")
    uneven = Panel.from_frame(panel.frame[panel.frame.year != 1975], unit="unit", time="year", region="region")
    with pytest.raises(SpecificationError, match="evenly spaced"):
        log_t(uneven, "y")
    negative = panel.assign(y=panel.frame.y.where(panel.frame.index != 5, -1.0))
    with pytest.raises(NotPositiveError, match="unit 0, year 1975"):
        log_t(negative, "y")
    equal = panel.assign(y=panel.frame.y.where(panel.frame.year != 1999, 2.0))
    with pytest.raises(NoVariationError, match="same 'y' in year 1999"):
        convergence_clubs(equal, "y")
    assert not log_t(equal, "y").frame.identified.any()
    with pytest.raises(SpecificationError, match="two units"):
        convergence_clubs(panel_of(clubs_of()[:1]), "y")
