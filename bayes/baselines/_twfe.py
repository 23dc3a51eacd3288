"""Two-way fixed effects and its event study, by pyfixest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayes.baselines._libraries import refuse_singletons
from bayes.baselines._sample import Sample


def fit(sample: Sample) -> list[dict[str, Any]]:
    """The static coefficient (term ``simple``) and the leads and lags (term ``event``) of a regression on unit and period effects.

    With anticipation the treatment indicator switches on that many periods early, and the reference moves to −1 − anticipation.
    """
    frame, a = sample.frame, sample.anticipation
    event = frame["time"] - frame["cohort"]
    ever = frame["cohort"] > 0
    reference = -1 - a
    data = frame.assign(treated=(ever & (event >= -a)).astype(float), event=np.where(ever, event, reference))
    note = "one coefficient: a variance-weighted average in which already treated units serve as controls"
    if a:
        note += f"; treated from {a} periods before the first treated period on"
    rows = [_row(sample, _regression(sample, data, "treated"), "treated", "simple", note)]
    study = _regression(sample, data, f"i(event, ref={reference})")
    note = f"leads and lags common to cohorts, relative to event time {reference} and the never treated"
    for name in study.coef().index:
        if name.startswith("event::"):
            rows.append(_row(sample, study, name, "event", note, event_time=float(name.removeprefix("event::"))))
    return rows


def static_regression(sample: Sample) -> Any:
    """One coefficient of the treatment."""
    event = sample.frame["time"] - sample.frame["cohort"]
    treated = ((sample.frame["cohort"] > 0) & (event >= -sample.anticipation)).astype(float)
    return _regression(sample, sample.frame.assign(treated=treated), "treated")


def _regression(sample: Sample, data: pd.DataFrame, terms: str) -> Any:
    from pyfixest.estimation import feols

    formula = " + ".join([f"outcome ~ {terms}", *sample.covariates.values()]) + " | unit + time"
    cluster = "unit" if sample.clustered_by_unit else "cluster"
    refuse_singletons(data)
    return feols(formula, data, vcov={"CRV1": cluster}, weights="weight" if sample.weights else None)


def _row(sample: Sample, model: Any, name: str, term: str, note: str, **keys: float) -> dict[str, Any]:
    bounds = model.confint(alpha=1 - sample.level).loc[name].to_numpy(dtype=float)
    return sample.row(term, model.coef()[name], model.se()[name], model._N, note, bounds=bounds, **keys)
