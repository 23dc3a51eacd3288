"""Fits on disk: one netCDF file each, written whole or not at all; a cache keyed by everything that determines the result."""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes.errors import CacheWarning, ConvergenceWarning, FitFileError, warn_user
from bayes.inference.fit import Fit
from bayes.panel import Panel
from bayes.scan import ScannedPanel
from bayes.writing import file_path, write_whole

_FORMAT = "bayes-fit-1"
_SEAL = b"bayes-fit, BLAKE2b of the bytes before: "
_DIGEST = 32
_BLOCK = 2**20
"""A fit's file ends with a checksum, which readers of netCDF pass over: a flipped bit in the draws would otherwise go unnoticed."""

_KINDS = {
    "DiDFit": "bayes.did.fit",
    "FrontierFit": "bayes.frontier.fit",
    "MediationFit": "bayes.mechanism.fit",
    "CrossLaggedFit": "bayes.dynamics.fit",
}
"""Classes a file may name, and where they live. Loading imports nothing else and executes nothing from the file."""


def save_fit(fit: Fit, path: str | Path) -> Path:
    """Write ``fit`` to ``path`` through a temporary file in the same folder. Raises :class:`FitFileError`."""
    path = file_path(path)
    head = {"format": _FORMAT, "kind": fit.kind, "model": fit.model.to_dict(), "panel": _panel_roles(fit.panel)}
    tree = xr.DataTree.from_dict(
        {
            **{name: node.to_dataset() for name, node in fit.tree.children.items()},
            "panel": _panel_to_dataset(fit.panel),
            "set_aside": _frame_to_dataset(fit.panel.set_aside),
        }
    )
    tree.attrs = {"head": json.dumps(head), "meta": fit.tree.attrs["meta"]}
    try:
        # Made in memory: the HDF5 library crashes the interpreter when the disk fills up under it.
        with _in_this_process():
            content = bytes(tree.to_netcdf(None, engine="h5netcdf"))
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        raise FitFileError(f"Cannot write the fit to {path}: netCDF cannot hold some values ({error}). Correct text columns.") from error
    seal = _SEAL + hashlib.blake2b(content, digest_size=_DIGEST).digest()
    return write_whole(path, content + seal, "the fit", FitFileError)


@contextmanager
def _in_this_process() -> Iterator[None]:
    """Where a Dask client lives, xarray would ask its cluster for a lock on a file that only this process knows."""
    if "dask" not in sys.modules:
        yield
        return
    import dask

    with dask.config.set(scheduler="threads"):
        yield


def load_fit(path: str | Path) -> Fit:
    """Read a fit saved by :meth:`Fit.save`, as the class it was (a :class:`DiDFit` again, with its panel and model).

    Imports no sampler and executes nothing from the file. Raises :class:`FitFileError` when the file is missing, damaged or not a fit.
    """
    path = file_path(path)
    if not path.is_file():
        raise FitFileError(f"There is no file {path}. A fit is written with fit.save(path).")
    try:
        _refuse_broken_seal(path)
        with _in_this_process(), xr.open_datatree(path, engine="h5netcdf") as stored:
            tree = stored.load()
        head = json.loads(tree.attrs["head"])
        if head["format"] != _FORMAT:
            raise FitFileError(
                f"{path} has format {head['format']!r}; this version reads {_FORMAT!r}. Refit, or use the version that wrote it."
            )
        kind = getattr(import_module(_KINDS[head["kind"]]), head["kind"])
        model = kind.model_class().from_dict(head["model"])
        panel = _dataset_to_panel(tree, head["panel"])
        _refuse_incomplete(tree, panel)
        groups = {name: node.to_dataset() for name, node in tree.children.items() if name not in ("panel", "set_aside")}
        clean = xr.DataTree.from_dict(groups)
        clean.attrs = {"meta": tree.attrs["meta"]}
    except FitFileError:
        raise
    except Exception as error:
        raise FitFileError(f"{path} is not a readable fit ({type(error).__name__}: {error}). It may be damaged: refit.") from error
    return kind(model, panel, clean)


