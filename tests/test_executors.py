"""Work on two other processes gives what this process gives, to the last bit, also when one of them is killed half-way."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes
from bayes import replicates, rows_on_disk
from bayes.did import groups, scanned
from bayes.did.model import StaggeredDiD
from bayes.did.placebo import permuted_cohorts
from bayes.did.placebo_result import Options
from bayes.errors import (
    BayesError,
    ConvergenceWarning,
    DataError,
    ExecutorError,
    MissingValueError,
    SetAsideWarning,
    SpecificationError,
    warn_user,
)
from bayes.executors import AHEAD, Portable, fit_several, mapped
from bayes.measure import dea, malmquist
from bayes.panel import Panel
from bayes.replicates import Record, run_replicates
from tests.conftest import fabricated
from tests.did.test_scanned import identical
from tests.panels import simulated_frame

MODEL = StaggeredDiD("y", covariates=["x"])
INDEX = {"unit": "unit", "time": "year", "region": "region", "first_treated": "first_treated"}


# ── what workers compute in these tests ─────────────────────────────────────────────────────────────────────────────


def given(*values):
    return values


def square(state, k):
    """The process of the first attempt at item ``last`` kills itself, as if it had run out of memory."""
    (folder, last) = state
    first = not list(Path(folder).glob(f"{k}-*"))
    (Path(folder) / f"{k}-{os.getpid()}-{time.monotonic_ns()}").touch()
    if k == last and first:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"square": np.array(k * k), "noise": np.random.default_rng([3, k]).normal(size=2)}


def talkative(state, k):
    if k == 2:
        warn_user("two is odd", ConvergenceWarning)
    if k == 5:
        raise SpecificationError("five is refused")
    return k


def broken(state, k):
    (Path(state[0]) / f"{time.monotonic_ns()}").touch()
    raise OSError("no such disk")


# ── stand-ins ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Promise:
    """A future that is computed when somebody wants it, from arguments that have been through pickle."""

    function: Any
    packed: bytes
    cancelled: bool = False

    def cancel(self):
        self.cancelled = True

    def __call__(self):
        return self.function(*(a() if isinstance(a, Promise) else a for a in pickle.loads(self.packed)))


@dataclass
class Here:
    """An executor in this process with a client's two methods; nothing is tried again."""

    promised: list[Promise] = field(default_factory=list)

    def submit(self, function, *args, pure, retries):
        self.promised.append(Promise(function, pickle.dumps(args)))
        return self.promised[-1]

    def gather(self, future):
        return future()


@pytest.fixture(scope="module")
def client():
    """Two processes with one thread each."""
    distributed = pytest.importorskip("dask.distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = distributed.LocalCluster(2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50)
        connected = distributed.Client(cluster)
    yield connected
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        connected.close()
        cluster.close()


# ── the one way ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_items_come_back_in_their_order_with_warnings_and_errors():
    executor = Here()
    squares = mapped(executor, Portable(square, given, ("/", None)), [], 3)
    assert list(squares) == []
    results = mapped(executor, Portable(talkative, given, ()), range(9), 4)
    with pytest.warns(ConvergenceWarning, match="two is odd"):
        found = [next(results) for _ in range(5)]
    assert found == [0, 1, 2, 3, 4], "what came before the error is handed on"
    with pytest.raises(SpecificationError, match="five is refused"):
        next(results)


def test_what_stops_is_not_begun(tmp_path):
    executor = Here()
    results = mapped(executor, Portable(square, given, (str(tmp_path), None)), range(10 * AHEAD))
    assert next(results)["square"] == 0
    results.close()
    assert [p.cancelled for p in executor.promised] == [False, False, *[True] * (AHEAD - 1)]


def test_a_state_is_prepared_once_and_does_not_travel():
    made = []
    function = Portable(lambda state, k: state + k, lambda start: made.append(start) or start, (10,))
    assert [function(1), function(2), made] == [11, 12, [10]]
    state = threading.Lock()  # cannot be pickled
    again = pickle.loads(pickle.dumps(Portable(talkative, given, (), state)))
    assert again(1) == 1


@pytest.mark.parametrize("wrong", [3, "client", object()])
def test_what_is_no_executor_is_refused(tiny_panel, wrong):
    for call in (
        lambda: MODEL.fit(tiny_panel, executor=wrong),
        lambda: MODEL.collapse(tiny_panel, executor=wrong),
        lambda: bayes.calibrate(MODEL, tiny_panel, executor=wrong),
        lambda: Options(executor=wrong),
        lambda: dea(tiny_panel, ["population"], ["x"], executor=wrong),
    ):
        with pytest.raises(SpecificationError, match=r"executor must be a dask\.distributed\.Client"):
            call()


def test_without_an_executor_dask_is_not_imported():
    code = "import sys, bayes.executors, bayes.calibration, bayes.did.scanned; print('dask' in sys.modules, 'distributed' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "False"]


# ── rows on disk ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(rows_on_disk, "BATCH_ROWS", 17)
    monkeypatch.setattr(groups, "BLOCK_ROWS", 30)


def on_disk(frame: pd.DataFrame, folder: Path, cuts: tuple[int, ...] = (), rows_in_group: int = 13, **roles):
    for name, part in enumerate(np.split(np.arange(len(frame)), cuts)):
        frame.iloc[part].to_parquet(folder / f"{name}.parquet", index=False, row_group_size=rows_in_group)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SetAsideWarning)
        return Panel.scan(folder, **{**INDEX, **roles})


