"""Stochastic production frontier, half-normal, one cross-section, by each peer.

Columns of the data: y and x1, x2, … (logs; x4 is no input but shifts the frontier). Every fit returns the elasticity of x1 as
estimate, with lower and upper (95 %, NaN where there is no standard error), and the log likelihood where the peer has one.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

from measured import Fit, main


def answer(estimate: float, se: float, loglik: float) -> dict[str, float]:
    return {"estimate": estimate, "lower": estimate - 1.959964 * se, "upper": estimate + 1.959964 * se, "loglik": loglik}


def regressors(frame: Any) -> Any:
    return frame.drop(columns="y").to_numpy()


# ── ours ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def ours(frame: Any) -> tuple[Any, Any]:
    from bayes import Panel, StochasticFrontier

    inputs = [name for name in frame.columns if name.startswith("x") and name != "x4"]
    places = {"unit": frame.index // 2, "time": frame.index % 2, "region": "all"}  # a Panel has two periods; the pooled model does not look
    panel = Panel.from_frame(frame.assign(**places), unit="unit", time="time", region="region", name="peers")
    words = {"technology": "cobb-douglas", "technical_change": "none", "pooling": "complete", "model": "pooled"}
    return StochasticFrontier("y", inputs, covariates=["x4"] if "x4" in frame else [], **words), panel


def bayes_likelihood() -> Fit:
    from bayes import baselines

    def fit(frame):
        found = baselines.frontier(*ours(frame))
        row = found.elasticities("all").where(term="x1").frame.iloc[0]
        return {"estimate": row.estimate, "lower": row.lower, "upper": row.upper, "loglik": found.loglik}

    return fit


def bayes_posterior() -> Fit:
    import bayes  # noqa: F401

    def fit(frame):
        spec, panel = ours(frame)
        row = spec.fit(panel, seed=1, progress=False).elasticities("all").where(term="x1").frame.iloc[0]
        return {"estimate": row.estimate, "lower": row.lower, "upper": row.upper}

    return fit


# ── peers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def stochastic_frontier_analysis() -> Fit:
    import numpy as np
    from sfa import sf_model

    def fit(frame):
        x = np.column_stack([np.ones(len(frame)), regressors(frame)])
        found = sf_model.fit(x, frame["y"].to_numpy(), n=len(frame), T=1, sfa_opt=2, dec_crit=0, if_mdd=0)
        return answer(found.params_ml[1], found.params_ml_se[1], found.l_max)

    return fit


def pysfa() -> Fit:
    import numpy as np
    from pysfa import SFA

    def fit(frame):
        found = SFA.SFA(frame["y"].to_numpy(), regressors(frame), fun=SFA.FUN_PROD).optimize()
        return answer(found.x[1], np.sqrt(found.hess_inv[1, 1]), -found.fun)

    return fit


def depp_sfa() -> Fit:
    from depp_sfa import SFA

    def fit(frame):
        with contextlib.redirect_stdout(io.StringIO()):
            model = SFA(frame["y"].to_numpy(), regressors(frame), fun=SFA.FUN_PROD, standardize=False)
            model.optimize()
        return answer(model._params[1], model._std_err[1], model._llf)

    return fit


def panelbox() -> Fit:
    from panelbox.frontier import StochasticFrontier

    def fit(frame):
        names = [name for name in frame.columns if name != "y"]
        found = StochasticFrontier(frame, depvar="y", exog=names, frontier="production", dist="half_normal").fit()
        converged = {} if found.converged else {"warning": "not converged"}
        return answer(found.params["x1"], found.se["x1"], found.loglik) | converged

    return fit


PEERS = {
    "bayes, likelihood": bayes_likelihood,
    "bayes, posterior": bayes_posterior,
    "stochastic-frontier-analysis": stochastic_frontier_analysis,
    "pysfa": pysfa,
    "depp-sfa": depp_sfa,
    "panelbox": panelbox,
}

if __name__ == "__main__":
    main(PEERS)
