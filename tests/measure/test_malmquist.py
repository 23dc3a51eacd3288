"""Productivity indices: by hand, exact fractions, scipy one by one, identities, unbalanced panels, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes.errors import MissingColumnError, NotPositiveError, SpecificationError
from bayes.measure import malmquist
from bayes.measure._malmquist_distances import Measure, consecutive_pairs, own_scores
from bayes.measure._malmquist_parts import Method, index_parts
from bayes.measure._malmquist_table import index_table
from bayes.measure._quantities import production_of
from bayes.measure._technologies import Quantities, Returns
from bayes.panel import Panel
from tests.measure.malmquist_brute_force import COLUMNS, brute_force, exact_luenberger, series, synthetic_panel, value

# Synthetic: small enough for pencil and paper.
HAND = pd.DataFrame(
    {"unit": list("ABCD") * 2, "year": [1] * 4 + [2] * 4, "x": [2, 4, 5, 5, 2, 4, 8, 1], "y": [1, 4, 4, 2, 3, 6, 8, 0.5]}
)  # fmt: skip


def test_by_hand():
    panel = Panel.from_frame(HAND, unit="unit", time="year")
    by_hand = {
        "malmquist": {"A": 3, "B": 1.5, "C": 1.25, "D": 1.25},
        "ec": {"A": 2, "B": 1, "C": 5 / 6, "D": 5 / 6},
        "tc": {"A": 1.5, "B": 1.5, "C": 1.5, "D": 1.5},
        "ptec": {"A": 1, "B": 1, "C": 1, "D": 2},
        "sec": {"A": 2, "B": 1, "C": 5 / 6, "D": 5 / 12},
    }
    found = malmquist(panel, ["x"], ["y"])
    for estimand, units in by_hand.items():
        for unit, expected in units.items():
            assert value(found, estimand, unit, 2) == pytest.approx(expected, rel=1e-12)
    assert "index > 1 is improvement" in found.meta["convention"]


@pytest.mark.parametrize("weak", [True, False])
def test_luenberger_in_exact_fractions(weak):
    """Synthetic whole numbers: every vertex of every program in fractions, and where there is none, no index."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"dmu": np.tile(np.arange(1, 8), 3), "period": np.repeat([1, 2, 3], 7)})
    data = data.assign(x=rng.integers(2, 7, 21), y=rng.integers(2, 9, 21), b=rng.integers(1, 7, 21))
    found = malmquist(Panel.from_frame(data, unit="dmu", time="period"), ["x"], ["y"], ["b"], disposability="weak" if weak else "strong")
    exact = exact_luenberger(data, weak)
    for (unit, period), expected in exact.items():
        for name, ours in (("ml", "malmquist"), ("ec", "ec"), ("tc", "tc")):
            np.testing.assert_allclose(value(found, ours, unit, period), expected[name], rtol=1e-12, equal_nan=True)
    assert any(np.isnan(e["ml"]) for e in exact.values()) == weak


def test_ray_and_desli_by_hand_with_the_reason_where_a_score_does_not_exist():
    panel = Panel.from_frame(HAND, unit="unit", time="year")
    found = malmquist(panel, ["x"], ["y"], decomposition="ray-desli")
    for unit, tc, sec in (("A", 3, 1), ("B", 1.5, 1), ("C", np.sqrt(13 / 4), 1.25 / np.sqrt(13 / 4))):
        assert value(found, "tc", unit, 2) == pytest.approx(tc, rel=1e-12)
        assert value(found, "sec", unit, 2) == pytest.approx(sec, rel=1e-12)
    assert value(found, "malmquist", "D", 2) == pytest.approx(1.25, rel=1e-12)
    assert value(found, "ptec", "D", 2) == pytest.approx(2, rel=1e-12)
    for estimand in ("tc", "sec"):
        assert np.isnan(value(found, estimand, "D", 2))
        assert not value(found, estimand, "D", 2, "identified")
        assert value(found, estimand, "D", 2, "note") == "2 against the technology of 1 under variable returns: infeasible"
    assert found.meta["without_value"] == {"malmquist": 0, "tc": 1, "ptec": 0, "sec": 1}
    means = malmquist(panel, ["x"], ["y"], decomposition="ray-desli", by="all").frame.set_index("estimand")
    assert means.estimate["tc"] == pytest.approx((3 * 1.5 * np.sqrt(13 / 4)) ** (1 / 3), rel=1e-12)
    assert means.n_obs["tc"] == 3
    assert "1 of 4 pairs have no value" in means.note["tc"]


