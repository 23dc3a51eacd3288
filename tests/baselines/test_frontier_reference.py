"""Maximum likelihood beside other programs, on data sets that lie beside the project where they are at all."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes.baselines import frontier
from bayes.baselines._frontier_result import FrontierMLE
from bayes.baselines._frontier_solution import Status
from bayes.errors import BaselineWarning
from bayes.frontier.model import StochasticFrontier
from bayes.panel import Panel

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "reference" / "data"
REFERENCE = pd.read_csv(ROOT / "tests" / "reference" / "frontier.csv")
EXACT = "own exact numpy"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the folder of reference data beside the project is not here")

PLAIN = {"technology": "cobb-douglas", "technical_change": "none", "pooling": "complete", "model": "pooled"}
COLUMNS = {
    "front41Data": {"output": "log_output", "inputs": ["log_capital", "log_labour"]},
    "riceProdPhil": {"output": "log_PROD", "inputs": ["log_AREA", "log_LABOR", "log_NPK"]},
    "produc": {"output": "log_gsp", "inputs": ["log_pcap", "log_pc", "log_emp"], "covariates": ["unemp"]},
}
TRUNCATED, EXPONENTIAL, TRANSLOG = {"inefficiency": "truncated-normal"}, {"inefficiency": "exponential"}, {"technology": "translog"}
INVARIANT, DECAY = {"model": "time-invariant"}, {"model": "bc92"}
IN_MEAN = TRUNCATED | {"determinants": ["EDYRS", "BANRAT"], "determinants_in": "mean"}
IN_SCALE = {"determinants": ["EDYRS", "BANRAT"], "determinants_in": "scale"}
REGIONS = [f"region_{k}" for k in range(2, 10)]
YEARS = [f"year_{k}" for k in range(1971, 1987)]

INTERIOR = {
    ("front41Data", "cs_halfnormal"): {},
    ("riceProdPhil", "panel_timeinvariant_halfnormal"): INVARIANT,
    ("riceProdPhil", "panel_timeinvariant_truncnormal"): INVARIANT | TRUNCATED,
    ("riceProdPhil", "bc92_decay_halfnormal"): DECAY,
    ("riceProdPhil", "bc92_decay_truncnormal"): DECAY | TRUNCATED,
}
INTERIOR_SLOW = {
    ("front41Data", "cs_exponential"): EXPONENTIAL,
    ("riceProdPhil", "cs_halfnormal"): {},
    ("riceProdPhil", "tre_halfnormal"): {"model": "true-random-effects"},
    ("produc", "panel_timeinvariant_halfnormal"): INVARIANT,
    ("produc", "bc92_decay_halfnormal"): DECAY,
    ("produc", "panel_timeinvariant_truncnormal"): INVARIANT | TRUNCATED,
    ("front41Data", "cs_truncnormal"): TRUNCATED,
    ("front41Data", "cs_rayleigh"): {"inefficiency": "rayleigh"},
    ("riceProdPhil", "cs_exponential"): EXPONENTIAL,
    ("riceProdPhil", "bc95"): IN_MEAN,
    ("riceProdPhil", "bc95_translog"): IN_MEAN | TRANSLOG,
    ("riceProdPhil", "cs_translog_halfnormal"): TRANSLOG,
    ("riceProdPhil", "bc92_decay_halfnormal_trend"): DECAY | {"technical_change": "neutral"},
    ("riceProdPhil", "cs_hnormal_uhet"): IN_SCALE,
    ("riceProdPhil", "cs_hnormal_uvhet"): IN_SCALE | {"noise_determinants": ["AREA"]},
    ("riceProdPhil", "panel_timeinvariant_exponential"): INVARIANT | EXPONENTIAL,
}
BOUNDARY = {
    ("produc", "cs_halfnormal"): ({}, Status.NO_INEFFICIENCY),
    ("riceProdPhil", "cs_truncnormal"): (TRUNCATED, Status.RIDGE),
    ("riceProdPhil", "panel_K1990_hn"): ({"model": "kumbhakar-1990"}, Status.OTHER_BOUNDARY),
    ("riceProdPhil", "gtre_halfnormal"): ({"model": "four-component"}, Status.OTHER_BOUNDARY),
    ("produc", "cs_exponential"): (EXPONENTIAL, Status.NO_INEFFICIENCY),
    ("produc", "cs_truncnormal"): (TRUNCATED, Status.NO_INEFFICIENCY),
    ("produc", "tre_halfnormal"): ({"model": "true-random-effects"}, Status.NO_INEFFICIENCY),
    ("produc", "cs_hnormal_uhet_region"): ({"determinants": REGIONS, "determinants_in": "scale"}, Status.OTHER_BOUNDARY),
    ("produc", "bc95_region"): (TRUNCATED | {"determinants": REGIONS, "determinants_in": "mean"}, Status.NO_NOISE),
    ("produc", "bc95"): (
        TRUNCATED | {"determinants": ["unemp", *YEARS], "determinants_in": "mean", "covariates": []},
        Status.OTHER_BOUNDARY,
    ),
}


def cases(fast: dict, slow: dict) -> list:
    return [*fast, *(pytest.param(*key, marks=pytest.mark.slow, id="-".join(key)) for key in slow)]


def has_exact_figures(key: tuple[str, str]) -> bool:
    return bool(((REFERENCE.dataset == key[0]) & (REFERENCE.model == key[1]) & (REFERENCE.implementation == EXACT)).any())


WITH_EXACT_FIGURES = cases(*({k: v for k, v in group.items() if has_exact_figures(k)} for group in (INTERIOR, INTERIOR_SLOW)))


@cache
def panel(dataset: str) -> Panel:
    """The file with logarithms. front41 is a cross-section: half of its firms get another period, which no model fitted to it looks at."""
    frame = pd.read_csv(DATA / f"{dataset}.csv")
    if dataset == "front41Data":
        return Panel.from_frame(frame.assign(period=1 + frame.firm.gt(30)), unit="firm", time="period").log("output", "capital", "labour")
    if dataset == "riceProdPhil":
        return Panel.from_frame(frame, unit="FMERCODE", time="YEARDUM").log("PROD", "AREA", "LABOR", "NPK")
    dummies = {
        f"{name}_{v}": frame[name].eq(v) * 1.0 for name, found in (("region", range(2, 10)), ("year", range(1971, 1987))) for v in found
    }
    full = Panel.from_frame(frame.assign(**dummies), unit="state", time="year", region="region")
    return full.log("gsp", "pcap", "pc", "emp")


@cache
def fitted(dataset: str, model: str) -> FrontierMLE:
    options = (INTERIOR | INTERIOR_SLOW | {k: v[0] for k, v in BOUNDARY.items()})[dataset, model]
    spec = StochasticFrontier(**(COLUMNS[dataset] | PLAIN | options))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BaselineWarning)
        return frontier(spec, panel(dataset))


def rows(dataset: str, model: str) -> pd.DataFrame:
    return REFERENCE[(REFERENCE.dataset == dataset) & (REFERENCE.model == model)].drop_duplicates("implementation")


def tolerance(fit: FrontierMLE) -> float:
    """R's frontier carries π to nine digits, which shows as some 2e-8 a row."""
    return 1e-5 + 3e-8 * fit.data.n_rows


