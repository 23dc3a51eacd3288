"""Imputation (Borusyak, Jaravel and Spiess 2024) and the two-stage estimator (Gardner 2022), by diff-diff."""

from __future__ import annotations

from typing import Any

from bayes.baselines._diff_diff import fitted, options
from bayes.baselines._sample import Sample
from bayes.errors import SpecificationError

_DENSE_LIMIT = 200e6
"""Bytes of diff-diff's dense array of clusters × (units + periods) beyond which the two-stage estimator is refused. At this limit, 5,000
units, it takes some ten seconds; at 100,000 units it would need 75 GB."""


def fit(sample: Sample) -> list[dict[str, Any]]:
    """Imputation: ``simple``, ``event`` (with leads, from untreated rows only) and ``cohort``."""
    result = _imputation(sample)
    return _overall_and_events(sample, result) + _cohorts(sample, result)


def fit_region(sample: Sample) -> list[dict[str, Any]]:
    """Overall effect and event study only."""
    return _overall_and_events(sample, _imputation(sample))


def fit_two_stage(sample: Sample) -> list[dict[str, Any]]:
    """Gardner's two stages: the points of imputation with other standard errors; ``simple``, ``event`` without leads, ``cohort``."""
    from diff_diff import TwoStageDiD

    clusters, units, periods = (sample.frame[c].nunique() for c in ("cluster", "unit", "time"))
    size = 8.0 * clusters * (units + periods)
    if size > _DENSE_LIMIT:
        raise SpecificationError(
            f"diff-diff would build a dense array of {size / 1e9:.1f} GB for {units} units. Use imputation, which has the same points."
        )
    result = fitted(TwoStageDiD(**options(sample)), sample)
    return _overall_and_events(sample, result) + _cohorts(sample, result)


def _imputation(sample: Sample) -> Any:
    from diff_diff import ImputationDiD

    return fitted(ImputationDiD(pretrends=True, **options(sample)), sample)


def _since(sample: Sample) -> str:
    return f"rows at event times ≥ −{sample.anticipation}" if sample.anticipation else "treated rows"


def _base(sample: Sample) -> str:
    return "base: all untreated rows" + (f" up to {sample.anticipation + 1} periods before treatment" if sample.anticipation else "")


def _overall_and_events(sample: Sample, result: Any) -> list[dict[str, Any]]:
    a, n = sample.anticipation, result.n_obs
    rows = [sample.row("simple", result.overall_att, result.overall_se, n, f"average over {_since(sample)}; {_base(sample)}")]
    for record in result.aggregate("event_study").to_dataframe().to_dict("records"):
        if record["is_reference"]:
            continue
        event = float(record["event_time"])
        note = f"average over treated rows; {_base(sample)}"
        if event < -a:
            note = f"lead estimated on untreated rows only, relative to event time {-1 - a}"
        rows.append(sample.row("event", record["att"], record["se"], n, note, df=record["df"], event_time=event))
    return rows


def _cohorts(sample: Sample, result: Any) -> list[dict[str, Any]]:
    note = f"average over the cohort's {_since(sample)}; {_base(sample)}"
    return [
        sample.row("cohort", record["att"], record["se"], result.n_obs, note, df=record["df"], cohort=float(record["label"]))
        for record in result.aggregate("group").to_dataframe().to_dict("records")
    ]