# ── scipy, one program at a time ────────────────────────────────────────────────────────────────────────────────────

CASES = [
    ("radial", "output", False, "adjacent", True),
    ("radial", "input", False, "sequential", False),
    ("radial", "output", False, "global", True),
    ("directional", "output", True, "adjacent", False),
    ("directional", "output", True, "adjacent", True),
    ("directional", "output", False, "sequential", False),
    ("directional", "output", True, "global", True),
    ("sbm", "none", False, "adjacent", True),
    ("sbm", "none", False, "global", False),
]


@pytest.mark.parametrize(("measure", "orientation", "weak", "reference", "gaps"), CASES)
def test_scipy_one_by_one(measure, orientation, weak, reference, gaps):
    """Values and the pattern of infeasible pairs; over gaps the index to the power 1/steps."""
    panel = synthetic_panel(gaps=gaps)
    expected = brute_force(panel, measure, orientation, weak, reference)
    options = {"measure": measure, "orientation": orientation, "reference": reference, "disposability": "weak" if weak else "strong"}
    found = malmquist(panel, **COLUMNS, **options)
    per_period = 1 / expected["steps"]
    for name in ("malmquist", "ec", "tc", "ptec", "sec"):
        np.testing.assert_allclose(series(found, name), expected[name] ** per_period, rtol=1e-8, err_msg=name)
    assert (expected["steps"] > 1).any() == gaps
    rays = malmquist(panel, **COLUMNS, **options, decomposition="ray-desli")
    np.testing.assert_allclose(series(rays, "tc"), (expected["variable"] / expected["ptec"]) ** per_period, rtol=1e-8)
    np.testing.assert_allclose(series(rays, "sec"), (expected["malmquist"] / expected["variable"]) ** per_period, rtol=1e-8)


def test_the_synthetic_panels_hold_infeasible_pairs_and_a_global_reference_has_none():
    panel = synthetic_panel()
    adjacent = malmquist(panel, **COLUMNS)
    lost = adjacent.frame[adjacent.frame.estimand == "malmquist"]
    assert 0 < (~lost.identified).sum() < len(lost)
    assert (lost.note[~lost.identified].str.contains("infeasible")).all()
    assert (lost.note[lost.identified] == "").all()
    assert malmquist(panel, **COLUMNS, reference="global").frame.identified.all()
    strong = malmquist(panel, **COLUMNS, disposability="strong")
    assert strong.meta["without_value"]["malmquist"] < adjacent.meta["without_value"]["malmquist"]


def test_a_point_too_far_outside_has_no_index():
    """1 + β ≤ 0 has no reciprocal to compare; the pair is NaN and says so."""
    found = malmquist(synthetic_panel(), **COLUMNS, reference="sequential", disposability="strong", returns="vrs").frame
    lost = found[(found.estimand == "malmquist") & found.note.str.contains("1 + β ≤ 0", regex=False)]
    assert len(lost)
    assert lost.estimate.isna().all()


def test_backends_agree():
    panel = synthetic_panel(gaps=True)
    fast, slow = (malmquist(panel, **COLUMNS, backend=b).frame.estimate.to_numpy() for b in ("highs", "scipy"))
    np.testing.assert_allclose(fast, slow, rtol=1e-9)


# ── identities ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("reference", ["adjacent", "sequential", "global"])
@pytest.mark.parametrize("measure", ["radial", "directional", "sbm"])
def test_parts_multiply_to_the_index(measure, reference):
    panel = synthetic_panel(gaps=True)
    common = {"measure": measure, "reference": reference}
    fgnz = malmquist(panel, **COLUMNS, **common)
    assert dict.fromkeys(fgnz.frame.estimand) == dict.fromkeys(["malmquist", "ec", "tc", "ptec", "sec"])
    np.testing.assert_allclose(series(fgnz, "malmquist"), series(fgnz, "ec") * series(fgnz, "tc"), rtol=1e-12)
    np.testing.assert_allclose(series(fgnz, "ec"), series(fgnz, "ptec") * series(fgnz, "sec"), rtol=1e-12)
    rays = malmquist(panel, **COLUMNS, **common, decomposition="ray-desli")
    product = series(rays, "ptec") * series(rays, "tc") * series(rays, "sec")
    there = np.isfinite(product)
    assert there.any()
    np.testing.assert_allclose(product[there], series(rays, "malmquist")[there], rtol=1e-12)
    np.testing.assert_allclose(series(rays, "malmquist"), series(fgnz, "malmquist"), rtol=1e-12)
    plain = malmquist(panel, **COLUMNS, **common, returns="vrs")
    assert set(plain.frame.estimand) == {"malmquist", "ec", "tc"}
    np.testing.assert_allclose(series(plain, "ec"), series(fgnz, "ptec"), rtol=1e-9)


