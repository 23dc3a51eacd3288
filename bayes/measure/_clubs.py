"""Club convergence: the log-t test of Phillips and Sul, clustering of units into convergence clubs, and their transition paths."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
from scipy.linalg import solveh_banded
from scipy.special import ndtri

from bayes.arguments import checked
from bayes.errors import MissingValueError, NoVariationError, SpecificationError
from bayes.estimates import Estimates
from bayes.measure._clubs_search import Rules, find_clubs, membership, merge_clubs
from bayes.measure._log_t import ERRORS, LogT, first_period_used, log_t_regression, transition_variance
from bayes.measure._rows import unit_groups
from bayes.measure._values import Values, values_of
from bayes.panel import Panel
from bayes.progress import counted
from bayes.validation import one_of, whole_number

MERGING = ("phillips-sul-2009", "none")
FILTERS = (None, "hp")
GROUPINGS = ("all", "region")


@checked
def log_t(
    panel: Panel, values: str | Estimates, discard: float = 1 / 3, by: str = "all", critical: float = -1.65, errors: str = "phillips-sul",
    filter: str | None = None, smoothing: float = 400.0, level: float = 0.95,
) -> Estimates:  # fmt: skip
    """The log-t test: do the relative transition paths h_it = y_it / mean_i y_it of all units run towards one another?

    log(H_1/H_t) − 2 log(log t) = a + b log t + u_t on the periods after the first [discard · T], H_t the variance of h_it over units. Under
    convergence b = 2α ≥ 0 with α the rate at which differences die out; convergence is rejected where t(b) ≤ ``critical`` (one-sided 5 %).
    0 ≤ b < 2 is convergence of growth rates, b ≥ 2 also of levels.

    Parameters
    ----------
    values : str or Estimates
        Positive numbers, in the literature logarithms of the quantity with the business cycle filtered out. h depends on the zero of the
        scale: logarithms of euros and of thousands of euros give different tests.
    discard : float
        Share of the first periods left out; a third for T < 50 in Phillips & Sul.
    by : "all" or "region"
        Over all units, or over the units of each region.
    errors : "phillips-sul" or "andrews"
        Long-run variance behind the standard error; the two differ much in short panels. See
        :func:`bayes.measure._log_t.long_run_variance`.
    filter : None or "hp"
        Hodrick–Prescott trend of every unit before the test, with ``smoothing`` (400 in Phillips & Sul 2009; 6.25 and 100 are other
        choices for annual data).

    Returns
    -------
    Estimates
        ``log_t`` (b, its HAC standard error, a normal interval) and ``log_t_statistic`` (t). Values with draws: b and t in every draw, with
        the spread of the values' draws only (the note gives the mean standard error); ``prob_positive`` of the statistic is then
        P(t > critical). A region of one unit is NaN.

    Raises
    ------
    SpecificationError
        Unknown words, too few periods for ``discard``, periods that are not evenly spaced.
    MissingValueError
        A unit that is not observed in every period.
    NotPositiveError
        A value ≤ 0.

    Phillips & Sul (2007), Econometrica 75(6), 1771–1855.
    """
    one_of("by", by, GROUPINGS)
    _number("critical", critical)
    v, y, units, left_out = _balanced(panel, values, discard, filter, smoothing, errors, level)
    rows, draws = [], []
    for label, chosen in unit_groups(v, units, by):
        part = y[:, chosen]
        found = log_t_regression(np.stack([transition_variance(one) for one in part]), left_out, errors)
        common = {**label, "term": by, "source": v.source, "n_obs": int(chosen.size), **_reason(found, chosen.size)}
        note = common.pop("note") or _verdict(found, critical)
        rows += [
            {**common, "estimand": "log_t", "note": note, **_slope_columns(found, level, v)},
            {**common, "estimand": "log_t_statistic", "note": note, **_statistic_columns(found, critical, level, v)},
        ]
        draws += [found.slope, found.t]
    return Estimates.from_rows(
        rows, np.array(draws) if v.has_draws else None, f"log-t test of {v.name} by {by}",
        discard=discard, left_out=left_out, critical=critical, errors=errors, filter=filter,
        convention="convergence is rejected where the statistic is at or below the critical value",
    )  # fmt: skip


@checked
def convergence_clubs(
    panel: Panel, values: str | Estimates, discard: float = 1 / 3, critical: float = -1.65, sieve_critical: float = 0.0,
    increase: float | None = 0.1, merge: str = "phillips-sul-2009", errors: str = "phillips-sul", filter: str | None = None,
    smoothing: float = 400.0, paths: bool = False, max_draws: int = 200, level: float = 0.95, progress: bool | None = None,
) -> Estimates:  # fmt: skip
    """Clubs of units that converge to one another, by the clustering of Phillips & Sul.

    Units are ordered by their last value. If all converge by the log-t test (see :func:`log_t`, also for ``values``, ``discard``,
    ``errors``, ``filter`` and ``smoothing``) there is one club. Otherwise: (1) core group: the first pair of neighbours with t >
    ``critical`` is extended down the order while t stays above it, up to the largest t; (2) sieve: every other unit whose t together with
    the core exceeds c* = ``sieve_critical`` joins, and c* rises in steps of ``increase`` until the club itself has t > ``critical`` (None
    keeps c*); (3) the rest is tested and clustered in the same way, until no pair converges: those units diverge. Clubs that converge
    together with the next one are then merged (``merge="none"`` leaves them).

    Parameters
    ----------
    paths : bool
        Also ``relative_transition``: the mean over a club's units of y_it / mean over all units, by period.
    max_draws : int
        Values with draws are clustered in at most so many draws, evenly spread (each costs about one run).
    progress : bool, optional
        Show progress over draws; by default on a terminal only.

    Returns
    -------
    Estimates
        - ``club`` by unit: 1 is the club with the highest last values, 0 a unit in no club. Values with draws: the club found most often,
          with ``prob_positive`` its share of draws and draws of the number beside; clubs are matched over draws by their order, so that
          a club that splits in some draws moves all numbers after it.
        - ``log_t`` and ``log_t_statistic`` by club (``term`` = "club 1", …; ``n_obs`` units); ``variant`` = "initial" for clubs before
          merging. With draws, of the clubs as found most often, at the mean of the draws.
        - ``clubs``: how many there are.

    Raises
    ------
    SpecificationError, MissingValueError, NotPositiveError
        As :func:`log_t`.
    NoVariationError
        All units equal in a period that the test uses.

    Phillips & Sul (2007), Econometrica 75(6); merging: Phillips & Sul (2009), Journal of Applied Econometrics 24(7).
    """
    one_of("merge", merge, MERGING)
    if increase is not None and not _number("increase", increase) > 0:
        raise SpecificationError(f"increase must be positive, or None to keep c* as it is, got {increase!r}.")
    whole_number("max_draws", max_draws, 1)
    _number("critical", critical), _number("sieve_critical", sieve_critical)
    v, y, units, left_out = _balanced(panel, values, discard, filter, smoothing, errors, level)
    if units.size < 2:
        raise SpecificationError(f"Clubs need at least two units, and {v.name!r} has one.")
    _require_differences(v, y, left_out)
    rules = Rules(left_out, critical, sieve_critical, increase, errors)
    used = np.unique(np.linspace(0, len(y) - 1, min(max_draws, len(y))).round().astype(int))
    merging = merge != "none"
    found = np.array([_clustered(y[d], rules, merging) for d in counted(used, used.size, "Clubs, draw", progress)])
    mean = y.mean(axis=0)
    n_clubs = found.max(axis=1)
    club, share = _most_often(found)
    rows = [_club_row(v, unit, k, p, found.shape[0]) for unit, k, p in zip(units, club, share, strict=True)]
    rows.append(_count_row(v, n_clubs, level))
    draws = [*found.T, n_clubs]
    tested = _tested(v, mean, club, rules, level, merging and not v.has_draws)
    tested += _paths(v, mean, club) if paths else []
    everything = None
    if v.has_draws:
        everything = np.vstack([np.array(draws, dtype=float), np.full((len(tested), found.shape[0]), np.nan)])
    return Estimates.from_rows(
        [*rows, *tested], everything, f"Convergence clubs of {v.name}", discard=discard, left_out=left_out, critical=critical,
        sieve_critical=sieve_critical, increase=increase, merge=merge, errors=errors, filter=filter, draws_used=int(used.size),
        convention="club 1 has the highest last values; 0: in no club, diverges",
    )  # fmt: skip


def hodrick_prescott(y: np.ndarray, smoothing: float) -> np.ndarray:
    """Trend of every series in the last axis: the minimiser of Σ(y − trend)² + smoothing · Σ(second difference of trend)².

    Hodrick & Prescott (1997), Journal of Money, Credit and Banking 29(1).
    """
    n = y.shape[-1]
    second = np.diff(np.eye(n), 2, axis=0)
    matrix = np.eye(n) + smoothing * second.T @ second
    bands = np.array([np.r_[np.zeros(k), np.diag(matrix, k)] for k in (2, 1, 0)])
    return solveh_banded(bands, y.reshape(-1, n).T).T.reshape(y.shape)


# ── input ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(value):
        raise SpecificationError(f"{name} must be a finite number, got {value!r}.")
    return float(value)


def _require_differences(v: Values, y: np.ndarray, left_out: int) -> None:
    """Raise :class:`NoVariationError` where all units are equal in a period that the test uses: H_t is zero for every group of them."""
    used = np.r_[0, np.arange(left_out, y.shape[2])]
    equal = np.argwhere(np.ptp(y[:, :, used], axis=1) <= 1e-12 * np.abs(y[:, :, used]).max(axis=1))
    if equal.size:
        raise NoVariationError(
            f"All units have the same {v.name!r} in {v.panel.time} {v.periods[used[equal[0, 1]]]}: there are no differences whose decline "
            "could tell clubs apart. Leave out such periods."
        )


def _balanced(
    panel: Panel, values: str | Estimates, discard: float, filter: str | None, smoothing: float, errors: str, level: float
) -> tuple[Values, np.ndarray, np.ndarray, int]:
    """Values as (draws, units, periods), filtered where asked, with unit codes and the number of periods left out."""
    one_of("filter", filter, FILTERS)
    if not 0 < level < 1:
        raise SpecificationError(f"level must lie between 0 and 1, got {level!r}.")
    one_of("errors", errors, ERRORS)
    v = values_of(panel, values)
    v.require_positive("Transition paths are ratios to the mean over units: give positive values.")
    y, units, periods = v.grid()
    missing = np.argwhere(~np.isfinite(y[0]))
    if missing.size:
        unit, period = missing[0]
        raise MissingValueError(
            f"{v.name!r} is not observed in {len(missing)} of {y[0].size} unit-periods, first: {panel.unit} {panel.units[units[unit]]}, "
            f"{panel.time} {periods[period]}. Transition paths compare all units in every period: leave out units or periods with gaps."
        )
    if np.ptp(np.diff(periods)) > 0:
        raise SpecificationError(f"Periods {', '.join(f'{t:g}' for t in periods)} are not evenly spaced: log t needs a count of periods.")
    left_out = first_period_used(periods.size, discard)
    if filter == "hp":
        if not _number("smoothing", smoothing) > 0:
            raise SpecificationError(f"smoothing must be positive, got {smoothing!r}.")
        y = hodrick_prescott(y, float(smoothing))
    return v, y, units, left_out


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _reason(found: LogT, n_units: int) -> dict[str, Any]:
    if n_units < 2:
        return {"identified": False, "note": "one unit: nothing to converge to"}
    if not np.isfinite(found.slope).all():
        return {"identified": False, "note": "units are equal in some period: log H_t does not exist"}
    return {"identified": True, "note": ""}


def _verdict(found: LogT, critical: float) -> str:
    if found.t.size > 1:
        share = np.mean(found.t > critical)
        return f"convergence is not rejected in {share:.1%} of draws (t > {critical:g}); mean HAC se {found.se.mean():.4g}"
    return f"t = {found.t[0]:.3f}: convergence is {'not ' if found.t[0] > critical else ''}rejected (one-sided, t > {critical:g})"


def _slope_columns(found: LogT, level: float, v: Values) -> dict[str, Any]:
    b = found.slope
    if v.has_draws:
        return _over_draws(b, level, v) | {"prob_positive": _share(b, 0.0)}
    half = float(found.se[0] * ndtri(0.5 + level / 2))
    interval = {"lower": b[0] - half, "upper": b[0] + half, "level": level, "interval": "normal, HAC (quadratic spectral)"}
    return {"estimate": float(b[0]), "se": float(found.se[0]), **interval}


def _statistic_columns(found: LogT, critical: float, level: float, v: Values) -> dict[str, Any]:
    if v.has_draws:
        return _over_draws(found.t, level, v) | {"prob_positive": _share(found.t, critical)}
    return {"estimate": float(found.t[0])}


def _share(x: np.ndarray, above: float) -> float:
    return float(np.mean(x > above)) if np.isfinite(x).all() else np.nan


def _over_draws(x: np.ndarray, level: float, v: Values) -> dict[str, Any]:
    lower, upper = np.quantile(x, [(1 - level) / 2, (1 + level) / 2])
    return {"estimate": x.mean(), "se": x.std(ddof=1), "lower": lower, "upper": upper, "level": level, "interval": v.interval}


def _clustered(y: np.ndarray, rules: Rules, merging: bool) -> np.ndarray:
    clubs = find_clubs(y, rules)
    return membership(merge_clubs(y, clubs, rules)[0] if merging else clubs, len(y))


def _most_often(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Club with most draws of each unit (the lower number on a tie) and its share: (draws, units) → two arrays (units,)."""
    counts = np.stack([(found == k).sum(axis=0) for k in range(found.max() + 1)])
    club = counts.argmax(axis=0)
    return club, counts.max(axis=0) / len(found)