@pytest.mark.parametrize("at_a_time", [1, 3])
@pytest.mark.parametrize("rows_in_group", [7, 1000])
@pytest.mark.parametrize("roles", [{"weights": "population"}, {"first_treated": None, "treated": "treated"}, {"region": None}], ids=str)
def test_sums_of_parts_are_those_of_one_pass(tmp_path, small_pieces, monkeypatch, roles, rows_in_group, at_a_time):
    """Units set aside at the start, in the middle and at the end; files that end inside a unit."""
    monkeypatch.setattr(scanned, "_BLOCKS_AT_A_TIME", at_a_time)
    frame = simulated_frame(gaps=True)
    always = frame.unit.isin(["u000", "u009", "u010", "u023"])
    frame.loc[always, "first_treated"], frame.loc[always, "treated"] = 1990, 1
    panel = on_disk(frame, tmp_path, (int(frame.unit.searchsorted("u011")) + 2, len(frame) - 20), rows_in_group, **roles)
    assert len(panel.cuts) > 3
    executor = Here()
    identical(MODEL.collapse(panel, executor=executor), MODEL.collapse(panel))
    assert len(executor.promised) == 1 + -(-len(panel.cuts) // at_a_time)
    here, there = scanned.with_sums(MODEL, panel), scanned.with_sums(MODEL, panel, executor=Here())
    np.testing.assert_array_equal(here.sums.reaches, there.sums.reaches)


def test_parts_find_what_one_pass_finds(tmp_path, small_pieces):
    frame = simulated_frame()
    frame.loc[100, "x"] = np.nan
    panel = on_disk(frame, tmp_path)
    with pytest.raises(MissingValueError, match=rf"'x' .* first at unit {frame.unit[100]}, year {frame.year[100]}"):
        MODEL.collapse(panel, executor=Here())
    os.utime(tmp_path / "0.parquet", (1, 1))
    with pytest.raises(DataError, match="changed after it was scanned"):
        MODEL.collapse(panel, executor=Here())
    shuffled = on_disk(simulated_frame().sample(frac=1, random_state=1), tmp_path)
    with pytest.raises(SpecificationError, match="not sorted by unit and year"):
        MODEL.collapse(shuffled, executor=Here())


# ── two processes ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_on_disk_are_summed_by_two_processes(tmp_path, client, monkeypatch):
    monkeypatch.setattr(groups, "BLOCK_ROWS", 300)  # of the scan: the workers cut their parts no further than these
    monkeypatch.setattr(scanned, "_BLOCKS_AT_A_TIME", 1)
    panel = on_disk(simulated_frame(n_units=300, gaps=True), tmp_path, (700,), rows_in_group=400)
    identical(MODEL.collapse(panel, executor=client), MODEL.collapse(panel))


def test_a_worker_killed_half_way_changes_nothing(tmp_path, client):
    marks = tmp_path / "marks"
    marks.mkdir()
    work = Portable(square, given, (str(marks), 21))
    alone = run_replicates(Portable(square, given, (str(tmp_path), None)), 40, cores=1)
    record = Record.of(tmp_path / "kept", "squares", [])
    found = run_replicates(work, 40, record, executor=client, at_a_time=2)
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one["square"], other["square"])
        np.testing.assert_array_equal(one["noise"], other["noise"])
    done_again = [file.name.split("-")[0] for file in marks.iterdir()]
    assert set(done_again) == {str(k) for k in range(40)}
    assert {"20", "21"} <= {k for k in done_again if done_again.count(k) > 1}, "what the killed worker had begun was done again"
    assert len({file.name.split("-")[1] for file in marks.glob("21-*")}) == 2, "by another process"
    assert len(record.finished(40)) == 40
    again = run_replicates(Portable(broken, given, (str(marks),)), 40, record, executor=client)
    np.testing.assert_array_equal([r["square"] for r in again], [r["square"] for r in alone])


def test_other_failures_are_tried_again_and_then_named(tmp_path, client):
    with pytest.raises(ExecutorError, match="OSError: no such disk") as found:
        list(mapped(client, Portable(broken, given, (str(tmp_path),)), [0]))
    assert isinstance(found.value, BayesError)
    assert len(list(tmp_path.iterdir())) == 3


