"""Checks of printed figures against one another: stars, products, totals, R² and means. Pure functions of rows; each gives checks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from bayes.baselines._printed_numbers import Interval
from bayes.baselines._printed_rows import CONTRADICTED, HOLDS, OPEN, Check, PrintedRow, find

_TWO_SIDED = {"***": 2.575829, "**": 1.959964, "*": 1.644854}
_ONE_SIDED = {"***": 2.326348, "**": 1.644854, "*": 1.281552}
_FEW_DEGREES = {"***": 2.749996, "**": 2.042272, "*": 1.697261}
"""Least |t| of each mark: normal, two- and one-sided; Student's with 30 degrees of freedom, below which missing stars are not judged."""
_MORE = {"": "*", "*": "**", "**": "***"}
_LEVEL = {"***": "1 %", "**": "5 %", "*": "10 %"}
_REGRESSORS = ("att", "coefficient")


# ── t, standard errors and stars ────────────────────────────────────────────────────────────────────────────────────


def stars_against_t(rows: Sequence[PrintedRow]) -> Iterator[Check]:
    """Stars need |t| of at least the normal critical value; too few stars are called only beyond Student's with 30 degrees."""
    starred = {r.table for r in rows if r.stars}
    for r in rows:
        found = r.absolute_t()
        if found is None or r.table not in starred:
            continue
        t, words = found
        printed = f"{r.text}{r.stars}" + (f" ({r.se_text})" if r.se_text else f", t {r.t_printed or r.t_text}")
        needs = f"; {r.stars} needs {_TWO_SIDED[r.stars]:.3f}" if r.stars else ""
        outcome, verdict = _stars_verdict(t, r.stars)
        if outcome == CONTRADICTED and r.stars:
            verdict += _one_sided(r, t, rows)
        yield Check("stars against t", r.words, printed, words + needs, outcome, verdict)


def _stars_verdict(t: Interval, stars: str) -> tuple[str, str]:
    least = _TWO_SIDED.get(stars, 0.0)
    if t.upper < least:
        return CONTRADICTED, f"{stars} is {_earned(t.upper) or 'no star'}"
    more = _MORE.get(stars)
    if more and t.lower >= _FEW_DEGREES[more]:
        return CONTRADICTED, f"{stars or 'no star'} is {_earned(t.lower)}"
    if t.lower < least:
        return OPEN, f"{stars} holds only for |t| from {least:.3f} to {t.upper:.4g}, a part of what the rounding allows"
    if more and t.upper >= _TWO_SIDED[more]:
        return OPEN, f"{stars or 'no star'} holds only for |t| below {_TWO_SIDED[more]:.3f}, or with few degrees of freedom"
    return HOLDS, "stars fit"


def _earned(t: float) -> str:
    return next((mark for mark, least in _TWO_SIDED.items() if t >= least), "")


def _one_sided(row: PrintedRow, t: Interval, rows: Sequence[PrintedRow]) -> str:
    """What one-sided tests would explain: the cell, and then whether they fit the rest of its table."""
    least = _ONE_SIDED[row.stars]
    if t.upper < least:
        return ""
    for other in rows:
        found = other.absolute_t() if other.table == row.table else None
        more = _MORE.get(other.stars)
        if found and more and found[0].lower >= _ONE_SIDED[more]:
            return f"; a one-sided {_LEVEL[row.stars]} level ({least:.3f}) would do, but {other.words} has {other.stars or 'none'} there"
    return f"; a one-sided {_LEVEL[row.stars]} level ({least:.3f}) would do, and fits the rest of the table"


def t_as_printed(rows: Sequence[PrintedRow]) -> Iterator[Check]:
    """t as it stands in the table against t as read: its sign against the estimate's, and its size."""
    name = "t as printed"
    for table in dict.fromkeys(r.table for r in rows if r.t_printed and r.t is not None):
        here = [r for r in rows if r.table == table and r.t_printed and r.t is not None and r.value is not None]
        wrong = [r for r in here if _as_number(r.t_printed) * float(r.text) < 0]
        outcome, verdict = (CONTRADICTED, "minus signs stand for brackets") if wrong else (HOLDS, "signs fit")
        yield Check(
            name, table, f"{wrong[0].text} over {wrong[0].t_printed}, …" if wrong else "", f"{len(wrong)} of {len(here)} t have the other "
            "sign than their estimate, which an estimate over a positive standard error cannot", outcome, verdict,
        )  # fmt: skip
        for r in here:
            size = abs(_as_number(r.t_printed))
            if not math.isclose(size, abs(float(r.t_text)), rel_tol=1e-9):
                sum_done = f"|t| = {size:g} would mean a standard error of {abs(float(r.text)) / size:.2g}"
                yield Check(name, r.words, r.t_printed, sum_done, CONTRADICTED, f"decimal point lost; read as {r.t_text}")


def _as_number(text: str) -> float:
    """A number that may stand in brackets."""
    return float(text.strip("()").replace(",", ""))


# ── sums and products ───────────────────────────────────────────────────────────────────────────────────────────────


def products(rows: Sequence[PrintedRow]) -> Iterator[Check]:
    """Indirect effect = driving effect × effect of the mediator."""
    for indirect in find(rows, estimand="indirect"):
        key = {"term": indirect.term, "variant": indirect.variant, "region": indirect.region}
        driving, effect = find(rows, estimand="driving", **key), find(rows, estimand="mediator_effect", **key)
        if not driving or not effect:
            continue
        a, b = driving[0], effect[0]
        span = a.value * b.value
        done = f"{a.text} × {b.text} = {float(a.text) * float(b.text):.4g} {span}; printed {indirect.text} {indirect.value}"
        yield _agreement("driving × direct = indirect", indirect, done, span, "the product", "not the product")


