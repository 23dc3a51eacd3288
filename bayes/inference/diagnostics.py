"""The gate that every fit passes or does not: R-hat, effective sample size, divergences, energy (Vehtari et al. 2021; Betancourt 2016).

Draws from a surrogate that importance weights have corrected also pass k-hat (Vehtari et al. 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

RHAT_LIMIT = 1.01
ESS_LIMIT = 400
BFMI_LIMIT = 0.3


@dataclass(frozen=True)
class Diagnosis:
    """Worst case over all sampled quantities, and the verdict.

    Attributes
    ----------
    passed : bool
    failures : tuple of str
        One sentence each, with the remedy.
    rhat_max, ess_bulk_min, ess_tail_min, bfmi_min : float
    divergences, draws : int
    worst : str
        The quantity with the fewest effective draws.
    k_hat, k_hat_limit : float or None
        Of importance weights, where draws come from a surrogate; divergences and energy are then those of its chains.
    """

    passed: bool
    failures: tuple[str, ...]
    rhat_max: float
    ess_bulk_min: float
    ess_tail_min: float
    bfmi_min: float
    divergences: int
    draws: int
    worst: str
    k_hat: float | None = None
    k_hat_limit: float | None = None

    @property
    def verdict(self) -> str:
        """One sentence for the head of tables and reports."""
        if self.passed:
            effective = min(self.ess_bulk_min, self.ess_tail_min)
            if self.k_hat is not None:
                return (
                    f"Sampling passed its checks: surrogate, importance-corrected, k-hat {self.k_hat:.2f} ≤ {self.k_hat_limit:.2f}, "
                    f"R-hat ≤ {self.rhat_max:.3f}, effective draws ≥ {effective:.0f}, no divergence, E-BFMI ≥ {self.bfmi_min:.2f}."
                )
            return (
                f"Sampling passed its checks: R-hat ≤ {self.rhat_max:.3f}, effective draws ≥ {effective:.0f}, "
                f"no divergence, E-BFMI ≥ {self.bfmi_min:.2f}."
            )
        return "Sampling did NOT pass its checks; do not report these numbers. " + " ".join(self.failures)


def diagnose(posterior: xr.Dataset, statistics: xr.Dataset, k_hat: float | None = None, k_hat_limit: float | None = None) -> Diagnosis:
    """Check every variable of ``posterior`` (dims chain, draw, …) against the gate; ``k_hat`` and its limit where weights corrected it.

    Constant entries (nothing was sampled) are passed over. Pathologies that cannot be measured — non-finite draws, one chain — fail.
    """
    from arviz_stats.base import array_stats

    rhat_max, bulk_min, tail_min, worst, finite = 0.0, np.inf, np.inf, "", True
    for name, variable in posterior.data_vars.items():
        values = variable.to_numpy().reshape(*variable.shape[:2], -1)
        if variable.ndim > 2:  # an effect that the data do not determine is NaN in every draw
            values = values[:, :, ~np.isnan(values).all(axis=(0, 1))]
        if not np.isfinite(values).all():
            finite = False
            continue
        values = values[:, :, np.ptp(values, axis=(0, 1)) > 0]
        if not values.size:
            continue
        # np.maximum and np.minimum keep NaN, which max and min would drop: what cannot be computed fails.
        rhat_max = float(np.maximum(rhat_max, _rhat(values)))
        bulk, tail = _effective_draws(values)
        tail_min = float(np.minimum(tail_min, tail))
        if not bulk >= bulk_min:
            bulk_min, worst = bulk, str(name)
    divergences = int(statistics["diverging"].sum())
    bfmi = float(np.min(array_stats.bfmi(statistics["energy"].to_numpy(), chain_axis=0, draw_axis=1)))
    failures = _failures(finite, rhat_max, bulk_min, tail_min, worst, divergences, bfmi)
    if k_hat is not None and not k_hat <= k_hat_limit:
        failures = (*failures, f"Importance weights are unreliable: k-hat {k_hat:.2f} > {k_hat_limit:.2f} (use method='nuts').")
    draws = int(statistics["diverging"].size)
    return Diagnosis(not failures, failures, rhat_max, bulk_min, tail_min, bfmi, divergences, draws, worst, k_hat, k_hat_limit)


def _rhat(values: np.ndarray) -> float:
    from arviz_stats.base import array_stats

    return float(np.max(array_stats.rhat(values, chain_axis=0, draw_axis=1))) if values.shape[0] > 1 else np.inf


def _effective_draws(values: np.ndarray) -> tuple[float, float]:
    """Smallest bulk and tail effective sample size."""
    from arviz_stats.base import array_stats

    axes = {"chain_axis": 0, "draw_axis": 1}
    bulk = array_stats.ess(values, method="bulk", **axes)
    return float(np.min(bulk)), float(np.min(array_stats.ess(values, method="tail", prob=(0.05, 0.95), **axes)))


def _failures(finite: bool, rhat: float, bulk: float, tail: float, worst: str, divergences: int, bfmi: float) -> tuple[str, ...]:
    checks = [
        (not finite, "Some draws are not finite."),
        (not rhat < RHAT_LIMIT, f"Chains disagree: R-hat {rhat:.3f} ≥ {RHAT_LIMIT} (use more tune and draws)."),
        (not bulk >= ESS_LIMIT, f"Only {bulk:.0f} effective draws of {worst} (need {ESS_LIMIT}; use more draws)."),
        (not tail >= ESS_LIMIT, f"Only {tail:.0f} effective draws in the tails (need {ESS_LIMIT}; use more draws)."),
        (divergences > 0, f"{divergences} divergent transitions (raise target_accept, or simplify the pooling)."),
        (not bfmi >= BFMI_LIMIT, f"E-BFMI {bfmi:.2f} < {BFMI_LIMIT}: heavy tails were not explored (reparameterise or tighten priors)."),
    ]
    return tuple(text for failed, text in checks if failed)
