"""Sun and Abraham (2021), by diff-diff (pyfixest's saturated event study agrees to 1e-14, but lacks overall effects and covariates)."""

from __future__ import annotations

from typing import Any

from bayes.baselines._diff_diff import fitted, options
from bayes.baselines._sample import Sample


def fit(sample: Sample) -> list[dict[str, Any]]:
    """Interaction-weighted averages of cohort-specific leads and lags: ``simple``, ``event``, ``cell``."""
    from diff_diff import SunAbraham

    result = fitted(SunAbraham(control_group="never_treated", **options(sample)), sample)
    n, a = result.n_obs, sample.anticipation
    base = f"relative to event time {-1 - a} and the never treated"
    rows = [sample.row("simple", result.overall_att, result.overall_se, n, f"event times ≥ 0 weighted by treated rows; {base}")]
    for record in result.to_dataframe("event_study").to_dict("records"):
        note = f"cohorts weighted by their share at the event time; {base}"
        rows.append(sample.row("event", record["effect"], record["se"], n, note, event_time=float(record["relative_period"])))
    for record in result.to_dataframe("cohort").to_dict("records"):
        event = float(record["relative_period"])
        if event >= -a:
            keys = {"cohort": record["cohort"], "period": record["cohort"] + event, "event_time": event}
            rows.append(sample.row("cell", record["effect"], record["se"], n, base, **keys))
    return rows
