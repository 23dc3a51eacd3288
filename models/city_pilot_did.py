"""Science–technology finance pilots and new-quality productivity: 285 Chinese cities, 2009–2019.

In 2011 China made 41 cities pilots of science–technology finance, and some more in 2016. Liu (Sichuan University) finds that pilots gained
0.020 to 0.025 in an index of new-quality productivity, more in the East, through innovation and industrial structure. His panel is not
public: the one here is SIMULATED, except for the cities and dates, and holds his printed figures as its truth. The script replays every
table and check that he describes, and sets a hierarchical staggered difference-in-differences beside them.

Run it:  python models/city_pilot_did.py        (writes reports/city_pilot_did.html)
Yours:   python models/city_pilot_did.py --panel mine.csv        (give your names of columns in COLUMNS)
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import bayes

# This study's name of each column: its name in your file.
COLUMNS = {
    "city": "city", "year": "year", "province": "province", "first_treated": "first_treated", "npro": "npro", "lgdp": "lgdp", "nhs": "nhs",
    "ltep": "ltep", "ids": "ids", "nip": "nip", "lnjp": "lnjp", "average_wage": "average_wage", "tertiary_share": "tertiary_share",
    "research_staff": "research_staff", "ai_firms": "ai_firms", "emerging_output": "emerging_output", "broadband_users": "broadband_users",
    "robot_density": "robot_density", "invention_applications": "invention_applications",
}  # fmt: skip
DIMENSIONS = {
    "labour": ["average_wage", "tertiary_share", "research_staff"],
    "objects of labour": ["ai_firms", "emerging_output"],
    "means of labour": ["broadband_users", "robot_density", "invention_applications"],
}
STEPS = {  # headings as printed in Table 2
    "(1) no controls": [],
    "(2) LGDP": ["lgdp"],
    "(3) LGDP, NHS": ["lgdp", "nhs"],
    "(4) LGDP, NHS, LTEP": ["lgdp", "nhs", "ltep"],
}


def main() -> None:
    options = argparse.ArgumentParser(description="Pilots of science–technology finance and new-quality productivity of Chinese cities.")
    options.add_argument("--panel", type=Path, help="your own CSV instead of the simulated panel")
    options.add_argument("--draws", type=int, default=1000, help="kept draws per chain")
    options.add_argument("--tune", type=int, default=300, help="warm-up iterations per chain")
    options.add_argument("--placebos", type=int, default=200, help="refits to permuted dates")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, default=Path("reports"), help="folder of the report")
    chosen = options.parse_args()
    sampling = {"seed": chosen.seed, "draws": chosen.draws, "tune": chosen.tune}

    # 1. Data. Two codings of the treatment: from a city's own date on, and (the study's equations) from the first date on for all pilots.
    panel = bayes.datasets.load("city_pilots") if chosen.panel is None else bayes.datasets.read(chosen.panel, "city_pilots", COLUMNS)
    first, year = panel.unit_first_treated[panel.unit_codes], panel.frame["year"].to_numpy()
    single = np.where(np.isfinite(first), first.min(), np.inf)
    panel = panel.assign(did=(year >= first).astype(float), did_single=(year >= single).astype(float), single_date=single)
    printed, truth = bayes.published("city_pilot_did"), bayes.datasets.truth(panel)
    pilots = pd.read_csv(bayes.datasets.path("city_pilots") / "pilots.csv", keep_default_na=False).drop(columns=["rank", "source"])
    print(panel, panel.timing().to_string(), sep="\n", end="\n\n")

    # 2. Table 1, with the mean of the treatment under both codings. The printed .144 is neither; the audit says which dates it allows.
    variables = ["npro", "did", "lgdp", "nhs", "ltep", "ids", "nip"]
    other_coding = bayes.measure.moments(panel, ["did_single"]).relabel(term={"did_single": "did"})
    moments = [bayes.measure.moments(panel, variables), other_coding.relabel(source={panel.name: "all pilots from the first date"})]
    table_1 = bayes.compare(*moments, printed.where(estimand=["mean", "sd"]), title="Table 1: descriptive statistics")

    # 3. The outcome as the study measures it: entropy weights and closeness to the ideal, over all years together. In the units of npro.
    scores = bayes.measure.composite_index(panel, benefit=[c for part in DIMENSIONS.values() for c in part], dimensions=DIMENSIONS)
    npro, index = panel.frame["npro"], scores.where(estimand="index", term="overall").frame["estimate"]
    panel = panel.assign(index=npro.mean() + npro.std() * (index - index.mean()) / index.std())
    agreement = f"Rank correlation of the entropy–TOPSIS index with npro: {index.corr(npro, method='spearman'):.3f}."
    print(table_1.where(term="did"), agreement, sep="\n\n", end="\n\n")

    # 4. Equations 1 (two dummies, no effects) and 2 (city and year effects), controls entering one after the other: Table 2.
    columns = [bayes.baselines.stepwise(panel, "npro", STEPS, estimator) for estimator in ("twfe", "two-group")]
    columns.append(printed.where(estimand=["att", "coefficient", "r_squared"]))
    table_2 = bayes.compare(*columns, title="Table 2: equations 1 and 2, stepwise")
    print(table_2.where(term="simple"), end="\n\n")

    # 5. Which controls? GDP and technology expenditure are what a pilot may move: to hold them fixed would take a part of the effect away.
    #    They enter in variants only. Universities (nhs) are founded by the ministry over decades. They move with the treatment too, but
    #    grew faster in the cities of the second batch long before it (event study of nhs): a confounder, held fixed.
    controls = ["nhs"]
    universities = bayes.baselines.did(panel, "nhs", "twfe")

    # 6. The model: own dates, effects pooled over regions, batches and years since.
    fit = bayes.StaggeredDiD(outcome="npro", covariates=controls).fit(panel, **sampling)
    print(fit.diagnose().verdict, end="\n\n")

    # 7. The same estimands by estimators that hold a moving control fixed, as printed, and (where the panel is simulated) in truth.
    peers = bayes.baselines.did(panel, "npro", ["twfe", "imputation"], controls, by_region=True).where(term=["simple", "event", "region"])
    effects = [fit.att(by) for by in ("simple", "event", "region")] + [fit.att("simple", "att_population")]
    known = truth.where(estimand="att"), printed.where(estimand="att", term="simple")
    table = bayes.compare(*effects, peers, *known, title="Pilots and new-quality productivity")
    print(table.where(term=["simple", "region"]), end="\n\n")

    # 8. Robustness as in the study: leads, placebo, tenth of the rows left out, another treatment (dose), other dates, other outcome.
    variants = fit.variants(
        panel=panel, trim=0.05, dose="lnjp", first_treated={"single date": "single_date"}, outcome="index", drop_region="each",
        covariates=list(STEPS.values()), seed=chosen.seed,
    )  # fmt: skip
    robustness = {
        "Trends before the pilots": fit.parallel_trends(),
        "Violations of parallel trends": fit.sensitivity("simple"),
        "Placebo dates": fit.placebo(n=chosen.placebos, seed=chosen.seed),
        "Variants: rows, treatment, dates, outcome, controls": variants,
        "Width of the interval for units like these": fit.interval_check(),
    }

    # 9. Mechanism: industrial structure (ids) and innovation (nip), by region; Table 3 prints the effects of the pilots on them.
    mediation = bayes.Mediation(outcome="npro", mediators=["ids", "nip"], covariates=controls).fit(panel, **sampling)
    paths = bayes.baselines.mediation(panel, "npro", ["ids", "nip"], controls)
    known = truth.where(estimand=["driving", "mediator_effect", "indirect", "direct", "total"]), printed.where(estimand="driving")
    table_3 = bayes.compare(mediation.effects(), paths, *known, title="Table 3 and beyond: mechanism")
    by_region = bayes.compare(mediation.mechanisms(), known[0].where(estimand=["direct", "indirect", "total"]))
    print(table_3.where(region="", estimand=["driving", "indirect", "direct", "total"]), end="\n\n")

    # 10. Where it works: differences and ranks of regions, effects by size of the economy before the pilots; the printed tables audited.
    regions = [fit.heterogeneity.region_contrasts(), fit.heterogeneity.region_ranks(), fit.heterogeneity.effect_by("lgdp", panel=panel)]
    print((audit := bayes.audit("city_pilot_did")).summary)

    # 11. One page.
    path = bayes.report(
        fit,
        chosen.out / "city_pilot_did.html",
        comparison=table,
        robustness=robustness,
        title=" – ".join(filter(None, ["Science–technology finance pilots in Chinese cities", panel.note.partition(":")[0].lower()])),
        descriptive=panel.describe([*variables, "did_single", "lnjp"]),
        outcome="index of new-quality productivity",
        time_unit="years",
        extra={
            "Pilot cities": ["Dates as in data/city_pilots/pilots.csv, with sources there. Unverified: no public page was found.", pilots],
            "Table 1 beside the printed one": table_1.table("source"),
            "Entropy–TOPSIS outcome": [agreement, scores.where(estimand=["weight", "dimension_weight"])],
            "Equations 1 and 2 beside Table 2": table_2,
            "Universities before and after the pilots": [
                "If they move before the date as after it, they confound: the effect is estimated with their number held fixed.",
                lambda width: bayes.plots.event_study(universities, outcome="number of universities", time_unit="years", width=width),
            ],
            "Mechanism beside Table 3": [table_3.where(region=""), mediation],
            "Region × mechanism": by_region.table("region"),
            "Where the pilots work": regions,
            "Audit of the printed tables": [audit.summary, audit.findings],
        },
    )
    print(f"Report: {path}")


if __name__ == "__main__":
    main()
