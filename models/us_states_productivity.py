"""Productivity of the US states measured three ways: envelopment, Malmquist index and stochastic frontier, 1970–1986.

Data envelopment takes the best states as the frontier and calls every distance inefficiency; a stochastic frontier also knows noise. This
script measures efficiency and growth by both, with the uncertainty of each, sets them side by side, and asks whether the states converge.

Data: Munnell (1990); see data/us_states_production/card.md.

Run it:  python models/us_states_productivity.py        (writes reports/us_states_productivity.html)
"""

import argparse
from pathlib import Path

import bayes


def main() -> None:
    options = argparse.ArgumentParser(description="Productivity of US states by DEA, Malmquist index and stochastic frontier.")
    options.add_argument("--draws", type=int, default=1000, help="kept draws per chain")
    options.add_argument("--tune", type=int, default=500, help="warm-up iterations per chain")
    options.add_argument("--replicates", type=int, default=500, help="bootstrap replicates of scores and indices")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, default=Path("reports"), help="folder of the report")
    chosen = options.parse_args()

    # 1. Data: output, public and private capital, employment; levels for envelopment, logs for the frontier.
    panel = bayes.datasets.load("us_states_production").log("gsp", "pcap", "pc", "emp")
    panel = panel.assign(gsp_per_worker=panel.column("gsp") / panel.column("emp"))
    quantities = {"inputs": ["pcap", "pc", "emp"], "outputs": ["gsp"]}
    print(panel, end="\n\n")

    # 2. Efficiency by data envelopment, with Simar and Wilson's bootstrap, and growth by the Malmquist index.
    bootstrap = {"replicates": chosen.replicates, "seed": chosen.seed}
    scores = bayes.measure.dea(panel, **quantities, returns="vrs", **bootstrap)
    scores_by_division = bayes.measure.dea(panel, **quantities, returns="vrs", by="region", **bootstrap)
    #    Ray and Desli's split has the frontier's parts: pure efficiency, technical and scale change.
    growth = bayes.measure.malmquist(panel, **quantities, decomposition="ray-desli", by="region", **bootstrap)
    growth_path = bayes.measure.malmquist(panel, **quantities, by="region:period", cumulative=True)
    growth_by_state = bayes.measure.malmquist(panel, **quantities)

    # 3. The same by a hierarchical stochastic frontier: technology and inefficiency partially pooled over divisions.
    technology = {"inputs": ["log_pcap", "log_pc", "log_emp"], "technology": "cobb-douglas", "covariates": ["unemp"]}
    model = bayes.StochasticFrontier(output="log_gsp", model="true-random-effects", **technology)
    fit = model.fit(panel, seed=chosen.seed, draws=chosen.draws, tune=chosen.tune)
    print(fit.diagnose().verdict, end="\n\n")

    # 4. Side by side, under common names: the index is total productivity change, its pure efficiency change is efficiency change.
    frontier = fit.efficiency("region") + fit.productivity("region")
    frontier = frontier.relabel(source=dict.fromkeys(frontier.frame.source, "Stochastic frontier, posterior"))
    growth = growth.relabel(estimand={"malmquist": "tfpc", "ptec": "ec"})
    table = bayes.compare(frontier, scores_by_division, growth, title="Efficiency and productivity growth by Census division")
    print(table.where(estimand=["efficiency", "tfpc"]), end="\n\n")
    difference = bayes.measure.growth_difference(growth_by_state, fit.productivity("unit:period"))
    print(difference.where(term="all"), end="\n\n")

    # 5. Do states converge? Dispersion, inequality by division, growth on the initial level, clubs.
    dispersion = bayes.measure.sigma_convergence(panel, "gsp_per_worker", seed=chosen.seed)
    inequality = bayes.measure.dagum_gini(panel, "gsp_per_worker")
    catching_up = bayes.measure.beta_convergence(panel, "gsp_per_worker", by="region", seed=chosen.seed)
    clubs = bayes.measure.convergence_clubs(panel, "gsp_per_worker", filter="hp")
    moves = bayes.measure.markov_transitions(panel, "gsp_per_worker", seed=chosen.seed)
    print(catching_up.where(estimand="beta_slope"), end="\n\n")

    # 6. One page.
    path = bayes.report(
        fit,
        chosen.out / "us_states_productivity.html",
        comparison=table,
        measured=[scores, growth_path, difference, dispersion, inequality, catching_up, clubs, moves],
        title="Productivity of the 48 contiguous US states by DEA, Malmquist index and stochastic frontier, 1970–1986",
        descriptive=panel.describe(["gsp", "pcap", "pc", "emp", "unemp", "gsp_per_worker"]),
        outcome="log gross state product (millions of 1982 dollars)",
        time_unit="years",
    )
    print(f"Report: {path}")


if __name__ == "__main__":
    main()
