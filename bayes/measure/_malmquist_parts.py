"""Productivity indices and their parts from scores: Färe, Grosskopf, Norris & Zhang, Ray & Desli, and a global technology.

S^s(t) is the score of the observation of period t against the technology of period s; c and v stand for constant and variable returns, G
for the technology of all periods. A pair of observations at t and t' > t has

- M = √[S^t(t')/S^t(t) · S^t'(t')/S^t'(t)], with a global technology S^G(t')/S^G(t);
- EC = S^t'(t')/S^t(t), TC = M/EC = √[S^t(t')/S^t'(t') · S^t(t)/S^t'(t)] (global: the change of the gap between best practices);
- PTEC = S_v^t'(t')/S_v^t(t), SEC = EC/PTEC (Färe et al. 1994);
- Ray & Desli (1997): TC is M_v/PTEC and SEC is M_c/M_v, so that M_c = PTEC·TC·SEC.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bayes.measure._linear_programs import Status
from bayes.measure._malmquist_distances import UNDEFINED, Distances, Measure, Pairs, crossed_scores, own_scores
from bayes.measure._quantities import Production
from bayes.measure._technologies import Quantities, Returns

_GLOBAL = "global"


@dataclass(frozen=True, eq=False)
class Method:
    """What an index is made of.

    Attributes
    ----------
    measure : Measure
    decomposition : "fgnz", "ray-desli" or "plain"
    reference : "adjacent", "global" or "sequential"
    returns : Returns, of the technology that M rests on; constant for the first two decompositions
    """

    measure: Measure = field(default_factory=Measure)
    decomposition: str = "fgnz"
    reference: str = "adjacent"
    returns: Returns = Returns.CONSTANT


@dataclass(frozen=True, eq=False)
class AllDistances:
    """Distances that a method needs; None where it does not need them.

    Attributes
    ----------
    index, common : under the returns that M rests on, against the periods' technologies and against the common one
    variable, variable_common : the same under variable returns
    """

    index: Distances
    common: Distances | None
    variable: Distances | None
    variable_common: Distances | None


def all_distances(
    production: Production, pairs: Pairs, method: Method, spanning: Quantities | None = None, progress: bool = False
) -> AllDistances:
    """Every score that the indices of ``method`` need. ``spanning`` replaces the quantities that technologies are spanned from."""
    measure, shared = method.measure, method.reference == _GLOBAL
    kind = "sequential" if method.reference == "sequential" else "contemporaneous"

    def of_periods(returns: Returns, crossed: bool) -> Distances:
        if crossed and not shared:
            return crossed_scores(production, pairs, measure, returns, kind, spanning, progress)
        return own_scores(production, measure, returns, kind, spanning, progress)

    def of_all(returns: Returns) -> Distances | None:
        return own_scores(production, measure, returns, _GLOBAL, spanning, progress) if shared else None

    rays = method.decomposition == "ray-desli"
    variable = None if method.decomposition == "plain" else of_periods(Returns.VARIABLE, rays)
    common, variable_common = of_all(method.returns), of_all(Returns.VARIABLE) if rays else None
    return AllDistances(of_periods(method.returns, True), common, variable, variable_common)


def index_parts(
    production: Production, pairs: Pairs, method: Method, spanning: Quantities | None = None, progress: bool = False
) -> dict[str, np.ndarray]:
    """Index and parts of every pair, {name: (n_pairs,)}, over the whole span of the pair; NaN where a score is missing.

    ``spanning`` (row by row as ``production.quantities``) are quantities that technologies are spanned from, in place of the evaluated
    ones: what a bootstrap replaces.
    """
    return parts_of(all_distances(production, pairs, method, spanning, progress), pairs, method.decomposition)


def parts_of(d: AllDistances, pairs: Pairs, decomposition: str) -> dict[str, np.ndarray]:
    """Index and parts from scores, {name: (n_pairs,)}."""
    total = total_change(d.index, d.common, pairs)
    if decomposition == "ray-desli":
        pure, variable = own_change(d.variable, pairs), total_change(d.variable, d.variable_common, pairs)
        return {"malmquist": total, "tc": variable / pure, "ptec": pure, "sec": total / variable}
    catching_up = own_change(d.index, pairs)
    parts = {"malmquist": total, "ec": catching_up, "tc": total / catching_up}
    if decomposition == "fgnz":
        pure = own_change(d.variable, pairs)
        parts |= {"ptec": pure, "sec": catching_up / pure}
    return parts


def own_change(d: Distances, pairs: Pairs) -> np.ndarray:
    """S^t'(t')/S^t(t)."""
    return d.own[pairs.second] / d.own[pairs.first]


def total_change(d: Distances, common: Distances | None, pairs: Pairs) -> np.ndarray:
    """M: against the common technology where there is one, else the geometric mean over the technologies of both periods."""
    if common is not None:
        return own_change(common, pairs)
    return np.sqrt((d.ahead / d.own[pairs.first]) * (d.own[pairs.second] / d.behind))


# ── what is missing, and why ────────────────────────────────────────────────────────────────────────────────────────

_WORDS = {
    int(Status.INFEASIBLE): "infeasible",
    int(Status.UNBOUNDED): "unbounded",
    int(Status.FAILED): "not solved",
    UNDEFINED: "so far outside that 1 + β ≤ 0",
}


def reasons_of(d: AllDistances, production: Production, pairs: Pairs, decomposition: str) -> dict[str, dict[int, str]]:
    """Why a pair has no value: {index: {pair: reason}}. Reasons name the observation's period and the technology's."""
    panel = production.panel
    times = panel.frame[panel.time].to_numpy()
    index = _reasons((d.index, d.common), times, pairs, "")
    variable = _reasons((d.variable, d.variable_common), times, pairs, " under variable returns")
    both = {p: "; ".join(words[p] for words in (index, variable) if p in words) for p in index | variable}
    rays = decomposition == "ray-desli"
    return {"malmquist": index, "ec": index, "tc": variable if rays else index, "ptec": variable, "sec": both}


def _reasons(found: tuple[Distances | None, Distances | None], times: np.ndarray, pairs: Pairs, suffix: str) -> dict[int, str]:
    out: dict[int, list[str]] = {}
    for distances, common in zip(found, (False, True), strict=True):
        if distances is None:
            continue
        checks = [(pairs.first, pairs.first, distances.own_status[pairs.first])]
        checks += [(pairs.second, pairs.second, distances.own_status[pairs.second])]
        if distances.ahead_status is not None:
            checks += [(pairs.second, pairs.first, distances.ahead_status), (pairs.first, pairs.second, distances.behind_status)]
        for seen, held, status in checks:
            for p in np.flatnonzero(status != Status.OPTIMAL):
                where = "all periods" if common else times[held[p]]
                out.setdefault(int(p), []).append(f"{times[seen[p]]} against the technology of {where}{suffix}: {_WORDS[int(status[p])]}")
    return {p: "; ".join(words) for p, words in out.items()}
