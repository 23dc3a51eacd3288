"""Callaway and Sant'Anna (2021), by diff-diff; calendar averages, which diff-diff lacks, by moderndid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bayes.baselines._diff_diff import fitted, options
from bayes.baselines._libraries import with_version
from bayes.baselines._sample import Sample

_CONTROLS = {"never": "never_treated", "not-yet": "not_yet_treated"}
_SAME_POINT = 1e-6
"""How far the two libraries' overall effects may lie apart: without covariates they agree to 1e-15, with covariates to 4e-8, where their
propensity scores stop iterating."""


def fit(sample: Sample) -> list[dict[str, Any]]:
    """Doubly robust group-time effects and their averages: ``simple``, ``event``, ``cohort``, ``calendar``, ``cell``."""
    result = _result(sample)
    rows = [_overall(sample, result), *_events(sample, result)]
    for record in result.aggregate("group").to_dataframe().to_dict("records"):
        note = f"average over the cohort's {_since(sample)}; {_base(sample)}"
        keys = {"cohort": float(record["label"]), "df": record["df"]}
        rows.append(sample.row("cohort", record["att"], record["se"], result.n_obs, note, **keys))
    return _with_calendar(sample, rows + _cells(sample, result))


def fit_region(sample: Sample) -> list[dict[str, Any]]:
    """Overall effect and event study only."""
    result = _result(sample)
    return [_overall(sample, result), *_events(sample, result)]


def event_covariance(sample: Sample, control_group: str) -> tuple[list[float], np.ndarray]:
    """Event times without the reference, and the covariance of their effects."""
    found = _result(replace(sample, control_group=control_group)).aggregate("event_study")
    if found.vcov is None:
        return [], np.zeros((0, 0))
    return [float(e) for e in found.vcov_index], np.asarray(found.vcov)


def _result(sample: Sample) -> Any:
    from diff_diff import CallawaySantAnna

    control = _CONTROLS[sample.control_group]
    return fitted(CallawaySantAnna(control_group=control, base_period=sample.base_period, **options(sample)), sample)


def _since(sample: Sample) -> str:
    return f"event times ≥ −{sample.anticipation}" if sample.anticipation else "treated periods"


def _base(sample: Sample) -> str:
    text = f"base period g − {1 + sample.anticipation}"
    if sample.covariates:
        text += f", doubly robust given base-period {', '.join(sample.covariates)}"
    return text if sample.balanced else f"{text}; a unit enters a cell when seen in that period and in the base period"


def _overall(sample: Sample, result: Any) -> dict[str, Any]:
    note = f"cells weighted by cohort size over all {_since(sample)}; {_base(sample)}"
    return sample.row("simple", result.overall_att, result.overall_se, result.n_obs, note, df=result.df_inference)


def _events(sample: Sample, result: Any) -> list[dict[str, Any]]:
    """Event study. With the varying base a lead is a one-period change, another estimand than ours: ``variant`` says so."""
    rows = []
    for record in result.aggregate("event_study").to_dataframe().to_dict("records"):
        if record["is_reference"]:
            continue
        event = float(record["event_time"])
        varying = sample.base_period == "varying" and event < -sample.anticipation
        keys = {"event_time": event, "variant": "varying base" if varying else "", "df": record["df"]}
        note = f"cohorts weighted by size; {'base period one period earlier' if varying else _base(sample)}"
        rows.append(sample.row("event", record["att"], record["se"], result.n_obs, note, **keys))
    return rows


def _cells(sample: Sample, result: Any) -> list[dict[str, Any]]:
    rows = []
    for (cohort, period), effect in sorted(result.group_time_effects.items()):
        if period >= cohort - sample.anticipation:
            keys = {"cohort": cohort, "period": period, "event_time": float(period - cohort), "df": result.df_inference}
            note = f"{effect['n_treated']} treated and {effect['n_control']} control units; {_base(sample)}"
            rows.append(sample.row("cell", effect["effect"], effect["se"], result.n_obs, note, **keys))
    return rows


# ── calendar averages ───────────────────────────────────────────────────────────────────────────────────────────────────


def _with_calendar(sample: Sample, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add calendar averages where both libraries estimate the same thing; otherwise say in the first row why they are absent."""
    reason = "they are computed for balanced panels without anticipation only"
    if sample.balanced and not sample.anticipation:
        overall, calendar = _calendar(sample)
        if abs(overall - rows[0]["estimate"]) < _SAME_POINT:
            return rows + calendar
        reason = f"{with_version('moderndid')} puts the overall effect at {overall:.6g}"
    return [{**rows[0], "note": f"{rows[0]['note']}; no calendar averages: {reason}"}, *rows[1:]]


def _calendar(sample: Sample) -> tuple[float, list[dict[str, Any]]]:
    """moderndid's overall effect and its averages by period."""
    from moderndid import aggte, att_gt

    cells = att_gt(
        sample.frame.astype({"cohort": float}), "outcome", "time", "unit", "cohort",
        xformla="~ " + " + ".join(sample.covariates.values()) if sample.covariates else None,
        weightsname="weight" if sample.weights else None, clustervars=None if sample.clustered_by_unit else ["cluster"],
        control_group=_CONTROLS[sample.control_group].replace("_", ""), alpha=1 - sample.level, cband=False, boot=False,
    )  # fmt: skip
    result = aggte(cells, type="calendar", boot=False, cband=False)
    note = f"cohorts treated by then, weighted by size; {_base(sample)}"
    source = sample.source.replace(with_version("diff-diff"), with_version("moderndid"))
    numbers = zip(result.event_times, result.att_by_event, result.se_by_event, strict=True)
    rows = [sample.row("calendar", att, se, len(sample.frame), note, period=t, source=source) for t, att, se in numbers]
    return aggte(cells, type="simple", boot=False, cband=False).overall_att, rows
