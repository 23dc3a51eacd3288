"""Industrial green productivity of the Yangtze River Economic Belt, and what convergence of technologies would change, after the thesis.

The thesis measures growth by SBM-ML, levels by three-stage SFA in an economic and an energy dimension, and compares three directions of
technology convergence. It prints no figure that is at hand, only statements, and its data are not public: the panel here is SIMULATED so
that the statements hold (data/simulated_yangtze_industry/card.md). The script sees whether they are found again, and how surely.

Run it:  python models/yangtze_green_tfp.py                       (writes reports/yangtze_green_tfp.html)
         python models/yangtze_green_tfp.py --panel mine.csv      (your own provinces; names of its columns below)
"""

import argparse
from itertools import pairwise
from pathlib import Path

import bayes

COLUMNS = {  # this study's name: name in your file. The reach follows from the province where the file has no column "reach".
    "industrial_output": "industrial_output",  # levels above zero: value added at constant prices
    "capital": "capital",
    "labor": "labor",
    "energy": "energy",
    "so2": "so2",  # the undesirable output
    "technology_exchange": "technology_exchange",  # technology contracts with other provinces, per cent of GDP
}
SUPPORT = ["government_spending", "openness", "economic_development"]  # stated to raise productivity
NO_SUPPORT = ["non_state_share", "environmental_regulation", "financial_flexibility"]  # stated not to
REACHES = ["downstream", "midstream", "upstream"]
DIMENSIONS = ["economic", "energy"]


