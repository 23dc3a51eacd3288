"""Sections, tables and sentences that the reports of every model family share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayes.comparison import Comparison, remark
from bayes.errors import BayesWarning, SpecificationError
from bayes.estimates import Estimates
from bayes.reporting.sections import Figure, Section
from bayes.reporting.tables import Table, estimate_words, format_number

MOST_SCALARS = 12
_SAMPLING_FACTS = {
    "sampler": "Sampler",
    "seed": "Seed",
    "chains": "Chains",
    "draws": "Draws per chain",
    "tune": "Tuning draws per chain",
    "target_accept": "Target acceptance",
    "compile_seconds": "Compiling, seconds",
    "sampling_seconds": "Sampling, seconds",
    "created": "Created",
}
Draws = Mapping[str, np.ndarray]


def require_comparison(comparison: Any) -> None:
    """Raise :class:`SpecificationError` for anything but a :class:`Comparison` or None."""
    if comparison is not None and not isinstance(comparison, Comparison):
        raise SpecificationError(f"comparison= takes the result of bayes.compare(...), got {type(comparison).__name__}.")


# ── sections ────────────────────────────────────────────────────────────────────────────────────────────────────────


def diagnostics(fit: Any) -> Section:
    """The verdict on sampling, which opens the report."""
    d = fit.diagnose()
    numbers = (
        f"Largest R-hat {d.rhat_max:.3f} (limit 1.01); smallest effective sample size {d.ess_bulk_min:.0f} in the bulk and "
        f"{d.ess_tail_min:.0f} in the tails (limit 400); "
        f"{d.divergences} divergent transitions; smallest energy fraction (E-BFMI) {d.bfmi_min:.2f} (limit 0.30)."
    )
    if d.k_hat is not None:
        numbers += f" Draws come from a quadratic surrogate of the likelihood, corrected by importance weights: k-hat {d.k_hat:.2f} "
        numbers += f"(limit {d.k_hat_limit:.2f})."
    advice = (
        ()
        if d.passed
        else ("Do not use the numbers below until the sampler passes: raise target_accept, draw longer, or simplify the pooling.",)
    )
    failures = (
        () if d.passed or all(str(failure) in str(d.verdict) for failure in d.failures) else tuple(str(failure) for failure in d.failures)
    )
    title = "Diagnostics passed" if d.passed else "Diagnostics FAILED"
    return Section(title, "diagnostics", (str(d.verdict), *failures, *advice), note=numbers, tone="good" if d.passed else "bad")


def scalars(fit: Any, group: str, without: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Draws of the scalar parameters of ``prior`` or ``posterior``, chains joined, but for the names in ``without``."""
    from bayes.plots._distributions import scalar_draws

    return {name: draws for name, draws in scalar_draws(fit, group).items() if name not in without}


def overlaps(prior: Draws, posterior: Draws, most: int = MOST_SCALARS) -> dict[str, float]:
    """Overlap of prior and posterior of the first ``most`` names that are in both."""
    from bayes.plots._distributions import overlap

    names = [name for name in posterior if name in prior][:most]
    return {name: overlap(prior[name], posterior[name]) for name in names}


def prior_posterior(prior: Draws, posterior: Draws, found: Mapping[str, float]) -> Section:
    """Densities before and after the data, with the overlaps ``found``."""
    from bayes.plots import prior_posterior as draw

    if not found:
        return Section("Prior and posterior", "prior-posterior", ("The fit carries no prior draws to compare with.",))
    alt = (
        "Prior and posterior densities; overlaps: "
        + ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in found.items())
        + "."
    )
    caption = "Overlap is the area under the lower of the two curves: near 0 the data decide, near 1 the prior does."
    both = {"prior": prior, "posterior": posterior}
    return Section(
        "Prior and posterior",
        "prior-posterior",
        figures=(Figure(lambda width: draw(both, list(found), width=width), alt, caption),),
    )


