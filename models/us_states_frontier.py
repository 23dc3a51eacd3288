"""Production frontiers of the US states: 48 contiguous states in 9 Census divisions, 1970–1986.

How far is each state from the frontier of its division, what do public and private capital and employment add, and how did
productivity grow? Residuals of these data lean the way inefficiency implies in few divisions: a frontier by maximum likelihood,
division by division, mostly ends at no inefficiency at all. Here the divisions' technologies and efficiencies are estimated together,
by a hierarchical stochastic frontier with true random effects, and set beside maximum likelihood.

Data: Munnell (1990); see data/us_states_production/card.md.

Run it:  python models/us_states_frontier.py        (writes reports/us_states_frontier.html)
"""

import argparse
from dataclasses import replace
from pathlib import Path

import bayes


def main() -> None:
    options = argparse.ArgumentParser(description="Stochastic production frontiers of US states.")
    options.add_argument("--draws", type=int, default=1000, help="kept draws per chain")
    options.add_argument("--tune", type=int, default=500, help="warm-up iterations per chain")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, default=Path("reports"), help="folder of the report")
    chosen = options.parse_args()

    # 1. Data: output, public capital, private capital and employment in logs; unemployment in %, a measure of the business cycle.
    panel = bayes.datasets.load("us_states_production").log("gsp", "pcap", "pc", "emp")
    print(panel, end="\n\n")

    # 2. Model: Cobb–Douglas with neutral technical change. Technology and inefficiency differ by division and are partially pooled;
    #    a random effect of the state keeps lasting differences between states out of inefficiency.
    model = bayes.StochasticFrontier(
        output="log_gsp",
        inputs=["log_pcap", "log_pc", "log_emp"],
        technology="cobb-douglas",
        covariates=["unemp"],
        model="true-random-effects",
        median_efficiency=0.85,
    )

    # 3. What a referee would run first: skewness of residuals and maximum likelihood, every division on its own.
    by_division = bayes.baselines.frontier(replace(model, pooling="none", model="pooled"), panel)
    print(by_division.summary().to_string(index=False, float_format="%.3f"), end="\n\n")

    # 4. The hierarchical frontier.
    fit = model.fit(panel, seed=chosen.seed, draws=chosen.draws, tune=chosen.tune)
    print(fit.diagnose().verdict, end="\n\n")
    for estimates in (
        fit.efficiency("region"),
        fit.productivity("all"),
        fit.technology_gap("region").where(estimand="technology_gap_ratio"),
    ):
        columns = ["estimand", "region", "estimate", "lower", "upper"]
        print(estimates.frame[columns].to_string(index=False, float_format="%.4f"), end="\n\n")

    # 5. The same estimands side by side, each division's own and partially pooled.
    table = bayes.compare(
        fit.elasticities("region"),
        by_division.elasticities("region"),
        fit.efficiency("region"),
        by_division.efficiency(by="region"),
        title="Elasticities and efficiency by Census division",
    )
    print(table.where(term="log_pcap"), end="\n\n")

    # 6. One page with everything a referee asks for.
    path = bayes.report(
        fit,
        chosen.out / "us_states_frontier.html",
        comparison=table,
        title="Production frontiers of the 48 contiguous US states, 1970–1986",
        descriptive=panel.describe(["gsp", "pcap", "pc", "emp", "unemp", "log_gsp", "log_pcap", "log_pc", "log_emp"]),
        outcome="log gross state product (millions of 1982 dollars)",
        time_unit="years",
    )
    print(f"Report: {path}")


if __name__ == "__main__":
    main()
