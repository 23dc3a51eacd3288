"""What a panel must satisfy for a frontier. Each function checks one thing; errors and warnings name column, region, unit and remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import qr
from scipy.special import ndtr

from bayes.errors import (
    CollinearColumnsError,
    NoVariationError,
    SpecificationError,
    TimingWarning,
    WeakRegionWarning,
    WrongSkewnessWarning,
    warn_user,
)
from bayes.frontier import technology as tech
from bayes.frontier.skewness import coelli_1995
from bayes.frontier.support import SHARED, WITH_UNIT_EFFECTS
from bayes.panel import Panel

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

_RANK_TOLERANCE = 1e-9
_ROUNDING = 1e-12
_SIGNIFICANT = 0.01
_PARTIAL = "pooling=('technology', 'efficiency')"


def check_panel(spec: StochasticFrontier, panel: Panel) -> None:
    """Refuse panels that do not determine the frontier asked for, and state what weakens it. Nothing is changed and nothing is dropped.

    Columns are taken as they are: whether they hold logarithms is not guessed (``panel.log`` names rows that are not positive).

    Raises
    ------
    MissingColumnError, NotNumericError, MissingValueError
        From the panel, naming column, unit and period.
    NoVariationError
        A column is constant, or constant in a region that stands alone (``pooling="none"``); or the frontier fits the output exactly.
    CollinearColumnsError
        A term of the frontier, or a determinant, is an exact linear combination of others (of the whole panel; of a region's rows with
        ``pooling="none"``). Rank of the centred design by QR with pivoting, relative tolerance 1e-9.
    SpecificationError
        More parameters than rows (with ``pooling="none"``: than rows of a region, or than its units where the model has something per
        unit); a model with something per unit and one row in every unit, or one unit; two terms of one name.

    Warns
    -----
    WeakRegionWarning
        Regions with fewer units than terms under partial pooling; regions of one unit; a region column with a single region.
    TimingWarning
        Gaps and early ends under ``bc92`` and ``kumbhakar-1990``.
    WrongSkewnessWarning
        Skewness of least-squares residuals that contradicts ``kind`` at the 1 % level, one-sided (Coelli 1995).
    """
    terms = tech.terms(spec.inputs, spec.technology, spec.technical_change, spec.covariates)
    _refuse_clashing_names(spec, terms)
    _refuse_constant_columns(spec, panel)
    _refuse_units_that_show_nothing(spec, panel)
    _refuse_more_parameters_than_data(spec, panel, len(terms))
    variables = _variables(spec, panel)
    design = tech.design(terms, {name: v - v.mean() for name, v in variables.items()}).T
    if _stands_alone(spec, panel):
        _refuse_constant_in_region(panel, variables)
    _refuse_collinear_terms(spec, panel, design, terms)
    _refuse_collinear_determinants(spec, panel)
    _warn_of_weak_regions(spec, panel, len(terms))
    _warn_of_timing(spec, panel)
    _check_residuals(spec, panel, design)


# ── what the columns hold ───────────────────────────────────────────────────────────────────────────────────────────


def _refuse_clashing_names(spec: StochasticFrontier, terms: tuple[tech.Term, ...]) -> None:
    names = [tech.term_name(t) for t in terms]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise SpecificationError(
            f"Two terms of the frontier would be called {twice[0]!r}: rename columns that contain ':' or are called {tech.INTERCEPT!r}."
        )
    if spec.output in (*spec.determinants, *spec.noise_determinants):
        raise SpecificationError(f"The output {spec.output!r} stands among its own determinants. Leave it out there.")


def _refuse_constant_columns(spec: StochasticFrontier, panel: Panel) -> None:
    roles = {spec.output: "output", **dict.fromkeys(spec.inputs, "inputs"), **dict.fromkeys(spec.covariates, "covariates")}
    roles |= dict.fromkeys(spec.noise_determinants, "noise_determinants") | dict.fromkeys(spec.determinants, "determinants")
    for name, role in roles.items():
        values = panel.column(name)
        if _is_constant(values):
            remedy = "Check how the column was made." if role == "output" else f"Leave it out of {role}: the intercept holds it already."
            raise NoVariationError(f"Column {name!r} ({role}) is {values[0]:g} in every row, so that it explains nothing. {remedy}")


def _refuse_constant_in_region(panel: Panel, variables: dict[str, np.ndarray]) -> None:
    """With regions on their own a column that is constant in one of them is that region's intercept."""
    rows = _region_of_rows(panel)
    for name, values in variables.items():
        where = [r for r in range(panel.regions.size) if _is_constant(values[rows == r])]
        if where:
            column = panel.time if name == tech.TIME else name
            raise NoVariationError(
                f"Column {column!r} is constant in {_named(panel.regions[where], 'region')}, where pooling='none' leaves nothing else to "
                f"learn its coefficient from. Leave it out, or pool regions partially ({_PARTIAL})."
            )


