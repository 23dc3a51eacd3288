"""Theil and Dagum: other programs' figures, brute force over pairs, identities, draws, gaps, bad input."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes.errors import MissingColumnError, NotPositiveError, SpecificationError
from bayes.estimates import Estimates
from bayes.measure._inequality import dagum_gini, theil
from bayes.measure._inequality_kernels import dagum_parts, mean_differences, theil_parts
from bayes.panel import Panel

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "reference" / "data"
REFERENCE = pd.read_csv(ROOT / "tests" / "reference" / "indices.csv")
MEXICO = REFERENCE[(REFERENCE.dataset == "pysal_mexico") & REFERENCE.method.str.contains("Theil|Gini|Dagum")]

TERMS = {
    "T": ("theil_t", "total"), "between": ("theil_t", "between"), "within": ("theil_t", "within"), "L": ("theil_l", "total"),
    "G": ("dagum_gini", "total"), "G_w": ("dagum_gini", "within"), "G_nb": ("dagum_gini", "between"),
    "G_t": ("dagum_gini", "transvariation"), "G_jh": ("dagum_gini_pair", ""), "D_jh": ("dagum_affluence", ""),
}  # fmt: skip


def synthetic(gaps: bool = False, seed: int = 4, **columns) -> Panel:
    """Synthetic: 12 units × 3 years in 3 regions with a positive, skewed quantity and a population."""
    rng = np.random.default_rng(seed)
    unit, year = np.repeat(np.arange(12), 3), np.tile([1, 2, 3], 12)
    frame = pd.DataFrame({"unit": [f"u{i:02d}" for i in unit], "year": year, "region": np.array(["A", "B", "C"])[unit % 3]})
    frame = frame.assign(y=rng.lognormal(unit % 3 * 0.4, 0.6), people=rng.integers(1, 9, 36).astype(float), **columns)
    return Panel.from_frame(frame[rng.random(36) > 0.2] if gaps else frame, unit="unit", time="year", region="region", name="synthetic")


def pairs_one_by_one(y: np.ndarray, g: np.ndarray, w: np.ndarray) -> dict[str, float]:
    """Dagum's decomposition by his d and p, summing over every pair of units."""
    n, mu = w.sum(), np.sum(w * y) / w.sum()
    out = dict.fromkeys(("G", "G_w", "G_nb", "G_t"), 0.0)
    for a, wa in zip(y, w, strict=True):
        out["G"] += sum(wa * wb * abs(a - b) for b, wb in zip(y, w, strict=True)) / (2 * n**2 * mu)
    for j in np.unique(g):
        for h in np.unique(g):
            yj, yh, wj, wh = y[g == j], y[g == h], w[g == j], w[g == h]
            mj, mh = np.average(yj, weights=wj), np.average(yh, weights=wh)
            p, s = wj.sum() / n, wh.sum() * mh / (n * mu)
            d = sum(u * v * max(a - b, 0) for a, u in zip(yj, wj, strict=True) for b, v in zip(yh, wh, strict=True)) / (wj.sum() * wh.sum())
            q = sum(u * v * max(b - a, 0) for a, u in zip(yj, wj, strict=True) for b, v in zip(yh, wh, strict=True)) / (wj.sum() * wh.sum())
            ratio = (d + q) / (mj + mh)
            if j == h:
                out["G_w"] += ratio * p * s
            else:
                affluence = abs(d - q) / (d + q)
                out["G_nb"] += ratio * affluence * p * s
                out["G_t"] += ratio * (1 - affluence) * p * s
    return out


@cache
def mexico() -> pd.Series:
    wide = pd.read_csv(DATA / "pysal_mexico.csv")
    long = wide.melt(["state", "hanson98"], var_name="year", value_name="income")
    long = long.assign(year=long.year.str[-4:].astype(int), hanson98=long.hanson98.astype(int))
    panel = Panel.from_frame(long, unit="state", time="year", region="hanson98")
    frame = pd.concat([f.frame for f in (theil(panel, "income"), theil(panel, "income", index="L"), dagum_gini(panel, "income"))])
    frame = frame[(frame.region == "") & frame.identified]
    return frame.set_index(["estimand", "term", "term_to", "period"]).estimate


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of reference data beside the project is not here")
@pytest.mark.parametrize("row", MEXICO.to_dict("records"), ids=lambda r: f"{r['quantity']} {r['item']}")
def test_figures_of_other_programs(row):
    year, quantity = row["quantity"].removeprefix("pcgdp").split(":")
    estimand, term = TERMS[quantity]
    term, term_to = row["item"].split("-") if not term else (term, "")
    digits = 1e-8 if "docs" in row["source"] else 1e-12
    assert mexico()[estimand, term, term_to, int(year)] == pytest.approx(row["value"], abs=digits)


def test_every_figure_is_compared():
    assert len(MEXICO) == 7 * 5 + 2 * (4 + 20)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("weights", [None, "people"])