def totals(rows: Sequence[PrintedRow]) -> Iterator[Check]:
    """Total = direct + the indirect effects of all mediators; judged where the table prints each of them."""
    for total in find(rows, estimand="total"):
        key = {"variant": total.variant, "region": total.region}
        direct = find(rows, estimand="direct", term=total.term, **key)
        whole = find(rows, estimand="indirect", term=total.term, **key)
        parts = whole or [r for r in find(rows, estimand="indirect", **key) if r.term != "all"]
        if not direct or not parts:
            continue
        span = direct[0].value
        for part in parts:
            span = span + part.value
        middle = float(direct[0].text) + sum(float(p.text) for p in parts)
        done = f"{' + '.join([direct[0].text, *(p.text for p in parts)])} = {middle:.4g} {span}; printed {total.text} {total.value}"
        yield _agreement("total = direct + indirect", total, done, span, "the sum", "not the sum")


def constants(rows: Sequence[PrintedRow], treated: Interval | None, treated_text: str) -> Iterator[Check]:
    """Constant + effect × mean of the treatment = mean of the outcome, which holds in every least-squares fit without other regressors."""
    for constant in find(rows, estimand="constant"):
        effect, mean = find(rows, estimand="driving", term=constant.term), find(rows, estimand="mean", term=constant.term)
        if treated is None or not effect or not mean:
            continue
        span = constant.value + effect[0].value * treated
        middle = float(constant.text) + float(effect[0].text) * float(treated_text)
        done = f"{constant.text} + {effect[0].text} × {treated_text} = {middle:.4g} {span}; printed mean {mean[0].text} {mean[0].value}"
        yield _agreement("constant + effect × mean = mean", mean[0], done, span, "fits", "does not fit")


def _agreement(check: str, row: PrintedRow, arithmetic: str, span: Interval, yes: str, no: str) -> Check:
    agrees = row.value.meets(span)
    return Check(check, row.words, row.text, arithmetic, HOLDS if agrees else CONTRADICTED, f"{row.text} is {yes if agrees else no}")


# ── R² ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def partial_r2(rows: Sequence[PrintedRow], units: int | None, periods: int | None) -> Iterator[Check]:
    """R² of nested columns: never falls, and its rise gives the t of the one variable added, t² = p/(1 − p)·df with classical errors.

    p = (R₁² − R₀²)/(1 − R₀²) holds for any R² with one fixed total, within or with the effects' dummies. Degrees of freedom run from with
    to without effects of unit and period. A clustered standard error may be larger: up to √periods times where the rows of equally
    large units move as one; a conflict beyond that is called a contradiction.
    """
    columns = find(rows, estimand="r_squared")
    for before, after in pairwise(columns):
        if before.term != after.term or before.region != after.region:
            continue
        old, new = (_regressors(rows, r) for r in (before, after))
        if not set(old) < set(new):
            continue
        rise = f"{before.text} → {after.text}"
        if after.value.upper < before.value.lower:
            done = f"{after.text} {after.value} < {before.text} {before.value}"
            yield Check("R² of nested columns", after.words, rise, done, CONTRADICTED, "R² falls although a variable is added")
            continue
        added = [new[key] for key in new if key not in old]
        if len(added) == 1 and added[0].n_obs and added[0].absolute_t() is not None:
            yield _partial_r2(before, after, added[0], len(new), units, periods)


def _regressors(rows: Sequence[PrintedRow], column: PrintedRow) -> dict[tuple[str, str], PrintedRow]:
    here = [r for name in _REGRESSORS for r in find(rows, estimand=name, variant=column.variant, region=column.region)]
    return {(r.estimand, r.term): r for r in here}


def _partial_r2(before: PrintedRow, after: PrintedRow, added: PrintedRow, regressors: int, units: int | None, periods: int | None) -> Check:
    """|t| that the rise of R² implies, set against the printed one."""
    n = int(added.n_obs.replace(",", ""))
    effects = (units - 1) + (periods - 1) if units and periods else 0
    degrees = (max(n - 1 - regressors - effects, 1), n - 1 - regressors)
    shares = [max(r1 - r0, 0.0) / (1 - r0) for r1, r0 in ((after.value.lower, before.value.upper), (after.value.upper, before.value.lower))]
    implied = Interval(*(math.sqrt(p / (1 - p) * df) if p < 1 else math.inf for p, df in zip(shares, degrees, strict=True)))
    printed, words = added.absolute_t()
    middle = (float(after.text) - float(before.text)) / (1 - float(before.text))
    done = (
        f"partial R² = ({after.text} − {before.text})/(1 − {before.text}) = {middle:.4g} {Interval(*shares)}; with {degrees[0]:,} "
        f"to {degrees[1]:,} degrees of freedom |t| = {implied}; printed {words}"
    )
    outcome, verdict = _r2_verdict(implied, printed, periods)
    return Check(
        "partial R² against t", added.words, f"R² {before.text} → {after.text}; {added.text} ({added.se_text})", done, outcome, verdict
    )


def _r2_verdict(implied: Interval, printed: Interval, periods: int | None) -> tuple[str, str]:
    if implied.meets(printed):
        return HOLDS, "the rise of R² and t fit"
    if implied.upper < printed.lower:
        return OPEN, "t is larger than the rise of R² gives with classical errors; robust errors could be that small"
    ratio = implied.lower / printed.upper
    words = f"the standard error would have to be at least {ratio:.1f} times the classical one"
    if periods and ratio > math.sqrt(periods):
        reach = f"rows of a unit that move as one give √{periods} = {math.sqrt(periods):.1f}"
        return CONTRADICTED, f"{words}; {reach}. Either figure is wrong, or R² has no fixed total (Stata's overall R² has not)"
    return OPEN, f"{words}, which clustering could give"
