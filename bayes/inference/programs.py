"""Posterior densities as compiled programs whose data are arguments: a refit to other data of the same layout compiles nothing.

A model hands over a :class:`Prepared` posterior: its layout (all that the code takes as given), its arrays (all that changes from one
data set to another) and how to write the PyMC model over them. The program of a layout is made once in a process and kept.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_KEPT = 32
"""Programs kept in a process; the one that has not been used for longest makes room."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A posterior before it is sampled.

    Attributes
    ----------
    layout : hashable
        Everything but ``arrays`` that determines the density, shapes aside. Two posteriors with equal layouts and equal shapes of arrays
        are one function of parameters and arrays.
    arrays : mapping of str to array
        Data, and priors in units of the data.
    build : callable
        From arrays, or PyTensor variables of the same names and shapes, to the :class:`pymc.Model`.
    """

    layout: Hashable
    arrays: Mapping[str, np.ndarray]
    build: Callable[[Mapping[str, Any]], Any]

    def model(self) -> Any:
        """The PyMC model with these arrays as constants."""
        return self.build(self.arrays)

    @property
    def key(self) -> Hashable:
        return self.layout, tuple((name, a.shape, a.dtype.str) for name, a in self.arrays.items())


@dataclass(frozen=True, eq=False)
class Program:
    """A PyMC model as JAX functions of one flat unconstrained vector and the data, each made when it is first asked for.

    Attributes
    ----------
    model : pymc.Model
        Over ``shared``.
    shared : dict of str to shared variable
        What :meth:`Prepared.build` was given; empty for a bare PyMC model, whose data are constants.
    made : dict
        What samplers compiled for it, by their own keys.
    """

    model: Any
    shared: dict[str, Any]
    made: dict[Hashable, Any] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.RLock)

    @property
    def names(self) -> list[str]:
        """Free and deterministic variables in the model's order."""
        return [v.name for v in [*self.model.free_RVs, *self.model.deterministics]]

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """``make()``, the first time that the key is asked for."""
        with self.lock:
            if key not in self.made:
                self.made[key] = make()
            return self.made[key]

    def log_density(self, x: Any, data: Mapping[str, Any]) -> Any:
        """Log density of unconstrained parameters (parameters,), a JAX function of both arguments."""
        return self.once("density", self._density)(x, data)

    def constrain(self, x: np.ndarray, data: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Arrays (..., *shape) of the model's variables at unconstrained parameters (..., parameters)."""
        names, function = self.once("constrain", self._constrain)
        flat = function(x.reshape(-1, x.shape[-1]), data)
        return {name: np.asarray(a).reshape(*x.shape[:-1], *a.shape[1:]) for name, a in zip(names, flat, strict=True)}

    def centre(self, data: Mapping[str, Any]) -> np.ndarray:
        """PyMC's initial point, around which chains start, shape (parameters,)."""
        return np.concatenate([np.ravel(v).astype(float) for v in self.once("centre", self._centre)[0](data)])

    def _centre(self) -> tuple[Callable, list[tuple[int, ...]]]:
        import jax
        from pymc.initial_point import make_initial_point_expression

        model = self.model
        point = make_initial_point_expression(
            free_rvs=model.free_RVs, rvs_to_transforms=model.rvs_to_transforms, initval_strategies=model.rvs_to_initial_values,
            return_transformed=True,
        )  # fmt: skip
        function, names = _jax_function([], self.shared, point), list(self.shared)
        ordered = jax.jit(lambda data: function(*[data[n] for n in names]))
        abstract = {n: jax.ShapeDtypeStruct(v.type.shape, v.type.dtype) for n, v in self.shared.items()}
        return ordered, [tuple(v.shape) for v in jax.eval_shape(ordered, abstract)]

    def _arguments(self) -> Callable:
        """From a flat vector and data to the inputs of the model's graphs."""
        shapes, names = self.once("centre", self._centre)[1], list(self.shared)
        bounds = np.cumsum([0, *[math.prod(s) for s in shapes]]).tolist()

        def arguments(x: Any, data: Mapping[str, Any]) -> list[Any]:
            parts = [x[a:b].reshape(s) for a, b, s in zip(bounds[:-1], bounds[1:], shapes, strict=True)]
            return [*parts, *[data[n] for n in names]]

        return arguments

    def _density(self) -> Callable:
        import jax

        function, arguments = _jax_function(self.model.value_vars, self.shared, [self.model.logp()]), self._arguments()
        # Compiled as a whole: it is then traced once here, and not again by every loop that a sampler puts around it.
        return jax.jit(lambda x, data: function(*arguments(x, data))[0])

    def _constrain(self) -> tuple[list[str], Callable]:
        import jax

        wanted = [v for v in self.model.unobserved_value_vars if v.name in set(self.names)]
        function, arguments = _jax_function(self.model.value_vars, self.shared, wanted), self._arguments()
        return [v.name for v in wanted], jax.jit(jax.vmap(lambda x, data: function(*arguments(x, data)), in_axes=(0, None)))


_programs: OrderedDict[Hashable, Program] = OrderedDict()
_lock = threading.Lock()


def program_of(posterior: Any) -> tuple[Program, dict[str, np.ndarray]]:
    """The program of a prepared posterior, and its data. A bare PyMC model gives a program of its own, without data."""
    if not isinstance(posterior, Prepared):
        return Program(posterior, {}), {}
    data = {name: np.asarray(a) for name, a in posterior.arrays.items()}
    with _lock:
        if posterior.key in _programs:
            _programs.move_to_end(posterior.key)
        else:
            _programs[posterior.key] = _of_layout(posterior)
            if len(_programs) > _KEPT:
                _programs.popitem(last=False)
        return _programs[posterior.key], data


def forget_programs() -> None:
    """Drop the programs of this process, as a new process would start."""
    with _lock:
        _programs.clear()


def _of_layout(posterior: Prepared) -> Program:
    import pytensor

    shared = {name: pytensor.shared(np.asarray(a), name=name, shape=a.shape) for name, a in posterior.arrays.items()}
    return Program(posterior.build(shared), shared)


def _jax_function(inputs: list[Any], shared: Mapping[str, Any], outputs: list[Any]) -> Callable:
    """A PyTensor graph as a JAX function of its inputs and of the shared variables, in this order."""
    import jax
    from pymc.sampling.jax import get_jaxified_graph
    from pytensor.compile.sharedvalue import SharedVariable
    from pytensor.graph.replace import clone_replace
    from pytensor.graph.traversal import graph_inputs

    symbols = {name: v.type(name=name) for name, v in shared.items()}
    # By name: PyMC hands on copies of shared variables, which would become constants unseen.
    found = {v: symbols[v.name] for v in graph_inputs(outputs) if isinstance(v, SharedVariable) and v.name in symbols}
    graph = clone_replace(outputs, replace=found) if found else outputs
    # The graph's constants become JAX arrays here. While a caller is being traced they would be tracers of that trace, useless after it.
    with jax.ensure_compile_time_eval():
        return get_jaxified_graph(inputs=[*inputs, *symbols.values()], outputs=graph)