def _is_constant(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= _ROUNDING * np.abs(values).max())


# ── how much there is to learn from ─────────────────────────────────────────────────────────────────────────────────


def _refuse_units_that_show_nothing(spec: StochasticFrontier, panel: Panel) -> None:
    if spec.model not in (*SHARED, *WITH_UNIT_EFFECTS):
        return
    if panel.n_rows == panel.n_units:
        raise SpecificationError(
            f"Every unit ({panel.unit}) has a single row: model={spec.model!r} needs repeated rows to tell what belongs to the unit from "
            "noise. Use model='pooled'."
        )
    if panel.n_units == 1:
        raise SpecificationError(
            f"There is one unit, {panel.units[0]!r}: model={spec.model!r} cannot tell what belongs to it from the intercept. "
            "Use model='pooled'."
        )


def _refuse_more_parameters_than_data(spec: StochasticFrontier, panel: Panel, n_terms: int) -> None:
    shifters = len(spec.determinants) + len(spec.noise_determinants)
    if n_terms + 2 + shifters > panel.n_rows:
        raise SpecificationError(
            f"The panel has {panel.n_rows} rows for {n_terms + 2 + shifters} parameters ({n_terms} technology terms, σ_u, σ_v"
            f"{f', {shifters} determinants' if shifters else ''}). Collect more, {_fewer_terms(spec)}, or drop time and covariates."
        )
    if not _stands_alone(spec, panel):
        return
    units = np.bincount(panel.unit_regions, minlength=panel.regions.size)
    single = np.flatnonzero(units == 1)
    if single.size and spec.model in WITH_UNIT_EFFECTS:
        raise SpecificationError(
            f"One unit only in {_named(panel.regions[single], 'region')}: with pooling='none' and model={spec.model!r} its unit effect and "
            f"the region's intercept cannot be told apart. Pool regions partially ({_PARTIAL}), merge regions or use model='pooled'."
        )
    per_unit = spec.model in (*SHARED, *WITH_UNIT_EFFECTS)
    counts = units if per_unit else np.bincount(_region_of_rows(panel), minlength=panel.regions.size)
    short = np.flatnonzero(counts < n_terms + 2)
    if short.size:
        raise SpecificationError(
            f"Fewer {'units' if per_unit else 'rows'} than the {n_terms + 2} parameters of a region ({n_terms} technology terms, σ_u, σ_v) "
            f"in {_listed([f'{panel.regions[r]!r} ({counts[r]})' for r in short])}: with pooling='none' regions learn nothing from each "
            f"other. Pool them partially ({_PARTIAL}), {_fewer_terms(spec)}, or merge regions."
        )


def _fewer_terms(spec: StochasticFrontier) -> str:
    return "use technology='cobb-douglas'" if spec.technology == "translog" else "leave columns out"


def _warn_of_weak_regions(spec: StochasticFrontier, panel: Panel, n_terms: int) -> None:
    parts = spec.pooled_parts
    if not parts or panel.region is None or spec.pooling == "none":
        return
    if panel.regions.size == 1:
        warn_user(
            f"Column {panel.region!r} has one region only ({panel.regions[0]!r}): nothing varies by region, and pooling={parts!r} is the "
            "common frontier. Say pooling='complete', or name another column with region= in Panel.from_frame.",
            WeakRegionWarning,
        )
        return
    units = np.bincount(panel.unit_regions, minlength=panel.regions.size)
    short, single = np.flatnonzero(units < n_terms), np.flatnonzero(units == 1)
    if short.size and "technology" in parts:
        warn_user(
            f"Fewer units than the {n_terms} technology terms in {_listed([f'{panel.regions[r]!r} ({units[r]})' for r in short])}: "
            "their technology leans on the other regions and on the prior of the spread between regions.",
            WeakRegionWarning,
        )
    reasons = []
    if "technology" in parts and spec.model in (*SHARED, *WITH_UNIT_EFFECTS):
        what = "unit effect" if spec.model in WITH_UNIT_EFFECTS else "inefficiency"
        reasons.append(f"the {what} of the unit and the region's intercept cannot be told apart")
    if "efficiency" in parts:
        reasons.append("the region's σ_u rests on that unit alone")
    if single.size and reasons:
        warn_user(
            f"One unit only in {_named(panel.regions[single], 'region')}: {' and '.join(reasons)}, beyond what the other regions and the "
            "prior say. Merge such regions, or read their estimates as the hierarchy's.",
            WeakRegionWarning,
        )


# ── linear combinations ─────────────────────────────────────────────────────────────────────────────────────────────