def test_bootstrap_replicates(client, tiny_frame):
    rng = np.random.default_rng(2)
    frame = tiny_frame.assign(a=rng.uniform(1, 3, len(tiny_frame)), b=rng.uniform(1, 2, len(tiny_frame)))
    panel = Panel.from_frame(frame, "unit", "year", "region")
    for function in (dea, malmquist):
        here = function(panel, ["a"], ["b"], replicates=100, seed=4)
        there = function(panel, ["a"], ["b"], replicates=100, seed=4, executor=client)
        np.testing.assert_array_equal(here.draws, there.draws)
        pd.testing.assert_frame_equal(here.frame, there.frame)


@pytest.mark.slow
def test_placebo_refits(client, tiny_panel):
    here = permuted_cohorts(MODEL, tiny_panel, 25, seed=2)
    there = permuted_cohorts(MODEL, tiny_panel, 25, seed=2, options=Options(executor=client))
    pd.testing.assert_frame_equal(here.modes, there.modes, check_exact=True)
    pd.testing.assert_frame_equal(here.placebo.frame, there.placebo.frame, check_exact=True)
    pd.testing.assert_frame_equal(here.p_values(), there.p_values(), check_exact=True)


def test_variants_that_leave_out_one_region_each(client, tiny_panel):
    fit = fabricated(tiny_panel, covariates=("x",))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        here, there = (fit.variants(drop_region="each", draws=20, executor=e) for e in (None, client))
    pd.testing.assert_frame_equal(here.estimates.frame, there.estimates.frame, check_exact=True)
    np.testing.assert_array_equal(here.estimates.draws, there.estimates.draws)
    pd.testing.assert_frame_equal(here.changes, there.changes)


@pytest.mark.slow
def test_calibration(client, tiny_panel):
    short = {"draws": 60, "tune": 60, "seed": 6}
    here = bayes.calibrate(MODEL, tiny_panel, 4, **short)
    there = bayes.calibrate(MODEL, tiny_panel, 4, executor=client, **short)
    for name in ("ranks", "below", "mean", "sd", "rhat", "ess"):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name), err_msg=name)


@pytest.mark.slow
def test_a_fit_to_rows_on_disk(client, tmp_path):
    panel = on_disk(simulated_frame(n_units=120), tmp_path)
    short = {"seed": 3, "draws": 100, "tune": 100, "chains": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        here, there = (MODEL.fit(panel, executor=e, **short) for e in (None, client))
    np.testing.assert_array_equal(here.att("event").draws, there.att("event").draws)


@pytest.mark.slow
def test_placebo_refits_with_a_worker_killed(client, tiny_panel, tmp_path, monkeypatch):
    here = permuted_cohorts(MODEL, tiny_panel, 200, seed=2)
    options = Options(executor=client, resume=tmp_path)

    def wait_and_kill() -> None:
        while not list(tmp_path.glob("placebo-*/*.npz")):
            time.sleep(0.01)
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

    killer = threading.Thread(target=wait_and_kill)
    killer.start()
    monkeypatch.setattr(replicates, "SAVE_EVERY", 0.0)
    there = permuted_cohorts(MODEL, tiny_panel, 200, seed=2, options=options)
    killer.join()
    pd.testing.assert_frame_equal(here.placebo.frame, there.placebo.frame, check_exact=True)


@pytest.mark.slow
def test_several_fits(client, tiny_panel):
    jobs = [(MODEL, tiny_panel), (StaggeredDiD("y", pooling=("event",)), tiny_panel)]
    short = {"seed": 3, "draws": 60, "tune": 60, "chains": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        here, there = (fit_several(jobs, executor=e, **short) for e in (None, client))
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.att("event").draws, other.att("event").draws)
        assert one.model == other.model


@pytest.mark.parametrize("jobs", [[MODEL], [(MODEL,)], [("y", "x")]], ids=repr)
def test_jobs_that_are_no_fits_are_refused(jobs):
    with pytest.raises(SpecificationError, match="every job is a pair"):
        fit_several(jobs)


def test_an_empty_file_between_others_is_no_part(tmp_path):
    """Spark writes them."""
    frame = simulated_frame()
    place = len(frame) // 2
    for name, part in (("0", frame.iloc[:place]), ("1", frame.iloc[:0].astype(frame.dtypes)), ("2", frame.iloc[place:])):
        part.to_parquet(tmp_path / f"{name}.parquet", index=False)
    panel = Panel.scan(tmp_path, **INDEX)
    identical(MODEL.collapse(panel, executor=Here()), MODEL.collapse(panel))


def test_a_fit_is_saved_and_read_beside_a_cluster(client, tiny_fit, tmp_path):
    """xarray would ask the cluster of the current client for a lock, which does not know it."""
    again = bayes.load_fit(tiny_fit.save(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(again.posterior.innovation_sd, tiny_fit.posterior.innovation_sd)
