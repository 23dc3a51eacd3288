"""Extended two-way fixed effects (Wooldridge 2025), by diff-diff."""

from __future__ import annotations

from typing import Any

from bayes.baselines._diff_diff import fitted, options
from bayes.baselines._sample import Sample

_CONTROLS = {"never": "never_treated", "not-yet": "not_yet_treated"}
_AVERAGES = {
    "event": ("event_study", "relative_period", "event_time"),
    "cohort": ("group", "cohort", "cohort"),
    "calendar": ("calendar", "time", "period"),
}
"""Term: diff-diff's name of the average, its column, and ours."""


def fit(sample: Sample) -> list[dict[str, Any]]:
    """One regression with a coefficient for every treated cohort × period: ``simple``, ``event``, ``cohort``, ``calendar``, ``cell``.

    The ``simple`` row carries the cluster-robust standard error of the overall effect that posterior standard deviations are set beside.
    """
    from diff_diff import WooldridgeDiD

    estimator = WooldridgeDiD(control_group=_CONTROLS[sample.control_group], **options(sample))
    result = fitted(estimator, sample, covariates_as="xtvar")
    n, base = result.n_obs, _base(sample)
    rows = [sample.row("simple", result.overall_att, result.overall_se, n, f"cells at event times ≥ 0 weighted by rows; {base}")]
    for term, (average, column, key) in _AVERAGES.items():
        for record in result.aggregate(average).to_dataframe(average).to_dict("records"):
            rows.append(sample.row(term, record["att"], record["se"], n, f"cells weighted by rows; {base}", **{key: float(record[column])}))
    for record in result.to_dataframe("gt").to_dict("records"):
        event = float(record["relative_period"])
        if event >= -sample.anticipation:
            keys = {"cohort": record["cohort"], "period": record["time"], "event_time": event}
            rows.append(sample.row("cell", record["att"], record["se"], n, base, **keys))
    return rows


def _base(sample: Sample) -> str:
    base = "base: all untreated rows"
    if sample.control_group == "never":
        base = f"base: the never treated and event time {-1 - sample.anticipation}"
    if sample.covariates:
        base += f"; {', '.join(sample.covariates)} interacted with cohorts and treated cells"
    return base
