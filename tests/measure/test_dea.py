"""Efficiency scores as the user sees them: other programs' numbers row by row, means, notes, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes.errors import MissingColumnError, MissingValueError, NotPositiveError, NoVariationError, SpecificationError
from bayes.measure import dea
from bayes.panel import Panel
from tests.measure.programs import directional_by_scipy, synthetic_panel

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "reference" / "data"
REFERENCE = pd.read_csv(ROOT / "tests" / "reference" / "dea.csv")
beside = pytest.mark.skipif(not DATA.is_dir(), reason="the folder of reference data beside the project is not here")

FLS = (["x1", "x2"], ["y"])
TONE = (["Input1", "Input2"], ["Output1", "Output2"])
POWER = (["X1", "X2", "X3", "X4"], ["Y1", "Y2"])
RADIAL = [
    (data, columns, method.format(way=ways[way], returns=returns), {"orientation": way, "returns": returns})
    for data, columns, method, ways in (
        ("FLS11", FLS, "radial {way} {returns}", {"input": "in", "output": "out"}),
        ("deaR_Tone2001", TONE, "radial {way} {returns}", {"input": "io", "output": "oo"}),
    )
    for way in ("input", "output")
    for returns in ("crs", "vrs")
]
SLACK_BASED = [
    ("deaR_Tone2001", TONE, f"SBM {short} {returns}", {"model": "sbm", "orientation": way, "returns": returns})
    for short, way in (("no", "none"), ("io", "input"), ("oo", "output"))
    for returns in ("crs", "vrs")
]
ONES = {"x1": 1, "x2": 1, "y": 1}
OTHERS = [
    ("FLS11", FLS, "DDF g=(x,y) crs", {"model": "directional", "returns": "crs"}),
    ("FLS11", FLS, "DDF g=(x,y) vrs", {"model": "directional", "returns": "vrs"}),
    ("FLS11", FLS, "DDF g=(1,1) crs", {"model": "directional", "returns": "crs", "direction": ONES}),
    ("julia_erg8", (["x"], ["y"]), "Enhanced Russell graph = SBM non-oriented crs", {"model": "sbm", "returns": "crs"}),
    ("julia_erg8", (["x"], ["y"]), "Enhanced Russell graph = SBM non-oriented vrs", {"model": "sbm", "returns": "vrs"}),
    ("deaR_Tone2001", TONE, "SBM no crs (published, 3 dec.)", {"model": "sbm", "returns": "crs"}),
    ("deaR_Tone2001", TONE, "super-SBM no crs", {"model": "sbm", "returns": "crs", "super_efficiency": True}),
    ("deaR_Tone2003", (["x"], ["yg"], ["yb"]), "SBM-undesirable no crs", {"model": "sbm", "returns": "crs"}),
    ("deaR_Tone2003", (["x"], ["yg"], ["yb"]), "SBM-undesirable no vrs", {"model": "sbm", "returns": "vrs"}),
    ("deaR_Power_plants", POWER, "super-efficiency io crs", {"orientation": "input", "returns": "crs", "super_efficiency": True}),
    ("deaR_Power_plants", POWER, "super-SBM io crs",
     {"model": "sbm", "orientation": "input", "returns": "crs", "super_efficiency": True}),
    ("deaR_Power_plants", POWER, "super-SBM no crs", {"model": "sbm", "returns": "crs", "super_efficiency": True}),
    ("DEAP_eg1", (["x1", "x2"], ["y"]), "CRS input TE", {"orientation": "input", "returns": "crs"}),
]  # fmt: skip
PRINTED = ("CRS input TE", "SBM no crs (published, 3 dec.)")


def twice(data: pd.DataFrame, unit: str) -> Panel:
    """A cross-section as a panel of two equal periods."""
    return Panel.from_frame(pd.concat([data.assign(period=1), data.assign(period=2)]), unit=unit, time="period")


@beside
@pytest.mark.parametrize("backend", ["auto", "highs", "scipy"])
@pytest.mark.parametrize(
    ("file", "columns", "method", "options"), RADIAL + SLACK_BASED + OTHERS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_other_programs(file, columns, method, options, backend):
    """Programs print θ, φ = 1/efficiency, β or ρ, three decimals where they print no more. deaR's slack-based super-efficiency is δ of
    Tone (2002), which is 1 for units that are not efficient, where ours is their ρ < 1."""
    data = pd.read_csv(DATA / f"{file}.csv")
    name = {"FLS11": None, "julia_erg8": None, "DEAP_eg1": "firm"}.get(file, "DMU")
    data = data.assign(u=data[name] if name else np.arange(1, len(data) + 1))
    prefix = "firm" if file == "DEAP_eg1" else ""
    found = dea(twice(data, "u"), *columns, **options, backend=backend).frame
    rows = REFERENCE[(REFERENCE.dataset == file.removeprefix("deaR_")) & (REFERENCE.method == method)]
    assert len(rows) == len(data)
    for row in rows.itertuples():
        ours = found[(found.unit == row.dmu.removeprefix(prefix)) & (found.period == 1)].estimate.item()
        ours = 1 / ours if row.quantity == "phi" else max(ours, 1.0) if row.quantity == "rho_super" else ours
        assert ours == pytest.approx(row.value, abs=5.0001e-4 if method in PRINTED else 1e-8 * max(1, row.value)), row


@beside
def test_every_reference_row_that_is_not_a_productivity_index_is_compared():
    compared = {(file.removeprefix("deaR_"), method) for file, _, method, _ in RADIAL + SLACK_BASED + OTHERS}
    there = set(zip(REFERENCE.dataset, REFERENCE.method, strict=True))
    assert {(d, m) for d, m in there - compared if not m.startswith(("Malmquist", "ML", "output distance"))} == set()


# ── a synthetic panel ───────────────────────────────────────────────────────────────────────────────────────────────

PANEL = synthetic_panel()
COLUMNS = (["x1", "x2"], ["y1"])


@pytest.mark.parametrize("reference", ["contemporaneous", "sequential", "global"])
def test_reference_sets(reference):
    """Each row against the rows of its period, of periods up to it, or of all, one program at a time."""
    found = dea(PANEL, *COLUMNS, orientation="input", reference=reference).frame
    for row in found.itertuples():
        year = PANEL.frame.year
        chosen = {"contemporaneous": year == row.period, "sequential": year <= row.period, "global": year > 0}[reference]
        here = PANEL.frame[(PANEL.frame.unit == row.unit) & (year == row.period)]
        spanning = quantities(PANEL.frame[chosen])
        x, y = here[["x1", "x2"]].to_numpy()[0], here[["y1"]].to_numpy()[0]
        beta = directional_by_scipy(spanning, "vrs", False, x, y, np.empty(0), x, 0 * y, np.empty(0))
        assert row.estimate == pytest.approx(1 - beta, abs=1e-9)
    assert (found.n_obs == 1).all()


def quantities(frame):
    from bayes.measure._technologies import Quantities

    return Quantities(frame[["x1", "x2"]].to_numpy(), frame[["y1"]].to_numpy(), np.empty((len(frame), 0)))


def test_means_by_group():
    """Arithmetic means, weighted where weights are given, in the groups that FrontierFit.efficiency has."""
    rows = dea(PANEL, *COLUMNS).frame
    weights = PANEL.frame.x1.to_numpy()
    for by, keys in (("all", []), ("region", ["region"]), ("unit", ["region", "unit"]), ("region:period", ["region", "period"])):
        found, weighted = dea(PANEL, *COLUMNS, by=by).frame, dea(PANEL, *COLUMNS, by=by, weights="x1").frame
        assert (found.term == by).all()
        for r, row in found.iterrows():
            inside = np.all([rows[k] == row[k] for k in keys], axis=0) if keys else np.ones(len(rows), bool)
            assert row.estimate == pytest.approx(rows.estimate[inside].mean(), abs=1e-12)
            assert row.n_obs == inside.sum()
            assert weighted.estimate[r] == pytest.approx(np.average(rows.estimate[inside], weights=weights[inside]), abs=1e-12)
    assert dea(PANEL, *COLUMNS, by="all").frame.note.item() == "arithmetic mean"


def test_scores_without_a_solution_are_kept_and_counted():
    """Super-efficiency under variable returns is infeasible for some units: NaN with the reason, left out of means and counted there."""
    found = dea(PANEL, *COLUMNS, orientation="input", super_efficiency=True).frame
    lost = found[~found.identified]
    assert 0 < len(lost) < len(found)
    assert len(found) == PANEL.n_rows
    assert lost.estimate.isna().all()
    assert lost.note.str.startswith("infeasible").all()
    mean = dea(PANEL, *COLUMNS, orientation="input", super_efficiency=True, by="all").frame.iloc[0]
    assert mean.estimate == pytest.approx(found.estimate.mean(), abs=1e-12)
    assert mean.note == f"arithmetic mean; {len(lost)} of {len(found)} scores have no value and are left out"
    assert mean.n_obs == len(found) - len(lost)


def test_periods_with_one_row_score_one_and_say_so():
    """Unbalanced: unit u00 alone in the last year."""
    frame = PANEL.frame
    panel = Panel.from_frame(frame[(frame.year < 2002) | (frame.unit == "u00")], unit="unit", time="year")
    for options, best in (({}, 1.0), ({"model": "directional"}, 0.0), ({"model": "sbm"}, 1.0)):
        last = dea(panel, *COLUMNS, **options).frame.iloc[2]
        assert (last.unit, last.period) == ("u00", 2002)
        assert last.estimate == pytest.approx(best, abs=1e-12)
        assert last.note == f"the only unit of its reference set: {best:g} by construction"
    assert not dea(panel, *COLUMNS, super_efficiency=True).frame.iloc[2].identified
    assert dea(panel, *COLUMNS, reference="sequential").frame.iloc[2].note == ""


def test_slacks_targets_and_peers_of_a_panel():
    """Targets hold movement and slack, are spanned by the peers of the same period, and are efficient."""
    found = dea(PANEL, *COLUMNS, orientation="input", slacks=True, peers=True).frame
    target = found[found.estimand == "target"].pivot_table(index=["unit", "period"], columns="term", values="estimate")
    peers = found[found.estimand == "peer"].merge(
        PANEL.frame[["unit", "year", "x1", "x2", "y1"]], left_on=["term_to", "period"], right_on=["unit", "year"], suffixes=("", "_peer")
    )
    spanned = (
        peers.assign(**{c: peers.estimate * peers[c] for c in ("x1", "x2", "y1")}).groupby(["unit", "period"])[["x1", "x2", "y1"]].sum()
    )
    np.testing.assert_allclose(spanned, target[["x1", "x2", "y1"]], rtol=1e-9)
    moved = PANEL.frame.drop(columns=["x1", "x2", "y1"]).merge(target.reset_index(), left_on=["unit", "year"], right_on=["unit", "period"])
    both = pd.concat([PANEL.frame, moved.assign(unit=moved.unit + "*")])[["unit", "year", "x1", "x2", "y1"]]
    again = dea(Panel.from_frame(both, unit="unit", time="year"), *COLUMNS, orientation="input", slacks=True).frame
    stars = again[again.unit.str.endswith("*")]
    np.testing.assert_allclose(stars[stars.estimand == "efficiency"].estimate, 1, atol=1e-8)
    np.testing.assert_allclose(stars[stars.estimand == "slack"].estimate, 0, atol=1e-7)
    named = dea(PANEL, *COLUMNS, reference="global", peers=True).frame
    assert named[named.estimand == "peer"].term_to.str.fullmatch(r"u\d\d, \d{4}").all()


def test_directions():
    """A fixed direction counts steps; "own" in every column is the default."""
    same = dict.fromkeys(("x1", "x2", "y1"), "own")
    np.testing.assert_allclose(
        dea(PANEL, *COLUMNS, model="directional", direction=same).frame.estimate,
        dea(PANEL, *COLUMNS, model="directional").frame.estimate, atol=1e-12,
    )  # fmt: skip
    once = dea(PANEL, *COLUMNS, model="directional", direction={"y1": 1}).frame.estimate
    np.testing.assert_allclose(dea(PANEL, *COLUMNS, model="directional", direction={"y1": 4}).frame.estimate, once / 4, atol=1e-10)
    radial = dea(PANEL, *COLUMNS).frame.estimate
    np.testing.assert_allclose(dea(PANEL, *COLUMNS, model="directional", orientation="output").frame.estimate, 1 / radial - 1, atol=1e-10)


def test_zero_outputs_and_undesirable_outputs():
    """A product that a unit does not make, and an undesirable output of zero, are allowed where nothing divides by them."""
    panel = synthetic_panel(widths=(2, 2, 1))
    frame = panel.frame.copy()
    frame.loc[::5, "y2"] = 0.0
    frame.loc[1::6, "b1"] = 0.0
    panel = Panel.from_frame(frame, unit="unit", time="year")
    args = (["x1", "x2"], ["y1", "y2"], ["b1"])
    for options in ({}, {"model": "directional"}, {"model": "directional", "disposability": "weak", "returns": "crs"}):
        assert dea(panel, *args, **options).frame.identified.all()
    with pytest.raises(NotPositiveError, match=r"'y2'.*zero.*slack-based.*unit='u00'|'y2'.*zero"):
        dea(panel, *args, model="sbm")
    with pytest.raises(NotPositiveError, match="'b1'"):
        dea(panel, *args[:1], ["y1"], ["b1"], model="sbm")


def test_a_product_that_nobody_else_makes():
    """Leaving the only maker out, nothing of its product is attainable: no score, and not an infinite one."""
    frame = PANEL.frame.assign(y2=(PANEL.frame.unit == "u03") * 1.0)
    found = dea(Panel.from_frame(frame, unit="unit", time="year"), ["x1", "x2"], ["y1", "y2"], returns="crs", super_efficiency=True).frame
    maker = found[found.unit == "u03"]
    assert maker.estimate.isna().all()
    assert maker.note.str.contains("no reference unit produces").all()
    assert found[found.unit != "u03"].identified.all()


# ── bad input ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "fdh"}, "'radial', 'directional', 'sbm'"),
        ({"orientation": "none"}, "'output', 'input'"),
        ({"orientation": ""}, "'output', 'input'"),
        ({"returns": "irs"}, "'crs', 'vrs', 'nirs', 'ndrs'"),
        ({"reference": "window"}, "'contemporaneous', 'sequential', 'global'"),
        ({"by": "year"}, "region:period"),
        ({"disposability": "none"}, "'strong', 'weak'"),
        ({"disposability": "weak"}, "name them in bad_outputs"),
        ({"backend": "cplex"}, "'auto', 'highs' or 'scipy'"),
        ({"direction": {"y1": 1}}, "belongs to model='directional'"),
        ({"model": "directional", "direction": {"z": 1}}, r"\['z'\]"),
        ({"model": "directional", "direction": {"y1": -1}}, "≥ 0 or 'own'"),
        ({"model": "directional", "direction": {"y1": None}}, "direction must be a mapping"),
        ({"model": "directional", "direction": {"y1": "mean"}}, "own"),
        ({"model": "directional", "direction": {"y1": 0}}, "zero in every column"),
        ({"model": "sbm", "super_efficiency": True, "slacks": True}, "super_efficiency=False"),
        ({"by": "unit", "peers": True}, "by='unit:period'"),
        ({"replicates": 10}, "at least 100"),
        ({"replicates": -1}, "whole number"),
        ({"seed": "one"}, "seed must be a whole number"),
        ({"replicates": 100, "cores": -1}, "cores must be a whole number"),
        ({"model": "directional", "direction": ["y1"]}, "direction must be a mapping"),
        ({"replicates": 100, "model": "sbm"}, "exists for radial scores"),
        ({"replicates": 100, "model": "directional"}, "exists for radial scores"),
        ({"replicates": 100, "super_efficiency": True}, "exists for radial scores"),
    ],
    ids=str,
)
def test_options_that_do_not_exist_or_do_not_go_together(options, message):
    with pytest.raises(SpecificationError, match=message):
        dea(PANEL, *COLUMNS, **options)


def test_unknown_keywords_raise():
    with pytest.raises(TypeError, match="rts"):
        dea(PANEL, *COLUMNS, rts="vrs")


def test_data_that_cannot_be_used():
    def with_cell(column, value):
        frame = PANEL.frame.copy()
        frame.loc[4, column] = value
        return Panel.from_frame(frame, unit="unit", time="year")

    where = f"{PANEL.frame.unit[4]}.*{PANEL.frame.year[4]}"
    with pytest.raises(NotPositiveError, match=f"'x1'.*negative.*{where}"):
        dea(with_cell("x1", -1.0), *COLUMNS)
    with pytest.raises(NotPositiveError, match=f"'y1'.*all outputs zero.*{where}"):
        dea(with_cell("y1", 0.0), *COLUMNS)
    with pytest.raises(MissingValueError, match=f"'x2'.*{where}"):
        dea(with_cell("x2", np.nan), *COLUMNS)
    with pytest.raises(MissingColumnError, match="labour"):
        dea(PANEL, ["labour"], ["y1"])
    with pytest.raises(NotPositiveError, match=r"'x1'.*Weights must be positive"):
        dea(with_cell("x1", 0.0), *COLUMNS, weights="x1")
    same = Panel.from_frame(PANEL.frame.assign(x1=1.0, x2=2.0, y1=3.0), unit="unit", time="year")
    with pytest.raises(NoVariationError, match="24 rows have the same x1, x2, y1"):
        dea(same, *COLUMNS)
    one = Panel.from_frame(PANEL.frame[PANEL.frame.unit == "u01"], unit="unit", time="year")
    with pytest.raises(SpecificationError, match=r"one unit \(u01\)"):
        dea(one, *COLUMNS)
