"""Self-defence laws and homicide: 50 US states, 2000–2010.

Between 2005 and 2009 twenty-one states extended the right to use lethal force ("castle doctrine", "stand your ground").
Cheng & Hoekstra (2013) found about 8 % more murders and manslaughters. Here the laws' effect on log homicide is estimated
by a hierarchical staggered difference-in-differences, with effects pooled over the four Census regions, cohorts and years since
the law, and set beside the estimators that a referee knows.

Run it:  python models/castle_doctrine.py        (writes reports/castle_doctrine.html)
"""

import argparse
from pathlib import Path

import bayes

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    options = argparse.ArgumentParser(description="Castle-doctrine laws and homicide.")
    options.add_argument("--draws", type=int, default=1000, help="kept draws per chain")
    options.add_argument("--tune", type=int, default=300, help="warm-up iterations per chain")
    options.add_argument("--placebos", type=int, default=200, help="refits to permuted dates of the laws")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, default=Path("reports"), help="folder of the report")
    chosen = options.parse_args()

    # 1. Data: one row per state and year; law_year is the year of the law, missing for states without one.
    panel = bayes.datasets.load("castle_doctrine")
    print(panel)
    print(panel.timing().to_string(), end="\n\n")

    # 2. Model: parallel trends in logs, no anticipation, AR(1) errors, a random effect of the law in every state.
    #    Unweighted: every state counts once, in the model and in the baselines.
    model = bayes.StaggeredDiD(outcome="log_homicide")
    fit = model.fit(panel, seed=chosen.seed, draws=chosen.draws, tune=chosen.tune)
    print(fit.diagnose().verdict, end="\n\n")

    # 3. What others would report on the same rows, and what was published.
    baselines = bayes.baselines.did(panel, outcome="log_homicide", by_region=True).where(term=["simple", "event", "cohort", "region"])
    published = bayes.published("castle_doctrine")

    # 4. The same estimands side by side.
    effects = [fit.att(by) for by in ("simple", "event", "cohort", "region")] + [fit.att("simple", "att_population")]
    table = bayes.compare(*effects, baselines, published, title="Castle-doctrine laws and log homicide")
    print(table.where(term=["simple", "region"]), end="\n\n")

    # 5. What a referee asks next: trends before the laws, violations of parallel trends, chance dates, other samples, width of intervals.
    robustness = {
        "Trends before the laws": fit.parallel_trends(),
        "Violations of parallel trends": fit.sensitivity("simple", max_violation=[0, 0.5, 1]),
        "Placebo dates": fit.placebo(n=chosen.placebos, seed=chosen.seed),
        "Variants": fit.variants(trim=0.1, winsorize=0.05, drop_region="each", pooling=["none", "complete"], seed=chosen.seed),
        "Width of the interval for units like these": fit.interval_check(),
    }

    # 6. One page.
    path = bayes.report(
        fit,
        chosen.out / "castle_doctrine.html",
        comparison=table,
        robustness=robustness,
        title="Self-defence laws and homicide in 50 US states, 2000–2010",
        descriptive=panel.describe(["homicide", "log_homicide", "log_police", "log_income", "poverty_rate", "unemployment_rate"]),
        outcome="log homicide rate (per 100,000)",
        time_unit="years",
    )
    print(f"Report: {path}")


if __name__ == "__main__":
    main()
