"""Reference technologies and distances to them: directional (radial as a special case), slack-based, and slack-based super-efficiency.

A technology is spanned by reference units with inputs x, outputs y and undesirable outputs b: all (x, y, b) with Σλx ≤ x, Σλy ≥ y and
Σλb = b (weak disposability) or ≤ b (strong) for some λ ≥ 0, where Σλ = 1 (variable returns), ≤ 1 (non-increasing), ≥ 1 (non-decreasing) or
is free (constant). Weak disposability with a bound on Σλ gives every unit its own abatement factor (Kuosmanen 2005, American Journal of
Agricultural Economics 87(4)): one factor for all units is no convex technology.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from bayes.errors import SpecificationError
from bayes.measure._batched_distances import largest_movements
from bayes.measure._dominance import undominated
from bayes.measure._linear_programs import Changes, Program, Status, solve


class Returns(StrEnum):
    """Returns to scale of a technology."""

    CONSTANT = "crs"
    VARIABLE = "vrs"
    NON_INCREASING = "nirs"
    NON_DECREASING = "ndrs"


_MANY = 50
"""From so many reference units on it pays to look for dominated ones first."""
_ROUNDING = 1e-9
"""Share of a unit's quantities by which its projection may miss the technology."""
_INTENSITY_BOUNDS = {Returns.VARIABLE: (1.0, 1.0), Returns.NON_INCREASING: (-np.inf, 1.0), Returns.NON_DECREASING: (1.0, np.inf)}


@dataclass(frozen=True, eq=False)
class Quantities:
    """Inputs (n, m), outputs (n, s) and undesirable outputs (n, q) of units, or a direction with the same columns.

    A bootstrap's reference sets have a leading axis: (replicates, n, ·).
    """

    inputs: np.ndarray
    outputs: np.ndarray
    bads: np.ndarray

    def __len__(self) -> int:
        return self.inputs.shape[-2]

    def only(self, rows: np.ndarray) -> Quantities:
        return Quantities(self.inputs[rows], self.outputs[rows], self.bads[rows])

    def stacked(self) -> np.ndarray:
        """Inputs, outputs and undesirable outputs side by side, (n, m + s + q)."""
        return np.concatenate([self.inputs, self.outputs, self.bads], axis=-1)

    @property
    def widths(self) -> tuple[int, int, int]:
        return self.inputs.shape[-1], self.outputs.shape[-1], self.bads.shape[-1]


@dataclass(frozen=True, eq=False)
class Technology:
    """Reference units with the assumptions that span a technology from them."""

    reference: Quantities
    returns: Returns = Returns.CONSTANT
    weak: bool = False

    @property
    def abates(self) -> bool:
        """Whether units need abatement factors of their own: weak disposability with a bound on intensities."""
        return self.weak and self.returns != Returns.CONSTANT and self.reference.bads.shape[-1] > 0


@dataclass(frozen=True, eq=False)
class Scores:
    """One score a unit.

    Attributes
    ----------
    value : array (k,), NaN where there is no optimum
    status : array (k,) of :class:`Status`
    slacks : array (k, m + s + q) in units of the data, or None
    intensities : array (k, n) weights of the reference units, or None
    """

    value: np.ndarray
    status: np.ndarray
    slacks: np.ndarray | None = None
    intensities: np.ndarray | None = None


def radial_direction(evaluated: Quantities, orientation: str) -> Quantities:
    """Direction of the radial measures: input contracts x, output expands y (1 + β = φ, 1 − β = θ)."""
    zero = Quantities(*(np.zeros_like(part) for part in (evaluated.inputs, evaluated.outputs, evaluated.bads)))
    if orientation == "input":
        return Quantities(evaluated.inputs, zero.outputs, zero.bads)
    if orientation == "output":
        return Quantities(zero.inputs, evaluated.outputs, zero.bads)
    raise SpecificationError(f"orientation must be 'input' or 'output', got {orientation!r}.")


