"""Wild cluster bootstrap of the overall effect of extended two-way fixed effects, by diff-diff."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bayes.arguments import checked
from bayes.baselines._did import _cluster_column, _covariate_names
from bayes.baselines._libraries import quiet, with_version
from bayes.baselines._sample import Sample, make_sample
from bayes.errors import BaselineWarning, NoComparisonError, SpecificationError, warn_user
from bayes.estimates import Estimates
from bayes.panel import Panel
from bayes.validation import one_of

WEIGHTS = ("rademacher", "webb", "mammen")


@checked
def wild_bootstrap(
    panel: Panel, outcome: str, covariates: Sequence[str] = (), cluster: str | None = None, *, anticipation: int = 0, level: float = 0.95,
    replications: int = 999, multipliers: str = "rademacher", seed: int = 0,
) -> Estimates:  # fmt: skip
    """p-value and interval of the overall effect by the restricted wild cluster bootstrap (Cameron, Gelbach & Miller 2008).

    The regression is that of ``etwfe`` with the not yet treated as controls: unit and period effects and a coefficient for every treated
    cohort × period, averaged over treated rows; covariates enter linearly. The null of no average effect is imposed, residuals change sign
    by whole clusters, and t statistics are compared; the interval holds the values that are not rejected, and need not be symmetric.

    Parameters
    ----------
    panel : Panel
        With treatment timing.
    outcome, covariates, cluster, anticipation, level
        As in :func:`bayes.baselines.did`.
    replications : int
        Bootstrap samples.
    multipliers : "rademacher", "webb" or "mammen"
        Distribution of the signs; Webb's six points suit fewer than a dozen clusters.
    seed : int

    Returns
    -------
    Estimates
        One row: ``se`` is the CR1 standard error that studentises, ``lower`` and ``upper`` the bootstrap interval; the p-value stands in
        the note and in ``meta["p_value"]``.

    Warns
    -----
    BaselineWarning
        Periods in which everybody is treated are left out.

    Raises
    ------
    SpecificationError, NoComparisonError
        Unknown words; nobody treated; effects that nothing identifies. Columns that cannot be used raise as in :func:`bayes.baselines.did`.

    References
    ----------
    Cameron, Gelbach & Miller (2008), Review of Economics and Statistics 90(3); Roodman, MacKinnon, Nielsen & Webb (2019), Stata Journal
    19(1).
    """
    one_of("multipliers", multipliers, WEIGHTS)
    if not isinstance(replications, int) or isinstance(replications, bool) or replications < 99:
        raise SpecificationError(f"replications must be a whole number of at least 99, got {replications!r}.")
    if panel.first_treated is None:
        raise SpecificationError("The panel has no treatment timing. Build it with Panel.from_frame(…, first_treated=… or treated=…).")
    if not 0 < level < 1:
        raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
    column = _cluster_column(panel, cluster)
    sample = make_sample(panel, outcome, _covariate_names(covariates), column, False, anticipation, level, "universal")
    sample, dropped = _with_comparisons(sample)
    x, y, average = _design(sample)
    with quiet() as messages:
        from diff_diff import wild_bootstrap_se

        estimate = float(np.linalg.lstsq(x, y, rcond=None)[0][average])
        found = wild_bootstrap_se(
            x, y, y, sample.frame["cluster"].to_numpy(), average, replications, multipliers, alpha=1 - level, seed=seed
        )  # fmt: skip
    note = (
        f"wild cluster bootstrap p = {found.p_value:.3f} ({replications} {multipliers} replications, null imposed, "
        f"{found.n_clusters} clusters); cells weighted by rows"
    )
    source = f"ETWFE, wild cluster bootstrap ({with_version('diff-diff')})"
    row = {
        "estimand": "att", "term": "simple", "source": source, "estimate": estimate, "se": found.se, "lower": found.ci_lower,
        "upper": found.ci_upper, "level": level, "interval": f"wild bootstrap, clustered by {column}", "n_obs": len(y),
        "note": "; ".join([note, *dropped, *messages]), "identified": bool(np.isfinite(found.se)),
    }  # fmt: skip
    return Estimates.from_rows(
        [row], title=f"Wild cluster bootstrap for {outcome}", outcome=outcome, p_value=float(found.p_value), seed=seed
    )


def _with_comparisons(sample: Sample) -> tuple[Sample, list[str]]:
    """Without the periods in which everybody is treated, whose effects nothing identifies, and words on them."""
    frame = sample.frame
    untreated = ((frame["cohort"] <= 0) | (frame["time"] - frame["cohort"] < -sample.anticipation)).groupby(frame["time"]).transform("any")
    if untreated.all():
        return sample, []
    words = f"{int((~untreated).sum())} of {len(frame)} rows left out: no untreated unit in their period"
    warn_user(f"The wild cluster bootstrap: {words}.", BaselineWarning)
    return sample.only(untreated.to_numpy()), [words]


def _design(sample: Sample) -> tuple[np.ndarray, np.ndarray, int]:
    """Columns net of unit means (clusters hold whole units, so that signs by cluster leave these out of play), outcome, and the column
    whose coefficient is the average over treated rows: with weights w, τ₁ is replaced by w'τ."""
    frame = sample.frame
    time, cohort = frame["time"].to_numpy(), frame["cohort"].to_numpy()
    event = time - cohort
    treated = (cohort > 0) & (event >= -sample.anticipation)
    if not (treated & (event >= 0)).any():
        raise NoComparisonError("No unit is treated within the panel, so there is no effect to estimate. Check the first treated period.")
    keys = sorted(set(zip(cohort[treated].tolist(), time[treated].tolist(), strict=True)), key=lambda k: (k[1] < k[0], k))
    cells = np.column_stack([treated & (cohort == g) & (time == t) for g, t in keys]).astype(float)
    weight = cells.sum(axis=0) * np.array([t >= g for g, t in keys])
    weight = weight / weight.sum()
    averaged = np.column_stack([cells[:, 0] / weight[0], cells[:, 1:] - cells[:, :1] * weight[1:] / weight[0]])
    periods = np.column_stack([time == t for t in np.unique(time)[1:]]).astype(float)
    extra = [frame[c].to_numpy(dtype=float)[:, None] for c in sample.covariates.values()]
    x = np.hstack([periods, *extra, averaged])
    unit = frame["unit"].to_numpy() - 1
    both = np.column_stack([x, frame["outcome"].to_numpy(dtype=float)])
    sums = np.zeros((unit.max() + 1, both.shape[1]))
    np.add.at(sums, unit, both)
    both = both - (sums / np.bincount(unit)[:, None])[unit]
    place = x.shape[1] - averaged.shape[1]
    others, own = np.delete(both[:, :-1], place, axis=1), both[:, place]
    if np.linalg.norm(own - others @ np.linalg.lstsq(others, own, rcond=None)[0]) < 1e-8 * np.linalg.norm(own):
        raise NoComparisonError(
            "The average effect is not identified: some cohort and period has no untreated row to compare with. Leave these rows out."
        )
    return both[:, :-1], both[:, -1], place
