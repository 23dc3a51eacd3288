"""Fits on disk: what comes back is what went in, nothing is half-written, and the cache knows when to sample again."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes
from bayes import Panel, StaggeredDiD
from bayes.errors import CacheWarning, ConvergenceWarning, FitFileError
from bayes.inference import files
from bayes.inference.files import cached, content_key, data_hash, load_fit
from bayes.inference.sampling import SamplerOptions
from tests.panels import ROLES, simulated_frame


def decorated_panel(tiny_panel: Panel) -> Panel:
    """The synthetic panel with columns of every kind, and with rows set aside."""
    n = tiny_panel.n_rows
    text = np.array([f"<b>{i} & 'ü'</b>" for i in range(n)], dtype=object)
    text[3] = None
    frame = tiny_panel.frame.assign(
        words=text, flag=np.arange(n) % 2 == 0, count=np.arange(n) * 10**12, hole=np.where(np.arange(n) == 5, np.nan, 1.0),
        kind=pd.Categorical(np.where(np.arange(n) % 3 == 0, "a", "b")),
    )  # fmt: skip
    return replace(tiny_panel, frame=frame).drop_missing(["hole"])


def with_panel(fit, panel):
    return type(fit)(fit.model, panel, fit.tree)


def test_a_saved_fit_comes_back_the_same(tiny_fit, tmp_path):
    path = tiny_fit.save(tmp_path / "deep" / "fit.nc")
    assert path == tmp_path / "deep" / "fit.nc"
    assert [p.name for p in path.parent.iterdir()] == ["fit.nc"]
    back = bayes.load_fit(path)
    assert type(back) is type(tiny_fit)
    assert back.model == tiny_fit.model
    assert back.meta == tiny_fit.meta
    for name in ("unit", "time", "region", "first_treated", "weights", "name"):
        assert getattr(back.panel, name) == getattr(tiny_fit.panel, name)
    pd.testing.assert_frame_equal(back.panel.frame, tiny_fit.panel.frame, check_dtype=False)
    assert data_hash(back.panel) == data_hash(tiny_fit.panel)
    for by in ("simple", "event", "region", "cell"):
        for table in ("att", "prior_att", "unpooled"):
            one, two = (getattr(fit, table)(by) for fit in (back, tiny_fit))
            pd.testing.assert_frame_equal(one.frame, two.frame, check_dtype=False)
            np.testing.assert_array_equal(one.draws, two.draws)
    xr.testing.assert_identical(back.tree["posterior"].to_dataset().drop_attrs(), tiny_fit.tree["posterior"].to_dataset().drop_attrs())
    assert back.diagnose() == tiny_fit.diagnose()
    pd.testing.assert_frame_equal(back.priors(), tiny_fit.priors())


def test_columns_of_every_kind_and_rows_set_aside_survive(tiny_fit, tiny_panel, tmp_path):
    panel = decorated_panel(tiny_panel)
    assert len(panel.set_aside) == 1
    back = load_fit(with_panel(tiny_fit, panel).save(tmp_path / "fit.nc")).panel
    expected = panel.frame.assign(words=panel.frame.words.fillna(""), kind=panel.frame.kind.astype(str))
    pd.testing.assert_frame_equal(back.frame, expected, check_dtype=False)
    assert back.frame.flag.dtype == bool
    assert back.frame["count"].dtype == np.int64
    pd.testing.assert_frame_equal(back.set_aside, panel.set_aside.assign(kind=panel.set_aside.kind.astype(str)), check_dtype=False)
    assert back.set_aside.reason[0] == panel.set_aside.reason[0]


def test_the_file_holds_no_pickle_and_its_mode_follows_the_umask(tiny_fit, tmp_path):
    path = tiny_fit.save(tmp_path / "fit.nc")
    assert b"pickle" not in path.read_bytes()
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("content", [b"", b"not a fit at all", None, "netcdf", "head", "kind"])
def test_files_that_are_not_fits_are_refused(content, tiny_fit, tmp_path):
    path = tmp_path / "fit.nc"
    if content == "netcdf":
        xr.Dataset({"x": ("a", np.arange(3))}).to_netcdf(path, engine="h5netcdf")
    elif content in ("head", "kind"):
        wrong = {"format": "bayes-fit-99"} if content == "head" else {"format": "bayes-fit-1", "kind": "os.system"}
        tree = xr.DataTree()
        tree.attrs = {"head": json.dumps(wrong), "meta": "{}"}
        tree.to_netcdf(path, engine="h5netcdf")
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(FitFileError, match=r"fit\.nc"):
        load_fit(path)


def test_damage_anywhere_is_refused_or_harmless(tiny_fit, tmp_path):
    path = tiny_fit.save(tmp_path / "fit.nc")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FitFileError, match="damaged"):
        load_fit(path)


def test_a_folder_that_cannot_be_written_leaves_nothing(tiny_fit, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(FitFileError, match="writable"):
        tiny_fit.save(blocked / "fit.nc")
    monkeypatch.setattr(os, "replace", _refuse)
    with pytest.raises(FitFileError, match="writable"):
        tiny_fit.save(tmp_path / "fit.nc")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def _refuse(*_):
    raise PermissionError("read-only")


def test_an_interrupted_write_keeps_the_old_file(tiny_fit, tmp_path, monkeypatch):
    path = tiny_fit.save(tmp_path / "fit.nc")
    before = path.read_bytes()
    monkeypatch.setattr(Path, "write_bytes", _full_disk)
    with pytest.raises(FitFileError, match="space"):
        tiny_fit.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


def _full_disk(path, content):
    with path.open("wb") as file:
        file.write(content[:100])
    raise OSError("No space left on device")


def test_text_that_the_format_cannot_hold_is_refused_by_name(tiny_fit, tiny_panel, tmp_path):
    panel = replace(tiny_panel, frame=tiny_panel.frame.assign(words="a\0b"))
    with pytest.raises(FitFileError, match="text columns"):
        with_panel(tiny_fit, panel).save(tmp_path / "fit.nc")
    assert list(tmp_path.iterdir()) == []


# ── the cache ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def short_fit(tiny_fit):
    """The tiny fit with few draws, so that reading and writing it many times takes no time."""
    groups = {name: node.to_dataset().isel(draw=slice(0, 20)) for name, node in tiny_fit.tree.children.items()}
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = tiny_fit.tree.attrs
    return type(tiny_fit)(tiny_fit.model, tiny_fit.panel, tree)


class Sampler:
    """Stands in for sampling: returns the given fit and counts."""

    def __init__(self, fit):
        self.fit, self.calls = fit, 0

    def __call__(self):
        self.calls += 1
        return self.fit


@pytest.fixture
def quiet():
    """The short fit does not pass the gate, which is another test's subject."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@pytest.mark.usefixtures("quiet")