def directional(
    technology: Technology, evaluated: Quantities, direction: Quantities, left_out: np.ndarray | None = None, detail: bool = False,
    backend: str = "auto",
) -> Scores:  # fmt: skip
    """Largest β with (x − βg_x, y + βg_y, b − βg_b) in the technology (Chambers, Chung & Färe 1998); negative outside of it.

    ``left_out`` (k,) is the reference unit that each evaluated unit may not use (−1: none): super-efficiency. ``detail`` adds slacks left
    after the movement, from a second program that makes their sum (each over the reference's median) largest, and intensities.
    ``backend`` "auto" solves what it can in one batch (:mod:`bayes.measure._batched_simplex`), the rest one by one.
    """
    spanning = technology if left_out is not None else without_dominated(technology)
    value, status = np.full(len(evaluated), np.nan), np.full(len(evaluated), Status.FAILED, dtype=int)
    if backend == "auto" and left_out is None:
        batch, infeasible = directional_by_reference(spanning, evaluated, direction)
        value, status = batch[0], np.where(infeasible[0], Status.INFEASIBLE, np.where(np.isnan(batch[0]), Status.FAILED, Status.OPTIMAL))
    left = np.flatnonzero(status == Status.FAILED)
    if left.size:
        out = None if left_out is None else left_out[left]
        one_by_one = _directional_one_by_one(spanning, evaluated.only(left), direction.only(left), out, backend)
        value[left], status[left] = one_by_one.value, one_by_one.status
    scores = Scores(value, status)
    return _with_slacks(scores, technology, evaluated, direction, left_out, backend) if detail else scores


def directional_by_reference(technology: Technology, evaluated: Quantities, direction: Quantities) -> tuple[np.ndarray, np.ndarray]:
    """β of every evaluated unit against each of G technologies, in one batch, and where there is provably none: arrays (G, units).

    The reference of ``technology`` may hold arrays (G, n, columns); NaN without a proof is left to :func:`directional`.
    """
    rows = _technology_rows(technology)
    low, high = _bounds(technology, evaluated)
    way = np.hstack([direction.stacked(), np.zeros((len(evaluated), high.shape[1] - sum(direction.widths)))])
    return largest_movements(rows if rows.ndim == 3 else rows[None], low, high, way)


def without_dominated(technology: Technology) -> Technology:
    """The same technology, spanned by fewer units where some are dominated. Weakly disposable undesirable outputs allow no such rule."""
    reference, returns = technology.reference, technology.returns
    if len(reference) < _MANY or (technology.weak and reference.bads.shape[1]):
        return technology
    shrink, grow = returns in (Returns.CONSTANT, Returns.NON_INCREASING), returns in (Returns.CONSTANT, Returns.NON_DECREASING)
    kept = undominated(np.hstack([reference.inputs, reference.bads]), reference.outputs, shrink, grow)
    return replace(technology, reference=reference.only(kept))


def _directional_one_by_one(
    technology: Technology, evaluated: Quantities, direction: Quantities, left_out: np.ndarray | None, backend: str
) -> Scores:
    base, n = _technology_rows(technology), len(technology.reference)
    rows = base.shape[0]
    widths = technology.reference.widths
    matrix = np.column_stack([base, np.zeros(rows)])
    score = matrix.shape[1] - 1
    program = Program(
        np.r_[np.zeros(score), -1.0], np.r_[np.zeros(score), -np.inf], np.full(score + 1, np.inf), matrix,
        np.arange(sum(widths)), np.full(sum(widths), score),
    )  # fmt: skip
    low, high = _bounds(technology, evaluated)
    found = solve(program, Changes(direction.stacked(), low, high, _closed(technology, left_out, n)), backend=backend)
    return Scores(np.where(found.status == Status.OPTIMAL, -found.value, np.nan), found.status)