def main() -> None:
    options = argparse.ArgumentParser(description="Green productivity of the Yangtze River Economic Belt and scenarios of convergence.")
    options.add_argument("--draws", type=int, default=1000, help="kept draws per chain")
    options.add_argument("--tune", type=int, default=1000, help="warm-up iterations per chain")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--panel", type=Path, help="your own CSV in the place of the simulated panel")
    options.add_argument("--out", type=Path, default=Path("reports"), help="folder of the report")
    chosen = options.parse_args()
    sampling = {"draws": chosen.draws, "tune": chosen.tune, "seed": chosen.seed}

    # 1. Data: one row per province and year; 11 provinces in three reaches.
    data = "simulated_yangtze_industry"
    panel = bayes.datasets.load(data) if chosen.panel is None else bayes.datasets.read(chosen.panel, like=data, columns=COLUMNS)
    panel = panel.log("industrial_output", "capital", "labor", "energy", "so2")
    print(panel, end="\n\n")

    # 2. Growth of green productivity: slack-based Malmquist–Luenberger index with sulphur dioxide as undesirable output. With 11 provinces
    #    and five quantities nearly all would be best practice of their own year: the technology is that of all years together.
    quantities = {"inputs": ["capital", "labor", "energy"], "outputs": ["industrial_output"], "bad_outputs": ["so2"]}
    index = quantities | {"measure": "sbm", "reference": "global"}
    growth = bayes.measure.malmquist(panel, **index)
    path = bayes.measure.malmquist(panel, **index, by="region:period", cumulative=True)
    cumulative = bayes.measure.malmquist(panel, **index, cumulative=True).where(estimand="malmquist")
    trend = bayes.measure.trend_growth(panel, cumulative, seed=chosen.seed)  # how fast, and how steadily
    print(trend.where(estimand=["trend_growth", "trend_sd"]), end="\n\n")

    # 3. Three stages: efficiency before and after what the determinants and luck put into the slacks, per worker.
    heads = {f"{name}_per_worker": panel.column(name) / panel.column("labor") for name in ("industrial_output", "capital", "energy")}
    output_per_worker, *inputs_per_worker = heads
    staged = bayes.measure.three_stage(
        panel.assign(**heads), inputs_per_worker, [output_per_worker], SUPPORT + NO_SUPPORT, reference="global", by=["region", "unit"],
        sampling={"draws": chosen.draws, "tune": chosen.tune}, seed=chosen.seed,
    )  # fmt: skip

    # 4. Levels: a frontier of output (economic) and frontiers of the energy and of the sulphur dioxide that an output takes, with
    #    technology and inefficiency of each reach partially pooled. The determinants move inefficiency, technology exchange the noise.
    #    Time-invariant inefficiency or unit effects of 11 provinces could not be told from the frontiers of three reaches.
    frontier = {"technology": "cobb-douglas", "model": "pooled", "determinants": SUPPORT + NO_SUPPORT}
    frontier |= {"noise_determinants": ["technology_exchange"]}
    factors = ["log_capital", "log_labor"]
    requirement = {"inputs": ["log_industrial_output", *factors], "kind": "cost"}
    output = bayes.StochasticFrontier("log_industrial_output", factors, **frontier).fit(panel, target_accept=0.95, **sampling)
    energy = bayes.StochasticFrontier("log_energy", **requirement, **frontier).fit(panel, target_accept=0.95, **sampling)
    emission = bayes.StochasticFrontier("log_so2", **requirement, **frontier).fit(panel, target_accept=0.95, **sampling)
    levels = bayes.measure.green_productivity_levels({"economic": output, "energy": energy}, by=["unit:period", "region:period", "region"])
    print(*(f"{fit.model.output}: {fit.diagnose().verdict}" for fit in (output, energy, emission)), sep="\n")

    # 5. Catching up: growth of the level on its start, by draw; convergence of SBM-ML growth given technology exchange, by reach, in
    #    spells of five years (growth of the global score is the index); dispersion of yearly growth over provinces.
    level_of = {d: levels.where(estimand="productivity_level", term="unit:period", variant=d) for d in DIMENSIONS}
    named = {d: level_of[d].relabel(estimand={"productivity_level": f"{d} level"}) for d in DIMENSIONS}
    catching_up = {d: bayes.measure.beta_convergence(panel, named[d], **sampling).relabel(variant={"absolute": d}) for d in DIMENSIONS}
    scores = bayes.measure.dea(panel, **quantities, model="sbm", returns="crs", reference="global")
    spells = {"form": "panel", "horizon": 5, "by": "region", "conditional_on": ["technology_exchange"]}
    conditional = bayes.measure.beta_convergence(panel, scores.relabel(estimand={"efficiency": "sbm_score"}), **spells, **sampling)
    dispersion = bayes.measure.sigma_convergence(panel, growth.where(estimand="malmquist"), seed=chosen.seed)

    # 6. Scenarios: provinces close a share κ ~ Beta(2, 2) of their distance to the leader in emission, in output, or half of it in each.
    result = bayes.scenarios(output, emission, seed=chosen.seed)
    dispersed = result.estimates.where(estimand=[f"{q}_{m}_change" for q in ("output", "emission") for m in ("sigma", "theil")])
    decision = result.decision_table()
    print("", result, decision.to_string(index=False, float_format="%.2f"), sep="\n\n", end="\n\n")

    # 7. The thesis's statements beside what was found. Levels become alike by construction of the scenarios; output and emission need not.
    effects = levels.where(estimand="log_efficiency_effect")
    drivers = [({"term": name}, ">" if name in SUPPORT else "<", effects.where(term=name)) for name in SUPPORT + NO_SUPPORT]
    growing, ordered, evening = [], [], [({"estimand": "beta_condition"}, "<", levels.where(estimand="log_noise_effect"))]
    for reach in REACHES[1:]:
        slower = trend.where(estimand="trend_growth_difference", region="downstream", term_to=reach)
        growing.append(({"region": ["downstream", reach]}, "<", slower))
    for pair, sign in ((["downstream", "midstream"], ">"), (["midstream", "upstream"], "<")):
        growing.append(({"region": pair}, sign, trend.where(estimand="trend_sd_ratio", region=pair[0], term_to=pair[1])))
    for d in DIMENSIONS:
        for reach in REACHES:
            ordered.append(({"term": d, "region": reach}, ">", levels.where(estimand="productivity_trend", variant=d, region=reach)))
        for pair in pairwise(REACHES):
            ahead = levels.where(estimand="level_ratio", variant=d, region=pair[0], term_to=pair[1])
            ordered.append(({"term": d, "region": list(pair)}, ">", ahead))
        evening.append(({"estimand": "beta_slope"}, "<", catching_up[d].where(estimand="beta_slope")))
    for rows in (dispersion.where(estimand="sigma_trend"), conditional.where(estimand="beta_slope", term="all")):
        evening.append(({"estimand": "beta_condition"}, "<", rows))
    for direction, quantity in (("economy-first", "output"), ("energy-first", "emission")):
        evening.append(({"estimand": "sigma"}, "<", dispersed.where(estimand=f"{quantity}_sigma_change", variant=direction)))
    thesis, found = bayes.published("yangtze_green_tfp"), []
    groups = ["malmquist"], ["efficiency"], ["log_efficiency_effect"], ["beta_slope", "beta_condition", "sigma"]
    for estimands, findings in zip(groups, (growing, ordered, drivers, evening), strict=True):
        found.append(bayes.baselines.beside_statements(thesis.where(estimand=estimands), findings))
        print(found[-1].to_string(index=False), end="\n\n")

    # 8. One page.
    truth = bayes.datasets.truth(panel)  # of the simulation; empty for your own file
    shown = ["productivity_level", "productivity_trend", "log_efficiency_effect", "log_noise_effect"]
    measured = levels.where(estimand=shown).where(term=["region", *SUPPORT, *NO_SUPPORT, "technology_exchange"])
    table = bayes.compare(measured, truth.where(estimand=shown), title="Levels of green productivity and what drives them")
    distance = ["output_distance", "emission_distance"]
    distances = bayes.compare(result.estimates.where(estimand=distance), truth.where(estimand=distance), title="Distance to best practice")
    words = ("industrial output", "sulphur dioxide")
    change = dispersed.frame.query("lower < upper")[["estimand", "variant", "estimate", "lower", "upper", "prob_positive"]]
    report = bayes.report(
        output, chosen.out / "yangtze_green_tfp.html", comparison=table,
        measured=[growth, path, trend, dispersion, conditional, *catching_up.values(), staged],
        title="Industrial green productivity of the Yangtze River Economic Belt and scenarios of technology convergence",
        extra={
            "Statements of the thesis": found,
            "Scenarios of technology convergence": [
                repr(result).replace("\n", ". "), "Output and emission need not become more alike when distances do.",
                decision, change.rename(columns={"prob_positive": "P(rises)"}).reset_index(drop=True), distances.table("source"),
                lambda width: bayes.plots.scenarios(result, labels=words, width=width),
                lambda width: bayes.plots.scenario_maps(result, labels=words, width=width),
                lambda width: bayes.plots.scenario_decision(result, width=width),
            ],
            "Frontier of energy": energy, "Frontier of sulphur dioxide": emission,
        },
        outcome="log industrial output", time_unit="years",
    )  # fmt: skip
    print(f"Report: {report}")


if __name__ == "__main__":
    main()
