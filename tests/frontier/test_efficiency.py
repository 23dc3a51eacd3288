"""Efficiency by group, ranks, exceedance and effects of determinants, against loops over rows and draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayes import aggregation
from bayes.errors import SpecificationError
from bayes.frontier import inefficiency as ie
from bayes.frontier.data import frontier_data
from bayes.frontier.efficiency import determinant_effects, exceedance, mean_efficiency, noise_effects, ranks
from bayes.frontier.likelihood import row_parameters
from bayes.frontier.model import StochasticFrontier
from bayes.frontier.support import MODELS
from bayes.panel import Panel
from tests.frontier.posteriors import data_of, every_specification, made_up_draws, name_of, panel_of, spec_of, synthetic_frame

FRAME = panel_of(synthetic_frame(gaps=True)).frame


@pytest.fixture(scope="module")
def fitted():
    spec = spec_of()
    data = data_of(spec, gaps=True)
    return made_up_draws(spec, data, 40), spec, data


def members(by):
    """Rows of each group of the synthetic panel, by the labels of its columns."""
    if by == "all":
        return {(): np.arange(len(FRAME))}
    columns = {"region": "region", "unit": "unit", "period": "year"}
    return FRAME.groupby([columns[part] for part in by.split(":")]).indices


@pytest.mark.parametrize("by", aggregation.AGGREGATIONS)
@pytest.mark.parametrize("estimator", ["draws", "battese-coelli", "jlms"])
def test_efficiency_is_the_mean_over_the_groups_rows_in_each_draw(fitted, by, estimator):
    p, spec, data = fitted
    table = mean_efficiency(p, spec, data, by, estimator, source="Bayes", seed=3)
    by_row = {
        "draws": np.exp(-ie.inefficiency_draws(p, spec, data, 3)),
        "battese-coelli": data.in_rows(np.exp(ie.log_mean_efficiency(p, spec, data))),
        "jlms": data.in_rows(np.exp(-ie.mean_inefficiency(p, spec, data))),
    }[estimator]
    groups = members(by)
    assert len(table) == len(groups)
    for (key, rows), row, draws in zip(groups.items(), table.frame.to_dict("records"), table.draws, strict=True):
        key = (key if isinstance(key, tuple) else (key,))[-len(by.split(":")) :]
        labels = dict(zip(by.split(":"), key, strict=False)) if by != "all" else {}
        assert {name: row[name] for name in labels} == labels
        if "unit" in labels:
            assert row["region"] == FRAME.region[rows[0]]
        np.testing.assert_allclose(draws, by_row[:, rows].mean(axis=1), rtol=1e-12)
        assert (row["estimand"], row["term"], row["n_obs"]) == ("efficiency", by, len(rows))
        assert row["estimate"] == pytest.approx(draws.mean(), rel=1e-12)
        assert row["lower"] < row["estimate"] < row["upper"] < 1
    assert table.frame.source.str.startswith("Bayes, ").all()
    assert len(set(table.frame.source)) == 1


def test_estimators_are_named_and_differ_as_jensen_says(fitted):
    p, spec, data = fitted
    tables = {e: mean_efficiency(p, spec, data, "all", e) for e in ("draws", "battese-coelli", "jlms")}
    words = [t.frame.source[0] for t in tables.values()]
    assert words == ["Bayes, draws of exp(−u)", "Bayes, Battese–Coelli E[exp(−u)|ε]", "Bayes, JLMS exp(−E[u|ε])"]
    assert (tables["jlms"].draws < tables["battese-coelli"].draws).all(), "exp is convex"
    together = tables["draws"] + tables["jlms"]
    assert together.frame.duplicated(["estimand", "term", "source"]).sum() == 0


def test_weights_are_those_of_rows_and_are_checked(fitted):
    p, spec, data = fitted
    w = np.random.default_rng(0).gamma(1.0, 1.0, data.n_rows)
    table = mean_efficiency(p, spec, data, "region", weights=w, seed=2)
    values = np.exp(-ie.inefficiency_draws(p, spec, data, 2))
    for rows, draws in zip(members("region").values(), table.draws, strict=True):
        np.testing.assert_allclose(draws, values[:, rows] @ w[rows] / w[rows].sum(), rtol=1e-12)
    assert "weights: as given" in table.frame.note[0]
    for bad in (w[:-1], -w, np.full(data.n_rows, np.nan)):
        with pytest.raises(SpecificationError, match="one for each row"):
            mean_efficiency(p, spec, data, weights=bad)
    with pytest.raises(SpecificationError, match="u003"):
        mean_efficiency(p, spec, data, weights=np.where(FRAME.unit == "u003", 0.0, 1.0))


@pytest.mark.parametrize("model", MODELS)
def test_every_panel_form_gives_efficiencies_between_zero_and_one(model):
    spec = spec_of(model=model)
    data = data_of(spec, gaps=True)
    p = made_up_draws(spec, data, 5)
    for estimator in ("draws", "battese-coelli", "jlms"):
        table = mean_efficiency(p, spec, data, "unit:period", estimator)
        assert ((table.draws > 0) & (table.draws < 1)).all()
        if model == "time-invariant":
            by_unit = table.frame.groupby("unit").indices.values()
            assert max(np.ptp(table.draws[rows], axis=0).max() for rows in by_unit) < 1e-14


def test_overall_efficiency_is_persistent_times_transient():
    spec = spec_of(model="four-component", kind="cost")
    data = data_of(spec)
    p = made_up_draws(spec, data, 10)
    tables = {c: mean_efficiency(p, spec, data, "unit:period", component=c, seed=9) for c in ie.COMPONENTS}
    np.testing.assert_allclose(tables["overall"].draws, tables["persistent"].draws * tables["transient"].draws, rtol=1e-13)
    assert [t.frame.variant[0] for t in tables.values()] == ["", "persistent", "transient"]


def test_ranks_count_draws(fitted):
    p, spec, data = fitted
    result = ranks(p, spec, data, seed=3)
    values = mean_efficiency(p, spec, data, "unit", seed=3).draws
    known = 1 + (values[None] > values[:, None]).sum(axis=1)
    np.testing.assert_array_equal(result.estimates.draws, known)
    np.testing.assert_allclose(result.frame.mean_rank, known.mean(axis=1))
    np.testing.assert_allclose(result.frame.prob_first, (known == 1).mean(axis=1))
    np.testing.assert_allclose(result.frame.prob_top_quartile, (known <= 3).mean(axis=1))  # 9 units: a quarter is 2.25, rounded up
    np.testing.assert_allclose(result.probability.to_numpy(), [[(row == k).mean() for k in range(1, 10)] for row in known])
    np.testing.assert_allclose(result.probability.sum(axis=0), 1)
    np.testing.assert_allclose(result.probability.sum(axis=1), 1)
    assert list(result.probability.index) == list(result.frame.unit) == sorted(FRAME.unit.unique())
    assert list(ranks(p, spec, data, "region").frame.region) == ["East", "North", "West"]
    with pytest.raises(SpecificationError, match="ranks"):
        ranks(p, spec, data, "period")


def test_exceedance_is_the_share_of_draws_above(fitted):
    p, spec, data = fitted
    values = mean_efficiency(p, spec, data, "unit", seed=1).draws
    table = exceedance(p, spec, data, 0.8, seed=1)
    np.testing.assert_allclose(table.frame.estimate, (values > 0.8).mean(axis=1))
    np.testing.assert_array_equal(table.draws, values > 0.8)
    assert table.frame[["se", "lower", "upper"]].isna().all(axis=None)
    assert (table.frame.variant == ">0.8").all()
    for bad in (0.0, 1.0, 80):
        with pytest.raises(SpecificationError, match="between 0 and 1"):
            exceedance(p, spec, data, bad)


def test_words_that_do_not_exist_are_refused(fitted):
    p, spec, data = fitted
    with pytest.raises(SpecificationError, match="unit:period"):
        mean_efficiency(p, spec, data, "sector")
    with pytest.raises(SpecificationError, match="battese-coelli"):
        mean_efficiency(p, spec, data, estimator="bc")
    with pytest.raises(SpecificationError, match="four-component"):
        mean_efficiency(p, spec, data, component="transient")
    with pytest.raises(SpecificationError, match="no determinants"):
        determinant_effects(p, spec, data)


# ── determinants ────────────────────────────────────────────────────────────────────────────────────────────────────


def with_column(data, q, move):
    """The data with one determinant changed, in units of its column, by ``move`` (a function of the column)."""
    z = data.determinants.copy()
    column = z[q] * data.determinant_scale[q] + data.determinant_centre[q]
    z[q] = (move(column) - data.determinant_centre[q]) / data.determinant_scale[q]
    return replace(data, determinants=z)


@pytest.mark.parametrize("spec", [s for s in every_specification() if s.determinants], ids=name_of)
def test_effects_of_determinants_are_differences_of_expected_inefficiency(spec):
    data = data_of(spec, gaps=True)
    p = made_up_draws(spec, data, 4)
    table = determinant_effects(p, spec, data)
    rows = np.arange(data.n_rows)
    step = 1e-4
    up, down = (with_column(data, 0, lambda c, by=by: c + by) for by in (step, -step))
    slope = (ie.expected_inefficiency(p, spec, up) - ie.expected_inefficiency(p, spec, down)) / (2 * step)
    on, off = (with_column(data, 1, lambda c, to=to: 0 * c + to) for to in (1.0, 0.0))
    jump = ie.expected_inefficiency(p, spec, on) - ie.expected_inefficiency(p, spec, off)
    treated = FRAME.d.to_numpy() == 1
    for name, values, chosen in (("z", slope, rows), ("d", jump, treated)):
        known = data.in_rows(values)[:, chosen].mean(axis=1)
        mine = table.where(term=name)
        assert list(mine.frame.estimand) == ["inefficiency_effect", "log_efficiency_effect"]
        np.testing.assert_allclose(mine.draws[0], known, rtol=1e-7)
        np.testing.assert_array_equal(mine.draws[1], -mine.draws[0])
        assert (mine.frame.n_obs == len(rows[chosen])).all()


def test_noise_effects_are_changes_of_the_log_noise_per_unit_of_the_column():
    spec = spec_of(noise_determinants=["z"])
    data = data_of(spec, gaps=True)
    p = made_up_draws(spec, data, 4)
    table = noise_effects(p, spec, data)
    moved = data.noise_determinants.copy()
    moved[0] = (moved[0] + 0.5 / data.noise_determinant_scale[0]) * data.mask  # half a unit of the column
    before, after = (np.log(row_parameters(p, spec, d).sigma_v) for d in (data, replace(data, noise_determinants=moved)))
    known = data.in_rows(np.broadcast_to(after - before, (4, *data.output.shape)))[:, 0] / 0.5
    np.testing.assert_allclose(table.draws[0], known, rtol=1e-9)
    assert list(table.frame[["estimand", "term"]].iloc[0]) == ["log_noise_effect", "z"]
    with pytest.raises(SpecificationError, match="no noise determinants"):
        noise_effects(p, spec_of(), data)


def test_effects_by_region_average_to_the_overall_one():
    spec = spec_of(determinants=["z", "d"])
    data = data_of(spec, gaps=True)
    p = made_up_draws(spec, data, 4)
    table, overall = (determinant_effects(p, spec, data, by).where(estimand="inefficiency_effect") for by in ("region", "all"))
    assert list(table.frame.region) == ["East", "North", "West"] * 2
    for name in ("z", "d"):
        mine = table.where(term=name)
        weight = mine.frame.n_obs.to_numpy() / mine.frame.n_obs.sum()
        np.testing.assert_allclose(weight @ mine.draws, overall.where(term=name).draws[0], rtol=1e-12)


# ── other programs ──────────────────────────────────────────────────────────────────────────────────────────────────

PUBLISHED = [("front41Data", "cs_halfnormal"), ("front41Data", "cs_truncnormal"), ("riceProdPhil", "bc92_decay_halfnormal"),
             ("riceProdPhil", "bc92_decay_truncnormal")]  # fmt: skip


@pytest.mark.parametrize(("dataset", "model"), PUBLISHED)
def test_mean_efficiency_at_the_estimates_of_r_frontier_is_the_one_it_prints(dataset, model, shared_folder):
    known = pd.read_csv(shared_folder / "reference" / "frontier.csv").query(
        "dataset == @dataset and model == @model and implementation == 'R frontier 1.1.8'"
    )
    value = known.set_index("parameter").estimate
    frame = pd.read_csv(shared_folder / "reference" / "data" / f"{dataset}.csv")
    if dataset == "front41Data":
        logs = {"y": "output", "lk": "capital", "ll": "labour"}
        frame = frame.assign(unit=frame.index // 2, time=frame.index % 2)  # a cross-section: who is whose neighbour does not matter
    else:
        logs = {"y": "PROD", "la": "AREA", "ll": "LABOR", "ln": "NPK"}
        frame = frame.assign(unit=frame.FMERCODE, time=frame.YEARDUM)
    frame = frame.assign(**{new: np.log(frame[old]) for new, old in logs.items()})
    inputs = list(logs)[1:]
    truncated = "truncnormal" in model
    spec = StochasticFrontier(
        "y", inputs, "cobb-douglas", "truncated-normal" if truncated else "half-normal", "bc92" if "bc92" in model else "pooled",
        technical_change="none", pooling="complete",
    )  # fmt: skip
    data = frontier_data(spec, Panel.from_frame(frame, unit="unit", time="time"))
    slopes = value[inputs].to_numpy()
    intercept = value["(Intercept)"] + sum(slopes * [data.centre[name] for name in inputs])
    p = {
        "technology": np.array([[[intercept, *slopes]]]),
        "noise_scale": np.sqrt(value[["sigmaSqV"]].to_numpy())[None],
        "inefficiency_scale": np.sqrt(value[["sigmaSqU"]].to_numpy())[None],
        "decay": np.array([value.get("time", 0.0)]),
        "location_ratio": np.array([value.get("mu", 0.0) / np.sqrt(value["sigmaSqU"])]),
    }
    mean = data.in_rows(np.exp(ie.log_mean_efficiency(p, spec, data))).mean()
    assert mean == pytest.approx(known.mean_efficiency.iloc[0], abs=2e-8)
    if model == "cs_halfnormal":
        assert data.in_rows(np.exp(-ie.mean_inefficiency(p, spec, data))).mean() == pytest.approx(0.7325, abs=5e-5)
