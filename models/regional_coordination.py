"""Coordinated development of regional economies and finance, after the regional coordination study.

The study states in words what it does not print as numbers: growth of 9 to 10 % a year, a gap that widens between the East and the rest,
clubs that converge, finance that grows where it is large (the Matthew effect), credit that leaves poor regions and the countryside,
migration and local government behind uneven growth. Each statement is a measure here, with its uncertainty: on a SIMULATED panel of
provinces, drawn so that they hold (data/simulated_provinces/card.md), and on real US states (Munnell 1990), as far as their columns go.

Run it:  python models/regional_coordination.py                       (writes reports/regional_coordination.html and …_us_states.html)
         python models/regional_coordination.py --panel mine.csv      (your own provinces; names of its columns below)
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import bayes

COLUMNS = {  # this study's name: name in your file
    "province": "province", "year": "year",
    "gdp": "gdp", "gdp_per_head": "gdp_per_head", "population": "population",  # output in constant prices
    "income_per_head": "income_per_head", "loans_per_head": "loans_per_head",  # whose convergence and Matthew effect is asked
    "net_migration": "net_migration", "spending_share": "spending_share",  # per cent of the population a year; of output, local government
    "loans": "loans", "deposits": "deposits",
    "rural_loans": "rural_loans", "rural_deposits": "rural_deposits",  # the part of both in the countryside
    "insurance_depth": "insurance_depth", "market_depth": "market_depth", "bank_branches": "bank_branches",
    "tertiary_share": "tertiary_share", "urban_share": "urban_share", "trade_share": "trade_share",
}  # fmt: skip
SYSTEMS = {
    "finance": ["loans_per_head", "insurance_depth", "market_depth", "bank_branches"],
    "economy": ["gdp_per_head", "income_per_head", "tertiary_share", "urban_share", "trade_share"],
}
CAUSES = {"net_migration": "migration", "spending_share": "local_government", "log_public_capital_per_worker": "local_government"}


def main() -> None:
    options = argparse.ArgumentParser(description="Coordination of regional economies and finance: provinces and US states.")
    options.add_argument("--draws", type=int, default=1000, help="kept draws per chain")
    options.add_argument("--tune", type=int, default=500, help="warm-up iterations per chain")
    options.add_argument("--replicates", type=int, default=200, help="bootstrap replicates of the composite indices")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--panel", type=Path, help="your own CSV in the place of the simulated panel")
    options.add_argument("--out", type=Path, default=Path("reports"), help="folder of the reports")
    chosen = options.parse_args()
    sampling = {"seed": chosen.seed, "draws": chosen.draws, "tune": chosen.tune}
    measure, data = bayes.measure, "simulated_provinces"

    # 1. Data: provinces, and 48 real states with output per worker; state and local governments own the states' public capital.
    panel = bayes.datasets.load(data) if chosen.panel is None else bayes.datasets.read(chosen.panel, like=data, columns=COLUMNS)
    panel = panel.log("income_per_head")
    states = bayes.datasets.load("us_states_production")
    workers = states.column("emp")
    states = states.assign(gsp_per_worker=states.column("gsp") / workers, public_capital_per_worker=states.column("pcap") / workers)
    states = states.log("gsp_per_worker", "public_capital_per_worker")
    print(panel, states, sep="\n", end="\n\n")

    # 2. Do finance and economy develop together? Entropy–TOPSIS index of each system, then their coupling coordination degree.
    bootstrap = {"replicates": chosen.replicates, "seed": chosen.seed}
    index = measure.composite_index(panel, SYSTEMS["finance"] + SYSTEMS["economy"], dimensions=SYSTEMS, **bootstrap)
    coordination = measure.coupling_coordination(panel, [index.where(estimand="index", term=system) for system in SYSTEMS])

    # 3. How unequal are incomes, within regions and between them?
    theil = measure.theil(panel, "income_per_head", weights="population")
    gini = measure.dagum_gini(panel, "income_per_head", weights="population")

    # 4. Does the gap widen, do clubs converge, and what drives growth? Growth of a year on the level at its start, migration and the
    #    spending of local government, slopes partially pooled over regions.
    gap = measure.sigma_convergence(panel, "income_per_head", seed=chosen.seed)
    within = measure.sigma_convergence(panel, "income_per_head", by="region", seed=chosen.seed)
    within = replace(within, title="The same within regions")
    clubs = measure.convergence_clubs(panel, "log_income_per_head", filter="hp", paths=True)
    growth = measure.beta_convergence(panel, "income_per_head", list(CAUSES)[:2], by="region", form="panel", **sampling)
    moves = measure.markov_transitions(panel, "income_per_head", classes=4, seed=chosen.seed)

    # 5. Finance: a slope above zero is the Matthew effect. Where is credit lent? By region, and in the countryside against the towns.
    matthew = measure.beta_convergence(panel, "loans_per_head", by="region", form="panel", **sampling)
    credit = measure.credit_balance(panel, "loans", "deposits")
    rural = panel.frame[["province", "year"]].assign(loans=panel.column("rural_loans"), deposits=panel.column("rural_deposits"))
    urban = rural.assign(loans=panel.column("loans") - rural.loans, deposits=panel.column("deposits") - rural.deposits)
    places = pd.concat([rural.assign(area="rural"), urban.assign(area="urban")])
    places["place"] = places.province + ", " + places.area
    places = bayes.Panel.from_frame(places, unit="place", time="year", region="area")
    siphon = replace(measure.credit_balance(places, "loans", "deposits"), title="Credit balance of countryside and towns")

    # 6. What of this can be asked of the states: no finance, no migration; public capital stands for local government.
    us_theil = measure.theil(states, "gsp_per_worker", weights="emp")
    us_gini = measure.dagum_gini(states, "gsp_per_worker", weights="emp")
    us_gap = measure.sigma_convergence(states, "gsp_per_worker", seed=chosen.seed)
    us_clubs = measure.convergence_clubs(states, "log_gsp_per_worker", filter="hp", paths=True)
    us_growth = measure.beta_convergence(states, "gsp_per_worker", ["log_public_capital_per_worker"], by="region", **sampling)
    us_moves = measure.markov_transitions(states, "gsp_per_worker", classes=4, seed=chosen.seed)

    # 7. Each statement beside what was measured; the states are silent on finance and migration, and of the causes no sign is stated.
    stated, tables = bayes.published("regional_coordination"), []
    finance = [({"estimand": "beta_slope"}, ">", matthew.where(estimand="beta_slope", term="all", source=matthew.frame.source[0]))]
    finance += [({"estimand": "outflow_share"}, "", c.where(estimand="outflow_share", term="", period=[np.nan])) for c in (credit, siphon)]
    for of, output, trend, found_clubs, slopes in ((panel, "gdp", gap, clubs, growth), (states, "gsp", us_gap, us_clubs, us_growth)):
        rate = np.expm1(np.log(of.frame.groupby(of.time)[output].sum()).diff().mean())
        conditions = slopes.where(estimand="beta_condition", source=slopes.frame.source[0])
        findings = [
            *(finance if of is panel else []),
            *(({"term": CAUSES[name]}, "", conditions.where(term=name)) for name in conditions.frame.term),
            ({"estimand": "growth"}, "", bayes.Estimates.from_rows([{"estimand": "growth", "term": "gdp", "estimate": rate}])),
            ({"estimand": "sigma_trend"}, ">", trend.where(estimand="sigma_trend")),
            ({"estimand": "clubs"}, "", found_clubs.where(estimand="clubs")),
        ]
        tables.append(bayes.baselines.beside_statements(stated, findings))
        print(of.name, tables[-1].to_string(index=False), sep="\n", end="\n\n")

    # 8. The truth is known where the panel is simulated: slopes, drivers of growth, loans over deposits.
    kept = {"estimand": ["beta_slope", "beta_condition"], "source": [growth.frame.source[0], matthew.frame.source[0]]}
    found = [
        part.where(**kept).relabel(term={"all": name, "region": name}, variant={"conditional": "", "absolute": ""})
        for part, name in ((growth, "income_per_head"), (matthew, "loans_per_head"))
    ]
    ratios = [part.where(estimand="loan_deposit_ratio", term="", period=[np.nan]) for part in (credit, siphon)]
    found += [part.relabel(source={"": "Loans over deposits"}) for part in ratios]
    truth = bayes.datasets.truth(panel).where(estimand=["beta_slope", "beta_condition", "loan_deposit_ratio"])
    recovered = bayes.compare(*found, truth)

    # 9. Two pages: the provinces, and the states, whose numbers are real.
    slopes = matthew.where(estimand="beta_slope")
    last = coordination.where(estimand="coordination_degree", period=panel.periods[-1])
    parts = [coordination, index, theil, gini, gap, within, growth, clubs, moves, matthew, credit, siphon]
    path = bayes.report(
        parts,
        chosen.out / "regional_coordination.html",
        title="Coordination of regional economies and finance: 30 provinces",
        note=panel.note,
        extra={
            "What the study states, and what the provinces show": tables[0],
            "Slopes, drivers of growth and credit": recovered,
            "Where coordination stands": lambda width: bayes.plots.tile_map(last, label="coordination degree, last year", width=width),
            "Matthew effect in finance": lambda width: bayes.plots.forest(slopes, outcome="growth on log loans per head", width=width),
        },
    )
    us_path = bayes.report(
        [us_theil, us_gini, us_gap, us_growth, us_clubs, us_moves],
        chosen.out / "regional_coordination_us_states.html",
        title="Coordination of regional economies: 48 US states, 1970–1986 (real data)",
        extra={"What the study states, and what the states show": tables[1]},
    )
    print(f"Reports: {path}, {us_path}")


if __name__ == "__main__":
    main()