def chains(draws: Any, names: Sequence[str], summary: Table) -> Section:
    """Rank plots by chain. ``draws`` is a fit, or a mapping of name to draws (chains, draws)."""
    from bayes.plots import rank_plot

    caption = "Each line is a chain. A chain that samples the same distribution as the others stays within the grey band."
    alt = f"Rank plots of {len(names)} parameters, one line per chain, with a 95 % simultaneous band."
    return Section(
        "Chains", "chains", tables=(summary,), figures=(Figure(lambda width: rank_plot(draws, list(names), width=width), alt, caption),)
    )


def summary_table(fit: Any, variables: Sequence[str] | None = None) -> Table:
    """ArviZ's summary, folded."""
    summary = fit.summary() if variables is None else fit.summary(list(variables))
    frame = summary.reset_index(names="parameter").assign(parameter=lambda t: t["parameter"].map(plain_name))
    return Table("Posterior summary", frame, note="eti95: 95 % equal-tailed interval.", folded=True)


def priors(fit: Any) -> Section:
    """The priors in use."""
    frame = fit.priors()
    headings = {"parameter": "Parameter", "distribution": "Prior", "meaning": "Meaning", "set_by": "Set by"}
    table = Table("", frame.assign(parameter=frame["parameter"].map(plain_name)).rename(columns=headings))
    return Section("Priors in use", "priors", tables=(table,))


def description(fit: Any, columns: Sequence[str] | pd.DataFrame | None, default: Sequence[str]) -> Section:
    """Moments of the columns named, or of ``default``; a table that is given is shown as it is."""
    chosen = list(default) if columns is None else columns
    described = chosen if isinstance(chosen, pd.DataFrame) else fit.panel.describe(list(chosen))
    headings = {
        "column": "Column",
        "mean": "Mean",
        "sd": "SD",
        "sd_between": "SD between units",
        "sd_within": "SD within units",
        "min": "Min",
        "max": "Max",
        "rows": "Rows",
    }
    return Section("Descriptive statistics", "descriptive", tables=(Table("", described.rename(columns=headings)),))


def data(fit: Any, facts: Sequence[tuple[str, Any]] = (), paragraphs: Sequence[str] = ()) -> Section:
    """Facts of the panel; ``facts`` of the family come after the number of units."""
    panel = fit.panel
    aside = len(panel.set_aside)
    rows = [
        ("Data", panel.name),
        ("Rows in", panel.n_rows + aside),
        ("Rows used", panel.n_rows),
        ("Rows set aside", aside),
        ("Units", panel.n_units),
        *facts,
        ("Periods", f"{panel.periods[0]}–{panel.periods[-1]} ({panel.n_periods})"),
        ("Regions", ", ".join(map(str, panel.regions))),
        ("Weights", panel.weights or "none"),
        ("Content hash", fit.meta.get("data_hash", "not recorded")),
    ]
    tables = [Table("", pd.DataFrame(rows, columns=["Fact", "Value"]).astype(object))]
    if aside:
        reasons = panel.set_aside["reason"].value_counts().rename_axis("Reason").reset_index(name="Rows")
        tables.append(Table("Rows set aside, by reason", reasons))
    return Section("Data facts", "data", tuple(paragraphs), tables=tuple(tables))


def software(fit: Any) -> Section:
    """Sampler, seed, options, times and versions."""
    meta = dict(fit.meta)
    versions = meta.pop("versions", {})
    rows = [(label, meta[key]) for key, label in _SAMPLING_FACTS.items() if meta.get(key) is not None]
    rows += [(name, version) for name, version in versions.items()]
    return Section("Software facts", "software", tables=(Table("", pd.DataFrame(rows, columns=["Fact", "Value"]).astype(object)),))


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def folded(table: Table) -> Table:
    return replace(table, folded=True)


