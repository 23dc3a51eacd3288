"""What the adapters to diff-diff share."""

from __future__ import annotations

from typing import Any

from bayes.baselines._sample import Sample

_COLUMNS = {"outcome": "outcome", "unit": "unit", "time": "time", "first_treat": "cohort"}


def options(sample: Sample) -> dict[str, Any]:
    """Arguments of an estimator.

    ``cluster=None`` keeps the library's default, the unit (for Callaway–Sant'Anna the influence-function formula of R's did). In a weighted
    fit the survey design carries the clusters.
    """
    cluster = None if sample.clustered_by_unit or sample.weights else "cluster"
    return {"anticipation": sample.anticipation, "alpha": 1 - sample.level, "cluster": cluster}


def fitted(estimator: Any, sample: Sample, covariates_as: str | None = "covariates") -> Any:
    """Result of ``estimator.fit``; ``covariates_as`` is the argument that takes covariates, None where there is none."""
    covariates = {covariates_as: list(sample.covariates.values())} if covariates_as and sample.covariates else {}
    return estimator.fit(sample.frame, survey_design=_survey_design(sample), **_COLUMNS, **covariates)


def _survey_design(sample: Sample) -> Any:
    """Probability weights with clusters as sampling units: diff-diff takes weights no other way; standard errors are then linearised."""
    if not sample.weights:
        return None
    from diff_diff import SurveyDesign

    return SurveyDesign(weights="weight", psu="unit" if sample.clustered_by_unit else "cluster")