def _refuse_collinear_terms(spec: StochasticFrontier, panel: Panel, design: np.ndarray, terms: tuple[tech.Term, ...]) -> None:
    alone = _stands_alone(spec, panel)
    rows = _region_of_rows(panel) if alone else np.zeros(panel.n_rows, dtype=int)
    for r in range(rows.max() + 1):
        found = _combination(design[rows == r, 1:])
        if found is None:
            continue
        term, others = terms[1 + found[0]], [tech.term_name(terms[1 + j]) for j in found[1]]
        where = f" in region {panel.regions[r]!r}, which pooling='none' leaves on its own" if alone else ""
        remedies = ["Leave one of them out" if others else "Leave its column out"]
        if len(term) == 2 and term[0] != term[1] and tech.TIME in term:
            remedies.append("use technical_change='neutral'")
        elif tech.TIME in term and len(term) == 1:
            remedies.append("use technical_change='none'")
        elif len(term) == 2:
            remedies.append("use technology='cobb-douglas'")
        remedies += [f"pool regions partially ({_PARTIAL})"] * alone
        what = f"an exact linear combination of {_listed(others)} (up to a constant)" if others else "the same in every row"
        raise CollinearColumnsError(f"Term {tech.term_name(term)!r} is {what}{where}. {', or '.join(remedies)}.")


def _refuse_collinear_determinants(spec: StochasticFrontier, panel: Panel) -> None:
    """Columns of one list may not be combinations of each other, nor of regions' own scales where regions stand alone."""
    rows = _region_of_rows(panel) if _stands_alone(spec, panel) else np.zeros(panel.n_rows, dtype=int)
    for role, scale in (("determinants", "σ_u"), ("noise_determinants", "σ_v")):
        names = getattr(spec, role)
        found = _combination(panel.matrix(names), rows) if names else None
        if found is None:
            continue
        name, others = names[found[0]], [names[j] for j in found[1]]
        if not others:
            raise NoVariationError(
                f"Column {name!r} ({role}) does not vary within any region, and with pooling='none' every region has a {scale} of its own. "
                f"Pool regions partially ({_PARTIAL}), or leave it out."
            )
        if name in others:
            raise SpecificationError(f"Column {name!r} stands twice in {role}. Leave one out.")
        within = " within regions, each of which has its own scale with pooling='none'" if rows.any() else ""
        raise CollinearColumnsError(
            f"Column {name!r} ({role}) is an exact linear combination of {_listed(others)} (up to a constant){within}. "
            "Leave one of them out."
        )


def _combination(columns: np.ndarray, groups: np.ndarray | None = None) -> tuple[int, list[int]] | None:
    """The first column that is a combination of those before it and of a constant (per group), with those; None at full rank.

    The triangle of a QR without pivoting stands for the rows: pivoting then decides the rank, least squares on it names the columns.
    """
    groups = np.zeros(len(columns), dtype=int) if groups is None else groups
    centred = columns - _means(columns, groups)[groups]
    size, left = np.linalg.norm(columns, axis=0), np.linalg.norm(centred, axis=0)
    constant = np.flatnonzero(left <= _RANK_TOLERANCE * size)
    if constant.size:
        return int(constant[0]), []
    triangle = np.linalg.qr(centred / left, mode="r")
    diagonal = np.abs(np.diag(qr(triangle, mode="r", pivoting=True)[0]))
    if diagonal.size == left.size and diagonal[-1] > _RANK_TOLERANCE * diagonal[0]:
        return None
    fits = [np.linalg.lstsq(triangle[:, :j], triangle[:, j])[0] for j in range(1, left.size)]
    distance = [float(np.linalg.norm(triangle[:, j] - triangle[:, :j] @ b)) for j, b in enumerate(fits, start=1)]
    j = next((k for k, d in enumerate(distance) if d <= _RANK_TOLERANCE), int(np.argmin(distance)))
    return j + 1, [int(k) for k in np.flatnonzero(np.abs(fits[j]) > 1e-6)]


# ── time and residuals ──────────────────────────────────────────────────────────────────────────────────────────────