def test_dagum_by_brute_force(gaps, weights):
    panel = synthetic(gaps)
    found = dagum_gini(panel, "y", weights=weights).frame
    for period, rows in panel.frame.groupby("year"):
        w = rows.people.to_numpy() if weights else np.ones(len(rows))
        expected = pairs_one_by_one(rows.y.to_numpy(), rows.region.to_numpy(), w)
        here = found[(found.period == period) & (found.region == "") & (found.estimand == "dagum_gini")].set_index("term").estimate
        terms = here[["total", "within", "between", "transvariation"]]
        np.testing.assert_allclose(terms, list(expected.values()), rtol=1e-12)


@pytest.mark.parametrize("index", ["T", "L"])
@pytest.mark.parametrize("weights", [None, "people"])
def test_theil_by_its_formula(index, weights):
    panel = synthetic(gaps=True)
    found = theil(panel, "y", index=index, weights=weights)
    estimand = f"theil_{index.lower()}"

    def formula(y, w):
        p, mu = w / w.sum(), np.average(y, weights=w)
        return np.sum(p * y / mu * np.log(y / mu)) if index == "T" else np.sum(p * np.log(mu / y))

    for period, rows in panel.frame.groupby("year"):
        w = rows.people if weights else pd.Series(1.0, rows.index)
        means = (rows.y * w).groupby(rows.region).sum() / w.groupby(rows.region).sum()
        between = formula(means.to_numpy(), w.groupby(rows.region).sum().to_numpy())
        here = found.where(estimand=estimand, period=period).frame
        whole = here[here.region == ""].set_index("term").estimate
        assert whole["total"] == pytest.approx(formula(rows.y.to_numpy(), w.to_numpy()), rel=1e-12)
        assert whole["between"] == pytest.approx(between, rel=1e-11)
        assert whole["within"] == pytest.approx(whole["total"] - between, rel=1e-11)
        for region, part in rows.groupby("region"):
            own = here[here.region == region].estimate.iloc[0]
            assert own == pytest.approx(formula(part.y.to_numpy(), w[part.index].to_numpy()), rel=1e-11)


def test_shares_and_contributions_add_up():
    panel = synthetic()
    for found in (theil(panel, "y"), theil(panel, "y", index="L"), dagum_gini(panel, "y")):
        shares = found.frame[found.frame.estimand.str.endswith("_share")]
        whole, regions = shares[shares.region == ""], shares[shares.region != ""]
        np.testing.assert_allclose(whole.groupby("period").estimate.sum(), 1)
        within = whole[whole.term == "within"].set_index("period").estimate
        np.testing.assert_allclose(regions.groupby("period").estimate.sum(), within, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 9), st.integers(1, 3), st.floats(0.01, 1e6))
def test_identities(seed, n, groups, scale):
    """Scale does not matter, copies do not matter, parts add up, no inequality is negative; ties and zeros included."""
    rng = np.random.default_rng(seed)
    y, g = rng.integers(0, 5, (3, n)).astype(float), np.unique(rng.integers(0, groups, n), return_inverse=True)[1]
    y[:, 0] += 1
    w = rng.integers(1, 4, n).astype(float)
    dagum = dagum_parts(y, g, w)
    repeated = np.repeat(np.arange(n), w.astype(int))
    copies = dagum_parts(y[:, repeated] * scale, g[repeated], np.ones(repeated.size))
    np.testing.assert_allclose(copies.total, dagum.total, atol=1e-12)
    np.testing.assert_allclose(copies.between, dagum.between, atol=1e-12)
    np.testing.assert_allclose(dagum.within + dagum.between + dagum.transvariation, dagum.total, atol=1e-14)
    one = mean_differences(y, np.zeros(n, dtype=int), w)[:, 0, 0] / (2 * (y @ w) / w.sum())
    np.testing.assert_allclose(dagum.total, one, atol=1e-12)
    assert min(part.min() for part in (dagum.within, dagum.between, dagum.transvariation)) >= 0
    for index in "TL":
        a, b = theil_parts(y + 1, g, w, index), theil_parts(((y + 1) * scale)[:, repeated], g[repeated], np.ones(repeated.size), index)
        np.testing.assert_allclose(a.total, b.total, atol=1e-12)
        np.testing.assert_allclose(a.total, theil_parts(y + 1, np.zeros(n, dtype=int), w, index).total, atol=1e-12)


def test_regions_that_do_not_overlap_have_no_transvariation():
    panel = synthetic()
    far = panel.assign(far=panel.column("y") % 1 + 1 + 100 * np.searchsorted(list("ABC"), panel.frame.region))
    frame = dagum_gini(far, "far").frame
    np.testing.assert_allclose(frame[frame.estimand == "dagum_affluence"].estimate, 1)
    np.testing.assert_allclose(frame[(frame.term == "transvariation") & (frame.estimand == "dagum_gini")].estimate, 0, atol=1e-12)


