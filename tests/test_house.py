"""The rules of the house: which room may import what, how large a file may be, and what no file may contain."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOUSE = ROOT / "bayes"
MODULES = sorted(HOUSE.rglob("*.py"))

GROUND_FLOOR = ("panel", "estimates", "errors", "priors", "datasets", "comparison")
KERNELS = (
    *("did/cells", "did/groups", "did/cross_products", "did/unit_scores", "did/spatial", "did/trend_violations"),
    *("did/assignments", "did/reassignment", "did/moments"),
    *("measure/_linear_programs", "measure/_technologies", "measure/_batched_simplex", "measure/_batched_distances", "measure/_dominance"),
    *("measure/_quantities", "measure/_malmquist_parts", "measure/_malmquist_distances", "measure/_bootstrap"),
    *("measure/_inequality_kernels", "measure/_entropy", "measure/_chains", "measure/_rows", "measure/_values"),
    *("measure/_log_t", "measure/_clubs_search"),
    *("baselines/_normal_hierarchy", "baselines/_printed_numbers", "baselines/_treated_rows"),
    *("mechanism/coupling", "mechanism/equations", "mechanism/posterior"),
    *("dynamics/lags", "dynamics/orthogonal", "dynamics/posterior"),
    *("frontier/normal", "frontier/densities", "frontier/quadrature", "frontier/technology", "frontier/data", "frontier/likelihood"),
    *("frontier/best_practice",),
)
"""Numerical kernels: pure functions on arrays. A kernel that is added belongs on this list."""

SAMPLERS = {"nutpie", "numpyro", "blackjax", "pymc.sampling"}
ESTIMATORS = {"pyfixest", "diff_diff", "moderndid", "csdid", "differences", "linearmodels", "statsmodels"}
SOLVERS = {"highspy"}
DRAWING = {"matplotlib", "jinja2", "docx", "maketables"}
LONGEST = 450


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, at the top or inside functions, by statement or by name through importlib."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("import_module", "__import__", "find_spec"):
                yield node.args[0].value


def reaches(file: Path, packages: set[str]) -> set[str]:
    return {package for name in imports(file) for package in packages if name == package or name.startswith(package + ".")}


def room(file: Path) -> str:
    return file.relative_to(HOUSE).parts[0]


def place(file: Path) -> str:
    return str(file.relative_to(HOUSE).with_suffix(""))


def test_the_import_reader_sees_every_form(tmp_path):
    file = tmp_path / "sample.py"
    lines = ("import a.b", "def f():", "    from c import d", "    import_module('e.f')", "    importlib.import_module('g')")
    file.write_text("\n".join(lines))
    assert {"a.b", "c", "c.d", "e.f", "g"} <= set(imports(file))
    assert reaches(file, {"a", "c.d", "e", "gg"}) == {"a", "c.d", "e"}


@pytest.mark.parametrize("file", MODULES, ids=place)
def test_rooms_import_only_what_is_theirs(file):
    if place(file) in GROUND_FLOOR + KERNELS:
        assert not reaches(file, {"pymc", "pytensor", "jax"}), "the ground floor and the kernels know neither pymc nor jax"
    if room(file) != "inference":
        assert not reaches(file, SAMPLERS), "only inference/ imports samplers"
    if room(file) != "baselines":
        assert not reaches(file, ESTIMATORS), "only baselines/ imports other estimators"
    if room(file) != "measure":
        assert not reaches(file, SOLVERS), "only measure/ solves linear programs"
    if room(file) not in ("plots", "reporting"):
        assert not reaches(file, DRAWING), "only plots/ and reporting/ draw and typeset"


@pytest.mark.parametrize("file", MODULES, ids=place)
def test_heavy_packages_are_imported_inside_functions(file):
    """At the top of a module they would be paid for by everything that imports it; nothing but TYPE_CHECKING may do so."""
    heavy = {"pymc", "pytensor", "jax", "arviz"} | SAMPLERS | ESTIMATORS | SOLVERS | DRAWING
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = {node.module}
        else:
            continue
        found = {name for name in names if name.split(".")[0] in {h.split(".")[0] for h in heavy}}
        assert not found, f"line {node.lineno} imports {sorted(found)} at the top"


def test_importing_the_package_is_quick_and_loads_nothing_heavy():
    heavy = ("pymc", "pytensor", "jax", "arviz", "matplotlib", "pandas", "numpy", "xarray", "pyfixest", "diff_diff", "moderndid")
    clock = "import sys, time; t = time.perf_counter(); import bayes; t = time.perf_counter() - t"
    code = f"{clock}; print(t, *[m for m in {heavy} if m in sys.modules])"
    runs = [subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True) for _ in range(3)]
    assert [r.stdout.split()[1:] for r in runs] == [[], [], []]
    assert min(float(r.stdout.split()[0]) for r in runs) <= 0.3


def public_definitions(file: Path) -> set[str]:
    nodes = ast.parse(file.read_text(encoding="utf-8")).body
    return {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")}


def test_no_public_function_shares_its_name_with_a_module_beside_it():
    """``bayes.did`` the package and a function ``bayes.did`` cannot both be: whichever is imported last hides the other."""
    import bayes

    clashes = set()
    for file in MODULES:
        beside = {f.stem for f in file.parent.glob("*.py")} | {f.name for f in file.parent.iterdir() if (f / "__init__.py").is_file()}
        clashes |= {f"{place(file)}.{name}" for name in public_definitions(file) & beside}
    top = {f.stem for f in HOUSE.glob("*.py")} | {f.name for f in HOUSE.iterdir() if (f / "__init__.py").is_file()}
    assert not clashes
    assert not set(bayes._HOMES) & top


def test_every_public_name_has_its_home():
    """A lazy name whose module does not define it would fail only when somebody uses it."""
    import bayes

    for name, home in bayes._HOMES.items():
        file = ROOT / (home.replace(".", "/") + ".py")
        assert file.is_file(), f"bayes.{name}: {home} does not exist"
        assert name in public_definitions(file), f"bayes.{name} is not defined in {home}"
    assert not hasattr(bayes, "no_such_name")


def committed() -> list[Path]:
    """Files of the repository, or of the unpacked source distribution where there is no git."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        answer = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        answer = [str(f.relative_to(ROOT)) for f in ROOT.rglob("*") if not any(p.startswith(("__pycache__", ".venv")) for p in f.parts)]
    return [ROOT / name for name in answer if name and (ROOT / name).is_file()]


def text_of(file: Path) -> str:
    content = file.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8", errors="replace")


def test_no_file_is_too_long():
    lengths = {str(f.relative_to(ROOT)): len(text_of(f).splitlines()) for f in committed() if f.suffix == ".py"}
    assert not {name: n for name, n in lengths.items() if n > LONGEST}


def test_nothing_is_left_for_later():
    marks = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
    files = [f for f in committed() if f.suffix not in (".csv", ".svg")]
    left = {f"{f.relative_to(ROOT)}: {mark.group()}" for f in files for mark in marks.finditer(text_of(f))}
    assert not left


def test_no_file_names_a_registry_or_a_place_on_this_machine():
    hosts = ("pypi" + ".org", "python" + "hosted.org", "ana" + "conda.org", "npm" + "js.org", "jfrog" + ".io")
    options = ("index" + "-url", "index" + "_url")
    places = ("/wo" + "rk/", "/t" + "mp/", "/ro" + "ot/", "/ho" + "me/", "/Us" + "ers/", "C:" + "\\")
    found = {f"{f.relative_to(ROOT)}: {needle}" for f in committed() for needle in hosts + options + places if needle in text_of(f)}
    assert not found