def test_an_unchanged_fit_is_read_back_and_any_change_samples_again(short_fit, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "save_fit", lambda fit, path: path.touch())
    monkeypatch.setattr(files, "load_fit", lambda path: short_fit)
    sampler, options = Sampler(short_fit), SamplerOptions(draws=500, tune=300, chains=2, seed=7)
    model, panel = short_fit.model, short_fit.panel

    def calls(model=model, panel=panel, options=options):
        before = sampler.calls
        cached(model, panel, options, tmp_path, sampler)
        return sampler.calls - before

    assert calls() == 1
    assert calls() == 0
    assert calls(options=replace(options, cores=1, progress=True)) == 0
    one_value = panel.frame.assign(y=panel.frame.y.where(panel.frame.index != 17, panel.frame.y + 1e-9))
    one_label = panel.frame.assign(region=panel.frame.region.replace("North", "N0rth"))
    changes = [
        {"panel": replace(panel, frame=one_value)},
        {"panel": replace(panel, frame=one_label)},
        {"panel": replace(panel, weights=None)},
        {"model": replace(model, pooling="none")},
        {"model": replace(model, priors={"cell_sd": 0.1})},
        {"model": replace(model, leads=False)},
        *(
            {"options": replace(options, **{k: v})}
            for k, v in {"draws": 501, "tune": 299, "chains": 3, "seed": 8, "target_accept": 0.91, "sampler": "blackjax"}.items()
        ),
    ]
    for change in changes:
        assert calls(**change) == 1, change
        assert calls(**change) == 0, change
    assert len(list(tmp_path.iterdir())) == 1 + len(changes)


@pytest.mark.usefixtures("quiet")
def test_new_versions_sample_again(short_fit, tmp_path, monkeypatch):
    options = SamplerOptions()
    before = content_key(short_fit.model, short_fit.panel, options)
    monkeypatch.setattr(files, "versions", lambda sampler: {"bayes": "99"})
    assert content_key(short_fit.model, short_fit.panel, options) != before


@pytest.mark.usefixtures("quiet")
def test_a_cached_fit_carries_the_panel_it_was_asked_for(short_fit, tmp_path):
    """Rows set aside do not enter the result, but they are reported: the ones of now, not of the day of sampling."""
    options = SamplerOptions()
    cached(short_fit.model, short_fit.panel, options, tmp_path, Sampler(short_fit))
    aside = short_fit.panel.frame.iloc[:2].assign(reason="today")
    fit = cached(short_fit.model, replace(short_fit.panel, set_aside=aside), options, tmp_path, Sampler(None))
    assert list(fit.panel.set_aside.reason) == ["today", "today"]