def in_levels(fit: FrontierMLE) -> dict[str, float]:
    """Estimates in the parameters of the reference figures: inputs and determinants not centred, logarithms of scales, μ and η."""
    values = fit.frame.set_index("parameter").estimate
    names, data = fit.data.term_names, fit.data
    out = {f"slope {k}": values[name] for k, name in enumerate(names[1:])}
    out["const"] = values["intercept"] - sum(values[name] * data.centre[name] for name in names[1:])
    scales = {"v": "noise_scale", "u": "inefficiency_scale", "w": "unit_effect_sd", "h": "persistent_scale"}
    out |= {f"ln_sigma_{short}": np.log(values[name]) for short, name in scales.items() if name in values}
    out |= {short: values[name] for short, name in (("mu", "location"), ("eta", "decay")) if name in values}
    shifts = {z: values[f"mean_determinant:{z}"] for z in fit.spec.determinants if f"mean_determinant:{z}" in values}
    out |= {f"Z_{z}": shift for z, shift in shifts.items()}
    if shifts:
        out["Z_const"] = out.pop("mu") - sum(shift * c for shift, c in zip(shifts.values(), data.determinant_centre, strict=True))
    return out


@pytest.mark.parametrize(("dataset", "model"), cases(INTERIOR, INTERIOR_SLOW))
def test_interior_optima_are_those_of_other_programs(dataset, model):
    fit = fitted(dataset, model)
    assert fit.status is Status.INTERIOR
    assert fit.solution.point.gradient_norm < 1e-8
    for row in rows(dataset, model).itertuples():
        below = row.loglik - fit.loglik
        assert below < tolerance(fit), row.implementation
        if row.implementation.startswith(("R frontier", "R sfaR", "R npsf", EXACT)):
            assert abs(below) < tolerance(fit), row.implementation


