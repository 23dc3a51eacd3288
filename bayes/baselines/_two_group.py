"""The textbook regression on two dummies and their product, by pyfixest: no unit and no period effects."""

from __future__ import annotations

from typing import Any

from bayes.baselines._sample import Sample

DUMMIES = {"ever": "ever treated", "after": "from the first date on"}
"""The two dummies, in the formula and in words."""

_NOTE = "two dummies and their product, no unit and no period effects"


def regression(sample: Sample) -> Any:
    """outcome = β₀ + β₁ ever + β₂ after + β₃ ever × after + x'β. ``after`` starts with the first date of the whole panel (less the
    anticipation), so that every treated unit counts as treated from then on."""
    from pyfixest.estimation import feols

    frame = sample.frame
    ever = frame["cohort"] > 0
    after = frame["time"] >= frame.loc[ever, "cohort"].min() - sample.anticipation
    data = frame.assign(ever=ever.astype(float), after=after.astype(float), treated=(ever & after).astype(float))
    formula = " + ".join(["outcome ~ ever + after + treated", *sample.covariates.values()])
    cluster = "unit" if sample.clustered_by_unit else "cluster"
    return feols(formula, data, vcov={"CRV1": cluster}, weights="weight" if sample.weights else None)


def fit(sample: Sample) -> list[dict[str, Any]]:
    """The coefficient of the product (term ``simple``)."""
    model = regression(sample)
    bounds = model.confint(alpha=1 - sample.level).loc["treated"].to_numpy(dtype=float)
    return [sample.row("simple", model.coef()["treated"], model.se()["treated"], model._N, note_of(sample), bounds=bounds)]


def note_of(sample: Sample) -> str:
    """What the coefficient of the product is, and whom it counts as treated too early."""
    cohorts = sample.frame.loc[sample.frame["cohort"] > 0, "cohort"]
    late = int(sample.frame.loc[cohorts.index[cohorts > cohorts.min()], "unit"].nunique())
    note = _NOTE
    if late:
        note += f"; {late} units with a later date count as treated from the first date on"
    if sample.anticipation:
        note += f"; treated from {sample.anticipation} periods before the first date on"
    return note