def test_a_global_index_is_circular_and_an_adjacent_one_is_not():
    panel = synthetic_panel(n_periods=3)
    ends = Panel.from_frame(panel.frame[panel.frame.year != 2002], unit="unit", time="year")
    production = production_of(panel, **COLUMNS)
    score = own_scores(production, Measure("directional", weak=True), Returns.CONSTANT, "global").own.reshape(-1, 3)
    chained = series(malmquist(panel, **COLUMNS, reference="global", cumulative=True), "malmquist").reshape(-1, 3)
    np.testing.assert_allclose(chained, score / score[:, :1], rtol=1e-12)
    two = series(malmquist(ends, ["k", "l"], ["y"]), "malmquist")
    chain = series(malmquist(panel, ["k", "l"], ["y"], cumulative=True), "malmquist").reshape(-1, 3)[:, -1]
    assert np.abs(two - chain).max() > 1e-3


@pytest.mark.parametrize("measure", ["radial", "directional", "sbm"])
def test_units_of_measurement_do_not_matter(measure):
    panel = synthetic_panel(gaps=True)
    scaled = panel.assign(k=panel.frame.k * 1e6, y=panel.frame.y * 1e-4, b=panel.frame.b * 30)
    a, b = (malmquist(p, **COLUMNS, measure=measure).frame.estimate.to_numpy() for p in (panel, scaled))
    np.testing.assert_allclose(a, b, rtol=1e-8)


def test_scaling_a_period_moves_all_of_change_into_technology():
    """Every unit produces 10 % more from the same inputs: M = TC = 1.1, EC = 1, under either orientation and decomposition."""
    first = synthetic_panel().frame.query("year == 2001")
    panel = Panel.from_frame(pd.concat([first, first.assign(year=2002, y=first.y * 1.1)]), unit="unit", time="year")
    for orientation in ("output", "input"):
        found = malmquist(panel, ["k", "l"], ["y"], orientation=orientation)
        for name, number in (("malmquist", 1.1), ("tc", 1.1), ("ec", 1.0), ("ptec", 1.0), ("sec", 1.0)):
            np.testing.assert_allclose(series(found, name), number, rtol=1e-9)


@pytest.mark.parametrize("measure", ["radial", "directional", "sbm"])
def test_a_constant_technology_has_no_technical_change(measure):
    """The same observations in every period, handed on from unit to unit."""
    first = synthetic_panel().frame.query("year == 2001").reset_index(drop=True)
    columns = ["k", "l", "y", "b"]
    moved = first.assign(year=2002, **{c: np.roll(first[c], 1) for c in columns})
    panel = Panel.from_frame(pd.concat([first, moved]), unit="unit", time="year")
    for decomposition in ("fgnz", "ray-desli"):
        found = malmquist(panel, **COLUMNS, measure=measure, decomposition=decomposition)
        np.testing.assert_allclose(series(found, "tc"), 1, rtol=1e-8)


# ── groups, chains, gaps ────────────────────────────────────────────────────────────────────────────────────────────


def test_geometric_means_and_chains():
    panel = synthetic_panel()
    single = malmquist(panel, ["k", "l"], ["y"])
    table = single.frame.assign(log=np.log(single.frame.estimate))
    for by in ("all", "unit", "period", "region", "region:period"):
        keys = [] if by == "all" else by.split(":")
        group = malmquist(panel, ["k", "l"], ["y"], by=by).frame
        expected = np.exp(table.groupby(["estimand", *keys], sort=False).log.mean()).rename("expected").reset_index()
        joined = group.merge(expected, on=["estimand", *keys])
        assert len(joined) == len(group)
        np.testing.assert_allclose(joined.estimate, joined.expected, rtol=1e-12)
        assert joined.groupby("estimand").n_obs.sum().eq(24).all()
    chained = malmquist(panel, ["k", "l"], ["y"], cumulative=True)
    assert set(chained.frame.variant) == {"cumulative"}
    paths = series(chained, "malmquist").reshape(-1, 4)
    np.testing.assert_allclose(paths[:, 0], 1)
    np.testing.assert_allclose(paths[:, 1:], np.cumprod(series(single, "malmquist").reshape(-1, 3), axis=1), rtol=1e-12)
    whole = series(malmquist(panel, ["k", "l"], ["y"], by="period", cumulative=True), "malmquist")
    np.testing.assert_allclose(whole[1:], np.exp(np.log(paths[:, 1:]).mean(axis=0)), rtol=1e-12)


