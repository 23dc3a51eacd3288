"""One BLAS thread for this room, and double precision."""

from __future__ import annotations

import pytest

from bayes.inference.sampling import prepare_jax, single_threaded_algebra


@pytest.fixture(scope="session", autouse=True)
def single_thread():
    prepare_jax()
    with single_threaded_algebra():
        yield
