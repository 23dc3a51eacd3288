"""Productivity indices beside other programs, row by row, on data that lie beside the project where they are at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes.measure import malmquist
from bayes.measure._malmquist_distances import Measure, consecutive_pairs, crossed_scores, own_scores
from bayes.measure._quantities import production_of
from bayes.measure._technologies import Returns
from bayes.panel import Panel
from tests.measure.malmquist_brute_force import exact_luenberger, series, value

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "reference" / "data"
REFERENCE = pd.read_csv(ROOT / "tests" / "reference" / "dea.csv")
ESTIMAND = {"mi": "malmquist", "ml": "malmquist", "tfpch": "malmquist", "effch": "ec", "techch": "tc", "pech": "ptec", "sech": "sec"}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the folder of reference data beside the project is not here")


def rows_of(dataset, method):
    return REFERENCE[(REFERENCE.dataset == dataset) & REFERENCE.method.str.startswith(method)]


def compare_rows(rows, found, tolerance):
    assert len(rows)
    for row in rows.itertuples():
        ours = value(found, ESTIMAND.get(row.quantity, row.quantity), row.dmu, float(row.period))
        assert np.isnan(ours) if np.isnan(row.value) else abs(ours - row.value) <= tolerance, row


@pytest.mark.parametrize("orientation", ["output", "input"])
def test_coelli(orientation):
    """DEAP 2.1 prints three decimals. Under constant returns the input orientation gives the same M, EC and TC."""
    data = pd.read_csv(DATA / "DEAP_eg4.csv").assign(firm=lambda d: "firm" + d.firm.astype(str))
    found = malmquist(Panel.from_frame(data, unit="firm", time="year"), ["x"], ["y"], orientation=orientation)
    rows = rows_of("DEAP_eg4", "Malmquist")
    compare_rows(rows if orientation == "output" else rows[rows.quantity.isin(["tfpch", "effch", "techch"])], found, 5.0001e-4)


def test_coelli_distances():
    data = pd.read_csv(DATA / "DEAP_eg4.csv").assign(firm=lambda d: "firm" + d.firm.astype(str))
    panel = Panel.from_frame(data, unit="firm", time="year")
    production = production_of(panel, ["x"], ["y"])
    pairs = consecutive_pairs(production)
    d = crossed_scores(production, pairs, Measure(), Returns.CONSTANT)
    variable = own_scores(production, Measure(), Returns.VARIABLE)
    for row in rows_of("DEAP_eg4", "output distance").itertuples():
        at = int(np.flatnonzero((panel.frame.firm == row.dmu) & (panel.frame.year == float(row.period)))[0])
        ours = {
            "d_t": d.own[at], "d_vrs": variable.own[at],
            "d_tm1": d.ahead[pairs.second == at].sum(), "d_t1": d.behind[pairs.first == at].sum(),
        }[row.quantity]  # fmt: skip
        assert abs(ours - row.value) <= 5.0001e-4, row


def test_julia_malmquist():
    """Printed with seven digits or more."""
    panel = Panel.from_frame(pd.read_csv(DATA / "julia_malmquist.csv"), unit="dmu", time="period")
    compare_rows(rows_of("julia_malmquist", "Malmquist"), malmquist(panel, ["x"], ["y"]), 1e-7)


@pytest.mark.parametrize("weak", [False, True])
def test_luenberger_rows_and_exact_fractions(weak):
    """Julia's tests print period 2 with ten digits and period 3 with five decimals: 1.22474 stands for √1.5 = 1.2247449.

    Exact fractions decide: ours are right to 1e-12, the printed ones are the exact values rounded.
    """
    data = pd.read_csv(DATA / "julia_malmluen.csv")
    panel = Panel.from_frame(data, unit="dmu", time="period")
    found = malmquist(panel, ["x"], ["y"], ["b"], disposability="weak" if weak else "strong")
    assert found.meta["disposability"] == ("weak" if weak else "strong")
    exact = exact_luenberger(data, weak)
    for (unit, period), expected in exact.items():
        for name, number in expected.items():
            np.testing.assert_allclose(value(found, ESTIMAND.get(name, name), unit, period), number, rtol=1e-12, equal_nan=True)
    rows = rows_of("julia_malmluen", f"ML g=(0,y,b), bad output {'WEAKLY' if weak else 'STRONGLY'}")
    assert len(rows) == 30
    for row in rows.itertuples():
        number = exact[int(row.dmu), int(float(row.period))][row.quantity]
        assert np.isnan(number) == np.isnan(row.value), row
        if np.isfinite(number) and not weak and float(row.period) == 3:
            assert min(abs(round(number, 5) - row.value), abs(round(number, 6) - row.value)) < 1e-12, row
        elif np.isfinite(number):
            assert abs(number - row.value) < 1e-10, row
    if not weak:
        assert value(found, "malmquist", 1, 3) == pytest.approx(np.sqrt(1.5), rel=1e-12)


def test_grifell_and_lovell_by_fgnz():
    panel = Panel.from_frame(pd.read_csv(DATA / "deaR_Grifell_Lovell_1999.csv"), unit="DMU", time="Year")
    compare_rows(rows_of("Grifell_Lovell_1999", "Malmquist oo vrs cont fgnz"), malmquist(panel, ["X"], ["Y"]), 1e-12)


@pytest.mark.parametrize("convention", ["rd", "gl"])
def test_one_sided_conventions_of_another_program(convention):
    """deaR's "rd" and "gl" take the technology of the earlier period t only, not the two-sided form of Ray & Desli (1997):

    TC = S_v^t(t')/S_v^t'(t'), SEC = [S_c^t(t')/S_v^t(t')]/[S_c^t(t)/S_v^t(t)], so PTEC·TC·SEC = S_c^t(t')/S_c^t(t), the index of base t.
    With one input and one output the two options give the same numbers. Ours (two-sided) differ where frontiers shift unevenly.
    """
    panel = Panel.from_frame(pd.read_csv(DATA / "deaR_Grifell_Lovell_1999.csv"), unit="DMU", time="Year")
    production = production_of(panel, ["X"], ["Y"])
    pairs = consecutive_pairs(production)
    c, v = (crossed_scores(production, pairs, Measure(), scale) for scale in (Returns.CONSTANT, Returns.VARIABLE))
    one_sided = {
        "mi": c.ahead / c.own[pairs.first], "tc": v.ahead / v.own[pairs.second], "pech": v.own[pairs.second] / v.own[pairs.first],
        "sech": (c.ahead / v.ahead) / (c.own[pairs.first] / v.own[pairs.first]),
    }  # fmt: skip
    rows = rows_of("Grifell_Lovell_1999", f"Malmquist oo vrs cont {convention}")
    units = panel.frame.DMU.to_numpy()[pairs.second]
    for row in rows.itertuples():
        assert one_sided[row.quantity][units == row.dmu] == pytest.approx(row.value, rel=1e-12), row
    ours = malmquist(panel, ["X"], ["Y"], decomposition="ray-desli")
    np.testing.assert_allclose(series(ours, "malmquist"), one_sided["mi"], rtol=1e-12)
    assert np.abs(series(ours, "tc") - one_sided["tc"]).max() > 0.01
