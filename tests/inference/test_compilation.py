"""The folder of compiled programs: where it is, that it can be switched off, and that a folder that cannot be used does no harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bayes.inference import compilation

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import json, sys
import jax, jax.numpy as jnp
from bayes.inference.sampling import prepare_jax
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name))
prepare_jax()
x = jnp.ones((40, 40))
f = jax.jit(lambda x: jnp.linalg.cholesky(x @ x.T + jnp.eye(40)).sum() + jnp.sin(x).sum())
value = float(f(x))
print(json.dumps([value, "/jax/compilation_cache/cache_hits" in hits, jax.config.jax_compilation_cache_dir]))
"""


def in_a_new_process(folder: str | None, **more: str) -> list:
    environment = {k: v for k, v in os.environ.items() if k != compilation.VARIABLE}
    environment |= more | ({} if folder is None else {compilation.VARIABLE: folder})
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_a_second_process_reads_what_the_first_compiled(tmp_path):
    first, second = (in_a_new_process(str(tmp_path)) for _ in range(2))
    assert not first[1]
    assert second[1]
    assert first[0] == second[0]
    stored = [f.name for f in (tmp_path / "compiled").iterdir()]
    assert any(name.endswith("-cache") for name in stored)


def test_off_and_a_folder_that_cannot_be_made_compile_all_the_same(tmp_path):
    file = tmp_path / "file"
    file.write_text("no folder")
    off, unusable = in_a_new_process("off"), in_a_new_process(str(file))
    assert off[0] == unusable[0]
    assert off[2] is None
    assert unusable[2] is None


@pytest.mark.parametrize("word", ["off", "OFF", "no", "0"])
def test_words_that_switch_it_off(word, monkeypatch):
    monkeypatch.setenv(compilation.VARIABLE, word)
    assert compilation.cache_folder() is None


def test_the_folder_follows_the_variable_and_the_system(monkeypatch, tmp_path):
    monkeypatch.setenv(compilation.VARIABLE, str(tmp_path))
    assert compilation.cache_folder() == tmp_path / "compiled"
    monkeypatch.delenv(compilation.VARIABLE)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert compilation.cache_folder() == tmp_path / "caches" / "bayes" / "compiled"


def test_another_cache_of_the_user_is_left_alone(tmp_path):
    own = str(tmp_path / "own")
    assert in_a_new_process(str(tmp_path / "ours"), JAX_COMPILATION_CACHE_DIR=own)[2] == own
