"""ScenarioResult: what :func:`bayes.scenarios` returns, its table of estimates, decisions and comparisons of scenarios, by draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayes.arguments import checked_methods
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.frontier import best_practice as kernels
from bayes.measure._inequality_kernels import theil_parts
from bayes.measure._rows import Rows
from bayes.validation import one_of

BASELINE = "no convergence"
QUANTITIES = ("output", "emission")
CRITERIA = {
    "distance": "smallest distance left to best practice in both dimensions, √(g'_output² + g'_emission²)",
    "output": "highest output",
    "emission": "lowest emission",
    "ratio": "highest output per emission",
}
"""What makes a scenario best."""
_ROUNDING = 1e-12
"""Differences of logarithms below this are rounding."""


@checked_methods
@dataclass(frozen=True, eq=False, repr=False)
class ScenarioResult:
    """Output and emission of one period under directions of convergence and without it. See :func:`bayes.scenarios`.

    Attributes
    ----------
    weights : pandas.DataFrame
        Weights of ``emission`` and ``output`` by scenario: the baseline "no convergence" (zeros), then the directions.
    units, regions : arrays of labels (N,)
        The units observed in the period.
    leaders : dict
        Leading unit in ``output`` and in ``emission``.
    distances : array (2, draws, N)
        g of output and of emission.
    log_levels : array (2, N)
        Observed ln output and ln emission.
    share : array (draws,)
        κ.
    level : float
        Level of the intervals.
    meta : dict
        period, columns, convergence (κ in words), pairing, absent (units not observed in the period), common_frontier (dimensions without
        regional frontiers), seed, verdict and passed of both fits.
    """

    weights: pd.DataFrame
    units: np.ndarray
    regions: np.ndarray
    leaders: dict[str, str]
    distances: np.ndarray
    log_levels: np.ndarray
    share: np.ndarray
    level: float
    meta: dict[str, Any]

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The baseline and the directions."""
        return tuple(self.weights.index)

    @cached_property
    def estimates(self) -> Estimates:
        """Everything by ``variant`` = scenario.

        ``output``, ``emission``: levels by unit (``term`` "unit") and summed over units ("all"). ``output_ratio``, ``emission_ratio``: over
        their value without convergence; ``prob_positive`` = P(ratio > 1). ``output_distance``, ``emission_distance``: g of each unit as it
        is. ``output_sigma``, ``output_theil``, ``emission_sigma``, ``emission_theil``: dispersion over units; with ``_change`` less that
        without convergence (``prob_positive`` = P(it rises)), with ``_falls`` the probability that it falls. Probabilities, and what is
        as observed in every draw, have no interval.
        """
        rows = self._rows()
        for k, quantity in enumerate(QUANTITIES):
            for scenario in self.scenarios:
                self._add_levels(rows, k, scenario)
                self._add_dispersion(rows, k, scenario)
            note = "ln distance to the best practice of all regions" + self._common_words(quantity)
            for i, values in enumerate(self.distances[k].T):
                rows.add(f"{quantity}_distance", values, note=note, term="unit", variant=BASELINE, **self._labels(i))
        return _finished(rows.estimates("Scenarios of technology convergence", self.level, **self.meta), np.stack(rows.draws))

    def decision(self, criterion: str = "distance") -> Estimates:
        """P(scenario is best) of every unit. The directions and no convergence are the options: probabilities sum to one.

        Parameters
        ----------
        criterion : "distance", "output", "emission" or "ratio"
            Smallest √(g'_output² + g'_emission²) left, where a log point counts the same in both dimensions; highest output; lowest
            emission; highest output per emission. The last three are linear in the weights: a mixture such as ``balanced`` is then never
            strictly best, by construction.

        Returns
        -------
        Estimates
            Estimand ``prob_best``, ``term`` = criterion. Scenarios that tie in a draw share it equally. Not identified for a unit that
            every scenario leaves as it is (the leader in both dimensions, κ = 0). A posterior probability has no interval.
        """
        one_of("criterion", criterion, list(CRITERIA))
        best, decided = kernels.share_of_best(np.stack([self._scores(name)[criterion] for name in self.scenarios]))
        rows, note = self._rows(), f"criterion: {CRITERIA[criterion]}"
        for name, shares in zip(self.scenarios, best, strict=True):
            for i, values in enumerate(shares.T):
                value = values if decided[i] else np.nan
                rows.add(
                    "prob_best", value, f"every scenario gives the same; {note}", note, term=criterion, variant=name, **self._labels(i)
                )
        out = rows.estimates(f"P(scenario is best): {CRITERIA[criterion]}", self.level, **self.meta)
        return _without_interval(out, np.ones(len(out), dtype=bool))

    def decision_table(self, criterion: str = "distance") -> pd.DataFrame:
        """:meth:`decision` as cells: one row a unit with a probability for each scenario, and ``best``, the most probable one."""
        table = self.decision(criterion).frame["estimate"].to_numpy().reshape(len(self.scenarios), -1).T
        names = np.array(self.scenarios, dtype=object)[np.nan_to_num(table).argmax(axis=1)]
        cells = {name: table[:, k] for k, name in enumerate(self.scenarios)}
        return pd.DataFrame({"region": self.regions, "unit": self.units, **cells, "best": np.where(np.isnan(table[:, 0]), "", names)})

    def compare(self, a: str, b: str = BASELINE) -> Estimates:
        """Advantage of scenario ``a`` over ``b`` in each draw; ``prob_positive`` is P(a is better than b).

        Estimand ``advantage``, ``variant`` = a, ``term_to`` = b, ``term`` = criterion. By unit: ``output`` (ln output under a less that
        under b), ``emission`` (ln emission under b less that under a), ``ratio`` (their sum), ``distance`` (what is left to best practice
        under b less that under a). For all units together: the same of sums, without distance, and ``output_sigma``, ``emission_sigma``
        (dispersion under b less that under a). Not identified where both give the same in every draw. Raises
        :class:`SpecificationError` on unknown names and on a scenario against itself.
        """
        for name, value in (("a", a), ("b", b)):
            one_of(name, value, self.scenarios)
        if a == b:
            raise SpecificationError(f"{a!r} is compared with itself. Scenarios: {', '.join(self.scenarios)}.")
        first, second, rows = self._scores(a), self._scores(b), self._rows()
        for name in ("output", "emission", "ratio", "distance"):
            for i, values in enumerate((first[name] - second[name]).T):
                _add_advantage(rows, values, term=name, variant=a, term_to=b, **self._labels(i))
        for name, values in self._advantages_together(a, b):
            _add_advantage(rows, values, term=name, variant=a, term_to=b, period=self.meta["period"], n_obs=len(self.units))
        return rows.estimates(f"Advantage of {a} over {b}", self.level, **self.meta)

    def __repr__(self) -> str:
        leaders = ", ".join(f"{unit} ({name})" for name, unit in self.leaders.items())
        return (
            f"Scenarios of technology convergence, {self.meta['period']:g}: {', '.join(self.scenarios[1:])} against {BASELINE}\n"
            f"{len(self.units)} units, {self.share.size} draws; leaders: {leaders}; {self.meta['convergence']}\n{self.meta['verdict']}"
        )

    # ── by draw ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _behind(self) -> np.ndarray:
        places = tuple(int(np.flatnonzero(self.units == self.leaders[name])[0]) for name in QUANTITIES)
        return kernels.behind_leaders(self.distances, places)

    def _moved(self, scenario: str) -> np.ndarray:
        return kernels.closed(self._behind, self.share, self.weights.loc[scenario, list(QUANTITIES)].to_numpy(dtype=float))

    def _scores(self, scenario: str) -> dict[str, np.ndarray]:
        return kernels.scores(self._moved(scenario), self.distances)

    def _changes(self, scenario: str) -> np.ndarray:
        """ln output and ln emission under a scenario, less their observed values: (2, draws, N)."""
        output, emission = self._moved(scenario)
        return np.stack([output, -emission])

    def _advantages_together(self, a: str, b: str) -> Iterator[tuple[str, np.ndarray]]:
        first, second = (self.log_levels[:, None] + self._changes(name) for name in (a, b))
        output, emission = np.log(np.exp(first).sum(axis=2) / np.exp(second).sum(axis=2))
        yield from (("output", output), ("emission", -emission), ("ratio", output - emission))
        wider = kernels.sd_of_logs(second) - kernels.sd_of_logs(first)
        yield from zip(("output_sigma", "emission_sigma"), wider, strict=True)

    # ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _rows(self) -> Rows:
        return Rows(self.share.size, {"source": self.meta["source"]})

    def _labels(self, i: int) -> dict[str, Any]:
        return {"unit": str(self.units[i]), "region": str(self.regions[i]), "period": self.meta["period"]}

    def _together(self, scenario: str) -> dict[str, Any]:
        return {"term": "all", "variant": scenario, "period": self.meta["period"], "n_obs": len(self.units)}

    def _add_levels(self, rows: Rows, k: int, scenario: str) -> None:
        name, note, level = QUANTITIES[k], self._note(QUANTITIES[k], scenario), np.exp(self.log_levels[k])
        ratio = np.exp(self._changes(scenario)[k])
        total = 1 + (ratio - 1) @ (level / level.sum())  # exactly 1 where nothing changes
        tables = {name: level * ratio} | ({} if scenario == BASELINE else {f"{name}_ratio": ratio})
        of_leader = note if scenario == BASELINE else f"{self.leaders[name]} leads and stays as it is"
        for estimand, table in tables.items():
            for i, values in enumerate(table.T):
                words = of_leader if self.units[i] == self.leaders[name] else note
                rows.add(estimand, values, note=words, term="unit", variant=scenario, **self._labels(i))
            together = total * (level.sum() if estimand == name else 1.0)
            rows.add(estimand, together, note=f"sum over {self._how_many()}; {note}", **self._together(scenario))

    def _add_dispersion(self, rows: Rows, k: int, scenario: str) -> None:
        note, logs = self._note(QUANTITIES[k], scenario), self.log_levels[k] + self._changes(scenario)[k]
        observed = np.broadcast_to(self.log_levels[k], logs.shape)
        measures = {
            "sigma": (kernels.sd_of_logs, "sd of the logarithm, divisor n − 1"),
            "theil": (_theil, "Theil T of the level, units weighted equally"),
        }
        for measure, (function, words) in measures.items():
            estimand, found, words = f"{QUANTITIES[k]}_{measure}", function(logs), f"{words}, over {self._how_many()}; {note}"
            rows.add(estimand, found, note=words, **self._together(scenario))
            if scenario != BASELINE:
                change = found - function(observed)
                change[np.abs(change) < _ROUNDING] = 0.0
                rows.add(f"{estimand}_change", change, note=f"less that without convergence; {words}", **self._together(scenario))
                rows.add(f"{estimand}_falls", (change < 0) * 1.0, note=f"posterior probability; {words}", **self._together(scenario))

    def _note(self, quantity: str, scenario: str) -> str:
        if scenario == BASELINE:
            return "as observed"
        if self.weights.loc[scenario, quantity] == 0 or not self.share.any():
            return f"this direction leaves {quantity} as it is"
        return f"leader: {self.leaders[quantity]}" + self._common_words(quantity)

    def _common_words(self, quantity: str) -> str:
        return "; no regional frontiers: only inefficiency separates units" if quantity in self.meta["common_frontier"] else ""

    def _how_many(self) -> str:
        n, absent = len(self.units), len(self.meta["absent"])
        return f"{n} units" if not absent else f"the {n} of {n + absent} units observed in {self.meta['period']:g}"