@pytest.mark.usefixtures("quiet")
def test_a_damaged_entry_is_replaced(short_fit, tmp_path):
    sampler, options = Sampler(short_fit), SamplerOptions()
    cached(short_fit.model, short_fit.panel, options, tmp_path, sampler)
    entry = next(tmp_path.iterdir())
    entry.write_bytes(b"damaged")
    with pytest.warns(CacheWarning, match="sampled again"):
        cached(short_fit.model, short_fit.panel, options, tmp_path, sampler)
    assert sampler.calls == 2
    assert load_fit(entry).model == short_fit.model
    assert list(tmp_path.iterdir()) == [entry]


@pytest.mark.usefixtures("quiet")
def test_without_a_folder_nothing_is_written(short_fit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sampler = Sampler(short_fit)
    for _ in range(2):
        cached(short_fit.model, short_fit.panel, SamplerOptions(), None, sampler)
    assert sampler.calls == 2
    assert list(tmp_path.iterdir()) == []


def test_the_gate_warns_again_when_a_failed_fit_is_read_back(short_fit, tmp_path):
    fit = with_panel(short_fit, short_fit.panel)
    object.__setattr__(fit, "_diagnosis", dataclasses.replace(short_fit.diagnose(), passed=False, failures=("Chains disagree.",)))
    with pytest.warns(ConvergenceWarning, match="Chains disagree"):
        cached(fit.model, fit.panel, SamplerOptions(), None, lambda: fit)


def test_several_writers_of_one_entry_leave_a_whole_file(short_fit, tmp_path):
    """Two writers of the same path, and a reader that never sees a partial file."""
    path = short_fit.save(tmp_path / "fit.nc")
    writers = [threading.Thread(target=lambda: [short_fit.save(path) for _ in range(2)]) for _ in range(2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert load_fit(path).model == short_fit.model
    assert os.listdir(tmp_path) == ["fit.nc"]


READ_BACK = """
import sys, time, warnings
import pandas as pd
import bayes
from bayes.errors import ConvergenceWarning
warnings.simplefilter("ignore", ConvergenceWarning)
sys.path.insert(0, {root!r})
from tests.panels import ROLES, simulated_frame
panel = bayes.Panel.from_frame(simulated_frame(), name="synthetic", **ROLES)
import xarray, arviz_stats, h5netcdf
start = time.process_time()
fit = bayes.StaggeredDiD("y", covariates=("x",)).fit(panel, seed=7, draws=500, tune=300, chains=2, cache={cache!r})
table = fit.att("region")
print(time.process_time() - start)
# ArviZ leaves lazy stand-ins of jax and numpyro behind; what they would load on use is looked for instead.
print(",".join(sorted({{"nutpie", "numpyro.infer", "blackjax", "pymc", "jax._src", "pytensor", "numba", "matplotlib"}} & set(sys.modules))))
print(repr(table.frame.estimate.tolist()))
"""


@pytest.mark.usefixtures("quiet")
def test_a_cache_hit_imports_no_sampler_and_is_quick(tiny_fit, tmp_path):
    options = SamplerOptions(draws=500, tune=300, chains=2, seed=7)
    cached(tiny_fit.model, tiny_fit.panel, options, tmp_path, lambda: tiny_fit)
    root = str(Path(bayes.__file__).parents[1])
    out = subprocess.run(
        [sys.executable, "-c", READ_BACK.format(root=root, cache=str(tmp_path))], cwd=root, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert out[1] == ""
    assert json.loads(out[2]) == pytest.approx(tiny_fit.att("region").frame.estimate.tolist(), rel=1e-12)
    assert float(out[0]) < 2.0


def test_options_given_as_numpy_numbers_are_written(tiny_fit):
    options = SamplerOptions(draws=np.int64(10), seed=np.int64(3), target_accept=np.float32(0.9))
    assert content_key(tiny_fit.model, tiny_fit.panel, options)
    assert (type(options.seed), type(options.draws), type(options.target_accept)) == (int, int, float)


def test_meta_says_how_to_repeat_the_run(tiny_fit):
    meta = tiny_fit.meta
    assert {k: meta[k] for k in ("sampler", "draws", "tune", "chains", "target_accept", "seed")} == {
        "sampler": "nutpie", "draws": 500, "tune": 300, "chains": 2, "target_accept": 0.8, "seed": 7,
    }  # fmt: skip
    assert meta["data_hash"] == data_hash(tiny_fit.panel)
    assert meta["versions"]["bayes"] == bayes.__version__
    assert {"pymc", "jax", "nutpie", "numpy", "arviz"} <= set(meta["versions"])
    assert meta["compile_seconds"] > 0
    assert meta["sampling_seconds"] > 0


def test_only_what_the_model_needs_is_kept_of_the_panel(tiny_fit):
    assert set(tiny_fit.panel.frame) == {"unit", "year", "region", "first_treated", "population", "y", "x"}
    assert StaggeredDiD("y").needed(Panel.from_frame(simulated_frame(), **ROLES)).frame.shape[1] == 6
