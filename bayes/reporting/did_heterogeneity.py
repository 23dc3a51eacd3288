"""How effects differ and how much priors matter: the sections of a difference-in-differences report on heterogeneity and priors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayes.errors import SpecificationError, UnsupportedModelError
from bayes.estimates import Estimates
from bayes.reporting import common_sections as common
from bayes.reporting.did_robustness import labelled_rows, priors_section
from bayes.reporting.sections import Figure, Section
from bayes.reporting.tables import Table, estimate_words


def heterogeneity(fit: Any, event: Estimates, outcome: str, time_unit: str) -> Section:
    """The region × event surface, differences and ranks of regions, and where the variance of effects lies."""
    tables, figures, words = [], [], []
    if fit.panel.regions.size > 1:
        surface = fit.att("region:event")
        alt = f"Effects by region and time since treatment in {surface.frame['region'].nunique()} regions, each beside the path over all."
        figures.append(Figure(lambda width: _surface(surface, event, outcome, time_unit, width), alt, "Leads are shaded."))
        contrasts, ranks = fit.heterogeneity.region_contrasts(), fit.heterogeneity.region_ranks()
        words.append(_clearest(contrasts))
        tables += [_contrast_table(contrasts), _rank_table(ranks)]
    try:
        components = fit.heterogeneity.variance_components()
    except SpecificationError as error:
        words.append(str(error))
    else:
        words.append(_share_words(components))
        tables.append(_component_table(components))
    return Section("How effects differ", "heterogeneity", tuple(filter(None, words)), tuple(tables), tuple(figures))


def prior_sensitivity(fit: Any) -> Section:
    """Power-scaling and refits under other priors; a sentence where the model has neither."""
    try:
        found = fit.prior_sensitivity()
    except UnsupportedModelError as error:
        return Section("Prior sensitivity", "prior-sensitivity", (str(error),))
    return replace(priors_section(found, "", "Prior sensitivity"), anchor="prior-sensitivity")


def _surface(surface: Estimates, event: Estimates, outcome: str, time_unit: str, width: float) -> Any:
    from bayes.plots import effect_surface

    return effect_surface(surface, event, outcome=outcome, time_unit=time_unit, width=width)


def _clearest(contrasts: Estimates) -> str:
    """The pair of regions whose difference has the surest sign."""
    known = contrasts.frame.dropna(subset=["prob_positive"])
    if known.empty:
        return "No difference between regions is identified."
    row = known.loc[(known["prob_positive"] - 0.5).abs().idxmax()]
    more, less, chance = (row["term"], row["term_to"], row["prob_positive"])
    if chance < 0.5:
        more, less, chance = less, more, 1 - chance
    return (
        f"The surest difference between regions: the probability that the effect is larger in {more} than in {less} is "
        f"{common.probability(chance)} (picked out of {len(known)} pairs, so read it with the whole table)."
    )


def _contrast_table(contrasts: Estimates) -> Table:
    labels = [f"{a} − {b}" for a, b in zip(contrasts.frame["term"], contrasts.frame["term_to"], strict=True)]
    rows = labelled_rows(contrasts, labels, "Regions", "Difference", "P(first > second)").drop(columns="Rows", errors="ignore")
    return Table("Differences of the effect between regions", rows, folded=len(rows) > 6)


def _rank_table(ranks: Any) -> Table:
    share = ranks.probability
    rows = pd.DataFrame({"Region": share.index, "Mean rank": [_number(v, 1) for v in ranks.frame["mean_rank"]]})
    for k in share.columns:
        rows[f"P(rank {k})"] = [_number(v, 2) for v in share[k]]
    return Table(
        "Ranks of regions by their effect", rows, note="1 is the largest effect. Regions without an identified effect have no rank."
    )


def _number(value: float, digits: int) -> str:
    return "none" if np.isnan(value) else f"{value:.{digits}f}"


def _share_words(components: Estimates) -> str:
    frame = components.frame
    shares = frame[(frame["estimand"] == "variance_share") & (frame["source"] != "prior")].dropna(subset=["estimate"])
    if len(shares) < 2:
        return ""
    row = shares.loc[shares["estimate"].idxmax()]
    return (
        f"Most of the variance of effects over treated rows lies in the component {row['term']!r}: {100 * row['estimate']:.0f} % "
        f"({100 * row['level']:g} % interval {100 * row['lower']:.0f} to {100 * row['upper']:.0f} %)."
    )


def _component_table(components: Estimates) -> Table:
    """One row a component; scale and share, posterior and prior."""
    out: dict[str, dict[str, str]] = {}
    for row in components.frame.to_dict("records"):
        who = "prior" if row["source"] == "prior" else "posterior"
        what = "Scale" if row["estimand"] == "effect_sd" else "Share of variance"
        numbers = [row[k] for k in ("estimate", "lower", "upper")]
        words = estimate_words(*numbers) if what == "Scale" else "{:.0f} % [{:.0f} %, {:.0f} %]".format(*(100 * n for n in numbers))
        words = words if pd.notna(row["estimate"]) else "nothing to tell apart"
        out.setdefault(row["term"], {"Component": row["term"]})[f"{what}, {who}"] = words
    note = "Scales in units of the outcome; for event and region:event the step of a random walk per period. Mean [95 % interval]."
    return Table("Components of the variance of effects", pd.DataFrame(list(out.values())), note)
