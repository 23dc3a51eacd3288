"""The site of docs/: every page is reached, every public name is in the reference, links lead somewhere, blocks of code run."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

import bayes
from bayes.did.model import StaggeredDiD
from bayes.frontier.model import StochasticFrontier
from bayes.mediation import Mediation

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(p for p in DOCS.rglob("*") if p.suffix in (".md", ".rst") and not {"_build", "_templates", "generated"} & set(p.parts))
HOW_TO = sorted(p for p in PAGES if p.parent.name == "how_to" and p.stem != "index")
RUNNING = [DOCS / "tutorial.md", *HOW_TO]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(not (DOCS / "conf.py").is_file(), reason="docs/ is not part of this source distribution")


def page_name(page: Path) -> str:
    return str(page.relative_to(DOCS).with_suffix(""))


def entries(page: Path) -> Iterator[str]:
    """Pages that the toctrees of a page name, relative to docs/."""
    text = page.read_text(encoding="utf-8")
    markdown = re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL)
    restructured = re.findall(r"^\.\. toctree::\n((?:\n|   .*\n)+)", text, re.MULTILINE)
    for line in "\n".join(markdown + restructured).splitlines():
        named = re.fullmatch(r"(?:.+<(.+)>|([\w/]+))", line.strip())
        if named and not line.strip().startswith(":"):
            yield str((page.parent / (named[1] or named[2])).resolve().relative_to(DOCS))


def documented() -> set[str]:
    """Names in the tables of the reference, below ``bayes``."""
    pages = [p.read_text(encoding="utf-8") for p in (DOCS / "api").glob("*.rst")]
    return {name for text in pages for name in re.findall(r"^   ([\w.]+)$", text, re.MULTILINE)}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and content of every fenced block, in order."""
    return [(m[1], m[2]) for m in _FENCE.finditer(page.read_text(encoding="utf-8"))]


def test_every_page_is_in_exactly_one_toctree():
    named = [entry for page in PAGES for entry in entries(page)]
    assert sorted(named) == sorted({page_name(p) for p in PAGES} - {"index"})


def test_every_public_name_is_in_the_reference():
    wanted = set(bayes.__all__) - {"datasets", "baselines", "measure", "plots", "errors"}
    for module in ("measure", "plots", "baselines"):
        wanted |= {f"{module}.{name}" for name in import_module(f"bayes.{module}").__all__}
    tree = ast.parse((ROOT / "bayes/datasets.py").read_text(encoding="utf-8"))
    wanted |= {f"datasets.{f.name}" for f in tree.body if isinstance(f, ast.FunctionDef) and not f.name.startswith("_")}
    same = {"baselines.published", "baselines.audit", "baselines.pool"}  # documented as bayes.published, bayes.audit, bayes.pool
    assert not wanted - same - documented()
    assert "automodule:: bayes.errors" in (DOCS / "api/errors.rst").read_text(encoding="utf-8")


def test_every_fit_and_result_named_in_the_reference_exists():
    for name in documented() - {"api"}:
        if "." not in name:
            continue
        *path, last = name.split(".")
        try:
            home = import_module(".".join(["bayes", *path]))
        except ModuleNotFoundError:
            home = getattr(import_module("bayes"), path[0])
        assert hasattr(home, last), name


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_between_pages_lead_to_files(page):
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text))
    for link in (link.partition("#")[0] for link in links if not link.startswith(("http", "#"))):
        assert (page.parent / link).exists(), f"{page_name(page)}: {link}"
    for included in re.findall(r"```\{include\} (\S+)", page.read_text(encoding="utf-8")):
        assert (page.parent / included).exists(), f"{page_name(page)}: {included}"


def test_every_card_is_included():
    text = (DOCS / "data.md").read_text(encoding="utf-8")
    assert {card.parent.name for card in (ROOT / "data").glob("*/card.md")} == set(re.findall(r"\.\./data/(\w+)/card\.md", text))


def test_pictures_are_small():
    assert not {p.name for p in DOCS.rglob("gallery/*.png") if p.stat().st_size > 60_000}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_make_commands_exist(page):
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)) <= targets


def test_same_output_sees_a_word_and_a_number():
    assert_same_output("a  1.00 −2", "a 1.01 ─── -2.0", 0.05)
    for other in ("b 1.00 −2", "a 1.10 −2", "a 1.00"):
        with pytest.raises(AssertionError):
            assert_same_output("a 1.00 −2", other, 0.05)


@pytest.mark.parametrize("page", RUNNING, ids=page_name)
def test_blocks_compile(page):
    python = [content for language, content in blocks(page) if language == "python"]
    assert python
    for content in python:
        compile(content, str(page), "exec")


def assert_same_output(printed: str, expected: str, tolerance: float) -> None:
    """The same words whatever the width of columns, and the same numbers up to a tolerance, relative or absolute."""
    number = re.compile(r"[−\-+]?\d+(?:\.\d+)?(?:e[−-]\d+)?")
    words = [re.sub(r"[\s─]+", "", number.sub("", text)) for text in (printed, expected)]
    values = [[float(n.replace("−", "-")) for n in number.findall(text)] for text in (printed, expected)]
    assert words[0] == words[1]
    assert values[0] == pytest.approx(values[1], rel=tolerance, abs=tolerance / 15)


def run(page: Path, tolerance: float) -> None:
    space: dict[str, object] = {"__name__": "page"}
    printed = ""
    for language, content in blocks(page):
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(content, str(page), "exec"), space)
            printed = out.getvalue()
        elif language == "text":
            assert_same_output(printed, content, tolerance)


@pytest.mark.slow
def test_the_tutorial_prints_what_it_says(tmp_path, monkeypatch):
    """In full, with the draws of a reader; another machine draws other numbers, and an effective sample size differs most."""
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(DOCS / "tutorial.md", tolerance=0.3)
    assert {p.name for p in tmp_path.iterdir()} >= {"event_study.png", "regions.png", "castle.html", "castle.nc"}


def with_few_draws(fit: Callable[..., object]) -> Callable[..., object]:
    few = {"draws": 100, "tune": 100, "chains": 2}
    return lambda self, panel, seed=0, **options: fit(self, panel, seed, **(options | few))


@pytest.mark.slow
@pytest.mark.parametrize("page", HOW_TO, ids=page_name)
def test_how_to_pages_run(page, tmp_path, monkeypatch):
    """Every block, in order, with few draws. Only what does not depend on draws is printed on these pages."""
    for model in (StaggeredDiD, StochasticFrontier, Mediation):
        monkeypatch.setattr(model, "fit", with_few_draws(model.fit))
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(page, tolerance=0.004)