def estimate_rows(estimates: Estimates, key: str, heading: str, quantity: str = "Effect", chance: str = "P(effect > 0)") -> pd.DataFrame:
    """One row per group: estimate with interval, probability of the event that ``chance`` names, number of rows, note."""
    f = estimates.frame
    cells = [
        estimate_words(b, low, high) if pd.notna(b) else "not identified"
        for b, low, high in f[["estimate", "lower", "upper"]].itertuples(index=False)
    ]
    group = [f"{value:g}".replace("-", "−") if isinstance(value, float) else value for value in f[key]]
    table = pd.DataFrame({heading: group, f"{quantity} [{level_of(f)} interval]": cells})
    if chance:
        table[chance] = ["" if pd.isna(p) else f"{p:.2f}" for p in f["prob_positive"]]
    if f["n_obs"].notna().any():
        table["Rows"] = ["" if pd.isna(n) else f"{n:.0f}" for n in f["n_obs"]]
    remarks = f["note"].map(remark)
    return table.assign(Note=remarks.to_numpy()) if (remarks != "").any() else table


def plain_name(parameter: str) -> str:
    """A parameter without underscores; names of columns and regions in brackets stay as they are."""
    head, bracket, labels = parameter.partition("[")
    return head.replace("_", " ") + bracket + labels


def level_of(frame: pd.DataFrame) -> str:
    """``95 %``, the level of the first interval."""
    levels = frame["level"].dropna().unique()
    return f"{100 * levels[0]:g} %" if len(levels) else "no"


# ── sentences ───────────────────────────────────────────────────────────────────────────────────────────────────────


def interval_words(row: Any) -> str:
    """``95 % equal-tailed posterior interval from 0.001 to 0.175``."""
    return f"{100 * row['level']:g} % {row['interval']} interval from {format_number(row['lower'])} to {format_number(row['upper'])}"


def probability(value: float) -> str:
    """A probability from draws, never printed as exactly 0 or 1."""
    return "above 0.99" if value > 0.99 else "below 0.01" if value < 0.01 else f"{value:.2f}"


def listed(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def balance_words(panel: Any) -> str:
    """Whether every unit has every period, and how many are missing."""
    if panel.is_balanced:
        return "The panel is balanced."
    missing = panel.balance()["missing_periods"]
    return f"The panel is unbalanced: {int((missing > 0).sum())} of {panel.n_units} units miss periods ({int(missing.sum())} in all)."


def vague_words(found: Mapping[str, float]) -> tuple[str, ...]:
    """Names the parameters of which prior and posterior overlap by more than three quarters."""
    vague = [name.replace("_", " ") for name, value in found.items() if value > 0.75]
    if not vague:
        return ()
    return (
        f"The data say little about {listed(vague)}: prior and posterior overlap by more than three quarters. Another prior "
        f"there would show in the result.",
    )


def sampling_words(meta: Mapping[str, Any]) -> str:
    """The sampler's record as two sentences of a methods paragraph."""
    return (
        f"Sampling: the No-U-Turn sampler (Hoffman and Gelman 2014) as implemented in "
        f"{meta.get('sampler', 'the sampler named below')}, {meta.get('chains', '?')} chains of "
        f"{meta.get('draws', '?')} draws after {meta.get('tune', '?')} of tuning. Convergence: rank-normalised R-hat and effective "
        f"sample sizes (Vehtari et al. 2021)."
    )


def baseline_words(sources: Sequence[str]) -> tuple[str, ...]:
    """What stands beside the posterior."""
    if not sources:
        return ()
    return (
        f"Set beside it: {'; '.join(sources)}. Their standard errors are those of the implementation named; published figures are as "
        f"printed, without a standard error where "
        "none is printed.",
    )


def told(call: Callable[[], Any]) -> tuple[Any, tuple[str, ...]]:
    """The result of a call and what it warned of: in a report the words belong on the page. Warnings that are not ours go on."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    for one in (w for w in caught if not issubclass(w.category, BayesWarning)):
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return result, tuple(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, BayesWarning)))