def slack_based(
    technology: Technology, evaluated: Quantities, orientation: str = "none", detail: bool = False, backend: str = "auto"
) -> Scores:
    """Slack-based efficiency ρ of Tone (2001, eq. 8), with undesirable outputs Tone (2003); ``orientation`` "none", "input" or "output".

    ρ = (1 − mean s⁻/x) / (1 + mean over outputs and undesirable outputs of s/y), the numerator or the denominator alone when oriented,
    by the Charnes–Cooper transformation with t the inverse of the denominator. Undesirable outputs are strongly disposable (b ≥ Σλb).
    """
    require_strong(technology)
    technology = technology if detail else without_dominated(technology)
    base, n = _technology_rows(technology), len(technology.reference)
    m, s, q = technology.reference.widths
    k, own = m + s + q, evaluated.stacked()
    extra = base.shape[0] - k
    signs = np.r_[np.ones(m), -np.ones(s), np.ones(q)]
    inputs, rest = orientation in ("none", "input"), orientation in ("none", "output")
    if orientation not in ("none", "input", "output"):
        raise SpecificationError(f"orientation of a slack-based measure must be 'none', 'input' or 'output', got {orientation!r}.")
    # Columns: intensities, slacks as shares of the unit's own quantities, t. Rows: quantities, returns, denominator.
    matrix = np.zeros((k + extra + 1, n + k + 1))
    matrix[: k + extra, :n] = base
    in_denominator = np.r_[np.zeros(m), np.full(s + q, 1 / (s + q))] if rest else np.zeros(k)
    matrix[-1, n : n + k], matrix[-1, -1] = in_denominator, 1.0
    if extra:
        matrix[k, -1] = -1.0  # the sum of intensities is bounded by t
    cost = np.r_[np.zeros(n), np.full(m, -1 / m) if inputs else np.zeros(m), np.zeros(s + q), 1.0]
    every = np.arange(k)
    places = np.r_[every, every], np.r_[n + every, np.full(k, n + k)]
    program = Program(cost, np.zeros(n + k + 1), np.full(n + k + 1, np.inf), matrix, *places)
    entries = np.hstack([own, -signs * own])
    low, high = np.zeros((len(evaluated), k + extra + 1)), np.zeros((len(evaluated), k + extra + 1))
    if extra:
        low[:, k], high[:, k] = _relative_to_t(technology.returns)
    low[:, -1] = high[:, -1] = 1.0
    found = solve(program, Changes(entries, low, high), columns=detail, backend=backend)
    value = np.where(found.status == Status.OPTIMAL, found.value, np.nan)
    if not detail:
        return Scores(value, found.status)
    t = found.columns[:, -1:]
    return Scores(value, found.status, found.columns[:, n : n + k] / t * own, found.columns[:, :n] / t)


def slack_based_super(
    technology: Technology, evaluated: Quantities, orientation: str = "none", left_out: np.ndarray | None = None, backend: str = "auto"
) -> Scores:
    """Slack-based super-efficiency of Tone (2002): how far a unit outside the technology must worsen to be reached by the reference, ≥ 1.

    δ = (1 + mean of input increases/x) / (1 − mean of decreases of outputs and increases of undesirable outputs, each over its own
    quantity); 1 for a unit that the reference reaches. With ``orientation`` "input" ("output") only inputs (outputs) move.
    """
    require_strong(technology)
    technology = technology if left_out is not None else without_dominated(technology)
    base, n = _technology_rows(technology), len(technology.reference)
    m, s, q = technology.reference.widths
    k, own = m + s + q, evaluated.stacked()
    extra = base.shape[0] - k
    signs = np.r_[np.ones(m), -np.ones(s), np.ones(q)]
    if orientation not in ("none", "input", "output"):
        raise SpecificationError(f"orientation of a slack-based measure must be 'none', 'input' or 'output', got {orientation!r}.")
    # Columns: intensities, worsening as shares of the unit's own quantities, t. Rows: quantities, returns, denominator, decreases ≤ t.
    matrix = np.zeros((k + extra + 1 + s, n + k + 1))
    matrix[: k + extra, :n] = base
    matrix[k + extra, n + m : n + k], matrix[k + extra, -1] = -1 / (s + q), 1.0
    matrix[k + extra + 1 + np.arange(s), n + m + np.arange(s)] = 1.0
    matrix[k + extra + 1 :, -1] = -1.0
    if extra:
        matrix[k, -1] = -1.0
    cost = np.r_[np.zeros(n), np.full(m, 1 / m), np.zeros(s + q), 1.0]
    upper = np.full(n + k + 1, np.inf)
    if orientation == "input":
        upper[n + m : n + k] = 0.0
    if orientation == "output":
        upper[n : n + m] = 0.0
    every = np.arange(k)
    program = Program(cost, np.zeros(n + k + 1), upper, matrix, np.r_[every, every], np.r_[n + every, np.full(k, n + k)])
    # Σλx − x·φ ≤ t x; Σλy + y·ψ ≥ t y, written as −Σλy − y·ψ ≤ −t y; Σλb − b·φ ≤ t b: one sign pattern.
    entries = np.hstack([-own, -signs * own])
    low, high = np.full((len(evaluated), k + extra + 1 + s), -np.inf), np.zeros((len(evaluated), k + extra + 1 + s))
    if extra:
        low[:, k], high[:, k] = _relative_to_t(technology.returns)
    low[:, k + extra] = high[:, k + extra] = 1.0
    found = solve(program, Changes(entries, low, high, None if left_out is None else left_out[:, None]), backend=backend)
    return Scores(np.where(found.status == Status.OPTIMAL, found.value, np.nan), found.status)


def require_strong(technology: Technology) -> None:
    """Raise :class:`SpecificationError` where undesirable outputs are weakly disposable."""
    if technology.weak:
        raise SpecificationError(
            "Slack-based measures take undesirable outputs as strongly disposable (Tone 2003). Use disposability='strong', or a "
            "directional measure."
        )


