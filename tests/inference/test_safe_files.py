"""A fit's file is data: reading it runs nothing, damage anywhere is found, and processes that share a cache do not disturb each other."""

from __future__ import annotations

import ast
import json
import pickle
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import bayes
from bayes import Panel
from bayes.errors import CacheWarning, FitFileError
from bayes.inference import files
from bayes.inference.files import cached, load_fit
from bayes.inference.sampling import SamplerOptions
from tests.conftest import fabricated
from tests.panels import ROLES, simulated_frame

ROOT = Path(bayes.__file__).parents[1]
UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
METHODS = {"read_pickle", "to_pickle"}
CALLS = {"eval", "exec", "compile", "__import__"}


@pytest.fixture(scope="module")
def fit():
    return fabricated(Panel.from_frame(simulated_frame(), name="synthetic", **ROLES), pooling=("event", "region"))


def test_no_module_reads_or_writes_pickles():
    for file in sorted((ROOT / "bayes").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names} | {(getattr(node, "module", "") or "").split(".")[0]}
                assert not names & UNSAFE, f"{file}:{node.lineno}"
            elif isinstance(node, ast.Call):
                names = {getattr(node.func, "id", ""), getattr(node.func, "attr", "")}
                assert not names & (CALLS if "id" in node.func._fields else METHODS), f"{file}:{node.lineno}"
                allowed = [word.value for word in node.keywords if word.arg == "allow_pickle"]
                assert all(isinstance(value, ast.Constant) and value.value is False for value in allowed), f"{file}:{node.lineno}"


class Trap:
    """Makes a folder when a reader unpickles it."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.mkdir, (Path(self.path),)


def sealed(path, change) -> None:
    """Change a fit's file as somebody with ill will does: with a seal that fits."""
    content = path.read_bytes()
    end = content.rindex(files._SEAL)
    path.write_bytes(content[:end])
    change(path)
    inner = path.read_bytes()
    path.write_bytes(inner + files._SEAL + files.hashlib.blake2b(inner, digest_size=files._DIGEST).digest())


def test_a_malicious_file_runs_nothing(fit, tmp_path):
    trap = tmp_path / "sprung"
    path = fit.save(tmp_path / "fit.nc")
    for content in (pickle.dumps(Trap(trap)), b"PK\x03\x04" + pickle.dumps(Trap(trap)), pickle.dumps(Trap(trap)) + files._SEAL):
        path.write_bytes(content)
        with pytest.raises(FitFileError, match="readable"):
            load_fit(path)
    heads = [
        {"kind": "Popen"}, {"kind": "os.system"}, {"kind": "__import__"}, {"kind": ["DiDFit"]}, {"model": {"__class__": "os.system"}},
        {"panel": {"unit": "unit"}}, {"panel": {"unit": "nobody", "time": "year"}}, 
        {"format": "bayes-fit-99"}, {"model": "import os"}, {"model": []},
    ]  # fmt: skip
    whole = fit.save(path).read_bytes()
    for changed in heads:
        path.write_bytes(whole)

        def rewrite(place, changed=changed):
            with h5py.File(place, "r+") as file:
                file.attrs["head"] = json.dumps({**json.loads(file.attrs["head"]), **changed})

        sealed(path, rewrite)
        with pytest.raises(FitFileError):
            load_fit(path)
    assert not trap.exists()


def test_pickled_text_inside_stays_text(fit, tmp_path):
    """An array of opaque bytes in place of text is a value, and never unpickled."""
    trap, path = tmp_path / "sprung", fit.save(tmp_path / "fit.nc")

    def rewrite(place):
        with h5py.File(place, "r+") as file:
            del file["posterior"]

    sealed(path, rewrite)
    with pytest.raises(FitFileError, match="posterior"):
        load_fit(path)
    assert not trap.exists()


def test_every_flipped_byte_is_found(fit, tmp_path):
    path = fit.save(tmp_path / "fit.nc")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in [0, 8, len(whole) - 1, len(whole) - 40, *rng.integers(len(whole), size=40).tolist()]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(FitFileError, match="damaged"):
            load_fit(path)
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(FitFileError, match="damaged"):
            load_fit(path)
    path.write_bytes(whole)
    assert load_fit(path).model == fit.model


def test_other_readers_of_netcdf_still_read_it(fit, tmp_path):
    with xr.open_datatree(fit.save(tmp_path / "fit.nc"), engine="h5netcdf") as tree:
        assert set(tree.children) >= {"posterior", "sample_stats", "panel"}


# ── one cache, two processes, full disks ────────────────────────────────────────────────────────────────────────────

SHARE = """
import sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {root!r})
from bayes import Panel
from bayes.inference.files import cached
from bayes.inference.sampling import SamplerOptions
from tests.conftest import fabricated
from tests.panels import ROLES, simulated_frame
fit = fabricated(Panel.from_frame(simulated_frame(), name="synthetic", **ROLES), pooling=("event", "region"))
total = 0.0
for turn in range(6):
    found = cached(fit.model, fit.panel, SamplerOptions(seed=turn % 3), {cache!r}, lambda: fit)
    total += float(found.posterior["cell_effect"].sum())
print(repr(total))
"""


@pytest.mark.slow
def test_two_processes_share_a_cache(fit, tmp_path):
    code = SHARE.format(root=str(ROOT), cache=str(tmp_path))
    two = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = {process.communicate()[0] for process in two}
    assert [process.returncode for process in two] == [0, 0]
    assert len(answers) == 1
    assert float(answers.pop()) == pytest.approx(6 * float(fit.posterior["cell_effect"].sum()))
    assert len(list(tmp_path.iterdir())) == 3
    for path in tmp_path.iterdir():
        load_fit(path)


def test_a_cache_that_cannot_be_written_is_refused_before_sampling(fit, tmp_path):
    (tmp_path / "file").write_text("in the way")

    def never():
        raise AssertionError("sampled in vain")

    with pytest.raises(FitFileError, match="cache"):
        cached(fit.model, fit.panel, SamplerOptions(), tmp_path / "file", never)


@pytest.mark.filterwarnings("ignore::bayes.errors.ConvergenceWarning")
def test_a_disk_that_fills_up_while_sampling_loses_no_fit(fit, tmp_path, monkeypatch):
    def full(*_, **__):
        raise FitFileError("No space left on device")

    monkeypatch.setattr(files, "save_fit", full)
    with pytest.warns(CacheWarning, match="space"):
        found = cached(fit.model, fit.panel, SamplerOptions(), tmp_path, lambda: fit)
    assert found is fit
    assert list(tmp_path.iterdir()) == []
