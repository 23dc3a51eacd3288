"""The driver with peers that are made up: what becomes of figures, of failures, and of a process that does not end."""

from __future__ import annotations

import runpy

import numpy as np
import pandas as pd
import pytest

from tests.peers import __main__ as peers
from tests.peers import data
from tests.peers.driver import Peer, Run, row, run, script, table
from tests.peers.environments import HERE, Environment, named

JOB = """
import sys, time
sys.path.insert(0, {here!r})
from measured import main

def mean():
    def fit(frame):
        if frame["y"].mean() > 100:
            raise ValueError("too | large")
        return {{"estimate": frame["y"].mean(), "lower": frame["y"].min(), "upper": frame["y"].max(), "loglik": -1.0}}
    return fit

def absent():
    import no_such_library

def slow():
    calls = []
    def fit(frame):
        calls.append(1)
        if len(calls) > 1:
            time.sleep(60)
        return {{"scores": frame["y"]}}
    return fit

main({{"mean": mean, "absent": absent, "slow": slow}})
"""


@pytest.fixture
def job(tmp_path):
    """A job, and data: set 0 is real, 1 and 2 are simulated, 3 makes the peer fail."""
    (tmp_path / "job.py").write_text(JOB.format(here=str(HERE)))
    y = [1.0, 3.0, 1.0, 2.0, 5.0, 7.0, 200.0, 300.0]
    pd.DataFrame({"panel": np.repeat([0, 1, 2, 3], 2), "y": y, "only_real": [1.0, 1.0] + [np.nan] * 6}).to_csv(tmp_path / "data.csv")

    def of(name: str, budget: float = 60, timeout: float = 60) -> tuple[Peer, Run]:
        peer = Peer(name, "numpy", "ours", "made up")
        return peer, run(peer, tmp_path / "job.py", tmp_path / "data.csv", budget, timeout, tmp_path)

    return of


def test_figures_of_a_peer_and_the_reason_of_a_failed_fit(job):
    peer, found = job("mean")
    figures = row(peer, found, found, {1: 1.8, 2: 8.0, 3: 0.0}, reference=1.5)
    assert (figures["estimate"], figures["− ours"], figures["− reference"], figures["width"]) == (2.0, 0.0, 0.5, 2.0)
    assert (figures["n"], figures["coverage"], figures["mean width"], figures["log L − ours"]) == (2, 0.5, 1.5, 0.0)
    assert figures["bias"] == pytest.approx((1.5 - 1.8 + 6 - 8) / 2)
    assert figures["RMSE"] == pytest.approx(np.sqrt((0.3**2 + 4) / 2))
    assert figures["version"] == np.__version__
    assert figures["MB"] > 1
    assert figures["wall"] >= figures["CPU"] * 0.1 > 0
    assert figures["note"] == "made up; 1 of 4 fits failed: ValueError: too | large"
    text = table([figures], ["peer", "coverage", "log L", "note"]).splitlines()
    assert text[-1] == "| mean | 50 % | -1.0000 | made up; 1 of 4 fits failed: ValueError: too / large |"


def test_a_budget_ends_the_simulated_data_only(job):
    assert [fit["panel"] for fit in job("mean", budget=0)[1].fits] == [0]


def test_a_peer_that_cannot_run_is_a_row_with_the_reason(job, tmp_path):
    peer, found = job("absent")
    figures = row(peer, found, found, {}, np.nan)
    assert figures == {"peer": "absent", "version": "", "note": "made up; failed: ModuleNotFoundError: No module named 'no_such_library'"}
    assert table([figures], ["peer", "wall", "note"]).splitlines()[-1].startswith("| absent |  | made up")
    nowhere = Peer("mean", "numpy", "of nobody")
    assert run(nowhere, tmp_path / "job.py", tmp_path / "data.csv", 1, 1, tmp_path).failure == "no environment .venv-of nobody"


def test_a_process_that_does_not_end_is_stopped_and_what_it_wrote_is_kept(job):
    peer, found = job("slow", timeout=8)
    assert found.reason == "stopped after 8 s"
    assert [fit["panel"] for fit in found.fits] == [0]
    assert row(peer, found, found, {}, np.nan)["largest difference"] == 0


def test_a_peer_that_could_not_be_installed_says_why(tmp_path):
    environment = Environment(tmp_path, tmp_path / "none.txt", tmp_path / "none.pins.txt")
    assert environment.reason("some-peer") == ""
    (tmp_path / "failed").mkdir()
    (tmp_path / "failed" / "some-peer").write_text("not installed: no such version")
    assert environment.reason("some-peer") == "not installed: no such version"


@pytest.mark.parametrize("family", peers.FAMILIES)
def test_every_row_has_a_job_and_a_pinned_library(family, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    jobs = runpy.run_path(str(script(family)), run_name="jobs")["PEERS"]
    assert set(jobs) == {peer.name for peer in peers.FAMILIES[family]}
    for peer in peers.FAMILIES[family]:
        if peer.environment != peers.OURS:
            asked = named(peer.environment).peers.read_text().split()
            pinned = named(peer.environment).pins.read_text().lower().replace("_", "-").split()
            exact = next(line.lower() for line in asked if line.lower().startswith(f"{peer.package}=="))
            assert exact in pinned


def test_simulated_data_repeat_and_hold_their_truth():
    frame, truth = data.simulated(data.staggered, 2)
    again, _ = data.staggered(2)
    assert frame[frame["panel"] == 2].reset_index(drop=True).equals(again)
    assert frame.groupby("panel").size().tolist() == [400, 400]
    assert sorted(truth) == [1, 2]
    treated = again["time"] >= again["cohort"].where(again["cohort"] > 0, np.inf)
    assert treated.sum() == 10 * 6 + 10 * 4
    assert 0.5 < truth[2] < 0.9
    residual = again["y"] - again.groupby("unit")["y"].transform("mean") - again.groupby("time")["y"].transform("mean")
    assert residual[treated].mean() > residual[~treated].mean()


def test_real_data_and_references():
    castle = data.castle()
    assert len(castle) == 550
    assert castle.loc[castle["cohort"] > 0, "unit"].nunique() == 21
    assert len(data.us_states()) == len(data.us_quantities()) == 816
    assert peers.references()["diff-diff SA"] == pytest.approx(0.110383, abs=1e-6)
    assert peers.references()["pysfa"] == pytest.approx(0.593935, abs=1e-6)


def test_what_a_peer_says_against_its_fits_is_in_the_note():
    assert Run(fits=({"panel": 0, "warning": "not converged"}, {"panel": 1})).reason == "1 of 2 fits warn: not converged"
