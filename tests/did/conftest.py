"""One BLAS thread for this room: its matrices are small, and on a busy machine waiting threads take most of the time."""

from __future__ import annotations

import pytest

from bayes.inference.sampling import single_threaded_algebra


@pytest.fixture(scope="session", autouse=True)
def single_thread():
    with single_threaded_algebra():
        yield
