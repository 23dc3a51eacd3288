"""Fits on disk: one netCDF file each, written whole or not at all; a cache keyed by everything that determines the result."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes.errors import ConvergenceWarning, FitFileError
from bayes.inference.fit import Fit
from bayes.panel import Panel

_FORMAT = "bayes-fit-1"
_KINDS = {"DiDFit": "bayes.did.fit", "FrontierFit": "bayes.frontier.fit", "MediationFit": "bayes.mechanism.fit"}
"""Classes a file may name, and where they live. Loading imports nothing else and executes nothing from the file."""


def save_fit(fit: Fit, path: str | Path) -> Path:
    """Write ``fit`` to ``path`` through a temporary file in the same folder. Raises :class:`FitFileError`."""
    path = Path(path)
    head = {"format": _FORMAT, "kind": fit.kind, "model": fit.model.to_dict(), "panel": _panel_roles(fit.panel)}
    tree = xr.DataTree.from_dict(
        {
            **{name: node.to_dataset() for name, node in fit.tree.children.items()},
            "panel": _frame_to_dataset(fit.panel.frame),
            "set_aside": _frame_to_dataset(fit.panel.set_aside),
        }
    )
    tree.attrs = {"head": json.dumps(head), "meta": fit.tree.attrs["meta"]}
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.partial"
        tree.to_netcdf(temporary, engine="h5netcdf")
        os.replace(temporary, path)
    except OSError as error:
        raise FitFileError(f"Cannot write the fit to {path}: {error}. Choose a folder that exists, is writable and has space.") from error
    except (ValueError, TypeError) as error:
        raise FitFileError(f"Cannot write the fit to {path}: netCDF cannot hold some values ({error}). Correct text columns.") from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
    return path


def load_fit(path: str | Path) -> Fit:
    """Read a fit saved by :meth:`Fit.save`, as the class it was (a :class:`DiDFit` again, with its panel and model).

    Imports no sampler and executes nothing from the file. Raises :class:`FitFileError` when the file is missing, damaged or not a fit.
    """
    path = Path(path)
    if not path.is_file():
        raise FitFileError(f"There is no file {path}.")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as stored:
            tree = stored.load()
        head = json.loads(tree.attrs["head"])
        if head["format"] != _FORMAT:
            raise FitFileError(
                f"{path} has format {head['format']!r}; this version reads {_FORMAT!r}. Refit, or use the version that wrote it."
            )
        kind = getattr(import_module(_KINDS[head["kind"]]), head["kind"])
        model = kind.model_class().from_dict(head["model"])
        panel = Panel(frame=_dataset_to_frame(tree["panel"]), set_aside=_dataset_to_frame(tree["set_aside"]), **head["panel"])
        groups = {name: node.to_dataset() for name, node in tree.children.items() if name not in ("panel", "set_aside")}
        clean = xr.DataTree.from_dict(groups)
        clean.attrs = {"meta": tree.attrs["meta"]}
    except FitFileError:
        raise
    except Exception as error:
        raise FitFileError(f"{path} is not a readable fit ({type(error).__name__}: {error}). It may be damaged: refit.") from error
    return kind(model, panel, clean)


def content_key(model: Any, panel: Panel, options: Any) -> str:
    """Hash of model, data, sampling options and versions: the same key means the same result."""
    chosen = {k: v for k, v in asdict(options).items() if k not in ("progress", "cores")}
    head = json.dumps([_FORMAT, model.to_dict(), chosen, versions(options.sampler), data_hash(panel)], sort_keys=True)
    return hashlib.blake2b(head.encode(), digest_size=16).hexdigest()


def data_hash(panel: Panel) -> str:
    """Hash of the panel's roles and of every value in its columns, in order."""
    digest = hashlib.blake2b(json.dumps(_panel_roles(panel), sort_keys=True).encode(), digest_size=16)
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
    return {k: getattr(panel, k) for k in ("unit", "time", "region", "first_treated", "weights", "name")}


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


def describe_run(model: Any, panel: Panel, options: Any, samples: Any, created: Any) -> str:
    """What a reader needs to repeat a run, as JSON: seed, sampler, options, data hash, versions, seconds of both phases."""
    meta = {k: v for k, v in asdict(options).items() if k not in ("progress", "cores")}
    meta |= {
        "data_hash": data_hash(panel),
        "versions": versions(options.sampler),
        "compile_seconds": round(samples.compile_seconds, 3),
        "sampling_seconds": round(samples.sampling_seconds, 3),
        "created": created.isoformat(timespec="seconds"),
    }
    return json.dumps(meta)


def cached(model: Any, panel: Panel, options: Any, folder: str | Path | None, sample: Callable[[], Fit]) -> Fit:
    """Read the fit with this content key from ``folder``, or sample and store it; warns when the diagnostics gate fails.

    A damaged file in the cache is replaced. Without a folder nothing is read or written.
    """
    fit = None
    path = Path(folder) / f"{content_key(model, panel, options)}.nc" if folder is not None else None
    if path is not None and path.is_file():
        with contextlib.suppress(FitFileError):
            stored = load_fit(path)
            fit = type(stored)(model, panel, stored.tree)
    if fit is None:
        fit = sample()
        if path is not None:
            save_fit(fit, path)
    diagnosis = fit.diagnose()
    if not diagnosis.passed:
        warnings.warn(diagnosis.verdict, ConvergenceWarning, stacklevel=3)
    return fit