def _theil(logs: np.ndarray) -> np.ndarray:
    """Theil T of the levels in every draw; it does not depend on their unit, so the mean log is taken out first."""
    n = logs.shape[1]
    return theil_parts(np.exp(logs - logs.mean(axis=1, keepdims=True)), np.zeros(n, dtype=int), np.ones(n), "T").total


def _finished(out: Estimates, draws: np.ndarray) -> Estimates:
    """P(> 1) for ratios, none for levels; no interval and no P for what a scenario leaves as it is, no interval for probabilities."""
    frame = out.frame
    is_ratio, is_change = frame["estimand"].str.endswith("_ratio"), frame["estimand"].str.endswith("_change")
    frame.loc[~is_change, "prob_positive"] = np.nan
    frame.loc[is_ratio, "prob_positive"] = (draws[is_ratio.to_numpy()] > 1).mean(axis=1)
    constant = np.ptp(draws, axis=1) <= _ROUNDING * np.maximum(np.abs(draws).max(axis=1), 1e-300)
    return _without_interval(out, constant | frame["estimand"].str.endswith("_falls").to_numpy())


def _without_interval(out: Estimates, rows: np.ndarray) -> Estimates:
    out.frame.loc[rows, ["se", "lower", "upper", "level", "prob_positive"]] = np.nan
    out.frame.loc[rows, "interval"] = ""
    return out


def _add_advantage(rows: Rows, values: np.ndarray, **labels: Any) -> None:
    same = bool((np.abs(values) < _ROUNDING).all())
    rows.add("advantage", np.nan if same else values, "both give the same in every draw", **labels)
