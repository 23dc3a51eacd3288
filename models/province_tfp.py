"""Innovation, industrial structure and productivity of 30 Chinese provinces, 2008–2018, after the province productivity study.

The study splits productivity change into technical and efficiency change, regresses output per head on financial science-and-technology
innovation and on the shares of secondary and tertiary industry, and multiplies driving and direct effects into indirect ones. Its data
are not public: the panel here is SIMULATED with the printed coefficients as truth (data/simulated_provinces/card.md says in which units
they are possible, and which printed figures contradict each other). The script fits, pools, audits, and compares with the printed tables.

Run it:  python models/province_tfp.py                       (writes reports/province_tfp.html)
         python models/province_tfp.py --panel mine.csv      (your own provinces; names of its columns below)
"""

import argparse
from dataclasses import replace
from pathlib import Path

import bayes

COLUMNS = {  # this study's name: name in your file
    "province": "province",  # in English, pinyin or Chinese, or by code; a column region is optional
    "year": "year",
    "gdp_per_head": "gdp_per_head",  # output per head, any unit of money
    "innovation": "innovation",  # index of financial science-and-technology innovation, above zero
    "secondary_share": "secondary_share",  # per cent of output
    "tertiary_share": "tertiary_share",  # per cent of output
    "gdp": "gdp",  # output, capital and labour in levels
    "capital": "capital",
    "labor": "labor",
    "innovation_capacity": "innovation_capacity",  # the two series that may move each other, above zero
    "economic_vitality": "economic_vitality",
}
SHARES = {"tc": "secondary_share", "ec": "tertiary_share"}  # what the study's text reads its row labels as
PAIR = ("log_innovation_capacity", "log_economic_vitality")


def main() -> None:
    options = argparse.ArgumentParser(description="Innovation, industrial structure and productivity of Chinese provinces.")
    options.add_argument("--draws", type=int, default=1000, help="kept draws per chain")
    options.add_argument("--tune", type=int, default=300, help="warm-up iterations per chain")
    options.add_argument("--replicates", type=int, default=300, help="bootstrap replicates of the productivity index")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--panel", type=Path, help="your own CSV in the place of the simulated panel")
    options.add_argument("--out", type=Path, default=Path("reports"), help="folder of the report")
    chosen = options.parse_args()
    sampling = {"seed": chosen.seed, "draws": chosen.draws, "tune": chosen.tune}

    # 1. Data: one row per province and year. The truth is known where the panel is simulated.
    data = "simulated_provinces"
    panel = bayes.datasets.load(data) if chosen.panel is None else bayes.datasets.read(chosen.panel, like=data, columns=COLUMNS)
    truth = bayes.datasets.truth(panel)
    panel = panel.log("gdp_per_head", "innovation", "innovation_capacity", "economic_vitality")
    print(panel, end="\n\n")

    # 2. Productivity: output-oriented Malmquist index, TFPC = EC × TC and EC = PTEC × SEC (equation 1), with Simar and Wilson's bootstrap.
    quantities = {"inputs": ["capital", "labor"], "outputs": ["gdp"]}
    growth = bayes.measure.malmquist(panel, **quantities, by="region", replicates=chosen.replicates, seed=chosen.seed)
    growth_path = bayes.measure.malmquist(panel, **quantities, by="region:period", cumulative=True)
    growth_by_province = bayes.measure.malmquist(panel, **quantities)

    # 3. Direct, driving and indirect effects: log output per head on log innovation (an elasticity), two shares in percentage points as
    #    mediators, paths partially pooled over the three regions, products taken by region and draw; then every region by itself.
    model = bayes.Mediation(outcome="log_gdp_per_head", mediators=["secondary_share", "tertiary_share"], exposure="log_innovation")
    fit = model.fit(panel, **sampling)
    print(fit.diagnose().verdict, end="\n\n")
    effects = fit.effects("all") + fit.effects("region")
    unpooled = fit.unpooled("region")

    # 4. The two-way link of the study's figure 1 as a cross-lagged pair: does innovation lead the economy, or the economy innovation?
    pair = bayes.CrossLagged(*PAIR).fit(panel, **sampling)
    link = pair.effects("simple") + pair.effects("region")

    # 5. The printed tables, by the text's reading of their row labels; a printed 0 in Table 2 stands for "not significant".
    printed = bayes.published("province_tfp")
    table1 = printed.where(estimand="direct", variant="")
    read = table1.where(term="tfpc").relabel(term={"tfpc": "all"})
    read += table1.where(term=list(SHARES)).relabel(estimand={"direct": "mediator_effect"}, term=SHARES)
    table2 = printed.where(estimand=["driving", "indirect"])
    everywhere = table2.where(term=["tfpc", "tc"]).relabel(term={"tfpc": "secondary_share", "tc": "tertiary_share"})
    east = table2.where(term=["ec", "sec"]).relabel(term={"ec": "secondary_share", "sec": "tertiary_share"}, region={"": "East"})

    # 6. Pooled without their data, and audited with rounding.
    pooled, audit = bayes.pool(table1, seed=chosen.seed), bayes.audit("province_tfp")
    print(audit.summary, end="\n\n")

    # 7. Side by side: posterior, no pooling, printed, truth.
    kept, regions = ["direct", "driving", "mediator_effect", "indirect", "total"], list(panel.regions)
    table = bayes.compare(effects.where(estimand=kept), unpooled.where(estimand=kept), read, everywhere, east, truth.where(estimand=kept))
    print(table.where(estimand=["direct", "driving", "indirect"]), end="\n\n")
    indices = bayes.compare(growth, truth.where(term="region", region=regions))
    lags = bayes.compare(link.where(estimand=["own_lag", "cross_lag"]), truth.where(estimand=["own_lag", "cross_lag"]))
    shown = pooled.where(estimand=["direct", "direct_mean", "direct_between_sd"], identified=True)
    shrunk = bayes.compare(shown, table1.where(region=regions), title="Pooled and printed")
    names = {"innovation leads": f"{PAIR[0]} → {PAIR[1]}", "the economy leads": f"{PAIR[1]} → {PAIR[0]}"}
    arrows = [link.where(estimand="cross_lag", term=t).relabel(source=dict.fromkeys(link.frame.source, n)) for n, t in names.items()]
    dominance = link.where(estimand="dominance", term=names["innovation leads"]).frame
    dominance = dominance[["region", "estimate", "lower", "upper", "prob_positive"]]

    # 8. One page.
    path = bayes.report(
        fit,
        chosen.out / "province_tfp.html",
        comparison=table,
        measured=[replace(growth_path, title="Malmquist index, cumulated by region"), growth_by_province],
        extra={
            "Productivity change by region, a year": [
                indices,
                lambda width: bayes.plots.productivity(growth, time_unit="years", width=width),
            ],
            "Innovation and economy: which leads": [
                f"{pair.diagnose().verdict} {link.meta['assumption']}",
                lags.where(estimand="cross_lag").table("source"),
                "The second table is dominance: the standardised cross lag of innovation less the economy's; above zero innovation leads.",
                dominance,
                lambda width: bayes.plots.forest(*arrows, outcome="log points a year later per log point", width=width),
            ],
            "Printed Table 1, partially pooled over regions": ["Numbers are the study's, not simulated.", shrunk],
            "Audit of the printed tables": [audit.summary, audit.table()],
        },
        title="Innovation, industrial structure and productivity of 30 provinces, 2008–2018",
        descriptive=panel.describe(list(COLUMNS)[2:]),
        outcome="log output per head",
        time_unit="years",
    )
    print(f"Report: {path}")


if __name__ == "__main__":
    main()