def _club_row(v: Values, unit: int, club: int, share: float, n_draws: int) -> dict[str, Any]:
    note = "" if club else "in no club: diverges"
    row = {
        "estimand": "club", "term": "unit", "unit": str(v.panel.units[unit]), "region": str(v.panel.regions[v.panel.unit_regions[unit]]),
        "source": v.source, "estimate": float(club), "note": note,
    }  # fmt: skip
    if v.has_draws:
        shown = f"club found most often; prob_positive is its share of {n_draws} draws, clubs matched by order"
        row |= {"prob_positive": share, "note": f"{note}; {shown}" if note else shown}
    return row


def _count_row(v: Values, n_clubs: np.ndarray, level: float) -> dict[str, Any]:
    row = {"estimand": "clubs", "term": "all", "source": v.source, "estimate": float(n_clubs[0])}
    return row | (_over_draws(n_clubs.astype(float), level, v) if n_clubs.size > 1 else {})


def _tested(v: Values, y: np.ndarray, club: np.ndarray, rules: Rules, level: float, with_initial: bool) -> list[dict[str, Any]]:
    """Log-t rows of the clubs, and of the clubs before merging."""
    final = [np.flatnonzero(club == k) for k in range(1, club.max() + 1)]
    made_of: list[list[int]] = [[] for _ in final]
    rows = []
    if with_initial:
        initial = find_clubs(y, rules)
        made_of = merge_clubs(y, initial, rules)[1]
        for k, units in enumerate(initial, start=1):
            rows += _club_tests(v, y, units, rules, level, {"term": f"club {k}", "variant": "initial"}, "before merging")
    first = []
    for k, (units, parts) in enumerate(zip(final, made_of, strict=True), start=1):
        words = f"initial clubs {', '.join(str(p + 1) for p in parts)}" if len(parts) > 1 else ""
        words = "at the mean of the draws" if v.has_draws else words
        first += _club_tests(v, y, units, rules, level, {"term": f"club {k}"}, words)
    return first + rows


