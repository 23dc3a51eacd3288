"""What a mediation says in tables, warnings and reports: of a treatment that starts at a date, or of an exposure, per unit of it."""

from __future__ import annotations

from typing import NamedTuple


class Wording(NamedTuple):
    """Words of one kind of cause.

    Attributes
    ----------
    assumption : what a causal reading rests on
    driving, total : note of what needs less than sequential ignorability
    sequential : note of what needs it
    empty : why a region has no estimate
    rows, weights : whose rows averages count
    cause : the word in headings
    """

    assumption: str
    driving: str
    total: str
    sequential: str
    empty: str
    rows: str
    weights: str
    cause: str


TREATMENT = Wording(
    assumption="Direct, mediator and indirect effects and shares are causal under sequential ignorability only: parallel trends of every "
    "mediator and of the outcome, and, given treatment, effects and covariates, no unobserved cause that moves a mediator and the outcome "
    "together, no effect of the outcome on a mediator, and no mediator that moves another. The data cannot show it.",
    driving="assumes parallel trends of the mediator",
    total="assumes parallel trends",
    sequential="assumes sequential ignorability",
    empty="not identified: no treated unit in this region",
    rows="treated rows",
    weights="panel weights of treated rows",
    cause="Treatment",
)


def words_for(exposure: str | None) -> Wording:
    """The words for a treatment, or for the column ``exposure``."""
    if exposure is None:
        return TREATMENT
    per, strict = f"per unit of the exposure {exposure}", "assumes a strictly exogenous exposure"
    return Wording(
        assumption=f"Effects are those of one unit more of the exposure {exposure}. They are causal only if it is strictly exogenous: "
        "given unit effects, period effects and covariates, nothing unobserved moves it together with a mediator or the outcome in any "
        "period, and neither feeds back on it. Direct, mediator and indirect effects and shares need sequential ignorability as well: "
        "given exposure, effects and covariates, no unobserved cause that moves a mediator and the outcome together, no effect of the "
        "outcome on a mediator, and no mediator that moves another. The data cannot show it.",
        driving=f"{per}; {strict}",
        total=f"{per}; {strict}",
        sequential=f"{per}; assumes sequential ignorability",
        empty="not identified: the exposure does not vary in this region",
        rows="rows",
        weights="panel weights of rows",
        cause="Exposure",
    )