def _warn_of_timing(spec: StochasticFrontier, panel: Panel) -> None:
    if spec.model not in ("bc92", "kumbhakar-1990"):
        return
    time = panel.frame[panel.time].to_numpy()
    ends = np.r_[panel.unit_starts[1:], panel.n_rows]
    first, last = time[panel.unit_starts], time[ends - 1]
    gaps = (last - first) // panel.step + 1 > ends - panel.unit_starts
    early = last < panel.periods[-1]
    if not (gaps.any() or early.any()):
        return
    bc92, found = spec.model == "bc92", []
    if gaps.any():
        found.append(f"{int(gaps.sum())} of {panel.n_units} units have gaps ({_listed(panel.units[gaps])}): periods keep their distance")
    if early.any():
        meaning = "u_i is their inefficiency in their own last period T_i" if bc92 else "they follow the same h(t) up to there"
        last_period = f"{panel.time} {panel.periods[-1]}"
        found.append(f"{int(early.sum())} of {panel.n_units} units end before {last_period} ({_listed(panel.units[early])}): {meaning}")
    path = "exp(−η(t − T_i))" if bc92 else f"1/(1 + exp(bt + ct²)), t = 1 in {panel.periods[0]},"
    warn_user(
        f"h(t) = {path} of model={spec.model!r} runs in calendar time. {'; '.join(found)}. No row is dropped or filled in; compare "
        "efficiencies of units in the same period.",
        TimingWarning,
    )


def _check_residuals(spec: StochasticFrontier, panel: Panel, design: np.ndarray) -> None:
    """Refuse an output that is fitted exactly; warn of least-squares residuals skewed against ``kind``.

    Means of regions go out where technology varies by region, and means of units where the model has unit effects: a unit's effect is
    shared by its rows, so that the chance skewness of a few dozen effects would be taken for that of many independent rows.
    """
    output, one = panel.column(spec.output), np.zeros(panel.n_rows, dtype=int)
    groups = _region_of_rows(panel) if "technology" in spec.pooled_parts else one
    if spec.model in WITH_UNIT_EFFECTS:
        groups = panel.unit_codes
    levels = [groups, panel.unit_codes] if spec.model in SHARED else [groups]
    residuals = [_residuals(output, design, level) for level in levels]
    if any(r.size and np.abs(r).max() <= _RANK_TOLERANCE * output.std() for r in residuals):
        raise NoVariationError(
            f"Column {spec.output!r} (output) is fitted exactly by the frontier's terms: no noise and no inefficiency are left to "
            "estimate. Check whether an input was computed from the output, and whether the rows of a unit are copies."
        )
    if residuals[0].size == 0:
        return
    statistic = coelli_1995(residuals[0], spec.sign).statistic
    p = float(ndtr(-spec.sign * statistic))  # of the wrong side
    if p < _SIGNIFICANT:
        expected, other = ("negative", "cost") if spec.kind == "production" else ("positive", "production")
        warn_user(
            f"Least-squares residuals are skewed against kind={spec.kind!r}, which implies {expected} skewness: Coelli's (1995) statistic "
            f"is {statistic:+.2f} (p = {p:.2g}, one-sided). Either they belong to a {other} frontier (kind={other!r}) or the data show no "
            "inefficiency. Maximum likelihood would put σ_u at zero, that is least squares; the posterior of σ_u is the prior's, held near "
            "zero. Read efficiencies beside their prior.",
            WrongSkewnessWarning,
        )


def _residuals(output: np.ndarray, design: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Least-squares residuals of rows in groups of two or more, group means taken out; empty when hardly a degree of freedom is left."""
    columns = np.column_stack([output, design[:, 1:]])
    columns = columns - _means(columns, groups)[groups]
    used = np.bincount(groups)[groups] > 1
    y, x = columns[used, 0], columns[used, 1:]
    if not y.size:
        return y
    beta, _, rank, _ = np.linalg.lstsq(x, y)
    free = y.size - np.unique(groups[used]).size - int(rank)
    return y - x @ beta if free > 2 else y[:0]


def _variables(spec: StochasticFrontier, panel: Panel) -> dict[str, np.ndarray]:
    """Inputs and covariates as they are, and the period where the technology uses it. Shapes (n_rows,)."""
    variables = {name: panel.column(name) for name in (*spec.inputs, *spec.covariates)}
    return variables if spec.technical_change == "none" else variables | {tech.TIME: panel.frame[panel.time].to_numpy(dtype=float)}


def _stands_alone(spec: StochasticFrontier, panel: Panel) -> bool:
    """Every region has parameters of its own that learn nothing from the others."""
    return spec.pooling == "none" and panel.regions.size > 1


def _region_of_rows(panel: Panel) -> np.ndarray:
    return panel.unit_regions[panel.unit_codes]


def _means(columns: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean of every column in each group, shape (n_groups, n_columns)."""
    sums = np.stack([np.bincount(groups, c) for c in columns.T], axis=1)
    return sums / np.bincount(groups)[:, None]


def _named(labels: np.ndarray, what: str) -> str:
    return f"{what}{'s' if len(labels) > 1 else ''} {_listed([repr(x) for x in labels])}"


def _listed(labels, limit: int = 5) -> str:
    more = len(labels) - limit
    return ", ".join(str(x) for x in labels[:limit]) + (f" and {more} more" if more > 0 else "")