def test_gaps_are_annualised_and_chains_multiply_them_back():
    panel = synthetic_panel(gaps=True)
    single, chained = (malmquist(panel, ["k", "l"], ["y"], cumulative=c) for c in (False, True))
    assert "change over 2 periods, annualised" in value(single, "malmquist", "u2", 2003, "note")
    product = value(single, "malmquist", "u2", 2003) ** 2 * value(single, "malmquist", "u2", 2004)
    assert value(chained, "malmquist", "u2", 2004) == pytest.approx(product, rel=1e-12)
    assert single.meta["observed_once"] == ["u4"]
    by_unit = malmquist(panel, ["k", "l"], ["y"], by="unit")
    lone = by_unit.frame[(by_unit.frame.unit == "u4") & (by_unit.frame.estimand == "malmquist")].iloc[0]
    assert np.isnan(lone.estimate)
    assert (lone.identified, lone.n_obs, lone.note) == (False, 0, "observed once: no pair of periods")
    assert set(by_unit.frame.unit) == set(panel.units)


def test_a_chain_ends_where_an_index_is_missing():
    panel = synthetic_panel()
    single, chained = (malmquist(panel, **COLUMNS, cumulative=c) for c in (False, True))
    lost = single.frame[(single.frame.estimand == "malmquist") & ~single.frame.identified]
    for row in lost.itertuples():
        path = chained.frame[(chained.frame.estimand == "malmquist") & (chained.frame.unit == row.unit)]
        after = path[path.period >= row.period]
        assert after.estimate.isna().all()
        assert (~after.identified).all()
        assert after.note.str.contains("the chain ends before").all()


def test_weights_of_the_later_row():
    panel = synthetic_panel().assign(w=np.linspace(1, 5, 32))
    single = malmquist(panel, ["k", "l"], ["y"])
    w = panel.frame.w.to_numpy().reshape(-1, 4)[:, 1:].ravel()
    expected = np.exp((w * np.log(series(single, "malmquist"))).sum() / w.sum())
    weighted = malmquist(panel, ["k", "l"], ["y"], by="all", weights="w")
    assert series(weighted, "malmquist")[0] == pytest.approx(expected, rel=1e-12)
    named = Panel.from_frame(panel.frame, unit="unit", time="year", weights="w")
    assert series(malmquist(named, ["k", "l"], ["y"], by="all"), "malmquist")[0] == pytest.approx(expected, rel=1e-12)


# ── for the bootstrap ───────────────────────────────────────────────────────────────────────────────────────────────


def test_reference_quantities_can_be_replaced():
    """Technologies from outputs 25 % higher: all output scores fall by one factor, so no index moves; from the same data nothing moves."""
    production = production_of(synthetic_panel(gaps=True), ["k", "l"], ["y"])
    pairs, q = consecutive_pairs(production), production.quantities
    method = Method(decomposition="ray-desli")
    plain, same = index_parts(production, pairs, method), index_parts(production, pairs, method, q)
    higher = index_parts(production, pairs, method, Quantities(q.inputs, q.outputs * 1.25, q.bads))
    later = Quantities(q.inputs, np.where(production.period[:, None] == 2, q.outputs * 1.25, q.outputs), q.bads)
    moved = index_parts(production, pairs, method, later)
    for name in plain:
        np.testing.assert_allclose(same[name], plain[name], rtol=0, atol=0)
        np.testing.assert_allclose(higher[name], plain[name], rtol=1e-9)
    into, out = production.period[pairs.second] == 2, production.period[pairs.first] == 2
    np.testing.assert_allclose(moved["ptec"][into], plain["ptec"][into] / 1.25, rtol=1e-9)
    np.testing.assert_allclose(moved["ptec"][out], plain["ptec"][out] * 1.25, rtol=1e-9)
    np.testing.assert_allclose(moved["malmquist"], plain["malmquist"], rtol=1e-9)


