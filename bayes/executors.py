"""Work for many processes or machines: pure functions of an item, sent to the workers of a Dask cluster and collected in order.

Dask itself is not imported: an executor is whatever has ``submit`` and ``gather`` as its client has them. What the machines do wrong
(a worker that dies, a connection that breaks, a disk that is busy) is tried again; what the data or the call have wrong is an error of this
package and is raised here at once. Every result is a function of its item alone, so that it does not matter which worker computes it, in
which order, or how often.
"""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

from bayes.arguments import check, shown
from bayes.errors import BayesError, BayesWarning, ExecutorError, SpecificationError, warn_user

RETRIES = 2
"""Further attempts at a piece of work that failed for another reason than an error of this package."""
AHEAD = 512
"""Pieces of work that are handed out beyond the one that is waited for; results that nobody has collected stay below so many."""


class Executor(Protocol):
    """What is asked of a ``dask.distributed.Client``."""

    def submit(self, function: Callable, *args: Any, **options: Any) -> Any:
        """A future of ``function(*args)``; takes futures as arguments, and Dask's options ``pure`` and ``retries``."""
        ...

    def gather(self, futures: Any) -> Any:
        """The result of a future, waited for."""
        ...


class Portable[State, Item, Result]:
    """The pure function ``item → of(state, item)`` in a form that travels: ``state = prepare(*given)`` is made once in every process.

    So what cannot be sent (compiled programs) is left out of ``given`` and made again where it is needed. ``of`` and ``prepare`` are
    functions of modules. A state that the sending process has already is used there and does not travel.
    """

    def __init__(
        self, of: Callable[[State, Item], Result], prepare: Callable[..., State], given: tuple, state: State | None = None
    ) -> None:
        self.of, self.prepare, self.given = of, prepare, given
        self._state, self._lock = state, threading.Lock()

    def __call__(self, item: Item) -> Result:
        with self._lock:
            if self._state is None:
                self._state = self.prepare(*self.given)
        return self.of(self._state, item)

    def __reduce__(self) -> tuple:
        return Portable, (self.of, self.prepare, self.given)


def mapped[Item, Result](
    executor: Executor, function: Portable[Any, Item, Result], items: Sequence[Item], at_a_time: int = 1
) -> Iterator[Result]:
    """``function(item)`` of every item, computed by the executor, in the order of the items.

    Parameters
    ----------
    executor : Executor
    function : Portable
        It goes to each worker once.
    items : sequence
    at_a_time : int
        Items in one piece of work, which a worker that dies loses. A piece should take a tenth of a second or more.

    Warns
    -----
    BayesWarning
        What workers warn of, again here.

    Raises
    ------
    ExecutorError
        Work that failed :data:`RETRIES` times more, workers that keep dying, a cluster that is gone. Errors of this package come through.
        Work that has not begun when the caller stops is never begun.
    """
    held = executor.submit(_held, function, pure=False, retries=RETRIES)
    pieces = (list(items[k : k + at_a_time]) for k in range(0, len(items), at_a_time))
    waiting: deque = deque()
    try:
        while True:
            more = islice(pieces, AHEAD - len(waiting))
            waiting.extend(executor.submit(_of_each, held, piece, pure=False, retries=RETRIES) for piece in more)
            if not waiting:
                return
            results, error, said = _gathered(executor, waiting[0])
            waiting.popleft()
            for category, words in said:
                warn_user(words, category)
            yield from results
            if error is not None:
                raise error
    finally:
        for future in waiting:
            future.cancel()


def fit_several(jobs: Sequence[tuple[Any, Any]], seed: int = 0, *, executor: Executor | None = None, **options: Any) -> list[Any]:
    """``model.fit(panel, seed, **options)`` of every (model, panel), one after another here or side by side on an executor's workers.

    Parameters
    ----------
    jobs : sequence of (model, panel)
        Models of this package with the panels that they are fitted to: several studies, outcomes or specifications.
    seed : int
        Of every fit.
    executor : dask.distributed.Client, optional
        Each fit runs on one worker, its chains one after another unless ``cores`` is given; draws are the same as here.
    options
        Of every fit.

    Returns
    -------
    list of fits
        In the order of the jobs.

    Raises
    ------
    SpecificationError
        Jobs that are no pairs of a model and a panel. And the errors of the fits, that of the first job that has one.
    """
    check("fit_several", "executor", executor, ["Executor", "None"])
    pairs = [tuple(job) if isinstance(job, tuple | list) else (job,) for job in jobs]
    wrong = [pair for pair in pairs if len(pair) != 2 or not callable(getattr(pair[0], "fit", None))]
    if wrong:
        raise SpecificationError(f"fit_several: every job is a pair (model, panel), got {shown(wrong[0])}.")
    if executor is None:
        return [_fitted((seed, options), pair) for pair in pairs]
    given = (seed, {"cores": 1, "progress": False} | options)
    return list(mapped(executor, Portable(_fitted, _seed_and_options, given), pairs))


def _seed_and_options(seed: int, options: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return seed, options


def _fitted(state: tuple[int, dict[str, Any]], job: tuple[Any, Any]) -> Any:
    seed, options = state
    model, panel = job
    return model.fit(panel, seed=seed, **options)


def _held(function: Portable) -> Portable:
    """The function as a result that stays with a worker: it is sent once a worker, and computed again where its worker died."""
    return function


_ONE_AT_A_TIME = threading.Lock()
"""Filters of warnings and the number of BLAS threads belong to a process, not to a thread: threads of a worker take turns."""


def _of_each(function: Portable, items: Sequence[Any]) -> tuple[list, BayesError | None, list[tuple[type[BayesWarning], str]]]:
    """On a worker: results up to the first error of this package, that error, and what was warned of."""
    from bayes.inference.sampling import single_threaded_algebra

    results: list[Any] = []
    error = None
    with _ONE_AT_A_TIME, warnings.catch_warnings(record=True) as heard, single_threaded_algebra():
        warnings.simplefilter("always")
        try:
            for item in items:
                results.append(function(item))
        except BayesError as found:
            error = found
    return results, error, [(w.category, str(w.message)) for w in heard if issubclass(w.category, BayesWarning)]


def _gathered(executor: Executor, future: Any) -> Any:
    try:
        return executor.gather(future)
    except Exception as error:
        raise ExecutorError(
            f"Work on the executor failed for good ({type(error).__name__}: {error}). If workers were killed, give each more memory "
            "or fewer threads; if the cluster is gone, connect to it again; a folder given as resume= keeps what is finished. Without "
            "executor= the same numbers are computed in this process."
        ) from error
