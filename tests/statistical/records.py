"""Replicates of a simulation, one line of JSON each in reports/calibration, so that an interrupted run goes on; and what they add up to."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

FOLDER = Path(__file__).resolve().parents[2] / "reports" / "calibration"


def _seed(record: dict[str, Any]) -> Any:
    return record["seed"]


def kept[K: Hashable](
    name: str, wanted: Sequence[K], make: Callable[[list[K]], Iterable[dict[str, Any]]], key: Callable[[dict[str, Any]], K] = _seed, *,
    show: bool = False, folder: Path | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """The records of these replicates (by ``key``: seeds), in their order; those that ``<name>.jsonl`` lacks are made and kept there."""
    folder = folder or FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.jsonl"
    done = {key(record): record for record in map(json.loads, file.read_text().splitlines())} if file.is_file() else {}
    for record in make([one for one in wanted if one not in done]):
        done[key(record)] = record
        with file.open("a") as out:
            out.write(json.dumps(record) + "\n")
        if show:
            print(f"{sum(one in done for one in wanted)} of {len(wanted)}", flush=True)
    return [done[one] for one in wanted]


def accuracy(part: pd.DataFrame) -> pd.Series:
    """Of rows with truth, estimate, se, held and seed: coverage and bias with Monte-Carlo errors, RMSE, mean sd over RMSE, panels.

    Monte-Carlo errors count panels: rows of one panel share its draws.
    """
    part = part.assign(error=part["estimate"] - part["truth"], held=part["held"].astype(float))
    by_panel, rmse = part.groupby("seed")[["error", "held"]].mean(), np.sqrt(((part["estimate"] - part["truth"]) ** 2).mean())
    se = by_panel.std(ddof=1) / np.sqrt(len(by_panel))
    return pd.Series(
        {
            "coverage": part["held"].mean(), "coverage_se": se["held"], "bias": part["error"].mean(), "bias_se": se["error"],
            "rmse": rmse, "sd_over_rmse": part["se"].mean() / rmse, "panels": len(by_panel),
        }
    )  # fmt: skip