def _refuse_broken_seal(path: Path) -> None:
    """Raises ``ValueError`` unless every byte is as it was written. HDF5 itself is not to be trusted with damaged files."""
    size = path.stat().st_size - len(_SEAL) - _DIGEST
    if size <= 0:
        raise ValueError("it is cut off or no fit")
    digest = hashlib.blake2b(digest_size=_DIGEST)
    with path.open("rb") as file:
        for start in range(0, size, _BLOCK):
            digest.update(file.read(min(_BLOCK, size - start)))
        seal = file.read()
    if not seal.startswith(_SEAL):
        raise ValueError("it is cut off or no fit")
    if seal != _SEAL + digest.digest():
        raise ValueError("its bytes are not those that were written")


def _refuse_incomplete(tree: xr.DataTree, panel: Panel) -> None:
    """Raises ``ValueError`` for a file that lacks what a fit rests on."""
    lacking = {"posterior", "sample_stats"} - set(tree.children)
    if lacking or not isinstance(json.loads(tree.attrs["meta"]), dict):
        raise ValueError(f"no group {', '.join(sorted(lacking))}" if lacking else "no record of the run")
    roles = {panel.unit, panel.time, panel.region, panel.first_treated, panel.weights} - {None}
    if isinstance(panel, ScannedPanel):
        return
    if not roles <= set(panel.frame.columns):
        raise ValueError(f"no column {sorted(roles - set(panel.frame.columns))} in its panel")


def content_key(model: Any, panel: Panel, options: Any) -> str:
    """Hash of model, data, sampling options and versions: the same key means the same result."""
    chosen = {k: v for k, v in asdict(options).items() if k not in ("progress", "cores")}
    head = json.dumps([_FORMAT, model.to_dict(), chosen, versions(options.sampler), data_hash(panel)], sort_keys=True)
    return hashlib.blake2b(head.encode(), digest_size=16).hexdigest()


def data_hash(panel: Panel) -> str:
    """Hash of the panel's roles and of every value in its columns, in order; of the sums over rows that stay on disk."""
    digest = hashlib.blake2b(json.dumps(_panel_roles(panel), sort_keys=True).encode(), digest_size=16)
    if isinstance(panel, ScannedPanel):
        for name, variable in _panel_to_dataset(panel).variables.items():
            values = variable.to_numpy()
            digest.update(str(name).encode() + (repr(values.tolist()).encode() if values.dtype == object else values.tobytes()))
        return digest.hexdigest()
    for name in panel.frame.columns:
        digest.update(str(name).encode())
        digest.update(pd.util.hash_array(panel.frame[name].to_numpy(), categorize=True).tobytes())
    return digest.hexdigest()


def versions(sampler: str) -> dict[str, str]:
    """Versions of what produces the numbers, read without importing any of it."""
    from bayes import __version__

    names = dict.fromkeys(["pymc", "pytensor", "jax", "jaxlib", "numpy", "xarray", "arviz", sampler])
    return {"bayes": __version__, **{name: metadata.version(name) for name in names}}


def _panel_roles(panel: Panel) -> dict[str, Any]:
    """What says how a panel is read; one whose rows stay on disk also has ``treated``."""
    names = ("unit", "time", "region", "first_treated", "weights", "name", "note")
    return {k: getattr(panel, k) for k in (*names, *(["treated"] if isinstance(panel, ScannedPanel) else []))}


def _panel_to_dataset(panel: Panel | ScannedPanel) -> xr.Dataset:
    if not isinstance(panel, ScannedPanel):
        return _frame_to_dataset(panel.frame)
    from bayes.did.saved_sums import sums_to_dataset

    return sums_to_dataset(panel)


def _dataset_to_panel(tree: xr.DataTree, roles: Mapping[str, Any]) -> Panel | ScannedPanel:
    aside = _dataset_to_frame(tree["set_aside"])
    if "treated" not in roles:
        return Panel(frame=_dataset_to_frame(tree["panel"]), set_aside=aside, **roles)
    from bayes.did.saved_sums import panel_of_dataset

    return panel_of_dataset(tree["panel"], roles, aside)