def test_tables_of_draws():
    panel = synthetic_panel(gaps=True)
    production = production_of(panel, ["k", "l"], ["y"])
    pairs = consecutive_pairs(production)
    draws = np.exp(np.random.default_rng(1).normal(0.02, 0.1, (50, len(pairs))))
    table = index_table(panel, pairs, {"malmquist": draws}, {}, by="region", level=0.9, source="synthetic", seed=1)
    regions = panel.unit_regions[panel.unit_codes[pairs.second]]
    for r, row in enumerate(table.frame.itertuples()):
        here = np.exp((np.log(draws) / pairs.steps)[:, regions == r].mean(axis=1))
        assert row.estimate == pytest.approx(here.mean(), rel=1e-12)
        assert row.prob_positive == (here > 1).mean()
        assert row.level == 0.9
        assert "P(index > 1)" in row.note
    assert table.meta["seed"] == 1


# ── conventions and bad input ───────────────────────────────────────────────────────────────────────────────────────


def test_defaults_and_conventions():
    panel = synthetic_panel()
    assert malmquist(panel, ["k", "l"], ["y"]).meta["measure"] == "radial"
    luenberger = malmquist(panel, **COLUMNS)
    assert luenberger.meta["measure"] == "directional"
    assert luenberger.meta["disposability"] == "weak"
    assert set(luenberger.frame.source) == {"Malmquist–Luenberger, output-oriented, FGNZ, weak disposability"}
    own = malmquist(panel, **COLUMNS, direction={"y": "own", "b": "own"})
    np.testing.assert_allclose(series(own, "malmquist"), series(luenberger, "malmquist"), rtol=1e-9)
    assert malmquist(panel, **COLUMNS, measure="sbm").meta["disposability"] == "strong"
    assert malmquist(panel, **COLUMNS, measure="radial").meta["orientation"] == "output"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"measure": "luenberger"}, "'radial', 'directional', 'sbm'"),
        ({"orientation": "none"}, "'output', 'input'"),
        ({"decomposition": "rd"}, "'fgnz', 'ray-desli'"),
        ({"reference": "base"}, "'adjacent', 'global', 'sequential'"),
        ({"returns": "irs"}, "'crs', 'vrs'"),
        ({"by": "country"}, "unit:period"),
        ({"by": "unit", "cumulative": True}, "chains over time"),
        ({"disposability": "weak"}, "bad_outputs"),
        ({"direction": {"y": 1.0}}, "measure='directional'"),
        ({"returns": "vrs", "decomposition": "ray-desli"}, "constant returns"),
        ({"measure": "sbm", "bad_outputs": ["b"], "disposability": "weak"}, "strongly disposable"),
        ({"measure": "directional", "direction": {"z": 1.0}}, "z"),
        ({"measure": ""}, "'radial', 'directional', 'sbm'"),
        ({"orientation": ""}, "'output', 'input'"),
        ({"bad_outputs": None}, "list of columns"),
        ({"measure": "directional", "direction": ["y"]}, "direction must be a mapping"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"replicates": 100, "cores": 0}, "cores must be a whole number"),
        ({"backend": "glpk"}, "highs"),
    ],
)
def test_options_that_do_not_exist(options, words):
    with pytest.raises(SpecificationError, match=words):
        malmquist(synthetic_panel(), ["k", "l"], ["y"], **options)


def test_bad_data_names_its_place():
    panel = synthetic_panel()
    at = panel.frame.index[5]
    negative = panel.assign(y=panel.frame.y.where(panel.frame.index != at, -1.0))
    with pytest.raises(NotPositiveError, match=r"'y'.*u1, year 2002"):
        malmquist(negative, ["k", "l"], ["y"])
    zero = panel.assign(b=panel.frame.b.where(panel.frame.index != at, 0.0))
    with pytest.raises(NotPositiveError, match=r"'b'.*u1, year 2002"):
        malmquist(zero, **COLUMNS, measure="sbm")
    assert len(malmquist(zero, **COLUMNS))
    with pytest.raises(NotPositiveError, match=r"'w'.*Weights must be positive.*u1, year 2002"):
        malmquist(panel.assign(w=np.where(panel.frame.index == at, 0.0, 1.0)), ["k", "l"], ["y"], weights="w")
    with pytest.raises(MissingColumnError, match="'labour'"):
        malmquist(panel, ["labour"], ["y"])
    lone = panel.frame.groupby("unit").nth(0).reset_index(drop=True).assign(year=lambda d: 2001 + np.arange(len(d)) % 2)
    with pytest.raises(SpecificationError, match="observed twice"):
        malmquist(Panel.from_frame(lone, unit="unit", time="year"), ["k", "l"], ["y"])