@pytest.mark.parametrize(("dataset", "model"), WITH_EXACT_FIGURES)
def test_exact_figures_are_reproduced(dataset, model):
    exact = REFERENCE.query("dataset == @dataset and model == @model and implementation == @EXACT")
    fit = fitted(dataset, model)
    assert fit.loglik == pytest.approx(exact.loglik.iloc[0], abs=1e-5)
    if exact.mean_efficiency.notna().all():
        assert fit.mean_efficiency == pytest.approx(exact.mean_efficiency.iloc[0], abs=1e-5)
    ours, k = in_levels(fit), len(fit.data.terms)
    theirs = dict(zip(exact.parameter, exact.estimate, strict=True))
    slopes = list(theirs.values())[1:k]  # the order of the inputs, under shorter names
    np.testing.assert_allclose([ours[f"slope {j}"] for j in range(k - 1)], slopes, atol=1e-4)
    for name in ("const", *list(theirs)[k:]):
        assert ours[name] == pytest.approx(theirs[name], abs=1e-4), name


@pytest.mark.parametrize(("dataset", "model"), cases({}, BOUNDARY))
def test_boundaries_are_named_and_not_below_other_programs(dataset, model):
    fit = fitted(dataset, model)
    assert fit.status is BOUNDARY[dataset, model][1]
    assert (rows(dataset, model).loglik < fit.loglik + tolerance(fit)).all()
    if fit.status is Status.RIDGE:
        exponential = REFERENCE.query("dataset == @dataset and model == 'cs_exponential' and implementation == @EXACT").loglik.iloc[0]
        assert fit.loglik == pytest.approx(exponential, abs=1e-6)
    if fit.status is Status.NO_INEFFICIENCY:
        assert fit.mean_efficiency == 1


def test_the_front41_efficiencies_depend_on_the_estimator():
    fit = fitted("front41Data", "cs_halfnormal")
    assert fit.mean_efficiency == pytest.approx(0.740568, abs=1e-6)
    assert fit.efficiency("jlms").frame.estimate.mean() == pytest.approx(0.732453, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["front41Data", "riceProdPhil"])
def test_the_exact_gamma_is_near_the_simulated_one(dataset):
    """sfaR simulates this likelihood with 500 draws; exact, it is lower at their estimates as it is at ours."""
    spec = StochasticFrontier(**(COLUMNS[dataset] | PLAIN | {"inefficiency": "gamma"}))
    fit = frontier(spec, panel(dataset))
    assert fit.status is Status.INTERIOR
    assert fit.loglik == pytest.approx(rows(dataset, "cs_gamma").loglik.iloc[0], abs=0.02)


@pytest.mark.slow
def test_regions_on_their_own():
    spec = StochasticFrontier(**(COLUMNS["produc"] | PLAIN | {"pooling": "none"}))
    with pytest.warns(BaselineWarning, match="interior optimum in 1 of 9 regions"):
        fit = frontier(spec, panel("produc"))
    for name, region in fit.by_region.items():
        theirs = rows("produc", f"cs_halfnormal_region_{name}").loglik
        assert (theirs < region.loglik + tolerance(region)).all()
    assert fit.by_region["8"].status is Status.INTERIOR
    assert fit.by_region["8"].loglik == pytest.approx(186.564855, abs=1e-5)
    assert fit.by_region["8"].mean_efficiency == pytest.approx(0.944364, abs=1e-5)