def _frame_to_dataset(frame: pd.DataFrame) -> xr.Dataset:
    """Columns as variables along ``row``, numbered so that any column name survives; text as objects, missing text as an empty string."""
    variables, names, kinds = {}, [], []
    for j, name in enumerate(frame.columns):
        column = frame[name]
        if pd.api.types.is_bool_dtype(column.dtype):
            values, kind = column.to_numpy(dtype=np.int8), "bool"
        elif pd.api.types.is_integer_dtype(column.dtype) and not column.isna().any():
            values, kind = column.to_numpy(dtype=np.int64), "int"
        elif pd.api.types.is_numeric_dtype(column.dtype):
            values, kind = column.to_numpy(dtype=float, na_value=np.nan), "float"
        else:
            values, kind = column.astype(object).where(column.notna(), "").map(str).to_numpy(dtype=object), "text"
        variables[f"column_{j}"] = ("row", values)
        names.append(str(name))
        kinds.append(kind)
    return xr.Dataset(variables, attrs={"columns": json.dumps(names), "kinds": json.dumps(kinds), "rows": len(frame)})


def _dataset_to_frame(node: Mapping[str, Any]) -> pd.DataFrame:
    names, kinds = json.loads(node.attrs["columns"]), json.loads(node.attrs["kinds"])
    types = {"bool": bool, "int": np.int64, "float": float, "text": object}
    columns = {n: node[f"column_{j}"].to_numpy().astype(types[k]) for j, (n, k) in enumerate(zip(names, kinds, strict=True))}
    return pd.DataFrame(columns)


def _refuse_unwritable(folder: Path) -> None:
    """A folder that cannot take a file is refused before hours of sampling, not after them."""
    probe = folder / f".{secrets.token_hex(8)}.partial"
    write_whole(probe, b"", "into the cache", FitFileError)
    probe.unlink()


def fitted_tree(panel: Panel, options: Any, samples: Any, posterior: xr.Dataset, prior: xr.Dataset, **facts: Any) -> xr.DataTree:
    """Posterior, statistics of the sampler and prior draws, with what a reader needs to repeat the run in ``attrs["meta"]`` (JSON).

    ``facts`` are further entries of the meta, JSON-ready.
    """
    statistics = xr.Dataset({k: (("chain", "draw"), v) for k, v in samples.statistics.items()})
    tree = xr.DataTree.from_dict({"posterior": posterior, "sample_stats": statistics, "prior": prior})
    tree.attrs["meta"] = json.dumps(describe_run(panel, options, samples, datetime.now(UTC)) | facts)
    return tree


def describe_run(panel: Panel, options: Any, samples: Any, created: datetime) -> dict[str, Any]:
    """Seed, sampler, options, data hash, versions, seconds of both phases."""
    meta = {k: v for k, v in asdict(options).items() if k not in ("progress", "cores")}
    meta |= {
        "data_hash": data_hash(panel),
        "versions": versions(options.sampler),
        "compile_seconds": round(samples.compile_seconds, 3),
        "sampling_seconds": round(samples.sampling_seconds, 3),
        "created": created.isoformat(timespec="seconds"),
    }
    return meta


def cached(model: Any, panel: Panel, options: Any, folder: str | Path | None, sample: Callable[[], Fit]) -> Fit:
    """Read the fit with this content key from ``folder``, or sample and store it; warns when the diagnostics gate fails.

    A damaged file in the cache is replaced, with a :class:`CacheWarning`. Without a folder nothing is read or written. Raises
    :class:`FitFileError` before sampling when the folder cannot be written; when the disk fills up meanwhile, the fit comes back with a
    :class:`CacheWarning`.
    """
    fit = None
    path = Path(folder) / f"{content_key(model, panel, options)}.nc" if folder is not None else None
    if path is not None and path.is_file():
        try:
            stored = load_fit(path)
            fit = type(stored)(model, panel, stored.tree)
        except FitFileError as error:
            warn_user(f"The cached fit is sampled again. {error}", CacheWarning)
    if fit is None:
        if path is not None:
            _refuse_unwritable(path.parent)
        fit = sample()
        if path is not None:
            try:
                save_fit(fit, path)
            except FitFileError as error:
                warn_user(f"The fit is not in the cache. {error}", CacheWarning)
    diagnosis = fit.diagnose()
    if not diagnosis.passed:
        warn_user(diagnosis.verdict, ConvergenceWarning)
    return fit