def _club_tests(
    v: Values, y: np.ndarray, units: np.ndarray, rules: Rules, level: float, label: dict[str, Any], words: str
) -> list[dict[str, Any]]:
    common = {**label, "source": v.source, "n_obs": int(units.size)}
    if units.size < 2:
        reason = {"identified": False, "note": f"{units.size} units: no log-t test"}
        return [{**common, **reason, "estimand": e} for e in ("log_t", "log_t_statistic")]
    found = rules.test(transition_variance(y[units]))
    reason = _reason(found, units.size)
    note = "; ".join(w for w in (reason["note"] or _verdict(found, rules.critical), words) if w)
    common |= {"identified": reason["identified"], "note": note}
    plain = replace(v, draws=v.draws[:1])
    return [
        {**common, "estimand": "log_t", **_slope_columns(found, level, plain)},
        {**common, "estimand": "log_t_statistic", **_statistic_columns(found, rules.critical, level, plain)},
    ]


def _paths(v: Values, y: np.ndarray, club: np.ndarray) -> list[dict[str, Any]]:
    """Mean relative transition path of every club (of units in none under "no club")."""
    h = y / y.mean(axis=0)
    rows = []
    for k in np.unique(club):
        label = {"estimand": "relative_transition", "term": f"club {k}" if k else "no club", "source": v.source}
        size, path = int((club == k).sum()), h[club == k].mean(axis=0)
        rows += [{**label, "period": float(t), "estimate": x, "n_obs": size} for t, x in zip(v.periods, path, strict=True)]
    return rows
