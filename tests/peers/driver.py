"""Run every peer in a process of its own on the same files, and make one row of each: a failure is a row with its reason."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.peers.environments import HERE, named


@dataclass(frozen=True)
class Peer:
    """``name`` is the job's; ``package`` its library; ``environment`` as in :func:`environments.named`; ``note`` what to know of it."""

    name: str
    package: str
    environment: str = "peers"
    note: str = ""


@dataclass(frozen=True)
class Run:
    """What the process of a peer wrote, and why it stopped if it did not finish. Data set 0 is the real one, or the first of several."""

    version: str = ""
    fits: tuple[Mapping[str, Any], ...] = ()
    failure: str = ""

    @property
    def good(self) -> pd.DataFrame:
        """Fits that gave an answer, by data set."""
        records = [dict(f) for f in self.fits if "error" not in f]
        return pd.DataFrame(records).set_index("panel") if records else pd.DataFrame()

    @property
    def reason(self) -> str:
        """Why fits are missing and what the peer says against those that are there; empty where nothing is."""
        said = {"failed": [f["error"] for f in self.fits if "error" in f], "warn": [f["warning"] for f in self.fits if "warning" in f]}
        counted = [f"{len(texts)} of {len(self.fits)} fits {verb}: {texts[0]}" for verb, texts in said.items() if texts]
        return "; ".join([*counted, *filter(None, [self.failure])])


def run(peer: Peer, job: Path, data: Path, budget: float, timeout: float, folder: Path) -> Run:
    """Fit every data set of a file. No new one is begun after ``budget`` CPU seconds; after ``timeout`` wall seconds the process is
    stopped, and what it has written is kept."""
    environment = named(peer.environment)
    if reason := environment.reason(peer.package):
        return Run(failure=reason)
    if not environment.python.exists():
        return Run(failure=f"no environment {environment.folder.name}")
    answer, errors = folder / "answer.jsonl", folder / "errors.txt"
    answer.unlink(missing_ok=True)
    words = [str(environment.python), str(job), peer.name, str(data), str(answer), str(budget), peer.package, str(time.time())]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    settings = {**os.environ, **one_thread, "BAYES_CACHE": "off", "MPLBACKEND": "Agg", "PYTHONWARNINGS": "ignore"}
    stopped = ""
    with errors.open("wb") as output:
        child = subprocess.Popen(words, stdout=output, stderr=output, env=settings, cwd=folder, start_new_session=True)
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            stopped = f"stopped after {timeout:.0f} s"
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    lines = [json.loads(line) for line in answer.read_text(encoding="utf-8").splitlines()] if answer.exists() else []
    version = next((line["version"] for line in lines if "version" in line), "")
    return Run(version, tuple(line for line in lines if "panel" in line), stopped or _failure(child.returncode, errors))


def _failure(code: int, errors: Path) -> str:
    if code == 0:
        return ""
    words = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [f"exit status {code}"]
    return f"failed: {words[-1][:300]}"


# ── figures of a row ────────────────────────────────────────────────────────────────────────────────────────────────────


def row(peer: Peer, found: Run, ours: Run, truth: Mapping[int, float], reference: float) -> dict[str, Any]:
    """Figures of one peer beside ``ours``; ``truth`` by simulated data set, ``reference`` for the real one."""
    figures: dict[str, Any] = {"peer": peer.name, "version": found.version}
    fits = found.good
    if len(fits):
        first = fits.iloc[0]
        figures |= {"wall": first["wall"], "CPU": first["cpu"], "fit CPU": first["fit_cpu"], "MB": first["peak_mb"]}
        figures |= {"warm fit CPU": fits["fit_cpu"].iloc[1:].median()}
        figures |= _scores(fits, ours.good) if "scores" in fits else _estimates(fits, ours.good, truth, reference)
    return figures | {"note": "; ".join(filter(None, [peer.note, found.reason]))}


def _scores(fits: pd.DataFrame, ours: pd.DataFrame) -> dict[str, float]:
    pairs = [np.abs(np.subtract(fits.loc[k, "scores"], ours.loc[k, "scores"])).max() for k in fits.index.intersection(ours.index)]
    return {"scores": len(fits.iloc[0]["scores"]), "largest difference": max(pairs, default=np.nan)}


def _estimates(fits: pd.DataFrame, ours: pd.DataFrame, truth: Mapping[int, float], reference: float) -> dict[str, float]:
    real, simulated = fits[fits.index == 0], fits[fits.index > 0]
    figures: dict[str, float] = {}
    for _, one in real.iterrows():
        figures = {"estimate": one["estimate"], "− reference": one["estimate"] - reference, "width": one["upper"] - one["lower"]}
        figures["log L"] = one.get("loglik", np.nan)
        figures["− ours"] = one["estimate"] - ours.loc[0, "estimate"] if 0 in ours.index else np.nan
    return figures | (_on_truth(simulated, truth) | _beside(simulated, ours) if len(simulated) else {})


def _on_truth(fits: pd.DataFrame, truth: Mapping[int, float]) -> dict[str, float]:
    true = np.array([truth[k] for k in fits.index])
    known = np.isfinite(fits["lower"] + fits["upper"]).to_numpy()
    covered = ((fits["lower"] <= true) & (true <= fits["upper"])).to_numpy()[known]
    return {
        "n": len(fits),
        "bias": (fits["estimate"] - true).mean(),
        "RMSE": float(np.sqrt(((fits["estimate"] - true) ** 2).mean())),
        "mean width": (fits["upper"] - fits["lower"]).mean(),
        "coverage": covered.mean() if known.any() else np.nan,
    }


def _beside(fits: pd.DataFrame, ours: pd.DataFrame) -> dict[str, float]:
    """Median distance of the log likelihood from ours on the same data sets, where both have one."""
    if "loglik" not in fits or "loglik" not in ours:
        return {}
    return {"log L − ours": (fits["loglik"] - ours["loglik"]).median()}


def table(rows: list[dict[str, Any]], columns: list[str]) -> str:
    """Markdown; a figure that does not exist is an empty cell."""
    body = [[_cell(column, figures.get(column, "")) for column in columns] for figures in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [columns, ["---"] * len(columns), *body])


def _cell(column: str, value: Any) -> str:
    if isinstance(value, str):
        return value.replace("|", "/").replace("\n", " ")
    if not np.isfinite(value):
        return ""
    if column in ("n", "scores", "MB"):
        return f"{value:,.0f}"
    if column in ("wall", "CPU", "fit CPU", "warm fit CPU"):
        return f"{value:.1f}" if value >= 10 else f"{value:.3g}"
    if column == "coverage":
        return f"{value:.0%}".replace("%", " %")
    return f"{value:.1e}" if value and abs(value) < 5e-4 else f"{value:,.4f}" if abs(value) < 1000 else f"{value:.3g}"


def script(name: str) -> Path:
    return HERE / f"{name}_jobs.py"
