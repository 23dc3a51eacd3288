"""Malmquist, Malmquist–Luenberger and slack-based productivity indices with their parts."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.executors import Executor
from bayes.measure._bootstrap import FEWEST
from bayes.measure._dea_table import BOOTSTRAP, corrected_source, with_empty_draws
from bayes.measure._malmquist_bootstrap import malmquist_draws
from bayes.measure._malmquist_distances import Measure, Pairs, consecutive_pairs
from bayes.measure._malmquist_parts import Method, all_distances, parts_of, reasons_of
from bayes.measure._malmquist_table import index_table, lone_units, refuse_grouping
from bayes.measure._quantities import Production, is_weak, mean_weights, production_of, returns_of
from bayes.measure._technologies import Returns
from bayes.panel import Panel
from bayes.validation import one_of, whole_number

MEASURES = ("radial", "directional", "sbm")
DECOMPOSITIONS = ("fgnz", "ray-desli")
REFERENCES = ("adjacent", "global", "sequential")
ORIENTATIONS = {"radial": ("output", "input"), "directional": ("output", "input", "none"), "sbm": ("none", "input", "output")}
"""Orientations of each measure, the default first."""
_LONG = 5000
"""Programs from which on progress is shown on a terminal."""


@checked
def malmquist(
    panel: Panel, inputs: Sequence[str], outputs: Sequence[str], bad_outputs: Sequence[str] = (), orientation: str | None = None,
    decomposition: str = "fgnz", reference: str = "adjacent", measure: str | None = None, returns: str = "crs",
    disposability: str | None = None, direction: Mapping[str, float | str] | None = None, by: str = "unit:period", cumulative: bool = False,
    weights: str | None = None, replicates: int = 0, seed: int = 0, level: float = 0.95, cores: int | None = None, backend: str = "auto",
    progress: bool | None = None, resume: str | Path | None = None, executor: Executor | None = None,
) -> Estimates:  # fmt: skip
    """Productivity change of every unit between its consecutive periods, and its parts. Above 1 is improvement in every index.

    Let S^s(t) be the score of the observation of period t against the technology of period s: larger is better, 1 on the frontier, above 1
    outside. The index of a pair t, t' (``period`` = t') is M = √[S^t(t')/S^t(t) · S^t'(t')/S^t'(t)] (Caves, Christensen & Diewert 1982,
    Econometrica 50(6); Färe, Grosskopf, Norris & Zhang 1994, American Economic Review 84(1)). Scores, by ``measure``:

    - "radial": 1/φ (orientation "output", default) or θ ("input"): the Malmquist index. Some programs divide the input-oriented way round,
      or report the reciprocal of the output index; here above 1 is improvement under both orientations.
    - "directional": 1/(1 + β), every observation moving in its own direction, by default g = (0, y, b): outputs up, undesirable outputs
      down. This is the Malmquist–Luenberger index of Chung, Färe & Grosskopf (1997, Journal of Environmental Management 51(3)).
    - "sbm": ρ of Tone (2001; undesirable outputs Tone 2003), of an observation outside the technology its slack-based super-efficiency δ ≥
      1 (Tone 2002), which ρ alone does not give; a global reference needs none.

    Parameters
    ----------
    inputs, outputs, bad_outputs : list of str
        Columns of amounts (levels, not logs).
    orientation : str, optional
        Radial: "output" (default) or "input". Directional: "output" (default), "input" (inputs only), "none" (all move). Slack-based:
        "none" (default), "input", "output".
    decomposition : "fgnz" (default) or "ray-desli"
        ``fgnz``: M = EC·TC, EC = PTEC·SEC; M, EC and TC under constant returns, PTEC = EC under variable returns (Färe et al. 1994).
        ``ray-desli``: M = PTEC·TC·SEC with the same M and PTEC, TC under variable returns in both periods, and SEC = M/M_v, the change of
        scale efficiency at both periods' technologies (Ray & Desli 1997, American Economic Review 87(5)). TC and SEC are NaN where a
        crossed variable-returns score does not exist. It has no ``ec``.
    reference : "adjacent" (default), "global" or "sequential"
        Technologies of t and t'. "global": M = S^G(t')/S^G(t) against all periods together, circular and never infeasible; EC against the
        period's own technology, TC = M/EC (Pastor & Lovell 2005, Economics Letters 88(2); Oh 2010, Journal of Productivity Analysis 34(3)).
        "sequential": technology of t spanned by all periods up to t (Tulkens & Vanden Eeckaut 1995, European Journal of Operational
        Research 80(3); Shestalova 2003, Journal of Productivity Analysis 19(2)).
    measure : "radial", "directional" or "sbm", optional
        Default: radial without undesirable outputs, directional with them.
    returns : "crs" (default), "vrs", "nirs" or "ndrs"
        Technology that M, EC and TC rest on. Other than "crs", M is no longer total factor productivity and PTEC and SEC are not given.
    disposability : "weak" or "strong", optional
        Undesirable outputs fall only together with outputs (Σλb = b), or freely (Σλb ≤ b). Default: "weak" for the directional measure, as
        in Chung, Färe & Grosskopf, else "strong". Weak disposability leaves more crossed scores infeasible.
    direction : mapping, optional
        For "directional": column → number or "own", as in :func:`bayes.measure.dea`.
    by : "unit:period" (default), "unit", "region", "period", "region:period" or "all"
        Groups hold geometric means over their pairs.
    cumulative : bool
        Chain over time, first period = 1 (``variant`` "cumulative").
    weights : str, optional
        Column of positive weights for groups' means; a change has the weight of its later row. Default: the panel's weights, else equal
        ones.
    replicates : int
        Replicates of the bootstrap of Simar & Wilson (1999), 0 (default) for none; for radial indices with adjacent references. Adds rows
        of a second ``source``, "…, bias-corrected": their draws are Î²/I* (see
        :func:`bayes.measure._malmquist_bootstrap.malmquist_draws`), their ``prob_positive`` is P(index > 1). Draws of other rows are NaN.
    seed, level : of the bootstrap and of its intervals
    cores : threads of the bootstrap (default: all cores); results do not depend on them
    resume : str or Path, optional
        A folder in which the bootstrap keeps what is finished: the same call after an interruption goes on there.
    executor : dask.distributed.Client, optional
        Its workers compute the replicates of the bootstrap, with the same result (docs/scaling.md).
    backend : "auto", "highs" or "scipy"
    progress : bool, optional
        Count of technologies, or of the bootstrap's chunks, on the terminal; by default on a terminal, where it takes long.

    Unbalanced panels: a technology is spanned by the units present in its period; pairs are consecutive observations of a unit. An index
    over a gap is annualised (to the power 1/steps) and counts once, in its later period, as in ``FrontierFit.productivity``; chains
    multiply it back. Units observed once are in no pair; ``meta["observed_once"]`` lists them. ``meta["without_value"]`` counts pairs that
    lack an index.

    Returns
    -------
    Estimates
        Estimands ``malmquist``, ``ec``, ``tc``, ``ptec``, ``sec``. An index without a value is NaN, ``identified`` False, with the reason
        in ``note``; means leave such pairs out, each index its own, and ``note`` counts them (so that parts need not multiply to M there).
        ``n_obs`` counts pairs. ``meta["convention"]`` says how to read the numbers.

    Raises
    ------
    SpecificationError, MissingColumnError, MissingValueError, NotPositiveError, NoVariationError
        Unknown options or pairs of options, no unit observed twice, missing columns or values, negative amounts, zeros under
        "sbm", weights that are not positive.
    """
    whole_number("seed", seed, 0)
    usual = "directional" if bad_outputs is not None and len(bad_outputs) else "radial"
    model = one_of("measure", usual if measure is None else measure, MEASURES)
    refuse_grouping(by, cumulative)
    production = production_of(panel, inputs, outputs, bad_outputs, positive=model == "sbm")
    method = _method(model, orientation, decomposition, reference, returns, disposability, direction, bad_outputs, backend)
    pairs = observed_pairs(production)
    row_weights = mean_weights(panel, weights)
    shown = sys.stderr.isatty() and 3 * panel.n_rows > _LONG if progress is None else progress
    distances = all_distances(production, pairs, method, progress=shown)
    parts = parts_of(distances, pairs, method.decomposition)
    words = _words(method)
    out = index_table(
        panel, pairs, parts, reasons_of(distances, production, pairs, method.decomposition), by, cumulative, row_weights, **words,
        outcome=", ".join(outputs), without_value={name: int(np.isnan(v).sum()) for name, v in parts.items()},
        weighted_by=weights or panel.weights or "",
        observed_once=[str(panel.units[u]) for u in lone_units(panel, panel.unit_codes[pairs.second])],
    )  # fmt: skip
    if not whole_number("replicates", replicates, 0):
        return out
    whole_number("replicates", replicates, FEWEST)
    drawn = malmquist_draws(production, pairs, method, replicates, seed, cores, progress, resume, executor)
    corrected = index_table(
        panel, pairs, drawn.parts, drawn.reasons, by, cumulative, row_weights, corrected_source(words["source"]), level=level,
        interval=BOOTSTRAP,
    )  # fmt: skip
    both = with_empty_draws(out, replicates) + corrected
    return replace(both, meta=out.meta | {"bootstrap": BOOTSTRAP, "replicates": replicates, "seed": seed})


def observed_pairs(production: Production) -> Pairs:
    """Pairs of consecutive observations. Raises :class:`SpecificationError` when no unit has two."""
    pairs = consecutive_pairs(production)
    if not len(pairs):
        raise SpecificationError("No unit is observed twice: productivity change needs two rows of a unit.")
    return pairs


def _method(
    model: str, orientation: str | None, decomposition: str, reference: str, returns: str, disposability: str | None,
    direction: Any, bad_outputs: Sequence[str], backend: str,
) -> Method:  # fmt: skip
    orientation = one_of("orientation", ORIENTATIONS[model][0] if orientation is None else orientation, ORIENTATIONS[model])
    one_of("decomposition", decomposition, DECOMPOSITIONS)
    one_of("reference", reference, REFERENCES)
    if direction is not None and model != "directional":
        raise SpecificationError(f"direction belongs to measure='directional', not to {model!r}.")
    scale = returns_of(returns)
    if scale != Returns.CONSTANT and decomposition == "ray-desli":
        raise SpecificationError(
            f"decomposition='ray-desli' splits an index under constant returns, not returns={returns!r}: leave returns='crs', or take "
            "decomposition='fgnz', which gives M, EC and TC under other returns."
        )
    if disposability is None:
        disposability = "weak" if model == "directional" and len(bad_outputs) else "strong"
    weak = is_weak(disposability, bad_outputs)
    if weak and model == "sbm":
        raise SpecificationError(
            "measure='sbm' takes undesirable outputs as strongly disposable (Tone 2003): leave disposability='strong'."
        )
    name = decomposition if scale == Returns.CONSTANT else "plain"
    return Method(Measure(model, orientation, weak, direction, backend), name, reference, scale)


def _words(method: Method) -> dict[str, Any]:
    """Title, source and conventions of an index."""
    m = method.measure
    name = {"radial": "Malmquist", "directional": "Malmquist–Luenberger", "sbm": "Slack-based Malmquist"}[m.model]
    split = {"fgnz": "FGNZ", "ray-desli": "Ray–Desli", "plain": method.returns.value.upper()}[method.decomposition]
    way = "non-oriented" if m.orientation == "none" else f"{m.orientation}-oriented"
    over = "" if method.reference == "adjacent" else f", {method.reference}"
    bads = "weak" if m.weak else "strong"
    source = f"{name}, {way}, {split}{over}" + (f", {bads} disposability" if m.model == "directional" else "")
    product = "malmquist = ptec·tc·sec" if method.decomposition == "ray-desli" else "malmquist = ec·tc"
    product += ", ec = ptec·sec" if method.decomposition == "fgnz" else ""
    base = {
        "adjacent": "geometric mean over the technologies of both periods",
        "sequential": "geometric mean over the technologies of both periods, each spanned by all periods up to it",
        "global": "technology of all periods together; ec against the own period's",
    }[method.reference]
    score = {
        "radial": "1/φ" if m.orientation == "output" else "θ",
        "directional": "1/(1 + β), each observation in its own direction" if m.direction is None else "1/(1 + β) in the direction given",
        "sbm": "ρ, outside the technology super-efficiency δ",
    }[m.model]
    convention = (
        f"index > 1 is improvement; {product}; {base}; score {score}; returns {method.returns.value}; "
        f"undesirable outputs {bads}ly disposable; period is the later one; changes over gaps annualised; means are geometric"
    )
    return {
        "source": source, "title": f"{name} index", "convention": convention, "measure": m.model, "orientation": m.orientation,
        "decomposition": method.decomposition, "reference": method.reference, "returns": method.returns.value, "disposability": bads,
    }  # fmt: skip
