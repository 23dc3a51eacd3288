"""Staggered difference-in-differences: the overall effect on the treated, by each peer.

Columns of the data: unit, time, cohort (0 = never treated), y. Comparison group: not yet treated, where there is a choice; standard errors
clustered by unit. Every fit returns estimate, lower and upper (95 %).
"""

from __future__ import annotations

import contextlib
import io
from functools import partial
from typing import Any

from measured import Fit, main

COLUMNS = {"outcome": "y", "unit": "unit", "time": "time", "first_treat": "cohort"}


def interval(estimate: float, se: float) -> dict[str, float]:
    return {"estimate": estimate, "lower": estimate - 1.959964 * se, "upper": estimate + 1.959964 * se}


# ── ours ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def our_panel(frame: Any) -> Any:
    from bayes import Panel

    data = frame.assign(first=frame["cohort"].where(frame["cohort"] > 0), region="all")
    return Panel.from_frame(data, unit="unit", time="time", region="region", first_treated="first", name="peers")


def bayes_nuts() -> Fit:
    import bayes

    def fit(frame):
        found = bayes.StaggeredDiD("y", leads=False).fit(our_panel(frame), seed=1, progress=False)
        row = found.att("simple").frame.iloc[0]
        return {"estimate": row.estimate, "lower": row.lower, "upper": row.upper}

    return fit


def bayes_mode() -> Fit:
    """Mode of the scales, then exact draws of the effects: the density is compiled once for all panels of a shape."""
    from bayes import StaggeredDiD
    from bayes.did import effects
    from bayes.did.mode import draws_at_mode, posterior_modes

    spec, waiting = StaggeredDiD("y", leads=False), []
    modes = posterior_modes(spec, iter(waiting.pop, None))

    def fit(frame):
        panel = our_panel(frame)
        waiting.append(spec.collapse(panel))
        draws = draws_at_mode(spec, *next(modes), 4000, 1)
        row = effects.estimates(draws, "simple", "att", "rows", 0.95, False, tuple(panel.regions.tolist()), "mode").frame.iloc[0]
        return {"estimate": row.estimate, "lower": row.lower, "upper": row.upper}

    return fit


# ── peers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def diff_diff(name: str, **options: Any) -> Fit:
    import diff_diff as library

    def fit(frame):
        found = getattr(library, name)(**options).fit(frame, **COLUMNS)
        low, high = found.overall_conf_int
        return {"estimate": found.overall_att, "lower": low, "upper": high}

    return fit


def moderndid_callaway_santanna() -> Fit:
    from moderndid import aggte, att_gt

    def fit(frame):
        words = {"control_group": "notyettreated", "boot": False, "cband": False}
        cells = att_gt(frame.astype({"cohort": float}), "y", "time", "unit", "cohort", **words)
        found = aggte(cells, type="simple", boot=False, cband=False)
        return interval(found.overall_att, found.overall_se)

    return fit


def moderndid_etwfe() -> Fit:
    from moderndid import emfx, etwfe

    def fit(frame):
        found = emfx(etwfe(frame.astype({"cohort": float}), yname="y", tname="time", gname="cohort", idname="unit"), type="simple")
        return interval(found.overall_att, found.overall_se)

    return fit


def csdid() -> Fit:
    from csdid.att_gt import ATTgt

    def fit(frame):
        with contextlib.redirect_stdout(io.StringIO()):
            cells = ATTgt(yname="y", tname="time", idname="unit", gname="cohort", data=frame, control_group=["notyettreated"])
            found = cells.fit(est_method="dr", bstrap=False).aggte(typec="simple", bstrap=False, cband=False).atte
        return interval(float(found["overall_att"]), float(found["overall_se"]))

    return fit


def pyfixest_twfe() -> Fit:
    import pyfixest

    def fit(frame):
        data = frame.assign(treated=((frame["cohort"] > 0) & (frame["time"] >= frame["cohort"])).astype(float))
        found = pyfixest.feols("y ~ treated | unit + time", data, vcov={"CRV1": "unit"})
        low, high = found.confint().loc["treated"]
        return {"estimate": found.coef()["treated"], "lower": low, "upper": high}

    return fit


def pyfixest_two_stage() -> Fit:
    import pyfixest

    def fit(frame):
        data = frame.assign(treated=(frame["cohort"] > 0) & (frame["time"] >= frame["cohort"]))
        stages = {"first_stage": "~ 0 | unit + time", "second_stage": "~ i(treated, ref = False)", "treatment": "treated"}
        found = pyfixest.did2s(data, yname="y", cluster="unit", **stages)
        low, high = found.confint().iloc[0]
        return {"estimate": found.coef().iloc[0], "lower": low, "upper": high}

    return fit


def causalpy() -> Fit:
    import causalpy
    import numpy as np

    def fit(frame):
        data = frame.assign(treated=((frame["cohort"] > 0) & (frame["time"] >= frame["cohort"])).astype(int))
        data["first"] = frame["cohort"].where(frame["cohort"] > 0, np.inf)
        model = causalpy.pymc_models.LinearRegression(sample_kwargs={"random_seed": 1, "progressbar": False, "cores": 1})
        names = {"unit_variable_name": "unit", "time_variable_name": "time", "treated_variable_name": "treated"}
        names["treatment_time_variable_name"] = "first"
        with contextlib.redirect_stdout(io.StringIO()):
            found = causalpy.StaggeredDifferenceInDifferences(data, formula="y ~ 1 + C(unit) + C(time)", model=model, **names)
        return average_of_draws(found)

    return fit


def average_of_draws(found: Any) -> dict[str, float]:
    """The overall effect from the draws of the counterfactual; the library itself averages by cohort and event time only, at 94 %."""
    import numpy as np

    treated = found.data["treated"].to_numpy() == 1
    counterfactual = found.y_pred.isel(treated_units=0).transpose(..., "obs_ind").to_numpy()[..., treated].mean(axis=-1)
    draws = found.data.loc[treated, "y"].mean() - counterfactual.ravel()
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"estimate": draws.mean(), "lower": low, "upper": high}


PEERS = {
    "bayes": bayes_nuts,
    "bayes, mode": bayes_mode,
    "diff-diff CS": partial(diff_diff, "CallawaySantAnna", control_group="not_yet_treated"),
    "diff-diff SA": partial(diff_diff, "SunAbraham"),
    "diff-diff BJS": partial(diff_diff, "ImputationDiD"),
    "diff-diff Gardner": partial(diff_diff, "TwoStageDiD"),
    "diff-diff ETWFE": partial(diff_diff, "WooldridgeDiD", control_group="not_yet_treated"),
    "moderndid CS": moderndid_callaway_santanna,
    "moderndid ETWFE": moderndid_etwfe,
    "csdid CS": csdid,
    "pyfixest TWFE": pyfixest_twfe,
    "pyfixest Gardner": pyfixest_two_stage,
    "CausalPy": causalpy,
}

if __name__ == "__main__":
    main(PEERS)