def test_each_draw_is_decomposed_on_its_own():
    panel = synthetic(gaps=True)
    draws = panel.column("y")[:, None] * np.random.default_rng(0).lognormal(0, 0.1, (panel.n_rows, 40))
    rows = [{"estimand": "income", "unit": u, "period": t} for u, t in panel.frame[["unit", "year"]].itertuples(index=False)]
    estimates = Estimates.from_draws(rows, draws)
    for measure, options in ((theil, {"index": "L"}), (dagum_gini, {"weights": "people"})):
        found = measure(panel, estimates, **options)
        for d in (0, 39):
            single = measure(panel.assign(y=draws[:, d]), "y", **options).frame
            np.testing.assert_allclose(found.draws[:, d], single.estimate, rtol=1e-12, equal_nan=True)
    assert (found.frame.level.iloc[0], found.frame.interval.iloc[0]) == (0.95, "equal-tailed posterior")


def test_chunks_of_draws_give_what_one_piece_gives(monkeypatch):
    rng = np.random.default_rng(0)
    y, g = rng.random((7, 20)), rng.integers(0, 3, 20)
    whole = mean_differences(y, g, np.ones(20))
    monkeypatch.setattr("bayes.measure._inequality_kernels.CHUNK", 100)
    np.testing.assert_array_equal(mean_differences(y, g, np.ones(20)), whole)


def test_periods_and_regions_with_one_unit_or_none():
    frame = pd.DataFrame({"unit": [*"abcde", "a"], "year": [1] * 5 + [2], "region": [*"AABBC", "A"], "y": [1.0, 2, 3, 4, 5, 6]})
    panel = Panel.from_frame(frame, unit="unit", time="year", region="region")
    for measure, name in ((theil, "theil_t"), (dagum_gini, "dagum_gini")):
        table = measure(panel, "y").frame
        second = table[(table.period == 2) & (table.region == "") & table.estimand.isin([name, f"{name}_share"])]
        assert second.estimate.isna().all()
        assert second.note.str.contains("one unit in this period").all()
        assert not second.identified.any()
        own = table[(table.estimand == name) & (table.region == "C")].set_index("period")
        assert own.note.to_dict() == {1: "one unit of C in year 1", 2: "no unit of C in year 2"}
        share = table[(table.estimand == f"{name}_share") & (table.region == "C") & (table.period == 1)]
        assert share.estimate.iloc[0] == 0
        assert np.isfinite(table[(table.period == 1) & (table.region == "") & (table.estimand == name)].estimate).all()
    pairs = table[(table.estimand == "dagum_gini_pair") & (table.period == 2)]
    assert list(pairs.note) == ["no unit of B in year 2", "no unit of C in year 2", "no unit of B or C in year 2"]


def test_equal_values_have_no_inequality_and_no_shares():
    panel = synthetic(same=2.5)
    for measure in (theil, dagum_gini):
        frame = measure(panel, "same").frame
        level = frame[(frame.estimand.isin(["theil_t", "dagum_gini"])) & (frame.region == "")]
        np.testing.assert_allclose(level.estimate, 0, atol=1e-15)
        shares = frame[frame.estimand.str.endswith("_share")]
        assert shares.estimate.isna().all()
        assert shares.note.str.contains("all values are equal").all()


def test_a_panel_without_regions_gives_totals():
    panel = synthetic()
    alone = Panel.from_frame(panel.frame.drop(columns="region"), unit="unit", time="year")
    for measure in (theil, dagum_gini):
        frame = measure(alone, "y").frame
        assert set(frame.term) == {"total"}
        split = measure(panel, "y").frame
        same = split[(split.term == "total") & (split.region == "")]
        np.testing.assert_allclose(frame.estimate, same.estimate, rtol=1e-12)


def test_bad_input():
    panel = synthetic(zero=[0.0] + [1.0] * 35, negative=[1.0] * 35 + [-1.0])
    panel = panel.assign(nothing=np.where(panel.frame.year == 2, 0.0, 1.0))
    with pytest.raises(NotPositiveError, match="unit u00, year 1"):
        theil(panel, "zero")
    assert dagum_gini(panel, "zero").frame.estimate.notna().any()
    with pytest.raises(NotPositiveError, match="unit u11, year 3"):
        dagum_gini(panel, "negative")
    with pytest.raises(NotPositiveError, match="every unit in year 2"):
        dagum_gini(panel, "nothing")
    with pytest.raises(NotPositiveError, match=r"Weights 'zero'.*unit u00, year 1"):
        theil(panel, "y", weights="zero")
    with pytest.raises(MissingColumnError, match="no_such"):
        theil(panel, "y", weights="no_such")
    with pytest.raises(SpecificationError, match="'T', 'L'"):
        theil(panel, "y", index="gini")
    with pytest.raises(SpecificationError, match="level"):
        theil(panel, "y", level=0)
    gappy = synthetic(gaps=True)
    seen = set(gappy.frame[["unit", "year"]].itertuples(index=False, name=None))
    unit, year = next((u, t) for u in gappy.units for t in (1, 2, 3) if (u, t) not in seen)
    with pytest.raises(SpecificationError, match=f"no row for unit {unit}, year {year}"):
        theil(gappy, Estimates.from_rows([{"estimand": "y", "unit": unit, "estimate": 1.0, "period": year}]), weights="people")