# ── rows of a technology ────────────────────────────────────────────────────────────────────────────────────────────


def _technology_rows(technology: Technology) -> np.ndarray:
    """Coefficients of intensities: rows x, −y, b, and Σλ unless returns are constant; abatement adds a second set of columns."""
    reference = technology.reference
    m, s, q = reference.widths
    signs = np.repeat([1.0, -1.0, 1.0], (m, s, q))
    rows = np.swapaxes(reference.stacked() * signs, -1, -2)
    if technology.returns == Returns.CONSTANT:
        return rows
    one = np.ones((*rows.shape[:-2], 1, rows.shape[-1]))
    rows = np.concatenate([rows, one], axis=-2)
    if not technology.abates:
        return rows
    idle = np.concatenate([rows[..., :m, :], np.zeros_like(rows[..., m : m + s + q, :]), one], axis=-2)
    return np.concatenate([rows, idle], axis=-1)


def _bounds(technology: Technology, evaluated: Quantities) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the rows of :func:`_technology_rows` at each evaluated unit."""
    high = np.hstack([evaluated.inputs, -evaluated.outputs, evaluated.bads])
    low = np.full_like(high, -np.inf)
    if technology.weak and evaluated.bads.shape[1]:
        low[:, -evaluated.bads.shape[1] :] = evaluated.bads
    if technology.returns == Returns.CONSTANT:
        return low, high
    ends = _INTENSITY_BOUNDS[technology.returns]
    return tuple(np.column_stack([side, np.full(len(evaluated), end)]) for side, end in zip((low, high), ends, strict=True))


def _relative_to_t(returns: Returns) -> tuple[float, float]:
    """Bounds of Σλ − t, where t scales the intensities of a fractional program."""
    low, high = _INTENSITY_BOUNDS[returns]
    return (0.0 if np.isfinite(low) else -np.inf), (0.0 if np.isfinite(high) else np.inf)


def _closed(technology: Technology, left_out: np.ndarray | None, n: int) -> np.ndarray | None:
    if left_out is None:
        return None
    columns = [left_out, np.where(left_out >= 0, left_out + n, -1)] if technology.abates else [left_out]
    return np.column_stack(columns)


def _with_slacks(
    scores: Scores, technology: Technology, evaluated: Quantities, direction: Quantities, left_out: np.ndarray | None, backend: str
) -> Scores:
    """The second program: at β*, the largest sum of slacks, each over the median of its quantity in the reference set."""
    base, n = _technology_rows(technology), len(technology.reference)
    k, columns = sum(technology.reference.widths), base.shape[1]
    size = np.array([np.median(column[column > 0]) if (column > 0).any() else 1.0 for column in technology.reference.stacked().T])
    slack = np.vstack([np.eye(k), np.zeros((base.shape[0] - k, k))])
    done = np.flatnonzero(scores.status == Status.OPTIMAL)
    beta = scores.value[done, None]
    here, way = evaluated.only(done), direction.only(done)
    target = Quantities(here.inputs - beta * way.inputs, here.outputs + beta * way.outputs, here.bads - beta * way.bads)
    low, high = _bounds(technology, target)
    low[:, :k] = high[:, :k]
    upper = np.full(columns + k, np.inf)
    if technology.weak:
        upper[columns + k - technology.reference.widths[2] :] = 0.0
    program = Program(np.r_[np.zeros(columns), -1 / size], np.zeros(columns + k), upper, np.hstack([base, slack]), *(np.empty(0, int),) * 2)
    closed = _closed(technology, None if left_out is None else left_out[done], n)
    changes = Changes(np.empty((done.size, 0)), low, high, closed)
    found = solve(program, changes, columns=True, backend=backend).columns
    lost = np.flatnonzero(np.isnan(found).any(axis=1))
    if lost.size:  # a point on the frontier can fall outside by rounding
        room = np.where(np.isfinite(high), np.abs(high), 0.0)[lost] * _ROUNDING
        wider = changes.only(lost)
        wider = replace(wider, row_lower=wider.row_lower - room, row_upper=wider.row_upper + room)
        found[lost] = solve(program, wider, columns=True, backend=backend).columns
    slacks, intensities = np.full((len(evaluated), k), np.nan), np.full((len(evaluated), n), np.nan)
    slacks[done], intensities[done] = np.maximum(found[:, columns : columns + k], 0.0), found[:, :n]
    return Scores(scores.value, scores.status, slacks, intensities)
