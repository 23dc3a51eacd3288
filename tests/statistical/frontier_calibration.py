"""Calibration of hierarchical frontiers on SYNTHETIC panels drawn from the prior itself; resumable.

``python -m tests.statistical.frontier_calibration half-normal 200`` adds replicates until there are 200 and prints the figures. Each
replicate draws parameters from the priors, a panel of 30 units × 11 years in three regions, fits it, and stores: ranks of the true
parameters among posterior draws (simulation-based calibration, Talts et al. 2018), whether 90 % intervals hold regional elasticities and
efficiencies, and squared errors beside those of maximum likelihood by region and pooled. One line of JSON a replicate.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd
from scipy import stats

import bayes
from bayes.frontier.inefficiency import inefficiency_draws
from bayes.priors import Prior
from tests.statistical.records import kept

UNITS, PERIODS, REGIONS = 30, 11, 3
RANKS = 99
"""Thinned posterior draws among which the truth is ranked: 0 … 99."""
DESIGNS = {"half-normal": "pooled", "bc92": "bc92", "true-random-effects": "true-random-effects"}
PRIORS = {
    "intercept": Prior("Normal", {"mu": 0.0, "sigma": 1.0}, False),
    "technology": Prior("Normal", {"mu": 0.4, "sigma": 0.2}, False),
    "technology_spread": Prior("HalfNormal", {"sigma": 0.2}, False),
    "noise_scale": Prior("LogNormal", {"median": 0.1, "sigma": 0.4}, False),
    "inefficiency_scale": Prior("LogNormal", {"median": 0.25, "sigma": 0.5}, False),
    "inefficiency_spread": Prior("HalfNormal", {"sigma": 0.5}, False),
    "unit_effect_sd": Prior("LogNormal", {"median": 0.2, "sigma": 0.4}, False),
    "decay": Prior("Normal", {"mu": 0.0, "sigma": 0.05}, False),
}
"""Absolute, so that the prior is the same before and after the data are seen."""


def specification(design: str) -> bayes.StochasticFrontier:
    model = DESIGNS[design]
    own = {"true-random-effects": {"unit_effect_sd"}, "bc92": {"decay"}}.get(model, set())
    priors = {k: v for k, v in PRIORS.items() if k not in ("unit_effect_sd", "decay") or k in own}
    return bayes.StochasticFrontier(
        "y",
        ["x0", "x1"],
        technology="cobb-douglas",
        technical_change="none",
        model=model,
        pooling=("technology", "efficiency"),
        priors=priors,
    )


def simulate(design: str, seed: int) -> tuple[bayes.Panel, dict[str, np.ndarray]]:
    """Parameters from the priors and a panel from the parameters. Inputs are centred, as the model centres them."""
    rng = np.random.default_rng(seed)
    draw = {name: float(prior.sample(rng, 1)[0]) for name, prior in PRIORS.items()}
    mean = np.array([draw["intercept"], *PRIORS["technology"].sample(rng, 2)])
    spread = PRIORS["technology_spread"].sample(rng, 3)
    beta = mean + spread * rng.normal(size=(REGIONS, 3))
    scale = draw["inefficiency_scale"] * np.exp(draw["inefficiency_spread"] * rng.normal(size=REGIONS))
    unit, t = np.repeat(np.arange(UNITS), PERIODS), np.tile(np.arange(PERIODS), UNITS)
    region = unit % REGIONS
    x = 0.8 * rng.normal(size=(UNITS, 2))[unit] + 0.5 * rng.normal(size=(unit.size, 2))
    x -= x.mean(axis=0)
    u = scale[region] * np.abs(rng.normal(size=unit.size))
    effect = np.zeros(UNITS)
    if design == "bc92":
        u = (scale[np.arange(UNITS) % REGIONS] * np.abs(rng.normal(size=UNITS)))[unit] * np.exp(-draw["decay"] * (t - PERIODS + 1))
    if design == "true-random-effects":
        effect = draw["unit_effect_sd"] * rng.normal(size=UNITS)
    y = beta[region, 0] + (x * beta[region, 1:]).sum(axis=1) + effect[unit] + draw["noise_scale"] * rng.normal(size=unit.size) - u
    frame = pd.DataFrame({"unit": unit, "year": 2000 + t, "region": region, "y": y, "x0": x[:, 0], "x1": x[:, 1]})
    truth = {
        "technology_mean": mean, "technology_spread": spread, "technology": beta, "inefficiency_scale": scale,
        "inefficiency_spread": draw["inefficiency_spread"], "noise_scale_mean": draw["noise_scale"],
        "inefficiency_scale_mean": draw["inefficiency_scale"], "u": u, "unit_effect_sd": draw["unit_effect_sd"], "decay": draw["decay"],
    }  # fmt: skip
    return bayes.Panel.from_frame(frame, "unit", "year", "region", name="synthetic"), truth


def replicate(design: str, seed: int) -> dict:
    panel, truth = simulate(design, seed)
    spec = specification(design)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = spec.fit(panel, seed=seed, draws=400, tune=400, chains=2, progress=False)
        peers = _peers(spec, panel, truth)
    diagnosis = fit.diagnose()
    posterior = fit.posterior
    thin = np.linspace(0, 799, RANKS).astype(int)
    ranks = {}
    for name in ("technology_mean", "technology_spread", "inefficiency_spread", "inefficiency_scale_mean", "noise_scale_mean",
                 "unit_effect_sd", "decay", "technology", "inefficiency_scale"):  # fmt: skip
        if name in posterior:
            draws = posterior[name].to_numpy()
            draws = draws.reshape(-1, int(np.prod(draws.shape[2:])))[thin]
            ranks[name] = (draws < np.ravel(truth[name])).sum(axis=0).tolist()
    slopes = posterior["technology"].to_numpy().reshape(-1, REGIONS, 3)[:, :, 1:]
    efficiency = np.exp(-inefficiency_draws(fit.parameters(), spec, fit.data, seed))
    true_efficiency = np.exp(-truth["u"])
    return {
        "seed": seed, "ranks": ranks, "rhat": diagnosis.rhat_max, "divergences": diagnosis.divergences,
        "elasticities_covered": _covered(slopes, truth["technology"][:, 1:]), "efficiencies_covered": _covered(efficiency, true_efficiency),
        "elasticity_errors": {"bayes": _squares(slopes.mean(axis=0), truth["technology"][:, 1:]), **peers["elasticity"]},
        "efficiency_errors": {"bayes": _squares(efficiency.mean(axis=0), true_efficiency), **peers["efficiency"]},
    }  # fmt: skip


def _peers(spec: bayes.StochasticFrontier, panel: bayes.Panel, truth: dict) -> dict[str, dict[str, float]]:
    """Mean squared errors of maximum likelihood by region and pooled; nothing where it fails."""
    from dataclasses import replace

    out = {"elasticity": {}, "efficiency": {}}
    if spec.model != "pooled":  # the comparison of errors is made in one design
        return out
    for name, pooling in (("ml by region", "none"), ("ml pooled", "complete")):
        fit = bayes.baselines.frontier(replace(spec, pooling=pooling), panel)
        table = fit.elasticities("region").frame
        slopes = np.array(
            [[table[(table.region == str(r)) & (table.term == x)].estimate.item() for x in ("x0", "x1")] for r in range(REGIONS)]
        )
        out["elasticity"][name] = _squares(slopes, truth["technology"][:, 1:])
        rows = fit.efficiency().frame.assign(unit=lambda f: f.unit.astype(int)).sort_values(["unit", "period"])
        out["efficiency"][name] = _squares(rows.estimate.to_numpy(), np.exp(-truth["u"]))
    return out


def _covered(draws: np.ndarray, truth: np.ndarray) -> float:
    """Share of true values inside equal-tailed 90 % intervals."""
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    return float(np.mean((low <= truth) & (truth <= high)))


def _squares(estimate: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean((estimate - truth) ** 2))


def run(design: str, count: int, first_seed: int = 5000) -> list[dict]:
    """Replicates with seeds from ``first_seed`` on; those already stored are read."""
    return kept(f"frontier_{design}", range(first_seed, first_seed + count), lambda todo: (replicate(design, seed) for seed in todo))


def summary(records: list[dict]) -> dict[str, float]:
    """Coverage, ratios of root mean squared errors, and the smallest p value of uniform ranks over all parameters (with their number)."""
    out = {
        "replicates": len(records),
        "elasticity coverage": float(np.mean([r["elasticities_covered"] for r in records])),
        "efficiency coverage": float(np.mean([r["efficiencies_covered"] for r in records])),
        "divergent fits": int(sum(r["divergences"] > 0 for r in records)),
        "fits with R-hat above 1.01": int(sum(r["rhat"] > 1.01 for r in records)),
    }
    for what in ("elasticities", "efficiencies"):
        out[f"Monte-Carlo se, {what}"] = float(np.std([r[f"{what}_covered"] for r in records], ddof=1) / np.sqrt(len(records)))
    for what in ("elasticity", "efficiency"):
        for peer in ("ml by region", "ml pooled"):
            pairs = [(r[f"{what}_errors"]["bayes"], r[f"{what}_errors"][peer]) for r in records if peer in r[f"{what}_errors"]]
            pairs = [p for p in pairs if np.isfinite(p).all()]
            if pairs:
                ours, theirs = np.mean(pairs, axis=0)
                out[f"{what} RMSE / {peer}"] = float(np.sqrt(ours / theirs))
    p_values = {}
    for name in records[0]["ranks"]:
        ranks = np.array([r["ranks"][name] for r in records])
        for k in range(ranks.shape[1]):
            uniform = (ranks[:, k] + np.random.default_rng(k).uniform(size=len(ranks))) / (RANKS + 1)
            p_values[f"{name}[{k}]"] = stats.kstest(uniform, "uniform").pvalue
    worst = min(p_values, key=p_values.get)
    return out | {"ranked parameters": len(p_values), "smallest p value": float(p_values[worst]), "worst": worst}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Calibration of hierarchical frontiers on synthetic panels.")
    parser.add_argument("design", choices=DESIGNS)
    parser.add_argument("count", type=int)
    parser.add_argument("--first-seed", type=int, default=5000)
    chosen = parser.parse_args()
    for key, value in summary(run(chosen.design, chosen.count, chosen.first_seed)).items():
        print(f"{key:32} {value:.4g}" if isinstance(value, float) else f"{key:32} {value}")
